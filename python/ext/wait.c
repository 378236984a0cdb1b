/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.c - waiting as Python expects it
 *
 * A skep wait is not ended by a signal, and Python's handlers run only with the GIL.  So a wait is cut into slices; between
 * two of them pending handlers run, and an exception from one (KeyboardInterrupt) ends the wait.
 */
#include "state.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define SLICE_NS ((int64_t)100 * 1000 * 1000)

int patience_from(PyObject *block, PyObject *timeout, struct patience *ret_patience)
{
        int blocks = block ? PyObject_IsTrue(block) : 1;
        double seconds, ns;

        if (blocks < 0)
                return -1;
        *ret_patience = (struct patience){.deadline = skep_nowait()};
        if (!blocks)
                return 0;
        if (!timeout || timeout == Py_None) {
                *ret_patience = (struct patience){.deadline = skep_forever(), .forever = true, .blocks = true};
                return 0;
        }
        seconds = PyFloat_AsDouble(timeout);
        if (seconds == -1.0 && PyErr_Occurred())
                return -1;
        if (isnan(seconds)) {
                PyErr_SetString(PyExc_ValueError, "timeout is not a number");
                return -1;
        }
        if (seconds <= 0)
                return 0;
        ns = ceil(seconds * 1e9);
        *ret_patience = (struct patience){
                .deadline = ns >= 9e18 ? skep_forever() : skep_within_ns((int64_t)ns),
                .forever = ns >= 9e18,
                .blocks = true,
        };
        return 0;
}

static int attempt_without_gil(attempt_function *attempt, void *context, skep_deadline deadline)
{
        int result;

        Py_BEGIN_ALLOW_THREADS
        result = attempt(context, deadline);
        Py_END_ALLOW_THREADS
        return result;
}

int wait_for(attempt_function *attempt, void *context, const struct patience *patience, bool heavy)
{
        int result = heavy ? attempt_without_gil(attempt, context, skep_nowait()) : attempt(context, skep_nowait());

        if (result != -ETIMEDOUT || !patience->blocks)
                return result;
        for (;;) {
                skep_deadline slice = skep_within_ns(SLICE_NS);
                bool last = !patience->forever && patience->deadline.monotonic_ns <= slice.monotonic_ns;

                if (PyErr_CheckSignals() < 0)
                        return WAIT_RAISED;
                result = attempt_without_gil(attempt, context, last ? patience->deadline : slice);
                if (result != -ETIMEDOUT || last)
                        return result;
        }
}

void copy_bytes(void *target, const void *source, size_t bytes)
{
        if (bytes < COPY_WITHOUT_GIL_BYTES) {
                if (bytes)
                        memcpy(target, source, bytes);
                return;
        }
        Py_BEGIN_ALLOW_THREADS
        memcpy(target, source, bytes);
        Py_END_ALLOW_THREADS
}
