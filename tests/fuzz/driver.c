/* SPDX-License-Identifier: Apache-2.0 */
/**
 * driver.c - runs a fuzz target over files, without a fuzzer.
 *
 * Each argument is a file or a folder of files.  Every file is given once, in the order of the names, so that the corpus is
 * an ordinary test in every build.  A folder that does not exist counts as empty.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static unsigned long input_count;

static int feed_file(const char *path, size_t bytes)
{
        FILE *file = fopen(path, "rb");
        uint8_t *data = malloc(bytes ? bytes : 1);
        int result = -1;

        if (file && data && fread(data, 1, bytes, file) == bytes) {
                (void)LLVMFuzzerTestOneInput(data, bytes);
                ++input_count;
                result = 0;
        } else {
                perror(path);
        }
        free(data);
        if (file)
                (void)fclose(file);
        return result;
}

static int feed(const char *path)
{
        struct dirent **entries = NULL;
        struct stat about;
        int result = 0;
        int count;

        if (stat(path, &about) < 0)
                return 0;
        if (S_ISREG(about.st_mode))
                return feed_file(path, (size_t)about.st_size);
        count = scandir(path, &entries, NULL, alphasort);
        for (int i = 0; i < count; ++i) {
                char *inner = NULL;

                if (entries[i]->d_name[0] != '.') {
                        if (asprintf(&inner, "%s/%s", path, entries[i]->d_name) < 0 || feed(inner) < 0)
                                result = -1;
                        free(inner);
                }
                free(entries[i]);
        }
        free(entries);
        return result;
}

int main(int argument_count, char **arguments)
{
        int result = EXIT_SUCCESS;

        for (int i = 1; i < argument_count; ++i)
                if (feed(arguments[i]) < 0)
                        result = EXIT_FAILURE;
        (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
        printf("%lu inputs\n", input_count + 1);
        return result;
}
