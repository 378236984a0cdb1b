/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reap.c - recover, for the living, what a dead member was doing and holding.
 *
 * PROOF.   Taking the lock on the member's byte succeeds only if no living process holds it: that is the proof of death and,
 *          at the same time, the exclusive right to reap.  A reaper that dies loses the lock; the next one begins again.
 * STAGES.  locks of the hive itself, intents (finish or undo the step each agent was in), objects (queue slots that name the dead), blocks (claims,
 *          half-made and half-freed ones); then agents and the slot itself are given back.  Higher rooms register theirs.
 *          Every stage is idempotent, so a second run after a reaper's death does no harm.
 * THREADS. Threads of one handle share its open file description, which does not conflict with itself: hive->mutex, and
 *          hive->reaping tells the others that the dead is being worked for and counts as alive meanwhile.
 */
#include "base/probe.h"
#include "member/private.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

#define FUNCTIONS_MAX 4

static reap_function *stages[REAP_STAGES][FUNCTIONS_MAX];

void reap_register(enum reap_stage stage, reap_function *function)
{
        for (int i = 0; i < FUNCTIONS_MAX; i++)
                if (!stages[stage][i]) {
                        stages[stage][i] = function;
                        return;
                }
}

static uint32_t agent_of_member(const skep_hive *hive, uint32_t member, uint32_t from)
{
        for (uint32_t index = from; index <= hive->agent_max; index++)
                if ((skep_load(&hive->agents[index].word) & 0xffff) == member + 1)
                        return index;
        return 0;
}

static int run_stages(struct reap *reap)
{
        int result = 0;
        for (int stage = 0; stage < REAP_STAGES; stage++)
                for (int i = 0; i < FUNCTIONS_MAX && stages[stage][i] && result == 0; i++)
                        result = stages[stage][i](reap);
        return result;
}

int reap_member(skep_hive *hive, uint32_t member, struct skep_reap_report *report)
{
        struct skep_agent dead;
        struct reap reap = {.hive = hive, .member = member, .actor = &dead, .report = report};
        reap.orderly = member == hive->member || skep_load(&hive->members[member].leaving);
        uint32_t index = agent_of_member(hive, member, 1);
        int result = 0;
        if (index)
                agent_impersonate(hive, index, &dead);
        else
                result = agent_self(hive, &reap.actor);
        if (result == 0)
                result = run_stages(&reap);
        if (result < 0)
                return result;
        PROBE("reap.stages");
        while ((index = agent_of_member(hive, member, 1))) {
                agent_free_slot(&hive->agents[index]);
                report->agents++;
        }
        struct shm_member *slot = &hive->members[member];
        skep_store(&slot->word, member_word((uint32_t)(skep_load(&slot->word) >> 32) + 1, 0));
        PROBE("reap.member");
        report->members++;
        return 0;
}

static int reap_one(skep_hive *hive, uint32_t member, struct skep_reap_report *report)
{
        if (member == hive->member || !member_in_use(hive, member) || os_byte_lock(hive->life_fd, member_byte(hive, member)) < 0)
                return 0;
        skep_store32(&hive->reaping, member + 1);
        int result = member_in_use(hive, member) ? reap_member(hive, member, report) : 0;
        skep_store32(&hive->reaping, 0);
        (void)os_byte_unlock(hive->life_fd, member_byte(hive, member));
        return result;
}

int skep_hive_reap(skep_hive *hive, struct skep_reap_report *ret_report)
{
        struct skep_reap_report report = {0};
        if (hive->member == MEMBER_NONE)
                return -ESTALE;
        pthread_mutex_lock(&hive->mutex);
        int result = 0;
        for (uint32_t member = 0; member < hive->member_max && result == 0; member++)
                result = reap_one(hive, member, &report);
        pthread_mutex_unlock(&hive->mutex);
        if (ret_report)
                *ret_report = report;
        return result;
}
