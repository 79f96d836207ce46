/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops over maps: bpf_for_each_map_elem with a callback. libbcc knows no callbacks, so each is
 * emitted as a program of its own and joined to its caller when it is loaded (callback.h). Its
 * further arguments are taken from the registers first of all: libbcc would read declared ones out
 * of a register struct. Register variables travel in an array on the
 * caller's stack: c[0..n-1] values, c[n] the program's context, c[n+1] set when the script
 * returned, c[n+2] the next number of a range, c[n+3] which scratch area is in use.
 */
#include <string.h>

#include "script/fn/builtin.h"
#include "bpf/callback.h"

/* What the kernel allows a loop. */
enum { LOOP_ROUNDS = 1 << 23 };

void em_break(struct emit *e)
{
	if (e->callback && !e->inner_loops) {
		em(e, "r = 1;");
		em(e, "goto done;");
	} else {
		em(e, "break;");
	}
}

void em_continue(struct emit *e)
{
	em(e, e->callback && !e->inner_loops ? "goto done;" : "continue;");
}

static bool travels(const struct emit *e, const struct symbol *v)
{
	return v->probe == e->s->probe && (type_in_register(v->type) || v->type->kind == TY_NONE);
}

static size_t count_vars(const struct emit *e)
{
	size_t n = 0;

	for (const struct symbol *v = e->s->vars; v; v = v->next)
		n += travels(e, v);
	return n;
}

/* v = c[i] or c[i] = v for all of them */
static void transfer(struct emit *e, const char *array, bool in, bool declare)
{
	size_t i = 0;

	for (const struct symbol *v = e->s->vars; v; v = v->next) {
		if (!travels(e, v))
			continue;
		if (in)
			em(e, "%sv%d = %s[%zu];",
			   !declare		? ""
			   : v->type->is_signed ? "s64 "
						: "u64 ",
			   v->id, array, i++);
		else
			em(e, "%s[%zu] = v%d;", array, i++, v->id);
	}
}

/* What all callbacks need: the array in `c`, the context, the scratch area. */
static void open_frame(struct emit *e, const struct callback *cb)
{
	em(e, "void *ctx = (void *)c[%zu];", cb->n_vars);
	em(e, "u32 zero = 0, nest = c[%zu];", cb->n_vars + 3);
	em(e, "int r = 0;");
	em(e, "char *scr = map_lookup(EXTERN_MAP(%d), &nest);", EXTERN_SCRATCH);
	em(e, "if (!scr)");
	em(e, "\treturn 1;");
	em(e, "scr += 8;");
	transfer(e, "c", true, true);
}

static void open_callback(struct emit *e, const struct node *n, const struct callback *cb)
{
	if (n->kind != N_FOR_MAP) {
		buf_printf(e->out, "int cc_%d(void *index)\n{\n", cb->id);
		em(e, "u64 *c;");
		em(e, "asm volatile(\"%%0 = r2\" : \"=r\"(c));");
		open_frame(e, cb);
		return;
	}
	buf_printf(e->out, "int cb_%d(void *map)\n{\n", cb->id);
	em(e, "u64 *key, *value, *c;");
	em(e, "asm volatile(\"%%0 = r2\\n\\t%%1 = r3\\n\\t%%2 = r4\" : \"=&r\"(key), "
	      "\"=&r\"(value), \"=&r\"(c));");
	open_frame(e, cb);
}

/* The pair ($kv.0, $kv.1) of the element. */
static void fill_pair(struct emit *e, const struct symbol *kv, const struct symbol *m)
{
	const struct type *pair = kv->type, *key = pair->fields->v[0].type;
	const char *at = emf(e, "(scr + %u)", kv->slot);
	const char *value = emf(e, "(scr + %u)", kv->slot + pair->fields->v[1].offset);

	em_copy(e, at, "((char *)key)", type_in_register(key) ? 8 : key->size);
	if (type_is_aggregate(m->type->kind))
		em(e, "*(u64 *)%s = %s;", value, em_agg_at(e, m, at));
	else
		em_copy(e, value, "((char *)value)", type_in_register(m->type) ? 8 : m->type->size);
}

/* One round: for a map the pair, for a range its next number, for while the condition. */
static void emit_round(struct emit *e, struct node *n, const struct callback *cb)
{
	switch (n->kind) {
	case N_FOR_MAP:
		fill_pair(e, n->a->sym, n->b->sym);
		em_block(e, n->c->list);
		break;
	case N_FOR_RANGE:
		em(e, "v%d = c[%zu];", n->a->sym->id, cb->n_vars + 2);
		em(e, "c[%zu] += 1;", cb->n_vars + 2);
		em_block(e, n->c->list);
		break;
	default:
		em_open(e, "if (!(%s))", em_value(e, n->a));
		em(e, "r = 1;");
		em(e, "goto done;");
		em_close(e);
		em_block(e, n->b->list);
	}
}

static void emit_callback(struct emit *e, struct node *n, struct callback *cb)
{
	struct callback *outer = e->callback;
	struct buf *out = e->out, body = {0};
	int indent = e->indent, loops = e->inner_loops;
	uint32_t stack = e->stack;

	e->callback = cb;
	e->out = &body;
	e->indent = 1;
	e->inner_loops = 0;
	e->stack = 0;
	open_callback(e, n, cb);
	emit_round(e, n, cb);
	e->indent = 0;
	em(e, "done:");
	e->indent = 1;
	transfer(e, "c", false, false);
	em(e, "return r;");
	buf_puts(e->out, "}\n\n");
	buf_add(&e->code->callbacks, body.data, body.len);
	buf_free(&body);
	e->out = out;
	e->indent = indent;
	e->inner_loops = loops;
	e->stack = stack;
	e->callback = outer;
}

const char *em_callback_address(struct emit *e, int id)
{
	int t = e->tmp++;

	em(e, "void *f%d;", t);
	em(e, "asm volatile(\"%%0 = 0x%llx ll\" : \"=r\"(f%d));",
	   (unsigned long long)CALLBACK_MARK << 32 | (unsigned)id, t);
	return emf(e, "f%d", t);
}

/*
 * A zero that the verifier does not know. Variables that start as known numbers would be followed
 * through each round, and a long loop taken for a program that is too large.
 */
static const char *unknown_zero(struct emit *e)
{
	int n = e->tmp++;

	em(e, "u64 *z%d = map_lookup(EXTERN_MAP(%d), &zero);", n, EXTERN_GLOBALS);
	em_open(e, "if (!z%d)", n);
	em_return(e);
	em_close(e);
	return em_tmp(e, false, "z%d[%d]", n, GLOBAL_ZERO);
}

/* Emits the body; returns the array that the call takes, already filled. */
static const char *open_loop(struct emit *e, struct node *n, struct callback *cb)
{
	const char *array = emf(e, "c%d", e->tmp++), *z = unknown_zero(e);

	cb->id = (int)e->code->n_callbacks++;
	cb->n_vars = count_vars(e);
	/* the scratch area must be there, whatever lies in it */
	if (e->scratch_max < 8)
		e->scratch_max = 8;
	emit_callback(e, n, cb);
	em(e, "u64 %s[%zu];", array, cb->n_vars + 4);
	transfer(e, array, false, false);
	em(e, "%s[%zu] = (u64)ctx;", array, cb->n_vars);
	em(e, "%s[%zu] = 0;", array, cb->n_vars + 1);
	em(e, "%s[%zu] = %s;", array, cb->n_vars + 2, z);
	em(e, "%s[%zu] = nest;", array, cb->n_vars + 3);
	for (size_t i = 0; i < cb->n_vars; i++)
		em(e, "%s[%zu] += %s;", array, i, z);
	return array;
}

static void close_loop(struct emit *e, const char *array, const struct callback *cb)
{
	transfer(e, array, true, false);
	em_open(e, "if (%s[%zu])", array, cb->n_vars + 1);
	em_return(e);
	em_close(e);
}

void em_for_map(struct emit *e, struct node *n)
{
	struct callback cb;
	const char *array = open_loop(e, n, &cb);

	em(e, "for_each_elem(%s, %s, %s, 0);", em_map(e, n->b->sym), em_callback_address(e, cb.id),
	   array);
	close_loop(e, array, &cb);
}

void em_counted_loop(struct emit *e, struct node *n, const char *from, const char *to)
{
	struct callback cb;
	const char *array, *rounds = emf(e, "%d", LOOP_ROUNDS), *done;

	if (from)
		rounds = em_tmp(e, false, "%s < %s ? (u64)%s - (u64)%s : 0", from, to, to, from);
	array = open_loop(e, n, &cb);
	if (from) {
		em(e, "%s[%zu] += %s;", array, cb.n_vars + 2, from);
		em_open(e, "if (%s > %d)", rounds, LOOP_ROUNDS);
		em_warning(e, n, "A loop ends after 8388608 rounds.");
		em(e, "%s = %d;", rounds, LOOP_ROUNDS);
		em_close(e);
	}
	done = em_tmp(e, true, "loop_rounds(%s, %s, %s, 0)", rounds, em_callback_address(e, cb.id),
		      array);
	if (!from) {
		em_open(e, "if (%s == %d)", done, LOOP_ROUNDS);
		em_warning(e, n, "A loop ends after 8388608 rounds.");
		em_close(e);
	}
	close_loop(e, array, &cb);
}

/* The helper returns how many elements it has visited. */
const char *em_map_len(struct emit *e, const struct symbol *m)
{
	int id = (int)e->code->n_callbacks++;

	buf_printf(&e->code->callbacks, "int cb_%d(void *map)\n{\n\treturn 0;\n}\n\n", id);
	return em_tmp(e, true, "for_each_elem(%s, %s, 0, 0)", em_map(e, m),
		      em_callback_address(e, id));
}
