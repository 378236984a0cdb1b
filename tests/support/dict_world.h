/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dict_world.h - a world of dicts for the engines of point_test.c and step_test.c, in the place of world.h's.
 *
 * Before each operation the dict "d" holds WORLD_KEYS keys, short and long, with values of every kind; "w" is one short of a
 * longer table, "s" one too many for a shorter one.  An operation says what each of them holds when it is done; what is found after
 * a death is that, or what was before, as a whole, or for an operation of several calls what is between two of them.
 */
#ifndef TESTS_DICT_WORLD_H
#define TESTS_DICT_WORLD_H

#define operations dict_operations
#define operation_count dict_operation_count
#define world_make dict_world_make
#define world_check dict_world_check
#define world_leave dict_world_leave
#include "support/world.h"

#endif
