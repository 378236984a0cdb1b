/* SPDX-License-Identifier: Apache-2.0 */
/* channel_test.c - both ways, end of file, broken pipe, holders that are killed, ends in messages, many channels, fork. */
#include "support/suite.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skep/skep.h>

#define SECONDS(n) skep_within_ns((n) * INT64_C(1000000000))

static skep_hive *hive;
static skep_channel_end *first, *second;

static void set_up(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = UINT64_C(256) << 20), &hive), 0);
        ck_assert_int_eq(skep_channel_create(hive, NULL, &first, &second), 0);
}

/* With the last handle everything is gone. */
static void tear_down(void)
{
        struct skep_hive_stat stat;
        struct skep_verify_report report;
        first = skep_channel_unref(first);
        second = skep_channel_unref(second);
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s", report.first);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_eq(stat.blocks, 0);
        hive = skep_hive_detach(hive);
}

static int send_number(skep_channel_end *end, uint32_t value)
{
        return skep_channel_send(end, &value, sizeof value, skep_nowait());
}

static int64_t receive_until(skep_channel_end *end, skep_deadline deadline)
{
        uint32_t value;
        size_t bytes;
        int result = skep_channel_receive(end, &value, sizeof value, &bytes, deadline);
        return result < 0 ? (int64_t)result : (int64_t)value;
}

static int64_t receive_number(skep_channel_end *end)
{
        return receive_until(end, skep_nowait());
}

static void run_child(void (*run)(void), int *ret_status)
{
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                run();
                _exit(0);
        }
        ck_assert_int_eq(waitpid(pid, ret_status, 0), pid);
}

START_TEST(what_is_sent_at_one_end_is_received_at_the_other)
{
        ck_assert_int_eq(send_number(first, 1), 0);
        ck_assert_int_eq(send_number(second, 2), 0);
        ck_assert_int_eq(send_number(second, 3), 0);
        ck_assert_int_eq(receive_number(second), 1);
        ck_assert_int_eq(receive_number(first), 2);
        ck_assert_int_eq(receive_number(first), 3);
        ck_assert_int_eq(receive_number(first), -ETIMEDOUT);
}
END_TEST

START_TEST(one_way_goes_one_way)
{
        skep_channel_end *in, *out;
        ck_assert_int_eq(skep_channel_create(hive, SKEP_CHANNEL_OPTIONS(.flags = SKEP_CHANNEL_ONE_WAY), &in, &out), 0);
        ck_assert_int_eq(send_number(out, 1), 0);
        ck_assert_int_eq(receive_number(in), 1);
        ck_assert_int_eq(send_number(in, 1), -ENOTSUP);
        ck_assert_int_eq(receive_number(out), -ENOTSUP);
        ck_assert_int_eq(skep_channel_poll(out, skep_nowait()), -ENOTSUP);
        ck_assert_int_eq(skep_channel_fd(out), -ENOTSUP);
        ck_assert_ptr_null(skep_channel_reader(out));
        ck_assert_ptr_null(skep_channel_writer(in));
        skep_channel_unref(in);
        ck_assert_int_eq(send_number(out, 1), -ESHUTDOWN);
        skep_channel_unref(out);
}
END_TEST

START_TEST(options_are_checked)
{
        skep_channel_end *a, *b;
        ck_assert_int_eq(skep_channel_create(hive, SKEP_CHANNEL_OPTIONS(.flags = 2), &a, &b), -EINVAL);
        ck_assert_int_eq(skep_channel_create(hive, SKEP_CHANNEL_OPTIONS(.slot_bytes = 5000), &a, &b), -EINVAL);
        ck_assert_int_eq(skep_channel_create(hive, SKEP_CHANNEL_OPTIONS(.name = ""), &a, &b), -EINVAL);
        ck_assert_int_eq(skep_channel_create(hive, SKEP_CHANNEL_OPTIONS(.name = "c", .capacity = 2), &a, &b), 0);
        for (uint32_t i = 0; i < 2; i++)
                ck_assert_int_eq(send_number(a, i), 0);
        ck_assert_int_eq(send_number(a, 2), -ETIMEDOUT);
        skep_channel_end *c, *d;
        ck_assert_int_eq(skep_channel_create(hive, SKEP_CHANNEL_OPTIONS(.name = "c"), &c, &d), -EEXIST);
        skep_channel_unref(a);
        skep_channel_unref(b);
        ck_assert_int_eq(skep_hive_forget(hive, "c"), 0);
}
END_TEST

START_TEST(a_name_holds_the_second_end)
{
        skep_channel_end *a, *b;
        ck_assert_int_eq(skep_channel_create(hive, SKEP_CHANNEL_OPTIONS(.name = "service"), &a, &b), 0);
        skep_channel_unref(b);
        ck_assert_int_eq(send_number(a, 7), 0);
        ck_assert_int_eq(skep_channel_open(hive, "service", &b), 0);
        ck_assert_int_eq(receive_number(b), 7);
        ck_assert_int_eq(skep_channel_open(hive, "nobody", &b), -ENOENT);
        ck_assert_int_eq(skep_hive_forget(hive, "service"), 0);
        skep_channel_unref(b);
        ck_assert_int_eq(send_number(a, 8), -ESHUTDOWN);
        skep_channel_unref(a);
}
END_TEST

START_TEST(end_of_file_after_what_was_sent)
{
        ck_assert_int_eq(send_number(second, 5), 0);
        ck_assert_int_eq(skep_channel_poll(first, skep_nowait()), 0);
        second = skep_channel_unref(second);
        ck_assert_int_eq(receive_number(first), 5);
        ck_assert_int_eq(skep_channel_poll(first, skep_forever()), 0);
        ck_assert_int_eq(receive_until(first, skep_forever()), -ESHUTDOWN);
        ck_assert_int_eq(send_number(first, 6), -ESHUTDOWN);
}
END_TEST

START_TEST(a_reference_means_the_end_while_somebody_holds_it)
{
        skep_channel_end *same;
        skep_block reference = skep_channel_reference(second);
        ck_assert_int_eq(skep_channel_attach(hive, reference, &same), 0);
        second = skep_channel_unref(second);
        ck_assert_int_eq(send_number(same, 9), 0);
        ck_assert_int_eq(receive_number(first), 9);
        skep_channel_unref(same);
        ck_assert_int_eq(skep_channel_attach(hive, reference, &same), -ESTALE);
        reference = skep_queue_reference(skep_channel_reader(first));
        ck_assert_int_eq(skep_channel_attach(hive, reference, &same), -EPROTOTYPE);
        ck_assert_int_eq(receive_number(first), -ESHUTDOWN);
}
END_TEST

static void send_and_die(void)
{
        first = skep_channel_unref(first);
        if (send_number(second, 11) < 0)
                _exit(1);
        kill(getpid(), SIGKILL);
}

START_TEST(end_of_file_when_the_holder_was_killed)
{
        int status;
        run_child(send_and_die, &status);
        ck_assert(WIFSIGNALED(status));
        second = skep_channel_unref(second); /* the dead child was the last holder */
        ck_assert_int_eq(receive_until(first, SECONDS(10)), 11);
        ck_assert_int_eq(receive_until(first, SECONDS(10)), -ESHUTDOWN);
        ck_assert_int_eq(send_number(first, 1), -ESHUTDOWN);
}
END_TEST

static void die_while_others_wait(void)
{
        first = skep_channel_unref(first);
        usleep(100000);
        kill(getpid(), SIGKILL);
}

START_TEST(who_waits_is_told_of_a_killed_holder)
{
        pid_t pid = fork();
        if (pid == 0)
                die_while_others_wait();
        second = skep_channel_unref(second);
        ck_assert_int_eq(skep_channel_poll(first, SECONDS(20)), 0);
        ck_assert_int_eq(receive_number(first), -ESHUTDOWN);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

START_TEST(the_descriptor_tells_of_a_killed_holder)
{
        struct pollfd poller = {.fd = skep_channel_fd(first), .events = POLLIN};
        ck_assert_int_ge(poller.fd, 0);
        pid_t pid = fork();
        if (pid == 0)
                die_while_others_wait();
        second = skep_channel_unref(second);
        ck_assert_int_eq(poll(&poller, 1, 20000), 1);
        ck_assert_int_eq(receive_number(first), -ESHUTDOWN);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

static void close_mine(void)
{
        first = skep_channel_unref(first);
        second = skep_channel_unref(second);
}

START_TEST(a_child_holds_what_its_parent_holds)
{
        int status;
        run_child(close_mine, &status);
        ck_assert_int_eq(status, 0);
        ck_assert_int_eq(send_number(second, 1), 0);
        pid_t pid = fork();
        if (pid == 0) {
                first = skep_channel_unref(first);
                int64_t got = receive_until(second, SECONDS(20));
                _exit(got != 1 || send_number(second, 2) < 0);
        }
        ck_assert_int_eq(receive_number(first), 1);
        ck_assert_int_eq(send_number(first, 1), 0);
        second = skep_channel_unref(second); /* the child still holds it */
        ck_assert_int_eq(receive_until(first, SECONDS(20)), 2);
        ck_assert_int_eq(receive_until(first, SECONDS(20)), -ESHUTDOWN);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
}
END_TEST

/* Send an end through another channel, in a message that claims it. */
static void send_end(skep_channel_end *through, skep_channel_end *end)
{
        struct skep_loan loan;
        skep_block reference = skep_channel_reference(end);
        ck_assert_int_eq(skep_queue_reserve_with(skep_channel_writer(through), sizeof reference, &reference, 1, &loan), 0);
        memcpy(loan.data, &reference, sizeof reference);
        ck_assert_int_eq(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, sizeof reference, skep_forever()), 0);
}

static skep_channel_end *receive_end(skep_channel_end *through)
{
        struct skep_loan loan;
        skep_block reference;
        skep_channel_end *end;
        ck_assert_int_eq(skep_queue_borrow(skep_channel_reader(through), &loan, SECONDS(20)), 0);
        ck_assert_uint_eq(loan.bytes, sizeof reference);
        memcpy(&reference, loan.data, sizeof reference);
        ck_assert_int_eq(skep_channel_attach(hive, reference, &end), 0);
        skep_queue_give_back(&loan);
        return end;
}

START_TEST(a_message_holds_the_end_that_it_carries)
{
        skep_channel_end *a, *b, *received;
        ck_assert_int_eq(skep_channel_create(hive, NULL, &a, &b), 0);
        send_end(first, b);
        skep_channel_unref(b); /* the message is the only holder */
        ck_assert_int_eq(send_number(a, 3), 0);
        received = receive_end(second);
        ck_assert_int_eq(receive_number(received), 3);
        skep_channel_unref(received);
        ck_assert_int_eq(send_number(a, 3), -ESHUTDOWN);
        skep_channel_unref(a);
}
END_TEST

START_TEST(a_message_that_is_never_received_lets_go)
{
        skep_channel_end *a, *b;
        struct skep_loan loan;
        ck_assert_int_eq(skep_channel_create(hive, NULL, &a, &b), 0);
        send_end(first, b);
        skep_block reference = skep_channel_reference(b);
        ck_assert_int_eq(skep_queue_reserve_with(skep_channel_writer(first), 100000, &reference, 1, &loan), 0);
        skep_queue_abandon(&loan);
        skep_channel_unref(b);
        second = skep_channel_unref(second);
        first = skep_channel_unref(first); /* and the message with it */
        ck_assert_int_eq(receive_number(a), -ESHUTDOWN);
        ck_assert_int_eq(skep_channel_attach(hive, reference, &b), -ESTALE);
        skep_channel_unref(a);
}
END_TEST

START_TEST(what_is_carried_to_a_closed_end_is_let_go)
{
        skep_channel_end *a, *b;
        ck_assert_int_eq(skep_channel_create(hive, NULL, &a, &b), 0);
        send_end(first, b);
        skep_channel_unref(b);
        second = skep_channel_unref(second); /* it would have received the end */
        ck_assert_int_eq(receive_number(a), -ESHUTDOWN);
        skep_channel_unref(a);
}
END_TEST

START_TEST(only_what_is_held_can_be_carried)
{
        struct skep_loan loan;
        skep_channel_end *a, *b;
        ck_assert_int_eq(skep_channel_create(hive, NULL, &a, &b), 0);
        skep_block gone = skep_channel_reference(a), both[2] = {skep_channel_reference(first), gone};
        skep_channel_unref(a);
        skep_channel_unref(b);
        ck_assert_int_eq(skep_queue_reserve_with(skep_channel_writer(first), 8, both, 2, &loan), -ESTALE);
        ck_assert_int_eq(skep_queue_reserve_with(skep_channel_writer(first), 8, NULL, 2, &loan), -EINVAL);
        ck_assert_int_eq(skep_queue_reserve_with(skep_channel_writer(first), 0, both, 1, &loan), -EINVAL);
}
END_TEST

struct seen {
        int ends, others;
        uint64_t waiting;
};

static int look(const struct skep_object_info *info, void *context)
{
        struct seen *seen = context;
        if (strcmp(info->kind, "channel end") == 0) {
                seen->ends++;
                seen->waiting += info->value;
        } else if (strcmp(info->kind, "queue") != 0) {
                seen->others++;
        }
        return 0;
}

START_TEST(who_looks_sees_the_ends_and_what_waits_there)
{
        struct seen seen = {0};
        for (uint32_t i = 0; i < 3; i++)
                ck_assert_int_eq(send_number(first, i), 0);
        send_end(second, second);
        ck_assert_int_eq(skep_hive_objects(hive, look, &seen), 0);
        ck_assert_int_eq(seen.ends, 2);
        ck_assert_uint_eq(seen.waiting, 4);
        ck_assert_int_eq(seen.others, 0);
        skep_channel_unref(receive_end(first));
}
END_TEST

START_TEST(arrays_and_long_messages_go_through)
{
        static char text[3000000], got[3000000];
        size_t bytes;
        skep_array *array, *same;
        memset(text, 'x', sizeof text);
        ck_assert_int_eq(skep_channel_send(first, text, sizeof text, skep_nowait()), 0);
        ck_assert_int_eq(skep_channel_send(first, NULL, 0, skep_nowait()), 0);
        ck_assert_int_eq(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_F64, .dimension_count = 2, .shape = (const uint64_t[]){300, 200}),
                                           &array), 0);
        ck_assert_int_eq(skep_queue_put_array(skep_channel_writer(first), array, skep_nowait()), 0);
        ck_assert_int_eq(skep_channel_receive(second, got, sizeof got, &bytes, skep_nowait()), 0);
        ck_assert_uint_eq(bytes, sizeof text);
        ck_assert_mem_eq(text, got, sizeof text);
        ck_assert_int_eq(skep_channel_receive(second, got, sizeof got, &bytes, skep_nowait()), 0);
        ck_assert_uint_eq(bytes, 0);
        ck_assert_int_eq(skep_queue_get_array(skep_channel_reader(second), &same, skep_nowait()), 0);
        ck_assert_ptr_eq(skep_array_data(array), skep_array_data(same));
        skep_array_unref(array);
        skep_array_unref(same);
}
END_TEST

/* Each channel's only message carries an end of the next: destroying the first destroys all, without recursion. */
START_TEST(a_long_chain_of_channels_goes_at_once)
{
        skep_channel_end *head = NULL, *tail = NULL;
        for (int i = 0; i < 30000; i++) {
                skep_channel_end *a, *b;
                ck_assert_int_eq(skep_channel_create(hive, SKEP_CHANNEL_OPTIONS(.flags = SKEP_CHANNEL_ONE_WAY, .capacity = 1), &a, &b), 0);
                if (tail)
                        send_end(tail, a);
                skep_channel_unref(tail);
                tail = b;
                if (head)
                        skep_channel_unref(a);
                else
                        head = a;
        }
        ck_assert_int_eq(send_number(tail, 1), 0);
        skep_channel_unref(head);
        ck_assert_int_eq(send_number(tail, 1), -ESHUTDOWN);
        skep_channel_unref(tail);
}
END_TEST

START_TEST(ten_thousand_channels)
{
        enum { COUNT = 10000 };
        static skep_channel_end *firsts[COUNT], *seconds[COUNT];
        for (uint32_t i = 0; i < COUNT; i++) {
                ck_assert_int_eq(skep_channel_create(hive, NULL, &firsts[i], &seconds[i]), 0);
                ck_assert_int_eq(send_number(firsts[i], i), 0);
        }
        for (uint32_t i = 0; i < COUNT; i++) {
                ck_assert_int_eq(receive_number(seconds[i]), i);
                skep_channel_unref(seconds[i]);
                ck_assert_int_eq(receive_number(firsts[i]), -ESHUTDOWN);
                skep_channel_unref(firsts[i]);
        }
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                what_is_sent_at_one_end_is_received_at_the_other,
                one_way_goes_one_way,
                options_are_checked,
                a_name_holds_the_second_end,
                end_of_file_after_what_was_sent,
                a_reference_means_the_end_while_somebody_holds_it,
                end_of_file_when_the_holder_was_killed,
                who_waits_is_told_of_a_killed_holder,
                the_descriptor_tells_of_a_killed_holder,
                a_child_holds_what_its_parent_holds,
                a_message_holds_the_end_that_it_carries,
                a_message_that_is_never_received_lets_go,
                what_is_carried_to_a_closed_end_is_let_go,
                only_what_is_held_can_be_carried,
                who_looks_sees_the_ends_and_what_waits_there,
                arrays_and_long_messages_go_through,
                a_long_chain_of_channels_goes_at_once,
                ten_thousand_channels,
        };
        Suite *suite = suite_create("channel");
        TCase *all = tcase_create("channel");
        tcase_set_timeout(all, 40);
        tcase_add_checked_fixture(all, set_up, tear_down);
        for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
                tcase_add_test(all, tests[i]);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
