/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared_frames.c - frames by hand: a block of shared memory for each, its name through a queue, unlinked by the consumer.
 *
 *      shared_frames [fork|spawn]     both sides
 *      shared_frames read NAME        attach a block that somebody else has made, Python for one; print its first value
 */
#include <skep/skep.h>
#include <stdio.h>
#include <string.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return 1; } } while (0)

static const size_t pixel_count = 1u * 3 * 2048 * 2048;

static int producer(skep_hive *hive, const void *argument, size_t bytes)
{
        skep_queue *names;

        (void)argument, (void)bytes;
        TRY(skep_queue_open(hive, "names", &names));
        for (int number = 0; number < 10; number++) {
                skep_shared_memory *block;
                TRY(skep_shared_memory_create(hive, SKEP_SHARED_MEMORY_OPTIONS(.bytes = pixel_count * sizeof(float)), &block));
                float *pixels = skep_shared_memory_address(block);
                for (size_t i = 0; i < pixel_count; i++)
                        pixels[i] = (float)number;
                const char *name = skep_shared_memory_name(block);
                TRY(skep_queue_put(names, name, strlen(name) + 1, skep_forever()));
                TRY(skep_shared_memory_leave(block)); /* we may be gone before it is read */
                skep_shared_memory_unref(block);
        }
        TRY(skep_queue_put(names, NULL, 0, skep_forever()));
        skep_queue_unref(names);
        return 0;
}

static int read_one(skep_hive *hive, const char *name, int unlink)
{
        skep_shared_memory *block;

        TRY(skep_shared_memory_open(hive, name, &block));
        const float *pixels = skep_shared_memory_address(block);
        printf("%llu bytes of %.1f\n", (unsigned long long)skep_shared_memory_bytes(block), pixels[0]);
        for (size_t i = 0; i < skep_shared_memory_bytes(block) / sizeof(float); i++)
                if (pixels[i] != pixels[0])
                        return 1;
        if (unlink)
                TRY(skep_shared_memory_unlink(block));
        skep_shared_memory_unref(block);
        return 0;
}

static int consumer(skep_hive *hive, const void *argument, size_t bytes)
{
        skep_queue *names;
        char name[256];

        (void)argument;
        TRY(skep_queue_open(hive, "names", &names));
        for (;;) {
                TRY(skep_queue_get(names, name, sizeof name, &bytes, skep_forever()));
                if (!bytes)
                        break;
                if (read_one(hive, name, 1))
                        return 1;
        }
        skep_queue_unref(names);
        return 0;
}

int main(int argc, char **argv)
{
        uint32_t start = argc > 1 && !strcmp(argv[1], "fork") ? SKEP_START_FORK : SKEP_START_SPAWN;
        skep_hive *hive;
        skep_queue *names;
        skep_process *make, *look;

        skep_process_register("producer", producer);
        skep_process_register("consumer", consumer);
        skep_process_main(); /* a spawned child does its work in here */

        TRY(skep_hive_create(NULL, &hive));
        if (argc > 2 && !strcmp(argv[1], "read")) {
                int failed = read_one(hive, argv[2], 0);
                skep_hive_detach(hive);
                return failed;
        }
        TRY(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "names", .capacity = 2), &names));
        TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = start, .function = consumer, .function_name = "consumer"), &look));
        TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = start, .function = producer, .function_name = "producer"), &make));
        TRY(skep_process_join(make, skep_forever()));
        TRY(skep_process_join(look, skep_forever()));
        int failed = skep_process_exit_code(make) || skep_process_exit_code(look);
        skep_process_unref(make);
        skep_process_unref(look);
        skep_queue_unref(names);
        skep_hive_detach(hive);
        return failed;
}
