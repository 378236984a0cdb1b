/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value_type.c - skep._core.Value: memory of a shared scalar or array, for ctypes to lie on, and its atomic functions
 *
 * Integers are converted as ctypes does it: what does not fit wraps to the element's width.
 */
#include "state.h"

#include <errno.h>
#include <string.h>

SHARED_FUNCTIONS(value)
static const struct shared_kind value_kind = SHARED_KIND(value, "Value");
SHARED_CLASS_METHODS(value)

static bool is_float(uint32_t element)
{
        return element == SKEP_ELEMENT_F32 || element == SKEP_ELEMENT_F64;
}

static int value_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"hive", "format", "item_bytes", "count", "name", "lock", "initial", NULL};
        struct shared_object *object = as_shared(self);
        struct skep_value_options options = {.options_bytes = sizeof options};
        const char *format = NULL;
        Py_ssize_t item_bytes = 0, count = 1;
        Py_buffer initial = {0};
        int lock = 0;
        PyObject *hive;
        skep_hive *hive_of;
        skep_value *handle = NULL;
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Oz|nnzpy*:Value", keywords, &hive, &format, &item_bytes, &count, &options.name, &lock,
                                         &initial) ||
            !(hive_of = shared_init_hive(self, hive)))
                goto failed;
        if (format && !(options.element = element_from_format(format))) {
                PyErr_Format(PyExc_TypeError, "a hive has no elements of format '%s'", format);
                goto failed;
        }
        if (item_bytes < 0 || count < 0) {
                PyErr_SetString(PyExc_ValueError, "sizes must not be negative");
                goto failed;
        }
        options.item_bytes = options.element ? skep_element_bytes(options.element) : (uint64_t)item_bytes;
        options.count = (uint64_t)count;
        options.flags = lock ? SKEP_VALUE_LOCK : 0;
        options.initial = count ? initial.buf : NULL;
        if (initial.obj && (uint64_t)initial.len != options.item_bytes * options.count) {
                PyErr_SetString(PyExc_ValueError, "initial is not as long as the elements");
                goto failed;
        }
        ASK(hive, result, skep_value_create(hive_of, &options, &handle));
        PyBuffer_Release(&initial);
        if (result == -EOVERFLOW || result == -ENOSPC) {
                raise_result(object->state, -ENOSPC, hive_of, result == -EOVERFLOW ? UINT64_MAX : options.item_bytes * options.count);
                return -1;
        }
        return shared_adopt(self, &value_kind, hive, result, handle);
failed:
        PyBuffer_Release(&initial);
        return -1;
}

/* The elements of a value of this machine. @return the handle; NULL with an exception */
static skep_value *value_here(PyObject *self)
{
        skep_value *value = shared_handle(self);

        if (!value || skep_value_data(value))
                return value;
        PyErr_SetString(PyExc_BufferError, "the memory is another machine's");
        return NULL;
}

static int value_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
        skep_value *value = value_here(self);

        view->obj = NULL;
        if (!value)
                return -1;
        return PyBuffer_FillInfo(view, self, skep_value_data(value), (Py_ssize_t)(skep_value_item_bytes(value) * skep_value_count(value)), 0, flags);
}

/* --- one Python object as an element --- */

/* The low 64 bits. @return 0; -1 with TypeError */
static int integer_from(PyObject *object, int64_t *ret_integer)
{
        if (PyLong_CheckExact(object)) {
                int overflow;

                *ret_integer = PyLong_AsLongLongAndOverflow(object, &overflow);
                if (!overflow)
                        return 0;
        }
        if (PyFloat_Check(object)) {
                PyErr_SetString(PyExc_TypeError, "int expected instead of float instance");
                return -1;
        }
        *ret_integer = (int64_t)PyLong_AsUnsignedLongLongMask(object);
        return *ret_integer == -1 && PyErr_Occurred() ? -1 : 0;
}

static int float_from(PyObject *object, double *ret_number)
{
        if (PyFloat_CheckExact(object)) {
                *ret_number = PyFloat_AS_DOUBLE(object);
                return 0;
        }
        *ret_number = PyFloat_AsDouble(object);
        return *ret_number == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* @param target  the element's bytes, unaligned @return 0; -1 with an exception */
static int element_from(uint32_t element, PyObject *object, void *target)
{
        int64_t integer;
        double number;
        float narrow;

        if (is_float(element)) {
                if (float_from(object, &number) < 0)
                        return -1;
                narrow = (float)number;
                memcpy(target, element == SKEP_ELEMENT_F64 ? (void *)&number : (void *)&narrow, skep_element_bytes(element));
                return 0;
        }
        if (element == SKEP_ELEMENT_BOOL) {
                int truth = PyObject_IsTrue(object);

                *(uint8_t *)target = truth > 0;
                return truth < 0 ? -1 : 0;
        }
        if (integer_from(object, &integer) < 0)
                return -1;
        memcpy(target, &integer, skep_element_bytes(element)); /* little-endian */
        return 0;
}

static PyObject *integer_object(uint32_t element, int64_t integer)
{
        if (element == SKEP_ELEMENT_BOOL)
                return PyBool_FromLong(integer != 0);
        return element == SKEP_ELEMENT_U64 ? PyLong_FromUnsignedLongLong((uint64_t)integer) : PyLong_FromLongLong(integer);
}

/* --- filling: one loop for each width, no object in between --- */

#define FILL_INTEGERS(type) \
        { \
                type *target = data; \
\
                for (Py_ssize_t i = 0; i < count; i++) { \
                        int64_t integer; \
\
                        if (i >= PySequence_Fast_GET_SIZE(sequence)) \
                                return i; \
                        if (integer_from(PySequence_Fast_GET_ITEM(sequence, i), &integer) < 0) \
                                return -1; \
                        target[i] = (type)integer; \
                } \
                return count; \
        }
#define FILL_FLOATS(type) \
        { \
                type *target = data; \
\
                for (Py_ssize_t i = 0; i < count; i++) { \
                        double number; \
\
                        if (i >= PySequence_Fast_GET_SIZE(sequence)) \
                                return i; \
                        if (float_from(PySequence_Fast_GET_ITEM(sequence, i), &number) < 0) \
                                return -1; \
                        target[i] = (type)number; \
                } \
                return count; \
        }

/* @return how many: a list may shrink when an element's own code runs; -1 with an exception */
static Py_ssize_t fill_sequence(uint32_t element, void *data, PyObject *sequence, Py_ssize_t count)
{
        switch (element) {
        case SKEP_ELEMENT_I8:
        case SKEP_ELEMENT_U8:
                FILL_INTEGERS(uint8_t)
        case SKEP_ELEMENT_I16:
        case SKEP_ELEMENT_U16:
                FILL_INTEGERS(uint16_t)
        case SKEP_ELEMENT_I32:
        case SKEP_ELEMENT_U32:
                FILL_INTEGERS(uint32_t)
        case SKEP_ELEMENT_I64:
        case SKEP_ELEMENT_U64:
                FILL_INTEGERS(uint64_t)
        case SKEP_ELEMENT_F32:
                FILL_FLOATS(float)
        case SKEP_ELEMENT_F64:
                FILL_FLOATS(double)
        default:
                break;
        }
        for (Py_ssize_t i = 0; i < count; i++) {
                if (i >= PySequence_Fast_GET_SIZE(sequence))
                        return i;
                if (element_from(element, PySequence_Fast_GET_ITEM(sequence, i), (char *)data + (size_t)i * skep_element_bytes(element)) < 0)
                        return -1;
        }
        return count;
}

#define FILL_RANGE(type) \
        { \
                type *target = data; \
\
                for (Py_ssize_t i = 0; i < count; i++) \
                        target[i] = (type)(first + (uint64_t)i * step); \
                return; \
        }

static void fill_range(uint32_t element, void *data, uint64_t first, uint64_t step, Py_ssize_t count)
{
        switch (skep_element_bytes(element)) {
        case 1:
                FILL_RANGE(uint8_t)
        case 2:
                FILL_RANGE(uint16_t)
        case 4:
                FILL_RANGE(uint32_t)
        default:
                FILL_RANGE(uint64_t)
        }
}

/* @return 1 done; 0 not a range of small numbers; -1 with an exception */
static int try_range(uint32_t element, void *data, PyObject *object, Py_ssize_t count)
{
        static const char *const names[] = {"start", "step"};
        long long numbers[2];

        if (!PyRange_Check(object) || is_float(element) || element == SKEP_ELEMENT_BOOL)
                return 0;
        for (int i = 0; i < 2; i++) {
                PyObject *number = PyObject_GetAttrString(object, names[i]);
                int overflow;

                if (!number)
                        return -1;
                numbers[i] = PyLong_AsLongLongAndOverflow(number, &overflow);
                Py_DECREF(number);
                if (overflow)
                        return 0;
        }
        fill_range(element, data, (uint64_t)numbers[0], (uint64_t)numbers[1], count);
        return 1;
}

/* @return 1 done; 0 not a buffer of the same elements, in order */
static int try_buffer(uint32_t element, void *data, PyObject *object, Py_ssize_t count)
{
        Py_buffer view;
        bool same;

        if (!PyObject_CheckBuffer(object))
                return 0;
        if (PyObject_GetBuffer(object, &view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) < 0) {
                PyErr_Clear();
                return 0;
        }
        same = view.ndim == 1 && element_from_format(view.format) == element && view.len == count * (Py_ssize_t)skep_element_bytes(element);
        if (same)
                memcpy(data, view.buf, (size_t)view.len);
        PyBuffer_Release(&view);
        return same;
}

PyDoc_STRVAR(fill_doc, "_fill(sequence)\n--\n\n"
                       "Set all elements from a sequence that is as long.  ValueError: it is not.  TypeError: an element is of the wrong type.");
static PyObject *value_fill(PyObject *self, PyObject *object)
{
        skep_value *value = value_here(self);
        Py_ssize_t count, length;
        uint32_t element;
        void *data;
        int done;

        if (!value || (length = PyObject_Size(object)) < 0)
                return NULL;
        element = skep_value_element(value);
        data = skep_value_data(value);
        count = (Py_ssize_t)skep_value_count(value);
        done = length == count && element ? try_range(element, data, object, count) : 0;
        if (done == 0 && length == count && element)
                done = try_buffer(element, data, object, count);
        if (done == 0 && element) {
                PyObject *sequence = PySequence_Fast(object, "a sequence is needed");

                if (!sequence)
                        return NULL;
                length = PySequence_Fast_GET_SIZE(sequence);
                if (length == count)
                        length = fill_sequence(element, data, sequence, count);
                Py_DECREF(sequence);
                done = length == count ? 1 : PyErr_Occurred() ? -1 : 0;
        }
        if (done > 0)
                Py_RETURN_NONE;
        if (done == 0)
                PyErr_Format(PyExc_ValueError, "%zd elements for %zd", length, count);
        return NULL;
}

/* --- atomic functions --- */

static PyObject *raise_atomic(PyObject *self, int result)
{
        if (result == -ERANGE)
                PyErr_SetString(PyExc_IndexError, "array index out of range");
        else if (result == -EPROTOTYPE)
                PyErr_SetString(PyExc_TypeError, "atomic functions are for integers, bool, float and double");
        else
                raise_result(as_shared(self)->state, result, NULL, 0);
        return NULL;
}

/* With @indexed the first argument, which may count from the end. @return the handle; NULL with an exception */
static skep_value *parse_index(PyObject *self, const char *function, bool indexed, PyObject *const **args, Py_ssize_t *count, Py_ssize_t wanted,
                               uint64_t *ret_index)
{
        skep_value *value = shared_handle(self);

        *ret_index = 0;
        if (!value)
                return NULL;
        if (*count != wanted + indexed) {
                PyErr_Format(PyExc_TypeError, "%s() takes %zd arguments, not %zd", function, wanted + indexed, *count);
                return NULL;
        }
        if (indexed) {
                Py_ssize_t index = PyNumber_AsSsize_t((*args)[0], PyExc_IndexError);

                if (index == -1 && PyErr_Occurred())
                        return NULL;
                *ret_index = (uint64_t)(index < 0 ? index + (Py_ssize_t)skep_value_count(value) : index);
                (*args)++;
                (*count)--;
        }
        return value;
}

/* add and exchange: one operand, and what was there is returned */
#define ATOMIC(name, function) \
        static PyObject *name(PyObject *self, bool indexed, PyObject *const *args, Py_ssize_t count) \
        { \
                uint64_t index; \
                skep_value *value = parse_index(self, #name, indexed, &args, &count, 1, &index); \
                int64_t integer = 0; \
                double number = 0; \
                int result; \
\
                if (!value) \
                        return NULL; \
                if (is_float(skep_value_element(value))) { \
                        if (float_from(args[0], &number) < 0) \
                                return NULL; \
                        ASK(as_shared(self)->hive, result, skep_value_##function##_f64(value, index, number, &number)); \
                        return result == 0 ? PyFloat_FromDouble(number) : raise_atomic(self, result); \
                } \
                if (integer_from(args[0], &integer) < 0) \
                        return NULL; \
                ASK(as_shared(self)->hive, result, skep_value_##function##_i64(value, index, integer, &integer)); \
                return result == 0 ? integer_object(skep_value_element(value), integer) : raise_atomic(self, result); \
        } \
        static PyObject *value_##name(PyObject *self, PyObject *const *args, Py_ssize_t count) \
        { \
                return name(self, false, args, count); \
        } \
        static PyObject *value_##name##_at(PyObject *self, PyObject *const *args, Py_ssize_t count) \
        { \
                return name(self, true, args, count); \
        }

ATOMIC(add, fetch_add)
ATOMIC(exchange, exchange)

static PyObject *load(PyObject *self, bool indexed, PyObject *const *args, Py_ssize_t count)
{
        uint64_t index;
        skep_value *value = parse_index(self, "load", indexed, &args, &count, 0, &index);
        int64_t integer;
        double number;
        int result;

        if (!value)
                return NULL;
        if (is_float(skep_value_element(value))) {
                ASK(as_shared(self)->hive, result, skep_value_load_f64(value, index, &number));
                return result == 0 ? PyFloat_FromDouble(number) : raise_atomic(self, result);
        }
        ASK(as_shared(self)->hive, result, skep_value_load_i64(value, index, &integer));
        return result == 0 ? integer_object(skep_value_element(value), integer) : raise_atomic(self, result);
}

static PyObject *value_load(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        return load(self, false, args, count);
}

static PyObject *value_load_at(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        return load(self, true, args, count);
}

static PyObject *compare_exchange(PyObject *self, bool indexed, PyObject *const *args, Py_ssize_t count)
{
        uint64_t index;
        skep_value *value = parse_index(self, "compare_exchange", indexed, &args, &count, 2, &index);
        int64_t old_integer, new_integer;
        double old_number, new_number;
        int result;

        if (!value)
                return NULL;
        if (is_float(skep_value_element(value))) {
                if (float_from(args[0], &old_number) < 0 || float_from(args[1], &new_number) < 0)
                        return NULL;
                ASK(as_shared(self)->hive, result, skep_value_compare_exchange_f64(value, index, &old_number, new_number));
        } else {
                if (integer_from(args[0], &old_integer) < 0 || integer_from(args[1], &new_integer) < 0)
                        return NULL;
                ASK(as_shared(self)->hive, result, skep_value_compare_exchange_i64(value, index, &old_integer, new_integer));
        }
        return result == 0 || result == -EAGAIN ? PyBool_FromLong(result == 0) : raise_atomic(self, result);
}

static PyObject *value_compare_exchange(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        return compare_exchange(self, false, args, count);
}

static PyObject *value_compare_exchange_at(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        return compare_exchange(self, true, args, count);
}

/* --- waiting --- */

struct wait_context {
        skep_value *value;
        uint64_t index;
        const void *seen;
};

static int attempt_wait(void *pointer, skep_deadline deadline)
{
        struct wait_context *context = pointer;

        return skep_value_wait(context->value, context->index, context->seen, deadline);
}

/* @param seen  [item_bytes] @return 0; -1 with an exception */
static int seen_from(const skep_value *value, uint64_t index, PyObject *object, void *seen)
{
        uint64_t item_bytes = skep_value_item_bytes(value);
        Py_buffer view;

        if (!object && !skep_value_data(value)) {
                PyErr_SetString(PyExc_ValueError, "say what was seen: the memory is another machine's");
                return -1;
        }
        if (!object) {
                memcpy(seen, (const char *)skep_value_data(value) + index * item_bytes, item_bytes);
                return 0;
        }
        if (skep_value_element(value))
                return element_from(skep_value_element(value), object, seen);
        if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) < 0)
                return -1;
        if (view.len == (Py_ssize_t)item_bytes)
                memcpy(seen, view.buf, item_bytes);
        else
                PyErr_Format(PyExc_ValueError, "seen has %zd bytes, not %llu", view.len, (unsigned long long)item_bytes);
        PyBuffer_Release(&view);
        return view.len == (Py_ssize_t)item_bytes ? 0 : -1;
}

PyDoc_STRVAR(wait_doc, "_wait(index, seen, timeout)\n--\n\n"
                       "Wait until the item differs from seen (an element; for other items, their bytes; None: what it is now).  False: the time ran out.");
static PyObject *value_wait(PyObject *self, PyObject *args)
{
        PyObject *seen, *timeout;
        struct wait_context context = {.value = shared_handle(self)};
        struct patience patience;
        Py_ssize_t index;
        void *memory;
        int result;

        if (!context.value || !PyArg_ParseTuple(args, "nOO:_wait", &index, &seen, &timeout) || patience_from(NULL, timeout, &patience) < 0)
                return NULL;
        context.index = (uint64_t)(index < 0 ? index + (Py_ssize_t)skep_value_count(context.value) : index);
        if (context.index >= skep_value_count(context.value))
                return raise_atomic(self, -ERANGE);
        memory = PyMem_Malloc(skep_value_item_bytes(context.value));
        if (!memory)
                return PyErr_NoMemory();
        context.seen = memory;
        result = seen_from(context.value, context.index, seen == Py_None ? NULL : seen, memory);
        if (result == 0)
                result = wait_for(attempt_wait, &context, &patience, hive_is_remote(as_shared(self)->hive));
        else
                result = WAIT_RAISED;
        PyMem_Free(memory);
        if (result == 0)
                Py_RETURN_TRUE;
        if (result == -ETIMEDOUT)
                Py_RETURN_FALSE;
        return raise_atomic(self, result);
}

static PyObject *value_changed(PyObject *self, PyObject *unused)
{
        skep_value *value = shared_handle(self);

        (void)unused;
        if (!value)
                return NULL;
        (void)skep_value_changed(value); /* another machine's changes by functions only, and they tell */
        Py_RETURN_NONE;
}

/* --- its lock, facts --- */

static int attempt_acquire(void *value, skep_deadline deadline)
{
        return skep_value_acquire(value, deadline);
}

PyDoc_STRVAR(acquire_doc, "acquire(block=True, timeout=None)\n--\n\nTake the value's own lock, an RLock; whether it was taken.");
static PyObject *value_acquire(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        struct patience patience = {.deadline = skep_forever(), .blocks = true};
        skep_value *value = shared_handle(self);
        int result;

        if (!value || ((count || names) && parse_waiting(as_shared(self)->state, "acquire", args, count, names, 0, &patience) < 0))
                return NULL;
        result = wait_for(attempt_acquire, value, &patience, hive_is_remote(as_shared(self)->hive));
        if (result == SKEP_OWNER_DIED && owner_died_news(self) < 0) {
                (void)skep_value_release(value);
                return NULL;
        }
        if (result == 0 || result == SKEP_OWNER_DIED)
                Py_RETURN_TRUE;
        if (result == -ETIMEDOUT)
                Py_RETURN_FALSE;
        return raise_result(as_shared(self)->state, result, NULL, 0);
}

PyDoc_STRVAR(release_doc, "release()\n--\n\nRelease the value's own lock.  AssertionError: it is not this thread's.");
static PyObject *value_release(PyObject *self, PyObject *unused)
{
        skep_value *value = shared_handle(self);
        int result;

        (void)unused;
        if (!value)
                return NULL;
        ASK(as_shared(self)->hive, result, skep_value_release(value));
        if (result == 0)
                Py_RETURN_NONE;
        if (result != -EPERM)
                return raise_result(as_shared(self)->state, result, NULL, 0);
        PyErr_SetString(PyExc_AssertionError, "attempt to release recursive lock not owned by thread");
        return NULL;
}

static PyObject *value_get_element(PyObject *self, void *unused)
{
        skep_value *value = shared_handle(self);
        const char *format;

        (void)unused;
        if (!value)
                return NULL;
        format = format_of_element(skep_value_element(value));
        if (format)
                return PyUnicode_FromString(format);
        Py_RETURN_NONE;
}

static PyObject *value_get_count(PyObject *self, void *unused)
{
        skep_value *value = shared_handle(self);

        (void)unused;
        return value ? PyLong_FromUnsignedLongLong(skep_value_count(value)) : NULL;
}

#define FAST_ARGUMENTS(function) ((PyCFunction)(void (*)(void))(function)), METH_FASTCALL

static PyMethodDef value_methods[] = {
        SHARED_METHODS(value),
        {"_fill", value_fill, METH_O, fill_doc},
        {"add", FAST_ARGUMENTS(value_add), "add(n)\n--\n\nAdd in one step; returns what was there."},
        {"exchange", FAST_ARGUMENTS(value_exchange), "exchange(new)\n--\n\nStore in one step; returns what was there."},
        {"compare_exchange", FAST_ARGUMENTS(value_compare_exchange), "compare_exchange(old, new)\n--\n\nStore new if it is old, in one step; whether it was."},
        {"add_at", FAST_ARGUMENTS(value_add_at), "add_at(index, n)\n--\n\nadd() on one element."},
        {"exchange_at", FAST_ARGUMENTS(value_exchange_at), "exchange_at(index, new)\n--\n\nexchange() on one element."},
        {"compare_exchange_at", FAST_ARGUMENTS(value_compare_exchange_at), "compare_exchange_at(index, old, new)\n--\n\ncompare_exchange() on one element."},
        {"_wait", value_wait, METH_VARARGS, wait_doc},
        {"load", FAST_ARGUMENTS(value_load), "load()\n--\n\nThe element."},
        {"load_at", FAST_ARGUMENTS(value_load_at), "load_at(index)\n--\n\nload() of one element."},
        {"acquire", FAST(value_acquire), acquire_doc},
        {"release", value_release, METH_NOARGS, release_doc},
        {"changed", value_changed, METH_NOARGS, "changed()\n--\n\nTell who waits that the memory was changed directly."},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef value_getset[] = {
        SHARED_ATTRIBUTES,
        {"format", value_get_element, NULL, "Format character of an element; None: of items of other sizes.", NULL},
        {"count", value_get_count, NULL, "How many elements.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(value_doc, "Value(hive, format, item_bytes=0, count=1, name=None, lock=False, initial=b'')\n--\n\n"
                        "Memory in a hive: count elements of a format character, or, if that is None, items of any size; of the bytes initial, or\n"
                        "zeros.  A writable buffer, but for another machine's.  lock: with a recursive lock of its own.");

static PyType_Slot value_slots[] = {
        {Py_tp_doc, (void *)value_doc},
        {Py_tp_new, (void *)shared_new},
        {Py_tp_init, (void *)value_init},
        {Py_tp_dealloc, (void *)shared_dealloc},
        {Py_tp_methods, value_methods},
        {Py_tp_getset, value_getset},
        {Py_bf_getbuffer, (void *)value_getbuffer},
        {0, NULL},
};

PyType_Spec value_spec = {
        .name = "skep._core.Value",
        .basicsize = sizeof(struct shared_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = value_slots,
};
