/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board_step_test.c - step_test.c over the world of a pool's board: a worker dies after any instruction of taking a task.
 * ctest: timeout=120
 */
#include "support/board_world.h"

#include "step_test.c"
