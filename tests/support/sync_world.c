/* SPDX-License-Identifier: Apache-2.0 */
/* sync_world.c - operations on what processes wait for, that members die in, and the check of what they leave (sync_world.h). */
#include "support/sync_world.h"

#include "support/people.h"

#define UNITS 2

static void must(int result, const char *what)
{
        if (result < 0) {
                fprintf(stderr, "%s: %s\n", what, skep_strerror(result));
                abort();
        }
}
#define MUST(call) must(call, #call)
#define MUST_BE(value, call) must((call) == (value) ? 0 : -EBADMSG, #call)

/* Handles on everything, in one hive. */
struct things {
        skep_lock *lock, *held, *dead_lock;
        skep_rlock *rlock, *dead_rlock;
        skep_semaphore *plain, *empty, *units, *held_units, *dead_units;
        skep_condition *condition, *own;
        skep_event *event, *clear;
        skep_barrier *two, *pair, *lonely;
        skep_once *fresh, *begun;
        skep_rwlock *rwlock, *written, *reading, *dead_written, *dead_reading;
        skep_value *value;
};

static struct things all;
static skep_hive *made;
static pid_t waiter, second, first_of_pair, listener;

#define TRACKED(label, count) SKEP_SEMAPHORE_OPTIONS(.name = label, .value = count, .flags = SKEP_SEMAPHORE_TRACKING)

static void make_all(skep_hive *hive)
{
        MUST(skep_lock_create(hive, "lock", &all.lock));
        MUST(skep_lock_create(hive, "held", &all.held));
        MUST(skep_lock_create(hive, "lock of the dead", &all.dead_lock));
        MUST(skep_rlock_create(hive, "rlock", &all.rlock));
        MUST(skep_rlock_create(hive, "rlock of the dead", &all.dead_rlock));
        MUST(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.name = "plain", .value = UNITS, .max = UNITS), &all.plain));
        MUST(skep_semaphore_create(hive, SKEP_SEMAPHORE_OPTIONS(.name = "empty"), &all.empty));
        MUST(skep_semaphore_create(hive, TRACKED("units", UNITS), &all.units));
        MUST(skep_semaphore_create(hive, TRACKED("units held", 1), &all.held_units));
        MUST(skep_semaphore_create(hive, TRACKED("units of the dead", UNITS), &all.dead_units));
        MUST(skep_condition_create(hive, SKEP_CONDITION_OPTIONS(.name = "c"), &all.condition));
        MUST(skep_condition_create(hive, SKEP_CONDITION_OPTIONS(.name = "own"), &all.own));
        MUST(skep_event_create(hive, "e", &all.event));
        MUST(skep_event_create(hive, "clear", &all.clear));
        MUST(skep_value_create(hive, SKEP_VALUE_OPTIONS(.name = "value", .element = SKEP_ELEMENT_I32, .count = 2, .flags = SKEP_VALUE_LOCK), &all.value));
        MUST(skep_barrier_create(hive, "two", 2, &all.two));
        MUST(skep_barrier_create(hive, "pair", 2, &all.pair));
        MUST(skep_barrier_create(hive, "lonely", 2, &all.lonely));
        MUST(skep_once_create(hive, "fresh", &all.fresh));
        MUST(skep_once_create(hive, "begun", &all.begun));
        MUST(skep_rwlock_create(hive, "rwlock", &all.rwlock));
        MUST(skep_rwlock_create(hive, "written", &all.written));
        MUST(skep_rwlock_create(hive, "reading", &all.reading));
        MUST(skep_rwlock_create(hive, "written by the dead", &all.dead_written));
        MUST(skep_rwlock_create(hive, "read by the dead", &all.dead_reading));
}

static struct things open_all(skep_hive *hive)
{
        struct things found;
        MUST(skep_lock_open(hive, "lock", &found.lock));
        MUST(skep_lock_open(hive, "held", &found.held));
        MUST(skep_lock_open(hive, "lock of the dead", &found.dead_lock));
        MUST(skep_rlock_open(hive, "rlock", &found.rlock));
        MUST(skep_rlock_open(hive, "rlock of the dead", &found.dead_rlock));
        MUST(skep_semaphore_open(hive, "plain", &found.plain));
        MUST(skep_semaphore_open(hive, "empty", &found.empty));
        MUST(skep_semaphore_open(hive, "units", &found.units));
        MUST(skep_semaphore_open(hive, "units held", &found.held_units));
        MUST(skep_semaphore_open(hive, "units of the dead", &found.dead_units));
        MUST(skep_condition_open(hive, "c", &found.condition));
        MUST(skep_condition_open(hive, "own", &found.own));
        MUST(skep_event_open(hive, "e", &found.event));
        MUST(skep_event_open(hive, "clear", &found.clear));
        MUST(skep_value_open(hive, "value", &found.value));
        MUST(skep_barrier_open(hive, "two", &found.two));
        MUST(skep_barrier_open(hive, "pair", &found.pair));
        MUST(skep_barrier_open(hive, "lonely", &found.lonely));
        MUST(skep_once_open(hive, "fresh", &found.fresh));
        MUST(skep_once_open(hive, "begun", &found.begun));
        MUST(skep_rwlock_open(hive, "rwlock", &found.rwlock));
        MUST(skep_rwlock_open(hive, "written", &found.written));
        MUST(skep_rwlock_open(hive, "reading", &found.reading));
        MUST(skep_rwlock_open(hive, "written by the dead", &found.dead_written));
        MUST(skep_rwlock_open(hive, "read by the dead", &found.dead_reading));
        return found;
}

static void leave_all(struct things *things)
{
        skep_lock_unref(things->lock);
        skep_lock_unref(things->held);
        skep_lock_unref(things->dead_lock);
        skep_rlock_unref(things->rlock);
        skep_rlock_unref(things->dead_rlock);
        skep_semaphore_unref(things->plain);
        skep_semaphore_unref(things->empty);
        skep_semaphore_unref(things->units);
        skep_semaphore_unref(things->held_units);
        skep_semaphore_unref(things->dead_units);
        skep_condition_unref(things->condition);
        skep_condition_unref(things->own);
        skep_event_unref(things->event);
        skep_event_unref(things->clear);
        skep_value_unref(things->value);
        skep_barrier_unref(things->two);
        skep_barrier_unref(things->pair);
        skep_barrier_unref(things->lonely);
        skep_once_unref(things->fresh);
        skep_once_unref(things->begun);
        skep_rwlock_unref(things->rwlock);
        skep_rwlock_unref(things->written);
        skep_rwlock_unref(things->reading);
        skep_rwlock_unref(things->dead_written);
        skep_rwlock_unref(things->dead_reading);
}

/* --- helpers and the victim ------------------------------------------------------------------------------------------------- */

static int end_of(int result)
{
        return result >= 0 ? 0 : result == -EPIPE ? 1 : 2;
}

static int wait_at_condition(void *context)
{
        skep_condition *condition = context;
        int result = skep_condition_acquire(condition, LONG);
        if (result >= 0)
                result = skep_condition_wait(condition, LONG);
        if (result >= 0)
                (void)skep_condition_release(condition);
        return result;
}

static int play_waiter(void)
{
        return wait_at_condition(all.condition);
}

static int play_second(void)
{
        MUST(skep_barrier_wait(all.two, NULL, NULL, LONG, NULL));
        return skep_barrier_wait(all.two, NULL, NULL, LONG, NULL);
}

static int play_first_of_pair(void)
{
        return skep_barrier_wait(all.pair, NULL, NULL, LONG, NULL);
}

static int play_listener(void)
{
        return skep_event_wait(all.event, LONG);
}

static int play_victim(void)
{
        MUST(skep_lock_acquire(all.dead_lock, skep_nowait()));
        MUST(skep_rlock_acquire(all.dead_rlock, skep_nowait()));
        MUST(skep_rlock_acquire(all.dead_rlock, skep_nowait()));
        MUST(skep_semaphore_acquire(all.dead_units, skep_nowait()));
        MUST(skep_rwlock_acquire_write(all.dead_written, skep_nowait()));
        MUST(skep_rwlock_acquire_read(all.dead_reading, skep_nowait()));
        MUST(skep_barrier_wait(all.two, NULL, NULL, LONG, NULL));
        return skep_once_run(all.begun, wait_at_condition, all.condition, LONG);
}

static void on_signal(int number)
{
        (void)number;
}

static pid_t helper(int (*play)(void))
{
        pid_t child = branch();
        if (!child) {
                sigaction(SIGUSR1, &(const struct sigaction){.sa_handler = on_signal}, NULL);
                _exit(end_of(play()));
        }
        return child;
}

static void until(const char *kind, uint32_t count)
{
        while (asleep(made, kind) != count)
                usleep(50);
}

void world_make(struct world *world, const struct operation *operation)
{
        (void)operation; /* the same for all */
        MUST(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 4u << 20, .agent_max = 32, .member_max = 16), &world->hive));
        made = world->hive;
        make_all(made);
        MUST(skep_lock_acquire(all.held, skep_nowait()));
        MUST(skep_semaphore_acquire(all.held_units, skep_nowait()));
        MUST(skep_rwlock_acquire_write(all.written, skep_nowait()));
        MUST(skep_rwlock_acquire_read(all.reading, skep_nowait()));
        second = helper(play_second);
        pid_t victim = helper(play_victim);
        first_of_pair = helper(play_first_of_pair);
        listener = helper(play_listener);
        until("condition", 1);
        waiter = helper(play_waiter);
        until("condition", 2);
        until("barrier", 2);
        until("event", 1);
        MUST(skep_condition_acquire(all.condition, LONG)); /* who is seen to wait there may not have let go of the lock yet: */
        MUST(skep_condition_release(all.condition));       /* stopped just then, it would keep it */
        halt(victim);
        halt(waiter);
        halt(second);
        halt(first_of_pair);
        halt(listener);
        MUST(skep_condition_acquire(all.condition, LONG));
        MUST(skep_condition_notify(all.condition, 1)); /* the victim, who came first */
        MUST(skep_condition_release(all.condition));
        kill(victim, SIGKILL);
        while (ended(victim) != -SIGKILL)
                abort();
}

void world_leave(struct world *world)
{
        (void)world;
        leave_all(&all);
}

/* --- what must hold ----------------------------------------------------------------------------------------------------------- */

static int nothing(void *context)
{
        (void)context;
        return 0;
}

static bool is(const struct operation *operation, const char *name)
{
        return !strcmp(operation->name, name);
}

#define CHECK(condition) ck_assert_msg(condition, "%s at %s: not true: " #condition, operation->name, where)

static void check_units(skep_semaphore *units, uint32_t count, const struct operation *operation, const char *where)
{
        for (uint32_t i = 0; i < count; i++)
                CHECK(skep_semaphore_acquire(units, LONG) >= 0);
        CHECK(skep_semaphore_acquire(units, skep_nowait()) == -ETIMEDOUT);
        CHECK(skep_semaphore_release(units, count) == 0);
        CHECK(skep_semaphore_value(units) == count);
}

static void check_rwlock(skep_rwlock *rwlock, const struct operation *operation, const char *where)
{
        CHECK(skep_rwlock_acquire_write(rwlock, LONG) >= 0);
        CHECK(skep_rwlock_release(rwlock) == 0);
        CHECK(skep_rwlock_acquire_read(rwlock, LONG) == 0);
        CHECK(skep_rwlock_release(rwlock) == 0);
}

static void check_barrier(skep_barrier *barrier, const struct operation *operation, const char *where)
{
        CHECK(skep_barrier_reset(barrier) == 0);
        CHECK(skep_barrier_wait(barrier, NULL, NULL, skep_nowait(), NULL) == -ETIMEDOUT);
        CHECK(skep_barrier_wait(barrier, NULL, NULL, skep_nowait(), NULL) == -EPIPE);
        CHECK(skep_barrier_waiting(barrier) == 0);
}

static void check_condition(skep_condition *condition, const struct operation *operation, const char *where)
{
        CHECK(skep_condition_acquire(condition, LONG) >= 0);
        CHECK(skep_condition_wait(condition, skep_nowait()) == -ETIMEDOUT);
        CHECK(skep_condition_notify_all(condition) == 0);
        CHECK(skep_condition_release(condition) == 0);
}

/* The helpers live: they go on, and come to their ends. */
static void check_helpers(struct things *found, const struct operation *operation, bool finished, const char *where)
{
        bool last_came = is(operation, "barrier, last");
        pid_t helpers[] = {waiter, second, first_of_pair, listener};
        for (size_t i = 0; i < sizeof helpers / sizeof helpers[0]; i++) {
                kill(helpers[i], SIGCONT);
                kill(helpers[i], SIGUSR1); /* a wake-up did not reach them while they were stopped; do not wait for the slice's end */
        }
        CHECK(ended(waiter) == 0);
        CHECK(ended(second) == 1);
        if (!(last_came && finished))
                CHECK(skep_barrier_abort(found->pair) == 0);
        int result = ended(first_of_pair);
        CHECK(last_came ? result == 0 || (result == 1 && !finished) : result == 1);
        if (!(is(operation, "event") && finished))
                CHECK(skep_event_set(found->event) == 0);
        CHECK(ended(listener) == 0);
        CHECK(skep_lock_release(found->held) == 0);
        CHECK(skep_semaphore_release(found->held_units, 1) == 0);
        CHECK(skep_rwlock_release(found->written) == 0);
        CHECK(skep_rwlock_release(found->reading) == 0);
}

static int forget(const struct skep_object_entry *entry, void *context)
{
        return skep_hive_forget(context, entry->name);
}

void world_check(skep_hive *hive, const struct operation *operation, bool finished, const char *where)
{
        struct skep_verify_report report;
        struct skep_hive_stat stat;
        CHECK(skep_hive_verify(hive, &report) == 0);
        struct things found = open_all(hive);
        if (hive == made)
                check_helpers(&found, operation, finished, where);
        CHECK(skep_hive_reap(hive, NULL) == 0);
        skep_lock *locks[] = {found.lock, found.held, found.dead_lock};
        for (size_t i = 0; i < 3; i++) {
                CHECK(skep_lock_acquire(locks[i], LONG) >= 0);
                CHECK(skep_lock_release(locks[i]) == 0);
        }
        skep_rlock *rlocks[] = {found.rlock, found.dead_rlock};
        for (size_t i = 0; i < 2; i++) {
                CHECK(skep_rlock_acquire(rlocks[i], LONG) >= 0);
                CHECK(skep_rlock_depth(rlocks[i]) == 1);
                CHECK(skep_rlock_release(rlocks[i]) == 0);
        }
        uint32_t left = skep_semaphore_value(found.plain);
        CHECK(left == UNITS || (left == UNITS - 1 && !finished && is(operation, "semaphore")));
        CHECK(skep_semaphore_value(found.empty) == 0);
        check_units(found.units, UNITS, operation, where);
        check_units(found.held_units, 1, operation, where);
        check_units(found.dead_units, UNITS, operation, where);
        check_condition(found.condition, operation, where);
        check_condition(found.own, operation, where);
        check_barrier(found.two, operation, where);
        check_barrier(found.pair, operation, where);
        check_barrier(found.lonely, operation, where);
        CHECK(skep_event_is_set(found.clear) == 0);
        int64_t number;
        CHECK(skep_value_load_i64(found.value, 1, &number) == 0);
        CHECK(is(operation, "value") ? (finished ? number == 9 : number == 0 || number == 5 || number == 7 || number == 9) : number == 0);
        CHECK(skep_value_acquire(found.value, LONG) >= 0);
        CHECK(skep_value_release(found.value) == 0);
        CHECK(skep_once_run(found.fresh, nothing, NULL, LONG) >= 0);
        CHECK(skep_once_run(found.begun, nothing, NULL, LONG) >= 0);
        skep_rwlock *rwlocks[] = {found.rwlock, found.written, found.reading, found.dead_written, found.dead_reading};
        for (size_t i = 0; i < 5; i++)
                check_rwlock(rwlocks[i], operation, where);
        leave_all(&found);
        MUST(skep_hive_names(hive, forget, hive));
        MUST(skep_hive_stat(hive, &stat));
        CHECK(stat.blocks == 0);
        CHECK(stat.names == 0);
        CHECK(stat.members == 1);
        CHECK(skep_hive_verify(hive, &report) == 0);
}

/* --- operations --------------------------------------------------------------------------------------------------------------- */

static void lock_and_release(struct world *world)
{
        (void)world;
        MUST_BE(0, skep_lock_acquire(all.lock, skep_nowait()));
        MUST_BE(0, skep_lock_release(all.lock));
}

static void lock_waits(struct world *world)
{
        (void)world;
        MUST_BE(-ETIMEDOUT, skep_lock_acquire(all.held, skep_within_ns(MS)));
}

static void rlock_twice(struct world *world)
{
        (void)world;
        MUST_BE(0, skep_rlock_acquire(all.rlock, skep_nowait()));
        MUST_BE(0, skep_rlock_acquire(all.rlock, skep_nowait()));
        MUST_BE(0, skep_rlock_release(all.rlock));
        MUST_BE(0, skep_rlock_release(all.rlock));
}

static void semaphore_taken_and_given(struct world *world)
{
        (void)world;
        MUST_BE(0, skep_semaphore_acquire(all.plain, skep_nowait()));
        MUST_BE(0, skep_semaphore_release(all.plain, 1));
}

static void semaphore_waits(struct world *world)
{
        (void)world;
        MUST_BE(-ETIMEDOUT, skep_semaphore_acquire(all.empty, skep_within_ns(MS)));
}

static void units_taken_and_given(struct world *world)
{
        (void)world;
        for (int i = 0; i < UNITS; i++)
                MUST_BE(0, skep_semaphore_acquire(all.units, skep_nowait()));
        MUST_BE(0, skep_semaphore_release(all.units, UNITS));
}

static void units_waited_for(struct world *world)
{
        (void)world;
        MUST_BE(-ETIMEDOUT, skep_semaphore_acquire(all.held_units, skep_within_ns(MS)));
}

static void condition_waits(struct world *world)
{
        (void)world;
        MUST_BE(0, skep_condition_acquire(all.own, skep_nowait()));
        MUST_BE(-ETIMEDOUT, skep_condition_wait(all.own, skep_within_ns(MS)));
        MUST_BE(0, skep_condition_release(all.own));
}

/* The waiter notifies itself, from within its own wait. */
static int notify_own(void *result)
{
        MUST_BE(0, skep_condition_acquire(all.own, skep_nowait()));
        MUST_BE(0, skep_condition_notify(all.own, 1));
        MUST_BE(0, skep_condition_release(all.own));
        return *(int *)result;
}

static void wait_for_own(int told)
{
        skep_thread_on_interrupt(notify_own, &told);
        MUST_BE(0, skep_condition_acquire(all.own, skep_nowait()));
        MUST_BE(told, skep_condition_wait(all.own, LONG));
        MUST_BE(0, skep_condition_release(all.own));
        skep_thread_on_interrupt(NULL, NULL);
}

static void condition_notified(struct world *world)
{
        (void)world;
        wait_for_own(0);
}

static void condition_interrupted(struct world *world)
{
        (void)world;
        wait_for_own(-ECANCELED);
}

static void condition_notifies(struct world *world)
{
        (void)world;
        MUST_BE(0, skep_condition_acquire(all.condition, skep_nowait()));
        MUST_BE(0, skep_condition_notify(all.condition, 2));
        MUST_BE(0, skep_condition_release(all.condition));
}

static void condition_comes_and_goes(struct world *world)
{
        skep_condition *condition;
        MUST(skep_condition_create(world->hive, NULL, &condition));
        skep_condition_unref(condition);
        MUST(skep_condition_create(world->hive, SKEP_CONDITION_OPTIONS(.lock = all.lock), &condition));
        skep_condition_unref(condition);
}

static void event_set_and_cleared(struct world *world)
{
        (void)world;
        MUST(skep_event_set(all.event));
        MUST(skep_event_clear(all.event));
        MUST_BE(-ETIMEDOUT, skep_event_wait(all.clear, skep_within_ns(MS)));
}

static void barrier_alone(struct world *world)
{
        (void)world;
        MUST_BE(-ETIMEDOUT, skep_barrier_wait(all.lonely, NULL, NULL, skep_within_ns(MS), NULL));
        MUST(skep_barrier_reset(all.lonely));
        MUST(skep_barrier_abort(all.lonely));
}

static void barrier_last(struct world *world)
{
        (void)world;
        MUST_BE(0, skep_barrier_wait(all.pair, nothing, NULL, skep_nowait(), NULL));
        skep_process_exiting(); /* it does not die after this round */
}

static int fails(void *context)
{
        (void)context;
        return -EIO;
}

static void once_tried_and_done(struct world *world)
{
        (void)world;
        MUST_BE(-EIO, skep_once_run(all.fresh, fails, NULL, skep_nowait()));
        MUST_BE(0, skep_once_run(all.fresh, nothing, NULL, skep_nowait()));
}

static void rwlock_read_and_written(struct world *world)
{
        (void)world;
        MUST_BE(0, skep_rwlock_acquire_read(all.rwlock, skep_nowait()));
        MUST_BE(0, skep_rwlock_release(all.rwlock));
        MUST_BE(0, skep_rwlock_acquire_write(all.rwlock, skep_nowait()));
        MUST_BE(0, skep_rwlock_release(all.rwlock));
}

static void rwlock_waits(struct world *world)
{
        (void)world;
        MUST_BE(-ETIMEDOUT, skep_rwlock_acquire_read(all.written, skep_within_ns(MS)));
        MUST_BE(-ETIMEDOUT, skep_rwlock_acquire_write(all.reading, skep_within_ns(MS)));
}

static void take_over(struct world *world)
{
        (void)world;
        MUST_BE(SKEP_OWNER_DIED, skep_lock_acquire(all.dead_lock, skep_nowait()));
        MUST_BE(0, skep_lock_release(all.dead_lock));
        MUST_BE(SKEP_OWNER_DIED, skep_rlock_acquire(all.dead_rlock, skep_nowait()));
        MUST_BE(0, skep_rlock_release(all.dead_rlock));
        MUST_BE(0, skep_semaphore_acquire(all.dead_units, skep_nowait()));
        MUST_BE(SKEP_OWNER_DIED, skep_semaphore_acquire(all.dead_units, skep_nowait()));
        MUST_BE(0, skep_semaphore_release(all.dead_units, UNITS));
        MUST_BE(SKEP_OWNER_DIED, skep_rwlock_acquire_read(all.dead_written, skep_nowait()));
        MUST_BE(0, skep_rwlock_release(all.dead_written));
        MUST_BE(0, skep_rwlock_acquire_write(all.dead_reading, skep_nowait()));
        MUST_BE(0, skep_rwlock_release(all.dead_reading));
        MUST_BE(SKEP_OWNER_DIED, skep_once_run(all.begun, nothing, NULL, skep_nowait()));
}

static void fork_holding(struct world *world)
{
        (void)world;
        MUST_BE(0, skep_lock_acquire(all.lock, skep_nowait()));
        MUST_BE(0, skep_rwlock_acquire_read(all.rwlock, skep_nowait()));
        pid_t child = fork();
        if (child == 0)
                _exit(skep_rwlock_release(all.rwlock) != -EPERM || skep_lock_acquire(all.lock, skep_nowait()) != -ETIMEDOUT);
        int code = ended(child);
        MUST_BE(0, code == -SIGKILL ? 0 : code); /* it passes probes too */
        MUST_BE(0, skep_rwlock_release(all.rwlock));
        MUST_BE(0, skep_lock_release(all.lock));
}

static void reap_the_victim(struct world *world)
{
        struct skep_reap_report report;
        MUST(skep_hive_reap(world->hive, &report));
        MUST_BE(1, (int)report.members);
}

static void barrier_broken(struct world *world)
{
        MUST(skep_hive_reap(world->hive, NULL)); /* finds that the victim was a party */
        MUST_BE(-EPIPE, skep_barrier_wait(all.two, NULL, NULL, LONG, NULL));
}

static void value_changed(struct world *world)
{
        int64_t expected = 7;
        int32_t seen = 9;
        (void)world;
        MUST(skep_value_acquire(all.value, LONG));
        MUST(skep_value_fetch_add_i64(all.value, 1, 5, NULL));
        MUST(skep_value_store_i64(all.value, 1, 7));
        MUST(skep_value_compare_exchange_i64(all.value, 1, &expected, 9));
        MUST_BE(-ETIMEDOUT, skep_value_wait(all.value, 1, &seen, skep_within_ns(MS)));
        MUST(skep_value_release(all.value));
}

const struct operation operations[] = {
        {.name = "value", .run = value_changed},
        {.name = "lock", .run = lock_and_release},
        {.name = "lock, waiting", .run = lock_waits},
        {.name = "rlock", .run = rlock_twice},
        {.name = "semaphore", .run = semaphore_taken_and_given},
        {.name = "semaphore, waiting", .run = semaphore_waits},
        {.name = "tracking semaphore", .run = units_taken_and_given},
        {.name = "tracking semaphore, waiting", .run = units_waited_for},
        {.name = "condition, waiting", .run = condition_waits},
        {.name = "condition, notified", .run = condition_notified},
        {.name = "condition, interrupted", .run = condition_interrupted},
        {.name = "condition, notifying", .run = condition_notifies},
        {.name = "condition create, destroy", .run = condition_comes_and_goes},
        {.name = "event", .run = event_set_and_cleared},
        {.name = "barrier, alone", .run = barrier_alone},
        {.name = "barrier, last", .run = barrier_last},
        {.name = "barrier, broken", .run = barrier_broken},
        {.name = "once", .run = once_tried_and_done},
        {.name = "rwlock", .run = rwlock_read_and_written},
        {.name = "rwlock, waiting", .run = rwlock_waits},
        {.name = "take over", .run = take_over},
        {.name = "fork, holding", .run = fork_holding},
        {.name = "reap", .run = reap_the_victim},
};
const int operation_count = sizeof operations / sizeof operations[0];
