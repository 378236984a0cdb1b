/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step_test.c - die after any instruction: nothing is lost, whatever state of the hive a death leaves.
 *
 * A child runs an operation under ptrace, one instruction at a time.  Whenever an instruction changed the hive, its bytes are
 * copied into another file: there all members are dead, as nobody holds a byte of it.  We join the copy, reap, and check it
 * as point_test.c does.  So states that SIGKILL can leave are looked at that no probe marks.  A forked child is stepped through
 * to its end before its parent goes on.  Loops that fill memory are looked at now and then, and an instruction that was
 * passed often without changing anything is looked behind at every eighth passing only.
 * ctest: timeout=120
 */
#include "hive/hive.h"
#include "support/world.h"

#include <check.h>
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#define STEPS_MAX 4000000u
#else
#define STEPS_MAX 400000u
#endif
#define LOOP_LOOKS 64u /* of a loop, every so many passings are looked at */
#define CANNOT_TRACE 77
#define QUIET_PASSINGS 32u /* so often without a change: compare every QUIET_LOOKS-th passing */
#define QUIET_LOOKS 8u
#define QUIET_SLOTS 65536u

extern const char __executable_start; /* by the linker */

struct stepper {
        struct world world;
        const struct operation *operation;
        uint8_t *last; /* the hive at the last look */
        uint64_t last_bytes;
        uint64_t steps, changes, looks;
        uint64_t address; /* next instruction */
        uint64_t changed_at, passings;
        uint32_t quiet[QUIET_SLOTS]; /* passings without a change, by address */
};

static uint64_t instruction_of(pid_t pid)
{
        struct user_regs_struct registers;
        struct iovec vector = {&registers, sizeof registers};
        if (ptrace(PTRACE_GETREGSET, pid, (void *)(uintptr_t)NT_PRSTATUS, &vector) < 0)
                return 0;
#if defined(__x86_64__)
        return registers.rip;
#elif defined(__aarch64__) || defined(__riscv)
        return registers.pc;
#else
        return 0;
#endif
}

static uint64_t used_bytes(const skep_hive *hive)
{
        uint64_t bytes = hive->layout.data_at + hive->heap->top * PAGE_BYTES;
        return bytes < hive->capacity_bytes ? bytes : hive->capacity_bytes;
}

static bool changed(struct stepper *stepper)
{
        const skep_hive *hive = stepper->world.hive;
        uint64_t bytes = used_bytes(hive);
        if (bytes == stepper->last_bytes && memcmp(hive->base, stepper->last, bytes) == 0)
                return false;
        memcpy(stepper->last, hive->base, bytes);
        stepper->last_bytes = bytes;
        return true;
}

static void look(struct stepper *stepper, bool finished)
{
        char where[100];
        snprintf(where, sizeof where, "instruction %llu, before program+0x%llx", (unsigned long long)stepper->steps,
                 (unsigned long long)(stepper->address - (uint64_t)(uintptr_t)&__executable_start));
        int fd = memfd_create("copy", MFD_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(ftruncate(fd, (off_t)stepper->world.hive->capacity_bytes), 0);
        ck_assert_int_eq(pwrite(fd, stepper->last, stepper->last_bytes, 0), (ssize_t)stepper->last_bytes);
        skep_hive *copy;
        int result = skep_hive_attach(fd, &copy);
        ck_assert_msg(result == 0, "%s: attach says %s at %s", stepper->operation->name, skep_strerror(result), where);
        result = skep_hive_reap(copy, NULL);
        ck_assert_msg(result == 0, "%s: reap says %s at %s", stepper->operation->name, skep_strerror(result), where);
        world_check(copy, stepper->operation, finished, where);
        skep_hive_detach(copy);
        close(fd);
        stepper->looks++;
}

/* After an instruction. */
static void look_if_new(struct stepper *stepper, uint64_t before)
{
        if (stepper->address == before && stepper->steps % LOOP_LOOKS) /* a string instruction goes on */
                return;
        uint32_t *quiet = &stepper->quiet[stepper->address % QUIET_SLOTS];
        if (++*quiet > QUIET_PASSINGS && *quiet % QUIET_LOOKS)
                return;
        if (!changed(stepper))
                return;
        *quiet = 0;
        stepper->changes++;
        stepper->passings = stepper->address == stepper->changed_at ? stepper->passings + 1 : 0;
        stepper->changed_at = stepper->address;
        if (stepper->passings % LOOP_LOOKS == 0)
                look(stepper, false);
}

static void step_to_end(struct stepper *stepper, pid_t pid);

static void step_forked(struct stepper *stepper, pid_t pid)
{
        unsigned long child;
        int status;
        ck_assert_int_eq(ptrace(PTRACE_GETEVENTMSG, pid, NULL, &child), 0);
        ck_assert_int_eq(waitpid((pid_t)child, &status, __WALL), (pid_t)child);
        if (WIFSTOPPED(status))
                step_to_end(stepper, (pid_t)child);
}

/* Until it stops itself or ends. */
static void step_to_end(struct stepper *stepper, pid_t pid)
{
        int deliver = 0;
        while (stepper->steps++ < STEPS_MAX) {
                uint64_t before = instruction_of(pid);
                int status;
                ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, pid, NULL, (void *)(intptr_t)deliver), 0);
                ck_assert_int_eq(waitpid(pid, &status, __WALL), pid);
                if (!WIFSTOPPED(status)) {
                        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: ended with %x", stepper->operation->name, status);
                        return;
                }
                if (WSTOPSIG(status) == SIGSTOP)
                        return;
                deliver = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
                stepper->address = instruction_of(pid);
                if (status >> 16 == PTRACE_EVENT_FORK || status >> 16 == PTRACE_EVENT_CLONE || status >> 16 == PTRACE_EVENT_VFORK)
                        step_forked(stepper, pid);
                look_if_new(stepper, before);
        }
        ck_abort_msg("%s: more than %u instructions", stepper->operation->name, STEPS_MAX);
}

static void child(struct stepper *stepper)
{
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                _exit(CANNOT_TRACE);
        raise(SIGSTOP);
        stepper->operation->run(&stepper->world);
        raise(SIGSTOP);
        _exit(0);
}

START_TEST(death_after_any_instruction_loses_nothing)
{
        static struct stepper stepper;
        stepper.operation = &operations[_i];
        world_make(&stepper.world);
        stepper.last = calloc(1, stepper.world.hive->capacity_bytes);
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0)
                child(&stepper);
        int status;
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_TRACE) {
                printf("step: no ptrace here, skipped\n");
                return;
        }
        ck_assert_int_eq(ptrace(PTRACE_SETOPTIONS, pid, NULL,
                                (void *)(intptr_t)(PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)),
                         0);
        (void)changed(&stepper);
        look(&stepper, false);
        step_to_end(&stepper, pid);
        (void)changed(&stepper);
        look(&stepper, true);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        printf("step: %-26s %7llu instructions, %5llu changed the hive, %5llu states looked at\n", stepper.operation->name,
               (unsigned long long)stepper.steps, (unsigned long long)stepper.changes, (unsigned long long)stepper.looks);
        free(stepper.last);
        world_leave(&stepper.world);
        skep_hive_detach(stepper.world.hive);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("step");
        TCase *steps = tcase_create("steps");
        tcase_set_timeout(steps, 100);
        tcase_add_loop_test(steps, death_after_any_instruction_loses_nothing, 0, operation_count);
        suite_add_tcase(suite, steps);
        SRunner *runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        int failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
