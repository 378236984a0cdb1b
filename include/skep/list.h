/* SPDX-License-Identifier: Apache-2.0 */
/**
 * list.h - items in an order, that all processes of a hive see.
 *
 * INDICES   from 0; negative ones count from the end at the moment of the call.
 * VALUES    any item (item.h).  An array or another object is a reference: nothing is copied in or out, and the list keeps it alive.
 *           A list that holds itself keeps itself alive until the hive goes.
 * READERS   (get, length, and slices unless writers never pause) take no lock and wait for nobody, whether a writer works, sleeps or is dead.
 * WRITERS   take turns, by a lock of the list's own that is held for the time of one call.
 * VERSIONS  each setting gives its item a version that this list never gives again, and that goes along when the item moves; so "is it still
 *           what I read" is a comparison of two numbers (skep_list_set_if(), skep_list_delete_if(), skep_list_permute()).
 * CRASH     a call is done or not done as a whole, whatever its length; also for who reads a slice at the same time.  What a dead writer was
 *           in the middle of is finished or undone by the next one, or by the reaper.
 *
 * Results that all calls may give beside their own: -EINVAL not a kind of item; -EBADMSG the list is damaged; -EUSERS; -ENOMEM.  All that
 * write, -ENOSPC hive full, -EOVERFLOW, -ESTALE what an item refers to is gone or not held here: the list is then as it was.
 */
#ifndef SKEP_LIST_H
#define SKEP_LIST_H

#include <skep/deadline.h>
#include <skep/item.h>

SKEP_BEGIN

typedef struct skep_list skep_list;

struct skep_list_options {
        size_t options_bytes; /* set by SKEP_LIST_OPTIONS() */
        const char *name;     /* borrowed; unique in the hive. NULL: anonymous */
        uint64_t capacity;    /* items to have room for from the start; it grows by itself. 0: a few */
};

#define SKEP_LIST_OPTIONS(...) \
        (&(const struct skep_list_options){.options_bytes = sizeof(struct skep_list_options), __VA_ARGS__})

/**
 * Make an empty list.
 * @param ret_list  gives the handle; end with skep_list_unref()
 * @return 0; -EEXIST; -EINVAL, -ENAMETOOLONG the name; -EOVERFLOW; -ENOSPC; -ENOMEM; -EUSERS; -E2BIG
 */
SKEP_API SKEP_NODISCARD int skep_list_create(skep_hive *hive, const struct skep_list_options *options, skep_list **ret_list);

/** Find a list by name. @return 0; -ENOENT; -EPROTOTYPE the name is of another kind; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_list_open(skep_hive *hive, const char *name, skep_list **ret_list);

/** Find a list by reference. @return 0; -ESTALE; -EPROTOTYPE; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_list_attach(skep_hive *hive, skep_block reference, skep_list **ret_list);

/** What skep_list_attach() takes; may be sent to any member, or be an item of kind OBJECT. */
SKEP_API skep_block skep_list_reference(const skep_list *list);
SKEP_API skep_hive *skep_list_hive(const skep_list *list);

/** Drop the handle; the list and what it holds go with its last handle, name and mention. @param list  NULL is allowed @return NULL */
SKEP_API skep_list *skep_list_unref(skep_list *list);

/**
 * Items start, start + step ... as long as they are before stop (for a negative step: behind it).  Negative bounds count from the end,
 * and bounds beyond the list mean its ends, as in Python; step 0: 1.
 */
struct skep_slice {
        int64_t start, stop, step;
};

/** All items. */
#define SKEP_SLICE_ALL ((struct skep_slice){0, INT64_MAX, 1})

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

/** Number of items. @return 0 */
SKEP_API SKEP_NODISCARD int skep_list_length(skep_list *list, uint64_t *ret_length);

/**
 * An item.
 * @param ret_item     a claim of its own, ended with skep_item_clear(); NULL: not wanted
 * @param ret_version  may be NULL
 * @return 0; -ERANGE no such index
 * Cost: some 30 ns; for an item that lies in a block, a claim on it.  Readers do not disturb each other.
 */
SKEP_API SKEP_NODISCARD int skep_list_get(skep_list *list, int64_t index, struct skep_item *ret_item, uint64_t *ret_version);

/** An item as it was at one moment. */
struct skep_list_entry {
        struct skep_item item;
        uint64_t version;
};

/**
 * The items of a slice, as they were at one instant.
 * @param ret_entries  [*ret_count], each a claim of its own; ended with skep_list_entries_free(); NULL for none
 * @return 0
 * Blocks: not, unless the list changes again and again meanwhile; then while others write.
 */
SKEP_API SKEP_NODISCARD int skep_list_get_slice(skep_list *list, struct skep_slice slice, struct skep_list_entry **ret_entries, uint64_t *ret_count);
/** @param entries  [count]; NULL is allowed. Items that were cleared or moved out (and set to skep_item_none()) are left alone. */
SKEP_API void skep_list_entries_free(struct skep_list_entry *entries, uint64_t count);

/** Where in [start, stop) the first item stands that skep_item_equal() says is equal. @return 0; -ENOENT */
SKEP_API SKEP_NODISCARD int skep_list_index(skep_list *list, const struct skep_item *item, int64_t start, int64_t stop, uint64_t *ret_index);

/** How many items are equal. @return 0 */
SKEP_API SKEP_NODISCARD int skep_list_count(skep_list *list, const struct skep_item *item, uint64_t *ret_count);

/**
 * A number that is another one after each change of the list.  Take it, look, and if nothing is as wished, skep_list_wait().
 * @return 0
 * Blocks: while another writer is at work.
 */
SKEP_API SKEP_NODISCARD int skep_list_version(skep_list *list, uint64_t *ret_version);

/**
 * Wait until the list's version is another one than @p version.
 * @return 0; -ETIMEDOUT; what the thread's interrupt function said
 */
SKEP_API SKEP_NODISCARD int skep_list_wait(skep_list *list, uint64_t version, skep_deadline deadline);

/* --- writing ----------------------------------------------------------------------------------------------------------------
 * Blocks: while another living writer is at work; and if what was there lay in a block, until readers that look at it have looked.
 * Items that are given are borrowed; what they refer to gets a claim of the list.
 */

/** Replace an item. @return 0; -ERANGE no such index.  Cost: the lock and one store. */
SKEP_API SKEP_NODISCARD int skep_list_set(skep_list *list, int64_t index, const struct skep_item *item);

/** The same if the version of the item there is still @p version. @return 0; -ERANGE; -EAGAIN it is another one */
SKEP_API SKEP_NODISCARD int skep_list_set_if(skep_list *list, int64_t index, uint64_t version, const struct skep_item *item);

/**
 * Add to a number in one step; two integers give an INTEGER, else it is a FLOAT.
 * @param operand  INTEGER, BOOL or FLOAT
 * @param ret_sum  what is there now; may be NULL
 * @return 0; -ERANGE no such index; -EPROTOTYPE what is there, or the operand, is no number; -EOVERFLOW beyond 64 bits
 */
SKEP_API SKEP_NODISCARD int skep_list_add(skep_list *list, int64_t index, const struct skep_item *operand, struct skep_item *ret_sum);

/** Append an item. @return 0.  Cost: the lock and two stores; now and then a table of twice the length. */
SKEP_API SKEP_NODISCARD int skep_list_append(skep_list *list, const struct skep_item *item);

/** Append @p count items. @return 0 */
SKEP_API SKEP_NODISCARD int skep_list_extend(skep_list *list, const struct skep_item *items, uint64_t count);

/** Append what is there @p times - 1 times more; 0: delete all. @return 0 */
SKEP_API SKEP_NODISCARD int skep_list_repeat(skep_list *list, uint64_t times);

/*
 * All that follows makes a new table and exchanges the list's by one store: its cost is a copy of 72 bytes per item of the list.
 */

/** Insert before an index; indices beyond the ends mean the ends. @return 0 */
SKEP_API SKEP_NODISCARD int skep_list_insert(skep_list *list, int64_t index, const struct skep_item *item);

/**
 * Take an item out; the last one (index -1) at the cost of one store.
 * @param ret_item  as of skep_list_get(); NULL: not wanted
 * @return 0; -ERANGE no such index
 * Crash: the item is there as before, or gone with who took it.
 */
SKEP_API SKEP_NODISCARD int skep_list_pop(skep_list *list, int64_t index, struct skep_item *ret_item);

/** Delete the item there if its version is still @p version. @return 0; -ERANGE; -EAGAIN it is another one */
SKEP_API SKEP_NODISCARD int skep_list_delete_if(skep_list *list, int64_t index, uint64_t version);

/** Delete the first item that is equal. @return 0; -ENOENT */
SKEP_API SKEP_NODISCARD int skep_list_remove(skep_list *list, const struct skep_item *item);

/**
 * Replace the items of a slice; with step 1 by more or fewer.
 * @return 0; -ERANGE step is not 1, and the slice has another number of items than @p count: it is in *ret_length, which may be NULL
 */
SKEP_API SKEP_NODISCARD int skep_list_set_slice(skep_list *list, struct skep_slice slice, const struct skep_item *items, uint64_t count,
                                                uint64_t *ret_length);

/** Delete the items of a slice. @return 0 */
SKEP_API SKEP_NODISCARD int skep_list_delete_slice(skep_list *list, struct skep_slice slice);

/** Delete all items. @return 0 */
SKEP_API SKEP_NODISCARD int skep_list_clear(skep_list *list);

/** @return 0 */
SKEP_API SKEP_NODISCARD int skep_list_reverse(skep_list *list);

/**
 * Put the items in another order, if they are still those of a snapshot.
 * @param entries  borrowed, [count]: all items, of which the versions are looked at
 * @param order    borrowed, [count]: item i becomes what was item order[i]; each index once
 * @return 0; -EAGAIN the list has changed; -EINVAL no permutation
 */
SKEP_API SKEP_NODISCARD int skep_list_permute(skep_list *list, const struct skep_list_entry *entries, const uint64_t *order, uint64_t count);

/** @return below, at or above 0: the left one comes before, is equal to, or comes behind the right one */
typedef int skep_list_compare(const struct skep_item *left, const struct skep_item *right, void *context);

/**
 * Sort; items that compare equal keep their order.
 * @param compare  called without any lock; again from the start if the list has changed meanwhile: one that never rests is not sorted
 * @return 0
 */
SKEP_API SKEP_NODISCARD int skep_list_sort(skep_list *list, skep_list_compare *compare, void *context);

SKEP_END
#endif
