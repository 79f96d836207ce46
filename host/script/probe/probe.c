/* SPDX-License-Identifier: Apache-2.0 */
#include "script/probe/probe.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bpf/feature.h"
#include "script/engine/engine_probe.h"
#include "util/text.h"

enum { MAX_PARTS = 8 };

const struct provider providers[] = {
	{"begin", "BEGIN", PROBE_BEGIN, ""},
	{"end", "END", PROBE_END, ""},
	{"self", "", PROBE_SELF, "signal:SIGUSR1"},
	{"tracepoint", "t", PROBE_TRACEPOINT, "category:event"},
	{"rawtracepoint", "rt", PROBE_RAWTRACEPOINT, "[module:]event"},
	{"uprobe", "u", PROBE_UPROBE, "binary:function[+offset]"},
	{"uretprobe", "ur", PROBE_URETPROBE, "binary:function"},
	{"usdt", "U", PROBE_USDT, "binary:[provider:]name"},
	{"profile", "p", PROBE_PROFILE, "hz:99"},
	{"interval", "i", PROBE_INTERVAL, "s:1"},
	{"software", "s", PROBE_SOFTWARE, "event[:count]"},
	{"hardware", "h", PROBE_HARDWARE, "event[:count]"},
	{"watchpoint", "w asyncwatchpoint aw", PROBE_WATCHPOINT, "address:length:mode"},
	{"kprobe", "k", PROBE_KPROBE, "function[+offset]"},
	{"kretprobe", "kr", PROBE_KRETPROBE, "function"},
	{"fentry", "f kfunc", PROBE_FENTRY, "[module:]function"},
	{"fexit", "fr kretfunc", PROBE_FEXIT, "[module:]function"},
	{"iter", "it", PROBE_ITER, "name"},
	{"test", "", PROBE_TEST, "name"},
	{"bench", "", PROBE_BENCH, "name"},
	{"token", "", PROBE_ENGINE, "begin|end"},
	{"graph", "", PROBE_ENGINE, "begin|end"},
	{"op", "", PROBE_ENGINE, "[OPERATOR:[NAME:]]begin|end"},
	{"expert", "", PROBE_ENGINE, "select"},
	{"sched", "", PROBE_ENGINE, "offcpu|wakeup"},
	{NULL, NULL, 0, NULL},
};

struct parts {
	struct arena *arena;
	const struct source *src;
	struct diag *d;
	const struct attach_point *ap;
	const char *v[MAX_PARTS];
	int n;
};

static bool in_words(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = words; *p;) {
		const char *end = strchrnul(p, ' ');

		if ((size_t)(end - p) == n && strncmp(p, word, n) == 0)
			return true;
		p = *end ? end + 1 : end;
	}
	return false;
}

const struct provider *provider_find(const char *name)
{
	for (const struct provider *p = providers; p->name; p++)
		if (in_words(p->shorts, name))
			return p;
	for (const struct provider *p = providers; p->name; p++)
		if (strcasecmp(p->name, name) == 0)
			return p;
	return NULL;
}

bool provider_works(const struct provider *p, struct features *f)
{
	switch (p->kind) {
	case PROBE_KPROBE:
	case PROBE_KRETPROBE:
	case PROBE_FENTRY:
	case PROBE_FEXIT:
	case PROBE_ITER:
		return false;
	case PROBE_HARDWARE:
		return feature_ok(f, FEATURE_HW_COUNTERS);
	case PROBE_TRACEPOINT:
		return feature_ok(f, FEATURE_TRACEFS);
	case PROBE_RAWTRACEPOINT:
		return feature_ok(f, FEATURE_RAW_TRACEPOINT);
	default:
		return feature_ok(f, FEATURE_BPF);
	}
}

bool probe_has_wildcard(const char *s)
{
	return strpbrk(s, "*?[") != NULL;
}

bool probe_glob(const char *pattern, const char *text)
{
	return fnmatch(pattern, text, 0) == 0;
}

bool match_repeats(const struct probe_match *list, const struct probe_match *m)
{
	for (; list && list != m; list = list->next)
		if (strcmp(list->name, m->name) == 0)
			return true;
	return false;
}

static struct attach *fail(struct parts *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static struct attach *fail(struct parts *p, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	diag_fail_at(p->d, -EINVAL, p->src, loc_span(p->src, p->ap->loc), "%s", text);
	free(text);
	return NULL;
}

/* Splits at colons outside of quotes and strips the quotes. "A::b" must be quoted. */
static bool split_parts(struct parts *p)
{
	const char *s = p->ap->text;
	char *out = arena_alloc(p->arena, strlen(s) + 1), *start = out;
	bool quoted = false;

	for (;; s++) {
		if (*s == '"') {
			quoted = !quoted;
		} else if (!*s || (*s == ':' && !quoted)) {
			if (p->n == MAX_PARTS)
				return false;
			*out++ = 0;
			p->v[p->n++] = start;
			start = out;
			if (!*s)
				return true;
		} else {
			*out++ = *s;
		}
	}
}

static bool parse_u64(const char *s, uint64_t *v)
{
	return text_to_u64(s, v) == 0;
}

/* Counts are written like numbers of the language: 1e6, 1_000_000. */
static bool parse_count(const char *s, uint64_t *v)
{
	char digits[64], *e;
	uint64_t exp = 0;
	size_t n = 0;

	for (; *s && n < sizeof(digits) - 1; s++)
		if (*s != '_')
			digits[n++] = *s;
	digits[n] = 0;
	e = digits[0] == '0' ? NULL : strpbrk(digits, "eE");
	if (e)
		*e++ = 0;
	if (*s || !parse_u64(digits, v) || (e && (!parse_u64(e, &exp) || exp > 19)))
		return false;
	while (exp-- > 0)
		if (__builtin_mul_overflow(*v, 10, v))
			return false;
	return true;
}

/* bin@file.c:line[:col]: the last '@' with a point behind it, as names of files have. */
static char *source_of(const char *target)
{
	char *at = strrchr(target, '@');

	return at && at > target && strchr(at, '.') ? at : NULL;
}

static bool parse_place(const char *line, const char *col, struct attach *a)
{
	uint64_t l, c = 0;

	if (!parse_u64(line, &l) || !l || l > INT32_MAX)
		return false;
	if (col && (!parse_u64(col, &c) || c > INT32_MAX))
		return false;
	a->line = (int)l;
	a->col = (int)c;
	return true;
}

/* bin@file.c:line[:col], also bin:file.c:line */
static struct attach *parse_line(struct parts *p, struct attach *a)
{
	char *at = source_of(p->v[1]);
	int line = at ? 2 : 3;

	if (p->n > 4 || p->n <= line ||
	    !parse_place(p->v[line], p->n > line + 1 ? p->v[line + 1] : NULL, a))
		return fail(p, "%s at a source line takes binary@file:line[:column]",
			    a->provider->name);
	if (a->kind == PROBE_URETPROBE)
		return fail(p, "uretprobes can not be attached at a source line");
	a->target = at ? arena_strndup(p->arena, p->v[1], (size_t)(at - p->v[1])) : p->v[1];
	a->source = at ? at + 1 : p->v[2];
	return a;
}

/* A language before the function: only C++ has names of its own. */
static bool is_language(const char *s)
{
	return strcmp(s, "cpp") == 0 || strcmp(s, "c") == 0;
}

static struct attach *parse_uprobe(struct parts *p, struct attach *a)
{
	const char *func;
	char *plus;

	if (p->n >= 3 && (source_of(p->v[1]) || (p->n == 4 && strchr(p->v[2], '.'))))
		return parse_line(p, a);
	if (p->n == 4) {
		if (!is_language(p->v[2]))
			return fail(p, "'%s' is no language of symbols; use cpp", p->v[2]);
		a->ns = p->v[2];
	} else if (p->n != 2 && p->n != 3) {
		return fail(p, "%s probe type requires 2 arguments, found %d", p->v[0], p->n - 1);
	}
	/* without a file the program of -p or -c is meant; see expand_elf */
	a->target = p->n == 2 ? "" : p->v[1];
	func = p->v[p->n - 1];
	if (!*func)
		return fail(p, "%s should be attached to a function and/or address",
			    a->provider->name);
	if (isdigit((unsigned char)*func)) {
		a->has_address = true;
		if (!parse_u64(func, &a->address))
			return fail(p, "invalid address '%s'", func);
		return a;
	}
	plus = strrchr(func, '+');
	if (plus && isdigit((unsigned char)plus[1])) {
		if (!parse_u64(plus + 1, &a->offset))
			return fail(p, "invalid offset '%s'", plus + 1);
		if (a->kind == PROBE_URETPROBE && a->offset)
			return fail(p, "uretprobes can not be attached at function offset");
		func = arena_strndup(p->arena, func, (size_t)(plus - func));
	}
	a->func = func;
	return a;
}

static struct attach *parse_usdt(struct parts *p, struct attach *a)
{
	if (p->n < 2 || p->n > 4)
		return fail(p, "usdt probe type requires 2 or 3 arguments, found %d", p->n - 1);
	a->target = p->n == 2 ? "" : p->v[1];
	a->ns = p->n == 4 ? p->v[2] : "*";
	a->func = p->v[p->n - 1];
	return a;
}

static struct attach *parse_tracepoint(struct parts *p, struct attach *a)
{
	if (a->kind == PROBE_RAWTRACEPOINT) {
		if (p->n != 2 && p->n != 3)
			return fail(p,
				    "rawtracepoint probe type requires 1 or 2 arguments, "
				    "found %d",
				    p->n - 1);
		a->target = p->n == 3 ? p->v[1] : "";
		a->func = p->v[p->n - 1];
		return a;
	}
	/* whoever gives one pattern looks for events, in whatever category */
	if (p->n != 3 && !(p->n == 2 && probe_has_wildcard(p->v[1])))
		return fail(p, "tracepoint probe type requires 2 arguments, found %d", p->n - 1);
	a->target = p->n == 3 ? p->v[1] : "*";
	a->func = p->v[p->n - 1];
	return a;
}

static bool unit_ns(const char *unit, uint64_t *ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {{"s", 1000000000},	 {"ms", 1000000},      {"us", 1000},	     {"ns", 1},
		     {"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000}};

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (strcmp(unit, units[i].name) == 0) {
			*ns = units[i].ns;
			return true;
		}
	}
	return false;
}

/* 100ms, 99hz; a bare number is in nanoseconds. */
static bool split_duration(const char *s, struct attach *a, uint64_t *n, uint64_t *ns)
{
	char *unit;

	*ns = 1;
	if (parse_count(s, n))
		return true;
	*n = strtoull(s, &unit, 10);
	if (unit != s && strcmp(unit, "hz") == 0)
		a->freq = *n;
	return unit != s && (a->freq || unit_ns(unit, ns));
}

/* profile:hz:99, interval:s:1, interval:100ms */
static struct attach *parse_timer(struct parts *p, struct attach *a)
{
	uint64_t n = 0, ns = 0;

	if (p->n == 2) {
		if (!split_duration(p->v[1], a, &n, &ns))
			return fail(p, "%s probe takes a duration, for example %s:1s or %s:hz:99",
				    a->provider->name, a->provider->name, a->provider->name);
	} else if (p->n == 3) {
		if (!parse_count(p->v[2], &n))
			return fail(p, "Invalid rate of %s probe: '%s'", a->provider->name,
				    p->v[2]);
		if (strcmp(p->v[1], "hz") == 0)
			a->freq = n;
		else if (!unit_ns(p->v[1], &ns))
			return fail(p, "%s is not an accepted unit of time; use hz, s, ms or us",
				    p->v[1]);
	} else {
		return fail(p, "%s probe type requires 2 arguments, found %d", a->provider->name,
			    p->n - 1);
	}
	if (n == 0)
		return fail(p, "%s frequency should be a positive integer", a->provider->name);
	if (!a->freq && __builtin_mul_overflow(n, ns, &a->period))
		return fail(p, "%s duration is too long", a->provider->name);
	return a;
}

static struct attach *unknown_event(struct parts *p, const struct attach *a)
{
	const char *names[64], *near;
	size_t n = 0;

	for (const struct perf_event_name *e = perf_event_names; e->name; e++)
		if (e->kind == a->kind)
			names[n++] = e->name;
	near = text_nearest_of(a->func, names, n);
	return fail(p, "%s is not a %s probe%s%s%s", a->func, a->provider->name,
		    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static struct attach *parse_event(struct parts *p, struct attach *a)
{
	if (p->n != 2 && p->n != 3)
		return fail(p, "%s probe type requires 1 or 2 arguments, found %d",
			    a->provider->name, p->n - 1);
	a->func = p->v[1];
	if (!perf_event_find(a->kind, a->func))
		return unknown_event(p, a);
	if (p->n == 3 && *p->v[2] && (!parse_count(p->v[2], &a->period) || !a->period))
		return fail(p, "%s count should be a positive integer", a->provider->name);
	return a;
}

static bool mode_repeats(const char *mode)
{
	for (; *mode; mode++)
		if (strchr(mode + 1, *mode))
			return true;
	return false;
}

static struct attach *parse_watchpoint(struct parts *p, struct attach *a)
{
	if (p->n != 4)
		return fail(p, "watchpoint probe type requires 3 arguments, found %d", p->n - 1);
	a->has_address = true;
	if (!parse_u64(p->v[1], &a->address))
		return fail(p, "watchpoints take an absolute address");
	if (!a->address)
		return fail(p, "watchpoint must be attached to a non-zero address");
	if (!parse_u64(p->v[2], &a->period) ||
	    (a->period != 1 && a->period != 2 && a->period != 4 && a->period != 8))
		return fail(p, "watchpoint length must be one of (1,2,4,8)");
	a->mode = p->v[3];
	if (!*a->mode || strspn(a->mode, "rwx") != strlen(a->mode))
		return fail(p, "watchpoint mode must be combination of (r,w,x)");
	if (mode_repeats(a->mode))
		return fail(p, "watchpoint modes may not be duplicated");
	if (strchr(a->mode, 'x') && a->mode[1])
		return fail(p, "invalid watchpoint mode: %s (x stands alone)", a->mode);
	return a;
}

static struct attach *parse_engine(struct parts *p, struct attach *a)
{
	const char *event = p->n > 1 ? p->v[p->n - 1] : "";

	a->engine = engine_event_find(a->provider->name, event);
	if (!a->engine) {
		const char *near = engine_event_nearest(a->provider->name, event);

		return fail(p, "%s has no event '%s'; %s:%s", a->provider->name, event,
			    a->provider->name, near ? near : a->provider->usage);
	}
	a->target = p->n > 2 ? p->v[1] : NULL;
	a->func = p->n > 3 ? p->v[2] : NULL;
	if (p->n > 4 || (p->n > 2 && !a->engine->has_filter))
		return fail(p, "%s:%s takes no filter", a->provider->name, event);
	return a;
}

static struct attach *parse_self(struct parts *p, struct attach *a)
{
	if (p->n != 3 || strcmp(p->v[1], "signal") != 0)
		return fail(p, "self probe takes a signal: self:signal:SIGUSR1");
	if (strcmp(p->v[2], "SIGUSR1") != 0)
		return fail(p, "%s is not a supported signal; use SIGUSR1", p->v[2]);
	a->func = p->v[2];
	return a;
}

static struct attach *parse_kernel(struct parts *p, struct attach *a)
{
	if (p->n < 2)
		return fail(p, "%s probe type requires 1 argument", a->provider->name);
	a->func = p->v[p->n - 1];
	a->target = p->n > 2 ? p->v[1] : NULL;
	return a;
}

static struct attach *parse_trial(struct parts *p, struct attach *a)
{
	if (p->n != 2 || !*p->v[1])
		return fail(p, "%s probe type requires 1 argument, found %d", a->provider->name,
			    p->n - 1);
	a->func = p->v[1];
	return a;
}

static struct attach *parse_begin(struct parts *p, struct attach *a)
{
	if (p->n != 1)
		return fail(p, "%s probe type requires 0 arguments, found %d", a->provider->name,
			    p->n - 1);
	return a;
}

static struct attach *unknown_provider(struct parts *p)
{
	const char *names[ARRAY_LEN(providers)], *near;
	size_t n = 0;

	for (const struct provider *pr = providers; pr->name; pr++)
		names[n++] = pr->name;
	near = text_nearest_of(p->v[0], names, n);
	if (near)
		return fail(p, "Invalid probe type: %s; did you mean '%s'?", p->v[0], near);
	return fail(p, "Invalid probe type: %s", p->v[0]);
}

struct attach *attach_parse(struct arena *arena, const struct source *src,
			    const struct attach_point *ap, struct diag *d)
{
	struct attach *a = arena_alloc(arena, sizeof(*a));
	struct parts p = {.arena = arena, .src = src, .d = d, .ap = ap};

	if (!split_parts(&p))
		return fail(&p, "too many ':' in a probe name; quote parts that hold one");
	a->provider = provider_find(p.v[0]);
	if (!a->provider)
		return unknown_provider(&p);
	a->kind = a->provider->kind;
	a->loc = ap->loc;
	a->text = ap->text;
	switch (a->kind) {
	case PROBE_BEGIN:
	case PROBE_END:
		return parse_begin(&p, a);
	case PROBE_SELF:
		return parse_self(&p, a);
	case PROBE_TRACEPOINT:
	case PROBE_RAWTRACEPOINT:
		return parse_tracepoint(&p, a);
	case PROBE_UPROBE:
	case PROBE_URETPROBE:
		return parse_uprobe(&p, a);
	case PROBE_USDT:
		return parse_usdt(&p, a);
	case PROBE_PROFILE:
	case PROBE_INTERVAL:
		return parse_timer(&p, a);
	case PROBE_SOFTWARE:
	case PROBE_HARDWARE:
		return parse_event(&p, a);
	case PROBE_WATCHPOINT:
		return parse_watchpoint(&p, a);
	case PROBE_ENGINE:
		return parse_engine(&p, a);
	case PROBE_TEST:
	case PROBE_BENCH:
		return parse_trial(&p, a);
	default:
		return parse_kernel(&p, a);
	}
}

static void single_match(struct attach *a, const struct expand_opts *o)
{
	struct probe_match *m = arena_alloc(o->arena, sizeof(*m));
	const char *rest = strchr(a->text, ':');

	/* short names are shown in full: p:hz:9 is profile:hz:9 */
	m->name = arena_printf(o->arena, "%s%s", a->provider->name, rest ? rest : "");
	if (a->kind == PROBE_BEGIN || a->kind == PROBE_END)
		m->name = a->kind == PROBE_BEGIN ? "begin" : "end";
	a->matches = m;
	a->n_matches = 1;
}

static int no_kernel_functions(struct attach *a, const struct expand_opts *o, struct diag *d)
{
	return diag_fail_at(d, -EOPNOTSUPP, o->src, loc_span(o->src, a->loc),
			    "%s probes need kernel functions, which this version does not probe; "
			    "use a tracepoint (llmprobe script -l 'tracepoint:*')",
			    a->provider->name);
}

/* Begin and end probes always do. */
static bool takes_part(const struct attach *a, enum probe_kind trial)
{
	bool is_trial = a->kind == PROBE_TEST || a->kind == PROBE_BENCH;

	if (trial != PROBE_TEST && trial != PROBE_BENCH)
		return !is_trial;
	return a->kind == trial || a->kind == PROBE_BEGIN || a->kind == PROBE_END;
}

int attach_expand(struct attach *a, const struct expand_opts *o, struct diag *d)
{
	int err = 0;

	if (!takes_part(a, o->trial))
		return 0;
	switch (a->kind) {
	case PROBE_TRACEPOINT:
		err = expand_tracepoint(a, o, d);
		break;
	case PROBE_RAWTRACEPOINT:
		err = expand_rawtracepoint(a, o, d);
		break;
	case PROBE_UPROBE:
	case PROBE_URETPROBE:
	case PROBE_USDT:
		err = expand_elf(a, o, d);
		break;
	case PROBE_KPROBE:
	case PROBE_KRETPROBE:
	case PROBE_FENTRY:
	case PROBE_FEXIT:
	case PROBE_ITER:
		err = o->missing == MISSING_ERROR ? no_kernel_functions(a, o, d) : 0;
		break;
	default:
		single_match(a, o);
		if (a->engine)
			a->matches->args = engine_event_args(o->types, a->engine);
		break;
	}
	if (!err && a->n_matches > o->max_probes)
		err = diag_fail_at(
			d, -E2BIG, o->src, loc_span(o->src, a->loc),
			"Can't attach to %zu probes because it exceeds the current limit of %zu "
			"probes: %s matches more than max_probes (%zu); raise it with "
			"config = { max_probes = %zu } or BPFTRACE_MAX_PROBES",
			a->n_matches, o->max_probes, a->text, o->max_probes, a->n_matches);
	a->args = a->matches ? a->matches->args : NULL;
	return err;
}
