/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_step_test.c - step_test.c over the world of lists: die after any instruction.
 * ctest: timeout=240
 */
#include "support/list_world.h"

#include "step_test.c"
