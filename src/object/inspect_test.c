/* SPDX-License-Identifier: Apache-2.0 */
/* inspect_test.c - what those who look on see: kinds, names, values, holders, waiters, and who waits for whom. */
#include "support/people.h"

static skep_hive *hive;

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
}

static void teardown(void)
{
        hive = skep_hive_detach(hive);
}

struct sight {
        skep_block wanted;
        struct skep_object_info info;
        uint32_t objects;
};

static int see(const struct skep_object_info *info, void *context)
{
        struct sight *sight = context;
        sight->objects++;
        if (info->reference.offset == sight->wanted.offset && info->reference.serial == sight->wanted.serial)
                sight->info = *info;
        return 0;
}

static struct skep_object_info look(skep_block reference)
{
        struct sight sight = {.wanted = reference};
        ck_assert_int_eq(skep_hive_objects(hive, see, &sight), 0);
        ck_assert_ptr_ne(sight.info.kind, NULL);
        return sight.info;
}

static int see_wait(const struct skep_wait_info *info, void *context)
{
        *(struct skep_wait_info *)context = *info;
        return 1;
}

START_TEST(a_held_lock_shows_its_holder_and_who_waits_for_how_long)
{
        skep_lock *lock;
        ck_assert_int_eq(skep_lock_create(hive, "door", &lock), 0);
        struct skep_object_info info = look(skep_lock_reference(lock));
        ck_assert_str_eq(info.kind, "lock");
        ck_assert_str_eq(info.name, "door");
        ck_assert_int_eq(info.owner_pid, 0);
        ck_assert_int_eq(skep_lock_acquire(lock, skep_nowait()), 0);
        info = look(skep_lock_reference(lock));
        ck_assert_int_eq(info.owner_pid, getpid());
        ck_assert_int_eq(info.owner_thread, gettid());
        ck_assert_uint_eq(info.waiters, 0);
        ck_assert_int_eq(info.held_ns, 0);
        pid_t child = branch();
        if (!child)
                _exit(skep_lock_acquire(lock, LONG) != 0 || skep_lock_release(lock) != 0);
        until_asleep(hive, "lock", 1);
        usleep(20000);
        info = look(skep_lock_reference(lock));
        ck_assert_uint_eq(info.waiters, 1);
        ck_assert_int_ge(info.held_ns, 20 * MS);
        struct skep_wait_info wait;
        ck_assert_int_eq(skep_hive_waits(hive, see_wait, &wait), 1);
        ck_assert_int_eq(wait.pid, child);
        ck_assert_int_eq(wait.thread, child);
        ck_assert_int_eq(wait.owner_pid, getpid());
        ck_assert_int_ge(wait.waited_ns, 20 * MS);
        ck_assert_str_eq(wait.kind, "lock");
        ck_assert_uint_eq(wait.object.offset, skep_lock_reference(lock).offset);
        ck_assert_int_eq(skep_lock_release(lock), 0);
        ck_assert_int_eq(ended(child), 0);
        info = look(skep_lock_reference(lock));
        ck_assert_int_eq(info.owner_pid, 0);
        ck_assert_uint_eq(info.waiters, 0);
        skep_lock_unref(lock);
}
END_TEST

START_TEST(a_death_and_a_break_are_shown)
{
        skep_rlock *rlock;
        skep_barrier *barrier;
        ck_assert_int_eq(skep_rlock_create(hive, NULL, &rlock), 0);
        ck_assert_int_eq(skep_barrier_create(hive, NULL, 2, &barrier), 0);
        pid_t child = branch();
        if (!child) {
                if (skep_rlock_acquire(rlock, skep_nowait()) == 0)
                        die();
                _exit(1);
        }
        ck_assert_int_eq(ended(child), -SIGKILL);
        ck_assert_int_eq(skep_rlock_acquire(rlock, skep_nowait()), SKEP_OWNER_DIED);
        ck_assert_int_eq(skep_rlock_acquire(rlock, skep_nowait()), 0);
        struct skep_object_info info = look(skep_rlock_reference(rlock));
        ck_assert_uint_eq(info.value, 2);
        ck_assert_uint_eq(info.flags, SKEP_OBJECT_OWNER_DIED);
        skep_rlock_clear_owner_died(rlock);
        ck_assert_uint_eq(look(skep_rlock_reference(rlock)).flags, 0);
        ck_assert_uint_eq(look(skep_barrier_reference(barrier)).flags, 0);
        ck_assert_int_eq(skep_barrier_abort(barrier), 0);
        ck_assert_uint_eq(look(skep_barrier_reference(barrier)).flags, SKEP_OBJECT_BROKEN);
        skep_rlock_unref(rlock);
        skep_barrier_unref(barrier);
}
END_TEST

static int done(void *context)
{
        (void)context;
        return 0;
}

START_TEST(each_kind_has_its_name_and_value)
{
        skep_semaphore *semaphore;
        skep_event *event;
        skep_once *once;
        skep_rwlock *rwlock;
        skep_condition *condition;
        skep_queue *queue;
        ck_assert_int_eq(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.value = 7), &semaphore), 0);
        ck_assert_int_eq(skep_event_create(hive, NULL, &event), 0);
        ck_assert_int_eq(skep_once_create(hive, NULL, &once), 0);
        ck_assert_int_eq(skep_rwlock_create(hive, NULL, &rwlock), 0);
        ck_assert_int_eq(skep_condition_create(hive, NULL, &condition), 0);
        ck_assert_int_eq(skep_queue_create(hive, NULL, &queue), 0);
        ck_assert_int_eq(skep_event_set(event), 0);
        ck_assert_int_eq(skep_once_run(once, done, NULL, skep_nowait()), 0);
        ck_assert_int_eq(skep_rwlock_acquire_read(rwlock, skep_nowait()), 0);
        ck_assert_int_eq(skep_queue_put(queue, "x", 1, skep_nowait()), 0);
        const struct {
                skep_block reference;
                const char *kind;
                uint64_t value;
        } all[] = {
                {skep_semaphore_reference(semaphore), "semaphore", 7}, {skep_event_reference(event), "event", 1},
                {skep_once_reference(once), "once", 1},                {skep_rwlock_reference(rwlock), "rwlock", 1},
                {skep_condition_reference(condition), "condition", 0}, {skep_queue_reference(queue), "queue", 1},
        };
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
                struct skep_object_info info = look(all[i].reference);
                ck_assert_str_eq(info.kind, all[i].kind);
                ck_assert_uint_eq(info.value, all[i].value);
        }
        struct sight sight = {0};
        ck_assert_int_eq(skep_hive_objects(hive, see, &sight), 0);
        ck_assert_uint_eq(sight.objects, 7); /* the condition's own lock too */
        skep_rwlock_release(rwlock);
        skep_semaphore_unref(semaphore);
        skep_event_unref(event);
        skep_once_unref(once);
        skep_rwlock_unref(rwlock);
        skep_condition_unref(condition);
        skep_queue_unref(queue);
        sight = (struct sight){0};
        ck_assert_int_eq(skep_hive_objects(hive, see, &sight), 0);
        ck_assert_uint_eq(sight.objects, 0);
}
END_TEST

int main(void)
{
        return RUN_TESTS("inspect", setup, teardown, a_held_lock_shows_its_holder_and_who_waits_for_how_long, a_death_and_a_break_are_shown,
                         each_kind_has_its_name_and_value);
}
