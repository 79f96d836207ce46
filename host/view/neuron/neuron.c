/* SPDX-License-Identifier: Apache-2.0 */
#include "view/neuron/neuron.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"
#include "view/view.h"

void neuron_set_free(struct neuron_set *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->profiles[i].name);
		cJSON_Delete(s->profiles[i].metrics);
	}
	free(s->profiles);
	*s = (struct neuron_set){0};
}

static bool number(const struct neuron_profile *p, const char *name, double *value)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(p->metrics, name);

	if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble))
		return false;
	*value = item->valuedouble;
	return true;
}

/*
 * The fields called *_percent hold fractions in some versions of the tool and percent in others.
 * An engine whose active time is given both ways tells which.
 */
static void find_scale(struct neuron_profile *p)
{
	static const char *const engines[] = {"tensor_engine", "vector_engine", "scalar_engine",
					      "gpsimd_engine", "dma",		"total"};
	double total, active, percent, largest = 0;
	char name[64];
	const cJSON *item;

	p->scale_known = true;
	for (size_t i = 0; i < ARRAY_LEN(engines) && number(p, "total_time", &total); i++) {
		snprintf(name, sizeof(name), "%s_active_time", engines[i]);
		if (!number(p, name, &active))
			continue;
		snprintf(name, sizeof(name), "%s_active_time_percent", engines[i]);
		if (!number(p, name, &percent) || percent <= 0 || active <= 0 || total <= 0)
			continue;
		p->scale = fabs(percent - active / total) <= fabs(percent / 100 - active / total)
				   ? 1
				   : 0.01;
		return;
	}
	p->scale_known = false;
	cJSON_ArrayForEach(item, p->metrics) if (cJSON_IsNumber(item) &&
						 text_ends(item->string, "_percent")) largest =
		fmax(largest, item->valuedouble);
	p->scale = largest <= 1 ? 1 : 0.01;
}

static void add_profile(struct neuron_set *s, const char *name, const char *key,
			const cJSON *metrics)
{
	struct neuron_profile *p = VEC_PUSH(s->profiles, s->count, s->cap);

	p->name = key ? xasprintf("%s:%s", name, key) : xstrdup(name);
	p->metrics = cJSON_Duplicate(metrics, true);
	find_scale(p);
}

static bool is_flat(const cJSON *o)
{
	return cJSON_IsObject(o) &&
	       (cJSON_GetObjectItemCaseSensitive(o, "total_time") || cJSON_IsNumber(o->child));
}

/* Any file may hold an object with numbers; one of a profile has fields of a profile. */
static bool is_profile(const cJSON *o)
{
	for (const struct neuron_figure *f = neuron_figures; f->key; f++)
		if (f->metric && cJSON_GetObjectItemCaseSensitive(o, f->metric))
			return true;
	return false;
}

static size_t add_all(struct neuron_set *s, const char *name, const cJSON *root)
{
	const cJSON *summary = cJSON_GetObjectItemCaseSensitive(root, "summary");
	size_t before = s->count;
	const cJSON *item;
	bool several;

	if (is_flat(root)) {
		if (is_profile(root))
			add_profile(s, name, NULL, root);
		return s->count - before;
	}
	if (summary)
		root = summary;
	several = root->child && root->child->next;
	cJSON_ArrayForEach(item, root)
	{
		char index[16];

		snprintf(index, sizeof(index), "%zu", s->count - before + 1);
		if (is_flat(item) && is_profile(item))
			add_profile(s, name,
				    !several	   ? NULL
				    : item->string ? item->string
						   : index,
				    item);
	}
	return s->count - before;
}

static int syntax_error(const char *name, const char *text, struct diag *d)
{
	struct source src = {name, text, strlen(text)};
	const char *at = cJSON_GetErrorPtr();
	struct span span = {1, 1, 0, 0};

	for (const char *p = text; at && p < at && *p; p++) {
		span.col++;
		if (*p == '\n') {
			span.line++;
			span.col = 1;
		}
	}
	span.end_col = span.col + 1;
	return diag_fail_at(d, -EINVAL, &src, span, "this is no JSON");
}

int neuron_parse(struct neuron_set *s, const char *name, const char *text, struct diag *d)
{
	/* The tool may print a line of its own before the object. */
	const char *start = strpbrk(text, "{[");
	cJSON *root = cJSON_Parse(start ? start : text);
	int err = 0;

	if (!root)
		return syntax_error(name, text, d);
	if (!add_all(s, name, root))
		err = diag_fail(d, -EINVAL,
				"%s holds no profile: expected what neuron-profile view "
				"--output-format summary-json prints",
				name);
	cJSON_Delete(root);
	return err;
}

static bool is_metric(const char *name)
{
	for (const struct neuron_figure *f = neuron_figures; f->key; f++)
		if (f->metric && strcmp(f->metric, name) == 0)
			return true;
	return false;
}

/* A field that this program does not know, called much like `metric`. */
static const char *like(const struct neuron_profile *p, const char *metric)
{
	const char **names = xcalloc((size_t)cJSON_GetArraySize(p->metrics) + 1, sizeof(*names));
	const cJSON *item;
	const char *near;
	size_t n = 0;

	cJSON_ArrayForEach(item, p->metrics) if (item->string && !is_metric(item->string))
		names[n++] = item->string;
	near = text_nearest_of(metric, names, n);
	free(names);
	return near;
}

void neuron_gaps(const struct neuron_profile *p, struct buf *out)
{
	for (const struct neuron_figure *f = neuron_figures; f->key; f++) {
		const char *near;

		if (!f->metric || cJSON_GetObjectItemCaseSensitive(p->metrics, f->metric))
			continue;
		near = like(p, f->metric);
		buf_printf(out, "%s%s", out->len ? ", " : "", f->metric);
		if (near)
			buf_printf(out, " (there is %s, which this version does not know)", near);
	}
}

bool neuron_metric(const struct neuron_profile *p, const char *name, double *value)
{
	if (!number(p, name, value) || *value < 0)
		return false;
	if (text_ends(name, "_percent"))
		*value *= p->scale;
	return true;
}

static bool ratio(const struct neuron_profile *p, const char *a, const char *b, double *value)
{
	double x, y;

	if (!neuron_metric(p, a, &x) || !neuron_metric(p, b, &y) || y <= 0)
		return false;
	*value = x / y;
	return true;
}

static bool spill_share(const struct neuron_profile *p, double *v)
{
	return ratio(p, "spill_reload_bytes", "hbm_read_bytes", v);
}

static bool transpose_share(const struct neuron_profile *p, double *v)
{
	return ratio(p, "transpose_flops", "hardware_flops", v);
}

static bool dma_size(const struct neuron_profile *p, double *v)
{
	return neuron_metric(p, "dma_transfer_average_bytes", v) ||
	       ratio(p, "dma_transfer_total_bytes", "dma_transfer_count", v);
}

static bool intensity(const struct neuron_profile *p, double *v)
{
	double flops, transpose = 0, read, write;

	if (neuron_metric(p, "mm_arithmetic_intensity", v))
		return true;
	neuron_metric(p, "transpose_flops", &transpose);
	if (!neuron_metric(p, "hardware_flops", &flops) ||
	    !neuron_metric(p, "hbm_read_bytes", &read) ||
	    !neuron_metric(p, "hbm_write_bytes", &write) || read + write <= 0)
		return false;
	*v = (flops - transpose) / (read + write);
	return true;
}

#define METRIC(key, title, unit, metric)                                                           \
	{                                                                                          \
		key, title, unit, metric, NULL                                                     \
	}
#define DERIVED(key, title, unit, fn)                                                              \
	{                                                                                          \
		key, title, unit, NULL, fn                                                         \
	}

const struct neuron_figure neuron_figures[NEURON_FIGURES + 1] = {
	METRIC("tensor_engine", "tensor engine", NEURON_FRACTION,
	       "tensor_engine_active_time_percent"),
	METRIC("vector_engine", "vector engine", NEURON_FRACTION,
	       "vector_engine_active_time_percent"),
	METRIC("scalar_engine", "scalar engine", NEURON_FRACTION,
	       "scalar_engine_active_time_percent"),
	METRIC("gpsimd_engine", "GPSIMD engine", NEURON_FRACTION,
	       "gpsimd_engine_active_time_percent"),
	METRIC("total_active", "any engine", NEURON_FRACTION, "total_active_time_percent"),
	METRIC("dma", "DMA", NEURON_FRACTION, "dma_active_time_percent"),
	METRIC("hbm_read", "HBM read", NEURON_TRAFFIC, "hbm_read_bytes"),
	METRIC("hbm_write", "HBM written", NEURON_TRAFFIC, "hbm_write_bytes"),
	METRIC("mbu", "MBU (estimate)", NEURON_FRACTION, "mbu_estimated_percent"),
	METRIC("mfu", "MFU (estimate)", NEURON_FRACTION, "mfu_estimated_percent"),
	METRIC("mfu_hlo", "MFU of the HLO", NEURON_FRACTION, "mfu_hlo_estimated_percent"),
	METRIC("mfu_max", "max achievable MFU", NEURON_FRACTION,
	       "mfu_max_achievable_estimated_percent"),
	METRIC("hardware_flops", "hardware FLOPs", NEURON_FLOPS, "hardware_flops"),
	DERIVED("intensity", "FLOP per byte", NEURON_NUMBER, intensity),
	METRIC("ridge", "FLOP per byte to be compute-bound", NEURON_NUMBER,
	       "peak_flops_bandwidth_ratio"),
	DERIVED("spill", "spills of HBM reads", NEURON_FRACTION, spill_share),
	DERIVED("transpose", "transposes of FLOPs", NEURON_FRACTION, transpose_share),
	DERIVED("dma_size", "mean DMA transfer", NEURON_BYTES, dma_size),
	METRIC("total_time", "time", NEURON_SECONDS, "total_time"),
	{0},
};

bool neuron_figure_value(const struct neuron_figure *f, const struct neuron_profile *p,
			 double *value)
{
	return f->derive ? f->derive(p, value) : neuron_metric(p, f->metric, value);
}

bool neuron_figure_mean(const struct neuron_figure *f, const struct neuron_set *s, double *value)
{
	double sum = 0, v;
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		if (neuron_figure_value(f, &s->profiles[i], &v)) {
			sum += v;
			n++;
		}
	*value = n ? sum / (double)n : 0;
	return n > 0;
}

const char *neuron_phase(const char *name)
{
	if (strcasestr(name, "context") || strcasestr(name, "prefill"))
		return "prefill";
	if (strcasestr(name, "token") || strcasestr(name, "decode"))
		return "decode";
	return "unknown";
}

const char *neuron_level(double fraction)
{
	return fraction < 0.05	? "very low"
	       : fraction < 0.2 ? "low"
	       : fraction < 0.6 ? "medium"
				: "high";
}

/* The busiest engine beside the tensor engine, and how busy it is (-1: not known). */
static const char *busiest_engine(const struct neuron_profile *p, double *busy)
{
	static const struct {
		const char *name, *metric;
	} engines[] = {
		{"vector engine", "vector_engine_active_time_percent"},
		{"scalar engine", "scalar_engine_active_time_percent"},
		{"GPSIMD engine", "gpsimd_engine_active_time_percent"},
	};
	const char *name = "";
	double v;

	*busy = -1;
	for (size_t i = 0; i < ARRAY_LEN(engines); i++)
		if (neuron_metric(p, engines[i].metric, &v) && v > *busy) {
			*busy = v;
			name = engines[i].name;
		}
	return name;
}

enum neuron_bound neuron_verdict(const struct neuron_profile *p, struct buf *why)
{
	enum { BUSY = 60 }; /* percent: less than that, and neither side binds */
	double have, ridge, dma = -1, mbu = -1, tensor = -1, memory, any = -1, engine;
	const char *name = busiest_engine(p, &engine);

	neuron_metric(p, "dma_active_time_percent", &dma);
	neuron_metric(p, "mbu_estimated_percent", &mbu);
	neuron_metric(p, "tensor_engine_active_time_percent", &tensor);
	neuron_metric(p, "total_active_time_percent", &any);
	memory = fmax(dma, mbu);
	if (any * 100 >= BUSY && engine > memory && engine > tensor) {
		buf_printf(why,
			   "bound by the %s: busy %.1f %% of the time, some engine %.1f %%, DMA "
			   "%.1f %%, tensor engine %.1f %%",
			   name, engine * 100, any * 100, fmax(dma, 0) * 100,
			   fmax(tensor, 0) * 100);
		return NEURON_ENGINE;
	}
	if (memory >= 0 && tensor >= 0 && memory * 100 < BUSY && tensor * 100 < BUSY) {
		buf_printf(why,
			   "latency-bound: DMA %.1f %% and tensor engine %.1f %% busy, so "
			   "neither memory nor arithmetic fills the time",
			   fmax(dma, 0) * 100, tensor * 100);
		if (engine > fmax(memory, tensor))
			buf_printf(why, "; the busiest is the %s with %.1f %%", name, engine * 100);
		return NEURON_LATENCY;
	}
	if (intensity(p, &have) && neuron_metric(p, "peak_flops_bandwidth_ratio", &ridge)) {
		buf_printf(why,
			   "%s-bound: %.3g FLOP per byte, the machine needs %.3g to be busy "
			   "with arithmetic",
			   have < ridge ? "memory" : "compute", have, ridge);
		return have < ridge ? NEURON_MEMORY : NEURON_COMPUTE;
	}
	if (memory < 0 || tensor < 0) {
		buf_printf(why, "what binds is not known: without %s%s%s",
			   memory < 0 ? "dma_active_time_percent" : "",
			   memory < 0 && tensor < 0 ? " and " : "",
			   tensor < 0 ? "tensor_engine_active_time_percent" : "");
		return NEURON_UNKNOWN;
	}
	buf_printf(why, "%s-bound: DMA %.1f %% busy, tensor engine %.1f %%",
		   memory > tensor ? "memory" : "compute", dma * 100, tensor * 100);
	return memory > tensor ? NEURON_MEMORY : NEURON_COMPUTE;
}

void neuron_alarms(const struct neuron_profile *p, struct buf *out)
{
	char bytes[32];
	double v;

	if (spill_share(p, &v) && v > 0.25)
		buf_printf(out, "%.0f %% of the HBM reads reload what was spilled (limit 25 %%)\n",
			   v * 100);
	if (transpose_share(p, &v) && v > 0.10)
		buf_printf(out, "%.0f %% of the hardware FLOPs are transposes (limit 10 %%)\n",
			   v * 100);
	if (dma_size(p, &v) && v < 32 * 1024)
		buf_printf(out, "DMA transfers are %s on average (32 KiB or more is good)\n",
			   text_bytes(v, bytes));
}

void neuron_load(struct neuron_set *s, sqlite3 *db)
{
	sqlite3_stmt *row =
		view_query(db, NULL,
			   "SELECT key, value FROM run WHERE key GLOB "
			   "'neuron.profile.*' ORDER BY CAST(substr(key, 16) AS INTEGER)",
			   NULL);

	while (view_step(row)) {
		cJSON *o = cJSON_Parse(view_text(row, 1));
		const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(o, "profile_name"));

		if (o)
			add_profile(s, name ? name : view_text(row, 0), NULL, o);
		cJSON_Delete(o);
	}
}
