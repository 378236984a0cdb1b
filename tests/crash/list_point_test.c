/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_point_test.c - point_test.c over the world of lists: die at any probe.
 * ctest: timeout=240
 */
#include "support/list_world.h"

#define WORLD_ONLY
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#include "point_test.c"

START_TEST(every_probe_of_this_world_was_passed)
{
        for (const char *const *probe = __start_probe_names; probe < __stop_probe_names; probe++)
                ck_assert_msg(!begins_with_one_of(*probe, (const char *const[]){"list.", "cell.", "item.", "store.", NULL}) || was_passed(*probe),
                              "no operation of tests/support/list_world.c passes the probe %s", *probe);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("list_point");
        TCase *points = points_of_the_world(suite), *reapers = tcase_create("reapers"), *all = tcase_create("all");
        int without_victim = 0; /* the others repair what an operation of these leaves */
        while (!operations[without_victim].victim)
                without_victim++;
        tcase_set_timeout(reapers, 200);
        tcase_add_loop_test(reapers, death_of_the_reaper_at_any_point_loses_nothing, 0, without_victim);
        tcase_add_test(all, every_probe_of_this_world_was_passed);
        suite_add_tcase(suite, reapers);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
