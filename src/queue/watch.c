/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - a descriptor for poll, select and epoll: a thread of this process waits on the event count for it.
 *
 * The thread sets the event descriptor when the queue is ready, then rests until a get of this process found the queue empty
 * (watch_rearm).  At the end of each slice it asks who died, as whoever polls cannot.  A forked child has no such thread; it
 * makes one when it asks for the descriptor.
 */
#include "os/os.h"
#include "queue/queue.h"
#include "sync/wait.h"

#include <errno.h>
#include <stdlib.h>

struct queue_watch {
        pthread_t thread;
        int fd;
        uint32_t ending;
        uint32_t resting; /* futex: 1 the descriptor is set, the thread rests */
        uint32_t member;  /* whose thread it is: a fork leaves it behind */
};

static void *watch_run(void *argument)
{
        skep_queue *queue = argument;
        struct queue_watch *watch = queue->watch;
        struct skep_agent *agent;
        if (agent_self(queue->hive, &agent) < 0)
                return NULL;
        while (!skep_load32(&watch->ending)) {
                if (!queue_is_ready(queue)) {
                        uint32_t key = event_prepare(&queue->shared->not_empty);
                        if (!queue_is_ready(queue) && wait_slice_surely(&queue->shared->not_empty, key, skep_forever()) == WAIT_UNCHANGED &&
                            skep_hive_reap(queue->hive, NULL) < 0) {
                                os_event_set(watch->fd); /* damage: let the get say so */
                                return NULL;
                        }
                        continue;
                }
                skep_store32(&watch->resting, 1);
                os_event_set(watch->fd);
                while (skep_load32(&watch->resting) && !skep_load32(&watch->ending))
                        (void)os_futex_wait(&watch->resting, 1, os_now_ns() + WAIT_SLICE_NS);
        }
        return NULL;
}

void watch_rearm(skep_queue *queue)
{
        struct queue_watch *watch = queue->watch;
        if (watch->member != queue->hive->member || !skep_load32(&watch->resting))
                return;
        os_event_clear(watch->fd);
        skep_store32(&watch->resting, 0);
        (void)os_futex_wake(&watch->resting, 1);
}

static int watch_start(skep_queue *queue)
{
        struct queue_watch *watch = calloc(1, sizeof *watch);
        if (!watch)
                return -ENOMEM;
        watch->member = queue->hive->member;
        watch->fd = os_event_create();
        if (watch->fd < 0) {
                int result = watch->fd;
                free(watch);
                return result;
        }
        queue->watch = watch;
        int result = os_thread_start(watch_run, queue, &watch->thread);
        if (result < 0) {
                queue->watch = NULL;
                os_close(watch->fd);
                free(watch);
        }
        return result;
}

void watch_end(skep_queue *queue)
{
        struct queue_watch *watch = queue->watch;
        if (!watch)
                return;
        if (watch->member == queue->hive->member) {
                skep_store32(&watch->ending, 1);
                event_wake(&queue->shared->not_empty, INT32_MAX);
                (void)os_futex_wake(&watch->resting, 1);
                pthread_join(watch->thread, NULL);
        }
        os_close(watch->fd);
        free(watch);
        queue->watch = NULL;
}

int skep_queue_fd(skep_queue *queue)
{
        pthread_mutex_lock(&queue->mutex);
        if (queue->watch && queue->watch->member != queue->hive->member)
                watch_end(queue);
        int result = queue->watch ? 0 : watch_start(queue);
        if (result == 0)
                result = queue->watch->fd;
        pthread_mutex_unlock(&queue->mutex);
        return result;
}
