/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write.c - changes of single items, at the end, and of one range (see list.c for what commits them).
 *
 * An item is prepared before the lock is taken: memory, copies, checks.  Under it are some stores, or the copy of a table.
 */
#include "list/list.h"

#include "base/checked.h"
#include "base/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void list_raise_version(const struct store *store)
{
        skep_store_relaxed(&store->shared->version, skep_load_relaxed(&store->shared->version) + 1);
}

/* The lock, the table, and the index. @return 0, locked; -ERANGE, not */
static int lock_at(struct skep_agent *agent, const skep_list *list, int64_t given, struct shm_table **ret_table, uint64_t *ret_index)
{
        int result = store_lock(agent, &list->store);
        if (result < 0)
                return result;
        *ret_table = store_table(&list->store);
        if (index_of(given, list_used(*ret_table), ret_index))
                return 0;
        store_unlock(agent, &list->store, false);
        return -ERANGE;
}

static bool has_version(const struct shm_table *table, uint64_t index, uint64_t version)
{
        return version_of(skep_load(&list_cell(table, index)->word)) == version;
}

/* --- many at once ----------------------------------------------------------------------------------------------------------------------- */

static void copy_cells(struct shm_table *to, uint64_t to_index, const struct shm_table *from, uint64_t from_index, uint64_t count)
{
        if (count)
                memcpy(list_cell(to, to_index), list_cell(from, from_index), count * sizeof(struct shm_cell));
}

int list_splice(struct skep_agent *agent, const struct store *store, uint64_t from, uint64_t to, struct item_draft *drafts, uint64_t count)
{
        const struct shm_table *old = store_table(store);
        struct shm_table *table;
        uint64_t used = list_used(old), length = used - (to - from) + count;
        int result = store_rebuild(agent, store, power_of_two_from(length > CELLS_LEAST ? length : CELLS_LEAST), 0, &table);
        if (result < 0)
                return result;
        copy_cells(table, 0, old, 0, from);
        copy_cells(table, from + count, old, to, used - to);
        store_own(store, from, from + count);
        for (uint64_t i = 0; i < count && result == 0; i++)
                result = cell_fill(agent, store, table, from + i, &drafts[i]);
        if (result < 0) {
                store_abandon(agent, store);
                return result;
        }
        skep_store_relaxed(&table->used, length);
        skep_store_relaxed(&table->live, length);
        list_raise_version(store);
        store_exchange(agent, store, from, to);
        return 0;
}

int list_extend(struct skep_agent *agent, const struct store *store, struct item_draft *drafts, uint64_t count)
{
        struct shm_table *table = store_table(store);
        uint64_t used = list_used(table);
        bool blocks = false;
        int result = 0;
        if (count > table->cell_max - used)
                return list_splice(agent, store, used, used, drafts, count);
        for (uint64_t i = 0; i < count; i++)
                blocks = blocks || drafts[i].block;
        if (blocks)
                store_busy(agent, store, (int64_t)used);
        uint64_t done = 0;
        while (done < count && (result = cell_set(agent, store, used + done, &drafts[done])) == 0)
                done++;
        if (result == 0) {
                skep_store_relaxed(&table->live, used + count);
                skep_store(&table->used, used + count);
                PROBE("list.extended");
        }
        for (uint64_t i = 0; result < 0 && i < done; i++)
                cell_delete(agent, store, used + i);
        if (blocks)
                store_idle(store);
        return result;
}

/* The last item is no more. */
static void drop_last(struct skep_agent *agent, const struct store *store, struct shm_table *table, uint64_t last)
{
        const struct shm_cell *cell = list_cell(table, last);
        bool has_block = !item_is_clean(&cell->items[cell_which(skep_load(&cell->word))]);
        if (has_block)
                store_busy(agent, store, (int64_t)last);
        list_raise_version(store);
        skep_store_relaxed(&table->live, last);
        skep_store(&table->used, last);
        PROBE("list.popped");
        if (has_block) {
                cell_delete(agent, store, last);
                store_idle(store);
        }
}

/* --- at the end ---------------------------------------------------------------------------------------------------------------------------- */

int skep_list_append(skep_list *list, const struct skep_item *item)
{
        struct skep_agent *agent;
        struct item_draft draft;
        int result = list_self(list, &agent);
        if (result == 0)
                result = item_prepare(agent, item, &draft);
        if (result < 0)
                return result;
        result = store_lock(agent, &list->store);
        if (result == 0) {
                result = list_extend(agent, &list->store, &draft, 1);
                store_unlock(agent, &list->store, result == 0);
        }
        if (result < 0)
                item_discard(agent, &draft);
        return result;
}

int skep_list_extend(skep_list *list, const struct skep_item *items, uint64_t count)
{
        return skep_list_set_slice(list, (struct skep_slice){INT64_MAX, INT64_MAX, 1}, items, count, NULL);
}

int skep_list_repeat(skep_list *list, uint64_t times)
{
        struct skep_agent *agent;
        struct skep_list_entry *entries = NULL;
        struct item_draft *drafts = NULL;
        uint64_t count = 0, used = 0;
        int result = times ? list_self(list, &agent) : skep_list_clear(list);
        if (times < 2 || result < 0 || (result = store_lock(agent, &list->store)) < 0)
                return result;
        const struct shm_table *table = store_table(&list->store);
        struct range all = range_of(SKEP_SLICE_ALL, list_used(table));
        if (!checked_mul(all.count, times - 1, &count) || count > UINT32_MAX)
                result = -EOVERFLOW;
        if (result == 0 && count) {
                entries = calloc(all.count, sizeof *entries);
                drafts = calloc(count, sizeof *drafts);
                result = entries && drafts ? list_take_range(agent, table, &all, entries) : -ENOMEM;
                used = result == 0 ? all.count : 0;
        }
        for (uint64_t i = 0; i < count && result == 0; i++)
                if ((result = item_prepare(agent, &entries[i % all.count].item, &drafts[i])) < 0)
                        drafts[i] = (struct item_draft){0};
        if (result == 0 && count)
                result = list_extend(agent, &list->store, drafts, count);
        store_unlock(agent, &list->store, result == 0 && count);
        list_discard(agent, drafts, count);
        skep_list_entries_free(entries, used);
        return result;
}

/* --- single items ------------------------------------------------------------------------------------------------------------------------- */

static int set_if(skep_list *list, int64_t given, const uint64_t *version, const struct skep_item *item)
{
        struct skep_agent *agent;
        struct item_draft draft;
        struct shm_table *table;
        uint64_t index;
        int result = list_self(list, &agent);
        if (result == 0)
                result = item_prepare(agent, item, &draft);
        if (result < 0)
                return result;
        result = lock_at(agent, list, given, &table, &index);
        if (result == 0) {
                result = version && !has_version(table, index, *version) ? -EAGAIN : cell_set(agent, &list->store, index, &draft);
                store_unlock(agent, &list->store, result == 0);
        }
        if (result < 0)
                item_discard(agent, &draft);
        return result;
}

int skep_list_set(skep_list *list, int64_t index, const struct skep_item *item)
{
        return set_if(list, index, NULL, item);
}

int skep_list_set_if(skep_list *list, int64_t index, uint64_t version, const struct skep_item *item)
{
        return set_if(list, index, &version, item);
}

int skep_list_insert(skep_list *list, int64_t index, const struct skep_item *item)
{
        return skep_list_set_slice(list, (struct skep_slice){index, index, 1}, item, 1, NULL);
}

/* @return 0; -EAGAIN another version; -ERANGE; ... */
static int take_out(skep_list *list, int64_t given, const uint64_t *version, struct skep_item *ret_item)
{
        struct skep_agent *agent;
        struct shm_table *table;
        struct skep_list_entry entry = {.item = skep_item_none()};
        uint64_t index;
        int result = list_self(list, &agent);
        if (result == 0)
                result = lock_at(agent, list, given, &table, &index);
        if (result < 0)
                return result;
        if (version && !has_version(table, index, *version))
                result = -EAGAIN;
        else if (ret_item)
                result = list_take_range(agent, table, &(struct range){index, 1, 1}, &entry);
        if (result == 0 && index + 1 == list_used(table))
                drop_last(agent, &list->store, table, index);
        else if (result == 0)
                result = list_splice(agent, &list->store, index, index + 1, NULL, 0);
        store_unlock(agent, &list->store, result == 0);
        if (result < 0)
                skep_item_clear(&entry.item);
        else if (ret_item)
                *ret_item = entry.item;
        return result;
}

int skep_list_pop(skep_list *list, int64_t index, struct skep_item *ret_item)
{
        return take_out(list, index, NULL, ret_item);
}

int skep_list_delete_if(skep_list *list, int64_t index, uint64_t version)
{
        return take_out(list, index, &version, NULL);
}

int skep_list_remove(skep_list *list, const struct skep_item *item)
{
        struct skep_list_entry *entries;
        uint64_t count;
        int result;
        do {
                result = skep_list_get_slice(list, SKEP_SLICE_ALL, &entries, &count);
                if (result < 0)
                        return result;
                result = -ENOENT;
                for (uint64_t i = 0; i < count && result == -ENOENT; i++)
                        if (skep_item_equal(&entries[i].item, item))
                                result = skep_list_delete_if(list, (int64_t)i, entries[i].version);
                skep_list_entries_free(entries, count);
        } while (result == -EAGAIN || result == -ERANGE); /* it has moved meanwhile: another one got on */
        return result;
}

int skep_list_clear(skep_list *list)
{
        return skep_list_delete_slice(list, SKEP_SLICE_ALL);
}

/* --- numbers -------------------------------------------------------------------------------------------------------------------------------- */

static bool is_number(const struct skep_item *item)
{
        return item->kind == SKEP_ITEM_BOOL || item->kind == SKEP_ITEM_INTEGER || item->kind == SKEP_ITEM_FLOAT;
}

static double real_of(const struct skep_item *item)
{
        return item->kind == SKEP_ITEM_FLOAT ? item->real : (double)item->integer;
}

static int sum_of(const struct skep_item *left, const struct skep_item *right, struct skep_item *ret_sum)
{
        int64_t integer;
        if (!is_number(left) || !is_number(right))
                return -EPROTOTYPE;
        if (left->kind == SKEP_ITEM_FLOAT || right->kind == SKEP_ITEM_FLOAT) {
                *ret_sum = skep_item_float(real_of(left) + real_of(right));
                return 0;
        }
        if (__builtin_add_overflow(left->integer, right->integer, &integer))
                return -EOVERFLOW;
        *ret_sum = skep_item_integer(integer);
        return 0;
}

int skep_list_add(skep_list *list, int64_t given, const struct skep_item *operand, struct skep_item *ret_sum)
{
        struct skep_agent *agent;
        struct shm_table *table;
        struct skep_list_entry entry;
        struct skep_item sum;
        struct item_draft draft;
        uint64_t index;
        int result = list_self(list, &agent);
        if (result == 0)
                result = lock_at(agent, list, given, &table, &index);
        if (result < 0)
                return result;
        result = list_take_range(agent, table, &(struct range){index, 1, 1}, &entry);
        if (result == 0) {
                result = sum_of(&entry.item, operand, &sum);
                skep_item_clear(&entry.item);
        }
        if (result == 0)
                result = item_prepare(agent, &sum, &draft); /* takes no memory: a number */
        if (result == 0)
                result = cell_set(agent, &list->store, index, &draft);
        store_unlock(agent, &list->store, result == 0);
        if (result == 0 && ret_sum)
                *ret_sum = sum;
        return result;
}
