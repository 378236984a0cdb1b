/* SPDX-License-Identifier: Apache-2.0 */
/* object.c - make, find and drop the handle of an object (object.h). */
#include "claim/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Wrap a block that this process has claimed for the handle. */
static int wrap(struct skep_agent *agent, struct shm_block *block, struct object **ret_object)
{
        const struct kind *kind = kind_of(block);
        uint64_t bytes;
        void *shared = heap_data(agent->hive, block, &bytes);
        bool sound = shared && bytes >= kind->shared_bytes && kind->handle_bytes >= sizeof(struct object);
        struct object *object = sound ? calloc(1, kind->handle_bytes) : NULL;
        if (!object) {
                (void)claim_unref(agent, block);
                return sound ? -ENOMEM : -EBADMSG;
        }
        *object = (struct object){agent->hive, block, claim_reference(agent->hive, block), shared, bytes, kind};
        *ret_object = object;
        return 0;
}

static int complete(struct object *object)
{
        int result = object->kind->complete ? object->kind->complete(object) : 0;
        if (result < 0)
                object_unref(object);
        return result;
}

static int wrap_whole(struct skep_agent *agent, struct shm_block *block, struct object **ret_object)
{
        struct object *object;
        int result = wrap(agent, block, &object);
        if (result == 0)
                result = complete(object);
        if (result == 0)
                *ret_object = object;
        return result;
}

int object_make(struct skep_agent *agent, enum block_kind kind, uint64_t bytes, object_format *format, const void *options, struct object **ret_object)
{
        struct shm_block *block;
        uint64_t unused;
        int result = heap_take(agent, bytes, &block);
        if (result < 0)
                return result;
        void *shared = heap_data(agent->hive, block, &unused);
        memset(shared, 0, bytes);
        if (format)
                format(shared, options);
        claim_adopt(agent, block, kind); /* LIVE only now: a reaper never destroys half an object */
        return wrap(agent, block, ret_object);
}

int object_publish(struct skep_agent *agent, struct object *object, const char *name)
{
        int result = name ? name_enter(agent, name, object->block) : 0;
        if (result == 0)
                return complete(object);
        object_unref(object);
        return result;
}

int object_create(skep_hive *hive, enum block_kind kind, const char *name, uint64_t bytes, object_format *format, const void *options,
                  struct object **ret_object)
{
        struct skep_agent *agent;
        struct object *object;
        int result = name ? name_check(name) : 0;
        if (result == 0)
                result = agent_self(hive, &agent);
        if (result == 0)
                result = object_make(agent, kind, bytes, format, options, &object);
        if (result == 0)
                result = object_publish(agent, object, name);
        if (result == 0)
                *ret_object = object;
        return result;
}

int object_open(skep_hive *hive, enum block_kind kind, const char *name, struct object **ret_object)
{
        struct skep_agent *agent;
        struct shm_block *block;
        int result = agent_self(hive, &agent);
        if (result == 0)
                result = name_find(agent, name, kind, &block);
        return result < 0 ? result : wrap_whole(agent, block, ret_object);
}

int object_of_block(struct skep_agent *agent, struct shm_block *block, struct object **ret_object)
{
        int result = claim_ref(agent, block, block->serial);
        return result < 0 ? result : wrap_whole(agent, block, ret_object);
}

int object_attach(skep_hive *hive, enum block_kind kind, skep_block reference, struct object **ret_object)
{
        struct skep_agent *agent;
        int result = agent_self(hive, &agent);
        if (result < 0)
                return result;
        struct shm_block *block = claim_find(hive, reference.offset, reference.serial);
        if (!block || !reference.serial || reference.serial > UINT32_MAX)
                return -ESTALE;
        if (block->kind != kind)
                return -EPROTOTYPE;
        result = claim_ref(agent, block, (uint32_t)reference.serial);
        return result < 0 ? result : wrap_whole(agent, block, ret_object);
}

void object_unref(struct object *object)
{
        struct skep_agent *agent;
        if (object && object->kind->end)
                object->kind->end(object);
        if (object && agent_self(object->hive, &agent) == 0)
                (void)claim_unref(agent, object->block);
        free(object);
}
