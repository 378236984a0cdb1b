/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - what the files of skep._core share
 *
 *   errors.c      results of skep -> exceptions
 *   wait.c        timeouts, and waiting without the GIL
 *   pickle.c      objects <-> messages of kind PICKLE
 *   message.c     objects <-> messages of any kind
 *   item.c        objects <-> items of dicts, lists and namespaces (item.h)
 *   shared.c      what the objects of synchronisation and values have in common
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
        PyTypeObject *delivery_type;
        PyTypeObject *channel_type;
        PyTypeObject *sink_type;
        PyTypeObject *board_type;
        PyTypeObject *memory_type;
        PyTypeObject *items_type;
        PyTypeObject *holdable_type;  /* what Lock, RLock and Semaphore have in common */
        PyTypeObject *lock_type;
        PyTypeObject *rlock_type;
        PyTypeObject *semaphore_type;
        PyTypeObject *rwlock_type;
        PyTypeObject *condition_type;
        PyTypeObject *event_type;
        PyTypeObject *barrier_type;
        PyTypeObject *once_type;
        PyTypeObject *value_type;
        PyTypeObject *secure_type;
        PyTypeObject *list_type;
        PyTypeObject *dict_type;
        PyTypeObject *namespace_type;

        PyObject *hive_error;
        PyObject *gone_error;
        PyObject *owner_died_error;
        PyObject *owner_died_warning;
        PyObject *broken_barrier; /* threading.BrokenBarrierError */
        PyObject *full;  /* queue.Full */
        PyObject *empty; /* queue.Empty */
        PyObject *buffer_too_short; /* multiprocessing.BufferTooShort */
        PyObject *between_waits;    /* called now and then in the waits of a Connection; NULL: nothing */

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

        PyObject *ndarray;       /* numpy.ndarray, NULL until numpy was seen */
        PyObject *numpy_asarray;
        PyObject *numpy_copyto;
        PyObject *reduce_array;        /* skep.arrays: how arrays are pickled, and so that nothing of them is copied; may be NULL */
        PyObject *reduce_array_shared;
        PyObject *reduce_array_copied; /* so that all is */
        PyObject *recarray;            /* numpy.recarray */
        PyObject *name_copy;
        bool numpy_missing;      /* an import failed; do not try at each message */

        PyObject *nested;        /* of objects that are items OBJECT: type -> kind, kind -> (type, attach) */
        PyObject *simplify_key;  /* skep.keys */
};

struct hive_object {
        PyObject_HEAD
        struct core_state *state;
        skep_hive *hive; /* NULL before it is joined and after close() */
        skep_hive *left; /* closed by the user, detached with the object */
        bool is_remote;
};

/* Whether its objects are of another machine, each call on them a question over the network. @param hive  a Hive */
static inline bool hive_is_remote(PyObject *hive)
{
        return ((const struct hive_object *)hive)->is_remote;
}

/* A call that does not wait, but for the answer of another machine: without the GIL then. */
#define ASK(hive, result, call) \
        do { \
                PyThreadState *asking_state = hive_is_remote(hive) ? PyEval_SaveThread() : NULL; \
\
                (result) = (call); \
                if (asking_state) \
                        PyEval_RestoreThread(asking_state); \
        } while (0)

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

/* What a process does with the news that the previous owner died. */
enum on_owner_died { OWNER_DIED_WARNS, OWNER_DIED_RAISES, OWNER_DIED_IGNORED };

/* The functions that the objects of one kind have in common. */
struct shared_kind {
        const char *name;
        int (*attach)(skep_hive *hive, skep_block reference, void **ret_handle);
        int (*open)(skep_hive *hive, const char *name, void **ret_handle);
        void (*unref)(void *handle);
        skep_block (*reference)(const void *handle);
};

/* An object of synchronisation, or a shared value. */
struct shared_object {
        PyObject_HEAD
        struct core_state *state;
        const struct shared_kind *kind;
        PyObject *hive;
        void *handle;   /* NULL before __init__ */
        PyObject *lock; /* of a Condition; else NULL */
        enum on_owner_died on_owner_died;
};

extern struct PyModuleDef core_module;
extern PyType_Spec hive_spec;
extern PyType_Spec array_spec;
extern PyType_Spec queue_spec;
extern PyType_Spec delivery_spec;
extern PyType_Spec channel_spec;
extern PyType_Spec sink_spec;
extern PyType_Spec board_spec;
extern PyType_Spec memory_spec;
extern PyType_Spec items_spec;
extern PyType_Spec secure_spec;
extern PyType_Spec holdable_spec;
extern PyType_Spec lock_spec;
extern PyType_Spec rlock_spec;
extern PyType_Spec semaphore_spec;
extern PyType_Spec rwlock_spec;
extern PyType_Spec condition_spec;
extern PyType_Spec event_spec;
extern PyType_Spec barrier_spec;
extern PyType_Spec once_spec;
extern PyType_Spec value_spec;
extern PyType_Spec list_spec;
extern PyType_Spec dict_spec;
extern PyType_Spec namespace_spec;

struct core_state *state_of_module(PyObject *module);
/* The state behind a type or a Python subclass of it; NULL with an exception. */
struct core_state *state_of_type(PyTypeObject *type);

/* --- errors.c --- */

/* Raise what @result means. @hive and @bytes (asked for) go into a MemoryError; may be NULL and 0. @return NULL */
void *raise_result(struct core_state *state, int result, const skep_hive *hive, uint64_t bytes);
/* type(errno, text[, name]) of OSError or a child of it; OSError itself picks FileNotFoundError and the like. @param name  NULL: none @return NULL */
void *raise_os(PyObject *type, int result, const char *text, PyObject *name);
int errors_add(PyObject *module, struct core_state *state);

/* --- wait.c --- */

/* How long a call may wait. */
struct patience {
        skep_deadline deadline;
        bool blocks;
};

/* From Python's block= and timeout= (NULL: default). @return 0; -1 with an exception */
int patience_from(PyObject *block, PyObject *timeout, struct patience *ret_patience);

/* block and timeout, by place from @first on or by name. @return 0; -1 with an exception */
int parse_waiting(struct core_state *state, const char *function, PyObject *const *args, Py_ssize_t count, PyObject *names,
                  Py_ssize_t first, struct patience *ret_patience);

/* What a put does with memory of arrays and buffers. */
enum copying { COPY_IF_NEEDED, COPY_ALWAYS, COPY_NEVER };

/* The same with copy, by name. */
int parse_put(struct core_state *state, const char *function, PyObject *const *args, Py_ssize_t count, PyObject *names,
              Py_ssize_t first, struct patience *ret_patience, enum copying *ret_copying);
/* From Python's None, True or False; NULL: default. @return 0; -1 with an exception */
int copying_from(PyObject *copy, enum copying *ret_copying);

/* A timeout alone, by place or by name. @return 0; -1 with an exception */
int parse_timeout(struct core_state *state, const char *function, PyObject *const *args, Py_ssize_t count, PyObject *names,
                  struct patience *ret_patience);
/* The one argument `obj` of a call by METH_FASTCALL, by place or by name, borrowed. @return NULL with TypeError */
PyObject *parse_object(const char *function, PyObject *const *args, Py_ssize_t count, PyObject *names);

/* One attempt of a waiting call. @return as the skep function */
typedef int attempt_function(void *context, skep_deadline deadline);

/* Interrupted by an exception that a signal handler raised. */
#define WAIT_RAISED INT32_MAX

/* Wait without the GIL; handlers of signals run meanwhile. @return what the attempt returned; WAIT_RAISED with an exception */
int wait_without_gil(attempt_function *attempt, void *context, skep_deadline deadline);

/* For what an attempt calls back: with the GIL for a while.  It returns -EINTR if an exception is set. */
void gil_take(void);
void gil_drop(void);

/* Try at once, with the GIL; then as wait_without_gil().  One that is @heavy, or asks another machine: as that at once. */
int wait_for(attempt_function *attempt, void *context, const struct patience *patience, bool heavy);

/* memcpy, without the GIL if that is worth it. */
void copy_bytes(void *target, const void *source, size_t bytes);

/* --- pickle.c --- */

/* @return 0; -1 with an exception, and then nothing was put */
int pickle_put(struct core_state *state, skep_queue *queue, PyObject *object, enum copying copying, const struct patience *patience);
/* reduce_arrays_with(reduce, reduce_shared, reduce_copied): how ndarrays are pickled from here on. */
PyObject *pickle_reduce_arrays_with(PyObject *module, PyObject *args);
/* Of kind PICKLE, or bytes that are a pickle. */
PyObject *pickle_load(struct core_state *state, PyObject *hive, const struct skep_loan *loan);
/* mention(hive, reference): the message that this thread is making, if any, will hold that object. */
PyObject *pickle_mention(PyObject *module, PyObject *args);
/* pack(hive, obj[, bytes, number]): a pickle to be sent in a message of the caller's making. */
PyObject *pickle_pack(PyObject *module, PyObject *const *args, Py_ssize_t count);

/* A pickle as an item of a container holds it. */
struct packed {
        PyObject *bytes;
        skep_block *references;
        size_t reference_count;
        skep_hive *hive;
        size_t own_count; /* the last of them were made for it: claims of this process */
};

/* @param hive  NULL: nothing goes by reference @return 0; -1 with an exception */
int pickle_item(struct core_state *state, skep_hive *hive, PyObject *object, struct packed *ret_packed);
void packed_end(struct packed *packed);
/* Append memory that is already in order to the queue, through one loan. @return as pickle_put() */
int put_parts(struct core_state *state, skep_queue *queue, uint32_t kind, const Py_buffer *parts, size_t count, const struct patience *patience);

/* --- channel_type.c --- */

/* skep._core.poll_any(objects, timeout) */
PyObject *channel_poll_any(PyObject *module, PyObject *args);

/* --- message.c --- */

/* @return 0; -1 with an exception, and then nothing was put */
int message_put(struct core_state *state, skep_queue *queue, PyObject *hive, PyObject *object, enum copying copying, const struct patience *patience);
/* Whether numpy is imported; then its types are known. */
bool message_numpy(struct core_state *state);
/* @return the object; NULL with an exception.  The caller ends the loan. */
PyObject *message_load(struct core_state *state, PyObject *hive, const struct skep_loan *loan);
/* The array in whose memory a numpy.ndarray lies, with its hive, both borrowed; NULL if there is none. */
skep_array *message_array_beneath(struct core_state *state, PyObject *ndarray, PyObject **ret_hive);
/* An ndarray as an array of the hive, if it can be told as one without a copy. @return 1, gives a handle; 0 it cannot; -1 with an exception */
int message_share_array(struct core_state *state, skep_hive *hive, PyObject *ndarray, skep_array **ret_array);
/* As numpy shows it. @param array  taken @return NULL with an exception */
PyObject *message_show_array(struct core_state *state, PyObject *hive, skep_array *array);
/* Raise for a failed put. @return -1 */
int message_put_failed(struct core_state *state, skep_queue *queue, int result, uint64_t bytes);

/* --- numpy_allocator.c --- */

/* An allocator for NumPy that takes arrays of @min_bytes and more from the hive. @return capsule; NULL with an exception */
PyObject *allocator_make(struct core_state *state, PyObject *hive, Py_ssize_t min_bytes);
/* Let NumPy use it, in the context of this thread; None: NumPy's own. @return the one before; NULL with an exception */
PyObject *allocator_use(PyObject *capsule);
/* The memory of an ndarray that owns its memory and got it from a hive through such an allocator; borrowed, NULL: it did not. */
skep_array *allocator_array(PyObject *ndarray, PyObject **ret_hive);

/* --- hive_type.c --- */

/* The handle, or NULL with ValueError if closed or not a Hive. */
skep_hive *hive_handle(struct core_state *state, PyObject *hive);

/* --- shared.c --- */

static inline struct shared_object *as_shared(PyObject *self)
{
        return (struct shared_object *)self;
}

/* What SHARED_KIND() lists, from the functions skep_NOUN_... */
#define SHARED_FUNCTIONS(noun) \
        static int noun##_kind_attach(skep_hive *hive, skep_block reference, void **ret_handle) \
        { \
                skep_##noun *object = NULL; \
                int result = skep_##noun##_attach(hive, reference, &object); \
                *ret_handle = object; \
                return result; \
        } \
        static int noun##_kind_open(skep_hive *hive, const char *name, void **ret_handle) \
        { \
                skep_##noun *object = NULL; \
                int result = skep_##noun##_open(hive, name, &object); \
                *ret_handle = object; \
                return result; \
        } \
        static void noun##_kind_unref(void *handle) \
        { \
                skep_##noun##_unref(handle); \
        } \
        static skep_block noun##_kind_reference(const void *handle) \
        { \
                return skep_##noun##_reference(handle); \
        }
#define SHARED_KIND(noun, type_name) \
        {type_name, noun##_kind_attach, noun##_kind_open, noun##_kind_unref, noun##_kind_reference}

/* The class methods, for a kind named NOUN_kind. */
#define SHARED_CLASS_METHODS(noun) \
        static PyObject *noun##_attach(PyObject *type, PyObject *args) \
        { \
                return shared_attach(type, args, &noun##_kind); \
        } \
        static PyObject *noun##_open(PyObject *type, PyObject *args) \
        { \
                return shared_open(type, args, &noun##_kind); \
        }

/* Rows that every table of methods and of attributes has. */
#define SHARED_METHODS(noun) \
        {"attach", noun##_attach, METH_VARARGS | METH_CLASS, \
         "attach(hive, offset, serial)\n--\n\nThe object behind a reference.  GoneError: it is gone."}, \
        {"open", noun##_open, METH_VARARGS | METH_CLASS, "open(hive, name)\n--\n\nThe object of that name.  FileNotFoundError: there is none."}
#define SHARED_ATTRIBUTES \
        {"reference", shared_get_reference, NULL, "(offset, serial) of the object in its hive.", NULL}, \
        {"hive", shared_get_hive, NULL, "The hive that the object lies in.", NULL}
#define FAST(function) ((PyCFunction)(void (*)(void))(function)), METH_FASTCALL | METH_KEYWORDS

PyObject *shared_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
void shared_dealloc(PyObject *self);
PyObject *shared_attach(PyObject *type, PyObject *args, const struct shared_kind *kind);
PyObject *shared_open(PyObject *type, PyObject *args, const struct shared_kind *kind);
PyObject *shared_get_reference(PyObject *self, void *unused);
PyObject *shared_get_hive(PyObject *self, void *unused);

/* First step of __init__. @return the hive's handle; NULL with an exception: made already, no Hive, or a closed one */
skep_hive *shared_init_hive(PyObject *self, PyObject *hive);
/* Last step. @param result  of the create function @param handle  taken @return 0; -1 with an exception */
int shared_adopt(PyObject *self, const struct shared_kind *kind, PyObject *hive, int result, void *handle);

/* Raise why there is no handle to work with. @return NULL */
void *shared_refuse(PyObject *self);

/* The handle; NULL with ValueError if __init__ was not called. */
static inline void *shared_made(PyObject *self)
{
        return as_shared(self)->handle ? as_shared(self)->handle : shared_refuse(self);
}

/* ... or if the hive is closed. */
static inline void *shared_handle(PyObject *self)
{
        const struct shared_object *object = as_shared(self);

        return object->handle && ((const struct hive_object *)object->hive)->hive ? object->handle : shared_refuse(self);
}

/* The words for enum on_owner_died. */
extern const char *const on_owner_died_names[];
/* From "warn", "raise" or "ignore"; NULL: warn. @return 0; -1 with ValueError */
int on_owner_died_from(const char *text, enum on_owner_died *ret_choice);
/* Tell that the previous owner died. @return 0; -1 with an exception */
int owner_died_news(PyObject *self);

/* --- holdable_type.c --- */

/* Of a Lock, RLock or Semaphore. @return as the skep function, news told; WAIT_RAISED with an exception: not acquired */
int holdable_acquire(PyObject *self, const struct patience *patience);
/* @return 0; -1 with an exception */
int holdable_release(PyObject *self);

/* --- array_type.c --- */

/* Element type of a format string of the buffer protocol; 0: none. */
uint32_t element_from_format(const char *format);
/* NULL: of none */
const char *format_of_element(uint32_t element);
/* @param array  taken, also on failure */
PyObject *array_wrap(struct core_state *state, PyObject *hive, skep_array *array);

#endif
