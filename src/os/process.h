/* SPDX-License-Identifier: Apache-2.0 */
/*
 * os/process.h - the system calls that only src/process/ needs: start, watch, signal and collect a child.
 *
 * Nothing here keeps state, but the switch that lets the tests play an old kernel.  Results are 0 or -errno unless said
 * otherwise.  Descriptors made here are close-on-exec.  A pid is an int64_t as in the public headers.
 *
 * Not promised: that a pid without a pidfd is still the child that it was.  It is as long as nobody else collects the
 * children of this process (waitpid(-1), SIGCHLD ignored); with a pidfd it always is.
 */
#ifndef SKEP_OS_PROCESS_H
#define SKEP_OS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t os_process_parent(void);

/* fork(), with the handlers of pthread_atfork(). In the child *ret_pid is 0. */
int os_process_fork(int64_t *ret_pid);

/* A fresh exec. */
struct os_process_program {
        const char *path;       /* NULL: the program of this process */
        const char *variable;   /* "NAME=value", set in the child's environment, instead of one of that name */
        const int *descriptors; /* open in the child at the same number; negative ones are passed over */
        size_t descriptor_count;
};
int os_process_spawn(const struct os_process_program *program, int64_t *ret_pid);

/* End this process now: no atexit handlers, no flushing. */
_Noreturn void os_process_leave(int code);

/* Descriptor that becomes readable when the process ends. -ENOSYS: this kernel has none (before 5.3). */
int os_process_pidfd(int64_t pid, int *ret_fd);

/* Tests: behave as a kernel without pidfd. */
void os_process_pidfd_disable(bool disable);

/* Wait until fd is readable or hung up. 0; -ETIMEDOUT. Signals do not end the wait. fd < 0: only the time. */
int os_process_poll(int fd, int64_t deadline_ns);

/* Wait until one of them is. */
#define OS_POLL_MAX 136u
int os_process_poll_any(const int *fds, size_t count, int64_t deadline_ns);

/*
 * The calling thread takes all signals again, for a process that a thread of os_thread_start() started; and SIGTERM ends the
 * process, whatever its parent does with it.
 */
void os_process_take_signals(void);

/* The calling thread runs on the index-th, modulo their number, of the CPUs that it may use. */
int os_process_pin(uint32_t index);

/* Take the exit code (0..255, or minus the signal) of an ended child. 1 taken; 0 still runs; -ECHILD no such child. pidfd may be -1. */
int os_process_collect(int64_t pid, int pidfd, int32_t *ret_code);

int os_process_terminate(int64_t pid, int pidfd);
int os_process_kill(int64_t pid, int pidfd);

/* Ask the kernel to kill this process with the thread of `parent` that started it; does not return if that is over already. */
int os_process_die_with_parent(int64_t parent);

int os_process_pipe(int ret_fds[2]);
int os_process_close_on_exec(int fd);

/* A nameless file with these bytes, to be passed to a child; and back. read: number of bytes, at most `bytes`, or -errno. */
int os_process_note_write(const void *data, size_t bytes, int *ret_fd);
int64_t os_process_note_read(int fd, void *buffer, size_t bytes);
int64_t os_process_note_bytes(int fd);

#endif
