/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - named points, one after each store to shared memory that others may act on.
 *
 * A build with SKEP_PROBES (the crash tests') calls probe_hook at each; there a test dies, counts or pauses.  Their names lie
 * in the section `probe_names`.  Any other build has nothing there.
 */
#ifndef BASE_PROBE_H
#define BASE_PROBE_H

#ifdef SKEP_PROBES
extern void (*probe_hook)(const char *name);
#define PROBE(name) \
        do { \
                static const char *const probe_name __attribute__((section("probe_names"), used)) = name; \
                if (probe_hook) \
                        probe_hook(probe_name); \
        } while (0)
#else
#define PROBE(name) \
        do { \
        } while (0)
#endif

#endif
