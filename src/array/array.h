/* SPDX-License-Identifier: Apache-2.0 */
/* array.h - an array's description as a message carries it. */
#ifndef ARRAY_ARRAY_H
#define ARRAY_ARRAY_H

#include "claim/claim.h"

#include <skep/array.h>

/* Followed by shape[dimension_count], and by strides[dimension_count] if `strided`. */
struct shm_array {
        uint64_t offset; /* of the first element in the block */
        uint8_t element;
        uint8_t dimension_count;
        uint8_t strided;
        uint8_t reserved[5];
        uint64_t shape[];
};
_Static_assert(sizeof(struct shm_array) == 16, "format");

#define ARRAY_DESCRIPTION_MAX (sizeof(struct shm_array) + 2 * 8 * SKEP_ARRAY_DIMENSION_MAX)

/* Write the description. @return its bytes */
uint64_t array_describe(const skep_array *array, void *description);

/* Make a handle from a description that came from shared memory, claiming the block. @return 0, -EBADMSG, -ENOMEM, ... */
int array_from(struct skep_agent *agent, struct shm_block *block, const void *description, uint64_t bytes, skep_array **ret_array);

/* The elements in C order, for memory that free() ends; NULL: out of memory. */
uint8_t *array_gather(const skep_array *array);

struct shm_block *array_block(const skep_array *array);

#endif
