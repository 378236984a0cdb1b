/* SPDX-License-Identifier: Apache-2.0 */
/**
 * skep.h - everything.  Include this one; each noun has its own header beneath.
 *
 * CONVENTIONS, said once for all headers
 *   int results    0 done; negative: failed, an -E... value listed at the call, nothing changed;
 *                  positive: done, with news (error.h).  No errno, no thread-local, nothing is printed.
 *   ret_x          written only on success.
 *   options        first field is the struct's own size, filled by the macro; zero means default; NULL: all defaults.
 *   deadline       absolute (deadline.h).  A signal ends a wait only through skep_thread_on_interrupt().
 *   Threads        every call may be made from any thread, on the same handle too, unless said otherwise.
 *   fork           a handle is valid in the child: the child is a member of its own, made by the fork handlers
 *                  before fork() returns, and claims what its parent claimed.  Loans stay with the parent.
 *   Crash          "the caller dies inside" means SIGKILL at any instruction.
 */
#ifndef SKEP_SKEP_H
#define SKEP_SKEP_H

#define SKEP_VERSION_MAJOR 0
#define SKEP_VERSION_MINOR 1
#define SKEP_VERSION_PATCH 0
#define SKEP_VERSION "0.1.0"

#include <skep/array.h>
#include <skep/barrier.h>
#include <skep/block.h>
#include <skep/channel.h>
#include <skep/condition.h>
#include <skep/connection.h>
#include <skep/deadline.h>
#include <skep/dict.h>
#include <skep/error.h>
#include <skep/event.h>
#include <skep/hive.h>
#include <skep/inspect.h>
#include <skep/item.h>
#include <skep/list.h>
#include <skep/lock.h>
#include <skep/mapping.h>
#include <skep/namespace.h>
#include <skep/once.h>
#include <skep/pool.h>
#include <skep/process.h>
#include <skep/queue.h>
#include <skep/rlock.h>
#include <skep/rwlock.h>
#include <skep/semaphore.h>
#include <skep/shareable_list.h>
#include <skep/shared_memory.h>
#include <skep/value.h>

#endif
