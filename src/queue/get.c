/* SPDX-License-Identifier: Apache-2.0 */
/*
 * get.c - take messages: by copy, by array, or where they lie (borrow).
 *
 * What is taken lies in a slot, or in a record of delivery.c: there what came back from an acknowledging queue's takers, and there
 * a borrow() from such a queue moves it.
 * Steps of a get:  claim slot -> READING(me) | copy, or claim the array's block | [intent DROP] | EMPTY: taken | slot's claim dropped.
 * A consumer that dies before EMPTY has taken nothing: the message is put back.  After it, the intent drops the claim.
 * Steps of a run: those of its gets one after the other | head follows | whoever sleeps is told.
 */
#include "array/array.h"
#include "base/checked.h"
#include "base/probe.h"
#include "claim/bundle.h"
#include "queue/queue.h"
#include "sync/wait.h"

#include <errno.h>
#include <string.h>

enum { LOAN_ENDED = 0, LOAN_BORROWED = 2, LOAN_DELIVERED = 4 };

struct taken {
        struct shm_delivery *record; /* NULL: it lies in a slot */
        const struct ring *ring;
        uint64_t position;
        uint32_t segment;
        uint32_t agent_id;
};

static struct shm_slot *taken_slot(const struct taken *taken)
{
        return ring_slot(taken->ring, taken->position);
}

static struct message taken_message(const skep_queue *queue, const struct taken *taken)
{
        return taken->record ? delivery_message(queue, taken->record) : message_of(taken->ring, taken->position);
}

/* @return 0, -EAGAIN nothing now, -ESHUTDOWN, -EBADMSG */
static int taken_claim(skep_queue *queue, struct skep_agent *agent, struct taken *ret_taken)
{
        struct shm_queue *shared = queue->shared;
        uint64_t closed = skep_load(&shared->closed); /* before looking: what was put before the close is found */
        uint64_t head = skep_load(&shared->head_segment);
        ret_taken->record = queue->acknowledges ? delivery_again(queue) : NULL;
        if (ret_taken->record)
                return 0;
        for (;;) {
                uint32_t segment = (uint32_t)head;
                const struct ring *ring = queue_ring(queue, segment);
                if (!ring)
                        return -EBADMSG;
                enum ring_result result = ring_get_claim(ring, agent->id, &ret_taken->position);
                if (result == RING_DONE) {
                        ret_taken->ring = ring;
                        ret_taken->segment = segment;
                        ret_taken->agent_id = agent->id;
                        return 0;
                }
                if (result != RING_SEALED)
                        return result == RING_EMPTY && closed ? -ESHUTDOWN : -EAGAIN;
                uint64_t next = (head >> 32) << 32 | (segment + 1);
                if (skep_cas(&shared->head_segment, &head, next)) {
                        PROBE("queue.head_segment");
                        head = next;
                }
        }
}

static int taken_wait(skep_queue *queue, struct skep_agent *agent, struct taken *ret_taken, skep_deadline deadline)
{
        for (;;) {
                int result = taken_claim(queue, agent, ret_taken);
                if (result != -EAGAIN)
                        return result;
                watch_rearm(queue->watch);
                int waited = queue_wait(queue, agent, &queue->getting, ret_taken->position, deadline);
                if (wait_interrupted(waited))
                        return waited;
                if (waited < 0) {
                        result = taken_claim(queue, agent, ret_taken);
                        return result == -EAGAIN ? waited : result;
                }
        }
}

static void wake_others(skep_queue *queue, const struct taken *taken, int count)
{
        struct shm_queue *shared = queue->shared;
        if (queue->capacity)
                event_notify(&shared->not_full, count);
        if (skep_load32_ordered(&shared->not_empty) & EVENT_WAITERS && (taken->record ? queue_is_ready(queue) : ring_peek(taken->ring) == RING_DONE))
                event_wake(&shared->not_empty, 1); /* wake one, who wakes the next */
}

typedef void release_function(const struct ring *ring, uint64_t position);

/* The message is taken: leave the slot, then give up its claim on the block. */
static void taken_leave(skep_queue *queue, struct skep_agent *agent, const struct taken *taken, uint64_t held, release_function *release)
{
        struct shm_block *block = held ? claim_find(queue->hive, held, 0) : NULL;
        if (block)
                intent_set(agent, INTENT_DROP, block, &taken_slot(taken)->word, ring_turn(taken->ring, taken->position));
        release(taken->ring, taken->position);
        if (block)
                claim_drop(agent, block);
}

static void taken_finish(skep_queue *queue, struct skep_agent *agent, const struct taken *taken)
{
        if (taken->record)
                delivery_acknowledge(agent, taken->record, delivery_word(taken->record));
        else
                taken_leave(queue, agent, taken, message_of(taken->ring, taken->position).block, ring_get_release);
        wake_others(queue, taken, 1);
}

static void taken_return(skep_queue *queue, const struct taken *taken)
{
        if (taken->record) {
                delivery_reject(queue, taken->record, delivery_word(taken->record));
                return;
        }
        ring_get_return(taken->ring, taken->position);
        queue_head_lower(queue->shared, taken->segment);
        event_notify(&queue->shared->not_empty, 1);
}

/* What lies in the slot, and where the message lies. @return NULL damaged */
static const void *taken_data(skep_queue *queue, const struct taken *taken, struct message *ret_message)
{
        *ret_message = taken_message(queue, taken);
        if (!ret_message->block || ret_message->kind == SKEP_MESSAGE_ARRAY)
                return ret_message->bytes <= ret_message->data_max ? ret_message->data : NULL;
        struct shm_block *block = claim_find(queue->hive, ret_message->block, 0);
        uint64_t usable;
        const void *data = block ? bundle_data(queue->hive, block, &usable) : NULL;
        return data && ret_message->bytes <= usable ? data : NULL;
}

/* --- by copy -------------------------------------------------------------------------------------------------------------------- */

static int taken_copy(skep_queue *queue, const struct taken *taken, void *buffer, size_t capacity_bytes, struct message *ret_message)
{
        const void *data = taken_data(queue, taken, ret_message);
        if (!data)
                return -EBADMSG;
        if (ret_message->kind != SKEP_MESSAGE_BYTES)
                return -EPROTOTYPE;
        if (ret_message->bytes > capacity_bytes)
                return -EMSGSIZE;
        if (ret_message->bytes)
                memcpy(buffer, data, ret_message->bytes);
        return 0;
}

int skep_queue_get(skep_queue *queue, void *buffer, size_t capacity_bytes, size_t *ret_bytes, skep_deadline deadline)
{
        struct skep_agent *agent;
        struct taken taken;
        struct message message;
        int result = buffer || !capacity_bytes ? agent_self(queue->hive, &agent) : -EINVAL;
        if (result == 0)
                result = taken_wait(queue, agent, &taken, deadline);
        if (result < 0)
                return result;
        result = taken_copy(queue, &taken, buffer, capacity_bytes, &message);
        if (result == 0 || result == -EMSGSIZE)
                *ret_bytes = message.bytes;
        if (result == 0)
                taken_finish(queue, agent, &taken);
        else
                taken_return(queue, &taken);
        return result;
}

struct run {
        uint8_t *buffer;
        size_t capacity_bytes;
        size_t used;
        struct skep_bytes *messages;
        size_t count_max;
        size_t count;
};

/* A copy of the message behind those that are there. @return 0; otherwise it has been put back */
static int run_append(skep_queue *queue, const struct taken *taken, struct run *run, struct message *ret_message)
{
        uint8_t *at = run->buffer + run->used;
        int result = taken_copy(queue, taken, at, run->capacity_bytes - run->used, ret_message);
        if (result < 0) {
                taken_return(queue, taken);
                return result;
        }
        run->messages[run->count++] = (struct skep_bytes){at, ret_message->bytes};
        uint64_t next = align_up(run->used + ret_message->bytes, 8);
        run->used = next < run->capacity_bytes ? next : run->capacity_bytes;
        return 0;
}

/* That message and those behind it, while they are there and find room. @return 0, or why there can be no more */
static int get_run(skep_queue *queue, struct skep_agent *agent, struct taken *taken, struct run *run)
{
        struct message message;
        int result;
        if (taken->record) {
                result = run_append(queue, taken, run, &message);
                if (result == 0)
                        taken_finish(queue, agent, taken);
                return result;
        }
        uint64_t first = taken->position, end = first;
        do {
                result = run_append(queue, taken, run, &message);
                if (result < 0)
                        break;
                taken_leave(queue, agent, taken, message.block, ring_get_release_run);
                end = taken->position + 1;
        } while (run->count < run->count_max && end - first < QUEUE_RUN && ring_get_next(taken->ring, agent->id, &taken->position));
        if (end == first)
                return result;
        ring_get_moved(taken->ring, first, end);
        skep_fence(); /* between leaving the slots and looking who sleeps */
        wake_others(queue, taken, (int)(end - first));
        return result;
}

int skep_queue_get_many(skep_queue *queue, void *buffer, size_t capacity_bytes, struct skep_bytes *messages, size_t count_max, size_t *ret_count,
                        skep_deadline deadline)
{
        struct skep_agent *agent;
        struct taken taken;
        struct run run = {.buffer = buffer, .capacity_bytes = capacity_bytes, .messages = messages, .count_max = count_max};
        int result = messages && count_max && (buffer || !capacity_bytes) ? agent_self(queue->hive, &agent) : -EINVAL;
        while (result == 0 && run.count < count_max) {
                result = run.count ? taken_claim(queue, agent, &taken) : taken_wait(queue, agent, &taken, deadline);
                if (result == 0)
                        result = get_run(queue, agent, &taken, &run);
        }
        if (!run.count)
                return result;
        *ret_count = run.count;
        return 0;
}

/* --- arrays ------------------------------------------------------------------------------------------------------------------------ */

static int taken_array(skep_queue *queue, struct skep_agent *agent, const struct taken *taken, skep_array **ret_array)
{
        struct message message;
        const void *description = taken_data(queue, taken, &message);
        if (!description)
                return -EBADMSG;
        if (message.kind != SKEP_MESSAGE_ARRAY)
                return -EPROTOTYPE;
        struct shm_block *block = claim_find(agent->hive, message.block, 0);
        return block ? array_from(agent, block, description, message.bytes, ret_array) : -EBADMSG;
}

int skep_queue_get_array(skep_queue *queue, skep_array **ret_array, skep_deadline deadline)
{
        struct skep_agent *agent;
        struct taken taken;
        int result = agent_self(queue->hive, &agent);
        if (result == 0)
                result = taken_wait(queue, agent, &taken, deadline);
        if (result < 0)
                return result;
        result = taken_array(queue, agent, &taken, ret_array);
        if (result == 0)
                taken_finish(queue, agent, &taken);
        else
                taken_return(queue, &taken);
        return result;
}

/* --- where they lie ------------------------------------------------------------------------------------------------------------------ */

static struct skep_loan loan_of(skep_queue *queue, const void *data, const struct message *message)
{
        return (struct skep_loan){
                .data = (void *)(uintptr_t)data,
                .bytes = message->bytes,
                .kind = message->kind,
                .queue = queue,
                .block = message->block,
        };
}

/* With a claim of the process on the queue, so that its reaper finds the record, whatever becomes of the handle. */
static int borrow_delivery(skep_queue *queue, struct skep_agent *agent, struct taken *taken, struct skep_loan *ret_loan)
{
        struct message message;
        int result = claim_ref(agent, queue->block, (uint32_t)queue->reference.serial);
        if (result == 0 && !taken->record) {
                result = delivery_keep(queue, agent, taken->ring, taken->position, &taken->record);
                if (result == 0)
                        wake_others(queue, taken, 1);
                else
                        (void)claim_unref(agent, queue->block);
        }
        const void *data = result == 0 ? taken_data(queue, taken, &message) : NULL;
        if (!data) {
                taken_return(queue, taken);
                return result < 0 ? result : -EBADMSG;
        }
        uint64_t word = delivery_word(taken->record);
        *ret_loan = loan_of(queue, data, &message);
        ret_loan->deliveries = delivery_count(word);
        ret_loan->state = LOAN_DELIVERED;
        ret_loan->position = hive_offset(queue->hive, taken->record);
        ret_loan->segment = word;
        return 0;
}

int skep_queue_borrow(skep_queue *queue, struct skep_loan *ret_loan, skep_deadline deadline)
{
        struct skep_agent *agent;
        struct taken taken;
        int result = agent_self(queue->hive, &agent);
        if (result == 0)
                result = taken_wait(queue, agent, &taken, deadline);
        if (result < 0)
                return result;
        struct message message;
        if (queue->acknowledges)
                return borrow_delivery(queue, agent, &taken, ret_loan);
        const void *data = taken_data(queue, &taken, &message);
        if (!data) {
                taken_return(queue, &taken);
                return -EBADMSG;
        }
        *ret_loan = loan_of(queue, data, &message);
        ret_loan->state = LOAN_BORROWED;
        ret_loan->position = taken.position;
        ret_loan->segment = taken.segment;
        ret_loan->agent = agent->id;
        return 0;
}

int skep_queue_borrow_dead(skep_queue *queue, struct skep_loan *ret_loan)
{
        struct skep_agent *agent;
        int result = agent_self(queue->hive, &agent);
        struct taken taken = {.record = result == 0 && queue->acknowledges ? delivery_dead(queue) : NULL};
        if (result < 0 || !taken.record)
                return result < 0 ? result : -ETIMEDOUT;
        return borrow_delivery(queue, agent, &taken, ret_loan);
}

/* What a loan stands for, if it is open and this thread's, or this process's if it is a delivery. */
static bool loan_taken(const struct skep_loan *loan, struct skep_agent **ret_agent, struct taken *ret_taken)
{
        if (loan->state == LOAN_ENDED || agent_self(loan->queue->hive, ret_agent) < 0)
                return false;
        if (loan->state == LOAN_DELIVERED) {
                *ret_taken = (struct taken){.record = delivery_of(loan->queue, loan->position, loan->segment)};
                return ret_taken->record;
        }
        if (loan->state != LOAN_BORROWED || loan->agent != (*ret_agent)->id)
                return false;
        *ret_taken = (struct taken){NULL, queue_ring(loan->queue, (uint32_t)loan->segment), loan->position, (uint32_t)loan->segment, (*ret_agent)->id};
        uint64_t word = ret_taken->ring ? skep_load(&taken_slot(ret_taken)->word) : 0;
        return slot_phase(word) == SLOT_READING && slot_agent(word) == (*ret_agent)->id;
}

void skep_queue_give_back(struct skep_loan *loan)
{
        struct skep_agent *agent;
        struct taken taken;
        if (loan_taken(loan, &agent, &taken)) {
                if (loan->state == LOAN_DELIVERED) {
                        delivery_acknowledge(agent, taken.record, loan->segment);
                        (void)claim_unref(agent, loan->queue->block);
                } else {
                        taken_finish(loan->queue, agent, &taken);
                }
        }
        loan->state = LOAN_ENDED;
}

void skep_queue_put_back(struct skep_loan *loan)
{
        struct skep_agent *agent;
        struct taken taken;
        if (loan_taken(loan, &agent, &taken)) {
                taken_return(loan->queue, &taken);
                if (loan->state == LOAN_DELIVERED)
                        (void)claim_unref(agent, loan->queue->block);
        }
        loan->state = LOAN_ENDED;
}

int skep_loan_array(const struct skep_loan *loan, skep_array **ret_array)
{
        struct skep_agent *agent;
        struct taken taken;
        return loan_taken(loan, &agent, &taken) ? taken_array(loan->queue, agent, &taken, ret_array) : -EINVAL;
}

int skep_queue_poll(skep_queue *queue, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = agent_self(queue->hive, &agent);
        while (result == 0 && !queue_is_ready(queue)) {
                watch_rearm(queue->watch);
                result = queue_wait(queue, agent, &queue->getting, skep_load_relaxed(&queue->getting.lingered_at), deadline);
        }
        return result;
}

int skep_queue_drain(skep_queue *queue, uint64_t *ret_count)
{
        struct skep_agent *agent;
        struct taken taken;
        int result = agent_self(queue->hive, &agent);
        if (result < 0)
                return result;
        uint64_t count = 0, most = skep_queue_size(queue) + 1;
        for (; count < most && taken_claim(queue, agent, &taken) == 0; count++)
                taken_finish(queue, agent, &taken);
        if (ret_count)
                *ret_count = count;
        return 0;
}
