/* SPDX-License-Identifier: Apache-2.0 */
/**
 * barrier.h - a point that a number of parties must reach before any of them goes on.
 *
 * Cyclic.  Who has waited once is a party until the barrier is reset or its process ends in order (exit(), skep_hive_detach(),
 * skep_process_exiting()).  When a party dies otherwise, the barrier breaks for the others.
 */
#ifndef SKEP_BARRIER_H
#define SKEP_BARRIER_H

#include <skep/block.h>
#include <skep/deadline.h>

SKEP_BEGIN

typedef struct skep_barrier skep_barrier;

/** Make a barrier. @param name  borrowed, NULL: anonymous @param parties  at least 1 @return 0; -EINVAL; -EEXIST; -ENOSPC; -ENOMEM; -ENAMETOOLONG */
SKEP_API SKEP_NODISCARD int skep_barrier_create(skep_hive *hive, const char *name, uint32_t parties, skep_barrier **ret_barrier);

/** Find a barrier by name. @return 0; -ENOENT; -EPROTOTYPE the name is of another kind; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_barrier_open(skep_hive *hive, const char *name, skep_barrier **ret_barrier);

/** Find a barrier by reference. @return 0; -ESTALE; -EPROTOTYPE; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_barrier_attach(skep_hive *hive, skep_block reference, skep_barrier **ret_barrier);

/** What skep_barrier_attach() takes; may be sent to any member. */
SKEP_API skep_block skep_barrier_reference(const skep_barrier *barrier);

/** Drop the handle; the object goes with its last handle and name. @param barrier  NULL is allowed @return NULL */
SKEP_API skep_barrier *skep_barrier_unref(skep_barrier *barrier);

/** Run by the last to come before the others go on; below zero: it failed. */
typedef int skep_barrier_action(void *context);

/**
 * Wait for the others.
 * @param action     run by this thread if it is the last to come, with @p context; NULL: none.  Its own calls on this barrier get -EDEADLK
 * @param ret_index  0 .. parties - 1 in the order of coming; may be NULL
 * @return 0; -EPIPE the barrier is or was broken; -ETIMEDOUT, what the action or the thread's interrupt function said: now it
 *         is broken
 * Blocks: until @p deadline.
 * Crash: breaks the barrier for the others.
 */
SKEP_API SKEP_NODISCARD int skep_barrier_wait(skep_barrier *barrier, skep_barrier_action *action, void *context, skep_deadline deadline,
                                              uint32_t *ret_index);

/** Break it: who waits, or comes, gets -EPIPE. @return 0; -EDEADLK */
SKEP_API int skep_barrier_abort(skep_barrier *barrier);

/** Make it whole and empty; who waits gets -EPIPE; parties are forgotten. @return 0; -EDEADLK */
SKEP_API int skep_barrier_reset(skep_barrier *barrier);

SKEP_API uint32_t skep_barrier_parties(const skep_barrier *barrier);

/** Parties that wait now. */
SKEP_API uint32_t skep_barrier_waiting(const skep_barrier *barrier);

/** @return 1 broken, 0 not */
SKEP_API int skep_barrier_is_broken(const skep_barrier *barrier);

SKEP_END
#endif
