/* SPDX-License-Identifier: Apache-2.0 */
/*
 * semaphore.c - counting semaphore on one word; and one whose units name their holders.
 *
 * PLAIN.  word {count 31, WAITERS}.
 *
 *   state      word           left by                                       to
 *   count > 0  {n, w}         taker, compare-and-swap                       {n - 1, w}; if he has slept, {n - 1, WAITERS}
 *   empty      {0, 0}         taker, before it sleeps                       {0, WAITERS}
 *   any        {n, w}         giver, compare-and-swap                       {n + k, w}, then wakes k; nobody there: {.., 0}
 *
 * A unit belongs to nobody: a process that dies with one has used it up, as the standard says.
 *
 * TRACKING.  slot[i]: 0 free, or the agent that holds the unit; the array is the truth, nothing else is counted.
 *
 *   FREE       0              taker, compare-and-swap                       HELD(me)
 *   HELD       agent          a thread of the holder's process              FREE, then wakes one
 *                             taker, after proof that the agent has gone    HELD(me), reports OWNER_DIED
 *
 * CRASH.  dies                                  found as                      repaired by
 *         between count and wake-up             sleepers' slices end          they look again
 *         holding a unit of a tracking one      slot names a gone agent       the next taker that finds no free one
 *         A sleeper that swallowed a wake-up    the others' slices end        they look again
 * ORDER.  The taker's compare-and-swap acquires what the giver's released.
 * SOURCE. Drepper, Futexes Are Tricky (2011); the new semaphore of glibc keeps a count of waiters instead of the bit, which the
 *         dead would leave wrong.
 */
#include "sync/semaphore.h"

#include "base/probe.h"
#include "os/os.h"
#include "sync/wait.h"

#include <errno.h>
#include <skep/error.h>

#define WAITERS 1u

static bool plain_take(uint32_t *word, uint32_t waiters)
{
        uint32_t seen = skep_load32(word);
        while (seen >> 1)
                if (skep_cas32(word, &seen, (seen - 2) | waiters)) {
                        PROBE("semaphore.taken");
                        return true;
                }
        return false;
}

static int plain_acquire(struct skep_agent *agent, struct shm_semaphore *semaphore, skep_deadline deadline)
{
        uint32_t *word = &semaphore->word;
        for (int spin = 0; spin < 100; spin++, skep_relax())
                if (plain_take(word, 0))
                        return 0;
        if (deadline.monotonic_ns == 0)
                return -ETIMEDOUT;
        wait_begins(agent, semaphore, 0);
        uint32_t slept = 0;
        int result = 0;
        while (result >= 0 && !plain_take(word, slept)) {
                uint32_t empty = 0;
                if (skep_cas32(word, &empty, WAITERS) || empty == WAITERS) {
                        PROBE("semaphore.waits");
                        result = wait_slice(word, WAITERS, deadline);
                        slept = WAITERS;
                }
        }
        wait_ends(agent);
        return result < 0 ? result : 0;
}

static int plain_release(struct shm_semaphore *semaphore, uint32_t count)
{
        uint32_t *word = &semaphore->word, seen = skep_load32(word);
        do
                if (count > semaphore->max - (seen >> 1))
                        return -EOVERFLOW;
        while (!skep_cas32(word, &seen, seen + 2 * count));
        PROBE("semaphore.given");
        if ((seen & WAITERS) && os_futex_wake(word, (int)count) == 0) {
                seen = skep_load32(word);
                if (seen > WAITERS) /* sleepers sleep at {0, WAITERS} only; one that is woken meanwhile sets it again */
                        (void)skep_cas32(word, &seen, seen & ~WAITERS);
        }
        return 0;
}

/* A free slot, or one of an agent that has gone, becomes ours. */
static bool slot_take(struct skep_agent *agent, struct shm_semaphore *semaphore, bool of_the_gone)
{
        uint32_t start = skep_load32_relaxed(&semaphore->cursor);
        for (uint32_t i = 0; i < semaphore->slots; i++) {
                uint32_t *slot = &semaphore->slot[(start + i) % semaphore->slots], seen = skep_load32(slot);
                if (of_the_gone ? !seen || !agent_is_gone(agent->hive, seen) : seen)
                        continue;
                if (skep_cas32(slot, &seen, agent->id)) {
                        PROBE("semaphore.slot_taken");
                        skep_store32_relaxed(&semaphore->cursor, (start + i + 1) % semaphore->slots);
                        return true;
                }
        }
        return false;
}

static int slot_acquire(struct skep_agent *agent, struct shm_semaphore *semaphore, skep_deadline deadline)
{
        if (slot_take(agent, semaphore, false))
                return 0;
        if (slot_take(agent, semaphore, true))
                return SKEP_OWNER_DIED;
        if (deadline.monotonic_ns == 0)
                return -ETIMEDOUT;
        wait_begins(agent, semaphore, 0);
        int result = 0, found;
        for (;;) {
                uint32_t key = event_prepare(&semaphore->word);
                found = slot_take(agent, semaphore, false) ? 0 : slot_take(agent, semaphore, true) ? SKEP_OWNER_DIED : -1;
                if (found >= 0 || result < 0)
                        break;
                result = wait_slice(&semaphore->word, key, deadline);
                if (wait_interrupted(result))
                        break;
        }
        wait_ends(agent);
        return found >= 0 ? found : result;
}

/* Our own first: another thread of ours may still be at work with its. */
static int slot_release(struct skep_agent *agent, struct shm_semaphore *semaphore)
{
        for (int any = 0; any < 2; any++)
                for (uint32_t i = 0; i < semaphore->slots; i++) {
                        uint32_t *slot = &semaphore->slot[i], seen = skep_load32(slot);
                        bool ours = seen == agent->id || (any && seen && agent_member(agent->hive, seen) == (int)agent->member);
                        if (ours && skep_cas32(slot, &seen, 0)) {
                                PROBE("semaphore.slot_free");
                                event_notify(&semaphore->word, 1);
                                return 0;
                        }
                }
        return -EPERM;
}

int semaphore_acquire(struct skep_agent *agent, struct shm_semaphore *semaphore, skep_deadline deadline)
{
        if (semaphore->slots)
                return slot_acquire(agent, semaphore, deadline);
        return __builtin_expect(plain_take(&semaphore->word, 0), 1) ? 0 : plain_acquire(agent, semaphore, deadline);
}

int semaphore_release(struct skep_agent *agent, struct shm_semaphore *semaphore, uint32_t count)
{
        if (!semaphore->slots)
                return plain_release(semaphore, count);
        int result = 0;
        for (uint32_t i = 0; i < count && result == 0; i++)
                result = slot_release(agent, semaphore);
        return result;
}

uint32_t semaphore_count(const struct shm_semaphore *semaphore)
{
        if (!semaphore->slots)
                return skep_load32(&semaphore->word) >> 1;
        uint32_t count = 0;
        for (uint32_t i = 0; i < semaphore->slots; i++)
                count += !skep_load32(&semaphore->slot[i]);
        return count;
}
