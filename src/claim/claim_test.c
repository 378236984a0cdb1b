/* SPDX-License-Identifier: Apache-2.0 */
/* claim_test.c - who holds a block: members, objects, names; limits, stale references, death. */
#include "claim/claim.h"
#include "support/suite.h"
#include "sync/lock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skep/skep.h>

static skep_hive *hive;
static struct skep_agent *agent;

static void set_up(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20, .agent_max = 64), &hive), 0);
        ck_assert_int_eq(agent_self(hive, &agent), 0);
}

static void tear_down(void)
{
        hive = skep_hive_detach(hive);
}

static uint64_t block_count(void)
{
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        return stat.blocks;
}

static void verify(void)
{
        struct skep_verify_report report;
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s", report.first);
}

static struct shm_block *alloc(void)
{
        struct shm_block *block;
        ck_assert_int_eq(claim_alloc(agent, 100, BLOCK_BYTES, &block), 0);
        return block;
}

static uint64_t objects(const struct shm_block *block)
{
        return claims_count(block->claims);
}

/* @return how the child ended: its exit code, or minus the signal */
static int in_child(int (*run)(struct shm_block *), struct shm_block *block)
{
        int status;
        pid_t child = fork();
        if (child == 0)
                _exit(agent_self(hive, &agent) < 0 ? 99 : run(block));
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* --- members --------------------------------------------------------------------------------------------------------------------- */

START_TEST(the_last_of_many_claims_of_a_process_frees)
{
        struct shm_block *block = alloc();
        for (int i = 0; i < 5; i++)
                ck_assert_int_eq(claim_ref(agent, block, block->serial), 0);
        for (int i = 0; i < 6; i++) {
                ck_assert(claim_is_mine(hive, block));
                ck_assert_uint_eq(block_count(), 1);
                ck_assert_int_eq(claim_unref(agent, block), 0);
        }
        ck_assert(!claim_is_mine(hive, block));
        ck_assert_int_eq(word_state(block->word), BLOCK_FREE);
        ck_assert_int_eq(claim_unref(agent, block), -EINVAL);
        ck_assert_int_eq(claim_ref(agent, block, block->serial), -ESTALE);
        ck_assert_uint_eq(block_count(), 0);
}
END_TEST

START_TEST(a_reference_to_an_earlier_life_is_stale)
{
        skep_block first, second;
        ck_assert_int_eq(skep_block_alloc(hive, 100, 0, &first), 0);
        ck_assert_int_eq(skep_block_unref(hive, first), 0);
        ck_assert_int_eq(skep_block_alloc(hive, 100, 0, &second), 0);
        ck_assert_uint_eq(first.offset, second.offset);
        ck_assert_uint_ne(first.serial, second.serial);
        ck_assert_int_eq(skep_block_ref(hive, first), -ESTALE);
        ck_assert_int_eq(skep_block_unref(hive, first), -EINVAL);
        ck_assert_ptr_null(skep_block_address(hive, first, NULL));
        const uint64_t at = second.offset, serial = second.serial;
        const skep_block bad[] = {{0, 0}, {at, 0}, {at, serial + (UINT64_C(1) << 32)}, {at + 8, serial}, {UINT64_MAX, 1}};
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
                ck_assert_int_eq(skep_block_ref(hive, bad[i]), -ESTALE);
        ck_assert_int_eq(skep_block_unref(hive, second), 0);
}
END_TEST

START_TEST(serial_numbers_go_round_without_zero)
{
        struct shm_block *block = alloc();
        ck_assert_int_eq(claim_unref(agent, block), 0);
        block->serial = UINT32_MAX - 1;
        ck_assert_ptr_eq(alloc(), block);
        ck_assert_uint_eq(block->serial, UINT32_MAX);
        ck_assert_int_eq(claim_unref(agent, block), 0);
        ck_assert_ptr_eq(alloc(), block);
        ck_assert_uint_eq(block->serial, 1);
}
END_TEST

START_TEST(a_process_cannot_claim_more_often_than_can_be_counted)
{
        struct shm_block *block = alloc();
        uint32_t *local = claim_local(hive, block);
        *local = UINT32_MAX - 1;
        ck_assert_int_eq(claim_ref(agent, block, block->serial), -EOVERFLOW);
        ck_assert_uint_eq(*local, UINT32_MAX - 1);
        *local = 1;
        ck_assert_int_eq(claim_unref(agent, block), 0);
        ck_assert_uint_eq(block_count(), 0);
}
END_TEST

static int unref_and_look(struct shm_block *block)
{
        return claim_is_mine(hive, block) && claim_unref(agent, block) == 0 && !claim_is_mine(hive, block) && claim_unref(agent, block) == -EINVAL ? 7 : 1;
}

START_TEST(a_forked_child_has_a_claim_of_its_own)
{
        struct shm_block *block = alloc();
        ck_assert_int_eq(in_child(unref_and_look, block), 7);
        ck_assert_uint_eq(block_count(), 1);
        ck_assert_int_eq(claim_unref(agent, block), 0);
        ck_assert_uint_eq(block_count(), 0);
}
END_TEST

static int die(struct shm_block *block)
{
        if (claim_ref(agent, block, block->serial) == 0)
                kill(getpid(), SIGKILL);
        return 1;
}

START_TEST(the_claims_of_the_dead_are_dropped_by_the_reaper)
{
        struct skep_reap_report report;
        struct shm_block *block = alloc();
        ck_assert_int_eq(in_child(die, block), -SIGKILL);
        ck_assert_int_eq(claim_unref(agent, block), 0);
        ck_assert_uint_eq(block_count(), 1); /* nobody has proven the death yet */
        ck_assert_int_eq(skep_hive_verify(hive, NULL), -EBADMSG);
        ck_assert_int_eq(skep_hive_reap(hive, &report), 0);
        ck_assert_uint_eq(report.members, 1);
        ck_assert_uint_eq(report.blocks, 1);
        ck_assert_uint_eq(block_count(), 0);
        verify();
}
END_TEST

/* All drop at once: whoever is the last, the block is freed, and once. */
START_TEST(four_processes_that_let_go_together_free_once)
{
        enum { PROCESSES = 4, ROUNDS = 300, BLOCKS = 30 };
        for (int round = 0; round < ROUNDS / BLOCKS; round++) {
                struct shm_block *blocks[BLOCKS];
                for (int i = 0; i < BLOCKS; i++)
                        blocks[i] = alloc();
                for (int i = 0; i < PROCESSES; i++)
                        if (fork() == 0) {
                                int failed = agent_self(hive, &agent);
                                for (int j = 0; j < BLOCKS; j++) {
                                        failed |= claim_ref(agent, blocks[j], blocks[j]->serial);
                                        failed |= claim_unref(agent, blocks[j]);
                                        failed |= claim_unref(agent, blocks[j]);
                                }
                                _exit(failed != 0);
                        }
                for (int i = 0; i < BLOCKS; i++)
                        ck_assert_int_eq(claim_unref(agent, blocks[i]), 0);
                for (int i = 0, status; i < PROCESSES; i++) {
                        ck_assert_int_gt(wait(&status), 0);
                        ck_assert_int_eq(status, 0);
                }
                ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
                ck_assert_uint_eq(block_count(), 0);
                verify();
        }
}
END_TEST

/* --- objects --------------------------------------------------------------------------------------------------------------------- */

START_TEST(a_step_is_done_once_however_often_asked)
{
        struct shm_block *block = alloc();
        intent_set(agent, INTENT_HOLD, block, &block->data, INTENT_WORD);
        uint32_t sequence = agent->shared->intent.sequence;
        ck_assert(!claim_step_done(hive, agent->index, block, sequence));
        ck_assert_int_eq(claim_hold(agent, block), 0);
        ck_assert_int_eq(claim_hold(agent, block), 0);
        ck_assert_uint_eq(objects(block), 1);
        claims_bump(agent, block); /* another step on top: the first is acknowledged */
        ck_assert(claim_step_done(hive, agent->index, block, sequence));
        ck_assert_int_eq(claim_hold(agent, block), 0);
        ck_assert_uint_eq(objects(block), 1);
        ck_assert(!claim_step_done(hive, agent->index, block, sequence + 2));
        intent_clear(agent);
        ck_assert_int_eq(claim_unref(agent, block), 0);
        ck_assert_uint_eq(block_count(), 1); /* an object holds it */
        intent_set(agent, INTENT_DROP, block, NULL, 0);
        claim_drop(agent, block);
        ck_assert_uint_eq(block_count(), 0);
        ck_assert_uint_eq(agent->shared->intent.op, INTENT_NONE);
}
END_TEST

static int step_on_top(struct shm_block *block)
{
        claims_bump(agent, block);
        return 0;
}

START_TEST(a_step_that_another_member_overwrote_is_known_as_done)
{
        struct shm_block *block = alloc();
        intent_set(agent, INTENT_HOLD, block, &block->data, INTENT_WORD);
        ck_assert_int_eq(claim_hold(agent, block), 0);
        ck_assert_int_eq(in_child(step_on_top, block), 0);
        ck_assert_uint_ne(claims_agent(block->claims), agent->index);
        ck_assert(claim_step_done(hive, agent->index, block, agent->shared->intent.sequence));
        ck_assert_int_eq(claim_hold(agent, block), 0);
        ck_assert_uint_eq(objects(block), 1);
}
END_TEST

START_TEST(more_claims_than_can_be_counted_are_refused)
{
        struct shm_block *block = alloc();
        uint64_t most = CLAIMS_RETIRED - 1;
        block->claims = claims_of(most - 1, 0, 0);
        intent_set(agent, INTENT_HOLD, block, NULL, 0);
        ck_assert_int_eq(claim_hold(agent, block), 0);
        ck_assert_uint_eq(objects(block), most);
        intent_set(agent, INTENT_HOLD, block, NULL, 0);
        ck_assert_int_eq(claim_hold(agent, block), -EOVERFLOW);
        ck_assert_uint_eq(objects(block), most);
        ck_assert_ptr_eq(claim_find(hive, hive_offset(hive, block), block->serial), block); /* not taken for retired */
        ck_assert_int_eq(claim_step(agent, block, -1, agent->shared->intent.sequence + 1), 0);
        ck_assert_uint_eq(objects(block), most - 1);
}
END_TEST

START_TEST(a_queue_goes_on_when_an_array_has_too_many_claims)
{
        skep_queue *queue;
        skep_array *array;
        ck_assert_int_eq(skep_queue_create(hive, NULL, &queue), 0);
        ck_assert_int_eq(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8, .dimension_count = 0), &array), 0);
        struct shm_block *block = heap_record(hive, skep_array_block(array).offset);
        uint64_t before = block->claims;
        block->claims = claims_of(CLAIMS_RETIRED - 1, 0, 0);
        ck_assert_int_eq(skep_queue_put_array(queue, array, skep_nowait()), -EOVERFLOW);
        ck_assert_uint_eq(skep_queue_size(queue), 0);
        block->claims = before;
        ck_assert_int_eq(skep_queue_put_array(queue, array, skep_nowait()), 0);
        ck_assert_uint_eq(skep_queue_size(queue), 1);
        skep_queue_unref(queue);
        skep_array_unref(array);
        ck_assert_uint_eq(block_count(), 0);
}
END_TEST

static struct shm_block *destroyed;
static int destroy_count;

static void count_destroy(struct skep_agent *by, struct shm_block *block)
{
        (void)by;
        destroyed = block;
        destroy_count++;
}

START_TEST(the_last_claim_ends_what_the_block_is)
{
        struct shm_block *block;
        static const struct kind counting = {.name = "counting", .destroy = count_destroy};
        kind_register((enum block_kind)(BLOCK_KINDS - 1), &counting);
        ck_assert_int_eq(claim_alloc(agent, 300, (enum block_kind)(BLOCK_KINDS - 1), &block), 0);
        ck_assert_int_eq(claim_ref(agent, block, block->serial), 0);
        ck_assert_int_eq(claim_unref(agent, block), 0);
        ck_assert_int_eq(destroy_count, 0);
        ck_assert_int_eq(claim_unref(agent, block), 0);
        ck_assert_int_eq(destroy_count, 1);
        ck_assert_ptr_eq(destroyed, block);
        ck_assert_int_eq(word_state(block->word), BLOCK_FREE);
}
END_TEST

/* --- names ----------------------------------------------------------------------------------------------------------------------- */

static int count_name(const struct skep_object_entry *entry, void *context)
{
        (void)entry;
        return ++*(int *)context, 0;
}

static int count_names(void)
{
        int count = 0;
        ck_assert_int_eq(skep_hive_names(hive, count_name, &count), 0);
        return count;
}

START_TEST(a_name_holds_its_object_until_it_is_forgotten)
{
        struct shm_block *block = alloc(), *found;
        ck_assert_int_eq(name_find(agent, "n", BLOCK_BYTES, &found), -ENOENT);
        ck_assert_int_eq(name_enter(agent, "n", block), 0);
        ck_assert_int_eq(name_enter(agent, "n", block), -EEXIST);
        ck_assert_uint_eq(objects(block), 1);
        ck_assert_int_eq(claim_unref(agent, block), 0);
        ck_assert_uint_eq(block_count(), 1);
        ck_assert_int_eq(name_find(agent, "n", BLOCK_QUEUE, &found), -EPROTOTYPE);
        ck_assert_int_eq(name_find(agent, "n", BLOCK_BYTES, &found), 0);
        ck_assert_ptr_eq(found, block);
        ck_assert_int_eq(count_names(), 1);
        ck_assert_int_eq(skep_hive_forget(hive, "n"), 0);
        ck_assert_int_eq(skep_hive_forget(hive, "n"), -ENOENT);
        ck_assert_int_eq(name_find(agent, "n", BLOCK_BYTES, &found), -ENOENT);
        ck_assert_int_eq(count_names(), 0);
        ck_assert_uint_eq(block_count(), 1);
        ck_assert_int_eq(claim_unref(agent, block), 0);
        ck_assert_uint_eq(block_count(), 0);
}
END_TEST

START_TEST(bad_names_are_refused_and_the_longest_is_not)
{
        char longest[SKEP_NAME_MAX + 1], too_long[SKEP_NAME_MAX + 2];
        struct shm_block *block = alloc(), *found;
        memset(longest, 'x', sizeof longest);
        memset(too_long, 'x', sizeof too_long);
        longest[SKEP_NAME_MAX] = too_long[SKEP_NAME_MAX + 1] = 0;
        static const char *const bad[] = {"", ".", "..", "a/b", "/", NULL};
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                ck_assert_int_eq(name_enter(agent, bad[i], block), -EINVAL);
                ck_assert_int_eq(name_find(agent, bad[i], BLOCK_BYTES, &found), -EINVAL);
                ck_assert_int_eq(skep_hive_forget(hive, bad[i]), -EINVAL);
        }
        ck_assert_int_eq(name_enter(agent, too_long, block), -ENAMETOOLONG);
        ck_assert_int_eq(name_enter(agent, longest, block), 0);
        longest[SKEP_NAME_MAX - 1] = 'y';
        ck_assert_int_eq(name_find(agent, longest, BLOCK_BYTES, &found), -ENOENT);
        ck_assert_int_eq(name_enter(agent, longest, block), 0);
        ck_assert_int_eq(count_names(), 2);
        ck_assert_uint_eq(objects(block), 2);
}
END_TEST

START_TEST(a_full_directory_says_so_and_takes_one_more_when_one_is_forgotten)
{
        char name[16];
        struct shm_block *block = alloc();
        for (unsigned i = 0; i < HIVE_NAME_MAX; i++) {
                snprintf(name, sizeof name, "n%u", i);
                ck_assert_int_eq(name_enter(agent, name, block), 0);
        }
        ck_assert_int_eq(name_enter(agent, "more", block), -EUSERS);
        ck_assert_uint_eq(objects(block), HIVE_NAME_MAX);
        ck_assert_int_eq(name_enter(agent, "n1000", block), -EEXIST);
        ck_assert_int_eq(skep_hive_forget(hive, "n500"), 0);
        ck_assert_int_eq(name_enter(agent, "more", block), 0);
        ck_assert_int_eq(count_names(), HIVE_NAME_MAX);
        verify();
}
END_TEST

static int enter_own_name(struct shm_block *block)
{
        char name[16];
        int failed = 0;
        for (int i = 0; i < 100; i++) {
                snprintf(name, sizeof name, "%d", i % 10);
                int result = name_enter(agent, name, block);
                failed |= result != 0 && result != -EEXIST;
                if (result == 0)
                        failed |= skep_hive_forget(hive, name) != 0;
        }
        return failed;
}

START_TEST(names_entered_by_many_at_once_are_each_one)
{
        struct shm_block *block = alloc();
        for (int i = 0; i < 4; i++)
                if (fork() == 0)
                        _exit(agent_self(hive, &agent) < 0 || enter_own_name(block));
        for (int i = 0, status; i < 4; i++) {
                ck_assert_int_gt(wait(&status), 0);
                ck_assert_int_eq(status, 0);
        }
        ck_assert_int_eq(count_names(), 0);
        ck_assert_uint_eq(objects(block), 0);
}
END_TEST

START_TEST(a_name_of_what_is_gone_is_stale_and_can_be_forgotten)
{
        struct shm_block *block = alloc(), *found;
        ck_assert_int_eq(name_enter(agent, "n", block), 0);
        hive->names[0].serial++;
        ck_assert_int_eq(name_find(agent, "n", BLOCK_BYTES, &found), -ESTALE);
        ck_assert_int_eq(skep_hive_verify(hive, NULL), -EBADMSG);
        ck_assert_int_eq(count_names(), 0);
        hive->names[0].block = 12345;
        ck_assert_int_eq(name_find(agent, "n", BLOCK_BYTES, &found), -ESTALE);
        ck_assert_int_eq(skep_hive_forget(hive, "n"), 0);
        ck_assert_uint_eq(hive->names[0].block, 0);
}
END_TEST

static int die_with_the_directory(struct shm_block *block)
{
        (void)block;
        if (lock_acquire_inner(agent, &hive->heap->names_lock) == 0)
                kill(getpid(), SIGKILL);
        return 1;
}

START_TEST(the_directory_of_the_dead_is_opened)
{
        struct shm_block *block = alloc();
        ck_assert_int_eq(in_child(die_with_the_directory, block), -SIGKILL);
        ck_assert_int_eq(name_enter(agent, "n", block), 0);
        ck_assert_int_eq(in_child(die_with_the_directory, block), -SIGKILL);
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert_uint_eq(lock_owner(&hive->heap->names_lock), 0);
        ck_assert_int_eq(lock_acquire_inner(agent, &hive->heap->names_lock), 0);
        ck_assert_int_eq(name_enter(agent, "m", block), -EBADMSG);
        ck_assert_int_eq(lock_release(agent, &hive->heap->names_lock), 0);
}
END_TEST

/* --- damage ---------------------------------------------------------------------------------------------------------------------- */

static void found(const char *what)
{
        struct skep_verify_report report;
        ck_assert_int_eq(skep_hive_verify(hive, &report), -EBADMSG);
        ck_assert_uint_eq(report.problems, 1);
        ck_assert_msg(strstr(report.first, what) != NULL, "'%s' instead of '%s'", report.first, what);
}

START_TEST(verify_says_what_is_wrong)
{
        struct shm_block *block = alloc();
        const struct shm_block sound = *block;
        verify();
        block->members[0] = 0;
        found("nobody claims");
        block->claims = claims_of(CLAIMS_RETIRED, 0, 1);
        found("retired by nobody");
        *block = sound;
        block->members[1] |= 1;
        found("a member that is gone");
        *block = sound;
        block->word = word_of(BLOCK_HELD, 0, BLOCK_WARM, 63);
        found("held by an agent that is gone");
        block->word = word_of((enum block_state)9, 0, BLOCK_WARM, 0);
        found("no known state");
        *block = sound;
        hive->agents[5].word = 200;
        found("agent of a member that is gone");
        hive->agents[5].word = 0;
        hive->heap->top = hive->layout.page_count + 1;
        struct skep_verify_report report;
        ck_assert_int_eq(skep_hive_verify(hive, &report), -EBADMSG);
        hive->heap->top = 4;
        verify();
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("claim");
        TCase *tests = tcase_create("claim");
        tcase_add_checked_fixture(tests, set_up, tear_down);
        tcase_add_test(tests, the_last_of_many_claims_of_a_process_frees);
        tcase_add_test(tests, a_reference_to_an_earlier_life_is_stale);
        tcase_add_test(tests, serial_numbers_go_round_without_zero);
        tcase_add_test(tests, a_process_cannot_claim_more_often_than_can_be_counted);
        tcase_add_test(tests, a_forked_child_has_a_claim_of_its_own);
        tcase_add_test(tests, the_claims_of_the_dead_are_dropped_by_the_reaper);
        tcase_add_test(tests, four_processes_that_let_go_together_free_once);
        tcase_add_test(tests, a_step_is_done_once_however_often_asked);
        tcase_add_test(tests, a_step_that_another_member_overwrote_is_known_as_done);
        tcase_add_test(tests, more_claims_than_can_be_counted_are_refused);
        tcase_add_test(tests, a_queue_goes_on_when_an_array_has_too_many_claims);
        tcase_add_test(tests, the_last_claim_ends_what_the_block_is);
        tcase_add_test(tests, a_name_holds_its_object_until_it_is_forgotten);
        tcase_add_test(tests, bad_names_are_refused_and_the_longest_is_not);
        tcase_add_test(tests, a_full_directory_says_so_and_takes_one_more_when_one_is_forgotten);
        tcase_add_test(tests, names_entered_by_many_at_once_are_each_one);
        tcase_add_test(tests, a_name_of_what_is_gone_is_stale_and_can_be_forgotten);
        tcase_add_test(tests, the_directory_of_the_dead_is_opened);
        tcase_add_test(tests, verify_says_what_is_wrong);
        suite_add_tcase(suite, tests);
        return suite_run(suite);
}
