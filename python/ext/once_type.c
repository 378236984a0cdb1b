/* SPDX-License-Identifier: Apache-2.0 */
/* once_type.c - skep._core.Once: what only one of all threads of all processes does */
#include "state.h"

#include <errno.h>

SHARED_FUNCTIONS(once)
static const struct shared_kind once_kind = SHARED_KIND(once, "Once");
SHARED_CLASS_METHODS(once)

static int once_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"hive", "name", NULL};
        const char *name = NULL;
        PyObject *hive;
        skep_hive *hive_of;
        skep_once *handle = NULL;
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|z:Once", keywords, &hive, &name) || !(hive_of = shared_init_hive(self, hive)))
                return -1;
        result = skep_once_create(hive_of, name, &handle);
        return shared_adopt(self, &once_kind, hive, result, handle);
}

struct once_context {
        skep_once *once;
        PyObject *function;
        bool ran;
};

static int run_function(void *pointer)
{
        struct once_context *context = pointer;
        PyObject *returned;

        gil_take();
        returned = PyObject_CallNoArgs(context->function);
        Py_XDECREF(returned);
        gil_drop();
        context->ran = true;
        return returned ? 0 : -EINTR;
}

static int attempt_run(void *pointer, skep_deadline deadline)
{
        struct once_context *context = pointer;

        return skep_once_run(context->once, run_function, context, deadline);
}

PyDoc_STRVAR(run_doc, "run(function, timeout=None)\n--\n\n"
                      "Call function unless it was called and came to its end; who comes meanwhile waits.  Returns whether this call did it.\n"
                      "What function raises is raised, and the next one tries.  TimeoutError.  RuntimeError: called inside function.");
static PyObject *once_run(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"function", "timeout", NULL};
        struct once_context context = {.once = shared_handle(self)};
        PyObject *timeout = NULL;
        struct patience patience;
        int result;

        if (!context.once || !PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:run", keywords, &context.function, &timeout) ||
            patience_from(NULL, timeout, &patience) < 0)
                return NULL;
        if (skep_once_is_done(context.once))
                Py_RETURN_FALSE;
        result = wait_without_gil(attempt_run, &context, patience.deadline);
        if (result == SKEP_OWNER_DIED)
                result = owner_died_news(self) < 0 ? WAIT_RAISED : 0;
        if (result == 0)
                return PyBool_FromLong(context.ran);
        if (result != -EDEADLK)
                return raise_result(as_shared(self)->state, result, NULL, 0);
        PyErr_SetString(PyExc_RuntimeError, "this thread is inside the function that runs once");
        return NULL;
}

static PyObject *once_get_done(PyObject *self, void *unused)
{
        void *handle = shared_handle(self);

        (void)unused;
        return handle ? PyBool_FromLong(skep_once_is_done(handle)) : NULL;
}

static PyMethodDef once_methods[] = {
        SHARED_METHODS(once),
        {"run", (PyCFunction)(void (*)(void))once_run, METH_VARARGS | METH_KEYWORDS, run_doc},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef once_getset[] = {
        SHARED_ATTRIBUTES,
        {"done", once_get_done, NULL, "Whether it is done.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(once_doc, "Once(hive, name=None)\n--\n\nA once in a hive, not done.");

static PyType_Slot once_slots[] = {
        {Py_tp_doc, (void *)once_doc},
        {Py_tp_new, (void *)shared_new},
        {Py_tp_init, (void *)once_init},
        {Py_tp_dealloc, (void *)shared_dealloc},
        {Py_tp_methods, once_methods},
        {Py_tp_getset, once_getset},
        {0, NULL},
};

PyType_Spec once_spec = {
        .name = "skep._core.Once",
        .basicsize = sizeof(struct shared_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = once_slots,
};
