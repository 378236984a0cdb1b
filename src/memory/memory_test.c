/* SPDX-License-Identifier: Apache-2.0 */
/* memory_test.c - blocks by name, lists in them, mapped files: bad input, lifetimes over several hives, kill -9. */
#include "support/suite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <skep/skep.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static skep_hive *hive;
static char name[64];

static void setup(void)
{
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 8u << 20), &hive), 0);
        snprintf(name, sizeof name, "skep-test-%d", (int)getpid());
}

static void teardown(void)
{
        struct skep_hive_stat stat;
        struct skep_verify_report report;
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_msg(stat.blocks == 0, "%llu blocks leak", (unsigned long long)stat.blocks);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "%s", report.first);
        hive = skep_hive_detach(hive);
}

static bool there(void)
{
        char path[128];
        snprintf(path, sizeof path, "/dev/shm/%s", name);
        return access(path, F_OK) == 0;
}

static int make(skep_hive *in, uint32_t flags, skep_shared_memory **ret)
{
        return skep_shared_memory_create(in, SKEP_SHARED_MEMORY_OPTIONS(.name = name, .bytes = 1000, .flags = flags), ret);
}

START_TEST(a_block_is_what_shm_open_knows)
{
        skep_shared_memory *memory, *again;
        struct stat status;
        ck_assert_int_eq(make(hive, 0, &memory), 0);
        ck_assert_int_eq(make(hive, 0, &again), -EEXIST);
        ck_assert_uint_eq(skep_shared_memory_bytes(memory), 1000);
        ck_assert_str_eq(skep_shared_memory_name(memory), name);
        ck_assert_ptr_eq(skep_shared_memory_hive(memory), hive);
        int fd = shm_open(name, O_RDWR, 0);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(fstat(fd, &status), 0);
        ck_assert_int_eq(status.st_size, 1000);
        ck_assert_int_eq(status.st_mode & 0777, 0600);
        ck_assert_int_ge(status.st_blocks * 512, 1000);
        char *other = mmap(NULL, 1000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ck_assert_int_eq(other[999], 0);
        strcpy(skep_shared_memory_address(memory), "hello");
        ck_assert_str_eq(other, "hello");
        char slash[80];
        snprintf(slash, sizeof slash, "/%s", name);
        ck_assert_int_eq(skep_shared_memory_open(hive, slash, &again), 0);
        ck_assert_str_eq(skep_shared_memory_address(again), "hello");
        ck_assert_int_eq(skep_shared_memory_is_linked(again), 1);
        ck_assert_int_eq(skep_shared_memory_unlink(again), 0);
        ck_assert_int_eq(skep_shared_memory_is_linked(memory), 0);
        ck_assert_int_eq(skep_shared_memory_unlink(memory), -ENOENT);
        ck_assert_int_eq(skep_shared_memory_open(hive, name, &memory), -ENOENT);
        strcpy(skep_shared_memory_address(memory), "still there");
        skep_shared_memory_unref(memory);
        skep_shared_memory_unref(again);
        munmap(other, 1000);
        close(fd);
}
END_TEST

START_TEST(bad_arguments_are_refused)
{
        skep_shared_memory *memory;
        char longer[300];
        memset(longer, 'x', 256);
        longer[256] = 0;
        const struct {
                const char *name;
                uint64_t bytes;
                uint32_t flags;
                int result;
        } cases[] = {{name, 0, 0, -EINVAL}, {"", 1, 0, -EINVAL}, {"/", 1, 0, -EINVAL}, {"a/b", 1, 0, -EINVAL}, {"..", 1, 0, -EINVAL}, {name, 1, 2, -EINVAL},
                     {longer, 1, 0, -ENAMETOOLONG}, {name, UINT64_MAX, 0, -EINVAL}, {name, UINT64_C(1) << 50, 0, -ENOSPC}};
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
                ck_assert_int_eq(skep_shared_memory_create(hive, SKEP_SHARED_MEMORY_OPTIONS(.name = cases[i].name, .bytes = cases[i].bytes,
                                                                                            .flags = cases[i].flags), &memory), cases[i].result);
        ck_assert(!there());
        longer[255] = 0;
        ck_assert_int_eq(skep_shared_memory_create(hive, SKEP_SHARED_MEMORY_OPTIONS(.name = longer, .bytes = 1), &memory), 0);
        skep_shared_memory_unref(memory);
        ck_assert_int_eq(skep_shared_memory_open(hive, longer, &memory), -ENOENT);
}
END_TEST

START_TEST(the_name_goes_with_the_last_user_of_any_hive)
{
        skep_hive *other;
        skep_shared_memory *ours, *theirs;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 1u << 20), &other), 0);
        ck_assert_int_eq(make(hive, 0, &ours), 0);
        ck_assert_int_eq(skep_shared_memory_open(other, name, &theirs), 0);
        skep_shared_memory_unref(ours);
        ck_assert(there());
        uint32_t count;
        ck_assert_int_eq(skep_shared_memory_sweep(0, &count), 0);
        ck_assert(there());
        skep_shared_memory_unref(theirs);
        ck_assert(!there());
        skep_hive_detach(other);
}
END_TEST

START_TEST(persistent_blocks_and_those_of_others_stay)
{
        skep_shared_memory *memory;
        ck_assert_int_eq(make(hive, SKEP_SHARED_MEMORY_PERSISTENT, &memory), 0);
        skep_shared_memory_unref(memory);
        ck_assert_int_eq(skep_shared_memory_sweep(SKEP_SWEEP_LEFT, NULL), 0);
        ck_assert(there());
        ck_assert_int_eq(skep_shared_memory_open(hive, name, &memory), 0);
        ck_assert_int_eq(skep_shared_memory_unlink(memory), 0);
        skep_shared_memory_unref(memory);
        int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        ck_assert_int_eq(skep_shared_memory_open(hive, name, &memory), -EBADMSG); /* empty */
        ck_assert_int_eq(ftruncate(fd, 100), 0);
        ck_assert_int_eq(skep_shared_memory_open(hive, name, &memory), 0);
        skep_shared_memory_unref(memory);
        ck_assert(there());
        ck_assert_int_eq(shm_unlink(name), 0);
        close(fd);
}
END_TEST

START_TEST(a_name_that_was_reused_is_not_unlinked)
{
        skep_shared_memory *old, *new;
        ck_assert_int_eq(make(hive, 0, &old), 0);
        ck_assert_int_eq(shm_unlink(name), 0);
        ck_assert_int_eq(make(hive, 0, &new), 0);
        ck_assert_int_eq(skep_shared_memory_unlink(old), -ENOENT);
        skep_shared_memory_unref(old);
        ck_assert(there());
        skep_shared_memory_unref(new);
        ck_assert(!there());
}
END_TEST

static pid_t child_with(bool create)
{
        int ends[2];
        char byte;
        ck_assert_int_eq(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) {
                skep_shared_memory *memory;
                int result = create ? make(hive, 0, &memory) : skep_shared_memory_open(hive, name, &memory);
                if (result < 0 || write(ends[1], "x", 1) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }
        close(ends[1]);
        ck_assert_int_eq(read(ends[0], &byte, 1), 1);
        close(ends[0]);
        return child;
}

static void end(pid_t child)
{
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
}

START_TEST(what_the_killed_used_goes_with_the_next_reap)
{
        pid_t maker = child_with(true), user = child_with(false);
        end(maker);
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert(there());
        end(user);
        ck_assert(there());
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert(!there());
}
END_TEST

START_TEST(a_kept_name_outlives_its_killed_maker)
{
        skep_shared_memory *memory;
        pid_t child = fork();
        if (child == 0) {
                if (make(hive, 0, &memory) < 0 || skep_shared_memory_keep(memory) < 0 || skep_shared_memory_keep(memory) < 0)
                        _exit(1);
                kill(getpid(), SIGKILL);
        }
        int status;
        waitpid(child, &status, 0);
        ck_assert(WIFSIGNALED(status));
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert_int_eq(skep_shared_memory_sweep(0, NULL), 0);
        ck_assert_int_eq(skep_shared_memory_open(hive, name, &memory), 0);
        ck_assert_int_eq(skep_shared_memory_unlink(memory), 0);
        skep_shared_memory_unref(memory);
        ck_assert_int_eq(make(hive, 0, &memory), 0); /* another leave() drops notes that nobody needs */
        ck_assert_int_eq(skep_shared_memory_leave(memory), 0);
        skep_shared_memory_unref(memory);
        ck_assert_int_eq(skep_shared_memory_open(hive, name, &memory), 0);
        ck_assert_int_eq(skep_shared_memory_unlink(memory), 0);
        skep_shared_memory_unref(memory);
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_uint_eq(stat.blocks, 1);
        hive = skep_hive_detach(hive);
        setup();
        ck_assert_int_eq(make(hive, 0, &memory), 0);
        ck_assert_int_eq(skep_shared_memory_keep(memory), 0);
        ck_assert_int_eq(skep_shared_memory_unlink(memory), 0);
        skep_shared_memory_unref(memory); /* with its note */
}
END_TEST

/* The name of a block whose whole hive was killed is free, and the next maker sweeps it. */
START_TEST(what_a_killed_hive_used_is_swept)
{
        pid_t child = fork();
        if (child == 0) {
                skep_hive *own;
                skep_shared_memory *memory;
                if (skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 1u << 20), &own) < 0 || make(own, 0, &memory) < 0)
                        _exit(1);
                kill(getpid(), SIGKILL);
        }
        int status;
        waitpid(child, &status, 0);
        ck_assert(WIFSIGNALED(status));
        ck_assert(there());
        if (_i) {
                uint32_t count = 0;
                ck_assert_int_eq(skep_shared_memory_sweep(0, &count), 0);
                ck_assert_uint_ge(count, 1);
        } else {
                skep_shared_memory *memory;
                ck_assert_int_eq(make(hive, 0, &memory), 0);
                skep_shared_memory_unref(memory);
        }
        ck_assert(!there());
}
END_TEST

START_TEST(a_name_left_to_the_hive_goes_with_it)
{
        skep_shared_memory *memory, *again;
        skep_hive *other;
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 1u << 20), &other), 0);
        for (int i = 0; i < 3; i++) { /* an unlinked one leaves no note for ever */
                ck_assert_int_eq(make(other, 0, &memory), 0);
                ck_assert_int_eq(skep_shared_memory_leave(memory), 0);
                ck_assert_int_eq(skep_shared_memory_leave(memory), 0);
                skep_shared_memory_unref(memory);
                ck_assert_int_eq(skep_shared_memory_sweep(0, NULL), 0);
                ck_assert(there());
                ck_assert_int_eq(skep_shared_memory_open(other, name, &again), 0);
                if (i < 2)
                        ck_assert_int_eq(skep_shared_memory_unlink(again), 0);
                skep_shared_memory_unref(again);
        }
        ck_assert(there());
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_stat(other, &stat), 0);
        ck_assert_uint_eq(stat.blocks, 1);
        ck_assert_int_eq(skep_hive_verify(other, NULL), 0);
        skep_hive_detach(other);
        ck_assert(!there());
}
END_TEST

/* --- lists ------------------------------------------------------------------------------------------------------------------- */

static struct skep_shareable_item text(const char *data, uint64_t bytes)
{
        return (struct skep_shareable_item){.type = SKEP_SHAREABLE_TEXT, .data = data, .bytes = bytes};
}

static skep_shareable_list *list_of(const struct skep_shareable_item *items, uint64_t count)
{
        skep_shareable_list *list;
        ck_assert_int_eq(skep_shareable_list_create(hive, SKEP_SHAREABLE_LIST_OPTIONS(.name = name, .items = items, .count = count), &list), 0);
        return list;
}

START_TEST(values_come_back_as_they_went_in)
{
        const struct skep_shareable_item items[] = {
                {.type = SKEP_SHAREABLE_NONE}, {.type = SKEP_SHAREABLE_BOOL, .integer = 1}, {.type = SKEP_SHAREABLE_INT, .integer = INT64_MIN},
                {.type = SKEP_SHAREABLE_FLOAT, .real = -273.154}, text("gr\303\274n\0\0", 7), {.type = SKEP_SHAREABLE_BYTES, .data = "\0", .bytes = 1},
                text("", 0), text("12345678", 8)};
        enum { COUNT = sizeof items / sizeof items[0] };
        skep_shareable_list *list = list_of(items, COUNT), *again;
        ck_assert_int_eq(skep_shareable_list_open(hive, name, &again), 0);
        ck_assert_uint_eq(skep_shareable_list_length(again), COUNT);
        char buffer[16];
        struct skep_shareable_item got;
        for (uint64_t from = 0; from < COUNT; from++)
                for (uint64_t to = 0; to < COUNT; to++) { /* every type in every slot */
                        const struct skep_shareable_item *item = &items[from];
                        bool fits = item->type < SKEP_SHAREABLE_TEXT || item->bytes <= skep_shareable_list_room(list, to);
                        ck_assert(fits);
                        ck_assert_int_eq(skep_shareable_list_set(list, to, item, skep_forever()), 0);
                        ck_assert_int_eq(skep_shareable_list_get(again, to, buffer, sizeof buffer, &got, skep_forever()), 0);
                        ck_assert_uint_eq(got.type, item->type);
                        ck_assert_int_eq(got.integer, item->integer);
                        ck_assert(got.real == item->real);
                        ck_assert_uint_eq(got.bytes, item->bytes);
                        ck_assert(!got.bytes || !memcmp(got.data, item->data, got.bytes));
                }
        const struct skep_shareable_item longer = text("123456789", 9), one = {.type = SKEP_SHAREABLE_FLOAT, .real = 1};
        const struct skep_shareable_item int_one = {.type = SKEP_SHAREABLE_INT, .integer = 1};
        ck_assert_int_eq(skep_shareable_list_set(list, 0, &longer, skep_forever()), -EMSGSIZE);
        ck_assert_int_eq(skep_shareable_list_get(again, 0, buffer, sizeof buffer, &got, skep_forever()), 0);
        ck_assert_uint_eq(got.bytes, 8); /* the old value */
        ck_assert_int_eq(skep_shareable_list_get(again, 0, buffer, 7, &got, skep_forever()), -EMSGSIZE);
        ck_assert_int_eq(skep_shareable_list_set(list, 7, &longer, skep_forever()), 0); /* of 16 */
        ck_assert_int_eq(skep_shareable_list_set(list, COUNT, &one, skep_forever()), -ERANGE);
        ck_assert_int_eq(skep_shareable_list_get(list, COUNT, buffer, 8, &got, skep_forever()), -ERANGE);
        ck_assert_int_eq(skep_shareable_list_set(list, 5, &one, skep_forever()), 0);
        ck_assert_int_eq(skep_shareable_list_set(list, 6, &items[1], skep_forever()), 0);
        uint64_t count, index;
        ck_assert_int_eq(skep_shareable_list_count(again, &int_one, &count), 0);
        ck_assert_uint_eq(count, 2);
        ck_assert_int_eq(skep_shareable_list_index(again, &int_one, &index), 0);
        ck_assert_uint_eq(index, 5);
        ck_assert_int_eq(skep_shareable_list_index(again, &items[2], &index), -ENOENT);
        char format[9];
        ck_assert_int_eq(skep_shareable_list_format(list, 7, format), 0);
        ck_assert_str_eq(format, "16s");
        skep_shareable_list_unref(list);
        skep_shareable_list_unref(again);
        ck_assert(!there());
}
END_TEST

START_TEST(what_is_no_list_is_refused_wherever_it_is_damaged)
{
        const struct skep_shareable_item items[] = {{.type = SKEP_SHAREABLE_INT, .integer = 7}, text("hello", 5)};
        skep_shareable_list *list = list_of(items, 2);
        skep_shared_memory *memory = skep_shareable_list_memory(list);
        uint8_t *base = skep_shared_memory_address(memory);
        char buffer[32];
        for (uint64_t at = 0; at < 8 * 8 && at < skep_shared_memory_bytes(memory); at++)
                for (int value = 0; value < 256; value += 15) {
                        skep_shareable_list *again;
                        uint8_t before = base[at];
                        base[at] = (uint8_t)value;
                        if (skep_shareable_list_of(memory, &again) == 0) {
                                struct skep_shareable_item got;
                                for (uint64_t i = 0; i < skep_shareable_list_length(again) && i < 4; i++) {
                                        int result = skep_shareable_list_get(again, i, buffer, sizeof buffer, &got, skep_forever());
                                        ck_assert(result == 0 || result == -EBADMSG || result == -EMSGSIZE);
                                }
                                skep_shareable_list_unref(again);
                        }
                        base[at] = before;
                }
        skep_shared_memory_ref(memory);
        skep_shared_memory_unmap(memory);
        struct skep_shareable_item got;
        ck_assert_int_eq(skep_shareable_list_get(list, 0, buffer, 8, &got, skep_forever()), -ESTALE);
        skep_shared_memory_unref(memory);
        skep_shareable_list_unref(list);
}
END_TEST

/* Two writers, and a reader who must only ever see one of the two texts as a whole. */
START_TEST(no_reader_sees_half_a_value)
{
        char texts[2][400];
        memset(texts[0], 'a', 400);
        memset(texts[1], 'b', 300);
        const struct skep_shareable_item values[] = {text(texts[0], 400), text(texts[1], 300)};
        skep_shareable_list *list = list_of(values, 1);
        pid_t writers[2];
        for (int i = 0; i < 2; i++)
                if (!(writers[i] = fork()))
                        for (;;)
                                if (skep_shareable_list_set(list, 0, &values[i], skep_forever()) < 0)
                                        _exit(1);
        int seen[2] = {0};
        for (int i = 0; i < 200000 || ((!seen[0] || !seen[1]) && i < 20000000); i++) {
                char buffer[408];
                struct skep_shareable_item got;
                ck_assert_int_eq(skep_shareable_list_get(list, 0, buffer, sizeof buffer, &got, skep_forever()), 0);
                int which = buffer[0] == 'b';
                seen[which]++;
                if (got.bytes != values[which].bytes || memcmp(buffer, texts[which], got.bytes))
                        ck_abort_msg("torn");
        }
        end(writers[0]);
        end(writers[1]);
        struct skep_shareable_item got;
        char buffer[408];
        ck_assert_int_eq(skep_shareable_list_set(list, 0, &values[0], skep_forever()), 0);
        ck_assert_int_eq(skep_shareable_list_get(list, 0, buffer, sizeof buffer, &got, skep_forever()), 0);
        ck_assert_uint_eq(got.bytes, 400);
        ck_assert_msg(seen[0] && seen[1], "%d %d", seen[0], seen[1]);
        skep_shareable_list_unref(list);
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert(!there());
}
END_TEST

/* --- mappings ------------------------------------------------------------------------------------------------------------------ */

START_TEST(a_mapping_is_passed_on)
{
        char path[] = "/tmp/skep-mapping-XXXXXX", buffer[32];
        skep_mapping *mapping;
        uint64_t bytes;
        int fd = mkstemp(path);
        if (_i) {
                ck_assert_int_eq(write(fd, "Hello Python!\nsecond", 20), 20);
                ck_assert_int_eq(skep_mapping_create(hive, SKEP_MAPPING_OPTIONS(.path = path), &mapping), 0);
        } else {
                ck_assert_int_eq(skep_mapping_create(hive, SKEP_MAPPING_OPTIONS(.bytes = 20), &mapping), 0);
                ck_assert_int_eq(skep_hive_has(hive, skep_mapping_address(mapping)), 1);
                ck_assert_int_eq(skep_mapping_write(mapping, 0, "Hello Python!\nsecond", 20), 0);
        }
        pid_t child = fork();
        if (child == 0) {
                skep_mapping *theirs;
                if (skep_mapping_attach(hive, skep_mapping_reference(mapping), &theirs) < 0 || skep_mapping_write(theirs, 6, " world", 6) < 0)
                        _exit(1);
                _exit(skep_mapping_flush(theirs, 6, 6) < 0);
        }
        int status;
        waitpid(child, &status, 0);
        ck_assert_int_eq(status, 0);
        const char *line;
        ck_assert_int_eq(skep_mapping_line(mapping, 0, &line, &bytes), 0);
        ck_assert_uint_eq(bytes, 14);
        ck_assert_int_eq(strncmp(line, "Hello  world!\n", 14), 0);
        ck_assert_int_eq(skep_mapping_line(mapping, 14, &line, &bytes), 0);
        ck_assert_uint_eq(bytes, 6);
        ck_assert_int_eq(skep_mapping_line(mapping, 20, &line, &bytes), -ENOENT);
        ck_assert_int_eq(skep_mapping_find(mapping, 0, "o", 1, &bytes), 0);
        ck_assert_uint_eq(bytes, 4);
        ck_assert_int_eq(skep_mapping_find(mapping, 5, "zz", 2, &bytes), -ENOENT);
        ck_assert_int_eq(skep_mapping_read(mapping, 15, buffer, 32, &bytes), 0);
        ck_assert_uint_eq(bytes, 5);
        ck_assert_int_eq(skep_mapping_read(mapping, 21, buffer, 32, &bytes), -EINVAL);
        ck_assert_int_eq(skep_mapping_write(mapping, 15, "toolong", 7), -EINVAL);
        if (_i) {
                ck_assert_int_eq(pread(fd, buffer, 13, 0), 13);
                ck_assert_int_eq(strncmp(buffer, "Hello  world!", 13), 0);
                ck_assert_int_eq(unlink(path), 0);
                skep_mapping *late;
                ck_assert_int_eq(skep_mapping_attach(hive, skep_mapping_reference(mapping), &late), -ESTALE);
        } else {
                unlink(path);
        }
        close(fd);
        skep_mapping_unref(mapping);
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
}
END_TEST

START_TEST(bad_mappings_are_refused)
{
        char path[] = "/tmp/skep-mapping-XXXXXX";
        skep_mapping *mapping;
        int fd = mkstemp(path);
        ck_assert_int_eq(skep_mapping_create(hive, SKEP_MAPPING_OPTIONS(.path = path), &mapping), -EINVAL);
        ck_assert_int_eq(write(fd, "four", 4), 4);
        ck_assert_int_eq(skep_mapping_create(hive, SKEP_MAPPING_OPTIONS(.path = path, .bytes = 5), &mapping), -EINVAL);
        ck_assert_int_eq(skep_mapping_create(hive, SKEP_MAPPING_OPTIONS(.path = "/nowhere/at/all"), &mapping), -ENOENT);
        ck_assert_int_eq(skep_mapping_create(hive, SKEP_MAPPING_OPTIONS(.path = "/tmp", .flags = SKEP_MAPPING_READ_ONLY), &mapping), -EBADMSG);
        ck_assert_int_eq(skep_mapping_create(hive, NULL, &mapping), -EINVAL);
        ck_assert_int_eq(skep_mapping_create(hive, SKEP_MAPPING_OPTIONS(.bytes = 1u << 30), &mapping), -ENOSPC);
        ck_assert_int_eq(skep_mapping_create(hive, SKEP_MAPPING_OPTIONS(.path = path, .flags = SKEP_MAPPING_READ_ONLY, .name = "m"), &mapping), 0);
        ck_assert_int_eq(skep_mapping_write(mapping, 0, "x", 1), -EACCES);
        skep_mapping_unref(mapping);
        ck_assert_int_eq(skep_mapping_open(hive, "m", &mapping), 0);
        ck_assert_uint_eq(skep_mapping_bytes(mapping), 4);
        skep_mapping_unref(mapping);
        ck_assert_int_eq(skep_hive_forget(hive, "m"), 0);
        unlink(path);
        close(fd);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("memory");
        TCase *cases = tcase_create("memory");
        tcase_add_checked_fixture(cases, setup, teardown);
        tcase_add_test(cases, a_block_is_what_shm_open_knows);
        tcase_add_test(cases, bad_arguments_are_refused);
        tcase_add_test(cases, the_name_goes_with_the_last_user_of_any_hive);
        tcase_add_test(cases, persistent_blocks_and_those_of_others_stay);
        tcase_add_test(cases, a_name_that_was_reused_is_not_unlinked);
        tcase_add_test(cases, what_the_killed_used_goes_with_the_next_reap);
        tcase_add_test(cases, a_kept_name_outlives_its_killed_maker);
        tcase_add_loop_test(cases, what_a_killed_hive_used_is_swept, 0, 2);
        tcase_add_test(cases, a_name_left_to_the_hive_goes_with_it);
        tcase_add_test(cases, values_come_back_as_they_went_in);
        tcase_add_test(cases, what_is_no_list_is_refused_wherever_it_is_damaged);
        tcase_add_test(cases, no_reader_sees_half_a_value);
        tcase_add_loop_test(cases, a_mapping_is_passed_on, 0, 2);
        tcase_add_test(cases, bad_mappings_are_refused);
        suite_add_tcase(suite, cases);
        return suite_run(suite);
}
