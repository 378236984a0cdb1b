/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board_point_test.c - point_test.c over the world of a pool's board: a worker dies at any probe of taking a task, and so does
 * the reaper; and the race between revoking and taking, which no death shows.
 * ctest: timeout=120
 */
#include "support/board_world.h"

#define WORLD_ONLY
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#include "point_test.c"

#include "../../python/ext/board.h"

#include <pthread.h>

enum { ROUNDS = 20000 };

static struct board raced = {.places = 2};
static skep_queue *numbers;
static pthread_barrier_t together;
static bool began;

static void *takes(void *unused)
{
        for (int64_t task = 1; task <= ROUNDS; task++) {
                struct skep_loan loan;
                pthread_barrier_wait(&together);
                for (int64_t i = task % 97; i > 0; i--) /* meets revoking at other instructions each time */
                        __asm__ volatile("");
                began = skep_queue_borrow(numbers, &loan, skep_nowait()) == 0 && board_take(&raced, 1, task, &loan);
                pthread_barrier_wait(&together);
        }
        return unused;
}

/* Either the task is found at who took it, or he drops it. */
START_TEST(revoking_sees_who_takes_or_is_seen)
{
        skep_hive *hive;
        pthread_t thread;
        int both = 0, found = 0, dropped = 0;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 4u << 20), &hive), 0);
        ck_assert_int_eq(skep_queue_create(hive, NULL, &numbers), 0);
        ck_assert_int_eq(skep_value_create(hive, SKEP_VALUE_OPTIONS(.element = SKEP_ELEMENT_I64, .count = 1 + 2 + 4), &raced.words), 0);
        pthread_barrier_init(&together, NULL, 2);
        ck_assert_int_eq(pthread_create(&thread, NULL, takes, NULL), 0);
        for (int64_t task = 1; task <= ROUNDS; task++) {
                ck_assert_int_eq(skep_queue_put(numbers, &task, sizeof task, skep_nowait()), 0);
                skep_value_store_i64(raced.words, board_place(1), 0);
                pthread_barrier_wait(&together);
                board_revoke(&raced, task);
                bool shown = board_shows(&raced, 1, task);
                pthread_barrier_wait(&together);
                ck_assert_msg(shown || !began, "task %lld began and was not found", (long long)task);
                both += shown && !began;
                found += shown && began;
                dropped += !shown && !began;
        }
        pthread_join(thread, NULL);
        printf("revoke: found %d, dropped %d, both %d of %d\n", found, dropped, both, ROUNDS);
        skep_value_unref(raced.words);
        skep_queue_unref(numbers);
        skep_hive_detach(hive);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("board_point");
        TCase *points = points_of_the_world(suite);
        tcase_add_loop_test(points, death_of_the_reaper_at_any_point_loses_nothing, 0, operation_count);
        tcase_add_test(points, revoking_sees_who_takes_or_is_seen);
        return suite_run(suite);
}
