/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_test.c - children start, end, are seen to end, and end when they should.
 *
 * Most tests run twice: with pidfds, and as on a kernel that has none (_i is 1 then).  For spawn this very program is
 * started anew; its main() registers the functions below by name.
 */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <skep/skep.h>

#include "os/process.h"
#include "support/suite.h"

#define SECOND 1000000000ll

/* --- what children do --------------------------------------------------------------------------------------------- */

static int return_argument(skep_hive *hive, const void *argument, size_t bytes)
{
        (void)hive;
        return bytes == 1 ? *(const unsigned char *)argument : 99;
}

static int sleep_for_ever(skep_hive *hive, const void *argument, size_t bytes)
{
        (void)hive, (void)argument, (void)bytes;
        while (pause())
                ;
        return 0;
}

static int check_large_argument(skep_hive *hive, const void *argument, size_t bytes)
{
        const unsigned char *p = argument;

        (void)hive;
        for (size_t i = 0; i < bytes; i++)
                if (p[i] != (unsigned char)(i * 7))
                        return 1;
        return bytes == 65536 ? 0 : 2;
}

static int know_yourself(skep_hive *hive, const void *argument, size_t bytes)
{
        (void)hive, (void)argument, (void)bytes;
        if (strcmp(skep_process_self_name(), "bee"))
                return 1;
        if (skep_process_parent() != getppid())
                return 2;
        return skep_process_active_children(NULL, 0) ? 3 : 0;
}

/* The argument is the parent's member number: ours must be another. */
static int be_another_member(skep_hive *hive, const void *argument, size_t bytes)
{
        uint32_t parent;
        skep_block block;

        if (!hive || bytes != sizeof(parent))
                return 1;
        memcpy(&parent, argument, sizeof(parent));
        if (skep_hive_member(hive) == parent)
                return 2;
        if (skep_block_alloc(hive, 100, 0, &block))
                return 3;
        return skep_block_unref(hive, block) ? 4 : 0;
}

static void say_terminated(int number)
{
        (void)number;
        (void)!write(STDOUT_FILENO, "T", 1);
        _exit(0);
}

static int wait_for_terminate(skep_hive *hive, const void *argument, size_t bytes)
{
        (void)signal(SIGTERM, say_terminated);
        (void)!write(STDOUT_FILENO, "r", 1);
        return sleep_for_ever(hive, argument, bytes);
}

static int say_late(skep_hive *hive, const void *argument, size_t bytes)
{
        (void)hive, (void)argument, (void)bytes;
        (void)usleep(100000);
        return write(STDOUT_FILENO, "L", 1) != 1;
}

/* --- help --------------------------------------------------------------------------------------------------------- */

static skep_process *started(const struct skep_process_options *options)
{
        skep_process *process = NULL;

        ck_assert_int_eq(skep_process_start(options, &process), 0);
        ck_assert_ptr_nonnull(process);
        return process;
}

static int32_t end_of(skep_process *process)
{
        int32_t code;

        ck_assert_int_eq(skep_process_join(process, skep_within_ns(10 * SECOND)), 0);
        ck_assert(!skep_process_is_alive(process));
        code = skep_process_exit_code(process);
        skep_process_unref(process);
        return code;
}

static bool readable(int fd, int timeout_ms)
{
        struct pollfd watched = { .fd = fd, .events = POLLIN };

        return poll(&watched, 1, timeout_ms) == 1;
}

/* Run a middle process with its stdout in a pipe; give back what it and its children wrote until all had ended. */
static void heard_from(void (*middle)(void), char *ret_text, size_t bytes)
{
        int fds[2];
        size_t used = 0;
        ssize_t n;

        ck_assert_int_eq(pipe(fds), 0);
        if (!fork()) {
                (void)dup2(fds[1], STDOUT_FILENO);
                (void)close(fds[0]);
                (void)close(fds[1]);
                middle();
                _exit(1);
        }
        (void)close(fds[1]);
        while (used < bytes - 1 && (n = read(fds[0], ret_text + used, bytes - 1 - used)) > 0)
                used += (size_t)n;
        ret_text[used] = 0;
        (void)close(fds[0]);
        ck_assert_int_gt(wait(NULL), 0);
}

/* A pipe of our own as stdout, so that a child's first word can be awaited; the words go on to the real one. */
static void start_and_await_word(const struct skep_process_options *options)
{
        int fds[2], out = dup(STDOUT_FILENO);
        char word;

        if (pipe(fds) || dup2(fds[1], STDOUT_FILENO) < 0)
                _exit(2);
        skep_process_unref(started(options));
        if (read(fds[0], &word, 1) != 1 || write(out, &word, 1) != 1)
                _exit(3);
        (void)dup2(out, STDOUT_FILENO);
}

static void set_up(void)
{
        os_process_pidfd_disable(false);
}

/* --- start and end ------------------------------------------------------------------------------------------------ */

START_TEST(fork_gives_the_exit_code)
{
        os_process_pidfd_disable(_i);
        skep_process *process = started(SKEP_PROCESS_OPTIONS(.function = return_argument, .argument = "\x2a", .argument_bytes = 1));

        ck_assert_int_gt(skep_process_pid(process), 0);
        ck_assert_str_eq(skep_process_name(process), "Process-1");
        ck_assert_int_eq(end_of(process), 42);
}
END_TEST

START_TEST(spawn_runs_a_registered_function)
{
        os_process_pidfd_disable(_i);
        ck_assert_int_eq(end_of(started(SKEP_PROCESS_OPTIONS(.start = SKEP_START_SPAWN, .function_name = "return_argument", .argument = "\x2b",
                                                             .argument_bytes = 1))),
                         43);
        ck_assert_ptr_null(getenv("SKEP_SPAWN"));
}
END_TEST

START_TEST(an_argument_may_have_64_KiB)
{
        unsigned char argument[65536];

        for (size_t i = 0; i < sizeof(argument); i++)
                argument[i] = (unsigned char)(i * 7);
        for (uint32_t start = SKEP_START_FORK; start <= SKEP_START_SPAWN; start++)
                ck_assert_int_eq(end_of(started(SKEP_PROCESS_OPTIONS(.start = start, .function = check_large_argument,
                                                                     .function_name = "check_large_argument", .argument = argument,
                                                                     .argument_bytes = sizeof(argument)))),
                                 0);
}
END_TEST

START_TEST(a_child_knows_its_name_and_its_parent)
{
        ck_assert_str_eq(skep_process_self_name(), "MainProcess");
        ck_assert_int_eq(skep_process_parent(), 0);
        for (uint32_t start = SKEP_START_FORK; start <= SKEP_START_SPAWN; start++)
                ck_assert_int_eq(end_of(started(SKEP_PROCESS_OPTIONS(.start = start, .function = know_yourself,
                                                                     .function_name = "know_yourself", .name = "bee"))),
                                 0);
}
END_TEST

START_TEST(fork_finds_a_function_by_name_too)
{
        ck_assert_int_eq(end_of(started(SKEP_PROCESS_OPTIONS(.function_name = "return_argument", .argument = "\x07", .argument_bytes = 1))), 7);
}
END_TEST

START_TEST(a_spawned_child_says_127_to_an_unknown_function)
{
        ck_assert_int_eq(end_of(started(SKEP_PROCESS_OPTIONS(.start = SKEP_START_SPAWN, .function_name = "nobody"))), 127);
}
END_TEST

START_TEST(a_child_is_a_member_of_its_own)
{
        skep_hive *hive;
        uint32_t member;

        os_process_pidfd_disable(_i);
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 64 << 20), &hive), 0);
        member = skep_hive_member(hive);
        for (uint32_t start = SKEP_START_FORK; start <= SKEP_START_SPAWN; start++)
                ck_assert_int_eq(end_of(started(SKEP_PROCESS_OPTIONS(.hive = hive, .start = start, .function = be_another_member,
                                                                     .function_name = "be_another_member", .argument = &member,
                                                                     .argument_bytes = sizeof(member)))),
                                 0);
        skep_hive_detach(hive);
}
END_TEST

START_TEST(a_start_that_fails_says_why)
{
        static const char long_name[] = "a name of more than sixty-three bytes is refused, and this one is longer";
        struct {
                struct skep_process_options known;
                uint64_t later;
        } newer = { .known = { .options_bytes = sizeof(newer), .function = return_argument }, .later = 1 };
        skep_process *process = NULL;

        ck_assert_int_eq(skep_process_start(NULL, &process), -EINVAL);
        ck_assert_int_eq(skep_process_start(SKEP_PROCESS_OPTIONS(.function = NULL), &process), -EINVAL);
        ck_assert_int_eq(skep_process_start(SKEP_PROCESS_OPTIONS(.start = 3, .function = return_argument), &process), -EINVAL);
        ck_assert_int_eq(skep_process_start(SKEP_PROCESS_OPTIONS(.flags = 4, .function = return_argument), &process), -EINVAL);
        ck_assert_int_eq(skep_process_start(SKEP_PROCESS_OPTIONS(.function = return_argument, .argument = "", .argument_bytes = 65537), &process), -EINVAL);
        ck_assert_int_eq(skep_process_start(SKEP_PROCESS_OPTIONS(.function = return_argument, .name = long_name), &process), -ENAMETOOLONG);
        ck_assert_int_eq(skep_process_start(SKEP_PROCESS_OPTIONS(.start = SKEP_START_SPAWN, .function_name = "x", .program = "/no/such"), &process), -ENOENT);
        ck_assert_int_eq(skep_process_start(&newer.known, &process), -E2BIG);
        ck_assert_ptr_null(process);
        ck_assert_uint_eq(skep_process_active_children(NULL, 0), 0);
}
END_TEST

START_TEST(a_name_is_registered_once)
{
        ck_assert_int_eq(skep_process_register("once", return_argument), 0);
        ck_assert_int_eq(skep_process_register("once", return_argument), -EEXIST);
        ck_assert_int_eq(skep_process_register("", return_argument), -EINVAL);
        ck_assert_int_eq(skep_process_register("none", NULL), -EINVAL);
}
END_TEST

/* --- wait and signal ---------------------------------------------------------------------------------------------- */

START_TEST(kill_and_terminate_give_minus_the_signal)
{
        skep_process *killed, *terminated;

        os_process_pidfd_disable(_i);
        killed = started(SKEP_PROCESS_OPTIONS(.function = sleep_for_ever));
        terminated = started(SKEP_PROCESS_OPTIONS(.start = SKEP_START_SPAWN, .function_name = "sleep_for_ever"));
        ck_assert_int_eq(skep_process_exit_code(killed), SKEP_STILL_RUNS);
        ck_assert(skep_process_is_alive(killed));
        ck_assert_int_eq(skep_process_kill(killed), 0);
        ck_assert_int_eq(skep_process_terminate(terminated), 0);
        ck_assert_int_eq(skep_process_join(killed, skep_forever()), 0);
        ck_assert_int_eq(skep_process_kill(killed), 0); /* again, after its end */
        ck_assert_int_eq(end_of(killed), -SIGKILL);
        ck_assert_int_eq(end_of(terminated), -SIGTERM);
}
END_TEST

START_TEST(join_keeps_its_deadline)
{
        skep_process *process;
        struct timespec before, after;

        os_process_pidfd_disable(_i);
        process = started(SKEP_PROCESS_OPTIONS(.function = sleep_for_ever));
        ck_assert_int_eq(skep_process_join(process, skep_nowait()), -ETIMEDOUT);
        (void)clock_gettime(CLOCK_MONOTONIC, &before);
        ck_assert_int_eq(skep_process_join(process, skep_within_ns(SECOND / 10)), -ETIMEDOUT);
        (void)clock_gettime(CLOCK_MONOTONIC, &after);
        ck_assert_int_ge((after.tv_sec - before.tv_sec) * SECOND + after.tv_nsec - before.tv_nsec, SECOND / 10);
        ck_assert_int_eq(skep_process_kill(process), 0);
        ck_assert_int_eq(end_of(process), -SIGKILL);
}
END_TEST

START_TEST(the_sentinel_tells_the_end)
{
        skep_process *process;

        os_process_pidfd_disable(_i);
        for (uint32_t start = SKEP_START_FORK; start <= SKEP_START_SPAWN; start++) {
                process = started(SKEP_PROCESS_OPTIONS(.start = start, .function = sleep_for_ever, .function_name = "sleep_for_ever"));
                ck_assert(!readable(skep_process_sentinel(process), 20));
                ck_assert_int_eq(skep_process_kill(process), 0);
                ck_assert(readable(skep_process_sentinel(process), 5000));
                ck_assert_int_eq(end_of(process), -SIGKILL);
        }
}
END_TEST

START_TEST(an_exit_code_taken_by_another_is_255)
{
        skep_process *process;

        os_process_pidfd_disable(_i);
        process = started(SKEP_PROCESS_OPTIONS(.function = return_argument, .argument = "\x01", .argument_bytes = 1));
        ck_assert_int_eq(waitpid((pid_t)skep_process_pid(process), NULL, 0), (pid_t)skep_process_pid(process));
        ck_assert_int_eq(end_of(process), 255);
}
END_TEST

static void *join_in_thread(void *process)
{
        return (void *)(intptr_t)skep_process_join(process, skep_within_ns(10 * SECOND));
}

START_TEST(many_threads_join_one_child)
{
        pthread_t threads[4];
        void *result;
        skep_process *process;

        os_process_pidfd_disable(_i);
        process = started(SKEP_PROCESS_OPTIONS(.function = sleep_for_ever));
        for (int i = 0; i < 4; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, join_in_thread, process), 0);
        ck_assert_int_eq(skep_process_kill(process), 0);
        for (int i = 0; i < 4; i++) {
                ck_assert_int_eq(pthread_join(threads[i], &result), 0);
                ck_assert_ptr_null(result);
        }
        ck_assert_int_eq(end_of(process), -SIGKILL);
}
END_TEST

/* --- family ------------------------------------------------------------------------------------------------------- */

START_TEST(active_children_are_those_that_run)
{
        skep_process *found[2], *one = started(SKEP_PROCESS_OPTIONS(.function = sleep_for_ever));
        skep_process *two = started(SKEP_PROCESS_OPTIONS(.function = sleep_for_ever));

        ck_assert_uint_eq(skep_process_active_children(found, 1), 2);
        skep_process_unref(found[0]);
        ck_assert_int_eq(skep_process_kill(one), 0);
        ck_assert_int_eq(end_of(one), -SIGKILL);
        ck_assert_uint_eq(skep_process_active_children(found, 2), 1);
        ck_assert_ptr_eq(found[0], two);
        skep_process_unref(found[0]);
        ck_assert_int_eq(skep_process_kill(two), 0);
        ck_assert_int_eq(end_of(two), -SIGKILL);
}
END_TEST

START_TEST(a_dropped_handle_leaves_no_zombie)
{
        os_process_pidfd_disable(_i);
        skep_process_unref(started(SKEP_PROCESS_OPTIONS(.function = return_argument)));
        for (int i = 0; i < 500 && skep_process_active_children(NULL, 0); i++)
                (void)usleep(10000);
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
        ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(a_forked_child_cannot_join_its_sibling)
{
        skep_process *process;
        int status;

        os_process_pidfd_disable(_i);
        process = started(SKEP_PROCESS_OPTIONS(.function = sleep_for_ever));
        if (!fork())
                _exit(skep_process_join(process, skep_forever()) != -ECHILD || skep_process_kill(process) != -ECHILD ||
                      skep_process_exit_code(process) != SKEP_STILL_RUNS || !skep_process_is_alive(process) ||
                      skep_process_active_children(NULL, 0));
        ck_assert_int_gt(waitpid(-1, &status, 0), 0);
        ck_assert_int_eq(status, 0);
        ck_assert_int_eq(skep_process_kill(process), 0);
        ck_assert_int_eq(end_of(process), -SIGKILL);
}
END_TEST

static void middle_with_daemon(void)
{
        start_and_await_word(SKEP_PROCESS_OPTIONS(.function = wait_for_terminate, .flags = SKEP_PROCESS_DAEMON));
        exit(0);
}

/* The daemon's stdout is the middle's inner pipe, so its "T" goes nowhere: that all words end is the proof. */
START_TEST(a_daemon_ends_when_its_parent_exits)
{
        char text[8];

        heard_from(middle_with_daemon, text, sizeof(text));
        ck_assert_str_eq(text, "r");
}
END_TEST

static void middle_with_listening_daemon(void)
{
        skep_process_unref(started(SKEP_PROCESS_OPTIONS(.function = wait_for_terminate, .flags = SKEP_PROCESS_DAEMON)));
        (void)usleep(200000);
        exit(0);
}

START_TEST(a_daemon_is_asked_before_it_is_killed)
{
        char text[8];

        heard_from(middle_with_listening_daemon, text, sizeof(text));
        ck_assert_str_eq(text, "rT");
}
END_TEST

static void middle_killed(void)
{
        skep_process *process;

        for (uint32_t start = SKEP_START_FORK; start <= SKEP_START_SPAWN; start++)
                if (skep_process_start(SKEP_PROCESS_OPTIONS(.start = start, .function = sleep_for_ever, .function_name = "sleep_for_ever",
                                                            .flags = SKEP_PROCESS_DIE_WITH_PARENT),
                                       &process))
                        _exit(1);
        (void)kill(getpid(), SIGKILL);
}

/* read() in heard_from() would hang if one of them lived on. */
START_TEST(a_child_dies_with_its_killed_parent)
{
        char text[8];

        for (int i = 0; i < 20; i++) {
                heard_from(middle_killed, text, sizeof(text));
                ck_assert_str_eq(text, "");
        }
}
END_TEST

static void middle_with_child(void)
{
        skep_process_unref(started(SKEP_PROCESS_OPTIONS(.function = say_late)));
        exit(0);
}

START_TEST(other_children_are_left_alone_at_exit)
{
        char text[8];

        heard_from(middle_with_child, text, sizeof(text));
        ck_assert_str_eq(text, "L");
}
END_TEST

static Suite *suite(void)
{
        Suite *suite = suite_create("process");
        TCase *once = tcase_create("once"), *twice = tcase_create("with and without pidfd");

        tcase_add_checked_fixture(once, set_up, NULL);
        tcase_add_test(once, an_argument_may_have_64_KiB);
        tcase_add_test(once, a_child_knows_its_name_and_its_parent);
        tcase_add_test(once, fork_finds_a_function_by_name_too);
        tcase_add_test(once, a_spawned_child_says_127_to_an_unknown_function);
        tcase_add_test(once, a_start_that_fails_says_why);
        tcase_add_test(once, a_name_is_registered_once);
        tcase_add_test(once, active_children_are_those_that_run);
        tcase_add_test(once, a_daemon_ends_when_its_parent_exits);
        tcase_add_test(once, a_daemon_is_asked_before_it_is_killed);
        tcase_add_test(once, a_child_dies_with_its_killed_parent);
        tcase_add_test(once, other_children_are_left_alone_at_exit);
        tcase_add_loop_test(twice, fork_gives_the_exit_code, 0, 2);
        tcase_add_loop_test(twice, spawn_runs_a_registered_function, 0, 2);
        tcase_add_loop_test(twice, a_child_is_a_member_of_its_own, 0, 2);
        tcase_add_loop_test(twice, kill_and_terminate_give_minus_the_signal, 0, 2);
        tcase_add_loop_test(twice, join_keeps_its_deadline, 0, 2);
        tcase_add_loop_test(twice, the_sentinel_tells_the_end, 0, 2);
        tcase_add_loop_test(twice, an_exit_code_taken_by_another_is_255, 0, 2);
        tcase_add_loop_test(twice, many_threads_join_one_child, 0, 2);
        tcase_add_loop_test(twice, a_dropped_handle_leaves_no_zombie, 0, 2);
        tcase_add_loop_test(twice, a_forked_child_cannot_join_its_sibling, 0, 2);
        suite_add_tcase(suite, once);
        suite_add_tcase(suite, twice);
        return suite;
}

int main(void)
{
        (void)skep_process_register("return_argument", return_argument);
        (void)skep_process_register("sleep_for_ever", sleep_for_ever);
        (void)skep_process_register("check_large_argument", check_large_argument);
        (void)skep_process_register("know_yourself", know_yourself);
        (void)skep_process_register("be_another_member", be_another_member);
        (void)skep_process_main();
        return suite_run(suite());
}
