/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c - lock and unlock when nobody else wants it, beside the C library's mutex that is shared and robust.
 */
#include "bench.h"

#include <pthread.h>

#define ROUNDS 9
#define COUNT 3000000

static double skep_pairs(void *context)
{
        skep_lock *lock = context;
        int64_t start_ns = now_ns();

        for (int i = 0; i < COUNT; i++) {
                MUST(skep_lock_acquire(lock, skep_forever()));
                MUST(skep_lock_release(lock));
        }
        return (double)(now_ns() - start_ns) / COUNT;
}

static double mutex_pairs(void *context)
{
        pthread_mutex_t *mutex = context;
        int64_t start_ns = now_ns();

        for (int i = 0; i < COUNT; i++) {
                must(-pthread_mutex_lock(mutex), "pthread_mutex_lock");
                must(-pthread_mutex_unlock(mutex), "pthread_mutex_unlock");
        }
        return (double)(now_ns() - start_ns) / COUNT;
}

static pthread_mutex_t *mutex_new(void)
{
        pthread_mutex_t *mutex = shared_memory(sizeof(*mutex));
        pthread_mutexattr_t attributes;

        (void)pthread_mutexattr_init(&attributes);
        (void)pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        (void)pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        must(-pthread_mutex_init(mutex, &attributes), "pthread_mutex_init");
        return mutex;
}

int main(void)
{
        skep_hive *hive;
        skep_lock *lock;

        (void)alarm(60);
        MUST(skep_hive_create(NULL, &hive));
        MUST(skep_lock_create(hive, NULL, &lock));
        pin(0);
        COMPETE("lock + unlock uncontended", "pinned to core 0", "ns", ROUNDS, { "skep", skep_pairs, lock },
                { "robust shared pthread mutex", mutex_pairs, mutex_new() });
        skep_lock_unref(lock);
        skep_hive_detach(hive);
        return 0;
}
