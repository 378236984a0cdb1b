/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_event.c - a thousand images through one array, with an event that says that the next is written and one that it is read.
 *
 *      image_event [fork|spawn]
 *
 * Each image carries its number and a checksum: none may be black, torn, repeated or skipped.
 */
#include <skep/skep.h>
#include <stdio.h>
#include <string.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return 1; } } while (0)

enum { IMAGES = 1000, HEIGHT = 720, WIDTH = 1080, CHANNELS = 3, WORDS = HEIGHT * WIDTH * CHANNELS / 8 };

/* Every word follows from the image's number and its place; the last is the sum of the others. */
static void draw(uint64_t *image, uint64_t number)
{
        uint64_t sum = 0;

        for (uint64_t i = 0; i < WORDS - 1; i++)
                sum += image[i] = number * UINT64_C(0x9e3779b97f4a7c15) + i;
        image[WORDS - 1] = sum;
}

static int is_sound(const uint64_t *image, uint64_t number)
{
        uint64_t sum = 0;

        for (uint64_t i = 0; i < WORDS - 1; i++)
                sum += image[i];
        return sum == image[WORDS - 1] && image[0] == number * UINT64_C(0x9e3779b97f4a7c15);
}

static int reader(skep_hive *hive, const void *argument, size_t bytes)
{
        skep_event *written, *read;
        skep_queue *queue;
        skep_array *array;
        int sound = 0;

        (void)argument, (void)bytes;
        TRY(skep_event_open(hive, "written", &written));
        TRY(skep_event_open(hive, "read", &read));
        TRY(skep_queue_open(hive, "image", &queue));
        TRY(skep_queue_get_array(queue, &array, skep_forever()));
        for (uint64_t number = 1; number <= IMAGES; number++) {
                TRY(skep_event_wait(written, skep_forever()));
                TRY(skep_event_clear(written));
                sound += is_sound(skep_array_data(array), number);
                TRY(skep_event_set(read));
        }
        printf("%d images, %d sound and in order\n", IMAGES, sound);
        skep_array_unref(array);
        skep_queue_unref(queue);
        skep_event_unref(read);
        skep_event_unref(written);
        return sound != IMAGES;
}

int main(int argc, char **argv)
{
        uint32_t start = argc > 1 && !strcmp(argv[1], "fork") ? SKEP_START_FORK : SKEP_START_SPAWN;
        skep_hive *hive;
        skep_event *written, *read;
        skep_queue *queue;
        skep_array *array;
        skep_process *process;

        skep_process_register("reader", reader);
        skep_process_main();

        TRY(skep_hive_create(NULL, &hive));
        TRY(skep_event_create(hive, "written", &written));
        TRY(skep_event_create(hive, "read", &read));
        TRY(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "image", .capacity = 1), &queue));
        TRY(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8, .dimension_count = 3,
                                                       .shape = (const uint64_t[]){ HEIGHT, WIDTH, CHANNELS }), &array));
        TRY(skep_queue_put_array(queue, array, skep_forever()));
        TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = start, .function = reader, .function_name = "reader"), &process));
        for (uint64_t number = 1; number <= IMAGES; number++) {
                draw(skep_array_data(array), number);
                TRY(skep_event_set(written));
                TRY(skep_event_wait(read, skep_within_ns(INT64_C(20000000000))));
                TRY(skep_event_clear(read));
        }
        TRY(skep_process_join(process, skep_forever()));
        int failed = skep_process_exit_code(process);
        skep_process_unref(process);
        skep_array_unref(array);
        skep_queue_unref(queue);
        skep_event_unref(written);
        skep_event_unref(read);
        skep_hive_detach(hive);
        return failed;
}
