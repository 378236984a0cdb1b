/* SPDX-License-Identifier: Apache-2.0 */
/*
 * atomic.h - the only atomics of skep.
 *
 * Words in a hive are plain uint32_t and uint64_t; they are touched through these functions alone.  The suffix is the
 * memory order.  An acquire pairs with the release that the comment at the call names.  skep_exchange and skep_cas are
 * sequentially consistent: where a store must be ordered before a later load of another word (event count), use them or
 * skep_fence().
 */
#ifndef BASE_ATOMIC_H
#define BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

static inline uint32_t skep_load32_relaxed(const uint32_t *word)
{
        return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint32_t skep_load32(const uint32_t *word)
{
        return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline uint64_t skep_load_relaxed(const uint64_t *word)
{
        return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint64_t skep_load(const uint64_t *word)
{
        return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void skep_store32(uint32_t *word, uint32_t value)
{
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline void skep_store32_relaxed(uint32_t *word, uint32_t value)
{
        __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void skep_store(uint64_t *word, uint64_t value)
{
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static inline void skep_store_relaxed(uint64_t *word, uint64_t value)
{
        __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline uint64_t skep_exchange(uint64_t *word, uint64_t value)
{
        return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
}

static inline uint32_t skep_exchange32(uint32_t *word, uint32_t value)
{
        return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
}

/* On failure *expected is what was found. */
static inline bool skep_cas(uint64_t *word, uint64_t *expected, uint64_t desired)
{
        return __atomic_compare_exchange_n(word, expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
}

static inline bool skep_cas32(uint32_t *word, uint32_t *expected, uint32_t desired)
{
        return __atomic_compare_exchange_n(word, expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
}

static inline uint64_t skep_fetch_or(uint64_t *word, uint64_t bits)
{
        return __atomic_fetch_or(word, bits, __ATOMIC_SEQ_CST);
}

static inline uint32_t skep_fetch_or32(uint32_t *word, uint32_t bits)
{
        return __atomic_fetch_or(word, bits, __ATOMIC_SEQ_CST);
}

static inline uint64_t skep_fetch_and(uint64_t *word, uint64_t bits)
{
        return __atomic_fetch_and(word, bits, __ATOMIC_SEQ_CST);
}

static inline uint64_t skep_fetch_add(uint64_t *word, uint64_t value)
{
        return __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST);
}

static inline uint32_t skep_fetch_add32(uint32_t *word, uint32_t value)
{
        return __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST);
}

static inline void skep_fence(void)
{
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Loads before it come before loads after it: the reader of a sequence word and what it covers. */
static inline void skep_fence_acquire(void)
{
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
}

/* Stores before it come before stores after it: the writer's side. */
static inline void skep_fence_release(void)
{
        __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* Tell the core that this is a spin loop. */
static inline void skep_relax(void)
{
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ __volatile__("isb" ::: "memory");
#endif
}

#endif
