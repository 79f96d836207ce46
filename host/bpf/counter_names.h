/* SPDX-License-Identifier: Apache-2.0 */
/* The names that counters_parse knows by itself. */
#ifndef LLMPROBE_BPF_COUNTER_NAMES_H
#define LLMPROBE_BPF_COUNTER_NAMES_H

#include "bpf/counter.h"

/* Fills method, unit, attr.type/config and fields. Returns false for an unknown name. */
bool counter_lookup(const char *name, size_t len, struct counter *out);

#endif
