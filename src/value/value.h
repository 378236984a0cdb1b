/* SPDX-License-Identifier: Apache-2.0 */
/* value.h - what manager/ asks beyond skep/value.h. */
#ifndef VALUE_VALUE_H
#define VALUE_VALUE_H

#include <skep/value.h>

uint32_t value_flags(const skep_value *value); /* SKEP_VALUE_* */

#endif
