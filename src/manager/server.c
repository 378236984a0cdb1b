/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - one thread that offers a hive's objects over many connections (skep/server.h).
 *
 * A SESSION is a connection with a proven key.
 *
 *   state       left by                                          to
 *   GREETING    the key is proven                                OPEN; too slow, wrong key: CLOSING
 *   OPEN        end of file, a bad frame, an error               CLOSING
 *   CLOSING     its handle is closed, its last call came back    freed
 *
 * A CALL comes from a frame.  It is tried at once, without waiting.  If it cannot be done yet and has time:
 *
 *   PARKED      at the queue it waits for, in the order of coming; the loop watches the queue's descriptor and tries again
 *   WORKING     in a thread of its own for so long as it waits: locks, events, barriers ... can only be waited for by a thread
 *   LENT        answered, and a message is lent until the client says that it has come
 *
 * WHO OWNS.  Locks of the hive are owned by agents, that is, by threads.  Each thread of a client has an agent here that is no thread
 *         (agent_create()); whoever works for that client's thread wears it.  When the client's thread or the client is lost the agent is
 *         ended, and what it held is found as after the end of a thread.  One call at a time wears it: a second one is refused (-EBUSY), which
 *         no client of ours asks for.
 * BOUNDS.  A session with many calls under way, or whose answers it does not read, is not read.  Connections, unproven ones, threads, frames
 *         and the time for a handshake have their limits.
 */
#include "manager/server.h"

#include "base/checked.h"
#include "member/member.h"
#include "net/net.h"
#include "sync/wait.h"

#include <errno.h>
#include <skep/error.h>
#include <skep/server.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef SKEP_NETWORK
#include <uv.h>

#define LISTENERS_MAX 8u
#define TABLE 1024u
#define CALLS_MAX 512u                  /* of a session, under way */
#define OUT_HIGH (UINT64_C(4) << 20)    /* bytes of answers that wait: stop reading */
#define OUT_JOIN (UINT64_C(64) << 10)   /* answers up to here travel together */
#define READ_BUDGET (UINT64_C(1) << 20) /* of a session, before the others have their turn */
#define ADDRESS_BYTES 128u
#define REFUSALS 64u                    /* places for hosts that were refused */
#define REFUSED_MAX 50u                 /* times in REFUSED_NS, then their calls are hung up on */
#define REFUSED_NS INT64_C(10000000000)
#define LOG_NS INT64_C(200000000)       /* between two lines about refusals */

enum { PLACE_NONE, PLACE_PARKED_GET, PLACE_PARKED_PUT, PLACE_WORKING, PLACE_LENT };

/* A client's thread, as the hive sees it. */
struct worn {
        uint32_t thread;
        bool busy;
        struct skep_agent *agent;
        struct worn *next;
};

/* An object in use, and who waits at it. */
struct watched {
        uv_poll_t *poll; /* of the queue's descriptor, when first needed */
        bool started;
        struct call *first, **last;
};

struct served {
        skep_server *server;
        const struct served_kind *kind;
        void *handle;
        skep_block reference;
        uint64_t holds;
        struct watched gets, puts;
        struct served *next;
};

struct holding {
        struct served *object;
        uint64_t count;
        struct holding *next;
};

/* Bytes to be sent, then raw bytes that lie elsewhere: of a call that is LENT, or that goes with them. */
struct chunk {
        struct wire_buffer head;
        size_t head_sent;
        const uint8_t *raw;
        uint64_t raw_left;
        struct call *call; /* that lends it */
        void *owned;       /* free() with the chunk */
        struct chunk *next;
};

enum session_state { SESSION_GREETING, SESSION_OPEN, SESSION_CLOSING };

struct session {
        skep_server *server;
        struct session *next, **link;
        enum session_state state;
        bool said_hello;
        bool held_back;     /* not read, until there is room */
        bool unread;        /* there may be more in the stream than the kernel knows of */
        int events;         /* what is polled for */
        uv_poll_t poll;
        struct stream *stream;
        int64_t greeted_until;
        struct os_address peer;
        struct wire_reader reader;
        struct call *coming;
        struct chunk *out, **out_last;
        uint64_t out_bytes;
        uint32_t working;   /* calls in threads: they need the session */
        uint32_t call_count;
        struct call *calls; /* all under way or lent */
        struct worn *worn;
        struct holding *holdings;
};

struct listener {
        uv_poll_t poll;
        skep_server *server;
        int fd;
        bool polled;
        char address[ADDRESS_BYTES];
};

struct refusal {
        uint64_t host; /* os_address_host() */
        uint32_t count;
        int64_t since_ns;
};

struct skep_server {
        skep_hive *hive;
        struct skep_server_options options;
        struct secret *secret;
        uv_loop_t loop;
        uv_async_t wake;
        uv_timer_t timer;
        int64_t timer_at;
        uv_idle_t again;          /* while a session has unread bytes, or its budget was used up */
        struct listener listeners[LISTENERS_MAX];
        uint32_t listener_count;
        struct session *sessions;
        struct served *objects[TABLE];
        struct call *spare;       /* to be used again */
        uint64_t accepted, refused, calls, connections, handshakes, waiting;
        struct refusal refusals[REFUSALS];
        int64_t logged_at;
        uint64_t unlogged;
        bool stopping;            /* the loop ends */
        uint32_t stop;            /* asked for, by any thread */
        /* threads */
        pthread_mutex_t mutex;
        pthread_cond_t work;
        struct call *jobs, **jobs_last;
        struct call *done;
        uint32_t idle, threads;
        bool workers_end;
        pthread_cond_t ended;
};

/* The loop's thread alone changes the figures; any thread may read them. */
static void count(uint64_t *figure, int by)
{
        skep_store_relaxed(figure, skep_load_relaxed(figure) + (uint64_t)(int64_t)by);
}

static void listeners_update(skep_server *server);

static void session_update(struct session *session);
static void park_try(struct served *object, struct watched *watched);
static void session_close(struct session *session, const char *why);
static void timer_update(skep_server *server, int64_t at);

static void say(skep_server *server, const char *line)
{
        if (server->options.log)
                server->options.log(line, server->options.log_context);
}

/* --- agents of clients ----------------------------------------------------------------------------------------------------- */

static int worn_find(struct session *session, uint32_t thread, struct worn **ret_worn)
{
        struct worn *worn = session->worn;
        while (worn && worn->thread != thread)
                worn = worn->next;
        if (!worn) {
                worn = calloc(1, sizeof *worn);
                int result = worn ? agent_create(session->server->hive, &worn->agent) : -ENOMEM;
                if (result < 0) {
                        free(worn);
                        return result;
                }
                worn->thread = thread;
                worn->next = session->worn;
                session->worn = worn;
        }
        *ret_worn = worn;
        return worn->busy ? -EBUSY : 0;
}

static void worn_end(struct worn **link)
{
        struct worn *worn = *link;
        *link = worn->next;
        agent_end(worn->agent);
        free(worn);
}

/* --- objects --------------------------------------------------------------------------------------------------------------- */

static struct served **served_place(skep_server *server, skep_block reference)
{
        struct served **place = &server->objects[reference.offset / sizeof(struct shm_block) % TABLE];
        while (*place && ((*place)->reference.offset != reference.offset || (*place)->reference.serial != reference.serial))
                place = &(*place)->next;
        return place;
}

static void poll_closed(uv_handle_t *handle)
{
        free(handle);
}

static void watched_end(struct watched *watched)
{
        if (watched->poll)
                uv_close((uv_handle_t *)watched->poll, poll_closed);
        watched->poll = NULL;
}

static void served_unref(struct served *object)
{
        if (--object->holds)
                return;
        *served_place(object->server, object->reference) = object->next;
        watched_end(&object->gets);
        watched_end(&object->puts);
        object->kind->unref(object->handle);
        free(object);
}

static int session_hold(struct session *session, struct served *object)
{
        struct holding *holding = session->holdings;
        while (holding && holding->object != object)
                holding = holding->next;
        if (!holding) {
                holding = calloc(1, sizeof *holding);
                if (!holding)
                        return -ENOMEM;
                object->holds++;
                holding->object = object;
                holding->next = session->holdings;
                session->holdings = holding;
        }
        holding->count++;
        return 0;
}

int call_serve(struct call *call, const struct served_kind *kind, void *handle_take, skep_block *ret_reference)
{
        skep_server *server = call->session->server;
        skep_block reference = kind->reference(handle_take);
        struct served **place = served_place(server, reference), *object = *place;
        if (object) {
                kind->unref(handle_take); /* one handle for all */
        } else {
                object = calloc(1, sizeof *object);
                if (!object) {
                        kind->unref(handle_take);
                        return -ENOMEM;
                }
                *object = (struct served){.server = server, .kind = kind, .handle = handle_take, .reference = reference};
                object->gets.last = &object->gets.first;
                object->puts.last = &object->puts.first;
                *place = object;
        }
        *ret_reference = reference;
        object->holds++;
        int result = session_hold(call->session, object);
        served_unref(object);
        return result;
}

int call_find(struct call *call, const struct served_kind *kind, skep_block reference, void **ret_handle)
{
        skep_server *server = call->session->server;
        struct served *object = *served_place(server, reference);
        if (!object) { /* of a connection before this one */
                void *handle;
                int result = kind->attach(server->hive, reference, &handle);
                const struct served_kind *mate = result == -EPROTOTYPE ? served_kind_mate(kind) : NULL;
                if (mate) {
                        kind = mate;
                        result = kind->attach(server->hive, reference, &handle);
                }
                if (result == 0)
                        result = call_serve(call, kind, handle, &reference);
                if (result < 0)
                        return result;
                object = *served_place(server, reference);
        }
        if (strcmp(object->kind->mates, kind->mates) != 0)
                return -EPROTOTYPE;
        call->object = object;
        *ret_handle = object->handle;
        return 0;
}

static void holding_end(struct holding **link)
{
        struct holding *holding = *link;
        *link = holding->next;
        served_unref(holding->object);
        free(holding);
}

void call_unserve(struct call *call, skep_block reference)
{
        struct served *object = *served_place(call->session->server, reference);
        struct holding **link = &call->session->holdings;
        while (*link && (*link)->object != object)
                link = &(*link)->next;
        if (object && *link && --(*link)->count == 0)
                holding_end(link);
}

/* Nobody knows it any more. */
static void session_free(struct session *session)
{
        while (session->worn)
                worn_end(&session->worn);
        while (session->holdings)
                holding_end(&session->holdings);
        free(session);
}

/* --- calls ----------------------------------------------------------------------------------------------------------------- */

static struct call *call_new(struct session *session)
{
        skep_server *server = session->server;
        struct call *call = server->spare;
        if (call)
                server->spare = call->next;
        else if (!(call = malloc(sizeof *call)))
                return NULL;
        /* All but what says itself how much of it counts. */
        call->session = session;
        call->raw = NULL;
        call->raw_bytes = 0;
        call->has_loan = false;
        call->array = NULL;
        call->object = NULL;
        call->handle = NULL;
        call->done = 0;
        call->result = 0;
        call->result_count = 0;
        call->out = call->out_owned = NULL;
        call->out_bytes = 0;
        call->worn = NULL;
        call->cancelled = 0;
        call->sending = false;
        call->place = PLACE_NONE;
        call->next = NULL;
        call->envelope = call->envelope_small;
        call->session_next = session->calls;
        call->session_link = &session->calls;
        if (session->calls)
                session->calls->session_link = &call->session_next;
        session->calls = call;
        session->call_count++;
        return call;
}

/* @param taken  of a LENT one: the message has come */
static void call_free(struct call *call, bool taken)
{
        struct session *session = call->session;
        if (call->has_loan && method_of(call->request.method)->flags & METHOD_LENDS) {
                if (taken)
                        skep_queue_give_back(&call->loan);
                else
                        skep_queue_put_back(&call->loan);
        } else if (call->has_loan) {
                skep_queue_abandon(&call->loan);
        } else if (call->raw && !call->array) {
                free(call->raw);
        }
        skep_array_unref(call->array);
        free(call->out_owned);
        if (call->envelope != call->envelope_small)
                free(call->envelope);
        if (call->object)
                served_unref(call->object);
        *call->session_link = call->session_next;
        if (call->session_next)
                call->session_next->session_link = call->session_link;
        session->call_count--;
        call->next = session->server->spare;
        session->server->spare = call;
}

/* --- answers --------------------------------------------------------------------------------------------------------------- */

static struct chunk *chunk_last(struct session *session)
{
        struct chunk *last = session->out;
        while (last && last->next)
                last = last->next;
        return last;
}

static struct chunk *chunk_for(struct session *session, bool alone)
{
        struct chunk *last = session->out ? chunk_last(session) : NULL;
        if (last && !last->raw && !alone && last->head.bytes < OUT_JOIN)
                return last;
        struct chunk *chunk = calloc(1, sizeof *chunk);
        if (chunk) {
                *session->out_last = chunk;
                session->out_last = &chunk->next;
        }
        return chunk;
}

static void chunk_free(struct chunk *chunk)
{
        wire_free(&chunk->head);
        free(chunk->owned);
        free(chunk);
}

/* Put the answer among what is to be sent. */
static int answer_add(struct session *session, struct call *call)
{
        bool joins = call->out_bytes <= STREAM_RECORD_BYTES;
        struct chunk *chunk = chunk_for(session, false);
        if (!chunk)
                return -ENOMEM;
        size_t before = chunk->head.bytes;
        int result = wire_reply(&chunk->head, call->request.id, call->result, call->results, call->result_count, call->out_bytes);
        if (result < 0)
                return result;
        if (joins) {
                wire_add(&chunk->head, call->out, call->out_bytes);
                if (chunk->head.failed)
                        return -ENOMEM;
        } else {
                chunk->raw = call->out;
                chunk->raw_left = call->out_bytes;
                if (call->place == PLACE_LENT) {
                        chunk->call = call;
                        call->sending = true;
                } else {
                        chunk->owned = call->out_owned;
                        call->out_owned = NULL;
                }
        }
        session->out_bytes += chunk->head.bytes - before + chunk->raw_left;
        return 0;
}

/* @return 0 all is sent, or has to wait; negative: broken */
static int session_flush(struct session *session)
{
        struct chunk *chunk;
        while ((chunk = session->out)) {
                bool of_head = chunk->head_sent < chunk->head.bytes;
                const uint8_t *data = of_head ? chunk->head.data + chunk->head_sent : chunk->raw;
                uint64_t bytes = of_head ? chunk->head.bytes - chunk->head_sent : chunk->raw_left;
                int64_t sent = bytes ? stream_write(session->stream, data, bytes) : 0;
                if (stream_wants(sent))
                        return 0;
                if (sent < 0)
                        return (int)sent;
                session->out_bytes -= (uint64_t)sent;
                if (of_head) {
                        chunk->head_sent += (size_t)sent;
                } else if (chunk->raw) {
                        chunk->raw += sent;
                        chunk->raw_left -= (uint64_t)sent;
                }
                if (chunk->head_sent < chunk->head.bytes || chunk->raw_left)
                        continue;
                session->out = chunk->next;
                if (!session->out)
                        session->out_last = &session->out;
                if (chunk->call)
                        chunk->call->sending = false; /* not given back before, whatever the client says */
                chunk_free(chunk);
        }
        return 0;
}

/* The call is done: answer it, and forget it unless it lends. */
static void call_answer(struct call *call)
{
        struct session *session = call->session;
        const struct method *method = method_of(call->request.method);
        bool lends = method->flags & METHOD_LENDS && call->has_loan && call->result >= 0 && session->state == SESSION_OPEN;
        bool wanted = session->state == SESSION_OPEN && call->request.id && !(method->flags & METHOD_SILENT);
        call->place = lends ? PLACE_LENT : PLACE_NONE;
        bool failed = wanted && answer_add(session, call) < 0;
        if (!lends || failed)
                call_free(call, false);
        if (failed)
                session_close(session, "no memory for an answer");
}

void call_end_borrow(struct call *call, uint64_t id, bool taken)
{
        for (struct call *lent = call->session->calls; lent; lent = lent->session_next)
                if (lent->request.id == id && lent->place == PLACE_LENT && !lent->sending) {
                        struct served *object = lent->object;
                        object->holds++;
                        call_free(lent, taken);
                        park_try(object, taken ? &object->puts : &object->gets);
                        served_unref(object);
                        return;
                }
}

skep_hive *call_hive(const struct call *call)
{
        return call->session->server->hive;
}

static int call_run(struct call *call, skep_deadline deadline)
{
        struct skep_agent *before = call->worn ? agent_wear(call->worn->agent) : NULL;
        call->result_count = 0;
        int result = method_of(call->request.method)->run(call, deadline);
        if (call->worn)
                (void)agent_wear(before);
        return result;
}

/* --- threads: calls that wait ---------------------------------------------------------------------------------------------- */

static int is_cancelled(void *call)
{
        return skep_load32(&((struct call *)call)->cancelled) ? -EINTR : 0;
}

static void *worker_run(void *argument)
{
        skep_server *server = argument;
        pthread_mutex_lock(&server->mutex);
        for (;;) {
                while (!server->jobs && !server->workers_end) {
                        server->idle++;
                        pthread_cond_wait(&server->work, &server->mutex);
                        server->idle--;
                }
                struct call *call = server->jobs;
                if (!call)
                        break;
                server->jobs = call->next;
                if (!server->jobs)
                        server->jobs_last = &server->jobs;
                pthread_mutex_unlock(&server->mutex);
                skep_thread_on_interrupt(is_cancelled, call);
                call->result = call_run(call, call->deadline);
                skep_thread_on_interrupt(NULL, NULL);
                pthread_mutex_lock(&server->mutex);
                call->next = server->done;
                server->done = call;
                uv_async_send(&server->wake);
        }
        server->threads--;
        pthread_cond_broadcast(&server->ended);
        pthread_mutex_unlock(&server->mutex);
        return NULL;
}

/* @return 0; -EUSERS as many calls wait as may */
static int work_begin(struct call *call)
{
        skep_server *server = call->session->server;
        int result = 0;
        pthread_mutex_lock(&server->mutex);
        uint32_t waiting = 0;
        for (struct call *job = server->jobs; job; job = job->next)
                waiting++;
        if (waiting >= server->idle) {
                pthread_t thread;
                result = server->threads < server->options.waiting_max ? os_thread_start(worker_run, server, &thread) : -EUSERS;
                if (result == 0) {
                        pthread_detach(thread);
                        server->threads++;
                }
        }
        if (result == 0) {
                call->place = PLACE_WORKING;
                call->next = NULL;
                *server->jobs_last = call;
                server->jobs_last = &call->next;
                call->session->working++;
                count(&server->waiting, 1);
                if (call->worn)
                        call->worn->busy = true;
                pthread_cond_signal(&server->work);
        }
        pthread_mutex_unlock(&server->mutex);
        return result;
}

static void work_done(skep_server *server)
{
        pthread_mutex_lock(&server->mutex);
        struct call *done = server->done;
        server->done = NULL;
        pthread_mutex_unlock(&server->mutex);
        while (done) {
                struct call *call = done;
                struct session *session = call->session;
                done = call->next;
                session->working--;
                count(&server->waiting, -1);
                if (call->worn)
                        call->worn->busy = false;
                call_answer(call);
                session_update(session);
                if (session->state == SESSION_CLOSING && !session->working && !session->poll.data)
                        session_free(session);
        }
}

/* --- queues: calls that are parked ----------------------------------------------------------------------------------------- */

static void queue_ready(uv_poll_t *poll, int status, int events)
{
        struct served *object = poll->data;
        (void)status, (void)events;
        park_try(object, poll == object->gets.poll ? &object->gets : &object->puts);
}

static int watch_begin(struct served *object, struct watched *watched)
{
        if (!watched->poll) {
                int fd = watched == &object->gets ? skep_queue_fd(object->handle) : skep_queue_space_fd(object->handle);
                uv_poll_t *poll = fd < 0 ? NULL : malloc(sizeof *poll);
                if (!poll)
                        return fd < 0 ? fd : -ENOMEM;
                int result = uv_poll_init(&object->server->loop, poll, fd);
                if (result < 0) {
                        free(poll);
                        return result;
                }
                poll->data = object;
                watched->poll = poll;
        }
        if (!watched->started && uv_poll_start(watched->poll, UV_READABLE, queue_ready) == 0)
                watched->started = true;
        return watched->started ? 0 : -EIO;
}

static void unpark(struct watched *watched, struct call **link)
{
        struct call *call = *link;
        *link = call->next;
        if (!*link)
                watched->last = link;
        call->next = NULL;
        count(&call->session->server->waiting, -1);
}

/* Those that can be done now; in the order of coming. */
static void park_try(struct served *object, struct watched *watched)
{
        object->holds++;
        while (watched->first) {
                struct call *call = watched->first;
                struct session *session = call->session;
                int result = call_run(call, skep_nowait());
                if (result == -ETIMEDOUT)
                        break;
                unpark(watched, &watched->first);
                call->result = result;
                call_answer(call);
                session_update(session);
        }
        if (!watched->first && watched->started) {
                uv_poll_stop(watched->poll);
                watched->started = false;
        }
        served_unref(object);
}

static int park(struct call *call, bool gets)
{
        struct watched *watched = gets ? &call->object->gets : &call->object->puts;
        int result = watch_begin(call->object, watched);
        if (result < 0)
                return result;
        call->place = gets ? PLACE_PARKED_GET : PLACE_PARKED_PUT;
        call->next = NULL;
        *watched->last = call;
        watched->last = &call->next;
        count(&call->session->server->waiting, 1);
        timer_update(call->session->server, call->deadline.monotonic_ns);
        return 0;
}

static struct watched *parked_at(const struct call *call)
{
        return call->place == PLACE_PARKED_GET ? &call->object->gets : call->place == PLACE_PARKED_PUT ? &call->object->puts : NULL;
}

/* Out of the line, wherever it stands. */
static void park_leave(struct call *call)
{
        struct watched *watched = parked_at(call);
        struct call **link = &watched->first;
        while (*link != call)
                link = &(*link)->next;
        unpark(watched, link);
}

/* --- a request ------------------------------------------------------------------------------------------------------------- */

static int call_begin(struct call *call)
{
        const struct method *method = method_of(call->request.method);
        struct session *session = call->session;
        if (!method->run)
                return -ENOTSUP;
        if (call->request.count < method->integers)
                return -EINVAL;
        for (uint32_t i = 0; i < method->integers; i++)
                if (call->request.arguments[i].data || call->request.arguments[i].bytes)
                        return -EINVAL;
        int result = 0;
        if (method->kind) {
                result = call->request.has_object ? call_find(call, method->kind, call->request.object, &call->handle) : -EINVAL;
                if (result == 0)
                        call->object->holds++;
                else
                        call->object = NULL;
        }
        if (result == 0 && method->flags & METHOD_OWNS)
                result = worn_find(session, call->request.thread, &call->worn);
        return result;
}

/* All of it is there. */
static void call_try(struct call *call)
{
        const struct method *method = method_of(call->request.method);
        bool may_wait = call->deadline.monotonic_ns != 0;
        int result = call->result;
        if (result == 0 && !(method->flags & METHOD_STRAIGHT && may_wait))
                result = call_run(call, skep_nowait());
        else if (result == 0)
                result = -ETIMEDOUT;
        if (result == -ETIMEDOUT && may_wait && method->flags & (METHOD_GETS | METHOD_PUTS | METHOD_WAITS)) {
                result = method->flags & METHOD_WAITS ? work_begin(call) : park(call, method->flags & METHOD_GETS);
                if (result == 0)
                        return;
        }
        struct served *object = result == 0 && method->flags & METHOD_PUTS && call->object->gets.first ? call->object : NULL;
        call->result = result;
        if (object)
                object->holds++;
        call_answer(call);
        if (object) { /* at once, without the detour over the queue's descriptor */
                park_try(object, &object->gets);
                served_unref(object);
        }
}

static int request_begins(void *context, const uint8_t *envelope, size_t bytes, uint64_t raw_bytes, void **ret_raw)
{
        struct session *session = context;
        struct call *call = call_new(session);
        if (!call)
                return -ENOMEM;
        session->coming = call;
        if (bytes > sizeof call->envelope_small && !(call->envelope = malloc(bytes))) {
                call->envelope = call->envelope_small;
                return -ENOMEM;
        }
        memcpy(call->envelope, envelope, bytes);
        if (wire_parse_request(call->envelope, bytes, &call->request) < 0 || (!session->said_hello && call->request.method != REMOTE_HELLO))
                return -EPROTO;
        const struct method *method = method_of(call->request.method);
        int64_t timeout = call->request.timeout_ns;
        call->deadline = timeout < 0 ? skep_forever() : timeout ? skep_within_ns(timeout) : skep_nowait();
        call->raw_bytes = raw_bytes;
        call->result = call_begin(call);
        if (call->result == 0 && method->raw_comes)
                call->result = method->raw_comes(call, skep_nowait());
        if (call->result == 0 && raw_bytes && !call->raw && !(call->raw = malloc(raw_bytes)))
                call->result = -ENOMEM;
        *ret_raw = call->raw;
        return 0;
}

static int request_ends(void *context)
{
        struct session *session = context;
        struct call *call = session->coming;
        session->coming = NULL;
        count(&session->server->calls, 1);
        call_try(call);
        return session->state != SESSION_OPEN ? -ECONNRESET : session->call_count >= CALLS_MAX || session->out_bytes > OUT_HIGH;
}

int call_hello(struct call *call)
{
        call->session->said_hello = true;
        return 0;
}

void call_cancel(struct call *call, uint64_t id)
{
        for (struct call *other = call->session->calls; other; other = other->session_next) {
                if (other == call || other->request.id != id)
                        continue;
                if (other->place == PLACE_WORKING) {
                        skep_store32(&other->cancelled, 1); /* within a slice */
                } else if (parked_at(other)) {
                        park_leave(other);
                        other->result = -EINTR;
                        call_answer(other);
                }
                return;
        }
}

void call_thread_ends(struct call *call)
{
        for (struct worn **link = &call->session->worn; *link; link = &(*link)->next)
                if ((*link)->thread == call->request.thread && !(*link)->busy) {
                        worn_end(link);
                        return;
                }
}

/* --- sessions -------------------------------------------------------------------------------------------------------------- */

static void session_closed(uv_handle_t *handle)
{
        struct session *session = handle->data;
        session->poll.data = NULL;
        if (!session->working)
                session_free(session);
}

/* Its calls that work are told to stop, and find it closing when they are back. */
static void session_close(struct session *session, const char *why)
{
        skep_server *server = session->server;
        char line[ADDRESS_BYTES + 128], peer[ADDRESS_BYTES] = "?";
        if (session->state == SESSION_CLOSING)
                return;
        if (why) {
                (void)os_address_text(&session->peer, peer, sizeof peer);
                snprintf(line, sizeof line, "%s: %s", peer, why);
                say(server, line);
        }
        if (session->state == SESSION_GREETING)
                count(&server->handshakes, -1);
        else
                count(&server->connections, -1);
        session->state = SESSION_CLOSING;
        *session->link = session->next;
        if (session->next)
                session->next->link = session->link;
        uv_poll_stop(&session->poll);
        stream_close(session->stream, true);
        session->stream = NULL;
        for (struct call *call = session->calls, *next; call; call = next) {
                next = call->session_next;
                if (call->place == PLACE_WORKING) {
                        skep_store32(&call->cancelled, 1);
                        continue;
                }
                if (parked_at(call))
                        park_leave(call);
                if (call != session->coming)
                        call_free(call, false);
        }
        if (session->coming)
                call_free(session->coming, false);
        session->coming = NULL;
        wire_reader_free(&session->reader);
        while (session->out) {
                struct chunk *chunk = session->out;
                session->out = chunk->next;
                chunk_free(chunk);
        }
        /* Locks of threads that are in no call are given back now. */
        for (struct worn **link = &session->worn; *link;) {
                if ((*link)->busy)
                        link = &(*link)->next;
                else
                        worn_end(link);
        }
        uv_close((uv_handle_t *)&session->poll, session_closed);
        listeners_update(server);
}

static void again_update(skep_server *server);
static void session_event(uv_poll_t *poll, int status, int events);

/* Send what there is to send, and ask for what comes next. */
static void session_update(struct session *session)
{
        if (session->state != SESSION_OPEN)
                return;
        if (session_flush(session) < 0) {
                session_close(session, NULL);
                return;
        }
        bool full = session->call_count >= CALLS_MAX;
        bool hold = full || session->out_bytes > OUT_HIGH;
        int events = (hold ? 0 : UV_READABLE) | (session->out ? UV_WRITABLE : 0) | (full ? UV_DISCONNECT : 0);
        session->held_back = hold;
        if (session->unread && !hold)
                again_update(session->server);
        if (events == session->events)
                return;
        session->events = events;
        if (events)
                (void)uv_poll_start(&session->poll, events, session_event);
        else
                uv_poll_stop(&session->poll);
}

static void session_read(struct session *session)
{
        session->unread = false;
        int64_t result = wire_read(&session->reader, READ_BUDGET);
        if (session->state != SESSION_OPEN)
                return;
        session->unread = result == 0 || result == 1;
        if (result < 0 && !stream_wants(result))
                session_close(session, result == -EPROTO ? "hung up on: what it sent is no request" : NULL);
        else
                session_update(session);
}

/* --- who may come in ------------------------------------------------------------------------------------------------------- */

static struct refusal *refusal_of(skep_server *server, const struct os_address *host)
{
        uint64_t hash = os_address_host(host);
        struct refusal *refusal = &server->refusals[hash % REFUSALS];
        if (refusal->host != hash || os_now_ns() - refusal->since_ns > REFUSED_NS)
                *refusal = (struct refusal){hash, 0, os_now_ns()};
        return refusal;
}

/* Say so, but not more often than anybody can read. */
static void refuse(struct session *session, const char *why)
{
        skep_server *server = session->server;
        char line[256];
        int64_t now = os_now_ns();
        count(&server->refused, 1);
        refusal_of(server, &session->peer)->count++;
        if (now - server->logged_at < LOG_NS) {
                server->unlogged++;
                why = NULL;
        } else {
                if (server->unlogged) {
                        snprintf(line, sizeof line, "%llu more were refused", (unsigned long long)server->unlogged);
                        say(server, line);
                }
                server->logged_at = now;
                server->unlogged = 0;
        }
        session_close(session, why);
}

static void session_greet(struct session *session)
{
        int64_t result = stream_handshake(session->stream);
        if (stream_wants(result)) {
                (void)uv_poll_start(&session->poll, stream_events(result) == OS_READABLE ? UV_READABLE : UV_WRITABLE, session_event);
                return;
        }
        if (result < 0) {
                refuse(session, result == -EACCES  ? "refused: it has another key"
                                : result == -EPROTO ? "refused: what it speaks is no TLS 1.3"
                                                    : "refused: it went away before it had proved its key");
                return;
        }
        session->state = SESSION_OPEN;
        count(&session->server->handshakes, -1);
        count(&session->server->connections, 1);
        listeners_update(session->server);
        session_read(session);
}

static void session_event(uv_poll_t *poll, int status, int events)
{
        struct session *session = poll->data;
        if (session->state == SESSION_GREETING)
                session_greet(session);
        else if (status < 0 || events & (UV_READABLE | UV_DISCONNECT))
                session_read(session);
        else
                session_update(session);
        if (session->state == SESSION_OPEN && (status < 0 || (events & UV_DISCONNECT && session->held_back)))
                session_close(session, NULL);
}

static int64_t session_source(void *session, void *buffer, size_t bytes)
{
        return stream_read(((struct session *)session)->stream, buffer, bytes);
}

static void session_begin(skep_server *server, int fd_take)
{
        struct os_address peer = {0};
        (void)os_socket_address(fd_take, true, &peer);
        count(&server->accepted, 1);
        struct session *session = refusal_of(server, &peer)->count <= REFUSED_MAX ? calloc(1, sizeof *session) : NULL;
        if (!session)
                os_close(fd_take);
        if (!session || stream_create(fd_take, true, server->secret, server->options.silence_max_s, &session->stream) < 0) {
                count(&server->refused, 1);
                free(session);
                return;
        }
        session->server = server;
        session->peer = peer;
        session->out_last = &session->out;
        session->greeted_until = os_now_ns() + server->options.handshake_max_ms * INT64_C(1000000);
        session->reader = (struct wire_reader){.read = session_source, .begin = request_begins, .end = request_ends, .context = session};
        session->reader.frame_max_bytes = server->options.message_max_bytes + WIRE_ENVELOPE_MAX;
        if (uv_poll_init(&server->loop, &session->poll, stream_fd(session->stream)) < 0) {
                stream_close(session->stream, false);
                free(session);
                return;
        }
        session->poll.data = session;
        session->next = server->sessions;
        session->link = &server->sessions;
        if (server->sessions)
                server->sessions->link = &session->next;
        server->sessions = session;
        count(&server->handshakes, 1);
        timer_update(server, session->greeted_until);
        session_greet(session);
}

static bool may_accept(const skep_server *server)
{
        return server->handshakes < server->options.handshake_max && server->handshakes + server->connections < server->options.connection_max;
}

static void caller_comes(uv_poll_t *poll, int status, int events)
{
        struct listener *listener = poll->data;
        skep_server *server = listener->server;
        int fd;
        (void)status, (void)events;
        while (may_accept(server) && os_socket_accept(listener->fd, &fd) == 0)
                session_begin(server, fd);
        listeners_update(server);
}

/* Who cannot be served yet waits in the system's backlog. */
static void listeners_update(skep_server *server)
{
        bool wanted = may_accept(server) && !server->stopping;
        for (uint32_t i = 0; i < server->listener_count; i++) {
                struct listener *listener = &server->listeners[i];
                if (wanted == listener->polled || uv_is_closing((uv_handle_t *)&listener->poll))
                        continue;
                listener->polled = wanted;
                if (wanted)
                        (void)uv_poll_start(&listener->poll, UV_READABLE, caller_comes);
                else
                        uv_poll_stop(&listener->poll);
        }
}

/* --- the loop -------------------------------------------------------------------------------------------------------------- */

static int64_t sooner(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

static int64_t parked_expire(struct watched *watched, int64_t now)
{
        int64_t next = INT64_MAX;
        for (struct call **link = &watched->first, *call; (call = *link);) {
                struct session *session = call->session;
                if (call->deadline.monotonic_ns > now) {
                        next = sooner(next, call->deadline.monotonic_ns);
                        link = &call->next;
                        continue;
                }
                unpark(watched, link);
                call->result = -ETIMEDOUT;
                call_answer(call);
                session_update(session);
        }
        return next;
}

static void timer_rings(uv_timer_t *timer)
{
        skep_server *server = timer->data;
        int64_t now = os_now_ns(), next = INT64_MAX;
        server->timer_at = INT64_MAX;
        for (struct session *session = server->sessions, *following; session; session = following) {
                following = session->next;
                if (session->state != SESSION_GREETING)
                        continue;
                if (session->greeted_until <= now)
                        refuse(session, "refused: it took too long to prove its key");
                else
                        next = sooner(next, session->greeted_until);
        }
        for (uint32_t i = 0; i < TABLE; i++)
                for (struct served *object = server->objects[i], *following; object; object = following) {
                        object->holds++;
                        next = sooner(next, parked_expire(&object->gets, now));
                        next = sooner(next, parked_expire(&object->puts, now));
                        following = object->next;
                        served_unref(object);
                }
        timer_update(server, next);
}

static void timer_update(skep_server *server, int64_t at)
{
        if (at >= server->timer_at || server->stopping)
                return;
        int64_t left = at - os_now_ns();
        server->timer_at = at;
        uv_update_time(&server->loop);
        (void)uv_timer_start(&server->timer, timer_rings, left > 0 ? (uint64_t)(left + 999999) / 1000000 : 0, 0);
}

/* Sessions with more to read than their turn allowed, or than the kernel knows of. */
static void read_again(uv_idle_t *idle)
{
        skep_server *server = idle->data;
        bool more = false;
        for (struct session *session = server->sessions, *following; session; session = following) {
                following = session->next;
                if (session->state == SESSION_OPEN && session->unread && !session->held_back)
                        session_read(session);
        }
        for (struct session *session = server->sessions; session; session = session->next)
                more = more || (session->state == SESSION_OPEN && session->unread && !session->held_back);
        if (!more)
                uv_idle_stop(idle);
}

static void again_update(skep_server *server)
{
        (void)uv_idle_start(&server->again, read_again);
}

static void end_all(skep_server *server)
{
        server->stopping = true;
        for (uint32_t i = 0; i < server->listener_count; i++)
                if (!uv_is_closing((uv_handle_t *)&server->listeners[i].poll))
                        uv_close((uv_handle_t *)&server->listeners[i].poll, NULL);
        while (server->sessions)
                session_close(server->sessions, NULL);
        uv_close((uv_handle_t *)&server->timer, NULL);
        uv_close((uv_handle_t *)&server->again, NULL);
        pthread_mutex_lock(&server->mutex);
        server->workers_end = true;
        pthread_cond_broadcast(&server->work);
        while (server->threads)
                pthread_cond_wait(&server->ended, &server->mutex);
        pthread_mutex_unlock(&server->mutex);
        work_done(server);
        uv_close((uv_handle_t *)&server->wake, NULL);
}

static void woken(uv_async_t *async)
{
        skep_server *server = async->data;
        work_done(server);
        if (skep_load32(&server->stop) && !server->stopping)
                end_all(server);
}

/* --- begin and end --------------------------------------------------------------------------------------------------------- */

static int options_check(struct skep_server_options *ret_options, const struct skep_server_options *given)
{
        int result = options_copy(ret_options, sizeof *ret_options, given);
        struct skep_connection_options connection;
        if (result == 0)
                result = connection_options(&connection, SKEP_CONNECTION_OPTIONS(.message_max_bytes = ret_options->message_max_bytes,
                                                                                 .silence_max_s = ret_options->silence_max_s, .flags = ret_options->flags));
        if (result < 0)
                return result;
        ret_options->message_max_bytes = connection.message_max_bytes;
        ret_options->silence_max_s = connection.silence_max_s;
        ret_options->connection_max += ret_options->connection_max ? 0 : 4096;
        ret_options->handshake_max += ret_options->handshake_max ? 0 : 128;
        ret_options->handshake_max_ms += ret_options->handshake_max_ms ? 0 : 10000;
        ret_options->waiting_max += ret_options->waiting_max ? 0 : 256;
        return 0;
}

static int loop_begin(skep_server *server)
{
        int result = uv_loop_init(&server->loop);
        if (result < 0)
                return result;
        result = uv_async_init(&server->loop, &server->wake, woken);
        if (result < 0) {
                uv_loop_close(&server->loop);
                return result;
        }
        uv_timer_init(&server->loop, &server->timer);
        uv_idle_init(&server->loop, &server->again);
        server->wake.data = server->timer.data = server->again.data = server;
        return 0;
}

int skep_server_create(skep_hive *hive, const struct skep_server_options *given, skep_server **ret_server)
{
        struct skep_server_options options;
        int result = hive->remote ? -EINVAL : options_check(&options, given);
        if (result < 0)
                return result;
        skep_server *server = calloc(1, sizeof *server);
        if (!server)
                return -ENOMEM;
        server->hive = hive;
        server->options = options;
        server->timer_at = INT64_MAX;
        server->jobs_last = &server->jobs;
        pthread_mutex_init(&server->mutex, NULL);
        pthread_cond_init(&server->work, NULL);
        pthread_cond_init(&server->ended, NULL);
        result = secret_create(SKEP_CONNECTION_OPTIONS(.authkey = options.authkey, .authkey_bytes = options.authkey_bytes, .key_id = options.key_id,
                                                       .flags = options.flags),
                               &server->secret);
        server->options.authkey = NULL;
        server->options.key_id = NULL;
        if (result == 0 && (result = loop_begin(server)) < 0)
                secret_unref(server->secret);
        if (result < 0)
                free(server);
        else
                *ret_server = server;
        return result;
}

int skep_server_listen(skep_server *server, const char *address)
{
        struct listener *listener = &server->listeners[server->listener_count];
        if (server->listener_count == LISTENERS_MAX)
                return -E2BIG;
        if (server->options.flags & SKEP_CONNECTION_PLAIN && address && strncmp(address, "unix:", 5) != 0)
                return -EINVAL;
        int result = skep_connection_listen(address, 1024, &listener->fd);
        if (result < 0)
                return result;
        result = skep_connection_address(listener->fd, 0, listener->address, sizeof listener->address);
        if (result == 0)
                result = uv_poll_init(&server->loop, &listener->poll, listener->fd);
        if (result < 0) {
                os_close(listener->fd);
                return result;
        }
        listener->poll.data = listener;
        listener->server = server;
        listener->polled = false;
        server->listener_count++;
        return 0;
}

int skep_server_address(const skep_server *server, uint32_t index, char *text, size_t bytes)
{
        if (index >= server->listener_count)
                return -ERANGE;
        size_t length = strlen(server->listeners[index].address) + 1;
        if (length > bytes)
                return -EMSGSIZE;
        memcpy(text, server->listeners[index].address, length);
        return 0;
}

int skep_server_run(skep_server *server)
{
        listeners_update(server);
        (void)uv_run(&server->loop, UV_RUN_DEFAULT);
        return 0;
}

void skep_server_stop(skep_server *server)
{
        skep_store32(&server->stop, 1);
        uv_async_send(&server->wake);
}

void skep_server_stat(const skep_server *server, struct skep_server_stat *ret_stat)
{
        *ret_stat = (struct skep_server_stat){
                .connections = skep_load_relaxed(&server->connections),
                .handshakes = skep_load_relaxed(&server->handshakes),
                .accepted = skep_load_relaxed(&server->accepted),
                .refused = skep_load_relaxed(&server->refused),
                .calls = skep_load_relaxed(&server->calls),
                .waiting = skep_load_relaxed(&server->waiting),
        };
}

skep_server *skep_server_free(skep_server *server)
{
        if (!server)
                return NULL;
        if (!server->stopping)
                end_all(server);
        (void)uv_run(&server->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&server->loop);
        for (uint32_t i = 0; i < server->listener_count; i++) {
                os_close(server->listeners[i].fd);
                os_socket_forget(server->listeners[i].address);
        }
        while (server->spare) {
                struct call *call = server->spare;
                server->spare = call->next;
                free(call);
        }
        pthread_mutex_destroy(&server->mutex);
        pthread_cond_destroy(&server->work);
        pthread_cond_destroy(&server->ended);
        secret_unref(server->secret);
        free(server);
        return NULL;
}
#else
int skep_server_create(skep_hive *hive, const struct skep_server_options *given, skep_server **ret_server)
{
        (void)hive, (void)given, (void)ret_server;
        return -ENOSYS;
}

int skep_server_listen(skep_server *server, const char *address)
{
        (void)server, (void)address;
        return -ENOSYS;
}

int skep_server_address(const skep_server *server, uint32_t index, char *text, size_t bytes)
{
        (void)server, (void)index, (void)text, (void)bytes;
        return -ENOSYS;
}

int skep_server_run(skep_server *server)
{
        (void)server;
        return -ENOSYS;
}

void skep_server_stop(skep_server *server)
{
        (void)server;
}

void skep_server_stat(const skep_server *server, struct skep_server_stat *ret_stat)
{
        (void)server;
        *ret_stat = (struct skep_server_stat){0};
}

skep_server *skep_server_free(skep_server *server)
{
        (void)server;
        return NULL;
}
#endif
