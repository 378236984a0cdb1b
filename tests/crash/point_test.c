/* SPDX-License-Identifier: Apache-2.0 */
/*
 * point_test.c - die at the n-th passing of any probe, for every n, with survivors that go on working.
 *
 * Each probe stands behind a store to shared memory.  A child runs an operation and kills itself at passing n; the parent, a
 * living member, reaps, verifies, empties the queues and finds nothing lost, doubled or leaked.  The second case lets the
 * reaper die too, at each of its points.  The operations that reap a victim do so in every stage.  At last each probe must
 * have been passed by one operation at least.
 * ctest: timeout=600
 */
#include "base/probe.h"
#include "support/suite.h"
#include "support/world.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBES_MAX 1024

extern const char *const __start_probe_names[], *const __stop_probe_names[]; /* by the linker; see base/probe.h */

static int passings_left;
static int last_words;
static uint8_t *passed; /* shared: [PROBES_MAX], by the probe's place in the section */

static void die_at_point(const char *name)
{
        for (const char *const *probe = __start_probe_names; probe < __stop_probe_names; probe++)
                if (*probe == name)
                        passed[probe - __start_probe_names] = 1;
        if (--passings_left)
                return;
        if (write(last_words, name, strlen(name)) < 0)
                _exit(3);
        kill(getpid(), SIGKILL);
}

/* Run in a child that dies at passing n. @return true: it came to the end */
static bool run_and_die(struct world *world, void (*run)(struct world *), int n, char where[64])
{
        int ends[2];
        char name[33] = {0};
        ck_assert_int_eq(pipe(ends), 0);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                last_words = ends[1];
                passings_left = n;
                probe_hook = die_at_point;
                run(world);
                probe_hook = NULL;
                _exit(0);
        }
        close(ends[1]);
        int status;
        waitpid(child, &status, 0);
        if (read(ends[0], name, 32) < 0)
                abort();
        close(ends[0]);
        snprintf(where, 64, "%s, passing %d", *name ? name : "the end", n);
        ck_assert_msg(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL, "child ended with %d at %s", status, where);
        return WIFEXITED(status);
}

static void end(struct world *world, const struct operation *operation, bool finished, const char *where)
{
        ck_assert_int_eq(skep_hive_reap(world->hive, NULL), 0);
        world_leave(world);
        world_check(world->hive, operation, finished, where);
        skep_hive_detach(world->hive);
}

START_TEST(death_at_any_point_loses_nothing)
{
        const struct operation *operation = &operations[_i];
        bool finished = false;
        for (int n = 1; !finished; n++) {
                struct world world;
                char where[64];
                world_make(&world, operation);
                finished = run_and_die(&world, operation->run, n, where);
                end(&world, operation, finished, where);
                ck_assert_int_lt(n, 5000);
        }
}
END_TEST

static void reap(struct world *world)
{
        if (skep_hive_reap(world->hive, NULL) < 0)
                abort();
}

/* Every seventh point of the operation, every point of its reaper; the seed of both is the pair of numbers. */
START_TEST(death_of_the_reaper_at_any_point_loses_nothing)
{
        const struct operation *operation = &operations[_i];
        bool finished = false;
        for (int n = 1; !finished; n += 7) {
                bool reaped = false;
                for (int m = 1; !reaped; m++) {
                        struct world world;
                        char first[64], second[64], where[160];
                        world_make(&world, operation);
                        finished = run_and_die(&world, operation->run, n, first);
                        reaped = run_and_die(&world, reap, m, second);
                        snprintf(where, sizeof where, "%s, reaper at %s", first, second);
                        end(&world, operation, finished, where);
                }
        }
}
END_TEST

static skep_hive *second; /* another member, in the same process */
static skep_block shared;

static void die_when_cleared(const char *name)
{
        if (!strcmp(name, "claim.bit_cleared"))
                kill(getpid(), SIGKILL);
}

static void other_lets_go(const char *name)
{
        if (strcmp(name, "claim.step"))
                return;
        probe_hook = NULL;
        if (skep_block_unref(second, shared) < 0)
                _exit(1);
        probe_hook = die_when_cleared;
}

/* Two let go at once: the first sees the bit of the second, who dies between clearing it and looking whether he was the last. */
START_TEST(the_last_of_two_dies_before_he_frees)
{
        struct skep_hive_stat stat;
        skep_hive *hive;
        int status;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 4u << 20), &hive), 0);
        pid_t child = fork();
        if (child == 0) {
                if (skep_hive_attach(skep_hive_fd(hive), &second) < 0 || skep_block_alloc(hive, 100, 0, &shared) < 0 || skep_block_ref(second, shared) < 0)
                        _exit(1);
                probe_hook = other_lets_go;
                _exit(skep_block_unref(hive, shared) < 0 ? 1 : 2);
        }
        waitpid(child, &status, 0);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_eq(stat.blocks, 0);
        ck_assert_int_eq(skep_hive_verify(hive, NULL), 0);
        skep_hive_detach(hive);
}
END_TEST

/* A name may stand at many points; one of them will do. */
static bool was_passed(const char *name)
{
        for (const char *const *probe = __start_probe_names; probe < __stop_probe_names; probe++)
                if (passed[probe - __start_probe_names] && !strcmp(*probe, name))
                        return true;
        return false;
}

static bool begins_with_one_of(const char *name, const char *const *beginnings)
{
        while (*beginnings && strncmp(name, *beginnings, strlen(*beginnings)))
                beginnings++;
        return *beginnings;
}

/* sync_point_test.c dies in what users wait for; the world here has a lock only. */
static bool is_of_sync(const char *name)
{
        return begins_with_one_of(name, (const char *const[]){"barrier.", "condition.", "event.set", "event.cleared", "event.waits", "lock.died",
                                                              "lock.waits", "once.", "rwlock.", "semaphore.", "value.", NULL});
}

/* ... and channel_point_test.c, memory_point_test.c, dict_point_test.c, pool_point_test.c, in those. */
static bool is_of_another_world(const char *name)
{
        return is_of_sync(name) || begins_with_one_of(name, (const char *const[]){"channel.", "queue.orphaned", "list.", "memory.", "dict.", "cell.", "item.",
                                                                                  "store.", "claim.linked_new", "shareable_list.", "job.",
                                                                                  "pool.", NULL});
}

START_TEST(every_probe_was_passed_by_some_operation)
{
        ck_assert_int_gt(__stop_probe_names - __start_probe_names, 40);
        for (const char *const *probe = __start_probe_names; probe < __stop_probe_names; probe++)
                ck_assert_msg(is_of_another_world(*probe) || was_passed(*probe), "no operation of tests/support/world.c passes the probe %s", *probe);
}
END_TEST

__attribute__((constructor)) static void passed_make(void)
{
        passed = mmap(NULL, PROBES_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (passed == MAP_FAILED || __stop_probe_names - __start_probe_names > PROBES_MAX)
                abort();
}

static TCase *points_of_the_world(Suite *suite)
{
        TCase *points = tcase_create("points");
        tcase_set_timeout(points, 100);
        tcase_add_loop_test(points, death_at_any_point_loses_nothing, 0, operation_count);
        suite_add_tcase(suite, points);
        return points;
}

#ifndef WORLD_ONLY /* the programs of other worlds include this file */
int main(void)
{
        Suite *suite = suite_create("point");
        TCase *points = points_of_the_world(suite), *reapers = tcase_create("reapers"), *all = tcase_create("all");
        tcase_set_timeout(reapers, 200);
        tcase_add_loop_test(reapers, death_of_the_reaper_at_any_point_loses_nothing, 0, operation_count);
        tcase_add_test(points, the_last_of_two_dies_before_he_frees);
        tcase_add_test(all, every_probe_was_passed_by_some_operation);
        suite_add_tcase(suite, reapers);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
#endif
