/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hive_fuzz.c - a hive file from a stranger: whatever stands in it, calls fail or succeed, but neither crash nor hang.
 *
 * The input changes a sound image whose maker died: byte 0 truncates the file to 64 KiB times it (0: not), then follow
 * patches of 11 bytes {region 1, offset 2, value 8}; region 0 to 6 is the table of that number, 7 the first page of data.
 */
#include "hive/hive.h"

#include <skep/skep.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CAPACITY (2u << 20)
#define PATCH_BYTES 11u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static uint8_t image[CAPACITY];
static struct shm_layout layout;

static void must(int result)
{
        if (result < 0)
                abort();
}

static void make_image(void)
{
        static const char text[1000] = "long";
        skep_hive *hive;
        skep_queue *queue;
        skep_array *array;
        must(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = CAPACITY, .member_max = 4, .agent_max = 8), &hive));
        must(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "q", .capacity = 4), &queue));
        must(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_F32, .dimension_count = 1, .shape = (const uint64_t[]){9}), &array));
        must(skep_queue_put(queue, "small", 6, skep_nowait()));
        must(skep_queue_put(queue, text, sizeof text, skep_nowait()));
        must(skep_queue_put_array(queue, array, skep_nowait()));
        memcpy(image, hive->base, hive->layout.data_at + 4 * PAGE_BYTES);
        layout = hive->layout;
        skep_array_unref(array);
        skep_queue_unref(queue);
        skep_hive_detach(hive);
}

static int fd_of(const uint8_t *data, size_t bytes)
{
        const uint64_t regions[] = {0, layout.members_at, layout.agents_at, layout.names_at, layout.heap_at, layout.blocks_at, layout.data_at, layout.data_at};
        int fd = memfd_create("fuzz", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, CAPACITY) < 0)
                abort();
        for (uint64_t at = 0; at < CAPACITY; at += 4096)
                if (image[at] || memcmp(image + at, image + at + 1, 4095))
                        if (pwrite(fd, image + at, 4096, (off_t)at) != 4096)
                                abort();
        for (size_t at = 1; at + PATCH_BYTES <= bytes; at += PATCH_BYTES) {
                uint64_t offset = regions[data[at] % 8] + (uint64_t)(data[at + 1] | data[at + 2] << 8);
                if (pwrite(fd, data + at + 3, 8, (off_t)offset) != 8)
                        abort();
        }
        if (bytes && data[0] && ftruncate(fd, (off_t)(data[0] * PAGE_BYTES)) < 0)
                abort();
        return fd;
}

static int look(const struct skep_object_entry *entry, void *context)
{
        *(size_t *)context += strlen(entry->name) + strlen(entry->kind);
        return 0;
}

static void use_queue(skep_queue *queue)
{
        char buffer[64];
        size_t got;
        struct skep_loan loan;
        skep_array *array;
        (void)!skep_queue_get(queue, buffer, sizeof buffer, &got, skep_nowait());
        for (int i = 0; i < 3 && skep_queue_borrow(queue, &loan, skep_nowait()) >= 0; i++) {
                volatile uint8_t sum = 0;
                for (size_t j = 0; j < loan.bytes && j < 4096; j++)
                        sum = (uint8_t)(sum + ((uint8_t *)loan.data)[j]);
                if (skep_loan_array(&loan, &array) == 0)
                        skep_array_unref(array);
                if (i == 1)
                        skep_queue_put_back(&loan);
                else
                        skep_queue_give_back(&loan);
        }
        (void)!skep_queue_put(queue, "new", 4, skep_nowait());
        (void)skep_queue_size(queue);
        (void)skep_queue_is_full(queue);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
        struct skep_verify_report report;
        struct skep_hive_stat stat;
        skep_hive *hive;
        skep_queue *queue;
        size_t length = 0;
        if (!layout.data_at)
                make_image();
        int fd = fd_of(data, bytes);
        if (skep_hive_attach(fd, &hive) == 0) {
                (void)!skep_hive_verify(hive, &report);
                (void)!skep_hive_stat(hive, &stat);
                (void)!skep_hive_names(hive, look, &length);
                if (skep_queue_open(hive, "q", &queue) == 0) {
                        use_queue(queue);
                        skep_queue_unref(queue);
                }
                (void)!skep_hive_reap(hive, NULL);
                skep_hive_detach(hive);
        }
        close(fd);
        return 0;
}
