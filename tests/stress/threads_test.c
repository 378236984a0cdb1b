/* SPDX-License-Identifier: Apache-2.0 */
/*
 * threads_test.c - three members in one process, several threads each, over everything at once; for ThreadSanitizer.
 *
 * The sanitizer knows memory by its address, so the members' handles are made to share one mapping: what another process
 * would do there is then seen as another thread's doing.  The words of slots, blocks and locks have to order every plain byte.
 * Without the sanitizer it is a stress test: nothing is lost, nothing doubled, contents are whole, verify finds nothing.
 * SKEP_THREADS_ROUNDS (3000): how much each thread does.
 * ctest: threads timeout=120
 */
#include "base/checked.h"
#include "hive/hive.h"
#include "os/os.h"

#include "support/suite.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMBERS 3
#define RUN_BYTES 150000u /* a block of pages */

struct member {
        skep_hive *hive;
        skep_queue *bounded, *unbounded; /* messages, counted */
        skep_queue *references, *spare;
        skep_lock *lock;
};

static struct member members[MEMBERS];
static uint64_t *guarded; /* two words under the lock, touched by every member */
static uint64_t put_count[2], put_sum[2], got_count[2], got_sum[2];
static uint32_t stop, rounds = 3000;

static void must(int result, const char *what)
{
        if (result < 0) {
                fprintf(stderr, "%s: %s\n", what, skep_strerror(result));
                abort();
        }
}
#define MUST(call) must(call, #call)

static void expect(bool holds, const char *what)
{
        if (!holds) {
                fprintf(stderr, "not so: %s\n", what);
                abort();
        }
}
#define EXPECT(condition) expect(condition, #condition)

/* --- one mapping for all ------------------------------------------------------------------------------------------------ */

static void use_mapping(skep_hive *hive, uint8_t *base)
{
        hive->base = base;
        hive->header = (void *)base;
        hive->members = (void *)(base + hive->layout.members_at);
        hive->agents = (void *)(base + hive->layout.agents_at);
        hive->names = (void *)(base + hive->layout.names_at);
        hive->heap = (void *)(base + hive->layout.heap_at);
        hive->blocks = (void *)(base + hive->layout.blocks_at);
}

static void share_mapping(skep_hive *hive, const skep_hive *with)
{
        os_unmap(hive->base, hive->capacity_bytes);
        use_mapping(hive, with->base);
}

/* So that detaching unmaps one of its own. */
static void unshare_mapping(skep_hive *hive)
{
        void *base;
        MUST(os_map(hive->fd, hive->capacity_bytes, &base));
        use_mapping(hive, base);
}

static void setup(void)
{
        const char *text = getenv("SKEP_THREADS_ROUNDS");
        rounds = text ? (uint32_t)strtoul(text, NULL, 10) : rounds;
        skep_block pair;
        skep_hive *hive;
        MUST(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 256u << 20, .member_max = 32, .agent_max = 200), &hive));
        for (int i = 0; i < MEMBERS; i++) {
                struct member *member = &members[i];
                member->hive = hive;
                if (i) {
                        MUST(skep_hive_attach(skep_hive_fd(hive), &member->hive));
                        share_mapping(member->hive, hive);
                        MUST(skep_queue_open(member->hive, "bounded", &member->bounded));
                        MUST(skep_queue_open(member->hive, "unbounded", &member->unbounded));
                        MUST(skep_queue_open(member->hive, "references", &member->references));
                        MUST(skep_queue_open(member->hive, "spare", &member->spare));
                        MUST(skep_lock_open(member->hive, "lock", &member->lock));
                } else {
                        MUST(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "bounded", .capacity = 50), &member->bounded));
                        MUST(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "unbounded"), &member->unbounded));
                        MUST(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "references", .capacity = 4), &member->references));
                        MUST(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.name = "spare"), &member->spare));
                        MUST(skep_lock_create(hive, "lock", &member->lock));
                }
        }
        MUST(skep_block_alloc(hive, 2 * sizeof *guarded, SKEP_BLOCK_ZERO, &pair));
        guarded = skep_block_address(hive, pair, NULL);
}

static void teardown(void)
{
        for (int i = MEMBERS; i-- > 0;) {
                struct member *member = &members[i];
                skep_queue_unref(member->bounded);
                skep_queue_unref(member->unbounded);
                skep_queue_unref(member->references);
                skep_queue_unref(member->spare);
                skep_lock_unref(member->lock);
                if (i)
                        unshare_mapping(member->hive);
                skep_hive_detach(member->hive);
        }
}

/* --- messages: a value, and bytes or elements that follow from it ---------------------------------------------------------- */

static size_t fill(uint8_t *message, uint32_t value, size_t bytes)
{
        memset(message, (int)(value & 0xff), bytes);
        memcpy(message, &value, sizeof value);
        return bytes;
}

static uint32_t value_of(const uint8_t *message, size_t bytes)
{
        uint32_t value;
        EXPECT(bytes >= sizeof value);
        memcpy(&value, message, sizeof value);
        for (size_t i = sizeof value; i < bytes; i++)
                EXPECT(message[i] == (value & 0xff));
        return value;
}

static void put_array(struct member *member, skep_queue *queue, uint32_t value, uint64_t count)
{
        skep_array *array;
        MUST(skep_array_create(member->hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U32, .dimension_count = 1, .shape = &count), &array));
        uint32_t *elements = skep_array_data(array);
        for (uint64_t i = 0; i < count; i++)
                elements[i] = value;
        MUST(skep_queue_put_array(queue, array, skep_forever()));
        skep_array_unref(array);
}

static uint32_t value_of_array(skep_array *array)
{
        const uint32_t *elements = skep_array_data(array);
        for (uint64_t i = 1; i < skep_array_count(array); i++)
                EXPECT(elements[i] == elements[0]);
        uint32_t value = elements[0];
        skep_array_unref(array);
        return value;
}

static void put_loan(skep_queue *queue, uint32_t value)
{
        struct skep_loan loan;
        MUST(skep_queue_reserve(queue, 3000, &loan));
        MUST(skep_queue_commit(&loan, SKEP_MESSAGE_BYTES, fill(loan.data, value, 2500), skep_forever()));
        MUST(skep_queue_reserve(queue, 700, &loan));
        skep_queue_abandon(&loan);
}

static void put_run(skep_queue *queue, uint32_t value)
{
        uint8_t text[6][200];
        struct skep_bytes run[6];
        size_t put;
        for (uint32_t i = 0; i < 6; i++)
                run[i] = (struct skep_bytes){text[i], fill(text[i], value, i % 3 ? 30 : 200)};
        MUST(skep_queue_put_many(queue, run, 6, &put, skep_forever()));
        EXPECT(put == 6);
}

static void count(uint64_t *counter, uint64_t *sum, uint64_t messages, uint32_t value)
{
        (void)skep_fetch_add(counter, messages);
        (void)skep_fetch_add(sum, messages * value);
}

static void *produce(void *argument)
{
        struct member *member = argument;
        uint8_t text[1000];
        for (uint32_t i = 0; i < rounds; i++) {
                bool which = i % 3 == 0;
                skep_queue *queue = which ? member->unbounded : member->bounded;
                uint32_t value = i * 7 + 1;
                switch (i % 7) {
                case 0:
                case 1:
                        MUST(skep_queue_put(queue, text, fill(text, value, 40), skep_forever()));
                        break;
                case 2:
                case 3:
                        MUST(skep_queue_put(queue, text, fill(text, value, sizeof text), skep_forever()));
                        break;
                case 4:
                        put_array(member, queue, value, i % 35 ? 100 : RUN_BYTES / 4);
                        break;
                case 5:
                        put_loan(queue, value);
                        break;
                default:
                        put_run(queue, value);
                }
                count(&put_count[which], &put_sum[which], i % 7 == 6 ? 6 : 1, value);
        }
        return NULL;
}

/* @return false: the queue is closed and empty */
static bool consume_borrowed(skep_queue *queue, bool which, bool return_it)
{
        struct skep_loan loan;
        skep_array *array;
        int result = skep_queue_borrow(queue, &loan, skep_forever());
        if (result == -ESHUTDOWN)
                return false;
        MUST(result);
        if (loan.kind == SKEP_MESSAGE_ARRAY)
                MUST(skep_loan_array(&loan, &array));
        uint32_t value = loan.kind == SKEP_MESSAGE_ARRAY ? value_of_array(array) : value_of(loan.data, loan.bytes);
        if (return_it) {
                skep_queue_put_back(&loan);
        } else {
                skep_queue_give_back(&loan);
                count(&got_count[which], &got_sum[which], 1, value);
        }
        return true;
}

static void consume_copied(skep_queue *queue, bool which)
{
        _Alignas(8) uint8_t text[4096];
        struct skep_bytes run[5];
        size_t got = 0;
        int result = skep_queue_get_many(queue, text, sizeof text, run, 5, &got, skep_nowait());
        for (size_t i = 0; result == 0 && i < got; i++)
                count(&got_count[which], &got_sum[which], 1, value_of(run[i].data, run[i].bytes));
        skep_array *array;
        if (result == -EPROTOTYPE && skep_queue_get_array(queue, &array, skep_nowait()) == 0)
                count(&got_count[which], &got_sum[which], 1, value_of_array(array));
}

static void *consume(skep_queue *queue, bool which)
{
        bool open = true;
        for (uint32_t i = 0; open; i++) {
                if (i % 2)
                        consume_copied(queue, which);
                open = consume_borrowed(queue, which, i % 11 == 5);
        }
        return NULL;
}

static void *consume_bounded(void *argument)
{
        return consume(((struct member *)argument)->bounded, false);
}

static void *consume_unbounded(void *argument)
{
        return consume(((struct member *)argument)->unbounded, true);
}

/* --- blocks, locks, objects ------------------------------------------------------------------------------------------------- */

/* Give references away and the claim with them only when the other has his. */
static void *lend_blocks(void *argument)
{
        struct member *member = argument;
        skep_queue *answers;
        MUST(skep_queue_create(member->hive, SKEP_QUEUE_OPTIONS(.capacity = 1), &answers));
        for (uint32_t i = 0; i < rounds / 2; i++) {
                skep_block letter[2];
                uint64_t bytes = i % 10 ? 100 + i % 3000 : RUN_BYTES;
                char answer;
                size_t got;
                MUST(skep_block_alloc(member->hive, bytes, i % 2 ? SKEP_BLOCK_ZERO : 0, &letter[0]));
                (void)fill(skep_block_address(member->hive, letter[0], NULL), i, bytes);
                letter[1] = skep_queue_reference(answers);
                MUST(skep_queue_put(member->references, letter, sizeof letter, skep_forever()));
                MUST(skep_queue_get(answers, &answer, 1, &got, skep_forever()));
                MUST(skep_block_unref(member->hive, letter[0]));
        }
        skep_queue_unref(answers);
        return NULL;
}

static void *borrow_blocks(void *argument)
{
        struct member *member = argument;
        for (;;) {
                skep_block letter[2];
                skep_queue *answers;
                size_t got;
                int result = skep_queue_get(member->references, letter, sizeof letter, &got, skep_forever());
                if (result == -ESHUTDOWN)
                        return NULL;
                MUST(result);
                MUST(skep_block_ref(member->hive, letter[0]));
                MUST(skep_queue_attach(member->hive, letter[1], &answers));
                MUST(skep_queue_put(answers, "", 1, skep_forever()));
                skep_queue_unref(answers);
                (void)value_of(skep_block_address(member->hive, letter[0], NULL), 100);
                MUST(skep_block_unref(member->hive, letter[0]));
        }
}

static void *count_under_lock(void *argument)
{
        struct member *member = argument;
        for (uint32_t i = 0; i < rounds * 4; i++) {
                MUST(skep_lock_acquire(member->lock, skep_forever()));
                EXPECT(guarded[0] == guarded[1]);
                guarded[0]++;
                guarded[1]++;
                MUST(skep_lock_release(member->lock));
        }
        return NULL;
}

static void *make_queues(void *argument)
{
        struct member *member = argument;
        char name[32];
        snprintf(name, sizeof name, "made by %d", (int)(member - members));
        for (uint32_t i = 0; i < rounds / 4; i++) {
                skep_queue *queue, *again;
                bool named = i % 2;
                MUST(skep_queue_create(member->hive, SKEP_QUEUE_OPTIONS(.name = named ? name : NULL, .capacity = i % 3 * 8), &queue));
                put_array(member, queue, i, 50);
                uint8_t text[500];
                MUST(skep_queue_put(queue, text, fill(text, i, sizeof text), skep_forever()));
                if (named) {
                        MUST(skep_queue_open(member->hive, name, &again));
                        (void)consume_borrowed(again, false, true);
                        skep_queue_unref(again);
                        MUST(skep_hive_forget(member->hive, name));
                }
                if (i % 5 == 0)
                        MUST(skep_queue_drain(queue, NULL));
                skep_queue_unref(queue);
        }
        return NULL;
}

/* --- members come, die, are looked after ------------------------------------------------------------------------------------- */

static int look(const struct skep_object_entry *entry, void *context)
{
        *(size_t *)context += strlen(entry->name);
        return 0;
}

static void *look_around(void *argument)
{
        struct member *member = argument;
        while (!skep_load32(&stop)) {
                struct skep_hive_stat stat;
                struct skep_verify_report report;
                size_t letters = 0;
                (void)!skep_hive_stat(member->hive, &stat); /* a hive at work need not be consistent at a glance */
                (void)!skep_hive_verify(member->hive, &report);
                MUST(skep_hive_names(member->hive, look, &letters));
                MUST(skep_hive_reap(member->hive, NULL));
                (void)(skep_queue_size(member->bounded) + skep_queue_size(member->unbounded));
                (void)(skep_queue_is_full(member->bounded) + skep_queue_is_empty(member->spare));
                (void)skep_lock_owner(member->lock);
                usleep(3000);
        }
        return NULL;
}

static void *come_and_go(void *argument)
{
        struct member *member = argument;
        while (!skep_load32(&stop)) {
                skep_hive *hive;
                skep_queue *queue;
                MUST(skep_hive_attach(skep_hive_fd(member->hive), &hive));
                MUST(skep_queue_create(hive, SKEP_QUEUE_OPTIONS(.capacity = 4), &queue));
                MUST(skep_queue_put(queue, "here", 5, skep_forever()));
                skep_queue_unref(queue);
                skep_hive_detach(hive);
                usleep(2000);
        }
        return NULL;
}

/* Leave work of every kind undone. @return what the process holds of it, to be freed */
static skep_array *hold_all(struct member *member)
{
        struct skep_loan loan;
        skep_array *array;
        uint64_t length = 1000;
        uint8_t text[600];
        MUST(skep_queue_put(member->spare, text, fill(text, 1, sizeof text), skep_forever()));
        MUST(skep_queue_put(member->spare, text, fill(text, 2, 20), skep_forever()));
        MUST(skep_array_create(member->hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_F64, .dimension_count = 1, .shape = &length), &array));
        MUST(skep_queue_borrow(member->spare, &loan, skep_forever()));
        MUST(skep_queue_reserve(member->spare, 900, &loan));
        MUST(skep_lock_acquire(member->lock, skep_forever()));
        return array;
}

/* A member dies when it no longer holds its byte; its process may live on to tell the sanitizer what it did. */
static void *lose_life(void *argument)
{
        struct member *member = argument;
        while (!skep_load32(&stop)) {
                struct member dying;
                MUST(skep_hive_attach(skep_hive_fd(member->hive), &dying.hive));
                share_mapping(dying.hive, member->hive);
                MUST(skep_queue_open(dying.hive, "spare", &dying.spare));
                MUST(skep_lock_open(dying.hive, "lock", &dying.lock));
                skep_array *array = hold_all(&dying);
                const uint64_t *word = &dying.hive->members[dying.hive->member].word;
                uint64_t living = skep_load(word);
                os_close(dying.hive->life_fd);
                dying.hive->life_fd = -1;
                while (skep_load(word) == living) {
                        usleep(5000);
                        MUST(skep_hive_reap(member->hive, NULL)); /* if nobody else did: they may have ended */
                }
                dying.hive->member = UINT32_MAX; /* reaped: detaching must not do it again */
                unshare_mapping(dying.hive);
                skep_hive_detach(dying.hive);
                free(dying.spare); /* handles of a hive that is gone: only their memory is left */
                free(dying.lock);
                free(array);
        }
        return NULL;
}

/* The same with real processes. */
static void *bear_and_bury(void *argument)
{
        struct member *member = argument;
        while (!skep_load32(&stop)) {
                pid_t child = fork();
                EXPECT(child >= 0);
                if (child == 0) {
                        (void)hold_all(member);
                        kill(getpid(), SIGKILL);
                }
                int status;
                EXPECT(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
                usleep(20000);
        }
        return NULL;
}

/* --- all of it ------------------------------------------------------------------------------------------------------------------ */

static pthread_t start(void *(*run)(void *), int member)
{
        pthread_t thread;
        must(-pthread_create(&thread, NULL, run, &members[member]), "pthread_create");
        return thread;
}

static void join_all(pthread_t *threads, int thread_count)
{
        for (int i = 0; i < thread_count; i++)
                pthread_join(threads[i], NULL);
}

/*
 * Not the last one under ThreadSanitizer: a forked child inherits claims, and sometimes it is the child that frees a block.  The
 * sanitizer does not see its atomics, and takes the next owner of that block for a trespasser.
 */
static void *(*const guests[])(void *) = {come_and_go, lose_life, bear_and_bury};
#ifdef __SANITIZE_THREAD__
#define GUESTS 2
#else
#define GUESTS 3
#endif

START_TEST(members_do_everything_at_once)
{
        pthread_t takers[] = {start(consume_bounded, 0), start(consume_bounded, 1), start(consume_unbounded, 1), start(consume_unbounded, 2)};
        pthread_t borrowers[] = {start(borrow_blocks, 1), start(borrow_blocks, 2)};
        pthread_t workers[] = {
                start(produce, 0),         start(produce, 0),          start(produce, 2),         start(lend_blocks, 0), start(lend_blocks, 1),
                start(count_under_lock, 0), start(count_under_lock, 1), start(count_under_lock, 1), start(make_queues, 0), start(make_queues, 2),
        };
        pthread_t others[] = {start(look_around, 0), start(look_around, 2), start(guests[_i], 1)};
        join_all(workers, COUNT_OF(workers));
        skep_queue_close(members[0].bounded);
        skep_queue_close(members[1].unbounded);
        skep_queue_close(members[2].references);
        join_all(takers, COUNT_OF(takers));
        join_all(borrowers, COUNT_OF(borrowers));
        skep_store32(&stop, 1);
        join_all(others, COUNT_OF(others));
        for (int i = 0; i < 2; i++) {
                ck_assert_uint_eq(got_count[i], put_count[i]);
                ck_assert_uint_eq(got_sum[i], put_sum[i]);
        }
        ck_assert_uint_eq(guarded[0], UINT64_C(3) * 4 * rounds);
        struct skep_verify_report report;
        MUST(skep_hive_reap(members[0].hive, NULL));
        ck_assert_msg(skep_hive_verify(members[0].hive, &report) == 0, "%s", report.first);
}
END_TEST

/* Threads of one handle, each with its first call on it at the same moment, and gone at once. */
static void *be_an_agent(void *argument)
{
        struct member *member = argument;
        uint8_t text[300];
        size_t got;
        for (int i = 0; i < 3; i++) {
                MUST(skep_queue_put(member->spare, text, fill(text, 5, sizeof text), skep_forever()));
                MUST(skep_queue_get(member->spare, text, sizeof text, &got, skep_forever()));
        }
        return NULL;
}

START_TEST(threads_come_and_go)
{
        for (uint32_t i = 0; i < rounds / 10; i++) {
                pthread_t threads[8];
                for (int j = 0; j < 8; j++)
                        threads[j] = start(be_an_agent, j % MEMBERS);
                join_all(threads, 8);
        }
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_stat(members[0].hive, &stat), 0);
        ck_assert_uint_eq(stat.agents, MEMBERS); /* ours */
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("threads");
        TCase *all = tcase_create("threads");
        tcase_add_checked_fixture(all, setup, teardown);
        tcase_set_timeout(all, 60);
        tcase_add_loop_test(all, members_do_everything_at_once, 0, GUESTS);
        tcase_add_test(all, threads_come_and_go);
        suite_add_tcase(suite, all);
        return suite_run(suite);
}
