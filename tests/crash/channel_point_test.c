/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_point_test.c - point_test.c over the world of channels: die at any probe.
 * ctest: timeout=120
 */
#include "support/channel_world.h"

#include "point_test.c"
