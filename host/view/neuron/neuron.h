/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS Neuron profiles (Inferentia, Trainium): the JSON of
 * `neuron-profile view --output-format summary-json` as a run, and its figures.
 */
#ifndef LLMPROBE_VIEW_NEURON_H
#define LLMPROBE_VIEW_NEURON_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "util/buf.h"
#include "util/diag.h"

/* One profile: what one NEFF did on one rank. */
struct neuron_profile {
	char *name;
	struct cJSON *metrics; /* flat object, as the tool wrote it */
	double scale;	       /* multiply *_percent by it to get a fraction */
	bool scale_known;      /* derived from times; otherwise guessed from the values */
};

struct neuron_set {
	struct neuron_profile *profiles;
	size_t count, cap;
};

void neuron_set_free(struct neuron_set *s);
/* Adds the profiles of one JSON text. `name` names them. 0 or -EINVAL with an error in `d`. */
int neuron_parse(struct neuron_set *s, const char *name, const char *text, struct diag *d);
/*
 * Adds a JSON file, or a folder: its *.json files and, when neuron-profile is on PATH, its pairs of
 * .neff and .ntff. 0 or -errno with an error in `d`.
 */
int neuron_read(struct neuron_set *s, const char *path, struct diag *d);
/* Adds the profiles that an imported run holds; none is no error. */
void neuron_load(struct neuron_set *s, sqlite3 *db);

/*
 * The value of a metric: *_percent as a fraction 0..1, the rest in the tool's units (s, bytes,
 * counts). False when it is missing or marked unavailable (negative).
 */
bool neuron_metric(const struct neuron_profile *p, const char *name, double *value);

/* The fields that figures are made of and the profile has not, with what looks like them. */
void neuron_gaps(const struct neuron_profile *p, struct buf *out);

enum neuron_unit {
	NEURON_FRACTION,
	NEURON_BYTES,
	NEURON_TRAFFIC,
	NEURON_SECONDS,
	NEURON_FLOPS,
	NEURON_NUMBER
};

/* A figure that the table shows; those with a function are derived. */
struct neuron_figure {
	const char *key, *title;
	enum neuron_unit unit;
	const char *metric;
	bool (*derive)(const struct neuron_profile *p, double *value);
};
extern const struct neuron_figure neuron_figures[]; /* ended by key == NULL */
bool neuron_figure_value(const struct neuron_figure *f, const struct neuron_profile *p,
			 double *value);
/* Mean over the profiles that have the figure. */
bool neuron_figure_mean(const struct neuron_figure *f, const struct neuron_set *s, double *value);
enum { NEURON_FIGURES = 19 };
/* "prefill", "decode" or "unknown", by what the two models of an LLM are called. */
const char *neuron_phase(const char *name);
/* "very low", "low", "medium", "high" for a fraction of what an engine could do. */
const char *neuron_level(double fraction);

enum neuron_bound {
	NEURON_UNKNOWN,
	NEURON_MEMORY,
	NEURON_COMPUTE,
	NEURON_ENGINE, /* the vector, scalar or GPSIMD engine, not the matrix products */
	NEURON_LATENCY,
};
/* What binds a profile; `why` gets a sentence with the figures it follows from, or what is missing.
 */
enum neuron_bound neuron_verdict(const struct neuron_profile *p, struct buf *why);
/* Spills, transposes, small transfers that exceed their limits, one line each. */
void neuron_alarms(const struct neuron_profile *p, struct buf *out);

struct view_opts;
/* The figures of all profiles as a table, in the form that the options say; of many profiles the
 * text shows mean, lowest and highest. */
void neuron_print(const struct neuron_set *s, const struct view_opts *o, FILE *out);
/* What binds each profile, and its alarms. */
void neuron_print_verdicts(const struct neuron_set *s, const struct view_opts *o, FILE *out);

/* Writes the profiles as a new run file. 0 or -errno with an error in `d`. */
int neuron_store(const struct neuron_set *s, const char *output, bool force, struct diag *d);
/* neuron_read of every path, then neuron_store. 0 or -errno with an error in `d`. */
int neuron_import(char *const *paths, size_t n, const char *output, bool force, struct diag *d);
/* Adds what a benchmark measured beside the profiles to a run, as "throughput=3.07 q/s"; more is
 * better. 0 or -errno with an error in `d`. */
int neuron_add_figures(const char *output, char *const *figures, size_t n, struct diag *d);

#endif
