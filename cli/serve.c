/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.c - `skep serve`: offer the objects of a hive to other machines until a signal ends it.
 *
 * Prints the addresses that it listens at, one a line, when clients may come.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES 4096

static skep_server *server;

static void stop(int signal_number)
{
        (void)signal_number;
        skep_server_stop(server);
}

static void to_stderr(const char *line, void *unused)
{
        (void)unused;
        fprintf(stderr, "skep serve: %s\n", line);
}

/* The whole file, but for a line feed at its end. @return its length; negative */
static ssize_t read_key(const char *file, char key[static KEY_BYTES])
{
        struct stat status;
        int fd = open(file, O_RDONLY | O_CLOEXEC);
        ssize_t bytes = fd < 0 ? -1 : read(fd, key, KEY_BYTES);

        if (bytes < 0)
                fprintf(stderr, "skep serve: %s: %s\n", file, strerror(errno));
        if (bytes >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_mode & 077)
                fprintf(stderr, "skep serve: %s: others can read the key; chmod 600 would keep it from them\n", file);
        if (fd >= 0)
                close(fd);
        if (bytes > 0 && key[bytes - 1] == '\n')
                bytes--;
        if (bytes == 0 || bytes == KEY_BYTES) {
                fprintf(stderr, "skep serve: %s: a key has 1 to %d bytes; `head -c 32 /dev/urandom` makes a good one\n", file, KEY_BYTES - 1);
                return -1;
        }
        return bytes;
}

/* The hive of that name, made if there is none; or one of its own. */
static enum cli_exit join(const char *name, skep_hive **ret_hive)
{
        int r = name ? skep_hive_open(name, ret_hive) : skep_hive_create(NULL, ret_hive);

        if (r == -ENOENT)
                r = skep_hive_create(SKEP_HIVE_OPTIONS(.name = name), ret_hive);
        return r ? cli_complain(name ? name : "a hive of its own", r) : CLI_OK;
}

static enum cli_exit serve(const struct cli_arguments *arguments)
{
        struct sigaction action = { .sa_handler = stop };
        char address[256];
        int r = 0;

        for (unsigned i = 0; i < arguments->listen_count && !r; i++) {
                r = skep_server_listen(server, arguments->listen[i]);
                if (r)
                        return cli_complain(arguments->listen[i], r);
        }
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        for (uint32_t i = 0; skep_server_address(server, i, address, sizeof(address)) == 0; i++)
                printf("%s\n", address);
        (void)fflush(stdout);
        r = skep_server_run(server);
        return r ? cli_complain("the server", r) : CLI_OK;
}

enum cli_exit cli_serve(const struct cli_arguments *arguments)
{
        char key[KEY_BYTES];
        ssize_t key_bytes = arguments->authkey_file ? read_key(arguments->authkey_file, key) : 0;
        skep_hive *hive;
        enum cli_exit code = key_bytes < 0 ? CLI_PROBLEM : join(arguments->name, &hive);
        int r;

        if (code)
                return code;
        r = skep_server_create(hive,
                               SKEP_SERVER_OPTIONS(.authkey = key, .authkey_bytes = (size_t)key_bytes, .log = to_stderr,
                                                   .flags = arguments->authkey_file ? 0 : SKEP_CONNECTION_PLAIN),
                               &server);
        explicit_bzero(key, sizeof(key));
        code = r ? cli_complain("the server", r) : serve(arguments);
        skep_server_free(server);
        skep_hive_detach(hive);
        return code;
}
