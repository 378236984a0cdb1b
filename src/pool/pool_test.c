/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_test.c - pools: map, submit, imap, then, errors, death of workers, the end.
 * ctest: timeout=120
 */
#include "support/people.h"

#include <pthread.h>
#include <stdint.h>

static skep_hive *hive;
static skep_pool *pool;
static _Atomic uint32_t *board;

/* --- what workers run ------------------------------------------------------------------------------------------------ */

static int square(const struct skep_task *task)
{
        int64_t number;
        memcpy(&number, task->item, sizeof number);
        number *= number;
        memcpy(task->result, &number, sizeof number);
        return 0;
}

static int index_of(const struct skep_task *task)
{
        memcpy(task->result, &task->index, sizeof task->index);
        atomic_fetch_add(&board[0], 1);
        return 0;
}

static int odd_fails(const struct skep_task *task)
{
        return task->index % 2 ? skep_task_fail(task, -EDOM, "task %d is odd", (int)task->index) : 0;
}

static int dies_at_7(const struct skep_task *task)
{
        atomic_fetch_add(&board[task->index], 1);
        if (task->index == 7 && !(task->attempt && board[100]))
                die();
        return 0;
}

static int leaves_at_3(const struct skep_task *task)
{
        if (task->index == 3)
                _exit(9);
        return 0;
}

static int waits(const struct skep_task *task)
{
        (void)task;
        atomic_fetch_add(&board[1], 1);
        while (!atomic_load(&board[2]))
                usleep(200);
        return 0;
}

static int says_pid(const struct skep_task *task)
{
        int64_t pid = getpid();
        memcpy(task->result, &pid, sizeof pid);
        usleep(100);
        return 0;
}

static int nests(const struct skep_task *task)
{
        skep_pool *inner;
        skep_future *future;
        const int64_t numbers[] = {1, 2, 3};
        int64_t sum = 0;
        if (skep_pool_create(task->hive, SKEP_POOL_OPTIONS(.workers = 2), &inner) < 0)
                return -ENOMEM;
        int result = skep_pool_map(inner, SKEP_JOB_OPTIONS(.function = "square", .items = numbers, .item_bytes = 8, .count = 3, .result_bytes = 8), &future);
        if (result == 0)
                for (int i = 0; i < 3; i++)
                        sum += ((int64_t *)skep_future_results(future))[i];
        memcpy(task->result, &sum, sizeof sum);
        if (result >= 0)
                skep_future_unref(future);
        skep_pool_unref(inner);
        return result;
}

static int fills_block(const struct skep_task *task)
{
        skep_block block;
        memcpy(&block, task->item, sizeof block);
        if (skep_block_ref(task->hive, block) < 0)
                return skep_task_fail(task, -ESTALE, "the block is gone");
        *(char *)skep_block_address(task->hive, block, NULL) = 'x';
        return skep_block_unref(task->hive, block);
}

static int prepare(skep_hive *its_hive, const void *argument, size_t bytes)
{
        (void)its_hive;
        atomic_fetch_add(&board[10], bytes == 4 && !memcmp(argument, "abc", 4));
        return 0;
}

static int refuse(skep_hive *its_hive, const void *argument, size_t bytes)
{
        (void)its_hive, (void)argument, (void)bytes;
        return 5;
}

static int cling(skep_hive *its_hive, const void *argument, size_t bytes)
{
        (void)its_hive, (void)argument, (void)bytes;
        return prctl(PR_SET_PDEATHSIG, 0) < 0;
}

static void setup(void)
{
        board = people_board();
        ck_assert_int_eq(skep_pool_register("square", square), 0);
        ck_assert_int_eq(skep_pool_register("index_of", index_of), 0);
        ck_assert_int_eq(skep_pool_register("odd_fails", odd_fails), 0);
        ck_assert_int_eq(skep_pool_register("dies_at_7", dies_at_7), 0);
        ck_assert_int_eq(skep_pool_register("leaves_at_3", leaves_at_3), 0);
        ck_assert_int_eq(skep_pool_register("waits", waits), 0);
        ck_assert_int_eq(skep_pool_register("says_pid", says_pid), 0);
        ck_assert_int_eq(skep_pool_register("nests", nests), 0);
        ck_assert_int_eq(skep_pool_register("fills_block", fills_block), 0);
        ck_assert_int_eq(skep_process_register("prepare", prepare), 0);
        ck_assert_int_eq(skep_process_register("refuse", refuse), 0);
        ck_assert_int_eq(skep_process_register("cling", cling), 0);
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 256u << 20), &hive), 0);
        ck_assert_int_eq(skep_pool_create(hive, SKEP_POOL_OPTIONS(.workers = 2), &pool), 0);
}

static void teardown(void)
{
        struct skep_hive_stat stat;
        pool = skep_pool_unref(pool);
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert_int_eq(skep_hive_verify(hive, NULL), 0);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_eq(stat.blocks, 0);
        ck_assert_uint_eq(stat.members, 1);
        hive = skep_hive_detach(hive);
}

/* --- jobs ---------------------------------------------------------------------------------------------------------------- */

START_TEST(map_writes_each_result_in_its_place)
{
        enum { COUNT = 1000 };
        int64_t numbers[COUNT];
        for (int i = 0; i < COUNT; i++)
                numbers[i] = i - 500;
        const uint64_t chunks[] = {0, 1, 7, COUNT, 5000};
        for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
                skep_future *future;
                struct skep_future_progress progress;
                ck_assert_int_eq(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "square", .count = COUNT, .items = numbers, .item_bytes = 8,
                                                                      .result_bytes = 8, .chunk = chunks[c]), &future), 0);
                const int64_t *results = skep_future_results(future);
                for (int i = 0; i < COUNT; i++)
                        ck_assert_int_eq(results[i], numbers[i] * numbers[i]);
                ck_assert_int_eq(skep_future_progress(future, &progress), 0);
                ck_assert_uint_eq(progress.done, COUNT);
                ck_assert_uint_eq(progress.running + progress.failed, 0);
                ck_assert_int_eq(skep_future_is_done(future), 1);
                ck_assert_int_eq(skep_future_cancel(future), -EBUSY);
                skep_future_unref(future);
        }
}
END_TEST

START_TEST(submit_gives_a_future_each)
{
        enum { COUNT = 300 };
        static skep_future *futures[COUNT];
        for (int64_t i = 0; i < COUNT; i++)
                ck_assert_int_eq(skep_pool_submit(pool, "square", &i, sizeof i, sizeof i, &futures[i]), 0);
        for (int64_t i = 0; i < COUNT; i++) {
                const void *result;
                int64_t number;
                ck_assert_int_eq(skep_future_wait(futures[i], LONG), 0);
                ck_assert_int_eq(skep_future_result(futures[i], 0, &result), 0);
                memcpy(&number, result, sizeof number);
                ck_assert_int_eq(number, i * i);
                ck_assert_int_eq(skep_future_result(futures[i], 1, &result), -ERANGE);
                skep_future_unref(futures[i]);
        }
}
END_TEST

START_TEST(futures_complete_in_any_order_and_each_is_given_once)
{
        skep_future *futures[5], *slow;
        size_t given = 0, index;
        ck_assert_int_eq(skep_pool_map_async(pool, SKEP_JOB_OPTIONS(.function = "waits"), &slow), 0);
        futures[0] = slow;
        for (int64_t i = 1; i < 5; i++)
                ck_assert_int_eq(skep_pool_submit(pool, "square", &i, sizeof i, sizeof i, &futures[i]), 0);
        for (int i = 0; i < 4; i++) {
                ck_assert_int_eq(skep_future_as_completed(futures, 5, &given, LONG), 0);
                ck_assert_ptr_ne(futures[given - 1], slow);
        }
        ck_assert_int_eq(skep_future_as_completed(futures, 5, &given, skep_within_ns(5 * MS)), -ETIMEDOUT);
        ck_assert_int_eq(skep_future_wait_any(&slow, 1, &index, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(skep_future_wait(slow, skep_within_ns(5 * MS)), -ETIMEDOUT);
        ck_assert_int_eq(skep_future_result(slow, 0, NULL), -EAGAIN);
        atomic_store(&board[2], 1);
        ck_assert_int_eq(skep_future_as_completed(futures, 5, &given, LONG), 0);
        ck_assert_ptr_eq(futures[4], slow);
        ck_assert_int_eq(skep_future_as_completed(futures, 5, &given, LONG), -ERANGE);
        for (int i = 0; i < 5; i++)
                skep_future_unref(futures[i]);
}
END_TEST

START_TEST(imap_gives_results_in_order_while_others_run)
{
        skep_future *future;
        const void *result;
        uint64_t index;
        ck_assert_int_eq(skep_pool_imap(pool, SKEP_JOB_OPTIONS(.function = "index_of", .count = 200, .result_bytes = 8), &future), 0);
        for (uint64_t i = 0; i < 200; i++) {
                ck_assert_int_eq(skep_future_next(future, &index, &result, LONG), 0);
                ck_assert_uint_eq(index, i);
                ck_assert_int_eq(memcmp(result, &i, sizeof i), 0);
        }
        ck_assert_int_eq(skep_future_next(future, NULL, NULL, LONG), -ERANGE);
        ck_assert_uint_eq(board[0], 200);
        skep_future_unref(future);
}
END_TEST

static void note_told(skep_future *future, void *context)
{
        ck_assert_int_eq(skep_future_is_done(future), 1);
        atomic_fetch_add(&board[20], *(uint32_t *)context);
}

START_TEST(then_is_called_once_when_the_job_is_complete)
{
        uint32_t ten = 10, one = 1;
        skep_future *slow;
        ck_assert_int_eq(skep_pool_map_async(pool, SKEP_JOB_OPTIONS(.function = "waits"), &slow), 0);
        ck_assert_int_eq(skep_future_then(slow, note_told, &ten), 0);
        ck_assert_int_eq(skep_future_then(slow, note_told, &ten), -EBUSY);
        ck_assert_uint_eq(board[20], 0);
        atomic_store(&board[2], 1);
        until_equal(&board[20], 10);
        ck_assert_int_eq(skep_future_then(slow, note_told, &one), 0);
        ck_assert_uint_eq(board[20], 11);
        skep_future_unref(slow);
}
END_TEST

START_TEST(references_are_claimed_by_the_job)
{
        skep_future *slow[2], *future;
        skep_block block;
        for (int i = 0; i < 2; i++)
                ck_assert_int_eq(skep_pool_map_async(pool, SKEP_JOB_OPTIONS(.function = "waits"), &slow[i]), 0);
        ck_assert_int_eq(skep_block_alloc(hive, 100, SKEP_BLOCK_ZERO, &block), 0);
        ck_assert_int_eq(skep_pool_map_async(pool, SKEP_JOB_OPTIONS(.function = "fills_block", .items = &block, .item_bytes = sizeof block,
                                                                    .references = &block, .reference_count = 1), &future), 0);
        ck_assert_int_eq(skep_block_unref(hive, block), 0); /* the job's claim is the only one now */
        atomic_store(&board[2], 1);
        ck_assert_int_eq(skep_future_wait(future, LONG), 0);
        ck_assert_int_eq(skep_block_ref(hive, block), 0);
        ck_assert_int_eq(*(char *)skep_block_address(hive, block, NULL), 'x');
        ck_assert_int_eq(skep_block_unref(hive, block), 0);
        skep_future_unref(future);
        ck_assert_int_eq(skep_pool_map_async(pool, SKEP_JOB_OPTIONS(.function = "fills_block", .references = &block, .reference_count = 1), &future), -ESTALE);
        for (int i = 0; i < 2; i++)
                skep_future_unref(slow[i]);
}
END_TEST

START_TEST(a_job_whose_handle_is_dropped_goes_on_and_goes_away)
{
        skep_future *slow, *future;
        struct skep_pool_stat stat;
        ck_assert_int_eq(skep_pool_map_async(pool, SKEP_JOB_OPTIONS(.function = "waits"), &slow), 0);
        for (int i = 0; i < 500; i++) {
                ck_assert_int_eq(skep_pool_submit(pool, "index_of", NULL, 0, 8, &future), 0);
                skep_future_unref(future);
        }
        until_equal(&board[0], 500);
        do
                ck_assert_int_eq(skep_pool_stat(pool, &stat), 0);
        while (stat.jobs != 1);
        atomic_store(&board[2], 1);
        ck_assert_int_eq(skep_future_wait(slow, LONG), 0);
        skep_future_unref(slow);
}
END_TEST

/* --- what fails ------------------------------------------------------------------------------------------------------------ */

START_TEST(a_task_fails_with_its_code_and_its_text)
{
        skep_future *future;
        char text[100];
        uint64_t index;
        ck_assert_int_eq(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "odd_fails", .count = 10), &future), SKEP_TASKS_FAILED);
        ck_assert_int_eq(skep_future_failure(future, 0, &index), -EDOM);
        ck_assert_uint_eq(index, 1);
        ck_assert_int_eq(skep_future_failure(future, 2, &index), -EDOM);
        ck_assert_uint_eq(index, 3);
        ck_assert_int_eq(skep_future_error(future, 5, text, sizeof text), -EDOM);
        ck_assert_str_eq(text, "task 5 is odd");
        ck_assert_int_eq(skep_future_error(future, 4, text, sizeof text), 0);
        ck_assert_str_eq(text, "");
        skep_future_unref(future);
        struct skep_pool_stat stat;
        ck_assert_int_eq(skep_pool_stat(pool, &stat), 0);
        ck_assert_uint_eq(stat.done, 5);
        ck_assert_uint_eq(stat.failed, 5);
        ck_assert_uint_eq(stat.jobs, 0);
}
END_TEST

START_TEST(many_failures_all_have_their_code_the_first_ones_their_text)
{
        skep_future *future;
        char text[100];
        uint64_t texts = 0;
        ck_assert_int_eq(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "odd_fails", .count = 1000), &future), SKEP_TASKS_FAILED);
        for (uint64_t i = 1; i < 1000; i += 2) {
                ck_assert_int_eq(skep_future_error(future, i, text, sizeof text), -EDOM);
                texts += strstr(text, "is odd") != NULL;
                ck_assert(*text);
        }
        ck_assert_uint_eq(texts, 64);
        skep_future_unref(future);
}
END_TEST

START_TEST(an_unknown_function_fails_the_task_and_says_so)
{
        skep_future *future;
        char text[100];
        ck_assert_int_eq(skep_pool_submit(pool, "nothing", NULL, 0, 0, &future), 0);
        ck_assert_int_eq(skep_future_wait(future, LONG), SKEP_TASKS_FAILED);
        ck_assert_int_eq(skep_future_error(future, 0, text, sizeof text), -ENOENT);
        ck_assert_ptr_ne(strstr(text, "\"nothing\""), NULL);
        skep_future_unref(future);
        ck_assert_int_eq(skep_pool_submit(pool, "", NULL, 0, 0, &future), -EINVAL);
        ck_assert_int_eq(skep_pool_submit(pool, NULL, NULL, 0, 0, &future), -EINVAL);
        ck_assert_int_eq(skep_pool_submit(pool, "square", NULL, 8, 0, &future), -EINVAL);
}
END_TEST

START_TEST(the_task_a_worker_died_in_fails_and_all_others_are_done_once)
{
        skep_future *future;
        char text[150];
        const uint64_t chunks[] = {0, 1, 20};
        for (uint32_t c = 0; c < 3; c++) {
                memset((void *)(uintptr_t)board, 0, 400);
                ck_assert_int_eq(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "dies_at_7", .count = 20, .chunk = chunks[c]), &future), SKEP_TASKS_FAILED);
                for (uint64_t i = 0; i < 20; i++) {
                        ck_assert_uint_eq(board[i], 1);
                        ck_assert_int_eq(skep_future_error(future, i, text, sizeof text), i == 7 ? -EOWNERDEAD : 0);
                        ck_assert(i != 7 || (strstr(text, "task 7 of dies_at_7") && strstr(text, "signal 9")));
                }
                skep_future_unref(future);
                struct skep_pool_stat stat;
                ck_assert_int_eq(skep_pool_stat(pool, &stat), 0);
                ck_assert_uint_eq(stat.failed, c + 1);
                ck_assert_uint_eq(stat.done, 19 * (c + 1));
        }
}
END_TEST

START_TEST(with_retries_it_runs_again_as_often_as_asked)
{
        skep_future *future;
        ck_assert_int_eq(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "dies_at_7", .count = 20, .retries = 2), &future), SKEP_TASKS_FAILED);
        ck_assert_int_eq(skep_future_result(future, 7, NULL), -EOWNERDEAD);
        ck_assert_uint_eq(board[7], 3);
        skep_future_unref(future);
        board[100] = 1; /* once is enough now */
        ck_assert_int_eq(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "dies_at_7", .count = 20, .retries = 2), &future), 0);
        ck_assert_uint_eq(board[7], 5);
        ck_assert_uint_eq(board[8], 2);
        skep_future_unref(future);
}
END_TEST

START_TEST(a_worker_that_exits_in_a_task_is_reported_with_its_code)
{
        skep_future *future;
        char text[150];
        ck_assert_int_eq(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "leaves_at_3", .count = 5), &future), SKEP_TASKS_FAILED);
        ck_assert_int_eq(skep_future_error(future, 3, text, sizeof text), -EOWNERDEAD);
        ck_assert_ptr_ne(strstr(text, "code 9"), NULL);
        skep_future_unref(future);
}
END_TEST

static int64_t pid_of(uint32_t index)
{
        struct skep_worker_stat stat;
        ck_assert_int_eq(skep_pool_worker(pool, index, &stat), 0);
        return stat.pid;
}

START_TEST(idle_workers_that_are_killed_are_replaced)
{
        skep_future *future;
        int64_t number = 3;
        for (int i = 0; i < 3; i++) {
                int64_t pid;
                while (!(pid = pid_of(0)))
                        usleep(500);
                kill((pid_t)pid, SIGKILL);
                while (pid_of(0) == pid || !pid_of(0))
                        usleep(500);
                ck_assert_int_eq(skep_pool_submit(pool, "square", &number, sizeof number, sizeof number, &future), 0);
                ck_assert_int_eq(skep_future_wait(future, LONG), 0);
                skep_future_unref(future);
        }
        ck_assert_int_eq(skep_pool_worker(pool, 2, &(struct skep_worker_stat){0}), -ERANGE);
}
END_TEST

START_TEST(cancel_fails_what_has_not_begun)
{
        skep_future *slow[2], *future;
        for (int i = 0; i < 2; i++)
                ck_assert_int_eq(skep_pool_map_async(pool, SKEP_JOB_OPTIONS(.function = "waits"), &slow[i]), 0);
        until_equal(&board[1], 2);
        ck_assert_int_eq(skep_pool_map_async(pool, SKEP_JOB_OPTIONS(.function = "index_of", .count = 100, .result_bytes = 8), &future), 0);
        ck_assert_int_eq(skep_future_cancel(future), 0);
        ck_assert_int_eq(skep_future_wait(future, skep_nowait()), SKEP_TASKS_FAILED);
        ck_assert_int_eq(skep_future_result(future, 99, NULL), -ECANCELED);
        ck_assert_int_eq(skep_future_cancel(slow[0]), -EBUSY);
        atomic_store(&board[2], 1);
        ck_assert_int_eq(skep_future_wait(slow[0], LONG), 0);
        ck_assert_uint_eq(board[0], 0);
        skep_future_unref(future);
        skep_future_unref(slow[0]);
        skep_future_unref(slow[1]);
}
END_TEST

/* --- the end ------------------------------------------------------------------------------------------------------------------ */

START_TEST(a_closed_pool_finishes_what_it_has_and_takes_no_more)
{
        skep_future *future, *other;
        ck_assert_int_eq(skep_pool_join(pool, skep_nowait()), -EBUSY);
        ck_assert_int_eq(skep_pool_map_async(pool, SKEP_JOB_OPTIONS(.function = "waits", .count = 4), &future), 0);
        ck_assert_int_eq(skep_pool_close(pool), 0);
        ck_assert_int_eq(skep_pool_submit(pool, "square", NULL, 0, 0, &other), -ESHUTDOWN);
        ck_assert_int_eq(skep_pool_join(pool, skep_within_ns(10 * MS)), -ETIMEDOUT);
        atomic_store(&board[2], 1);
        ck_assert_int_eq(skep_pool_join(pool, LONG), 0);
        ck_assert_int_eq(skep_future_wait(future, skep_nowait()), 0);
        ck_assert_uint_eq(board[1], 4);
        skep_future_unref(future);
}
END_TEST

START_TEST(terminate_ends_what_runs_and_cancels_the_rest)
{
        skep_future *future;
        ck_assert_int_eq(skep_pool_map_async(pool, SKEP_JOB_OPTIONS(.function = "waits", .count = 100), &future), 0);
        until_equal(&board[1], 2);
        ck_assert_int_eq(skep_pool_terminate(pool), 0);
        ck_assert_int_eq(skep_pool_join(pool, LONG), 0);
        ck_assert_int_eq(skep_future_wait(future, skep_nowait()), SKEP_TASKS_FAILED);
        for (uint64_t i = 0; i < 100; i++)
                ck_assert_int_eq(skep_future_result(future, i, NULL), -ECANCELED);
        ck_assert_uint_eq(board[1], 2);
        skep_future_unref(future);
}
END_TEST

START_TEST(futures_outlive_the_pool)
{
        skep_future *future;
        int64_t number = 12;
        ck_assert_int_eq(skep_pool_submit(pool, "square", &number, sizeof number, sizeof number, &future), 0);
        ck_assert_int_eq(skep_future_wait(future, LONG), 0);
        pool = skep_pool_unref(pool);
        ck_assert_int_eq(*(int64_t *)skep_future_results(future), 144);
        ck_assert_int_eq(skep_future_wait(future, skep_forever()), 0);
        skep_future_unref(future);
}
END_TEST

START_TEST(a_forked_child_is_told_that_the_pool_is_not_its_own)
{
        skep_future *future;
        pid_t child = branch();
        if (!child) {
                bool refused = skep_pool_submit(pool, "square", NULL, 0, 0, &future) == -EPERM && skep_pool_close(pool) == -EPERM &&
                               skep_pool_join(pool, skep_forever()) == -EPERM && skep_pool_terminate(pool) == -EPERM;
                skep_pool_unref(pool);
                _exit(!refused);
        }
        ck_assert_int_eq(ended(child), 0);
        ck_assert_int_eq(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "index_of", .count = 5, .result_bytes = 8), &future), 0);
        skep_future_unref(future);
}
END_TEST

/* A zombie that nobody collects has ended too. */
static bool is_running(uint32_t pid)
{
        char path[64], text[256] = "";
        snprintf(path, sizeof path, "/proc/%u/stat", pid);
        FILE *file = fopen(path, "r");
        bool there = file && fgets(text, sizeof text, file) && !strstr(text, ") Z");
        if (file)
                fclose(file);
        return there;
}

static void makes_a_pool_and_dies(const char *initializer, uint64_t tasks)
{
        skep_pool *own;
        skep_future *future;
        if (skep_pool_create(hive, SKEP_POOL_OPTIONS(.workers = 3, .initializer = initializer), &own) < 0 ||
            (tasks && skep_pool_map_async(own, SKEP_JOB_OPTIONS(.function = "waits", .count = tasks), &future) < 0))
                _exit(1);
        for (uint32_t i = 0; i < 3; i++) {
                struct skep_worker_stat stat;
                do
                        skep_pool_worker(own, i, &stat);
                while (!stat.pid);
                board[30 + i] = (uint32_t)stat.pid;
        }
        while (board[1] != tasks)
                usleep(100);
        until_asleep(hive, "queue", 3 - (uint32_t)tasks);
        die();
}

static void check_workers_end(const char *initializer, uint64_t tasks)
{
        board[1] = 0;
        skep_pool_unref(pool);
        pool = NULL;
        pid_t maker = branch();
        if (!maker)
                makes_a_pool_and_dies(initializer, tasks);
        ck_assert_int_eq(ended(maker), -SIGKILL);
        int64_t end = people_now_ns() + 1000 * MS;
        for (int i = 0; i < 3; i++)
                while (is_running(board[30 + i])) {
                        ck_assert_msg(people_now_ns() < end, "worker %u lives on", board[30 + i]);
                        usleep(1000);
                }
}

START_TEST(workers_end_with_their_maker)
{
        check_workers_end(NULL, 2);
}
END_TEST

START_TEST(idle_workers_see_themselves_that_their_maker_is_gone)
{
        check_workers_end("cling", 0);
}
END_TEST

/* --- options ------------------------------------------------------------------------------------------------------------------- */

START_TEST(workers_are_initialized_and_leave_after_their_tasks)
{
        enum { TASKS = 50 };
        skep_pool *own;
        skep_future *future;
        ck_assert_int_eq(skep_pool_create(hive, SKEP_POOL_OPTIONS(.workers = 2, .flags = SKEP_POOL_PIN, .tasks_per_worker = 10, .initializer = "prepare",
                                                                  .initializer_argument = "abc", .initializer_bytes = 4), &own), 0);
        ck_assert_int_eq(skep_pool_map(own, SKEP_JOB_OPTIONS(.function = "says_pid", .count = TASKS, .result_bytes = 8), &future), 0);
        const int64_t *pids = skep_future_results(future);
        int most = 0;
        for (int i = 0; i < TASKS; i++) {
                int same = 0;
                for (int j = 0; j < TASKS; j++)
                        same += pids[i] == pids[j];
                most = same > most ? same : most;
        }
        ck_assert_int_le(most, 10);
        ck_assert_uint_ge(board[10], 5);
        skep_future_unref(future);
        skep_pool_unref(own);
        ck_assert_int_eq(skep_pool_create(hive, SKEP_POOL_OPTIONS(.workers = SKEP_POOL_WORKERS_MAX + 1), &own), -EINVAL);
        ck_assert_int_eq(skep_pool_create(hive, SKEP_POOL_OPTIONS(.flags = 8), &own), -EINVAL);
        ck_assert_int_eq(skep_pool_create(hive, SKEP_POOL_OPTIONS(.start = SKEP_START_SPAWN, .program = "/nowhere"), &own), -ENOENT);
}
END_TEST

START_TEST(an_initializer_that_fails_breaks_the_pool_and_every_job)
{
        skep_pool *own;
        skep_future *future;
        char text[200];
        ck_assert_int_eq(skep_pool_create(hive, SKEP_POOL_OPTIONS(.workers = 2, .initializer = "refuse"), &own), 0);
        int result = skep_pool_map(own, SKEP_JOB_OPTIONS(.function = "says_pid", .count = 5, .result_bytes = 8), &future);
        ck_assert(result == SKEP_TASKS_FAILED || result == -EPIPE);
        if (result > 0) {
                ck_assert_int_eq(skep_future_result(future, 0, NULL), -EPIPE);
                skep_future_unref(future);
        }
        ck_assert_int_eq(skep_pool_map(own, SKEP_JOB_OPTIONS(.function = "says_pid", .count = 5, .result_bytes = 8), &future), -EPIPE);
        ck_assert_int_eq(skep_pool_broken(own, text, sizeof text), 0);
        ck_assert_msg(strstr(text, "code 5") && strstr(text, "refuse"), "%s", text);
        skep_pool_unref(own);
        ck_assert_int_eq(skep_pool_broken(pool, text, sizeof text), 0);
        ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(a_worker_may_have_a_pool)
{
        skep_future *future;
        ck_assert_int_eq(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "nests", .count = 4, .result_bytes = 8), &future), 0);
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(((int64_t *)skep_future_results(future))[i], 14);
        skep_future_unref(future);
}
END_TEST

static void *submits(void *failed)
{
        for (int64_t i = 0; i < 200; i++) {
                skep_future *future;
                if (skep_pool_submit(pool, "square", &i, sizeof i, sizeof i, &future) < 0 || skep_future_wait(future, LONG) != 0 ||
                    *(int64_t *)skep_future_results(future) != i * i)
                        *(_Atomic int *)failed = 1;
                skep_future_unref(future);
        }
        return NULL;
}

START_TEST(several_threads_hand_in_jobs_at_once)
{
        pthread_t threads[4];
        static _Atomic int failed;
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, submits, &failed), 0);
        for (int i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        ck_assert_int_eq(failed, 0);
}
END_TEST

START_TEST(a_pool_at_rest_only_looks_after_its_maker)
{
        skep_future *future;
        ck_assert_int_eq(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "index_of", .count = 5, .result_bytes = 8), &future), 0);
        skep_future_unref(future);
        until_asleep(hive, "queue", 2);
        for (uint32_t i = 0; i < 2; i++) {
                char path[64], text[1000];
                unsigned long user = 0, system = 0, before = 0;
                for (int look = 0; look < 2; look++) {
                        snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid_of(i));
                        FILE *file = fopen(path, "r");
                        ck_assert_ptr_ne(file, NULL);
                        ck_assert_ptr_ne(fgets(text, sizeof text, file), NULL);
                        fclose(file);
                        ck_assert_int_eq(sscanf(strrchr(text, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
                        if (look == 0) {
                                before = user + system;
                                usleep(500000);
                        }
                }
                ck_assert_uint_le(user + system - before, 2); /* hundredths of a second, of fifty */
        }
}
END_TEST

int main(void)
{
        return RUN_TESTS("pool", setup, teardown, map_writes_each_result_in_its_place, submit_gives_a_future_each,
                         futures_complete_in_any_order_and_each_is_given_once, imap_gives_results_in_order_while_others_run,
                         then_is_called_once_when_the_job_is_complete, references_are_claimed_by_the_job,
                         a_job_whose_handle_is_dropped_goes_on_and_goes_away, a_task_fails_with_its_code_and_its_text,
                         many_failures_all_have_their_code_the_first_ones_their_text, an_unknown_function_fails_the_task_and_says_so,
                         the_task_a_worker_died_in_fails_and_all_others_are_done_once, with_retries_it_runs_again_as_often_as_asked,
                         a_worker_that_exits_in_a_task_is_reported_with_its_code, idle_workers_that_are_killed_are_replaced,
                         cancel_fails_what_has_not_begun, a_closed_pool_finishes_what_it_has_and_takes_no_more,
                         terminate_ends_what_runs_and_cancels_the_rest, futures_outlive_the_pool, a_forked_child_is_told_that_the_pool_is_not_its_own,
                         workers_end_with_their_maker, idle_workers_see_themselves_that_their_maker_is_gone,
                         workers_are_initialized_and_leave_after_their_tasks,
                         an_initializer_that_fails_breaks_the_pool_and_every_job, a_worker_may_have_a_pool, several_threads_hand_in_jobs_at_once,
                         a_pool_at_rest_only_looks_after_its_maker);
}
