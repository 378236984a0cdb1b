/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.h - who is attached, is he alive, and recovery for those who are not.
 *
 * An agent is a thread of a member.  Its id, 28 bits {generation 16, index 12}, is what lock words and slots name.  An
 * id is never 0.  A thread that ends gives its agent back; the next generation is another id.
 */
#ifndef MEMBER_MEMBER_H
#define MEMBER_MEMBER_H

#include "hive/hive.h"

#define AGENT_INDEX_BITS 12u
#define AGENT_INDEX_MASK ((1u << AGENT_INDEX_BITS) - 1)
#define AGENT_ID_MASK ((1u << 28) - 1)
#define AGENT_CACHE 14u

struct skep_agent {
        skep_hive *hive; /* NULL: the handle was detached, or this is a forked child */
        struct shm_agent *shared;
        uint32_t index;
        uint32_t id;
        uint32_t member;
        uint32_t spin_ns;              /* sync/: how long spinning has paid lately */
        uint32_t retired_count;        /* claim/: blocks that wait until the one being destroyed is gone */
        uint32_t retired_capacity;
        struct shm_block **retired;
        bool destroying;
        struct skep_agent *next;       /* of the hive */
        struct skep_agent *thread_next; /* of the thread */
        struct {                       /* heap/: hints, records that were free lately */
                uint32_t count;
                uint64_t blocks[AGENT_CACHE];
        } cache[HEAP_CLASS_COUNT];
};

/* initial-exec: one load, also from a shared object; eight bytes of the static block, which dlopen has to spare. */
extern _Thread_local struct skep_agent *agent_current __attribute__((tls_model("initial-exec")));

int agent_attach(skep_hive *hive, struct skep_agent **ret_agent);

/* The calling thread's agent. @return 0, -EUSERS, -ENOMEM, -ESTALE */
static inline int agent_self(skep_hive *hive, struct skep_agent **ret_agent)
{
        struct skep_agent *agent = agent_current;
        if (__builtin_expect(agent && agent->hive == hive, 1)) {
                *ret_agent = agent;
                return 0;
        }
        return agent_attach(hive, ret_agent);
}

/* Member of an agent id, or -1 if that agent has gone (its thread ended, or it was reaped). */
int agent_member(const skep_hive *hive, uint32_t id);

/*
 * The slot names our member, but no thread of ours works there: damage, if a lock word names it now and after this call.
 * False also when the list of our threads is being changed.
 */
bool agent_is_nobody(skep_hive *hive, uint32_t id);

/* The agent has gone, or its member is proven dead. */
bool agent_is_gone(const skep_hive *hive, uint32_t id);

/* No agent above this index was ever in use: where a walk over the agents may end. */
uint32_t agent_high(const skep_hive *hive);

/* Proven dead, by the kernel. */
bool member_is_dead(const skep_hive *hive, uint32_t member);
bool member_is_live(const skep_hive *hive, uint32_t member); /* slot in use, and not proven dead */
int64_t member_pid(const skep_hive *hive, uint32_t member);  /* for people */

/*
 * What a reaper knows.  `actor` works in the name of a dead agent if there was one, else in our own; it is exclusive, as
 * we hold the dead member's byte.
 */
struct reap {
        skep_hive *hive;
        uint32_t member;
        bool orderly; /* it has left, or said that it would; nobody was torn away */
        struct skep_agent *actor;
        struct skep_reap_report *report;
};

static inline bool reap_concerns(const struct reap *reap, uint32_t agent_id)
{
        return agent_member(reap->hive, agent_id) == (int)reap->member;
}

/* Higher rooms register what they recover, in this order; all must be idempotent. */
enum reap_stage { REAP_LOCK, REAP_INTENT, REAP_OBJECT, REAP_BLOCK, REAP_STAGES };
typedef int reap_function(struct reap *reap);
void reap_register(enum reap_stage stage, reap_function *function);

/* Called before fork() with the forking thread and the coming child's slot; and in the child, if other threads of the parent had agents. */
typedef int fork_prepare_function(struct skep_agent *agent, uint32_t child);
typedef void fork_child_function(skep_hive *hive);
void fork_register(fork_prepare_function *prepare, fork_child_function *child);

/* Called with a new handle, before it is used. */
typedef int attach_function(skep_hive *hive);
void attach_register(attach_function *function);

/* Called when this process is about to leave the hive in order: before a detach, and when it ends. */
typedef void leave_function(skep_hive *hive);
void leave_register(leave_function *function);
/* Is nobody else in the hive but members that leave too, or are dead? */
bool member_is_last(const skep_hive *hive);

/* An agent structure that works in the name of @p id's slot; no caches. */
void agent_impersonate(skep_hive *hive, uint32_t index, struct skep_agent *ret_agent);

#endif
