/* SPDX-License-Identifier: Apache-2.0 */
/* barrier.c - the public barrier: sync/barrier.c's words in a block of their own (skep/barrier.h). */
#include "sync/barrier.h"

#include "object/object.h"

#include <errno.h>
#include <skep/barrier.h>

struct skep_barrier {
        struct object base;
};

static void barrier_format(void *shared, const void *parties)
{
        ((struct shm_barrier *)shared)->parties = *(const uint32_t *)parties;
}

int skep_barrier_create(skep_hive *hive, const char *name, uint32_t parties, skep_barrier **ret_barrier)
{
        struct object *object;
        if (parties && hive->remote) {
                int made = object_create_remote(hive, BLOCK_BARRIER, name, &REMOTE_INTEGER(parties), 1, &object);
                if (made == 0)
                        *ret_barrier = (skep_barrier *)object;
                return made;
        }
        int result = parties ? object_create(hive, BLOCK_BARRIER, name, sizeof(struct shm_barrier), barrier_format, &parties, &object) : -EINVAL;
        if (result == 0)
                *ret_barrier = (skep_barrier *)object;
        return result;
}

OBJECT_FUNCTIONS(barrier, BLOCK_BARRIER)

/* The action would have to run here, while all others there wait for it. */
static int wait_remote(skep_barrier *barrier, skep_barrier_action *action, skep_deadline deadline, uint32_t *ret_index)
{
        int64_t index = 0;
        int result = action ? -ENOTSUP
                            : remote_simple(barrier->base.hive, &barrier->base.reference, REMOTE_BARRIER_WAIT, deadline, NULL, 0, &index);
        if (result >= 0 && ret_index)
                *ret_index = (uint32_t)index;
        return result;
}

int skep_barrier_wait(skep_barrier *barrier, skep_barrier_action *action, void *context, skep_deadline deadline, uint32_t *ret_index)
{
        struct skep_agent *agent;
        int result = object_self(&barrier->base, &agent);
        if (result < 0 && object_is_remote(&barrier->base))
                return wait_remote(barrier, action, deadline, ret_index);
        return result < 0 ? result : barrier_wait(agent, SHARED(barrier, barrier), action, context, deadline, ret_index);
}

int skep_barrier_abort(skep_barrier *barrier)
{
        struct skep_agent *agent;
        int result = object_self(&barrier->base, &agent);
        return result < 0 ? object_call(&barrier->base, result, REMOTE_BARRIER_ABORT, skep_nowait()) : barrier_abort(agent, SHARED(barrier, barrier));
}

int skep_barrier_reset(skep_barrier *barrier)
{
        struct skep_agent *agent;
        int result = object_self(&barrier->base, &agent);
        return result < 0 ? object_call(&barrier->base, result, REMOTE_BARRIER_RESET, skep_nowait()) : barrier_reset(agent, SHARED(barrier, barrier));
}

uint32_t skep_barrier_parties(const skep_barrier *barrier)
{
        return SHARED(barrier, barrier)->parties;
}

uint32_t skep_barrier_waiting(const skep_barrier *barrier)
{
        return object_is_remote(&barrier->base) ? (uint32_t)object_ask(&barrier->base, REMOTE_BARRIER_STATE, 0)
                                                : skep_load32(&SHARED(barrier, barrier)->waiting);
}

int skep_barrier_is_broken(const skep_barrier *barrier)
{
        if (object_is_remote(&barrier->base))
                return (int)object_ask(&barrier->base, REMOTE_BARRIER_STATE, 1);
        return skep_load32(&SHARED(barrier, barrier)->broken) || skep_load32(&SHARED(barrier, barrier)->lost);
}

static void barrier_recover(struct reap *reap, struct shm_block *block)
{
        uint64_t bytes;
        struct shm_barrier *barrier = heap_data(reap->hive, block, &bytes);
        if (barrier && bytes >= sizeof *barrier)
                barrier_lose(reap, barrier);
}

static uint64_t barrier_verify(skep_hive *hive, struct shm_block *block)
{
        uint64_t bytes;
        const struct shm_barrier *barrier = heap_data(hive, block, &bytes);
        return !barrier || bytes < sizeof *barrier || !barrier->parties || barrier->waiting >= barrier->parties || barrier->broken > 1;
}

static void barrier_inspect(skep_hive *hive, struct shm_block *block, struct skep_object_info *info)
{
        uint64_t bytes;
        const struct shm_barrier *barrier = heap_data(hive, block, &bytes);
        if (!barrier || bytes < sizeof *barrier)
                return;
        info->value = barrier->waiting;
        info->flags = skep_load32(&barrier->broken) || skep_load32(&barrier->lost) ? SKEP_OBJECT_BROKEN : 0;
}

static void barrier_facts(void *shared, const int64_t *facts, uint32_t count)
{
        ((struct shm_barrier *)shared)->parties = count ? (uint32_t)facts[0] : 0;
}

static const struct kind barrier_kind = {
        .name = "barrier",
        .shared_bytes = sizeof(struct shm_barrier),
        .handle_bytes = sizeof(struct skep_barrier),
        .recover = barrier_recover,
        .verify = barrier_verify,
        .inspect = barrier_inspect,
        .facts = barrier_facts,
};

__attribute__((constructor)) static void barrier_register(void)
{
        kind_register(BLOCK_BARRIER, &barrier_kind);
}
