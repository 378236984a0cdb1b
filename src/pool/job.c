/* SPDX-License-Identifier: Apache-2.0 */
/*
 * job.c - tasks in chunks that workers claim, run and leave, and that their pool's keeper settles when a worker has ended.
 *
 * THE CHUNK WORD.  {agent 28, phase 4}
 *
 *   state     word            left by                                                             to
 *   FREE      0               worker or canceller, compare-and-swap                               RUNNING(me)
 *   RUNNING   {agent, 1}      that agent, when all its tasks are final                            DONE
 *                             that agent, when it may begin no more tasks                         FREE
 *                             the keeper, after that agent's process has ended: tasks settled     FREE, or DONE if all are final
 *   DONE      2               nobody
 *
 * A TASK'S STATUS.  {value 30, phase 2}; written by whom its chunk names, or by the keeper for him
 *
 *   PENDING(n)   0..          runner, before the call                     BEGUN(n)
 *                             runner, if the job is cancelled             FAILED(cancelled)
 *   BEGUN(n)                  runner, after the call                      DONE, FAILED(error)
 *                             keeper: its runner ended in it              PENDING(n + 1) if n < retries, else FAILED(EOWNERDEAD);
 *                                                                         FAILED(cancelled) if the job is
 *   DONE, FAILED              nobody
 *
 * So a task that was not begun is never blamed, one that was ended is never run again, and the one between, which nobody can
 * tell, is reported or, when asked for, run again.  Whoever gets a chunk passes over what is final: the statuses are its progress.
 *
 * HINTS.     cursor {lowered, index}: below it no chunk is free.  Raised by compare-and-swap after a claim; lowered after a
 *            chunk became free, and every lowering counts, so that who looked before it cannot raise over it.  settled: below
 *            it all chunks are DONE.
 * COMPLETE.  Who finds no free chunk looks whether all are DONE.  A chunk becomes DONE by a sequentially consistent exchange
 *            before that look, so of those who leave the last sees all.  There is no count of the ones done that a death could
 *            falsify.
 * WAKING.    `finished` wakes who waits for the job, `progress` who waits for a task; both cost a look when nobody does.
 *
 * CRASH.  dies                                    found as                      repaired by
 *         between claim and cursor                RUNNING(dead)                 keeper: free again; the cursor is a hint
 *         in a task                               BEGUN, RUNNING(dead)          keeper: PENDING(n + 1) or FAILED
 *         between tasks                           RUNNING(dead)                 keeper: free again, what is final stays
 *         after DONE, before looking for the end  nobody has said complete      keeper: looks
 *         after FREE, before lowering             a free chunk below the cursor keeper: lowers it
 *         after complete, before waking           sleepers' slices end          they see it
 *         writing a failure's text                BEGUN                         keeper: overwrites the text
 * The keeper is a thread of the pool's maker: if it dies, there is nobody to whom a task could be reported, and the block goes
 * with its last claim.  It settles one worker at a time, and only its own.
 *
 * GUIDED.    Rounds of @p parties chunks; each hands out half of what is left, so the last ones have one task.
 * SOURCE.    Factoring: Hummel, Schonberg, Flynn (CACM 35/8, 1992).
 */
#include "pool/job.h"

#include "base/checked.h"
#include "base/probe.h"
#include "sync/wait.h"

#include <errno.h>
#include <skep/inspect.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum chunk_phase { CHUNK_FREE, CHUNK_RUNNING, CHUNK_DONE };

#define CURSOR_BITS 40
#define CURSOR_MASK ((UINT64_C(1) << CURSOR_BITS) - 1)

static enum chunk_phase chunk_phase(uint64_t word)
{
        return (enum chunk_phase)(word & 15);
}

static uint64_t chunk_running(uint32_t agent)
{
        return (uint64_t)agent << 4 | CHUNK_RUNNING;
}

static uint32_t status_of(enum task_phase phase, uint32_t value)
{
        return value << 2 | (uint32_t)phase;
}

/* --- how it is cut and where things lie ---------------------------------------------------------------------------------- */

/* Fills in rounds and chunks. @return 0, -EINVAL */
static int cut(struct job *job)
{
        if (!job->count || job->count > JOB_TASKS_MAX || !job->parties)
                return -EINVAL;
        job->rounds = 0;
        if (job->chunk) {
                job->chunks = (job->count - 1) / job->chunk + 1;
                return 0;
        }
        job->chunks = 0;
        for (uint64_t first = 0; first < job->count && job->rounds < JOB_ROUNDS_MAX; job->rounds++) {
                uint64_t rest = job->count - first, parties = job->parties, size = (rest - 1) / (2 * parties) + 1;
                uint64_t chunks = size * parties <= rest ? parties : (rest - 1) / size + 1;
                job->round_first[job->rounds] = first;
                job->round_chunk[job->rounds] = size;
                job->chunks += chunks;
                first += size * chunks;
        }
        return 0;
}

void job_bounds(const struct job *job, uint64_t chunk, uint64_t *ret_first, uint64_t *ret_count)
{
        uint64_t first, size = job->chunk;
        if (size) {
                first = chunk * size;
        } else {
                uint64_t round = chunk / job->parties;
                size = job->round_chunk[round];
                first = job->round_first[round] + chunk % job->parties * size;
        }
        *ret_first = first;
        *ret_count = size < job->count - first ? size : job->count - first;
}

/* @return whether it fits */
static bool place(uint64_t *at, uint64_t count, uint64_t bytes, uint64_t *ret_place)
{
        uint64_t all;
        *ret_place = *at;
        if (!checked_mul(count, bytes, &all) || all > INT64_MAX / 2 || *at > INT64_MAX / 2)
                return false;
        *at = align_up(*at + all, 64);
        return true;
}

/* Addresses behind shared, NULL for the size alone. @return 0, -EOVERFLOW, -EINVAL */
static int lay_out(struct job *job, uint64_t references, uint64_t *ret_bytes)
{
        uint64_t at = sizeof(struct shm_job), references_at, chunks_at, failures_at, status_at, items_at, results_at;
        int result = cut(job);
        if (result < 0)
                return result;
        job->failure_count = job->count < JOB_FAILURES_MAX ? (uint32_t)job->count : JOB_FAILURES_MAX;
        if (!place(&at, references, sizeof(uint64_t), &references_at) || !place(&at, job->chunks, sizeof(uint64_t), &chunks_at) ||
            !place(&at, job->failure_count, sizeof(struct shm_failure), &failures_at) || !place(&at, job->count, sizeof(uint32_t), &status_at) ||
            !place(&at, job->count, job->item_bytes, &items_at) || !place(&at, job->count, job->result_bytes, &results_at))
                return -EOVERFLOW;
        *ret_bytes = at;
        uint8_t *base = (uint8_t *)job->shared;
        if (!base)
                return 0;
        job->references = (uint64_t *)(base + references_at);
        job->chunk_words = (uint64_t *)(base + chunks_at);
        job->failures = (struct shm_failure *)(base + failures_at);
        job->status = (uint32_t *)(base + status_at);
        job->items = job->item_bytes ? base + items_at : NULL;
        job->results = job->result_bytes ? base + results_at : NULL;
        return 0;
}

/* What the head of a block says, if it fits into the block. @return 0, -EBADMSG */
static int view(struct shm_job *shared, uint64_t shared_bytes, struct job *ret_job)
{
        uint64_t bytes, references = skep_load_relaxed(&shared->references);
        *ret_job = (struct job){
                .shared = shared,
                .count = skep_load_relaxed(&shared->count),
                .item_bytes = skep_load_relaxed(&shared->item_bytes),
                .result_bytes = skep_load_relaxed(&shared->result_bytes),
                .chunk = skep_load_relaxed(&shared->chunk),
                .parties = skep_load32_relaxed(&shared->parties),
                .retries = skep_load32_relaxed(&shared->retries),
        };
        return lay_out(ret_job, references, &bytes) < 0 || bytes > shared_bytes ? -EBADMSG : 0;
}

/* --- make and attach ------------------------------------------------------------------------------------------------------ */

/* The words are zeros: all free, all pending.  Items and results need none, so only what lies before them is cleared. */
static void format(struct shm_job *shared, struct job *job, const struct skep_job_options *options)
{
        uint64_t bytes;
        struct shm_job head = {.count = job->count, .item_bytes = job->item_bytes, .result_bytes = job->result_bytes, .chunk = job->chunk,
                               .chunks = job->chunks, .parties = job->parties, .retries = job->retries, .references = options->reference_count};
        memcpy(head.function, options->function, strlen(options->function));
        *shared = head;
        job->shared = shared;
        (void)lay_out(job, options->reference_count, &bytes);
        memset(job->references, 0, (size_t)((uint8_t *)(job->status + job->count) - (uint8_t *)job->references));
        if (job->items && options->items)
                memcpy(job->items, options->items, job->count * job->item_bytes);
}

static int options_check(const struct skep_job_options *options)
{
        if (!options->function || !*options->function || options->reserved || (options->item_bytes && !options->items) ||
            (options->reference_count && !options->references) || options->retries >= UINT32_C(1) << 30)
                return -EINVAL;
        return strlen(options->function) > SKEP_NAME_MAX ? -ENAMETOOLONG : 0;
}

static int link_references(struct skep_agent *agent, const struct job *job, const struct skep_job_options *options)
{
        int result = 0;
        for (size_t i = 0; i < options->reference_count && result == 0; i++) {
                struct shm_block *block = claim_find(agent->hive, options->references[i].offset, options->references[i].serial);
                result = block && options->references[i].serial && claim_is_mine(agent->hive, block) ? claim_link(agent, &job->references[i], block) : -ESTALE;
        }
        return result;
}

int job_create(skep_hive *hive, const struct skep_job_options *options, uint32_t parties, struct job *ret_job)
{
        struct skep_agent *agent;
        struct shm_block *block;
        struct job job = {.count = options->count ? options->count : 1, .item_bytes = options->item_bytes, .result_bytes = options->result_bytes,
                          .chunk = options->chunk, .parties = parties, .retries = options->retries};
        uint64_t bytes, usable;
        int result = options_check(options);
        if (result == 0)
                result = lay_out(&job, options->reference_count, &bytes);
        if (result == 0)
                result = agent_self(hive, &agent);
        if (result == 0)
                result = heap_take(agent, bytes, &block);
        if (result < 0)
                return result;
        format(heap_data(hive, block, &usable), &job, options);
        claim_adopt(agent, block, BLOCK_JOB); /* LIVE only now, and with no references yet: as a bundle */
        result = object_of_block(agent, block, &job.object);
        if (result == 0)
                result = link_references(agent, &job, options);
        if (result < 0)
                object_unref(job.object);
        else
                *ret_job = job;
        (void)claim_unref(agent, block); /* the object has its own */
        return result;
}

int job_attach(skep_hive *hive, skep_block reference, struct job *ret_job)
{
        struct object *object;
        int result = object_attach(hive, BLOCK_JOB, reference, &object);
        if (result < 0)
                return result;
        result = view(object->shared, object->shared_bytes, ret_job);
        ret_job->object = object;
        if (result < 0)
                object_unref(object);
        return result;
}

/* --- claim and run -------------------------------------------------------------------------------------------------------- */

#define NO_CHUNK UINT64_MAX

static bool cursor_move(const struct job *job, uint64_t *seen, uint64_t lowered, uint64_t index)
{
        return skep_cas(&job->shared->cursor, seen, lowered << CURSOR_BITS | index);
}

static uint64_t chunk_claim(const struct job *job, uint32_t agent)
{
        uint64_t cursor = skep_load(&job->shared->cursor);
        for (;;) {
                uint64_t chunk = cursor & CURSOR_MASK, word = 0;
                while (chunk < job->chunks && chunk_phase(word = skep_load(&job->chunk_words[chunk])) != CHUNK_FREE)
                        chunk++;
                if (chunk >= job->chunks) {
                        if ((cursor & CURSOR_MASK) >= job->chunks || cursor_move(job, &cursor, cursor >> CURSOR_BITS, job->chunks))
                                return NO_CHUNK;
                } else if (skep_cas(&job->chunk_words[chunk], &word, chunk_running(agent))) {
                        PROBE("job.claimed");
                        (void)cursor_move(job, &cursor, cursor >> CURSOR_BITS, chunk + 1);
                        PROBE("job.cursor");
                        return chunk;
                }
        }
}

static void cursor_lower(const struct job *job, uint64_t chunk)
{
        uint64_t seen = skep_load(&job->shared->cursor);
        while (!cursor_move(job, &seen, (seen >> CURSOR_BITS) + 1, chunk < (seen & CURSOR_MASK) ? chunk : seen & CURSOR_MASK))
                ;
        PROBE("job.lowered");
}

static void chunk_leave(const struct job *job, uint64_t chunk, enum chunk_phase phase)
{
        (void)skep_exchange(&job->chunk_words[chunk], phase);
        PROBE("job.chunk");
        if (phase == CHUNK_FREE)
                cursor_lower(job, chunk);
        event_notify(&job->shared->progress, INT32_MAX);
}

/* `failed` first: while it is 0 no task has. */
static void task_fail(const struct job *job, uint64_t task, uint32_t error)
{
        skep_store32(&job->shared->failed, 1);
        skep_store32(&job->status[task], status_of(TASK_FAILED, error & (UINT32_MAX >> 2)));
}

/* @return whether it was begun */
static inline bool task_run(const struct job *job, struct job_runner *runner, struct skep_task *task, uint64_t index, uint32_t died)
{
        uint32_t *status = &job->status[index];
        task->index = index;
        task->item = job->items ? job->items + index * job->item_bytes : NULL;
        task->result = job->results ? job->results + index * job->result_bytes : NULL;
        task->attempt = died;
        skep_store_relaxed(runner->task, index + 1);
        skep_store32(status, status_of(TASK_BEGUN, died));
        PROBE("job.begun");
        int result = runner->function(task);
        if (result < 0)
                task_fail(job, index, (uint32_t)-result);
        else
                skep_store32(status, status_of(TASK_DONE, 0));
        PROBE("job.ended");
        return result >= 0;
}

/* What is left of a chunk that names us. */
static void chunk_run(const struct job *job, struct job_runner *runner, uint64_t chunk)
{
        uint64_t first, count, done = skep_load_relaxed(runner->done), failed = skep_load_relaxed(runner->failed);
        struct skep_task task = {.hive = runner->agent->hive, .item_bytes = job->item_bytes, .result_bytes = job->result_bytes, .job = job};
        enum chunk_phase phase = CHUNK_DONE;
        job_bounds(job, chunk, &first, &count);
        for (uint64_t i = first; i < first + count && phase == CHUNK_DONE; i++) {
                uint32_t status = skep_load32(&job->status[i]), cancelled = skep_load32_relaxed(&job->shared->cancelled);
                if (task_is_final(status))
                        continue;
                if (cancelled) {
                        task_fail(job, i, cancelled);
                        PROBE("job.cancelled");
                } else if (!runner->left) {
                        phase = CHUNK_FREE;
                } else if (runner->left--, task_run(job, runner, &task, i, task_value(status))) {
                        skep_store_relaxed(runner->done, ++done);
                } else {
                        skep_store_relaxed(runner->failed, ++failed);
                }
        }
        skep_store_relaxed(runner->task, 0);
        chunk_leave(job, chunk, phase);
}

bool job_finish(const struct job *job)
{
        skep_fence();
        uint64_t known = skep_load(&job->shared->settled), settled = known;
        while (settled < job->chunks && chunk_phase(skep_load(&job->chunk_words[settled])) == CHUNK_DONE)
                settled++;
        while (known < settled && !skep_cas(&job->shared->settled, &known, settled))
                ;
        PROBE("job.settled");
        if (settled < job->chunks || skep_exchange32(&job->shared->complete, 1))
                return false;
        PROBE("job.complete");
        event_notify(&job->shared->finished, INT32_MAX);
        event_notify(&job->shared->progress, INT32_MAX);
        return true;
}

bool job_work(const struct job *job, struct job_runner *runner)
{
        uint64_t chunk;
        while (runner->left && (chunk = chunk_claim(job, runner->agent->id)) != NO_CHUNK)
                chunk_run(job, runner, chunk);
        return job_finish(job);
}

uint64_t job_cancel(const struct job *job, struct skep_agent *agent, uint32_t error)
{
        uint64_t chunks = 0, chunk, unused[3] = {0};
        struct job_runner nobody = {.agent = agent, .task = &unused[0], .done = &unused[1], .failed = &unused[2]};
        (void)skep_exchange32(&job->shared->cancelled, error);
        PROBE("job.cancels");
        for (; (chunk = chunk_claim(job, agent->id)) != NO_CHUNK; chunks++)
                chunk_run(job, &nobody, chunk);
        return chunks;
}

/* --- a worker has ended ----------------------------------------------------------------------------------------------------- */

static void task_blame(const struct job *job, uint64_t task, int64_t pid, const char *why)
{
        char text[sizeof job->failures[0].text];
        (void)snprintf(text, sizeof text, "task %llu of %.32s: its worker, process %lld, %s", (unsigned long long)task, job->shared->function,
                       (long long)pid, why);
        job_explain(job, task, text);
        task_fail(job, task, EOWNERDEAD);
}

static void chunk_settle(const struct job *job, uint64_t chunk, int64_t pid, const char *why, uint64_t *ret_failed)
{
        uint64_t first, count, pending = 0;
        job_bounds(job, chunk, &first, &count);
        for (uint64_t i = first; i < first + count; i++) {
                uint32_t status = skep_load32(&job->status[i]), died = task_value(status);
                if (task_phase(status) == TASK_BEGUN) {
                        uint32_t cancelled = skep_load32(&job->shared->cancelled);
                        if (cancelled)
                                task_fail(job, i, cancelled);
                        else if (died < job->retries)
                                skep_store32(&job->status[i], status_of(TASK_PENDING, died + 1));
                        else
                                task_blame(job, i, pid, why);
                        PROBE("job.blamed");
                        *ret_failed += task_is_final(skep_load32(&job->status[i]));
                }
                pending += !task_is_final(skep_load32(&job->status[i]));
        }
        chunk_leave(job, chunk, pending ? CHUNK_FREE : CHUNK_DONE);
}

bool job_settle(const struct job *job, uint32_t dead, int64_t pid, const char *why, uint64_t *ret_failed)
{
        uint64_t free = NO_CHUNK;
        for (uint64_t chunk = skep_load(&job->shared->settled); chunk < job->chunks; chunk++) {
                if (dead && skep_load(&job->chunk_words[chunk]) == chunk_running(dead))
                        chunk_settle(job, chunk, pid, why, ret_failed);
                if (free == NO_CHUNK && chunk_phase(skep_load(&job->chunk_words[chunk])) == CHUNK_FREE)
                        free = chunk;
        }
        if (free != NO_CHUNK && free < (skep_load(&job->shared->cursor) & CURSOR_MASK))
                cursor_lower(job, free);
        return free != NO_CHUNK;
}

/* --- why tasks failed --------------------------------------------------------------------------------------------------------- */

/* A place for the task's text: its own, or a free one. */
static struct shm_failure *failure_place(const struct job *job, uint64_t task)
{
        for (uint32_t i = 0; i < job->failure_count; i++) {
                uint64_t seen = skep_load(&job->failures[i].task_plus_one);
                if (seen == task + 1 || (!seen && skep_cas(&job->failures[i].task_plus_one, &seen, task + 1)))
                        return &job->failures[i];
        }
        return NULL;
}

void job_explain(const struct job *job, uint64_t task, const char *text)
{
        struct shm_failure *failure = failure_place(job, task);
        PROBE("job.explains");
        if (failure)
                (void)snprintf(failure->text, sizeof failure->text, "%s", text);
}

const char *job_explanation(const struct job *job, uint64_t task)
{
        for (uint32_t i = 0; i < job->failure_count; i++)
                if (skep_load(&job->failures[i].task_plus_one) == task + 1)
                        return job->failures[i].text;
        return NULL;
}

int skep_task_fail(const struct skep_task *task, int error, const char *text_format, ...)
{
        const struct job *job = task->job;
        char text[sizeof job->failures[0].text];
        va_list arguments;
        va_start(arguments, text_format);
        (void)vsnprintf(text, sizeof text, text_format, arguments);
        va_end(arguments);
        job_explain(job, task->index, text);
        return error < 0 ? error : -EINVAL;
}

/* --- the kind ----------------------------------------------------------------------------------------------------------------- */

static int job_of(skep_hive *hive, struct shm_block *block, struct job *ret_job)
{
        uint64_t bytes;
        struct shm_job *shared = heap_data(hive, block, &bytes);
        return shared && bytes >= sizeof *shared ? view(shared, bytes, ret_job) : -EBADMSG;
}

static void job_destroy(struct skep_agent *agent, struct shm_block *block)
{
        struct job job;
        if (job_of(agent->hive, block, &job) < 0)
                return;
        for (uint64_t i = 0; i < job.shared->references; i++)
                if (skep_load(&job.references[i]))
                        claim_unlink(agent, &job.references[i]);
}

static uint64_t chunk_verify(const struct job *job, uint64_t chunk)
{
        uint64_t first, count, begun = 0, pending = 0, word = skep_load(&job->chunk_words[chunk]);
        job_bounds(job, chunk, &first, &count);
        for (uint64_t i = first; i < first + count; i++) {
                uint32_t status = skep_load32(&job->status[i]);
                begun += task_phase(status) == TASK_BEGUN;
                pending += task_phase(status) == TASK_PENDING;
        }
        switch (chunk_phase(word)) {
        case CHUNK_FREE:
                return word || begun || chunk < skep_load(&job->shared->settled);
        case CHUNK_RUNNING:
                return !(word >> 4) || begun > 1 || chunk < skep_load(&job->shared->settled);
        case CHUNK_DONE:
                return word != CHUNK_DONE || begun || pending;
        default:
                return 1;
        }
}

static uint64_t job_verify(skep_hive *hive, struct shm_block *block)
{
        struct job job;
        if (job_of(hive, block, &job) < 0)
                return 1;
        uint64_t problems = job.chunks != job.shared->chunks || skep_load(&job.shared->settled) > job.chunks ||
                            (skep_load(&job.shared->cursor) & CURSOR_MASK) > job.chunks ||
                            (job_is_complete(&job) && skep_load(&job.shared->settled) != job.chunks);
        for (uint64_t chunk = 0; chunk < job.chunks; chunk++)
                problems += chunk_verify(&job, chunk);
        for (uint64_t i = 0; i < job.shared->references; i++) {
                uint64_t offset = skep_load(&job.references[i]);
                problems += offset && !claim_find(hive, offset, 0);
        }
        return problems;
}

static void job_inspect(skep_hive *hive, struct shm_block *block, struct skep_object_info *info)
{
        struct job job;
        if (job_of(hive, block, &job) == 0)
                info->value = job.count;
}

static const struct kind job_kind = {
        .name = "job",
        .shared_bytes = sizeof(struct shm_job),
        .handle_bytes = sizeof(struct object),
        .destroy = job_destroy,
        .verify = job_verify,
        .inspect = job_inspect,
};

__attribute__((constructor)) static void job_register(void)
{
        kind_register(BLOCK_JOB, &job_kind);
}
