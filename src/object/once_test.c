/* SPDX-License-Identifier: Apache-2.0 */
/* once_test.c - once: run by one, by another if that one fails or dies, and never inside itself. */
#include "support/people.h"

static skep_hive *hive;
static skep_once *once;
static _Atomic uint32_t *board;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
        ck_assert_int_eq(skep_once_create(hive, NULL, &once), 0);
        board = people_board();
}

static void teardown(void)
{
        once = skep_once_unref(once);
        hive = skep_hive_detach(hive);
}

static int count(void *context)
{
        atomic_fetch_add((_Atomic uint32_t *)context, 1);
        usleep(20000);
        return 0;
}

static int fails(void *context)
{
        atomic_fetch_add((_Atomic uint32_t *)context, 1);
        return -EIO;
}

static int die_over_it(void *context)
{
        atomic_fetch_add((_Atomic uint32_t *)context, 1);
        die();
        return 0;
}

static int again(void *context)
{
        return skep_once_run(once, count, context, skep_forever()) == -EDEADLK ? 0 : -EIO;
}

START_TEST(it_runs_once_and_the_others_wait_for_it)
{
        pid_t children[4];
        for (int i = 0; i < 4; i++)
                if (!(children[i] = branch()))
                        _exit(skep_once_run(once, count, (void *)board, LONG) != 0 || board[0] != 1 || !skep_once_is_done(once));
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(ended(children[i]), 0);
        ck_assert_int_eq(skep_once_run(once, fails, (void *)board, skep_nowait()), 0);
        ck_assert_uint_eq(board[0], 1);
}
END_TEST

START_TEST(what_failed_is_tried_again)
{
        ck_assert_int_eq(skep_once_run(once, fails, (void *)board, skep_nowait()), -EIO);
        ck_assert_int_eq(skep_once_is_done(once), 0);
        ck_assert_int_eq(skep_once_run(once, count, (void *)board, skep_nowait()), 0);
        ck_assert_int_eq(skep_once_is_done(once), 1);
        ck_assert_uint_eq(board[0], 2);
}
END_TEST

START_TEST(who_waits_takes_over_from_one_who_died_over_it)
{
        pid_t runner = branch();
        if (!runner)
                _exit(skep_once_run(once, die_over_it, (void *)board, LONG) >= 0);
        ck_assert_int_eq(ended(runner), -SIGKILL);
        ck_assert_int_eq(skep_once_run(once, count, (void *)board, LONG), SKEP_OWNER_DIED);
        ck_assert_uint_eq(board[0], 2);
        ck_assert_int_eq(skep_once_run(once, count, (void *)board, LONG), 0);
}
END_TEST

START_TEST(it_does_not_wait_for_itself)
{
        ck_assert_int_eq(skep_once_run(once, again, (void *)board, LONG), 0);
        ck_assert_uint_eq(board[0], 0);
}
END_TEST

static int wait_for_word(void *context)
{
        _Atomic uint32_t *words = context;
        atomic_store(&words[0], 1);
        while (!atomic_load(&words[1]))
                usleep(200);
        return 0;
}

START_TEST(its_waiters_have_deadlines)
{
        pid_t runner = branch();
        if (!runner)
                _exit(skep_once_run(once, wait_for_word, (void *)board, LONG) != 0);
        until_equal(&board[0], 1);
        ck_assert_int_eq(skep_once_run(once, count, (void *)board, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(skep_once_run(once, count, (void *)board, skep_within_ns(60 * MS)), -ETIMEDOUT);
        atomic_store(&board[1], 1);
        ck_assert_int_eq(ended(runner), 0);
        ck_assert_int_eq(skep_once_run(once, count, (void *)board, skep_nowait()), 0);
}
END_TEST

int main(void)
{
        return RUN_TESTS("once", setup, teardown, it_runs_once_and_the_others_wait_for_it, what_failed_is_tried_again,
                         who_waits_takes_over_from_one_who_died_over_it, it_does_not_wait_for_itself, its_waiters_have_deadlines);
}
