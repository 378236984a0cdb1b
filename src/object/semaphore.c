/* SPDX-License-Identifier: Apache-2.0 */
/* semaphore.c - the public semaphore: sync/semaphore.c's words in a block of their own (skep/semaphore.h). */
#include "sync/semaphore.h"

#include "object/object.h"

#include <errno.h>
#include <skep/semaphore.h>

struct skep_semaphore {
        struct object base;
};

static void semaphore_format(void *shared, const void *given)
{
        const struct skep_semaphore_options *options = given;
        struct shm_semaphore *semaphore = shared;
        bool tracking = options->flags & SKEP_SEMAPHORE_TRACKING;
        semaphore->max = tracking ? options->value : options->max ? options->max : SKEP_SEMAPHORE_MAX;
        semaphore->slots = tracking ? options->value : 0;
        semaphore->word = tracking ? 0 : options->value * 2;
}

int skep_semaphore_create(skep_hive *hive, const struct skep_semaphore_options *given, skep_semaphore **ret_semaphore)
{
        struct skep_semaphore_options options;
        struct object *object;
        int result = options_copy(&options, sizeof options, given);
        if (result < 0)
                return result;
        bool tracking = options.flags & SKEP_SEMAPHORE_TRACKING;
        uint32_t max = options.max && !tracking ? options.max : SKEP_SEMAPHORE_MAX;
        if ((options.flags & ~SKEP_SEMAPHORE_TRACKING) || options.reserved || max > SKEP_SEMAPHORE_MAX || options.value > max)
                return -EINVAL;
        if (tracking && (!options.value || options.value > SKEP_SEMAPHORE_TRACKED_MAX))
                return -EINVAL;
        const struct remote_value remote[] = {REMOTE_INTEGER(options.value), REMOTE_INTEGER(options.max), REMOTE_INTEGER(options.flags)};
        uint64_t bytes = sizeof(struct shm_semaphore) + (tracking ? options.value * sizeof(uint32_t) : 0);
        result = hive->remote ? object_create_remote(hive, BLOCK_SEMAPHORE, options.name, remote, 3, &object)
                              : object_create(hive, BLOCK_SEMAPHORE, options.name, bytes, semaphore_format, &options, &object);
        if (result == 0)
                *ret_semaphore = (skep_semaphore *)object;
        return result;
}

OBJECT_FUNCTIONS(semaphore, BLOCK_SEMAPHORE)

static bool is_sound(const struct shm_semaphore *semaphore, uint64_t bytes)
{
        return bytes >= sizeof *semaphore + semaphore->slots * sizeof(uint32_t) && semaphore->max <= SKEP_SEMAPHORE_MAX;
}

int skep_semaphore_acquire(skep_semaphore *semaphore, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = object_self(&semaphore->base, &agent);
        if (result == 0 && !is_sound(SHARED(semaphore, semaphore), semaphore->base.shared_bytes))
                result = -EBADMSG;
        return result < 0 ? object_call(&semaphore->base, result, REMOTE_SEMAPHORE_ACQUIRE, deadline)
                          : semaphore_acquire(agent, SHARED(semaphore, semaphore), deadline);
}

int skep_semaphore_release(skep_semaphore *semaphore, uint32_t count)
{
        struct skep_agent *agent;
        if (count && object_is_remote(&semaphore->base))
                return object_call_with(&semaphore->base, REMOTE_SEMAPHORE_RELEASE, count);
        int result = count ? object_self(&semaphore->base, &agent) : -EINVAL;
        if (result == 0 && !is_sound(SHARED(semaphore, semaphore), semaphore->base.shared_bytes))
                result = -EBADMSG;
        return result < 0 ? result : semaphore_release(agent, SHARED(semaphore, semaphore), count);
}

uint32_t skep_semaphore_value(const skep_semaphore *semaphore)
{
        if (object_is_remote(&semaphore->base))
                return (uint32_t)object_ask(&semaphore->base, REMOTE_SEMAPHORE_VALUE, 0);
        return is_sound(SHARED(semaphore, semaphore), semaphore->base.shared_bytes) ? semaphore_count(SHARED(semaphore, semaphore)) : 0;
}

static uint64_t semaphore_verify(skep_hive *hive, struct shm_block *block)
{
        uint64_t bytes;
        const struct shm_semaphore *semaphore = heap_data(hive, block, &bytes);
        if (!semaphore || bytes < sizeof *semaphore || !is_sound(semaphore, bytes))
                return 1;
        return semaphore_count(semaphore) > semaphore->max;
}

static void semaphore_inspect(skep_hive *hive, struct shm_block *block, struct skep_object_info *info)
{
        uint64_t bytes;
        const struct shm_semaphore *semaphore = heap_data(hive, block, &bytes);
        if (semaphore && bytes >= sizeof *semaphore && is_sound(semaphore, bytes))
                info->value = semaphore_count(semaphore);
}

static const struct kind semaphore_kind = {
        .name = "semaphore",
        .shared_bytes = sizeof(struct shm_semaphore),
        .handle_bytes = sizeof(struct skep_semaphore),
        .verify = semaphore_verify,
        .inspect = semaphore_inspect,
};

__attribute__((constructor)) static void semaphore_register(void)
{
        kind_register(BLOCK_SEMAPHORE, &semaphore_kind);
}
