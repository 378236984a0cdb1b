/* SPDX-License-Identifier: Apache-2.0 */
/**
 * pool.h - work spread over processes: functions by name, jobs of many tasks, results written in place.
 *
 * A job is a function, a number of tasks and, for each, an item to read and a result to write.  All of it is one block of the
 * hive that the workers share: a task costs a few atomics, and nothing is copied on its way to a worker or back.
 * Large data goes by reference: put skep_block or array references into the items and name them in `references`.
 *
 * A pool belongs to the process that made it, and works for its threads.  In a forked child its calls say -EPERM; a worker may
 * make pools of its own.
 *
 * Death.  A worker killed at any moment: the task that it was in fails with -EOWNERDEAD and a text that names task, process and
 * signal, or runs again if the job asked for retries.  All its other tasks are done by others, each once, and a new worker takes
 * its place.  A task is done or reported: never both, never neither.  Its maker killed: workers end with it.
 */
#ifndef SKEP_POOL_H
#define SKEP_POOL_H

#include <skep/block.h>
#include <skep/deadline.h>
#include <skep/error.h>

SKEP_BEGIN

typedef struct skep_pool skep_pool;
typedef struct skep_future skep_future;

/* --- functions --------------------------------------------------------------------------------------------------------- */

/** What the function of a task is given; all of it is borrowed for the call. */
struct skep_task {
        skep_hive *hive;      /* the worker's handle */
        uint64_t index;       /* 0 .. count - 1 */
        const void *item;     /* item_bytes of this task; NULL: the job has no items */
        void *result;         /* result_bytes of this task, undefined before; NULL: the job has no results */
        size_t item_bytes;
        size_t result_bytes;
        uint32_t attempt;     /* so many workers died in this task before */
        uint32_t reserved;
        const void *job;      /* the library's */
};

/** Runs in a worker. @return 0 or positive: done; negative: failed with this -E... code */
typedef int skep_task_function(const struct skep_task *task);

/**
 * Make a function known to the workers of this program.  For spawn before main() calls skep_process_main(); for fork before
 * skep_pool_create(): what is registered later is known to workers that are started later, and else the task fails with -ENOENT.
 * @param name  borrowed for ever; at most SKEP_NAME_MAX bytes
 * @return 0; -EEXIST; -EINVAL; -ENAMETOOLONG; -ENOMEM
 */
SKEP_API int skep_pool_register(const char *name, skep_task_function *function);

/**
 * Say why a task fails: `return skep_task_fail(task, -EINVAL, "row %d is empty", row);`
 * The texts of the first 64 failures of a job are kept, the later ones have that of their code.
 * @return @p error, or -EINVAL if it is not negative
 */
SKEP_API int skep_task_fail(const struct skep_task *task, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --- the pool ---------------------------------------------------------------------------------------------------------- */

/** Worker i runs on the i-th (modulo their number) of the CPUs that the maker may use. */
#define SKEP_POOL_PIN 1u
#define SKEP_POOL_WORKERS_MAX 128u
#define SKEP_POOL_ARGUMENT_MAX 4096u

struct skep_pool_options {
        size_t options_bytes;             /* set by SKEP_POOL_OPTIONS() */
        uint32_t workers;                 /* 0: one per CPU online */
        uint32_t start;                   /* enum skep_start. 0: fork */
        uint32_t flags;                   /* SKEP_POOL_PIN */
        uint32_t reserved;                /* zero */
        uint64_t tasks_per_worker;        /* then it ends and is replaced. 0: no limit */
        const char *initializer;          /* borrowed; skep_process_register()ed name of what a worker runs first; not 0: the pool breaks */
        const void *initializer_argument; /* borrowed; copied */
        size_t initializer_bytes;         /* at most SKEP_POOL_ARGUMENT_MAX */
        const char *program;              /* borrowed; spawn: path of the program. NULL: this one */
};

#define SKEP_POOL_OPTIONS(...) (&(const struct skep_pool_options){.options_bytes = sizeof(struct skep_pool_options), __VA_ARGS__})

/**
 * Start the workers.  They are children of a thread of the pool: with fork they are copies of this process as it is now, and
 * later of what it is then, when one is replaced; in a process of several threads what they call must bear that, or spawn.
 * In a worker SIGTERM has its default effect, and no signal is blocked.
 * @param options   borrowed, or NULL for the defaults
 * @param ret_pool  gives the handle; end with skep_pool_unref()
 * @return 0; -EINVAL; -E2BIG; -ENAMETOOLONG; -EAGAIN process limit; -ENOENT program; -ENOSPC; -EUSERS; -ENOMEM; -EMFILE
 * Crash: what was started ends with this process.
 * Cost: a process start per worker.
 */
SKEP_API SKEP_NODISCARD int skep_pool_create(skep_hive *hive, const struct skep_pool_options *options, skep_pool **ret_pool);

/** Nothing is submitted any more; workers end when all is done. @return 0; -EPERM */
SKEP_API int skep_pool_close(skep_pool *pool);

/** End the workers (SIGTERM; who takes no notice within 5 seconds, SIGKILL).  What is not done fails with -ECANCELED. @return 0; -EPERM */
SKEP_API int skep_pool_terminate(skep_pool *pool);

/** Wait until the workers of a closed or terminated pool have ended. @return 0; -ETIMEDOUT; -EBUSY neither was called; -EPERM */
SKEP_API SKEP_NODISCARD int skep_pool_join(skep_pool *pool, skep_deadline deadline);

/**
 * Terminate, join, free the handle.  Futures live on, and are done.  In a forked child only the handle goes.
 * @param pool  NULL is allowed; no other thread may be inside a call on it @return NULL
 */
SKEP_API skep_pool *skep_pool_unref(skep_pool *pool);

struct skep_pool_stat {
        uint32_t workers;      /* places */
        uint32_t alive;        /* processes, as far as known */
        uint64_t running;      /* tasks begun and not ended */
        uint64_t done;         /* tasks, also of workers that are gone */
        uint64_t failed;       /* tasks; those that workers died in are among them */
        uint64_t replaced;     /* workers */
        uint64_t jobs;         /* not complete */
};

struct skep_worker_stat {
        int64_t pid;           /* 0: none at the moment */
        uint64_t running;      /* 1: in a task */
        uint64_t task;         /* which, of its job */
        uint64_t done;         /* by all that had this place */
        uint64_t failed;
};

/** Figures; reads words that the workers write, and disturbs nobody. @return 0; -EPERM */
SKEP_API int skep_pool_stat(skep_pool *pool, struct skep_pool_stat *ret_stat);
/** One place. @return 0; -ERANGE; -EPERM */
SKEP_API int skep_pool_worker(skep_pool *pool, uint32_t index, struct skep_worker_stat *ret_stat);

/* --- jobs -------------------------------------------------------------------------------------------------------------- */

struct skep_job_options {
        size_t options_bytes;         /* set by SKEP_JOB_OPTIONS() */
        const char *function;         /* borrowed; registered name */
        uint64_t count;               /* tasks. 0: 1; at most 2^32 */
        const void *items;            /* borrowed, [count][item_bytes]; copied. NULL: none */
        size_t item_bytes;            /* 0: a task knows its index only */
        size_t result_bytes;          /* per task. 0: no results */
        uint64_t chunk;               /* tasks that a worker takes at a time. 0: many first, then fewer, at last one by one */
        uint32_t retries;             /* how often a task runs again when its worker died: then it runs at least once */
        uint32_t reserved;            /* zero */
        const skep_block *references; /* borrowed, [reference_count]; blocks that the items mention, claimed by the job while it lives */
        size_t reference_count;
};

#define SKEP_JOB_OPTIONS(...) (&(const struct skep_job_options){.options_bytes = sizeof(struct skep_job_options), __VA_ARGS__})

/**
 * Hand a job to the pool.
 * @param options     borrowed, with all it points to
 * @param ret_future  gives the handle; end with skep_future_unref(), which does not cancel
 * @return 0; -ESHUTDOWN closed or terminated; -EPIPE broken: see skep_pool_broken(); -EPERM; -EINVAL; -E2BIG; -ENAMETOOLONG; -EOVERFLOW;
 *         -ENOSPC; -ESTALE a reference is gone, or not held here; -ENOMEM
 * Crash: the job goes with its maker.
 * Cost: one block; a system call only if a worker sleeps.
 */
SKEP_API SKEP_NODISCARD int skep_pool_map_async(skep_pool *pool, const struct skep_job_options *options, skep_future **ret_future);

/** The same, and wait. @param ret_future  also set with SKEP_TASKS_FAILED @return as skep_pool_map_async(), then as skep_future_wait() for ever */
SKEP_API SKEP_NODISCARD int skep_pool_map(skep_pool *pool, const struct skep_job_options *options, skep_future **ret_future);

/** The same for skep_future_next(): the chunk is 1 unless given, so that results come as soon as they are there. */
SKEP_API SKEP_NODISCARD int skep_pool_imap(skep_pool *pool, const struct skep_job_options *options, skep_future **ret_future);

/** One task. @param argument  borrowed, its item; copied @return as skep_pool_map_async() */
SKEP_API SKEP_NODISCARD int skep_pool_submit(skep_pool *pool, const char *function, const void *argument, size_t argument_bytes, size_t result_bytes,
                                             skep_future **ret_future);

/** Why the pool is broken, in words; empty if it is not. @return 0; -EPERM */
SKEP_API int skep_pool_broken(skep_pool *pool, char *buffer, size_t bytes);

/* --- futures ----------------------------------------------------------------------------------------------------------- */

/** Wait until every task is done or failed. @return 0; SKEP_TASKS_FAILED; -ETIMEDOUT; what the thread's interrupt function said */
SKEP_API SKEP_NODISCARD int skep_future_wait(skep_future *future, skep_deadline deadline);

/** 1 if complete, else 0. */
SKEP_API int skep_future_is_done(const skep_future *future);

/** Result of one task. @param ret_result  borrowed until unref; NULL if the job has none; may be NULL @return 0; its error; -EAGAIN not yet; -ERANGE */
SKEP_API int skep_future_result(const skep_future *future, uint64_t index, const void **ret_result);

/** All results, [count][result_bytes]: those of tasks that are not done are undefined. @return borrowed until unref; NULL: none */
SKEP_API void *skep_future_results(const skep_future *future);

/** Why a task failed, in words; empty if it did not. @return as skep_future_result() */
SKEP_API int skep_future_error(const skep_future *future, uint64_t index, char *buffer, size_t bytes);

/** First task from @p from on that failed. @return its error; 0 none up to now */
SKEP_API int skep_future_failure(const skep_future *future, uint64_t from, uint64_t *ret_index);

/**
 * The next task in order, once it is done: for each handle from 0 on, by one thread at a time.
 * @param ret_index, ret_result  may be NULL; also written with SKEP_TASKS_FAILED
 * @return 0; SKEP_TASKS_FAILED this one failed; -ERANGE that were all; -ETIMEDOUT; what the thread's interrupt function said
 */
SKEP_API SKEP_NODISCARD int skep_future_next(skep_future *future, uint64_t *ret_index, const void **ret_result, skep_deadline deadline);

struct skep_future_progress {
        uint64_t count;   /* tasks */
        uint64_t done;
        uint64_t failed;
        uint64_t running;
};

/** Counts the tasks' states: a look at each. @return 0 */
SKEP_API int skep_future_progress(const skep_future *future, struct skep_future_progress *ret_progress);

/** What has not begun fails with -ECANCELED; what has is finished. @return 0; -EBUSY nothing was left to cancel; -EPERM */
SKEP_API int skep_future_cancel(skep_future *future);

/** Called once, when the job is complete; may use the pool, but not end it. */
typedef void skep_future_function(skep_future *future, void *context);

/**
 * Have @p function called by a thread of the pool, or at once by this one if the job is complete; one for each future.
 * @return 0; -EBUSY it has one; -EAGAIN no thread; -EPERM; -EINVAL
 */
SKEP_API int skep_future_then(skep_future *future, skep_future_function *function, void *context);

/**
 * Wait until one of them is complete.
 * @param futures  borrowed, [count]; those not complete belong to one pool @param ret_index  the first that is
 * @return 0; -ETIMEDOUT; -EINVAL; what the thread's interrupt function said
 */
SKEP_API SKEP_NODISCARD int skep_future_wait_any(skep_future *const *futures, size_t count, size_t *ret_index, skep_deadline deadline);

/**
 * Go through futures as they complete: `size_t given = 0; while (skep_future_as_completed(futures, count, &given, forever) == 0) use(futures[given - 1]);`
 * @param futures  [count]; the next that is complete is swapped to futures[*given], then *given grows by one
 * @return 0; -ERANGE all were given; as skep_future_wait_any()
 */
SKEP_API SKEP_NODISCARD int skep_future_as_completed(skep_future **futures, size_t count, size_t *given, skep_deadline deadline);

/** Drop the handle; the job goes on. @param future  NULL is allowed @return NULL */
SKEP_API skep_future *skep_future_unref(skep_future *future);

SKEP_END
#endif
