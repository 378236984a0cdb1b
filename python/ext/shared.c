/* SPDX-License-Identifier: Apache-2.0 */
/* shared.c - handle, hive and reference of the objects of synchronisation and of values; news of dead owners */
#include "state.h"

#include <string.h>

PyObject *shared_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
        struct core_state *state = state_of_type(type);
        PyObject *self;

        (void)args;
        (void)kwargs;
        if (!state)
                return NULL;
        self = type->tp_alloc(type, 0);
        if (self)
                as_shared(self)->state = state;
        return self;
}

void shared_dealloc(PyObject *self)
{
        struct shared_object *object = as_shared(self);
        PyTypeObject *type = Py_TYPE(self);

        if (object->handle) {
                PyThreadState *asking_state = hive_is_remote(object->hive) ? PyEval_SaveThread() : NULL;

                object->kind->unref(object->handle);
                if (asking_state)
                        PyEval_RestoreThread(asking_state);
        }
        Py_XDECREF(object->lock);
        Py_XDECREF(object->hive); /* after the handle that lives in it */
        type->tp_free(self);
        Py_DECREF(type);
}

skep_hive *shared_init_hive(PyObject *self, PyObject *hive)
{
        if (!as_shared(self)->handle)
                return hive_handle(as_shared(self)->state, hive);
        PyErr_SetString(PyExc_RuntimeError, "the object has been made already");
        return NULL;
}

int shared_adopt(PyObject *self, const struct shared_kind *kind, PyObject *hive, int result, void *handle)
{
        struct shared_object *object = as_shared(self);

        if (result < 0) {
                raise_result(object->state, result, hive_handle(object->state, hive), 0);
                return -1;
        }
        Py_INCREF(hive);
        object->hive = hive;
        object->handle = handle;
        object->kind = kind;
        return 0;
}

/* An instance of @type for a handle that is there already; __init__ would make a new object. @param handle  taken */
static PyObject *shared_wrap(PyObject *type, const struct shared_kind *kind, PyObject *hive, int result, void *handle)
{
        PyObject *self = shared_new((PyTypeObject *)type, NULL, NULL);

        if (!self && result >= 0)
                kind->unref(handle);
        if (self && shared_adopt(self, kind, hive, result, handle) < 0)
                Py_CLEAR(self);
        return self;
}

PyObject *shared_attach(PyObject *type, PyObject *args, const struct shared_kind *kind)
{
        struct core_state *state = state_of_type((PyTypeObject *)type);
        unsigned long long offset, serial;
        PyObject *hive;
        skep_hive *hive_of;
        void *handle = NULL;
        int result;

        if (!state || !PyArg_ParseTuple(args, "OKK:attach", &hive, &offset, &serial) || !(hive_of = hive_handle(state, hive)))
                return NULL;
        ASK(hive, result, kind->attach(hive_of, ((skep_block){.offset = offset, .serial = serial}), &handle));
        return shared_wrap(type, kind, hive, result, handle);
}

PyObject *shared_open(PyObject *type, PyObject *args, const struct shared_kind *kind)
{
        struct core_state *state = state_of_type((PyTypeObject *)type);
        const char *name;
        PyObject *hive;
        skep_hive *hive_of;
        void *handle = NULL;
        int result;

        if (!state || !PyArg_ParseTuple(args, "Os:open", &hive, &name) || !(hive_of = hive_handle(state, hive)))
                return NULL;
        ASK(hive, result, kind->open(hive_of, name, &handle));
        return shared_wrap(type, kind, hive, result, handle);
}

void *shared_refuse(PyObject *self)
{
        if (!as_shared(self)->handle)
                PyErr_Format(PyExc_ValueError, "the %s was not made: __init__() was not called", Py_TYPE(self)->tp_name);
        else
                PyErr_SetString(PyExc_ValueError, "the hive is closed");
        return NULL;
}

PyObject *shared_get_reference(PyObject *self, void *unused)
{
        void *handle = shared_made(self);
        skep_block block;

        (void)unused;
        if (!handle)
                return NULL;
        block = as_shared(self)->kind->reference(handle);
        return Py_BuildValue("(KK)", (unsigned long long)block.offset, (unsigned long long)block.serial);
}

PyObject *shared_get_hive(PyObject *self, void *unused)
{
        (void)unused;
        if (!shared_made(self))
                return NULL;
        Py_INCREF(as_shared(self)->hive);
        return as_shared(self)->hive;
}

const char *const on_owner_died_names[] = {[OWNER_DIED_WARNS] = "warn", [OWNER_DIED_RAISES] = "raise", [OWNER_DIED_IGNORED] = "ignore"};

int on_owner_died_from(const char *text, enum on_owner_died *ret_choice)
{
        *ret_choice = OWNER_DIED_WARNS;
        if (!text)
                return 0;
        for (int choice = OWNER_DIED_WARNS; choice <= OWNER_DIED_IGNORED; choice++)
                if (strcmp(text, on_owner_died_names[choice]) == 0) {
                        *ret_choice = (enum on_owner_died)choice;
                        return 0;
                }
        PyErr_Format(PyExc_ValueError, "on_owner_died must be 'warn', 'raise' or 'ignore', not '%s'", text);
        return -1;
}

int owner_died_news(PyObject *self)
{
        const struct core_state *state = as_shared(self)->state;

        switch (as_shared(self)->on_owner_died) {
        case OWNER_DIED_WARNS:
                return PyErr_WarnFormat(state->owner_died_warning, 1, "the process or thread that held this %s died", as_shared(self)->kind->name);
        case OWNER_DIED_RAISES:
                PyErr_Format(state->owner_died_error, "the process or thread that held this %s died", as_shared(self)->kind->name);
                return -1;
        case OWNER_DIED_IGNORED:
                break;
        }
        return 0;
}
