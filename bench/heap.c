/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.c - alloc and free of a warm block, beside malloc of the C library, which shares with nobody and survives nothing.
 */
#include "bench.h"

#define ROUNDS 9

static skep_hive *hive;

struct work {
        uint64_t bytes;
        uint64_t count;
};

static double skep_pairs(void *context)
{
        struct work *work = context;
        int64_t start_ns = now_ns();
        skep_block block;

        for (uint64_t i = 0; i < work->count; i++) {
                MUST(skep_block_alloc(hive, work->bytes, 0, &block));
                MUST(skep_block_unref(hive, block));
        }
        return (double)(now_ns() - start_ns) / (double)work->count;
}

static double malloc_pairs(void *context)
{
        struct work *work = context;
        int64_t start_ns = now_ns();

        for (uint64_t i = 0; i < work->count; i++) {
                void *memory = malloc(work->bytes);

                __asm__ volatile("" ::"r"(memory) : "memory"); /* or the pair is optimised away */
                free(memory);
        }
        return (double)(now_ns() - start_ns) / (double)work->count;
}

static void at(uint64_t bytes, const char *parameters)
{
        struct work work = { bytes, 500000 };

        COMPETE("alloc + free", parameters, "ns", ROUNDS, { "skep", skep_pairs, &work }, { "malloc", malloc_pairs, &work });
}

int main(void)
{
        (void)alarm(60);
        MUST(skep_hive_create(NULL, &hive));
        pin(0);
        at(256, "256 B, warm, pinned to core 0");
        at(4 << 10, "4 KiB, warm, pinned to core 0");
        at(1 << 20, "1 MiB, warm, pinned to core 0");
        skep_hive_detach(hive);
        return 0;
}
