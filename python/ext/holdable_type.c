/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdable_type.c - skep._core.Lock, RLock and Semaphore: what is acquired and released, and works in a with statement
 *
 * One set of methods over a table of functions for each.  An uncontended acquire keeps the GIL.
 */
#include "state.h"

#include <errno.h>

struct holdable_kind {
        struct shared_kind shared;
        attempt_function *acquire;
        int (*release)(void *handle);
        int (*owner_died)(const void *handle); /* NULL: not remembered */
        const char *not_mine;                  /* AssertionError for -EPERM; NULL: ValueError, as for one that is free */
};

static const struct holdable_kind *kind_of(PyObject *self)
{
        return (const struct holdable_kind *)as_shared(self)->kind;
}

/* Tell the news; who gets an exception does not get the lock. */
static int heir(PyObject *self, int result)
{
        bool remembered = result == 0 && kind_of(self)->owner_died && kind_of(self)->owner_died(as_shared(self)->handle);

        if ((result != SKEP_OWNER_DIED && !remembered) || owner_died_news(self) == 0)
                return 0;
        (void)kind_of(self)->release(as_shared(self)->handle);
        return WAIT_RAISED;
}

int holdable_acquire(PyObject *self, const struct patience *patience)
{
        struct shared_object *object = as_shared(self);
        void *handle = shared_handle(self);
        int result = handle ? wait_for(kind_of(self)->acquire, handle, patience, hive_is_remote(object->hive)) : WAIT_RAISED;

        if (result == 0 && object->on_owner_died != OWNER_DIED_RAISES)
                return 0;
        return result == 0 || result == SKEP_OWNER_DIED ? heir(self, result) : result;
}

int holdable_release(PyObject *self)
{
        void *handle = shared_made(self);
        int result = WAIT_RAISED;

        if (handle)
                ASK(as_shared(self)->hive, result, kind_of(self)->release(handle));
        if (result == 0)
                return 0;
        if (result == -EPERM && kind_of(self)->not_mine)
                PyErr_SetString(PyExc_AssertionError, kind_of(self)->not_mine);
        else if (result == -EPERM || result == -EOVERFLOW)
                PyErr_SetString(PyExc_ValueError, "semaphore or lock released too many times");
        else
                raise_result(as_shared(self)->state, result, NULL, 0);
        return -1;
}

PyDoc_STRVAR(acquire_doc, "acquire(block=True, timeout=None)\n--\n\n"
                          "Take it; waits at most timeout seconds (None: for ever).  Returns whether it was taken.");
static PyObject *holdable_py_acquire(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        struct patience patience = {.deadline = skep_forever(), .blocks = true};
        int result;

        if ((count || names) && parse_waiting(as_shared(self)->state, "acquire", args, count, names, 0, &patience) < 0)
                return NULL;
        result = holdable_acquire(self, &patience);
        if (result == 0)
                Py_RETURN_TRUE;
        if (result == -ETIMEDOUT)
                Py_RETURN_FALSE;
        return raise_result(as_shared(self)->state, result, NULL, 0);
}

static PyObject *holdable_enter(PyObject *self, PyObject *unused)
{
        static const struct patience forever = {.deadline = {INT64_MAX}, .blocks = true};
        int result = holdable_acquire(self, &forever);

        (void)unused;
        if (result == 0)
                Py_RETURN_TRUE;
        return raise_result(as_shared(self)->state, result, NULL, 0);
}

PyDoc_STRVAR(release_doc, "release()\n--\n\nGive it back.  ValueError: it is not held by anybody.  AssertionError (RLock): not by this thread.");
static PyObject *holdable_py_release(PyObject *self, PyObject *unused)
{
        (void)unused;
        if (holdable_release(self) < 0)
                return NULL;
        Py_RETURN_NONE;
}

static PyObject *holdable_exit(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        (void)args;
        (void)count;
        return holdable_py_release(self, NULL);
}

static PyObject *get_on_owner_died(PyObject *self, void *unused)
{
        (void)unused;
        return PyUnicode_FromString(on_owner_died_names[as_shared(self)->on_owner_died]);
}

static int set_on_owner_died(PyObject *self, PyObject *value, void *unused)
{
        const char *text = value ? PyUnicode_AsUTF8(value) : NULL;

        (void)unused;
        if (value)
                return text ? on_owner_died_from(text, &as_shared(self)->on_owner_died) : -1;
        PyErr_SetString(PyExc_AttributeError, "on_owner_died cannot be deleted");
        return -1;
}

static PyMethodDef holdable_methods[] = {
        {"acquire", FAST(holdable_py_acquire), acquire_doc},
        {"release", holdable_py_release, METH_NOARGS, release_doc},
        {"__enter__", holdable_enter, METH_NOARGS, NULL},
        {"__exit__", (PyCFunction)(void (*)(void))holdable_exit, METH_FASTCALL, NULL},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef holdable_getset[] = {
        SHARED_ATTRIBUTES,
        {"on_owner_died", get_on_owner_died, set_on_owner_died, "What this process gets when the owner died: 'warn', 'raise' or 'ignore'.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(holdable_doc, "What Lock, RLock and Semaphore have in common.");

static PyType_Slot holdable_slots[] = {
        {Py_tp_doc, (void *)holdable_doc},
        {Py_tp_new, (void *)shared_new},
        {Py_tp_dealloc, (void *)shared_dealloc},
        {Py_tp_methods, holdable_methods},
        {Py_tp_getset, holdable_getset},
        {0, NULL},
};

PyType_Spec holdable_spec = {
        .name = "skep._core.Holdable",
        .basicsize = sizeof(struct shared_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = holdable_slots,
};

/* --- Lock and RLock: one set of methods again --- */

struct lock_kind {
        struct holdable_kind holdable;
        int (*create)(skep_hive *hive, const char *name, void **ret_handle);
        uint32_t (*depth)(const void *handle);
        int (*is_held)(const void *handle);
        int64_t (*owner)(const void *handle);
        void (*clear_owner_died)(void *handle);
};

#define LOCK_KIND(noun, type_name, depth_function, not_mine) \
        SHARED_FUNCTIONS(noun) \
        static int noun##_kind_acquire(void *handle, skep_deadline deadline) \
        { \
                return skep_##noun##_acquire(handle, deadline); \
        } \
        static int noun##_kind_release(void *handle) \
        { \
                return skep_##noun##_release(handle); \
        } \
        static int noun##_kind_owner_died(const void *handle) \
        { \
                return skep_##noun##_owner_died(handle); \
        } \
        static int noun##_kind_create(skep_hive *hive, const char *name, void **ret_handle) \
        { \
                skep_##noun *object = NULL; \
                int result = skep_##noun##_create(hive, name, &object); \
                *ret_handle = object; \
                return result; \
        } \
        static uint32_t noun##_kind_depth(const void *handle) \
        { \
                return (uint32_t)depth_function(handle); \
        } \
        static int noun##_kind_is_held(const void *handle) \
        { \
                return skep_##noun##_is_held(handle); \
        } \
        static int64_t noun##_kind_owner(const void *handle) \
        { \
                return skep_##noun##_owner(handle); \
        } \
        static void noun##_kind_clear_owner_died(void *handle) \
        { \
                skep_##noun##_clear_owner_died(handle); \
        } \
        static const struct lock_kind noun##_kind = { \
                .holdable = {SHARED_KIND(noun, type_name), noun##_kind_acquire, noun##_kind_release, noun##_kind_owner_died, not_mine}, \
                .create = noun##_kind_create, \
                .depth = noun##_kind_depth, \
                .is_held = noun##_kind_is_held, \
                .owner = noun##_kind_owner, \
                .clear_owner_died = noun##_kind_clear_owner_died, \
        };

LOCK_KIND(lock, "Lock", skep_lock_is_mine, NULL)
LOCK_KIND(rlock, "RLock", skep_rlock_depth, "attempt to release recursive lock not owned by thread")

static const struct lock_kind *lock_kind_of(PyObject *self)
{
        return (const struct lock_kind *)as_shared(self)->kind;
}

static const struct lock_kind *lock_kind_of_type(const struct core_state *state, PyTypeObject *type)
{
        return PyType_IsSubtype(type, state->rlock_type) ? &rlock_kind : &lock_kind;
}

static int lock_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"hive", "name", "on_owner_died", NULL};
        struct shared_object *object = as_shared(self);
        const struct lock_kind *kind = lock_kind_of_type(object->state, Py_TYPE(self));
        const char *name = NULL, *choice = NULL;
        PyObject *hive;
        skep_hive *hive_of;
        void *handle;
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|zz", keywords, &hive, &name, &choice) ||
            on_owner_died_from(choice, &object->on_owner_died) < 0 || !(hive_of = shared_init_hive(self, hive)))
                return -1;
        ASK(hive, result, kind->create(hive_of, name, &handle));
        return shared_adopt(self, &kind->holdable.shared, hive, result, handle);
}

static PyObject *lock_attach(PyObject *type, PyObject *args)
{
        struct core_state *state = state_of_type((PyTypeObject *)type);

        return state ? shared_attach(type, args, &lock_kind_of_type(state, (PyTypeObject *)type)->holdable.shared) : NULL;
}

static PyObject *lock_open(PyObject *type, PyObject *args)
{
        struct core_state *state = state_of_type((PyTypeObject *)type);

        return state ? shared_open(type, args, &lock_kind_of_type(state, (PyTypeObject *)type)->holdable.shared) : NULL;
}

static PyObject *lock_count(PyObject *self, PyObject *unused)
{
        const void *handle = shared_handle(self);

        (void)unused;
        return handle ? PyLong_FromUnsignedLong(lock_kind_of(self)->depth(handle)) : NULL;
}

static PyObject *lock_locked(PyObject *self, PyObject *unused)
{
        const void *handle = shared_handle(self);
        int result;

        (void)unused;
        if (!handle)
                return NULL;
        ASK(as_shared(self)->hive, result, lock_kind_of(self)->is_held(handle));
        return PyBool_FromLong(result);
}

static PyObject *lock_get_owner(PyObject *self, void *unused)
{
        const void *handle = shared_handle(self);
        int64_t pid = handle ? lock_kind_of(self)->owner(handle) : 0;

        (void)unused;
        if (pid || !handle)
                return handle ? PyLong_FromLongLong(pid) : NULL;
        Py_RETURN_NONE;
}

static PyObject *lock_get_owner_died(PyObject *self, void *unused)
{
        const void *handle = shared_handle(self);

        (void)unused;
        return handle ? PyBool_FromLong(kind_of(self)->owner_died(handle)) : NULL;
}

static int lock_set_owner_died(PyObject *self, PyObject *value, void *unused)
{
        void *handle = shared_handle(self);
        int died = value && handle ? PyObject_IsTrue(value) : -1;

        (void)unused;
        if (died == 0)
                lock_kind_of(self)->clear_owner_died(handle);
        else if (!PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "owner_died can only be set to False");
        return died == 0 ? 0 : -1;
}

static PyObject *lock_clear_owner_died(PyObject *self, PyObject *unused)
{
        (void)unused;
        if (lock_set_owner_died(self, Py_False, NULL) < 0)
                return NULL;
        Py_RETURN_NONE;
}

static PyMethodDef lock_methods[] = {
        SHARED_METHODS(lock),
        {"locked", lock_locked, METH_NOARGS, "locked()\n--\n\nWhether anybody holds it."},
        {"clear_owner_died", lock_clear_owner_died, METH_NOARGS, "clear_owner_died()\n--\n\nWhat it protects is sound again."},
        {"_count", lock_count, METH_NOARGS, "_count()\n--\n\nHow often this thread holds it."},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef lock_getset[] = {
        {"owner", lock_get_owner, NULL, "Process id of who holds it; None: nobody, or one that has gone.", NULL},
        {"owner_died", lock_get_owner_died, lock_set_owner_died, "An owner died holding it; true until it is set to False.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(lock_doc, "Lock(hive, name=None, on_owner_died='warn')\n--\n\nA lock in a hive; not recursive, released by whomever.");
PyDoc_STRVAR(rlock_doc, "RLock(hive, name=None, on_owner_died='warn')\n--\n\nA lock in a hive that its owner, a thread, may take again.");

static PyType_Slot lock_slots[] = {
        {Py_tp_doc, (void *)lock_doc},
        {Py_tp_init, (void *)lock_init},
        {Py_tp_methods, lock_methods},
        {Py_tp_getset, lock_getset},
        {0, NULL},
};

PyType_Spec lock_spec = {
        .name = "skep._core.Lock",
        .basicsize = sizeof(struct shared_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = lock_slots,
};

static PyType_Slot rlock_slots[] = {
        {Py_tp_doc, (void *)rlock_doc},
        {Py_tp_init, (void *)lock_init},
        {Py_tp_methods, lock_methods},
        {Py_tp_getset, lock_getset},
        {0, NULL},
};

PyType_Spec rlock_spec = {
        .name = "skep._core.RLock",
        .basicsize = sizeof(struct shared_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = rlock_slots,
};

/* --- Semaphore --- */

SHARED_FUNCTIONS(semaphore)

static int semaphore_acquire(void *handle, skep_deadline deadline)
{
        return skep_semaphore_acquire(handle, deadline);
}

static int semaphore_release(void *handle)
{
        return skep_semaphore_release(handle, 1);
}

static const struct holdable_kind semaphore_holdable = {SHARED_KIND(semaphore, "Semaphore"), semaphore_acquire, semaphore_release, NULL, NULL};
#define semaphore_kind semaphore_holdable.shared
SHARED_CLASS_METHODS(semaphore)

static int semaphore_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"hive", "value", "bounded", "recover", "name", "on_owner_died", NULL};
        struct shared_object *object = as_shared(self);
        const char *name = NULL, *choice = NULL;
        int bounded = 0, recover = 0;
        Py_ssize_t value = 1, least, most;
        PyObject *hive;
        skep_hive *hive_of;
        skep_semaphore *handle = NULL;
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|nppzz", keywords, &hive, &value, &bounded, &recover, &name, &choice) ||
            on_owner_died_from(choice, &object->on_owner_died) < 0 || !(hive_of = shared_init_hive(self, hive)))
                return -1;
        least = recover || bounded;
        most = recover ? SKEP_SEMAPHORE_TRACKED_MAX : SKEP_SEMAPHORE_MAX;
        if (value < least || value > most) {
                PyErr_Format(PyExc_ValueError, "semaphore initial value must be %zd to %zd, not %zd", least, most, value);
                return -1;
        }
        ASK(hive, result,
            skep_semaphore_create(hive_of,
                                  SKEP_SEMAPHORE_OPTIONS(.name = name, .value = (uint32_t)value, .max = bounded ? (uint32_t)value : 0,
                                                         .flags = recover ? SKEP_SEMAPHORE_TRACKING : 0),
                                  &handle));
        return shared_adopt(self, &semaphore_kind, hive, result, handle);
}

PyDoc_STRVAR(semaphore_release_doc, "release(n=1)\n--\n\n"
                                    "Give n units back.  ValueError: it would be more than fit, or this process holds none (recover=True).");
static PyObject *semaphore_py_release(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        void *handle = shared_made(self);
        Py_ssize_t units = 1;
        int result;

        if (!handle)
                return NULL;
        if (!count)
                return holdable_py_release(self, NULL);
        units = count == 1 ? PyNumber_AsSsize_t(args[0], PyExc_OverflowError) : 0;
        if (units == -1 && PyErr_Occurred())
                return NULL;
        if (count > 1 || units < 1 || units > INT32_MAX) {
                PyErr_SetString(count > 1 ? PyExc_TypeError : PyExc_ValueError, count > 1 ? "release() takes at most 1 argument" : "n must be one or more");
                return NULL;
        }
        ASK(as_shared(self)->hive, result, skep_semaphore_release(handle, (uint32_t)units));
        if (result == 0)
                Py_RETURN_NONE;
        if (result != -EOVERFLOW && result != -EPERM)
                return raise_result(as_shared(self)->state, result, NULL, 0);
        PyErr_SetString(PyExc_ValueError, "semaphore or lock released too many times");
        return NULL;
}

static PyObject *semaphore_get_value(PyObject *self, PyObject *unused)
{
        void *handle = shared_handle(self);
        uint32_t free_units;

        (void)unused;
        if (!handle)
                return NULL;
        ASK(as_shared(self)->hive, free_units, skep_semaphore_value(handle));
        return PyLong_FromUnsignedLong(free_units);
}

static PyObject *semaphore_locked(PyObject *self, PyObject *unused)
{
        void *handle = shared_handle(self);

        (void)unused;
        return handle ? PyBool_FromLong(skep_semaphore_value(handle) == 0) : NULL;
}

static PyMethodDef semaphore_methods[] = {
        SHARED_METHODS(semaphore),
        {"release", (PyCFunction)(void (*)(void))semaphore_py_release, METH_FASTCALL, semaphore_release_doc},
        {"get_value", semaphore_get_value, METH_NOARGS, "get_value()\n--\n\nUnits that are free now."},
        {"locked", semaphore_locked, METH_NOARGS, "locked()\n--\n\nWhether no unit is free."},
        {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(semaphore_doc, "Semaphore(hive, value=1, bounded=False, recover=False, name=None, on_owner_died='warn')\n--\n\n"
                            "A counter in a hive.  bounded: never above value.  recover: knows who holds a unit, and the next one gets a dead holder's.");

static PyType_Slot semaphore_slots[] = {
        {Py_tp_doc, (void *)semaphore_doc},
        {Py_tp_init, (void *)semaphore_init},
        {Py_tp_methods, semaphore_methods},
        {0, NULL},
};

PyType_Spec semaphore_spec = {
        .name = "skep._core.Semaphore",
        .basicsize = sizeof(struct shared_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = semaphore_slots,
};
