/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.c - how a queue waits: spin while that has paid lately, then sleep.
 *
 * A hand-over to a spinning consumer costs a cache line, to a sleeping one two changes of context.  So before sleeping we
 * look for spin_ns: doubled when it paid, halved when not (down to almost nothing when nobody is busy on the other side),
 * and tried at length now and then.  Each end of a slice asks whether somebody died, for he may be what we wait for.
 */
#include "os/os.h"
#include "queue/queue.h"
#include "sync/wait.h"

#include <errno.h>

#define SPIN_MAX_NS 50000u
#define SPIN_MIN_NS 500u
#define SPIN_RETRY 64u

#define LINGER_PAUSES 256u
#define LINGER_PAYS 32u
#define LINGER_EVERY_MAX 1024u

static void pause_for(uint32_t pauses)
{
        for (uint32_t i = 0; i < pauses; i++)
                skep_relax();
}

/*
 * Who has caught up with the other side fights it for every cache line.  So stand back for a moment: it gets ahead, and both
 * go faster.  That pays if many messages pass before the next wait; if not, try again later and more rarely.
 */
static void linger(struct queue_side *side, uint64_t position)
{
        uint32_t every = skep_load32_relaxed(&side->linger_every), left = skep_load32_relaxed(&side->linger_in);
        if (left == 0) {
                bool paid = position - skep_load_relaxed(&side->lingered_at) >= LINGER_PAYS;
                left = every = paid ? 1 : every * 2 < LINGER_EVERY_MAX ? every * 2 : LINGER_EVERY_MAX;
                skep_store32_relaxed(&side->linger_every, every);
        }
        skep_store32_relaxed(&side->linger_in, left - 1);
        if (left > 1)
                return;
        skep_store_relaxed(&side->lingered_at, position);
        pause_for(LINGER_PAUSES);
}

static bool spin(skep_queue *queue, struct queue_side *side, queue_condition *condition, skep_deadline deadline)
{
        uint32_t budget = skep_load32_relaxed(&side->spin_ns);
        uint32_t waits = skep_load32_relaxed(&side->waits) + 1;
        skep_store32_relaxed(&side->waits, waits);
        if (waits % SPIN_RETRY == 0 && budget < SPIN_MAX_NS / 4)
                budget = SPIN_MAX_NS / 4;
        int64_t until = os_now_ns() + budget;
        if (until > deadline.monotonic_ns)
                until = deadline.monotonic_ns;
        /* Each look takes the cache line from the one who is about to write it: look often at first, then leave him room. */
        for (uint32_t looks = 0, pause = 1;; looks++, pause += pause < 16 && looks % 8 == 7) {
                if (condition(queue)) {
                        skep_store32_relaxed(&side->spin_ns, budget * 2 < SPIN_MAX_NS ? budget * 2 : SPIN_MAX_NS);
                        return true;
                }
                pause_for(pause);
                if (looks % 16 == 15 && os_now_ns() >= until)
                        break;
        }
        skep_store32_relaxed(&side->spin_ns, budget / 2 > SPIN_MIN_NS ? budget / 2 : SPIN_MIN_NS);
        return false;
}

int queue_wait(skep_queue *queue, struct skep_agent *agent, struct queue_side *side, uint64_t position, skep_deadline deadline)
{
        if (deadline.monotonic_ns == 0)
                return -ETIMEDOUT;
        bool put = side == &queue->putting;
        uint32_t *event = put ? &queue->shared->not_full : &queue->shared->not_empty;
        queue_condition *condition = put ? queue_has_space : queue_is_ready;
        if (queue->may_spin) {
                linger(side, position);
                if (spin(queue, side, condition, deadline))
                        return 0;
        }
        wait_begins(agent, event, 0);
        int result = 0;
        for (;;) {
                uint32_t key = event_prepare(event);
                if (result < 0 || condition(queue))
                        break;
                result = wait_slice(event, key, deadline);
                if (result != WAIT_UNCHANGED)
                        break;
                result = skep_hive_reap(queue->hive, NULL); /* perhaps he died */
        }
        wait_ends(agent);
        return result;
}

static bool any_is_ready(skep_queue *const *queues, uint32_t count)
{
        for (uint32_t i = 0; i < count; i++)
                if (queue_is_ready(queues[i]))
                        return true;
        return false;
}

int skep_queue_poll_any(skep_queue *const *queues, size_t count, skep_deadline deadline)
{
        uint32_t *words[OS_FUTEX_MANY_MAX], keys[OS_FUTEX_MANY_MAX];
        struct skep_agent *agent;
        if (!count || count > OS_FUTEX_MANY_MAX)
                return count ? -E2BIG : -EINVAL;
        skep_hive *hive = queues[0]->hive;
        int result = agent_self(hive, &agent);
        for (uint32_t i = 0; i < count && result == 0; i++)
                result = queues[i]->hive == hive ? 0 : -EINVAL;
        if (result < 0 || any_is_ready(queues, (uint32_t)count))
                return result;
        if (count == 1)
                return skep_queue_poll(queues[0], deadline);
        if (!os_futex_has_many())
                return -ENOTSUP;
        wait_begins(agent, &queues[0]->shared->not_empty, 0);
        for (;;) {
                for (uint32_t i = 0; i < count; i++) {
                        words[i] = &queues[i]->shared->not_empty;
                        keys[i] = event_prepare(words[i]);
                }
                if (any_is_ready(queues, (uint32_t)count)) {
                        result = 0;
                        break;
                }
                if (result == 0)
                        result = wait_slice_many(words, keys, (uint32_t)count, deadline);
                if (result == WAIT_UNCHANGED)
                        result = skep_hive_reap(hive, NULL);
                else if (result < 0)
                        break;
        }
        wait_ends(agent);
        return result;
}
