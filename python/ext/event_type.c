/* SPDX-License-Identifier: Apache-2.0 */
/* event_type.c - skep._core.Event: a flag to wait for */
#include "state.h"

#include <errno.h>

SHARED_FUNCTIONS(event)
static const struct shared_kind event_kind = SHARED_KIND(event, "Event");
SHARED_CLASS_METHODS(event)

static int event_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"hive", "name", NULL};
        const char *name = NULL;
        PyObject *hive;
        skep_hive *hive_of;
        skep_event *handle = NULL;
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|z:Event", keywords, &hive, &name) || !(hive_of = shared_init_hive(self, hive)))
                return -1;
        ASK(hive, result, skep_event_create(hive_of, name, &handle));
        return shared_adopt(self, &event_kind, hive, result, handle);
}

static PyObject *event_is_set(PyObject *self, PyObject *unused)
{
        void *handle = shared_handle(self);
        int result;

        (void)unused;
        if (!handle)
                return NULL;
        ASK(as_shared(self)->hive, result, skep_event_is_set(handle));
        return PyBool_FromLong(result);
}

static PyObject *event_change(PyObject *self, int (*change)(skep_event *event))
{
        void *handle = shared_handle(self);
        int result;

        if (!handle)
                return NULL;
        ASK(as_shared(self)->hive, result, change(handle));
        if (result < 0)
                return raise_result(as_shared(self)->state, result, NULL, 0);
        Py_RETURN_NONE;
}

static PyObject *event_set(PyObject *self, PyObject *unused)
{
        (void)unused;
        return event_change(self, skep_event_set);
}

static PyObject *event_clear(PyObject *self, PyObject *unused)
{
        (void)unused;
        return event_change(self, skep_event_clear);
}

static int attempt_wait(void *handle, skep_deadline deadline)
{
        return skep_event_wait(handle, deadline);
}

PyDoc_STRVAR(wait_doc, "wait(timeout=None)\n--\n\nWait until it is set, or has been since the call; False: the time ran out.");
static PyObject *event_wait(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        struct patience patience = {.deadline = skep_forever(), .blocks = true};
        void *handle = shared_handle(self);
        int result;

        if (!handle || ((count || names) && parse_timeout(as_shared(self)->state, "wait", args, count, names, &patience) < 0))
                return NULL;
        result = wait_for(attempt_wait, handle, &patience, hive_is_remote(as_shared(self)->hive));
        if (result == 0)
                Py_RETURN_TRUE;
        if (result == -ETIMEDOUT)
                Py_RETURN_FALSE;
        return raise_result(as_shared(self)->state, result, NULL, 0);
}

static PyMethodDef event_methods[] = {
        SHARED_METHODS(event),
        {"is_set", event_is_set, METH_NOARGS, "is_set()\n--\n\nWhether it is set."},
        {"set", event_set, METH_NOARGS, "set()\n--\n\nSet it and wake all who wait."},
        {"clear", event_clear, METH_NOARGS, "clear()\n--\n\nClear it."},
        {"wait", FAST(event_wait), wait_doc},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef event_getset[] = {
        SHARED_ATTRIBUTES,
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(event_doc, "Event(hive, name=None)\n--\n\nAn event in a hive, not set.");

static PyType_Slot event_slots[] = {
        {Py_tp_doc, (void *)event_doc},
        {Py_tp_new, (void *)shared_new},
        {Py_tp_init, (void *)event_init},
        {Py_tp_dealloc, (void *)shared_dealloc},
        {Py_tp_methods, event_methods},
        {Py_tp_getset, event_getset},
        {0, NULL},
};

PyType_Spec event_spec = {
        .name = "skep._core.Event",
        .basicsize = sizeof(struct shared_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = event_slots,
};
