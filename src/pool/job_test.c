/* SPDX-License-Identifier: Apache-2.0 */
/* job_test.c - how a job is cut, claimed and left; damaged jobs. */
#include "pool/job.h"
#include "support/people.h"

static skep_hive *hive;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 64u << 20), &hive), 0);
}

static void teardown(void)
{
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_verify(hive, NULL), 0);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_eq(stat.blocks, 0);
        hive = skep_hive_detach(hive);
}

START_TEST(guided_chunks_cover_each_task_once_and_shrink)
{
        for (uint32_t parties = 1; parties < 40; parties += 3)
                for (uint64_t count = 1; count < 100000; count = count * 3 / 2 + 1) {
                        struct job job;
                        uint64_t next = 0, before = UINT64_MAX;
                        ck_assert_int_eq(job_create(hive, SKEP_JOB_OPTIONS(.function = "square", .count = count), parties, &job), 0);
                        for (uint64_t chunk = 0; chunk < job.chunks; chunk++) {
                                uint64_t first, tasks;
                                job_bounds(&job, chunk, &first, &tasks);
                                ck_assert_uint_eq(first, next);
                                ck_assert(tasks && tasks <= before);
                                before = tasks;
                                next += tasks;
                        }
                        ck_assert_uint_eq(next, count);
                        ck_assert_uint_eq(before, 1);
                        object_unref(job.object);
                }
}
END_TEST

int main(void)
{
        return RUN_TESTS("job", setup, teardown, guided_chunks_cover_each_task_once_and_shrink);
}
