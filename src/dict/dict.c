/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dict.c - make and find a dict; verification, and what its kind says.
 *
 * A dict is a store (item/store.h) whose table has an index (table.c); reading is read.c, changing one key write.c, many update.c.
 *
 * CRASH.  dies                                found as                  repaired by
 *         making one, before it has a table   claimed by the dead       the reaper: an empty store goes
 *         with a table, before the name       the same                  the same
 *         while it works on it                lock, busy                store.c, by dict_repair() first
 *         destroying                          RETIRED(dead)             the reaper goes on
 */
#include "dict/dict.h"
#include "sync/lock.h"

#include <errno.h>
#include <skep/inspect.h>

static struct store store_at(skep_hive *hive, void *shared)
{
        return (struct store){.hive = hive, .shared = shared, .keyed = true, .repair = dict_repair};
}

int dict_create(skep_hive *hive, enum block_kind kind, const char *name, uint64_t capacity, skep_dict **ret_dict)
{
        struct skep_agent *agent;
        struct object *object;
        uint64_t cells, slots;
        int result = name ? name_check(name) : 0;
        if (result == 0 && hive->remote) {
                result = object_create_remote(hive, kind, name, &REMOTE_INTEGER(capacity), 1, &object);
                if (result == 0)
                        *ret_dict = (skep_dict *)object;
                return result;
        }
        if (result == 0)
                result = table_sizes(capacity, &cells, &slots);
        if (result == 0)
                result = agent_self(hive, &agent);
        if (result == 0)
                result = object_make(agent, kind, sizeof(struct shm_dict), NULL, NULL, &object);
        if (result < 0)
                return result;
        struct store store = store_at(hive, object->shared);
        result = store_format(agent, &store, cells, slots);
        if (result < 0)
                object_unref(object);
        else
                result = object_publish(agent, object, name);
        if (result == 0)
                *ret_dict = (skep_dict *)object;
        return result;
}

int skep_dict_create(skep_hive *hive, const struct skep_dict_options *given, skep_dict **ret_dict)
{
        struct skep_dict_options options;
        int result = options_copy(&options, sizeof options, given);
        return result < 0 ? result : dict_create(hive, BLOCK_DICT, options.name, options.capacity, ret_dict);
}

OBJECT_FUNCTIONS(dict, BLOCK_DICT)

skep_hive *skep_dict_hive(const skep_dict *dict)
{
        return dict->base.hive->remote ? dict->base.hive->remote->hive : dict->base.hive;
}

/* --- kind ----------------------------------------------------------------------------------------------------------------------------- */

static int dict_complete(struct object *handle)
{
        skep_dict *dict = (skep_dict *)handle;
        dict->store = store_at(handle->hive, handle->shared);
        dict->store.known = &dict->known;
        return 0;
}

static bool shared_of(skep_hive *hive, const struct shm_block *block, struct store *ret_store)
{
        uint64_t bytes;
        void *shared = heap_data(hive, block, &bytes);
        if (!shared || bytes < sizeof(struct shm_dict))
                return false;
        *ret_store = store_at(hive, shared);
        return true;
}

static void dict_destroy(struct skep_agent *agent, struct shm_block *block)
{
        struct store store;
        if (shared_of(agent->hive, block, &store))
                store_destroy(agent, &store);
}

static void dict_recover(struct reap *reap, struct shm_block *block)
{
        struct store store;
        if (shared_of(reap->hive, block, &store))
                store_recover(reap, &store);
}

/* Each live cell is found by its hash, each word of the index names a live cell, and the hints are right. */
static uint64_t index_problems(struct shm_table *table)
{
        uint64_t live = 0, named = 0, filled = 0, problems = 0;
        for (uint64_t i = 0; i < table->cell_max; i++) {
                const struct shm_keyed_cell *cell = dict_cell(table, i);
                problems += skep_load_relaxed(&cell->pending) != 0;
                if (!(skep_load_relaxed(&cell->cell.word) & CELL_LIVE))
                        continue;
                live++;
                problems += i >= skep_load_relaxed(&table->used) || table_slot_of(table, i) == UINT64_MAX;
        }
        for (uint64_t i = 0; i < table->index_slots; i++) {
                uint64_t word = skep_load_relaxed(&table_index(table)[i]);
                filled += word != 0;
                named += word && (uint32_t)word != UINT32_MAX;
        }
        return problems + (named != live) + (live != skep_load_relaxed(&table->live)) + (filled != skep_load_relaxed(&table->filled)) +
               (filled >= table->index_slots);
}

/* Nobody is kept from working on it: what was changed while we looked says nothing. */
static uint64_t dict_verify(skep_hive *hive, struct shm_block *block)
{
        struct store store;
        if (!shared_of(hive, block, &store))
                return 1;
        struct shm_store *shared = store.shared;
        uint64_t root = skep_load(&shared->root), version = skep_load(&shared->version);
        bool still = !lock_owner(&shared->lock);
        uint64_t problems = store_verify(&store);
        struct shm_table *table = problems ? NULL : store_table(&store);
        if (table)
                problems = !table_is_sound(table) ? 1 : index_problems(table) + (skep_load(&((struct shm_dict *)shared)->update) != UPDATE_NONE);
        skep_fence_acquire();
        still = still && !lock_owner(&shared->lock) && skep_load(&shared->root) == root && skep_load(&shared->version) == version;
        return still ? problems : 0;
}

static void dict_inspect(skep_hive *hive, struct shm_block *block, struct skep_object_info *info)
{
        struct store store;
        if (!shared_of(hive, block, &store))
                return;
        const struct shm_table *table = store_table(&store);
        int member = agent_member(hive, lock_owner(&store.shared->lock));
        info->value = table ? skep_load_relaxed(&table->live) : 0;
        info->owner_pid = member < 0 ? 0 : member_pid(hive, (uint32_t)member);
}

#define DICT_KIND(label) \
        { \
                .name = label, \
                .shared_bytes = sizeof(struct shm_dict), \
                .handle_bytes = sizeof(struct skep_dict), \
                .complete = dict_complete, \
                .destroy = dict_destroy, \
                .recover = dict_recover, \
                .verify = dict_verify, \
                .inspect = dict_inspect, \
        }

static const struct kind dict_kind = DICT_KIND("dict"), namespace_kind = DICT_KIND("namespace");

__attribute__((constructor)) static void dict_register(void)
{
        kind_register(BLOCK_DICT, &dict_kind);
        kind_register(BLOCK_NAMESPACE, &namespace_kind);
}
