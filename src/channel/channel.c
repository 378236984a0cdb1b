/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel.c - two ends, each a block that claims the queue it reads and the queue it writes (skep/channel.h).
 *
 * An end is destroyed with its last claim, by whoever drops that: its holder, or the reaper for a dead one.  Then both its queues
 * are closed and let go.  So "nobody holds the other end" is one word in a queue, and costs send and receive nothing.
 *
 *   word      0          nothing yet, or a one-way channel's other way
 *             queue      a claim of the end on that queue
 *
 * CRASH.  dies                               found as                           repaired by
 *         making an end                      end with the dead's claim          the bit is dropped, the last claim destroys it
 *         between a claim and its word       intent HOLD                        claim/recover.c: undone
 *         closing, or after it               end RETIRED(dead)                  the reaper destroys it again: closed stays closed
 *         dropping what nobody will receive  end RETIRED(dead)                  the same; a message half taken was put back before
 *         between a word and its claim       intent DROP                        claim/recover.c: finished; the word is 0
 *         before waking who waits            -                                  their slices end
 */
#include "base/probe.h"
#include "claim/object.h"
#include "queue/queue.h"

#include <errno.h>
#include <skep/channel.h>
#include <skep/inspect.h>

struct shm_channel_end {
        uint64_t reads;
        uint64_t writes;
};
_Static_assert(sizeof(struct shm_channel_end) == 16, "format");

struct skep_channel_end {
        struct object base;
        skep_queue *reads; /* handles of this process; NULL: not this way */
        skep_queue *writes;
};

/* --- make, find, end ------------------------------------------------------------------------------------------------------- */

static int queue_of_word(struct skep_agent *agent, const uint64_t *word, skep_queue **ret_queue)
{
        uint64_t offset = skep_load(word);
        struct shm_block *block = claim_find(agent->hive, offset, 0);
        if (!offset)
                return 0;
        int result = block ? queue_of_block(agent, block, ret_queue) : -EBADMSG;
        return result == -EPROTOTYPE || result == -ESTALE ? -EBADMSG : result;
}

static int end_complete(struct object *handle)
{
        skep_channel_end *end = (skep_channel_end *)handle;
        const struct shm_channel_end *shared = handle->shared;
        struct skep_agent *agent;
        int result = object_self(handle, &agent);
        if (result == 0)
                result = queue_of_word(agent, &shared->reads, &end->reads);
        if (result == 0)
                result = queue_of_word(agent, &shared->writes, &end->writes);
        return result;
}

static void end_end(struct object *handle)
{
        skep_channel_end *end = (skep_channel_end *)handle;
        skep_queue_unref(end->reads);
        skep_queue_unref(end->writes);
}

static int end_create(struct skep_agent *agent, const skep_queue *reads, const skep_queue *writes, const char *name, skep_channel_end **ret_end)
{
        struct object *object;
        int result = object_make(agent, BLOCK_CHANNEL_END, sizeof(struct shm_channel_end), NULL, NULL, &object);
        if (result < 0)
                return result;
        struct shm_channel_end *shared = object->shared;
        if (reads)
                result = claim_link(agent, &shared->reads, queue_block(reads));
        if (result == 0 && writes)
                result = claim_link(agent, &shared->writes, queue_block(writes));
        if (result < 0)
                object_unref(object);
        else
                result = object_publish(agent, object, name);
        if (result == 0)
                *ret_end = (skep_channel_end *)object;
        return result;
}

int skep_channel_create(skep_hive *hive, const struct skep_channel_options *given, skep_channel_end **ret_first, skep_channel_end **ret_second)
{
        struct skep_channel_options options;
        struct skep_agent *agent;
        skep_queue *forth = NULL, *back = NULL;
        skep_channel_end *first = NULL;
        int result = options_copy(&options, sizeof options, given);
        if (result == 0 && options.flags & ~SKEP_CHANNEL_ONE_WAY)
                result = -EINVAL;
        if (result == 0 && options.name)
                result = name_check(options.name);
        if (result == 0)
                result = agent_self(hive, &agent);
        const struct skep_queue_options *way = SKEP_QUEUE_OPTIONS(.capacity = options.capacity, .slot_bytes = options.slot_bytes);
        if (result == 0)
                result = skep_queue_create(hive, way, &back);
        if (result == 0 && !(options.flags & SKEP_CHANNEL_ONE_WAY))
                result = skep_queue_create(hive, way, &forth);
        if (result == 0)
                result = end_create(agent, back, forth, NULL, &first);
        if (result == 0)
                result = end_create(agent, forth, back, options.name, ret_second);
        if (result < 0)
                skep_channel_unref(first);
        else
                *ret_first = first;
        skep_queue_unref(forth); /* the ends hold them now */
        skep_queue_unref(back);
        return result;
}

OBJECT_FUNCTIONS_OF(channel, skep_channel_end, BLOCK_CHANNEL_END)

skep_hive *skep_channel_hive(const skep_channel_end *end)
{
        return end->base.hive;
}

/* --- send and receive --------------------------------------------------------------------------------------------------------- */

skep_queue *skep_channel_reader(const skep_channel_end *end)
{
        return end->reads;
}

skep_queue *skep_channel_writer(const skep_channel_end *end)
{
        return end->writes;
}

int skep_channel_send(skep_channel_end *end, const void *message, size_t bytes, skep_deadline deadline)
{
        return end->writes ? skep_queue_put(end->writes, message, bytes, deadline) : -ENOTSUP;
}

int skep_channel_receive(skep_channel_end *end, void *buffer, size_t capacity_bytes, size_t *ret_bytes, skep_deadline deadline)
{
        return end->reads ? skep_queue_get(end->reads, buffer, capacity_bytes, ret_bytes, deadline) : -ENOTSUP;
}

int skep_channel_poll(skep_channel_end *end, skep_deadline deadline)
{
        return end->reads ? skep_queue_poll(end->reads, deadline) : -ENOTSUP;
}

int skep_channel_fd(skep_channel_end *end)
{
        return end->reads ? skep_queue_fd(end->reads) : -ENOTSUP;
}

/* --- the last holder has let go ------------------------------------------------------------------------------------------------ */

static struct shm_channel_end *end_of(skep_hive *hive, struct shm_block *block)
{
        uint64_t bytes;
        struct shm_channel_end *shared = heap_data(hive, block, &bytes);
        return shared && bytes >= sizeof *shared ? shared : NULL;
}

/* What nobody will receive is dropped with the end that would have: it may carry ends that others wait for. */
static void way_end(struct skep_agent *agent, uint64_t *word, bool reads)
{
        if (!skep_load(word))
                return;
        struct shm_block *queue = claim_find(agent->hive, skep_load(word), 0);
        if (queue && reads)
                queue_orphan_block(agent, queue);
        else if (queue)
                queue_close_block(agent->hive, queue);
        PROBE("channel.closed");
        claim_unlink(agent, word);
}

/* The end is RETIRED(agent), or that agent's reaper's. */
static void end_destroy(struct skep_agent *agent, struct shm_block *block)
{
        struct shm_channel_end *shared = end_of(agent->hive, block);
        if (!shared)
                return;
        way_end(agent, &shared->reads, true);
        way_end(agent, &shared->writes, false);
}

/* The dead may have been emptying the queue, which it had no claim on but through this end. */
static void end_recover(struct reap *reap, struct shm_block *block)
{
        const struct shm_channel_end *shared = end_of(reap->hive, block);
        struct shm_block *queue = shared ? claim_find(reap->hive, skep_load(&shared->reads), 0) : NULL;
        if (queue && claim_kind(queue) == BLOCK_QUEUE)
                queue_recover(reap, queue);
}

static uint64_t word_verify(skep_hive *hive, const uint64_t *word)
{
        uint64_t offset = skep_load(word);
        const struct shm_block *queue = claim_find(hive, offset, 0);
        return offset && (!queue || queue->kind != BLOCK_QUEUE);
}

static uint64_t end_verify(skep_hive *hive, struct shm_block *block)
{
        const struct shm_channel_end *shared = end_of(hive, block);
        return shared ? word_verify(hive, &shared->reads) + word_verify(hive, &shared->writes) : 1;
}

/* What waits to be received. */
static void end_inspect(skep_hive *hive, struct shm_block *block, struct skep_object_info *info)
{
        const struct shm_channel_end *shared = end_of(hive, block);
        struct shm_block *queue = shared ? claim_find(hive, skep_load(&shared->reads), 0) : NULL;
        if (queue && kind_of(queue)->inspect)
                kind_of(queue)->inspect(hive, queue, info);
}

static const struct kind end_kind = {
        .name = "channel end",
        .shared_bytes = sizeof(struct shm_channel_end),
        .handle_bytes = sizeof(struct skep_channel_end),
        .complete = end_complete,
        .end = end_end,
        .destroy = end_destroy,
        .recover = end_recover,
        .verify = end_verify,
        .inspect = end_inspect,
};

__attribute__((constructor)) static void channel_register(void)
{
        kind_register(BLOCK_CHANNEL_END, &end_kind);
}
