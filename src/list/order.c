/* SPDX-License-Identifier: Apache-2.0 */
/*
 * order.c - slices of any step, reversal, permutation, sorting: a new table with the cells in another order.
 *
 * What is put in place of scattered items is first written behind `used`, where it is nobody's; the new table has it where it belongs, and
 * what it replaces behind `used`.  So before the root is exchanged the new items are what list_repair() empties, and afterwards the old ones.
 */
#include "list/list.h"

#include "base/checked.h"

#include <errno.h>
#include <stdlib.h>

/* Item i becomes what was in cell order[i], for [0, cells); those from `length` on go. */
static int reorder(struct skep_agent *agent, const struct store *store, const uint64_t *order, uint64_t cells, uint64_t length)
{
        const struct shm_table *old = store_table(store);
        struct shm_table *table;
        int result = store_rebuild(agent, store, old->cell_max, 0, &table);
        if (result < 0)
                return result;
        for (uint64_t i = 0; i < cells; i++)
                *list_cell(table, i) = *list_cell(old, order[i]);
        skep_store_relaxed(&table->used, length);
        skep_store_relaxed(&table->live, length);
        list_raise_version(store);
        store_exchange_on(agent, store, 0, 0);
        for (uint64_t i = length; i < cells; i++)
                cell_delete(agent, store, i);
        store_idle(store);
        return 0;
}

/* @return [count] of the identity; NULL: no memory */
static uint64_t *order_alloc(uint64_t count)
{
        uint64_t *order = malloc((count + !count) * sizeof *order);
        for (uint64_t i = 0; order && i < count; i++)
                order[i] = i;
        return order;
}

/* The indices of a range go behind the others. */
static void order_last(uint64_t *order, uint64_t count, const struct range *range)
{
        uint64_t step = range->step < 0 ? 0 - (uint64_t)range->step : (uint64_t)range->step, kept = 0, gone = 0;
        uint64_t first = range->step < 0 ? range_at(range, range->count - 1) : range->first;
        for (uint64_t i = 0; i < count; i++) {
                bool goes = gone < range->count && i == first + gone * step;
                if (goes)
                        order[count - range->count + gone++] = i;
                else
                        order[kept++] = i;
        }
}

/* --- slices --------------------------------------------------------------------------------------------------------------------------- */

/* Scattered items, as many as there are drafts. */
static int replace_scattered(struct skep_agent *agent, const struct store *store, const struct range *range, struct item_draft *drafts)
{
        uint64_t used = list_used(store_table(store)), done = 0;
        uint64_t *order = order_alloc(used + range->count);
        int result = order ? 0 : -ENOMEM;
        struct shm_table *table;
        if (result == 0 && range->count > store_table(store)->cell_max - used && (result = store_rebuild(agent, store, used + range->count, 0, &table)) == 0) {
                for (uint64_t i = 0; i < used; i++)
                        *list_cell(table, i) = *list_cell(store_table(store), i);
                skep_store_relaxed(&table->used, used);
                skep_store_relaxed(&table->live, used);
                store_exchange(agent, store, 0, 0);
        }
        if (result < 0) {
                free(order);
                return result;
        }
        store_busy(agent, store, -1);
        while (result == 0 && done < range->count)
                if ((result = cell_set(agent, store, used + done, &drafts[done])) == 0) {
                        order[range_at(range, done)] = used + done;
                        order[used + done] = range_at(range, done);
                        done++;
                }
        if (result == 0)
                result = reorder(agent, store, order, used + range->count, used);
        if (result < 0) {
                for (uint64_t i = 0; i < done; i++)
                        cell_delete(agent, store, used + i);
                store_idle(store);
        }
        free(order);
        return result;
}

int skep_list_set_slice(skep_list *list, struct skep_slice slice, const struct skep_item *items, uint64_t count, uint64_t *ret_length)
{
        struct skep_agent *agent;
        struct item_draft *drafts;
        const struct store *store = &list->store;
        int result = list_self(list, &agent);
        if (result == 0)
                result = list_prepare(agent, items, count, &drafts);
        if (result < 0)
                return result;
        result = store_lock(agent, store);
        if (result == 0) {
                uint64_t used = list_used(store_table(store));
                struct range range = range_of(slice, used);
                if (ret_length)
                        *ret_length = range.count;
                if (range.step == 1 && range.first == used && count)
                        result = list_extend(agent, store, drafts, count);
                else if (range.count == 1 && count == 1)
                        result = cell_set(agent, store, range.first, drafts);
                else if (range.step == 1 && (range.count || count))
                        result = list_splice(agent, store, range.first, range.first + range.count, drafts, count);
                else if (range.step != 1 && range.count != count)
                        result = -ERANGE;
                else if (count)
                        result = replace_scattered(agent, store, &range, drafts);
                store_unlock(agent, store, result == 0 && (count || range.count));
        }
        list_discard(agent, drafts, count);
        return result;
}

int skep_list_delete_slice(skep_list *list, struct skep_slice slice)
{
        struct skep_agent *agent;
        const struct store *store = &list->store;
        int result = list_self(list, &agent);
        if (result == 0)
                result = store_lock(agent, store);
        if (result < 0)
                return result;
        uint64_t used = list_used(store_table(store));
        struct range range = range_of(slice, used);
        if (range.count && (range.step == 1 || range.count == 1)) {
                result = list_splice(agent, store, range.first, range.first + range.count, NULL, 0);
        } else if (range.count) {
                uint64_t *order = order_alloc(used);
                if (order)
                        order_last(order, used, &range);
                result = order ? reorder(agent, store, order, used, used - range.count) : -ENOMEM;
                free(order);
        }
        store_unlock(agent, store, result == 0 && range.count);
        return result;
}

/* --- the whole ------------------------------------------------------------------------------------------------------------------------- */

int skep_list_reverse(skep_list *list)
{
        struct skep_agent *agent;
        int result = list_self(list, &agent);
        if (result == 0)
                result = store_lock(agent, &list->store);
        if (result < 0)
                return result;
        uint64_t used = list_used(store_table(&list->store)), *order = order_alloc(used);
        for (uint64_t i = 0; order && i < used; i++)
                order[i] = used - 1 - i;
        result = !order ? -ENOMEM : used ? reorder(agent, &list->store, order, used, used) : 0;
        free(order);
        store_unlock(agent, &list->store, result == 0 && used);
        return result;
}

static int check_permutation(const uint64_t *order, uint64_t count)
{
        uint8_t *seen = calloc(count + !count, 1);
        int result = seen ? 0 : -ENOMEM;
        for (uint64_t i = 0; i < count && result == 0; i++) {
                if (order[i] >= count || seen[order[i]])
                        result = -EINVAL;
                else
                        seen[order[i]] = 1;
        }
        free(seen);
        return result;
}

static bool is_unchanged(const struct shm_table *table, const struct skep_list_entry *entries, uint64_t count)
{
        bool same = list_used(table) == count;
        for (uint64_t i = 0; i < count && same; i++)
                same = version_of(skep_load(&list_cell(table, i)->word)) == entries[i].version;
        return same;
}

int skep_list_permute(skep_list *list, const struct skep_list_entry *entries, const uint64_t *order, uint64_t count)
{
        struct skep_agent *agent;
        int result = check_permutation(order, count);
        if (result == 0)
                result = list_self(list, &agent);
        if (result == 0)
                result = store_lock(agent, &list->store);
        if (result < 0)
                return result;
        if (!is_unchanged(store_table(&list->store), entries, count))
                result = -EAGAIN;
        else if (count)
                result = reorder(agent, &list->store, order, count, count);
        store_unlock(agent, &list->store, result == 0 && count);
        return result;
}

struct sorting {
        const struct skep_list_entry *entries;
        skep_list_compare *compare;
        void *context;
};

static void merge(const struct sorting *sorting, const uint64_t *from, uint64_t *to, uint64_t low, uint64_t middle, uint64_t high)
{
        uint64_t left = low, right = middle;
        for (uint64_t i = low; i < high; i++) {
                bool takes_left = right >= high;
                if (left < middle && right < high)
                        takes_left = sorting->compare(&sorting->entries[from[left]].item, &sorting->entries[from[right]].item, sorting->context) <= 0;
                to[i] = takes_left ? from[left++] : from[right++];
        }
}

/* Runs of 1, 2, 4 ... merged; what is sorted is in the one that is returned. */
static uint64_t *merge_sort(const struct sorting *sorting, uint64_t *order, uint64_t *other, uint64_t count)
{
        for (uint64_t run = 1; run < count; run *= 2) {
                for (uint64_t low = 0; low < count; low += 2 * run) {
                        uint64_t middle = low + run < count ? low + run : count, high = low + 2 * run < count ? low + 2 * run : count;
                        merge(sorting, order, other, low, middle, high);
                }
                uint64_t *merged = other;
                other = order;
                order = merged;
        }
        return order;
}

int skep_list_sort(skep_list *list, skep_list_compare *compare, void *context)
{
        struct skep_list_entry *entries;
        uint64_t count;
        int result;
        do {
                result = skep_list_get_slice(list, SKEP_SLICE_ALL, &entries, &count);
                if (result < 0)
                        return result;
                uint64_t *order = order_alloc(count), *other = order_alloc(count);
                struct sorting sorting = {entries, compare, context};
                result = order && other ? skep_list_permute(list, entries, merge_sort(&sorting, order, other, count), count) : -ENOMEM;
                free(order);
                free(other);
                skep_list_entries_free(entries, count);
        } while (result == -EAGAIN);
        return result;
}
