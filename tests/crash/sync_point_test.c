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

int main(void)
{
        Suite *suite = suite_create("sync_point");
        (void)points_of_the_world(suite);
        return suite_run(suite);
}
