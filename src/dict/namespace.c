/* SPDX-License-Identifier: Apache-2.0 */
/* namespace.c - a dict of another kind (skep/namespace.h). */
#include "dict/dict.h"

#include <skep/namespace.h>

struct skep_namespace {
        struct skep_dict dict;
};

/* The handle is the dict's, with nothing added. */
static skep_namespace **as_result(skep_dict **dict)
{
        return (skep_namespace **)dict;
}

int skep_namespace_create(skep_hive *hive, const char *name, skep_namespace **ret_namespace)
{
        skep_dict *dict;
        int result = dict_create(hive, BLOCK_NAMESPACE, name, 0, &dict);
        if (result == 0)
                *ret_namespace = *as_result(&dict);
        return result;
}

int skep_namespace_open(skep_hive *hive, const char *name, skep_namespace **ret_namespace)
{
        skep_dict *dict;
        int result = dict_open(hive, BLOCK_NAMESPACE, name, &dict);
        if (result == 0)
                *ret_namespace = *as_result(&dict);
        return result;
}

int skep_namespace_attach(skep_hive *hive, skep_block reference, skep_namespace **ret_namespace)
{
        skep_dict *dict;
        int result = dict_attach(hive, BLOCK_NAMESPACE, reference, &dict);
        if (result == 0)
                *ret_namespace = *as_result(&dict);
        return result;
}

skep_block skep_namespace_reference(const skep_namespace *space)
{
        return skep_dict_reference(&space->dict);
}

skep_hive *skep_namespace_hive(const skep_namespace *space)
{
        return skep_dict_hive(&space->dict);
}

skep_namespace *skep_namespace_unref(skep_namespace *space)
{
        (void)skep_dict_unref(space ? &space->dict : NULL);
        return NULL;
}

skep_dict *skep_namespace_dict(skep_namespace *space)
{
        return &space->dict;
}

int skep_namespace_get(skep_namespace *space, const char *attribute, struct skep_item *ret_value)
{
        struct skep_item key = skep_item_text(attribute);
        return skep_dict_get(&space->dict, &key, ret_value, NULL);
}

int skep_namespace_set(skep_namespace *space, const char *attribute, const struct skep_item *value)
{
        struct skep_item key = skep_item_text(attribute);
        return skep_dict_set(&space->dict, &key, value);
}

int skep_namespace_delete(skep_namespace *space, const char *attribute)
{
        struct skep_item key = skep_item_text(attribute);
        return skep_dict_delete(&space->dict, &key);
}

int skep_namespace_snapshot(skep_namespace *space, uint32_t flags, struct skep_dict_entry **ret_entries, uint64_t *ret_count)
{
        return skep_dict_snapshot(&space->dict, flags, ret_entries, ret_count);
}
