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
 * THE DEPTH of an rlock is its owner's alone: written while the word names him.  An heir begins with 1 again.
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
#define SPIN_PAUSE_MAX 64 /* each look is twice as long after the last: who looks often takes the line from who works */

uint32_t lock_owner(const uint32_t *word)
{
        return skep_load32(word) & AGENT_ID_MASK;
}

static int lock_wait(struct skep_agent *agent, uint32_t *word, skep_deadline deadline, wait_function *wait)
{
        uint32_t waiters = 0;
        int result = 0;
        do {
                uint32_t seen = skep_load32(word);
                uint32_t owner = seen & AGENT_ID_MASK;
                bool gone = owner && owner != agent->id && (waiters || deadline.monotonic_ns == 0) && agent_is_gone(agent->hive, owner);
                if (!owner || gone) {
                        if (!skep_cas32(word, &seen, agent->id | waiters | (seen & WAITERS)))
                                continue;
                        PROBE("lock.taken");
                        result = gone ? SKEP_OWNER_DIED : 0;
                        break;
                }
                if (deadline.monotonic_ns == 0) {
                        result = -ETIMEDOUT;
                        break;
                }
                if (!(seen & WAITERS) && !skep_cas32(word, &seen, seen | WAITERS))
                        continue;
                PROBE("lock.waits");
                if (!waiters)
                        wait_begins(agent, word, owner);
                wait_owner(agent, owner);
                waiters = WAITERS;
                if (!agent_is_gone(agent->hive, owner))
                        result = wait(word, owner | WAITERS, deadline);
        } while (result >= 0);
        if (waiters)
                wait_ends(agent);
        return result;
}

static bool lock_try(struct skep_agent *agent, uint32_t *word)
{
        uint32_t expected = 0;
        if (__builtin_expect(skep_cas32(word, &expected, agent->id), 1)) {
                PROBE("lock.taken");
                return true;
        }
        for (int pause = 1; pause <= SPIN_PAUSE_MAX; pause *= 2) {
                for (int i = 0; i < pause; i++)
                        skep_relax();
                expected = 0;
                if (!skep_load32_relaxed(word) && skep_cas32(word, &expected, agent->id)) {
                        PROBE("lock.taken");
                        return true;
                }
        }
        return false;
}

int lock_acquire(struct skep_agent *agent, uint32_t *word, skep_deadline deadline)
{
        return lock_try(agent, word) ? 0 : lock_wait(agent, word, deadline, wait_slice);
}

int lock_acquire_surely(struct skep_agent *agent, uint32_t *word)
{
        return lock_try(agent, word) ? 0 : lock_wait(agent, word, skep_forever(), wait_slice_surely);
}

int lock_acquire_inner(struct skep_agent *agent, uint32_t *word)
{
        uint32_t owner = lock_owner(word);
        bool ourselves = agent_current && agent_current->hive == agent->hive && agent_current->id == owner;
        return owner == agent->id || ourselves ? -EBADMSG : lock_acquire_surely(agent, word);
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

/* Keep the news for those who ask later. */
static int died_noted(struct shm_lock *lock, int result)
{
        if (__builtin_expect(result == SKEP_OWNER_DIED, 0)) {
                skep_store32(&lock->died, 1);
                PROBE("lock.died");
        }
        return result;
}

int user_lock_acquire(struct skep_agent *agent, struct shm_lock *lock, skep_deadline deadline)
{
        return died_noted(lock, lock_acquire(agent, &lock->word, deadline));
}

int rlock_acquire(struct skep_agent *agent, struct shm_lock *lock, skep_deadline deadline)
{
        if (lock_owner(&lock->word) == agent->id) {
                if (lock->depth == UINT32_MAX)
                        return -EOVERFLOW;
                lock->depth++;
                return 0;
        }
        int result = user_lock_acquire(agent, lock, deadline);
        if (result >= 0)
                lock->depth = 1;
        return result;
}

int rlock_release(struct skep_agent *agent, struct shm_lock *lock)
{
        if (lock_owner(&lock->word) != agent->id)
                return -EPERM;
        if (lock->depth > 1) {
                lock->depth--;
                return 0;
        }
        return lock_release(agent, &lock->word);
}

uint32_t rlock_release_all(struct skep_agent *agent, struct shm_lock *lock)
{
        uint32_t depth = lock->depth;
        (void)lock_release(agent, &lock->word);
        return depth;
}

int rlock_acquire_again(struct skep_agent *agent, struct shm_lock *lock, uint32_t depth, int have)
{
        int result = have ? have : died_noted(lock, lock_acquire_surely(agent, &lock->word));
        lock->depth = depth;
        return result;
}
