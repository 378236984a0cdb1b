/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.c - `skep verify NAME`: is the hive sound?
 *
 * Changes nothing.  While other members are at work a structure may be seen between two steps; then a problem is
 * reported that is none, and the advice is to look again.
 */
#include "cli.h"

#include <stdio.h>

static enum cli_exit print_json(const char *name, const struct skep_verify_report *report, int result)
{
        json_t *value = json_pack("{s:s, s:b, s:I, s:I, s:s}", "name", name, "sound", !result, "checked", (json_int_t)report->checked, "problems",
                                  (json_int_t)report->problems, "first", report->first);
        enum cli_exit code = cli_print_json(value);

        return result ? CLI_PROBLEM : code;
}

static enum cli_exit print_text(const char *name, const struct skep_verify_report *report, int result)
{
        printf("%s: %llu structures checked, %llu problems\n", name, (unsigned long long)report->checked, (unsigned long long)report->problems);
        if (!result)
                return CLI_OK;
        printf("the first: %s\n", report->first);
        printf("If members are at work, this may be a moment between two steps: run it again, after `skep reap %s`.\n"
               "If it stays, stop the members and remove the hive with `skep rm %s`.\n",
               name, name);
        return CLI_PROBLEM;
}

enum cli_exit cli_verify(const struct cli_arguments *arguments)
{
        struct skep_verify_report report = { 0 };
        skep_hive *hive;
        enum cli_exit code = cli_open(arguments->name, &hive);
        int r;

        if (code)
                return code;
        r = skep_hive_verify(hive, &report);
        skep_hive_detach(hive);
        return arguments->json ? print_json(arguments->name, &report, r) : print_text(arguments->name, &report, r);
}
