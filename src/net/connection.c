/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection.c - whole messages over a stream, for threads that wait (skep/connection.h).
 *
 * `tls` guards the stream, which is not for two threads at once, and is never held while somebody sleeps; `sending` and `receiving`
 * keep one message together.  A message whose receiver had to give up in the middle is kept in `held` for the next one.
 *
 * Process-private: a forked child shares the socket, and two processes cannot both keep the state of the encryption.  So the handle
 * is dead in the child (-ESTALE), where closing it says nothing to the peer.
 */
#include "hive/hive.h"
#include "net/net.h"
#include "sync/wait.h"

#include <skep/error.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MESSAGE_MAX (UINT64_C(1) << 30)
#define SILENCE_MAX_S 30u
#define HEAD_BYTES 8u

struct skep_connection {
        struct stream *stream;
        uint64_t message_max_bytes;
        uint32_t generation; /* of forks */
        uint32_t broken;
        pthread_mutex_t tls;
        pthread_mutex_t sending;
        pthread_mutex_t receiving;
        /* of `receiving` */
        uint8_t head[HEAD_BYTES];
        size_t head_bytes; /* that have come; HEAD_BYTES: a message is coming */
        uint8_t *held;     /* the beginning of its body, or NULL */
        size_t held_bytes;
};

static uint32_t generation; /* how many forks lie between the first process and this one */

static void generation_child(void)
{
        generation++;
}

__attribute__((constructor)) static void generation_register(void)
{
        (void)pthread_atfork(NULL, NULL, generation_child);
}

int connection_options(struct skep_connection_options *ret_options, const struct skep_connection_options *options)
{
        int result = options_copy(ret_options, sizeof *ret_options, options);
        if (result < 0)
                return result;
        if (ret_options->flags & ~SKEP_CONNECTION_PLAIN || ret_options->message_max_bytes > INT64_MAX / 2 || ret_options->silence_max_s > INT32_MAX / 1000)
                return -EINVAL;
        if (!ret_options->message_max_bytes)
                ret_options->message_max_bytes = MESSAGE_MAX;
        if (!ret_options->silence_max_s)
                ret_options->silence_max_s = SILENCE_MAX_S;
        return 0;
}

/* --- begin and end ------------------------------------------------------------------------------------------------------------ */

static int shake_hands(struct stream *stream, skep_deadline deadline)
{
        for (;;) {
                int64_t result = stream_handshake(stream);
                if (!stream_wants(result))
                        return (int)result;
                int waited = net_wait(stream_fd(stream), stream_events(result), deadline);
                if (waited < 0)
                        return waited;
        }
}

static int connection_create(int fd_take, bool server, const struct skep_connection_options *options, skep_connection **ret_connection, skep_deadline deadline)
{
        struct secret *secret;
        struct stream *stream;
        int result = secret_create(options, &secret);
        if (result < 0) {
                os_close(fd_take);
                return result;
        }
        result = stream_create(fd_take, server, secret, options->silence_max_s, &stream);
        secret_unref(secret);
        if (result < 0)
                return result;
        result = shake_hands(stream, deadline);
        skep_connection *connection = result == 0 ? calloc(1, sizeof *connection) : NULL;
        if (!connection) {
                stream_close(stream, false);
                return result < 0 ? result : -ENOMEM;
        }
        connection->stream = stream;
        connection->message_max_bytes = options->message_max_bytes;
        connection->generation = generation;
        pthread_mutex_init(&connection->tls, NULL);
        pthread_mutex_init(&connection->sending, NULL);
        pthread_mutex_init(&connection->receiving, NULL);
        *ret_connection = connection;
        return 0;
}

int skep_connection_from_fd(int fd_take, enum skep_connection_role role, const struct skep_connection_options *options, skep_connection **ret_connection,
                            skep_deadline deadline)
{
        struct skep_connection_options known;
        int result = connection_options(&known, options);
        if (result < 0) {
                os_close(fd_take);
                return result;
        }
        return connection_create(fd_take, role == SKEP_CONNECTION_SERVER, &known, ret_connection, deadline);
}

int skep_connection_connect(const char *address, const struct skep_connection_options *options, skep_connection **ret_connection, skep_deadline deadline)
{
        struct skep_connection_options known;
        int fd, result = connection_options(&known, options);
        if (result == 0 && !(known.flags & SKEP_CONNECTION_PLAIN) && (!known.authkey || !known.authkey_bytes))
                result = -EINVAL; /* before anybody is troubled */
        if (result == 0)
                result = net_connect(address, &fd, deadline);
        return result < 0 ? result : connection_create(fd, false, &known, ret_connection, deadline);
}

int skep_connection_accept(int listener_fd, const struct skep_connection_options *options, skep_connection **ret_connection, skep_deadline deadline)
{
        int fd, result = skep_connection_accept_fd(listener_fd, &fd, deadline);
        return result < 0 ? result : skep_connection_from_fd(fd, SKEP_CONNECTION_SERVER, options, ret_connection, deadline);
}

int skep_connection_fd(const skep_connection *connection)
{
        return stream_fd(connection->stream);
}

void skep_connection_shut(skep_connection *connection)
{
        skep_store32(&connection->broken, 1);
        if (connection->generation == generation)
                (void)os_socket_shut(stream_fd(connection->stream));
}

skep_connection *skep_connection_close(skep_connection *connection)
{
        if (!connection)
                return NULL;
        stream_close(connection->stream, connection->generation == generation);
        if (connection->generation == generation) {
                pthread_mutex_destroy(&connection->tls);
                pthread_mutex_destroy(&connection->sending);
                pthread_mutex_destroy(&connection->receiving);
        }
        free(connection->held);
        free(connection);
        return NULL;
}

/* --- turns ---------------------------------------------------------------------------------------------------------------------- */

/* gcc 12's ThreadSanitizer does not know pthread_mutex_clocklock(). */
static bool clocklock_seen(pthread_mutex_t *mutex)
{
#ifdef __SANITIZE_THREAD__
        extern void __tsan_mutex_pre_lock(void *, unsigned), __tsan_mutex_post_lock(void *, unsigned, int);
        __tsan_mutex_pre_lock(mutex, 0);
        __tsan_mutex_post_lock(mutex, 0, 0);
#endif
        (void)mutex;
        return true;
}

/* Enter, in slices, so that the interrupt function is asked. @return 0, -ETIMEDOUT, -ESTALE, what the interrupt function said */
static int enter(skep_connection *connection, pthread_mutex_t *mutex, skep_deadline deadline)
{
        if (connection->generation != generation)
                return -ESTALE;
        while (pthread_mutex_trylock(mutex)) {
                int64_t slice = os_now_ns() + WAIT_SLICE_NS;
                if (slice > deadline.monotonic_ns)
                        slice = deadline.monotonic_ns;
                const struct timespec until = {slice / INT64_C(1000000000), slice % INT64_C(1000000000)};
                if (pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until) == 0 && clocklock_seen(mutex))
                        return 0;
                int told = deadline.monotonic_ns ? wait_ask() : 0;
                if (told < 0)
                        return told;
                if (slice == deadline.monotonic_ns)
                        return -ETIMEDOUT;
        }
        return 0;
}

static int64_t locked_write(skep_connection *connection, const void *data, size_t bytes)
{
        pthread_mutex_lock(&connection->tls);
        int64_t result = stream_write(connection->stream, data, bytes);
        pthread_mutex_unlock(&connection->tls);
        return result;
}

static int64_t locked_read(skep_connection *connection, void *buffer, size_t bytes)
{
        pthread_mutex_lock(&connection->tls);
        int64_t result = stream_read(connection->stream, buffer, bytes);
        pthread_mutex_unlock(&connection->tls);
        return result;
}

int64_t connection_read(skep_connection *connection, void *buffer, size_t bytes)
{
        if (connection->generation != generation)
                return -ESTALE;
        return skep_load32(&connection->broken) ? -ECONNRESET : locked_read(connection, buffer, bytes);
}

/* --- send ----------------------------------------------------------------------------------------------------------------------- */

struct sending {
        skep_connection *connection;
        skep_deadline deadline;
        bool begun; /* something of the message may have left */
        size_t gathered;
        uint8_t gather[STREAM_RECORD_BYTES];
};

static int send_all(struct sending *sending, const uint8_t *data, size_t bytes)
{
        skep_connection *connection = sending->connection;
        while (bytes) {
                if (skep_load32(&connection->broken))
                        return -EPIPE;
                int64_t count = locked_write(connection, data, bytes);
                if (stream_wants(count)) {
                        /* Even then a record may have been made of it, which has to be the next to leave. */
                        sending->begun = true;
                        int result = net_wait(stream_fd(connection->stream), stream_events(count), sending->deadline);
                        if (result < 0)
                                return result;
                } else if (count < 0) {
                        return (int)count;
                } else {
                        sending->begun = true;
                        data += count;
                        bytes -= (size_t)count;
                }
        }
        return 0;
}

/* Small parts travel together. */
static int send_part(struct sending *sending, const uint8_t *data, size_t bytes)
{
        while (bytes) {
                if (!sending->gathered && bytes >= sizeof sending->gather)
                        return send_all(sending, data, bytes);
                size_t room = sizeof sending->gather - sending->gathered, count = bytes < room ? bytes : room;
                memcpy(sending->gather + sending->gathered, data, count);
                sending->gathered += count;
                data += count;
                bytes -= count;
                if (sending->gathered == sizeof sending->gather) {
                        int result = send_all(sending, sending->gather, sending->gathered);
                        if (result < 0)
                                return result;
                        sending->gathered = 0;
                }
        }
        return 0;
}

int skep_connection_send(skep_connection *connection, const struct skep_bytes *parts, size_t count, skep_deadline deadline)
{
        struct sending sending;
        uint64_t total = 0;
        for (size_t i = 0; i < count; i++)
                if (__builtin_add_overflow(total, parts[i].bytes, &total))
                        return -EMSGSIZE;
        if (total > connection->message_max_bytes)
                return -EMSGSIZE;
        int result = enter(connection, &connection->sending, deadline);
        if (result < 0)
                return result;
        sending.connection = connection;
        sending.deadline = deadline;
        sending.begun = false;
        sending.gathered = 0;
        uint64_t head = htole64(total);
        result = skep_load32(&connection->broken) ? -EPIPE : send_part(&sending, (const uint8_t *)&head, sizeof head);
        for (size_t i = 0; i < count && result == 0; i++)
                result = send_part(&sending, parts[i].data, parts[i].bytes);
        if (result == 0 && sending.gathered)
                result = send_all(&sending, sending.gather, sending.gathered);
        if (result < 0 && (sending.begun || result == -EPIPE || result == -EPROTO))
                skep_connection_shut(connection);
        pthread_mutex_unlock(&connection->sending);
        return result;
}

/* --- receive -------------------------------------------------------------------------------------------------------------------- */

/* Add to what has come until it is so many bytes. */
static int receive_until(skep_connection *connection, uint8_t *buffer, size_t bytes, size_t *have, skep_deadline deadline)
{
        while (*have < bytes) {
                int64_t count = locked_read(connection, buffer + *have, bytes - *have);
                if (stream_wants(count)) {
                        if (skep_load32(&connection->broken))
                                return -ECONNRESET;
                        int result = net_wait(stream_fd(connection->stream), stream_events(count), deadline);
                        if (result < 0)
                                return result;
                } else if (count <= 0) {
                        skep_connection_shut(connection);
                        return count == 0 ? -ECONNRESET : (int)count;
                } else {
                        *have += (size_t)count;
                }
        }
        return 0;
}

/* Wait for the head of a message. */
static int receive_head(skep_connection *connection, uint64_t *ret_bytes, skep_deadline deadline)
{
        int result = receive_until(connection, connection->head, HEAD_BYTES, &connection->head_bytes, deadline);
        if (result < 0)
                return result;
        uint64_t bytes;
        memcpy(&bytes, connection->head, sizeof bytes);
        bytes = le64toh(bytes);
        if (bytes > connection->message_max_bytes) {
                skep_connection_shut(connection);
                return -EPROTO;
        }
        *ret_bytes = bytes;
        return 0;
}

static int receive_body(skep_connection *connection, uint8_t *buffer, size_t bytes, skep_deadline deadline)
{
        size_t have = connection->held_bytes;
        if (have)
                memcpy(buffer, connection->held, have);
        int result = receive_until(connection, buffer, bytes, &have, deadline);
        uint8_t *held = result < 0 && have ? realloc(connection->held, have) : NULL;
        if (result < 0 && have && !held) {
                skep_connection_shut(connection);
                return result;
        }
        if (result < 0) {
                if (have)
                        connection->held = memcpy(held, buffer, have);
                connection->held_bytes = have;
                return result;
        }
        free(connection->held);
        connection->held = NULL;
        connection->held_bytes = 0;
        connection->head_bytes = 0;
        return 0;
}

int skep_connection_receive(skep_connection *connection, void *buffer, size_t capacity_bytes, size_t *ret_bytes, skep_deadline deadline)
{
        uint64_t bytes = 0;
        int result = enter(connection, &connection->receiving, deadline);
        if (result < 0)
                return result;
        result = receive_head(connection, &bytes, deadline);
        if (result == 0) {
                *ret_bytes = bytes;
                result = bytes > capacity_bytes ? -EMSGSIZE : receive_body(connection, buffer, bytes, deadline);
        }
        pthread_mutex_unlock(&connection->receiving);
        return result;
}

int skep_connection_poll(skep_connection *connection, skep_deadline deadline)
{
        int result = enter(connection, &connection->receiving, deadline);
        if (result < 0)
                return result;
        uint64_t bytes;
        result = receive_head(connection, &bytes, deadline);
        pthread_mutex_unlock(&connection->receiving);
        return result == -ECONNRESET || result == -EPROTO ? 0 : result;
}
