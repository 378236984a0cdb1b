/* SPDX-License-Identifier: Apache-2.0 */
/* list_world.c - operations on lists that members die in, and the check of what they leave (list_world.h). */
#include "support/list_world.h"

#include "base/probe.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG_BYTES 100
#define MS INT64_C(1000000)

static skep_list *l, *full;
static skep_lock *lock;
static skep_array *array;

static void must(int result, const char *what)
{
        if (result < 0) {
                fprintf(stderr, "%s: %s\n", what, skep_strerror(result));
                abort();
        }
}
#define MUST(call) must(call, #call)
#define MUST_BE(value, call) must((call) == (value) ? 0 : -EBADMSG, #call)

#define NUMBER(n) (&(struct skep_item){.kind = SKEP_ITEM_INTEGER, .integer = (n)})
#define LONG(n) (&(struct skep_item){.kind = SKEP_ITEM_BYTES, .data = long_of(n), .bytes = LONG_BYTES})
#define ARRAY (&(struct skep_item){.kind = SKEP_ITEM_ARRAY, .array = array})
#define OBJECT(reference_) (&(struct skep_item){.kind = SKEP_ITEM_OBJECT, .object = (reference_)})
#define SLICE(...) ((struct skep_slice){__VA_ARGS__})

/* A number, and so much behind it that a cell does not hold it. */
static const char *long_of(int64_t number)
{
        static char texts[100][LONG_BYTES];
        char *text = texts[number % 100];
        memset(text, '.', LONG_BYTES);
        text[0] = (char)('0' + number / 10 % 10);
        text[1] = (char)('0' + number % 10);
        return text;
}

/* --- what a list holds, as a line -------------------------------------------------------------------------------------------------- */

/* 7 an integer, B07 long bytes, A an array, O the lock, L another list */
static int write_item(skep_hive *hive, const struct skep_item *item, char *line)
{
        if (item->kind == SKEP_ITEM_INTEGER)
                return sprintf(line, "%lld", (long long)item->integer);
        if (item->kind == SKEP_ITEM_ARRAY)
                return sprintf(line, ((const int32_t *)skep_array_data(item->array))[99] == 31 ? "A" : "?");
        if (item->kind == SKEP_ITEM_OBJECT) {
                const char *kind = skep_object_kind(hive, item->object);
                return sprintf(line, !kind ? "?" : !strcmp(kind, "list") ? "L" : "O");
        }
        size_t bytes;
        const char *data = skep_item_data(item, &bytes);
        bool whole = bytes == LONG_BYTES && memcmp(data, long_of((data[0] - '0') * 10 + data[1] - '0'), LONG_BYTES) == 0;
        return whole ? sprintf(line, "B%.2s", data) : sprintf(line, "%zu bytes", bytes);
}

static void write_list(skep_hive *hive, skep_list *list, char *line)
{
        struct skep_list_entry *entries;
        struct skep_item item;
        uint64_t count, length;
        MUST(skep_list_length(list, &length)); /* nobody has locked it since a death */
        MUST(skep_list_get_slice(list, SKEP_SLICE_ALL, &entries, &count));
        *line = 0;
        for (uint64_t i = 0; i < count; i++) {
                line += sprintf(line, i ? " " : "");
                line += write_item(hive, &entries[i].item, line);
                MUST(skep_list_get(list, (int64_t)i, &item, NULL));
                if (!skep_item_equal(&item, &entries[i].item))
                        line += sprintf(line, " (a get gives another one)");
                skep_item_clear(&item);
        }
        if (length != count)
                sprintf(line, " (length %llu)", (unsigned long long)length);
        skep_list_entries_free(entries, count);
}

/* --- the world ------------------------------------------------------------------------------------------------------------------- */

#define L_BEFORE "1 B02 A O 5"
#define FULL_BEFORE "0 1 2 3 4 5 6 B07"
#define STATES_MAX 6

/* What operations lead to: states[0] is what was before; the last is when it is done. */
static const struct expectation {
        const char *operation, *list, *states[STATES_MAX];
} expectations[] = {
        {"set", "l", {L_BEFORE, "1 B02 A O B50", "1 20 A O B50", "1 20 O O B50", "1 20 O O A"}},
        {"append", "l", {L_BEFORE, L_BEFORE " 6", L_BEFORE " 6 B07", L_BEFORE " 6 B07 A"}},
        {"append, growing", "full", {FULL_BEFORE, FULL_BEFORE " B08"}},
        {"extend", "l", {L_BEFORE, L_BEFORE " B06 7 O"}},
        {"extend, growing", "full", {FULL_BEFORE, FULL_BEFORE " B06 7 O"}},
        {"pop", "l", {L_BEFORE, "1 B02 A O", "1 B02 A", "1 A", "A", ""}},
        {"insert", "l", {L_BEFORE, "B10 1 B02 A O 5", "B10 1 11 B02 A O 5"}},
        {"set slice", "l", {L_BEFORE, "1 B20 21 A 5", "1 B20 5"}},
        {"set every other", "l", {L_BEFORE, "B60 B02 61 O A"}},
        {"set every other, growing", "full", {FULL_BEFORE, "B60 1 61 3 A 5 O B07"}},
        {"delete slice", "l", {L_BEFORE, "1 O 5"}},
        {"delete every other", "l", {L_BEFORE, "B02 O"}},
        {"clear", "l", {L_BEFORE, ""}},
        {"repeat", "l", {L_BEFORE, L_BEFORE " " L_BEFORE}},
        {"repeat", "full", {FULL_BEFORE, FULL_BEFORE " " FULL_BEFORE}},
        {"reverse", "l", {L_BEFORE, "5 O A B02 1"}},
        {"permute", "full", {FULL_BEFORE, "B07 6 5 4 3 2 1 0"}},
        {"compare and set", "l", {L_BEFORE, "1 B21 A O 5", "1 A O 5"}},
        {"remove", "l", {L_BEFORE, "1 A O 5"}},
        {"add", "l", {L_BEFORE, "1 B02 A O 12"}},
        {"list create, nest, destroy", "l", {L_BEFORE, L_BEFORE " L", L_BEFORE}},
        {"after an append", "l", {L_BEFORE, "9 B02 A O 5"}},
        {"after an append that is done", "l", {L_BEFORE " B08", "9 B02 A O 5 B08"}},
        {"after a pop", "full", {"0 1 2 3 4 5 6", "9 1 2 3 4 5 6"}},
        {"after a pop", "l", {L_BEFORE, "9 B02 A O 5"}},
        {"after an exchange", "l", {"B60 B02 61 O A", "9 B02 61 O A"}},
        {"after new items behind", "l", {L_BEFORE, "9 B02 A O 5"}},
        {"after half a table", "l", {L_BEFORE, "9 B02 A O 5"}},
        {"reap a pop", "full", {"0 1 2 3 4 5 6"}},
        {"reap an exchange", "l", {"B60 B02 61 O A"}},
        {"reap half a table", "l", {L_BEFORE}},
        {"after an append", "full", {FULL_BEFORE, "9 1 2 3 4 5 6 B07"}},
        {"after an append that is done", "full", {FULL_BEFORE, "9 1 2 3 4 5 6 B07"}},
        {"after an exchange", "full", {FULL_BEFORE, "9 1 2 3 4 5 6 B07"}},
        {"after new items behind", "full", {FULL_BEFORE, "9 1 2 3 4 5 6 B07"}},
        {"after half a table", "full", {FULL_BEFORE, "9 1 2 3 4 5 6 B07"}},
};
static const size_t expectation_count = sizeof expectations / sizeof expectations[0];

static void victim_dies(struct world *world, void (*victim)(struct world *))
{
        int status;
        pid_t child = fork();
        if (child == 0) {
                victim(world);
                kill(getpid(), SIGKILL);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the victim ended with %x", status);
}

void world_make(struct world *world, const struct operation *operation)
{
        MUST(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20, .agent_max = 32, .member_max = 16), &world->hive));
        MUST(skep_lock_create(world->hive, "lock", &lock));
        MUST(skep_list_create(world->hive, SKEP_LIST_OPTIONS(.name = "l"), &l));
        MUST(skep_list_create(world->hive, SKEP_LIST_OPTIONS(.name = "full"), &full));
        MUST(skep_array_create(world->hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_I32, .dimension_count = 1, .shape = (const uint64_t[]){100}), &array));
        ((int32_t *)skep_array_data(array))[99] = 31;
        MUST(skep_list_extend(l, (const struct skep_item[]){*NUMBER(1), *LONG(2), *ARRAY, *OBJECT(skep_lock_reference(lock)), *NUMBER(5)}, 5));
        for (int64_t i = 0; i < 8; i++)
                MUST(skep_list_append(full, i < 7 ? NUMBER(i) : LONG(i)));
        if (operation->victim)
                victim_dies(world, operation->victim);
}

void world_leave(struct world *world)
{
        (void)world;
        skep_list_unref(l);
        skep_list_unref(full);
        skep_lock_unref(lock);
        skep_array_unref(array);
}

static int forget(const struct skep_object_entry *entry, void *context)
{
        return skep_hive_forget(context, entry->name);
}

static void check_list(skep_hive *hive, skep_list *list, const char *name, const struct operation *operation, bool finished, const char *where)
{
        const char *const *states = (const char *const[]){!strcmp(name, "l") ? L_BEFORE : FULL_BEFORE, NULL};
        char line[1000];
        int first = 0, last = 0, i;
        for (size_t e = 0; e < expectation_count; e++)
                if (!strcmp(expectations[e].operation, operation->name) && !strcmp(expectations[e].list, name))
                        states = expectations[e].states;
        while (last + 1 < STATES_MAX && states[last + 1])
                last++;
        if (finished)
                first = last;
        write_list(hive, list, line);
        for (i = first; i <= last && strcmp(line, states[i]); i++) {
        }
        ck_assert_msg(i <= last, "%s: %s is [%s] at %s", operation->name, name, line, where);
}

/* It goes on working, and what it is given it gives back. */
static void use(skep_list *list, const struct operation *operation, const char *where)
{
        struct skep_item item;
        uint64_t before, after;
        MUST(skep_list_length(list, &before));
        for (int64_t i = 0; i < 20; i++)
                MUST(skep_list_insert(list, i, i % 3 ? NUMBER(i) : LONG(i)));
        MUST(skep_list_reverse(list));
        for (int64_t i = 0; i < 20; i++) {
                MUST(skep_list_pop(list, -1, &item));
                ck_assert_msg(skep_item_equal(&item, i % 3 ? NUMBER(i) : LONG(i)), "%s: an item is another one after %s", operation->name, where);
                skep_item_clear(&item);
        }
        MUST(skep_list_length(list, &after));
        ck_assert_uint_eq(before, after);
}

void world_check(skep_hive *hive, const struct operation *operation, bool finished, const char *where)
{
        struct skep_verify_report report;
        struct skep_hive_stat stat;
        skep_list *list;
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s: %s at %s", operation->name, report.first, where);
        for (int i = 0; i < 2; i++) {
                const char *name = i ? "full" : "l";
                MUST(skep_list_open(hive, name, &list));
                check_list(hive, list, name, operation, finished, where);
                use(list, operation, where);
                skep_list_unref(list);
        }
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s: used, %s at %s", operation->name, report.first, where);
        MUST(skep_hive_names(hive, forget, hive));
        MUST(skep_hive_stat(hive, &stat));
        ck_assert_msg(stat.blocks == 0 && stat.names == 0, "%s: %llu blocks leak at %s", operation->name, (unsigned long long)stat.blocks, where);
        ck_assert_msg(stat.members == 1, "%s: %u members at %s", operation->name, stat.members, where);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s: afterwards %s at %s", operation->name, report.first, where);
}

/* --- operations --------------------------------------------------------------------------------------------------------------------- */

static void set_four(struct world *world)
{
        (void)world;
        MUST(skep_list_set(l, 4, LONG(50)));
        MUST(skep_list_set(l, 1, NUMBER(20)));
        MUST(skep_list_set(l, -3, OBJECT(skep_lock_reference(lock))));
        MUST(skep_list_set(l, -1, ARRAY));
}

static void append_three(struct world *world)
{
        (void)world;
        MUST(skep_list_append(l, NUMBER(6)));
        MUST(skep_list_append(l, LONG(7)));
        MUST(skep_list_append(l, ARRAY));
}

static void append_growing(struct world *world)
{
        (void)world;
        MUST(skep_list_append(full, LONG(8)));
}

static void extend(skep_list *list)
{
        MUST(skep_list_extend(list, (const struct skep_item[]){*LONG(6), *NUMBER(7), *OBJECT(skep_lock_reference(lock))}, 3));
}

static void extend_in_place(struct world *world)
{
        (void)world;
        extend(l);
}

static void extend_growing(struct world *world)
{
        (void)world;
        extend(full);
}

static void extend_failing(struct world *world)
{
        (void)world;
        MUST_BE(-ESTALE, skep_list_extend(l, (const struct skep_item[]){*LONG(6), *OBJECT(((skep_block){77, 77}))}, 2));
        MUST_BE(-ERANGE, skep_list_set_slice(l, SLICE(0, 5, 2), (const struct skep_item[]){*LONG(6)}, 1, NULL));
        MUST_BE(-ERANGE, skep_list_set(l, 9, LONG(6)));
}

static void pop_all(struct world *world)
{
        struct skep_item item;
        (void)world;
        for (int i = 0; i < 5; i++) {
                MUST(skep_list_pop(l, i < 2 || i == 4 ? -1 : i == 2 ? 1 : 0, &item));
                skep_item_clear(&item);
        }
}

static void insert_two(struct world *world)
{
        (void)world;
        MUST(skep_list_insert(l, 0, LONG(10)));
        MUST(skep_list_insert(l, 2, NUMBER(11)));
}

static void set_slice(struct world *world)
{
        (void)world;
        MUST(skep_list_set_slice(l, SLICE(1, 4, 1), (const struct skep_item[]){*LONG(20), *NUMBER(21), *ARRAY}, 3, NULL));
        MUST(skep_list_set_slice(l, SLICE(2, -1, 1), NULL, 0, NULL));
}

static void set_every_other(struct world *world)
{
        (void)world;
        MUST(skep_list_set_slice(l, SLICE(-1, INT64_MIN, -2), (const struct skep_item[]){*ARRAY, *NUMBER(61), *LONG(60)}, 3, NULL));
}

static void set_every_other_growing(struct world *world)
{
        (void)world;
        const struct skep_item items[] = {*LONG(60), *NUMBER(61), *ARRAY, *OBJECT(skep_lock_reference(lock))};
        MUST(skep_list_set_slice(full, SLICE(0, 8, 2), items, 4, NULL));
}

static void delete_slice(struct world *world)
{
        (void)world;
        MUST(skep_list_delete_slice(l, SLICE(1, 3, 1)));
}

static void delete_every_other(struct world *world)
{
        (void)world;
        MUST(skep_list_delete_slice(l, SLICE(0, 5, 2)));
}

static void clear_all(struct world *world)
{
        (void)world;
        MUST(skep_list_clear(l));
}

static void repeat_both(struct world *world)
{
        (void)world;
        MUST(skep_list_repeat(l, 2));
        MUST(skep_list_repeat(full, 2));
}

static void reverse_one(struct world *world)
{
        (void)world;
        MUST(skep_list_reverse(l));
}

static void permute_one(struct world *world)
{
        struct skep_list_entry *entries;
        uint64_t count, order[8];
        (void)world;
        MUST(skep_list_get_slice(full, SKEP_SLICE_ALL, &entries, &count));
        for (uint64_t i = 0; i < 8; i++)
                order[i] = 7 - i;
        MUST(skep_list_permute(full, entries, order, count));
        skep_list_entries_free(entries, count);
}

static void compare_and_set(struct world *world)
{
        uint64_t version, before;
        (void)world;
        MUST(skep_list_get(l, 1, NULL, &before));
        MUST_BE(-EAGAIN, skep_list_set_if(l, 1, before + 1, LONG(21)));
        MUST(skep_list_set_if(l, 1, before, LONG(21)));
        MUST(skep_list_get(l, 1, NULL, &version));
        MUST_BE(-EAGAIN, skep_list_delete_if(l, 1, before));
        MUST(skep_list_delete_if(l, 1, version));
}

static void remove_one(struct world *world)
{
        (void)world;
        MUST(skep_list_remove(l, LONG(2)));
        MUST_BE(-ENOENT, skep_list_remove(l, LONG(2)));
}

static void add_one(struct world *world)
{
        (void)world;
        MUST(skep_list_add(l, -1, NUMBER(7), NULL));
        MUST_BE(-EPROTOTYPE, skep_list_add(l, 1, NUMBER(7), NULL));
}

static void read_all(struct world *world)
{
        struct skep_item item;
        struct skep_list_entry *entries;
        uint64_t count, version;
        (void)world;
        for (int64_t i = 0; i < 5; i++) {
                MUST(skep_list_get(l, i, &item, NULL));
                skep_item_clear(&item);
        }
        MUST(skep_list_get_slice(l, SLICE(-1, INT64_MIN, -1), &entries, &count));
        skep_list_entries_free(entries, count);
        MUST(skep_list_version(l, &version));
        MUST_BE(-ETIMEDOUT, skep_list_wait(l, version, skep_within_ns(MS)));
}

static void list_comes_and_goes(struct world *world)
{
        skep_list *made;
        struct skep_item item;
        MUST(skep_list_create(world->hive, SKEP_LIST_OPTIONS(.name = "other"), &made));
        MUST(skep_list_extend(made, (const struct skep_item[]){*LONG(1), *ARRAY, *OBJECT(skep_list_reference(full))}, 3));
        MUST(skep_list_append(l, OBJECT(skep_list_reference(made))));
        skep_list_unref(made);
        MUST(skep_hive_forget(world->hive, "other"));
        MUST(skep_list_pop(l, -1, &item));
        skep_item_clear(&item);
}

/* --- victims --------------------------------------------------------------------------------------------------------------------------- */

static const char *deadly;
static int passings;

static void die_there(const char *name)
{
        if (strcmp(name, deadly) == 0 && --passings == 0)
                kill(getpid(), SIGKILL);
}

static void die_at(const char *name, int passing)
{
        deadly = name;
        passings = passing;
        probe_hook = die_there;
}

static void victim_appends(struct world *world)
{
        (void)world;
        die_at("cell.set", 1);
        MUST(skep_list_append(l, LONG(8)));
}

static void victim_has_appended(struct world *world)
{
        (void)world;
        die_at("list.extended", 1);
        MUST(skep_list_append(l, LONG(8)));
}

static void victim_pops(struct world *world)
{
        (void)world;
        die_at("list.popped", 1);
        MUST(skep_list_pop(full, -1, NULL));
}

static void victim_exchanges(struct world *world)
{
        die_at("store.exchanged", 1);
        set_every_other(world);
}

static void victim_writes_behind(struct world *world)
{
        die_at("cell.set", 2);
        set_every_other(world);
}

static void victim_fills(struct world *world)
{
        die_at("item.linking", 2);
        set_slice(world);
}

static void set_after_the_victim(struct world *world)
{
        (void)world;
        MUST(skep_list_set(l, 0, NUMBER(9)));
        MUST(skep_list_set(full, 0, NUMBER(9)));
}

static void reap_the_victim(struct world *world)
{
        struct skep_reap_report report;
        MUST(skep_hive_reap(world->hive, &report));
        MUST_BE(1, (int)report.members);
}

const struct operation operations[] = {
        {.name = "set", .run = set_four},
        {.name = "append", .run = append_three},
        {.name = "append, growing", .run = append_growing},
        {.name = "extend", .run = extend_in_place},
        {.name = "extend, growing", .run = extend_growing},
        {.name = "extend, failing", .run = extend_failing},
        {.name = "pop", .run = pop_all},
        {.name = "insert", .run = insert_two},
        {.name = "set slice", .run = set_slice},
        {.name = "set every other", .run = set_every_other},
        {.name = "set every other, growing", .run = set_every_other_growing},
        {.name = "delete slice", .run = delete_slice},
        {.name = "delete every other", .run = delete_every_other},
        {.name = "clear", .run = clear_all},
        {.name = "repeat", .run = repeat_both},
        {.name = "reverse", .run = reverse_one},
        {.name = "permute", .run = permute_one},
        {.name = "compare and set", .run = compare_and_set},
        {.name = "remove", .run = remove_one},
        {.name = "add", .run = add_one},
        {.name = "read", .run = read_all},
        {.name = "list create, nest, destroy", .run = list_comes_and_goes},
        {.name = "after an append", .run = set_after_the_victim, .victim = victim_appends},
        {.name = "after an append that is done", .run = set_after_the_victim, .victim = victim_has_appended},
        {.name = "after a pop", .run = set_after_the_victim, .victim = victim_pops},
        {.name = "after an exchange", .run = set_after_the_victim, .victim = victim_exchanges},
        {.name = "after new items behind", .run = set_after_the_victim, .victim = victim_writes_behind},
        {.name = "after half a table", .run = set_after_the_victim, .victim = victim_fills},
        {.name = "reap a pop", .run = reap_the_victim, .victim = victim_pops},
        {.name = "reap an exchange", .run = reap_the_victim, .victim = victim_exchanges},
        {.name = "reap half a table", .run = reap_the_victim, .victim = victim_fills},
};
const int operation_count = sizeof operations / sizeof operations[0];
