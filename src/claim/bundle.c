/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle.c - a block that claims others.  Its payload: struct shm_bundle, then the bytes.
 *
 * LIVE, with no references yet, before the first one is linked: so who dies between two of them leaves a bundle that the reaper
 * destroys like any other, dropping what was linked (claim_link's intent covers the one at hand).  Destroying clears word by word.
 */
#include "claim/bundle.h"

#include <errno.h>
#include <string.h>

struct shm_bundle {
        uint64_t count; /* constant */
        uint64_t references[];
};

static bool is_sound(const struct shm_bundle *bundle, uint64_t bytes)
{
        return bytes >= sizeof *bundle && bundle->count <= (bytes - sizeof *bundle) / sizeof bundle->references[0];
}

int bundle_create(struct skep_agent *agent, const skep_block *references, size_t count, uint64_t bytes, struct shm_block **ret_block)
{
        struct shm_block *block;
        uint64_t head = sizeof(struct shm_bundle) + count * sizeof(uint64_t), all, usable;
        if (count > UINT32_MAX || __builtin_add_overflow(head, bytes, &all))
                return -EOVERFLOW;
        int result = heap_take(agent, all, &block);
        if (result < 0)
                return result;
        struct shm_bundle *bundle = heap_data(agent->hive, block, &usable);
        memset(bundle, 0, head);
        bundle->count = count;
        claim_adopt(agent, block, BLOCK_BUNDLE);
        for (size_t i = 0; i < count && result == 0; i++) {
                struct shm_block *other = claim_find(agent->hive, references[i].offset, references[i].serial);
                result = other && references[i].serial && claim_is_mine(agent->hive, other) ? claim_link(agent, &bundle->references[i], other) : -ESTALE;
        }
        if (result < 0)
                (void)claim_unref(agent, block);
        else
                *ret_block = block;
        return result;
}

void *bundle_data(const skep_hive *hive, const struct shm_block *block, uint64_t *ret_bytes)
{
        struct shm_bundle *bundle = heap_data(hive, block, ret_bytes);
        if (!bundle || claim_kind(block) != BLOCK_BUNDLE)
                return bundle;
        if (!is_sound(bundle, *ret_bytes))
                return NULL;
        *ret_bytes -= sizeof *bundle + bundle->count * sizeof(uint64_t);
        return &bundle->references[bundle->count];
}

struct shm_block *bundle_reference(const skep_hive *hive, const struct shm_block *block, uint64_t i)
{
        uint64_t bytes;
        struct shm_bundle *bundle = claim_kind(block) == BLOCK_BUNDLE ? heap_data(hive, block, &bytes) : NULL;
        return bundle && is_sound(bundle, bytes) && i < bundle->count ? claim_find(hive, skep_load(&bundle->references[i]), 0) : NULL;
}

static void bundle_destroy(struct skep_agent *agent, struct shm_block *block)
{
        uint64_t bytes;
        struct shm_bundle *bundle = heap_data(agent->hive, block, &bytes);
        for (uint64_t i = 0; bundle && is_sound(bundle, bytes) && i < bundle->count; i++)
                if (skep_load(&bundle->references[i]))
                        claim_unlink(agent, &bundle->references[i]);
}

static uint64_t bundle_verify(skep_hive *hive, struct shm_block *block)
{
        uint64_t bytes, problems = 0;
        const struct shm_bundle *bundle = heap_data(hive, block, &bytes);
        if (!bundle || !is_sound(bundle, bytes))
                return 1;
        for (uint64_t i = 0; i < bundle->count; i++) {
                uint64_t offset = skep_load(&bundle->references[i]);
                problems += offset && !claim_find(hive, offset, 0);
        }
        return problems;
}

static const struct kind bundle_kind = {
        .name = "bundle",
        .shared_bytes = sizeof(struct shm_bundle),
        .destroy = bundle_destroy,
        .verify = bundle_verify,
};

__attribute__((constructor)) static void bundle_register(void)
{
        kind_register(BLOCK_BUNDLE, &bundle_kind);
}
