/* SPDX-License-Identifier: Apache-2.0 */
/* rwlock_type.c - skep._core.RWLock: many readers or one writer */
#include "state.h"

#include <errno.h>

SHARED_FUNCTIONS(rwlock)
static const struct shared_kind rwlock_kind = SHARED_KIND(rwlock, "RWLock");
SHARED_CLASS_METHODS(rwlock)

static int rwlock_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"hive", "name", "on_owner_died", NULL};
        const char *name = NULL, *choice = NULL;
        PyObject *hive;
        skep_hive *hive_of;
        skep_rwlock *handle = NULL;
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|zz:RWLock", keywords, &hive, &name, &choice) ||
            on_owner_died_from(choice, &as_shared(self)->on_owner_died) < 0 || !(hive_of = shared_init_hive(self, hive)))
                return -1;
        result = skep_rwlock_create(hive_of, name, &handle);
        return shared_adopt(self, &rwlock_kind, hive, result, handle);
}

static int attempt_read(void *handle, skep_deadline deadline)
{
        return skep_rwlock_acquire_read(handle, deadline);
}

static int attempt_write(void *handle, skep_deadline deadline)
{
        return skep_rwlock_acquire_write(handle, deadline);
}

static PyObject *acquire(PyObject *self, attempt_function *attempt, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        struct core_state *state = as_shared(self)->state;
        struct patience patience = {.deadline = skep_forever(), .blocks = true};
        void *handle = shared_handle(self);
        int result;

        if (!handle || ((count || names) && parse_waiting(state, "acquire", args, count, names, 0, &patience) < 0))
                return NULL;
        result = wait_for(attempt, handle, &patience, false);
        if (result == SKEP_OWNER_DIED && owner_died_news(self) < 0) {
                (void)skep_rwlock_release(handle);
                return NULL;
        }
        if (result == 0 || result == SKEP_OWNER_DIED)
                Py_RETURN_TRUE;
        if (result == -ETIMEDOUT)
                Py_RETURN_FALSE;
        if (result != -EDEADLK)
                return raise_result(state, result, NULL, 0);
        PyErr_SetString(PyExc_RuntimeError, "this thread holds the lock already");
        return NULL;
}

PyDoc_STRVAR(read_doc, "acquire_read(block=True, timeout=None)\n--\n\nTake it together with other readers.  Returns whether it was taken.");
static PyObject *rwlock_acquire_read(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        return acquire(self, attempt_read, args, count, names);
}

PyDoc_STRVAR(write_doc, "acquire_write(block=True, timeout=None)\n--\n\nTake it alone.  Returns whether it was taken.");
static PyObject *rwlock_acquire_write(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        return acquire(self, attempt_write, args, count, names);
}

PyDoc_STRVAR(release_doc, "release()\n--\n\nGive back what this thread holds.  AssertionError: nothing.");
static PyObject *rwlock_release(PyObject *self, PyObject *unused)
{
        void *handle = shared_made(self);
        int result = handle ? skep_rwlock_release(handle) : WAIT_RAISED;

        (void)unused;
        if (result == 0)
                Py_RETURN_NONE;
        if (result != -EPERM)
                return raise_result(as_shared(self)->state, result, NULL, 0);
        PyErr_SetString(PyExc_AssertionError, "this thread does not hold the lock");
        return NULL;
}

static PyObject *rwlock_get_writer(PyObject *self, void *unused)
{
        void *handle = shared_handle(self);
        int64_t pid = handle ? skep_rwlock_writer(handle) : 0;

        (void)unused;
        if (pid || !handle)
                return handle ? PyLong_FromLongLong(pid) : NULL;
        Py_RETURN_NONE;
}

static PyMethodDef rwlock_methods[] = {
        SHARED_METHODS(rwlock),
        {"acquire_read", FAST(rwlock_acquire_read), read_doc},
        {"acquire_write", FAST(rwlock_acquire_write), write_doc},
        {"release", rwlock_release, METH_NOARGS, release_doc},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef rwlock_getset[] = {
        SHARED_ATTRIBUTES,
        {"writer", rwlock_get_writer, NULL, "Process id of the writer; None.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(rwlock_doc, "RWLock(hive, name=None, on_owner_died='warn')\n--\n\nMany readers or one writer; owned by a thread, not recursive.");

static PyType_Slot rwlock_slots[] = {
        {Py_tp_doc, (void *)rwlock_doc},
        {Py_tp_new, (void *)shared_new},
        {Py_tp_init, (void *)rwlock_init},
        {Py_tp_dealloc, (void *)shared_dealloc},
        {Py_tp_methods, rwlock_methods},
        {Py_tp_getset, rwlock_getset},
        {0, NULL},
};

PyType_Spec rwlock_spec = {
        .name = "skep._core.RWLock",
        .basicsize = sizeof(struct shared_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = rwlock_slots,
};
