/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_point_test.c - point_test.c over the world of a job: die at any probe.
 * ctest: timeout=120
 */
#include "support/pool_world.h"

#define WORLD_ONLY
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#include "point_test.c"

START_TEST(every_probe_of_the_pool_was_passed)
{
        for (const char *const *probe = __start_probe_names; probe < __stop_probe_names; probe++)
                ck_assert_msg(!begins_with_one_of(*probe, (const char *const[]){"job.", "pool.", NULL}) || was_passed(*probe), "nobody passes %s", *probe);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("pool_point");
        TCase *points = points_of_the_world(suite), *all = tcase_create("all");
        tcase_add_loop_test(points, death_of_the_reaper_at_any_point_loses_nothing, 0, operation_count);
        tcase_add_test(all, every_probe_of_the_pool_was_passed);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
