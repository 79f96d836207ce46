/* SPDX-License-Identifier: Apache-2.0 */
/* Modules by their text: processes that run the same engine share one. */
#include "session/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/compile.h"
#include "bpf/kmap.h"

bool session_pid_filter(struct session *s)
{
	return feature_ok(s->features, FEATURE_PROCESS_FILTER);
}

static void fill_input(struct session *s, int layout, struct level_input *in)
{
	*in = (struct level_input){
		.transport = s->transport,
		.layout = layout < 0 ? NULL : plan_layout(s->plan, (size_t)layout)->layout,
		.layout_id = layout < 0 ? 0 : (unsigned)session_layout_id(s, layout),
		.task = s->have_task ? &s->task : NULL,
		.counters = s->counters_shed ? NULL : s->counters,
		.task_storage = feature_ok(s->features, FEATURE_TASK_STORAGE),
		.filter_tgid = !session_pid_filter(s),
		.typed_sched = feature_ok(s->features, FEATURE_TP_BTF),
		.bpf_loop = feature_ok(s->features, FEATURE_BPF_LOOP),
		.summary = s->opts.summary,
		.node_ends = layout >= 0 && session_node_ends(s, layout),
		.filter = s->filter,
	};
}

/* Kinds of the level's fixed programs; those of points are uprobes, which is the default. */
static size_t fixed_kinds(struct session *s, const struct level *l, struct bpf_program_kind *out,
			  size_t max)
{
	bool typed = feature_ok(s->features, FEATURE_TP_BTF);
	size_t n = 0;

	for (const struct level_program *p = l->programs; p && p->name && n < max; p++)
		if (p->tracepoint)
			out[n++] = (struct bpf_program_kind){
				p->name, typed ? BPF_KIND_TP_BTF : BPF_KIND_RAW_TRACEPOINT,
				p->tracepoint};
	return n;
}

static int set_jumps(struct session *s, const struct level *l, unsigned layout_id,
		     const struct bpf_module *m, struct diag *d)
{
	for (const struct level_program *p = l->programs; p && p->name; p++) {
		uint32_t key = JUMP_COUNT * layout_id + (uint32_t)p->jump;
		int fd = bpf_module_prog_fd(m, p->name), err;

		if (p->jump < 0)
			continue;
		err = fd < 0 ? fd : kmap_update(s->map[MAP_JUMP], &key, &fd, 0);
		if (err)
			return diag_fail(d, err, "cannot enter %s into the jump table: %s", p->name,
					 strerror(-err));
	}
	return 0;
}

static struct bpf_compile_opts compile_opts(const struct session *s, enum rec_level level,
					    const char *text)
{
	return (struct bpf_compile_opts){.text = text,
					 .name = level_name(level),
					 .lean = true,
					 .optimise_once = true,
					 .cache_dir = s->opts.cache_dir};
}

/* Takes what session_compile_wanted has made of the text, or compiles it now. */
static struct bpf_code *code_of(struct session *s, enum rec_level level, const char *text,
				struct diag *d)
{
	struct bpf_compile_opts o = compile_opts(s, level, text);

	for (size_t i = 0; i < s->n_wanted; i++)
		if (s->wanted[i].code && strcmp(s->wanted[i].text, text) == 0) {
			struct bpf_code *code = s->wanted[i].code;

			s->wanted[i].code = NULL;
			return code;
		}
	return bpf_compile(&o, d);
}

/* Code that the kernel refuses may be another compiler's: what clang makes with all its
 * optimisation is the last word. */
static struct bpf_module *load_code(const struct session *s, const struct level *l,
				    const char *text, struct bpf_code *code,
				    const struct bpf_load_opts *lo, struct diag *d)
{
	struct bpf_compile_opts o = compile_opts(s, l->id, text);
	struct diag *quiet = diag_new();
	struct bpf_module *m = bpf_module_load(code, lo, quiet);

	bpf_code_free(code);
	diag_free(quiet);
	if (m)
		return m;
	o.optimise_once = false;
	code = bpf_compile(&o, d);
	m = code ? bpf_module_load(code, lo, d) : NULL;
	bpf_code_free(code);
	return m;
}

static struct bpf_module *load(struct session *s, const struct level *l, const char *text,
			       struct diag *d)
{
	struct bpf_program_kind kinds[8];
	struct bpf_extern externs[MAP_COUNT];
	struct bpf_load_opts lo = {.externs = externs, .kinds = kinds};
	struct bpf_code *code = code_of(s, l->id, text, d);

	if (!code)
		return NULL;
	lo.n_kinds = fixed_kinds(s, l, kinds, ARRAY_LEN(kinds));
	for (uint32_t i = 0; i < MAP_COUNT; i++)
		if (s->map[i] >= 0)
			externs[lo.n_externs++] = (struct bpf_extern){i, s->map[i]};
	return load_code(s, l, text, code, &lo, d);
}

static struct session_module *find_module(struct session *s, const char *text)
{
	for (size_t i = 0; i < s->n_modules; i++)
		if (strcmp(s->modules[i].text, text) == 0)
			return &s->modules[i];
	return NULL;
}

static bool is_wanted(const struct session *s, const char *text)
{
	for (size_t i = 0; i < s->n_wanted; i++)
		if (strcmp(s->wanted[i].text, text) == 0)
			return true;
	return false;
}

void session_want_module(struct session *s, enum rec_level level,
			 const struct level_instance *instances, size_t n, int layout)
{
	struct diag *quiet = diag_new();
	struct level_input in;
	struct buf text = {0};

	fill_input(s, layout, &in);
	if (!level_text(level_get(level), &in, instances, n, &text, quiet) &&
	    !find_module(s, buf_str(&text)) && !is_wanted(s, buf_str(&text)))
		*VEC_PUSH(s->wanted, s->n_wanted, s->cap_wanted) =
			(struct session_wanted){level, buf_take(&text), NULL};
	buf_free(&text);
	diag_free(quiet);
}

void session_compile_wanted(struct session *s)
{
	struct bpf_compile_opts *o = xcalloc(s->n_wanted + 1, sizeof(*o));
	struct bpf_code **code = xcalloc(s->n_wanted + 1, sizeof(*code));

	/* A single one is as well compiled when it is loaded. */
	for (size_t i = 0; i < s->n_wanted; i++)
		o[i] = compile_opts(s, s->wanted[i].level, s->wanted[i].text);
	if (s->n_wanted > 1)
		bpf_compile_many(o, s->n_wanted, code);
	for (size_t i = 0; i < s->n_wanted; i++)
		s->wanted[i].code = code[i];
	free(code);
	free(o);
}

void session_forget_wanted(struct session *s)
{
	for (size_t i = 0; i < s->n_wanted; i++) {
		free(s->wanted[i].text);
		bpf_code_free(s->wanted[i].code);
	}
	free(s->wanted);
	s->wanted = NULL;
	s->n_wanted = s->cap_wanted = 0;
}

struct bpf_module *session_module(struct session *s, enum rec_level level,
				  const struct level_instance *instances, size_t n, int layout,
				  struct diag *d)
{
	const struct level *l = level_get(level);
	struct session_module *entry;
	struct level_input in;
	struct buf text = {0};
	struct bpf_module *m;

	fill_input(s, layout, &in);
	if (level_text(l, &in, instances, n, &text, d)) {
		buf_free(&text);
		return NULL;
	}
	entry = find_module(s, buf_str(&text));
	if (entry) {
		buf_free(&text);
		return entry->bpf;
	}
	m = load(s, l, buf_str(&text), d);
	/* Without a layout it holds API calls alone. */
	if (m && !(l->needs_layout && layout < 0) && set_jumps(s, l, in.layout_id, m, d)) {
		bpf_module_free(m);
		m = NULL;
	}
	if (!m) {
		buf_free(&text);
		return NULL;
	}
	entry = VEC_PUSH(s->modules, s->n_modules, s->cap_modules);
	*entry = (struct session_module){level, buf_take(&text), m};
	return m;
}

static uint64_t missed_of(const struct bpf_module *m)
{
	struct bpf_run_stats stats;
	uint64_t sum = 0;
	int fd;

	for (size_t i = 0; bpf_module_prog(m, i, &fd); i++)
		if (bpf_prog_run_stats(fd, &stats) == 0)
			sum += stats.missed;
	return sum;
}

uint64_t session_missed(const struct session *s, enum rec_level level)
{
	uint64_t sum = s->dead_missed[level];

	for (size_t i = 0; i < s->n_modules; i++)
		if (s->modules[i].level == level)
			sum += missed_of(s->modules[i].bpf);
	return sum;
}

void session_forget_modules(struct session *s, enum rec_level level)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_modules; i++) {
		if (s->modules[i].level != level) {
			s->modules[kept++] = s->modules[i];
			continue;
		}
		s->dead_missed[level] += missed_of(s->modules[i].bpf);
		free(s->modules[i].text);
		bpf_module_free(s->modules[i].bpf);
	}
	s->n_modules = kept;
}
