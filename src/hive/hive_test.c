/* SPDX-License-Identifier: Apache-2.0 */
/* hive_test.c - a file that is no sound hive is refused, and options and names are checked. */
#include "hive/hive.h"
#include "support/suite.h"

#include <check.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <skep/skep.h>

#define CAPACITY (UINT64_C(4) << 20)

static skep_hive *hive;

static void set_up(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = CAPACITY), &hive), 0);
}

static void tear_down(void)
{
        hive = skep_hive_detach(hive);
}

/* A file with the header of a sound hive, changed: @p bytes at @p offset of it. @return what attaching says */
static int attach_changed(uint64_t file_bytes, size_t offset, const void *change, size_t bytes)
{
        uint8_t header[sizeof(struct shm_hive)];
        skep_hive *other;
        int fd = memfd_create("changed", MFD_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        memcpy(header, hive->base, sizeof header);
        memcpy(header + offset, change, bytes);
        ck_assert_int_eq(ftruncate(fd, (off_t)file_bytes), 0);
        size_t header_bytes = file_bytes < sizeof header ? (size_t)file_bytes : sizeof header;
        ck_assert_int_eq(pwrite(fd, header, header_bytes, 0), (ssize_t)header_bytes);
        int result = skep_hive_attach(fd, &other);
        if (result == 0)
                skep_hive_detach(other);
        close(fd);
        return result;
}

static int attach_with(size_t offset, const void *change, size_t bytes)
{
        return attach_changed(CAPACITY, offset, change, bytes);
}

#define ATTACH_WITH(field, type, value) attach_with(offsetof(struct shm_hive, field), &(type){value}, sizeof(type))

START_TEST(an_unchanged_header_is_accepted)
{
        ck_assert_int_eq(attach_with(0, HIVE_MAGIC, 8), 0);
}
END_TEST

START_TEST(another_magic_is_no_hive)
{
        ck_assert_int_eq(attach_with(0, "SKEPHIVF", 8), -EBADMSG);
        ck_assert_int_eq(attach_with(0, "\0\0\0\0\0\0\0", 8), -EBADMSG);
}
END_TEST

START_TEST(another_version_is_refused_as_such)
{
        ck_assert_int_eq(ATTACH_WITH(version, uint32_t, HIVE_VERSION + 1), -EPROTO);
        ck_assert_int_eq(ATTACH_WITH(version, uint32_t, 0), -EPROTO);
}
END_TEST

START_TEST(foreign_byte_order_is_refused_as_such)
{
        ck_assert_int_eq(ATTACH_WITH(byte_order, uint32_t, 0x04030201), -EPROTO);
}
END_TEST

START_TEST(a_truncated_file_is_refused)
{
        static const uint64_t lengths[] = {0, 1, 8, 4095, 4096, PAGE_BYTES, CAPACITY - PAGE_BYTES, CAPACITY - 1};
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
                ck_assert_int_eq(attach_changed(lengths[i], 0, HIVE_MAGIC, 8), -EBADMSG);
}
END_TEST

START_TEST(a_file_longer_than_it_says_is_refused)
{
        ck_assert_int_eq(attach_changed(CAPACITY + PAGE_BYTES, 0, HIVE_MAGIC, 8), -EBADMSG);
}
END_TEST

START_TEST(a_file_that_is_not_ready_is_refused)
{
        ck_assert_int_eq(ATTACH_WITH(ready, uint32_t, 0), -EBADMSG);
        ck_assert_int_eq(ATTACH_WITH(ready, uint32_t, 2), -EBADMSG);
}
END_TEST

START_TEST(figures_that_would_overflow_are_refused)
{
        static const uint64_t sizes[] = {0, 1, PAGE_BYTES, UINT64_MAX, UINT64_MAX - PAGE_BYTES + 1, UINT64_C(1) << 63, UINT64_C(1) << 41, CAPACITY + 1};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
                ck_assert_int_eq(ATTACH_WITH(capacity_bytes, uint64_t, sizes[i]), -EBADMSG);
        static const uint32_t counts[] = {0, HIVE_AGENT_MAX + 1, UINT32_MAX, 0x80000000u};
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
                ck_assert_int_eq(ATTACH_WITH(member_max, uint32_t, counts[i]), -EBADMSG);
                ck_assert_int_eq(ATTACH_WITH(agent_max, uint32_t, counts[i]), -EBADMSG);
        }
        ck_assert_int_eq(ATTACH_WITH(member_max, uint32_t, HIVE_MEMBER_MAX + 1), -EBADMSG);
}
END_TEST

START_TEST(a_layout_that_does_not_follow_from_the_figures_is_refused)
{
        for (size_t word = 0; word < sizeof(struct shm_layout) / 8; word++) {
                size_t offset = offsetof(struct shm_hive, layout) + 8 * word;
                uint64_t value;
                memcpy(&value, hive->base + offset, 8);
                value += 8;
                ck_assert_int_eq(attach_with(offset, &value, 8), -EBADMSG);
                value = UINT64_MAX;
                ck_assert_int_eq(attach_with(offset, &value, 8), -EBADMSG);
        }
}
END_TEST

START_TEST(a_name_without_end_is_refused)
{
        char name[SKEP_NAME_MAX + 1];
        memset(name, 'x', sizeof name);
        ck_assert_int_eq(attach_with(offsetof(struct shm_hive, name), name, sizeof name), -EBADMSG);
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
        skep_hive *other;
        int pair[2];
        ck_assert_int_eq(pipe(pair), 0);
        ck_assert_int_lt(skep_hive_attach(pair[0], &other), 0);
        ck_assert_int_lt(skep_hive_attach(-1, &other), 0);
        close(pair[0]), close(pair[1]);
        ck_assert_int_lt(skep_hive_attach(pair[0], &other), 0);
}
END_TEST

START_TEST(every_layout_lies_in_order_and_inside_the_file)
{
        static const uint64_t capacities[] = {HIVE_CAPACITY_MIN, CAPACITY, CAPACITY + PAGE_BYTES, UINT64_C(1) << 30, HIVE_CAPACITY_MAX};
        static const uint32_t agents[] = {1, 2, 1024, HIVE_AGENT_MAX};
        for (size_t i = 0; i < 5; i++)
                for (size_t j = 0; j < 4; j++) {
                        struct shm_layout layout;
                        int result = layout_of(capacities[i], HIVE_MEMBER_MAX, agents[j], &layout);
                        if (result < 0) {
                                ck_assert_int_eq(result, -EINVAL);
                                continue;
                        }
                        ck_assert(layout.members_at < layout.agents_at && layout.agents_at < layout.names_at);
                        ck_assert(layout.names_at < layout.heap_at && layout.heap_at < layout.blocks_at);
                        ck_assert_uint_le(layout.blocks_at + layout.page_count * sizeof(struct shm_block), layout.data_at);
                        ck_assert_msg(layout.data_at < capacities[i], "%llu bytes, %u agents: no room for data", (unsigned long long)capacities[i], agents[j]);
                        ck_assert_uint_ge(layout.page_count, 1);
                        ck_assert_uint_le(layout.data_at + layout.page_count * PAGE_BYTES, capacities[i]);
                }
}
END_TEST

START_TEST(the_smallest_hive_can_be_used_or_is_refused)
{
        static const uint32_t agents[] = {1, 1024, 2000, 3000, 3400, 3500, 3600, HIVE_AGENT_MAX};
        for (size_t i = 0; i < sizeof agents / sizeof agents[0]; i++) {
                skep_hive *small;
                skep_block block;
                int result = skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = HIVE_CAPACITY_MIN, .agent_max = agents[i]), &small);
                if (result < 0) {
                        ck_assert_int_eq(result, -EINVAL);
                        continue;
                }
                result = skep_block_alloc(small, 1, 0, &block);
                ck_assert_msg(result == 0 || result == -ENOSPC, "%u agents: %s", agents[i], skep_strerror(result));
                skep_hive_detach(small);
        }
}
END_TEST

START_TEST(a_capacity_out_of_range_is_refused)
{
        static const uint64_t sizes[] = {1, 4096, HIVE_CAPACITY_MIN - PAGE_BYTES, HIVE_CAPACITY_MAX + 1, UINT64_MAX, UINT64_MAX - 5};
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                skep_hive *other = NULL;
                ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = sizes[i]), &other), -EINVAL);
                ck_assert_ptr_null(other);
        }
}
END_TEST

START_TEST(zero_capacity_is_the_machines_memory)
{
        skep_hive *other;
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_create(NULL, &other), 0);
        ck_assert_int_eq(skep_hive_stat(other, &stat), 0);
        ck_assert_uint_ge(stat.capacity_bytes, (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
        ck_assert_uint_eq(stat.capacity_bytes & (stat.capacity_bytes - 1), 0);
        ck_assert_uint_eq(stat.member_max, 256);
        ck_assert_uint_eq(stat.agent_max, 1024);
        skep_hive_detach(other);
}
END_TEST

START_TEST(a_capacity_is_rounded_up_to_pages)
{
        skep_hive *other;
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = CAPACITY - 1), &other), 0);
        ck_assert_int_eq(skep_hive_stat(other, &stat), 0);
        ck_assert_uint_eq(stat.capacity_bytes, CAPACITY);
        skep_hive_detach(other);
}
END_TEST

START_TEST(counts_and_flags_out_of_range_are_refused)
{
        skep_hive *other;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = CAPACITY, .member_max = 257), &other), -EINVAL);
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = CAPACITY, .agent_max = 4096), &other), -EINVAL);
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = CAPACITY, .agent_max = UINT32_MAX), &other), -EINVAL);
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = CAPACITY, .flags = 2), &other), -EINVAL);
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = CAPACITY, .reserved = 1), &other), -EINVAL);
}
END_TEST

START_TEST(bad_names_are_refused)
{
        char longest[SKEP_NAME_MAX + 1], too_long[SKEP_NAME_MAX + 2];
        memset(longest, 'n', sizeof longest);
        memset(too_long, 'n', sizeof too_long);
        longest[SKEP_NAME_MAX] = too_long[SKEP_NAME_MAX + 1] = 0;
        ck_assert_int_eq(name_check(longest), 0);
        ck_assert_int_eq(name_check(too_long), -ENAMETOOLONG);
        static const char *const bad[] = {"", ".", "..", "/", "a/b", "/a", "a/"};
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                skep_hive *other;
                ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = CAPACITY, .name = bad[i]), &other), -EINVAL);
                ck_assert_int_eq(skep_hive_open(bad[i], &other), -EINVAL);
                ck_assert_int_eq(skep_hive_unlink(bad[i]), -EINVAL);
        }
        skep_hive *other;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = CAPACITY, .name = too_long), &other), -ENAMETOOLONG);
        ck_assert_int_eq(skep_hive_open(too_long, &other), -ENAMETOOLONG);
        ck_assert_int_eq(skep_hive_unlink(too_long), -ENAMETOOLONG);
}
END_TEST

struct newer_options {
        struct skep_hive_options known;
        uint64_t unknown[4];
};

START_TEST(options_of_a_newer_program_are_taken_if_their_rest_is_zero)
{
        struct newer_options options = {.known = {.options_bytes = sizeof options, .capacity_bytes = CAPACITY}};
        skep_hive *other;
        ck_assert_int_eq(skep_hive_create(&options.known, &other), 0);
        skep_hive_detach(other);
        options.unknown[3] = 1;
        ck_assert_int_eq(skep_hive_create(&options.known, &other), -E2BIG);
}
END_TEST

START_TEST(options_of_an_older_program_have_zeros_at_the_end)
{
        struct skep_hive_options options = {.options_bytes = offsetof(struct skep_hive_options, warm_max_bytes), .capacity_bytes = CAPACITY, .flags = 0xff};
        skep_hive *other;
        ck_assert_int_eq(skep_hive_create(&options, &other), 0);
        skep_hive_detach(other);
        options.options_bytes = 0;
        ck_assert_int_eq(skep_hive_create(&options, &other), -EINVAL);
        options.options_bytes = SIZE_MAX;
        ck_assert_int_eq(skep_hive_create(&options, &other), -EINVAL);
}
END_TEST

START_TEST(an_offset_outside_the_hive_has_no_address)
{
        ck_assert_ptr_null(hive_at(hive, 0, 8));
        ck_assert_ptr_null(hive_at(hive, hive->layout.members_at + 1, 8));
        ck_assert_ptr_null(hive_at(hive, CAPACITY, 8));
        ck_assert_ptr_null(hive_at(hive, CAPACITY - 8, 16));
        ck_assert_ptr_null(hive_at(hive, UINT64_MAX - 7, 16));
        ck_assert_ptr_null(hive_at(hive, hive->layout.data_at, UINT64_MAX));
        ck_assert_ptr_nonnull(hive_at(hive, CAPACITY - 8, 8));
        ck_assert_ptr_nonnull(hive_at(hive, hive->layout.members_at, 8));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("hive");
        TCase *tests = tcase_create("hive");
        tcase_add_checked_fixture(tests, set_up, tear_down);
        tcase_add_test(tests, an_unchanged_header_is_accepted);
        tcase_add_test(tests, another_magic_is_no_hive);
        tcase_add_test(tests, another_version_is_refused_as_such);
        tcase_add_test(tests, foreign_byte_order_is_refused_as_such);
        tcase_add_test(tests, a_truncated_file_is_refused);
        tcase_add_test(tests, a_file_longer_than_it_says_is_refused);
        tcase_add_test(tests, a_file_that_is_not_ready_is_refused);
        tcase_add_test(tests, figures_that_would_overflow_are_refused);
        tcase_add_test(tests, a_layout_that_does_not_follow_from_the_figures_is_refused);
        tcase_add_test(tests, a_name_without_end_is_refused);
        tcase_add_test(tests, what_is_no_file_is_refused);
        tcase_add_test(tests, every_layout_lies_in_order_and_inside_the_file);
        tcase_add_test(tests, the_smallest_hive_can_be_used_or_is_refused);
        tcase_add_test(tests, a_capacity_out_of_range_is_refused);
        tcase_add_test(tests, zero_capacity_is_the_machines_memory);
        tcase_add_test(tests, a_capacity_is_rounded_up_to_pages);
        tcase_add_test(tests, counts_and_flags_out_of_range_are_refused);
        tcase_add_test(tests, bad_names_are_refused);
        tcase_add_test(tests, options_of_a_newer_program_are_taken_if_their_rest_is_zero);
        tcase_add_test(tests, options_of_an_older_program_have_zeros_at_the_end);
        tcase_add_test(tests, an_offset_outside_the_hive_has_no_address);
        suite_add_tcase(suite, tests);
        return suite_run(suite);
}
