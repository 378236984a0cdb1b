/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list_soak_test.c - lists at full speed while somebody is killed every few milliseconds.
 *
 * Six processes change three lists and look at them; the parent kills one at random and forks another.
 *   "same"     every change of it leaves all items equal to each other: whoever reads it finds them so, half a change never
 *   "log"      each appends numbers that rise; whoever reads it finds those of each process rising.  Cut off now and then
 *   "sums"     each adds to a number and counts on the board: the list's sum is the board's, and at most one more for each kill
 * Items are numbers, long texts, an array, other lists.  At the end nothing has leaked.
 *
 * SKEP_SOAK_SECONDS (3): how long.  SKEP_SOAK_SEED: the seed, which is printed; kernel scheduling is not repeated by it.
 * ctest: timeout=120
 */
#include "support/people.h"

#include "support/suite.h"

#include <inttypes.h>
#include <stdarg.h>

#define MEMBERS 6
#define SUMS 4
#define TEXT_BYTES 100

struct board {
        _Atomic uint32_t stop, failed;
        char failure[300];
        _Atomic uint64_t added[SUMS];
        _Atomic uint64_t changes, looks;
        _Atomic uint64_t next[MEMBERS];
};

static struct board *board;
static skep_hive *hive;
static skep_list *same, *log_list, *sums;
static skep_array *array;
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

static void must(int result, const char *what)
{
        if (result < 0)
                give_up("%s: %s", what, skep_error_name(result));
}
#define MUST(call) must(call, #call)

/* --- all the same ---------------------------------------------------------------------------------------------------------------------- */

static void set_all(void)
{
        static char text[TEXT_BYTES];
        struct skep_item items[32], item = skep_item_integer((int64_t)random_below(1000));
        skep_list *nested = NULL;
        uint64_t count = random_below(32), kind = random_below(4);
        if (kind == 1) {
                memset(text, (int)('a' + random_below(26)), TEXT_BYTES);
                item = skep_item_bytes(text, TEXT_BYTES);
        } else if (kind == 2) {
                item = skep_item_array(array);
        } else if (kind == 3) {
                MUST(skep_list_create(hive, NULL, &nested));
                MUST(skep_list_append(nested, &item));
                item = skep_item_object(skep_list_reference(nested));
        }
        for (uint64_t i = 0; i < count; i++)
                items[i] = item;
        MUST(skep_list_set_slice(same, SKEP_SLICE_ALL, items, count, NULL));
        skep_list_unref(nested);
}

static int in_order_of_kind(const struct skep_item *left, const struct skep_item *right, void *context)
{
        (void)context;
        return (int)left->kind - (int)right->kind;
}

static void change_all(void)
{
        uint64_t length;
        switch (random_below(6)) {
        case 0:
                MUST(skep_list_reverse(same));
                break;
        case 1:
                MUST(skep_list_sort(same, in_order_of_kind, NULL));
                break;
        case 2:
                MUST(skep_list_length(same, &length));
                if (length < 200)
                        MUST(skep_list_repeat(same, 2));
                break;
        case 3:
                MUST(skep_list_delete_slice(same, (struct skep_slice){0, INT64_MAX, (int64_t)random_below(3) + 1}));
                break;
        case 4: {
                int result = skep_list_pop(same, random_below(2) ? -1 : 0, NULL);
                must(result == -ERANGE ? 0 : result, "pop");
                break;
        }
        default:
                set_all();
        }
}

static void look_at_same(void)
{
        struct skep_list_entry *entries;
        uint64_t count;
        MUST(skep_list_get_slice(same, (struct skep_slice){0, INT64_MAX, (int64_t)random_below(3) + 1}, &entries, &count));
        for (uint64_t i = 1; i < count; i++)
                if (!skep_item_equal(&entries[0].item, &entries[i].item))
                        give_up("item %" PRIu64 " of %" PRIu64 " is another one", i, count);
        skep_list_entries_free(entries, count);
}

/* --- each rising -------------------------------------------------------------------------------------------------------------------------- */

static void append_to_log(int role)
{
        struct skep_item items[3];
        uint64_t count = 1 + random_below(3), length;
        char texts[3][TEXT_BYTES] = {{0}};
        for (uint64_t i = 0; i < count; i++) {
                snprintf(texts[i], TEXT_BYTES, "%d %" PRIu64 "%*s", role, atomic_fetch_add(&board->next[role], 1), random_below(2) ? 60 : 1, "");
                items[i] = skep_item_text(texts[i]);
        }
        if (count == 1)
                MUST(skep_list_append(log_list, items));
        else
                MUST(skep_list_extend(log_list, items, count));
        MUST(skep_list_length(log_list, &length));
        if (length > 100)
                MUST(skep_list_delete_slice(log_list, random_below(2) ? (struct skep_slice){0, INT64_MAX, 2} : (struct skep_slice){0, 90, 1}));
}

static void look_at_log(void)
{
        struct skep_list_entry *entries;
        uint64_t count, last[MEMBERS] = {0}, number, bytes;
        MUST(skep_list_get_slice(log_list, SKEP_SLICE_ALL, &entries, &count));
        for (uint64_t i = 0; i < count; i++) {
                char text[TEXT_BYTES] = {0};
                unsigned role;
                size_t found;
                const void *data = skep_item_data(&entries[i].item, &found);
                bytes = found < TEXT_BYTES ? found : TEXT_BYTES - 1;
                memcpy(text, data, bytes);
                if (sscanf(text, "%u %" SCNu64, &role, &number) != 2 || role >= MEMBERS)
                        give_up("item %" PRIu64 " of the log is '%s'", i, text);
                if (number + 1 <= last[role])
                        give_up("%" PRIu64 " of %u comes after %" PRIu64, number, role, last[role] - 1);
                last[role] = number + 1;
        }
        skep_list_entries_free(entries, count);
}

static void add_up(void)
{
        struct skep_item one = skep_item_integer(1);
        uint64_t which = random_below(SUMS);
        MUST(skep_list_add(sums, (int64_t)which, &one, NULL));
        atomic_fetch_add(&board->added[which], 1);
}

static void live(int role)
{
        while (!board->stop) {
                for (int i = 0; i < 4; i++) {
                        change_all();
                        append_to_log(role);
                        add_up();
                }
                atomic_fetch_add(&board->changes, 12);
                look_at_same();
                look_at_log();
                atomic_fetch_add(&board->looks, 2);
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
                live(role);
                _exit(0);
        }
}

static void on_alarm(int number)
{
        (void)number;
        dprintf(2, "list_soak hangs: seed %" PRIu64 ", %s\n", seed, board->failure);
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

static uint64_t kill_for(int64_t seconds)
{
        int64_t end = people_now_ns() + seconds * 1000 * MS, next = people_now_ns() + 1000 * MS;
        uint64_t kills = 0, last = 0;
        while (people_now_ns() < end) {
                usleep((useconds_t)(500 + random_below(6000)));
                int role = (int)random_below(MEMBERS);
                kill(living[role], SIGKILL);
                join(role, true);
                raise_member(role);
                kills++;
                if (people_now_ns() > next) {
                        ck_assert_msg(board->changes > last, "seed %" PRIu64 ": nobody gets on", seed);
                        last = board->changes;
                        next += 1000 * MS;
                }
        }
        return kills;
}

START_TEST(no_change_is_seen_by_half_and_none_is_lost)
{
        const char *given = getenv("SKEP_SOAK_SECONDS");
        int64_t seconds = given ? atoi(given) : 3;
        given = getenv("SKEP_SOAK_SEED");
        seed = given ? strtoull(given, NULL, 0) : (uint64_t)people_now_ns();
        random_state = mix(seed);
        printf("list_soak: seed %" PRIu64 ", %d seconds\n", seed, (int)seconds);
        fflush(stdout);
        board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        ck_assert_ptr_ne(board, MAP_FAILED);
        ck_assert_int_eq(skep_hive_create(SKEP_HIVE_OPTIONS(.capacity_bytes = 64u << 20, .member_max = 32), &hive), 0);
        ck_assert_int_eq(skep_list_create(hive, NULL, &same), 0);
        ck_assert_int_eq(skep_list_create(hive, NULL, &log_list), 0);
        ck_assert_int_eq(skep_list_create(hive, NULL, &sums), 0);
        ck_assert_int_eq(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8, .dimension_count = 1, .shape = (const uint64_t[]){1000}),
                                           &array), 0);
        struct skep_item zero = skep_item_integer(0);
        for (int i = 0; i < SUMS; i++)
                ck_assert_int_eq(skep_list_append(sums, &zero), 0);
        signal(SIGALRM, on_alarm);
        alarm((unsigned)seconds + 60);
        for (int role = 0; role < MEMBERS; role++)
                raise_member(role);
        uint64_t kills = kill_for(seconds), missing = 0;
        board->stop = 1;
        for (int role = 0; role < MEMBERS; role++)
                join(role, false);
        look_at_same();
        look_at_log();
        ck_assert_msg(!board->failed, "seed %" PRIu64 ": %s", seed, board->failure);
        for (int i = 0; i < SUMS; i++) {
                struct skep_item sum;
                ck_assert_int_eq(skep_list_get(sums, i, &sum, NULL), 0);
                ck_assert_msg((uint64_t)sum.integer >= board->added[i], "seed %" PRIu64 ": %" PRIu64 " were added, and %" PRId64 " are there", seed,
                              (uint64_t)board->added[i], sum.integer);
                missing += (uint64_t)sum.integer - board->added[i];
        }
        ck_assert_msg(missing <= kills, "seed %" PRIu64 ": %" PRIu64 " too many after %" PRIu64 " kills", seed, missing, kills);
        printf("list_soak: %" PRIu64 " killed, %" PRIu64 " changes, %" PRIu64 " looks\n", kills, (uint64_t)board->changes, (uint64_t)board->looks);
        skep_list_unref(same);
        skep_list_unref(log_list);
        skep_list_unref(sums);
        skep_array_unref(array);
        struct skep_verify_report report;
        struct skep_hive_stat stat;
        ck_assert_int_eq(skep_hive_reap(hive, NULL), 0);
        ck_assert_msg(skep_hive_verify(hive, &report) == 0, "seed %" PRIu64 ": %s", seed, report.first);
        ck_assert_int_eq(skep_hive_stat(hive, &stat), 0);
        ck_assert_msg(stat.blocks == 0 && stat.members == 1, "seed %" PRIu64 ": %" PRIu64 " blocks leak, %u members", seed, stat.blocks, stat.members);
        alarm(0);
        skep_hive_detach(hive);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("list_soak");
        TCase *soak = tcase_create("list_soak");
        tcase_set_timeout(soak, 0); /* the alarm says more */
        tcase_add_test(soak, no_change_is_seen_by_half_and_none_is_lost);
        suite_add_tcase(suite, soak);
        return suite_run(suite);
}
