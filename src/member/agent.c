/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.c - threads as owners: take an agent slot at a thread's first call, give it back when the thread ends.
 *
 * The slot's word names the member, so a slot held by a dead member is found by its reaper.  States: hive/layout.h.
 * Private agents are linked twice: by handle (for detach and fork) and by thread (for the thread's end).
 */
#include "base/probe.h"
#include "member/private.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Thread_local struct skep_agent *agent_current __attribute__((tls_model("initial-exec")));
static _Thread_local struct skep_agent *thread_agents;
static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;

static uint64_t agent_word(uint32_t generation, uint32_t member_plus_one)
{
        return (uint64_t)(generation & 0xffff) << 16 | member_plus_one;
}

static uint32_t word_generation(uint64_t word)
{
        return (uint32_t)(word >> 16) & 0xffff;
}

static uint32_t word_member_plus_one(uint64_t word)
{
        return (uint32_t)word & 0xffff;
}

void agent_impersonate(skep_hive *hive, uint32_t index, struct skep_agent *ret_agent)
{
        uint64_t word = skep_load(&hive->agents[index].word);
        memset(ret_agent, 0, sizeof *ret_agent);
        ret_agent->hive = hive;
        ret_agent->shared = &hive->agents[index];
        ret_agent->index = index;
        ret_agent->id = word_generation(word) << AGENT_INDEX_BITS | index;
        ret_agent->member = word_member_plus_one(word) - 1;
}

int agent_member(const skep_hive *hive, uint32_t id)
{
        uint32_t index = id & AGENT_INDEX_MASK;
        if (!index || index > hive->agent_max)
                return -1;
        uint64_t word = skep_load(&hive->agents[index].word);
        uint32_t member = word_member_plus_one(word);
        if (!member || member > HIVE_MEMBER_MAX || word_generation(word) != id >> AGENT_INDEX_BITS)
                return -1;
        return (int)member - 1;
}

bool agent_is_gone(const skep_hive *hive, uint32_t id)
{
        int member = agent_member(hive, id);
        return member < 0 || member_is_dead(hive, (uint32_t)member);
}

uint32_t agent_high(const skep_hive *hive)
{
        uint64_t high = skep_load(&hive->header->agent_high);
        return high < hive->agent_max ? (uint32_t)high : hive->agent_max;
}

bool agent_is_nobody(skep_hive *hive, uint32_t id)
{
        if (agent_member(hive, id) != (int)hive->member || pthread_mutex_trylock(&process_mutex))
                return false; /* not lock: fork() holds it while it waits for what we may hold */
        struct skep_agent *agent = hive->agent_list;
        while (agent && agent->id != id)
                agent = agent->next;
        pthread_mutex_unlock(&process_mutex);
        return !agent;
}

void agent_free_slot(struct shm_agent *shared)
{
        uint64_t word = skep_load(&shared->word);
        memset(&shared->intent, 0, sizeof shared->intent);
        skep_store(&shared->reads, 0);
        uint32_t *rest = &shared->wait.word + 1; /* the word stays: who has read it must not meet its sequence again in the next life */
        memset(rest, 0, sizeof shared->wait - sizeof *rest);
        skep_store32(&shared->acknowledged, shared->sequence); /* nothing of it is open */
        PROBE("agent.free");
        skep_store(&shared->word, agent_word(word_generation(word) + 1, 0));
}

static void thread_ends(void *first)
{
        pthread_mutex_lock(&process_mutex);
        for (struct skep_agent *agent = first, *next; agent; agent = next) {
                next = agent->thread_next;
                if (agent->hive) {
                        struct skep_agent **link = &agent->hive->agent_list;
                        while (*link && *link != agent)
                                link = &(*link)->next;
                        if (*link)
                                *link = agent->next;
                        agent_free_slot(agent->shared);
                }
                free(agent);
        }
        pthread_mutex_unlock(&process_mutex);
        thread_agents = agent_current = NULL;
}

static void thread_key_create(void)
{
        (void)pthread_key_create(&thread_key, thread_ends);
}

static int slot_take(skep_hive *hive, uint32_t *ret_index)
{
        for (uint32_t index = 1; index <= hive->agent_max; index++) {
                uint64_t word = skep_load(&hive->agents[index].word);
                if (word_member_plus_one(word))
                        continue;
                if (skep_cas(&hive->agents[index].word, &word, agent_word(word_generation(word), hive->member + 1))) {
                        PROBE("agent.take");
                        uint64_t high = skep_load_relaxed(&hive->header->agent_high);
                        while (high < index && !skep_cas(&hive->header->agent_high, &high, index))
                                ;
                        PROBE("agent.high");
                        *ret_index = index;
                        return 0;
                }
        }
        return -EUSERS;
}

/* Also frees what this thread remembers of handles that have gone. */
static struct skep_agent *thread_find(const skep_hive *hive)
{
        struct skep_agent *found = NULL;
        for (struct skep_agent **link = &thread_agents, *agent; (agent = *link);) {
                if (agent->hive) {
                        found = agent->hive == hive ? agent : found;
                        link = &agent->thread_next;
                } else {
                        *link = agent->thread_next;
                        free(agent);
                }
        }
        return found;
}

int agent_attach(skep_hive *hive, struct skep_agent **ret_agent)
{
        if (hive->member == MEMBER_NONE)
                return -ESTALE;
        agent_current = NULL; /* it may be one that thread_find() frees */
        struct skep_agent *agent = thread_find(hive);
        pthread_once(&thread_once, thread_key_create);
        pthread_setspecific(thread_key, thread_agents);
        if (agent) {
                *ret_agent = agent_current = agent;
                return 0;
        }
        uint32_t index;
        int result = slot_take(hive, &index);
        if (result == -EUSERS && skep_hive_reap(hive, NULL) == 0)
                result = slot_take(hive, &index);
        if (result == 0 && !(agent = malloc(sizeof *agent))) {
                agent_free_slot(&hive->agents[index]);
                result = -ENOMEM;
        }
        if (result < 0)
                return result;
        agent_impersonate(hive, index, agent);
        agent->shared->thread = os_thread();
        skep_store(&agent->shared->holds, (skep_load_relaxed(&agent->shared->holds) | HOLDS_MASK) + 1); /* none */
        pthread_mutex_lock(&process_mutex);
        agent->next = hive->agent_list;
        hive->agent_list = agent;
        agent->thread_next = thread_agents;
        pthread_mutex_unlock(&process_mutex);
        thread_agents = agent;
        pthread_setspecific(thread_key, thread_agents);
        *ret_agent = agent_current = agent;
        return 0;
}

/* The handle goes, or now belongs to a child: what its threads remember is void.  Under process_mutex. */
void agents_forget(skep_hive *hive)
{
        for (struct skep_agent *agent = hive->agent_list; agent; agent = agent->next)
                agent->hive = NULL;
        hive->agent_list = NULL;
}
