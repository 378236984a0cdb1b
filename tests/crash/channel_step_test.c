/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_step_test.c - step_test.c over the world of channels: die after any instruction.
 * ctest: timeout=120
 */
#include "support/channel_world.h"

#include "step_test.c"
