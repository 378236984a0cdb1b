/* SPDX-License-Identifier: Apache-2.0 */
/*
 * people.h - what tests of several processes share: children that end with their test, a board that all of them see, and
 * waiting until somebody really sleeps on something instead of hoping that he does by now.
 */
#ifndef TESTS_PEOPLE_H
#define TESTS_PEOPLE_H

#include "support/suite.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <skep/skep.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define LONG skep_within_ns(20000 * MS) /* that long only if something is wrong */

static inline int64_t people_now_ns(void)
{
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* Figures that all processes of a test see. */
static inline _Atomic uint32_t *people_board(void)
{
        void *board = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(board, MAP_FAILED);
        return board;
}

/* fork() for a child that must end with _exit(). */
static inline pid_t branch(void)
{
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                alarm(40);
        }
        return child;
}

static inline void die(void)
{
        kill(getpid(), SIGKILL);
}

/* @return exit code, or minus the signal */
static inline int ended(pid_t child)
{
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Send SIGSTOP, and wait until it has effect. */
static inline void halt(pid_t child)
{
        int status;
        kill(child, SIGSTOP);
        ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
        ck_assert(WIFSTOPPED(status));
}

struct people_count {
        const char *kind;
        uint32_t count;
};

static inline int people_count_wait(const struct skep_wait_info *info, void *context)
{
        struct people_count *count = context;
        count->count += !strcmp(info->kind, count->kind);
        return 0;
}

/* Threads that wait for objects of that kind. */
static inline uint32_t asleep(skep_hive *hive, const char *kind)
{
        struct people_count count = {kind, 0};
        ck_assert_int_eq(skep_hive_waits(hive, people_count_wait, &count), 0);
        return count.count;
}

static inline void until_asleep(skep_hive *hive, const char *kind, uint32_t count)
{
        int64_t end = people_now_ns() + 20000 * MS;
        while (asleep(hive, kind) != count) {
                ck_assert_msg(people_now_ns() < end, "%u wait for a %s, not %u", asleep(hive, kind), kind, count);
                usleep(200);
        }
        usleep(2000); /* they say so before they do */
}

static inline void until_equal(_Atomic uint32_t *word, uint32_t value)
{
        int64_t end = people_now_ns() + 20000 * MS;
        while (atomic_load(word) != value) {
                ck_assert_msg(people_now_ns() < end, "%u instead of %u", atomic_load(word), value);
                usleep(200);
        }
}

static inline int people_run(const char *name, void (*setup)(void), void (*teardown)(void), const TTest *const *tests, size_t count)
{
        Suite *suite = suite_create(name);
        TCase *all = tcase_create(name);
        tcase_add_checked_fixture(all, setup, teardown);
        tcase_set_timeout(all, 40);
        for (size_t i = 0; i < count; i++)
                tcase_add_test(all, tests[i]);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}

#define RUN_TESTS(name, setup, teardown, ...) \
        people_run(name, setup, teardown, (const TTest *const[]){__VA_ARGS__}, sizeof((const TTest *const[]){__VA_ARGS__}) / sizeof(TTest *))

#endif
