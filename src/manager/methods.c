/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods.c - what a client can ask for: each method as a call of the public function, with its arguments checked.
 *
 * Arguments come from another machine.  Their number and kinds are checked before run(); what they mean is checked by the function,
 * which takes nothing on trust either.
 */
#include "manager/server.h"

#include "array/array.h"
#include "base/checked.h"
#include "queue/queue.h"
#include "value/value.h"

#include <errno.h>
#include <skep/skep.h>
#include <stdlib.h>
#include <string.h>

#ifdef SKEP_NETWORK

static int64_t argument(const struct call *call, uint32_t index)
{
        return index < call->request.count ? call->request.arguments[index].integer : 0;
}

static int answer(struct call *call, int result, int64_t value)
{
        call->results[call->result_count++] = value;
        return result;
}

#define METHOD(name, expression) \
        static int name(struct call *call, skep_deadline deadline) \
        { \
                (void)deadline; \
                return (expression); \
        }

/* --- the hive -------------------------------------------------------------------------------------------------------------- */

/* A name as an argument. @return NULL: nil */
static const char *name_of(const struct remote_value *value, char buffer[static SKEP_NAME_MAX + 2])
{
        if (!value->data)
                return NULL;
        size_t bytes = value->bytes <= SKEP_NAME_MAX ? value->bytes : SKEP_NAME_MAX + 1; /* too long stays too long */
        memcpy(buffer, value->data, bytes);
        buffer[bytes] = 0;
        return strlen(buffer) == bytes ? buffer : "/"; /* a zero inside: no name */
}

/* The answer to all that give a handle. */
static int answer_object(struct call *call, const struct served_kind *kind, int result, void *handle)
{
        skep_block reference;
        if (result < 0)
                return result;
        call->result_count = 2 + (kind->facts ? kind->facts(handle, call->results + 2) : 0);
        result = call_serve(call, kind, handle, &reference);
        call->results[0] = (int64_t)reference.offset;
        call->results[1] = (int64_t)reference.serial;
        if (result < 0)
                call->result_count = 0;
        return result;
}

static const struct served_kind *kind_of_call(const struct call *call)
{
        const struct remote_value *name = &call->request.arguments[0];
        return call->request.count && name->data ? served_kind_named(name->data, name->bytes) : NULL;
}

static int hive_open(struct call *call, skep_deadline unused)
{
        (void)unused;
        char buffer[SKEP_NAME_MAX + 2];
        const struct served_kind *kind = kind_of_call(call);
        const char *name = call->request.count > 1 ? name_of(&call->request.arguments[1], buffer) : NULL;
        void *handle = NULL;
        if (!kind)
                return -ENOTSUP;
        int result = name ? kind->open(call_hive(call), name, &handle) : -EINVAL;
        return answer_object(call, kind, result, handle);
}

static int hive_attach(struct call *call, skep_deadline unused)
{
        (void)unused;
        const struct served_kind *kind = kind_of_call(call);
        void *handle = NULL;
        if (!kind)
                return -ENOTSUP;
        if (!call->request.has_object)
                return -EINVAL;
        int result = kind->attach(call_hive(call), call->request.object, &handle);
        return answer_object(call, kind, result, handle);
}

static int hive_create(struct call *call, skep_deadline unused)
{
        (void)unused;
        char buffer[SKEP_NAME_MAX + 2];
        const struct served_kind *kind = kind_of_call(call);
        const char *name = call->request.count > 1 ? name_of(&call->request.arguments[1], buffer) : NULL;
        void *handle = NULL;
        int result = kind ? kind->create(call_hive(call), name, call, &handle) : -ENOTSUP;
        return answer_object(call, kind, result, handle);
}

static int hive_unref(struct call *call, skep_deadline unused)
{
        (void)unused;
        call_unserve(call, call->request.object);
        return 0;
}

static int hive_forget(struct call *call, skep_deadline unused)
{
        (void)unused;
        char buffer[SKEP_NAME_MAX + 2];
        const char *name = call->request.count ? name_of(&call->request.arguments[0], buffer) : NULL;
        return name ? skep_hive_forget(call_hive(call), name) : -EINVAL;
}

static int add_name(const struct skep_object_entry *entry, void *context)
{
        wire_add(context, entry->kind, strlen(entry->kind) + 1);
        wire_add(context, entry->name, strlen(entry->name) + 1);
        return 0;
}

static int hive_names(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct wire_buffer names = {0};
        int result = skep_hive_names(call_hive(call), add_name, &names);
        call->out = call->out_owned = names.data;
        call->out_bytes = names.bytes;
        return names.failed ? -ENOMEM : result;
}

static int hive_hello(struct call *call, skep_deadline unused)
{
        (void)unused;
        int result = argument(call, 0) == WIRE_VERSION ? call_hello(call) : -EPROTO;
        return answer(call, result, WIRE_VERSION);
}

static int hive_ping(struct call *call, skep_deadline unused)
{
        (void)call, (void)unused;
        return 0;
}

static int hive_cancel(struct call *call, skep_deadline unused)
{
        (void)unused;
        call_cancel(call, (uint64_t)argument(call, 0));
        return 0;
}

static int hive_thread_ends(struct call *call, skep_deadline unused)
{
        (void)unused;
        call_thread_ends(call);
        return 0;
}

/* --- queues ---------------------------------------------------------------------------------------------------------------- */

#define COPIED_MAX 4096u /* a message up to here is copied into its slot or block; a longer one is received there */

/* The bytes of a long message go straight to where they will lie. */
static int put_raw(struct call *call, skep_deadline unused)
{
        (void)unused;
        if (call->raw_bytes <= COPIED_MAX && argument(call, 0) == SKEP_MESSAGE_BYTES)
                return 0;
        if (!call->raw_bytes)
                return 0;
        int result = skep_queue_reserve(call->handle, call->raw_bytes, &call->loan);
        if (result < 0)
                return result;
        call->has_loan = true;
        call->raw = call->loan.data;
        return 0;
}

static int queue_put(struct call *call, skep_deadline deadline)
{
        uint32_t kind = (uint32_t)argument(call, 0);
        if (!call->has_loan)
                return kind == SKEP_MESSAGE_BYTES ? skep_queue_put(call->handle, call->raw, call->raw_bytes, deadline) : -EINVAL;
        int result = skep_queue_commit(&call->loan, kind, call->raw_bytes, deadline);
        if (result == 0) {
                call->has_loan = false;
                call->raw = NULL;
        }
        return result;
}

static int queue_put_many(struct call *call, skep_deadline deadline)
{
        const uint8_t *at = call->raw, *end = at + call->raw_bytes;
        struct skep_bytes messages[64];
        uint64_t seen = 0;
        int result = 0;
        while (at < end && result == 0) {
                size_t count = 0, put = 0;
                while (count < COUNT_OF(messages) && at < end) {
                        uint32_t bytes;
                        if ((size_t)(end - at) < sizeof bytes)
                                return -EINVAL;
                        memcpy(&bytes, at, sizeof bytes);
                        at += sizeof bytes;
                        if (bytes > (size_t)(end - at))
                                return -EINVAL;
                        if (seen++ >= call->done)
                                messages[count++] = (struct skep_bytes){at, bytes};
                        at += bytes;
                }
                result = skep_queue_put_many(call->handle, messages, count, &put, deadline);
                call->done += put;
        }
        call->result_count = 0;
        return answer(call, result, (int64_t)call->done);
}

static int array_raw(struct call *call, skep_deadline unused)
{
        (void)unused;
        uint64_t shape[SKEP_ARRAY_DIMENSION_MAX];
        uint32_t dimensions = call->request.count - 1;
        if (!call->request.count || dimensions > SKEP_ARRAY_DIMENSION_MAX)
                return -EINVAL;
        for (uint32_t i = 0; i < dimensions; i++)
                shape[i] = (uint64_t)argument(call, 1 + i);
        int result = skep_array_create(call_hive(call),
                                       SKEP_ARRAY_OPTIONS(.element = (uint32_t)argument(call, 0), .dimension_count = dimensions, .shape = shape,
                                                          .flags = SKEP_ARRAY_UNINITIALIZED),
                                       &call->array);
        if (result == 0 && skep_array_bytes(call->array) != call->raw_bytes) {
                call->array = skep_array_unref(call->array);
                result = -EINVAL;
        }
        if (result == 0)
                call->raw = skep_array_data(call->array);
        return result;
}

static int queue_put_array(struct call *call, skep_deadline deadline)
{
        return skep_queue_put_array(call->handle, call->array, deadline);
}

/* The elements of a borrowed array, in C order. */
static int lend_array(struct call *call)
{
        int result = skep_loan_array(&call->loan, &call->array);
        if (result < 0)
                return result;
        const skep_array *array = call->array;
        uint32_t dimensions = skep_array_dimension_count(array);
        call->results[call->result_count++] = skep_array_element(array);
        for (uint32_t i = 0; i < dimensions; i++)
                call->results[call->result_count++] = (int64_t)skep_array_shape(array)[i];
        call->out = skep_array_data(array);
        call->out_bytes = skep_array_bytes(array);
        if (skep_array_is_contiguous(array) || !call->out_bytes)
                return 0;
        call->out = call->out_owned = array_gather(array);
        return call->out ? 0 : -ENOMEM;
}

/* What was borrowed, as the answer. */
static int lend(struct call *call)
{
        int64_t bytes_max = argument(call, 0), kind = argument(call, 1);
        int result;
        call->has_loan = true;
        call->results[call->result_count++] = call->loan.kind;
        call->results[call->result_count++] = call->loan.deliveries;
        if (kind && kind != call->loan.kind) {
                result = -EPROTOTYPE;
        } else if (call->loan.kind == SKEP_MESSAGE_ARRAY) {
                result = lend_array(call);
        } else if (queue_loan_mentions(&call->loan)) {
                result = -ENOTSUP; /* references mean nothing on another machine */
        } else {
                call->results[call->result_count++] = (int64_t)call->loan.bytes;
                call->out = call->loan.data;
                call->out_bytes = call->loan.bytes;
                result = bytes_max >= 0 && call->loan.bytes > (uint64_t)bytes_max ? -EMSGSIZE : 0;
        }
        if (result < 0) {
                call->out = NULL;
                call->out_bytes = 0;
                skep_queue_put_back(&call->loan);
                call->has_loan = false;
        }
        return result;
}

static int queue_borrow(struct call *call, skep_deadline deadline)
{
        int result = skep_queue_borrow(call->handle, &call->loan, deadline);
        return result < 0 ? result : lend(call);
}

static int queue_borrow_dead(struct call *call, skep_deadline unused)
{
        (void)unused;
        int result = skep_queue_borrow_dead(call->handle, &call->loan);
        return result < 0 ? result : lend(call);
}

METHOD(queue_task_done, skep_queue_task_done(call->handle))
METHOD(queue_join, skep_queue_join(call->handle, deadline))

static int queue_give_back(struct call *call, skep_deadline unused)
{
        (void)unused;
        call_end_borrow(call, (uint64_t)argument(call, 0), true);
        return 0;
}

static int queue_put_back(struct call *call, skep_deadline unused)
{
        (void)unused;
        call_end_borrow(call, (uint64_t)argument(call, 0), false);
        return 0;
}

static int queue_close(struct call *call, skep_deadline unused)
{
        (void)unused;
        return skep_queue_close(call->handle);
}

static int queue_poll(struct call *call, skep_deadline deadline)
{
        return skep_queue_poll(call->handle, deadline);
}

static int queue_poll_space(struct call *call, skep_deadline deadline)
{
        return skep_queue_poll_space(call->handle, deadline);
}

static int queue_drain(struct call *call, skep_deadline unused)
{
        (void)unused;
        uint64_t count = 0;
        int result = skep_queue_drain(call->handle, &count);
        return answer(call, result, (int64_t)count);
}

static int queue_size(struct call *call, skep_deadline unused)
{
        (void)unused;
        call->results[0] = (int64_t)skep_queue_size(call->handle);
        call->results[1] = skep_queue_is_full(call->handle);
        call->results[2] = skep_queue_is_closed(call->handle);
        call->results[3] = (int64_t)skep_queue_unfinished(call->handle);
        call->results[4] = (int64_t)skep_queue_dead_size(call->handle);
        call->result_count = 5;
        return 0;
}

/* --- locks, semaphores, events, barriers, conditions ----------------------------------------------------------------------- */

METHOD(lock_acquire, skep_lock_acquire(call->handle, deadline))
METHOD(lock_release, skep_lock_release(call->handle))
METHOD(rlock_acquire, skep_rlock_acquire(call->handle, deadline))
METHOD(rlock_release, skep_rlock_release(call->handle))
METHOD(semaphore_acquire, skep_semaphore_acquire(call->handle, deadline))
METHOD(semaphore_release, argument(call, 0) > UINT32_MAX ? -EINVAL : skep_semaphore_release(call->handle, (uint32_t)argument(call, 0)))
METHOD(semaphore_value, answer(call, 0, skep_semaphore_value(call->handle)))
METHOD(event_set, skep_event_set(call->handle))
METHOD(event_clear, skep_event_clear(call->handle))
METHOD(event_is_set, answer(call, 0, skep_event_is_set(call->handle)))
METHOD(event_wait, skep_event_wait(call->handle, deadline))
METHOD(barrier_abort, skep_barrier_abort(call->handle))
METHOD(barrier_reset, skep_barrier_reset(call->handle))
METHOD(condition_acquire, skep_condition_acquire(call->handle, deadline))
METHOD(condition_release, skep_condition_release(call->handle))
METHOD(condition_wait, skep_condition_wait(call->handle, deadline))
METHOD(condition_notify, skep_condition_notify(call->handle, (uint32_t)argument(call, 0)))
METHOD(value_acquire, skep_value_acquire(call->handle, deadline))
METHOD(value_release, skep_value_release(call->handle))

static int lock_state(struct call *call, skep_deadline unused)
{
        (void)unused;
        call->results[0] = skep_lock_owner(call->handle);
        call->results[1] = skep_lock_is_held(call->handle);
        call->results[2] = skep_lock_is_mine(call->handle);
        call->results[3] = skep_lock_owner_died(call->handle);
        call->result_count = 4;
        return 0;
}

static int lock_clear(struct call *call, skep_deadline unused)
{
        (void)unused;
        skep_lock_clear_owner_died(call->handle);
        return 0;
}

static int rlock_state(struct call *call, skep_deadline unused)
{
        (void)unused;
        call->results[0] = skep_rlock_owner(call->handle);
        call->results[1] = skep_rlock_is_held(call->handle);
        call->results[2] = call->results[4] = skep_rlock_depth(call->handle);
        call->results[3] = skep_rlock_owner_died(call->handle);
        call->result_count = 5;
        return 0;
}

static int rlock_clear(struct call *call, skep_deadline unused)
{
        (void)unused;
        skep_rlock_clear_owner_died(call->handle);
        return 0;
}

static int barrier_wait(struct call *call, skep_deadline deadline)
{
        uint32_t index = 0;
        int result = skep_barrier_wait(call->handle, NULL, NULL, deadline, &index);
        return answer(call, result, index);
}

static int barrier_state(struct call *call, skep_deadline unused)
{
        (void)unused;
        call->results[0] = skep_barrier_waiting(call->handle);
        call->results[1] = skep_barrier_is_broken(call->handle);
        call->result_count = 2;
        return 0;
}

/* --- values ---------------------------------------------------------------------------------------------------------------- */

static int value_i64(struct call *call, skep_deadline unused)
{
        (void)unused;
        skep_value *value = call->handle;
        uint64_t index = (uint64_t)argument(call, 1);
        int64_t operand = argument(call, 2), before = argument(call, 3);
        int result = -EINVAL;
        switch (argument(call, 0)) {
        case REMOTE_LOAD:
                result = skep_value_load_i64(value, index, &before);
                break;
        case REMOTE_EXCHANGE:
                result = skep_value_exchange_i64(value, index, operand, &before);
                break;
        case REMOTE_ADD:
                result = skep_value_fetch_add_i64(value, index, operand, &before);
                break;
        case REMOTE_AND:
                result = skep_value_fetch_and_i64(value, index, operand, &before);
                break;
        case REMOTE_OR:
                result = skep_value_fetch_or_i64(value, index, operand, &before);
                break;
        case REMOTE_XOR:
                result = skep_value_fetch_xor_i64(value, index, operand, &before);
                break;
        case REMOTE_COMPARE_EXCHANGE:
                result = skep_value_compare_exchange_i64(value, index, &before, operand);
                break;
        }
        return result == 0 || result == -EAGAIN ? answer(call, result, before) : result;
}

static int value_f64(struct call *call, skep_deadline unused)
{
        (void)unused;
        skep_value *value = call->handle;
        uint64_t index = (uint64_t)argument(call, 1);
        int64_t bits = argument(call, 2), seen = argument(call, 3);
        double operand, before;
        memcpy(&operand, &bits, sizeof operand);
        memcpy(&before, &seen, sizeof before);
        int result = -EINVAL;
        switch (argument(call, 0)) {
        case REMOTE_LOAD:
                result = skep_value_load_f64(value, index, &before);
                break;
        case REMOTE_EXCHANGE:
                result = skep_value_exchange_f64(value, index, operand, &before);
                break;
        case REMOTE_ADD:
                result = skep_value_fetch_add_f64(value, index, operand, &before);
                break;
        case REMOTE_COMPARE_EXCHANGE:
                result = skep_value_compare_exchange_f64(value, index, &before, operand);
                break;
        }
        memcpy(&seen, &before, sizeof seen);
        return result == 0 || result == -EAGAIN ? answer(call, result, seen) : result;
}

static int value_wait(struct call *call, skep_deadline deadline)
{
        if (call->raw_bytes != skep_value_item_bytes(call->handle))
                return -EINVAL;
        return skep_value_wait(call->handle, (uint64_t)argument(call, 0), call->raw, deadline);
}

/* --- kinds ----------------------------------------------------------------------------------------------------------------- */

/* open, attach, reference and unref of a noun, which differ in the type of the handle only. */
#define SERVED(noun) \
        static int noun##_open(skep_hive *hive, const char *name, void **ret_handle) \
        { \
                skep_##noun *handle; \
                int result = skep_##noun##_open(hive, name, &handle); \
                if (result == 0) \
                        *ret_handle = handle; \
                return result; \
        } \
        static int noun##_attach(skep_hive *hive, skep_block reference, void **ret_handle) \
        { \
                skep_##noun *handle; \
                int result = skep_##noun##_attach(hive, reference, &handle); \
                if (result == 0) \
                        *ret_handle = handle; \
                return result; \
        } \
        static int noun##_create(skep_hive *hive, const char *name, const struct call *call, void **ret_handle) \
        { \
                skep_##noun *handle; \
                int result = noun##_make(hive, name, call, &handle); \
                if (result == 0) \
                        *ret_handle = handle; \
                return result; \
        } \
        static skep_block noun##_reference(const void *handle) \
        { \
                return skep_##noun##_reference(handle); \
        } \
        static void noun##_unref(void *handle) \
        { \
                skep_##noun##_unref(handle); \
        } \
        noun##_STORAGE const struct served_kind noun##_kind = { \
                #noun, noun##_MATES, noun##_open, noun##_attach, noun##_create, noun##_reference, noun##_unref, noun##_facts, \
        };

/* Kinds whose handles have the same functions have the same of these. */
#define queue_MATES "queue"
#define lock_MATES "lock"
#define rlock_MATES "rlock"
#define semaphore_MATES "semaphore"
#define event_MATES "event"
#define barrier_MATES "barrier"
#define condition_MATES "condition"
#define value_MATES "value"
#define dict_MATES "dict"
#define namespace_MATES "dict"
#define list_MATES "list"
#define queue_STORAGE static
#define lock_STORAGE static
#define rlock_STORAGE static
#define semaphore_STORAGE static
#define event_STORAGE static
#define barrier_STORAGE static
#define condition_STORAGE static
#define value_STORAGE static
#define dict_STORAGE
#define namespace_STORAGE static
#define list_STORAGE
#define lock_facts NULL
#define rlock_facts NULL
#define semaphore_facts NULL
#define event_facts NULL
#define condition_facts NULL
#define dict_facts NULL
#define namespace_facts NULL
#define list_facts NULL

static int queue_make(skep_hive *hive, const char *name, const struct call *call, skep_queue **ret_queue)
{
        if (argument(call, 3) > UINT32_MAX || argument(call, 4) > UINT32_MAX || argument(call, 5) > UINT32_MAX)
                return -EINVAL;
        return skep_queue_create(hive,
                                 SKEP_QUEUE_OPTIONS(.name = name, .capacity = (uint64_t)argument(call, 2), .slot_bytes = (uint32_t)argument(call, 3),
                                                    .flags = (uint32_t)argument(call, 4), .delivery_max = (uint32_t)argument(call, 5)),
                                 ret_queue);
}

static uint32_t queue_facts(const void *queue, int64_t *facts)
{
        facts[0] = (int64_t)skep_queue_capacity(queue);
        facts[1] = (int64_t)queue_slot_bytes(queue);
        return 2;
}

static int lock_make(skep_hive *hive, const char *name, const struct call *call, skep_lock **ret_lock)
{
        (void)call;
        return skep_lock_create(hive, name, ret_lock);
}

static int rlock_make(skep_hive *hive, const char *name, const struct call *call, skep_rlock **ret_rlock)
{
        (void)call;
        return skep_rlock_create(hive, name, ret_rlock);
}

static int event_make(skep_hive *hive, const char *name, const struct call *call, skep_event **ret_event)
{
        (void)call;
        return skep_event_create(hive, name, ret_event);
}

static int semaphore_make(skep_hive *hive, const char *name, const struct call *call, skep_semaphore **ret_semaphore)
{
        return skep_semaphore_create(hive,
                                     SKEP_SEMAPHORE_OPTIONS(.name = name, .value = (uint32_t)argument(call, 2), .max = (uint32_t)argument(call, 3),
                                                            .flags = (uint32_t)argument(call, 4)),
                                     ret_semaphore);
}

static int barrier_make(skep_hive *hive, const char *name, const struct call *call, skep_barrier **ret_barrier)
{
        return skep_barrier_create(hive, name, (uint32_t)argument(call, 2), ret_barrier);
}

static uint32_t barrier_facts(const void *barrier, int64_t *facts)
{
        facts[0] = skep_barrier_parties(barrier);
        return 1;
}

static int value_make(skep_hive *hive, const char *name, const struct call *call, skep_value **ret_value)
{
        const struct remote_value *initial = call->request.count > 6 ? &call->request.arguments[6] : &REMOTE_NIL;
        uint64_t element = (uint64_t)argument(call, 2);
        uint64_t item = element ? skep_element_bytes((uint32_t)element) : (uint64_t)argument(call, 4), bytes;
        uint64_t count = (uint64_t)argument(call, 5);
        if (element > UINT32_MAX || (uint64_t)argument(call, 3) > UINT32_MAX || !checked_mul(item, count ? count : 1, &bytes))
                return -EINVAL;
        if (initial->data && initial->bytes != bytes)
                return -EINVAL;
        return skep_value_create(hive,
                                 SKEP_VALUE_OPTIONS(.name = name, .element = (uint32_t)element, .flags = (uint32_t)argument(call, 3), .item_bytes = item,
                                                    .count = count, .initial = initial->data),
                                 ret_value);
}

static uint32_t value_facts(const void *value, int64_t *facts)
{
        facts[0] = skep_value_element(value);
        facts[1] = value_flags(value);
        facts[2] = (int64_t)skep_value_item_bytes(value);
        facts[3] = (int64_t)skep_value_count(value);
        return 4;
}

SERVED(lock)
SERVED(rlock)

static int condition_make(skep_hive *hive, const char *name, const struct call *call, skep_condition **ret_condition)
{
        skep_block reference = {(uint64_t)argument(call, 3), (uint64_t)argument(call, 4)};
        skep_lock *lock = NULL;
        skep_rlock *rlock = NULL;
        int result = 0;
        if (reference.serial)
                result = argument(call, 2) ? skep_rlock_attach(hive, reference, &rlock) : skep_lock_attach(hive, reference, &lock);
        if (result == 0)
                result = skep_condition_create(hive, SKEP_CONDITION_OPTIONS(.name = name, .lock = lock, .rlock = rlock), ret_condition);
        skep_lock_unref(lock);
        skep_rlock_unref(rlock);
        return result;
}

SERVED(queue)
SERVED(semaphore)
SERVED(event)
SERVED(barrier)
SERVED(condition)
SERVED(value)

static int dict_make(skep_hive *hive, const char *name, const struct call *call, skep_dict **ret_dict)
{
        return skep_dict_create(hive, SKEP_DICT_OPTIONS(.name = name, .capacity = (uint64_t)argument(call, 2)), ret_dict);
}

static int namespace_make(skep_hive *hive, const char *name, const struct call *call, skep_namespace **ret_namespace)
{
        (void)call;
        return skep_namespace_create(hive, name, ret_namespace);
}

static int list_make(skep_hive *hive, const char *name, const struct call *call, skep_list **ret_list)
{
        return skep_list_create(hive, SKEP_LIST_OPTIONS(.name = name, .capacity = (uint64_t)argument(call, 2)), ret_list);
}

SERVED(dict)
SERVED(namespace)
SERVED(list)

static const struct served_kind *const kinds[] = {
        &queue_kind, &dict_kind,  &namespace_kind, &list_kind,    &value_kind, &lock_kind,
        &rlock_kind, &event_kind, &semaphore_kind, &barrier_kind, &condition_kind,
};

const struct served_kind *served_kind_mate(const struct served_kind *kind)
{
        for (size_t i = 0; i < COUNT_OF(kinds); i++)
                if (kinds[i] != kind && strcmp(kinds[i]->mates, kind->mates) == 0)
                        return kinds[i];
        return NULL;
}

const struct served_kind *served_kind_named(const void *name, size_t bytes)
{
        for (size_t i = 0; i < COUNT_OF(kinds); i++)
                if (strlen(kinds[i]->name) == bytes && memcmp(kinds[i]->name, name, bytes) == 0)
                        return kinds[i];
        return NULL;
}

/* --- the table ------------------------------------------------------------------------------------------------------------- */

const struct method methods[REMOTE_DICT_GET] = {
        [REMOTE_HELLO] = {.run = hive_hello, .integers = 1},
        [REMOTE_CANCEL] = {.run = hive_cancel, .flags = METHOD_SILENT, .integers = 1},
        [REMOTE_THREAD_ENDS] = {.run = hive_thread_ends, .flags = METHOD_SILENT},
        [REMOTE_OPEN] = {.run = hive_open},
        [REMOTE_ATTACH] = {.run = hive_attach},
        [REMOTE_UNREF] = {.run = hive_unref, .flags = METHOD_SILENT},
        [REMOTE_CREATE] = {.run = hive_create},
        [REMOTE_FORGET] = {.run = hive_forget},
        [REMOTE_NAMES] = {.run = hive_names},
        [REMOTE_PING] = {.run = hive_ping},

        [REMOTE_QUEUE_PUT] = {.run = queue_put, .raw_comes = put_raw, .kind = &queue_kind, .flags = METHOD_PUTS, .integers = 1},
        [REMOTE_QUEUE_PUT_MANY] = {.run = queue_put_many, .kind = &queue_kind, .flags = METHOD_PUTS},
        [REMOTE_QUEUE_PUT_ARRAY] = {.run = queue_put_array, .raw_comes = array_raw, .kind = &queue_kind, .flags = METHOD_PUTS, .integers = 1},
        [REMOTE_QUEUE_BORROW] = {.run = queue_borrow, .kind = &queue_kind, .flags = METHOD_GETS | METHOD_LENDS, .integers = 2},
        [REMOTE_QUEUE_BORROW_DEAD] = {.run = queue_borrow_dead, .kind = &queue_kind, .flags = METHOD_LENDS, .integers = 2},
        [REMOTE_QUEUE_TASK_DONE] = {.run = queue_task_done, .kind = &queue_kind},
        [REMOTE_QUEUE_JOIN] = {.run = queue_join, .kind = &queue_kind, .flags = METHOD_WAITS},
        [REMOTE_QUEUE_GIVE_BACK] = {.run = queue_give_back, .flags = METHOD_SILENT, .integers = 1},
        [REMOTE_QUEUE_PUT_BACK] = {.run = queue_put_back, .flags = METHOD_SILENT, .integers = 1},
        [REMOTE_QUEUE_CLOSE] = {.run = queue_close, .kind = &queue_kind},
        [REMOTE_QUEUE_POLL] = {.run = queue_poll, .kind = &queue_kind, .flags = METHOD_GETS},
        [REMOTE_QUEUE_POLL_SPACE] = {.run = queue_poll_space, .kind = &queue_kind, .flags = METHOD_PUTS},
        [REMOTE_QUEUE_DRAIN] = {.run = queue_drain, .kind = &queue_kind},
        [REMOTE_QUEUE_SIZE] = {.run = queue_size, .kind = &queue_kind},

        [REMOTE_LOCK_ACQUIRE] = {.run = lock_acquire, .kind = &lock_kind, .flags = METHOD_OWNS | METHOD_WAITS},
        [REMOTE_LOCK_RELEASE] = {.run = lock_release, .kind = &lock_kind, .flags = METHOD_OWNS},
        [REMOTE_LOCK_STATE] = {.run = lock_state, .kind = &lock_kind, .flags = METHOD_OWNS},
        [REMOTE_LOCK_CLEAR] = {.run = lock_clear, .kind = &lock_kind},
        [REMOTE_RLOCK_ACQUIRE] = {.run = rlock_acquire, .kind = &rlock_kind, .flags = METHOD_OWNS | METHOD_WAITS},
        [REMOTE_RLOCK_RELEASE] = {.run = rlock_release, .kind = &rlock_kind, .flags = METHOD_OWNS},
        [REMOTE_RLOCK_STATE] = {.run = rlock_state, .kind = &rlock_kind, .flags = METHOD_OWNS},
        [REMOTE_RLOCK_CLEAR] = {.run = rlock_clear, .kind = &rlock_kind},
        [REMOTE_SEMAPHORE_ACQUIRE] = {.run = semaphore_acquire, .kind = &semaphore_kind, .flags = METHOD_OWNS | METHOD_WAITS},
        [REMOTE_SEMAPHORE_RELEASE] = {.run = semaphore_release, .kind = &semaphore_kind, .flags = METHOD_OWNS, .integers = 1},
        [REMOTE_SEMAPHORE_VALUE] = {.run = semaphore_value, .kind = &semaphore_kind},
        [REMOTE_EVENT_SET] = {.run = event_set, .kind = &event_kind},
        [REMOTE_EVENT_CLEAR] = {.run = event_clear, .kind = &event_kind},
        [REMOTE_EVENT_IS_SET] = {.run = event_is_set, .kind = &event_kind},
        [REMOTE_EVENT_WAIT] = {.run = event_wait, .kind = &event_kind, .flags = METHOD_WAITS},
        [REMOTE_BARRIER_WAIT] = {.run = barrier_wait, .kind = &barrier_kind, .flags = METHOD_OWNS | METHOD_WAITS | METHOD_STRAIGHT},
        [REMOTE_BARRIER_ABORT] = {.run = barrier_abort, .kind = &barrier_kind},
        [REMOTE_BARRIER_RESET] = {.run = barrier_reset, .kind = &barrier_kind},
        [REMOTE_BARRIER_STATE] = {.run = barrier_state, .kind = &barrier_kind},
        [REMOTE_CONDITION_ACQUIRE] = {.run = condition_acquire, .kind = &condition_kind, .flags = METHOD_OWNS | METHOD_WAITS},
        [REMOTE_CONDITION_RELEASE] = {.run = condition_release, .kind = &condition_kind, .flags = METHOD_OWNS},
        [REMOTE_CONDITION_WAIT] = {.run = condition_wait, .kind = &condition_kind, .flags = METHOD_OWNS | METHOD_WAITS | METHOD_STRAIGHT},
        [REMOTE_CONDITION_NOTIFY] = {.run = condition_notify, .kind = &condition_kind, .flags = METHOD_OWNS, .integers = 1},

        [REMOTE_VALUE_ACQUIRE] = {.run = value_acquire, .kind = &value_kind, .flags = METHOD_OWNS | METHOD_WAITS},
        [REMOTE_VALUE_RELEASE] = {.run = value_release, .kind = &value_kind, .flags = METHOD_OWNS},
        [REMOTE_VALUE_I64] = {.run = value_i64, .kind = &value_kind, .integers = 4},
        [REMOTE_VALUE_F64] = {.run = value_f64, .kind = &value_kind, .integers = 4},
        [REMOTE_VALUE_WAIT] = {.run = value_wait, .kind = &value_kind, .flags = METHOD_WAITS, .integers = 1},
};
#endif
