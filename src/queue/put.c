/* SPDX-License-Identifier: Apache-2.0 */
/*
 * put.c - append messages: small ones in the slot, longer ones in a block that moves with it, arrays as a claim on theirs.
 *
 * Steps of a put with a block:  claim slot -> WRITING(me) | intent | block gets the slot's claim | fill | FULL | intent cleared.
 * A producer that dies before FULL leaves slot and intent: the claim is taken back, the slot skipped.  After it: nothing to do.
 * Steps of a run:  claim slots -> WRITING(me), each | tail follows | touch all | for each: fill, FULL | whoever sleeps is told.
 * Whatever of it is FULL when the producer dies was put; the rest is skipped.
 */
#include "array/array.h"
#include "base/probe.h"
#include "claim/bundle.h"
#include "queue/queue.h"
#include "sync/lock.h"
#include "sync/wait.h"

#include <errno.h>
#include <string.h>

struct place {
        const struct ring *ring;
        uint64_t position;
};

bool queue_has_space(skep_queue *queue)
{
        if (skep_load(&queue->shared->closed))
                return true;
        const struct ring *ring = queue_ring(queue, 0);
        return !ring || !queue->capacity || ring_has_space(ring);
}

/* A slot in the last ring, or in a new one. @return 0, -EAGAIN full, -ESHUTDOWN, -ENOSPC, -EBADMSG */
static int place_claim(skep_queue *queue, struct skep_agent *agent, struct place *ret_place)
{
        struct shm_queue *shared = queue->shared;
        if (skep_load(&shared->closed))
                return -ESHUTDOWN;
        for (uint32_t segment = (uint32_t)skep_load_relaxed(&shared->tail_segment);;) {
                const struct ring *ring = queue_ring(queue, segment);
                if (!ring)
                        return -EBADMSG;
                enum ring_result result = ring_put_claim(ring, agent->id, &ret_place->position);
                if (result == RING_DONE) {
                        ret_place->ring = ring;
                        return 0;
                }
                if (queue->capacity)
                        return -EAGAIN;
                if (result == RING_SEALED) {
                        skep_store_relaxed(&shared->tail_segment, ++segment);
                        PROBE("queue.tail_segment");
                        continue;
                }
                int added = segment + 1 < QUEUE_SEGMENTS ? 0 : -ENOSPC;
                if (added == 0 && !skep_load(&shared->segments[segment + 1]))
                        added = queue_add_segment(queue, agent, segment + 1);
                if (added < 0)
                        return added;
                (void)ring_seal(ring); /* not full any more: the next look finds the slot */
        }
}

static int place_wait(skep_queue *queue, struct skep_agent *agent, struct place *ret_place, skep_deadline deadline)
{
        for (;;) {
                int result = place_claim(queue, agent, ret_place);
                if (result != -EAGAIN)
                        return result;
                watch_rearm(queue->space_watch);
                int waited = queue_wait(queue, agent, &queue->putting, ret_place->position, deadline);
                if (wait_interrupted(waited))
                        return waited;
                if (waited < 0) {
                        result = place_claim(queue, agent, ret_place);
                        return result == -EAGAIN ? waited : result;
                }
        }
}

int skep_queue_poll_space(skep_queue *queue, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = agent_self(queue->hive, &agent);
        while (result == 0 && !queue_has_space(queue)) {
                watch_rearm(queue->space_watch);
                result = queue_wait(queue, agent, &queue->putting, skep_load_relaxed(&queue->putting.lingered_at), deadline);
        }
        return result;
}

static struct shm_slot *place_slot(const struct place *place)
{
        return ring_slot(place->ring, place->position);
}

static void place_bytes(const struct place *place, const void *message, size_t bytes)
{
        place_slot(place)->head = message_head(SKEP_MESSAGE_BYTES, bytes);
        if (bytes)
                memcpy(ring_data(place->ring, place->position), message, bytes);
}

static struct shm_message *place_block(const struct place *place, uint32_t kind, uint64_t bytes, uint64_t block)
{
        struct shm_message *shared = (void *)ring_data(place->ring, place->position);
        *shared = (struct shm_message){block, bytes};
        place_slot(place)->head = message_head(kind, 0) | MESSAGE_BLOCK;
        return shared;
}

static void place_publish(skep_queue *queue, const struct place *place)
{
        ring_put_publish(place->ring, place->position);
        event_notify(&queue->shared->not_empty, 1);
}

static void place_intent(struct skep_agent *agent, const struct place *place, enum intent_op op, const struct shm_block *block)
{
        intent_set(agent, op, block, &place_slot(place)->word, ring_turn(place->ring, place->position));
}

/* The message lies in a HELD block of ours, which the slot takes over. */
static int put_block(skep_queue *queue, struct skep_agent *agent, struct shm_block *block, uint32_t kind, uint64_t bytes, skep_deadline deadline)
{
        struct place place;
        int result = place_wait(queue, agent, &place, deadline);
        if (result < 0)
                return result;
        place_intent(agent, &place, INTENT_LINK, block);
        claim_publish(agent, block, BLOCK_BYTES);
        (void)place_block(&place, kind, bytes, hive_offset(queue->hive, block));
        place_publish(queue, &place);
        intent_clear(agent);
        return 0;
}

static int put_long(skep_queue *queue, struct skep_agent *agent, const void *message, size_t bytes, skep_deadline deadline)
{
        struct shm_block *block;
        uint64_t unused;
        int result = skep_load(&queue->shared->closed) ? -ESHUTDOWN : heap_take(agent, bytes, &block);
        if (result < 0)
                return result;
        memcpy(heap_data(queue->hive, block, &unused), message, bytes);
        result = put_block(queue, agent, block, SKEP_MESSAGE_BYTES, bytes, deadline);
        if (result < 0)
                heap_give(agent, block);
        return result;
}

static int put_small(skep_queue *queue, struct skep_agent *agent, const void *message, size_t bytes, skep_deadline deadline)
{
        struct place place;
        int result = place_wait(queue, agent, &place, deadline);
        if (result < 0)
                return result;
        place_bytes(&place, message, bytes);
        place_publish(queue, &place);
        return 0;
}

int skep_queue_put(skep_queue *queue, const void *message, size_t bytes, skep_deadline deadline)
{
        struct skep_agent *agent;
        if (!message && bytes)
                return -EINVAL;
        int result = agent_self(queue->hive, &agent);
        if (result < 0)
                return result;
        if (bytes <= queue->slot_bytes)
                return put_small(queue, agent, message, bytes, deadline);
        return put_long(queue, agent, message, bytes, deadline);
}

static bool goes_into_slot(const skep_queue *queue, const struct skep_bytes *message)
{
        return message->bytes <= queue->slot_bytes && (message->data || !message->bytes);
}

/* The consumer has these lines.  One store to each, and all are on their way; a copy's several stores would wait for each in turn. */
static void touch(uint8_t *data, size_t bytes)
{
        for (size_t at = 0; at < bytes; at += RING_LINE)
                skep_store8_relaxed(data + at, 0);
}

/*
 * Small messages into that slot and those behind it, while they are free.  First all claims, then all messages: a claim waits
 * until what was stored before it has reached the cache, and so until the consumer has let go of that line.
 * @return how many, at least one
 */
static size_t put_run(skep_queue *queue, struct skep_agent *agent, struct place *place, const struct skep_bytes *messages, size_t count)
{
        uint64_t first = place->position, last = first;
        size_t claimed = 1;
        while (claimed < count && claimed < QUEUE_RUN && goes_into_slot(queue, &messages[claimed]) && ring_put_next(place->ring, agent->id, &last))
                claimed++;
        ring_put_moved(place->ring, last);
        for (size_t i = 0; i < claimed; i++)
                touch(ring_data(place->ring, first + i), messages[i].bytes);
        for (size_t i = 0; i < claimed; i++) {
                place->position = first + i;
                place_bytes(place, messages[i].data, messages[i].bytes);
                ring_put_publish_run(place->ring, place->position);
        }
        skep_fence(); /* either we see WAITERS now, or the sleeper saw the messages */
        event_notify(&queue->shared->not_empty, INT32_MAX);
        return claimed;
}

int skep_queue_put_many(skep_queue *queue, const struct skep_bytes *messages, size_t count, size_t *ret_count, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = messages || !count ? agent_self(queue->hive, &agent) : -EINVAL;
        size_t done = 0;
        while (done < count && result == 0) {
                const struct skep_bytes *message = &messages[done];
                struct place place;
                if (!message->data && message->bytes) {
                        result = -EINVAL;
                } else if (!goes_into_slot(queue, message)) {
                        result = put_long(queue, agent, message->data, message->bytes, deadline);
                        done += result == 0;
                } else {
                        result = place_wait(queue, agent, &place, deadline);
                        done += result == 0 ? put_run(queue, agent, &place, message, count - done) : 0;
                }
        }
        *ret_count = done;
        return result;
}

static void place_cancel(struct skep_agent *agent, const struct place *place)
{
        uint32_t *lock = &agent->hive->heap->lock;
        bool locked = lock_acquire_inner(agent, lock) >= 0; /* not if the word is damaged */
        ring_put_cancel(place->ring, place->position);
        if (locked)
                lock_release_inner(agent, lock);
}

/* A block that this process claims gets a claim of the slot. @param description  of an array, @p bytes long; NULL: none */
static int put_claimed(skep_queue *queue, struct skep_agent *agent, struct shm_block *block, uint32_t kind, uint64_t bytes, const void *description,
                       skep_deadline deadline)
{
        struct place place;
        int result = place_wait(queue, agent, &place, deadline);
        if (result < 0)
                return result;
        place_intent(agent, &place, INTENT_HOLD, block);
        result = claim_hold(agent, block);
        if (result < 0) {
                place_cancel(agent, &place);
                intent_clear(agent);
                return result;
        }
        struct shm_message *shared = place_block(&place, kind, bytes, hive_offset(queue->hive, block));
        if (description)
                memcpy(shared + 1, description, bytes);
        place_publish(queue, &place);
        intent_clear(agent);
        /* Publishing and this look are ordered, and so are orphaning and taking all: one of the two finds the message. */
        return skep_load(&queue->shared->orphaned) ? skep_queue_drain(queue, NULL) : 0;
}

int skep_queue_put_array(skep_queue *queue, skep_array *array, skep_deadline deadline)
{
        uint64_t description[ARRAY_DESCRIPTION_MAX / 8];
        struct skep_agent *agent;
        if (!array || skep_array_hive(array) != queue->hive)
                return -EINVAL;
        uint64_t bytes = array_describe(array, description);
        int result = bytes > queue->slot_bytes - sizeof(struct shm_message) ? -EMSGSIZE : agent_self(queue->hive, &agent);
        return result < 0 ? result : put_claimed(queue, agent, array_block(array), SKEP_MESSAGE_ARRAY, bytes, description, deadline);
}

/* --- loans ----------------------------------------------------------------------------------------------------------------- */

enum { LOAN_ENDED = 0, LOAN_RESERVED = 1, LOAN_CARRYING = 3 };

static int loan_of(skep_queue *queue, struct shm_block *block, size_t bytes, uint32_t state, struct skep_loan *ret_loan)
{
        uint64_t usable;
        *ret_loan = (struct skep_loan){
                .data = bundle_data(queue->hive, block, &usable),
                .bytes = bytes,
                .kind = SKEP_MESSAGE_BYTES,
                .state = state,
                .queue = queue,
                .block = hive_offset(queue->hive, block),
        };
        return 0;
}

int skep_queue_reserve(skep_queue *queue, size_t bytes, struct skep_loan *ret_loan)
{
        struct skep_agent *agent;
        struct shm_block *block;
        int result = bytes ? agent_self(queue->hive, &agent) : -EINVAL;
        if (result == 0 && skep_load(&queue->shared->closed))
                result = -ESHUTDOWN;
        if (result == 0)
                result = heap_take(agent, bytes, &block);
        if (result < 0)
                return result;
        skep_store8_relaxed(&block->kind, BLOCK_BYTES); /* the last owner's is still there */
        return loan_of(queue, block, bytes, LOAN_RESERVED, ret_loan);
}

int skep_queue_reserve_with(skep_queue *queue, size_t bytes, const skep_block *references, size_t count, struct skep_loan *ret_loan)
{
        struct skep_agent *agent;
        struct shm_block *block;
        if (!count)
                return skep_queue_reserve(queue, bytes, ret_loan);
        int result = bytes && references ? agent_self(queue->hive, &agent) : -EINVAL;
        if (result == 0 && skep_load(&queue->shared->closed))
                result = -ESHUTDOWN;
        if (result == 0)
                result = bundle_create(agent, references, count, bytes, &block);
        return result < 0 ? result : loan_of(queue, block, bytes, LOAN_CARRYING, ret_loan);
}

/* The block of a loan, if the loan is open and this thread's; one with references may change hands within the process. */
static struct shm_block *loan_block(struct skep_agent *agent, const struct skep_loan *loan)
{
        if (loan->state == LOAN_CARRYING) {
                struct shm_block *block = claim_find(agent->hive, loan->block, 0);
                return block && claim_is_mine(agent->hive, block) ? block : NULL;
        }
        struct shm_block *block = loan->state == LOAN_RESERVED ? heap_record(agent->hive, loan->block) : NULL;
        uint64_t word = block ? skep_load(&block->word) : 0;
        return word_state(word) == BLOCK_HELD && word_agent(word) == agent->id ? block : NULL;
}

int skep_queue_commit(struct skep_loan *loan, uint32_t kind, size_t bytes, skep_deadline deadline)
{
        struct skep_agent *agent;
        if ((kind != SKEP_MESSAGE_BYTES && kind != SKEP_MESSAGE_PICKLE) || bytes > loan->bytes)
                return -EINVAL;
        int result = agent_self(loan->queue->hive, &agent);
        struct shm_block *block = result == 0 ? loan_block(agent, loan) : NULL;
        if (!block)
                return result < 0 ? result : -EINVAL;
        bool carries = loan->state == LOAN_CARRYING;
        result = carries ? put_claimed(loan->queue, agent, block, kind, bytes, NULL, deadline) : put_block(loan->queue, agent, block, kind, bytes, deadline);
        if (result == 0 && carries)
                (void)claim_unref(agent, block);
        if (result == 0)
                loan->state = LOAN_ENDED;
        return result;
}

void skep_queue_abandon(struct skep_loan *loan)
{
        struct skep_agent *agent;
        if (agent_self(loan->queue->hive, &agent) < 0)
                return;
        struct shm_block *block = loan_block(agent, loan);
        if (block && loan->state == LOAN_CARRYING)
                (void)claim_unref(agent, block);
        else if (block)
                heap_give(agent, block);
        loan->state = LOAN_ENDED;
}
