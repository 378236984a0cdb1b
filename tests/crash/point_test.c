/* SPDX-License-Identifier: Apache-2.0 */
/*
 * point_test.c - die at the n-th passing of any probe, for every n, with survivors that go on working.
 *
 * Each probe stands behind a store to shared memory.  A child runs an operation and kills itself at passing n; the parent, a
 * living member, reaps, verifies, empties the queues and finds nothing lost, doubled or leaked.  The second case lets the
 * reaper die too, at each of its points.
 * ctest: timeout=120
 */
#include "base/probe.h"
#include "support/world.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int passings_left;
static int last_words;

static void die_at_point(const char *name)
{
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
                world_make(&world);
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
                        world_make(&world);
                        finished = run_and_die(&world, operation->run, n, first);
                        reaped = run_and_die(&world, reap, m, second);
                        snprintf(where, sizeof where, "%s, reaper at %s", first, second);
                        end(&world, operation, finished, where);
                }
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("point");
        TCase *points = tcase_create("points"), *reapers = tcase_create("reapers");
        tcase_set_timeout(points, 60);
        tcase_set_timeout(reapers, 100);
        tcase_add_loop_test(points, death_at_any_point_loses_nothing, 0, operation_count);
        tcase_add_loop_test(reapers, death_of_the_reaper_at_any_point_loses_nothing, 0, operation_count);
        suite_add_tcase(suite, points);
        suite_add_tcase(suite, reapers);
        SRunner *runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        int failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
