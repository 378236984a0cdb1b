/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_test.c - clients that do not keep to the rules, and many of them: the server ends their connections and lives on.
 *
 * ctest: threads timeout=120
 */
#include "manager/wire.h"
#include "net/net.h"
#include "support/people.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

#ifdef SKEP_NETWORK

#define KEY "a key of sixteen"
#define OPTIONS SKEP_CONNECTION_OPTIONS(.authkey = KEY, .authkey_bytes = sizeof KEY - 1)

static skep_hive *hive, *far;
static skep_server *server;
static char address[128];
static pthread_t server_thread;

static void *serve(void *unused)
{
        ck_assert_int_eq(skep_server_run(server), 0);
        return unused;
}

static void set_up(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = UINT64_C(1) << 30), &hive), 0);
        ck_assert_int_eq(skep_server_create(hive, SKEP_SERVER_OPTIONS(.authkey = KEY, .authkey_bytes = sizeof KEY - 1, .message_max_bytes = 8 << 20,
                                                                      .handshake_max_ms = 300, .handshake_max = 20, .waiting_max = 4), &server), 0);
        ck_assert_int_eq(skep_server_listen(server, "tcp://127.0.0.1:0"), 0);
        ck_assert_int_eq(skep_server_address(server, 0, address, sizeof address), 0);
        ck_assert_int_eq(pthread_create(&server_thread, NULL, serve, NULL), 0);
        ck_assert_int_eq(skep_hive_connect(address, OPTIONS, &far, LONG), 0);
}

static void tear_down(void)
{
        struct skep_verify_report report;
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_ping(far), 0); /* it lives on */
        skep_hive_detach(far);
        skep_server_stop(server);
        pthread_join(server_thread, NULL);
        skep_server_free(server);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s", report.first);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_eq(stat.blocks, 0);
        skep_hive_detach(hive);
}

static skep_connection *stranger(void)
{
        skep_connection *connection;
        ck_assert_int_eq(skep_connection_connect(address, OPTIONS, &connection, LONG), 0);
        return connection;
}

/* A frame; the connection's own head is the frame's. */
static void send_frame(skep_connection *connection, uint32_t envelope_bytes, const void *rest, size_t bytes)
{
        (void)!skep_connection_send(connection, (const struct skep_bytes[]){{&envelope_bytes, 4}, {rest, bytes}}, 2, LONG);
}

static void send_call(skep_connection *connection, uint64_t id, struct remote_call *call, const void *raw, size_t raw_bytes)
{
        struct wire_buffer buffer = {0};
        ck_assert_int_eq(wire_request(&buffer, id, call, 1, -1, raw_bytes), 0);
        (void)!skep_connection_send(connection, (const struct skep_bytes[]){{buffer.data + 8, buffer.bytes - 8}, {raw, raw_bytes}}, 2, LONG);
        wire_free(&buffer);
}

static int answer_of(skep_connection *connection, struct wire_answer *ret_answer)
{
        static uint8_t frame[1 << 20];
        size_t bytes = 0;
        uint32_t envelope;
        int result = skep_connection_receive(connection, frame, sizeof frame, &bytes, LONG);
        if (result < 0)
                return result;
        memcpy(&envelope, frame, 4);
        ck_assert_int_eq(wire_parse_answer(frame + 4, envelope, ret_answer), 0);
        return 0;
}

static int result_of(skep_connection *connection, struct remote_call *call, const void *raw, size_t raw_bytes)
{
        struct wire_answer answer;
        static uint64_t id = 100;
        send_call(connection, ++id, call, raw, raw_bytes);
        int result = answer_of(connection, &answer);
        if (result < 0)
                return result;
        ck_assert_uint_eq(answer.id, id);
        return answer.result;
}

static skep_connection *greeted(void)
{
        skep_connection *connection = stranger();
        struct remote_call hello = {.method = REMOTE_HELLO, .arguments = &REMOTE_INTEGER(WIRE_VERSION), .count = 1};
        ck_assert_int_eq(result_of(connection, &hello, NULL, 0), 0);
        return connection;
}

static void hung_up(skep_connection *connection)
{
        struct wire_answer answer;
        int result = answer_of(connection, &answer);
        ck_assert_msg(result == -ECONNRESET || result == -EPIPE, "%d", result);
        skep_connection_close(connection);
}

START_TEST(frames_that_are_none)
{
        static uint8_t zeros[9 << 20];
        skep_connection *connection = stranger();
        struct remote_call ping = {.method = REMOTE_PING};
        send_call(connection, 1, &ping, NULL, 0); /* before hello */
        hung_up(connection);
        connection = stranger();
        struct remote_call hello = {.method = REMOTE_HELLO, .arguments = &REMOTE_INTEGER(WIRE_VERSION + 1), .count = 1};
        ck_assert_int_eq(result_of(connection, &hello, NULL, 0), -EPROTO);
        skep_connection_close(connection);
        connection = greeted();
        send_frame(connection, 50, "short", 5); /* the envelope is longer than the frame */
        hung_up(connection);
        connection = greeted();
        send_frame(connection, 10, "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91", 10); /* nested */
        hung_up(connection);
        connection = greeted();
        send_frame(connection, 0, "", 0);
        hung_up(connection);
        connection = greeted();
        send_frame(connection, WIRE_ENVELOPE_MAX + 1, zeros, WIRE_ENVELOPE_MAX + 1);
        hung_up(connection);
        connection = greeted();
        (void)!skep_connection_send(connection, &(struct skep_bytes){zeros, sizeof zeros + 0}, 1, LONG); /* longer than agreed */
        hung_up(connection);
        unsigned seed = 7;
        for (int i = 0; i < 100; i++) {
                uint8_t noise[40];
                for (size_t j = 0; j < sizeof noise; j++)
                        noise[j] = (uint8_t)rand_r(&seed);
                noise[0] = 0x97;
                connection = greeted();
                send_frame(connection, sizeof noise, noise, sizeof noise);
                skep_connection_close(connection);
        }
}
END_TEST

START_TEST(calls_that_make_no_sense)
{
        skep_connection *connection = greeted();
        skep_lock *lock;
        skep_queue *queue;
        ck_assert_int_eq(skep_lock_create(far, NULL, &lock), 0);
        ck_assert_int_eq(skep_queue_create(far, NULL, &queue), 0);
        skep_block reference = skep_lock_reference(lock), of_queue = skep_queue_reference(queue), none = {64, 1};
        const struct remote_value text = REMOTE_BYTES("text", 4), kind = REMOTE_BYTES("queue", 5);
        struct {
                struct remote_call call;
                int result;
        } calls[] = {
                {{.method = 0}, -ENOTSUP},
                {{.method = 31}, -ENOTSUP},
                {{.method = REMOTE_METHOD_END - 1}, -ENOTSUP},
                {{.method = REMOTE_METHOD_END + 5}, -ENOTSUP},
                {{.method = REMOTE_LOCK_ACQUIRE}, -EINVAL},
                {{.method = REMOTE_LOCK_ACQUIRE, .object = &none}, -ESTALE},
                {{.method = REMOTE_QUEUE_SIZE, .object = &reference}, -EPROTOTYPE},
                {{.method = REMOTE_LOCK_RELEASE, .object = &reference}, -EPERM},
                {{.method = REMOTE_QUEUE_PUT, .object = &of_queue}, -EINVAL},
                {{.method = REMOTE_QUEUE_PUT, .object = &of_queue, .arguments = &text, .count = 1}, -EINVAL},
                {{.method = REMOTE_QUEUE_PUT, .object = &of_queue, .arguments = &REMOTE_INTEGER(77), .count = 1}, -EINVAL},
                {{.method = REMOTE_QUEUE_PUT_ARRAY, .object = &of_queue, .arguments = &REMOTE_INTEGER(77), .count = 1}, -EINVAL},
                {{.method = REMOTE_QUEUE_PUT_MANY, .object = &of_queue}, 0},
                {{.method = REMOTE_OPEN}, -ENOTSUP},
                {{.method = REMOTE_OPEN, .arguments = &text, .count = 1}, -ENOTSUP},
                {{.method = REMOTE_OPEN, .arguments = &kind, .count = 1}, -EINVAL},
                {{.method = REMOTE_ATTACH, .arguments = &kind, .count = 1}, -EINVAL},
                {{.method = REMOTE_FORGET}, -EINVAL},
                {{.method = REMOTE_FORGET, .arguments = &REMOTE_BYTES("a\0b", 3), .count = 1}, -EINVAL},
                {{.method = REMOTE_VALUE_I64, .object = &reference, .arguments = &text, .count = 1}, -EINVAL},
        };
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
                int result = result_of(connection, &calls[i].call, NULL, 0);
                ck_assert_msg(result == calls[i].result, "call %zu: %d", i, result);
        }
        struct remote_call many = {.method = REMOTE_QUEUE_PUT_MANY, .object = &of_queue};
        ck_assert_int_eq(result_of(connection, &many, "\5\0\0\0abc", 7), -EINVAL);
        ck_assert_int_eq(result_of(connection, &many, "\5\0", 2), -EINVAL);
        /* Answers that never come, borrows that are none. */
        struct remote_call strange = {.method = REMOTE_QUEUE_GIVE_BACK, .arguments = &REMOTE_INTEGER(4711), .count = 1};
        send_call(connection, 0, &strange, NULL, 0);
        strange.method = REMOTE_CANCEL;
        send_call(connection, 0, &strange, NULL, 0);
        strange = (struct remote_call){.method = REMOTE_UNREF, .object = &none};
        send_call(connection, 0, &strange, NULL, 0);
        struct remote_call ping = {.method = REMOTE_PING};
        ck_assert_int_eq(result_of(connection, &ping, NULL, 0), 0);
        skep_connection_close(connection);
        skep_lock_unref(lock);
        skep_queue_unref(queue);
}
END_TEST

START_TEST(a_thread_waits_once)
{
        skep_lock *lock;
        struct wire_answer answer;
        ck_assert_int_eq(skep_lock_create(far, NULL, &lock), 0);
        ck_assert_int_eq(skep_lock_acquire(lock, LONG), 0);
        skep_block reference = skep_lock_reference(lock);
        struct remote_call acquire = {.method = REMOTE_LOCK_ACQUIRE, .object = &reference};
        skep_connection *connection = greeted();
        send_call(connection, 1, &acquire, NULL, 0);
        send_call(connection, 2, &acquire, NULL, 0);
        ck_assert_int_eq(answer_of(connection, &answer), 0);
        ck_assert_uint_eq(answer.id, 2);
        ck_assert_int_eq(answer.result, -EBUSY);
        skep_connection_close(connection);
        ck_assert_int_eq(skep_lock_release(lock), 0);
        skep_lock_unref(lock);
}
END_TEST

START_TEST(one_who_does_not_read_is_not_read)
{
        static uint8_t big[1 << 20];
        skep_queue *queue;
        ck_assert_int_eq(skep_queue_create(far, NULL, &queue), 0);
        for (int i = 0; i < 60; i++)
                ck_assert_int_eq(skep_queue_put(queue, big, sizeof big, LONG), 0);
        skep_block reference = skep_queue_reference(queue);
        const struct remote_value arguments[] = {REMOTE_INTEGER(-1), REMOTE_INTEGER(0)};
        struct remote_call borrow = {.method = REMOTE_QUEUE_BORROW, .object = &reference, .arguments = arguments, .count = 2};
        skep_connection *connection = greeted();
        for (uint64_t i = 1; i <= 60; i++)
                send_call(connection, i, &borrow, NULL, 0);
        usleep(200000);
        ck_assert_uint_gt(skep_queue_size(queue), 30); /* the others were not even looked at */
        /* Giving back what is on its way changes nothing. */
        struct remote_call early = {.method = REMOTE_QUEUE_GIVE_BACK, .arguments = &REMOTE_INTEGER(1), .count = 1};
        send_call(connection, 0, &early, NULL, 0);
        skep_connection_close(connection);
        uint64_t size;
        for (int i = 0; i < 200 && (size = skep_queue_size(queue)) < 60; i++)
                usleep(10000);
        ck_assert_uint_eq(size, 60); /* they went back */
        skep_queue_unref(queue);
}
END_TEST

START_TEST(half_a_message_and_gone)
{
        static uint8_t big[4 << 20];
        skep_queue *queue;
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_queue_create(far, NULL, &queue), 0);
        skep_block reference = skep_queue_reference(queue);
        for (int i = 0; i < 3; i++) {
                int fd;
                struct stream *stream;
                struct secret *secret;
                struct skep_connection_options options;
                ck_assert_int_eq(connection_options(&options, OPTIONS), 0);
                ck_assert_int_eq(secret_create(&options, &secret), 0);
                ck_assert_int_eq(net_connect(address, &fd, LONG), 0);
                ck_assert_int_eq(stream_create(fd, false, secret, 30, &stream), 0);
                secret_unref(secret);
                while (stream_wants(stream_handshake(stream)))
                        usleep(1000);
                struct wire_buffer buffer = {0};
                struct remote_call hello = {.method = REMOTE_HELLO, .arguments = &REMOTE_INTEGER(WIRE_VERSION), .count = 1};
                struct remote_call put = {.method = REMOTE_QUEUE_PUT, .object = &reference, .arguments = &REMOTE_INTEGER(SKEP_MESSAGE_BYTES), .count = 1};
                ck_assert_int_eq(wire_request(&buffer, 1, &hello, 1, -1, 0), 0);
                ck_assert_int_eq(wire_request(&buffer, 2, &put, 1, -1, sizeof big), 0);
                ck_assert_int_eq(stream_write(stream, buffer.data, buffer.bytes - (i == 0 ? 5 : 0)), (int64_t)buffer.bytes - (i == 0 ? 5 : 0));
                for (int j = 0; i == 2 && j < 20; j++)
                        (void)stream_write(stream, big, 16384);
                usleep(20000);
                stream_close(stream, i == 1);
                wire_free(&buffer);
        }
        usleep(50000);
        ck_assert_uint_eq(skep_queue_size(queue), 0);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_lt(stat.used_bytes, sizeof big);
        skep_queue_unref(queue);
}
END_TEST

START_TEST(who_dawdles_is_cut_off)
{
        struct skep_server_stat stat;
        int fds[30], count = 0;
        skep_hive *other;
        for (; count < 30; count++) /* more than may dawdle at the same time */
                ck_assert_int_eq(net_connect(address, &fds[count], LONG), 0);
        ck_assert_int_eq(skep_hive_connect(address, OPTIONS, &other, LONG), 0); /* it waits its turn, and comes in */
        skep_server_stat(server, &stat);
        ck_assert_uint_ge(stat.refused, 11);
        ck_assert_uint_le(stat.handshakes, 20);
        skep_hive_detach(other);
        while (count)
                close(fds[--count]);
}
END_TEST

START_TEST(only_so_many_wait)
{
        skep_event *event;
        struct wire_answer answer;
        ck_assert_int_eq(skep_event_create(far, NULL, &event), 0);
        skep_block reference = skep_event_reference(event);
        struct remote_call wait = {.method = REMOTE_EVENT_WAIT, .object = &reference};
        skep_connection *connection = greeted();
        for (uint64_t i = 1; i <= 5; i++)
                send_call(connection, i, &wait, NULL, 0);
        ck_assert_int_eq(answer_of(connection, &answer), 0);
        ck_assert_uint_eq(answer.id, 5);
        ck_assert_int_eq(answer.result, -EUSERS);
        ck_assert_int_eq(skep_event_set(event), 0);
        for (int i = 0; i < 4; i++) {
                ck_assert_int_eq(answer_of(connection, &answer), 0);
                ck_assert_int_eq(answer.result, 0);
        }
        skep_connection_close(connection);
        skep_event_unref(event);
}
END_TEST

START_TEST(a_thousand_connections)
{
        struct rlimit files;
        static skep_connection *connections[1000];
        size_t count = 0;
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        size_t most = files.rlim_cur < 2200 ? files.rlim_cur / 2 - 100 : 1000;
        for (; count < most; count++)
                connections[count] = greeted();
        struct remote_call ping = {.method = REMOTE_PING};
        ck_assert_int_eq(result_of(connections[0], &ping, NULL, 0), 0);
        ck_assert_int_eq(result_of(connections[most - 1], &ping, NULL, 0), 0);
        struct skep_server_stat stat;
        skep_server_stat(server, &stat);
        ck_assert_uint_eq(stat.connections, most + 1);
        while (count)
                skep_connection_close(connections[--count]);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("server");
        TCase *tests = tcase_create("server");
        tcase_add_checked_fixture(tests, set_up, tear_down);
        tcase_add_test(tests, frames_that_are_none);
        tcase_add_test(tests, calls_that_make_no_sense);
        tcase_add_test(tests, a_thread_waits_once);
        tcase_add_test(tests, one_who_does_not_read_is_not_read);
        tcase_add_test(tests, half_a_message_and_gone);
        tcase_add_test(tests, who_dawdles_is_cut_off);
        tcase_add_test(tests, only_so_many_wait);
        tcase_add_test(tests, a_thousand_connections);
        suite_add_tcase(suite, tests);
        return suite_run(suite);
}
#else
int main(void)
{
        Suite *suite = suite_create("server");
        return suite_run(suite);
}
#endif
