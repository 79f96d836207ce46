/* SPDX-License-Identifier: Apache-2.0 */
/* The dated table of known layouts: fills what the file did not tell and checks what it did. */
#include <string.h>

#include "target/layout_impl.h"
#include "util/alloc.h"

/* Eras of struct ggml_tensor. */
enum era { ERA_0, ERA_1, ERA_2, ERA_3, ERA_4, ERA_5, ERA_6, ERA_7, ERA_8, ERA_9, ERA_10, ERA_11 };

/* A value of -1: the field does not exist in that era. */
struct row {
	enum era era;
	const char *dates;
	int16_t ne_width, buffer, ne, nb, op, op_params, flags, src, n_src;
	int16_t view_src, data, name, name_len, extra, size;
	int16_t ops_min, ops_max; /* number of operators in that era, 0: no limit */
};

static const struct row rows[] = {
	{ERA_0, "2022-09 to 2023-04", 4, -1, 8, 24, 56, -1, 60, 72, 2, -1, 144, -1, 0, -1, 160, 0,
	 0},
	{ERA_1, "2023-04 to 2023-05", 8, -1, 8, 40, 72, -1, 76, 88, 6, -1, 160, -1, 0, -1, 176, 0,
	 0},
	{ERA_2, "May 2023", 8, -1, 8, 40, 72, -1, 76, 88, 6, -1, 160, 168, 32, -1, 208, 0, 0},
	{ERA_3, "2023-05 to 2023-06", 8, -1, 16, 48, 80, -1, 84, 96, 6, -1, 168, 176, 32, 208, 224,
	 0, 0},
	{ERA_3, "2023-06 to 2023-07", 8, -1, 16, 48, 80, -1, 84, 96, 6, -1, 168, 176, 48, 224, 240,
	 0, 0},
	{ERA_4, "2023-07 to 2023-08", 8, -1, 16, 48, 80, 84, 116, 128, 6, -1, 200, 208, 48, 256,
	 272, 0, 67},
	{ERA_4, "2023-08 to 2023-09", 8, -1, 16, 48, 80, 84, 116, 128, 6, -1, 200, 208, 64, 272,
	 288, 68, 0},
	{ERA_5, "2023-09 to 2023-10", 8, -1, 16, 48, 80, 84, 116, 128, 6, 200, 216, 224, 64, 288,
	 304, 68, 0},
	{ERA_6, "2023-10 to 2023-11", 8, 8, 24, 56, 88, 92, 124, 136, 6, 208, 224, 232, 64, 296,
	 320, 0, 0},
	{ERA_7, "2023-11 to 2023-12", 8, 8, 24, 56, 88, 92, 156, 168, 6, 240, 256, 264, 64, 328,
	 352, 0, 73},
	{ERA_8, "December 2023", 8, 8, 24, 56, 88, 92, 156, 168, 10, 272, 288, 296, 64, 360, 384,
	 72, 72},
	{ERA_9, "2023-12 to 2024-06", 8, 8, 16, 48, 80, 84, 148, 160, 10, 264, 280, 288, 64, 352,
	 368, 0, 77},
	{ERA_10, "2024-06 to 2024-11", 8, 8, 16, 48, 80, 84, 148, 160, 10, 240, 256, 264, 64, 328,
	 336, 74, 0},
	{ERA_11, "since 2024-11", 8, 8, 16, 48, 80, 84, 148, 152, 10, 232, 248, 256, 64, 320, 336,
	 0, 0},
};

static bool agrees(const struct infer *in, enum layout_field f, int value)
{
	return !infer_has(in, f) || layout_get(in->l, f) == value;
}

/* Files with symbols show by them whether tensors have names yet. A linker may have dropped the
 * functions that nobody calls, so their absence tells something only where names began. */
static bool name_agrees(const struct infer *in, const struct row *r)
{
	bool named = infer_has_symbol(in, "ggml_get_name") ||
		     infer_has_symbol(in, "ggml_set_name") ||
		     infer_has_symbol(in, "ggml_format_name");

	if (r->name < 0)
		return !named;
	return named || r->era > ERA_2 || !infer_has_symbol(in, "ggml_nelements");
}

static bool fits(const struct infer *in, const struct row *r)
{
	return name_agrees(in, r) && agrees(in, LAYOUT_TENSOR_NE_WIDTH, r->ne_width) &&
	       agrees(in, LAYOUT_TENSOR_NE, r->ne) && agrees(in, LAYOUT_TENSOR_NB, r->nb) &&
	       agrees(in, LAYOUT_TENSOR_OP, r->op) && agrees(in, LAYOUT_TENSOR_SRC, r->src) &&
	       agrees(in, LAYOUT_TENSOR_DATA, r->data) && agrees(in, LAYOUT_TENSOR_NAME, r->name) &&
	       agrees(in, LAYOUT_TENSOR_VIEW_SRC, r->view_src);
}

/* Number of operators: a fork may add some, so it only decides between eras that fit. */
static bool ops_agree(const struct infer *in, const struct row *r)
{
	int ops = (int)in->l->n_ops;

	return (!r->ops_min || ops >= r->ops_min) && (!r->ops_max || ops <= r->ops_max);
}

/* Where the struct's last field is, when names are `len` bytes long. */
static int extra_behind(int name, int len)
{
	return (name + len + 7) & ~7;
}

/* The whole struct's size, which a fork may have changed, too. */
static bool size_agrees(const struct infer *in, const struct row *r)
{
	int len = layout_get(in->l, LAYOUT_TENSOR_NAME_LEN), size = r->size;

	if (!infer_has(in, LAYOUT_TENSOR_SIZE) || r->era <= ERA_3)
		return true;
	if (len >= 0)
		size += extra_behind(r->name, len) - r->extra;
	return layout_get(in->l, LAYOUT_TENSOR_SIZE) == size;
}

/* The newest row that fits; `*others` counts the older eras that fit as well. */
static const struct row *find_fitting(const struct infer *in, bool hints, int *others)
{
	const struct row *found = NULL;

	*others = 0;
	for (size_t i = ARRAY_LEN(rows); i-- > 0;) {
		const struct row *r = &rows[i];

		if (!fits(in, r) || (hints && !(ops_agree(in, r) && size_agrees(in, r))))
			continue;
		if (!found)
			found = r;
		else if (r->era != found->era)
			(*others)++;
		else if (layout_get(in->l, LAYOUT_TENSOR_NAME_LEN) == r->name_len)
			found = r;
	}
	return found;
}

static const struct row *find_row(const struct infer *in, int *others)
{
	const struct row *r = find_fitting(in, true, others);

	return r ? r : find_fitting(in, false, others);
}

/* What tells eras apart is only taken from a row when no other era fits. */
static bool is_distinctive(enum layout_field f)
{
	return f == LAYOUT_TENSOR_NE || f == LAYOUT_TENSOR_OP || f == LAYOUT_TENSOR_SRC;
}

static void put_row(struct infer *in, const struct row *r, bool only)
{
	const struct {
		enum layout_field field;
		int value;
	} fields[] = {
		{LAYOUT_TENSOR_TYPE, 0},
		{LAYOUT_TENSOR_NE_WIDTH, r->ne_width},
		{LAYOUT_TENSOR_BUFFER, r->buffer},
		{LAYOUT_TENSOR_NE, r->ne},
		{LAYOUT_TENSOR_NB, r->nb},
		{LAYOUT_TENSOR_OP, r->op},
		{LAYOUT_TENSOR_OP_PARAMS, r->op_params},
		{LAYOUT_TENSOR_FLAGS, r->flags},
		{LAYOUT_TENSOR_SRC, r->src},
		{LAYOUT_TENSOR_N_SRC, r->n_src},
		{LAYOUT_TENSOR_VIEW_SRC, r->view_src},
		{LAYOUT_TENSOR_DATA, r->data},
		{LAYOUT_TENSOR_NAME, r->name},
	};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (only || !is_distinctive(fields[i].field))
			infer_put(in, fields[i].field, fields[i].value, LAYOUT_TABLE,
				  "layout of %s", r->dates);
}

/* The length of names is a build option; what lies behind them moves with it. */
static void put_name_end(struct infer *in, const struct row *r)
{
	int name = layout_get(in->l, LAYOUT_TENSOR_NAME), len, extra, size = r->size;

	if (r->name < 0) {
		infer_put(in, LAYOUT_TENSOR_SIZE, size, LAYOUT_TABLE, "layout of %s", r->dates);
		return;
	}
	if (!infer_has(in, LAYOUT_TENSOR_NAME_LEN))
		infer_put(in, LAYOUT_TENSOR_NAME_LEN, r->name_len, LAYOUT_TABLE, "layout of %s",
			  r->dates);
	len = layout_get(in->l, LAYOUT_TENSOR_NAME_LEN);
	extra = extra_behind(name, len);
	if (r->extra >= 0)
		infer_put(in, LAYOUT_TENSOR_EXTRA, extra, LAYOUT_DERIVED, "behind the name");
	if (r->extra >= 0)
		size += extra - r->extra;
	/* In 2023 ggml_tensor_overhead counted 16 bytes of alignment as well. */
	if (r->era <= ERA_3 && layout_get(in->l, LAYOUT_TENSOR_SIZE) == size + 16)
		in->l->value[LAYOUT_TENSOR_SIZE].how = LAYOUT_UNKNOWN;
	infer_put(in, LAYOUT_TENSOR_SIZE, size, LAYOUT_TABLE, "layout of %s", r->dates);
}

/* Rules that held in every version, for builds that the table does not know. */
static void put_rules(struct infer *in)
{
	int ne = layout_get(in->l, LAYOUT_TENSOR_NE), data, src, op;

	infer_put(in, LAYOUT_TENSOR_TYPE, 0, LAYOUT_DERIVED, "first field in every version");
	if (ne >= 0 && !infer_has(in, LAYOUT_TENSOR_NB))
		infer_put(in, LAYOUT_TENSOR_NB, ne + 32, LAYOUT_DERIVED, "behind ne");
	if (ne >= 0 && !infer_has(in, LAYOUT_TENSOR_OP))
		infer_put(in, LAYOUT_TENSOR_OP, ne + 64, LAYOUT_DERIVED, "behind nb");
	op = layout_get(in->l, LAYOUT_TENSOR_OP);
	data = layout_get(in->l, LAYOUT_TENSOR_DATA);
	src = layout_get(in->l, LAYOUT_TENSOR_SRC);
	if (op >= 0 && !infer_has(in, LAYOUT_TENSOR_OP_PARAMS) && in->l->n_unary)
		infer_put(in, LAYOUT_TENSOR_OP_PARAMS, op + 4, LAYOUT_DERIVED, "behind op");
	if (data >= 0 && !infer_has(in, LAYOUT_TENSOR_VIEW_SRC))
		infer_put(in, LAYOUT_TENSOR_VIEW_SRC, data - 16, LAYOUT_DERIVED, "before data");
	if (src >= 0 && !infer_has(in, LAYOUT_TENSOR_N_SRC))
		infer_put(in, LAYOUT_TENSOR_N_SRC,
			  (layout_get(in->l, LAYOUT_TENSOR_VIEW_SRC) - src) / 8, LAYOUT_DERIVED,
			  "room before view_src");
}

static bool has_string(const struct infer *in, const char *text)
{
	uint64_t at;

	for (size_t i = 0; i < in->src->count; i++)
		if (elf_find_string(in->src->files[i], text, &at, 1))
			return true;
	return false;
}

/* llama.cpp took the graph with room for any number of nodes weeks after the tensor of that era. */
static bool graph_has_room(const struct infer *in, enum era era)
{
	if (era >= ERA_8 || infer_has_symbol(in, "ggml_new_graph_custom"))
		return true;
	return era == ERA_7 && !has_string(in, "cgraph->n_nodes < GGML_MAX_NODES");
}

static void put_graph(struct infer *in, enum era era)
{
	bool plan = era >= ERA_4 || infer_has_symbol(in, "ggml_graph_plan");
	bool pointer = graph_has_room(in, era);
	const char *why = pointer ? "since 2023-11"
			  : plan  ? "2023-07 to 2023-11"
				  : "before 2023-07";
	int n = pointer ? 4 : 0;

	infer_put(in, LAYOUT_GRAPH_COMPUTE_ARG, plan ? 0 : 1, LAYOUT_TABLE, "%s", why);
	infer_put(in, LAYOUT_CGRAPH_N_NODES, n, LAYOUT_TABLE, "graphs %s", why);
	infer_put(in, LAYOUT_CGRAPH_N_LEAFS, n + 4, LAYOUT_DERIVED, "behind n_nodes");
	infer_put(in, LAYOUT_CGRAPH_NODES,
		  pointer ? 16
		  : plan  ? 8
			  : 32,
		  LAYOUT_TABLE, "graphs %s", why);
	infer_put(in, LAYOUT_CGRAPH_NODES_INLINE, !pointer, LAYOUT_TABLE, "graphs %s", why);
	if (pointer)
		infer_put(in, LAYOUT_CGRAPH_LEAFS, era >= ERA_11 ? 40 : 32, LAYOUT_TABLE,
			  "graphs %s", era >= ERA_11 ? "since 2024-11" : "before 2024-11");
	if (plan)
		infer_put(in, LAYOUT_CPLAN_N_THREADS, 16, LAYOUT_TABLE, "since 2023-07");
}

/* The backend's functions grew two members a week before graphs got their number. */
static void put_graph_uid(struct infer *in)
{
	if (layout_get(in->l, LAYOUT_BACKEND_GRAPH_COMPUTE) >= 104)
		infer_put(in, LAYOUT_CGRAPH_UID, 88, LAYOUT_TABLE, "since 2026-04");
}

static void put_params(struct infer *in, enum era era)
{
	bool now = era >= ERA_10 || infer_has_symbol(in, "ggml_cpu_extra_compute_forward") ||
		   infer_has_symbol(in, "ggml_threadpool_new");
	const char *why = now ? "since 2024-06" : "before 2024-06";

	if (!now)
		infer_put(in, LAYOUT_PARAMS_TYPE, 0, LAYOUT_TABLE, "%s", why);
	infer_put(in, LAYOUT_PARAMS_ITH, now ? 0 : 4, LAYOUT_TABLE, "%s", why);
	infer_put(in, LAYOUT_PARAMS_NTH, now ? 4 : 8, LAYOUT_TABLE, "%s", why);
}

static void put_backend(struct infer *in)
{
	int name = layout_get(in->l, LAYOUT_BACKEND_GET_NAME);

	if (name < 0)
		return;
	infer_put(in, LAYOUT_BACKEND_IFACE, name, LAYOUT_DERIVED, "get_name is its first member");
	if (name == 8)
		infer_put(in, LAYOUT_BACKEND_GUID, 0, LAYOUT_DERIVED, "before the iface");
}

void infer_table(struct infer *in)
{
	int others;
	const struct row *r = find_row(in, &others);
	bool known = infer_has(in, LAYOUT_TENSOR_OP) || infer_has(in, LAYOUT_TENSOR_SRC) ||
		     infer_has(in, LAYOUT_TENSOR_NE);

	if (!known)
		return;
	if (others)
		diag_add(in->d, DIAG_WARNING,
			 "the file does not tell all of struct ggml_tensor and more than one known "
			 "layout fits; taking the rest from the newest of them (%s)",
			 r->dates);
	if (r) {
		put_row(in, r, !others);
		put_name_end(in, r);
	} else {
		diag_add(in->d, DIAG_WARNING,
			 "struct ggml_tensor is laid out as in no known version of ggml; fields "
			 "that its accessors do not tell are missing");
		put_rules(in);
	}
	put_graph(in, r ? r->era : ERA_11);
	put_params(in, r ? r->era : ERA_11);
	put_backend(in);
	put_graph_uid(in);
}
