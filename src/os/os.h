/* SPDX-License-Identifier: Apache-2.0 */
/*
 * os.h - the one door to the operating system.
 *
 * Every function returns 0 or a negative errno unless it says otherwise, retries EINTR itself and prints nothing.
 */
#ifndef OS_OS_H
#define OS_OS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- clock, machine --------------------------------------------------------------------------------------------- */

int64_t os_now_ns(void);          /* CLOCK_MONOTONIC */
int64_t os_pid(void);
int64_t os_thread(void);          /* kernel thread id */
uint64_t os_memory_bytes(void);   /* of the machine */
uint32_t os_cpu_count(void);
int os_random(void *buffer, size_t bytes);
void os_yield(void);

/* --- files -------------------------------------------------------------------------------------------------------- */

/* A sparse anonymous file that can be sealed. @return descriptor or negative errno */
int os_memfd(const char *name, uint64_t bytes);
/* A sparse file of the shared-memory directory, mode 0600, that has no name yet; and its name, -EEXIST. */
int os_shm_create(uint64_t bytes);
int os_shm_link(int fd, const char *name);
int os_shm_open(const char *name);
int os_shm_unlink(const char *name);
/* Calls visit for each name there that begins with prefix; stops at the first result not 0. */
int os_shm_list(const char *prefix, int (*visit)(const char *name, void *context), void *context);
/* A second open file description of the same file: locks of the two conflict. */
int os_reopen(int fd);
void os_close(int fd);
struct os_file {
        uint64_t bytes;
        uint64_t used_bytes;
        uint64_t device;
        uint64_t inode;
        uint32_t links;
        uint32_t mode;  /* permission bits and OS_MODE_* */
        uint32_t owner; /* user id */
};
#define OS_MODE_STICKY 01000u
#define OS_MODE_GROUP 02000u
int os_file_stat(int fd, struct os_file *ret_file);
int os_file_mode(int fd, uint32_t mode);
uint32_t os_user(void);
/* An existing file, by path. @return descriptor or negative errno */
int os_file_open(const char *path, bool writable);
int os_read_at(int fd, void *buffer, size_t bytes, uint64_t offset); /* -EIO if short */

/* --- memory ------------------------------------------------------------------------------------------------------- */

#define OS_MAP_ALIGN UINT64_C(65536)
int os_map(int fd, uint64_t bytes, void **ret_base);                 /* shared, writable, not reserved, not dumped; at OS_MAP_ALIGN */
int os_map_file(int fd, uint64_t bytes, bool writable, void **ret_base); /* shared, as it is */
int os_sync(void *base, uint64_t bytes);                             /* to the disk; base at a page boundary */
uint64_t os_page_bytes(void);
int os_map_private(uint64_t bytes, void **ret_base);                 /* zeros, not reserved, copied on fork */
void os_unmap(void *base, uint64_t bytes);
/* Take memory for a range of the file so that touching it cannot fail. -ENOSPC. Already taken: nothing changes. */
int os_commit(int fd, uint64_t offset, uint64_t bytes);
/* Give a range back; it reads as zeros. */
int os_punch(int fd, uint64_t offset, uint64_t bytes);

/* --- proof of life: one byte of a file under an open-file-description lock ----------------------------------------- */

int os_byte_lock(int fd, uint64_t offset);                           /* -EAGAIN somebody else holds it */
int os_byte_lock_wait(int fd, uint64_t offset);                      /* blocks while somebody else holds it */
int os_byte_share_wait(int fd, uint64_t offset);                     /* many may share; blocks while somebody holds it alone */
int os_byte_unlock(int fd, uint64_t offset);
/* 1 locked through another description, 0 not, negative errno */
int os_byte_is_locked(int fd, uint64_t offset);

/* --- sleeping ----------------------------------------------------------------------------------------------------- */

/* Sleep while *word == expected, until monotonic_ns. Returns 0 (also when woken without cause), -ETIMEDOUT or -EINTR. */
int os_futex_wait(uint32_t *word, uint32_t expected, int64_t monotonic_ns);
/* Sleep while all words are as expected. As os_futex_wait(), also -ENOSYS */
#define OS_FUTEX_MANY_MAX 128u
int os_futex_wait_many(uint32_t *const *words, const uint32_t *expected, uint32_t count, int64_t monotonic_ns);
bool os_futex_has_many(void);
/* @return how many were woken */
int os_futex_wake(uint32_t *word, int count);

/* A thread that takes no signals: they are for the program's own. -EAGAIN */
int os_thread_start(void *(*run)(void *argument), void *argument, pthread_t *ret_thread);

/* A descriptor that is readable while its count is not zero. */
int os_event_create(void);
void os_event_set(int fd);
void os_event_clear(int fd);

#endif
