/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_point_test.c - die at the n-th passing of any probe while making, leaving and dropping a named block, or writing a list.
 *
 * Afterwards, once the dead is reaped: no name is left that nobody wants, a list holds the old value or the new one, and works.
 * ctest: timeout=60
 */
#include "base/probe.h"

#include "support/suite.h"

#include <check.h>
#include <signal.h>
#include <skep/skep.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int passings_left, which;
static skep_hive *hive;
static skep_shareable_list *list;
static char name[64];

static void die_at_point(const char *probe)
{
        (void)probe;
        if (--passings_left == 0)
                kill(getpid(), SIGKILL);
}

static void must(bool done)
{
        if (!done)
                abort();
}

static skep_shared_memory *make(void)
{
        skep_shared_memory *memory;
        must(skep_shared_memory_create(hive, SKEP_SHARED_MEMORY_OPTIONS(.name = name, .bytes = 100), &memory) == 0);
        return memory;
}

static void comes_and_goes(void)
{
        skep_shared_memory_unref(make());
}

static void comes_and_stays(void)
{
        make();
}

static void is_left(void)
{
        skep_shared_memory *memory = make();
        must(skep_shared_memory_leave(memory) == 0);
        skep_shared_memory_unref(memory);
}

static void is_kept(void)
{
        must(skep_shared_memory_keep(make()) == 0);
}

static void write_text(void)
{
        const struct skep_shareable_item item = {.type = SKEP_SHAREABLE_TEXT, .data = "the new value", .bytes = 13};
        must(skep_shareable_list_set(list, 1, &item, skep_forever()) == 0);
}

static void write_number(void)
{
        const struct skep_shareable_item item = {.type = SKEP_SHAREABLE_INT, .integer = 13};
        must(skep_shareable_list_set(list, 1, &item, skep_forever()) == 0);
}

static const struct {
        void (*run)(void);
        bool left;
} operations[] = {{comes_and_goes, false}, {comes_and_stays, false}, {is_left, true}, {is_kept, true}, {write_text, false}, {write_number, false}};

/* @return whether it came to the end */
static bool run_and_die(int n)
{
        int status;
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                passings_left = n;
                probe_hook = die_at_point;
                operations[which].run();
                probe_hook = NULL;
                _exit(0);
        }
        waitpid(child, &status, 0);
        ck_assert_msg(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL, "child ended with %x at %d", status, n);
        return WIFEXITED(status);
}

static void check_list(bool finished)
{
        char buffer[32];
        struct skep_shareable_item got;
        ck_assert_int_eq(skep_shareable_list_get(list, 1, buffer, sizeof buffer, &got, skep_forever()), 0);
        bool number = operations[which].run == write_number, text = operations[which].run == write_text;
        bool old = got.type == SKEP_SHAREABLE_TEXT && got.bytes == 10 && !memcmp(buffer, "old value\0", 10);
        bool new = number ? got.type == SKEP_SHAREABLE_INT && got.integer == 13 : text && got.bytes == 13 && !memcmp(buffer, "the new value", 13);
        ck_assert_msg(old || new, "neither old nor new");
        ck_assert(!finished || !(number || text) || new);
        const struct skep_shareable_item other = {.type = SKEP_SHAREABLE_BOOL, .integer = 1};
        for (uint64_t i = 0; i < 2; i++) {
                ck_assert_int_eq(skep_shareable_list_set(list, i, &other, skep_forever()), 0);
                ck_assert_int_eq(skep_shareable_list_get(list, i, buffer, sizeof buffer, &got, skep_forever()), 0);
                ck_assert(got.type == SKEP_SHAREABLE_BOOL && got.integer == 1);
        }
}

START_TEST(death_at_any_point_leaves_no_name_and_no_half_value)
{
        bool finished = false;
        char path[128];
        struct skep_verify_report report;
        struct skep_hive_stat stat;
        which = _i;
        snprintf(name, sizeof name, "skep-point-%d", (int)getpid());
        snprintf(path, sizeof path, "/dev/shm/%s", name);
        for (int n = 1; !finished; n++) {
                const struct skep_shareable_item items[] = {{.type = SKEP_SHAREABLE_NONE}, {.type = SKEP_SHAREABLE_TEXT, .data = "old value", .bytes = 10}};
                ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 4u << 20, .member_max = 8, .agent_max = 16), &hive), 0);
                ck_assert_int_eq(skep_shareable_list_create(hive, SKEP_SHAREABLE_LIST_OPTIONS(.items = items, .count = 2), &list), 0);
                finished = run_and_die(n);
                ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
                ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s at %d", report.first, n);
                ck_assert_msg(access(path, F_OK) != 0 || operations[_i].left, "the name is left at %d", n);
                ck_assert(access(path, F_OK) == 0 || !finished || !operations[_i].left);
                check_list(finished);
                list = skep_shareable_list_unref(list);
                ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
                ck_assert_msg(stat.blocks <= operations[_i].left, "%d blocks leak at %d", (int)stat.blocks, n);
                hive = skep_hive_detach(hive);
                ck_assert_msg(access(path, F_OK) != 0, "the name outlives the hive at %d", n);
                ck_assert_int_lt(n, 1000);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("memory_point");
        TCase *cases = tcase_create("memory_point");
        tcase_set_timeout(cases, 50);
        tcase_add_loop_test(cases, death_at_any_point_leaves_no_name_and_no_half_value, 0, (int)(sizeof operations / sizeof operations[0]));
        suite_add_tcase(suite, cases);
        return suite_run(suite);
}
