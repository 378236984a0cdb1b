/* SPDX-License-Identifier: Apache-2.0 */
/* barrier.h - a point that all parties must reach before any goes on; the public object is object/barrier.c. */
#ifndef SYNC_BARRIER_H
#define SYNC_BARRIER_H

#include "sync/lock.h"

struct shm_barrier {
        uint32_t lock;    /* over the rest; held while the action runs */
        uint32_t turn;    /* number of the gathering; what waiters sleep on */
        uint32_t parties; /* constant */
        uint32_t waiting; /* parties of this turn that have come */
        uint32_t broken;  /* 1 until reset */
        uint32_t awaited; /* hint: somebody sleeps */
        uint32_t lost;    /* 1: a party died, and the barrier is to be broken */
        uint32_t failed_last; /* the last turn that ended broken, + 1 */
        uint64_t failed;  /* one bit for each of the last 63 turns: it ended broken */
        uint64_t members[MEMBER_WORDS]; /* who has taken part since the last reset */
};

typedef int barrier_action(void *context);

/*
 * All: -EDEADLK called from inside the action.
 * @param action  run by the last to come, before the others go on; NULL: none
 * @return 0; -EPIPE broken, by whomever; -ETIMEDOUT and now it is broken; what the action said, likewise; the interrupt function's, likewise
 */
int barrier_wait(struct skep_agent *agent, struct shm_barrier *barrier, barrier_action *action, void *context, skep_deadline deadline,
                 uint32_t *ret_index);
int barrier_abort(struct skep_agent *agent, struct shm_barrier *barrier);
int barrier_reset(struct skep_agent *agent, struct shm_barrier *barrier);

/* A member is reaped: if it was a party, and did not leave in order, the barrier will be broken. */
void barrier_lose(struct reap *reap, struct shm_barrier *barrier);

#endif
