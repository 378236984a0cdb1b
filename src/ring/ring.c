/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ring.c - bounded ring, many producers, many consumers; every slot names who works on it.
 *
 * Position p lies in slot p mod n, in turn p / n.
 *
 *   state      word                 meaning                      left by                     to
 *   EMPTY      {t, EMPTY, 0}        free for turn t              producer, compare-and-swap  WRITING
 *   WRITING    {t, WRITING, who}    being filled                 who, publish                FULL
 *                                                                who's reaper                EMPTY of t + 1 (skipped)
 *   FULL       {t, FULL, 0}         a message                    consumer, compare-and-swap  READING
 *   READING    {t, READING, who}    being taken, or borrowed     who, release                EMPTY of t + 1
 *                                                                who, or his reaper          RETURNED
 *   RETURNED   {t, RETURNED, 0}     a message, put back          consumer, compare-and-swap  READING
 *   SEALED     {t, SEALED, 0}       no message ever again        nobody
 *   LAST       a bit beside WRITING, FULL, READING, RETURNED, set by a producer that found the ring full: the slot
 *              becomes SEALED instead of EMPTY.  Producers pass positions in order, so there is one such slot.
 *
 * ORDER.   (O1) publish releases, get's claim acquires: who gets a message sees what was written before the put.
 *          (O2) release (of the slot) pairs with the put's claim one turn later.
 *          (O3) put's publish and get's release are sequentially consistent, for the event counts of queue/; those of a run
 *          only release, and the fence behind the run stands for all of them.
 *          Messages of one producer are got in the order put; a returned one comes late.
 * HINTS.   tail may lag or fall back; a producer that finds position p taken goes on from there.  head is moved by
 *          compare-and-swap only, as a message put back lowers it: position and an epoch, so that nobody who saw the head
 *          before can lift it past the message.  The epoch grows also where the head was not behind it: it may lag, and
 *          somebody who saw READING there may be about to lift it.  A run lifts it past what it released itself, in any epoch.
 * SKIPPED. Positions are claimed without a gap, so the first one that nobody has claimed says how many messages were put, but for those
 *          skipped.  A skip is counted exactly once: by one at a time (the heap's lock), with a note that can be carried out as often as you like:
 *          skip_count = skipped + 1 | skipping = the slot and its turn | skipped = skip_count | slot EMPTY | skipping = 0.
 *          Who skips carries out first what he finds.
 * PROGRESS. lock-free for producers.  A consumer waits for the producer of the head slot (RING_BUSY), for the sake of order.
 * CRASH.   dies                                      found as                    repaired by (ring_recover)
 *          between claim and publish                 WRITING(dead)               EMPTY of the next turn: skipped
 *          anywhere in a skip                        note                        the next who skips, at the latest the reaper
 *          within a run of puts                      some FULL, some WRITING(dead)  each by itself, as above and below
 *          between publish and moving tail           tail behind                 the next producer
 *          between claim and release of a get        READING(dead)               RETURNED, then head lowered
 *          a reaper between these two                RETURNED behind head        the next reaper lowers head
 *          between release and moving head, or       head behind                 the next consumer
 *          within a run of gets
 * SOURCE.  The turn per slot is Vyukov's (bounded MPMC queue, 2010); there a ticket is drawn before the slot is filled, and a
 *          producer that dies between stops the ring for ever.  Here the slot itself is claimed, by name, and the
 *          indices follow.
 */
#include "ring/ring.h"

#include "base/checked.h"
#include "base/probe.h"

#include <errno.h>
#include <string.h>

#define POSITION_MASK ((UINT64_C(1) << 48) - 1)
#define HEAD_EPOCH (UINT64_C(1) << 48)

/* Where the data begin. @return false: too many slots */
static bool data_at(uint64_t slot_count, uint64_t *ret_at)
{
        uint64_t at;
        if (!checked_mul(slot_count, sizeof(struct shm_slot), &at) || !checked_add(at, sizeof(struct shm_ring) + RING_LINE - 1, &at))
                return false;
        *ret_at = at & ~(uint64_t)(RING_LINE - 1);
        return true;
}

uint64_t ring_bytes(uint64_t slot_count, uint64_t slot_bytes)
{
        uint64_t at, bytes;
        return data_at(slot_count, &at) && checked_mul(slot_count, slot_bytes, &bytes) && checked_add(bytes, at, &bytes) ? bytes : UINT64_MAX;
}

void ring_format(void *memory, uint64_t slot_count, uint64_t slot_bytes, bool sealable)
{
        struct shm_ring *shared = memory;
        *shared = (struct shm_ring){.slot_count = slot_count, .slot_bytes = slot_bytes, .sealable = sealable};
        memset(shared + 1, 0, slot_count * sizeof(struct shm_slot));
}

int ring_open(void *memory, uint64_t bytes, struct ring *ret_ring)
{
        struct shm_ring *shared = memory;
        if (bytes < sizeof *shared)
                return -EBADMSG;
        uint64_t count = skep_glance(&shared->slot_count), slot_bytes = skep_glance(&shared->slot_bytes), at;
        if (!count || !slot_bytes || slot_bytes % RING_LINE || ring_bytes(count, slot_bytes) > bytes || !data_at(count, &at))
                return -EBADMSG;
        *ret_ring = (struct ring){
                .shared = shared,
                .slots = (struct shm_slot *)(shared + 1),
                .data = (uint8_t *)memory + at,
                .count = count,
                .slot_bytes = slot_bytes,
                .shift = is_power_of_two(count) ? (uint32_t)__builtin_ctzll(count) : 64,
                .sealable = skep_glance(&shared->sealable),
        };
        return 0;
}

/* Later turns compare greater, also when 32 bits have gone round. */
static int32_t turns_ahead(uint64_t word, uint32_t turn)
{
        return (int32_t)(slot_turn(word) - turn);
}

/* Positions to go on by from a slot that is so many turns ahead: all turns before that one are over. */
static uint64_t to_catch_up(const struct ring *ring, int32_t ahead)
{
        return (ahead > 0 ? (uint64_t)(ahead - 1) * ring->count : 0) + 1;
}

/* --- put ------------------------------------------------------------------------------------------------------------ */

void ring_put_moved(const struct ring *ring, uint64_t position)
{
        if (skep_load_relaxed(&ring->shared->tail) < position + 1)
                skep_store_relaxed(&ring->shared->tail, position + 1);
        PROBE("ring.tail");
}

enum ring_result ring_put_claim(const struct ring *ring, uint32_t agent, uint64_t *ret_position)
{
        uint64_t position = skep_load_relaxed(&ring->shared->tail) & POSITION_MASK;
        for (;;) {
                *ret_position = position;
                struct shm_slot *slot = ring_slot(ring, position);
                uint32_t turn = ring_turn(ring, position);
                uint64_t word = skep_load(&slot->word);
                int32_t ahead = turns_ahead(word, turn);
                if (ahead == 0 && slot_phase(word) == SLOT_EMPTY) {
                        if (!skep_cas(&slot->word, &word, slot_word(turn, SLOT_WRITING, agent)))
                                continue;
                        PROBE("ring.writing");
                        ring_put_moved(ring, position);
                        return RING_DONE;
                }
                if ((ahead == 0 && slot_phase(word) == SLOT_SEALED) || (ahead == -1 && word & SLOT_LAST))
                        return RING_SEALED;
                if (ahead < 0)
                        return RING_FULL;
                position += to_catch_up(ring, ahead);
        }
}

bool ring_put_next(const struct ring *ring, uint32_t agent, uint64_t *position)
{
        uint64_t next = *position + 1;
        uint32_t turn = ring_turn(ring, next);
        uint64_t word = slot_word(turn, SLOT_EMPTY, 0);
        if (!skep_cas(&ring_slot(ring, next)->word, &word, slot_word(turn, SLOT_WRITING, agent)))
                return false;
        PROBE("ring.writing");
        *position = next;
        return true;
}

/* Leave a state that names us; only LAST can have come meanwhile.  Sequentially consistent (O3). */
static void slot_leave(struct shm_slot *slot, enum slot_phase phase, bool next_turn)
{
        uint64_t word = skep_load_relaxed(&slot->word), next;
        do {
                next = slot_word(slot_turn(word), phase, 0) | (word & SLOT_LAST);
                if (next_turn)
                        next = slot_word(slot_turn(word) + 1, word & SLOT_LAST ? SLOT_SEALED : phase, 0);
        } while (!skep_cas(&slot->word, &word, next));
}

void ring_put_publish(const struct ring *ring, uint64_t position)
{
        if (ring->sealable)
                slot_leave(ring_slot(ring, position), SLOT_FULL, false);
        else
                (void)skep_exchange(&ring_slot(ring, position)->word, slot_word(ring_turn(ring, position), SLOT_FULL, 0));
        PROBE("ring.full");
}

void ring_put_publish_run(const struct ring *ring, uint64_t position)
{
        if (ring->sealable)
                slot_leave(ring_slot(ring, position), SLOT_FULL, false);
        else
                skep_store(&ring_slot(ring, position)->word, slot_word(ring_turn(ring, position), SLOT_FULL, 0));
        PROBE("ring.full");
}

/* Carry out the note, if there is one. */
static void skip_noted(const struct ring *ring)
{
        struct shm_ring *shared = ring->shared;
        uint64_t note = skep_load(&shared->skipping), index = (uint32_t)note - UINT64_C(1);
        if (!note)
                return;
        skep_store(&shared->skipped, skep_load_relaxed(&shared->skip_count));
        PROBE("ring.skipped");
        struct shm_slot *slot = &ring->slots[index < ring->count ? index : 0];
        uint64_t word = skep_load(&slot->word);
        if (slot_phase(word) == SLOT_WRITING && slot_turn(word) == slot_turn(note))
                slot_leave(slot, SLOT_EMPTY, true);
        PROBE("ring.cancelled");
        skep_store(&shared->skipping, 0);
        PROBE("ring.skip_ends");
}

void ring_put_cancel(const struct ring *ring, uint64_t position)
{
        struct shm_ring *shared = ring->shared;
        uint64_t index = ring_index(ring, position), word = skep_load(&ring->slots[index].word);
        skip_noted(ring);
        if ((skep_load(&ring->slots[index].word) ^ word) & ~SLOT_LAST)
                return; /* that was it */
        skep_store_relaxed(&shared->skip_count, skep_load_relaxed(&shared->skipped) + 1);
        skep_store(&shared->skipping, (uint64_t)slot_turn(word) << 32 | (index + 1));
        PROBE("ring.skipping");
        skip_noted(ring);
}

uint64_t ring_puts(const struct ring *ring, bool *ret_sealed)
{
        uint64_t skipped = skep_load(&ring->shared->skipped); /* first: what is skipped later was claimed earlier */
        uint64_t position = skep_load_relaxed(&ring->shared->tail) & POSITION_MASK;
        for (;;) {
                uint64_t word = skep_load(&ring_slot(ring, position)->word);
                int32_t ahead = turns_ahead(word, ring_turn(ring, position));
                *ret_sealed = (ahead == 0 && slot_phase(word) == SLOT_SEALED) || (ahead == -1 && word & SLOT_LAST);
                if (*ret_sealed || ahead < 0 || (ahead == 0 && slot_phase(word) == SLOT_EMPTY))
                        return position - skipped;
                position += to_catch_up(ring, ahead);
        }
}

bool ring_seal(const struct ring *ring)
{
        uint64_t position = skep_load_relaxed(&ring->shared->tail) & POSITION_MASK;
        for (;;) {
                struct shm_slot *slot = ring_slot(ring, position);
                uint64_t word = skep_load(&slot->word);
                int32_t ahead = turns_ahead(word, ring_turn(ring, position));
                if ((ahead == 0 && slot_phase(word) == SLOT_SEALED) || (ahead == -1 && word & SLOT_LAST))
                        return true;
                if (ahead == 0 && slot_phase(word) == SLOT_EMPTY)
                        return false;
                if (ahead < 0) {
                        if (skep_cas(&slot->word, &word, word | SLOT_LAST)) {
                                PROBE("ring.last");
                                return true;
                        }
                        continue;
                }
                position = (position + to_catch_up(ring, ahead)) & POSITION_MASK;
        }
}

bool ring_has_space(const struct ring *ring)
{
        uint64_t position = skep_load_relaxed(&ring->shared->tail) & POSITION_MASK;
        for (uint64_t i = 0; i < ring->count; i++, position++) {
                uint64_t word = skep_load(&ring_slot(ring, position)->word);
                int32_t ahead = turns_ahead(word, ring_turn(ring, position));
                if (ahead < 0 || (ahead == 0 && slot_phase(word) == SLOT_EMPTY))
                        return ahead == 0;
        }
        return false;
}

/* --- get ------------------------------------------------------------------------------------------------------------ */

static bool head_advance(const struct ring *ring, uint64_t *head, uint64_t positions)
{
        uint64_t next = (*head & ~POSITION_MASK) | ((*head + positions) & POSITION_MASK);
        if (!skep_cas(&ring->shared->head, head, next))
                return false;
        PROBE("ring.head");
        *head = next;
        return true;
}

enum ring_result ring_get_claim(const struct ring *ring, uint32_t agent, uint64_t *ret_position)
{
        uint64_t head = skep_load(&ring->shared->head);
        for (;;) {
                uint64_t position = *ret_position = head & POSITION_MASK;
                struct shm_slot *slot = ring_slot(ring, position);
                uint32_t turn = ring_turn(ring, position);
                uint64_t word = skep_load(&slot->word);
                int32_t ahead = turns_ahead(word, turn);
                enum slot_phase phase = slot_phase(word);
                if (ahead == 0 && (phase == SLOT_FULL || phase == SLOT_RETURNED)) {
                        if (!skep_cas(&slot->word, &word, slot_word(turn, SLOT_READING, agent) | (word & SLOT_LAST)))
                                continue;
                        PROBE("ring.reading");
                        (void)head_advance(ring, &head, 1);
                        return RING_DONE;
                }
                if (ahead < 0 || (ahead == 0 && phase == SLOT_EMPTY))
                        return RING_EMPTY;
                if (ahead == 0 && phase == SLOT_WRITING)
                        return RING_BUSY;
                if (ahead == 0 && phase == SLOT_SEALED)
                        return RING_SEALED;
                /* READING by another, or taken; on failure head is what was found.  Only damage is more than a turn ahead. */
                (void)head_advance(ring, &head, to_catch_up(ring, ahead));
        }
}

bool ring_get_next(const struct ring *ring, uint32_t agent, uint64_t *position)
{
        uint64_t next = *position + 1;
        uint32_t turn = ring_turn(ring, next);
        struct shm_slot *slot = ring_slot(ring, next);
        uint64_t word = slot_word(turn, SLOT_FULL, 0);
        if (skep_load_relaxed(&slot->word) != word || !skep_cas(&slot->word, &word, slot_word(turn, SLOT_READING, agent)))
                return false;
        PROBE("ring.reading");
        *position = next;
        return true;
}

/* Nothing will be put back there, as the slots' turns are over: whatever the epoch, the head may pass. */
void ring_get_moved(const struct ring *ring, uint64_t first, uint64_t end)
{
        uint64_t head = skep_load_relaxed(&ring->shared->head);
        while ((head & POSITION_MASK) >= first && (head & POSITION_MASK) < end)
                if (skep_cas(&ring->shared->head, &head, (head & ~POSITION_MASK) | (end & POSITION_MASK))) {
                        PROBE("ring.head");
                        return;
                }
}

enum ring_result ring_peek(const struct ring *ring)
{
        uint64_t position = skep_load(&ring->shared->head) & POSITION_MASK;
        uint64_t word = skep_load(&ring_slot(ring, position)->word);
        int32_t ahead = turns_ahead(word, ring_turn(ring, position));
        if (ahead > 0)
                return RING_DONE;
        switch (slot_phase(word)) {
        case SLOT_WRITING:
                return ahead ? RING_EMPTY : RING_BUSY;
        case SLOT_SEALED:
                return RING_SEALED;
        case SLOT_EMPTY:
                return RING_EMPTY;
        default:
                return ahead ? RING_EMPTY : RING_DONE;
        }
}

void ring_get_release(const struct ring *ring, uint64_t position)
{
        if (ring->sealable)
                slot_leave(ring_slot(ring, position), SLOT_EMPTY, true);
        else
                (void)skep_exchange(&ring_slot(ring, position)->word, slot_word(ring_turn(ring, position) + 1, SLOT_EMPTY, 0));
        PROBE("ring.released");
}

void ring_get_release_run(const struct ring *ring, uint64_t position)
{
        if (ring->sealable)
                slot_leave(ring_slot(ring, position), SLOT_EMPTY, true);
        else
                skep_store(&ring_slot(ring, position)->word, slot_word(ring_turn(ring, position) + 1, SLOT_EMPTY, 0));
        PROBE("ring.released");
}

/* Also where the head is there already: who saw the slot before may be about to lift it. */
static void head_lower(const struct ring *ring, uint64_t position)
{
        uint64_t head = skep_load(&ring->shared->head), next;
        do
                next = ((head & ~POSITION_MASK) + HEAD_EPOCH) | ((head & POSITION_MASK) < position ? head & POSITION_MASK : position);
        while (!skep_cas(&ring->shared->head, &head, next));
        PROBE("ring.lowered");
}

void ring_get_return(const struct ring *ring, uint64_t position)
{
        slot_leave(ring_slot(ring, position), SLOT_RETURNED, false);
        PROBE("ring.returned");
        head_lower(ring, position);
}

/* --- looking and recovering ------------------------------------------------------------------------------------------ */

/* Slot by slot: between head and tail lie also what dead producers left, and what was taken before a message was put back. */
uint64_t ring_size(const struct ring *ring)
{
        uint64_t position = skep_load(&ring->shared->head) & POSITION_MASK, size = 0;
        for (uint64_t i = 0; i < 2 * ring->count; i++, position++) { /* the head may lag behind by a turn */
                uint64_t word = skep_load(&ring_slot(ring, position)->word);
                int32_t ahead = turns_ahead(word, ring_turn(ring, position));
                enum slot_phase phase = slot_phase(word);
                if (ahead < 0 || (ahead == 0 && (phase == SLOT_EMPTY || phase == SLOT_SEALED)))
                        break;
                size += ahead == 0 && (phase == SLOT_FULL || phase == SLOT_RETURNED);
        }
        return size;
}

/* The position that a slot's word speaks of: its turn is known modulo 2^32 only, so it is taken near the head. */
static uint64_t slot_position(const struct ring *ring, uint64_t index, uint32_t turn)
{
        uint64_t head = skep_glance(&ring->shared->head) & POSITION_MASK;
        uint64_t turn_of_head = head / ring->count;
        int32_t ahead = (int32_t)(turn - (uint32_t)turn_of_head);
        return (turn_of_head + (uint64_t)(int64_t)ahead) * ring->count + index;
}

uint64_t ring_recover(const struct ring *ring, const struct reap *reap)
{
        uint64_t changed = 0;
        skip_noted(ring);
        for (uint64_t index = 0; index < ring->count; index++) {
                uint64_t word = skep_load(&ring_slot(ring, index)->word);
                enum slot_phase phase = slot_phase(word);
                bool dead = (phase == SLOT_WRITING || phase == SLOT_READING) && reap_concerns(reap, slot_agent(word));
                if (dead && phase == SLOT_WRITING)
                        ring_put_cancel(ring, index);
                else if (dead)
                        ring_get_return(ring, slot_position(ring, index, slot_turn(word)));
                else if (phase == SLOT_RETURNED)
                        head_lower(ring, slot_position(ring, index, slot_turn(word)));
                changed += dead;
        }
        return changed;
}

uint64_t ring_verify(const struct ring *ring, const skep_hive *hive)
{
        uint64_t problems = 0;
        uint64_t head = skep_glance(&ring->shared->head) & POSITION_MASK;
        problems += (uint32_t)skep_glance(&ring->shared->skipping) > ring->count;
        for (uint64_t index = 0; index < ring->count; index++) {
                uint64_t word = skep_glance(&ring_slot(ring, index)->word);
                enum slot_phase phase = slot_phase(word);
                bool named = phase == SLOT_WRITING || phase == SLOT_READING;
                problems += phase > SLOT_SEALED || named != (slot_agent(word) != 0);
                if (named && slot_agent(word))
                        problems += agent_member(hive, slot_agent(word)) < 0;
                if (phase == SLOT_FULL || phase == SLOT_RETURNED)
                        problems += slot_position(ring, index, slot_turn(word)) < head;
        }
        return problems;
}
