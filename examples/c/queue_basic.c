/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_basic.c - three messages to a child and three back: a number, nothing at all, and a text.
 *
 *      queue_basic [fork|spawn]
 */
#include <skep/skep.h>
#include <stdio.h>
#include <string.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return 1; } } while (0)

static int send(skep_queue *queue)
{
        int64_t number = 42;

        TRY(skep_queue_put(queue, &number, sizeof(number), skep_forever()));
        TRY(skep_queue_put(queue, NULL, 0, skep_forever())); /* what None is to Python */
        TRY(skep_queue_put(queue, "hello", 5, skep_forever()));
        return 0;
}

static int receive(skep_queue *queue, const char *who)
{
        int64_t number;
        char text[16];
        size_t bytes;

        TRY(skep_queue_get(queue, &number, sizeof(number), &bytes, skep_within_ns(10000000000)));
        printf("%s got %d\n", who, (int)number);
        TRY(skep_queue_get(queue, NULL, 0, &bytes, skep_forever()));
        printf("%s got %zu bytes\n", who, bytes);
        TRY(skep_queue_get(queue, text, sizeof(text), &bytes, skep_forever()));
        printf("%s got %.*s\n", who, (int)bytes, text);
        return 0;
}

static int child(skep_hive *hive, const void *argument, size_t bytes)
{
        skep_queue *there, *back;

        (void)argument, (void)bytes;
        TRY(skep_queue_open(hive, "there", &there));
        TRY(skep_queue_open(hive, "back", &back));
        int failed = receive(there, skep_process_self_name()) || send(back);
        skep_queue_unref(there);
        skep_queue_unref(back);
        return failed;
}

int main(int argc, char **argv)
{
        uint32_t start = argc > 1 && !strcmp(argv[1], "fork") ? SKEP_START_FORK : SKEP_START_SPAWN;
        skep_hive *hive;
        skep_queue *there, *back;
        skep_process *process;

        skep_process_register("child", child);
        skep_process_main();

        TRY(skep_hive_create(NULL, &hive));
        TRY(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "there"), &there));
        TRY(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "back"), &back));
        TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = start, .function = child, .function_name = "child", .name = "child"), &process));
        int failed = send(there) || receive(back, "parent");
        TRY(skep_process_join(process, skep_forever()));
        failed |= skep_process_exit_code(process);
        skep_process_unref(process);
        skep_queue_unref(there);
        skep_queue_unref(back);
        skep_hive_detach(hive);
        return failed;
}
