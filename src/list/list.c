/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.c - make and find a list; what is nobody's in its table; verification, and what its kind says.
 *
 * A list is a store (item/store.h) without keys; item i lies in cell i of its table.  Reading is read.c, changes at the end and of
 * single items write.c, new orders order.c.
 *
 * THE LENGTH is the table's `used`: a change at the end is committed by its store, one of a single item by the cell's word, any
 * other by the root, which names the table.  Cells from `used` on are nobody's:
 *
 *   cell >= used                     left by                                    to
 *   empty, or a plain item           append, extend: cell_set()                 written, with `busy` if an item lies in a block
 *   written                          the same: `used`                           an item
 *   an item, no more (`used` - 1)    pop: `busy`, if it lies in a block         empty, by cell_delete(); a plain one stays as it is
 *   replaced (order.c)               the root, with `busy`                      empty, by cell_delete()
 *
 * READERS believe a cell if its word is the same before and after they saw `used` beyond it: so what an append had not committed,
 * or a pop had taken, is not seen.
 *
 * VERSIONS.  The store's version is raised before each commit.  Who read it under the lock, and finds it unchanged, has missed nothing.
 *
 * CRASH.  dies                                          found as             repaired by
 *         making one, before it has a table or a name   claimed by the dead  the reaper: it goes
 *         changing it, `busy` set or not                the lock             store.c; list_repair() first empties all cells from `used` on
 *         destroying                                    RETIRED(dead)        the reaper goes on
 */
#include "list/list.h"

#include "sync/lock.h"

#include <errno.h>
#include <skep/inspect.h>
#include <stdlib.h>

static void list_repair(struct skep_agent *agent, struct shm_store *shared, int64_t cell);

static struct store store_at(skep_hive *hive, void *shared)
{
        return (struct store){.hive = hive, .shared = shared, .repair = list_repair};
}

static void list_repair(struct skep_agent *agent, struct shm_store *shared, int64_t cell)
{
        struct store store = store_at(agent->hive, shared);
        struct shm_table *table = store_table(&store);
        (void)cell;
        for (uint64_t i = table ? list_used(table) : 0; table && i < table->cell_max; i++) {
                const struct shm_cell *at = list_cell(table, i);
                if (skep_load(&at->word) & CELL_LIVE || !item_is_clean(&at->items[0]) || !item_is_clean(&at->items[1]))
                        cell_delete(agent, &store, i);
        }
}

static int list_complete(struct object *object)
{
        skep_list *list = (skep_list *)object;
        list->store = store_at(object->hive, object->shared);
        list->store.known = &list->known;
        return 0;
}

int skep_list_create(skep_hive *hive, const struct skep_list_options *given, skep_list **ret_list)
{
        struct skep_list_options options;
        struct skep_agent *agent;
        struct object *object;
        int result = options_copy(&options, sizeof options, given);
        if (result == 0 && hive->remote) {
                result = object_create_remote(hive, BLOCK_LIST, options.name, &REMOTE_INTEGER(options.capacity), 1, &object);
                if (result == 0)
                        *ret_list = (skep_list *)object;
                return result;
        }
        if (result == 0 && options.name)
                result = name_check(options.name);
        if (result == 0)
                result = agent_self(hive, &agent);
        if (result == 0)
                result = object_make(agent, BLOCK_LIST, sizeof(struct shm_list), NULL, NULL, &object);
        if (result < 0)
                return result;
        struct store store = store_at(hive, object->shared);
        result = store_format(agent, &store, options.capacity > CELLS_LEAST ? options.capacity : CELLS_LEAST, 0);
        if (result < 0)
                object_unref(object);
        else if ((result = object_publish(agent, object, options.name)) == 0)
                *ret_list = (skep_list *)object;
        return result;
}

OBJECT_FUNCTIONS(list, BLOCK_LIST)

skep_hive *skep_list_hive(const skep_list *list)
{
        return list->base.hive->remote ? list->base.hive->remote->hive : list->base.hive;
}

/* --- slices ------------------------------------------------------------------------------------------------------------------------ */

/* Into [least, most], counting from the end if negative. */
static int64_t bound(int64_t index, int64_t length, int64_t least, int64_t most)
{
        if (index < 0)
                index += length;
        return index < least ? least : index > most ? most : index;
}

struct range range_of(struct skep_slice slice, uint64_t length)
{
        int64_t step = slice.step ? slice.step : 1, end = (int64_t)length, first, stop;
        uint64_t count = 0;
        first = step > 0 ? bound(slice.start, end, 0, end) : bound(slice.start, end, -1, end - 1);
        stop = step > 0 ? bound(slice.stop, end, 0, end) : bound(slice.stop, end, -1, end - 1);
        if (step > 0 && first < stop)
                count = (uint64_t)(stop - first - 1) / (uint64_t)step + 1;
        else if (step < 0 && stop < first)
                count = (uint64_t)(first - stop - 1) / (0 - (uint64_t)step) + 1;
        return (struct range){first < 0 ? 0 : (uint64_t)first, count, step};
}

/* --- drafts ------------------------------------------------------------------------------------------------------------------------ */

void list_discard(struct skep_agent *agent, struct item_draft *drafts, uint64_t count)
{
        for (uint64_t i = 0; drafts && i < count; i++)
                item_discard(agent, &drafts[i]);
        free(drafts);
}

int list_prepare(struct skep_agent *agent, const struct skep_item *items, uint64_t count, struct item_draft **ret_drafts)
{
        struct item_draft *drafts = calloc(count + !count, sizeof *drafts);
        int result = drafts ? 0 : -ENOMEM;
        for (uint64_t i = 0; i < count && result == 0; i++) {
                result = item_prepare(agent, &items[i], &drafts[i]);
                if (result < 0)
                        drafts[i] = (struct item_draft){0};
        }
        if (result < 0)
                list_discard(agent, drafts, count);
        else
                *ret_drafts = drafts;
        return result;
}

/* --- kind ----------------------------------------------------------------------------------------------------------------------------- */

static bool find(skep_hive *hive, const struct shm_block *block, struct store *ret_store)
{
        uint64_t bytes;
        void *shared = heap_data(hive, block, &bytes);
        if (!shared || bytes < sizeof(struct shm_list))
                return false;
        *ret_store = store_at(hive, shared);
        return true;
}

static void list_destroy(struct skep_agent *agent, struct shm_block *block)
{
        struct store store;
        if (find(agent->hive, block, &store))
                store_destroy(agent, &store);
}

static void list_recover(struct reap *reap, struct shm_block *block)
{
        struct store store;
        if (find(reap->hive, block, &store))
                store_recover(reap, &store);
}

static uint64_t list_verify(skep_hive *hive, struct shm_block *block)
{
        struct store store;
        if (!find(hive, block, &store))
                return 1;
        uint64_t problems = store_verify(&store);
        const struct shm_table *table = store_table(&store);
        for (uint64_t i = 0; table && i < table->cell_max; i++) {
                const struct shm_cell *cell = list_cell(table, i);
                uint64_t word = skep_load(&cell->word);
                if (i < list_used(table))
                        problems += !(word & CELL_LIVE);
                else if (!skep_load(&store.shared->busy))
                        problems += word & CELL_LIVE && !item_is_clean(&cell->items[cell_which(word)]);
        }
        return problems;
}

static void list_inspect(skep_hive *hive, struct shm_block *block, struct skep_object_info *info)
{
        struct store store;
        if (!find(hive, block, &store))
                return;
        const struct shm_table *table = store_table(&store);
        int member = agent_member(hive, lock_owner(&store.shared->lock));
        info->value = table ? list_used(table) : 0;
        info->owner_pid = member < 0 ? 0 : member_pid(hive, (uint32_t)member);
}

static const struct kind list_kind = {
        .name = "list",
        .shared_bytes = sizeof(struct shm_list),
        .handle_bytes = sizeof(struct skep_list),
        .complete = list_complete,
        .destroy = list_destroy,
        .recover = list_recover,
        .verify = list_verify,
        .inspect = list_inspect,
};

__attribute__((constructor)) static void list_register(void)
{
        kind_register(BLOCK_LIST, &list_kind);
}
