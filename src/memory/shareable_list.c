/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shareable_list.c - values in a block that Python's ShareableList can read and write as well (skep/shareable_list.h).
 *
 *   offset             what                                            bytes
 *   0                  number of slots, n                              8
 *   8                  offsets of the slots in the data, and its end   8 (n + 1)
 *   8 (n + 2)          data: rooms, multiples of 8                     the last offset
 *   behind             formats of Python's struct module               8 n
 *   behind             codes: 0 number, 1 text, 2 bytes, 3 none        n, rounded up to 8
 *   behind, ours       struct shm_list, struct shm_slot [n], redo      from here on Python's class does not look
 *
 * LENGTH.   The format of a text that we wrote ends in a blank, which the struct module passes over: "16s ".  Then slot.length
 *           counts.  Python's class writes formats without a blank: then NULs at the end are padding, as it understands them.
 * READERS.  slot.sequence is odd while the slot changes; who has read reads it again.  Who finds it odd for long takes the lock.
 * WRITERS.  take `lock`, a robust mutex of the C library: the kernel marks it when its owner dies, in whichever process, hive or
 *           pid namespace; agents would do for one hive only.
 *
 *   redo.slot   state     left by                                   to
 *   0           IDLE      writer, after it has filled in redo       slot + 1
 *   slot + 1    APPLIES   writer, or the next owner of the lock     0, the new value in its place
 *
 * CRASH.    dies                            found as                       repaired by
 *           before redo.slot                IDLE; lock of a dead owner     next owner: nothing to do, the old value stands
 *           after it                        APPLIES; perhaps odd           next owner, also a reader: applies again; the new value
 *           after redo.slot is 0            IDLE; lock of a dead owner     next owner: nothing to do
 */
#include "memory/memory.h"

#include "base/checked.h"
#include "base/probe.h"

#include <errno.h>
#include <pthread.h>
#include <skep/shareable_list.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIST_MAGIC UINT64_C(0x315453494c50454b) /* "KEPLIST1" */
#define FORMAT_BYTES 8u
#define SPINS 2000
#define COUNT_MAX (UINT64_C(1) << 32)

struct shm_redo {
        uint64_t slot; /* + 1; the commit word */
        uint32_t type;
        uint32_t length;
        /* the bytes of the value follow the slots */
};

struct shm_list {
        uint64_t magic;
        uint64_t room_max; /* of all slots: capacity of redo's bytes */
        union {
                pthread_mutex_t lock;
                uint64_t words[8];
        };
        struct shm_redo redo;
        uint64_t reserved[4];
};
_Static_assert(sizeof(struct shm_list) == 128, "format");

struct shm_slot {
        uint32_t sequence;
        uint32_t length;
};

enum { CODE_NUMBER, CODE_TEXT, CODE_BYTES, CODE_NONE };

/* Where things lie; checked once against the block's size, then constant. */
struct list_layout {
        uint64_t data_at, formats_at, codes_at, ours_at, slots_at, redo_at, bytes;
};

struct skep_shareable_list {
        skep_shared_memory *memory;
        uint64_t count;
        struct list_layout layout;
        struct shm_list *ours; /* NULL: made by Python's class */
        uint64_t room_max;
        uint64_t offsets[]; /* [count + 1], our copy: nobody can change it in our back */
};

static const char int_format[FORMAT_BYTES + 1] = "q", float_format[FORMAT_BYTES + 1] = "d", bool_format[FORMAT_BYTES + 1] = "xxxxxxx?",
                  none_format[FORMAT_BYTES + 1] = "xxxxxx?x";

static bool is_text(uint32_t type)
{
        return type == SKEP_SHAREABLE_TEXT || type == SKEP_SHAREABLE_BYTES;
}

static bool layout_fill(uint64_t count, uint64_t data_bytes, uint64_t room_max, struct list_layout *ret)
{
        if (count > COUNT_MAX || data_bytes > INT64_MAX / 4 || room_max > data_bytes)
                return false;
        ret->data_at = 8 * (count + 2);
        ret->formats_at = ret->data_at + data_bytes;
        ret->codes_at = ret->formats_at + FORMAT_BYTES * count;
        ret->ours_at = align_up(ret->codes_at + count, 8);
        ret->slots_at = ret->ours_at + sizeof(struct shm_list);
        ret->redo_at = ret->slots_at + sizeof(struct shm_slot) * count;
        ret->bytes = ret->redo_at + room_max;
        return true;
}

static uint8_t *at(const skep_shareable_list *list, uint64_t offset)
{
        return (uint8_t *)list->memory->address + offset;
}

static uint64_t room_of(const skep_shareable_list *list, uint64_t index)
{
        return list->offsets[index + 1] - list->offsets[index];
}

/* --- a value as it lies in its slot -------------------------------------------------------------------------------------------- */

/* What a slot says, before it is known to be whole: nothing in it is trusted. */
struct image {
        char format[FORMAT_BYTES];
        uint8_t code;
        uint32_t length;
};

/* @return the type, -1: damaged. @param ret_bytes  of a text; meaning of its data still to be looked at if not ours */
static int image_type(const struct image *image, uint64_t room, uint64_t *ret_bytes, bool *ret_exact)
{
        *ret_bytes = 8;
        *ret_exact = true;
        if (image->code == CODE_NONE)
                return SKEP_SHAREABLE_NONE;
        if (image->code == CODE_NUMBER)
                return !memcmp(image->format, int_format, FORMAT_BYTES)     ? SKEP_SHAREABLE_INT
                       : !memcmp(image->format, float_format, FORMAT_BYTES) ? SKEP_SHAREABLE_FLOAT
                       : !memcmp(image->format, bool_format, FORMAT_BYTES)  ? SKEP_SHAREABLE_BOOL
                                                                            : -1;
        uint64_t bytes = 0;
        unsigned i = 0;
        while (i < FORMAT_BYTES && image->format[i] >= '0' && image->format[i] <= '9')
                bytes = bytes * 10 + (uint64_t)(image->format[i++] - '0');
        if (!i || i == FORMAT_BYTES || image->format[i] != 's' || image->code > CODE_BYTES)
                return -1;
        *ret_exact = i + 1 < FORMAT_BYTES && image->format[i + 1] == ' ';
        *ret_bytes = *ret_exact ? image->length : bytes;
        return *ret_bytes > room ? -1 : image->code == CODE_TEXT ? SKEP_SHAREABLE_TEXT : SKEP_SHAREABLE_BYTES;
}

static void image_make(uint32_t type, uint64_t room, uint32_t length, struct image *ret_image)
{
        static const char *const formats[] = {
                [SKEP_SHAREABLE_NONE] = none_format,
                [SKEP_SHAREABLE_BOOL] = bool_format,
                [SKEP_SHAREABLE_INT] = int_format,
                [SKEP_SHAREABLE_FLOAT] = float_format,
        };
        *ret_image = (struct image){.length = length};
        if (is_text(type)) {
                char text[24] = {0};
                snprintf(text, sizeof text, "%llus ", (unsigned long long)room);
                memcpy(ret_image->format, text, FORMAT_BYTES);
                ret_image->code = type == SKEP_SHAREABLE_TEXT ? CODE_TEXT : CODE_BYTES;
        } else {
                memcpy(ret_image->format, formats[type], FORMAT_BYTES);
                ret_image->code = type == SKEP_SHAREABLE_NONE ? CODE_NONE : CODE_NUMBER;
        }
}

/* The eight bytes of a number. */
static void number_store(const struct skep_shareable_item *item, uint8_t data[static 8])
{
        memset(data, 0, 8);
        if (item->type == SKEP_SHAREABLE_INT)
                memcpy(data, &item->integer, 8);
        else if (item->type == SKEP_SHAREABLE_FLOAT)
                memcpy(data, &item->real, 8);
        else if (item->type == SKEP_SHAREABLE_BOOL)
                data[7] = item->integer != 0;
}

static void number_load(const uint8_t data[static 8], struct skep_shareable_item *item)
{
        if (item->type == SKEP_SHAREABLE_INT)
                memcpy(&item->integer, data, 8);
        else if (item->type == SKEP_SHAREABLE_FLOAT)
                memcpy(&item->real, data, 8);
        else if (item->type == SKEP_SHAREABLE_BOOL)
                item->integer = data[7] != 0;
}

static void slot_write(const skep_shareable_list *list, uint64_t index, uint32_t type, const void *data, uint32_t length)
{
        struct image image;
        uint64_t room = room_of(list, index);
        uint8_t *target = at(list, list->layout.data_at + list->offsets[index]);
        image_make(type, room, length, &image);
        memcpy(target, data, length);
        memset(target + length, 0, room - length);
        memcpy(at(list, list->layout.formats_at + FORMAT_BYTES * index), image.format, FORMAT_BYTES);
        *at(list, list->layout.codes_at + index) = image.code;
}

/* --- the lock, and what a dead writer left ------------------------------------------------------------------------------------------ */

static struct shm_slot *slot_of(const skep_shareable_list *list, uint64_t index)
{
        return (struct shm_slot *)at(list, list->layout.slots_at) + index;
}

/* Put what redo holds into its slot; as often as you like. */
static void redo_apply(const skep_shareable_list *list)
{
        struct shm_redo *redo = &list->ours->redo;
        uint64_t index = skep_load(&redo->slot) - 1;
        if (index < list->count && redo->length <= room_of(list, index) && redo->length <= list->room_max && redo->type <= SKEP_SHAREABLE_BYTES) {
                struct shm_slot *slot = slot_of(list, index);
                uint32_t sequence = skep_load32_relaxed(&slot->sequence) | 1;
                skep_store32_relaxed(&slot->sequence, sequence);
                skep_fence_release();
                PROBE("shareable_list.odd");
                slot->length = redo->length;
                slot_write(list, index, redo->type, at(list, list->layout.redo_at), redo->length);
                PROBE("shareable_list.written");
                skep_store32(&slot->sequence, sequence + 1);
                PROBE("shareable_list.even");
        }
        skep_store(&redo->slot, 0);
        PROBE("shareable_list.idle");
}

/* @return 0, -ETIMEDOUT, -EBADMSG */
static int list_lock(const skep_shareable_list *list, skep_deadline deadline)
{
        const struct timespec until = {deadline.monotonic_ns / 1000000000, deadline.monotonic_ns % 1000000000};
        int result = pthread_mutex_trylock(&list->ours->lock);
        if (result == EBUSY && deadline.monotonic_ns)
                result = pthread_mutex_clocklock(&list->ours->lock, CLOCK_MONOTONIC, &until);
        if (result == EOWNERDEAD) {
                if (skep_load(&list->ours->redo.slot))
                        redo_apply(list);
                result = pthread_mutex_consistent(&list->ours->lock);
                if (result)
                        (void)pthread_mutex_unlock(&list->ours->lock);
        }
        return result == EBUSY || result == ETIMEDOUT ? -ETIMEDOUT : result ? -EBADMSG : 0;
}

static void list_unlock(const skep_shareable_list *list)
{
        (void)pthread_mutex_unlock(&list->ours->lock);
}

/* --- making and finding --------------------------------------------------------------------------------------------------------------- */

static bool item_is_sound(const struct skep_shareable_item *item)
{
        return item->type <= SKEP_SHAREABLE_BYTES && !(is_text(item->type) && item->bytes && !item->data);
}

/* As Python's class counts it, in characters; but never less than the bytes. */
static uint64_t room_for(const struct skep_shareable_item *item, uint64_t least)
{
        uint64_t characters = item->bytes;
        for (uint64_t i = 0; item->type == SKEP_SHAREABLE_TEXT && i < item->bytes; i++)
                characters -= (((const uint8_t *)item->data)[i] & 0xc0) == 0x80;
        uint64_t room = is_text(item->type) ? 8 * (characters / 8 + 1) : 8;
        if (is_text(item->type) && room < item->bytes)
                room = align_up(item->bytes, 8);
        return room > least ? room : least;
}

struct recipe {
        const struct skep_shareable_list_options *options;
        struct list_layout layout;
        uint64_t room_max;
        uint64_t least;
};

static int lock_init(pthread_mutex_t *lock)
{
        pthread_mutexattr_t attributes;
        int result = pthread_mutexattr_init(&attributes);
        if (result)
                return -result;
        result = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        if (!result)
                result = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        if (!result)
                result = pthread_mutex_init(lock, &attributes);
        (void)pthread_mutexattr_destroy(&attributes);
        return -result;
}

static int list_format(void *address, uint64_t bytes, const void *context)
{
        const struct recipe *recipe = context;
        uint8_t *base = address;
        uint64_t *words = address, offset = 0, count = recipe->options->count;
        (void)bytes;
        words[0] = count;
        for (uint64_t i = 0; i < count; i++) {
                const struct skep_shareable_item *item = &recipe->options->items[i];
                uint64_t room = room_for(item, recipe->least);
                uint8_t *data = base + recipe->layout.data_at + offset;
                struct image image;
                image_make(item->type, room, is_text(item->type) ? (uint32_t)item->bytes : 8, &image);
                if (is_text(item->type) && item->bytes)
                        memcpy(data, item->data, item->bytes);
                else if (!is_text(item->type))
                        number_store(item, data);
                memcpy(base + recipe->layout.formats_at + FORMAT_BYTES * i, image.format, FORMAT_BYTES);
                base[recipe->layout.codes_at + i] = image.code;
                ((struct shm_slot *)(base + recipe->layout.slots_at))[i].length = image.length;
                words[1 + i] = offset;
                offset += room;
        }
        words[1 + count] = offset;
        struct shm_list *ours = (struct shm_list *)(base + recipe->layout.ours_at);
        ours->room_max = recipe->room_max;
        ours->magic = LIST_MAGIC;
        return lock_init(&ours->lock);
}

int skep_shareable_list_create(skep_hive *hive, const struct skep_shareable_list_options *given, skep_shareable_list **ret_list)
{
        struct skep_shareable_list_options options;
        skep_shared_memory *memory;
        int result = options_copy(&options, sizeof options, given);
        if (result == 0 && (options.reserved || (options.count && !options.items)))
                result = -EINVAL;
        if (result == 0 && options.room_bytes > SKEP_SHAREABLE_BYTES_MAX)
                result = -EMSGSIZE;
        if (result < 0)
                return result;
        struct recipe recipe = {.options = &options, .least = align_up(options.room_bytes, 8)};
        uint64_t data_bytes = 0;
        for (uint64_t i = 0; i < options.count; i++) {
                if (!item_is_sound(&options.items[i]))
                        return -EINVAL;
                uint64_t room = room_for(&options.items[i], recipe.least);
                if (room > SKEP_SHAREABLE_BYTES_MAX)
                        return -EMSGSIZE;
                data_bytes += room;
                recipe.room_max = room > recipe.room_max ? room : recipe.room_max;
        }
        if (!layout_fill(options.count, data_bytes, recipe.room_max, &recipe.layout))
                return -EINVAL;
        struct skep_shared_memory_options block = {
                .options_bytes = sizeof block, .name = options.name, .bytes = recipe.layout.bytes, .flags = options.flags};
        result = memory_create(hive, &block, list_format, &recipe, &memory);
        if (result < 0)
                return result;
        result = skep_shareable_list_of(memory, ret_list);
        skep_shared_memory_unref(memory);
        return result;
}

/* Slots lie end to end, and all of it in the block. */
static bool offsets_check(const uint64_t *offsets, uint64_t count, uint64_t bytes)
{
        bool sound = offsets[0] == 0;
        for (uint64_t i = 0; i < count && sound; i++)
                sound = offsets[i + 1] >= offsets[i] + 8 && offsets[i + 1] <= bytes && offsets[i + 1] % 8 == 0;
        return sound;
}

int skep_shareable_list_of(skep_shared_memory *memory, skep_shareable_list **ret_list)
{
        const uint64_t *words = memory->address;
        if (!words)
                return -ESTALE;
        uint64_t count = memory->bytes >= 16 ? skep_load(words) : UINT64_MAX;
        if (count > COUNT_MAX || 8 * (count + 2) > memory->bytes)
                return -EBADMSG;
        skep_shareable_list *list = malloc(sizeof *list + 8 * (count + 1));
        if (!list)
                return -ENOMEM;
        *list = (skep_shareable_list){.memory = memory, .count = count};
        memcpy(list->offsets, words + 1, 8 * (count + 1));
        if (!offsets_check(list->offsets, count, memory->bytes) || !layout_fill(count, list->offsets[count], 0, &list->layout) ||
            list->layout.codes_at + count > memory->bytes) {
                free(list);
                return -EBADMSG;
        }
        for (uint64_t i = 0; i < count; i++)
                list->room_max = room_of(list, i) > list->room_max ? room_of(list, i) : list->room_max;
        struct shm_list *ours = (struct shm_list *)at(list, list->layout.ours_at);
        if (list->layout.redo_at + list->room_max <= memory->bytes && ours->magic == LIST_MAGIC && ours->room_max >= list->room_max)
                list->ours = ours;
        skep_shared_memory_ref(memory);
        *ret_list = list;
        return 0;
}

int skep_shareable_list_open(skep_hive *hive, const char *name, skep_shareable_list **ret_list)
{
        skep_shared_memory *memory;
        int result = skep_shared_memory_open(hive, name, &memory);
        if (result < 0)
                return result;
        result = skep_shareable_list_of(memory, ret_list);
        skep_shared_memory_unref(memory);
        return result;
}

skep_shareable_list *skep_shareable_list_unref(skep_shareable_list *list)
{
        if (list)
                skep_shared_memory_unref(list->memory);
        free(list);
        return NULL;
}

skep_shared_memory *skep_shareable_list_memory(const skep_shareable_list *list)
{
        return list->memory;
}

uint64_t skep_shareable_list_length(const skep_shareable_list *list)
{
        return list->count;
}

uint64_t skep_shareable_list_room(const skep_shareable_list *list, uint64_t index)
{
        return index < list->count ? room_of(list, index) : 0;
}

/* --- reading ---------------------------------------------------------------------------------------------------------------------------- */

/* What the slot holds at the moment, torn perhaps: the caller knows. @return 0, -EMSGSIZE, -EBADMSG */
static int slot_read(const skep_shareable_list *list, uint64_t index, void *buffer, uint64_t capacity, struct skep_shareable_item *item)
{
        struct image image = {.code = *at(list, list->layout.codes_at + index), .length = list->ours ? slot_of(list, index)->length : 0};
        uint64_t bytes, room = room_of(list, index);
        bool exact;
        memcpy(image.format, at(list, list->layout.formats_at + FORMAT_BYTES * index), FORMAT_BYTES);
        if (!list->ours) /* then a blank is not ours */
                for (unsigned i = 0; i < FORMAT_BYTES; i++)
                        image.format[i] = image.format[i] == ' ' ? 0 : image.format[i];
        int type = image_type(&image, room, &bytes, &exact);
        if (type < 0)
                return -EBADMSG;
        const uint8_t *data = at(list, list->layout.data_at + list->offsets[index]);
        *item = (struct skep_shareable_item){.type = (uint32_t)type};
        if (!is_text(item->type)) {
                number_load(data, item);
                return 0;
        }
        while (!exact && bytes && !data[bytes - 1])
                bytes--;
        if (bytes > capacity)
                return -EMSGSIZE;
        if (bytes)
                memcpy(buffer, data, bytes);
        item->data = buffer;
        item->bytes = bytes;
        return 0;
}

static int slot_read_whole(const skep_shareable_list *list, uint64_t index, void *buffer, uint64_t capacity, struct skep_shareable_item *item,
                           skep_deadline deadline)
{
        struct shm_slot *slot = slot_of(list, index);
        for (int i = 0; i < SPINS; i++) {
                uint32_t before = skep_load32(&slot->sequence);
                if (!(before & 1)) {
                        int result = slot_read(list, index, buffer, capacity, item);
                        skep_fence_acquire();
                        if (skep_load32_relaxed(&slot->sequence) == before)
                                return result;
                }
                skep_relax();
        }
        int result = list_lock(list, deadline); /* a slow writer, or a dead one */
        if (result < 0)
                return result;
        result = slot_read(list, index, buffer, capacity, item);
        list_unlock(list);
        return result;
}

static int check(const skep_shareable_list *list, uint64_t index)
{
        return index >= list->count ? -ERANGE : list->memory->address ? 0 : -ESTALE;
}

int skep_shareable_list_get(skep_shareable_list *list, uint64_t index, void *buffer, uint64_t capacity, struct skep_shareable_item *ret_item,
                            skep_deadline deadline)
{
        struct skep_shareable_item item;
        int result = check(list, index);
        if (result == 0)
                result = list->ours ? slot_read_whole(list, index, buffer, capacity, &item, deadline) : slot_read(list, index, buffer, capacity, &item);
        if (result == 0)
                *ret_item = item;
        return result;
}

int skep_shareable_list_format(skep_shareable_list *list, uint64_t index, char ret_format[9])
{
        int result = check(list, index);
        if (result < 0)
                return result;
        char format[FORMAT_BYTES + 1] = {0};
        memcpy(format, at(list, list->layout.formats_at + FORMAT_BYTES * index), FORMAT_BYTES);
        for (size_t i = strlen(format); i && format[i - 1] == ' '; i--)
                format[i - 1] = 0;
        memcpy(ret_format, format, sizeof format);
        return 0;
}

/* --- writing ------------------------------------------------------------------------------------------------------------------------------ */

int skep_shareable_list_set(skep_shareable_list *list, uint64_t index, const struct skep_shareable_item *item, skep_deadline deadline)
{
        uint8_t number[8];
        int result = check(list, index);
        if (result == 0 && !item_is_sound(item))
                result = -EINVAL;
        if (result == 0 && is_text(item->type) && item->bytes > room_of(list, index))
                result = -EMSGSIZE;
        if (result < 0)
                return result;
        if (!is_text(item->type))
                number_store(item, number);
        const void *data = is_text(item->type) ? (item->bytes ? item->data : number) : number;
        uint32_t length = is_text(item->type) ? (uint32_t)item->bytes : 8;
        if (!list->ours) {
                if (is_text(item->type) && length && !((const uint8_t *)data)[length - 1])
                        return -ENOTSUP; /* the length would be lost */
                slot_write(list, index, item->type, data, length);
                char *format = (char *)at(list, list->layout.formats_at + FORMAT_BYTES * index);
                for (unsigned i = 0; i < FORMAT_BYTES; i++)
                        format[i] = format[i] == ' ' ? 0 : format[i];
                return 0;
        }
        result = list_lock(list, deadline);
        if (result < 0)
                return result;
        struct shm_redo *redo = &list->ours->redo;
        redo->type = item->type;
        redo->length = length;
        memcpy(at(list, list->layout.redo_at), data, length);
        skep_store(&redo->slot, index + 1);
        PROBE("shareable_list.redo");
        redo_apply(list);
        list_unlock(list);
        return 0;
}

/* --- searching ------------------------------------------------------------------------------------------------------------------------------ */

static bool is_number(const struct skep_shareable_item *item)
{
        return item->type == SKEP_SHAREABLE_BOOL || item->type == SKEP_SHAREABLE_INT || item->type == SKEP_SHAREABLE_FLOAT;
}

static bool is_equal(const struct skep_shareable_item *a, const struct skep_shareable_item *b)
{
        if (is_number(a) && is_number(b)) {
                bool a_real = a->type == SKEP_SHAREABLE_FLOAT, b_real = b->type == SKEP_SHAREABLE_FLOAT;
                if (!a_real && !b_real)
                        return a->integer == b->integer;
                if (a_real && b_real)
                        return a->real == b->real;
                double real = a_real ? a->real : b->real;
                int64_t integer = a_real ? b->integer : a->integer;
                return real >= -0x1p63 && real < 0x1p63 && (double)(int64_t)real == real && (int64_t)real == integer;
        }
        return a->type == b->type && (a->type == SKEP_SHAREABLE_NONE || (a->bytes == b->bytes && (!a->bytes || !memcmp(a->data, b->data, a->bytes))));
}

/* @param ret_first  count: the last one looked at was not equal */
static int search(skep_shareable_list *list, const struct skep_shareable_item *wanted, bool first_only, uint64_t *ret_count, uint64_t *ret_first)
{
        void *buffer = malloc(list->room_max + 1);
        int result = buffer ? 0 : -ENOMEM;
        *ret_count = 0;
        for (uint64_t i = 0; i < list->count && result == 0 && !(first_only && *ret_count); i++) {
                struct skep_shareable_item item;
                result = skep_shareable_list_get(list, i, buffer, list->room_max, &item, skep_forever());
                if (result == 0 && is_equal(&item, wanted)) {
                        *ret_first = i;
                        ++*ret_count;
                }
        }
        free(buffer);
        return result;
}

int skep_shareable_list_count(skep_shareable_list *list, const struct skep_shareable_item *item, uint64_t *ret_count)
{
        uint64_t count, first;
        int result = search(list, item, false, &count, &first);
        if (result == 0)
                *ret_count = count;
        return result;
}

int skep_shareable_list_index(skep_shareable_list *list, const struct skep_shareable_item *item, uint64_t *ret_index)
{
        uint64_t count, first = 0;
        int result = search(list, item, true, &count, &first);
        if (result == 0 && !count)
                result = -ENOENT;
        if (result == 0)
                *ret_index = first;
        return result;
}
