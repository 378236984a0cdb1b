/* SPDX-License-Identifier: Apache-2.0 */
/* queue_api_test.c - waiting for queues, through libskep.so. */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>

#include <skep/skep.h>

START_TEST(one_of_two_queues_is_ready)
{
        skep_hive *hive;
        skep_queue *queues[2];
        skep_channel_end *first, *second;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 16u << 20), &hive), 0);
        for (int i = 0; i < 2; i++)
                ck_assert_int_eq(skep_queue_create(hive, NULL, &queues[i]), 0);
        ck_assert_int_eq(skep_queue_poll(queues[1], skep_within_ns(1000000)), -ETIMEDOUT);
        ck_assert_int_eq(skep_queue_poll_any(queues, 2, skep_within_ns(1000000)), -ETIMEDOUT);
        ck_assert_int_eq(skep_queue_put(queues[1], "x", 1, skep_nowait()), 0);
        ck_assert_int_eq(skep_queue_poll(queues[1], skep_forever()), 0);
        ck_assert_int_ge(skep_queue_poll_any(queues, 2, skep_forever()), 0);
        ck_assert_int_eq(skep_queue_poll_space(queues[1], skep_nowait()), 0);
        ck_assert_int_eq(poll(&(struct pollfd){.fd = skep_queue_space_fd(queues[1]), .events = POLLIN}, 1, 5000), 1);
        ck_assert_int_eq(skep_channel_create(hive, NULL, &first, &second), 0);
        ck_assert_ptr_eq(skep_channel_hive(first), hive);
        skep_channel_unref(first);
        skep_channel_unref(second);
        for (int i = 0; i < 2; i++)
                skep_queue_unref(queues[i]);
        skep_hive_detach(hive);
}
END_TEST

START_TEST(a_message_that_is_not_acknowledged_is_a_dead_letter_in_the_end)
{
        skep_hive *hive;
        skep_queue *queue;
        struct skep_loan loan;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 16u << 20), &hive), 0);
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.flags = SKEP_QUEUE_ACKNOWLEDGE, .delivery_max = 1), &queue), 0);
        ck_assert_int_eq(skep_queue_acknowledges(queue), 1);
        ck_assert_int_eq(skep_queue_put(queue, "x", 1, skep_nowait()), 0);
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, skep_nowait()), 0);
        ck_assert_uint_eq(loan.deliveries, 1);
        skep_queue_put_back(&loan);
        ck_assert_uint_eq(skep_queue_dead_size(queue), 1);
        ck_assert_int_eq(skep_queue_borrow_dead(queue, &loan), 0);
        skep_queue_give_back(&loan);
        ck_assert_int_eq(skep_queue_borrow_dead(queue, &loan), -ETIMEDOUT);
        skep_queue_unref(queue);
        skep_hive_detach(hive);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("queue through libskep");
        TCase *all = tcase_create("queue");
        tcase_add_test(all, one_of_two_queues_is_ready);
        tcase_add_test(all, a_message_that_is_not_acknowledged_is_a_dead_letter_in_the_end);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
