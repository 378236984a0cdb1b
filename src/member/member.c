/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.c - join, leave, fork, and proof of life.  Public: skep_hive_create, _attach, _open, _detach and the list of names.
 *
 * LIFE.  A member holds a lock on the first byte of its slot through an open file description of its own, close-on-exec.
 *        The kernel drops it when the process ends, in whatever way; a zombie has dropped it.  There is no other sign of
 *        life and no time limit.
 * FORK.  prepare: for each handle take a slot for the child through a new description and let the child claim what we
 *        claim; parent: close that description; child: keep it, close the parent's.  If fork() failed, nobody holds the
 *        description any more, so the slot is a dead member's and is reaped: a roll-back without code.  If no slot could
 *        be had, the child's handle is dead and its calls say -ESTALE.
 * NOTE.  A child made behind the C library's back (raw clone without exec) keeps the parent's description open and with it
 *        the parent's proof of life.
 */
#include "base/checked.h"
#include "base/probe.h"
#include "member/private.h"
#include "os/os.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "skep."

pthread_mutex_t process_mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static const pthread_mutex_t process_mutex_initial = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static skep_hive *handles;
static uint32_t epochs;
static fork_prepare_function *fork_prepare_claims;
static fork_child_function *fork_child_claims;
static attach_function *attach_claims;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

void fork_register(fork_prepare_function *prepare, fork_child_function *child)
{
        fork_prepare_claims = prepare;
        fork_child_claims = child;
}

void attach_register(attach_function *function)
{
        attach_claims = function;
}

bool member_is_dead(const skep_hive *hive, uint32_t member)
{
        if (member == hive->member || member + 1 == skep_load32(&hive->reaping))
                return false;
        return os_byte_is_locked(hive->life_fd, member_byte(hive, member)) == 0;
}

bool member_is_live(const skep_hive *hive, uint32_t member)
{
        return member_in_use(hive, member) && !member_is_dead(hive, member);
}

int64_t member_pid(const skep_hive *hive, uint32_t member)
{
        return (int64_t)skep_load_relaxed(&hive->members[member].pid);
}

static void member_pid_write(struct shm_member *slot)
{
        skep_store_relaxed(&slot->pid, (uint64_t)os_pid());
}

static void member_write(skep_hive *hive, uint32_t member)
{
        struct shm_member *slot = &hive->members[member];
        member_pid_write(slot);
        skep_store_relaxed(&slot->leaving, 0);
        skep_store(&slot->word, member_word((uint32_t)(skep_load(&slot->word) >> 32), 1));
        PROBE("member.take");
}

/* @p reap: also take the slots of the dead, after reaping them */
static int member_search(skep_hive *hive, int fd, bool reap, uint32_t *ret_member)
{
        for (uint32_t member = 0; member < hive->member_max; member++) {
                if ((!reap && member_in_use(hive, member)) || os_byte_lock(fd, member_byte(hive, member)) < 0)
                        continue;
                int result = 0;
                if (member_in_use(hive, member)) {
                        struct skep_reap_report report = {0};
                        result = reap ? reap_member(hive, member, &report) : -EAGAIN;
                }
                if (result == 0) {
                        member_write(hive, member);
                        *ret_member = member;
                        return 0;
                }
                (void)os_byte_unlock(fd, member_byte(hive, member));
        }
        return -EUSERS;
}

int member_take(skep_hive *hive, int fd, uint32_t *ret_member)
{
        int result = member_search(hive, fd, false, ret_member);
        return result == -EUSERS ? member_search(hive, fd, true, ret_member) : result;
}

/* Reaping goes through our own description: the child's must not hold the dead's byte while we are at work. */
static int fork_slot(skep_hive *hive)
{
        int result = member_search(hive, hive->fork_fd, false, &hive->fork_member);
        if (result != -EUSERS)
                return result;
        pthread_mutex_unlock(&hive->mutex);
        result = skep_hive_reap(hive, NULL);
        pthread_mutex_lock(&hive->mutex);
        return result < 0 ? result : member_search(hive, hive->fork_fd, false, &hive->fork_member);
}

static void fork_prepare(void)
{
        pthread_mutex_lock(&process_mutex);
        for (skep_hive *hive = handles; hive; hive = hive->next) {
                struct skep_agent *agent;
                int result = agent_self(hive, &agent);
                pthread_mutex_lock(&hive->mutex);
                hive->fork_fd = result < 0 ? result : os_reopen(hive->fd);
                if (hive->fork_fd >= 0)
                        result = fork_slot(hive);
                if (hive->fork_fd >= 0 && result == 0)
                        result = fork_prepare_claims(agent, hive->fork_member);
                if (result < 0) {
                        os_close(hive->fork_fd); /* the child's handle will be dead, and say so */
                        hive->fork_fd = -1;
                }
        }
}

static void fork_parent(void)
{
        for (skep_hive *hive = handles; hive; hive = hive->next) {
                os_close(hive->fork_fd);
                hive->fork_fd = -1;
                pthread_mutex_unlock(&hive->mutex);
        }
        pthread_mutex_unlock(&process_mutex);
}

static void fork_child(void)
{
        for (skep_hive *hive = handles; hive; hive = hive->next) {
                os_close(hive->life_fd);
                hive->life_fd = hive->fork_fd;
                hive->member = hive->fork_fd < 0 ? MEMBER_NONE : hive->fork_member;
                hive->fork_fd = -1;
                hive->epoch = ++epochs;
                hive->fork_alone = hive->agent_list && !hive->agent_list->next;
                agents_forget(hive);
                pthread_mutex_init(&hive->mutex, NULL); /* held by a thread that has another id here */
        }
        process_mutex = process_mutex_initial;
        for (skep_hive *hive = handles; hive; hive = hive->next)
                if (hive->member != MEMBER_NONE) {
                        member_pid_write(&hive->members[hive->member]);
                        if (!hive->fork_alone)
                                fork_child_claims(hive);
                }
}

static void fork_handlers_install(void)
{
        (void)pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static int join(int fd_take, skep_hive **ret_hive)
{
        skep_hive *hive;
        int result = hive_map(fd_take, &hive);
        if (result < 0)
                return result;
        pthread_once(&fork_once, fork_handlers_install);
        pthread_mutex_init(&hive->mutex, NULL);
        hive->member = MEMBER_NONE - 1; /* nobody yet, but may reap */
        hive->life_fd = result = os_reopen(hive->fd);
        if (result >= 0)
                result = attach_claims(hive);
        if (result >= 0)
                result = member_take(hive, hive->life_fd, &hive->member);
        if (result < 0) {
                os_close(hive->life_fd);
                hive_unmap(hive);
                return result;
        }
        pthread_mutex_lock(&process_mutex);
        hive->epoch = ++epochs;
        hive->next = handles;
        handles = hive;
        pthread_mutex_unlock(&process_mutex);
        *ret_hive = hive;
        return 0;
}

/* Does anybody live in the hive behind fd? Asked through a description of our own, without joining. */
static uint32_t members_alive(int fd, const struct shm_hive *header)
{
        uint32_t count = 0;
        for (uint32_t member = 0; member < header->member_max; member++)
                count += os_byte_is_locked(fd, header->layout.members_at + member * sizeof(struct shm_member)) == 1;
        return count;
}

static void file_name(const char *name, char buffer[static sizeof PREFIX + SKEP_NAME_MAX])
{
        snprintf(buffer, sizeof PREFIX + SKEP_NAME_MAX, PREFIX "%s", name);
}

/*
 * NAMES.  A file gets its name when its maker is a member, so nobody ever sees half a hive.  A name goes when nobody lives
 * behind it and nobody meant to keep it: with the last member that leaves in order, or with whoever comes across it later.  Looking
 * and removing are one step under the lock on byte 0; who has joined by name takes that lock once and then knows whether the name stood.
 * @param leaver  a member that goes: those who leave too count as gone.  NULL: nobody
 */
static void name_remove_if_deserted(int fd, const char *file, const skep_hive *leaver)
{
        struct shm_hive header;
        struct os_file status;
        if (os_byte_lock_wait(fd, 0) < 0)
                return;
        if (hive_check(fd, &header) == 0 && !(header.flags & SKEP_HIVE_PERSISTENT) &&
            (leaver ? member_is_last(leaver) : !members_alive(fd, &header)) && os_file_stat(fd, &status) == 0 && status.links)
                (void)os_shm_unlink(file);
        (void)os_byte_unlock(fd, 0);
}

static int name_give(int fd, const char *name)
{
        char file[sizeof PREFIX + SKEP_NAME_MAX];
        file_name(name, file);
        int result = os_shm_link(fd, file);
        int old = result == -EEXIST ? os_shm_open(file) : -1;
        if (old >= 0) {
                name_remove_if_deserted(old, file, NULL);
                result = os_shm_link(fd, file);
        }
        os_close(old);
        return result;
}

int skep_hive_create(const struct skep_hive_options *given, skep_hive **ret_hive)
{
        struct skep_hive_options options;
        int result = options_copy(&options, sizeof options, given);
        if (result == 0 && options.name)
                result = name_check(options.name);
        if (result < 0)
                return result;
        if ((options.flags & ~SKEP_HIVE_PERSISTENT) || options.reserved || options.capacity_bytes > HIVE_CAPACITY_MAX)
                return -EINVAL;
        uint64_t capacity = options.capacity_bytes ? align_up(options.capacity_bytes, PAGE_BYTES) : power_of_two_from(os_memory_bytes());
        struct shm_layout layout;
        result = layout_of(capacity, options.member_max ? options.member_max : 1, options.agent_max ? options.agent_max : 1, &layout);
        if (result < 0)
                return result;
        int fd = options.name ? os_shm_create(capacity) : os_memfd("skep", capacity);
        if (fd < 0)
                return fd;
        skep_hive *hive = NULL;
        result = hive_format(fd, &options, capacity);
        if (result < 0)
                os_close(fd);
        else
                result = join(fd, &hive);
        if (result == 0 && options.name && (result = name_give(hive->fd, options.name)) < 0)
                hive = skep_hive_detach(hive);
        if (result == 0)
                *ret_hive = hive;
        return result;
}

int skep_hive_attach(int fd, skep_hive **ret_hive)
{
        int mine = os_reopen(fd);
        return mine < 0 ? mine : join(mine, ret_hive);
}

int skep_hive_open(const char *name, skep_hive **ret_hive)
{
        int result = name_check(name);
        if (result < 0)
                return result;
        char file[sizeof PREFIX + SKEP_NAME_MAX];
        file_name(name, file);
        int fd = os_shm_open(file);
        if (fd < 0)
                return fd;
        skep_hive *hive;
        result = join(fd, &hive);
        if (result < 0)
                return result;
        struct os_file status = {0};
        if (os_byte_lock_wait(hive->life_fd, 0) == 0) /* see NAMES */
                (void)os_byte_unlock(hive->life_fd, 0);
        if (os_file_stat(hive->fd, &status) < 0 || !status.links) {
                skep_hive_detach(hive); /* removed by its last member while we came */
                return -ENOENT;
        }
        *ret_hive = hive;
        return 0;
}

/* Our own name, as the last member that is alive and stays. */
static void name_leave(const skep_hive *hive)
{
        char name[SKEP_NAME_MAX + 1], file[sizeof PREFIX + SKEP_NAME_MAX];
        memcpy(name, hive->header->name, sizeof name);
        name[SKEP_NAME_MAX] = 0; /* shared memory: anybody may have written there */
        if (name_check(name) < 0)
                return;
        file_name(name, file);
        struct os_file ours, theirs;
        int fd = os_shm_open(file); /* ours still, or another hive of that name? */
        if (fd >= 0 && os_file_stat(hive->fd, &ours) == 0 && os_file_stat(fd, &theirs) == 0 && ours.inode == theirs.inode && ours.device == theirs.device)
                name_remove_if_deserted(hive->life_fd, file, hive);
        os_close(fd);
}

static leave_function *leave_functions[2];

void leave_register(leave_function *function)
{
        leave_functions[leave_functions[0] != NULL] = function;
}

bool member_is_last(const skep_hive *hive)
{
        for (uint32_t member = 0; member < hive->member_max; member++)
                if (member != hive->member && !skep_load(&hive->members[member].leaving) && member_is_live(hive, member))
                        return false;
        return true;
}

/* Two that leave at the same time both see that the other does: the store comes before the look. */
static void leave_announce(skep_hive *hive)
{
        if (hive->member == MEMBER_NONE)
                return;
        (void)skep_exchange(&hive->members[hive->member].leaving, 1);
        for (int i = 0; i < 2 && leave_functions[i]; i++)
                leave_functions[i](hive);
        if (hive->header->name[0])
                name_leave(hive);
}

skep_hive *skep_hive_detach(skep_hive *hive)
{
        if (!hive)
                return NULL;
        leave_announce(hive);
        pthread_mutex_lock(&process_mutex);
        skep_hive **link = &handles;
        while (*link && *link != hive)
                link = &(*link)->next;
        if (*link)
                *link = hive->next;
        agents_forget(hive);
        pthread_mutex_unlock(&process_mutex);
        agent_current = NULL;
        if (hive->member != MEMBER_NONE) {
                struct skep_reap_report report = {0};
                (void)reap_member(hive, hive->member, &report); /* damaged: the kernel still drops the lock */
        }
        agents_forget(hive);
        os_close(hive->life_fd);
        pthread_mutex_destroy(&hive->mutex);
        hive_unmap(hive);
        return NULL;
}

void skep_process_exiting(void)
{
        for (skep_hive *hive = handles; hive; hive = hive->next)
                leave_announce(hive);
}

/* exit() and return from main() are orderly, with or without skep_hive_detach(). */
__attribute__((destructor)) static void process_exits(void)
{
        skep_process_exiting();
}

int skep_hive_fd(const skep_hive *hive)
{
        return hive->fd;
}

int skep_hive_has(const skep_hive *hive, const void *address)
{
        return (uintptr_t)address - (uintptr_t)hive->base < hive->capacity_bytes;
}

uint32_t skep_hive_member(const skep_hive *hive)
{
        return hive->member;
}

int skep_hive_unlink(const char *name)
{
        int result = name_check(name);
        if (result < 0)
                return result;
        char file[sizeof PREFIX + SKEP_NAME_MAX];
        file_name(name, file);
        return os_shm_unlink(file);
}

struct listing {
        int (*visit)(const struct skep_hive_entry *entry, void *context);
        void *context;
};

static int list_one(const char *file, void *context)
{
        const struct listing *listing = context;
        struct skep_hive_entry entry = {0};
        const char *name = file + strlen(PREFIX);
        if (strlen(name) > SKEP_NAME_MAX)
                return 0;
        memcpy(entry.name, name, strlen(name));
        int fd = os_shm_open(file);
        if (fd == -ENOENT)
                return 0;
        struct shm_hive header;
        struct os_file status = {.links = 1};
        if (fd >= 0)
                name_remove_if_deserted(fd, file, NULL);
        entry.state = fd < 0 ? fd : hive_check(fd, &header);
        if (fd >= 0 && os_file_stat(fd, &status) == 0)
                entry.file_bytes = status.used_bytes;
        if (fd >= 0 && !status.links) {
                os_close(fd);
                return 0;
        }
        if (entry.state == 0) {
                entry.capacity_bytes = header.capacity_bytes;
                entry.members = members_alive(fd, &header);
                entry.flags = header.flags;
        }
        os_close(fd);
        return listing->visit(&entry, listing->context);
}

int skep_hive_list(int (*visit)(const struct skep_hive_entry *entry, void *context), void *context)
{
        struct listing listing = {visit, context};
        return os_shm_list(PREFIX, list_one, &listing);
}
