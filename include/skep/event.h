/* SPDX-License-Identifier: Apache-2.0 */
/**
 * event.h - a flag to wait for.
 */
#ifndef SKEP_EVENT_H
#define SKEP_EVENT_H

#include <skep/block.h>
#include <skep/deadline.h>

SKEP_BEGIN

typedef struct skep_event skep_event;

/** Make an event, not set. @param name  borrowed, NULL: anonymous @return 0; -EEXIST; -ENOSPC; -ENOMEM; -EINVAL; -ENAMETOOLONG */
SKEP_API SKEP_NODISCARD int skep_event_create(skep_hive *hive, const char *name, skep_event **ret_event);

/** Find an event by name. @return 0; -ENOENT; -EPROTOTYPE the name is of another kind; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_event_open(skep_hive *hive, const char *name, skep_event **ret_event);

/** Find an event by reference. @return 0; -ESTALE; -EPROTOTYPE; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_event_attach(skep_hive *hive, skep_block reference, skep_event **ret_event);

/** What skep_event_attach() takes; may be sent to any member. */
SKEP_API skep_block skep_event_reference(const skep_event *event);

/** Drop the handle; the object goes with its last handle and name. @param event  NULL is allowed @return NULL */
SKEP_API skep_event *skep_event_unref(skep_event *event);

/** Set it and wake all who wait.  Nothing if it is set.  May be called in a signal handler of a thread that has used the hive. @return 0 */
SKEP_API int skep_event_set(skep_event *event);

/** Clear it. Who waited when it was set returns all the same. @return 0 */
SKEP_API int skep_event_clear(skep_event *event);

/** @return 1 set, 0 not */
SKEP_API int skep_event_is_set(const skep_event *event);

/**
 * Wait until it is set, or has been since the call.
 * @return 0; -ETIMEDOUT; what the thread's interrupt function said
 * Blocks: until @p deadline. Crash: a setter that dies before it has woken anybody: the waiters see it within 50 ms.
 */
SKEP_API SKEP_NODISCARD int skep_event_wait(skep_event *event, skep_deadline deadline);

SKEP_END
#endif
