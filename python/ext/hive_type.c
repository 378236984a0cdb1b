/* SPDX-License-Identifier: Apache-2.0 */
/* hive_type.c - skep._core.Hive: membership in one hive */
#include "state.h"

#include <errno.h>

static struct hive_object *as_hive(PyObject *self)
{
        return (struct hive_object *)self;
}

skep_hive *hive_handle(struct core_state *state, PyObject *hive)
{
        if (!PyObject_TypeCheck(hive, state->hive_type)) {
                PyErr_Format(PyExc_TypeError, "a skep Hive is needed, not %.100s", Py_TYPE(hive)->tp_name);
                return NULL;
        }
        if (!as_hive(hive)->hive)
                PyErr_SetString(PyExc_ValueError, "the hive is closed");
        return as_hive(hive)->hive;
}

static skep_hive *own_handle(PyObject *self)
{
        if (!as_hive(self)->hive)
                PyErr_SetString(PyExc_ValueError, "the hive is closed");
        return as_hive(self)->hive;
}

static PyObject *hive_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
        struct core_state *state = state_of_type(type);
        PyObject *self;

        (void)args;
        (void)kwargs;
        if (!state)
                return NULL;
        self = type->tp_alloc(type, 0);
        if (self)
                as_hive(self)->state = state;
        return self;
}

static void hive_dealloc(PyObject *self)
{
        PyTypeObject *type = Py_TYPE(self);

        /* Queues and arrays own this object, so none of their handles is left. */
        skep_hive_detach(as_hive(self)->hive);
        skep_hive_detach(as_hive(self)->left);
        type->tp_free(self);
        Py_DECREF(type);
}

/* An instance of @type, which may be a Python subclass, without a handle yet. */
static PyObject *hive_blank(PyObject *type)
{
        return PyObject_CallObject(type, NULL);
}

PyDoc_STRVAR(create_doc, "create(name=None, capacity=0, persistent=False, warm=0, member_max=0)\n--\n\n"
                         "Make a hive and join it.  capacity and warm are bytes; 0 is the default.\n"
                         "FileExistsError: a hive of that name lives or is persistent.");
static PyObject *hive_create(PyObject *type, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"name", "capacity", "persistent", "warm", "member_max", NULL};
        struct skep_hive_options options = {.options_bytes = sizeof(options)};
        unsigned long long capacity = 0, warm = 0;
        unsigned int member_max = 0;
        int persistent = 0, result;
        PyObject *self;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|zKpKI:create", keywords, &options.name, &capacity, &persistent, &warm, &member_max))
                return NULL;
        options.capacity_bytes = capacity;
        options.warm_max_bytes = warm;
        options.member_max = member_max;
        options.flags = persistent ? SKEP_HIVE_PERSISTENT : 0;
        self = hive_blank(type);
        if (!self)
                return NULL;
        result = skep_hive_create(&options, &as_hive(self)->hive);
        if (result < 0) {
                raise_result(as_hive(self)->state, result, NULL, capacity);
                Py_CLEAR(self);
        }
        return self;
}

PyDoc_STRVAR(attach_doc, "attach(fd)\n--\n\nJoin the hive behind a descriptor; fd stays the caller's.  HiveError: it is none.");
static PyObject *hive_attach(PyObject *type, PyObject *fd_object)
{
        int fd = PyObject_AsFileDescriptor(fd_object);
        int result;
        PyObject *self;

        if (fd < 0)
                return NULL;
        self = hive_blank(type);
        if (!self)
                return NULL;
        result = skep_hive_attach(fd, &as_hive(self)->hive);
        if (result < 0) {
                raise_result(as_hive(self)->state, result, NULL, 0);
                Py_CLEAR(self);
        }
        return self;
}

PyDoc_STRVAR(open_doc, "open(name)\n--\n\nJoin a named hive.  FileNotFoundError: there is none of that name.");
static PyObject *hive_open(PyObject *type, PyObject *name)
{
        const char *text = PyUnicode_AsUTF8(name);
        int result;
        PyObject *self;

        if (!text)
                return NULL;
        self = hive_blank(type);
        if (!self)
                return NULL;
        result = skep_hive_open(text, &as_hive(self)->hive);
        if (result < 0) {
                raise_result(as_hive(self)->state, result, NULL, 0);
                Py_CLEAR(self);
        }
        return self;
}

struct connecting {
        const char *address;
        const struct skep_connection_options *options;
        skep_hive *hive;
};

static int attempt_connect(void *pointer, skep_deadline deadline)
{
        struct connecting *connecting = pointer;

        return skep_hive_connect(connecting->address, connecting->options, &connecting->hive, deadline);
}

PyDoc_STRVAR(connect_doc, "connect(address, authkey, timeout=None)\n--\n\n"
                          "The hive of another machine.  authkey None: a unix socket of the same user, not encrypted.\n"
                          "PermissionError: the keys differ.  ConnectionError: nobody listens there.  TimeoutError.");
static PyObject *hive_connect(PyObject *type, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"address", "authkey", "timeout", NULL};
        struct skep_connection_options options = {.options_bytes = sizeof(options)};
        struct connecting connecting = {.options = &options};
        struct patience patience;
        PyObject *authkey, *timeout = NULL, *self;
        Py_ssize_t bytes = 0;
        char *key = NULL;
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sO|O:connect", keywords, &connecting.address, &authkey, &timeout))
                return NULL;
        if (authkey != Py_None && PyBytes_AsStringAndSize(authkey, &key, &bytes) < 0)
                return NULL;
        options.authkey = key;
        options.authkey_bytes = (size_t)bytes;
        options.flags = key ? 0 : SKEP_CONNECTION_PLAIN;
        if (patience_from(NULL, timeout, &patience) < 0)
                return NULL;
        self = hive_blank(type);
        if (!self)
                return NULL;
        result = wait_without_gil(attempt_connect, &connecting, patience.deadline);
        as_hive(self)->hive = connecting.hive;
        as_hive(self)->is_remote = true;
        if (result == WAIT_RAISED) {
                Py_CLEAR(self);
        } else if (result < 0) {
                if (result == -EINVAL)
                        PyErr_SetString(PyExc_ValueError, "an address is tcp://HOST:PORT, tcp://[IPV6]:PORT, unix:PATH or unix:@NAME, "
                                                          "and a key has a byte or more");
                else if (result == -ENOSYS)
                        PyErr_SetString(PyExc_NotImplementedError, "skep was built without the network part, or OpenSSL is not installed");
                else
                        raise_result(as_hive(self)->state, result, NULL, 0);
                Py_CLEAR(self);
        }
        return self;
}

static int attempt_reconnect(void *hive, skep_deadline deadline)
{
        return skep_hive_reconnect(hive, deadline);
}

PyDoc_STRVAR(reconnect_doc, "reconnect(timeout=None)\n--\n\n"
                            "Connect again to the same server, also in a forked child.  Objects go on as far as they are there; nothing is held.");
static PyObject *hive_reconnect(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        struct patience patience = {.deadline = skep_forever(), .blocks = true};
        skep_hive *hive = own_handle(self);
        int result;

        if (!hive || ((count || names) && parse_timeout(as_hive(self)->state, "reconnect", args, count, names, &patience) < 0))
                return NULL;
        result = wait_without_gil(attempt_reconnect, hive, patience.deadline);
        if (result == 0)
                Py_RETURN_NONE;
        if (result != -EINVAL)
                return raise_result(as_hive(self)->state, result, NULL, 0);
        PyErr_SetString(PyExc_ValueError, "the hive is of this machine");
        return NULL;
}

PyDoc_STRVAR(close_doc, "close()\n--\n\n"
                        "Leave the hive, at the latest moment: when the last queue and array of this process that live in it are gone.");
static PyObject *hive_close(PyObject *self, PyObject *unused)
{
        struct hive_object *hive = as_hive(self);

        (void)unused;
        if (hive->hive) {
                hive->left = hive->hive;
                hive->hive = NULL;
        }
        Py_RETURN_NONE;
}

PyDoc_STRVAR(reap_doc, "reap()\n--\n\nRecover on behalf of dead members; what was done, as a dict of counts.");
static PyObject *hive_reap(PyObject *self, PyObject *unused)
{
        struct skep_reap_report report = {0};
        skep_hive *hive = own_handle(self);
        int result;

        (void)unused;
        if (!hive)
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        result = skep_hive_reap(hive, &report);
        Py_END_ALLOW_THREADS
        if (result < 0)
                return raise_result(as_hive(self)->state, result, hive, 0);
        return Py_BuildValue("{s:I,s:I,s:K,s:K}", "members", report.members, "agents", report.agents, "slots",
                             (unsigned long long)report.slots, "blocks", (unsigned long long)report.blocks);
}

PyDoc_STRVAR(verify_doc, "verify()\n--\n\n"
                         "Check every structure, change nothing: {'checked', 'problems', 'first'}.  Exact only while nobody else is at work.");
static PyObject *hive_verify(PyObject *self, PyObject *unused)
{
        struct skep_verify_report report = {0};
        skep_hive *hive = own_handle(self);
        int result;

        (void)unused;
        if (!hive)
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        result = skep_hive_verify(hive, &report);
        Py_END_ALLOW_THREADS
        if (result < 0 && result != -EBADMSG)
                return raise_result(as_hive(self)->state, result, hive, 0);
        report.first[sizeof(report.first) - 1] = 0;
        return Py_BuildValue("{s:K,s:K,s:s}", "checked", (unsigned long long)report.checked, "problems",
                             (unsigned long long)report.problems, "first", report.first);
}

PyDoc_STRVAR(stat_doc, "stat()\n--\n\nFigures of the hive as a dict.  Walks over its blocks.");
static PyObject *hive_stat(PyObject *self, PyObject *unused)
{
        struct skep_hive_stat stat = {0};
        skep_hive *hive = own_handle(self);
        int result;

        (void)unused;
        if (!hive)
                return NULL;
        result = skep_hive_stat(hive, &stat);
        if (result < 0)
                return raise_result(as_hive(self)->state, result, NULL, 0);
        return Py_BuildValue("{s:K,s:K,s:K,s:K,s:I,s:I,s:I,s:I,s:I,s:I}",
                             "capacity_bytes", (unsigned long long)stat.capacity_bytes,
                             "committed_bytes", (unsigned long long)stat.committed_bytes,
                             "used_bytes", (unsigned long long)stat.used_bytes,
                             "blocks", (unsigned long long)stat.blocks,
                             "members", stat.members, "member_max", stat.member_max,
                             "agents", stat.agents, "agent_max", stat.agent_max,
                             "queues", stat.queues, "names", stat.names);
}

static int collect_name(const struct skep_object_entry *entry, void *list)
{
        PyObject *pair = Py_BuildValue("(ss)", entry->name, entry->kind);
        int failed = !pair || PyList_Append(list, pair) < 0;

        Py_XDECREF(pair);
        return failed;
}

PyDoc_STRVAR(names_doc, "names()\n--\n\nThe named objects of the hive, as a list of (name, kind).");
static PyObject *hive_names(PyObject *self, PyObject *unused)
{
        skep_hive *hive = own_handle(self);
        PyObject *list;
        int result;

        (void)unused;
        if (!hive)
                return NULL;
        list = PyList_New(0);
        if (!list)
                return NULL;
        result = skep_hive_names(hive, collect_name, list);
        if (result != 0) {
                Py_DECREF(list);
                return result < 0 ? raise_result(as_hive(self)->state, result, hive, 0) : NULL;
        }
        return list;
}

PyDoc_STRVAR(forget_doc, "forget(name)\n--\n\nRemove the name of an object, and the claim that the name holds on it.");
static PyObject *hive_forget(PyObject *self, PyObject *name)
{
        skep_hive *hive = own_handle(self);
        const char *text = hive ? PyUnicode_AsUTF8(name) : NULL;
        int result;

        if (!text)
                return NULL;
        ASK(self, result, skep_hive_forget(hive, text));
        if (result < 0)
                return raise_result(as_hive(self)->state, result, hive, 0);
        Py_RETURN_NONE;
}

static PyObject *hive_get_fd(PyObject *self, void *unused)
{
        skep_hive *hive = own_handle(self);

        (void)unused;
        return hive ? PyLong_FromLong(skep_hive_fd(hive)) : NULL;
}

static PyObject *hive_get_member(PyObject *self, void *unused)
{
        skep_hive *hive = own_handle(self);

        (void)unused;
        return hive ? PyLong_FromUnsignedLong(skep_hive_member(hive)) : NULL;
}

static PyObject *hive_get_is_remote(PyObject *self, void *unused)
{
        (void)unused;
        return PyBool_FromLong(hive_is_remote(self));
}

static PyObject *hive_get_closed(PyObject *self, void *unused)
{
        (void)unused;
        return PyBool_FromLong(!as_hive(self)->hive);
}

static PyMethodDef hive_methods[] = {
        {"create", (PyCFunction)(void (*)(void))hive_create, METH_VARARGS | METH_KEYWORDS | METH_CLASS, create_doc},
        {"attach", hive_attach, METH_O | METH_CLASS, attach_doc},
        {"open", hive_open, METH_O | METH_CLASS, open_doc},
        {"connect", (PyCFunction)(void (*)(void))hive_connect, METH_VARARGS | METH_KEYWORDS | METH_CLASS, connect_doc},
        {"reconnect", FAST(hive_reconnect), reconnect_doc},
        {"close", hive_close, METH_NOARGS, close_doc},
        {"reap", hive_reap, METH_NOARGS, reap_doc},
        {"verify", hive_verify, METH_NOARGS, verify_doc},
        {"stat", hive_stat, METH_NOARGS, stat_doc},
        {"names", hive_names, METH_NOARGS, names_doc},
        {"forget", hive_forget, METH_O, forget_doc},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef hive_getset[] = {
        {"fd", hive_get_fd, NULL, "Descriptor of the hive, close-on-exec; the hive's own.", NULL},
        {"member", hive_get_member, NULL, "Index of this process in the member table.", NULL},
        {"closed", hive_get_closed, NULL, "Whether close() was called.", NULL},
        {"is_remote", hive_get_is_remote, NULL, "Whether it is another machine's.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(hive_doc, "Membership in a hive, one region of shared memory.  Made by create(), attach() or open().");

static PyType_Slot hive_slots[] = {
        {Py_tp_doc, (void *)hive_doc},
        {Py_tp_new, (void *)hive_new},
        {Py_tp_dealloc, (void *)hive_dealloc},
        {Py_tp_methods, hive_methods},
        {Py_tp_getset, hive_getset},
        {0, NULL},
};

PyType_Spec hive_spec = {
        .name = "skep._core.Hive",
        .basicsize = sizeof(struct hive_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = hive_slots,
};
