/* SPDX-License-Identifier: Apache-2.0 */
#include "script/engine/engine_probe.h"

#include <string.h>

#include "util/text.h"

#define INT(n, h)                                                                                  \
	{                                                                                          \
		n, ENGINE_ARG_INT, h                                                               \
	}
#define STR(n, h)                                                                                  \
	{                                                                                          \
		n, ENGINE_ARG_STRING, h                                                            \
	}
#define INT4(n, h)                                                                                 \
	{                                                                                          \
		n, ENGINE_ARG_INT4, h                                                              \
	}

#define TENSOR_ARGS                                                                                \
	STR("name", "tensor name"), INT("layer", "number in the name, -1: none"),                  \
		STR("op", "operator, MUL_MAT"), STR("type", "element type, f16"),                  \
		INT4("ne", "elements per dimension"), INT("tensor", "address, an identity"),       \
		STR("backend", "backend that computes it"),                                        \
		INT("thread_index", "worker, 0 leads"), INT("tid", "thread that computes it"),     \
		INT("cpu", "CPU it runs on")

const struct engine_event typed_events[] = {
	{"token",
	 "begin",
	 false,
	 false,
	 "a decode or encode call starts",
	 {STR("phase", "prefill, decode or encode"), INT("n_tokens", "tokens in the batch"),
	  INT("context", "address of the context"), INT("token_id", "running number of the call"),
	  INT("cpu", "CPU it runs on")}},
	{"token",
	 "end",
	 false,
	 false,
	 "a decode or encode call returned",
	 {STR("phase", "prefill, decode or encode"), INT("n_tokens", "tokens in the batch"),
	  INT("context", "address of the context"), INT("token_id", "running number of the call"),
	  INT("dur_ns", "ns from begin"), INT("ret", "return value, 0 is good"),
	  INT("cpu", "CPU it runs on")}},
	{"graph",
	 "begin",
	 false,
	 false,
	 "a backend starts to compute a graph",
	 {STR("backend", "backend"), INT("n_nodes", "nodes of the graph"),
	  INT("graph", "address, an identity"), STR("phase", "of the token call around it"),
	  INT("n_tokens", "of the token call around it"), INT("token_id", "of the token call"),
	  INT("cpu", "CPU it runs on")}},
	{"graph",
	 "end",
	 false,
	 false,
	 "a backend has computed a graph",
	 {STR("backend", "backend"), INT("n_nodes", "nodes of the graph"),
	  INT("graph", "address, an identity"), INT("dur_ns", "ns from begin"),
	  STR("phase", "of the token call around it"), INT("n_tokens", "of the token call"),
	  INT("token_id", "of the token call"), INT("cpu", "CPU it runs on")}},
	{"op",
	 "begin",
	 true,
	 false,
	 "a worker thread starts an operator",
	 {TENSOR_ARGS, STR("phase", "of the token call"), INT("n_tokens", "of the token call"),
	  INT("token_id", "of the token call")}},
	{"op",
	 "end",
	 true,
	 false,
	 "a worker thread is past an operator and its barrier",
	 {TENSOR_ARGS, STR("phase", "of the token call"), INT("n_tokens", "of the token call"),
	  INT("token_id", "of the token call"), INT("dur_ns", "ns of compute"),
	  INT("wait_ns", "ns of barrier wait after it")}},
	{"expert",
	 "select",
	 false,
	 false,
	 "a mixture-of-experts layer chose an expert for a token",
	 {STR("name", "tensor that multiplies by the experts, ffn_moe_gate-3"),
	  INT("expert", "index of the expert"), INT("slot", "rank of the choice, from 0"),
	  INT("token_index", "row within the batch"), STR("phase", "of the token call"),
	  INT("n_tokens", "of the token call"), INT("token_id", "of the token call"),
	  INT("cpu", "CPU it runs on")}},
	{"sched",
	 "offcpu",
	 false,
	 true,
	 "a thread of the target is put on a CPU again after it was off",
	 {INT("tid", "thread that is back"), STR("comm", "its name"), INT("dur_ns", "ns off CPU"),
	  INT("state", "it left: 0 preempted, 1 asleep, 2 in uninterruptible sleep"),
	  INT("by_tid", "thread that took its CPU"), STR("by_comm", "its name"),
	  INT("cpu", "CPU it is back on")}},
	{"sched",
	 "wakeup",
	 false,
	 true,
	 "a thread of the target is woken",
	 {INT("tid", "thread woken"), STR("comm", "its name"),
	  INT("target_cpu", "CPU it will run on"), INT("by_tid", "thread that wakes it"),
	  STR("by_comm", "its name"), INT("cpu", "CPU of the waker")}},
	{NULL, NULL, false, false, NULL, {{NULL, 0, NULL}}},
};

const struct engine_event *engine_event_find(const char *provider, const char *event)
{
	for (const struct engine_event *e = typed_events; e->provider; e++)
		if (strcmp(e->provider, provider) == 0 && strcmp(e->event, event) == 0)
			return e;
	return NULL;
}

const char *engine_event_nearest(const char *provider, const char *event)
{
	const char *names[8];
	size_t n = 0;

	for (const struct engine_event *e = typed_events; e->provider && n < 8; e++)
		if (strcmp(e->provider, provider) == 0)
			names[n++] = e->event;
	return text_nearest_of(event, names, n);
}

static const char *arg_lines(struct arena *arena, const struct engine_event *e)
{
	const char *lines = "";

	for (const struct engine_arg *a = e->args; a->name; a++)
		lines = arena_printf(arena, "%s    %s %s%s\n", lines,
				     a->kind == ENGINE_ARG_STRING ? "string" : "int64", a->name,
				     a->kind == ENGINE_ARG_INT4 ? "[4]" : "");
	return lines;
}

const struct type *engine_event_args(struct type_table *t, const struct engine_event *e)
{
	struct type *st = type_alloc(t, TY_STRUCT);

	st->name = arena_printf(type_table_arena(t), "struct %s_%s_args", e->provider, e->event);
	st->fields = arena_alloc(type_table_arena(t), sizeof(*st->fields));
	st->fields->complete = true;
	for (const struct engine_arg *a = e->args; a->name; a++) {
		struct field *f = fields_add(t, st->fields);

		f->name = a->name;
		f->offset = st->size;
		if (a->kind == ENGINE_ARG_STRING)
			f->type = type_string(t, 64);
		else if (a->kind == ENGINE_ARG_INT4)
			f->type = type_array(t, &type_i64, 4);
		else
			f->type = &type_i64;
		st->size += (f->type->size + 7) & ~7u;
	}
	st->fields->listing = arg_lines(type_table_arena(t), e);
	return st;
}
