/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync_soak_test.c - locks, conditions, semaphores, barriers and so on at full speed while somebody is killed every few
 * milliseconds.
 *
 * Eight processes do all of it in turn, in an order of their own; the parent kills one at random and forks another.  What a
 * lock protects is a pair of counters that nothing else protects: they differ only while somebody is inside, or when he died
 * there and the next one is told.  Producers and consumers meet at a condition, parties at a barrier that breaks and is
 * reset; a tracking semaphore has its units at the end.  Nobody waits without a deadline that only a hang reaches, and
 * everybody must have got on in every phase of the run.
 *
 * SKEP_SOAK_SECONDS (3): how long.  SKEP_SOAK_SEED: the seed, which is printed; kernel scheduling is not repeated by it.
 * ctest: timeout=120
 */
#include "support/people.h"

#include "support/suite.h"

#include <inttypes.h>
#include <stdarg.h>

#define MEMBERS 8
#define UNITS 3
#define PARTIES 2

enum thing { LOCK, RLOCK, RWLOCK, ONCE, PLAIN, TRACKING, CONDITION, BARRIER, EVENT, THINGS };
static const char *const names[THINGS] = {"lock", "rlock", "rwlock", "once", "semaphore", "tracking", "condition", "barrier", "event"};

struct pair {
        volatile uint64_t first, second; /* equal when nobody is inside */
};

struct board {
        _Atomic uint32_t stop, failed;
        char failure[300];
        struct pair pairs[THINGS];
        volatile uint32_t full;                 /* the condition's slot */
        _Atomic uint64_t turns[THINGS];         /* how often something was done */
        _Atomic uint64_t deaths[THINGS];        /* how often somebody was told */
        _Atomic uint64_t rounds, broken;        /* of the barrier */
        _Atomic uint64_t produced, consumed;
};

static struct board *board;
static skep_hive *hive;
static skep_lock *lock;
static skep_rlock *rlock;
static skep_rwlock *rwlock;
static skep_once *once;
static skep_semaphore *plain, *tracking;
static skep_condition *filled, *emptied; /* of one lock */
static skep_barrier *barrier;
static skep_event *event;
static uint64_t seed, random_state;

static uint64_t mix(uint64_t x)
{
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        return x ^ x >> 31;
}

static uint64_t random_below(uint64_t n)
{
        return mix(random_state++) % n;
}

__attribute__((format(printf, 1, 2), noreturn)) static void give_up(const char *format, ...)
{
        if (!atomic_fetch_add(&board->failed, 1)) {
                va_list arguments;
                va_start(arguments, format);
                vsnprintf(board->failure, sizeof board->failure, format, arguments);
                va_end(arguments);
        }
        _exit(7);
}

/* A result of something that may have been a dead one's. @return he died over it */
static bool got(enum thing thing, int result)
{
        if (result < 0)
                give_up("%s: %s", names[thing], skep_error_name(result));
        atomic_fetch_add(&board->turns[thing], 1);
        if (result == SKEP_OWNER_DIED)
                atomic_fetch_add(&board->deaths[thing], 1);
        return result == SKEP_OWNER_DIED;
}

/* Alone in here.  Who dies between the two leaves them unequal, and then the next one has been told. */
static void protected(enum thing thing, bool told)
{
        struct pair *pair = &board->pairs[thing];
        uint64_t first = pair->first, second = pair->second;
        if (first != second && !told)
                give_up("%s: %" PRIu64 " and %" PRIu64 ", and nobody said that somebody died", names[thing], first, second);
        if (first - second > 1)
                give_up("%s: two were inside: %" PRIu64 " and %" PRIu64, names[thing], first, second);
        pair->second = first;
        pair->first = first + 1;
        if (random_below(8) == 0)
                usleep(50);
        pair->second = first + 1;
        if (pair->first != first + 1)
                give_up("%s: two are inside", names[thing]);
}

static void use_lock(void)
{
        protected(LOCK, got(LOCK, skep_lock_acquire(lock, LONG)));
        (void)skep_lock_release(lock);
}

static void use_rlock(void)
{
        bool told = got(RLOCK, skep_rlock_acquire(rlock, LONG));
        if (skep_rlock_acquire(rlock, skep_nowait()) != 0 || skep_rlock_depth(rlock) != 2)
                give_up("rlock: depth %u", skep_rlock_depth(rlock));
        protected(RLOCK, told);
        (void)skep_rlock_release(rlock);
        (void)skep_rlock_release(rlock);
}

/* The one who was told of a writer's death may have been a reader, so a writer may find the pair unequal. */
static void use_rwlock(void)
{
        if (random_below(4) == 0) {
                (void)got(RWLOCK, skep_rwlock_acquire_write(rwlock, LONG));
                protected(RWLOCK, true);
        } else {
                uint64_t before;
                (void)got(RWLOCK, skep_rwlock_acquire_read(rwlock, LONG));
                before = board->pairs[RWLOCK].first;
                if (random_below(8) == 0)
                        usleep(50);
                if (board->pairs[RWLOCK].first != before)
                        give_up("rwlock: a writer came in to a reader");
        }
        (void)skep_rwlock_release(rwlock);
}

static int in_once(void *context)
{
        (void)context;
        protected(ONCE, true); /* what it returns is returned, so the news is not heard of */
        return -EAGAIN;
}

static void use_once(void)
{
        int result = skep_once_run(once, in_once, NULL, LONG);
        (void)got(ONCE, result == -EAGAIN ? 0 : result);
}

static void use_plain(void)
{
        int result = skep_semaphore_acquire(plain, skep_within_ns(2 * MS)); /* units die with their takers */
        (void)got(PLAIN, result == -ETIMEDOUT ? 0 : result);
        if (result >= 0 && skep_semaphore_release(plain, 1) < 0)
                give_up("semaphore: one too many");
}

static void use_tracking(void)
{
        (void)got(TRACKING, skep_semaphore_acquire(tracking, LONG));
        if (random_below(8) == 0)
                usleep(50);
        int result = skep_semaphore_release(tracking, 1);
        if (result < 0)
                give_up("tracking: release says %s", skep_error_name(result));
}

static void notify(skep_condition *one, uint32_t count)
{
        if (skep_condition_notify(one, count) < 0)
                give_up("condition: not its owner");
}

/* Who died with the lock may have changed something and told nobody. */
static void hear(int result)
{
        if (result < 0)
                give_up("condition: %s%s", skep_error_name(result), result == -ETIMEDOUT ? ", a notification is lost" : "");
        if (got(CONDITION, result)) {
                notify(filled, UINT32_MAX);
                notify(emptied, UINT32_MAX);
        }
}

/* One slot; half produce, half consume, and each notifies just one. */
static void use_condition(bool produce)
{
        skep_condition *awaited = produce ? emptied : filled;
        hear(skep_condition_acquire(awaited, LONG));
        while (board->full == produce && !board->stop)
                hear(skep_condition_wait(awaited, LONG));
        if (board->full != produce) {
                board->full = produce;
                atomic_fetch_add(produce ? &board->produced : &board->consumed, 1);
        }
        notify(produce ? filled : emptied, 1);
        (void)skep_condition_release(awaited);
}

static void use_barrier(void)
{
        int result = skep_barrier_wait(barrier, NULL, NULL, skep_within_ns(50 * MS), NULL);
        atomic_fetch_add(result == 0 ? &board->rounds : &board->broken, 1);
        if (result == -EPIPE || result == -ETIMEDOUT)
                (void)skep_barrier_reset(barrier);
        else if (result < 0)
                give_up("barrier: %s", skep_error_name(result));
        atomic_fetch_add(&board->turns[BARRIER], 1);
}

static void use_event(void)
{
        uint64_t what = random_below(3);
        int result = what == 0 ? skep_event_set(event) : what == 1 ? skep_event_clear(event) : skep_event_wait(event, skep_within_ns(2 * MS));
        (void)got(EVENT, result == -ETIMEDOUT ? 0 : result);
}

static void live(bool produce)
{
        while (!board->stop)
                switch (random_below(THINGS)) {
                case LOCK:
                        use_lock();
                        break;
                case RLOCK:
                        use_rlock();
                        break;
                case RWLOCK:
                        use_rwlock();
                        break;
                case ONCE:
                        use_once();
                        break;
                case PLAIN:
                        use_plain();
                        break;
                case TRACKING:
                        use_tracking();
                        break;
                case CONDITION:
                        use_condition(produce);
                        break;
                case BARRIER:
                        use_barrier();
                        break;
                default:
                        use_event();
                }
}

/* --- the parent ------------------------------------------------------------------------------------------------------------------ */

static pid_t living[MEMBERS];

static void raise_member(int role)
{
        uint64_t state = mix(seed ^ random_state++);
        living[role] = fork();
        ck_assert_int_ge(living[role], 0);
        if (living[role] == 0) {
                alarm(0);
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                random_state = state;
                live(role % 2);
                _exit(0);
        }
}

static int on_waiter(const struct skep_wait_info *info, void *context)
{
        (void)context;
        dprintf(2, "  pid %d waits for a %s since %d ms, in the way: %d\n", (int)info->pid, info->kind, (int)(info->waited_ns / MS), (int)info->owner_pid);
        return 0;
}

/* The test fails anyway, so it may print here. */
static void on_alarm(int number)
{
        (void)number;
        dprintf(2, "sync_soak hangs: seed %" PRIu64 ", %s\n", seed, board->failure);
        if (skep_hive_waits(hive, on_waiter, NULL) < 0)
                dprintf(2, "  and the hive is damaged\n");
        for (int i = 0; i < MEMBERS; i++)
                if (living[i] > 0)
                        kill(living[i], SIGKILL);
        _exit(1);
}

static void join(int role, bool killed)
{
        int code = ended(living[role]);
        living[role] = 0;
        ck_assert_msg(!board->failed, "seed %" PRIu64 ": %s", seed, board->failure);
        ck_assert_msg(code == 0 || (killed && code == -SIGKILL), "seed %" PRIu64 ": ended with %d", seed, code);
}

/* Everybody gets on, again and again: no kind of object has come to a stop. */
static void check_progress(uint64_t last[THINGS], bool must)
{
        for (int i = 0; i < THINGS; i++) {
                uint64_t now = atomic_load(&board->turns[i]);
                ck_assert_msg(!must || now > last[i], "seed %" PRIu64 ": nobody gets on with the %s", seed, names[i]);
                last[i] = now;
        }
}

static uint64_t kill_for(int64_t seconds)
{
        int64_t end = people_now_ns() + seconds * 1000 * MS, next = people_now_ns() + 1000 * MS;
        uint64_t kills = 0, last[THINGS] = {0};
        while (people_now_ns() < end) {
                usleep((useconds_t)(500 + random_below(6000)));
                int role = (int)random_below(MEMBERS);
                kill(living[role], SIGKILL);
                join(role, true);
                raise_member(role);
                kills++;
                if (skep_semaphore_value(plain) == 0) /* all have died with their takers */
                        (void)skep_semaphore_release(plain, UNITS);
                if (people_now_ns() > next) {
                        check_progress(last, true);
                        next += 1000 * MS;
                }
        }
        return kills;
}

START_TEST(nobody_waits_for_the_dead_and_nobody_is_inside_with_another)
{
        const char *given = getenv("SKEP_SOAK_SECONDS");
        int64_t seconds = given ? atoi(given) : 3;
        given = getenv("SKEP_SOAK_SEED");
        seed = given ? strtoull(given, NULL, 0) : (uint64_t)people_now_ns();
        random_state = mix(seed);
        printf("sync_soak: seed %" PRIu64 ", %d seconds\n", seed, (int)seconds);
        fflush(stdout);
        board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(board, MAP_FAILED);
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 16u << 20, .member_max = 32), &hive), 0);
        ck_assert_int_eq(skep_lock_create(hive, NULL, &lock), 0);
        ck_assert_int_eq(skep_rlock_create(hive, NULL, &rlock), 0);
        ck_assert_int_eq(skep_rwlock_create(hive, NULL, &rwlock), 0);
        ck_assert_int_eq(skep_once_create(hive, NULL, &once), 0);
        ck_assert_int_eq(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.value = UNITS, .max = 1000000), &plain), 0);
        ck_assert_int_eq(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.value = UNITS, .flags = SKEP_SEMAPHORE_TRACKING), &tracking), 0);
        skep_lock *door;
        ck_assert_int_eq(skep_lock_create(hive, NULL, &door), 0);
        ck_assert_int_eq(skep_condition_create(hive, SKEP_CONDITION_OPTIONS(.lock = door), &filled), 0);
        ck_assert_int_eq(skep_condition_create(hive, SKEP_CONDITION_OPTIONS(.lock = door), &emptied), 0);
        skep_lock_unref(door);
        ck_assert_int_eq(skep_barrier_create(hive, NULL, PARTIES, &barrier), 0);
        ck_assert_int_eq(skep_event_create(hive, NULL, &event), 0);
        signal(SIGALRM, on_alarm);
        alarm((unsigned)seconds + 60);

        for (int role = 0; role < MEMBERS; role++)
                raise_member(role);
        uint64_t kills = kill_for(seconds);
        board->stop = 1;
        ck_assert_int_ge(skep_condition_acquire(filled, LONG), 0);
        ck_assert_int_eq(skep_condition_notify_all(filled), 0);
        ck_assert_int_eq(skep_condition_notify_all(emptied), 0);
        ck_assert_int_eq(skep_condition_release(filled), 0);
        for (int role = 0; role < MEMBERS; role++)
                join(role, false);

        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        for (int i = 0; i < UNITS; i++)
                ck_assert_int_ge(skep_semaphore_acquire(tracking, skep_nowait()), 0);
        ck_assert_int_eq(skep_semaphore_acquire(tracking, skep_nowait()), -ETIMEDOUT);
        ck_assert_int_eq(skep_semaphore_release(tracking, UNITS), 0);
        ck_assert_uint_eq(skep_semaphore_value(tracking), UNITS);
        struct skep_verify_report report;
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "seed %" PRIu64 ": %s", seed, report.first);
        printf("sync_soak: %" PRIu64 " killed;", kills);
        for (int i = 0; i < THINGS; i++)
                printf(" %s %" PRIu64 "/%" PRIu64, names[i], atomic_load(&board->turns[i]), atomic_load(&board->deaths[i]));
        printf("; %" PRIu64 " produced, %" PRIu64 " consumed; %" PRIu64 " met, %" PRIu64 " broken\n", atomic_load(&board->produced),
               atomic_load(&board->consumed), atomic_load(&board->rounds), atomic_load(&board->broken));
        ck_assert_uint_gt(board->produced, 0);
        ck_assert_uint_gt(board->rounds, 0);
        skep_lock_unref(lock);
        skep_rlock_unref(rlock);
        skep_rwlock_unref(rwlock);
        skep_once_unref(once);
        skep_semaphore_unref(plain);
        skep_semaphore_unref(tracking);
        skep_condition_unref(filled);
        skep_condition_unref(emptied);
        skep_barrier_unref(barrier);
        skep_event_unref(event);
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_msg(stat.blocks == 0 && stat.members == 1, "seed %" PRIu64 ": %" PRIu64 " blocks leak, %u members", seed, stat.blocks, stat.members);
        alarm(0);
        skep_hive_detach(hive);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("sync_soak");
        TCase *soak = tcase_create("sync_soak");
        tcase_set_timeout(soak, 0); /* the alarm says more */
        tcase_add_test(soak, nobody_waits_for_the_dead_and_nobody_is_inside_with_another);
        suite_add_tcase(suite, soak);
        return suite_run(suite);
}
