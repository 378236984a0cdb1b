/* SPDX-License-Identifier: Apache-2.0 */
/* board_world.c - a worker that takes tasks and dies, and the check of what its word says (board_world.h). */
#include "support/board_world.h"

#include "../../python/ext/board.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKER = 0, SURVIVOR = 1, PLACES = 2, REVOCATIONS = 4, TASKS = 3 };

static skep_queue *tasks, *results;
static struct board board = {.places = PLACES};

static void must(int result, const char *what)
{
        if (result < 0) {
                fprintf(stderr, "%s: %s\n", what, skep_strerror(result));
                abort();
        }
}
#define MUST(call) must(call, #call)

/* --- the parts --------------------------------------------------------------------------------------------------------------- */

/* What a worker does for one task. @return its number, negative if it had been revoked; 0 there is none */
static int64_t take_one(skep_queue *from, struct board *on, uint64_t place)
{
        struct skep_loan loan;
        int64_t task;
        if (skep_queue_borrow(from, &loan, skep_nowait()) < 0)
                return 0;
        memcpy(&task, loan.data, sizeof task);
        return board_take(on, place, task, &loan) ? task : -task;
}

static void finish(int64_t result)
{
        MUST(skep_queue_put(results, &result, sizeof result, skep_nowait()));
        skep_value_store_i64(board.words, board_place(WORKER), 0);
}

static void take_two(struct world *world)
{
        (void)world;
        finish(take_one(tasks, &board, WORKER));
        if (take_one(tasks, &board, WORKER) != 2)
                abort();
}

/* As a parent does that has found task 1 at TAKING of another one who died. */
static void revoke_first(struct world *world)
{
        (void)world;
        board_revoke(&board, 1);
        if (!board_shows(&board, WORKER, 0) || !board_is_revoked(&board, 1))
                abort();
}

static void take_a_revoked_one(struct world *world)
{
        revoke_first(world);
        if (take_one(tasks, &board, WORKER) != -1)
                abort();
        finish(-1);
        if (take_one(tasks, &board, WORKER) != 2)
                abort();
}

static void revoke_many(struct world *world)
{
        (void)world;
        for (int64_t task = 100; task < 100 + 2 * REVOCATIONS; task++)
                board_revoke(&board, task);
        if (board_is_revoked(&board, 100) || !board_is_revoked(&board, 99 + 2 * REVOCATIONS))
                abort();
}

/* --- the world ---------------------------------------------------------------------------------------------------------------- */

void world_make(struct world *world, const struct operation *operation)
{
        (void)operation;
        MUST(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 4u << 20, .agent_max = 32, .member_max = 16), &world->hive));
        MUST(skep_queue_create(world->hive, SKEP_QUEUE_OPTIONS(.name = "t"), &tasks));
        MUST(skep_queue_create(world->hive, SKEP_QUEUE_OPTIONS(.name = "r"), &results));
        MUST(skep_value_create(world->hive, SKEP_VALUE_OPTIONS(.name = "b", .element = SKEP_ELEMENT_I64, .count = 1 + PLACES + REVOCATIONS), &board.words));
        for (int64_t task = 1; task <= TASKS; task++)
                MUST(skep_queue_put(tasks, &task, sizeof task, skep_nowait()));
}

void world_leave(struct world *world)
{
        (void)world;
        skep_queue_unref(tasks);
        skep_queue_unref(results);
        board.words = skep_value_unref(board.words);
}

/* --- what must hold: the parent's part, as python/skep/_crew.py plays it --------------------------------------------------------- */

static int forget(const struct skep_object_entry *entry, void *context)
{
        return skep_hive_forget(context, entry->name);
}

struct found {
        int with_result, in_queue, dropped, at_the_dead;
};

static struct found of_task[TASKS + 1];

static struct found *found_of(int64_t task, const char *where)
{
        int64_t number = task < 0 ? -task : task;
        ck_assert_msg(number >= 1 && number <= TASKS, "a task %lld at %s", (long long)task, where);
        return &of_task[number];
}

static void collect(skep_hive *hive, struct board *found, skep_queue *found_tasks, skep_queue *found_results, const char *where)
{
        int64_t value, word;
        size_t bytes;
        (void)hive;
        memset(of_task, 0, sizeof of_task);
        while (skep_queue_get(found_results, &value, sizeof value, &bytes, skep_nowait()) == 0)
                *(value < 0 ? &found_of(value, where)->dropped : &found_of(value, where)->with_result) += 1;
        word = board_word(found, board_place(WORKER));
        if (word & BOARD_TAKING)
                board_revoke(found, word & ~BOARD_TAKING); /* unless somebody else shows it: there is nobody */
        else if (word)
                found_of(word, where)->at_the_dead++;
        while ((value = take_one(found_tasks, found, SURVIVOR)))
                *(value < 0 ? &found_of(value, where)->dropped : &found_of(value, where)->in_queue) += 1;
}

void world_check(skep_hive *hive, const struct operation *operation, bool finished, const char *where)
{
        struct skep_verify_report report;
        struct board found = {.places = PLACES};
        skep_queue *found_tasks, *found_results;
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s: %s at %s", operation->name, report.first, where);
        MUST(skep_queue_open(hive, "t", &found_tasks));
        MUST(skep_queue_open(hive, "r", &found_results));
        MUST(skep_value_open(hive, "b", &found.words));
        int64_t word = board_word(&found, board_place(WORKER));
        collect(hive, &found, found_tasks, found_results, where);
        for (int64_t task = 1; task <= TASKS; task++) {
                const struct found *one = &of_task[task];
                bool settled = one->with_result && word == task; /* the result was put, the word not cleared: the result comes first */
                int times = one->with_result + one->in_queue + one->at_the_dead - settled;
                bool put_again = word == (BOARD_TAKING | task) || one->dropped;
                ck_assert_msg(times == !put_again, "%s: task %lld %d times, and %sput again, at %s", operation->name, (long long)task, times,
                              put_again ? "" : "not ", where);
                ck_assert_msg(one->with_result <= 1 && one->dropped <= 1, "%s: task %lld answered twice at %s", operation->name, (long long)task, where);
        }
        ck_assert_msg(!finished || operation->run != take_two || (of_task[1].with_result && of_task[2].at_the_dead && of_task[3].in_queue),
                      "%s: not done at %s", operation->name, where);
        skep_queue_unref(found_tasks);
        skep_queue_unref(found_results);
        skep_value_unref(found.words);
        MUST(skep_hive_names(hive, forget, hive));
        struct skep_hive_stat stat;
        MUST(skep_hive_stat(hive, &stat));
        ck_assert_msg(stat.blocks == 0 && stat.members == 1, "%s: %llu blocks leak at %s", operation->name, (unsigned long long)stat.blocks, where);
}

const struct operation operations[] = {
        {"take two tasks", .run = take_two},
        {"revoke", .run = revoke_first},
        {"revoke, then take", .run = take_a_revoked_one},
        {"revoke more than fit", .run = revoke_many},
};
const int operation_count = sizeof operations / sizeof operations[0];
