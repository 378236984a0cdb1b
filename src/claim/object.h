/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.h - what all public objects have in common: a block of one kind, found by name or by reference, and a handle.
 *
 * The private handle of every object (skep_lock, skep_event ...) begins with a struct object; its kind says how long it is.
 * The handle is one claim of this process on the block.  After fork the child has the same handles and claims.
 */
#ifndef CLAIM_OBJECT_H
#define CLAIM_OBJECT_H

#include "claim/claim.h"

struct object {
        skep_hive *hive;
        struct shm_block *block;
        skep_block reference;
        void *shared; /* the payload, checked to be as long as the kind says */
        uint64_t shared_bytes;
        const struct kind *kind; /* as it was when the handle was made: what lies in the hive may be damaged later */
};

/* Fill the zeroed payload before anybody else can see it. */
typedef void object_format(void *shared, const void *options);

/*
 * Make a block of that kind and a handle on it, complete.
 * @param name    borrowed, NULL: anonymous
 * @param bytes   of payload, at least the kind's
 * @param format  NULL: zeros will do
 * @return 0; -EEXIST; -ENOSPC; -ENOMEM; -EINVAL, -ENAMETOOLONG the name; -EUSERS; -EOVERFLOW
 * Crash: HELD by the maker until it is whole, so nobody ever sees half an object.
 */
int object_create(skep_hive *hive, enum block_kind kind, const char *name, uint64_t bytes, object_format *format, const void *options,
                  struct object **ret_object);

/* The same without a name and not complete, for a block that others have to be linked to first: then object_publish(). */
int object_make(struct skep_agent *agent, enum block_kind kind, uint64_t bytes, object_format *format, const void *options, struct object **ret_object);

/* Enter the name, complete the handle. @param object  ended on failure @param name  borrowed, checked; NULL: anonymous @return as object_create() */
int object_publish(struct skep_agent *agent, struct object *object, const char *name);

/* @return 0; -ENOENT; -EPROTOTYPE of another kind; -ENOMEM; -EBADMSG */
int object_open(skep_hive *hive, enum block_kind kind, const char *name, struct object **ret_object);

/* @return 0; -ESTALE gone, or never was; -EPROTOTYPE; -ENOMEM; -EBADMSG */
int object_attach(skep_hive *hive, enum block_kind kind, skep_block reference, struct object **ret_object);

/* The same for a block whose record is known. */
int object_of_block(struct skep_agent *agent, struct shm_block *block, struct object **ret_object);

/* Drop the claim, free the handle. @param object  NULL is allowed */
void object_unref(struct object *object);

/* The calling thread's agent in the object's hive. @return 0, -EUSERS, -ENOMEM, -ESTALE */
static inline int object_self(const struct object *object, struct skep_agent **ret_agent)
{
        return agent_self(object->hive, ret_agent);
}

/* skep_NOUN_open, _attach, _reference and _unref, which are the same for all. */
#define OBJECT_FUNCTIONS(noun, kind) OBJECT_FUNCTIONS_OF(noun, skep_##noun, kind)

#define OBJECT_FUNCTIONS_OF(noun, type, kind) \
        int skep_##noun##_open(skep_hive *hive, const char *name, type **ret_object) \
        { \
                struct object *object; \
                int result = object_open(hive, kind, name, &object); \
                if (result == 0) \
                        *ret_object = (type *)object; \
                return result; \
        } \
\
        int skep_##noun##_attach(skep_hive *hive, skep_block reference, type **ret_object) \
        { \
                struct object *object; \
                int result = object_attach(hive, kind, reference, &object); \
                if (result == 0) \
                        *ret_object = (type *)object; \
                return result; \
        } \
\
        skep_block skep_##noun##_reference(const type *object) \
        { \
                return object->base.reference; \
        } \
\
        type *skep_##noun##_unref(type *object) \
        { \
                object_unref(object ? &object->base : NULL); \
                return NULL; \
        }

#endif
