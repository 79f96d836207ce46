/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine can do at most: measured by `calibrate`, or published (yaml/machines). */
#ifndef LLMPROBE_VIEW_PEAKS_H
#define LLMPROBE_VIEW_PEAKS_H

#include <stdbool.h>
#include <stdio.h>

#include "util/diag.h"
#include "util/progress.h"

enum { PEAKS_MAX = 64 };

struct peaks_entry {
	int threads;   /* 0: the whole machine */
	double gbs;    /* 1e9 bytes/s read from memory */
	double gflops; /* 1e9 single-precision operations/s, a multiply-add counts 2 */
	double gops8;  /* 1e9 8-bit integer operations/s of dot products, 0: not known */
};

struct peaks {
	char name[128];
	char source[256]; /* "measured 2026-01-01 by llmprobe calibrate", "vendor's data sheet" */
	struct peaks_entry entry[PEAKS_MAX];
	int n;
};

/*
 * Reads the peaks of a machine: `which` is a file or the name of one in yaml/machines. Returns 0 or
 * -errno with an error in `d`.
 */
int peaks_load(const char *which, struct peaks *p, struct diag *d);
/* What `calibrate` stored for `host` (NULL: this one) on this machine. Returns 0, -ENOENT when
 * nothing is stored (no message), or another -errno with an error in `d`. */
int peaks_stored(const char *host, struct peaks *p, struct diag *d);
/* Reads the YAML form; `name` is what errors call it. 0 or -EINVAL with an error in `d`. */
int peaks_parse(const char *name, const char *text, struct peaks *p, struct diag *d);
/* Puts what `calibrate` stored for this machine into a run that was just made here, so that it
 * keeps its meaning elsewhere. Without a calibration nothing happens. */
void peaks_keep(const char *run_file);
/* The entry for a number of threads: that one, else the nearest smaller, else the smallest. NULL
 * when there is none. */
const struct peaks_entry *peaks_for(const struct peaks *p, int threads);
/* Writes the YAML form. */
void peaks_print(const struct peaks *p, FILE *out);
/* Where `calibrate` stores what it measures on `host` (NULL: this one): a new string. */
char *peaks_path(const char *host);
/*
 * Measures memory bandwidth and multiply-add rate for 1, 2, 4.. up to all CPUs, some seconds in
 * all. `progress` may be NULL. When other programs used the CPUs meanwhile, a warning in `d` and
 * the source of the peaks say so. Returns 0 or -errno with an error in `d`.
 */
int peaks_measure(struct peaks *p, const struct progress *progress, struct diag *d);
/* CPU seconds that all CPUs together were busy since boot, by the text of /proc/stat; NAN when that
 * is not to be read from it. */
double peaks_busy_seconds(const char *proc_stat);

#endif
