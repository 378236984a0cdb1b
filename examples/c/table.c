/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.c - a large table is summed by the workers of a pool: once born in shared memory, once copied as each task's argument.
 *
 *      table [ROWS] [fork|spawn]
 *
 * A row is a timestamp, a number of which every second is NaN, and a text; it takes 32 bytes. Wall time and memory in use at the
 * end go to stderr: of the hive, of this process alone, of the worker that had most for itself.
 */
#include <math.h>
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return r_; } } while (0)

enum { WORKERS = 2 };

struct row {
        int64_t milliseconds;
        double value;
        char text[16];
};

struct result {
        double sum;
        uint64_t own_kib;
};

/* Memory that this process has for itself alone. */
static uint64_t own_kib(void)
{
        FILE *file = fopen("/proc/self/smaps_rollup", "r");
        char line[128];
        unsigned long long kib, sum = 0;

        while (file && fgets(line, sizeof(line), file))
                if (!strncmp(line, "Private", 7) && sscanf(strchr(line, ':') + 1, "%llu", &kib) == 1)
                        sum += kib;
        if (file)
                fclose(file);
        return sum;
}

static void sum_rows(const struct row *rows, uint64_t count, struct result *result)
{
        result->sum = 0;
        for (uint64_t i = 0; i < count; i++)
                if (!isnan(rows[i].value))
                        result->sum += rows[i].value;
        result->own_kib = own_kib();
}

/* The item says which block, and how many rows. */
struct table {
        skep_block block;
        uint64_t count;
};

static int sum_shared(const struct skep_task *task)
{
        const struct table *table = task->item;
        int result = skep_block_ref(task->hive, table->block);

        if (result < 0)
                return skep_task_fail(task, result, "the table is gone");
        sum_rows(skep_block_address(task->hive, table->block, NULL), table->count, task->result);
        return skep_block_unref(task->hive, table->block);
}

/* The item is the table. */
static int sum_copied(const struct skep_task *task)
{
        sum_rows(task->item, task->item_bytes / sizeof(struct row), task->result);
        return 0;
}

static void fill(struct row *rows, uint64_t count)
{
        for (uint64_t i = 0; i < count; i++)
                rows[i] = (struct row){ 1767225600000 + (int64_t)i, i % 2 ? NAN : (double)i, "some text" };
}

static int tell(const char *name, skep_hive *hive, skep_pool *pool, const struct skep_job_options *options, double expected)
{
        struct timespec before, after;
        const struct result *results;
        struct skep_hive_stat stat;
        skep_future *future;
        uint64_t own = 0;
        int equal = 1;

        clock_gettime(CLOCK_MONOTONIC, &before);
        TRY(skep_pool_map(pool, options, &future));
        clock_gettime(CLOCK_MONOTONIC, &after);
        results = skep_future_results(future);
        for (int i = 0; i < WORKERS; i++) {
                equal &= results[i].sum == expected;
                own = results[i].own_kib > own ? results[i].own_kib : own;
        }
        printf("%s: sums equal: %s\n", name, equal ? "true" : "false");
        TRY(skep_hive_stat(hive, &stat));
        fprintf(stderr, "%s: %.3f s; %llu MiB in the hive, %llu MiB here, %llu MiB in a worker\n", name,
                (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) * 1e-9, (unsigned long long)stat.used_bytes >> 20,
                (unsigned long long)own_kib() >> 10, (unsigned long long)own >> 10);
        skep_future_unref(future);
        return equal ? 0 : -1;
}

static int share(skep_hive *hive, skep_pool *pool, uint64_t count, double expected)
{
        struct table tables[WORKERS] = { { .count = count } };
        int result;

        TRY(skep_block_alloc(hive, count * sizeof(struct row), 0, &tables[0].block));
        fill(skep_block_address(hive, tables[0].block, NULL), count);
        for (int i = 1; i < WORKERS; i++)
                tables[i] = tables[0];
        result = tell("born in shared memory", hive, pool,
                      SKEP_JOB_OPTIONS(.function = "sum_shared", .count = WORKERS, .items = tables, .item_bytes = sizeof(tables[0]), .chunk = 1,
                                       .result_bytes = sizeof(struct result), .references = &tables[0].block, .reference_count = 1), expected);
        skep_block_unref(hive, tables[0].block);
        return result;
}

static int copy(skep_hive *hive, skep_pool *pool, uint64_t count, double expected)
{
        struct row *rows = malloc(WORKERS * count * sizeof(*rows)); /* a copy for each task, as arguments are */
        int result = -1;

        for (int i = 0; rows && i < WORKERS; i++)
                fill(rows + (uint64_t)i * count, count);
        if (rows)
                result = tell("as argument", hive, pool,
                              SKEP_JOB_OPTIONS(.function = "sum_copied", .count = WORKERS, .items = rows, .item_bytes = count * sizeof(*rows), .chunk = 1,
                                               .result_bytes = sizeof(struct result)), expected);
        free(rows);
        return result;
}

int main(int argc, char **argv)
{
        uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 10000000;
        uint32_t start = argc > 2 && !strcmp(argv[2], "fork") ? SKEP_START_FORK : SKEP_START_SPAWN;
        double expected = 0;
        skep_hive *hive;
        skep_pool *pool;
        int failed;

        skep_pool_register("sum_shared", sum_shared);
        skep_pool_register("sum_copied", sum_copied);
        skep_process_main();

        if (!count || skep_hive_create(NULL, &hive) < 0 || skep_pool_create(hive, SKEP_POOL_OPTIONS(.workers = WORKERS, .start = start), &pool) < 0)
                return 1;
        for (uint64_t i = 0; i < count; i += 2)
                expected += (double)i;
        failed = share(hive, pool, count, expected) || copy(hive, pool, count, expected);
        skep_pool_unref(pool);
        skep_hive_detach(hive);
        return failed;
}
