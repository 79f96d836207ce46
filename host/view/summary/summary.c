/* SPDX-License-Identifier: Apache-2.0 */
#include "view/summary/summary.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

const char *summary_phase_name(enum summary_phase p)
{
	static const char *const names[] = {"prefill", "decode", "encode", ""};

	return names[p];
}

const char *summary_phase_title(enum summary_phase p)
{
	return p == SUM_OUTSIDE ? "work outside of calls" : summary_phase_name(p);
}

bool summary_has_phase(const struct summary *s, enum summary_phase p)
{
	static const double worth_a_word = 0.05;
	double all = 0;

	if (p != SUM_OUTSIDE)
		return s->phase[p].calls > 0;
	for (int i = 0; i < SUM_PHASES; i++)
		all += s->phase[i].compute;
	return s->phase[p].compute > all * worth_a_word;
}

const char *summary_bound_name(enum bound b)
{
	static const char *const names[] = {
		[BOUND_UNKNOWN] = "unknown",  [BOUND_MEMORY] = "memory",
		[BOUND_COMPUTE] = "compute",  [BOUND_SYNC] = "synchronisation",
		[BOUND_SCHED] = "scheduling", [BOUND_LATENCY] = "latency",
		[BOUND_ENGINE] = "engine",    [BOUND_BACKEND] = "backend",
	};

	return names[b];
}

/* Below this use of both peaks, and with operators this short, neither binds. */
static const double busy_enough = 0.3, short_operator_ns = 20000;
/* Below this use of both, the time lost to others binds where it is this much, however long the
 * operators are. */
static const double idle = 0.1, lost_binds = 0.3;
/* Above these shares of the workers' time, what keeps them from computing binds. */
static const double off_cpu_binds = 0.2, wait_binds = 0.3;
/* From this share of the graphs' time on, a backend other than the CPU is what counts. */
static const double backend_binds = 0.5;
/* Without peaks: fewer operations per byte than any CPU can do, and more than any needs. */
static const double surely_memory = 1.5, surely_compute = 50;

enum bound summary_side(const struct summary_phase_figures *f)
{
	if (isnan(f->intensity))
		return BOUND_UNKNOWN;
	if (!isnan(f->ridge))
		return f->intensity < f->ridge ? BOUND_MEMORY : BOUND_COMPUTE;
	if (f->intensity < surely_memory)
		return BOUND_MEMORY;
	return f->intensity > surely_compute ? BOUND_COMPUTE : BOUND_UNKNOWN;
}

static double share(double part, double all)
{
	return all > 0 ? part / all : NAN;
}

double summary_wait_share(const struct summary_phase_figures *f)
{
	/* One worker has nobody to wait for: what passes between its operators is something else.
	 */
	return f->wait_known > 0 && f->threads > 1 ? share(f->wait, f->wait + f->compute) : NAN;
}

double summary_runnable_share(const struct summary_phase_figures *f)
{
	return share(f->runnable, f->sched_wall);
}

/* Shares of the workers' time without a CPU and at barriers; what is not known is nothing. */
static double lost_to_others(const struct summary_phase_figures *f, double off_cpu)
{
	return fmax(off_cpu, 0) + fmax(summary_wait_share(f), 0);
}

static enum bound bound_of(const struct summary_phase_figures *f)
{
	double off_cpu = share(f->runnable + f->blocked, f->sched_wall);

	if (f->backend_share > backend_binds)
		return BOUND_BACKEND;
	if (off_cpu > off_cpu_binds)
		return BOUND_SCHED;
	if (isnan(f->intensity))
		return BOUND_UNKNOWN;
	if (f->wait_known > 0.01 && summary_wait_share(f) > wait_binds)
		return BOUND_SYNC;
	if (fmax(f->mfu, f->traffic_use) < idle && lost_to_others(f, off_cpu) > lost_binds)
		return off_cpu > lost_binds / 3 ? BOUND_SCHED : BOUND_SYNC;
	if (fmax(f->mfu, f->traffic_use) < busy_enough && f->op_mean < short_operator_ns)
		return BOUND_LATENCY;
	return summary_side(f);
}

static void init_phase(struct summary_phase_figures *f)
{
	f->tokens_per_s = f->ttft = f->mean = f->p50 = f->p95 = f->p99 = NAN;
	f->slow_runnable = f->other_runnable = NAN;
	f->gflops = f->gbs = f->intensity = f->ridge = f->mfu = f->mbu = f->traffic_use = NAN;
}

/* What the user names, else what was known when the run was made, else what is known of its host.
 */
static int find_peaks(sqlite3 *db, const struct view_opts *o, struct summary *s, struct diag *d)
{
	char *own = o->peaks ? NULL : view_run_value(db, "peaks");
	char *host = view_run_value(db, "host");
	int err;

	if (own)
		err = peaks_parse("the run's own peaks", own, &s->peaks, d);
	else
		err = o->peaks ? peaks_load(o->peaks, &s->peaks, d)
			       : peaks_stored(host, &s->peaks, d);
	s->has_peaks = !err && s->peaks.n > 0;
	free(own);
	free(host);
	return err == -ENOENT && !o->peaks ? 0 : err;
}

static void experts(sqlite3 *db, struct summary *s)
{
	sqlite3_stmt *q = view_query(db, NULL,
				     "SELECT count(*) FROM expert_t x LEFT JOIN tensor_t t ON"
				     " t.id = x.tensor_id GROUP BY t.layer, x.expert",
				     NULL);
	double hottest = 0;

	while (view_step(q)) {
		hottest = fmax(hottest, sqlite3_column_double(q, 0));
		s->expert_uses += sqlite3_column_int64(q, 0);
		s->experts_used++;
	}
	/*
	 * Of all layers together; an expert of a layer is one of its own. A layer has a product per
	 * matrix of its experts and a tensor per shape of the batch, all with the same experts.
	 */
	s->experts_all = view_int(db, 0,
				  "SELECT sum(n) FROM (SELECT max(w.ne2) n FROM"
				  " (SELECT DISTINCT tensor_id FROM expert_t) x"
				  " JOIN tensor_t t ON t.id = x.tensor_id"
				  " JOIN edge_t e ON e.dst_tensor = t.id AND e.slot = 0"
				  " JOIN tensor_t w ON w.id = e.src_tensor GROUP BY t.layer)",
				  NULL);
	s->expert_skew =
		s->experts_used ? hottest * (double)s->experts_used / (double)s->expert_uses : NAN;
}

static void own_cost(sqlite3 *db, struct summary *s)
{
	double busy = 0;

	s->lost = view_int(db, 0, "SELECT sum(lost) FROM loss", NULL);
	s->cost_ns =
		view_double(db, NAN, "SELECT sum(coalesce(estimate_ns, run_ns)) FROM cost", NULL);
	for (int p = 0; p < SUM_PHASES; p++) {
		const struct summary_phase_figures *f = &s->phase[p];

		busy += fmax(f->compute + f->wait, f->wall);
	}
	s->cost_share = busy > 0 ? s->cost_ns / busy : NAN;
}

/*
 * A call of several tokens of one sequence counts as prefill. A prompt asks for a result of its
 * last token only; where a small batch asks for one of every token, a draft is checked. The
 * output's shape tells, where operators were recorded.
 */
static int64_t count_batches(sqlite3 *db)
{
	return view_int(
		db, 0,
		"SELECT count(*) FROM token_t k WHERE k.phase = 'prefill' AND k.n_tokens"
		" BETWEEN 2 AND 64 AND k.last_op NOT NULL AND k.n_tokens = (SELECT t.ne1 FROM"
		" op_t o JOIN tensor_t t ON t.id = o.tensor_id WHERE o.id BETWEEN k.first_op"
		" AND k.last_op AND o.token_id = k.id AND t.name = 'result_output' ORDER BY"
		" o.id DESC LIMIT 1)",
		NULL);
}

/* What the configuration says in the line of a key, "" when it says nothing. */
static void config_value(sqlite3 *db, const char *key, char *out, size_t size)
{
	char *config = view_run_value(db, "config"), *line = config;
	size_t len = strlen(key);

	*out = '\0';
	for (; line && *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (strncmp(line, key, len) == 0 && strncmp(line + len, ": ", 2) == 0)
			snprintf(out, size, "%.*s", (int)strcspn(line + len + 2, "\n"),
				 line + len + 2);
	free(config);
}

/* Which operators were left out by the user's wish. */
static void read_only(sqlite3 *db, struct summary *s)
{
	char include[96], exclude[96];

	config_value(db, "operators.include", include, sizeof(include));
	config_value(db, "operators.exclude", exclude, sizeof(exclude));
	if (strcmp(include, "[\"*\"]") == 0)
		*include = '\0';
	if (strcmp(exclude, "[]") == 0)
		*exclude = '\0';
	snprintf(s->only, sizeof(s->only), "%s%s%s", include, *exclude ? " without " : "", exclude);
}

int summary_make(sqlite3 *db, const struct view_opts *o, struct summary *s, struct diag *d)
{
	int64_t begin, end;
	int err;

	memset(s, 0, sizeof(*s));
	for (int p = 0; p < SUM_PHASES; p++)
		init_phase(&s->phase[p]);
	err = find_peaks(db, o, s, d);
	if (err)
		return err;
	s->levels = view_levels(db);
	s->complete = view_int(db, 1, "SELECT value FROM run WHERE key = 'complete'", NULL) != 0;
	view_span(db, &begin, &end);
	s->duration = (double)(end - begin);
	s->op_rows = view_int(db, 0, "SELECT value FROM run WHERE key = 'op_rows'", NULL);
	read_only(db, s);
	summary_tokens(db, s);
	s->batches = count_batches(db);
	summary_ops(db, s);
	if (s->levels.sched)
		summary_sched(db, s);
	if (s->levels.expert)
		experts(db, s);
	own_cost(db, s);
	for (int p = 0; p < SUM_PHASES; p++)
		s->phase[p].bound = bound_of(&s->phase[p]);
	summary_neuron(db, s);
	return 0;
}

void summary_free(struct summary *s)
{
	for (int p = 0; p < SUM_PHASES; p++)
		free(s->phase[p].samples);
	for (size_t i = 0; i < s->n_given; i++) {
		free(s->given[i].name);
		free(s->given[i].unit);
	}
	free(s->given);
	free(s->sequences);
	memset(s, 0, sizeof(*s));
}

static size_t neuron_figures_of(const struct summary *s, struct summary_figure *out)
{
	static const struct {
		const char *unit;
		int better;
		double factor;
	} units[] = {
		[NEURON_FRACTION] = {"%", 0, 1},     [NEURON_BYTES] = {"KiB", 0, 1.0 / 1024},
		[NEURON_TRAFFIC] = {"MB", 0, 1e-6},  [NEURON_SECONDS] = {"ns", -1, 1e9},
		[NEURON_FLOPS] = {"GFLOP", 0, 1e-9}, [NEURON_NUMBER] = {"", 0, 1},
	};

	for (int i = 0; i < NEURON_FIGURES; i++) {
		const struct neuron_figure *f = &neuron_figures[i];

		out[i] = (struct summary_figure){
			f->key, f->title, units[f->unit].unit,
			text_starts(f->key, "mfu") || strcmp(f->key, "tensor_engine") == 0
				? 1
				: units[f->unit].better,
			s->neuron_means[i] * units[f->unit].factor};
	}
	return NEURON_FIGURES;
}

/* Shares of a phase's time by class of operator. */
static size_t class_figures(const struct summary_phase_figures *p, bool decode,
			    struct summary_figure *out)
{
	static const char *const names[][2] = {
		[CLASS_MATMUL] = {"prefill_share_matmul", "decode_share_matmul"},
		[CLASS_ATTENTION] = {"prefill_share_attention", "decode_share_attention"},
		[CLASS_NORM] = {"prefill_share_norm", "decode_share_norm"},
		[CLASS_ELEMENT] = {"prefill_share_element", "decode_share_element"},
		[CLASS_MOVE] = {"prefill_share_move", "decode_share_move"},
		[CLASS_OTHER] = {"prefill_share_other", "decode_share_other"},
	};

	for (int c = 0; c < CLASS_COUNT; c++)
		out[c] = (struct summary_figure){
			names[c][decode], view_class_name((enum op_class)c), "%", 0,
			share(p->classes[c].compute + p->classes[c].wait, p->compute + p->wait)};
	return CLASS_COUNT;
}

size_t summary_figures(const struct summary *s, struct summary_figure out[SUMMARY_FIGURES])
{
	const struct summary_phase_figures *p = &s->phase[SUM_PREFILL];
	const struct summary_phase_figures *t = &s->phase[SUM_DECODE];
	const struct summary_figure all[] = {
		{"ttft", "time to first token", "ns", -1, p->ttft},
		{"tpot_mean", "time per output token, mean", "ns", -1, t->mean},
		{"tpot_p50", "time per output token, P50", "ns", -1, t->p50},
		{"tpot_p95", "time per output token, P95", "ns", -1, t->p95},
		{"tpot_p99", "time per output token, P99", "ns", -1, t->p99},
		{"tokens_per_s", "decode rate", "tokens/s", 1, t->tokens_per_s},
		{"prefill_tokens_per_s", "prefill rate", "tokens/s", 1, p->tokens_per_s},
		{"decode_mbu", "decode memory bandwidth use", "%", 1, t->mbu},
		{"decode_mfu", "decode compute use", "%", 1, t->mfu},
		{"prefill_mbu", "prefill memory bandwidth use", "%", 0, p->mbu},
		{"prefill_mfu", "prefill compute use", "%", 1, p->mfu},
		{"decode_gbs", "decode traffic", "GB/s", 1, t->gbs},
		{"decode_gflops", "decode arithmetic", "GFLOP/s", 1, t->gflops},
		{"prefill_gbs", "prefill traffic", "GB/s", 0, p->gbs},
		{"prefill_gflops", "prefill arithmetic", "GFLOP/s", 1, p->gflops},
		{"decode_wait_share", "decode barrier wait", "%", -1, summary_wait_share(t)},
		{"prefill_wait_share", "prefill barrier wait", "%", -1, summary_wait_share(p)},
		{"decode_imbalance", "decode load imbalance", "%", -1,
		 share(t->thread_max, t->thread_mean) - 1},
		{"prefill_imbalance", "prefill load imbalance", "%", -1,
		 share(p->thread_max, p->thread_mean) - 1},
		{"decode_runnable_share", "decode waiting for a CPU", "%", -1,
		 summary_runnable_share(t)},
		{"prefill_runnable_share", "prefill waiting for a CPU", "%", -1,
		 summary_runnable_share(p)},
		{"decode_blocked_share", "decode waiting for input or output", "%", -1,
		 share(t->blocked, t->sched_wall)},
		{"decode_intensity", "decode arithmetic intensity", "flop/byte", 0, t->intensity},
		{"prefill_intensity", "prefill arithmetic intensity", "flop/byte", 0, p->intensity},
		{"encode_tokens_per_s", "encode rate", "tokens/s", 1,
		 s->phase[SUM_ENCODE].tokens_per_s},
		{"expert_skew", "skew of the experts", "times", 0,
		 s->expert_uses ? s->expert_skew : NAN},
		{"lost", "lost events", "", -1, (double)s->lost},
		{"cost_share", "llmprobe's own cost (estimate)", "%", -1, s->cost_share},
	};

	size_t n = ARRAY_LEN(all);

	memcpy(out, all, sizeof(all));
	n += class_figures(p, false, out + n);
	n += class_figures(t, true, out + n);
	n += neuron_figures_of(s, out + n);
	for (size_t i = 0; i < s->n_given && n < SUMMARY_FIGURES; i++)
		out[n++] = (struct summary_figure){s->given[i].name, s->given[i].name,
						   s->given[i].unit, 1, s->given[i].value};
	return n;
}
