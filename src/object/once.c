/* SPDX-License-Identifier: Apache-2.0 */
/* once.c - the public once: sync/once.c's words in a block of their own (skep/once.h). */
#include "sync/once.h"

#include "object/object.h"

#include <errno.h>
#include <skep/once.h>

struct skep_once {
        struct object base;
};

int skep_once_create(skep_hive *hive, const char *name, skep_once **ret_once)
{
        struct object *object;
        int result = object_create(hive, BLOCK_ONCE, name, sizeof(struct shm_once), NULL, NULL, &object);
        if (result == 0)
                *ret_once = (skep_once *)object;
        return result;
}

OBJECT_FUNCTIONS(once, BLOCK_ONCE)

int skep_once_run(skep_once *once, int (*function)(void *context), void *context, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = object_self(&once->base, &agent);
        if (result == 0)
                result = once_begin(agent, SHARED(once, once), deadline);
        if (result < 0)
                return result == -EALREADY ? 0 : result;
        int told = function(context);
        once_end(agent, SHARED(once, once), told >= 0);
        return told < 0 ? told : result;
}

int skep_once_is_done(const skep_once *once)
{
        return skep_load32(&SHARED(once, once)->done) != 0;
}

static void once_inspect(skep_hive *hive, struct shm_block *block, struct skep_object_info *info)
{
        uint64_t bytes;
        const struct shm_once *once = heap_data(hive, block, &bytes);
        if (!once || bytes < sizeof *once)
                return;
        inspect_lock(hive, &once->lock, info);
        info->value = skep_load32(&once->done);
}

static const struct kind once_kind = {
        .name = "once",
        .shared_bytes = sizeof(struct shm_once),
        .handle_bytes = sizeof(struct skep_once),
        .inspect = once_inspect,
};

__attribute__((constructor)) static void once_register(void)
{
        kind_register(BLOCK_ONCE, &once_kind);
}
