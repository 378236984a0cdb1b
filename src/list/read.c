/* SPDX-License-Identifier: Apache-2.0 */
/* read.c - looking at a list: items, and slices as they were at one instant (see list.c for what makes a cell believable). */
#include "list/list.h"

#include "base/checked.h"

#include <errno.h>
#include <stdlib.h>

#define READ_AT_A_TIME 64u /* items between store_read() and its end: writers that free something wait so long */
#define TRIES_MAX 8

int skep_list_length(skep_list *list, uint64_t *ret_length)
{
        struct skep_agent *agent;
        int result = list_self(list, &agent);
        const struct shm_table *table = result < 0 ? NULL : store_read(agent, &list->store);
        if (!table)
                return result < 0 ? result : -EBADMSG;
        *ret_length = list_used(table);
        store_read_end(agent);
        return 0;
}

/* While reading, or under the lock. @return 0; -ERANGE; -EAGAIN it changed just now */
static int read_cell(const struct shm_table *table, int64_t given, struct shm_item *ret_copy, uint64_t *ret_word)
{
        uint64_t index, used = list_used(table);
        if (!index_of(given, used, &index))
                return -ERANGE;
        const struct shm_cell *cell = list_cell(table, index);
        if (!cell_read(cell, ret_copy, ret_word))
                return -EAGAIN;
        uint64_t now = list_used(table);
        if (now <= index || (given < 0 && now != used) || skep_load(&cell->word) != *ret_word)
                return -EAGAIN;
        return 0;
}

static int take_cell(struct skep_agent *agent, const struct shm_table *table, int64_t index, struct skep_item *ret_item, uint64_t *ret_version)
{
        struct shm_item copy;
        uint64_t word;
        int result = read_cell(table, index, &copy, &word);
        if (result == 0 && ret_item)
                result = item_take(agent, &copy, ret_item);
        if (result == 0 && ret_version)
                *ret_version = version_of(word);
        return result;
}

static int locked_get(struct skep_agent *agent, const skep_list *list, int64_t index, struct skep_item *ret_item, uint64_t *ret_version)
{
        int result = store_lock(agent, &list->store);
        if (result < 0)
                return result;
        result = take_cell(agent, store_table(&list->store), index, ret_item, ret_version);
        store_unlock(agent, &list->store, false);
        return result == -EAGAIN ? -EBADMSG : result;
}

int skep_list_get(skep_list *list, int64_t index, struct skep_item *ret_item, uint64_t *ret_version)
{
        struct skep_agent *agent;
        int result = list_self(list, &agent);
        if (result < 0)
                return result;
        result = -EAGAIN;
        for (int tries = 0; tries < TRIES_MAX && result == -EAGAIN; tries++) {
                const struct shm_table *table = store_read(agent, &list->store);
                if (!table)
                        return -EBADMSG;
                result = take_cell(agent, table, index, ret_item, ret_version);
                store_read_end(agent);
        }
        return result == -EAGAIN ? locked_get(agent, list, index, ret_item, ret_version) : result;
}

/* --- slices --------------------------------------------------------------------------------------------------------------------------- */

static void drop(struct skep_list_entry *entries, uint64_t count)
{
        for (uint64_t i = 0; i < count; i++)
                skep_item_clear(&entries[i].item);
}

void skep_list_entries_free(struct skep_list_entry *entries, uint64_t count)
{
        if (entries)
                drop(entries, count);
        free(entries);
}

/* While reading, or under the lock: items [from, to) of a range. @return 0; -EAGAIN; negative: none of them is left */
static int take_some(struct skep_agent *agent, const struct shm_table *table, const struct range *range, uint64_t from, uint64_t to,
                     struct skep_list_entry *entries)
{
        int result = 0;
        uint64_t i;
        for (i = from; i < to && result == 0; i++) {
                uint64_t index = range_at(range, i), word = 0;
                struct shm_item copy;
                if (index >= table->cell_max || !cell_read(list_cell(table, index), &copy, &word))
                        result = -EAGAIN;
                else
                        result = item_take(agent, &copy, &entries[i].item);
                entries[i].version = version_of(word);
        }
        if (result < 0)
                drop(entries + from, i - 1 - from);
        return result;
}

int list_take_range(struct skep_agent *agent, const struct shm_table *table, const struct range *range, struct skep_list_entry *entries)
{
        int result = take_some(agent, table, range, 0, range->count, entries);
        return result == -EAGAIN ? -EBADMSG : result;
}

/* Room for the entries of a range. @return 0, -ENOMEM */
static int entries_alloc(const struct range *range, struct skep_list_entry **ret_entries)
{
        *ret_entries = range->count ? calloc(range->count, sizeof **ret_entries) : NULL;
        return range->count && !*ret_entries ? -ENOMEM : 0;
}

/*
 * Without the lock: it was one instant if neither the root nor the version has changed between first and last load.  A writer
 * raises the version before it commits, so of those that raised it before our first load at most one has yet to commit, by
 * one store: then what we have is what was there before that store, or after it.
 */
static int try_slice(struct skep_agent *agent, const skep_list *list, struct skep_slice slice, struct skep_list_entry **ret_entries, struct range *ret_range)
{
        struct shm_store *shared = list->store.shared;
        uint64_t version = skep_load(&shared->version), root = skep_load(&shared->root), done = 0;
        const struct shm_table *table = store_read(agent, &list->store);
        if (!table)
                return -EBADMSG;
        *ret_range = range_of(slice, list_used(table));
        store_read_end(agent);
        int result = entries_alloc(ret_range, ret_entries);
        while (result == 0 && done < ret_range->count) {
                uint64_t to = ret_range->count - done > READ_AT_A_TIME ? done + READ_AT_A_TIME : ret_range->count;
                table = store_read(agent, &list->store);
                result = table ? take_some(agent, table, ret_range, done, to, *ret_entries) : -EBADMSG;
                if (table)
                        store_read_end(agent);
                if (result == 0)
                        done = to;
        }
        skep_fence_acquire();
        if (result == 0 && (skep_load(&shared->version) != version || skep_load(&shared->root) != root))
                result = -EAGAIN;
        if (result < 0)
                skep_list_entries_free(*ret_entries, done);
        return result;
}

static int locked_slice(struct skep_agent *agent, const skep_list *list, struct skep_slice slice, struct skep_list_entry **ret_entries, struct range *ret_range)
{
        int result = store_lock(agent, &list->store);
        if (result < 0)
                return result;
        const struct shm_table *table = store_table(&list->store);
        *ret_range = range_of(slice, list_used(table));
        result = entries_alloc(ret_range, ret_entries);
        if (result == 0 && (result = list_take_range(agent, table, ret_range, *ret_entries)) < 0)
                free(*ret_entries);
        store_unlock(agent, &list->store, false);
        return result;
}

int skep_list_get_slice(skep_list *list, struct skep_slice slice, struct skep_list_entry **ret_entries, uint64_t *ret_count)
{
        struct skep_agent *agent;
        struct range range = {0};
        int result = list_self(list, &agent);
        if (result < 0)
                return result;
        result = -EAGAIN;
        for (int tries = 0; tries < TRIES_MAX && result == -EAGAIN; tries++)
                result = try_slice(agent, list, slice, ret_entries, &range);
        if (result == -EAGAIN)
                result = locked_slice(agent, list, slice, ret_entries, &range);
        *ret_count = range.count;
        return result;
}

int skep_list_index(skep_list *list, const struct skep_item *item, int64_t start, int64_t stop, uint64_t *ret_index)
{
        struct skep_list_entry *entries;
        uint64_t count, length;
        int result = skep_list_get_slice(list, SKEP_SLICE_ALL, &entries, &length);
        if (result < 0)
                return result;
        struct range range = range_of((struct skep_slice){start, stop, 1}, length);
        result = -ENOENT;
        for (count = 0; count < range.count && result < 0; count++)
                if (skep_item_equal(&entries[range.first + count].item, item)) {
                        *ret_index = range.first + count;
                        result = 0;
                }
        skep_list_entries_free(entries, length);
        return result;
}

int skep_list_count(skep_list *list, const struct skep_item *item, uint64_t *ret_count)
{
        struct skep_list_entry *entries;
        uint64_t length, count = 0;
        int result = skep_list_get_slice(list, SKEP_SLICE_ALL, &entries, &length);
        if (result < 0)
                return result;
        for (uint64_t i = 0; i < length; i++)
                count += skep_item_equal(&entries[i].item, item);
        skep_list_entries_free(entries, length);
        *ret_count = count;
        return 0;
}

/* --- waiting ------------------------------------------------------------------------------------------------------------------------------ */

int skep_list_version(skep_list *list, uint64_t *ret_version)
{
        struct skep_agent *agent;
        int result = list_self(list, &agent);
        if (result == 0)
                result = store_lock(agent, &list->store);
        if (result < 0)
                return result;
        *ret_version = skep_load(&list->store.shared->version);
        store_unlock(agent, &list->store, false);
        return 0;
}

int skep_list_wait(skep_list *list, uint64_t version, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = list_self(list, &agent);
        while (result == 0) {
                uint32_t key = store_wait_key(&list->store);
                if (skep_load(&list->store.shared->version) != version)
                        break;
                result = store_wait(agent, &list->store, key, deadline);
        }
        return result;
}
