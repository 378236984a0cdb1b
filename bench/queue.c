/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.c - what a message of 64 bytes costs: many in a row, alone, there and back, and while nobody sends.
 *
 * Peers: a pipe; a bare ring between one producer and one consumer, which can neither wait nor survive a death; a bare
 * futex ping-pong, which is the price of two wake-ups and nothing else.
 */
#include "bench.h"

#include <linux/futex.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define BYTES 64
#define RUN 64 /* messages per put_many */
#define ROUNDS 7

static skep_hive *hive;

/* --- many in a row ------------------------------------------------------------------------------------------------ */

struct flow {
        skep_queue *queue;
        struct bare_ring *ring;
        int pipe[2];
        uint64_t count; /* messages per producer, and per consumer */
        size_t run;     /* messages per call */
        size_t sides;   /* producers, and consumers */
};

static void skep_produce(void *context)
{
        struct flow *flow = context;
        char message[BYTES] = { 1 };

        for (uint64_t i = 0; i < flow->count; i++)
                MUST(skep_queue_put(flow->queue, message, sizeof(message), skep_forever()));
}

static void skep_consume(void *context)
{
        struct flow *flow = context;
        char message[BYTES];
        size_t bytes;

        for (uint64_t i = 0; i < flow->count; i++)
                MUST(skep_queue_get(flow->queue, message, sizeof(message), &bytes, skep_forever()));
}

static void skep_produce_many(void *context)
{
        struct flow *flow = context;
        static char memory[RUN][BYTES];
        struct skep_bytes messages[RUN];
        size_t done;

        for (size_t i = 0; i < RUN; i++)
                messages[i] = (struct skep_bytes){ memory[i], BYTES };
        for (uint64_t i = 0; i < flow->count; i += done)
                MUST(skep_queue_put_many(flow->queue, messages, flow->count - i < RUN ? flow->count - i : RUN, &done, skep_forever()));
}

static void skep_consume_many(void *context)
{
        struct flow *flow = context;
        static _Alignas(64) char memory[RUN][BYTES];
        struct skep_bytes messages[RUN];
        size_t done;

        for (uint64_t i = 0; i < flow->count; i += done)
                MUST(skep_queue_get_many(flow->queue, memory, sizeof(memory), messages, flow->count - i < RUN ? flow->count - i : RUN, &done,
                                         skep_forever()));
}

static void pipe_produce(void *context)
{
        struct flow *flow = context;
        static char memory[RUN * BYTES];

        for (uint64_t i = 0; i < flow->count; i += flow->run)
                must(write(flow->pipe[1], memory, flow->run * BYTES) == (ssize_t)(flow->run * BYTES) ? 0 : -1, "write");
}

static void pipe_consume(void *context)
{
        struct flow *flow = context;
        static char memory[RUN * BYTES];
        ssize_t got;

        for (uint64_t left = flow->count * BYTES; left; left -= (uint64_t)got) {
                got = read(flow->pipe[0], memory, left < flow->run * BYTES ? left : flow->run * BYTES);
                must(got > 0 ? 0 : -1, "read");
        }
}

static void bare_produce(void *context)
{
        struct flow *flow = context;
        static unsigned char memory[RUN * BYTES];

        for (uint64_t i = 0; i < flow->count; i += flow->run)
                bare_put(flow->ring, memory, flow->run);
}

static void bare_consume(void *context)
{
        struct flow *flow = context;
        static unsigned char memory[RUN * BYTES];

        for (uint64_t i = 0; i < flow->count;)
                i += bare_get(flow->ring, memory, flow->count - i < flow->run ? flow->count - i : flow->run);
}

/* Millions of messages per second. One to one is pinned to two cores. */
static double flow_rate(struct flow *flow, void (*produce)(void *), void (*consume)(void *))
{
        struct role roles[ROLES_MAX];

        for (size_t i = 0; i < flow->sides; i++) {
                roles[i] = (struct role){ produce, flow, flow->sides == 1 ? 0 : NO_CPU };
                roles[flow->sides + i] = (struct role){ consume, flow, flow->sides == 1 ? 1 : NO_CPU };
        }
        return (double)(flow->count * flow->sides) * 1e3 / perform(roles, 2 * flow->sides);
}

static double skep_flow(void *context)
{
        return flow_rate(context, skep_produce, skep_consume);
}

static double skep_flow_many(void *context)
{
        return flow_rate(context, skep_produce_many, skep_consume_many);
}

static double pipe_flow(void *context)
{
        return flow_rate(context, pipe_produce, pipe_consume);
}

static double bare_flow(void *context)
{
        struct flow *flow = context;

        memset(flow->ring, 0, sizeof(*flow->ring));
        return flow_rate(flow, bare_produce, bare_consume);
}

static void flows(skep_queue *queue, struct bare_ring *ring)
{
        struct flow skep = { .queue = queue, .count = 2000000, .run = 1, .sides = 1 };
        struct flow pipes = { .count = 300032, .run = 1, .sides = 1 };
        struct flow bare = { .ring = ring, .count = 4000000, .run = 1, .sides = 1 };

        must(pipe(pipes.pipe), "pipe");
        COMPETE("messages 1->1", "64 B, one by one, pinned to cores 0 and 1", "M/s", ROUNDS, { "skep", skep_flow, &skep }, { "pipe", pipe_flow, &pipes },
                { "bare SPSC ring", bare_flow, &bare });
        skep.count = 8000000, pipes.count = 2000000, bare.count = 8000000, pipes.run = bare.run = RUN;
        COMPETE("messages 1->1 many", "64 B, runs of 64, pinned to cores 0 and 1", "M/s", ROUNDS, { "skep", skep_flow_many, &skep },
                { "pipe", pipe_flow, &pipes }, { "bare SPSC ring", bare_flow, &bare });
        skep.count = 1000000, skep.sides = pipes.sides = 2, pipes.count = 150016, pipes.run = 1;
        COMPETE("messages 2->2", "64 B, one by one, not pinned", "M/s", ROUNDS, { "skep", skep_flow, &skep }, { "pipe", pipe_flow, &pipes });
        skep.count = 4000000;
        COMPETE("messages 2->2 many", "64 B, runs of 64, not pinned", "M/s", ROUNDS, { "skep", skep_flow_many, &skep });
        (void)close(pipes.pipe[0]);
        (void)close(pipes.pipe[1]);
}

/* --- alone -------------------------------------------------------------------------------------------------------- */

static double skep_alone(void *context)
{
        struct flow *flow = context;
        char message[BYTES] = { 1 };
        size_t bytes;
        int64_t start_ns = now_ns();

        for (uint64_t i = 0; i < flow->count; i++) {
                MUST(skep_queue_put(flow->queue, message, sizeof(message), skep_forever()));
                MUST(skep_queue_get(flow->queue, message, sizeof(message), &bytes, skep_forever()));
        }
        return (double)(now_ns() - start_ns) / (double)flow->count;
}

static double pipe_alone(void *context)
{
        struct flow *flow = context;
        char message[BYTES] = { 1 };
        int64_t start_ns = now_ns();

        for (uint64_t i = 0; i < flow->count; i++)
                must(write(flow->pipe[1], message, BYTES) == BYTES && read(flow->pipe[0], message, BYTES) == BYTES ? 0 : -1, "pipe");
        return (double)(now_ns() - start_ns) / (double)flow->count;
}

static void alone(skep_queue *queue)
{
        struct flow skep = { .queue = queue, .count = 1000000 }, pipes = { .count = 100000 };

        must(pipe(pipes.pipe), "pipe");
        COMPETE("put + get uncontended", "64 B, one process", "ns", ROUNDS, { "skep", skep_alone, &skep }, { "pipe", pipe_alone, &pipes });
        (void)close(pipes.pipe[0]);
        (void)close(pipes.pipe[1]);
}

/* --- there and back ----------------------------------------------------------------------------------------------- */

struct trip {
        skep_queue *there, *back;
        uint32_t *words; /* of the futex */
        uint64_t count;
        bool awake; /* ask again and again instead of waiting */
};

static void trip_get(const struct trip *trip, skep_queue *queue)
{
        char message[BYTES];
        size_t bytes;
        int r;

        do
                r = skep_queue_get(queue, message, sizeof(message), &bytes, trip->awake ? skep_nowait() : skep_forever());
        while (r == -ETIMEDOUT && trip->awake);
        MUST(r);
}

static void trip_client(void *context)
{
        struct trip *trip = context;
        char message[BYTES] = { 1 };

        for (uint64_t i = 0; i < trip->count; i++) {
                MUST(skep_queue_put(trip->there, message, sizeof(message), skep_forever()));
                trip_get(trip, trip->back);
        }
}

static void trip_server(void *context)
{
        struct trip *trip = context;
        char message[BYTES] = { 1 };

        for (uint64_t i = 0; i < trip->count; i++) {
                trip_get(trip, trip->there);
                MUST(skep_queue_put(trip->back, message, sizeof(message), skep_forever()));
        }
}

static double skep_trip(void *context)
{
        struct trip *trip = context;
        struct role roles[] = { { trip_client, trip, 0 }, { trip_server, trip, 1 } };

        return perform(roles, 2) / (double)trip->count;
}

static void futex_send(uint32_t *word)
{
        __atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
        (void)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void futex_receive(uint32_t *word)
{
        while (!__atomic_load_n(word, __ATOMIC_ACQUIRE))
                (void)syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
        __atomic_store_n(word, 0, __ATOMIC_SEQ_CST);
}

static void futex_client(void *context)
{
        struct trip *trip = context;

        for (uint64_t i = 0; i < trip->count; i++) {
                futex_send(&trip->words[0]);
                futex_receive(&trip->words[32]);
        }
}

static void futex_server(void *context)
{
        struct trip *trip = context;

        for (uint64_t i = 0; i < trip->count; i++) {
                futex_receive(&trip->words[0]);
                futex_send(&trip->words[32]);
        }
}

static double futex_trip(void *context)
{
        struct trip *trip = context;
        struct role roles[] = { { futex_client, trip, 0 }, { futex_server, trip, 1 } };

        return perform(roles, 2) / (double)trip->count;
}

static skep_queue *queue_new(uint32_t flags)
{
        skep_queue *queue;

        MUST(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.capacity = 1024, .flags = flags), &queue));
        return queue;
}

static void trips(void)
{
        uint32_t *words = shared_memory(4096);
        struct trip awake = { .there = queue_new(0), .back = queue_new(0), .count = 200000, .awake = true };
        struct trip adaptive = { .there = awake.there, .back = awake.back, .count = 100000 };
        struct trip blocking = { .there = queue_new(SKEP_QUEUE_NO_SPIN), .back = queue_new(SKEP_QUEUE_NO_SPIN), .count = 3000 };
        struct trip futex = { .words = words, .count = 3000 };

        COMPETE("round trip awake", "64 B, both ask without waiting, pinned to cores 0 and 1", "ns", ROUNDS, { "skep", skep_trip, &awake });
        COMPETE("round trip adaptive", "64 B, pinned to cores 0 and 1", "ns", ROUNDS, { "skep", skep_trip, &adaptive });
        COMPETE("round trip blocking", "64 B, no spinning, pinned to cores 0 and 1", "ns", ROUNDS_MAX, { "skep", skep_trip, &blocking },
                { "bare futex", futex_trip, &futex });
        skep_queue_unref(awake.there);
        skep_queue_unref(awake.back);
        skep_queue_unref(blocking.there);
        skep_queue_unref(blocking.back);
}

/* --- while nobody sends ------------------------------------------------------------------------------------------- */

struct idle {
        skep_queue *queue;
        int messages; /* per second */
};

static void idle_send(void *context)
{
        struct idle *idle = context;

        for (int i = 0; i < idle->messages; i++) {
                (void)usleep((useconds_t)(1000000 / idle->messages));
                MUST(skep_queue_put(idle->queue, "", 1, skep_forever()));
        }
        if (!idle->messages)
                (void)sleep(1);
        MUST(skep_queue_put(idle->queue, "end", 3, skep_forever()));
}

static double seconds_used(const struct rusage *usage)
{
        return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) + (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

/* Per cent of a core that the waiting side uses. */
static double idle_share(void *context)
{
        struct idle *idle = context;
        struct rusage before, after;
        int64_t start_ns = now_ns();
        char message[8];
        size_t bytes = 0;
        pid_t sender = fork();

        if (!sender) {
                (void)alarm(SECONDS_MAX);
                idle_send(idle);
                _exit(0);
        }
        (void)getrusage(RUSAGE_SELF, &before);
        while (bytes != 3)
                MUST(skep_queue_get(idle->queue, message, sizeof(message), &bytes, skep_within_ns(10000000000)));
        (void)getrusage(RUSAGE_SELF, &after);
        (void)waitpid(sender, NULL, 0);
        return (seconds_used(&after) - seconds_used(&before)) * 1e11 / (double)(now_ns() - start_ns);
}

static void idles(skep_queue *queue)
{
        struct idle still = { queue, 0 }, slow = { queue, 500 };

        COMPETE("idle CPU use", "adaptive, one second without a message", "% of a core", 3, { "skep", idle_share, &still });
        COMPETE("idle CPU use", "adaptive, 500 messages per second", "% of a core", 3, { "skep", idle_share, &slow });
}

int main(void)
{
        skep_queue *queue;

        (void)alarm(150);
        MUST(skep_hive_create(NULL, &hive));
        queue = queue_new(0);
        flows(queue, shared_memory(sizeof(struct bare_ring)));
        alone(queue);
        trips();
        idles(queue);
        skep_queue_unref(queue);
        skep_hive_detach(hive);
        return 0;
}
