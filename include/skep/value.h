/* SPDX-License-Identifier: Apache-2.0 */
/**
 * value.h - shared scalars, and arrays of C types.
 *
 * One element, or many of one type, or items of any size in bytes (structures).  The memory is plain and may be used directly;
 * the functions with an index work on one element atomically, and wake who waits for it to change.
 *
 *   raw           skep_value_data(), or the functions below: no lock
 *   synchronised  made with SKEP_VALUE_LOCK: skep_value_acquire() and _release() around what belongs together
 *
 * Crash: an atomic function is done or not done.  Who dies holding the lock: as skep_rlock.
 */
#ifndef SKEP_VALUE_H
#define SKEP_VALUE_H

#include <skep/array.h>
#include <skep/rlock.h>

SKEP_BEGIN

typedef struct skep_value skep_value;

/** With a recursive lock of its own. */
#define SKEP_VALUE_LOCK 1u

struct skep_value_options {
        size_t options_bytes; /* set by SKEP_VALUE_OPTIONS() */
        const char *name;     /* borrowed; NULL: anonymous */
        uint32_t element;     /* enum skep_element; 0: items of item_bytes, for which there are no atomic functions */
        uint32_t flags;       /* SKEP_VALUE_LOCK */
        uint64_t item_bytes;  /* of one item, with element 0; else ignored */
        uint64_t count;       /* elements; 0: one */
        const void *initial;  /* borrowed, [count] elements; NULL: zeros */
};

#define SKEP_VALUE_OPTIONS(...) \
        (&(const struct skep_value_options){.options_bytes = sizeof(struct skep_value_options), __VA_ARGS__})

/**
 * Make a value.
 * @return 0; -EINVAL unknown element, or neither element nor item_bytes; -EOVERFLOW; -ENOSPC; -ENOMEM; -EEXIST; -ENAMETOOLONG; -E2BIG
 */
SKEP_API SKEP_NODISCARD int skep_value_create(skep_hive *hive, const struct skep_value_options *options, skep_value **ret_value);

/** Find a value by name. @return 0; -ENOENT; -EPROTOTYPE the name is of another kind; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_value_open(skep_hive *hive, const char *name, skep_value **ret_value);

/** Find a value by reference. @return 0; -ESTALE; -EPROTOTYPE; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_value_attach(skep_hive *hive, skep_block reference, skep_value **ret_value);

/** What skep_value_attach() takes; may be sent to any member. */
SKEP_API skep_block skep_value_reference(const skep_value *value);

/** Drop the handle; the object goes with its last handle and name. @param value  NULL is allowed @return NULL */
SKEP_API skep_value *skep_value_unref(skep_value *value);

/** The elements, side by side, aligned to 64 bytes; valid while the handle is. */
SKEP_API void *skep_value_data(const skep_value *value);

SKEP_API uint32_t skep_value_element(const skep_value *value);
SKEP_API uint64_t skep_value_count(const skep_value *value);
/** Of one element or item. */
SKEP_API uint64_t skep_value_item_bytes(const skep_value *value);

/** Take and release the value's lock. @return as skep_rlock_acquire() and _release(); -ENOTSUP made without SKEP_VALUE_LOCK */
SKEP_API SKEP_NODISCARD int skep_value_acquire(skep_value *value, skep_deadline deadline);
SKEP_API int skep_value_release(skep_value *value);

/*
 * Atomic functions on element @p index, sequentially consistent.  _i64 for bool and integers of every width (unsigned ones in the
 * same 64 bits, results wrap to the element's width), _f64 for F32 and F64.
 * @param ret_before  gives the element as it was; may be NULL
 * @return 0; -ERANGE no such index; -EPROTOTYPE the elements are of another type
 * Cost: the processor's atomic instruction (floats: a compare-and-swap loop), and a look at whether somebody waits.
 */
SKEP_API SKEP_NODISCARD int skep_value_load_i64(const skep_value *value, uint64_t index, int64_t *ret_now);
SKEP_API int skep_value_store_i64(skep_value *value, uint64_t index, int64_t desired);
SKEP_API int skep_value_exchange_i64(skep_value *value, uint64_t index, int64_t desired, int64_t *ret_before);
SKEP_API int skep_value_fetch_add_i64(skep_value *value, uint64_t index, int64_t operand, int64_t *ret_before);
SKEP_API int skep_value_fetch_sub_i64(skep_value *value, uint64_t index, int64_t operand, int64_t *ret_before);
SKEP_API int skep_value_fetch_and_i64(skep_value *value, uint64_t index, int64_t operand, int64_t *ret_before);
SKEP_API int skep_value_fetch_or_i64(skep_value *value, uint64_t index, int64_t operand, int64_t *ret_before);
SKEP_API int skep_value_fetch_xor_i64(skep_value *value, uint64_t index, int64_t operand, int64_t *ret_before);

SKEP_API SKEP_NODISCARD int skep_value_load_f64(const skep_value *value, uint64_t index, double *ret_now);
SKEP_API int skep_value_store_f64(skep_value *value, uint64_t index, double desired);
SKEP_API int skep_value_exchange_f64(skep_value *value, uint64_t index, double desired, double *ret_before);
SKEP_API int skep_value_fetch_add_f64(skep_value *value, uint64_t index, double operand, double *ret_before);

/**
 * Store @p desired if the element equals *expected (floats: has its bits).
 * @param expected  borrowed; on -EAGAIN it becomes what was found
 * @return 0 stored; -EAGAIN the element was another; -ERANGE; -EPROTOTYPE
 */
SKEP_API int skep_value_compare_exchange_i64(skep_value *value, uint64_t index, int64_t *expected, int64_t desired);
SKEP_API int skep_value_compare_exchange_f64(skep_value *value, uint64_t index, double *expected, double desired);

/**
 * Wait until the item's bytes differ from @p seen.
 * @param seen  borrowed, skep_value_item_bytes() bytes
 * @return 0; -ETIMEDOUT; -ERANGE; what the thread's interrupt function said
 * Blocks: until @p deadline.  Changes by the functions above wake at once, those through skep_value_data() are seen within 50 ms
 * or after skep_value_changed().
 */
SKEP_API SKEP_NODISCARD int skep_value_wait(skep_value *value, uint64_t index, const void *seen, skep_deadline deadline);

/** Tell who waits that the memory was changed through skep_value_data(). @return 0 */
SKEP_API int skep_value_changed(skep_value *value);

SKEP_END
#endif
