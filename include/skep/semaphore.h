/* SPDX-License-Identifier: Apache-2.0 */
/**
 * semaphore.h - a counter that makes takers wait while it is zero.
 *
 * A unit that was taken belongs to nobody: it does not come back when its taker dies.  A tracking semaphore knows who holds
 * which unit: it has a fixed number of them, they are given back by a thread of the process that holds one, and those of a
 * dead holder go to the next taker.
 */
#ifndef SKEP_SEMAPHORE_H
#define SKEP_SEMAPHORE_H

#include <skep/block.h>
#include <skep/deadline.h>

SKEP_BEGIN

typedef struct skep_semaphore skep_semaphore;

/** The most that a semaphore counts to. */
#define SKEP_SEMAPHORE_MAX 0x7fffffffu
/** ... and the most units of a tracking one. */
#define SKEP_SEMAPHORE_TRACKED_MAX 65536u

/** Know who holds which unit. */
#define SKEP_SEMAPHORE_TRACKING 1u

struct skep_semaphore_options {
        size_t options_bytes; /* set by SKEP_SEMAPHORE_OPTIONS() */
        const char *name;     /* borrowed; NULL: anonymous */
        uint32_t value;       /* to begin with */
        uint32_t max;         /* a release above it is refused; 0: SKEP_SEMAPHORE_MAX.  Bounded as in Python: value.  Tracking: ignored, it is value */
        uint32_t flags;       /* SKEP_SEMAPHORE_TRACKING */
        uint32_t reserved;    /* zero */
};

#define SKEP_SEMAPHORE_OPTIONS(...) \
        (&(const struct skep_semaphore_options){.options_bytes = sizeof(struct skep_semaphore_options), __VA_ARGS__})

/** Make a semaphore. @param options  borrowed, NULL: value 0 @return 0; -EINVAL value above max; -EEXIST; -ENOSPC; -ENOMEM; -ENAMETOOLONG; -E2BIG */
SKEP_API SKEP_NODISCARD int skep_semaphore_create(skep_hive *hive, const struct skep_semaphore_options *options, skep_semaphore **ret_semaphore);

/** Find a semaphore by name. @return 0; -ENOENT; -EPROTOTYPE the name is of another kind; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_semaphore_open(skep_hive *hive, const char *name, skep_semaphore **ret_semaphore);

/** Find a semaphore by reference. @return 0; -ESTALE; -EPROTOTYPE; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_semaphore_attach(skep_hive *hive, skep_block reference, skep_semaphore **ret_semaphore);

/** What skep_semaphore_attach() takes; may be sent to any member. */
SKEP_API skep_block skep_semaphore_reference(const skep_semaphore *semaphore);

/** Drop the handle; the object goes with its last handle and name. @param semaphore  NULL is allowed @return NULL */
SKEP_API skep_semaphore *skep_semaphore_unref(skep_semaphore *semaphore);

/**
 * Take a unit.
 * @return 0; SKEP_OWNER_DIED (tracking) it was a dead holder's; -ETIMEDOUT; what the thread's interrupt function said
 * Blocks: until @p deadline.
 * Crash: plain: taken or not taken.  Tracking: a unit names its holder from the compare-and-swap on.
 * Cost: one compare-and-swap when there is one.
 */
SKEP_API SKEP_NODISCARD int skep_semaphore_acquire(skep_semaphore *semaphore, skep_deadline deadline);

/** Give @p count units back and wake as many. @return 0; -EOVERFLOW it would count above max; -EPERM (tracking) this process holds none; -EINVAL zero */
SKEP_API int skep_semaphore_release(skep_semaphore *semaphore, uint32_t count);

/** Units that are free now. */
SKEP_API uint32_t skep_semaphore_value(const skep_semaphore *semaphore);

SKEP_END
#endif
