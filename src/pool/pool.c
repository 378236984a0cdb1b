/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c - the maker's side: workers that are started and replaced, jobs that are handed out, the end of it all.
 *
 * PARTS.     The pool's block: who made it, a place for each worker, and a claim on a queue of tickets.  A ticket mentions a job
 *            and claims it while it waits; a job with n chunks gets min(n, workers) of them.  Who takes one works on the job until
 *            no chunk is free.  So idle workers sleep in a queue, a ticket wakes one, and a small job costs one message.
 * KEEPER.    A thread of the maker that starts the workers, sleeps until one ends, settles what it had (job.c) and starts another.
 *            The kernel kills a worker with the thread that started it: this one, which outlives them all.
 * TICKETS.   While a job has a free chunk, a ticket of it waits, or a worker is inside that has not yet seen that none is free, or
 *            has ended and the keeper has not yet settled it: then it puts one.
 * LIVE.      The maker holds each job until it is known to be complete, whatever handles there are.
 *
 *   state        left by                                          to
 *   OPEN         close                                            CLOSED: nothing enters; ends when all jobs are complete
 *                terminate, unref, exit of the maker              TERMINATED: jobs are cancelled, workers told to end
 *                keeper: workers do not become ready              BROKEN: the same with -EPIPE
 *   CLOSED       terminate; keeper                                TERMINATED, BROKEN
 *   any but OPEN keeper, when no worker is left                   ended
 *
 * CRASH.  of a worker: job.c, worker.c.  Of the maker: its workers are killed; block, queue and jobs go with their last claims.
 * LOCKS.     pool_lock() is over the lists of this process and is held across fork, so that a child's copy is whole: it drops the
 *            claims that it inherits with the futures.
 */
#include "pool/pool.h"

#include "base/checked.h"
#include "base/probe.h"
#include "os/os.h"
#include "os/process.h"
#include "sync/wait.h"

#include <errno.h>
#include <skep/inspect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_NS INT64_C(5000000000) /* between SIGTERM and SIGKILL */
#define CLOSING_NS INT64_C(20000000) /* how often a closed pool's keeper looks whether all is done, if nobody joins */
#define PRUNE_LEAST 64u
#define UNREADY_MAX 16u              /* and four for each worker: killed before they were ready, in a row */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static skep_pool *pools;

/* --- the lock -------------------------------------------------------------------------------------------------------------- */

static void fork_prepare(void)
{
        (void)pthread_mutex_lock(&mutex);
}

static void fork_parent(void)
{
        (void)pthread_mutex_unlock(&mutex);
}

static void fork_child(void)
{
        (void)pthread_mutex_init(&mutex, NULL);
}

static void set_up(void)
{
        (void)pthread_atfork(fork_prepare, fork_parent, fork_child);
}

void pool_lock(void)
{
        (void)pthread_once(&once, set_up);
        (void)pthread_mutex_lock(&mutex);
}

void pool_unlock(void)
{
        (void)pthread_mutex_unlock(&mutex);
}

/* --- words ------------------------------------------------------------------------------------------------------------------ */

int pool_is_mine(const skep_pool *pool)
{
        return pool->member == pool->base.hive->member ? 0 : -EPERM;
}

void pool_poke(skep_pool *pool)
{
        os_event_set(pool->poke_fd);
}

int pool_check(const struct shm_pool *shared, uint64_t bytes)
{
        if (bytes < sizeof *shared || !shared->workers || shared->workers > SKEP_POOL_WORKERS_MAX ||
            bytes < sizeof *shared + shared->workers * sizeof shared->worker[0] || shared->owner >= HIVE_MEMBER_MAX ||
            shared->initializer_bytes > SKEP_POOL_ARGUMENT_MAX)
                return -EBADMSG;
        return 0;
}

int pool_wait(skep_pool *pool, pool_condition *condition, void *context, skep_deadline deadline)
{
        uint32_t *word = &pool->shared->completed;
        struct skep_agent *agent;
        if (condition(context))
                return 0;
        int result = agent_self(pool->base.hive, &agent);
        if (result < 0)
                return result;
        wait_begins(agent, word, 0);
        for (bool there = false; !there && result >= 0;) {
                uint32_t key = event_prepare(word);
                there = condition(context);
                if (!there)
                        result = wait_slice(word, key, deadline);
        }
        wait_ends(agent);
        return result == -ETIMEDOUT && condition(context) ? 0 : result < 0 ? result : 0;
}

static void changed(skep_pool *pool)
{
        skep_fence();
        event_notify(&pool->shared->completed, INT32_MAX);
}

/* --- jobs that are live ------------------------------------------------------------------------------------------------------- */

/* Under pool_lock(); the pool's reference is the caller's then. */
static void live_remove(skep_pool *pool, skep_future *future)
{
        *(future->live_previous ? &future->live_previous->live_next : &pool->live) = future->live_next;
        *(future->live_next ? &future->live_next->live_previous : &pool->live_last) = future->live_previous;
        future->live_next = future->live_previous = NULL;
        future->pool = NULL;
        pool->live_count--;
}

int pool_enter(skep_pool *pool, skep_future *future)
{
        pool_lock();
        enum pool_state state = (enum pool_state)skep_load32(&pool->state);
        if (state != POOL_OPEN) {
                pool_unlock();
                return state == POOL_BROKEN ? -EPIPE : -ESHUTDOWN;
        }
        future->live_previous = pool->live_last;
        *(pool->live_last ? &pool->live_last->live_next : &pool->live) = future;
        pool->live_last = future;
        future->pool = pool;
        future->references++;
        pool->live_count++;
        pool_unlock();
        return 0;
}

bool pool_leave_locked(skep_future *future)
{
        if (!future->pool)
                return false;
        live_remove(future->pool, future);
        return true;
}

void pool_leave(skep_future *future)
{
        pool_lock();
        bool live = pool_leave_locked(future);
        pool_unlock();
        if (live)
                skep_future_unref(future);
}

/* Who has a function to be called is the teller's. */
void pool_prune(skep_pool *pool)
{
        skep_future *gone = NULL;
        pool_lock();
        for (skep_future *future = pool->live, *next; future; future = next) {
                next = future->live_next;
                if (!job_is_complete(&future->job) || future->then)
                        continue;
                live_remove(pool, future);
                if (!--future->references) {
                        future->live_next = gone;
                        gone = future;
                }
        }
        pool->prune_at = 2 * pool->live_count + PRUNE_LEAST;
        pool_unlock();
        while (gone) {
                skep_future *next = gone->live_next;
                future_free(gone);
                gone = next;
        }
}

int pool_ticket(skep_pool *pool, const struct job *job)
{
        struct skep_loan loan;
        skep_block reference = job->object->reference;
        int result = skep_queue_reserve_with(pool->tickets, sizeof reference, &reference, 1, &loan);
        if (result < 0)
                return result;
        memcpy(loan.data, &reference, sizeof reference);
        result = skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, sizeof reference, skep_forever());
        if (result < 0)
                skep_queue_abandon(&loan);
        return result;
}

/* A reference to each live job, so that it can be worked on without the lock. @return how many; in *ret_futures, to be freed */
static uint64_t live_all(skep_pool *pool, skep_future ***ret_futures)
{
        uint64_t count = 0;
        pool_lock();
        *ret_futures = malloc((pool->live_count + 1) * sizeof(skep_future *));
        for (skep_future *future = pool->live; future && *ret_futures; future = future->live_next) {
                future->references++;
                (*ret_futures)[count++] = future;
        }
        pool_unlock();
        return count;
}

static void jobs_cancel(skep_pool *pool, uint32_t error)
{
        struct skep_agent *agent;
        skep_future **futures;
        uint64_t count = live_all(pool, &futures);
        int result = agent_self(pool->base.hive, &agent);
        for (uint64_t i = 0; i < count; i++) {
                if (result == 0) {
                        (void)job_cancel(&futures[i]->job, agent, error);
                        (void)job_finish(&futures[i]->job);
                }
                skep_future_unref(futures[i]);
        }
        free(futures);
        changed(pool);
}

/* --- the keeper ---------------------------------------------------------------------------------------------------------------- */

static enum pool_state state_of(const skep_pool *pool)
{
        return (enum pool_state)skep_load32(&pool->state);
}

static void state_raise(skep_pool *pool, enum pool_state state)
{
        pool_lock();
        if (state > state_of(pool))
                skep_store32(&pool->state, state);
        pool_unlock();
}

static int worker_start(skep_pool *pool, uint32_t index)
{
        struct shm_worker *record = &pool->shared->worker[index];
        struct pool_letter letter = {.pool = pool->base.reference, .index = index};
        char name[SKEP_NAME_MAX + 1];
        skep_store32(&record->agent, 0);
        skep_store32(&record->ready, 0);
        skep_store(&record->job, 0);
        skep_store(&record->task, 0);
        skep_store(&record->pid, 0);
        (void)snprintf(name, sizeof name, "PoolWorker-%u", index + 1);
        return skep_process_start(SKEP_PROCESS_OPTIONS(.hive = pool->base.hive, .start = pool->start, .flags = SKEP_PROCESS_DIE_WITH_PARENT,
                                                       .function = pool_worker, .function_name = POOL_WORKER_NAME, .program = pool->program,
                                                       .argument = &letter, .argument_bytes = sizeof letter, .name = name),
                                  &pool->processes[index]);
}

static skep_future *live_find(skep_pool *pool, uint64_t block)
{
        pool_lock();
        skep_future *future = pool->live;
        while (future && future->job.object->reference.offset != block)
                future = future->live_next;
        if (future)
                future->references++;
        pool_unlock();
        return future;
}

/* What the one that ended had is failed or free again. */
static void settle(skep_pool *pool, const struct shm_worker *record, int64_t pid, const char *why)
{
        uint64_t block = skep_load(&record->job), failed = 0;
        skep_future *future = block ? live_find(pool, block) : NULL;
        if (!future)
                return;
        bool free_chunk = job_settle(&future->job, skep_load32(&record->agent), pid, why, &failed);
        pool->lost += failed;
        if (job_finish(&future->job) || free_chunk)
                changed(pool);
        if (free_chunk && pool_ticket(pool, &future->job) < 0)
                future->owes_ticket = pool->owes = true;
        skep_future_unref(future);
}

static void break_down(skep_pool *pool, const char *text)
{
        pool_lock();
        if (state_of(pool) < POOL_TERMINATED) {
                (void)snprintf(pool->broken, sizeof pool->broken, "%s", text);
                skep_store32(&pool->state, POOL_BROKEN);
        }
        pool_unlock();
}

/* Workers that never become ready will not do so the next time. */
static void unready_count(skep_pool *pool, int64_t pid, int32_t code, const char *why)
{
        char text[sizeof pool->broken];
        const char *initializer = pool->shared->initializer;
        if (code < 0 && ++pool->unready < UNREADY_MAX + 4 * pool->workers)
                return;
        (void)snprintf(text, sizeof text, "worker process %lld %s before it was ready%s%.40s", (long long)pid, why, *initializer ? ", in or before " : "",
                       initializer);
        break_down(pool, text);
}

static void worker_ended(skep_pool *pool, uint32_t index)
{
        struct shm_worker *record = &pool->shared->worker[index];
        skep_process *process = pool->processes[index];
        int64_t pid = skep_process_pid(process);
        int32_t code = skep_process_exit_code(process);
        char why[64];
        if (code < 0)
                (void)snprintf(why, sizeof why, "was killed by signal %d (%.24s)", -code, strsignal(-code));
        else
                (void)snprintf(why, sizeof why, "ended with code %d", code);
        pool->processes[index] = skep_process_unref(process);
        skep_store(&record->pid, 0);
        (void)!skep_hive_reap(pool->base.hive, NULL); /* its claims, and the ticket it was about to take */
        settle(pool, record, pid, why);
        if (skep_load32(&record->ready))
                pool->unready = 0;
        else if (state_of(pool) < POOL_TERMINATED)
                unready_count(pool, pid, code, why);
}

static uint32_t workers_collect(skep_pool *pool)
{
        uint32_t alive = 0;
        for (uint32_t i = 0; i < pool->workers; i++) {
                if (pool->processes[i] && !skep_process_is_alive(pool->processes[i]))
                        worker_ended(pool, i);
                alive += pool->processes[i] != NULL;
        }
        return alive;
}

/* @return how many there are then */
static uint32_t workers_replace(skep_pool *pool, uint32_t alive)
{
        int result = 0;
        for (uint32_t i = 0; i < pool->workers && result == 0; i++) {
                if (pool->processes[i])
                        continue;
                result = worker_start(pool, i);
                pool->replaced += result == 0;
                alive += result == 0;
        }
        if (!alive) {
                char text[sizeof pool->broken];
                (void)snprintf(text, sizeof text, "no worker is left and none can be started: %s", skep_strerror(result));
                break_down(pool, text);
        }
        return alive;
}

static bool tickets_owed(skep_pool *pool)
{
        skep_future **futures;
        if (!pool->owes)
                return false;
        uint64_t owed = 0, count = live_all(pool, &futures);
        for (uint64_t i = 0; i < count; i++) {
                if (futures[i]->owes_ticket)
                        futures[i]->owes_ticket = pool_ticket(pool, &futures[i]->job) == -ENOSPC;
                owed += futures[i]->owes_ticket;
                skep_future_unref(futures[i]);
        }
        free(futures);
        pool->owes = owed;
        return owed;
}

static void workers_signal(skep_pool *pool, int (*send)(skep_process *process))
{
        for (uint32_t i = 0; i < pool->workers; i++)
                if (pool->processes[i])
                        (void)send(pool->processes[i]);
}

static void sleep_until_something(skep_pool *pool, int64_t deadline_ns)
{
        int fds[SKEP_POOL_WORKERS_MAX + 1];
        size_t count = 0;
        fds[count++] = pool->poke_fd;
        for (uint32_t i = 0; i < pool->workers; i++)
                if (pool->processes[i])
                        fds[count++] = skep_process_sentinel(pool->processes[i]);
        (void)os_process_poll_any(fds, count, deadline_ns);
        os_event_clear(pool->poke_fd);
}

/* While it may still work. */
static void keep(skep_pool *pool)
{
        bool draining = false;
        uint32_t alive;
        while (state_of(pool) < POOL_TERMINATED && ((alive = workers_collect(pool)) || !draining)) {
                bool closed = state_of(pool) == POOL_CLOSED, owed = false;
                pool_prune(pool);
                pool_lock();
                bool idle = !pool->live_count;
                pool_unlock();
                if (closed && idle && !draining) {
                        draining = true;
                        (void)skep_queue_close(pool->tickets);
                } else if (!draining && alive < pool->workers) {
                        alive = workers_replace(pool, alive);
                }
                if (!draining)
                        owed = tickets_owed(pool);
                bool soon = owed || (!draining && (closed || alive < pool->workers));
                if (state_of(pool) < POOL_TERMINATED && (alive || !draining))
                        sleep_until_something(pool, soon ? os_now_ns() + CLOSING_NS : INT64_MAX);
        }
}

/* Workers that take no notice are killed. */
static void wind_up(skep_pool *pool)
{
        bool broken = state_of(pool) == POOL_BROKEN, kill = false;
        uint32_t error = broken ? EPIPE : ECANCELED;
        int64_t grace = os_now_ns() + GRACE_NS;
        (void)skep_queue_close(pool->tickets);
        jobs_cancel(pool, error);
        workers_signal(pool, skep_process_terminate);
        while (workers_collect(pool)) {
                sleep_until_something(pool, kill ? INT64_MAX : grace);
                if (!kill && os_now_ns() >= grace) {
                        kill = true;
                        workers_signal(pool, skep_process_kill);
                }
        }
        jobs_cancel(pool, error); /* what the last ones left */
        pool_prune(pool);
}

static int workers_start(skep_pool *pool)
{
        int result = 0;
        for (uint32_t i = 0; i < pool->workers && result == 0; i++)
                result = worker_start(pool, i);
        return result;
}

static void *keeper_run(void *argument)
{
        skep_pool *pool = argument;
        int result = workers_start(pool);
        if (result < 0)
                state_raise(pool, POOL_TERMINATED);
        skep_store32(&pool->start_result, (uint32_t)result);
        changed(pool);
        keep(pool);
        wind_up(pool);
        skep_store32(&pool->ended, 1);
        changed(pool);
        return NULL;
}

/* --- make ------------------------------------------------------------------------------------------------------------------------ */

static int options_check(struct skep_pool_options *options)
{
        if (!options->workers)
                options->workers = os_cpu_count() < SKEP_POOL_WORKERS_MAX ? os_cpu_count() : SKEP_POOL_WORKERS_MAX;
        if (!options->start)
                options->start = SKEP_START_FORK;
        if (!options->tasks_per_worker)
                options->tasks_per_worker = UINT64_MAX;
        if (options->workers > SKEP_POOL_WORKERS_MAX || options->start > SKEP_START_SPAWN || options->flags & ~SKEP_POOL_PIN || options->reserved ||
            options->initializer_bytes > SKEP_POOL_ARGUMENT_MAX || (options->initializer_bytes && !options->initializer_argument) ||
            (options->initializer && !*options->initializer))
                return -EINVAL;
        return options->initializer && strlen(options->initializer) > SKEP_NAME_MAX ? -ENAMETOOLONG : 0;
}

static void pool_format(void *payload, const void *context)
{
        const struct skep_pool_options *options = context;
        struct shm_pool *shared = payload;
        shared->workers = options->workers;
        shared->tasks_per_worker = options->tasks_per_worker;
        shared->flags = options->flags;
        shared->initializer_bytes = (uint32_t)options->initializer_bytes;
        if (options->initializer)
                memcpy(shared->initializer, options->initializer, strlen(options->initializer));
        if (options->initializer_bytes)
                memcpy(shared->initializer_argument, options->initializer_argument, options->initializer_bytes);
}

static bool is_started(void *context)
{
        const skep_pool *pool = context;
        return (int)skep_load32(&pool->start_result) != 1;
}

static bool is_ended(void *context)
{
        const skep_pool *pool = context;
        return skep_load32(&pool->ended);
}

static void pool_free(skep_pool *pool)
{
        skep_queue_unref(pool->tickets);
        if (pool->poke_fd >= 0)
                os_close(pool->poke_fd);
        free(pool->program);
        object_unref(&pool->base); /* frees it */
}

static int fill(skep_pool *pool, const struct skep_pool_options *options)
{
        skep_hive *hive = pool->base.hive;
        struct skep_agent *agent;
        pool->shared = pool->base.shared;
        pool->member = hive->member;
        pool->workers = options->workers;
        pool->start = options->start;
        pool->start_result = 1;
        pool->shared->owner = hive->member;
        pool->shared->owner_word = skep_load(&hive->members[hive->member].word);
        pool->poke_fd = os_event_create();
        int result = pool->poke_fd;
        if (result >= 0 && options->program && !(pool->program = strdup(options->program)))
                result = -ENOMEM;
        if (result >= 0)
                result = skep_queue_create(hive, NULL, &pool->tickets);
        if (result >= 0)
                result = agent_self(hive, &agent);
        return result < 0 ? result : claim_link(agent, &pool->shared->tickets, queue_block(pool->tickets));
}

static void pool_unlist(skep_pool *pool)
{
        pool_lock();
        skep_pool **link = &pools;
        while (*link && *link != pool)
                link = &(*link)->next;
        if (*link)
                *link = pool->next;
        pool_unlock();
}

int skep_pool_create(skep_hive *hive, const struct skep_pool_options *given, skep_pool **ret_pool)
{
        struct skep_pool_options options;
        struct object *object;
        int result = options_copy(&options, sizeof options, given);
        if (result == 0)
                result = hive && ret_pool ? options_check(&options) : -EINVAL;
        if (result == 0)
                result = object_create(hive, BLOCK_POOL, NULL, sizeof(struct shm_pool) + options.workers * sizeof(struct shm_worker), pool_format, &options,
                                       &object);
        if (result < 0)
                return result;
        skep_pool *pool = (skep_pool *)object;
        result = fill(pool, &options);
        if (result == 0)
                result = os_thread_start(keeper_run, pool, &pool->keeper);
        if (result < 0) {
                pool_free(pool);
                return result;
        }
        (void)pool_wait(pool, is_started, pool, skep_forever());
        while (!is_started(pool))
                os_yield(); /* the wait was interrupted: the keeper must not be left alone */
        pool_lock();
        pool->next = pools;
        pools = pool;
        pool_unlock();
        result = (int)pool->start_result;
        if (result < 0)
                skep_pool_unref(pool);
        else
                *ret_pool = pool;
        return result;
}

/* --- end -------------------------------------------------------------------------------------------------------------------------- */

static int end(skep_pool *pool, enum pool_state state)
{
        int result = pool_is_mine(pool);
        if (result == 0) {
                state_raise(pool, state);
                pool_poke(pool);
        }
        return result;
}

int skep_pool_close(skep_pool *pool)
{
        return end(pool, POOL_CLOSED);
}

int skep_pool_terminate(skep_pool *pool)
{
        return end(pool, POOL_TERMINATED);
}

static bool all_is_done(void *context)
{
        skep_pool *pool = context;
        pool_prune(pool);
        pool_lock();
        bool done = !pool->live_count;
        pool_unlock();
        return done || is_ended(pool);
}

int skep_pool_join(skep_pool *pool, skep_deadline deadline)
{
        int result = pool_is_mine(pool);
        if (result == 0 && state_of(pool) == POOL_OPEN)
                result = -EBUSY;
        if (result == 0)
                result = pool_wait(pool, all_is_done, pool, deadline);
        if (result < 0)
                return result;
        pool_poke(pool);
        return pool_wait(pool, is_ended, pool, deadline);
}

skep_pool *skep_pool_unref(skep_pool *pool)
{
        if (!pool)
                return NULL;
        pool_unlist(pool);
        if (pool_is_mine(pool) == 0) {
                (void)skep_pool_terminate(pool);
                (void)pthread_join(pool->keeper, NULL);
                if (pool->has_teller)
                        (void)pthread_join(pool->teller, NULL);
        }
        pool_free(pool);
        return NULL;
}

/* At exit() or detach: workers do not outlive us, and the last to leave takes the hive's name along. */
static void pools_leave(skep_hive *hive)
{
        for (int pass = 0; pass < 2; pass++)
                for (skep_pool *pool = pools; pool; pool = pool->next)
                        if (pool->base.hive == hive && pool_is_mine(pool) == 0) {
                                (void)skep_pool_terminate(pool);
                                if (pass)
                                        (void)!skep_pool_join(pool, skep_forever());
                        }
}

/* --- look -------------------------------------------------------------------------------------------------------------------------- */

int skep_pool_worker(skep_pool *pool, uint32_t index, struct skep_worker_stat *ret_stat)
{
        int result = pool_is_mine(pool);
        if (result == 0 && index >= pool->workers)
                result = -ERANGE;
        if (result < 0)
                return result;
        const struct shm_worker *record = &pool->shared->worker[index];
        uint64_t task = skep_load_relaxed(&record->task);
        *ret_stat = (struct skep_worker_stat){
                .pid = (int64_t)skep_load_relaxed(&record->pid),
                .running = task != 0,
                .task = task ? task - 1 : 0,
                .done = skep_load_relaxed(&record->done),
                .failed = skep_load_relaxed(&record->failed),
        };
        return 0;
}

int skep_pool_stat(skep_pool *pool, struct skep_pool_stat *ret_stat)
{
        int result = pool_is_mine(pool);
        if (result < 0)
                return result;
        struct skep_pool_stat stat = {.workers = pool->workers, .failed = skep_load_relaxed(&pool->lost), .replaced = skep_load_relaxed(&pool->replaced)};
        for (uint32_t i = 0; i < pool->workers; i++) {
                struct skep_worker_stat worker;
                (void)skep_pool_worker(pool, i, &worker);
                stat.alive += worker.pid != 0;
                stat.running += worker.running;
                stat.done += worker.done;
                stat.failed += worker.failed;
        }
        pool_prune(pool);
        pool_lock();
        stat.jobs = pool->live_count;
        pool_unlock();
        *ret_stat = stat;
        return 0;
}

int skep_pool_broken(skep_pool *pool, char *buffer, size_t bytes)
{
        int result = pool_is_mine(pool);
        if (result < 0)
                return result;
        pool_lock();
        if (bytes)
                (void)snprintf(buffer, bytes, "%s", pool->broken);
        pool_unlock();
        return 0;
}

/* --- the kind ----------------------------------------------------------------------------------------------------------------------- */

static void pool_destroy(struct skep_agent *agent, struct shm_block *block)
{
        uint64_t bytes;
        struct shm_pool *shared = heap_data(agent->hive, block, &bytes);
        if (shared && bytes >= sizeof *shared && skep_load(&shared->tickets))
                claim_unlink(agent, &shared->tickets);
}

static uint64_t pool_verify(skep_hive *hive, struct shm_block *block)
{
        uint64_t bytes;
        const struct shm_pool *shared = heap_data(hive, block, &bytes);
        if (!shared || pool_check(shared, bytes) < 0)
                return 1;
        uint64_t offset = skep_load(&shared->tickets);
        const struct shm_block *tickets = claim_find(hive, offset, 0);
        return offset && (!tickets || claim_kind(tickets) != BLOCK_QUEUE);
}

static void pool_inspect(skep_hive *hive, struct shm_block *block, struct skep_object_info *info)
{
        uint64_t bytes;
        const struct shm_pool *shared = heap_data(hive, block, &bytes);
        if (!shared || pool_check(shared, bytes) < 0)
                return;
        info->value = shared->workers;
        info->owner_pid = member_pid(hive, shared->owner);
}

static const struct kind pool_kind = {
        .name = "pool",
        .shared_bytes = sizeof(struct shm_pool),
        .handle_bytes = sizeof(struct skep_pool),
        .destroy = pool_destroy,
        .verify = pool_verify,
        .inspect = pool_inspect,
};

__attribute__((constructor)) static void pool_kind_register(void)
{
        kind_register(BLOCK_POOL, &pool_kind);
        leave_register(pools_leave);
}
