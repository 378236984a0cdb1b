/* SPDX-License-Identifier: Apache-2.0 */
/* array_type.c - skep._core.Array: an array in a hive, seen through the buffer protocol */
#include "state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Shape and strides are handed to buffers as they lie in the handle. */
static_assert(sizeof(Py_ssize_t) == sizeof(int64_t), "skep needs a 64-bit Python");

static const char *const formats[SKEP_ELEMENT_COUNT] = {
        [SKEP_ELEMENT_BOOL] = "?", [SKEP_ELEMENT_I8] = "b",  [SKEP_ELEMENT_U8] = "B",  [SKEP_ELEMENT_I16] = "h",
        [SKEP_ELEMENT_U16] = "H",  [SKEP_ELEMENT_I32] = "i", [SKEP_ELEMENT_U32] = "I", [SKEP_ELEMENT_I64] = "l",
        [SKEP_ELEMENT_U64] = "L",  [SKEP_ELEMENT_F16] = "e", [SKEP_ELEMENT_F32] = "f", [SKEP_ELEMENT_F64] = "d",
        [SKEP_ELEMENT_C64] = "Zf", [SKEP_ELEMENT_C128] = "Zd",
};

/* As __array_interface__ writes them. */
static const char *const typestrs[SKEP_ELEMENT_COUNT] = {
        [SKEP_ELEMENT_BOOL] = "|b1", [SKEP_ELEMENT_I8] = "|i1",  [SKEP_ELEMENT_U8] = "|u1",  [SKEP_ELEMENT_I16] = "<i2",
        [SKEP_ELEMENT_U16] = "<u2",  [SKEP_ELEMENT_I32] = "<i4", [SKEP_ELEMENT_U32] = "<u4", [SKEP_ELEMENT_I64] = "<i8",
        [SKEP_ELEMENT_U64] = "<u8",  [SKEP_ELEMENT_F16] = "<f2", [SKEP_ELEMENT_F32] = "<f4", [SKEP_ELEMENT_F64] = "<f8",
        [SKEP_ELEMENT_C64] = "<c8",  [SKEP_ELEMENT_C128] = "<c16",
};
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "typestrs");

uint32_t element_from_format(const char *format)
{
        if (!format)
                return SKEP_ELEMENT_U8;
        if (strcmp(format, "q") == 0)
                return SKEP_ELEMENT_I64;
        if (strcmp(format, "Q") == 0)
                return SKEP_ELEMENT_U64;
        for (uint32_t element = 1; element < SKEP_ELEMENT_COUNT; element++)
                if (strcmp(format, formats[element]) == 0)
                        return element;
        return 0;
}

const char *format_of_element(uint32_t element)
{
        return element && element < SKEP_ELEMENT_COUNT ? formats[element] : NULL;
}

static uint32_t element_from_name(PyObject *name)
{
        const char *text = PyUnicode_AsUTF8(name);

        if (!text)
                return 0;
        for (uint32_t element = 1; element < SKEP_ELEMENT_COUNT; element++)
                if (strcmp(text, skep_element_name(element)) == 0)
                        return element;
        PyErr_Format(PyExc_TypeError, "a hive has no elements of type '%s'", text);
        return 0;
}

static struct array_object *as_array(PyObject *self)
{
        return (struct array_object *)self;
}

PyObject *array_wrap(struct core_state *state, PyObject *hive, skep_array *array)
{
        PyObject *self = state->array_type->tp_alloc(state->array_type, 0);

        if (!self) {
                skep_array_unref(array);
                return NULL;
        }
        as_array(self)->state = state;
        Py_INCREF(hive);
        as_array(self)->hive = hive;
        as_array(self)->array = array;
        return self;
}

/* An int or a sequence of ints, not negative. @return number of dimensions; -1 with an exception */
static int shape_from(PyObject *object, uint64_t shape[SKEP_ARRAY_DIMENSION_MAX])
{
        PyObject *sequence;
        Py_ssize_t count;

        if (PyIndex_Check(object)) {
                Py_ssize_t length = PyNumber_AsSsize_t(object, PyExc_OverflowError);

                if (length < 0) {
                        if (!PyErr_Occurred())
                                PyErr_SetString(PyExc_ValueError, "negative dimensions are not allowed");
                        return -1;
                }
                shape[0] = (uint64_t)length;
                return 1;
        }
        sequence = PySequence_Fast(object, "shape must be an int or a sequence of ints");
        if (!sequence)
                return -1;
        count = PySequence_Fast_GET_SIZE(sequence);
        if (count > SKEP_ARRAY_DIMENSION_MAX) {
                PyErr_Format(PyExc_ValueError, "at most %d dimensions", SKEP_ARRAY_DIMENSION_MAX);
                count = -1;
        }
        for (Py_ssize_t i = 0; i < count; i++) {
                Py_ssize_t length = PyNumber_AsSsize_t(PySequence_Fast_GET_ITEM(sequence, i), PyExc_OverflowError);

                if (length < 0) {
                        if (!PyErr_Occurred())
                                PyErr_SetString(PyExc_ValueError, "negative dimensions are not allowed");
                        count = -1;
                        break;
                }
                shape[i] = (uint64_t)length;
        }
        Py_DECREF(sequence);
        return (int)count;
}

static PyObject *array_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"hive", "shape", "dtype", "zero", NULL};
        struct core_state *state = state_of_type(type);
        uint64_t shape[SKEP_ARRAY_DIMENSION_MAX];
        PyObject *hive_object, *shape_object, *name = NULL;
        skep_array *array = NULL;
        skep_hive *hive;
        uint32_t element = SKEP_ELEMENT_F64;
        int zero = 1, dimensions, result;

        if (!state || !PyArg_ParseTupleAndKeywords(args, kwargs, "OO|Up:Array", keywords, &hive_object, &shape_object, &name, &zero))
                return NULL;
        hive = hive_handle(state, hive_object);
        if (!hive)
                return NULL;
        dimensions = shape_from(shape_object, shape);
        if (dimensions < 0)
                return NULL;
        if (name && !(element = element_from_name(name)))
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        result = skep_array_create(hive,
                                   SKEP_ARRAY_OPTIONS(.element = element, .dimension_count = (uint32_t)dimensions, .shape = shape,
                                                      .flags = zero ? 0 : SKEP_ARRAY_UNINITIALIZED),
                                   &array);
        Py_END_ALLOW_THREADS
        if (result < 0) {
                uint64_t bytes = skep_element_bytes(element);

                for (int i = 0; i < dimensions; i++)
                        bytes *= shape[i];
                return raise_result(state, result, hive, bytes);
        }
        return array_wrap(state, hive_object, array);
}

static void array_dealloc(PyObject *self)
{
        PyTypeObject *type = Py_TYPE(self);

        skep_array_unref(as_array(self)->array);
        Py_XDECREF(as_array(self)->hive); /* after the handle that lives in it */
        type->tp_free(self);
        Py_DECREF(type);
}

static int array_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
        const skep_array *array = as_array(self)->array;

        view->obj = NULL;
        *view = (Py_buffer){
                .buf = skep_array_data(array),
                .len = (Py_ssize_t)skep_array_bytes(array),
                .itemsize = (Py_ssize_t)skep_element_bytes(skep_array_element(array)),
                .ndim = (int)skep_array_dimension_count(array),
                .format = (char *)formats[skep_array_element(array)],
                .shape = (Py_ssize_t *)skep_array_shape(array),
                .strides = (Py_ssize_t *)skep_array_strides(array),
        };
        if (((flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS && !PyBuffer_IsContiguous(view, 'C')) ||
            ((flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS && !PyBuffer_IsContiguous(view, 'F')) ||
            ((flags & PyBUF_ANY_CONTIGUOUS) == PyBUF_ANY_CONTIGUOUS && !PyBuffer_IsContiguous(view, 'A')) ||
            ((flags & PyBUF_STRIDES) != PyBUF_STRIDES && !PyBuffer_IsContiguous(view, 'C'))) {
                PyErr_SetString(PyExc_BufferError, "the elements do not lie in the order asked for");
                return -1;
        }
        if ((flags & PyBUF_STRIDES) != PyBUF_STRIDES)
                view->strides = NULL;
        if ((flags & PyBUF_ND) != PyBUF_ND) {
                view->shape = NULL;
                view->ndim = 1;
        }
        if ((flags & PyBUF_FORMAT) != PyBUF_FORMAT)
                view->format = NULL;
        Py_INCREF(self);
        view->obj = self;
        return 0;
}

PyDoc_STRVAR(view_doc, "view(offset, shape, strides=None, dtype=None)\n--\n\n"
                       "Another look at the same memory: offset of the first element from the start of the block and strides in bytes.");
static PyObject *array_view(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"offset", "shape", "strides", "dtype", NULL};
        struct core_state *state = as_array(self)->state;
        uint64_t shape[SKEP_ARRAY_DIMENSION_MAX];
        int64_t strides[SKEP_ARRAY_DIMENSION_MAX];
        PyObject *shape_object, *strides_object = Py_None, *name = NULL;
        unsigned long long offset;
        uint32_t element = skep_array_element(as_array(self)->array);
        skep_array *view;
        int dimensions, result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "KO|OU:view", keywords, &offset, &shape_object, &strides_object, &name))
                return NULL;
        dimensions = shape_from(shape_object, shape);
        if (dimensions < 0 || (name && !(element = element_from_name(name))))
                return NULL;
        if (strides_object != Py_None) {
                PyObject *sequence = PySequence_Fast(strides_object, "strides must be a sequence of ints");
                bool fits;

                if (!sequence)
                        return NULL;
                fits = PySequence_Fast_GET_SIZE(sequence) == dimensions;
                for (int i = 0; fits && i < dimensions; i++)
                        strides[i] = PyNumber_AsSsize_t(PySequence_Fast_GET_ITEM(sequence, i), PyExc_OverflowError);
                Py_DECREF(sequence);
                if (!fits)
                        PyErr_SetString(PyExc_ValueError, "shape and strides differ in length");
                if (PyErr_Occurred())
                        return NULL;
        }
        result = skep_array_view(as_array(self)->array, element, offset, (uint32_t)dimensions, shape,
                                 strides_object == Py_None ? NULL : strides, &view);
        if (result == -EINVAL) {
                PyErr_SetString(PyExc_ValueError, "elements would lie outside the block");
                return NULL;
        }
        if (result < 0)
                return raise_result(state, result, NULL, 0);
        return array_wrap(state, as_array(self)->hive, view);
}

static PyObject *array_get_shape(PyObject *self, void *strides)
{
        const skep_array *array = as_array(self)->array;
        Py_ssize_t count = (Py_ssize_t)skep_array_dimension_count(array);
        PyObject *tuple = PyTuple_New(count);

        for (Py_ssize_t i = 0; tuple && i < count; i++) {
                PyObject *item = strides ? PyLong_FromLongLong(skep_array_strides(array)[i])
                                         : PyLong_FromUnsignedLongLong(skep_array_shape(array)[i]);

                if (!item)
                        Py_CLEAR(tuple);
                else
                        PyTuple_SET_ITEM(tuple, i, item);
        }
        return tuple;
}

static PyObject *array_get_interface(PyObject *self, void *unused)
{
        const skep_array *array = as_array(self)->array;
        PyObject *shape = array_get_shape(self, NULL), *strides = array_get_shape(self, (void *)1), *interface = NULL;

        (void)unused;
        if (shape && strides)
                interface = Py_BuildValue("{s:i,s:s,s:O,s:O,s:(NO)}", "version", 3, "typestr", typestrs[skep_array_element(array)], "shape", shape,
                                          "strides", strides, "data", PyLong_FromVoidPtr(skep_array_data(array)), Py_False);
        Py_XDECREF(shape);
        Py_XDECREF(strides);
        return interface;
}

/* DLPack's structures are NumPy's business: its capsule keeps an ndarray, that keeps this, and this the hive. */
PyDoc_STRVAR(dlpack_doc, "__dlpack__(**options)\n--\n\nA DLPack capsule of the same memory, made by NumPy; options are those of ndarray.__dlpack__().");
static PyObject *array_dlpack(PyObject *self, PyObject *args, PyObject *kwargs)
{
        PyObject *numpy = PyImport_ImportModule("numpy"), *seen = NULL, *method = NULL, *capsule = NULL;

        if (numpy)
                seen = PyObject_CallMethod(numpy, "asarray", "O", self);
        if (seen)
                method = PyObject_GetAttrString(seen, "__dlpack__");
        if (method)
                capsule = PyObject_Call(method, args, kwargs);
        Py_XDECREF(method);
        Py_XDECREF(seen);
        Py_XDECREF(numpy);
        return capsule;
}

PyDoc_STRVAR(dlpack_device_doc, "__dlpack_device__()\n--\n\n(1, 0): memory of the processor (DLPack, enum DLDeviceType).");
static PyObject *array_dlpack_device(PyObject *self, PyObject *unused)
{
        (void)self;
        (void)unused;
        return Py_BuildValue("(ii)", 1, 0);
}

static PyObject *array_get_dtype(PyObject *self, void *unused)
{
        (void)unused;
        return PyUnicode_FromString(skep_element_name(skep_array_element(as_array(self)->array)));
}

static PyObject *array_get_nbytes(PyObject *self, void *unused)
{
        (void)unused;
        return PyLong_FromUnsignedLongLong(skep_array_bytes(as_array(self)->array));
}

static PyObject *array_get_offset(PyObject *self, void *unused)
{
        (void)unused;
        return PyLong_FromUnsignedLongLong(skep_array_offset(as_array(self)->array));
}

static PyObject *array_get_reference(PyObject *self, void *unused)
{
        skep_block block = skep_array_block(as_array(self)->array);

        (void)unused;
        return Py_BuildValue("(KK)", (unsigned long long)block.offset, (unsigned long long)block.serial);
}

static PyObject *array_get_hive(PyObject *self, void *unused)
{
        (void)unused;
        Py_INCREF(as_array(self)->hive);
        return as_array(self)->hive;
}

static PyMethodDef array_methods[] = {
        {"__dlpack__", (PyCFunction)(void (*)(void))array_dlpack, METH_VARARGS | METH_KEYWORDS, dlpack_doc},
        {"__dlpack_device__", array_dlpack_device, METH_NOARGS, dlpack_device_doc},
        {"view", (PyCFunction)(void (*)(void))array_view, METH_VARARGS | METH_KEYWORDS, view_doc},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef array_getset[] = {
        {"__array_interface__", array_get_interface, NULL, "The memory, as NumPy's array interface describes it (version 3).", NULL},
        {"shape", array_get_shape, NULL, "Elements per dimension.", NULL},
        {"strides", array_get_shape, NULL, "Bytes from one element to the next, per dimension.", (void *)1},
        {"dtype", array_get_dtype, NULL, "Name of the element type, as NumPy writes it.", NULL},
        {"nbytes", array_get_nbytes, NULL, "Number of elements times their size.", NULL},
        {"offset", array_get_offset, NULL, "Bytes from the start of the block to the first element.", NULL},
        {"reference", array_get_reference, NULL, "(offset, serial) of the block in its hive.", NULL},
        {"hive", array_get_hive, NULL, "The hive that the elements lie in.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(array_doc, "Array(hive, shape, dtype='float64', zero=True)\n--\n\n"
                        "An n-dimensional array in a hive.  numpy.asarray(array) and memoryview(array) see its memory without a copy\n"
                        "and keep it alive.  MemoryError: the hive is full.");

static PyType_Slot array_slots[] = {
        {Py_tp_doc, (void *)array_doc},
        {Py_tp_new, (void *)array_new},
        {Py_tp_dealloc, (void *)array_dealloc},
        {Py_tp_methods, array_methods},
        {Py_tp_getset, array_getset},
        {Py_bf_getbuffer, (void *)array_getbuffer},
        {0, NULL},
};

PyType_Spec array_spec = {
        .name = "skep._core.Array",
        .basicsize = sizeof(struct array_object),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = array_slots,
};
