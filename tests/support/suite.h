/* SPDX-License-Identifier: Apache-2.0 */
/* suite.h - the end of every Check program's main(). */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <check.h>

/* Run and free the suite. @return main()'s exit code */
int suite_run(Suite *suite);

#endif
