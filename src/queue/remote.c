/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote.c - the functions of a queue of another machine.
 *
 * A get is a borrow and its giving back: the message stays in the queue there, as one that is being taken, until we say that it has come.
 * If we do not live to say so it goes back.  If only the connection breaks between, it goes back too, and comes twice.
 */
#include "array/array.h"
#include "base/checked.h"
#include "queue/queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LOAN_ENDED = 0, LOAN_REMOTE_RESERVED = 4, LOAN_REMOTE = 5 };

/* --- make, find, end ------------------------------------------------------------------------------------------------------ */

static int queue_of_answer(skep_hive *hive, int result, const struct remote_call *call, skep_queue **ret_queue)
{
        if (result < 0)
                return result;
        if (call->result_count < 4)
                return -EPROTO;
        skep_queue *queue = calloc(1, sizeof *queue);
        if (!queue)
                return -ENOMEM;
        queue->hive = &hive->remote->stub;
        queue->reference = (skep_block){(uint64_t)call->results[0], (uint64_t)call->results[1]};
        queue->capacity = (uint64_t)call->results[2];
        queue->slot_bytes = (uint64_t)call->results[3];
        *ret_queue = queue;
        return 0;
}

static struct remote_value text_value(const char *text)
{
        return text ? REMOTE_BYTES(text, strlen(text)) : REMOTE_NIL;
}

int queue_create_remote(skep_hive *hive, const struct skep_queue_options *options, skep_queue **ret_queue)
{
        const struct remote_value arguments[] = {text_value("queue"), text_value(options->name), REMOTE_INTEGER(options->capacity),
                                                 REMOTE_INTEGER(options->slot_bytes), REMOTE_INTEGER(options->flags), REMOTE_INTEGER(options->delivery_max)};
        struct remote_call call = {.method = REMOTE_CREATE, .arguments = arguments, .count = COUNT_OF(arguments)};
        return queue_of_answer(hive, remote_call(hive, &call), &call, ret_queue);
}

int queue_find_remote(skep_hive *hive, const char *name, const skep_block *reference, skep_queue **ret_queue)
{
        const struct remote_value arguments[] = {text_value("queue"), text_value(name)};
        struct remote_call call = {.method = name ? REMOTE_OPEN : REMOTE_ATTACH, .object = reference, .arguments = arguments, .count = name ? 2 : 1};
        int result = name ? name_check(name) : 0;
        return result < 0 ? result : queue_of_answer(hive, remote_call(hive, &call), &call, ret_queue);
}

static void tell(const skep_queue *queue, uint32_t method, const struct remote_value *arguments, uint32_t count)
{
        struct remote_call call = {.method = method, .object = &queue->reference, .arguments = arguments, .count = count};
        queue->hive->remote->tell(queue->hive->remote, &call);
}

void queue_unref_remote(skep_queue *queue)
{
        tell(queue, REMOTE_UNREF, NULL, 0);
        free(queue);
}

int queue_call(const skep_queue *queue, int failed, uint32_t method, skep_deadline deadline, int64_t *ret_result)
{
        return queue_is_remote(queue) ? remote_simple(queue->hive, &queue->reference, method, deadline, NULL, 0, ret_result) : failed;
}

int64_t queue_ask(const skep_queue *queue, uint32_t index)
{
        struct remote_call call = {.method = REMOTE_QUEUE_SIZE, .object = &queue->reference};
        return remote_call(queue->hive, &call) >= 0 && index < call.result_count ? call.results[index] : 0;
}

/* --- put ------------------------------------------------------------------------------------------------------------------- */

int queue_put_remote(skep_queue *queue, uint32_t kind, const void *message, size_t bytes, skep_deadline deadline)
{
        const struct skep_bytes raw = {message, bytes};
        struct remote_call call = {.method = REMOTE_QUEUE_PUT, .object = &queue->reference, .deadline = deadline,
                                   .arguments = &REMOTE_INTEGER(kind), .count = 1, .raw = &raw, .raw_count = 1};
        return remote_call(queue->hive, &call);
}

#define MANY_BYTES (UINT32_C(1) << 20)
#define MANY_COUNT 512u

/* As many as fit into one frame. */
static int put_some(skep_queue *queue, const struct skep_bytes *messages, size_t count, size_t *ret_count, skep_deadline deadline)
{
        uint32_t lengths[MANY_COUNT];
        struct skep_bytes raw[2 * MANY_COUNT];
        size_t some = 0, bytes = 0;
        for (; some < count && some < MANY_COUNT && (!some || bytes + messages[some].bytes <= MANY_BYTES); some++) {
                if (messages[some].bytes > UINT32_MAX || (!messages[some].data && messages[some].bytes))
                        return -EINVAL;
                lengths[some] = (uint32_t)messages[some].bytes;
                raw[2 * some] = (struct skep_bytes){&lengths[some], sizeof lengths[some]};
                raw[2 * some + 1] = messages[some];
                bytes += messages[some].bytes;
        }
        struct remote_call call = {.method = REMOTE_QUEUE_PUT_MANY, .object = &queue->reference, .deadline = deadline, .raw = raw, .raw_count = 2 * some};
        int result = remote_call(queue->hive, &call);
        size_t done = call.result_count ? (size_t)call.results[0] : result < 0 ? 0 : some;
        *ret_count = done < some ? done : some;
        return result;
}

int queue_put_many_remote(skep_queue *queue, const struct skep_bytes *messages, size_t count, size_t *ret_count, skep_deadline deadline)
{
        int result = 0;
        size_t done = 0;
        while (done < count && result == 0) {
                size_t some = 0;
                result = put_some(queue, messages + done, count - done, &some, deadline);
                done += some;
        }
        *ret_count = done;
        return result;
}

int queue_put_array_remote(skep_queue *queue, const skep_array *array, skep_deadline deadline)
{
        struct remote_value arguments[1 + SKEP_ARRAY_DIMENSION_MAX] = {REMOTE_INTEGER(skep_array_element(array))};
        uint32_t dimensions = skep_array_dimension_count(array);
        for (uint32_t i = 0; i < dimensions; i++)
                arguments[1 + i] = REMOTE_INTEGER(skep_array_shape(array)[i]);
        struct skep_bytes raw = {skep_array_data(array), skep_array_bytes(array)};
        uint8_t *gathered = NULL;
        if (!skep_array_is_contiguous(array) && raw.bytes) {
                raw.data = gathered = array_gather(array);
                if (!gathered)
                        return -ENOMEM;
        }
        struct remote_call call = {.method = REMOTE_QUEUE_PUT_ARRAY, .object = &queue->reference, .deadline = deadline,
                                   .arguments = arguments, .count = 1 + dimensions, .raw = &raw, .raw_count = 1};
        int result = remote_call(queue->hive, &call);
        free(gathered);
        return result;
}

/* --- get -------------------------------------------------------------------------------------------------------------------- */

static void answer(const skep_queue *queue, uint64_t id, uint32_t method)
{
        tell(queue, method, &REMOTE_INTEGER(id), 1);
}

/* @param kind  0: any @param bytes_max  -1: any; longer ones stay there, -EMSGSIZE */
static int borrow(skep_queue *queue, int64_t bytes_max, uint32_t kind, struct remote_call *call, skep_deadline deadline)
{
        const struct remote_value arguments[] = {REMOTE_INTEGER(bytes_max), REMOTE_INTEGER(kind)};
        call->method = call->method ? call->method : REMOTE_QUEUE_BORROW;
        call->object = &queue->reference;
        call->deadline = deadline;
        call->arguments = arguments;
        call->count = COUNT_OF(arguments);
        call->may_be_array = true;
        int result = remote_call(queue->hive, call);
        if (result >= 0 && (call->result_count < 3 || (call->results[0] == SKEP_MESSAGE_ARRAY) != (call->array != NULL)))
                result = -EPROTO;
        return result;
}

int queue_get_remote(skep_queue *queue, void *buffer, size_t capacity_bytes, size_t *ret_bytes, skep_deadline deadline)
{
        struct remote_call call = {.buffer = buffer, .capacity = capacity_bytes};
        int result = borrow(queue, (int64_t)capacity_bytes, SKEP_MESSAGE_BYTES, &call, deadline);
        if ((result == 0 || result == -EMSGSIZE) && call.result_count >= 3)
                *ret_bytes = (size_t)call.results[2];
        if (result < 0)
                return result;
        answer(queue, call.id, REMOTE_QUEUE_GIVE_BACK);
        return result;
}

int queue_get_many_remote(skep_queue *queue, void *buffer, size_t capacity_bytes, struct skep_bytes *messages, size_t count_max, size_t *ret_count,
                          skep_deadline deadline)
{
        size_t count = 0, used = 0, bytes = 0;
        int result = 0;
        while (count < count_max) {
                uint8_t *at = (uint8_t *)buffer + used;
                result = queue_get_remote(queue, at, capacity_bytes - used, &bytes, count ? skep_nowait() : deadline);
                if (result < 0)
                        break;
                messages[count++] = (struct skep_bytes){at, bytes};
                uint64_t next = align_up(used + bytes, 8);
                used = next < capacity_bytes ? next : capacity_bytes;
        }
        if (!count)
                return result;
        *ret_count = count;
        return 0;
}

int queue_get_array_remote(skep_queue *queue, skep_array **ret_array, skep_deadline deadline)
{
        struct remote_call call = {.method = 0};
        int result = borrow(queue, -1, SKEP_MESSAGE_ARRAY, &call, deadline);
        if (result < 0)
                return result;
        answer(queue, call.id, REMOTE_QUEUE_GIVE_BACK);
        *ret_array = call.array;
        return 0;
}

/* --- loans: `block` is the array, `position` what the answer is to ------------------------------------------------------------ */

int queue_borrow_remote(skep_queue *queue, uint32_t method, struct skep_loan *ret_loan, skep_deadline deadline)
{
        struct remote_call call = {.method = method};
        int result = borrow(queue, -1, 0, &call, deadline);
        if (result < 0)
                return result;
        if (call.array) {
                call.data = malloc(ARRAY_DESCRIPTION_MAX);
                if (!call.data) {
                        skep_array_unref(call.array);
                        answer(queue, call.id, REMOTE_QUEUE_PUT_BACK);
                        return -ENOMEM;
                }
                call.bytes = array_describe(call.array, call.data);
        }
        *ret_loan = (struct skep_loan){
                .data = call.data,
                .bytes = call.bytes,
                .kind = (uint32_t)call.results[0],
                .deliveries = (uint32_t)call.results[1],
                .state = LOAN_REMOTE,
                .queue = queue,
                .block = (uintptr_t)call.array,
                .position = call.id,
        };
        return 0;
}

int queue_reserve_remote(skep_queue *queue, size_t bytes, struct skep_loan *ret_loan)
{
        void *data = malloc(bytes);
        if (!data)
                return -ENOMEM;
        *ret_loan = (struct skep_loan){.data = data, .bytes = bytes, .kind = SKEP_MESSAGE_BYTES, .state = LOAN_REMOTE_RESERVED, .queue = queue};
        return 0;
}

int queue_commit_remote(struct skep_loan *loan, uint32_t kind, size_t bytes, skep_deadline deadline)
{
        if (loan->state != LOAN_REMOTE_RESERVED)
                return -EINVAL;
        int result = queue_put_remote(loan->queue, kind, loan->data, bytes, deadline);
        if (result == 0)
                queue_end_remote(loan, 0);
        return result;
}

void queue_end_remote(struct skep_loan *loan, uint32_t method)
{
        if (loan->state == LOAN_REMOTE && method) {
                answer(loan->queue, loan->position, method);
                skep_array_unref((skep_array *)(uintptr_t)loan->block);
        }
        if (loan->state == (method ? LOAN_REMOTE : LOAN_REMOTE_RESERVED))
                free(loan->data);
        loan->state = LOAN_ENDED;
}

int queue_loan_array_remote(const struct skep_loan *loan, skep_array **ret_array)
{
        if (loan->state != LOAN_REMOTE || !loan->block)
                return loan->state == LOAN_REMOTE ? -EPROTOTYPE : -EINVAL;
        *ret_array = skep_array_ref((skep_array *)(uintptr_t)loan->block);
        return 0;
}
