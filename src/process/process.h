/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process/process.h - what the two halves of this room tell each other: process.c (the parent) and child.c (the child).
 */
#ifndef PROCESS_PROCESS_H
#define PROCESS_PROCESS_H

#include <skep/process.h>

/* Exit codes of a spawned child that never came to its function. */
#define PROCESS_EXIT_NO_HIVE 126     /* the letter was damaged, or the hive could not be attached */
#define PROCESS_EXIT_NO_FUNCTION 127 /* nothing is registered under that name, as a shell says "command not found" */

#define PROCESS_ARGUMENT_MAX 65536u

/* What a child has to know; handed over in memory (fork) or in a nameless file (spawn). */
struct process_letter {
        uint32_t magic;
        uint32_t version;
        int64_t parent_pid;
        int32_t hive_fd;     /* spawn: inherited; -1: no hive */
        int32_t sentinel_fd; /* write end that says "I live" until the child ends; -1: the parent has a pidfd */
        uint32_t flags;      /* SKEP_PROCESS_... */
        uint32_t argument_bytes;
        char name[SKEP_NAME_MAX + 1];
        char function_name[SKEP_NAME_MAX + 1];
        unsigned char argument[];
};

#define PROCESS_LETTER_MAGIC 0x6c706b73u
#define PROCESS_LETTER_VERSION 1u
#define PROCESS_LETTER_VARIABLE "SKEP_SPAWN"

/* The one lock of this room, held across fork(). Nothing but malloc and system calls is called under it. */
void process_lock(void);
void process_unlock(void);

/* Functions known by name, those of processes and those of pools; to be cast to what they are. */
enum process_registry { PROCESS_FUNCTIONS, POOL_FUNCTIONS };
typedef void process_any_function(void);
/* @return 0; -EEXIST; -EINVAL; -ENAMETOOLONG; -ENOMEM */
int process_registry_add(enum process_registry registry, const char *name, process_any_function *function);
/* NULL: none */
process_any_function *process_registry_find(enum process_registry registry, const char *name);
skep_process_function *process_function_find(const char *name);

/* Become the child of the letter: its name, its parent, its promise to die. */
void process_child_begin(const struct process_letter *letter);

/* The forked child's life; ends the process. */
_Noreturn void process_child_run(const struct process_letter *letter, skep_process_function *function, skep_hive *hive);

/* The child of a plain fork(), or of ours: what belonged to the parent is not ours. */
void process_child_forget(void);

/* Terminate and join the daemons of this process. */
void process_daemons_end(void);

#endif
