/* SPDX-License-Identifier: Apache-2.0 */
/*
 * managed.c - a dict and a list that a child changes; then four processes count words in one dict, each addition one step.
 *
 *      managed [fork|spawn]
 */
#include <inttypes.h>
#include <skep/skep.h>
#include <stdio.h>
#include <string.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return 1; } } while (0)

enum { COUNTERS = 4, TIMES = 20 };

static int set(skep_dict *dict, struct skep_item key, struct skep_item value)
{
        return skep_dict_set(dict, &key, &value);
}

static int change(skep_hive *hive, const void *argument, size_t bytes)
{
        skep_dict *dict;
        skep_list *list;

        (void)argument, (void)bytes;
        TRY(skep_dict_open(hive, "numbers of", &dict));
        TRY(skep_list_open(hive, "numbers", &list));
        TRY(set(dict, skep_item_integer(1), skep_item_text("1")));
        TRY(set(dict, skep_item_text("2"), skep_item_integer(2)));
        TRY(set(dict, skep_item_float(0.25), skep_item_none()));
        TRY(skep_list_reverse(list));
        skep_list_unref(list);
        skep_dict_unref(dict);
        return 0;
}

static int count(skep_hive *hive, const void *argument, size_t bytes)
{
        static const char *const words[] = { "the", "bee", "the", "hive", "the", "honey" };
        const struct skep_item one = skep_item_integer(1);
        skep_dict *dict;

        (void)argument, (void)bytes;
        TRY(skep_dict_open(hive, "counts", &dict));
        for (int i = 0; i < TIMES * 6; i++) {
                const struct skep_item word = skep_item_text(words[i % 6]);
                TRY(skep_dict_add(dict, &word, &one, SKEP_DICT_MISSING_IS_ZERO, NULL));
        }
        skep_dict_unref(dict);
        return 0;
}

static void show(const struct skep_item *item)
{
        size_t bytes;
        const char *text = skep_item_data(item, &bytes);

        if (text)
                printf("'%.*s'", (int)bytes, text);
        else if (item->kind == SKEP_ITEM_INTEGER)
                printf("%" PRIi64, item->integer);
        else if (item->kind == SKEP_ITEM_FLOAT)
                printf("%g", item->real);
        else
                printf("None");
}

static int show_dict(skep_dict *dict)
{
        struct skep_dict_entry *entries;
        uint64_t length;

        TRY(skep_dict_snapshot(dict, 0, &entries, &length));
        for (uint64_t i = 0; i < length; i++) {
                printf("%s", i ? ", " : "{");
                show(&entries[i].key);
                printf(": ");
                show(&entries[i].value);
        }
        puts("}");
        skep_dict_entries_free(entries, length);
        return 0;
}

static int run(skep_hive *hive, uint32_t start, skep_process_function *function, const char *name, int processes)
{
        skep_process *process[COUNTERS];
        int failed = 0;

        for (int i = 0; i < processes; i++)
                TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = start, .function = function, .function_name = name), &process[i]));
        for (int i = 0; i < processes; i++) {
                TRY(skep_process_join(process[i], skep_forever()));
                failed |= skep_process_exit_code(process[i]);
                skep_process_unref(process[i]);
        }
        return failed;
}

int main(int argc, char **argv)
{
        uint32_t start = argc > 1 && !strcmp(argv[1], "fork") ? SKEP_START_FORK : SKEP_START_SPAWN;
        skep_hive *hive;
        skep_dict *dict, *counts;
        skep_list *list;
        int failed;

        skep_process_register("change", change);
        skep_process_register("count", count);
        skep_process_main();

        TRY(skep_hive_create(NULL, &hive));
        TRY(skep_dict_create(hive, SKEP_DICT_OPTIONS(.name = "numbers of"), &dict));
        TRY(skep_dict_create(hive, SKEP_DICT_OPTIONS(.name = "counts"), &counts));
        TRY(skep_list_create(hive, SKEP_LIST_OPTIONS(.name = "numbers"), &list));
        for (int i = 0; i < 10; i++) {
                const struct skep_item number = skep_item_integer(i);
                TRY(skep_list_append(list, &number));
        }
        failed = run(hive, start, change, "change", 1);
        failed |= show_dict(dict);
        for (int i = 0; i < 10; i++) {
                struct skep_item number;
                TRY(skep_list_get(list, i, &number, NULL));
                printf("%s%" PRIi64, i ? ", " : "[", number.integer);
                skep_item_clear(&number);
        }
        puts("]");
        failed |= run(hive, start, count, "count", COUNTERS);
        failed |= show_dict(counts);
        skep_list_unref(list);
        skep_dict_unref(counts);
        skep_dict_unref(dict);
        skep_hive_detach(hive);
        return failed;
}
