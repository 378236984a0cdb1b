/* SPDX-License-Identifier: Apache-2.0 */
/* item.h - an item as a container's cell holds it, and its way in and out. */
#ifndef ITEM_ITEM_H
#define ITEM_ITEM_H

#include "claim/claim.h"

#include <skep/item.h>

/*
 * head: {bytes 32 << 32, BLOCK, kind 8}.  Without BLOCK the item's bytes are data[].  With it
 *   data[0]  names a block: a claim of the container, by claim_link() and claim_unlink().  0: there is none, the item is clean
 *   data[1]  its serial
 *   data[2]  bytes of it that count
 * The block is BYTES; of an ARRAY, and of a pickle that mentions objects, a bundle; of an OBJECT, the object's.
 */
struct shm_item {
        uint64_t head;
        uint64_t data[3];
};
_Static_assert(sizeof(struct shm_item) == 32, "format");

#define ITEM_BLOCK UINT64_C(0x100)
#define ITEM_BYTES_MAX (UINT64_C(1) << 40)

static inline uint32_t item_kind(const struct shm_item *item)
{
        return (uint8_t)item->head;
}

/* An item on its way into a cell. */
struct item_draft {
        struct shm_item item;    /* with data[0] == 0 if there is a block */
        struct shm_block *block; /* NULL: the item is all */
        bool held;               /* the block is HELD by the agent; else it is LIVE and a claim of this process */
        bool claimed;            /* that claim was made for the draft */
};

/* @return 0; -EINVAL; -ENOSPC; -EOVERFLOW; -ESTALE what it refers to is gone, or not held here */
int item_prepare(struct skep_agent *agent, const struct skep_item *given, struct item_draft *ret_draft);
void item_discard(struct skep_agent *agent, struct item_draft *draft);

/* Put the draft into a clean place that only recovery can see, and end it. @return 0; -EOVERFLOW, the draft goes on */
int item_link(struct skep_agent *agent, struct shm_item *place, struct item_draft *draft);

/* Drop what it claims, if anything; the place is clean then.  Idempotent. */
void item_unlink(struct skep_agent *agent, struct shm_item *place);

static inline bool item_is_clean(const struct shm_item *place)
{
        return !(place->head & ITEM_BLOCK) || !place->data[0];
}

/* A private copy of an item whose container is held meanwhile. @return 0; -EBADMSG; -ENOMEM; -ESTALE a block that is not there */
int item_take(struct skep_agent *agent, const struct shm_item *copy, struct skep_item *ret_item);

/* 1 if it cannot be. */
uint64_t item_verify(skep_hive *hive, const struct shm_item *item);

/* --- keys ------------------------------------------------------------------------------------------------------------------- */

#define ITEM_KEY_MAX 16384u /* bytes: never in pages that are given back to the system while someone compares */

/* @return 0; -EINVAL a kind that cannot be a key; -EMSGSIZE */
int item_key_check(const struct skep_item *key);

/* XXH3 with the hive's seed; equal keys have equal hashes. */
uint64_t item_hash(const skep_hive *hive, const struct skep_item *key);

/* Is it that key?  What lies there may change meanwhile; then the answer is to be doubted, and nothing else. */
bool item_matches(const skep_hive *hive, const struct shm_item *stored, const struct skep_item *key);

#endif
