/* SPDX-License-Identifier: Apache-2.0 */
/* job.h - a job in the hive: tasks in chunks that workers claim; states and proof at the head of job.c. */
#ifndef POOL_JOB_H
#define POOL_JOB_H

#include "claim/object.h"

#include <skep/pool.h>

#define JOB_TASKS_MAX (UINT64_C(1) << 32)
#define JOB_FAILURES_MAX 64u
#define JOB_ROUNDS_MAX 80u

struct shm_job {
        /* constant */
        uint64_t count;
        uint64_t item_bytes, result_bytes;
        uint64_t chunk;   /* 0: guided */
        uint64_t chunks;
        uint32_t parties; /* workers it was cut for */
        uint32_t retries;
        uint64_t references;
        char function[SKEP_NAME_MAX + 1];
        uint64_t reserved0;
        /* changed now and then */
        uint64_t settled;   /* all chunks below are DONE; only raised */
        uint32_t complete;  /* 1: all are */
        uint32_t cancelled; /* error, positive: tasks that have not begun fail with it */
        uint32_t failed;    /* 0: no task has */
        uint32_t finished;  /* event count: complete */
        uint32_t progress;  /* event count: a chunk is DONE */
        uint32_t reserved1[9];
        /* changed with each claim */
        uint64_t cursor; /* {lowered 24, index 40}: where a free chunk may be */
        uint64_t reserved2[7];
};
_Static_assert(sizeof(struct shm_job) == 256, "format");

/* Why a task failed. Claimed by {task + 1}; the text is written before the task's status says so. */
struct shm_failure {
        uint64_t task_plus_one;
        char text[120];
};
_Static_assert(sizeof(struct shm_failure) == 128, "format");

/* A job as a process sees it: addresses, and how it is cut. */
struct job {
        struct object *object;
        struct shm_job *shared;
        uint64_t *references;
        uint64_t *chunk_words;
        struct shm_failure *failures;
        uint32_t *status;
        uint8_t *items, *results; /* NULL: none */
        uint64_t count, item_bytes, result_bytes, chunk, chunks;
        uint32_t parties, retries, failure_count;
        uint32_t rounds;
        uint64_t round_first[JOB_ROUNDS_MAX], round_chunk[JOB_ROUNDS_MAX]; /* guided: each is @p parties chunks of a size */
};

/*
 * A task's status: {value 30, phase 2}.  PENDING and BEGUN: how many workers died of it; FAILED: the error, positive.
 */
enum task_phase { TASK_PENDING, TASK_BEGUN, TASK_DONE, TASK_FAILED };

static inline enum task_phase task_phase(uint32_t status)
{
        return (enum task_phase)(status & 3);
}

static inline uint32_t task_value(uint32_t status)
{
        return status >> 2;
}

static inline bool task_is_final(uint32_t status)
{
        return task_phase(status) >= TASK_DONE;
}

/* Who runs tasks, and where that is told. */
struct job_runner {
        struct skep_agent *agent;
        skep_task_function *function;
        uint64_t *task, *done, *failed; /* {index + 1} or 0; counters; written by this runner alone */
        uint64_t left;                  /* tasks that it may still begin */
};

int job_create(skep_hive *hive, const struct skep_job_options *options, uint32_t parties, struct job *ret_job);
/* @return 0; -ESTALE; -EPROTOTYPE; -EBADMSG; -ENOMEM */
int job_attach(skep_hive *hive, skep_block reference, struct job *ret_job);

/* Claim chunks and run their tasks until none is free, or the runner may begin no more. @return as job_finish() */
bool job_work(const struct job *job, struct job_runner *runner);

/* A worker has ended: whatever it had is free again, or failed. @param why  "was killed by signal 9" @return a chunk is free */
bool job_settle(const struct job *job, uint32_t dead, int64_t pid, const char *why, uint64_t *ret_failed);

/* Tasks that have not begun fail with that error (positive). @return how many chunks were left to cancel */
uint64_t job_cancel(const struct job *job, struct skep_agent *agent, uint32_t error);

/* All chunks are DONE: say so. @return true: complete, and this call was the first to say it */
bool job_finish(const struct job *job);

static inline bool job_is_complete(const struct job *job)
{
        return skep_load32(&job->shared->complete) != 0;
}

/* Text for a task that is about to fail. */
void job_explain(const struct job *job, uint64_t task, const char *text);
/* That text, or NULL. */
const char *job_explanation(const struct job *job, uint64_t task);

/* Tasks of a chunk. */
void job_bounds(const struct job *job, uint64_t chunk, uint64_t *ret_first, uint64_t *ret_count);

#endif
