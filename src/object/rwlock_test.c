/* SPDX-License-Identifier: Apache-2.0 */
/* rwlock_test.c - readers share, writers do not, writers first, and the dead let go. */
#include "support/people.h"

static skep_hive *hive;
static skep_rwlock *lock;
static _Atomic uint32_t *board;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
        ck_assert_int_eq(skep_rwlock_create(hive, NULL, &lock), 0);
        board = people_board();
}

static void teardown(void)
{
        lock = skep_rwlock_unref(lock);
        hive = skep_hive_detach(hive);
}

static int acquire(bool write, skep_deadline deadline)
{
        return write ? skep_rwlock_acquire_write(lock, deadline) : skep_rwlock_acquire_read(lock, deadline);
}

/* In another process. */
static int try(bool write)
{
        pid_t child = branch();
        if (!child)
                _exit(acquire(write, skep_nowait()) == 0 && skep_rwlock_release(lock) == 0 ? 0 : 1);
        return ended(child);
}

static pid_t holder(bool write)
{
        uint32_t before = board[0];
        pid_t child = branch();
        if (!child) {
                if (acquire(write, skep_forever()) < 0)
                        _exit(1);
                atomic_fetch_add(&board[0], 1);
                pause();
        }
        until_equal(&board[0], before + 1);
        return child;
}

START_TEST(readers_share_and_a_writer_is_alone)
{
        ck_assert_int_eq(skep_rwlock_acquire_read(lock, skep_nowait()), 0);
        ck_assert_int_eq(try(false), 0);
        ck_assert_int_eq(try(true), 1);
        ck_assert_int_eq(skep_rwlock_acquire_read(lock, skep_nowait()), -EDEADLK);
        ck_assert_int_eq(skep_rwlock_acquire_write(lock, skep_nowait()), -EDEADLK);
        ck_assert_int_eq(skep_rwlock_release(lock), 0);
        ck_assert_int_eq(skep_rwlock_acquire_write(lock, skep_nowait()), 0);
        ck_assert_int_eq(skep_rwlock_writer(lock), getpid());
        ck_assert_int_eq(try(false), 1);
        ck_assert_int_eq(try(true), 1);
        ck_assert_int_eq(skep_rwlock_acquire_read(lock, skep_nowait()), -EDEADLK);
        ck_assert_int_eq(skep_rwlock_acquire_write(lock, skep_nowait()), -EDEADLK);
        pid_t child = branch();
        if (!child)
                _exit(skep_rwlock_release(lock) != -EPERM);
        ck_assert_int_eq(ended(child), 0);
        ck_assert_int_eq(skep_rwlock_release(lock), 0);
        ck_assert_int_eq(skep_rwlock_release(lock), -EPERM);
        ck_assert_int_eq(try(true), 0);
}
END_TEST

START_TEST(while_a_writer_waits_no_reader_comes_in)
{
        ck_assert_int_eq(skep_rwlock_acquire_read(lock, skep_nowait()), 0);
        pid_t writer = branch();
        if (!writer) {
                if (skep_rwlock_acquire_write(lock, LONG) != 0)
                        _exit(1);
                atomic_store(&board[1], 1);
                _exit(skep_rwlock_release(lock));
        }
        until_asleep(hive, "rwlock", 1);
        pid_t reader = branch();
        if (!reader)
                _exit(skep_rwlock_acquire_read(lock, LONG) != 0 || board[1] != 1 || skep_rwlock_release(lock) != 0);
        until_asleep(hive, "rwlock", 2);
        ck_assert_int_eq(skep_rwlock_release(lock), 0);
        ck_assert_int_eq(ended(writer), 0);
        ck_assert_int_eq(ended(reader), 0);
}
END_TEST

START_TEST(a_writer_whose_time_is_over_lets_the_readers_in_again)
{
        ck_assert_int_eq(skep_rwlock_acquire_read(lock, skep_nowait()), 0);
        pid_t writer = branch();
        if (!writer)
                _exit(skep_rwlock_acquire_write(lock, skep_within_ns(60 * MS)) != -ETIMEDOUT);
        ck_assert_int_eq(ended(writer), 0);
        ck_assert_int_eq(try(false), 0);
        ck_assert_int_eq(skep_rwlock_release(lock), 0);
        ck_assert_int_eq(try(true), 0);
}
END_TEST

START_TEST(a_dead_reader_does_not_stop_a_writer)
{
        pid_t reader = holder(false);
        ck_assert_int_eq(try(true), 1);
        pid_t writer = branch();
        if (!writer)
                _exit(skep_rwlock_acquire_write(lock, LONG) != 0 || skep_rwlock_release(lock) != 0);
        until_asleep(hive, "rwlock", 1);
        kill(reader, SIGKILL);
        ck_assert_int_eq(ended(reader), -SIGKILL);
        ck_assert_int_eq(ended(writer), 0);
        ck_assert_int_eq(try(false), 0);
}
END_TEST

START_TEST(a_dead_writers_lock_goes_to_the_next_with_the_news)
{
        for (int write = 0; write < 2; write++) {
                pid_t writer = holder(true), next = branch();
                if (!next)
                        _exit(acquire(write, LONG) != SKEP_OWNER_DIED || skep_rwlock_release(lock) != 0);
                until_asleep(hive, "rwlock", 1);
                kill(writer, SIGKILL);
                ck_assert_int_eq(ended(writer), -SIGKILL);
                ck_assert_int_eq(ended(next), 0);
        }
        ck_assert_int_eq(try(true), 0);
}
END_TEST

START_TEST(what_writers_write_is_whole_to_readers)
{
        enum { TURNS = 4000 };
        volatile uint32_t *pair = (volatile uint32_t *)(board + 8);
        pid_t children[4];
        for (int i = 0; i < 4; i++)
                if (!(children[i] = branch())) {
                        for (int turn = 0; turn < TURNS; turn++) {
                                bool write = i == 0 || turn % 8 == 0;
                                if (acquire(write, skep_forever()) != 0 || pair[0] != pair[1])
                                        _exit(1);
                                if (write) {
                                        pair[0] = pair[0] + 1;
                                        pair[1] = pair[1] + 1;
                                }
                                if (pair[0] != pair[1] || skep_rwlock_release(lock) != 0)
                                        _exit(2);
                        }
                        _exit(0);
                }
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(ended(children[i]), 0);
        ck_assert_uint_eq(pair[0], TURNS + 3 * TURNS / 8);
}
END_TEST

int main(void)
{
        return RUN_TESTS("rwlock", setup, teardown, readers_share_and_a_writer_is_alone, while_a_writer_waits_no_reader_comes_in,
                         a_writer_whose_time_is_over_lets_the_readers_in_again, a_dead_reader_does_not_stop_a_writer,
                         a_dead_writers_lock_goes_to_the_next_with_the_news, what_writers_write_is_whole_to_readers);
}
