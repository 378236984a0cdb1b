/* SPDX-License-Identifier: Apache-2.0 */
/* lock_test.c - the lock between processes: exclusion, news of a death, bad use. */
#include "support/suite.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <skep/skep.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static skep_hive *hive;
static skep_lock *lock;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
        ck_assert_int_eq(skep_lock_create(hive, NULL, &lock), 0);
}

static void teardown(void)
{
        lock = skep_lock_unref(lock);
        hive = skep_hive_detach(hive);
}

START_TEST(only_one_of_four_processes_is_inside)
{
        enum { PROCESSES = 4, TURNS = 20000 };
        volatile uint64_t *pair = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        for (int i = 0; i < PROCESSES; i++)
                if (fork() == 0) {
                        for (int turn = 0; turn < TURNS; turn++) {
                                if (skep_lock_acquire(lock, skep_forever()) != 0 || pair[0] != pair[1])
                                        _exit(1);
                                pair[0] = pair[0] + 1;
                                pair[1] = pair[1] + 1;
                                skep_lock_release(lock);
                        }
                        _exit(0);
                }
        for (int i = 0, status; i < PROCESSES; i++) {
                ck_assert_int_gt(wait(&status), 0);
                ck_assert_int_eq(status, 0);
        }
        ck_assert_uint_eq(pair[0], PROCESSES * TURNS);
}
END_TEST

START_TEST(the_next_one_learns_that_the_holder_died)
{
        pid_t child = fork();
        if (child == 0) {
                if (skep_lock_acquire(lock, skep_forever()) == 0)
                        kill(getpid(), SIGKILL);
                _exit(1);
        }
        waitpid(child, NULL, 0);
        ck_assert_int_eq(skep_lock_acquire(lock, skep_forever()), SKEP_OWNER_DIED);
        ck_assert_int_eq(skep_lock_owner(lock), getpid());
        ck_assert_int_eq(skep_lock_release(lock), 0);
        ck_assert_int_eq(skep_lock_acquire(lock, skep_nowait()), 0);
        ck_assert_int_eq(skep_lock_release(lock), 0);
}
END_TEST

START_TEST(a_waiter_gets_the_lock_of_a_holder_that_dies)
{
        int ready[2];
        char byte = 0;
        ck_assert_int_eq(pipe(ready), 0);
        pid_t child = fork();
        if (child == 0) {
                if (skep_lock_acquire(lock, skep_forever()) < 0 || write(ready[1], &byte, 1) != 1)
                        _exit(1);
                usleep(20000);
                kill(getpid(), SIGKILL);
        }
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
        ck_assert_int_eq(skep_lock_acquire(lock, skep_forever()), SKEP_OWNER_DIED);
        waitpid(child, NULL, 0);
}
END_TEST

START_TEST(another_process_may_release_what_one_holds)
{
        int status;
        ck_assert_int_eq(skep_lock_acquire(lock, skep_nowait()), 0);
        pid_t child = fork();
        if (child == 0)
                _exit(skep_lock_release(lock) != 0);
        waitpid(child, &status, 0);
        ck_assert_int_eq(status, 0);
        ck_assert_int_eq(skep_lock_owner(lock), 0);
        ck_assert_int_eq(skep_lock_acquire(lock, skep_nowait()), 0);
}
END_TEST

START_TEST(a_held_lock_is_refused_in_time_and_a_free_one_cannot_be_released)
{
        ck_assert_int_eq(skep_lock_release(lock), -EPERM);
        ck_assert_int_eq(skep_lock_acquire(lock, skep_nowait()), 0);
        pid_t child = fork();
        if (child == 0)
                _exit(skep_lock_acquire(lock, skep_nowait()) != -ETIMEDOUT || skep_lock_acquire(lock, skep_within_ns(30000000)) != -ETIMEDOUT);
        int status;
        waitpid(child, &status, 0);
        ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(a_lock_is_found_by_name_and_by_reference_and_not_as_another_kind)
{
        skep_lock *named, *again;
        skep_queue *queue;
        ck_assert_int_eq(skep_lock_create(hive, "door", &named), 0);
        ck_assert_int_eq(skep_lock_create(hive, "door", &again), -EEXIST);
        ck_assert_int_eq(skep_lock_open(hive, "door", &again), 0);
        ck_assert_int_eq(skep_lock_acquire(again, skep_nowait()), 0);
        ck_assert_int_eq(skep_lock_acquire(named, skep_nowait()), -ETIMEDOUT);
        skep_lock_unref(again);
        skep_block reference = skep_lock_reference(named);
        ck_assert_int_eq(skep_lock_attach(hive, reference, &again), 0);
        skep_lock_unref(again);
        ck_assert_int_eq(skep_queue_open(hive, "door", &queue), -EPROTOTYPE);
        ck_assert_int_eq(skep_hive_forget(hive, "door"), 0);
        skep_lock_unref(named);
        ck_assert_int_eq(skep_lock_attach(hive, reference, &again), -ESTALE);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("lock");
        TCase *all = tcase_create("lock");
        tcase_add_checked_fixture(all, setup, teardown);
        tcase_set_timeout(all, 30);
        tcase_add_test(all, only_one_of_four_processes_is_inside);
        tcase_add_test(all, the_next_one_learns_that_the_holder_died);
        tcase_add_test(all, a_waiter_gets_the_lock_of_a_holder_that_dies);
        tcase_add_test(all, another_process_may_release_what_one_holds);
        tcase_add_test(all, a_held_lock_is_refused_in_time_and_a_free_one_cannot_be_released);
        tcase_add_test(all, a_lock_is_found_by_name_and_by_reference_and_not_as_another_kind);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
