/* SPDX-License-Identifier: Apache-2.0 */
/* Records to user space: number, then the arguments, each on 8 bytes. */
#include <stdlib.h>
#include <string.h>

#include "script/fn/builtin.h"

struct action *em_action(struct emit *e, const struct builtin *b, const struct node *n)
{
	struct action *a = arena_alloc(e->arena, sizeof(*a));

	a->id = (int)e->code->n_actions++;
	a->builtin = b;
	a->node = n;
	a->at_end = e->attach->kind == PROBE_END;
	*e->code->action_tail = a;
	e->code->action_tail = &a->next;
	return a;
}

void em_action_arg(struct emit *e, struct action *a, const struct type *type)
{
	struct action_arg *args = arena_alloc(e->arena, (a->n_args + 1) * sizeof(*args));

	if (a->n_args)
		memcpy(args, a->args, a->n_args * sizeof(*args));
	args[a->n_args].type = type;
	args[a->n_args++].offset = a->size;
	a->args = args;
	a->size += pad8(type_in_register(type) ? 8 : type->size);
}

/* Set together with the record that tells the host, so that neither comes without the other. */
static void em_end(struct emit *e)
{
	em_set_global(e, GLOBAL_ENDED, "1");
}

/* Values in registers are worked out before there is a record that could get lost half-filled. */
void em_send(struct emit *e, struct action *a, struct node *const *args)
{
	const char **values = arena_alloc(e->arena, (a->n_args + 1) * sizeof(*values));
	int id = e->tmp++;

	for (size_t i = 0; i < a->n_args; i++)
		if (type_in_register(a->args[i].type))
			values[i] = em_tmp(e, false, "%s", em_value(e, args[i]));
	em(e, "u64 *r%d = ring_reserve(EXTERN_MAP(%d), %u, 0);", id, EXTERN_RING, a->size + 8);
	em_open(e, "if (!r%d)", id);
	em(e, "lp_lost();");
	em_close(e);
	em_open(e, "else");
	em(e, "r%d[0] = %d;", id, a->id);
	for (size_t i = 0; i < a->n_args; i++) {
		const char *dst = emf(e, "((char *)r%d + %u)", id, 8 + a->args[i].offset);

		if (values[i])
			em(e, "*(u64 *)%s = %s;", dst, values[i]);
		else
			em_into(e, args[i], dst, a->args[i].type);
	}
	if (a->ends) {
		em_end(e);
		em(e, "ring_submit(r%d, 2);", id);
	} else {
		em(e, "lp_submit(r%d);", id);
	}
	em_close(e);
}

void em_warning(struct emit *e, const struct node *at, const char *text)
{
	struct action *a = em_action(e, NULL, at);

	a->is_warning = true;
	a->text = text;
	em_send(e, a, NULL);
}

int em_stack_map(struct emit *e, bool kernel, bool build_id, uint32_t limit)
{
	struct stack_map *m;

	for (m = e->code->stacks; m; m = m->next)
		if (m->kernel == kernel && m->build_id == build_id && m->limit == limit)
			return m->id;
	m = arena_alloc(e->arena, sizeof(*m));
	*m = (struct stack_map){kernel, build_id, limit, (int)e->code->n_stacks++, e->code->stacks};
	e->code->stacks = m;
	return m->id;
}
