/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.c - who holds what and who waits, for people (skep/inspect.h). Takes no lock. */
#include "claim/claim.h"
#include "os/os.h"

#include <skep/inspect.h>
#include <string.h>

static bool is_object(const struct shm_block *block)
{
        return word_state(skep_load(&block->word)) == BLOCK_LIVE && block->kind != BLOCK_BYTES && block->kind != BLOCK_RING &&
               block->kind != BLOCK_BUNDLE && block->kind != BLOCK_TABLE;
}

/* Does that agent sleep on words of this payload? */
static bool sleeps_in(const struct shm_agent *agent, uint64_t data, uint64_t bytes)
{
        uint64_t on = skep_load(&agent->wait.sleeps_on);
        return (skep_load(&agent->word) & 0xffff) && on >= data && on - data < bytes;
}

struct objects {
        int (*visit)(const struct skep_object_info *info, void *context);
        void *context;
};

static void name_of(const skep_hive *hive, uint64_t offset, char name[static SKEP_NAME_MAX + 1])
{
        for (uint32_t i = 0; i < HIVE_NAME_MAX; i++)
                if (skep_load(&hive->names[i].block) == offset)
                        memcpy(name, hive->names[i].name, SKEP_NAME_MAX);
}

static int inspect_one(skep_hive *hive, struct shm_block *block, void *context)
{
        const struct objects *objects = context;
        uint64_t bytes;
        void *data = is_object(block) ? heap_data(hive, block, &bytes) : NULL;
        if (!data)
                return 0;
        struct skep_object_info info = {.reference = claim_reference(hive, block), .kind = kind_of(block)->name, .bytes = bytes};
        name_of(hive, info.reference.offset, info.name);
        if (kind_of(block)->inspect)
                kind_of(block)->inspect(hive, block, &info);
        int64_t now = os_now_ns();
        uint32_t high = agent_high(hive);
        for (uint32_t index = 1; index <= high; index++) {
                const struct shm_agent *agent = &hive->agents[index];
                if (!sleeps_in(agent, hive_offset(hive, data), bytes))
                        continue;
                info.waiters++;
                int member = agent_member(hive, skep_load32(&agent->wait.owner));
                int64_t held = now - agent->wait.owner_since_ns;
                if (member >= 0 && member_pid(hive, (uint32_t)member) == info.owner_pid && held > info.held_ns)
                        info.held_ns = held;
        }
        return objects->visit(&info, objects->context);
}

int skep_hive_objects(skep_hive *hive, int (*visit)(const struct skep_object_info *info, void *context), void *context)
{
        struct objects objects = {visit, context};
        return heap_walk(hive, NULL, inspect_one, &objects);
}

const char *skep_object_kind(skep_hive *hive, skep_block reference)
{
        const struct shm_block *block = reference.serial ? claim_find(hive, reference.offset, reference.serial) : NULL;
        return block ? kind_of(block)->name : NULL;
}

struct whereabouts {
        const struct shm_agent *agent;
        struct skep_wait_info *info;
};

static int find_object(skep_hive *hive, struct shm_block *block, void *context)
{
        const struct whereabouts *where = context;
        uint64_t bytes;
        void *data = is_object(block) ? heap_data(hive, block, &bytes) : NULL;
        if (!data || !sleeps_in(where->agent, hive_offset(hive, data), bytes))
                return 0;
        where->info->object = claim_reference(hive, block);
        where->info->kind = kind_of(block)->name;
        return 1;
}

int skep_hive_waits(skep_hive *hive, int (*visit)(const struct skep_wait_info *info, void *context), void *context)
{
        int result = 0;
        uint32_t high = agent_high(hive);
        for (uint32_t index = 1; index <= high && result == 0; index++) {
                const struct shm_agent *agent = &hive->agents[index];
                uint64_t member = skep_load(&agent->word) & 0xffff;
                if (!skep_load(&agent->wait.sleeps_on) || !member || member > hive->member_max)
                        continue;
                struct skep_wait_info info = {
                        .pid = member_pid(hive, (uint32_t)member - 1),
                        .thread = agent->thread,
                        .kind = "unknown",
                        .waited_ns = os_now_ns() - agent->wait.since_ns,
                };
                int owner = agent_member(hive, skep_load32(&agent->wait.owner));
                info.owner_pid = owner < 0 ? 0 : member_pid(hive, (uint32_t)owner);
                struct whereabouts where = {agent, &info};
                result = heap_walk(hive, NULL, find_object, &where);
                if (result >= 0)
                        result = visit(&info, context);
        }
        return result;
}
