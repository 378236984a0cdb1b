/* SPDX-License-Identifier: Apache-2.0 */
/* rwlock.c - the public reader-writer lock: sync/rwlock.c's words in a block of their own (skep/rwlock.h). */
#include "sync/rwlock.h"

#include "object/object.h"

#include <errno.h>
#include <skep/rwlock.h>

struct skep_rwlock {
        struct object base;
};

static uint64_t rwlock_bytes(uint32_t reader_max)
{
        return sizeof(struct shm_rwlock) + reader_max * sizeof(uint32_t);
}

static void rwlock_format(void *shared, const void *reader_max)
{
        ((struct shm_rwlock *)shared)->reader_max = *(const uint32_t *)reader_max;
}

int skep_rwlock_create(skep_hive *hive, const char *name, skep_rwlock **ret_rwlock)
{
        struct object *object;
        uint32_t reader_max = hive->agent_max + 1;
        int result = object_create(hive, BLOCK_RWLOCK, name, rwlock_bytes(reader_max), rwlock_format, &reader_max, &object);
        if (result == 0)
                *ret_rwlock = (skep_rwlock *)object;
        return result;
}

OBJECT_FUNCTIONS(rwlock, BLOCK_RWLOCK)

/* @return 0, -EBADMSG, and as object_self() */
static int rwlock_self(const skep_rwlock *rwlock, struct skep_agent **ret_agent)
{
        return rwlock->base.shared_bytes < rwlock_bytes(SHARED(rwlock, rwlock)->reader_max) ? -EBADMSG : object_self(&rwlock->base, ret_agent);
}

int skep_rwlock_acquire_read(skep_rwlock *rwlock, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = rwlock_self(rwlock, &agent);
        return result < 0 ? result : rwlock_read(agent, SHARED(rwlock, rwlock), deadline);
}

int skep_rwlock_acquire_write(skep_rwlock *rwlock, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = rwlock_self(rwlock, &agent);
        return result < 0 ? result : rwlock_write(agent, SHARED(rwlock, rwlock), deadline);
}

int skep_rwlock_release(skep_rwlock *rwlock)
{
        struct skep_agent *agent;
        int result = rwlock_self(rwlock, &agent);
        return result < 0 ? result : rwlock_release(agent, SHARED(rwlock, rwlock));
}

int64_t skep_rwlock_writer(const skep_rwlock *rwlock)
{
        return owner_pid(rwlock->base.hive, lock_owner(&SHARED(rwlock, rwlock)->writer.word));
}

static uint64_t rwlock_verify(skep_hive *hive, struct shm_block *block)
{
        uint64_t bytes;
        const struct shm_rwlock *rwlock = heap_data(hive, block, &bytes);
        return !rwlock || bytes < sizeof *rwlock || bytes < rwlock_bytes(rwlock->reader_max);
}

static void rwlock_inspect(skep_hive *hive, struct shm_block *block, struct skep_object_info *info)
{
        if (rwlock_verify(hive, block))
                return;
        uint64_t bytes;
        const struct shm_rwlock *rwlock = heap_data(hive, block, &bytes);
        inspect_lock(hive, &rwlock->writer, info);
        info->value = 0;
        for (uint32_t i = 1; i < rwlock->reader_max; i++)
                info->value += skep_load32(&rwlock->reader[i]) != 0;
}

static const struct kind rwlock_kind = {
        .name = "rwlock",
        .shared_bytes = sizeof(struct shm_rwlock),
        .handle_bytes = sizeof(struct skep_rwlock),
        .verify = rwlock_verify,
        .inspect = rwlock_inspect,
};

__attribute__((constructor)) static void rwlock_register(void)
{
        kind_register(BLOCK_RWLOCK, &rwlock_kind);
}
