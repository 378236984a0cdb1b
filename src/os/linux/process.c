/* SPDX-License-Identifier: Apache-2.0 */
/*
 * os/linux/process.c - see os/process.h.
 *
 * pidfd_open (5.3), waitid(P_PIDFD) (5.4) and pidfd_send_signal (5.1) are called by number, because the C library of
 * Debian 11 has no wrappers.  Where one is missing the caller falls back on pids.
 *
 * PR_SET_PDEATHSIG watches the THREAD that forked, not its process: a child that is to die with its parent also dies
 * when that thread ends.  The kernel offers nothing else.
 */
#include "os/process.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

extern char **environ;

static bool pidfd_disabled;

int64_t os_process_parent(void)
{
        return getppid();
}

int os_process_fork(int64_t *ret_pid)
{
        pid_t pid = fork();

        if (pid < 0)
                return -errno;
        *ret_pid = pid;
        return 0;
}

static size_t variable_name_bytes(const char *variable)
{
        return (size_t)(strchr(variable, '=') - variable) + 1;
}

/* The caller's environment with one variable set: an array of borrowed strings, to be freed. */
static char **environment_with(const char *variable)
{
        size_t count = 0, used = 0, name_bytes = variable_name_bytes(variable);
        char **copy;

        while (environ[count])
                count++;
        copy = calloc(count + 2, sizeof(*copy));
        if (!copy)
                return NULL;
        for (size_t i = 0; i < count; i++)
                if (strncmp(environ[i], variable, name_bytes))
                        copy[used++] = environ[i];
        copy[used] = (char *)(uintptr_t)variable;
        return copy;
}

/* dup2 of a descriptor upon itself clears close-on-exec in the child, and only there. */
static int actions_fill(posix_spawn_file_actions_t *actions, const struct os_process_program *program)
{
        int r = 0;

        for (size_t i = 0; i < program->descriptor_count && !r; i++)
                if (program->descriptors[i] >= 0)
                        r = -posix_spawn_file_actions_adddup2(actions, program->descriptors[i], program->descriptors[i]);
        return r;
}

static int spawn_with(const struct os_process_program *program, const posix_spawn_file_actions_t *actions, int64_t *ret_pid)
{
        const char *path = program->path ? program->path : "/proc/self/exe";
        char *arguments[] = { program->path ? (char *)(uintptr_t)program->path : program_invocation_name, NULL };
        char **environment = environment_with(program->variable);
        pid_t pid;
        int r;

        if (!environment)
                return -ENOMEM;
        r = -posix_spawn(&pid, path, actions, NULL, arguments, environment);
        free(environment);
        if (!r)
                *ret_pid = pid;
        return r;
}

int os_process_spawn(const struct os_process_program *program, int64_t *ret_pid)
{
        posix_spawn_file_actions_t actions;
        int r = -posix_spawn_file_actions_init(&actions);

        if (r)
                return r;
        r = actions_fill(&actions, program);
        if (!r)
                r = spawn_with(program, &actions, ret_pid);
        (void)posix_spawn_file_actions_destroy(&actions);
        return r;
}

void os_process_leave(int code)
{
        _exit(code);
}

int os_process_pidfd(int64_t pid, int *ret_fd)
{
        long fd;

        if (pidfd_disabled)
                return -ENOSYS;
        fd = syscall(SYS_pidfd_open, (pid_t)pid, 0);
        if (fd < 0)
                return errno == EPERM ? -ENOSYS : -errno; /* old seccomp filters say EPERM for what they do not know */
        *ret_fd = (int)fd;
        return 0;
}

void os_process_pidfd_disable(bool disable)
{
        pidfd_disabled = disable;
}

/* How long until the deadline, for ppoll(); NULL: for ever. */
static struct timespec *time_left(int64_t deadline_ns, struct timespec *left)
{
        int64_t ns;

        if (deadline_ns == INT64_MAX)
                return NULL;
        ns = deadline_ns ? deadline_ns - os_now_ns() : 0;
        if (ns < 0)
                ns = 0;
        *left = (struct timespec){ .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
        return left;
}

int os_process_poll_any(const int *fds, size_t count, int64_t deadline_ns)
{
        struct pollfd watched[OS_POLL_MAX];
        struct timespec left;
        int r;

        if (count > OS_POLL_MAX)
                return -EINVAL;
        for (size_t i = 0; i < count; i++)
                watched[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
        do
                r = ppoll(watched, count, time_left(deadline_ns, &left), NULL);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return -errno;
        return r ? 0 : -ETIMEDOUT;
}

int os_process_poll(int fd, int64_t deadline_ns)
{
        return os_process_poll_any(&fd, 1, deadline_ns);
}

void os_process_take_signals(void)
{
        sigset_t none;

        (void)signal(SIGTERM, SIG_DFL);
        (void)sigemptyset(&none);
        (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

int os_process_pin(uint32_t index)
{
        cpu_set_t allowed, one;
        int cpu = 0;

        if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
                return -errno;
        index %= (uint32_t)CPU_COUNT(&allowed);
        while (!CPU_ISSET((size_t)cpu, &allowed) || index--)
                cpu++;
        CPU_ZERO(&one);
        CPU_SET((size_t)cpu, &one);
        return sched_setaffinity(0, sizeof(one), &one) < 0 ? -errno : 0;
}

static int collect(idtype_t type, id_t id, siginfo_t *info)
{
        int r;

        do
                r = waitid(type, id, info, WEXITED | WNOHANG);
        while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : 0;
}

int os_process_collect(int64_t pid, int pidfd, int32_t *ret_code)
{
        siginfo_t info = { .si_pid = 0 };
        int r = pidfd < 0 ? -EINVAL : collect((idtype_t)P_PIDFD, (id_t)pidfd, &info);

        if (r == -EINVAL) /* no pidfd, or a kernel that cannot wait for one */
                r = collect(P_PID, (id_t)pid, &info);
        if (r)
                return r;
        if (!info.si_pid)
                return 0;
        *ret_code = info.si_code == CLD_EXITED ? info.si_status & 0xff : -info.si_status;
        return 1;
}

static int process_signal(int64_t pid, int pidfd, int number)
{
        long r = -1;

        if (pidfd >= 0)
                r = syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
        if (pidfd < 0 || (r < 0 && (errno == ENOSYS || errno == EPERM)))
                r = kill((pid_t)pid, number);
        return r < 0 ? -errno : 0;
}

int os_process_terminate(int64_t pid, int pidfd)
{
        return process_signal(pid, pidfd, SIGTERM);
}

int os_process_kill(int64_t pid, int pidfd)
{
        return process_signal(pid, pidfd, SIGKILL);
}

int os_process_die_with_parent(int64_t parent)
{
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                return -errno;
        if (getppid() != parent)
                (void)raise(SIGKILL);
        return 0;
}

int os_process_pipe(int ret_fds[2])
{
        return pipe2(ret_fds, O_CLOEXEC) < 0 ? -errno : 0;
}

int os_process_close_on_exec(int fd)
{
        return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

static int write_all(int fd, const char *data, size_t bytes)
{
        while (bytes) {
                ssize_t written = write(fd, data, bytes);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0)
                        return -errno;
                data += written;
                bytes -= (size_t)written;
        }
        return 0;
}

int os_process_note_write(const void *data, size_t bytes, int *ret_fd)
{
        int r, fd = memfd_create("skep-note", MFD_CLOEXEC);

        if (fd < 0)
                return -errno;
        r = write_all(fd, data, bytes);
        if (r)
                os_close(fd);
        else
                *ret_fd = fd;
        return r;
}

int64_t os_process_note_read(int fd, void *buffer, size_t bytes)
{
        ssize_t r;

        do
                r = pread(fd, buffer, bytes, 0);
        while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : r;
}

int64_t os_process_note_bytes(int fd)
{
        struct stat about;

        return fstat(fd, &about) < 0 ? -errno : about.st_size;
}
