/* SPDX-License-Identifier: Apache-2.0 */
/* inner_lock_test.c - the hive's own locks: a holder is waited for however long it takes, a name that cannot hold is damage. */
#include "sync/lock.h"

#include "support/suite.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <skep/skep.h>
#include <unistd.h>

static skep_hive *hive, *other;
static struct skep_agent *mine, *theirs;
static uint32_t *word;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20, .member_max = 4, .agent_max = 8), &hive), 0);
        ck_assert_int_eq(skep_hive_attach(skep_hive_fd(hive), &other), 0);
        ck_assert_int_eq(agent_self(other, &theirs), 0);
        ck_assert_int_eq(agent_self(hive, &mine), 0);
        word = &hive->heap->names_lock;
}

static void teardown(void)
{
        other = skep_hive_detach(other);
        hive = skep_hive_detach(hive);
}

static uint64_t held_by(const struct skep_agent *agent)
{
        return hive->agents[agent->index].holds & HOLDS_MASK;
}

START_TEST(holding_is_said_while_it_lasts)
{
        uint64_t before = hive->agents[mine->index].holds;
        ck_assert_int_eq(lock_acquire_inner(mine, &hive->heap->lock), 0);
        ck_assert_int_eq(lock_acquire_inner(mine, word), 0);
        ck_assert_uint_eq(held_by(mine), 3);
        lock_release_inner(mine, &hive->heap->lock);
        ck_assert_uint_eq(held_by(mine), 2);
        lock_release_inner(mine, word);
        ck_assert_uint_eq(held_by(mine), 0);
        ck_assert_uint_gt(hive->agents[mine->index].holds, before + 3 * (HOLDS_MASK + 1)); /* no value comes twice */
        ck_assert_uint_eq(*word, 0);
}
END_TEST

START_TEST(a_living_agent_that_does_not_hold_it_is_damage)
{
        skep_queue *queue;
        *word = theirs->id;
        ck_assert_int_eq(skep_queue_open(hive, "q", &queue), -EBADMSG);
        ck_assert_int_eq(skep_hive_forget(hive, "q"), -EBADMSG);
        ck_assert_uint_eq(held_by(mine), 0);
        *word = 0;
        ck_assert_int_eq(skep_queue_open(hive, "q", &queue), -ENOENT);
}
END_TEST

START_TEST(a_slot_of_our_member_without_a_thread_is_damage)
{
        struct shm_agent *slot = &hive->agents[8];
        skep_queue *queue;
        slot->word = 5u << 16 | (hive->member + 1);
        slot->holds = HOLDS_MASK;
        *word = 5u << AGENT_INDEX_BITS | 8;
        ck_assert_int_eq(agent_member(hive, *word), (int)hive->member);
        ck_assert_int_eq(skep_queue_open(hive, "q", &queue), -EBADMSG);
}
END_TEST

START_TEST(the_calling_thread_itself_is_damage)
{
        skep_queue *queue;
        *word = mine->id;
        ck_assert_int_eq(skep_queue_open(hive, "q", &queue), -EBADMSG);
}
END_TEST

START_TEST(a_slot_s_next_agent_holds_nothing)
{
        hive->agents[3].holds = 0x1234 << 8 | HOLDS_MASK;
        skep_hive *third;
        struct skep_agent *agent;
        ck_assert_int_eq(skep_hive_attach(skep_hive_fd(hive), &third), 0);
        ck_assert_int_eq(agent_self(third, &agent), 0);
        ck_assert_uint_eq(agent->index, 3);
        ck_assert_uint_eq(hive->agents[3].holds, 0x1235 << 8);
        skep_hive_detach(third);
}
END_TEST

static void *hold_long(void *ready)
{
        struct skep_agent *agent;
        ck_assert_int_eq(agent_self(other, &agent), 0);
        ck_assert_int_eq(lock_acquire_inner(agent, &other->heap->names_lock), 0);
        skep_store32(ready, 1);
        usleep(250000);
        lock_release_inner(agent, &other->heap->names_lock);
        return NULL;
}

START_TEST(a_slow_holder_is_waited_for)
{
        uint32_t ready = 0;
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, hold_long, &ready), 0);
        while (!skep_load32(&ready))
                usleep(1000);
        skep_queue *queue;
        ck_assert_int_eq(skep_queue_open(hive, "q", &queue), -ENOENT);
        pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("inner_lock");
        TCase *all = tcase_create("inner_lock");
        tcase_add_checked_fixture(all, setup, teardown);
        tcase_add_test(all, holding_is_said_while_it_lasts);
        tcase_add_test(all, a_living_agent_that_does_not_hold_it_is_damage);
        tcase_add_test(all, a_slot_of_our_member_without_a_thread_is_damage);
        tcase_add_test(all, the_calling_thread_itself_is_damage);
        tcase_add_test(all, a_slot_s_next_agent_holds_nothing);
        tcase_add_test(all, a_slow_holder_is_waited_for);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
