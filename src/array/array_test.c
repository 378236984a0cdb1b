/* SPDX-License-Identifier: Apache-2.0 */
/* array_test.c - arrays and blocks beneath them: shapes, views, bad input, a full hive. */
#include "support/suite.h"

#include <check.h>
#include <errno.h>
#include <skep/skep.h>
#include <string.h>

static skep_hive *hive;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
}

static void teardown(void)
{
        struct skep_hive_stat stat;
        struct skep_verify_report report;
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_msg(stat.blocks == 0, "%llu blocks leak", (unsigned long long)stat.blocks);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s", report.first);
        hive = skep_hive_detach(hive);
}

static int make(uint32_t element, uint32_t count, const uint64_t *shape, skep_array **ret_array)
{
        return skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = element, .dimension_count = count, .shape = shape), ret_array);
}

START_TEST(every_element_type_has_a_name_a_size_and_zeros)
{
        for (uint32_t element = 1; element < SKEP_ELEMENT_COUNT; element++) {
                skep_array *array;
                ck_assert_ptr_nonnull(skep_element_name(element));
                ck_assert_int_eq(make(element, 2, (const uint64_t[]){3, 5}, &array), 0);
                ck_assert_uint_eq(skep_array_bytes(array), 15 * skep_element_bytes(element));
                for (uint64_t i = 0; i < skep_array_bytes(array); i++)
                        ck_assert_int_eq(((unsigned char *)skep_array_data(array))[i], 0);
                skep_array_unref(array);
        }
        ck_assert_uint_eq(skep_element_bytes(0) + skep_element_bytes(SKEP_ELEMENT_COUNT), 0);
}
END_TEST

START_TEST(shapes_from_none_to_32_dimensions_are_taken_and_33_refused)
{
        uint64_t shape[33];
        skep_array *array;
        for (int i = 0; i < 33; i++)
                shape[i] = i < 10 ? 2 : 1;
        ck_assert_int_eq(make(SKEP_ELEMENT_U8, 32, shape, &array), 0);
        ck_assert_uint_eq(skep_array_count(array), 1024);
        skep_array_unref(array);
        ck_assert_int_eq(make(SKEP_ELEMENT_U8, 33, shape, &array), -EINVAL);
        ck_assert_int_eq(make(SKEP_ELEMENT_F64, 0, NULL, &array), 0);
        ck_assert_uint_eq(skep_array_count(array), 1);
        skep_array_unref(array);
        ck_assert_int_eq(make(SKEP_ELEMENT_F64, 2, (const uint64_t[]){0, UINT64_MAX}, &array), 0);
        ck_assert_uint_eq(skep_array_bytes(array), 0);
        skep_array_unref(array);
}
END_TEST

START_TEST(sizes_that_overflow_are_refused)
{
        skep_array *array;
        skep_block block;
        ck_assert_int_eq(make(SKEP_ELEMENT_F64, 2, (const uint64_t[]){UINT64_C(1) << 40, UINT64_C(1) << 40}, &array), -EOVERFLOW);
        ck_assert_int_eq(make(SKEP_ELEMENT_F64, 1, (const uint64_t[]){UINT64_C(1) << 60}, &array), -EOVERFLOW);
        ck_assert_int_eq(make(SKEP_ELEMENT_F64, 1, (const uint64_t[]){UINT64_C(1) << 40}, &array), -ENOSPC);
        ck_assert_int_eq(make(99, 1, (const uint64_t[]){1}, &array), -EINVAL);
        ck_assert_int_eq(make(SKEP_ELEMENT_U8, 1, NULL, &array), -EINVAL);
        ck_assert_int_eq(skep_block_alloc(hive, 0, 0, &block), -EINVAL);
        ck_assert_int_eq(skep_block_alloc(hive, UINT64_MAX, 0, &block), -EOVERFLOW);
}
END_TEST

START_TEST(views_reach_backwards_but_not_outside)
{
        skep_array *array, *view;
        ck_assert_int_eq(make(SKEP_ELEMENT_I32, 1, (const uint64_t[]){64}, &array), 0);
        for (int i = 0; i < 64; i++)
                ((int32_t *)skep_array_data(array))[i] = i;
        ck_assert_int_eq(skep_array_view(array, SKEP_ELEMENT_I32, 63 * 4, 1, (const uint64_t[]){64}, (const int64_t[]){-4}, &view), 0);
        ck_assert_int_eq(skep_array_is_contiguous(view), 0);
        ck_assert_int_eq(*(int32_t *)(void *)((char *)skep_array_data(view) - 63 * 4), 0);
        array = skep_array_unref(array); /* the view keeps the block */
        ck_assert_int_eq(*(int32_t *)skep_array_data(view), 63);
        array = view;
        ck_assert_int_eq(skep_array_view(array, SKEP_ELEMENT_I32, 62 * 4, 1, (const uint64_t[]){64}, (const int64_t[]){-4}, &view), -EINVAL);
        ck_assert_int_eq(skep_array_view(array, SKEP_ELEMENT_I32, 4, 1, (const uint64_t[]){64}, NULL, &view), -EINVAL);
        ck_assert_int_eq(skep_array_view(array, SKEP_ELEMENT_I32, UINT64_MAX, 0, NULL, NULL, &view), -EINVAL);
        ck_assert_int_lt(skep_array_view(array, SKEP_ELEMENT_I32, 0, 1, (const uint64_t[]){3}, (const int64_t[]){INT64_MAX}, &view), 0);
        skep_array_unref(array);
}
END_TEST

START_TEST(a_full_hive_says_so_and_works_on_after_something_is_freed)
{
        skep_block blocks[512];
        int count = 0, result;
        while ((result = skep_block_alloc(hive, 100000, 0, &blocks[count])) == 0)
                count++;
        ck_assert_int_eq(result, -ENOSPC);
        ck_assert_int_gt(count, 20);
        ck_assert_int_eq(skep_block_unref(hive, blocks[--count]), 0);
        ck_assert_int_eq(skep_block_alloc(hive, 100000, SKEP_BLOCK_ZERO, &blocks[count]), 0);
        for (int i = 0; i <= count; i++)
                ck_assert_int_eq(skep_block_unref(hive, blocks[i]), 0);
        ck_assert_int_eq(skep_block_alloc(hive, 3000000, 0, &blocks[0]), 0); /* the pieces grow together again */
        ck_assert_int_eq(skep_block_unref(hive, blocks[0]), 0);
}
END_TEST

START_TEST(double_release_and_made_up_references_are_refused)
{
        skep_block block;
        for (uint64_t bytes = 1; bytes <= 300000; bytes *= 7) {
                ck_assert_int_eq(skep_block_alloc(hive, bytes, 0, &block), 0);
                ck_assert_int_eq(skep_block_ref(hive, block), 0);
                ck_assert_int_eq(skep_block_unref(hive, block), 0);
                ck_assert_ptr_nonnull(skep_block_address(hive, block, NULL));
                ck_assert_int_eq(skep_block_unref(hive, block), 0);
                ck_assert_int_eq(skep_block_unref(hive, block), -EINVAL);
                ck_assert_int_eq(skep_block_ref(hive, block), -ESTALE);
                ck_assert_ptr_null(skep_block_address(hive, block, NULL));
        }
        for (uint64_t offset = 0; offset < UINT64_C(9) << 20; offset += 8)
                ck_assert_int_eq(skep_block_ref(hive, (skep_block){offset, 1 + offset % 3}), -ESTALE);
}
END_TEST

START_TEST(an_array_is_attached_by_reference)
{
        skep_array *array, *again;
        skep_queue *queue;
        const uint64_t shape[] = {10, 10};
        ck_assert_int_eq(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_I32, .dimension_count = 2, .shape = shape), &array), 0);
        ((int32_t *)skep_array_data(array))[7] = 42;
        skep_block block = skep_array_block(array);
        ck_assert_int_eq(skep_array_attach(hive, block, SKEP_ELEMENT_I32, 28, 1, (const uint64_t[]){3}, NULL, &again), 0);
        skep_array_unref(array);
        ck_assert_int_eq(((int32_t *)skep_array_data(again))[0], 42);
        ck_assert_int_eq(skep_array_attach(hive, block, SKEP_ELEMENT_I32, 0, 1, (const uint64_t[]){1u << 20}, NULL, &array), -EINVAL);
        skep_array_unref(again);
        ck_assert_int_eq(skep_array_attach(hive, block, SKEP_ELEMENT_I32, 0, 2, shape, NULL, &again), -ESTALE);
        ck_assert_int_eq(skep_queue_create(hive, NULL, &queue), 0);
        ck_assert_int_eq(skep_array_attach(hive, skep_queue_reference(queue), SKEP_ELEMENT_I32, 0, 0, NULL, NULL, &again), -EPROTOTYPE);
        skep_queue_unref(queue);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("array");
        TCase *all = tcase_create("array");
        tcase_add_checked_fixture(all, setup, teardown);
        tcase_set_timeout(all, 30);
        tcase_add_test(all, an_array_is_attached_by_reference);
        tcase_add_test(all, every_element_type_has_a_name_a_size_and_zeros);
        tcase_add_test(all, shapes_from_none_to_32_dimensions_are_taken_and_33_refused);
        tcase_add_test(all, sizes_that_overflow_are_refused);
        tcase_add_test(all, views_reach_backwards_but_not_outside);
        tcase_add_test(all, a_full_hive_says_so_and_works_on_after_something_is_freed);
        tcase_add_test(all, double_release_and_made_up_references_are_refused);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
