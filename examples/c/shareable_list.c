/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shareable_list.c - a list in shared memory, found by name in a second process.
 *
 *      shareable_list [fork|spawn]
 *      shareable_list print NAME     a list that somebody else has made, Python for one
 */
#include <errno.h>
#include <skep/skep.h>
#include <stdio.h>
#include <string.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return 1; } } while (0)

static int print(skep_shareable_list *list)
{
        for (uint64_t i = 0; i < skep_shareable_list_length(list); i++) {
                char buffer[256];
                struct skep_shareable_item item;

                TRY(skep_shareable_list_get(list, i, buffer, sizeof buffer, &item, skep_forever()));
                switch (item.type) {
                case SKEP_SHAREABLE_NONE: printf(" none"); break;
                case SKEP_SHAREABLE_BOOL: printf(item.integer ? " true" : " false"); break;
                case SKEP_SHAREABLE_INT: printf(" %lld", (long long)item.integer); break;
                case SKEP_SHAREABLE_FLOAT: printf(" %g", item.real); break;
                case SKEP_SHAREABLE_TEXT: printf(" \"%.*s\"", (int)item.bytes, buffer); break;
                case SKEP_SHAREABLE_BYTES: printf(" b\"%.*s\"", (int)item.bytes, buffer); break;
                }
        }
        printf("\n");
        return 0;
}

static struct skep_shareable_item text(uint32_t type, const char *characters)
{
        return (struct skep_shareable_item){ .type = type, .data = characters, .bytes = strlen(characters) };
}

static struct skep_shareable_item integer(int64_t value)
{
        return (struct skep_shareable_item){ .type = SKEP_SHAREABLE_INT, .integer = value };
}

static int change_last(skep_hive *hive, const void *name, size_t bytes)
{
        skep_shareable_list *numbers;
        struct skep_shareable_item item = integer(-999);

        (void)bytes;
        TRY(skep_shareable_list_open(hive, name, &numbers));
        TRY(skep_shareable_list_set(numbers, skep_shareable_list_length(numbers) - 1, &item, skep_forever()));
        skep_shareable_list_unref(numbers);
        return 0;
}

static int values(skep_hive *hive)
{
        const struct skep_shareable_item items[] = {
                text(SKEP_SHAREABLE_TEXT, "howdy"), text(SKEP_SHAREABLE_BYTES, "HoWdY"), { .type = SKEP_SHAREABLE_FLOAT, .real = -273.154 }, integer(100),
                { .type = SKEP_SHAREABLE_NONE }, { .type = SKEP_SHAREABLE_BOOL, .integer = 1 }, integer(42),
        };
        const struct skep_shareable_item other = text(SKEP_SHAREABLE_TEXT, "text"), longer = text(SKEP_SHAREABLE_TEXT, "much too long a text");
        skep_shareable_list *list;
        uint64_t index, count;

        TRY(skep_shareable_list_create(hive, SKEP_SHAREABLE_LIST_OPTIONS(.items = items, .count = 7), &list));
        print(list);
        TRY(skep_shareable_list_set(list, 3, &other, skep_forever()));
        printf("%s\n", skep_error_name(skep_shareable_list_set(list, 3, &longer, skep_forever())));
        TRY(skep_shareable_list_index(list, &items[6], &index));
        TRY(skep_shareable_list_count(list, &items[1], &count));
        print(list);
        printf("length %d, 42 at %d, b\"HoWdY\" %d times\n", (int)skep_shareable_list_length(list), (int)index, (int)count);
        skep_shareable_list_unref(list);
        return 0;
}

static int numbers(skep_hive *hive, uint32_t start)
{
        const struct skep_shareable_item items[] = { integer(0), integer(1), integer(2), integer(3), integer(4) };
        skep_shareable_list *list;
        skep_process *process;

        TRY(skep_shareable_list_create(hive, SKEP_SHAREABLE_LIST_OPTIONS(.items = items, .count = 5), &list));
        const char *name = skep_shared_memory_name(skep_shareable_list_memory(list));
        TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = start, .function = change_last, .function_name = "change_last",
                                                    .argument = name, .argument_bytes = strlen(name) + 1), &process));
        TRY(skep_process_join(process, skep_forever()));
        skep_process_unref(process);
        print(list);
        skep_shareable_list_unref(list);
        return 0;
}

int main(int argc, char **argv)
{
        uint32_t start = argc > 1 && !strcmp(argv[1], "fork") ? SKEP_START_FORK : SKEP_START_SPAWN;
        int failed;
        skep_hive *hive;
        skep_shareable_list *list;

        skep_process_register("change_last", change_last);
        skep_process_main(); /* a spawned child does its work in here */

        TRY(skep_hive_create(NULL, &hive));
        if (argc > 2 && !strcmp(argv[1], "print")) {
                TRY(skep_shareable_list_open(hive, argv[2], &list));
                failed = print(list);
                skep_shareable_list_unref(list);
        } else {
                failed = values(hive) || numbers(hive, start);
        }
        skep_hive_detach(hive);
        return failed;
}
