/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c - the parent's side: start a child, watch it, wait for it.
 *
 * STATES of a child, as its parent knows them:
 *      runs      the handle is in the list of children, which holds a reference to it; its pid cannot be used anew,
 *                for the kernel keeps it until we collect the exit code
 *      ended     the exit code was collected; the handle is out of the list, its pid means nothing any more
 * The step between is child_settle(), called by whoever looks (join, exit code, alive, active children, next start), so
 * there is no thread and no signal handler.  Dropping a handle early leaves no zombie: the list goes on settling it.
 *
 * WHO  A handle belongs to the process that started the child.  In a forked child of that process the list is empty, and
 * join, terminate and kill of an inherited handle say -ECHILD; alive asks the sentinel, which tells the truth there too.
 *
 * SENTINEL  A pidfd; on kernels before 5.3 the read end of a pipe whose write end the child holds open.  That pipe may
 * be kept open by a process that the child itself made with a plain exec, so join looks at the child every 20 ms then.
 *
 * DAEMON  At exit(), and when a function of ours returns, daemons get SIGTERM and are joined; one that does not end
 * within 5 seconds gets SIGKILL.  Should the parent die otherwise the kernel kills them.  Caution: the kernel counts
 * the THREAD that started the child as its parent.  A daemon, or a child that dies with its parent, lives only as long
 * as that thread.
 *
 * FORK AND stdout  stdout and stderr are flushed before fork(), or the child would write the same text again.
 *
 * Not promised: the exit code of a child that somebody else collected (waitpid(-1), SIGCHLD ignored); it counts as
 * ended with 255.
 */
#include "process/process.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hive/hive.h"
#include "os/os.h"
#include "os/process.h"

#define SLICE_NS 20000000 /* without a pidfd */
#define DAEMON_GRACE_NS 5000000000
#define CODE_UNKNOWN 255

struct skep_process {
        skep_process *next; /* in the list of children, while it runs */
        uint32_t references;
        uint32_t flags;
        int64_t pid;
        int64_t owner_pid; /* who started it */
        int sentinel_fd;
        bool has_pidfd; /* sentinel_fd is one */
        bool ended;
        int32_t exit_code;
        char name[SKEP_NAME_MAX + 1];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static skep_process *children;
static uint64_t started_count; /* for the names */

/* --- lock, fork, exit --------------------------------------------------------------------------------------------- */

static void unref_locked(skep_process *process)
{
        if (--process->references)
                return;
        os_close(process->sentinel_fd);
        free(process);
}

static void fork_prepare(void)
{
        (void)pthread_mutex_lock(&lock);
}

static void fork_done(void)
{
        (void)pthread_mutex_unlock(&lock);
}

/* The children of the parent are not the child's. */
static void fork_child(void)
{
        while (children) {
                skep_process *process = children;

                children = process->next;
                unref_locked(process);
        }
        started_count = 0;
        process_child_forget();
        (void)pthread_mutex_unlock(&lock);
}

static void set_up(void)
{
        (void)pthread_atfork(fork_prepare, fork_done, fork_child);
        (void)atexit(process_daemons_end);
}

void process_lock(void)
{
        (void)pthread_once(&once, set_up);
        (void)pthread_mutex_lock(&lock);
}

void process_unlock(void)
{
        (void)pthread_mutex_unlock(&lock);
}

/* --- from "runs" to "ended" --------------------------------------------------------------------------------------- */

static void list_remove(skep_process *process)
{
        skep_process **link = &children;

        while (*link && *link != process)
                link = &(*link)->next;
        if (*link)
                *link = process->next;
}

static int child_pidfd(const skep_process *process)
{
        return process->has_pidfd ? process->sentinel_fd : -1;
}

/* Collect the exit code if there is one. @return whether it has ended. The caller holds the lock and a reference. */
static bool child_settle(skep_process *process)
{
        int r;

        if (process->ended || process->owner_pid != os_pid())
                return process->ended;
        r = os_process_collect(process->pid, child_pidfd(process), &process->exit_code);
        if (!r)
                return false;
        if (r < 0)
                process->exit_code = CODE_UNKNOWN;
        process->ended = true;
        list_remove(process);
        unref_locked(process); /* the list's */
        return true;
}

static void settle_all(void)
{
        for (skep_process *process = children, *next; process; process = next) {
                next = process->next;
                (void)child_settle(process);
        }
}

static bool settle(skep_process *process)
{
        bool ended;

        process_lock();
        ended = child_settle(process);
        process_unlock();
        return ended;
}

/* --- start -------------------------------------------------------------------------------------------------------- */

static int process_name_check(const char *name)
{
        if (!name)
                return 0;
        if (!*name)
                return -EINVAL;
        return strlen(name) > SKEP_NAME_MAX ? -ENAMETOOLONG : 0;
}

static int options_check(struct skep_process_options *options)
{
        int r = process_name_check(options->name);

        if (!r)
                r = process_name_check(options->function_name);
        if (r)
                return r;
        if (!options->start)
                options->start = SKEP_START_FORK;
        if (options->start == SKEP_START_FORK && !options->function && options->function_name)
                options->function = process_function_find(options->function_name);
        if (options->start == SKEP_START_FORK ? !options->function : !options->function_name)
                return -EINVAL;
        if (options->start > SKEP_START_SPAWN || options->flags & ~(SKEP_PROCESS_DAEMON | SKEP_PROCESS_DIE_WITH_PARENT))
                return -EINVAL;
        if (options->argument_bytes > PROCESS_ARGUMENT_MAX || (options->argument_bytes && !options->argument))
                return -EINVAL;
        return 0;
}

static void name_choose(const char *name, char *ret_name)
{
        process_lock();
        started_count++;
        if (name)
                (void)snprintf(ret_name, SKEP_NAME_MAX + 1, "%s", name);
        else
                (void)snprintf(ret_name, SKEP_NAME_MAX + 1, "Process-%llu", (unsigned long long)started_count);
        process_unlock();
}

static int letter_new(const struct skep_process_options *options, struct process_letter **ret_letter)
{
        struct process_letter *letter = calloc(1, sizeof(*letter) + options->argument_bytes);

        if (!letter)
                return -ENOMEM;
        letter->magic = PROCESS_LETTER_MAGIC;
        letter->version = PROCESS_LETTER_VERSION;
        letter->parent_pid = os_pid();
        letter->hive_fd = options->hive ? skep_hive_fd(options->hive) : -1;
        letter->sentinel_fd = -1;
        letter->flags = options->flags;
        letter->argument_bytes = (uint32_t)options->argument_bytes;
        if (options->function_name)
                memcpy(letter->function_name, options->function_name, strlen(options->function_name));
        if (options->argument_bytes)
                memcpy(letter->argument, options->argument, options->argument_bytes);
        name_choose(options->name, letter->name);
        *ret_letter = letter;
        return 0;
}

static int process_new(const struct process_letter *letter, skep_process **ret_process)
{
        skep_process *process = calloc(1, sizeof(*process));

        if (!process)
                return -ENOMEM;
        process->references = 2; /* the caller's and the list's */
        process->flags = letter->flags;
        process->owner_pid = letter->parent_pid;
        process->sentinel_fd = -1;
        memcpy(process->name, letter->name, sizeof(process->name));
        *ret_process = process;
        return 0;
}

/*
 * Find out before the start how the child will be watched, so that what can fail has failed by then: a pidfd of
 * ourselves is opened in its stead and closed right before the real one is.
 */
static int sentinel_prepare(skep_process *process, struct process_letter *letter)
{
        int r, fds[2];

        r = os_process_pidfd(process->owner_pid, &process->sentinel_fd);
        process->has_pidfd = !r;
        if (r != -ENOSYS)
                return r;
        r = os_process_pipe(fds);
        if (r)
                return r;
        process->sentinel_fd = fds[0];
        letter->sentinel_fd = fds[1];
        return 0;
}

static int sentinel_open(skep_process *process)
{
        if (!process->has_pidfd)
                return 0;
        os_close(process->sentinel_fd);
        process->sentinel_fd = -1;
        return os_process_pidfd(process->pid, &process->sentinel_fd);
}

static int start_fork(const struct skep_process_options *options, const struct process_letter *letter, skep_process *process)
{
        int r;

        (void)fflush(stdout);
        (void)fflush(stderr);
        r = os_process_fork(&process->pid);
        if (!r && !process->pid) {
                os_close(process->sentinel_fd);
                process_child_run(letter, options->function, options->hive);
        }
        return r;
}

static int start_spawn(const struct skep_process_options *options, const struct process_letter *letter, skep_process *process)
{
        int r, note_fd = -1;
        char variable[sizeof(PROCESS_LETTER_VARIABLE) + 16];

        r = os_process_note_write(letter, sizeof(*letter) + letter->argument_bytes, &note_fd);
        if (r)
                return r;
        (void)snprintf(variable, sizeof(variable), "%s=%d", PROCESS_LETTER_VARIABLE, note_fd);
        r = os_process_spawn(&(struct os_process_program){ .path = options->program,
                                                           .variable = variable,
                                                           .descriptors = (int[]){ note_fd, letter->hive_fd, letter->sentinel_fd },
                                                           .descriptor_count = 3 },
                             &process->pid);
        os_close(note_fd);
        return r;
}

/* The child runs; if it cannot be watched, take the start back. */
static int child_enlist(skep_process *process)
{
        int r = sentinel_open(process);
        int32_t code;

        if (r) {
                (void)os_process_kill(process->pid, -1);
                while (!os_process_collect(process->pid, -1, &code))
                        (void)os_process_poll(-1, os_now_ns() + 1000000);
                return r;
        }
        process_lock();
        settle_all();
        process->next = children;
        children = process;
        process_unlock();
        return 0;
}

static int start(const struct skep_process_options *options, struct process_letter *letter, skep_process *process)
{
        int r = sentinel_prepare(process, letter);

        if (!r)
                r = options->start == SKEP_START_FORK ? start_fork(options, letter, process) : start_spawn(options, letter, process);
        if (letter->sentinel_fd >= 0)
                os_close(letter->sentinel_fd);
        if (!r)
                r = child_enlist(process);
        return r;
}

static int start_new(const struct skep_process_options *options, struct process_letter *letter, skep_process **ret_process)
{
        skep_process *process;
        int r = process_new(letter, &process);

        if (r)
                return r;
        r = start(options, letter, process);
        if (r) {
                if (process->sentinel_fd >= 0)
                        os_close(process->sentinel_fd);
                free(process);
        } else {
                *ret_process = process;
        }
        return r;
}

int skep_process_start(const struct skep_process_options *options, skep_process **ret_process)
{
        struct skep_process_options checked;
        struct process_letter *letter;
        int r = options_copy(&checked, sizeof checked, options);

        if (!r)
                r = ret_process ? options_check(&checked) : -EINVAL;
        if (!r)
                r = letter_new(&checked, &letter);
        if (r)
                return r;
        r = start_new(&checked, letter, ret_process);
        free(letter);
        return r;
}

/* --- wait --------------------------------------------------------------------------------------------------------- */

/* Sleep until the child has ended, or it is time to look whether it has. */
static int sleep_once(const skep_process *process, int64_t deadline_ns)
{
        int64_t slice_end_ns;

        if (process->has_pidfd)
                return os_process_poll(process->sentinel_fd, deadline_ns);
        if (deadline_ns && os_now_ns() >= deadline_ns)
                return -ETIMEDOUT;
        slice_end_ns = os_now_ns() + SLICE_NS;
        if (!os_process_poll(process->sentinel_fd, deadline_ns < slice_end_ns ? deadline_ns : slice_end_ns))
                (void)os_process_poll(-1, os_now_ns() + SLICE_NS / 100); /* its files are closed: it ends in a moment */
        return deadline_ns ? 0 : -ETIMEDOUT;
}

int skep_process_join(skep_process *process, skep_deadline deadline)
{
        int r = 0;

        if (!process)
                return -EINVAL;
        while (!settle(process)) {
                if (process->owner_pid != os_pid())
                        return -ECHILD;
                if (r)
                        return r;
                r = sleep_once(process, deadline.monotonic_ns);
        }
        return 0;
}

static int child_signal(skep_process *process, int (*send)(int64_t pid, int pidfd))
{
        int r = 0;

        if (!process)
                return -EINVAL;
        process_lock();
        if (!child_settle(process))
                r = process->owner_pid == os_pid() ? send(process->pid, child_pidfd(process)) : -ECHILD;
        process_unlock();
        return r == -ESRCH ? 0 : r;
}

int skep_process_terminate(skep_process *process)
{
        return child_signal(process, os_process_terminate);
}

int skep_process_kill(skep_process *process)
{
        return child_signal(process, os_process_kill);
}

static bool daemon_running(skep_process **ret_process)
{
        skep_process *process;

        process_lock();
        settle_all();
        for (process = children; process && !(process->flags & SKEP_PROCESS_DAEMON); process = process->next)
                ;
        if (process)
                process->references++;
        process_unlock();
        *ret_process = process;
        return process;
}

static void daemons_terminate(void)
{
        process_lock();
        settle_all();
        for (skep_process *process = children; process; process = process->next)
                if (process->flags & SKEP_PROCESS_DAEMON)
                        (void)os_process_terminate(process->pid, child_pidfd(process));
        process_unlock();
}

void process_daemons_end(void)
{
        skep_deadline grace = skep_within_ns(DAEMON_GRACE_NS);
        skep_process *process;

        daemons_terminate();
        while (daemon_running(&process)) {
                if (skep_process_join(process, grace)) {
                        (void)skep_process_kill(process);
                        (void)!skep_process_join(process, skep_forever());
                }
                (void)skep_process_unref(process);
        }
}

/* --- look --------------------------------------------------------------------------------------------------------- */

int32_t skep_process_exit_code(skep_process *process)
{
        return process && settle(process) ? process->exit_code : SKEP_STILL_RUNS;
}

int skep_process_is_alive(skep_process *process)
{
        if (!process || settle(process))
                return 0;
        return process->owner_pid == os_pid() || os_process_poll(process->sentinel_fd, 0) == -ETIMEDOUT;
}

int64_t skep_process_pid(const skep_process *process)
{
        return process ? process->pid : 0;
}

const char *skep_process_name(const skep_process *process)
{
        return process ? process->name : "";
}

int skep_process_sentinel(const skep_process *process)
{
        return process ? process->sentinel_fd : -EINVAL;
}

skep_process *skep_process_unref(skep_process *process)
{
        if (!process)
                return NULL;
        process_lock();
        unref_locked(process);
        process_unlock();
        return NULL;
}

size_t skep_process_active_children(skep_process **processes, size_t count_max)
{
        size_t count = 0;

        process_lock();
        settle_all();
        for (skep_process *process = children; process; process = process->next, count++) {
                if (count >= count_max)
                        continue;
                process->references++;
                processes[count] = process;
        }
        process_unlock();
        return count;
}
