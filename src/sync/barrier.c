/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barrier.c - cyclic barrier that breaks when a party dies.
 *
 * All figures change under `lock`.  Waiters sleep on `turn`; when it has moved, `failed` says how their turn ended.
 *
 *   state      words                       left by                                                  to
 *   FILLING    waiting < parties           a party comes: waiting + 1                               FILLING
 *                                          the last one comes, runs the action                      FILLING, turn + 1, waiting 0
 *                                          timeout, abort, a failed action, a death                 BROKEN, turn + 1, failed bit
 *                                          reset, while parties wait                                FILLING, turn + 1, failed bit
 *   BROKEN     broken 1                    reset                                                    FILLING
 *
 * DEATH.  Who has waited once is a party until the barrier is reset, or its process ends in order.  When the dead are reaped,
 *         which waiters ask for at the end of each slice, each barrier they were a party of breaks.
 * CRASH.  dies                             found as                              repaired by
 *         under the lock, anywhere         lock of a gone agent                  the next to take it breaks the barrier; that is
 *                                                                                what a party's death means, so nothing is rebuilt
 *         waiting, or between two turns    member's bit                          its reaper sets `lost` and wakes the waiters; the
                                                                                next to take the lock breaks the barrier
 *         before waking the sleepers       their slices end                      they see the turn
 *
 * OUTCOME. `failed` tells it for the last 63 turns.  Who was stopped for longer gets -EPIPE if any turn since has failed.
 * The action runs under the lock; a call on the barrier from inside it is refused.
 */
#include "sync/barrier.h"

#include "base/probe.h"
#include "os/os.h"
#include "sync/wait.h"

#include <errno.h>
#include <skep/error.h>

static void turn_ends(struct shm_barrier *barrier, bool failed)
{
        uint64_t bit = UINT64_C(1) << barrier->turn % 64;
        skep_store(&barrier->failed, failed ? barrier->failed | bit : barrier->failed & ~bit);
        if (failed)
                skep_store32(&barrier->failed_last, barrier->turn + 1);
        barrier->waiting = 0;
        PROBE("barrier.outcome");
        (void)skep_fetch_add32(&barrier->turn, 1);
        PROBE("barrier.turn");
        if (skep_load32(&barrier->awaited)) {
                skep_store32(&barrier->awaited, 0);
                (void)os_futex_wake(&barrier->turn, INT32_MAX);
        }
}

static void breaks(struct shm_barrier *barrier)
{
        if (barrier->broken)
                return;
        skep_store32(&barrier->broken, 1);
        PROBE("barrier.broken");
        turn_ends(barrier, true);
}

/* Take the lock; if its owner died, or a party did, the barrier is broken now. */
static void enter(struct skep_agent *agent, struct shm_barrier *barrier)
{
        bool died = lock_acquire_surely(agent, &barrier->lock) == SKEP_OWNER_DIED;
        if (died)
                barrier->broken = 0; /* he may have died over the breaking */
        if (died || skep_load32(&barrier->lost)) {
                breaks(barrier);
                skep_store32(&barrier->lost, 0);
        }
}

/* No lock here: its holder may be busy with a long action. */
void barrier_lose(struct reap *reap, struct shm_barrier *barrier)
{
        uint64_t bit = UINT64_C(1) << reap->member % 64, *members = &barrier->members[reap->member / 64];
        if (!(skep_load(members) & bit))
                return;
        if (!reap->orderly) {
                skep_store32(&barrier->lost, 1);
                PROBE("barrier.lost");
                (void)os_futex_wake(&barrier->turn, INT32_MAX);
        }
        (void)skep_fetch_and(members, ~bit);
        PROBE("barrier.left");
}

/* The bits are read before the turn that says how far they reach back. */
static int outcome(const struct shm_barrier *barrier, uint32_t turn)
{
        uint64_t failed = skep_load(&barrier->failed);
        uint32_t last = skep_load32(&barrier->failed_last) - 1;
        if (skep_load32(&barrier->turn) - turn <= 63)
                return failed >> turn % 64 & 1 ? -EPIPE : 0;
        return (int32_t)(last - turn) >= 0 ? -EPIPE : 0;
}

/* Sleep until the turn ends. @return 0 it did; -ETIMEDOUT; the interrupt function's */
static int turn_wait(struct skep_agent *agent, struct shm_barrier *barrier, uint32_t turn, skep_deadline deadline)
{
        int result = 0;
        wait_begins(agent, barrier, 0);
        while (skep_load32(&barrier->turn) == turn && result >= 0) {
                result = wait_slice(&barrier->turn, turn, deadline);
                if (result == WAIT_UNCHANGED)
                        result = skep_hive_reap(agent->hive, NULL);
                uint32_t owner = lock_owner(&barrier->lock);
                if (skep_load32(&barrier->lost) || (owner && agent_is_gone(agent->hive, owner))) {
                        enter(agent, barrier);
                        (void)lock_release(agent, &barrier->lock);
                }
        }
        wait_ends(agent);
        return result < 0 ? result : 0;
}

int barrier_wait(struct skep_agent *agent, struct shm_barrier *barrier, barrier_action *action, void *context, skep_deadline deadline,
                 uint32_t *ret_index)
{
        if (lock_owner(&barrier->lock) == agent->id)
                return -EDEADLK;
        enter(agent, barrier);
        (void)skep_fetch_or(&barrier->members[agent->member / 64], UINT64_C(1) << agent->member % 64);
        PROBE("barrier.member");
        uint32_t turn = barrier->turn, index = barrier->waiting;
        int result = barrier->broken ? -EPIPE : 0;
        bool last = result == 0 && index + 1 == barrier->parties;
        if (last) {
                result = action ? action(context) : 0;
                if (result < 0)
                        breaks(barrier);
                else
                        turn_ends(barrier, false);
        } else if (result == 0) {
                skep_store32_relaxed(&barrier->waiting, index + 1);
                PROBE("barrier.came");
                skep_store32(&barrier->awaited, 1);
        }
        (void)lock_release(agent, &barrier->lock);
        if (ret_index)
                *ret_index = index;
        if (last || result < 0)
                return result < 0 ? result : 0;
        result = turn_wait(agent, barrier, turn, deadline);
        if (result < 0) {
                enter(agent, barrier);
                bool ours = barrier->turn == turn;
                if (ours)
                        breaks(barrier);
                (void)lock_release(agent, &barrier->lock);
                if (ours || wait_interrupted(result))
                        return result;
        }
        return outcome(barrier, turn);
}

int barrier_abort(struct skep_agent *agent, struct shm_barrier *barrier)
{
        if (lock_owner(&barrier->lock) == agent->id)
                return -EDEADLK;
        enter(agent, barrier);
        breaks(barrier);
        (void)lock_release(agent, &barrier->lock);
        return 0;
}

int barrier_reset(struct skep_agent *agent, struct shm_barrier *barrier)
{
        if (lock_owner(&barrier->lock) == agent->id)
                return -EDEADLK;
        enter(agent, barrier);
        for (uint32_t i = 0; i < MEMBER_WORDS; i++)
                skep_store(&barrier->members[i], 0);
        if (barrier->waiting)
                turn_ends(barrier, true);
        skep_store32(&barrier->broken, 0);
        PROBE("barrier.reset");
        (void)lock_release(agent, &barrier->lock);
        return 0;
}
