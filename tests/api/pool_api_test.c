/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_api_test.c - the tests of src/pool/ that use public functions only, through libskep.so.
 * ctest: timeout=120
 */
#include "../../src/pool/pool_test.c"
