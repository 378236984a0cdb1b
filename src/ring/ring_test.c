/* SPDX-License-Identifier: Apache-2.0 */
/* ring_test.c - the states of a slot, turns that go round, sealing, putting back, and the slots of the dead. */
#include "claim/claim.h"
#include "ring/ring.h"
#include "support/suite.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skep/skep.h>

#define SLOT_BYTES 64u
#define ME 0x1001u /* agent ids */
#define OTHER 0x1002u

static uint64_t memory[8192];
static struct ring ring;

static void make_as(uint64_t count, bool sealable)
{
        memset(memory, 0xee, sizeof memory);
        ring_format(memory, count, SLOT_BYTES, sealable);
        ck_assert_int_eq(ring_open(memory, sizeof memory, &ring), 0);
}

static void make(uint64_t count)
{
        make_as(count, true);
}

/* As if so many messages had passed. */
static void begin_at(uint64_t position)
{
        ring.shared->head = ring.shared->tail = position;
        for (uint64_t p = position; p < position + ring.count; p++)
                ring_slot(&ring, p)->word = slot_word(ring_turn(&ring, p), SLOT_EMPTY, 0);
}

static enum ring_result put(uint64_t value)
{
        uint64_t position;
        enum ring_result result = ring_put_claim(&ring, ME, &position);
        if (result == RING_DONE) {
                ring_slot(&ring, position)->head = value;
                ring_put_publish(&ring, position);
        }
        return result;
}

#define NOTHING UINT64_MAX

static uint64_t get(void)
{
        uint64_t position;
        if (ring_get_claim(&ring, ME, &position) != RING_DONE)
                return NOTHING;
        uint64_t value = ring_slot(&ring, position)->head;
        ring_get_release(&ring, position);
        return value;
}

static enum ring_result nothing_because(void)
{
        uint64_t position;
        return ring_get_claim(&ring, ME, &position);
}

static enum slot_phase phase(uint64_t position)
{
        return slot_phase(ring_slot(&ring, position)->word);
}

static const uint64_t counts[] = {1, 2, 3, 7, 8, 100};
#define COUNTS 6

START_TEST(a_word_gives_back_what_was_put_in)
{
        uint64_t word = slot_word(UINT32_MAX, SLOT_READING, AGENT_ID_MASK) | SLOT_LAST;
        ck_assert_uint_eq(slot_turn(word), UINT32_MAX);
        ck_assert_int_eq(slot_phase(word), SLOT_READING);
        ck_assert_uint_eq(slot_agent(word), AGENT_ID_MASK);
        ck_assert_uint_eq(slot_word(0, SLOT_EMPTY, 0), 0);
}
END_TEST

START_TEST(it_holds_exactly_its_count_again_and_again)
{
        make(counts[_i]);
        uint64_t next = 0, expected = 0;
        for (int round = 0; round < 5; round++) {
                ck_assert_int_eq(nothing_because(), RING_EMPTY);
                for (uint64_t i = 0; i < ring.count; i++) {
                        ck_assert(ring_has_space(&ring));
                        ck_assert_uint_eq(ring_size(&ring), i);
                        ck_assert_int_eq(put(next++), RING_DONE);
                }
                ck_assert(!ring_has_space(&ring));
                ck_assert_int_eq(put(99), RING_FULL);
                ck_assert_uint_eq(ring_size(&ring), ring.count);
                ck_assert_int_eq(ring_peek(&ring), RING_DONE);
                for (uint64_t i = 0; i < ring.count; i++)
                        ck_assert_uint_eq(get(), expected++);
                ck_assert_uint_eq(ring_size(&ring), 0);
                ck_assert_int_eq(ring_peek(&ring), RING_EMPTY);
        }
        ck_assert_uint_eq(ring_verify(&ring, NULL), 0); /* names nobody: needs no hive */
}
END_TEST

START_TEST(turns_go_round_after_2_to_the_32)
{
        make(counts[_i]);
        uint64_t start = (UINT64_C(1) << 32) * ring.count - 2 * ring.count, value = 0, expected = 0;
        begin_at(start);
        for (int round = 0; round < 5; round++) {
                while (put(value) == RING_DONE)
                        value++;
                ck_assert_uint_eq(value - expected, ring.count);
                ck_assert_uint_eq(ring_size(&ring), ring.count);
                ck_assert_uint_eq(ring_verify(&ring, NULL), 0);
                while (expected < value)
                        ck_assert_uint_eq(get(), expected++);
                ck_assert_int_eq(nothing_because(), RING_EMPTY);
        }
        ck_assert_uint_lt(slot_turn(ring_slot(&ring, 0)->word), 10);
}
END_TEST

START_TEST(a_message_put_back_across_the_round_of_turns_is_found)
{
        uint64_t position;
        make(3);
        begin_at((UINT64_C(1) << 32) * 3 - 1);
        for (uint64_t i = 0; i < 3; i++)
                ck_assert_int_eq(put(i), RING_DONE);
        ck_assert_int_eq(ring_get_claim(&ring, OTHER, &position), RING_DONE);
        ck_assert_uint_eq(get(), 1);
        ring_get_return(&ring, position);
        ck_assert_uint_eq(ring_verify(&ring, NULL), 0);
        ck_assert_uint_eq(get(), 0);
        ck_assert_uint_eq(get(), 2);
}
END_TEST

START_TEST(a_slot_being_written_keeps_those_behind_it_waiting)
{
        uint64_t position;
        make(4);
        ck_assert_int_eq(ring_put_claim(&ring, OTHER, &position), RING_DONE);
        ck_assert_int_eq(put(1), RING_DONE);
        ck_assert_int_eq(nothing_because(), RING_BUSY);
        ck_assert_int_eq(ring_peek(&ring), RING_BUSY);
        ck_assert_uint_eq(slot_agent(ring_slot(&ring, position)->word), OTHER);
        ring_slot(&ring, position)->head = 0;
        ring_put_publish(&ring, position);
        ck_assert_uint_eq(get(), 0);
        ck_assert_uint_eq(get(), 1);
}
END_TEST

START_TEST(a_cancelled_slot_is_skipped_and_used_again)
{
        uint64_t position;
        make(2);
        for (uint64_t i = 0; i < 5; i++) {
                ck_assert_int_eq(ring_put_claim(&ring, ME, &position), RING_DONE);
                ring_put_cancel(&ring, position);
                ck_assert_int_eq(put(i), RING_DONE);
                ck_assert_uint_eq(get(), i);
                ck_assert_int_eq(nothing_because(), RING_EMPTY);
        }
}
END_TEST

START_TEST(what_was_put_is_counted_and_what_was_skipped_is_not)
{
        uint64_t position, counts[] = {1, 3, 4};
        bool sealed;
        make_as(counts[_i], true);
        for (uint64_t i = 0; i < 20; i++) {
                ck_assert_uint_eq(ring_puts(&ring, &sealed), i);
                ck_assert(!sealed);
                ck_assert_int_eq(ring_put_claim(&ring, ME, &position), RING_DONE);
                ck_assert_uint_eq(ring_puts(&ring, &sealed), i + 1);
                ring_put_cancel(&ring, position);
                ck_assert_uint_eq(ring_puts(&ring, &sealed), i);
                ck_assert_int_eq(put(i), RING_DONE);
                ck_assert_uint_eq(ring_puts(&ring, &sealed), i + 1);
                ring.shared->tail -= i % 3; /* a hint */
                ck_assert_uint_eq(get(), i);
        }
        while (put(0) == RING_DONE)
                ;
        uint64_t puts = ring_puts(&ring, &sealed);
        ck_assert(!sealed);
        ck_assert(ring_seal(&ring));
        for (uint64_t left = counts[_i];; left--) {
                ck_assert_uint_eq(ring_puts(&ring, &sealed), puts);
                ck_assert(sealed);
                if (!left)
                        break;
                ck_assert_uint_ne(get(), NOTHING);
        }
}
END_TEST

/* What a reaper leaves that dies in the middle, at each of its stores. */
START_TEST(a_skip_that_was_begun_is_counted_once)
{
        uint64_t position, other;
        bool sealed;
        make(4);
        ck_assert_int_eq(put(0), RING_DONE);
        ck_assert_int_eq(ring_put_claim(&ring, ME, &position), RING_DONE);
        ck_assert_int_eq(ring_put_claim(&ring, OTHER, &other), RING_DONE);
        struct shm_ring *shared = ring.shared;
        shared->skip_count = 1;
        shared->skipping = (uint64_t)ring_turn(&ring, position) << 32 | (ring_index(&ring, position) + 1);
        bool same = _i > 2;
        shared->skipped = _i % 3 > 0;
        if (_i == 2)
                ring_slot(&ring, position)->word = slot_word(ring_turn(&ring, position) + 1, SLOT_EMPTY, 0);
        ring_put_cancel(&ring, same ? position : other);
        ck_assert_uint_eq(shared->skipped, same ? 1 : 2);
        ck_assert_uint_eq(shared->skipping, 0);
        ck_assert_uint_eq(ring_puts(&ring, &sealed), same ? 2 : 1);
        ck_assert_int_eq(slot_phase(ring_slot(&ring, other)->word), same ? SLOT_WRITING : SLOT_EMPTY);
}
END_TEST

START_TEST(a_message_put_back_is_the_next)
{
        uint64_t first, second;
        make(4);
        for (uint64_t i = 0; i < 4; i++)
                ck_assert_int_eq(put(i), RING_DONE);
        ck_assert_int_eq(ring_get_claim(&ring, ME, &first), RING_DONE);
        ck_assert_int_eq(ring_get_claim(&ring, OTHER, &second), RING_DONE);
        ring_get_release(&ring, second);
        ring_get_return(&ring, first);
        ck_assert_int_eq(phase(first), SLOT_RETURNED);
        ck_assert_int_eq(ring_peek(&ring), RING_DONE);
        ck_assert_uint_eq(get(), 0);
        ck_assert_uint_eq(get(), 2);
        ck_assert_uint_eq(get(), 3);
        ck_assert_uint_eq(get(), NOTHING);
}
END_TEST

/* Nobody who saw the head before may lift it past a message put back: its word is another each time. */
START_TEST(a_lowered_head_is_never_the_word_it_was)
{
        uint64_t position;
        make(4);
        ck_assert_int_eq(put(0), RING_DONE);
        for (int i = 0; i < 3; i++) {
                uint64_t before = ring.shared->head;
                ck_assert_int_eq(ring_get_claim(&ring, ME, &position), RING_DONE);
                ring_get_return(&ring, position);
                ck_assert_uint_ne(ring.shared->head, before);
                ck_assert_uint_eq((ring.shared->head ^ before) << 16, 0);
        }
        ck_assert_uint_eq(get(), 0);
}
END_TEST

/* The head may lag behind a run: it is there already, but somebody who saw READING may be about to lift it. */
START_TEST(a_message_put_back_where_the_head_is_changes_its_word)
{
        uint64_t position;
        make(4);
        ck_assert_int_eq(put(0), RING_DONE);
        uint64_t before = ring.shared->head;
        ck_assert_int_eq(ring_get_claim(&ring, ME, &position), RING_DONE);
        ring.shared->head = before;
        ring_get_return(&ring, position);
        ck_assert_uint_ne(ring.shared->head, before);
        ck_assert_uint_eq((ring.shared->head ^ before) << 16, 0);
        ck_assert_uint_eq(get(), 0);
}
END_TEST

/* @return slots claimed and filled with value, value + 1 ... */
static uint64_t put_run(uint64_t value)
{
        uint64_t first, last, count = 1;
        if (ring_put_claim(&ring, ME, &first) != RING_DONE)
                return 0;
        for (last = first; ring_put_next(&ring, ME, &last); count++)
                ck_assert_uint_eq(last, first + count);
        ring_put_moved(&ring, last);
        ck_assert_int_eq(ring_peek(&ring), RING_BUSY);
        for (uint64_t i = 0; i < count; i++) {
                ck_assert_int_eq(phase(first + i), SLOT_WRITING);
                ring_slot(&ring, first + i)->head = value + i;
                ring_put_publish_run(&ring, first + i);
        }
        ck_assert_uint_eq(ring.shared->tail, last + 1);
        return count;
}

static uint64_t get_run(uint64_t expected)
{
        uint64_t first, last, count = 0;
        if (ring_get_claim(&ring, OTHER, &first) != RING_DONE)
                return 0;
        last = first;
        do {
                ck_assert_uint_eq(ring_slot(&ring, last)->head, expected + count++);
                ck_assert_int_eq(phase(last), SLOT_READING);
                ring_get_release_run(&ring, last);
        } while (ring_get_next(&ring, OTHER, &last));
        ck_assert_uint_eq(last, first + count - 1);
        ring_get_moved(&ring, first, last + 1);
        ck_assert_uint_eq(ring.shared->head << 16, (last + 1) << 16);
        return count;
}

START_TEST(runs_fill_and_empty_the_ring)
{
        static const bool sealable[] = {true, false};
        for (int i = 0; i < 2; i++) {
                make_as(counts[_i], sealable[i]);
                begin_at((UINT64_C(1) << 32) * ring.count - 2 * ring.count);
                for (uint64_t value = 0; value < 5 * ring.count; value += ring.count) {
                        ck_assert_uint_eq(put_run(value), ring.count);
                        ck_assert_int_eq(put(99), RING_FULL);
                        ck_assert_uint_eq(ring_size(&ring), ring.count);
                        ck_assert_uint_eq(get_run(value), ring.count);
                        ck_assert_int_eq(nothing_because(), RING_EMPTY);
                        ck_assert_uint_eq(ring_verify(&ring, NULL), 0);
                }
        }
}
END_TEST

START_TEST(a_run_ends_before_what_is_not_its_own)
{
        uint64_t mine, others;
        make_as(4, false);
        ck_assert_int_eq(ring_put_claim(&ring, ME, &mine), RING_DONE);
        ck_assert_int_eq(ring_put_claim(&ring, OTHER, &others), RING_DONE);
        ck_assert(!ring_put_next(&ring, ME, &mine));
        ck_assert_uint_eq(mine + 1, others);
        ring_put_publish_run(&ring, mine);
        ck_assert_int_eq(ring_get_claim(&ring, ME, &mine), RING_DONE);
        ck_assert(!ring_get_next(&ring, ME, &mine)); /* being written */
        ring_put_publish(&ring, others);
        ck_assert_int_eq(ring_get_claim(&ring, OTHER, &others), RING_DONE);
        ck_assert(!ring_get_next(&ring, ME, &mine)); /* being read */
        ring_get_return(&ring, others);
        ck_assert(!ring_get_next(&ring, ME, &mine)); /* out of order now */
        ring_get_release_run(&ring, mine);
        uint64_t head = ring.shared->head;
        ring_get_moved(&ring, mine, mine + 1);
        ck_assert_uint_eq(ring.shared->head, head);
        ck_assert_int_eq(nothing_because(), RING_DONE);
}
END_TEST

START_TEST(a_full_ring_with_a_borrowed_slot_has_no_space)
{
        uint64_t position;
        make(2);
        ck_assert_int_eq(put(0), RING_DONE);
        ck_assert_int_eq(put(1), RING_DONE);
        ck_assert_int_eq(ring_get_claim(&ring, OTHER, &position), RING_DONE);
        ck_assert(!ring_has_space(&ring));
        ck_assert_int_eq(put(2), RING_FULL);
        ring_get_release(&ring, position);
        ck_assert(ring_has_space(&ring));
        ck_assert_int_eq(put(2), RING_DONE);
}
END_TEST

START_TEST(the_size_counts_messages_and_nothing_else)
{
        uint64_t first, position;
        make(8);
        ck_assert_int_eq(ring_put_claim(&ring, ME, &position), RING_DONE);
        ring_put_cancel(&ring, position);
        ck_assert_uint_eq(ring_size(&ring), 0);
        for (uint64_t i = 0; i < 4; i++)
                ck_assert_int_eq(put(i), RING_DONE);
        ck_assert_int_eq(ring_get_claim(&ring, ME, &first), RING_DONE);
        ck_assert_uint_eq(ring_size(&ring), 3);
        ck_assert_uint_eq(get(), 1);
        ring_get_return(&ring, first); /* one that was taken lies behind it */
        ck_assert_uint_eq(ring_size(&ring), 3);
        ring.shared->tail--;
        ck_assert_uint_eq(ring_size(&ring), 3);
        ck_assert_int_eq(ring_put_claim(&ring, ME, &position), RING_DONE);
        ring_put_cancel(&ring, position);
        ck_assert_int_eq(put(4), RING_DONE);
        ck_assert_uint_eq(ring_size(&ring), 4);
}
END_TEST

START_TEST(head_and_tail_are_hints)
{
        make(counts[_i]);
        for (uint64_t i = 0; i < 4 * ring.count; i++) {
                ring.shared->tail = 0;
                ck_assert_int_eq(put(i), RING_DONE);
                ring.shared->head = ring.shared->head & ~((UINT64_C(1) << 48) - 1);
                ck_assert_uint_eq(get(), i);
                ck_assert_int_eq(nothing_because(), RING_EMPTY);
        }
}
END_TEST

START_TEST(a_full_ring_is_sealed_and_drained_for_ever)
{
        uint64_t position;
        make(counts[_i]);
        for (uint64_t i = 0; i < ring.count; i++) {
                ck_assert(!ring_seal(&ring));
                ck_assert_int_eq(put(i), RING_DONE);
        }
        ck_assert(ring_seal(&ring));
        ck_assert(ring_seal(&ring));
        ck_assert_int_eq(put(9), RING_SEALED);
        ck_assert(!ring_has_space(&ring));
        for (uint64_t i = 0; i < ring.count; i++) {
                ck_assert_int_eq(ring_peek(&ring), RING_DONE);
                ck_assert_int_eq(ring_get_claim(&ring, OTHER, &position), RING_DONE); /* LAST outlives a putting back */
                ring_get_return(&ring, position);
                ck_assert_uint_eq(get(), i);
                ck_assert_int_eq(put(9), RING_SEALED);
        }
        ck_assert_int_eq(nothing_because(), RING_SEALED);
        ck_assert_int_eq(ring_peek(&ring), RING_SEALED);
        ck_assert_int_eq(put(9), RING_SEALED);
        ck_assert(ring_seal(&ring));
        ck_assert_uint_eq(ring_size(&ring), 0);
        ck_assert_uint_eq(ring_verify(&ring, NULL), 0);
}
END_TEST

START_TEST(a_ring_is_sealed_also_while_its_slots_are_at_work)
{
        uint64_t writing, reading;
        make(2);
        ck_assert_int_eq(put(0), RING_DONE);
        ck_assert_int_eq(ring_put_claim(&ring, OTHER, &writing), RING_DONE);
        ck_assert_int_eq(ring_get_claim(&ring, ME, &reading), RING_DONE);
        ck_assert(ring_seal(&ring)); /* marks the slot that is being read */
        ring_get_release(&ring, reading);
        ck_assert_int_eq(put(9), RING_SEALED);
        ring_slot(&ring, writing)->head = 1;
        ring_put_publish(&ring, writing);
        ck_assert_uint_eq(get(), 1);
        ck_assert_int_eq(nothing_because(), RING_SEALED);
}
END_TEST

START_TEST(damaged_figures_are_refused)
{
        struct ring other;
        make(8);
        ck_assert_int_eq(ring_open(memory, sizeof(struct shm_ring) - 1, &other), -EBADMSG);
        ck_assert_int_eq(ring_open(memory, ring_bytes(8, SLOT_BYTES), &other), 0);
        ck_assert_int_eq(ring_open(memory, ring_bytes(8, SLOT_BYTES) - 1, &other), -EBADMSG);
        static const uint64_t bad[][2] = {{0, SLOT_BYTES},       {8, 0},           {8, 8},           {8, SLOT_BYTES + 8},         {UINT64_MAX, SLOT_BYTES},
                                          {8, UINT64_MAX - 63},  {UINT64_MAX, 64}, {UINT64_MAX / 16, 64}, {UINT64_C(1) << 58, SLOT_BYTES}, {9999, SLOT_BYTES},
                                          {UINT64_C(1) << 60, 64}, {UINT64_C(1) << 32, 1}};
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                ring.shared->slot_count = bad[i][0];
                ring.shared->slot_bytes = bad[i][1];
                ck_assert_int_eq(ring_open(memory, sizeof memory, &other), -EBADMSG);
        }
        ck_assert_uint_eq(ring_bytes(UINT64_C(1) << 60, 64), UINT64_MAX);
        ck_assert_uint_eq(ring_bytes(UINT64_MAX, UINT64_MAX), UINT64_MAX);
}
END_TEST

/* --- in a hive ---------------------------------------------------------------------------------------------------------------- */

static skep_hive *hive;

static void make_shared(uint64_t count)
{
        skep_block block;
        uint64_t bytes;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
        ck_assert_int_eq(skep_block_alloc(hive, ring_bytes(count, SLOT_BYTES), 0, &block), 0);
        void *address = skep_block_address(hive, block, &bytes);
        ring_format(address, count, SLOT_BYTES, false);
        ck_assert_int_eq(ring_open(address, bytes, &ring), 0);
}

static uint32_t self(void)
{
        struct skep_agent *agent;
        return agent_self(hive, &agent) < 0 ? 0 : agent->id;
}

/* A member claims a slot for each letter (w write, r read) and dies. @return it, as a reaper knows it */
static struct reap dies_having_claimed(const char *letters)
{
        uint64_t position;
        pid_t child = fork();
        if (child == 0) {
                for (; *letters; letters++)
                        if ((*letters == 'w' ? ring_put_claim : ring_get_claim)(&ring, self(), &position) != RING_DONE)
                                _exit(1);
                kill(getpid(), SIGKILL);
        }
        int status;
        waitpid(child, &status, 0);
        ck_assert(WIFSIGNALED(status));
        for (uint64_t i = 0; i < ring.count; i++) {
                uint32_t id = slot_agent(ring_slot(&ring, i)->word);
                if (id && id != self())
                        return (struct reap){.hive = hive, .member = (uint32_t)agent_member(hive, id)};
        }
        ck_abort_msg("no slot names the dead");
}

START_TEST(the_slots_of_a_dead_writer_are_skipped)
{
        make_shared(4);
        ck_assert_int_eq(put(0), RING_DONE);
        struct reap reap = dies_having_claimed("ww");
        ck_assert_int_eq(put(1), RING_DONE);
        ck_assert_uint_eq(get(), 0);
        ck_assert_int_eq(nothing_because(), RING_BUSY);
        ck_assert_uint_eq(ring_recover(&ring, &reap), 2);
        ck_assert_uint_eq(ring_recover(&ring, &reap), 0);
        ck_assert_uint_eq(get(), 1);
        for (uint64_t i = 0; i < 4; i++)
                ck_assert_int_eq(put(i), RING_DONE);
        ck_assert_int_eq(put(9), RING_FULL);
}
END_TEST

START_TEST(the_messages_of_a_dead_reader_are_put_back)
{
        uint64_t mine;
        make_shared(4);
        for (uint64_t i = 0; i < 4; i++)
                ck_assert_int_eq(put(i), RING_DONE);
        struct reap reap = dies_having_claimed("rr");
        ck_assert_int_eq(ring_get_claim(&ring, self(), &mine), RING_DONE);
        ck_assert_uint_eq(ring_recover(&ring, &reap), 2);
        ck_assert_int_eq(phase(mine), SLOT_READING); /* the living one's is left alone */
        ck_assert_uint_eq(ring_recover(&ring, &reap), 0);
        ck_assert_uint_eq(get(), 0);
        ck_assert_uint_eq(get(), 1);
        ck_assert_uint_eq(get(), 3);
        ck_assert_uint_eq(get(), NOTHING);
}
END_TEST

START_TEST(the_next_reaper_finds_what_one_left_behind_the_head)
{
        make_shared(4);
        for (uint64_t i = 0; i < 4; i++)
                ck_assert_int_eq(put(i), RING_DONE);
        struct reap reap = dies_having_claimed("r");
        struct shm_slot *slot = ring_slot(&ring, 0);
        slot->word = slot_word(0, SLOT_RETURNED, 0); /* and died before it lowered the head */
        ck_assert_uint_eq(get(), 1);
        ck_assert_uint_ne(ring_verify(&ring, hive), 0);
        (void)ring_recover(&ring, &reap);
        ck_assert_uint_eq(ring_verify(&ring, hive), 0);
        ck_assert_uint_eq(get(), 0);
        ck_assert_uint_eq(get(), 2);
}
END_TEST

START_TEST(verify_finds_what_cannot_be)
{
        make_shared(4);
        ck_assert_int_eq(put(0), RING_DONE);
        ck_assert_uint_eq(ring_verify(&ring, hive), 0);
        const uint64_t bad[] = {
                slot_word(1, (enum slot_phase)6, 0),          slot_word(1, (enum slot_phase)7, 0), slot_word(1, SLOT_WRITING, 0),
                slot_word(1, SLOT_READING, AGENT_INDEX_MASK), slot_word(1, SLOT_FULL, self()),     slot_word(1, SLOT_EMPTY, self()),
                slot_word(1, SLOT_SEALED, self()),            slot_word(1, SLOT_RETURNED, self()), slot_word(1, SLOT_WRITING, self() ^ 1u << 27),
        };
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                ring_slot(&ring, 2)->word = bad[i];
                ck_assert_msg(ring_verify(&ring, hive) == 1, "number %zu is not found", i);
        }
        ring_slot(&ring, 2)->word = slot_word(0, SLOT_WRITING, self());
        ck_assert_uint_eq(ring_verify(&ring, hive), 0);
        ring_slot(&ring, 2)->word = 0;
        ring.shared->head = 1; /* past the message in slot 0 */
        ck_assert_uint_eq(ring_verify(&ring, hive), 1);
}
END_TEST

/* Each consumer sees each producer's messages in order; together they see all, once. */
START_TEST(two_producers_and_two_consumers_lose_nothing)
{
        enum { SENDERS = 2, EACH = 10000 };
        make_shared(_i ? 64 : 3);
        uint64_t *seen = mmap(NULL, SENDERS * EACH * 8, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        uint64_t *total = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        for (uint64_t sender = 0; sender < SENDERS; sender++)
                if (fork() == 0) {
                        for (uint64_t i = 0; i < EACH;) {
                                uint64_t position;
                                if (ring_put_claim(&ring, self(), &position) != RING_DONE) {
                                        sched_yield();
                                        continue;
                                }
                                ring_slot(&ring, position)->head = sender << 32 | i++;
                                ring_put_publish(&ring, position);
                        }
                        _exit(0);
                }
        for (int receiver = 0; receiver < 2; receiver++)
                if (fork() == 0) {
                        uint64_t next[SENDERS] = {0};
                        while (skep_load(total) < SENDERS * EACH) {
                                uint64_t position;
                                if (ring_get_claim(&ring, self(), &position) != RING_DONE) {
                                        sched_yield();
                                        continue;
                                }
                                uint64_t value = ring_slot(&ring, position)->head, number = value & UINT32_MAX;
                                ring_get_release(&ring, position);
                                if (value >> 32 >= SENDERS || number < next[value >> 32] || number >= EACH)
                                        _exit(1);
                                next[value >> 32] = number + 1;
                                (void)skep_fetch_add(&seen[(value >> 32) * EACH + number], 1);
                                (void)skep_fetch_add(total, 1);
                        }
                        _exit(0);
                }
        for (int i = 0, status; i < SENDERS + 2; i++) {
                ck_assert_int_gt(wait(&status), 0);
                ck_assert_int_eq(status, 0);
        }
        for (int i = 0; i < SENDERS * EACH; i++)
                if (seen[i] != 1)
                        ck_abort_msg("message %d was seen %d times", i, (int)seen[i]);
        ck_assert_uint_eq(ring_verify(&ring, hive), 0);
        ck_assert_uint_eq(ring_size(&ring), 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("ring");
        TCase *alone = tcase_create("alone"), *shared = tcase_create("shared");
        tcase_add_test(alone, a_word_gives_back_what_was_put_in);
        tcase_add_loop_test(alone, it_holds_exactly_its_count_again_and_again, 0, COUNTS);
        tcase_add_loop_test(alone, turns_go_round_after_2_to_the_32, 0, COUNTS);
        tcase_add_test(alone, a_message_put_back_across_the_round_of_turns_is_found);
        tcase_add_test(alone, a_slot_being_written_keeps_those_behind_it_waiting);
        tcase_add_test(alone, a_cancelled_slot_is_skipped_and_used_again);
        tcase_add_loop_test(alone, what_was_put_is_counted_and_what_was_skipped_is_not, 0, 3);
        tcase_add_loop_test(alone, a_skip_that_was_begun_is_counted_once, 0, 5);
        tcase_add_test(alone, a_message_put_back_is_the_next);
        tcase_add_test(alone, a_lowered_head_is_never_the_word_it_was);
        tcase_add_test(alone, a_message_put_back_where_the_head_is_changes_its_word);
        tcase_add_loop_test(alone, runs_fill_and_empty_the_ring, 0, COUNTS);
        tcase_add_test(alone, a_run_ends_before_what_is_not_its_own);
        tcase_add_test(alone, a_full_ring_with_a_borrowed_slot_has_no_space);
        tcase_add_test(alone, the_size_counts_messages_and_nothing_else);
        tcase_add_loop_test(alone, head_and_tail_are_hints, 0, COUNTS);
        tcase_add_loop_test(alone, a_full_ring_is_sealed_and_drained_for_ever, 0, COUNTS);
        tcase_add_test(alone, a_ring_is_sealed_also_while_its_slots_are_at_work);
        tcase_add_test(alone, damaged_figures_are_refused);
        tcase_set_timeout(shared, 30);
        tcase_add_test(shared, the_slots_of_a_dead_writer_are_skipped);
        tcase_add_test(shared, the_messages_of_a_dead_reader_are_put_back);
        tcase_add_test(shared, the_next_reaper_finds_what_one_left_behind_the_head);
        tcase_add_test(shared, verify_finds_what_cannot_be);
        tcase_add_loop_test(shared, two_producers_and_two_consumers_lose_nothing, 0, 2);
        suite_add_tcase(suite, alone);
        suite_add_tcase(suite, shared);
        return suite_run(suite);
}
