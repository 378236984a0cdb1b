/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stopped_test.c - nobody who is alive is ever robbed: a holder that has been stopped for more than a second still holds
 * everything, while others wait for it, look for the dead and reap; when it goes on, all is as if it had been slow.
 */
#include "support/people.h"

#define STOPPED_NS (1200 * MS)

static skep_hive *hive;
static _Atomic uint32_t *board;
static skep_lock *lock;
static skep_rlock *rlock;
static skep_semaphore *tracking;
static skep_rwlock *reading, *written;
static skep_barrier *barrier;
static skep_condition *condition;
static skep_once *once;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
        ck_assert_int_eq(skep_lock_create(hive, NULL, &lock), 0);
        ck_assert_int_eq(skep_rlock_create(hive, NULL, &rlock), 0);
        ck_assert_int_eq(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.value = 1, .flags = SKEP_SEMAPHORE_TRACKING), &tracking), 0);
        ck_assert_int_eq(skep_rwlock_create(hive, NULL, &reading), 0);
        ck_assert_int_eq(skep_rwlock_create(hive, NULL, &written), 0);
        ck_assert_int_eq(skep_barrier_create(hive, NULL, 2, &barrier), 0);
        ck_assert_int_eq(skep_condition_create(hive, NULL, &condition), 0);
        ck_assert_int_eq(skep_once_create(hive, NULL, &once), 0);
        board = people_board();
}

static void teardown(void)
{
        skep_lock_unref(lock);
        skep_rlock_unref(rlock);
        skep_semaphore_unref(tracking);
        skep_rwlock_unref(reading);
        skep_rwlock_unref(written);
        skep_barrier_unref(barrier);
        skep_condition_unref(condition);
        skep_once_unref(once);
        hive = skep_hive_detach(hive);
}

static int wait_lock(skep_deadline deadline)
{
        return skep_lock_acquire(lock, deadline);
}

static int wait_rlock(skep_deadline deadline)
{
        return skep_rlock_acquire(rlock, deadline);
}

static int wait_tracking(skep_deadline deadline)
{
        return skep_semaphore_acquire(tracking, deadline);
}

static int wait_read(skep_deadline deadline)
{
        return skep_rwlock_acquire_write(reading, deadline);
}

static int wait_written(skep_deadline deadline)
{
        return skep_rwlock_acquire_read(written, deadline);
}

static int nothing(void *context)
{
        (void)context;
        return 0;
}

static int wait_once(skep_deadline deadline)
{
        return skep_once_run(once, nothing, NULL, deadline);
}

static int (*const waits[])(skep_deadline deadline) = {wait_lock, wait_rlock, wait_tracking, wait_read, wait_written, wait_once};
#define WAITS (sizeof waits / sizeof waits[0])

static int hold_until_told(void *context)
{
        _Atomic uint32_t *words = context;
        atomic_store(&words[0], 1);
        while (!atomic_load(&words[1]))
                usleep(200);
        return 0;
}

static void hold_everything(void)
{
        if (skep_lock_acquire(lock, skep_nowait()) || skep_rlock_acquire(rlock, skep_nowait()) || skep_semaphore_acquire(tracking, skep_nowait()) ||
            skep_rwlock_acquire_read(reading, skep_nowait()) || skep_rwlock_acquire_write(written, skep_nowait()))
                _exit(1);
        if (skep_once_run(once, hold_until_told, (void *)board, skep_nowait()) != 0)
                _exit(2);
        if (skep_lock_owner(lock) != getpid() || skep_rlock_depth(rlock) != 1 || skep_rwlock_writer(written) != getpid())
                _exit(3);
        if (skep_lock_release(lock) || skep_rlock_release(rlock) || skep_semaphore_release(tracking, 1) || skep_rwlock_release(reading) ||
            skep_rwlock_release(written))
                _exit(4);
        skep_process_exiting();
        _exit(0);
}

START_TEST(a_stopped_holder_keeps_what_it_holds)
{
        pid_t holder = branch(), children[WAITS];
        if (!holder)
                hold_everything();
        until_equal(&board[0], 1);
        halt(holder);
        for (size_t i = 0; i < WAITS; i++)
                if (!(children[i] = branch())) {
                        if (waits[i](skep_within_ns(STOPPED_NS)) != -ETIMEDOUT || waits[i](skep_nowait()) != -ETIMEDOUT)
                                _exit(1);
                        atomic_fetch_add(&board[2], 1);
                        _exit(waits[i](LONG) != 0);
                }
        int64_t end = people_now_ns() + STOPPED_NS;
        while (people_now_ns() < end) {
                struct skep_reap_report report;
                ck_assert_int_eq(skep_hive_reap(hive, &report), 0);
                ck_assert_uint_eq(report.members, 0);
                usleep(20000);
        }
        until_equal(&board[2], WAITS);
        atomic_store(&board[1], 1);
        kill(holder, SIGCONT);
        ck_assert_int_eq(ended(holder), 0);
        for (size_t i = 0; i < WAITS; i++)
                ck_assert_msg(ended(children[i]) == 0, "wait %zu", i);
}
END_TEST

static pid_t party(void)
{
        uint32_t before = asleep(hive, "barrier");
        pid_t child = branch();
        if (!child)
                _exit(skep_barrier_wait(barrier, NULL, NULL, LONG, NULL) != 0);
        until_asleep(hive, "barrier", before + 1);
        return child;
}

/* A party that is stopped inside, and a condition's waiter that is: the one breaks nothing, the other keeps its notification. */
START_TEST(a_stopped_party_breaks_nothing_and_a_stopped_waiter_keeps_its_notification)
{
        pid_t stopped = party(), waiter = branch();
        if (!waiter)
                _exit(skep_condition_acquire(condition, LONG) != 0 || skep_condition_wait(condition, LONG) != 0 || skep_condition_release(condition) != 0);
        until_asleep(hive, "condition", 1);
        pid_t second = branch();
        if (!second) {
                if (skep_condition_acquire(condition, LONG) != 0)
                        _exit(1);
                _exit(skep_condition_wait(condition, skep_within_ns(STOPPED_NS)) != -ETIMEDOUT || skep_condition_release(condition) != 0);
        }
        until_asleep(hive, "condition", 2);
        halt(stopped);
        halt(waiter);
        ck_assert_int_eq(skep_condition_acquire(condition, LONG), 0);
        ck_assert_int_eq(skep_condition_notify(condition, 1), 0);
        ck_assert_int_eq(skep_condition_release(condition), 0);
        ck_assert_int_eq(skep_barrier_wait(barrier, NULL, NULL, LONG, NULL), 0);
        ck_assert_int_eq(ended(second), 0); /* a second and more of slices */
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert_int_eq(skep_barrier_is_broken(barrier), 0);
        kill(stopped, SIGCONT);
        kill(waiter, SIGCONT);
        ck_assert_int_eq(ended(stopped), 0);
        ck_assert_int_eq(ended(waiter), 0);
}
END_TEST

int main(void)
{
        return RUN_TESTS("stopped", setup, teardown, a_stopped_holder_keeps_what_it_holds,
                         a_stopped_party_breaks_nothing_and_a_stopped_waiter_keeps_its_notification);
}
