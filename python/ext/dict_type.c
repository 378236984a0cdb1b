/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dict_type.c - skep._core.Dict and Namespace
 *
 * What concerns one key keeps the GIL: it waits at most for the writer whose turn it is.  What walks through all keys, and waits, gives it up.
 */
#include "item.h"

#include <errno.h>
#include <skep/namespace.h>

SHARED_FUNCTIONS(dict)
static const struct shared_kind dict_kind = SHARED_KIND(dict, "Dict");
SHARED_CLASS_METHODS(dict)

SHARED_FUNCTIONS(namespace)
static const struct shared_kind namespace_kind = SHARED_KIND(namespace, "Namespace");
SHARED_CLASS_METHODS(namespace)

static int dict_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"hive", "capacity", "name", NULL};
        struct skep_dict_options options = {.options_bytes = sizeof options};
        Py_ssize_t capacity = 0;
        PyObject *hive;
        skep_hive *hive_of;
        skep_dict *handle = NULL;
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|nz:Dict", keywords, &hive, &capacity, &options.name) ||
            !(hive_of = shared_init_hive(self, hive)))
                return -1;
        if (capacity < 0) {
                PyErr_SetString(PyExc_ValueError, "capacity must not be negative");
                return -1;
        }
        options.capacity = (uint64_t)capacity;
        ASK(hive, result, skep_dict_create(hive_of, &options, &handle));
        return shared_adopt(self, &dict_kind, hive, result, handle);
}

static int namespace_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"hive", "name", NULL};
        const char *name = NULL;
        PyObject *hive;
        skep_hive *hive_of;
        skep_namespace *handle = NULL;
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|z:Namespace", keywords, &hive, &name) || !(hive_of = shared_init_hive(self, hive)))
                return -1;
        ASK(hive, result, skep_namespace_create(hive_of, name, &handle));
        return shared_adopt(self, &namespace_kind, hive, result, handle);
}

/* --- results and arguments ----------------------------------------------------------------------------------------------------- */

/* @param key  NULL: of none @return NULL */
static PyObject *raise_for(PyObject *self, int result, PyObject *key)
{
        const struct shared_object *object = as_shared(self);
        PyObject *args;

        if (result == -ENOENT && key) {
                args = PyTuple_Pack(1, key); /* a tuple would become the exception's arguments */
                if (args)
                        PyErr_SetObject(PyExc_KeyError, args);
                Py_XDECREF(args);
                return NULL;
        }
        if (result == -EMSGSIZE) {
                PyErr_SetString(PyExc_ValueError, "the key is too long: at most 16384 bytes of text, or of what it pickles into");
                return NULL;
        }
        return raise_result(object->state, result, hive_handle(object->state, object->hive), 0);
}

static int key_of(PyObject *self, PyObject *key, bool lookup, struct given *ret_given)
{
        return key_from(as_shared(self)->state, as_shared(self)->hive, key, lookup, ret_given);
}

static int value_of(PyObject *self, PyObject *value, struct given *ret_given)
{
        return item_from(as_shared(self)->state, as_shared(self)->hive, value, ret_given);
}

static PyObject *object_of(PyObject *self, struct skep_item *item)
{
        return item_load(as_shared(self)->state, as_shared(self)->hive, item);
}

static int takes(const char *function, Py_ssize_t count, Py_ssize_t least, Py_ssize_t most)
{
        if (count >= least && count <= most)
                return 0;
        PyErr_Format(PyExc_TypeError, "%s() takes %zd to %zd arguments, not %zd", function, least, most, count);
        return -1;
}

#define FAST_ONLY(function) ((PyCFunction)(void (*)(void))(function)), METH_FASTCALL

/* --- one key --------------------------------------------------------------------------------------------------------------------- */

/* @return 0; -ENOENT; WAIT_RAISED */
static int look_up(PyObject *self, PyObject *key, struct skep_item *ret_value, uint64_t *ret_version)
{
        skep_dict *dict = shared_handle(self);
        struct given given;
        int result;

        if (!dict || key_of(self, key, true, &given) < 0)
                return WAIT_RAISED;
        ASK(as_shared(self)->hive, result, skep_dict_get(dict, &given.item, ret_value, ret_version));
        given_end(&given);
        if (result == -EMSGSIZE)
                return -ENOENT; /* too long to be there */
        if (result == 0 || result == -ENOENT)
                return result;
        raise_for(self, result, key);
        return WAIT_RAISED;
}

static PyObject *dict_subscript(PyObject *self, PyObject *key)
{
        struct skep_item value;
        int result = look_up(self, key, &value, NULL);

        if (result == 0)
                return object_of(self, &value);
        return result == WAIT_RAISED ? NULL : raise_for(self, result, key);
}

/* @param value  NULL: delete */
static int dict_assign(PyObject *self, PyObject *key, PyObject *value)
{
        skep_dict *dict = shared_handle(self);
        struct given key_given, value_given;
        int result;

        if (!dict || key_of(self, key, !value, &key_given) < 0)
                return -1;
        if (!value) {
                ASK(as_shared(self)->hive, result, skep_dict_delete(dict, &key_given.item));
        } else if (value_of(self, value, &value_given) == 0) {
                ASK(as_shared(self)->hive, result, skep_dict_set(dict, &key_given.item, &value_given.item));
                given_end(&value_given);
        } else {
                result = WAIT_RAISED;
        }
        given_end(&key_given);
        if (result == 0)
                return 0;
        raise_for(self, !value && result == -EMSGSIZE ? -ENOENT : result, key);
        return -1;
}

static int dict_contains(PyObject *self, PyObject *key)
{
        int result = look_up(self, key, NULL, NULL);

        return result == 0 ? 1 : result == -ENOENT ? 0 : -1;
}

static Py_ssize_t dict_length(PyObject *self)
{
        skep_dict *dict = shared_handle(self);
        uint64_t count;
        int result = WAIT_RAISED;

        if (dict)
                ASK(as_shared(self)->hive, result, skep_dict_length(dict, &count));
        if (result == 0)
                return (Py_ssize_t)count;
        raise_for(self, result, NULL);
        return -1;
}

PyDoc_STRVAR(get_doc, "get(key, default=None, /)\n--\n\nThe value, or default if the key is not there.");
static PyObject *dict_get(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        struct skep_item value;
        int result = takes("get", count, 1, 2) < 0 ? WAIT_RAISED : look_up(self, args[0], &value, NULL);
        PyObject *other = count > 1 ? args[1] : Py_None;

        if (result == 0)
                return object_of(self, &value);
        if (result != -ENOENT)
                return NULL;
        Py_INCREF(other);
        return other;
}

PyDoc_STRVAR(setdefault_doc, "setdefault(key, default=None, /)\n--\n\nThe value; if the key is not there, it is set to default, in one step.");
static PyObject *dict_setdefault(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        skep_dict *dict = shared_handle(self);
        PyObject *value = count > 1 ? args[1] : Py_None;
        struct given key_given, value_given;
        struct skep_item there;
        int result;

        if (!dict || takes("setdefault", count, 1, 2) < 0 || key_of(self, args[0], false, &key_given) < 0)
                return NULL;
        result = value_of(self, value, &value_given) < 0 ? WAIT_RAISED : 0;
        if (result == 0) {
                ASK(as_shared(self)->hive, result, skep_dict_setdefault(dict, &key_given.item, &value_given.item, &there));
                given_end(&value_given);
        }
        given_end(&key_given);
        if (result == 1)
                return object_of(self, &there);
        if (result != 0)
                return raise_for(self, result, NULL);
        Py_INCREF(value);
        return value;
}

PyDoc_STRVAR(pop_doc, "pop(key[, default], /)\n--\n\nTake the value out, in one step.  Without the key: default, or KeyError.");
static PyObject *dict_pop(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        skep_dict *dict = shared_handle(self);
        struct given given;
        struct skep_item value;
        int result;

        if (!dict || takes("pop", count, 1, 2) < 0 || key_of(self, args[0], true, &given) < 0)
                return NULL;
        ASK(as_shared(self)->hive, result, skep_dict_pop(dict, &given.item, &value));
        given_end(&given);
        if (result == 0)
                return object_of(self, &value);
        if (result == -EMSGSIZE)
                result = -ENOENT;
        if (result != -ENOENT || count < 2)
                return raise_for(self, result, args[0]);
        Py_INCREF(args[1]);
        return args[1];
}

/* (key, value), or one of the two. @param entry  what was loaded of it is cleared */
enum wanted { KEYS, VALUES, ITEMS };
static PyObject *object_of_entry(PyObject *self, struct skep_dict_entry *entry, enum wanted wanted)
{
        PyObject *key = wanted == VALUES ? NULL : object_of(self, &entry->key), *value, *pair = NULL;

        if (wanted == KEYS)
                return key;
        if (wanted == VALUES || key) {
                value = object_of(self, &entry->value);
                if (wanted == VALUES)
                        return value;
                if (value)
                        pair = PyTuple_Pack(2, key, value);
                Py_XDECREF(value);
        }
        Py_XDECREF(key);
        return pair;
}

PyDoc_STRVAR(popitem_doc, "popitem()\n--\n\nTake (key, value) of the key that came last out, in one step.  KeyError: it is empty.");
static PyObject *dict_popitem(PyObject *self, PyObject *unused)
{
        skep_dict *dict = shared_handle(self);
        struct skep_dict_entry entry = {0};
        PyObject *pair;
        int result = WAIT_RAISED;

        (void)unused;
        if (dict)
                ASK(as_shared(self)->hive, result, skep_dict_popitem(dict, &entry.key, &entry.value));
        if (result == -ENOENT)
                PyErr_SetString(PyExc_KeyError, "popitem(): dictionary is empty");
        if (result != 0)
                return result == -ENOENT ? NULL : raise_for(self, result, NULL);
        pair = object_of_entry(self, &entry, ITEMS);
        skep_item_clear(&entry.key);
        skep_item_clear(&entry.value);
        return pair;
}

/* --- versions, numbers ---------------------------------------------------------------------------------------------------------------- */

PyDoc_STRVAR(get_versioned_doc, "get_versioned(key, default=None, /)\n--\n\n"
                                "(value, version): the version is another one whenever the key was set since; without the key (default, 0).");
static PyObject *dict_get_versioned(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        struct skep_item value;
        uint64_t version;
        PyObject *object;
        int result = takes("get_versioned", count, 1, 2) < 0 ? WAIT_RAISED : look_up(self, args[0], &value, &version);

        if (result == -ENOENT)
                return Py_BuildValue("(OK)", count > 1 ? args[1] : Py_None, 0ULL);
        object = result == 0 ? object_of(self, &value) : NULL;
        return object ? Py_BuildValue("(NK)", object, (unsigned long long)version) : NULL;
}

/* @return 1 done; 0 the version is another one; -1 with an exception */
static int write_if(PyObject *self, PyObject *key, uint64_t version, PyObject *value)
{
        skep_dict *dict = shared_handle(self);
        struct given key_given, value_given;
        int result;

        if (!dict || key_of(self, key, !value, &key_given) < 0)
                return -1;
        if (!value) {
                ASK(as_shared(self)->hive, result, skep_dict_delete_if(dict, &key_given.item, version));
        } else if (value_of(self, value, &value_given) == 0) {
                ASK(as_shared(self)->hive, result, skep_dict_set_if(dict, &key_given.item, version, &value_given.item, NULL));
                given_end(&value_given);
        } else {
                result = WAIT_RAISED;
        }
        given_end(&key_given);
        if (result == 0 || result == -EAGAIN)
                return result == 0;
        raise_for(self, result, key);
        return -1;
}

PyDoc_STRVAR(set_if_doc, "set_if(key, version, value, /)\n--\n\n"
                         "Set the key if its version is still that one (0: it is not there).  Returns whether it was set.");
static PyObject *dict_set_if(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        unsigned long long version = takes("set_if", count, 3, 3) < 0 ? 0 : PyLong_AsUnsignedLongLong(args[1]);
        int done = PyErr_Occurred() ? -1 : write_if(self, args[0], version, args[2]);

        return done < 0 ? NULL : PyBool_FromLong(done);
}

PyDoc_STRVAR(delete_if_doc, "delete_if(key, version, /)\n--\n\nDelete the key if its version is still that one.  Returns whether it was deleted.");
static PyObject *dict_delete_if(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        unsigned long long version = takes("delete_if", count, 2, 2) < 0 ? 0 : PyLong_AsUnsignedLongLong(args[1]);
        int done = PyErr_Occurred() ? -1 : write_if(self, args[0], version, NULL);

        return done < 0 ? NULL : PyBool_FromLong(done);
}

PyDoc_STRVAR(compare_and_set_doc, "compare_and_set(key, old, new, /)\n--\n\n"
                                  "Set the key to new if its value equals old, in one step.  Returns whether it was set; False without the key.");
static PyObject *dict_compare_and_set(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        struct skep_item value;
        uint64_t version;
        PyObject *there;
        int result = takes("compare_and_set", count, 3, 3), equal = 1, done = 0;

        while (result == 0 && equal && !done) { /* until nobody has set it between the comparison and the setting */
                result = look_up(self, args[0], &value, &version);
                if (result != 0)
                        break;
                there = object_of(self, &value);
                equal = there ? PyObject_RichCompareBool(there, args[1], Py_EQ) : -1;
                Py_XDECREF(there);
                if (equal > 0)
                        done = write_if(self, args[0], version, args[2]);
                if (equal < 0 || done < 0)
                        return NULL;
        }
        return result == 0 || result == -ENOENT ? PyBool_FromLong(done) : NULL;
}

PyDoc_STRVAR(add_doc, "add(key, n=1, /)\n--\n\n"
                      "Add n to the number there, in one step, and return the sum; a key that is not there counts as 0.\n"
                      "int and float of 64 bits; OverflowError beyond that.");
static PyObject *dict_add(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        skep_dict *dict = shared_handle(self);
        struct skep_item number = skep_item_integer(1), sum;
        struct given given;
        int result;

        if (!dict || takes("add", count, 1, 2) < 0)
                return NULL;
        if (count > 1 && PyFloat_Check(args[1])) {
                number = skep_item_float(PyFloat_AS_DOUBLE(args[1]));
        } else if (count > 1) {
                PyObject *index = PyNumber_Index(args[1]);

                number.integer = index ? PyLong_AsLongLong(index) : -1;
                Py_XDECREF(index);
                if (number.integer == -1 && PyErr_Occurred())
                        return NULL;
        }
        if (key_of(self, args[0], false, &given) < 0)
                return NULL;
        ASK(as_shared(self)->hive, result, skep_dict_add(dict, &given.item, &number, SKEP_DICT_MISSING_IS_ZERO, &sum));
        given_end(&given);
        if (result == 0)
                return object_of(self, &sum);
        if (result == -EPROTOTYPE)
                PyErr_SetString(PyExc_TypeError, "what is there is no int or float of 64 bits");
        else if (result == -EOVERFLOW)
                PyErr_SetString(PyExc_OverflowError, "the sum does not fit in 64 bits");
        else
                raise_for(self, result, NULL);
        return NULL;
}

/* --- waiting ------------------------------------------------------------------------------------------------------------------------- */

struct wait {
        skep_dict *dict;
        const struct skep_item *key;
        uint64_t version;
        struct skep_item value;
};

static int wait_attempt(void *context, skep_deadline deadline)
{
        struct wait *wait = context;

        return skep_dict_wait(wait->dict, wait->key, wait->version, &wait->value, &wait->version, deadline);
}

/* @return 0; WAIT_RAISED, also when the time is over */
static int wait_key(PyObject *self, PyObject *key, PyObject *timeout, struct wait *wait)
{
        struct patience patience = {.deadline = skep_forever(), .blocks = true};
        struct given given;
        int result;

        if (!(wait->dict = shared_handle(self)) || patience_from(NULL, timeout, &patience) < 0 || key_of(self, key, true, &given) < 0)
                return WAIT_RAISED;
        wait->key = &given.item;
        Py_INCREF(self); /* nobody else may hold it meanwhile */
        result = wait_for(wait_attempt, wait, &patience, hive_is_remote(as_shared(self)->hive));
        Py_DECREF(self);
        given_end(&given);
        if (result != 0)
                raise_for(self, result, NULL);
        return result == 0 ? 0 : WAIT_RAISED;
}

PyDoc_STRVAR(wait_for_doc, "wait_for(key, timeout=None)\n--\n\nWait until the key is there; its value.  TimeoutError: it was not in time.");
static PyObject *dict_wait_for(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"key", "timeout", NULL};
        PyObject *key, *timeout = Py_None;
        struct wait wait = {.version = 0};

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:wait_for", keywords, &key, &timeout) || wait_key(self, key, timeout, &wait) != 0)
                return NULL;
        return object_of(self, &wait.value);
}

PyDoc_STRVAR(wait_for_change_doc, "wait_for_change(key, version, timeout=None)\n--\n\n"
                                  "Wait until the key has another version than that of get_versioned(); (value, version), or (None, 0) if it was\n"
                                  "deleted.  TimeoutError: it did not change in time.");
static PyObject *dict_wait_for_change(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"key", "version", "timeout", NULL};
        PyObject *key, *timeout = Py_None, *value;
        unsigned long long version;
        struct wait wait;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OK|O:wait_for_change", keywords, &key, &version, &timeout))
                return NULL;
        wait = (struct wait){.version = version};
        if (wait_key(self, key, timeout, &wait) != 0)
                return NULL;
        value = object_of(self, &wait.value);
        return value ? Py_BuildValue("(NK)", value, (unsigned long long)wait.version) : NULL;
}

/* --- all keys ------------------------------------------------------------------------------------------------------------------------- */

static int snapshot(PyObject *self, uint32_t flags, struct skep_dict_entry **ret_entries, uint64_t *ret_count)
{
        skep_dict *dict = shared_handle(self);
        int result = WAIT_RAISED;

        if (dict) {
                Py_INCREF(self);
                Py_BEGIN_ALLOW_THREADS
                result = skep_dict_snapshot(dict, flags, ret_entries, ret_count);
                Py_END_ALLOW_THREADS
                Py_DECREF(self);
        }
        if (result == 0)
                return 0;
        raise_for(self, result, NULL);
        return -1;
}

static PyObject *list_of(PyObject *self, enum wanted wanted)
{
        struct skep_dict_entry *entries;
        uint64_t count;
        PyObject *list;

        if (snapshot(self, wanted == KEYS ? SKEP_DICT_KEYS : 0, &entries, &count) < 0)
                return NULL;
        list = PyList_New((Py_ssize_t)count);
        for (uint64_t i = 0; list && i < count; i++) {
                PyObject *object = object_of_entry(self, &entries[i], wanted);

                if (object)
                        PyList_SET_ITEM(list, (Py_ssize_t)i, object);
                else
                        Py_CLEAR(list);
        }
        skep_dict_entries_free(entries, count);
        return list;
}

PyDoc_STRVAR(keys_doc, "keys()\n--\n\nThe keys as they are at one instant, a list.");
static PyObject *dict_keys(PyObject *self, PyObject *unused)
{
        (void)unused;
        return list_of(self, KEYS);
}

PyDoc_STRVAR(values_doc, "values()\n--\n\nThe values as they are at one instant, a list.");
static PyObject *dict_values(PyObject *self, PyObject *unused)
{
        (void)unused;
        return list_of(self, VALUES);
}

PyDoc_STRVAR(items_doc, "items()\n--\n\n(key, value) of all keys as they are at one instant, a list.");
static PyObject *dict_items(PyObject *self, PyObject *unused)
{
        (void)unused;
        return list_of(self, ITEMS);
}

static PyObject *dict_iter(PyObject *self)
{
        PyObject *keys = list_of(self, KEYS), *iterator = keys ? PyObject_GetIter(keys) : NULL;

        Py_XDECREF(keys);
        return iterator;
}

PyDoc_STRVAR(copy_doc, "copy()\n--\n\nAn ordinary dict of what is there at one instant.");
static PyObject *dict_copy(PyObject *self, PyObject *unused)
{
        struct skep_dict_entry *entries;
        uint64_t count;
        PyObject *copy;

        (void)unused;
        if (snapshot(self, 0, &entries, &count) < 0)
                return NULL;
        copy = PyDict_New();
        for (uint64_t i = 0; copy && i < count; i++) {
                PyObject *key = object_of(self, &entries[i].key), *value = key ? object_of(self, &entries[i].value) : NULL;

                if (!value || PyDict_SetItem(copy, key, value) < 0)
                        Py_CLEAR(copy);
                Py_XDECREF(key);
                Py_XDECREF(value);
        }
        skep_dict_entries_free(entries, count);
        return copy;
}

PyDoc_STRVAR(clear_doc, "clear()\n--\n\nDelete all keys, in one step.");
static PyObject *dict_clear(PyObject *self, PyObject *unused)
{
        skep_dict *dict = shared_handle(self);
        int result;

        (void)unused;
        if (!dict)
                return NULL;
        Py_INCREF(self);
        Py_BEGIN_ALLOW_THREADS
        result = skep_dict_clear(dict);
        Py_END_ALLOW_THREADS
        Py_DECREF(self);
        if (result < 0)
                return raise_for(self, result, NULL);
        Py_RETURN_NONE;
}

/* What dict(*args, **kwargs) is, of a Dict as it is at one instant. */
static PyObject *ordinary_dict(PyObject *self, PyObject *args, PyObject *kwargs)
{
        PyObject *first = PyTuple_GET_SIZE(args) == 1 ? PyTuple_GET_ITEM(args, 0) : NULL, *copy, *all;

        if (!first || !PyObject_TypeCheck(first, as_shared(self)->state->dict_type))
                return PyObject_Call((PyObject *)&PyDict_Type, args, kwargs);
        copy = dict_copy(first, NULL);
        all = copy ? PyTuple_Pack(1, copy) : NULL;
        Py_XDECREF(copy);
        if (!all)
                return NULL;
        copy = PyObject_Call((PyObject *)&PyDict_Type, all, kwargs);
        Py_DECREF(all);
        return copy;
}

static int update_from(PyObject *self, PyObject *ordinary)
{
        size_t most = (size_t)PyDict_GET_SIZE(ordinary), count = 0;
        struct skep_dict_entry *entries = PyMem_Calloc(most + 1, sizeof *entries);
        struct given *given = PyMem_Calloc(2 * most + 1, sizeof *given);
        skep_dict *dict = shared_handle(self);
        PyObject *key, *value;
        Py_ssize_t at = 0;
        int result = dict ? 0 : WAIT_RAISED;

        if (!entries || !given)
                result = -ENOMEM;
        while (result == 0 && PyDict_Next(ordinary, &at, &key, &value)) { /* nobody else has it */
                struct given *pair = &given[2 * count++];

                if (key_of(self, key, false, &pair[0]) < 0 || value_of(self, value, &pair[1]) < 0)
                        result = WAIT_RAISED;
                else
                        entries[count - 1] = (struct skep_dict_entry){.key = pair[0].item, .value = pair[1].item};
        }
        if (result == 0) {
                Py_BEGIN_ALLOW_THREADS
                result = skep_dict_update(dict, entries, count);
                Py_END_ALLOW_THREADS
        }
        for (size_t i = 0; given && i < 2 * count; i++)
                given_end(&given[i]);
        PyMem_Free(given);
        PyMem_Free(entries);
        if (result == 0)
                return 0;
        raise_for(self, result, NULL);
        return -1;
}

PyDoc_STRVAR(update_doc, "update([other], /, **kwargs)\n--\n\nSet many keys, as dict.update() does: all of them or, whatever happens, none.");
static PyObject *dict_update(PyObject *self, PyObject *args, PyObject *kwargs)
{
        PyObject *ordinary = shared_handle(self) ? ordinary_dict(self, args, kwargs) : NULL;
        int failed;

        if (!ordinary)
                return NULL;
        Py_INCREF(self);
        failed = update_from(self, ordinary);
        Py_DECREF(self);
        Py_DECREF(ordinary);
        if (failed)
                return NULL;
        Py_RETURN_NONE;
}

/* --- operators ---------------------------------------------------------------------------------------------------------------------- */

/* A dict, or a Dict as it is at one instant. @return new; NULL, without an exception if it is neither */
static PyObject *as_ordinary(struct core_state *state, PyObject *object)
{
        if (PyObject_TypeCheck(object, state->dict_type))
                return dict_copy(object, NULL);
        if (!PyDict_Check(object))
                return NULL;
        Py_INCREF(object);
        return object;
}

static PyObject *dict_compare(PyObject *self, PyObject *other, int operator)
{
        PyObject *left, *right, *result = NULL;

        if (operator != Py_EQ && operator != Py_NE)
                Py_RETURN_NOTIMPLEMENTED;
        right = as_ordinary(as_shared(self)->state, other);
        if (!right && !PyErr_Occurred())
                Py_RETURN_NOTIMPLEMENTED;
        left = right ? dict_copy(self, NULL) : NULL;
        if (left)
                result = PyObject_RichCompare(left, right, operator);
        Py_XDECREF(left);
        Py_XDECREF(right);
        return result;
}

static PyObject *dict_or(PyObject *left, PyObject *right)
{
        struct core_state *state = state_of_type(Py_TYPE(left));
        PyObject *both = NULL, *base, *other;

        if (!state) {
                PyErr_Clear();
                state = state_of_type(Py_TYPE(right));
        }
        base = state ? as_ordinary(state, left) : NULL;
        other = base ? as_ordinary(state, right) : NULL;
        if (base && other && (both = PyDict_Copy(base)) && PyDict_Update(both, other) < 0)
                Py_CLEAR(both);
        if (!both && !PyErr_Occurred()) {
                Py_INCREF(Py_NotImplemented);
                both = Py_NotImplemented;
        }
        Py_XDECREF(base);
        Py_XDECREF(other);
        return both;
}

static PyObject *dict_inplace_or(PyObject *self, PyObject *other)
{
        PyObject *args = PyTuple_Pack(1, other), *none = args ? dict_update(self, args, NULL) : NULL;

        Py_XDECREF(args);
        if (!none)
                return NULL;
        Py_DECREF(none);
        Py_INCREF(self);
        return self;
}

static PyMethodDef dict_methods[] = {
        SHARED_METHODS(dict),
        {"get", FAST_ONLY(dict_get), get_doc},
        {"setdefault", FAST_ONLY(dict_setdefault), setdefault_doc},
        {"pop", FAST_ONLY(dict_pop), pop_doc},
        {"popitem", dict_popitem, METH_NOARGS, popitem_doc},
        {"update", (PyCFunction)(void (*)(void))dict_update, METH_VARARGS | METH_KEYWORDS, update_doc},
        {"clear", dict_clear, METH_NOARGS, clear_doc},
        {"copy", dict_copy, METH_NOARGS, copy_doc},
        {"keys", dict_keys, METH_NOARGS, keys_doc},
        {"values", dict_values, METH_NOARGS, values_doc},
        {"items", dict_items, METH_NOARGS, items_doc},
        {"add", FAST_ONLY(dict_add), add_doc},
        {"get_versioned", FAST_ONLY(dict_get_versioned), get_versioned_doc},
        {"set_if", FAST_ONLY(dict_set_if), set_if_doc},
        {"delete_if", FAST_ONLY(dict_delete_if), delete_if_doc},
        {"compare_and_set", FAST_ONLY(dict_compare_and_set), compare_and_set_doc},
        {"wait_for", (PyCFunction)(void (*)(void))dict_wait_for, METH_VARARGS | METH_KEYWORDS, wait_for_doc},
        {"wait_for_change", (PyCFunction)(void (*)(void))dict_wait_for_change, METH_VARARGS | METH_KEYWORDS, wait_for_change_doc},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef dict_getset[] = {
        SHARED_ATTRIBUTES,
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(dict_doc, "Dict(hive, capacity=0, name=None)\n--\n\nA dict in a hive.");

static PyType_Slot dict_slots[] = {
        {Py_tp_doc, (void *)dict_doc},
        {Py_tp_new, (void *)shared_new},
        {Py_tp_init, (void *)dict_init},
        {Py_tp_dealloc, (void *)shared_dealloc},
        {Py_tp_methods, dict_methods},
        {Py_tp_getset, dict_getset},
        {Py_tp_iter, (void *)dict_iter},
        {Py_tp_richcompare, (void *)dict_compare},
        {Py_tp_hash, (void *)PyObject_HashNotImplemented},
        {Py_mp_length, (void *)dict_length},
        {Py_mp_subscript, (void *)dict_subscript},
        {Py_mp_ass_subscript, (void *)dict_assign},
        {Py_sq_contains, (void *)dict_contains},
        {Py_nb_or, (void *)dict_or},
        {Py_nb_inplace_or, (void *)dict_inplace_or},
        {0, NULL},
};

PyType_Spec dict_spec = {
        .name = "skep._core.Dict",
        .basicsize = sizeof(struct shared_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = dict_slots,
};

/* --- Namespace: attributes are keys, but for those with an underscore in front and the two of every shared object ------------------------ */

/* @return 1; 0 it is the object's own; -1 with an exception */
static int is_shared_name(PyObject *name)
{
        if (!PyUnicode_Check(name)) {
                PyErr_Format(PyExc_TypeError, "attribute name must be string, not '%.200s'", Py_TYPE(name)->tp_name);
                return -1;
        }
        return PyUnicode_GET_LENGTH(name) == 0 || PyUnicode_READ_CHAR(name, 0) != '_';
}

static bool is_reserved(PyObject *name)
{
        return PyUnicode_CompareWithASCIIString(name, "hive") == 0 || PyUnicode_CompareWithASCIIString(name, "reference") == 0;
}

static PyObject *namespace_getattr(PyObject *self, PyObject *name)
{
        struct skep_item value;
        int result = is_shared_name(name);

        if (result < 0)
                return NULL;
        if (!result || is_reserved(name))
                return PyObject_GenericGetAttr(self, name);
        result = look_up(self, name, &value, NULL);
        if (result == 0)
                return object_of(self, &value);
        return result == -ENOENT ? PyObject_GenericGetAttr(self, name) : NULL;
}

static int namespace_setattr(PyObject *self, PyObject *name, PyObject *value)
{
        int shared = is_shared_name(name);

        if (shared < 0)
                return -1;
        if (!shared)
                return PyObject_GenericSetAttr(self, name, value);
        if (is_reserved(name)) {
                PyErr_Format(PyExc_AttributeError, "'%U' is not a name for what a Namespace shares: it tells where the Namespace lies", name);
                return -1;
        }
        if (dict_assign(self, name, value) == 0)
                return 0;
        if (!value && PyErr_ExceptionMatches(PyExc_KeyError))
                PyErr_SetObject(PyExc_AttributeError, name);
        return -1;
}

static PyMethodDef namespace_methods[] = {
        SHARED_METHODS(namespace),
        {"_copy", dict_copy, METH_NOARGS, copy_doc},
        {"_update", (PyCFunction)(void (*)(void))dict_update, METH_VARARGS | METH_KEYWORDS, update_doc},
        {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(namespace_doc, "Namespace(hive, name=None)\n--\n\nAttributes in a hive.");

static PyType_Slot namespace_slots[] = {
        {Py_tp_doc, (void *)namespace_doc},
        {Py_tp_new, (void *)shared_new},
        {Py_tp_init, (void *)namespace_init},
        {Py_tp_dealloc, (void *)shared_dealloc},
        {Py_tp_methods, namespace_methods},
        {Py_tp_getset, dict_getset},
        {Py_tp_getattro, (void *)namespace_getattr},
        {Py_tp_setattro, (void *)namespace_setattr},
        {0, NULL},
};

PyType_Spec namespace_spec = {
        .name = "skep._core.Namespace",
        .basicsize = sizeof(struct shared_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = namespace_slots,
};
