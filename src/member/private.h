/* SPDX-License-Identifier: Apache-2.0 */
/* private.h - what the files of member/ share among themselves. */
#ifndef MEMBER_PRIVATE_H
#define MEMBER_PRIVATE_H

#include "member/member.h"

#define MEMBER_NONE UINT32_MAX

/* Over the list of handles and of agents; held across fork. */
extern pthread_mutex_t process_mutex;

void agent_free_slot(struct shm_agent *shared);
void agents_forget(skep_hive *hive);

static inline uint64_t member_byte(const skep_hive *hive, uint32_t member)
{
        return hive->layout.members_at + member * sizeof(struct shm_member);
}

static inline uint64_t member_word(uint32_t generation, uint32_t state)
{
        return (uint64_t)generation << 32 | state;
}

static inline bool member_in_use(const skep_hive *hive, uint32_t member)
{
        return (uint32_t)skep_load(&hive->members[member].word) == 1;
}

/* Lock a free slot through @p fd and write it LIVE; reaps dead ones if none is free. */
int member_take(skep_hive *hive, int fd, uint32_t *ret_member);

/* Recover for a member whose byte we hold; leaves the slot FREE and the byte locked. */
int reap_member(skep_hive *hive, uint32_t member, struct skep_reap_report *report);

#endif
