/* SPDX-License-Identifier: Apache-2.0 */
#include "view/export/prometheus.h"

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "util/alloc.h"

/* The buckets that OpenTelemetry's GenAI conventions ask for. */
static const double first_token_bounds[] = {.001, .005, .01, .02, .04, .06, .08, .1,
					    .25,  .5,	.75, 1,	  2.5, 5,   7.5, 10};
static const double token_bounds[] = {.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5};
static const double request_bounds[] = {.01,  .02,  .04,  .08,	 .16,	.32,   .64,
					1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92};
static const double usage_bounds[] = {1,     4,	    16,	    64,	     256,     1024,	4096,
				      16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864};

#define BOUNDS(b) b, ARRAY_LEN(b), {0}, 0, 0

static const struct metrics_histogram empty_histograms[METRICS_HISTOGRAMS] = {
	[METRICS_TTFT] = {"gen_ai.server.time_to_first_token", "s",
			  "From a request's first prefill call to the end of its last",
			  BOUNDS(first_token_bounds)},
	[METRICS_TPOT] = {"gen_ai.server.time_per_output_token", "s",
			  "Mean time of a request's output tokens after the first",
			  BOUNDS(token_bounds)},
	[METRICS_REQUEST] = {"gen_ai.server.request.duration", "s",
			     "From a request's first prefill call to the end of its last decode",
			     BOUNDS(request_bounds)},
	[METRICS_INPUT_TOKENS] = {"gen_ai.client.token.usage.input", "{token}",
				  "Prompt tokens of a request", BOUNDS(usage_bounds)},
	[METRICS_OUTPUT_TOKENS] = {"gen_ai.client.token.usage.output", "{token}",
				   "Output tokens of a request", BOUNDS(usage_bounds)},
};

struct phase_sum {
	char name[16];
	uint64_t calls, tokens, ns;
};

struct level_sum {
	char name[24];
	uint64_t lost, hits, run_ns;
};

/* What one context is working at. */
struct request {
	int64_t context;
	bool open;
	int64_t begin_ns, first_token_ns, end_ns;
	int64_t in, out; /* tokens; of all sequences that the context works on at once */
	int64_t decodes;
	UT_hash_handle hh;
};

struct metrics {
	pthread_mutex_t lock;
	char *engine, *model;
	struct metrics_histogram histograms[METRICS_HISTOGRAMS];
	struct phase_sum phases[8];
	struct level_sum levels[16];
	struct {
		uint64_t count, compute_ns, wait_ns;
	} classes[CLASS_COUNT];
	struct request *requests;
};

struct metrics *metrics_new(const char *engine, const char *model)
{
	struct metrics *m = xcalloc(1, sizeof(*m));

	pthread_mutex_init(&m->lock, NULL);
	m->engine = xstrdup(engine ? engine : "unknown");
	m->model = xstrdup(model ? model : "unknown");
	memcpy(m->histograms, empty_histograms, sizeof(m->histograms));
	return m;
}

void metrics_free(struct metrics *m)
{
	struct request *r, *next;

	if (!m)
		return;
	HASH_ITER (hh, m->requests, r, next) {
		HASH_DEL(m->requests, r);
		free(r);
	}
	pthread_mutex_destroy(&m->lock);
	free(m->engine);
	free(m->model);
	free(m);
}

char *metrics_model_of(const char *command)
{
	static const char *const options[] = {"-m", "--model", "-hf", "--hf-repo"};
	char *copy = xstrdup(command ? command : ""), *save = NULL, *model = NULL;
	bool next = false;

	for (char *w = strtok_r(copy, " ", &save); w && !model; w = strtok_r(NULL, " ", &save)) {
		if (next)
			model = xstrdup(strrchr(w, '/') ? strrchr(w, '/') + 1 : w);
		for (size_t i = 0; i < ARRAY_LEN(options); i++)
			next = next || !strcmp(w, options[i]);
	}
	free(copy);
	return model;
}

static void observe(struct metrics_histogram *h, double value)
{
	size_t i = 0;

	while (i < h->n_bounds && value > h->bounds[i])
		i++;
	h->counts[i]++;
	h->count++;
	h->sum += value;
}

/* Known when the first decode comes: a prompt may take several calls. */
static void end_prompt(struct metrics *m, const struct request *r)
{
	if (r->first_token_ns)
		observe(&m->histograms[METRICS_TTFT],
			(double)(r->first_token_ns - r->begin_ns) / 1e9);
}

static void end_request(struct metrics *m, struct request *r)
{
	if (!r->open)
		return;
	r->open = false;
	if (!r->out)
		end_prompt(m, r);
	if (r->out && r->first_token_ns)
		observe(&m->histograms[METRICS_TPOT],
			(double)(r->end_ns - r->first_token_ns) / 1e9 / (double)r->decodes);
	observe(&m->histograms[METRICS_REQUEST], (double)(r->end_ns - r->begin_ns) / 1e9);
	if (r->in)
		observe(&m->histograms[METRICS_INPUT_TOKENS], (double)r->in);
	/* The prefill gives the first output token. */
	observe(&m->histograms[METRICS_OUTPUT_TOKENS], (double)(r->out + (r->in > 0)));
}

static struct request *request_of(struct metrics *m, int64_t context)
{
	struct request *r;

	HASH_FIND(hh, m->requests, &context, sizeof(context), r);
	if (r)
		return r;
	r = xcalloc(1, sizeof(*r));
	r->context = context;
	HASH_ADD(hh, m->requests, context, sizeof(r->context), r);
	return r;
}

static void count_call(struct metrics *m, const char *phase, int64_t n_tokens, int64_t ns)
{
	for (size_t i = 0; i < ARRAY_LEN(m->phases); i++) {
		struct phase_sum *p = &m->phases[i];

		if (p->name[0] && strncmp(p->name, phase, sizeof(p->name) - 1) != 0)
			continue;
		snprintf(p->name, sizeof(p->name), "%s", phase);
		p->calls++;
		p->tokens += n_tokens > 0 ? (uint64_t)n_tokens : 0;
		p->ns += ns > 0 ? (uint64_t)ns : 0;
		return;
	}
}

void metrics_call(struct metrics *m, int64_t context, const char *phase, int64_t n_tokens,
		  int64_t begin_ns, int64_t end_ns)
{
	bool prefill = !strcmp(phase, "prefill");
	struct request *r;

	pthread_mutex_lock(&m->lock);
	count_call(m, phase, n_tokens, end_ns - begin_ns);
	if (prefill || !strcmp(phase, "decode")) {
		r = request_of(m, context);
		if (prefill && r->out)
			end_request(m, r);
		if (!r->open) {
			r->open = true;
			r->begin_ns = begin_ns;
			r->first_token_ns = 0;
			r->in = r->out = r->decodes = 0;
		}
		r->end_ns = end_ns;
		if (prefill) {
			r->first_token_ns = end_ns;
			r->in += n_tokens;
		} else {
			if (!r->out)
				end_prompt(m, r);
			r->out += n_tokens;
			r->decodes++;
		}
	}
	pthread_mutex_unlock(&m->lock);
}

void metrics_finish(struct metrics *m)
{
	struct request *r, *next;

	pthread_mutex_lock(&m->lock);
	HASH_ITER (hh, m->requests, r, next)
		end_request(m, r);
	pthread_mutex_unlock(&m->lock);
}

void metrics_operators(struct metrics *m, enum op_class c, uint64_t count, uint64_t compute_ns,
		       uint64_t wait_ns)
{
	pthread_mutex_lock(&m->lock);
	m->classes[c].count += count;
	m->classes[c].compute_ns += compute_ns;
	m->classes[c].wait_ns += wait_ns;
	pthread_mutex_unlock(&m->lock);
}

void metrics_operator_sums(struct metrics *m, enum op_class c, uint64_t count, uint64_t compute_ns,
			   uint64_t wait_ns)
{
	pthread_mutex_lock(&m->lock);
	m->classes[c].count = count;
	m->classes[c].compute_ns = compute_ns;
	m->classes[c].wait_ns = wait_ns;
	pthread_mutex_unlock(&m->lock);
}

static struct level_sum *level_of(struct metrics *m, const char *name)
{
	size_t i = 0;

	while (i + 1 < ARRAY_LEN(m->levels) && m->levels[i].name[0] &&
	       strncmp(m->levels[i].name, name, sizeof(m->levels[i].name) - 1) != 0)
		i++;
	snprintf(m->levels[i].name, sizeof(m->levels[i].name), "%s", name);
	return &m->levels[i];
}

void metrics_loss(struct metrics *m, const char *level, uint64_t lost)
{
	pthread_mutex_lock(&m->lock);
	level_of(m, level)->lost = lost;
	pthread_mutex_unlock(&m->lock);
}

void metrics_cost(struct metrics *m, const char *level, uint64_t hits, uint64_t run_ns)
{
	struct level_sum *l;

	pthread_mutex_lock(&m->lock);
	l = level_of(m, level);
	l->hits = hits;
	l->run_ns = run_ns;
	pthread_mutex_unlock(&m->lock);
}

void metrics_add_run(struct metrics *m, sqlite3 *db)
{
	sqlite3_stmt *row =
		view_query(db, NULL,
			   "SELECT context, phase, n_tokens, begin_ns, end_ns FROM token "
			   "WHERE end_ns IS NOT NULL ORDER BY begin_ns",
			   NULL);

	while (view_step(row))
		metrics_call(m, sqlite3_column_int64(row, 0), view_text(row, 1),
			     sqlite3_column_int64(row, 2), sqlite3_column_int64(row, 3),
			     sqlite3_column_int64(row, 4));
	row = view_query(db, NULL,
			 "SELECT t.op, sum(p.count), sum(p.compute_ns), sum(p.wait_ns) FROM "
			 "op_phase_t p JOIN tensor t ON t.id = p.tensor_id GROUP BY 1",
			 NULL);
	while (view_step(row))
		metrics_operators(m, view_op_class(view_text(row, 0)),
				  (uint64_t)sqlite3_column_int64(row, 1),
				  (uint64_t)sqlite3_column_int64(row, 2),
				  (uint64_t)sqlite3_column_int64(row, 3));
	row = view_query(db, NULL, "SELECT level, sum(lost) FROM loss GROUP BY 1", NULL);
	while (view_step(row))
		metrics_loss(m, view_text(row, 0), (uint64_t)sqlite3_column_int64(row, 1));
	row = view_query(db, NULL,
			 "SELECT level, sum(hits), sum(ifnull(run_ns, estimate_ns)) FROM cost "
			 "GROUP BY 1",
			 NULL);
	while (view_step(row))
		metrics_cost(m, view_text(row, 0), (uint64_t)sqlite3_column_int64(row, 1),
			     (uint64_t)sqlite3_column_int64(row, 2));
	metrics_finish(m);
}

struct metrics *metrics_of_run(sqlite3 *db)
{
	char *engine = view_run_value(db, "engine"), *command = view_run_value(db, "command");
	char *model = metrics_model_of(command);
	struct metrics *m = metrics_new(engine, model);

	metrics_add_run(m, db);
	free(engine);
	free(command);
	free(model);
	return m;
}

struct metrics_histogram metrics_histogram(struct metrics *m, enum metrics_histogram_id id)
{
	struct metrics_histogram copy;

	pthread_mutex_lock(&m->lock);
	copy = m->histograms[id];
	pthread_mutex_unlock(&m->lock);
	return copy;
}

const char *metrics_engine(const struct metrics *m)
{
	return m->engine;
}

const char *metrics_model(const struct metrics *m)
{
	return m->model;
}

typedef void counter_fn(void *ctx, const char *name, const char *label_name, const char *label,
			double value, const char *help);

static void phase_counters(const struct metrics *m, counter_fn *fn, void *ctx)
{
	for (size_t i = 0; i < ARRAY_LEN(m->phases) && m->phases[i].name[0]; i++)
		fn(ctx, "llmprobe_calls_total", "phase", m->phases[i].name,
		   (double)m->phases[i].calls, "Decode and encode calls");
	for (size_t i = 0; i < ARRAY_LEN(m->phases) && m->phases[i].name[0]; i++)
		fn(ctx, "llmprobe_tokens_total", "phase", m->phases[i].name,
		   (double)m->phases[i].tokens, "Tokens of these calls");
	for (size_t i = 0; i < ARRAY_LEN(m->phases) && m->phases[i].name[0]; i++)
		fn(ctx, "llmprobe_call_seconds_total", "phase", m->phases[i].name,
		   (double)m->phases[i].ns / 1e9, "Time inside these calls");
}

/* Without any operator nothing is said about them: zeros would read as a measurement. */
static void class_counters(const struct metrics *m, counter_fn *fn, void *ctx)
{
	uint64_t all = 0;

	for (int c = 0; c < CLASS_COUNT; c++)
		all += m->classes[c].count;
	if (!all)
		return;
	for (int c = 0; c < CLASS_COUNT; c++)
		fn(ctx, "llmprobe_operators_total", "class", view_class_name((enum op_class)c),
		   (double)m->classes[c].count, "Operator executions, each thread counted");
	for (int c = 0; c < CLASS_COUNT; c++)
		fn(ctx, "llmprobe_operator_seconds_total", "class",
		   view_class_name((enum op_class)c), (double)m->classes[c].compute_ns / 1e9,
		   "Compute time of operators over all threads");
	for (int c = 0; c < CLASS_COUNT; c++)
		fn(ctx, "llmprobe_operator_wait_seconds_total", "class",
		   view_class_name((enum op_class)c), (double)m->classes[c].wait_ns / 1e9,
		   "Barrier wait after operators over all threads");
}

static void level_counters(const struct metrics *m, counter_fn *fn, void *ctx)
{
	for (size_t i = 0; i < ARRAY_LEN(m->levels) && m->levels[i].name[0]; i++)
		fn(ctx, "llmprobe_lost_records_total", "level", m->levels[i].name,
		   (double)m->levels[i].lost, "Records that were lost");
	for (size_t i = 0; i < ARRAY_LEN(m->levels) && m->levels[i].name[0]; i++)
		fn(ctx, "llmprobe_probe_hits_total", "level", m->levels[i].name,
		   (double)m->levels[i].hits, "Times that probes were hit");
	for (size_t i = 0; i < ARRAY_LEN(m->levels) && m->levels[i].name[0]; i++)
		fn(ctx, "llmprobe_cost_seconds_total", "level", m->levels[i].name,
		   (double)m->levels[i].run_ns / 1e9,
		   "Estimate: CPU time that tracing cost the target");
}

void metrics_counters(struct metrics *m, counter_fn *fn, void *ctx)
{
	pthread_mutex_lock(&m->lock);
	phase_counters(m, fn, ctx);
	class_counters(m, fn, ctx);
	level_counters(m, fn, ctx);
	pthread_mutex_unlock(&m->lock);
}
