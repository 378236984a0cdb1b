/* SPDX-License-Identifier: Apache-2.0 */
/*
 * carry.c - messages that claim other blocks: what is sent by reference lives until it has been received.
 *
 * A bundle is a block of its own: the bytes at its start; at its end a count, and before that one word for each claim.  It is
 * LIVE, with this process's claim, before the first of them is made, so whoever frees it, by whatever way, drops them.
 *
 * CRASH.  dies                            found as                              repaired by
 *         filling the words               bundle with a claim of the dead       the bit is dropped, the last claim destroys it
 *         between a claim and its word    intent HOLD, word without the block   claim/recover.c: undone
 *         destroying                      bundle RETIRED(dead)                  the reaper goes on: words that are 0 are done
 */
#include "base/checked.h"
#include "queue/queue.h"

#include <errno.h>
#include <string.h>

/* The words of a bundle. @return their count, 0 if damaged */
static uint64_t carry_words(skep_hive *hive, struct shm_block *block, uint64_t **ret_words)
{
        uint64_t bytes;
        uint8_t *data = heap_data(hive, block, &bytes);
        uint64_t *end = data ? (uint64_t *)(void *)(data + bytes) : NULL;
        uint64_t count = end ? end[-1] : 0;
        if (count > bytes / 8 - 1)
                return 0;
        *ret_words = end - 1 - count;
        return count;
}

int carry_take(struct skep_agent *agent, uint64_t bytes, const skep_block *carried, size_t count, struct shm_block **ret_block)
{
        struct shm_block *block;
        uint64_t usable, words_bytes, whole, *words;
        if (!checked_mul(count + 1, 8, &words_bytes) || !checked_add(bytes, words_bytes + 7, &whole))
                return -EOVERFLOW;
        int result = heap_take(agent, whole, &block);
        if (result < 0)
                return result;
        uint8_t *data = heap_data(agent->hive, block, &usable);
        memset(data + usable - words_bytes, 0, words_bytes);
        memcpy(data + usable - 8, &(uint64_t){count}, 8);
        claim_adopt(agent, block, BLOCK_BUNDLE);
        carry_words(agent->hive, block, &words);
        for (size_t i = 0; i < count && result == 0; i++) {
                struct shm_block *one = claim_find(agent->hive, carried[i].offset, carried[i].serial);
                result = one && claim_is_mine(agent->hive, one) ? claim_link(agent, &words[i], one) : -ESTALE;
        }
        if (result < 0)
                (void)claim_unref(agent, block);
        else
                *ret_block = block;
        return result;
}

static void bundle_destroy(struct skep_agent *agent, struct shm_block *block)
{
        uint64_t *words, count = carry_words(agent->hive, block, &words);
        for (uint64_t i = 0; i < count; i++)
                if (skep_load(&words[i]))
                        claim_unlink(agent, &words[i]);
}

static uint64_t bundle_verify(skep_hive *hive, struct shm_block *block)
{
        uint64_t *words, count = carry_words(hive, block, &words), problems = !count;
        for (uint64_t i = 0; i < count; i++) {
                uint64_t offset = skep_load(&words[i]);
                problems += offset && !claim_find(hive, offset, 0);
        }
        return problems;
}

static const struct kind bundle_kind = {.name = "message", .shared_bytes = 16, .destroy = bundle_destroy, .verify = bundle_verify};

__attribute__((constructor)) static void bundle_register(void)
{
        kind_register(BLOCK_BUNDLE, &bundle_kind);
}
