/* SPDX-License-Identifier: Apache-2.0 */
/* queue_api_test.c - waiting for queues, for what was put into them, and what is acknowledged, through libskep.so. */
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

static skep_queue *tasks;

static int work(skep_hive *hive, const void *argument, size_t bytes)
{
        char task;
        size_t task_bytes;
        (void)hive, (void)argument, (void)bytes;
        for (int i = 0; i < 100; i++)
                if (skep_queue_get(tasks, &task, 1, &task_bytes, skep_forever()) < 0 || skep_queue_task_done(tasks) < 0)
                        return 1;
        return 0;
}

START_TEST(another_process_finishes_what_is_joined)
{
        skep_hive *hive;
        skep_process *process;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 16u << 20), &hive), 0);
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.capacity = 7), &tasks), 0);
        ck_assert_int_eq(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .function = work), &process), 0);
        for (int i = 0; i < 100; i++)
                ck_assert_int_eq(skep_queue_put(tasks, "t", 1, skep_forever()), 0);
        ck_assert_int_eq(skep_queue_join(tasks, skep_forever()), 0);
        ck_assert_uint_eq(skep_queue_unfinished(tasks), 0);
        ck_assert_int_eq(skep_queue_task_done(tasks), -EOVERFLOW);
        ck_assert_int_eq(skep_process_join(process, skep_forever()), 0);
        skep_process_unref(process);
        tasks = skep_queue_unref(tasks);
        skep_hive_detach(hive);
}
END_TEST

START_TEST(a_message_that_is_rejected_too_often_is_a_dead_letter)
{
        skep_hive *hive;
        skep_queue *queue;
        struct skep_loan loan;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 16u << 20), &hive), 0);
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.flags = SKEP_QUEUE_ACKNOWLEDGE, .delivery_max = 2), &queue), 0);
        ck_assert_int_eq(skep_queue_acknowledges(queue), 1);
        ck_assert_int_eq(skep_queue_put(queue, "x", 1, skep_nowait()), 0);
        for (uint32_t delivery = 1; delivery <= 2; delivery++) {
                ck_assert_int_eq(skep_queue_borrow(queue, &loan, skep_nowait()), 0);
                ck_assert_uint_eq(loan.deliveries, delivery);
                ck_assert_uint_eq(skep_queue_dead_size(queue), 0);
                skep_queue_put_back(&loan);
        }
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, skep_nowait()), -ETIMEDOUT);
        ck_assert_uint_eq(skep_queue_dead_size(queue), 1);
        ck_assert_int_eq(skep_queue_borrow_dead(queue, &loan), 0);
        ck_assert_mem_eq(loan.data, "x", 1);
        skep_queue_give_back(&loan);
        ck_assert_uint_eq(skep_queue_dead_size(queue), 0);
        skep_queue_unref(queue);
        skep_hive_detach(hive);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("queue through libskep");
        TCase *all = tcase_create("queue");
        tcase_add_test(all, one_of_two_queues_is_ready);
        tcase_add_test(all, another_process_finishes_what_is_joined);
        tcase_add_test(all, a_message_that_is_rejected_too_often_is_a_dead_letter);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
