/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - the hive of another machine: calls over one connection, by any number of threads (skep/remote.h, hive/remote.h).
 *
 * A caller enters its `pending` in the table, sends its request, and waits.  Who waits while nobody reads, reads: it takes in whatever
 * comes, its own answer and the others', and wakes those.  With its own answer it hands the reading to another who waits.  So
 * there is no thread in between, and a lone caller costs a send and a receive.
 *
 *   `mutex` guards the table, `reading`, `link`, and results of calls that are not done; it is not held while sending or reading.
 *   What belongs to the reader is changed by who has set `reading` only.
 *
 *   link       state                        left by                              to
 *   UP         connected                    whoever sees it broken                DOWN; the reader says -ECONNRESET to all pending calls
 *   DOWN       broken, or a child's         skep_hive_reconnect(), when nobody    UP, or DOWN
 *                                           is in a call any more
 */
#include "base/checked.h"
#include "manager/wire.h"
#include "member/member.h"
#include "net/net.h"
#include "sync/wait.h"

#include <errno.h>
#include <skep/remote.h>
#include <stdlib.h>
#include <string.h>

#ifdef SKEP_NETWORK

#define TABLE 256u

struct pending {
        struct remote_call *call;
        uint64_t id;
        int result;
        bool done;
        bool to_read;        /* it is its turn */
        bool waits;
        pthread_cond_t wake; /* of `mutex` */
        struct pending *next;
};

struct client {
        struct remote remote;
        char *address;
        struct skep_connection_options options; /* its pointers are ours */
        pthread_mutex_t mutex;
        pthread_cond_t idle;         /* nobody is in a call */
        skep_connection *connection; /* NULL: DOWN, and nobody is in a call */
        bool up;
        uint32_t users;
        uint32_t generation;         /* of forks */
        uint64_t next_id;
        bool reading;
        struct wire_reader reader;
        struct pending *coming;      /* whose answer is being read; NULL: nobody's */
        struct pending *own;         /* the reader's */
        struct pending *table[TABLE];
        struct client *next;
};

/* --- threads have numbers, and their end is told ---------------------------------------------------------------------------------- */

static pthread_mutex_t clients_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct client *clients;
static uint32_t thread_count, generation;
static _Thread_local uint32_t thread_number;
static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;

static void client_tell(struct remote *remote, struct remote_call *call);

static void thread_ends(void *number)
{
        thread_number = (uint32_t)(uintptr_t)number;
        pthread_mutex_lock(&clients_mutex);
        for (struct client *client = clients; client; client = client->next) {
                struct remote_call call = {.method = REMOTE_THREAD_ENDS};
                client_tell(&client->remote, &call);
        }
        pthread_mutex_unlock(&clients_mutex);
        thread_number = 0;
}

static void before_fork(void)
{
        pthread_mutex_lock(&clients_mutex);
}

static void after_fork(void)
{
        pthread_mutex_unlock(&clients_mutex);
}

static void after_fork_in_child(void)
{
        pthread_mutex_init(&clients_mutex, NULL);
        generation++;
}

static void threads_begin(void)
{
        (void)pthread_key_create(&thread_key, thread_ends);
        (void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

static uint32_t thread_self(void)
{
        if (!thread_number) {
                thread_number = skep_fetch_add32(&thread_count, 1) + 1;
                (void)pthread_setspecific(thread_key, (void *)(uintptr_t)thread_number);
        }
        return thread_number;
}

/* --- the table ------------------------------------------------------------------------------------------------------------------------ */

static struct pending **place_of(struct client *client, uint64_t id)
{
        struct pending **place = &client->table[id % TABLE];
        while (*place && (*place)->id != id)
                place = &(*place)->next;
        return place;
}

/* Begin to use the connection. @return 0, -ENOTCONN */
static int enter(struct client *client)
{
        if (client->generation != generation)
                return -ENOTCONN;
        pthread_mutex_lock(&client->mutex);
        bool up = client->up;
        client->users += up;
        pthread_mutex_unlock(&client->mutex);
        return up ? 0 : -ENOTCONN;
}

/* Under `mutex`. */
static void leave(struct client *client)
{
        if (--client->users == 0)
                pthread_cond_broadcast(&client->idle);
}

/* Under `mutex`: nothing more is sent; whoever reads, or will, finds that it is over. */
static void give_up(struct client *client)
{
        client->up = false;
        skep_connection_shut(client->connection);
}

/* Under `mutex`, by the reader, as nobody else knows whose answer is being written: no answer will come any more. */
static void broken(struct client *client)
{
        give_up(client);
        client->coming = NULL;
        for (uint32_t i = 0; i < TABLE; i++)
                for (struct pending *pending = client->table[i]; pending; pending = pending->next)
                        if (!pending->done) {
                                pending->done = true;
                                pending->result = -ECONNRESET;
                                pthread_cond_signal(&pending->wake);
                        }
}

/* --- reading -------------------------------------------------------------------------------------------------------------------------- */

static int64_t read_some(void *context, void *buffer, size_t bytes)
{
        return connection_read(((struct client *)context)->connection, buffer, bytes);
}

static int array_for(struct client *client, struct remote_call *call, uint64_t raw_bytes, void **ret_raw)
{
        uint64_t shape[SKEP_ARRAY_DIMENSION_MAX];
        uint32_t dimensions = call->result_count - 3;
        if (dimensions > SKEP_ARRAY_DIMENSION_MAX)
                return -EPROTO;
        for (uint32_t i = 0; i < dimensions; i++)
                shape[i] = (uint64_t)call->results[3 + i];
        int result = skep_array_create(client->remote.hive,
                                       SKEP_ARRAY_OPTIONS(.element = (uint32_t)call->results[2], .dimension_count = dimensions, .shape = shape,
                                                          .flags = SKEP_ARRAY_UNINITIALIZED),
                                       &call->array);
        if (result == 0 && skep_array_bytes(call->array) != raw_bytes) {
                call->array = skep_array_unref(call->array);
                result = -EPROTO;
        }
        if (result == 0)
                *ret_raw = skep_array_data(call->array);
        return result;
}

/* Where the raw bytes of an answer go. */
static int place_for(struct client *client, struct remote_call *call, uint64_t raw_bytes, void **ret_raw)
{
        if (call->may_be_array && call->result_count >= 3 && call->results[0] == SKEP_MESSAGE_ARRAY)
                return array_for(client, call, raw_bytes, ret_raw);
        call->bytes = raw_bytes;
        if (raw_bytes <= call->capacity) {
                *ret_raw = call->buffer;
                return 0;
        }
        call->data = malloc(raw_bytes);
        *ret_raw = call->data;
        return call->data ? 0 : -ENOMEM;
}

static int answer_begins(void *context, const uint8_t *envelope, size_t bytes, uint64_t raw_bytes, void **ret_raw)
{
        struct client *client = context;
        struct wire_answer answer;
        if (wire_parse_answer(envelope, bytes, &answer) < 0)
                return -EPROTO;
        pthread_mutex_lock(&client->mutex);
        struct pending *pending = *place_of(client, answer.id);
        pthread_mutex_unlock(&client->mutex);
        client->coming = pending && !pending->done ? pending : NULL; /* it waits until it is done */
        if (!client->coming)
                return 0;
        struct remote_call *call = pending->call;
        pending->result = answer.result;
        call->result_count = answer.count;
        memcpy(call->results, answer.values, answer.count * sizeof *answer.values);
        if (raw_bytes || (answer.result >= 0 && call->may_be_array)) {
                int placed = place_for(client, call, raw_bytes, ret_raw);
                if (placed < 0)
                        pending->result = placed;
        }
        return 0;
}

static int answer_ends(void *context)
{
        struct client *client = context;
        struct pending *pending = client->coming;
        if (!pending)
                return 0;
        pthread_mutex_lock(&client->mutex);
        pending->done = true;
        if (pending != client->own)
                pthread_cond_signal(&pending->wake);
        pthread_mutex_unlock(&client->mutex);
        return pending == client->own;
}

/* Read until our own answer is there, or until the deadline. @return 0; -ETIMEDOUT; other: the connection is broken */
static int read_for(struct client *client, struct pending *own, skep_deadline deadline)
{
        client->own = own;
        for (;;) {
                int64_t result = wire_read(&client->reader, 0);
                if (result == 0)
                        return 0;
                if (!stream_wants(result))
                        return -ECONNRESET;
                int waited = net_wait_surely(skep_connection_fd(client->connection), stream_events(result), deadline);
                if (waited < 0)
                        return waited;
        }
}

/* Under `mutex`: somebody else who waits shall read. */
static void hand_over(struct client *client)
{
        for (uint32_t i = 0; i < TABLE; i++)
                for (struct pending *pending = client->table[i]; pending; pending = pending->next)
                        if (!pending->done && pending->waits) {
                                pthread_cond_signal(&pending->wake);
                                return;
                        }
}

/* Under `mutex`, which is let go meanwhile. @return what the interrupt function said */
static int ask(struct client *client)
{
        pthread_mutex_unlock(&client->mutex);
        int told = wait_ask();
        pthread_mutex_lock(&client->mutex);
        return told;
}

/* Under `mutex`: wait for a slice, as somebody else reads. @return what the interrupt function said */
static int wait_turn(struct client *client, struct pending *own, bool may_interrupt)
{
        int64_t slice = os_now_ns() + WAIT_SLICE_NS;
        const struct timespec until = {slice / INT64_C(1000000000), slice % INT64_C(1000000000)};
        own->waits = true;
        int error = pthread_cond_clockwait(&own->wake, &client->mutex, CLOCK_MONOTONIC, &until);
        own->waits = false;
        return error && may_interrupt ? ask(client) : 0;
}

/* Under `mutex`: read for all.  The interrupt function may wait for who waits for an answer (Python's GIL), so it is asked when others can read. */
static int read_turn(struct client *client, struct pending *own, bool may_interrupt)
{
        bool sliced = may_interrupt && wait_may_be_interrupted();
        client->reading = true;
        pthread_mutex_unlock(&client->mutex);
        int result = read_for(client, own, sliced ? skep_within_ns(WAIT_SLICE_NS) : skep_forever());
        pthread_mutex_lock(&client->mutex);
        client->reading = false;
        if (result < 0 && result != -ETIMEDOUT)
                broken(client);
        hand_over(client);
        return result == -ETIMEDOUT ? ask(client) : 0;
}

/* Under `mutex`: wait for the answer. @return 0 it is there, or never comes; what the interrupt function said */
static int await(struct client *client, struct pending *own, bool may_interrupt)
{
        while (!own->done) {
                int told = client->reading ? wait_turn(client, own, may_interrupt) : read_turn(client, own, may_interrupt);
                if (told < 0)
                        return told;
        }
        return 0;
}

/* --- calls ------------------------------------------------------------------------------------------------------------------------------ */

#define PARTS 64u

/* @return 0 it may happen from now on; -ENOTCONN it will not; -EMSGSIZE, -ENOMEM */
static int send_request(struct client *client, uint64_t id, const struct remote_call *call)
{
        struct skep_bytes few[PARTS], *parts = few;
        uint64_t raw_bytes = 0;
        int64_t timeout = -1;
        if (call->deadline.monotonic_ns != INT64_MAX) {
                timeout = call->deadline.monotonic_ns ? call->deadline.monotonic_ns - os_now_ns() : 0;
                timeout = timeout < 0 ? 0 : timeout;
        }
        for (size_t i = 0; i < call->raw_count; i++)
                raw_bytes += call->raw[i].bytes;
        uint8_t small[512];
        struct wire_buffer envelope = {.data = small, .capacity = sizeof small, .fixed = true};
        int result = wire_request(&envelope, id, call, thread_self(), timeout, raw_bytes);
        if (result == 0 && call->raw_count >= PARTS && !(parts = malloc((call->raw_count + 1) * sizeof *parts)))
                result = -ENOMEM;
        if (result == 0) {
                parts[0] = (struct skep_bytes){envelope.data + 8, envelope.bytes - 8}; /* the connection's own head is the frame's */
                if (call->raw_count)
                        memcpy(parts + 1, call->raw, call->raw_count * sizeof *parts);
                result = skep_connection_send(client->connection, parts, call->raw_count + 1, skep_forever());
        }
        if (parts != few)
                free(parts);
        if (envelope.data != small)
                wire_free(&envelope);
        return result == -EPIPE || result == -EPROTO || result == -ESTALE ? -ENOTCONN : result;
}

static void client_tell(struct remote *remote, struct remote_call *call)
{
        struct client *client = (struct client *)remote;
        if (enter(client) < 0)
                return;
        (void)send_request(client, 0, call);
        pthread_mutex_lock(&client->mutex);
        leave(client);
        pthread_mutex_unlock(&client->mutex);
}

/* The interrupt function said so: the call is not to have happened, as far as that is possible. */
static void take_back(struct client *client, struct pending *pending)
{
        static const struct {
                uint32_t method;
                uint32_t undo;
        } undone_by[] = {
                {REMOTE_LOCK_ACQUIRE, REMOTE_LOCK_RELEASE},           {REMOTE_RLOCK_ACQUIRE, REMOTE_RLOCK_RELEASE},
                {REMOTE_SEMAPHORE_ACQUIRE, REMOTE_SEMAPHORE_RELEASE}, {REMOTE_CONDITION_ACQUIRE, REMOTE_CONDITION_RELEASE},
                {REMOTE_VALUE_ACQUIRE, REMOTE_VALUE_RELEASE},         {REMOTE_QUEUE_BORROW, REMOTE_QUEUE_PUT_BACK},
                {REMOTE_QUEUE_BORROW_DEAD, REMOTE_QUEUE_PUT_BACK},
        };
        struct remote_call *call = pending->call;
        if (pending->result < 0)
                return;
        for (uint32_t i = 0; i < COUNT_OF(undone_by); i++) {
                bool borrowed = undone_by[i].undo == REMOTE_QUEUE_PUT_BACK;
                if (undone_by[i].method != call->method)
                        continue;
                struct remote_call undo = {.method = undone_by[i].undo, .object = call->object,
                                           .arguments = borrowed ? &REMOTE_INTEGER(pending->id) : &REMOTE_INTEGER(1), .count = 1};
                client_tell(&client->remote, &undo);
        }
        free(call->data);
        call->data = NULL;
        call->array = skep_array_unref(call->array);
}

static int client_call(struct remote *remote, struct remote_call *call)
{
        struct client *client = (struct client *)remote;
        struct pending own = {.call = call, .wake = PTHREAD_COND_INITIALIZER};
        int result = enter(client);
        if (result < 0)
                return result;
        pthread_mutex_lock(&client->mutex);
        call->id = own.id = ++client->next_id;
        own.next = client->table[own.id % TABLE];
        client->table[own.id % TABLE] = &own;
        pthread_mutex_unlock(&client->mutex);

        int sent = send_request(client, own.id, call), told = 0;
        pthread_mutex_lock(&client->mutex);
        if (sent == 0 && (told = await(client, &own, true)) < 0) {
                struct remote_call cancel = {.method = REMOTE_CANCEL, .arguments = &REMOTE_INTEGER(own.id), .count = 1};
                pthread_mutex_unlock(&client->mutex);
                client_tell(remote, &cancel);
                pthread_mutex_lock(&client->mutex);
                (void)await(client, &own, false);
        }
        if (sent == -ENOTCONN)
                give_up(client);
        *place_of(client, own.id) = own.next;
        leave(client);
        pthread_mutex_unlock(&client->mutex);
        if (sent == 0 && told < 0)
                take_back(client, &own);
        pthread_cond_destroy(&own.wake);
        result = sent < 0 ? sent : told < 0 ? told : own.result;
        if (result < 0 && call->data) {
                free(call->data);
                call->data = NULL;
        }
        if (result < 0 && call->array)
                call->array = skep_array_unref(call->array);
        return result;
}

/* --- begin and end ------------------------------------------------------------------------------------------------------------------- */

static int hello(struct client *client)
{
        int64_t version = 0;
        int result = remote_simple(client->remote.hive, NULL, REMOTE_HELLO, skep_nowait(), (const int64_t[]){WIRE_VERSION}, 1, &version);
        return result == -ENOTCONN || result == -ECONNRESET ? -EPROTO : result < 0 ? result : version == WIRE_VERSION ? 0 : -EPROTO;
}

/* Nobody is in a call. */
static int link_up(struct client *client, skep_deadline deadline)
{
        int result = skep_connection_connect(client->address, &client->options, &client->connection, deadline);
        if (result < 0)
                return result;
        wire_reader_free(&client->reader);
        client->reader = (struct wire_reader){.read = read_some, .begin = answer_begins, .end = answer_ends, .context = client};
        client->reader.frame_max_bytes = client->options.message_max_bytes;
        client->coming = NULL;
        client->reading = false;
        client->generation = generation;
        client->up = true;
        result = hello(client);
        if (result < 0) {
                client->up = false;
                client->connection = skep_connection_close(client->connection);
        }
        return result;
}

static void client_free(struct client *client)
{
        wire_reader_free(&client->reader);
        free(client->address);
        free((void *)(uintptr_t)client->options.key_id);
        if (client->options.authkey)
                explicit_bzero((void *)(uintptr_t)client->options.authkey, client->options.authkey_bytes);
        free((void *)(uintptr_t)client->options.authkey);
        free(client);
}

static void client_end(struct remote *remote)
{
        struct client *client = (struct client *)remote;
        pthread_mutex_lock(&clients_mutex);
        struct client **link = &clients;
        while (*link && *link != client)
                link = &(*link)->next;
        if (*link)
                *link = client->next;
        pthread_mutex_unlock(&clients_mutex);
        skep_connection_close(client->connection);
        remote->hive->remote = NULL;
        client_free(client);
}

static int copy_options(struct client *client, const char *address, const struct skep_connection_options *options)
{
        int result = connection_options(&client->options, options);
        if (result < 0)
                return result;
        const void *authkey = client->options.authkey;
        const char *key_id = client->options.key_id;
        void *copy = authkey ? malloc(client->options.authkey_bytes + 1) : NULL;
        if (copy)
                memcpy(copy, authkey, client->options.authkey_bytes);
        client->options.authkey = copy;
        client->options.key_id = key_id ? strdup(key_id) : NULL;
        client->address = strdup(address);
        return (authkey && !copy) || (key_id && !client->options.key_id) || !client->address ? -ENOMEM : 0;
}

int skep_hive_connect(const char *address, const struct skep_connection_options *options, skep_hive **ret_hive, skep_deadline deadline)
{
        if (!address)
                return -EINVAL;
        pthread_once(&thread_once, threads_begin);
        struct client *client = calloc(1, sizeof *client);
        if (!client)
                return -ENOMEM;
        int result = copy_options(client, address, options);
        skep_hive *hive = NULL;
        if (result == 0)
                result = skep_hive_create(NULL, &hive);
        if (result < 0) {
                client_free(client);
                return result;
        }
        client->remote.hive = hive;
        client->remote.stub = (struct skep_hive){.member = UINT32_MAX, .fd = -1, .remote = &client->remote};
        client->remote.call = client_call;
        client->remote.tell = client_tell;
        client->remote.end = client_end;
        pthread_mutex_init(&client->mutex, NULL);
        pthread_cond_init(&client->idle, NULL);
        hive->remote = &client->remote;
        result = link_up(client, deadline);
        pthread_mutex_lock(&clients_mutex);
        client->next = clients;
        clients = client;
        pthread_mutex_unlock(&clients_mutex);
        if (result < 0)
                skep_hive_detach(hive);
        else
                *ret_hive = hive;
        return result;
}

int skep_hive_reconnect(skep_hive *hive, skep_deadline deadline)
{
        struct client *client = (struct client *)hive->remote;
        if (!client)
                return -EINVAL;
        if (client->generation != generation) { /* a child: its parent's threads are not here */
                pthread_mutex_init(&client->mutex, NULL);
                pthread_cond_init(&client->idle, NULL);
                memset(client->table, 0, sizeof client->table);
                client->users = 0;
                client->up = false;
                client->generation = generation;
        }
        pthread_mutex_lock(&client->mutex);
        if (client->up)
                give_up(client);
        while (client->users)
                pthread_cond_wait(&client->idle, &client->mutex);
        pthread_mutex_unlock(&client->mutex);
        client->connection = skep_connection_close(client->connection);
        return link_up(client, deadline);
}

int skep_hive_ping(skep_hive *hive)
{
        return hive->remote ? remote_simple(hive, NULL, REMOTE_PING, skep_nowait(), NULL, 0, NULL) : -EINVAL;
}
#else
int skep_hive_connect(const char *address, const struct skep_connection_options *options, skep_hive **ret_hive, skep_deadline deadline)
{
        (void)address, (void)options, (void)ret_hive, (void)deadline;
        return -ENOSYS;
}

int skep_hive_reconnect(skep_hive *hive, skep_deadline deadline)
{
        (void)hive, (void)deadline;
        return -EINVAL;
}

int skep_hive_ping(skep_hive *hive)
{
        (void)hive;
        return -EINVAL;
}
#endif

int skep_hive_is_remote(const skep_hive *hive)
{
        return hive->remote != NULL;
}
