/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hive_exchange.c - a C program and a Python program exchange bytes and arrays, both directions.
 *
 *      hive_exchange NAME &            makes the hive NAME with the queues "to-python" and "to-c"
 *      python3 hive_exchange.py NAME   the other half (examples/python/): says hello and negates the array
 */
#include <skep/skep.h>
#include <stdio.h>
#include <string.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return 1; } } while (0)

#define COUNT 1000

static int send(skep_hive *hive, skep_queue *queue)
{
        static const char text[] = "hello from C";
        skep_array *array;

        TRY(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_F64, .dimension_count = 1, .shape = (uint64_t[]){ COUNT }), &array));
        double *values = skep_array_data(array);
        for (int i = 0; i < COUNT; i++)
                values[i] = i;
        TRY(skep_queue_put(queue, text, strlen(text), skep_forever()));
        TRY(skep_queue_put_array(queue, array, skep_forever()));
        skep_array_unref(array);
        return 0;
}

static int receive(skep_queue *queue)
{
        skep_deadline deadline = skep_within_ns(60 * 1000000000ll);
        skep_array *array;
        char text[64];
        size_t bytes;
        int wrong = 0;

        TRY(skep_queue_get(queue, text, sizeof(text), &bytes, deadline));
        printf("C got %zu bytes: %.*s\n", bytes, (int)bytes, text);
        TRY(skep_queue_get_array(queue, &array, deadline));
        if (skep_array_element(array) != SKEP_ELEMENT_F64 || skep_array_count(array) != COUNT || !skep_array_is_contiguous(array))
                return fprintf(stderr, "not the array that was expected\n"), 1;
        const double *values = skep_array_data(array);
        for (int i = 0; i < COUNT; i++)
                wrong += values[i] != -(double)i;
        printf("C got %d of %s, %d of them wrong\n", COUNT, skep_element_name(skep_array_element(array)), wrong);
        skep_array_unref(array);
        return wrong || strncmp(text, "hello from Python", bytes);
}

int main(int argc, char **argv)
{
        skep_hive *hive;
        skep_queue *to_python, *to_c;

        if (argc != 2)
                return fprintf(stderr, "usage: hive_exchange NAME\n"), 2;
        TRY(skep_hive_create(SKEP_HIVE_OPTIONS(.name = argv[1], .capacity_bytes = 64 << 20), &hive));
        TRY(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "to-c"), &to_c));
        TRY(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "to-python"), &to_python));
        int failed = send(hive, to_python) || receive(to_c);
        skep_queue_unref(to_python);
        skep_queue_unref(to_c);
        skep_hive_detach(hive); /* the last member's leaving removes the name */
        return failed;
}
