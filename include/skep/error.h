/* SPDX-License-Identifier: Apache-2.0 */
/**
 * error.h - what the int results mean.
 *
 * Below zero the caller passes it on, above zero he looks at it, zero is done.  The codes are those of <errno.h>, negated:
 *
 *   -EINVAL        an argument is outside its range             -ETIMEDOUT  the deadline passed
 *   -ENOSPC        the hive is full; free something             -ESHUTDOWN  the queue is closed (and drained, for get)
 *   -ENOMEM        no private memory or address space           -EMSGSIZE   message does not fit
 *   -EUSERS        member or agent table is full                -EBADMSG    the hive is damaged, or is none
 *   -EPROTO        hive or peer of another format or protocol   -ESTALE     the object is gone, or the handle was closed
 *   -EPROTOTYPE    message is of another kind than asked for    -EOVERFLOW  sizes do not fit in 63 bits
 *   -ENOENT        no such name                                 -EEXIST     the name is taken
 *   -ENAMETOOLONG  name longer than SKEP_NAME_MAX               -E2BIG      options newer than the library
 *   -EPERM         not the owner                                -EDEADLK    already held by this thread
 *   -EOWNERDEAD    the process that would have answered died    -EBUSY      still in use
 *   -ENOTSUP       not offered here                             -EPIPE      broken: a party died, gave up or ran out of time
 *   -EACCES        permission denied, or the keys differ        -ENOSYS     built without the network
 *   -ECONNRESET    broken: the call may have happened           -ENOTCONN   not connected: the call has not happened
 *   -ECANCELED     cancelled before it was done
 * Other values are what the operating system said.
 */
#ifndef SKEP_ERROR_H
#define SKEP_ERROR_H

#include <skep/attr.h>

SKEP_BEGIN

/** Done, and: the previous owner died while it held this; look at what the lock protects. */
#define SKEP_OWNER_DIED 1
/** Done, and: some tasks of the job failed; skep_future_failure() tells which. */
#define SKEP_TASKS_FAILED 2

/**
 * Describe a result.
 * @param result  any value returned by a skep function
 * @return        a sentence without full stop; static storage, never NULL, not translated
 * Also usable inside a signal handler.
 */
SKEP_API const char *skep_strerror(int result);

/** Symbolic name of a result, such as "ENOSPC"; static storage, never NULL ("E?" for an unknown one). */
SKEP_API const char *skep_error_name(int result);

SKEP_END
#endif
