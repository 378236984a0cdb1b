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
 * INNER.  The hive's own locks (heap, names) are taken by lock_acquire_inner(), and a damaged word must not hold anybody up for ever.
 *         An agent says in its slot which of them it holds: agent.holds = {changes, bit per lock}, written by it alone, or by
 *         its reaper in its name.  The bit is set before the winning compare-and-swap and cleared after the exchange that
 *         frees; every change counts, so no value of holds comes twice.
 *   (I1)  Who reads holds = h without the bit, then the word naming that agent, then holds = h again, has proof that the agent
 *         does not hold the lock.  For say it wrote its name there, in its k-th holding.  The word's load acquires, so the second
 *         h is what the agent wrote before the k-th holding, or later; it has no bit, so it was written after the k-th holding
 *         was freed.  Then the first look, which acquires too, saw a store made after that freeing, and the word read
 *         afterwards is a later one: of a holding after h, before which holds was changed again, and the second h is not h.
 *   (I2)  A slot that names our own member while no thread of ours has it (agent_is_nobody) holds nothing either: a thread is
 *         listed before its first and until after its last holding, so the word is read once more after the list.
 *         Both are proofs of damage, -EBADMSG, and need no time.  A holder that is stopped is never taken for one, as its bit
 *         stands.  What dies with a bit set is found by its name in the word, as above; its slot's next agent clears the bits.
 *         The price is a load and a store before and after, on the agent's own line, on paths that are taken when the hints of
 *         the heap fail.
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
        bool taken = __builtin_expect(skep_cas32(word, &expected, agent->id), 1);
        for (int pause = 1; pause <= SPIN_PAUSE_MAX && !taken; pause *= 2) {
                for (int i = 0; i < pause; i++)
                        skep_relax();
                expected = 0;
                taken = !skep_load32_relaxed(word) && skep_cas32(word, &expected, agent->id);
        }
        if (taken)
                PROBE("lock.taken");
        return taken;
}

int lock_acquire(struct skep_agent *agent, uint32_t *word, skep_deadline deadline)
{
        return lock_try(agent, word) ? 0 : lock_wait(agent, word, deadline, wait_slice);
}

int lock_acquire_surely(struct skep_agent *agent, uint32_t *word)
{
        return lock_try(agent, word) ? 0 : lock_wait(agent, word, skep_forever(), wait_slice_surely);
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

/* --- the hive's own locks ------------------------------------------------------------------------------------------- */

static uint64_t inner_bit(const struct skep_agent *agent, const uint32_t *word)
{
        return UINT64_C(1) << (word - &agent->hive->heap->lock); /* they stand side by side */
}

static void holds_change(struct skep_agent *agent, uint64_t set, uint64_t clear)
{
        uint64_t holds = skep_load_relaxed(&agent->shared->holds);
        skep_store(&agent->shared->holds, ((holds | HOLDS_MASK) + 1) | (((holds & HOLDS_MASK) | set) & ~clear));
        PROBE("lock.holds");
}

/* Proof that whom the word names does not hold it: (I1), (I2). */
static bool inner_is_damaged(const struct skep_agent *agent, const uint32_t *word)
{
        skep_hive *hive = agent->hive;
        uint32_t owner = lock_owner(word);
        if (agent_member(hive, owner) < 0)
                return false; /* free, or of an agent that is gone */
        bool nobody = agent_is_nobody(hive, owner);
        const uint64_t *holds = &hive->agents[owner & AGENT_INDEX_MASK].holds;
        uint64_t before = skep_load(holds);
        if (lock_owner(word) != owner)
                return false;
        return nobody || (!(before & inner_bit(agent, word)) && skep_load(holds) == before);
}

int lock_acquire_inner(struct skep_agent *agent, uint32_t *word)
{
        uint32_t owner = lock_owner(word);
        if (owner && (owner == agent->id || (agent_current && agent_current->hive == agent->hive && agent_current->id == owner)))
                return -EBADMSG;
        holds_change(agent, inner_bit(agent, word), 0);
        int result = lock_try(agent, word) ? 0 : -ETIMEDOUT;
        while (result == -ETIMEDOUT)
                result = inner_is_damaged(agent, word) ? -EBADMSG : lock_wait(agent, word, skep_within_ns(WAIT_SLICE_NS), wait_slice_surely);
        if (result < 0)
                holds_change(agent, 0, inner_bit(agent, word));
        return result;
}

void lock_release_inner(struct skep_agent *agent, uint32_t *word)
{
        (void)lock_release(agent, word);
        holds_change(agent, 0, inner_bit(agent, word));
}
