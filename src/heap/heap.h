/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.h - memory of a hive: find a free block, give one back.  Knows nothing of who shares it; that is claim/.
 *
 * A block is named by the offset of its record (struct shm_block), which is checked against the tables on every use.
 */
#ifndef HEAP_HEAP_H
#define HEAP_HEAP_H

#include "member/member.h"

enum block_state { BLOCK_NONE = 0, BLOCK_FREE = 1, BLOCK_HELD = 2, BLOCK_LIVE = 3, BLOCK_SLAB = 4 };

/* word: {agent 28 << 36, pages 24 << 8, WARM, state 4} */
#define BLOCK_WARM UINT64_C(0x10)

static inline enum block_state word_state(uint64_t word)
{
        return (enum block_state)(word & 15);
}

static inline uint64_t word_pages(uint64_t word)
{
        return word >> 8 & 0xffffff;
}

static inline uint32_t word_agent(uint64_t word)
{
        return (uint32_t)(word >> 36);
}

static inline uint64_t word_of(enum block_state state, uint64_t pages, uint64_t warm, uint32_t agent)
{
        return (uint64_t)agent << 36 | pages << 8 | warm | (uint64_t)state;
}

/*
 * Take a block of at least @p bytes.  It is HELD by the agent, warm, claims and members are the last owner's.
 * @return 0, -ENOSPC, -EOVERFLOW
 */
int heap_take(struct skep_agent *agent, uint64_t bytes, struct shm_block **ret_block);

/* Give a HELD block back. */
void heap_give(struct skep_agent *agent, struct shm_block *block);

/* The record behind an offset, or NULL if there can be none; its state may be any. */
struct shm_block *heap_record(const skep_hive *hive, uint64_t offset);

/* Usable bytes, and the address, of a block whose record was found by heap_record(); NULL if the record is damaged. */
void *heap_data(const skep_hive *hive, const struct shm_block *block, uint64_t *ret_bytes);

/*
 * Call visit for each record, in order of the runs.  @p actor holds the lock over run lengths meanwhile; visit may take and
 * give blocks of up to 32 KiB, and give runs.  NULL: without the lock, for looking only.
 * @return 0; visit's first result not 0; -EBADMSG runs do not lie end to end
 */
typedef int heap_visit(skep_hive *hive, struct shm_block *block, void *context);
int heap_walk(skep_hive *hive, struct skep_agent *actor, heap_visit *visit, void *context);

#endif
