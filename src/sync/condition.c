/* SPDX-License-Identifier: Apache-2.0 */
/*
 * condition.c - condition variable: who waits stands in the agents' own slots, so a condition needs no memory for them.
 *
 * A waiter writes into its agent slot which condition it waits for, with a ticket, lets the lock go and sleeps on its own word.
 * A notifier walks over the agents, and turns the word of the one with the lowest ticket to NOTIFIED.  So exactly as many are
 * woken as was said, the longest waiting first, and nobody else wakes up.  States of the word: hive/layout.h, struct shm_wait.
 *
 * CRASH.  dies                               found as                           repaired by
 *         a waiter, WAITING                  agent gone                         notifiers pass it over
 *         a waiter, NOTIFIED                 reaped, state NOTIFIED             the reaper notifies another one, then clears.
 *                                                                               A waiter at the end of a slice that sees one reaps.
 *         a notifier, before the wake-up     sleeper's slice ends               it sees NOTIFIED
 *         the lock's holder, before it has   lock of a gone agent               the next owner gets OWNER_DIED; a waiter at the
 *         notified all whom it would have                                       end of a slice becomes that owner
 *         a waiter that is being reaped      a notifier took it for alive       the reaper clears WAITING by compare-and-swap,
 *                                                                               and so finds the NOTIFIED that came meanwhile
 *         a reaper, between the two steps    NOTIFIED still                     the next reaper does it again: one wake-up too many
 *
 * NESTED. An interrupt function that waits for a condition itself takes the slot away from the outer wait, which then returns
 *         as if notified: better once too often than never.
 * ORDER.  The waiter's state is stored before it releases the lock; the notifier, who holds the lock, sees it.
 * SOURCE. A queue of waiters that each sleep on a word of their own, as in Birrell, Implementing Condition Variables with
 *         Semaphores (2003); the place of the words is ours.
 */
#include "sync/condition.h"

#include "base/probe.h"
#include "os/os.h"
#include "sync/wait.h"

#include <errno.h>
#include <skep/error.h>

enum { IDLE = 0, WAITING = 1, NOTIFIED = 2, STATE_MASK = 3 };

static void notify_one(struct shm_wait *wait)
{
        (void)os_futex_wake(&wait->word, 1);
}

/* The living waiter with the lowest ticket becomes NOTIFIED. @return false: there is none */
static bool notify_first(const skep_hive *hive, uint64_t condition)
{
        for (;;) {
                struct shm_wait *first = NULL;
                uint32_t first_word = 0, high = agent_high(hive);
                for (uint32_t index = 1; index <= high; index++) {
                        struct shm_wait *wait = &hive->agents[index].wait;
                        uint32_t word = skep_load32(&wait->word);
                        if ((word & STATE_MASK) != WAITING || skep_load(&wait->condition) != condition)
                                continue;
                        uint64_t member = skep_load(&hive->agents[index].word) & 0xffff;
                        if (first && skep_load(&wait->ticket) > skep_load(&first->ticket))
                                continue;
                        if (member && member <= HIVE_MEMBER_MAX && !member_is_dead(hive, (uint32_t)member - 1)) {
                                first = wait;
                                first_word = word;
                        }
                }
                if (!first)
                        return false;
                if (skep_cas32(&first->word, &first_word, (first_word & ~(uint32_t)STATE_MASK) | NOTIFIED)) {
                        PROBE("condition.notified");
                        notify_one(first);
                        return true;
                }
        }
}

uint32_t condition_notify(struct skep_agent *agent, struct shm_condition *condition, uint32_t count)
{
        uint32_t notified = 0;
        if (!skep_load32(&condition->waiters))
                return 0;
        while (notified < count && notify_first(agent->hive, hive_offset(agent->hive, condition)))
                notified++;
        if (notified < count)
                skep_store32(&condition->waiters, 0); /* under the lock: nobody comes meanwhile */
        return notified;
}

/* Somebody was notified of what we wait for and died before he had his lock: his news is for the next. */
static bool news_of_the_dead(const struct skep_agent *agent, uint64_t condition)
{
        const skep_hive *hive = agent->hive;
        uint32_t high = agent_high(hive);
        for (uint32_t index = 1; index <= high; index++) {
                struct shm_wait *wait = &hive->agents[index].wait;
                uint64_t member = skep_load(&hive->agents[index].word) & 0xffff;
                if ((skep_load32(&wait->word) & STATE_MASK) == NOTIFIED && skep_load(&wait->condition) == condition && member &&
                    member <= HIVE_MEMBER_MAX && member_is_dead(hive, (uint32_t)member - 1))
                        return true;
        }
        return false;
}

/* Who holds the lock has died and will not notify anybody: take it over, if nobody else does. @return 0; SKEP_OWNER_DIED we hold it */
static int lock_of_the_dead(struct skep_agent *agent, struct shm_lock *lock)
{
        uint32_t owner = lock_owner(&lock->word);
        if (!owner || !agent_is_gone(agent->hive, owner))
                return 0;
        int result = user_lock_acquire(agent, lock, skep_nowait());
        if (result == 0) /* he was helped meanwhile */
                (void)lock_release(agent, &lock->word);
        return result == SKEP_OWNER_DIED ? result : 0;
}

int condition_wait(struct skep_agent *agent, struct shm_condition *condition, struct shm_lock *lock, skep_deadline deadline)
{
        struct shm_wait *wait = &agent->shared->wait;
        uint64_t offset = hive_offset(agent->hive, condition);
        uint32_t waiting = (skep_load32(&wait->word) & ~(uint32_t)STATE_MASK) + 4 + WAITING;
        skep_store(&wait->condition, offset);
        skep_store(&wait->ticket, condition->tickets++);
        (void)skep_exchange32(&wait->word, waiting);
        PROBE("condition.waiting");
        skep_store32(&condition->waiters, 1);
        PROBE("condition.announced");
        wait_begins(agent, condition, 0);
        uint32_t depth = rlock_release_all(agent, lock);
        int result = 0, news = 0;
        while (skep_load32(&wait->word) == waiting && result >= 0 && !news) {
                result = wait_slice(&wait->word, waiting, deadline);
                if (result == WAIT_UNCHANGED && !(news = lock_of_the_dead(agent, lock)) && news_of_the_dead(agent, offset))
                        result = skep_hive_reap(agent->hive, NULL);
        }
        uint32_t expected = waiting;
        bool notified = result >= 0 || !skep_cas32(&wait->word, &expected, waiting & ~(uint32_t)STATE_MASK);
        wait_ends(agent);
        news = rlock_acquire_again(agent, lock, depth, news);
        if (notified && wait_interrupted(result)) { /* we leave with the interrupt's word; the notification is for the next */
                (void)notify_first(agent->hive, offset);
                notified = false;
        }
        skep_store32(&wait->word, waiting & ~(uint32_t)STATE_MASK);
        PROBE("condition.done");
        return notified ? news : result;
}

/* What the dead were told, and did not live to hear, is told to others. */
static int reap_waits(struct reap *reap)
{
        skep_hive *hive = reap->hive;
        for (uint32_t index = 1; index <= hive->agent_max; index++) {
                struct shm_wait *wait = &hive->agents[index].wait;
                if ((skep_load(&hive->agents[index].word) & 0xffff) != reap->member + 1)
                        continue;
                uint32_t word = skep_load32(&wait->word);
                while (word & STATE_MASK) { /* to others the dead look alive while we hold their byte: one may notify it even now */
                        if ((word & STATE_MASK) == NOTIFIED) {
                                (void)notify_first(hive, skep_load(&wait->condition));
                                PROBE("condition.passed_on");
                        }
                        if (skep_cas32(&wait->word, &word, word & ~(uint32_t)STATE_MASK))
                                break;
                }
        }
        return 0;
}

__attribute__((constructor)) static void condition_register(void)
{
        reap_register(REAP_LOCK, reap_waits);
}
