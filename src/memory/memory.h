/* SPDX-License-Identifier: Apache-2.0 */
/* memory.h - what the files of memory/ share. */
#ifndef MEMORY_MEMORY_H
#define MEMORY_MEMORY_H

#include "claim/object.h"

#include <skep/shared_memory.h>

#define MEMORY_NAME_MAX 255u

/* A note for the reaper: this process uses the file of that name.  One for each handle. */
struct shm_shared_memory {
        uint64_t device;
        uint64_t inode;
        uint64_t left; /* names its own block when the name was left to the hive: a claim that nobody drops by dying */
        char name[MEMORY_NAME_MAX + 1];
};
_Static_assert(sizeof(struct shm_shared_memory) == 280, "format");

struct skep_shared_memory {
        struct object base;
        void *address; /* NULL: unmapped */
        uint64_t bytes;
        uint32_t references;
        int fd; /* holds the lock */
        char name[MEMORY_NAME_MAX + 1];
};

/* Write what must stand in the block before its name appears. */
typedef int memory_format(void *address, uint64_t bytes, const void *context);

int memory_create(skep_hive *hive, const struct skep_shared_memory_options *options, memory_format *format, const void *context,
                  skep_shared_memory **ret_memory);

#endif
