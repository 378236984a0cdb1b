/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value.c - adding one to a shared value, beside the bare atomic instruction on the same memory.
 */
#include "bench.h"

#define ROUNDS 9
#define COUNT 5000000

static double skep_adds(void *context)
{
        skep_value *value = context;
        int64_t start_ns = now_ns();

        for (int i = 0; i < COUNT; i++)
                MUST(skep_value_fetch_add_i64(value, 0, 1, NULL));
        return (double)(now_ns() - start_ns) / COUNT;
}

static double bare_adds(void *context)
{
        int64_t *word = skep_value_data(context), start_ns = now_ns();

        for (int i = 0; i < COUNT; i++)
                (void)__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
        return (double)(now_ns() - start_ns) / COUNT;
}

int main(void)
{
        skep_hive *hive;
        skep_value *value;

        (void)alarm(60);
        MUST(skep_hive_create(NULL, &hive));
        MUST(skep_value_create(hive, SKEP_VALUE_OPTIONS(.element = SKEP_ELEMENT_I64), &value));
        pin(0);
        COMPETE("fetch_add", "pinned to core 0", "ns", ROUNDS, { "skep", skep_adds, value }, { "bare atomic", bare_adds, value });
        skep_value_unref(value);
        skep_hive_detach(hive);
        return 0;
}
