/* SPDX-License-Identifier: Apache-2.0 */
/* interrupt_test.c - a thread's interrupt function: asked by every blocked call, and its word is what the call returns. */
#include "support/people.h"

#define TOLD (-4321)

static skep_hive *hive;
static _Atomic uint32_t *board;
static skep_event *event;
static skep_lock *lock;
static skep_semaphore *plain, *tracking;
static skep_condition *condition;
static skep_barrier *barrier;
static skep_rwlock *rwlock;
static skep_once *once;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
        ck_assert_int_eq(skep_event_create(hive, NULL, &event), 0);
        ck_assert_int_eq(skep_lock_create(hive, NULL, &lock), 0);
        ck_assert_int_eq(skep_semaphore_create(hive, NULL, &plain), 0);
        ck_assert_int_eq(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.value = 1, .flags = SKEP_SEMAPHORE_TRACKING), &tracking), 0);
        ck_assert_int_eq(skep_condition_create(hive, NULL, &condition), 0);
        ck_assert_int_eq(skep_barrier_create(hive, NULL, 2, &barrier), 0);
        ck_assert_int_eq(skep_rwlock_create(hive, NULL, &rwlock), 0);
        ck_assert_int_eq(skep_once_create(hive, NULL, &once), 0);
        board = people_board();
}

static void teardown(void)
{
        skep_event_unref(event);
        skep_lock_unref(lock);
        skep_semaphore_unref(plain);
        skep_semaphore_unref(tracking);
        skep_condition_unref(condition);
        skep_barrier_unref(barrier);
        skep_rwlock_unref(rwlock);
        skep_once_unref(once);
        hive = skep_hive_detach(hive);
}

static int wait_event(void)
{
        return skep_event_wait(event, LONG);
}

static int wait_lock(void)
{
        return skep_lock_acquire(lock, LONG);
}

static int wait_plain(void)
{
        return skep_semaphore_acquire(plain, LONG);
}

static int wait_tracking(void)
{
        return skep_semaphore_acquire(tracking, LONG);
}

static int wait_condition(void)
{
        int result = skep_condition_acquire(condition, LONG);
        return result == 0 ? skep_condition_wait(condition, LONG) : result;
}

static int wait_barrier(void)
{
        return skep_barrier_wait(barrier, NULL, NULL, LONG, NULL);
}

static int wait_read(void)
{
        return skep_rwlock_acquire_read(rwlock, LONG);
}

static int wait_write(void)
{
        return skep_rwlock_acquire_write(rwlock, LONG);
}

static int nothing(void *context)
{
        (void)context;
        return 0;
}

static int wait_once(void)
{
        return skep_once_run(once, nothing, NULL, LONG);
}

static int (*const waits[])(void) = {wait_event, wait_lock, wait_plain, wait_tracking, wait_condition, wait_barrier, wait_read, wait_write, wait_once};
#define WAITS (sizeof waits / sizeof waits[0])

static int say(void *context)
{
        return ++*(int *)context < 2 ? 0 : TOLD;
}

static int hold_until_told(void *context)
{
        _Atomic uint32_t *words = context;
        atomic_store(&words[0], 1);
        while (!atomic_load(&words[1]))
                usleep(200);
        return 0;
}

/* Asked twice: the first 0 goes on waiting. */
START_TEST(every_wait_ends_with_what_it_says)
{
        pid_t holder = branch();
        if (!holder) {
                if (skep_lock_acquire(lock, skep_nowait()) != 0 || skep_semaphore_acquire(tracking, skep_nowait()) != 0 ||
                    skep_rwlock_acquire_write(rwlock, skep_nowait()) != 0)
                        _exit(1);
                _exit(skep_once_run(once, hold_until_told, (void *)board, LONG) != 0);
        }
        until_equal(&board[0], 1);
        pid_t children[WAITS];
        for (size_t i = 0; i < WAITS; i++)
                if (!(children[i] = branch())) {
                        int asked = 0;
                        skep_thread_on_interrupt(say, &asked);
                        _exit(waits[i]() != TOLD || asked != 2);
                }
        for (size_t i = 0; i < WAITS; i++)
                ck_assert_msg(ended(children[i]) == 0, "wait %zu", i);
        ck_assert_int_eq(skep_barrier_is_broken(barrier), 1);
        atomic_store(&board[1], 1);
        ck_assert_int_eq(ended(holder), 0);
}
END_TEST

static int set_and_say(void *context)
{
        (void)context;
        skep_event_set(event);
        return TOLD;
}

static int release_and_say(void *context)
{
        (void)context;
        skep_semaphore_release(tracking, 1);
        return TOLD;
}

/* What they wait for comes while they ask. */
START_TEST(its_word_counts_even_if_what_was_waited_for_has_come)
{
        skep_thread_on_interrupt(set_and_say, NULL);
        ck_assert_int_eq(skep_event_wait(event, LONG), TOLD);
        ck_assert_int_eq(skep_event_wait(event, LONG), 0);
        ck_assert_int_eq(skep_semaphore_acquire(tracking, skep_nowait()), 0);
        skep_thread_on_interrupt(release_and_say, NULL);
        ck_assert_int_eq(skep_semaphore_acquire(tracking, LONG), TOLD);
        ck_assert_uint_eq(skep_semaphore_value(tracking), 1); /* and nothing was taken */
        skep_thread_on_interrupt(NULL, NULL);
        ck_assert_int_eq(skep_event_wait(event, skep_nowait()), 0);
}
END_TEST

static int notify_and_say(void *context)
{
        (void)context;
        if (skep_condition_acquire(condition, LONG) < 0 || skep_condition_notify(condition, 1) < 0 || skep_condition_release(condition) < 0)
                return -EIO;
        return TOLD;
}

START_TEST(an_interrupted_waiter_passes_its_notification_on)
{
        pid_t first = branch();
        if (!first) {
                skep_thread_on_interrupt(notify_and_say, NULL); /* notifies the longest waiting, himself */
                _exit(wait_condition() != TOLD || skep_condition_release(condition) != 0);
        }
        pid_t second = branch();
        if (!second) {
                while (asleep(hive, "condition") != 1)
                        usleep(100);
                _exit(wait_condition() != 0);
        }
        ck_assert_int_eq(ended(first), 0);
        ck_assert_int_eq(ended(second), 0);
}
END_TEST

static void on_signal(int number)
{
        (void)number;
}

static int count(void *context)
{
        ++*(int *)context;
        return 0;
}

START_TEST(a_signal_alone_ends_no_wait_and_asks_at_once)
{
        pid_t child = branch();
        if (!child) {
                int asked = 0;
                struct sigaction action = {.sa_handler = on_signal};
                sigaction(SIGUSR1, &action, NULL);
                skep_thread_on_interrupt(count, &asked);
                int result = skep_event_wait(event, LONG);
                _exit(result != 0 || asked < 5);
        }
        until_asleep(hive, "event", 1);
        for (int i = 0; i < 8; i++) {
                kill(child, SIGUSR1);
                usleep(2000);
        }
        ck_assert_int_eq(skep_event_set(event), 0);
        ck_assert_int_eq(ended(child), 0);
}
END_TEST

static int wait_inside(void *context)
{
        int *asked = context;
        if (++*asked > 1)
                return 0;
        if (skep_condition_acquire(condition, LONG) < 0)
                return -EIO;
        int result = skep_condition_wait(condition, skep_within_ns(MS));
        (void)skep_condition_release(condition);
        return result == -ETIMEDOUT ? 0 : -EIO;
}

START_TEST(a_wait_inside_it_does_not_lose_the_wait_around_it)
{
        skep_condition *other;
        int asked = 0;
        ck_assert_int_eq(skep_condition_create(hive, NULL, &other), 0);
        ck_assert_int_eq(skep_condition_acquire(other, skep_nowait()), 0);
        skep_thread_on_interrupt(wait_inside, &asked);
        ck_assert_int_eq(skep_condition_wait(other, LONG), 0); /* as if notified, rather than deaf */
        skep_thread_on_interrupt(NULL, NULL);
        ck_assert_int_eq(asked, 1);
        ck_assert_int_eq(skep_condition_release(other), 0);
        skep_condition_unref(other);
}
END_TEST

int main(void)
{
        return RUN_TESTS("interrupt", setup, teardown, every_wait_ends_with_what_it_says, its_word_counts_even_if_what_was_waited_for_has_come,
                         an_interrupted_waiter_passes_its_notification_on, a_signal_alone_ends_no_wait_and_asks_at_once,
                         a_wait_inside_it_does_not_lose_the_wait_around_it);
}
