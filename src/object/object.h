/* SPDX-License-Identifier: Apache-2.0 */
/* object.h - what the files of object/ share. */
#ifndef OBJECT_OBJECT_H
#define OBJECT_OBJECT_H

#include "claim/object.h"
#include "sync/lock.h"

#include <skep/inspect.h>

struct skep_lock {
        struct object base;
};

struct skep_rlock {
        struct object base;
};

/* The words behind a handle. */
#define SHARED(noun, handle) ((struct shm_##noun *)(handle)->base.shared)

/* Process id of the agent, 0 if it has gone. */
int64_t owner_pid(const skep_hive *hive, uint32_t agent);

/* What a reader shows of a lock. */
void inspect_lock(skep_hive *hive, const struct shm_lock *lock, struct skep_object_info *info);

#endif
