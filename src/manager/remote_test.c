/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_test.c - a hive used from afar: each kind of object, waiting, lost clients, broken connections, bad clients.
 *
 * ctest: threads timeout=120
 */
#include "support/people.h"

#include <pthread.h>

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
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0); /* forked children were members, too */
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s", report.first);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_eq(stat.blocks, 0);
        skep_hive_detach(hive);
}

static void *closes(void *queue)
{
        usleep(30000);
        ck_assert_int_eq(skep_queue_close(queue), 0);
        return NULL;
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


START_TEST(messages_of_every_length_and_kind)
{
        static uint8_t data[300000], back[300000];
        static const size_t sizes[] = {0, 1, 127, 128, 129, 4096, 4097, 16384, 65536, 299999};
        skep_queue *queue, *same;
        struct skep_loan loan;
        size_t bytes;
        ck_assert_int_eq(skep_queue_create(far, SKEP_QUEUE_OPTIONS(.name = "q"), &queue), 0);
        ck_assert_int_eq(skep_queue_open(hive, "q", &same), 0);
        for (size_t i = 0; i < sizeof data; i++)
                data[i] = (uint8_t)(i * 13 + i / 251);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                ck_assert_int_eq(skep_queue_put(queue, data, sizes[i], LONG), 0);
                ck_assert_int_eq(skep_queue_get(same, back, sizeof back, &bytes, LONG), 0);
                ck_assert_uint_eq(bytes, sizes[i]);
                ck_assert_int_eq(memcmp(back, data, bytes), 0);
                ck_assert_int_eq(skep_queue_put(same, data, sizes[i], LONG), 0);
                memset(back, 0, sizeof back);
                ck_assert_int_eq(skep_queue_get(queue, back, sizeof back, &bytes, LONG), 0);
                ck_assert_uint_eq(bytes, sizes[i]);
                ck_assert_int_eq(memcmp(back, data, bytes), 0);
        }
        ck_assert_int_eq(skep_queue_reserve(queue, 5, &loan), 0);
        memcpy(loan.data, "loan", 5);
        ck_assert_int_eq(skep_queue_commit(&loan, SKEP_MESSAGE_PICKLE, 5, LONG), 0);
        ck_assert_int_eq(skep_queue_reserve(queue, 5, &loan), 0);
        skep_queue_abandon(&loan);
        ck_assert_int_eq(skep_queue_get(queue, back, sizeof back, &bytes, LONG), -EPROTOTYPE);
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, LONG), 0);
        ck_assert_uint_eq(loan.kind, SKEP_MESSAGE_PICKLE);
        ck_assert_str_eq(loan.data, "loan");
        ck_assert_uint_eq(skep_queue_size(same), 0);
        skep_queue_put_back(&loan);
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, LONG), 0);
        skep_queue_give_back(&loan);
        ck_assert_uint_eq(skep_queue_size(queue), 0);
        skep_queue_unref(queue);
        skep_queue_unref(same);
        ck_assert_int_eq(skep_hive_forget(far, "q"), 0);
}
END_TEST

#define MANY 3000

START_TEST(many_at_once)
{
        skep_queue *queue;
        static struct skep_bytes messages[MANY];
        static uint32_t numbers[MANY];
        static uint8_t buffer[MANY * 8];
        size_t count = 0, got = 0;
        ck_assert_int_eq(skep_queue_create(far, SKEP_QUEUE_OPTIONS(.capacity = MANY - 10), &queue), 0);
        for (uint32_t i = 0; i < MANY; i++) {
                numbers[i] = i;
                messages[i] = (struct skep_bytes){&numbers[i], sizeof numbers[i]};
        }
        ck_assert_int_eq(skep_queue_put_many(queue, messages, MANY, &count, SHORT), -ETIMEDOUT);
        ck_assert_uint_eq(count, MANY - 10);
        while (got < count) {
                size_t some;
                ck_assert_int_eq(skep_queue_get_many(queue, buffer, sizeof buffer, messages, 500, &some, LONG), 0);
                for (size_t i = 0; i < some; i++, got++)
                        ck_assert_int_eq(memcmp(messages[i].data, &numbers[got], 4), 0);
        }
        ck_assert_int_eq(skep_queue_get_many(queue, buffer, sizeof buffer, messages, 500, &count, skep_nowait()), -ETIMEDOUT);
        skep_queue_unref(queue);
}
END_TEST

START_TEST(arrays_travel)
{
        skep_queue *queue, *same;
        skep_array *array, *view, *back;
        ck_assert_int_eq(skep_queue_create(far, SKEP_QUEUE_OPTIONS(.name = "q"), &queue), 0);
        ck_assert_int_eq(skep_queue_open(hive, "q", &same), 0);
        ck_assert_int_eq(skep_array_create(far, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_F32, .dimension_count = 2, .shape = (const uint64_t[]){1000, 300}),
                                           &array), 0);
        float *data = skep_array_data(array);
        for (int i = 0; i < 300000; i++)
                data[i] = (float)i;
        ck_assert_int_eq(skep_queue_put_array(queue, array, LONG), 0);
        ck_assert_int_eq(skep_queue_get_array(same, &back, LONG), 0);
        ck_assert_uint_eq(skep_array_shape(back)[0], 1000);
        ck_assert_int_eq(memcmp(skep_array_data(back), data, 1200000), 0);
        ck_assert_int_eq(skep_queue_put_array(same, back, LONG), 0);
        skep_array_unref(back);
        ck_assert_int_eq(skep_queue_get_array(queue, &back, LONG), 0);
        ck_assert_ptr_eq(skep_array_hive(back), far);
        ck_assert_int_eq(memcmp(skep_array_data(back), data, 1200000), 0);
        skep_array_unref(back);
        /* Every second column, rows backwards. */
        ck_assert_int_eq(skep_array_view(array, SKEP_ELEMENT_F32, 999 * 1200, 2, (const uint64_t[]){1000, 150}, (const int64_t[]){-1200, 8}, &view), 0);
        ck_assert_int_eq(skep_queue_put_array(queue, view, LONG), 0);
        ck_assert_int_eq(skep_queue_get_array(queue, &back, LONG), 0);
        for (int i = 0; i < 1000; i++)
                for (int j = 0; j < 150; j++)
                        ck_assert_msg(((float *)skep_array_data(back))[i * 150 + j] == (float)((999 - i) * 300 + 2 * j), "%d %d", i, j);
        skep_array_unref(back);
        skep_array_unref(view);
        /* One without elements, one without dimensions. */
        const uint64_t nothing[] = {0};
        ck_assert_int_eq(skep_array_create(far, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8, .dimension_count = 1, .shape = nothing), &view), 0);
        ck_assert_int_eq(skep_queue_put_array(queue, view, LONG), 0);
        skep_array_unref(view);
        ck_assert_int_eq(skep_queue_get(queue, NULL, 0, &(size_t){0}, LONG), -EPROTOTYPE);
        ck_assert_int_eq(skep_queue_get_array(queue, &back, LONG), 0);
        ck_assert_uint_eq(skep_array_count(back), 0);
        skep_array_unref(back);
        skep_array_unref(array);
        skep_queue_unref(queue);
        skep_queue_unref(same);
        ck_assert_int_eq(skep_hive_forget(far, "q"), 0);
}
END_TEST

START_TEST(a_get_that_waits_holds_nobody_up)
{
        skep_queue *queue, *other;
        char buffer[8];
        size_t bytes;
        ck_assert_int_eq(skep_queue_create(far, SKEP_QUEUE_OPTIONS(.name = "q"), &queue), 0);
        ck_assert_int_eq(skep_queue_create(far, NULL, &other), 0);
        pid_t waiters[5];
        _Atomic uint32_t *board = people_board(); /* nobody stirs while there is still forking: the server's thread is in this process */
        for (int i = 0; i < 5; i++) {
                waiters[i] = branch();
                if (waiters[i] == 0) {
                        while (!board[0])
                                usleep(1000);
                        if (skep_hive_reconnect(far, LONG) < 0)
                                _exit(10);
                        _exit(skep_queue_get(queue, buffer, sizeof buffer, &bytes, LONG) == 0 ? buffer[0] : 11);
                }
        }
        board[0] = 1;
        struct skep_server_stat stat;
        do
                skep_server_stat(server, &stat);
        while (stat.waiting < 5);
        for (int i = 0; i < 100; i++) {
                ck_assert_int_eq(skep_queue_put(other, "x", 2, LONG), 0);
                ck_assert_int_eq(skep_queue_get(other, buffer, sizeof buffer, &bytes, LONG), 0);
        }
        int sum = 0;
        for (char i = 1; i <= 5; i++)
                ck_assert_int_eq(skep_queue_put(queue, &i, 1, LONG), 0);
        for (int i = 0; i < 5; i++)
                sum += ended(waiters[i]);
        ck_assert_int_eq(sum, 15);
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, closes, queue), 0);
        ck_assert_int_eq(skep_queue_get(queue, buffer, sizeof buffer, &bytes, LONG), -ESHUTDOWN);
        pthread_join(thread, NULL);
        skep_queue_unref(queue);
        skep_queue_unref(other);
        ck_assert_int_eq(skep_hive_forget(far, "q"), 0);
}
END_TEST

static void *waits_for_lock(void *lock)
{
        int result = skep_lock_acquire(lock, LONG);
        if (result >= 0)
                skep_lock_release(lock);
        return (void *)(intptr_t)result;
}

START_TEST(a_lost_client_gives_back_its_lock)
{
        skep_lock *lock, *same;
        skep_rlock *rlock;
        pthread_t thread;
        ck_assert_int_eq(skep_lock_create(far, "l", &lock), 0);
        ck_assert_int_eq(skep_rlock_create(far, "r", &rlock), 0);
        ck_assert_int_eq(skep_lock_open(hive, "l", &same), 0);
        pid_t child = branch();
        if (child == 0) {
                if (skep_hive_reconnect(far, LONG) < 0 || skep_lock_acquire(lock, LONG) < 0 || skep_rlock_acquire(rlock, LONG) < 0)
                        _exit(1);
                raise(SIGSTOP);
                die();
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
        ck_assert_int_eq(pthread_create(&thread, NULL, waits_for_lock, lock), 0); /* from afar */
        ck_assert_int_eq(skep_lock_acquire(same, SHORT), -ETIMEDOUT);
        kill(child, SIGCONT);
        void *result;
        pthread_join(thread, &result);
        ck_assert_int_eq((int)(intptr_t)result, SKEP_OWNER_DIED);
        ck_assert_int_eq(ended(child), -SIGKILL);
        ck_assert_int_eq(skep_rlock_acquire(rlock, LONG), SKEP_OWNER_DIED);
        ck_assert_int_eq(skep_rlock_acquire(rlock, LONG), 0);
        ck_assert_uint_eq(skep_rlock_depth(rlock), 2);
        ck_assert_int_eq(skep_rlock_release(rlock), 0);
        ck_assert_int_eq(skep_rlock_release(rlock), 0);
        skep_lock_unref(lock);
        skep_lock_unref(same);
        skep_rlock_unref(rlock);
        ck_assert_int_eq(skep_hive_forget(far, "l"), 0);
        ck_assert_int_eq(skep_hive_forget(far, "r"), 0);
}
END_TEST

static void *takes_and_ends(void *lock)
{
        ck_assert_int_eq(skep_lock_acquire(lock, LONG), 0);
        return NULL;
}

START_TEST(a_thread_that_ends_gives_back_its_lock)
{
        skep_lock *lock;
        pthread_t thread;
        ck_assert_int_eq(skep_lock_create(far, NULL, &lock), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, takes_and_ends, lock), 0);
        pthread_join(thread, NULL);
        ck_assert_int_eq(skep_lock_acquire(lock, LONG), SKEP_OWNER_DIED);
        ck_assert_int_eq(skep_lock_owner_died(lock), 1);
        skep_lock_clear_owner_died(lock);
        ck_assert_int_eq(skep_lock_owner_died(lock), 0);
        ck_assert_int_eq(skep_lock_release(lock), 0);
        skep_lock_unref(lock);
}
END_TEST

START_TEST(a_client_killed_in_the_middle_of_a_get)
{
        skep_queue *queue;
        struct skep_loan loan;
        char buffer[8];
        size_t bytes;
        ck_assert_int_eq(skep_queue_create(far, SKEP_QUEUE_OPTIONS(.name = "q"), &queue), 0);
        for (int i = 0; i < 3; i++) {
                pid_t child = branch();
                if (child == 0) {
                        if (skep_hive_reconnect(far, LONG) < 0 || (i < 2 && skep_queue_borrow(queue, &loan, i ? LONG : SHORT) == 0 && i == 0))
                                _exit(1);
                        if (i == 2)
                                (void)!skep_queue_get(queue, buffer, sizeof buffer, &bytes, LONG); /* killed while it waits */
                        die();
                }
                if (i == 1)
                        ck_assert_int_eq(skep_queue_put(queue, "m", 2, LONG), 0);
                if (i == 2) {
                        struct skep_server_stat stat;
                        ck_assert_int_eq(skep_queue_get(queue, buffer, sizeof buffer, &bytes, LONG), 0); /* the second has not taken it */
                        do
                                skep_server_stat(server, &stat);
                        while (!stat.waiting);
                        kill(child, SIGKILL);
                }
                ck_assert_int_eq(ended(child), -SIGKILL);
        }
        struct skep_server_stat stat;
        do
                skep_server_stat(server, &stat);
        while (stat.waiting || stat.connections > 1);
        ck_assert_int_eq(skep_queue_put(queue, "n", 2, LONG), 0);
        ck_assert_int_eq(skep_queue_get(queue, buffer, sizeof buffer, &bytes, LONG), 0);
        ck_assert_str_eq(buffer, "n");
        skep_queue_unref(queue);
        ck_assert_int_eq(skep_hive_forget(far, "q"), 0);
}
END_TEST

static int stop_now(void *context)
{
        return ++*(int *)context > 1 ? -EINTR : 0;
}

START_TEST(an_interrupted_call_is_taken_back)
{
        skep_queue *queue;
        skep_lock *lock, *same;
        skep_event *event;
        char buffer[8];
        size_t bytes;
        ck_assert_int_eq(skep_queue_create(far, NULL, &queue), 0);
        ck_assert_int_eq(skep_event_create(far, NULL, &event), 0);
        ck_assert_int_eq(skep_lock_create(far, "l", &lock), 0);
        ck_assert_int_eq(skep_lock_open(hive, "l", &same), 0);
        ck_assert_int_eq(skep_lock_acquire(same, LONG), 0);
        skep_thread_on_interrupt(stop_now, &(int){0});
        ck_assert_int_eq(skep_queue_get(queue, buffer, sizeof buffer, &bytes, skep_forever()), -EINTR);
        skep_thread_on_interrupt(stop_now, &(int){0});
        ck_assert_int_eq(skep_lock_acquire(lock, skep_forever()), -EINTR);
        skep_thread_on_interrupt(stop_now, &(int){0});
        ck_assert_int_eq(skep_event_wait(event, skep_forever()), -EINTR);
        skep_thread_on_interrupt(NULL, NULL);
        ck_assert_int_eq(skep_lock_release(same), 0);
        ck_assert_int_eq(skep_lock_acquire(lock, LONG), 0);
        ck_assert_int_eq(skep_lock_release(lock), 0);
        ck_assert_int_eq(skep_queue_put(queue, "x", 2, LONG), 0);
        ck_assert_int_eq(skep_queue_get(queue, buffer, sizeof buffer, &bytes, LONG), 0);
        skep_queue_unref(queue);
        skep_event_unref(event);
        skep_lock_unref(lock);
        skep_lock_unref(same);
        ck_assert_int_eq(skep_hive_forget(far, "l"), 0);
}
END_TEST

static bool is_text(const struct skep_item *item, const char *text)
{
        size_t bytes;
        const void *data = skep_item_data(item, &bytes);
        return item->kind == SKEP_ITEM_TEXT && bytes == strlen(text) && memcmp(data, text, bytes) == 0;
}

static void *sets_later(void *dict)
{
        struct skep_item key = skep_item_text("late"), value = skep_item_integer(7);
        usleep(20000);
        ck_assert_int_eq(skep_dict_set(dict, &key, &value), 0);
        return NULL;
}

START_TEST(a_dict_from_afar)
{
        static char big[50000];
        skep_dict *dict, *same;
        skep_namespace *space;
        skep_array *array;
        struct skep_item key = skep_item_text("k"), other = skep_item_integer(5), value, got;
        struct skep_dict_entry *entries;
        uint64_t version = 0, second = 0, count = 0;
        ck_assert_int_eq(skep_dict_create(far, SKEP_DICT_OPTIONS(.name = "d"), &dict), 0);
        ck_assert_ptr_eq(skep_dict_hive(dict), far);
        ck_assert_int_eq(skep_dict_open(hive, "d", &same), 0);
        ck_assert_int_eq(skep_dict_get(dict, &key, &got, NULL), -ENOENT);
        value = skep_item_text("a value");
        ck_assert_int_eq(skep_dict_set(dict, &key, &value), 0);
        ck_assert_int_eq(skep_dict_get(same, &key, &got, NULL), 0);
        ck_assert(is_text(&got, "a value"));
        skep_item_clear(&got);
        ck_assert_int_eq(skep_dict_get(dict, &key, &got, &version), 0);
        ck_assert(is_text(&got, "a value"));
        skep_item_clear(&got);
        memset(big, 'x', sizeof big);
        value = skep_item_bytes(big, sizeof big);
        ck_assert_int_eq(skep_dict_set_if(dict, &key, version + 1, &value, &second), -EAGAIN);
        ck_assert_int_eq(skep_dict_set_if(dict, &key, version, &value, &second), 0);
        ck_assert_uint_ne(second, version);
        ck_assert_int_eq(skep_dict_get(dict, &key, &got, &version), 0);
        ck_assert_uint_eq(version, second);
        ck_assert_uint_eq(got.bytes, sizeof big);
        ck_assert_int_eq(memcmp(skep_item_data(&got, NULL), big, sizeof big), 0);
        skep_item_clear(&got);
        value = skep_item_float(1.5);
        ck_assert_int_eq(skep_dict_setdefault(dict, &other, &value, &got), 0);
        ck_assert_int_eq(skep_dict_setdefault(dict, &other, &value, &got), 1);
        ck_assert(got.kind == SKEP_ITEM_FLOAT && got.real == 1.5);
        value = skep_item_integer(2);
        ck_assert_int_eq(skep_dict_add(dict, &other, &value, 0, &got), 0);
        ck_assert(got.kind == SKEP_ITEM_FLOAT && got.real == 3.5);
        ck_assert_int_eq(skep_dict_add(dict, &key, &value, 0, &got), -EPROTOTYPE);
        ck_assert_int_eq(skep_dict_contains(dict, &key), 1);
        ck_assert_int_eq(skep_dict_length(dict, &count), 0);
        ck_assert_uint_eq(count, 2);
        ck_assert_int_eq(skep_dict_snapshot(dict, 0, &entries, &count), 0);
        ck_assert_uint_eq(count, 2);
        ck_assert(is_text(&entries[0].key, "k") && entries[0].version == version && entries[1].value.real == 3.5);
        skep_dict_entries_free(entries, count);
        ck_assert_int_eq(skep_dict_pop(dict, &other, &got), 0);
        ck_assert(got.real == 3.5);
        ck_assert_int_eq(skep_dict_pop(dict, &other, &got), -ENOENT);
        ck_assert_int_eq(skep_dict_delete_if(dict, &key, version + 1), -EAGAIN);
        ck_assert_int_eq(skep_dict_delete(dict, &key), 0);
        ck_assert_int_eq(skep_dict_delete(dict, &key), -ENOENT);
        struct skep_dict_entry many[100];
        for (int i = 0; i < 100; i++)
                many[i] = (struct skep_dict_entry){skep_item_integer(i), skep_item_integer(i * i), 0};
        ck_assert_int_eq(skep_dict_update(dict, many, 100), 0);
        for (int i = 0; i < 100; i++)
                many[i] = (struct skep_dict_entry){skep_item_integer(2 * i), skep_item_none(), 77};
        ck_assert_int_eq(skep_dict_get_many(dict, many, 100, &count), 0);
        ck_assert_uint_eq(count, 50);
        for (int i = 0; i < 100; i++)
                ck_assert(i < 50 ? many[i].version && many[i].value.integer == 4 * i * i : !many[i].version && many[i].value.kind == SKEP_ITEM_NONE);
        ck_assert_int_eq(skep_dict_get_many(dict, many, 0, NULL), 0);
        ck_assert_int_eq(skep_dict_popitem(dict, &got, &value), 0);
        ck_assert(got.integer == 99 && value.integer == 99 * 99);
        ck_assert_int_eq(skep_dict_clear(dict), 0);
        ck_assert_int_eq(skep_dict_length(same, &count), 0);
        ck_assert_uint_eq(count, 0);
        ck_assert_int_eq(skep_dict_popitem(dict, &got, &value), -ENOENT);
        /* waiting */
        pthread_t thread;
        struct skep_item late = skep_item_text("late");
        ck_assert_int_eq(skep_dict_wait(dict, &late, 0, &got, NULL, SHORT), -ETIMEDOUT);
        ck_assert_int_eq(pthread_create(&thread, NULL, sets_later, dict), 0);
        ck_assert_int_eq(skep_dict_wait(dict, &late, 0, &got, &version, LONG), 0);
        ck_assert_int_eq(got.integer, 7);
        pthread_join(thread, NULL);
        /* what does not travel */
        ck_assert_int_eq(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8), &array), 0);
        value = skep_item_array(array);
        ck_assert_int_eq(skep_dict_set(same, &key, &value), 0);
        ck_assert_int_eq(skep_dict_get(dict, &key, &got, NULL), -ENOTSUP);
        ck_assert_int_eq(skep_dict_pop(dict, &key, &got), -ENOTSUP);
        many[0].key = key;
        ck_assert_int_eq(skep_dict_get_many(dict, many, 1, NULL), -ENOTSUP);
        ck_assert_int_eq(skep_dict_contains(dict, &key), 1);
        ck_assert_int_eq(skep_dict_set(dict, &key, &value), -ENOTSUP);
        value = skep_item_object(skep_dict_reference(dict));
        ck_assert_int_eq(skep_dict_delete(dict, &key), 0);
        skep_array_unref(array);
        skep_dict_unref(dict);
        skep_dict_unref(same);
        ck_assert_int_eq(skep_hive_forget(far, "d"), 0);
        ck_assert_int_eq(skep_namespace_create(far, "n", &space), 0);
        value = skep_item_bool(true);
        ck_assert_int_eq(skep_namespace_set(space, "flag", &value), 0);
        ck_assert_int_eq(skep_hive_reconnect(far, LONG), 0);
        ck_assert_int_eq(skep_namespace_get(space, "flag", &got), 0);
        ck_assert(got.kind == SKEP_ITEM_BOOL && got.integer == 1);
        ck_assert_int_eq(skep_namespace_delete(space, "flag"), 0);
        ck_assert_int_eq(skep_dict_open(far, "n", &dict), -EPROTOTYPE);
        skep_namespace_unref(space);
        ck_assert_int_eq(skep_hive_forget(far, "n"), 0);
}
END_TEST

static int by_integer(const struct skep_item *left, const struct skep_item *right, void *context)
{
        (void)context;
        return (left->integer > right->integer) - (left->integer < right->integer);
}

START_TEST(a_list_from_afar)
{
        skep_list *list;
        struct skep_item item, got, items[5];
        struct skep_list_entry *entries;
        uint64_t length = 0, index = 0, version = 0, other = 0;
        ck_assert_int_eq(skep_list_create(far, NULL, &list), 0);
        ck_assert_ptr_eq(skep_list_hive(list), far);
        for (int64_t i = 0; i < 5; i++) {
                items[i] = skep_item_integer((i * 3 + 1) % 5); /* 1 4 2 0 3 */
                ck_assert_int_eq(skep_list_append(list, &items[i]), 0);
        }
        ck_assert_int_eq(skep_list_length(list, &length), 0);
        ck_assert_uint_eq(length, 5);
        ck_assert_int_eq(skep_list_get(list, -1, &got, &version), 0);
        ck_assert_int_eq(got.integer, 3);
        ck_assert_int_eq(skep_list_get(list, 5, &got, NULL), -ERANGE);
        item = skep_item_text("a text that is too long to lie in its cell");
        ck_assert_int_eq(skep_list_set_if(list, -1, version + 1, &item), -EAGAIN);
        ck_assert_int_eq(skep_list_set(list, -1, &item), 0);
        ck_assert_int_eq(skep_list_get(list, 4, &got, NULL), 0);
        ck_assert(is_text(&got, "a text that is too long to lie in its cell"));
        skep_item_clear(&got);
        ck_assert_int_eq(skep_list_index(list, &item, 0, INT64_MAX, &index), 0);
        ck_assert_uint_eq(index, 4);
        ck_assert_int_eq(skep_list_remove(list, &item), 0);
        item = skep_item_integer(10);
        ck_assert_int_eq(skep_list_add(list, 0, &item, &got), 0);
        ck_assert_int_eq(got.integer, 11);
        ck_assert_int_eq(skep_list_insert(list, 1, &item), 0); /* 11 10 4 2 0 */
        ck_assert_int_eq(skep_list_sort(list, by_integer, NULL), 0); /* 0 2 4 10 11 */
        ck_assert_int_eq(skep_list_reverse(list), 0);
        ck_assert_int_eq(skep_list_get_slice(list, (struct skep_slice){0, INT64_MAX, 2}, &entries, &length), 0);
        ck_assert_uint_eq(length, 3);
        ck_assert(entries[0].item.integer == 11 && entries[1].item.integer == 4 && entries[2].item.integer == 0);
        skep_list_entries_free(entries, length);
        ck_assert_int_eq(skep_list_pop(list, 1, &got), 0);
        ck_assert_int_eq(got.integer, 10);
        ck_assert_int_eq(skep_list_pop(list, 0, NULL), 0); /* 4 2 0 */
        ck_assert_int_eq(skep_list_set_slice(list, (struct skep_slice){0, 2, 1}, items, 5, &length), 0);
        ck_assert_int_eq(skep_list_set_slice(list, (struct skep_slice){0, 4, 2}, items, 5, &length), -ERANGE);
        ck_assert_uint_eq(length, 2);
        ck_assert_int_eq(skep_list_extend(list, items, 2), 0); /* 1 4 2 0 3 0 1 4 */
        item = skep_item_integer(4);
        ck_assert_int_eq(skep_list_count(list, &item, &length), 0);
        ck_assert_uint_eq(length, 2);
        ck_assert_int_eq(skep_list_repeat(list, 2), 0);
        ck_assert_int_eq(skep_list_length(list, &length), 0);
        ck_assert_uint_eq(length, 16);
        ck_assert_int_eq(skep_list_version(list, &version), 0);
        ck_assert_int_eq(skep_list_wait(list, version, SHORT), -ETIMEDOUT);
        ck_assert_int_eq(skep_list_delete_slice(list, (struct skep_slice){1, INT64_MAX, 1}), 0);
        ck_assert_int_eq(skep_list_wait(list, version, LONG), 0);
        ck_assert_int_eq(skep_list_get(list, 0, &got, &other), 0);
        ck_assert_int_eq(skep_list_delete_if(list, 0, other), 0);
        ck_assert_int_eq(skep_list_clear(list), 0);
        ck_assert_int_eq(skep_list_get_slice(list, SKEP_SLICE_ALL, &entries, &length), 0);
        ck_assert_uint_eq(length, 0);
        skep_list_unref(list);
}
END_TEST

struct meeting {
        skep_barrier *barrier;
        skep_condition *condition;
        skep_event *event;
        skep_semaphore *semaphore;
        _Atomic int ready;
};

static void *meets(void *context)
{
        struct meeting *meeting = context;
        uint32_t index;
        ck_assert_int_eq(skep_barrier_wait(meeting->barrier, NULL, NULL, LONG, &index), 0);
        ck_assert_int_eq(skep_event_wait(meeting->event, LONG), 0);
        ck_assert_int_eq(skep_condition_acquire(meeting->condition, LONG), 0);
        while (!meeting->ready)
                ck_assert_int_eq(skep_condition_wait(meeting->condition, LONG), 0);
        ck_assert_int_eq(skep_condition_release(meeting->condition), 0);
        ck_assert_int_eq(skep_semaphore_release(meeting->semaphore, 1), 0);
        return (void *)(intptr_t)index;
}

START_TEST(everything_that_waits)
{
        struct meeting meeting = {.ready = 0};
        pthread_t threads[3];
        uint32_t index;
        ck_assert_int_eq(skep_barrier_create(far, "b", 4, &meeting.barrier), 0);
        ck_assert_int_eq(skep_condition_create(far, NULL, &meeting.condition), 0);
        ck_assert_int_eq(skep_event_create(far, NULL, &meeting.event), 0);
        ck_assert_int_eq(skep_semaphore_create(far, SKEP_SEMAPHORE_OPTIONS(.value = 0, .max = 5), &meeting.semaphore), 0);
        ck_assert_uint_eq(skep_barrier_parties(meeting.barrier), 4);
        ck_assert_int_eq(skep_event_wait(meeting.event, SHORT), -ETIMEDOUT);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, meets, &meeting), 0);
        while (skep_barrier_waiting(meeting.barrier) < 3)
                ;
        skep_barrier *same;
        ck_assert_int_eq(skep_barrier_open(hive, "b", &same), 0); /* the fourth comes in the hive itself */
        ck_assert_int_eq(skep_barrier_wait(same, NULL, NULL, LONG, &index), 0);
        skep_barrier_unref(same);
        ck_assert_int_eq(skep_event_is_set(meeting.event), 0);
        ck_assert_int_eq(skep_event_set(meeting.event), 0);
        ck_assert_int_eq(skep_event_is_set(meeting.event), 1);
        ck_assert_int_eq(skep_condition_notify(meeting.condition, 1), -EPERM);
        ck_assert_int_eq(skep_condition_acquire(meeting.condition, LONG), 0);
        meeting.ready = 1;
        ck_assert_int_eq(skep_condition_notify_all(meeting.condition), 0);
        ck_assert_int_eq(skep_condition_release(meeting.condition), 0);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(skep_semaphore_acquire(meeting.semaphore, LONG), 0);
        ck_assert_int_eq(skep_semaphore_acquire(meeting.semaphore, SHORT), -ETIMEDOUT);
        ck_assert_uint_eq(skep_semaphore_value(meeting.semaphore), 0);
        ck_assert_int_lt(skep_semaphore_release(meeting.semaphore, 6), 0);
        ck_assert_int_eq(skep_event_clear(meeting.event), 0);
        for (int i = 0; i < 3; i++)
                pthread_join(threads[i], NULL);
        ck_assert_int_eq(skep_barrier_wait(meeting.barrier, NULL, NULL, SHORT, &index), -ETIMEDOUT);
        ck_assert_int_eq(skep_barrier_is_broken(meeting.barrier), 1);
        ck_assert_int_eq(skep_barrier_reset(meeting.barrier), 0);
        ck_assert_int_eq(skep_barrier_is_broken(meeting.barrier), 0);
        ck_assert_int_eq(skep_barrier_abort(meeting.barrier), 0);
        skep_barrier_unref(meeting.barrier);
        skep_condition_unref(meeting.condition);
        skep_event_unref(meeting.event);
        skep_semaphore_unref(meeting.semaphore);
        ck_assert_int_eq(skep_hive_forget(far, "b"), 0);
}
END_TEST

START_TEST(tasks_and_dead_letters_from_afar)
{
        skep_queue *queue;
        struct skep_loan loan;
        ck_assert_int_eq(skep_queue_create(far, SKEP_QUEUE_OPTIONS(.flags = SKEP_QUEUE_ACKNOWLEDGE, .delivery_max = 2), &queue), 0);
        ck_assert_int_eq(skep_queue_put(queue, "task", 5, LONG), 0);
        ck_assert_uint_eq(skep_queue_unfinished(queue), 1);
        ck_assert_int_eq(skep_queue_join(queue, SHORT), -ETIMEDOUT);
        for (uint32_t try = 1; try <= 2; try++) {
                ck_assert_int_eq(skep_queue_borrow(queue, &loan, LONG), 0);
                ck_assert_uint_eq(loan.deliveries, try);
                skep_queue_put_back(&loan);
        }
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, skep_nowait()), -ETIMEDOUT);
        ck_assert_uint_eq(skep_queue_dead_size(queue), 1);
        ck_assert_int_eq(skep_queue_borrow_dead(queue, &loan), 0);
        ck_assert_str_eq(loan.data, "task");
        skep_queue_give_back(&loan);
        ck_assert_uint_eq(skep_queue_dead_size(queue), 0);
        ck_assert_int_eq(skep_queue_task_done(queue), 0);
        ck_assert_int_eq(skep_queue_join(queue, LONG), 0);
        skep_queue_unref(queue);
}
END_TEST

static int count_names(const struct skep_object_entry *entry, void *context)
{
        *(int *)context += strcmp(entry->kind, "event") == 0 && entry->name[0] == 'n';
        return 0;
}

START_TEST(names_and_what_is_not_offered)
{
        skep_event *events[3], *again;
        skep_channel_end *first, *second;
        skep_queue *queue;
        skep_once *once;
        int count = 0;
        char name[4] = "n0";
        for (int i = 0; i < 3; i++, name[1]++)
                ck_assert_int_eq(skep_event_create(far, name, &events[i]), 0);
        ck_assert_int_eq(skep_hive_names(far, count_names, &count), 0);
        ck_assert_int_eq(count, 3);
        ck_assert_int_eq(skep_queue_open(far, "n0", &queue), -EPROTOTYPE);
        ck_assert_int_eq(skep_event_attach(far, skep_event_reference(events[0]), &again), 0);
        ck_assert_int_eq(skep_queue_attach(far, skep_event_reference(events[0]), &queue), -EPROTOTYPE);
        ck_assert_int_eq(skep_queue_attach(far, (skep_block){64, 3}, &queue), -ESTALE);
        ck_assert_int_eq(skep_channel_create(far, NULL, &first, &second), -ENOTSUP);
        ck_assert_int_eq(skep_once_create(far, NULL, &once), -ENOTSUP);
        ck_assert_int_eq(skep_queue_create(far, NULL, &queue), 0);
        ck_assert_int_eq(skep_queue_fd(queue), -ENOTSUP);
        skep_queue_unref(queue);
        ck_assert_int_eq(skep_hive_is_remote(far), 1);
        ck_assert_int_eq(skep_hive_is_remote(hive), 0);
        ck_assert_int_eq(skep_hive_ping(far), 0);
        ck_assert_int_eq(skep_hive_ping(hive), -EINVAL);
        skep_event_unref(again);
        for (name[1] = '0'; name[1] < '3'; name[1]++)
                ck_assert_int_eq(skep_hive_forget(far, name), 0);
        ck_assert_int_eq(skep_hive_forget(far, "n0"), -ENOENT);
        ck_assert_int_eq(skep_event_create(far, "a/b", &again), -EINVAL);
        for (int i = 0; i < 3; i++)
                skep_event_unref(events[i]);
}
END_TEST

START_TEST(a_broken_connection_and_the_next_one)
{
        skep_queue *queue;
        skep_lock *lock;
        char buffer[8];
        size_t bytes;
        ck_assert_int_eq(skep_queue_create(far, SKEP_QUEUE_OPTIONS(.name = "q"), &queue), 0);
        ck_assert_int_eq(skep_lock_create(far, "l", &lock), 0);
        ck_assert_int_eq(skep_lock_acquire(lock, LONG), 0);
        skep_server_stop(server);
        pthread_join(server_thread, NULL);
        skep_server_free(server);
        int result = skep_queue_put(queue, "x", 2, LONG);
        ck_assert_msg(result == -ECONNRESET || result == -ENOTCONN, "%d", result);
        ck_assert_int_eq(skep_queue_put(queue, "x", 2, LONG), -ENOTCONN);
        ck_assert_uint_eq(skep_queue_size(queue), 0);
        ck_assert_int_eq(skep_hive_reconnect(far, LONG), -ECONNREFUSED);
        ck_assert_int_eq(skep_queue_put(queue, "x", 2, LONG), -ENOTCONN);
        char again[128];
        strcpy(again, address);
        ck_assert_int_eq(skep_server_create(hive, SKEP_SERVER_OPTIONS(.authkey = KEY, .authkey_bytes = sizeof KEY - 1), &server), 0);
        ck_assert_int_eq(skep_server_listen(server, again), 0);
        ck_assert_int_eq(pthread_create(&server_thread, NULL, serve, NULL), 0);
        ck_assert_int_eq(skep_hive_reconnect(far, LONG), 0);
        ck_assert_int_eq(skep_queue_put(queue, "x", 2, LONG), 0);
        ck_assert_int_eq(skep_queue_get(queue, buffer, sizeof buffer, &bytes, LONG), 0);
        ck_assert_int_eq(skep_lock_acquire(lock, LONG), SKEP_OWNER_DIED);
        ck_assert_int_eq(skep_lock_release(lock), 0);
        skep_queue_unref(queue);
        skep_lock_unref(lock);
        ck_assert_int_eq(skep_hive_forget(far, "q"), 0);
        ck_assert_int_eq(skep_hive_forget(far, "l"), 0);
}
END_TEST

#define THREADS 8
#define ROUNDS 300

static void *counts(void *value)
{
        for (int i = 0; i < ROUNDS; i++)
                ck_assert_int_eq(skep_value_fetch_add_i64(value, 0, 1, NULL), 0);
        return NULL;
}

START_TEST(threads_share_a_connection)
{
        skep_value *value;
        pthread_t threads[THREADS];
        int64_t sum = 0;
        ck_assert_int_eq(skep_value_create(far, SKEP_VALUE_OPTIONS(.element = SKEP_ELEMENT_I64), &value), 0);
        for (int i = 0; i < THREADS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, counts, value), 0);
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        ck_assert_int_eq(skep_value_load_i64(value, 0, &sum), 0);
        ck_assert_int_eq(sum, THREADS * ROUNDS);
        skep_value_unref(value);
}
END_TEST

static void *changes(void *value)
{
        usleep(20000);
        ck_assert_int_eq(skep_value_store_f64(value, 1, 2.5), 0);
        return NULL;
}

START_TEST(values_of_every_operation)
{
        skep_value *value;
        int64_t before = 0;
        double number = 0, expected = 2.5;
        pthread_t thread;
        ck_assert_int_eq(skep_value_create(far, SKEP_VALUE_OPTIONS(.name = "v", .element = SKEP_ELEMENT_U8, .flags = SKEP_VALUE_LOCK), &value), 0);
        ck_assert_int_eq(skep_value_store_i64(value, 0, 255), 0);
        ck_assert_int_eq(skep_value_fetch_add_i64(value, 0, 2, &before), 0);
        ck_assert_int_eq(before, 255);
        ck_assert_int_eq(skep_value_fetch_or_i64(value, 0, 6, &before), 0);
        ck_assert_int_eq(before, 1);
        ck_assert_int_eq(skep_value_fetch_and_i64(value, 0, 3, &before), 0);
        ck_assert_int_eq(before, 7);
        ck_assert_int_eq(skep_value_fetch_xor_i64(value, 0, 1, &before), 0);
        ck_assert_int_eq(before, 3);
        ck_assert_int_eq(skep_value_fetch_sub_i64(value, 0, 1, &before), 0);
        ck_assert_int_eq(before, 2);
        before = 1;
        ck_assert_int_eq(skep_value_compare_exchange_i64(value, 0, &before, 9), 0);
        ck_assert_int_eq(skep_value_compare_exchange_i64(value, 0, &before, 9), -EAGAIN);
        ck_assert_int_eq(before, 9);
        ck_assert_int_eq(skep_value_acquire(value, LONG), 0);
        ck_assert_int_eq(skep_value_acquire(value, LONG), 0);
        ck_assert_int_eq(skep_value_release(value), 0);
        ck_assert_int_eq(skep_value_release(value), 0);
        ck_assert_int_lt(skep_value_release(value), 0);
        skep_value_unref(value);
        ck_assert_int_eq(skep_value_open(far, "v", &value), 0);
        ck_assert_uint_eq(skep_value_element(value), SKEP_ELEMENT_U8);
        ck_assert_int_eq(skep_value_changed(value), -ENOTSUP);
        skep_value_unref(value);
        ck_assert_int_eq(skep_hive_forget(far, "v"), 0);
        ck_assert_int_eq(skep_value_create(far, SKEP_VALUE_OPTIONS(.element = SKEP_ELEMENT_F64, .count = 2), &value), 0);
        ck_assert_int_eq(pthread_create(&thread, NULL, changes, value), 0);
        ck_assert_int_eq(skep_value_wait(value, 1, &number, LONG), 0);
        pthread_join(thread, NULL);
        ck_assert_int_eq(skep_value_fetch_add_f64(value, 1, 0.5, &number), 0);
        ck_assert(number == 2.5);
        ck_assert_int_eq(skep_value_compare_exchange_f64(value, 1, &expected, 1.0), -EAGAIN);
        ck_assert(expected == 3.0);
        ck_assert_int_eq(skep_value_compare_exchange_f64(value, 1, &expected, 1.0), 0);
        ck_assert_int_eq(skep_value_load_f64(value, 1, &number), 0);
        ck_assert(number == 1.0);
        skep_value_unref(value);
}
END_TEST

START_TEST(the_wrong_key_is_refused_and_logged)
{
        skep_hive *none;
        struct skep_server_stat stat;
        for (int i = 0; i < 20; i++)
                ck_assert_int_eq(skep_hive_connect(address, SKEP_CONNECTION_OPTIONS(.authkey = "wrong", .authkey_bytes = 5), &none, LONG), -EACCES);
        skep_server_stat(server, &stat);
        ck_assert_uint_eq(stat.refused, 20);
        ck_assert_int_ge(log_lines, 1);
        ck_assert_int_lt(log_lines, 20);
        ck_assert_ptr_ne(strstr(log_last, "refused: it has another key"), NULL);
        ck_assert_int_eq(skep_hive_connect(address, NULL, &none, LONG), -EINVAL);
        ck_assert_int_eq(skep_hive_ping(far), 0);
}
END_TEST

START_TEST(a_message_longer_than_the_server_takes)
{
        skep_queue *queue;
        skep_array *array;
        ck_assert_int_eq(skep_queue_create(far, NULL, &queue), 0);
        ck_assert_int_eq(skep_array_create(far, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8, .dimension_count = 1, .shape = (const uint64_t[]){80 << 20}),
                                           &array), 0);
        ck_assert_int_lt(skep_queue_put_array(queue, array, LONG), 0);
        ck_assert_int_eq(skep_hive_reconnect(far, LONG), 0);
        ck_assert_int_eq(skep_hive_ping(far), 0);
        skep_array_unref(array);
        skep_queue_unref(queue);
}
END_TEST

/* A server for a test, and none at its end. */
START_TEST(options_of_a_server_are_checked)
{
        skep_hive *own;
        skep_server *none, *some;
        char text[128];
        ck_assert_int_eq(skep_hive_create(NULL, &own), 0);
        ck_assert_int_eq(skep_server_create(own, NULL, &none), -EINVAL);
        ck_assert_int_eq(skep_server_create(own, SKEP_SERVER_OPTIONS(.authkey = "", .authkey_bytes = 0), &none), -EINVAL);
        ck_assert_int_eq(skep_server_create(own, SKEP_SERVER_OPTIONS(.authkey = "k", .authkey_bytes = 1, .flags = 64), &none), -EINVAL);
        ck_assert_int_eq(skep_server_create(own, SKEP_SERVER_OPTIONS(.flags = SKEP_CONNECTION_PLAIN), &some), 0);
        ck_assert_int_eq(skep_server_listen(some, "tcp://127.0.0.1:0"), -EINVAL);
        ck_assert_int_eq(skep_server_listen(some, "nowhere"), -EINVAL);
        ck_assert_int_eq(skep_server_listen(some, "unix:@skep-options-test"), 0);
        ck_assert_int_eq(skep_server_address(some, 0, text, sizeof text), 0);
        ck_assert_str_eq(text, "unix:@skep-options-test");
        ck_assert_int_eq(skep_server_address(some, 0, text, 5), -EMSGSIZE);
        ck_assert_int_eq(skep_server_address(some, 1, text, sizeof text), -ERANGE);
        skep_server_stop(some);
        ck_assert_int_eq(skep_server_run(some), 0);
        skep_server_free(some);
        ck_assert_int_eq(skep_server_create(own, SKEP_SERVER_OPTIONS(.authkey = "k", .authkey_bytes = 1), &some), 0);
        skep_server_free(some);
        skep_server_free(NULL);
        skep_hive_detach(own);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("remote");
        TCase *tests = tcase_create("remote"), *own = tcase_create("own");
        tcase_add_checked_fixture(tests, set_up, tear_down);
        tcase_add_test(tests, a_queue_from_afar);
        tcase_add_test(tests, locks_and_values_from_afar);
        tcase_add_test(tests, messages_of_every_length_and_kind);
        tcase_add_test(tests, many_at_once);
        tcase_add_test(tests, arrays_travel);
        tcase_add_test(tests, a_get_that_waits_holds_nobody_up);
        tcase_add_test(tests, a_lost_client_gives_back_its_lock);
        tcase_add_test(tests, a_thread_that_ends_gives_back_its_lock);
        tcase_add_test(tests, a_client_killed_in_the_middle_of_a_get);
        tcase_add_test(tests, an_interrupted_call_is_taken_back);
        tcase_add_test(tests, everything_that_waits);
        tcase_add_test(tests, a_dict_from_afar);
        tcase_add_test(tests, a_list_from_afar);
        tcase_add_test(tests, tasks_and_dead_letters_from_afar);
        tcase_add_test(tests, names_and_what_is_not_offered);
        tcase_add_test(tests, a_broken_connection_and_the_next_one);
        tcase_add_test(tests, threads_share_a_connection);
        tcase_add_test(tests, values_of_every_operation);
        tcase_add_test(tests, the_wrong_key_is_refused_and_logged);
        tcase_add_test(tests, a_message_longer_than_the_server_takes);
        tcase_add_test(own, options_of_a_server_are_checked);
        suite_add_tcase(suite, tests);
        suite_add_tcase(suite, own);
        return suite_run(suite);
}
