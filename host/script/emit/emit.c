/* SPDX-License-Identifier: Apache-2.0 */
/* The frame: prelude, programs, scratch memory. */
#include "script/emit/emit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "script/fn/builtin.h"
#include "util/file.h"
#include "bpf/callback.h"

enum { STACK_BUDGET = 224, MAX_SCRATCH = 1 << 18 };

uint32_t pad8(uint32_t size)
{
	return (size + 7) & ~7u;
}

static void indent(struct emit *e)
{
	for (int i = 0; i < e->indent; i++)
		buf_putc(e->out, '\t');
}

void em(struct emit *e, const char *fmt, ...)
{
	va_list ap;

	indent(e);
	va_start(ap, fmt);
	buf_vprintf(e->out, fmt, ap);
	va_end(ap);
	buf_putc(e->out, '\n');
}

void em_open(struct emit *e, const char *fmt, ...)
{
	va_list ap;

	indent(e);
	va_start(ap, fmt);
	buf_vprintf(e->out, fmt, ap);
	va_end(ap);
	buf_puts(e->out, " {\n");
	e->indent++;
}

void em_close(struct emit *e)
{
	e->indent--;
	em(e, "}");
}

/* Which helper it was is known by the address only, as the program runs. */
static void warn_of_read(struct emit *e, const char *addr, bool is_str)
{
	em_open(e, "if ((s64)(%s) < 0)", addr);
	em_warning(e, e->at,
		   emf(e,
		       "Bad address\nAdditional Info - helper: probe_read_kernel%s, retcode: -14",
		       is_str ? "_str" : ""));
	em_close(e);
	em_open(e, "else");
	em_warning(e, e->at,
		   emf(e, "Bad address\nAdditional Info - helper: probe_read_user%s, retcode: -14",
		       is_str ? "_str" : ""));
	em_close(e);
}

void em_read(struct emit *e, const char *addr, const char *fmt, ...)
{
	va_list ap;
	char *call;

	va_start(ap, fmt);
	call = xvasprintf(fmt, ap);
	va_end(ap);
	if (e->check_helpers && e->at) {
		em_open(e, "if (%s < 0)", call);
		warn_of_read(e, addr, strncmp(call, "lp_read_str", 11) == 0);
		em_close(e);
	} else {
		em(e, "%s;", call);
	}
	free(call);
}

const char *emf(struct emit *e, const char *fmt, ...)
{
	va_list ap;
	char *text, *out;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	out = arena_strdup(e->arena, text);
	free(text);
	return out;
}

const char *em_tmp(struct emit *e, bool is_signed, const char *fmt, ...)
{
	const char *name = emf(e, "t%d", e->tmp++);
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	em(e, "%s %s = %s;", is_signed ? "s64" : "u64", name, text);
	free(text);
	return name;
}

struct operand opd_value(const char *text)
{
	return (struct operand){.kind = OPD_VALUE, .text = text};
}

struct operand opd_mem(const char *text)
{
	return (struct operand){.kind = OPD_MEM, .text = text};
}

struct operand opd_none(void)
{
	return (struct operand){.kind = OPD_NONE, .text = "0"};
}

const char *em_slot(struct emit *e, uint32_t size)
{
	uint32_t room = pad8(size ? size : 8);

	if (room <= e->s->settings->on_stack_limit && e->stack + room <= STACK_BUDGET) {
		int n = e->tmp++;

		e->stack += room;
		em(e, "u64 slot%d[%u];", n, room / 8);
		return emf(e, "((char *)slot%d)", n);
	}
	return em_scratch(e, size);
}

const char *em_scratch(struct emit *e, uint32_t size)
{
	uint32_t room = pad8(size ? size : 8), at = e->scratch;

	e->scratch += room;
	if (e->scratch > e->scratch_max)
		e->scratch_max = e->scratch;
	if (e->scratch > MAX_SCRATCH && !e->err)
		e->err = diag_fail(e->s->diag, -E2BIG,
				   "a probe needs more than %d bytes of scratch "
				   "memory; shorten its strings (max_strlen)",
				   MAX_SCRATCH);
	return emf(e, "(scr + %u)", at);
}

void em_return(struct emit *e)
{
	if (!e->callback) {
		em(e, "goto out;");
		return;
	}
	em(e, "c[%zu] = 1;", e->callback->n_vars + 1);
	em(e, "r = 1;");
	em(e, "goto done;");
}

/* ---- programs ---- */

static void uses_name(void *ctx, struct node *n)
{
	bool *used = ctx;

	if ((n->kind == N_IDENT || n->kind == N_CALL) &&
	    (strcmp(n->name, "args") == 0 || strcmp(n->name, "probe") == 0 ||
	     strcmp(n->name, "func") == 0 || strncmp(n->name, "arg", 3) == 0))
		*used = true;
}

static void uses_args(void *ctx, struct node *n)
{
	if ((n->kind == N_IDENT || n->kind == N_CALL) &&
	    (strcmp(n->name, "args") == 0 || strcmp(n->name, "uaddr") == 0))
		*(bool *)ctx = true;
}

/* Whether the text differs from match to match. Cookies tell uprobes apart, others need programs.
 */
static bool needs_own_program(const struct sema *s, const struct probe *p, const struct attach *a)
{
	bool used = false;
	bool cookies = (a->kind == PROBE_UPROBE || a->kind == PROBE_URETPROBE) && !s->probe_is_text;

	if (a->n_matches < 2)
		return false;
	if (a->kind == PROBE_USDT)
		used = true; /* where arguments lie differs from site to site */
	node_walk(p->pred, cookies ? uses_args : uses_name, &used);
	node_walk(p->body, cookies ? uses_args : uses_name, &used);
	return used;
}

/* Variables in memory get their place before anything else. */
static void place_variables(struct emit *e, const struct probe *p)
{
	for (struct symbol *v = e->s->vars; v; v = v->next) {
		if (v->probe != p)
			continue;
		if (type_in_register(v->type) || v->type->kind == TY_NONE) {
			em(e, "%s v%d = 0; /* $%s */", v->type->is_signed ? "s64" : "u64", v->id,
			   v->name);
		} else {
			v->slot = e->scratch;
			e->scratch += pad8(v->type->size ? v->type->size : 8);
		}
	}
	if (e->scratch > e->scratch_max)
		e->scratch_max = e->scratch;
}

static void zero_variables(struct emit *e, const struct probe *p)
{
	for (struct symbol *v = e->s->vars; v; v = v->next)
		if (v->probe == p && !type_in_register(v->type) && v->type->kind != TY_NONE)
			em_zero(e, emf(e, "(scr + %u)", v->slot), v->type->size);
}

/* Run by the script itself, whatever happens in the machine. */
static bool is_special(enum probe_kind kind)
{
	return kind == PROBE_BEGIN || kind == PROBE_END || kind == PROBE_SELF ||
	       kind == PROBE_TEST || kind == PROBE_BENCH;
}

static bool has_end(const struct program *prog)
{
	for (const struct probe *p = prog->probes; p; p = p->next)
		for (const struct attach_point *ap = p->points; ap; ap = ap->next)
			if (strcasecmp(ap->text, "end") == 0)
				return true;
	return false;
}

/* What ends the program before it has taken anything. */
static void emit_guard(struct emit *e)
{
	enum probe_kind kind = e->attach->kind;

	if (is_special(kind))
		return;
	/* The kernel lets go of probes some time later: what end probes clear stays clear, and what
	 * was counted when exit() was called stays counted. */
	if (e->may_end || has_end(e->s->prog)) {
		em(e, "if (%s)", em_global(e, GLOBAL_ENDED));
		em(e, "\treturn 0;");
	}
	/* inherited events follow a process's children too */
	if (e->pid && kind != PROBE_INTERVAL && kind != PROBE_ENGINE) {
		em(e, "if (pid_tgid() >> 32 != %d)", (int)e->pid);
		em(e, "\treturn 0;");
	}
}

static void emit_body(struct emit *e, const struct probe *p)
{
	e->at = p->pred ? p->pred : p->body;
	if (p->pred) {
		const char *v = em_value(e, p->pred);

		em(e, "if (!(%s))", v);
		em(e, "\tgoto out;");
	}
	zero_variables(e, p);
	em_block(e, p->body->list);
}

static void emit_line(struct emit *e, const struct node *n)
{
	struct span at = loc_span(n->src, n->loc);

	em(e, "#line %d \"%s\"", at.line, n->src->name);
}

/* A hit of an engine probe may stand for several events: the expression of how many, else "". */
static void emit_rounds(struct emit *e, struct buf *out)
{
	if (e->attach->kind == PROBE_ENGINE && e->engine && !e->err)
		e->engine->rounds(e->engine->ctx, e->attach->engine, out);
}

static int emit_entry(struct emit *e)
{
	if (e->attach->kind != PROBE_ENGINE || !e->engine)
		return 0;
	return e->engine->entry(e->engine->ctx, e->attach->engine, e->attach->target,
				e->attach->func, e->out, e->s->diag);
}

static struct script_program *add_program(struct emit *e, const struct probe *p, size_t count)
{
	struct script_program *prog = arena_alloc(e->arena, sizeof(*prog)), **tail;

	snprintf(prog->name, sizeof(prog->name), "probe_%zu", e->code->n_programs++);
	prog->probe = p;
	prog->attach = e->attach;
	prog->first = e->match;
	prog->n_matches = count;
	for (tail = &e->code->programs; *tail; tail = &(*tail)->next)
		;
	*tail = prog;
	return prog;
}

/* The kernel calls the body for each event: it is made as a callback (emit_loop.c). */
static void open_rounds(struct emit *e, int id)
{
	struct buf *out = &e->code->text;

	buf_printf(out,
		   "int cc_%d(void *index)\n{\n\tu64 *c;\n"
		   "\tasm volatile(\"%%0 = r2\" : \"=r\"(c));\n"
		   "\tvoid *ctx = (void *)c[0];\n\tu32 zero = 0;\n\tu64 left = c[1] - 1;\n"
		   "\tc[1] = left;\n",
		   id);
}

static void close_rounds(struct emit *e, int id, const char *name, const char *rounds)
{
	buf_printf(&e->code->text,
		   "int %s(void *ctx)\n{\n\tu64 rounds = %s, c[2] = {(u64)ctx, rounds};\n"
		   "\tvoid *f;\n\tasm volatile(\"%%0 = 0x%llx ll\" : \"=r\"(f));\n"
		   "\tloop_rounds(rounds, f, c, 0);\n\treturn 0;\n}\n\n",
		   name, rounds, (unsigned long long)CALLBACK_MARK << 32 | (unsigned)id);
}

static void emit_program(struct emit *e, const struct probe *p)
{
	struct script_program *prog = add_program(e, p, e->n_matches);
	struct buf head = {0}, body = {0}, rounds = {0}, entry = {0}, guard = {0};
	struct script_code *code = e->code;
	int id = 0;

	e->stack = e->scratch = e->scratch_max = 0;
	e->indent = 1;
	e->tmp = 0;
	e->out = &head;
	place_variables(e, p);
	e->out = &entry;
	if (!e->err)
		e->err = emit_entry(e);
	e->out = &guard;
	emit_guard(e);
	e->out = &body;
	emit_rounds(e, &rounds);
	emit_line(e, p->body);
	emit_body(e, p);
	buf_add(&code->text, code->callbacks.data, code->callbacks.len);
	buf_reset(&code->callbacks);
	if (rounds.len)
		open_rounds(e, id = (int)code->n_callbacks++);
	else
		buf_printf(&code->text, "int %s(void *ctx)\n{\n\tu32 zero = 0;\n%s", prog->name,
			   e->attach->kind == PROBE_ENGINE ? "\tu64 left = 0;\n" : "");
	buf_add(&code->text, head.data, head.len);
	buf_add(&code->text, guard.data, guard.len);
	buf_add(&code->text, entry.data, entry.len);
	if (e->scratch_max)
		buf_puts(&code->text, "\tu32 nest = 0;\n\tchar *scr = lp_scratch(&nest);\n"
				      "\tif (!scr)\n\t\treturn 0;\n");
	buf_printf(&code->text, "%sout:\n%s\treturn 0;\n}\n\n", buf_str(&body),
		   e->scratch_max ? "\t*(u64 *)(scr - 8) = 0;\n" : "");
	if (rounds.len)
		close_rounds(e, id, prog->name, buf_str(&rounds));
	if (e->scratch_max > code->scratch_size)
		code->scratch_size = e->scratch_max;
	buf_free(&head);
	buf_free(&body);
	buf_free(&rounds);
	buf_free(&entry);
	buf_free(&guard);
}

struct match_name {
	UT_hash_handle hh;
	const char *name;
	uint32_t first;
};

/* The number of the first match with this name; `n` when it is new. */
static uint32_t first_of_name(struct emit *e, struct match_name **names, const char *name,
			      uint32_t n)
{
	struct match_name *known;

	if (!name)
		return n;
	HASH_FIND_STR(*names, name, known);
	if (known)
		return known->first;
	known = arena_alloc(e->arena, sizeof(*known));
	known->name = name;
	known->first = n;
	HASH_ADD_KEYPTR(hh, *names, known->name, strlen(name), known);
	return n;
}

/* Returns the number of the attach point's first match. */
static size_t add_cookies(struct emit *e, const struct attach *a)
{
	struct script_code *c = e->code;
	size_t first = c->n_matches;

	for (const struct probe_match *m = a->matches; m; m = m->next) {
		size_t n = c->n_matches;
		uint64_t func = first_of_name(e, &c->func_names, m->func, (uint32_t)n);

		*VEC_PUSH(c->matches, c->n_matches, c->cap_matches) = m;
		*VEC_PUSH(c->cookies, n, c->cap_cookies) =
			func << 32 |
			first_of_name(e, &c->probe_names, m->name, (uint32_t)c->n_matches - 1);
	}
	return first;
}

static void sees_end(void *ctx, struct node *n)
{
	if (n->builtin && (n->builtin->flags & BUILTIN_ENDS))
		*(bool *)ctx = true;
}

static bool may_end(const struct probe_plan *plans, size_t n)
{
	bool seen = false;

	for (size_t i = 0; i < n; i++) {
		node_walk(plans[i].probe->pred, sees_end, &seen);
		node_walk(plans[i].probe->body, sees_end, &seen);
	}
	return seen;
}

static void emit_attach(struct emit *e, const struct probe *p, const struct attach *a)
{
	size_t n = add_cookies(e, a);

	e->attach = a;
	e->first_cookie = a->matches ? e->code->cookies[n] : 0;
	if (!needs_own_program(e->s, p, a)) {
		e->match = a->matches;
		e->n_matches = a->n_matches;
		if (a->matches && sema_retype(e->s, p, a, a->matches) == 0)
			emit_program(e, p);
		else if (a->matches && !e->err)
			e->err = -EINVAL;
		return;
	}
	for (const struct probe_match *m = a->matches; m && !e->err; m = m->next, n++) {
		e->match = m;
		e->first_cookie = e->code->cookies[n];
		e->n_matches = 1;
		if (sema_retype(e->s, p, a, m) == 0)
			emit_program(e, p);
		else
			e->err = -EINVAL;
	}
}

int emit_script(struct sema *s, struct probe_plan *plans, size_t n, const struct emit_opts *o,
		struct script_code *code)
{
	struct emit e = {.s = s,
			 .arena = s->arena,
			 .code = code,
			 .engine = o->engine,
			 .pid = o->pid,
			 .check_helpers = o->check_helpers,
			 .offline = o->offline,
			 .may_end = may_end(plans, n)};

	code->action_tail = &code->actions;
	buf_printf(&code->text, "#define WAKE_BYTES %llu\n", (unsigned long long)o->wake_bytes);
	buf_printf(&code->text, "#define SCRATCH_LEVELS %d\n", SCRATCH_LEVELS);
	e.err = data_file_include(&code->text, "probes/lean.h", s->diag);
	if (!e.err)
		e.err = data_file_include(&code->text, "probes/script.h", s->diag);
	if (o->engine)
		o->engine->prologue(o->engine->ctx, &code->text);
	for (size_t i = 0; i < n && !e.err; i++)
		for (struct attach *a = plans[i].attaches; a && !e.err; a = a->next)
			emit_attach(&e, plans[i].probe, a);
	if (!e.err && code->n_programs > s->settings->max_bpf_progs)
		e.err = diag_fail(
			s->diag, -E2BIG,
			"the script makes %zu programs, more than max_bpf_progs (%llu); raise "
			"it with config = { max_bpf_progs = %zu } or BPFTRACE_MAX_BPF_PROGS",
			code->n_programs, (unsigned long long)s->settings->max_bpf_progs,
			code->n_programs);
	return e.err;
}

void script_code_free(struct script_code *code)
{
	buf_free(&code->text);
	buf_free(&code->callbacks);
	HASH_CLEAR(hh, code->probe_names);
	HASH_CLEAR(hh, code->func_names);
	free(code->matches);
	free(code->cookies);
}
