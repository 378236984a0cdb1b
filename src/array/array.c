/* SPDX-License-Identifier: Apache-2.0 */
/*
 * array.c - n-dimensional arrays: element type, shape and strides over a block.
 *
 * A handle is private and counted; all of a process's handles on one block share its claim (claim/).  Descriptions that come
 * from shared memory are checked like arguments: no element may lie outside the block.
 */
#include "array/array.h"

#include "base/checked.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct skep_array {
        skep_hive *hive;
        struct shm_block *block;
        skep_block reference;
        uint8_t *data;
        uint64_t offset;
        uint64_t count;
        uint32_t references;
        uint32_t element;
        uint32_t dimension_count;
        uint32_t contiguous;
        uint64_t shape[SKEP_ARRAY_DIMENSION_MAX];
        int64_t strides[SKEP_ARRAY_DIMENSION_MAX];
};

static const struct {
        uint32_t bytes;
        const char *name;
} elements[SKEP_ELEMENT_COUNT] = {
        [SKEP_ELEMENT_BOOL] = {1, "bool"},   [SKEP_ELEMENT_I8] = {1, "int8"},     [SKEP_ELEMENT_U8] = {1, "uint8"},
        [SKEP_ELEMENT_I16] = {2, "int16"},   [SKEP_ELEMENT_U16] = {2, "uint16"},  [SKEP_ELEMENT_I32] = {4, "int32"},
        [SKEP_ELEMENT_U32] = {4, "uint32"},  [SKEP_ELEMENT_I64] = {8, "int64"},   [SKEP_ELEMENT_U64] = {8, "uint64"},
        [SKEP_ELEMENT_F16] = {2, "float16"}, [SKEP_ELEMENT_F32] = {4, "float32"}, [SKEP_ELEMENT_F64] = {8, "float64"},
        [SKEP_ELEMENT_C64] = {8, "complex64"}, [SKEP_ELEMENT_C128] = {16, "complex128"},
};

uint32_t skep_element_bytes(uint32_t element)
{
        return element < SKEP_ELEMENT_COUNT ? elements[element].bytes : 0;
}

const char *skep_element_name(uint32_t element)
{
        return element < SKEP_ELEMENT_COUNT ? elements[element].name : NULL;
}

/* Number of elements and bytes of a shape. @return 0, -EINVAL, -EOVERFLOW */
static int shape_measure(uint32_t element, uint32_t dimension_count, const uint64_t *shape, uint64_t *ret_count, uint64_t *ret_bytes)
{
        uint64_t count = 1, bytes = skep_element_bytes(element);
        if (!bytes || dimension_count > SKEP_ARRAY_DIMENSION_MAX || (dimension_count && !shape))
                return -EINVAL;
        for (uint32_t i = 0; i < dimension_count; i++)
                if (!shape[i]) {
                        *ret_count = *ret_bytes = 0;
                        return 0;
                }
        for (uint32_t i = 0; i < dimension_count; i++)
                if (!checked_mul(count, shape[i], &count))
                        return -EOVERFLOW;
        if (!checked_mul(bytes, count, &bytes))
                return -EOVERFLOW;
        *ret_count = count;
        *ret_bytes = bytes;
        return 0;
}

static void strides_of_c_order(skep_array *array)
{
        int64_t stride = skep_element_bytes(array->element);
        for (uint32_t i = array->dimension_count; i-- > 0;) {
                array->strides[i] = stride;
                stride *= array->shape[i] ? (int64_t)array->shape[i] : 1;
        }
}

static bool is_c_order(const skep_array *array)
{
        int64_t stride = skep_element_bytes(array->element);
        for (uint32_t i = array->dimension_count; i-- > 0;) {
                if (array->shape[i] != 1 && array->strides[i] != stride)
                        return array->count == 0;
                stride *= (int64_t)array->shape[i];
        }
        return true;
}

/* Do all elements lie inside the block? */
static int extent_check(const skep_array *array, uint64_t block_bytes)
{
        int64_t low = 0, high = (int64_t)skep_element_bytes(array->element);
        if (array->offset > block_bytes)
                return -EINVAL;
        if (!array->count)
                return 0;
        for (uint32_t i = 0; i < array->dimension_count; i++) {
                int64_t reach;
                if (__builtin_mul_overflow((int64_t)(array->shape[i] - 1), array->strides[i], &reach))
                        return -EOVERFLOW;
                if (__builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high))
                        return -EOVERFLOW;
        }
        return low < -(int64_t)array->offset || high > (int64_t)(block_bytes - array->offset) ? -EINVAL : 0;
}

/* A handle on a block that the caller has claimed for it. */
static int array_new(skep_hive *hive, struct shm_block *block, const struct skep_array *model, skep_array **ret_array)
{
        uint64_t block_bytes;
        uint8_t *data = heap_data(hive, block, &block_bytes);
        if (!data)
                return -EBADMSG;
        int result = extent_check(model, block_bytes);
        skep_array *array = result == 0 ? malloc(sizeof *array) : NULL;
        if (!array)
                return result < 0 ? result : -ENOMEM;
        *array = *model;
        array->hive = hive;
        array->block = block;
        array->reference = claim_reference(hive, block);
        array->data = data + model->offset;
        array->references = 1;
        array->contiguous = is_c_order(array);
        *ret_array = array;
        return 0;
}

static int model_of(skep_array *model, uint32_t element, uint64_t offset, uint32_t dimension_count, const uint64_t *shape, const int64_t *strides,
                    uint64_t *ret_bytes)
{
        int result = shape_measure(element, dimension_count, shape, &model->count, ret_bytes);
        if (result < 0)
                return result;
        model->element = element;
        model->dimension_count = dimension_count;
        model->offset = offset;
        for (uint32_t i = 0; i < dimension_count; i++)
                model->shape[i] = shape[i];
        if (strides)
                memcpy(model->strides, strides, dimension_count * sizeof *strides);
        else
                strides_of_c_order(model);
        return 0;
}

int skep_array_create(skep_hive *hive, const struct skep_array_options *given, skep_array **ret_array)
{
        struct skep_array_options options;
        skep_array model = {0};
        uint64_t bytes;
        int result = options_copy(&options, sizeof options, given);
        if (result == 0 && (options.flags & ~SKEP_ARRAY_UNINITIALIZED || options.reserved))
                result = -EINVAL;
        if (result == 0)
                result = model_of(&model, options.element, 0, options.dimension_count, options.shape, NULL, &bytes);
        struct skep_agent *agent;
        struct shm_block *block;
        if (result == 0)
                result = agent_self(hive, &agent);
        if (result == 0)
                result = claim_alloc(agent, bytes ? bytes : 1, BLOCK_BYTES, &block);
        if (result < 0)
                return result;
        result = array_new(hive, block, &model, ret_array);
        if (result < 0)
                (void)claim_unref(agent, block);
        else if (!(options.flags & SKEP_ARRAY_UNINITIALIZED))
                memset((*ret_array)->data, 0, bytes);
        return result;
}

int skep_array_view(skep_array *base, uint32_t element, uint64_t offset_bytes, uint32_t dimension_count, const uint64_t *shape,
                    const int64_t *strides, skep_array **ret_array)
{
        skep_array model = {0};
        uint64_t bytes;
        struct skep_agent *agent;
        int result = model_of(&model, element, offset_bytes, dimension_count, shape, strides, &bytes);
        if (result == 0)
                result = agent_self(base->hive, &agent);
        if (result == 0)
                result = claim_ref(agent, base->block, (uint32_t)base->reference.serial);
        if (result < 0)
                return result;
        result = array_new(base->hive, base->block, &model, ret_array);
        if (result < 0)
                (void)claim_unref(agent, base->block);
        return result;
}

int skep_array_attach(skep_hive *hive, skep_block reference, uint32_t element, uint64_t offset_bytes, uint32_t dimension_count, const uint64_t *shape,
                      const int64_t *strides, skep_array **ret_array)
{
        skep_array model = {0};
        uint64_t bytes;
        struct skep_agent *agent;
        int result = model_of(&model, element, offset_bytes, dimension_count, shape, strides, &bytes);
        if (result == 0)
                result = agent_self(hive, &agent);
        if (result < 0)
                return result;
        struct shm_block *block = claim_find(hive, reference.offset, reference.serial);
        if (!block || !reference.serial || reference.serial > UINT32_MAX)
                return -ESTALE;
        if (block->kind != BLOCK_BYTES)
                return -EPROTOTYPE;
        result = claim_ref(agent, block, (uint32_t)reference.serial);
        if (result < 0)
                return result;
        result = array_new(hive, block, &model, ret_array);
        if (result < 0)
                (void)claim_unref(agent, block);
        return result;
}

uint64_t array_describe(const skep_array *array, void *description)
{
        struct shm_array *shared = description;
        uint64_t shape_bytes = array->dimension_count * sizeof *array->shape;
        *shared = (struct shm_array){
                .offset = array->offset,
                .element = (uint8_t)array->element,
                .dimension_count = (uint8_t)array->dimension_count,
                .strided = !array->contiguous,
        };
        memcpy(shared->shape, array->shape, shape_bytes);
        if (!array->contiguous)
                memcpy(shared->shape + array->dimension_count, array->strides, shape_bytes);
        return sizeof *shared + shape_bytes * (array->contiguous ? 1 : 2);
}

int array_from(struct skep_agent *agent, struct shm_block *block, const void *description, uint64_t bytes, skep_array **ret_array)
{
        struct shm_array shared;
        skep_array model = {0};
        if (bytes < sizeof shared)
                return -EBADMSG;
        memcpy(&shared, description, sizeof shared);
        uint64_t dimensions = shared.dimension_count, unused;
        if (dimensions > SKEP_ARRAY_DIMENSION_MAX || bytes != sizeof shared + dimensions * 8 * (shared.strided ? 2 : 1))
                return -EBADMSG;
        uint64_t numbers[2 * SKEP_ARRAY_DIMENSION_MAX];
        memcpy(numbers, (const uint8_t *)description + sizeof shared, bytes - sizeof shared);
        const int64_t *strides = (const void *)(numbers + dimensions);
        if (model_of(&model, shared.element, shared.offset, (uint32_t)dimensions, numbers, shared.strided ? strides : NULL, &unused) < 0)
                return -EBADMSG;
        int result = claim_ref(agent, block, block->serial);
        if (result < 0)
                return result;
        result = array_new(agent->hive, block, &model, ret_array);
        if (result < 0)
                (void)claim_unref(agent, block);
        return result == -EINVAL || result == -EOVERFLOW ? -EBADMSG : result;
}

static uint8_t *gather(const skep_array *array, uint32_t dimension, const uint8_t *from, uint8_t *to)
{
        size_t bytes = skep_element_bytes(array->element);
        if (dimension == array->dimension_count) {
                memcpy(to, from, bytes);
                return to + bytes;
        }
        for (uint64_t i = 0; i < array->shape[dimension]; i++)
                to = gather(array, dimension + 1, from + (int64_t)i * array->strides[dimension], to);
        return to;
}

uint8_t *array_gather(const skep_array *array)
{
        uint8_t *gathered = malloc(skep_array_bytes(array) + !array->count);
        if (gathered)
                (void)gather(array, 0, array->data, gathered);
        return gathered;
}

struct shm_block *array_block(const skep_array *array)
{
        return array->block;
}

skep_array *skep_array_ref(skep_array *array)
{
        (void)skep_fetch_add32(&array->references, 1);
        return array;
}

skep_array *skep_array_unref(skep_array *array)
{
        if (!array || skep_fetch_add32(&array->references, UINT32_MAX) != 1)
                return NULL;
        struct skep_agent *agent;
        if (agent_self(array->hive, &agent) == 0)
                (void)claim_unref(agent, array->block);
        free(array);
        return NULL;
}

void *skep_array_data(const skep_array *array)
{
        return array->data;
}

uint32_t skep_array_element(const skep_array *array)
{
        return array->element;
}

uint32_t skep_array_dimension_count(const skep_array *array)
{
        return array->dimension_count;
}

const uint64_t *skep_array_shape(const skep_array *array)
{
        return array->shape;
}

const int64_t *skep_array_strides(const skep_array *array)
{
        return array->strides;
}

uint64_t skep_array_count(const skep_array *array)
{
        return array->count;
}

uint64_t skep_array_bytes(const skep_array *array)
{
        return array->count * skep_element_bytes(array->element);
}

int skep_array_is_contiguous(const skep_array *array)
{
        return (int)array->contiguous;
}

skep_block skep_array_block(const skep_array *array)
{
        return array->reference;
}

uint64_t skep_array_offset(const skep_array *array)
{
        return array->offset;
}

skep_hive *skep_array_hive(const skep_array *array)
{
        return array->hive;
}
