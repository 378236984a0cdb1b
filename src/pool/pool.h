/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - what the files of pool/ share: the pool in the hive, and its maker's side. Proof at the head of pool.c. */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include "pool/job.h"
#include "queue/queue.h"

#include <pthread.h>
#include <skep/process.h>

/* --- in the hive --------------------------------------------------------------------------------------------------------- */

/* A place for a worker.  Written by the worker that has it, and by the keeper while nobody has. */
struct shm_worker {
        uint32_t agent;  /* 0: not yet at work */
        uint32_t ready;  /* the initializer is done */
        uint64_t pid;
        uint64_t job;    /* offset of the block whose ticket it took last; 0: it works on none */
        uint64_t task;   /* {index + 1}; 0: in none */
        uint64_t done, failed; /* by all that had this place */
        uint64_t reserved[2];
};
_Static_assert(sizeof(struct shm_worker) == 64, "format");

struct shm_pool {
        uint64_t tickets;    /* a claim on the queue of tickets: which jobs have free chunks */
        /* constant */
        uint64_t owner_word; /* the maker's membership: its slot's word */
        uint32_t owner;      /* its slot */
        uint32_t workers;
        uint64_t tasks_per_worker; /* UINT64_MAX: no limit */
        uint32_t flags;
        uint32_t initializer_bytes;
        char initializer[SKEP_NAME_MAX + 1]; /* empty: none */
        uint8_t initializer_argument[SKEP_POOL_ARGUMENT_MAX];
        /* changed by all */
        uint32_t completed; /* event count: a job is complete, or something about the pool has changed */
        uint32_t reserved[5];
        struct shm_worker worker[];
};
_Static_assert(sizeof(struct shm_pool) == 4224, "format");

/* What a worker is told when it starts. */
struct pool_letter {
        skep_block pool;
        uint64_t index;
};

#define POOL_WORKER_NAME "skep.pool.worker"
skep_process_function pool_worker;

/* @return 0; -EBADMSG */
int pool_check(const struct shm_pool *shared, uint64_t bytes);

/* --- the maker's side ------------------------------------------------------------------------------------------------------ */

enum pool_state { POOL_OPEN, POOL_CLOSED, POOL_TERMINATED, POOL_BROKEN };

struct skep_pool {
        struct object base;
        struct shm_pool *shared;
        skep_queue *tickets;
        uint32_t member;  /* of the maker */
        uint32_t workers;
        uint32_t start;
        char *program;    /* NULL: this one */
        skep_pool *next;  /* of this process */

        uint32_t state;   /* enum pool_state; raised under pool_lock() */
        uint32_t ended;   /* the keeper has: no worker is left, all jobs are complete */
        int poke_fd;      /* wakes the keeper */
        pthread_t keeper; /* starts workers, settles what dead ones had, starts others */
        pthread_t teller; /* calls the functions of skep_future_then() */
        bool has_teller;
        uint32_t start_result; /* of the first workers; 1: not yet known */
        char broken[160];
        uint64_t replaced, lost;
        uint32_t unready;           /* workers that were killed before they were ready, in a row */
        skep_future *live;          /* under pool_lock(): jobs not known to be complete, oldest first; and its end */
        skep_future *live_last;
        uint64_t live_count;
        uint64_t prune_at;          /* of these; who hands in one more looks which are complete */
        bool owes;                  /* a ticket */
        skep_process *processes[SKEP_POOL_WORKERS_MAX];
};

struct skep_future {
        struct job job;
        skep_hive *hive;
        uint32_t member;      /* of the maker */
        uint32_t references;  /* handles, and the pool's while it is live; under pool_lock() */
        skep_pool *pool;      /* NULL: complete, and the pool has forgotten it */
        bool owes_ticket;     /* none could be put */
        skep_future *live_next, *live_previous;
        skep_future *next, *previous; /* all of this process */
        skep_future_function *then;
        void *then_context;
        uint64_t next_task;
};

/* Over all pools and futures of this process; held across fork. Nothing of the hive but words is touched under it. */
void pool_lock(void);
void pool_unlock(void);

/* A job becomes live. @return 0; -ESHUTDOWN; -EPIPE */
int pool_enter(skep_pool *pool, skep_future *future);
/* It is live no more. @return it was: the pool's reference is the caller's */
bool pool_leave_locked(skep_future *future);
/* The same, and drops it. */
void pool_leave(skep_future *future);
/* The pool forgets jobs that are complete. */
void pool_prune(skep_pool *pool);
void pool_poke(skep_pool *pool);
/* Wait for pool->shared->completed to change while condition is false. */
typedef bool pool_condition(void *context);
int pool_wait(skep_pool *pool, pool_condition *condition, void *context, skep_deadline deadline);
/* -EPERM in a forked child. */
int pool_is_mine(const skep_pool *pool);

/* Put a ticket for the job. @return 0; -ENOSPC ... */
int pool_ticket(skep_pool *pool, const struct job *job);

/* A new future has entered; and the last reference has gone. */
void future_enlist(skep_future *future);
void future_free(skep_future *future);
/* In a worker: what the parent held is not for us to hold. */
void futures_forget(void);
void *pool_teller(void *pool);

#endif
