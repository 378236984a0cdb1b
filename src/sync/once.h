/* SPDX-License-Identifier: Apache-2.0 */
/* once.h - what only one of all processes does; the public object is object/once.c. */
#ifndef SYNC_ONCE_H
#define SYNC_ONCE_H

#include "sync/lock.h"

struct shm_once {
        uint32_t done;
        uint32_t reserved;
        struct shm_lock lock; /* held while it is being done */
};

/*
 * Not done yet: the caller holds the lock, does it, and calls once_end().
 * @return 0 do it; SKEP_OWNER_DIED do it, somebody died over it; -EALREADY it is done; as lock_acquire()
 */
int once_begin(struct skep_agent *agent, struct shm_once *once, skep_deadline deadline);
void once_end(struct skep_agent *agent, struct shm_once *once, bool done);

#endif
