/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote.h - items on their way to another machine and back, as raw bytes of a call (hive/remote.h).
 *
 * An item is {kind 4, zero 4, number or length 8} and, if it has bytes, those; an OBJECT is its reference.  Arrays, and what mentions
 * objects, do not travel in items: -ENOTSUP.
 */
#ifndef ITEM_REMOTE_H
#define ITEM_REMOTE_H

#include "claim/object.h"
#include "item/item.h"

#define ITEM_HEAD_BYTES 16u

/* @return its head and bytes, appended by `add`; -ENOTSUP */
int item_pack(const struct skep_item *item, void (*add)(void *context, const void *data, size_t bytes), void *context);

/* The next item of a run. @param ret_item  as one that is given: borrows from the run @return 0; -EBADMSG */
int item_unpack(const uint8_t **at, const uint8_t *end, struct skep_item *ret_item);

/* A call of a container: integers and items there, integers and items back. */
struct item_call {
        const struct object *object;
        uint32_t method;
        skep_deadline deadline;
        const int64_t *integers;
        uint32_t integer_count;
        const struct skep_item *items; /* borrowed, [item_count], `item_stride` bytes apart */
        uint64_t item_count;
        size_t item_stride;            /* 0: side by side */
        int64_t results[4];
        uint32_t result_count;
        void *run;                     /* of items that came; free() */
        const uint8_t *at, *end;       /* what item_call_next() has not taken */
};
int item_call(struct item_call *call);
/* The next item that came, as one that was got. @return 0; -EPROTO there is none; -ENOSPC; -ENOMEM */
int item_call_next(struct item_call *call, struct skep_item *ret_item);

/* A call with few of them, and at most one item back. @param ret_item  may be NULL */
int item_simple(const struct object *object, uint32_t method, skep_deadline deadline, const int64_t *integers, uint32_t integer_count,
                const struct skep_item *first, const struct skep_item *second, int64_t *ret_result, struct skep_item *ret_item);

#endif
