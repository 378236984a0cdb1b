/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.c - waiting as Python expects it
 *
 * Python's signal handlers run only with the GIL, so a wait without it asks now and then (skep_thread_on_interrupt()); an
 * exception from a handler, such as KeyboardInterrupt, ends the wait.
 */
#include "state.h"

#include <errno.h>
#include <math.h>
#include <string.h>

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
                *ret_patience = (struct patience){.deadline = skep_forever(), .blocks = true};
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
                .blocks = true,
        };
        return 0;
}

int copying_from(PyObject *copy, enum copying *ret_copying)
{
        int copies = copy && copy != Py_None ? PyObject_IsTrue(copy) : 0;

        *ret_copying = !copy || copy == Py_None ? COPY_IF_NEEDED : copies ? COPY_ALWAYS : COPY_NEVER;
        return copies < 0 ? -1 : 0;
}

/* @param ret_copying  NULL: there is no copy= */
static int parse(struct core_state *state, const char *function, PyObject *const *args, Py_ssize_t count, PyObject *names,
                 Py_ssize_t first, struct patience *ret_patience, enum copying *ret_copying)
{
        PyObject *waiting[3] = {NULL, NULL, NULL}; /* block, timeout, copy */
        Py_ssize_t name_count = names ? PyTuple_GET_SIZE(names) : 0;

        if (count > first + 2 || count < first) {
                PyErr_Format(PyExc_TypeError, "%s() takes %zd to %zd positional arguments, not %zd", function, first, first + 2, count);
                return -1;
        }
        for (Py_ssize_t i = first; i < count; i++)
                waiting[i - first] = args[i];
        for (Py_ssize_t i = 0; i < name_count; i++) {
                PyObject *name = PyTuple_GET_ITEM(names, i);
                int index = PyUnicode_Compare(name, state->name_block) == 0 ? 0 : PyUnicode_Compare(name, state->name_timeout) == 0 ? 1 : -1;

                if (index < 0 && ret_copying && PyUnicode_Compare(name, state->name_copy) == 0)
                        index = 2;
                if (index < 0 || waiting[index]) {
                        PyErr_Format(PyExc_TypeError, "%s() got an unexpected or repeated argument %R", function, name);
                        return -1;
                }
                waiting[index] = args[count + i];
        }
        if (ret_copying && copying_from(waiting[2], ret_copying) < 0)
                return -1;
        return patience_from(waiting[0], waiting[1], ret_patience);
}

int parse_waiting(struct core_state *state, const char *function, PyObject *const *args, Py_ssize_t count, PyObject *names,
                  Py_ssize_t first, struct patience *ret_patience)
{
        return parse(state, function, args, count, names, first, ret_patience, NULL);
}

int parse_put(struct core_state *state, const char *function, PyObject *const *args, Py_ssize_t count, PyObject *names,
              Py_ssize_t first, struct patience *ret_patience, enum copying *ret_copying)
{
        return parse(state, function, args, count, names, first, ret_patience, ret_copying);
}

int parse_timeout(struct core_state *state, const char *function, PyObject *const *args, Py_ssize_t count, PyObject *names,
                  struct patience *ret_patience)
{
        Py_ssize_t given = count + (names ? PyTuple_GET_SIZE(names) : 0);

        if (given > 1) {
                PyErr_Format(PyExc_TypeError, "%s() takes at most 1 argument, not %zd", function, given);
                return -1;
        }
        if (given > count && PyUnicode_Compare(PyTuple_GET_ITEM(names, 0), state->name_timeout) != 0) {
                PyErr_Format(PyExc_TypeError, "%s() got an unexpected argument %R", function, PyTuple_GET_ITEM(names, 0));
                return -1;
        }
        return patience_from(NULL, given ? args[0] : NULL, ret_patience);
}

PyObject *parse_object(const char *function, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;

        if (count + named == 1 && (!named || PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "obj") == 0))
                return args[0];
        PyErr_Format(PyExc_TypeError, "%s() takes one argument, obj", function);
        return NULL;
}

/* A handler may wait in its turn, inside the wait that it interrupts. */
static _Thread_local struct {
        PyThreadState *state;
        int depth;
} waiting;

void gil_take(void)
{
        PyEval_RestoreThread(waiting.state);
}

void gil_drop(void)
{
        waiting.state = PyEval_SaveThread();
}

static int run_handlers(void *unused)
{
        int raised;

        (void)unused;
        gil_take();
        raised = PyErr_CheckSignals();
        gil_drop();
        return raised < 0 ? -EINTR : 0;
}

int wait_without_gil(attempt_function *attempt, void *context, skep_deadline deadline)
{
        int result;

        if (waiting.depth++ == 0)
                skep_thread_on_interrupt(run_handlers, NULL);
        gil_drop();
        result = attempt(context, deadline);
        gil_take();
        if (--waiting.depth == 0)
                skep_thread_on_interrupt(NULL, NULL);
        return result == -EINTR || PyErr_Occurred() ? WAIT_RAISED : result; /* an event may have been set all the same */
}

int wait_for(attempt_function *attempt, void *context, const struct patience *patience, bool heavy)
{
        int result;

        if (heavy)
                return wait_without_gil(attempt, context, patience->deadline);
        result = attempt(context, skep_nowait());
        return result == -ETIMEDOUT && patience->blocks ? wait_without_gil(attempt, context, patience->deadline) : result;
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
