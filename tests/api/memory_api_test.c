/* SPDX-License-Identifier: Apache-2.0 */
/* memory_api_test.c - the tests of src/memory/, which use public functions only, through libskep.so. */
#include "../../src/memory/memory_test.c"
