/* SPDX-License-Identifier: Apache-2.0 */
/**
 * shared_memory.h - a block of shared memory with a name of the operating system: /dev/shm/NAME, mode 0600, as shm_open() and
 * Python's multiprocessing.shared_memory know it.  Any process of the user may attach it by name, with skep or without.
 *
 * LIFETIME.  Each handle holds a shared lock on the file for as long as it is open, so the kernel knows who uses it, across
 * hives and after any death.  The name goes with the last handle, unless SKEP_SHARED_MEMORY_PERSISTENT or skep_shared_memory_leave():
 * by whoever closes last; by the reaper of a hive whose member was killed; at last by the next skep_shared_memory_create() of
 * any process of the user.  Memory stays mapped where it is mapped, whatever happens to the name.
 * A program that attaches without skep holds no lock: the name may go while it works, its mapping stays valid.
 * What was made without skep is never removed, except by skep_shared_memory_unlink().
 * docs/design/0004-shared-memory.md has the reasons.
 */
#ifndef SKEP_SHARED_MEMORY_H
#define SKEP_SHARED_MEMORY_H

#include <skep/hive.h>

SKEP_BEGIN

typedef struct skep_shared_memory skep_shared_memory;

/** Keep the name when nobody uses the block any more. */
#define SKEP_SHARED_MEMORY_PERSISTENT 1u

struct skep_shared_memory_options {
        size_t options_bytes; /* set by SKEP_SHARED_MEMORY_OPTIONS() */
        const char *name;     /* borrowed, 1 to 255 bytes after leading slashes, which do not count; NULL: a name is made up */
        uint64_t bytes;       /* more than 0 */
        uint32_t flags;       /* SKEP_SHARED_MEMORY_PERSISTENT */
        uint32_t reserved;    /* zero */
};

#define SKEP_SHARED_MEMORY_OPTIONS(...) \
        (&(const struct skep_shared_memory_options){.options_bytes = sizeof(struct skep_shared_memory_options), __VA_ARGS__})

/**
 * Make a block of zeros.  All its pages are taken at once: touching it later cannot fail.
 * @param hive        keeps note of the block, so that its reaper can remove it
 * @param ret_memory  gives one reference; end with skep_shared_memory_unref()
 * @return 0; -EEXIST; -ENOSPC /dev/shm or the hive is full; -EINVAL; -ENAMETOOLONG; -ENOMEM; -EMFILE; -ENOENT no /dev/shm here
 * Crash: the name appears in one step when the block is whole; a dead maker's is removed as said above.
 * Cost: tens of microseconds, and about 0.5 ms a MiB for the pages.  Each handle is a descriptor.
 */
SKEP_API SKEP_NODISCARD int skep_shared_memory_create(skep_hive *hive, const struct skep_shared_memory_options *options,
                                                      skep_shared_memory **ret_memory);

/**
 * Attach a block by name, whoever made it.
 * @return 0; -ENOENT; -EACCES; -ENOSPC its pages cannot be taken; -EBADMSG it is empty, or no memory file; -EINVAL; -ENAMETOOLONG; -ENOMEM; -EMFILE
 */
SKEP_API SKEP_NODISCARD int skep_shared_memory_open(skep_hive *hive, const char *name, skep_shared_memory **ret_memory);

/** One more reference to the handle. @return @p memory */
SKEP_API skep_shared_memory *skep_shared_memory_ref(skep_shared_memory *memory);

/** Drop a reference; the last one unmaps the block and gives up its use. @param memory  NULL is allowed @return NULL */
SKEP_API skep_shared_memory *skep_shared_memory_unref(skep_shared_memory *memory);

/** Unmap the block in this process, but go on using its name. @param memory  nobody else is at work on its bytes */
SKEP_API void skep_shared_memory_unmap(skep_shared_memory *memory);

/** Valid until the last unref or unmap; then NULL.  At a page boundary. */
SKEP_API void *skep_shared_memory_address(const skep_shared_memory *memory);
SKEP_API uint64_t skep_shared_memory_bytes(const skep_shared_memory *memory);
/** Without a slash at its head; borrowed for the life of the handle. */
SKEP_API const char *skep_shared_memory_name(const skep_shared_memory *memory);
SKEP_API skep_hive *skep_shared_memory_hive(const skep_shared_memory *memory);
/** 1 while the name stands for this block, else 0. */
SKEP_API int skep_shared_memory_is_linked(const skep_shared_memory *memory);

/** Remove the name; who has the block keeps it. @return 0; -ENOENT it is gone, or stands for another block now; -EACCES */
SKEP_API SKEP_NODISCARD int skep_shared_memory_unlink(skep_shared_memory *memory);

/**
 * Leave the name to the hive: it stays until somebody unlinks it or the last member leaves the hive in order.  For a process
 * that ends while others may yet attach.  This handle's use ends; its mapping stays until the unref, which is still due.
 * @return 0, also if there is no name to leave; -EOVERFLOW; -ESTALE
 * Crash: if all members are killed after this, the name stays until skep_shared_memory_sweep() is told so.
 */
SKEP_API SKEP_NODISCARD int skep_shared_memory_leave(skep_shared_memory *memory);

/**
 * Say that the name is wanted by others of the hive: if this process is killed, it stays as if left (skep_shared_memory_leave());
 * if the whole hive is killed, it goes.  For a name that was passed on.
 * @return 0, also if there is no name to keep; -EOVERFLOW; -ESTALE
 */
SKEP_API SKEP_NODISCARD int skep_shared_memory_keep(skep_shared_memory *memory);

/** Sweep also what was left to a hive: right when no hive of this user is alive. */
#define SKEP_SWEEP_LEFT 1u

/**
 * Remove the names of blocks made by skep for this user that nobody uses.  skep_shared_memory_create() does it now and then.
 * @param ret_count  may be NULL; how many
 * @return 0; -ENOENT no /dev/shm here; -EINVAL unknown flags
 * Cost: opens each file of the user in /dev/shm that skep has made.
 */
SKEP_API SKEP_NODISCARD int skep_shared_memory_sweep(uint32_t flags, uint32_t *ret_count);

SKEP_END
#endif
