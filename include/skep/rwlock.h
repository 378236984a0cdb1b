/* SPDX-License-Identifier: Apache-2.0 */
/**
 * rwlock.h - many readers or one writer.
 *
 * Not recursive.  Writers first: while one waits, no reader comes in.  Owned by a thread, which alone may release it.
 */
#ifndef SKEP_RWLOCK_H
#define SKEP_RWLOCK_H

#include <skep/block.h>
#include <skep/deadline.h>

SKEP_BEGIN

typedef struct skep_rwlock skep_rwlock;

/** Make a reader-writer lock. @param name  borrowed, NULL: anonymous @return 0; -EEXIST; -ENOSPC; -ENOMEM; -EINVAL; -ENAMETOOLONG */
SKEP_API SKEP_NODISCARD int skep_rwlock_create(skep_hive *hive, const char *name, skep_rwlock **ret_rwlock);

/** Find a reader-writer lock by name. @return 0; -ENOENT; -EPROTOTYPE the name is of another kind; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_rwlock_open(skep_hive *hive, const char *name, skep_rwlock **ret_rwlock);

/** Find a reader-writer lock by reference. @return 0; -ESTALE; -EPROTOTYPE; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_rwlock_attach(skep_hive *hive, skep_block reference, skep_rwlock **ret_rwlock);

/** What skep_rwlock_attach() takes; may be sent to any member. */
SKEP_API skep_block skep_rwlock_reference(const skep_rwlock *rwlock);

/** Drop the handle; the object goes with its last handle and name. @param rwlock  NULL is allowed @return NULL */
SKEP_API skep_rwlock *skep_rwlock_unref(skep_rwlock *rwlock);

/**
 * Take it for reading, with others, or for writing, alone.
 * @return 0; SKEP_OWNER_DIED taken, but a writer had died in it; -EDEADLK this thread holds it; -ETIMEDOUT; what the thread's
 *         interrupt function said
 * Blocks: until @p deadline.
 * Crash: a dead reader is passed over; a dead writer's lock goes to the next one with the news.
 * Cost: reading: two stores to a word of this thread's own.  Writing: a look at every thread of the hive.
 */
SKEP_API SKEP_NODISCARD int skep_rwlock_acquire_read(skep_rwlock *rwlock, skep_deadline deadline);
SKEP_API SKEP_NODISCARD int skep_rwlock_acquire_write(skep_rwlock *rwlock, skep_deadline deadline);

/** Release what this thread holds. @return 0; -EPERM nothing */
SKEP_API int skep_rwlock_release(skep_rwlock *rwlock);

/** Process id of the writer; 0 none. */
SKEP_API int64_t skep_rwlock_writer(const skep_rwlock *rwlock);

SKEP_END
#endif
