/* SPDX-License-Identifier: Apache-2.0 */
/**
 * server.h - offer the objects of a hive to other machines; they use skep_hive_connect().
 *
 * One thread does everything that does not wait.  A call that has to wait for a queue is parked; one that waits for another object takes a
 * thread for so long.  So clients that wait hold nobody up.
 *
 * LOST CLIENT   A client that dies, or whose connection breaks, gives back what it held: its locks, with the news SKEP_OWNER_DIED for the
 *               next, its references, and messages that it had not wholly taken.
 * BAD CLIENT    A frame that is none, too long, or not a request ends its connection.  A wrong key is refused before anything is said.  Who does not
 *               read his answers is not read either.  Whoever knows the key may use all objects of the hive.
 */
#ifndef SKEP_SERVER_H
#define SKEP_SERVER_H

#include <skep/connection.h>
#include <skep/hive.h>

SKEP_BEGIN

typedef struct skep_server skep_server;

struct skep_server_options {
        size_t options_bytes;       /* set by SKEP_SERVER_OPTIONS() */
        const void *authkey;        /* borrowed; copied, as a derived key */
        size_t authkey_bytes;       /* at least 1, unless SKEP_CONNECTION_PLAIN */
        const char *key_id;         /* borrowed; NULL: "skep" */
        uint64_t message_max_bytes; /* of a message or array. 0: 1 GiB */
        uint32_t silence_max_s;     /* as of connections. 0: 30 */
        uint32_t flags;             /* SKEP_CONNECTION_PLAIN: unix sockets only */
        uint32_t connection_max;    /* 0: 4096 */
        uint32_t handshake_max;     /* connections that have not proved the key yet; more wait in the system's backlog. 0: 128 */
        uint32_t handshake_max_ms;  /* who takes longer is cut off. 0: 10000 */
        uint32_t waiting_max;       /* calls that wait for something other than a queue, at the same time: threads. 0: 256 */
        void (*log)(const char *line, void *context); /* NULL: nothing is said.  Called by skep_server_run()'s thread */
        void *log_context;
};

#define SKEP_SERVER_OPTIONS(...) \
        (&(const struct skep_server_options){.options_bytes = sizeof(struct skep_server_options), __VA_ARGS__})

/**
 * Make a server for a hive; nobody can reach it yet.
 * @param hive        borrowed until the server is freed
 * @param ret_server  gives the handle; end with skep_server_free()
 * @return 0; -EINVAL no authkey, or a remote hive; -ENOSYS built without the network, or no OpenSSL; -ENOMEM; -EMFILE; -E2BIG
 */
SKEP_API SKEP_NODISCARD int skep_server_create(skep_hive *hive, const struct skep_server_options *options, skep_server **ret_server);

/** Listen at one address more (connection.h), before skep_server_run(). @return as skep_connection_listen(); -E2BIG more than eight */
SKEP_API SKEP_NODISCARD int skep_server_listen(skep_server *server, const char *address);

/** The address that was listened at, with the port that the system chose. @param index  0: the first @return 0; -ERANGE; -EMSGSIZE */
SKEP_API SKEP_NODISCARD int skep_server_address(const skep_server *server, uint32_t index, char *text, size_t bytes);

/** Serve until skep_server_stop(). @return 0 */
SKEP_API SKEP_NODISCARD int skep_server_run(skep_server *server);

/** Let skep_server_run() return, now or when it is called.  Any thread; also in a signal handler. */
SKEP_API void skep_server_stop(skep_server *server);

struct skep_server_stat {
        uint64_t connections; /* now, with proven key */
        uint64_t handshakes;  /* now, without */
        uint64_t accepted;    /* ever */
        uint64_t refused;     /* ever: wrong key, no TLS, too slow */
        uint64_t calls;       /* ever */
        uint64_t waiting;     /* calls, now */
};

/** Figures, of any thread; not all of one instant. */
SKEP_API void skep_server_stat(const skep_server *server, struct skep_server_stat *ret_stat);

/** Free it; not while it runs. @param server  NULL is allowed @return NULL */
SKEP_API skep_server *skep_server_free(skep_server *server);

SKEP_END
#endif
