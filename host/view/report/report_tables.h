/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of report share: its tables, each a new one that the caller frees. */
#ifndef LLMPROBE_VIEW_REPORT_TABLES_H
#define LLMPROBE_VIEW_REPORT_TABLES_H

#include "view/summary/summary.h"
#include "view/table.h"

/* Rates and latencies, a row per phase; calls that follow each other, a row per sequence. */
struct table *report_phases(const struct summary *s);
struct table *report_sequences(const struct summary *s);
/* Time of a phase by class of operator, and by operator or tensor. */
struct table *report_classes(const struct summary_phase_figures *p);
struct table *report_operators(sqlite3 *db, const char *phase, bool tensors);
/* Workers, and the tasks that had a CPU that some thread was waiting for. */
struct table *report_threads(sqlite3 *db, const struct summary *s);
struct table *report_culprits(sqlite3 *db);
/* Sums kept in the kernel (operators.mode: summary), counters, losses and own cost. */
struct table *report_kept_sums(sqlite3 *db);
struct table *report_counters(sqlite3 *db);
struct table *report_losses(sqlite3 *db);
/* What happened to the recording, without the levels that the user switched. */
struct table *report_notes(sqlite3 *db);
struct table *report_cost(sqlite3 *db);

#endif
