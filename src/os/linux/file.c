/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - files, mappings, byte locks (os.h) on Linux. */
#include "os/os.h"

#include "base/checked.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHM_DIRECTORY "/dev/shm/"
#define PATH_BYTES (int)(sizeof SHM_DIRECTORY + NAME_MAX)

static int sized_or_closed(int fd, uint64_t bytes)
{
        if (fd < 0)
                return -errno;
        if (ftruncate(fd, (off_t)bytes) == 0)
                return fd;
        int result = -errno;
        close(fd);
        return result;
}

int os_memfd(const char *name, uint64_t bytes)
{
        int fd = sized_or_closed(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING), bytes);
        if (fd >= 0)
                (void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW); /* nobody can cut the mapping short */
        return fd;
}

static int shm_path(const char *name, char path[static PATH_BYTES])
{
        int length = snprintf(path, PATH_BYTES, SHM_DIRECTORY "%s", name);
        return length < PATH_BYTES ? 0 : -ENAMETOOLONG;
}

int os_shm_create(uint64_t bytes)
{
        return sized_or_closed(open(SHM_DIRECTORY, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600), bytes);
}

int os_shm_link(int fd, const char *name)
{
        char path[PATH_BYTES], self[64];
        int result = shm_path(name, path);
        if (result < 0)
                return result;
        snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
        return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) ? -errno : 0;
}

int os_shm_open(const char *name)
{
        char path[PATH_BYTES];
        int result = shm_path(name, path);
        if (result < 0)
                return result;
        int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

int os_shm_unlink(const char *name)
{
        char path[PATH_BYTES];
        int result = shm_path(name, path);
        if (result < 0)
                return result;
        return unlink(path) ? -errno : 0;
}

int os_shm_list(const char *prefix, int (*visit)(const char *name, void *context), void *context)
{
        DIR *directory = opendir(SHM_DIRECTORY);
        if (!directory)
                return -errno;
        int result = 0;
        for (struct dirent *entry; result == 0 && (entry = readdir(directory));)
                if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
                        result = visit(entry->d_name, context);
        closedir(directory);
        return result;
}

int os_reopen(int fd)
{
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int other = open(path, O_RDWR | O_CLOEXEC);
        return other < 0 ? -errno : other;
}

void os_close(int fd)
{
        if (fd >= 0)
                close(fd);
}

int os_file_stat(int fd, struct os_file *ret_file)
{
        struct stat status;
        if (fstat(fd, &status))
                return -errno;
        if (!S_ISREG(status.st_mode))
                return -EBADMSG;
        *ret_file = (struct os_file){
                .bytes = (uint64_t)status.st_size,
                .used_bytes = (uint64_t)status.st_blocks * 512,
                .device = status.st_dev,
                .inode = status.st_ino,
                .links = (uint32_t)status.st_nlink,
                .mode = status.st_mode & 07777,
                .owner = status.st_uid,
        };
        return 0;
}

int os_file_mode(int fd, uint32_t mode)
{
        return fchmod(fd, (mode_t)mode) ? -errno : 0;
}

uint32_t os_user(void)
{
        return geteuid();
}

int os_file_open(const char *path, bool writable)
{
        int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int os_read_at(int fd, void *buffer, size_t bytes, uint64_t offset)
{
        ssize_t count;
        do
                count = pread(fd, buffer, bytes, (off_t)offset);
        while (count < 0 && errno == EINTR);
        if (count < 0)
                return -errno;
        return (size_t)count == bytes ? 0 : -EIO;
}

int os_map(int fd, uint64_t bytes, void **ret_base)
{
        /* The kernel aligns to its own pages only: take more, map inside, give the ends back. */
        uint64_t used = align_up(bytes, (uint64_t)sysconf(_SC_PAGESIZE)), taken = used + OS_MAP_ALIGN;
        void *room = mmap(NULL, taken, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (room == MAP_FAILED)
                return -errno;
        uint64_t before = align_up((uintptr_t)room, OS_MAP_ALIGN) - (uintptr_t)room;
        void *base = mmap((uint8_t *)room + before, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
        if (base == MAP_FAILED) {
                int result = -errno;
                munmap(room, taken);
                return result;
        }
        if (before)
                munmap(room, before);
        if (taken - before > used)
                munmap((uint8_t *)base + used, taken - before - used);
        (void)madvise(base, bytes, MADV_DONTDUMP);
        (void)madvise(base, bytes, MADV_HUGEPAGE); /* granted only where shmem THP is set to advise */
        *ret_base = base;
        return 0;
}

int os_map_file(int fd, uint64_t bytes, bool writable, void **ret_base)
{
        void *base = mmap(NULL, bytes, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
        if (base == MAP_FAILED)
                return -errno;
        *ret_base = base;
        return 0;
}

int os_sync(void *base, uint64_t bytes)
{
        return msync(base, bytes, MS_SYNC) ? -errno : 0;
}

uint64_t os_page_bytes(void)
{
        return (uint64_t)sysconf(_SC_PAGESIZE);
}

int os_map_private(uint64_t bytes, void **ret_base)
{
        void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED)
                return -errno;
        *ret_base = base;
        return 0;
}

void os_unmap(void *base, uint64_t bytes)
{
        if (base)
                munmap(base, bytes);
}

int os_commit(int fd, uint64_t offset, uint64_t bytes)
{
        int result;
        do
                result = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes) ? -errno : 0;
        while (result == -EINTR);
        return result;
}

int os_punch(int fd, uint64_t offset, uint64_t bytes)
{
        return fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, (off_t)offset, (off_t)bytes) ? -errno : 0;
}

static struct flock byte_of(short type, uint64_t offset)
{
        return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)offset, .l_len = 1};
}

int os_byte_lock(int fd, uint64_t offset)
{
        struct flock byte = byte_of(F_WRLCK, offset);
        return fcntl(fd, F_OFD_SETLK, &byte) ? -errno : 0;
}

int os_byte_lock_wait(int fd, uint64_t offset)
{
        struct flock byte = byte_of(F_WRLCK, offset);
        while (fcntl(fd, F_OFD_SETLKW, &byte))
                if (errno != EINTR)
                        return -errno;
        return 0;
}

int os_byte_share_wait(int fd, uint64_t offset)
{
        struct flock byte = byte_of(F_RDLCK, offset);
        while (fcntl(fd, F_OFD_SETLKW, &byte))
                if (errno != EINTR)
                        return -errno;
        return 0;
}

int os_byte_unlock(int fd, uint64_t offset)
{
        struct flock byte = byte_of(F_UNLCK, offset);
        return fcntl(fd, F_OFD_SETLK, &byte) ? -errno : 0;
}

int os_byte_is_locked(int fd, uint64_t offset)
{
        struct flock byte = byte_of(F_WRLCK, offset);
        if (fcntl(fd, F_OFD_GETLK, &byte))
                return -errno;
        return byte.l_type != F_UNLCK;
}

int os_event_create(void)
{
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

void os_event_set(int fd)
{
        (void)eventfd_write(fd, 1);
}

void os_event_clear(int fd)
{
        eventfd_t count;
        (void)eventfd_read(fd, &count);
}
