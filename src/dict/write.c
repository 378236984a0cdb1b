/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write.c - change one key, or delete all.
 *
 * One word commits each call: the cell's, by cell_set() or cell_delete(), or the table's, by store_exchange().
 *
 *   call                 steps under the lock (those in brackets while `busy` names the cell)
 *   set, key is there    cell_set
 *   set, new key         [hash, key, index word, used, cell_set, live]
 *   delete               [cell_delete, index word, used, live]
 *   room, clear          another table is filled, and exchanged
 *
 * CRASH.  dies                                 found as                    repaired by
 *         in the brackets, cell not live       busy, cell not live         dict_repair(): out of the index; store.c drops key and items
 *         in the brackets, cell live           busy, cell live             dict_repair(): counts anew
 *         elsewhere                            see store.c, update.c
 */
#include "base/probe.h"
#include "dict/dict.h"

#include <errno.h>
#include <stdlib.h>

int dict_lock(const struct skep_dict *dict, struct skep_agent **ret_agent, struct shm_table **ret_table)
{
        int result = object_self(&dict->base, ret_agent);
        if (result == 0)
                result = store_lock(*ret_agent, &dict->store);
        if (result < 0)
                return result;
        *ret_table = store_table(&dict->store);
        return table_is_sound(*ret_table) ? 0 : dict_unlock(*ret_agent, dict, -EBADMSG);
}

int dict_unlock(struct skep_agent *agent, const struct skep_dict *dict, int result)
{
        store_unlock(agent, &dict->store, result >= 0);
        return result;
}

static void live_becomes(struct shm_table *table, int64_t change)
{
        skep_store(&table->live, skep_load_relaxed(&table->live) + (uint64_t)change);
        PROBE("dict.live");
}

/* --- under the lock ---------------------------------------------------------------------------------------------------------------- */

/* @param draft  ended on success */
static int insert(struct skep_agent *agent, const struct skep_dict *dict, struct shm_table *table, const struct dict_key *key, uint64_t slot,
                  struct item_draft *draft, uint64_t *ret_cell)
{
        const struct store *store = &dict->store;
        if (!table_has_room(table, 1) || slot == UINT64_MAX) {
                int result = table_rebuild(agent, store, &table, 1);
                if (result < 0)
                        return result;
                slot = table_find(dict->base.hive, table, key).slot;
        }
        uint64_t cell = skep_load_relaxed(&table->used);
        store_busy(agent, store, (int64_t)cell);
        int result = table_add(agent, table, key, slot);
        if (result == 0)
                result = cell_set(agent, store, cell, draft);
        if (result == 0) {
                live_becomes(table, 1);
                *ret_cell = cell;
        } else {
                table_take_back(agent, table, cell);
                table_trim(table);
        }
        store_idle(store);
        return result;
}

/* @param draft  ended on success */
static int put(struct skep_agent *agent, const struct skep_dict *dict, struct shm_table *table, const struct dict_key *key, struct place place,
               struct item_draft *draft, uint64_t *ret_version)
{
        uint64_t cell = (uint64_t)place.cell;
        int result = place.cell < 0 ? insert(agent, dict, table, key, place.slot, draft, &cell) : cell_set(agent, &dict->store, cell, draft);
        if (result == 0 && ret_version)
                *ret_version = skep_load_relaxed(&dict->store.shared->version);
        return result;
}

static void delete(struct skep_agent *agent, const struct skep_dict *dict, struct shm_table *table, struct place place)
{
        store_busy(agent, &dict->store, place.cell);
        cell_delete(agent, &dict->store, (uint64_t)place.cell);
        table_unindex(table, place.slot);
        table_trim(table);
        live_becomes(table, -1);
        store_idle(&dict->store);
        if (table_is_sparse(table))
                (void)table_rebuild(agent, &dict->store, &table, 0); /* in a full hive it stays as long as it is */
}

static uint64_t version_at(const struct shm_table *table, struct place place)
{
        return place.cell < 0 ? 0 : cell_version(skep_load_relaxed(&dict_cell(table, (uint64_t)place.cell)->cell.word));
}

static int take(struct skep_agent *agent, const struct shm_table *table, struct place place, struct skep_item *ret_value)
{
        struct shm_item copy;
        uint64_t word;
        if (place.cell < 0 || !cell_read(&dict_cell(table, (uint64_t)place.cell)->cell, &copy, &word))
                return -ENOENT;
        return ret_value ? item_take(agent, &copy, ret_value) : 0;
}

void dict_repair(struct skep_agent *agent, struct shm_store *shared, int64_t cell)
{
        struct store store = {.hive = agent->hive, .shared = shared, .keyed = true, .repair = dict_repair};
        struct shm_table *table = store_table(&store);
        if (!table || !table_is_sound(table))
                return;
        update_repair(agent, &store, table);
        if (cell >= 0 && (uint64_t)cell < table->cell_max && !(skep_load(&dict_cell(table, (uint64_t)cell)->cell.word) & CELL_LIVE))
                table_unindex(table, table_slot_of(table, (uint64_t)cell));
        table_recount(table);
}

/* --- calls -------------------------------------------------------------------------------------------------------------------------- */

enum when { ALWAYS, IF_VERSION, IF_ABSENT };

/* @param ret_value  with IF_ABSENT: what is there afterwards, may be NULL @return 0; 1 with IF_ABSENT: it was there; -EAGAIN */
static int set(skep_dict *dict, const struct skep_item *item, const struct skep_item *value, enum when when, uint64_t version, uint64_t *ret_version,
               struct skep_item *ret_value)
{
        struct skep_agent *agent;
        struct shm_table *table;
        struct item_draft draft;
        struct dict_key key;
        if (DICT_FAR(dict))
                return dict_far(dict, when == IF_ABSENT ? REMOTE_DICT_SETDEFAULT : when == IF_VERSION ? REMOTE_DICT_SET_IF : REMOTE_DICT_SET, (int64_t)version,
                                item, value, (int64_t *)ret_version, ret_value);
        int result = dict_key(dict, item, &key);
        if (result == 0)
                result = object_self(&dict->base, &agent);
        if (result == 0)
                result = item_prepare(agent, value, &draft);
        if (result < 0)
                return result;
        bool changed = false;
        result = dict_lock(dict, &agent, &table);
        if (result == 0) {
                struct place place = table_find(dict->base.hive, table, &key);
                if (when == IF_VERSION && version_at(table, place) != version)
                        result = -EAGAIN;
                else if (when == IF_ABSENT && place.cell >= 0)
                        result = take(agent, table, place, ret_value);
                else
                        changed = (result = put(agent, dict, table, &key, place, &draft, ret_version)) == 0;
                store_unlock(agent, &dict->store, changed);
        }
        if (!changed)
                item_discard(agent, &draft);
        return result == 0 && !changed ? 1 : result;
}

int skep_dict_set(skep_dict *dict, const struct skep_item *key, const struct skep_item *value)
{
        return set(dict, key, value, ALWAYS, 0, NULL, NULL);
}

int skep_dict_set_if(skep_dict *dict, const struct skep_item *key, uint64_t version, const struct skep_item *value, uint64_t *ret_version)
{
        return set(dict, key, value, IF_VERSION, version, ret_version, NULL);
}

int skep_dict_setdefault(skep_dict *dict, const struct skep_item *key, const struct skep_item *value, struct skep_item *ret_value)
{
        return set(dict, key, value, IF_ABSENT, 0, NULL, ret_value);
}

static double real_of(const struct skep_item *number)
{
        return number->kind == SKEP_ITEM_FLOAT ? number->real : (double)number->integer;
}

static bool is_number(const struct skep_item *item)
{
        return item->kind == SKEP_ITEM_BOOL || item->kind == SKEP_ITEM_INTEGER || item->kind == SKEP_ITEM_FLOAT;
}

static int add(const struct skep_item *left, const struct skep_item *right, struct skep_item *ret_sum)
{
        if (!is_number(left) || !is_number(right))
                return -EPROTOTYPE;
        if (left->kind == SKEP_ITEM_FLOAT || right->kind == SKEP_ITEM_FLOAT) {
                *ret_sum = skep_item_float(real_of(left) + real_of(right));
                return 0;
        }
        int64_t sum;
        if (__builtin_add_overflow(left->integer, right->integer, &sum))
                return -EOVERFLOW;
        *ret_sum = skep_item_integer(sum);
        return 0;
}

int skep_dict_add(skep_dict *dict, const struct skep_item *item, const struct skep_item *operand, uint32_t flags, struct skep_item *ret_sum)
{
        struct skep_agent *agent;
        struct shm_table *table;
        struct item_draft draft;
        struct dict_key key;
        struct skep_item before = skep_item_integer(0), sum;
        if (DICT_FAR(dict))
                return dict_far(dict, REMOTE_DICT_ADD, flags, item, operand, NULL, ret_sum);
        int result = flags & ~SKEP_DICT_MISSING_IS_ZERO ? -EINVAL : !is_number(operand) ? -EPROTOTYPE : dict_key(dict, item, &key);
        if (result == 0)
                result = dict_lock(dict, &agent, &table);
        if (result < 0)
                return result;
        struct place place = table_find(dict->base.hive, table, &key);
        if (place.cell >= 0 || !(flags & SKEP_DICT_MISSING_IS_ZERO))
                result = take(agent, table, place, &before);
        if (result == 0) {
                result = add(&before, operand, &sum);
                skep_item_clear(&before);
        }
        if (result == 0)
                result = item_prepare(agent, &sum, &draft);
        if (result == 0)
                result = put(agent, dict, table, &key, place, &draft, NULL);
        if (result == 0 && ret_sum)
                *ret_sum = sum;
        return dict_unlock(agent, dict, result);
}

static int take_out(skep_dict *dict, const struct skep_item *item, const uint64_t *version, struct skep_item *ret_value)
{
        struct skep_agent *agent;
        struct shm_table *table;
        struct dict_key key;
        if (DICT_FAR(dict))
                return dict_far(dict, ret_value ? REMOTE_DICT_POP : version ? REMOTE_DICT_DELETE_IF : REMOTE_DICT_DELETE, version ? (int64_t)*version : 0, item,
                                NULL, NULL, ret_value);
        int result = dict_key(dict, item, &key);
        if (result == 0)
                result = dict_lock(dict, &agent, &table);
        if (result < 0)
                return result;
        struct place place = table_find(dict->base.hive, table, &key);
        if (version && (place.cell < 0 || version_at(table, place) != *version))
                result = -EAGAIN;
        else
                result = take(agent, table, place, ret_value);
        if (result == 0)
                delete(agent, dict, table, place);
        return dict_unlock(agent, dict, result);
}

int skep_dict_delete(skep_dict *dict, const struct skep_item *key)
{
        return take_out(dict, key, NULL, NULL);
}

int skep_dict_delete_if(skep_dict *dict, const struct skep_item *key, uint64_t version)
{
        return take_out(dict, key, &version, NULL);
}

int skep_dict_pop(skep_dict *dict, const struct skep_item *key, struct skep_item *ret_value)
{
        return take_out(dict, key, NULL, ret_value);
}

static int popitem_far(skep_dict *dict, struct skep_item *ret_key, struct skep_item *ret_value)
{
        struct item_call call = {.object = &dict->base, .method = REMOTE_DICT_POPITEM};
        int result = item_call(&call);
        if (result == 0)
                result = item_call_next(&call, ret_key);
        if (result == 0 && (result = item_call_next(&call, ret_value)) < 0)
                skep_item_clear(ret_key);
        free(call.run);
        return result;
}

int skep_dict_popitem(skep_dict *dict, struct skep_item *ret_key, struct skep_item *ret_value)
{
        struct skep_agent *agent;
        struct shm_table *table;
        struct skep_item key, value;
        if (DICT_FAR(dict))
                return popitem_far(dict, ret_key, ret_value);
        int result = dict_lock(dict, &agent, &table);
        if (result < 0)
                return result;
        uint64_t used = skep_load_relaxed(&table->used); /* the last one is live: table_trim() */
        struct place place = {(int64_t)used - 1, used ? table_slot_of(table, used - 1) : UINT64_MAX};
        result = take(agent, table, place, &value);
        if (result == 0 && (result = item_take(agent, &dict_cell(table, used - 1)->key, &key)) < 0)
                skep_item_clear(&value);
        if (result == 0) {
                delete(agent, dict, table, place);
                *ret_key = key;
                *ret_value = value;
        }
        return dict_unlock(agent, dict, result);
}

int skep_dict_clear(skep_dict *dict)
{
        struct skep_agent *agent;
        struct shm_table *table, *fresh;
        uint64_t cells, slots;
        if (DICT_FAR(dict))
                return dict_far(dict, REMOTE_DICT_CLEAR, 0, NULL, NULL, NULL, NULL);
        int result = dict_lock(dict, &agent, &table);
        if (result < 0)
                return result;
        uint64_t used = skep_load_relaxed(&table->used);
        if (used) {
                (void)table_sizes(0, &cells, &slots);
                result = store_rebuild(agent, &dict->store, cells, slots, &fresh);
                if (result == 0)
                        store_exchange(agent, &dict->store, 0, used);
        }
        return dict_unlock(agent, dict, result);
}
