/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared_memory.c - blocks with a name of the operating system (skep/shared_memory.h).
 *
 * USE.     Who uses a file shares the lock on its byte 0 (open file description: the kernel drops it with the last process that
 *          has the descriptor, by fork too).  Who removes a name holds that lock alone meanwhile.  Who has opened a file locks
 *          it and looks whether it still has a name: so nobody ever uses a file whose name skep removes.
 * MARK.    The sticky bit of the file's mode, which means nothing for a file, says: made by skep, goes with its last user.
 *          The set-group bit beside it: left to a hive, goes with the hive.
 *
 *   file's mode   state        left by                                             to
 *   (no name)     being made   link: one step, locked before                       USED
 *   01600         USED         last lock gone: any remover                         gone
 *                              leave()                                             LEFT
 *   03600         LEFT         unlink(); last member that leaves; sweep(LEFT)      gone
 *   00600         persistent, or not skep's: unlink() only
 *
 * CRASH.   dies                                 found as                           repaired by
 *          before the link                      a file without name                the kernel
 *          after the link, using it             a note in the hive, no lock        the reaper: destroy() of the note
 *          with its whole hive                  01600, no lock                     the next maker's sweep
 *          after keep(), in order or in leave() a note that claims itself, 01600   as above; the note goes with the hive
 *          after keep(), killed                 the same                           the reaper: makes it LEFT
 *          holding the lock alone               a file nobody has locked           the next remover
 */
#include "memory/memory.h"

#include "base/probe.h"
#include "os/os.h"
#include "sync/lock.h"

#include <errno.h>
#include <skep/inspect.h>
#include <stdio.h>
#include <string.h>

#define MODE_PERSISTENT 0600u
#define MODE_USED (0600u | OS_MODE_STICKY)
#define MODE_LEFT (0600u | OS_MODE_STICKY | OS_MODE_GROUP)
#define LOCK_BYTE 0u
#define GENERATED_PREFIX "skep_"
#define SWEEP_EVERY 64u
#define NAMES_TRIED 8

static struct shm_shared_memory *shared_of(const skep_shared_memory *memory)
{
        return memory->base.shared;
}

/* The name without slashes at its head. @return 0, -EINVAL, -ENAMETOOLONG */
static int file_of(const char *name, char file[static MEMORY_NAME_MAX + 1])
{
        name += strspn(name, "/");
        size_t bytes = strlen(name);
        if (bytes > MEMORY_NAME_MAX)
                return -ENAMETOOLONG;
        if (!bytes || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
                return -EINVAL;
        memset(file, 0, MEMORY_NAME_MAX + 1);
        memcpy(file, name, bytes);
        return 0;
}

static int name_make(char file[static MEMORY_NAME_MAX + 1])
{
        uint32_t random[2];
        memset(file, 0, MEMORY_NAME_MAX + 1);
        int result = os_random(random, sizeof random);
        if (result == 0)
                snprintf(file, MEMORY_NAME_MAX + 1, GENERATED_PREFIX "%08x%08x", random[0], random[1]);
        return result;
}

/* --- removing -------------------------------------------------------------------------------------------------------------- */

/* Remove the name if nobody uses the file. @param only  this file; NULL: whatever has the name @return whether it was removed */
static bool remove_unused(const char *file, const struct shm_shared_memory *only, bool left_too)
{
        struct os_file status;
        int fd = os_shm_open(file);
        bool removed = fd >= 0 && os_file_stat(fd, &status) == 0 && (!only || (status.inode == only->inode && status.device == only->device)) &&
                       status.owner == os_user() && (status.mode == MODE_USED || (left_too && status.mode == MODE_LEFT)) &&
                       os_byte_lock(fd, LOCK_BYTE) == 0 && os_file_stat(fd, &status) == 0 && status.links &&
                       (left_too || status.mode == MODE_USED) && os_shm_unlink(file) == 0;
        os_close(fd);
        return removed;
}

struct sweep {
        uint32_t flags;
        uint32_t count;
};

static int sweep_one(const char *file, void *context)
{
        struct sweep *sweep = context;
        sweep->count += remove_unused(file, NULL, sweep->flags & SKEP_SWEEP_LEFT);
        return 0;
}

int skep_shared_memory_sweep(uint32_t flags, uint32_t *ret_count)
{
        struct sweep sweep = {flags, 0};
        int result = flags & ~SKEP_SWEEP_LEFT ? -EINVAL : os_shm_list("", sweep_one, &sweep);
        if (result == 0 && ret_count)
                *ret_count = sweep.count;
        return result;
}

static void sweep_now_and_then(void)
{
        static uint32_t created;
        struct sweep sweep = {0};
        if (skep_fetch_add32(&created, 1) % SWEEP_EVERY == 0)
                (void)os_shm_list("", sweep_one, &sweep);
}

/* --- the note ---------------------------------------------------------------------------------------------------------------- */

static void memory_destroy(struct skep_agent *agent, struct shm_block *block)
{
        uint64_t bytes;
        const struct shm_shared_memory *note = heap_data(agent->hive, block, &bytes);
        struct shm_shared_memory copy;
        if (!note || bytes < sizeof copy)
                return;
        memcpy(&copy, note, sizeof copy); /* shared memory: anybody may have written there */
        copy.name[MEMORY_NAME_MAX] = 0;
        char file[MEMORY_NAME_MAX + 1];
        if (file_of(copy.name, file) == 0)
                (void)remove_unused(file, &copy, false);
}

static void memory_inspect(skep_hive *hive, struct shm_block *block, struct skep_object_info *info)
{
        uint64_t bytes;
        const struct shm_shared_memory *note = heap_data(hive, block, &bytes);
        if (!note || bytes < sizeof *note)
                return;
        snprintf(info->name, sizeof info->name, "%.*s", (int)sizeof info->name - 1, note->name);
        info->value = skep_load(&note->left) != 0;
}

static void memory_recover(struct reap *reap, struct shm_block *block);
static void note_drop_if_unlinked(skep_shared_memory *memory);

static const struct kind memory_kind = {
        .name = "shared memory",
        .shared_bytes = sizeof(struct shm_shared_memory),
        .handle_bytes = sizeof(struct skep_shared_memory),
        .destroy = memory_destroy,
        .recover = memory_recover,
        .inspect = memory_inspect,
};

static void note_format(void *shared, const void *options)
{
        memcpy(shared, options, sizeof(struct shm_shared_memory));
}

/* --- handles ----------------------------------------------------------------------------------------------------------------- */

/* A handle for the file behind fd, which is locked. @param fd_take  closed on failure */
static int memory_wrap(skep_hive *hive, const char *file, int fd_take, const struct os_file *status, void *address, skep_shared_memory **ret_memory)
{
        struct shm_shared_memory note = {.device = status->device, .inode = status->inode};
        struct object *object;
        memcpy(note.name, file, sizeof note.name);
        int result = object_create(hive, BLOCK_SHARED_MEMORY, NULL, sizeof note, note_format, &note, &object);
        if (result < 0) {
                os_unmap(address, status->bytes);
                os_close(fd_take);
                return result;
        }
        skep_shared_memory *memory = (skep_shared_memory *)object;
        memory->address = address;
        memory->bytes = status->bytes;
        memory->references = 1;
        memory->fd = fd_take;
        memcpy(memory->name, file, sizeof memory->name);
        *ret_memory = memory;
        return 0;
}

/* A whole file without a name, marked and locked. @return descriptor or negative errno */
static int file_make(uint64_t bytes, uint32_t flags)
{
        int fd = os_shm_create(bytes);
        int result = fd < 0 ? fd : os_commit(fd, 0, bytes);
        if (result == 0)
                result = os_file_mode(fd, flags & SKEP_SHARED_MEMORY_PERSISTENT ? MODE_PERSISTENT : MODE_USED);
        if (result == 0)
                result = os_byte_share_wait(fd, LOCK_BYTE);
        if (result == 0)
                return fd;
        if (fd >= 0)
                os_close(fd);
        return result;
}

/* Give the file its name; a name that only a dead one's file bears is free. */
static int file_link(int fd, const char *file)
{
        int result = os_shm_link(fd, file);
        if (result == -EEXIST && remove_unused(file, NULL, false))
                result = os_shm_link(fd, file);
        if (result == 0)
                PROBE("memory.linked");
        return result;
}

static int memory_create_once(skep_hive *hive, const char *file, uint64_t bytes, uint32_t flags, memory_format *format, const void *context,
                              skep_shared_memory **ret_memory)
{
        skep_shared_memory *memory;
        struct os_file status;
        void *address = NULL;
        int fd = file_make(bytes, flags);
        if (fd == -ENOSPC && skep_shared_memory_sweep(0, NULL) == 0)
                fd = file_make(bytes, flags);
        if (fd < 0)
                return fd;
        int result = os_file_stat(fd, &status);
        if (result == 0)
                result = os_map(fd, bytes, &address);
        if (result == 0 && format)
                result = format(address, bytes, context);
        if (result < 0) {
                os_unmap(address, bytes);
                os_close(fd);
                return result;
        }
        result = memory_wrap(hive, file, fd, &status, address, &memory);
        if (result == 0 && (result = file_link(fd, file)) < 0)
                skep_shared_memory_unref(memory);
        if (result == 0)
                *ret_memory = memory;
        return result;
}

int memory_create(skep_hive *hive, const struct skep_shared_memory_options *given, memory_format *format, const void *context,
                  skep_shared_memory **ret_memory)
{
        struct skep_shared_memory_options options;
        char file[MEMORY_NAME_MAX + 1];
        int result = options_copy(&options, sizeof options, given);
        if (result == 0 && (!options.bytes || options.bytes > INT64_MAX || (options.flags & ~SKEP_SHARED_MEMORY_PERSISTENT) || options.reserved))
                result = -EINVAL;
        if (result == 0 && options.name)
                result = file_of(options.name, file);
        if (result < 0)
                return result;
        result = skep_hive_reap(hive, NULL);
        if (result < 0)
                return result;
        sweep_now_and_then();
        if (options.name)
                return memory_create_once(hive, file, options.bytes, options.flags, format, context, ret_memory);
        result = -EEXIST;
        for (int i = 0; i < NAMES_TRIED && result == -EEXIST; i++) {
                result = name_make(file);
                if (result == 0)
                        result = memory_create_once(hive, file, options.bytes, options.flags, format, context, ret_memory);
        }
        return result;
}

int skep_shared_memory_create(skep_hive *hive, const struct skep_shared_memory_options *options, skep_shared_memory **ret_memory)
{
        return memory_create(hive, options, NULL, NULL, ret_memory);
}

/* Open, and use it before its name goes: see USE. @return descriptor, locked, or negative errno */
static int file_use(const char *file, struct os_file *ret_status)
{
        for (;;) {
                int fd = os_shm_open(file);
                if (fd < 0)
                        return fd;
                int result = os_byte_share_wait(fd, LOCK_BYTE);
                if (result == 0)
                        result = os_file_stat(fd, ret_status);
                if (result == 0 && ret_status->links)
                        return fd;
                os_close(fd);
                if (result < 0)
                        return result;
        }
}

int skep_shared_memory_open(skep_hive *hive, const char *name, skep_shared_memory **ret_memory)
{
        char file[MEMORY_NAME_MAX + 1];
        struct os_file status;
        void *address = NULL;
        int result = file_of(name, file);
        if (result < 0)
                return result;
        int fd = file_use(file, &status);
        if (fd < 0)
                return fd;
        if (!status.bytes)
                result = -EBADMSG;
        if (result == 0 && status.used_bytes < status.bytes)
                result = os_commit(fd, 0, status.bytes); /* made by somebody who did not */
        if (result == 0)
                result = os_map(fd, status.bytes, &address);
        if (result == 0)
                return memory_wrap(hive, file, fd, &status, address, ret_memory);
        os_close(fd);
        return result;
}

skep_shared_memory *skep_shared_memory_ref(skep_shared_memory *memory)
{
        (void)skep_fetch_add32(&memory->references, 1);
        return memory;
}

skep_shared_memory *skep_shared_memory_unref(skep_shared_memory *memory)
{
        if (memory && skep_fetch_add32(&memory->references, UINT32_MAX) == 1) {
                note_drop_if_unlinked(memory);
                skep_shared_memory_unmap(memory);
                os_close(memory->fd);
                object_unref(&memory->base); /* after the lock: memory_destroy() asks for it */
        }
        return NULL;
}

void skep_shared_memory_unmap(skep_shared_memory *memory)
{
        os_unmap(memory->address, memory->bytes);
        memory->address = NULL;
}

void *skep_shared_memory_address(const skep_shared_memory *memory)
{
        return memory->address;
}

uint64_t skep_shared_memory_bytes(const skep_shared_memory *memory)
{
        return memory->bytes;
}

const char *skep_shared_memory_name(const skep_shared_memory *memory)
{
        return memory->name;
}

skep_hive *skep_shared_memory_hive(const skep_shared_memory *memory)
{
        return memory->base.hive;
}

/* Does the name stand for the file of the note? */
static bool names_file(const char *file, const struct shm_shared_memory *note)
{
        struct os_file status;
        int fd = os_shm_open(file);
        bool same = fd >= 0 && os_file_stat(fd, &status) == 0 && status.inode == note->inode && status.device == note->device;
        os_close(fd);
        return same;
}

int skep_shared_memory_is_linked(const skep_shared_memory *memory)
{
        return names_file(memory->name, shared_of(memory));
}

int skep_shared_memory_unlink(skep_shared_memory *memory)
{
        return names_file(memory->name, shared_of(memory)) ? os_shm_unlink(memory->name) : -ENOENT;
}

/* --- what is left to the hive ------------------------------------------------------------------------------------------------- */

struct left_walk {
        struct skep_agent *agent;
        bool all;
};

/* The hive no longer wants it: the note goes, and with it the name if nobody uses the file. */
static int left_drop(skep_hive *hive, struct shm_block *block, void *context)
{
        const struct left_walk *walk = context;
        uint64_t bytes;
        if (word_state(skep_load(&block->word)) != BLOCK_LIVE || block->kind != BLOCK_SHARED_MEMORY)
                return 0;
        struct shm_shared_memory *note = heap_data(hive, block, &bytes);
        if (!note || bytes < sizeof *note || skep_load(&note->left) != hive_offset(hive, block))
                return 0;
        char file[MEMORY_NAME_MAX + 1];
        memcpy(file, note->name, sizeof file);
        file[MEMORY_NAME_MAX] = 0;
        if (walk->all)
                (void)remove_unused(file, note, true);
        else if (names_file(file, note))
                return 0;
        claim_unlink(walk->agent, &note->left);
        return 0;
}

/* Under names_lock, as two must not drop the same. */
static void left_sweep(struct skep_agent *agent, bool all)
{
        struct left_walk walk = {agent, all};
        if (lock_acquire_inner(agent, &agent->hive->heap->names_lock) < 0)
                return;
        (void)heap_walk(agent->hive, agent, left_drop, &walk);
        lock_release_inner(agent, &agent->hive->heap->names_lock);
}

/* The note claims itself, so that nobody's death takes it away. Under names_lock. */
static int note_keep(struct skep_agent *agent, skep_shared_memory *memory)
{
        struct shm_shared_memory *note = shared_of(memory);
        return skep_load(&note->left) ? 0 : claim_link(agent, &note->left, memory->base.block);
}

/* Has the handle a name to keep that would go otherwise? @return 1 yes, 0 no, negative */
static int keeps_name(const skep_shared_memory *memory)
{
        struct os_file status;
        int result = memory->fd < 0 ? 0 : os_file_stat(memory->fd, &status);
        return result < 0 || memory->fd < 0 ? result : status.mode == MODE_USED && names_file(memory->name, shared_of(memory));
}

int skep_shared_memory_keep(skep_shared_memory *memory)
{
        struct skep_agent *agent;
        int result = keeps_name(memory);
        if (result > 0)
                result = object_self(&memory->base, &agent);
        else
                return result;
        if (result == 0)
                result = lock_acquire_inner(agent, &agent->hive->heap->names_lock);
        if (result < 0)
                return result;
        result = note_keep(agent, memory);
        lock_release_inner(agent, &agent->hive->heap->names_lock);
        return result;
}

int skep_shared_memory_leave(skep_shared_memory *memory)
{
        struct skep_agent *agent;
        int result = keeps_name(memory);
        if (result > 0)
                result = object_self(&memory->base, &agent);
        else
                return result;
        if (result < 0)
                return result;
        left_sweep(agent, false);
        result = lock_acquire_inner(agent, &agent->hive->heap->names_lock);
        if (result < 0)
                return result;
        result = note_keep(agent, memory);
        if (result == 0)
                result = os_file_mode(memory->fd, MODE_LEFT);
        lock_release_inner(agent, &agent->hive->heap->names_lock);
        if (result == 0) {
                os_close(memory->fd);
                memory->fd = -1;
        }
        return result;
}

/* A kept name that somebody has unlinked needs no note any more. */
static void note_drop_if_unlinked(skep_shared_memory *memory)
{
        struct skep_agent *agent;
        struct shm_shared_memory *note = shared_of(memory);
        if (!skep_load(&note->left) || names_file(memory->name, note) || object_self(&memory->base, &agent) < 0 ||
            lock_acquire_inner(agent, &agent->hive->heap->names_lock) < 0)
                return;
        if (skep_load(&note->left) == hive_offset(agent->hive, memory->base.block))
                claim_unlink(agent, &note->left);
        lock_release_inner(agent, &agent->hive->heap->names_lock);
}

/* Who was killed and had said keep: as if he had left it to the hive. */
static void memory_recover(struct reap *reap, struct shm_block *block)
{
        uint64_t bytes;
        const struct shm_shared_memory *note = heap_data(reap->hive, block, &bytes);
        bool his = skep_load(&block->members[reap->member / 64]) >> reap->member % 64 & 1;
        if (reap->orderly || !his || !note || bytes < sizeof *note || skep_load(&note->left) != hive_offset(reap->hive, block))
                return;
        char file[MEMORY_NAME_MAX + 1];
        struct os_file status;
        memcpy(file, note->name, sizeof file);
        file[MEMORY_NAME_MAX] = 0;
        int fd = os_shm_open(file);
        if (fd >= 0 && os_file_stat(fd, &status) == 0 && status.inode == note->inode && status.device == note->device && status.mode == MODE_USED)
                (void)os_file_mode(fd, MODE_LEFT);
        os_close(fd);
}

/* Any note at all: of the dead too, which the reaper has not met yet. */
static int note_exists(skep_hive *hive, struct shm_block *block, void *context)
{
        (void)hive;
        (void)context;
        return word_state(skep_load(&block->word)) == BLOCK_LIVE && block->kind == BLOCK_SHARED_MEMORY;
}

static void memory_leave(skep_hive *hive)
{
        struct skep_agent *agent;
        if (member_is_last(hive) && heap_walk(hive, NULL, note_exists, NULL) > 0 && skep_hive_reap(hive, NULL) == 0 && agent_self(hive, &agent) == 0)
                left_sweep(agent, true);
}

__attribute__((constructor)) static void memory_register(void)
{
        kind_register(BLOCK_SHARED_MEMORY, &memory_kind);
        leave_register(memory_leave);
}
