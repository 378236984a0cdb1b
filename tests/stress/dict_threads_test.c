/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dict_threads_test.c - threads that read a dict while others write, grow, shrink and clear it; for ThreadSanitizer.
 *
 * Writers set what belongs together: a value names its key, is as long as it says and of one letter.  Readers find nothing else, also of keys that
 * come and go all the time, and never miss one that stays.  What a reader has taken stays whole after it was overwritten.
 * SKEP_THREADS_ROUNDS (20000): how much each thread does.
 * ctest: threads timeout=120
 */
#include "support/people.h"

#include <pthread.h>

#define READERS 2
#define WRITERS 2
#define KEYS 64 /* the first half stays, once there */

static skep_hive *hive;
static skep_dict *dict;
static uint32_t rounds = 20000;
static uint32_t writing;

static void setup(void)
{
        const char *text = getenv("SKEP_THREADS_ROUNDS");
        rounds = text ? (uint32_t)strtoul(text, NULL, 10) : rounds;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 128u << 20), &hive), 0);
        ck_assert_int_eq(skep_dict_create(hive, NULL, &dict), 0);
}

static void teardown(void)
{
        struct skep_verify_report report;
        struct skep_hive_stat stat;
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s", report.first);
        skep_dict_unref(dict);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_eq(stat.blocks, 0);
        skep_hive_detach(hive);
}

static void expect(bool holds, const char *what)
{
        if (!holds) {
                fprintf(stderr, "not so: %s\n", what);
                abort();
        }
}
#define EXPECT(condition) expect(condition, #condition)

/* Odd keys are long texts. */
static struct skep_item key_of(int64_t number, char text[static 64])
{
        snprintf(text, 64, "%-60lld", (long long)number);
        return number % 2 ? skep_item_text(text) : skep_item_integer(number);
}

/* Of that key: an integer that leaves it as remainder, or bytes that begin with it. */
static struct skep_item value_of(int64_t number, uint32_t turn, char text[static 256])
{
        size_t bytes = 8 + turn % 200;
        if (turn % 3 == 0)
                return skep_item_integer((int64_t)turn * KEYS + number);
        memset(text, 'a' + (int)(turn % 26), bytes);
        memcpy(text, &number, sizeof number);
        return skep_item_bytes(text, bytes);
}

static void check_value(int64_t number, const struct skep_item *value)
{
        size_t bytes;
        const char *data = skep_item_data(value, &bytes);
        if (value->kind == SKEP_ITEM_INTEGER) {
                EXPECT(value->integer % KEYS == number);
                return;
        }
        EXPECT(value->kind == SKEP_ITEM_BYTES && bytes >= 8);
        EXPECT(memcmp(data, &number, sizeof number) == 0);
        for (size_t i = 9; i < bytes; i++)
                EXPECT(data[i] == data[8]);
}

static void *write_all(void *context)
{
        uint64_t random = (uint64_t)(uintptr_t)context * 77 + 1;
        char text[64], data[256];
        struct skep_item other;
        for (uint32_t turn = 0; turn < rounds; turn++) {
                random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                int64_t number = (int64_t)(random >> 33) % KEYS;
                struct skep_item key = key_of(number, text), value = value_of(number, turn, data);
                int result = 0;
                if (number < KEYS / 2 || random >> 62 < 2)
                        result = skep_dict_set(dict, &key, &value);
                else if (random >> 62 == 2)
                        result = skep_dict_delete(dict, &key);
                else if ((result = skep_dict_pop(dict, &key, &other)) == 0) {
                        check_value(number, &other);
                        skep_item_clear(&other);
                }
                EXPECT(result == 0 || result == -ENOENT);
                if (turn % 50 == 0) { /* a longer table, and a shorter one again */
                        struct skep_dict_entry many[200] = {0};
                        for (int64_t i = 0; i < 200; i++)
                                many[i] = (struct skep_dict_entry){.key = skep_item_integer(1000 + i), .value = skep_item_integer(i)};
                        EXPECT(skep_dict_update(dict, many, 200) == 0);
                        for (int64_t i = 0; i < 200; i++) {
                                result = skep_dict_delete(dict, &many[i].key);
                                EXPECT(result == 0 || result == -ENOENT); /* the other writer's too */
                        }
                }
        }
        (void)__atomic_sub_fetch(&writing, 1, __ATOMIC_SEQ_CST);
        return NULL;
}

static void *read_all(void *context)
{
        uint64_t random = (uint64_t)(uintptr_t)context * 99 + 1, count;
        char text[64];
        struct skep_dict_entry *entries;
        struct skep_item kept = skep_item_none(), value;
        int64_t kept_of = 0;
        for (uint32_t turn = 0; __atomic_load_n(&writing, __ATOMIC_SEQ_CST); turn++) {
                random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                int64_t number = (int64_t)(random >> 33) % KEYS;
                struct skep_item key = key_of(number, text);
                int result = skep_dict_get(dict, &key, &value, NULL);
                EXPECT(result == 0 || (result == -ENOENT && number >= KEYS / 2));
                if (result == 0) {
                        check_value(number, &value);
                        if (kept.kind != SKEP_ITEM_NONE)
                                check_value(kept_of, &kept);
                        skep_item_clear(&kept);
                        kept = value;
                        kept_of = number;
                }
                if (turn % 200 == 0) {
                        EXPECT(skep_dict_snapshot(dict, 0, &entries, &count) == 0);
                        EXPECT(count >= KEYS / 2);
                        skep_dict_entries_free(entries, count);
                }
        }
        skep_item_clear(&kept);
        return NULL;
}

START_TEST(readers_under_writers)
{
        pthread_t threads[READERS + WRITERS];
        char text[64], data[256];
        for (int64_t number = 0; number < KEYS / 2; number++) {
                struct skep_item key = key_of(number, text), value = value_of(number, (uint32_t)number, data);
                ck_assert_int_eq(skep_dict_set(dict, &key, &value), 0);
        }
        writing = WRITERS;
        for (uintptr_t i = 0; i < READERS + WRITERS; i++)
                ck_assert_int_eq(pthread_create(&threads[i], NULL, i < READERS ? read_all : write_all, (void *)i), 0);
        for (int i = 0; i < READERS + WRITERS; i++)
                pthread_join(threads[i], NULL);
}
END_TEST

int main(void)
{
        return RUN_TESTS("dict_threads", setup, teardown, readers_under_writers);
}
