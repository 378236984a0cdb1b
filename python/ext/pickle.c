/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pickle.c - objects as messages of kind PICKLE
 *
 * A message is either a bare pickle, which begins with the opcode PROTO (0x80), or
 *
 *   struct pickle_header       format byte 1, sizes
 *   struct pickle_buffer [n]   length and writability of each buffer, and where it lies if not here
 *   the pickle                 protocol 5
 *   the buffers                each at a multiple of BUFFER_ALIGN from the start of the message
 *
 * Buffers of at least OUT_OF_BAND_BYTES go beside the pickle, so that they are copied once into the message.  The receiver's
 * are his own: bytearray if they were writable, else bytes.  A buffer of an array born in the queue's hive is not copied at
 * all: the receiver's array lies in the same memory, as if it had been put by itself.  An item of a container is read more than
 * once: its other large buffers lie in blocks of their own, BUFFER_PRIVATE, and each reader copies them.
 *
 * The message claims what it mentions (skep_queue_reserve_with): the blocks of such arrays, and each object of the hive whose
 * __reduce__ calls mention().  So they live until the message has been taken.
 *
 * Reducers are those of multiprocessing (ForkingPickler.register, copyreg).  A value made of exact builtin types only cannot
 * meet one, so it goes through pickle.dumps() without the cost of a Pickler.  A bytes object alone is written without any.
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
        uint64_t flags;    /* BUFFER_* */
        uint64_t block;    /* reference of the block that it lies in; 0: in the message */
        uint64_t serial;
        uint64_t offset;   /* from the start of the block */
};

#define BUFFER_WRITABLE UINT64_C(1)
#define BUFFER_PRIVATE UINT64_C(2) /* lies in a block, and who reads it copies it */

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
        enum copying copying;
        bool shares;               /* a buffer lies in the hive */
        skep_hive *hive;           /* where the message goes; NULL: into none */
        struct parts stream;       /* the pickle, in pieces */
        struct parts buffers;      /* out of band */
        skep_array **beneath;      /* [buffers.capacity] the array of the hive that a buffer lies in, borrowed; or NULL */
        skep_block *mentioned;     /* what the message refers to, each at least once */
        size_t mentioned_count, mentioned_capacity;
        struct sink_object *outer; /* of this thread: a reducer may put into a queue */
};

static _Thread_local struct sink_object *sink_at_work;

static int mention(struct sink_object *sink, skep_block block)
{
        for (size_t i = sink->mentioned_count; i-- > 0 && i + 8 > sink->mentioned_count;)
                if (sink->mentioned[i].offset == block.offset)
                        return 0;
        if (sink->mentioned_count == sink->mentioned_capacity) {
                size_t capacity = sink->mentioned_capacity ? 2 * sink->mentioned_capacity : 8;
                skep_block *mentioned = PyMem_Resize(sink->mentioned, skep_block, capacity);

                if (!mentioned) {
                        PyErr_NoMemory();
                        return -1;
                }
                sink->mentioned = mentioned;
                sink->mentioned_capacity = capacity;
        }
        sink->mentioned[sink->mentioned_count++] = block;
        return 0;
}

PyObject *pickle_mention(PyObject *module, PyObject *args)
{
        struct core_state *state = PyModule_GetState(module);
        unsigned long long offset, serial;
        PyObject *hive_object;
        bool held = false;

        if (!PyArg_ParseTuple(args, "O(KK):mention", &hive_object, &offset, &serial))
                return NULL;
        if (sink_at_work) {
                skep_hive *hive = hive_handle(state, hive_object);

                if (!hive)
                        return NULL;
                held = hive == sink_at_work->hive;
                if (held && mention(sink_at_work, (skep_block){.offset = offset, .serial = serial}) < 0)
                        return NULL;
        }
        return PyBool_FromLong(held);
}

static struct sink_object *as_sink(PyObject *self)
{
        return (struct sink_object *)self;
}

static void sink_dealloc(PyObject *self)
{
        PyTypeObject *type = Py_TYPE(self);

        parts_done(&as_sink(self)->stream);
        parts_done(&as_sink(self)->buffers);
        PyMem_Free(as_sink(self)->beneath);
        PyMem_Free(as_sink(self)->mentioned);
        type->tp_free(self);
        Py_DECREF(type);
}

static PyObject *sink_write(PyObject *self, PyObject *piece)
{
        if (parts_add(&as_sink(self)->stream, piece) < 0)
                return NULL;
        Py_RETURN_NONE;
}

/* A buffer out of band; @beneath, if not NULL, is the array in whose memory it lies. */
static int sink_add(struct sink_object *sink, PyObject *raw, skep_array *beneath)
{
        size_t capacity = sink->buffers.capacity;

        if (parts_add(&sink->buffers, raw) < 0)
                return -1;
        if (sink->buffers.capacity != capacity) {
                skep_array **arrays = PyMem_Resize(sink->beneath, skep_array *, sink->buffers.capacity);

                if (!arrays) {
                        PyErr_NoMemory();
                        return -1;
                }
                sink->beneath = arrays;
        }
        sink->beneath[sink->buffers.count - 1] = beneath;
        return beneath ? mention(sink, skep_array_block(beneath)) : 0;
}

/* buffer_callback: true means "keep it in the pickle". */
static PyObject *sink_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
        struct sink_object *sink = as_sink(self);
        PyObject *buffer, *raw, *beneath_hive;
        skep_array *beneath = NULL;
        int added;

        (void)kwargs;
        if (!PyArg_ParseTuple(args, "O", &buffer))
                return NULL;
        raw = PyObject_CallMethodNoArgs(buffer, sink->state->name_raw);
        if (!raw) {
                if (!PyErr_ExceptionMatches(PyExc_BufferError))
                        return NULL;
                if (sink->copying == COPY_NEVER)
                        return NULL;
                PyErr_Clear(); /* not contiguous; pickle says so better */
                Py_RETURN_TRUE;
        }
        if (PyMemoryView_GET_BUFFER(raw)->obj)
                beneath = message_array_beneath(sink->state, PyMemoryView_GET_BUFFER(raw)->obj, &beneath_hive);
        if (beneath && (skep_array_hive(beneath) != sink->hive || sink->copying == COPY_ALWAYS))
                beneath = NULL;
        if (!beneath && sink->copying == COPY_NEVER) {
                PyErr_Format(PyExc_ValueError, "copy=False: a buffer of %zd bytes lies outside the queue's hive", PyMemoryView_GET_BUFFER(raw)->len);
                Py_DECREF(raw);
                return NULL;
        }
        sink->shares = sink->shares || beneath;
        if (!beneath && (PyMemoryView_GET_BUFFER(raw)->len < OUT_OF_BAND_BYTES || !sink->hive)) {
                Py_DECREF(raw);
                Py_RETURN_TRUE;
        }
        added = sink_add(sink, raw, beneath);
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

PyObject *pickle_reduce_arrays_with(PyObject *module, PyObject *args)
{
        struct core_state *state = PyModule_GetState(module);
        PyObject *reduce, *reduce_shared, *reduce_copied;

        if (!PyArg_ParseTuple(args, "OOO:reduce_arrays_with", &reduce, &reduce_shared, &reduce_copied))
                return NULL;
        Py_INCREF(reduce);
        Py_XSETREF(state->reduce_array, reduce);
        Py_INCREF(reduce_shared);
        Py_XSETREF(state->reduce_array_shared, reduce_shared);
        Py_INCREF(reduce_copied);
        Py_XSETREF(state->reduce_array_copied, reduce_copied);
        Py_RETURN_NONE;
}

/* What ForkingPickler.__init__ builds, both tables as they are now, over ours for arrays. */
static PyObject *reducers_now(struct core_state *state, enum copying copying)
{
        PyObject *extra = PyObject_GetAttr(state->forking_pickler, state->name_extra_reducers);
        PyObject *table = extra ? PyDict_New() : NULL;
        PyObject *reduce = copying == COPY_IF_NEEDED ? state->reduce_array : copying == COPY_NEVER ? state->reduce_array_shared : state->reduce_array_copied;

        if (table && reduce && message_numpy(state) &&
            (PyDict_SetItem(table, state->ndarray, reduce) < 0 || PyDict_SetItem(table, state->recarray, reduce) < 0))
                Py_CLEAR(table);
        if (table && PyDict_Update(table, state->copyreg_table) < 0)
                Py_CLEAR(table);
        if (table && PyDict_Update(table, extra) < 0)
                Py_CLEAR(table);
        Py_XDECREF(extra);
        return table;
}

static int dump_into(struct core_state *state, PyObject *sink, PyObject *object)
{
        PyObject *arguments[] = {sink, state->protocol, sink};
        PyObject *pickler = NULL, *done = NULL;
        PyObject *table = reducers_now(state, as_sink(sink)->copying);

        if (table)
                pickler = PyObject_Vectorcall(state->pickler, arguments, 2, state->pickler_keywords);
        if (pickler && PyObject_SetAttr(pickler, state->name_dispatch_table, table) == 0) {
                as_sink(sink)->outer = sink_at_work;
                sink_at_work = as_sink(sink);
                done = PyObject_CallMethodOneArg(pickler, state->name_dump, object);
                sink_at_work = as_sink(sink)->outer;
        }
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

/* @param sink  NULL: the message mentions nothing */
static int reserve(struct core_state *state, skep_queue *queue, uint64_t bytes, const struct sink_object *sink, struct skep_loan *ret_loan)
{
        const skep_block *mentioned = sink ? sink->mentioned : NULL;
        size_t count = sink ? sink->mentioned_count : 0;
        int result;

        if (bytes < COPY_WITHOUT_GIL_BYTES) {
                result = skep_queue_reserve_with(queue, (size_t)bytes, mentioned, count, ret_loan);
        } else {
                Py_BEGIN_ALLOW_THREADS /* fresh pages take their time */
                result = skep_queue_reserve_with(queue, (size_t)bytes, mentioned, count, ret_loan);
                Py_END_ALLOW_THREADS
        }
        return result < 0 ? message_put_failed(state, queue, result, bytes) : 0;
}

static int commit(struct core_state *state, skep_queue *queue, struct skep_loan *loan, uint32_t kind, uint64_t bytes,
                  const struct patience *patience)
{
        struct commit_context context = {.loan = loan, .kind = kind, .bytes = (size_t)bytes};
        int result = wait_for(attempt_commit, &context, patience, skep_hive_is_remote(skep_queue_hive(queue)));

        if (result >= 0 && result != WAIT_RAISED)
                return 0;
        skep_queue_abandon(loan);
        return message_put_failed(state, queue, result, bytes);
}

static int put_pieces(struct core_state *state, skep_queue *queue, uint32_t kind, const Py_buffer *parts, size_t count,
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
        return put_pieces(state, queue, kind, parts, count, NULL, patience);
}

/* How a buffer is described; of those in the hive, where. */
static struct pickle_buffer buffer_of(const struct sink_object *sink, size_t i)
{
        const Py_buffer *view = &sink->buffers.views[i];
        const skep_array *array = sink->beneath[i];
        struct pickle_buffer buffer = {
                .bytes = (uint64_t)view->len,
                .flags = PyMemoryView_GET_BUFFER(view->obj)->readonly ? 0 : BUFFER_WRITABLE,
        };

        if (array) {
                skep_block block = skep_array_block(array);

                buffer.block = block.offset;
                buffer.serial = block.serial;
                buffer.offset = skep_array_offset(array) + (uint64_t)((const char *)view->buf - (const char *)skep_array_data(array));
        }
        return buffer;
}

/* The header, the descriptions of buffers, the pickle. @return bytes of the three */
static uint64_t write_head(const struct sink_object *sink, const struct pickle_header *header, char *data)
{
        uint64_t at = sizeof(*header);

        memcpy(data, header, sizeof(*header));
        for (size_t i = 0; i < sink->buffers.count; i++, at += sizeof(struct pickle_buffer)) {
                struct pickle_buffer buffer = buffer_of(sink, i);

                memcpy(data + at, &buffer, sizeof(buffer));
        }
        for (size_t i = 0; i < sink->stream.count; i++) {
                copy_bytes(data + at, sink->stream.views[i].buf, (size_t)sink->stream.views[i].len);
                at += (uint64_t)sink->stream.views[i].len;
        }
        return at;
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
                bytes = sink->beneath[i] ? bytes : align_up(bytes) + (uint64_t)buffers->views[i].len;
        if (reserve(state, queue, bytes, sink, &loan) < 0)
                return -1;
        data = loan.data;
        at = write_head(sink, &header, data);
        for (size_t i = 0; i < buffers->count; i++) {
                if (sink->beneath[i])
                        continue;
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

static int refuse_copy(const PyObject *object)
{
        PyErr_Format(PyExc_TypeError, "copy=False: an object of type %s is copied, nothing of it lies in the queue's hive", Py_TYPE(object)->tp_name);
        return -1;
}

int pickle_put(struct core_state *state, skep_queue *queue, PyObject *object, enum copying copying, const struct patience *patience)
{
        PyObject *sink;
        int budget = 64, failed = -1;

        if (PyBytes_CheckExact(object))
                return copying == COPY_NEVER ? refuse_copy(object) : put_bytes(state, queue, object, patience);
        if (is_plain(object, &budget))
                return copying == COPY_NEVER ? refuse_copy(object) : put_plain(state, queue, object, patience);
        sink = state->sink_type->tp_alloc(state->sink_type, 0);
        if (!sink)
                return -1;
        as_sink(sink)->state = state;
        as_sink(sink)->hive = skep_queue_hive(queue);
        as_sink(sink)->copying = copying;
        if (dump_into(state, sink, object) == 0) {
                const struct sink_object *full = as_sink(sink);

                failed = copying == COPY_NEVER && !full->shares ? refuse_copy(object)
                         : full->buffers.count                  ? put_with_buffers(state, queue, full, patience)
                                             : put_pieces(state, queue, SKEP_MESSAGE_PICKLE, full->stream.views, full->stream.count, full, patience);
        }
        Py_DECREF(sink);
        return failed;
}

/* --- for messages of the caller's making --- */

/* What stands behind a pickle, where pickle.loads() does not look: bytes, then a number. */
struct tail {
        const char *bytes;
        Py_ssize_t length;
        int64_t number;
};

static Py_ssize_t tail_bytes(const struct tail *tail)
{
        return tail->bytes ? tail->length + (Py_ssize_t)sizeof(tail->number) : 0;
}

static void tail_write(const struct tail *tail, char *to)
{
        if (!tail->bytes)
                return;
        memcpy(to, tail->bytes, (size_t)tail->length);
        memcpy(to + tail->length, &tail->number, sizeof(tail->number));
}

static PyObject *join(const struct parts *parts, const struct tail *tail)
{
        PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)parts_bytes(parts) + tail_bytes(tail));
        Py_ssize_t at = 0;

        for (size_t i = 0; bytes && i < parts->count; i++) {
                copy_bytes(PyBytes_AS_STRING(bytes) + at, parts->views[i].buf, (size_t)parts->views[i].len);
                at += parts->views[i].len;
        }
        if (bytes)
                tail_write(tail, PyBytes_AS_STRING(bytes) + at);
        return bytes;
}

/* A value of builtin types, which has no large buffers. */
static PyObject *pack_plain(struct core_state *state, PyObject *object, const struct tail *tail)
{
        PyObject *arguments[] = {object, state->protocol};
        PyObject *bytes = PyObject_Vectorcall(state->pickle_dumps, arguments, 2, NULL);
        Py_ssize_t at = bytes ? PyBytes_GET_SIZE(bytes) : 0;

        if (bytes && tail->bytes && _PyBytes_Resize(&bytes, at + tail_bytes(tail)) == 0)
                tail_write(tail, PyBytes_AS_STRING(bytes) + at);
        return bytes;
}

static PyObject *buffers_of(const struct sink_object *sink)
{
        PyObject *list = PyList_New((Py_ssize_t)sink->buffers.count);

        for (size_t i = 0; list && i < sink->buffers.count; i++) {
                const Py_buffer *view = &sink->buffers.views[i];
                PyObject *pair = Py_BuildValue("(OK)", view->obj, (unsigned long long)(uintptr_t)view->buf);

                if (!pair)
                        Py_CLEAR(list);
                else
                        PyList_SET_ITEM(list, (Py_ssize_t)i, pair);
        }
        return list;
}

static PyObject *mentions_of(const struct sink_object *sink)
{
        PyObject *list = PyList_New((Py_ssize_t)sink->mentioned_count);

        for (size_t i = 0; list && i < sink->mentioned_count; i++) {
                PyObject *pair = Py_BuildValue("(KK)", (unsigned long long)sink->mentioned[i].offset, (unsigned long long)sink->mentioned[i].serial);

                if (!pair)
                        Py_CLEAR(list);
                else
                        PyList_SET_ITEM(list, (Py_ssize_t)i, pair);
        }
        return list;
}

PyObject *pickle_pack(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
        struct core_state *state = PyModule_GetState(module);
        PyObject *object, *sink, *result = NULL;
        struct tail tail = {0};
        skep_hive *hive;
        int budget = 64;

        if ((count != 2 && count != 4) || (count == 4 && !PyBytes_CheckExact(args[2]))) {
                PyErr_SetString(PyExc_TypeError, "pack(hive, obj) or pack(hive, obj, bytes, number)");
                return NULL;
        }
        if (count == 4) {
                tail = (struct tail){.bytes = PyBytes_AS_STRING(args[2]), .length = PyBytes_GET_SIZE(args[2]), .number = PyLong_AsLongLong(args[3])};
                if (tail.number == -1 && PyErr_Occurred())
                        return NULL;
        }
        object = args[1];
        if (is_plain(object, &budget))
                return pack_plain(state, object, &tail);
        hive = hive_handle(state, args[0]);
        sink = hive ? state->sink_type->tp_alloc(state->sink_type, 0) : NULL;
        if (!sink)
                return NULL;
        as_sink(sink)->state = state;
        as_sink(sink)->hive = hive;
        if (dump_into(state, sink, object) == 0) {
                bool is_alone = !as_sink(sink)->buffers.count && !as_sink(sink)->mentioned_count;
                PyObject *stream = join(&as_sink(sink)->stream, is_alone ? &tail : &(const struct tail){0});

                if (stream && !is_alone) {
                        PyObject *buffers = buffers_of(as_sink(sink)), *mentions = mentions_of(as_sink(sink));

                        if (buffers && mentions)
                                result = PyTuple_Pack(3, stream, buffers, mentions);
                        Py_XDECREF(buffers);
                        Py_XDECREF(mentions);
                        Py_DECREF(stream);
                } else {
                        result = stream;
                }
        }
        Py_DECREF(sink);
        return result;
}

/* --- as an item of a container --- */

/* The buffer in a block of its own. @return 0; -1 with an exception */
static int pack_buffer(struct core_state *state, struct packed *packed, const struct sink_object *sink, size_t i, struct pickle_buffer *ret_buffer)
{
        const Py_buffer *view = &sink->buffers.views[i];
        skep_block block;
        int result;

        Py_BEGIN_ALLOW_THREADS /* fresh pages take their time */
        result = skep_block_alloc(sink->hive, (uint64_t)view->len, 0, &block);
        Py_END_ALLOW_THREADS
        if (result < 0) {
                raise_result(state, result, sink->hive, (uint64_t)view->len);
                return -1;
        }
        packed->references[packed->reference_count++] = block;
        packed->own_count++;
        copy_bytes(skep_block_address(sink->hive, block, NULL), view->buf, (size_t)view->len);
        ret_buffer->block = block.offset;
        ret_buffer->serial = block.serial;
        ret_buffer->flags |= BUFFER_PRIVATE;
        return 0;
}

static int pack_with_buffers(struct core_state *state, struct packed *packed, const struct sink_object *sink)
{
        const struct pickle_header header = {
                .format = FORMAT_WITH_BUFFERS,
                .pickle_bytes = parts_bytes(&sink->stream),
                .buffer_count = sink->buffers.count,
        };
        uint64_t bytes = sizeof(header) + sink->buffers.count * sizeof(struct pickle_buffer) + header.pickle_bytes;
        char *data;

        packed->bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes);
        if (!packed->bytes)
                return -1;
        data = PyBytes_AS_STRING(packed->bytes);
        (void)write_head(sink, &header, data);
        for (size_t i = 0; i < sink->buffers.count; i++) {
                struct pickle_buffer buffer = buffer_of(sink, i);

                if (!buffer.block && pack_buffer(state, packed, sink, i, &buffer) < 0)
                        return -1;
                memcpy(data + sizeof(header) + i * sizeof(buffer), &buffer, sizeof(buffer));
        }
        return 0;
}

/* @param sink  its references are taken */
static int pack_sink(struct core_state *state, struct packed *packed, struct sink_object *sink)
{
        size_t count = sink->mentioned_count;
        skep_block *references = PyMem_Resize(sink->mentioned, skep_block, count + sink->buffers.count + 1);

        if (!references) {
                PyErr_NoMemory();
                return -1;
        }
        sink->mentioned = NULL;
        packed->references = references;
        packed->reference_count = count;
        if (sink->buffers.count)
                return pack_with_buffers(state, packed, sink);
        packed->bytes = join(&sink->stream, &(const struct tail){0});
        return packed->bytes ? 0 : -1;
}

int pickle_item(struct core_state *state, skep_hive *hive, PyObject *object, struct packed *ret_packed)
{
        PyObject *sink;
        int budget = 64, failed = -1;

        *ret_packed = (struct packed){.hive = hive};
        if (is_plain(object, &budget)) {
                PyObject *arguments[] = {object, state->protocol};

                ret_packed->bytes = PyObject_Vectorcall(state->pickle_dumps, arguments, 2, NULL);
                return ret_packed->bytes ? 0 : -1;
        }
        sink = state->sink_type->tp_alloc(state->sink_type, 0);
        if (!sink)
                return -1;
        as_sink(sink)->state = state;
        as_sink(sink)->hive = hive;
        if (dump_into(state, sink, object) == 0)
                failed = pack_sink(state, ret_packed, as_sink(sink));
        Py_DECREF(sink);
        if (failed < 0)
                packed_end(ret_packed);
        return failed;
}

void packed_end(struct packed *packed)
{
        for (size_t i = packed->reference_count - packed->own_count; i < packed->reference_count; i++)
                (void)skep_block_unref(packed->hive, packed->references[i]);
        PyMem_Free(packed->references);
        Py_XDECREF(packed->bytes);
        *packed = (struct packed){0};
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
        bool writable = buffer->flags & BUFFER_WRITABLE;
        Py_ssize_t bytes = (Py_ssize_t)buffer->bytes;
        PyObject *copy = writable ? PyByteArray_FromStringAndSize(NULL, bytes) : PyBytes_FromStringAndSize(NULL, bytes);

        if (copy)
                copy_bytes(writable ? PyByteArray_AS_STRING(copy) : PyBytes_AS_STRING(copy), data, (size_t)bytes);
        return copy;
}

/* The receiver's part of memory in the hive that an array lies in. */
static PyObject *attach_buffer(struct core_state *state, PyObject *hive, const struct pickle_buffer *buffer)
{
        skep_block block = {.offset = buffer->block, .serial = buffer->serial};
        skep_array *array;
        PyObject *wrapped, *view, *readonly;
        skep_hive *handle = hive_handle(state, hive);
        int result;

        if (!handle)
                return NULL;
        result = skep_array_attach(handle, block, SKEP_ELEMENT_U8, buffer->offset, 1, &buffer->bytes, NULL, &array);
        if (result < 0)
                return raise_result(state, result, NULL, 0);
        wrapped = array_wrap(state, hive, array);
        if (!wrapped || (buffer->flags & BUFFER_WRITABLE))
                return wrapped;
        view = PyMemoryView_FromObject(wrapped);
        Py_DECREF(wrapped);
        readonly = view ? PyObject_CallMethod(view, "toreadonly", NULL) : NULL;
        Py_XDECREF(view);
        return readonly;
}

static PyObject *copy_private(struct core_state *state, PyObject *hive, const struct pickle_buffer *buffer)
{
        skep_block block = {.offset = buffer->block, .serial = buffer->serial};
        skep_hive *handle = hive_handle(state, hive);
        const char *data;
        PyObject *copy = NULL;
        uint64_t bytes;
        int result;

        if (!handle)
                return NULL;
        result = skep_block_ref(handle, block);
        if (result < 0)
                return raise_result(state, result, NULL, 0);
        data = skep_block_address(handle, block, &bytes);
        if (data && buffer->offset <= bytes && buffer->bytes <= bytes - buffer->offset)
                copy = copy_buffer(data + buffer->offset, buffer);
        else
                damaged(state);
        (void)skep_block_unref(handle, block);
        return copy;
}

static PyObject *load_with_buffers(struct core_state *state, PyObject *hive, const char *data, uint64_t bytes)
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
                if (!buffer.block)
                        at = align_up(at);
                if (buffer.block)
                        copy = buffer.flags & BUFFER_PRIVATE ? copy_private(state, hive, &buffer) : attach_buffer(state, hive, &buffer);
                else if (at > bytes || buffer.bytes > bytes - at)
                        damaged(state);
                else
                        copy = copy_buffer(data + at, &buffer);
                if (!copy) {
                        Py_CLEAR(buffers);
                        break;
                }
                PyTuple_SET_ITEM(buffers, (Py_ssize_t)i, copy);
                at += buffer.block ? 0 : buffer.bytes;
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

PyObject *pickle_load(struct core_state *state, PyObject *hive, const struct skep_loan *loan)
{
        const uint8_t *data = loan->data;
        PyObject *object;

        if (loan->bytes && data[0] == FORMAT_WITH_BUFFERS)
                return load_with_buffers(state, hive, loan->data, loan->bytes);
        object = load_bytes(data, loan->bytes);
        return object || PyErr_Occurred() ? object : load_stream(state, data, loan->bytes, NULL);
}
