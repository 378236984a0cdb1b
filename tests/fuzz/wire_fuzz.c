/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_fuzz.c - frames from a stranger, for the parsers of server and client: whatever comes, they fail or succeed, but neither crash nor read
 * beyond it.
 *
 * Byte 0 says how many bytes come at once (0: all).  Of each envelope both parsers make what they can; raw bytes go to memory of their
 * length, nowhere, or are refused, by the last byte of the envelope.  Then they are read as items.
 */
#include "item/remote.h"
#include "manager/wire.h"
#include "net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#ifdef SKEP_NETWORK
#define FRAME_MAX 65536u

struct stranger {
        const uint8_t *at, *end;
        size_t at_once;
        uint8_t *raw;
        uint64_t raw_bytes;
        uint64_t sum; /* so that all that is parsed is looked at */
};

static int64_t come(void *context, void *buffer, size_t bytes)
{
        struct stranger *stranger = context;
        size_t left = (size_t)(stranger->end - stranger->at), count = bytes < left ? bytes : left;
        if (stranger->at_once && count > stranger->at_once)
                count = stranger->at_once;
        memcpy(buffer, stranger->at, count);
        stranger->at += count;
        return (int64_t)count;
}

static int begin(void *context, const uint8_t *envelope, size_t bytes, uint64_t raw_bytes, void **ret_raw)
{
        struct stranger *stranger = context;
        struct wire_request request;
        struct wire_answer answer;
        if (wire_parse_request(envelope, bytes, &request) == 0)
                for (uint32_t i = 0; i < request.count; i++)
                        for (size_t j = 0; request.arguments[i].data && j < request.arguments[i].bytes; j++)
                                stranger->sum += ((const uint8_t *)request.arguments[i].data)[j];
        if (wire_parse_answer(envelope, bytes, &answer) == 0)
                for (uint32_t i = 0; i < answer.count; i++)
                        stranger->sum += (uint64_t)answer.values[i];
        switch (bytes ? envelope[bytes - 1] % 8 : 0) {
        case 6:
                return -ENOMEM;
        case 7:
                return 0;
        default:
                stranger->raw = malloc(raw_bytes ? raw_bytes : 1);
                stranger->raw_bytes = raw_bytes;
                *ret_raw = stranger->raw;
                return 0;
        }
}

static int end(void *context)
{
        struct stranger *stranger = context;
        const uint8_t *at = stranger->raw, *last = at + stranger->raw_bytes;
        struct skep_item item;
        while (at && at < last && item_unpack(&at, last, &item) == 0) {
                size_t bytes;
                const uint8_t *data = skep_item_data(&item, &bytes);
                for (size_t i = 0; data && i < bytes; i++)
                        stranger->sum += data[i];
        }
        free(stranger->raw);
        stranger->raw = NULL;
        stranger->raw_bytes = 0;
        return stranger->sum == 12345;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
        if (!bytes)
                return 0;
        struct stranger stranger = {.at = data + 1, .end = data + bytes, .at_once = data[0]};
        struct wire_reader reader = {.read = come, .begin = begin, .end = end, .context = &stranger, .frame_max_bytes = FRAME_MAX};
        int64_t result;
        do
                result = wire_read(&reader, 1000);
        while (result >= 0);
        wire_reader_free(&reader);
        free(stranger.raw);
        return 0;
}
#else
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
        (void)data, (void)bytes;
        return 0;
}
#endif
