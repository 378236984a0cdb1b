/* SPDX-License-Identifier: Apache-2.0 */
/*
 * soak_test.c - producers and consumers at full speed while somebody is killed every few milliseconds.
 *
 * Four producers and four consumers, over a bounded and an unbounded queue; the parent kills one at random and forks another.
 * A board beside the hive, in plain shared memory, keeps what each incarnation did, so that at the end every message is
 * accounted for: nothing that was put is lost, nothing comes twice but what its dead taker had not given back, nothing leaks.
 * A hang ends in an alarm that prints who waits for what.
 *
 * SKEP_SOAK_SECONDS (4): how long.  SKEP_SOAK_SEED: the seed, which is printed; kernel scheduling is not repeated by it.
 * ctest: timeout=120
 */
#include "hive/hive.h"
#include "member/member.h"
#include "queue/queue.h"
#include "support/suite.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <skep/skep.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PRODUCERS 4
#define MEMBERS 8
#define QUEUES 2
#define INCARNATIONS 12000u /* kills are spread so that these suffice */
#define MESSAGES 2048u      /* of one incarnation; then it idles until it is killed */
#define TAKERS 4u
#define UNBOUNDED_MOST 400u
#define ARRAY_LEAST 4096u

/* A taker's note about a message: his incarnation and how far he came. */
#define TAKER_MASK 0xffffffu
#define TAKER_GIVING (1u << 30) /* about to give back */
#define TAKER_DONE (1u << 31)   /* gave back */

struct message_record {
        _Atomic uint32_t takers[TAKERS];
};

struct incarnation {
        int pid;
        int role; /* index of the member */
        int killed;
        _Atomic uint32_t returned; /* producer: last sequence number whose put returned */
        _Atomic uint32_t late;     /* consumer: messages that came out of order */
        struct message_record messages[MESSAGES + 1];
};

#define RUN_MOST 6

struct board {
        _Atomic uint32_t stop;
        _Atomic uint32_t failed;
        char failure[400];
        struct incarnation incarnations[INCARNATIONS];
};

struct header {
        uint32_t incarnation;
        uint32_t sequence;
        uint32_t sum;
};

static struct board *board;
static skep_hive *hive;
static skep_queue *queues[QUEUES];
static uint64_t seed;
static uint32_t born; /* incarnations used; 0 is nobody */
static uint32_t me;

static uint64_t mix(uint64_t x)
{
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        return x ^ x >> 31;
}

static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
        return mix(random_state++) % n;
}

__attribute__((format(printf, 1, 2), noreturn)) static void give_up(const char *format, ...)
{
        if (!atomic_fetch_add(&board->failed, 1)) {
                va_list arguments;
                va_start(arguments, format);
                int n = snprintf(board->failure, sizeof board->failure, "seed %" PRIu64 ", incarnation %u: ", seed, me);
                vsnprintf(board->failure + n, sizeof board->failure - (size_t)n, format, arguments);
                va_end(arguments);
        }
        _exit(7);
}

/* --- messages: everything about one follows from who put it and its number ------------------------------------------------- */

enum plan_kind { IN_SLOT, IN_BLOCK, BY_REFERENCE };

struct plan {
        enum plan_kind kind;
        uint32_t bytes;
        uint64_t pattern;
};

static struct plan plan_of(uint32_t incarnation, uint32_t sequence)
{
        uint64_t pattern = mix(seed ^ mix((uint64_t)incarnation << 32 | sequence));
        uint64_t dice = pattern % 100, size = pattern >> 16;
        if (dice < 60)
                return (struct plan){IN_SLOT, (uint32_t)(sizeof(struct header) + size % 89), pattern};
        if (dice < 90)
                return (struct plan){IN_BLOCK, (uint32_t)(200 + size % 4801), pattern};
        return (struct plan){BY_REFERENCE, (uint32_t)(ARRAY_LEAST << size % 7), pattern};
}

static uint32_t sum_of(const void *data, size_t bytes)
{
        uint32_t sum = 2166136261u;
        for (const uint8_t *at = data, *end = at + bytes; at < end; at++)
                sum = (sum ^ *at) * 16777619u;
        return sum;
}

static void fill(uint8_t *data, uint32_t sequence, const struct plan *plan)
{
        struct header header = {me, sequence, 0};
        size_t i = sizeof header;
        for (; i % 8 && i < plan->bytes; i++)
                data[i] = (uint8_t)plan->pattern;
        for (; i + 8 <= plan->bytes; i += 8)
                memcpy(data + i, &(uint64_t){plan->pattern + i}, 8);
        for (; i < plan->bytes; i++)
                data[i] = (uint8_t)plan->pattern;
        header.sum = plan->kind == BY_REFERENCE ? (uint32_t)plan->pattern : sum_of(data + sizeof header, plan->bytes - sizeof header);
        memcpy(data, &header, sizeof header);
}

static struct header check(const uint8_t *data, size_t bytes, uint32_t kind)
{
        struct header header;
        if (bytes < sizeof header)
                give_up("message of %zu bytes", bytes);
        memcpy(&header, data, sizeof header);
        if (!header.incarnation || header.incarnation >= INCARNATIONS || !header.sequence || header.sequence > MESSAGES)
                give_up("message from incarnation %u number %u", header.incarnation, header.sequence);
        struct plan plan = plan_of(header.incarnation, header.sequence);
        if (plan.bytes != bytes || (plan.kind == BY_REFERENCE) != (kind == SKEP_MESSAGE_ARRAY))
                give_up("message %u/%u has %zu bytes of kind %u, not %u", header.incarnation, header.sequence, bytes, kind, plan.bytes);
        bool sound = true;
        if (plan.kind != BY_REFERENCE)
                sound = header.sum == sum_of(data + sizeof header, bytes - sizeof header);
        else
                for (size_t i = 16; i + 8 <= bytes && sound; i += 8) {
                        uint64_t word;
                        memcpy(&word, data + i, 8);
                        sound = word == plan.pattern + i;
                }
        if (!sound)
                give_up("message %u/%u is damaged", header.incarnation, header.sequence);
        return header;
}

/* --- members ---------------------------------------------------------------------------------------------------------------- */

static int put_array(skep_queue *queue, uint32_t sequence, const struct plan *plan)
{
        skep_array *array;
        uint64_t shape = plan->bytes / 8;
        int result = skep_array_create(
                hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U64, .dimension_count = 1, .shape = &shape, .flags = SKEP_ARRAY_UNINITIALIZED), &array);
        if (result < 0)
                return result;
        fill(skep_array_data(array), sequence, plan);
        result = skep_queue_put_array(queue, array, skep_forever());
        skep_array_unref(array);
        return result;
}

/* Messages by copy for that queue, from that number on. @return how many follow one another */
static uint32_t fill_run(struct skep_bytes *run, const skep_queue *queue, uint32_t sequence)
{
        static uint8_t buffers[RUN_MOST][5008];
        uint32_t count = 0;
        for (; count < RUN_MOST && sequence + count <= MESSAGES; count++) {
                struct plan plan = plan_of(me, sequence + count);
                if (plan.kind == BY_REFERENCE || queues[plan.pattern >> 60 & 1] != queue)
                        break;
                fill(buffers[count], sequence + count, &plan);
                run[count] = (struct skep_bytes){buffers[count], plan.bytes};
        }
        return count;
}

static void produce(void)
{
        struct incarnation *self = &board->incarnations[me];
        struct skep_bytes run[RUN_MOST];
        size_t done;
        for (uint32_t sequence = 1; sequence <= MESSAGES && !board->stop; sequence++) {
                struct plan plan = plan_of(me, sequence);
                skep_queue *queue = queues[plan.pattern >> 60 & 1];
                while (queue == queues[1] && skep_queue_size(queue) > UNBOUNDED_MOST && !board->stop)
                        usleep(200);
                int result;
                if (plan.kind == BY_REFERENCE) {
                        result = put_array(queue, sequence, &plan);
                } else {
                        uint32_t count = fill_run(run, queue, sequence);
                        result = count > 1 ? skep_queue_put_many(queue, run, count, &done, skep_forever())
                                           : skep_queue_put(queue, run[0].data, run[0].bytes, skep_forever());
                        sequence += count - 1;
                }
                if (result < 0)
                        give_up("put %u: %s", sequence, skep_error_name(result));
                atomic_store(&self->returned, sequence);
        }
        while (!board->stop)
                usleep(1000);
}

static _Atomic uint32_t *take_note(const struct header *header)
{
        struct message_record *record = &board->incarnations[header->incarnation].messages[header->sequence];
        for (uint32_t i = 0; i < TAKERS; i++) {
                uint32_t nobody = 0;
                if (atomic_compare_exchange_strong(&record->takers[i], &nobody, me))
                        return &record->takers[i];
                if (nobody & TAKER_DONE)
                        give_up("message %u/%u was given back by %u already", header->incarnation, header->sequence, nobody & TAKER_MASK);
        }
        give_up("message %u/%u seen too often", header->incarnation, header->sequence);
}

static void consume_one(struct skep_loan *loan, uint32_t *last)
{
        struct header header;
        skep_array *array = NULL;
        if (loan->kind == SKEP_MESSAGE_ARRAY) {
                int result = skep_loan_array(loan, &array);
                if (result < 0)
                        give_up("loan_array: %s", skep_error_name(result));
                header = check(skep_array_data(array), skep_array_bytes(array), loan->kind);
        } else {
                header = check(loan->data, loan->bytes, loan->kind);
        }
        if (header.sequence < last[header.incarnation])
                atomic_fetch_add(&board->incarnations[me].late, 1);
        else
                last[header.incarnation] = header.sequence;
        _Atomic uint32_t *note = take_note(&header);
        atomic_fetch_or(note, TAKER_GIVING);
        skep_queue_give_back(loan);
        atomic_fetch_or(note, TAKER_DONE);
        skep_array_unref(array);
}

static void consume(skep_queue *queue)
{
        uint32_t *last = calloc(INCARNATIONS, sizeof *last);
        struct skep_loan loan;
        int result;
        while ((result = skep_queue_borrow(queue, &loan, skep_forever())) == 0)
                consume_one(&loan, last);
        if (result != -ESHUTDOWN)
                give_up("borrow: %s", skep_error_name(result));
        free(last);
}

static void spawn(int role)
{
        uint32_t incarnation = ++born;
        ck_assert_uint_lt(incarnation, INCARNATIONS);
        struct incarnation *record = &board->incarnations[incarnation];
        record->role = role;
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                alarm(0);
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                me = incarnation;
                if (role < PRODUCERS)
                        produce();
                else
                        consume(queues[role % QUEUES]);
                _exit(0);
        }
        record->pid = pid;
}

/* --- the alarm ------------------------------------------------------------------------------------------------------------------ */

static uint32_t living[MEMBERS]; /* incarnation per role */

static const char *place_name(uint64_t offset)
{
        for (int i = 0; i < QUEUES && queues[i]; i++) {
                if (offset == hive_offset(hive, &queues[i]->shared->not_empty))
                        return i ? "unbounded: not empty" : "bounded: not empty";
                if (offset == hive_offset(hive, &queues[i]->shared->not_full))
                        return i ? "unbounded: not full" : "bounded: not full";
        }
        return offset == hive_offset(hive, &hive->heap->lock) ? "heap lock" : "?";
}

/* The test fails anyway, so it may print here. */
static void on_alarm(int number)
{
        (void)number;
        dprintf(2, "soak hangs: seed %" PRIu64 ", %u incarnations, stop %u\n", seed, born, board->stop);
        for (int i = 0; i < QUEUES && queues[i]; i++)
                dprintf(2, "  queue %d: size %" PRIu64 ", closed %d\n", i, skep_queue_size(queues[i]), skep_queue_is_closed(queues[i]));
        for (int i = 0; i < MEMBERS; i++)
                if (living[i])
                        dprintf(2, "  incarnation %u, role %d, pid %d, returned %u\n", living[i], i, board->incarnations[living[i]].pid,
                                board->incarnations[living[i]].returned);
        for (uint32_t i = 1; i <= hive->agent_max; i++) {
                const struct shm_agent *agent = &hive->agents[i];
                uint32_t member = (uint32_t)agent->word & 0xffff;
                if (member && member <= hive->member_max)
                        dprintf(2, "  agent %u: word %" PRIx64 ", member %u pid %" PRId64 ", sleeps on %" PRIx64 " (%s), intent %" PRIu64 "\n", i,
                                agent->word, member - 1, hive->members[member - 1].pid, agent->wait.sleeps_on,
                                agent->wait.sleeps_on ? place_name(agent->wait.sleeps_on) : "awake", agent->intent.op);
        }
        dprintf(2, "  heap lock %x, names lock %x\n", hive->heap->lock, hive->heap->names_lock);
        const char *wait = getenv("SKEP_SOAK_HANG");
        if (wait)
                sleep((unsigned)atoi(wait)); /* time for a debugger */
        for (int i = 0; i < MEMBERS; i++)
                if (living[i])
                        kill(board->incarnations[living[i]].pid, SIGKILL);
        _exit(1);
}

/* --- the parent ------------------------------------------------------------------------------------------------------------------ */

static void join(int role, bool killed)
{
        struct incarnation *record = &board->incarnations[living[role]];
        int status;
        ck_assert_int_eq(waitpid(record->pid, &status, 0), record->pid);
        record->killed = killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        ck_assert_msg(!board->failed, "%s", board->failure);
        ck_assert_msg(record->killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0), "seed %" PRIu64 ", incarnation %u: ended with status %x", seed,
                      living[role], status);
        living[role] = 0;
}

static void raise_member(int role)
{
        spawn(role);
        living[role] = born;
}

static int64_t now_ns(void)
{
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void kill_for(int64_t seconds)
{
        int64_t end = now_ns() + seconds * 1000000000;
        uint64_t most_us = 5000;
        if (seconds * 1000000 / 3000 > INCARNATIONS - 100)
                most_us = (uint64_t)seconds * 2000000 / (INCARNATIONS - 100);
        while (now_ns() < end && born < INCARNATIONS - MEMBERS) {
                usleep((useconds_t)(500 + random_below(most_us)));
                int role = (int)random_below(MEMBERS);
                kill(board->incarnations[living[role]].pid, SIGKILL);
                join(role, true);
                raise_member(role);
        }
}

static void verify(const char *when)
{
        struct skep_verify_report report;
        int result = skep_hive_verify(hive, &report);
        ck_assert_msg(result == 0, "seed %" PRIu64 ": %s: %" PRIu64 " problems, %s", seed, when, report.problems, report.first);
}

struct totals {
        uint64_t put, seen, again, kills, consumer_kills, late;
};

static void check_message(uint32_t incarnation, uint32_t sequence, struct totals *totals)
{
        const struct incarnation *producer = &board->incarnations[incarnation];
        const struct message_record *record = &producer->messages[sequence];
        uint32_t count = 0;
        while (count < TAKERS && record->takers[count])
                count++;
        if (!count) {
                ck_assert_msg(sequence > producer->returned, "seed %" PRIu64 ": message %u/%u is lost (returned %u, killed %d)", seed, incarnation,
                              sequence, producer->returned, producer->killed);
                return;
        }
        ck_assert_msg(sequence <= producer->returned + RUN_MOST && (sequence <= producer->returned || producer->killed),
                      "seed %" PRIu64 ": message %u/%u was never put", seed, incarnation, sequence);
        for (uint32_t i = 0; i < count; i++) {
                uint32_t note = record->takers[i];
                const struct incarnation *taker = &board->incarnations[note & TAKER_MASK];
                if (i + 1 < count)
                        ck_assert_msg(taker->killed && !(note & TAKER_DONE), "seed %" PRIu64 ": message %u/%u seen %u times, once by %u (note %x)", seed,
                                      incarnation, sequence, count, note & TAKER_MASK, note);
                else
                        ck_assert_msg(note & (taker->killed ? TAKER_GIVING : TAKER_DONE),
                                      "seed %" PRIu64 ": message %u/%u is lost: incarnation %u died with it (note %x)", seed, incarnation, sequence,
                                      note & TAKER_MASK, note);
        }
        totals->seen++;
        totals->again += count - 1;
}

static void check_board(struct totals *totals)
{
        for (uint32_t i = 1; i <= born; i++) {
                const struct incarnation *record = &board->incarnations[i];
                totals->kills += (uint64_t)record->killed;
                if (record->role < PRODUCERS) {
                        totals->put += record->returned;
                        for (uint32_t sequence = 1; sequence <= MESSAGES; sequence++)
                                check_message(i, sequence, totals);
                } else {
                        totals->consumer_kills += (uint64_t)record->killed;
                        totals->late += record->late;
                }
        }
        ck_assert_msg(totals->late <= totals->consumer_kills, "seed %" PRIu64 ": %" PRIu64 " late messages after %" PRIu64 " deaths of consumers", seed,
                      totals->late, totals->consumer_kills);
}

START_TEST(nothing_is_lost_while_members_are_killed)
{
        const char *given = getenv("SKEP_SOAK_SECONDS");
        int64_t seconds = given ? atoi(given) : 4;
        given = getenv("SKEP_SOAK_SEED");
        seed = given ? strtoull(given, NULL, 0) : (uint64_t)now_ns();
        random_state = mix(seed);
        printf("soak: seed %" PRIu64 ", %d seconds\n", seed, (int)seconds);
        fflush(stdout);
        board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        ck_assert_ptr_ne(board, MAP_FAILED);
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = UINT64_C(1) << 30, .member_max = 64), &hive), 0);
        ck_assert_int_eq(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.capacity = 64), &queues[0]), 0);
        ck_assert_int_eq(skep_queue_create(hive, NULL, &queues[1]), 0);
        signal(SIGALRM, on_alarm);
        alarm((unsigned)seconds + 40);

        for (int role = 0; role < MEMBERS; role++)
                raise_member(role);
        kill_for(seconds);
        board->stop = 1;
        for (int role = 0; role < PRODUCERS; role++)
                join(role, false);
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0); /* what the dead hold comes back before the consumers see the end */
        skep_queue_close(queues[0]);
        skep_queue_close(queues[1]);
        for (int role = PRODUCERS; role < MEMBERS; role++)
                join(role, false);

        struct skep_reap_report report;
        struct skep_hive_stat stat;
        struct totals totals = {0};
        ck_assert_int_eq(skep_hive_reap(hive, &report), 0);
        verify("after the last reaping");
        check_board(&totals);
        for (int i = 0; i < QUEUES; i++) {
                ck_assert_uint_eq(skep_queue_size(queues[i]), 0);
                queues[i] = skep_queue_unref(queues[i]);
        }
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_msg(stat.blocks == 0 && stat.members == 1, "seed %" PRIu64 ": %" PRIu64 " blocks leak, %u members", seed, stat.blocks, stat.members);
        verify("with the queues gone");
        skep_hive_detach(hive);
        alarm(0);
        printf("soak: %" PRIu64 " put, %" PRIu64 " seen, %" PRIu64 " again, %" PRIu64 " late, %" PRIu64 " killed\n", totals.put, totals.seen, totals.again,
               totals.late, totals.kills);
        ck_assert_uint_gt(totals.seen, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("soak");
        TCase *soak = tcase_create("soak");
        tcase_set_timeout(soak, 0); /* the alarm says more */
        tcase_add_test(soak, nothing_is_lost_while_members_are_killed);
        suite_add_tcase(suite, soak);
        return suite_run(suite);
}
