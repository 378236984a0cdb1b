/* SPDX-License-Identifier: Apache-2.0 */
/* value_test.c - shared scalars and arrays: every width, several processes, waiting, bad use. */
#include "support/suite.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <skep/skep.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static skep_hive *hive;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
}

static void teardown(void)
{
        hive = skep_hive_detach(hive);
}

static skep_value *value_of(uint32_t element, uint64_t count)
{
        skep_value *value;
        ck_assert_int_eq(skep_value_create(hive, SKEP_VALUE_OPTIONS(.element = element, .count = count), &value), 0);
        return value;
}

START_TEST(integers_of_every_width_wrap_and_keep_their_sign)
{
        static const struct {
                uint32_t element;
                int64_t stored, read;
        } cases[] = {
                {SKEP_ELEMENT_I8, 200, -56},    {SKEP_ELEMENT_U8, -1, 255},        {SKEP_ELEMENT_I16, 40000, -25536}, {SKEP_ELEMENT_U16, -1, 65535},
                {SKEP_ELEMENT_I32, -7, -7},     {SKEP_ELEMENT_U32, -1, 4294967295}, {SKEP_ELEMENT_I64, -9, -9},        {SKEP_ELEMENT_U64, -1, -1},
                {SKEP_ELEMENT_BOOL, 1, 1},
        };
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                skep_value *value = value_of(cases[i].element, 3);
                int64_t now, before;
                ck_assert_int_eq(skep_value_store_i64(value, 1, cases[i].stored), 0);
                ck_assert_int_eq(skep_value_load_i64(value, 1, &now), 0);
                ck_assert_int_eq(now, cases[i].read);
                ck_assert_int_eq(skep_value_exchange_i64(value, 1, 5, &before), 0);
                ck_assert_int_eq(before, cases[i].read);
                ck_assert_int_eq(skep_value_fetch_add_i64(value, 1, 3, &before), 0);
                ck_assert_int_eq(before, 5);
                ck_assert_int_eq(skep_value_fetch_sub_i64(value, 1, 2, &before), 0);
                ck_assert_int_eq(before, 8);
                ck_assert_int_eq(skep_value_fetch_or_i64(value, 1, 9, &before), 0);
                ck_assert_int_eq(before, 6);
                ck_assert_int_eq(skep_value_fetch_and_i64(value, 1, 12, &before), 0);
                ck_assert_int_eq(before, 15);
                ck_assert_int_eq(skep_value_fetch_xor_i64(value, 1, 4, &before), 0);
                ck_assert_int_eq(before, 12);
                int64_t expected = 7;
                ck_assert_int_eq(skep_value_compare_exchange_i64(value, 1, &expected, 1), -EAGAIN);
                ck_assert_int_eq(expected, 8);
                ck_assert_int_eq(skep_value_compare_exchange_i64(value, 1, &expected, 1), 0);
                for (uint64_t other = 0; other < 3; other += 2) {
                        ck_assert_int_eq(skep_value_load_i64(value, other, &now), 0);
                        ck_assert_int_eq(now, 0); /* neighbours are untouched */
                }
                skep_value_unref(value);
        }
}
END_TEST

START_TEST(an_expectation_that_no_element_can_meet_is_not_cut_to_its_width)
{
        skep_value *value = value_of(SKEP_ELEMENT_U8, 1);
        int64_t expected = 256;
        ck_assert_int_eq(skep_value_compare_exchange_i64(value, 0, &expected, 1), -EAGAIN);
        ck_assert_int_eq(expected, 0);
        skep_value_unref(value);
}
END_TEST

START_TEST(floats_are_exchanged_and_added_to)
{
        for (uint32_t element = SKEP_ELEMENT_F32; element <= SKEP_ELEMENT_F64; element++) {
                skep_value *value = value_of(element, 1);
                double now, expected = 3;
                ck_assert_int_eq(skep_value_store_f64(value, 0, 1.5), 0);
                ck_assert_int_eq(skep_value_fetch_add_f64(value, 0, 0.25, &now), 0);
                ck_assert_double_eq(now, 1.5);
                ck_assert_int_eq(skep_value_compare_exchange_f64(value, 0, &expected, 2), -EAGAIN);
                ck_assert_double_eq(expected, 1.75);
                ck_assert_int_eq(skep_value_compare_exchange_f64(value, 0, &expected, 2), 0);
                ck_assert_int_eq(skep_value_exchange_f64(value, 0, 4, &now), 0);
                ck_assert_double_eq(now, 2);
                ck_assert_int_eq(skep_value_load_f64(value, 0, &now), 0);
                ck_assert_double_eq(now, 4);
                skep_value_unref(value);
        }
}
END_TEST

START_TEST(no_addition_of_four_processes_is_lost)
{
        enum { PROCESSES = 4, TURNS = 50000 };
        skep_value *whole = value_of(SKEP_ELEMENT_I16, 2), *real = value_of(SKEP_ELEMENT_F64, 1);
        for (int i = 0; i < PROCESSES; i++)
                if (fork() == 0) {
                        for (int turn = 0; turn < TURNS; turn++) {
                                skep_value_fetch_add_i64(whole, 1, 1, NULL);
                                skep_value_fetch_add_f64(real, 0, 1, NULL);
                        }
                        _exit(0);
                }
        for (int i = 0, status; i < PROCESSES; i++) {
                ck_assert_int_gt(wait(&status), 0);
                ck_assert_int_eq(status, 0);
        }
        int64_t sum;
        double real_sum;
        ck_assert_int_eq(skep_value_load_i64(whole, 1, &sum), 0);
        ck_assert_int_eq(sum, (int16_t)(PROCESSES * TURNS));
        ck_assert_int_eq(skep_value_load_i64(whole, 0, &sum), 0);
        ck_assert_int_eq(sum, 0);
        ck_assert_int_eq(skep_value_load_f64(real, 0, &real_sum), 0);
        ck_assert_double_eq(real_sum, PROCESSES * TURNS);
        skep_value_unref(whole);
        skep_value_unref(real);
}
END_TEST

START_TEST(who_waits_for_a_change_is_woken)
{
        skep_value *value = value_of(SKEP_ELEMENT_I32, 1);
        int32_t seen = 0, status;
        ck_assert_int_eq(skep_value_wait(value, 0, &seen, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(skep_value_wait(value, 0, &seen, skep_within_ns(20000000)), -ETIMEDOUT);
        pid_t child = fork();
        if (child == 0) {
                for (int32_t before = 0; before < 50; before = *(volatile int32_t *)skep_value_data(value))
                        if (skep_value_wait(value, 0, &before, skep_forever()) < 0)
                                _exit(1);
                _exit(0);
        }
        for (int i = 0; i < 50; i++) {
                usleep(1000);
                skep_value_fetch_add_i64(value, 0, 1, NULL);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        skep_value_unref(value);
}
END_TEST

START_TEST(a_locked_value_keeps_others_out)
{
        struct pair {
                uint64_t a, b;
                char text[24];
        } first = {1, 1, "one"};
        skep_value *value;
        const struct skep_value_options *options =
                SKEP_VALUE_OPTIONS(.name = "pair", .item_bytes = sizeof first, .count = 1, .flags = SKEP_VALUE_LOCK, .initial = &first);
        ck_assert_int_eq(skep_value_create(hive, options, &value), 0);
        int64_t number;
        ck_assert_int_eq(skep_value_load_i64(value, 0, &number), -EPROTOTYPE);
        ck_assert_uint_eq(skep_value_item_bytes(value), sizeof first);
        for (int i = 0; i < 3; i++)
                if (fork() == 0) {
                        skep_value *mine;
                        if (skep_value_open(hive, "pair", &mine) < 0)
                                _exit(1);
                        for (int turn = 0; turn < 10000; turn++) {
                                if (skep_value_acquire(mine, skep_forever()) != 0)
                                        _exit(2);
                                struct pair *pair = skep_value_data(mine);
                                if (pair->a++ != pair->b++)
                                        _exit(3);
                                skep_value_release(mine);
                        }
                        _exit(0);
                }
        for (int i = 0, status; i < 3; i++) {
                ck_assert_int_gt(wait(&status), 0);
                ck_assert_int_eq(status, 0);
        }
        ck_assert_uint_eq(((struct pair *)skep_value_data(value))->a, 30001);
        ck_assert_str_eq(((struct pair *)skep_value_data(value))->text, "one");
        ck_assert_int_eq(skep_value_release(value), -EPERM);
        skep_value_unref(value);
}
END_TEST

START_TEST(bad_use_is_refused)
{
        skep_value *value;
        int64_t number;
        double real;
        ck_assert_int_eq(skep_value_create(hive, NULL, &value), -EINVAL);
        ck_assert_int_eq(skep_value_create(hive, SKEP_VALUE_OPTIONS(.element = 99), &value), -EINVAL);
        ck_assert_int_eq(skep_value_create(hive, SKEP_VALUE_OPTIONS(.element = SKEP_ELEMENT_I64, .count = UINT64_MAX / 4), &value), -EOVERFLOW);
        ck_assert_int_eq(skep_value_create(hive, SKEP_VALUE_OPTIONS(.element = SKEP_ELEMENT_I64, .count = 1u << 30), &value), -ENOSPC);
        value = value_of(SKEP_ELEMENT_I32, 4);
        ck_assert_int_eq(skep_value_load_i64(value, 4, &number), -ERANGE);
        ck_assert_int_eq(skep_value_load_f64(value, 0, &real), -EPROTOTYPE);
        ck_assert_int_eq(skep_value_wait(value, 4, &number, skep_nowait()), -ERANGE);
        ck_assert_int_eq(skep_value_acquire(value, skep_nowait()), -ENOTSUP);
        skep_block reference = skep_value_reference(value);
        skep_value *again;
        ck_assert_int_eq(skep_value_attach(hive, reference, &again), 0);
        skep_value_unref(again);
        skep_value_unref(value);
        ck_assert_int_eq(skep_value_attach(hive, reference, &again), -ESTALE);
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_eq(stat.blocks, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("value");
        TCase *all = tcase_create("value");
        tcase_add_checked_fixture(all, setup, teardown);
        tcase_set_timeout(all, 30);
        tcase_add_test(all, integers_of_every_width_wrap_and_keep_their_sign);
        tcase_add_test(all, an_expectation_that_no_element_can_meet_is_not_cut_to_its_width);
        tcase_add_test(all, floats_are_exchanged_and_added_to);
        tcase_add_test(all, no_addition_of_four_processes_is_lost);
        tcase_add_test(all, who_waits_for_a_change_is_woken);
        tcase_add_test(all, a_locked_value_keeps_others_out);
        tcase_add_test(all, bad_use_is_refused);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
