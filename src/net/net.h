/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.h - byte streams to another process that never block, plain or encrypted.
 *
 * skep_connection (connection.c) waits around them; the server (manager/) runs many of them in one loop.  Not safe for two threads at once.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "os/os.h"
#include "os/socket.h"

#include <skep/connection.h>

/* What an authkey becomes: made once, for any number of streams; counted. */
struct secret;
/* @param options  as known to this library. @return 0, -EINVAL, -ENOSYS, -ENOMEM; PLAIN: *ret_secret is NULL */
int secret_create(const struct skep_connection_options *options, struct secret **ret_secret);
struct secret *secret_ref(struct secret *secret);
void secret_unref(struct secret *secret); /* NULL is allowed */

struct stream;

/* Results of stream_*: what has to happen before it is worth trying again. */
#define STREAM_WANTS_READ (-(INT64_C(1) << 32))
#define STREAM_WANTS_WRITE (-(INT64_C(1) << 33))
static inline bool stream_wants(int64_t result)
{
        return result == STREAM_WANTS_READ || result == STREAM_WANTS_WRITE;
}
static inline int stream_events(int64_t wanted)
{
        return wanted == STREAM_WANTS_READ ? OS_READABLE : OS_WRITABLE;
}

/* @param fd_take  closed on failure too @param secret  NULL: plain. Refuses a plain peer of another user, -EACCES; -EINVAL not a unix socket */
int stream_create(int fd_take, bool server, struct secret *secret, uint32_t silence_max_s, struct stream **ret_stream);
/* @return 0 done, STREAM_WANTS_*, -EACCES, -EPROTO, -ECONNRESET, ... */
int64_t stream_handshake(struct stream *stream);
/* @return bytes > 0; STREAM_WANTS_*; read: 0 end of file; -ECONNRESET, -EPIPE, -EPROTO */
int64_t stream_read(struct stream *stream, void *buffer, size_t bytes);
int64_t stream_write(struct stream *stream, const void *data, size_t bytes);
int stream_fd(const struct stream *stream);
/* @param tell  say goodbye, as far as that goes without waiting: not in a forked child */
void stream_close(struct stream *stream, bool tell);

/* Longest piece that is encrypted and sent at once: what is smaller is worth gathering. */
#define STREAM_RECORD_BYTES 16384u

/* 0: ready; -ETIMEDOUT; what the thread's interrupt function said. */
int net_wait(int fd, int events, skep_deadline deadline);

/* The same without asking the interrupt function. */
int net_wait_surely(int fd, int events, skep_deadline deadline);

/* What stream_read() says, of a connection whose frames the caller reads himself. -ESTALE of a parent */
int64_t connection_read(skep_connection *connection, void *buffer, size_t bytes);

/* Options as this library knows them. */
int connection_options(struct skep_connection_options *ret_options, const struct skep_connection_options *options);

/* @return 0, -EINVAL, -EHOSTUNREACH, ... */
#define ADDRESSES_MAX 8u
int address_parse(const char *text, bool for_listening, struct os_address *ret_addresses, uint32_t *ret_count);

/* A connected socket. */
int net_connect(const char *address, int *ret_fd, skep_deadline deadline);

#endif
