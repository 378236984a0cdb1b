/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step_test.c - die after any instruction: nothing is lost, whatever state of the hive a death leaves.
 *
 * Only a store changes the hive.  A child runs an operation under ptrace with the hive mapped read-only: each store faults,
 * is allowed for one instruction, and if it changed anything, the hive's bytes are copied into another file.  There all members
 * are dead, as nobody holds a byte of it.  We join the copy, reap, and check it as point_test.c does.  So states that SIGKILL
 * can leave are looked at that no probe marks.  A forked child is followed to its end before its parent goes on.  Loops that
 * fill memory are looked at now and then.  An operation that maps the hive once more is stepped through instruction by
 * instruction until it has.
 * ctest: timeout=120
 */
#include "hive/hive.h"
#include "support/suite.h"
#include "support/world.h"

#include <check.h>
#include <elf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define STEPS_MAX 1000000u
#define LOOP_LOOKS 64u /* of a loop, every so many passings are looked at */
#define CANNOT_TRACE 77

extern const char __executable_start; /* by the linker */

struct stepper {
        struct world world;
        const struct operation *operation;
        uint8_t *last; /* the hive at the last look */
        uint64_t last_bytes;
        uint64_t steps, changes, looks;
        uint64_t address; /* next instruction */
        uint64_t changed_at, passings;
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

/* After an instruction at @p before. */
static void look_if_new(struct stepper *stepper, uint64_t before)
{
        if (stepper->address == before && stepper->steps % LOOP_LOOKS) /* a string instruction goes on */
                return;
        if (!changed(stepper))
                return;
        stepper->changes++;
        stepper->passings = before == stepper->changed_at ? stepper->passings + 1 : 0;
        stepper->changed_at = before;
        if (stepper->passings % LOOP_LOOKS == 0)
                look(stepper, false);
}

/* --- the child's side: the hive is read-only but for one instruction at a time ------------------------------------------------ */

/* Stepped through at each store: no sanitizer's code in them. */
#define BARE __attribute__((no_sanitize("address", "undefined")))

static struct {
        void *base;
        size_t bytes;
} guarded[2];

BARE static void guard(int protection)
{
        for (int i = 0; i < 2; i++)
                if (guarded[i].base && syscall(SYS_mprotect, guarded[i].base, guarded[i].bytes, protection) < 0)
                        guarded[i].base = NULL; /* it has been unmapped */
}

BARE static void on_store(int number, siginfo_t *info, void *context)
{
        (void)context;
        bool ours = false;
        for (int i = 0; i < 2; i++)
                ours |= guarded[i].base && (uintptr_t)info->si_addr - (uintptr_t)guarded[i].base < guarded[i].bytes;
        if (!ours)
                signal(number, SIG_DFL); /* it happens again, and is fatal */
        guard(PROT_READ | PROT_WRITE);
}

BARE static void on_stored(int number)
{
        (void)number;
        guard(PROT_READ);
}

/* SIGUSR2 tells the tracer that stepping is over. */
static void on_mapped(const skep_hive *hive)
{
        guarded[1].base = hive->base;
        guarded[1].bytes = hive->capacity_bytes;
        guard(PROT_READ);
        raise(SIGUSR2);
}

static void child(struct stepper *stepper)
{
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
                _exit(CANNOT_TRACE);
        sigaction(SIGSEGV, &(const struct sigaction){.sa_sigaction = on_store, .sa_flags = SA_SIGINFO}, NULL);
        signal(SIGUSR1, on_stored);
        signal(SIGUSR2, SIG_IGN);
        world_mapped = on_mapped;
        guarded[0].base = stepper->world.hive->base;
        guarded[0].bytes = stepper->world.hive->capacity_bytes;
        raise(SIGSTOP);
        guard(PROT_READ);
        stepper->operation->run(&stepper->world);
        raise(SIGSTOP);
        _exit(0);
}

/* --- the tracer's side -------------------------------------------------------------------------------------------------------- */

static void run_to_end(struct stepper *stepper, pid_t pid);

/* @return status of the stop, 0 at the end */
static int resume(struct stepper *stepper, pid_t pid, enum __ptrace_request how, int deliver)
{
        int status;
        ck_assert_msg(stepper->steps++ < STEPS_MAX, "%s: more than %u stops", stepper->operation->name, STEPS_MAX);
        ck_assert_int_eq(ptrace(how, pid, NULL, (void *)(intptr_t)deliver), 0);
        ck_assert_int_eq(waitpid(pid, &status, __WALL), pid);
        if (WIFSTOPPED(status))
                return status;
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: ended with %x", stepper->operation->name, status);
        return 0;
}

static bool is_fork(int status)
{
        return status >> 16 == PTRACE_EVENT_FORK || status >> 16 == PTRACE_EVENT_CLONE || status >> 16 == PTRACE_EVENT_VFORK;
}

static void follow_forked(struct stepper *stepper, pid_t pid)
{
        unsigned long child;
        int status;
        ck_assert_int_eq(ptrace(PTRACE_GETEVENTMSG, pid, NULL, &child), 0);
        ck_assert_int_eq(waitpid((pid_t)child, &status, __WALL), (pid_t)child);
        if (WIFSTOPPED(status))
                run_to_end(stepper, (pid_t)child);
}

/* Through the handler that lets it, and then the instruction itself, again and again if it repeats. @return what to deliver next */
static int step_store(struct stepper *stepper, pid_t pid)
{
        uint64_t store = instruction_of(pid);
        int status = resume(stepper, pid, PTRACE_SINGLESTEP, SIGSEGV);
        while (status && (stepper->address = instruction_of(pid)) != store)
                status = resume(stepper, pid, PTRACE_SINGLESTEP, 0);
        do {
                status = resume(stepper, pid, PTRACE_SINGLESTEP, 0);
                ck_assert_msg(status && WSTOPSIG(status) == SIGTRAP, "%s: a store ended with %x", stepper->operation->name, status);
                stepper->address = instruction_of(pid);
                look_if_new(stepper, store);
        } while (stepper->address == store);
        return SIGUSR1;
}

/* Until it stops itself or ends. */
static void run_to_end(struct stepper *stepper, pid_t pid)
{
        bool step = stepper->operation->maps;
        int deliver = 0, status;
        for (;;) {
                uint64_t before = stepper->address = instruction_of(pid);
                status = resume(stepper, pid, step ? PTRACE_SINGLESTEP : PTRACE_CONT, deliver);
                if (!status || WSTOPSIG(status) == SIGSTOP)
                        return;
                deliver = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
                step = step && deliver != SIGUSR2;
                if (is_fork(status))
                        follow_forked(stepper, pid);
                else if (deliver == SIGSEGV)
                        deliver = step_store(stepper, pid);
                else if (step) {
                        stepper->address = instruction_of(pid);
                        look_if_new(stepper, before);
                }
        }
}

START_TEST(death_after_any_instruction_loses_nothing)
{
        static struct stepper stepper;
        stepper.operation = &operations[_i];
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET((unsigned)sched_getcpu(), &cpus);
        (void)sched_setaffinity(0, sizeof cpus, &cpus); /* the two take turns: half the time on one core */
        world_make(&stepper.world, stepper.operation);
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
        run_to_end(&stepper, pid);
        (void)changed(&stepper);
        look(&stepper, true);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        printf("step: %-26s %7llu stops, %5llu changed the hive, %5llu states looked at\n", stepper.operation->name,
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
        return suite_run(suite);
}
