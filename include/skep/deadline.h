/* SPDX-License-Identifier: Apache-2.0 */
/** deadline.h - until when a call may wait. */
#ifndef SKEP_DEADLINE_H
#define SKEP_DEADLINE_H

#include <skep/attr.h>

SKEP_BEGIN

/**
 * A point in time: nanoseconds of CLOCK_MONOTONIC.  Build it with the functions below only.
 * Valid in the process that made it (time namespaces differ); never stored in a hive.
 */
typedef struct skep_deadline {
        int64_t monotonic_ns;
} skep_deadline;

/** The deadline @p duration_ns from now; saturates; zero or less: do not block. */
SKEP_API skep_deadline skep_within_ns(int64_t duration_ns);

/** "Do not block." */
static inline skep_deadline skep_nowait(void)
{
        return (skep_deadline){0};
}

/** "No limit." */
static inline skep_deadline skep_forever(void)
{
        return (skep_deadline){INT64_MAX};
}

SKEP_END
#endif
