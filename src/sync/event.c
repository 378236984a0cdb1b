/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.c - a flag to wait for, on one word {turns 30, WAITERS, SET}.
 *
 *   state    word              left by                                to
 *   CLEAR    {t, 0, 0}         waiter, before it sleeps               AWAITED
 *                              set, compare-and-swap                  SET {t + 1, 0, 1}
 *   AWAITED  {t, WAITERS, 0}   set, compare-and-swap                  SET {t + 1, 0, 1}, then wakes all
 *   SET      {t, 0, SET}       clear, compare-and-swap                CLEAR, same t
 *
 * A waiter returns when it sees SET, or another turn than it came with: a set that was cleared before it ran is not lost.
 *
 * CRASH.  who sets dies between the word and the wake-up: the sleepers' slices end and they see it.  A waiter that dies leaves
 *         WAITERS: one system call too many.
 * set, clear and is_set take no lock and may be called from a signal handler.
 */
#include "sync/event.h"

#include "base/probe.h"
#include "os/os.h"
#include "sync/wait.h"

#define SET 1u
#define WAITERS 2u
#define TURN 4u

void flag_set(struct shm_event *event)
{
        uint32_t seen = skep_load32(&event->word);
        do
                if (seen & SET)
                        return;
        while (!skep_cas32(&event->word, &seen, ((seen & ~WAITERS) | SET) + TURN));
        PROBE("event.set");
        if (seen & WAITERS)
                (void)os_futex_wake(&event->word, INT32_MAX);
}

void flag_clear(struct shm_event *event)
{
        uint32_t seen = skep_load32(&event->word);
        while (seen & SET)
                if (skep_cas32(&event->word, &seen, seen & ~SET)) {
                        PROBE("event.cleared");
                        return;
                }
}

bool flag_is_set(const struct shm_event *event)
{
        return skep_load32(&event->word) & SET;
}

/* It is set, or has been since that turn. */
static bool came(uint32_t word, uint32_t turn)
{
        return (word & SET) || word / TURN != turn;
}

int flag_wait(struct skep_agent *agent, struct shm_event *event, skep_deadline deadline)
{
        uint32_t seen = skep_load32(&event->word), turn = seen / TURN;
        if (seen & SET)
                return 0;
        int result = 0;
        wait_begins(agent, event, 0);
        while (!came(seen, turn) && result >= 0)
                if ((seen & WAITERS) || skep_cas32(&event->word, &seen, seen | WAITERS)) {
                        PROBE("event.waits");
                        result = wait_slice(&event->word, seen | WAITERS, deadline);
                        seen = skep_load32(&event->word);
                }
        wait_ends(agent);
        return came(seen, turn) && !wait_interrupted(result) ? 0 : result;
}
