/* SPDX-License-Identifier: Apache-2.0 */
/* remote.c - items as raw bytes of a call (remote.h). */
#include "item/remote.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool has_bytes(uint32_t kind)
{
        return kind >= SKEP_ITEM_TEXT && kind <= SKEP_ITEM_PICKLE;
}

/* It lies in a bundle: it mentions objects. */
static bool mentions(const struct skep_item *item)
{
        if (item->reference_count)
                return true;
        return item->hive && item->block && claim_kind(heap_record(item->hive, item->block)) == BLOCK_BUNDLE;
}

int item_pack(const struct skep_item *item, void (*add)(void *context, const void *data, size_t bytes), void *context)
{
        size_t bytes;
        const void *data = skep_item_data(item, &bytes);
        if (item->kind == SKEP_ITEM_ARRAY || item->kind >= SKEP_ITEM_KINDS || (has_bytes(item->kind) && mentions(item)))
                return item->kind >= SKEP_ITEM_KINDS ? -EINVAL : -ENOTSUP;
        if (bytes && !data)
                return -EINVAL;
        if (item->kind == SKEP_ITEM_OBJECT) {
                data = &item->object;
                bytes = sizeof item->object;
        }
        uint64_t number = data ? bytes : 0;
        if (!data && item->kind != SKEP_ITEM_NONE)
                memcpy(&number, &item->integer, sizeof number); /* or the bits of a float */
        const uint64_t head[] = {item->kind, number};
        add(context, head, sizeof head);
        if (data)
                add(context, data, bytes);
        return 0;
}

int item_unpack(const uint8_t **at, const uint8_t *end, struct skep_item *ret_item)
{
        uint64_t head[2];
        if ((size_t)(end - *at) < sizeof head)
                return -EBADMSG;
        memcpy(head, *at, sizeof head);
        *at += sizeof head;
        if (head[0] >= SKEP_ITEM_KINDS || head[0] == SKEP_ITEM_ARRAY)
                return -EBADMSG;
        *ret_item = skep_item_of_kind((enum skep_item_kind)head[0]);
        if (!has_bytes((uint32_t)head[0]) && head[0] != SKEP_ITEM_OBJECT) {
                memcpy(&ret_item->integer, &head[1], sizeof head[1]);
                return head[0] == SKEP_ITEM_BOOL && head[1] > 1 ? -EBADMSG : 0;
        }
        if (head[1] > (size_t)(end - *at) || (head[0] == SKEP_ITEM_OBJECT && head[1] != sizeof ret_item->object))
                return -EBADMSG;
        if (head[0] == SKEP_ITEM_OBJECT) {
                memcpy(&ret_item->object, *at, sizeof ret_item->object);
        } else {
                ret_item->data = *at;
                ret_item->bytes = head[1];
        }
        *at += head[1];
        return 0;
}

/* --- calls -------------------------------------------------------------------------------------------------------------------- */

struct run {
        uint8_t *data;
        size_t bytes, capacity;
        bool failed;
        bool is_small; /* `data` is not ours */
};

static void run_add(void *context, const void *data, size_t bytes)
{
        struct run *run = context;
        if (run->failed)
                return;
        if (run->capacity - run->bytes < bytes) {
                size_t capacity = (run->bytes + bytes) * 2;
                uint8_t *grown = realloc(run->is_small ? NULL : run->data, capacity);
                if (!grown) {
                        run->failed = true;
                        return;
                }
                if (run->is_small)
                        memcpy(grown, run->data, run->bytes);
                run->is_small = false;
                run->data = grown;
                run->capacity = capacity;
        }
        memcpy(run->data + run->bytes, data, bytes);
        run->bytes += bytes;
}

int item_call(struct item_call *call)
{
        uint8_t small[512];
        struct run run = {.data = small, .capacity = sizeof small, .is_small = true};
        const uint8_t *item = (const uint8_t *)call->items;
        int result = 0;
        for (uint64_t i = 0; i < call->item_count && result == 0; i++, item += call->item_stride ? call->item_stride : sizeof *call->items)
                result = item_pack((const struct skep_item *)(const void *)item, run_add, &run);
        if (result == 0 && run.failed)
                result = -ENOMEM;
        struct remote_value integers[8];
        for (uint32_t i = 0; i < call->integer_count; i++)
                integers[i] = REMOTE_INTEGER(call->integers[i]);
        const struct skep_bytes raw = {run.data, run.bytes};
        struct remote_call remote = {.method = call->method, .object = &call->object->reference, .deadline = call->deadline, .arguments = integers,
                                     .count = call->integer_count, .raw = &raw, .raw_count = run.bytes ? 1 : 0};
        if (result == 0)
                result = remote_call(call->object->hive, &remote);
        if (!run.is_small)
                free(run.data);
        call->run = remote.data;
        call->at = remote.data;
        call->end = call->at + (remote.data ? remote.bytes : 0);
        call->result_count = remote.result_count < 4 ? remote.result_count : 4;
        memcpy(call->results, remote.results, call->result_count * sizeof *call->results);
        return result;
}

int item_call_next(struct item_call *call, struct skep_item *ret_item)
{
        struct skep_item item;
        struct skep_agent *agent;
        struct shm_block *block;
        uint64_t usable;
        if (call->at == call->end || item_unpack(&call->at, call->end, &item) < 0)
                return -EPROTO;
        if (has_bytes(item.kind)) {
                const void *data = item.data;
                skep_hive *hive = call->object->hive->remote->hive;
                item.data = NULL;
                item.hive = hive;
                if (item.bytes <= sizeof item.stored) {
                        memcpy(item.stored, data, item.bytes);
                } else {
                        int result = agent_self(hive, &agent);
                        if (result == 0)
                                result = claim_alloc(agent, item.bytes, BLOCK_BYTES, &block);
                        if (result < 0)
                                return result;
                        item.data = memcpy(heap_data(hive, block, &usable), data, item.bytes);
                        item.block = hive_offset(hive, block);
                }
        }
        *ret_item = item;
        return 0;
}

int item_simple(const struct object *object, uint32_t method, skep_deadline deadline, const int64_t *integers, uint32_t integer_count,
                const struct skep_item *first, const struct skep_item *second, int64_t *ret_result, struct skep_item *ret_item)
{
        struct skep_item items[2];
        uint32_t count = 0;
        if (first)
                items[count++] = *first;
        if (second)
                items[count++] = *second;
        struct item_call call = {.object = object, .method = method, .deadline = deadline, .integers = integers, .integer_count = integer_count,
                                 .items = items, .item_count = count};
        int result = item_call(&call);
        if (result >= 0 && ret_result && call.result_count)
                *ret_result = call.results[0];
        if (result >= 0 && ret_item && call.at != call.end) {
                int took = item_call_next(&call, ret_item);
                result = took < 0 ? took : result;
        }
        free(call.run);
        return result;
}
