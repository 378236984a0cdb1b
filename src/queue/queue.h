/* SPDX-License-Identifier: Apache-2.0 */
/* queue.h - the queue's shared header and private handle, shared by the files of queue/. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "claim/claim.h"
#include "ring/ring.h"

#include <skep/queue.h>

#define QUEUE_SEGMENTS 32u
#define QUEUE_FIRST_SLOTS UINT64_C(16) /* a program may have thousands of queues; one that gets deep grows in few steps */
#define QUEUE_SLOT_BYTES 104u

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
        uint64_t first_slots;              /* constant: of an unbounded queue's first ring; each further one has twice as many */
        uint64_t pad0[12];
        uint64_t head_segment;             /* hint {epoch 32, index 32}: first that may have messages; lowered with a message put back */
        uint64_t tail_segment;             /* hint: index of the last */
        uint64_t closed;                   /* 0, then 1 for ever */
        uint64_t orphaned;                 /* 0, then 1 for ever: nobody will get what is in it */
        uint64_t pad1[12];
        uint32_t not_empty;                /* event counts */
        uint32_t pad2[31];
        uint32_t not_full;
        uint32_t pad3[31];
};
_Static_assert(sizeof(struct shm_queue) % 64 == 0, "format");

struct queue_watch;

struct skep_queue {
        skep_hive *hive;
        struct shm_queue *shared;
        struct shm_block *block;
        skep_block reference;
        uint64_t capacity;
        uint64_t slot_bytes;
        uint32_t may_spin;
        uint32_t spin_ns; /* how long spinning has paid lately */
        uint32_t waits;
        uint32_t open; /* rings[] known: bit per segment */
        struct ring rings[QUEUE_SEGMENTS];
        struct queue_watch *watch; /* watch.c */
        pthread_mutex_t mutex;     /* over rings */
};

/* As skep_queue_create(), with that many slots in the first ring if it is unbounded. */
int queue_create(skep_hive *hive, const struct skep_queue_options *options, uint64_t first_slots, skep_queue **ret_queue);

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

/* Let getters begin at that segment again, at the latest. */
void queue_head_lower(struct shm_queue *shared, uint32_t segment);

/* Spin while it has paid lately, then sleep on the event count; see wait.c. @return 0 look again; -ETIMEDOUT */
typedef bool queue_condition(skep_queue *queue);
int queue_wait(skep_queue *queue, struct skep_agent *agent, uint32_t *event, queue_condition *condition, skep_deadline deadline);
bool queue_has_space(skep_queue *queue);

/* Is something to get, by anybody, or is the queue closed? */
bool queue_is_ready(skep_queue *queue);

/* After a get that found the queue empty. */
void watch_rearm(skep_queue *queue);
void watch_end(skep_queue *queue);
extern uint32_t watch_group_max; /* queues to a watcher; tests lower it */

#endif
