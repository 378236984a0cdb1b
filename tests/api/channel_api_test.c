/* SPDX-License-Identifier: Apache-2.0 */
/* channel_api_test.c - the tests of src/channel/, which use public functions only, through libskep.so. */
#include "../../src/channel/channel_test.c"
