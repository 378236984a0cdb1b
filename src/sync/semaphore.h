/* SPDX-License-Identifier: Apache-2.0 */
/* semaphore.h - a counter that makes takers wait, and one that knows who holds what; the public object is object/semaphore.c. */
#ifndef SYNC_SEMAPHORE_H
#define SYNC_SEMAPHORE_H

#include "member/member.h"

#include <skep/deadline.h>

struct shm_semaphore {
        uint32_t word;   /* plain: {count 31, WAITERS}; tracking: an event count */
        uint32_t max;    /* constant; the count never goes above */
        uint32_t slots;  /* constant; 0: plain.  Else the count is that of the free ones in slot[] */
        uint32_t cursor; /* hint: where a free slot may be */
        uint32_t slot[]; /* agent that holds it, 0 free */
};

/* @return 0; SKEP_OWNER_DIED (tracking) what a gone holder had; -ETIMEDOUT; what the thread's interrupt function said */
int semaphore_acquire(struct skep_agent *agent, struct shm_semaphore *semaphore, skep_deadline deadline);
/* @return 0; -EOVERFLOW it would go above max; -EPERM (tracking) this thread's process holds none */
int semaphore_release(struct skep_agent *agent, struct shm_semaphore *semaphore, uint32_t count);
uint32_t semaphore_count(const struct shm_semaphore *semaphore);

#endif
