/* SPDX-License-Identifier: Apache-2.0 */
/*
 * primes.c - count the primes below a limit by trial division, in one process and in several, four ways.
 *
 *      primes [LIMIT] [fork|spawn]
 */
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return r_; } } while (0)

enum { WORKERS = 4, PARTS = 64 };

struct range {
        uint64_t first, end;
};

static uint32_t start = SKEP_START_SPAWN;

static int is_prime(uint64_t number)
{
        if (number < 2 || number % 2 == 0)
                return number == 2;
        for (uint64_t divisor = 3; divisor * divisor <= number; divisor += 2)
                if (number % divisor == 0)
                        return 0;
        return 1;
}

static uint64_t count_range(const struct range *range)
{
        uint64_t count = 0;

        for (uint64_t number = range->first; number < range->end; number++)
                count += (uint64_t)is_prime(number);
        return count;
}

static struct range part_of(uint64_t limit, uint64_t part, uint64_t parts)
{
        return (struct range){ limit * part / parts, limit * (part + 1) / parts };
}

/* --- what the others run ------------------------------------------------------------------------------------------ */

static int count_to_queue(skep_hive *hive, const void *argument, size_t bytes)
{
        struct range range;
        skep_queue *results;
        uint64_t count;

        memcpy(&range, argument, bytes);
        TRY(skep_queue_open(hive, "results", &results));
        count = count_range(&range);
        TRY(skep_queue_put(results, &count, sizeof(count), skep_forever()));
        skep_queue_unref(results);
        return 0;
}

static int count_part(const struct skep_task *task)
{
        *(uint64_t *)task->result = count_range(task->item);
        return 0;
}

static int test_number(const struct skep_task *task)
{
        *(uint8_t *)task->result = (uint8_t)is_prime(task->index);
        return 0;
}

/* --- four ways ---------------------------------------------------------------------------------------------------- */

static int by_one_process(skep_hive *hive, uint64_t limit, uint64_t *ret_count)
{
        (void)hive;
        *ret_count = count_range(&(struct range){ 0, limit });
        return 0;
}

static int by_processes(skep_hive *hive, uint64_t limit, uint64_t *ret_count)
{
        skep_process *processes[WORKERS];
        skep_queue *results;
        uint64_t count;
        size_t bytes;

        *ret_count = 0;
        TRY(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "results"), &results));
        for (uint64_t i = 0; i < WORKERS; i++) {
                struct range range = part_of(limit, i, WORKERS);

                TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = start, .function = count_to_queue, .function_name = "count_to_queue",
                                                            .argument = &range, .argument_bytes = sizeof(range)), &processes[i]));
        }
        for (int i = 0; i < WORKERS; i++, *ret_count += count)
                TRY(skep_queue_get(results, &count, sizeof(count), &bytes, skep_forever()));
        for (int i = 0; i < WORKERS; i++) {
                TRY(skep_process_join(processes[i], skep_forever()));
                skep_process_unref(processes[i]);
        }
        skep_queue_unref(results);
        return 0;
}

/* There are many more parts than workers, since the later ones take longer. */
static int by_map(skep_hive *hive, uint64_t limit, uint64_t *ret_count)
{
        struct range parts[PARTS];
        skep_pool *pool;
        skep_future *future;
        const uint64_t *counts;

        for (uint64_t i = 0; i < PARTS; i++)
                parts[i] = part_of(limit, i, PARTS);
        TRY(skep_pool_create(hive, SKEP_POOL_OPTIONS(.workers = WORKERS, .start = start), &pool));
        TRY(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "count_part", .count = PARTS, .items = parts, .item_bytes = sizeof(parts[0]),
                                                 .result_bytes = sizeof(*counts), .chunk = 1), &future));
        *ret_count = 0;
        counts = skep_future_results(future);
        for (int i = 0; i < PARTS; i++)
                *ret_count += counts[i];
        skep_future_unref(future);
        skep_pool_unref(pool);
        return 0;
}

/* A task for each number; the pool deals them out in chunks. */
static int by_map_async(skep_hive *hive, uint64_t limit, uint64_t *ret_count)
{
        skep_pool *pool;
        skep_future *future;
        const uint8_t *primes;

        TRY(skep_pool_create(hive, SKEP_POOL_OPTIONS(.workers = WORKERS, .start = start), &pool));
        TRY(skep_pool_map_async(pool, SKEP_JOB_OPTIONS(.function = "test_number", .count = limit, .result_bytes = 1), &future));
        TRY(skep_pool_close(pool));
        TRY(skep_pool_join(pool, skep_forever()));
        *ret_count = 0;
        primes = skep_future_results(future);
        for (uint64_t number = 0; number < limit; number++)
                *ret_count += primes[number];
        skep_future_unref(future);
        skep_pool_unref(pool);
        return 0;
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                int (*count)(skep_hive *hive, uint64_t limit, uint64_t *ret_count);
        } ways[] = { { "one process", by_one_process }, { "processes and a queue", by_processes }, { "map", by_map }, { "map_async", by_map_async } };
        uint64_t limit = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000, count = 0;
        struct timespec before, after;
        skep_hive *hive;

        if (argc > 2 && !strcmp(argv[2], "fork"))
                start = SKEP_START_FORK;
        skep_process_register("count_to_queue", count_to_queue);
        skep_pool_register("count_part", count_part);
        skep_pool_register("test_number", test_number);
        skep_process_main();

        if (skep_hive_create(NULL, &hive) < 0)
                return 1;
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
                clock_gettime(CLOCK_MONOTONIC, &before);
                if (ways[i].count(hive, limit, &count) < 0)
                        return 1;
                clock_gettime(CLOCK_MONOTONIC, &after);
                printf("%s: %llu\n", ways[i].name, (unsigned long long)count);
                fprintf(stderr, "%s: %.3f s\n", ways[i].name, (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) * 1e-9);
        }
        skep_hive_detach(hive);
        return 0;
}
