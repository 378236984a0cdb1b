/* SPDX-License-Identifier: Apache-2.0 */
/* event_test.c - the event: set, cleared, waited for, and set and cleared again before anybody ran. */
#include "support/people.h"

static skep_hive *hive;
static skep_event *event;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
        ck_assert_int_eq(skep_event_create(hive, "e", &event), 0);
}

static void teardown(void)
{
        event = skep_event_unref(event);
        hive = skep_hive_detach(hive);
}

START_TEST(it_is_set_until_it_is_cleared)
{
        ck_assert_int_eq(skep_event_is_set(event), 0);
        ck_assert_int_eq(skep_event_wait(event, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(skep_event_wait(event, skep_within_ns(20 * MS)), -ETIMEDOUT);
        for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(skep_event_set(event), 0);
                ck_assert_int_eq(skep_event_is_set(event), 1);
                ck_assert_int_eq(skep_event_wait(event, skep_nowait()), 0);
        }
        for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(skep_event_clear(event), 0);
                ck_assert_int_eq(skep_event_is_set(event), 0);
        }
        ck_assert_int_eq(skep_event_wait(event, skep_nowait()), -ETIMEDOUT);
}
END_TEST

/* The waiters are stopped while it is set and cleared: it is not set any more when they run. */
START_TEST(a_set_that_was_cleared_before_the_waiters_ran_is_not_lost)
{
        pid_t waiters[3];
        for (int i = 0; i < 3; i++)
                if (!(waiters[i] = branch()))
                        _exit(skep_event_wait(event, LONG) != 0);
        until_asleep(hive, "event", 3);
        for (int i = 0; i < 3; i++)
                halt(waiters[i]);
        skep_event_set(event);
        skep_event_clear(event);
        for (int i = 0; i < 3; i++)
                kill(waiters[i], SIGCONT);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(ended(waiters[i]), 0);
        ck_assert_int_eq(skep_event_is_set(event), 0);
}
END_TEST

START_TEST(who_comes_after_the_clear_waits)
{
        skep_event_set(event);
        skep_event_clear(event);
        ck_assert_int_eq(skep_event_wait(event, skep_within_ns(60 * MS)), -ETIMEDOUT);
}
END_TEST

START_TEST(dead_waiters_and_dead_setters_harm_nobody)
{
        pid_t dead = branch();
        if (!dead)
                _exit(skep_event_wait(event, LONG) != 0);
        until_asleep(hive, "event", 1);
        pid_t waiter = branch();
        if (!waiter)
                _exit(skep_event_wait(event, LONG) != 0);
        until_asleep(hive, "event", 2);
        kill(dead, SIGKILL);
        ck_assert_int_eq(ended(dead), -SIGKILL);
        pid_t setter = branch();
        if (!setter) {
                skep_event_set(event);
                die();
        }
        ck_assert_int_eq(ended(setter), -SIGKILL);
        ck_assert_int_eq(ended(waiter), 0);
}
END_TEST

START_TEST(a_stranger_finds_it_by_name)
{
        skep_hive *theirs;
        skep_event *same;
        skep_lock *other;
        ck_assert_int_eq(skep_hive_attach(skep_hive_fd(hive), &theirs), 0);
        ck_assert_int_eq(skep_event_open(theirs, "e", &same), 0);
        ck_assert_int_eq(skep_lock_open(theirs, "e", &other), -EPROTOTYPE);
        skep_event_set(same);
        ck_assert_int_eq(skep_event_wait(event, skep_nowait()), 0);
        skep_event_unref(same);
        skep_hive_detach(theirs);
}
END_TEST

int main(void)
{
        return RUN_TESTS("event", setup, teardown, it_is_set_until_it_is_cleared, a_set_that_was_cleared_before_the_waiters_ran_is_not_lost,
                         who_comes_after_the_clear_waits, dead_waiters_and_dead_setters_harm_nobody, a_stranger_finds_it_by_name);
}
