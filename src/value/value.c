/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.c - scalars and arrays of C types in a block: header, then the elements (skep/value.h).
 *
 * The header is constant but for the lock and the event count.  An atomic function changes the element first, sequentially
 * consistent, then looks whether somebody waits: the event count's protocol (sync/wait.h).  A dead changer's wake-up costs a slice.
 */
#include "base/probe.h"
#include "claim/object.h"
#include "sync/lock.h"
#include "sync/wait.h"

#include <errno.h>
#include <skep/inspect.h>
#include <skep/value.h>
#include <string.h>

struct shm_value {
        struct shm_lock lock;
        uint32_t element;
        uint32_t flags;
        uint64_t item_bytes;
        uint64_t count;
        uint32_t changes; /* event count */
        uint32_t reserved[5];
};
_Static_assert(sizeof(struct shm_value) == 64, "format");

struct skep_value {
        struct object base;
        struct shm_value *shared; /* checked: what follows it has count * item_bytes bytes */
        uint8_t *data;
        uint64_t count;
        uint32_t item_bytes; /* of elements; items of other sizes have no atomic functions: 0 */
        uint32_t element;
};

static void value_format(void *memory, const void *given)
{
        const struct skep_value_options *options = given;
        struct shm_value *shared = memory;
        shared->element = options->element;
        shared->flags = options->flags;
        shared->item_bytes = options->item_bytes;
        shared->count = options->count;
        if (options->initial)
                memcpy(shared + 1, options->initial, options->count * options->item_bytes);
}

static bool is_sound(const struct shm_value *shared, uint64_t bytes)
{
        uint64_t data_bytes;
        if (__builtin_mul_overflow(shared->count, shared->item_bytes, &data_bytes) || data_bytes > bytes - sizeof *shared)
                return false;
        return shared->count && shared->item_bytes && (!shared->element || shared->item_bytes == skep_element_bytes(shared->element));
}

static int value_complete(struct object *taken)
{
        skep_value *value = (skep_value *)taken;
        struct shm_value *shared = taken->shared;
        if (!is_sound(shared, taken->shared_bytes))
                return -EBADMSG;
        value->shared = shared;
        value->data = (uint8_t *)(shared + 1);
        value->count = shared->count;
        value->element = shared->element;
        value->item_bytes = shared->element ? (uint32_t)shared->item_bytes : 0;
        return 0;
}

int skep_value_create(skep_hive *hive, const struct skep_value_options *given, skep_value **ret_value)
{
        struct skep_value_options options;
        struct object *object;
        int result = options_copy(&options, sizeof options, given);
        if (result < 0)
                return result;
        if (options.element)
                options.item_bytes = skep_element_bytes(options.element);
        options.count += !options.count;
        uint64_t bytes;
        if (!options.item_bytes || (options.flags & ~SKEP_VALUE_LOCK))
                return -EINVAL;
        if (__builtin_mul_overflow(options.count, options.item_bytes, &bytes) || bytes > INT64_MAX - sizeof(struct shm_value))
                return -EOVERFLOW;
        result = object_create(hive, BLOCK_VALUE, options.name, sizeof(struct shm_value) + bytes, value_format, &options, &object);
        if (result == 0)
                *ret_value = (skep_value *)object;
        return result;
}

OBJECT_FUNCTIONS(value, BLOCK_VALUE)

void *skep_value_data(const skep_value *value)
{
        return value->data;
}

uint32_t skep_value_element(const skep_value *value)
{
        return value->element;
}

uint64_t skep_value_count(const skep_value *value)
{
        return value->count;
}

uint64_t skep_value_item_bytes(const skep_value *value)
{
        return value->element ? value->item_bytes : value->shared->item_bytes;
}

int skep_value_acquire(skep_value *value, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = value->shared->flags & SKEP_VALUE_LOCK ? object_self(&value->base, &agent) : -ENOTSUP;
        return result < 0 ? result : rlock_acquire(agent, &value->shared->lock, deadline);
}

int skep_value_release(skep_value *value)
{
        struct skep_agent *agent;
        int result = value->shared->flags & SKEP_VALUE_LOCK ? object_self(&value->base, &agent) : -ENOTSUP;
        return result < 0 ? result : rlock_release(agent, &value->shared->lock);
}

/* --- integers ------------------------------------------------------------------------------------------------------------------ */

static int integer_at(const skep_value *value, uint64_t index, void **ret_item)
{
        if (__builtin_expect(value->element - SKEP_ELEMENT_BOOL > SKEP_ELEMENT_U64 - SKEP_ELEMENT_BOOL, 0))
                return -EPROTOTYPE;
        if (__builtin_expect(index >= value->count, 0))
                return -ERANGE;
        *ret_item = value->data + index * value->item_bytes;
        return 0;
}

/* The low bytes of a word as an integer of the element's width and sign. */
static int64_t integer_of(const skep_value *value, uint64_t word)
{
        unsigned unused = 64 - 8 * value->item_bytes;
        bool is_signed = value->element == SKEP_ELEMENT_I8 || value->element == SKEP_ELEMENT_I16 || value->element == SKEP_ELEMENT_I32 ||
                         value->element == SKEP_ELEMENT_I64;
        return is_signed ? (int64_t)(word << unused) >> unused : (int64_t)(word << unused >> unused);
}

/* After a change: tell what was there, and who waits. */
static inline int told(skep_value *value, uint64_t before, int64_t *ret_before)
{
        PROBE("value.changed");
        event_notify(&value->shared->changes, INT32_MAX);
        if (ret_before)
                *ret_before = integer_of(value, before);
        return 0;
}

int skep_value_load_i64(const skep_value *value, uint64_t index, int64_t *ret_now)
{
        void *item;
        int result = integer_at(value, index, &item);
        if (result == 0)
                *ret_now = integer_of(value, skep_sized_load(item, value->item_bytes));
        return result;
}

int skep_value_exchange_i64(skep_value *value, uint64_t index, int64_t desired, int64_t *ret_before)
{
        void *item;
        int result = integer_at(value, index, &item);
        if (result < 0)
                return result;
        return told(value, skep_sized_exchange(item, value->item_bytes, (uint64_t)desired), ret_before);
}

int skep_value_store_i64(skep_value *value, uint64_t index, int64_t desired)
{
        return skep_value_exchange_i64(value, index, desired, NULL);
}

int skep_value_fetch_add_i64(skep_value *value, uint64_t index, int64_t operand, int64_t *ret_before)
{
        void *item;
        int result = integer_at(value, index, &item);
        if (result < 0)
                return result;
        return told(value, skep_sized_fetch_add(item, value->item_bytes, (uint64_t)operand), ret_before);
}

int skep_value_fetch_and_i64(skep_value *value, uint64_t index, int64_t operand, int64_t *ret_before)
{
        void *item;
        int result = integer_at(value, index, &item);
        if (result < 0)
                return result;
        return told(value, skep_sized_fetch_and(item, value->item_bytes, (uint64_t)operand), ret_before);
}

int skep_value_fetch_or_i64(skep_value *value, uint64_t index, int64_t operand, int64_t *ret_before)
{
        void *item;
        int result = integer_at(value, index, &item);
        if (result < 0)
                return result;
        return told(value, skep_sized_fetch_or(item, value->item_bytes, (uint64_t)operand), ret_before);
}

int skep_value_fetch_xor_i64(skep_value *value, uint64_t index, int64_t operand, int64_t *ret_before)
{
        void *item;
        int result = integer_at(value, index, &item);
        if (result < 0)
                return result;
        return told(value, skep_sized_fetch_xor(item, value->item_bytes, (uint64_t)operand), ret_before);
}

int skep_value_fetch_sub_i64(skep_value *value, uint64_t index, int64_t operand, int64_t *ret_before)
{
        return skep_value_fetch_add_i64(value, index, (int64_t)(0 - (uint64_t)operand), ret_before);
}

int skep_value_compare_exchange_i64(skep_value *value, uint64_t index, int64_t *expected, int64_t desired)
{
        void *item;
        int result = integer_at(value, index, &item);
        if (result < 0)
                return result;
        uint64_t found = (uint64_t)*expected;
        bool fits = integer_of(value, found) == *expected;
        if (fits && skep_sized_cas(item, value->item_bytes, &found, (uint64_t)desired))
                return told(value, 0, NULL);
        if (!fits)
                found = skep_sized_load(item, value->item_bytes);
        *expected = integer_of(value, found);
        return -EAGAIN;
}

/* --- floats: the same on their bits --------------------------------------------------------------------------------------------- */

static int float_at(const skep_value *value, uint64_t index, void **ret_item)
{
        if (value->element != SKEP_ELEMENT_F32 && value->element != SKEP_ELEMENT_F64)
                return -EPROTOTYPE;
        if (index >= value->count)
                return -ERANGE;
        *ret_item = value->data + index * value->item_bytes;
        return 0;
}

static double float_of(const skep_value *value, uint64_t word)
{
        double wide;
        float narrow;
        uint32_t low = (uint32_t)word;
        memcpy(&wide, &word, sizeof wide);
        memcpy(&narrow, &low, sizeof narrow);
        return value->item_bytes == sizeof narrow ? (double)narrow : wide;
}

static uint64_t word_of_float(const skep_value *value, double number)
{
        float narrow = (float)number;
        uint32_t low;
        uint64_t word;
        memcpy(&low, &narrow, sizeof low);
        memcpy(&word, &number, sizeof word);
        return value->item_bytes == sizeof narrow ? low : word;
}

int skep_value_load_f64(const skep_value *value, uint64_t index, double *ret_now)
{
        void *item;
        int result = float_at(value, index, &item);
        if (result == 0)
                *ret_now = float_of(value, skep_sized_load(item, value->item_bytes));
        return result;
}

int skep_value_exchange_f64(skep_value *value, uint64_t index, double desired, double *ret_before)
{
        void *item;
        int result = float_at(value, index, &item);
        if (result < 0)
                return result;
        uint64_t before = skep_sized_exchange(item, value->item_bytes, word_of_float(value, desired));
        if (ret_before)
                *ret_before = float_of(value, before);
        return told(value, 0, NULL);
}

int skep_value_store_f64(skep_value *value, uint64_t index, double desired)
{
        return skep_value_exchange_f64(value, index, desired, NULL);
}

int skep_value_fetch_add_f64(skep_value *value, uint64_t index, double operand, double *ret_before)
{
        void *item;
        int result = float_at(value, index, &item);
        if (result < 0)
                return result;
        uint64_t before = skep_sized_load(item, value->item_bytes);
        while (!skep_sized_cas(item, value->item_bytes, &before, word_of_float(value, float_of(value, before) + operand)))
                ;
        if (ret_before)
                *ret_before = float_of(value, before);
        return told(value, 0, NULL);
}

int skep_value_compare_exchange_f64(skep_value *value, uint64_t index, double *expected, double desired)
{
        void *item;
        int result = float_at(value, index, &item);
        if (result < 0)
                return result;
        uint64_t found = word_of_float(value, *expected);
        if (skep_sized_cas(item, value->item_bytes, &found, word_of_float(value, desired)))
                return told(value, 0, NULL);
        *expected = float_of(value, found);
        return -EAGAIN;
}

/* --- waiting ----------------------------------------------------------------------------------------------------------------------- */

static bool differs(const skep_value *value, const uint8_t *item, const void *seen)
{
        if (value->item_bytes && value->item_bytes <= 8) {
                uint64_t word = skep_sized_load(item, value->item_bytes);
                return memcmp(&word, seen, value->item_bytes) != 0; /* little-endian, as all machines we build for */
        }
        return memcmp(item, seen, skep_value_item_bytes(value)) != 0;
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "differs()");

int skep_value_wait(skep_value *value, uint64_t index, const void *seen, skep_deadline deadline)
{
        struct skep_agent *agent;
        int result = index < value->count ? object_self(&value->base, &agent) : -ERANGE;
        if (result < 0)
                return result;
        const uint8_t *item = value->data + index * skep_value_item_bytes(value);
        if (differs(value, item, seen))
                return 0;
        wait_begins(agent, value->shared, 0);
        for (;;) {
                uint32_t key = event_prepare(&value->shared->changes);
                if (differs(value, item, seen) || result < 0)
                        break;
                result = wait_slice(&value->shared->changes, key, deadline);
        }
        wait_ends(agent);
        return differs(value, item, seen) && !wait_interrupted(result) ? 0 : result;
}

int skep_value_changed(skep_value *value)
{
        skep_fence();
        event_notify(&value->shared->changes, INT32_MAX);
        return 0;
}

/* --- kind ----------------------------------------------------------------------------------------------------------------------------- */

static uint64_t value_verify(skep_hive *hive, struct shm_block *block)
{
        uint64_t bytes;
        const struct shm_value *shared = heap_data(hive, block, &bytes);
        return !shared || bytes < sizeof *shared || !is_sound(shared, bytes);
}

static void value_inspect(skep_hive *hive, struct shm_block *block, struct skep_object_info *info)
{
        uint64_t bytes;
        const struct shm_value *shared = heap_data(hive, block, &bytes);
        if (!shared || bytes < sizeof *shared)
                return;
        int member = agent_member(hive, lock_owner(&shared->lock.word));
        info->value = shared->count;
        info->owner_pid = member < 0 ? 0 : member_pid(hive, (uint32_t)member);
}

static const struct kind value_kind = {
        .name = "value",
        .shared_bytes = sizeof(struct shm_value),
        .handle_bytes = sizeof(struct skep_value),
        .complete = value_complete,
        .verify = value_verify,
        .inspect = value_inspect,
};

__attribute__((constructor)) static void value_register(void)
{
        kind_register(BLOCK_VALUE, &value_kind);
}
