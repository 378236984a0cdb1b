/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_type.c - skep._core.Connection: one end of a channel, with the methods of multiprocessing's Connection
 *
 *   sent with       message          recv() gives        recv_bytes() gives
 *   send()          PICKLE, ARRAY    the object          its pickle
 *   send_bytes()    BYTES            what pickle makes   the bytes
 *                                    of them
 *
 * So a pickle may be received as bytes and sent on as bytes.  A bytes object is sent as a pickle that needs no pickling:
 * pickle.c writes and reads it in one copy.
 *
 * close() by one thread while another is inside a call: the handle goes when that one is out, at the latest after a slice.
 */
#include "state.h"

#include <errno.h>
#include <string.h>

#define SLICE_NS ((int64_t)100 * 1000 * 1000)

struct channel_object {
        PyObject_HEAD
        struct core_state *state;
        PyObject *hive;
        skep_channel_end *end; /* NULL: closed, and nobody is inside a call */
        skep_queue *reads;     /* NULL: only sends */
        skep_queue *writes;
        uint32_t users; /* threads inside a call */
        bool closed;
        bool spoilt; /* a message was too long: not to be read any more */
};

static struct channel_object *as_channel(PyObject *self)
{
        return (struct channel_object *)self;
}

/* --- make and end --------------------------------------------------------------------------------------------------------- */

/* @param end  taken, also on failure */
static PyObject *channel_wrap(PyTypeObject *type, struct core_state *state, PyObject *hive, skep_channel_end *end)
{
        PyObject *self = type->tp_alloc(type, 0);

        if (!self) {
                skep_channel_unref(end);
                return NULL;
        }
        Py_INCREF(hive);
        as_channel(self)->state = state;
        as_channel(self)->hive = hive;
        as_channel(self)->end = end;
        as_channel(self)->reads = skep_channel_reader(end);
        as_channel(self)->writes = skep_channel_writer(end);
        return self;
}

static void release(struct channel_object *channel)
{
        skep_channel_end *end = channel->end;

        channel->end = NULL;
        if (!end)
                return;
        Py_BEGIN_ALLOW_THREADS /* a thread behind the descriptor may have to end */
        skep_channel_unref(end);
        Py_END_ALLOW_THREADS
}

static void channel_dealloc(PyObject *self)
{
        PyTypeObject *type = Py_TYPE(self);

        release(as_channel(self));
        Py_XDECREF(as_channel(self)->hive); /* after the handle that lives in it */
        type->tp_free(self);
        Py_DECREF(type);
}

PyDoc_STRVAR(pair_doc, "pair(hive, duplex=True)\n--\n\nThe two ends of a new channel; not duplex: the first receives, the second sends.");
static PyObject *channel_pair(PyObject *type, PyObject *args)
{
        struct core_state *state = state_of_type((PyTypeObject *)type);
        skep_channel_end *ends[2];
        PyObject *hive_object, *first, *second;
        int duplex = 1, result;
        skep_hive *hive;

        if (!state || !PyArg_ParseTuple(args, "O|p:pair", &hive_object, &duplex))
                return NULL;
        hive = hive_handle(state, hive_object);
        if (!hive)
                return NULL;
        result = skep_channel_create(hive, SKEP_CHANNEL_OPTIONS(.flags = duplex ? 0 : SKEP_CHANNEL_ONE_WAY), &ends[0], &ends[1]);
        if (result < 0)
                return raise_result(state, result, hive, 0);
        first = channel_wrap((PyTypeObject *)type, state, hive_object, ends[0]);
        second = channel_wrap((PyTypeObject *)type, state, hive_object, ends[1]);
        if (first && second)
                return Py_BuildValue("(NN)", first, second);
        Py_XDECREF(first);
        Py_XDECREF(second);
        return NULL;
}

PyDoc_STRVAR(attach_doc, "attach(hive, offset, serial)\n--\n\nThe end behind a reference.  GoneError: nobody held it any more.");
static PyObject *channel_attach(PyObject *type, PyObject *args)
{
        struct core_state *state = state_of_type((PyTypeObject *)type);
        unsigned long long offset, serial;
        skep_channel_end *end;
        PyObject *hive_object;
        skep_hive *hive;
        int result;

        if (!state || !PyArg_ParseTuple(args, "OKK:attach", &hive_object, &offset, &serial))
                return NULL;
        hive = hive_handle(state, hive_object);
        if (!hive)
                return NULL;
        result = skep_channel_attach(hive, (skep_block){.offset = offset, .serial = serial}, &end);
        return result < 0 ? raise_result(state, result, hive, 0) : channel_wrap((PyTypeObject *)type, state, hive_object, end);
}

/* --- inside a call ----------------------------------------------------------------------------------------------------------- */

enum way { ANY_WAY, TO_READ, TO_WRITE };

/* Every method that uses the handle stands between enter and leave. @return false with OSError */
static bool enter(PyObject *self, enum way way)
{
        struct channel_object *channel = as_channel(self);

        if (channel->closed || !channel->end) {
                PyErr_SetString(PyExc_OSError, "handle is closed");
                return false;
        }
        if (way == TO_READ && (!channel->reads || channel->spoilt)) {
                PyErr_SetString(PyExc_OSError, "connection is write-only");
                return false;
        }
        if (way == TO_WRITE && !channel->writes) {
                PyErr_SetString(PyExc_OSError, "connection is read-only");
                return false;
        }
        channel->users++;
        return true;
}

static void leave(PyObject *self)
{
        struct channel_object *channel = as_channel(self);

        if (--channel->users == 0 && channel->closed)
                release(channel);
}

PyDoc_STRVAR(close_doc, "close()\n--\n\nLet go of this end.  When nobody holds it any more, the other end gets EOFError.");
static PyObject *channel_close(PyObject *self, PyObject *unused)
{
        (void)unused;
        as_channel(self)->closed = true;
        if (!as_channel(self)->users)
                release(as_channel(self));
        Py_RETURN_NONE;
}

/* wait_for(), in slices that notice close() and children that died before they took what was sent to them. */
static int wait_open(struct channel_object *channel, attempt_function *attempt, void *context, const struct patience *patience)
{
        for (;;) {
                struct patience slice = {.deadline = skep_within_ns(SLICE_NS), .blocks = patience->blocks};
                bool last = !patience->blocks || patience->deadline.monotonic_ns <= slice.deadline.monotonic_ns;
                int result = wait_for(attempt, context, last ? patience : &slice, false);

                if (result != -ETIMEDOUT || last)
                        return result;
                if (channel->closed)
                        return -EBADF;
                if (channel->state->between_waits) {
                        PyObject *done = PyObject_CallNoArgs(channel->state->between_waits);

                        if (!done)
                                return WAIT_RAISED;
                        Py_DECREF(done);
                }
        }
}

static void *raise_failed(struct channel_object *channel, int result)
{
        if (result == -ESHUTDOWN)
                PyErr_SetNone(PyExc_EOFError);
        else if (result == -EBADF)
                PyErr_SetString(PyExc_OSError, "handle is closed");
        else
                raise_result(channel->state, result, NULL, 0);
        return NULL;
}

/* --- send ---------------------------------------------------------------------------------------------------------------------- */

static const struct patience forever = {.deadline = {INT64_MAX}, .blocks = true};

static PyObject *sent(struct channel_object *channel, int failed)
{
        if (!failed)
                Py_RETURN_NONE;
        if (skep_queue_is_closed(channel->writes) && PyErr_ExceptionMatches(PyExc_ValueError)) {
                PyErr_Clear();
                raise_result(channel->state, -EPIPE, NULL, 0);
        }
        return NULL;
}

PyDoc_STRVAR(send_doc, "send(obj)\n--\n\n"
                       "Send an object.  Does not wait.  BrokenPipeError: nobody holds the other end.  MemoryError: the hive is full.\n"
                       "What pickle raises is raised here, and nothing is sent.");
static PyObject *channel_send(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        struct channel_object *channel = as_channel(self);
        PyObject *object = parse_object("send", args, count, names), *result;

        if (!object || !enter(self, TO_WRITE))
                return NULL;
        if (PyBytes_CheckExact(object))
                result = sent(channel, pickle_put(channel->state, channel->writes, object, COPY_IF_NEEDED, &forever));
        else
                result = sent(channel, message_put(channel->state, channel->writes, channel->hive, object, COPY_IF_NEEDED, &forever));
        leave(self);
        return result;
}

struct bytes_context {
        skep_queue *queue;
        const void *data;
        size_t bytes;
};

static int attempt_bytes(void *pointer, skep_deadline deadline)
{
        struct bytes_context *context = pointer;

        return skep_queue_put(context->queue, context->data, context->bytes, deadline);
}

/* The part of a buffer that is meant. @return 0; -1 with ValueError */
static int part_of(const Py_buffer *whole, Py_ssize_t offset, PyObject *size, Py_buffer *ret_part)
{
        Py_ssize_t bytes = whole->len - offset;

        if (offset < 0) {
                PyErr_SetString(PyExc_ValueError, "offset is negative");
                return -1;
        }
        if (bytes < 0) {
                PyErr_SetString(PyExc_ValueError, "buffer length < offset");
                return -1;
        }
        if (size != Py_None) {
                Py_ssize_t wanted = PyNumber_AsSsize_t(size, PyExc_OverflowError);

                if (wanted == -1 && PyErr_Occurred())
                        return -1;
                if (wanted < 0 || wanted > bytes) {
                        PyErr_SetString(PyExc_ValueError, wanted < 0 ? "size is negative" : "buffer length < offset + size");
                        return -1;
                }
                bytes = wanted;
        }
        *ret_part = (Py_buffer){.buf = (char *)whole->buf + offset, .len = bytes};
        return 0;
}

PyDoc_STRVAR(send_bytes_doc, "send_bytes(buf, offset=0, size=None)\n--\n\nSend the bytes of a buffer, or a part of them, as one message.");
static PyObject *channel_send_bytes(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"buf", "offset", "size", NULL};
        struct channel_object *channel = as_channel(self);
        PyObject *size = Py_None, *result = NULL;
        Py_ssize_t offset = 0;
        Py_buffer whole, part;

        if (!enter(self, TO_WRITE))
                return NULL;
        if (PyArg_ParseTupleAndKeywords(args, kwargs, "y*|nO:send_bytes", keywords, &whole, &offset, &size)) {
                int failed = part_of(&whole, offset, size, &part);

                if (!failed && (size_t)part.len < COPY_WITHOUT_GIL_BYTES) {
                        struct bytes_context context = {.queue = channel->writes, .data = part.buf, .bytes = (size_t)part.len};
                        int put = wait_for(attempt_bytes, &context, &forever, false);

                        failed = put == 0 ? 0 : message_put_failed(channel->state, channel->writes, put, context.bytes);
                } else if (!failed) {
                        failed = put_parts(channel->state, channel->writes, SKEP_MESSAGE_BYTES, &part, 1, &forever);
                }
                result = sent(channel, failed);
                PyBuffer_Release(&whole);
        }
        leave(self);
        return result;
}

/* --- receive --------------------------------------------------------------------------------------------------------------------- */

struct borrow_context {
        skep_queue *queue;
        struct skep_loan *loan;
};

static int attempt_borrow(void *pointer, skep_deadline deadline)
{
        struct borrow_context *context = pointer;

        return skep_queue_borrow(context->queue, context->loan, deadline);
}

/* What becomes of a message. @return NULL with an exception */
typedef PyObject *load_function(struct channel_object *channel, struct skep_loan *loan, void *context);

/* A message that cannot be loaded is taken; an interrupt from outside leaves it (as in queue_type.c). */
static PyObject *receive(PyObject *self, load_function *load, void *load_context)
{
        struct channel_object *channel = as_channel(self);
        struct skep_loan loan;
        struct borrow_context context = {.queue = channel->reads, .loan = &loan};
        PyObject *object;
        int result;

        if (!enter(self, TO_READ))
                return NULL;
        result = wait_open(channel, attempt_borrow, &context, &forever);
        if (result != 0) {
                object = raise_failed(channel, result);
        } else {
                object = load(channel, &loan, load_context);
                if (object || PyErr_ExceptionMatches(PyExc_Exception))
                        skep_queue_give_back(&loan);
                else
                        skep_queue_put_back(&loan);
        }
        leave(self);
        return object;
}

static PyObject *load_object(struct channel_object *channel, struct skep_loan *loan, void *unused)
{
        (void)unused;
        if (loan->kind == SKEP_MESSAGE_BYTES || loan->kind == SKEP_MESSAGE_PICKLE)
                return pickle_load(channel->state, channel->hive, loan);
        return message_load(channel->state, channel->hive, loan);
}

PyDoc_STRVAR(recv_doc, "recv()\n--\n\n"
                       "Wait for an object and take it.  EOFError: nobody holds the other end, and all it sent was received.");
static PyObject *channel_recv(PyObject *self, PyObject *unused)
{
        (void)unused;
        return receive(self, load_object, NULL);
}

/* The bytes of a message: an array's are those of its pickle. */
static PyObject *message_bytes(struct channel_object *channel, const struct skep_loan *loan)
{
        struct skep_loan raw = *loan;
        PyObject *object, *bytes;

        if (loan->kind != SKEP_MESSAGE_ARRAY) {
                raw.kind = SKEP_MESSAGE_BYTES;
                return message_load(channel->state, channel->hive, &raw);
        }
        object = message_load(channel->state, channel->hive, loan);
        bytes = object ? PyObject_CallFunctionObjArgs(channel->state->pickle_dumps, object, channel->state->protocol, NULL) : NULL;
        Py_XDECREF(object);
        return bytes;
}

static PyObject *load_bytes(struct channel_object *channel, struct skep_loan *loan, void *context)
{
        const Py_ssize_t *most = context;
        PyObject *bytes = NULL;

        if (!most || loan->kind == SKEP_MESSAGE_ARRAY || loan->bytes <= (size_t)*most)
                bytes = message_bytes(channel, loan);
        if (bytes && most && PyBytes_GET_SIZE(bytes) > *most)
                Py_CLEAR(bytes);
        if (bytes || PyErr_Occurred())
                return bytes;
        if (channel->writes)
                channel->spoilt = true;
        else
                channel->closed = true;
        PyErr_SetString(PyExc_OSError, "bad message length");
        return NULL;
}

PyDoc_STRVAR(recv_bytes_doc, "recv_bytes(maxlength=None)\n--\n\n"
                             "Wait for a message and take its bytes.  OSError: it is longer than maxlength; the connection is then of no more use.");
static PyObject *channel_recv_bytes(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"maxlength", NULL};
        PyObject *maxlength = Py_None;
        Py_ssize_t most;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:recv_bytes", keywords, &maxlength))
                return NULL;
        if (maxlength == Py_None)
                return receive(self, load_bytes, NULL);
        most = PyNumber_AsSsize_t(maxlength, NULL); /* what is beyond the range is no limit */
        if (most == -1 && PyErr_Occurred())
                return NULL;
        if (!enter(self, TO_READ))
                return NULL;
        leave(self);
        if (most < 0) {
                PyErr_SetString(PyExc_ValueError, "negative maxlength");
                return NULL;
        }
        return receive(self, load_bytes, &most);
}

static PyObject *load_into(struct channel_object *channel, struct skep_loan *loan, void *context)
{
        Py_buffer *target = context;
        PyObject *bytes = NULL;
        const void *data = loan->data;
        size_t length = loan->bytes;

        if (loan->kind == SKEP_MESSAGE_ARRAY || length > (size_t)target->len) {
                bytes = message_bytes(channel, loan);
                if (!bytes)
                        return NULL;
                data = PyBytes_AS_STRING(bytes);
                length = (size_t)PyBytes_GET_SIZE(bytes);
        }
        if (length > (size_t)target->len) {
                PyErr_SetObject(channel->state->buffer_too_short, bytes);
                Py_XDECREF(bytes);
                return NULL;
        }
        copy_bytes(target->buf, data, length);
        Py_XDECREF(bytes);
        return PyLong_FromSize_t(length);
}

PyDoc_STRVAR(recv_bytes_into_doc, "recv_bytes_into(buf, offset=0)\n--\n\n"
                                  "Wait for a message, put its bytes into a writable buffer; how many.  BufferTooShort: the message is its argument.");
static PyObject *channel_recv_bytes_into(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"buf", "offset", NULL};
        PyObject *result = NULL;
        Py_ssize_t offset = 0;
        Py_buffer whole, part;

        if (!enter(self, TO_READ))
                return NULL;
        if (PyArg_ParseTupleAndKeywords(args, kwargs, "w*|n:recv_bytes_into", keywords, &whole, &offset)) {
                if (offset < 0)
                        PyErr_SetString(PyExc_ValueError, "negative offset");
                else if (offset > whole.len)
                        PyErr_SetString(PyExc_ValueError, "offset too large");
                else if (part_of(&whole, offset, Py_None, &part) == 0)
                        result = receive(self, load_into, &part);
                PyBuffer_Release(&whole);
        }
        leave(self);
        return result;
}

/* --- wait ------------------------------------------------------------------------------------------------------------------------ */

static int attempt_poll(void *queue, skep_deadline deadline)
{
        return skep_queue_poll(queue, deadline);
}

PyDoc_STRVAR(poll_doc, "poll(timeout=0.0)\n--\n\n"
                       "Whether there is something to receive, be it the end of file; waits at most timeout seconds (None: for ever).");
static PyObject *channel_poll(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"timeout", NULL};
        PyObject *timeout = NULL;
        struct patience patience = {.deadline = skep_nowait()};
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:poll", keywords, &timeout) || !enter(self, TO_READ))
                return NULL;
        if (timeout && patience_from(NULL, timeout, &patience) < 0)
                result = WAIT_RAISED;
        else
                result = wait_open(as_channel(self), attempt_poll, as_channel(self)->reads, &patience);
        leave(self);
        if (result == 0 || result == -ETIMEDOUT)
                return PyBool_FromLong(result == 0);
        return raise_failed(as_channel(self), result);
}

PyDoc_STRVAR(fileno_doc, "fileno()\n--\n\n"
                         "Descriptor for select or poll, readable while there is something to receive.  Made when first asked for.\n"
                         "It may be readable once too often, when another process was quicker: poll() tells.");
static PyObject *channel_fileno(PyObject *self, PyObject *unused)
{
        struct channel_object *channel = as_channel(self);
        int fd;

        (void)unused;
        if (!enter(self, ANY_WAY))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        fd = skep_queue_fd(channel->reads ? channel->reads : channel->writes);
        /* Who calls fileno() is about to poll: a look at the empty queue makes the descriptor tell the truth. */
        if (fd >= 0 && channel->reads && skep_queue_poll(channel->reads, skep_nowait()) == -EBADMSG)
                fd = -EBADMSG;
        Py_END_ALLOW_THREADS
        leave(self);
        return fd < 0 ? raise_result(channel->state, fd, NULL, 0) : PyLong_FromLong(fd);
}

struct any_context {
        skep_queue **queues;
        size_t count;
};

static int attempt_any(void *pointer, skep_deadline deadline)
{
        struct any_context *context = pointer;

        return skep_queue_poll_any(context->queues, context->count, deadline);
}

/* The queue that a Connection or a Queue is read from; a Connection is entered. @return NULL: neither, or with an exception */
static skep_queue *readable_queue(struct core_state *state, PyObject *object)
{
        if (PyObject_TypeCheck(object, state->queue_type))
                return ((struct queue_object *)object)->queue;
        if (!PyObject_TypeCheck(object, state->channel_type) || !enter(object, TO_READ))
                return NULL;
        return as_channel(object)->reads;
}

PyObject *channel_poll_any(PyObject *module, PyObject *args)
{
        struct core_state *state = state_of_module(module);
        struct patience patience;
        struct any_context context = {0};
        PyObject *objects, *timeout;
        Py_ssize_t count;
        int result = -ENOTSUP;

        if (!PyArg_ParseTuple(args, "O!O:poll_any", &PyTuple_Type, &objects, &timeout) || patience_from(NULL, timeout, &patience) < 0)
                return NULL;
        count = PyTuple_GET_SIZE(objects);
        context.queues = PyMem_New(skep_queue *, count ? (size_t)count : 1);
        if (!context.queues)
                return PyErr_NoMemory();
        while (context.count < (size_t)count) {
                skep_queue *queue = readable_queue(state, PyTuple_GET_ITEM(objects, (Py_ssize_t)context.count));

                if (!queue)
                        break;
                context.queues[context.count++] = queue;
        }
        if (context.count == (size_t)count)
                result = wait_for(attempt_any, &context, &patience, false);
        for (size_t i = 0; i < context.count; i++)
                if (PyObject_TypeCheck(PyTuple_GET_ITEM(objects, (Py_ssize_t)i), state->channel_type))
                        leave(PyTuple_GET_ITEM(objects, (Py_ssize_t)i));
        PyMem_Free(context.queues);
        if (PyErr_Occurred())
                return NULL;
        if (result == 0 || result == -ETIMEDOUT)
                return PyBool_FromLong(result == 0);
        if (result == -ENOTSUP || result == -E2BIG || result == -EINVAL)
                Py_RETURN_NONE;
        return raise_result(state, result, NULL, 0);
}

/* --- looking ----------------------------------------------------------------------------------------------------------------------- */

static PyObject *channel_get_closed(PyObject *self, void *unused)
{
        (void)unused;
        return PyBool_FromLong(as_channel(self)->closed || !as_channel(self)->end);
}

static PyObject *channel_get_readable(PyObject *self, void *unused)
{
        (void)unused;
        return PyBool_FromLong(as_channel(self)->reads && !as_channel(self)->spoilt);
}

static PyObject *channel_get_writable(PyObject *self, void *unused)
{
        (void)unused;
        return PyBool_FromLong(as_channel(self)->writes != NULL);
}

static PyObject *channel_get_reference(PyObject *self, void *unused)
{
        skep_block block;

        (void)unused;
        if (!enter(self, ANY_WAY))
                return NULL;
        block = skep_channel_reference(as_channel(self)->end);
        leave(self);
        return Py_BuildValue("(KK)", (unsigned long long)block.offset, (unsigned long long)block.serial);
}

static PyObject *channel_get_hive(PyObject *self, void *unused)
{
        (void)unused;
        Py_INCREF(as_channel(self)->hive);
        return as_channel(self)->hive;
}

#define WITH_KEYWORDS(function) ((PyCFunction)(void (*)(void))(function)), METH_VARARGS | METH_KEYWORDS

static PyMethodDef channel_methods[] = {
        {"pair", channel_pair, METH_VARARGS | METH_CLASS, pair_doc},
        {"attach", channel_attach, METH_VARARGS | METH_CLASS, attach_doc},
        {"send", FAST(channel_send), send_doc},
        {"send_bytes", WITH_KEYWORDS(channel_send_bytes), send_bytes_doc},
        {"recv", channel_recv, METH_NOARGS, recv_doc},
        {"recv_bytes", WITH_KEYWORDS(channel_recv_bytes), recv_bytes_doc},
        {"recv_bytes_into", WITH_KEYWORDS(channel_recv_bytes_into), recv_bytes_into_doc},
        {"poll", WITH_KEYWORDS(channel_poll), poll_doc},
        {"fileno", channel_fileno, METH_NOARGS, fileno_doc},
        {"close", channel_close, METH_NOARGS, close_doc},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef channel_getset[] = {
        {"closed", channel_get_closed, NULL, "Whether close() was called.", NULL},
        {"readable", channel_get_readable, NULL, "Whether this end receives.", NULL},
        {"writable", channel_get_writable, NULL, "Whether this end sends.", NULL},
        {"reference", channel_get_reference, NULL, "(offset, serial) of the end in its hive.", NULL},
        {"hive", channel_get_hive, NULL, "The hive that the channel lies in.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(channel_doc, "One end of a channel.  Made by pair() or attach().");

static PyType_Slot channel_slots[] = {
        {Py_tp_doc, (void *)channel_doc},
        {Py_tp_dealloc, (void *)channel_dealloc},
        {Py_tp_methods, channel_methods},
        {Py_tp_getset, channel_getset},
        {0, NULL},
};

PyType_Spec channel_spec = {
        .name = "skep._core.Connection",
        .basicsize = sizeof(struct channel_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = channel_slots,
};
