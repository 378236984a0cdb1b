/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ls.c - `skep ls`: the named hives, without joining them; `skep ls NAME`: one of them, by joining it for a moment.
 *
 * The list removes on its way what hives leave behind whose members all died.  Figures are of the moment: members come
 * and go meanwhile.
 */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *state_of(const struct skep_hive_entry *entry)
{
        if (entry->state)
                return skep_strerror(entry->state);
        if (entry->flags & SKEP_HIVE_PERSISTENT)
                return entry->members ? "persistent" : "persistent, no members";
        return "in use";
}

struct table {
        size_t count;
        json_t *json; /* NULL: print a table */
};

static int row_json(const struct skep_hive_entry *entry, json_t *rows)
{
        return json_array_append_new(rows, json_pack("{s:s, s:i, s:I, s:I, s:b, s:s}", "name", entry->name, "members", (int)entry->members,
                                                     "memory_bytes", (json_int_t)entry->file_bytes, "capacity_bytes",
                                                     (json_int_t)entry->capacity_bytes, "persistent", !!(entry->flags & SKEP_HIVE_PERSISTENT),
                                                     "state", entry->state ? skep_error_name(entry->state) : "ok"));
}

static int row(const struct skep_hive_entry *entry, void *context)
{
        struct table *table = context;
        char memory[CLI_SIZE_TEXT], capacity[CLI_SIZE_TEXT];

        if (table->json)
                return row_json(entry, table->json) ? -ENOMEM : 0;
        if (!table->count++)
                printf("%-24s %7s %12s %12s  %s\n", "NAME", "MEMBERS", "MEMORY", "CAPACITY", "STATE");
        printf("%-24s %7u %12s %12s  %s\n", entry->name, entry->members, cli_size(entry->file_bytes, memory),
               entry->capacity_bytes ? cli_size(entry->capacity_bytes, capacity) : "-", state_of(entry));
        return 0;
}

static enum cli_exit list_hives(bool json)
{
        struct table table = { .json = json ? json_array() : NULL };
        int r = skep_hive_list(row, &table);

        if (r) {
                json_decref(table.json);
                fprintf(stderr, "skep: /dev/shm: %s\n", skep_strerror(r));
                return CLI_PROBLEM;
        }
        if (json)
                return cli_print_json(table.json);
        if (!table.count)
                printf("no named hives\n");
        return CLI_OK;
}

/* --- one hive ----------------------------------------------------------------------------------------------------- */

static const char *condition_of(const struct skep_object_info *info)
{
        if (info->flags & SKEP_OBJECT_BROKEN)
                return "broken";
        return info->flags & SKEP_OBJECT_OWNER_DIED ? "owner died" : "";
}

static int object_json(const struct skep_object_info *info, void *objects)
{
        json_t *name = *info->name ? json_string(info->name) : json_null();

        return json_array_append_new(objects, json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:i, s:b, s:b}", "name", name, "kind", info->kind, "bytes",
                                                        (json_int_t)info->bytes, "value", (json_int_t)info->value, "owner_pid",
                                                        (json_int_t)info->owner_pid, "owner_thread", (json_int_t)info->owner_thread, "held_ns",
                                                        (json_int_t)info->held_ns, "waiters", (int)info->waiters, "owner_died",
                                                        !!(info->flags & SKEP_OBJECT_OWNER_DIED), "broken", !!(info->flags & SKEP_OBJECT_BROKEN)))
                       ? -ENOMEM
                       : 0;
}

/* "1.2 s", or nothing when it is unknown. @return @p text */
static const char *held_text(int64_t held_ns, char text[CLI_SIZE_TEXT])
{
        *text = 0;
        if (held_ns > 0)
                (void)snprintf(text, CLI_SIZE_TEXT, "%.1f s", (double)held_ns / 1e9);
        return text;
}

static int object_line(const struct skep_object_info *info, void *count)
{
        char owner[CLI_SIZE_TEXT] = "", held[CLI_SIZE_TEXT];

        if (!(*(size_t *)count)++)
                printf("\n%-32s %-10s %10s %10s %9s %8s  %s\n", "OBJECT", "KIND", "VALUE", "HOLDER", "HELD", "WAITERS", "STATE");
        if (info->owner_pid)
                (void)snprintf(owner, sizeof owner, "%lld", (long long)info->owner_pid);
        printf("%-32s %-10s %10llu %10s %9s %8u  %s\n", *info->name ? info->name : "-", info->kind, (unsigned long long)info->value, owner,
               held_text(info->held_ns, held), info->waiters, condition_of(info));
        return 0;
}

static json_t *stat_json(const char *name, const struct skep_hive_stat *stat, json_t *objects_take)
{
        return json_pack("{s:s, s:I, s:I, s:I, s:I, s:i, s:i, s:i, s:i, s:i, s:o}", "name", name, "capacity_bytes", (json_int_t)stat->capacity_bytes,
                         "committed_bytes", (json_int_t)stat->committed_bytes, "used_bytes", (json_int_t)stat->used_bytes, "blocks",
                         (json_int_t)stat->blocks, "members", (int)stat->members, "member_max", (int)stat->member_max, "agents", (int)stat->agents,
                         "agent_max", (int)stat->agent_max, "queues", (int)stat->queues, "objects", objects_take);
}

/* This command is a member too while it looks; it is not counted. */
static void stat_print(const char *name, const struct skep_hive_stat *stat)
{
        char used[CLI_SIZE_TEXT], committed[CLI_SIZE_TEXT], capacity[CLI_SIZE_TEXT];

        printf("%s\n", name);
        printf("  memory   %s in %llu blocks, %s taken from the system, capacity %s\n", cli_size(stat->used_bytes, used),
               (unsigned long long)stat->blocks, cli_size(stat->committed_bytes, committed), cli_size(stat->capacity_bytes, capacity));
        printf("  members  %u of %u\n", stat->members, stat->member_max);
        printf("  agents   %u of %u\n", stat->agents, stat->agent_max);
        printf("  queues   %u\n", stat->queues);
}

static enum cli_exit show_json(const char *name, skep_hive *hive, const struct skep_hive_stat *stat)
{
        json_t *objects = json_array();
        int r = objects ? skep_hive_objects(hive, object_json, objects) : -ENOMEM;

        if (!r)
                return cli_print_json(stat_json(name, stat, objects));
        json_decref(objects);
        return cli_complain(name, r);
}

static enum cli_exit show(const char *name, skep_hive *hive, bool json)
{
        struct skep_hive_stat stat;
        size_t count = 0;
        int r = skep_hive_stat(hive, &stat);

        if (r)
                return cli_complain(name, r);
        if (stat.members)
                stat.members--;
        if (json)
                return show_json(name, hive, &stat);
        stat_print(name, &stat);
        r = skep_hive_objects(hive, object_line, &count);
        return r ? cli_complain(name, r) : CLI_OK;
}

enum cli_exit cli_ls(const struct cli_arguments *arguments)
{
        skep_hive *hive;
        enum cli_exit code;

        if (!arguments->name)
                return list_hives(arguments->json);
        code = cli_open(arguments->name, &hive);
        if (code)
                return code;
        code = show(arguments->name, hive, arguments->json);
        skep_hive_detach(hive);
        return code;
}
