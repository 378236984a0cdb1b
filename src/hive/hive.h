/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hive.h - a mapped hive: the private side, and the one checked way from an offset to an address.
 *
 * struct skep_hive belongs to a process.  Rooms above keep their per-process data here so that there is one handle.
 */
#ifndef HIVE_HIVE_H
#define HIVE_HIVE_H

#include "base/atomic.h"
#include "hive/layout.h"

#include <pthread.h>
#include <skep/hive.h>
#include <stdbool.h>
#include <stddef.h>

struct skep_hive {
        /* hive/: constant after hive_map() */
        uint8_t *base;
        struct shm_hive *header;
        struct shm_member *members;
        struct shm_agent *agents;
        struct shm_name *names;
        struct shm_heap *heap;
        struct shm_block *blocks;
        struct shm_layout layout;
        uint64_t capacity_bytes;
        uint32_t agent_max;
        uint32_t member_max;
        int fd;

        /* member/: who we are; changed by the fork handlers only */
        int life_fd;          /* open file description that holds our byte */
        uint32_t member;
        uint32_t epoch;       /* unique among all handles ever opened by this process and its ancestors */
        int fork_fd;          /* between prepare and parent/child: the coming child's */
        uint32_t fork_member;
        bool fork_alone;      /* no other thread of this process was at work in it then */
        uint32_t reaping;     /* member + 1 whom a thread of ours recovers for */
        pthread_mutex_t mutex; /* reaping, agent list; held across fork */
        struct skep_agent *agent_list;
        struct skep_hive *next; /* list of all handles of the process */

        /* claim/: how often this process holds each block, by where its record lies; a sparse private mapping */
        uint32_t *local;
        uint64_t local_bytes;
};

/* Where things lie in a hive of these figures. @return 0, -EINVAL */
int layout_of(uint64_t capacity_bytes, uint32_t member_max, uint32_t agent_max, struct shm_layout *ret_layout);

/* Write the header of a new, zeroed file and commit the tables. @param fd is of the right size. */
int hive_format(int fd, const struct skep_hive_options *options, uint64_t capacity_bytes);

/* Check the header of a file without mapping it. @return 0, -EBADMSG, -EPROTO */
int hive_check(int fd, struct shm_hive *ret_header);

/* Check, map, allocate the handle. @param fd_take  closed on failure too */
int hive_map(int fd_take, skep_hive **ret_hive);
void hive_unmap(skep_hive *hive);

/* Options as this library knows them, from a caller's that may be shorter or longer. @return 0, -E2BIG, -EINVAL */
int options_copy(void *ret_options, size_t known_bytes, const void *options);

/* @return 0, -EINVAL, -ENAMETOOLONG */
int name_check(const char *name);

/* Address of [offset, offset + bytes) or NULL if any of it lies outside the hive or is misaligned to 8. */
static inline void *hive_at(const skep_hive *hive, uint64_t offset, uint64_t bytes)
{
        if (offset % 8 || offset < hive->layout.members_at || bytes > hive->capacity_bytes || offset > hive->capacity_bytes - bytes)
                return NULL;
        return hive->base + offset;
}

static inline uint64_t hive_offset(const skep_hive *hive, const void *address)
{
        return (uint64_t)((const uint8_t *)address - hive->base);
}

#endif
