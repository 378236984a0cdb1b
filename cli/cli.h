/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - what the verbs of the command `skep` share.
 *
 * A verb is a function in a file of its own and a row in the table of main.c.  It gets its parsed arguments and gives
 * the exit code.  Only the public headers are used: whatever `skep` can do, another program can do too.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <jansson.h>
#include <skep/skep.h>
#include <stdbool.h>

enum cli_exit { CLI_OK = 0, CLI_PROBLEM = 1, CLI_USAGE = 2 };

struct cli_arguments {
        const char *name; /* of a hive; NULL: none given */
        bool json;
        bool left; /* `reap`: also what was left to hives */
};

enum cli_exit cli_ls(const struct cli_arguments *arguments);
enum cli_exit cli_verify(const struct cli_arguments *arguments);
enum cli_exit cli_reap(const struct cli_arguments *arguments);
enum cli_exit cli_rm(const struct cli_arguments *arguments);

/* Say on stderr what failed with this hive and what to do about it. @return the exit code */
enum cli_exit cli_complain(const char *name, int result);

/* Join a hive by name, or complain. */
enum cli_exit cli_open(const char *name, skep_hive **ret_hive);

/* Print a JSON value and free it; NULL (no memory) is complained about. */
enum cli_exit cli_print_json(json_t *value_take);

/* "48.0 MiB" @return @p text */
#define CLI_SIZE_TEXT 24
const char *cli_size(uint64_t bytes, char text[CLI_SIZE_TEXT]);

#endif
