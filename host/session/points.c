/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points and layouts that mean the same share a number. An engine may load a dozen variants of one
 * library to choose among them: they all get the same BPF text, and so the same module.
 */
#include "session/internal.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static char *layout_text(const struct plan_layout *l)
{
	cJSON *json = layout_to_json(l->layout);
	char *text = cJSON_PrintUnformatted(json);

	cJSON_Delete(json);
	return text;
}

static void learn_layouts(struct session *s)
{
	struct plan_mark m = plan_mark(s->plan);

	while (s->n_layout_ids < m.layouts) {
		size_t i = s->n_layout_ids, same = 0;
		struct session_layout *l =
			VEC_PUSH(s->layout_ids, s->n_layout_ids, s->cap_layout_ids);

		l->text = layout_text(plan_layout(s->plan, i));
		while (strcmp(s->layout_ids[same].text, l->text) != 0)
			same++;
		l->id = same;
	}
}

int session_layout_id(struct session *s, int layout)
{
	if (layout < 0)
		return layout;
	learn_layouts(s);
	return (int)s->layout_ids[layout].id;
}

/* The end of a call or graph is known by the number before its own, that of its begin. */
static bool same_begin(const struct session *s, const struct plan_point *a,
		       const struct plan_point *b)
{
	if ((strcmp(a->event, "call_end") != 0 && strcmp(a->event, "graph_end") != 0) || a == b)
		return true;
	return a->id && b->id && s->point_ids[a->id - 1] == s->point_ids[b->id - 1];
}

/* Whichever function shows a scheduler: what is read of it is the same. */
static bool same_symbol(const struct plan_point *a, const struct plan_point *b)
{
	return strcmp(a->symbol, b->symbol) == 0 || strcmp(a->event, "scheduler_seen") == 0;
}

static bool same_point(struct session *s, const struct plan_point *a, const struct plan_point *b)
{
	if (a->level != b->level || a->n_args != b->n_args || strcmp(a->event, b->event) != 0 ||
	    !same_symbol(a, b) || strcmp(a->kind, b->kind) != 0 ||
	    strcmp(a->backend, b->backend) != 0 ||
	    session_layout_id(s, a->layout) != session_layout_id(s, b->layout) ||
	    !same_begin(s, a, b))
		return false;
	for (size_t i = 0; i < a->n_args; i++)
		if (strcmp(a->args[i].name, b->args[i].name) != 0 ||
		    strcmp(a->args[i].expr, b->args[i].expr) != 0)
			return false;
	return true;
}

unsigned session_point_id(struct session *s, unsigned point)
{
	struct plan_mark m = plan_mark(s->plan);

	while (s->n_point_ids < m.points) {
		unsigned i = (unsigned)s->n_point_ids, same = 0;

		while (!same_point(s, plan_point(s->plan, same), plan_point(s->plan, i)))
			same++;
		*VEC_PUSH(s->point_ids, s->n_point_ids, s->cap_point_ids) = same;
	}
	return s->point_ids[point];
}

void session_points_free(struct session *s)
{
	for (size_t i = 0; i < s->n_layout_ids; i++)
		free(s->layout_ids[i].text);
	free(s->layout_ids);
	free(s->point_ids);
}
