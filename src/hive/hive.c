/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hive.c - the one sparse file as bytes with a format: lay out, format, check, map.
 *
 * TRUST.  A file may come from a stranger.  hive_check() recomputes the layout from three figures and refuses a header that
 * disagrees, or a file shorter than it says; everything else in the hive is checked where it is used.
 * CRASH.  A file whose maker died before `ready` is no hive (-EBADMSG).
 */
#include "hive/hive.h"

#include "base/checked.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int layout_of(uint64_t capacity_bytes, uint32_t member_max, uint32_t agent_max, struct shm_layout *ret_layout)
{
        if (capacity_bytes < HIVE_CAPACITY_MIN || capacity_bytes > HIVE_CAPACITY_MAX || capacity_bytes % PAGE_BYTES)
                return -EINVAL;
        if (!member_max || member_max > HIVE_MEMBER_MAX || !agent_max || agent_max > HIVE_AGENT_MAX)
                return -EINVAL;
        struct shm_layout layout = {.members_at = sizeof(struct shm_hive)};
        layout.agents_at = layout.members_at + HIVE_MEMBER_MAX * sizeof(struct shm_member);
        layout.names_at = layout.agents_at + (agent_max + 1) * sizeof(struct shm_agent);
        layout.heap_at = align_up(layout.names_at + HIVE_NAME_MAX * sizeof(struct shm_name), 4096);
        layout.blocks_at = layout.heap_at + sizeof(struct shm_heap);
        if (layout.blocks_at + 2 * PAGE_BYTES > capacity_bytes)
                return -EINVAL; /* the tables leave no room for data */
        layout.page_count = (capacity_bytes - layout.blocks_at) / (PAGE_BYTES + sizeof(struct shm_block));
        layout.data_at = align_up(layout.blocks_at + layout.page_count * sizeof(struct shm_block), PAGE_BYTES);
        layout.page_count = (capacity_bytes - layout.data_at) / PAGE_BYTES;
        *ret_layout = layout;
        return 0;
}

int options_copy(void *ret_options, size_t known_bytes, const void *options)
{
        memset(ret_options, 0, known_bytes);
        if (!options)
                return 0;
        size_t given_bytes = *(const size_t *)options;
        if (given_bytes < sizeof(size_t) || given_bytes > 4096)
                return -EINVAL;
        for (size_t i = known_bytes; i < given_bytes; i++)
                if (((const uint8_t *)options)[i])
                        return -E2BIG;
        memcpy(ret_options, options, given_bytes < known_bytes ? given_bytes : known_bytes);
        return 0;
}

int name_check(const char *name)
{
        if (!name || !*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
                return -EINVAL;
        return strlen(name) > SKEP_NAME_MAX ? -ENAMETOOLONG : 0;
}

int hive_format(int fd, const struct skep_hive_options *options, uint64_t capacity_bytes)
{
        uint32_t member_max = options->member_max ? options->member_max : HIVE_MEMBER_MAX;
        uint32_t agent_max = options->agent_max ? options->agent_max : 1024;
        struct shm_layout layout;
        int result = layout_of(capacity_bytes, member_max, agent_max, &layout);
        if (result == 0)
                result = os_commit(fd, 0, layout.blocks_at);
        void *base = NULL;
        if (result == 0)
                result = os_map(fd, layout.members_at, &base);
        if (result < 0)
                return result;
        struct shm_hive *header = base;
        memcpy(header->magic, HIVE_MAGIC, sizeof header->magic);
        header->byte_order = HIVE_BYTE_ORDER;
        header->version = HIVE_VERSION;
        header->capacity_bytes = capacity_bytes;
        header->warm_max_bytes = options->warm_max_bytes ? options->warm_max_bytes : capacity_bytes / 8;
        header->member_max = member_max;
        header->agent_max = agent_max;
        header->flags = options->flags;
        header->layout = layout;
        if (options->name)
                memcpy(header->name, options->name, strlen(options->name));
        result = os_random(header->identity, sizeof header->identity);
        skep_store32(&header->ready, result == 0);
        os_unmap(base, layout.members_at);
        return result;
}

int hive_check(int fd, struct shm_hive *ret_header)
{
        struct os_file file;
        int result = os_file_stat(fd, &file);
        if (result < 0)
                return result;
        if (file.bytes < sizeof *ret_header || os_read_at(fd, ret_header, sizeof *ret_header, 0) < 0)
                return -EBADMSG;
        if (memcmp(ret_header->magic, HIVE_MAGIC, sizeof ret_header->magic))
                return -EBADMSG;
        if (ret_header->byte_order != HIVE_BYTE_ORDER || ret_header->version != HIVE_VERSION)
                return -EPROTO;
        struct shm_layout layout;
        if (layout_of(ret_header->capacity_bytes, ret_header->member_max, ret_header->agent_max, &layout) < 0)
                return -EBADMSG;
        if (memcmp(&layout, &ret_header->layout, sizeof layout) || file.bytes != ret_header->capacity_bytes)
                return -EBADMSG;
        if (ret_header->ready != 1 || !memchr(ret_header->name, 0, sizeof ret_header->name))
                return -EBADMSG;
        return 0;
}

int hive_map(int fd_take, skep_hive **ret_hive)
{
        struct shm_hive header;
        skep_hive *hive = NULL;
        int result = hive_check(fd_take, &header);
        if (result == 0 && !(hive = calloc(1, sizeof *hive)))
                result = -ENOMEM;
        void *base = NULL;
        if (result == 0)
                result = os_map(fd_take, header.capacity_bytes, &base);
        if (result < 0) {
                free(hive);
                os_close(fd_take);
                return result;
        }
        hive->base = base;
        hive->fd = fd_take;
        hive->life_fd = hive->fork_fd = -1;
        hive->capacity_bytes = header.capacity_bytes;
        hive->member_max = header.member_max;
        hive->agent_max = header.agent_max;
        hive->layout = header.layout;
        hive->header = base;
        hive->members = (void *)(hive->base + hive->layout.members_at);
        hive->agents = (void *)(hive->base + hive->layout.agents_at);
        hive->names = (void *)(hive->base + hive->layout.names_at);
        hive->heap = (void *)(hive->base + hive->layout.heap_at);
        hive->blocks = (void *)(hive->base + hive->layout.blocks_at);
        *ret_hive = hive;
        return 0;
}

void hive_unmap(skep_hive *hive)
{
        os_unmap(hive->local, hive->local_bytes);
        os_unmap(hive->base, hive->capacity_bytes);
        os_close(hive->fd);
        free(hive);
}
