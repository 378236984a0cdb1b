/* SPDX-License-Identifier: Apache-2.0 */
/* remote.c - calls of few integers (remote.h). */
#include "hive/remote.h"

int remote_simple(const skep_hive *hive, const skep_block *object, uint32_t method, skep_deadline deadline, const int64_t *arguments, uint32_t count,
                  int64_t *ret_result)
{
        struct remote_value values[REMOTE_VALUES_MAX];
        for (uint32_t i = 0; i < count; i++)
                values[i] = REMOTE_INTEGER(arguments[i]);
        struct remote_call call = {.method = method, .object = object, .deadline = deadline, .arguments = values, .count = count};
        int result = remote_call(hive, &call);
        if (ret_result && call.result_count)
                *ret_result = call.results[0];
        return result;
}
