/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim.h - who holds which block.
 *
 * A block is claimed by members (one bit each) and by objects (a count: queue slots, names, a queue's rings).  How often
 * a process holds a block is its private business: hive->local.  The last claim frees.
 */
#ifndef CLAIM_CLAIM_H
#define CLAIM_CLAIM_H

#include "heap/heap.h"

#include <skep/block.h>

/* --- intents: what an agent is about to do with one claim of an object -------------------------------------------------- */

/*
 *   op      step on the block's claims            done, and not to be undone, when
 *   HOLD    + 1, step `sequence`                  the slot is no longer WRITING(agent), or the word names the block
 *   LINK    made LIVE with one claim              the same
 *   DROP    - 1, step `sequence`                  begins when the slot is no longer READING(agent), or the word does not name the block
 *   UNDO    - 1, step `sequence` + 1              a HOLD that a reaper takes back
 *   CHECK   free it if nobody claims it           a member's bit was cleared
 * `slot` is the offset of the slot's word, with `turn`; or of a plain word that names the block, with turn INTENT_WORD.
 */
enum intent_op { INTENT_NONE = 0, INTENT_HOLD, INTENT_LINK, INTENT_DROP, INTENT_UNDO, INTENT_CHECK };
#define INTENT_WORD UINT64_MAX

void intent_set(struct skep_agent *agent, enum intent_op op, const struct shm_block *block, const uint64_t *slot, uint64_t turn);
void intent_clear(struct skep_agent *agent);

/* --- claims of objects --------------------------------------------------------------------------------------------------- */

/* Inside an intent HOLD: one more claim. @return 0, -EOVERFLOW */
int claim_hold(struct skep_agent *agent, struct shm_block *block);

/* Inside an intent LINK: make a HELD block LIVE with one claim of an object; and back. */
void claim_publish(struct skep_agent *agent, struct shm_block *block, enum block_kind kind);
void claim_unpublish(struct skep_agent *agent, struct shm_block *block);

/* Inside an intent DROP, after its slot was left: one claim fewer; clears the intent and frees with the last. */
void claim_drop(struct skep_agent *agent, struct shm_block *block);

/* --- claims of members ---------------------------------------------------------------------------------------------------- */

/* A new block that this process claims once. */
int claim_alloc(struct skep_agent *agent, uint64_t bytes, enum block_kind kind, struct shm_block **ret_block);
/* The same for a HELD block whose contents had to be written first. */
void claim_adopt(struct skep_agent *agent, struct shm_block *block, enum block_kind kind);
int claim_ref(struct skep_agent *agent, struct shm_block *block, uint32_t serial);
int claim_unref(struct skep_agent *agent, struct shm_block *block);
bool claim_is_mine(const skep_hive *hive, const struct shm_block *block);

/* The record of a reference, if it is LIVE and of that serial (0: any). */
struct shm_block *claim_find(const skep_hive *hive, uint64_t offset, uint64_t serial);

static inline skep_block claim_reference(const skep_hive *hive, const struct shm_block *block)
{
        return (skep_block){hive_offset(hive, block), skep_load32_relaxed(&block->serial)};
}

static inline enum block_kind claim_kind(const struct shm_block *block)
{
        return (enum block_kind)skep_load8_relaxed(&block->kind);
}

/* --- kinds ------------------------------------------------------------------------------------------------------------------ */

struct skep_object_info;
struct object;

/* What the rooms above say about the blocks that are theirs.  NULL: nothing to do, nothing to tell. */
struct kind {
        const char *name;
        uint64_t shared_bytes; /* least payload */
        size_t handle_bytes;   /* of an object's private handle; see object.h */
        int (*complete)(struct object *handle); /* a new, zeroed handle gets what is private to it; what it has got when it fails, end() ends */
        void (*end)(struct object *handle);     /* before the handle goes; also one that is not complete */
        void (*destroy)(struct skep_agent *agent, struct shm_block *block); /* its last claim has gone: drop what it holds; resumable */
        void (*recover)(struct reap *reap, struct shm_block *block);        /* one who claimed it died; idempotent */
        uint64_t (*verify)(skep_hive *hive, struct shm_block *block);       /* @return problems */
        void (*inspect)(skep_hive *hive, struct shm_block *block, struct skep_object_info *info);
};
void kind_register(enum block_kind kind, const struct kind *what);
const struct kind *kind_of(const struct shm_block *block); /* never NULL */

/* --- an object's word that names another object: a claim of the first on the second ------------------------------------------- */

/* Inside no other intent: *word must be 0 and becomes the block's offset, with one claim of an object. @return 0, -EOVERFLOW */
int claim_link(struct skep_agent *agent, uint64_t *word, struct shm_block *block);
/* The same for a HELD block of this agent, which becomes LIVE with that claim. */
void claim_link_new(struct skep_agent *agent, uint64_t *word, struct shm_block *block, enum block_kind kind);
/* *word becomes 0; what it named loses the claim. */
void claim_unlink(struct skep_agent *agent, uint64_t *word);

/* Is the step of that number on the block done? */
bool claim_step_done(const skep_hive *hive, uint32_t agent_index, const struct shm_block *block, uint32_t sequence);
/* Do it if it is not. @return 0, -EOVERFLOW */
int claim_step(struct skep_agent *agent, struct shm_block *block, int delta, uint32_t sequence);
/* Change the word without changing the count: (L1) for members' claims. */
void claims_bump(struct skep_agent *agent, struct shm_block *block);
/* How often this process holds the block: a private counter for each place where a record may lie. */
static inline uint32_t *claim_local(const skep_hive *hive, const struct shm_block *block)
{
        return &hive->local[hive_offset(hive, block) / sizeof *block];
}
void claim_free_if_last(struct skep_agent *agent, struct shm_block *block);
void claim_destroy(struct skep_agent *agent, struct shm_block *block);

#define CLAIMS_RETIRED UINT64_C(0xfffff)

static inline uint64_t claims_count(uint64_t claims)
{
        return claims & 0xfffff;
}

static inline uint32_t claims_agent(uint64_t claims)
{
        return (uint32_t)(claims >> 20) & AGENT_INDEX_MASK;
}

static inline uint64_t claims_of(uint64_t count, uint32_t agent_index, uint32_t sequence)
{
        return (uint64_t)sequence << 32 | (uint64_t)agent_index << 20 | count;
}

/* --- names ---------------------------------------------------------------------------------------------------------------- */

/* Enter a name that claims the block. @return 0, -EEXIST, -EUSERS directory full, -EINVAL, -ENAMETOOLONG */
int name_enter(struct skep_agent *agent, const char *name, struct shm_block *block);
/* Find an object by name and claim it for this process. @return 0, -ENOENT, -EPROTOTYPE, ... */
int name_find(struct skep_agent *agent, const char *name, enum block_kind kind, struct shm_block **ret_block);

#endif
