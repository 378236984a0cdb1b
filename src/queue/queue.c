/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.c - make, find and end a queue; what it holds; recovery, verification and destruction.
 *
 * Putting is put.c, getting is get.c, what is unfinished tasks.c, waiting descriptors are watch.c.
 *
 * CRASH.  dies                                       found as                         repaired by
 *         making a ring, before linking it           intent LINK, word not the block  reaper: block freed
 *         between a new ring and tail_segment        tail_segment behind              the next producer finds the ring before it sealed
 *         between sealed and head_segment            head_segment behind              the next consumer, likewise
 *         putting back, before head_segment falls    RETURNED in a ring left behind   the reaper lowers head_segment to 0
 *         in a slot                                  ring.c's table                   ring_recover()
 *         between a slot's ring and its claims       intent HOLD, LINK, DROP          claim/recover.c, before the slots
 *         taken, not acknowledged                    delivery.c's table               delivery_recover(), before the rings
 *         destroying                                 queue RETIRED(dead)              reaper goes on: each ring is drained, unlinked, dropped
 *         before waking sleepers                     -                                their slices end; the reaper wakes them too
 */
#include "queue/queue.h"

#include "base/checked.h"
#include "base/probe.h"
#include "os/os.h"
#include "sync/wait.h"

#include <errno.h>
#include <skep/inspect.h>
#include <stdlib.h>
#include <string.h>

const struct ring *queue_ring(skep_queue *queue, uint32_t segment)
{
        if (segment >= QUEUE_SEGMENTS)
                return NULL;
        if (__builtin_expect(skep_load32(&queue->open) >> segment & 1, 1))
                return &queue->rings[segment];
        struct shm_block *block = claim_find(queue->hive, skep_load(&queue->shared->segments[segment]), 0);
        uint64_t bytes;
        void *memory = block ? heap_data(queue->hive, block, &bytes) : NULL;
        pthread_mutex_lock(&queue->mutex);
        bool open = memory && ring_open(memory, bytes, &queue->rings[segment]) == 0 &&
                    queue->rings[segment].slot_bytes == queue->slot_bytes && queue->rings[segment].sealable == !queue->capacity;
        if (open)
                (void)skep_fetch_or32(&queue->open, UINT32_C(1) << segment);
        pthread_mutex_unlock(&queue->mutex);
        return open ? &queue->rings[segment] : NULL;
}

/* --- make, find, end ------------------------------------------------------------------------------------------------------ */

/* Wrap a block that this process has claimed for the handle. */
static int queue_new(struct skep_agent *agent, struct shm_block *block, skep_queue **ret_queue)
{
        uint64_t bytes;
        struct shm_queue *shared = heap_data(agent->hive, block, &bytes);
        bool sound = shared && bytes >= sizeof *shared && shared->slot_bytes && shared->slot_bytes <= 4096 && shared->slot_bytes % 64 == 0;
        skep_queue *queue = sound ? calloc(1, sizeof *queue) : NULL;
        if (!queue) {
                (void)claim_unref(agent, block);
                return sound ? -ENOMEM : -EBADMSG;
        }
        queue->hive = agent->hive;
        queue->shared = shared;
        queue->block = block;
        queue->reference = claim_reference(agent->hive, block);
        queue->capacity = shared->capacity;
        queue->slot_bytes = shared->slot_bytes;
        queue->acknowledges = shared->flags & SKEP_QUEUE_ACKNOWLEDGE;
        queue->may_spin = !(shared->flags & SKEP_QUEUE_NO_SPIN) && os_cpu_count() > 1;
        queue->putting = queue->getting = (struct queue_side){.spin_ns = 20000, .linger_every = 1, .linger_in = 1};
        pthread_mutex_init(&queue->mutex, NULL);
        *ret_queue = queue;
        return 0;
}

void queue_link(struct skep_agent *agent, uint64_t *word, struct shm_block *block, enum block_kind kind)
{
        uint64_t expected = 0;
        intent_set(agent, INTENT_LINK, block, word, INTENT_WORD);
        claim_publish(agent, block, kind);
        bool linked = skep_cas(word, &expected, hive_offset(agent->hive, block));
        PROBE("queue.linked");
        if (!linked)
                claim_unpublish(agent, block);
        intent_clear(agent);
        if (!linked)
                heap_give(agent, block);
}

int queue_add_segment(skep_queue *queue, struct skep_agent *agent, uint32_t segment)
{
        uint64_t slots = queue->capacity ? queue->capacity : QUEUE_FIRST_SLOTS << segment;
        uint64_t bytes = ring_bytes(slots, queue->slot_bytes), unused;
        struct shm_block *block;
        if (bytes > queue->hive->capacity_bytes)
                return -ENOSPC;
        int result = heap_take(agent, bytes, &block);
        if (result < 0)
                return result;
        ring_format(heap_data(queue->hive, block, &unused), slots, queue->slot_bytes, !queue->capacity);
        queue_link(agent, &queue->shared->segments[segment], block, BLOCK_RING);
        return 0;
}

static int queue_fill(skep_queue *queue, struct skep_agent *agent, const struct skep_queue_options *options)
{
        int result = queue_add_segment(queue, agent, 0);
        return result == 0 && options->name ? name_enter(agent, options->name, queue->block) : result;
}

int skep_queue_create(skep_hive *hive, const struct skep_queue_options *given, skep_queue **ret_queue)
{
        struct skep_queue_options options;
        int result = options_copy(&options, sizeof options, given);
        if (result == 0 && (options.flags & ~(SKEP_QUEUE_NO_SPIN | SKEP_QUEUE_ACKNOWLEDGE) || options.slot_bytes > 4096 || options.capacity > UINT32_MAX))
                result = -EINVAL;
        if (result == 0 && options.delivery_max && (options.delivery_max > UINT16_MAX || !(options.flags & SKEP_QUEUE_ACKNOWLEDGE)))
                result = -EINVAL;
        if (result == 0 && options.name)
                result = name_check(options.name);
        struct skep_agent *agent;
        struct shm_block *block;
        if (result == 0)
                result = agent_self(hive, &agent);
        if (result == 0)
                result = heap_take(agent, sizeof(struct shm_queue), &block);
        if (result < 0)
                return result;
        uint64_t unused;
        struct shm_queue *shared = heap_data(hive, block, &unused);
        memset(shared, 0, sizeof *shared);
        shared->capacity = options.capacity;
        shared->slot_bytes = align_up(options.slot_bytes ? options.slot_bytes : QUEUE_SLOT_BYTES, 64);
        shared->flags = options.flags;
        shared->delivery_max = options.delivery_max;
        claim_adopt(agent, block, BLOCK_QUEUE); /* LIVE only now: a reaper never destroys half a header */
        skep_queue *queue;
        result = queue_new(agent, block, &queue);
        if (result < 0)
                return result;
        result = queue_fill(queue, agent, &options);
        if (result < 0)
                skep_queue_unref(queue);
        else
                *ret_queue = queue;
        return result;
}

int queue_of_block(struct skep_agent *agent, struct shm_block *block, skep_queue **ret_queue)
{
        int result = block->kind == BLOCK_QUEUE ? claim_ref(agent, block, block->serial) : -EPROTOTYPE;
        return result < 0 ? result : queue_new(agent, block, ret_queue);
}

struct shm_block *queue_block(const skep_queue *queue)
{
        return queue->block;
}

int skep_queue_open(skep_hive *hive, const char *name, skep_queue **ret_queue)
{
        struct skep_agent *agent;
        struct shm_block *block;
        int result = agent_self(hive, &agent);
        if (result == 0)
                result = name_find(agent, name, BLOCK_QUEUE, &block);
        return result < 0 ? result : queue_new(agent, block, ret_queue);
}

int skep_queue_attach(skep_hive *hive, skep_block reference, skep_queue **ret_queue)
{
        struct skep_agent *agent;
        int result = agent_self(hive, &agent);
        struct shm_block *block = claim_find(hive, reference.offset, reference.serial);
        if (result == 0)
                result = !block || !reference.serial ? -ESTALE
                         : claim_kind(block) != BLOCK_QUEUE ? -EPROTOTYPE : claim_ref(agent, block, (uint32_t)reference.serial);
        return result < 0 ? result : queue_new(agent, block, ret_queue);
}

skep_block skep_queue_reference(const skep_queue *queue)
{
        return queue->reference;
}

skep_hive *skep_queue_hive(const skep_queue *queue)
{
        return queue->hive;
}

skep_queue *skep_queue_unref(skep_queue *queue)
{
        if (!queue)
                return NULL;
        watch_end(queue);
        struct skep_agent *agent;
        if (agent_self(queue->hive, &agent) == 0)
                (void)claim_unref(agent, queue->block);
        pthread_mutex_destroy(&queue->mutex);
        free(queue);
        return NULL;
}

static void close_for_all(struct shm_queue *shared)
{
        (void)skep_exchange(&shared->closed, 1);
        PROBE("queue.closed");
        event_wake(&shared->not_empty, INT32_MAX);
        event_wake(&shared->not_full, INT32_MAX);
}

int skep_queue_close(skep_queue *queue)
{
        close_for_all(queue->shared);
        return 0;
}

void queue_close_block(skep_hive *hive, struct shm_block *block)
{
        uint64_t bytes;
        struct shm_queue *shared = heap_data(hive, block, &bytes);
        if (block->kind == BLOCK_QUEUE && shared && bytes >= sizeof *shared)
                close_for_all(shared);
}

/* --- looking ---------------------------------------------------------------------------------------------------------------- */

uint64_t skep_queue_size(const skep_queue *given)
{
        skep_queue *queue = (skep_queue *)(uintptr_t)given; /* only its cache of rings changes */
        uint64_t size = queue->acknowledges ? delivery_size(queue->hive, queue->shared) : 0;
        const struct ring *ring;
        for (uint32_t i = (uint32_t)skep_load(&queue->shared->head_segment); (ring = queue_ring(queue, i)); i++)
                size += ring_size(ring);
        return size;
}

uint64_t skep_queue_capacity(const skep_queue *queue)
{
        return queue->capacity;
}

int skep_queue_is_empty(const skep_queue *queue)
{
        return skep_queue_size(queue) == 0;
}

int skep_queue_is_full(const skep_queue *queue)
{
        return queue->capacity && skep_queue_size(queue) >= queue->capacity;
}

int skep_queue_is_closed(const skep_queue *queue)
{
        return skep_load(&queue->shared->closed) != 0;
}

bool queue_is_ready(skep_queue *queue)
{
        if (skep_load(&queue->shared->closed) || (queue->acknowledges && delivery_size(queue->hive, queue->shared)))
                return true;
        const struct ring *ring;
        for (uint32_t i = (uint32_t)skep_load(&queue->shared->head_segment); (ring = queue_ring(queue, i)); i++) {
                enum ring_result result = ring_peek(ring);
                if (result == RING_DONE)
                        return true;
                if (result != RING_SEALED)
                        return false;
        }
        return false;
}

/* --- recovery ------------------------------------------------------------------------------------------------------------------ */

static int ring_of_block(skep_hive *hive, struct shm_block *block, struct ring *ret_ring)
{
        uint64_t bytes;
        void *memory = block ? heap_data(hive, block, &bytes) : NULL;
        return memory && claim_kind(block) == BLOCK_RING ? ring_open(memory, bytes, ret_ring) : -EBADMSG;
}

/* A message put back may lie in a ring that getters have left behind: let them begin at the first again. */
void queue_recover(struct reap *reap, struct shm_block *block)
{
        skep_hive *hive = reap->hive;
        uint64_t bytes;
        struct shm_queue *shared = heap_data(hive, block, &bytes);
        if (!shared || bytes < sizeof *shared)
                return;
        uint64_t changed = 0;
        if (shared->flags & SKEP_QUEUE_ACKNOWLEDGE)
                delivery_recover(reap, shared); /* first: it looks at the slots */
        for (uint32_t i = 0; i < QUEUE_SEGMENTS; i++) {
                struct ring ring;
                if (ring_of_block(hive, claim_find(hive, skep_load(&shared->segments[i]), 0), &ring) == 0)
                        changed += ring_recover(&ring, reap);
        }
        queue_head_lower(shared, 0);
        event_wake(&shared->not_empty, INT32_MAX); /* what the dead would have said */
        event_wake(&shared->not_full, INT32_MAX);
        event_wake(&shared->all_done, INT32_MAX);
        reap->report->slots += changed;
}

void queue_head_lower(struct shm_queue *shared, uint32_t segment)
{
        uint64_t head = skep_load(&shared->head_segment);
        while (!skep_cas(&shared->head_segment, &head, ((head >> 32) + 1) << 32 | ((uint32_t)head < segment ? (uint32_t)head : segment)))
                ;
        PROBE("queue.head_lowered");
}

static void ring_drain(struct skep_agent *agent, const struct ring *ring)
{
        for (uint64_t i = 0; i < ring->count; i++) {
                struct shm_slot *slot = ring_slot(ring, i);
                uint64_t word = skep_load(&slot->word);
                if (slot_phase(word) != SLOT_FULL && slot_phase(word) != SLOT_RETURNED)
                        continue;
                uint64_t held = message_of(ring, i).block;
                struct shm_block *block = held ? claim_find(agent->hive, held, 0) : NULL;
                /* As READING(agent), so that intent and table are those of a get. */
                skep_store(&slot->word, slot_word(slot_turn(word), SLOT_READING, agent->id));
                PROBE("queue.draining");
                if (block)
                        intent_set(agent, INTENT_DROP, block, &slot->word, slot_turn(word));
                ring_get_release(ring, i);
                if (block)
                        claim_drop(agent, block);
        }
}

/* Take everything; what is being put just now is dropped by who puts it (put.c). */
static void ring_take_all(struct skep_agent *agent, const struct ring *ring)
{
        uint64_t position;
        while (ring_get_claim(ring, agent->id, &position) == RING_DONE) {
                struct shm_slot *slot = ring_slot(ring, position);
                uint64_t held = message_of(ring, position).block;
                struct shm_block *block = held ? claim_find(agent->hive, held, 0) : NULL;
                if (block)
                        intent_set(agent, INTENT_DROP, block, &slot->word, ring_turn(ring, position));
                ring_get_release(ring, position);
                if (block)
                        claim_drop(agent, block);
        }
}

void queue_orphan_block(struct skep_agent *agent, struct shm_block *block)
{
        uint64_t bytes;
        struct shm_queue *shared = heap_data(agent->hive, block, &bytes);
        if (block->kind != BLOCK_QUEUE || !shared || bytes < sizeof *shared)
                return;
        close_for_all(shared);
        (void)skep_exchange(&shared->orphaned, 1);
        PROBE("queue.orphaned");
        for (uint32_t i = 0; i < QUEUE_SEGMENTS; i++) {
                struct ring ring;
                if (ring_of_block(agent->hive, claim_find(agent->hive, skep_load(&shared->segments[i]), 0), &ring) == 0)
                        ring_take_all(agent, &ring);
        }
}

/* The queue is RETIRED(agent), or that agent's reaper's: nobody else sees it. */
static void queue_destroy(struct skep_agent *agent, struct shm_block *block)
{
        uint64_t bytes;
        struct shm_queue *shared = heap_data(agent->hive, block, &bytes);
        if (!shared || bytes < sizeof *shared)
                return;
        for (uint32_t i = 0; i < QUEUE_SEGMENTS; i++) {
                struct shm_block *ring_block = claim_find(agent->hive, skep_load(&shared->segments[i]), 0);
                struct ring ring;
                if (ring_of_block(agent->hive, ring_block, &ring) < 0)
                        continue;
                ring_drain(agent, &ring);
                intent_set(agent, INTENT_DROP, ring_block, &shared->segments[i], INTENT_WORD);
                skep_store(&shared->segments[i], 0);
                PROBE("queue.unlinked");
                claim_drop(agent, ring_block);
        }
        claim_unlink(agent, &shared->deliveries);
}

static uint64_t queue_verify(skep_hive *hive, struct shm_block *block)
{
        uint64_t bytes, problems = 0;
        const struct shm_queue *shared = heap_data(hive, block, &bytes);
        uint64_t slot_bytes = shared && bytes >= sizeof *shared ? skep_glance(&shared->slot_bytes) : 0;
        if (!slot_bytes || slot_bytes > 4096)
                return 1;
        for (uint32_t i = 0; i < QUEUE_SEGMENTS; i++) {
                uint64_t offset = skep_glance(&shared->segments[i]);
                struct ring ring;
                if (!offset)
                        continue;
                if (ring_of_block(hive, claim_find(hive, offset, 0), &ring) < 0) {
                        problems++;
                        continue;
                }
                problems += ring_verify(&ring, hive);
                for (uint64_t at = 0; at < ring.count; at++) {
                        enum slot_phase phase = slot_phase(skep_glance(&ring_slot(&ring, at)->word));
                        uint64_t held = message_of(&ring, at).block;
                        if ((phase == SLOT_FULL || phase == SLOT_RETURNED) && held)
                                problems += !claim_find(hive, held, 0);
                }
        }
        return problems;
}

static void queue_inspect(skep_hive *hive, struct shm_block *block, struct skep_object_info *info)
{
        uint64_t bytes;
        struct shm_queue *shared = heap_data(hive, block, &bytes);
        for (uint32_t i = 0; shared && bytes >= sizeof *shared && i < QUEUE_SEGMENTS; i++) {
                struct ring ring;
                if (ring_of_block(hive, claim_find(hive, skep_load(&shared->segments[i]), 0), &ring) == 0)
                        info->value += ring_size(&ring);
        }
        if (shared && bytes >= sizeof *shared)
                info->value += delivery_size(hive, shared);
}

static const struct kind queue_kind = {
        .name = "queue",
        .shared_bytes = sizeof(struct shm_queue),
        .destroy = queue_destroy,
        .recover = queue_recover,
        .verify = queue_verify,
        .inspect = queue_inspect,
};
static const struct kind ring_kind = {.name = "ring"};

__attribute__((constructor)) static void queue_register(void)
{
        kind_register(BLOCK_QUEUE, &queue_kind);
        kind_register(BLOCK_RING, &ring_kind);
}
