/* SPDX-License-Identifier: Apache-2.0 */
/* What a run says about the machine it was made on. */
#ifndef LLMPROBE_SESSION_MACHINE_H
#define LLMPROBE_SESSION_MACHINE_H

struct cJSON;

/* Adds host, kernel, cpu, cpus, memory_bytes, start (wall time), start_ns, clock_offset_ns (wall
 * minus monotonic) and boot_offset_ns (boottime minus monotonic) to the object. */
void machine_describe(struct cJSON *note);

#endif
