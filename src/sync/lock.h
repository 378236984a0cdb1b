/* SPDX-License-Identifier: Apache-2.0 */
/* lock.h - the robust lock on a word in a hive; the public object is claim/object_lock.c. */
#ifndef SYNC_LOCK_H
#define SYNC_LOCK_H

#include "member/member.h"

#include <skep/deadline.h>

/* @return 0, SKEP_OWNER_DIED, -ETIMEDOUT */
int lock_acquire(struct skep_agent *agent, uint32_t *word, skep_deadline deadline);

/*
 * Take and free a lock of the hive's own, one of those at the head of struct shm_heap; no thread holds the one that it asks for.
 * A word that names the calling thread, in its own name or the dead one's it works for, or an agent that provably does not
 * hold it (lock.c, INNER), is damage.
 * @return 0, SKEP_OWNER_DIED, -EBADMSG
 */
int lock_acquire_inner(struct skep_agent *agent, uint32_t *word);
void lock_release_inner(struct skep_agent *agent, uint32_t *word);

/* @return 0, -EPERM it is free */
int lock_release(struct skep_agent *agent, uint32_t *word);

/* Agent id of the holder, 0 if free. */
uint32_t lock_owner(const uint32_t *word);

#endif
