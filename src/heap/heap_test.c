/* SPDX-License-Identifier: Apache-2.0 */
/* heap_test.c - sizes, reuse, coalescing, a full heap, damage, and death with memory in hand. */
#include "heap/heap.h"
#include "support/suite.h"
#include "sync/lock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skep/skep.h>

#define CAPACITY (UINT64_C(8) << 20)
#define WARM_MAX (UINT64_C(2) << 20)

static skep_hive *hive;
static struct skep_agent *agent;

static void set_up(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = CAPACITY, .warm_max_bytes = WARM_MAX, .agent_max = 16), &hive), 0);
        ck_assert_int_eq(agent_self(hive, &agent), 0);
}

static void tear_down(void)
{
        hive = skep_hive_detach(hive);
}

static struct shm_block *take(uint64_t bytes)
{
        struct shm_block *block = NULL;
        ck_assert_int_eq(heap_take(agent, bytes, &block), 0);
        ck_assert_int_eq(word_state(block->word), BLOCK_HELD);
        ck_assert_uint_eq(word_agent(block->word), agent->id);
        return block;
}

static uint64_t bytes_of(const struct shm_block *block)
{
        uint64_t bytes = 0;
        ck_assert_ptr_nonnull(heap_data(hive, block, &bytes));
        return bytes;
}

static void *data_of(const struct shm_block *block)
{
        uint64_t bytes;
        return heap_data(hive, block, &bytes);
}

static int count_state(skep_hive *of, struct shm_block *block, void *context)
{
        uint64_t *counts = context;
        (void)of;
        counts[word_state(skep_load(&block->word))]++;
        return 0;
}

/* How many blocks are in a state. */
static uint64_t blocks_in(enum block_state state)
{
        uint64_t counts[16] = {0};
        ck_assert_int_eq(heap_walk(hive, NULL, count_state, counts), 0);
        return counts[state];
}

/* Runs of @p pages until there are no more. @return how many */
static int fill(uint64_t pages, struct shm_block **blocks, int most)
{
        int count = 0, result;
        while ((result = heap_take(agent, pages * PAGE_BYTES, &blocks[count])) == 0)
                ck_assert_int_lt(++count, most);
        ck_assert_int_eq(result, -ENOSPC);
        return count;
}

START_TEST(every_size_gets_the_smallest_class_that_holds_it)
{
        ck_assert_uint_eq(bytes_of(take(0)), 256);
        ck_assert_uint_eq(bytes_of(take(1)), 256);
        for (uint64_t size = 256; size <= 32768; size *= 2) {
                uint64_t next = size < 32768 ? size * 2 : PAGE_BYTES;
                ck_assert_uint_eq(bytes_of(take(size - 1)), size);
                ck_assert_uint_eq(bytes_of(take(size)), size);
                ck_assert_uint_eq(bytes_of(take(size + 1)), next);
                ck_assert_uint_eq((uintptr_t)data_of(take(size)) % (size < 4096 ? size : 4096), 0);
        }
        for (uint64_t pages = 1; pages < 5; pages++) {
                ck_assert_uint_eq(bytes_of(take(pages * PAGE_BYTES)), pages * PAGE_BYTES);
                ck_assert_uint_eq(bytes_of(take(pages * PAGE_BYTES + 1)), (pages + 1) * PAGE_BYTES);
                ck_assert_uint_eq((uintptr_t)data_of(take(pages * PAGE_BYTES)) % PAGE_BYTES, 0);
        }
}
END_TEST

START_TEST(no_two_blocks_overlap)
{
        static const uint64_t sizes[] = {256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072};
        enum { SIZES = 10, EACH = 12 };
        struct shm_block *blocks[SIZES][EACH];
        for (int i = 0; i < SIZES; i++)
                for (int j = 0; j < EACH; j++) {
                        blocks[i][j] = take(sizes[i]);
                        memset(data_of(blocks[i][j]), i * EACH + j, sizes[i]);
                }
        for (int i = 0; i < SIZES; i++)
                for (int j = 0; j < EACH; j++) {
                        const unsigned char *data = data_of(blocks[i][j]);
                        uint64_t same = 0;
                        while (same < sizes[i] && data[same] == i * EACH + j)
                                same++;
                        ck_assert_uint_eq(same, sizes[i]);
                        ck_assert_int_eq(word_state(blocks[i][j]->word), BLOCK_HELD);
                }
}
END_TEST

START_TEST(what_is_given_back_is_taken_again_first)
{
        for (uint64_t size = 256; size <= 4 * PAGE_BYTES; size *= 2) {
                struct shm_block *first = take(size), *second = take(size);
                heap_give(agent, first);
                ck_assert_int_eq(word_state(first->word), BLOCK_FREE);
                ck_assert_ptr_eq(take(size), first);
                heap_give(agent, second);
                ck_assert_ptr_eq(take(size), second);
        }
}
END_TEST

/* More than a cache and a slab hold, so that the cache spills and the chain is searched. */
START_TEST(a_thousand_small_blocks_come_back_whole)
{
        enum { COUNT = 1000 };
        static struct shm_block *blocks[COUNT];
        for (int round = 0; round < 3; round++) {
                for (int i = 0; i < COUNT; i++)
                        blocks[i] = take(200);
                ck_assert_uint_eq(blocks_in(BLOCK_HELD), COUNT);
                for (int i = 0; i < COUNT; i++)
                        heap_give(agent, blocks[(i * 7) % COUNT]);
                ck_assert_uint_eq(blocks_in(BLOCK_HELD), 0);
        }
        ck_assert_uint_le(skep_load(&hive->heap->top), 8); /* two slabs, also after three rounds */
}
END_TEST

START_TEST(free_neighbours_grow_together_in_any_order_of_giving)
{
        struct shm_block *blocks[128], *all;
        skep_hive_detach(hive);
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = CAPACITY, .warm_max_bytes = CAPACITY), &hive), 0);
        ck_assert_int_eq(agent_self(hive, &agent), 0);
        int count = fill(3, blocks, 128);
        uint64_t top = skep_load(&hive->heap->top);
        ck_assert_uint_eq(top, 3 * (uint64_t)count);
        for (int i = 0; i < count; i += 2)
                heap_give(agent, blocks[i]);
        ck_assert_int_eq(heap_take(agent, 4 * PAGE_BYTES, &all), -ENOSPC);
        for (int i = count - 1 - count % 2; i > 0; i -= 2)
                heap_give(agent, blocks[i]);
        ck_assert_uint_eq(blocks_in(BLOCK_HELD), 0);
        ck_assert_ptr_eq(take(top * PAGE_BYTES), hive->blocks);
}
END_TEST

START_TEST(a_longer_run_is_cut_and_its_rest_is_free)
{
        struct shm_block *run = take(10 * PAGE_BYTES), *stop = take(PAGE_BYTES);
        heap_give(agent, run);
        ck_assert_ptr_eq(take(4 * PAGE_BYTES), run);
        ck_assert_uint_eq(word_pages(run->word), 4);
        ck_assert_int_eq(word_state(run[4].word), BLOCK_FREE);
        ck_assert_uint_eq(word_pages(run[4].word), 6);
        ck_assert_ptr_eq(take(6 * PAGE_BYTES), run + 4);
        ck_assert_int_eq(word_state(stop->word), BLOCK_HELD);
}
END_TEST

START_TEST(a_full_heap_says_so_and_works_on_after_something_is_freed)
{
        struct shm_block *blocks[128], *small;
        int count = fill(1, blocks, 128);
        ck_assert_int_eq(heap_take(agent, 8, &small), -ENOSPC);
        ck_assert_uint_eq(lock_owner(&hive->heap->lock), 0);
        heap_give(agent, blocks[7]);
        ck_assert_ptr_eq(take(PAGE_BYTES), blocks[7]);
        for (int i = 20; i < 24; i++)
                heap_give(agent, blocks[i]);
        small = take(8); /* the four pages became a slab */
        heap_give(agent, small);
        ck_assert_int_eq(heap_take(agent, PAGE_BYTES, &small), -ENOSPC);
        (void)count;
}
END_TEST

START_TEST(what_can_never_fit_is_refused)
{
        struct shm_block *block = NULL;
        ck_assert_int_eq(heap_take(agent, CAPACITY, &block), -ENOSPC);
        ck_assert_int_eq(heap_take(agent, UINT64_C(1) << 40, &block), -ENOSPC);
        ck_assert_int_eq(heap_take(agent, INT64_MAX, &block), -ENOSPC);
        ck_assert_int_eq(heap_take(agent, (uint64_t)INT64_MAX + 1, &block), -EOVERFLOW);
        ck_assert_int_eq(heap_take(agent, UINT64_MAX, &block), -EOVERFLOW);
        ck_assert_ptr_null(block);
}
END_TEST

START_TEST(free_memory_above_warm_max_goes_back_to_the_system)
{
        struct stat before, after;
        uint64_t bytes = WARM_MAX + PAGE_BYTES;
        struct shm_block *warm = take(PAGE_BYTES), *large = take(bytes);
        memset(data_of(warm), 1, PAGE_BYTES);
        memset(data_of(large), 1, bytes);
        fstat(skep_hive_fd(hive), &before);
        heap_give(agent, large);
        heap_give(agent, warm);
        fstat(skep_hive_fd(hive), &after);
        ck_assert_int_eq((before.st_blocks - after.st_blocks) * 512, (int64_t)bytes);
        ck_assert_int_eq(*(char *)data_of(take(PAGE_BYTES)), 1);
        ck_assert_uint_eq(large->word & BLOCK_WARM, 0);
        struct shm_block *blocks[128]; /* fresh memory goes first; the cold run last, and is committed again */
        for (int count = 0; heap_take(agent, bytes, &blocks[count]) == 0;)
                if (blocks[count] == large)
                        break;
        ck_assert_uint_ne(large->word & BLOCK_WARM, 0);
        ck_assert_int_eq(*(char *)data_of(large), 0);
        fstat(skep_hive_fd(hive), &after);
        ck_assert_int_ge(after.st_blocks, before.st_blocks);
}
END_TEST

START_TEST(only_offsets_of_records_have_a_record)
{
        struct shm_block *small = take(100), *run = take(PAGE_BYTES);
        uint64_t at = hive_offset(hive, small), top = skep_load(&hive->heap->top);
        ck_assert_ptr_eq(heap_record(hive, at), small);
        ck_assert_ptr_eq(heap_record(hive, hive_offset(hive, run)), run);
        ck_assert_ptr_null(heap_record(hive, at + 8));
        ck_assert_ptr_null(heap_record(hive, 0));
        ck_assert_ptr_null(heap_record(hive, hive->layout.blocks_at - sizeof *run));
        ck_assert_ptr_null(heap_record(hive, hive->layout.blocks_at + top * sizeof *run));
        ck_assert_ptr_null(heap_record(hive, hive_offset(hive, data_of(small))));
        ck_assert_ptr_null(heap_record(hive, hive_offset(hive, data_of(run))));
        ck_assert_ptr_null(heap_record(hive, hive->layout.data_at + top * PAGE_BYTES));
        ck_assert_ptr_null(heap_record(hive, CAPACITY));
        ck_assert_ptr_null(heap_record(hive, UINT64_MAX - 63));
}
END_TEST

START_TEST(damaged_records_are_refused)
{
        struct shm_block *small = take(100), *run = take(2 * PAGE_BYTES);
        uint64_t counts[16] = {0}, bytes, sound = run->word, page = (uint64_t)(run - hive->blocks);
        struct shm_block *slab_run = &hive->blocks[page - 4], *other;
        struct shm_slab *slab = (void *)(hive->base + hive->layout.data_at + (page - 4) * PAGE_BYTES), good = *slab;
        ck_assert_int_eq(word_state(slab_run->word), BLOCK_SLAB);
        run->word = word_of(BLOCK_HELD, hive->layout.page_count - page + 1, BLOCK_WARM, agent->id);
        ck_assert_ptr_null(heap_data(hive, run, &bytes));
        ck_assert_int_eq(heap_walk(hive, NULL, count_state, counts), -EBADMSG);
        run->word = word_of(BLOCK_FREE, 0, BLOCK_WARM, 0);
        ck_assert_int_eq(heap_walk(hive, agent, count_state, counts), -EBADMSG);
        ck_assert_uint_eq(lock_owner(&hive->heap->lock), 0);
        ck_assert_int_eq(heap_take(agent, 3 * PAGE_BYTES, &other), 0); /* comes to an end, beyond the damage */
        run->word = sound;
        slab->count++;
        ck_assert_ptr_null(heap_record(hive, hive_offset(hive, small)));
        ck_assert_ptr_null(heap_data(hive, small, &bytes));
        ck_assert_int_eq(heap_walk(hive, NULL, count_state, counts), -EBADMSG);
        *slab = good;
        slab->class_index = HEAP_CLASS_COUNT;
        ck_assert_ptr_null(heap_record(hive, hive_offset(hive, small)));
        *slab = good;
        slab_run[1].slab_page = UINT16_MAX;
        ck_assert_ptr_null(heap_record(hive, hive->layout.data_at + (page - 3) * PAGE_BYTES));
        slab_run[1].slab_page = 1;
        ck_assert_ptr_eq(heap_record(hive, hive_offset(hive, small)), small);
        ck_assert_int_eq(heap_walk(hive, NULL, count_state, counts), 0);
}
END_TEST

START_TEST(wrong_hints_do_no_harm)
{
        uint64_t top;
        struct shm_block *held = take(PAGE_BYTES), *block;
        top = skep_load(&hive->heap->top);
        for (uint32_t bin = 0; bin < HEAP_BIN_COUNT; bin++)
                for (uint32_t i = 0; i < HEAP_BIN_SLOTS; i++)
                        hive->heap->bins[bin][i] = i % 2 ? top + 1 + i : (uint64_t)(held - hive->blocks) + 1;
        for (uint32_t i = 0; i < HEAP_CLASS_COUNT; i++)
                hive->heap->slabs[i] = i % 2 ? UINT64_MAX : (uint64_t)(held - hive->blocks) + 1;
        agent->cache[0].count = 1;
        agent->cache[0].blocks[0] = hive_offset(hive, held);
        hive->heap->warm_bytes = UINT64_MAX / 2;
        for (uint64_t bytes = 256; bytes <= 4 * PAGE_BYTES; bytes *= 2) {
                block = take(bytes);
                ck_assert_ptr_ne(block, held);
                heap_give(agent, block);
        }
        ck_assert_int_eq(word_state(held->word), BLOCK_HELD);
        ck_assert_int_eq(heap_walk(hive, NULL, count_state, (uint64_t[16]){0}), 0);
}
END_TEST

static int remember(skep_hive *of, struct shm_block *block, void *context)
{
        uint64_t *last = context, offset = hive_offset(of, block);
        uint64_t address = hive_offset(of, data_of(block));
        if (address <= last[0])
                return -EINVAL;
        last[0] = address;
        last[1] += bytes_of(block);
        return offset == last[2] ? 7 : 0;
}

START_TEST(a_walk_meets_each_block_once_in_order_and_may_be_ended)
{
        struct shm_block *some = take(PAGE_BYTES);
        uint64_t last[3] = {0};
        (void)take(100), (void)take(5000), (void)take(3 * PAGE_BYTES);
        heap_give(agent, some);
        ck_assert_int_eq(heap_walk(hive, NULL, remember, last), 0);
        ck_assert_uint_le(last[1], skep_load(&hive->heap->top) * PAGE_BYTES);
        last[0] = 0;
        last[2] = hive_offset(hive, some);
        ck_assert_int_eq(heap_walk(hive, agent, remember, last), 7);
        ck_assert_uint_eq(lock_owner(&hive->heap->lock), 0);
}
END_TEST

static void in_child(void (*run)(void))
{
        int status;
        pid_t child = fork();
        if (child == 0) {
                if (agent_self(hive, &agent) == 0)
                        run();
                kill(getpid(), SIGKILL);
        }
        waitpid(child, &status, 0);
        ck_assert(WIFSIGNALED(status));
}

static void take_some(void)
{
        (void)take(100), (void)take(30000), (void)take(PAGE_BYTES), (void)take(5 * PAGE_BYTES);
}

static void take_lock(void)
{
        ck_assert_int_eq(lock_acquire_inner(agent, &hive->heap->lock), 0);
}

START_TEST(what_the_dead_held_is_free_after_the_reaping)
{
        struct skep_reap_report report;
        struct shm_block *mine = take(100);
        in_child(take_some);
        ck_assert_uint_eq(blocks_in(BLOCK_HELD), 5);
        ck_assert_int_eq(skep_hive_reap(hive, &report), 0);
        ck_assert_uint_eq(report.blocks, 4);
        ck_assert_uint_eq(blocks_in(BLOCK_HELD), 1);
        ck_assert_int_eq(word_state(mine->word), BLOCK_HELD);
}
END_TEST

START_TEST(the_lock_of_the_dead_is_taken_over_and_opened_by_the_reaper)
{
        in_child(take_lock);
        ck_assert_uint_ne(lock_owner(&hive->heap->lock), 0);
        (void)take(6 * PAGE_BYTES);
        ck_assert_uint_eq(lock_owner(&hive->heap->lock), 0);
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0); /* so that the next reaping is of one member only */
        in_child(take_lock);
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert_uint_eq(lock_owner(&hive->heap->lock), 0);
}
END_TEST

/* Takes and gives at random; each block carries its taker's mark from end to end as long as he has it. */
static int work(unsigned seed)
{
        enum { HELD = 12, TURNS = 4000 };
        struct shm_block *held[HELD] = {0};
        uint64_t mark = (uint64_t)getpid() << 32, bytes;
        for (int turn = 0; turn < TURNS; turn++) {
                struct shm_block **at = &held[(unsigned)rand_r(&seed) % HELD];
                if (*at) {
                        uint64_t *data = heap_data(hive, *at, &bytes), last = bytes / 8 - 1;
                        if ((data[0] ^ mark) >> 32 || data[last] != data[0])
                                return 1;
                        heap_give(agent, *at);
                        *at = NULL;
                } else if (heap_take(agent, 1u << (unsigned)rand_r(&seed) % 18, at) == 0) {
                        uint64_t *data = heap_data(hive, *at, &bytes), last = bytes / 8 - 1;
                        data[0] = data[last] = mark | (unsigned)turn;
                } else {
                        *at = NULL;
                }
        }
        for (int i = 0; i < HELD; i++)
                if (held[i])
                        heap_give(agent, held[i]);
        return 0;
}

START_TEST(no_block_has_two_owners_among_four_processes)
{
        enum { PROCESSES = 4 };
        for (unsigned i = 0; i < PROCESSES; i++)
                if (fork() == 0)
                        _exit(agent_self(hive, &agent) < 0 || work(i + 1));
        for (int i = 0, status; i < PROCESSES; i++) {
                ck_assert_int_gt(wait(&status), 0);
                ck_assert_int_eq(status, 0);
        }
        ck_assert_uint_eq(blocks_in(BLOCK_HELD), 0);
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert_int_eq(skep_hive_verify(hive, NULL), 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("heap");
        TCase *tests = tcase_create("heap");
        tcase_add_checked_fixture(tests, set_up, tear_down);
        tcase_add_test(tests, every_size_gets_the_smallest_class_that_holds_it);
        tcase_add_test(tests, no_two_blocks_overlap);
        tcase_add_test(tests, what_is_given_back_is_taken_again_first);
        tcase_add_test(tests, a_thousand_small_blocks_come_back_whole);
        tcase_add_test(tests, free_neighbours_grow_together_in_any_order_of_giving);
        tcase_add_test(tests, a_longer_run_is_cut_and_its_rest_is_free);
        tcase_add_test(tests, a_full_heap_says_so_and_works_on_after_something_is_freed);
        tcase_add_test(tests, what_can_never_fit_is_refused);
        tcase_add_test(tests, free_memory_above_warm_max_goes_back_to_the_system);
        tcase_add_test(tests, only_offsets_of_records_have_a_record);
        tcase_add_test(tests, damaged_records_are_refused);
        tcase_add_test(tests, wrong_hints_do_no_harm);
        tcase_add_test(tests, a_walk_meets_each_block_once_in_order_and_may_be_ended);
        tcase_add_test(tests, what_the_dead_held_is_free_after_the_reaping);
        tcase_add_test(tests, the_lock_of_the_dead_is_taken_over_and_opened_by_the_reaper);
        tcase_add_test(tests, no_block_has_two_owners_among_four_processes);
        suite_add_tcase(suite, tests);
        return suite_run(suite);
}
