/* SPDX-License-Identifier: Apache-2.0 */
/**
 * remote.h - the hive of another machine, offered there by `skep serve` or a skep_server.
 *
 * The handle is a skep_hive like any other: queues, locks, rlocks, semaphores, events, barriers, conditions and values are opened by
 * name, or made, and used with the same functions.  Each call is a question over the connection and its answer; threads share
 * the connection without waiting for one another.
 *
 * LOCAL     Arrays and blocks that are made with the handle lie in this process, in an anonymous hive behind it.  skep_queue_put_array()
 *           sends the elements, of any hive's array; skep_queue_get_array() gives an array here.  A message that mentions objects of its
 *           hive cannot be taken here (-ENOTSUP).
 * NOT HERE  -ENOTSUP: channels, once, rwlocks, a barrier's action, skep_queue_fd(), skep_value_changed(), loans with references.
 *           skep_value_data() is NULL.  skep_hive_stat(), _verify() and _reap() are about the local hive.
 * BROKEN    A call whose connection breaks says -ENOTCONN if it surely has not happened, -ECONNRESET if it may have.  Further calls say
 *           -ENOTCONN until skep_hive_reconnect().  What does not wait and cannot fail (is_set, size ...) says 0 then.
 * OWNERS    A lock is held by the thread that acquired it, as on one machine.  When it ends, the process dies, or the connection breaks, its
 *           locks are given to the next, with the news SKEP_OWNER_DIED.  Messages that were not wholly taken go back.
 * DEADLINE  is kept by the server; a call returns when its answer comes, or the connection is found broken.
 * INTERRUPT A call that the interrupt function ends is taken back at the server.  If it cannot be any more, an acquired lock is released, a message
 *           is put back; a put has happened all the same.
 * fork      The child has no connection: skep_hive_reconnect() gives it one, and its handles work.  As everywhere, a child of a process
 *           whose other threads are in the middle of something (a server's, for one) had better be spawned.
 */
#ifndef SKEP_REMOTE_H
#define SKEP_REMOTE_H

#include <skep/connection.h>
#include <skep/hive.h>

SKEP_BEGIN

/**
 * Connect to a served hive.
 * @param options   borrowed; message_max_bytes is the longest message or array, either way
 * @param ret_hive  gives the handle; end with skep_hive_detach()
 * @return as skep_connection_connect() and skep_hive_create(); -EPROTO another version, or no skep server
 */
SKEP_API SKEP_NODISCARD int skep_hive_connect(const char *address, const struct skep_connection_options *options, skep_hive **ret_hive,
                                              skep_deadline deadline);

/**
 * Connect again to the same address with the same key, also in a forked child.  Calls under way end first, with -ECONNRESET.
 * Handles go on, as far as their objects are still there (-ESTALE); nothing is held.
 * @return as skep_hive_connect(); -EINVAL not a remote hive
 */
SKEP_API SKEP_NODISCARD int skep_hive_reconnect(skep_hive *hive, skep_deadline deadline);

/** @return 1 if the hive is another machine's, else 0 */
SKEP_API int skep_hive_is_remote(const skep_hive *hive);

/** A question without consequences. @return 0; -ENOTCONN; -ECONNRESET; -EINVAL not a remote hive */
SKEP_API SKEP_NODISCARD int skep_hive_ping(skep_hive *hive);

SKEP_END
#endif
