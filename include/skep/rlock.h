/* SPDX-License-Identifier: Apache-2.0 */
/**
 * rlock.h - a lock that its owner, one thread of one member, may acquire again and again.
 *
 * Only its owner may release it.  A forked child does not own what its parent owns.
 */
#ifndef SKEP_RLOCK_H
#define SKEP_RLOCK_H

#include <skep/block.h>
#include <skep/deadline.h>

SKEP_BEGIN

typedef struct skep_rlock skep_rlock;

/** Make a recursive lock. @param name  borrowed, NULL: anonymous @return 0; -EEXIST; -ENOSPC; -ENOMEM; -EINVAL; -ENAMETOOLONG */
SKEP_API SKEP_NODISCARD int skep_rlock_create(skep_hive *hive, const char *name, skep_rlock **ret_rlock);

/** Find a recursive lock by name. @return 0; -ENOENT; -EPROTOTYPE the name is of another kind; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_rlock_open(skep_hive *hive, const char *name, skep_rlock **ret_rlock);

/** Find a recursive lock by reference. @return 0; -ESTALE; -EPROTOTYPE; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_rlock_attach(skep_hive *hive, skep_block reference, skep_rlock **ret_rlock);

/** What skep_rlock_attach() takes; may be sent to any member. */
SKEP_API skep_block skep_rlock_reference(const skep_rlock *rlock);

/** Drop the handle; the object goes with its last handle and name. @param rlock  NULL is allowed @return NULL */
SKEP_API skep_rlock *skep_rlock_unref(skep_rlock *rlock);

/**
 * Take the lock, or take it once more.
 * @return as skep_lock_acquire(); -EOVERFLOW acquired 2^32 - 1 times
 * Crash: as skep_lock; the heir's depth is 1.
 */
SKEP_API SKEP_NODISCARD int skep_rlock_acquire(skep_rlock *rlock, skep_deadline deadline);

/** Undo one acquire. @return 0; -EPERM this thread is not the owner */
SKEP_API int skep_rlock_release(skep_rlock *rlock);

/** How often this thread holds it; 0 if another one does or nobody. */
SKEP_API uint32_t skep_rlock_depth(const skep_rlock *rlock);

/** Process id of the holder; 0 if free, or if the holder has gone and been reaped. */
SKEP_API int64_t skep_rlock_owner(const skep_rlock *rlock);

/** Does anybody hold it? @return 1, 0 */
SKEP_API int skep_rlock_is_held(const skep_rlock *rlock);

/** An owner died holding it, and nobody has cleared that. @return 1, 0 */
SKEP_API int skep_rlock_owner_died(const skep_rlock *rlock);

/** What the lock protects is sound again. */
SKEP_API void skep_rlock_clear_owner_died(skep_rlock *rlock);

SKEP_END
#endif
