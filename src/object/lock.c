/* SPDX-License-Identifier: Apache-2.0 */
/* lock.c - the public lock and rlock: sync/lock.c's words in a block of their own (skep/lock.h, skep/rlock.h). */
#include "object/object.h"

#include <errno.h>
#include <skep/lock.h>
#include <skep/rlock.h>

int64_t owner_pid(const skep_hive *hive, uint32_t agent)
{
        int member = agent_member(hive, agent);
        return member < 0 ? 0 : member_pid(hive, (uint32_t)member);
}

void inspect_lock(skep_hive *hive, const struct shm_lock *lock, struct skep_object_info *info)
{
        uint32_t owner = lock_owner(&lock->word);
        info->value = owner ? lock->depth : 0;
        info->owner_pid = owner_pid(hive, owner);
        info->owner_thread = info->owner_pid ? hive->agents[owner & AGENT_INDEX_MASK].thread : 0;
        info->flags = skep_load32(&lock->died) ? SKEP_OBJECT_OWNER_DIED : 0;
}

static void lock_inspect(skep_hive *hive, struct shm_block *block, struct skep_object_info *info)
{
        uint64_t bytes;
        const struct shm_lock *lock = heap_data(hive, block, &bytes);
        if (lock && bytes >= sizeof *lock)
                inspect_lock(hive, lock, info);
}

static const struct kind lock_kind = {
        .name = "lock",
        .shared_bytes = sizeof(struct shm_lock),
        .handle_bytes = sizeof(struct skep_lock),
        .inspect = lock_inspect,
};

static const struct kind rlock_kind = {
        .name = "rlock",
        .shared_bytes = sizeof(struct shm_lock),
        .handle_bytes = sizeof(struct skep_rlock),
        .inspect = lock_inspect,
};

__attribute__((constructor)) static void lock_register(void)
{
        kind_register(BLOCK_LOCK, &lock_kind);
        kind_register(BLOCK_RLOCK, &rlock_kind);
}

/* --- lock ------------------------------------------------------------------------------------------------------------------ */

int skep_lock_create(skep_hive *hive, const char *name, skep_lock **ret_lock)
{
        struct object *object;
        int result = hive->remote ? object_create_remote(hive, BLOCK_LOCK, name, NULL, 0, &object)
                                  : object_create(hive, BLOCK_LOCK, name, sizeof(struct shm_lock), NULL, NULL, &object);
        if (result == 0)
                *ret_lock = (skep_lock *)object;
        return result;
}

OBJECT_FUNCTIONS(lock, BLOCK_LOCK)

int skep_lock_acquire(skep_lock *lock, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = object_self(&lock->base, &agent);
        return result < 0 ? object_call(&lock->base, result, REMOTE_LOCK_ACQUIRE, deadline) : user_lock_acquire(agent, SHARED(lock, lock), deadline);
}

int skep_lock_release(skep_lock *lock)
{
        struct skep_agent *agent;
        int result = object_self(&lock->base, &agent);
        return result < 0 ? object_call(&lock->base, result, REMOTE_LOCK_RELEASE, skep_nowait()) : lock_release(agent, &SHARED(lock, lock)->word);
}

int64_t skep_lock_owner(const skep_lock *lock)
{
        return object_is_remote(&lock->base) ? object_ask(&lock->base, REMOTE_LOCK_STATE, 0)
                                             : owner_pid(lock->base.hive, lock_owner(&SHARED(lock, lock)->word));
}

int skep_lock_is_held(const skep_lock *lock)
{
        return object_is_remote(&lock->base) ? (int)object_ask(&lock->base, REMOTE_LOCK_STATE, 1) : lock_owner(&SHARED(lock, lock)->word) != 0;
}

int skep_lock_is_mine(const skep_lock *lock)
{
        struct skep_agent *agent;
        if (object_is_remote(&lock->base))
                return (int)object_ask(&lock->base, REMOTE_LOCK_STATE, 2);
        return object_self(&lock->base, &agent) == 0 && lock_owner(&SHARED(lock, lock)->word) == agent->id;
}

int skep_lock_owner_died(const skep_lock *lock)
{
        return object_is_remote(&lock->base) ? (int)object_ask(&lock->base, REMOTE_LOCK_STATE, 3) : skep_load32(&SHARED(lock, lock)->died) != 0;
}

void skep_lock_clear_owner_died(skep_lock *lock)
{
        if (object_is_remote(&lock->base))
                (void)object_ask(&lock->base, REMOTE_LOCK_CLEAR, 0);
        else
                skep_store32(&SHARED(lock, lock)->died, 0);
}

/* --- rlock ------------------------------------------------------------------------------------------------------------------ */

int skep_rlock_create(skep_hive *hive, const char *name, skep_rlock **ret_rlock)
{
        struct object *object;
        int result = hive->remote ? object_create_remote(hive, BLOCK_RLOCK, name, NULL, 0, &object)
                                  : object_create(hive, BLOCK_RLOCK, name, sizeof(struct shm_lock), NULL, NULL, &object);
        if (result == 0)
                *ret_rlock = (skep_rlock *)object;
        return result;
}

OBJECT_FUNCTIONS(rlock, BLOCK_RLOCK)

int skep_rlock_acquire(skep_rlock *rlock, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = object_self(&rlock->base, &agent);
        return result < 0 ? object_call(&rlock->base, result, REMOTE_RLOCK_ACQUIRE, deadline) : rlock_acquire(agent, SHARED(lock, rlock), deadline);
}

int skep_rlock_release(skep_rlock *rlock)
{
        struct skep_agent *agent;
        int result = object_self(&rlock->base, &agent);
        return result < 0 ? object_call(&rlock->base, result, REMOTE_RLOCK_RELEASE, skep_nowait()) : rlock_release(agent, SHARED(lock, rlock));
}

uint32_t skep_rlock_depth(const skep_rlock *rlock)
{
        struct skep_agent *agent;
        const struct shm_lock *lock = SHARED(lock, rlock);
        if (object_is_remote(&rlock->base))
                return (uint32_t)object_ask(&rlock->base, REMOTE_RLOCK_STATE, 4);
        return object_self(&rlock->base, &agent) == 0 && lock_owner(&lock->word) == agent->id ? lock->depth : 0;
}

int64_t skep_rlock_owner(const skep_rlock *rlock)
{
        return object_is_remote(&rlock->base) ? object_ask(&rlock->base, REMOTE_RLOCK_STATE, 0)
                                             : owner_pid(rlock->base.hive, lock_owner(&SHARED(lock, rlock)->word));
}

int skep_rlock_is_held(const skep_rlock *rlock)
{
        return object_is_remote(&rlock->base) ? (int)object_ask(&rlock->base, REMOTE_RLOCK_STATE, 1) : lock_owner(&SHARED(lock, rlock)->word) != 0;
}

int skep_rlock_owner_died(const skep_rlock *rlock)
{
        return object_is_remote(&rlock->base) ? (int)object_ask(&rlock->base, REMOTE_RLOCK_STATE, 3) : skep_load32(&SHARED(lock, rlock)->died) != 0;
}

void skep_rlock_clear_owner_died(skep_rlock *rlock)
{
        if (object_is_remote(&rlock->base))
                (void)object_ask(&rlock->base, REMOTE_RLOCK_CLEAR, 0);
        else
                skep_store32(&SHARED(lock, rlock)->died, 0);
}
