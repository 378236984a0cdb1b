/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holders.c - something to look at with `skep ls NAME`: a door that one process holds and another waits for, a bell that has
 * rung, a start that nobody will make, what somebody held when he died, and a block of shared memory, NAME-block.  Stays until it is killed.
 *
 *      holders NAME
 */
#include <signal.h>
#include <skep/skep.h>
#include <stdio.h>
#include <unistd.h>

#define TRY(call) do { int r_ = (call); if (r_ < 0) { fprintf(stderr, "%s: %s\n", #call, skep_strerror(r_)); return 1; } } while (0)

static skep_lock *door, *grave;

static int wait_at_the_door(skep_hive *hive, const void *argument, size_t bytes)
{
        (void)hive, (void)argument, (void)bytes;
        TRY(skep_lock_acquire(door, skep_forever()));
        return 0;
}

static int die_with_the_lock(skep_hive *hive, const void *argument, size_t bytes)
{
        (void)hive, (void)argument, (void)bytes;
        TRY(skep_lock_acquire(grave, skep_forever()));
        return raise(SIGKILL);
}

int main(int argc, char **argv)
{
        skep_hive *hive;
        skep_event *bell;
        skep_barrier *start;
        skep_process *process;
        skep_shared_memory *block;
        char block_name[128];

        if (argc != 2)
                return fprintf(stderr, "usage: holders NAME\n"), 2;
        TRY(skep_hive_create(SKEP_HIVE_OPTIONS(.name = argv[1]), &hive));
        TRY(skep_lock_create(hive, "door", &door));
        TRY(skep_lock_create(hive, "grave", &grave));
        TRY(skep_event_create(hive, "bell", &bell));
        TRY(skep_barrier_create(hive, "start", 3, &start));
        TRY(skep_event_set(bell));
        snprintf(block_name, sizeof block_name, "%s-block", argv[1]);
        TRY(skep_shared_memory_create(hive, SKEP_SHARED_MEMORY_OPTIONS(.name = block_name, .bytes = 4096), &block));
        TRY(skep_barrier_abort(start));
        TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .function = die_with_the_lock), &process));
        TRY(skep_process_join(process, skep_forever()));
        skep_process_unref(process);
        TRY(skep_lock_acquire(grave, skep_forever())); /* SKEP_OWNER_DIED */
        TRY(skep_lock_acquire(door, skep_forever()));
        TRY(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .function = wait_at_the_door, .flags = SKEP_PROCESS_DIE_WITH_PARENT), &process));
        for (;;)
                (void)pause();
}
