/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c - the hook of the crash tests (see probe.h). */
#include "base/probe.h"

#ifdef SKEP_PROBES
void (*probe_hook)(const char *name);
#else
typedef int probe_c_is_empty;
#endif
