/* SPDX-License-Identifier: Apache-2.0 */
/* barrier_type.c - skep._core.Barrier: a point that all parties must reach */
#include "state.h"

#include <errno.h>

SHARED_FUNCTIONS(barrier)
static const struct shared_kind barrier_kind = SHARED_KIND(barrier, "Barrier");
SHARED_CLASS_METHODS(barrier)

static int barrier_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"hive", "parties", "name", NULL};
        const char *name = NULL;
        Py_ssize_t parties;
        PyObject *hive;
        skep_hive *hive_of;
        skep_barrier *handle = NULL;
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "On|z:Barrier", keywords, &hive, &parties, &name) || !(hive_of = shared_init_hive(self, hive)))
                return -1;
        if (parties < 1 || parties > INT32_MAX) {
                PyErr_SetString(PyExc_ValueError, "parties must be > 0");
                return -1;
        }
        ASK(hive, result, skep_barrier_create(hive_of, name, (uint32_t)parties, &handle));
        return shared_adopt(self, &barrier_kind, hive, result, handle);
}

struct barrier_context {
        skep_barrier *barrier;
        PyObject *action; /* NULL: none */
        uint32_t index;
};

static int run_action(void *pointer)
{
        struct barrier_context *context = pointer;
        PyObject *returned;

        gil_take();
        returned = PyObject_CallNoArgs(context->action);
        Py_XDECREF(returned);
        gil_drop();
        return returned ? 0 : -EINTR;
}

static int attempt_wait(void *pointer, skep_deadline deadline)
{
        struct barrier_context *context = pointer;

        return skep_barrier_wait(context->barrier, context->action ? run_action : NULL, context, deadline, &context->index);
}

PyDoc_STRVAR(wait_doc, "wait(timeout=None, action=None)\n--\n\n"
                       "Wait for the others; the last to come runs action.  Returns 0 to parties - 1.  BrokenBarrierError: it broke, or is broken.");
static PyObject *barrier_wait(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"timeout", "action", NULL};
        struct core_state *state = as_shared(self)->state;
        struct barrier_context context = {.barrier = shared_handle(self)};
        PyObject *timeout = NULL, *action = Py_None;
        struct patience patience;
        int result;

        if (!context.barrier || !PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:wait", keywords, &timeout, &action) ||
            patience_from(NULL, timeout, &patience) < 0)
                return NULL;
        context.action = action == Py_None ? NULL : action;
        /* Not tried at once: who does not wait breaks the barrier. */
        result = wait_without_gil(attempt_wait, &context, patience.deadline);
        if (result == 0)
                return PyLong_FromUnsignedLong(context.index);
        if (result != -EPIPE && result != -ETIMEDOUT)
                return raise_result(state, result, NULL, 0);
        PyErr_SetNone(state->broken_barrier);
        return NULL;
}

/* Without the GIL: the barrier's lock may be held over another thread's action. */
#define BARRIER_CHANGE(verb) \
        static PyObject *barrier_##verb(PyObject *self, PyObject *unused) \
        { \
                void *handle = shared_handle(self); \
                int result; \
\
                (void)unused; \
                if (!handle) \
                        return NULL; \
                Py_BEGIN_ALLOW_THREADS \
                result = skep_barrier_##verb(handle); \
                Py_END_ALLOW_THREADS \
                if (result < 0) \
                        return raise_result(as_shared(self)->state, result, NULL, 0); \
                Py_RETURN_NONE; \
        }
BARRIER_CHANGE(abort)
BARRIER_CHANGE(reset)

static PyObject *barrier_get_parties(PyObject *self, void *unused)
{
        void *handle = shared_handle(self);

        (void)unused;
        return handle ? PyLong_FromUnsignedLong(skep_barrier_parties(handle)) : NULL;
}

static PyObject *barrier_get_waiting(PyObject *self, void *unused)
{
        void *handle = shared_handle(self);
        uint32_t count;

        (void)unused;
        if (!handle)
                return NULL;
        ASK(as_shared(self)->hive, count, skep_barrier_waiting(handle));
        return PyLong_FromUnsignedLong(count);
}

static PyObject *barrier_get_broken(PyObject *self, void *unused)
{
        void *handle = shared_handle(self);
        int result;

        (void)unused;
        if (!handle)
                return NULL;
        ASK(as_shared(self)->hive, result, skep_barrier_is_broken(handle));
        return PyBool_FromLong(result);
}

static PyMethodDef barrier_methods[] = {
        SHARED_METHODS(barrier),
        {"wait", (PyCFunction)(void (*)(void))barrier_wait, METH_VARARGS | METH_KEYWORDS, wait_doc},
        {"abort", barrier_abort, METH_NOARGS, "abort()\n--\n\nBreak it: who waits, or comes, gets BrokenBarrierError."},
        {"reset", barrier_reset, METH_NOARGS, "reset()\n--\n\nMake it whole and empty; who waits gets BrokenBarrierError."},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef barrier_getset[] = {
        SHARED_ATTRIBUTES,
        {"parties", barrier_get_parties, NULL, "How many must come.", NULL},
        {"n_waiting", barrier_get_waiting, NULL, "How many wait now.", NULL},
        {"broken", barrier_get_broken, NULL, "Whether it is broken.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(barrier_doc, "Barrier(hive, parties, name=None)\n--\n\nA barrier in a hive.");

static PyType_Slot barrier_slots[] = {
        {Py_tp_doc, (void *)barrier_doc},
        {Py_tp_new, (void *)shared_new},
        {Py_tp_init, (void *)barrier_init},
        {Py_tp_dealloc, (void *)shared_dealloc},
        {Py_tp_methods, barrier_methods},
        {Py_tp_getset, barrier_getset},
        {0, NULL},
};

PyType_Spec barrier_spec = {
        .name = "skep._core.Barrier",
        .basicsize = sizeof(struct shared_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = barrier_slots,
};
