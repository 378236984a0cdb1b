/* SPDX-License-Identifier: Apache-2.0 */
/* connection_api_test.c - the tests of src/net/, which use public functions only, through libskep.so. */
#include "../../src/net/connection_test.c"
