/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim.c - claims that survive death.
 *
 * THE WORD.  claims = {count 20, agent 12, sequence 32}: claims of objects, and which step of which agent changed it last.
 *            Before a step is overwritten by another agent's, it is acknowledged: agents[a].acknowledged is raised to it.
 *            So whether a dead agent's step was done can be told for ever: the word carries it, or it is acknowledged.
 * BITS.      members[]: a bit per member, idempotent to set and to clear.
 * LAST.      Nobody may free what somebody is about to claim.  A claim is made only under the protection of another.
 *   (L1)     every way to give up a claim changes the word before, or together with, giving it up;
 *   (L2)     who wants to free reads the word, then the state, then all bits, and retires by compare-and-swap on what he
 *            read.  If a claim was made in his back, the claim that protected it was given up after he had read its absence
 *            ... or its word: by (L1) the swap fails, or he saw the new claim.
 *   (L3)     a new life begins with a new sequence, so the swap never meets an old value.
 * STATES.    HELD(agent) -> LIVE (published) -> LIVE, RETIRED(agent) -> HELD(agent) -> FREE.
 * LOCAL.     hive->local[i]: 0, n, or BUSY while one thread turns the member's bit.
 * CRASH.     dies                                      found as                      repaired by (recover.c)
 *            before publishing                         HELD(dead)                    FREE
 *            between step and what it was for          intent                        step undone or finished
 *            holding                                   member's bit                  bit dropped
 *            after clearing the bit                    intent CHECK                  freed if last
 *            after retiring                            RETIRED(dead)                 destroyed and freed
 *            with retired ones waiting their turn      each RETIRED(dead)            the same
 * SOURCE.    Detectable operations as in Friedman et al., "A persistent lock-free queue" (PPoPP 2018); the word is ours.
 */
#include "claim/claim.h"

#include "base/checked.h"
#include "base/probe.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_BUSY UINT32_MAX

static const struct kind no_kind = {.name = "unknown"}, plain = {.name = "block"};
static const struct kind *kinds[BLOCK_KINDS] = {[BLOCK_BYTES] = &plain};

void kind_register(enum block_kind kind, const struct kind *what)
{
        kinds[kind] = what;
}

const struct kind *kind_of(const struct shm_block *block)
{
        enum block_kind kind = claim_kind(block);
        return kind < BLOCK_KINDS && kinds[kind] ? kinds[kind] : &no_kind;
}

/* --- steps ------------------------------------------------------------------------------------------------------------------ */

/* Our own steps too: the open intent may be about the one that we overwrite. */
static void acknowledge(struct skep_agent *agent, uint32_t agent_index, uint32_t sequence)
{
        if (!agent_index || agent_index > agent->hive->agent_max)
                return;
        uint32_t *word = &agent->hive->agents[agent_index].acknowledged;
        uint32_t known = skep_load32(word);
        if (agent_index == agent->index && (int32_t)(sequence - known) > 0) {
                skep_store32(word, sequence); /* others raise it to older ones only, by compare-and-swap */
                return;
        }
        while ((int32_t)(sequence - known) > 0)
                if (skep_cas32(word, &known, sequence))
                        return;
}

bool claim_step_done(const skep_hive *hive, uint32_t agent_index, const struct shm_block *block, uint32_t sequence)
{
        uint64_t claims = skep_load(&block->claims);
        if (claims_agent(claims) == agent_index && (uint32_t)(claims >> 32) == sequence)
                return true;
        return (int32_t)(skep_load32(&hive->agents[agent_index].acknowledged) - sequence) >= 0;
}

/* Replace the word, having acknowledged the step it carries. */
static bool claims_swap(struct skep_agent *agent, struct shm_block *block, uint64_t *claims, uint64_t next)
{
        acknowledge(agent, claims_agent(*claims), (uint32_t)(*claims >> 32));
        if (!skep_cas(&block->claims, claims, next))
                return false;
        PROBE("claim.step");
        return true;
}

int claim_step(struct skep_agent *agent, struct shm_block *block, int delta, uint32_t sequence)
{
        uint64_t claims = skep_load(&block->claims);
        do {
                if (claim_step_done(agent->hive, agent->index, block, sequence))
                        return 0;
                uint64_t count = claims_count(claims) + (uint64_t)(int64_t)delta;
                if (count >= CLAIMS_RETIRED)
                        return -EOVERFLOW;
                if (claims_swap(agent, block, &claims, claims_of(count, agent->index, sequence)))
                        return 0;
        } while (true);
}

/* A number for the next step; none of ours is open, so all before count as known. */
static uint32_t next_sequence(struct skep_agent *agent)
{
        struct shm_agent *shared = agent->shared;
        uint32_t sequence = shared->sequence + 2; /* the one between is for UNDO */
        skep_store32_relaxed(&shared->sequence, sequence + 1);
        if ((int32_t)(sequence - skep_load32_relaxed(&shared->acknowledged)) > 1 << 20)
                skep_store32(&shared->acknowledged, sequence - 1);
        return sequence;
}

void intent_set(struct skep_agent *agent, enum intent_op op, const struct shm_block *block, const uint64_t *slot, uint64_t turn)
{
        struct shm_intent *intent = &agent->shared->intent;
        skep_store_relaxed(&intent->block, hive_offset(agent->hive, block));
        skep_store_relaxed(&intent->slot, slot ? hive_offset(agent->hive, slot) : 0);
        skep_store_relaxed(&intent->turn, turn);
        skep_store32_relaxed(&intent->sequence, next_sequence(agent));
        skep_store(&intent->op, op);
        PROBE("intent.set");
}

void intent_clear(struct skep_agent *agent)
{
        skep_store(&agent->shared->intent.op, INTENT_NONE);
        PROBE("intent.clear");
}

/* --- claims of objects --------------------------------------------------------------------------------------------------------- */

int claim_hold(struct skep_agent *agent, struct shm_block *block)
{
        return claim_step(agent, block, 1, agent->shared->intent.sequence);
}

static void publish(struct skep_agent *agent, struct shm_block *block, enum block_kind kind, uint64_t count, uint64_t member_bit)
{
        for (uint32_t i = 0; i < MEMBER_WORDS; i++)
                skep_store_relaxed(&block->members[i], 0);
        if (member_bit)
                skep_store_relaxed(&block->members[agent->member / 64], UINT64_C(1) << agent->member % 64);
        skep_store8_relaxed(&block->kind, (uint8_t)kind);
        skep_store32_relaxed(&block->serial, block->serial == UINT32_MAX ? 1 : block->serial + 1);
        skep_store(&block->claims, claims_of(count, agent->index, next_sequence(agent))); /* (L3) */
        uint64_t word = skep_load_relaxed(&block->word);
        skep_store(&block->word, word_of(BLOCK_LIVE, word_pages(word), word & BLOCK_WARM, 0));
        PROBE("claim.published");
}

void claim_publish(struct skep_agent *agent, struct shm_block *block, enum block_kind kind)
{
        publish(agent, block, kind, 1, 0);
}

void claim_unpublish(struct skep_agent *agent, struct shm_block *block)
{
        uint64_t word = skep_load_relaxed(&block->word);
        skep_store(&block->word, word_of(BLOCK_HELD, word_pages(word), word & BLOCK_WARM, agent->id));
        PROBE("claim.unpublished");
}

static void destroy_one(struct skep_agent *agent, struct shm_block *block)
{
        if (kind_of(block)->destroy)
                kind_of(block)->destroy(agent, block);
        claim_unpublish(agent, block);
        heap_give(agent, block);
}

/* What an object let go of when it was destroyed waits its turn: it may hold others, to any depth. @return false: no memory to note it */
static bool destroy_later(struct skep_agent *agent, struct shm_block *block)
{
        if (agent->retired_count == agent->retired_capacity) {
                uint32_t capacity = agent->retired_capacity ? 2 * agent->retired_capacity : 16;
                struct shm_block **retired = realloc(agent->retired, capacity * sizeof(struct shm_block *));
                if (!retired)
                        return false;
                agent->retired = retired;
                agent->retired_capacity = capacity;
        }
        agent->retired[agent->retired_count++] = block;
        return true;
}

void claim_destroy(struct skep_agent *agent, struct shm_block *block)
{
        if (agent->destroying) {
                if (!destroy_later(agent, block))
                        destroy_one(agent, block);
                return;
        }
        agent->destroying = true;
        destroy_one(agent, block);
        while (agent->retired_count)
                destroy_one(agent, agent->retired[--agent->retired_count]);
        agent->destroying = false;
        free(agent->retired);
        agent->retired = NULL;
        agent->retired_capacity = 0;
}

void claim_free_if_last(struct skep_agent *agent, struct shm_block *block)
{
        uint64_t claims = skep_load(&block->claims);
        for (;;) { /* (L2) */
                if (word_state(skep_load(&block->word)) != BLOCK_LIVE || claims_count(claims))
                        return;
                for (uint32_t i = 0; i < MEMBER_WORDS; i++)
                        if (skep_load(&block->members[i]))
                                return;
                if (claims_swap(agent, block, &claims, claims_of(CLAIMS_RETIRED, agent->index, next_sequence(agent))))
                        break;
        }
        claim_destroy(agent, block);
}

void claim_drop(struct skep_agent *agent, struct shm_block *block)
{
        (void)claim_step(agent, block, -1, agent->shared->intent.sequence); /* (L1): change and giving up are one */
        claim_free_if_last(agent, block);
        intent_clear(agent);
}

int claim_link(struct skep_agent *agent, uint64_t *word, struct shm_block *block)
{
        intent_set(agent, INTENT_HOLD, block, word, INTENT_WORD);
        int result = claim_hold(agent, block);
        if (result == 0) {
                skep_store(word, hive_offset(agent->hive, block));
                PROBE("claim.linked");
        }
        intent_clear(agent);
        return result;
}

void claim_link_new(struct skep_agent *agent, uint64_t *word, struct shm_block *block, enum block_kind kind)
{
        intent_set(agent, INTENT_LINK, block, word, INTENT_WORD);
        claim_publish(agent, block, kind);
        skep_store(word, hive_offset(agent->hive, block));
        PROBE("claim.linked_new");
        intent_clear(agent);
}

void claim_unlink(struct skep_agent *agent, uint64_t *word)
{
        struct shm_block *block = heap_record(agent->hive, skep_load(word));
        if (!block) {
                skep_store(word, 0);
                return;
        }
        intent_set(agent, INTENT_DROP, block, word, INTENT_WORD);
        skep_store(word, 0);
        PROBE("claim.unlinked");
        claim_drop(agent, block);
}

/* --- claims of members ----------------------------------------------------------------------------------------------------------- */

int claim_alloc(struct skep_agent *agent, uint64_t bytes, enum block_kind kind, struct shm_block **ret_block)
{
        struct shm_block *block;
        int result = heap_take(agent, bytes, &block);
        if (result < 0)
                return result;
        claim_adopt(agent, block, kind);
        *ret_block = block;
        return 0;
}

void claim_adopt(struct skep_agent *agent, struct shm_block *block, enum block_kind kind)
{
        publish(agent, block, kind, 0, 1);
        skep_store32(claim_local(agent->hive, block), 1);
}

struct shm_block *claim_find(const skep_hive *hive, uint64_t offset, uint64_t serial)
{
        struct shm_block *block = heap_record(hive, offset);
        if (!block || word_state(skep_load(&block->word)) != BLOCK_LIVE || (serial && skep_load32_relaxed(&block->serial) != serial))
                return NULL;
        return claims_count(skep_load(&block->claims)) == CLAIMS_RETIRED ? NULL : block;
}

static void member_bit_set(struct skep_agent *agent, struct shm_block *block)
{
        (void)skep_fetch_or(&block->members[agent->member / 64], UINT64_C(1) << agent->member % 64);
        PROBE("claim.bit_set");
}

static void member_bit_clear(struct shm_block *block, uint32_t member)
{
        (void)skep_fetch_and(&block->members[member / 64], ~(UINT64_C(1) << member % 64));
        PROBE("claim.bit_cleared");
}

int claim_ref(struct skep_agent *agent, struct shm_block *block, uint32_t serial)
{
        uint32_t *local = claim_local(agent->hive, block);
        for (;;) {
                uint32_t count = skep_load32(local);
                if (count == LOCAL_BUSY) {
                        os_yield();
                } else if (count == LOCAL_BUSY - 1) {
                        return -EOVERFLOW;
                } else if (count) {
                        if (skep_cas32(local, &count, count + 1))
                                return 0;
                } else if (skep_cas32(local, &count, LOCAL_BUSY)) {
                        break;
                }
        }
        member_bit_set(agent, block);
        bool there = claim_find(agent->hive, hive_offset(agent->hive, block), serial) == block;
        if (!there)
                member_bit_clear(block, agent->member);
        skep_store32(local, there);
        return there ? 0 : -ESTALE;
}

static bool only_mine(const struct skep_agent *agent, const struct shm_block *block)
{
        for (uint32_t i = 0; i < MEMBER_WORDS; i++)
                if (skep_load(&block->members[i]) != (i == agent->member / 64 ? UINT64_C(1) << agent->member % 64 : 0))
                        return false;
        return true;
}

/* Change the word without changing the count: (L1) for members' claims. */
void claims_bump(struct skep_agent *agent, struct shm_block *block)
{
        uint64_t claims = skep_load(&block->claims);
        while (!claims_swap(agent, block, &claims, claims_of(claims_count(claims), agent->index, next_sequence(agent)))) {
        }
}

static void member_drop(struct skep_agent *agent, struct shm_block *block, uint32_t *local)
{
        uint64_t claims = skep_load(&block->claims);
        if (!claims_count(claims) && only_mine(agent, block) &&
            claims_swap(agent, block, &claims, claims_of(CLAIMS_RETIRED, agent->index, next_sequence(agent)))) {
                skep_store_relaxed(&block->members[agent->member / 64], 0);
                skep_store32(local, 0);
                claim_destroy(agent, block);
                return;
        }
        intent_set(agent, INTENT_CHECK, block, NULL, 0);
        claims_bump(agent, block);
        member_bit_clear(block, agent->member);
        skep_store32(local, 0);
        claim_free_if_last(agent, block);
        intent_clear(agent);
}

int claim_unref(struct skep_agent *agent, struct shm_block *block)
{
        uint32_t *local = claim_local(agent->hive, block);
        for (;;) {
                uint32_t count = skep_load32(local);
                if (!count)
                        return -EINVAL;
                if (count == LOCAL_BUSY)
                        os_yield();
                else if (skep_cas32(local, &count, count == 1 ? LOCAL_BUSY : count - 1)) {
                        if (count == 1)
                                member_drop(agent, block, local);
                        return 0;
                }
        }
}

bool claim_is_mine(const skep_hive *hive, const struct shm_block *block)
{
        return skep_load32(claim_local(hive, block)) != 0;
}

/* --- public ------------------------------------------------------------------------------------------------------------------------ */

int skep_block_alloc(skep_hive *hive, uint64_t bytes, uint32_t flags, skep_block *ret_block)
{
        if (!bytes || flags & ~SKEP_BLOCK_ZERO)
                return -EINVAL;
        struct skep_agent *agent;
        struct shm_block *block;
        int result = agent_self(hive, &agent);
        if (result == 0)
                result = claim_alloc(agent, bytes, BLOCK_BYTES, &block);
        if (result < 0)
                return result;
        *ret_block = claim_reference(hive, block);
        if (flags & SKEP_BLOCK_ZERO)
                memset(skep_block_address(hive, *ret_block, NULL), 0, bytes);
        return 0;
}

int skep_block_ref(skep_hive *hive, skep_block reference)
{
        struct skep_agent *agent;
        int result = agent_self(hive, &agent);
        if (result < 0)
                return result;
        struct shm_block *block = claim_find(hive, reference.offset, reference.serial);
        if (!block || !reference.serial || reference.serial > UINT32_MAX)
                return -ESTALE;
        return claim_ref(agent, block, (uint32_t)reference.serial);
}

int skep_block_unref(skep_hive *hive, skep_block reference)
{
        struct skep_agent *agent;
        int result = agent_self(hive, &agent);
        if (result < 0)
                return result;
        struct shm_block *block = claim_find(hive, reference.offset, reference.serial);
        return block ? claim_unref(agent, block) : -EINVAL;
}

void *skep_block_address(skep_hive *hive, skep_block reference, uint64_t *ret_bytes)
{
        uint64_t bytes;
        struct shm_block *block = claim_find(hive, reference.offset, reference.serial);
        if (!block || !claim_is_mine(hive, block))
                return NULL;
        return heap_data(hive, block, ret_bytes ? ret_bytes : &bytes);
}
