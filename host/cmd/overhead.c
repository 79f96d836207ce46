/* SPDX-License-Identifier: Apache-2.0 */
/*
 * llmprobe overhead: the slowdown of each level, measured on the live target. Levels are switched
 * on and off in random order, round by round; within a round every setting is compared with the
 * token level alone, so that a drift of the machine's speed falls out.
 */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cjson/cJSON.h>

#include "cmd/trace.h"
#include "level/level.h"
#include "util/clock.h"
#include "util/median.h"
#include "util/text.h"

enum {
	ROUNDS_MIN = 5,
	ROUNDS_MAX = 200,
	STRETCH_TOKENS = 12, /* per setting and round, the first two of which are not counted */
	SKIP_TOKENS = 2,
	SETTINGS_MAX = 8,
	DEFAULT_SECONDS = 60,
};

struct setting {
	const char *name;
	unsigned levels; /* bits; the token level is always on, it takes the measure */
	bool begin_only;
};

static const struct setting settings[] = {
	{"token", 1u << LEVEL_TOKEN, false},
	{"token, graph", 1u << LEVEL_TOKEN | 1u << LEVEL_GRAPH, false},
	{"token, operator (begin only)", 1u << LEVEL_TOKEN | 1u << LEVEL_OPERATOR, true},
	{"token, operator", 1u << LEVEL_TOKEN | 1u << LEVEL_OPERATOR, false},
	{"token, scheduler", 1u << LEVEL_TOKEN | 1u << LEVEL_SCHEDULER, false},
	{"all levels",
	 1u << LEVEL_TOKEN | 1u << LEVEL_GRAPH | 1u << LEVEL_OPERATOR | 1u << LEVEL_SCHEDULER,
	 false},
};
enum { N_SETTINGS = ARRAY_LEN(settings) };

struct overhead {
	const struct cmd_context *ctx;
	struct trace trace;
	double sample[STRETCH_TOKENS];	       /* ns per token of the present stretch */
	size_t n_samples, n_seen, n_decodes;   /* of the stretch, and all */
	double median[ROUNDS_MAX][N_SETTINGS]; /* ns per decoded token; NaN: not measured */
	size_t rounds;
	double token_share; /* estimate: what the token level itself takes */
	uint64_t end_ns;
	bool stopped;
};

/* Decodes only: the time of a prompt's call depends on how long the prompt is. Those for several
 * sequences differ less. */
static void on_token(void *ctx, const struct session_token *t)
{
	struct overhead *o = ctx;

	if (t->is_prefill || t->n_tokens < 1)
		return;
	o->n_decodes++;
	if (o->n_seen++ < SKIP_TOKENS || o->n_samples == STRETCH_TOKENS)
		return;
	o->sample[o->n_samples++] = (double)(t->end_ns - t->begin_ns);
}

static int apply(struct overhead *o, const struct setting *set)
{
	struct session *s = o->trace.session;
	struct diag *d = o->ctx->diag;
	unsigned every = (unsigned)o->ctx->config->operators.barrier_every;
	int err = session_set_barrier_every(s, set->begin_only ? 0 : every, d);

	for (int i = 0; i < LEVEL_COUNT && !err; i++) {
		if (!level_get(i) || !o->ctx->config->level[i])
			continue;
		err = set->levels >> i & 1 ? session_enable(s, i, d) : session_disable(s, i, d);
	}
	return err;
}

/* A setting is measured when the user asked for all of its levels, and it is one of its own. */
static bool wanted(const struct overhead *o, const struct setting *set)
{
	if (set->begin_only && session_waits_are_free(o->trace.session))
		return false;
	for (int i = 0; i < LEVEL_COUNT; i++)
		if (set->levels >> i & 1 && !o->ctx->config->level[i])
			return false;
	return true;
}

static int stretch(struct overhead *o, const struct setting *set, double *out)
{
	struct session *s = o->trace.session;
	struct pollfd fds[2] = {{session_fd(s), POLLIN, 0}, {o->trace.signal_fd, POLLIN, 0}};

	if (apply(o, set))
		return -EIO;
	o->n_samples = o->n_seen = 0;
	while (o->n_samples < STRETCH_TOKENS && !o->stopped) {
		if (poll(fds, 2, 100) < 0 && errno != EINTR)
			return -errno;
		if (session_dispatch(s, o->ctx->diag))
			return -EIO;
		o->stopped = trace_signal(&o->trace) || session_ended(s) || clock_now() > o->end_ns;
	}
	*out = o->n_samples >= STRETCH_TOKENS ? median(o->sample, o->n_samples) : NAN;
	return 0;
}

static void shuffle(size_t *order, size_t n, unsigned *seed)
{
	for (size_t i = n; i > 1; i--) {
		size_t k = (size_t)rand_r(seed) % i, keep = order[i - 1];

		order[i - 1] = order[k];
		order[k] = keep;
	}
}

static int one_round(struct overhead *o, unsigned *seed)
{
	size_t order[N_SETTINGS];
	double *row = o->median[o->rounds];

	for (size_t i = 0; i < N_SETTINGS; i++) {
		order[i] = i;
		row[i] = NAN;
	}
	shuffle(order, N_SETTINGS, seed);
	for (size_t i = 0; i < N_SETTINGS && !o->stopped; i++) {
		int err = wanted(o, &settings[order[i]])
				  ? stretch(o, &settings[order[i]], &row[order[i]])
				  : 0;

		if (err)
			return err;
	}
	if (!o->stopped)
		o->rounds++;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%zu rounds", o->rounds);
	return 0;
}

struct result {
	double ns;		  /* median ns per token */
	double change, low, high; /* against the token level alone, with a 95 % interval */
	size_t rounds;
};

/* The interval of a median by order statistics: ranks n/2 -+ 0.98 sqrt(n) cover 95 %. */
static void summarise(const struct overhead *o, size_t setting, struct result *r)
{
	double ratio[ROUNDS_MAX], ns[ROUNDS_MAX];
	size_t n = 0, half;

	for (size_t i = 0; i < o->rounds; i++) {
		if (isnan(o->median[i][setting]) || isnan(o->median[i][0]))
			continue;
		ns[n] = o->median[i][setting];
		ratio[n++] = o->median[i][setting] / o->median[i][0] - 1;
	}
	*r = (struct result){.ns = median(ns, n), .change = median(ratio, n), .rounds = n};
	half = (size_t)ceil(0.98 * sqrt((double)n));
	r->low = n ? ratio[n / 2 > half ? n / 2 - half : 0] : NAN;
	r->high = n ? ratio[n / 2 + half < n ? n / 2 + half : n - 1] : NAN;
}

static void print_text(const struct overhead *o)
{
	char ns[32];

	printf("%-30s %14s %10s   %s\n", "levels", "time per token", "slowdown", "95 % interval");
	for (size_t i = 0; i < N_SETTINGS; i++) {
		struct result r;

		summarise(o, i, &r);
		if (!r.rounds)
			continue;
		printf("%-30s %14s", settings[i].name, text_ns(r.ns, ns));
		if (i == 0)
			printf(" %+9.3f %%   estimate: hits times their price\n",
			       100 * o->token_share);
		else
			printf(" %+9.2f %%   %+.2f to %+.2f %%\n", 100 * r.change, 100 * r.low,
			       100 * r.high);
	}
	printf("%zu rounds, decodes of one token; each against the token level in its round\n",
	       o->rounds);
}

static void print_json(const struct overhead *o)
{
	cJSON *root = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(root, "settings");
	char *text;

	cJSON_AddNumberToObject(root, "rounds", (double)o->rounds);
	for (size_t i = 0; i < N_SETTINGS; i++) {
		struct result r;
		cJSON *row;

		summarise(o, i, &r);
		if (!r.rounds)
			continue;
		row = cJSON_CreateObject();
		cJSON_AddStringToObject(row, "levels", settings[i].name);
		cJSON_AddNumberToObject(row, "token_ns", r.ns);
		cJSON_AddNumberToObject(row, "slowdown", i ? r.change : o->token_share);
		cJSON_AddBoolToObject(row, "estimate", i == 0);
		if (i) {
			cJSON_AddNumberToObject(row, "low", r.low);
			cJSON_AddNumberToObject(row, "high", r.high);
		}
		cJSON_AddItemToArray(list, row);
	}
	text = cJSON_Print(root);
	puts(text);
	cJSON_free(text);
	cJSON_Delete(root);
}

static int round_decodes(const struct overhead *o)
{
	int n = 0;

	for (size_t i = 0; i < N_SETTINGS; i++)
		n += wanted(o, &settings[i]) ? STRETCH_TOKENS + SKIP_TOKENS : 0;
	return n;
}

static int measure(struct overhead *o)
{
	struct session_level_stats st;
	unsigned seed = (unsigned)clock_now();
	int err = 0;

	while (o->rounds < ROUNDS_MAX && !o->stopped && !err)
		err = one_round(o, &seed);
	session_level_stats(o->trace.session, LEVEL_TOKEN, &st);
	o->token_share = st.share;
	if (isatty(STDERR_FILENO))
		fputc('\n', stderr);
	if (!err && o->rounds < ROUNDS_MIN)
		err = diag_fail(
			o->ctx->diag, -ENODATA,
			"only %zu rounds could be measured, %d are needed, and one takes some "
			"%d decodes; %zu were seen: let the target generate longer or give "
			"more time with --duration",
			o->rounds, ROUNDS_MIN, round_decodes(o), o->n_decodes);
	return err;
}

static int begin(struct overhead *o)
{
	int code = trace_open(&o->trace, o->ctx);

	if (!code)
		code = trace_catch_signals(&o->trace, o->ctx);
	if (!code && session_enable(o->trace.session, LEVEL_TOKEN, o->ctx->diag))
		code = EXIT_FAILED;
	if (!code && session_launch(o->trace.session, o->ctx->diag))
		code = EXIT_FAILED;
	return code;
}

int cmd_overhead(const struct cmd_context *ctx)
{
	struct overhead *o = xcalloc(1, sizeof(*o));
	uint64_t duration = ctx->config->duration_ns;
	int code;

	o->ctx = ctx;
	for (int i = 0; i < LEVEL_COUNT && !config_given(ctx->config, "levels"); i++)
		ctx->config->level[i] = level_get(i) != NULL;
	ctx->config->level[LEVEL_TOKEN] = true;
	code = begin(o);
	if (!code) {
		o->end_ns = clock_now() + (duration ? duration : DEFAULT_SECONDS * 1000000000ull);
		session_on_token(o->trace.session, on_token, o);
		code = measure(o) ? EXIT_FAILED : EXIT_OK;
		if (!code && ctx->config->json)
			print_json(o);
		else if (!code)
			print_text(o);
	}
	trace_close(&o->trace);
	free(o);
	return code;
}
