/* SPDX-License-Identifier: Apache-2.0 */
/* pool_world.c - operations on a job that members die in, and the check of what they leave (pool_world.h). */
#include "support/pool_world.h"

#include "base/probe.h"
#include "pool/pool.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TASKS = 6, CHUNK = 2 };

static struct job job;
static struct object *pool;
static skep_queue *tickets;
static uint64_t in_task, done, failed;

static void must(int result, const char *what)
{
        if (result < 0) {
                fprintf(stderr, "%s: %s\n", what, skep_strerror(result));
                abort();
        }
}
#define MUST(call) must(call, #call)

static int add_one(const struct skep_task *task)
{
        (*(uint64_t *)task->result)++;
        return 0;
}

static int add_and_fail(const struct skep_task *task)
{
        (*(uint64_t *)task->result)++;
        return skep_task_fail(task, -EDOM, "so it is");
}

static struct skep_agent *self(skep_hive *hive)
{
        struct skep_agent *agent;
        MUST(agent_self(hive, &agent));
        return agent;
}

static struct job_runner runner_of(skep_hive *hive, skep_task_function *function, uint64_t left)
{
        return (struct job_runner){.agent = self(hive), .function = function, .task = &in_task, .done = &done, .failed = &failed, .left = left};
}

/* --- make, leave ------------------------------------------------------------------------------------------------------------- */

static void pool_make(skep_hive *hive)
{
        struct skep_loan loan;
        skep_block reference = job.object->reference;
        MUST(object_create(hive, BLOCK_POOL, "pool", sizeof(struct shm_pool) + sizeof(struct shm_worker), NULL, NULL, &pool));
        struct shm_pool *shared = pool->shared;
        shared->workers = 1;
        shared->tasks_per_worker = UINT64_MAX;
        shared->owner = hive->member;
        shared->owner_word = skep_load(&hive->members[hive->member].word);
        MUST(skep_queue_create(hive, NULL, &tickets));
        MUST(claim_link(self(hive), &shared->tickets, queue_block(tickets)));
        MUST(skep_queue_reserve_with(tickets, sizeof reference, &reference, 1, &loan));
        memcpy(loan.data, &reference, sizeof reference);
        MUST(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, sizeof reference, skep_forever()));
        MUST(skep_queue_close(tickets)); /* the worker ends when it has used the ticket */
}

static void die_in_task(const char *name)
{
        if (!strcmp(name, "job.begun"))
                kill(getpid(), SIGKILL);
}

static void dies_in_a_task(struct world *world)
{
        struct job_runner runner = runner_of(world->hive, add_one, UINT64_MAX);
        probe_hook = die_in_task;
        (void)job_work(&job, &runner);
}

void world_make(struct world *world, const struct operation *operation)
{
        static bool registered;
        if (!registered)
                MUST(skep_pool_register("add_one", add_one));
        registered = true;
        MUST(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20, .agent_max = 32, .member_max = 16), &world->hive));
        MUST(job_create(world->hive, SKEP_JOB_OPTIONS(.function = "add_one", .count = TASKS, .chunk = CHUNK, .result_bytes = sizeof(uint64_t),
                                                      .retries = operation->puts > 0), 1, &job));
        memset(job.results, 0, TASKS * sizeof(uint64_t));
        MUST(name_enter(self(world->hive), "job", job.object->block));
        pool_make(world->hive);
        if (!operation->victim)
                return;
        pid_t child = fork();
        if (child == 0) {
                operation->victim(world);
                _exit(1);
        }
        int status;
        waitpid(child, &status, 0);
        if (!WIFSIGNALED(status))
                abort();
}

void world_leave(struct world *world)
{
        (void)world;
        object_unref(job.object);
        object_unref(pool);
        skep_queue_unref(tickets);
}

/* --- check --------------------------------------------------------------------------------------------------------------------- */

/* As the keeper does, for whoever is gone. */
static void settle_all(const struct job *left)
{
        uint64_t blamed = 0;
        for (uint64_t chunk = 0; chunk < left->chunks; chunk++) {
                uint32_t agent = (uint32_t)(skep_load(&left->chunk_words[chunk]) >> 4);
                if (agent && agent_is_gone(left->object->hive, agent))
                        (void)job_settle(left, agent, 1, "died", &blamed);
        }
        (void)job_settle(left, 0, 0, "", &blamed);
}

/* A free chunk that a worker did not come to: a ticket says so, or its place does. */
static void check_ticket(skep_hive *hive, const struct job *left, const char *where)
{
        struct object *place;
        skep_queue *queue;
        MUST(object_open(hive, BLOCK_POOL, "pool", &place));
        const struct shm_pool *shared = place->shared;
        MUST(queue_of_block(self(hive), claim_find(hive, shared->tickets, 0), &queue));
        ck_assert_msg(job_is_complete(left) || skep_queue_size(queue) == 1 || shared->worker[0].job == left->object->reference.offset,
                      "nobody knows of the job at %s", where);
        skep_queue_unref(queue);
        object_unref(place);
}

static void check_task(const struct job *left, const struct operation *operation, bool finished, uint64_t task, const char *where)
{
        uint64_t runs = ((uint64_t *)left->results)[task];
        uint32_t status = skep_load32(&left->status[task]);
        switch (task_phase(status)) {
        case TASK_DONE:
                ck_assert_msg(runs == 1 || (runs == 2 && operation->puts), "%s: task %llu ran %llu times at %s", operation->name, (unsigned long long)task,
                              (unsigned long long)runs, where);
                return;
        case TASK_FAILED:
                if (task_value(status) == EOWNERDEAD)
                        ck_assert_msg(runs <= 1 && (!finished || operation->victim), "%s: task %llu blamed at %s", operation->name,
                                      (unsigned long long)task, where);
                else if (task_value(status) == ECANCELED)
                        ck_assert_msg((runs == 0 || operation->victim) && operation->gets, "%s: cancelled at %s", operation->name, where);
                else
                        ck_assert_msg(task_value(status) == EDOM && runs == 1, "%s: failed at %s", operation->name, where);
                return;
        default:
                ck_abort_msg("%s: task %llu is not settled at %s", operation->name, (unsigned long long)task, where);
        }
}

static int forget(const struct skep_object_entry *entry, void *context)
{
        return skep_hive_forget(context, entry->name);
}

void world_check(skep_hive *hive, const struct operation *operation, bool finished, const char *where)
{
        struct skep_verify_report report;
        struct skep_hive_stat stat;
        struct object *object;
        struct job left;
        uint64_t blamed = 0;
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s: %s at %s", operation->name, report.first, where);
        MUST(object_open(hive, BLOCK_JOB, "job", &object));
        MUST(job_attach(hive, object->reference, &left));
        object_unref(object);
        if (!strcmp(operation->name, "worker"))
                check_ticket(hive, &left, where);
        ck_assert_msg(!finished || job_is_complete(&left) || operation->unbounded_puts, "%s: not complete at the end", operation->name);
        settle_all(&left);
        struct job_runner runner = runner_of(hive, add_one, UINT64_MAX);
        (void)job_work(&left, &runner);
        ck_assert_msg(job_is_complete(&left), "%s: never complete at %s", operation->name, where);
        for (uint64_t task = 0; task < TASKS; task++) {
                check_task(&left, operation, finished, task, where);
                blamed += skep_load32(&left.status[task]) == (EOWNERDEAD << 2 | TASK_FAILED);
        }
        ck_assert_msg(blamed <= (operation->victim ? 2 : 1), "%s: %llu tasks blamed at %s", operation->name, (unsigned long long)blamed, where);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s: afterwards %s at %s", operation->name, report.first, where);
        object_unref(left.object);
        MUST(skep_hive_names(hive, forget, hive));
        MUST(skep_hive_stat(hive, &stat));
        ck_assert_msg(stat.blocks == 0 && stat.names == 0, "%s: %llu blocks leak at %s", operation->name, (unsigned long long)stat.blocks, where);
}

/* --- operations ------------------------------------------------------------------------------------------------------------------ */

static void works(struct world *world)
{
        struct job_runner runner = runner_of(world->hive, add_one, UINT64_MAX);
        (void)job_work(&job, &runner);
}

static void fails(struct world *world)
{
        struct job_runner runner = runner_of(world->hive, add_and_fail, UINT64_MAX);
        (void)job_work(&job, &runner);
}

static void works_three_tasks(struct world *world)
{
        struct job_runner runner = runner_of(world->hive, add_one, 3);
        (void)job_work(&job, &runner);
}

static void cancels(struct world *world)
{
        struct job_runner runner = runner_of(world->hive, add_one, 3);
        (void)job_work(&job, &runner);
        (void)job_cancel(&job, self(world->hive), ECANCELED);
        (void)job_finish(&job);
}

static void is_a_worker(struct world *world)
{
        const struct pool_letter letter = {.pool = pool->reference};
        if (pool_worker(world->hive, &letter, sizeof letter))
                abort();
}

static void keeps(struct world *world)
{
        MUST(skep_hive_reap(world->hive, NULL));
        settle_all(&job);
        works(world);
}

static void keeps_a_cancelled_one(struct world *world)
{
        MUST(skep_hive_reap(world->hive, NULL));
        (void)job_cancel(&job, self(world->hive), ECANCELED);
        settle_all(&job);
        (void)job_cancel(&job, self(world->hive), ECANCELED);
        (void)job_finish(&job);
}

static void job_comes_and_goes(struct world *world)
{
        struct job other;
        skep_block references[2];
        MUST(skep_block_alloc(world->hive, 100, 0, &references[0]));
        MUST(skep_block_alloc(world->hive, 100, 0, &references[1]));
        MUST(job_create(world->hive, SKEP_JOB_OPTIONS(.function = "add_one", .count = 3, .references = references, .reference_count = 2), 2, &other));
        for (int i = 0; i < 2; i++)
                MUST(skep_block_unref(world->hive, references[i]));
        object_unref(other.object);
        works(world);
}

/* gets: may cancel; puts: retries; unbounded_puts: leaves some for others. */
const struct operation operations[] = {
        {.name = "work", .run = works},
        {.name = "work that fails", .run = fails},
        {.name = "work three tasks", .run = works_three_tasks, .unbounded_puts = 1},
        {.name = "cancel", .run = cancels, .gets = 1},
        {.name = "worker", .run = is_a_worker},
        {.name = "replace", .run = keeps, .victim = dies_in_a_task},
        {.name = "replace, retry", .run = keeps, .victim = dies_in_a_task, .puts = 1},
        {.name = "replace, cancelled", .run = keeps_a_cancelled_one, .victim = dies_in_a_task, .gets = 1},
        {.name = "create, unref", .run = job_comes_and_goes},
};
const int operation_count = sizeof operations / sizeof operations[0];
