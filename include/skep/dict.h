/* SPDX-License-Identifier: Apache-2.0 */
/**
 * dict.h - keys and values that all processes of a hive see; in the order in which the keys came.
 *
 * KEYS      of kind NONE, BOOL, INTEGER, FLOAT, TEXT, BYTES, MSGPACK or PICKLE, of at most 16384 bytes.  1, 1.0 and true are one key, as in
 *           Python; the first that came stays.  Pickles and msgpack are equal if their bytes are: who writes them must write
 *           equal things alike.
 * VALUES    any item (item.h).  An array or another object is a reference: nothing is copied in or out, and the dict keeps it alive.
 *           A dict that holds itself, or two that hold each other, keep themselves alive until the hive goes.
 * READERS   (get, contains, length) take no lock and wait for nobody, whether a writer works, sleeps or is dead.
 * WRITERS   take turns, by a lock of the dict's own that is held for the time of one call.
 * VERSIONS  each setting gives its key a version that this dict never gives again; so "is it still what I read" is a comparison of two
 *           numbers, for items of any kind (skep_dict_set_if(), skep_dict_delete_if(), skep_dict_wait()).
 * CRASH     a call is done or not done, also skep_dict_update() and skep_dict_clear() as a whole.  What a dead writer was in the middle of is
 *           finished or undone by the next one, or by the reaper.
 *
 * Results that all calls may give beside their own: -EINVAL not a kind of key or of item; -EMSGSIZE key too long; -EBADMSG the dict is
 * damaged; -EUSERS; -ENOMEM.  All that write, -ENOSPC hive full, -EOVERFLOW, -ESTALE what the value refers to is gone or not held here:
 * the dict is then as it was.
 */
#ifndef SKEP_DICT_H
#define SKEP_DICT_H

#include <skep/deadline.h>
#include <skep/item.h>

SKEP_BEGIN

typedef struct skep_dict skep_dict;

struct skep_dict_options {
        size_t options_bytes; /* set by SKEP_DICT_OPTIONS() */
        const char *name;     /* borrowed; unique in the hive. NULL: anonymous */
        uint64_t capacity;    /* keys to have room for from the start; it grows and shrinks by itself. 0: a few */
};

#define SKEP_DICT_OPTIONS(...) \
        (&(const struct skep_dict_options){.options_bytes = sizeof(struct skep_dict_options), __VA_ARGS__})

/**
 * Make an empty dict.
 * @param ret_dict  gives the handle; end with skep_dict_unref()
 * @return 0; -EEXIST; -EINVAL, -ENAMETOOLONG the name; -EOVERFLOW; -ENOSPC; -ENOMEM; -EUSERS; -E2BIG
 */
SKEP_API SKEP_NODISCARD int skep_dict_create(skep_hive *hive, const struct skep_dict_options *options, skep_dict **ret_dict);

/** Find a dict by name. @return 0; -ENOENT; -EPROTOTYPE the name is of another kind; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_dict_open(skep_hive *hive, const char *name, skep_dict **ret_dict);

/** Find a dict by reference. @return 0; -ESTALE; -EPROTOTYPE; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_dict_attach(skep_hive *hive, skep_block reference, skep_dict **ret_dict);

/** What skep_dict_attach() takes; may be sent to any member, or be an item of kind OBJECT. */
SKEP_API skep_block skep_dict_reference(const skep_dict *dict);
SKEP_API skep_hive *skep_dict_hive(const skep_dict *dict);

/** Drop the handle; the dict and what it holds go with its last handle, name and mention. @param dict  NULL is allowed @return NULL */
SKEP_API skep_dict *skep_dict_unref(skep_dict *dict);

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

/**
 * Look a key up.
 * @param ret_value    a claim of its own, ended with skep_item_clear(); NULL: not wanted
 * @param ret_version  of what was found; may be NULL
 * @return 0; -ENOENT no such key
 * Cost: a hash, a probe of the index, some 100 ns; for a value that lies in a block, a claim on it.  Nothing is written but in the
 *       caller's own slot, so readers do not disturb each other.
 */
SKEP_API SKEP_NODISCARD int skep_dict_get(skep_dict *dict, const struct skep_item *key, struct skep_item *ret_value, uint64_t *ret_version);

/** @return 1 it is there; 0 it is not; negative */
SKEP_API SKEP_NODISCARD int skep_dict_contains(skep_dict *dict, const struct skep_item *key);

/** Number of keys. @return 0; -EBADMSG; -EUSERS */
SKEP_API SKEP_NODISCARD int skep_dict_length(skep_dict *dict, uint64_t *ret_count);

/** A key and its value as they were at one moment. */
struct skep_dict_entry {
        struct skep_item key;
        struct skep_item value;
        uint64_t version;
};

/** Without the values: those are NONE. */
#define SKEP_DICT_KEYS 1u

/**
 * Look many keys up, each by itself: others may write in between.  Of another machine's dict it is one question, whatever @p count is.
 * @param entries    [count]: `key` is borrowed; `value` is written, a claim of its own, ended with skep_item_clear(), and `version`, 0: no such key,
 *                   and `value` is NONE
 * @param ret_found  how many are there; may be NULL
 * @return 0; as skep_dict_get() but for -ENOENT, and then no value is claimed
 * Cost: as skep_dict_get() for each.
 */
SKEP_API SKEP_NODISCARD int skep_dict_get_many(skep_dict *dict, struct skep_dict_entry *entries, uint64_t count, uint64_t *ret_found);

/**
 * All keys and values, in order, as they were at one instant.
 * @param flags        SKEP_DICT_KEYS, or 0
 * @param ret_entries  [*ret_count], each a claim of its own; ended with skep_dict_entries_free()
 * @return 0
 * Blocks: while others write; they wait for this, some 50 ns per key.  Readers do not.
 */
SKEP_API SKEP_NODISCARD int skep_dict_snapshot(skep_dict *dict, uint32_t flags, struct skep_dict_entry **ret_entries, uint64_t *ret_count);
/** @param entries  [count]; NULL is allowed. Items that were cleared or moved out (and set to skep_item_none()) are left alone. */
SKEP_API void skep_dict_entries_free(struct skep_dict_entry *entries, uint64_t count);

/**
 * Wait until the version of a key is another one than @p version: with 0, until the key is there; else until it is set again or deleted.
 * @param ret_value    as of skep_dict_get(); NONE if the key was deleted
 * @param ret_version  0 if the key was deleted; may be NULL
 * @return 0; -ETIMEDOUT; what the thread's interrupt function said
 * Cost: each change of the dict wakes all who wait for one of its keys.
 */
SKEP_API SKEP_NODISCARD int skep_dict_wait(skep_dict *dict, const struct skep_item *key, uint64_t version, struct skep_item *ret_value,
                                           uint64_t *ret_version, skep_deadline deadline);

/* --- writing ----------------------------------------------------------------------------------------------------------------
 * Blocks: while another living writer is at work; and if what was there lay in a block, until readers that look at it have looked.
 * Cost: the lock, the probe and one store; with a new key now and then a table of twice the length, to which all keys move.
 */

/** Set a key. @param value  borrowed; what it refers to gets a claim of the dict @return 0 */
SKEP_API SKEP_NODISCARD int skep_dict_set(skep_dict *dict, const struct skep_item *key, const struct skep_item *value);

/**
 * Set a key if its version is still @p version; 0: if it is not there.
 * @param ret_version  the new one; may be NULL
 * @return 0; -EAGAIN it is another one
 */
SKEP_API SKEP_NODISCARD int skep_dict_set_if(skep_dict *dict, const struct skep_item *key, uint64_t version, const struct skep_item *value,
                                             uint64_t *ret_version);

/**
 * Set a key that is not there.
 * @param ret_value  what is there, as of skep_dict_get(); may be NULL
 * @return 0 it was set, and ret_value is not written; 1 there was one
 */
SKEP_API SKEP_NODISCARD int skep_dict_setdefault(skep_dict *dict, const struct skep_item *key, const struct skep_item *value,
                                                 struct skep_item *ret_value);

/** A key that is not there counts as 0, of the operand's kind. */
#define SKEP_DICT_MISSING_IS_ZERO 1u

/**
 * Add to a number in one step; two integers give an INTEGER, else it is a FLOAT.
 * @param operand  INTEGER, BOOL or FLOAT
 * @param flags    SKEP_DICT_MISSING_IS_ZERO, or 0
 * @param ret_sum  what is there now; may be NULL
 * @return 0; -ENOENT no such key; -EPROTOTYPE what is there, or the operand, is no number; -EOVERFLOW beyond 64 bits
 */
SKEP_API SKEP_NODISCARD int skep_dict_add(skep_dict *dict, const struct skep_item *key, const struct skep_item *operand, uint32_t flags,
                                          struct skep_item *ret_sum);

/** @return 0; -ENOENT no such key */
SKEP_API SKEP_NODISCARD int skep_dict_delete(skep_dict *dict, const struct skep_item *key);

/** @return 0; -EAGAIN its version is another one, or it is not there */
SKEP_API SKEP_NODISCARD int skep_dict_delete_if(skep_dict *dict, const struct skep_item *key, uint64_t version);

/**
 * Take a value out.
 * @param ret_value  as of skep_dict_get()
 * @return 0; -ENOENT no such key
 * Crash: the value is there as before, or gone with who took it.
 */
SKEP_API SKEP_NODISCARD int skep_dict_pop(skep_dict *dict, const struct skep_item *key, struct skep_item *ret_value);

/** Take the key out that came last. @param ret_key, ret_value  as of skep_dict_get() @return 0; -ENOENT empty */
SKEP_API SKEP_NODISCARD int skep_dict_popitem(skep_dict *dict, struct skep_item *ret_key, struct skep_item *ret_value);

/**
 * Set many keys as a whole: all of them or, whatever dies or fails, none.  Of a key that comes twice the last value counts.
 * A snapshot sees all or none; who reads single keys meanwhile may see some before others.
 * @param entries  borrowed, [count]; versions are not looked at
 * @return 0
 * Cost: some 100 ns per key.
 */
SKEP_API SKEP_NODISCARD int skep_dict_update(skep_dict *dict, const struct skep_dict_entry *entries, uint64_t count);

/** Delete all keys at once. @return 0; -ENOSPC not even room for an empty table */
SKEP_API SKEP_NODISCARD int skep_dict_clear(skep_dict *dict);

SKEP_END
#endif
