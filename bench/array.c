/* SPDX-License-Identifier: Apache-2.0 */
/*
 * array.c - from put() of an array born in the hive to the first element read by the other process, which is awake.
 *
 * The time is taken on both sides with the same clock and contains one reading of it (about 25 ns).  Two arrays take
 * turns; both processes have touched them before, so no page fault is counted.  Peer: the bare ring, carrying an offset
 * into the same memory.
 */
#include "bench.h"

#define SAMPLES 4000
#define ROUNDS 7

struct relay {
        skep_queue *queue;
        skep_array *arrays[2];
        struct bare_ring *ring;
        struct {
                _Alignas(64) int64_t sent_ns;
                _Alignas(64) uint64_t seen; /* how many the consumer has read */
                double delays_ns[SAMPLES];
        } *shared;
};

static void wait_for(const struct relay *relay, uint64_t count)
{
        while (__atomic_load_n(&relay->shared->seen, __ATOMIC_ACQUIRE) != count)
                relax();
        for (int i = 0; i < 20; i++) /* the consumer goes back to waiting */
                relax();
}

static void note(const struct relay *relay, uint64_t index, const void *element)
{
        (void)*(const volatile unsigned char *)element;
        relay->shared->delays_ns[index] = (double)(now_ns() - relay->shared->sent_ns);
}

static void skep_send(void *context)
{
        struct relay *relay = context;

        for (uint64_t i = 0; i < SAMPLES; i++) {
                relay->shared->sent_ns = now_ns();
                MUST(skep_queue_put_array(relay->queue, relay->arrays[i % 2], skep_forever()));
                wait_for(relay, i + 1);
        }
}

static void skep_receive(void *context)
{
        struct relay *relay = context;
        skep_array *array;

        for (uint64_t i = 0; i < SAMPLES; i++) {
                MUST(skep_queue_get_array(relay->queue, &array, skep_forever()));
                note(relay, i, skep_array_data(array));
                skep_array_unref(array);
                __atomic_store_n(&relay->shared->seen, i + 1, __ATOMIC_RELEASE);
        }
}

static void bare_send(void *context)
{
        struct relay *relay = context;
        unsigned char message[BARE_BYTES] = { 0 };

        for (uint64_t i = 0; i < SAMPLES; i++) {
                skep_block block = skep_array_block(relay->arrays[i % 2]);

                relay->shared->sent_ns = now_ns();
                message[8] = (unsigned char)(i % 2);
                memcpy(message, &block.offset, sizeof(block.offset));
                bare_put(relay->ring, message, 1);
                wait_for(relay, i + 1);
        }
}

static void bare_receive(void *context)
{
        struct relay *relay = context;
        unsigned char message[BARE_BYTES];

        for (uint64_t i = 0; i < SAMPLES; i++) {
                (void)bare_get(relay->ring, message, 1);
                note(relay, i, skep_array_data(relay->arrays[message[8]]));
                __atomic_store_n(&relay->shared->seen, i + 1, __ATOMIC_RELEASE);
        }
}

static double relay_delay(struct relay *relay, void (*send)(void *), void (*receive)(void *))
{
        struct role roles[] = { { send, relay, 0 }, { receive, relay, 1 } };

        relay->shared->seen = 0;
        return isnan(perform(roles, 2)) ? NAN : median(relay->shared->delays_ns, SAMPLES);
}

static double skep_delay(void *context)
{
        return relay_delay(context, skep_send, skep_receive);
}

static double bare_delay(void *context)
{
        struct relay *relay = context;

        memset(relay->ring, 0, sizeof(*relay->ring));
        return relay_delay(relay, bare_send, bare_receive);
}

/* @return false if there is no memory for arrays of this size */
static bool arrays_make(skep_hive *hive, struct relay *relay, uint64_t bytes)
{
        for (int i = 0; i < 2; i++) {
                int r = skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8, .dimension_count = 1, .shape = &bytes,
                                                                   .flags = SKEP_ARRAY_UNINITIALIZED),
                                          &relay->arrays[i]);

                if (r == -ENOSPC && i)
                        relay->arrays[0] = skep_array_unref(relay->arrays[0]);
                if (r == -ENOSPC)
                        return false;
                MUST(r);
                memset(skep_array_data(relay->arrays[i]), i, 4096);
        }
        return true;
}

static void at(skep_hive *hive, struct relay *relay, uint64_t bytes, const char *parameters)
{
        if (!arrays_make(hive, relay, bytes)) {
                fprintf(stderr, "bench: no memory for arrays of %s\n", parameters);
                return;
        }
        COMPETE("array put -> first element", parameters, "ns", ROUNDS, { "skep", skep_delay, relay }, { "bare SPSC ring", bare_delay, relay });
        skep_array_unref(relay->arrays[0]);
        skep_array_unref(relay->arrays[1]);
}

int main(void)
{
        struct relay relay = { .ring = shared_memory(sizeof(struct bare_ring)) };
        skep_hive *hive;

        (void)alarm(60);
        relay.shared = shared_memory(sizeof(*relay.shared));
        MUST(skep_hive_create(NULL, &hive));
        MUST(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.capacity = 64), &relay.queue));
        at(hive, &relay, 4 << 10, "4 KiB, consumer awake, pinned to cores 0 and 1");
        at(hive, &relay, 48 << 20, "48 MiB, consumer awake, pinned to cores 0 and 1");
        at(hive, &relay, 1 << 30, "1 GiB, consumer awake, pinned to cores 0 and 1");
        skep_queue_unref(relay.queue);
        skep_hive_detach(hive);
        return 0;
}
