/* SPDX-License-Identifier: Apache-2.0 */
/* semaphore_test.c - plain, bounded and tracking semaphores. */
#include "support/people.h"

static skep_hive *hive;
static _Atomic uint32_t *board;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
        board = people_board();
}

static void teardown(void)
{
        hive = skep_hive_detach(hive);
}

static skep_semaphore *make(uint32_t value, uint32_t max, uint32_t flags)
{
        skep_semaphore *semaphore;
        ck_assert_int_eq(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.value = value, .max = max, .flags = flags), &semaphore), 0);
        return semaphore;
}

START_TEST(it_counts_down_to_zero_and_then_lets_wait)
{
        skep_semaphore *semaphore = make(2, 0, 0);
        ck_assert_int_eq(skep_semaphore_acquire(semaphore, skep_nowait()), 0);
        ck_assert_int_eq(skep_semaphore_acquire(semaphore, skep_nowait()), 0);
        ck_assert_int_eq(skep_semaphore_acquire(semaphore, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(skep_semaphore_acquire(semaphore, skep_within_ns(20 * MS)), -ETIMEDOUT);
        ck_assert_uint_eq(skep_semaphore_value(semaphore), 0);
        ck_assert_int_eq(skep_semaphore_release(semaphore, 5), 0);
        ck_assert_uint_eq(skep_semaphore_value(semaphore), 5);
        skep_semaphore_unref(semaphore);
}
END_TEST

START_TEST(a_bounded_one_is_not_released_above_its_bound)
{
        skep_semaphore *semaphore = make(2, 2, 0);
        ck_assert_int_eq(skep_semaphore_release(semaphore, 1), -EOVERFLOW);
        ck_assert_int_eq(skep_semaphore_acquire(semaphore, skep_nowait()), 0);
        ck_assert_int_eq(skep_semaphore_release(semaphore, 2), -EOVERFLOW);
        ck_assert_int_eq(skep_semaphore_release(semaphore, 1), 0);
        ck_assert_uint_eq(skep_semaphore_value(semaphore), 2);
        skep_semaphore_unref(semaphore);
        semaphore = make(1, 0, 0);
        ck_assert_int_eq(skep_semaphore_release(semaphore, SKEP_SEMAPHORE_MAX - 1), 0);
        ck_assert_int_eq(skep_semaphore_release(semaphore, 1), -EOVERFLOW);
        ck_assert_int_eq(skep_semaphore_release(semaphore, UINT32_MAX), -EOVERFLOW);
        ck_assert_int_eq(skep_semaphore_release(semaphore, 0), -EINVAL);
        skep_semaphore_unref(semaphore);
}
END_TEST

START_TEST(bad_figures_are_refused)
{
        skep_semaphore *semaphore;
        ck_assert_int_eq(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.value = 3, .max = 2), &semaphore), -EINVAL);
        ck_assert_int_eq(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.value = UINT32_MAX), &semaphore), -EINVAL);
        ck_assert_int_eq(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.value = 0, .flags = SKEP_SEMAPHORE_TRACKING), &semaphore), -EINVAL);
        ck_assert_int_eq(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.value = 65537, .flags = SKEP_SEMAPHORE_TRACKING), &semaphore), -EINVAL);
        ck_assert_int_eq(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.flags = 8), &semaphore), -EINVAL);
}
END_TEST

/* No unit is made and none is lost, and no more than three are inside. */
static void four_processes_share_three(uint32_t flags)
{
        enum { TURNS = 3000 };
        skep_semaphore *semaphore = make(3, 3, flags);
        pid_t children[4];
        for (int i = 0; i < 4; i++)
                if (!(children[i] = branch())) {
                        for (int turn = 0; turn < TURNS; turn++) {
                                if (skep_semaphore_acquire(semaphore, skep_forever()) != 0 || atomic_fetch_add(&board[0], 1) >= 3)
                                        _exit(1);
                                if (turn % 64 == 0)
                                        usleep(100);
                                atomic_fetch_sub(&board[0], 1);
                                if (skep_semaphore_release(semaphore, 1) != 0)
                                        _exit(2);
                        }
                        _exit(0);
                }
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(ended(children[i]), 0);
        ck_assert_uint_eq(skep_semaphore_value(semaphore), 3);
        skep_semaphore_unref(semaphore);
}

START_TEST(no_more_are_inside_than_there_are_units)
{
        four_processes_share_three(0);
}
END_TEST

START_TEST(no_more_are_inside_a_tracking_one_than_there_are_units)
{
        four_processes_share_three(SKEP_SEMAPHORE_TRACKING);
}
END_TEST

START_TEST(a_release_of_three_wakes_three)
{
        skep_semaphore *semaphore = make(0, 0, 0);
        pid_t children[4];
        for (int i = 0; i < 4; i++)
                if (!(children[i] = branch())) {
                        int result = skep_semaphore_acquire(semaphore, LONG);
                        atomic_fetch_add(&board[0], 1);
                        _exit(result != 0);
                }
        until_asleep(hive, "semaphore", 4);
        ck_assert_int_eq(skep_semaphore_release(semaphore, 3), 0);
        until_equal(&board[0], 3);
        until_asleep(hive, "semaphore", 1);
        ck_assert_uint_eq(skep_semaphore_value(semaphore), 0);
        ck_assert_int_eq(skep_semaphore_release(semaphore, 1), 0);
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(ended(children[i]), 0);
        skep_semaphore_unref(semaphore);
}
END_TEST

static pid_t takes_and_dies(skep_semaphore *semaphore, int units)
{
        pid_t child = branch();
        if (!child) {
                while (units--)
                        if (skep_semaphore_acquire(semaphore, skep_nowait()) != 0)
                                _exit(1);
                die();
        }
        ck_assert_int_eq(ended(child), -SIGKILL);
        return child;
}

START_TEST(a_plain_unit_dies_with_its_taker_and_a_tracked_one_goes_to_the_next)
{
        skep_semaphore *plain = make(2, 0, 0), *tracking = make(2, 0, SKEP_SEMAPHORE_TRACKING);
        takes_and_dies(plain, 2);
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert_int_eq(skep_semaphore_acquire(plain, skep_nowait()), -ETIMEDOUT);
        takes_and_dies(tracking, 2);
        ck_assert_int_eq(skep_semaphore_acquire(tracking, skep_nowait()), SKEP_OWNER_DIED);
        ck_assert_int_eq(skep_semaphore_acquire(tracking, skep_nowait()), SKEP_OWNER_DIED);
        ck_assert_int_eq(skep_semaphore_acquire(tracking, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(skep_semaphore_release(tracking, 2), 0);
        ck_assert_uint_eq(skep_semaphore_value(tracking), 2);
        ck_assert_int_eq(skep_semaphore_acquire(tracking, skep_nowait()), 0);
        skep_semaphore_unref(plain);
        skep_semaphore_unref(tracking);
}
END_TEST

START_TEST(who_waits_for_a_tracked_unit_gets_it_when_its_holder_dies)
{
        skep_semaphore *semaphore = make(1, 0, SKEP_SEMAPHORE_TRACKING);
        pid_t holder = branch();
        if (!holder) {
                if (skep_semaphore_acquire(semaphore, skep_nowait()) != 0)
                        _exit(1);
                atomic_store(&board[0], 1);
                pause();
        }
        until_equal(&board[0], 1);
        pid_t waiter = branch();
        if (!waiter)
                _exit(skep_semaphore_acquire(semaphore, LONG) != SKEP_OWNER_DIED);
        until_asleep(hive, "semaphore", 1);
        kill(holder, SIGKILL);
        ck_assert_int_eq(ended(holder), -SIGKILL);
        ck_assert_int_eq(ended(waiter), 0);
        skep_semaphore_unref(semaphore);
}
END_TEST

START_TEST(a_tracked_unit_is_given_back_by_its_holders_process_only)
{
        skep_semaphore *semaphore = make(2, 0, SKEP_SEMAPHORE_TRACKING);
        ck_assert_int_eq(skep_semaphore_release(semaphore, 1), -EPERM);
        ck_assert_int_eq(skep_semaphore_acquire(semaphore, skep_nowait()), 0);
        pid_t child = branch();
        if (!child)
                _exit(skep_semaphore_release(semaphore, 1) != -EPERM);
        ck_assert_int_eq(ended(child), 0);
        ck_assert_int_eq(skep_semaphore_release(semaphore, 1), 0);
        skep_semaphore_unref(semaphore);
}
END_TEST

int main(void)
{
        return RUN_TESTS("semaphore", setup, teardown, it_counts_down_to_zero_and_then_lets_wait, a_bounded_one_is_not_released_above_its_bound,
                         bad_figures_are_refused, no_more_are_inside_than_there_are_units, no_more_are_inside_a_tracking_one_than_there_are_units,
                         a_release_of_three_wakes_three, a_plain_unit_dies_with_its_taker_and_a_tracked_one_goes_to_the_next,
                         who_waits_for_a_tracked_unit_gets_it_when_its_holder_dies, a_tracked_unit_is_given_back_by_its_holders_process_only);
}
