/* SPDX-License-Identifier: Apache-2.0 */
/*
 * condition.c - the public condition: sync/condition.c's words in a block of their own, bound to a lock (skep/condition.h).
 *
 * The condition's block claims the lock's.  The handle holds a claim of its own on the lock, so that neither is looked up again.
 */
#include "sync/condition.h"

#include "base/probe.h"
#include "object/object.h"

#include <errno.h>
#include <skep/condition.h>

struct skep_condition {
        struct object base;
        struct object *lock;
};

static int lock_bind(skep_condition *condition, struct skep_agent *agent)
{
        struct shm_block *block = claim_find(agent->hive, skep_load(&SHARED(condition, condition)->lock), 0);
        if (!block || (block->kind != BLOCK_LOCK && block->kind != BLOCK_RLOCK))
                return -EBADMSG;
        return object_of_block(agent, block, &condition->lock);
}

static int condition_complete(struct object *handle)
{
        struct skep_agent *agent;
        int result = object_self(handle, &agent);
        return result < 0 ? result : lock_bind((skep_condition *)handle, agent);
}

static void condition_end(struct object *handle)
{
        object_unref(((skep_condition *)handle)->lock);
}

int skep_condition_create(skep_hive *hive, const struct skep_condition_options *given, skep_condition **ret_condition)
{
        struct skep_condition_options options;
        struct object *object, *own = NULL;
        struct skep_agent *agent;
        int result = options_copy(&options, sizeof options, given);
        if (result == 0 && options.lock && options.rlock)
                result = -EINVAL;
        struct object *lock = options.lock ? &options.lock->base : options.rlock ? &options.rlock->base : NULL;
        if (result == 0 && lock && lock->hive != hive)
                result = -EINVAL;
        if (result == 0 && options.name)
                result = name_check(options.name);
        if (result == 0)
                result = agent_self(hive, &agent);
        if (result == 0 && !lock)
                result = object_create(hive, BLOCK_RLOCK, NULL, sizeof(struct shm_lock), NULL, NULL, &own);
        if (result == 0)
                result = object_make(agent, BLOCK_CONDITION, sizeof(struct shm_condition), NULL, NULL, &object);
        if (result < 0) {
                object_unref(own);
                return result;
        }
        result = claim_link(agent, &((struct shm_condition *)object->shared)->lock, lock ? lock->block : own->block);
        object_unref(own);
        if (result < 0)
                object_unref(object);
        else
                result = object_publish(agent, object, options.name);
        if (result == 0)
                *ret_condition = (skep_condition *)object;
        return result;
}

OBJECT_FUNCTIONS(condition, BLOCK_CONDITION)

static bool is_recursive(const skep_condition *condition)
{
        return condition->lock->block->kind == BLOCK_RLOCK;
}

int skep_condition_acquire(skep_condition *condition, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = object_self(&condition->base, &agent);
        if (result < 0)
                return result;
        return is_recursive(condition) ? rlock_acquire(agent, condition->lock->shared, deadline)
                                       : user_lock_acquire(agent, condition->lock->shared, deadline);
}

int skep_condition_release(skep_condition *condition)
{
        struct skep_agent *agent;
        struct shm_lock *lock = condition->lock->shared;
        int result = object_self(&condition->base, &agent);
        if (result < 0)
                return result;
        return is_recursive(condition) ? rlock_release(agent, lock) : lock_release(agent, &lock->word);
}

/* The calling thread's agent, if it holds the lock. @return 0, -EPERM, and as object_self() */
static int holder_self(const skep_condition *condition, struct skep_agent **ret_agent)
{
        int result = object_self(&condition->base, ret_agent);
        const struct shm_lock *lock = condition->lock->shared;
        return result == 0 && lock_owner(&lock->word) != (*ret_agent)->id ? -EPERM : result;
}

int skep_condition_wait(skep_condition *condition, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = holder_self(condition, &agent);
        return result < 0 ? result : condition_wait(agent, SHARED(condition, condition), condition->lock->shared, deadline);
}

int skep_condition_notify(skep_condition *condition, uint32_t count)
{
        struct skep_agent *agent;
        int result = holder_self(condition, &agent);
        if (result == 0)
                (void)condition_notify(agent, SHARED(condition, condition), count);
        return result;
}

int skep_condition_notify_all(skep_condition *condition)
{
        return skep_condition_notify(condition, UINT32_MAX);
}

static void condition_destroy(struct skep_agent *agent, struct shm_block *block)
{
        uint64_t bytes;
        struct shm_condition *condition = heap_data(agent->hive, block, &bytes);
        if (condition && bytes >= sizeof *condition && skep_load(&condition->lock))
                claim_unlink(agent, &condition->lock);
}

static uint64_t condition_verify(skep_hive *hive, struct shm_block *block)
{
        uint64_t bytes;
        const struct shm_condition *condition = heap_data(hive, block, &bytes);
        if (!condition || bytes < sizeof *condition)
                return 1;
        uint64_t offset = skep_load(&condition->lock);
        const struct shm_block *lock = offset ? claim_find(hive, offset, 0) : NULL;
        return offset && (!lock || (lock->kind != BLOCK_LOCK && lock->kind != BLOCK_RLOCK));
}

static const struct kind condition_kind = {
        .name = "condition",
        .shared_bytes = sizeof(struct shm_condition),
        .handle_bytes = sizeof(struct skep_condition),
        .complete = condition_complete,
        .end = condition_end,
        .destroy = condition_destroy,
        .verify = condition_verify,
};

__attribute__((constructor)) static void condition_register(void)
{
        kind_register(BLOCK_CONDITION, &condition_kind);
}
