/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c - sleeping in slices; the event count (contract and proof: wait.h). */
#include "sync/wait.h"

#include "base/probe.h"
#include "os/os.h"

#include <errno.h>

int wait_slice(struct skep_agent *agent, uint32_t *word, uint32_t expected, skep_deadline deadline)
{
        int64_t until = deadline.monotonic_ns;
        if (until != 0) {
                int64_t slice = os_now_ns() + WAIT_SLICE_NS;
                until = until < slice ? until : slice;
        }
        skep_store_relaxed(&agent->shared->sleeps_on, hive_offset(agent->hive, word));
        int result = until ? os_futex_wait(word, expected, until) : -ETIMEDOUT;
        skep_store_relaxed(&agent->shared->sleeps_on, 0);
        if (result == -ETIMEDOUT && until != deadline.monotonic_ns)
                return 0;
        return result;
}

uint32_t event_prepare(uint32_t *word)
{
        uint32_t key = skep_fetch_or32(word, EVENT_WAITERS) | EVENT_WAITERS;
        skep_fence();
        PROBE("event.armed");
        return key;
}

int event_wait(struct skep_agent *agent, uint32_t *word, uint32_t key, skep_deadline deadline)
{
        return wait_slice(agent, word, key, deadline);
}

void event_wake(uint32_t *word, int count)
{
        uint32_t key = skep_fetch_add32(word, 2) + 2;
        PROBE("event.counted");
        if (os_futex_wake(word, count) == 0)
                (void)skep_cas32(word, &key, key & ~EVENT_WAITERS);
}
