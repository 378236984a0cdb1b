/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_test.c - what a user of libskep.so sees: every public function through the shared library, and how it answers bad use.
 *
 * tools/symbols.py compares what the programs of this folder call with src/libskep.sym: a function that is called here by
 * nobody makes the test `symbols` fail.
 */
#include "support/suite.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <skep/skep.h>

#define SECOND INT64_C(1000000000)

static skep_hive *hive;
static char hive_name[SKEP_NAME_MAX + 1];

static void set_up(void)
{
        signal(SIGTERM, SIG_DFL); /* Check's handler would end us with our children */
        snprintf(hive_name, sizeof hive_name, "api-test-%d", getpid());
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.name = hive_name, .capacity_bytes = 16u << 20, .member_max = 8), &hive), 0);
}

static void tear_down(void)
{
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0); /* children that ended without leaving */
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_msg(stat.blocks == 0, "%llu blocks leak", (unsigned long long)stat.blocks);
        hive = skep_hive_detach(hive);
        ck_assert_ptr_null(hive);
}

/* @return the child's exit code */
static int in_child(int (*run)(void))
{
        int status;
        pid_t child = fork();
        if (child == 0)
                _exit(run());
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
        return WEXITSTATUS(status);
}

/* --- error, deadline ------------------------------------------------------------------------------------------------------------- */

START_TEST(every_result_has_a_name_and_a_sentence)
{
        static const int results[] = {
                0,           -EINVAL, -ENOSPC,    -ENOMEM,  -EUSERS,    -EPROTO,    -EPROTOTYPE, -ENOENT,  -ENAMETOOLONG, -EPERM,  -EOWNERDEAD,
                -ENOTSUP,    -ETIMEDOUT, -ESHUTDOWN, -EMSGSIZE, -EBADMSG, -ESTALE,  -EOVERFLOW,  -EEXIST,  -E2BIG,        -EDEADLK, -EBUSY,
        };
        for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
                const char *text = skep_strerror(results[i]), *name = skep_error_name(results[i]);
                ck_assert_msg(text && *text && text[strlen(text) - 1] != '.', "%d: '%s'", results[i], text);
                ck_assert_msg(strcmp(name, "E?") != 0, "%d has no name", results[i]);
                for (size_t j = 0; j < i; j++)
                        ck_assert_str_ne(text, skep_strerror(results[j]));
        }
        ck_assert_str_eq(skep_error_name(-ENOSPC), "ENOSPC");
        ck_assert_str_eq(skep_error_name(-99999), "E?");
        ck_assert_ptr_nonnull(skep_strerror(-99999));
        ck_assert_ptr_nonnull(skep_strerror(SKEP_OWNER_DIED));
}
END_TEST

START_TEST(a_deadline_saturates_and_does_not_block_at_zero)
{
        ck_assert_int_eq(skep_within_ns(INT64_MAX).monotonic_ns, INT64_MAX);
        ck_assert_int_eq(skep_within_ns(0).monotonic_ns, skep_nowait().monotonic_ns);
        ck_assert_int_eq(skep_within_ns(INT64_MIN).monotonic_ns, skep_nowait().monotonic_ns);
        int64_t now = skep_within_ns(1).monotonic_ns, later = skep_within_ns(SECOND).monotonic_ns;
        ck_assert_int_ge(later - now, SECOND - 1);
        ck_assert_int_eq(skep_forever().monotonic_ns, INT64_MAX);
}
END_TEST

/* --- hive, block ----------------------------------------------------------------------------------------------------------------- */

static int find_entry(const struct skep_hive_entry *entry, void *context)
{
        return strcmp(entry->name, hive_name) ? 0 : (*(struct skep_hive_entry *)context = *entry, 7);
}

START_TEST(a_named_hive_is_listed_opened_and_unlinked)
{
        struct skep_hive_entry entry;
        struct skep_reap_report reaped;
        struct skep_verify_report verified;
        skep_hive *again, *third;
        ck_assert_int_eq(skep_hive_list(find_entry, &entry), 7);
        ck_assert_uint_eq(entry.members, 1);
        ck_assert_uint_eq(entry.capacity_bytes, 16u << 20);
        ck_assert_int_eq(entry.state, 0);
        ck_assert_int_eq(skep_hive_open(hive_name, &again), 0);
        ck_assert_int_eq(skep_hive_attach(skep_hive_fd(hive), &third), 0);
        ck_assert_uint_ne(skep_hive_member(hive), skep_hive_member(again));
        ck_assert_uint_ne(skep_hive_member(third), skep_hive_member(again));
        ck_assert_int_eq(skep_hive_reap(again, &reaped), 0);
        ck_assert_uint_eq(reaped.members, 0);
        ck_assert_int_eq(skep_hive_verify(again, &verified), 0);
        ck_assert_uint_gt(verified.checked, 0);
        ck_assert_int_eq(skep_hive_unlink(hive_name), 0);
        ck_assert_int_eq(skep_hive_unlink(hive_name), -ENOENT);
        ck_assert_int_eq(skep_hive_list(find_entry, &entry), 0);
        skep_hive_detach(third);
        skep_hive_detach(again);
}
END_TEST

START_TEST(a_block_is_written_here_and_read_there)
{
        skep_block block;
        skep_hive *again;
        uint64_t bytes;
        ck_assert_int_eq(skep_block_alloc(hive, 3000, SKEP_BLOCK_ZERO, &block), 0);
        char *here = skep_block_address(hive, block, &bytes);
        ck_assert_uint_ge(bytes, 3000);
        ck_assert_uint_eq((uintptr_t)here % 64, 0);
        ck_assert_int_eq(here[2999], 0);
        here[2999] = 'x';
        ck_assert_int_eq(skep_hive_open(hive_name, &again), 0);
        ck_assert_ptr_null(skep_block_address(again, block, NULL)); /* another member: claims nothing yet */
        ck_assert_int_eq(skep_block_unref(again, block), -EINVAL);
        ck_assert_int_eq(skep_block_ref(again, block), 0);
        ck_assert_int_eq(skep_block_unref(hive, block), 0);
        const char *there = skep_block_address(again, block, NULL);
        ck_assert_int_eq(there[2999], 'x');
        ck_assert_int_eq(skep_block_unref(again, block), 0);
        ck_assert_int_eq(skep_block_unref(again, block), -EINVAL);
        ck_assert_int_eq(skep_block_ref(hive, block), -ESTALE);
        skep_hive_detach(again);
}
END_TEST

START_TEST(what_a_member_left_behind_goes_with_it)
{
        struct skep_hive_stat stat;
        skep_hive *again;
        skep_block block;
        skep_queue *queue;
        ck_assert_int_eq(skep_hive_open(hive_name, &again), 0);
        ck_assert_int_eq(skep_block_alloc(again, 100, 0, &block), 0);
        ck_assert_int_eq(skep_queue_create(again, NULL, &queue), 0);
        skep_queue_unref(queue);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_eq(stat.members, 2);
        ck_assert_uint_eq(stat.blocks, 1);
        skep_hive_detach(again);
        ck_assert_int_eq(skep_block_ref(hive, block), -ESTALE);
}
END_TEST

START_TEST(sizes_that_are_zero_or_overflow_are_refused)
{
        skep_block block = {1, 1};
        skep_queue *queue;
        skep_array *array;
        struct skep_loan loan;
        ck_assert_int_eq(skep_block_alloc(hive, 0, 0, &block), -EINVAL);
        ck_assert_int_eq(skep_block_alloc(hive, 8, 2, &block), -EINVAL);
        ck_assert_int_eq(skep_block_alloc(hive, (uint64_t)INT64_MAX + 1, 0, &block), -EOVERFLOW);
        ck_assert_int_eq(skep_block_alloc(hive, INT64_MAX, 0, &block), -ENOSPC);
        ck_assert_uint_eq(block.offset, 1); /* written only on success */
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.capacity = UINT64_MAX), &queue), -EINVAL);
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.capacity = UINT32_MAX), &queue), -ENOSPC);
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.slot_bytes = 4097), &queue), -EINVAL);
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.flags = 4), &queue), -EINVAL);
        ck_assert_int_eq(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8, .flags = 2), &array), -EINVAL);
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.slot_bytes = 4096, .capacity = 1), &queue), 0);
        ck_assert_int_eq(skep_queue_put(queue, NULL, 1, skep_nowait()), -EINVAL);
        ck_assert_int_eq(skep_queue_reserve(queue, 0, &loan), -EINVAL);
        ck_assert_int_eq(skep_queue_reserve(queue, SIZE_MAX, &loan), -EOVERFLOW);
        ck_assert_int_eq(skep_queue_put_array(queue, NULL, skep_nowait()), -EINVAL);
        skep_queue_unref(queue);
}
END_TEST

/* --- array ----------------------------------------------------------------------------------------------------------------------- */

START_TEST(an_array_describes_itself)
{
        skep_array *array, *view;
        const uint64_t shape[] = {3, 4};
        ck_assert_int_eq(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_F32, .dimension_count = 2, .shape = shape), &array), 0);
        ck_assert_ptr_eq(skep_array_hive(array), hive);
        ck_assert_uint_eq(skep_array_element(array), SKEP_ELEMENT_F32);
        ck_assert_str_eq(skep_element_name(skep_array_element(array)), "float32");
        ck_assert_uint_eq(skep_element_bytes(SKEP_ELEMENT_F32), 4);
        ck_assert_uint_eq(skep_array_dimension_count(array), 2);
        ck_assert_mem_eq(skep_array_shape(array), shape, sizeof shape);
        ck_assert_int_eq(skep_array_strides(array)[0], 16);
        ck_assert_int_eq(skep_array_strides(array)[1], 4);
        ck_assert_uint_eq(skep_array_count(array), 12);
        ck_assert_uint_eq(skep_array_bytes(array), 48);
        ck_assert_int_eq(skep_array_is_contiguous(array), 1);
        ck_assert_uint_eq(skep_array_offset(array), 0);
        ck_assert_ptr_eq(skep_array_data(array), skep_block_address(hive, skep_array_block(array), NULL));
        ck_assert_int_eq(skep_array_view(array, SKEP_ELEMENT_F32, 4, 1, (const uint64_t[]){3}, (const int64_t[]){16}, &view), 0);
        ck_assert_uint_eq(skep_array_offset(view), 4);
        ck_assert_int_eq(skep_array_is_contiguous(view), 0);
        ck_assert_ptr_eq(skep_array_ref(array), array);
        ck_assert_ptr_null(skep_array_unref(array));
        ck_assert_float_eq(((float *)skep_array_data(array))[11], 0);
        skep_array_unref(array);
        skep_array_unref(view);
}
END_TEST

/* --- lock ------------------------------------------------------------------------------------------------------------------------ */

START_TEST(a_lock_is_made_found_taken_and_released)
{
        skep_lock *lock, *named, *other;
        ck_assert_int_eq(skep_lock_create(hive, "door", &lock), 0);
        ck_assert_int_eq(skep_lock_open(hive, "door", &named), 0);
        ck_assert_int_eq(skep_lock_attach(hive, skep_lock_reference(lock), &other), 0);
        ck_assert_int_eq(skep_lock_release(lock), -EPERM);
        ck_assert_int_eq(skep_lock_acquire(lock, skep_nowait()), 0);
        ck_assert_int_eq(skep_lock_owner(named), getpid());
        ck_assert_int_eq(skep_lock_acquire(other, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(skep_lock_release(named), 0);
        ck_assert_int_eq(skep_lock_owner(lock), 0);
        skep_lock_unref(other), skep_lock_unref(named), skep_lock_unref(lock);
        ck_assert_int_eq(skep_lock_open(hive, "none", &lock), -ENOENT);
        ck_assert_int_eq(skep_hive_forget(hive, "door"), 0);
}
END_TEST

/* --- queue ----------------------------------------------------------------------------------------------------------------------- */

static skep_queue *queue;

static int count_object(const struct skep_object_entry *entry, void *context)
{
        *(int *)context += !strcmp(entry->kind, "queue");
        return 0;
}

START_TEST(a_queue_is_made_found_and_looked_at)
{
        skep_queue *named, *other;
        int count = 0;
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "q", .capacity = 1), &queue), 0);
        ck_assert_int_eq(skep_hive_names(hive, count_object, &count), 0);
        ck_assert_int_eq(count, 1);
        ck_assert_int_eq(skep_queue_open(hive, "q", &named), 0);
        ck_assert_int_eq(skep_queue_attach(hive, skep_queue_reference(queue), &other), 0);
        ck_assert_ptr_eq(skep_queue_hive(other), hive);
        ck_assert_uint_eq(skep_queue_capacity(named), 1);
        ck_assert_int_eq(skep_queue_is_empty(named), 1);
        ck_assert_int_eq(skep_queue_put(queue, "hello", 5, skep_nowait()), 0);
        ck_assert_int_eq(skep_queue_is_full(other), 1);
        ck_assert_uint_eq(skep_queue_size(other), 1);
        struct pollfd poller = {.fd = skep_queue_fd(other), .events = POLLIN};
        ck_assert_int_eq(poll(&poller, 1, 5000), 1);
        ck_assert_int_eq(skep_queue_is_closed(named), 0);
        ck_assert_int_eq(skep_queue_close(queue), 0);
        ck_assert_int_eq(skep_queue_is_closed(named), 1);
        skep_queue_unref(other), skep_queue_unref(named);
        ck_assert_int_eq(skep_hive_forget(hive, "q"), 0);
        queue = skep_queue_unref(queue);
}
END_TEST

START_TEST(a_closed_queue_refuses_what_puts_and_gives_what_is_left)
{
        char buffer[8];
        size_t bytes, count;
        struct skep_loan loan;
        skep_array *array;
        struct skep_bytes message = {"b", 1};
        ck_assert_int_eq(skep_queue_create(hive, NULL, &queue), 0);
        ck_assert_int_eq(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8), &array), 0);
        ck_assert_int_eq(skep_queue_put_many(queue, &message, 1, &count, skep_nowait()), 0);
        ck_assert_int_eq(skep_queue_put_array(queue, array, skep_nowait()), 0);
        ck_assert_int_eq(skep_queue_reserve(queue, 4, &loan), 0);
        ck_assert_int_eq(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, 4, skep_nowait()), 0);
        ck_assert_int_eq(skep_queue_reserve(queue, 4, &loan), 0);
        ck_assert_int_eq(skep_queue_close(queue), 0);
        ck_assert_int_eq(skep_queue_close(queue), 0);
        ck_assert_int_eq(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, 4, skep_nowait()), -ESHUTDOWN);
        skep_queue_abandon(&loan);
        ck_assert_int_eq(skep_queue_put(queue, "c", 1, skep_forever()), -ESHUTDOWN);
        ck_assert_int_eq(skep_queue_put_many(queue, &message, 1, &count, skep_forever()), -ESHUTDOWN);
        ck_assert_uint_eq(count, 0);
        ck_assert_int_eq(skep_queue_put_array(queue, array, skep_forever()), -ESHUTDOWN);
        array = skep_array_unref(array);
        ck_assert_int_eq(skep_queue_get_many(queue, buffer, sizeof buffer, &message, 1, &count, skep_forever()), 0);
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, skep_forever()), 0);
        ck_assert_int_eq(skep_loan_array(&loan, &array), 0);
        skep_queue_put_back(&loan);
        array = skep_array_unref(array);
        ck_assert_int_eq(skep_queue_get_array(queue, &array, skep_forever()), 0);
        array = skep_array_unref(array);
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, skep_forever()), 0);
        skep_queue_give_back(&loan);
        ck_assert_int_eq(skep_queue_get(queue, buffer, sizeof buffer, &bytes, skep_forever()), -ESHUTDOWN);
        ck_assert_int_eq(skep_queue_get_array(queue, &array, skep_forever()), -ESHUTDOWN);
        ck_assert_int_eq(skep_queue_borrow(queue, &loan, skep_forever()), -ESHUTDOWN);
        ck_assert_int_eq(skep_queue_drain(queue, NULL), 0);
        queue = skep_queue_unref(queue);
}
END_TEST

/* --- bad use --------------------------------------------------------------------------------------------------------------------- */

START_TEST(no_handle_may_be_ended)
{
        ck_assert_ptr_null(skep_hive_detach(NULL));
        ck_assert_ptr_null(skep_queue_unref(NULL));
        ck_assert_ptr_null(skep_lock_unref(NULL));
        ck_assert_ptr_null(skep_array_unref(NULL));
        ck_assert_ptr_null(skep_process_unref(NULL));
}
END_TEST

static skep_hive *small;
static skep_lock *lock;
static skep_array *array;
static skep_block block;

/* Every call of a handle whose process found no place in the hive. @return which one said something else */
static int everything_is_stale(void)
{
        char buffer[8];
        size_t bytes;
        struct skep_loan loan;
        struct skep_bytes message = {"m", 1};
        skep_array *array_got;
        skep_queue *queue_got;
        skep_lock *lock_got;
        skep_block block_got;
        const int results[] = {
                skep_block_alloc(small, 8, 0, &block_got),
                skep_block_ref(small, block),
                skep_block_unref(small, block),
                skep_hive_reap(small, NULL),
                skep_hive_forget(small, "n"),
                skep_array_create(small, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8), &array_got),
                skep_lock_create(small, NULL, &lock_got),
                skep_lock_open(small, "n", &lock_got),
                skep_lock_attach(small, skep_lock_reference(lock), &lock_got),
                skep_lock_acquire(lock, skep_nowait()),
                skep_lock_release(lock),
                skep_queue_create(small, NULL, &queue_got),
                skep_queue_open(small, "n", &queue_got),
                skep_queue_attach(small, skep_queue_reference(queue), &queue_got),
                skep_queue_put(queue, "m", 1, skep_nowait()),
                skep_queue_put_many(queue, &message, 1, &bytes, skep_nowait()),
                skep_queue_put_array(queue, array, skep_nowait()),
                skep_queue_get(queue, buffer, sizeof buffer, &bytes, skep_nowait()),
                skep_queue_get_many(queue, buffer, sizeof buffer, &message, 1, &bytes, skep_nowait()),
                skep_queue_get_array(queue, &array_got, skep_nowait()),
                skep_queue_reserve(queue, 8, &loan),
                skep_queue_borrow(queue, &loan, skep_nowait()),
                skep_queue_drain(queue, NULL),
        };
        for (int i = 0; i < (int)(sizeof results / sizeof results[0]); i++)
                if (results[i] != -ESTALE)
                        return i + 1;
        skep_array_unref(array);
        skep_lock_unref(lock);
        skep_queue_unref(queue);
        skep_hive_detach(small);
        return 0;
}

START_TEST(a_handle_without_a_place_says_so_in_every_call)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 4u << 20, .member_max = 1), &small), 0);
        ck_assert_int_eq(skep_queue_create(small, SKEP_QUEUE_OPTIONS(.name = "n"), &queue), 0);
        ck_assert_int_eq(skep_lock_create(small, NULL, &lock), 0);
        ck_assert_int_eq(skep_block_alloc(small, 100, 0, &block), 0);
        ck_assert_int_eq(skep_array_create(small, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8), &array), 0);
        ck_assert_int_eq(in_child(everything_is_stale), 0);
        ck_assert_int_eq(skep_queue_put(queue, "m", 1, skep_nowait()), 0); /* and nothing happened to the parent's */
        ck_assert_int_eq(skep_lock_acquire(lock, skep_nowait()), 0);
        ck_assert_int_eq(skep_block_unref(small, block), 0);
        skep_array_unref(array), skep_lock_unref(lock), skep_queue_unref(queue);
        ck_assert_int_eq(skep_hive_forget(small, "n"), 0);
        ck_assert_int_eq(skep_hive_verify(small, NULL), 0);
        skep_hive_detach(small);
}
END_TEST

static int use_and_end_everything(void)
{
        skep_block mine;
        char buffer[8];
        size_t bytes;
        if (skep_queue_get(queue, buffer, sizeof buffer, &bytes, skep_forever()) < 0 || skep_queue_put(queue, "child", 5, skep_nowait()) < 0)
                return 1;
        if (skep_block_alloc(hive, 100, 0, &mine) < 0 || skep_lock_acquire(lock, skep_forever()) < 0 || skep_lock_release(lock) < 0)
                return 2;
        skep_queue_unref(queue);
        skep_lock_unref(lock);
        if (skep_block_unref(hive, block) < 0 || skep_block_unref(hive, block) != -EINVAL)
                return 3;
        return skep_hive_detach(hive) ? 4 : 0;
}

START_TEST(a_forked_child_uses_and_ends_its_own_handles)
{
        char buffer[8];
        size_t bytes;
        ck_assert_int_eq(skep_queue_create(hive, NULL, &queue), 0);
        ck_assert_int_eq(skep_lock_create(hive, NULL, &lock), 0);
        ck_assert_int_eq(skep_block_alloc(hive, 100, 0, &block), 0);
        ck_assert_int_eq(skep_queue_put(queue, "parent", 6, skep_nowait()), 0);
        ck_assert_int_eq(in_child(use_and_end_everything), 0);
        ck_assert_int_eq(skep_queue_get(queue, buffer, sizeof buffer, &bytes, skep_nowait()), 0);
        ck_assert_uint_eq(bytes, 5);
        ck_assert_ptr_nonnull(skep_block_address(hive, block, NULL));
        ck_assert_int_eq(skep_block_unref(hive, block), 0);
        skep_lock_unref(lock), skep_queue_unref(queue);
}
END_TEST

/* --- options of older and of newer programs ---------------------------------------------------------------------------------------- */

#define NEWER(type) \
        struct { \
                struct type known; \
                uint64_t unknown[3]; \
        }

static int nothing(skep_hive *none, const void *argument, size_t bytes)
{
        (void)none, (void)argument, (void)bytes;
        return 0;
}

START_TEST(options_of_a_newer_program_are_taken_if_their_rest_is_zero)
{
        NEWER(skep_queue_options) queues = {.known = {.options_bytes = sizeof queues, .capacity = 2}};
        NEWER(skep_array_options) arrays = {.known = {.options_bytes = sizeof arrays, .element = SKEP_ELEMENT_U8}};
        NEWER(skep_process_options) processes = {.known = {.options_bytes = sizeof processes, .function = nothing}};
        skep_process *process;
        ck_assert_int_eq(skep_queue_create(hive, &queues.known, &queue), 0);
        ck_assert_uint_eq(skep_queue_capacity(queue), 2);
        ck_assert_int_eq(skep_array_create(hive, &arrays.known, &array), 0);
        ck_assert_int_eq(skep_process_start(&processes.known, &process), 0);
        ck_assert_int_eq(skep_process_join(process, skep_within_ns(10 * SECOND)), 0);
        skep_queue_unref(queue), skep_array_unref(array), skep_process_unref(process);
        queues.unknown[2] = arrays.unknown[2] = processes.unknown[2] = 1;
        ck_assert_int_eq(skep_queue_create(hive, &queues.known, &queue), -E2BIG);
        ck_assert_int_eq(skep_array_create(hive, &arrays.known, &array), -E2BIG);
        ck_assert_int_eq(skep_process_start(&processes.known, &process), -E2BIG);
}
END_TEST

START_TEST(options_of_an_older_program_have_zeros_at_the_end)
{
        struct skep_queue_options queues = {.options_bytes = offsetof(struct skep_queue_options, slot_bytes), .capacity = 2, .slot_bytes = 9999, .flags = 99};
        struct skep_array_options arrays = {.options_bytes = offsetof(struct skep_array_options, flags), .element = SKEP_ELEMENT_U8, .flags = 99};
        struct skep_process_options processes = {.options_bytes = offsetof(struct skep_process_options, name), .function = nothing, .name = (const char *)1};
        skep_process *process;
        ck_assert_int_eq(skep_queue_create(hive, &queues, &queue), 0);
        ck_assert_int_eq(skep_array_create(hive, &arrays, &array), 0);
        ck_assert_int_eq(skep_process_start(&processes, &process), 0);
        ck_assert_ptr_nonnull(strstr(skep_process_name(process), "Process-"));
        ck_assert_int_eq(skep_process_join(process, skep_within_ns(10 * SECOND)), 0);
        skep_queue_unref(queue), skep_array_unref(array), skep_process_unref(process);
        static const size_t sizes[] = {0, 1, 7, SIZE_MAX};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                queues.options_bytes = arrays.options_bytes = processes.options_bytes = sizes[i];
                ck_assert_int_eq(skep_queue_create(hive, &queues, &queue), -EINVAL);
                ck_assert_int_eq(skep_array_create(hive, &arrays, &array), -EINVAL);
                ck_assert_int_eq(skep_process_start(&processes, &process), -EINVAL);
        }
}
END_TEST

START_TEST(no_options_are_the_defaults_where_there_are_any)
{
        skep_process *process;
        ck_assert_int_eq(skep_queue_create(hive, NULL, &queue), 0);
        ck_assert_uint_eq(skep_queue_capacity(queue), 0);
        skep_queue_unref(queue);
        ck_assert_int_eq(skep_array_create(hive, NULL, &array), -EINVAL); /* of which element? */
        ck_assert_int_eq(skep_process_start(NULL, &process), -EINVAL);    /* which function? */
}
END_TEST

/* --- process --------------------------------------------------------------------------------------------------------------------- */

static int wait_for_ever(skep_hive *of, const void *argument, size_t bytes)
{
        (void)of, (void)argument, (void)bytes;
        while (pause())
                ;
        return 0;
}

static int answer(skep_hive *of, const void *argument, size_t bytes)
{
        if (!of || bytes != 4 || memcmp(argument, "ping", 4) || skep_process_parent() != getppid())
                return 1;
        return strcmp(skep_process_self_name(), "bee") ? 2 : 42;
}

START_TEST(a_process_is_started_watched_and_ended)
{
        skep_process *bee, *sleeper, *same = NULL;
        ck_assert_str_eq(skep_process_self_name(), "MainProcess");
        ck_assert_int_eq(skep_process_parent(), 0);
        ck_assert_int_eq(skep_process_register("answer", answer), -EEXIST);
        ck_assert_int_eq(skep_process_start(SKEP_PROCESS_OPTIONS(.hive = hive, .start = _i ? SKEP_START_SPAWN : SKEP_START_FORK, .function = _i ? NULL : answer,
                                                                 .function_name = _i ? "answer" : NULL, .argument = "ping", .argument_bytes = 4, .name = "bee"),
                                            &bee),
                         0);
        ck_assert_str_eq(skep_process_name(bee), "bee");
        struct pollfd poller = {.fd = skep_process_sentinel(bee), .events = POLLIN};
        ck_assert_int_eq(poll(&poller, 1, 10000), 1);
        ck_assert_int_eq(skep_process_join(bee, skep_within_ns(10 * SECOND)), 0);
        ck_assert_int_eq(skep_process_exit_code(bee), 42);
        ck_assert_int_eq(skep_process_start(SKEP_PROCESS_OPTIONS(.function = wait_for_ever), &sleeper), 0);
        ck_assert_int_eq(skep_process_join(sleeper, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(skep_process_exit_code(sleeper), SKEP_STILL_RUNS);
        ck_assert_int_eq(skep_process_is_alive(sleeper), 1);
        ck_assert_int_gt(skep_process_pid(sleeper), 0);
        ck_assert_uint_eq(skep_process_active_children(&same, 1), 1);
        ck_assert_int_eq(skep_process_pid(same), skep_process_pid(sleeper));
        skep_process_unref(same);
        ck_assert_int_eq(_i ? skep_process_kill(sleeper) : skep_process_terminate(sleeper), 0);
        ck_assert_int_eq(skep_process_join(sleeper, skep_within_ns(10 * SECOND)), 0);
        ck_assert_int_eq(skep_process_exit_code(sleeper), _i ? -SIGKILL : -SIGTERM);
        ck_assert_int_eq(skep_process_kill(sleeper), 0);
        skep_process_unref(sleeper), skep_process_unref(bee);
}
END_TEST

int main(void)
{
        (void)skep_process_register("answer", answer);
        (void)skep_process_main();
        Suite *suite = suite_create("api");
        TCase *tests = tcase_create("api");
        tcase_add_checked_fixture(tests, set_up, tear_down);
        tcase_add_test(tests, every_result_has_a_name_and_a_sentence);
        tcase_add_test(tests, a_deadline_saturates_and_does_not_block_at_zero);
        tcase_add_test(tests, a_named_hive_is_listed_opened_and_unlinked);
        tcase_add_test(tests, a_block_is_written_here_and_read_there);
        tcase_add_test(tests, what_a_member_left_behind_goes_with_it);
        tcase_add_test(tests, sizes_that_are_zero_or_overflow_are_refused);
        tcase_add_test(tests, an_array_describes_itself);
        tcase_add_test(tests, a_lock_is_made_found_taken_and_released);
        tcase_add_test(tests, a_queue_is_made_found_and_looked_at);
        tcase_add_test(tests, a_closed_queue_refuses_what_puts_and_gives_what_is_left);
        tcase_add_test(tests, no_handle_may_be_ended);
        tcase_add_test(tests, a_handle_without_a_place_says_so_in_every_call);
        tcase_add_test(tests, a_forked_child_uses_and_ends_its_own_handles);
        tcase_add_test(tests, options_of_a_newer_program_are_taken_if_their_rest_is_zero);
        tcase_add_test(tests, options_of_an_older_program_have_zeros_at_the_end);
        tcase_add_test(tests, no_options_are_the_defaults_where_there_are_any);
        tcase_add_loop_test(tests, a_process_is_started_watched_and_ended, 0, 2);
        suite_add_tcase(suite, tests);
        return suite_run(suite);
}
