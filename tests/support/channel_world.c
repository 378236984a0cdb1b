/* SPDX-License-Identifier: Apache-2.0 */
/* channel_world.c - operations on channels that members die in, and the check of what they leave (channel_world.h). */
#include "support/channel_world.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST 3
#define LONG_BYTES 400

static skep_channel_end *a_first, *a_second, *b_first;

static void must(int result, const char *what)
{
        if (result < 0) {
                fprintf(stderr, "%s: %s\n", what, skep_strerror(result));
                abort();
        }
}
#define MUST(call) must(call, #call)

static void send_value(skep_channel_end *end, uint32_t value, size_t bytes)
{
        unsigned char message[LONG_BYTES];
        memset(message, (int)value, bytes);
        memcpy(message, &value, sizeof value);
        MUST(skep_channel_send(end, message, bytes, skep_forever()));
}

struct carrier {
        uint32_t value;
        skep_block reference;
};

static void send_carrying(skep_channel_end *end, uint32_t value, const skep_channel_end *carried)
{
        struct skep_loan loan;
        struct carrier message = {value, skep_channel_reference(carried)};
        MUST(skep_queue_reserve_with(skep_channel_writer(end), sizeof message, &message.reference, 1, &loan));
        memcpy(loan.data, &message, sizeof message);
        MUST(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, sizeof message, skep_forever()));
}

/* @return the value of the next message, whose end was attached to if it carries one; negative as skep_queue_borrow() */
static int32_t take(skep_channel_end *end)
{
        struct skep_loan loan;
        struct carrier message;
        int result = skep_queue_borrow(skep_channel_reader(end), &loan, skep_nowait());
        if (result < 0)
                return result;
        memcpy(&message, loan.data, loan.bytes < sizeof message ? loan.bytes : sizeof message);
        if (loan.bytes == sizeof message) {
                skep_channel_end *carried;
                MUST(skep_channel_attach(skep_channel_hive(end), message.reference, &carried));
                skep_channel_unref(carried);
        }
        skep_queue_give_back(&loan);
        return (int32_t)message.value;
}

void world_make(struct world *world, const struct operation *operation)
{
        (void)operation; /* the same for all */
        skep_channel_end *b_second;
        MUST(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20, .agent_max = 32, .member_max = 16), &world->hive));
        MUST(skep_channel_create(world->hive, SKEP_CHANNEL_OPTIONS(.name = "a"), &a_first, &a_second));
        MUST(skep_channel_create(world->hive, SKEP_CHANNEL_OPTIONS(.name = "b"), &b_first, &b_second));
        skep_channel_unref(b_second);
        send_value(a_first, 1, 8);
        send_carrying(a_first, 2, b_first);
        send_value(a_first, 3, LONG_BYTES);
}

void world_leave(struct world *world)
{
        (void)world;
        skep_channel_unref(a_first);
        skep_channel_unref(a_second);
        skep_channel_unref(b_first);
}

static int forget(const struct skep_object_entry *entry, void *context)
{
        return skep_hive_forget(context, entry->name);
}

void world_check(skep_hive *hive, const struct operation *operation, bool finished, const char *where)
{
        struct skep_verify_report report;
        struct skep_hive_stat stat;
        skep_channel_end *end;
        int32_t value, next = 0, gone = FIRST, put = 0;
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s: %s at %s", operation->name, report.first, where);
        MUST(skep_channel_open(hive, "a", &end));
        while ((value = take(end)) > 0 && value < 100) {
                if (!next)
                        gone = (next = value) - 1;
                ck_assert_msg(value == next++, "%s: order or loss at %s", operation->name, where);
        }
        ck_assert_msg(!next || next == FIRST + 1, "%s: lost the end at %s", operation->name, where);
        ck_assert_msg(gone <= operation->gets && (!finished || gone == operation->gets), "%s: %d gone at %s", operation->name, gone, where);
        for (; value >= 0; value = take(end))
                ck_assert_msg(value == 100 + put++, "%s: %d instead of %d at %s", operation->name, value, 99 + put, where);
        ck_assert_msg(value == -ESHUTDOWN, "%s: no end of file but %s at %s", operation->name, skep_strerror(value), where);
        ck_assert_msg(put <= operation->puts && (!finished || put == operation->puts), "%s: %d put at %s", operation->name, put, where);
        skep_channel_unref(end);
        MUST(skep_channel_open(hive, "b", &end));
        while ((value = take(end)) >= 0) {
        }
        ck_assert_msg(value == -ESHUTDOWN, "%s: the carried end is held at %s", operation->name, where);
        skep_channel_unref(end);
        MUST(skep_hive_names(hive, forget, hive));
        MUST(skep_hive_stat(hive, &stat));
        ck_assert_msg(stat.blocks == 0 && stat.names == 0, "%s: %llu blocks leak at %s", operation->name, (unsigned long long)stat.blocks, where);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s: afterwards %s at %s", operation->name, report.first, where);
}

/* --- operations ------------------------------------------------------------------------------------------------------------ */

static void send_one(struct world *world)
{
        (void)world;
        send_value(a_first, 100, 8);
}

static void send_end(struct world *world)
{
        (void)world;
        send_carrying(a_first, 100, b_first);
}

static void abandon_end(struct world *world)
{
        struct skep_loan loan;
        skep_block reference = skep_channel_reference(b_first);
        (void)world;
        MUST(skep_queue_reserve_with(skep_channel_writer(a_first), 3000, &reference, 1, &loan));
        skep_queue_abandon(&loan);
}

static void receive_two(struct world *world)
{
        (void)world;
        MUST(take(a_second));
        MUST(take(a_second));
}

static void close_all(struct world *world)
{
        world_leave(world);
}

static void channel_comes_and_goes(struct world *world)
{
        skep_channel_end *first, *second;
        MUST(skep_channel_create(world->hive, NULL, &first, &second));
        send_value(first, 1, 8);
        send_carrying(second, 2, a_first);
        skep_channel_unref(second);
        skep_channel_unref(first);
}

static void end_on_its_way_goes(struct world *world)
{
        skep_channel_end *first, *second;
        MUST(skep_channel_create(world->hive, SKEP_CHANNEL_OPTIONS(.flags = SKEP_CHANNEL_ONE_WAY), &first, &second));
        send_carrying(b_first, 1, second); /* its maker closes it; the message goes on */
        skep_channel_unref(second);
        skep_channel_unref(first);
}

static void attach_and_unref(struct world *world)
{
        skep_channel_end *same;
        MUST(skep_channel_attach(world->hive, skep_channel_reference(b_first), &same));
        skep_channel_unref(same);
        MUST(skep_channel_open(world->hive, "b", &same));
        skep_channel_unref(same);
}

const struct operation operations[] = {
        {.name = "send", .run = send_one, .puts = 1},
        {.name = "send an end", .run = send_end, .puts = 1},
        {.name = "abandon an end", .run = abandon_end},
        {.name = "receive an end", .run = receive_two, .gets = 2},
        {.name = "close all", .run = close_all},
        {.name = "channel create, close", .run = channel_comes_and_goes},
        {.name = "end on its way", .run = end_on_its_way_goes},
        {.name = "attach, open, unref", .run = attach_and_unref},
};
const int operation_count = sizeof operations / sizeof operations[0];
