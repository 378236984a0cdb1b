/* SPDX-License-Identifier: Apache-2.0 */
/**
 * namespace.h - named values that all processes of a hive see: a dict whose keys are texts, of a kind of its own.
 *
 * All functions of dict.h that take a dict take a namespace too; what dict.h says of readers, writers, crashes and results holds.
 * Names of attributes are UTF-8 and end with NUL.
 */
#ifndef SKEP_NAMESPACE_H
#define SKEP_NAMESPACE_H

#include <skep/dict.h>

SKEP_BEGIN

typedef skep_dict skep_namespace;

/** Make an empty namespace. @param name  borrowed, unique in the hive; NULL: anonymous @return as skep_dict_create() */
SKEP_API SKEP_NODISCARD int skep_namespace_create(skep_hive *hive, const char *name, skep_namespace **ret_namespace);

/** Find a namespace by name. @return 0; -ENOENT; -EPROTOTYPE the name is of another kind; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_namespace_open(skep_hive *hive, const char *name, skep_namespace **ret_namespace);

/** Find a namespace by reference. @return 0; -ESTALE; -EPROTOTYPE; -ENOMEM; -EBADMSG */
SKEP_API SKEP_NODISCARD int skep_namespace_attach(skep_hive *hive, skep_block reference, skep_namespace **ret_namespace);

/** What skep_namespace_attach() takes; may be sent to any member, or be an item of kind OBJECT. */
SKEP_API skep_block skep_namespace_reference(const skep_namespace *space);

/** Drop the handle; the object goes with its last handle, name and mention. @param space  NULL is allowed @return NULL */
SKEP_API skep_namespace *skep_namespace_unref(skep_namespace *space);

/** @param ret_value  as of skep_dict_get() @return 0; -ENOENT no such attribute */
SKEP_API SKEP_NODISCARD int skep_namespace_get(skep_namespace *space, const char *attribute, struct skep_item *ret_value);

/** @return as skep_dict_set() */
SKEP_API SKEP_NODISCARD int skep_namespace_set(skep_namespace *space, const char *attribute, const struct skep_item *value);

/** @return 0; -ENOENT no such attribute */
SKEP_API SKEP_NODISCARD int skep_namespace_delete(skep_namespace *space, const char *attribute);

SKEP_END
#endif
