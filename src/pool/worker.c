/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.c - the life of a worker: take a ticket, work on its job until no chunk is free, take the next.
 *
 * Steps with a ticket:  borrow | say whose it is (record.job) | claim the job | give the ticket back | work | record.job = 0 | let go.
 *
 *   dies                                     found as                              what happens
 *   before record.job                        a ticket in a slot READING(dead)      the reaper puts it back
 *   between that and the end of the work     record.job                            the keeper settles that job, puts a new ticket
 *   after it                                 nothing                               -
 * A ticket too many costs a look.  The job's claim is a member's: dropped with the member.
 *
 * A worker ends when the queue of tickets is closed and empty, when it has begun as many tasks as it may, or when its pool's maker
 * is gone: the kernel kills it with the thread that started it, and it looks itself, a few times a second while it has no work.
 */
#include "base/probe.h"
#include "os/os.h"
#include "os/process.h"
#include "pool/pool.h"
#include "process/process.h"
#include "sync/wait.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOOK_NS INT64_C(250000000) /* at the maker, while there is no work */

#define EXIT_POOL_GONE 124

struct worker {
        skep_hive *hive;
        struct object *pool;
        struct shm_pool *shared;
        struct shm_worker *record;
        skep_queue *tickets;
        struct job_runner runner;
};

int skep_pool_register(const char *name, skep_task_function *function)
{
        (void)skep_process_register(POOL_WORKER_NAME, pool_worker); /* a spawned worker finds it; -EEXIST from the second on */
        return process_registry_add(POOL_FUNCTIONS, name, (process_any_function *)function);
}

static int unknown_function(const struct skep_task *task)
{
        const struct job *job = task->job;
        return skep_task_fail(task, -ENOENT, "no function \"%.*s\" is registered in worker process %lld", SKEP_NAME_MAX, job->shared->function,
                              (long long)os_pid());
}

static bool owner_is_gone(const struct worker *worker)
{
        const struct shm_pool *shared = worker->shared;
        return skep_load(&worker->hive->members[shared->owner].word) != shared->owner_word || member_is_dead(worker->hive, shared->owner);
}

static void work(struct worker *worker, const struct job *job)
{
        char name[SKEP_NAME_MAX + 1];
        memcpy(name, job->shared->function, sizeof name);
        name[SKEP_NAME_MAX] = 0;
        skep_task_function *function = (skep_task_function *)process_registry_find(POOL_FUNCTIONS, name);
        worker->runner.function = function ? function : unknown_function;
        if (job_work(job, &worker->runner))
                event_notify(&worker->shared->completed, INT32_MAX);
}

/* @return 0; -ETIMEDOUT; -ESHUTDOWN */
static int ticket_use(struct worker *worker)
{
        struct skep_loan loan;
        skep_block reference;
        struct job job;
        int result = skep_queue_borrow(worker->tickets, &loan, skep_within_ns(LOOK_NS));
        if (result < 0)
                return result;
        memcpy(&reference, loan.data, loan.bytes < sizeof reference ? 0 : sizeof reference);
        skep_store(&worker->record->job, loan.bytes < sizeof reference ? 0 : reference.offset);
        PROBE("pool.has_ticket");
        result = loan.bytes < sizeof reference ? -EBADMSG : job_attach(worker->hive, reference, &job);
        skep_queue_give_back(&loan);
        if (result == 0) {
                work(worker, &job);
                bool unfinished = !worker->runner.left; /* the keeper looks after it when we have ended */
                if (!unfinished)
                        skep_store(&worker->record->job, 0);
                PROBE("pool.left_job");
                object_unref(job.object);
        } else {
                skep_store(&worker->record->job, 0);
        }
        return 0;
}

static int initialize(const struct worker *worker)
{
        char name[SKEP_NAME_MAX + 1];
        memcpy(name, worker->shared->initializer, sizeof name);
        name[SKEP_NAME_MAX] = 0;
        if (!name[0])
                return 0;
        skep_process_function *function = process_function_find(name);
        if (!function)
                return PROCESS_EXIT_NO_FUNCTION;
        return function(worker->hive, worker->shared->initializer_argument, worker->shared->initializer_bytes) & 0xff;
}

static int live(struct worker *worker)
{
        int result = initialize(worker);
        if (result)
                return result;
        skep_store32(&worker->record->ready, 1);
        PROBE("pool.ready");
        while (worker->runner.left && result != -ESHUTDOWN) {
                result = ticket_use(worker);
                if (result == -ETIMEDOUT ? owner_is_gone(worker) : result < 0 && result != -ESHUTDOWN)
                        return EXIT_POOL_GONE;
        }
        return 0;
}

static int pool_attach(skep_hive *hive, const struct pool_letter *letter, struct worker *worker)
{
        int result = object_attach(hive, BLOCK_POOL, letter->pool, &worker->pool);
        if (result < 0)
                return result;
        worker->shared = worker->pool->shared;
        result = pool_check(worker->shared, worker->pool->shared_bytes);
        if (result == 0 && letter->index >= worker->shared->workers)
                result = -EBADMSG;
        if (result == 0)
                result = agent_self(hive, &worker->runner.agent);
        struct shm_block *tickets = result == 0 ? claim_find(hive, skep_load(&worker->shared->tickets), 0) : NULL;
        if (result == 0)
                result = tickets ? queue_of_block(worker->runner.agent, tickets, &worker->tickets) : -EBADMSG;
        if (result < 0)
                object_unref(worker->pool);
        return result;
}

int pool_worker(skep_hive *hive, const void *argument, size_t bytes)
{
        struct worker worker = {.hive = hive};
        struct pool_letter letter;
        if (!hive || bytes != sizeof letter)
                return EXIT_POOL_GONE;
        memcpy(&letter, argument, sizeof letter);
        os_process_take_signals();
        futures_forget();
        if (pool_attach(hive, &letter, &worker) < 0)
                return EXIT_POOL_GONE;
        struct shm_worker *record = worker.record = &worker.shared->worker[letter.index];
        worker.runner.task = &record->task;
        worker.runner.done = &record->done;
        worker.runner.failed = &record->failed;
        worker.runner.left = worker.shared->tasks_per_worker;
        skep_store_relaxed(&record->pid, (uint64_t)os_pid());
        skep_store32(&record->agent, worker.runner.agent->id);
        PROBE("pool.arrived");
        if (worker.shared->flags & SKEP_POOL_PIN)
                (void)os_process_pin((uint32_t)letter.index); /* a wish: the kernel may have taken CPUs away */
        int code = live(&worker);
        skep_queue_unref(worker.tickets);
        object_unref(worker.pool);
        return code;
}
