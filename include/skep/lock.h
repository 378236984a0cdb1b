/* SPDX-License-Identifier: Apache-2.0 */
/**
 * lock.h - a lock between the threads of all members that survives the death of its holder.
 *
 * Not recursive.  May be released by any thread of any member, as Python's Lock may.
 */
#ifndef SKEP_LOCK_H
#define SKEP_LOCK_H

#include <skep/block.h>
#include <skep/deadline.h>

SKEP_BEGIN

typedef struct skep_lock skep_lock;

/** Make a lock. @param name  borrowed, NULL: anonymous @return 0; -EEXIST; -ENOSPC; -ENOMEM; -EINVAL; -ENAMETOOLONG */
SKEP_API SKEP_NODISCARD int skep_lock_create(skep_hive *hive, const char *name, skep_lock **ret_lock);

/** Find a lock by name. @return 0; -ENOENT; -EPROTOTYPE the name is of another kind; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_lock_open(skep_hive *hive, const char *name, skep_lock **ret_lock);

/** Find a lock by reference. @return 0; -ESTALE; -EPROTOTYPE; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_lock_attach(skep_hive *hive, skep_block reference, skep_lock **ret_lock);

/** What skep_lock_attach() takes; may be sent to any member. */
SKEP_API skep_block skep_lock_reference(const skep_lock *lock);

/** Drop the handle; the object goes with its last handle and name. @param lock  NULL is allowed @return NULL */
SKEP_API skep_lock *skep_lock_unref(skep_lock *lock);

/**
 * Take the lock.
 * @return 0; SKEP_OWNER_DIED taken, but the previous owner died (or its thread ended) holding it; -ETIMEDOUT;
 *         -EUSERS agent table full; what the thread's interrupt function said
 * Blocks: until @p deadline.
 * Crash: the lock word names its owner from the compare-and-swap on; the next to want it proves the death and takes it.
 * Cost: one compare-and-swap when free.
 * Source: Drepper, Futexes Are Tricky (2011), mutex 2.
 */
SKEP_API SKEP_NODISCARD int skep_lock_acquire(skep_lock *lock, skep_deadline deadline);

/**
 * Release the lock; by whomever.
 * @return 0; -EPERM it is free
 * A lock whose owner has gone is released like any other: the news is for who acquires it, not for who hands it over.
 */
SKEP_API int skep_lock_release(skep_lock *lock);

/** Process id of the holder; 0 if free, or if the holder has gone and been reaped. */
SKEP_API int64_t skep_lock_owner(const skep_lock *lock);

/** Does anybody hold it? @return 1, 0 */
SKEP_API int skep_lock_is_held(const skep_lock *lock);

/** Does the calling thread hold it? @return 1, 0 */
SKEP_API int skep_lock_is_mine(const skep_lock *lock);

/** An owner died holding it, and nobody has cleared that. @return 1, 0 */
SKEP_API int skep_lock_owner_died(const skep_lock *lock);

/** What the lock protects is sound again. */
SKEP_API void skep_lock_clear_owner_died(skep_lock *lock);

SKEP_END
#endif
