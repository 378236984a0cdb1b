/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_point_test.c - point_test.c over the world of locks, conditions, barriers ...: die at any probe, with waiters that
 * go on.  That world has a victim, so its operation "reap" is the reaper that dies.
 * ctest: timeout=120
 */
#include "support/sync_world.h"

#define WORLD_ONLY
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#include "point_test.c"

START_TEST(every_probe_of_this_world_was_passed)
{
        for (const char *const *probe = __start_probe_names; probe < __stop_probe_names; probe++)
                ck_assert_msg(!is_of_sync(*probe) || was_passed(*probe),
                              "no operation of tests/support/sync_world.c passes the probe %s", *probe);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("sync_point");
        TCase *all = tcase_create("all");
        (void)points_of_the_world(suite);
        tcase_add_test(all, every_probe_of_this_world_was_passed);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
