/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection_test.c - messages both ways over each kind of address; keys that differ; peers that dawdle, die, lie or speak something else.
 *
 * ctest: threads
 */
#include "support/people.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#define KEY "a key of sixteen"
#define OPTIONS SKEP_CONNECTION_OPTIONS(.authkey = KEY, .authkey_bytes = sizeof KEY - 1)
#define TEXT(text) (&(const struct skep_bytes){text, sizeof text}), 1

/* A server in a thread: takes one caller and does something with it. */
static struct {
        int fd;
        char address[128];
        const struct skep_connection_options *options;
        void (*serve)(skep_connection *connection);
        int result;
        pthread_t thread;
} server;

static void *server_run(void *unused)
{
        skep_connection *connection;
        server.result = skep_connection_accept(server.fd, server.options, &connection, LONG);
        if (server.result == 0) {
                server.serve(connection);
                skep_connection_close(connection);
        }
        return unused;
}

static void serve(const char *address, const struct skep_connection_options *options, void (*what)(skep_connection *connection))
{
        server.options = options;
        server.serve = what;
        ck_assert_int_eq(skep_connection_listen(address, 0, &server.fd), 0);
        ck_assert_int_eq(skep_connection_address(server.fd, 0, server.address, sizeof server.address), 0);
        ck_assert_int_eq(pthread_create(&server.thread, NULL, server_run, NULL), 0);
}

/* An abstract address that no other program has. */
static const char *abstract(void)
{
        static char address[64];
        (void)snprintf(address, sizeof address, "unix:@skep-connection-%d", (int)getpid());
        return address;
}

static int served(void)
{
        pthread_join(server.thread, NULL);
        close(server.fd);
        return server.result;
}

static skep_connection *connected(const struct skep_connection_options *options)
{
        skep_connection *connection;
        ck_assert_int_eq(skep_connection_connect(server.address, options, &connection, LONG), 0);
        return connection;
}

static uint8_t big[3 << 20];

static void echo(skep_connection *connection)
{
        uint8_t *buffer = malloc(sizeof big);
        size_t bytes;
        while (skep_connection_receive(connection, buffer, sizeof big, &bytes, LONG) == 0)
                ck_assert_int_eq(skep_connection_send(connection, &(struct skep_bytes){buffer, bytes}, 1, LONG), 0);
        free(buffer);
}

static void check_echo(skep_connection *connection, const void *data, size_t bytes)
{
        static uint8_t back[sizeof big];
        const struct skep_bytes parts[] = {{data, bytes / 3}, {NULL, 0}, {(const uint8_t *)data + bytes / 3, bytes - bytes / 3}};
        size_t got;
        ck_assert_int_eq(skep_connection_send(connection, parts, 3, LONG), 0);
        ck_assert_int_eq(skep_connection_receive(connection, back, sizeof back, &got, LONG), 0);
        ck_assert_uint_eq(got, bytes);
        ck_assert_int_eq(memcmp(back, data, bytes), 0);
}

static void check_address(const char *address, const struct skep_connection_options *options)
{
        static const size_t sizes[] = {0, 1, 5, 16375, 16376, 16377, 16384, 40000, 65536, 1 << 20, sizeof big};
        serve(address, options, echo);
        skep_connection *connection = connected(options);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                check_echo(connection, big, sizes[i]);
        skep_connection_close(connection);
        ck_assert_int_eq(served(), 0);
}

START_TEST(messages_of_every_length_go_both_ways)
{
        char path[64];
        snprintf(path, sizeof path, "unix:/tmp/skep-test-%d", (int)getpid());
        for (size_t i = 0; i < sizeof big; i++)
                big[i] = (uint8_t)(i * 7 + i / 251);
        check_address("tcp://127.0.0.1:0", OPTIONS);
        check_address(path, OPTIONS); /* leaves its file behind: */
        check_address(path, SKEP_CONNECTION_OPTIONS(.flags = SKEP_CONNECTION_PLAIN));
        unlink(path + 5);
        snprintf(path, sizeof path, "unix:@skep-test-%d", (int)getpid());
        check_address(path, OPTIONS);
        int fd;
        if (skep_connection_listen("tcp://[::1]:0", 0, &fd) == 0) {
                close(fd);
                check_address("tcp://[::1]:0", OPTIONS);
        }
        check_address("tcp://localhost:0", OPTIONS);
}
END_TEST

START_TEST(an_address_that_is_none)
{
        static const char *const wrong[] = {"", "tcp", "tcp://", "tcp://:80", "tcp://host", "tcp://host:", "tcp://host:x", "tcp://host:123456", "tcp://::1:80",
                                            "tcp://[::1]", "tcp://[]:80", "udp://h:1", "unix:", "unix:@", "tcp://[::1:80"};
        skep_connection *connection;
        for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
                ck_assert_msg(skep_connection_connect(wrong[i], OPTIONS, &connection, LONG) == -EINVAL, "%s", wrong[i]);
        ck_assert_int_eq(skep_connection_connect("unix:/nonexistent/socket", OPTIONS, &connection, LONG), -ECONNREFUSED);
        ck_assert_int_eq(skep_connection_connect("tcp://127.0.0.1:1", OPTIONS, &connection, LONG), -ECONNREFUSED);
        ck_assert_int_eq(skep_connection_connect("tcp://no-such-host.invalid:1", OPTIONS, &connection, LONG), -EHOSTUNREACH);
        int fd, second;
        ck_assert_int_eq(skep_connection_listen(abstract(), 0, &fd), 0);
        ck_assert_int_eq(skep_connection_listen(abstract(), 0, &second), -EADDRINUSE);
        close(fd);
}
END_TEST

START_TEST(a_listener_that_lives_keeps_its_file)
{
        char path[64];
        int fd, second;
        snprintf(path, sizeof path, "unix:/tmp/skep-test-%d", (int)getpid());
        ck_assert_int_eq(skep_connection_listen(path, 0, &fd), 0);
        ck_assert_int_eq(skep_connection_listen(path, 0, &second), -EADDRINUSE);
        close(fd);
        ck_assert_int_eq(skep_connection_listen(path, 0, &second), 0);
        close(second);
        unlink(path + 5);
}
END_TEST

static void never(skep_connection *connection)
{
        (void)connection;
        ck_abort_msg("let in");
}

static void refuse(const struct skep_connection_options *options, int of_server)
{
        skep_connection *connection;
        serve("tcp://127.0.0.1:0", OPTIONS, never);
        ck_assert_int_eq(skep_connection_connect(server.address, options, &connection, LONG), -EACCES);
        ck_assert_int_eq(served(), of_server);
}

START_TEST(a_wrong_key_is_refused_by_both)
{
        refuse(SKEP_CONNECTION_OPTIONS(.authkey = "another", .authkey_bytes = 7), -EACCES);
        refuse(SKEP_CONNECTION_OPTIONS(.authkey = KEY, .authkey_bytes = sizeof KEY - 2), -EACCES);
        refuse(SKEP_CONNECTION_OPTIONS(.authkey = KEY, .authkey_bytes = sizeof KEY - 1, .key_id = "of last year"), -EACCES);
}
END_TEST

START_TEST(no_key_and_plain_over_tcp_are_refused_at_once)
{
        skep_connection *connection;
        int fds[2];
        ck_assert_int_eq(skep_connection_connect("tcp://127.0.0.1:1", NULL, &connection, LONG), -EINVAL);
        const struct skep_connection_options *empty = SKEP_CONNECTION_OPTIONS(.authkey = "", .authkey_bytes = 0);
        const struct skep_connection_options *strange = SKEP_CONNECTION_OPTIONS(.authkey = "k", .authkey_bytes = 1, .flags = 8);
        ck_assert_int_eq(skep_connection_connect("tcp://127.0.0.1:1", empty, &connection, LONG), -EINVAL);
        ck_assert_int_eq(skep_connection_connect("tcp://127.0.0.1:1", strange, &connection, LONG), -EINVAL);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        ck_assert_int_eq(skep_connection_from_fd(fds[0], SKEP_CONNECTION_SERVER, NULL, &connection, LONG), -EINVAL);
        char byte;
        ck_assert_int_eq(read(fds[1], &byte, 1), 0); /* the descriptor was taken */
        close(fds[1]);
        int fd;
        ck_assert_int_eq(skep_connection_listen("tcp://127.0.0.1:0", 0, &fd), 0);
        char address[64];
        ck_assert_int_eq(skep_connection_address(fd, 0, address, sizeof address), 0);
        ck_assert_int_eq(skep_connection_connect(address, SKEP_CONNECTION_OPTIONS(.flags = SKEP_CONNECTION_PLAIN), &connection, LONG), -EINVAL);
        close(fd);
}
END_TEST

/* What a stranger sends instead of a handshake, and what the server makes of it. */
static void check_stranger(const void *data, size_t bytes, int expected)
{
        int fds[2];
        skep_connection *connection;
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        ck_assert_int_eq(write(fds[1], data, bytes), (ssize_t)bytes);
        shutdown(fds[1], SHUT_WR);
        int result = skep_connection_from_fd(fds[0], SKEP_CONNECTION_SERVER, OPTIONS, &connection, LONG);
        ck_assert_msg(result == expected || (!expected && result < 0), "%d %s", result, skep_error_name(result));
        close(fds[1]);
}

START_TEST(strangers)
{
        check_stranger("", 0, -ECONNRESET);
        check_stranger("\x16\x03\x01\x02", 4, -ECONNRESET);
        check_stranger("GET / HTTP/1.1\r\n\r\n", 18, -EPROTO);
        check_stranger("\0\0\0\0\0\0\0\0", 8, -EPROTO);
        check_stranger("#CHALLENGE#0123456789012345678901234567890123456789", 50, -EPROTO);
        unsigned seed = 1;
        for (int i = 0; i < 200; i++) {
                uint8_t noise[64] = {0x16, 3, 1, 0, 59, 1, 0, 0, 55, 3, 3};
                for (size_t j = (size_t)(i % 11); j < sizeof noise; j++)
                        noise[j] = (uint8_t)rand_r(&seed);
                check_stranger(noise, sizeof noise, 0);
        }
}
END_TEST

START_TEST(one_who_says_nothing_costs_the_deadline_only)
{
        int fds[2];
        skep_connection *connection;
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        ck_assert_int_eq(skep_connection_from_fd(dup(fds[0]), SKEP_CONNECTION_SERVER, OPTIONS, &connection, skep_within_ns(30 * MS)), -ETIMEDOUT);
        ck_assert_int_eq(skep_connection_from_fd(dup(fds[0]), SKEP_CONNECTION_CLIENT, OPTIONS, &connection, skep_nowait()), -ETIMEDOUT);
        close(fds[0]);
        close(fds[1]);
}
END_TEST

static void one_long_one_short(skep_connection *connection)
{
        ck_assert_int_eq(skep_connection_send(connection, &(struct skep_bytes){big, 100000}, 1, LONG), 0);
        ck_assert_int_eq(skep_connection_send(connection, TEXT("short"), LONG), 0);
        char buffer[8];
        size_t bytes;
        ck_assert_int_eq(skep_connection_receive(connection, buffer, sizeof buffer, &bytes, LONG), -ECONNRESET);
}

START_TEST(a_small_buffer_leaves_the_message)
{
        static uint8_t buffer[100000];
        size_t bytes = 0;
        big[99999] = 7;
        serve("tcp://127.0.0.1:0", OPTIONS, one_long_one_short);
        skep_connection *connection = connected(OPTIONS);
        ck_assert_int_eq(skep_connection_poll(connection, LONG), 0);
        ck_assert_int_eq(skep_connection_receive(connection, buffer, 10, &bytes, LONG), -EMSGSIZE);
        ck_assert_uint_eq(bytes, 100000);
        ck_assert_int_eq(skep_connection_receive(connection, buffer, sizeof buffer, &bytes, LONG), 0);
        ck_assert_uint_eq(buffer[99999], 7);
        ck_assert_int_eq(skep_connection_receive(connection, buffer, sizeof buffer, &bytes, LONG), 0);
        ck_assert_str_eq((char *)buffer, "short");
        ck_assert_int_eq(skep_connection_receive(connection, buffer, sizeof buffer, &bytes, skep_within_ns(20 * MS)), -ETIMEDOUT);
        ck_assert_int_eq(skep_connection_poll(connection, skep_nowait()), -ETIMEDOUT);
        skep_connection_close(connection);
        ck_assert_int_eq(served(), 0);
}
END_TEST

/* Without encryption the test can write half messages itself. */
#define PLAIN SKEP_CONNECTION_OPTIONS(.flags = SKEP_CONNECTION_PLAIN, .message_max_bytes = 1000)

static skep_connection *plain_pair(int *ret_fd)
{
        int fds[2];
        skep_connection *connection;
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        ck_assert_int_eq(skep_connection_from_fd(fds[0], SKEP_CONNECTION_SERVER, PLAIN, &connection, LONG), 0);
        *ret_fd = fds[1];
        return connection;
}

START_TEST(half_a_message_waits_for_its_other_half)
{
        uint8_t buffer[16];
        size_t bytes;
        int fd;
        skep_connection *connection = plain_pair(&fd);
        static const char whole[13] = "\5\0\0\0\0\0\0\0hello";
        for (size_t i = 0; i < sizeof whole; i++) {
                ck_assert_int_eq(skep_connection_receive(connection, buffer, sizeof buffer, &bytes, skep_nowait()), -ETIMEDOUT);
                ck_assert_int_eq(write(fd, whole + i, 1), 1);
        }
        ck_assert_int_eq(skep_connection_receive(connection, buffer, sizeof buffer, &bytes, LONG), 0);
        ck_assert_uint_eq(bytes, 5);
        ck_assert_int_eq(memcmp(buffer, "hello", 5), 0);
        ck_assert_int_eq(write(fd, "\5\0\0\0\0\0\0\0he", 10), 10);
        close(fd);
        ck_assert_int_eq(skep_connection_receive(connection, buffer, sizeof buffer, &bytes, LONG), -ECONNRESET);
        ck_assert_int_eq(skep_connection_send(connection, TEXT("x"), LONG), -EPIPE);
        skep_connection_close(connection);
}
END_TEST

START_TEST(a_message_longer_than_agreed_breaks_the_connection)
{
        uint8_t buffer[16];
        size_t bytes;
        int fd;
        skep_connection *connection = plain_pair(&fd);
        ck_assert_int_eq(skep_connection_send(connection, &(struct skep_bytes){big, 1001}, 1, LONG), -EMSGSIZE);
        ck_assert_int_eq(skep_connection_send(connection, &(struct skep_bytes){big, 1000}, 1, LONG), 0);
        ck_assert_int_eq(write(fd, "\xe9\3\0\0\0\0\0\0", 8), 8);
        ck_assert_int_eq(skep_connection_receive(connection, buffer, sizeof buffer, &bytes, LONG), -EPROTO);
        ck_assert_int_lt(skep_connection_receive(connection, buffer, sizeof buffer, &bytes, LONG), 0);
        close(fd);
        skep_connection_close(connection);
}
END_TEST

START_TEST(a_peer_that_does_not_read_costs_the_deadline_and_the_connection)
{
        int fd, result;
        skep_connection *connection = plain_pair(&fd);
        do
                result = skep_connection_send(connection, &(struct skep_bytes){big, 1000}, 1, skep_within_ns(30 * MS));
        while (result == 0);
        ck_assert_int_eq(result, -ETIMEDOUT);
        ck_assert_int_lt(skep_connection_send(connection, TEXT("x"), skep_nowait()), 0);
        close(fd);
        skep_connection_close(connection);
}
END_TEST

static int stop_now(void *context)
{
        return ++*(int *)context > 1 ? -EINTR : 0;
}

START_TEST(the_interrupt_function_ends_a_wait)
{
        uint8_t buffer[16];
        size_t bytes;
        int fd, count = 0;
        skep_connection *connection = plain_pair(&fd);
        skep_thread_on_interrupt(stop_now, &count);
        ck_assert_int_eq(skep_connection_receive(connection, buffer, sizeof buffer, &bytes, skep_forever()), -EINTR);
        skep_thread_on_interrupt(NULL, NULL);
        close(fd);
        skep_connection_close(connection);
}
END_TEST

static void *shut_later(void *connection)
{
        usleep(30000);
        skep_connection_shut(connection);
        return NULL;
}

START_TEST(shut_ends_a_wait_of_another_thread)
{
        uint8_t buffer[16];
        size_t bytes;
        pthread_t thread;
        serve("tcp://127.0.0.1:0", OPTIONS, echo);
        skep_connection *connection = connected(OPTIONS);
        ck_assert_int_eq(pthread_create(&thread, NULL, shut_later, connection), 0);
        ck_assert_int_eq(skep_connection_receive(connection, buffer, sizeof buffer, &bytes, LONG), -ECONNRESET);
        pthread_join(thread, NULL);
        skep_connection_close(connection);
        ck_assert_int_eq(served(), 0);
}
END_TEST

START_TEST(a_forked_child_cannot_spoil_its_parents_connection)
{
        uint8_t buffer[16];
        size_t bytes;
        serve("tcp://127.0.0.1:0", OPTIONS, echo);
        skep_connection *connection = connected(OPTIONS);
        pid_t child = branch();
        if (child == 0) {
                bool refused = skep_connection_send(connection, TEXT("x"), LONG) == -ESTALE &&
                               skep_connection_receive(connection, buffer, sizeof buffer, &bytes, LONG) == -ESTALE;
                skep_connection_close(connection);
                _exit(refused ? 0 : 1);
        }
        ck_assert_int_eq(ended(child), 0);
        check_echo(connection, "still here", 10);
        skep_connection_close(connection);
        ck_assert_int_eq(served(), 0);
}
END_TEST

START_TEST(a_killed_peer_is_told_to_who_waits)
{
        uint8_t buffer[16];
        size_t bytes;
        int fd;
        skep_connection *connection;
        char address[64];
        ck_assert_int_eq(skep_connection_listen("tcp://127.0.0.1:0", 0, &fd), 0);
        ck_assert_int_eq(skep_connection_address(fd, 0, address, sizeof address), 0);
        pid_t child = branch();
        if (child == 0) {
                close(fd);
                if (skep_connection_connect(address, OPTIONS, &connection, LONG) == 0)
                        die();
                _exit(1);
        }
        ck_assert_int_eq(skep_connection_accept(fd, OPTIONS, &connection, LONG), 0);
        ck_assert_int_eq(skep_connection_receive(connection, buffer, sizeof buffer, &bytes, LONG), -ECONNRESET);
        ck_assert_int_eq(ended(child), -SIGKILL);
        skep_connection_close(connection);
        close(fd);
}
END_TEST

#define THREADS 4
#define MESSAGES 500

static void *send_many(void *connection)
{
        uint8_t message[3000];
        for (int i = 0; i < MESSAGES; i++) {
                size_t bytes = (size_t)(i * 7 % 2999 + 1);
                memset(message, (int)bytes & 255, bytes);
                ck_assert_int_eq(skep_connection_send(connection, &(struct skep_bytes){message, bytes}, 1, LONG), 0);
        }
        return NULL;
}

static void *serve_one(void *fd)
{
        skep_connection *connection = NULL;
        if (skep_connection_from_fd(*(int *)fd, SKEP_CONNECTION_SERVER, OPTIONS, &connection, LONG) == 0)
                echo(connection);
        return skep_connection_close(connection);
}

START_TEST(a_caller_is_let_in_first_and_asked_for_the_key_by_another_thread)
{
        int listener, fd;
        pthread_t thread;
        ck_assert_int_eq(skep_connection_listen(abstract(), 0, &listener), 0);
        ck_assert_int_eq(skep_connection_accept_fd(listener, &fd, skep_nowait()), -ETIMEDOUT);
        snprintf(server.address, sizeof server.address, "%s", abstract());
        int client = socket(AF_UNIX, SOCK_STREAM, 0);
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "%s", abstract() + strlen("unix:@"));
        ck_assert_int_eq(connect(client, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)), 0);
        ck_assert_int_eq(skep_connection_accept_fd(listener, &fd, LONG), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, serve_one, &fd), 0);
        skep_connection *connection;
        ck_assert_int_eq(skep_connection_from_fd(client, SKEP_CONNECTION_CLIENT, OPTIONS, &connection, LONG), 0);
        ck_assert_int_eq(skep_connection_fd(connection), client);
        check_echo(connection, "over", 5);
        skep_connection_close(connection);
        pthread_join(thread, NULL);
        close(listener);
}
END_TEST

START_TEST(messages_of_many_threads_do_not_mix)
{
        uint8_t buffer[3000];
        size_t bytes;
        pthread_t threads[THREADS];
        serve(abstract(), OPTIONS, echo);
        skep_connection *connection = connected(OPTIONS);
        for (int i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, send_many, connection), 0);
        for (int i = 0; i < THREADS * MESSAGES; i++) {
                ck_assert_int_eq(skep_connection_receive(connection, buffer, sizeof buffer, &bytes, LONG), 0);
                for (size_t j = 0; j < bytes; j++)
                        ck_assert_uint_eq(buffer[j], bytes & 255);
        }
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        skep_connection_close(connection);
        ck_assert_int_eq(served(), 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("connection");
        TCase *tests = tcase_create("connection");
        tcase_set_timeout(tests, 60); /* a busy machine */
        tcase_add_test(tests, messages_of_every_length_go_both_ways);
        tcase_add_test(tests, an_address_that_is_none);
        tcase_add_test(tests, a_listener_that_lives_keeps_its_file);
        tcase_add_test(tests, a_wrong_key_is_refused_by_both);
        tcase_add_test(tests, no_key_and_plain_over_tcp_are_refused_at_once);
        tcase_add_test(tests, strangers);
        tcase_add_test(tests, one_who_says_nothing_costs_the_deadline_only);
        tcase_add_test(tests, a_small_buffer_leaves_the_message);
        tcase_add_test(tests, half_a_message_waits_for_its_other_half);
        tcase_add_test(tests, a_message_longer_than_agreed_breaks_the_connection);
        tcase_add_test(tests, a_peer_that_does_not_read_costs_the_deadline_and_the_connection);
        tcase_add_test(tests, the_interrupt_function_ends_a_wait);
        tcase_add_test(tests, shut_ends_a_wait_of_another_thread);
        tcase_add_test(tests, a_forked_child_cannot_spoil_its_parents_connection);
        tcase_add_test(tests, a_killed_peer_is_told_to_who_waits);
        tcase_add_test(tests, messages_of_many_threads_do_not_mix);
        tcase_add_test(tests, a_caller_is_let_in_first_and_asked_for_the_key_by_another_thread);
        suite_add_tcase(suite, tests);
        return suite_run(suite);
}
