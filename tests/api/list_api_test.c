/* SPDX-License-Identifier: Apache-2.0 */
/* list_api_test.c - the tests of src/list/, which use public functions only, through libskep.so. ctest: timeout=60 */
#include "../../src/list/list_test.c"
