/* SPDX-License-Identifier: Apache-2.0 */
/* lock.h - the robust lock on a word in a hive, and with a depth; the public objects are object/lock.c and rlock.c. */
#ifndef SYNC_LOCK_H
#define SYNC_LOCK_H

#include "member/member.h"

#include <skep/deadline.h>

/* @return 0, SKEP_OWNER_DIED, -ETIMEDOUT, what the thread's interrupt function said */
int lock_acquire(struct skep_agent *agent, uint32_t *word, skep_deadline deadline);

/* Wait as long as it takes, interrupt function or not: for who is in the middle of something. @return 0, SKEP_OWNER_DIED */
int lock_acquire_surely(struct skep_agent *agent, uint32_t *word);

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

/* A lock as users have it. */
struct shm_lock {
        uint32_t word;
        uint32_t depth; /* of an rlock: how often its owner has acquired it; written by the owner only.  Of a lock: 0 */
        uint32_t died;  /* 1: an owner died holding it, and nobody has cleared that */
        uint32_t reserved;
};

/* @return as lock_acquire() */
int user_lock_acquire(struct skep_agent *agent, struct shm_lock *lock, skep_deadline deadline);
/* The same for its owner again and again. @return also -EOVERFLOW */
int rlock_acquire(struct skep_agent *agent, struct shm_lock *lock, skep_deadline deadline);
/* @return 0, -EPERM not the owner */
int rlock_release(struct skep_agent *agent, struct shm_lock *lock);

/* All of it, and back, for a condition's waiter; @p have is not 0 if he has taken it already, with that news. @return the depth; the news */
uint32_t rlock_release_all(struct skep_agent *agent, struct shm_lock *lock);
int rlock_acquire_again(struct skep_agent *agent, struct shm_lock *lock, uint32_t depth, int have);

#endif
