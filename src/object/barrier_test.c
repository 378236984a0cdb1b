/* SPDX-License-Identifier: Apache-2.0 */
/* barrier_test.c - barriers: rounds, actions, and all the ways in which they break. */
#include "support/people.h"

static skep_hive *hive;
static skep_barrier *barrier;
static _Atomic uint32_t *board;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
        ck_assert_int_eq(skep_barrier_create(hive, NULL, 3, &barrier), 0);
        board = people_board();
}

static void teardown(void)
{
        barrier = skep_barrier_unref(barrier);
        hive = skep_hive_detach(hive);
}

static pid_t party(int expected)
{
        uint32_t before = asleep(hive, "barrier");
        pid_t child = branch();
        if (!child)
                _exit(skep_barrier_wait(barrier, NULL, NULL, LONG, NULL) != expected);
        until_asleep(hive, "barrier", before + 1);
        return child;
}

static int note(void *context)
{
        atomic_fetch_add((_Atomic uint32_t *)context, 1);
        return 0;
}

START_TEST(all_leave_together_round_after_round_and_one_runs_the_action)
{
        enum { ROUNDS = 2000, ACTIONS = 0, INDICES = 1, CAME = 2 };
        pid_t children[3];
        for (int i = 0; i < 3; i++)
                if (!(children[i] = branch())) {
                        for (uint32_t round = 1; round <= ROUNDS; round++) {
                                uint32_t index;
                                atomic_fetch_add(&board[CAME], 1);
                                if (skep_barrier_wait(barrier, note, (void *)&board[ACTIONS], LONG, &index) != 0 || index > 2)
                                        _exit(1);
                                if (board[CAME] < 3 * round || board[ACTIONS] != round)
                                        _exit(2);
                                atomic_fetch_add(&board[INDICES], 1u << 8 * index);
                                if (skep_barrier_wait(barrier, NULL, NULL, LONG, NULL) != 0)
                                        _exit(3);
                                if (board[INDICES] != 0x10101)
                                        _exit(4);
                                if (skep_barrier_wait(barrier, NULL, NULL, LONG, &index) != 0)
                                        _exit(5);
                                if (index == 0)
                                        board[INDICES] = 0;
                                if (skep_barrier_wait(barrier, NULL, NULL, LONG, NULL) != 0)
                                        _exit(6);
                        }
                        _exit(0);
                }
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(ended(children[i]), 0);
        ck_assert_uint_eq(skep_barrier_waiting(barrier), 0);
}
END_TEST

static int fails(void *context)
{
        (void)context;
        return -EIO;
}

START_TEST(a_failed_action_breaks_it)
{
        pid_t first = party(-EPIPE), second = party(-EPIPE);
        ck_assert_int_eq(skep_barrier_wait(barrier, fails, NULL, LONG, NULL), -EIO);
        ck_assert_int_eq(ended(first), 0);
        ck_assert_int_eq(ended(second), 0);
        ck_assert_int_eq(skep_barrier_is_broken(barrier), 1);
        ck_assert_int_eq(skep_barrier_wait(barrier, NULL, NULL, LONG, NULL), -EPIPE);
}
END_TEST

START_TEST(who_runs_out_of_time_breaks_it_and_a_reset_mends_it)
{
        pid_t other = party(-EPIPE);
        ck_assert_int_eq(skep_barrier_wait(barrier, NULL, NULL, skep_within_ns(60 * MS), NULL), -ETIMEDOUT);
        ck_assert_int_eq(ended(other), 0);
        ck_assert_int_eq(skep_barrier_wait(barrier, NULL, NULL, LONG, NULL), -EPIPE);
        ck_assert_int_eq(skep_barrier_reset(barrier), 0);
        ck_assert_int_eq(skep_barrier_is_broken(barrier), 0);
        pid_t first = party(0), second = party(0);
        uint32_t index;
        ck_assert_int_eq(skep_barrier_wait(barrier, NULL, NULL, LONG, &index), 0);
        ck_assert_uint_eq(index, 2);
        ck_assert_int_eq(ended(first), 0);
        ck_assert_int_eq(ended(second), 0);
        ck_assert_int_eq(skep_barrier_wait(barrier, NULL, NULL, skep_nowait(), NULL), -ETIMEDOUT);
}
END_TEST

START_TEST(a_reset_sends_away_who_waits_and_the_barrier_is_whole)
{
        pid_t first = party(-EPIPE), second = party(-EPIPE);
        ck_assert_uint_eq(skep_barrier_waiting(barrier), 2);
        ck_assert_int_eq(skep_barrier_reset(barrier), 0);
        ck_assert_int_eq(ended(first), 0);
        ck_assert_int_eq(ended(second), 0);
        ck_assert_int_eq(skep_barrier_is_broken(barrier), 0);
        ck_assert_uint_eq(skep_barrier_waiting(barrier), 0);
}
END_TEST

START_TEST(an_abort_breaks_it_for_who_waits_and_who_comes)
{
        pid_t first = party(-EPIPE);
        ck_assert_int_eq(skep_barrier_abort(barrier), 0);
        ck_assert_int_eq(ended(first), 0);
        ck_assert_int_eq(skep_barrier_wait(barrier, NULL, NULL, LONG, NULL), -EPIPE);
}
END_TEST

static int use_it(void *context)
{
        return skep_barrier_abort(context) == -EDEADLK && skep_barrier_reset(context) == -EDEADLK &&
                               skep_barrier_wait(context, NULL, NULL, LONG, NULL) == -EDEADLK
                       ? 0
                       : -EIO;
}

START_TEST(its_action_cannot_use_it)
{
        skep_barrier *alone;
        ck_assert_int_eq(skep_barrier_create(hive, NULL, 0, &alone), -EINVAL);
        ck_assert_int_eq(skep_barrier_create(hive, NULL, 1, &alone), 0);
        ck_assert_int_eq(skep_barrier_wait(alone, use_it, alone, LONG, NULL), 0);
        skep_barrier_unref(alone);
}
END_TEST

START_TEST(a_party_that_dies_while_it_waits_breaks_it)
{
        pid_t living = party(-EPIPE), dead = party(0);
        int64_t start = people_now_ns();
        kill(dead, SIGKILL);
        ck_assert_int_eq(ended(dead), -SIGKILL);
        ck_assert_int_eq(ended(living), 0);
        ck_assert_int_lt(people_now_ns() - start, 5000 * MS); /* a slice or two, and a slow machine */
        ck_assert_int_eq(skep_barrier_is_broken(barrier), 1);
        ck_assert_int_eq(skep_barrier_reset(barrier), 0);
        pid_t first = party(0), second = party(0);
        ck_assert_int_eq(skep_barrier_wait(barrier, NULL, NULL, LONG, NULL), 0);
        ck_assert_int_eq(ended(first), 0);
        ck_assert_int_eq(ended(second), 0);
}
END_TEST

/* One round together; then this party waits again, and the other does not come any more. */
static void the_other_is_gone(bool in_order, int expected)
{
        skep_barrier *two;
        ck_assert_int_eq(skep_barrier_create(hive, NULL, 2, &two), 0);
        pid_t other = branch();
        if (!other) {
                if (skep_barrier_wait(two, NULL, NULL, LONG, NULL) != 0)
                        _exit(1);
                if (!in_order)
                        die();
                skep_process_exiting();
                _exit(0);
        }
        ck_assert_int_eq(skep_barrier_wait(two, NULL, NULL, LONG, NULL), 0);
        ck_assert_int_eq(ended(other), in_order ? 0 : -SIGKILL);
        ck_assert_int_eq(skep_barrier_wait(two, NULL, NULL, skep_within_ns(300 * MS), NULL), expected);
        skep_barrier_unref(two);
}

START_TEST(a_party_that_dies_between_two_rounds_breaks_it)
{
        the_other_is_gone(false, -EPIPE);
}
END_TEST

START_TEST(a_party_that_ends_in_order_does_not_break_it)
{
        the_other_is_gone(true, -ETIMEDOUT);
}
END_TEST

static int fatal(void *context)
{
        (void)context;
        die();
        return 0;
}

START_TEST(who_dies_in_the_action_breaks_it)
{
        pid_t first = party(-EPIPE), second = party(-EPIPE), dead = branch();
        if (!dead)
                _exit(skep_barrier_wait(barrier, fatal, NULL, LONG, NULL) == 0);
        ck_assert_int_eq(ended(dead), -SIGKILL);
        ck_assert_int_eq(ended(first), 0);
        ck_assert_int_eq(ended(second), 0);
        ck_assert_int_eq(skep_barrier_is_broken(barrier), 1);
}
END_TEST

/* Two parties, many processes: one is stopped for a hundred rounds, and its own was good. */
START_TEST(who_was_stopped_for_a_hundred_rounds_still_learns_how_his_ended)
{
        skep_barrier *two;
        ck_assert_int_eq(skep_barrier_create(hive, NULL, 2, &two), 0);
        for (int broken = 0; broken < 2; broken++) {
                uint32_t before = asleep(hive, "barrier");
                pid_t stopped = branch();
                if (!stopped)
                        _exit(skep_barrier_wait(two, NULL, NULL, LONG, NULL) != (broken ? -EPIPE : 0));
                until_asleep(hive, "barrier", before + 1);
                halt(stopped);
                if (broken)
                        ck_assert_int_eq(skep_barrier_reset(two), 0);
                else
                        ck_assert_int_eq(skep_barrier_wait(two, NULL, NULL, LONG, NULL), 0);
                pid_t partner = branch();
                if (!partner) {
                        for (int i = 0; i < 100; i++)
                                if (skep_barrier_wait(two, NULL, NULL, LONG, NULL) != 0)
                                        _exit(1);
                        skep_process_exiting();
                        _exit(0);
                }
                for (int i = 0; i < 100; i++)
                        ck_assert_int_eq(skep_barrier_wait(two, NULL, NULL, LONG, NULL), 0);
                ck_assert_int_eq(ended(partner), 0);
                kill(stopped, SIGCONT);
                ck_assert_int_eq(ended(stopped), 0);
                ck_assert_int_eq(skep_barrier_reset(two), 0);
        }
        skep_barrier_unref(two);
}
END_TEST

int main(void)
{
        return RUN_TESTS("barrier", setup, teardown, all_leave_together_round_after_round_and_one_runs_the_action, a_failed_action_breaks_it,
                         who_runs_out_of_time_breaks_it_and_a_reset_mends_it, a_reset_sends_away_who_waits_and_the_barrier_is_whole,
                         an_abort_breaks_it_for_who_waits_and_who_comes, its_action_cannot_use_it, a_party_that_dies_while_it_waits_breaks_it,
                         a_party_that_dies_between_two_rounds_breaks_it, a_party_that_ends_in_order_does_not_break_it,
                         who_dies_in_the_action_breaks_it, who_was_stopped_for_a_hundred_rounds_still_learns_how_his_ended);
}
