/* SPDX-License-Identifier: Apache-2.0 */
/* errors.c - results of skep functions as Python exceptions */
#include "state.h"

#include <errno.h>

void *raise_os(PyObject *type, int result, const char *text, PyObject *name)
{
        PyObject *error = name ? PyObject_CallFunction(type, "isO", -result, text, name) : PyObject_CallFunction(type, "is", -result, text);

        if (error)
                PyErr_SetObject((PyObject *)Py_TYPE(error), error); /* until 3.10 `except` goes by the type that is said here */
        Py_XDECREF(error);
        return NULL;
}

static void raise_memory(int result, const skep_hive *hive, uint64_t bytes)
{
        struct skep_hive_stat stat;

        /* The figures need a walk over the hive; it does not change it. */
        if (hive && skep_hive_stat((skep_hive *)hive, &stat) == 0)
                PyErr_Format(PyExc_MemoryError, "%s: %llu bytes asked for, %llu of %llu in use in %llu blocks", skep_strerror(result),
                             (unsigned long long)bytes, (unsigned long long)stat.used_bytes,
                             (unsigned long long)stat.capacity_bytes, (unsigned long long)stat.blocks);
        else
                PyErr_Format(PyExc_MemoryError, "%s: %llu bytes asked for", skep_strerror(result), (unsigned long long)bytes);
}

void *raise_result(struct core_state *state, int result, const skep_hive *hive, uint64_t bytes)
{
        switch (result) {
        case WAIT_RAISED:
                break;
        case -ENOSPC:
        case -ENOMEM:
                raise_memory(result, hive, bytes);
                break;
        case -ESTALE:
                raise_os(state->gone_error, result, skep_strerror(result), NULL);
                break;
        case -EBADMSG:
        case -EPROTO:
                raise_os(state->hive_error, result, skep_strerror(result), NULL);
                break;
        case -ETIMEDOUT:
                PyErr_SetString(PyExc_TimeoutError, skep_strerror(result));
                break;
        default:
                raise_os(PyExc_OSError, result, skep_strerror(result), NULL);
        }
        return NULL;
}

static int add_exception(PyObject *module, const char *name, const char *full_name, const char *doc, PyObject *base, PyObject **ret_exception)
{
        PyObject *exception = PyErr_NewExceptionWithDoc(full_name, doc, base, NULL);

        if (!exception)
                return -1;
        *ret_exception = exception;
        Py_INCREF(exception);
        if (PyModule_AddObject(module, name, exception) < 0) {
                Py_DECREF(exception);
                return -1;
        }
        return 0;
}

int errors_add(PyObject *module, struct core_state *state)
{
        if (add_exception(module, "HiveError", "skep.HiveError", "The hive is damaged, is none, or has another format.", PyExc_OSError,
                          &state->hive_error) < 0)
                return -1;
        if (add_exception(module, "GoneError", "skep.GoneError", "The object behind a reference is gone: nobody held it any more.", PyExc_OSError,
                          &state->gone_error) < 0)
                return -1;
        if (add_exception(module, "OwnerDiedError", "skep.OwnerDiedError",
                          "Who held the lock died, and what it protects may be half done; the lock was not taken.", PyExc_RuntimeError,
                          &state->owner_died_error) < 0)
                return -1;
        return add_exception(module, "OwnerDiedWarning", "skep.OwnerDiedWarning",
                             "Who held the lock died, and what it protects may be half done; the lock was taken.", PyExc_RuntimeWarning,
                             &state->owner_died_warning);
}
