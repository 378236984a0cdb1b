/* SPDX-License-Identifier: Apache-2.0 */
/* dict.h - the dict's shared header and private handle, and the work on its table, shared by the files of dict/. */
#ifndef DICT_DICT_H
#define DICT_DICT_H

#include "claim/object.h"
#include "item/remote.h"
#include "item/store.h"

#include <skep/dict.h>

/* Of a dict or a namespace; one writer at a time changes it. */
struct shm_dict {
        struct shm_store store;
        uint64_t update; /* how far an update of many is: enum dict_update */
        uint64_t reserved[7];
};
_Static_assert(sizeof(struct shm_dict) % 8 == 0, "format");

/*
 *   state      a cell with a pending word                                  left to       when its writer dies
 *   NONE       there is none
 *   PREPARING  has, or will have, its next item beside the one that counts COMMITTED     undone
 *   COMMITTED  has its next item; the word follows                         NONE          finished
 */
enum dict_update { UPDATE_NONE = 0, UPDATE_PREPARING, UPDATE_COMMITTED };

struct skep_dict {
        struct object base;
        struct store store; /* of base.shared */
        uint64_t known;     /* the store's */
};

static inline struct shm_dict *dict_shared(const struct skep_dict *dict)
{
        return dict->base.shared;
}

/* Of kind DICT or NAMESPACE. @return as skep_dict_create() */
int dict_create(skep_hive *hive, enum block_kind kind, const char *name, uint64_t capacity, skep_dict **ret_dict);

/* Of another machine. @return as item_simple() */
#define DICT_FAR(dict) __builtin_expect(object_is_remote(&(dict)->base), 0)
static inline int dict_far(const skep_dict *dict, uint32_t method, int64_t integer, const struct skep_item *key, const struct skep_item *value,
                           int64_t *ret_result, struct skep_item *ret_item)
{
        return item_simple(&dict->base, method, skep_nowait(), &integer, 1, key, value, ret_result, ret_item);
}

/* A key on its way to a table. */
struct dict_key {
        const struct skep_item *item;
        uint64_t hash;
};

/* @return 0; -EINVAL, -EMSGSIZE no key */
static inline int dict_key(const struct skep_dict *dict, const struct skep_item *item, struct dict_key *ret_key)
{
        int result = item_key_check(item);
        if (result == 0)
                *ret_key = (struct dict_key){item, item_hash(dict->base.hive, item)};
        return result;
}

/* Of a cell's word, as users see it. */
static inline uint64_t cell_version(uint64_t word)
{
        return word >> 2;
}

/* --- table.c ------------------------------------------------------------------------------------------------------------------- */

#define DICT_CELL_MIN UINT64_C(8)

static inline struct shm_keyed_cell *dict_cell(const struct shm_table *table, uint64_t cell)
{
        return table_cell(table, cell);
}

/* What store_table() does not check: the index has slots, and a mask. */
static inline bool table_is_sound(const struct shm_table *table)
{
        return table->index_slots && !(table->index_slots & (table->index_slots - 1));
}

/* Without the lock, while reading. @return false: it is not there, or was not at a moment since the call */
bool table_look_up(const skep_hive *hive, struct shm_table *table, const struct dict_key *key, struct shm_item *ret_item, uint64_t *ret_word);

/* The rest is for who holds the lock. */

/* Where a key is, or where its word in the index may go. */
struct place {
        int64_t cell;  /* live, or pending; -1: the key is not there */
        uint64_t slot; /* of the index; UINT64_MAX none is free */
};
struct place table_find(const skep_hive *hive, struct shm_table *table, const struct dict_key *key);
/* The slot that names the cell; UINT64_MAX: none does. */
uint64_t table_slot_of(struct shm_table *table, uint64_t cell);

/* May so many keys be added as it is? */
bool table_has_room(const struct shm_table *table, uint64_t more);
/* Is it too long for what it holds? */
bool table_is_sparse(const struct shm_table *table);
/* All live cells into another table with room for so many more. @return 0, -ENOSPC, -EOVERFLOW */
int table_rebuild(struct skep_agent *agent, const struct store *store, struct shm_table **table, uint64_t more);
/* Cells and slots of a table for so many keys. @return 0, -EOVERFLOW */
int table_sizes(uint64_t keys, uint64_t *ret_cells, uint64_t *ret_slots);

/*
 * Give the cell behind the last, `used`, to a key that is not there: all of it but an item, so nobody sees it yet.
 * @return 0; -ENOSPC, -EOVERFLOW: table_take_back()
 */
int table_add(struct skep_agent *agent, struct shm_table *table, const struct dict_key *key, uint64_t slot);
/* The opposite, for a cell that never was live; `used` is table_trim()'s. */
void table_take_back(struct skep_agent *agent, struct shm_table *table, uint64_t cell);
/* Take the word of a cell that is not live out of the index. @param slot  UINT64_MAX: there is none */
void table_unindex(struct shm_table *table, uint64_t slot);
/* Lower `used` over cells that are not live. */
void table_trim(struct shm_table *table);
/* The hints anew, after somebody died. */
void table_recount(struct shm_table *table);

/* --- update.c -------------------------------------------------------------------------------------------------------------------- */

/* Finish or undo the update of many that a dead writer was in the middle of. */
void update_repair(struct skep_agent *agent, const struct store *store, struct shm_table *table);

/* Whatever a dead writer was in the middle of. */
store_repair dict_repair;

/* --- write.c --------------------------------------------------------------------------------------------------------------------- */

/* Begin to write. @return 0; -EUSERS ...; -EBADMSG */
int dict_lock(const struct skep_dict *dict, struct skep_agent **ret_agent, struct shm_table **ret_table);
/* End it. @return the result */
int dict_unlock(struct skep_agent *agent, const struct skep_dict *dict, int result);

#endif
