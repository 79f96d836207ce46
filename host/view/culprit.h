/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who had the CPU that a thread was waiting for. Recorded are the task that took it first and the
 * one that had it last, right before the thread ran; those between them are not.
 */
#ifndef LLMPROBE_VIEW_CULPRIT_H
#define LLMPROBE_VIEW_CULPRIT_H

#include <stdbool.h>

/* Whether a task of that name is a thread of the kernel: of those nobody can be stopped. */
bool culprit_is_kernel(const char *comm);
/*
 * The part of the waiting time that the first task is taken to have had, 0..1; the rest is the last
 * one's. Names are "" or NULL where not known. Two tasks share evenly, but a thread of the kernel
 * that came first soon left the CPU to the task that kept it.
 */
double culprit_first_share(const char *first, const char *last);

#endif
