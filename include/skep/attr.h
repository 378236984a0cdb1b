/* SPDX-License-Identifier: Apache-2.0 */
/** attr.h - attributes of the public interface. */
#ifndef SKEP_ATTR_H
#define SKEP_ATTR_H

#include <stddef.h>
#include <stdint.h>

#define SKEP_API __attribute__((visibility("default")))
#define SKEP_NODISCARD __attribute__((warn_unused_result))

#ifdef __cplusplus
#define SKEP_BEGIN extern "C" {
#define SKEP_END }
#else
#define SKEP_BEGIN
#define SKEP_END
#endif

/** Names of hives and of objects: 1 to SKEP_NAME_MAX bytes of text, no slash, not "." or "..". */
#define SKEP_NAME_MAX 63

#endif
