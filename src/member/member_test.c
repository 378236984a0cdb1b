/* SPDX-License-Identifier: Apache-2.0 */
/* member_test.c - who joins, leaves, forks and dies; and when a named hive goes. */
#include "member/member.h"

#include "hive/hive.h"
#include "support/suite.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skep/skep.h>

#define CAPACITY (UINT64_C(4) << 20)

static char name[SKEP_NAME_MAX + 1];

static void set_up(void)
{
        snprintf(name, sizeof name, "member_test.%d", (int)getpid());
}

static void tear_down(void)
{
        (void)!skep_hive_unlink(name);
}

static skep_hive *hive_of(uint32_t member_max, uint32_t agent_max)
{
        skep_hive *hive;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = CAPACITY, .member_max = member_max, .agent_max = agent_max), &hive), 0);
        return hive;
}

static uint32_t living(skep_hive *hive)
{
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        return stat.members;
}

static void kill_and_wait(pid_t pid)
{
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* A child that works in the hive, says so, and waits for ever. */
static pid_t child_at_work(skep_hive *hive)
{
        int pair[2];
        char byte;
        ck_assert_int_eq(pipe(pair), 0);
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                skep_block block;
                if (skep_block_alloc(hive, 1000, 0, &block) < 0 || write(pair[1], "x", 1) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }
        close(pair[1]);
        ck_assert_int_eq(read(pair[0], &byte, 1), 1);
        close(pair[0]);
        return pid;
}

static int wait_status(pid_t pid)
{
        int status;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(a_full_member_table_says_so_and_takes_the_place_of_one_who_died)
{
        skep_hive *hive = hive_of(2, 16), *other;
        pid_t child = child_at_work(hive);
        ck_assert_int_eq(skep_hive_attach(skep_hive_fd(hive), &other), -EUSERS);
        kill_and_wait(child);
        ck_assert_int_eq(skep_hive_attach(skep_hive_fd(hive), &other), 0);
        ck_assert_uint_eq(living(hive), 2);
        skep_hive_detach(other);
        ck_assert_uint_eq(living(hive), 1);
        skep_hive_detach(hive);
}
END_TEST

START_TEST(one_process_may_join_as_often_as_there_are_places)
{
        skep_hive *hive = hive_of(0, 0), *other[256];
        uint64_t seen[4] = {0};
        other[0] = hive;
        for (int i = 1; i < 256; i++)
                ck_assert_int_eq(skep_hive_attach(skep_hive_fd(hive), &other[i]), 0);
        for (int i = 0; i < 256; i++) {
                uint32_t member = skep_hive_member(other[i]);
                ck_assert_uint_lt(member, 256);
                ck_assert(!(seen[member / 64] >> member % 64 & 1));
                seen[member / 64] |= UINT64_C(1) << member % 64;
        }
        skep_hive *more;
        ck_assert_int_eq(skep_hive_attach(skep_hive_fd(hive), &more), -EUSERS);
        for (int i = 255; i >= 0; i--)
                skep_hive_detach(other[i]);
}
END_TEST

START_TEST(a_forked_child_is_a_member_of_its_own)
{
        skep_hive *hive = hive_of(0, 0);
        uint32_t *child_member = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pid_t pid = fork();
        if (pid == 0) {
                *child_member = skep_hive_member(hive);
                _exit(living(hive) == 2 ? 0 : 1);
        }
        ck_assert_int_eq(wait_status(pid), 0);
        ck_assert_uint_ne(*child_member, skep_hive_member(hive));
        ck_assert_uint_eq(living(hive), 1);
        skep_hive_detach(hive);
}
END_TEST

START_TEST(a_fork_without_a_free_place_leaves_the_child_a_stale_handle)
{
        skep_hive *hive = hive_of(1, 16);
        skep_block block;
        pid_t pid = fork();
        if (pid == 0)
                _exit(skep_block_alloc(hive, 8, 0, &block) == -ESTALE ? 0 : 1);
        ck_assert_int_eq(wait_status(pid), 0);
        ck_assert_int_eq(skep_block_alloc(hive, 8, 0, &block), 0);
        skep_hive_detach(hive);
}
END_TEST

START_TEST(a_fork_takes_the_place_of_one_who_died)
{
        skep_hive *hive = hive_of(2, 16);
        for (int i = 0; i < 5; i++)
                kill_and_wait(child_at_work(hive));
        skep_hive_detach(hive);
}
END_TEST

START_TEST(a_killed_member_is_reaped)
{
        skep_hive *hive = hive_of(0, 0);
        struct skep_reap_report report;
        struct skep_hive_stat stat;
        kill_and_wait(child_at_work(hive));
        ck_assert_uint_eq(living(hive), 1);
        ck_assert_int_eq(skep_hive_reap(hive, &report), 0);
        ck_assert_uint_eq(report.members, 1);
        ck_assert_uint_eq(report.agents, 1);
        ck_assert_uint_ge(report.blocks, 1);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_eq(stat.blocks, 0);
        ck_assert_int_eq(skep_hive_reap(hive, &report), 0);
        ck_assert_uint_eq(report.members, 0);
        ck_assert_int_eq(skep_hive_verify(hive, &(struct skep_verify_report){0}), 0);
        skep_hive_detach(hive);
}
END_TEST

START_TEST(a_living_member_is_not_reaped)
{
        skep_hive *hive = hive_of(0, 0);
        struct skep_reap_report report;
        pid_t child = child_at_work(hive);
        ck_assert_int_eq(kill(child, SIGSTOP), 0);
        ck_assert_int_eq(skep_hive_reap(hive, &report), 0);
        ck_assert_uint_eq(report.members, 0);
        ck_assert_uint_eq(living(hive), 2);
        kill_and_wait(child);
        skep_hive_detach(hive);
}
END_TEST

START_TEST(a_zombie_is_dead)
{
        skep_hive *hive = hive_of(0, 0);
        struct skep_reap_report report;
        siginfo_t info;
        pid_t child = child_at_work(hive);
        kill(child, SIGKILL);
        ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
        ck_assert_int_eq(skep_hive_reap(hive, &report), 0);
        ck_assert_uint_eq(report.members, 1);
        kill_and_wait(child);
        skep_hive_detach(hive);
}
END_TEST

START_TEST(what_a_member_holds_is_given_back_when_it_leaves)
{
        skep_hive *hive = hive_of(0, 0), *other;
        skep_block block;
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_attach(skep_hive_fd(hive), &other), 0);
        ck_assert_int_eq(skep_block_alloc(other, 100000, 0, &block), 0);
        skep_hive_detach(other);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_eq(stat.blocks, 0);
        ck_assert_int_eq(skep_block_ref(hive, block), -ESTALE);
        skep_hive_detach(hive);
}
END_TEST

/* --- named hives --------------------------------------------------------------------------------------------------- */

static int create_named(uint32_t flags, skep_hive **ret_hive)
{
        return skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = CAPACITY, .name = name, .flags = flags), ret_hive);
}

START_TEST(a_named_hive_goes_with_its_last_member)
{
        skep_hive *hive, *other;
        ck_assert_int_eq(create_named(0, &hive), 0);
        ck_assert_int_eq(skep_hive_open(name, &other), 0);
        skep_hive_detach(hive);
        ck_assert_int_eq(skep_hive_open(name, &hive), 0);
        skep_hive_detach(hive);
        skep_hive_detach(other);
        ck_assert_int_eq(skep_hive_open(name, &hive), -ENOENT);
        ck_assert_int_eq(skep_hive_unlink(name), -ENOENT);
}
END_TEST

START_TEST(a_persistent_hive_stays_with_its_contents)
{
        skep_hive *hive;
        skep_queue *queue;
        char text[8];
        size_t bytes;
        ck_assert_int_eq(create_named(SKEP_HIVE_PERSISTENT, &hive), 0);
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "q", .capacity = 2), &queue), 0);
        ck_assert_int_eq(skep_queue_put(queue, "honey", 6, skep_nowait()), 0);
        skep_queue_unref(queue);
        skep_hive_detach(hive);
        skep_hive *again;
        ck_assert_int_eq(create_named(0, &again), -EEXIST);
        ck_assert_int_eq(skep_hive_open(name, &hive), 0);
        ck_assert_int_eq(skep_queue_open(hive, "q", &queue), 0);
        ck_assert_int_eq(skep_queue_get(queue, text, sizeof text, &bytes, skep_nowait()), 0);
        ck_assert_str_eq(text, "honey");
        skep_queue_unref(queue);
        skep_hive_detach(hive);
        ck_assert_int_eq(skep_hive_unlink(name), 0);
        ck_assert_int_eq(skep_hive_open(name, &hive), -ENOENT);
}
END_TEST

START_TEST(a_name_in_use_is_taken)
{
        skep_hive *hive, *other;
        ck_assert_int_eq(create_named(0, &hive), 0);
        ck_assert_int_eq(create_named(0, &other), -EEXIST);
        skep_hive_detach(hive);
        ck_assert_int_eq(create_named(0, &hive), 0);
        skep_hive_detach(hive);
}
END_TEST

START_TEST(a_named_file_whose_members_all_died_is_replaced)
{
        pid_t pid = fork();
        if (pid == 0) {
                skep_hive *hive;
                _exit(create_named(0, &hive));
        }
        ck_assert_int_eq(wait_status(pid), 0);
        skep_hive *hive;
        ck_assert_int_eq(create_named(0, &hive), 0);
        ck_assert_uint_eq(living(hive), 1);
        skep_hive_detach(hive);
}
END_TEST

static int find_name(const struct skep_hive_entry *entry, void *context)
{
        if (strcmp(entry->name, name))
                return 0;
        *(struct skep_hive_entry *)context = *entry;
        return 7;
}

/* Two that end at once, by _exit(): the last of them removes the name, whichever that is. */
START_TEST(a_name_goes_with_the_last_process_that_ends_in_order)
{
        for (int turn = 0; turn < 20; turn++) {
                skep_hive *hive;
                ck_assert_int_eq(create_named(0, &hive), 0);
                pid_t children[2];
                for (int i = 0; i < 2; i++)
                        if ((children[i] = fork()) == 0) {
                                skep_process_exiting();
                                _exit(0);
                        }
                if (turn % 2)
                        skep_hive_detach(hive);
                for (int i = 0; i < 2; i++)
                        ck_assert_int_eq(wait_status(children[i]), 0);
                skep_hive *again;
                int found = skep_hive_open(name, &again);
                ck_assert_int_eq(found, turn % 2 ? -ENOENT : 0);
                if (found == 0) {
                        skep_hive_detach(again);
                        skep_hive_detach(hive);
                }
        }
}
END_TEST

START_TEST(the_list_shows_the_living_and_removes_the_stale)
{
        skep_hive *hive;
        struct skep_hive_entry entry;
        ck_assert_int_eq(create_named(0, &hive), 0);
        ck_assert_int_eq(skep_hive_list(find_name, &entry), 7);
        ck_assert_uint_eq(entry.members, 1);
        ck_assert_uint_eq(entry.capacity_bytes, CAPACITY);
        ck_assert_int_eq(entry.state, 0);
        skep_hive_detach(hive);
        pid_t pid = fork();
        if (pid == 0)
                _exit(create_named(0, &hive));
        ck_assert_int_eq(wait_status(pid), 0);
        ck_assert_int_eq(skep_hive_list(find_name, &entry), 0);
        ck_assert_int_eq(skep_hive_open(name, &hive), -ENOENT);
}
END_TEST

static int visit_nothing(const struct skep_hive_entry *entry, void *context)
{
        (void)entry;
        (void)context;
        return 0;
}

START_TEST(whoever_looks_on_sees_a_named_hive_whole_or_not_at_all)
{
        enum { TURNS = 500, ONLOOKERS = 2 };
        pid_t onlookers[ONLOOKERS];
        for (int i = 0; i < ONLOOKERS; i++)
                if ((onlookers[i] = fork()) == 0)
                        for (skep_hive *hive;;) {
                                int result = skep_hive_list(visit_nothing, NULL);
                                if (result == 0 && (result = skep_hive_open(name, &hive)) == 0)
                                        skep_hive_detach(hive);
                                if (result < 0 && result != -ENOENT)
                                        _exit(1);
                        }
        for (int turn = 0; turn < TURNS; turn++) {
                skep_hive *hive, *again;
                ck_assert_int_eq(create_named(0, &hive), 0);
                ck_assert_int_eq(skep_hive_open(name, &again), 0);
                skep_hive_detach(hive);
                skep_hive_detach(again);
                for (int result; (result = skep_hive_unlink(name)) != -ENOENT;) /* an onlooker may be its last member */
                        ck_assert_int_eq(result, 0);
        }
        for (int i = 0, status; i < ONLOOKERS; i++) {
                kill(onlookers[i], SIGKILL);
                ck_assert_int_eq(waitpid(onlookers[i], &status, 0), onlookers[i]);
                ck_assert(WIFSIGNALED(status));
        }
}
END_TEST

START_TEST(members_go_on_when_the_name_is_removed)
{
        skep_hive *hive, *other;
        skep_block block;
        ck_assert_int_eq(create_named(0, &hive), 0);
        ck_assert_int_eq(skep_hive_unlink(name), 0);
        ck_assert_int_eq(skep_block_alloc(hive, 100, 0, &block), 0);
        ck_assert_int_eq(create_named(0, &other), 0); /* another hive of that name */
        skep_hive_detach(hive);                       /* must leave the other's name alone */
        ck_assert_int_eq(skep_hive_open(name, &hive), 0);
        skep_hive_detach(hive);
        skep_hive_detach(other);
}
END_TEST

/* --- agents ---------------------------------------------------------------------------------------------------------- */

static skep_hive *agent_hive;

static void *alloc_in_thread(void *ret)
{
        skep_block block;
        int result = skep_block_alloc(agent_hive, 8, 0, &block);
        if (result == 0)
                skep_block_unref(agent_hive, block);
        *(int *)ret = result;
        return NULL;
}

START_TEST(a_full_agent_table_says_so)
{
        skep_block block;
        agent_hive = hive_of(4, 1);
        int result = 0;
        pthread_t thread;
        ck_assert_int_eq(skep_block_alloc(agent_hive, 8, 0, &block), 0);
        pthread_create(&thread, NULL, alloc_in_thread, &result);
        pthread_join(thread, NULL);
        ck_assert_int_eq(result, -EUSERS);
        skep_hive_detach(agent_hive);
}
END_TEST

START_TEST(a_thread_that_ends_gives_its_agent_back)
{
        agent_hive = hive_of(4, 2);
        int result = 0;
        skep_block block;
        ck_assert_int_eq(skep_block_alloc(agent_hive, 8, 0, &block), 0);
        for (int i = 0; i < 100; i++) {
                pthread_t thread;
                pthread_create(&thread, NULL, alloc_in_thread, &result);
                pthread_join(thread, NULL);
                ck_assert_int_eq(result, 0);
        }
        skep_hive_detach(agent_hive);
}
END_TEST

START_TEST(agents_of_the_dead_are_taken_over)
{
        skep_hive *hive = hive_of(8, 2);
        skep_block block;
        ck_assert_int_eq(skep_block_alloc(hive, 8, 0, &block), 0);
        for (int i = 0; i < 4; i++)
                kill_and_wait(child_at_work(hive));
        skep_hive_detach(hive);
}
END_TEST

static void *detach_late(void *hive)
{
        skep_block block;
        int result = skep_block_alloc(hive, 8, 0, &block);
        skep_hive_detach(hive);
        return result ? hive : NULL;
}

START_TEST(a_handle_may_be_detached_by_another_thread)
{
        for (int i = 0; i < 50; i++) {
                skep_hive *hive = hive_of(4, 4);
                skep_block block;
                void *failed;
                pthread_t thread;
                ck_assert_int_eq(skep_block_alloc(hive, 8, 0, &block), 0);
                pthread_create(&thread, NULL, detach_late, hive);
                pthread_join(thread, &failed);
                ck_assert_ptr_null(failed);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("member");
        TCase *tests = tcase_create("member");
        tcase_add_checked_fixture(tests, set_up, tear_down);
        tcase_add_test(tests, a_full_member_table_says_so_and_takes_the_place_of_one_who_died);
        tcase_add_test(tests, one_process_may_join_as_often_as_there_are_places);
        tcase_add_test(tests, a_forked_child_is_a_member_of_its_own);
        tcase_add_test(tests, a_fork_without_a_free_place_leaves_the_child_a_stale_handle);
        tcase_add_test(tests, a_fork_takes_the_place_of_one_who_died);
        tcase_add_test(tests, a_killed_member_is_reaped);
        tcase_add_test(tests, a_living_member_is_not_reaped);
        tcase_add_test(tests, a_zombie_is_dead);
        tcase_add_test(tests, what_a_member_holds_is_given_back_when_it_leaves);
        tcase_add_test(tests, a_named_hive_goes_with_its_last_member);
        tcase_add_test(tests, a_persistent_hive_stays_with_its_contents);
        tcase_add_test(tests, a_name_in_use_is_taken);
        tcase_add_test(tests, a_named_file_whose_members_all_died_is_replaced);
        tcase_add_test(tests, a_name_goes_with_the_last_process_that_ends_in_order);
        tcase_add_test(tests, the_list_shows_the_living_and_removes_the_stale);
        tcase_add_test(tests, whoever_looks_on_sees_a_named_hive_whole_or_not_at_all);
        tcase_add_test(tests, members_go_on_when_the_name_is_removed);
        tcase_add_test(tests, a_full_agent_table_says_so);
        tcase_add_test(tests, a_thread_that_ends_gives_its_agent_back);
        tcase_add_test(tests, agents_of_the_dead_are_taken_over);
        tcase_add_test(tests, a_handle_may_be_detached_by_another_thread);
        suite_add_tcase(suite, tests);
        return suite_run(suite);
}
