/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_world.h - a world of lists for the engines of point_test.c and step_test.c, in the place of world.h's.
 *
 * Before each operation the list "l" holds items of every kind, and "full" one item for each cell of its table.  An operation says
 * what each of them holds when it is done; what is found after a death is that, or what was before, as a whole, or for an operation of
 * several calls what is between two of them.
 */
#ifndef TESTS_LIST_WORLD_H
#define TESTS_LIST_WORLD_H

#define operations list_operations
#define operation_count list_operation_count
#define world_make list_world_make
#define world_check list_world_check
#define world_leave list_world_leave
#include "support/world.h"

#endif
