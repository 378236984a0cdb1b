/* SPDX-License-Identifier: Apache-2.0 */
/**
 * once.h - what only one of all threads of all members does.
 */
#ifndef SKEP_ONCE_H
#define SKEP_ONCE_H

#include <skep/block.h>
#include <skep/deadline.h>

SKEP_BEGIN

typedef struct skep_once skep_once;

/** Make a once, not done. @param name  borrowed, NULL: anonymous @return 0; -EEXIST; -ENOSPC; -ENOMEM; -EINVAL; -ENAMETOOLONG */
SKEP_API SKEP_NODISCARD int skep_once_create(skep_hive *hive, const char *name, skep_once **ret_once);

/** Find a once by name. @return 0; -ENOENT; -EPROTOTYPE the name is of another kind; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_once_open(skep_hive *hive, const char *name, skep_once **ret_once);

/** Find a once by reference. @return 0; -ESTALE; -EPROTOTYPE; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_once_attach(skep_hive *hive, skep_block reference, skep_once **ret_once);

/** What skep_once_attach() takes; may be sent to any member. */
SKEP_API skep_block skep_once_reference(const skep_once *once);

/** Drop the handle; the object goes with its last handle and name. @param once  NULL is allowed @return NULL */
SKEP_API skep_once *skep_once_unref(skep_once *once);

/**
 * Run @p function unless it has been run to its end; who comes meanwhile waits for it.
 * @return 0 it is done; what @p function returned if below zero: not done, the next one tries; -ETIMEDOUT; -EDEADLK called from
 *         inside the function; SKEP_OWNER_DIED it is done, but somebody had died over it before
 * Crash: somebody else runs it again.
 * Cost: a load when it is done.
 */
SKEP_API SKEP_NODISCARD int skep_once_run(skep_once *once, int (*function)(void *context), void *context, skep_deadline deadline);

/** @return 1 done, 0 not */
SKEP_API int skep_once_is_done(const skep_once *once);

SKEP_END
#endif
