/* SPDX-License-Identifier: Apache-2.0 */
/* namespace.c - a dict of another kind (skep/namespace.h). */
#include "dict/dict.h"

#include <skep/namespace.h>

OBJECT_FUNCTIONS(namespace, BLOCK_NAMESPACE)

int skep_namespace_create(skep_hive *hive, const char *name, skep_namespace **ret_namespace)
{
        return dict_create(hive, BLOCK_NAMESPACE, name, 0, ret_namespace);
}

int skep_namespace_get(skep_namespace *space, const char *attribute, struct skep_item *ret_value)
{
        struct skep_item key = skep_item_text(attribute);
        return skep_dict_get(space, &key, ret_value, NULL);
}

int skep_namespace_set(skep_namespace *space, const char *attribute, const struct skep_item *value)
{
        struct skep_item key = skep_item_text(attribute);
        return skep_dict_set(space, &key, value);
}

int skep_namespace_delete(skep_namespace *space, const char *attribute)
{
        struct skep_item key = skep_item_text(attribute);
        return skep_dict_delete(space, &key);
}
