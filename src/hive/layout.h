/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - what lies where in a hive file, format version 2.
 *
 *   offset                    what                             size
 *   0                         struct shm_hive                  4096
 *   members_at                struct shm_member [member_max]   64 each
 *   agents_at                 struct shm_agent [agent_max]     256 each
 *   names_at                  struct shm_name [NAME_MAX]       128 each
 *   heap_at                   struct shm_heap                  4096
 *   blocks_at                 struct shm_block [page_count]    64 each, one per page
 *   data_at                   pages                            64 KiB each
 *
 * All offsets follow from capacity_bytes, member_max and agent_max by layout_of(); a file whose header says otherwise is
 * refused.  Integers have the byte order of the machine that made the file; another order is refused.
 * What lives in a hive is called struct shm_*: fixed widths, offsets, no pointers.
 */
#ifndef HIVE_LAYOUT_H
#define HIVE_LAYOUT_H

#include <skep/attr.h>
#include <stdint.h>

#define HIVE_MAGIC "SKEPHIVE"
#define HIVE_BYTE_ORDER 0x01020304u
#define HIVE_VERSION 2u
#define HIVE_CAPACITY_MIN (UINT64_C(1) << 20)
#define HIVE_CAPACITY_MAX (UINT64_C(1) << 40)
#define HIVE_MEMBER_MAX 256u
#define HIVE_AGENT_MAX 4095u
#define HIVE_NAME_MAX 1024u
#define PAGE_BYTES UINT64_C(65536)
#define MEMBER_WORDS (HIVE_MEMBER_MAX / 64)

struct shm_layout {
        uint64_t members_at, agents_at, names_at, heap_at, blocks_at, data_at;
        uint64_t page_count;
};

/* Written by the creator before `ready`, then constant. */
struct shm_hive {
        char magic[8];
        uint32_t byte_order;
        uint32_t version;
        uint64_t capacity_bytes;
        uint64_t warm_max_bytes;
        uint32_t member_max;
        uint32_t agent_max;
        uint32_t flags;
        uint32_t ready; /* 1 when the tables are committed */
        struct shm_layout layout;
        char name[SKEP_NAME_MAX + 1]; /* empty: anonymous */
        uint64_t identity[2];         /* random: which hive this is */
        uint64_t agent_high;          /* the one word that changes: highest agent index ever in use, only raised */
        uint64_t reserved[488];
};
_Static_assert(sizeof(struct shm_hive) == 4096, "format");

/*
 * A member slot.  The proof of life is a lock on the slot's first byte in the file; whoever holds that lock - the member
 * itself, or its reaper after its death - may write the slot, nobody else.
 *
 *   state    word                 left by                       to
 *   FREE     {generation, 0}      joiner, under the byte lock   LIVE
 *   LIVE     {generation, 1}      reaper, under the byte lock   FREE, generation + 1
 */
struct shm_member {
        uint64_t word; /* {generation 32 << 32, state} */
        uint64_t pid;     /* for people; proves nothing */
        uint64_t leaving; /* 1: said that it is about to end in order */
        uint64_t reserved[5];
};
_Static_assert(sizeof(struct shm_member) == 64, "format");

/* What an agent is about to do; see claim/intent.h.  `op` is written last when set and first when cleared. */
struct shm_intent {
        uint64_t op;
        uint64_t block;
        uint64_t slot;     /* offset of a queue slot's word */
        uint64_t turn;     /* of that slot */
        uint32_t sequence; /* of the step on block's claims */
        uint32_t reserved;
};

#define HOLDS_MASK UINT64_C(0xff)

/*
 * What an agent waits for; a cache line of its own.  `word` is what a condition's waiter sleeps on: {sequence 30, state 2}.
 *
 *   state      left by                                                          to
 *   IDLE       the agent, when it begins to wait at `condition`                 WAITING, next sequence
 *   WAITING    a notifier, compare-and-swap; or a reaper that passes one on     NOTIFIED
 *              the agent, compare-and-swap, when its time is over               IDLE
 *   NOTIFIED   the agent, when it has its lock again                            IDLE
 *              the reaper of the agent, which has passed the news on            IDLE
 * The rest is for people and `skep ls`: which object, since when, who stood in the way, since when known.
 */
struct shm_wait {
        uint32_t word;
        uint32_t owner;       /* agent that held what this one waits for; 0 none known */
        uint64_t condition;   /* offset of the struct shm_condition */
        uint64_t ticket;      /* smallest first */
        uint64_t sleeps_on;   /* offset of the words this agent sleeps on; 0 awake */
        int64_t since_ns;     /* CLOCK_MONOTONIC */
        int64_t owner_since_ns; /* when `owner` was first seen */
        uint64_t reserved[2];
};
_Static_assert(sizeof(struct shm_wait) == 64, "format");

/*
 * An agent slot.  Taken and given back by a thread of the member that it names, or by that member's reaper.
 *
 *   state    word                          left by                          to
 *   FREE     {generation, 0}               any thread, compare-and-swap     HELD by its member
 *   HELD     {generation, member + 1}      that thread, or the reaper       FREE, generation + 1
 */
struct shm_agent {
        uint64_t word;         /* {generation 16 << 16, member + 1 : 16} */
        uint64_t reserved0;
        uint32_t sequence;     /* number of the last step taken; written by the agent only */
        uint32_t acknowledged; /* highest step known to others as done; anybody raises it */
        int64_t thread;        /* kernel thread id; for people */
        uint64_t pad[3];
        uint64_t holds;        /* {changes 56, which of the hive's own locks 8}; written by the agent only, see sync/lock.c */
        struct shm_intent intent; /* its own cache line */
        uint64_t reads;        /* {offset of a store / 64, reads 6}: what the agent is looking into; written by the agent only, see item/store.c */
        uint64_t reserved1[2];
        struct shm_wait wait;
        uint64_t reserved[8];
};
_Static_assert(sizeof(struct shm_agent) == 256, "format");

/* A name in the directory.  Written under names_lock; `block` is the commit word: 0 means the entry is free. */
struct shm_name {
        char name[SKEP_NAME_MAX + 1];
        uint64_t block;
        uint64_t serial;
        uint64_t reserved[6];
};
_Static_assert(sizeof(struct shm_name) == 128, "format");

#define HEAP_CLASS_COUNT 8u  /* 256 B .. 32 KiB */
#define HEAP_BIN_COUNT 24u   /* runs of 2^i pages */
#define HEAP_BIN_SLOTS 8u

/* The heap: `top` is the truth, everything else is a hint or a lock.  See heap/heap.c. */
struct shm_heap {
        uint32_t lock;        /* over changes of run lengths and over top; see sync/lock.h.  The hive's own locks stand first */
        uint32_t names_lock;  /* over the directory */
        uint64_t top;         /* pages in use from the start; runs lie end to end below it */
        uint64_t warm_bytes;  /* hint: free and committed */
        uint64_t slabs[HEAP_CLASS_COUNT]; /* page of the newest slab per class, + 1; a chain through shm_slab.next */
        uint64_t bins[HEAP_BIN_COUNT][HEAP_BIN_SLOTS]; /* hints: page + 1 of free runs */
        uint64_t reserved[309];
};
_Static_assert(sizeof(struct shm_heap) == 4096, "format");

/*
 * The record of a block: of a run of pages (in the table, at its first page) or of a slab block (in its slab).
 *
 *   state  word                       meaning                                left by                          to
 *   FREE   {1, warm?, pages, 0}       nobody's                               anyone, compare-and-swap         HELD
 *   HELD   {2, warm, pages, agent}    being made or unmade by that agent     that agent, or its reaper        LIVE, FREE
 *   LIVE   {3, warm, pages, 0}        claimed                                the agent that retires it        HELD
 *   SLAB   {4, warm, pages, 0}        run that holds small blocks            nobody
 *
 * `claims` is {count 20, agent 12, sequence 32}: how many claims objects hold, and which step of which agent changed it
 * last.  count == CLAIMS_RETIRED: the last claim has been dropped; the agent frees the block.  See claim/claim.c.
 */
struct shm_block {
        uint64_t word;
        uint64_t claims;
        uint64_t members[MEMBER_WORDS]; /* one bit per member */
        uint64_t data;                  /* offset of the payload */
        uint32_t serial;                /* number of the allocation */
        uint8_t kind;                   /* enum block_kind */
        uint8_t slab;                   /* record of a slab block (1) or page inside a slab's run (2) */
        uint16_t slab_page;             /* for 2: which page of the run, from 0 */
};
_Static_assert(sizeof(struct shm_block) == 64, "format");

enum block_kind {
        BLOCK_BYTES,
        BLOCK_RING,
        BLOCK_QUEUE,
        BLOCK_LOCK,
        BLOCK_RLOCK,
        BLOCK_SEMAPHORE,
        BLOCK_CONDITION,
        BLOCK_EVENT,
        BLOCK_BARRIER,
        BLOCK_ONCE,
        BLOCK_RWLOCK,
        BLOCK_VALUE,
        BLOCK_BUNDLE,
        BLOCK_CHANNEL,
        BLOCK_CHANNEL_END,
        BLOCK_SHARED_MEMORY,
        BLOCK_MAPPING,
        BLOCK_DELIVERIES,
        BLOCK_TABLE, /* of a dict, list or namespace; does not hold what its cells name */
        BLOCK_DICT,
        BLOCK_LIST,
        BLOCK_NAMESPACE,
        BLOCK_JOB,
        BLOCK_POOL,
        BLOCK_KINDS = 32
};

/* At the start of a slab's run: constant after its making, but for the hint. */
struct shm_slab {
        uint64_t next;  /* page of the next slab of the class, + 1; 0: last */
        uint64_t count; /* blocks */
        uint64_t class_index;
        uint64_t cursor; /* hint: where a free one may be */
        uint64_t reserved[4];
};
_Static_assert(sizeof(struct shm_slab) == 64, "format");

#endif
