/* SPDX-License-Identifier: Apache-2.0 */
/* rwlock.h - many readers or one writer; the public object is object/rwlock.c. */
#ifndef SYNC_RWLOCK_H
#define SYNC_RWLOCK_H

#include "sync/lock.h"

struct shm_rwlock {
        struct shm_lock writer; /* who holds it writes, or waits for the readers to leave */
        uint32_t leaving;       /* event count: a reader left while somebody wants to write */
        uint32_t reader_max;    /* constant: agent_max + 1 */
        uint32_t reserved[2];
        uint32_t reader[]; /* by agent index: the agent that reads, 0 nobody */
};

/* @return 0; SKEP_OWNER_DIED a writer died in it; -EDEADLK this thread reads already; -ETIMEDOUT; the interrupt function's */
int rwlock_read(struct skep_agent *agent, struct shm_rwlock *lock, skep_deadline deadline);
/* @return 0; SKEP_OWNER_DIED; -EDEADLK this thread reads or writes; -ETIMEDOUT; the interrupt function's */
int rwlock_write(struct skep_agent *agent, struct shm_rwlock *lock, skep_deadline deadline);
/* Of whatever this thread holds. @return 0; -EPERM nothing */
int rwlock_release(struct skep_agent *agent, struct shm_rwlock *lock);

#endif
