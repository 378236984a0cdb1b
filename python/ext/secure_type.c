/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secure_type.c - skep._core.SecureConnection: messages over a socket, encrypted (skep/connection.h)
 *
 * Before a receiver sleeps it looks for spin_ns: doubled when it paid, halved when not, and tried at length now and then, as in queues.
 */
#include "state.h"

#include <errno.h>
#include <sched.h>

#define SPIN_NS_MAX INT64_C(200000)
#define SPIN_NS_MIN INT64_C(500)
#define SPIN_RETRY 64u
#define MESSAGE_BYTES_MAX ((uint64_t)1 << 40)
#define SMALL_BYTES 4096

struct secure_object {
        PyObject_HEAD
        struct core_state *state;
        skep_connection *connection; /* NULL after close(), when nobody is in a call */
        int64_t spin_ns;             /* how long it has paid lately */
        unsigned waits;
        unsigned users;              /* threads in a call */
        bool closed;
};

static struct secure_object *as_secure(PyObject *self)
{
        return (struct secure_object *)self;
}

static void secure_release(struct secure_object *secure)
{
        skep_connection *connection = secure->connection;

        secure->connection = NULL;
        if (!connection)
                return;
        Py_BEGIN_ALLOW_THREADS
        skep_connection_close(connection);
        Py_END_ALLOW_THREADS
}

/* Begin a call. @return the handle, NULL with OSError */
static skep_connection *enter(PyObject *self)
{
        struct secure_object *secure = as_secure(self);

        if (secure->closed || !secure->connection) {
                PyErr_SetString(PyExc_OSError, "handle is closed");
                return NULL;
        }
        secure->users++;
        return secure->connection;
}

static void leave(PyObject *self)
{
        struct secure_object *secure = as_secure(self);

        if (--secure->users == 0 && secure->closed)
                secure_release(secure);
}

static void *raise_failed(struct core_state *state, int result)
{
        PyObject *arguments;

        switch (result) {
        case -ENOSYS:
                PyErr_SetString(PyExc_NotImplementedError, "OpenSSL is not there, or skep was built without it");
                break;
        case -ECONNRESET:
                PyErr_SetNone(PyExc_EOFError);
                break;
        case -EPROTO:
                arguments = Py_BuildValue("(is)", EPROTO, skep_strerror(result));
                if (arguments)
                        PyErr_SetObject(PyExc_OSError, arguments);
                Py_XDECREF(arguments);
                break;
        default:
                raise_result(state, result, NULL, 0);
        }
        return NULL;
}

/* --- handshake ----------------------------------------------------------------------------------------------------------------- */

struct handshake {
        int fd;
        bool server;
        Py_buffer authkey;
        skep_connection *connection;
};

static int attempt_handshake(void *pointer, skep_deadline deadline)
{
        struct handshake *handshake = pointer;

        return skep_connection_from_fd(handshake->fd, handshake->server ? SKEP_CONNECTION_SERVER : SKEP_CONNECTION_CLIENT,
                                       SKEP_CONNECTION_OPTIONS(.authkey = handshake->authkey.buf, .authkey_bytes = (size_t)handshake->authkey.len,
                                                               .message_max_bytes = MESSAGE_BYTES_MAX),
                                       &handshake->connection, deadline);
}

PyDoc_STRVAR(secure_doc, "SecureConnection(fd, server, authkey, timeout)\n--\n\n"
                         "Shake hands over a connected socket, which is taken.  PermissionError: the keys differ.");
static PyObject *secure_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"fd", "server", "authkey", "timeout", NULL};
        struct handshake handshake = {.fd = -1};
        struct core_state *state = state_of_type(type);
        struct patience patience;
        struct secure_object *secure;
        PyObject *timeout;
        int server, result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ipy*O:SecureConnection", keywords, &handshake.fd, &server, &handshake.authkey, &timeout))
                return NULL;
        handshake.server = server;
        result = patience_from(NULL, timeout, &patience) < 0 ? WAIT_RAISED : wait_without_gil(attempt_handshake, &handshake, patience.deadline);
        PyBuffer_Release(&handshake.authkey);
        if (result < 0)
                return raise_failed(state, result);
        secure = (struct secure_object *)type->tp_alloc(type, 0);
        if (!secure) {
                skep_connection_close(handshake.connection);
                return NULL;
        }
        secure->state = state;
        secure->spin_ns = SPIN_NS_MAX / 4;
        secure->connection = handshake.connection;
        return (PyObject *)secure;
}

static void secure_dealloc(PyObject *self)
{
        PyTypeObject *type = Py_TYPE(self);

        secure_release(as_secure(self));
        type->tp_free(self);
        Py_DECREF(type);
}

PyDoc_STRVAR(available_doc, "available()\n--\n\nWhether there is OpenSSL.");
static PyObject *secure_available(PyObject *type, PyObject *unused)
{
        struct handshake handshake = {.fd = -1, .authkey = {.buf = "x", .len = 1}};

        (void)type, (void)unused;
        return PyBool_FromLong(attempt_handshake(&handshake, skep_nowait()) != -ENOSYS);
}

/* --- send ---------------------------------------------------------------------------------------------------------------------- */

#define PARTS_MAX 64

struct sending {
        skep_connection *connection;
        struct skep_bytes parts[PARTS_MAX];
        size_t count;
};

static int attempt_send(void *pointer, skep_deadline deadline)
{
        const struct sending *sending = pointer;

        return skep_connection_send(sending->connection, sending->parts, sending->count, deadline);
}

PyDoc_STRVAR(send_doc, "send(*parts)\n--\n\n"
                       "Send a message, buffers one behind the other, at most 64.  BrokenPipeError: the peer has gone.\n"
                       "Waits while the peer does not read; an exception meanwhile ends the connection.");
static PyObject *secure_send(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        struct sending sending = {.count = 0};
        Py_buffer views[PARTS_MAX];
        int result = WAIT_RAISED;

        if (count > PARTS_MAX)
                return PyErr_Format(PyExc_ValueError, "%zd parts are more than %d", count, PARTS_MAX);
        if (!(sending.connection = enter(self)))
                return NULL;
        for (; sending.count < (size_t)count; sending.count++) {
                if (PyObject_GetBuffer(args[sending.count], &views[sending.count], PyBUF_SIMPLE) < 0)
                        break;
                sending.parts[sending.count] = (struct skep_bytes){views[sending.count].buf, (size_t)views[sending.count].len};
        }
        if (sending.count == (size_t)count)
                result = wait_without_gil(attempt_send, &sending, skep_forever());
        while (sending.count)
                PyBuffer_Release(&views[--sending.count]);
        leave(self);
        if (result == 0)
                Py_RETURN_NONE;
        return raise_failed(as_secure(self)->state, result);
}

/* --- receive ------------------------------------------------------------------------------------------------------------------- */

struct receiving {
        skep_connection *connection;
        struct secure_object *secure;
        size_t bytes;
        char small[SMALL_BYTES];
};

static int64_t now_ns(void)
{
        return skep_within_ns(1).monotonic_ns;
}

static int receive_small(struct receiving *receiving, skep_deadline deadline)
{
        return skep_connection_receive(receiving->connection, receiving->small, sizeof receiving->small, &receiving->bytes, deadline);
}

static int attempt_receive(void *pointer, skep_deadline deadline)
{
        struct receiving *receiving = pointer;
        int64_t *spin_ns = &receiving->secure->spin_ns, budget = *spin_ns, end;
        int result = receive_small(receiving, skep_nowait());

        if (result != -ETIMEDOUT)
                return result;
        if (++receiving->secure->waits % SPIN_RETRY == 0 && budget < SPIN_NS_MAX / 4)
                budget = SPIN_NS_MAX / 4;
        end = now_ns() + budget;
        while (now_ns() < end) {
                sched_yield(); /* to whom we wait for, perhaps */
                result = receive_small(receiving, skep_nowait());
                if (result != -ETIMEDOUT) {
                        *spin_ns = 2 * budget < SPIN_NS_MAX ? 2 * budget : SPIN_NS_MAX;
                        return result;
                }
        }
        *spin_ns = budget / 2 > SPIN_NS_MIN ? budget / 2 : SPIN_NS_MIN;
        return receive_small(receiving, deadline);
}

struct large {
        skep_connection *connection;
        void *buffer;
        size_t bytes;
};

static int attempt_large(void *pointer, skep_deadline deadline)
{
        struct large *large = pointer;

        return skep_connection_receive(large->connection, large->buffer, large->bytes, &large->bytes, deadline);
}

static PyObject *received(struct secure_object *secure, int result, const struct receiving *receiving)
{
        struct large large = {.connection = receiving->connection, .bytes = receiving->bytes};
        PyObject *bytes;

        if (result == 0)
                return PyByteArray_FromStringAndSize(receiving->small, (Py_ssize_t)receiving->bytes);
        if (result != -EMSGSIZE)
                return raise_failed(secure->state, result);
        bytes = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)receiving->bytes);
        if (!bytes)
                return NULL;
        large.buffer = PyByteArray_AS_STRING(bytes);
        result = wait_without_gil(attempt_large, &large, skep_forever());
        if (result == 0)
                return bytes;
        Py_DECREF(bytes);
        return raise_failed(secure->state, result);
}

PyDoc_STRVAR(recv_doc, "recv()\n--\n\nWait for the next message, a bytearray.  EOFError: the peer has gone.");
static PyObject *secure_recv(PyObject *self, PyObject *unused)
{
        struct secure_object *secure = as_secure(self);
        struct receiving receiving;
        PyObject *bytes;
        int result;

        (void)unused;
        receiving.secure = secure;
        if (!(receiving.connection = enter(self)))
                return NULL;
        result = wait_without_gil(attempt_receive, &receiving, skep_forever());
        bytes = received(secure, result, &receiving);
        leave(self);
        return bytes;
}

/* --- the rest ------------------------------------------------------------------------------------------------------------------ */

PyDoc_STRVAR(close_doc, "close()\n--\n\nEnd the connection; threads that wait in a call on it get an exception.");
static PyObject *secure_close(PyObject *self, PyObject *unused)
{
        struct secure_object *secure = as_secure(self);

        (void)unused;
        if (!secure->closed && secure->connection) {
                secure->closed = true;
                if (secure->users)
                        skep_connection_shut(secure->connection);
                else
                        secure_release(secure);
        }
        Py_RETURN_NONE;
}

PyDoc_STRVAR(fileno_doc, "fileno()\n--\n\nThe socket's descriptor.");
static PyObject *secure_fileno(PyObject *self, PyObject *unused)
{
        skep_connection *connection = enter(self);
        int fd;

        (void)unused;
        if (!connection)
                return NULL;
        fd = skep_connection_fd(connection);
        leave(self);
        return PyLong_FromLong(fd);
}

static PyMethodDef secure_methods[] = {
        {"available", secure_available, METH_NOARGS | METH_CLASS, available_doc},
        {"send", (PyCFunction)(void (*)(void))secure_send, METH_FASTCALL, send_doc},
        {"recv", secure_recv, METH_NOARGS, recv_doc},
        {"close", secure_close, METH_NOARGS, close_doc},
        {"fileno", secure_fileno, METH_NOARGS, fileno_doc},
        {NULL, NULL, 0, NULL},
};

static PyType_Slot secure_slots[] = {
        {Py_tp_doc, (void *)secure_doc},
        {Py_tp_new, (void *)secure_new},
        {Py_tp_dealloc, (void *)secure_dealloc},
        {Py_tp_methods, secure_methods},
        {0, NULL},
};

PyType_Spec secure_spec = {
        .name = "skep._core.SecureConnection",
        .basicsize = sizeof(struct secure_object),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = secure_slots,
};
