/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery.c - messages that were taken and are not yet acknowledged, of a queue with SKEP_QUEUE_ACKNOWLEDGE.
 *
 * A message that is taken moves from its slot into a record of the queue's tables, so the ring goes on without it.  Tables are a
 * chain, each twice as long as the one before.  Who gets looks for records that came back before he looks at the rings.
 *
 *   state      word                          meaning                       left by                       to
 *   FREE       {0, life, FREE, 0}            nothing                       taker, compare-and-swap       FILLING
 *   FILLING    {1, life, FILLING, agent}     being moved here from `slot`  agent                         HELD
 *                                                                          his reaper: see below         FREE, RETURNED
 *   HELD       {n, life, HELD, member + 1}   taken, for the n-th time      member, acknowledges          DROPPING
 *                                                                          member rejects, or is reaped  RETURNED, or DEAD if n is the limit
 *   RETURNED   {n, life, RETURNED, 0}        to be taken again             taker, compare-and-swap       HELD, n + 1
 *   DEAD       {n, life, DEAD, 0}            taken too often               taker, compare-and-swap       DEAD_HELD
 *   DEAD_HELD  {n, life, DEAD_HELD, member + 1}  a dead letter, looked at  member, acknowledges          DROPPING
 *                                                                          member rejects, or is reaped  DEAD
 *   DROPPING   {n, life, DROPPING, agent}    acknowledged                  agent, or his reaper          FREE, life + 1
 *
 * A member holds a record, not a thread of it: any thread may acknowledge.  With it goes a claim of the process on the queue, so
 * that its reaper comes by here.
 * MOVE.    FILLING | copy, with what the slot holds of a block | `slot`, `turn` | slot left: EMPTY of the next turn | HELD.  From
 *          the fourth step on the message is here.  `slot` is 0 in every record that is FREE.
 * HINT.    shm_queue.returned, {changes 63, SOME 1}: 0 for SOME if no record is RETURNED.  Set after one has become so, and by
 *          every reaper; cleared by who found none, if nothing has changed meanwhile.
 * CRASH.   dies                                      found as                                repaired by (delivery_recover)
 *          before the slot is left                   FILLING(dead), slot still READING(dead) FREE; then the slot is returned
 *          between this and HELD                     FILLING(dead), slot left                RETURNED
 *          holding                                   HELD(dead)                              RETURNED or DEAD
 *          acknowledging                             DROPPING(dead)                          its block is dropped, FREE
 *          in the middle of that                     intent DROP, word names the block or not  claim/recover.c, then as above
 *          between RETURNED and the hint             hint 0                                  the reaper sets it
 *          making a table                            intent LINK                             reaper: block freed
 * NOTE.    The records are recovered before the rings: they look at the slots.
 */
#include "base/checked.h"
#include "base/probe.h"
#include "queue/queue.h"
#include "sync/wait.h"

#include <errno.h>
#include <string.h>

#define TABLES_MAX 32u
#define FIRST_RECORDS 16u
#define RETURNED_SOME 1u
#define COUNT_MAX 0xffffu

enum delivery_phase { FREE = 0, FILLING, HELD, RETURNED, DEAD, DEAD_HELD, DROPPING, PHASES };

struct shm_delivery {
        uint64_t word; /* {count 16 << 48, life 16 << 32, phase 3 << 28, owner 28} */
        uint64_t slot; /* where it came from: offset of the slot's word; 0 none */
        uint64_t turn; /* of that slot */
        uint64_t head; /* as a slot's */
        uint64_t pad[4];
        uint8_t data[]; /* [slot_bytes] */
};
_Static_assert(sizeof(struct shm_delivery) == 64, "format");

struct shm_deliveries {
        uint64_t count;      /* constant: records */
        uint64_t slot_bytes; /* constant */
        uint64_t next;       /* block of the next table: 0, then that for ever.  A claim of this one */
        uint64_t pad[5];
};
_Static_assert(sizeof(struct shm_deliveries) == 64, "format");

/* --- words ------------------------------------------------------------------------------------------------------------------- */

static enum delivery_phase phase_of(uint64_t word)
{
        return (enum delivery_phase)(word >> 28 & 7);
}

static uint32_t owner_of(uint64_t word)
{
        return (uint32_t)word & AGENT_ID_MASK;
}

uint32_t delivery_count(uint64_t word)
{
        return (uint32_t)(word >> 48);
}

/* The same message in another state. */
static uint64_t word_with(uint64_t word, enum delivery_phase phase, uint32_t owner)
{
        return (word >> 32 << 32) | (uint64_t)phase << 28 | owner;
}

static uint64_t word_counted(uint64_t word)
{
        return delivery_count(word) < COUNT_MAX ? word + (UINT64_C(1) << 48) : word;
}

static uint64_t word_free(uint64_t word)
{
        return (uint64_t)(((word >> 32) + 1) & 0xffff) << 32;
}

/* --- tables ------------------------------------------------------------------------------------------------------------------ */

struct table {
        struct shm_deliveries *shared;
        uint64_t count;
        uint64_t record_bytes;
};

static bool table_of_block(skep_hive *hive, struct shm_block *block, struct table *ret_table)
{
        uint64_t bytes, needed;
        struct shm_deliveries *shared = block && claim_kind(block) == BLOCK_DELIVERIES ? heap_data(hive, block, &bytes) : NULL;
        if (!shared || bytes < sizeof *shared)
                return false;
        uint64_t slot_bytes = skep_glance(&shared->slot_bytes);
        *ret_table = (struct table){shared, skep_glance(&shared->count), sizeof(struct shm_delivery) + slot_bytes};
        return slot_bytes <= 4096 && slot_bytes % 64 == 0 && checked_mul(ret_table->count, ret_table->record_bytes, &needed) &&
               needed <= bytes - sizeof *shared;
}

/* The table that a word names. */
static bool table_at(skep_hive *hive, const uint64_t *word, struct table *ret_table)
{
        return table_of_block(hive, claim_find(hive, skep_load(word), 0), ret_table);
}

/* ... with records for messages of this queue: what the handle has checked, not what the hive says now. */
static bool table_of_queue(skep_queue *queue, const uint64_t *word, struct table *ret_table)
{
        return table_at(queue->hive, word, ret_table) && ret_table->record_bytes == sizeof(struct shm_delivery) + queue->slot_bytes;
}

static struct shm_delivery *record_of(const struct table *table, uint64_t index)
{
        return (struct shm_delivery *)((uint8_t *)(table->shared + 1) + index * table->record_bytes);
}

typedef void record_function(struct shm_delivery *record, void *context);

static void for_each_record(skep_hive *hive, struct shm_queue *shared, record_function *function, void *context)
{
        struct table table;
        const uint64_t *word = &shared->deliveries;
        for (uint32_t i = 0; i < TABLES_MAX && table_at(hive, word, &table); i++, word = &table.shared->next)
                for (uint64_t at = 0; at < table.count; at++)
                        function(record_of(&table, at), context);
}

/* One more table at the end. @return 0, also if somebody else was quicker; -ENOSPC, -EBADMSG */
static int table_add(skep_queue *queue, struct skep_agent *agent)
{
        struct table table;
        uint64_t *word = &queue->shared->deliveries, count = FIRST_RECORDS, unused;
        uint32_t tables = 0;
        for (; tables < TABLES_MAX && skep_load(word); tables++, count *= 2) {
                if (!table_of_queue(queue, word, &table))
                        return -EBADMSG;
                word = &table.shared->next;
        }
        uint64_t bytes = sizeof(struct shm_deliveries) + count * (sizeof(struct shm_delivery) + queue->slot_bytes);
        struct shm_block *block;
        int result = tables < TABLES_MAX && bytes <= queue->hive->capacity_bytes ? heap_take(agent, bytes, &block) : -ENOSPC;
        if (result < 0)
                return result;
        struct shm_deliveries *shared = heap_data(queue->hive, block, &unused);
        memset(shared, 0, bytes);
        shared->count = count;
        shared->slot_bytes = queue->slot_bytes;
        queue_link(agent, word, block, BLOCK_DELIVERIES);
        return 0;
}

/* --- take -------------------------------------------------------------------------------------------------------------------- */

static const enum delivery_phase claimed_as[PHASES] = {[FREE] = FILLING, [RETURNED] = HELD, [DEAD] = DEAD_HELD};

/* A record of that phase, from where the last one was found. @return NULL none */
static struct shm_delivery *record_claim(skep_queue *queue, enum delivery_phase phase, uint32_t owner)
{
        uint64_t begin = skep_load_relaxed(&queue->delivery_hint);
        for (int pass = 0; pass < 2; pass++) {
                struct table table;
                const uint64_t *word = &queue->shared->deliveries;
                uint64_t first = 0;
                for (uint32_t i = 0; i < TABLES_MAX && table_of_queue(queue, word, &table); i++, first += table.count, word = &table.shared->next)
                        for (uint64_t at = pass == 0 && begin > first ? begin - first : 0; at < table.count && (pass == 0 || first + at < begin); at++) {
                                struct shm_delivery *record = record_of(&table, at);
                                uint64_t seen = skep_load_relaxed(&record->word);
                                uint64_t next = word_with(phase == DEAD ? seen : word_counted(seen), claimed_as[phase], owner);
                                if (phase_of(seen) != phase || !skep_cas(&record->word, &seen, next))
                                        continue;
                                PROBE("queue.delivery_claimed");
                                skep_store_relaxed(&queue->delivery_hint, first + at);
                                return record;
                        }
        }
        return NULL;
}

/* A look at all records found none, when the hint was this. */
static void returned_none(struct shm_queue *shared, uint64_t returned)
{
        if (skep_cas(&shared->returned, &returned, returned & ~(uint64_t)RETURNED_SOME))
                PROBE("queue.returned_none");
}

struct shm_delivery *delivery_again(skep_queue *queue)
{
        uint64_t returned = skep_load(&queue->shared->returned);
        if (!(returned & RETURNED_SOME))
                return NULL;
        struct shm_delivery *record = record_claim(queue, RETURNED, queue->hive->member + 1);
        if (!record)
                returned_none(queue->shared, returned);
        return record;
}

struct shm_delivery *delivery_dead(skep_queue *queue)
{
        return record_claim(queue, DEAD, queue->hive->member + 1);
}

int delivery_keep(skep_queue *queue, struct skep_agent *agent, const struct ring *ring, uint64_t position, struct shm_delivery **ret_record)
{
        struct shm_delivery *record;
        while (!(record = record_claim(queue, FREE, agent->id))) {
                int result = table_add(queue, agent);
                if (result < 0)
                        return result;
        }
        struct shm_slot *slot = ring_slot(ring, position);
        record->head = slot->head;
        memcpy(record->data, ring_data(ring, position), ring->slot_bytes);
        record->turn = ring_turn(ring, position);
        skep_store(&record->slot, hive_offset(queue->hive, &slot->word));
        PROBE("queue.delivery_filled");
        ring_get_release(ring, position);
        skep_store(&record->word, word_with(skep_load_relaxed(&record->word), HELD, agent->member + 1));
        PROBE("queue.delivery_held");
        *ret_record = record;
        return 0;
}

struct message delivery_message(const skep_queue *queue, const struct shm_delivery *record)
{
        return message_in(&record->head, record->data, queue->slot_bytes);
}

struct shm_delivery *delivery_of(skep_queue *queue, uint64_t offset, uint64_t word)
{
        struct shm_delivery *record = hive_at(queue->hive, offset, sizeof *record);
        return record && owner_of(word) == queue->hive->member + 1 && skep_load(&record->word) == word ? record : NULL;
}

uint64_t delivery_word(const struct shm_delivery *record)
{
        return skep_load(&record->word);
}

/* --- acknowledge, reject ----------------------------------------------------------------------------------------------------- */

/* What is DROPPING(agent), or in a table that nobody else sees. */
static void record_free(struct skep_agent *agent, struct shm_delivery *record)
{
        if (skep_load(&record->head) & MESSAGE_BLOCK) {
                uint64_t *held = &((struct shm_message *)(void *)record->data)->block;
                claim_unlink(agent, held);
        }
        skep_store(&record->slot, 0);
        PROBE("queue.delivery_emptied");
        skep_store(&record->word, word_free(skep_load(&record->word)));
        PROBE("queue.delivery_free");
}

void delivery_acknowledge(struct skep_agent *agent, struct shm_delivery *record, uint64_t word)
{
        if (!skep_cas(&record->word, &word, word_with(word, DROPPING, agent->id)))
                return; /* another thread was quicker */
        PROBE("queue.delivery_acknowledged");
        record_free(agent, record);
}

static void record_return(const struct shm_queue *shared, struct shm_delivery *record, uint64_t word)
{
        bool dead = phase_of(word) == DEAD_HELD || (shared->delivery_max && delivery_count(word) >= shared->delivery_max);
        if (skep_cas(&record->word, &word, word_with(word, dead ? DEAD : RETURNED, 0)))
                PROBE("queue.delivery_returned");
}

static void tell_returned(struct shm_queue *shared)
{
        uint64_t returned = skep_load(&shared->returned);
        while (!skep_cas(&shared->returned, &returned, (returned | RETURNED_SOME) + 2))
                ;
        PROBE("queue.returned_some");
}

void delivery_reject(skep_queue *queue, struct shm_delivery *record, uint64_t word)
{
        record_return(queue->shared, record, word);
        tell_returned(queue->shared);
        event_notify(&queue->shared->not_empty, 1);
}

/* --- looking and recovering -------------------------------------------------------------------------------------------------- */

struct counting {
        enum delivery_phase phase;
        uint64_t count;
};

static void count_record(struct shm_delivery *record, void *context)
{
        struct counting *counting = context;
        counting->count += phase_of(skep_load(&record->word)) == counting->phase;
}

static uint64_t count_of(skep_hive *hive, struct shm_queue *shared, enum delivery_phase phase)
{
        struct counting counting = {.phase = phase};
        for_each_record(hive, shared, count_record, &counting);
        return counting.count;
}

uint64_t delivery_size(skep_hive *hive, struct shm_queue *shared)
{
        uint64_t returned = skep_load(&shared->returned), size = returned & RETURNED_SOME ? count_of(hive, shared, RETURNED) : 0;
        if (returned & RETURNED_SOME && !size)
                returned_none(shared, returned);
        return size;
}

int skep_queue_acknowledges(const skep_queue *queue)
{
        return queue->acknowledges;
}

uint64_t skep_queue_dead_size(const skep_queue *queue)
{
        return queue_is_remote(queue) ? (uint64_t)queue_ask(queue, 4) : count_of(queue->hive, queue->shared, DEAD);
}

struct recovery {
        struct reap *reap;
        struct shm_queue *shared;
};

/* Has the dead left the slot, so that the message is in the record? */
static bool has_moved(const struct reap *reap, const struct shm_delivery *record, uint32_t agent_id)
{
        uint64_t offset = skep_load(&record->slot);
        const uint64_t *slot = offset ? hive_at(reap->hive, offset, sizeof *slot) : NULL;
        uint64_t word = slot ? skep_load(slot) : 0;
        return slot && (slot_turn(word) != (uint32_t)record->turn || slot_phase(word) != SLOT_READING || slot_agent(word) != agent_id);
}

static void recover_record(struct shm_delivery *record, void *context)
{
        const struct recovery *recovery = context;
        struct reap *reap = recovery->reap;
        uint64_t word = skep_load(&record->word);
        enum delivery_phase phase = phase_of(word);
        if (phase == FILLING && reap_concerns(reap, owner_of(word)) && !has_moved(reap, record, owner_of(word))) {
                skep_store(&record->slot, 0);
                PROBE("queue.delivery_undone");
                skep_store(&record->word, word_free(word));
                PROBE("queue.delivery_free");
        } else if (phase == DROPPING && reap_concerns(reap, owner_of(word))) {
                record_free(reap->actor, record);
        } else if ((phase == FILLING && reap_concerns(reap, owner_of(word))) ||
                   ((phase == HELD || phase == DEAD_HELD) && owner_of(word) == reap->member + 1)) {
                record_return(recovery->shared, record, word);
                reap->report->slots++;
        }
}

void delivery_recover(struct reap *reap, struct shm_queue *shared)
{
        struct recovery recovery = {reap, shared};
        for_each_record(reap->hive, shared, recover_record, &recovery);
        tell_returned(shared);
}

static void deliveries_destroy(struct skep_agent *agent, struct shm_block *block)
{
        struct table table;
        if (!table_of_block(agent->hive, block, &table))
                return;
        for (uint64_t i = 0; i < table.count; i++)
                if (phase_of(skep_load(&record_of(&table, i)->word)) != FREE)
                        record_free(agent, record_of(&table, i));
        claim_unlink(agent, &table.shared->next);
}

static uint64_t deliveries_verify(skep_hive *hive, struct shm_block *block)
{
        struct table table;
        uint64_t problems = 0;
        if (!table_of_block(hive, block, &table))
                return 1;
        for (uint64_t i = 0; i < table.count; i++) {
                const struct shm_delivery *record = record_of(&table, i);
                uint64_t word = skep_glance(&record->word), slot_bytes = table.record_bytes - sizeof *record;
                enum delivery_phase phase = phase_of(word);
                uint64_t held = message_in(&record->head, record->data, slot_bytes).block;
                problems += phase >= PHASES;
                if (phase == FILLING || phase == DROPPING)
                        problems += agent_member(hive, owner_of(word)) < 0;
                else if (phase == HELD || phase == DEAD_HELD)
                        problems += !owner_of(word) || owner_of(word) > hive->member_max || !member_is_live(hive, owner_of(word) - 1);
                else
                        problems += owner_of(word) != 0;
                if (phase == HELD || phase == RETURNED || phase == DEAD || phase == DEAD_HELD)
                        problems += held && !claim_find(hive, held, 0);
        }
        return problems;
}

static const struct kind deliveries_kind = {
        .name = "deliveries",
        .shared_bytes = sizeof(struct shm_deliveries),
        .destroy = deliveries_destroy,
        .verify = deliveries_verify,
};

__attribute__((constructor)) static void delivery_register(void)
{
        kind_register(BLOCK_DELIVERIES, &deliveries_kind);
}
