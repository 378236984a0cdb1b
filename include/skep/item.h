/* SPDX-License-Identifier: Apache-2.0 */
/**
 * item.h - a value as dicts, lists and namespaces hold it: a number, a text, bytes, an array, another object.
 *
 * An item that is given (to skep_dict_set() ...) is made by one of the functions below and borrows what it points to.
 * An item that was got (from skep_dict_get() ...) is a claim of its own on what it shows: nothing is copied out, it stays as it was
 * when others overwrite or delete it, and it ends with skep_item_clear().  It may be moved like any struct, and be read by any
 * thread; one thread clears it.
 *
 *   kind             C                            Python
 *   NONE             skep_item_none()             None
 *   BOOL             .integer 0 or 1              bool
 *   INTEGER          .integer                     int that fits 64 bits
 *   FLOAT            .real                        float
 *   TEXT, BYTES      skep_item_data()             str (UTF-8), bytes
 *   MSGPACK          skep_item_data()             made and read by C; Python gets bytes
 *   PICKLE           skep_item_data()             any other object; C gets its bytes
 *   ARRAY            .array                       numpy.ndarray born in the hive, by reference
 *   OBJECT           .object                      dict, list, queue, lock ... of the hive, by reference
 */
#ifndef SKEP_ITEM_H
#define SKEP_ITEM_H

#include <skep/array.h>
#include <stdbool.h>
#include <string.h>

SKEP_BEGIN

/** The numbers are part of the format. */
enum skep_item_kind {
        SKEP_ITEM_NONE = 0,
        SKEP_ITEM_BOOL,
        SKEP_ITEM_INTEGER,
        SKEP_ITEM_FLOAT,
        SKEP_ITEM_TEXT,
        SKEP_ITEM_BYTES,
        SKEP_ITEM_MSGPACK,
        SKEP_ITEM_PICKLE,
        SKEP_ITEM_ARRAY,
        SKEP_ITEM_OBJECT,
        SKEP_ITEM_KINDS
};

/** Bytes that are kept beside the item; longer ones lie in a block. */
#define SKEP_ITEM_INLINE_BYTES 24

struct skep_item {
        uint32_t kind;            /* enum skep_item_kind */
        uint32_t reference_count; /* MSGPACK and PICKLE that are given: objects that they mention */
        union {
                int64_t integer;   /* BOOL, INTEGER */
                double real;       /* FLOAT */
                skep_array *array; /* ARRAY; of an item that was got: valid until it is cleared */
                skep_block object; /* OBJECT: what skep_NOUN_attach() takes */
                struct {
                        const void *data; /* of the others; read it with skep_item_data() */
                        size_t bytes;
                };
        };
        const skep_block *references; /* borrowed, [reference_count]: the item claims each of them as long as it is held anywhere */
        /* The library's. */
        skep_hive *hive;
        uint64_t block;
        uint8_t stored[SKEP_ITEM_INLINE_BYTES];
};

/** An item of that kind that is zero. */
static inline struct skep_item skep_item_of_kind(enum skep_item_kind kind)
{
        struct skep_item item;
        memset(&item, 0, sizeof item);
        item.kind = kind;
        return item;
}

static inline struct skep_item skep_item_none(void)
{
        return skep_item_of_kind(SKEP_ITEM_NONE);
}

static inline struct skep_item skep_item_bool(bool value)
{
        struct skep_item item = skep_item_of_kind(SKEP_ITEM_BOOL);
        item.integer = value;
        return item;
}

static inline struct skep_item skep_item_integer(int64_t value)
{
        struct skep_item item = skep_item_of_kind(SKEP_ITEM_INTEGER);
        item.integer = value;
        return item;
}

static inline struct skep_item skep_item_float(double value)
{
        struct skep_item item = skep_item_of_kind(SKEP_ITEM_FLOAT);
        item.real = value;
        return item;
}

/** Bytes of any kind that has them. @param data  borrowed, @p bytes long */
static inline struct skep_item skep_item_of_bytes(enum skep_item_kind kind, const void *data, size_t bytes)
{
        struct skep_item item = skep_item_of_kind(kind);
        item.data = data;
        item.bytes = bytes;
        return item;
}

/** @param text  borrowed, UTF-8, ends with NUL, which is not part of the item */
static inline struct skep_item skep_item_text(const char *text)
{
        return skep_item_of_bytes(SKEP_ITEM_TEXT, text, strlen(text));
}

static inline struct skep_item skep_item_bytes(const void *data, size_t bytes)
{
        return skep_item_of_bytes(SKEP_ITEM_BYTES, data, bytes);
}

/** @param array  borrowed; the container gets a reference to it, and sees what is written to it */
static inline struct skep_item skep_item_array(skep_array *array)
{
        struct skep_item item = skep_item_of_kind(SKEP_ITEM_ARRAY);
        item.array = array;
        return item;
}

/** @param reference  of an object that this process has a handle on */
static inline struct skep_item skep_item_object(skep_block reference)
{
        struct skep_item item = skep_item_of_kind(SKEP_ITEM_OBJECT);
        item.object = reference;
        return item;
}

/**
 * The bytes of a TEXT, BYTES, MSGPACK or PICKLE; of another kind NULL, 0.
 * @param ret_bytes  may be NULL
 * @return of an item that was got: in the item, or in the hive, valid until the item is cleared or moved; a text has no NUL behind it
 */
SKEP_API const void *skep_item_data(const struct skep_item *item, size_t *ret_bytes);

/** End an item that was got: drop its claim; it is NONE then.  Of one that was given: nothing else. @param item  NULL is allowed */
SKEP_API void skep_item_clear(struct skep_item *item);

/**
 * Equal as in Python: 1, 1.0 and true are equal; texts, bytes, pickles and msgpack by their bytes, with their kind; arrays and
 * objects if they are the same.  A pickle that Python made for a key is compared as what the key is equal to.
 */
SKEP_API bool skep_item_equal(const struct skep_item *left, const struct skep_item *right);

SKEP_END
#endif
