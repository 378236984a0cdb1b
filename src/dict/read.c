/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read.c - look keys up, take snapshots, wait for changes.
 *
 * A reader is announced between store_read() and store_read_end(): meanwhile nothing goes that it may find.  Why it finds what is
 * there: head of table.c.  A snapshot takes the writers' lock instead, as its entries must belong to one instant.
 */
#include "dict/dict.h"
#include "sync/wait.h"

#include <errno.h>
#include <stdlib.h>

static int look_up(const struct skep_dict *dict, struct skep_agent *agent, const struct dict_key *key, struct skep_item *ret_value, uint64_t *ret_version)
{
        struct shm_item copy;
        uint64_t word;
        struct shm_table *table = store_read(agent, &dict->store);
        if (__builtin_expect(!table, 0))
                return -EBADMSG;
        int result = !table_is_sound(table) ? -EBADMSG : table_look_up(dict->base.hive, table, key, &copy, &word) ? 0 : -ENOENT;
        if (result == 0 && ret_value)
                result = item_take(agent, &copy, ret_value);
        store_read_end(agent);
        if (result == 0 && ret_version)
                *ret_version = cell_version(word);
        return result;
}

int skep_dict_get(skep_dict *dict, const struct skep_item *item, struct skep_item *ret_value, uint64_t *ret_version)
{
        struct skep_agent *agent;
        struct dict_key key;
        int result = object_self(&dict->base, &agent);
        if (result < 0 && object_is_remote(&dict->base))
                return dict_far(dict, REMOTE_DICT_GET, ret_value != NULL, item, NULL, (int64_t *)ret_version, ret_value);
        if (result == 0)
                result = dict_key(dict, item, &key);
        return result < 0 ? result : look_up(dict, agent, &key, ret_value, ret_version);
}

static int get_many_far(skep_dict *dict, struct skep_dict_entry *entries, uint64_t count, uint64_t *got)
{
        struct item_call call = {.object = &dict->base, .method = REMOTE_DICT_GET_MANY, .items = &entries->key, .item_count = count,
                                 .item_stride = sizeof *entries};
        int result = item_call(&call);
        for (; result == 0 && *got < count; *got += result == 0) {
                struct skep_item version = skep_item_none();
                result = item_call_next(&call, &entries[*got].value);
                if (result == 0 && (result = item_call_next(&call, &version)) < 0)
                        skep_item_clear(&entries[*got].value);
                entries[*got].version = (uint64_t)version.integer;
        }
        free(call.run);
        return result;
}

int skep_dict_get_many(skep_dict *dict, struct skep_dict_entry *entries, uint64_t count, uint64_t *ret_found)
{
        uint64_t got = 0, found = 0;
        int result = 0;
        if (DICT_FAR(dict) && count)
                result = get_many_far(dict, entries, count, &got);
        for (; got < count && result == 0; got += result == 0) {
                result = skep_dict_get(dict, &entries[got].key, &entries[got].value, &entries[got].version);
                if (result == -ENOENT) {
                        entries[got].value = skep_item_none();
                        entries[got].version = 0;
                        result = 0;
                }
        }
        for (uint64_t i = 0; i < got; i++) {
                found += entries[i].version != 0;
                if (result < 0)
                        skep_item_clear(&entries[i].value);
        }
        if (result == 0 && ret_found)
                *ret_found = found;
        return result;
}

int skep_dict_contains(skep_dict *dict, const struct skep_item *key)
{
        int result = skep_dict_get(dict, key, NULL, NULL);
        return result == -ENOENT ? 0 : result < 0 ? result : 1;
}

int skep_dict_length(skep_dict *dict, uint64_t *ret_count)
{
        struct skep_agent *agent;
        int result = object_self(&dict->base, &agent);
        if (result < 0)
                return DICT_FAR(dict) ? dict_far(dict, REMOTE_DICT_LENGTH, 0, NULL, NULL, (int64_t *)ret_count, NULL) : result;
        const struct shm_table *table = store_read(agent, &dict->store);
        if (!table)
                return -EBADMSG;
        *ret_count = skep_load(&table->live);
        store_read_end(agent);
        return 0;
}

/* --- snapshots ----------------------------------------------------------------------------------------------------------------------- */

void skep_dict_entries_free(struct skep_dict_entry *entries, uint64_t count)
{
        for (uint64_t i = 0; entries && i < count; i++) {
                skep_item_clear(&entries[i].key);
                skep_item_clear(&entries[i].value);
        }
        free(entries);
}

static int take_entry(struct skep_agent *agent, const struct shm_keyed_cell *cell, uint32_t flags, struct skep_dict_entry *entry)
{
        struct shm_item value;
        uint64_t word;
        if (!cell_read(&cell->cell, &value, &word))
                return -ENOENT;
        int result = item_take(agent, &cell->key, &entry->key);
        if (result == 0 && !(flags & SKEP_DICT_KEYS) && (result = item_take(agent, &value, &entry->value)) < 0)
                skep_item_clear(&entry->key);
        entry->version = cell_version(word);
        return result;
}

static int snapshot_far(skep_dict *dict, uint32_t flags, struct skep_dict_entry **ret_entries, uint64_t *ret_count)
{
        struct item_call call = {.object = &dict->base, .method = REMOTE_DICT_SNAPSHOT, .integers = (const int64_t[]){flags}, .integer_count = 1};
        int result = item_call(&call);
        uint64_t most = (uint64_t)(call.end - call.at) / (3 * ITEM_HEAD_BYTES), count = 0;
        struct skep_dict_entry *entries = result < 0 ? NULL : calloc(most + 1, sizeof *entries);
        if (result == 0 && !entries)
                result = -ENOMEM;
        for (; result == 0 && call.at < call.end && count < most; count++) {
                struct skep_item version = skep_item_none();
                result = item_call_next(&call, &entries[count].key);
                if (result == 0)
                        result = item_call_next(&call, &entries[count].value);
                if (result == 0)
                        result = item_call_next(&call, &version);
                entries[count].version = (uint64_t)version.integer;
        }
        free(call.run);
        if (result < 0) {
                skep_dict_entries_free(entries, count);
                return result;
        }
        *ret_entries = entries;
        *ret_count = count;
        return 0;
}

int skep_dict_snapshot(skep_dict *dict, uint32_t flags, struct skep_dict_entry **ret_entries, uint64_t *ret_count)
{
        struct skep_agent *agent;
        struct shm_table *table;
        uint64_t count = 0;
        if (DICT_FAR(dict))
                return snapshot_far(dict, flags, ret_entries, ret_count);
        int result = flags & ~SKEP_DICT_KEYS ? -EINVAL : dict_lock(dict, &agent, &table);
        if (result < 0)
                return result;
        uint64_t used = skep_load_relaxed(&table->used);
        struct skep_dict_entry *entries = calloc(skep_load_relaxed(&table->live) + 1, sizeof *entries);
        if (!entries)
                result = -ENOMEM;
        for (uint64_t i = 0; i < used && result == 0; i++) {
                if (count > skep_load_relaxed(&table->live)) {
                        result = -EBADMSG;
                        break;
                }
                result = take_entry(agent, dict_cell(table, i), flags, &entries[count]);
                if (result == 0)
                        count++;
                else if (result == -ENOENT)
                        result = 0;
        }
        store_unlock(agent, &dict->store, false);
        if (result < 0) {
                skep_dict_entries_free(entries, count);
                return result;
        }
        *ret_entries = entries;
        *ret_count = count;
        return 0;
}

/* --- waiting --------------------------------------------------------------------------------------------------------------------------- */

static int look_for_change(const struct skep_dict *dict, struct skep_agent *agent, const struct dict_key *key, uint64_t version,
                           struct skep_item *ret_value, uint64_t *ret_version)
{
        uint64_t now = 0;
        int result = look_up(dict, agent, key, NULL, &now);
        if (result < 0 && result != -ENOENT)
                return result;
        if (now == version)
                return -EAGAIN;
        struct skep_item value = skep_item_none();
        result = now ? look_up(dict, agent, key, &value, &now) : 0;
        if (result == -ENOENT) { /* deleted since */
                now = 0;
                result = version ? 0 : -EAGAIN;
        }
        if (result < 0)
                return result;
        if (ret_value)
                *ret_value = value;
        else
                skep_item_clear(&value);
        if (ret_version)
                *ret_version = now;
        return 0;
}

int skep_dict_wait(skep_dict *dict, const struct skep_item *item, uint64_t version, struct skep_item *ret_value, uint64_t *ret_version,
                   skep_deadline deadline)
{
        struct skep_agent *agent;
        struct dict_key key;
        int result = object_self(&dict->base, &agent), waited = 0;
        if (result < 0 && object_is_remote(&dict->base))
                return item_simple(&dict->base, REMOTE_DICT_WAIT, deadline, (const int64_t[]){(int64_t)version}, 1, item, NULL, (int64_t *)ret_version,
                                   ret_value);
        if (result == 0)
                result = dict_key(dict, item, &key);
        if (result == 0)
                result = look_for_change(dict, agent, &key, version, ret_value, ret_version);
        while (result == -EAGAIN && waited == 0) {
                uint32_t seen = store_wait_key(&dict->store);
                result = look_for_change(dict, agent, &key, version, ret_value, ret_version);
                if (result == -EAGAIN)
                        waited = store_wait(agent, &dict->store, seen, deadline);
        }
        if (waited == -ETIMEDOUT)
                result = look_for_change(dict, agent, &key, version, ret_value, ret_version);
        return result == -EAGAIN ? waited : result;
}
