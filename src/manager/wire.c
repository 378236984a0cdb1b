/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c - frames and envelopes, written and read (wire.h). */
#include "manager/wire.h"

#include "net/net.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef SKEP_NETWORK
#include <msgpack.h>

/* --- writing --------------------------------------------------------------------------------------------------------------- */

void wire_add(struct wire_buffer *buffer, const void *data, size_t bytes)
{
        if (buffer->capacity - buffer->bytes < bytes) {
                size_t capacity = buffer->capacity ? buffer->capacity : 512;
                while (capacity - buffer->bytes < bytes)
                        capacity *= 2;
                uint8_t *grown = realloc(buffer->fixed ? NULL : buffer->data, capacity);
                if (!grown) {
                        buffer->failed = true;
                        return;
                }
                if (buffer->fixed && buffer->bytes)
                        memcpy(grown, buffer->data, buffer->bytes);
                buffer->fixed = false;
                buffer->data = grown;
                buffer->capacity = capacity;
        }
        if (bytes)
                memcpy(buffer->data + buffer->bytes, data, bytes);
        buffer->bytes += bytes;
}

void wire_free(struct wire_buffer *buffer)
{
        free(buffer->data);
        *buffer = (struct wire_buffer){0};
}

static int packer_write(void *buffer, const char *data, size_t bytes)
{
        wire_add(buffer, data, bytes);
        return 0;
}

static size_t frame_begin(struct wire_buffer *buffer)
{
        static const uint8_t nothing[WIRE_HEAD_BYTES];
        size_t at = buffer->bytes;
        wire_add(buffer, nothing, sizeof nothing);
        return at;
}

static int frame_end(struct wire_buffer *buffer, size_t at, uint64_t raw_bytes)
{
        size_t envelope = buffer->failed ? 0 : buffer->bytes - at - WIRE_HEAD_BYTES;
        if (buffer->failed || envelope > WIRE_ENVELOPE_MAX) {
                int result = buffer->failed ? -ENOMEM : -EMSGSIZE;
                buffer->bytes = at;
                buffer->failed = false;
                return result;
        }
        uint64_t total = htole64(4 + envelope + raw_bytes);
        uint32_t length = htole32((uint32_t)envelope);
        memcpy(buffer->data + at, &total, sizeof total);
        memcpy(buffer->data + at + sizeof total, &length, sizeof length);
        return 0;
}

static void pack_value(msgpack_packer *packer, const struct remote_value *value)
{
        if (value->data) {
                msgpack_pack_bin(packer, value->bytes);
                msgpack_pack_bin_body(packer, value->data, value->bytes);
        } else if (value->bytes) {
                msgpack_pack_nil(packer);
        } else {
                msgpack_pack_int64(packer, value->integer);
        }
}

int wire_request(struct wire_buffer *buffer, uint64_t id, const struct remote_call *call, uint32_t thread, int64_t timeout_ns, uint64_t raw_bytes)
{
        msgpack_packer packer = {buffer, packer_write};
        size_t at = frame_begin(buffer);
        msgpack_pack_array(&packer, (call->object ? 6u : 5u) + call->count);
        msgpack_pack_uint64(&packer, id);
        msgpack_pack_uint32(&packer, call->method);
        msgpack_pack_uint32(&packer, thread);
        msgpack_pack_int64(&packer, timeout_ns);
        if (call->object) {
                msgpack_pack_uint64(&packer, call->object->offset);
                msgpack_pack_uint64(&packer, call->object->serial);
        } else {
                msgpack_pack_nil(&packer);
        }
        for (uint32_t i = 0; i < call->count; i++)
                pack_value(&packer, &call->arguments[i]);
        return frame_end(buffer, at, raw_bytes);
}

int wire_reply(struct wire_buffer *buffer, uint64_t id, int result, const int64_t *values, uint32_t count, uint64_t raw_bytes)
{
        msgpack_packer packer = {buffer, packer_write};
        size_t at = frame_begin(buffer);
        msgpack_pack_array(&packer, 2 + count);
        msgpack_pack_uint64(&packer, id);
        msgpack_pack_int64(&packer, result);
        for (uint32_t i = 0; i < count; i++)
                msgpack_pack_int64(&packer, values[i]);
        return frame_end(buffer, at, raw_bytes);
}

/* --- parsing ---------------------------------------------------------------------------------------------------------------- */

/*
 * The few things of msgpack that an envelope may hold, read where they lie.  msgpack-c's unpacker takes memory for as many objects as a
 * stranger announces, before it has seen them.
 */
struct items {
        const uint8_t *at;
        const uint8_t *end;
};

static bool big_endian(struct items *items, unsigned bytes, uint64_t *ret_number)
{
        uint64_t number = 0;
        if ((size_t)(items->end - items->at) < bytes)
                return false;
        for (unsigned i = 0; i < bytes; i++)
                number = number << 8 | *items->at++;
        *ret_number = number;
        return true;
}

static bool next_array(struct items *items, uint32_t *ret_count)
{
        uint64_t tag, count;
        if (!big_endian(items, 1, &tag))
                return false;
        count = tag & 15;
        if (tag >> 4 != 9 && (tag != 0xdc || !big_endian(items, 2, &count)))
                return false;
        *ret_count = (uint32_t)count;
        return true;
}

static bool next_value(struct items *items, struct remote_value *ret_value)
{
        uint64_t tag, number = 0;
        if (!big_endian(items, 1, &tag))
                return false;
        *ret_value = REMOTE_NIL;
        if (tag == 0xc0)
                return true;
        if (tag <= 0x7f || tag >= 0xe0) {
                *ret_value = REMOTE_INTEGER((int8_t)tag);
        } else if (tag >= 0xcc && tag <= 0xd3) { /* u8 u16 u32 u64 i8 i16 i32 i64 */
                unsigned bytes = 1u << (tag & 3), unused = 64 - 8 * bytes;
                if (!big_endian(items, bytes, &number))
                        return false;
                *ret_value = REMOTE_INTEGER(tag >= 0xd0 ? (int64_t)(number << unused) >> unused : (int64_t)number);
        } else if (tag >= 0xc4 && tag <= 0xc6) { /* bin8 bin16 bin32 */
                if (!big_endian(items, 1u << (tag - 0xc4), &number) || number > (size_t)(items->end - items->at))
                        return false;
                *ret_value = REMOTE_BYTES(items->at, number);
                items->at += number;
        } else {
                return false;
        }
        return true;
}

static bool next_integer(struct items *items, int64_t *ret_integer)
{
        struct remote_value value;
        if (!next_value(items, &value) || value.data || value.bytes)
                return false;
        *ret_integer = value.integer;
        return true;
}

int wire_parse_request(const void *envelope, size_t bytes, struct wire_request *ret_request)
{
        struct items items = {envelope, (const uint8_t *)envelope + bytes};
        struct remote_value object;
        uint32_t count;
        int64_t id, method, thread, serial;
        if (!next_array(&items, &count) || count < 5 || !next_integer(&items, &id) || !next_integer(&items, &method) || !next_integer(&items, &thread) ||
            !next_integer(&items, &ret_request->timeout_ns) || !next_value(&items, &object) || object.data)
                return -EBADMSG;
        count -= 5;
        ret_request->id = (uint64_t)id;
        ret_request->method = method >= 0 && method < REMOTE_METHOD_END ? (uint32_t)method : 0;
        ret_request->thread = (uint32_t)thread;
        ret_request->has_object = !object.bytes;
        if (ret_request->has_object) {
                if (!count-- || !next_integer(&items, &serial))
                        return -EBADMSG;
                ret_request->object = (skep_block){(uint64_t)object.integer, (uint64_t)serial};
        }
        if (count > REMOTE_VALUES_MAX)
                return -EBADMSG;
        ret_request->count = count;
        for (uint32_t i = 0; i < count; i++)
                if (!next_value(&items, &ret_request->arguments[i]))
                        return -EBADMSG;
        return items.at == items.end ? 0 : -EBADMSG;
}

int wire_parse_answer(const void *envelope, size_t bytes, struct wire_answer *ret_answer)
{
        struct items items = {envelope, (const uint8_t *)envelope + bytes};
        uint32_t count;
        int64_t id, result;
        if (!next_array(&items, &count) || count < 2 || !next_integer(&items, &id) || !next_integer(&items, &result) || result < -4095 || result > 4095)
                return -EBADMSG;
        count -= 2;
        if (count > REMOTE_VALUES_MAX)
                return -EBADMSG;
        ret_answer->id = (uint64_t)id;
        ret_answer->result = (int)result;
        ret_answer->count = count;
        for (uint32_t i = 0; i < count; i++)
                if (!next_integer(&items, &ret_answer->values[i]))
                        return -EBADMSG;
        return items.at == items.end ? 0 : -EBADMSG;
}

/* --- reading ------------------------------------------------------------------------------------------------------------------ */

static size_t had(const struct wire_reader *reader)
{
        return reader->to - reader->from;
}

/* Room for a frame's head and envelope at the beginning of the buffer. */
static int make_room(struct wire_reader *reader, size_t bytes)
{
        if (reader->from) {
                memmove(reader->buffer, reader->buffer + reader->from, had(reader));
                reader->to -= reader->from;
                reader->from = 0;
        }
        if (bytes < WIRE_READ_BYTES)
                bytes = WIRE_READ_BYTES;
        if (reader->capacity >= bytes)
                return 0;
        uint8_t *grown = realloc(reader->buffer, bytes);
        if (!grown)
                return -ENOMEM;
        reader->buffer = grown;
        reader->capacity = bytes;
        return 0;
}

/* The next frame's head and envelope, if they are there. @return 1, 0 not yet, and *ret_needed bytes are; -EPROTO; what begin said */
static int frame_starts(struct wire_reader *reader, size_t *ret_needed)
{
        uint64_t total;
        uint32_t envelope;
        *ret_needed = WIRE_HEAD_BYTES;
        if (had(reader) < WIRE_HEAD_BYTES)
                return 0;
        const uint8_t *head = reader->buffer + reader->from;
        memcpy(&total, head, sizeof total);
        memcpy(&envelope, head + sizeof total, sizeof envelope);
        total = le64toh(total);
        envelope = le32toh(envelope);
        if (total > reader->frame_max_bytes || total < 4 || envelope > total - 4 || envelope > WIRE_ENVELOPE_MAX)
                return -EPROTO;
        *ret_needed += envelope;
        if (had(reader) < *ret_needed)
                return 0;
        void *raw = NULL;
        reader->raw_left = total - 4 - envelope;
        int result = reader->begin(reader->context, head + WIRE_HEAD_BYTES, envelope, reader->raw_left, &raw);
        reader->raw = raw;
        reader->from += *ret_needed;
        reader->in_raw = true;
        return result < 0 ? result : 1;
}

/* Raw bytes that came with what was read before. */
static void take_raw(struct wire_reader *reader)
{
        size_t count = had(reader) < reader->raw_left ? had(reader) : (size_t)reader->raw_left;
        if (reader->raw && count) {
                memcpy(reader->raw, reader->buffer + reader->from, count);
                reader->raw += count;
        }
        reader->from += count;
        reader->raw_left -= count;
}

/* More from the stream: long raw bytes straight to where they go. @return as read() */
static int64_t read_more(struct wire_reader *reader, size_t needed)
{
        bool direct = reader->in_raw && reader->raw && reader->raw_left >= STREAM_RECORD_BYTES;
        if (direct) {
                int64_t count = reader->read(reader->context, reader->raw, reader->raw_left);
                if (count > 0) {
                        reader->raw += count;
                        reader->raw_left -= (uint64_t)count;
                }
                return count;
        }
        int result = make_room(reader, needed);
        if (result < 0)
                return result;
        int64_t count = reader->read(reader->context, reader->buffer + reader->to, reader->capacity - reader->to);
        if (count > 0)
                reader->to += (size_t)count;
        return count;
}

int64_t wire_read(struct wire_reader *reader, size_t budget)
{
        for (size_t used = 0;;) {
                size_t needed = 0;
                if (!reader->in_raw) {
                        int result = frame_starts(reader, &needed);
                        if (result < 0)
                                return result;
                }
                if (reader->in_raw) {
                        take_raw(reader);
                        if (!reader->raw_left) {
                                reader->in_raw = false;
                                int result = reader->end(reader->context);
                                if (result)
                                        return result < 0 ? result : 0;
                                continue;
                        }
                }
                if (budget && used >= budget)
                        return 1;
                int64_t count = read_more(reader, needed);
                if (count <= 0)
                        return count == 0 ? -ECONNRESET : count;
                used += (size_t)count;
        }
}

void wire_reader_free(struct wire_reader *reader)
{
        free(reader->buffer);
        reader->buffer = NULL;
        reader->capacity = reader->from = reader->to = 0;
}
#endif
