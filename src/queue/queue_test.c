/* SPDX-License-Identifier: Apache-2.0 */
/* queue_test.c - order, limits, kinds and loans of queues. */
#include "queue/queue.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skep/skep.h>

static skep_hive *hive;
static skep_queue *queue;

static void set_up(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = UINT64_C(64) << 20), &hive), 0);
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "q", .capacity = 3), &queue), 0);
}

static void tear_down(void)
{
        queue = skep_queue_unref(queue);
        hive = skep_hive_detach(hive);
}

static int put(skep_queue *to, uint32_t value)
{
        return skep_queue_put(to, &value, sizeof value, skep_nowait());
}

static int64_t get(skep_queue *from)
{
        uint32_t value;
        size_t bytes;
        int result = skep_queue_get(from, &value, sizeof value, &bytes, skep_nowait());
        return result < 0 ? (int64_t)result : (int64_t)value;
}

START_TEST(capacity_is_exact)
{
        static const uint64_t capacities[] = {1, 2, 3, 7, 8};
        for (int i = 0; i < 5; i++) {
                skep_queue *other;
                ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.capacity = capacities[i]), &other), 0);
                for (int round = 0; round < 3; round++) {
                        for (uint32_t j = 0; j < capacities[i]; j++)
                                ck_assert_int_eq(put(other, j), 0);
                        ck_assert_int_eq(put(other, 99), -ETIMEDOUT);
                        ck_assert_int_eq(skep_queue_is_full(other), 1);
                        ck_assert_uint_eq(skep_queue_size(other), capacities[i]);
                        for (uint32_t j = 0; j < capacities[i]; j++)
                                ck_assert_int_eq(get(other), j);
                        ck_assert_int_eq(get(other), -ETIMEDOUT);
                        ck_assert_int_eq(skep_queue_is_empty(other), 1);
                }
                skep_queue_unref(other);
        }
}
END_TEST

START_TEST(an_unbounded_queue_takes_100000_messages_in_order)
{
        skep_queue *other;
        ck_assert_int_eq(skep_queue_create(hive, NULL, &other), 0);
        for (uint32_t i = 0; i < 100000; i++)
                ck_assert_int_eq(put(other, i), 0);
        for (uint32_t i = 0; i < 100000; i++)
                ck_assert_int_eq(get(other), i);
        ck_assert_int_eq(get(other), -ETIMEDOUT);
        skep_queue_unref(other);
}
END_TEST

START_TEST(a_closed_queue_is_drained_and_takes_no_more)
{
        ck_assert_int_eq(put(queue, 1), 0);
        ck_assert_int_eq(skep_queue_close(queue), 0);
        ck_assert_int_eq(put(queue, 2), -ESHUTDOWN);
        ck_assert_int_eq(get(queue), 1);
        ck_assert_int_eq(get(queue), -ESHUTDOWN);
        ck_assert_int_eq(skep_queue_is_closed(queue), 1);
}
END_TEST

START_TEST(a_message_that_does_not_fit_stays)
{
        static char text[5000], got[5000];
        size_t bytes = 0;
        memset(text, 'h', sizeof text);
        ck_assert_int_eq(skep_queue_put(queue, text, sizeof text, skep_nowait()), 0);
        ck_assert_int_eq(skep_queue_get(queue, got, 10, &bytes, skep_nowait()), -EMSGSIZE);
        ck_assert_uint_eq(bytes, sizeof text);
        ck_assert_int_eq(skep_queue_get(queue, got, sizeof got, &bytes, skep_nowait()), 0);
        ck_assert_mem_eq(text, got, sizeof text);
}
END_TEST

START_TEST(an_array_goes_by_reference)
{
        skep_array *array, *same;
        ck_assert_int_eq(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_I32, .dimension_count = 1,
                .shape = (const uint64_t[]){100}), &array),
                         0);
        ck_assert_int_eq(skep_queue_put_array(queue, array, skep_nowait()), 0);
        ck_assert_int_eq(get(queue), -EPROTOTYPE);
        pid_t pid = fork();
        if (pid == 0) {
                if (skep_queue_get_array(queue, &same, skep_nowait()) < 0)
                        _exit(1);
                ((int32_t *)skep_array_data(same))[99] = 42;
                _exit(0);
        }
        int status;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        ck_assert_int_eq(((int32_t *)skep_array_data(array))[99], 42);
        skep_array_unref(array);
}
END_TEST

START_TEST(a_loan_is_given_back_or_put_back)
{
        struct skep_loan loan;
        ck_assert_int_eq(put(queue, 7), 0);
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, skep_nowait()), 0);
        ck_assert_int_eq(get(queue), -ETIMEDOUT);
        skep_queue_put_back(&loan);
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, skep_nowait()), 0);
        ck_assert_uint_eq(*(uint32_t *)loan.data, 7);
        skep_queue_give_back(&loan);
        ck_assert_int_eq(get(queue), -ETIMEDOUT);
}
END_TEST

START_TEST(reserved_memory_is_committed_or_abandoned)
{
        struct skep_loan loan;
        ck_assert_int_eq(skep_queue_reserve(queue, 0, &loan), -EINVAL);
        ck_assert_int_eq(skep_queue_reserve(queue, 4, &loan), 0);
        *(uint32_t *)loan.data = 5;
        ck_assert_int_eq(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, 4, skep_nowait()), 0);
        ck_assert_int_eq(skep_queue_reserve(queue, 300, &loan), 0);
        skep_queue_abandon(&loan);
        ck_assert_int_eq(get(queue), 5);
        ck_assert_int_eq(get(queue), -ETIMEDOUT);
}
END_TEST

START_TEST(many_go_in_order)
{
        uint32_t values[4] = {1, 2, 3, 4};
        struct skep_bytes in[4], out[4];
        uint64_t buffer[8];
        size_t count;
        for (int i = 0; i < 4; i++)
                in[i] = (struct skep_bytes){&values[i], 4};
        ck_assert_int_eq(skep_queue_put_many(queue, in, 4, &count, skep_nowait()), -ETIMEDOUT);
        ck_assert_uint_eq(count, 3);
        ck_assert_int_eq(skep_queue_get_many(queue, buffer, sizeof buffer, out, 4, &count, skep_nowait()), 0);
        ck_assert_uint_eq(count, 3);
        for (uint32_t i = 0; i < 3; i++)
                ck_assert_uint_eq(*(const uint32_t *)out[i].data, i + 1);
}
END_TEST

START_TEST(the_descriptor_is_readable_while_there_are_messages)
{
        struct pollfd poller = {.fd = skep_queue_fd(queue), .events = POLLIN};
        ck_assert_int_ge(poller.fd, 0);
        ck_assert_int_eq(poll(&poller, 1, 100), 0);
        ck_assert_int_eq(put(queue, 1), 0);
        ck_assert_int_eq(poll(&poller, 1, 5000), 1);
        ck_assert_int_eq(get(queue), 1);
}
END_TEST

/* Many descriptors at once, with threads for 127, for 2, and for one each, as where the kernel waits on one word only. */
START_TEST(many_descriptors_are_each_for_their_queue)
{
        enum { COUNT = 150 };
        skep_queue *queues[COUNT];
        struct pollfd pollers[COUNT];
        const uint32_t groups[] = {watch_group_max, 2, 1};
        watch_group_max = groups[_i];
        for (uint32_t i = 0; i < COUNT; i++) {
                ck_assert_int_eq(skep_queue_create(hive, NULL, &queues[i]), 0);
                pollers[i] = (struct pollfd){.fd = skep_queue_fd(queues[i]), .events = POLLIN};
                ck_assert_int_ge(pollers[i].fd, 0);
        }
        for (uint32_t i = 0; i < 40; i++) {
                uint32_t at = i * 37 % COUNT;
                ck_assert_int_eq(put(queues[at], i), 0);
                ck_assert_int_ge(poll(pollers, COUNT, 20000), 1);
                for (uint32_t j = 0; j < COUNT; j++)
                        ck_assert_int_eq(pollers[j].revents, j == at ? POLLIN : 0);
                ck_assert_int_eq(get(queues[at]), i);
                ck_assert_int_eq(get(queues[at]), -ETIMEDOUT);
                ck_assert_int_eq(poll(pollers, COUNT, 0), 0);
        }
        pid_t pid = fork();
        if (pid == 0) { /* has its own descriptors */
                struct pollfd poller = {.fd = skep_queue_fd(queues[0]), .events = POLLIN};
                _exit(poll(&poller, 1, 20000) != 1 || get(queues[0]) != 77);
        }
        ck_assert_int_eq(put(queues[0], 77), 0);
        int status;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        for (uint32_t i = 0; i < COUNT; i += 2)
                skep_queue_unref(queues[i]);
        ck_assert_int_eq(skep_queue_close(queues[1]), 0);
        ck_assert_int_eq(poll(&pollers[1], 1, 20000), 1);
        for (uint32_t i = 1; i < COUNT; i += 2)
                skep_queue_unref(queues[i]);
}
END_TEST

START_TEST(one_of_many_wakes_who_waits_for_all)
{
        enum { COUNT = 128 };
        skep_queue *queues[COUNT + 1] = {NULL};
        skep_hive *other;
        ck_assert_int_eq(skep_queue_poll_any(queues, 0, skep_nowait()), -EINVAL);
        for (uint32_t i = 0; i <= COUNT; i++)
                ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.capacity = 4), &queues[i]), 0);
        ck_assert_int_eq(skep_queue_poll_any(queues, COUNT + 1, skep_nowait()), -E2BIG);
        ck_assert_int_eq(skep_queue_poll_any(queues, COUNT, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(skep_queue_poll_any(queues, COUNT, skep_within_ns(120000000)), -ETIMEDOUT);
        for (uint32_t i = 0; i < COUNT; i += 31) {
                pid_t pid = fork();
                if (pid == 0) {
                        usleep(20000);
                        _exit(put(queues[i], i) < 0);
                }
                ck_assert_int_eq(skep_queue_poll_any(queues, COUNT, skep_within_ns(INT64_C(20000000000))), 0);
                ck_assert_int_eq(get(queues[i]), i);
                ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
        }
        ck_assert_int_eq(skep_queue_close(queues[5]), 0);
        ck_assert_int_eq(skep_queue_poll_any(queues, COUNT, skep_forever()), 0);
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = UINT64_C(4) << 20), &other), 0);
        skep_queue_unref(queues[1]);
        ck_assert_int_eq(skep_queue_create(other, SKEP_QUEUE_OPTIONS(.capacity = 4), &queues[1]), 0);
        ck_assert_int_eq(skep_queue_poll_any(queues, 2, skep_nowait()), -EINVAL);
        for (uint32_t i = 0; i <= COUNT; i++)
                skep_queue_unref(queues[i]);
        skep_hive_detach(other);
}
END_TEST

START_TEST(a_queue_is_found_by_name_and_by_reference_until_it_is_gone)
{
        skep_queue *other;
        ck_assert_int_eq(skep_queue_open(hive, "none", &other), -ENOENT);
        ck_assert_int_eq(put(queue, 3), 0);
        ck_assert_int_eq(skep_queue_open(hive, "q", &other), 0);
        ck_assert_int_eq(get(other), 3);
        skep_queue_unref(other);
        skep_block reference = skep_queue_reference(queue);
        ck_assert_int_eq(skep_queue_attach(hive, reference, &other), 0);
        skep_queue_unref(other);
        queue = skep_queue_unref(queue);
        ck_assert_int_eq(skep_hive_forget(hive, "q"), 0);
        ck_assert_int_eq(skep_queue_attach(hive, reference, &other), -ESTALE);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("queue");
        TCase *tests = tcase_create("queue");
        tcase_add_checked_fixture(tests, set_up, tear_down);
        tcase_add_test(tests, capacity_is_exact);
        tcase_add_test(tests, an_unbounded_queue_takes_100000_messages_in_order);
        tcase_add_test(tests, a_closed_queue_is_drained_and_takes_no_more);
        tcase_add_test(tests, a_message_that_does_not_fit_stays);
        tcase_add_test(tests, an_array_goes_by_reference);
        tcase_add_test(tests, a_loan_is_given_back_or_put_back);
        tcase_add_test(tests, reserved_memory_is_committed_or_abandoned);
        tcase_add_test(tests, many_go_in_order);
        tcase_add_test(tests, the_descriptor_is_readable_while_there_are_messages);
        tcase_add_loop_test(tests, many_descriptors_are_each_for_their_queue, 0, 3);
        tcase_add_test(tests, one_of_many_wakes_who_waits_for_all);
        tcase_set_timeout(tests, 30);
        tcase_add_test(tests, a_queue_is_found_by_name_and_by_reference_until_it_is_gone);
        suite_add_tcase(suite, tests);
        SRunner *runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        int failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
