/* SPDX-License-Identifier: Apache-2.0 */
/**
 * block.h - pieces of hive memory, claimed by members and objects, freed with the last claim.
 *
 * A block is named by a reference that means the same in every member.  The reference does not keep the block alive;
 * a claim does.
 */
#ifndef SKEP_BLOCK_H
#define SKEP_BLOCK_H

#include <skep/hive.h>

SKEP_BEGIN

/** Names a block in any member of its hive.  {0,0} is no block.  Pass it by value; may be sent as bytes. */
typedef struct skep_block {
        uint64_t offset; /* of the block's record in the hive */
        uint64_t serial; /* which allocation of that record: a stale reference is refused */
} skep_block;

/** Fill the block with zeros. */
#define SKEP_BLOCK_ZERO 1u

/**
 * Allocate @p bytes for this process; contents undefined unless SKEP_BLOCK_ZERO.
 * Aligned to 64 bytes; from 64 KiB on to 64 KiB.
 * @param ret_block  gives one claim; end it with skep_block_unref()
 * @return 0; -ENOSPC; -EINVAL zero bytes or unknown flags; -EOVERFLOW; -EUSERS
 * Crash: the block is either not allocated or claimed by the dead member, whose claims the reaper drops.
 * Cost: about 20 ns from the thread's cache; a walk when it is empty; page faults when the memory is fresh.
 */
SKEP_API SKEP_NODISCARD int skep_block_alloc(skep_hive *hive, uint64_t bytes, uint32_t flags, skep_block *ret_block);

/**
 * Claim a block once more, or for the first time in this process if the reference came as bytes.  Somebody must hold a
 * claim meanwhile.
 * @return 0; -ESTALE the block is gone or the reference was never one (checked against the hive's tables)
 */
SKEP_API SKEP_NODISCARD int skep_block_ref(skep_hive *hive, skep_block block);

/** Drop one claim of this process. @return 0; -EINVAL this process holds none (a double release) */
SKEP_API int skep_block_unref(skep_hive *hive, skep_block block);

/**
 * Address of a block in this process.
 * @param ret_bytes  borrowed, may be NULL; usable size in bytes, at least what was asked for
 * @return valid while this process holds a claim; NULL if it holds none
 */
SKEP_API void *skep_block_address(skep_hive *hive, skep_block block, uint64_t *ret_bytes);

SKEP_END
#endif
