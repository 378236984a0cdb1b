/* SPDX-License-Identifier: Apache-2.0 */
/* dict_world.c - operations on dicts that members die in, and the check of what they leave (dict_world.h). */
#include "support/dict_world.h"

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

static skep_dict *d, *w, *s;
static skep_namespace *space;
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
#define LONG_KEY(n) (&(struct skep_item){.kind = SKEP_ITEM_TEXT, .data = long_of(n), .bytes = LONG_BYTES})
#define LONG(n) (&(struct skep_item){.kind = SKEP_ITEM_BYTES, .data = long_of(n), .bytes = LONG_BYTES})
#define ARRAY (&(struct skep_item){.kind = SKEP_ITEM_ARRAY, .array = array})
#define OBJECT(reference_) (&(struct skep_item){.kind = SKEP_ITEM_OBJECT, .object = (reference_)})

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

static skep_array *array_of(skep_hive *hive, int32_t value)
{
        skep_array *made;
        MUST(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_I32, .dimension_count = 1, .shape = (const uint64_t[]){100}), &made));
        ((int32_t *)skep_array_data(made))[99] = value;
        return made;
}

/* --- what a dict holds, as a line -------------------------------------------------------------------------------------------------- */

/* 7 an integer, L7 a long text, B7 long bytes, A7 an array, O the lock, D another dict */
static int write_item(skep_hive *hive, const struct skep_item *item, char *line)
{
        if (item->kind == SKEP_ITEM_INTEGER)
                return sprintf(line, "%lld", (long long)item->integer);
        if (item->kind == SKEP_ITEM_ARRAY)
                return sprintf(line, "A%d", ((const int32_t *)skep_array_data(item->array))[99]);
        if (item->kind == SKEP_ITEM_OBJECT) {
                skep_lock *found;
                int result = skep_lock_attach(hive, item->object, &found);
                if (result == 0)
                        skep_lock_unref(found);
                return sprintf(line, result == 0 ? "O" : result == -EPROTOTYPE ? "D" : "?");
        }
        size_t bytes;
        const char *data = skep_item_data(item, &bytes);
        bool whole = bytes == LONG_BYTES && memcmp(data, long_of((data[0] - '0') * 10 + data[1] - '0'), LONG_BYTES) == 0;
        return whole ? sprintf(line, "%c%.2s", item->kind == SKEP_ITEM_TEXT ? 'L' : 'B', data) : sprintf(line, "%.*s", (int)bytes, data);
}

static void write_dict(skep_hive *hive, skep_dict *dict, char *line)
{
        struct skep_dict_entry *entries;
        struct skep_item value;
        uint64_t count, length;
        MUST(skep_dict_length(dict, &length)); /* nobody has locked it since a death */
        MUST(skep_dict_snapshot(dict, 0, &entries, &count));
        *line = 0;
        for (uint64_t i = 0; i < count; i++) {
                line += sprintf(line, i ? " " : "");
                line += write_item(hive, &entries[i].key, line);
                line += sprintf(line, "=");
                line += write_item(hive, &entries[i].value, line);
                MUST(skep_dict_get(dict, &entries[i].key, &value, NULL));
                if (!skep_item_equal(&value, &entries[i].value))
                        line += sprintf(line, " (a get gives another value)");
                skep_item_clear(&value);
        }
        if (length != count)
                sprintf(line, " (length %llu)", (unsigned long long)length);
        skep_dict_entries_free(entries, count);
}

/* --- the world ------------------------------------------------------------------------------------------------------------------- */

#define D_BEFORE "1=10 L02=B20 3=A30 4=O"
#define W_BEFORE "0=0 1=1 2=2 3=3 4=4 5=5 6=6 7=7"
#define S_BEFORE "0=0 1=1 2=2 3=3 4=4 5=5 6=6 L07=B07"
#define N_BEFORE "x=1 y=B02"
#define STATES_MAX 6

/* What operations lead to: states[0] is what was before; the last is when it is done. */
struct expectation {
        const char *operation, *dict, *states[STATES_MAX];
};
static const struct expectation expectations[] = {
        {"set short", "d", {D_BEFORE, "1=11 L02=B20 3=A30 4=O", "1=11 L02=B20 3=A30 4=O 5=50"}},
        {"set long", "d", {D_BEFORE, "1=10 L02=B21 3=A30 4=O", "1=10 L02=B21 3=A30 4=O L06=B60"}},
        {"set references", "d", {D_BEFORE, "1=10 L02=B20 3=A31 4=O", "1=O L02=B20 3=A31 4=O", "1=O L02=B20 3=A31 4=40"}},
        {"delete", "d", {D_BEFORE, "1=10 L02=B20 4=O", "1=10 4=O", "1=10", ""}},
        {"pop, popitem", "d", {D_BEFORE, "1=10 3=A30 4=O", "1=10 3=A30"}},
        {"setdefault", "d", {D_BEFORE, D_BEFORE " L06=B60"}},
        {"compare and set", "d", {D_BEFORE, "1=10 L02=B21 3=A30 4=O", "1=10 3=A30 4=O"}},
        {"add", "d", {D_BEFORE, "1=15 L02=B20 3=A30 4=O", "1=15 L02=B20 3=A30 4=O 5=5"}},
        {"update", "d", {D_BEFORE, "1=B12 L02=B22 3=A31 4=O 5=51 L06=B62"}},
        {"update, growing", "w", {W_BEFORE, "0=0 1=1 2=2 3=30 4=4 5=5 6=6 7=7 8=8 9=9"}},
        {"clear", "d", {D_BEFORE, ""}},
        {"grow", "w", {W_BEFORE, W_BEFORE " 8=8"}},
        {"shrink", "s", {S_BEFORE, "0=0 1=1 2=2 4=4 5=5 6=6 L07=B07"}},
        {"dict create, nest, destroy", "d", {D_BEFORE, D_BEFORE " 5=D", D_BEFORE}},
        {"namespace", "n", {N_BEFORE, "x=1 y=B03", "x=1 y=B03 z=3", "y=B03 z=3"}},
        {"after an insert", "d", {D_BEFORE, "1=19 L02=B20 3=A30 4=O"}},
        {"after an insert", "s", {S_BEFORE, "0=9 1=1 2=2 3=3 4=4 5=5 6=6 L07=B07"}},
        {"after an insert that is done", "d", {D_BEFORE " L06=B60", "1=19 L02=B20 3=A30 4=O L06=B60"}},
        {"after an insert that is done", "s", {S_BEFORE, "0=9 1=1 2=2 3=3 4=4 5=5 6=6 L07=B07"}},
        {"after a delete", "d", {"1=10 3=A30 4=O", "1=19 3=A30 4=O"}},
        {"after a delete", "s", {S_BEFORE, "0=9 1=1 2=2 3=3 4=4 5=5 6=6 L07=B07"}},
        {"after an update", "d", {D_BEFORE, "1=19 L02=B20 3=A30 4=O"}},
        {"after an update", "s", {S_BEFORE, "0=9 1=1 2=2 3=3 4=4 5=5 6=6 L07=B07"}},
        {"after an update that is done", "d", {"1=B12 L02=B22 3=A31 4=O 5=51 L06=B62", "1=19 L02=B22 3=A31 4=O 5=51 L06=B62"}},
        {"after an update that is done", "s", {S_BEFORE, "0=9 1=1 2=2 3=3 4=4 5=5 6=6 L07=B07"}},
        {"after an exchange", "s", {"0=0 1=1 2=2 4=4 5=5 6=6 L07=B07", "0=9 1=1 2=2 4=4 5=5 6=6 L07=B07"}},
        {"after an exchange", "d", {D_BEFORE, "1=19 L02=B20 3=A30 4=O"}},
        {"reap an update", "d", {D_BEFORE}},
        {"reap an update that is done", "d", {"1=B12 L02=B22 3=A31 4=O 5=51 L06=B62"}},
        {"reap a delete", "d", {"1=10 3=A30 4=O"}},
};
static const size_t expectation_count = sizeof expectations / sizeof expectations[0];

static const char *before(const char *name)
{
        return !strcmp(name, "d") ? D_BEFORE : !strcmp(name, "w") ? W_BEFORE : !strcmp(name, "s") ? S_BEFORE : N_BEFORE;
}

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
        MUST(skep_lock_create(world->hive, "l", &lock));
        MUST(skep_dict_create(world->hive, SKEP_DICT_OPTIONS(.name = "d"), &d));
        MUST(skep_dict_create(world->hive, SKEP_DICT_OPTIONS(.name = "w"), &w));
        MUST(skep_dict_create(world->hive, SKEP_DICT_OPTIONS(.name = "s", .capacity = 32), &s));
        MUST(skep_namespace_create(world->hive, "n", &space));
        skep_array *thirty = array_of(world->hive, 30);
        MUST(skep_dict_set(d, NUMBER(1), NUMBER(10)));
        MUST(skep_dict_set(d, LONG_KEY(2), LONG(20)));
        MUST(skep_dict_set(d, NUMBER(3), &(struct skep_item){.kind = SKEP_ITEM_ARRAY, .array = thirty}));
        MUST(skep_dict_set(d, NUMBER(4), OBJECT(skep_lock_reference(lock))));
        skep_array_unref(thirty);
        for (int i = 0; i < 8; i++) {
                MUST(skep_dict_set(w, NUMBER(i), NUMBER(i)));
                MUST(skep_dict_set(s, i < 7 ? NUMBER(i) : LONG_KEY(7), i < 7 ? NUMBER(i) : LONG(7)));
        }
        MUST(skep_namespace_set(space, "x", NUMBER(1)));
        MUST(skep_namespace_set(space, "y", LONG(2)));
        array = array_of(world->hive, 31);
        if (operation->victim)
                victim_dies(world, operation->victim);
}

void world_leave(struct world *world)
{
        (void)world;
        skep_dict_unref(d);
        skep_dict_unref(w);
        skep_dict_unref(s);
        skep_namespace_unref(space);
        skep_lock_unref(lock);
        skep_array_unref(array);
}

static int forget(const struct skep_object_entry *entry, void *context)
{
        return skep_hive_forget(context, entry->name);
}

static void check_dict(skep_hive *hive, skep_dict *dict, const char *name, const struct operation *operation, bool finished, const char *where)
{
        const char *const *states = (const char *const[]){before(name), NULL};
        char line[1000];
        int first = 0, last = 0, i;
        for (size_t e = 0; e < expectation_count; e++)
                if (!strcmp(expectations[e].operation, operation->name) && !strcmp(expectations[e].dict, name))
                        states = expectations[e].states;
        while (states[last + 1])
                last++;
        if (finished)
                first = last;
        write_dict(hive, dict, line);
        for (i = first; i <= last && strcmp(line, states[i]); i++) {
        }
        ck_assert_msg(i <= last, "%s: %s is {%s} at %s", operation->name, name, line, where);
}

/* It goes on working, and what it is given it gives back. */
static void use(skep_dict *dict, const struct operation *operation, const char *where)
{
        struct skep_item value;
        for (int64_t i = 50; i < 70; i++)
                MUST(skep_dict_set(dict, i % 2 ? NUMBER(i) : LONG_KEY(i), i % 3 ? NUMBER(i) : LONG(i)));
        for (int64_t i = 50; i < 70; i++) {
                MUST(skep_dict_pop(dict, i % 2 ? NUMBER(i) : LONG_KEY(i), &value));
                ck_assert_msg(skep_item_equal(&value, i % 3 ? NUMBER(i) : LONG(i)), "%s: a value is another one after %s", operation->name, where);
                skep_item_clear(&value);
        }
}

void world_check(skep_hive *hive, const struct operation *operation, bool finished, const char *where)
{
        struct skep_verify_report report;
        struct skep_hive_stat stat;
        skep_dict *dict;
        skep_namespace *names;
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s: %s at %s", operation->name, report.first, where);
        for (int i = 0; i < 3; i++) {
                const char *name = (const char *const[]){"d", "w", "s"}[i];
                MUST(skep_dict_open(hive, name, &dict));
                check_dict(hive, dict, name, operation, finished, where);
                use(dict, operation, where);
                skep_dict_unref(dict);
        }
        MUST(skep_namespace_open(hive, "n", &names));
        check_dict(hive, names, "n", operation, finished, where);
        skep_namespace_unref(names);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s: used, %s at %s", operation->name, report.first, where);
        MUST(skep_hive_names(hive, forget, hive));
        MUST(skep_hive_stat(hive, &stat));
        ck_assert_msg(stat.blocks == 0 && stat.names == 0, "%s: %llu blocks leak at %s", operation->name, (unsigned long long)stat.blocks, where);
        ck_assert_msg(stat.members == 1, "%s: %u members at %s", operation->name, stat.members, where);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s: afterwards %s at %s", operation->name, report.first, where);
}

/* --- operations --------------------------------------------------------------------------------------------------------------------- */

static void set_short(struct world *world)
{
        (void)world;
        MUST(skep_dict_set(d, NUMBER(1), NUMBER(11)));
        MUST(skep_dict_set(d, NUMBER(5), NUMBER(50)));
}

static void set_long(struct world *world)
{
        (void)world;
        MUST(skep_dict_set(d, LONG_KEY(2), LONG(21)));
        MUST(skep_dict_set(d, LONG_KEY(6), LONG(60)));
}

static void set_references(struct world *world)
{
        (void)world;
        MUST(skep_dict_set(d, NUMBER(3), ARRAY));
        MUST(skep_dict_set(d, NUMBER(1), OBJECT(skep_lock_reference(lock))));
        MUST(skep_dict_set(d, NUMBER(4), NUMBER(40)));
}

static void delete_all(struct world *world)
{
        (void)world;
        MUST(skep_dict_delete(d, NUMBER(3)));
        MUST(skep_dict_delete(d, LONG_KEY(2)));
        MUST(skep_dict_delete(d, NUMBER(4)));
        MUST(skep_dict_delete(d, NUMBER(1)));
}

static void pop_two(struct world *world)
{
        struct skep_item key, value;
        (void)world;
        MUST(skep_dict_pop(d, LONG_KEY(2), &value));
        skep_item_clear(&value);
        MUST(skep_dict_popitem(d, &key, &value));
        skep_item_clear(&key);
        skep_item_clear(&value);
}

static void set_default(struct world *world)
{
        struct skep_item value;
        (void)world;
        MUST_BE(1, skep_dict_setdefault(d, LONG_KEY(2), LONG(25), &value));
        skep_item_clear(&value);
        MUST_BE(0, skep_dict_setdefault(d, LONG_KEY(6), LONG(60), &value));
}

static void compare_and_set(struct world *world)
{
        uint64_t version;
        (void)world;
        MUST(skep_dict_get(d, LONG_KEY(2), NULL, &version));
        MUST_BE(-EAGAIN, skep_dict_set_if(d, LONG_KEY(2), version + 1, LONG(21), NULL));
        MUST_BE(0, skep_dict_set_if(d, LONG_KEY(2), version, LONG(21), &version));
        MUST_BE(0, skep_dict_delete_if(d, LONG_KEY(2), version));
}

static void add_twice(struct world *world)
{
        (void)world;
        MUST(skep_dict_add(d, NUMBER(1), NUMBER(5), 0, NULL));
        MUST(skep_dict_add(d, NUMBER(5), NUMBER(5), SKEP_DICT_MISSING_IS_ZERO, NULL));
        MUST_BE(-EPROTOTYPE, skep_dict_add(d, LONG_KEY(2), NUMBER(5), 0, NULL));
}

static void update_six(struct world *world)
{
        const struct skep_dict_entry entries[] = {
                {.key = *NUMBER(1), .value = *LONG(12)},    {.key = *LONG_KEY(2), .value = *LONG(22)}, {.key = *NUMBER(5), .value = *NUMBER(51)},
                {.key = *LONG_KEY(6), .value = *LONG(61)}, {.key = *LONG_KEY(6), .value = *LONG(62)}, {.key = *NUMBER(3), .value = *ARRAY},
        };
        (void)world;
        MUST(skep_dict_update(d, entries, 6));
}

static void update_grows(struct world *world)
{
        struct skep_dict_entry entries[3] = {{.key = *NUMBER(3), .value = *NUMBER(30)}};
        (void)world;
        for (int64_t i = 1; i < 3; i++)
                entries[i] = (struct skep_dict_entry){.key = *NUMBER(7 + i), .value = *NUMBER(7 + i)};
        MUST(skep_dict_update(w, entries, 3));
}

static void update_fails(struct world *world)
{
        const struct skep_dict_entry entries[] = {
                {.key = *NUMBER(1), .value = *LONG(12)},
                {.key = *LONG_KEY(6), .value = *LONG(61)},
                {.key = *NUMBER(7), .value = {.kind = SKEP_ITEM_OBJECT, .object = {77, 77}}},
        };
        (void)world;
        MUST_BE(-ESTALE, skep_dict_update(d, entries, 3));
}

static void clear_all(struct world *world)
{
        (void)world;
        MUST(skep_dict_clear(d));
}

static void grows(struct world *world)
{
        (void)world;
        MUST(skep_dict_set(w, NUMBER(8), NUMBER(8)));
}

static void shrinks(struct world *world)
{
        (void)world;
        MUST(skep_dict_delete(s, NUMBER(3)));
}

static void read_all(struct world *world)
{
        struct skep_item value;
        struct skep_dict_entry *entries;
        uint64_t count;
        (void)world;
        MUST(skep_dict_get(d, LONG_KEY(2), &value, NULL));
        skep_item_clear(&value);
        MUST(skep_dict_get(d, NUMBER(3), &value, NULL));
        skep_item_clear(&value);
        MUST(skep_dict_get(d, NUMBER(4), &value, NULL));
        skep_item_clear(&value);
        MUST_BE(0, skep_dict_contains(d, NUMBER(5)));
        MUST(skep_dict_snapshot(d, 0, &entries, &count));
        skep_dict_entries_free(entries, count);
        MUST_BE(-ETIMEDOUT, skep_dict_wait(d, NUMBER(5), 0, &value, NULL, skep_within_ns(MS)));
}

static void dict_comes_and_goes(struct world *world)
{
        skep_dict *made;
        struct skep_item value;
        MUST(skep_dict_create(world->hive, SKEP_DICT_OPTIONS(.name = "other"), &made));
        MUST(skep_dict_set(made, LONG_KEY(1), ARRAY));
        MUST(skep_dict_set(made, NUMBER(1), OBJECT(skep_dict_reference(w))));
        MUST(skep_dict_set(d, NUMBER(5), OBJECT(skep_dict_reference(made))));
        skep_dict_unref(made);
        MUST(skep_hive_forget(world->hive, "other"));
        MUST(skep_dict_pop(d, NUMBER(5), &value));
        skep_item_clear(&value);
}

static void namespace_is_changed(struct world *world)
{
        struct skep_item value;
        (void)world;
        MUST(skep_namespace_set(space, "y", LONG(3)));
        MUST(skep_namespace_set(space, "z", NUMBER(3)));
        MUST(skep_namespace_get(space, "y", &value));
        skep_item_clear(&value);
        MUST(skep_namespace_delete(space, "x"));
}

/* --- the next one finds a victim in the middle of something ------------------------------------------------------------------------ */

static const char *deadly;
static int deadly_passing;

static void die_there(const char *name)
{
        if (!strcmp(name, deadly) && --deadly_passing == 0)
                kill(getpid(), SIGKILL);
}

static void die_at(const char *name, int passing)
{
        deadly = name;
        deadly_passing = passing;
        probe_hook = die_there;
}

static void victim_inserts(struct world *world)
{
        (void)world;
        die_at("dict.used", 1);
        MUST(skep_dict_set(d, LONG_KEY(6), LONG(60)));
}

static void victim_has_inserted(struct world *world)
{
        (void)world;
        die_at("cell.set", 1);
        MUST(skep_dict_set(d, LONG_KEY(6), LONG(60)));
}

static void victim_deletes(struct world *world)
{
        (void)world;
        die_at("cell.deleted", 1);
        MUST(skep_dict_delete(d, LONG_KEY(2)));
}

static void victim_prepares(struct world *world)
{
        die_at("dict.pending", 5);
        update_six(world);
}

static void victim_has_committed(struct world *world)
{
        die_at("dict.update", 2);
        update_six(world);
}

static void victim_exchanges(struct world *world)
{
        die_at("store.exchanged", 1);
        shrinks(world);
}

static void set_after_the_victim(struct world *world)
{
        (void)world;
        MUST(skep_dict_set(d, NUMBER(1), NUMBER(19)));
        MUST(skep_dict_set(s, NUMBER(0), NUMBER(9)));
}

static void reap_the_victim(struct world *world)
{
        struct skep_reap_report report;
        MUST(skep_hive_reap(world->hive, &report));
        MUST_BE(1, (int)report.members);
}

const struct operation operations[] = {
        {.name = "set short", .run = set_short},
        {.name = "set long", .run = set_long},
        {.name = "set references", .run = set_references},
        {.name = "delete", .run = delete_all},
        {.name = "pop, popitem", .run = pop_two},
        {.name = "setdefault", .run = set_default},
        {.name = "compare and set", .run = compare_and_set},
        {.name = "add", .run = add_twice},
        {.name = "update", .run = update_six},
        {.name = "update, growing", .run = update_grows},
        {.name = "update, failing", .run = update_fails},
        {.name = "clear", .run = clear_all},
        {.name = "grow", .run = grows},
        {.name = "shrink", .run = shrinks},
        {.name = "read", .run = read_all},
        {.name = "dict create, nest, destroy", .run = dict_comes_and_goes},
        {.name = "namespace", .run = namespace_is_changed},
        {.name = "after an insert", .run = set_after_the_victim, .victim = victim_inserts},
        {.name = "after an insert that is done", .run = set_after_the_victim, .victim = victim_has_inserted},
        {.name = "after a delete", .run = set_after_the_victim, .victim = victim_deletes},
        {.name = "after an update", .run = set_after_the_victim, .victim = victim_prepares},
        {.name = "after an update that is done", .run = set_after_the_victim, .victim = victim_has_committed},
        {.name = "after an exchange", .run = set_after_the_victim, .victim = victim_exchanges},
        {.name = "reap an update", .run = reap_the_victim, .victim = victim_prepares},
        {.name = "reap an update that is done", .run = reap_the_victim, .victim = victim_has_committed},
        {.name = "reap a delete", .run = reap_the_victim, .victim = victim_deletes},
};
const int operation_count = sizeof operations / sizeof operations[0];
