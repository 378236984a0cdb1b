/* SPDX-License-Identifier: Apache-2.0 */
/* condition.h - wait, under a lock, until somebody says that something has changed; the public object is object/condition.c. */
#ifndef SYNC_CONDITION_H
#define SYNC_CONDITION_H

#include "sync/lock.h"

struct shm_condition {
        uint64_t lock;    /* block of the lock or rlock that it is bound to: a claim of the condition's */
        uint64_t tickets; /* of those who came to wait; changed under the lock */
        uint32_t waiters; /* hint: somebody may be waiting; changed under the lock */
        uint32_t reserved;
};

/*
 * The caller holds @p lock; so it does again when this returns, whatever it returns.
 * @return 0 notified; SKEP_OWNER_DIED the lock's last owner died holding it, maybe before it notified; -ETIMEDOUT;
 *         what the thread's interrupt function said
 */
int condition_wait(struct skep_agent *agent, struct shm_condition *condition, struct shm_lock *lock, skep_deadline deadline);

/* The caller holds the lock. Wake the @p count that have waited longest. @return how many */
uint32_t condition_notify(struct skep_agent *agent, struct shm_condition *condition, uint32_t count);

#endif
