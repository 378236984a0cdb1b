/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dict_step_test.c - step_test.c over the world of dicts: die after any instruction.
 * ctest: timeout=240
 */
#include "support/dict_world.h"

#include "step_test.c"
