/* SPDX-License-Identifier: Apache-2.0 */
/* condition_test.c - conditions: how many wake up, in what order, with which lock, and who dies over it. */
#include "support/people.h"

#include <pthread.h>

static skep_hive *hive;
static skep_condition *condition;
static _Atomic uint32_t *board;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
        ck_assert_int_eq(skep_condition_create(hive, SKEP_CONDITION_OPTIONS(.name = "c"), &condition), 0);
        board = people_board();
}

static void teardown(void)
{
        condition = skep_condition_unref(condition);
        hive = skep_hive_detach(hive);
}

enum { WOKEN, ORDER };

/* A child that waits, and notes in which place it came. */
static pid_t waiter(uint32_t number, skep_deadline deadline, int expected)
{
        uint32_t before = asleep(hive, "condition");
        pid_t child = branch();
        if (!child) {
                if (skep_condition_acquire(condition, skep_forever()) != 0)
                        _exit(1);
                int result = skep_condition_wait(condition, deadline);
                if (result >= 0)
                        atomic_store(&board[ORDER + atomic_fetch_add(&board[WOKEN], 1)], number);
                if (skep_condition_release(condition) != 0)
                        _exit(2);
                _exit(result == expected ? 0 : 3);
        }
        until_asleep(hive, "condition", before + 1);
        return child;
}

static void notify(uint32_t count)
{
        ck_assert_int_eq(skep_condition_acquire(condition, LONG), 0);
        ck_assert_int_eq(skep_condition_notify(condition, count), 0);
        ck_assert_int_eq(skep_condition_release(condition), 0);
}

START_TEST(exactly_as_many_wake_up_as_were_notified_the_longest_waiting_first)
{
        pid_t children[5];
        for (uint32_t i = 0; i < 5; i++)
                children[i] = waiter(i, LONG, 0);
        notify(0);
        notify(1);
        until_equal(&board[WOKEN], 1);
        notify(2);
        until_equal(&board[WOKEN], 3);
        usleep(120000); /* two slices: nobody else wakes up by himself */
        ck_assert_uint_eq(board[WOKEN], 3);
        ck_assert_uint_eq(board[ORDER], 0);
        ck_assert_uint_eq(board[ORDER + 1] + board[ORDER + 2], 3);
        ck_assert_int_eq(skep_condition_acquire(condition, LONG), 0);
        ck_assert_int_eq(skep_condition_notify_all(condition), 0);
        ck_assert_int_eq(skep_condition_release(condition), 0);
        for (int i = 0; i < 5; i++)
                ck_assert_int_eq(ended(children[i]), 0);
        ck_assert_uint_eq(board[WOKEN], 5);
}
END_TEST

START_TEST(a_wait_ends_with_its_time_and_has_the_lock_again)
{
        ck_assert_int_eq(skep_condition_acquire(condition, skep_nowait()), 0);
        ck_assert_int_eq(skep_condition_wait(condition, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(skep_condition_wait(condition, skep_within_ns(70 * MS)), -ETIMEDOUT);
        ck_assert_int_eq(skep_condition_release(condition), 0);
        ck_assert_int_eq(skep_condition_release(condition), -EPERM);
        pid_t late = waiter(0, LONG, 0); /* a notification does not go to those whose time was over */
        notify(1);
        ck_assert_int_eq(ended(late), 0);
}
END_TEST

START_TEST(nobody_waits_or_notifies_without_the_lock)
{
        ck_assert_int_eq(skep_condition_wait(condition, skep_nowait()), -EPERM);
        ck_assert_int_eq(skep_condition_notify(condition, 1), -EPERM);
        ck_assert_int_eq(skep_condition_notify_all(condition), -EPERM);
        ck_assert_int_eq(skep_condition_acquire(condition, skep_nowait()), 0);
        pid_t child = branch();
        if (!child)
                _exit(skep_condition_wait(condition, skep_nowait()) != -EPERM || skep_condition_notify(condition, 1) != -EPERM);
        ck_assert_int_eq(ended(child), 0);
}
END_TEST

START_TEST(a_recursive_lock_is_let_go_wholly_and_comes_back_as_deep)
{
        skep_rlock *rlock;
        skep_condition *bound;
        ck_assert_int_eq(skep_rlock_create(hive, NULL, &rlock), 0);
        ck_assert_int_eq(skep_condition_create(hive, SKEP_CONDITION_OPTIONS(.rlock = rlock), &bound), 0);
        pid_t child = branch();
        if (!child) {
                for (int i = 0; i < 3; i++)
                        if (skep_rlock_acquire(rlock, skep_forever()) != 0)
                                _exit(1);
                if (skep_condition_wait(bound, LONG) != 0 || skep_rlock_depth(rlock) != 3)
                        _exit(2);
                for (int i = 0; i < 3; i++)
                        if (skep_rlock_release(rlock) != 0)
                                _exit(3);
                _exit(skep_rlock_release(rlock) != -EPERM);
        }
        until_asleep(hive, "condition", 1);
        ck_assert_int_eq(skep_rlock_acquire(rlock, skep_nowait()), 0);
        ck_assert_uint_eq(skep_rlock_depth(rlock), 1);
        ck_assert_int_eq(skep_condition_notify(bound, 1), 0);
        ck_assert_int_eq(skep_condition_release(bound), 0);
        ck_assert_int_eq(ended(child), 0);
        skep_rlock_unref(rlock);
        skep_condition_unref(bound);
}
END_TEST

START_TEST(it_can_be_bound_to_a_plain_lock_but_not_to_two)
{
        skep_lock *lock;
        skep_rlock *rlock;
        skep_condition *bound;
        ck_assert_int_eq(skep_lock_create(hive, NULL, &lock), 0);
        ck_assert_int_eq(skep_rlock_create(hive, NULL, &rlock), 0);
        ck_assert_int_eq(skep_condition_create(hive, SKEP_CONDITION_OPTIONS(.lock = lock, .rlock = rlock), &bound), -EINVAL);
        ck_assert_int_eq(skep_condition_create(hive, SKEP_CONDITION_OPTIONS(.lock = lock), &bound), 0);
        ck_assert_int_eq(skep_lock_acquire(lock, skep_nowait()), 0);
        ck_assert_int_eq(skep_condition_acquire(bound, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(skep_condition_wait(bound, skep_within_ns(MS)), -ETIMEDOUT);
        ck_assert_int_eq(skep_condition_release(bound), 0);
        skep_block reference = skep_lock_reference(lock);
        skep_lock_unref(lock); /* the condition keeps it */
        ck_assert_int_eq(skep_lock_attach(hive, reference, &lock), 0);
        skep_lock_unref(lock);
        skep_condition_unref(bound);
        ck_assert_int_eq(skep_lock_attach(hive, reference, &lock), -ESTALE); /* ... and lets it go */
        skep_rlock_unref(rlock);
}
END_TEST

START_TEST(a_stranger_finds_it_by_name_with_its_lock)
{
        pid_t child = branch();
        if (!child) {
                skep_hive *theirs;
                skep_condition *same;
                if (skep_hive_attach(skep_hive_fd(hive), &theirs) < 0 || skep_condition_open(theirs, "c", &same) < 0 ||
                    skep_condition_acquire(same, skep_forever()) != 0 || skep_condition_wait(same, LONG) != 0)
                        _exit(1);
                skep_condition_release(same);
                skep_condition_unref(same);
                skep_hive_detach(theirs);
                _exit(0);
        }
        until_asleep(hive, "condition", 1);
        notify(1);
        ck_assert_int_eq(ended(child), 0);
}
END_TEST

START_TEST(a_dead_waiter_takes_no_notification_with_it)
{
        pid_t dead = waiter(0, LONG, 0), living = waiter(1, LONG, 0);
        kill(dead, SIGKILL);
        ck_assert_int_eq(ended(dead), -SIGKILL);
        notify(1);
        ck_assert_int_eq(ended(living), 0);
}
END_TEST

/* Notified while it was stopped, then killed: it has not had its lock, so another one gets the news. */
START_TEST(a_notified_waiter_that_dies_before_it_goes_on_passes_the_notification_on)
{
        pid_t dead = waiter(0, LONG, 0), living = waiter(1, LONG, 0);
        halt(dead);
        notify(1);
        kill(dead, SIGKILL);
        ck_assert_int_eq(ended(dead), -SIGKILL);
        ck_assert_int_eq(ended(living), 0);
        ck_assert_uint_eq(board[WOKEN], 1);
}
END_TEST

START_TEST(the_heir_of_one_who_died_with_the_lock_is_told)
{
        pid_t child = waiter(0, LONG, SKEP_OWNER_DIED);
        pid_t dead = branch();
        if (!dead) {
                if (skep_condition_acquire(condition, skep_forever()) == 0 && skep_condition_notify(condition, 1) == 0)
                        die();
                _exit(1);
        }
        ck_assert_int_eq(ended(dead), -SIGKILL);
        ck_assert_int_eq(ended(child), 0);
}
END_TEST

/* He changed something, and nobody comes any more to find his lock. */
START_TEST(a_waiter_learns_that_the_holder_died_before_it_notified)
{
        pid_t child = waiter(0, LONG, SKEP_OWNER_DIED);
        pid_t other = waiter(1, LONG, 0);
        pid_t dead = branch();
        if (!dead) {
                if (skep_condition_acquire(condition, skep_forever()) == 0)
                        die();
                _exit(1);
        }
        ck_assert_int_eq(ended(dead), -SIGKILL);
        int status;
        pid_t told = wait(&status); /* one of the two, whoever looks first */
        ck_assert(told == child || told == other);
        usleep(120000);
        ck_assert_uint_eq(board[WOKEN], 1);
        notify(1);
        ck_assert_int_gt(wait(&status), 0);
        ck_assert_uint_eq(board[WOKEN], 2);
}
END_TEST

/* Three consumers, three producers, one slot: every item arrives although nobody ever looks without a notification. */
START_TEST(producers_and_consumers_never_get_stuck)
{
        enum { ITEMS = 3000, FULL = 0, TAKEN = 1 };
        pid_t children[6];
        for (int i = 0; i < 6; i++)
                if (!(children[i] = branch())) {
                        for (int item = 0; item < ITEMS; item++) {
                                uint32_t wanted = i < 3 ? 0 : 1;
                                if (skep_condition_acquire(condition, skep_forever()) != 0)
                                        _exit(1);
                                while (board[FULL] != wanted)
                                        if (skep_condition_wait(condition, LONG) != 0)
                                                _exit(2);
                                board[FULL] = !wanted;
                                board[TAKEN] += wanted;
                                skep_condition_notify_all(condition);
                                skep_condition_release(condition);
                        }
                        _exit(0);
                }
        for (int i = 0; i < 6; i++)
                ck_assert_int_eq(ended(children[i]), 0);
        ck_assert_uint_eq(board[TAKEN], 3 * ITEMS);
}
END_TEST

static void *wait_in_thread(void *context)
{
        int result = skep_condition_acquire(context, LONG);
        if (result == 0)
                result = skep_condition_wait(context, LONG);
        if (result >= 0)
                (void)skep_condition_release(context);
        return (void *)(intptr_t)result;
}

/* The child has neither the thread nor its wait, and notifies it like any other. */
START_TEST(a_fork_while_a_thread_waits_leaves_the_wait_with_the_parent)
{
        pthread_t thread;
        void *result;
        ck_assert_int_eq(pthread_create(&thread, NULL, wait_in_thread, condition), 0);
        until_asleep(hive, "condition", 1);
        pid_t child = branch();
        if (!child) {
                if (skep_condition_acquire(condition, LONG) != 0 || skep_condition_wait(condition, skep_within_ns(60 * MS)) != -ETIMEDOUT ||
                    skep_condition_notify(condition, 1) != 0)
                        _exit(1);
                _exit(skep_condition_release(condition) != 0);
        }
        ck_assert_int_eq(ended(child), 0);
        pthread_join(thread, &result);
        ck_assert_int_eq((intptr_t)result, 0);
}
END_TEST

int main(void)
{
        return RUN_TESTS("condition", setup, teardown, exactly_as_many_wake_up_as_were_notified_the_longest_waiting_first,
                         a_wait_ends_with_its_time_and_has_the_lock_again, nobody_waits_or_notifies_without_the_lock,
                         a_recursive_lock_is_let_go_wholly_and_comes_back_as_deep, it_can_be_bound_to_a_plain_lock_but_not_to_two,
                         a_stranger_finds_it_by_name_with_its_lock, a_dead_waiter_takes_no_notification_with_it,
                         a_notified_waiter_that_dies_before_it_goes_on_passes_the_notification_on,
                         the_heir_of_one_who_died_with_the_lock_is_told, a_fork_while_a_thread_waits_leaves_the_wait_with_the_parent,
                         a_waiter_learns_that_the_holder_died_before_it_notified, producers_and_consumers_never_get_stuck);
}
