/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_type.c - skep._core.List: a list that all processes see
 *
 * What compares objects (in, index, count, remove, sort, compare_and_set) works on a snapshot, without any lock, and changes the list
 * only if what it saw is still there; else it begins again.  Who changes the list may have to wait for another writer: without the GIL.
 */
#include "item.h"

#include <errno.h>

SHARED_FUNCTIONS(list)
static const struct shared_kind list_kind = SHARED_KIND(list, "List");
SHARED_CLASS_METHODS(list)

static int list_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"hive", "name", "capacity", NULL};
        const char *name = NULL;
        unsigned long long capacity = 0;
        PyObject *hive;
        skep_hive *hive_of;
        skep_list *handle = NULL;
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|zK:List", keywords, &hive, &name, &capacity) || !(hive_of = shared_init_hive(self, hive)))
                return -1;
        ASK(hive, result, skep_list_create(hive_of, SKEP_LIST_OPTIONS(.name = name, .capacity = capacity), &handle));
        return shared_adopt(self, &list_kind, hive, result, handle);
}

static struct core_state *state_of(PyObject *self)
{
        return as_shared(self)->state;
}

static bool is_list(PyObject *self, PyObject *object)
{
        return PyObject_TypeCheck(object, state_of(self)->list_type);
}

/* @return NULL */
static void *list_raise(PyObject *self, int result)
{
        if (result == -ERANGE)
                PyErr_SetString(PyExc_IndexError, "list index out of range");
        else if (result == -EPROTOTYPE)
                PyErr_SetString(PyExc_TypeError, "add() is for numbers: int of 64 bits, float, bool");
        else if (result == -EOVERFLOW)
                PyErr_SetString(PyExc_OverflowError, "the sum does not fit in 64 bits, or the list would be too long");
        else
                raise_result(state_of(self), result, skep_list_hive(as_shared(self)->handle), 0);
        return NULL;
}

static PyObject *none_or_raise(PyObject *self, int result)
{
        if (result < 0)
                return list_raise(self, result);
        Py_RETURN_NONE;
}

/* A change, which may wait. */
#define CHANGE(result, call) \
        do { \
                Py_BEGIN_ALLOW_THREADS \
                result = call; \
                Py_END_ALLOW_THREADS \
        } while (0)

/* --- reading --- */

static Py_ssize_t list_length(PyObject *self)
{
        skep_list *list = shared_handle(self);
        uint64_t length;
        int result = WAIT_RAISED;

        if (list)
                ASK(as_shared(self)->hive, result, skep_list_length(list, &length));
        if (result == 0)
                return (Py_ssize_t)length;
        list_raise(self, result);
        return -1;
}

static PyObject *get_at(PyObject *self, Py_ssize_t index, uint64_t *ret_version)
{
        skep_list *list = shared_handle(self);
        struct skep_item item;
        int result = WAIT_RAISED;

        if (list)
                ASK(as_shared(self)->hive, result, skep_list_get(list, index, &item, ret_version));
        return result == 0 ? item_load(state_of(self), as_shared(self)->hive, &item) : list_raise(self, result);
}

/* For iteration: counts from 0, the negative ones have been resolved. */
static PyObject *list_item(PyObject *self, Py_ssize_t index)
{
        return get_at(self, index, NULL);
}

struct snapshot {
        struct skep_list_entry *entries;
        uint64_t count;
};

static int take(PyObject *self, struct skep_slice slice, struct snapshot *ret_snapshot)
{
        skep_list *list = shared_handle(self);
        int result;

        if (!list)
                return -1;
        CHANGE(result, skep_list_get_slice(list, slice, &ret_snapshot->entries, &ret_snapshot->count));
        if (result == 0)
                return 0;
        list_raise(self, result);
        return -1;
}

static void snapshot_end(struct snapshot *snapshot)
{
        skep_list_entries_free(snapshot->entries, snapshot->count);
}

/* The objects of a slice; in @snapshot, if it is not NULL, their versions stay. */
static PyObject *load_slice(PyObject *self, struct skep_slice slice, struct snapshot *snapshot)
{
        struct snapshot own, *taken = snapshot ? snapshot : &own;
        PyObject *list;

        if (take(self, slice, taken) < 0)
                return NULL;
        list = PyList_New((Py_ssize_t)taken->count);
        for (uint64_t i = 0; list && i < taken->count; i++) {
                PyObject *object = item_load(state_of(self), as_shared(self)->hive, &taken->entries[i].item);

                if (object)
                        PyList_SET_ITEM(list, (Py_ssize_t)i, object);
                else
                        Py_CLEAR(list);
        }
        if (!snapshot || !list)
                snapshot_end(taken);
        return list;
}

static PyObject *load_all(PyObject *self)
{
        return load_slice(self, SKEP_SLICE_ALL, NULL);
}

/* As a plain list, if it is a List. @return new reference */
static PyObject *plain(PyObject *self, PyObject *object)
{
        if (is_list(self, object))
                return load_all(object);
        Py_INCREF(object);
        return object;
}

static PyObject *list_copy(PyObject *self, PyObject *unused)
{
        (void)unused;
        return load_all(self);
}

static int slice_from(PyObject *object, struct skep_slice *ret_slice)
{
        Py_ssize_t start, stop, step;

        if (PySlice_Unpack(object, &start, &stop, &step) < 0)
                return -1;
        *ret_slice = (struct skep_slice){start, stop, step};
        return 0;
}

/* @return 1 an index; 0 a slice; -1 with an exception */
static int subscript_from(PyObject *object, Py_ssize_t *ret_index, struct skep_slice *ret_slice)
{
        if (PyIndex_Check(object)) {
                *ret_index = PyNumber_AsSsize_t(object, PyExc_IndexError);
                return *ret_index == -1 && PyErr_Occurred() ? -1 : 1;
        }
        if (PySlice_Check(object))
                return slice_from(object, ret_slice);
        PyErr_Format(PyExc_TypeError, "list indices must be integers or slices, not %.200s", Py_TYPE(object)->tp_name);
        return -1;
}

static PyObject *list_subscript(PyObject *self, PyObject *subscript)
{
        struct skep_slice slice;
        Py_ssize_t index;
        int kind = subscript_from(subscript, &index, &slice);

        if (kind < 0)
                return NULL;
        return kind ? get_at(self, index, NULL) : load_slice(self, slice, NULL);
}

static PyObject *list_iter(PyObject *self)
{
        return PySeqIter_New(self);
}

PyDoc_STRVAR(reversed_doc, "__reversed__()\n--\n\nThe items as they were at one moment, the last one first.");
static PyObject *list_reversed(PyObject *self, PyObject *unused)
{
        PyObject *items = load_slice(self, (struct skep_slice){PY_SSIZE_T_MAX, PY_SSIZE_T_MIN, -1}, NULL), *iterator = NULL;

        (void)unused;
        if (items)
                iterator = PyObject_GetIter(items);
        Py_XDECREF(items);
        return iterator;
}

/* --- what compares --- */

/* @param entry  its item is cleared @return 1; 0; -1 with an exception */
static int equals(PyObject *self, struct skep_list_entry *entry, PyObject *object, const struct skep_item *plain_item)
{
        PyObject *there;
        int equal;

        if (plain_item && entry->item.kind <= SKEP_ITEM_BYTES)
                return skep_item_equal(&entry->item, plain_item);
        there = item_load(state_of(self), as_shared(self)->hive, &entry->item);
        equal = there ? PyObject_RichCompareBool(there, object, Py_EQ) : -1;
        Py_XDECREF(there);
        return equal;
}

/* How many items in [start, stop) are equal, @most at most; and where the last of these is. @return -1 with an exception */
static Py_ssize_t find(PyObject *self, PyObject *object, int64_t start, int64_t stop, Py_ssize_t most, uint64_t *ret_index, uint64_t *ret_version)
{
        const struct skep_item *as_plain = NULL;
        struct skep_item item;
        struct snapshot snapshot;
        Py_ssize_t found = 0;
        int64_t length;

        if (take(self, SKEP_SLICE_ALL, &snapshot) < 0)
                return -1;
        length = (int64_t)snapshot.count;
        start = start < 0 ? start + length < 0 ? 0 : start + length : start;
        stop = stop < 0 ? stop + length : stop > length ? length : stop;
        if (item_is_plain(object, &item) > 0)
                as_plain = &item;
        PyErr_Clear();
        for (int64_t i = start; found < most && i < stop; i++) {
                int equal = equals(self, &snapshot.entries[i], object, as_plain);

                if (equal < 0) {
                        found = -1;
                        break;
                }
                if (equal) {
                        *ret_index = (uint64_t)i;
                        *ret_version = snapshot.entries[i].version;
                        found++;
                }
        }
        snapshot_end(&snapshot);
        return found;
}

static int list_contains(PyObject *self, PyObject *object)
{
        uint64_t index, version;

        return (int)find(self, object, 0, INT64_MAX, 1, &index, &version);
}

PyDoc_STRVAR(count_doc, "count(value)\n--\n\nHow many items are equal to it.");
static PyObject *list_count(PyObject *self, PyObject *object)
{
        uint64_t index, version;
        Py_ssize_t found = find(self, object, 0, INT64_MAX, PY_SSIZE_T_MAX, &index, &version);

        return found < 0 ? NULL : PyLong_FromSsize_t(found);
}

PyDoc_STRVAR(index_doc, "index(value, start=0, stop=sys.maxsize)\n--\n\nWhere the first item stands that is equal to it.  ValueError: there is none.");
static PyObject *list_index(PyObject *self, PyObject *args)
{
        PyObject *object, *from = NULL, *to = NULL;
        Py_ssize_t start = 0, stop = PY_SSIZE_T_MAX, found;
        uint64_t index, version;

        if (!PyArg_ParseTuple(args, "O|OO:index", &object, &from, &to))
                return NULL;
        if (from)
                start = PyNumber_AsSsize_t(from, NULL); /* what is too large becomes the largest */
        if (to && !PyErr_Occurred())
                stop = PyNumber_AsSsize_t(to, NULL);
        if (PyErr_Occurred())
                return NULL;
        found = find(self, object, start, stop, 1, &index, &version);
        if (found == 0)
                PyErr_Format(PyExc_ValueError, "%R is not in list", object);
        return found > 0 ? PyLong_FromUnsignedLongLong(index) : NULL;
}

PyDoc_STRVAR(remove_doc, "remove(value)\n--\n\nDelete the first item that is equal to it.  ValueError: there is none.");
static PyObject *list_remove(PyObject *self, PyObject *object)
{
        int result;

        do {
                uint64_t index, version;
                Py_ssize_t found = find(self, object, 0, INT64_MAX, 1, &index, &version);
                skep_list *list = found > 0 ? shared_handle(self) : NULL;

                if (found == 0)
                        PyErr_SetString(PyExc_ValueError, "list.remove(x): x not in list");
                if (!list)
                        return NULL;
                CHANGE(result, skep_list_delete_if(list, (int64_t)index, version));
        } while (result == -EAGAIN || result == -ERANGE); /* it has moved: another one got on */
        return none_or_raise(self, result);
}

static PyObject *list_richcompare(PyObject *self, PyObject *other, int operation)
{
        PyObject *left, *right, *result = NULL;

        if (!PyList_Check(other) && !is_list(self, other))
                Py_RETURN_NOTIMPLEMENTED;
        left = load_all(self);
        right = left ? plain(self, other) : NULL;
        if (right)
                result = PyObject_RichCompare(left, right, operation);
        Py_XDECREF(right);
        Py_XDECREF(left);
        return result;
}

PyDoc_STRVAR(compare_and_set_doc, "compare_and_set(index, old, new)\n--\n\n"
                                  "Replace the item there if it is equal to old, in one step.  Returns whether it was.");
static PyObject *list_compare_and_set(PyObject *self, PyObject *args)
{
        PyObject *old, *new;
        struct given given;
        Py_ssize_t index;
        int result = 0, equal = 1;

        if (!PyArg_ParseTuple(args, "nOO:compare_and_set", &index, &old, &new) || !shared_handle(self) ||
            item_from(state_of(self), as_shared(self)->hive, new, &given) < 0)
                return NULL;
        do {
                uint64_t version = 0;
                PyObject *there = get_at(self, index, &version);
                skep_list *list = there ? shared_handle(self) : NULL;

                equal = list ? PyObject_RichCompareBool(there, old, Py_EQ) : -1;
                Py_XDECREF(there);
                result = 0; /* an attempt before may have met somebody */
                if (equal > 0)
                        CHANGE(result, skep_list_set_if(list, index, version, &given.item));
        } while (equal > 0 && result == -EAGAIN);
        given_end(&given);
        if (equal < 0)
                return NULL;
        return result < 0 ? list_raise(self, result) : PyBool_FromLong(equal);
}

/* The indices of @objects in the order in which they are sorted. */
static PyObject *sorted_order(PyObject *objects, PyObject *key, int reverse)
{
        PyObject *builtins = PyEval_GetBuiltins(), *sorted = builtins ? PyDict_GetItemString(builtins, "sorted") : NULL;
        PyObject *keys = PyList_New(PyList_GET_SIZE(objects)), *range = NULL, *get = NULL, *order = NULL, *names = NULL;

        for (Py_ssize_t i = 0; keys && i < PyList_GET_SIZE(objects); i++) {
                PyObject *object = PyList_GET_ITEM(objects, i), *made = key == Py_None ? object : PyObject_CallOneArg(key, object);

                if (made == object && key == Py_None)
                        Py_INCREF(made);
                if (made)
                        PyList_SET_ITEM(keys, i, made);
                else
                        Py_CLEAR(keys);
        }
        if (keys && sorted) {
                range = PyObject_CallFunction((PyObject *)&PyRange_Type, "n", PyList_GET_SIZE(objects));
                get = PyObject_GetAttrString(keys, "__getitem__");
                names = get ? Py_BuildValue("{s:O,s:i}", "key", get, "reverse", reverse) : NULL;
        }
        if (range && names) {
                PyObject *arguments = PyTuple_Pack(1, range);

                order = arguments ? PyObject_Call(sorted, arguments, names) : NULL;
                Py_XDECREF(arguments);
        }
        Py_XDECREF(names);
        Py_XDECREF(get);
        Py_XDECREF(range);
        Py_XDECREF(keys);
        return order;
}

/* @return as skep_list_permute(); WAIT_RAISED */
static int sort_once(PyObject *self, PyObject *key, int reverse)
{
        struct snapshot snapshot;
        PyObject *objects = load_slice(self, SKEP_SLICE_ALL, &snapshot), *sorted = objects ? sorted_order(objects, key, reverse) : NULL;
        uint64_t *order = sorted ? PyMem_Malloc((snapshot.count + 1) * sizeof *order) : NULL;
        skep_list *list = order ? shared_handle(self) : NULL;
        int result = WAIT_RAISED;

        if (sorted && !order)
                PyErr_NoMemory();
        for (uint64_t i = 0; list && i < snapshot.count; i++)
                order[i] = PyLong_AsUnsignedLongLong(PyList_GET_ITEM(sorted, (Py_ssize_t)i));
        if (list)
                CHANGE(result, skep_list_permute(list, snapshot.entries, order, snapshot.count));
        PyMem_Free(order);
        Py_XDECREF(sorted);
        if (objects)
                snapshot_end(&snapshot);
        Py_XDECREF(objects);
        return result;
}

PyDoc_STRVAR(sort_doc, "sort(*, key=None, reverse=False)\n--\n\n"
                       "Sort, as list.sort() does.  If another one changes the list meanwhile, it is sorted anew; so not while it never rests.");
static PyObject *list_sort(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"key", "reverse", NULL};
        PyObject *key = Py_None;
        int reverse = 0, result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$Op:sort", keywords, &key, &reverse))
                return NULL;
        do
                result = sort_once(self, key, reverse);
        while (result == -EAGAIN);
        return result == 0 ? none_or_raise(self, 0) : list_raise(self, result);
}

/* --- writing --- */

/* Items of many objects. */
struct many {
        struct given *given;
        struct skep_item *items;
        Py_ssize_t count;
};

static void many_end(struct many *many)
{
        for (Py_ssize_t i = 0; i < many->count; i++)
                given_end(&many->given[i]);
        PyMem_Free(many->given);
        PyMem_Free(many->items);
}

/* @return 0; -1 with an exception */
static int many_from(PyObject *self, PyObject *iterable, struct many *ret_many)
{
        PyObject *source = plain(self, iterable), *sequence = source ? PySequence_Fast(source, "can only assign an iterable") : NULL;
        Py_ssize_t count = sequence ? PySequence_Fast_GET_SIZE(sequence) : 0;

        *ret_many = (struct many){0};
        Py_XDECREF(source);
        if (!sequence)
                return -1;
        ret_many->given = PyMem_New(struct given, (size_t)count + 1);
        ret_many->items = PyMem_New(struct skep_item, (size_t)count + 1);
        if (!ret_many->given || !ret_many->items)
                PyErr_NoMemory();
        while (!PyErr_Occurred() && ret_many->count < count && ret_many->count < PySequence_Fast_GET_SIZE(sequence)) {
                PyObject *object = PySequence_Fast_GET_ITEM(sequence, ret_many->count);

                Py_INCREF(object); /* code of its type runs, which may change the sequence */
                if (item_from(state_of(self), as_shared(self)->hive, object, &ret_many->given[ret_many->count]) == 0) {
                        ret_many->items[ret_many->count] = ret_many->given[ret_many->count].item;
                        ret_many->count++;
                }
                Py_DECREF(object);
        }
        Py_DECREF(sequence);
        if (!PyErr_Occurred())
                return 0;
        many_end(ret_many);
        return -1;
}

static int assign_slice(PyObject *self, struct skep_slice slice, PyObject *value)
{
        skep_list *list = shared_handle(self);
        uint64_t wanted = 0;
        struct many many;
        int result;

        if (!list)
                return -1;
        if (!value) {
                CHANGE(result, skep_list_delete_slice(list, slice));
        } else {
                if (many_from(self, value, &many) < 0)
                        return -1;
                CHANGE(result, skep_list_set_slice(list, slice, many.items, (uint64_t)many.count, &wanted));
                if (result == -ERANGE)
                        PyErr_Format(PyExc_ValueError, "attempt to assign sequence of size %zd to extended slice of size %llu", many.count,
                                     (unsigned long long)wanted);
                many_end(&many);
        }
        if (result < 0 && !PyErr_Occurred())
                list_raise(self, result);
        return result < 0 ? -1 : 0;
}

static int assign_at(PyObject *self, Py_ssize_t index, PyObject *value)
{
        skep_list *list = shared_handle(self);
        struct given given;
        int result;

        if (!list)
                return -1;
        if (!value) {
                CHANGE(result, skep_list_pop(list, index, NULL));
        } else {
                if (item_from(state_of(self), as_shared(self)->hive, value, &given) < 0)
                        return -1;
                CHANGE(result, skep_list_set(list, index, &given.item));
                given_end(&given);
        }
        if (result == -ERANGE)
                PyErr_SetString(PyExc_IndexError, "list assignment index out of range");
        else if (result < 0)
                list_raise(self, result);
        return result < 0 ? -1 : 0;
}

static int list_assign_subscript(PyObject *self, PyObject *subscript, PyObject *value)
{
        struct skep_slice slice;
        Py_ssize_t index;
        int kind = subscript_from(subscript, &index, &slice);

        if (kind < 0)
                return -1;
        return kind ? assign_at(self, index, value) : assign_slice(self, slice, value);
}

PyDoc_STRVAR(append_doc, "append(object)\n--\n\nAppend it.  MemoryError: the hive is full.");
static PyObject *list_append(PyObject *self, PyObject *object)
{
        skep_list *list = shared_handle(self);
        struct given given;
        int result;

        if (!list || item_from(state_of(self), as_shared(self)->hive, object, &given) < 0)
                return NULL;
        CHANGE(result, skep_list_append(list, &given.item));
        given_end(&given);
        return none_or_raise(self, result);
}

static const struct skep_slice behind = {INT64_MAX, INT64_MAX, 1};

PyDoc_STRVAR(extend_doc, "extend(iterable)\n--\n\nAppend all, in one step.");
static PyObject *list_extend(PyObject *self, PyObject *iterable)
{
        if (assign_slice(self, behind, iterable) < 0)
                return NULL;
        Py_RETURN_NONE;
}

PyDoc_STRVAR(insert_doc, "insert(index, object)\n--\n\nInsert it before the index.");
static PyObject *list_insert(PyObject *self, PyObject *args)
{
        skep_list *list = shared_handle(self);
        struct given given;
        Py_ssize_t index;
        PyObject *object;
        int result;

        if (!list || !PyArg_ParseTuple(args, "nO:insert", &index, &object) || item_from(state_of(self), as_shared(self)->hive, object, &given) < 0)
                return NULL;
        CHANGE(result, skep_list_insert(list, index, &given.item));
        given_end(&given);
        return none_or_raise(self, result);
}

PyDoc_STRVAR(pop_doc, "pop(index=-1)\n--\n\nTake an item out.  IndexError: there is none.");
static PyObject *list_pop(PyObject *self, PyObject *args)
{
        skep_list *list = shared_handle(self);
        struct skep_item item;
        Py_ssize_t index = -1;
        int result;

        if (!list || !PyArg_ParseTuple(args, "|n:pop", &index))
                return NULL;
        CHANGE(result, skep_list_pop(list, index, &item));
        if (result == 0)
                return item_load(state_of(self), as_shared(self)->hive, &item);
        if (result == -ERANGE)
                PyErr_SetString(PyExc_IndexError, list_length(self) == 0 ? "pop from empty list" : "pop index out of range");
        return result == -ERANGE ? NULL : list_raise(self, result);
}

static PyObject *list_reverse(PyObject *self, PyObject *unused)
{
        skep_list *list = shared_handle(self);
        int result = WAIT_RAISED;

        (void)unused;
        if (list)
                CHANGE(result, skep_list_reverse(list));
        return result == 0 ? none_or_raise(self, 0) : list_raise(self, result);
}

static PyObject *list_clear(PyObject *self, PyObject *unused)
{
        skep_list *list = shared_handle(self);
        int result = WAIT_RAISED;

        (void)unused;
        if (list)
                CHANGE(result, skep_list_clear(list));
        return result == 0 ? none_or_raise(self, 0) : list_raise(self, result);
}

PyDoc_STRVAR(add_doc, "add(index, number)\n--\n\n"
                      "Add to the number there, in one step; what it is then.  TypeError: there is no number.  OverflowError: more than 64 bits.");
static PyObject *list_add(PyObject *self, PyObject *args)
{
        skep_list *list = shared_handle(self);
        struct skep_item sum, operand;
        PyObject *number;
        Py_ssize_t index;
        int result = 0;

        if (!list || !PyArg_ParseTuple(args, "nO:add", &index, &number))
                return NULL;
        if (PyFloat_Check(number)) {
                operand = skep_item_float(PyFloat_AS_DOUBLE(number));
        } else {
                PyObject *integer = PyNumber_Index(number);

                operand = skep_item_integer(integer ? PyLong_AsLongLong(integer) : -1);
                Py_XDECREF(integer);
                if (operand.integer == -1 && PyErr_Occurred())
                        return NULL;
        }
        CHANGE(result, skep_list_add(list, index, &operand, &sum));
        return result == 0 ? item_load(state_of(self), as_shared(self)->hive, &sum) : list_raise(self, result);
}

/* --- operators --- */

static PyObject *list_concat(PyObject *self, PyObject *other)
{
        PyObject *left = load_all(self), *right = left ? plain(self, other) : NULL, *result = NULL;

        if (right)
                result = PySequence_Concat(left, right);
        Py_XDECREF(right);
        Py_XDECREF(left);
        return result;
}

static PyObject *list_repeat(PyObject *self, Py_ssize_t times)
{
        PyObject *items = load_all(self), *result = items ? PySequence_Repeat(items, times) : NULL;

        Py_XDECREF(items);
        return result;
}

static PyObject *list_inplace_concat(PyObject *self, PyObject *iterable)
{
        if (assign_slice(self, behind, iterable) < 0)
                return NULL;
        Py_INCREF(self);
        return self;
}

static PyObject *list_inplace_repeat(PyObject *self, Py_ssize_t times)
{
        skep_list *list = shared_handle(self);
        int result = WAIT_RAISED;

        if (list)
                CHANGE(result, skep_list_repeat(list, times < 0 ? 0 : (uint64_t)times));
        if (result == -EOVERFLOW)
                return PyErr_NoMemory();
        if (result != 0)
                return list_raise(self, result);
        Py_INCREF(self);
        return self;
}

/* --- waiting --- */

PyDoc_STRVAR(version_doc, "version()\n--\n\nA number that is another one after each change: take it, look, and wait() for a change since.");
static PyObject *list_version(PyObject *self, PyObject *unused)
{
        skep_list *list = shared_handle(self);
        uint64_t version = 0;
        int result = WAIT_RAISED;

        (void)unused;
        if (list)
                CHANGE(result, skep_list_version(list, &version));
        return result == 0 ? PyLong_FromUnsignedLongLong(version) : list_raise(self, result);
}

struct wait_context {
        skep_list *list;
        uint64_t version;
};

static int attempt_wait(void *pointer, skep_deadline deadline)
{
        const struct wait_context *context = pointer;

        return skep_list_wait(context->list, context->version, deadline);
}

PyDoc_STRVAR(wait_doc, "wait(version, timeout=None)\n--\n\nWait until the list's version is another one.  Returns whether it is.");
static PyObject *list_wait(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"version", "timeout", NULL};
        struct wait_context context = {.list = shared_handle(self)};
        unsigned long long version;
        PyObject *timeout = NULL;
        struct patience patience;
        int result;

        if (!context.list || !PyArg_ParseTupleAndKeywords(args, kwargs, "K|O:wait", keywords, &version, &timeout) ||
            patience_from(NULL, timeout, &patience) < 0)
                return NULL;
        context.version = version;
        result = wait_for(attempt_wait, &context, &patience, hive_is_remote(as_shared(self)->hive));
        if (result == 0 || result == -ETIMEDOUT)
                return PyBool_FromLong(result == 0);
        return list_raise(self, result);
}

static PyMethodDef list_methods[] = {
        SHARED_METHODS(list),
        {"append", list_append, METH_O, append_doc},
        {"extend", list_extend, METH_O, extend_doc},
        {"insert", list_insert, METH_VARARGS, insert_doc},
        {"pop", list_pop, METH_VARARGS, pop_doc},
        {"remove", list_remove, METH_O, remove_doc},
        {"index", list_index, METH_VARARGS, index_doc},
        {"count", list_count, METH_O, count_doc},
        {"reverse", list_reverse, METH_NOARGS, "reverse()\n--\n\nReverse the order."},
        {"sort", (PyCFunction)(void (*)(void))list_sort, METH_VARARGS | METH_KEYWORDS, sort_doc},
        {"clear", list_clear, METH_NOARGS, "clear()\n--\n\nDelete all items."},
        {"copy", list_copy, METH_NOARGS, "copy()\n--\n\nThe items as they were at one moment, as a list of this process."},
        {"add", list_add, METH_VARARGS, add_doc},
        {"compare_and_set", list_compare_and_set, METH_VARARGS, compare_and_set_doc},
        {"version", list_version, METH_NOARGS, version_doc},
        {"wait", (PyCFunction)(void (*)(void))list_wait, METH_VARARGS | METH_KEYWORDS, wait_doc},
        {"__reversed__", list_reversed, METH_NOARGS, reversed_doc},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef list_getset[] = {
        SHARED_ATTRIBUTES,
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(list_doc, "List(hive, name=None, capacity=0)\n--\n\nA list in a hive.");

static PyType_Slot list_slots[] = {
        {Py_tp_doc, (void *)list_doc},
        {Py_tp_new, (void *)shared_new},
        {Py_tp_init, (void *)list_init},
        {Py_tp_dealloc, (void *)shared_dealloc},
        {Py_tp_methods, list_methods},
        {Py_tp_getset, list_getset},
        {Py_tp_iter, (void *)list_iter},
        {Py_tp_richcompare, (void *)list_richcompare},
        {Py_tp_hash, (void *)PyObject_HashNotImplemented},
        {Py_sq_length, (void *)list_length},
        {Py_sq_item, (void *)list_item},
        {Py_sq_contains, (void *)list_contains},
        {Py_sq_concat, (void *)list_concat},
        {Py_sq_repeat, (void *)list_repeat},
        {Py_sq_inplace_concat, (void *)list_inplace_concat},
        {Py_sq_inplace_repeat, (void *)list_inplace_repeat},
        {Py_mp_length, (void *)list_length},
        {Py_mp_subscript, (void *)list_subscript},
        {Py_mp_ass_subscript, (void *)list_assign_subscript},
        {0, NULL},
};

PyType_Spec list_spec = {
        .name = "skep._core.List",
        .basicsize = sizeof(struct shared_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = list_slots,
};
