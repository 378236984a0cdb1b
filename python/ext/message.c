/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.c - which object goes as what kind of message
 *
 *   object                                     message   the receiver gets
 *   bytes                                      BYTES     bytes
 *   numpy.ndarray in the queue's hive          ARRAY     the same memory: made by skep, or through its allocator
 *     ... read-only, or of other elements      PICKLE    the same memory (pickle.c, skep.arrays)
 *   numpy.ndarray elsewhere, plain elements    ARRAY     memory of its own: copied once, into the hive
 *   everything else                            PICKLE    what pickle makes of it
 *
 * An ndarray goes by pickle if it has no elements, or elements that a hive does not know (structures, text, foreign byte
 * order), or more dimensions than a slot can describe.  What is pickled may still be a reference (pickle.c).
 */
#include "state.h"

#include <errno.h>
#include <string.h>

int message_put_failed(struct core_state *state, skep_queue *queue, int result, uint64_t bytes)
{
        if (result == -ETIMEDOUT)
                PyErr_SetNone(state->full);
        else if (result == -ESHUTDOWN)
                PyErr_SetString(PyExc_ValueError, "Queue is closed"); /* queue_type.c knows whose */
        else
                raise_result(state, result, skep_queue_hive(queue), bytes);
        return -1;
}

/* --- bytes --- */

struct bytes_context {
        skep_queue *queue;
        const void *data;
        size_t bytes;
};

static int attempt_bytes(void *pointer, skep_deadline deadline)
{
        struct bytes_context *context = pointer;

        return skep_queue_put(context->queue, context->data, context->bytes, deadline);
}

static int put_bytes(struct core_state *state, skep_queue *queue, PyObject *object, const struct patience *patience)
{
        struct bytes_context context = {.queue = queue, .data = PyBytes_AS_STRING(object), .bytes = (size_t)PyBytes_GET_SIZE(object)};
        int result;

        /* A large message is copied once, however many slices the wait for a place takes. */
        if (context.bytes >= COPY_WITHOUT_GIL_BYTES) {
                Py_buffer part = {.buf = PyBytes_AS_STRING(object), .len = PyBytes_GET_SIZE(object)};

                return put_parts(state, queue, SKEP_MESSAGE_BYTES, &part, 1, patience);
        }
        result = wait_for(attempt_bytes, &context, patience, skep_hive_is_remote(skep_queue_hive(queue)));
        return result == 0 ? 0 : message_put_failed(state, queue, result, context.bytes);
}

static PyObject *load_bytes(const struct skep_loan *loan)
{
        PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)loan->bytes);

        if (bytes)
                copy_bytes(PyBytes_AS_STRING(bytes), loan->data, loan->bytes);
        return bytes;
}

/* --- arrays --- */

/* Fetch what is needed of numpy, which somebody has imported or may be imported. @return 0; -1 with an exception */
static int numpy_adopt(struct core_state *state, PyObject *numpy)
{
        PyObject *ndarray = PyObject_GetAttrString(numpy, "ndarray");
        PyObject *asarray = PyObject_GetAttrString(numpy, "asarray");
        PyObject *copyto = PyObject_GetAttrString(numpy, "copyto");
        PyObject *recarray = PyObject_GetAttrString(numpy, "recarray");

        if (!ndarray || !asarray || !copyto || !recarray) {
                Py_XDECREF(ndarray);
                Py_XDECREF(asarray);
                Py_XDECREF(copyto);
                Py_XDECREF(recarray);
                return -1;
        }
        Py_XSETREF(state->ndarray, ndarray);
        Py_XSETREF(state->numpy_asarray, asarray);
        Py_XSETREF(state->numpy_copyto, copyto);
        Py_XSETREF(state->recarray, recarray);
        return 0;
}

bool message_numpy(struct core_state *state)
{
        PyObject *name, *numpy;

        if (state->ndarray)
                return true;
        name = PyUnicode_InternFromString("numpy");
        numpy = name ? PyImport_GetModule(name) : NULL;
        if (numpy && numpy_adopt(state, numpy) < 0)
                Py_CLEAR(numpy);
        PyErr_Clear(); /* numpy half imported: then its arrays are objects like any other */
        Py_XDECREF(numpy);
        Py_XDECREF(name);
        return state->ndarray != NULL;
}

static bool is_ndarray(struct core_state *state, PyObject *object)
{
        if (!state->ndarray && (strcmp(Py_TYPE(object)->tp_name, "numpy.ndarray") != 0 || !message_numpy(state)))
                return false;
        return (PyObject *)Py_TYPE(object) == state->ndarray;
}

skep_array *message_array_beneath(struct core_state *state, PyObject *ndarray, PyObject **ret_hive)
{
        PyObject *object = ndarray, *owner = NULL;
        struct array_object *found = NULL;

        Py_INCREF(object);
        while (object && (PyMemoryView_Check(object) || (message_numpy(state) && PyObject_TypeCheck(object, (PyTypeObject *)state->ndarray)))) {
                PyObject *base;

                if (PyMemoryView_Check(object)) {
                        base = PyMemoryView_GET_BUFFER(object)->obj;
                        Py_XINCREF(base);
                } else {
                        base = PyObject_GetAttr(object, state->name_base);
                }
                owner = object; /* borrowed: ndarray keeps it */
                Py_DECREF(object);
                object = base;
        }
        if (!object) {
                PyErr_Clear();
                return NULL;
        }
        if (Py_TYPE(object) == state->array_type)
                found = (struct array_object *)object;
        Py_DECREF(object); /* borrowed from here on: ndarray keeps it */
        if (!found)
                return object == Py_None && owner ? allocator_array(owner, ret_hive) : NULL;
        *ret_hive = found->hive;
        return found->array;
}

struct array_context {
        skep_queue *queue;
        skep_array *array;
};

static int attempt_array(void *pointer, skep_deadline deadline)
{
        struct array_context *context = pointer;

        return skep_queue_put_array(context->queue, context->array, deadline);
}

#define NOT_AS_ARRAY 1 /* beside 0 and -1: send it in another way */

/* @param array  taken @return 0; -1 with an exception; NOT_AS_ARRAY */
static int put_array_take(struct core_state *state, skep_queue *queue, skep_array *array, const struct patience *patience)
{
        struct array_context context = {.queue = queue, .array = array};
        int result = wait_for(attempt_array, &context, patience, skep_hive_is_remote(skep_queue_hive(queue)));
        uint64_t bytes = skep_array_bytes(array);

        skep_array_unref(array);
        if (result == -EMSGSIZE)
                return NOT_AS_ARRAY;
        return result == 0 ? 0 : message_put_failed(state, queue, result, bytes);
}

static const uint64_t *view_shape(const Py_buffer *view)
{
        return (const uint64_t *)view->shape;
}

/* The strides, or NULL if they are those of C order, which makes a shorter description. */
static const int64_t *view_strides(const Py_buffer *view)
{
        return PyBuffer_IsContiguous(view, 'C') ? NULL : (const int64_t *)view->strides;
}

/* The array that @view sees in the memory of @beneath. @return as skep_array_view(); -EINVAL: numpy can be talked into strides beyond the block */
static int view_shared(skep_array *beneath, const Py_buffer *view, uint32_t element, skep_array **ret_array)
{
        const char *block = (const char *)skep_array_data(beneath) - skep_array_offset(beneath);

        return skep_array_view(beneath, element, (uint64_t)((const char *)view->buf - block), (uint32_t)view->ndim, view_shape(view), view_strides(view),
                               ret_array);
}

static int put_shared(struct core_state *state, skep_queue *queue, skep_array *beneath, const Py_buffer *view, uint32_t element,
                      const struct patience *patience)
{
        skep_array *array;
        int result = view_shared(beneath, view, element, &array);

        if (result == -EINVAL)
                return NOT_AS_ARRAY;
        if (result < 0)
                return message_put_failed(state, queue, result, (uint64_t)view->len);
        return put_array_take(state, queue, array, patience);
}

/* Another order than C or Fortran: numpy does it best. */
static int copy_through_numpy(struct core_state *state, PyObject *hive, skep_array *array, PyObject *ndarray)
{
        PyObject *target = array_wrap(state, hive, skep_array_ref(array));
        PyObject *seen = target ? PyObject_CallFunctionObjArgs(state->numpy_asarray, target, NULL) : NULL;
        PyObject *done = seen ? PyObject_CallFunctionObjArgs(state->numpy_copyto, seen, ndarray, NULL) : NULL;

        Py_XDECREF(done);
        Py_XDECREF(seen);
        Py_XDECREF(target);
        return done ? 0 : -1;
}

/* Fortran order is C order of the reversed shape: keep the order, copy in one piece, look at it the other way round. */
static int see_as(skep_array **array, uint32_t element, const Py_buffer *view)
{
        skep_array *seen;
        int result = skep_array_view(*array, element, skep_array_offset(*array), (uint32_t)view->ndim, view_shape(view),
                                     (const int64_t *)view->strides, &seen);

        if (result < 0)
                return result;
        skep_array_unref(*array);
        *array = seen;
        return 0;
}

static int put_copied(struct core_state *state, skep_queue *queue, PyObject *hive, PyObject *ndarray, const Py_buffer *view, uint32_t element,
                      const struct patience *patience)
{
        bool c_order = PyBuffer_IsContiguous(view, 'C'), reversed = !c_order && PyBuffer_IsContiguous(view, 'F');
        uint64_t shape[SKEP_ARRAY_DIMENSION_MAX];
        struct skep_array_options options = {
                .options_bytes = sizeof(options),
                .element = element,
                .dimension_count = (uint32_t)view->ndim,
                .shape = shape,
                .flags = SKEP_ARRAY_UNINITIALIZED,
        };
        skep_array *array;
        int result;

        for (int i = 0; i < view->ndim; i++)
                shape[i] = (uint64_t)view->shape[reversed ? view->ndim - 1 - i : i];
        if ((size_t)view->len < COPY_WITHOUT_GIL_BYTES) {
                result = skep_array_create(skep_queue_hive(queue), &options, &array);
        } else {
                Py_BEGIN_ALLOW_THREADS
                result = skep_array_create(skep_queue_hive(queue), &options, &array);
                Py_END_ALLOW_THREADS
        }
        if (result < 0)
                return message_put_failed(state, queue, result, (uint64_t)view->len);
        if (c_order || reversed) {
                copy_bytes(skep_array_data(array), view->buf, (size_t)view->len);
                result = reversed ? see_as(&array, element, view) : 0;
                if (result < 0)
                        message_put_failed(state, queue, result, (uint64_t)view->len);
        } else {
                result = copy_through_numpy(state, hive, array, ndarray);
        }
        if (result < 0) {
                skep_array_unref(array);
                return -1;
        }
        return put_array_take(state, queue, array, patience);
}

/* Its element type; 0: no array of a hive can be like that. */
static uint32_t describable(const Py_buffer *view)
{
        uint32_t element = element_from_format(view->format);

        return view->len > 0 && view->ndim <= SKEP_ARRAY_DIMENSION_MAX && view->itemsize == (Py_ssize_t)skep_element_bytes(element) ? element : 0;
}

/* @return 0; -1 with an exception; NOT_AS_ARRAY */
static int put_ndarray(struct core_state *state, skep_queue *queue, PyObject *hive, PyObject *ndarray, enum copying copying,
                       const struct patience *patience)
{
        PyObject *beneath_hive;
        skep_array *beneath;
        Py_buffer view;
        uint32_t element;
        int result = NOT_AS_ARRAY;
        bool shared;

        if (PyObject_GetBuffer(ndarray, &view, PyBUF_FULL_RO) < 0) {
                PyErr_Clear(); /* elements without a format, such as datetime64 */
                return NOT_AS_ARRAY;
        }
        element = describable(&view);
        if (element) {
                beneath = message_array_beneath(state, ndarray, &beneath_hive);
                shared = beneath && skep_array_hive(beneath) == skep_queue_hive(queue) && copying != COPY_ALWAYS;
                if (shared && !view.readonly) /* a message of kind ARRAY cannot say that it is read-only */
                        result = put_shared(state, queue, beneath, &view, element, patience);
                else if (!shared && copying != COPY_NEVER)
                        result = put_copied(state, queue, hive, ndarray, &view, element, patience);
        }
        PyBuffer_Release(&view);
        return result;
}

int message_share_array(struct core_state *state, skep_hive *hive, PyObject *ndarray, skep_array **ret_array)
{
        PyObject *beneath_hive;
        skep_array *beneath;
        Py_buffer view;
        uint32_t element;
        int result = -EINVAL;

        if (!is_ndarray(state, ndarray))
                return 0;
        beneath = message_array_beneath(state, ndarray, &beneath_hive);
        if (!beneath || skep_array_hive(beneath) != hive)
                return 0;
        if (PyObject_GetBuffer(ndarray, &view, PyBUF_FULL_RO) < 0) {
                PyErr_Clear(); /* elements without a format, such as datetime64 */
                return 0;
        }
        element = describable(&view);
        if (element && !view.readonly)
                result = view_shared(beneath, &view, element, ret_array);
        PyBuffer_Release(&view);
        if (result < 0 && result != -EINVAL)
                raise_result(state, result, NULL, 0);
        return result == 0 ? 1 : result == -EINVAL ? 0 : -1;
}

PyObject *message_show_array(struct core_state *state, PyObject *hive, skep_array *array)
{
        PyObject *wrapped = array_wrap(state, hive, array), *seen;

        if (!wrapped)
                return NULL;
        if (!state->ndarray && !state->numpy_missing) {
                PyObject *numpy = PyImport_ImportModule("numpy");

                if (!numpy || numpy_adopt(state, numpy) < 0) {
                        if (!PyErr_ExceptionMatches(PyExc_ImportError)) {
                                Py_XDECREF(numpy);
                                Py_DECREF(wrapped);
                                return NULL;
                        }
                        PyErr_Clear();
                        state->numpy_missing = true;
                }
                Py_XDECREF(numpy);
        }
        if (!state->ndarray)
                return wrapped;
        seen = PyObject_CallFunctionObjArgs(state->numpy_asarray, wrapped, NULL);
        Py_DECREF(wrapped);
        return seen;
}

static PyObject *load_array(struct core_state *state, PyObject *hive, const struct skep_loan *loan)
{
        skep_array *array;
        int result = skep_loan_array(loan, &array);

        return result < 0 ? raise_result(state, result, NULL, 0) : message_show_array(state, hive, array);
}

/* --- any object --- */

int message_put(struct core_state *state, skep_queue *queue, PyObject *hive, PyObject *object, enum copying copying, const struct patience *patience)
{
        if (PyBytes_CheckExact(object) && copying != COPY_NEVER)
                return put_bytes(state, queue, object, patience);
        if (is_ndarray(state, object)) {
                int result = put_ndarray(state, queue, hive, object, copying, patience);

                if (result != NOT_AS_ARRAY)
                        return result;
        }
        return pickle_put(state, queue, object, copying, patience);
}

PyObject *message_load(struct core_state *state, PyObject *hive, const struct skep_loan *loan)
{
        switch (loan->kind) {
        case SKEP_MESSAGE_BYTES:
                return load_bytes(loan);
        case SKEP_MESSAGE_ARRAY:
                return load_array(state, hive, loan);
        case SKEP_MESSAGE_PICKLE:
                return pickle_load(state, hive, loan);
        default:
                return raise_result(state, -EBADMSG, NULL, 0);
        }
}
