/* SPDX-License-Identifier: Apache-2.0 */
/* suite.c - see suite.h. */
#include "support/suite.h"

#include <stdlib.h>

int suite_run(Suite *suite)
{
        SRunner *runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV); /* CK_VERBOSITY; "normal" if it says nothing */
        int failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
