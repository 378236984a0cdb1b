/* SPDX-License-Identifier: Apache-2.0 */
/*
 * once.c - done or not, and a lock over the doing.
 *
 *   state    words                          left by                        to
 *   TO DO    done 0, lock free              first comer, takes the lock    DOING
 *   DOING    done 0, lock held              its holder, `done` then lock   DONE; or, without `done`, TO DO
 *                                           after proof of his death       DOING, by another
 *   DONE     done 1                         nobody
 *
 * ORDER.  `done` is stored with release; who sees it sees what was done.
 */
#include "sync/once.h"

#include "base/probe.h"

#include <errno.h>

int once_begin(struct skep_agent *agent, struct shm_once *once, skep_deadline deadline)
{
        if (skep_load32(&once->done))
                return -EALREADY;
        if (lock_owner(&once->lock.word) == agent->id)
                return -EDEADLK;
        int result = user_lock_acquire(agent, &once->lock, deadline);
        if (result >= 0 && skep_load32(&once->done)) {
                (void)lock_release(agent, &once->lock.word);
                return -EALREADY;
        }
        return result;
}

void once_end(struct skep_agent *agent, struct shm_once *once, bool done)
{
        if (done) {
                skep_store32(&once->done, 1);
                PROBE("once.done");
        }
        (void)lock_release(agent, &once->lock.word);
}
