/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.c - the child's side: functions known by name, and the life of a child from its first instruction to its exit.
 *
 * FORK   The child is a copy; the core's fork handlers have made it a member before fork() returned.  It runs the
 *        function, ends its own daemons, leaves the hive, flushes stdout and stderr and ends with _exit(): atexit
 *        handlers and other open FILEs belong to the parent, whose buffers would be written twice.
 * SPAWN  The child is an ordinary program.  SKEP_SPAWN=FD in its environment names a file with its letter;
 *        skep_process_main() reads it, takes the variable away, joins the hive by the inherited descriptor, runs the
 *        function and ends with exit(): these atexit handlers and FILEs are its own.
 *
 * A function gives back what it made or opened before it returns; the hive itself is left by us.  A child that dies
 * before that is found dead by the others, as any member.
 *
 * Not promised: that a program which does not call skep_process_main() notices that it was spawned.
 */
#include "process/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/os.h"
#include "os/process.h"

struct function_entry {
        const char *name;
        enum process_registry registry;
        process_any_function *function;
        struct function_entry *next;
};

static struct function_entry *functions; /* under process_lock() */

static struct {
        int64_t parent_pid;
        int sentinel_fd; /* + 1, so that zero is none */
        char name[SKEP_NAME_MAX + 1];
} self = { .name = "MainProcess" };

/* --- functions known by name -------------------------------------------------------------------------------------- */

static struct function_entry *entry_find(enum process_registry registry, const char *name)
{
        struct function_entry *entry = functions;

        while (entry && (entry->registry != registry || strcmp(entry->name, name)))
                entry = entry->next;
        return entry;
}

static int entry_add(enum process_registry registry, const char *name, process_any_function *function)
{
        struct function_entry *entry;

        if (entry_find(registry, name))
                return -EEXIST;
        entry = malloc(sizeof(*entry));
        if (!entry)
                return -ENOMEM;
        *entry = (struct function_entry){ .name = name, .registry = registry, .function = function, .next = functions };
        functions = entry;
        return 0;
}

int process_registry_add(enum process_registry registry, const char *name, process_any_function *function)
{
        int r;

        if (!name || !*name || !function)
                return -EINVAL;
        if (strlen(name) > SKEP_NAME_MAX)
                return -ENAMETOOLONG;
        process_lock();
        r = entry_add(registry, name, function);
        process_unlock();
        return r;
}

process_any_function *process_registry_find(enum process_registry registry, const char *name)
{
        struct function_entry *entry;

        process_lock();
        entry = entry_find(registry, name);
        process_unlock();
        return entry ? entry->function : NULL;
}

int skep_process_register(const char *name, skep_process_function *function)
{
        return process_registry_add(PROCESS_FUNCTIONS, name, (process_any_function *)function);
}

skep_process_function *process_function_find(const char *name)
{
        return (skep_process_function *)process_registry_find(PROCESS_FUNCTIONS, name);
}

/* --- who am I ----------------------------------------------------------------------------------------------------- */

int64_t skep_process_parent(void)
{
        return self.parent_pid;
}

const char *skep_process_self_name(void)
{
        return self.name;
}

void process_child_forget(void)
{
        if (self.sentinel_fd)
                os_close(self.sentinel_fd - 1); /* only the one whose life it shows may keep it open */
        self.sentinel_fd = 0;
}

void process_child_begin(const struct process_letter *letter)
{
        if (letter->flags & (SKEP_PROCESS_DAEMON | SKEP_PROCESS_DIE_WITH_PARENT))
                (void)os_process_die_with_parent(letter->parent_pid);
        self.parent_pid = letter->parent_pid;
        self.sentinel_fd = letter->sentinel_fd + 1;
        memcpy(self.name, letter->name, sizeof(self.name));
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static int run(const struct process_letter *letter, skep_process_function *function, skep_hive *hive)
{
        int code = function(hive, letter->argument, letter->argument_bytes) & 0xff;

        process_daemons_end();
        (void)skep_hive_detach(hive);
        return code;
}

void process_child_run(const struct process_letter *letter, skep_process_function *function, skep_hive *hive)
{
        int code;

        process_child_begin(letter);
        code = run(letter, function, hive);
        (void)fflush(stdout);
        (void)fflush(stderr);
        os_process_leave(code);
}

static int letter_check(const struct process_letter *letter, size_t bytes)
{
        if (letter->magic != PROCESS_LETTER_MAGIC)
                return -EBADMSG;
        if (letter->version != PROCESS_LETTER_VERSION)
                return -EPROTO;
        if (letter->argument_bytes != bytes - sizeof(*letter))
                return -EBADMSG;
        if (letter->name[SKEP_NAME_MAX] || letter->function_name[SKEP_NAME_MAX])
                return -EBADMSG;
        return 0;
}

/* The letter as the parent wrote it; to be freed. */
static int letter_open(int fd, struct process_letter **ret_letter)
{
        int64_t bytes = os_process_note_bytes(fd);
        struct process_letter *letter = NULL;
        int r;

        if (bytes < (int64_t)sizeof(*letter) || bytes > (int64_t)(sizeof(*letter) + PROCESS_ARGUMENT_MAX))
                return bytes < 0 ? (int)bytes : -EBADMSG;
        letter = malloc((size_t)bytes);
        if (!letter)
                return -ENOMEM;
        r = os_process_note_read(fd, letter, (size_t)bytes) == bytes ? letter_check(letter, (size_t)bytes) : -EBADMSG;
        if (r)
                free(letter);
        else
                *ret_letter = letter;
        return r;
}

/* Descriptors that came through exec are not for our own children. */
static int hive_join(const struct process_letter *letter, skep_hive **ret_hive)
{
        int r;

        *ret_hive = NULL;
        if (letter->hive_fd < 0)
                return 0;
        r = skep_hive_attach(letter->hive_fd, ret_hive);
        os_close(letter->hive_fd);
        return r;
}

static int spawned(const struct process_letter *letter)
{
        skep_process_function *function;
        skep_hive *hive;

        if (letter->sentinel_fd >= 0)
                (void)os_process_close_on_exec(letter->sentinel_fd);
        process_child_begin(letter);
        if (hive_join(letter, &hive))
                return PROCESS_EXIT_NO_HIVE;
        function = process_function_find(letter->function_name);
        if (function)
                return run(letter, function, hive);
        (void)skep_hive_detach(hive);
        return PROCESS_EXIT_NO_FUNCTION;
}

static bool letter_number(const char *text, int *ret_fd)
{
        char *end;
        long fd = strtol(text, &end, 10);

        if (end == text || *end || fd < 0 || fd > INT32_MAX)
                return false;
        *ret_fd = (int)fd;
        return true;
}

int skep_process_main(void)
{
        const char *text = getenv(PROCESS_LETTER_VARIABLE);
        struct process_letter *letter = NULL;
        int fd, code = PROCESS_EXIT_NO_HIVE;

        if (!text)
                return 0;
        if (letter_number(text, &fd) && !letter_open(fd, &letter)) {
                (void)unsetenv(PROCESS_LETTER_VARIABLE);
                os_close(fd);
                code = spawned(letter);
                free(letter);
        }
        exit(code);
}
