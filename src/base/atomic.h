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

/* Ordered after a sequentially consistent change of another word: on arm64 a relaxed load may be done before it. */
static inline uint32_t skep_load32_ordered(const uint32_t *word)
{
        return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static inline uint64_t skep_load_relaxed(const uint64_t *word)
{
        return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint64_t skep_load(const uint64_t *word)
{
        return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline uint8_t skep_load8_relaxed(const uint8_t *word)
{
        return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void skep_store8_relaxed(uint8_t *word, uint8_t value)
{
        __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/*
 * A look at memory that nothing keeps from being freed and written anew meanwhile, plainly and rightly, by its next owner:
 * for verify and figures.  One load, and what it gives is to be doubted.  ThreadSanitizer would report the other one's store,
 * so it is told not to watch this function.
 */
__attribute__((no_sanitize("thread"))) static inline uint64_t skep_glance(const uint64_t *word)
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

/*
 * Words of 1, 2, 4 or 8 bytes whose width is known at run time, in the low bits of a uint64_t.  Sequentially consistent.
 */
#define SKEP_SIZED(bytes, expression) \
        switch (bytes) { \
        case 1: { typedef uint8_t sized; return expression; } \
        case 2: { typedef uint16_t sized; return expression; } \
        case 4: { typedef uint32_t sized; return expression; } \
        default: { typedef uint64_t sized; return expression; } \
        }

static inline uint64_t skep_sized_load(const void *word, uint32_t bytes)
{
        SKEP_SIZED(bytes, __atomic_load_n((const sized *)word, __ATOMIC_SEQ_CST))
}

static inline uint64_t skep_sized_exchange(void *word, uint32_t bytes, uint64_t value)
{
        SKEP_SIZED(bytes, __atomic_exchange_n((sized *)word, (sized)value, __ATOMIC_SEQ_CST))
}

static inline uint64_t skep_sized_fetch_add(void *word, uint32_t bytes, uint64_t value)
{
        SKEP_SIZED(bytes, __atomic_fetch_add((sized *)word, (sized)value, __ATOMIC_SEQ_CST))
}

static inline uint64_t skep_sized_fetch_and(void *word, uint32_t bytes, uint64_t value)
{
        SKEP_SIZED(bytes, __atomic_fetch_and((sized *)word, (sized)value, __ATOMIC_SEQ_CST))
}

static inline uint64_t skep_sized_fetch_or(void *word, uint32_t bytes, uint64_t value)
{
        SKEP_SIZED(bytes, __atomic_fetch_or((sized *)word, (sized)value, __ATOMIC_SEQ_CST))
}

static inline uint64_t skep_sized_fetch_xor(void *word, uint32_t bytes, uint64_t value)
{
        SKEP_SIZED(bytes, __atomic_fetch_xor((sized *)word, (sized)value, __ATOMIC_SEQ_CST))
}

#define SKEP_SIZED_CAS(type) \
        do { \
                type expected_ = (type)*expected; \
                bool done_ = __atomic_compare_exchange_n((type *)word, &expected_, (type)desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
                *expected = expected_; \
                return done_; \
        } while (0)

/* On failure *expected is what was found. */
static inline bool skep_sized_cas(void *word, uint32_t bytes, uint64_t *expected, uint64_t desired)
{
        switch (bytes) {
        case 1:
                SKEP_SIZED_CAS(uint8_t);
        case 2:
                SKEP_SIZED_CAS(uint16_t);
        case 4:
                SKEP_SIZED_CAS(uint32_t);
        default:
                SKEP_SIZED_CAS(uint64_t);
        }
}

static inline void skep_fence(void)
{
#ifndef __SANITIZE_THREAD__ /* does not know fences; ours order no plain bytes, which is all that it looks at */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
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
