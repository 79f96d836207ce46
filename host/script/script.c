/* SPDX-License-Identifier: Apache-2.0 */
/* From text to BPF C. */
#include "script/script.h"

#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "script/type/debug_info.h"
#include "script/probe/list.h"
#include "script/script_impl.h"
#include "util/file.h"

enum { MAX_IMPORT = 4 << 20, MAX_IMPORTS = 64 };

/* ---- imports: further files whose macros, definitions and probes join the program ---- */

static char *import_path(const struct script *s, const char *name)
{
	const char *slash = strrchr(s->src.name, '/');
	char *path;

	if (name[0] != '/' && slash) {
		path = xasprintf("%.*s/%s", (int)(slash - s->src.name), s->src.name, name);
		if (access(path, R_OK) == 0)
			return path;
		free(path);
	}
	return xstrdup(name);
}

static void merge_program(struct program *into, struct program *p)
{
	struct probe **probes = &into->probes;
	struct macro **macros = &into->macros;
	struct map_decl **decls = &into->map_decls;

	while (*probes)
		probes = &(*probes)->next;
	while (*macros)
		macros = &(*macros)->next;
	while (*decls)
		decls = &(*decls)->next;
	*probes = p->probes;
	*macros = p->macros;
	*decls = p->map_decls;
	into->preamble = arena_printf(into->arena, "%s%s", p->preamble, into->preamble);
}

static int import_one(struct script *s, const struct import_item *item, struct diag *d)
{
	char *path = import_path(s, item->path);
	struct source *src = arena_alloc(s->arena, sizeof(*src));
	struct buf text = {0};
	struct program *p;
	int err = file_read(path, &text, MAX_IMPORT);

	if (err) {
		diag_fail_at(d, err, &s->src, loc_span(&s->src, item->loc),
			     "cannot import '%s': %s", item->path, strerror(-err));
	} else {
		src->name = arena_strdup(s->arena, path);
		src->text = arena_strndup(s->arena, buf_str(&text), text.len);
		src->len = text.len;
		p = script_parse(src, s->arena, &s->args, d);
		if (p)
			merge_program(s->prog, p);
		else
			err = -EINVAL;
	}
	buf_free(&text);
	free(path);
	return err;
}

static int import_all(struct script *s, struct diag *d)
{
	int err = 0, n = 0;

	for (const struct import_item *i = s->prog->imports; i && !err && n++ < MAX_IMPORTS;
	     i = i->next)
		err = import_one(s, i, d);
	return err;
}

/* ---- stages ---- */

/* What begins with -- is an option of the script's own, everything else has a number. */
static struct script_args sort_args(struct arena *arena, const struct script_opts *o)
{
	const char **plain = arena_alloc(arena, (size_t)(o->argc + 1) * sizeof(*plain));
	const char **options = arena_alloc(arena, (size_t)(o->argc + 1) * sizeof(*options));
	struct script_args args = {.argv = plain, .options = options};

	for (int i = 0; i < o->argc; i++) {
		if (strncmp(o->argv[i], "--", 2) == 0)
			options[args.n_options++] = o->argv[i];
		else
			plain[args.argc++] = o->argv[i];
	}
	return args;
}

static int check_text(const struct script *s, struct diag *d)
{
	const char *nul = s->src.len ? memchr(s->src.text, 0, s->src.len) : NULL;

	if (!s->src.len)
		return 0;
	if (nul)
		return diag_fail(d, -EINVAL, "%s: the script holds a NUL byte at offset %zu",
				 s->src.name, (size_t)(nul - s->src.text));
	return 0;
}

static int parse_types(struct script *s, struct diag *d)
{
	const char *text = s->prog->preamble;
	struct ctype_opts o = {
		.include_dirs = s->o.include_dirs,
		.n_include_dirs = s->o.n_include_dirs,
		.have_btf = true,
	};

	s->types = type_table_new(s->arena);
	s->debug = debug_info_new(s->types);
	if (!s->o.offline) {
		s->kernel = kernel_types_new();
		type_table_use_kernel(s->types, s->kernel);
	}
	if (s->o.preamble)
		text = arena_printf(s->arena, "%s\n%s", s->o.preamble, text);
	return ctype_parse(s->types, text, &o, d);
}

static void sees_entry(void *ctx, struct node *n)
{
	static const char *const words[] = {"ustack", "reg", "ctx", "usym", "uaddr"};
	bool *seen = ctx;

	if (n->kind != N_IDENT && n->kind != N_CALL)
		return;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		*seen |= strcmp(n->name, words[i]) == 0;
	/* arguments on the stack are found by the stack pointer of the entry */
	*seen |= strncmp(n->name, "arg", 3) == 0 && atoi(n->name + 3) > 5;
}

/* All or none: probes of one function keep the order of the source. */
static bool may_move_entries(const struct program *p)
{
	bool seen = p->macros != NULL;

	for (const struct probe *pr = p->probes; pr; pr = pr->next) {
		node_walk(pr->pred, sees_entry, &seen);
		node_walk(pr->body, sees_entry, &seen);
		/* an address, an offset or a line may be the very entry */
		for (const struct attach_point *ap = pr->points; ap; ap = ap->next)
			seen |= strpbrk(ap->text, "+@") || strstr(ap->text, ":0x");
	}
	return !seen;
}

static void sees_args(void *ctx, struct node *n)
{
	if ((n->kind == N_IDENT || n->kind == N_CALL) && strcmp(n->name, "args") == 0)
		*(bool *)ctx = true;
}

static bool uses_args(const struct probe *p)
{
	bool seen = false;

	node_walk(p->pred, sees_args, &seen);
	node_walk(p->body, sees_args, &seen);
	return seen;
}

/* Of the kinds that only some runs are about. */
static bool stands_aside(const struct script *s, const struct attach *a)
{
	return s->o.trial == PROBE_TEST || s->o.trial == PROBE_BENCH || a->kind == PROBE_TEST ||
	       a->kind == PROBE_BENCH;
}

static int expand_probe(struct script *s, struct probe *p, struct probe_plan *plan, struct diag *d)
{
	struct expand_opts o = {
		.types = s->types,
		.arena = s->arena,
		.src = p->body->src,
		.pid = s->o.pid	      ? s->o.pid
		       : s->o.command ? 0
				      : s->o.cpid,
		.command = s->o.command,
		.max_probes = s->settings.max_probes,
		.missing = (enum missing_policy)s->settings.missing_probes,
		.offline = s->o.offline,
		.may_move = may_move_entries(s->prog),
		.unsafe = s->o.unsafe,
		.trial = s->o.trial,
		.want_args = uses_args(p) || s->prog->macros,
		.debug = s->o.offline ? NULL : s->debug,
	};
	struct attach **tail = &plan->attaches;
	int err = 0;

	plan->probe = p;
	for (const struct attach_point *ap = p->points; ap; ap = ap->next) {
		struct attach *a = attach_parse(s->arena, o.src, ap, d);
		int e = a ? attach_expand(a, &o, d) : -EINVAL;

		err = err ? err : e;
		if (!a)
			continue;
		if (!e && !a->n_matches && o.missing == MISSING_WARN && !stands_aside(s, a))
			diag_add_at(d, DIAG_WARNING, o.src, loc_span(o.src, a->loc),
				    "No matches for %s%s%s. Skipping.", a->provider->name,
				    strchr(a->text, ':') ? " " : "",
				    strchr(a->text, ':') ? strchr(a->text, ':') + 1 : "");
		*tail = a;
		tail = &a->next;
	}
	return err;
}

static int expand_all(struct script *s, struct diag *d)
{
	size_t n = 0;
	int err = 0;

	for (struct probe *p = s->prog->probes; p; p = p->next)
		n++;
	s->plans = xcalloc(n + 1, sizeof(*s->plans));
	for (struct probe *p = s->prog->probes; p; p = p->next) {
		int e = expand_probe(s, p, &s->plans[s->n_plans++], d);

		err = err ? err : e;
	}
	type_table_use_programs(s->types, s->o.offline ? NULL : s->debug);
	if (!err && !script_probes(s))
		err = diag_fail(d, -ENOENT, "No probes to attach");
	if (!err && script_probes(s) > s->settings.max_probes)
		err = diag_fail(
			d, -E2BIG,
			"Can't attach to %zu probes because it exceeds the current limit of %llu "
			"probes. You can increase the limit through the BPFTRACE_MAX_PROBES "
			"environment variable, but BE CAREFUL since a high number of probes "
			"attached can cause your system to crash.",
			script_probes(s), (unsigned long long)s->settings.max_probes);
	return err;
}

static void filter_matches(struct attach *a, const regex_t *re)
{
	struct probe_match **m = &a->matches;

	while (*m) {
		if (regexec(re, (*m)->name, 0, NULL, 0) == 0) {
			m = &(*m)->next;
			continue;
		}
		*m = (*m)->next;
		a->n_matches--;
	}
	a->args = a->matches ? a->matches->args : NULL;
}

static int filter_all(struct script *s, struct diag *d)
{
	regex_t re;
	char why[128];
	int err;

	if (!s->o.filter)
		return 0;
	err = regcomp(&re, s->o.filter, REG_EXTENDED | REG_NOSUB);
	if (err) {
		regerror(err, &re, why, sizeof(why));
		return diag_fail(d, -EINVAL, "--probe-filter '%s': %s", s->o.filter, why);
	}
	for (size_t i = 0; i < s->n_plans; i++)
		for (struct attach *a = s->plans[i].attaches; a; a = a->next)
			filter_matches(a, &re);
	regfree(&re);
	return script_probes(s) ? 0 : diag_fail(d, -ENOENT, "No probes to attach");
}

static int run_sema(struct script *s, struct diag *d)
{
	s->sema = (struct sema){
		.prog = s->prog,
		.arena = s->arena,
		.types = s->types,
		.diag = d,
		.settings = &s->settings,
		.args = &s->args,
		.unsafe = s->o.unsafe,
		.offline = s->o.offline,
	};
	return sema_run(&s->sema, s->plans, s->n_plans);
}

static int front_end(struct script *s, struct diag *d)
{
	int err = check_text(s, d);

	if (!err) {
		s->prog = script_parse(&s->src, s->arena, &s->args, d);
		err = s->prog ? 0 : -EINVAL;
	}
	err = err ? err : import_all(s, d);
	err = err ? err : settings_load(&s->settings, s->prog, d);
	s->settings.show_debug_info |= s->o.debug_info;
	err = err ? err : parse_types(s, d);
	err = err ? err : expand_all(s, d);
	err = err ? err : filter_all(s, d);
	return err ? err : run_sema(s, d);
}

struct script *script_new(const struct script_opts *o, struct diag *d)
{
	struct script *s = xcalloc(1, sizeof(*s));

	s->o = *o;
	s->src = (struct source){o->name, o->text, o->len};
	s->arena = arena_new();
	s->args = sort_args(s->arena, o);
	s->loss_fd = s->scratch_fd = s->globals_fd = s->seen_fd = -1;
	if (front_end(s, d) != 0) {
		script_free(s);
		return NULL;
	}
	return s;
}

void script_free(struct script *s)
{
	if (!s)
		return;
	script_unload(s);
	script_code_free(&s->code);
	type_table_free(s->types);
	debug_info_free(s->debug);
	kernel_types_free(s->kernel);
	free(s->plans);
	arena_free(s->arena);
	free(s);
}

bool script_uses_engine(const struct script *s)
{
	for (size_t i = 0; i < s->n_plans; i++)
		for (const struct attach *a = s->plans[i].attaches; a; a = a->next)
			if (a->kind == PROBE_ENGINE)
				return true;
	return false;
}

int script_emit(struct script *s, struct diag *d)
{
	struct emit_opts o = {.engine = script_uses_engine(s) ? s->o.engine : NULL,
			      .wake_bytes = 1 << 20,
			      .check_helpers = s->o.check_helpers,
			      .offline = s->o.offline,
			      .pid = s->o.pid};
	int err;

	if (s->emitted)
		return 0;
	s->sema.diag = d;
	err = emit_script(&s->sema, s->plans, s->n_plans, &o, &s->code);
	s->emitted = !err;
	return err;
}

size_t script_probes(const struct script *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_plans; i++)
		for (const struct attach *a = s->plans[i].attaches; a; a = a->next)
			n += a->n_matches;
	return n;
}

void script_print_probes(const struct script *s, bool args, FILE *out)
{
	for (size_t i = 0; i < s->n_plans; i++)
		for (const struct attach *a = s->plans[i].attaches; a; a = a->next)
			for (const struct probe_match *m = a->matches; m; m = m->next)
				if (!match_repeats(a->matches, m))
					list_probe(out, m->name, args ? m->args : NULL);
}

bool script_is_finite(const struct script *s)
{
	for (size_t i = 0; i < s->n_plans; i++)
		for (const struct attach *a = s->plans[i].attaches; a; a = a->next)
			if (a->n_matches && a->kind != PROBE_BEGIN && a->kind != PROBE_END)
				return false;
	return true;
}

bool script_prints_maps_on_exit(const struct script *s)
{
	return s->settings.print_maps_on_exit;
}
