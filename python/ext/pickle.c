/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pickle.c - objects as messages of kind PICKLE
 *
 * A message is either a bare pickle, which begins with the opcode PROTO (0x80), or
 *
 *   struct pickle_header       format byte 1, sizes
 *   struct pickle_buffer [n]   length and writability of each buffer
 *   the pickle                 protocol 5
 *   the buffers                each at a multiple of BUFFER_ALIGN from the start of the message
 *
 * Buffers of at least OUT_OF_BAND_BYTES go beside the pickle, so that they are copied once into the message.  The receiver's
 * are his own: bytearray if they were writable, else bytes.
 *
 * Reducers are those of multiprocessing (ForkingPickler.register, copyreg).  A value made of exact builtin types only cannot
 * meet one, so it goes through pickle.dumps() without the cost of a Pickler.  A bytes object alone is written without any.
 *
 * An object that is pickled as a reference may ask to be carried: the message then claims it (pickle_carry).
 */
#include "state.h"

#include <errno.h>
#include <string.h>

#define OUT_OF_BAND_BYTES ((Py_ssize_t)64 * 1024)
#define BUFFER_ALIGN ((uint64_t)64)
#define OPCODE_PROTO 0x80
#define OPCODE_BINBYTES 'B'
#define OPCODE_BINBYTES8 0x8e
#define OPCODE_STOP '.'
#define FORMAT_WITH_BUFFERS 1

struct pickle_header {
        uint8_t format;
        uint8_t reserved[7]; /* zero */
        uint64_t pickle_bytes;
        uint64_t buffer_count;
};

struct pickle_buffer {
        uint64_t bytes;
        uint64_t writable; /* 0 or 1 */
};

static uint64_t align_up(uint64_t value)
{
        return (value + BUFFER_ALIGN - 1) & ~(BUFFER_ALIGN - 1);
}

/* --- the sink: what a Pickler writes to, and what it shows its buffers --- */

struct parts {
        Py_buffer *views;
        size_t count;
        size_t capacity;
};

static int parts_add(struct parts *parts, PyObject *exporter)
{
        if (parts->count == parts->capacity) {
                size_t capacity = parts->capacity ? 2 * parts->capacity : 8;
                Py_buffer *views = PyMem_Resize(parts->views, Py_buffer, capacity);

                if (!views) {
                        PyErr_NoMemory();
                        return -1;
                }
                parts->views = views;
                parts->capacity = capacity;
        }
        if (PyObject_GetBuffer(exporter, &parts->views[parts->count], PyBUF_CONTIG_RO) < 0)
                return -1;
        parts->count++;
        return 0;
}

static uint64_t parts_bytes(const struct parts *parts)
{
        uint64_t bytes = 0;

        for (size_t i = 0; i < parts->count; i++)
                bytes += (uint64_t)parts->views[i].len;
        return bytes;
}

static void parts_done(struct parts *parts)
{
        for (size_t i = 0; i < parts->count; i++)
                PyBuffer_Release(&parts->views[i]);
        PyMem_Free(parts->views);
        *parts = (struct parts){0};
}

struct sink_object {
        PyObject_HEAD
        struct core_state *state;
        struct parts stream;  /* the pickle, in pieces */
        struct parts buffers; /* out of band */
        const skep_hive *hive; /* that the message goes into */
        skep_block *carried;
        size_t carried_count;
        struct sink_object *outer; /* of this thread; a reducer may put into another queue */
};

static _Thread_local struct sink_object *current_sink;

static struct sink_object *as_sink(PyObject *self)
{
        return (struct sink_object *)self;
}

static void sink_dealloc(PyObject *self)
{
        PyTypeObject *type = Py_TYPE(self);

        parts_done(&as_sink(self)->stream);
        parts_done(&as_sink(self)->buffers);
        PyMem_Free(as_sink(self)->carried);
        type->tp_free(self);
        Py_DECREF(type);
}

static PyObject *sink_write(PyObject *self, PyObject *piece)
{
        if (parts_add(&as_sink(self)->stream, piece) < 0)
                return NULL;
        Py_RETURN_NONE;
}

/* buffer_callback: true means "keep it in the pickle". */
static PyObject *sink_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
        PyObject *buffer, *raw;
        int added;

        (void)kwargs;
        if (!PyArg_ParseTuple(args, "O", &buffer))
                return NULL;
        raw = PyObject_CallMethodNoArgs(buffer, as_sink(self)->state->name_raw);
        if (!raw) {
                if (!PyErr_ExceptionMatches(PyExc_BufferError))
                        return NULL;
                PyErr_Clear(); /* not contiguous; pickle says so better */
                Py_RETURN_TRUE;
        }
        if (PyMemoryView_GET_BUFFER(raw)->len < OUT_OF_BAND_BYTES) {
                Py_DECREF(raw);
                Py_RETURN_TRUE;
        }
        added = parts_add(&as_sink(self)->buffers, raw);
        Py_DECREF(raw);
        if (added < 0)
                return NULL;
        Py_RETURN_FALSE;
}

static PyMethodDef sink_methods[] = {
        {"write", sink_write, METH_O, NULL},
        {NULL, NULL, 0, NULL},
};

static PyType_Slot sink_slots[] = {
        {Py_tp_dealloc, (void *)sink_dealloc},
        {Py_tp_call, (void *)sink_call},
        {Py_tp_methods, sink_methods},
        {0, NULL},
};

PyType_Spec sink_spec = {
        .name = "skep._core._Sink",
        .basicsize = sizeof(struct sink_object),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = sink_slots,
};

int pickle_carry(const skep_hive *hive, skep_block object)
{
        struct sink_object *sink = current_sink;
        skep_block *carried;

        if (!sink || sink->hive != hive)
                return 0;
        carried = PyMem_Realloc(sink->carried, (sink->carried_count + 1) * sizeof(*carried));
        if (!carried) {
                PyErr_NoMemory();
                return -1;
        }
        sink->carried = carried;
        carried[sink->carried_count++] = object;
        return 1;
}

/* --- from an object --- */

/* Whether no reducer can be asked about @object: exact builtin types only, looked at as far as the budget reaches. */
static bool is_plain(PyObject *object, int *budget)
{
        if (--*budget < 0)
                return false;
        if (object == Py_None || PyUnicode_CheckExact(object) || PyLong_CheckExact(object) || PyFloat_CheckExact(object) ||
            PyBool_Check(object) || PyBytes_CheckExact(object) || PyComplex_CheckExact(object))
                return true;
        if (PyTuple_CheckExact(object) || PyList_CheckExact(object)) {
                Py_ssize_t count = PyTuple_CheckExact(object) ? PyTuple_GET_SIZE(object) : PyList_GET_SIZE(object);

                if (count > *budget)
                        return false;
                for (Py_ssize_t i = 0; i < count; i++) {
                        PyObject *item = PyTuple_CheckExact(object) ? PyTuple_GET_ITEM(object, i) : PyList_GET_ITEM(object, i);

                        if (!is_plain(item, budget))
                                return false;
                }
                return true;
        }
        if (PyDict_CheckExact(object)) {
                PyObject *key, *value;
                Py_ssize_t position = 0;

                if (PyDict_GET_SIZE(object) > *budget)
                        return false;
                while (PyDict_Next(object, &position, &key, &value))
                        if (!is_plain(key, budget) || !is_plain(value, budget))
                                return false;
                return true;
        }
        return false;
}

/* What ForkingPickler.__init__ builds: both tables as they are now. */
static PyObject *reducers_now(struct core_state *state)
{
        PyObject *extra = PyObject_GetAttr(state->forking_pickler, state->name_extra_reducers);
        PyObject *table = extra ? PyDict_Copy(state->copyreg_table) : NULL;

        if (table && PyDict_Update(table, extra) < 0)
                Py_CLEAR(table);
        Py_XDECREF(extra);
        return table;
}

static int dump_into(struct core_state *state, PyObject *sink, PyObject *object)
{
        PyObject *arguments[] = {sink, state->protocol, sink};
        PyObject *pickler = NULL, *done = NULL;
        PyObject *table = reducers_now(state);

        if (table)
                pickler = PyObject_Vectorcall(state->pickler, arguments, 2, state->pickler_keywords);
        if (pickler && PyObject_SetAttr(pickler, state->name_dispatch_table, table) == 0)
                done = PyObject_CallMethodOneArg(pickler, state->name_dump, object);
        Py_XDECREF(done);
        Py_XDECREF(pickler);
        Py_XDECREF(table);
        return done ? 0 : -1;
}

/* --- into the queue --- */

struct commit_context {
        struct skep_loan *loan;
        uint32_t kind;
        size_t bytes;
};

static int attempt_commit(void *pointer, skep_deadline deadline)
{
        struct commit_context *context = pointer;

        return skep_queue_commit(context->loan, context->kind, context->bytes, deadline);
}

/* @param sink  says what is carried; NULL: nothing */
static int reserve(struct core_state *state, skep_queue *queue, uint64_t bytes, const struct sink_object *sink, struct skep_loan *ret_loan)
{
        const skep_block *carried = sink ? sink->carried : NULL;
        size_t count = sink ? sink->carried_count : 0;
        int result;

        if (bytes < COPY_WITHOUT_GIL_BYTES) {
                result = skep_queue_reserve_carrying(queue, (size_t)bytes, carried, count, ret_loan);
        } else {
                Py_BEGIN_ALLOW_THREADS /* fresh pages take their time */
                result = skep_queue_reserve_carrying(queue, (size_t)bytes, carried, count, ret_loan);
                Py_END_ALLOW_THREADS
        }
        return result < 0 ? message_put_failed(state, queue, result, bytes) : 0;
}

static int commit(struct core_state *state, skep_queue *queue, struct skep_loan *loan, uint32_t kind, uint64_t bytes,
                  const struct patience *patience)
{
        struct commit_context context = {.loan = loan, .kind = kind, .bytes = (size_t)bytes};
        int result = wait_for(attempt_commit, &context, patience, false);

        if (result >= 0 && result != WAIT_RAISED)
                return 0;
        skep_queue_abandon(loan);
        return message_put_failed(state, queue, result, bytes);
}

static int put_parts_of(struct core_state *state, skep_queue *queue, uint32_t kind, const Py_buffer *parts, size_t count,
                        const struct sink_object *sink, const struct patience *patience)
{
        struct skep_loan loan;
        uint64_t bytes = 0, at = 0;

        for (size_t i = 0; i < count; i++)
                bytes += (uint64_t)parts[i].len;
        if (reserve(state, queue, bytes, sink, &loan) < 0)
                return -1;
        for (size_t i = 0; i < count; i++) {
                copy_bytes((char *)loan.data + at, parts[i].buf, (size_t)parts[i].len);
                at += (uint64_t)parts[i].len;
        }
        return commit(state, queue, &loan, kind, bytes, patience);
}

int put_parts(struct core_state *state, skep_queue *queue, uint32_t kind, const Py_buffer *parts, size_t count, const struct patience *patience)
{
        return put_parts_of(state, queue, kind, parts, count, NULL, patience);
}

static int put_with_buffers(struct core_state *state, skep_queue *queue, const struct sink_object *sink, const struct patience *patience)
{
        const struct parts *stream = &sink->stream, *buffers = &sink->buffers;
        struct pickle_header header = {
                .format = FORMAT_WITH_BUFFERS,
                .pickle_bytes = parts_bytes(stream),
                .buffer_count = buffers->count,
        };
        uint64_t at = sizeof(header) + buffers->count * sizeof(struct pickle_buffer);
        uint64_t bytes = at + header.pickle_bytes;
        struct skep_loan loan;
        char *data;

        for (size_t i = 0; i < buffers->count; i++)
                bytes = align_up(bytes) + (uint64_t)buffers->views[i].len;
        if (reserve(state, queue, bytes, sink, &loan) < 0)
                return -1;
        data = loan.data;
        memcpy(data, &header, sizeof(header));
        for (size_t i = 0; i < buffers->count; i++) {
                struct pickle_buffer buffer = {
                        .bytes = (uint64_t)buffers->views[i].len,
                        .writable = !PyMemoryView_GET_BUFFER(buffers->views[i].obj)->readonly,
                };

                memcpy(data + sizeof(header) + i * sizeof(buffer), &buffer, sizeof(buffer));
        }
        for (size_t i = 0; i < stream->count; i++) {
                copy_bytes(data + at, stream->views[i].buf, (size_t)stream->views[i].len);
                at += (uint64_t)stream->views[i].len;
        }
        for (size_t i = 0; i < buffers->count; i++) {
                memset(data + at, 0, align_up(at) - at);
                at = align_up(at);
                copy_bytes(data + at, buffers->views[i].buf, (size_t)buffers->views[i].len);
                at += (uint64_t)buffers->views[i].len;
        }
        return commit(state, queue, &loan, SKEP_MESSAGE_PICKLE, bytes, patience);
}

static int put_plain(struct core_state *state, skep_queue *queue, PyObject *object, const struct patience *patience)
{
        PyObject *bytes = PyObject_CallFunctionObjArgs(state->pickle_dumps, object, state->protocol, NULL);
        Py_buffer part;
        int failed;

        if (!bytes)
                return -1;
        part = (Py_buffer){.buf = PyBytes_AS_STRING(bytes), .len = PyBytes_GET_SIZE(bytes)};
        failed = put_parts(state, queue, SKEP_MESSAGE_PICKLE, &part, 1, patience);
        Py_DECREF(bytes);
        return failed;
}

/* What pickle would make of a bytes object, without its memo. */
static int put_bytes(struct core_state *state, skep_queue *queue, PyObject *object, const struct patience *patience)
{
        uint64_t bytes = (uint64_t)PyBytes_GET_SIZE(object);
        bool is_long = bytes > UINT32_MAX;
        uint8_t head[11] = {OPCODE_PROTO, 5, is_long ? OPCODE_BINBYTES8 : OPCODE_BINBYTES}, stop = OPCODE_STOP;
        Py_buffer parts[3] = {
                {.buf = head, .len = is_long ? 11 : 7},
                {.buf = PyBytes_AS_STRING(object), .len = (Py_ssize_t)bytes},
                {.buf = &stop, .len = 1},
        };

        for (int i = 0; i < (is_long ? 8 : 4); i++)
                head[3 + i] = (uint8_t)(bytes >> 8 * i);
        return put_parts(state, queue, SKEP_MESSAGE_PICKLE, parts, 3, patience);
}

int pickle_put(struct core_state *state, skep_queue *queue, PyObject *object, const struct patience *patience)
{
        PyObject *sink;
        int budget = 64, failed = -1;

        if (PyBytes_CheckExact(object))
                return put_bytes(state, queue, object, patience);
        if (is_plain(object, &budget))
                return put_plain(state, queue, object, patience);
        sink = state->sink_type->tp_alloc(state->sink_type, 0);
        if (!sink)
                return -1;
        as_sink(sink)->state = state;
        as_sink(sink)->hive = skep_queue_hive(queue);
        as_sink(sink)->outer = current_sink;
        current_sink = as_sink(sink);
        failed = dump_into(state, sink, object);
        current_sink = as_sink(sink)->outer;
        if (failed == 0) {
                const struct sink_object *full = as_sink(sink);

                failed = full->buffers.count
                                 ? put_with_buffers(state, queue, full, patience)
                                 : put_parts_of(state, queue, SKEP_MESSAGE_PICKLE, full->stream.views, full->stream.count, full, patience);
        }
        Py_DECREF(sink);
        return failed;
}

/* --- to an object --- */

static PyObject *damaged(struct core_state *state)
{
        return raise_result(state, -EBADMSG, NULL, 0);
}

static PyObject *load_stream(struct core_state *state, const void *pickle, uint64_t bytes, PyObject *buffers)
{
        PyObject *memory = PyMemoryView_FromMemory((char *)(uintptr_t)pickle, (Py_ssize_t)bytes, PyBUF_READ);
        PyObject *arguments[] = {memory, buffers};
        PyObject *object;

        if (!memory)
                return NULL;
        object = PyObject_Vectorcall(state->pickle_loads, arguments, 1, buffers ? state->loads_keywords : NULL);
        Py_DECREF(memory);
        return object;
}

static PyObject *copy_buffer(const char *data, const struct pickle_buffer *buffer)
{
        Py_ssize_t bytes = (Py_ssize_t)buffer->bytes;
        PyObject *copy = buffer->writable ? PyByteArray_FromStringAndSize(NULL, bytes) : PyBytes_FromStringAndSize(NULL, bytes);

        if (copy)
                copy_bytes(buffer->writable ? PyByteArray_AS_STRING(copy) : PyBytes_AS_STRING(copy), data, (size_t)bytes);
        return copy;
}

static PyObject *load_with_buffers(struct core_state *state, const char *data, uint64_t bytes)
{
        struct pickle_header header;
        uint64_t at, pickle_at;
        PyObject *buffers, *object;

        /* Another process wrote this: no size is believed before it is compared with what is left. */
        if (bytes < sizeof(header))
                return damaged(state);
        memcpy(&header, data, sizeof(header));
        if (header.buffer_count > (bytes - sizeof(header)) / sizeof(struct pickle_buffer))
                return damaged(state);
        pickle_at = sizeof(header) + header.buffer_count * sizeof(struct pickle_buffer);
        if (header.pickle_bytes > bytes - pickle_at)
                return damaged(state);
        at = pickle_at + header.pickle_bytes;
        buffers = PyTuple_New((Py_ssize_t)header.buffer_count);
        for (uint64_t i = 0; buffers && i < header.buffer_count; i++) {
                struct pickle_buffer buffer;
                PyObject *copy = NULL;

                memcpy(&buffer, data + sizeof(header) + i * sizeof(buffer), sizeof(buffer));
                at = align_up(at);
                if (at > bytes || buffer.bytes > bytes - at)
                        damaged(state);
                else
                        copy = copy_buffer(data + at, &buffer);
                if (!copy) {
                        Py_CLEAR(buffers);
                        break;
                }
                PyTuple_SET_ITEM(buffers, (Py_ssize_t)i, copy);
                at += buffer.bytes;
        }
        if (!buffers)
                return NULL;
        object = load_stream(state, data + pickle_at, header.pickle_bytes, buffers);
        Py_DECREF(buffers);
        return object;
}

/* What put_bytes() wrote. @return NULL without an exception if it is another pickle */
static PyObject *load_bytes(const uint8_t *data, uint64_t bytes)
{
        bool is_long = bytes > 12 && data[2] == OPCODE_BINBYTES8;
        uint64_t head = is_long ? 11 : 7, length = 0;
        PyObject *object;

        if (bytes < head + 1 || data[0] != OPCODE_PROTO || (!is_long && data[2] != OPCODE_BINBYTES) || data[bytes - 1] != OPCODE_STOP)
                return NULL;
        for (uint64_t i = head; i-- > 3;)
                length = length << 8 | data[i];
        if (length != bytes - head - 1)
                return NULL;
        object = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)length);
        if (object)
                copy_bytes(PyBytes_AS_STRING(object), data + head, (size_t)length);
        return object;
}

PyObject *pickle_load(struct core_state *state, const struct skep_loan *loan)
{
        const uint8_t *data = loan->data;
        PyObject *object;

        if (loan->bytes && data[0] == FORMAT_WITH_BUFFERS)
                return load_with_buffers(state, loan->data, loan->bytes);
        object = load_bytes(data, loan->bytes);
        return object || PyErr_Occurred() ? object : load_stream(state, data, loan->bytes, NULL);
}
