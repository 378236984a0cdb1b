/* SPDX-License-Identifier: Apache-2.0 */
/**
 * channel.h - two ends; what is sent at one is received at the other, whole and in order.
 *
 * An end lasts as long as somebody holds it: a handle in any process, a name, a message that carries it.  When the last
 * holder of an end has let it go, or was killed, the other end receives what was sent before, then -ESHUTDOWN (end of file);
 * sending to an end that nobody holds is -ESHUTDOWN too (broken pipe).  What an end had not received when its last holder went
 * is dropped, with what it carries.
 *
 * Each way is a queue (queue.h): skep_channel_reader() and skep_channel_writer() give it for everything that queues do, such as
 * arrays, runs of messages and messages where they lie.  Many threads and processes may send and receive at one end.
 *
 * fork   the child holds the same ends as its parent, as with descriptors: close those that it does not use, or nobody is told
 *        when the parent lets go.
 * CRASH  a message is there as a whole or not at all.  An end whose holders were killed is noticed by who waits at the other
 *        within 50 ms or so, by the kernel's word.
 */
#ifndef SKEP_CHANNEL_H
#define SKEP_CHANNEL_H

#include <skep/queue.h>

SKEP_BEGIN

typedef struct skep_channel_end skep_channel_end;

/** The first end only receives, the second only sends. */
#define SKEP_CHANNEL_ONE_WAY 1u

struct skep_channel_options {
        size_t options_bytes; /* set by SKEP_CHANNEL_OPTIONS() */
        const char *name;     /* borrowed; unique in the hive, names the second end and holds it. NULL: none */
        uint64_t capacity;    /* messages that fit, each way. 0: unbounded, a send never waits */
        uint32_t slot_bytes;  /* as skep_queue_options */
        uint32_t flags;       /* SKEP_CHANNEL_ONE_WAY */
};

#define SKEP_CHANNEL_OPTIONS(...) \
        (&(const struct skep_channel_options){.options_bytes = sizeof(struct skep_channel_options), __VA_ARGS__})

/**
 * Make a channel.
 * @param options     borrowed, or NULL for the defaults
 * @param ret_first, ret_second  give a handle each; end with skep_channel_unref()
 * @return as skep_queue_create()
 * Crash: nothing is left of it.
 * Cost: about 5 KiB each way until more than 16 messages wait.
 */
SKEP_API SKEP_NODISCARD int skep_channel_create(skep_hive *hive, const struct skep_channel_options *options, skep_channel_end **ret_first,
                                                skep_channel_end **ret_second);

/** Find the second end of a channel by name. @return 0; -ENOENT; -EPROTOTYPE; -ENOMEM */
SKEP_API SKEP_NODISCARD int skep_channel_open(skep_hive *hive, const char *name, skep_channel_end **ret_end);

/** Find an end by reference. @return 0; -ESTALE nobody holds it any more; -EPROTOTYPE; -ENOMEM */
SKEP_API SKEP_NODISCARD int skep_channel_attach(skep_hive *hive, skep_block reference, skep_channel_end **ret_end);

/**
 * What skep_channel_attach() takes; may be sent as bytes.  It holds nothing: until the receiver has attached somebody must
 * hold the end, best the message itself (skep_queue_reserve_with()).
 */
SKEP_API skep_block skep_channel_reference(const skep_channel_end *end);
SKEP_API skep_hive *skep_channel_hive(const skep_channel_end *end);

/** Let go of an end. @param end  NULL is allowed; no other thread may be inside a call on it @return NULL */
SKEP_API skep_channel_end *skep_channel_unref(skep_channel_end *end);

/** The queue that this end receives from, or NULL: borrowed for the life of the handle.  Do not close it. */
SKEP_API skep_queue *skep_channel_reader(const skep_channel_end *end);
/** The queue that this end sends to, or NULL: borrowed for the life of the handle.  Do not close it. */
SKEP_API skep_queue *skep_channel_writer(const skep_channel_end *end);

/** Send a copy of a message. @return as skep_queue_put(); -ESHUTDOWN nobody holds the other end; -ENOTSUP this one only receives */
SKEP_API SKEP_NODISCARD int skep_channel_send(skep_channel_end *end, const void *message, size_t bytes, skep_deadline deadline);

/** Receive a message. @return as skep_queue_get(); -ESHUTDOWN end of file; -ENOTSUP this end only sends */
SKEP_API SKEP_NODISCARD int skep_channel_receive(skep_channel_end *end, void *buffer, size_t capacity_bytes, size_t *ret_bytes, skep_deadline deadline);

/** Wait until there is a message or the end of file. @return as skep_queue_poll(); -ENOTSUP */
SKEP_API SKEP_NODISCARD int skep_channel_poll(skep_channel_end *end, skep_deadline deadline);

/** A descriptor that is readable while there are messages, and at the end of file. @return as skep_queue_fd(); -ENOTSUP */
SKEP_API SKEP_NODISCARD int skep_channel_fd(skep_channel_end *end);

SKEP_END
#endif
