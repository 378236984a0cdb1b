/* SPDX-License-Identifier: Apache-2.0 */
/* rlock_test.c - the recursive lock: depth, ownership, fork, death, threads that end. */
#include "support/people.h"

#include <pthread.h>

static skep_hive *hive;
static skep_rlock *lock;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
        ck_assert_int_eq(skep_rlock_create(hive, NULL, &lock), 0);
}

static void teardown(void)
{
        lock = skep_rlock_unref(lock);
        hive = skep_hive_detach(hive);
}

START_TEST(its_owner_takes_it_again_and_again_and_it_is_free_after_as_many_releases)
{
        for (uint32_t i = 1; i <= 3; i++) {
                ck_assert_int_eq(skep_rlock_acquire(lock, skep_nowait()), 0);
                ck_assert_uint_eq(skep_rlock_depth(lock), i);
        }
        pid_t child = branch();
        if (!child)
                _exit(skep_rlock_acquire(lock, skep_nowait()) != -ETIMEDOUT || skep_rlock_depth(lock) != 0);
        ck_assert_int_eq(ended(child), 0);
        for (int i = 0; i < 3; i++) {
                ck_assert_int_eq(skep_rlock_owner(lock), getpid());
                ck_assert_int_eq(skep_rlock_release(lock), 0);
        }
        ck_assert_int_eq(skep_rlock_is_held(lock), 0);
        ck_assert_int_eq(skep_rlock_release(lock), -EPERM);
}
END_TEST

START_TEST(a_forked_child_does_not_own_what_its_parent_owns)
{
        ck_assert_int_eq(skep_rlock_acquire(lock, skep_nowait()), 0);
        pid_t child = branch();
        if (!child)
                _exit(skep_rlock_release(lock) != -EPERM);
        ck_assert_int_eq(ended(child), 0);
        ck_assert_uint_eq(skep_rlock_depth(lock), 1);
}
END_TEST

START_TEST(the_heir_of_a_dead_owner_begins_with_depth_1)
{
        pid_t child = branch();
        if (!child) {
                for (int i = 0; i < 3; i++)
                        if (skep_rlock_acquire(lock, skep_forever()) < 0)
                                _exit(1);
                die();
        }
        ck_assert_int_eq(ended(child), -SIGKILL);
        ck_assert_int_eq(skep_rlock_acquire(lock, skep_nowait()), SKEP_OWNER_DIED);
        ck_assert_uint_eq(skep_rlock_depth(lock), 1);
        ck_assert_int_eq(skep_rlock_owner_died(lock), 1);
        skep_rlock_clear_owner_died(lock);
        ck_assert_int_eq(skep_rlock_release(lock), 0);
        ck_assert_int_eq(skep_rlock_acquire(lock, skep_nowait()), 0);
        ck_assert_int_eq(skep_rlock_owner_died(lock), 0);
}
END_TEST

static void *take(void *context)
{
        return (void *)(intptr_t)skep_rlock_acquire(context, skep_nowait());
}

START_TEST(another_thread_is_another_owner_and_one_that_ends_has_gone)
{
        pthread_t thread;
        void *result;
        ck_assert_int_eq(skep_rlock_acquire(lock, skep_nowait()), 0);
        pthread_create(&thread, NULL, take, lock);
        pthread_join(thread, &result);
        ck_assert_int_eq((intptr_t)result, -ETIMEDOUT);
        ck_assert_int_eq(skep_rlock_release(lock), 0);
        pthread_create(&thread, NULL, take, lock);
        pthread_join(thread, &result);
        ck_assert_int_eq((intptr_t)result, 0);
        ck_assert_int_eq(skep_rlock_acquire(lock, skep_nowait()), SKEP_OWNER_DIED);
}
END_TEST

int main(void)
{
        return RUN_TESTS("rlock", setup, teardown, its_owner_takes_it_again_and_again_and_it_is_free_after_as_many_releases,
                         a_forked_child_does_not_own_what_its_parent_owns, the_heir_of_a_dead_owner_begins_with_depth_1,
                         another_thread_is_another_owner_and_one_that_ends_has_gone);
}
