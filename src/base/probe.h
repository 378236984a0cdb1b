/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - named points, one after each store to shared memory that others may act on.
 *
 * A build with SKEP_PROBES (the crash tests') calls probe_hook at each; there a test dies, counts or pauses.  Any other
 * build has nothing there.
 */
#ifndef BASE_PROBE_H
#define BASE_PROBE_H

#ifdef SKEP_PROBES
extern void (*probe_hook)(const char *name);
#define PROBE(name) \
        do { \
                if (probe_hook) \
                        probe_hook(name); \
        } while (0)
#else
#define PROBE(name) \
        do { \
        } while (0)
#endif

#endif
