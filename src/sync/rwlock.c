/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rwlock.c - many readers or one writer: a word per reading agent, and the writer's lock.
 *
 * A reader enters by writing its name into its own word, then looks whether there is a writer; a writer takes its lock, then
 * looks at every reader's word.  Both are sequentially consistent, so at least one of the two sees the other.  Readers touch
 * no word in common, and a writer that waits is not overtaken: writers first.
 *
 *   reader[i]    left by                                                    to
 *   0            agent i, store                                             its id
 *   its id       agent i: a writer is there, or it has done                 0, then wakes the writer
 *                a writer, after proof that the agent has gone              0
 *   writer       as sync/lock.c
 *
 * CRASH.  a reader dies         its word names a gone agent      the writer that waits for it clears the word
 *         a writer dies         sync/lock.c                      the next writer, or reader, takes the lock over: OWNER_DIED.
 *                                                                The reader marks it, lets go of it and tries again.
 * SOURCE. The distributed reader-writer lock of Hsieh and Weihl (1992), known as brlock.
 */
#include "sync/rwlock.h"

#include "base/probe.h"
#include "sync/wait.h"

#include <errno.h>
#include <skep/error.h>

static void reader_leaves(struct shm_rwlock *lock, uint32_t *word)
{
        (void)skep_exchange32(word, 0);
        PROBE("rwlock.reader_left");
        event_notify(&lock->leaving, 1);
}

int rwlock_read(struct skep_agent *agent, struct shm_rwlock *lock, skep_deadline deadline)
{
        uint32_t *word = &lock->reader[agent->index];
        if (agent->index >= lock->reader_max)
                return -EUSERS;
        if (skep_load32(word) == agent->id || lock_owner(&lock->writer.word) == agent->id)
                return -EDEADLK;
        (void)skep_exchange32(word, agent->id);
        PROBE("rwlock.reader_came");
        if (!lock_owner(&lock->writer.word))
                return 0;
        reader_leaves(lock, word);
        int result = user_lock_acquire(agent, &lock->writer, deadline); /* in line with the writers */
        if (result < 0)
                return result;
        (void)skep_exchange32(word, agent->id); /* nobody writes while we hold the writers' lock */
        PROBE("rwlock.reader_came");
        (void)lock_release(agent, &lock->writer.word);
        return result;
}

/* The first reader there is, other than those who have gone; they are removed. @return its agent id, 0 none */
static uint32_t reader_find(struct skep_agent *agent, struct shm_rwlock *lock)
{
        uint32_t high = agent_high(agent->hive);
        for (uint32_t i = 1; i <= high && i < lock->reader_max; i++) {
                uint32_t seen = skep_load32(&lock->reader[i]);
                if (!seen)
                        continue;
                if (!agent_is_gone(agent->hive, seen))
                        return seen;
                (void)skep_cas32(&lock->reader[i], &seen, 0);
                PROBE("rwlock.reader_gone");
        }
        return 0;
}

int rwlock_write(struct skep_agent *agent, struct shm_rwlock *lock, skep_deadline deadline)
{
        if (agent->index >= lock->reader_max)
                return -EUSERS;
        if (lock_owner(&lock->writer.word) == agent->id || skep_load32(&lock->reader[agent->index]) == agent->id)
                return -EDEADLK;
        int news = user_lock_acquire(agent, &lock->writer, deadline), result = 0;
        if (news < 0)
                return news;
        uint32_t reader = reader_find(agent, lock);
        if (!reader)
                return news;
        wait_begins(agent, lock, reader);
        for (;;) {
                uint32_t key = event_prepare(&lock->leaving);
                if (!(reader = reader_find(agent, lock)) || result < 0)
                        break;
                wait_owner(agent, reader);
                result = wait_slice(&lock->leaving, key, deadline);
                if (wait_interrupted(result))
                        break;
        }
        wait_ends(agent);
        if (!reader)
                return news;
        (void)lock_release(agent, &lock->writer.word);
        return result;
}

int rwlock_release(struct skep_agent *agent, struct shm_rwlock *lock)
{
        if (lock_owner(&lock->writer.word) == agent->id)
                return lock_release(agent, &lock->writer.word);
        if (agent->index >= lock->reader_max || skep_load32(&lock->reader[agent->index]) != agent->id)
                return -EPERM;
        reader_leaves(lock, &lock->reader[agent->index]);
        return 0;
}
