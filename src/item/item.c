/* SPDX-License-Identifier: Apache-2.0 */
/*
 * item.c - items of containers: from a user's into a cell's place, and out again; keys.
 *
 * A place is filled while only the lock's holder and his recoverer see it, and it is clean before.
 *
 *   place      head         data[0]         left by                                                to
 *   clean      any          no block        item_link(): for a block first data[0] = 0, then head  linking, or filled inline
 *   linking    BLOCK        0               claim_link()                                           filled
 *   filled     BLOCK        block           item_unlink()                                          clean
 *
 * CRASH.  dies in any of them: the intent of claim_link() settles whether data[0] names the block, and then the place is clean or
 *         filled; the store knows which places do not count, and unlinks them.  So head says BLOCK only while data[0] may be believed.
 */
#include "item/item.h"

#include "array/array.h"
#include "base/checked.h"
#include "base/probe.h"
#include "claim/bundle.h"

#include <errno.h>
#include <math.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static bool has_bytes(uint32_t kind)
{
        return kind >= SKEP_ITEM_TEXT && kind <= SKEP_ITEM_PICKLE;
}

const void *skep_item_data(const struct skep_item *item, size_t *ret_bytes)
{
        bool there = has_bytes(item->kind);
        if (ret_bytes)
                *ret_bytes = there ? item->bytes : 0;
        return !there ? NULL : item->data ? item->data : item->stored;
}

void skep_item_clear(struct skep_item *item)
{
        struct skep_agent *agent;
        if (!item)
                return;
        if (item->hive && item->kind == SKEP_ITEM_ARRAY)
                (void)skep_array_unref(item->array);
        if (item->hive && item->block && agent_self(item->hive, &agent) == 0)
                (void)claim_unref(agent, heap_record(item->hive, item->block));
        *item = skep_item_none();
}

/* --- in --------------------------------------------------------------------------------------------------------------------------- */

static uint64_t head_of(uint32_t kind, uint64_t bytes)
{
        return bytes << 32 | kind;
}

static void draft_inline(struct item_draft *draft, uint32_t kind, const void *data, size_t bytes)
{
        draft->item.head = head_of(kind, bytes);
        if (bytes)
                memcpy(draft->item.data, data, bytes);
}

static void draft_block(struct item_draft *draft, uint32_t kind, struct shm_block *block, uint64_t bytes)
{
        draft->block = block;
        draft->item.head = head_of(kind, 0) | ITEM_BLOCK;
        draft->item.data[2] = bytes;
}

/* A block of bytes that claims what they mention. */
static int draft_bundle(struct skep_agent *agent, struct item_draft *draft, uint32_t kind, const skep_block *references, size_t count, const void *data,
                        size_t bytes)
{
        struct shm_block *block;
        uint64_t usable;
        int result = bundle_create(agent, references, count, bytes, &block);
        if (result < 0)
                return result;
        if (bytes)
                memcpy(bundle_data(agent->hive, block, &usable), data, bytes);
        draft_block(draft, kind, block, bytes);
        draft->claimed = true;
        return 0;
}

static int draft_bytes(struct skep_agent *agent, const struct skep_item *given, struct item_draft *draft)
{
        struct shm_block *block;
        uint64_t usable;
        size_t bytes;
        const void *data = skep_item_data(given, &bytes);
        if (bytes > ITEM_BYTES_MAX)
                return -EOVERFLOW;
        if ((!given->hive && !given->data && bytes) || (given->reference_count && !given->references))
                return -EINVAL;
        if (given->reference_count)
                return draft_bundle(agent, draft, given->kind, given->references, given->reference_count, data, bytes);
        if (given->hive == agent->hive && given->block) { /* got from another container: what never changes need not be copied */
                draft_block(draft, given->kind, heap_record(agent->hive, given->block), bytes);
                return 0;
        }
        if (bytes <= SKEP_ITEM_INLINE_BYTES) {
                draft_inline(draft, given->kind, data, bytes);
                return 0;
        }
        int result = heap_take(agent, bytes, &block);
        if (result < 0)
                return result;
        memcpy(heap_data(agent->hive, block, &usable), data, bytes);
        draft_block(draft, given->kind, block, bytes);
        draft->held = true;
        return 0;
}

static int draft_array(struct skep_agent *agent, skep_array *array, struct item_draft *draft)
{
        uint64_t description[ARRAY_DESCRIPTION_MAX / 8];
        if (!array || skep_array_hive(array) != agent->hive)
                return -EINVAL;
        uint64_t bytes = array_describe(array, description);
        skep_block reference = claim_reference(agent->hive, array_block(array));
        return draft_bundle(agent, draft, SKEP_ITEM_ARRAY, &reference, 1, description, bytes);
}

static int draft_object(struct skep_agent *agent, skep_block reference, struct item_draft *draft)
{
        struct shm_block *block = reference.serial ? claim_find(agent->hive, reference.offset, reference.serial) : NULL;
        if (!block || !claim_is_mine(agent->hive, block))
                return -ESTALE;
        draft_block(draft, SKEP_ITEM_OBJECT, block, 0);
        return 0;
}

int item_prepare(struct skep_agent *agent, const struct skep_item *given, struct item_draft *ret_draft)
{
        *ret_draft = (struct item_draft){0};
        switch (given->kind) {
        case SKEP_ITEM_NONE:
                draft_inline(ret_draft, given->kind, NULL, 0);
                return 0;
        case SKEP_ITEM_BOOL: {
                int64_t value = given->integer != 0;
                draft_inline(ret_draft, given->kind, &value, sizeof value);
                return 0;
        }
        case SKEP_ITEM_INTEGER:
                draft_inline(ret_draft, given->kind, &given->integer, sizeof given->integer);
                return 0;
        case SKEP_ITEM_FLOAT:
                draft_inline(ret_draft, given->kind, &given->real, sizeof given->real);
                return 0;
        case SKEP_ITEM_TEXT:
        case SKEP_ITEM_BYTES:
        case SKEP_ITEM_MSGPACK:
        case SKEP_ITEM_PICKLE:
                return draft_bytes(agent, given, ret_draft);
        case SKEP_ITEM_ARRAY:
                return draft_array(agent, given->array, ret_draft);
        case SKEP_ITEM_OBJECT:
                return draft_object(agent, given->object, ret_draft);
        default:
                return -EINVAL;
        }
}

void item_discard(struct skep_agent *agent, struct item_draft *draft)
{
        if (draft->held)
                heap_give(agent, draft->block);
        else if (draft->claimed)
                (void)claim_unref(agent, draft->block);
        *draft = (struct item_draft){0};
}

int item_link(struct skep_agent *agent, struct shm_item *place, struct item_draft *draft)
{
        if (!draft->block) {
                skep_store_relaxed(&place->head, draft->item.head); /* first: what data[0] will hold names no block */
                skep_fence_release();
                for (int i = 0; i < 3; i++)
                        skep_store_relaxed(&place->data[i], draft->item.data[i]);
                return 0;
        }
        skep_store_relaxed(&place->data[0], 0);
        skep_store(&place->head, draft->item.head);
        PROBE("item.linking");
        skep_store_relaxed(&place->data[2], draft->item.data[2]);
        if (draft->held) {
                claim_link_new(agent, &place->data[0], draft->block, BLOCK_BYTES);
        } else {
                int result = claim_link(agent, &place->data[0], draft->block);
                if (result < 0)
                        return result;
        }
        skep_store_relaxed(&place->data[1], skep_load32_relaxed(&draft->block->serial));
        draft->held = false; /* it is the place's now */
        item_discard(agent, draft);
        return 0;
}

void item_unlink(struct skep_agent *agent, struct shm_item *place)
{
        if (!item_is_clean(place))
                claim_unlink(agent, &place->data[0]);
}

/* --- out -------------------------------------------------------------------------------------------------------------------------- */

static int take_inline(const struct shm_item *copy, struct skep_item *item)
{
        uint64_t bytes = copy->head >> 32, expected = 8;
        if (has_bytes(item->kind)) {
                if (bytes > SKEP_ITEM_INLINE_BYTES)
                        return -EBADMSG;
                memcpy(item->stored, copy->data, SKEP_ITEM_INLINE_BYTES);
                item->data = NULL;
                item->bytes = bytes;
                return 0;
        }
        switch (item->kind) {
        case SKEP_ITEM_NONE:
                expected = 0;
                break;
        case SKEP_ITEM_BOOL:
                item->integer = copy->data[0] != 0;
                break;
        case SKEP_ITEM_INTEGER:
                memcpy(&item->integer, copy->data, sizeof item->integer);
                break;
        case SKEP_ITEM_FLOAT:
                memcpy(&item->real, copy->data, sizeof item->real);
                break;
        default:
                return -EBADMSG;
        }
        return bytes == expected ? 0 : -EBADMSG;
}

/* The block is claimed. */
static int take_block(struct skep_agent *agent, const struct shm_item *copy, struct shm_block *block, struct skep_item *item)
{
        uint64_t usable;
        if (item->kind == SKEP_ITEM_OBJECT) {
                item->object = claim_reference(agent->hive, block);
                return 0;
        }
        const void *data = bundle_data(agent->hive, block, &usable);
        if (!data || copy->data[2] > usable)
                return -EBADMSG;
        if (item->kind == SKEP_ITEM_ARRAY) {
                struct shm_block *elements = bundle_reference(agent->hive, block, 0);
                return elements ? array_from(agent, elements, data, copy->data[2], &item->array) : -EBADMSG;
        }
        if (!has_bytes(item->kind))
                return -EBADMSG;
        item->data = data;
        item->bytes = copy->data[2];
        return 0;
}

int item_take(struct skep_agent *agent, const struct shm_item *copy, struct skep_item *ret_item)
{
        ret_item->kind = item_kind(copy); /* all but stored[] */
        ret_item->reference_count = 0;
        ret_item->references = NULL;
        ret_item->hive = agent->hive;
        ret_item->block = 0;
        if (__builtin_expect(copy->head == ((UINT64_C(8) << 32) | SKEP_ITEM_INTEGER), 1)) {
                ret_item->integer = (int64_t)copy->data[0];
                return 0;
        }
        if (!(copy->head & ITEM_BLOCK))
                return take_inline(copy, ret_item);
        uint64_t serial = copy->data[1];
        struct shm_block *block = serial && serial <= UINT32_MAX ? claim_find(agent->hive, copy->data[0], serial) : NULL;
        int result = block ? claim_ref(agent, block, (uint32_t)serial) : -ESTALE;
        if (result < 0)
                return result;
        result = take_block(agent, copy, block, ret_item);
        if (result < 0 || ret_item->kind == SKEP_ITEM_ARRAY) /* the array's handle has its own claim on what counts */
                (void)claim_unref(agent, block);
        else
                ret_item->block = hive_offset(agent->hive, block);
        return result;
}

uint64_t item_verify(skep_hive *hive, const struct shm_item *item)
{
        struct skep_item unused = {.kind = item_kind(item)};
        if (!(item->head & ITEM_BLOCK))
                return take_inline(item, &unused) < 0;
        uint64_t usable, offset = skep_load(&item->data[0]);
        struct shm_block *block = claim_find(hive, offset, item->data[1]);
        if (!block || unused.kind >= SKEP_ITEM_KINDS || (!has_bytes(unused.kind) && unused.kind < SKEP_ITEM_ARRAY))
                return 1;
        return unused.kind != SKEP_ITEM_OBJECT && (!bundle_data(hive, block, &usable) || item->data[2] > usable);
}

/* --- equality, keys ------------------------------------------------------------------------------------------------------------------ */

static bool is_number(uint32_t kind)
{
        return kind == SKEP_ITEM_BOOL || kind == SKEP_ITEM_INTEGER || kind == SKEP_ITEM_FLOAT;
}

/* A number that equals an integer of 64 bits, as that. */
static bool as_integer(uint32_t kind, int64_t integer, double real, int64_t *ret_integer)
{
        if (kind != SKEP_ITEM_FLOAT) {
                *ret_integer = integer;
                return true;
        }
        if (!(real >= -0x1p63 && real < 0x1p63) || real != trunc(real))
                return false;
        *ret_integer = (int64_t)real;
        return true;
}

static bool numbers_equal(uint32_t left_kind, int64_t left, double left_real, uint32_t right_kind, int64_t right, double right_real)
{
        int64_t left_integer = 0, right_integer = 0;
        bool left_is = as_integer(left_kind, left, left_real, &left_integer), right_is = as_integer(right_kind, right, right_real, &right_integer);
        if (left_is && right_is)
                return left_integer == right_integer;
        return !left_is && !right_is && left_real == right_real;
}

/*
 * A pickle may say that it is equal to a plainer item, and carry more than that one (python/ext/item.c makes such keys):
 * it begins with this head, and the bytes of the plainer one follow.
 */
struct pickle_head {
        uint8_t format;
        uint8_t kind;
        uint8_t reserved[2];
        uint32_t bytes;
};
#define PICKLE_COMPARED_AS 2

/* The item that a pickle is compared as; borrows from it.  Bytes that change meanwhile give another one, and no harm. */
static struct skep_item compared(const void *data, size_t bytes)
{
        struct pickle_head head;
        int64_t integer;
        double real;
        if (bytes < sizeof head || *(const uint8_t *)data != PICKLE_COMPARED_AS)
                return skep_item_of_bytes(SKEP_ITEM_PICKLE, data, bytes);
        memcpy(&head, data, sizeof head);
        const uint8_t *plain = (const uint8_t *)data + sizeof head;
        if (head.bytes > bytes - sizeof head || head.kind > SKEP_ITEM_PICKLE || (is_number(head.kind) && head.bytes != sizeof integer))
                return skep_item_of_bytes(SKEP_ITEM_PICKLE, data, bytes);
        if (!is_number(head.kind))
                return skep_item_of_bytes(head.kind, plain, head.bytes);
        memcpy(&integer, plain, sizeof integer);
        memcpy(&real, plain, sizeof real);
        return head.kind == SKEP_ITEM_FLOAT ? skep_item_float(real) : skep_item_integer(integer);
}

static struct skep_item compared_as(const struct skep_item *item)
{
        size_t bytes;
        const void *data = item->kind == SKEP_ITEM_PICKLE ? skep_item_data(item, &bytes) : NULL;
        return data ? compared(data, bytes) : *item;
}

static bool plain_equal(const struct skep_item *left, const struct skep_item *right)
{
        if (is_number(left->kind) && is_number(right->kind))
                return numbers_equal(left->kind, left->integer, left->real, right->kind, right->integer, right->real);
        if (left->kind != right->kind)
                return false;
        if (left->kind == SKEP_ITEM_NONE)
                return true;
        if (left->kind == SKEP_ITEM_OBJECT)
                return left->object.offset == right->object.offset && left->object.serial == right->object.serial;
        if (left->kind == SKEP_ITEM_ARRAY)
                return left->array == right->array || (array_block(left->array) == array_block(right->array) &&
                                                       skep_array_hive(left->array) == skep_array_hive(right->array) &&
                                                       skep_array_data(left->array) == skep_array_data(right->array));
        size_t left_bytes, right_bytes;
        const void *left_data = skep_item_data(left, &left_bytes), *right_data = skep_item_data(right, &right_bytes);
        return left_bytes == right_bytes && (!left_bytes || memcmp(left_data, right_data, left_bytes) == 0);
}

bool skep_item_equal(const struct skep_item *left, const struct skep_item *right)
{
        if (left->kind != SKEP_ITEM_PICKLE && right->kind != SKEP_ITEM_PICKLE)
                return plain_equal(left, right);
        struct skep_item plain_left = compared_as(left), plain_right = compared_as(right);
        return plain_equal(&plain_left, &plain_right);
}

int item_key_check(const struct skep_item *key)
{
        if (!has_bytes(key->kind))
                return key->kind > SKEP_ITEM_PICKLE ? -EINVAL : 0;
        if (key->bytes && !key->data && !key->hive)
                return -EINVAL;
        return key->bytes > ITEM_KEY_MAX ? -EMSGSIZE : 0;
}

static uint64_t plain_hash(const skep_hive *hive, const struct skep_item *key)
{
        uint64_t seed = hive->header->identity[0];
        if (key->kind == SKEP_ITEM_INTEGER)
                return XXH3_64bits_withSeed(&key->integer, sizeof key->integer, seed);
        size_t bytes;
        const void *data = skep_item_data(key, &bytes);
        if (data)
                return XXH3_64bits_withSeed(data, bytes, seed + key->kind);
        if (!is_number(key->kind))
                return XXH3_64bits_withSeed(NULL, 0, seed);
        int64_t integer;
        if (as_integer(key->kind, key->integer, key->real, &integer))
                return XXH3_64bits_withSeed(&integer, sizeof integer, seed);
        return XXH3_64bits_withSeed(&key->real, sizeof key->real, seed + 1); /* NaNs are keys of their own, by their bits */
}

uint64_t item_hash(const skep_hive *hive, const struct skep_item *key)
{
        if (key->kind != SKEP_ITEM_PICKLE)
                return plain_hash(hive, key);
        struct skep_item plain = compared_as(key);
        return plain_hash(hive, &plain);
}

/* What lies there, borrowed. @return false it is gone */
static bool look(const skep_hive *hive, const struct shm_item *stored, struct skep_item *ret_item)
{
        uint64_t head = skep_load_relaxed(&stored->head), first = skep_load_relaxed(&stored->data[0]), bytes = head >> 32, usable;
        *ret_item = (struct skep_item){.kind = (uint8_t)head};
        if (is_number(ret_item->kind)) {
                memcpy(&ret_item->integer, &first, sizeof first);
                return true;
        }
        const void *data = stored->data;
        if (head & ITEM_BLOCK) {
                struct shm_block *block = claim_find(hive, first, skep_load_relaxed(&stored->data[1]));
                bytes = skep_load_relaxed(&stored->data[2]);
                data = block ? bundle_data(hive, block, &usable) : NULL;
                if (!data || bytes > usable)
                        return false;
        } else if (bytes > SKEP_ITEM_INLINE_BYTES) {
                return false;
        }
        ret_item->data = data;
        ret_item->bytes = bytes;
        return true;
}

static bool pickle_matches(const skep_hive *hive, const struct shm_item *stored, const struct skep_item *key)
{
        struct skep_item there, plain = compared_as(key);
        if (!look(hive, stored, &there))
                return false;
        if (there.kind == SKEP_ITEM_PICKLE)
                there = compared(there.data, there.bytes);
        return plain_equal(&there, &plain);
}

bool item_matches(const skep_hive *hive, const struct shm_item *stored, const struct skep_item *key)
{
        uint64_t head = skep_load_relaxed(&stored->head), first = skep_load_relaxed(&stored->data[0]);
        uint32_t kind = (uint8_t)head;
        if (kind == SKEP_ITEM_INTEGER && key->kind == SKEP_ITEM_INTEGER)
                return (int64_t)first == key->integer;
        if (__builtin_expect(key->kind == SKEP_ITEM_PICKLE || kind == SKEP_ITEM_PICKLE, 0))
                return pickle_matches(hive, stored, key);
        if (is_number(key->kind) && is_number(kind)) {
                int64_t integer = (int64_t)first;
                double real;
                memcpy(&real, &first, sizeof real);
                if (kind == SKEP_ITEM_FLOAT && key->kind == SKEP_ITEM_FLOAT && memcmp(&real, &key->real, sizeof real) == 0)
                        return true;
                return numbers_equal(kind, integer, real, key->kind, key->integer, key->real);
        }
        size_t bytes;
        const void *data = skep_item_data(key, &bytes);
        if (kind != key->kind)
                return false;
        if (!(head & ITEM_BLOCK))
                return head >> 32 == bytes && (!bytes || memcmp(stored->data, data, bytes) == 0);
        struct shm_block *block = claim_find(hive, first, skep_load_relaxed(&stored->data[1]));
        uint64_t usable;
        const void *there = block && skep_load_relaxed(&stored->data[2]) == bytes ? bundle_data(hive, block, &usable) : NULL;
        return there && bytes <= usable && memcmp(there, data, bytes) == 0;
}
