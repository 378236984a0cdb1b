/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - what the files of a list share. */
#ifndef LIST_LIST_H
#define LIST_LIST_H

#include "claim/object.h"
#include "item/remote.h"
#include "item/store.h"

#include <skep/list.h>

#define CELLS_LEAST 8 /* of a table */

/* Its table's `used` is the list's length; cells from there on are nobody's (list.c). */
struct shm_list {
        struct shm_store store;
};

struct skep_list {
        struct object base;
        struct store store;
        uint64_t known; /* the store's */
};

/* The calling thread's agent. @return 0, -EUSERS, -ENOMEM, -ESTALE */
static inline int list_self(const skep_list *list, struct skep_agent **ret_agent)
{
        return object_self(&list->base, ret_agent);
}

/* Of another machine. */
static inline int list_far(const skep_list *list, uint32_t method, const int64_t *integers, uint32_t count, const struct skep_item *item, int64_t *ret_result,
                           struct skep_item *ret_item)
{
        return item_simple(&list->base, method, skep_nowait(), integers, count, item, NULL, ret_result, ret_item);
}

static inline struct shm_cell *list_cell(const struct shm_table *table, uint64_t index)
{
        return table_cell(table, index);
}

static inline uint64_t list_used(const struct shm_table *table)
{
        return skep_load(&table->used);
}

/* @return false: no such index in a list of that length */
static inline bool index_of(int64_t index, uint64_t length, uint64_t *ret_index)
{
        *ret_index = index < 0 ? length + (uint64_t)index : (uint64_t)index;
        return *ret_index < length;
}

static inline uint64_t version_of(uint64_t word)
{
        return word >> 2;
}

/* A slice of a list of that length: `count` indices from `first` on. */
struct range {
        uint64_t first, count;
        int64_t step;
};
struct range range_of(struct skep_slice slice, uint64_t length);

static inline uint64_t range_at(const struct range *range, uint64_t i)
{
        return range->first + i * (uint64_t)range->step;
}

/* --- all under the lock ---------------------------------------------------------------------------------------------------- */

/* Before each change that no cell's own word commits. */
void list_raise_version(const struct store *store);

/* Private copies of the items of a range. @param entries  [range->count] @return 0; negative: none is left */
int list_take_range(struct skep_agent *agent, const struct shm_table *table, const struct range *range, struct skep_list_entry *entries);

/* New items in place of those in [from, to), as a whole; the drafts have ended if 0. */
int list_splice(struct skep_agent *agent, const struct store *store, uint64_t from, uint64_t to, struct item_draft *drafts, uint64_t count);

/* New items at the end, as a whole. */
int list_extend(struct skep_agent *agent, const struct store *store, struct item_draft *drafts, uint64_t count);

/* --- drafts --------------------------------------------------------------------------------------------------------------------- */

/* Of items that are given, before the lock is taken. @return 0; negative: none is left */
int list_prepare(struct skep_agent *agent, const struct skep_item *items, uint64_t count, struct item_draft **ret_drafts);
/* Those that have not ended. @param drafts  NULL is allowed */
void list_discard(struct skep_agent *agent, struct item_draft *drafts, uint64_t count);

#endif
