/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - what the loop (server.c) and the methods (methods.c) share. */
#ifndef MANAGER_SERVER_H
#define MANAGER_SERVER_H

#include "claim/claim.h"
#include "manager/wire.h"

struct session;
struct served;
struct served_kind;

/* A request on its way to its reply. */
struct call {
        struct session *session;
        struct wire_request request; /* its bytes lie in `envelope` */
        skep_deadline deadline;
        uint8_t *raw;                /* what came with it */
        uint64_t raw_bytes;
        struct skep_loan loan;       /* raw lies in it, of a put; raw of the answer does, of a borrow */
        bool has_loan;
        skep_array *array;           /* likewise */
        struct served *object;
        void *handle;                /* of the object */
        uint64_t done;               /* of a call that is tried again: how many messages were put */
        /* the answer */
        int result;
        uint32_t result_count;
        int64_t results[REMOTE_VALUES_MAX];
        const void *out;             /* raw of the answer */
        uint64_t out_bytes;
        void *out_owned;             /* free() with the call */
        /* server.c's */
        struct worn *worn;           /* who owns */
        uint32_t cancelled;
        bool sending;                /* raw of its answer is on its way */
        uint32_t place;              /* where it is */
        struct call *next;           /* there */
        struct call *session_next, **session_link; /* all of its session that have not been answered, or lend */
        size_t envelope_bytes;
        uint8_t *envelope;
        uint8_t envelope_small[256];
};

/* @param deadline  the call's, or skep_nowait() @return the answer's result; -ETIMEDOUT with skep_nowait(): try again later */
typedef int method_function(struct call *call, skep_deadline deadline);

enum method_flags {
        METHOD_OWNS = 1,    /* the client's thread is who does it */
        METHOD_WAITS = 2,   /* tried first; then in a thread, with the call's deadline */
        METHOD_STRAIGHT = 4, /* not tried first: it takes part, and only then waits */
        METHOD_GETS = 8,    /* waits for the queue's messages */
        METHOD_PUTS = 16,   /* waits for the queue's space */
        METHOD_SILENT = 32, /* no answer */
        METHOD_LENDS = 64,  /* lives on after its answer, until it is given back */
};

struct method {
        method_function *run;
        method_function *raw_comes; /* before its raw bytes: say where they go (call->raw); NULL: to memory of the call */
        const struct served_kind *kind; /* of the object; NULL: none */
        uint32_t flags;
        uint8_t integers;           /* at least so many arguments, all integers or, where the method says so, bytes */
};
extern const struct method methods[REMOTE_DICT_GET];
extern const struct method container_methods[REMOTE_METHOD_END - REMOTE_DICT_GET];
extern const struct served_kind dict_kind, list_kind;
static inline const struct method *method_of(uint32_t number)
{
        return number < REMOTE_DICT_GET ? &methods[number] : &container_methods[number - REMOTE_DICT_GET];
}

/* What can be served. */
struct served_kind {
        const char *name;
        const char *mates; /* one text for kinds whose handles have the same functions */
        int (*open)(skep_hive *hive, const char *name, void **ret_handle);
        int (*attach)(skep_hive *hive, skep_block reference, void **ret_handle);
        int (*create)(skep_hive *hive, const char *name, const struct call *call, void **ret_handle); /* options: arguments from 2 on */
        skep_block (*reference)(const void *handle);
        void (*unref)(void *handle);
        uint32_t (*facts)(const void *handle, int64_t *facts); /* @return how many */
};
/* Another one whose handles have the same functions; NULL: none. */
const struct served_kind *served_kind_mate(const struct served_kind *kind);
const struct served_kind *served_kind_named(const void *name, size_t bytes);

/* server.c: what some methods need of the loop. */
skep_hive *call_hive(const struct call *call);
/* Let the session of the call hold the object of that handle, which is taken. @return 0, -ENOMEM */
int call_serve(struct call *call, const struct served_kind *kind, void *handle_take, skep_block *ret_reference);
/* The object by reference. @return 0, -ESTALE, -EPROTOTYPE ... */
int call_find(struct call *call, const struct served_kind *kind, skep_block reference, void **ret_handle);
void call_unserve(struct call *call, skep_block reference);
void call_cancel(struct call *call, uint64_t id);
void call_thread_ends(struct call *call);
int call_hello(struct call *call);
/* The borrow of that id in the call's session. @param taken  give back, else put back */
void call_end_borrow(struct call *call, uint64_t id, bool taken);

#endif
