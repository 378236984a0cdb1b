/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.c - the index of a dict's table: open addressing over cells that stand in the order in which their keys came.
 *
 * A SLOT of the index is one word: {upper half of the hash 32, cell + 1 : 32}.
 *
 *   state    word          left by                                                          to
 *   EMPTY    0             table_add()                                                      NAMES a cell
 *   NAMES    {hash, n}     table_unindex(), when the cell is not live any more              GONE; EMPTY if a probe would end behind it anyway
 *   GONE     {0, ~0}       table_add(); table_unindex() of the slot behind                  NAMES; EMPTY
 *
 * A key's slots are hash, hash + 1 ... modulo their number; a probe ends at an EMPTY one.  No word moves within a table: what is
 * to stand elsewhere gets a new table.  At least half of the slots are no cell's, and at least a quarter is EMPTY.
 *
 * WHO SEES WHAT.  The cell's word alone says whether a key is there.  It is set last when a key comes, and cleared first when it
 * goes; so readers pass over words that name a cell which is not live.  A cell at the end may be given to another key, and
 * the reader that has just compared the first one must not take the second one's value: he compares the cell's word before and
 * after, and no word comes twice.  A reader that finds nothing may have missed a key which was deleted and set again meanwhile,
 * in another slot: there was a moment in his call when it was not there.
 *
 * HINTS.  used: cells [used, cell_max) are not live.  live: of the cells.  filled: slots that are not EMPTY.  All three are counted anew
 * when a writer died.
 *
 * SOURCE. Linear probing; compact and ordered as in R. Hettinger's "More compact dictionaries with faster iteration" (2012).
 */
#include "base/probe.h"
#include "dict/dict.h"

#include <errno.h>
#include <string.h>

#define SLOT_GONE UINT64_C(0xffffffff)

static uint64_t slot_word(uint64_t hash, uint64_t cell)
{
        return (hash & ~SLOT_GONE) | (cell + 1);
}

/* The cell that a word names to who looks for that hash; at least cell_max: none. */
static uint64_t slot_cell(uint64_t word, uint64_t hash)
{
        return (word ^ hash) >> 32 ? UINT64_MAX : (uint32_t)word - UINT64_C(1);
}

static bool is_live(const struct shm_keyed_cell *cell)
{
        return skep_load(&cell->cell.word) & CELL_LIVE;
}

/* --- reading ------------------------------------------------------------------------------------------------------------------------ */

static bool cell_look(const skep_hive *hive, const struct shm_keyed_cell *cell, const struct skep_item *key, struct shm_item *ret_item,
                      uint64_t *ret_word)
{
        uint64_t before;
        do {
                before = skep_load(&cell->cell.word);
                if (!(before & CELL_LIVE) || !item_matches(hive, &cell->key, key) || !cell_read(&cell->cell, ret_item, ret_word))
                        return false;
        } while (*ret_word != before); /* cell_read() looks at the word last, behind a fence: the key was ours all the time */
        return true;
}

bool table_look_up(const skep_hive *hive, struct shm_table *table, const struct dict_key *key, struct shm_item *ret_item, uint64_t *ret_word)
{
        const uint64_t *index = table_index(table);
        uint64_t slots = table->index_slots, cell_max = table->cell_max, mask = slots - 1;
        for (uint64_t i = key->hash, end = i + slots; i != end; i++) {
                uint64_t word = skep_load(&index[i & mask]); /* acquire: pairs with (T1) */
                if (!word)
                        return false;
                uint64_t cell = slot_cell(word, key->hash);
                if (cell < cell_max && cell_look(hive, dict_cell(table, cell), key->item, ret_item, ret_word))
                        return true;
        }
        return false;
}

/* --- for who holds the lock ------------------------------------------------------------------------------------------------------------ */

struct place table_find(const skep_hive *hive, struct shm_table *table, const struct dict_key *key)
{
        const uint64_t *index = table_index(table);
        uint64_t slots = table->index_slots, mask = slots - 1, free_slot = UINT64_MAX;
        for (uint64_t i = key->hash, end = i + slots; i != end; i++) {
                uint64_t word = skep_load_relaxed(&index[i & mask]);
                if (free_slot == UINT64_MAX && (!word || word == SLOT_GONE))
                        free_slot = i & mask;
                if (!word)
                        break;
                uint64_t cell = slot_cell(word, key->hash);
                if (cell >= table->cell_max)
                        continue;
                const struct shm_keyed_cell *at = dict_cell(table, cell);
                if ((is_live(at) || skep_load_relaxed(&at->pending)) && item_matches(hive, &at->key, key->item))
                        return (struct place){(int64_t)cell, i & mask};
        }
        return (struct place){-1, free_slot};
}

uint64_t table_slot_of(struct shm_table *table, uint64_t cell)
{
        const uint64_t *index = table_index(table);
        uint64_t hash = skep_load_relaxed(&dict_cell(table, cell)->hash), slots = table->index_slots, mask = slots - 1;
        for (uint64_t i = hash, end = i + slots; i != end; i++) {
                uint64_t word = skep_load_relaxed(&index[i & mask]);
                if (!word)
                        break;
                if (slot_cell(word, hash) == cell)
                        return i & mask;
        }
        return UINT64_MAX;
}

bool table_has_room(const struct shm_table *table, uint64_t more)
{
        uint64_t used = skep_load_relaxed(&table->used), filled = skep_load_relaxed(&table->filled);
        return used <= table->cell_max && more <= table->cell_max - used && filled + more <= table->index_slots / 4 * 3;
}

bool table_is_sparse(const struct shm_table *table)
{
        return table->cell_max > 2 * DICT_CELL_MIN && skep_load_relaxed(&table->live) < table->cell_max / 4;
}

int table_sizes(uint64_t keys, uint64_t *ret_cells, uint64_t *ret_slots)
{
        uint64_t cells = keys < DICT_CELL_MIN ? DICT_CELL_MIN : keys, slots = 2 * DICT_CELL_MIN;
        if (cells >= UINT32_MAX)
                return -EOVERFLOW;
        while (slots < 2 * cells)
                slots *= 2;
        *ret_cells = cells;
        *ret_slots = slots;
        return 0;
}

static void index_put(struct shm_table *table, uint64_t slot, uint64_t hash, uint64_t cell)
{
        uint64_t *word = &table_index(table)[slot];
        skep_store_relaxed(&table->filled, skep_load_relaxed(&table->filled) + !skep_load_relaxed(word));
        skep_store(word, slot_word(hash, cell)); /* (T1) release: the reader who finds it sees the hash and the key */
        PROBE("dict.indexed");
}

int table_rebuild(struct skep_agent *agent, const struct store *store, struct shm_table **table, uint64_t more)
{
        struct shm_table *old = *table, *fresh;
        uint64_t live = skep_load_relaxed(&old->live), cells, slots, count = 0, used = skep_load_relaxed(&old->used);
        int result = more < UINT32_MAX ? table_sizes(live + more + live / 2, &cells, &slots) : -EOVERFLOW;
        if (result == 0)
                result = store_rebuild(agent, store, cells, slots, &fresh);
        if (result < 0)
                return result;
        uint64_t *index = table_index(fresh);
        for (uint64_t i = 0; i < used && count < cells; i++) {
                const struct shm_keyed_cell *from = dict_cell(old, i);
                if (!is_live(from))
                        continue;
                uint64_t slot = from->hash & (slots - 1);
                *dict_cell(fresh, count) = *from; /* nobody sees the new one yet, nobody writes to the old one */
                while (index[slot])
                        slot = (slot + 1) & (slots - 1);
                index[slot] = slot_word(from->hash, count++);
        }
        fresh->used = fresh->live = fresh->filled = count;
        store_exchange(agent, store, 0, 0);
        *table = fresh;
        return 0;
}

int table_add(struct skep_agent *agent, struct shm_table *table, const struct dict_key *key, uint64_t slot)
{
        struct item_draft draft;
        uint64_t cell = skep_load_relaxed(&table->used);
        struct shm_keyed_cell *at = dict_cell(table, cell);
        int result = item_prepare(agent, key->item, &draft);
        if (result < 0)
                return result;
        skep_store_relaxed(&at->hash, key->hash);
        result = item_link(agent, &at->key, &draft);
        if (result < 0) {
                item_discard(agent, &draft);
                return result;
        }
        PROBE("dict.key");
        index_put(table, slot, key->hash, cell);
        skep_store(&table->used, cell + 1);
        PROBE("dict.used");
        return 0;
}

void table_unindex(struct shm_table *table, uint64_t slot)
{
        uint64_t *index = table_index(table), mask = table->index_slots - 1, emptied = 0;
        if (slot == UINT64_MAX)
                return;
        skep_store(&index[slot], SLOT_GONE);
        PROBE("dict.gone");
        if (skep_load_relaxed(&index[(slot + 1) & mask]))
                return;
        for (; skep_load_relaxed(&index[slot]) == SLOT_GONE; slot = (slot - 1) & mask) {
                skep_store(&index[slot], 0);
                PROBE("dict.emptied");
                emptied++;
        }
        skep_store_relaxed(&table->filled, skep_load_relaxed(&table->filled) - emptied);
}

void table_trim(struct shm_table *table)
{
        uint64_t used = skep_load_relaxed(&table->used), before = used;
        while (used && !is_live(dict_cell(table, used - 1)))
                used--;
        if (used != before)
                skep_store(&table->used, used);
}

void table_recount(struct shm_table *table)
{
        uint64_t live = 0, filled = 0, used = 0;
        for (uint64_t i = 0; i < table->cell_max; i++)
                if (is_live(dict_cell(table, i))) {
                        live++;
                        used = i + 1;
                }
        for (uint64_t i = 0; i < table->index_slots; i++)
                filled += skep_load_relaxed(&table_index(table)[i]) != 0;
        skep_store(&table->used, used);
        skep_store(&table->live, live);
        skep_store(&table->filled, filled);
        PROBE("dict.counted");
}

void table_take_back(struct skep_agent *agent, struct shm_table *table, uint64_t cell)
{
        table_unindex(table, table_slot_of(table, cell));
        item_unlink(agent, &dict_cell(table, cell)->key);
}
