/* SPDX-License-Identifier: Apache-2.0 */
/* world.c - operations that members die in, and the check of what they leave (world.h). */
#include "support/world.h"

#include "base/probe.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG_BYTES 400
#define RUN_BYTES 70000
#define DRAINED_MORE 3

static void must(int result, const char *what)
{
        if (result < 0) {
                fprintf(stderr, "%s: %s\n", what, skep_strerror(result));
                abort();
        }
}
#define MUST(call) must(call, #call)

static void put_bytes(skep_queue *queue, uint32_t value, size_t bytes)
{
        unsigned char *message = malloc(bytes);
        memset(message, (int)(value & 0xff), bytes);
        memcpy(message, &value, sizeof value);
        MUST(skep_queue_put(queue, message, bytes, skep_forever()));
        free(message);
}

static skep_array *array_of(skep_hive *hive, int32_t value)
{
        skep_array *array;
        MUST(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_I32, .dimension_count = 1, .shape = (const uint64_t[]){1000}), &array));
        for (int i = 0; i < 1000; i++)
                ((int32_t *)skep_array_data(array))[i] = value;
        return array;
}

/* The value of a borrowed message of any kind; the contents are checked. */
static int32_t value_of(const struct skep_loan *loan)
{
        int32_t value;
        if (loan->kind == SKEP_MESSAGE_ARRAY) {
                skep_array *array;
                MUST(skep_loan_array(loan, &array));
                const int32_t *elements = skep_array_data(array);
                value = elements[0];
                ck_assert_int_eq(elements[999], value);
                skep_array_unref(array);
        } else {
                ck_assert_uint_ge(loan->bytes, sizeof value);
                memcpy(&value, loan->data, sizeof value);
                size_t i = sizeof value; /* one assertion only: step_test.c steps through here */
                while (i < loan->bytes && ((unsigned char *)loan->data)[i] == (value & 0xff))
                        i++;
                ck_assert_uint_ge(i, loan->bytes);
        }
        return value;
}

/* Take one message. @return its value, or -1 when the queue is empty */
static int32_t take(skep_queue *queue)
{
        struct skep_loan loan;
        if (skep_queue_borrow(queue, &loan, skep_nowait()) < 0)
                return -1;
        int32_t value = value_of(&loan);
        skep_queue_give_back(&loan);
        return value;
}

static void drain(skep_queue *unbounded)
{
        for (uint32_t i = 0; i < DRAINED_MORE; i++)
                put_bytes(unbounded, WORLD_UNBOUNDED + i, 8);
        for (int i = 0; i < WORLD_UNBOUNDED; i++)
                ck_assert_int_eq(take(unbounded), i);
}

/* A member runs the victim's part and dies, where that says or at its end. */
static void victim_dies(struct world *world, void (*victim)(struct world *))
{
        int status;
        pid_t child = fork();
        if (child == 0) {
                victim(world);
                kill(getpid(), SIGKILL);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the victim ended with %x", status);
}

void world_make(struct world *world, const struct operation *operation)
{
        MUST(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20, .warm_max_bytes = 5u << 16, .agent_max = 32, .member_max = 16),
                              &world->hive));
        MUST(skep_queue_create(world->hive, SKEP_QUEUE_OPTIONS(.name = "q", .capacity = 8), &world->queue));
        MUST(skep_queue_create(world->hive, SKEP_QUEUE_OPTIONS(.name = "u"), &world->unbounded));
        MUST(skep_queue_create(world->hive, SKEP_QUEUE_OPTIONS(.name = "a", .capacity = 3, .flags = SKEP_QUEUE_ACKNOWLEDGE, .delivery_max = 2),
                               &world->acknowledged));
        MUST(skep_lock_create(world->hive, "l", &world->lock));
        world->array = array_of(world->hive, 100);
        put_bytes(world->queue, 1, 64);
        put_bytes(world->queue, 2, LONG_BYTES);
        skep_array *array = array_of(world->hive, 3);
        MUST(skep_queue_put_array(world->queue, array, skep_nowait()));
        put_bytes(world->acknowledged, 1, 64);
        put_bytes(world->acknowledged, 2, LONG_BYTES);
        MUST(skep_queue_put_array(world->acknowledged, array, skep_nowait()));
        skep_array_unref(array);
        put_bytes(world->queue, 4, 4);
        for (uint32_t i = 0; i < WORLD_UNBOUNDED; i++)
                put_bytes(world->unbounded, i, 8);
        if (operation->drained)
                drain(world->unbounded);
        if (operation->victim)
                victim_dies(world, operation->victim);
}

void world_leave(struct world *world)
{
        skep_queue_unref(world->queue);
        skep_queue_unref(world->unbounded);
        skep_queue_unref(world->acknowledged);
        skep_lock_unref(world->lock);
        skep_array_unref(world->array);
}

/* --- what must hold ------------------------------------------------------------------------------------------------------- */

static int forget(const struct skep_object_entry *entry, void *context)
{
        return skep_hive_forget(context, entry->name);
}

/* What was put counts, what was not does not, and it can all be joined. @return what somebody has said is done */
static int check_tasks(skep_queue *queue, int put)
{
        int done = put - (int)skep_queue_unfinished(queue);
        for (int i = done; i < put; i++) {
                ck_assert_int_eq(skep_queue_join(queue, skep_nowait()), -ETIMEDOUT);
                MUST(skep_queue_task_done(queue));
        }
        ck_assert_int_eq(skep_queue_join(queue, skep_nowait()), 0);
        ck_assert_int_eq(skep_queue_task_done(queue), -EOVERFLOW);
        return done;
}

static void check_queue(skep_hive *hive, const struct operation *operation, bool finished, const char *where)
{
        skep_queue *queue;
        int32_t got[64];
        int count = 0, first;
        MUST(skep_queue_open(hive, "q", &queue));
        while (count < 64 && (got[count] = take(queue)) >= 0)
                count++;
        for (first = 0; first < count && got[first] < 100; first++)
                ck_assert_msg(got[first] == got[0] + first, "%s: order or loss at %s", operation->name, where);
        int gone = first ? got[0] - 1 : WORLD_FIRST, put = count - first;
        ck_assert_msg(!first || got[first - 1] == WORLD_FIRST, "%s: lost the end at %s", operation->name, where);
        ck_assert_msg(gone <= operation->gets && put <= operation->puts, "%s: %d gone, %d put at %s", operation->name, gone, put, where);
        ck_assert_msg(!finished || (gone == operation->gets && put == operation->puts), "%s: not done at %s", operation->name, where);
        for (int i = 0; i < put; i++)
                ck_assert_int_eq(got[first + i], 100 + i);
        int tasks = check_tasks(queue, WORLD_FIRST + put);
        ck_assert_msg(tasks >= (finished ? operation->tasks : 0) && tasks <= operation->tasks, "%s: %d tasks done at %s", operation->name, tasks, where);
        put_bytes(queue, 7, LONG_BYTES);
        ck_assert_msg(take(queue) == 7, "%s: queue stuck after %s", operation->name, where);
        skep_queue_unref(queue);
}

static void check_unbounded(skep_hive *hive, const struct operation *operation, bool finished, const char *where)
{
        skep_queue *queue;
        int next = operation->drained ? WORLD_UNBOUNDED : 0, end = WORLD_UNBOUNDED + (operation->drained ? DRAINED_MORE : 0), gone = 0;
        MUST(skep_queue_open(hive, "u", &queue));
        for (int32_t value; (value = take(queue)) >= 0; next = value + 1) {
                ck_assert_msg(value >= next, "%s: %d after %d at %s", operation->name, value, next - 1, where);
                gone += value - next;
        }
        int put = next - end;
        ck_assert_msg(put >= (finished ? operation->unbounded_puts : 0) && put <= operation->unbounded_puts, "%s: %d put at %s", operation->name, put,
                      where);
        ck_assert_msg(gone >= (finished ? operation->unbounded_gets : 0) && gone <= operation->unbounded_gets, "%s: %d gone at %s", operation->name, gone,
                      where);
        ck_assert_msg(check_tasks(queue, end + put) == 0, "%s: tasks done at %s", operation->name, where);
        for (uint32_t i = 0; i < 600; i++)
                put_bytes(queue, i, 8);
        for (int i = 0; i < 600; i++)
                ck_assert_int_eq(take(queue), i);
        skep_queue_unref(queue);
}

static int32_t take_dead(skep_queue *queue)
{
        struct skep_loan loan;
        if (skep_queue_borrow_dead(queue, &loan) < 0)
                return -1;
        int32_t value = value_of(&loan);
        skep_queue_give_back(&loan);
        return value;
}

static void check_acknowledged(skep_hive *hive, const struct operation *operation, bool finished, const char *where)
{
        skep_queue *queue;
        int left = 0;
        uint32_t seen = 0;
        MUST(skep_queue_open(hive, "a", &queue));
        uint64_t size = skep_queue_size(queue) + skep_queue_dead_size(queue);
        for (int32_t value; (value = take(queue)) >= 0 || (value = take_dead(queue)) >= 0; left++) {
                ck_assert_msg(value >= 1 && value <= WORLD_ACKNOWLEDGED && !(seen & 1u << value), "%s: %d again at %s", operation->name, value, where);
                seen |= 1u << value;
        }
        int gone = WORLD_ACKNOWLEDGED - left;
        ck_assert_msg(size == (uint64_t)left, "%s: size %llu of %d at %s", operation->name, (unsigned long long)size, left, where);
        ck_assert_msg(gone <= operation->acknowledged && gone >= (finished ? operation->acknowledged : 0), "%s: %d gone at %s", operation->name, gone, where);
        put_bytes(queue, 7, LONG_BYTES);
        ck_assert_msg(take(queue) == 7, "%s: queue to be acknowledged stuck after %s", operation->name, where);
        skep_queue_unref(queue);
}

void world_check(skep_hive *hive, const struct operation *operation, bool finished, const char *where)
{
        struct skep_verify_report report;
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s: %s at %s", operation->name, report.first, where);
        check_queue(hive, operation, finished, where);
        check_unbounded(hive, operation, finished, where);
        check_acknowledged(hive, operation, finished, where);
        skep_lock *lock;
        MUST(skep_lock_open(hive, "l", &lock));
        ck_assert_msg(skep_lock_acquire(lock, skep_within_ns(INT64_C(5000000000))) >= 0, "%s: lock stuck at %s", operation->name, where);
        skep_lock_release(lock);
        skep_lock_unref(lock);
        MUST(skep_hive_names(hive, forget, hive));
        struct skep_hive_stat stat;
        MUST(skep_hive_stat(hive, &stat));
        ck_assert_msg(stat.blocks == 0 && stat.names == 0, "%s: %llu blocks leak at %s", operation->name, (unsigned long long)stat.blocks, where);
        ck_assert_msg(stat.members == 1, "%s: %u members at %s", operation->name, stat.members, where);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s: afterwards %s at %s", operation->name, report.first, where);
}

/* --- operations ------------------------------------------------------------------------------------------------------------ */

static void put_small(struct world *world)
{
        put_bytes(world->queue, 100, 50);
}

static void put_long(struct world *world)
{
        put_bytes(world->queue, 100, LONG_BYTES);
}

static void put_run(struct world *world)
{
        put_bytes(world->queue, 100, RUN_BYTES);
}

static void put_array(struct world *world)
{
        MUST(skep_queue_put_array(world->queue, world->array, skep_nowait()));
}

static void put_new_array(struct world *world)
{
        skep_array *array = array_of(world->hive, 100);
        MUST(skep_queue_put_array(world->queue, array, skep_nowait()));
        skep_array_unref(array);
}

static void put_many(struct world *world)
{
        uint32_t values[3] = {100, 101, 102};
        struct skep_bytes messages[3] = {{&values[0], 4}, {&values[1], 4}, {&values[2], 4}};
        size_t count;
        MUST(skep_queue_put_many(world->queue, messages, 3, &count, skep_nowait()));
}

static void put_many_unbounded(struct world *world)
{
        uint32_t values[3] = {WORLD_UNBOUNDED, WORLD_UNBOUNDED + 1, WORLD_UNBOUNDED + 2};
        struct skep_bytes messages[3] = {{&values[0], 4}, {&values[1], 4}, {&values[2], 4}};
        size_t count;
        MUST(skep_queue_put_many(world->unbounded, messages, 3, &count, skep_nowait()));
}

static void put_reserved(struct world *world)
{
        struct skep_loan loan;
        uint32_t value = 100;
        MUST(skep_queue_reserve(world->queue, 300, &loan));
        memset(loan.data, 100, 300);
        memcpy(loan.data, &value, 4);
        MUST(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, 300, skep_nowait()));
        MUST(skep_queue_reserve(world->queue, 300, &loan));
        skep_queue_abandon(&loan);
}

static void get_copies(struct world *world)
{
        char buffer[LONG_BYTES];
        size_t bytes;
        MUST(skep_queue_get(world->queue, buffer, sizeof buffer, &bytes, skep_nowait()));
        MUST(skep_queue_get(world->queue, buffer, sizeof buffer, &bytes, skep_nowait()));
}

/* The third is an array, where the run ends: it is put back. */
static void get_many(struct world *world)
{
        uint64_t buffer[2 * LONG_BYTES / 8];
        struct skep_bytes messages[3];
        size_t count;
        MUST(skep_queue_get_many(world->queue, buffer, sizeof buffer, messages, 3, &count, skep_nowait()));
        if (count != 2)
                abort();
}

static void get_all(struct world *world)
{
        for (int i = 0; i < WORLD_FIRST; i++)
                take(world->queue);
}

static void put_back(struct world *world)
{
        struct skep_loan loan;
        MUST(skep_queue_borrow(world->queue, &loan, skep_nowait()));
        skep_queue_put_back(&loan);
}

static void acknowledge_all(struct world *world)
{
        struct skep_loan loans[WORLD_ACKNOWLEDGED];
        for (int i = 0; i < WORLD_ACKNOWLEDGED; i++)
                MUST(skep_queue_borrow(world->acknowledged, &loans[i], skep_nowait()));
        for (int i = WORLD_ACKNOWLEDGED; i > 0; i--)
                skep_queue_give_back(&loans[i - 1]);
}

/* The first is rejected, copied the next time, and so acknowledged; the second is rejected twice, hence dead. */
static void reject_and_bury(struct world *world)
{
        struct skep_loan loan;
        char buffer[64];
        size_t bytes;
        MUST(skep_queue_borrow(world->acknowledged, &loan, skep_nowait()));
        skep_queue_put_back(&loan);
        MUST(skep_queue_get(world->acknowledged, buffer, sizeof buffer, &bytes, skep_nowait()));
        for (int i = 0; i < 2; i++) {
                MUST(skep_queue_borrow(world->acknowledged, &loan, skep_nowait()));
                if (loan.bytes != LONG_BYTES || loan.deliveries != 1u + (uint32_t)i)
                        abort();
                skep_queue_put_back(&loan);
        }
        MUST(skep_queue_borrow_dead(world->acknowledged, &loan));
        skep_queue_put_back(&loan);
        MUST(skep_queue_borrow_dead(world->acknowledged, &loan));
        skep_queue_give_back(&loan);
}

/* So many at once that a second table is needed; the reaper destroys it. */
static void many_deliveries(struct world *world)
{
        enum { COUNT = 17 };
        struct skep_bytes messages[COUNT];
        struct skep_loan loan;
        skep_queue *queue;
        size_t count;
        MUST(skep_queue_create(world->hive, SKEP_QUEUE_OPTIONS(.capacity = COUNT, .flags = SKEP_QUEUE_ACKNOWLEDGE), &queue));
        for (int i = 0; i < COUNT; i++)
                messages[i] = (struct skep_bytes){"", 1};
        MUST(skep_queue_put_many(queue, messages, COUNT, &count, skep_nowait()));
        for (int i = 0; i < COUNT; i++)
                MUST(skep_queue_borrow(queue, &loan, skep_nowait()));
        skep_queue_unref(queue);
}

/* What was rejected goes with the queue. */
static void deliveries_come_and_go(struct world *world)
{
        struct skep_loan loans[2];
        skep_queue *queue;
        MUST(skep_queue_create(world->hive, SKEP_QUEUE_OPTIONS(.capacity = 2, .flags = SKEP_QUEUE_ACKNOWLEDGE), &queue));
        put_bytes(queue, 1, 8);
        put_bytes(queue, 2, LONG_BYTES);
        for (int i = 0; i < 2; i++)
                MUST(skep_queue_borrow(queue, &loans[i], skep_nowait()));
        for (int i = 0; i < 2; i++)
                skep_queue_put_back(&loans[i]);
        skep_queue_unref(queue);
}

static void get_and_put(struct world *world)
{
        take(world->queue);
        put_bytes(world->queue, 100, 50);
}

static void say_done(struct world *world)
{
        MUST(skep_queue_task_done(world->queue));
        put_bytes(world->queue, 100, 50);
        MUST(skep_queue_task_done(world->queue));
        if (skep_queue_join(world->queue, skep_within_ns(1000000)) != -ETIMEDOUT)
                abort();
}

static void grow_queue(struct world *world)
{
        for (uint32_t i = 0; i < 3; i++)
                put_bytes(world->unbounded, WORLD_UNBOUNDED + i, 8);
}

static void put_back_into_the_ring_before(struct world *world)
{
        struct skep_loan loan;
        MUST(skep_queue_borrow(world->unbounded, &loan, skep_nowait()));
        take(world->unbounded);
        skep_queue_put_back(&loan);
}

static void blocks_come_and_go(struct world *world)
{
        skep_block small, page, run;
        MUST(skep_block_alloc(world->hive, 200, 0, &small));
        MUST(skep_block_alloc(world->hive, 20000, 0, &page));
        MUST(skep_block_alloc(world->hive, 200000, 0, &run));
        MUST(skep_block_unref(world->hive, run));
        MUST(skep_block_alloc(world->hive, 70000, 0, &run));
        MUST(skep_block_ref(world->hive, page));
        MUST(skep_block_unref(world->hive, page));
        MUST(skep_block_unref(world->hive, page));
        MUST(skep_block_unref(world->hive, small));
        MUST(skep_block_unref(world->hive, run));
        MUST(skep_block_alloc(world->hive, 500000, 0, &run)); /* finds two pieces to merge */
        MUST(skep_block_unref(world->hive, run));             /* more than is kept warm */
}

static void queue_comes_and_goes(struct world *world)
{
        skep_queue *queue;
        size_t bytes;
        MUST(skep_queue_create(world->hive, SKEP_QUEUE_OPTIONS(.capacity = 4), &queue));
        if (skep_queue_get(queue, NULL, 0, &bytes, skep_within_ns(1000000)) != -ETIMEDOUT)
                abort();
        put_bytes(queue, 1, 8);
        put_bytes(queue, 2, LONG_BYTES);
        MUST(skep_queue_put_array(queue, world->array, skep_nowait()));
        skep_queue_close(queue);
        skep_queue_unref(queue);
}

static void name_comes_and_goes(struct world *world)
{
        skep_lock *lock;
        MUST(skep_lock_create(world->hive, "other", &lock));
        skep_lock_unref(lock);
        MUST(skep_hive_forget(world->hive, "other"));
}

static void lock_and_release(struct world *world)
{
        MUST(skep_lock_acquire(world->lock, skep_forever()));
        if (skep_lock_acquire(world->lock, skep_within_ns(1000000)) != -ETIMEDOUT)
                abort();
        skep_lock_release(world->lock);
}

static void fork_and_join(struct world *world)
{
        (void)world;
        pid_t child = fork();
        if (child == 0)
                _exit(0);
        waitpid(child, NULL, 0);
}

void (*world_mapped)(const skep_hive *hive);

static void attach_and_detach(struct world *world)
{
        skep_hive *hive;
        MUST(skep_hive_attach(skep_hive_fd(world->hive), &hive));
        if (world_mapped)
                world_mapped(hive);
        skep_hive_detach(hive);
}

/* --- victims: what they were in the middle of is what the reaper works at ---------------------------------------------------- */

static const char *last_probe;

static void die_at_probe(const char *name)
{
        if (!strcmp(name, last_probe))
                kill(getpid(), SIGKILL);
}

/* From here on; who comes back was not where he thought. */
static void die_at(const char *probe)
{
        last_probe = probe;
        probe_hook = die_at_probe;
}

static void survived(void)
{
        _exit(1);
}

static void dies_holding(struct world *world)
{
        struct skep_loan loan;
        skep_block small, run;
        MUST(skep_queue_borrow(world->queue, &loan, skep_nowait()));
        MUST(skep_queue_reserve(world->queue, 300, &loan));
        MUST(skep_block_alloc(world->hive, 200, 0, &small));
        MUST(skep_block_alloc(world->hive, RUN_BYTES, 0, &run));
        MUST(skep_lock_acquire(world->lock, skep_forever()));
}

static void dies_having_claimed(struct world *world) /* intent HOLD, to be undone */
{
        die_at("claim.step");
        put_array(world);
        survived();
}

static void dies_having_put(struct world *world) /* intent HOLD, done */
{
        die_at("ring.full");
        put_array(world);
        survived();
}

static void dies_having_published(struct world *world) /* intent LINK */
{
        die_at("claim.published");
        put_long(world);
        survived();
}

static void dies_with_deliveries(struct world *world)
{
        struct skep_loan loan;
        MUST(skep_queue_borrow(world->acknowledged, &loan, skep_nowait()));
        skep_queue_put_back(&loan);
        for (int i = 0; i < WORLD_ACKNOWLEDGED; i++)
                MUST(skep_queue_borrow(world->acknowledged, &loan, skep_nowait())); /* the first for the second time */
}

static void dies_delivered(struct world *world) /* FILLING(dead), and the slot is left */
{
        die_at("ring.released");
        (void)take(world->acknowledged);
        survived();
}

static void dies_filling(struct world *world) /* FILLING(dead), and the slot is not left */
{
        die_at("queue.delivery_filled");
        (void)take(world->acknowledged);
        survived();
}

static void dies_acknowledging(struct world *world) /* DROPPING(dead), of a message with a block */
{
        take(world->acknowledged);
        die_at("queue.delivery_acknowledged");
        (void)take(world->acknowledged);
        survived();
}

static void dies_having_taken(struct world *world) /* intent DROP */
{
        take(world->queue);
        die_at("ring.released");
        take(world->queue);
        survived();
}

static void dies_forgetting(struct world *world) /* intent DROP of a word, and names_lock */
{
        skep_lock *lock;
        MUST(skep_lock_create(world->hive, "other", &lock));
        skep_lock_unref(lock);
        die_at("claim.unlinked");
        MUST(skep_hive_forget(world->hive, "other"));
        survived();
}

static void dies_growing(struct world *world) /* heap->lock */
{
        skep_block run;
        die_at("heap.top");
        MUST(skep_block_alloc(world->hive, RUN_BYTES, 0, &run));
        survived();
}

static void dies_unmaking(struct world *world) /* a queue RETIRED by the dead, with a slot READING(dead) */
{
        skep_queue *queue;
        MUST(skep_queue_create(world->hive, SKEP_QUEUE_OPTIONS(.capacity = 4), &queue));
        put_bytes(queue, 2, LONG_BYTES);
        MUST(skep_queue_put_array(queue, world->array, skep_nowait()));
        die_at("queue.draining");
        skep_queue_unref(queue);
        survived();
}

/* A message that mentions the array, a block of its own and nothing else that has a name. */
static void put_mentioning(struct world *world, skep_queue *queue)
{
        struct skep_loan loan;
        skep_block references[2] = {skep_array_block(world->array)};
        uint32_t value = 100;
        MUST(skep_block_alloc(world->hive, 300, 0, &references[1]));
        MUST(skep_queue_reserve_with(queue, LONG_BYTES, references, 2, &loan));
        MUST(skep_block_unref(world->hive, references[1]));
        memset(loan.data, 100, LONG_BYTES);
        memcpy(loan.data, &value, sizeof value);
        MUST(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, LONG_BYTES, skep_nowait()));
}

static void put_bundle(struct world *world)
{
        put_mentioning(world, world->queue);
}

static void bundle_comes_and_goes(struct world *world)
{
        skep_queue *queue;
        MUST(skep_queue_create(world->hive, SKEP_QUEUE_OPTIONS(.capacity = 4), &queue));
        put_mentioning(world, queue);
        put_mentioning(world, queue);
        ck_assert_int_eq(take(queue), 100);
        skep_queue_unref(queue);
}

static void reap_one(struct world *world)
{
        struct skep_reap_report report;
        MUST(skep_hive_reap(world->hive, &report));
        if (report.members != 1)
                abort();
}

const struct operation operations[] = {
        {"put small", put_small, .puts = 1},
        {"put long", put_long, .puts = 1},
        {"put run of pages", put_run, .puts = 1},
        {"put array", put_array, .puts = 1},
        {"put new array", put_new_array, .puts = 1},
        {"put with references", put_bundle, .puts = 1},
        {"get with references", .run = bundle_comes_and_goes},
        {"put many", put_many, .puts = 3},
        {"reserve, commit, abandon", put_reserved, .puts = 1},
        {"put many, unbounded", put_many_unbounded, .unbounded_puts = 3},
        {"get copies", get_copies, .gets = 2},
        {"get many", get_many, .gets = 2},
        {"get all", get_all, .gets = WORLD_FIRST},
        {"borrow, put back", .run = put_back},
        {"acknowledge", acknowledge_all, .acknowledged = WORLD_ACKNOWLEDGED},
        {"reject, dead letter", reject_and_bury, .acknowledged = 2},
        {"many deliveries", .run = many_deliveries},
        {"deliveries create, destroy", .run = deliveries_come_and_go},
        {"get and put", get_and_put, .gets = 1, .puts = 1},
        {"task done, join", say_done, .puts = 1, .tasks = 2},
        {"grow unbounded", grow_queue, .unbounded_puts = 3},
        {"put back a ring earlier", put_back_into_the_ring_before, .unbounded_gets = 1, .drained = true},
        {"blocks", .run = blocks_come_and_go},
        {"queue create, destroy", .run = queue_comes_and_goes},
        {"name enter, forget", .run = name_comes_and_goes},
        {"lock", .run = lock_and_release},
        {"fork", .run = fork_and_join},
        {"attach, detach", attach_and_detach, .maps = true},
        {"reap a holder", reap_one, .victim = dies_holding},
        {"reap a claimer", reap_one, .victim = dies_having_claimed},
        {"reap a putter", reap_one, .puts = 1, .victim = dies_having_put},
        {"reap a publisher", reap_one, .victim = dies_having_published},
        {"reap one with deliveries", reap_one, .victim = dies_with_deliveries},
        {"reap one delivered to", reap_one, .victim = dies_delivered},
        {"reap a filler", reap_one, .victim = dies_filling},
        {"reap an acknowledger", reap_one, .acknowledged = 2, .victim = dies_acknowledging},
        {"reap a getter", reap_one, .gets = 2, .victim = dies_having_taken},
        {"reap a forgetter", reap_one, .victim = dies_forgetting},
        {"reap a grower", reap_one, .victim = dies_growing},
        {"reap an unmaker", reap_one, .victim = dies_unmaking},
};
const int operation_count = sizeof operations / sizeof operations[0];
