/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h - how everything here is measured.
 *
 * A question ("64-byte messages, 1 to 1") has contestants: skep and its peers.  A round asks each contestant once, in
 * turn, so that a noisy minute of the machine hits all of them; what counts is the median over the rounds, printed with
 * the lowest and the highest as one line of JSON per contestant.  A first round warms up and is thrown away.
 *
 * Processes of one measurement are children of this one, pinned to a core each where the parameters say so.  They gather
 * at a gate, start together, and note when they are done; CLOCK_MONOTONIC is the same clock in all of them.  Each child
 * has an alarm clock, so that a hang costs a row and not the run.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <skep/skep.h>

#define ROUNDS_MAX 9
#define ROLES_MAX 4
#define SECONDS_MAX 20 /* of one measurement */
#define NO_CPU (-1)

static inline int64_t now_ns(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline void relax(void)
{
#if defined(__x86_64__)
        __builtin_ia32_pause();
#else
        __asm__ volatile("" ::: "memory");
#endif
}

static inline void must(int result, const char *what)
{
        if (result >= 0)
                return;
        fprintf(stderr, "bench: %s: %s\n", what, skep_strerror(result));
        exit(1);
}
#define MUST(call) must(call, #call)

static inline void *shared_memory(size_t bytes)
{
        void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

        must(memory == MAP_FAILED ? -1 : 0, "mmap");
        return memory;
}

/* Cores are counted modulo those there are. */
static inline void pin(int cpu)
{
        cpu_set_t set;

        if (cpu == NO_CPU)
                return;
        CPU_ZERO(&set);
        CPU_SET((size_t)cpu % (size_t)sysconf(_SC_NPROCESSORS_ONLN), &set);
        (void)sched_setaffinity(0, sizeof(set), &set);
}

/* --- several processes at once ------------------------------------------------------------------------------------ */

struct role {
        void (*run)(void *context);
        void *context;
        int cpu; /* or NO_CPU */
};

struct gate {
        uint32_t ready;
        uint32_t open;
        int64_t end_ns[ROLES_MAX];
};

static inline void play(const struct role *role, struct gate *gate, size_t index)
{
        (void)alarm(SECONDS_MAX);
        pin(role->cpu);
        __atomic_add_fetch(&gate->ready, 1, __ATOMIC_SEQ_CST);
        while (!__atomic_load_n(&gate->open, __ATOMIC_ACQUIRE))
                (void)sched_yield();
        role->run(role->context);
        gate->end_ns[index] = now_ns();
        _exit(0);
}

/* A child that failed before the gate must not keep the others waiting. */
static inline bool gather(struct gate *gate, size_t count)
{
        int64_t limit = now_ns() + 5000000000;

        while (__atomic_load_n(&gate->ready, __ATOMIC_ACQUIRE) < count && now_ns() < limit)
                (void)sched_yield();
        return gate->ready == count;
}

/* Run the roles in children. @return nanoseconds from the gate's opening until the last was done; NAN if one failed */
static inline double perform(const struct role *roles, size_t count)
{
        struct gate *gate = shared_memory(sizeof(*gate));
        pid_t pids[ROLES_MAX];
        int64_t start_ns, end_ns = 0;
        bool failed;
        int status;

        for (size_t i = 0; i < count; i++) {
                pids[i] = fork();
                if (!pids[i])
                        play(&roles[i], gate, i);
        }
        failed = !gather(gate, count);
        start_ns = now_ns();
        __atomic_store_n(&gate->open, 1, __ATOMIC_RELEASE);
        for (size_t i = 0; i < count; i++) {
                (void)waitpid(pids[i], &status, 0);
                failed |= status != 0;
                if (gate->end_ns[i] > end_ns)
                        end_ns = gate->end_ns[i];
        }
        (void)munmap(gate, sizeof(*gate));
        return failed ? NAN : (double)(end_ns - start_ns);
}

/* --- rounds and rows ---------------------------------------------------------------------------------------------- */

struct contestant {
        const char *peer; /* "skep", "pipe", ... */
        double (*measure)(void *context);
        void *context;
};

static inline int compare_doubles(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

/* Sorts the samples. */
static inline double median(double *samples, size_t count)
{
        qsort(samples, count, sizeof(*samples), compare_doubles);
        return count % 2 ? samples[count / 2] : (samples[count / 2 - 1] + samples[count / 2]) / 2;
}

static inline void row(const char *name, const char *parameters, const char *peer, double *samples, size_t count, const char *unit)
{
        double middle;

        if (!count) {
                fprintf(stderr, "bench: %s (%s): %s failed\n", name, parameters, peer);
                return;
        }
        middle = median(samples, count);
        printf("{\"name\": \"%s\", \"parameters\": \"%s\", \"peer\": \"%s\", \"median\": %.4g, \"lowest\": %.4g, \"highest\": %.4g, \"unit\": \"%s\"}\n",
               name, parameters, peer, middle, samples[0], samples[count - 1], unit);
        (void)fflush(stdout);
}

static inline void compete(const char *name, const char *parameters, const char *unit, int rounds, const struct contestant *contestants, size_t count)
{
        double samples[8][ROUNDS_MAX];
        size_t used[8] = { 0 };

        for (int round = -1; round < rounds; round++) {
                for (size_t i = 0; i < count; i++) {
                        double sample = contestants[i].measure(contestants[i].context);

                        if (round >= 0 && !isnan(sample))
                                samples[i][used[i]++] = sample;
                }
        }
        for (size_t i = 0; i < count; i++)
                row(name, parameters, contestants[i].peer, samples[i], used[i], unit);
}

#define COMPETE(name, parameters, unit, rounds, ...) \
        compete(name, parameters, unit, rounds, (const struct contestant[]){ __VA_ARGS__ }, \
                sizeof((const struct contestant[]){ __VA_ARGS__ }) / sizeof(struct contestant))

/* --- the bare ring: what a queue between two processes could cost at best ------------------------------------------- */

#define BARE_SLOTS 1024u
#define BARE_BYTES 64u

/* One producer, one consumer, indices cached on the other's side. No waiting, no crash safety, no kinds. */
struct bare_ring {
        _Alignas(64) uint64_t tail; /* written by the producer */
        uint64_t head_seen;
        _Alignas(64) uint64_t head; /* written by the consumer */
        uint64_t tail_seen;
        _Alignas(64) unsigned char slots[BARE_SLOTS][BARE_BYTES];
};

/* How many of `wanted` slots may be filled; spins while there is none. */
static inline uint64_t bare_room(struct bare_ring *ring, uint64_t wanted)
{
        uint64_t room;

        while (!(room = BARE_SLOTS - (ring->tail - ring->head_seen))) {
                ring->head_seen = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
                if (ring->tail - ring->head_seen == BARE_SLOTS)
                        relax();
        }
        return room < wanted ? room : wanted;
}

static inline void bare_put(struct bare_ring *ring, const unsigned char *messages, uint64_t count)
{
        while (count) {
                uint64_t run = bare_room(ring, count);

                for (uint64_t i = 0; i < run; i++)
                        memcpy(ring->slots[(ring->tail + i) % BARE_SLOTS], messages + i * BARE_BYTES, BARE_BYTES);
                __atomic_store_n(&ring->tail, ring->tail + run, __ATOMIC_RELEASE);
                messages += run * BARE_BYTES;
                count -= run;
        }
}

/* At least one, at most `wanted`. */
static inline uint64_t bare_get(struct bare_ring *ring, unsigned char *messages, uint64_t wanted)
{
        uint64_t there;

        while (!(there = ring->tail_seen - ring->head)) {
                ring->tail_seen = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
                if (ring->tail_seen == ring->head)
                        relax();
        }
        if (there > wanted)
                there = wanted;
        for (uint64_t i = 0; i < there; i++)
                memcpy(messages + i * BARE_BYTES, ring->slots[(ring->head + i) % BARE_SLOTS], BARE_BYTES);
        __atomic_store_n(&ring->head, ring->head + there, __ATOMIC_RELEASE);
        return there;
}

#endif
