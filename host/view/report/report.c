/* SPDX-License-Identifier: Apache-2.0 */
/* report: the first screen says what binds; the tables behind it say where the time went. */
#include "view/report/report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/text.h"
#include "view/ratio.h"
#include "view/report/advice.h"
#include "view/report/report_tables.h"

static const char *const colours[] = {"\033[32m", "\033[36m", "\033[33m", "\033[31m"};

enum { INDENT = 5 };

static void mark(FILE *out, const struct view_opts *o, enum severity s)
{
	static const char *const plain[] = {"ok  ", "note", "WARN", "BAD "};
	static const char *const dots[] = {"●   ", "●   ", "▲   ", "■   "};
	const char *text = o->colour && !o->ascii ? dots[s] : plain[s];

	fprintf(out, o->colour ? "%s%s\033[0m " : "%s%s ", o->colour ? colours[s] : "", text);
}

static void title(FILE *out, const struct view_opts *o, const char *text)
{
	fprintf(out, o->colour ? "\n\033[1;4m%s\033[0m\n" : "\n%s\n", text);
	for (size_t i = 0; !o->colour && i < table_width(text); i++)
		fputc('-', out);
	if (!o->colour)
		fputc('\n', out);
}

/* Takes the text. What goes before its first line is as wide as the indent. */
static void put(FILE *out, const struct view_opts *o, const char *before, char *text)
{
	fputs(before, out);
	table_wrap(text, o->width, INDENT, out);
	free(text);
}

static void add_value(struct buf *to, sqlite3 *db, const char *before, const char *key,
		      const char *after)
{
	char *v = view_run_value(db, key);

	if (v && *v)
		buf_printf(to, "%s%s%s", before, v, after);
	free(v);
}

static void print_head(const struct view_run *run, const struct summary *s,
		       const struct view_opts *o, FILE *out)
{
	struct buf text = {0};
	char ns[32], rows[32];

	buf_printf(&text, "%s: %s", run->name, text_ns(s->duration, ns));
	if (s->op_rows)
		buf_printf(&text, ", %s operator rows", text_count((uint64_t)s->op_rows, rows));
	add_value(&text, run->db, ", begun ", "start", "");
	add_value(&text, run->db, ", engine ", "engine", "");
	add_value(&text, run->db, " ", "engine_version", "");
	add_value(&text, run->db, ", host ", "host", "");
	add_value(&text, run->db, ", ", "cpu", "");
	add_value(&text, run->db, ", ", "cpus", " CPUs");
	put(out, o, "", buf_take(&text));
	add_value(&text, run->db, "", "command", "");
	add_value(&text, run->db, " (pid ", "pid", ")");
	if (text.len)
		put(out, o, "     ", buf_take(&text));
	buf_free(&text);
}

static const char *verdict_reason(const struct summary_phase_figures *p, bool neuron)
{
	switch (p->bound) {
	case BOUND_MEMORY:
		return "bytes from memory, not arithmetic, set the pace";
	case BOUND_COMPUTE:
		return "arithmetic, not memory, sets the pace";
	case BOUND_SYNC:
		return "workers wait for each other at barriers";
	case BOUND_SCHED:
		return "workers are kept off the CPU";
	case BOUND_BACKEND:
		return "another backend than the CPU computes most of the time, unseen inside";
	case BOUND_ENGINE:
		return "an engine other than that of the matrix products is busiest";
	case BOUND_LATENCY:
		if (neuron)
			return "neither memory nor arithmetic fills the time";
		return "neither memory nor arithmetic is busy: overhead per operator sets the pace";
	default:
		return neuron		     ? "fields are missing"
		       : isnan(p->intensity) ? "needs the operator level with dimensions"
					     : "needs the machine's peaks: llmprobe calibrate";
	}
}

static enum severity verdict_severity(enum bound b)
{
	switch (b) {
	case BOUND_SYNC:
	case BOUND_SCHED:
		return SEVERITY_BAD;
	case BOUND_LATENCY:
		return SEVERITY_WARN;
	case BOUND_UNKNOWN:
	case BOUND_ENGINE:
	case BOUND_BACKEND:
		return SEVERITY_NOTE;
	default:
		return SEVERITY_GOOD;
	}
}

static char *roofline_text(const struct summary_phase_figures *p)
{
	enum bound side = summary_side(p);
	struct buf text = {0};

	/* Rates need the time of the graphs or the calls. */
	if (!isnan(p->gbs))
		buf_printf(&text, "%.3g GB/s, %.3g GFLOP/s, ", p->gbs, p->gflops);
	buf_printf(&text, "%.3g flop/byte (modelled from shapes)", p->intensity);
	if (!isnan(p->mbu))
		buf_printf(&text, "; MBU %.1f %%, MFU %.1f %%", p->mbu * 100, p->mfu * 100);
	if (side != BOUND_UNKNOWN)
		buf_printf(&text, "; %s side of the roofline", summary_bound_name(side));
	if (!isnan(p->ridge))
		buf_printf(&text, ", whose ridge is at %.3g flop/byte", p->ridge);
	return buf_take(&text);
}

/* Low use of what is said to bind is nothing to be content with. */
static enum severity severity_of(const struct summary_phase_figures *p)
{
	static const double little = 0.1;
	double use = p->bound == BOUND_COMPUTE ? p->mfu : p->traffic_use;

	return verdict_severity(p->bound) == SEVERITY_GOOD && use < little
		       ? SEVERITY_NOTE
		       : verdict_severity(p->bound);
}

/* Where the workers' time went, dearest class first. */
static char *time_text(const struct summary_phase_figures *p)
{
	struct table *t = report_classes(p);
	double all = p->compute + p->wait, wait = summary_wait_share(p),
	       no_cpu = summary_runnable_share(p), blocked = NAN;
	struct buf text = {0};

	if (p->sched_wall > 0)
		blocked = p->blocked / p->sched_wall;
	if (*p->backend)
		buf_printf(&text,
			   "%s computes %.1f %% of the time of all graphs; on the CPU:", p->backend,
			   p->backend_share * 100);
	else
		buf_puts(&text, "time:");
	for (size_t i = 0; i < table_rows(t); i++)
		buf_printf(&text, "%s %s %.1f %%", i ? "," : "", table_text_at(t, i, "class"),
			   table_number_at(t, i, "share") * 100);
	table_free(t);
	if (!(all > 0))
		buf_puts(&text, " by operator not known");
	if (!isnan(wait))
		buf_printf(&text, "; at barriers %.1f %%", wait * 100);
	if (p->threads > 1)
		buf_printf(&text, "; busiest worker %+.1f %%",
			   (p->thread_max / p->thread_mean - 1) * 100);
	if (!isnan(no_cpu))
		buf_printf(&text, "; without a CPU %.1f %%", no_cpu * 100);
	if (blocked > 0.0005)
		buf_printf(&text, ", on input and output %.1f %%", blocked * 100);
	return buf_take(&text);
}

/* What the counters tell, NULL when nothing. */
static char *ratios_text(sqlite3 *db, const char *phase)
{
	struct buf text = {0};

	for (size_t i = 0; i < RATIOS; i++) {
		double v = ratio_value(db, &ratios[i], NULL, phase);

		if (isnan(v))
			continue;
		buf_puts(&text, text.len ? ", " : "counters: ");
		if (ratios[i].type == TABLE_PERCENT)
			buf_printf(&text, "%s %.1f %%", ratios[i].title, v * 100);
		else
			buf_printf(&text, "%s %.2f", ratios[i].title, v);
	}
	return text.len ? buf_take(&text) : NULL;
}

static void print_verdict(sqlite3 *db, const struct summary *s, enum summary_phase i,
			  const struct view_opts *o, FILE *out)
{
	const struct summary_phase_figures *p = &s->phase[i];
	const char *name = summary_phase_title(i);
	char *counters;

	mark(out, o, severity_of(p));
	put(out, o, "",
	    p->bound == BOUND_UNKNOWN
		    ? xasprintf("%s: what binds is not known; %s", name,
				verdict_reason(p, s->neuron))
		    : xasprintf("%s is %s-bound: %s", name, summary_bound_name(p->bound),
				verdict_reason(p, s->neuron)));
	if (s->neuron)
		return;
	if (!isnan(p->intensity))
		put(out, o, "     ", roofline_text(p));
	if (p->compute > 0 || p->sched_wall > 0 || *p->backend)
		put(out, o, "     ", time_text(p));
	counters = ratios_text(db, summary_phase_name(i));
	if (counters)
		put(out, o, "     ", counters);
}

static void print_verdicts(sqlite3 *db, const struct summary *s, const struct view_opts *o,
			   FILE *out)
{
	bool any = false;

	for (int i = 0; i < SUM_PHASES; i++) {
		if (!summary_has_phase(s, (enum summary_phase)i))
			continue;
		print_verdict(db, s, (enum summary_phase)i, o, out);
		any = true;
	}
	if (any || s->neuron)
		return;
	mark(out, o, SEVERITY_NOTE);
	put(out, o, "",
	    xstrdup("what binds is not known: neither calls nor operators were recorded"));
}

static void print_peaks(const struct summary *s, const struct view_opts *o, FILE *out)
{
	char threads[32] = "in all";

	if (!s->peak && s->levels.op)
		put(out, o, "     ",
		    xstrdup("peaks: not known, so no MBU or MFU; run `llmprobe calibrate` on the "
			    "machine of the run, or give --peaks"));
	/* Without operators nothing is compared with them. */
	if (!s->peak || !s->levels.op)
		return;
	if (s->peak->threads)
		snprintf(threads, sizeof(threads), "with %d thread%s", s->peak->threads,
			 s->peak->threads == 1 ? "" : "s");
	put(out, o, "     ",
	    xasprintf("peaks: %.1f GB/s and %.1f %s %s, %s (%s)", s->peak->gbs, s->peak_gflops,
		      s->peak_gflops > s->peak->gflops ? "G 8-bit operations/s" : "GFLOP/s",
		      threads, s->peaks.name, s->peaks.source));
}

/* Takes the table. */
static void section(struct table *t, const char *head, const struct view_opts *o, size_t dflt,
		    FILE *out)
{
	if (table_rows(t)) {
		title(out, o, head);
		table_print(t, o, dflt, out);
	}
	table_free(t);
}

static void print_findings(const struct summary *s, const struct view_opts *o, FILE *out)
{
	struct findings f;
	size_t n = 0;

	findings_make(s, &f);
	for (size_t i = 0; i < f.n; i++) {
		mark(out, o, f.v[i].severity);
		put(out, o, "", xstrdup(f.v[i].text));
		n += f.v[i].try != NULL;
	}
	if (n)
		title(out, o, "what to try");
	for (size_t i = 0; i < f.n; i++)
		if (f.v[i].try)
			put(out, o, "  -  ", xstrdup(f.v[i].try));
	findings_free(&f);
}

static const struct {
	const char *what, *why;
	size_t offset;
} level_texts[] = {
	{"calls (rates and latencies)", "the token level was off or no call was made",
	 offsetof(struct view_levels, token)},
	{"graphs", "the graph level was off", offsetof(struct view_levels, graph)},
	{"operators", "the operator level was off", offsetof(struct view_levels, op)},
	{"barrier wait", "operators were recorded without barriers (begin-only)",
	 offsetof(struct view_levels, wait)},
	{"off-CPU time", "the scheduler level was off", offsetof(struct view_levels, sched)},
};

const char *report_missing(const struct summary *s, size_t *i, const char **why)
{
	for (; *i < ARRAY_LEN(level_texts); ++*i) {
		size_t level = level_texts[*i].offset;
		/* Without operators there is no barrier wait to speak of. */
		bool of_operators = level == offsetof(struct view_levels, wait);

		if (*(const bool *)((const char *)&s->levels + level) ||
		    (of_operators && !s->levels.op))
			continue;
		*why = s->levels.op_sum && level == offsetof(struct view_levels, op)
			       ? "only sums were kept (operators.mode: summary), see below"
			       : level_texts[*i].why;
		return level_texts[(*i)++].what;
	}
	return NULL;
}

static bool wait_sampled(const struct summary *s, double *share)
{
	const struct summary_phase_figures *p = &s->phase[SUM_DECODE];

	*share = p->wait_known;
	return p->wait_known > 0 && p->wait_known < 0.99;
}

static void print_missing(const struct summary *s, const struct view_opts *o, FILE *out)
{
	const char *what, *why;
	bool any = false;
	double share;

	for (size_t i = 0; (what = report_missing(s, &i, &why)); any = true) {
		if (!any)
			title(out, o, "not recorded");
		put(out, o, "  -  ", xasprintf("%s: %s", what, why));
	}
	if (wait_sampled(s, &share))
		fprintf(out,
			"%sbarrier wait was sampled: seen on %.1f %% of the decode rows, and "
			"all wait figures are of those\n",
			any ? "  - " : "\n", share * 100);
}

static void print_notes(sqlite3 *db, const struct view_opts *o, FILE *out)
{
	struct table *t = report_notes(db);

	if (table_rows(t))
		title(out, o, "notes of the recording");
	for (size_t i = 0; i < table_rows(t); i++) {
		double at = table_number_at(t, i, "at_ns");
		char ns[32];

		put(out, o, "  -  ",
		    isnan(at)
			    ? xstrdup(table_text_at(t, i, "text"))
			    : xasprintf("at %s: %s", text_ns(at, ns), table_text_at(t, i, "text")));
	}
	table_free(t);
}

static void print_phase(sqlite3 *db, const struct summary *s, enum summary_phase i,
			const struct view_opts *o, FILE *out)
{
	const struct summary_phase_figures *p = &s->phase[i];
	const char *name = summary_phase_title(i), *key = summary_phase_name(i);
	char head[96];

	if (!(p->compute > 0) || !summary_has_phase(s, i) ||
	    (o->phase && strcmp(o->phase, key) != 0))
		return;
	snprintf(head, sizeof(head), "%s: time of all workers by class of operator", name);
	section(report_classes(p), head, o, 0, out);
	snprintf(head, sizeof(head), "%s: by operator", name);
	section(report_operators(db, key, false), head, o, 8, out);
	snprintf(head, sizeof(head), "%s: by tensor", name);
	section(report_operators(db, key, true), head, o, 8, out);
}

static void print_neuron(const struct view_run *run, const struct summary *s,
			 const struct view_opts *o, FILE *out)
{
	struct neuron_set set = {0};

	neuron_load(&set, run->db);
	neuron_print_verdicts(&set, o, out);
	title(out, o, "engines, memory, arithmetic");
	neuron_print(&set, o, out);
	for (size_t i = 0; i < s->n_given; i++)
		fprintf(out, "%s%s: %.4g%s%s\n", i ? "" : "\n", s->given[i].name, s->given[i].value,
			*s->given[i].unit ? " " : "", s->given[i].unit);
	neuron_set_free(&set);
}

/* What a run has beside its phases: workers, tasks, sequences, counters, losses and costs. */
static void print_rest(const struct view_run *run, const struct summary *s,
		       const struct view_opts *o, FILE *out)
{
	section(report_kept_sums(run->db), "operators, sums over the whole recording", o, 20, out);
	if (s->levels.op)
		section(report_threads(run->db, s), "workers", o, 0, out);
	if (s->levels.sched)
		section(report_culprits(run->db), "who had the CPU while threads were ready", o, 5,
			out);
	if (s->n_sequences > 1)
		section(report_sequences(s), "sequences", o, 10, out);
	section(report_counters(run->db), "counters", o, 20, out);
	section(report_losses(run->db), "losses", o, 0, out);
	section(report_cost(run->db), "llmprobe's own cost (estimate)", o, 0, out);
}

static void print_text(const struct view_run *run, const struct summary *s,
		       const struct view_opts *o, FILE *out)
{
	print_head(run, s, o, out);
	fputc('\n', out);
	print_verdicts(run->db, s, o, out);
	if (s->neuron) {
		print_neuron(run, s, o, out);
		return;
	}
	print_peaks(s, o, out);
	section(report_phases(s), "rates", o, 0, out);
	fputc('\n', out);
	print_findings(s, o, out);
	print_missing(s, o, out);
	print_notes(run->db, o, out);
	for (int i = 0; i < SUM_PHASES; i++)
		print_phase(run->db, s, (enum summary_phase)i, o, out);
	print_rest(run, s, o, out);
}

static int report_print(const struct view_run *runs, size_t n, const struct view_opts *o, FILE *out,
			struct diag *d)
{
	struct summary s;
	int err = summary_make(runs[0].db, o, &s, d);

	(void)n;
	s.so_far = o->so_far;
	if (!err && o->json) {
		cJSON *j = report_json(runs[0].db, &s);
		char *text = cJSON_Print(j);

		fprintf(out, "%s\n", text);
		free(text);
		cJSON_Delete(j);
	} else if (!err) {
		print_text(&runs[0], &s, o, out);
	}
	summary_free(&s);
	return err;
}

const struct view view_report = {
	.name = "report",
	.args = "RUN",
	.help = "what binds, per phase: rates, latencies, operators, workers, what to try",
	.about = "FLOPs and bytes are modelled from shapes and types; weights count once per use. "
		 "MFU "
		 "and MBU (weights and KV cache only) refer to the peaks of the run's machine as "
		 "calibrate measured them, or to those of --peaks. TTFT is from the begin of a "
		 "prompt's first call to the end of its last, TPOT from the end of a decode to the "
		 "end of the next.",
	.options = "json ascii limit phase peaks",
	.min_runs = 1,
	.max_runs = 1,
	.print = report_print,
};
