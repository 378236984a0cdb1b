/* SPDX-License-Identifier: Apache-2.0 */
/* event.h - a flag to wait for; the public object is object/event.c. */
#ifndef SYNC_EVENT_H
#define SYNC_EVENT_H

#include "member/member.h"

#include <skep/deadline.h>

struct shm_event {
        uint32_t word; /* {turns 30, WAITERS, SET} */
        uint32_t reserved[3];
};

void flag_set(struct shm_event *event);
void flag_clear(struct shm_event *event);
bool flag_is_set(const struct shm_event *event);
/* @return 0; -ETIMEDOUT; what the thread's interrupt function said */
int flag_wait(struct skep_agent *agent, struct shm_event *event, skep_deadline deadline);

#endif
