/* SPDX-License-Identifier: Apache-2.0 */
/**
 * connection.h - whole messages between two processes, of one machine or of two, encrypted.
 *
 * ADDRESS   "tcp://HOST:PORT", "tcp://[IPV6]:PORT", "unix:PATH", "unix:@NAME" (abstract: no file).  To listen, HOST may be
 *           empty (any) and PORT 0 (the system chooses; see skep_connection_address()).
 * SECRET    both ends know the authkey, and prove it to one another before anything else is said: TLS 1.3 with a pre-shared
 *           key, HKDF-SHA256 of the authkey, and a Diffie-Hellman exchange, so that a key that leaks later opens nothing that was
 *           recorded before.  No certificates.  A wrong key is refused by both ends.  Whoever records or answers a handshake can
 *           try keys against it on his own machine: take 16 random bytes or more, not a word.
 * PLAIN     SKEP_CONNECTION_PLAIN on both ends of a unix socket: no key, no encryption; the kernel's word that the other is of
 *           the same user.
 * FRAME     {length 64, little-endian} and so many bytes.
 */
#ifndef SKEP_CONNECTION_H
#define SKEP_CONNECTION_H

#include <skep/deadline.h>
#include <skep/queue.h>

SKEP_BEGIN

typedef struct skep_connection skep_connection;

#define SKEP_CONNECTION_PLAIN 1u

struct skep_connection_options {
        size_t options_bytes;     /* set by SKEP_CONNECTION_OPTIONS() */
        const void *authkey;      /* borrowed; copied, as a derived key */
        size_t authkey_bytes;     /* at least 1, unless PLAIN */
        const char *key_id;       /* borrowed; which key this is, sent in the clear: both ends must say the same. NULL: "skep"; at most 128 bytes */
        uint64_t message_max_bytes; /* longest message sent or taken. 0: 1 GiB */
        uint32_t silence_max_s;   /* TCP: a peer whose machine has not answered for so long is gone. 0: 30 */
        uint32_t flags;           /* SKEP_CONNECTION_PLAIN */
};

#define SKEP_CONNECTION_OPTIONS(...) \
        (&(const struct skep_connection_options){.options_bytes = sizeof(struct skep_connection_options), __VA_ARGS__})

/** Which side of the handshake. */
enum skep_connection_role { SKEP_CONNECTION_CLIENT = 0, SKEP_CONNECTION_SERVER = 1 };

/**
 * Connect and prove the key.
 * @param ret_connection  gives the handle; end with skep_connection_close()
 * @return 0; -EACCES the keys differ, or the peer wants none (PLAIN: another user); -EINVAL address, no authkey, PLAIN over TCP; -ECONNREFUSED
 *         nobody listens there; -EHOSTUNREACH no such host; -ETIMEDOUT; -EPROTO what answers is no TLS 1.3; -ECONNRESET it went
 *         away; -ENOSYS built without, or there is no, OpenSSL; -E2BIG; -ENOMEM; -EMFILE; what the thread's interrupt function said
 * Blocks: until @p deadline; looking up the name of a host may take longer.
 * Cost: about 0.3 ms of computing at both ends.
 */
SKEP_API SKEP_NODISCARD int skep_connection_connect(const char *address, const struct skep_connection_options *options, skep_connection **ret_connection,
                                                    skep_deadline deadline);

/**
 * Begin to listen.
 * @param backlog  connections that may wait for an accept; 0: 128
 * @param ret_fd   gives a socket that does not block; close() it.  The file of a unix address stays: unlink() it
 * @return 0; -EADDRINUSE; -EINVAL; -EACCES; -ENAMETOOLONG; -EADDRNOTAVAIL
 * A file left behind by a listener that has gone is replaced.
 */
SKEP_API SKEP_NODISCARD int skep_connection_listen(const char *address, uint32_t backlog, int *ret_fd);

/** The next caller's socket, before its handshake. @param ret_fd  gives it: for skep_connection_from_fd()
 *  @return 0; -ETIMEDOUT; -EMFILE; what the thread's interrupt function said */
SKEP_API SKEP_NODISCARD int skep_connection_accept_fd(int listener_fd, int *ret_fd, skep_deadline deadline);

/** skep_connection_accept_fd() and skep_connection_from_fd(): a caller who dawdles keeps the next waiting, so for servers rather those two.
 *  @return as skep_connection_connect() */
SKEP_API SKEP_NODISCARD int skep_connection_accept(int listener_fd, const struct skep_connection_options *options, skep_connection **ret_connection,
                                                   skep_deadline deadline);

/**
 * Shake hands over a connected stream socket.
 * @param fd_take  closed on failure too, and made not to block
 * @return as skep_connection_connect()
 */
SKEP_API SKEP_NODISCARD int skep_connection_from_fd(int fd_take, enum skep_connection_role role, const struct skep_connection_options *options,
                                                    skep_connection **ret_connection, skep_deadline deadline);

/**
 * Send one message, the parts one behind the other.
 * @return 0 it is on its way; -EMSGSIZE longer than message_max_bytes; -ETIMEDOUT, or what the interrupt function said, before its first
 *         byte; -EPIPE the connection is broken: the peer has gone, or an earlier message was cut off in the middle; -ESTALE of a parent
 * Blocks: while the peer does not read.  A deadline or an interrupt in the middle of a message breaks the connection.
 * Threads: any; messages do not mix.
 */
SKEP_API SKEP_NODISCARD int skep_connection_send(skep_connection *connection, const struct skep_bytes *parts, size_t count, skep_deadline deadline);

/**
 * Take the next message.
 * @param ret_bytes  its length; also written with -EMSGSIZE, which leaves it there
 * @return 0; -EMSGSIZE longer than the buffer; -ETIMEDOUT (what has come so far is kept); -ECONNRESET the peer has gone, or the connection
 *         is broken; -EPROTO longer than message_max_bytes, or not from the peer: broken from then on; -ESTALE of a parent
 * Threads: any; each message goes to one.
 */
SKEP_API SKEP_NODISCARD int skep_connection_receive(skep_connection *connection, void *buffer, size_t capacity_bytes, size_t *ret_bytes,
                                                    skep_deadline deadline);

/** Wait until the next message begins to come, or the peer has gone. @return 0; -ETIMEDOUT; -ESTALE; what the interrupt function said */
SKEP_API SKEP_NODISCARD int skep_connection_poll(skep_connection *connection, skep_deadline deadline);

/** For poll or epoll: borrowed.  Readable when bytes have come that nobody has read from the kernel; ask skep_connection_poll() with skep_nowait() first. */
SKEP_API int skep_connection_fd(const skep_connection *connection);

/** Write an address of a socket as above. @param of_peer  0: our end @return 0; -EMSGSIZE; -ENOTCONN; -EBADF; a nameless unix end is "unix:" */
SKEP_API SKEP_NODISCARD int skep_connection_address(int fd, int of_peer, char *text, size_t bytes);

/** Tell the peer and the threads that wait in a call on it that it is over; they return. */
SKEP_API void skep_connection_shut(skep_connection *connection);

/** End it and free the handle; nobody may be in a call on it. @param connection  NULL is allowed @return NULL */
SKEP_API skep_connection *skep_connection_close(skep_connection *connection);

SKEP_END
#endif
