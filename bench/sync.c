/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.c - locks that two processes fight for, semaphores, and how long the woken take to run.
 *
 * Peers: the C library's mutex and semaphore, both shared between processes (neither survives a death); a bare futex
 * ping-pong, which is the price of two wake-ups and nothing else.
 */
#include "bench.h"

#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>

#define ROUNDS 7
#define PAIRS 1000000
#define FIGHTS 1000000
#define TRIPS 5000

static skep_hive *hive;

/* --- semaphore, nobody else at work -------------------------------------------------------------------------------- */

static double skep_units(void *context)
{
        int64_t start_ns = now_ns();

        for (int i = 0; i < PAIRS; i++) {
                MUST(skep_semaphore_acquire(context, skep_forever()));
                MUST(skep_semaphore_release(context, 1));
        }
        return (double)(now_ns() - start_ns) / PAIRS;
}

static double posix_units(void *context)
{
        int64_t start_ns = now_ns();

        for (int i = 0; i < PAIRS; i++) {
                must(sem_wait(context), "sem_wait");
                must(sem_post(context), "sem_post");
        }
        return (double)(now_ns() - start_ns) / PAIRS;
}

/* --- two processes want one lock ------------------------------------------------------------------------------------ */

struct fight {
        skep_lock *lock; /* or */
        pthread_mutex_t *mutex;
        uint64_t *counter; /* what it protects */
        uint32_t *waits_ns; /* [2][FIGHTS]; NULL: waits are not timed */
};

static void take(const struct fight *fight)
{
        if (fight->lock)
                MUST(skep_lock_acquire(fight->lock, skep_forever()));
        else
                must(-pthread_mutex_lock(fight->mutex), "pthread_mutex_lock");
}

static void give(const struct fight *fight)
{
        if (fight->lock)
                MUST(skep_lock_release(fight->lock));
        else
                must(-pthread_mutex_unlock(fight->mutex), "pthread_mutex_unlock");
}

static void fight_on(const struct fight *fight, uint32_t *waits_ns)
{
        for (uint64_t i = 0; i < FIGHTS; i++) {
                int64_t start_ns = waits_ns ? now_ns() : 0;

                take(fight);
                if (waits_ns)
                        waits_ns[i] = (uint32_t)(now_ns() - start_ns);
                ++*fight->counter;
                give(fight);
        }
}

static void left(void *context)
{
        struct fight *fight = context;

        fight_on(fight, fight->waits_ns);
}

static void right(void *context)
{
        struct fight *fight = context;

        fight_on(fight, fight->waits_ns ? fight->waits_ns + FIGHTS : NULL);
}

static double fight_ns(struct fight *fight)
{
        struct role roles[] = { { left, fight, 0 }, { right, fight, 1 } };
        double ns;

        *fight->counter = 0;
        ns = perform(roles, 2);
        must(*fight->counter == (uint64_t)2 * FIGHTS ? 0 : -1, "mutual exclusion");
        return ns;
}

/* Millions of pairs a second, of both together. */
static double fight_rate(void *context)
{
        return 2 * FIGHTS * 1e3 / fight_ns(context);
}

static int compare_waits(const void *a, const void *b)
{
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

/* Of all waits that took long enough to be one: the longest, in microseconds. */
static double fight_longest(void *context)
{
        struct fight timed = *(struct fight *)context;
        double longest;

        timed.waits_ns = shared_memory(2 * FIGHTS * sizeof(*timed.waits_ns));
        (void)fight_ns(&timed);
        qsort(timed.waits_ns, (size_t)2 * FIGHTS, sizeof(*timed.waits_ns), compare_waits);
        longest = timed.waits_ns[2 * FIGHTS - 1] / 1e3;
        (void)munmap(timed.waits_ns, 2 * FIGHTS * sizeof(*timed.waits_ns));
        return longest;
}

static double fight_median(void *context)
{
        struct fight timed = *(struct fight *)context;
        double middle;

        timed.waits_ns = shared_memory(2 * FIGHTS * sizeof(*timed.waits_ns));
        (void)fight_ns(&timed);
        qsort(timed.waits_ns, (size_t)2 * FIGHTS, sizeof(*timed.waits_ns), compare_waits);
        middle = timed.waits_ns[FIGHTS];
        (void)munmap(timed.waits_ns, 2 * FIGHTS * sizeof(*timed.waits_ns));
        return middle;
}

static pthread_mutex_t *mutex_new(void)
{
        pthread_mutex_t *mutex = shared_memory(sizeof(*mutex));
        pthread_mutexattr_t attributes;

        (void)pthread_mutexattr_init(&attributes);
        (void)pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        must(-pthread_mutex_init(mutex, &attributes), "pthread_mutex_init");
        return mutex;
}

/* --- there and back: one of two always sleeps ------------------------------------------------------------------------ */

struct trip {
        skep_event *there, *back;
        skep_condition *condition;
        skep_barrier *barrier;
        uint32_t *words;
};

static void answer_event(skep_event *mine, skep_event *theirs, bool first)
{
        for (int i = 0; i < TRIPS; i++) {
                if (first)
                        MUST(skep_event_set(theirs));
                MUST(skep_event_wait(mine, skep_forever()));
                MUST(skep_event_clear(mine));
                if (!first)
                        MUST(skep_event_set(theirs));
        }
}

static void event_client(void *context)
{
        struct trip *trip = context;

        answer_event(trip->back, trip->there, true);
}

static void event_server(void *context)
{
        struct trip *trip = context;

        answer_event(trip->there, trip->back, false);
}

static void take_turns(const struct trip *trip, uint32_t mine)
{
        for (int i = 0; i < TRIPS; i++) {
                MUST(skep_condition_acquire(trip->condition, skep_forever()));
                while (*trip->words != mine)
                        MUST(skep_condition_wait(trip->condition, skep_forever()));
                *trip->words = !mine;
                MUST(skep_condition_notify(trip->condition, 1));
                MUST(skep_condition_release(trip->condition));
        }
}

static void condition_client(void *context)
{
        take_turns(context, 0);
}

static void condition_server(void *context)
{
        take_turns(context, 1);
}

static void meet(void *context)
{
        struct trip *trip = context;

        for (int i = 0; i < TRIPS; i++)
                MUST(skep_barrier_wait(trip->barrier, NULL, NULL, skep_forever(), NULL));
        skep_process_exiting();
}

static void futex_send(uint32_t *word)
{
        __atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
        (void)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void futex_receive(uint32_t *word)
{
        while (!__atomic_load_n(word, __ATOMIC_ACQUIRE))
                (void)syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
        __atomic_store_n(word, 0, __ATOMIC_SEQ_CST);
}

static void futex_client(void *context)
{
        struct trip *trip = context;

        for (int i = 0; i < TRIPS; i++) {
                futex_send(&trip->words[32]);
                futex_receive(&trip->words[64]);
        }
}

static void futex_server(void *context)
{
        struct trip *trip = context;

        for (int i = 0; i < TRIPS; i++) {
                futex_receive(&trip->words[32]);
                futex_send(&trip->words[64]);
        }
}

/* Microseconds there and back, on two cores. */
static double trip_us(void (*client)(void *), void (*server)(void *), void *context)
{
        struct role roles[] = { { client, context, 0 }, { server, context, 1 } };

        return perform(roles, 2) / 1e3 / TRIPS;
}

static double event_trip(void *context)
{
        return trip_us(event_client, event_server, context);
}

static double condition_trip(void *context)
{
        struct trip *trip = context;

        *trip->words = 0;
        return trip_us(condition_client, condition_server, context);
}

static double barrier_trip(void *context)
{
        return trip_us(meet, meet, context);
}

static double futex_trip(void *context)
{
        return trip_us(futex_client, futex_server, context);
}

int main(void)
{
        struct fight skep = { .counter = shared_memory(64) }, mutex = { .mutex = mutex_new(), .counter = skep.counter };
        struct trip trip = { .words = shared_memory(4096) };
        skep_semaphore *semaphore;
        sem_t *posix = shared_memory(sizeof(*posix));

        (void)alarm(110);
        MUST(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 16u << 20), &hive));
        MUST(skep_lock_create(hive, NULL, &skep.lock));
        MUST(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.value = 1), &semaphore));
        MUST(skep_event_create(hive, NULL, &trip.there));
        MUST(skep_event_create(hive, NULL, &trip.back));
        MUST(skep_condition_create(hive, NULL, &trip.condition));
        MUST(skep_barrier_create(hive, NULL, 2, &trip.barrier));
        must(sem_init(posix, 1, 1), "sem_init");

        COMPETE("semaphore uncontended", "acquire + release", "ns", ROUNDS, { "skep", skep_units, semaphore }, { "shared sem_t", posix_units, posix });
        COMPETE("lock contended", "2 processes, pinned", "M/s", ROUNDS, { "skep", fight_rate, &skep }, { "shared pthread mutex", fight_rate, &mutex });
        COMPETE("lock contended, median wait", "2 processes, pinned", "ns", ROUNDS, { "skep", fight_median, &skep },
                { "shared pthread mutex", fight_median, &mutex });
        COMPETE("lock contended, longest wait", "2 processes, pinned", "us", ROUNDS, { "skep", fight_longest, &skep },
                { "shared pthread mutex", fight_longest, &mutex });
        COMPETE("event there and back", "2 processes, pinned", "us", ROUNDS, { "skep", event_trip, &trip }, { "bare futex", futex_trip, &trip });
        COMPETE("condition there and back", "2 processes, pinned", "us", ROUNDS, { "skep", condition_trip, &trip }, { "bare futex", futex_trip, &trip });
        COMPETE("barrier of 2", "round, pinned", "us", ROUNDS, { "skep", barrier_trip, &trip }, { "two futex wake-ups", futex_trip, &trip });
        skep_lock_unref(skep.lock);
        skep_semaphore_unref(semaphore);
        skep_event_unref(trip.there);
        skep_event_unref(trip.back);
        skep_condition_unref(trip.condition);
        skep_barrier_unref(trip.barrier);
        skep_hive_detach(hive);
        return 0;
}
