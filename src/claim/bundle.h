/* SPDX-License-Identifier: Apache-2.0 */
/* bundle.h - bytes that mention other blocks, and claim each of them while they live: a message with references, a value of a container. */
#ifndef CLAIM_BUNDLE_H
#define CLAIM_BUNDLE_H

#include "claim/claim.h"

/*
 * Room for @p bytes, claimed once by this process, with a claim of its own on each of @p references.
 * @return 0; -ESTALE one of them is gone, or not held by this process; -ENOSPC; -EOVERFLOW
 */
int bundle_create(struct skep_agent *agent, const skep_block *references, size_t count, uint64_t bytes, struct shm_block **ret_block);

/* The bytes of a block, of any kind: behind the references of a bundle. @return NULL damaged */
void *bundle_data(const skep_hive *hive, const struct shm_block *block, uint64_t *ret_bytes);

/* The i-th block that a bundle claims. @return NULL there is none, or damaged */
struct shm_block *bundle_reference(const skep_hive *hive, const struct shm_block *block, uint64_t i);

#endif
