/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.c - intents and claims of the dead; claims across fork; verify and figures of the blocks.
 *
 * Intents are finished or undone in the dead agent's own name and numbers, so that a reaper's death leaves what the next
 * one finds the same way.  Everything else is idempotent.
 */
#include "base/probe.h"
#include "claim/claim.h"
#include "os/os.h"
#include "ring/ring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* --- intents ------------------------------------------------------------------------------------------------------------------ */

/* Has the dead left its slot, that is: did others get to see what the intent was for? */
static bool intent_committed(struct skep_agent *dead, const struct shm_intent *intent, enum slot_phase phase)
{
        const uint64_t *word = hive_at(dead->hive, intent->slot, sizeof *word);
        if (!word)
                return true;
        uint64_t seen = skep_load(word);
        if (intent->turn == INTENT_WORD)
                return (seen == intent->block) == (phase == SLOT_WRITING);
        return slot_turn(seen) != (uint32_t)intent->turn || slot_phase(seen) != phase || slot_agent(seen) != dead->id;
}

static void intent_finish(struct skep_agent *dead)
{
        struct shm_intent *intent = &dead->shared->intent;
        struct shm_block *block = heap_record(dead->hive, intent->block);
        uint64_t op = skep_load(&intent->op);
        if (!block)
                op = INTENT_NONE;
        if (op == INTENT_HOLD && !intent_committed(dead, intent, SLOT_WRITING) &&
            claim_step_done(dead->hive, dead->index, block, intent->sequence)) {
                op = INTENT_UNDO;
                skep_store(&intent->op, op);
                PROBE("recover.undo");
        }
        bool drop = op == INTENT_DROP && intent_committed(dead, intent, SLOT_READING);
        if (op == INTENT_LINK && !intent_committed(dead, intent, SLOT_WRITING) && word_state(skep_load(&block->word)) == BLOCK_LIVE)
                claim_unpublish(dead, block); /* HELD(dead): the walk over the blocks frees it */
        if (drop || op == INTENT_UNDO)
                (void)claim_step(dead, block, -1, intent->sequence + (op == INTENT_UNDO));
        if (drop || op == INTENT_UNDO || op == INTENT_CHECK)
                claim_free_if_last(dead, block);
        intent_clear(dead);
}

static int reap_intents(struct reap *reap)
{
        skep_hive *hive = reap->hive;
        uint32_t *names_lock = &hive->heap->names_lock, seen = skep_load32(names_lock);
        if (reap_concerns(reap, seen & AGENT_ID_MASK) && skep_cas32(names_lock, &seen, 0)) /* or somebody has just taken it over */
                PROBE("recover.names_lock"); /* waiters look again within a slice */
        for (uint32_t index = 1; index <= hive->agent_max; index++) {
                if ((skep_load(&hive->agents[index].word) & 0xffff) != reap->member + 1)
                        continue;
                struct skep_agent dead;
                agent_impersonate(hive, index, &dead);
                if (skep_load(&dead.shared->intent.op) != INTENT_NONE)
                        intent_finish(&dead);
        }
        return 0;
}

/* --- objects: after the intents, so that who claims what is settled ------------------------------------------------------------- */

static bool retired_by_dead(const struct reap *reap, uint64_t claims)
{
        uint32_t index = claims_agent(claims);
        return claims_count(claims) == CLAIMS_RETIRED && index && index <= reap->hive->agent_max &&
               (skep_load(&reap->hive->agents[index].word) & 0xffff) == reap->member + 1;
}

static bool claim_concerns(const struct reap *reap, const struct shm_block *block)
{
        return word_state(skep_load(&block->word)) == BLOCK_LIVE &&
               (retired_by_dead(reap, skep_load(&block->claims)) || skep_load(&block->members[reap->member / 64]) >> reap->member % 64 & 1);
}

/*
 * Who worked on an object had claimed it, so only those that the dead claims are looked at: its claim keeps them from being
 * freed under our hands, for what is written here must not go into the next owner's bytes.
 */
static int reap_object(skep_hive *hive, struct shm_block *block, void *context)
{
        (void)hive;
        if (claim_concerns(context, block) && kind_of(block)->recover)
                kind_of(block)->recover(context, block);
        return 0;
}

static int reap_objects(struct reap *reap)
{
        return heap_walk(reap->hive, reap->actor, reap_object, reap);
}

/* --- blocks -------------------------------------------------------------------------------------------------------------------- */

static int reap_block(skep_hive *hive, struct shm_block *block, void *context)
{
        (void)hive;
        struct reap *reap = context;
        uint64_t word = skep_load(&block->word), bit = UINT64_C(1) << reap->member % 64;
        uint64_t *bits = &block->members[reap->member / 64];
        if (word_state(word) == BLOCK_HELD && reap_concerns(reap, word_agent(word))) {
                heap_give(reap->actor, block);
                reap->report->blocks++;
        } else if (word_state(word) == BLOCK_LIVE) {
                uint64_t claims = skep_load(&block->claims);
                if (retired_by_dead(reap, claims)) {
                        claim_destroy(reap->actor, block);
                        reap->report->blocks++;
                } else if (claims_count(claims) != CLAIMS_RETIRED && skep_load(bits) & bit) {
                        intent_set(reap->actor, INTENT_CHECK, block, NULL, 0);
                        claims_bump(reap->actor, block);
                        (void)skep_fetch_and(bits, ~bit);
                        PROBE("recover.bit");
                        claim_free_if_last(reap->actor, block);
                        intent_clear(reap->actor);
                        reap->report->blocks++;
                }
        }
        return 0;
}

static int reap_blocks(struct reap *reap)
{
        return heap_walk(reap->hive, reap->actor, reap_block, reap);
}

/* --- fork ------------------------------------------------------------------------------------------------------------------------ */

struct fork_walk {
        uint32_t parent, child;
};

/* The child claims what the parent claims. */
static int fork_claim(skep_hive *hive, struct shm_block *block, void *context)
{
        const struct fork_walk *walk = context;
        (void)hive;
        if (word_state(skep_load(&block->word)) == BLOCK_LIVE && skep_load(&block->members[walk->parent / 64]) >> walk->parent % 64 & 1)
                (void)skep_fetch_or(&block->members[walk->child / 64], UINT64_C(1) << walk->child % 64);
        return 0;
}

static int fork_prepare_claims(struct skep_agent *agent, uint32_t child)
{
        struct fork_walk walk = {agent->member, child};
        return heap_walk(agent->hive, agent, fork_claim, &walk);
}

/* In the child, if other threads of the parent may have been in the middle of taking or giving: local says what we hold. */
static int fork_settle(skep_hive *hive, struct shm_block *block, void *context)
{
        struct skep_agent *agent = context;
        uint64_t bit = UINT64_C(1) << hive->member % 64, *bits = &block->members[hive->member / 64];
        if (!(skep_load(bits) & bit))
                return 0;
        uint32_t *local = claim_local(hive, block);
        uint32_t count = skep_load32(local);
        if (count && count != UINT32_MAX)
                return 0;
        skep_store32(local, 0);
        (void)skep_fetch_and(bits, ~bit);
        claim_free_if_last(agent, block);
        return 0;
}

static void fork_child_claims(skep_hive *hive)
{
        struct skep_agent *agent;
        if (agent_self(hive, &agent) == 0)
                (void)heap_walk(hive, agent, fork_settle, agent);
}

static int attach_local(skep_hive *hive)
{
        void *local;
        uint64_t bytes = hive->capacity_bytes / sizeof(struct shm_block) * sizeof *hive->local;
        int result = os_map_private(bytes, &local);
        if (result == 0) {
                hive->local = local;
                hive->local_bytes = bytes;
        }
        return result;
}

/* --- looking ----------------------------------------------------------------------------------------------------------------------- */

static void problem(struct skep_verify_report *report, const char *text, uint64_t offset)
{
        if (!report->problems++)
                snprintf(report->first, sizeof report->first, "%s at offset %llu", text, (unsigned long long)offset);
}

static int verify_block(skep_hive *hive, struct shm_block *block, void *context)
{
        struct skep_verify_report *report = context;
        uint64_t word = skep_load(&block->word), offset = hive_offset(hive, block);
        report->checked++;
        uint64_t bits = 0;
        for (uint32_t i = 0; i < MEMBER_WORDS; i++)
                bits |= skep_load(&block->members[i]);
        switch (word_state(word)) {
        case BLOCK_FREE:
                break;
        case BLOCK_HELD:
                if (agent_is_gone(hive, word_agent(word)))
                        problem(report, "block held by an agent that is gone", offset);
                break;
        case BLOCK_LIVE:
                if (claims_count(skep_load(&block->claims)) == CLAIMS_RETIRED) {
                        if (!claims_agent(skep_load(&block->claims)))
                                problem(report, "block retired by nobody", offset);
                } else if (!bits && !claims_count(skep_load(&block->claims))) {
                        problem(report, "block that nobody claims", offset);
                }
                for (uint32_t member = 0; member < HIVE_MEMBER_MAX; member++)
                        if (skep_load(&block->members[member / 64]) >> member % 64 & 1 && !member_is_live(hive, member))
                                problem(report, "block claimed by a member that is gone", offset);
                if (kind_of(block)->verify && kind_of(block)->verify(hive, block))
                        problem(report, "damaged object", offset);
                break;
        default:
                problem(report, "block in no known state", offset);
        }
        return 0;
}

int skep_hive_verify(skep_hive *hive, struct skep_verify_report *ret_report)
{
        struct skep_verify_report report = {0};
        if (heap_walk(hive, NULL, verify_block, &report) < 0)
                problem(&report, "runs do not lie end to end", hive->layout.blocks_at);
        if (skep_load(&hive->heap->top) > hive->layout.page_count)
                problem(&report, "top lies outside the hive", hive->layout.heap_at);
        for (uint32_t index = 1; index <= hive->agent_max; index++) {
                uint64_t member = skep_load(&hive->agents[index].word) & 0xffff;
                report.checked++;
                if (member && (member > hive->member_max || !member_is_live(hive, (uint32_t)member - 1)))
                        problem(&report, "agent of a member that is gone", hive->layout.agents_at + index * sizeof(struct shm_agent));
        }
        for (uint32_t i = 0; i < HIVE_NAME_MAX; i++) {
                uint64_t block = skep_load(&hive->names[i].block);
                report.checked++;
                if (block && !claim_find(hive, block, skep_load_relaxed(&hive->names[i].serial)))
                        problem(&report, "name of an object that is gone", hive->layout.names_at + i * sizeof(struct shm_name));
        }
        if (ret_report)
                *ret_report = report;
        return report.problems ? -EBADMSG : 0;
}

static int stat_block(skep_hive *hive, struct shm_block *block, void *context)
{
        struct skep_hive_stat *stat = context;
        uint64_t bytes;
        if (word_state(skep_load(&block->word)) != BLOCK_LIVE || !heap_data(hive, block, &bytes))
                return 0;
        stat->used_bytes += bytes;
        stat->blocks++;
        stat->queues += claim_kind(block) == BLOCK_QUEUE;
        return 0;
}

int skep_hive_stat(skep_hive *hive, struct skep_hive_stat *ret_stat)
{
        struct skep_hive_stat stat = {
                .capacity_bytes = hive->capacity_bytes,
                .committed_bytes = skep_load(&hive->heap->top) * PAGE_BYTES,
                .member_max = hive->member_max,
                .agent_max = hive->agent_max,
        };
        int result = heap_walk(hive, NULL, stat_block, &stat);
        if (result < 0)
                return result;
        for (uint32_t member = 0; member < hive->member_max; member++)
                stat.members += member_is_live(hive, member);
        for (uint32_t index = 1; index <= hive->agent_max; index++)
                stat.agents += (skep_load(&hive->agents[index].word) & 0xffff) != 0;
        for (uint32_t i = 0; i < HIVE_NAME_MAX; i++)
                stat.names += skep_load(&hive->names[i].block) != 0;
        *ret_stat = stat;
        return 0;
}

__attribute__((constructor)) static void claim_register(void)
{
        reap_register(REAP_INTENT, reap_intents);
        reap_register(REAP_OBJECT, reap_objects);
        reap_register(REAP_BLOCK, reap_blocks);
        fork_register(fork_prepare_claims, fork_child_claims);
        attach_register(attach_local);
}
