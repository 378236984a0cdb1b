/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_step_test.c - step_test.c over the world of a job: die after any instruction.
 * ctest: timeout=120
 */
#include "support/pool_world.h"

#include "step_test.c"
