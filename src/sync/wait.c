/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c - sleeping in slices; the event count (contract and proof: wait.h). */
#include "sync/wait.h"

#include "base/probe.h"
#include "os/os.h"

#include <errno.h>
#include <skep/hive.h>
#include <stdbool.h>

int64_t wait_slice_ns = WAIT_SLICE_NS;

static _Thread_local skep_interrupt *interrupt __attribute__((tls_model("initial-exec")));
static _Thread_local void *interrupt_context __attribute__((tls_model("initial-exec")));

void skep_thread_on_interrupt(skep_interrupt *function, void *context)
{
        interrupt = function;
        interrupt_context = context;
}

bool wait_may_be_interrupted(void)
{
        return interrupt != NULL;
}

int wait_ask(void)
{
        int told = interrupt ? interrupt(interrupt_context) : 0;
        return told < 0 ? told : 0;
}

void wait_begins(struct skep_agent *agent, const void *what, uint32_t owner)
{
        struct shm_wait *wait = &agent->shared->wait;
        wait->since_ns = os_now_ns();
        skep_store32_relaxed(&wait->owner, 0);
        wait_owner(agent, owner);
        skep_store(&wait->sleeps_on, hive_offset(agent->hive, what));
}

void wait_owner(struct skep_agent *agent, uint32_t owner)
{
        struct shm_wait *wait = &agent->shared->wait;
        if (skep_load32(&wait->owner) == owner)
                return;
        wait->owner_since_ns = os_now_ns();
        skep_store32(&wait->owner, owner);
}

void wait_ends(struct skep_agent *agent)
{
        skep_store_relaxed(&agent->shared->wait.sleeps_on, 0);
}

static int sleep_slice(uint32_t *const *words, const uint32_t *expected, uint32_t count, skep_deadline deadline, bool may_interrupt)
{
        int64_t until = deadline.monotonic_ns;
        if (until == 0)
                return -ETIMEDOUT;
        int64_t slice = os_now_ns() + wait_slice_ns;
        bool last = until <= slice;
        if (last)
                slice = until;
        int result = count == 1 ? os_futex_wait(*words, *expected, slice) : os_futex_wait_many(words, expected, count, slice);
        if (result == 0)
                return 0;
        int told = may_interrupt && (result == -EINTR || !last) ? wait_ask() : 0;
        if (told < 0)
                return told;
        return result == -EINTR ? 0 : last ? -ETIMEDOUT : WAIT_UNCHANGED;
}

int wait_slice(uint32_t *word, uint32_t expected, skep_deadline deadline)
{
        return sleep_slice(&word, &expected, 1, deadline, true);
}

int wait_slice_many(uint32_t *const *words, const uint32_t *expected, uint32_t count, skep_deadline deadline)
{
        return sleep_slice(words, expected, count, deadline, true);
}

int wait_slice_surely(uint32_t *word, uint32_t expected, skep_deadline deadline)
{
        return sleep_slice(&word, &expected, 1, deadline, false);
}

uint32_t event_prepare(uint32_t *word)
{
        uint32_t key = skep_fetch_or32(word, EVENT_WAITERS) | EVENT_WAITERS;
        skep_fence();
        PROBE("event.armed");
        return key;
}

void event_wake(uint32_t *word, int count)
{
        uint32_t key = skep_fetch_add32(word, 2) + 2;
        PROBE("event.counted");
        if (os_futex_wake(word, count) == 0)
                (void)skep_cas32(word, &key, key & ~EVENT_WAITERS);
}
