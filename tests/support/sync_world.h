/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_world.h - a world of locks, conditions, barriers and so on for the engines of point_test.c and step_test.c, in the
 * place of world.h's.
 *
 * The maker holds "held", "units held", "written" and "reading".  Four helpers sleep and are stopped, so that the hive is
 * still: one waits at the condition "c", one at the barrier "two", one at the barrier "pair", one for the event "e".  A victim
 * died and has not been reaped: notified of "c", in the middle of the once "begun", a party of "two", and holding "lock of the
 * dead" and its like.  Whatever dies where, afterwards the helpers, woken, must come to their ends, the victim's notification
 * and its barrier included, and everything can be taken, with or without the news, and nothing leaks.
 */
#ifndef TESTS_SYNC_WORLD_H
#define TESTS_SYNC_WORLD_H

#define operations sync_operations
#define operation_count sync_operation_count
#define world_make sync_world_make
#define world_check sync_world_check
#define world_leave sync_world_leave
#include "support/world.h"

#endif
