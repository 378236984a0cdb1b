/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name.c - the directory of named objects.  A name claims its object.
 *
 * Entries are written under heap->names_lock; `block` is the commit word, set last and cleared first, inside an intent
 * (HOLD, DROP with INTENT_WORD), so that a dead writer's half entry is free and its claim undone.
 */
#include "claim/claim.h"
#include "hive/remote.h"
#include "sync/lock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct shm_name *entry_find(skep_hive *hive, const char *name)
{
        for (uint32_t i = 0; i < HIVE_NAME_MAX; i++)
                if (skep_load(&hive->names[i].block) && !strncmp(hive->names[i].name, name, SKEP_NAME_MAX + 1))
                        return &hive->names[i];
        return NULL;
}

static struct shm_name *entry_free(skep_hive *hive)
{
        for (uint32_t i = 0; i < HIVE_NAME_MAX; i++)
                if (!skep_load(&hive->names[i].block))
                        return &hive->names[i];
        return NULL;
}

static int enter_locked(struct skep_agent *agent, const char *name, struct shm_block *block)
{
        if (entry_find(agent->hive, name))
                return -EEXIST;
        struct shm_name *entry = entry_free(agent->hive);
        if (!entry)
                return -EUSERS;
        memset(entry->name, 0, sizeof entry->name);
        memcpy(entry->name, name, strlen(name));
        skep_store_relaxed(&entry->serial, block->serial);
        return claim_link(agent, &entry->block, block);
}

int name_enter(struct skep_agent *agent, const char *name, struct shm_block *block)
{
        int result = name_check(name);
        if (result == 0)
                result = lock_acquire_inner(agent, &agent->hive->heap->names_lock);
        if (result < 0)
                return result;
        result = enter_locked(agent, name, block);
        lock_release_inner(agent, &agent->hive->heap->names_lock);
        return result;
}

int name_find(struct skep_agent *agent, const char *name, enum block_kind kind, struct shm_block **ret_block)
{
        int result = name_check(name);
        if (result == 0)
                result = lock_acquire_inner(agent, &agent->hive->heap->names_lock);
        if (result < 0)
                return result;
        struct shm_name *entry = entry_find(agent->hive, name);
        struct shm_block *block = entry ? claim_find(agent->hive, entry->block, entry->serial) : NULL;
        result = !entry ? -ENOENT : !block ? -ESTALE : claim_kind(block) != kind ? -EPROTOTYPE : claim_ref(agent, block, block->serial);
        lock_release_inner(agent, &agent->hive->heap->names_lock);
        if (result == 0)
                *ret_block = block;
        return result;
}

/* --- of another machine ------------------------------------------------------------------------------------------------------ */

static int forget_remote(skep_hive *hive, const char *name)
{
        struct remote_call call = {.method = REMOTE_FORGET, .arguments = &REMOTE_BYTES(name, strlen(name)), .count = 1};
        return remote_call(hive, &call);
}

/* Kind and name of each, ended by a zero. */
static int names_remote(skep_hive *hive, int (*visit)(const struct skep_object_entry *entry, void *context), void *context)
{
        struct remote_call call = {.method = REMOTE_NAMES};
        int result = remote_call(hive, &call);
        const char *at = call.data, *end = at + call.bytes;
        while (result == 0 && at < end) {
                struct skep_object_entry entry = {.kind = at};
                const char *name = at + strnlen(at, (size_t)(end - at)) + 1;
                size_t length = name < end ? strnlen(name, (size_t)(end - name)) : 0;
                if (name >= end || name + length == end || length > SKEP_NAME_MAX) {
                        result = -EPROTO;
                        break;
                }
                memcpy(entry.name, name, length);
                at = name + length + 1;
                result = visit(&entry, context);
        }
        free(call.data);
        return result;
}

/* --- what has a name --------------------------------------------------------------------------------------------------------- */

int skep_hive_forget(skep_hive *hive, const char *name)
{
        struct skep_agent *agent;
        int result = name_check(name);
        if (result == 0 && hive->remote)
                return forget_remote(hive, name);
        if (result == 0)
                result = agent_self(hive, &agent);
        if (result == 0)
                result = lock_acquire_inner(agent, &agent->hive->heap->names_lock);
        if (result < 0)
                return result;
        struct shm_name *entry = entry_find(hive, name);
        if (entry)
                claim_unlink(agent, &entry->block);
        lock_release_inner(agent, &hive->heap->names_lock);
        return entry ? 0 : -ENOENT;
}

/* @return 1 it is there and was copied, 0, -EBADMSG */
static int entry_copy(struct skep_agent *agent, const struct shm_name *entry, struct skep_object_entry *ret_entry)
{
        skep_hive *hive = agent->hive;
        if (!skep_load(&entry->block))
                return 0;
        int result = lock_acquire_inner(agent, &hive->heap->names_lock);
        if (result < 0)
                return result;
        struct shm_block *block = skep_load(&entry->block) ? claim_find(hive, entry->block, entry->serial) : NULL;
        if (block) {
                *ret_entry = (struct skep_object_entry){.kind = kind_of(block)->name};
                memcpy(ret_entry->name, entry->name, SKEP_NAME_MAX);
        }
        lock_release_inner(agent, &hive->heap->names_lock);
        return block != NULL;
}

int skep_hive_names(skep_hive *hive, int (*visit)(const struct skep_object_entry *entry, void *context), void *context)
{
        struct skep_object_entry entry;
        struct skep_agent *agent;
        if (hive->remote)
                return names_remote(hive, visit, context);
        int result = agent_self(hive, &agent);
        for (uint32_t i = 0; i < HIVE_NAME_MAX && result == 0; i++) {
                result = entry_copy(agent, &hive->names[i], &entry);
                if (result == 1)
                        result = visit(&entry, context);
        }
        return result;
}
