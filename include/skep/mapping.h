/* SPDX-License-Identifier: Apache-2.0 */
/**
 * mapping.h - a file, or anonymous memory, mapped and passed on: what Python's mmap is, as an object of a hive.
 *
 * Anonymous memory lies in the hive.  Of a file the object keeps path and identity; each process that attaches maps it itself.
 * Bytes are plain memory: whoever writes them concurrently needs a lock of his own.
 */
#ifndef SKEP_MAPPING_H
#define SKEP_MAPPING_H

#include <skep/block.h>

SKEP_BEGIN

typedef struct skep_mapping skep_mapping;

/** Of a file: bytes may be read only. */
#define SKEP_MAPPING_READ_ONLY 1u

struct skep_mapping_options {
        size_t options_bytes; /* set by SKEP_MAPPING_OPTIONS() */
        const char *path;     /* borrowed; NULL: anonymous, zeros */
        const char *name;     /* of the object in the hive, borrowed; NULL: none */
        uint64_t bytes;       /* of a file from its beginning, at most its size; 0: all of it */
        uint32_t flags;       /* SKEP_MAPPING_READ_ONLY */
        uint32_t reserved;    /* zero */
};

#define SKEP_MAPPING_OPTIONS(...) (&(const struct skep_mapping_options){.options_bytes = sizeof(struct skep_mapping_options), __VA_ARGS__})

/**
 * Map.
 * @param ret_mapping  gives the handle; end with skep_mapping_unref()
 * @return 0; -EINVAL no bytes, or more than the file has; -ENOENT; -EACCES; -EBADMSG no regular file; -EEXIST; -ENOSPC; -ENOMEM; -ENAMETOOLONG
 * Crash: the object is made as a whole or not at all; the file is as its last writer left it.
 * The size is fixed.  If somebody cuts the file short, the kernel ends who touches what is gone (SIGBUS).
 */
SKEP_API SKEP_NODISCARD int skep_mapping_create(skep_hive *hive, const struct skep_mapping_options *options, skep_mapping **ret_mapping);

/** Find a mapping by name, and map it here. @return 0; -ENOENT; -EPROTOTYPE; -ESTALE the file is gone or is another one now; -EACCES; -ENOMEM */
SKEP_API SKEP_NODISCARD int skep_mapping_open(skep_hive *hive, const char *name, skep_mapping **ret_mapping);

/** Find a mapping by reference, and map it here. @return as skep_mapping_open() */
SKEP_API SKEP_NODISCARD int skep_mapping_attach(skep_hive *hive, skep_block reference, skep_mapping **ret_mapping);

/** What skep_mapping_attach() takes; may be sent to any member. */
SKEP_API skep_block skep_mapping_reference(const skep_mapping *mapping);

/** Drop the handle and unmap. @param mapping  NULL is allowed @return NULL */
SKEP_API skep_mapping *skep_mapping_unref(skep_mapping *mapping);

/** Valid until unref. */
SKEP_API void *skep_mapping_address(const skep_mapping *mapping);
SKEP_API uint64_t skep_mapping_bytes(const skep_mapping *mapping);

/** Copy out up to @p bytes from @p offset on. @return 0; -EINVAL offset beyond the end. ret_bytes: how many there were */
SKEP_API SKEP_NODISCARD int skep_mapping_read(const skep_mapping *mapping, uint64_t offset, void *buffer, uint64_t bytes, uint64_t *ret_bytes);

/** Copy in; all or nothing. @return 0; -EINVAL it would reach beyond the end; -EACCES read only */
SKEP_API SKEP_NODISCARD int skep_mapping_write(skep_mapping *mapping, uint64_t offset, const void *data, uint64_t bytes);

/**
 * The line that begins at @p offset.
 * @param ret_line   borrowed, in the mapping; not ended by NUL
 * @param ret_bytes  with its newline, if it has one; the next line begins behind
 * @return 0; -ENOENT at the end
 */
SKEP_API SKEP_NODISCARD int skep_mapping_line(const skep_mapping *mapping, uint64_t offset, const char **ret_line, uint64_t *ret_bytes);

/** The first place from @p offset on where these bytes stand. @return 0; -ENOENT; -EINVAL offset beyond the end */
SKEP_API SKEP_NODISCARD int skep_mapping_find(const skep_mapping *mapping, uint64_t offset, const void *data, uint64_t bytes, uint64_t *ret_offset);

/** Write to the disk what was changed in a range. @return 0, also for anonymous memory; -EINVAL; -EIO. Blocks: until it is there */
SKEP_API SKEP_NODISCARD int skep_mapping_flush(skep_mapping *mapping, uint64_t offset, uint64_t bytes);

SKEP_END
#endif
