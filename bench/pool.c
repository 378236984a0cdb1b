/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c - work spread over two workers, beside one process and beside OpenMP's threads with schedule(dynamic).
 */
#include "bench.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#define ROUNDS 7
#define WORKERS 2
#define LIMIT 1000000
#define NO_OPS 1000000
#define TRIPS 200

static skep_hive *hive;
static skep_pool *pool;

/* --- primes ------------------------------------------------------------------------------------------------------- */

static int is_prime(uint64_t number)
{
        if (number < 2 || number % 2 == 0)
                return number == 2;
        for (uint64_t divisor = 3; divisor * divisor <= number; divisor += 2)
                if (number % divisor == 0)
                        return 0;
        return 1;
}

static int test_number(const struct skep_task *task)
{
        *(uint8_t *)task->result = (uint8_t)is_prime(task->index);
        return 0;
}

#define PARTS 2000 /* of a few microseconds at first, of a hundred at the end */

static uint64_t part_count(uint64_t part)
{
        uint64_t count = 0;

        for (uint64_t number = part * (LIMIT / PARTS); number < (part + 1) * (LIMIT / PARTS); number++)
                count += (uint64_t)is_prime(number);
        return count;
}

static int count_part(const struct skep_task *task)
{
        *(uint64_t *)task->result = part_count(task->index);
        return 0;
}

/* OpenMP's threads spin for some milliseconds after their work is done, and would take a core from whoever is measured next. */
static int64_t rested_now_ns(void)
{
        nanosleep(&(const struct timespec){.tv_nsec = 20000000}, NULL);
        return now_ns();
}

static double counted(int64_t start_ns, uint64_t count)
{
        return count == 78498 ? (double)(now_ns() - start_ns) / 1e6 : NAN;
}

static double skep_primes(void *context)
{
        int64_t start_ns = rested_now_ns();
        uint64_t count = 0;
        skep_future *future;
        const uint8_t *primes;
        double milliseconds;

        (void)context;
        MUST(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "test_number", .count = LIMIT, .result_bytes = 1), &future));
        primes = skep_future_results(future);
        for (uint64_t number = 0; number < LIMIT; number++)
                count += primes[number];
        milliseconds = counted(start_ns, count);
        skep_future_unref(future);
        return milliseconds;
}

static double skep_parts(void *context)
{
        int64_t start_ns = rested_now_ns();
        uint64_t count = 0;
        skep_future *future;
        const uint64_t *counts;
        double milliseconds;

        (void)context;
        MUST(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "count_part", .count = PARTS, .result_bytes = sizeof(count)), &future));
        counts = skep_future_results(future);
        for (int part = 0; part < PARTS; part++)
                count += counts[part];
        milliseconds = counted(start_ns, count);
        skep_future_unref(future);
        return milliseconds;
}

static double one_process_primes(void *context)
{
        int64_t start_ns = rested_now_ns();
        uint64_t count = 0;

        (void)context;
        for (uint64_t number = 0; number < LIMIT; number++)
                count += (uint64_t)is_prime(number);
        return counted(start_ns, count);
}

#ifdef _OPENMP
static double openmp_parts(void *context)
{
        int64_t start_ns = rested_now_ns();
        uint64_t count = 0;

        (void)context;
#pragma omp parallel for schedule(dynamic) num_threads(WORKERS) reduction(+ : count)
        for (uint64_t part = 0; part < PARTS; part++)
                count += part_count(part);
        return counted(start_ns, count);
}

static double openmp_primes(void *context)
{
        int64_t start_ns = rested_now_ns();
        uint64_t count = 0;

        (void)context;
#pragma omp parallel for schedule(dynamic) num_threads(WORKERS) reduction(+ : count)
        for (uint64_t number = 0; number < LIMIT; number++)
                count += (uint64_t)is_prime(number);
        return counted(start_ns, count);
}
#endif

/* --- tasks that do nothing ------------------------------------------------------------------------------------------ */

static int no_op(const struct skep_task *task)
{
        (void)task;
        return 0;
}

static double skep_no_ops(void *context)
{
        int64_t start_ns = now_ns();
        skep_future *future;

        (void)context;
        MUST(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "no_op", .count = NO_OPS, .chunk = 1), &future));
        skep_future_unref(future);
        return (double)NO_OPS / (double)(now_ns() - start_ns) * 1e3;
}

#ifdef _OPENMP
static int (*volatile nothing)(const struct skep_task *task) = no_op;

static double openmp_no_ops(void *context)
{
        int64_t start_ns = now_ns();

        (void)context;
#pragma omp parallel for schedule(dynamic) num_threads(WORKERS)
        for (int i = 0; i < NO_OPS; i++)
                (void)nothing(NULL);
        return (double)NO_OPS / (double)(now_ns() - start_ns) * 1e3;
}
#endif

/* --- one task, there and back ------------------------------------------------------------------------------------------ */

static double skep_trips(void *pause)
{
        int64_t total_ns = 0;

        for (int i = 0; i < TRIPS; i++) {
                skep_future *future;
                int64_t start_ns;

                if (pause)
                        (void)usleep(1000); /* both sides sleep by then */
                start_ns = now_ns();
                MUST(skep_pool_submit(pool, "no_op", NULL, 0, 0, &future));
                MUST(skep_future_wait(future, skep_forever()));
                total_ns += now_ns() - start_ns;
                skep_future_unref(future);
        }
        return (double)total_ns / TRIPS / 1e3;
}

struct echo {
        int there[2], back[2];
        bool pause;
};

static void echo_run(void *context)
{
        struct echo *echo = context;
        char byte;

        while (read(echo->there[0], &byte, 1) == 1 && write(echo->back[1], &byte, 1) == 1)
                ;
        _exit(0);
}

static double pipe_trips(void *pause)
{
        struct echo echo;
        int64_t total_ns = 0;
        char byte = 0;
        pid_t child;

        must(pipe(echo.there) | pipe(echo.back), "pipe");
        child = fork();
        if (!child) {
                (void)close(echo.there[1]);
                echo_run(&echo);
        }
        for (int i = 0; i < TRIPS; i++) {
                int64_t start_ns;

                if (pause)
                        (void)usleep(1000);
                start_ns = now_ns();
                must(write(echo.there[1], &byte, 1) == 1 && read(echo.back[0], &byte, 1) == 1 ? 0 : -EIO, "pipe");
                total_ns += now_ns() - start_ns;
        }
        for (int i = 0; i < 2; i++) {
                (void)close(echo.there[i]);
                (void)close(echo.back[i]);
        }
        (void)waitpid(child, NULL, 0);
        return (double)total_ns / TRIPS / 1e3;
}

/* --- begin and end ------------------------------------------------------------------------------------------------------ */

static double skep_start(void *context)
{
        int64_t start_ns = now_ns();
        skep_pool *own;
        skep_future *future;

        (void)context;
        MUST(skep_pool_create(hive, SKEP_POOL_OPTIONS(.workers = WORKERS), &own));
        MUST(skep_pool_map(own, SKEP_JOB_OPTIONS(.function = "no_op", .count = WORKERS, .chunk = 1), &future));
        skep_future_unref(future);
        MUST(skep_pool_close(own));
        MUST(skep_pool_join(own, skep_forever()));
        skep_pool_unref(own);
        return (double)(now_ns() - start_ns) / 1e6;
}

static double bare_start(void *context)
{
        int64_t start_ns = now_ns();
        pid_t children[WORKERS];

        (void)context;
        for (int i = 0; i < WORKERS; i++) {
                children[i] = fork();
                if (!children[i])
                        _exit(0);
        }
        for (int i = 0; i < WORKERS; i++)
                (void)waitpid(children[i], NULL, 0);
        return (double)(now_ns() - start_ns) / 1e6;
}

int main(void)
{
        static char yes;

        (void)alarm(100);
        MUST(skep_pool_register("test_number", test_number));
        MUST(skep_pool_register("count_part", count_part));
        MUST(skep_pool_register("no_op", no_op));
        MUST(skep_hive_create(NULL, &hive));
        MUST(skep_pool_create(hive, SKEP_POOL_OPTIONS(.workers = WORKERS, .flags = SKEP_POOL_PIN), &pool));
        COMPETE("pool primes", "to 1 000 000, 2000 tasks, workers with SKEP_POOL_PIN", "ms", ROUNDS,
                { "skep", skep_parts, NULL }, { "one process", one_process_primes, NULL },
#ifdef _OPENMP
                { "OpenMP dynamic", openmp_parts, NULL },
#endif
        );
        COMPETE("pool primes", "to 1 000 000, a task each, workers with SKEP_POOL_PIN", "ms", ROUNDS,
                { "skep", skep_primes, NULL }, { "one process", one_process_primes, NULL },
#ifdef _OPENMP
                { "OpenMP dynamic", openmp_primes, NULL },
#endif
        );
        skep_pool_unref(pool);
        MUST(skep_pool_create(hive, SKEP_POOL_OPTIONS(.workers = WORKERS), &pool));
        COMPETE("pool no-op tasks", "one a chunk", "M/s", ROUNDS, { "skep", skep_no_ops, NULL },
#ifdef _OPENMP
                { "OpenMP dynamic", openmp_no_ops, NULL },
#endif
        );
        COMPETE("pool submit and result", "one after the other", "us", ROUNDS, { "skep", skep_trips, NULL }, { "pipes", pipe_trips, NULL });
        COMPETE("pool submit and result", "idle pool", "us", ROUNDS, { "skep", skep_trips, &yes }, { "pipes", pipe_trips, &yes });
        COMPETE("pool start, a task each, end", "fork", "ms", ROUNDS, { "skep", skep_start, NULL }, { "plain fork and wait", bare_start, NULL });
        skep_pool_unref(pool);
        skep_hive_detach(hive);
        return 0;
}
