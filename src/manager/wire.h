/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - what server and client of a hive say to one another; the parsers of both.
 *
 *   frame      {bytes of what follows 8, bytes of the envelope 4} little-endian, the envelope, raw bytes (the rest)
 *   request    msgpack array [id, method, thread, timeout, object, argument ...]
 *   reply      msgpack array [id, result, value ...]
 *
 *   id         what the reply repeats; 0: no reply
 *   thread     of the client: who owns what it acquires
 *   timeout    nanoseconds; negative: none
 *   object     nil: the hive; else two integers, offset and serial of its block
 *   result     as of the C function: 0, news, or -E...: numbers of Linux, as both ends are
 *   argument, value   integer, nil, or bin
 *
 * Raw bytes are messages and array elements: they go from and to where they lie, without a copy in between.
 * Nothing nests, so the parser allows no depth beyond the one array.  It is written for bytes of a stranger.
 */
#ifndef MANAGER_WIRE_H
#define MANAGER_WIRE_H

#include "hive/remote.h"

#define WIRE_VERSION 1
#define WIRE_HEAD_BYTES 12u
#define WIRE_ENVELOPE_MAX (UINT32_C(1) << 20)
#define WIRE_READ_BYTES (UINT32_C(1) << 16)

/* --- writing --------------------------------------------------------------------------------------------------------------- */

/* Bytes that grow. */
struct wire_buffer {
        uint8_t *data;
        size_t bytes;
        size_t capacity;
        bool fixed;  /* `data` is the caller's; what is longer moves to memory that wire_free() ends */
        bool failed; /* out of memory: what was written is not whole */
};

void wire_add(struct wire_buffer *buffer, const void *data, size_t bytes);
void wire_free(struct wire_buffer *buffer);

/* A frame without its raw bytes. @return 0, -ENOMEM (nothing was added), -EMSGSIZE */
int wire_request(struct wire_buffer *buffer, uint64_t id, const struct remote_call *call, uint32_t thread, int64_t timeout_ns, uint64_t raw_bytes);
int wire_reply(struct wire_buffer *buffer, uint64_t id, int result, const int64_t *values, uint32_t count, uint64_t raw_bytes);

/* --- reading --------------------------------------------------------------------------------------------------------------- */

struct wire_request {
        uint64_t id;
        uint32_t method;
        uint32_t thread;
        int64_t timeout_ns;
        bool has_object;
        skep_block object;
        uint32_t count;
        struct remote_value arguments[REMOTE_VALUES_MAX]; /* bytes lie in the envelope */
};

struct wire_answer {
        uint64_t id;
        int result;
        uint32_t count;
        int64_t values[REMOTE_VALUES_MAX];
};

/* @return 0, -EBADMSG */
int wire_parse_request(const void *envelope, size_t bytes, struct wire_request *ret_request);
int wire_parse_answer(const void *envelope, size_t bytes, struct wire_answer *ret_answer);

/*
 * Frames out of a stream.  For each, `begin` is told the envelope and says where the raw bytes go (NULL: nowhere), then, when they are
 * there, `end` is called.
 * @return of begin and end: 0 go on; 1 (end only) stop here; negative: stop, for good
 */
struct wire_reader {
        int64_t (*read)(void *context, void *buffer, size_t bytes); /* as stream_read() */
        int (*begin)(void *context, const uint8_t *envelope, size_t bytes, uint64_t raw_bytes, void **ret_raw);
        int (*end)(void *context);
        void *context;
        uint64_t frame_max_bytes;
        uint8_t *buffer;
        size_t capacity;
        size_t from, to;  /* of what was read and not used */
        uint8_t *raw;
        uint64_t raw_left;
        bool in_raw;
};

/* Read what is there, at most about @p budget bytes (0: all).
 * @return 0 stopped by end; STREAM_WANTS_*; 1 budget used up; -ECONNRESET end of file; -EPROTO; ... */
int64_t wire_read(struct wire_reader *reader, size_t budget);
void wire_reader_free(struct wire_reader *reader);

#endif
