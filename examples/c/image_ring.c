/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_ring.c - images through shared memory: one image and two events first, then a ring of 100, two producers, one consumer.
 *
 *      image_ring [fork|spawn]
 *
 * Each image carries its checksum, so that a black, torn or skipped one is found.
 */
#include <skep/skep.h>
#include <stdio.h>
#include <string.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return 1; } } while (0)

enum { ONE_BYTES = 720 * 1080 * 3, ONE_COUNT = 100, IMAGE_BYTES = 480 * 640 * 3, RING = 100, RING_COUNT = 200 };

struct one {
        uint64_t checksum;
        unsigned char pixels[ONE_BYTES];
};

struct filled {
        uint32_t place, who, number;
        uint64_t checksum;
};

static uint64_t checksum_of(const unsigned char *pixels, size_t bytes)
{
        uint64_t sum = 1469598103934665603u;
        for (size_t i = 0; i < bytes; i += 8) {
                uint64_t word;
                memcpy(&word, pixels + i, 8);
                sum = (sum ^ word) * 1099511628211u;
        }
        return sum;
}

static uint64_t paint(unsigned char *pixels, size_t bytes, uint32_t who, uint32_t number)
{
        memset(pixels, (int)((31 * who + 7 * number + 1) % 251), bytes);
        memcpy(pixels + 1000, &number, sizeof number);
        return checksum_of(pixels, bytes);
}

static int is_good(const unsigned char *pixels, size_t bytes, uint64_t checksum, uint32_t number)
{
        return checksum_of(pixels, bytes) == checksum && !memcmp(pixels + 1000, &number, sizeof number);
}

static int writer(skep_hive *hive, const void *name, size_t bytes)
{
        skep_shared_memory *block;
        skep_event *written, *seen;

        (void)bytes;
        TRY(skep_shared_memory_open(hive, name, &block));
        TRY(skep_event_open(hive, "written", &written));
        TRY(skep_event_open(hive, "seen", &seen));
        struct one *one = skep_shared_memory_address(block);
        for (uint32_t number = 0; number < ONE_COUNT; number++) {
                TRY(skep_event_wait(seen, skep_forever()));
                skep_event_clear(seen);
                one->checksum = paint(one->pixels, ONE_BYTES, 0, number);
                skep_event_set(written);
        }
        skep_event_unref(written);
        skep_event_unref(seen);
        skep_shared_memory_unref(block);
        return 0;
}

static int producer(skep_hive *hive, const void *argument, size_t bytes)
{
        struct filled filled;
        skep_shared_memory *block;
        skep_queue *free_places, *filled_places;
        char name[256];

        memcpy(&filled.who, argument, sizeof filled.who);
        memcpy(name, (const char *)argument + sizeof filled.who, bytes - sizeof filled.who);
        TRY(skep_shared_memory_open(hive, name, &block));
        TRY(skep_queue_open(hive, "free", &free_places));
        TRY(skep_queue_open(hive, "filled", &filled_places));
        unsigned char *ring = skep_shared_memory_address(block);
        for (filled.number = 0; filled.number < RING_COUNT; filled.number++) {
                TRY(skep_queue_get(free_places, &filled.place, sizeof filled.place, &bytes, skep_forever()));
                filled.checksum = paint(ring + (size_t)filled.place * IMAGE_BYTES, IMAGE_BYTES, filled.who, filled.number);
                TRY(skep_queue_put(filled_places, &filled, sizeof filled, skep_forever()));
        }
        skep_queue_unref(free_places);
        skep_queue_unref(filled_places);
        skep_shared_memory_unref(block);
        return 0;
}

static int one_at_a_time(skep_hive *hive, uint32_t start)
{
        skep_shared_memory *block;
        skep_event *written, *seen;
        skep_process *process;
        int good = 0;

        TRY(skep_shared_memory_create(hive, SKEP_SHARED_MEMORY_OPTIONS(.bytes = sizeof(struct one)), &block));
        TRY(skep_event_create(hive, "written", &written));
        TRY(skep_event_create(hive, "seen", &seen));
        const char *name = skep_shared_memory_name(block);
        TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = start, .function = writer, .function_name = "writer", .argument = name,
                                                    .argument_bytes = strlen(name) + 1), &process));
        struct one *one = skep_shared_memory_address(block);
        for (uint32_t number = 0; number < ONE_COUNT; number++) {
                skep_event_set(seen);
                TRY(skep_event_wait(written, skep_forever()));
                skep_event_clear(written);
                good += is_good(one->pixels, ONE_BYTES, one->checksum, number);
        }
        TRY(skep_process_join(process, skep_forever()));
        printf("%d of %d images one at a time\n", good, ONE_COUNT);
        skep_process_unref(process);
        skep_event_unref(written);
        skep_event_unref(seen);
        skep_shared_memory_unref(block);
        return 0;
}

static int through_a_ring(skep_hive *hive, uint32_t start)
{
        skep_shared_memory *block;
        skep_queue *free_places, *filled_places;
        skep_process *processes[2];
        struct { uint32_t who; char name[256]; } argument;
        uint32_t expected[2] = { 0, 0 };
        int good = 0;

        TRY(skep_shared_memory_create(hive, SKEP_SHARED_MEMORY_OPTIONS(.bytes = (uint64_t)RING * IMAGE_BYTES), &block));
        TRY(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "free", .capacity = RING), &free_places));
        TRY(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "filled", .capacity = RING), &filled_places));
        for (uint32_t place = 0; place < RING; place++)
                TRY(skep_queue_put(free_places, &place, sizeof place, skep_forever()));
        snprintf(argument.name, sizeof argument.name, "%s", skep_shared_memory_name(block));
        for (argument.who = 0; argument.who < 2; argument.who++)
                TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = start, .function = producer, .function_name = "producer",
                                                            .argument = &argument, .argument_bytes = sizeof argument), &processes[argument.who]));
        const unsigned char *ring = skep_shared_memory_address(block);
        for (int i = 0; i < 2 * RING_COUNT; i++) {
                struct filled filled;
                size_t bytes;
                TRY(skep_queue_get(filled_places, &filled, sizeof filled, &bytes, skep_forever()));
                good += filled.number == expected[filled.who]++ &&
                        is_good(ring + (size_t)filled.place * IMAGE_BYTES, IMAGE_BYTES, filled.checksum, filled.number);
                TRY(skep_queue_put(free_places, &filled.place, sizeof filled.place, skep_forever()));
        }
        for (int i = 0; i < 2; i++) {
                TRY(skep_process_join(processes[i], skep_forever()));
                skep_process_unref(processes[i]);
        }
        printf("%d of %d images through a ring of %d\n", good, 2 * RING_COUNT, RING);
        skep_queue_unref(free_places);
        skep_queue_unref(filled_places);
        skep_shared_memory_unref(block);
        return 0;
}

int main(int argc, char **argv)
{
        uint32_t start = argc > 1 && !strcmp(argv[1], "fork") ? SKEP_START_FORK : SKEP_START_SPAWN;
        skep_hive *hive;

        skep_process_register("writer", writer);
        skep_process_register("producer", producer);
        skep_process_main(); /* a spawned child does its work in here */

        TRY(skep_hive_create(NULL, &hive));
        int failed = one_at_a_time(hive, start) || through_a_ring(hive, start);
        skep_hive_detach(hive);
        return failed;
}
