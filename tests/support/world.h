/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h - a small hive with one of everything, the operations that members die in, and what must hold afterwards.
 *
 * The queue "q" holds 1 (small), 2 (long), 3 (array), 4 (small); the unbounded queue "u" is one slot short of a second ring.
 * The queue "a" is to be acknowledged and holds 1 (small), 2 (long), 3 (array); its messages are dead letters after two tries.
 * An operation takes from the front of "q" and appends values from 100 on.  Whatever dies where: what is left is the rest
 * of 1..4 after at most `gets` of them, then the first of 100.., in order, each once; what was put, and nothing else, is counted as
 * unfinished; and of "a" each once, in any order and perhaps as a dead letter, but for `acknowledged`.  An operation that reaps has a victim,
 * who died before in the middle of something.
 */
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include <skep/skep.h>
#include <stdbool.h>

#define WORLD_FIRST 4
#define WORLD_ACKNOWLEDGED 3
#define WORLD_UNBOUNDED 15 /* one less than the first ring of an unbounded queue takes */

struct world {
        skep_hive *hive;
        skep_queue *queue;
        skep_queue *unbounded;
        skep_queue *acknowledged;
        skep_array *array; /* holds 100; for putting */
        skep_lock *lock;
};

struct operation {
        const char *name;
        void (*run)(struct world *world);
        int gets; /* from "q" */
        int puts; /* to "q" */
        int tasks; /* of "q" that it says are done */
        int unbounded_gets;
        int unbounded_puts;
        int acknowledged; /* of "a" */
        bool drained; /* "u" before: three more were put, and all but the last of the first ring and those in the second taken */
        void (*victim)(struct world *world); /* NULL: none */
        bool maps;                           /* the hive once more, at another address */
};

extern const struct operation operations[];
extern const int operation_count;

/* What an operation that `maps` calls with the handle; NULL: nothing. */
extern void (*world_mapped)(const skep_hive *hive);

/* With the operation's victim, dead and not yet reaped. */
void world_make(struct world *world, const struct operation *operation);

/* After the death and the reaping, by a survivor: empties the world and fails the running test if anything is wrong. */
void world_check(skep_hive *hive, const struct operation *operation, bool finished, const char *where);

/* Drop the handles that the maker holds. */
void world_leave(struct world *world);

#endif
