/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - what the files of skep._core share
 *
 *   errors.c      results of skep -> exceptions
 *   wait.c        timeouts, and waiting without the GIL in slices
 *   pickle.c      objects <-> messages of kind PICKLE
 *   message.c     objects <-> messages of any kind
 *   *_type.c      one Python type each
 *   module.c      puts it together
 *
 * LIFETIMES.  An instance owns its type, a type owns its module, so `state` in an instance is valid while the instance
 * lives.  A Queue and an Array own their Hive object; the hive is left when the last of the three is gone.
 */
#ifndef SKEP_PYTHON_STATE_H
#define SKEP_PYTHON_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

#include <skep/skep.h>

/* From here on a copy is worth letting other threads run. */
#define COPY_WITHOUT_GIL_BYTES ((size_t)64 * 1024)

struct core_state {
        PyTypeObject *hive_type;
        PyTypeObject *array_type;
        PyTypeObject *queue_type;
        PyTypeObject *sink_type;
        PyTypeObject *board_type;

        PyObject *hive_error;
        PyObject *gone_error;
        PyObject *full;  /* queue.Full */
        PyObject *empty; /* queue.Empty */

        PyObject *pickle_dumps;
        PyObject *pickle_loads;
        PyObject *pickler;              /* pickle.Pickler, the one in C */
        PyObject *forking_pickler;      /* multiprocessing.reduction.ForkingPickler */
        PyObject *copyreg_table;        /* copyreg.dispatch_table */
        PyObject *protocol;             /* 5 */
        PyObject *pickler_keywords;     /* ("buffer_callback",) */
        PyObject *loads_keywords;       /* ("buffers",) */
        PyObject *name_extra_reducers;  /* interned names of attributes */
        PyObject *name_dispatch_table;
        PyObject *name_dump;
        PyObject *name_raw;
        PyObject *name_base;
        PyObject *name_block;
        PyObject *name_timeout;

        PyObject *reduce_ndarray; /* skep.arrays._reduce_ndarray, NULL until it was needed */
        PyObject *ndarray;       /* numpy.ndarray, NULL until numpy was seen */
        PyObject *numpy_asarray;
        PyObject *numpy_copyto;
        bool numpy_missing;      /* an import failed; do not try at each message */
};

struct hive_object {
        PyObject_HEAD
        struct core_state *state;
        skep_hive *hive; /* NULL before it is joined and after close() */
        skep_hive *left; /* closed by the user, detached with the object */
};

struct array_object {
        PyObject_HEAD
        struct core_state *state;
        PyObject *hive;
        skep_array *array;
};

struct queue_object {
        PyObject_HEAD
        struct core_state *state;
        PyObject *hive;
        skep_queue *queue; /* NULL before __init__ */
        bool closed;       /* for this process; skep_queue_close() is for all */
        bool used;         /* something was put or got through this object */
};

extern struct PyModuleDef core_module;
extern PyType_Spec hive_spec;
extern PyType_Spec array_spec;
extern PyType_Spec queue_spec;
extern PyType_Spec sink_spec;
extern PyType_Spec board_spec;

/* The state behind a type or a Python subclass of it; NULL with an exception. */
struct core_state *state_of_type(PyTypeObject *type);

/* --- errors.c --- */

/* Raise what @result means. @hive and @bytes (asked for) go into a MemoryError; may be NULL and 0. @return NULL */
void *raise_result(struct core_state *state, int result, const skep_hive *hive, uint64_t bytes);
int errors_add(PyObject *module, struct core_state *state);

/* --- wait.c --- */

/* How long a call may wait. */
struct patience {
        skep_deadline deadline;
        bool forever;
        bool blocks;
};

/* From Python's block= and timeout= (NULL: default). @return 0; -1 with an exception */
int patience_from(PyObject *block, PyObject *timeout, struct patience *ret_patience);

/* One attempt of a waiting call. @return as the skep function */
typedef int attempt_function(void *context, skep_deadline deadline);

/* Interrupted by an exception that a signal handler raised. */
#define WAIT_RAISED INT32_MAX

/*
 * Try at once, with the GIL unless the attempt is @heavy; then wait without it, looking for signals ten times a second.
 * @return what the attempt returned; -ETIMEDOUT; WAIT_RAISED with an exception
 */
int wait_for(attempt_function *attempt, void *context, const struct patience *patience, bool heavy);

/* memcpy, without the GIL if that is worth it. */
void copy_bytes(void *target, const void *source, size_t bytes);

/* --- pickle.c --- */

/* @return 0; -1 with an exception, and then nothing was put */
int pickle_put(struct core_state *state, skep_queue *queue, PyObject *object, const struct patience *patience);
PyObject *pickle_load(struct core_state *state, PyObject *hive, const struct skep_loan *loan);
/* mention(hive, reference): the message that this thread is making, if any, refers to that object. */
PyObject *pickle_mention(PyObject *module, PyObject *args);
/* pack(hive, obj[, bytes, number]): a pickle to be sent in a message of the caller's making. */
PyObject *pickle_pack(PyObject *module, PyObject *const *args, Py_ssize_t count);
/* Append memory that is already in order to the queue, through one loan. @return as pickle_put() */
int put_parts(struct core_state *state, skep_queue *queue, uint32_t kind, const Py_buffer *parts, size_t count, const struct patience *patience);

/* --- message.c --- */

/* @return 0; -1 with an exception, and then nothing was put */
int message_put(struct core_state *state, skep_queue *queue, PyObject *hive, PyObject *object, const struct patience *patience);
/* @return the object; NULL with an exception.  The caller ends the loan. */
PyObject *message_load(struct core_state *state, PyObject *hive, const struct skep_loan *loan);
/* Whether somebody has imported numpy; then state->ndarray is there. */
bool message_has_numpy(struct core_state *state);
/* The Array in whose memory a numpy.ndarray lies, borrowed; NULL if there is none. */
struct array_object *message_array_beneath(struct core_state *state, PyObject *ndarray);
/* Raise for a failed put. @return -1 */
int message_put_failed(struct core_state *state, skep_queue *queue, int result, uint64_t bytes);

/* --- hive_type.c --- */

/* The handle, or NULL with ValueError if closed or not a Hive. */
skep_hive *hive_handle(struct core_state *state, PyObject *hive);

/* --- array_type.c --- */

/* Element type of a format string of the buffer protocol; 0: none. */
uint32_t element_from_format(const char *format);
/* @param array  taken, also on failure */
PyObject *array_wrap(struct core_state *state, PyObject *hive, skep_array *array);

#endif
