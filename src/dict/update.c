/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update.c - set many keys as a whole.
 *
 * All that may fail comes first and is not seen: each cell concerned gets its next item into the place that does not count, and its
 * next word as `pending`; new keys get cells that are not live.  Then one word of the dict commits, and the words follow.
 *
 *   update      cells with a pending word                    left by
 *   PREPARING   more and more                                the writer, all of them ready: COMMITTED; or, undoing: NONE
 *   COMMITTED   first all; their words are set, then what
 *               counted before is dropped, and pending is 0  the writer: NONE
 *
 * CRASH.  dies                       found as                    repaired by (update_repair, before anything else)
 *         preparing                  busy, PREPARING             each pending cell: next item dropped; if it is not live, key and index too
 *         committed                  busy, COMMITTED             each pending cell: as the writer does
 *         in either repair           the same                    again; `pending` of a cell is cleared last
 */
#include "base/probe.h"
#include "dict/dict.h"

#include <errno.h>
#include <stdlib.h>

static void update_becomes(const struct store *store, enum dict_update update)
{
        skep_store(&((struct shm_dict *)store->shared)->update, update);
        PROBE("dict.update");
}

static void pending_becomes(struct shm_keyed_cell *cell, uint64_t word)
{
        skep_store(&cell->pending, word);
        PROBE("dict.pending");
}

/* The word that a cell is to have, and which nobody has had. */
static uint64_t next_word(const struct store *store, uint64_t word)
{
        uint64_t version = skep_load_relaxed(&store->shared->version) + 1;
        skep_store(&store->shared->version, version);
        return version << 2 | (word & CELL_LIVE ? ~word & 2 : 0) | CELL_LIVE;
}

/* --- committed --------------------------------------------------------------------------------------------------------------------- */

static void set_word(struct shm_keyed_cell *cell)
{
        uint64_t word = skep_load_relaxed(&cell->pending);
        if (!word || skep_load_relaxed(&cell->cell.word) == word)
                return;
        (void)skep_exchange(&cell->cell.word, word);
        PROBE("dict.word");
}

static void drop_before(struct skep_agent *agent, struct shm_keyed_cell *cell)
{
        uint64_t word = skep_load_relaxed(&cell->pending);
        if (!word)
                return;
        item_unlink(agent, &cell->cell.items[1 - cell_which(word)]);
        pending_becomes(cell, 0);
}

/* --- undone ---------------------------------------------------------------------------------------------------------------------------- */

static void undo(struct skep_agent *agent, struct shm_table *table, uint64_t cell)
{
        struct shm_keyed_cell *at = dict_cell(table, cell);
        uint64_t word = skep_load_relaxed(&at->pending);
        if (!word)
                return;
        item_unlink(agent, &at->cell.items[cell_which(word)]);
        if (!(skep_load_relaxed(&at->cell.word) & CELL_LIVE))
                table_take_back(agent, table, cell);
        pending_becomes(at, 0);
}

void update_repair(struct skep_agent *agent, const struct store *store, struct shm_table *table)
{
        uint64_t update = skep_load(&((struct shm_dict *)store->shared)->update);
        if (update == UPDATE_NONE)
                return;
        for (uint64_t i = 0; i < table->cell_max; i++)
                if (update == UPDATE_COMMITTED)
                        set_word(dict_cell(table, i));
                else
                        undo(agent, table, i);
        if (update == UPDATE_COMMITTED)
                store_grace(agent, store);
        for (uint64_t i = 0; i < table->cell_max && update == UPDATE_COMMITTED; i++)
                drop_before(agent, dict_cell(table, i));
        update_becomes(store, UPDATE_NONE);
}

/* --- the writer --------------------------------------------------------------------------------------------------------------------------- */

/* One of the entries. */
struct change {
        struct dict_key key;
        struct item_draft draft;
        uint64_t cell;
};

/* Beside what counts. @return 0; -ENOSPC, -EOVERFLOW, and what was done of it is pending */
static int prepare(struct skep_agent *agent, const struct store *store, struct shm_table *table, struct change *change)
{
        struct place place = table_find(store->hive, table, &change->key);
        uint64_t cell = place.cell < 0 ? skep_load_relaxed(&table->used) : (uint64_t)place.cell;
        struct shm_keyed_cell *at = dict_cell(table, cell);
        uint64_t pending = skep_load_relaxed(&at->pending);
        change->cell = cell;
        if (!pending) {
                pending = next_word(store, skep_load_relaxed(&at->cell.word));
                pending_becomes(at, pending);
        }
        struct shm_item *next = &at->cell.items[cell_which(pending)];
        item_unlink(agent, next); /* of an entry before with the same key */
        int result = place.cell < 0 ? table_add(agent, table, &change->key, place.slot) : 0;
        return result == 0 ? item_link(agent, next, &change->draft) : result;
}

static int update(struct skep_agent *agent, const struct skep_dict *dict, struct shm_table *table, struct change *changes, uint64_t count)
{
        const struct store *store = &dict->store;
        uint64_t missing = 0, done = 0, before;
        for (uint64_t i = 0; i < count; i++)
                missing += table_find(store->hive, table, &changes[i].key).cell < 0;
        int result = table_has_room(table, missing) ? 0 : table_rebuild(agent, store, &table, missing);
        if (result < 0)
                return result;
        before = skep_load_relaxed(&table->used);
        store_busy(agent, store, -1);
        update_becomes(store, UPDATE_PREPARING);
        while (done < count && result == 0)
                result = prepare(agent, store, table, &changes[done++]);
        if (result == 0) {
                update_becomes(store, UPDATE_COMMITTED);
                for (uint64_t i = 0; i < count; i++)
                        set_word(dict_cell(table, changes[i].cell));
                store_grace(agent, store);
                for (uint64_t i = 0; i < count; i++)
                        drop_before(agent, dict_cell(table, changes[i].cell));
                skep_store(&table->live, skep_load_relaxed(&table->live) + skep_load_relaxed(&table->used) - before);
        } else {
                while (done)
                        undo(agent, table, changes[--done].cell);
                table_trim(table);
        }
        update_becomes(store, UPDATE_NONE);
        store_idle(store);
        return result;
}

int skep_dict_update(skep_dict *dict, const struct skep_dict_entry *entries, uint64_t count)
{
        struct skep_agent *agent;
        struct shm_table *table;
        uint64_t ready = 0;
        if (count <= 1)
                return count ? skep_dict_set(dict, &entries->key, &entries->value) : 0;
        int result = object_self(&dict->base, &agent);
        if (result < 0)
                return result;
        struct change *changes = calloc(count, sizeof *changes);
        if (!changes)
                return -ENOMEM;
        while (ready < count && result == 0) {
                result = dict_key(dict, &entries[ready].key, &changes[ready].key);
                if (result == 0)
                        result = item_prepare(agent, &entries[ready].value, &changes[ready].draft);
                ready += result == 0;
        }
        if (result == 0)
                result = dict_lock(dict, &agent, &table);
        if (result == 0)
                result = dict_unlock(agent, dict, update(agent, dict, table, changes, count));
        while (ready)
                item_discard(agent, &changes[--ready].draft);
        free(changes);
        return result;
}
