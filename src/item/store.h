/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - what dicts and lists have in common: a table of cells, one writer at a time, readers that wait for nobody.
 *
 * Readers take no lock.  Between store_read() and store_read_end() no table goes, and no block that a cell named; they copy what
 * they want and claim what they keep.  Writers hold the lock, change one cell by one store, or fill a new table and exchange it.
 */
#ifndef ITEM_STORE_H
#define ITEM_STORE_H

#include "item/item.h"

#include <skep/deadline.h>

/*
 * A cell has room for two items; its word says which counts: {version 62, which 1, LIVE 1}.  A writer fills the other one,
 * then stores the word, then drops what counted before.
 */
struct shm_cell {
        uint64_t word;
        struct shm_item items[2];
};
_Static_assert(sizeof(struct shm_cell) == 72, "format");

#define CELL_LIVE UINT64_C(1)

static inline uint32_t cell_which(uint64_t word)
{
        return (uint32_t)(word >> 1) & 1;
}

/* A cell of a keyed store; else a cell is a struct shm_cell alone. */
struct shm_keyed_cell {
        struct shm_cell cell;
        uint64_t hash;
        struct shm_item key; /* constant while the cell is live */
        uint64_t pending;    /* the room above's own */
        uint64_t reserved;
};
_Static_assert(sizeof(struct shm_keyed_cell) == 128, "format");

/* A table: one block. */
struct shm_table {
        uint64_t cell_max;    /* constant, and the next three */
        uint64_t cells_at;    /* bytes from here */
        uint64_t cell_bytes;  /* of a cell: 72 or 128 */
        uint64_t index_slots; /* the room above's own words, behind this header */
        uint64_t used;        /* cells [0, used) are or were in use */
        uint64_t live;        /* how many of them are live; a hint of the room above */
        uint64_t filled;      /* index slots that are not empty; the same */
        uint64_t reserved;
};
_Static_assert(sizeof(struct shm_table) == 64, "format");

struct shm_store {
        uint32_t lock;      /* writers */
        uint32_t changed;   /* event count: notified after every change */
        uint64_t root;      /* {version 63, which 1}: the table that counts */
        uint64_t tables[2]; /* claims */
        uint64_t own[2];    /* {from 32, to 32} of each: cells whose items go with it when it does not count */
        uint64_t busy;      /* {agent 28 << 36, cell + 1}: who is in the middle of what; 0 nobody */
        uint64_t version;   /* last that a cell got */
        uint64_t reserved[4];
};
_Static_assert(sizeof(struct shm_store) % 8 == 0, "format");

/*
 * What the room above recovers, before the generic part, under the lock, whenever its owner died: `cell` was being worked on, or
 * -1.  Idempotent.  The dead one's intents are settled then if `busy` was set, so it is set around everything that claims.
 */
typedef void store_repair(struct skep_agent *agent, struct shm_store *store, int64_t cell);

/* Private: a store at its address.  Part of the handle; constant. */
struct store {
        skep_hive *hive;
        struct shm_store *shared;
        bool keyed;
        store_repair *repair;
        uint64_t *known; /* the handle's: {root 30, offset / 64 of its table 34}, as this process has last found it; 0 nothing.  NULL: look each time */
};

/* --- tables ----------------------------------------------------------------------------------------------------------------- */

/* Give a new store its first table, of at least cell_min cells. @return 0, -ENOSPC, -EOVERFLOW */
int store_format(struct skep_agent *agent, const struct store *store, uint64_t cell_min, uint64_t index_slots);

/* The table that counts, checked; under the lock, or while reading. @return NULL damaged */
struct shm_table *store_table(const struct store *store);

static inline void *table_cell(const struct shm_table *table, uint64_t cell) /* cell < table->cell_max */
{
        return (uint8_t *)table + table->cells_at + cell * table->cell_bytes;
}

static inline uint64_t *table_index(struct shm_table *table) /* [index_slots] */
{
        return (uint64_t *)(table + 1);
}

/* --- reading ---------------------------------------------------------------------------------------------------------------- */

/* Between the two: a few instructions, nothing that waits. @return NULL damaged, and not begun */
struct shm_table *store_read(struct skep_agent *agent, const struct store *store);
void store_read_end(struct skep_agent *agent);

/* A private copy of what counts, and the word it goes with; while reading, or under the lock. @return false: not live */
bool cell_read(const struct shm_cell *cell, struct shm_item *ret_item, uint64_t *ret_word);

/* --- writing: all under the lock -------------------------------------------------------------------------------------------- */

/* Whoever died in the middle of a change, it is finished or undone when this returns. @return 0; -EBADMSG */
int store_lock(struct skep_agent *agent, const struct store *store);
/* And wake who waits for a change, if there was one. */
void store_unlock(struct skep_agent *agent, const struct store *store, bool changed);

/* Wait until no reader sees what is not to be reached any more. */
void store_grace(struct skep_agent *agent, const struct store *store);

void store_busy(struct skep_agent *agent, const struct store *store, int64_t cell); /* -1: no cell */
void store_idle(const struct store *store);

/* Versions are raised before they are used, and a deleted cell's word is never met again: so a word that is the same is the same value. */

/* A new value for a live cell, or the first of a cell that becomes live with it: one store. @return 0, -EOVERFLOW; the draft has ended if 0 */
int cell_set(struct skep_agent *agent, const struct store *store, uint64_t cell, struct item_draft *draft);

/* A live cell is live no more, and what it held goes, also its key. */
void cell_delete(struct skep_agent *agent, const struct store *store, uint64_t cell);

/*
 * A new table beside the one that counts: store_rebuild(), copy cells as they are (words and all), link drafts into cells
 * [from, to) after store_own(), then store_exchange() or store_abandon().
 * `used` and `live` are the caller's.  store_exchange(): the old table's cells [from, to) go with it; the others' items have moved.
 * @return 0; -ENOSPC; -EOVERFLOW
 */
int store_rebuild(struct skep_agent *agent, const struct store *store, uint64_t cell_max, uint64_t index_slots, struct shm_table **ret_table);
void store_own(const struct store *store, uint64_t from, uint64_t to);
void store_exchange(struct skep_agent *agent, const struct store *store, uint64_t from, uint64_t to);
/* The same, and `busy` goes on until store_idle(): more is to go, which store_repair knows. */
void store_exchange_on(struct skep_agent *agent, const struct store *store, uint64_t from, uint64_t to);
void store_abandon(struct skep_agent *agent, const struct store *store);

/* Link a first item into a cell of the new table. @return 0, -EOVERFLOW; the draft has ended if 0 */
int cell_fill(struct skep_agent *agent, const struct store *store, struct shm_table *table, uint64_t cell, struct item_draft *draft);

/* Wait for a change: first a key, then a look that finds nothing, then the wait. @return 0 look again; -ETIMEDOUT; what the interrupt function said */
uint32_t store_wait_key(const struct store *store);
int store_wait(struct skep_agent *agent, const struct store *store, uint32_t key, skep_deadline deadline);

/* --- what struct kind wants ------------------------------------------------------------------------------------------------- */

void store_recover(struct reap *reap, const struct store *store);
void store_destroy(struct skep_agent *agent, const struct store *store);
uint64_t store_verify(const struct store *store);

#endif
