/* SPDX-License-Identifier: Apache-2.0 */
/* object_lock.c - the public lock: sync/lock.c's word in a block of its own (skep/lock.h). */
#include "claim/claim.h"
#include "sync/lock.h"

#include <errno.h>
#include <skep/lock.h>
#include <stdlib.h>

struct skep_lock {
        skep_hive *hive;
        struct shm_block *block;
        skep_block reference;
        uint32_t *word;
};

/* Wrap a block that this process has claimed for the handle. */
static int lock_new(struct skep_agent *agent, struct shm_block *block, skep_lock **ret_lock)
{
        uint64_t bytes;
        uint32_t *word = heap_data(agent->hive, block, &bytes);
        skep_lock *lock = word ? malloc(sizeof *lock) : NULL;
        if (!lock) {
                (void)claim_unref(agent, block);
                return word ? -ENOMEM : -EBADMSG;
        }
        *lock = (skep_lock){agent->hive, block, claim_reference(agent->hive, block), word};
        *ret_lock = lock;
        return 0;
}

int skep_lock_create(skep_hive *hive, const char *name, skep_lock **ret_lock)
{
        struct skep_agent *agent;
        struct shm_block *block;
        skep_lock *lock = NULL;
        int result = name ? name_check(name) : 0;
        if (result == 0)
                result = agent_self(hive, &agent);
        if (result == 0)
                result = claim_alloc(agent, sizeof(uint32_t), BLOCK_LOCK, &block);
        if (result == 0)
                result = lock_new(agent, block, &lock);
        if (result < 0)
                return result;
        skep_store32(lock->word, 0);
        result = name ? name_enter(agent, name, block) : 0;
        if (result < 0)
                skep_lock_unref(lock);
        else
                *ret_lock = lock;
        return result;
}

int skep_lock_open(skep_hive *hive, const char *name, skep_lock **ret_lock)
{
        struct skep_agent *agent;
        struct shm_block *block;
        int result = agent_self(hive, &agent);
        if (result == 0)
                result = name_find(agent, name, BLOCK_LOCK, &block);
        return result < 0 ? result : lock_new(agent, block, ret_lock);
}

int skep_lock_attach(skep_hive *hive, skep_block reference, skep_lock **ret_lock)
{
        struct skep_agent *agent;
        int result = agent_self(hive, &agent);
        struct shm_block *block = claim_find(hive, reference.offset, reference.serial);
        if (result == 0)
                result = !block || !reference.serial ? -ESTALE
                         : claim_kind(block) != BLOCK_LOCK ? -EPROTOTYPE : claim_ref(agent, block, (uint32_t)reference.serial);
        return result < 0 ? result : lock_new(agent, block, ret_lock);
}

skep_block skep_lock_reference(const skep_lock *lock)
{
        return lock->reference;
}

skep_lock *skep_lock_unref(skep_lock *lock)
{
        struct skep_agent *agent;
        if (lock && agent_self(lock->hive, &agent) == 0)
                (void)claim_unref(agent, lock->block);
        free(lock);
        return NULL;
}

int skep_lock_acquire(skep_lock *lock, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = agent_self(lock->hive, &agent);
        return result < 0 ? result : lock_acquire(agent, lock->word, deadline);
}

int skep_lock_release(skep_lock *lock)
{
        struct skep_agent *agent;
        int result = agent_self(lock->hive, &agent);
        return result < 0 ? result : lock_release(agent, lock->word);
}

int64_t skep_lock_owner(const skep_lock *lock)
{
        int member = agent_member(lock->hive, lock_owner(lock->word));
        return member < 0 ? 0 : member_pid(lock->hive, (uint32_t)member);
}
