/* SPDX-License-Identifier: Apache-2.0 */
/**
 * queue.h - many producers, many consumers, each message to exactly one consumer.
 *
 * ORDER   messages of one producing thread are received in the order put.  What was written before put() is visible
 *         to the one who gets the message.
 * CRASH   a message is there as a whole or not at all.  A slot that a dead producer claimed is skipped; a message that
 *         a dead consumer had begun to take (or had borrowed) is put back and then comes out of order.
 * ACKNOWLEDGE  in a queue made with SKEP_QUEUE_ACKNOWLEDGE a message that skep_queue_borrow() took belongs to the process that took
 *         it until skep_queue_give_back(), which acknowledges, or skep_queue_put_back(), which rejects.  Meanwhile it does not
 *         count to the capacity and is in nobody's way; a process may have any number.  If it is rejected or the process dies,
 *         others take it again, before all else.  After delivery_max tries it becomes a dead letter, which stays with the
 *         queue until somebody has taken it with skep_queue_borrow_dead().  skep_queue_get() and its like acknowledge what they
 *         copy at once.
 */
#ifndef SKEP_QUEUE_H
#define SKEP_QUEUE_H

#include <skep/array.h>
#include <skep/deadline.h>

SKEP_BEGIN

typedef struct skep_queue skep_queue;

/** What a message is.  C and Python read the first two from one another. */
enum skep_message_kind {
        SKEP_MESSAGE_BYTES = 1,
        SKEP_MESSAGE_ARRAY = 2,
        SKEP_MESSAGE_PICKLE = 3, /* of Python; C may borrow its bytes, but skep_queue_get() refuses it */
};

/** Never spin before sleeping. */
#define SKEP_QUEUE_NO_SPIN 1u
/** What is borrowed is acknowledged, or comes again: see above. */
#define SKEP_QUEUE_ACKNOWLEDGE 2u

struct skep_queue_options {
        size_t options_bytes; /* set by SKEP_QUEUE_OPTIONS() */
        const char *name;     /* borrowed; unique in the hive. NULL: anonymous */
        uint64_t capacity;    /* messages that fit, exactly. 0: unbounded */
        uint32_t slot_bytes;  /* largest message kept in its slot, rounded up to a multiple of 64; larger ones lie in a block. 0: 128; at most 4096 */
        uint32_t flags;       /* SKEP_QUEUE_* */
        uint32_t delivery_max; /* with SKEP_QUEUE_ACKNOWLEDGE: how often a message is delivered at most; 0: any number; at most 65535 */
        uint32_t reserved;     /* 0 */
};

#define SKEP_QUEUE_OPTIONS(...) \
        (&(const struct skep_queue_options){.options_bytes = sizeof(struct skep_queue_options), __VA_ARGS__})

/**
 * Make a queue.
 * @param ret_queue  gives the handle; end with skep_queue_unref()
 * @return 0; -EEXIST; -EINVAL; -ENAMETOOLONG; -ENOSPC; -ENOMEM; -EUSERS; -E2BIG
 */
SKEP_API SKEP_NODISCARD int skep_queue_create(skep_hive *hive, const struct skep_queue_options *options, skep_queue **ret_queue);

/** Find a queue by name. @return 0; -ENOENT; -EPROTOTYPE; -ENOMEM */
SKEP_API SKEP_NODISCARD int skep_queue_open(skep_hive *hive, const char *name, skep_queue **ret_queue);

/** Find a queue by reference. @return 0; -ESTALE; -EPROTOTYPE; -ENOMEM */
SKEP_API SKEP_NODISCARD int skep_queue_attach(skep_hive *hive, skep_block reference, skep_queue **ret_queue);

/** What skep_queue_attach() takes; may be sent as bytes. */
SKEP_API skep_block skep_queue_reference(const skep_queue *queue);
SKEP_API skep_hive *skep_queue_hive(const skep_queue *queue);

/** Drop the handle; the queue and its messages go with the last claim of all members. @param queue  NULL is allowed @return NULL */
SKEP_API skep_queue *skep_queue_unref(skep_queue *queue);

/**
 * Append a copy of a message.
 * @param message  borrowed, @p bytes long; may be NULL if @p bytes is 0
 * @return 0; -ETIMEDOUT full until the deadline; -ESHUTDOWN closed; -ENOSPC hive full; -EINVAL; -EUSERS
 * Blocks: while full, until @p deadline.
 * Cost: one compare-and-swap, one exchange and one copy; a system call only if a consumer sleeps.
 * Source: head of src/ring/ring.c.
 */
SKEP_API SKEP_NODISCARD int skep_queue_put(skep_queue *queue, const void *message, size_t bytes, skep_deadline deadline);

/**
 * Take the next message, of kind BYTES, into the caller's memory.
 * @param buffer     borrowed, @p capacity_bytes long
 * @param ret_bytes  length of the message; also written with -EMSGSIZE
 * @return 0; -ETIMEDOUT empty; -ESHUTDOWN closed and drained; -EMSGSIZE and -EPROTOTYPE (another kind) leave the message
 *         in the queue; -EUSERS
 */
SKEP_API SKEP_NODISCARD int skep_queue_get(skep_queue *queue, void *buffer, size_t capacity_bytes, size_t *ret_bytes, skep_deadline deadline);

/** A run of bytes. */
struct skep_bytes {
        const void *data;
        size_t bytes;
};

/**
 * Append many messages in order; one wake-up for all.
 * @param ret_count  how many were put; written always, also on failure
 * @return 0 all; as skep_queue_put() if not all
 */
SKEP_API SKEP_NODISCARD int skep_queue_put_many(skep_queue *queue, const struct skep_bytes *messages, size_t count, size_t *ret_count, skep_deadline deadline);

/**
 * Wait for one message, then take as many as are there and fit.
 * @param buffer    borrowed; the messages lie in it one behind the other, each at a multiple of 8
 * @param messages  borrowed, [count_max]; where each lies
 * @param ret_count at least 1 on success
 * @return as skep_queue_get(), for the first message
 */
SKEP_API SKEP_NODISCARD int skep_queue_get_many(skep_queue *queue, void *buffer, size_t capacity_bytes, struct skep_bytes *messages, size_t count_max,
                                                size_t *ret_count, skep_deadline deadline);

/** Append a reference to an array: the bytes stay where they are, both sides then see the same elements.
 *  @return as skep_queue_put(); -EMSGSIZE the description (16 + 8 bytes per dimension, 16 if strided) and 16 exceed slot_bytes;
 *          -EINVAL array of another hive */
SKEP_API SKEP_NODISCARD int skep_queue_put_array(skep_queue *queue, skep_array *array, skep_deadline deadline);

/** Take the next message, an array. @param ret_array  gives one reference @return as skep_queue_get(); -ENOMEM */
SKEP_API SKEP_NODISCARD int skep_queue_get_array(skep_queue *queue, skep_array **ret_array, skep_deadline deadline);

/** Memory lent for a message.  Fields below `deliveries` are the library's. */
struct skep_loan {
        void *data;       /* borrowed until the loan ends */
        size_t bytes;     /* length */
        uint32_t kind;    /* enum skep_message_kind */
        uint32_t deliveries; /* of a message that is to be acknowledged: which try this is, from 1; otherwise 0 */
        uint32_t state;
        skep_queue *queue;
        uint64_t block;
        uint64_t position;
        uint64_t segment;
        uint64_t agent;
};

/**
 * Lend memory for a message of @p bytes (at least 1): write into it, then commit or abandon.  Nothing is copied.
 * Holds no place in the queue, so a slow writer keeps nobody waiting.
 * @return 0; -ENOSPC; -ESHUTDOWN; -EINVAL; -EUSERS
 * Crash: abandoned by the reaper.
 */
SKEP_API SKEP_NODISCARD int skep_queue_reserve(skep_queue *queue, size_t bytes, struct skep_loan *ret_loan);

/**
 * The same for a message that mentions objects or blocks of the hive: it claims each of them until it is given back, so that
 * whoever borrows it finds them there and can claim them in turn.
 * @param references  borrowed, [count]; this process holds a claim on each; count 0: skep_queue_reserve()
 * @return also -ESTALE one is gone, or not held here; -EOVERFLOW
 * Crash: what was claimed is dropped with the message.
 * Note: a message that waits in the queue which it mentions keeps itself alive until the hive goes.
 */
SKEP_API SKEP_NODISCARD int skep_queue_reserve_with(skep_queue *queue, size_t bytes, const skep_block *references, size_t count, struct skep_loan *ret_loan);

/**
 * Append what was written. @param kind  BYTES or PICKLE @param bytes  at most what was reserved
 * @return 0, the loan has ended; otherwise as skep_queue_put() and the loan goes on
 */
SKEP_API SKEP_NODISCARD int skep_queue_commit(struct skep_loan *loan, uint32_t kind, size_t bytes, skep_deadline deadline);

/** End a loan of skep_queue_reserve() without a message. */
SKEP_API void skep_queue_abandon(struct skep_loan *loan);

/**
 * Look at the next message, of any kind, where it lies.  It counts as taken when it is given back; until then its slot
 * stays occupied, and if the borrower dies the message returns to the queue.  For an array, `data` is its description and
 * skep_loan_array() gives the array.
 * @return as skep_queue_get() without -EMSGSIZE and -EPROTOTYPE; -ENOSPC (only with SKEP_QUEUE_ACKNOWLEDGE), the message is in the queue again
 * Threads: give back by the thread that borrowed; with SKEP_QUEUE_ACKNOWLEDGE by any thread of the process, while the handle is there.
 * Fork: the loan stays the parent's; what the child does with it does nothing.
 * Cost: with SKEP_QUEUE_ACKNOWLEDGE also a copy of what lies in the slot, and a look for a free record.
 */
SKEP_API SKEP_NODISCARD int skep_queue_borrow(skep_queue *queue, struct skep_loan *ret_loan, skep_deadline deadline);

/** End a loan of skep_queue_borrow(): the message is taken, or acknowledged.  Crash: before or after that, nothing between. */
SKEP_API void skep_queue_give_back(struct skep_loan *loan);

/** End a loan of skep_queue_borrow(): the message stays in the queue; where it is delivered a limited number of times, it may become a dead letter. */
SKEP_API void skep_queue_put_back(struct skep_loan *loan);

/**
 * Look at a dead letter: a message that was delivered delivery_max times and not acknowledged.  skep_queue_give_back() takes it for good;
 * after skep_queue_put_back(), or the death of this process, it is a dead letter as before.
 * @return 0; -ETIMEDOUT there is none now; -EUSERS
 */
SKEP_API SKEP_NODISCARD int skep_queue_borrow_dead(skep_queue *queue, struct skep_loan *ret_loan);

/** Dead letters that nobody looks at just now.  Cost: a look at each message that was ever unacknowledged at the same time. */
SKEP_API uint64_t skep_queue_dead_size(const skep_queue *queue);

/** The array of a borrowed message. @param ret_array  gives one reference that outlives the loan @return 0; -EPROTOTYPE; -EBADMSG; -ENOMEM */
SKEP_API SKEP_NODISCARD int skep_loan_array(const struct skep_loan *loan, skep_array **ret_array);

/** No more puts, by anybody; gets drain what is there. @return 0 */
SKEP_API int skep_queue_close(skep_queue *queue);

/**
 * Wait until a get would find something: a message, or that the queue is closed.
 * @return 0, though another may be quicker; -ETIMEDOUT; -EUSERS; what the thread's interrupt function said
 */
SKEP_API SKEP_NODISCARD int skep_queue_poll(skep_queue *queue, skep_deadline deadline);

/**
 * Wait until a get from at least one of the queues would find something.
 * @param queues  borrowed, [count], of one hive, at most 128
 * @return as skep_queue_poll(); -E2BIG too many, -ENOTSUP the kernel is older than 5.16: use descriptors then; -EINVAL none, or of two hives
 */
SKEP_API SKEP_NODISCARD int skep_queue_poll_any(skep_queue *const *queues, size_t count, skep_deadline deadline);

/** Wait until a put would find space, or that the queue is closed. @return as skep_queue_poll() */
SKEP_API SKEP_NODISCARD int skep_queue_poll_space(skep_queue *queue, skep_deadline deadline);

/** Drop all messages that are there now. @param ret_count  may be NULL @return 0; -EUSERS */
SKEP_API int skep_queue_drain(skep_queue *queue, uint64_t *ret_count);

/*
 * TASKS.  Each message that was put is unfinished until somebody says, once, that it is done; skep_queue_join() waits until none is.
 * Any queue can be used so, at no cost to put and get.  Exact whoever is killed at whatever instruction: a message that a dead
 * producer did not come to put is not counted; one that a dead consumer had taken stays unfinished, as nobody can know, until
 * somebody else says that it is done.  Getting, draining and closing finish nothing.
 */

/**
 * One message that was got is done with.
 * @return 0; -EOVERFLOW all that were put are done already
 * Threads, Processes: any.  A put that is under way counts already.
 * Cost: one compare-and-swap, and a look at each ring of the queue; a system call if it was the last and somebody waits.
 */
SKEP_API int skep_queue_task_done(skep_queue *queue);

/** Wait until all messages that were put are done. @return 0; -ETIMEDOUT; -EUSERS; what the thread's interrupt function said */
SKEP_API SKEP_NODISCARD int skep_queue_join(skep_queue *queue, skep_deadline deadline);

/** Messages that were put, or are being put, and are not done: the figure at some moment of the call. */
SKEP_API uint64_t skep_queue_unfinished(const skep_queue *queue);

/** Messages in the queue, without borrowed ones and dead letters: exact when nobody is at work on it.  Cost: a look at each. */
SKEP_API uint64_t skep_queue_size(const skep_queue *queue);
/** Messages that fit; 0: unbounded. */
SKEP_API uint64_t skep_queue_capacity(const skep_queue *queue);
SKEP_API int skep_queue_is_empty(const skep_queue *queue);
SKEP_API int skep_queue_is_full(const skep_queue *queue);
SKEP_API int skep_queue_is_closed(const skep_queue *queue);
/** Was it made with SKEP_QUEUE_ACKNOWLEDGE? */
SKEP_API int skep_queue_acknowledges(const skep_queue *queue);

/**
 * A descriptor for poll, select or epoll that is readable while the queue has messages or is closed.  Made when first
 * asked for; a thread of this process watches the queue, together with up to 126 others of the hive; a get that finds the queue empty makes it
 * unreadable again.  May be readable once too often (another member was quicker): use skep_nowait() then.
 * @return descriptor >= 0, borrowed, valid until the handle ends; -EMFILE; -ENOMEM; -EAGAIN no thread
 */
SKEP_API SKEP_NODISCARD int skep_queue_fd(skep_queue *queue);

/** Another one, readable while a put would find space or the queue is closed; a put that finds it full makes it unreadable again. */
SKEP_API SKEP_NODISCARD int skep_queue_space_fd(skep_queue *queue);

SKEP_END
#endif
