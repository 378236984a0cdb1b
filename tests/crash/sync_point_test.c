/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_point_test.c - point_test.c over the world of locks, conditions, barriers ...: die at any probe, with waiters that
 * go on.  That world has a victim, so its operation "reap" is the reaper that dies.
 * ctest: timeout=120
 */
#include "support/sync_world.h"

#define main point_test_main
#include "point_test.c"
#undef main

int main(void)
{
        Suite *suite = suite_create("sync_point");
        TCase *points = tcase_create("points");
        tcase_set_timeout(points, 60);
        tcase_add_loop_test(points, death_at_any_point_loses_nothing, 0, operation_count);
        suite_add_tcase(suite, points);
        SRunner *runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        int failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
