/* SPDX-License-Identifier: Apache-2.0 */
/* objects_test.c - locks, semaphores, conditions, events, barriers, once, values and inspection, through libskep.so. */
#include "support/suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <skep/skep.h>

static skep_hive *hive;

static void set_up(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 16u << 20), &hive), 0);
}

static void tear_down(void)
{
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_msg(stat.blocks == 0, "%llu blocks leak", (unsigned long long)stat.blocks);
        hive = skep_hive_detach(hive);
}

#define OK(call) ck_assert_int_eq((call), 0)

/* By name and by reference the same, not as another kind, stale afterwards: the same for every noun. */
#define FOUND_LIKE_ALL_OBJECTS(noun, create) \
        do { \
                skep_##noun *made, *again; \
                skep_queue *queue; \
                const char *name = #noun; \
                OK(create); \
                ck_assert_int_eq(skep_queue_open(hive, name, &queue), -EPROTOTYPE); \
                OK(skep_##noun##_open(hive, name, &again)); \
                ck_assert_ptr_null(skep_##noun##_unref(again)); \
                skep_block reference = skep_##noun##_reference(made); \
                OK(skep_##noun##_attach(hive, reference, &again)); \
                ck_assert_uint_eq(skep_##noun##_reference(again).offset, reference.offset); \
                skep_##noun##_unref(again); \
                skep_##noun##_unref(made); \
                OK(skep_hive_forget(hive, name)); \
                ck_assert_int_eq(skep_##noun##_open(hive, name, &again), -ENOENT); \
                ck_assert_int_eq(skep_##noun##_attach(hive, reference, &again), -ESTALE); \
                OK(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = name), &queue)); \
                ck_assert_int_eq(skep_##noun##_open(hive, name, &again), -EPROTOTYPE); \
                ck_assert_int_eq(skep_##noun##_attach(hive, skep_queue_reference(queue), &again), -EPROTOTYPE); \
                skep_queue_unref(queue); \
                OK(skep_hive_forget(hive, name)); \
                ck_assert_ptr_null(skep_##noun##_unref(NULL)); \
        } while (0)

START_TEST(every_object_is_found_by_name_and_by_reference)
{
        FOUND_LIKE_ALL_OBJECTS(lock, skep_lock_create(hive, name, &made));
        FOUND_LIKE_ALL_OBJECTS(rlock, skep_rlock_create(hive, name, &made));
        FOUND_LIKE_ALL_OBJECTS(semaphore, skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.name = name), &made));
        FOUND_LIKE_ALL_OBJECTS(condition, skep_condition_create(hive, SKEP_CONDITION_OPTIONS(.name = name), &made));
        FOUND_LIKE_ALL_OBJECTS(event, skep_event_create(hive, name, &made));
        FOUND_LIKE_ALL_OBJECTS(barrier, skep_barrier_create(hive, name, 2, &made));
        FOUND_LIKE_ALL_OBJECTS(once, skep_once_create(hive, name, &made));
        FOUND_LIKE_ALL_OBJECTS(rwlock, skep_rwlock_create(hive, name, &made));
        FOUND_LIKE_ALL_OBJECTS(value, skep_value_create(hive, SKEP_VALUE_OPTIONS(.name = name, .element = SKEP_ELEMENT_F64), &made));
}
END_TEST

START_TEST(an_rlock_counts_and_belongs_to_its_owner)
{
        skep_rlock *rlock;
        OK(skep_rlock_create(hive, NULL, &rlock));
        ck_assert_int_eq(skep_rlock_release(rlock), -EPERM);
        for (uint32_t depth = 1; depth <= 3; depth++) {
                OK(skep_rlock_acquire(rlock, skep_nowait()));
                ck_assert_uint_eq(skep_rlock_depth(rlock), depth);
        }
        ck_assert_int_eq(skep_rlock_owner(rlock), getpid());
        ck_assert_int_eq(skep_rlock_is_held(rlock), 1);
        for (int i = 0; i < 3; i++)
                OK(skep_rlock_release(rlock));
        ck_assert_int_eq(skep_rlock_is_held(rlock), 0);
        ck_assert_int_eq(skep_rlock_owner_died(rlock), 0);
        skep_rlock_clear_owner_died(rlock);
        skep_rlock_unref(rlock);

        skep_lock *lock;
        OK(skep_lock_create(hive, NULL, &lock));
        OK(skep_lock_acquire(lock, skep_nowait()));
        ck_assert_int_eq(skep_lock_is_held(lock), 1);
        ck_assert_int_eq(skep_lock_is_mine(lock), 1);
        ck_assert_int_eq(skep_lock_owner(lock), getpid());
        ck_assert_int_eq(skep_lock_owner_died(lock), 0);
        skep_lock_clear_owner_died(lock);
        OK(skep_lock_release(lock));
        skep_lock_unref(lock);
}
END_TEST

START_TEST(a_semaphore_counts_to_its_bound)
{
        skep_semaphore *semaphore;
        ck_assert_int_eq(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.value = 3, .max = 2), &semaphore), -EINVAL);
        ck_assert_int_eq(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.flags = SKEP_SEMAPHORE_TRACKING), &semaphore), -EINVAL);
        ck_assert_int_eq(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.flags = 2), &semaphore), -EINVAL);
        for (uint32_t flags = 0; flags <= SKEP_SEMAPHORE_TRACKING; flags++) {
                OK(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.value = 2, .max = 2, .flags = flags), &semaphore));
                OK(skep_semaphore_acquire(semaphore, skep_nowait()));
                OK(skep_semaphore_acquire(semaphore, skep_forever()));
                ck_assert_uint_eq(skep_semaphore_value(semaphore), 0);
                ck_assert_int_eq(skep_semaphore_acquire(semaphore, skep_within_ns(1000000)), -ETIMEDOUT);
                ck_assert_int_eq(skep_semaphore_release(semaphore, 0), -EINVAL);
                OK(skep_semaphore_release(semaphore, 2));
                ck_assert_uint_eq(skep_semaphore_value(semaphore), 2);
                ck_assert_int_eq(skep_semaphore_release(semaphore, 1), flags ? -EPERM : -EOVERFLOW);
                skep_semaphore_unref(semaphore);
        }
}
END_TEST

START_TEST(a_condition_wants_its_lock_held)
{
        skep_condition *condition;
        skep_lock *lock;
        skep_rlock *rlock;
        OK(skep_lock_create(hive, NULL, &lock));
        OK(skep_rlock_create(hive, NULL, &rlock));
        ck_assert_int_eq(skep_condition_create(hive, SKEP_CONDITION_OPTIONS(.lock = lock, .rlock = rlock), &condition), -EINVAL);
        for (int i = 0; i < 3; i++) {
                OK(skep_condition_create(hive, SKEP_CONDITION_OPTIONS(.lock = i == 1 ? lock : NULL, .rlock = i == 2 ? rlock : NULL), &condition));
                ck_assert_int_eq(skep_condition_wait(condition, skep_nowait()), -EPERM);
                ck_assert_int_eq(skep_condition_notify(condition, 1), -EPERM);
                ck_assert_int_eq(skep_condition_notify_all(condition), -EPERM);
                OK(skep_condition_acquire(condition, skep_nowait()));
                OK(skep_condition_notify(condition, 1));
                OK(skep_condition_notify_all(condition));
                ck_assert_int_eq(skep_condition_wait(condition, skep_within_ns(1000000)), -ETIMEDOUT);
                OK(skep_condition_release(condition));
                ck_assert_int_eq(skep_condition_release(condition), -EPERM);
                skep_condition_unref(condition);
        }
        skep_lock_unref(lock);
        skep_rlock_unref(rlock);
}
END_TEST

START_TEST(an_event_stays_set_until_it_is_cleared)
{
        skep_event *event;
        OK(skep_event_create(hive, NULL, &event));
        ck_assert_int_eq(skep_event_wait(event, skep_within_ns(1000000)), -ETIMEDOUT);
        OK(skep_event_set(event));
        ck_assert_int_eq(skep_event_is_set(event), 1);
        OK(skep_event_wait(event, skep_nowait()));
        OK(skep_event_clear(event));
        ck_assert_int_eq(skep_event_is_set(event), 0);
        skep_event_unref(event);
}
END_TEST

static int runs;

static int run_and_fail_once(void *context)
{
        return runs++ ? 0 : *(int *)context;
}

START_TEST(a_barrier_of_one_and_a_once)
{
        skep_barrier *barrier;
        uint32_t index = 9;
        int failure = -EIO;
        ck_assert_int_eq(skep_barrier_create(hive, NULL, 0, &barrier), -EINVAL);
        OK(skep_barrier_create(hive, NULL, 1, &barrier));
        ck_assert_uint_eq(skep_barrier_parties(barrier), 1);
        OK(skep_barrier_wait(barrier, NULL, NULL, skep_forever(), &index));
        ck_assert_uint_eq(index, 0);
        runs = 0;
        ck_assert_int_eq(skep_barrier_wait(barrier, run_and_fail_once, &failure, skep_forever(), NULL), -EIO);
        ck_assert_int_eq(skep_barrier_is_broken(barrier), 1);
        ck_assert_int_eq(skep_barrier_wait(barrier, NULL, NULL, skep_forever(), NULL), -EPIPE);
        OK(skep_barrier_reset(barrier));
        OK(skep_barrier_wait(barrier, NULL, NULL, skep_forever(), NULL));
        OK(skep_barrier_abort(barrier));
        ck_assert_uint_eq(skep_barrier_waiting(barrier), 0);
        skep_barrier_unref(barrier);

        skep_once *once;
        OK(skep_once_create(hive, NULL, &once));
        runs = 0;
        ck_assert_int_eq(skep_once_run(once, run_and_fail_once, &failure, skep_forever()), -EIO);
        ck_assert_int_eq(skep_once_is_done(once), 0);
        OK(skep_once_run(once, run_and_fail_once, &failure, skep_forever()));
        OK(skep_once_run(once, run_and_fail_once, &failure, skep_forever()));
        ck_assert_int_eq(runs, 2);
        ck_assert_int_eq(skep_once_is_done(once), 1);
        skep_once_unref(once);
}
END_TEST

START_TEST(a_rwlock_is_held_once_by_a_thread)
{
        skep_rwlock *rwlock;
        OK(skep_rwlock_create(hive, NULL, &rwlock));
        ck_assert_int_eq(skep_rwlock_release(rwlock), -EPERM);
        OK(skep_rwlock_acquire_read(rwlock, skep_nowait()));
        ck_assert_int_eq(skep_rwlock_acquire_read(rwlock, skep_nowait()), -EDEADLK);
        ck_assert_int_eq(skep_rwlock_acquire_write(rwlock, skep_nowait()), -EDEADLK);
        OK(skep_rwlock_release(rwlock));
        OK(skep_rwlock_acquire_write(rwlock, skep_nowait()));
        ck_assert_int_eq(skep_rwlock_writer(rwlock), getpid());
        OK(skep_rwlock_release(rwlock));
        skep_rwlock_unref(rwlock);
}
END_TEST

START_TEST(values_through_every_function)
{
        skep_value *value;
        int64_t before, expected = 5;
        double real, wanted = 1;
        OK(skep_value_create(hive, SKEP_VALUE_OPTIONS(.element = SKEP_ELEMENT_I32, .count = 2, .flags = SKEP_VALUE_LOCK), &value));
        ck_assert_uint_eq(skep_value_element(value), SKEP_ELEMENT_I32);
        ck_assert_uint_eq(skep_value_count(value), 2);
        ck_assert_uint_eq(skep_value_item_bytes(value), 4);
        OK(skep_value_acquire(value, skep_nowait()));
        OK(skep_value_release(value));
        OK(skep_value_store_i64(value, 0, 5));
        OK(skep_value_fetch_add_i64(value, 0, 1, &before));
        OK(skep_value_fetch_sub_i64(value, 0, 1, &before));
        OK(skep_value_fetch_and_i64(value, 0, 7, NULL));
        OK(skep_value_fetch_or_i64(value, 0, 0, NULL));
        OK(skep_value_fetch_xor_i64(value, 0, 0, NULL));
        OK(skep_value_compare_exchange_i64(value, 0, &expected, 9));
        OK(skep_value_exchange_i64(value, 0, 4, &before));
        ck_assert_int_eq(before, 9);
        OK(skep_value_load_i64(value, 0, &before));
        ck_assert_int_eq(before, 4);
        ck_assert_int_eq(*(int32_t *)skep_value_data(value), 4);
        ck_assert_int_eq(skep_value_wait(value, 0, &(int32_t){4}, skep_within_ns(1000000)), -ETIMEDOUT);
        OK(skep_value_changed(value));
        skep_value_unref(value);
        OK(skep_value_create(hive, SKEP_VALUE_OPTIONS(.element = SKEP_ELEMENT_F64), &value));
        OK(skep_value_store_f64(value, 0, 1));
        OK(skep_value_compare_exchange_f64(value, 0, &wanted, 2));
        OK(skep_value_fetch_add_f64(value, 0, 1, NULL));
        OK(skep_value_exchange_f64(value, 0, 0, &real));
        ck_assert_double_eq(real, 3);
        OK(skep_value_load_f64(value, 0, &real));
        skep_value_unref(value);
}
END_TEST

static int count_object(const struct skep_object_info *info, void *context)
{
        ck_assert_str_eq(info->kind, "lock");
        ck_assert_str_eq(info->name, "seen");
        ck_assert_int_eq(info->owner_pid, getpid());
        ++*(int *)context;
        return 0;
}

static int count_wait(const struct skep_wait_info *info, void *context)
{
        (void)info;
        ++*(int *)context;
        return 0;
}

static int interrupt(void *context)
{
        return ++*(int *)context == 2 ? -EINTR : 0;
}

START_TEST(who_looks_sees_who_holds_and_a_wait_can_be_interrupted)
{
        skep_lock *lock;
        int objects = 0, waits = 0, asked = 0;
        OK(skep_lock_create(hive, "seen", &lock));
        OK(skep_lock_acquire(lock, skep_nowait()));
        OK(skep_hive_objects(hive, count_object, &objects));
        ck_assert_int_eq(objects, 1);
        OK(skep_hive_waits(hive, count_wait, &waits));
        ck_assert_int_eq(waits, 0);
        skep_thread_on_interrupt(interrupt, &asked);
        ck_assert_int_eq(skep_lock_acquire(lock, skep_forever()), -EINTR);
        skep_thread_on_interrupt(NULL, NULL);
        ck_assert_int_eq(asked, 2);
        skep_lock_unref(lock);
        OK(skep_hive_forget(hive, "seen"));
        skep_process_exiting(); /* only says so */
}
END_TEST

START_TEST(memory_of_a_message_with_references_and_of_an_array_by_reference)
{
        skep_queue *queue;
        skep_block block;
        struct skep_loan loan;
        skep_array *array;
        OK(skep_queue_create(hive, NULL, &queue));
        OK(skep_block_alloc(hive, 64, SKEP_BLOCK_ZERO, &block));
        OK(skep_queue_reserve_with(queue, 8, &block, 1, &loan));
        OK(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, 8, skep_nowait()));
        OK(skep_block_unref(hive, block));
        OK(skep_array_attach(hive, block, SKEP_ELEMENT_U8, 0, 1, (const uint64_t[]){64}, NULL, &array));
        skep_queue_unref(queue);
        skep_array_unref(array);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("objects");
        TCase *all = tcase_create("objects");
        tcase_add_checked_fixture(all, set_up, tear_down);
        tcase_add_test(all, every_object_is_found_by_name_and_by_reference);
        tcase_add_test(all, an_rlock_counts_and_belongs_to_its_owner);
        tcase_add_test(all, a_semaphore_counts_to_its_bound);
        tcase_add_test(all, a_condition_wants_its_lock_held);
        tcase_add_test(all, an_event_stays_set_until_it_is_cleared);
        tcase_add_test(all, a_barrier_of_one_and_a_once);
        tcase_add_test(all, a_rwlock_is_held_once_by_a_thread);
        tcase_add_test(all, values_through_every_function);
        tcase_add_test(all, who_looks_sees_who_holds_and_a_wait_can_be_interrupted);
        tcase_add_test(all, memory_of_a_message_with_references_and_of_an_array_by_reference);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
