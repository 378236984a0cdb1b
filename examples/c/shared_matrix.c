/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared_matrix.c - a matrix in shared memory: each task of a pool writes the process number of its worker into one row.
 *
 *      shared_matrix [ROWS] [fork|spawn]
 */
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return r_; } } while (0)

enum { COLUMNS = 10, WORKERS = 4 };

static skep_value *matrix; /* each process's handle */

/* The initializer of each worker. */
static int see(skep_hive *hive, const void *argument, size_t bytes)
{
        (void)argument, (void)bytes;
        return skep_value_open(hive, "matrix", &matrix) < 0;
}

static int fill(const struct skep_task *task)
{
        double *row = (double *)skep_value_data(matrix) + task->index * COLUMNS;

        for (int i = 0; i < COLUMNS; i++)
                row[i] = (double)getpid();
        return 0;
}

static int is_whole(const double *row, const int64_t *workers)
{
        int known = 0;

        for (int i = 0; i < WORKERS; i++)
                known |= (int64_t)row[0] == workers[i];
        for (int i = 1; i < COLUMNS; i++)
                known &= row[i] == row[0];
        return known;
}

static int run(skep_hive *hive, uint64_t rows, uint32_t start)
{
        int64_t workers[WORKERS];
        skep_pool *pool;
        skep_future *future;
        skep_value *shared;
        int whole = 1;

        TRY(skep_value_create(hive, SKEP_VALUE_OPTIONS(.name = "matrix", .element = SKEP_ELEMENT_F64, .count = rows * COLUMNS), &shared));
        TRY(skep_pool_create(hive, SKEP_POOL_OPTIONS(.workers = WORKERS, .start = start, .initializer = "see"), &pool));
        TRY(skep_pool_map(pool, SKEP_JOB_OPTIONS(.function = "fill", .count = rows), &future));
        for (uint32_t i = 0; i < WORKERS; i++) {
                struct skep_worker_stat stat;

                TRY(skep_pool_worker(pool, i, &stat));
                workers[i] = stat.pid;
        }
        for (uint64_t i = 0; i < rows; i++)
                whole &= is_whole((double *)skep_value_data(shared) + i * COLUMNS, workers);
        printf("%llu rows, each by one worker: %s\n", (unsigned long long)rows, whole ? "true" : "false");
        skep_future_unref(future);
        skep_pool_unref(pool);
        skep_value_unref(shared);
        return whole ? 0 : -1;
}

int main(int argc, char **argv)
{
        uint64_t rows = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
        uint32_t start = argc > 2 && !strcmp(argv[2], "fork") ? SKEP_START_FORK : SKEP_START_SPAWN;
        skep_hive *hive;
        int result;

        skep_process_register("see", see);
        skep_pool_register("fill", fill);
        skep_process_main();

        if (skep_hive_create(NULL, &hive) < 0)
                return 1;
        result = run(hive, rows, start);
        skep_hive_detach(hive);
        return result != 0;
}
