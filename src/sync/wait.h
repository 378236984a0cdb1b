/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.h - how long an agent sleeps at a stretch, and the event count.
 *
 * Nobody sleeps longer than a slice without looking again.  So a wake-up that died with its giver or its taker costs one
 * slice, never a hang; whether somebody is dead is then asked of the kernel, never guessed from the time.
 */
#ifndef SYNC_WAIT_H
#define SYNC_WAIT_H

#include "member/member.h"

#include <errno.h>
#include <skep/deadline.h>

#define WAIT_SLICE_NS INT64_C(50000000)
extern int64_t wait_slice_ns; /* a test makes it long, so that a wake-up that was not given is a wake-up that does not come */

/*
 * Around the slices of one wait: tell those who look on what this agent waits for, and who stands in the way (0: nobody that
 * is known).  The first store of a wait, so only slow paths pay for it.
 */
void wait_begins(struct skep_agent *agent, const void *what, uint32_t owner);
void wait_owner(struct skep_agent *agent, uint32_t owner);
void wait_ends(struct skep_agent *agent);

/* The slice ended, and nobody woke us: time to ask who died. */
#define WAIT_UNCHANGED 1

/*
 * Sleep while *word == expected, a slice or until the deadline.
 * @return 0 woken, or *word had changed; WAIT_UNCHANGED; -ETIMEDOUT deadline; what the thread's interrupt function said
 */
typedef int wait_function(uint32_t *word, uint32_t expected, skep_deadline deadline);
wait_function wait_slice;
/* The wait ended before its time: that is what the call returns, even if what it waited for has come meanwhile. */
static inline bool wait_interrupted(int result)
{
        return result < 0 && result != -ETIMEDOUT;
}

/* For waits on descriptors: has this thread an interrupt function, and what does it say? @return 0: go on waiting */
bool wait_may_be_interrupted(void);
int wait_ask(void);

/* On up to OS_FUTEX_MANY_MAX words, where os_futex_has_many(). */
int wait_slice_many(uint32_t *const *words, const uint32_t *expected, uint32_t count, skep_deadline deadline);
/* Without asking the interrupt function. */
wait_function wait_slice_surely;

/*
 * Event count: sleep and wake for structures without locks.  One word {count 31, WAITERS}.
 *
 *   waiter:    key = event_prepare(word);  look at the structure again;  wait_slice(word, key, deadline)
 *   notifier:  change the structure, with a sequentially consistent operation;  event_notify(word, n)
 *
 *   state    word           left by                                  to
 *   QUIET    {n, 0}         waiter, fetch-or                         ARMED
 *   ARMED    {n, WAITERS}   notifier, add 2                          ARMED {n+1}, then wakes; nobody there: QUIET
 *
 * ORDER.  The waiter's fetch-or is followed by a fence, the notifier's change and his look at the word are both sequentially
 *         consistent: either the waiter's second look, of whatever order, sees the change, or the notifier sees WAITERS, and
 *         the changed count makes the wait return.
 * CRASH.  A notifier that dies between its change and the wake-up: the sleepers' slices end.  A sleeper that dies leaves
 *         WAITERS set: one system call too many.
 * SOURCE. The event count of Reed and Kanodia (1979), as in ck_ec; WAITERS is cleared by the first wake-up that finds nobody.
 */
#define EVENT_WAITERS 1u

uint32_t event_prepare(uint32_t *word);
void event_wake(uint32_t *word, int count);

static inline void event_notify(uint32_t *word, int count)
{
        if (__builtin_expect(skep_load32_ordered(word) & EVENT_WAITERS, 0))
                event_wake(word, count);
}

#endif
