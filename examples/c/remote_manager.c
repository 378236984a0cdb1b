/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote_manager.c - a task queue and a result queue that live on another machine.
 *
 *      skep serve --listen tcp://127.0.0.1:9010 --authkey-file key
 *      remote_manager master tcp://127.0.0.1:9010 z     makes the queues, puts two names, prints the results
 *      remote_manager worker tcp://127.0.0.1:9010 z     answers tasks until there are no more
 */
#include <errno.h>
#include <skep/skep.h>
#include <stdio.h>
#include <string.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return 1; } } while (0)
#define PATIENCE skep_within_ns(INT64_C(30000000000))

/* Whoever comes first makes it. */
static int queue_of(skep_hive *hive, const char *name, skep_queue **ret_queue)
{
        int r = skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = name), ret_queue);

        return r == -EEXIST ? skep_queue_open(hive, name, ret_queue) : r;
}

static int master(skep_queue *tasks, skep_queue *results)
{
        static const char *const names[] = { "Ada", "Grace" };
        char text[128];
        size_t bytes;

        for (int i = 0; i < 2; i++)
                TRY(skep_queue_put(tasks, names[i], strlen(names[i]), PATIENCE));
        for (int i = 0; i < 2; i++) {
                TRY(skep_queue_get(results, text, sizeof(text) - 1, &bytes, PATIENCE));
                printf("%.*s\n", (int)bytes, text);
        }
        TRY(skep_queue_close(tasks));
        return 0;
}

static int worker(skep_queue *tasks, skep_queue *results)
{
        char name[64], text[128];
        size_t bytes;
        int r;

        while ((r = skep_queue_get(tasks, name, sizeof(name), &bytes, PATIENCE)) == 0) {
                int length = snprintf(text, sizeof(text), "{\"name\": \"%.*s\", \"age\": %d}", (int)bytes, name, 30 + (int)bytes);
                TRY(skep_queue_put(results, text, (size_t)length, PATIENCE));
        }
        if (r != -ESHUTDOWN)
                TRY(r);
        return 0;
}

int main(int argc, char **argv)
{
        skep_hive *hive;
        skep_queue *tasks, *results;
        int code;

        if (argc != 4 || (strcmp(argv[1], "master") && strcmp(argv[1], "worker"))) {
                fprintf(stderr, "usage: remote_manager master|worker ADDRESS KEY\n");
                return 2;
        }
        TRY(skep_hive_connect(argv[2], SKEP_CONNECTION_OPTIONS(.authkey = argv[3], .authkey_bytes = strlen(argv[3])), &hive, PATIENCE));
        TRY(queue_of(hive, "tasks", &tasks));
        TRY(queue_of(hive, "results", &results));
        code = argv[1][0] == 'm' ? master(tasks, results) : worker(tasks, results);
        skep_queue_unref(tasks);
        skep_queue_unref(results);
        skep_hive_detach(hive);
        return code;
}
