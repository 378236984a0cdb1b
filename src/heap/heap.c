/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.c - runs of 64 KiB pages, and slabs of small blocks inside them.
 *
 * RUNS.   The pages below `top` are covered by runs lying end to end; the record of a run's first page holds its length.
 *         The walk from page 0 finds them all; records of inner pages mean nothing (but for pages of slabs, which point
 *         back).  To take a run is one compare-and-swap FREE -> HELD(agent), to give it back one store.  Lengths change
 *         only under heap->lock:
 *           split   write the rest's record (unreachable yet), then compare-and-swap the head's {FREE, n} -> {HELD, k}.
 *           merge   take the right neighbour (FREE -> HELD), then compare-and-swap the left {FREE, n} -> {FREE, n + m};
 *                   if the left was taken meanwhile, the right is given back.
 *           grow    commit the record's memory and the pages, write the record HELD, then move top.
 * SLABS.  A run of 4 pages, state SLAB for ever, with a record per block; blocks are taken and given as runs are.
 * HINTS.  Per thread: records that were free lately, last in first out.  Per size: pages of free runs.  A hint may be wrong;
 *         the record's word decides.  Freed memory stays committed (WARM) up to warm_max_bytes.
 * CRASH.  dies                                 found as                          repaired by
 *         with a run or block in hand          word HELD(dead)                   reaper: FREE  (claim/recover.c)
 *         while splitting, before the swap     nothing changed                   -
 *         while merging, before the swap       right is HELD(dead)               reaper: FREE
 *         while merging, after it              right is an inner page            -
 *         while growing, before top moved      record above top                  nobody looks there; overwritten
 *         holding heap->lock                   lock word names the dead          next acquirer; every state is consistent
 * SOURCE. Size classes and slabs after Bonwick (1994) and Berger et al., Hoard (2000); state words with owners are ours.
 */
#include "heap/heap.h"

#include "base/checked.h"
#include "base/probe.h"
#include "os/os.h"
#include "sync/lock.h"

#include <errno.h>
#include <skep/error.h>
#include <string.h>

#define SLAB_PAGES UINT64_C(4)
#define SLAB_BYTES (SLAB_PAGES * PAGE_BYTES)
#define CLASS_BYTES(class_index) (UINT64_C(256) << (class_index))
#define SMALL_MAX CLASS_BYTES(HEAP_CLASS_COUNT - 1)

/* --- words ---------------------------------------------------------------------------------------------------------- */

static bool take_word(struct skep_agent *agent, struct shm_block *block, uint64_t seen)
{
        if (!skep_cas(&block->word, &seen, word_of(BLOCK_HELD, word_pages(seen), seen & BLOCK_WARM, agent->id)))
                return false;
        PROBE("heap.taken");
        return true;
}

static struct shm_block *page_block(const skep_hive *hive, uint64_t page)
{
        return page < hive->layout.page_count ? &hive->blocks[page] : NULL;
}

static uint64_t page_of(const skep_hive *hive, const struct shm_block *block)
{
        return (uint64_t)(block - hive->blocks);
}

static uint64_t page_data(const skep_hive *hive, uint64_t page)
{
        return hive->layout.data_at + page * PAGE_BYTES;
}

static uint64_t top_of(const skep_hive *hive)
{
        uint64_t top = skep_load(&hive->heap->top);
        return top < hive->layout.page_count ? top : hive->layout.page_count;
}

/* --- runs ----------------------------------------------------------------------------------------------------------- */

static uint32_t bin_of(uint64_t pages)
{
        uint32_t bin = (uint32_t)(63 - __builtin_clzll(pages));
        return bin < HEAP_BIN_COUNT ? bin : HEAP_BIN_COUNT - 1;
}

static void run_hint(skep_hive *hive, uint64_t page, uint64_t pages)
{
        uint64_t *slots = hive->heap->bins[bin_of(pages)];
        for (uint32_t i = 0; i < HEAP_BIN_SLOTS; i++)
                if (!skep_load_relaxed(&slots[i]) || skep_load_relaxed(&slots[i]) == page + 1) {
                        skep_store_relaxed(&slots[i], page + 1);
                        return;
                }
        skep_store_relaxed(&slots[page % HEAP_BIN_SLOTS], page + 1);
}

/* A warm free run, at least as long as asked and not much longer, from the hints. */
static struct shm_block *run_from_hints(struct skep_agent *agent, uint64_t pages)
{
        skep_hive *hive = agent->hive;
        uint64_t top = top_of(hive);
        uint64_t *slots = hive->heap->bins[bin_of(pages)];
        for (uint32_t i = 0; i < HEAP_BIN_SLOTS; i++) {
                uint64_t hint = skep_load_relaxed(&slots[i]);
                if (!hint || hint > top)
                        continue;
                struct shm_block *block = &hive->blocks[hint - 1];
                uint64_t word = skep_load(&block->word);
                uint64_t found = word_pages(word);
                if (word_state(word) != BLOCK_FREE || !(word & BLOCK_WARM)) {
                        skep_store_relaxed(&slots[i], 0);
                        continue;
                }
                if (found >= pages && found - pages <= pages / 4 && take_word(agent, block, word)) {
                        skep_store_relaxed(&slots[i], 0);
                        return block;
                }
        }
        return NULL;
}

/* Under the lock: cut a HELD run of ours to `pages`, leaving the rest free. */
static void run_cut(skep_hive *hive, struct skep_agent *agent, uint64_t page, uint64_t pages)
{
        struct shm_block *block = &hive->blocks[page];
        uint64_t word = skep_load(&block->word);
        uint64_t rest = word_pages(word) - pages;
        if (!rest)
                return;
        struct shm_block *right = &hive->blocks[page + pages];
        right->slab = 0;
        skep_store(&right->word, word_of(BLOCK_FREE, rest, word & BLOCK_WARM, 0));
        PROBE("heap.rest");
        skep_store(&block->word, word_of(BLOCK_HELD, pages, word & BLOCK_WARM, agent->id));
        PROBE("heap.split");
        if (word & BLOCK_WARM)
                run_hint(hive, page + pages, rest);
}

/* Under the lock: lengthen the free run at `page` by its free right neighbours of the same warmth. @return its word now */
static uint64_t run_merge(skep_hive *hive, struct skep_agent *agent, uint64_t page, uint64_t word)
{
        for (;;) {
                uint64_t next = page + word_pages(word);
                if (next >= top_of(hive))
                        return word;
                struct shm_block *right = &hive->blocks[next];
                uint64_t other = skep_load(&right->word);
                if (word_state(other) != BLOCK_FREE || (other ^ word) & BLOCK_WARM || !take_word(agent, right, other))
                        return word;
                uint64_t longer = word_of(BLOCK_FREE, word_pages(word) + word_pages(other), word & BLOCK_WARM, 0);
                if (!skep_cas(&hive->blocks[page].word, &word, longer)) {
                        skep_store(&right->word, other);
                        return word;
                }
                PROBE("heap.merged");
                word = longer;
        }
}

/* Under the lock: first fit, merging on the way.  Runs of the wanted warmth only. */
static struct shm_block *run_search(struct skep_agent *agent, uint64_t pages, uint64_t warm)
{
        skep_hive *hive = agent->hive;
        for (uint64_t page = 0, top = top_of(hive); page < top;) {
                struct shm_block *block = &hive->blocks[page];
                uint64_t word = skep_load(&block->word);
                if (word_state(word) == BLOCK_FREE)
                        word = run_merge(hive, agent, page, word);
                if (word_state(word) == BLOCK_FREE && (word & BLOCK_WARM) == warm && word_pages(word) >= pages && take_word(agent, block, word)) {
                        run_cut(hive, agent, page, pages);
                        if (warm)
                                (void)skep_fetch_add(&hive->heap->warm_bytes, 0 - pages * PAGE_BYTES);
                        return block;
                }
                if (!word_pages(word))
                        return NULL; /* damaged: verify will say so */
                page += word_pages(word);
        }
        return NULL;
}

/* Under the lock: new pages at the top. */
static int run_grow(struct skep_agent *agent, uint64_t pages, struct shm_block **ret_block)
{
        skep_hive *hive = agent->hive;
        uint64_t page = top_of(hive);
        if (pages > hive->layout.page_count - page)
                return -ENOSPC;
        uint64_t records = hive->layout.blocks_at + page * sizeof(struct shm_block);
        int result = os_commit(hive->fd, records, pages * sizeof(struct shm_block));
        if (result == 0)
                result = os_commit(hive->fd, page_data(hive, page), pages * PAGE_BYTES);
        if (result < 0)
                return result == -EINTR ? -ENOSPC : result;
        struct shm_block *block = &hive->blocks[page];
        block->slab = 0;
        skep_store(&block->word, word_of(BLOCK_HELD, pages, BLOCK_WARM, agent->id));
        PROBE("heap.top_record");
        skep_store(&hive->heap->top, page + pages);
        PROBE("heap.top");
        *ret_block = block;
        return 0;
}

/* Under the lock: memory for a cold run, taken again. */
static int run_warm_up(struct skep_agent *agent, struct shm_block *block)
{
        uint64_t pages = word_pages(skep_load(&block->word));
        int result = os_commit(agent->hive->fd, page_data(agent->hive, page_of(agent->hive, block)), pages * PAGE_BYTES);
        if (result == 0)
                skep_store(&block->word, word_of(BLOCK_HELD, pages, BLOCK_WARM, agent->id));
        else
                skep_store(&block->word, word_of(BLOCK_FREE, pages, 0, 0));
        return result;
}

static int run_take_locked(struct skep_agent *agent, uint64_t pages, struct shm_block **ret_block)
{
        struct shm_block *block = run_search(agent, pages, BLOCK_WARM);
        if (!block && run_grow(agent, pages, &block) < 0) {
                block = run_search(agent, pages, 0);
                if (!block || run_warm_up(agent, block) < 0)
                        return -ENOSPC;
        }
        *ret_block = block;
        return 0;
}

static int run_take(struct skep_agent *agent, uint64_t pages, struct shm_block **ret_block)
{
        struct shm_block *block = run_from_hints(agent, pages);
        int result = 0;
        if (!block) {
                skep_hive *hive = agent->hive;
                bool mine = lock_owner(&hive->heap->lock) == agent->id; /* inside heap_walk() */
                if (!mine && (result = lock_acquire_inner(agent, &hive->heap->lock)) < 0)
                        return result;
                result = run_take_locked(agent, pages, &block);
                if (!mine)
                        lock_release_inner(agent, &hive->heap->lock);
        } else {
                uint64_t bytes = word_pages(skep_load_relaxed(&block->word)) * PAGE_BYTES;
                (void)skep_fetch_add(&agent->hive->heap->warm_bytes, 0 - bytes);
        }
        if (result < 0)
                return result;
        block->slab = 0;
        block->data = page_data(agent->hive, page_of(agent->hive, block));
        *ret_block = block;
        return 0;
}

/* The hint warm_bytes counts only what the bins offer; it may drift by what died, and starts anew when it went below 0. */
static bool keeps_warm(skep_hive *hive, uint64_t bytes)
{
        uint64_t warm = skep_fetch_add(&hive->heap->warm_bytes, bytes) + bytes;
        if (warm > hive->capacity_bytes) {
                skep_store_relaxed(&hive->heap->warm_bytes, bytes);
                return true;
        }
        if (warm <= hive->header->warm_max_bytes)
                return true;
        (void)skep_fetch_add(&hive->heap->warm_bytes, 0 - bytes);
        return false;
}

static void run_give(struct skep_agent *agent, struct shm_block *block)
{
        skep_hive *hive = agent->hive;
        uint64_t word = skep_load_relaxed(&block->word);
        uint64_t page = page_of(hive, block), bytes = word_pages(word) * PAGE_BYTES;
        uint64_t warm = word & BLOCK_WARM;
        if (warm && !keeps_warm(hive, bytes)) {
                /* cold before punched: a HELD run that may have holes must not come back as warm */
                skep_store(&block->word, word & ~BLOCK_WARM);
                PROBE("heap.cold");
                (void)os_punch(hive->fd, page_data(hive, page), bytes);
                warm = 0;
        }
        skep_store(&block->word, word_of(BLOCK_FREE, word_pages(word), warm, 0));
        PROBE("heap.freed");
        if (warm)
                run_hint(hive, page, word_pages(word));
}

/* --- slabs ---------------------------------------------------------------------------------------------------------- */

static uint32_t class_of(uint64_t bytes)
{
        return bytes <= 256 ? 0 : (uint32_t)(56 - __builtin_clzll(bytes - 1));
}

static struct shm_slab *slab_at(const skep_hive *hive, uint64_t page)
{
        return (struct shm_slab *)(void *)(hive->base + page_data(hive, page));
}

static struct shm_block *slab_records(struct shm_slab *slab)
{
        return (struct shm_block *)(void *)(slab + 1);
}

/* Blocks of a class in a slab, and where the first lies: at a multiple of its size, up to 4096.  Fixed by the format. */
static struct {
        uint64_t count, first;
} slab_shapes[HEAP_CLASS_COUNT];

static void slab_shapes_compute(void)
{
        for (uint32_t i = 0; i < HEAP_CLASS_COUNT; i++) {
                uint64_t size = CLASS_BYTES(i), align = size < 4096 ? size : 4096;
                uint64_t count = (SLAB_BYTES - 64) / (size + sizeof(struct shm_block)) + 1, first;
                do {
                        count--;
                        first = align_up((count + 1) * sizeof(struct shm_block), align);
                } while (first + count * size > SLAB_BYTES);
                slab_shapes[i].count = count;
                slab_shapes[i].first = first;
        }
}

static uint64_t slab_first(uint64_t class_index)
{
        return slab_shapes[class_index].first;
}

static uint64_t slab_count(uint64_t class_index)
{
        return slab_shapes[class_index].count;
}

/* Make a slab: fill a HELD run, publish it as SLAB, then put it before the class's chain (a slab missing there is found by walks). */
static int slab_make(struct skep_agent *agent, uint32_t class_index)
{
        skep_hive *hive = agent->hive;
        struct shm_block *run;
        int result = run_take(agent, SLAB_PAGES, &run);
        if (result < 0)
                return result;
        uint64_t page = page_of(hive, run), pages = word_pages(skep_load_relaxed(&run->word));
        struct shm_slab *slab = slab_at(hive, page);
        uint64_t count = slab_count(class_index);
        *slab = (struct shm_slab){.count = count, .class_index = class_index};
        for (uint64_t i = 0; i < count; i++)
                slab_records(slab)[i] = (struct shm_block){
                        .word = word_of(BLOCK_FREE, 0, BLOCK_WARM, 0),
                        .data = page_data(hive, page) + slab_first(class_index) + i * CLASS_BYTES(class_index),
                        .slab = 1,
                };
        for (uint16_t i = 0; i < pages; i++) {
                hive->blocks[page + i].slab = 2;
                hive->blocks[page + i].slab_page = i;
        }
        skep_store(&run->word, word_of(BLOCK_SLAB, pages, BLOCK_WARM, 0));
        PROBE("heap.slab");
        uint64_t first = skep_load(&hive->heap->slabs[class_index]);
        do
                skep_store_relaxed(&slab->next, first);
        while (!skep_cas(&hive->heap->slabs[class_index], &first, page + 1));
        PROBE("heap.slab_linked");
        return 0;
}

static struct shm_block *small_from_cache(struct skep_agent *agent, uint32_t class_index)
{
        while (agent->cache[class_index].count) {
                uint64_t offset = agent->cache[class_index].blocks[--agent->cache[class_index].count];
                struct shm_block *block = (void *)(agent->hive->base + offset);
                uint64_t word = skep_load_relaxed(&block->word);
                if (word_state(word) == BLOCK_FREE && take_word(agent, block, word))
                        return block;
        }
        return NULL;
}

/* Look once around a slab for free blocks: take the first, remember a few more. */
static struct shm_block *small_from_slab(struct skep_agent *agent, struct shm_slab *slab, uint32_t class_index)
{
        uint64_t count = slab_count(class_index), start = skep_load_relaxed(&slab->cursor) % count;
        struct shm_block *taken = NULL;
        for (uint64_t i = 0; i < count; i++) {
                uint64_t at = (start + i) % count;
                struct shm_block *block = &slab_records(slab)[at];
                uint64_t word = skep_load_relaxed(&block->word);
                if (word_state(word) != BLOCK_FREE)
                        continue;
                if (!taken) {
                        taken = take_word(agent, block, word) ? block : NULL;
                        continue;
                }
                agent->cache[class_index].blocks[agent->cache[class_index].count++] = hive_offset(agent->hive, block);
                if (agent->cache[class_index].count == AGENT_CACHE / 2) {
                        skep_store_relaxed(&slab->cursor, at + 1);
                        return taken;
                }
        }
        return taken;
}

static struct shm_slab *slab_checked(const skep_hive *hive, uint64_t hint, uint32_t class_index)
{
        if (!hint || hint + SLAB_PAGES - 1 > top_of(hive) || word_state(skep_load(&hive->blocks[hint - 1].word)) != BLOCK_SLAB)
                return NULL;
        struct shm_slab *slab = slab_at(hive, hint - 1);
        return slab->class_index == class_index && slab->count == slab_count(class_index) ? slab : NULL;
}

static struct shm_block *small_from_chain(struct skep_agent *agent, uint32_t class_index)
{
        skep_hive *hive = agent->hive;
        uint64_t hint = skep_load(&hive->heap->slabs[class_index]);
        for (uint64_t steps = 0; steps < hive->layout.page_count; steps++) {
                struct shm_slab *slab = slab_checked(hive, hint, class_index);
                if (!slab)
                        return NULL;
                struct shm_block *block = small_from_slab(agent, slab, class_index);
                if (block)
                        return block;
                hint = skep_load(&slab->next);
        }
        return NULL;
}

static int small_take(struct skep_agent *agent, uint32_t class_index, struct shm_block **ret_block)
{
        for (;;) {
                struct shm_block *block = small_from_cache(agent, class_index);
                if (!block)
                        block = small_from_chain(agent, class_index);
                if (block) {
                        *ret_block = block;
                        return 0;
                }
                int result = slab_make(agent, class_index);
                if (result < 0)
                        return result;
        }
}

static void small_give(struct skep_agent *agent, struct shm_block *block)
{
        skep_store(&block->word, word_of(BLOCK_FREE, 0, BLOCK_WARM, 0));
        PROBE("heap.freed");
        uint64_t bytes;
        if (!heap_data(agent->hive, block, &bytes))
                return;
        uint32_t class_index = class_of(bytes);
        uint32_t *count = &agent->cache[class_index].count;
        if (*count == AGENT_CACHE) { /* the older half goes back to where scans find it */
                *count = AGENT_CACHE / 2;
                for (uint32_t i = 0; i < AGENT_CACHE / 2; i++)
                        agent->cache[class_index].blocks[i] = agent->cache[class_index].blocks[i + AGENT_CACHE / 2];
        }
        agent->cache[class_index].blocks[(*count)++] = hive_offset(agent->hive, block);
}

/* --- face ----------------------------------------------------------------------------------------------------------- */

int heap_take(struct skep_agent *agent, uint64_t bytes, struct shm_block **ret_block)
{
        if (bytes > INT64_MAX)
                return -EOVERFLOW;
        if (bytes <= SMALL_MAX)
                return small_take(agent, class_of(bytes), ret_block);
        uint64_t pages = align_up(bytes, PAGE_BYTES) / PAGE_BYTES;
        if (pages > agent->hive->layout.page_count)
                return -ENOSPC;
        return run_take(agent, pages, ret_block);
}

void heap_give(struct skep_agent *agent, struct shm_block *block)
{
        if (block->slab == 1)
                small_give(agent, block);
        else
                run_give(agent, block);
}

/* The slab that the page of a data offset belongs to, and its page; NULL if it is none. */
static struct shm_slab *slab_around(const skep_hive *hive, uint64_t offset, uint64_t *ret_page)
{
        if (offset < hive->layout.data_at)
                return NULL;
        uint64_t page = (offset - hive->layout.data_at) / PAGE_BYTES;
        if (page >= top_of(hive))
                return NULL;
        struct shm_block there = {.word = 0}; /* whose page it is may change under our eyes: one look */
        uint64_t tail = skep_glance((const uint64_t *)(const void *)&hive->blocks[page].serial);
        memcpy(&there.serial, &tail, sizeof tail);
        if (there.slab != 2 || there.slab_page > page)
                return NULL;
        page -= there.slab_page;
        struct shm_slab *slab = slab_at(hive, page);
        if (word_state(skep_load(&hive->blocks[page].word)) != BLOCK_SLAB || slab->class_index >= HEAP_CLASS_COUNT)
                return NULL;
        if (page + SLAB_PAGES > top_of(hive) || slab->count != slab_count(slab->class_index))
                return NULL;
        *ret_page = page;
        return slab;
}

struct shm_block *heap_record(const skep_hive *hive, uint64_t offset)
{
        if (offset % sizeof(struct shm_block))
                return NULL;
        if (offset >= hive->layout.blocks_at && offset < hive->layout.blocks_at + top_of(hive) * sizeof(struct shm_block))
                return (void *)(hive->base + offset);
        uint64_t page;
        struct shm_slab *slab = slab_around(hive, offset, &page);
        if (!slab)
                return NULL;
        uint64_t first = hive_offset(hive, slab_records(slab));
        bool inside = offset >= first && offset < first + slab->count * sizeof(struct shm_block);
        return inside ? (void *)(hive->base + offset) : NULL;
}

void *heap_data(const skep_hive *hive, const struct shm_block *block, uint64_t *ret_bytes)
{
        uint64_t offset = hive_offset(hive, block), page;
        if (offset < hive->layout.data_at) {
                page = page_of(hive, block);
                uint64_t pages = word_pages(skep_load_relaxed(&block->word));
                if (pages > hive->layout.page_count - page)
                        return NULL;
                *ret_bytes = pages * PAGE_BYTES;
                return hive->base + page_data(hive, page);
        }
        struct shm_slab *slab = slab_around(hive, offset, &page);
        if (!slab)
                return NULL;
        uint64_t index = (uint64_t)(block - slab_records(slab));
        *ret_bytes = CLASS_BYTES(slab->class_index);
        return hive->base + page_data(hive, page) + slab_first(slab->class_index) + index * *ret_bytes;
}

static int walk_slab(skep_hive *hive, uint64_t page, heap_visit *visit, void *context)
{
        uint64_t same;
        struct shm_slab *slab = slab_around(hive, page_data(hive, page), &same);
        if (!slab || same != page)
                return -EBADMSG;
        int result = 0;
        for (uint64_t i = 0; i < slab->count && result == 0; i++)
                result = visit(hive, &slab_records(slab)[i], context);
        return result;
}

static int walk_runs(skep_hive *hive, heap_visit *visit, void *context)
{
        int result = 0;
        uint64_t page = 0;
        while (page < top_of(hive) && result == 0) {
                struct shm_block *block = page_block(hive, page);
                uint64_t word = skep_load(&block->word);
                if (!word_pages(word) || word_pages(word) > top_of(hive) - page)
                        return -EBADMSG;
                result = word_state(word) == BLOCK_SLAB ? walk_slab(hive, page, visit, context) : visit(hive, block, context);
                page += word_pages(word);
        }
        return result;
}

int heap_walk(skep_hive *hive, struct skep_agent *actor, heap_visit *visit, void *context)
{
        if (!actor)
                return walk_runs(hive, visit, context);
        bool mine = lock_owner(&hive->heap->lock) == actor->id;
        int result = mine ? 0 : lock_acquire_inner(actor, &hive->heap->lock);
        if (result < 0)
                return result;
        result = walk_runs(hive, visit, context);
        if (!mine)
                lock_release_inner(actor, &hive->heap->lock);
        return result;
}

/* A dead holder's lock is opened; what it guards is consistent at every step. */
static int reap_lock(struct reap *reap)
{
        uint32_t *word = &reap->hive->heap->lock, seen = skep_load32(word);
        if (reap_concerns(reap, seen & AGENT_ID_MASK) && skep_cas32(word, &seen, 0)) /* or somebody has just taken it over */
                PROBE("lock.freed"); /* waiters look again within a slice */
        return 0;
}

__attribute__((constructor)) static void heap_register(void)
{
        slab_shapes_compute();
        reap_register(REAP_LOCK, reap_lock);
}
