/* SPDX-License-Identifier: Apache-2.0 */
/**
 * process.h - start a function in a process that is a member of the hive.
 *
 * fork   a copy of the caller; any function.
 * spawn  a fresh exec of this or another program; functions are found by the name under which that program
 *        registered them, before its main() calls skep_process_main().
 */
#ifndef SKEP_PROCESS_H
#define SKEP_PROCESS_H

#include <skep/deadline.h>
#include <skep/hive.h>

SKEP_BEGIN

typedef struct skep_process skep_process;

/** What a child runs. @param hive  the child's handle, NULL if none @param argument  borrowed copy of the options' @return exit code, 0..255 */
typedef int skep_process_function(skep_hive *hive, const void *argument, size_t argument_bytes);

enum skep_start { SKEP_START_FORK = 1, SKEP_START_SPAWN = 2 };

/** Terminated (SIGTERM) and joined when its parent exits normally; dies with it too. */
#define SKEP_PROCESS_DAEMON 1u
/** Killed by the kernel when its parent dies, in whatever way. */
#define SKEP_PROCESS_DIE_WITH_PARENT 2u

struct skep_process_options {
        size_t options_bytes;            /* set by SKEP_PROCESS_OPTIONS() */
        skep_hive *hive;                 /* borrowed; NULL: no hive */
        uint32_t start;                  /* enum skep_start. 0: fork */
        uint32_t flags;                  /* SKEP_PROCESS_DAEMON, SKEP_PROCESS_DIE_WITH_PARENT */
        skep_process_function *function; /* fork */
        const char *function_name;       /* borrowed; spawn: the registered name. At most SKEP_NAME_MAX bytes */
        const char *program;             /* borrowed; spawn: path of the program. NULL: this one (/proc/self/exe) */
        const void *argument;            /* borrowed; copied */
        size_t argument_bytes;           /* at most 64 KiB */
        const char *name;                /* borrowed; NULL: "Process-N" */
};

#define SKEP_PROCESS_OPTIONS(...) \
        (&(const struct skep_process_options){.options_bytes = sizeof(struct skep_process_options), __VA_ARGS__})

/** Register a function for spawn. @param name  borrowed for ever @return 0; -EEXIST; -EINVAL; -ENAMETOOLONG; -ENOMEM */
SKEP_API int skep_process_register(const char *name, skep_process_function *function);

/** Call first in main(), after registering: in a spawned child this runs the function and exits, elsewhere it returns 0. */
SKEP_API int skep_process_main(void);

/**
 * Start a child.
 * @return 0; -EAGAIN process limit; -ENOENT program; -EINVAL; -E2BIG; -ENOMEM; -EMFILE
 * Crash: the child goes on, unless SKEP_PROCESS_DIE_WITH_PARENT.
 */
SKEP_API SKEP_NODISCARD int skep_process_start(const struct skep_process_options *options, skep_process **ret_process);

/** Wait for the end. @return 0 ended; -ETIMEDOUT still runs; -ECHILD not the caller's child (in a forked child) */
SKEP_API SKEP_NODISCARD int skep_process_join(skep_process *process, skep_deadline deadline);

/** SIGTERM. @return 0, also when it has ended; -ECHILD */
SKEP_API int skep_process_terminate(skep_process *process);
/** SIGKILL. @return 0, also when it has ended; -ECHILD */
SKEP_API int skep_process_kill(skep_process *process);

#define SKEP_STILL_RUNS INT32_MIN
/** Exit code 0..255, minus the signal's number, or SKEP_STILL_RUNS. */
SKEP_API int32_t skep_process_exit_code(skep_process *process);
SKEP_API int skep_process_is_alive(skep_process *process);
SKEP_API int64_t skep_process_pid(const skep_process *process);
SKEP_API const char *skep_process_name(const skep_process *process);
/** Descriptor that becomes readable when the process has ended; borrowed until unref. */
SKEP_API int skep_process_sentinel(const skep_process *process);
/** Drop the handle; the child goes on. @param process  NULL is allowed @return NULL */
SKEP_API skep_process *skep_process_unref(skep_process *process);

/** The children of this process that were started here and still run. @param processes  borrowed, [count_max]; gives a
 *  reference to each @return how many there are (maybe more than count_max) */
SKEP_API size_t skep_process_active_children(skep_process **processes, size_t count_max);

/** Process id of the process that started this one through skep; 0 in the main process. */
SKEP_API int64_t skep_process_parent(void);
/** Name of this process; "MainProcess" in the main one. */
SKEP_API const char *skep_process_self_name(void);

SKEP_END
#endif
