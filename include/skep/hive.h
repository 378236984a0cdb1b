/* SPDX-License-Identifier: Apache-2.0 */
/**
 * hive.h - one shared-memory region with all its objects and members.
 *
 * To create or to attach is to become a member.  A hive is one sparse file: anonymous (memfd, gone with its last
 * descriptor) or named (/dev/shm/skep.NAME, mode 0600, gone with its last member unless persistent).
 */
#ifndef SKEP_HIVE_H
#define SKEP_HIVE_H

#include <skep/attr.h>

SKEP_BEGIN

typedef struct skep_hive skep_hive;

/** Keep a named hive when its last member leaves; `skep rm NAME` or skep_hive_unlink() ends it. */
#define SKEP_HIVE_PERSISTENT 1u

struct skep_hive_options {
        size_t options_bytes;    /* set by SKEP_HIVE_OPTIONS() */
        const char *name;        /* borrowed; NULL: anonymous */
        uint64_t capacity_bytes; /* address range; pages are taken when used. 0: the machine's memory, rounded up to 2^n; least 1 MiB, most 1 TiB */
        uint64_t warm_max_bytes; /* freed memory that is kept committed for reuse. 0: an eighth of the capacity */
        uint32_t member_max;     /* processes attached at the same time. 0: 256, which is also the most */
        uint32_t agent_max;      /* threads at work at the same time, over all members. 0: 1024; at most 4095 */
        uint32_t flags;          /* SKEP_HIVE_PERSISTENT */
        uint32_t reserved;       /* zero */
};

#define SKEP_HIVE_OPTIONS(...) \
        (&(const struct skep_hive_options){.options_bytes = sizeof(struct skep_hive_options), __VA_ARGS__})

/**
 * Make a hive and join it as its first member.
 * @param options   borrowed, or NULL for the defaults
 * @param ret_hive  gives the handle; end with skep_hive_detach()
 * @return 0; -EEXIST a hive of that name has living members or is persistent; -ENAMETOOLONG; -EINVAL; -E2BIG;
 *         -ENOMEM; -EMFILE; -ENOSPC
 * Crash: an anonymous hive leaves nothing; a named one leaves a file without members, which the next
 *        skep_hive_create() of that name replaces and skep_hive_list() removes.
 */
SKEP_API SKEP_NODISCARD int skep_hive_create(const struct skep_hive_options *options, skep_hive **ret_hive);

/**
 * Join the hive behind a descriptor (inherited, or received over a socket).
 * @param fd  borrowed; reopened inside, the caller still closes his own
 * @return 0; -EPROTO; -EBADMSG; -EUSERS table full even after reaping; -ENOMEM; -EMFILE
 * Crash: a half-made membership is reaped like a dead member.
 * Cost: about 20 microseconds.
 */
SKEP_API SKEP_NODISCARD int skep_hive_attach(int fd, skep_hive **ret_hive);

/** Join a named hive. @return as skep_hive_attach(); -ENOENT; -EACCES; -ENAMETOOLONG; -EINVAL */
SKEP_API SKEP_NODISCARD int skep_hive_open(const char *name, skep_hive **ret_hive);

/**
 * Leave the hive and free the handle.  What this member still holds is given back as if it had died.
 * @param hive  taken; NULL is allowed.  No other thread may be inside a call on it, and handles of its objects
 *              are dead afterwards: unref them before.
 * @return NULL, so that `hive = skep_hive_detach(hive);` leaves no stale pointer
 */
SKEP_API skep_hive *skep_hive_detach(skep_hive *hive);

/**
 * Tell all hives of this process that it is about to end in order, so that nobody takes it for a victim (a barrier breaks when
 * a party dies, not when it has finished).  exit() does this by itself; call it before _exit().
 */
SKEP_API void skep_process_exiting(void);

/** Descriptor of the hive: borrowed, close-on-exec, valid until detach.  For children: pass it on, then skep_hive_attach(). */
SKEP_API int skep_hive_fd(const skep_hive *hive);

/** Remove the name of a hive; members go on. @return 0; -ENOENT; -EINVAL; -ENAMETOOLONG; -EACCES */
SKEP_API SKEP_NODISCARD int skep_hive_unlink(const char *name);

struct skep_reap_report {
        uint32_t members; /* dead members recovered */
        uint32_t agents;  /* threads of theirs that were at work */
        uint64_t slots;   /* queue slots finished, skipped or put back */
        uint64_t blocks;  /* blocks whose claims were dropped or that were freed */
};

/**
 * Recover on behalf of members that are proven dead.  Blocked calls do this themselves; call it to do it early.
 * @param ret_report  borrowed, may be NULL
 * @return 0; -EBADMSG damage beyond repair
 * Crash: may die anywhere inside; the next reaper resumes.
 * Cost: one system call per member; for each dead one a walk over the blocks of the hive.
 */
SKEP_API SKEP_NODISCARD int skep_hive_reap(skep_hive *hive, struct skep_reap_report *ret_report);

struct skep_verify_report {
        uint64_t checked;  /* structures looked at */
        uint64_t problems; /* found wrong */
        char first[160];   /* the first problem, in words; empty if none */
};

/**
 * Check every structure of the hive; changes nothing.  Exact only while no other member is at work.
 * @return 0 sound; -EBADMSG problems were found (ret_report is written in both cases)
 */
SKEP_API SKEP_NODISCARD int skep_hive_verify(skep_hive *hive, struct skep_verify_report *ret_report);

struct skep_hive_stat {
        uint64_t capacity_bytes;
        uint64_t committed_bytes; /* taken from the system by the heap */
        uint64_t used_bytes;      /* in blocks that somebody claims (slab blocks by their size class) */
        uint64_t blocks;          /* of these */
        uint32_t members;         /* living */
        uint32_t member_max;
        uint32_t agents;
        uint32_t agent_max;
        uint32_t queues;
        uint32_t names;
};

/** Figures of the hive; a walk over its blocks. @return 0; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_hive_stat(skep_hive *hive, struct skep_hive_stat *ret_stat);

/**
 * What a blocked call of this thread asks when a signal has interrupted it, and about twenty times a second.
 * @return 0: go on waiting; negative: the call cleans up and returns this, even if what it waited for has come meanwhile
 * May use the hive, and wait itself; a condition's wait around it may then return as if notified.  In a child that it forks
 * it must not return: the call belongs to the parent.
 */
typedef int skep_interrupt(void *context);

/** Set, or with NULL remove, the calling thread's interrupt function.  Without one a signal never ends a wait. */
SKEP_API void skep_thread_on_interrupt(skep_interrupt *function, void *context);

/** 1 if the address lies in this process's mapping of the hive, else 0. */
SKEP_API int skep_hive_has(const skep_hive *hive, const void *address);

/** Index of this process in the member table. */
SKEP_API uint32_t skep_hive_member(const skep_hive *hive);

struct skep_hive_entry {
        char name[SKEP_NAME_MAX + 1];
        uint64_t file_bytes;      /* memory in use by the file */
        uint64_t capacity_bytes;  /* 0 if not a readable hive */
        uint32_t members;         /* living */
        uint32_t flags;           /* SKEP_HIVE_PERSISTENT */
        int state;                /* 0; -EBADMSG, -EPROTO, -EACCES why it cannot be attached */
};

/**
 * Call @p visit for each named hive of this machine that this user may see, without joining them.  Files of hives whose
 * members all died and that are not persistent are removed on the way.
 * @return 0; what @p visit returned if not 0; -ENOENT no /dev/shm here
 */
SKEP_API SKEP_NODISCARD int skep_hive_list(int (*visit)(const struct skep_hive_entry *entry, void *context), void *context);

struct skep_object_entry {
        char name[SKEP_NAME_MAX + 1];
        const char *kind; /* "queue", "block"; static storage */
};

/** Call @p visit for each named object of the hive; it may use the hive. @return 0; what @p visit returned if not 0; -EBADMSG; -EUSERS; -ESTALE */
SKEP_API SKEP_NODISCARD int skep_hive_names(skep_hive *hive, int (*visit)(const struct skep_object_entry *entry, void *context), void *context);

/** Remove an object's name and the claim that the name holds on it. @return 0; -ENOENT */
SKEP_API SKEP_NODISCARD int skep_hive_forget(skep_hive *hive, const char *name);

SKEP_END
#endif
