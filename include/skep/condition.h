/* SPDX-License-Identifier: Apache-2.0 */
/**
 * condition.h - wait, under a lock, until somebody says that something has changed.
 *
 * Bound to a lock or rlock, its own or a given one, which whoever waits or notifies must hold.
 */
#ifndef SKEP_CONDITION_H
#define SKEP_CONDITION_H

#include <skep/lock.h>
#include <skep/rlock.h>

SKEP_BEGIN

typedef struct skep_condition skep_condition;

struct skep_condition_options {
        size_t options_bytes; /* set by SKEP_CONDITION_OPTIONS() */
        const char *name;     /* borrowed; NULL: anonymous */
        skep_lock *lock;      /* borrowed: bind to this one ... */
        skep_rlock *rlock;    /* ... or to this one; neither: an rlock of its own */
};

#define SKEP_CONDITION_OPTIONS(...) \
        (&(const struct skep_condition_options){.options_bytes = sizeof(struct skep_condition_options), __VA_ARGS__})

/** Make a condition. @param options  borrowed, NULL: defaults @return 0; -EINVAL both locks; -EEXIST; -ENOSPC; -ENOMEM; -ENAMETOOLONG; -E2BIG; -EOVERFLOW */
SKEP_API SKEP_NODISCARD int skep_condition_create(skep_hive *hive, const struct skep_condition_options *options, skep_condition **ret_condition);

/** Find a condition by name. @return 0; -ENOENT; -EPROTOTYPE the name is of another kind; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_condition_open(skep_hive *hive, const char *name, skep_condition **ret_condition);

/** Find a condition by reference. @return 0; -ESTALE; -EPROTOTYPE; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_condition_attach(skep_hive *hive, skep_block reference, skep_condition **ret_condition);

/** What skep_condition_attach() takes; may be sent to any member. */
SKEP_API skep_block skep_condition_reference(const skep_condition *condition);

/** Drop the handle; the object goes with its last handle and name. @param condition  NULL is allowed @return NULL */
SKEP_API skep_condition *skep_condition_unref(skep_condition *condition);

/** Take and release the lock that the condition is bound to. @return as skep_lock_ or skep_rlock_acquire() and _release() */
SKEP_API SKEP_NODISCARD int skep_condition_acquire(skep_condition *condition, skep_deadline deadline);
SKEP_API int skep_condition_release(skep_condition *condition);

/**
 * Let the lock go (an rlock wholly), sleep until notified, take it back.
 * @return 0 notified; SKEP_OWNER_DIED the lock's last owner died holding it, maybe before it notified those whom it would have:
 *         look, mend, and notify for it; -ETIMEDOUT; -EPERM this thread does not hold the lock; what the thread's interrupt
 *         function said.  But for -EPERM the lock is held again.
 * Blocks: until @p deadline, and then until the lock is free.
 * Crash: a notified waiter that dies before it has the lock passes the notification on to another one.  If the holder of the
 *        lock dies and nobody comes to take it, one of the waiters does.
 */
SKEP_API SKEP_NODISCARD int skep_condition_wait(skep_condition *condition, skep_deadline deadline);

/** Wake the @p count waiters that have waited longest, no more. @return 0; -EPERM this thread does not hold the lock */
SKEP_API int skep_condition_notify(skep_condition *condition, uint32_t count);

/** Wake all. @return 0; -EPERM */
SKEP_API int skep_condition_notify_all(skep_condition *condition);

SKEP_END
#endif
