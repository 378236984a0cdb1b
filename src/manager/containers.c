/* SPDX-License-Identifier: Apache-2.0 */
/* containers.c - what a client can ask of dicts, namespaces and lists (methods.c); items come and go as raw bytes (item/remote.h). */
#include "item/remote.h"
#include "manager/server.h"

#include <errno.h>
#include <skep/skep.h>
#include <stdlib.h>
#include <string.h>

#ifdef SKEP_NETWORK

static int64_t argument(const struct call *call, uint32_t index)
{
        return call->request.arguments[index].integer; /* there are as many as the method says */
}

static void add(void *buffer, const void *data, size_t bytes)
{
        wire_add(buffer, data, bytes);
}

/* Items as the raw bytes of the answer. */
static int answer_items(struct call *call, int result, const struct skep_item *items, size_t count)
{
        struct wire_buffer buffer = {0};
        for (size_t i = 0; i < count && result >= 0; i++) {
                int packed = item_pack(&items[i], add, &buffer);
                result = packed < 0 ? packed : result;
        }
        if (buffer.failed)
                result = -ENOMEM;
        if (result < 0) {
                wire_free(&buffer);
                return result;
        }
        call->out = call->out_owned = buffer.data;
        call->out_bytes = buffer.bytes;
        return result;
}

/* The same for one that was got. */
static int answer_taken(struct call *call, int result, struct skep_item *item)
{
        result = answer_items(call, result, item, 1);
        skep_item_clear(item);
        return result;
}

static int answer_number(struct call *call, int result, uint64_t number)
{
        call->results[call->result_count++] = (int64_t)number;
        return result;
}

/* As many items as the call needs, and no more. */
static int items_of(const struct call *call, struct skep_item *items, uint32_t count)
{
        const uint8_t *at = call->raw, *end = at + call->raw_bytes;
        for (uint32_t i = 0; i < count; i++)
                if (at == end || item_unpack(&at, end, &items[i]) < 0)
                        return -EINVAL;
        return at == end ? 0 : -EINVAL;
}

/* All of them. @param ret_items  free() */
static int items_all(const struct call *call, struct skep_item **ret_items, uint64_t *ret_count)
{
        const uint8_t *at = call->raw, *end = at + call->raw_bytes;
        uint64_t count = 0, most = call->raw_bytes / ITEM_HEAD_BYTES;
        struct skep_item *items = calloc(most + 1, sizeof *items);
        if (!items)
                return -ENOMEM;
        for (; at < end && count < most; count++)
                if (item_unpack(&at, end, &items[count]) < 0)
                        break;
        if (at < end) {
                free(items);
                return -EINVAL;
        }
        *ret_items = items;
        *ret_count = count;
        return 0;
}

/* --- dicts and namespaces: a handle of either is a skep_dict ------------------------------------------------------------- */

static int dict_get(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_item key, value = skep_item_none();
        uint64_t version = 0;
        int result = items_of(call, &key, 1);
        if (result == 0)
                result = skep_dict_get(call->handle, &key, argument(call, 0) ? &value : NULL, &version);
        if (result < 0)
                return result;
        (void)answer_number(call, 0, version);
        return argument(call, 0) ? answer_taken(call, 0, &value) : 0;
}

static int dict_get_many(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_item *keys, *items;
        uint64_t count, found = 0;
        int result = items_all(call, &keys, &count);
        if (result < 0)
                return result;
        struct skep_dict_entry *entries = calloc(count + 1, sizeof *entries);
        items = calloc(2 * count + 1, sizeof *items);
        for (uint64_t i = 0; entries && i < count; i++)
                entries[i].key = keys[i];
        result = entries && items ? skep_dict_get_many(call->handle, entries, count, &found) : -ENOMEM;
        for (uint64_t i = 0; result == 0 && i < count; i++) {
                items[2 * i] = entries[i].value;
                items[2 * i + 1] = skep_item_integer((int64_t)entries[i].version);
        }
        bool got = result == 0;
        result = answer_items(call, result, items, got ? 2 * count : 0);
        for (uint64_t i = 0; got && i < count; i++)
                skep_item_clear(&entries[i].value);
        free(items);
        free(entries);
        free(keys);
        return answer_number(call, result, found);
}

static int dict_length(struct call *call, skep_deadline unused)
{
        (void)unused;
        uint64_t count = 0;
        int result = skep_dict_length(call->handle, &count);
        return answer_number(call, result, count);
}

static int dict_snapshot(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_dict_entry *entries;
        uint64_t count;
        int result = skep_dict_snapshot(call->handle, (uint32_t)argument(call, 0), &entries, &count);
        if (result < 0)
                return result;
        struct skep_item *items = calloc(3 * count + 1, sizeof *items);
        for (uint64_t i = 0; items && i < count; i++) {
                items[3 * i] = entries[i].key;
                items[3 * i + 1] = entries[i].value;
                items[3 * i + 2] = skep_item_integer((int64_t)entries[i].version);
        }
        result = items ? answer_items(call, 0, items, 3 * count) : -ENOMEM;
        free(items);
        skep_dict_entries_free(entries, count);
        return answer_number(call, result, count);
}

static int dict_wait(struct call *call, skep_deadline deadline)
{
        struct skep_item key, value = skep_item_none();
        uint64_t version = 0;
        int result = items_of(call, &key, 1);
        if (result == 0)
                result = skep_dict_wait(call->handle, &key, (uint64_t)argument(call, 0), &value, &version, deadline);
        if (result < 0)
                return result;
        (void)answer_number(call, 0, version);
        return answer_taken(call, 0, &value);
}

static int dict_set(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_item items[2], there = skep_item_none();
        uint64_t version = 0;
        int result = items_of(call, items, 2);
        if (result < 0)
                return result;
        switch (call->request.method) {
        case REMOTE_DICT_SET_IF:
                result = skep_dict_set_if(call->handle, &items[0], (uint64_t)argument(call, 0), &items[1], &version);
                return answer_number(call, result, version);
        case REMOTE_DICT_SETDEFAULT:
                result = skep_dict_setdefault(call->handle, &items[0], &items[1], &there);
                return result > 0 ? answer_taken(call, result, &there) : result;
        default:
                return skep_dict_set(call->handle, &items[0], &items[1]);
        }
}

static int dict_add(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_item items[2], sum = skep_item_none();
        int result = items_of(call, items, 2);
        if (result == 0)
                result = skep_dict_add(call->handle, &items[0], &items[1], (uint32_t)argument(call, 0), &sum);
        return result < 0 ? result : answer_taken(call, 0, &sum);
}

static int dict_delete(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_item key, value = skep_item_none();
        int result = items_of(call, &key, 1);
        if (result < 0)
                return result;
        if (call->request.method == REMOTE_DICT_DELETE)
                return skep_dict_delete(call->handle, &key);
        if (call->request.method == REMOTE_DICT_DELETE_IF)
                return skep_dict_delete_if(call->handle, &key, (uint64_t)argument(call, 0));
        uint64_t version = 0;
        do { /* what cannot travel stays */
                result = skep_dict_get(call->handle, &key, &value, &version);
                if (result == 0)
                        result = answer_taken(call, 0, &value);
                if (result < 0)
                        return result;
                result = skep_dict_delete_if(call->handle, &key, version);
                if (result < 0) {
                        free(call->out_owned);
                        call->out = call->out_owned = NULL;
                        call->out_bytes = 0;
                }
        } while (result == -EAGAIN);
        return result;
}

static int dict_popitem(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_item items[2];
        int result = skep_dict_popitem(call->handle, &items[0], &items[1]);
        if (result < 0)
                return result;
        result = answer_items(call, 0, items, 2);
        if (result < 0) /* it cannot travel: as it was, but for its place in the order */
                (void)!skep_dict_set(call->handle, &items[0], &items[1]);
        skep_item_clear(&items[0]);
        skep_item_clear(&items[1]);
        return result;
}

static int dict_update(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_item *items;
        uint64_t count;
        int result = items_all(call, &items, &count);
        if (result < 0)
                return result;
        struct skep_dict_entry *entries = count % 2 ? NULL : calloc(count / 2 + 1, sizeof *entries);
        for (uint64_t i = 0; entries && i < count / 2; i++)
                entries[i] = (struct skep_dict_entry){items[2 * i], items[2 * i + 1], 0};
        result = entries ? skep_dict_update(call->handle, entries, count / 2) : count % 2 ? -EINVAL : -ENOMEM;
        free(entries);
        free(items);
        return result;
}

static int dict_clear(struct call *call, skep_deadline unused)
{
        (void)unused;
        return skep_dict_clear(call->handle);
}

/* --- lists ----------------------------------------------------------------------------------------------------------------- */

static int list_length(struct call *call, skep_deadline unused)
{
        (void)unused;
        uint64_t length = 0;
        int result = skep_list_length(call->handle, &length);
        return answer_number(call, result, length);
}

static int list_get(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_item item = skep_item_none();
        uint64_t version = 0;
        int result = skep_list_get(call->handle, argument(call, 0), &item, &version);
        if (result < 0)
                return result;
        (void)answer_number(call, 0, version);
        return answer_taken(call, 0, &item);
}

static struct skep_slice slice_of(const struct call *call)
{
        return (struct skep_slice){argument(call, 0), argument(call, 1), argument(call, 2)};
}

static int list_get_slice(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_list_entry *entries = NULL;
        uint64_t count = 0;
        int result = skep_list_get_slice(call->handle, slice_of(call), &entries, &count);
        if (result < 0)
                return result;
        struct skep_item *items = calloc(2 * count + 1, sizeof *items);
        for (uint64_t i = 0; items && i < count; i++) {
                items[2 * i] = entries[i].item;
                items[2 * i + 1] = skep_item_integer((int64_t)entries[i].version);
        }
        result = items ? answer_items(call, 0, items, 2 * count) : -ENOMEM;
        free(items);
        skep_list_entries_free(entries, count);
        return answer_number(call, result, count);
}

static int list_version(struct call *call, skep_deadline unused)
{
        (void)unused;
        uint64_t version = 0;
        int result = skep_list_version(call->handle, &version);
        return answer_number(call, result, version);
}

static int list_wait(struct call *call, skep_deadline deadline)
{
        return skep_list_wait(call->handle, (uint64_t)argument(call, 0), deadline);
}

static int list_set(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_item item;
        int result = items_of(call, &item, 1);
        if (result < 0)
                return result;
        return argument(call, 1) ? skep_list_set_if(call->handle, argument(call, 0), (uint64_t)argument(call, 2), &item)
                                 : skep_list_set(call->handle, argument(call, 0), &item);
}

static int list_add(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_item operand, sum = skep_item_none();
        int result = items_of(call, &operand, 1);
        if (result == 0)
                result = skep_list_add(call->handle, argument(call, 0), &operand, &sum);
        return result < 0 ? result : answer_taken(call, 0, &sum);
}

static int list_append(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_item item;
        int result = items_of(call, &item, 1);
        return result < 0 ? result : skep_list_append(call->handle, &item);
}

static int list_repeat(struct call *call, skep_deadline unused)
{
        (void)unused;
        return argument(call, 0) < 0 ? -EINVAL : skep_list_repeat(call->handle, (uint64_t)argument(call, 0));
}

static int list_pop(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_item item = skep_item_none();
        int64_t index = argument(call, 0);
        if (argument(call, 1))
                return skep_list_delete_if(call->handle, index, (uint64_t)argument(call, 2));
        int result = skep_list_pop(call->handle, index, argument(call, 3) ? &item : NULL);
        if (result < 0 || !argument(call, 3))
                return result;
        result = answer_items(call, 0, &item, 1);
        if (result < 0) /* it cannot travel: back to where it was */
                (void)!(index == -1 ? skep_list_append(call->handle, &item) : skep_list_insert(call->handle, index < 0 ? index + 1 : index, &item));
        skep_item_clear(&item);
        return result;
}

static int list_set_slice(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_item *items;
        uint64_t count, length = 0;
        int result = items_all(call, &items, &count);
        if (result < 0)
                return result;
        result = skep_list_set_slice(call->handle, slice_of(call), items, count, &length);
        free(items);
        return answer_number(call, result, length);
}

static int list_delete_slice(struct call *call, skep_deadline unused)
{
        (void)unused;
        return skep_list_delete_slice(call->handle, slice_of(call));
}

static int list_reverse(struct call *call, skep_deadline unused)
{
        (void)unused;
        return skep_list_reverse(call->handle);
}

static int list_permute(struct call *call, skep_deadline unused)
{
        (void)unused;
        struct skep_item *items;
        uint64_t count;
        int result = items_all(call, &items, &count);
        if (result < 0)
                return result;
        struct skep_list_entry *entries = calloc(count / 2 + 1, sizeof *entries);
        uint64_t *order = calloc(count / 2 + 1, sizeof *order);
        result = count % 2 ? -EINVAL : entries && order ? 0 : -ENOMEM;
        for (uint64_t i = 0; i < count / 2 && result == 0; i++) {
                entries[i].version = (uint64_t)items[2 * i].integer;
                order[i] = (uint64_t)items[2 * i + 1].integer;
                result = items[2 * i].kind == SKEP_ITEM_INTEGER && items[2 * i + 1].kind == SKEP_ITEM_INTEGER ? 0 : -EINVAL;
        }
        if (result == 0)
                result = skep_list_permute(call->handle, entries, order, count / 2);
        free(order);
        free(entries);
        free(items);
        return result;
}

/* --- tables ----------------------------------------------------------------------------------------------------------------- */

const struct method container_methods[REMOTE_METHOD_END - REMOTE_DICT_GET] = {
#define DICT(name, function, ...) [REMOTE_DICT_##name - REMOTE_DICT_GET] = {.run = dict_##function, .kind = &dict_kind, .integers = 1, __VA_ARGS__}
        DICT(GET, get), DICT(LENGTH, length), DICT(SNAPSHOT, snapshot), DICT(WAIT, wait, .flags = METHOD_WAITS), DICT(SET, set), DICT(SET_IF, set),
        DICT(SETDEFAULT, set), DICT(ADD, add), DICT(DELETE, delete), DICT(DELETE_IF, delete), DICT(POP, delete), DICT(CLEAR, clear),
        [REMOTE_DICT_POPITEM - REMOTE_DICT_GET] = {.run = dict_popitem, .kind = &dict_kind},
        [REMOTE_DICT_GET_MANY - REMOTE_DICT_GET] = {.run = dict_get_many, .kind = &dict_kind},
        [REMOTE_DICT_UPDATE - REMOTE_DICT_GET] = {.run = dict_update, .kind = &dict_kind},
#define LIST(name, function, count, ...) [REMOTE_LIST_##name - REMOTE_DICT_GET] = {.run = list_##function, .kind = &list_kind, .integers = (count), __VA_ARGS__}
        LIST(LENGTH, length, 0), LIST(GET, get, 1), LIST(GET_SLICE, get_slice, 3), LIST(VERSION, version, 0), LIST(WAIT, wait, 1, .flags = METHOD_WAITS),
        LIST(SET, set, 3), LIST(ADD, add, 1), LIST(APPEND, append, 0), LIST(REPEAT, repeat, 1), LIST(POP, pop, 4), LIST(SET_SLICE, set_slice, 3),
        LIST(DELETE_SLICE, delete_slice, 3), LIST(REVERSE, reverse, 0), LIST(PERMUTE, permute, 0),
};
#endif
