/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote.h - what the rooms know of a hive on another machine: that it is one, and whom to ask.
 *
 * skep_hive_connect() (manager/) gives a real, anonymous hive of this process, in which its arrays and blocks lie; its `remote` says who
 * knows the objects.  A handle of a remote object names another struct skep_hive, the stub, that has no memory and no agents.  So
 * agent_self() fails for it, and the functions of an object ask for `remote` on that path, which the local case does not take.
 */
#ifndef HIVE_REMOTE_H
#define HIVE_REMOTE_H

#include "hive/hive.h"

#include <skep/array.h>
#include <skep/block.h>
#include <skep/deadline.h>
#include <skep/queue.h>

/* The numbers are part of the protocol. */
enum remote_method {
        REMOTE_HELLO = 1,    /* version -> version */
        REMOTE_CANCEL,       /* id of a call that waits; no answer */
        REMOTE_THREAD_ENDS,  /* number of the thread; no answer */
        REMOTE_OPEN,         /* kind, name -> offset, serial, facts of the kind */
        REMOTE_ATTACH,       /* kind, offset, serial -> the same */
        REMOTE_UNREF,        /* offset, serial; no answer */
        REMOTE_CREATE,       /* kind, name or nil, options of the kind -> offset, serial, facts */
        REMOTE_FORGET,       /* name */
        REMOTE_NAMES,        /* -> raw: kind, name, each ended by a zero */
        REMOTE_PING,

        REMOTE_QUEUE_PUT = 32, /* kind; raw: the message */
        REMOTE_QUEUE_PUT_MANY, /* raw: {bytes 4, message} ... -> how many */
        REMOTE_QUEUE_PUT_ARRAY, /* element, shape ...; raw: the elements */
        REMOTE_QUEUE_BORROW,   /* bytes at most or -1, kind or 0 -> kind, which delivery, bytes or element and shape ...; raw */
        REMOTE_QUEUE_GIVE_BACK, /* id of the borrow; no answer */
        REMOTE_QUEUE_PUT_BACK,  /* id of the borrow; no answer */
        REMOTE_QUEUE_CLOSE,
        REMOTE_QUEUE_POLL,
        REMOTE_QUEUE_POLL_SPACE,
        REMOTE_QUEUE_DRAIN,    /* -> how many */
        REMOTE_QUEUE_SIZE,     /* -> messages, full, closed, unfinished, dead letters */
        REMOTE_QUEUE_BORROW_DEAD, /* as BORROW */
        REMOTE_QUEUE_TASK_DONE,
        REMOTE_QUEUE_JOIN,

        REMOTE_LOCK_ACQUIRE = 64,
        REMOTE_LOCK_RELEASE,
        REMOTE_LOCK_STATE,     /* -> owner's pid, held, mine, owner died, depth */
        REMOTE_LOCK_CLEAR,
        REMOTE_RLOCK_ACQUIRE,
        REMOTE_RLOCK_RELEASE,
        REMOTE_RLOCK_STATE,
        REMOTE_RLOCK_CLEAR,
        REMOTE_SEMAPHORE_ACQUIRE,
        REMOTE_SEMAPHORE_RELEASE, /* count */
        REMOTE_SEMAPHORE_VALUE,   /* -> value */
        REMOTE_EVENT_SET,
        REMOTE_EVENT_CLEAR,
        REMOTE_EVENT_IS_SET,   /* -> set */
        REMOTE_EVENT_WAIT,
        REMOTE_BARRIER_WAIT,   /* -> index */
        REMOTE_BARRIER_ABORT,
        REMOTE_BARRIER_RESET,
        REMOTE_BARRIER_STATE,  /* -> waiting, broken */
        REMOTE_CONDITION_ACQUIRE,
        REMOTE_CONDITION_RELEASE,
        REMOTE_CONDITION_WAIT,
        REMOTE_CONDITION_NOTIFY, /* count -> how many */

        REMOTE_VALUE_ACQUIRE = 96,
        REMOTE_VALUE_RELEASE,
        REMOTE_VALUE_I64,      /* enum remote_operation, index, operand, expected -> before */
        REMOTE_VALUE_F64,      /* the same with the bits of doubles */
        REMOTE_VALUE_WAIT,     /* index; raw: the item as seen */

        /* Containers: raw are items, there and back (item/remote.h). */
        REMOTE_DICT_GET = 112, /* wanted; key -> version; value */
        REMOTE_DICT_LENGTH,    /* -> how many */
        REMOTE_DICT_SNAPSHOT,  /* flags -> how many; key, value, version ... */
        REMOTE_DICT_WAIT,      /* version; key -> version; value */
        REMOTE_DICT_SET,       /* key, value */
        REMOTE_DICT_SET_IF,    /* version; key, value -> version */
        REMOTE_DICT_SETDEFAULT, /* key, value; value */
        REMOTE_DICT_ADD,       /* flags; key, operand; sum */
        REMOTE_DICT_DELETE,    /* key */
        REMOTE_DICT_DELETE_IF, /* version; key */
        REMOTE_DICT_POP,       /* key; value */
        REMOTE_DICT_POPITEM,   /* ; key, value */
        REMOTE_DICT_UPDATE,    /* key, value ... */
        REMOTE_DICT_CLEAR,
        REMOTE_DICT_GET_MANY,  /* key ... -> how many; value, version ... */

        REMOTE_LIST_LENGTH = 136, /* -> length */
        REMOTE_LIST_GET,       /* index -> version; item */
        REMOTE_LIST_GET_SLICE, /* start, stop, step -> how many; item, version ... */
        REMOTE_LIST_VERSION,   /* -> version */
        REMOTE_LIST_WAIT,      /* version */
        REMOTE_LIST_SET,       /* index, whether if, version; item */
        REMOTE_LIST_ADD,       /* index; operand; sum */
        REMOTE_LIST_APPEND,    /* item */
        REMOTE_LIST_REPEAT,    /* times */
        REMOTE_LIST_POP,       /* index, whether if, version, wanted; item */
        REMOTE_LIST_SET_SLICE, /* start, stop, step; items -> length */
        REMOTE_LIST_DELETE_SLICE, /* start, stop, step */
        REMOTE_LIST_REVERSE,
        REMOTE_LIST_PERMUTE,   /* version, order ... as items */
        REMOTE_METHOD_END = 160,
};

enum remote_operation { REMOTE_LOAD, REMOTE_EXCHANGE, REMOTE_ADD, REMOTE_AND, REMOTE_OR, REMOTE_XOR, REMOTE_COMPARE_EXCHANGE };

#define REMOTE_VALUES_MAX 48u

/* An argument or a result: an integer, or bytes. */
struct remote_value {
        const void *data; /* NULL: an integer; or nil, if `bytes` is 1 */
        size_t bytes;
        int64_t integer;
};
#define REMOTE_INTEGER(number) ((struct remote_value){NULL, 0, (int64_t)(number)})
#define REMOTE_NIL ((struct remote_value){NULL, 1, 0})
#define REMOTE_BYTES(pointer, length) ((struct remote_value){(pointer), (length), 0})

struct remote_call {
        uint32_t method;
        uint32_t count;          /* of arguments */
        const skep_block *object; /* NULL: the hive itself */
        skep_deadline deadline;  /* of a call that waits */
        const struct remote_value *arguments;
        const struct skep_bytes *raw; /* one behind the other */
        size_t raw_count;
        /* Results. */
        uint64_t id;
        uint32_t result_count;
        int64_t results[REMOTE_VALUES_MAX];
        void *buffer;            /* borrowed: where raw goes if it fits into `capacity`; else to memory that free() ends: `data` */
        size_t capacity;
        bool may_be_array;       /* results {SKEP_MESSAGE_ARRAY, delivery, element, shape ...}: raw becomes an array of the hive */
        void *data;
        size_t bytes;
        skep_array *array;
};

struct remote {
        skep_hive *hive;      /* the user's */
        struct skep_hive stub; /* the objects' */
        int (*call)(struct remote *remote, struct remote_call *call); /* @return what the method said; -ENOTCONN has not happened, -ECONNRESET may have */
        void (*tell)(struct remote *remote, struct remote_call *call); /* no answer; forgotten if the connection is broken */
        void (*end)(struct remote *remote);
};

static inline int remote_call(const skep_hive *hive, struct remote_call *call)
{
        return hive->remote->call(hive->remote, call);
}

/* The same for a call that has no more than integers. @return what the method said; and its first result, if it has one */
int remote_simple(const skep_hive *hive, const skep_block *object, uint32_t method, skep_deadline deadline, const int64_t *arguments, uint32_t count,
                  int64_t *ret_result);

#endif
