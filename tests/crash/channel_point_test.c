/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_point_test.c - point_test.c over the world of channels: die at any probe.
 * ctest: timeout=120
 */
#include "support/channel_world.h"

#define WORLD_ONLY
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#include "point_test.c"

int main(void)
{
        Suite *suite = suite_create("channel_point");
        TCase *points = points_of_the_world(suite);
        tcase_add_loop_test(points, death_of_the_reaper_at_any_point_loses_nothing, 0, operation_count);
        return suite_run(suite);
}
