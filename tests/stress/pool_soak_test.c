/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_soak_test.c - 100 000 tasks a round while a worker is killed every 20 ms: each is done once or reported, never both, never neither.
 *
 * A board in plain shared memory counts how often each task was begun and ended.  A round is a job in guided chunks, one of a task a
 * chunk, one with retries, or many jobs of one task.  A hang ends in an alarm.
 *
 * SKEP_SOAK_SECONDS (3): begin no round after that; four rounds at least.  SKEP_SOAK_SEED: the seed, which is printed.
 * ctest: timeout=200
 */
#include "support/suite.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <skep/skep.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { TASKS = 100000, SINGLE = 2000, WORKERS = 3, RETRIES = 1000, KILL_US = 20000 };

struct record {
        _Atomic uint32_t begun, ended;
};

static struct record *board; /* [TASKS], shared */
static skep_hive *hive;
static skep_pool *pool;
static unsigned int seed;
static _Atomic bool over;
static uint64_t kills;

static int64_t now_ns(void)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int64_t setting(const char *name, int64_t otherwise)
{
        const char *text = getenv(name);
        return text ? atoll(text) : otherwise;
}

/* Some microseconds of work. */
static void work(uint64_t index)
{
        atomic_fetch_add(&board[index].begun, 1);
        for (volatile uint32_t i = 0; i < 2000 + index % 4096; i++)
                ;
        atomic_fetch_add(&board[index].ended, 1);
}

static int counted(const struct skep_task *task)
{
        work(task->index);
        memcpy(task->result, &task->index, sizeof task->index);
        return 0;
}

static int counted_single(const struct skep_task *task)
{
        uint64_t index;
        memcpy(&index, task->item, sizeof index);
        work(index);
        memcpy(task->result, &index, sizeof index);
        return 0;
}

static void *kill_some(void *unused)
{
        (void)unused;
        while (!atomic_load(&over)) {
                struct skep_worker_stat stat;
                usleep(KILL_US);
                if (skep_pool_worker(pool, (uint32_t)rand_r(&seed) % WORKERS, &stat) == 0 && stat.pid && kill((pid_t)stat.pid, SIGKILL) == 0)
                        kills++;
        }
        return NULL;
}

static void check_task(const skep_future *future, uint64_t task, uint64_t index, bool retried, uint64_t *reported)
{
        const void *value;
        int result = skep_future_result(future, task, &value);
        uint32_t begun = atomic_load(&board[index].begun), ended = atomic_load(&board[index].ended);
        char text[128];
        if (result == 0) {
                ck_assert_msg(retried ? ended >= 1 : begun == 1 && ended == 1, "task %llu is done, and was begun %u times, ended %u times",
                              (unsigned long long)index, begun, ended);
                ck_assert_int_eq(memcmp(value, &index, sizeof index), 0);
                return;
        }
        ck_assert_msg(result == -EOWNERDEAD && !retried, "task %llu: %s", (unsigned long long)index, skep_strerror(result));
        ck_assert_msg(begun <= 1, "task %llu is reported, and was begun %u times", (unsigned long long)index, begun);
        (void)skep_future_error(future, task, text, sizeof text);
        ck_assert_msg(strstr(text, "signal 9") || *reported >= 64, "task %llu: \"%s\"", (unsigned long long)index, text);
        ++*reported;
}

static uint64_t round_of_one_job(uint64_t chunk, uint32_t retries)
{
        skep_future *future;
        uint64_t reported = 0;
        const struct skep_job_options *job =
                SKEP_JOB_OPTIONS(.function = "counted", .count = TASKS, .result_bytes = 8, .chunk = chunk, .retries = retries);
        int result = skep_pool_map(pool, job, &future);
        ck_assert_msg(result >= 0, "%s", skep_strerror(result));
        for (uint64_t i = 0; i < TASKS; i++)
                check_task(future, i, i, retries, &reported);
        ck_assert_int_eq(result, reported ? SKEP_TASKS_FAILED : 0);
        skep_future_unref(future);
        return reported;
}

static uint64_t round_of_single_tasks(void)
{
        static skep_future *futures[SINGLE];
        uint64_t reported = 0;
        size_t given = 0;
        for (uint64_t i = 0; i < SINGLE; i++)
                ck_assert_int_eq(skep_pool_submit(pool, "counted_single", &i, sizeof i, sizeof i, &futures[i]), 0);
        skep_future *handed_in[SINGLE];
        memcpy(handed_in, futures, sizeof futures);
        while (skep_future_as_completed(futures, SINGLE, &given, skep_forever()) == 0)
                ;
        ck_assert_uint_eq(given, SINGLE);
        for (uint64_t i = 0; i < SINGLE; i++) {
                check_task(handed_in[i], 0, i, false, &reported);
                skep_future_unref(handed_in[i]);
        }
        return reported;
}

START_TEST(each_task_is_done_once_or_reported)
{
        int64_t seconds = setting("SKEP_SOAK_SECONDS", 3), end = now_ns() + seconds * INT64_C(1000000000);
        pthread_t killer;
        uint64_t rounds = 0, reported = 0;
        struct skep_pool_stat stat;
        struct skep_hive_stat left;
        seed = (unsigned int)setting("SKEP_SOAK_SEED", now_ns() & 0xffffff);
        printf("pool_soak: seed %u\n", seed);
        fflush(stdout);
        board = mmap(NULL, TASKS * sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(board, MAP_FAILED);
        ck_assert_int_eq(skep_pool_register("counted", counted), 0);
        ck_assert_int_eq(skep_pool_register("counted_single", counted_single), 0);
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 256u << 20), &hive), 0);
        ck_assert_int_eq(skep_pool_create(hive, SKEP_POOL_OPTIONS(.workers = WORKERS), &pool), 0);
        alarm((unsigned)seconds + 150);
        ck_assert_int_eq(pthread_create(&killer, NULL, kill_some, NULL), 0);
        for (; rounds < 4 || now_ns() < end; rounds++) {
                memset(board, 0, TASKS * sizeof *board);
                if (rounds % 4 == 3)
                        reported += round_of_single_tasks();
                else
                        reported += round_of_one_job(rounds % 4 == 1, rounds % 4 == 2 ? RETRIES : 0);
        }
        atomic_store(&over, true);
        pthread_join(killer, NULL);
        ck_assert_int_eq(skep_pool_stat(pool, &stat), 0);
        printf("pool_soak: %llu rounds, %llu kills, %llu workers replaced, %llu tasks reported\n", (unsigned long long)rounds, (unsigned long long)kills,
               (unsigned long long)stat.replaced, (unsigned long long)reported);
        ck_assert_uint_gt(kills, 10);
        ck_assert_uint_gt(reported, 0);
        ck_assert_int_eq(skep_pool_close(pool), 0);
        ck_assert_int_eq(skep_pool_join(pool, skep_forever()), 0);
        skep_pool_unref(pool);
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert_int_eq(skep_hive_verify(hive, NULL), 0);
        ck_assert_int_eq(skep_hive_stat(hive, &left), 0);
        ck_assert_uint_eq(left.blocks, 0);
        skep_hive_detach(hive);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("pool_soak");
        TCase *soak = tcase_create("soak");
        tcase_set_timeout(soak, (double)setting("SKEP_SOAK_SECONDS", 3) + 170);
        tcase_add_test(soak, each_task_is_done_once_or_reported);
        suite_add_tcase(suite, soak);
        return suite_run(suite);
}
