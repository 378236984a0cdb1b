/* SPDX-License-Identifier: Apache-2.0 */
/**
 * inspect.h - what is in a hive, who holds it and who waits for it.
 *
 * Looking takes no lock and disturbs nobody; what is seen is true for a moment, and not all of it for the same one.
 */
#ifndef SKEP_INSPECT_H
#define SKEP_INSPECT_H

#include <skep/block.h>

SKEP_BEGIN

struct skep_object_info {
        skep_block reference;
        const char *kind;              /* "queue", "lock", "event" ...; static storage */
        char name[SKEP_NAME_MAX + 1];  /* empty: anonymous */
        uint64_t bytes;                /* of its block */
        uint64_t value;                /* queue, channel end: messages; rlock: depth; semaphore: units; event, once: 0 or 1;
                                          barrier: parties that wait; rwlock: readers; value: elements; list: items; dict, namespace: keys;
                                          pool: workers; job: tasks */
        int64_t owner_pid;             /* who holds it (of a rwlock: the writer); 0 nobody */
        int64_t owner_thread;          /* kernel's thread id */
        int64_t held_ns;               /* for so long a waiter has seen that owner; 0 unknown: nobody has waited for it */
        uint32_t waiters;              /* threads asleep on it */
        uint32_t flags;                /* SKEP_OBJECT_* */
};

#define SKEP_OBJECT_OWNER_DIED 1u /* an owner died holding it, and nobody has cleared that */
#define SKEP_OBJECT_BROKEN 2u     /* of a barrier */

/** Call @p visit for each object of the hive (no plain blocks). @return 0; what @p visit returned if not 0; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_hive_objects(skep_hive *hive, int (*visit)(const struct skep_object_info *info, void *context), void *context);

/** The kind of an object: "queue", "dict" ... @return static storage; NULL: the object is gone, or never was */
SKEP_API const char *skep_object_kind(skep_hive *hive, skep_block reference);

struct skep_wait_info {
        int64_t pid;
        int64_t thread;        /* kernel's thread id */
        skep_block object;     /* what it waits for; {0, 0} unknown */
        const char *kind;      /* of it */
        int64_t waited_ns;
        int64_t owner_pid;     /* who stands in the way; 0 unknown */
};

/** Call @p visit for each thread that waits for something of the hive. @return 0; what @p visit returned if not 0; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_hive_waits(skep_hive *hive, int (*visit)(const struct skep_wait_info *info, void *context), void *context);

SKEP_END
#endif
