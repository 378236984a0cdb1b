/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c - robust lock between the threads of all members, on one word.
 *
 * THE WORD.  32 bits: owner (agent id, 28 bits), WAITERS.
 *
 *   state      word              left by                                   to
 *   FREE       0                 anyone, compare-and-swap                  HELD(me)
 *   HELD       owner             anyone's release, exchange                FREE
 *                                other, before it sleeps                   WAITED (same owner)
 *                                other, after proof that owner has gone    HELD(me), reports OWNER_DIED
 *   WAITED     owner|WAITERS     anyone's release, exchange                FREE, then wakes one
 *                                other, after proof that owner has gone    WAITED(me), reports OWNER_DIED
 *
 * ORDER.  The winning compare-and-swap acquires; it pairs with the exchange in lock_release(), which releases.
 *
 * CRASH.  The owner may die                               found as                 repaired by
 *         before its compare-and-swap succeeds            not owner                nothing to do
 *         anywhere while the word names it                word names a gone agent  the next acquirer takes it over
 *         after freeing, before waking the sleeper        sleeper's slice ends     it looks again and takes the free lock
 *         A sleeper that swallowed a wake-up and died     the others' slices end   likewise
 *
 * A waiter sleeps in slices (WAIT_SLICE_NS), for that reason and to ask after the owner; one that has slept takes the lock
 * with WAITERS set, as others may sleep still.
 *
 * SOURCE. Drepper, Futexes Are Tricky (2011), mutex 2; the owner in the word as in the kernel's robust futexes.
 */
#include "sync/lock.h"

#include "base/probe.h"
#include "os/os.h"
#include "sync/wait.h"

#include <errno.h>
#include <skep/error.h>

#define WAITERS (UINT32_C(1) << 31)

uint32_t lock_owner(const uint32_t *word)
{
        return skep_load32(word) & AGENT_ID_MASK;
}

static int lock_wait(struct skep_agent *agent, uint32_t *word, skep_deadline deadline)
{
        uint32_t waiters = 0;
        for (;;) {
                uint32_t seen = skep_load32(word);
                uint32_t owner = seen & AGENT_ID_MASK;
                bool gone = owner && owner != agent->id && waiters && agent_is_gone(agent->hive, owner);
                if (!owner || gone) {
                        if (skep_cas32(word, &seen, agent->id | waiters | (seen & WAITERS))) {
                                PROBE("lock.taken");
                                return gone ? SKEP_OWNER_DIED : 0;
                        }
                        continue;
                }
                if (deadline.monotonic_ns == 0)
                        return agent_is_gone(agent->hive, owner) && skep_cas32(word, &seen, agent->id | (seen & WAITERS)) ? SKEP_OWNER_DIED : -ETIMEDOUT;
                if (!(seen & WAITERS) && !skep_cas32(word, &seen, seen | WAITERS))
                        continue;
                PROBE("lock.waits");
                waiters = WAITERS;
                if (!agent_is_gone(agent->hive, owner) && wait_slice(agent, word, owner | WAITERS, deadline) < 0)
                        return -ETIMEDOUT;
        }
}

int lock_acquire(struct skep_agent *agent, uint32_t *word, skep_deadline deadline)
{
        uint32_t expected = 0;
        if (__builtin_expect(skep_cas32(word, &expected, agent->id), 1)) {
                PROBE("lock.taken");
                return 0;
        }
        for (int spin = 0; spin < 100; spin++) {
                skep_relax();
                expected = 0;
                if (!skep_load32_relaxed(word) && skep_cas32(word, &expected, agent->id)) {
                        PROBE("lock.taken");
                        return 0;
                }
        }
        return lock_wait(agent, word, deadline);
}

int lock_acquire_inner(struct skep_agent *agent, uint32_t *word)
{
        uint32_t owner = lock_owner(word);
        bool ourselves = agent_current && agent_current->hive == agent->hive && agent_current->id == owner;
        return owner == agent->id || ourselves ? -EBADMSG : lock_acquire(agent, word, skep_forever());
}

int lock_release(struct skep_agent *agent, uint32_t *word)
{
        (void)agent;
        uint32_t before = skep_exchange32(word, 0);
        PROBE("lock.freed");
        if (before & WAITERS)
                (void)os_futex_wake(word, 1);
        return before & AGENT_ID_MASK ? 0 : -EPERM;
}
