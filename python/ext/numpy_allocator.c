/* SPDX-License-Identifier: Apache-2.0 */
/*
 * numpy_allocator.c - NumPy's allocator hook: arrays above a size are born in a hive
 *
 * Memory of the hive is an array of bytes with a head of 64 bytes, in which the process that made it finds its handle again;
 * a forked child finds its own copy of that handle at the same address.  Nobody else reads a head.
 * Built without NumPy's headers, or run with a NumPy before 1.22, the hook says that it is not offered.
 */
#include "state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<numpy/arrayobject.h>)

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL skep_numpy_api
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <numpy/arrayobject.h>
#pragma GCC diagnostic pop

#define API_WITH_HANDLERS 0xf /* NumPy 1.22 */
#define CAPSULE "mem_handler"
#define HANDLER_NAME "skep"
#define HEAD_BYTES 64

struct allocator {
        PyDataMem_Handler handler; /* first: the capsule points to it */
        PyObject *hive_object;
        skep_hive *hive;
        size_t min_bytes;
};

struct head {
        skep_array *array;
        uint64_t bytes; /* for the user */
};

static struct head *head_of(void *memory)
{
        return (struct head *)((char *)memory - HEAD_BYTES);
}

static void *born(const struct allocator *allocator, size_t bytes, uint32_t flags)
{
        const uint64_t shape[1] = {bytes + HEAD_BYTES};
        skep_array *array;

        if (bytes > PY_SSIZE_T_MAX - HEAD_BYTES ||
            skep_array_create(allocator->hive,
                              SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8, .dimension_count = 1, .shape = shape, .flags = flags), &array) < 0)
                return NULL; /* NumPy raises MemoryError */
        *(struct head *)skep_array_data(array) = (struct head){array, bytes};
        return (char *)skep_array_data(array) + HEAD_BYTES;
}

static void *allocator_malloc(void *context, size_t bytes)
{
        const struct allocator *allocator = context;

        return bytes < allocator->min_bytes ? malloc(bytes ? bytes : 1) : born(allocator, bytes, SKEP_ARRAY_UNINITIALIZED);
}

static void *allocator_calloc(void *context, size_t count, size_t bytes)
{
        const struct allocator *allocator = context;
        size_t product;

        if (__builtin_mul_overflow(count, bytes, &product))
                return NULL;
        return product < allocator->min_bytes ? calloc(product ? product : 1, 1) : born(allocator, product, 0);
}

static void allocator_free(void *context, void *memory, size_t bytes)
{
        const struct allocator *allocator = context;

        (void)bytes;
        if (memory && skep_hive_has(allocator->hive, memory))
                skep_array_unref(head_of(memory)->array);
        else
                free(memory);
}

static void *allocator_realloc(void *context, void *memory, size_t bytes)
{
        const struct allocator *allocator = context;
        void *moved;

        if (!memory)
                return allocator_malloc(context, bytes);
        if (!skep_hive_has(allocator->hive, memory))
                return realloc(memory, bytes ? bytes : 1);
        moved = allocator_malloc(context, bytes);
        if (moved) {
                size_t before = head_of(memory)->bytes;

                memcpy(moved, memory, before < bytes ? before : bytes);
                skep_array_unref(head_of(memory)->array);
        }
        return moved;
}

static void capsule_destroy(PyObject *capsule)
{
        struct allocator *allocator = PyCapsule_GetPointer(capsule, CAPSULE);

        Py_XDECREF(allocator->hive_object);
        PyMem_RawFree(allocator);
}

/* @return 0; -1 with an exception */
static int numpy_ready(void)
{
        if (!PyArray_API && _import_array() < 0)
                return -1;
        if (PyArray_GetNDArrayCFeatureVersion() < API_WITH_HANDLERS) {
                PyErr_SetString(PyExc_NotImplementedError, "NumPy 1.22 or later is needed: this one has no allocator hook");
                return -1;
        }
        return 0;
}

PyObject *allocator_make(struct core_state *state, PyObject *hive_object, Py_ssize_t min_bytes)
{
        skep_hive *hive = hive_handle(state, hive_object);
        struct allocator *allocator;
        PyObject *capsule;

        if (!hive || numpy_ready() < 0)
                return NULL;
        allocator = PyMem_RawCalloc(1, sizeof *allocator);
        if (!allocator)
                return PyErr_NoMemory();
        *allocator = (struct allocator){
                .handler = {.name = HANDLER_NAME, .version = 1,
                            .allocator = {allocator, allocator_malloc, allocator_calloc, allocator_realloc, allocator_free}},
                .hive_object = hive_object,
                .hive = hive,
                .min_bytes = (size_t)min_bytes,
        };
        Py_INCREF(hive_object);
        capsule = PyCapsule_New(allocator, CAPSULE, capsule_destroy);
        if (!capsule) {
                Py_DECREF(hive_object);
                PyMem_RawFree(allocator);
        }
        return capsule;
}

PyObject *allocator_use(PyObject *capsule)
{
        if (numpy_ready() < 0)
                return NULL;
        if (capsule != Py_None && !PyCapsule_IsValid(capsule, CAPSULE)) {
                PyErr_SetString(PyExc_TypeError, "not an allocator of NumPy");
                return NULL;
        }
        return PyDataMem_SetHandler(capsule == Py_None ? NULL : capsule);
}

skep_array *allocator_array(PyObject *ndarray, PyObject **ret_hive)
{
        PyObject *capsule = PyArray_API ? PyArray_HANDLER((PyArrayObject *)ndarray) : NULL;
        struct allocator *allocator = capsule ? PyCapsule_GetPointer(capsule, CAPSULE) : NULL;
        void *memory = allocator ? PyArray_DATA((PyArrayObject *)ndarray) : NULL;

        PyErr_Clear();
        if (!memory || allocator->handler.allocator.free != allocator_free || !skep_hive_has(allocator->hive, memory))
                return NULL;
        *ret_hive = allocator->hive_object;
        return head_of(memory)->array;
}

#else

static PyObject *not_offered(void)
{
        PyErr_SetString(PyExc_NotImplementedError, "this build of skep has no NumPy allocator: it was made without NumPy's headers");
        return NULL;
}

PyObject *allocator_make(struct core_state *state, PyObject *hive, Py_ssize_t min_bytes)
{
        (void)state, (void)hive, (void)min_bytes;
        return not_offered();
}

PyObject *allocator_use(PyObject *capsule)
{
        (void)capsule;
        return not_offered();
}

skep_array *allocator_array(PyObject *ndarray, PyObject **ret_hive)
{
        (void)ndarray, (void)ret_hive;
        return NULL;
}

#endif
