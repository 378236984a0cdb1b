/* SPDX-License-Identifier: Apache-2.0 */
/*
 * future.c - jobs as their maker sees them: hand in, wait, look, cancel.
 *
 * A future is a process's own; what it tells is read from the job's words (job.c).  A forked child may read results, but not wait:
 * nobody would tell it that the maker has died.
 * THEN.  A thread of the pool, the teller, is started with the first function that is to be called.  It sleeps until a job is
 *        complete, as everybody who waits for one of many does.
 */
#include "base/checked.h"
#include "os/os.h"
#include "pool/pool.h"
#include "sync/wait.h"

#include <errno.h>
#include <skep/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static skep_future *futures; /* of this process; under pool_lock() */

/* --- come and go ---------------------------------------------------------------------------------------------------------- */

void future_enlist(skep_future *future)
{
        pool_lock();
        future->next = futures;
        if (futures)
                futures->previous = future;
        futures = future;
        pool_unlock();
}

void future_free(skep_future *future)
{
        pool_lock();
        *(future->previous ? &future->previous->next : &futures) = future->next;
        if (future->next)
                future->next->previous = future->previous;
        pool_unlock();
        object_unref(future->job.object);
        free(future);
}

void futures_forget(void)
{
        for (skep_future *future = futures; future; future = future->next)
                object_unref(future->job.object);
        futures = NULL;
}

static void reference(skep_future *future)
{
        pool_lock();
        future->references++;
        pool_unlock();
}

skep_future *skep_future_unref(skep_future *future)
{
        if (!future)
                return NULL;
        pool_lock();
        if (job_is_complete(&future->job) && !future->then && pool_leave_locked(future))
                future->references--;
        bool last = !--future->references;
        pool_unlock();
        if (last)
                future_free(future);
        return NULL;
}

/* --- hand in ---------------------------------------------------------------------------------------------------------------- */

static int future_new(skep_pool *pool, const struct skep_job_options *options, skep_future **ret_future)
{
        skep_future *future = calloc(1, sizeof *future);
        if (!future)
                return -ENOMEM;
        int result = job_create(pool->base.hive, options, pool->workers, &future->job);
        if (result < 0) {
                free(future);
                return result;
        }
        future->hive = pool->base.hive;
        future->member = pool->member;
        future->references = 1;
        future_enlist(future);
        *ret_future = future;
        return 0;
}

/* As many tickets as can be of use; one will do, if there is no room for more. */
static int tickets_put(skep_pool *pool, skep_future *future)
{
        uint64_t count = future->job.chunks < pool->workers ? future->job.chunks : pool->workers, i = 0;
        int result = 0;
        while (i < count && (result = pool_ticket(pool, &future->job)) == 0)
                i++;
        if (i || result == -ESHUTDOWN) /* terminated meanwhile: cancelled with the others */
                return 0;
        pool_leave(future);
        return result;
}

static int hand_in(skep_pool *pool, const struct skep_job_options *given, uint64_t chunk, skep_future **ret_future)
{
        struct skep_job_options options;
        skep_future *future;
        int result = given && ret_future ? options_copy(&options, sizeof options, given) : -EINVAL;
        if (result == 0)
                result = pool_is_mine(pool);
        if (result < 0)
                return result;
        if (!options.chunk)
                options.chunk = chunk;
        if (skep_load_relaxed(&pool->live_count) > pool->prune_at)
                pool_prune(pool);
        result = future_new(pool, &options, &future);
        if (result < 0)
                return result;
        result = pool_enter(pool, future);
        if (result == 0)
                result = tickets_put(pool, future);
        if (result < 0)
                skep_future_unref(future);
        else
                *ret_future = future;
        return result;
}

int skep_pool_map_async(skep_pool *pool, const struct skep_job_options *options, skep_future **ret_future)
{
        return hand_in(pool, options, 0, ret_future);
}

int skep_pool_imap(skep_pool *pool, const struct skep_job_options *options, skep_future **ret_future)
{
        return hand_in(pool, options, 1, ret_future);
}

int skep_pool_map(skep_pool *pool, const struct skep_job_options *options, skep_future **ret_future)
{
        skep_future *future;
        int result = ret_future ? hand_in(pool, options, 0, &future) : -EINVAL;
        if (result < 0)
                return result;
        result = skep_future_wait(future, skep_forever());
        if (result < 0)
                skep_future_unref(future); /* interrupted */
        else
                *ret_future = future;
        return result;
}

int skep_pool_submit(skep_pool *pool, const char *function, const void *argument, size_t argument_bytes, size_t result_bytes, skep_future **ret_future)
{
        return hand_in(pool, SKEP_JOB_OPTIONS(.function = function, .items = argument, .item_bytes = argument_bytes, .result_bytes = result_bytes), 1,
                       ret_future);
}

/* --- wait --------------------------------------------------------------------------------------------------------------------- */

static int is_mine(const skep_future *future)
{
        return future->member == future->hive->member ? 0 : -EPERM;
}

typedef bool future_condition(const skep_future *future, uint64_t what);

static int wait_for(skep_future *future, uint32_t *event, future_condition *condition, uint64_t what, skep_deadline deadline)
{
        struct skep_agent *agent;
        if (condition(future, what))
                return 0;
        int result = is_mine(future);
        if (result == 0)
                result = agent_self(future->hive, &agent);
        if (result < 0)
                return result;
        wait_begins(agent, event, 0);
        for (;;) {
                uint32_t key = event_prepare(event);
                if (wait_interrupted(result) || condition(future, what) || result < 0)
                        break;
                result = wait_slice(event, key, deadline);
        }
        wait_ends(agent);
        return wait_interrupted(result) ? result : condition(future, what) ? 0 : result;
}

static bool is_complete(const skep_future *future, uint64_t unused)
{
        (void)unused;
        return job_is_complete(&future->job);
}

static bool task_is_ended(const skep_future *future, uint64_t task)
{
        return task_is_final(skep_load32(&future->job.status[task]));
}

static int outcome(const skep_future *future)
{
        return skep_load32(&future->job.shared->failed) && skep_future_failure(future, 0, NULL) < 0 ? SKEP_TASKS_FAILED : 0;
}

int skep_future_wait(skep_future *future, skep_deadline deadline)
{
        int result = wait_for(future, &future->job.shared->finished, is_complete, 0, deadline);
        return result < 0 ? result : outcome(future);
}

int skep_future_next(skep_future *future, uint64_t *ret_index, const void **ret_result, skep_deadline deadline)
{
        uint64_t task = future->next_task;
        if (task >= future->job.count)
                return -ERANGE;
        int result = wait_for(future, &future->job.shared->progress, task_is_ended, task, deadline);
        if (result < 0)
                return result;
        future->next_task++;
        if (ret_index)
                *ret_index = task;
        return skep_future_result(future, task, ret_result) < 0 ? SKEP_TASKS_FAILED : 0;
}

struct any {
        skep_future *const *futures;
        size_t count, found;
};

static bool any_is_complete(void *context)
{
        struct any *any = context;
        for (any->found = 0; any->found < any->count; any->found++)
                if (job_is_complete(&any->futures[any->found]->job))
                        return true;
        return false;
}

int skep_future_wait_any(skep_future *const *futures_, size_t count, size_t *ret_index, skep_deadline deadline)
{
        struct any any = {futures_, count, 0};
        skep_pool *pool = NULL;
        int result = count && futures_ && ret_index ? 0 : -EINVAL;
        if (result == 0 && !any_is_complete(&any)) {
                pool_lock();
                for (size_t i = 0; i < count && result == 0; i++) {
                        if (futures_[i]->pool && pool && futures_[i]->pool != pool)
                                result = -EINVAL;
                        pool = futures_[i]->pool ? futures_[i]->pool : pool;
                }
                pool_unlock();
                if (result == 0 && pool)
                        result = is_mine(futures_[0]);
                if (result == 0 && pool)
                        result = pool_wait(pool, any_is_complete, &any, deadline);
        }
        if (result == 0)
                *ret_index = any.found;
        return result;
}

int skep_future_as_completed(skep_future **futures_, size_t count, size_t *given, skep_deadline deadline)
{
        size_t found;
        if (*given >= count)
                return -ERANGE;
        int result = skep_future_wait_any(futures_ + *given, count - *given, &found, deadline);
        if (result < 0)
                return result;
        skep_future *next = futures_[*given + found];
        futures_[*given + found] = futures_[*given];
        futures_[(*given)++] = next;
        return 0;
}

/* --- look ----------------------------------------------------------------------------------------------------------------------- */

int skep_future_is_done(const skep_future *future)
{
        return job_is_complete(&future->job);
}

void *skep_future_results(const skep_future *future)
{
        return future->job.results;
}

int skep_future_result(const skep_future *future, uint64_t index, const void **ret_result)
{
        if (index >= future->job.count)
                return -ERANGE;
        uint32_t status = skep_load32(&future->job.status[index]);
        if (!task_is_final(status))
                return -EAGAIN;
        if (ret_result)
                *ret_result = future->job.results ? future->job.results + index * future->job.result_bytes : NULL;
        return task_phase(status) == TASK_FAILED ? -(int)task_value(status) : 0;
}

int skep_future_error(const skep_future *future, uint64_t index, char *buffer, size_t bytes)
{
        int result = skep_future_result(future, index, NULL);
        const char *text = result < 0 ? job_explanation(&future->job, index) : "";
        bool final = result != -ERANGE && (result != -EAGAIN || task_is_ended(future, index));
        if (bytes)
                (void)snprintf(buffer, bytes, "%.*s", (int)sizeof future->job.failures[0].text - 1, !final ? "" : text ? text : skep_strerror(result));
        return result;
}

int skep_future_failure(const skep_future *future, uint64_t from, uint64_t *ret_index)
{
        for (uint64_t i = from; i < future->job.count; i++) {
                uint32_t status = skep_load32(&future->job.status[i]);
                if (task_phase(status) == TASK_FAILED) {
                        if (ret_index)
                                *ret_index = i;
                        return -(int)task_value(status);
                }
        }
        return 0;
}

int skep_future_progress(const skep_future *future, struct skep_future_progress *ret_progress)
{
        struct skep_future_progress progress = {.count = future->job.count};
        for (uint64_t i = 0; i < progress.count; i++) {
                enum task_phase phase = task_phase(skep_load32(&future->job.status[i]));
                progress.done += phase == TASK_DONE;
                progress.failed += phase == TASK_FAILED;
                progress.running += phase == TASK_BEGUN;
        }
        *ret_progress = progress;
        return 0;
}

/* --- cancel, then ----------------------------------------------------------------------------------------------------------------- */

int skep_future_cancel(skep_future *future)
{
        struct skep_agent *agent;
        int result = is_mine(future);
        if (result == 0)
                result = agent_self(future->hive, &agent);
        if (result == 0 && job_is_complete(&future->job))
                result = -EBUSY;
        if (result < 0)
                return result;
        uint64_t cancelled = job_cancel(&future->job, agent, ECANCELED);
        if (!job_finish(&future->job))
                return cancelled ? 0 : -EBUSY;
        pool_lock();
        if (future->pool) /* else everybody knows */
                event_notify(&future->pool->shared->completed, INT32_MAX);
        pool_unlock();
        return 0;
}

/* One that is complete and has a function to call; it is no longer live. */
static skep_future *tell_next(skep_pool *pool)
{
        pool_lock();
        skep_future *future = pool->live;
        while (future && !(future->then && job_is_complete(&future->job)))
                future = future->live_next;
        pool_unlock();
        return future;
}

static bool has_to_tell(void *context)
{
        skep_pool *pool = context;
        return tell_next(pool) || skep_load32(&pool->ended);
}

static void tell(skep_future *future)
{
        reference(future);
        skep_future_function *function = future->then;
        pool_lock();
        future->then = NULL;
        pool_unlock();
        pool_leave(future);
        function(future, future->then_context);
        skep_future_unref(future);
}

void *pool_teller(void *argument)
{
        skep_pool *pool = argument;
        skep_future *future;
        for (;;) {
                bool last = skep_load32(&pool->ended);
                while ((future = tell_next(pool)))
                        tell(future);
                if (last)
                        return NULL;
                (void)pool_wait(pool, has_to_tell, pool, skep_forever());
        }
}

static int teller_start(skep_pool *pool)
{
        int result = 0;
        if (!pool->has_teller)
                result = os_thread_start(pool_teller, pool, &pool->teller);
        pool->has_teller |= result == 0;
        return result;
}

int skep_future_then(skep_future *future, skep_future_function *function, void *context)
{
        int result = function ? is_mine(future) : -EINVAL;
        if (result < 0)
                return result;
        pool_lock();
        skep_pool *pool = future->pool;
        if (pool && future->then)
                result = -EBUSY;
        else if (pool)
                result = teller_start(pool);
        if (pool && result == 0) {
                future->then = function;
                future->then_context = context;
                event_notify(&pool->shared->completed, INT32_MAX);
        }
        pool_unlock();
        if (!pool)
                function(future, context);
        return result;
}
