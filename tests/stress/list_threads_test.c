/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_threads_test.c - readers under writers, all of one process; for ThreadSanitizer.
 *
 * SKEP_THREADS_ROUNDS (1500): how much each thread does.
 * ctest: threads timeout=120
 */
#include "support/suite.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READERS 2
#define WRITERS 2
#define TEXT_BYTES 80
#define LONG_COUNT 500

static skep_hive *hive;
static skep_list *list, *tail;
static skep_list *pair; /* of its LONG_COUNT numbers one thread raises the first, then the last */
static int rounds = 1500;

static void expect(bool holds, const char *what)
{
        if (!holds) {
                fprintf(stderr, "not so: %s\n", what);
                abort();
        }
}
#define EXPECT(condition) expect(condition, #condition)

/* Bytes that are all alike. */
static char alike(const struct skep_item *item)
{
        size_t bytes;
        const char *data = skep_item_data(item, &bytes);
        EXPECT(data && bytes >= 10);
        for (size_t i = 1; i < bytes; i++)
                EXPECT(data[i] == data[0]);
        return data[0];
}

static void *write_lists(void *context)
{
        char text[TEXT_BYTES];
        unsigned state = (unsigned)(uintptr_t)context;
        for (int i = 0; i < rounds; i++) {
                struct skep_item items[20];
                uint64_t count = 1 + (unsigned)rand_r(&state) % 20;
                memset(text, 'a' + rand_r(&state) % 26, sizeof text);
                for (uint64_t n = 0; n < count; n++)
                        items[n] = skep_item_bytes(text, i % 3 ? TEXT_BYTES : 20);
                EXPECT(skep_list_set_slice(list, SKEP_SLICE_ALL, items, count, NULL) == 0);
                EXPECT(skep_list_reverse(list) == 0);
                EXPECT(skep_list_append(tail, items) == 0);
                EXPECT(skep_list_append(tail, items) == 0);
                EXPECT(skep_list_set(tail, 0, items) == 0);
                EXPECT(skep_list_pop(tail, -1, NULL) == 0);
                EXPECT(skep_list_pop(tail, i % 10 ? -1 : 0, NULL) == 0);
        }
        return NULL;
}

static void *raise_pair(void *context)
{
        (void)context;
        for (int i = 1; i < 20 * rounds; i++) {
                struct skep_item number = skep_item_integer(i);
                EXPECT(skep_list_set(pair, 0, &number) == 0);
                EXPECT(skep_list_set(pair, -1, &number) == 0);
        }
        return NULL;
}

static void look_at_pair(void)
{
        struct skep_list_entry *entries;
        uint64_t count;
        EXPECT(skep_list_get_slice(pair, SKEP_SLICE_ALL, &entries, &count) == 0 && count == LONG_COUNT);
        int64_t first = entries[0].item.integer, last = entries[count - 1].item.integer;
        EXPECT(first == last || first == last + 1);
        skep_list_entries_free(entries, count);
}

static void *read_lists(void *context)
{
        struct skep_list_entry *entries;
        struct skep_item item;
        uint64_t count;
        (void)context;
        for (int i = 0; i < rounds; i++) {
                look_at_pair();
                EXPECT(skep_list_get_slice(list, SKEP_SLICE_ALL, &entries, &count) == 0);
                for (uint64_t n = 0; n < count; n++)
                        EXPECT(alike(&entries[n].item) == alike(&entries[0].item));
                skep_list_entries_free(entries, count);
                EXPECT(skep_list_get(tail, 0, &item, NULL) == 0);
                (void)alike(&item);
                skep_item_clear(&item);
                EXPECT(skep_list_get(tail, -1, &item, NULL) == 0);
                (void)alike(&item);
                skep_item_clear(&item);
                EXPECT(skep_list_length(tail, &count) == 0 && count >= 3 && count <= 3 + 2 * WRITERS);
        }
        return NULL;
}

START_TEST(readers_see_whole_lists_under_writers)
{
        pthread_t threads[READERS + WRITERS + 1];
        struct skep_verify_report report;
        struct skep_hive_stat stat;
        struct skep_item item = skep_item_text("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 64u << 20), &hive), 0);
        ck_assert_int_eq(skep_list_create(hive, NULL, &list), 0);
        ck_assert_int_eq(skep_list_create(hive, NULL, &tail), 0);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(skep_list_append(tail, &item), 0);
        struct skep_item zero = skep_item_integer(0);
        ck_assert_int_eq(skep_list_create(hive, NULL, &pair), 0);
        ck_assert_int_eq(skep_list_append(pair, &zero), 0);
        ck_assert_int_eq(skep_list_repeat(pair, LONG_COUNT), 0);
        for (int i = 0; i < READERS + WRITERS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, i < READERS ? read_lists : write_lists, (void *)(uintptr_t)(i + 1)), 0);
        ck_assert_int_eq(pthread_create(&threads[READERS + WRITERS], NULL, raise_pair, NULL), 0);
        for (int i = 0; i < READERS + WRITERS + 1; i++)
                ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s", report.first);
        skep_list_unref(list);
        skep_list_unref(tail);
        skep_list_unref(pair);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_eq(stat.blocks, 0);
        skep_hive_detach(hive);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("list_threads");
        TCase *all = tcase_create("list_threads");
        const char *given = getenv("SKEP_THREADS_ROUNDS");
        rounds = given ? atoi(given) : rounds;
        tcase_set_timeout(all, 100);
        tcase_add_test(all, readers_see_whole_lists_under_writers);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
