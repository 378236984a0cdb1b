/* SPDX-License-Identifier: Apache-2.0 */
/* event.c - the public event: sync/event.c's word in a block of its own (skep/event.h). */
#include "sync/event.h"

#include "object/object.h"

#include <skep/event.h>

struct skep_event {
        struct object base;
};

int skep_event_create(skep_hive *hive, const char *name, skep_event **ret_event)
{
        struct object *object;
        int result = hive->remote ? object_create_remote(hive, BLOCK_EVENT, name, NULL, 0, &object)
                                  : object_create(hive, BLOCK_EVENT, name, sizeof(struct shm_event), NULL, NULL, &object);
        if (result == 0)
                *ret_event = (skep_event *)object;
        return result;
}

OBJECT_FUNCTIONS(event, BLOCK_EVENT)

int skep_event_set(skep_event *event)
{
        if (object_is_remote(&event->base))
                return object_call(&event->base, 0, REMOTE_EVENT_SET, skep_nowait());
        flag_set(SHARED(event, event));
        return 0;
}

int skep_event_clear(skep_event *event)
{
        if (object_is_remote(&event->base))
                return object_call(&event->base, 0, REMOTE_EVENT_CLEAR, skep_nowait());
        flag_clear(SHARED(event, event));
        return 0;
}

int skep_event_is_set(const skep_event *event)
{
        return object_is_remote(&event->base) ? (int)object_ask(&event->base, REMOTE_EVENT_IS_SET, 0) : flag_is_set(SHARED(event, event));
}

int skep_event_wait(skep_event *event, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = object_self(&event->base, &agent);
        return result < 0 ? object_call(&event->base, result, REMOTE_EVENT_WAIT, deadline) : flag_wait(agent, SHARED(event, event), deadline);
}

static void event_inspect(skep_hive *hive, struct shm_block *block, struct skep_object_info *info)
{
        uint64_t bytes;
        const struct shm_event *event = heap_data(hive, block, &bytes);
        if (event && bytes >= sizeof *event)
                info->value = flag_is_set(event);
}

static const struct kind event_kind = {
        .name = "event",
        .shared_bytes = sizeof(struct shm_event),
        .handle_bytes = sizeof(struct skep_event),
        .inspect = event_inspect,
};

__attribute__((constructor)) static void event_register(void)
{
        kind_register(BLOCK_EVENT, &event_kind);
}
