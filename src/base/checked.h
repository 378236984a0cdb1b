/* SPDX-License-Identifier: Apache-2.0 */
/* checked.h - arithmetic on sizes that says when it does not fit, and alignment. */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* True if the product fits in 63 bits. */
static inline bool checked_mul(uint64_t a, uint64_t b, uint64_t *ret_product)
{
        return !__builtin_mul_overflow(a, b, ret_product) && *ret_product <= INT64_MAX;
}

static inline bool checked_add(uint64_t a, uint64_t b, uint64_t *ret_sum)
{
        return !__builtin_add_overflow(a, b, ret_sum) && *ret_sum <= INT64_MAX;
}

/* Next multiple of align, a power of two; value must be below 2^63. */
static inline uint64_t align_up(uint64_t value, uint64_t align)
{
        return (value + align - 1) & ~(align - 1);
}

static inline bool is_power_of_two(uint64_t value)
{
        return value && !(value & (value - 1));
}

static inline uint64_t power_of_two_from(uint64_t value)
{
        return value <= 1 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(value - 1));
}

#endif
