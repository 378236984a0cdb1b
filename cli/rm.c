/* SPDX-License-Identifier: Apache-2.0 */
/* rm.c - `skep rm NAME`: remove the name of a hive. Living members go on; the memory goes with the last of them. */
#include "cli.h"

enum cli_exit cli_rm(const struct cli_arguments *arguments)
{
        int r = skep_hive_unlink(arguments->name);

        return r ? cli_complain(arguments->name, r) : CLI_OK;
}
