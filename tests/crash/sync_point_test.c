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

/* What users wait for; values have their own tests, as they have nothing to recover. */
START_TEST(every_probe_of_this_world_was_passed)
{
        for (const char *const *probe = __start_probe_names; probe < __stop_probe_names; probe++)
                ck_assert_msg(!is_of_another_world(*probe) || !strncmp(*probe, "value.", 6) || was_passed(*probe),
                              "no operation of tests/support/sync_world.c passes the probe %s", *probe);
}
END_TEST

int main(void)
{
        passed = mmap(NULL, PROBES_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (passed == MAP_FAILED || __stop_probe_names - __start_probe_names > PROBES_MAX)
                return EXIT_FAILURE;
        Suite *suite = suite_create("sync_point");
        TCase *points = tcase_create("points"), *all = tcase_create("all");
        tcase_set_timeout(points, 60);
        tcase_add_loop_test(points, death_at_any_point_loses_nothing, 0, operation_count);
        tcase_add_test(all, every_probe_of_this_world_was_passed);
        suite_add_tcase(suite, points);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
