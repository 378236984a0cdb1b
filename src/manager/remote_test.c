/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_test.c - a hive used from afar: each kind of object, waiting, lost clients, broken connections, bad clients.
 *
 * ctest: threads timeout=120
 */
#include "manager/wire.h"
#include "net/net.h"
#include "support/people.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define KEY "a key of sixteen"
#define OPTIONS SKEP_CONNECTION_OPTIONS(.authkey = KEY, .authkey_bytes = sizeof KEY - 1)
#define SHORT skep_within_ns(30 * MS)

static skep_hive *hive;     /* the server's */
static skep_hive *far;      /* the same from afar */
static skep_server *server;
static char address[128];
static pthread_t server_thread;
static _Atomic int log_lines;
static char log_last[256];

static void *serve(void *unused)
{
        ck_assert_int_eq(skep_server_run(server), 0);
        return unused;
}

static void log_line(const char *line, void *context)
{
        (void)context;
        snprintf(log_last, sizeof log_last, "%s", line);
        atomic_fetch_add(&log_lines, 1);
}

static void begin(const char *where, uint32_t handshake_max_ms)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = UINT64_C(1) << 30), &hive), 0);
        ck_assert_int_eq(skep_server_create(hive, SKEP_SERVER_OPTIONS(.authkey = KEY, .authkey_bytes = sizeof KEY - 1, .log = log_line,
                                                                      .message_max_bytes = 64 << 20, .handshake_max_ms = handshake_max_ms), &server), 0);
        ck_assert_int_eq(skep_server_listen(server, where), 0);
        ck_assert_int_eq(skep_server_address(server, 0, address, sizeof address), 0);
        ck_assert_int_eq(pthread_create(&server_thread, NULL, serve, NULL), 0);
}

static skep_hive *connected(void)
{
        skep_hive *remote = NULL;
        ck_assert_int_eq(skep_hive_connect(address, OPTIONS, &remote, LONG), 0);
        return remote;
}

static void set_up(void)
{
        begin("tcp://127.0.0.1:0", 0);
        far = connected();
}

/* When all have gone nothing is held, and nothing is damaged. */
static void tear_down(void)
{
        struct skep_verify_report report;
        struct skep_hive_stat stat;
        skep_hive_detach(far);
        skep_server_stop(server);
        pthread_join(server_thread, NULL);
        skep_server_free(server);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s", report.first);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_eq(stat.blocks, 0);
        skep_hive_detach(hive);
}

START_TEST(a_queue_from_afar)
{
        skep_queue *queue, *same;
        char buffer[64];
        size_t bytes;
        ck_assert_int_eq(skep_queue_create(far, SKEP_QUEUE_OPTIONS(.name = "q", .capacity = 3), &queue), 0);
        ck_assert_int_eq(skep_queue_create(far, SKEP_QUEUE_OPTIONS(.name = "q"), &same), -EEXIST);
        ck_assert_int_eq(skep_queue_open(hive, "q", &same), 0);
        ck_assert_uint_eq(skep_queue_capacity(queue), 3);
        ck_assert_int_eq(skep_queue_put(queue, "there", 6, LONG), 0);
        ck_assert_uint_eq(skep_queue_size(same), 1);
        ck_assert_uint_eq(skep_queue_size(queue), 1);
        ck_assert_int_eq(skep_queue_get(same, buffer, sizeof buffer, &bytes, LONG), 0);
        ck_assert_str_eq(buffer, "there");
        ck_assert_int_eq(skep_queue_put(same, "back", 5, LONG), 0);
        ck_assert_int_eq(skep_queue_get(queue, buffer, 2, &bytes, LONG), -EMSGSIZE);
        ck_assert_uint_eq(bytes, 5);
        ck_assert_int_eq(skep_queue_get(queue, buffer, sizeof buffer, &bytes, LONG), 0);
        ck_assert_uint_eq(bytes, 5);
        ck_assert_str_eq(buffer, "back");
        ck_assert_int_eq(skep_queue_get(queue, buffer, sizeof buffer, &bytes, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(skep_queue_get(queue, buffer, sizeof buffer, &bytes, SHORT), -ETIMEDOUT);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(skep_queue_put(queue, "x", 1, LONG), 0);
        ck_assert_int_eq(skep_queue_is_full(queue), 1);
        ck_assert_int_eq(skep_queue_put(queue, "x", 1, SHORT), -ETIMEDOUT);
        ck_assert_int_eq(skep_queue_close(queue), 0);
        ck_assert_int_eq(skep_queue_put(queue, "x", 1, LONG), -ESHUTDOWN);
        uint64_t count;
        ck_assert_int_eq(skep_queue_drain(queue, &count), 0);
        ck_assert_uint_eq(count, 3);
        ck_assert_int_eq(skep_queue_get(queue, buffer, sizeof buffer, &bytes, LONG), -ESHUTDOWN);
        ck_assert_int_eq(skep_hive_forget(far, "q"), 0);
        ck_assert_int_eq(skep_queue_open(far, "q", &(skep_queue *){NULL}), -ENOENT);
        skep_queue_unref(queue);
        skep_queue_unref(same);
}
END_TEST

START_TEST(locks_and_values_from_afar)
{
        skep_lock *lock, *same;
        skep_value *value;
        int64_t before = 0;
        double number = 0;
        ck_assert_int_eq(skep_lock_create(far, "l", &lock), 0);
        ck_assert_int_eq(skep_lock_open(hive, "l", &same), 0);
        ck_assert_int_eq(skep_lock_acquire(lock, LONG), 0);
        ck_assert_int_eq(skep_lock_is_mine(lock), 1);
        ck_assert_int_eq(skep_lock_is_mine(same), 0);
        ck_assert_int_eq(skep_lock_acquire(same, SHORT), -ETIMEDOUT);
        ck_assert_int_eq(skep_lock_acquire(lock, SHORT), -ETIMEDOUT);
        ck_assert_int_eq(skep_lock_release(lock), 0);
        ck_assert_int_eq(skep_lock_release(lock), -EPERM);
        ck_assert_int_eq(skep_value_create(far, SKEP_VALUE_OPTIONS(.element = SKEP_ELEMENT_I32, .count = 3, .initial = (const int32_t[]){1, 2, 3}), &value), 0);
        ck_assert_uint_eq(skep_value_count(value), 3);
        ck_assert_int_eq(skep_value_fetch_add_i64(value, 2, 4, &before), 0);
        ck_assert_int_eq(before, 3);
        ck_assert_int_eq(skep_value_load_i64(value, 2, &before), 0);
        ck_assert_int_eq(before, 7);
        ck_assert_int_eq(skep_value_load_i64(value, 3, &before), -ERANGE);
        ck_assert_int_eq(skep_value_load_f64(value, 0, &number), -EPROTOTYPE);
        ck_assert_int_eq(skep_value_compare_exchange_i64(value, 0, &(int64_t){5}, 9), -EAGAIN);
        ck_assert_ptr_eq(skep_value_data(value), NULL);
        skep_value_unref(value);
        skep_lock_unref(lock);
        skep_lock_unref(same);
        ck_assert_int_eq(skep_hive_forget(far, "l"), 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("remote");
        TCase *tests = tcase_create("remote");
        tcase_add_checked_fixture(tests, set_up, tear_down);
        tcase_add_test(tests, a_queue_from_afar);
        tcase_add_test(tests, locks_and_values_from_afar);
        suite_add_tcase(suite, tests);
        return suite_run(suite);
}
