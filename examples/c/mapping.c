/* SPDX-License-Identifier: Apache-2.0 */
/* mapping.c - a mapped file, and anonymous memory; both are passed to a child, which writes. */
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return 1; } } while (0)

static int write_world(skep_hive *hive, const void *argument, size_t bytes)
{
        skep_mapping *mapping;
        skep_block reference;

        memcpy(&reference, argument, bytes);
        TRY(skep_mapping_attach(hive, reference, &mapping));
        TRY(skep_mapping_write(mapping, 6, " world", 6));
        TRY(skep_mapping_flush(mapping, 0, skep_mapping_bytes(mapping)));
        skep_mapping_unref(mapping);
        return 0;
}

static int print_line(const skep_mapping *mapping)
{
        const char *line;
        uint64_t bytes, at;

        TRY(skep_mapping_line(mapping, 0, &line, &bytes));
        TRY(skep_mapping_find(mapping, 0, "!", 1, &at));
        printf("%.*s, %d bytes, ! at %d\n", (int)at + 1, line, (int)bytes, (int)at);
        return 0;
}

static int run(skep_hive *hive, uint32_t start, const char *path)
{
        skep_mapping *mapping;
        skep_process *process;
        uint64_t bytes;
        char word[5];

        TRY(skep_mapping_create(hive, SKEP_MAPPING_OPTIONS(.path = path, .bytes = path ? 0 : 14), &mapping));
        if (!path)
                TRY(skep_mapping_write(mapping, 0, "Hello Python!\n", 14));
        print_line(mapping);
        TRY(skep_mapping_read(mapping, 0, word, sizeof word, &bytes));
        printf("%.*s\n", (int)bytes, word);
        skep_block reference = skep_mapping_reference(mapping);
        TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = start, .function = write_world, .function_name = "write_world",
                                                    .argument = &reference, .argument_bytes = sizeof reference), &process));
        TRY(skep_process_join(process, skep_forever()));
        skep_process_unref(process);
        print_line(mapping);
        skep_mapping_unref(mapping);
        return 0;
}

int main(int argc, char **argv)
{
        uint32_t start = argc > 1 && !strcmp(argv[1], "fork") ? SKEP_START_FORK : SKEP_START_SPAWN;
        char path[] = "/tmp/skep-mapping-XXXXXX";
        skep_hive *hive;

        skep_process_register("write_world", write_world);
        skep_process_main(); /* a spawned child does its work in here */

        int fd = mkstemp(path);
        FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
        if (!file || fputs("Hello Python!\nsecond line\n", file) < 0 || fclose(file))
                return 1;
        TRY(skep_hive_create(NULL, &hive));
        int failed = run(hive, start, path) || run(hive, start, NULL);
        skep_hive_detach(hive);
        remove(path);
        return failed;
}
