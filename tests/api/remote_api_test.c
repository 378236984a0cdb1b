/* SPDX-License-Identifier: Apache-2.0 */
/* remote_api_test.c - the tests of src/manager/ that use public functions only, through libskep.so. */
#include "../../src/manager/remote_test.c"
