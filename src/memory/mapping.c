/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapping.c - files and anonymous memory as objects that can be passed on (skep/mapping.h).
 *
 * A block of kind MAPPING is constant after its making, but for the bytes behind it; so there is nothing to recover.
 */
#include "claim/object.h"
#include "os/os.h"

#include <errno.h>
#include <skep/mapping.h>
#include <stdlib.h>
#include <string.h>

/* Followed by the path and a NUL, or by the anonymous bytes. */
struct shm_mapping {
        uint64_t device;
        uint64_t inode;
        uint64_t bytes;
        uint32_t flags;
        uint32_t path_bytes; /* 0: anonymous */
        uint64_t reserved[4];
};
_Static_assert(sizeof(struct shm_mapping) == 64, "format");

struct skep_mapping {
        struct object base;
        uint8_t *address;
        uint64_t bytes;
        bool is_file;
        bool read_only;
};

struct recipe {
        struct shm_mapping head;
        const char *path;
};

static void mapping_format(void *shared, const void *options)
{
        const struct recipe *recipe = options;
        memcpy(shared, &recipe->head, sizeof recipe->head);
        if (recipe->path)
                memcpy((char *)shared + sizeof recipe->head, recipe->path, recipe->head.path_bytes);
}

static int map_file(const struct shm_mapping *head, const char *path, void **ret_address)
{
        struct os_file status;
        bool writable = !(head->flags & SKEP_MAPPING_READ_ONLY);
        int fd = os_file_open(path, writable);
        if (fd < 0)
                return fd == -ENOENT ? -ESTALE : fd;
        int result = os_file_stat(fd, &status);
        if (result == 0 && (status.inode != head->inode || status.device != head->device || status.bytes < head->bytes))
                result = -ESTALE;
        if (result == 0)
                result = os_map_file(fd, head->bytes, writable, ret_address);
        os_close(fd);
        return result;
}

/* Map what the object says; nothing in it is trusted. */
static int mapping_complete(struct object *object)
{
        skep_mapping *mapping = (skep_mapping *)object;
        const struct shm_mapping *shared = object->shared;
        struct shm_mapping head = *shared;
        uint64_t rest = object->shared_bytes - sizeof head;
        void *address = (uint8_t *)object->shared + sizeof head;
        int result = head.bytes && (head.path_bytes ? head.path_bytes : head.bytes) <= rest ? 0 : -EBADMSG;
        if (result == 0 && head.path_bytes) {
                char *path = strndup(address, head.path_bytes);
                result = path ? map_file(&head, path, &address) : -ENOMEM;
                free(path);
        }
        if (result < 0)
                return result;
        mapping->address = address;
        mapping->bytes = head.bytes;
        mapping->is_file = head.path_bytes;
        mapping->read_only = head.flags & SKEP_MAPPING_READ_ONLY;
        return 0;
}

static void mapping_end(struct object *object)
{
        skep_mapping *mapping = (skep_mapping *)object;
        if (mapping->is_file)
                os_unmap(mapping->address, mapping->bytes);
}

static const struct kind mapping_kind = {
        .name = "mapping",
        .shared_bytes = sizeof(struct shm_mapping),
        .handle_bytes = sizeof(struct skep_mapping),
        .complete = mapping_complete,
        .end = mapping_end,
};

/* Which file the path names. @return 0, negative */
static int recipe_of_file(struct recipe *recipe, uint64_t bytes)
{
        struct os_file status;
        int fd = os_file_open(recipe->path, !(recipe->head.flags & SKEP_MAPPING_READ_ONLY));
        if (fd < 0)
                return fd;
        int result = os_file_stat(fd, &status);
        os_close(fd);
        if (result == 0 && (!status.bytes || bytes > status.bytes))
                result = -EINVAL;
        if (result < 0)
                return result;
        recipe->head.device = status.device;
        recipe->head.inode = status.inode;
        recipe->head.bytes = bytes ? bytes : status.bytes;
        recipe->head.path_bytes = (uint32_t)strlen(recipe->path) + 1;
        return 0;
}

int skep_mapping_create(skep_hive *hive, const struct skep_mapping_options *given, skep_mapping **ret_mapping)
{
        struct skep_mapping_options options;
        struct object *object;
        int result = options_copy(&options, sizeof options, given);
        if (result == 0 && ((options.flags & ~SKEP_MAPPING_READ_ONLY) || options.reserved || (!options.path && (options.flags || !options.bytes))))
                result = -EINVAL;
        if (result == 0 && options.bytes > INT64_MAX - sizeof(struct shm_mapping))
                result = -EINVAL;
        if (result < 0)
                return result;
        struct recipe recipe = {.head = {.bytes = options.bytes, .flags = options.flags}};
        char *path = options.path ? realpath(options.path, NULL) : NULL;
        if (options.path && !path)
                return errno == ENOMEM || errno == EACCES || errno == ENAMETOOLONG ? -errno : -ENOENT;
        recipe.path = path;
        if (path)
                result = recipe_of_file(&recipe, options.bytes);
        if (result == 0)
                result = object_create(hive, BLOCK_MAPPING, options.name, sizeof recipe.head + (path ? recipe.head.path_bytes : options.bytes),
                                       mapping_format, &recipe, &object);
        free(path);
        if (result == 0)
                *ret_mapping = (skep_mapping *)object;
        return result;
}

OBJECT_FUNCTIONS(mapping, BLOCK_MAPPING)

void *skep_mapping_address(const skep_mapping *mapping)
{
        return mapping->address;
}

uint64_t skep_mapping_bytes(const skep_mapping *mapping)
{
        return mapping->bytes;
}

int skep_mapping_read(const skep_mapping *mapping, uint64_t offset, void *buffer, uint64_t bytes, uint64_t *ret_bytes)
{
        if (offset > mapping->bytes)
                return -EINVAL;
        if (bytes > mapping->bytes - offset)
                bytes = mapping->bytes - offset;
        if (bytes)
                memcpy(buffer, mapping->address + offset, bytes);
        *ret_bytes = bytes;
        return 0;
}

int skep_mapping_write(skep_mapping *mapping, uint64_t offset, const void *data, uint64_t bytes)
{
        if (mapping->read_only)
                return -EACCES;
        if (offset > mapping->bytes || bytes > mapping->bytes - offset)
                return -EINVAL;
        if (bytes)
                memmove(mapping->address + offset, data, bytes);
        return 0;
}

int skep_mapping_line(const skep_mapping *mapping, uint64_t offset, const char **ret_line, uint64_t *ret_bytes)
{
        if (offset >= mapping->bytes)
                return -ENOENT;
        const char *line = (const char *)mapping->address + offset;
        const char *end = memchr(line, '\n', mapping->bytes - offset);
        *ret_line = line;
        *ret_bytes = end ? (uint64_t)(end - line) + 1 : mapping->bytes - offset;
        return 0;
}

int skep_mapping_find(const skep_mapping *mapping, uint64_t offset, const void *data, uint64_t bytes, uint64_t *ret_offset)
{
        if (offset > mapping->bytes)
                return -EINVAL;
        const uint8_t *found = memmem(mapping->address + offset, mapping->bytes - offset, data, bytes);
        if (!found)
                return -ENOENT;
        *ret_offset = (uint64_t)(found - mapping->address);
        return 0;
}

int skep_mapping_flush(skep_mapping *mapping, uint64_t offset, uint64_t bytes)
{
        if (offset > mapping->bytes || bytes > mapping->bytes - offset)
                return -EINVAL;
        uint64_t before = offset % os_page_bytes();
        return mapping->is_file && bytes ? os_sync(mapping->address + (offset - before), bytes + before) : 0;
}

__attribute__((constructor)) static void mapping_register(void)
{
        kind_register(BLOCK_MAPPING, &mapping_kind);
}
