/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_world.h - a world of channels for the engines of point_test.c and step_test.c, in the place of world.h's.
 *
 * Channel "a": at its second end, which the name holds, wait 1 (small), 2 (carries the first end of "b") and 3 (long).
 * An operation takes from there and sends values from 100 on.  Whatever dies where: what is left is the rest of 1..3, then the
 * first of 100.., then end of file; and then end of file at "b".
 */
#ifndef TESTS_CHANNEL_WORLD_H
#define TESTS_CHANNEL_WORLD_H

#define operations channel_operations
#define operation_count channel_operation_count
#define world_make channel_world_make
#define world_check channel_world_check
#define world_leave channel_world_leave
#include "support/world.h"

#endif
