/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.h - a bounded ring of slots for many producers and many consumers, over memory that the caller supplies.
 *
 * Nobody waits here: a call that cannot go on says why.  Sleeping, blocks and closing are queue/'s.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include "member/member.h"

#define RING_LINE 64u /* of the cache */

/* What the caller of a claim looks at. */
enum ring_result {
        RING_DONE = 0,
        RING_EMPTY = 1,   /* get: nothing at the head */
        RING_FULL = 1,    /* put: no free slot */
        RING_BUSY = 2,    /* get: the head slot is being written by somebody */
        RING_SEALED = 3,  /* put: no more puts in this ring; get: drained for ever */
};

enum slot_phase { SLOT_EMPTY = 0, SLOT_WRITING = 1, SLOT_FULL = 2, SLOT_READING = 3, SLOT_RETURNED = 4, SLOT_SEALED = 5 };

/* word: {turn 32 << 32, LAST, phase 3 << 28, agent 28} */
#define SLOT_LAST (UINT64_C(1) << 31)

static inline uint32_t slot_turn(uint64_t word)
{
        return (uint32_t)(word >> 32);
}

static inline enum slot_phase slot_phase(uint64_t word)
{
        return (enum slot_phase)(word >> 28 & 7);
}

static inline uint32_t slot_agent(uint64_t word)
{
        return (uint32_t)word & AGENT_ID_MASK;
}

static inline uint64_t slot_word(uint32_t turn, enum slot_phase phase, uint32_t agent)
{
        return (uint64_t)turn << 32 | (uint64_t)phase << 28 | agent;
}

/* `word` is the truth about a slot; the rest, and its data, belong to whom it names. */
struct shm_slot {
        uint64_t word;
        uint64_t head; /* of the message: queue/ knows what it says */
};

/*
 * Behind it lie the slots, close together, from the next multiple of 64 the data of each.
 * head: {epoch 16 << 48, position 48}; tail: position.  Both are hints: the slots' words decide.
 */
struct shm_ring {
        uint64_t slot_count; /* constant */
        uint64_t slot_bytes; /* constant: data of a slot, a multiple of 64 */
        uint64_t sealable;   /* constant: LAST may be set by others */
        uint64_t skipped;    /* slots that were claimed and left without a message; only raised, by one at a time */
        uint64_t skip_count; /* what `skipped` is about to be */
        uint64_t skipping;   /* {turn 32 << 32, index + 1}: the slot that is being skipped; 0 none */
        uint64_t pad0[10];
        uint64_t head;
        uint64_t pad1[15];
        uint64_t tail;
        uint64_t pad2[15];
};
_Static_assert(sizeof(struct shm_ring) == 384, "format");

/* The private look at a ring; figures checked once. */
struct ring {
        struct shm_ring *shared;
        struct shm_slot *slots;
        uint8_t *data;
        uint64_t count;
        uint64_t slot_bytes;
        uint32_t shift; /* log2 of count; 64: not a power of two */
        bool sealable;
};

uint64_t ring_bytes(uint64_t slot_count, uint64_t slot_bytes);

/* Make a ring in zeroed or recycled memory of ring_bytes(). @param sealable  false: nobody will call ring_seal(), and it is faster */
void ring_format(void *memory, uint64_t slot_count, uint64_t slot_bytes, bool sealable);

/* Look at a ring in memory of @p bytes. @return 0, -EBADMSG */
int ring_open(void *memory, uint64_t bytes, struct ring *ret_ring);

static inline uint64_t ring_index(const struct ring *ring, uint64_t position)
{
        return ring->shift < 64 ? position & (ring->count - 1) : position % ring->count;
}

static inline struct shm_slot *ring_slot(const struct ring *ring, uint64_t position)
{
        return &ring->slots[ring_index(ring, position)];
}

/* slot_bytes, aligned to 64. */
static inline uint8_t *ring_data(const struct ring *ring, uint64_t position)
{
        return ring->data + ring_index(ring, position) * ring->slot_bytes;
}

static inline uint32_t ring_turn(const struct ring *ring, uint64_t position)
{
        return (uint32_t)(ring->shift < 64 ? position >> ring->shift : position / ring->count);
}

/* EMPTY -> WRITING(agent). @param ret_position  the slot's, or where there was none @return RING_DONE, RING_FULL, RING_SEALED */
enum ring_result ring_put_claim(const struct ring *ring, uint32_t agent, uint64_t *ret_position);

/* WRITING(me) -> FULL: the message is there. */
void ring_put_publish(const struct ring *ring, uint64_t position);

/*
 * Runs: after a claim, the slots behind it one by one, and at the end ring_put_moved() with the last position.  Published
 * without order against what is read later: skep_fence() before looking whether anybody sleeps.
 */
bool ring_put_next(const struct ring *ring, uint32_t agent, uint64_t *position);
void ring_put_publish_run(const struct ring *ring, uint64_t position);
void ring_put_moved(const struct ring *ring, uint64_t position);

/* WRITING(agent) -> EMPTY of the next turn: as if it had been taken.  One at a time: under the heap's lock, which a reaper has while it walks. */
void ring_put_cancel(const struct ring *ring, uint64_t position);

/*
 * How many messages were ever put, and are being put: who claims a slot is counted until he is skipped.  Exact: it was the figure at a
 * moment of the call, if the ring is not sealed meanwhile.  @param ret_sealed  there will never be more
 */
uint64_t ring_puts(const struct ring *ring, bool *ret_sealed);

/* FULL or RETURNED -> READING(agent). @param ret_position  the slot's, or where nothing was @return RING_DONE, RING_EMPTY, RING_BUSY, RING_SEALED */
enum ring_result ring_get_claim(const struct ring *ring, uint32_t agent, uint64_t *ret_position);

/* READING(me) -> EMPTY of the next turn: the message is taken. */
void ring_get_release(const struct ring *ring, uint64_t position);

/* Runs, as above.  All from `first` to before `end` were claimed by us and released. */
bool ring_get_next(const struct ring *ring, uint32_t agent, uint64_t *position);
void ring_get_release_run(const struct ring *ring, uint64_t position);
void ring_get_moved(const struct ring *ring, uint64_t first, uint64_t end);

/* READING -> RETURNED: the message is there again, and the head goes back to it. */
void ring_get_return(const struct ring *ring, uint64_t position);

/* A full ring gets no more messages. @return false: it was not full any more */
bool ring_seal(const struct ring *ring);

/* Would a get find something now? RING_EMPTY, RING_BUSY, RING_SEALED or RING_DONE. */
enum ring_result ring_peek(const struct ring *ring);

/* Would a put find a slot now? */
bool ring_has_space(const struct ring *ring);

/* Messages in it: exact when nobody is at work. */
uint64_t ring_size(const struct ring *ring);

/* Finish or take back what the dead of a reap were doing here; idempotent.  Under the heap's lock. @return slots changed */
uint64_t ring_recover(const struct ring *ring, const struct reap *reap);

/* @return slots in a state that cannot be */
uint64_t ring_verify(const struct ring *ring, const skep_hive *hive);

#endif
