/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_step_test.c - step_test.c over the world of locks, conditions, barriers ...: die after any instruction.
 * ctest: timeout=120
 */
#include "support/sync_world.h"

#include "step_test.c"
