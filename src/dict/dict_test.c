/* SPDX-License-Identifier: Apache-2.0 */
/* dict_test.c - every operation, growth and shrinking, order, collisions, references, versions, a full hive, damage. */
#include "dict/dict.h"
#include "support/people.h"

#include <skep/namespace.h>

static skep_hive *hive;
static skep_dict *dict;

#define OK(call) ck_assert_int_eq((call), 0)
#define NUMBER(n) (&(struct skep_item){.kind = SKEP_ITEM_INTEGER, .integer = (n)})
#define REAL(x) (&(struct skep_item){.kind = SKEP_ITEM_FLOAT, .real = (x)})
#define TEXT(text) (&(struct skep_item){.kind = SKEP_ITEM_TEXT, .data = (text), .bytes = strlen(text)})

static void setup(void)
{
        OK(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 64u << 20), &hive));
        OK(skep_dict_create(hive, NULL, &dict));
}

static uint64_t blocks(void)
{
        struct skep_hive_stat stat;
        OK(skep_hive_stat(hive, &stat));
        return stat.blocks;
}

static void sound(void)
{
        struct skep_verify_report report;
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s", report.first);
}

static void teardown(void)
{
        OK(skep_hive_reap(hive, NULL)); /* children have gone */
        sound();
        dict = skep_dict_unref(dict);
        ck_assert_uint_eq(blocks(), 0);
        hive = skep_hive_detach(hive);
}

static uint64_t length(skep_dict *of)
{
        uint64_t count;
        OK(skep_dict_length(of, &count));
        return count;
}

/* @return the number there; INT64_MIN: no such key */
static int64_t number_at(const struct skep_item *key)
{
        struct skep_item value;
        int result = skep_dict_get(dict, key, &value, NULL);
        if (result == -ENOENT)
                return INT64_MIN;
        ck_assert_int_eq(result, 0);
        ck_assert_uint_eq(value.kind, SKEP_ITEM_INTEGER);
        int64_t number = value.integer;
        skep_item_clear(&value);
        return number;
}

/* A text, long enough for a block if bytes > 24. */
static const char *text_of(int64_t number, size_t bytes)
{
        static char text[20000];
        ck_assert_uint_lt(bytes, sizeof text);
        memset(text, 'a' + (int)(number % 26), bytes);
        int length = snprintf(NULL, 0, "%lld", (long long)number);
        snprintf(text, sizeof text, "%lld", (long long)number);
        if ((size_t)length < bytes)
                text[length] = '-';
        text[bytes] = 0;
        return text;
}

/* The keys are those integers, in that order. */
static void check_order(const int64_t *expected, uint64_t count)
{
        struct skep_dict_entry *entries;
        uint64_t found;
        OK(skep_dict_snapshot(dict, SKEP_DICT_KEYS, &entries, &found));
        ck_assert_uint_eq(found, count);
        ck_assert_uint_eq(length(dict), count);
        for (uint64_t i = 0; i < count; i++) {
                ck_assert_int_eq(entries[i].key.integer, expected[i]);
                ck_assert_uint_eq(entries[i].value.kind, SKEP_ITEM_NONE);
        }
        skep_dict_entries_free(entries, found);
}
#define ORDER(...) check_order((const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* --- one key ------------------------------------------------------------------------------------------------------------------- */

START_TEST(set_get_and_delete)
{
        struct skep_item value;
        ck_assert_int_eq(skep_dict_get(dict, TEXT("a"), &value, NULL), -ENOENT);
        ck_assert_int_eq(skep_dict_contains(dict, TEXT("a")), 0);
        ck_assert_int_eq(skep_dict_delete(dict, TEXT("a")), -ENOENT);
        OK(skep_dict_set(dict, TEXT("a"), NUMBER(1)));
        ck_assert_int_eq(skep_dict_contains(dict, TEXT("a")), 1);
        ck_assert_int_eq(number_at(TEXT("a")), 1);
        OK(skep_dict_set(dict, TEXT("a"), NUMBER(2)));
        ck_assert_int_eq(number_at(TEXT("a")), 2);
        ck_assert_uint_eq(length(dict), 1);
        OK(skep_dict_delete(dict, TEXT("a")));
        ck_assert_int_eq(number_at(TEXT("a")), INT64_MIN);
        ck_assert_uint_eq(length(dict), 0);
}
END_TEST

START_TEST(many_are_got_at_once)
{
        struct skep_dict_entry many[3] = {{skep_item_text("a"), skep_item_none(), 5}, {skep_item_text("b"), skep_item_integer(5), 5},
                                          {skep_item_text("c"), skep_item_none(), 5}};
        uint64_t found = 0, version = 0;
        OK(skep_dict_set(dict, TEXT("a"), NUMBER(1)));
        OK(skep_dict_set(dict, TEXT("c"), TEXT(text_of(3, 5000))));
        OK(skep_dict_get_many(dict, many, 3, &found));
        ck_assert_uint_eq(found, 2);
        OK(skep_dict_get(dict, TEXT("c"), NULL, &version));
        ck_assert_int_eq((int)many[0].value.integer, 1);
        ck_assert(many[1].value.kind == SKEP_ITEM_NONE && many[1].version == 0);
        ck_assert_uint_eq(many[2].version, version);
        ck_assert_uint_eq(many[2].value.bytes, 5000);
        skep_item_clear(&many[2].value);
        OK(skep_dict_get_many(dict, many, 0, NULL));
        many[1].key.kind = 77;
        ck_assert_int_eq(skep_dict_get_many(dict, many, 3, &found), -EINVAL);
        ck_assert_uint_eq(found, 2);
}
END_TEST

START_TEST(keys_of_every_kind)
{
        static const char bytes[] = "\0key";
        const struct skep_item keys[] = {
                skep_item_none(),
                skep_item_bool(false),
                skep_item_integer(-5),
                skep_item_float(2.5),
                skep_item_text(""),
                skep_item_text("key"),
                skep_item_bytes("key", 3),
                skep_item_bytes(bytes, 4),
                skep_item_of_bytes(SKEP_ITEM_MSGPACK, "key", 3),
                skep_item_of_bytes(SKEP_ITEM_PICKLE, "key", 3),
                skep_item_integer(INT64_MIN),
                skep_item_float(1e300),
        };
        const int count = sizeof keys / sizeof keys[0];
        for (int i = 0; i < count; i++)
                OK(skep_dict_set(dict, &keys[i], NUMBER(i)));
        for (int i = 0; i < count; i++)
                ck_assert_int_eq(number_at(&keys[i]), i);
        struct skep_dict_entry *entries;
        uint64_t found;
        OK(skep_dict_snapshot(dict, 0, &entries, &found));
        ck_assert_uint_eq(found, count);
        for (int i = 0; i < count; i++) {
                ck_assert(skep_item_equal(&entries[i].key, &keys[i]));
                ck_assert_int_eq(entries[i].value.integer, i);
                ck_assert_uint_ne(entries[i].version, 0);
        }
        skep_dict_entries_free(entries, found);
        ck_assert_int_eq(skep_dict_set(dict, &(struct skep_item){.kind = SKEP_ITEM_OBJECT}, NUMBER(1)), -EINVAL);
        ck_assert_int_eq(skep_dict_contains(dict, &(struct skep_item){.kind = SKEP_ITEM_ARRAY}), -EINVAL);
        ck_assert_int_eq(skep_dict_set(dict, NUMBER(1), &(struct skep_item){.kind = 77}), -EINVAL);
        ck_assert_int_eq(skep_dict_set(dict, TEXT(text_of(1, 16385)), NUMBER(1)), -EMSGSIZE);
}
END_TEST

START_TEST(numbers_that_are_equal_are_one_key_and_the_first_stays)
{
        struct skep_dict_entry *entries;
        struct skep_item yes = skep_item_bool(true);
        uint64_t count;
        OK(skep_dict_set(dict, REAL(1.0), NUMBER(1)));
        OK(skep_dict_set(dict, &yes, NUMBER(2)));
        OK(skep_dict_set(dict, NUMBER(1), NUMBER(3)));
        ck_assert_int_eq(number_at(&yes), 3);
        OK(skep_dict_snapshot(dict, 0, &entries, &count));
        ck_assert_uint_eq(count, 1);
        ck_assert_uint_eq(entries[0].key.kind, SKEP_ITEM_FLOAT);
        skep_dict_entries_free(entries, count);
}
END_TEST

START_TEST(pop_popitem_and_setdefault)
{
        struct skep_item key, value;
        ck_assert_int_eq(skep_dict_popitem(dict, &key, &value), -ENOENT);
        ck_assert_int_eq(skep_dict_pop(dict, NUMBER(1), &value), -ENOENT);
        OK(skep_dict_setdefault(dict, NUMBER(1), NUMBER(10), &value));
        ck_assert_int_eq(skep_dict_setdefault(dict, NUMBER(1), NUMBER(11), &value), 1);
        ck_assert_int_eq(value.integer, 10);
        ck_assert_int_eq(skep_dict_setdefault(dict, NUMBER(1), NUMBER(11), NULL), 1);
        for (int i = 2; i <= 5; i++)
                OK(skep_dict_set(dict, NUMBER(i), TEXT(text_of(i, 100))));
        ORDER(1, 2, 3, 4, 5);
        OK(skep_dict_pop(dict, NUMBER(4), &value));
        ck_assert(skep_item_equal(&value, TEXT(text_of(4, 100))));
        skep_item_clear(&value);
        OK(skep_dict_popitem(dict, &key, &value));
        ck_assert_int_eq(key.integer, 5);
        ck_assert(skep_item_equal(&value, TEXT(text_of(5, 100))));
        skep_item_clear(&value);
        ORDER(1, 2, 3);
        OK(skep_dict_set(dict, NUMBER(4), NUMBER(4)));
        OK(skep_dict_set(dict, NUMBER(2), NUMBER(2)));
        ORDER(1, 2, 3, 4);
        OK(skep_dict_delete(dict, NUMBER(2)));
        OK(skep_dict_set(dict, NUMBER(2), NUMBER(2)));
        ORDER(1, 3, 4, 2);
        for (int64_t last = 2, i = 0; i < 4; i++, last = i == 1 ? 4 : i == 2 ? 3 : 1) {
                OK(skep_dict_popitem(dict, &key, &value));
                ck_assert_int_eq(key.integer, last);
                skep_item_clear(&value);
        }
        ck_assert_uint_eq(length(dict), 0);
}
END_TEST

START_TEST(versions_tell_what_was_set_since)
{
        uint64_t first, second, now;
        ck_assert_int_eq(skep_dict_set_if(dict, NUMBER(1), 7, NUMBER(1), NULL), -EAGAIN);
        OK(skep_dict_set_if(dict, NUMBER(1), 0, NUMBER(1), &first));
        ck_assert_int_eq(skep_dict_set_if(dict, NUMBER(1), 0, NUMBER(1), NULL), -EAGAIN);
        OK(skep_dict_get(dict, NUMBER(1), NULL, &now));
        ck_assert_uint_eq(now, first);
        OK(skep_dict_set_if(dict, NUMBER(1), first, NUMBER(2), &second));
        ck_assert_uint_ne(second, first);
        ck_assert_int_eq(skep_dict_delete_if(dict, NUMBER(1), first), -EAGAIN);
        ck_assert_int_eq(skep_dict_delete_if(dict, NUMBER(2), 0), -EAGAIN);
        OK(skep_dict_set(dict, NUMBER(1), NUMBER(2)));
        ck_assert_int_eq(skep_dict_delete_if(dict, NUMBER(1), second), -EAGAIN);
        OK(skep_dict_get(dict, NUMBER(1), NULL, &now));
        for (int i = 0; i < 100; i++) /* through new tables */
                OK(skep_dict_set(dict, NUMBER(100 + i), NUMBER(i)));
        OK(skep_dict_delete_if(dict, NUMBER(1), now));
        OK(skep_dict_set(dict, NUMBER(1), NUMBER(2)));
        ck_assert_int_eq(skep_dict_set_if(dict, NUMBER(1), now, NUMBER(1), NULL), -EAGAIN);
}
END_TEST

START_TEST(adding_to_numbers)
{
        struct skep_item sum;
        ck_assert_int_eq(skep_dict_add(dict, TEXT("n"), NUMBER(1), 0, &sum), -ENOENT);
        OK(skep_dict_add(dict, TEXT("n"), NUMBER(1), SKEP_DICT_MISSING_IS_ZERO, &sum));
        ck_assert_uint_eq(sum.kind, SKEP_ITEM_INTEGER);
        ck_assert_int_eq(sum.integer, 1);
        OK(skep_dict_add(dict, TEXT("n"), NUMBER(-5), 0, NULL));
        ck_assert_int_eq(number_at(TEXT("n")), -4);
        OK(skep_dict_set(dict, TEXT("n"), NUMBER(INT64_MAX)));
        ck_assert_int_eq(skep_dict_add(dict, TEXT("n"), NUMBER(1), 0, NULL), -EOVERFLOW);
        ck_assert_int_eq(number_at(TEXT("n")), INT64_MAX);
        OK(skep_dict_set(dict, TEXT("n"), NUMBER(1)));
        OK(skep_dict_add(dict, TEXT("n"), REAL(0.5), 0, &sum));
        ck_assert(sum.kind == SKEP_ITEM_FLOAT && sum.real == 1.5);
        OK(skep_dict_add(dict, TEXT("x"), REAL(0.5), SKEP_DICT_MISSING_IS_ZERO, &sum));
        ck_assert(sum.kind == SKEP_ITEM_FLOAT && sum.real == 0.5);
        OK(skep_dict_set(dict, TEXT("t"), TEXT(text_of(1, 50))));
        ck_assert_int_eq(skep_dict_add(dict, TEXT("t"), NUMBER(1), 0, NULL), -EPROTOTYPE);
        ck_assert_int_eq(skep_dict_add(dict, TEXT("n"), TEXT("1"), 0, NULL), -EPROTOTYPE);
        ck_assert_int_eq(skep_dict_add(dict, TEXT("n"), NUMBER(1), 8, NULL), -EINVAL);
}
END_TEST

/* --- many keys -------------------------------------------------------------------------------------------------------------------- */

START_TEST(it_grows_to_many_keys_and_shrinks_again)
{
        enum { KEYS = 100000 };
        for (int64_t i = 0; i < KEYS; i++)
                OK(skep_dict_set(dict, NUMBER(i * 7), NUMBER(i)));
        ck_assert_uint_eq(length(dict), KEYS);
        sound();
        for (int64_t i = 0; i < KEYS; i++)
                ck_assert_int_eq(number_at(NUMBER(i * 7)), i);
        ck_assert_int_eq(number_at(NUMBER(1)), INT64_MIN);
        uint64_t long_table = store_table(&dict->store)->cell_max;
        ck_assert_uint_ge(long_table, KEYS);
        for (int64_t i = 0; i < KEYS; i += 2)
                OK(skep_dict_delete(dict, NUMBER(i * 7)));
        sound();
        for (int64_t i = 0; i < KEYS; i++)
                ck_assert_int_eq(number_at(NUMBER(i * 7)), i % 2 ? i : INT64_MIN);
        for (int64_t i = 1; i < KEYS; i += 2)
                OK(skep_dict_delete(dict, NUMBER(i * 7)));
        ck_assert_uint_eq(length(dict), 0);
        ck_assert_uint_lt(store_table(&dict->store)->cell_max, 100);
        OK(skep_dict_set(dict, NUMBER(1), NUMBER(1)));
        ORDER(1);
}
END_TEST

/* At one end of it, and at the other: the index must not fill with what is gone, nor the table with cells. */
START_TEST(a_stack_and_a_queue_of_keys_stay_small)
{
        struct skep_item key, value;
        for (int64_t i = 0; i < 20; i++)
                OK(skep_dict_set(dict, NUMBER(i), NUMBER(i)));
        for (int64_t i = 20; i < 20000; i++) {
                OK(skep_dict_set(dict, NUMBER(i), NUMBER(i)));
                OK(skep_dict_popitem(dict, &key, &value));
                ck_assert_int_eq(key.integer, i);
        }
        ck_assert_uint_lt(store_table(&dict->store)->cell_max, 100);
        sound();
        for (int64_t i = 20; i < 20000; i++) {
                OK(skep_dict_set(dict, NUMBER(i), NUMBER(i)));
                OK(skep_dict_delete(dict, NUMBER(i - 20)));
        }
        ck_assert_uint_lt(store_table(&dict->store)->cell_max, 100);
        ck_assert_uint_eq(length(dict), 20);
        struct skep_dict_entry *entries;
        uint64_t count;
        OK(skep_dict_snapshot(dict, 0, &entries, &count));
        for (uint64_t i = 0; i < count; i++)
                ck_assert_int_eq(entries[i].key.integer, (int64_t)(19980 + i));
        skep_dict_entries_free(entries, count);
}
END_TEST

/* Keys whose hashes share the low bits: one long run of slots, in which some are deleted and come again. */
START_TEST(keys_that_collide)
{
        enum { KEYS = 40 };
        int64_t keys[KEYS];
        int count = 0;
        for (int64_t i = 0; count < KEYS; i++) {
                struct dict_key key = {0};
                OK(dict_key(dict, NUMBER(i), &key));
                if ((key.hash & 255) == 255) /* the run goes over the end of the index */
                        keys[count++] = i;
        }
        for (int i = 0; i < KEYS; i++)
                OK(skep_dict_set(dict, NUMBER(keys[i]), NUMBER(i)));
        for (int i = 0; i < KEYS; i += 3)
                OK(skep_dict_delete(dict, NUMBER(keys[i])));
        for (int i = 0; i < KEYS; i++)
                ck_assert_int_eq(number_at(NUMBER(keys[i])), i % 3 ? i : INT64_MIN);
        sound();
        for (int i = 0; i < KEYS; i += 3)
                OK(skep_dict_set(dict, NUMBER(keys[i]), NUMBER(i)));
        for (int i = KEYS; i-- > 0;) {
                ck_assert_int_eq(number_at(NUMBER(keys[i])), i);
                OK(skep_dict_delete(dict, NUMBER(keys[i])));
        }
        sound();
}
END_TEST

/* Beside an array of what should be there. */
START_TEST(a_long_walk_at_random_is_what_a_model_says)
{
        enum { KEYS = 60 };
        int64_t model[KEYS];
        uint64_t random = 12345;
        for (int i = 0; i < KEYS; i++)
                model[i] = INT64_MIN;
        for (int64_t turn = 0; turn < 30000; turn++) {
                random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
                int64_t key = (int64_t)(random >> 33) % KEYS;
                if (random >> 60 < (turn / 3000 % 2 ? 10 : 5)) { /* it swells, and it ebbs */
                        OK(skep_dict_set(dict, NUMBER(key), NUMBER(turn)));
                        model[key] = turn;
                } else {
                        ck_assert_int_eq(skep_dict_delete(dict, NUMBER(key)), model[key] == INT64_MIN ? -ENOENT : 0);
                        model[key] = INT64_MIN;
                }
                if (turn % 100 == 0) {
                        for (int64_t i = 0; i < KEYS; i++)
                                ck_assert_int_eq(number_at(NUMBER(i)), model[i]);
                        sound();
                }
        }
}
END_TEST

START_TEST(update_of_many_and_clear)
{
        struct skep_dict_entry entries[300] = {0};
        char texts[300][64];
        OK(skep_dict_set(dict, NUMBER(1), TEXT(text_of(1, 200))));
        OK(skep_dict_set(dict, NUMBER(2), NUMBER(2)));
        OK(skep_dict_update(dict, NULL, 0));
        for (int i = 0; i < 300; i++) {
                snprintf(texts[i], sizeof texts[i], "a key that is longer than its cell has room for: %d", i);
                entries[i] = (struct skep_dict_entry){.key = skep_item_text(texts[i]), .value = skep_item_integer(i)};
        }
        entries[0].key = skep_item_integer(1);
        entries[10].key = skep_item_integer(2);
        entries[20].key = entries[25].key; /* twice: the last counts, the place is the first's */
        entries[30].key = entries[29].key;
        entries[30].value = skep_item_text("a value that is longer than its cell has room for");
        OK(skep_dict_update(dict, entries, 300));
        ck_assert_uint_eq(length(dict), 298);
        ck_assert_int_eq(number_at(NUMBER(1)), 0);
        ck_assert_int_eq(number_at(NUMBER(2)), 10);
        ck_assert_int_eq(number_at(TEXT(texts[25])), 25);
        ck_assert_int_eq(number_at(TEXT(texts[299])), 299);
        struct skep_item value;
        OK(skep_dict_get(dict, TEXT(texts[29]), &value, NULL));
        ck_assert(skep_item_equal(&value, &entries[30].value));
        skep_item_clear(&value);
        sound();
        entries[299].value.kind = 77;
        ck_assert_int_eq(skep_dict_update(dict, entries, 300), -EINVAL);
        entries[299].value = skep_item_none();
        entries[299].key.kind = SKEP_ITEM_OBJECT;
        ck_assert_int_eq(skep_dict_update(dict, entries, 300), -EINVAL);
        OK(skep_dict_clear(dict));
        ck_assert_uint_eq(length(dict), 0);
        ck_assert_uint_eq(blocks(), 2);
        OK(skep_dict_clear(dict));
        OK(skep_dict_update(dict, entries, 2));
        ck_assert_uint_eq(length(dict), 2);
}
END_TEST

/* --- what lies in blocks ------------------------------------------------------------------------------------------------------------- */

START_TEST(long_keys_and_values_come_and_go)
{
        struct skep_item value;
        for (int64_t size = 20; size < 20000; size = size * 3 / 2) {
                const char *text = text_of(size, (size_t)size);
                if (size <= 16384)
                        OK(skep_dict_set(dict, TEXT(text), NUMBER(size)));
                OK(skep_dict_set(dict, NUMBER(size), TEXT(text)));
        }
        for (int64_t size = 20; size < 20000; size = size * 3 / 2) {
                const char *text = text_of(size, (size_t)size);
                if (size <= 16384)
                        ck_assert_int_eq(number_at(TEXT(text)), size);
                OK(skep_dict_get(dict, NUMBER(size), &value, NULL));
                ck_assert(skep_item_equal(&value, TEXT(text)));
                OK(skep_dict_set(dict, NUMBER(size), NUMBER(1)));
                ck_assert(skep_item_equal(&value, TEXT(text))); /* ours as long as we want */
                skep_item_clear(&value);
                if (size <= 16384)
                        OK(skep_dict_delete(dict, TEXT(text)));
        }
        OK(skep_dict_clear(dict));
        ck_assert_uint_eq(blocks(), 2);
}
END_TEST

START_TEST(an_array_is_held_by_reference)
{
        skep_array *array;
        struct skep_item value;
        uint64_t before = blocks();
        OK(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_I32, .dimension_count = 1, .shape = (const uint64_t[]){1000}), &array));
        ((int32_t *)skep_array_data(array))[7] = 7;
        OK(skep_dict_set(dict, TEXT("a"), &(struct skep_item){.kind = SKEP_ITEM_ARRAY, .array = array}));
        ((int32_t *)skep_array_data(array))[8] = 8;
        skep_array_unref(array);
        OK(skep_dict_get(dict, TEXT("a"), &value, NULL));
        ck_assert_uint_eq(value.kind, SKEP_ITEM_ARRAY);
        const int32_t *elements = skep_array_data(value.array);
        ck_assert(elements[7] == 7 && elements[8] == 8);
        OK(skep_dict_delete(dict, TEXT("a")));
        ck_assert_int_eq(elements[7], 7);
        skep_item_clear(&value);
        ck_assert_uint_eq(blocks(), before);
}
END_TEST

static struct skep_item object_of(skep_block reference)
{
        return skep_item_object(reference);
}

START_TEST(containers_nest_and_go_with_their_last_reference)
{
        skep_dict *inner;
        skep_lock *lock;
        struct skep_item value;
        uint64_t before = blocks();
        OK(skep_dict_create(hive, NULL, &inner));
        OK(skep_lock_create(hive, NULL, &lock));
        struct skep_item held = object_of(skep_lock_reference(lock));
        OK(skep_dict_set(inner, TEXT("lock"), &held));
        held = object_of(skep_dict_reference(inner));
        OK(skep_dict_set(dict, TEXT("inner"), &held));
        OK(skep_dict_set(dict, TEXT("again"), &held));
        skep_dict_unref(inner);
        skep_lock_unref(lock);
        OK(skep_dict_get(dict, TEXT("inner"), &value, NULL));
        ck_assert_uint_eq(value.kind, SKEP_ITEM_OBJECT);
        OK(skep_dict_delete(dict, TEXT("again")));
        OK(skep_dict_delete(dict, TEXT("inner")));
        OK(skep_dict_attach(hive, value.object, &inner));
        skep_item_clear(&value);
        OK(skep_dict_get(inner, TEXT("lock"), &value, NULL));
        OK(skep_lock_attach(hive, value.object, &lock));
        skep_item_clear(&value);
        skep_dict_unref(inner);
        skep_lock_unref(lock);
        ck_assert_uint_eq(blocks(), before);
        ck_assert_int_eq(skep_dict_set(dict, TEXT("gone"), &held), -ESTALE);
        ck_assert_uint_eq(length(dict), 0);
}
END_TEST

START_TEST(a_very_deep_nest_goes)
{
        uint64_t before = blocks();
        skep_dict *outer, *inner;
        OK(skep_dict_create(hive, NULL, &inner));
        for (int i = 0; i < 2000; i++) {
                OK(skep_dict_create(hive, NULL, &outer));
                struct skep_item held = object_of(skep_dict_reference(inner));
                OK(skep_dict_set(outer, NUMBER(i), &held));
                skep_dict_unref(inner);
                inner = outer;
        }
        skep_dict_unref(outer);
        ck_assert_uint_eq(blocks(), before);
}
END_TEST

/* --- full, damaged ---------------------------------------------------------------------------------------------------------------------- */

START_TEST(a_full_hive_leaves_the_dict_as_it_was)
{
        skep_hive *small;
        skep_dict *full;
        struct skep_verify_report report;
        struct skep_item value;
        OK(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 4u << 20, .member_max = 8, .agent_max = 8), &small));
        OK(skep_dict_create(small, NULL, &full));
        int64_t there = 0;
        int result;
        while ((result = skep_dict_set(full, NUMBER(there), TEXT(text_of(there, 15000)))) == 0)
                there++;
        ck_assert_int_eq(result, -ENOSPC);
        ck_assert_int_gt(there, 20);
        ck_assert_int_eq(skep_dict_set(full, NUMBER(0), TEXT(text_of(1, 15000))), -ENOSPC);
        struct skep_dict_entry many[100] = {0};
        for (int i = 0; i < 100; i++)
                many[i] = (struct skep_dict_entry){.key = skep_item_integer(i), .value = i < 99 ? skep_item_integer(-1) : *TEXT(text_of(1, 15000))};
        ck_assert_int_eq(skep_dict_update(full, many, 100), -ENOSPC);
        ck_assert_uint_eq(length(full), (uint64_t)there);
        for (int64_t i = 0; i < there; i++) {
                OK(skep_dict_get(full, NUMBER(i), &value, NULL));
                ck_assert(skep_item_equal(&value, TEXT(text_of(i, 15000))));
                skep_item_clear(&value);
        }
        ck_assert_msg(skep_hive_verify(small, &report) == 0, "%s", report.first);
        while ((result = skep_dict_set(full, NUMBER(there), NUMBER(there))) == 0)
                there++; /* until no longer table fits */
        ck_assert_int_eq(result, -ENOSPC);
        ck_assert_uint_eq(length(full), (uint64_t)there);
        ck_assert_msg(skep_hive_verify(small, &report) == 0, "%s", report.first);
        for (int64_t i = 0; i < there; i++)
                OK(skep_dict_delete(full, NUMBER(i)));
        OK(skep_dict_set(full, NUMBER(1), TEXT(text_of(1, 15000))));
        skep_dict_unref(full);
        skep_hive_detach(small);
}
END_TEST

START_TEST(a_key_that_finds_no_room_for_itself_leaves_no_trace)
{
        skep_hive *small;
        skep_dict *full;
        struct skep_verify_report report;
        OK(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 4u << 20, .member_max = 8, .agent_max = 8), &small));
        OK(skep_dict_create(small, SKEP_DICT_OPTIONS(.capacity = 5000), &full));
        int64_t there = 0;
        int result;
        while ((result = skep_dict_set(full, TEXT(text_of(there, 15000)), NUMBER(there))) == 0)
                there++;
        ck_assert_int_eq(result, -ENOSPC);
        struct skep_dict_entry many[3] = {0};
        many[0] = (struct skep_dict_entry){.key = skep_item_integer(1), .value = skep_item_integer(1)};
        many[1] = (struct skep_dict_entry){.key = *TEXT(text_of(1, 15000)), .value = skep_item_integer(-1)};
        static char long_key[15001];
        memset(long_key, 'x', 15000);
        many[2] = (struct skep_dict_entry){.key = skep_item_text(long_key), .value = skep_item_integer(1)};
        ck_assert_int_eq(skep_dict_update(full, many, 3), -ENOSPC);
        ck_assert_uint_eq(length(full), (uint64_t)there);
        ck_assert_int_eq(skep_dict_contains(full, NUMBER(1)), 0);
        for (int64_t i = 0; i < there; i++) {
                struct skep_item value;
                OK(skep_dict_get(full, TEXT(text_of(i, 15000)), &value, NULL));
                ck_assert_int_eq(value.integer, i);
        }
        ck_assert_msg(skep_hive_verify(small, &report) == 0, "%s", report.first);
        skep_dict_unref(full);
        skep_hive_detach(small);
}
END_TEST

START_TEST(a_damaged_table_is_refused)
{
        struct skep_item value;
        uint64_t count, saved;
        OK(skep_dict_set(dict, NUMBER(1), NUMBER(1)));
        struct shm_table *table = store_table(&dict->store);
        uint64_t *words[] = {&table->cell_max, &table->cells_at, &table->cell_bytes, &table->index_slots};
        for (size_t i = 0; i < 4; i++) {
                saved = *words[i];
                *words[i] = UINT64_C(0x123456789);
                ck_assert_int_eq(skep_dict_get(dict, NUMBER(1), &value, NULL), -EBADMSG);
                ck_assert_int_eq(skep_dict_set(dict, NUMBER(1), NUMBER(2)), -EBADMSG);
                ck_assert_int_eq(skep_dict_length(dict, &count), -EBADMSG);
                ck_assert_int_eq(skep_dict_clear(dict), -EBADMSG);
                ck_assert_int_eq(skep_hive_verify(hive, NULL), -EBADMSG);
                *words[i] = saved;
        }
        uint64_t *tables = dict->store.shared->tables, which = tables[1] != 0;
        skep_dict *fresh; /* who has seen the table knows where it is */
        saved = tables[which];
        tables[which] = UINT64_C(0x123456789);
        OK(skep_dict_attach(hive, skep_dict_reference(dict), &fresh));
        ck_assert_int_eq(skep_dict_get(fresh, NUMBER(1), &value, NULL), -EBADMSG);
        ck_assert_int_eq(skep_dict_set(fresh, NUMBER(1), NUMBER(2)), -EBADMSG);
        ck_assert_int_eq(skep_hive_verify(hive, NULL), -EBADMSG);
        skep_dict_unref(fresh);
        tables[which] = saved;
        uint64_t *index = table_index(table), at = 0;
        while (!index[at])
                at++;
        saved = index[at];
        index[at] = 0;
        ck_assert_int_eq(skep_hive_verify(hive, NULL), -EBADMSG);
        index[at] = saved + 1;
        ck_assert_int_eq(skep_hive_verify(hive, NULL), -EBADMSG);
        index[at] = saved;
        for (uint64_t slots = 0; slots <= 3; slots += 3) { /* a mask needs a power of two */
                table->index_slots = slots;
                ck_assert_int_eq(skep_dict_get(dict, NUMBER(1), &value, NULL), -EBADMSG);
                ck_assert_int_eq(skep_dict_set(dict, NUMBER(1), NUMBER(2)), -EBADMSG);
        }
        table->index_slots = 2 * DICT_CELL_MIN;
        sound();
        ck_assert_int_eq(number_at(NUMBER(1)), 1);
}
END_TEST

/* --- several processes -------------------------------------------------------------------------------------------------------------------- */

START_TEST(who_waits_for_a_key_gets_it)
{
        struct skep_item value;
        uint64_t version;
        ck_assert_int_eq(skep_dict_wait(dict, TEXT("k"), 0, &value, NULL, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(skep_dict_wait(dict, TEXT("k"), 0, &value, NULL, skep_within_ns(MS)), -ETIMEDOUT);
        pid_t child = branch();
        if (!child) {
                int result = skep_dict_wait(dict, TEXT("k"), 0, &value, &version, LONG);
                if (result < 0 || value.integer != 5)
                        _exit(1);
                result = skep_dict_wait(dict, TEXT("k"), version, &value, &version, LONG);
                if (result < 0 || value.integer != 6)
                        _exit(2);
                result = skep_dict_wait(dict, TEXT("k"), version, &value, &version, LONG);
                _exit(result < 0 || value.kind != SKEP_ITEM_NONE || version ? 3 : 0);
        }
        until_asleep(hive, "dict", 1);
        OK(skep_dict_set(dict, TEXT("other"), NUMBER(4)));
        OK(skep_dict_set(dict, TEXT("k"), NUMBER(5)));
        until_asleep(hive, "dict", 1);
        OK(skep_dict_set(dict, TEXT("k"), NUMBER(6)));
        until_asleep(hive, "dict", 1);
        OK(skep_dict_delete(dict, TEXT("k")));
        ck_assert_int_eq(ended(child), 0);
}
END_TEST

START_TEST(four_processes_count_together)
{
        pid_t children[4];
        for (int i = 0; i < 4; i++) {
                children[i] = branch();
                for (int64_t n = 0; n < 5000 && !children[i]; n++)
                        if (skep_dict_add(dict, NUMBER(n % 17), NUMBER(1), SKEP_DICT_MISSING_IS_ZERO, NULL) < 0)
                                _exit(1);
                if (!children[i])
                        _exit(0);
        }
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(ended(children[i]), 0);
        int64_t sum = 0;
        for (int64_t n = 0; n < 17; n++)
                sum += number_at(NUMBER(n));
        ck_assert_int_eq(sum, 20000);
}
END_TEST

START_TEST(what_a_killed_holder_held_goes)
{
        uint64_t before = blocks();
        pid_t child = branch();
        if (!child) {
                skep_dict *own;
                if (skep_dict_create(hive, SKEP_DICT_OPTIONS(.capacity = 100), &own) < 0)
                        _exit(1);
                for (int64_t i = 0; i < 100; i++)
                        if (skep_dict_set(own, TEXT(text_of(i, 60)), TEXT(text_of(i, 90))) < 0)
                                _exit(1);
                die();
        }
        ck_assert_int_eq(ended(child), -SIGKILL);
        OK(skep_hive_reap(hive, NULL));
        ck_assert_uint_eq(blocks(), before);
}
END_TEST

static int find_info(const struct skep_object_info *info, void *context)
{
        struct skep_object_info *wanted = context;
        if (info->reference.offset == wanted->reference.offset)
                *wanted = *info;
        return 0;
}

START_TEST(a_namespace_is_a_dict_of_texts)
{
        skep_namespace *space, *same;
        skep_dict *other;
        struct skep_item value;
        struct skep_dict_entry *entries;
        uint64_t count;
        OK(skep_namespace_create(hive, "n", &space));
        ck_assert_int_eq(skep_namespace_get(space, "x", &value), -ENOENT);
        OK(skep_namespace_set(space, "x", NUMBER(1)));
        OK(skep_namespace_set(space, "y", TEXT("two")));
        OK(skep_namespace_open(hive, "n", &same));
        OK(skep_namespace_get(same, "x", &value));
        ck_assert_int_eq(value.integer, 1);
        OK(skep_dict_add(same, TEXT("x"), NUMBER(1), 0, NULL));
        OK(skep_dict_snapshot(space, 0, &entries, &count));
        ck_assert_uint_eq(count, 2);
        ck_assert_int_eq(entries[0].value.integer, 2);
        skep_dict_entries_free(entries, count);
        OK(skep_namespace_delete(space, "y"));
        ck_assert_int_eq(skep_namespace_delete(space, "y"), -ENOENT);
        ck_assert_int_eq(skep_dict_open(hive, "n", &other), -EPROTOTYPE);
        ck_assert_int_eq(skep_dict_attach(hive, skep_namespace_reference(space), &other), -EPROTOTYPE);
        struct skep_object_info info = {.reference = skep_namespace_reference(space)};
        OK(skep_hive_objects(hive, find_info, &info));
        ck_assert_str_eq(info.kind, "namespace");
        ck_assert_uint_eq(info.value, 1);
        skep_namespace_unref(same);
        skep_namespace_unref(space);
        OK(skep_hive_forget(hive, "n"));
}
END_TEST

int main(void)
{
        return RUN_TESTS("dict", setup, teardown, set_get_and_delete, many_are_got_at_once, keys_of_every_kind,
                         numbers_that_are_equal_are_one_key_and_the_first_stays, pop_popitem_and_setdefault, versions_tell_what_was_set_since,
                         adding_to_numbers, it_grows_to_many_keys_and_shrinks_again, a_stack_and_a_queue_of_keys_stay_small,
                         keys_that_collide, a_long_walk_at_random_is_what_a_model_says,
                         update_of_many_and_clear, long_keys_and_values_come_and_go, an_array_is_held_by_reference,
                         containers_nest_and_go_with_their_last_reference, a_very_deep_nest_goes, a_full_hive_leaves_the_dict_as_it_was,
                         a_key_that_finds_no_room_for_itself_leaves_no_trace, a_damaged_table_is_refused, who_waits_for_a_key_gets_it,
                         four_processes_count_together, what_a_killed_holder_held_goes, a_namespace_is_a_dict_of_texts);
}
