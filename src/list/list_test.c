/* SPDX-License-Identifier: Apache-2.0 */
/* list_test.c - every operation against a plain array, items of all kinds, versions, names. ctest: timeout=60 */
#include "support/suite.h"

#include <errno.h>
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static skep_hive *hive;
static skep_list *list;

static uint64_t block_count(void)
{
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        return stat.blocks;
}

static void set_up(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 64u << 20, .agent_max = 64), &hive), 0);
        ck_assert_int_eq(skep_list_create(hive, NULL, &list), 0);
}

static void tear_down(void)
{
        struct skep_verify_report report;
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s", report.first);
        list = skep_list_unref(list);
        ck_assert_uint_eq(block_count(), 0);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s", report.first);
        hive = skep_hive_detach(hive);
}

/* --- a number, as an item that lies in the cell or in a block --------------------------------------------------------------------------- */

#define NUMBER_MAX 3000
static char texts[NUMBER_MAX][64];

static struct skep_item item_of(int number)
{
        if (number % 2 == 0)
                return skep_item_integer(number);
        snprintf(texts[number], sizeof texts[number], "an item that does not fit into its cell: %d", number);
        return skep_item_text(texts[number]);
}

static int number_of(const struct skep_item *item)
{
        size_t bytes;
        if (item->kind == SKEP_ITEM_INTEGER)
                return (int)item->integer;
        const char *text = skep_item_data(item, &bytes);
        char copy[64] = {0};
        ck_assert(text && bytes < sizeof copy);
        memcpy(copy, text, bytes);
        return atoi(strrchr(copy, ' '));
}

static int at(int64_t index)
{
        struct skep_item item;
        ck_assert_int_eq(skep_list_get(list, index, &item, NULL), 0);
        int number = number_of(&item);
        skep_item_clear(&item);
        return number;
}

static void append(int number)
{
        struct skep_item item = item_of(number);
        ck_assert_int_eq(skep_list_append(list, &item), 0);
}

static uint64_t length(void)
{
        uint64_t length;
        ck_assert_int_eq(skep_list_length(list, &length), 0);
        return length;
}

static void is(const int *expected, uint64_t count)
{
        struct skep_list_entry *entries;
        uint64_t found;
        ck_assert_uint_eq(length(), count);
        ck_assert_int_eq(skep_list_get_slice(list, SKEP_SLICE_ALL, &entries, &found), 0);
        ck_assert_uint_eq(found, count);
        for (uint64_t i = 0; i < count; i++) {
                ck_assert_int_eq(number_of(&entries[i].item), expected[i]);
                if (i < 5 || i > count - 5)
                        ck_assert_int_eq(at((int64_t)i), expected[i]);
        }
        skep_list_entries_free(entries, found);
}
#define IS(...) is((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

START_TEST(items_are_found_from_both_ends)
{
        for (int i = 0; i < 100; i++)
                append(i);
        for (int i = 0; i < 100; i++) {
                ck_assert_int_eq(at(i), i);
                ck_assert_int_eq(at(i - 100), i);
        }
        ck_assert_int_eq(skep_list_get(list, 100, NULL, NULL), -ERANGE);
        ck_assert_int_eq(skep_list_get(list, -101, NULL, NULL), -ERANGE);
        ck_assert_int_eq(skep_list_get(list, INT64_MIN, NULL, NULL), -ERANGE);
        ck_assert_int_eq(skep_list_get(list, INT64_MAX, NULL, NULL), -ERANGE);
        ck_assert_int_eq(skep_list_get(list, 99, NULL, NULL), 0);
}
END_TEST

START_TEST(each_operation_does_what_it_says)
{
        struct skep_item items[4], got;
        uint64_t index, count;
        for (int i = 0; i < 4; i++)
                items[i] = item_of(10 + i);
        ck_assert_int_eq(skep_list_extend(list, items, 4), 0);
        IS(10, 11, 12, 13);
        ck_assert_int_eq(skep_list_insert(list, 1, &items[3]), 0);
        ck_assert_int_eq(skep_list_insert(list, -1, &items[2]), 0);
        ck_assert_int_eq(skep_list_insert(list, 99, &items[1]), 0);
        ck_assert_int_eq(skep_list_insert(list, -99, &items[0]), 0);
        IS(10, 10, 13, 11, 12, 12, 13, 11);
        ck_assert_int_eq(skep_list_count(list, &items[0], &count), 0);
        ck_assert_uint_eq(count, 2);
        ck_assert_int_eq(skep_list_index(list, &items[1], 0, INT64_MAX, &index), 0);
        ck_assert_uint_eq(index, 3);
        ck_assert_int_eq(skep_list_index(list, &items[1], 4, INT64_MAX, &index), 0);
        ck_assert_uint_eq(index, 7);
        ck_assert_int_eq(skep_list_index(list, &items[1], 4, -1, &index), -ENOENT);
        ck_assert_int_eq(skep_list_remove(list, &items[3]), 0);
        IS(10, 10, 11, 12, 12, 13, 11);
        ck_assert_int_eq(skep_list_remove(list, &items[3]), 0);
        ck_assert_int_eq(skep_list_remove(list, &items[3]), -ENOENT);
        ck_assert_int_eq(skep_list_pop(list, -1, &got), 0);
        ck_assert_int_eq(number_of(&got), 11);
        skep_item_clear(&got);
        ck_assert_int_eq(skep_list_pop(list, 1, &got), 0);
        ck_assert_int_eq(number_of(&got), 10);
        skep_item_clear(&got);
        ck_assert_int_eq(skep_list_pop(list, 4, NULL), -ERANGE);
        IS(10, 11, 12, 12);
        ck_assert_int_eq(skep_list_set(list, 2, &items[3]), 0);
        ck_assert_int_eq(skep_list_set(list, -5, &items[3]), -ERANGE);
        ck_assert_int_eq(skep_list_reverse(list), 0);
        IS(12, 13, 11, 10);
        ck_assert_int_eq(skep_list_repeat(list, 3), 0);
        IS(12, 13, 11, 10, 12, 13, 11, 10, 12, 13, 11, 10);
        ck_assert_int_eq(skep_list_repeat(list, 1), 0);
        ck_assert_int_eq(skep_list_repeat(list, UINT64_MAX), -EOVERFLOW);
        ck_assert_uint_eq(length(), 12);
        ck_assert_int_eq(skep_list_clear(list), 0);
        is(NULL, 0);
        ck_assert_int_eq(skep_list_pop(list, -1, &got), -ERANGE);
        ck_assert_int_eq(skep_list_clear(list), 0);
        ck_assert_int_eq(skep_list_reverse(list), 0);
        append(5);
        ck_assert_int_eq(skep_list_repeat(list, 0), 0);
        is(NULL, 0);
}
END_TEST

/* --- slices, and long random work, against a plain array --------------------------------------------------------------------------------- */

static int model[NUMBER_MAX];
static int model_count;

/* The indices of a slice, found by trying all. */
static int slice_of(struct skep_slice slice, int indices[NUMBER_MAX])
{
        int64_t step = slice.step ? slice.step : 1;
        int count = 0;
        int64_t start = slice.start < 0 ? slice.start + model_count : slice.start, stop = slice.stop < 0 ? slice.stop + model_count : slice.stop;
        if (step > 0 && start < 0)
                start = 0;
        if (step < 0 && start >= model_count)
                start = model_count - 1;
        for (int64_t i = start; step > 0 ? i < stop && i < model_count : i > stop && i >= 0; i += step)
                indices[count++] = (int)i;
        return count;
}

static void model_splice(int from, int gone, const int *numbers, int count)
{
        memmove(model + from + count, model + from + gone, sizeof(int) * (size_t)(model_count - from - gone));
        if (count) /* NULL then */
                memcpy(model + from, numbers, sizeof(int) * (size_t)count);
        model_count += count - gone;
}

static int64_t random_index(void)
{
        return random() % (model_count + 5) - (random() % 2 ? model_count + 3 : 0);
}

static struct skep_slice random_slice(void)
{
        int64_t step = random() % 3 ? 1 : random() % 9 - 4;
        return (struct skep_slice){random_index(), random_index(), step};
}

static void random_set_slice(void)
{
        struct skep_slice slice = random_slice();
        struct skep_item items[40];
        int indices[NUMBER_MAX], numbers[40], count = slice_of(slice, indices), given = (int)(random() % 10);
        bool is_run = slice.step == 0 || slice.step == 1;
        uint64_t wanted;
        if (!is_run)
                given = count <= 40 && random() % 4 ? count : given;
        for (int i = 0; i < given; i++)
                items[i] = item_of(numbers[i] = (int)(random() % NUMBER_MAX));
        int result = skep_list_set_slice(list, slice, items, (uint64_t)given, &wanted);
        ck_assert_int_eq((int)wanted, count);
        ck_assert_int_eq(result, is_run || given == count ? 0 : -ERANGE);
        if (is_run) {
                int64_t first = slice.start < 0 ? slice.start + model_count : slice.start;
                model_splice(first < 0 ? 0 : first > model_count ? model_count : (int)first, count, numbers, given);
        } else if (result == 0) {
                for (int i = 0; i < given; i++)
                        model[indices[i]] = numbers[i];
        }
}

static void random_delete_slice(void)
{
        struct skep_slice slice = random_slice();
        int indices[NUMBER_MAX], count = slice_of(slice, indices);
        ck_assert_int_eq(skep_list_delete_slice(list, slice), 0);
        for (int i = 0; i < count; i++) {
                int low = slice.step < 0 ? i : count - 1 - i; /* the last one first */
                model_splice(indices[low], 1, NULL, 0);
        }
}

static void random_get_slice(void)
{
        struct skep_slice slice = random_slice();
        struct skep_list_entry *entries;
        int indices[NUMBER_MAX], count = slice_of(slice, indices);
        uint64_t found;
        ck_assert_int_eq(skep_list_get_slice(list, slice, &entries, &found), 0);
        ck_assert_int_eq((int)found, count);
        for (int i = 0; i < count; i++)
                ck_assert_int_eq(number_of(&entries[i].item), model[indices[i]]);
        skep_list_entries_free(entries, found);
}

static void random_step(void)
{
        int number = (int)(random() % NUMBER_MAX), index = model_count ? (int)(random() % model_count) : 0;
        struct skep_item item = item_of(number);
        switch (random() % 12) {
        case 0:
        case 1:
        case 2:
                append(number);
                model[model_count++] = number;
                break;
        case 3:
                ck_assert_int_eq(skep_list_insert(list, index, &item), 0);
                model_splice(index, 0, &number, 1);
                break;
        case 4:
        case 5:
                ck_assert_int_eq(skep_list_pop(list, -1, NULL), model_count ? 0 : -ERANGE);
                model_count -= model_count > 0;
                break;
        case 6:
                ck_assert_int_eq(skep_list_pop(list, index, &item), model_count ? 0 : -ERANGE);
                if (model_count) {
                        ck_assert_int_eq(number_of(&item), model[index]);
                        skep_item_clear(&item);
                        model_splice(index, 1, NULL, 0);
                }
                break;
        case 7:
                ck_assert_int_eq(skep_list_set(list, index, &item), model_count ? 0 : -ERANGE);
                if (model_count)
                        model[index] = number;
                break;
        case 8:
                random_set_slice();
                break;
        case 9:
                random_delete_slice();
                break;
        case 10:
                random_get_slice();
                break;
        default:
                ck_assert_int_eq(skep_list_reverse(list), 0);
                for (int i = 0; i < model_count / 2; i++) {
                        int other = model[i];
                        model[i] = model[model_count - 1 - i];
                        model[model_count - 1 - i] = other;
                }
        }
}

START_TEST(long_random_work_gives_what_an_array_gives)
{
        srandom((unsigned)_i);
        model_count = 0;
        for (int i = 0; i < 3000; i++) {
                random_step();
                if (model_count > 200)
                        random_delete_slice();
                if (i % 50 == 0)
                        is(model, (uint64_t)model_count);
        }
        is(model, (uint64_t)model_count);
}
END_TEST

/* --- order ---------------------------------------------------------------------------------------------------------------------------------- */

static int by_tens(const struct skep_item *left, const struct skep_item *right, void *context)
{
        ++*(int *)context;
        return number_of(left) / 10 - number_of(right) / 10;
}

START_TEST(a_sort_keeps_the_order_of_equals)
{
        int calls = 0;
        for (int i = 0; i < 1000; i++)
                append((i * 7919 + 13) % 1000);
        ck_assert_int_eq(skep_list_sort(list, by_tens, &calls), 0);
        ck_assert_int_gt(calls, 1000);
        for (int i = 1; i < 1000; i++) {
                int before = at(i - 1), now = at(i);
                ck_assert_int_le(before / 10, now / 10);
                if (before / 10 == now / 10) { /* when they came: number = (i * 7919 + 13) % 1000 */
                        int came_before = 0, came = 0;
                        while ((came_before * 7919 + 13) % 1000 != before)
                                came_before++;
                        while ((came * 7919 + 13) % 1000 != now)
                                came++;
                        ck_assert_int_lt(came_before, came);
                }
        }
}
END_TEST

START_TEST(a_permutation_is_refused_when_the_list_has_changed)
{
        struct skep_list_entry *entries;
        uint64_t count, order[3] = {2, 0, 1}, twice[3] = {0, 0, 1}, beyond[3] = {0, 1, 3};
        struct skep_item item = item_of(7);
        for (int i = 0; i < 3; i++)
                append(i);
        ck_assert_int_eq(skep_list_get_slice(list, SKEP_SLICE_ALL, &entries, &count), 0);
        ck_assert_int_eq(skep_list_permute(list, entries, twice, count), -EINVAL);
        ck_assert_int_eq(skep_list_permute(list, entries, beyond, count), -EINVAL);
        ck_assert_int_eq(skep_list_permute(list, entries, order, 2), -EINVAL);
        ck_assert_int_eq(skep_list_permute(list, entries, order, count), 0);
        IS(2, 0, 1);
        ck_assert_int_eq(skep_list_permute(list, entries, order, count), -EAGAIN);
        skep_list_entries_free(entries, count);
        ck_assert_int_eq(skep_list_get_slice(list, SKEP_SLICE_ALL, &entries, &count), 0);
        ck_assert_int_eq(skep_list_set(list, 1, &item), 0);
        ck_assert_int_eq(skep_list_permute(list, entries, order, count), -EAGAIN);
        skep_list_entries_free(entries, count);
        IS(2, 7, 1);
}
END_TEST

/* --- versions, numbers, waiting ----------------------------------------------------------------------------------------------------------------- */

START_TEST(a_version_goes_with_its_item_and_comes_never_again)
{
        struct skep_item item = item_of(1), other = item_of(2);
        uint64_t version, again;
        append(0);
        append(1);
        ck_assert_int_eq(skep_list_get(list, 1, NULL, &version), 0);
        ck_assert_int_eq(skep_list_insert(list, 0, &other), 0);
        ck_assert_int_eq(skep_list_set_if(list, 1, version, &other), -EAGAIN);
        ck_assert_int_eq(skep_list_get(list, 2, NULL, &again), 0);
        ck_assert_uint_eq(again, version);
        ck_assert_int_eq(skep_list_set_if(list, 2, version, &item), 0);
        ck_assert_int_eq(skep_list_set_if(list, 2, version, &item), -EAGAIN);
        ck_assert_int_eq(skep_list_delete_if(list, 2, version), -EAGAIN);
        ck_assert_int_eq(skep_list_get(list, 2, NULL, &version), 0);
        ck_assert_uint_gt(version, again);
        ck_assert_int_eq(skep_list_delete_if(list, 2, version), 0);
        ck_assert_int_eq(skep_list_delete_if(list, 2, version), -ERANGE);
        append(1);
        ck_assert_int_eq(skep_list_delete_if(list, 2, version), -EAGAIN);
        IS(2, 0, 1);
}
END_TEST

START_TEST(numbers_are_added_to)
{
        struct skep_item two = skep_item_integer(2), half = skep_item_float(0.5), yes = skep_item_bool(true), text = skep_item_text("x"), sum;
        struct skep_item most = skep_item_integer(INT64_MAX);
        append(40);
        ck_assert_int_eq(skep_list_append(list, &text), 0);
        ck_assert_int_eq(skep_list_add(list, 0, &two, &sum), 0);
        ck_assert(sum.kind == SKEP_ITEM_INTEGER && sum.integer == 42);
        ck_assert_int_eq(skep_list_add(list, 0, &yes, NULL), 0);
        ck_assert_int_eq(skep_list_add(list, 0, &most, NULL), -EOVERFLOW);
        ck_assert_int_eq(at(0), 43);
        ck_assert_int_eq(skep_list_add(list, -2, &half, &sum), 0);
        ck_assert(sum.kind == SKEP_ITEM_FLOAT && sum.real == 43.5);
        ck_assert_int_eq(skep_list_add(list, 1, &two, NULL), -EPROTOTYPE);
        ck_assert_int_eq(skep_list_add(list, 0, &text, NULL), -EPROTOTYPE);
        ck_assert_int_eq(skep_list_add(list, 2, &two, NULL), -ERANGE);
}
END_TEST

START_TEST(a_wait_ends_with_each_change)
{
        struct skep_item item = item_of(1);
        uint64_t version, before;
        append(0);
        ck_assert_int_eq(skep_list_version(list, &version), 0);
        ck_assert_int_eq(skep_list_wait(list, version, skep_within_ns(1000000)), -ETIMEDOUT);
#define CHANGES(call) \
        before = version; \
        ck_assert_int_eq(call, 0); \
        ck_assert_int_eq(skep_list_wait(list, version, skep_forever()), 0); \
        ck_assert_int_eq(skep_list_version(list, &version), 0); \
        ck_assert_uint_gt(version, before);
        CHANGES(skep_list_append(list, &item))
        CHANGES(skep_list_set(list, 0, &item))
        CHANGES(skep_list_reverse(list))
        CHANGES(skep_list_pop(list, 0, NULL))
        CHANGES(skep_list_repeat(list, 2))
        CHANGES(skep_list_pop(list, -1, NULL))
        CHANGES(skep_list_clear(list))
}
END_TEST

/* --- items that refer to others ------------------------------------------------------------------------------------------------------------------ */

START_TEST(arrays_and_objects_are_references_and_live_with_the_list)
{
        uint64_t shape[] = {1000}, before;
        skep_array *array;
        skep_list *inner, *again;
        struct skep_item got;
        ck_assert_int_eq(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_F64, .dimension_count = 1, .shape = shape), &array), 0);
        ck_assert_int_eq(skep_list_create(hive, NULL, &inner), 0);
        struct skep_item five = skep_item_integer(5), items[] = {skep_item_array(array), skep_item_object(skep_list_reference(inner))};
        ck_assert_int_eq(skep_list_append(inner, &five), 0);
        ck_assert_int_eq(skep_list_extend(list, items, 2), 0);
        *(double *)skep_array_data(array) = 4.5;
        array = skep_array_unref(array);
        inner = skep_list_unref(inner);
        ck_assert_int_eq(skep_list_reverse(list), 0);
        ck_assert_int_eq(skep_list_repeat(list, 2), 0);
        before = block_count();
        ck_assert_int_eq(skep_list_get(list, 1, &got, NULL), 0);
        ck_assert_double_eq(*(double *)skep_array_data(got.array), 4.5);
        skep_item_clear(&got);
        ck_assert_int_eq(skep_list_get(list, 2, &got, NULL), 0);
        ck_assert_int_eq(got.kind, SKEP_ITEM_OBJECT);
        ck_assert_str_eq(skep_object_kind(hive, got.object), "list");
        ck_assert_int_eq(skep_list_attach(hive, got.object, &again), 0);
        skep_item_clear(&got);
        ck_assert_int_eq(skep_list_get(again, 0, &got, NULL), 0);
        ck_assert_int_eq((int)got.integer, 5);
        again = skep_list_unref(again);
        ck_assert_uint_eq(block_count(), before);
        ck_assert_int_eq(skep_list_clear(list), 0);
        ck_assert_uint_lt(block_count(), 5);
}
END_TEST

START_TEST(what_cannot_be_done_leaves_the_list_as_it_was)
{
        struct skep_item items[] = {item_of(1), {.kind = 77}, skep_item_object((skep_block){64, 3})};
        uint64_t blocks;
        append(0);
        append(1);
        blocks = block_count();
        ck_assert_int_eq(skep_list_extend(list, items, 2), -EINVAL);
        ck_assert_int_eq(skep_list_append(list, &items[1]), -EINVAL);
        ck_assert_int_eq(skep_list_set(list, 0, &items[2]), -ESTALE);
        ck_assert_int_eq(skep_list_set_slice(list, (struct skep_slice){0, 2, -1}, items, 1, NULL), -ERANGE);
        ck_assert_int_eq(skep_list_set(list, 9, &items[0]), -ERANGE);
        ck_assert_uint_eq(block_count(), blocks);
        IS(0, 1);
}
END_TEST

START_TEST(a_full_hive_leaves_the_list_as_it_was)
{
        static char large[1 << 20];
        struct skep_item item = skep_item_bytes(large, sizeof large);
        uint64_t count = 0;
        int result;
        while ((result = skep_list_append(list, &item)) == 0)
                count++;
        ck_assert_int_eq(result, -ENOSPC);
        ck_assert_uint_eq(length(), count);
        ck_assert_int_eq(skep_list_clear(list), 0);
        append(3);
        IS(3);
}
END_TEST

START_TEST(a_list_is_found_by_name_and_looked_at)
{
        skep_list *named, *found;
        skep_queue *queue;
        ck_assert_int_eq(skep_list_create(hive, SKEP_LIST_OPTIONS(.name = "results", .capacity = 1000), &named), 0);
        ck_assert_int_eq(skep_list_create(hive, SKEP_LIST_OPTIONS(.name = "results"), &found), -EEXIST);
        ck_assert_int_eq(skep_list_open(hive, "results", &found), 0);
        ck_assert_int_eq(skep_list_open(hive, "nothing", &found), -ENOENT);
        ck_assert_int_eq(skep_queue_open(hive, "results", &queue), -EPROTOTYPE);
        ck_assert(skep_list_hive(found) == hive);
        ck_assert_int_eq(skep_hive_forget(hive, "results"), 0);
        skep_list_unref(named);
        skep_list_unref(found);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("list");
        TCase *tests = tcase_create("list");
        tcase_add_checked_fixture(tests, set_up, tear_down);
        tcase_add_test(tests, items_are_found_from_both_ends);
        tcase_add_test(tests, each_operation_does_what_it_says);
        tcase_add_loop_test(tests, long_random_work_gives_what_an_array_gives, 0, 8);
        tcase_add_test(tests, a_sort_keeps_the_order_of_equals);
        tcase_add_test(tests, a_permutation_is_refused_when_the_list_has_changed);
        tcase_add_test(tests, a_version_goes_with_its_item_and_comes_never_again);
        tcase_add_test(tests, numbers_are_added_to);
        tcase_add_test(tests, a_wait_ends_with_each_change);
        tcase_add_test(tests, arrays_and_objects_are_references_and_live_with_the_list);
        tcase_add_test(tests, what_cannot_be_done_leaves_the_list_as_it_was);
        tcase_add_test(tests, a_full_hive_leaves_the_list_as_it_was);
        tcase_add_test(tests, a_list_is_found_by_name_and_looked_at);
        suite_add_tcase(suite, tests);
        return suite_run(suite);
}
