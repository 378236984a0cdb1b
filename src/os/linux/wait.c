/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c - clock, futex and the machine's figures (os.h, skep/deadline.h) on Linux. */
#include "os/os.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <skep/deadline.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)

int64_t os_now_ns(void)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * NS_PER_S + now.tv_nsec;
}

skep_deadline skep_within_ns(int64_t duration_ns)
{
        if (duration_ns <= 0)
                return skep_nowait();
        int64_t deadline;
        if (__builtin_add_overflow(os_now_ns(), duration_ns, &deadline))
                return skep_forever();
        return (skep_deadline){deadline};
}

int64_t os_pid(void)
{
        return getpid();
}

uint64_t os_memory_bytes(void)
{
        return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint32_t os_cpu_count(void)
{
        long count = sysconf(_SC_NPROCESSORS_ONLN);
        return count > 0 ? (uint32_t)count : 1;
}

int os_random(void *buffer, size_t bytes)
{
        ssize_t count;
        do
                count = getrandom(buffer, bytes, 0);
        while (count < 0 && errno == EINTR);
        return count == (ssize_t)bytes ? 0 : -EIO;
}

void os_yield(void)
{
        sched_yield();
}

int os_futex_wait(uint32_t *word, uint32_t expected, int64_t monotonic_ns)
{
        struct timespec until = {.tv_sec = monotonic_ns / NS_PER_S, .tv_nsec = monotonic_ns % NS_PER_S};
        long result = syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, &until, NULL, FUTEX_BITSET_MATCH_ANY);
        return result && (errno == ETIMEDOUT || errno == EINTR) ? -errno : 0;
}

#ifndef SYS_futex_waitv /* Linux 5.16 */
#define SYS_futex_waitv 449
#endif

/* As struct futex_waitv of newer headers. */
struct one_of_many {
        uint64_t expected;
        uint64_t address;
        uint32_t flags;
        uint32_t reserved;
};
#define ONE_OF_32_BITS 2u

int os_futex_wait_many(uint32_t *const *words, const uint32_t *expected, uint32_t count, int64_t monotonic_ns)
{
        struct timespec until = {.tv_sec = monotonic_ns / NS_PER_S, .tv_nsec = monotonic_ns % NS_PER_S};
        struct one_of_many many[OS_FUTEX_MANY_MAX];
        for (uint32_t i = 0; i < count; i++)
                many[i] = (struct one_of_many){expected[i], (uint64_t)(uintptr_t)words[i], ONE_OF_32_BITS, 0};
        long result = syscall(SYS_futex_waitv, many, count, 0, &until, CLOCK_MONOTONIC);
        return result < 0 && errno != EAGAIN ? -errno : 0;
}

bool os_futex_has_many(void)
{
        return syscall(SYS_futex_waitv, NULL, 0, 0, NULL, CLOCK_MONOTONIC) < 0 && errno == EINVAL;
}

int os_futex_wake(uint32_t *word, int count)
{
        long result = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
        return result > 0 ? (int)result : 0;
}

int64_t os_thread(void)
{
        return syscall(SYS_gettid);
}

int os_thread_start(void *(*run)(void *argument), void *argument, pthread_t *ret_thread)
{
        sigset_t all, old;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        int error = pthread_create(ret_thread, NULL, run, argument);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        return -error;
}
