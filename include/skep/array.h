/* SPDX-License-Identifier: Apache-2.0 */
/**
 * array.h - n-dimensional arrays in a hive: element type, shape, strides over a block.
 *
 * A skep_array is a private, counted description; the block holds the elements only, from 64 KiB on at a page boundary.
 * Elements are plain memory: whoever writes them concurrently needs a lock of his own.
 */
#ifndef SKEP_ARRAY_H
#define SKEP_ARRAY_H

#include <skep/block.h>

SKEP_BEGIN

#define SKEP_ARRAY_DIMENSION_MAX 32

/** Element types; the numbers are part of the format.  Complex numbers are pairs of floats. */
enum skep_element {
        SKEP_ELEMENT_BOOL = 1, /* one byte, 0 or 1 */
        SKEP_ELEMENT_I8,
        SKEP_ELEMENT_U8,
        SKEP_ELEMENT_I16,
        SKEP_ELEMENT_U16,
        SKEP_ELEMENT_I32,
        SKEP_ELEMENT_U32,
        SKEP_ELEMENT_I64,
        SKEP_ELEMENT_U64,
        SKEP_ELEMENT_F16,
        SKEP_ELEMENT_F32,
        SKEP_ELEMENT_F64,
        SKEP_ELEMENT_C64,  /* complex of two F32 */
        SKEP_ELEMENT_C128, /* complex of two F64 */
        SKEP_ELEMENT_COUNT
};

typedef struct skep_array skep_array;

/** Do not fill the new array with zeros. */
#define SKEP_ARRAY_UNINITIALIZED 1u

struct skep_array_options {
        size_t options_bytes;     /* set by SKEP_ARRAY_OPTIONS() */
        uint32_t element;         /* enum skep_element */
        uint32_t dimension_count; /* 0 .. SKEP_ARRAY_DIMENSION_MAX */
        const uint64_t *shape;    /* borrowed, [dimension_count], elements per dimension, slowest first; zeros allowed */
        uint32_t flags;           /* SKEP_ARRAY_UNINITIALIZED */
        uint32_t reserved;        /* zero */
};

#define SKEP_ARRAY_OPTIONS(...) \
        (&(const struct skep_array_options){.options_bytes = sizeof(struct skep_array_options), __VA_ARGS__})

/** Bytes of one element; 0 for an unknown type. */
SKEP_API uint32_t skep_element_bytes(uint32_t element);

/** Name of an element type as NumPy writes it ("float32"); NULL for an unknown type. */
SKEP_API const char *skep_element_name(uint32_t element);

/**
 * Make an array in C order, zeroed unless SKEP_ARRAY_UNINITIALIZED.
 * @param ret_array  gives one reference; end with skep_array_unref()
 * @return 0; -EINVAL; -EOVERFLOW the shape does not fit in 63 bits; -ENOSPC; -ENOMEM; -E2BIG
 */
SKEP_API SKEP_NODISCARD int skep_array_create(skep_hive *hive, const struct skep_array_options *options, skep_array **ret_array);

/**
 * Another look at the memory of @p base.
 * @param offset_bytes  of the first element, from skep_array_data(base)'s block start
 * @param strides       borrowed, BYTES from one element to the next per dimension, may be negative or zero; NULL: C order
 * @return 0; -EINVAL elements would lie outside the block; -EOVERFLOW; -ENOMEM
 */
SKEP_API SKEP_NODISCARD int skep_array_view(skep_array *base, uint32_t element, uint64_t offset_bytes, uint32_t dimension_count,
                                            const uint64_t *shape, const int64_t *strides, skep_array **ret_array);

/**
 * Look at a plain block (skep_block_alloc(), skep_array_block()) that came as a reference.  Somebody must hold it meanwhile.
 * @return as skep_array_view(); -ESTALE the block is gone; -EPROTOTYPE it is an object's
 */
SKEP_API SKEP_NODISCARD int skep_array_attach(skep_hive *hive, skep_block block, uint32_t element, uint64_t offset_bytes, uint32_t dimension_count,
                                              const uint64_t *shape, const int64_t *strides, skep_array **ret_array);

/** One more reference to the handle. @return @p array */
SKEP_API skep_array *skep_array_ref(skep_array *array);

/** Drop a reference; the last one drops the claim on the block. @param array  NULL is allowed @return NULL */
SKEP_API skep_array *skep_array_unref(skep_array *array);

/** Address of the element with all indices zero. */
SKEP_API void *skep_array_data(const skep_array *array);
SKEP_API uint32_t skep_array_element(const skep_array *array);
SKEP_API uint32_t skep_array_dimension_count(const skep_array *array);
/** [dimension_count], borrowed for the life of the handle. */
SKEP_API const uint64_t *skep_array_shape(const skep_array *array);
/** [dimension_count], bytes, borrowed for the life of the handle. */
SKEP_API const int64_t *skep_array_strides(const skep_array *array);
/** Number of elements. */
SKEP_API uint64_t skep_array_count(const skep_array *array);
/** Number of elements times their size. */
SKEP_API uint64_t skep_array_bytes(const skep_array *array);
/** 1 if the elements lie in C order without gaps, else 0. */
SKEP_API int skep_array_is_contiguous(const skep_array *array);
/** The block beneath, borrowed. */
SKEP_API skep_block skep_array_block(const skep_array *array);
/** Bytes from the block's start to the element with all indices zero. */
SKEP_API uint64_t skep_array_offset(const skep_array *array);
SKEP_API skep_hive *skep_array_hive(const skep_array *array);

SKEP_END
#endif
