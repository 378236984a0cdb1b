/* SPDX-License-Identifier: Apache-2.0 */
/*
 * condition_type.c - skep._core.Condition
 *
 * Bound to a Lock or RLock object, which alone is acquired and released; or, found by name or made without one, to a lock that this process has no
 * object for: then through the condition.
 */
#include "state.h"

#include <errno.h>

SHARED_FUNCTIONS(condition)
static const struct shared_kind condition_kind = SHARED_KIND(condition, "Condition");

static bool is_lock(const struct core_state *state, PyObject *lock)
{
        return PyObject_TypeCheck(lock, state->lock_type) || PyObject_TypeCheck(lock, state->rlock_type);
}

/* The lock stays the caller's. @return 0; -1 with TypeError or ValueError */
static int check_lock(const struct core_state *state, PyObject *hive, PyObject *lock)
{
        if (!is_lock(state, lock)) {
                PyErr_Format(PyExc_TypeError, "a Lock or RLock of skep is needed, not %.100s", Py_TYPE(lock)->tp_name);
                return -1;
        }
        if (!shared_handle(lock))
                return -1;
        if (as_shared(lock)->hive != hive) {
                PyErr_SetString(PyExc_ValueError, "the lock lies in another hive");
                return -1;
        }
        return 0;
}

/* @param lock  None: through the condition */
static void bind(PyObject *self, PyObject *lock)
{
        if (lock == Py_None)
                return;
        Py_INCREF(lock);
        as_shared(self)->lock = lock;
}

static int condition_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"hive", "lock", "name", NULL};
        struct shared_object *object = as_shared(self);
        struct skep_condition_options options = {.options_bytes = sizeof options};
        PyObject *hive, *lock;
        skep_hive *hive_of;
        skep_condition *handle = NULL;
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|z", keywords, &hive, &lock, &options.name) || !(hive_of = shared_init_hive(self, hive)) ||
            (lock != Py_None && check_lock(object->state, hive, lock) < 0))
                return -1;
        if (lock != Py_None && PyObject_TypeCheck(lock, object->state->rlock_type))
                options.rlock = as_shared(lock)->handle;
        else if (lock != Py_None)
                options.lock = as_shared(lock)->handle;
        ASK(hive, result, skep_condition_create(hive_of, &options, &handle));
        if (shared_adopt(self, &condition_kind, hive, result, handle) < 0)
                return -1;
        bind(self, lock);
        return 0;
}

PyDoc_STRVAR(attach_doc, "attach(hive, offset, serial, lock)\n--\n\nThe condition behind a reference, with its lock.  GoneError: it is gone.");
static PyObject *condition_attach(PyObject *type, PyObject *args)
{
        struct core_state *state = state_of_type((PyTypeObject *)type);
        PyObject *lock, *arguments, *self;

        if (!state)
                return NULL;
        if (PyTuple_GET_SIZE(args) != 4) {
                PyErr_SetString(PyExc_TypeError, "attach() takes hive, offset, serial and lock");
                return NULL;
        }
        lock = PyTuple_GET_ITEM(args, 3);
        if ((lock != Py_None && check_lock(state, PyTuple_GET_ITEM(args, 0), lock) < 0) || !(arguments = PyTuple_GetSlice(args, 0, 3)))
                return NULL;
        self = shared_attach(type, arguments, &condition_kind);
        Py_DECREF(arguments);
        if (self)
                bind(self, lock);
        return self;
}

static PyObject *condition_open(PyObject *type, PyObject *args)
{
        return shared_open(type, args, &condition_kind);
}

/* --- the lock --- */

static int attempt_acquire(void *handle, skep_deadline deadline)
{
        return skep_condition_acquire(handle, deadline);
}

static int acquire(PyObject *self, const struct patience *patience)
{
        struct shared_object *object = as_shared(self);
        void *handle = shared_handle(self);
        int result;

        if (!handle)
                return WAIT_RAISED;
        if (object->lock)
                return holdable_acquire(object->lock, patience);
        result = wait_for(attempt_acquire, handle, patience, hive_is_remote(object->hive));
        if (result != SKEP_OWNER_DIED || owner_died_news(self) == 0)
                return result == SKEP_OWNER_DIED ? 0 : result;
        (void)skep_condition_release(handle);
        return WAIT_RAISED;
}

static int release(PyObject *self)
{
        struct shared_object *object = as_shared(self);
        void *handle = shared_made(self);
        int result;

        if (!handle)
                return -1;
        if (object->lock)
                return holdable_release(object->lock);
        ASK(object->hive, result, skep_condition_release(handle));
        if (result == 0)
                return 0;
        if (result == -EPERM)
                PyErr_SetString(PyExc_AssertionError, "attempt to release a lock that this thread does not own");
        else
                raise_result(object->state, result, NULL, 0);
        return -1;
}

PyDoc_STRVAR(acquire_doc, "acquire(block=True, timeout=None)\n--\n\nTake the lock; whether it was taken.");
static PyObject *condition_acquire(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        struct patience patience = {.deadline = skep_forever(), .blocks = true};
        int result;

        if ((count || names) && parse_waiting(as_shared(self)->state, "acquire", args, count, names, 0, &patience) < 0)
                return NULL;
        result = acquire(self, &patience);
        if (result == 0)
                Py_RETURN_TRUE;
        if (result == -ETIMEDOUT)
                Py_RETURN_FALSE;
        return raise_result(as_shared(self)->state, result, NULL, 0);
}

static PyObject *condition_release(PyObject *self, PyObject *unused)
{
        (void)unused;
        if (release(self) < 0)
                return NULL;
        Py_RETURN_NONE;
}

/* --- waiting --- */

static int attempt_wait(void *handle, skep_deadline deadline)
{
        return skep_condition_wait(handle, deadline);
}

PyDoc_STRVAR(wait_doc, "wait(timeout=None)\n--\n\n"
                       "Let the lock go, wait to be notified, take the lock back; False: the time ran out.  AssertionError: the lock is not held.");
static PyObject *condition_wait(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        struct shared_object *object = as_shared(self);
        struct patience patience = {.deadline = skep_forever(), .blocks = true};
        void *handle = shared_handle(self);
        int result;

        if (!handle || ((count || names) && parse_timeout(object->state, "wait", args, count, names, &patience) < 0))
                return NULL;
        result = wait_without_gil(attempt_wait, handle, patience.deadline);
        if (result == 0)
                Py_RETURN_TRUE;
        if (result == -ETIMEDOUT)
                Py_RETURN_FALSE;
        if (result == SKEP_OWNER_DIED) {
                /* The lock is held, and the caller releases it as ever. */
                if (owner_died_news(object->lock ? object->lock : self) < 0)
                        return NULL;
                Py_RETURN_TRUE;
        }
        if (result != -EPERM)
                return raise_result(object->state, result, NULL, 0);
        PyErr_SetString(PyExc_AssertionError, "must acquire() condition before using wait()");
        return NULL;
}

static PyObject *notify(PyObject *self, uint32_t count)
{
        void *handle = shared_handle(self);
        int result = WAIT_RAISED;

        if (handle)
                ASK(as_shared(self)->hive, result, skep_condition_notify(handle, count));
        if (result == 0)
                Py_RETURN_NONE;
        if (result != -EPERM)
                return raise_result(as_shared(self)->state, result, NULL, 0);
        PyErr_SetString(PyExc_AssertionError, "lock is not owned");
        return NULL;
}

PyDoc_STRVAR(notify_doc, "notify(n=1)\n--\n\nWake the n that have waited longest.  AssertionError: the lock is not held.");
static PyObject *condition_notify(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"n", NULL};
        Py_ssize_t count = 1;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|n:notify", keywords, &count))
                return NULL;
        return notify(self, count < 0 ? 0 : count > INT32_MAX ? UINT32_MAX : (uint32_t)count);
}

static PyObject *condition_notify_all(PyObject *self, PyObject *unused)
{
        (void)unused;
        return notify(self, UINT32_MAX);
}

static PyObject *condition_enter(PyObject *self, PyObject *unused)
{
        static const struct patience forever = {.deadline = {INT64_MAX}, .blocks = true};
        int result = acquire(self, &forever);

        (void)unused;
        if (result == 0)
                Py_RETURN_TRUE;
        return raise_result(as_shared(self)->state, result, NULL, 0);
}

static PyObject *condition_exit(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        (void)args;
        (void)count;
        return condition_release(self, NULL);
}

struct count_context {
        skep_block condition;
        unsigned long waiters;
};

static int count_waiter(const struct skep_wait_info *info, void *pointer)
{
        struct count_context *context = pointer;

        context->waiters += info->object.offset == context->condition.offset && info->object.serial == context->condition.serial;
        return 0;
}

PyDoc_STRVAR(waiters_doc, "_waiters()\n--\n\nThreads that wait just now; a walk over all threads of the hive.");
static PyObject *condition_waiters(PyObject *self, PyObject *unused)
{
        void *handle = shared_handle(self);
        struct count_context context = {.condition = handle ? skep_condition_reference(handle) : (skep_block){0}};
        int result = handle ? skep_hive_waits(((struct hive_object *)as_shared(self)->hive)->hive, count_waiter, &context) : WAIT_RAISED;

        (void)unused;
        return result == 0 ? PyLong_FromUnsignedLong(context.waiters) : raise_result(as_shared(self)->state, result, NULL, 0);
}

static PyObject *condition_get_lock(PyObject *self, void *unused)
{
        (void)unused;
        if (!shared_made(self))
                return NULL;
        if (!as_shared(self)->lock)
                Py_RETURN_NONE;
        Py_INCREF(as_shared(self)->lock);
        return as_shared(self)->lock;
}

static PyMethodDef condition_methods[] = {
        {"attach", condition_attach, METH_VARARGS | METH_CLASS, attach_doc},
        {"open", condition_open, METH_VARARGS | METH_CLASS, "open(hive, name)\n--\n\nThe condition of that name.  FileNotFoundError: there is none."},
        {"acquire", FAST(condition_acquire), acquire_doc},
        {"release", condition_release, METH_NOARGS, "release()\n--\n\nRelease the lock."},
        {"wait", FAST(condition_wait), wait_doc},
        {"notify", (PyCFunction)(void (*)(void))condition_notify, METH_VARARGS | METH_KEYWORDS, notify_doc},
        {"notify_all", condition_notify_all, METH_NOARGS, "notify_all()\n--\n\nWake all.  AssertionError: the lock is not held."},
        {"__enter__", condition_enter, METH_NOARGS, NULL},
        {"__exit__", (PyCFunction)(void (*)(void))condition_exit, METH_FASTCALL, NULL},
        {"_waiters", condition_waiters, METH_NOARGS, waiters_doc},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef condition_getset[] = {
        SHARED_ATTRIBUTES,
        {"_lock", condition_get_lock, NULL, "The Lock or RLock that it is bound to; None: one that this process has no object for.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(condition_doc, "Condition(hive, lock, name=None)\n--\n\n"
                            "A condition in a hive, bound to a Lock or RLock of the same hive; None: to one of its own.");

static PyType_Slot condition_slots[] = {
        {Py_tp_doc, (void *)condition_doc},
        {Py_tp_new, (void *)shared_new},
        {Py_tp_init, (void *)condition_init},
        {Py_tp_dealloc, (void *)shared_dealloc},
        {Py_tp_methods, condition_methods},
        {Py_tp_getset, condition_getset},
        {0, NULL},
};

PyType_Spec condition_spec = {
        .name = "skep._core.Condition",
        .basicsize = sizeof(struct shared_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = condition_slots,
};
