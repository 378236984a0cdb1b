/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipes.c - channels, both ways and one way; each side closes the end that it does not use, so the last word is the end of file.
 *
 *      pipes [fork|spawn]
 */
#include <errno.h>
#include <signal.h>
#include <skep/skep.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return 1; } } while (0)

static skep_channel_end *ours; /* a forked child has it too */

/* Take the end whose reference is the child's argument, and say so: from then on the parent need not hold it. */
static int take_end(skep_hive *hive, const void *argument, skep_channel_end **ret_end)
{
        skep_block reference;

        ours = skep_channel_unref(ours);
        memcpy(&reference, argument, sizeof(reference));
        TRY(skep_channel_attach(hive, reference, ret_end));
        TRY(skep_channel_send(*ret_end, "ready", 5, skep_forever()));
        return 0;
}

static int answer(skep_hive *hive, const void *argument, size_t argument_bytes)
{
        skep_channel_end *end;
        char text[64];
        size_t bytes;
        int result;

        (void)argument_bytes;
        TRY(take_end(hive, argument, &end));
        while ((result = skep_channel_receive(end, text, 30, &bytes, skep_forever())) == 0 && (bytes != 6 || memcmp(text, "enough", 6))) {
                memcpy(text + bytes, text, bytes);
                TRY(skep_channel_send(end, text, 2 * bytes, skep_forever()));
        }
        skep_channel_unref(end);
        return result < 0;
}

static int report(skep_hive *hive, const void *argument, size_t argument_bytes)
{
        skep_channel_end *end;

        (void)argument_bytes;
        TRY(take_end(hive, argument, &end));
        TRY(skep_channel_send(end, "before the end", 14, skep_forever()));
        kill(getpid(), SIGKILL); /* nothing is closed in order */
        return 0;
}

static int until_the_end(void)
{
        char text[64];
        size_t bytes;
        int result;

        while ((result = skep_channel_receive(ours, text, sizeof(text), &bytes, skep_forever())) == 0)
                printf("got %.*s\n", (int)bytes, text);
        printf("%s\n", result == -ESHUTDOWN ? "end of file" : skep_strerror(result));
        ours = skep_channel_unref(ours);
        return 0;
}

/* @param theirs  taken */
static int start(skep_hive *hive, uint32_t how, skep_channel_end *theirs, skep_process_function *function, const char *name, skep_process **ret_process)
{
        skep_block reference = skep_channel_reference(theirs);
        char text[8];
        size_t bytes;

        TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = how, .function = function, .function_name = name, .argument = &reference,
                                                    .argument_bytes = sizeof(reference)), ret_process));
        TRY(skep_channel_receive(ours, text, sizeof(text), &bytes, skep_within_ns(10000000000)));
        skep_channel_unref(theirs);
        return 0;
}

int main(int argc, char **argv)
{
        uint32_t how = argc > 1 && !strcmp(argv[1], "fork") ? SKEP_START_FORK : SKEP_START_SPAWN;
        static const char *const words[] = {"42", "", "hello", "enough"};
        skep_channel_end *theirs;
        skep_process *process;
        skep_hive *hive;

        skep_process_register("answer", answer);
        skep_process_register("report", report);
        skep_process_main();
        TRY(skep_hive_create(NULL, &hive));

        TRY(skep_channel_create(hive, NULL, &ours, &theirs));
        TRY(start(hive, how, theirs, answer, "answer", &process));
        for (int i = 0; i < 4; i++)
                TRY(skep_channel_send(ours, words[i], strlen(words[i]), skep_forever()));
        TRY(until_the_end());
        TRY(skep_process_join(process, skep_forever()));
        skep_process_unref(process);

        TRY(skep_channel_create(hive, SKEP_CHANNEL_OPTIONS(.flags = SKEP_CHANNEL_ONE_WAY), &ours, &theirs));
        TRY(start(hive, how, theirs, report, "report", &process));
        TRY(until_the_end());
        TRY(skep_process_join(process, skep_forever()));
        printf("exit code %d\n", skep_process_exit_code(process));
        skep_process_unref(process);
        skep_hive_detach(hive);
        return 0;
}
