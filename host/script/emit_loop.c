/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loops over maps: bpf_for_each_map_elem with a callback. libbcc knows no callbacks, so each is
 * emitted as a program of its own and joined to its caller when it is loaded (callback.h). Its
 * further arguments are taken from the registers first of all: libbcc would read declared ones out
 * of a register struct. Register variables travel in an array on the
 * caller's stack: c[0..n-1] values, c[n] the program's context, c[n+1] set when the script
 * returned.
 */
#include <string.h>

#include "script/builtin.h"
#include "script/callback.h"

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

static void open_callback(struct emit *e, const struct callback *cb)
{
	buf_printf(e->out, "int cb_%d(void *map)\n{\n", cb->id);
	em(e, "u64 *key, *value, *c;");
	em(e, "asm volatile(\"%%0 = r2\\n\\t%%1 = r3\\n\\t%%2 = r4\" : \"=&r\"(key), "
	      "\"=&r\"(value), \"=&r\"(c));");
	em(e, "void *ctx = (void *)c[%zu];", cb->n_vars);
	em(e, "u32 zero = 0;");
	em(e, "int r = 0;");
	em(e, "char *scr = map_lookup(EXTERN_MAP(%d), &zero);", EXTERN_SCRATCH);
	em(e, "if (!scr)");
	em(e, "\treturn 1;");
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
	open_callback(e, cb);
	transfer(e, "c", true, true);
	fill_pair(e, n->a->sym, n->b->sym);
	em_block(e, n->c->list);
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

static const char *callback_address(struct emit *e, int id)
{
	int t = e->tmp++;

	em(e, "void *f%d;", t);
	em(e, "asm volatile(\"%%0 = 0x%llx ll\" : \"=r\"(f%d));",
	   (unsigned long long)CALLBACK_MARK << 32 | (unsigned)id, t);
	return emf(e, "f%d", t);
}

void em_for_map(struct emit *e, struct node *n)
{
	struct callback cb = {(int)e->code->n_callbacks++, count_vars(e)};
	const char *array = emf(e, "c%d", e->tmp++);

	/* the scratch area must be there, also when the pair is all that lies in it */
	if (e->scratch_max < 8)
		e->scratch_max = 8;
	emit_callback(e, n, &cb);
	em(e, "u64 %s[%zu];", array, cb.n_vars + 2);
	transfer(e, array, false, false);
	em(e, "%s[%zu] = (u64)ctx;", array, cb.n_vars);
	em(e, "%s[%zu] = 0;", array, cb.n_vars + 1);
	em(e, "for_each_elem(%s, %s, %s, 0);", em_map(e, n->b->sym), callback_address(e, cb.id),
	   array);
	transfer(e, array, true, false);
	em_open(e, "if (%s[%zu])", array, cb.n_vars + 1);
	em_return(e);
	em_close(e);
}

/* The helper returns how many elements it has visited. */
const char *em_map_len(struct emit *e, const struct symbol *m)
{
	int id = (int)e->code->n_callbacks++;

	buf_printf(&e->code->callbacks, "int cb_%d(void *map)\n{\n\treturn 0;\n}\n\n", id);
	return em_tmp(e, true, "for_each_elem(%s, %s, 0, 0)", em_map(e, m),
		      callback_address(e, id));
}
