/* SPDX-License-Identifier: Apache-2.0 */
/* queue_test.c - order, limits, kinds and loans of queues. */
#include "queue/queue.h"
#include "support/suite.h"
#include "sync/wait.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
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

static int always(void *context)
{
        ++*(int *)context;
        return -ECANCELED;
}

START_TEST(who_is_interrupted_hears_what_was_said)
{
        skep_queue *other;
        int asked = 0;
        uint32_t value = 1;
        size_t bytes;
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.capacity = 1), &other), 0);
        skep_thread_on_interrupt(always, &asked);
        ck_assert_int_eq(skep_queue_get(other, &value, sizeof value, &bytes, skep_forever()), -ECANCELED);
        ck_assert_int_eq(put(other, 1), 0);
        ck_assert_int_eq(skep_queue_put(other, &value, sizeof value, skep_forever()), -ECANCELED);
        skep_thread_on_interrupt(NULL, NULL);
        ck_assert_int_eq(asked, 2);
        ck_assert_int_eq(get(other), 1);
        skep_queue_unref(other);
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

START_TEST(what_was_put_is_joined_when_it_is_done)
{
        skep_queue *queues[2] = {queue};
        ck_assert_int_eq(skep_queue_create(hive, NULL, &queues[1]), 0); /* of many rings */
        for (int i = 0; i < 2; i++) {
                skep_queue *of = queues[i];
                uint64_t most = i ? 1000 : 3, done = 0;
                ck_assert_int_eq(skep_queue_join(of, skep_nowait()), 0);
                ck_assert_int_eq(skep_queue_task_done(of), -EOVERFLOW);
                for (int round = 0; round < 3; round++) {
                        for (uint32_t j = 0; j < most; j++)
                                ck_assert_int_eq(put(of, j), 0);
                        ck_assert_uint_eq(skep_queue_unfinished(of), most);
                        for (uint32_t j = 0; j < most; j++) {
                                ck_assert_int_eq(skep_queue_join(of, skep_nowait()), -ETIMEDOUT);
                                ck_assert_int_eq(get(of), j);
                                ck_assert_uint_eq(skep_queue_unfinished(of), most - j);
                                ck_assert_int_eq(skep_queue_task_done(of), 0);
                        }
                        ck_assert_int_eq(skep_queue_join(of, skep_forever()), 0);
                        ck_assert_int_eq(skep_queue_task_done(of), -EOVERFLOW);
                        done += most;
                        ck_assert_uint_eq(skep_load(&of->shared->done), done);
                }
        }
        skep_queue_unref(queues[1]);
}
END_TEST

static void *finish_later(void *unused)
{
        usleep(100000);
        ck_assert_int_eq(skep_queue_task_done(queue), 0);
        usleep(100000);
        ck_assert_int_eq(skep_queue_task_done(queue), 0);
        return unused;
}

START_TEST(who_joins_is_woken_by_the_last_task_done)
{
        pthread_t thread;
        put(queue, 1);
        put(queue, 2);
        ck_assert_int_eq(skep_queue_join(queue, skep_within_ns(1000000)), -ETIMEDOUT);
        wait_slice_ns = INT64_C(3600000000000);
        ck_assert_int_eq(pthread_create(&thread, NULL, finish_later, NULL), 0);
        ck_assert_int_eq(skep_queue_join(queue, skep_forever()), 0);
        ck_assert_uint_eq(skep_queue_unfinished(queue), 0);
        pthread_join(thread, NULL);
}
END_TEST

/* It has claimed a slot and dies before the message is there: who joins finds that out. */
START_TEST(a_producer_that_dies_in_the_middle_is_not_waited_for)
{
        int status;
        put(queue, 1);
        ck_assert_int_eq(skep_queue_task_done(queue), 0);
        pid_t child = fork();
        if (child == 0) {
                struct skep_agent *agent;
                uint64_t position;
                if (agent_self(hive, &agent) < 0 || ring_put_claim(queue_ring(queue, 0), agent->id, &position) != RING_DONE)
                        _exit(1);
                kill(getpid(), SIGKILL);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status));
        ck_assert_uint_eq(skep_queue_unfinished(queue), 1);
        ck_assert_int_eq(skep_queue_join(queue, skep_forever()), 0);
        ck_assert_int_eq(skep_queue_task_done(queue), -EOVERFLOW);
        ck_assert_int_eq(get(queue), 1);
        ck_assert_int_eq(put(queue, 2), 0);
        ck_assert_uint_eq(skep_queue_unfinished(queue), 1);
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

static int commit_text(uint32_t kind, const char *text)
{
        struct skep_loan loan;
        int result = skep_queue_reserve(queue, strlen(text), &loan);
        if (result < 0)
                return result;
        memcpy(loan.data, text, strlen(text));
        result = skep_queue_commit(&loan, kind, strlen(text), skep_nowait());
        if (result < 0)
                skep_queue_abandon(&loan);
        return result;
}

static uint64_t block_count(void)
{
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        return stat.blocks;
}

START_TEST(a_pickle_is_refused_by_name_and_stays_until_it_is_borrowed)
{
        char buffer[64];
        struct skep_bytes message;
        struct skep_loan loan;
        skep_array *array;
        size_t bytes;
        ck_assert_int_eq(commit_text(SKEP_MESSAGE_PICKLE, "\x80\x05N."), 0);
        ck_assert_int_eq(put(queue, 2), 0);
        ck_assert_int_eq(skep_queue_get(queue, buffer, sizeof buffer, &bytes, skep_nowait()), -EPROTOTYPE);
        ck_assert_int_eq(skep_queue_get_array(queue, &array, skep_nowait()), -EPROTOTYPE);
        ck_assert_int_eq(skep_queue_get_many(queue, buffer, sizeof buffer, &message, 1, &bytes, skep_nowait()), -EPROTOTYPE);
        ck_assert_uint_eq(skep_queue_size(queue), 2);
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, skep_nowait()), 0);
        ck_assert_uint_eq(loan.kind, SKEP_MESSAGE_PICKLE);
        ck_assert_uint_eq(loan.bytes, 4);
        ck_assert_mem_eq(loan.data, "\x80\x05N.", 4);
        ck_assert_int_eq(skep_loan_array(&loan, &array), -EPROTOTYPE);
        skep_queue_give_back(&loan);
        ck_assert_int_eq(get(queue), 2);
}
END_TEST

START_TEST(get_many_ends_before_a_message_of_another_kind_or_one_too_long)
{
        char buffer[64];
        struct skep_bytes messages[3];
        size_t count;
        ck_assert_int_eq(put(queue, 1), 0);
        ck_assert_int_eq(commit_text(SKEP_MESSAGE_PICKLE, "N."), 0);
        ck_assert_int_eq(put(queue, 3), 0);
        ck_assert_int_eq(skep_queue_get_many(queue, buffer, sizeof buffer, messages, 3, &count, skep_nowait()), 0);
        ck_assert_uint_eq(count, 1);
        ck_assert_int_eq(skep_queue_drain(queue, NULL), 0);
        for (uint32_t i = 0; i < 3; i++)
                ck_assert_int_eq(put(queue, i), 0);
        ck_assert_int_eq(skep_queue_get_many(queue, buffer, 13, messages, 3, &count, skep_nowait()), 0); /* 0..3, 8..11, then 16 */
        ck_assert_uint_eq(count, 2);
        ck_assert_int_eq(get(queue), 2);
}
END_TEST

START_TEST(a_drain_drops_all_kinds_and_their_blocks)
{
        static char text[5000];
        struct skep_loan loan;
        skep_array *array;
        uint64_t count = 99, before = block_count();
        ck_assert_int_eq(skep_queue_drain(queue, &count), 0);
        ck_assert_uint_eq(count, 0);
        ck_assert_int_eq(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8), &array), 0);
        ck_assert_int_eq(put(queue, 1), 0);
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, skep_nowait()), 0); /* is not there to be dropped */
        ck_assert_int_eq(skep_queue_put(queue, text, sizeof text, skep_nowait()), 0);
        ck_assert_int_eq(skep_queue_put_array(queue, array, skep_nowait()), 0);
        array = skep_array_unref(array);
        ck_assert_uint_eq(block_count(), before + 2);
        ck_assert_int_eq(skep_queue_drain(queue, &count), 0);
        ck_assert_uint_eq(count, 2);
        ck_assert_uint_eq(block_count(), before);
        skep_queue_put_back(&loan);
        ck_assert_int_eq(skep_queue_close(queue), 0);
        ck_assert_int_eq(skep_queue_drain(queue, &count), 0); /* a closed one too */
        ck_assert_uint_eq(count, 1);
        ck_assert_int_eq(get(queue), -ESHUTDOWN);
}
END_TEST

START_TEST(an_unbounded_queue_is_drained_over_all_its_rings)
{
        skep_queue *other;
        uint64_t count;
        ck_assert_int_eq(skep_queue_create(hive, NULL, &other), 0);
        for (uint32_t i = 0; i < 3000; i++)
                ck_assert_int_eq(put(other, i), 0);
        ck_assert_uint_eq(skep_queue_size(other), 3000);
        ck_assert_int_eq(skep_queue_drain(other, &count), 0);
        ck_assert_uint_eq(count, 3000);
        ck_assert_uint_eq(skep_queue_size(other), 0);
        ck_assert_int_eq(put(other, 5), 0);
        ck_assert_int_eq(get(other), 5);
        skep_queue_unref(other);
}
END_TEST

START_TEST(a_message_put_back_is_found_in_a_ring_that_was_left_behind)
{
        enum { RING = QUEUE_FIRST_SLOTS };
        skep_queue *other;
        struct skep_loan loan;
        ck_assert_int_eq(skep_queue_create(hive, NULL, &other), 0);
        for (uint32_t i = 0; i < RING + 3; i++)
                ck_assert_int_eq(put(other, i), 0);
        for (uint32_t i = 0; i < RING - 1; i++)
                ck_assert_int_eq(get(other), i);
        ck_assert_int_eq(skep_queue_borrow(other, &loan, skep_nowait()), 0); /* the first ring's last */
        ck_assert_int_eq(get(other), RING);
        skep_queue_put_back(&loan);
        ck_assert_uint_eq(skep_queue_size(other), 3);
        ck_assert_int_eq(get(other), RING - 1);
        ck_assert_int_eq(get(other), RING + 1);
        ck_assert_int_eq(get(other), RING + 2);
        ck_assert_int_eq(get(other), -ETIMEDOUT);
        skep_queue_unref(other);
}
END_TEST

START_TEST(what_is_wrong_with_a_commit_leaves_the_loan)
{
        struct skep_loan loan;
        uint64_t before = block_count();
        ck_assert_int_eq(skep_queue_reserve(queue, 300, &loan), 0);
        ck_assert_int_eq(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, 301, skep_nowait()), -EINVAL);
        ck_assert_int_eq(skep_queue_commit(&loan, SKEP_MESSAGE_ARRAY, 8, skep_nowait()), -EINVAL);
        ck_assert_int_eq(skep_queue_commit(&loan, 0, 8, skep_nowait()), -EINVAL);
        for (uint32_t i = 0; i < 3; i++)
                ck_assert_int_eq(put(queue, i), 0);
        ck_assert_int_eq(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, 8, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(get(queue), 0);
        memset(loan.data, 0, 300);
        ck_assert_int_eq(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, 0, skep_nowait()), 0); /* an empty message is one */
        ck_assert_int_eq(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, 0, skep_nowait()), -EINVAL);
        skep_queue_abandon(&loan); /* ended: nothing happens */
        ck_assert_int_eq(get(queue), 1);
        ck_assert_int_eq(get(queue), 2);
        size_t bytes = 9;
        ck_assert_int_eq(skep_queue_get(queue, NULL, 0, &bytes, skep_nowait()), 0);
        ck_assert_uint_eq(bytes, 0);
        ck_assert_uint_eq(block_count(), before);
}
END_TEST

START_TEST(a_closed_queue_lends_nothing_and_takes_no_loan)
{
        struct skep_loan loan, other;
        uint64_t before = block_count();
        ck_assert_int_eq(skep_queue_reserve(queue, 300, &loan), 0);
        ck_assert_int_eq(skep_queue_close(queue), 0);
        ck_assert_int_eq(skep_queue_reserve(queue, 300, &other), -ESHUTDOWN);
        ck_assert_int_eq(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, 8, skep_forever()), -ESHUTDOWN);
        skep_queue_abandon(&loan);
        skep_queue_abandon(&loan);
        ck_assert_uint_eq(block_count(), before);
        ck_assert_int_eq(skep_hive_verify(hive, NULL), 0);
}
END_TEST

START_TEST(a_full_hive_refuses_a_long_message_and_takes_it_when_something_is_freed)
{
        static char text[5000];
        skep_block blocks[2000];
        struct skep_loan loan;
        size_t bytes;
        int count = 0;
        ck_assert_int_eq(skep_queue_put(queue, text, sizeof text, skep_nowait()), 0);
        while (skep_block_alloc(hive, 1u << 20, 0, &blocks[count]) == 0)
                count++;
        while (skep_block_alloc(hive, sizeof text, 0, &blocks[count]) == 0)
                count++;
        ck_assert_int_eq(skep_queue_put(queue, text, sizeof text, skep_nowait()), -ENOSPC);
        ck_assert_int_eq(skep_queue_reserve(queue, sizeof text, &loan), -ENOSPC);
        ck_assert_int_eq(put(queue, 1), 0); /* short ones lie in their slots */
        ck_assert_int_eq(skep_queue_get(queue, text, sizeof text, &bytes, skep_nowait()), 0);
        ck_assert_int_eq(skep_queue_put(queue, text, sizeof text, skep_nowait()), 0);
        ck_assert_uint_eq(skep_queue_size(queue), 2);
}
END_TEST

START_TEST(loans_end_once_and_belong_to_their_thread)
{
        struct skep_loan loan, copy;
        ck_assert_int_eq(put(queue, 7), 0);
        ck_assert_int_eq(put(queue, 8), 0);
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, skep_nowait()), 0);
        copy = loan;
        pid_t pid = fork();
        if (pid == 0) { /* loans stay with the parent */
                skep_queue_give_back(&copy);
                _exit(0);
        }
        waitpid(pid, NULL, 0);
        skep_queue_give_back(&loan);
        skep_queue_give_back(&loan);
        copy.state = 2;
        skep_queue_put_back(&copy); /* a stale copy of it changes nothing */
        ck_assert_int_eq(get(queue), 8);
        ck_assert_int_eq(get(queue), -ETIMEDOUT);
}
END_TEST

static void *consume(void *seen)
{
        uint32_t value;
        size_t bytes;
        *(int *)seen = skep_queue_get(queue, &value, sizeof value, &bytes, skep_within_ns(INT64_C(10000000000)));
        return NULL;
}

/* Woken, not looking by itself: a slice is longer than the deadline. */
START_TEST(a_sleeping_consumer_is_woken_by_a_put_and_by_a_close)
{
        int seen;
        wait_slice_ns = INT64_C(100000000000);
        for (int i = 0; i < 10; i++) {
                pthread_t thread;
                seen = 1;
                ck_assert_int_eq(pthread_create(&thread, NULL, consume, &seen), 0);
                while (!(skep_load32(&queue->shared->not_empty) & 1))
                        usleep(100);
                usleep(2000); /* asleep now */
                ck_assert_int_eq(i < 9 ? put(queue, 1) : skep_queue_close(queue), 0);
                pthread_join(thread, NULL);
                ck_assert_int_eq(seen, i < 9 ? 0 : -ESHUTDOWN);
        }
}
END_TEST

static void *produce(void *result)
{
        uint32_t value = 4;
        *(int *)result = skep_queue_put(queue, &value, sizeof value, skep_within_ns(INT64_C(10000000000)));
        return NULL;
}

START_TEST(a_sleeping_producer_is_woken_by_a_get)
{
        int result;
        wait_slice_ns = INT64_C(100000000000);
        for (uint32_t i = 0; i < 3; i++)
                ck_assert_int_eq(put(queue, i), 0);
        for (int i = 0; i < 10; i++) {
                pthread_t thread;
                ck_assert_int_eq(pthread_create(&thread, NULL, produce, &result), 0);
                while (!(skep_load32(&queue->shared->not_full) & 1))
                        usleep(100);
                usleep(2000);
                ck_assert_int_ge(get(queue), 0);
                pthread_join(thread, NULL);
                ck_assert_int_eq(result, 0);
        }
}
END_TEST

/* Who saw this ring drained before, and is about to go on to the next, must not succeed. */
START_TEST(a_message_put_back_changes_the_word_of_the_first_ring)
{
        struct skep_loan loan;
        ck_assert_int_eq(put(queue, 1), 0);
        uint64_t before = queue->shared->head_segment;
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, skep_nowait()), 0);
        skep_queue_put_back(&loan);
        ck_assert_uint_ne(queue->shared->head_segment, before);
        ck_assert_uint_eq((uint32_t)queue->shared->head_segment, (uint32_t)before);
        ck_assert_int_eq(get(queue), 1);
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

/* Longer than a run, long ones among them, in a bounded and in an unbounded queue, whose rings they cross. */
START_TEST(many_of_all_lengths_go_in_order)
{
        enum { COUNT = 900 };
        static uint64_t values[COUNT][64], buffer[COUNT * 64];
        static struct skep_bytes in[COUNT], out[COUNT];
        skep_queue *long_queue;
        uint64_t before = block_count();
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.capacity = _i ? COUNT : 0), &long_queue), 0);
        for (uint64_t i = 0; i < COUNT; i++) {
                values[i][0] = i;
                in[i] = (struct skep_bytes){values[i], i % 100 == 70 ? 512 : i % 7 ? 8 : 128};
        }
        size_t count, got;
        ck_assert_int_eq(skep_queue_put_many(long_queue, in, COUNT, &count, skep_nowait()), 0);
        ck_assert_uint_eq(count, COUNT);
        ck_assert_uint_eq(skep_queue_size(long_queue), COUNT);
        for (count = 0; count < COUNT; count += got) {
                ck_assert_int_eq(skep_queue_get_many(long_queue, buffer, sizeof buffer, out, COUNT, &got, skep_nowait()), 0);
                for (size_t i = 0; i < got; i++) {
                        ck_assert_uint_eq(out[i].bytes, in[count + i].bytes);
                        ck_assert_mem_eq(out[i].data, in[count + i].data, out[i].bytes);
                }
        }
        in[100].data = in[570].data = NULL;
        ck_assert_int_eq(skep_queue_put_many(long_queue, in, COUNT, &count, skep_nowait()), -EINVAL);
        ck_assert_uint_eq(count, 100);
        ck_assert_int_eq(skep_queue_put_many(long_queue, in + 570, 1, &count, skep_nowait()), -EINVAL);
        skep_queue_unref(long_queue);
        ck_assert_uint_eq(block_count(), before);
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

START_TEST(the_other_descriptor_is_readable_while_there_is_space)
{
        struct pollfd poller;
        skep_queue *full;
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.capacity = 2), &full), 0);
        poller = (struct pollfd){.fd = skep_queue_space_fd(full), .events = POLLIN};
        ck_assert_int_ge(poller.fd, 0);
        ck_assert_int_ne(poller.fd, skep_queue_fd(full));
        ck_assert_int_eq(poll(&poller, 1, 5000), 1);
        ck_assert_int_eq(put(full, 1), 0);
        ck_assert_int_eq(put(full, 2), 0);
        ck_assert_int_eq(put(full, 3), -ETIMEDOUT);
        ck_assert_int_eq(poll(&poller, 1, 100), 0);
        ck_assert_int_eq(skep_queue_poll_space(full, skep_within_ns(1000000)), -ETIMEDOUT);
        ck_assert_int_eq(get(full), 1);
        ck_assert_int_eq(poll(&poller, 1, 5000), 1);
        ck_assert_int_eq(skep_queue_poll_space(full, skep_nowait()), 0);
        ck_assert_int_eq(put(full, 3), 0);
        ck_assert_int_eq(put(full, 4), -ETIMEDOUT);
        ck_assert_int_eq(skep_queue_close(full), 0);
        ck_assert_int_eq(poll(&poller, 1, 20000), 1);
        skep_queue_unref(full);
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

START_TEST(a_message_keeps_what_it_mentions)
{
        skep_lock *lock, *again;
        skep_block block, references[2];
        struct skep_loan loan;
        struct skep_hive_stat before, after;
        skep_queue *queue;
        ck_assert_int_eq(skep_hive_stat(hive, &before), 0);
        ck_assert_int_eq(skep_queue_create(hive, NULL, &queue), 0);
        for (int abandoned = 0; abandoned < 2; abandoned++) {
                ck_assert_int_eq(skep_lock_create(hive, NULL, &lock), 0);
                ck_assert_int_eq(skep_block_alloc(hive, 100000, 0, &block), 0);
                references[0] = skep_lock_reference(lock);
                references[1] = block;
                ck_assert_int_eq(skep_queue_reserve_with(queue, sizeof references, references, 2, &loan), 0);
                memcpy(loan.data, references, sizeof references);
                skep_lock_unref(lock);
                ck_assert_int_eq(skep_block_unref(hive, block), 0);
                if (abandoned)
                        skep_queue_abandon(&loan);
                else
                        ck_assert_int_eq(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, sizeof references, skep_nowait()), 0);
        }
        ck_assert_int_eq(skep_lock_attach(hive, references[0], &again), -ESTALE); /* the abandoned one's */
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, skep_nowait()), 0);
        ck_assert_uint_eq(loan.bytes, sizeof references);
        memcpy(references, loan.data, sizeof references);
        ck_assert_int_eq(skep_lock_attach(hive, references[0], &again), 0);
        ck_assert_int_eq(skep_block_ref(hive, references[1]), 0);
        skep_queue_give_back(&loan);
        ck_assert_int_eq(skep_lock_acquire(again, skep_nowait()), 0);
        skep_lock_unref(again);
        ck_assert_int_eq(skep_lock_attach(hive, references[0], &again), -ESTALE);
        ck_assert_int_eq(skep_queue_reserve_with(queue, 8, references, 2, &loan), -ESTALE);
        ck_assert_int_eq(skep_block_unref(hive, references[1]), 0);
        skep_queue_unref(queue);
        ck_assert_int_eq(skep_hive_stat(hive, &after), 0);
        ck_assert_uint_eq(after.blocks, before.blocks);
}
END_TEST

/* --- acknowledged -------------------------------------------------------------------------------------------------------------- */

static skep_queue *acknowledged(uint64_t capacity, uint32_t delivery_max)
{
        skep_queue *made;
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.capacity = capacity, .flags = SKEP_QUEUE_ACKNOWLEDGE, .delivery_max = delivery_max),
                                           &made),
                         0);
        return made;
}

static uint32_t borrowed(skep_queue *from, struct skep_loan *ret_loan)
{
        ck_assert_int_eq(skep_queue_borrow(from, ret_loan, skep_nowait()), 0);
        return *(const uint32_t *)ret_loan->data;
}

START_TEST(what_is_held_is_in_nobodys_way)
{
        skep_queue *other = acknowledged(2, 0);
        struct skep_loan loans[40];
        ck_assert_int_eq(put(other, 0), 0);
        for (uint32_t i = 0; i < 40; i++) { /* more than a table holds, and twenty times round the ring */
                ck_assert_int_eq(put(other, i + 1), 0);
                ck_assert_int_eq(put(other, 99), -ETIMEDOUT);
                ck_assert_uint_eq(borrowed(other, &loans[i]), i);
                ck_assert_uint_eq(loans[i].deliveries, 1);
        }
        ck_assert_uint_eq(skep_queue_size(other), 1);
        for (uint32_t i = 0; i < 40; i += 2)
                skep_queue_put_back(&loans[i]);
        ck_assert_uint_eq(skep_queue_size(other), 21);
        for (uint32_t i = 1; i < 40; i += 2) {
                ck_assert_uint_eq(*(const uint32_t *)loans[i].data, i);
                skep_queue_give_back(&loans[i]);
                skep_queue_give_back(&loans[i]); /* has ended */
        }
        uint64_t seen = 0;
        for (int i = 0; i < 21; i++)
                seen |= UINT64_C(1) << get(other);
        ck_assert_uint_eq(seen, UINT64_C(0x15555555555)); /* the even ones */
        ck_assert_int_eq(get(other), -ETIMEDOUT);
        ck_assert_int_eq(skep_queue_is_empty(other), 1);
        skep_queue_unref(other);
}
END_TEST

START_TEST(what_was_tried_too_often_is_a_dead_letter)
{
        skep_queue *other = acknowledged(0, 3);
        struct skep_loan loan, same;
        ck_assert_int_eq(put(other, 7), 0);
        for (uint32_t try = 1; try <= 3; try++) {
                ck_assert_uint_eq(skep_queue_dead_size(other), 0);
                ck_assert_int_eq(skep_queue_borrow_dead(other, &loan), -ETIMEDOUT);
                ck_assert_uint_eq(borrowed(other, &loan), 7);
                ck_assert_uint_eq(loan.deliveries, try);
                skep_queue_put_back(&loan);
        }
        ck_assert_int_eq(get(other), -ETIMEDOUT);
        ck_assert_uint_eq(skep_queue_size(other), 0);
        ck_assert_uint_eq(skep_queue_dead_size(other), 1);
        ck_assert_int_eq(skep_queue_drain(other, NULL), 0); /* dead letters are not in the queue */
        for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(skep_queue_borrow_dead(other, &loan), 0);
                ck_assert_uint_eq(loan.deliveries, 3);
                ck_assert_int_eq(skep_queue_borrow_dead(other, &same), -ETIMEDOUT);
                (i ? skep_queue_give_back : skep_queue_put_back)(&loan);
        }
        ck_assert_uint_eq(skep_queue_dead_size(other), 0);
        ck_assert_int_eq(skep_queue_borrow_dead(queue, &loan), -ETIMEDOUT); /* a queue without acknowledgement has none */
        skep_queue_unref(other);
}
END_TEST

START_TEST(options_of_acknowledgement_are_checked)
{
        skep_queue *other;
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.delivery_max = 1), &other), -EINVAL);
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.flags = SKEP_QUEUE_ACKNOWLEDGE, .delivery_max = 65536), &other), -EINVAL);
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.flags = 4), &other), -EINVAL);
        ck_assert_int_eq(skep_queue_acknowledges(queue), 0);
        other = acknowledged(1, 65535);
        ck_assert_int_eq(skep_queue_acknowledges(other), 1);
        skep_queue_unref(other);
}
END_TEST

static void *acknowledge_elsewhere(void *loan)
{
        skep_queue_give_back(loan);
        return NULL;
}

START_TEST(any_thread_acknowledges_and_no_other_process)
{
        skep_queue *other = acknowledged(4, 0);
        struct skep_loan first, second, copy;
        pthread_t thread;
        int status;
        uint64_t before = block_count();
        for (uint32_t i = 0; i < 2; i++)
                ck_assert_int_eq(put(other, i), 0);
        ck_assert_uint_eq(borrowed(other, &first), 0);
        ck_assert_uint_eq(borrowed(other, &second), 1);
        pid_t pid = fork();
        if (pid == 0) {
                copy = first;
                skep_queue_give_back(&copy);
                copy = second;
                skep_queue_put_back(&copy);
                _exit(skep_queue_size(other) != 0);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
        copy = first;
        ck_assert_int_eq(pthread_create(&thread, NULL, acknowledge_elsewhere, &first), 0);
        pthread_join(thread, NULL);
        ck_assert_int_eq(put(other, 5), 0);
        ck_assert_uint_eq(borrowed(other, &first), 5); /* perhaps where the first was */
        skep_queue_give_back(&copy);                   /* an old copy of a loan ends nothing */
        skep_queue_put_back(&second);
        ck_assert_int_eq(get(other), 1);
        ck_assert_int_eq(get(other), -ETIMEDOUT);
        skep_queue_put_back(&first);
        ck_assert_int_eq(get(other), 5);
        skep_queue_unref(other);
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0); /* the child */
        ck_assert_uint_eq(block_count(), before - 2);    /* the queue and its ring */
}
END_TEST

/* It holds a short message, a long one and an array, and leaves the handle; death gives all back. */
START_TEST(what_the_dead_held_comes_again_and_counts)
{
        static char text[5000];
        skep_queue *other = acknowledged(3, 2);
        struct skep_loan loan;
        skep_array *array;
        int status, ends[2];
        uint64_t before = block_count();
        ck_assert_int_eq(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8), &array), 0);
        for (int try = 1; try <= 2; try++) {
                if (try == 1) {
                        ck_assert_int_eq(put(other, 1), 0);
                        ck_assert_int_eq(skep_queue_put(other, text, sizeof text, skep_nowait()), 0);
                        ck_assert_int_eq(skep_queue_put_array(other, array, skep_nowait()), 0);
                        array = skep_array_unref(array);
                }
                ck_assert_int_eq(pipe(ends), 0);
                pid_t pid = fork();
                if (pid == 0) {
                        for (int i = 0; i < 3; i++)
                                if (skep_queue_borrow(other, &loan, skep_nowait()) < 0 || loan.deliveries != (uint32_t)try)
                                        _exit(1);
                        skep_queue_unref(other);
                        (void)!write(ends[1], "", 1);
                        kill(getpid(), SIGKILL);
                }
                ck_assert_int_eq(waitpid(pid, &status, 0), pid);
                ck_assert(WIFSIGNALED(status));
                close(ends[0]);
                close(ends[1]);
                ck_assert_uint_eq(skep_queue_size(other), 0);
                ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
                ck_assert_uint_eq(skep_queue_size(other), try == 1 ? 3 : 0);
        }
        ck_assert_uint_eq(skep_queue_dead_size(other), 3);
        for (int i = 0; i < 3; i++) {
                ck_assert_int_eq(skep_queue_borrow_dead(other, &loan), 0);
                if (loan.kind == SKEP_MESSAGE_ARRAY) {
                        ck_assert_int_eq(skep_loan_array(&loan, &array), 0);
                        skep_array_unref(array);
                }
                skep_queue_give_back(&loan);
        }
        ck_assert_int_eq(skep_hive_verify(hive, NULL), 0);
        skep_queue_unref(other);
        ck_assert_uint_eq(block_count(), before - 2); /* the queue and its ring */
}
END_TEST

static void *get_one_later(void *from)
{
        uint32_t value;
        size_t bytes;
        int result = skep_queue_get(from, &value, sizeof value, &bytes, skep_within_ns(INT64_C(5000000000)));
        return (void *)(intptr_t)(result < 0 ? result : (int)value);
}

START_TEST(who_sleeps_is_woken_by_what_comes_back)
{
        skep_queue *other = acknowledged(0, 0);
        struct skep_loan loan;
        pthread_t thread;
        void *got;
        ck_assert_int_eq(put(other, 3), 0);
        ck_assert_uint_eq(borrowed(other, &loan), 3);
        ck_assert_int_eq(skep_queue_poll(other, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(pthread_create(&thread, NULL, get_one_later, other), 0);
        usleep(20000);
        skep_queue_put_back(&loan);
        pthread_join(thread, &got);
        ck_assert_int_eq((intptr_t)got, 3);
        ck_assert_int_eq(skep_queue_poll(other, skep_nowait()), -ETIMEDOUT);
        skep_queue_unref(other);
}
END_TEST

/* A hive with no room for a table: the message is in the queue again, and taken when there is. */
START_TEST(without_room_for_a_record_the_message_stays)
{
        skep_queue *other = acknowledged(2, 0);
        skep_block blocks[512];
        struct skep_loan loan;
        size_t count = 0;
        ck_assert_int_eq(put(other, 1), 0);
        for (uint64_t bytes = UINT64_C(16) << 20; bytes >= 200; bytes /= 2)
                while (count < 512 && skep_block_alloc(hive, bytes, 0, &blocks[count]) == 0)
                        count++;
        ck_assert_uint_lt(count, 512);
        ck_assert_int_eq(skep_queue_borrow(other, &loan, skep_nowait()), -ENOSPC);
        ck_assert_uint_eq(skep_queue_size(other), 1);
        while (count)
                ck_assert_int_eq(skep_block_unref(hive, blocks[--count]), 0);
        ck_assert_uint_eq(borrowed(other, &loan), 1);
        skep_queue_give_back(&loan);
        skep_queue_unref(other);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("queue");
        TCase *tests = tcase_create("queue");
        tcase_add_checked_fixture(tests, set_up, tear_down);
        tcase_add_test(tests, capacity_is_exact);
        tcase_add_test(tests, who_is_interrupted_hears_what_was_said);
        tcase_add_test(tests, an_unbounded_queue_takes_100000_messages_in_order);
        tcase_add_test(tests, a_closed_queue_is_drained_and_takes_no_more);
        tcase_add_test(tests, what_was_put_is_joined_when_it_is_done);
        tcase_add_test(tests, who_joins_is_woken_by_the_last_task_done);
        tcase_add_test(tests, a_producer_that_dies_in_the_middle_is_not_waited_for);
        tcase_add_test(tests, a_message_that_does_not_fit_stays);
        tcase_add_test(tests, an_array_goes_by_reference);
        tcase_add_test(tests, a_loan_is_given_back_or_put_back);
        tcase_add_test(tests, reserved_memory_is_committed_or_abandoned);
        tcase_add_test(tests, a_message_keeps_what_it_mentions);
        tcase_add_test(tests, a_pickle_is_refused_by_name_and_stays_until_it_is_borrowed);
        tcase_add_test(tests, get_many_ends_before_a_message_of_another_kind_or_one_too_long);
        tcase_add_test(tests, a_drain_drops_all_kinds_and_their_blocks);
        tcase_add_test(tests, an_unbounded_queue_is_drained_over_all_its_rings);
        tcase_add_test(tests, a_message_put_back_is_found_in_a_ring_that_was_left_behind);
        tcase_add_test(tests, what_is_wrong_with_a_commit_leaves_the_loan);
        tcase_add_test(tests, a_closed_queue_lends_nothing_and_takes_no_loan);
        tcase_add_test(tests, a_full_hive_refuses_a_long_message_and_takes_it_when_something_is_freed);
        tcase_add_test(tests, loans_end_once_and_belong_to_their_thread);
        tcase_add_test(tests, a_sleeping_consumer_is_woken_by_a_put_and_by_a_close);
        tcase_add_test(tests, a_sleeping_producer_is_woken_by_a_get);
        tcase_add_test(tests, a_message_put_back_changes_the_word_of_the_first_ring);
        tcase_add_test(tests, many_go_in_order);
        tcase_add_loop_test(tests, many_of_all_lengths_go_in_order, 0, 2);
        tcase_add_test(tests, the_descriptor_is_readable_while_there_are_messages);
        tcase_add_test(tests, the_other_descriptor_is_readable_while_there_is_space);
        tcase_add_loop_test(tests, many_descriptors_are_each_for_their_queue, 0, 3);
        tcase_add_test(tests, one_of_many_wakes_who_waits_for_all);
        tcase_set_timeout(tests, 30);
        tcase_add_test(tests, what_is_held_is_in_nobodys_way);
        tcase_add_test(tests, what_was_tried_too_often_is_a_dead_letter);
        tcase_add_test(tests, options_of_acknowledgement_are_checked);
        tcase_add_test(tests, any_thread_acknowledges_and_no_other_process);
        tcase_add_test(tests, what_the_dead_held_comes_again_and_counts);
        tcase_add_test(tests, who_sleeps_is_woken_by_what_comes_back);
        tcase_add_test(tests, without_room_for_a_record_the_message_stays);
        tcase_add_test(tests, a_queue_is_found_by_name_and_by_reference_until_it_is_gone);
        suite_add_tcase(suite, tests);
        return suite_run(suite);
}
