/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dict_soak_test.c - one dict at full speed while somebody is killed every few milliseconds.
 *
 * Six processes do all of it at random; the parent kills one and forks another.
 *   together   five keys are only set by updates of all five to one number: a snapshot never shows two numbers
 *   counters   a number is between the additions that were done and those that were begun, and is what compare-and-set made of it
 *   tokens     popped, and put back by who has them: none is doubled, and at most one is lost with each death
 *   texts      a value begins with its key, whatever table it is in, and is whole
 *   nests      dicts in the dict, that go with their last reference: at the end nothing leaks
 *
 * SKEP_SOAK_SECONDS (3): how long.  SKEP_SOAK_SEED: the seed, which is printed; kernel scheduling is not repeated by it.
 * ctest: timeout=120
 */
#include "support/people.h"

#include <inttypes.h>

#define MEMBERS 6
#define TOKENS 8
#define COUNTERS 4
#define TEXTS 300

enum { TOGETHER = 0, COUNTER = 100, TOKEN = 200, TEXT = 1000, NEST = 5000 }; /* first keys */

struct board {
        _Atomic uint32_t stop, failed;
        char failure[300];
        _Atomic uint64_t begun[COUNTERS], done[COUNTERS], turns, updates;
};

static struct board *board;
static skep_hive *hive;
static skep_dict *dict;
static uint64_t seed, random_state;

static uint64_t mix(uint64_t x)
{
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        return x ^ x >> 31;
}

static int64_t random_below(int64_t n)
{
        return (int64_t)(mix(random_state++) % (uint64_t)n);
}

__attribute__((noreturn)) static void give_up(const char *what, int64_t number)
{
        if (!atomic_fetch_add(&board->failed, 1))
                snprintf(board->failure, sizeof board->failure, "%s (%lld)", what, (long long)number);
        _exit(7);
}
#define EXPECT(condition, number) \
        do { \
                if (!(condition)) \
                        give_up(#condition, number); \
        } while (0)

static int there_or_not(int result)
{
        EXPECT(result == 0 || result == -ENOENT, result);
        return result;
}

static struct skep_item key_at(int64_t number)
{
        return skep_item_integer(number);
}

/* --- what members do ------------------------------------------------------------------------------------------------------------ */

static void set_together(void)
{
        struct skep_dict_entry entries[5];
        int64_t number = random_below(INT32_MAX);
        char text[60];
        snprintf(text, sizeof text, "%-50lld", (long long)number); /* every other is a text in a block */
        for (int64_t i = 0; i < 5; i++)
                entries[i] = (struct skep_dict_entry){.key = key_at(TOGETHER + i), .value = i % 2 ? skep_item_text(text) : skep_item_integer(number)};
        int result = skep_dict_update(dict, entries, 5);
        EXPECT(result == 0, result);
        atomic_fetch_add(&board->updates, 1);
}

static int64_t number_of(const struct skep_item *item)
{
        size_t bytes;
        const char *text = skep_item_data(item, &bytes);
        if (!text)
                return item->integer;
        EXPECT(bytes == 50, (int64_t)bytes);
        return strtoll(text, NULL, 10);
}

static void look_at_all(void)
{
        struct skep_dict_entry *entries;
        uint64_t count;
        int64_t together = -1;
        int found = 0, result = skep_dict_snapshot(dict, 0, &entries, &count);
        EXPECT(result == 0, result);
        for (uint64_t i = 0; i < count; i++) {
                int64_t key = entries[i].key.integer;
                if (key >= TOGETHER + 5)
                        continue;
                int64_t number = number_of(&entries[i].value);
                EXPECT(!found || number == together, key);
                together = number;
                found++;
        }
        EXPECT(found == 5, found);
        skep_dict_entries_free(entries, count);
}

static void add_one(int64_t which)
{
        struct skep_item key = key_at(COUNTER + which), one = skep_item_integer(1);
        atomic_fetch_add(&board->begun[which], 1);
        int result = skep_dict_add(dict, &key, &one, SKEP_DICT_MISSING_IS_ZERO, NULL);
        EXPECT(result == 0, result);
        atomic_fetch_add(&board->done[which], 1);
}

static void compare_and_add(int64_t which)
{
        struct skep_item key = key_at(COUNTER + which), value;
        uint64_t version;
        int result;
        atomic_fetch_add(&board->begun[which], 1);
        do {
                version = 0;
                value = skep_item_integer(0);
                (void)there_or_not(skep_dict_get(dict, &key, &value, &version));
                value = skep_item_integer(value.integer + 1);
                result = skep_dict_set_if(dict, &key, version, &value, NULL);
        } while (result == -EAGAIN);
        EXPECT(result == 0, result);
        atomic_fetch_add(&board->done[which], 1);
}

static void take_token(void)
{
        struct skep_item key = key_at(TOKEN + random_below(TOKENS)), token;
        if (there_or_not(skep_dict_pop(dict, &key, &token)) < 0)
                return;
        int result = skep_dict_set_if(dict, &key, 0, &token, NULL); /* nobody else had it */
        EXPECT(result == 0, result);
        skep_item_clear(&token);
}

static void use_text(void)
{
        int64_t number = TEXT + random_below(TEXTS);
        char name[64], text[400];
        struct skep_item key = skep_item_integer(number), value;
        if (number % 2) {
                snprintf(name, sizeof name, "%-40lld", (long long)number);
                key = skep_item_text(name);
        }
        if (there_or_not(skep_dict_get(dict, &key, &value, NULL)) == 0) {
                size_t bytes;
                const char *data = skep_item_data(&value, &bytes);
                EXPECT(bytes >= 8 && memcmp(data, &number, 8) == 0, number);
                for (size_t i = 9; i < bytes; i++)
                        EXPECT(data[i] == data[8], number);
                skep_item_clear(&value);
        }
        if (random_below(100) < (atomic_load(&board->turns) / 4096 % 2 ? 70 : 30)) { /* it swells, and it ebbs */
                memset(text, 'a' + (int)random_below(26), sizeof text);
                memcpy(text, &number, 8);
                value = skep_item_bytes(text, 8 + (size_t)random_below(390));
                int result = skep_dict_set(dict, &key, &value);
                EXPECT(result == 0, result);
        } else {
                (void)there_or_not(skep_dict_delete(dict, &key));
        }
}

static void use_nest(void)
{
        struct skep_item key = key_at(NEST + random_below(3)), value, one = skep_item_integer(1);
        skep_dict *inner;
        if (there_or_not(skep_dict_get(dict, &key, &value, NULL)) == 0) {
                int result = skep_dict_attach(hive, value.object, &inner);
                EXPECT(result == 0, result);
                result = skep_dict_add(inner, &one, &one, SKEP_DICT_MISSING_IS_ZERO, NULL);
                EXPECT(result == 0, result);
                skep_dict_unref(inner);
                skep_item_clear(&value);
        }
        if (random_below(4))
                return;
        int result = skep_dict_create(hive, NULL, &inner);
        EXPECT(result == 0, result);
        value = skep_item_object(skep_dict_reference(inner));
        result = skep_dict_set(dict, &key, &value);
        EXPECT(result == 0, result);
        skep_dict_unref(inner);
}

static void member(void)
{
        while (!atomic_load(&board->stop)) {
                switch (random_below(12)) {
                case 0:
                        set_together();
                        break;
                case 1:
                        look_at_all();
                        break;
                case 2:
                        add_one(random_below(COUNTERS));
                        break;
                case 3:
                        compare_and_add(random_below(COUNTERS));
                        break;
                case 4:
                        take_token();
                        break;
                case 5:
                        use_nest();
                        break;
                default:
                        use_text();
                }
                atomic_fetch_add(&board->turns, 1);
        }
        _exit(0);
}

/* --- the parent -------------------------------------------------------------------------------------------------------------------- */

static pid_t raise_member(void)
{
        random_state = mix(random_state);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                member();
        }
        return child;
}

static void check_end(uint64_t kills)
{
        struct skep_item key, value;
        struct skep_verify_report report;
        struct skep_hive_stat stat;
        uint64_t tokens = 0;
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "seed %" PRIu64 ": %s", seed, report.first);
        look_at_all();
        for (int64_t i = 0; i < COUNTERS; i++) {
                key = key_at(COUNTER + i);
                ck_assert_int_eq(skep_dict_get(dict, &key, &value, NULL), 0);
                ck_assert_msg((uint64_t)value.integer >= board->done[i] && (uint64_t)value.integer <= board->begun[i],
                              "seed %" PRIu64 ": %" PRId64 " is not between %" PRIu64 " and %" PRIu64, seed, value.integer, board->done[i], board->begun[i]);
        }
        for (int64_t i = 0; i < TOKENS; i++) {
                key = key_at(TOKEN + i);
                tokens += skep_dict_contains(dict, &key) == 1;
        }
        ck_assert_msg(tokens + kills >= TOKENS, "seed %" PRIu64 ": %" PRIu64 " tokens are left after %" PRIu64 " deaths", seed, tokens, kills);
        ck_assert_int_eq(skep_dict_clear(dict), 0);
        skep_dict_unref(dict);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_msg(stat.blocks == 0 && stat.members == 1, "seed %" PRIu64 ": %" PRIu64 " blocks leak, %u members", seed, stat.blocks, stat.members);
        printf("dict_soak: %" PRIu64 " killed; %" PRIu64 " turns, %" PRIu64 " updates, %" PRIu64 " tokens left\n", kills, board->turns, board->updates, tokens);
}

START_TEST(what_the_killed_leave_is_whole)
{
        const char *given = getenv("SKEP_SOAK_SECONDS");
        int64_t end_ns = people_now_ns() + (given ? atoi(given) : 3) * 1000 * MS;
        pid_t children[MEMBERS];
        uint64_t kills = 0;
        int status;
        given = getenv("SKEP_SOAK_SEED");
        seed = given ? strtoull(given, NULL, 0) : (uint64_t)people_now_ns();
        random_state = mix(seed);
        printf("dict_soak: seed %" PRIu64 "\n", seed);
        fflush(stdout);
        board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(board, MAP_FAILED);
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 64u << 20, .member_max = 32), &hive), 0);
        ck_assert_int_eq(skep_dict_create(hive, NULL, &dict), 0);
        set_together();
        for (int64_t i = 0; i < TOKENS; i++) {
                struct skep_item key = key_at(TOKEN + i);
                ck_assert_int_eq(skep_dict_set(dict, &key, &key), 0);
        }
        for (int64_t i = 0; i < COUNTERS; i++)
                add_one(i);
        for (int i = 0; i < MEMBERS; i++)
                children[i] = raise_member();
        while (people_now_ns() < end_ns && !atomic_load(&board->failed)) {
                usleep((useconds_t)random_below(8000));
                int i = (int)random_below(MEMBERS);
                kill(children[i], SIGKILL);
                ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
                ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "seed %" PRIu64 ": %s", seed, board->failure);
                kills++;
                children[i] = raise_member();
        }
        int64_t turns = (int64_t)board->turns;
        usleep(200000);
        board->stop = 1;
        for (int i = 0; i < MEMBERS; i++) {
                int64_t limit_ns = people_now_ns() + 30000 * MS;
                while (waitpid(children[i], &status, WNOHANG) == 0) {
                        ck_assert_msg(people_now_ns() < limit_ns, "seed %" PRIu64 ": a member hangs", seed);
                        usleep(1000);
                }
                ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "seed %" PRIu64 ": %s", seed, board->failure);
        }
        ck_assert_msg((int64_t)board->turns > turns, "seed %" PRIu64 ": nobody got on after the last death", seed);
        check_end(kills);
        skep_hive_detach(hive);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("dict_soak");
        TCase *soak = tcase_create("dict_soak");
        tcase_set_timeout(soak, getenv("CK_DEFAULT_TIMEOUT") ? atoi(getenv("CK_DEFAULT_TIMEOUT")) : 100);
        tcase_add_test(soak, what_the_killed_leave_is_whole);
        suite_add_tcase(suite, soak);
        return suite_run(suite);
}
