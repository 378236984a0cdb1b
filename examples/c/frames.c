/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames.c - one process makes pictures, another looks at them; no byte of a picture is copied.
 *
 *      frames [fork|spawn]
 *
 * Ten arrays of float32, 48 MiB each, go through a queue of two places, then a message without bytes as end mark.
 */
#include <skep/skep.h>
#include <stdio.h>
#include <string.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return 1; } } while (0)

static const uint64_t shape[] = { 1, 3, 2048, 2048 };

static int producer(skep_hive *hive, const void *argument, size_t bytes)
{
        skep_queue *queue;

        (void)argument, (void)bytes;
        TRY(skep_queue_open(hive, "frames", &queue));
        for (int number = 0; number < 10; number++) {
                skep_array *frame;
                TRY(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_F32, .dimension_count = 4, .shape = shape,
                                                               .flags = SKEP_ARRAY_UNINITIALIZED), &frame));
                float *pixels = skep_array_data(frame);
                for (uint64_t i = 0; i < skep_array_count(frame); i++)
                        pixels[i] = (float)number;
                TRY(skep_queue_put_array(queue, frame, skep_forever())); /* a reference moves, the pixels stay */
                skep_array_unref(frame);
        }
        TRY(skep_queue_put(queue, NULL, 0, skep_forever()));
        skep_queue_unref(queue);
        return 0;
}

static int consumer(skep_hive *hive, const void *argument, size_t bytes)
{
        skep_queue *queue;
        skep_array *frame;

        (void)argument;
        TRY(skep_queue_open(hive, "frames", &queue));
        while (skep_queue_get_array(queue, &frame, skep_forever()) == 0) {
                const uint64_t *n = skep_array_shape(frame);
                printf("(%d, %d, %d, %d) %.1f\n", (int)n[0], (int)n[1], (int)n[2], (int)n[3], *(float *)skep_array_data(frame));
                skep_array_unref(frame);
        }
        TRY(skep_queue_get(queue, NULL, 0, &bytes, skep_nowait())); /* not an array: the end mark */
        skep_queue_unref(queue);
        return 0;
}

int main(int argc, char **argv)
{
        uint32_t start = argc > 1 && !strcmp(argv[1], "fork") ? SKEP_START_FORK : SKEP_START_SPAWN;
        skep_hive *hive;
        skep_queue *queue;
        skep_process *make, *look;

        skep_process_register("producer", producer);
        skep_process_register("consumer", consumer);
        skep_process_main(); /* a spawned child does its work in here */

        TRY(skep_hive_create(NULL, &hive));
        TRY(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "frames", .capacity = 2), &queue));
        TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = start, .function = consumer, .function_name = "consumer"), &look));
        TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = start, .function = producer, .function_name = "producer"), &make));
        TRY(skep_process_join(make, skep_forever()));
        TRY(skep_process_join(look, skep_forever()));
        int failed = skep_process_exit_code(make) || skep_process_exit_code(look);
        skep_process_unref(make);
        skep_process_unref(look);
        skep_queue_unref(queue);
        skep_hive_detach(hive);
        return failed;
}
