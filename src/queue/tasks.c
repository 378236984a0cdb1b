/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasks.c - messages that were put and for which nobody has said yet that they are done.
 *
 * THE COUNT.  unfinished = put - done.  `done` is one word, only raised.  `put` is stored nowhere, as the rings know it: the claim of a slot
 *          counts the message, and the slot's skipping takes that back (ring_puts).  So put and get pay nothing for it, and the store
 *          that puts a message, or that skips the slot of a dead producer, is also the one that counts.
 *   state    by                                              to
 *   p, d     producer, claim of a slot                       p + 1, d
 *   p, d     his reaper, skip of a slot that he left         p - 1, d    and wakes
 *   p, d < p anybody, compare-and-swap of `done`             p, d + 1    and wakes if that is p
 * ORDER.   `done` is read first, then what was skipped, then what was claimed.  If put and done are then equal, they were when the last was
 *          read: done <= put at all times, and neither what is done nor what was skipped becomes less.
 * CRASH.   dies                                    found as                    repaired by
 *          with a slot claimed, not FULL           WRITING(dead)               ring_recover(): skipped, once
 *          with a message that he has taken        unfinished                  whoever says task_done for him: nobody can know
 *          between `done` and waking               -                           the sleepers' slices end
 * A ring is sealed by who has found it full, so rings behind one that is not sealed have never had a message.
 */
#include "base/probe.h"
#include "queue/queue.h"
#include "sync/wait.h"

#include <errno.h>

static uint64_t tasks_put(skep_queue *queue)
{
        uint64_t put = 0;
        const struct ring *ring;
        bool sealed = true;
        for (uint32_t segment = 0; sealed && (ring = queue_ring(queue, segment)); segment++)
                put += ring_puts(ring, &sealed);
        return put;
}

static uint64_t tasks_left(skep_queue *queue, uint64_t done)
{
        uint64_t put = tasks_put(queue);
        return put > done ? put - done : 0;
}

uint64_t skep_queue_unfinished(const skep_queue *given)
{
        skep_queue *queue = (skep_queue *)(uintptr_t)given; /* only its cache of rings changes */
        return tasks_left(queue, skep_load(&queue->shared->done));
}

int skep_queue_task_done(skep_queue *queue)
{
        struct shm_queue *shared = queue->shared;
        uint64_t done = skep_load(&shared->done), left;
        do
                if (!(left = tasks_left(queue, done)))
                        return -EOVERFLOW;
        while (!skep_cas(&shared->done, &done, done + 1));
        PROBE("queue.task_done");
        if (left == 1)
                event_notify(&shared->all_done, INT32_MAX);
        return 0;
}

int skep_queue_join(skep_queue *queue, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = agent_self(queue->hive, &agent);
        if (result < 0 || !skep_queue_unfinished(queue))
                return result;
        if (deadline.monotonic_ns == 0)
                return -ETIMEDOUT;
        uint32_t *event = &queue->shared->all_done;
        wait_begins(agent, event, 0);
        for (;;) {
                uint32_t key = event_prepare(event);
                if (!skep_queue_unfinished(queue)) {
                        result = 0;
                        break;
                }
                if (result < 0)
                        break;
                result = wait_slice(event, key, deadline);
                if (wait_interrupted(result))
                        break;
                if (result == WAIT_UNCHANGED)
                        result = skep_hive_reap(queue->hive, NULL); /* perhaps a producer died */
        }
        wait_ends(agent);
        return result;
}
