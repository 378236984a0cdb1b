/* SPDX-License-Identifier: Apache-2.0 */
/**
 * shareable_list.h - a list of a fixed number of values in a block of shared memory, found by name.
 *
 * A value is none, a bool, a 64-bit integer, a double, text (UTF-8) or bytes, and a slot may change its type.  The room of a slot
 * is fixed: the characters of its first value rounded up to the next multiple of 8 (an exact multiple gets 8 more), at least
 * its bytes, or what the options ask for.
 * The block is laid out as Python's multiprocessing.shared_memory.ShareableList lays it out, so each reads what the other wrote;
 * what skep adds lies behind.  Lengths are stored: NUL bytes at the end survive.  (Python's own class cuts them off when it reads.)
 * READERS never see half a value.  WRITERS take a lock of the list; when one is killed, the next reader or writer of that slot
 * finishes or forgets what it had begun.  A program that writes with Python's own class takes no part in that.
 */
#ifndef SKEP_SHAREABLE_LIST_H
#define SKEP_SHAREABLE_LIST_H

#include <skep/deadline.h>
#include <skep/shared_memory.h>

SKEP_BEGIN

typedef struct skep_shareable_list skep_shareable_list;

enum skep_shareable_type {
        SKEP_SHAREABLE_NONE,
        SKEP_SHAREABLE_BOOL,  /* integer: 0 or 1 */
        SKEP_SHAREABLE_INT,   /* integer */
        SKEP_SHAREABLE_FLOAT, /* real */
        SKEP_SHAREABLE_TEXT,  /* data, bytes; UTF-8, not checked, not ended by NUL */
        SKEP_SHAREABLE_BYTES, /* data, bytes */
};

struct skep_shareable_item {
        uint32_t type; /* enum skep_shareable_type */
        uint32_t reserved;
        int64_t integer;
        double real;
        const void *data; /* borrowed; from skep_shareable_list_get(): the caller's buffer */
        uint64_t bytes;
};

/** Most bytes of a text. */
#define SKEP_SHAREABLE_BYTES_MAX UINT64_C(999992)

struct skep_shareable_list_options {
        size_t options_bytes;           /* set by SKEP_SHAREABLE_LIST_OPTIONS() */
        const char *name;               /* as of skep_shared_memory_create() */
        const struct skep_shareable_item *items;  /* borrowed, [count] */
        uint64_t count;
        uint64_t room_bytes;            /* least room of each slot; 0: that of its first value */
        uint32_t flags;                 /* SKEP_SHARED_MEMORY_PERSISTENT */
        uint32_t reserved;              /* zero */
};

#define SKEP_SHAREABLE_LIST_OPTIONS(...) \
        (&(const struct skep_shareable_list_options){.options_bytes = sizeof(struct skep_shareable_list_options), __VA_ARGS__})

/**
 * Make a list in a new block.
 * @param ret_list  gives the handle; end with skep_shareable_list_unref()
 * @return as skep_shared_memory_create(); -EMSGSIZE a text is too long; -EINVAL a type is unknown
 * Crash: as of the block; the list has its name when it is whole.
 */
SKEP_API SKEP_NODISCARD int skep_shareable_list_create(skep_hive *hive, const struct skep_shareable_list_options *options,
                                                       skep_shareable_list **ret_list);

/** Attach by name a list made by skep or by Python's class. @return as skep_shared_memory_open(); -EBADMSG no list */
SKEP_API SKEP_NODISCARD int skep_shareable_list_open(skep_hive *hive, const char *name, skep_shareable_list **ret_list);

/** The list in a block that is attached already. @param memory  borrowed, referenced inside @return 0; -EBADMSG; -ENOMEM; -ESTALE unmapped */
SKEP_API SKEP_NODISCARD int skep_shareable_list_of(skep_shared_memory *memory, skep_shareable_list **ret_list);

/** Drop the handle. @param list  NULL is allowed @return NULL */
SKEP_API skep_shareable_list *skep_shareable_list_unref(skep_shareable_list *list);

/** The block beneath, borrowed. */
SKEP_API skep_shared_memory *skep_shareable_list_memory(const skep_shareable_list *list);
/** Number of values; constant. */
SKEP_API uint64_t skep_shareable_list_length(const skep_shareable_list *list);
/** Most bytes that a text in this slot may have; 0: no such slot. */
SKEP_API uint64_t skep_shareable_list_room(const skep_shareable_list *list, uint64_t index);

/**
 * Read a value.
 * @param buffer    where the bytes of a text go; may be NULL if @p capacity is 0
 * @param capacity  of @p buffer, bytes; that of skep_shareable_list_room() is always enough
 * @return 0; -ERANGE no such slot; -EMSGSIZE it does not fit in @p buffer; -EBADMSG the block is damaged; -ESTALE unmapped; -ETIMEDOUT
 * Cost: some 10 ns and the copy.  Blocks: until @p deadline, while a living writer is at work on this slot.
 */
SKEP_API SKEP_NODISCARD int skep_shareable_list_get(skep_shareable_list *list, uint64_t index, void *buffer, uint64_t capacity,
                                                    struct skep_shareable_item *ret_item, skep_deadline deadline);

/**
 * Replace a value.
 * @return 0; -EMSGSIZE longer than the slot's room, and the old value stays; -ERANGE; -EINVAL unknown type; -EBADMSG; -ESTALE; -ETIMEDOUT
 * Crash: the old value or the new one stays.  Cost: some 30 ns and two copies.
 * Blocks: until @p deadline, while another living writer is at work.
 */
SKEP_API SKEP_NODISCARD int skep_shareable_list_set(skep_shareable_list *list, uint64_t index, const struct skep_shareable_item *item,
                                                    skep_deadline deadline);

/** The slot's format as Python's struct module writes it ("q", "16s"), ended by NUL. @return 0; -ERANGE; -EBADMSG; -ESTALE */
SKEP_API SKEP_NODISCARD int skep_shareable_list_format(skep_shareable_list *list, uint64_t index, char ret_format[9]);

/** How many values equal this one, numbers by value (1, 1.0 and true are equal). @return 0; -EBADMSG; -ESTALE; -ENOMEM */
SKEP_API SKEP_NODISCARD int skep_shareable_list_count(skep_shareable_list *list, const struct skep_shareable_item *item, uint64_t *ret_count);

/** Where the first equal value stands. @return 0; -ENOENT; -EBADMSG; -ESTALE; -ENOMEM */
SKEP_API SKEP_NODISCARD int skep_shareable_list_index(skep_shareable_list *list, const struct skep_shareable_item *item, uint64_t *ret_index);

SKEP_END
#endif
