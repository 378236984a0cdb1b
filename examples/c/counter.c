/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counter.c - ten processes add 1 twenty times each, in four ways; ten rounds of each.
 *
 *      counter [fork|spawn]
 *
 * Reading, adding and writing back without a lock loses some, as everywhere; how many is luck, and goes to stderr.
 */
#include <skep/skep.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return 1; } } while (0)

enum { PROCESSES = 10, ADDITIONS = 20, ROUNDS = 10, WAYS = 4 };
static const char *const ways[WAYS] = { "no lock", "a lock", "the value's lock", "atomic" };

/* Read, sleep a little, write back: what `v.value += 1` is. */
static void add_one(skep_value *value)
{
        volatile int64_t *number = skep_value_data(value);
        int64_t read = *number;

        (void)usleep(50);
        *number = read + 1;
}

static int add(skep_hive *hive, const void *argument, size_t bytes)
{
        skep_value *value;
        skep_lock *lock;
        int way;

        (void)bytes;
        memcpy(&way, argument, sizeof(way));
        TRY(skep_value_open(hive, "counter", &value));
        TRY(skep_lock_open(hive, "lock", &lock));
        for (int i = 0; i < ADDITIONS; i++) {
                if (way == 0) {
                        add_one(value);
                } else if (way == 1) {
                        TRY(skep_lock_acquire(lock, skep_forever()));
                        add_one(value);
                        TRY(skep_lock_release(lock));
                } else if (way == 2) {
                        TRY(skep_value_acquire(value, skep_forever()));
                        add_one(value);
                        TRY(skep_value_release(value));
                } else {
                        TRY(skep_value_fetch_add_i64(value, 0, 1, NULL));
                        (void)usleep(50);
                }
        }
        skep_lock_unref(lock);
        skep_value_unref(value);
        return 0;
}

static int play_round(skep_hive *hive, skep_value *value, int way, uint32_t start, int64_t *ret_sum)
{
        skep_process *processes[PROCESSES];
        int failed = 0;

        TRY(skep_value_store_i64(value, 0, 0));
        for (int i = 0; i < PROCESSES; i++)
                TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = start, .function = add, .function_name = "add", .argument = &way,
                                                            .argument_bytes = sizeof(way)), &processes[i]));
        for (int i = 0; i < PROCESSES; i++) {
                TRY(skep_process_join(processes[i], skep_forever()));
                failed |= skep_process_exit_code(processes[i]);
                skep_process_unref(processes[i]);
        }
        TRY(skep_value_load_i64(value, 0, ret_sum));
        return failed;
}

int main(int argc, char **argv)
{
        uint32_t start = argc > 1 && !strcmp(argv[1], "fork") ? SKEP_START_FORK : SKEP_START_SPAWN;
        skep_hive *hive;
        skep_value *value;
        skep_lock *lock;
        int failed = 0;

        skep_process_register("add", add);
        skep_process_main();

        TRY(skep_hive_create(NULL, &hive));
        TRY(skep_value_create(hive, SKEP_VALUE_OPTIONS(.name = "counter", .element = SKEP_ELEMENT_I64, .flags = SKEP_VALUE_LOCK), &value));
        TRY(skep_lock_create(hive, "lock", &lock));
        for (int way = 0; way < WAYS && !failed; way++) {
                int exact = 0, more = 0;

                for (int round = 0; round < ROUNDS && !failed; round++) {
                        int64_t sum = 0;

                        failed = play_round(hive, value, way, start, &sum);
                        exact += sum == PROCESSES * ADDITIONS;
                        more += sum > PROCESSES * ADDITIONS;
                }
                if (way == 0)
                        fprintf(stderr, "%s: %d of %d rounds came to %d\n", ways[way], exact, ROUNDS, PROCESSES * ADDITIONS);
                printf("%s: %d rounds above %d", ways[way], more, PROCESSES * ADDITIONS);
                if (way > 0)
                        printf(", %d exact", exact);
                printf("\n");
        }
        skep_lock_unref(lock);
        skep_value_unref(value);
        skep_hive_detach(hive);
        return failed;
}
