/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board_world.h - a world of one pool's board (python/ext/board.h) for the engines of point_test.c and step_test.c, in the place of
 * world.h's.
 *
 * The queue "t" holds the tasks 1, 2 and 3; results go into "r"; the board "b" has a place for a worker, who dies, and one for a
 * survivor.  Whatever dies where, afterwards each task has a result, or is what the dead one's word names, or waits in "t": one of the
 * three.  Only for TAKING|task the queue may have it or not; once it is revoked the survivor must not be given it.
 */
#ifndef TESTS_BOARD_WORLD_H
#define TESTS_BOARD_WORLD_H

#define operations board_operations
#define operation_count board_operation_count
#define world_make board_world_make
#define world_check board_world_check
#define world_leave board_world_leave
#include "support/world.h"

#endif
