/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - a table of cells with one writer at a time and readers who take no lock.
 *
 * A CELL's word commits: {version 62, which 1, LIVE 1}.  Versions come from the store and never twice.
 *
 *   state   left by                                                  to
 *   empty   cell_set(), cell_fill()                                  LIVE, items[0] counts
 *   LIVE    cell_set(): fills the other item, then the word          LIVE, the other counts; the first is dropped
 *           cell_delete(): the word                                  empty; both items and the key are dropped
 *   A place that does not count is clean, but while `busy` names its cell.
 *
 * THE ROOT commits a new table: {version 63, which 1}.  tables[] of the other one is 0, but while `busy` is not.
 *
 *   tables[other]   own[other]                left by                                          to
 *   0               -                         store_rebuild()                                  filling
 *   filling         the cells linked anew     store_exchange(), the root                       retired
 *                                             store_abandon(), or recovery                     0: the own cells' items are dropped
 *   retired         the cells that go         store_exchange(), or recovery                    0: likewise
 *   So whichever did not get through, or has had its time, recovery does one thing: drop what is its own, and the table.
 *
 * READERS.  A reader says in its agent's slot which store it looks into: reads = {offset of the store, count 6}, by an exchange.
 *   What it then loads it may use until store_read_end(): a writer that has made something unreachable (by an exchange, too)
 *   waits in store_grace() until each agent that he sees in this store has been outside once.  Either the reader saw the change,
 *   or the writer sees the reader.  A reader is in there for some loads, a copy of 32 bytes and at most a claim; if it is
 *   stopped just there, writers that free something wait for it, and if it is killed, they are told that it has gone.
 *   A copy of an item is whole if the cell's word was the same before and after.
 *
 * CRASH.  A writer dies                              found as                      repaired by
 *         before `busy`, or after it was cleared     lock of a gone owner          the next writer, or the reaper: takes it
 *                                                                                  and asks store_repair of the room above
 *         with `busy` set                            the same, and busy            the same, after the dead one's intents are settled;
 *                                                                                  then places and tables that do not count are emptied
 *         while repairing                            busy names it, or the first   likewise: each step can be done again
 *         before waking who waits for a change       -                             their slices end
 *         A reader dies                              reads of a gone agent         passed over; its slot is cleared by the reaper
 *
 * SOURCE. Hazard words after Michael, "Hazard pointers" (2004); one for the whole store, so the wait is the grace period of
 *         read-copy-update (McKenney and Slingwine, 1998).  Copying under a version: Lamport, "Concurrent reading and writing" (1977).
 */
#include "item/store.h"

#include "base/checked.h"
#include "base/probe.h"
#include "os/os.h"
#include "sync/lock.h"
#include "sync/wait.h"

#include <errno.h>
#include <skep/error.h>
#include <string.h>

#define CELL_MAX (UINT64_C(1) << 32)
#define READS_COUNT UINT64_C(63)
#define GRACE_SPINS 2000
#define GRACE_NAP_NS INT64_C(100000)

static uint64_t busy_of(uint32_t agent_id, int64_t cell)
{
        return (uint64_t)agent_id << 36 | (uint64_t)(cell + 1);
}

static uint32_t root_which(uint64_t root)
{
        return (uint32_t)root & 1;
}

static uint64_t range_of(uint64_t from, uint64_t to)
{
        return from << 32 | to;
}

static struct shm_cell *cell_at(const struct shm_table *table, uint64_t cell)
{
        return table_cell(table, cell);
}

static struct shm_item *key_of(const struct store *store, struct shm_cell *cell)
{
        return store->keyed ? &((struct shm_keyed_cell *)cell)->key : NULL;
}

/* --- tables ------------------------------------------------------------------------------------------------------------------------ */

/* Do its cells and its index lie where they say?  At least a header does. */
static inline bool table_fits(const struct store *store, const struct shm_table *table, uint64_t bytes)
{
        uint64_t cell_bytes = store->keyed ? sizeof(struct shm_keyed_cell) : sizeof(struct shm_cell), cells_at = table->cells_at;
        return table->cell_bytes == cell_bytes && table->cell_max < CELL_MAX && cells_at >= sizeof *table && cells_at <= bytes && cells_at % 8 == 0 &&
               table->cell_max * cell_bytes <= bytes - cells_at && table->index_slots <= (cells_at - sizeof *table) / 8 &&
               skep_load_relaxed(&table->used) <= table->cell_max;
}

static struct shm_table *table_of(const struct store *store, uint64_t offset)
{
        uint64_t bytes;
        struct shm_block *block = offset ? claim_find(store->hive, offset, 0) : NULL;
        struct shm_table *table = block && claim_kind(block) == BLOCK_TABLE ? heap_data(store->hive, block, &bytes) : NULL;
        return table && bytes >= sizeof *table && table_fits(store, table, bytes) ? table : NULL;
}

/* One word, so that threads need no order among themselves; 2^29 exchanges later it would name another root. */
static uint64_t known_of(uint64_t root, uint64_t offset)
{
        return root << 34 | offset / 64;
}

__attribute__((noinline)) static struct shm_table *table_of_root(const struct store *store, uint64_t root)
{
        struct shm_table *table = table_of(store, skep_load(&store->shared->tables[root_which(root)]));
        uint64_t offset = table ? hive_offset(store->hive, table) : 0;
        if (table && store->known && offset % 64 == 0 && offset / 64 < UINT64_C(1) << 34)
                skep_store_relaxed(store->known, known_of(root, offset));
        return table;
}

/* What its header says may have been damaged since it was known; it shall not lead out of the hive. */
struct shm_table *store_table(const struct store *store)
{
        uint64_t root = skep_load(&store->shared->root), known = store->known ? skep_load_relaxed(store->known) : 0, offset = known << 30 >> 24;
        if (__builtin_expect(known && known >> 34 == (root & ((UINT64_C(1) << 30) - 1)), 1)) {
                struct shm_table *table = (struct shm_table *)(store->hive->base + offset);
                return table_fits(store, table, store->hive->capacity_bytes - offset) ? table : NULL;
        }
        return table_of_root(store, root);
}

/* A zeroed table in tables[which], which is 0. */
static int table_make(struct skep_agent *agent, const struct store *store, uint32_t which, uint64_t cell_max, uint64_t index_slots)
{
        uint64_t cell_bytes = store->keyed ? sizeof(struct shm_keyed_cell) : sizeof(struct shm_cell), cells_bytes, index_bytes, bytes, usable;
        struct shm_block *block;
        if (cell_max >= CELL_MAX || !checked_mul(cell_max, cell_bytes, &cells_bytes) || !checked_mul(index_slots, 8, &index_bytes) ||
            !checked_add(cells_bytes, index_bytes, &bytes) || bytes > store->hive->capacity_bytes)
                return -EOVERFLOW;
        uint64_t cells_at = align_up(sizeof(struct shm_table) + index_bytes, 64);
        int result = heap_take(agent, cells_at + cells_bytes, &block);
        if (result < 0)
                return result;
        struct shm_table *table = heap_data(store->hive, block, &usable);
        memset(table, 0, cells_at + cells_bytes);
        *table = (struct shm_table){.cell_max = cell_max, .cells_at = cells_at, .cell_bytes = cell_bytes, .index_slots = index_slots};
        skep_store_relaxed(&store->shared->own[which], 0);
        claim_link_new(agent, &store->shared->tables[which], block, BLOCK_TABLE);
        return 0;
}

int store_format(struct skep_agent *agent, const struct store *store, uint64_t cell_min, uint64_t index_slots)
{
        return table_make(agent, store, 0, cell_min, index_slots);
}

static void cell_drop(struct skep_agent *agent, const struct store *store, struct shm_cell *cell)
{
        struct shm_item *key = key_of(store, cell);
        item_unlink(agent, &cell->items[0]);
        item_unlink(agent, &cell->items[1]);
        if (key)
                item_unlink(agent, key);
}

/* tables[which], which does not count, and what is its own. */
static void table_drop(struct skep_agent *agent, const struct store *store, uint32_t which)
{
        uint64_t *word = &store->shared->tables[which], own = skep_load(&store->shared->own[which]);
        struct shm_table *table = table_of(store, skep_load(word));
        for (uint64_t i = own >> 32; table && i < (uint32_t)own && i < table->cell_max; i++)
                cell_drop(agent, store, cell_at(table, i));
        if (skep_load(word))
                claim_unlink(agent, word);
}

/* --- reading ------------------------------------------------------------------------------------------------------------------------ */

static uint64_t reads_of(const struct store *store)
{
        return hive_offset(store->hive, store->shared) & ~READS_COUNT;
}

struct shm_table *store_read(struct skep_agent *agent, const struct store *store)
{
        uint64_t *reads = &agent->shared->reads;
        (void)skep_exchange(reads, reads_of(store) | ((skep_load_relaxed(reads) + 1) & READS_COUNT));
        PROBE("store.reads");
        struct shm_table *table = store_table(store);
        if (!table)
                store_read_end(agent);
        return table;
}

void store_read_end(struct skep_agent *agent)
{
        uint64_t *reads = &agent->shared->reads;
        skep_store(reads, skep_load_relaxed(reads) & READS_COUNT);
}

bool cell_read(const struct shm_cell *cell, struct shm_item *ret_item, uint64_t *ret_word)
{
        uint64_t word = skep_load(&cell->word);
        for (;;) {
                const struct shm_item *item = &cell->items[cell_which(word)];
                if (!(word & CELL_LIVE))
                        return false;
                ret_item->head = skep_load_relaxed(&item->head);
                for (int i = 0; i < 3; i++)
                        ret_item->data[i] = skep_load_relaxed(&item->data[i]);
                skep_fence_acquire();
                uint64_t again = skep_load(&cell->word);
                if (again == word)
                        break;
                word = again;
        }
        *ret_word = word;
        return true;
}

/* One agent that was seen inside: until it has been outside, or has gone. */
static void grace_of(const struct store *store, uint32_t index, uint64_t seen)
{
        struct shm_agent *shared = &store->hive->agents[index];
        for (uint32_t spins = 0; skep_load(&shared->reads) == seen; spins++) {
                uint64_t word = skep_load(&shared->word);
                uint32_t member = (uint32_t)(word & 0xffff);
                if (spins < GRACE_SPINS) {
                        skep_relax();
                        continue;
                }
                if (!member || member == skep_load32(&store->hive->reaping) || member_is_dead(store->hive, member - 1))
                        return;
                (void)wait_slice_surely((uint32_t *)&shared->reads, (uint32_t)seen, skep_within_ns(GRACE_NAP_NS));
        }
}

void store_grace(struct skep_agent *agent, const struct store *store)
{
        uint64_t here = reads_of(store);
        uint32_t high = agent_high(store->hive);
        skep_fence();
        for (uint32_t index = 1; index <= high; index++) {
                uint64_t seen = skep_load(&store->hive->agents[index].reads);
                if (__builtin_expect((seen & ~READS_COUNT) == here && index != agent->index, 0))
                        grace_of(store, index, seen);
        }
}

/* --- writing ------------------------------------------------------------------------------------------------------------------------ */

void store_busy(struct skep_agent *agent, const struct store *store, int64_t cell)
{
        skep_store(&store->shared->busy, busy_of(agent->id, cell));
        PROBE("store.busy");
}

void store_idle(const struct store *store)
{
        skep_store(&store->shared->busy, 0);
        PROBE("store.idle");
}

/* Finish or undo what `busy` says; all of it idempotent, all under the lock, and nobody's intents are open but ours. */
static void store_mend(struct skep_agent *agent, const struct store *store)
{
        struct shm_store *shared = store->shared;
        int64_t cell = (int64_t)(skep_load(&shared->busy) & ((UINT64_C(1) << 36) - 1)) - 1;
        if (store->repair)
                store->repair(agent, shared, cell);
        store_grace(agent, store);
        struct shm_table *table = store_table(store);
        if (table && cell >= 0 && (uint64_t)cell < table->cell_max) {
                struct shm_cell *at = cell_at(table, (uint64_t)cell);
                uint64_t word = skep_load(&at->word);
                if (word & CELL_LIVE)
                        item_unlink(agent, &at->items[1 - cell_which(word)]);
                else
                        cell_drop(agent, store, at);
        }
        table_drop(agent, store, 1 - root_which(skep_load(&shared->root)));
        store_idle(store);
}

/* Whoever was busy has gone: first its intents are settled, by its reaper, then its cell. */
static void store_inherit(struct skep_agent *agent, const struct store *store)
{
        uint64_t busy = skep_load(&store->shared->busy);
        uint32_t dead = (uint32_t)(busy >> 36);
        while (dead && dead != agent->id && agent_member(store->hive, dead) >= 0) {
                int result = skep_hive_reap(store->hive, NULL);
                if (result < 0 || agent_member(store->hive, dead) >= 0) { /* somebody else reaps it */
                        uint32_t unchanged = skep_load32(&store->shared->lock);
                        (void)wait_slice_surely(&store->shared->lock, unchanged, skep_within_ns(GRACE_NAP_NS));
                }
        }
        skep_store(&store->shared->busy, busy_of(agent->id, -1) | (busy & ((UINT64_C(1) << 36) - 1)));
        PROBE("store.inherited");
        store_mend(agent, store);
}

int store_lock(struct skep_agent *agent, const struct store *store)
{
        if (lock_owner(&store->shared->lock) == agent->id)
                return -EBADMSG;
        int result = lock_acquire_surely(agent, &store->shared->lock);
        if (__builtin_expect(result == SKEP_OWNER_DIED || skep_load(&store->shared->busy), 0))
                store_inherit(agent, store);
        if (__builtin_expect(store_table(store) != NULL, 1))
                return 0;
        (void)lock_release(agent, &store->shared->lock);
        return -EBADMSG;
}

void store_unlock(struct skep_agent *agent, const struct store *store, bool changed)
{
        (void)lock_release(agent, &store->shared->lock);
        if (changed)
                event_notify(&store->shared->changed, INT32_MAX);
}

int store_wait(struct skep_agent *agent, const struct store *store, uint32_t key, skep_deadline deadline)
{
        wait_begins(agent, &store->shared->changed, 0);
        int result = wait_slice(&store->shared->changed, key, deadline);
        wait_ends(agent);
        return result == WAIT_UNCHANGED ? 0 : result;
}

uint32_t store_wait_key(const struct store *store)
{
        return event_prepare(&store->shared->changed);
}

static uint64_t next_version(struct shm_store *shared)
{
        uint64_t version = skep_load_relaxed(&shared->version) + 1;
        skep_store_relaxed(&shared->version, version);
        return version;
}

int cell_set(struct skep_agent *agent, const struct store *store, uint64_t cell, struct item_draft *draft)
{
        struct shm_store *shared = store->shared;
        struct shm_cell *at = cell_at(store_table(store), cell);
        uint64_t word = skep_load_relaxed(&at->word);
        uint32_t which = word & CELL_LIVE ? 1 - cell_which(word) : 0;
        struct shm_item *before = &at->items[1 - which];
        bool drops = word & CELL_LIVE && !item_is_clean(before), opens = (draft->block || drops) && !skep_load_relaxed(&shared->busy);
        if (opens)
                store_busy(agent, store, (int64_t)cell);
        int result = item_link(agent, &at->items[which], draft);
        if (result == 0) {
                word = next_version(shared) << 2 | (uint64_t)which << 1 | CELL_LIVE;
                if (drops)
                        (void)skep_exchange(&at->word, word);
                else
                        skep_store(&at->word, word);
                PROBE("cell.set");
        }
        if (result == 0 && drops) {
                store_grace(agent, store);
                item_unlink(agent, before);
        }
        if (opens)
                store_idle(store);
        return result;
}

void cell_delete(struct skep_agent *agent, const struct store *store, uint64_t cell)
{
        struct shm_cell *at = cell_at(store_table(store), cell);
        bool opens = !skep_load_relaxed(&store->shared->busy);
        if (opens)
                store_busy(agent, store, (int64_t)cell);
        (void)skep_exchange(&at->word, next_version(store->shared) << 2);
        PROBE("cell.deleted");
        store_grace(agent, store); /* also when nothing is dropped: the room above may fill the cell anew */
        cell_drop(agent, store, at);
        if (opens)
                store_idle(store);
}

int cell_fill(struct skep_agent *agent, const struct store *store, struct shm_table *table, uint64_t cell, struct item_draft *draft)
{
        struct shm_cell *at = cell_at(table, cell);
        int result = item_link(agent, &at->items[0], draft);
        if (result == 0)
                skep_store(&at->word, next_version(store->shared) << 2 | CELL_LIVE);
        return result;
}

/* --- exchanging the table ------------------------------------------------------------------------------------------------------------ */

int store_rebuild(struct skep_agent *agent, const struct store *store, uint64_t cell_max, uint64_t index_slots, struct shm_table **ret_table)
{
        struct shm_store *shared = store->shared;
        uint32_t other = 1 - root_which(skep_load(&shared->root));
        if (skep_load(&shared->tables[other]))
                return -EBADMSG;
        bool opens = !skep_load_relaxed(&shared->busy);
        if (opens)
                store_busy(agent, store, -1);
        int result = table_make(agent, store, other, cell_max, index_slots);
        if (result < 0 && opens)
                store_idle(store);
        if (result == 0)
                *ret_table = table_of(store, skep_load(&shared->tables[other]));
        return result;
}

void store_own(const struct store *store, uint64_t from, uint64_t to)
{
        struct shm_store *shared = store->shared;
        skep_store(&shared->own[1 - root_which(skep_load(&shared->root))], range_of(from, to));
        PROBE("store.own");
}

void store_exchange_on(struct skep_agent *agent, const struct store *store, uint64_t from, uint64_t to)
{
        struct shm_store *shared = store->shared;
        uint64_t root = skep_load(&shared->root);
        uint32_t which = root_which(root);
        skep_store(&shared->own[which], range_of(from, to));
        PROBE("store.goes");
        (void)skep_exchange(&shared->root, ((root >> 1) + 1) << 1 | (1 - which));
        PROBE("store.exchanged");
        store_grace(agent, store);
        table_drop(agent, store, which);
}

void store_exchange(struct skep_agent *agent, const struct store *store, uint64_t from, uint64_t to)
{
        store_exchange_on(agent, store, from, to);
        store_idle(store);
}

void store_abandon(struct skep_agent *agent, const struct store *store)
{
        table_drop(agent, store, 1 - root_which(skep_load(&store->shared->root)));
        store_idle(store);
}

/* --- for struct kind ------------------------------------------------------------------------------------------------------------------- */

void store_recover(struct reap *reap, const struct store *store)
{
        struct shm_store *shared = store->shared;
        uint32_t owner = lock_owner(&shared->lock);
        if (!owner || !reap_concerns(reap, owner))
                return;
        store_mend(reap->actor, store);
        skep_store32(&shared->lock, 0); /* waiters look again within a slice */
        PROBE("store.lock_freed");
}

void store_destroy(struct skep_agent *agent, const struct store *store)
{
        struct shm_store *shared = store->shared;
        uint32_t which = root_which(skep_load(&shared->root));
        struct shm_table *table = table_of(store, skep_load(&shared->tables[which]));
        for (uint64_t i = 0; table && i < table->cell_max; i++)
                cell_drop(agent, store, cell_at(table, i));
        table_drop(agent, store, 1 - which);
        skep_store(&shared->own[which], 0);
        table_drop(agent, store, which);
}

uint64_t store_verify(const struct store *store)
{
        struct shm_store *shared = store->shared;
        uint32_t which = root_which(skep_load(&shared->root));
        struct shm_table *table = table_of(store, skep_load(&shared->tables[which]));
        uint64_t problems = 0;
        bool busy = skep_load(&shared->busy) != 0;
        if (!table)
                return 1;
        for (uint64_t i = 0; i < table->cell_max && !busy; i++) {
                struct shm_cell *cell = cell_at(table, i);
                struct shm_item *key = key_of(store, cell);
                uint64_t word = skep_load(&cell->word);
                if (word & CELL_LIVE)
                        problems += item_verify(store->hive, &cell->items[cell_which(word)]) + (uint64_t)!item_is_clean(&cell->items[1 - cell_which(word)]) +
                                    (key ? item_verify(store->hive, key) : 0);
                else
                        problems += !item_is_clean(&cell->items[0]) || !item_is_clean(&cell->items[1]) || (key && !item_is_clean(key));
        }
        return problems + (uint64_t)(!busy && skep_load(&shared->tables[1 - which]) != 0);
}

static const struct kind table_kind = {.name = "table", .shared_bytes = sizeof(struct shm_table)};

__attribute__((constructor)) static void table_register(void)
{
        kind_register(BLOCK_TABLE, &table_kind);
}
