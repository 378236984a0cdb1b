/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_world.h - a world of one job for the engines of point_test.c and step_test.c, in the place of world.h's.
 *
 * Job "job" has six tasks in three chunks; each run of a task adds 1 to its result.  A pool's block has one place for a worker and
 * one ticket of the job.  An operation is what a worker, a canceller or a keeper does.  Whatever dies where: when the survivors
 * have settled what the dead had and done the rest, each task was run once, or reported, or cancelled without having been run.
 */
#ifndef TESTS_POOL_WORLD_H
#define TESTS_POOL_WORLD_H

#define operations pool_operations
#define operation_count pool_operation_count
#define world_make pool_world_make
#define world_check pool_world_check
#define world_leave pool_world_leave
#include "support/world.h"

#endif
