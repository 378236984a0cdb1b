/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.h - which worker has which task: the steps behind skep._core.Board, over the public interface alone, so that
 * tests/crash/board_*_test.c die within these very lines.
 *
 * A value of 64-bit words, each changed atomically and in one order for all (skep_value_*):
 *
 *   word 0                     how many tasks were ever revoked
 *   words 1 .. places          one a worker: what it is at; 0: at nothing
 *   the rest                   the revoked tasks; the newest overwrites the oldest
 *
 * Who takes a task has borrowed its message, writes TAKING | task into his word, then looks whether the task has been revoked, gives the
 * message back and only then writes the task's number alone.  So of a dead worker's word
 *
 *   0             it had no task, or a message that returned to the queue
 *   TAKING|task   the task has not begun; whether its message returned to the queue cannot be known
 *   task          the message is out of the queue for good and the task may have begun
 *
 * For the middle one there is revoking: it writes the number first and then looks at all words; who takes writes his word first and
 * then looks at the numbers.  One of the two sees the other, since both orders are the same for all: either the task is found
 * at another worker, or everybody who takes it from then on drops it.
 */
#ifndef SKEP_PYTHON_BOARD_H
#define SKEP_PYTHON_BOARD_H

#include <skep/skep.h>

#include <stdbool.h>

#define BOARD_TAKING ((int64_t)1 << 62)

struct board {
        skep_value *words; /* NULL: none yet */
        uint64_t places;
};

static inline int64_t board_word(const struct board *board, uint64_t index)
{
        int64_t word = 0;

        (void)!skep_value_load_i64(board->words, index, &word); /* fails for a wrong index only */
        return word;
}

static inline uint64_t board_place(uint64_t place)
{
        return 1 + place;
}

static inline uint64_t board_revocations(const struct board *board)
{
        return skep_value_count(board->words) - 1 - board->places;
}

static inline bool board_is_revoked(const struct board *board, int64_t task)
{
        uint64_t count = (uint64_t)board_word(board, 0), room = board_revocations(board);

        for (uint64_t i = 0; i < count && i < room; i++)
                if (board_word(board, 1 + board->places + i) == task)
                        return true;
        return false;
}

/* From here on who takes this task drops it; the words of those who had taken it before show it to who looks now.  One caller at a time. */
static inline void board_revoke(struct board *board, int64_t task)
{
        uint64_t count = (uint64_t)board_word(board, 0);

        skep_value_store_i64(board->words, 1 + board->places + count % board_revocations(board), task);
        skep_value_store_i64(board->words, 0, (int64_t)(count + 1));
}

/* Has that place the task, or is it about to? */
static inline bool board_shows(const struct board *board, uint64_t place, int64_t task)
{
        return (board_word(board, board_place(place)) & ~BOARD_TAKING) == task;
}

/* Take the task whose message was borrowed; ends the loan. @return false: it had been revoked, and the place says TAKING still */
static inline bool board_take(struct board *board, uint64_t place, int64_t task, struct skep_loan *loan)
{
        skep_value_store_i64(board->words, board_place(place), BOARD_TAKING | task);
        if (board_word(board, 0) && board_is_revoked(board, task)) {
                skep_queue_give_back(loan);
                return false;
        }
        skep_queue_give_back(loan);
        skep_value_store_i64(board->words, board_place(place), task);
        return true;
}

#endif
