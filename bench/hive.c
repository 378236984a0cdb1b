/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hive.c - to join a hive, and to fork while holding a thousand of its arrays.
 *
 * Peers: mapping an empty memory file of the same size; fork() of the same process before it has a hive.
 */
#include "bench.h"

#define ROUNDS 9
#define ARRAYS 1000
#define FORKS 20

static double skep_attach(void *context)
{
        skep_hive *hive, *other = context;
        int64_t start_ns = now_ns(), end_ns;

        MUST(skep_hive_attach(skep_hive_fd(other), &hive));
        end_ns = now_ns();
        skep_hive_detach(hive);
        return (double)(end_ns - start_ns) / 1e3;
}

static double bare_map(void *context)
{
        struct skep_hive_stat stat;
        int fd = memfd_create("bench", MFD_CLOEXEC);
        int64_t start_ns;
        void *memory;

        MUST(skep_hive_stat(context, &stat));
        must(ftruncate(fd, (off_t)stat.capacity_bytes), "ftruncate");
        start_ns = now_ns();
        memory = mmap(NULL, stat.capacity_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
        start_ns = now_ns() - start_ns;
        (void)munmap(memory, stat.capacity_bytes);
        (void)close(fd);
        return (double)start_ns / 1e3;
}

/* Median of FORKS times that fork() took, in the parent. */
static double fork_time(void *context)
{
        double samples[FORKS];

        (void)context;
        for (int i = 0; i < FORKS; i++) {
                int64_t start_ns = now_ns();
                pid_t pid = fork();

                if (!pid)
                        _exit(0);
                samples[i] = (double)(now_ns() - start_ns) / 1e3;
                must(pid, "fork");
                (void)waitpid(pid, NULL, 0);
        }
        return median(samples, FORKS);
}

static double fork_with_arrays(void *context)
{
        static skep_array *arrays[ARRAYS];
        uint64_t count = 4096;
        skep_hive *hive;
        double time;

        MUST(skep_hive_create(NULL, &hive));
        for (int i = 0; i < ARRAYS; i++)
                MUST(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8, .dimension_count = 1, .shape = &count), &arrays[i]));
        time = fork_time(context);
        for (int i = 0; i < ARRAYS; i++)
                skep_array_unref(arrays[i]);
        skep_hive_detach(hive);
        return time;
}

int main(void)
{
        skep_hive *hive;

        (void)alarm(60);
        pin(0);
        COMPETE("fork", "1000 arrays held, pinned to core 0", "us", ROUNDS, { "skep", fork_with_arrays, NULL }, { "plain fork", fork_time, NULL });
        MUST(skep_hive_create(NULL, &hive));
        COMPETE("attach", "hive of the default size, pinned to core 0", "us", ROUNDS, { "skep", skep_attach, hive }, { "bare mmap", bare_map, hive });
        skep_hive_detach(hive);
        return 0;
}
