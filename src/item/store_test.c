/* SPDX-License-Identifier: Apache-2.0 */
/* store_test.c - items in and out of cells, tables exchanged, readers beside writers, writers that die. */
#include "item/store.h"
#include "support/suite.h"
#include "sync/lock.h"

#include <errno.h>
#include <signal.h>
#include <skep/skep.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static skep_hive *hive;
static struct skep_agent *agent;
static struct shm_block *block;
static struct store store;

static void set_up(void)
{
        uint64_t bytes;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 64u << 20, .agent_max = 64), &hive), 0);
        ck_assert_int_eq(agent_self(hive, &agent), 0);
        ck_assert_int_eq(claim_alloc(agent, sizeof(struct shm_store), BLOCK_BYTES, &block), 0);
        store = (struct store){.hive = hive, .shared = heap_data(hive, block, &bytes)};
        memset(store.shared, 0, sizeof *store.shared);
        ck_assert_int_eq(store_format(agent, &store, 8, 0), 0);
}

static uint64_t block_count(void)
{
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        return stat.blocks;
}

static void tear_down(void)
{
        struct skep_verify_report report;
        ck_assert_uint_eq(store_verify(&store), 0);
        store_destroy(agent, &store);
        ck_assert_int_eq(claim_unref(agent, block), 0);
        ck_assert_uint_eq(block_count(), 0);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s", report.first);
        hive = skep_hive_detach(hive);
}

static void set(uint64_t cell, struct skep_item item)
{
        struct item_draft draft;
        ck_assert_int_eq(item_prepare(agent, &item, &draft), 0);
        ck_assert_int_eq(store_lock(agent, &store), 0);
        ck_assert_int_eq(cell_set(agent, &store, cell, &draft), 0);
        store_unlock(agent, &store, true);
}

static struct skep_item get(uint64_t cell)
{
        struct skep_item item;
        struct shm_item copy;
        uint64_t word;
        struct shm_table *table = store_read(agent, &store);
        ck_assert_ptr_nonnull(table);
        ck_assert(cell_read(table_cell(table, cell), &copy, &word));
        ck_assert_int_eq(item_take(agent, &copy, &item), 0);
        store_read_end(agent);
        return item;
}

static void holds(uint64_t cell, struct skep_item expected)
{
        struct skep_item item = get(cell);
        ck_assert(skep_item_equal(&item, &expected));
        ck_assert_uint_eq(item.kind, expected.kind);
        skep_item_clear(&item);
}

static char text[1000];

START_TEST(each_kind_of_item_comes_back_as_it_was)
{
        memset(text, 'x', sizeof text);
        const struct skep_item items[] = {
                skep_item_none(), skep_item_bool(true), skep_item_integer(INT64_MIN), skep_item_float(-0.5), skep_item_text(""), skep_item_text("short"),
                skep_item_bytes(text, SKEP_ITEM_INLINE_BYTES), skep_item_bytes(text, SKEP_ITEM_INLINE_BYTES + 1), skep_item_bytes(text, sizeof text),
                skep_item_of_bytes(SKEP_ITEM_MSGPACK, "\xc0", 1), skep_item_of_bytes(SKEP_ITEM_PICKLE, text, 700)};
        for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
                set(i % 3, items[i]);
                holds(i % 3, items[i]);
                for (size_t j = 0; j < sizeof items / sizeof items[0]; j++)
                        ck_assert_int_eq(skep_item_equal(&items[i], &items[j]), i == j);
        }
}
END_TEST

START_TEST(what_was_got_stays_when_it_is_overwritten)
{
        memset(text, 'x', sizeof text);
        set(0, skep_item_bytes(text, sizeof text));
        struct skep_item old = get(0);
        uint64_t before = block_count();
        set(0, skep_item_integer(1));
        ck_assert_uint_eq(block_count(), before);
        ck_assert_int_eq(memcmp(skep_item_data(&old, NULL), text, sizeof text), 0);
        skep_item_clear(&old);
        ck_assert_uint_eq(block_count(), before - 1);
}
END_TEST

START_TEST(what_was_got_is_put_elsewhere_without_a_copy)
{
        memset(text, 'x', sizeof text);
        set(0, skep_item_bytes(text, sizeof text));
        struct skep_item got = get(0);
        uint64_t before = block_count();
        set(1, got);
        ck_assert_uint_eq(block_count(), before);
        skep_item_clear(&got);
        holds(1, skep_item_bytes(text, sizeof text));
}
END_TEST

START_TEST(an_array_goes_by_reference)
{
        skep_array *array;
        const uint64_t shape = 100000;
        ck_assert_int_eq(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_F64, .dimension_count = 1, .shape = &shape), &array), 0);
        set(0, skep_item_array(array));
        ((double *)skep_array_data(array))[7] = 2.5;
        array = skep_array_unref(array);
        struct skep_item item = get(0);
        ck_assert_double_eq(((double *)skep_array_data(item.array))[7], 2.5);
        skep_item_clear(&item);
}
END_TEST

START_TEST(an_object_lives_as_long_as_the_cell_names_it)
{
        skep_lock *lock;
        ck_assert_int_eq(skep_lock_create(hive, NULL, &lock), 0);
        skep_block reference = skep_lock_reference(lock);
        set(0, skep_item_object(reference));
        lock = skep_lock_unref(lock);
        struct skep_item item = get(0);
        ck_assert_int_eq(skep_lock_attach(hive, item.object, &lock), 0);
        skep_item_clear(&item);
        lock = skep_lock_unref(lock);
        set(0, skep_item_none());
        ck_assert_int_eq(skep_lock_attach(hive, reference, &lock), -ESTALE);
}
END_TEST

START_TEST(a_pickle_claims_what_it_mentions)
{
        skep_lock *lock;
        ck_assert_int_eq(skep_lock_create(hive, NULL, &lock), 0);
        skep_block reference = skep_lock_reference(lock);
        struct skep_item item = skep_item_of_bytes(SKEP_ITEM_PICKLE, "p", 1);
        item.references = &reference;
        item.reference_count = 1;
        set(0, item);
        lock = skep_lock_unref(lock);
        ck_assert_int_eq(skep_block_ref(hive, reference), 0);
        ck_assert_int_eq(skep_block_unref(hive, reference), 0);
        set(0, skep_item_none());
        ck_assert_int_eq(skep_block_ref(hive, reference), -ESTALE);
        struct item_draft draft;
        ck_assert_int_eq(item_prepare(agent, &item, &draft), -ESTALE);
}
END_TEST

START_TEST(what_no_item_can_be_is_refused)
{
        struct item_draft draft;
        struct skep_item bad[] = {{.kind = SKEP_ITEM_KINDS}, skep_item_bytes(NULL, 3), skep_item_array(NULL), skep_item_object((skep_block){64, 1})};
        for (size_t i = 0; i < 3; i++)
                ck_assert_int_eq(item_prepare(agent, &bad[i], &draft), -EINVAL);
        ck_assert_int_eq(item_prepare(agent, &bad[3], &draft), -ESTALE);
        ck_assert_int_eq(item_key_check(&bad[1]), -EINVAL);
        ck_assert_int_eq(item_key_check(&bad[2]), -EINVAL);
        struct skep_item large = skep_item_bytes(text, 1u << 20);
        ck_assert_int_eq(item_key_check(&large), -EMSGSIZE);
}
END_TEST

START_TEST(numbers_are_one_key_if_they_are_equal)
{
        const struct skep_item one[] = {skep_item_integer(1), skep_item_float(1.0), skep_item_bool(true)};
        const struct skep_item other[] = {skep_item_integer(0), skep_item_float(1.5), skep_item_bool(false), skep_item_text("1"), skep_item_none(),
                                          skep_item_float(0x1p63), skep_item_integer(INT64_MAX)};
        for (int i = 0; i < 3; i++) {
                struct item_draft draft;
                ck_assert_int_eq(item_prepare(agent, &one[i], &draft), 0);
                for (int j = 0; j < 3; j++) {
                        ck_assert(item_matches(hive, &draft.item, &one[j]));
                        ck_assert(skep_item_equal(&one[i], &one[j]));
                        ck_assert_uint_eq(item_hash(hive, &one[i]), item_hash(hive, &one[j]));
                }
                for (int j = 0; j < 7; j++)
                        ck_assert(!item_matches(hive, &draft.item, &other[j]) && !skep_item_equal(&one[i], &other[j]));
        }
        ck_assert(!skep_item_equal(&other[5], &other[6]));
}
END_TEST

START_TEST(a_pickle_is_one_key_with_what_it_says_it_equals)
{
        uint8_t five[8 + 8 + 3] = {2, SKEP_ITEM_INTEGER, 0, 0, 8, 0, 0, 0, 5, [16] = 'p', 'k', 'l'}, other[19], lies[8] = {2, SKEP_ITEM_ARRAY, 0, 0, 0};
        struct skep_item pickle = skep_item_of_bytes(SKEP_ITEM_PICKLE, five, sizeof five), integer = skep_item_integer(5), real = skep_item_float(5);
        memcpy(other, five, sizeof five);
        other[8] = 6;
        struct skep_item different = skep_item_of_bytes(SKEP_ITEM_PICKLE, other, sizeof other), lookup = skep_item_of_bytes(SKEP_ITEM_PICKLE, five, 16);
        struct skep_item lie = skep_item_of_bytes(SKEP_ITEM_PICKLE, lies, sizeof lies);
        ck_assert(skep_item_equal(&pickle, &integer) && skep_item_equal(&real, &pickle) && skep_item_equal(&pickle, &lookup));
        ck_assert(!skep_item_equal(&pickle, &different) && !skep_item_equal(&lie, &integer) && skep_item_equal(&lie, &lie));
        ck_assert_uint_eq(item_hash(hive, &pickle), item_hash(hive, &integer));
        ck_assert_uint_eq(item_hash(hive, &pickle), item_hash(hive, &lookup));
        for (int i = 0; i < 2; i++) {
                struct shm_item there;
                uint64_t word;
                set(0, i ? pickle : integer);
                ck_assert(cell_read(table_cell(store_table(&store), 0), &there, &word));
                ck_assert(item_matches(hive, &there, &pickle) && item_matches(hive, &there, &integer) && item_matches(hive, &there, &lookup));
                ck_assert(item_matches(hive, &there, &real) && !item_matches(hive, &there, &different) && !item_matches(hive, &there, &lie));
        }
}
END_TEST

START_TEST(a_table_is_exchanged_and_the_cells_that_go_are_dropped)
{
        memset(text, 'x', sizeof text);
        for (uint64_t i = 0; i < 8; i++)
                set(i, skep_item_bytes(text, 100 + i));
        struct skep_item new_item = skep_item_bytes(text, 500);
        struct item_draft draft;
        struct shm_table *table, *old;
        uint64_t before = block_count();
        ck_assert_int_eq(item_prepare(agent, &new_item, &draft), 0);
        ck_assert_int_eq(store_lock(agent, &store), 0);
        old = store_table(&store);
        ck_assert_int_eq(store_rebuild(agent, &store, 16, 0, &table), 0);
        for (uint64_t i = 0; i < 6; i++)
                memcpy(table_cell(table, i), table_cell(old, i), sizeof(struct shm_cell));
        store_own(&store, 6, 7);
        ck_assert_int_eq(cell_fill(agent, &store, table, 6, &draft), 0);
        store_exchange(agent, &store, 6, 8);
        store_unlock(agent, &store, true);
        ck_assert_uint_eq(block_count(), before - 1); /* one held as a draft, two gone */
        for (uint64_t i = 0; i < 6; i++)
                holds(i, skep_item_bytes(text, 100 + i));
        holds(6, new_item);
}
END_TEST

/* The child dies in the middle, holding the lock; @return its pid */
static void dies(void (*halfway)(void))
{
        int status;
        pid_t child = fork();
        if (child == 0) {
                (void)agent_self(hive, &agent);
                if (store_lock(agent, &store) == 0)
                        halfway();
                (void)kill(getpid(), SIGKILL);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void fills_a_new_table(void)
{
        struct skep_item item = skep_item_bytes(text, sizeof text);
        struct item_draft draft;
        struct shm_table *table;
        if (store_rebuild(agent, &store, 16, 0, &table) < 0 || item_prepare(agent, &item, &draft) < 0)
                return;
        memcpy(table_cell(table, 0), table_cell(store_table(&store), 0), sizeof(struct shm_cell));
        store_own(&store, 1, 2);
        (void)cell_fill(agent, &store, table, 1, &draft);
}

START_TEST(the_next_writer_finishes_for_the_dead_one)
{
        memset(text, 'x', sizeof text);
        set(0, skep_item_bytes(text, 99));
        uint64_t before = block_count();
        dies(fills_a_new_table);
        set(1, skep_item_integer(5));
        ck_assert_uint_eq(block_count(), before);
        holds(0, skep_item_bytes(text, 99));
        holds(1, skep_item_integer(5));
}
END_TEST

START_TEST(the_reaper_finishes_for_the_dead_one_if_no_writer_comes)
{
        struct skep_reap_report report;
        memset(text, 'x', sizeof text);
        set(0, skep_item_bytes(text, 99));
        dies(fills_a_new_table);
        ck_assert_int_eq(skep_hive_reap(hive, &report), 0);
        ck_assert_uint_eq(report.members, 1);
        holds(0, skep_item_bytes(text, 99)); /* the block is of no kind that knows stores, so the next writer mends it */
        set(1, skep_item_integer(5));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("store");
        TCase *tests = tcase_create("store");
        tcase_add_checked_fixture(tests, set_up, tear_down);
        tcase_add_test(tests, each_kind_of_item_comes_back_as_it_was);
        tcase_add_test(tests, what_was_got_stays_when_it_is_overwritten);
        tcase_add_test(tests, what_was_got_is_put_elsewhere_without_a_copy);
        tcase_add_test(tests, an_array_goes_by_reference);
        tcase_add_test(tests, an_object_lives_as_long_as_the_cell_names_it);
        tcase_add_test(tests, a_pickle_claims_what_it_mentions);
        tcase_add_test(tests, what_no_item_can_be_is_refused);
        tcase_add_test(tests, numbers_are_one_key_if_they_are_equal);
        tcase_add_test(tests, a_pickle_is_one_key_with_what_it_says_it_equals);
        tcase_add_test(tests, a_table_is_exchanged_and_the_cells_that_go_are_dropped);
        tcase_add_test(tests, the_next_writer_finishes_for_the_dead_one);
        tcase_add_test(tests, the_reaper_finishes_for_the_dead_one_if_no_writer_comes);
        suite_add_tcase(suite, tests);
        return suite_run(suite);
}
