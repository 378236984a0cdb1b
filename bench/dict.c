/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dict.c - get and set of small values in a shared dict, beside LMDB on tmpfs, and get while another process writes.
 *
 * LMDB reads in a transaction of each look-up, as each of ours sees the latest; it writes in a transaction of each setting, which
 * is what ours do, and in one of all. Built without liblmdb-dev those rows are missing, and a line says so.
 */
#include "bench.h"

#ifdef SKEP_BENCH_LMDB
#include <lmdb.h>
#endif

#define ROUNDS 7
#define KEYS 10000
#define COUNT 1000000
#define COMMITS 100000

static uint32_t order[KEYS]; /* of the keys, at random: each turn another cache line */

static void shuffle(void)
{
        uint64_t random = 1;

        for (uint32_t i = 0; i < KEYS; i++)
                order[i] = i;
        for (uint32_t i = KEYS; i-- > 1;) {
                random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                uint32_t other = (uint32_t)(random >> 33) % (i + 1), taken = order[i];
                order[i] = order[other];
                order[other] = taken;
        }
}

static double skep_gets(void *context)
{
        struct skep_item value;
        int64_t start_ns = now_ns();

        for (uint32_t i = 0; i < COUNT; i++) {
                struct skep_item key = skep_item_integer(order[i % KEYS]);

                MUST(skep_dict_get(context, &key, &value, NULL));
                if (value.integer != (int64_t)order[i % KEYS])
                        return NAN;
        }
        return (double)(now_ns() - start_ns) / COUNT;
}

static double skep_sets(void *context)
{
        int64_t start_ns = now_ns();

        for (uint32_t i = 0; i < COUNT; i++) {
                struct skep_item key = skep_item_integer(order[i % KEYS]);

                MUST(skep_dict_set(context, &key, &key));
        }
        return (double)(now_ns() - start_ns) / COUNT;
}

/* --- while another process writes --------------------------------------------------------------------------------------------- */

struct scene {
        skep_dict *dict;
        uint32_t *end;
};

static void read_on(void *context)
{
        struct scene *scene = context;

        (void)skep_gets(scene->dict);
        __atomic_store_n(scene->end, 1, __ATOMIC_RELEASE);
}

static void write_on(void *context)
{
        struct scene *scene = context;

        for (uint32_t i = 0; !__atomic_load_n(scene->end, __ATOMIC_ACQUIRE); i++) {
                struct skep_item key = skep_item_integer(order[i % KEYS]);

                MUST(skep_dict_set(scene->dict, &key, &key));
        }
}

static void stand_by(void *context)
{
        struct scene *scene = context;

        while (!__atomic_load_n(scene->end, __ATOMIC_ACQUIRE))
                relax();
}

/* Millions of look-ups in a second. */
static double gets_beside(skep_dict *dict, void (*other)(void *context))
{
        struct scene scene = { dict, shared_memory(64) };
        struct role roles[] = { { read_on, &scene, 0 }, { other, &scene, 1 } };
        double ns = perform(roles, 2);

        (void)munmap(scene.end, 64);
        return COUNT * 1e3 / ns;
}

static double gets_beside_a_writer(void *context)
{
        return gets_beside(context, write_on);
}

static double gets_undisturbed(void *context)
{
        return gets_beside(context, stand_by);
}

/* --- LMDB ------------------------------------------------------------------------------------------------------------------------ */

#ifdef SKEP_BENCH_LMDB
static MDB_env *environment;
static MDB_dbi table;

static void lmdb_must(int result)
{
        if (!result)
                return;
        fprintf(stderr, "bench: LMDB: %s\n", mdb_strerror(result));
        exit(1);
}

static double lmdb_gets(void *context)
{
        MDB_txn *transaction;
        int64_t start_ns;

        (void)context;
        lmdb_must(mdb_txn_begin(environment, NULL, MDB_RDONLY, &transaction));
        mdb_txn_reset(transaction);
        start_ns = now_ns();
        for (uint32_t i = 0; i < COUNT; i++) {
                uint64_t number = order[i % KEYS], found;
                MDB_val key = { sizeof(number), &number }, value;

                lmdb_must(mdb_txn_renew(transaction));
                lmdb_must(mdb_get(transaction, table, &key, &value));
                memcpy(&found, value.mv_data, sizeof(found));
                mdb_txn_reset(transaction);
                if (found != number)
                        return NAN;
        }
        start_ns = now_ns() - start_ns;
        mdb_txn_abort(transaction);
        return (double)start_ns / COUNT;
}

static double lmdb_sets(uint32_t transactions, uint32_t each)
{
        MDB_txn *transaction;
        int64_t start_ns = now_ns();

        for (uint32_t i = 0; i < transactions; i++) {
                lmdb_must(mdb_txn_begin(environment, NULL, 0, &transaction));
                for (uint32_t n = 0; n < each; n++) {
                        uint64_t number = order[(i * each + n) % KEYS];
                        MDB_val key = { sizeof(number), &number }, value = key;

                        lmdb_must(mdb_put(transaction, table, &key, &value, 0));
                }
                lmdb_must(mdb_txn_commit(transaction));
        }
        return (double)(now_ns() - start_ns) / transactions / each;
}

static double lmdb_commits(void *context)
{
        (void)context;
        return lmdb_sets(COMMITS, 1);
}

static double lmdb_sets_at_once(void *context)
{
        (void)context;
        return lmdb_sets(1, COUNT);
}

static void lmdb_open(char *folder)
{
        MDB_txn *transaction;

        if (!mkdtemp(folder))
                must(-errno, "mkdtemp");
        lmdb_must(mdb_env_create(&environment));
        lmdb_must(mdb_env_set_mapsize(environment, 256u << 20));
        lmdb_must(mdb_env_open(environment, folder, MDB_NOSYNC | MDB_WRITEMAP, 0600));
        lmdb_must(mdb_txn_begin(environment, NULL, 0, &transaction));
        lmdb_must(mdb_dbi_open(transaction, NULL, MDB_INTEGERKEY, &table));
        lmdb_must(mdb_txn_commit(transaction));
        (void)lmdb_sets(1, KEYS);
}

static void lmdb_close(const char *folder)
{
        char path[64];

        mdb_env_close(environment);
        for (int i = 0; i < 2; i++) {
                (void)snprintf(path, sizeof(path), "%s/%s", folder, i ? "lock.mdb" : "data.mdb");
                (void)unlink(path);
        }
        (void)rmdir(folder);
}
#endif

int main(void)
{
        skep_hive *hive;
        skep_dict *dict;

        (void)alarm(110);
        shuffle();
        MUST(skep_hive_create(NULL, &hive));
        MUST(skep_dict_create(hive, NULL, &dict));
        (void)skep_sets(dict);
        COMPETE("dict get beside a writer", "10000 integers", "M/s", ROUNDS, { "skep", gets_beside_a_writer, dict },
                { "undisturbed", gets_undisturbed, dict });
        pin(0);
#ifdef SKEP_BENCH_LMDB
        char folder[] = "/dev/shm/skep-bench-XXXXXX";

        lmdb_open(folder);
        COMPETE("dict get", "10000 integers", "ns", ROUNDS, { "skep", skep_gets, dict }, { "LMDB", lmdb_gets, NULL });
        COMPETE("dict set", "10000 integers", "ns", ROUNDS, { "skep", skep_sets, dict }, { "LMDB, a transaction each", lmdb_commits, NULL },
                { "LMDB, one transaction", lmdb_sets_at_once, NULL });
        lmdb_close(folder);
#else
        fprintf(stderr, "bench: dict: built without liblmdb-dev, no rows of LMDB\n");
        COMPETE("dict get", "10000 integers", "ns", ROUNDS, { "skep", skep_gets, dict });
        COMPETE("dict set", "10000 integers", "ns", ROUNDS, { "skep", skep_sets, dict });
#endif
        skep_dict_unref(dict);
        skep_hive_detach(hive);
        return 0;
}
