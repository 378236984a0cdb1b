/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - descriptors for poll, select and epoll: a thread of this process waits on the event counts for them.
 *
 * One thread, a watcher, serves up to 127 descriptors of a hive, each for messages or for space of a queue: it waits on all
 * their event counts at once, and on a control word that changes when it has to look again.  Where the kernel cannot wait on many
 * words each descriptor has a watcher of its own.
 *
 *   resting   descriptor   left by
 *   0         clear        the watcher, which finds the queue ready
 *   1         set          watch_rearm(): a get of this process found the queue empty, a put found it full
 *
 * At the end of each slice a watcher asks who died, as whoever polls cannot.  It ends with its last queue.  A forked child has no
 * such thread; it makes one when it asks for the descriptor.
 */
#include "os/os.h"
#include "queue/queue.h"
#include "sync/wait.h"

#include <errno.h>
#include <stdlib.h>

uint32_t watch_group_max = OS_FUTEX_MANY_MAX - 1;

struct watcher {
        skep_hive *hive;
        pthread_t thread;
        pthread_mutex_t mutex; /* over the watches and their descriptors' state */
        uint32_t control;      /* futex */
        uint32_t count;        /* 0: the thread ends */
        uint32_t capacity;
        bool damaged;          /* let the gets say so */
        struct queue_watch *watches[OS_FUTEX_MANY_MAX - 1];
        struct watcher *next;
};

struct queue_watch {
        skep_queue *queue;
        struct watcher *watcher;
        uint32_t *event;            /* of the queue */
        queue_condition *condition; /* of being readable */
        int fd;
        uint32_t resting;
        uint32_t member; /* whose thread it is: a fork leaves it behind */
};

static pthread_mutex_t watchers_mutex = PTHREAD_MUTEX_INITIALIZER; /* before a watcher's, and that before a queue's; held across fork */
static struct watcher *watchers;

/* --- the thread --------------------------------------------------------------------------------------------------------------- */

/* Set the descriptors of what is ready; collect the words of the others. @return their count */
static uint32_t look_all(struct watcher *watcher, uint32_t **words, uint32_t *keys)
{
        uint32_t count = 0;
        for (uint32_t i = 0; i < watcher->count; i++) {
                struct queue_watch *watch = watcher->watches[i];
                uint32_t *word = watch->event;
                if (watch->resting)
                        continue;
                uint32_t key = event_prepare(word);
                if (watcher->damaged || watch->condition(watch->queue)) {
                        skep_store32(&watch->resting, 1);
                        os_event_set(watch->fd);
                } else {
                        words[count] = word;
                        keys[count++] = key;
                }
        }
        return count;
}

static void *watch_run(void *argument)
{
        struct watcher *watcher = argument;
        uint32_t *words[OS_FUTEX_MANY_MAX], keys[OS_FUTEX_MANY_MAX];
        for (;;) {
                uint32_t control = skep_load32(&watcher->control);
                pthread_mutex_lock(&watcher->mutex);
                uint32_t count = look_all(watcher, words, keys);
                bool ends = !watcher->count;
                pthread_mutex_unlock(&watcher->mutex);
                if (ends)
                        return NULL;
                if (!count || watcher->capacity > 1) {
                        words[count] = &watcher->control;
                        keys[count++] = control;
                }
                int64_t until = os_now_ns() + WAIT_SLICE_NS;
                int result = count > 1 ? os_futex_wait_many(words, keys, count, until) : os_futex_wait(words[0], keys[0], until);
                if (result == -ETIMEDOUT)
                        watcher->damaged = skep_hive_reap(watcher->hive, NULL) == -EBADMSG;
        }
}

static void look_again(struct watcher *watcher, const struct queue_watch *watch)
{
        (void)skep_fetch_add32(&watcher->control, 1);
        (void)os_futex_wake(&watcher->control, 1);
        if (watcher->capacity == 1)
                event_wake(watch->event, INT32_MAX);
}

void watch_rearm(struct queue_watch *watch)
{
        if (!watch || watch->member != watch->queue->hive->member || !skep_load32(&watch->resting))
                return;
        pthread_mutex_lock(&watch->watcher->mutex);
        os_event_clear(watch->fd);
        skep_store32(&watch->resting, 0);
        pthread_mutex_unlock(&watch->watcher->mutex);
        look_again(watch->watcher, watch);
}

/* --- begin and end -------------------------------------------------------------------------------------------------------------- */

static void watcher_free(struct watcher *watcher)
{
        pthread_mutex_destroy(&watcher->mutex);
        free(watcher);
}

static int watcher_start(struct queue_watch *watch)
{
        struct watcher *watcher = calloc(1, sizeof *watcher);
        if (!watcher)
                return -ENOMEM;
        watcher->hive = watch->queue->hive;
        watcher->capacity = os_futex_has_many() && watch_group_max ? watch_group_max : 1;
        watcher->watches[watcher->count++] = watch;
        watch->watcher = watcher;
        pthread_mutex_init(&watcher->mutex, NULL);
        int result = os_thread_start(watch_run, watcher, &watcher->thread);
        if (result < 0) {
                watcher_free(watcher);
                return result;
        }
        watcher->next = watchers;
        watchers = watcher;
        return 0;
}

/* A watcher takes it, or a new one is made. */
static int watcher_find(struct queue_watch *watch)
{
        struct watcher *watcher = watchers;
        while (watcher && (watcher->hive != watch->queue->hive || watcher->count >= watcher->capacity))
                watcher = watcher->next;
        if (!watcher)
                return watcher_start(watch);
        pthread_mutex_lock(&watcher->mutex);
        watcher->watches[watcher->count++] = watch;
        watch->watcher = watcher;
        pthread_mutex_unlock(&watcher->mutex);
        look_again(watcher, watch);
        return 0;
}

static int watch_start(skep_queue *queue, bool for_space, struct queue_watch **ret_watch)
{
        struct queue_watch *watch = calloc(1, sizeof *watch);
        if (!watch)
                return -ENOMEM;
        watch->queue = queue;
        watch->event = for_space ? &queue->shared->not_full : &queue->shared->not_empty;
        watch->condition = for_space ? queue_has_space : queue_is_ready;
        watch->member = queue->hive->member;
        watch->fd = os_event_create();
        int result = watch->fd;
        if (result >= 0)
                result = watcher_find(watch);
        if (result < 0) {
                if (watch->fd >= 0)
                        os_close(watch->fd);
                free(watch);
                return result;
        }
        *ret_watch = watch;
        return 0;
}

/* @return the watcher if that was its last queue */
static struct watcher *watcher_leave(struct queue_watch *watch)
{
        struct watcher *watcher = watch->watcher, **link = &watchers;
        pthread_mutex_lock(&watchers_mutex);
        pthread_mutex_lock(&watcher->mutex);
        for (uint32_t i = 0; i < watcher->count; i++)
                if (watcher->watches[i] == watch)
                        watcher->watches[i] = watcher->watches[--watcher->count];
        bool last = !watcher->count;
        pthread_mutex_unlock(&watcher->mutex);
        while (last && *link != watcher)
                link = &(*link)->next;
        if (last)
                *link = watcher->next;
        else
                look_again(watcher, watch);
        pthread_mutex_unlock(&watchers_mutex);
        return last ? watcher : NULL;
}

static void end(struct queue_watch **place)
{
        struct queue_watch *watch = *place;
        if (!watch)
                return;
        struct watcher *last = watch->member == watch->queue->hive->member ? watcher_leave(watch) : NULL;
        if (last) {
                look_again(last, watch);
                pthread_join(last->thread, NULL);
                watcher_free(last);
        }
        os_close(watch->fd);
        free(watch);
        *place = NULL;
}

void watch_end(skep_queue *queue)
{
        end(&queue->watch);
        end(&queue->space_watch);
}

static int descriptor(skep_queue *queue, bool for_space)
{
        if (queue_is_remote(queue))
                return -ENOTSUP;
        struct queue_watch **place = for_space ? &queue->space_watch : &queue->watch;
        pthread_mutex_lock(&watchers_mutex);
        if (*place && (*place)->member != queue->hive->member)
                end(place); /* it was the parent's */
        int result = *place ? 0 : watch_start(queue, for_space, place);
        if (result == 0)
                result = (*place)->fd;
        pthread_mutex_unlock(&watchers_mutex);
        return result;
}

int skep_queue_fd(skep_queue *queue)
{
        return descriptor(queue, false);
}

int skep_queue_space_fd(skep_queue *queue)
{
        return descriptor(queue, true);
}

/* --- fork: the child has no watchers ---------------------------------------------------------------------------------------------- */

static void before_fork(void)
{
        pthread_mutex_lock(&watchers_mutex);
}

static void after_fork(void)
{
        pthread_mutex_unlock(&watchers_mutex);
}

static void after_fork_in_child(void)
{
        while (watchers) {
                struct watcher *watcher = watchers;
                watchers = watcher->next;
                free(watcher);
        }
        pthread_mutex_unlock(&watchers_mutex);
}

__attribute__((constructor)) static void watch_register(void)
{
        (void)pthread_atfork(before_fork, after_fork, after_fork_in_child);
}
