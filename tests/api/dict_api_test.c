/* SPDX-License-Identifier: Apache-2.0 */
/* dict_api_test.c - a dict, a namespace and items through libskep.so, by two processes. */
#include "support/people.h"

static skep_hive *hive;
static skep_dict *dict;

#define OK(call) ck_assert_int_eq((call), 0)

static void setup(void)
{
        OK(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 16u << 20), &hive));
        OK(skep_dict_create(hive, SKEP_DICT_OPTIONS(.name = "d", .capacity = 100), &dict));
}

static void teardown(void)
{
        struct skep_hive_stat stat;
        OK(skep_hive_forget(hive, "d"));
        dict = skep_dict_unref(dict);
        OK(skep_hive_reap(hive, NULL));
        OK(skep_hive_stat(hive, &stat));
        ck_assert_uint_eq(stat.blocks, 0);
        hive = skep_hive_detach(hive);
}

START_TEST(every_function_of_a_dict)
{
        struct skep_item key = skep_item_text("key"), one = skep_item_integer(1), value, other;
        struct skep_dict_entry *entries, many[2] = {{.key = skep_item_text("a"), .value = skep_item_float(0.5)}, {.key = key, .value = one}};
        uint64_t version, count;
        skep_dict *same;
        OK(skep_dict_set(dict, &key, &one));
        OK(skep_dict_get(dict, &key, &value, &version));
        ck_assert(skep_item_equal(&value, &one));
        ck_assert_int_eq(skep_dict_contains(dict, &key), 1);
        OK(skep_dict_set_if(dict, &key, version, &key, &version));
        OK(skep_dict_get(dict, &key, &value, NULL));
        size_t bytes;
        ck_assert_int_eq(memcmp(skep_item_data(&value, &bytes), "key", 3), 0);
        ck_assert_uint_eq(bytes, 3);
        skep_item_clear(&value);
        ck_assert_uint_eq(value.kind, SKEP_ITEM_NONE);
        OK(skep_dict_delete_if(dict, &key, version));
        OK(skep_dict_add(dict, &key, &one, SKEP_DICT_MISSING_IS_ZERO, &value));
        ck_assert_int_eq(skep_dict_setdefault(dict, &key, &key, &value), 1);
        OK(skep_dict_update(dict, many, 2));
        OK(skep_dict_wait(dict, &key, 0, &value, &version, skep_nowait()));
        OK(skep_dict_length(dict, &count));
        ck_assert_uint_eq(count, 2);
        struct skep_dict_entry wanted[] = {{key, skep_item_none(), 0}, {skep_item_text("nowhere"), one, 1}};
        OK(skep_dict_get_many(dict, wanted, 2, &count));
        ck_assert_uint_eq(count, 1);
        ck_assert(wanted[0].version && !wanted[1].version);
        skep_item_clear(&wanted[0].value);
        OK(skep_dict_length(dict, &count));
        OK(skep_dict_snapshot(dict, 0, &entries, &count));
        ck_assert_uint_eq(count, 2);
        ck_assert(skep_item_equal(&entries[0].key, &key));
        skep_dict_entries_free(entries, count);
        OK(skep_dict_popitem(dict, &other, &value));
        ck_assert(value.real == 0.5);
        skep_item_clear(&other);
        OK(skep_dict_pop(dict, &key, &value));
        ck_assert_int_eq(skep_dict_delete(dict, &key), -ENOENT);
        OK(skep_dict_clear(dict));
        OK(skep_dict_attach(hive, skep_dict_reference(dict), &same));
        ck_assert_ptr_eq(skep_dict_hive(same), hive);
        skep_dict_unref(same);
        OK(skep_dict_open(hive, "d", &same));
        skep_dict_unref(same);
        ck_assert_str_eq(skep_object_kind(hive, skep_dict_reference(dict)), "dict");
}
END_TEST

START_TEST(every_function_of_a_namespace)
{
        struct skep_item one = skep_item_integer(1), value;
        skep_namespace *space, *same;
        OK(skep_namespace_create(hive, "n", &space));
        OK(skep_namespace_set(space, "x", &one));
        OK(skep_namespace_open(hive, "n", &same));
        OK(skep_namespace_get(same, "x", &value));
        ck_assert(skep_item_equal(&value, &one));
        skep_namespace_unref(same);
        OK(skep_namespace_attach(hive, skep_namespace_reference(space), &same));
        OK(skep_namespace_delete(same, "x"));
        ck_assert_int_eq(skep_namespace_get(space, "x", &value), -ENOENT);
        skep_namespace_unref(same);
        skep_namespace_unref(space);
        OK(skep_hive_forget(hive, "n"));
}
END_TEST

START_TEST(an_array_and_an_answer_between_processes)
{
        struct skep_item question = skep_item_text("question"), answer = skep_item_text("answer"), value;
        skep_array *array;
        pid_t child = branch();
        if (!child) {
                if (skep_dict_wait(dict, &question, 0, &value, NULL, LONG) < 0 || value.kind != SKEP_ITEM_ARRAY)
                        _exit(1);
                ((double *)skep_array_data(value.array))[1] *= 2;
                struct skep_item two = skep_item_integer(2);
                _exit(skep_dict_set(dict, &answer, &two) < 0);
        }
        OK(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_F64, .dimension_count = 1, .shape = (const uint64_t[]){4}), &array));
        ((double *)skep_array_data(array))[1] = 1.5;
        value = skep_item_array(array);
        OK(skep_dict_set(dict, &question, &value));
        OK(skep_dict_wait(dict, &answer, 0, &value, NULL, LONG));
        ck_assert_int_eq(value.integer, 2);
        ck_assert(((double *)skep_array_data(array))[1] == 3);
        skep_array_unref(array);
        ck_assert_int_eq(ended(child), 0);
}
END_TEST

int main(void)
{
        return RUN_TESTS("dict_api", setup, teardown, every_function_of_a_dict, every_function_of_a_namespace, an_array_and_an_answer_between_processes);
}
