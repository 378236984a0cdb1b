/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reap.c - `skep reap NAME`: give back now what dead members held; `skep reap`: remove the names of shared memory that nobody uses.
 * Nothing of the living is touched.
 */
#include "cli.h"

#include <stdio.h>

static enum cli_exit print_json(const char *name, const struct skep_reap_report *report)
{
        return cli_print_json(json_pack("{s:s, s:i, s:i, s:I, s:I}", "name", name, "members", (int)report->members, "agents", (int)report->agents,
                                        "slots", (json_int_t)report->slots, "blocks", (json_int_t)report->blocks));
}

static enum cli_exit sweep(const struct cli_arguments *arguments)
{
        uint32_t count;
        int r = skep_shared_memory_sweep(arguments->left ? SKEP_SWEEP_LEFT : 0, &count);

        if (r)
                return cli_complain("/dev/shm", r);
        if (arguments->json)
                return cli_print_json(json_pack("{s:i}", "shared_memory_names", (int)count));
        printf("%u names of shared memory removed that nobody used\n", count);
        return CLI_OK;
}

enum cli_exit cli_reap(const struct cli_arguments *arguments)
{
        struct skep_reap_report report = { 0 };
        skep_hive *hive;
        enum cli_exit code;
        int r;

        if (!arguments->name)
                return sweep(arguments);
        code = cli_open(arguments->name, &hive);
        if (code)
                return code;
        r = skep_hive_reap(hive, &report);
        skep_hive_detach(hive);
        if (r)
                return cli_complain(arguments->name, r);
        if (arguments->json)
                return print_json(arguments->name, &report);
        printf("%s: %u dead members recovered, with %u threads at work, %llu queue slots, %llu blocks\n", arguments->name, report.members,
               report.agents, (unsigned long long)report.slots, (unsigned long long)report.blocks);
        return CLI_OK;
}
