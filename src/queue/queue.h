/* SPDX-License-Identifier: Apache-2.0 */
/* queue.h - the queue's shared header and private handle, shared by the files of queue/. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "claim/claim.h"
#include "hive/remote.h"
#include "ring/ring.h"

#include <skep/queue.h>

#define QUEUE_SEGMENTS 32u
/* Of an unbounded queue's first ring; each further one has twice as many.  A program may have thousands of queues, and few get deep. */
#define QUEUE_FIRST_SLOTS UINT64_C(16)
#define QUEUE_SLOT_BYTES 128u
#define QUEUE_RUN 64u /* messages of a run after which others are told */

/*
 * What a slot's head says: {BLOCK 1 << 40, kind 8 << 32, bytes 32}.  The message lies in the slot's data; with BLOCK these
 * begin with a struct shm_message, followed by an array's description.
 */
#define MESSAGE_BLOCK (UINT64_C(1) << 40)

struct shm_message {
        uint64_t block; /* a claim of the slot */
        uint64_t bytes; /* of the message, or of an array's description */
};

static inline uint64_t message_head(uint32_t kind, uint64_t bytes)
{
        return (uint64_t)kind << 32 | bytes;
}

/* A message as a slot tells of it: read once, as others may write there; what `bytes` says is still to be checked. */
struct message {
        uint64_t block; /* 0: none */
        uint64_t bytes;
        uint32_t kind;
        const uint8_t *data; /* in the slot: the message, or an array's description */
        uint64_t data_max;
};

static inline struct message message_in(const uint64_t *slot_head, const uint8_t *data, uint64_t slot_bytes)
{
        uint64_t head = skep_glance(slot_head);
        struct message message = {0, (uint32_t)head, (uint8_t)(head >> 32), data, slot_bytes};
        if (head & MESSAGE_BLOCK) {
                const struct shm_message *shared = (const void *)data;
                message = (struct message){skep_glance(&shared->block), skep_glance(&shared->bytes), message.kind, data + sizeof *shared,
                                           slot_bytes - sizeof *shared};
        }
        return message;
}

static inline struct message message_of(const struct ring *ring, uint64_t position)
{
        return message_in(&ring_slot(ring, position)->head, ring_data(ring, position), ring->slot_bytes);
}

/*
 * A queue is a chain of rings.  A bounded queue has one, of exactly its capacity.  An unbounded one seals a ring that is
 * full and goes on in the next, twice as long; sealed rings are drained and then only kept until the queue goes, so
 * memory is at most twice the most that was ever queued.
 */
struct shm_queue {
        uint64_t capacity;                 /* constant; 0: unbounded */
        uint64_t slot_bytes;               /* constant */
        uint64_t flags;                    /* constant: SKEP_QUEUE_* */
        uint64_t segments[QUEUE_SEGMENTS]; /* block of each ring: 0, then that for ever.  Each is a claim of the queue */
        uint64_t delivery_max;             /* constant: tries after which a message is a dead letter; 0: any number */
        uint64_t deliveries;               /* block of the first table: 0, then that for ever.  A claim of the queue; delivery.c */
        uint64_t pad0[11];
        uint64_t head_segment;             /* hint {epoch 32, index 32}: first that may have messages; lowered with a message put back */
        uint64_t tail_segment;             /* hint: index of the last */
        uint64_t closed;                   /* 0, then 1 for ever */
        uint64_t orphaned;                 /* 0, then 1 for ever: nobody will get what is in it */
        uint64_t returned;                 /* hint {changes 63, SOME 1}: are there messages that came back? */
        uint64_t pad1[11];
        uint32_t not_empty;                /* event counts */
        uint32_t pad2[31];
        uint32_t not_full;
        uint32_t pad3[31];
        uint64_t done;                     /* messages that are done, only raised; tasks.c */
        uint32_t all_done;                 /* event count */
        uint32_t pad4[29];
};
_Static_assert(sizeof(struct shm_queue) % 64 == 0, "format");

struct queue_watch;

/* How this process waits on one side of a queue, for messages or for space; see wait.c. */
struct queue_side {
        uint32_t spin_ns;      /* how long spinning has paid lately */
        uint32_t waits;
        uint32_t linger_every; /* waits */
        uint32_t linger_in;    /* waits; 0: the last wait began with one */
        uint64_t lingered_at;  /* position */
};

struct skep_queue {
        skep_hive *hive;
        struct shm_queue *shared;
        struct shm_block *block;
        skep_block reference;
        uint64_t capacity;
        uint64_t slot_bytes;
        bool acknowledges;
        uint32_t may_spin;
        uint32_t open; /* rings[] known: bit per segment */
        struct queue_side putting;
        struct queue_side getting;
        uint64_t delivery_hint; /* record that was found last */
        struct ring rings[QUEUE_SEGMENTS];
        struct queue_watch *watch, *space_watch; /* watch.c */
        pthread_mutex_t mutex;     /* over rings */
};

uint64_t queue_slot_bytes(const skep_queue *queue);
/* Does a borrowed message mention objects of the hive? */
bool queue_loan_mentions(const struct skep_loan *loan);

/* remote.c: the functions of a queue of another machine, whose `hive` is the stub and whose `block` is NULL. */
int queue_create_remote(skep_hive *hive, const struct skep_queue_options *options, skep_queue **ret_queue);
int queue_find_remote(skep_hive *hive, const char *name, const skep_block *reference, skep_queue **ret_queue);
void queue_unref_remote(skep_queue *queue);
int queue_call(const skep_queue *queue, int failed, uint32_t method, skep_deadline deadline, int64_t *ret_result); /* @p failed: a queue of this machine */
int64_t queue_ask(const skep_queue *queue, uint32_t index); /* 0: size, 1: full, 2: closed, 3: unfinished, 4: dead letters */
int queue_put_remote(skep_queue *queue, uint32_t kind, const void *message, size_t bytes, skep_deadline deadline);
int queue_put_many_remote(skep_queue *queue, const struct skep_bytes *messages, size_t count, size_t *ret_count, skep_deadline deadline);
int queue_put_array_remote(skep_queue *queue, const skep_array *array, skep_deadline deadline);
int queue_get_remote(skep_queue *queue, void *buffer, size_t capacity_bytes, size_t *ret_bytes, skep_deadline deadline);
int queue_get_many_remote(skep_queue *queue, void *buffer, size_t capacity_bytes, struct skep_bytes *messages, size_t count_max, size_t *ret_count,
                          skep_deadline deadline);
int queue_get_array_remote(skep_queue *queue, skep_array **ret_array, skep_deadline deadline);
int queue_borrow_remote(skep_queue *queue, uint32_t method, struct skep_loan *ret_loan, skep_deadline deadline);
int queue_reserve_remote(skep_queue *queue, size_t bytes, struct skep_loan *ret_loan);
int queue_commit_remote(struct skep_loan *loan, uint32_t kind, size_t bytes, skep_deadline deadline);
void queue_end_remote(struct skep_loan *loan, uint32_t method); /* REMOTE_QUEUE_GIVE_BACK, REMOTE_QUEUE_PUT_BACK; 0: of a reserved one */
int queue_loan_array_remote(const struct skep_loan *loan, skep_array **ret_array);
static inline bool queue_is_remote(const struct skep_queue *queue)
{
        return !queue->block;
}

/* A handle on a queue whose block is known, and cannot go meanwhile. @return 0, -EPROTOTYPE, -EBADMSG, -ENOMEM */
int queue_of_block(struct skep_agent *agent, struct shm_block *block, skep_queue **ret_queue);
struct shm_block *queue_block(const skep_queue *queue);

/* Close a queue without a handle; as often as you like. */
void queue_close_block(skep_hive *hive, struct shm_block *block);

/* The same for a queue that nobody gets from any more: what is in it, and what that carries, is let go of. */
void queue_orphan_block(struct skep_agent *agent, struct shm_block *block);

/* What the dead was doing in it; the block must not be freed meanwhile. */
void queue_recover(struct reap *reap, struct shm_block *block);

/* The ring of a segment that exists. @return NULL none, or damaged */
const struct ring *queue_ring(skep_queue *queue, uint32_t segment);

/* One ring more at the end; 0 also if somebody else was quicker. @return 0, -ENOSPC */
int queue_add_segment(skep_queue *queue, struct skep_agent *agent, uint32_t segment);

/* A word of the queue's that is 0 becomes the HELD block, made LIVE with one claim; given back if somebody else was quicker. */
void queue_link(struct skep_agent *agent, uint64_t *word, struct shm_block *block, enum block_kind kind);

/* Let getters begin at that segment again, at the latest; who saw it drained before cannot pass it. */
void queue_head_lower(struct shm_queue *shared, uint32_t segment);

/* Wait for space, or for messages, at that position of the ring. @return 0 look again; -ETIMEDOUT; what the interrupt function said */
int queue_wait(skep_queue *queue, struct skep_agent *agent, struct queue_side *side, uint64_t position, skep_deadline deadline);
typedef bool queue_condition(skep_queue *queue);
bool queue_has_space(skep_queue *queue);

/* Is something to get, by anybody, or is the queue closed? */
bool queue_is_ready(skep_queue *queue);

/* --- delivery.c: messages that were taken and not yet acknowledged, each in a record ----------------------------------------- */

struct shm_delivery;
/* One that came back, and is now held by this process. @return NULL none */
struct shm_delivery *delivery_again(skep_queue *queue);
/* A dead letter. @return NULL none */
struct shm_delivery *delivery_dead(skep_queue *queue);
/* Move a message out of a slot READING(me), which is left. @return 0; -ENOSPC, -EBADMSG, and the slot is as it was */
int delivery_keep(skep_queue *queue, struct skep_agent *agent, const struct ring *ring, uint64_t position, struct shm_delivery **ret_record);
struct message delivery_message(const skep_queue *queue, const struct shm_delivery *record);
uint64_t delivery_word(const struct shm_delivery *record);
uint32_t delivery_count(uint64_t word);
/* The record at that offset, if it still says that this process holds it. @return NULL */
struct shm_delivery *delivery_of(skep_queue *queue, uint64_t offset, uint64_t word);
/* The message is done with, or goes back; nothing if the record says something else by now. */
void delivery_acknowledge(struct skep_agent *agent, struct shm_delivery *record, uint64_t word);
void delivery_reject(skep_queue *queue, struct shm_delivery *record, uint64_t word);
uint64_t delivery_size(skep_hive *hive, struct shm_queue *shared); /* that came back */
void delivery_recover(struct reap *reap, struct shm_queue *shared);

/* After a get that found the queue empty, of its watch, or a put that found it full, of its space_watch.  NULL: nothing. */
void watch_rearm(struct queue_watch *watch);
void watch_end(skep_queue *queue);
extern uint32_t watch_group_max; /* queues to a watcher; tests lower it */

#endif
