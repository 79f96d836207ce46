/* SPDX-License-Identifier: Apache-2.0 */
/* Layout inference: the order of the steps, and access to the result. */
#include "target/layout.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "target/layout_impl.h"
#include "util/alloc.h"

static const char *const field_names[LAYOUT_FIELD_COUNT] = {
	[LAYOUT_TENSOR_SIZE] = "tensor.size",
	[LAYOUT_TENSOR_TYPE] = "tensor.type",
	[LAYOUT_TENSOR_BUFFER] = "tensor.buffer",
	[LAYOUT_TENSOR_NE] = "tensor.ne",
	[LAYOUT_TENSOR_NE_WIDTH] = "tensor.ne_width",
	[LAYOUT_TENSOR_NB] = "tensor.nb",
	[LAYOUT_TENSOR_OP] = "tensor.op",
	[LAYOUT_TENSOR_OP_PARAMS] = "tensor.op_params",
	[LAYOUT_TENSOR_FLAGS] = "tensor.flags",
	[LAYOUT_TENSOR_SRC] = "tensor.src",
	[LAYOUT_TENSOR_N_SRC] = "tensor.n_src",
	[LAYOUT_TENSOR_VIEW_SRC] = "tensor.view_src",
	[LAYOUT_TENSOR_DATA] = "tensor.data",
	[LAYOUT_TENSOR_NAME] = "tensor.name",
	[LAYOUT_TENSOR_NAME_LEN] = "tensor.name_len",
	[LAYOUT_TENSOR_EXTRA] = "tensor.extra",
	[LAYOUT_CGRAPH_N_NODES] = "cgraph.n_nodes",
	[LAYOUT_CGRAPH_N_LEAFS] = "cgraph.n_leafs",
	[LAYOUT_CGRAPH_NODES] = "cgraph.nodes",
	[LAYOUT_CGRAPH_LEAFS] = "cgraph.leafs",
	[LAYOUT_CGRAPH_NODES_INLINE] = "cgraph.nodes_inline",
	[LAYOUT_CGRAPH_UID] = "cgraph.uid",
	[LAYOUT_PARAMS_ITH] = "params.ith",
	[LAYOUT_PARAMS_NTH] = "params.nth",
	[LAYOUT_PARAMS_TYPE] = "params.type",
	[LAYOUT_CPLAN_N_THREADS] = "cplan.n_threads",
	[LAYOUT_GRAPH_COMPUTE_ARG] = "graph_compute.graph_arg",
	[LAYOUT_BACKEND_GUID] = "backend.guid",
	[LAYOUT_BACKEND_IFACE] = "backend.iface",
	[LAYOUT_BACKEND_GET_NAME] = "backend.get_name",
	[LAYOUT_BACKEND_GRAPH_COMPUTE] = "backend.graph_compute",
	[LAYOUT_BACKEND_SYNCHRONIZE] = "backend.synchronize",
	[LAYOUT_BACKEND_DEVICE] = "backend.device",
	[LAYOUT_SCHED_N_BACKENDS] = "sched.n_backends",
	[LAYOUT_SCHED_BACKENDS] = "sched.backends",
	[LAYOUT_BATCH_SIZE] = "batch.size",
	[LAYOUT_BATCH_N_TOKENS] = "batch.n_tokens",
	[LAYOUT_BATCH_EXT_TOKENS_BEGIN] = "batch_ext.tokens_begin",
	[LAYOUT_BATCH_EXT_TOKENS_END] = "batch_ext.tokens_end",
	[LAYOUT_BATCH_EXT_TOKEN_SIZE] = "batch_ext.token_size",
	[LAYOUT_BATCH_EXT_TOKEN_SEQS] = "batch_ext.token_seqs",
	[LAYOUT_UBATCH_N_TOKENS] = "ubatch.n_tokens",
	[LAYOUT_UBATCH_ARG] = "ubatch.arg",
};

bool infer_has(const struct infer *in, enum layout_field f)
{
	return in->l->value[f].how != LAYOUT_UNKNOWN;
}

void infer_put(struct infer *in, enum layout_field f, int64_t value, enum layout_how how,
	       const char *fmt, ...)
{
	struct layout_value *v = &in->l->value[f], offer = {.value = (int32_t)value, .how = how};
	va_list ap;

	if (value < 0 || value > (1 << 20))
		return;
	va_start(ap, fmt);
	vsnprintf(offer.source, sizeof(offer.source), fmt, ap);
	va_end(ap);
	if (v->how == LAYOUT_UNKNOWN)
		*v = offer;
	else if (v->value != offer.value)
		diag_add(in->d, DIAG_WARNING, "%s is %d by %s (%s) but %d by %s (%s); using %d",
			 field_names[f], v->value, layout_how_name(v->how), v->source, offer.value,
			 layout_how_name(how), offer.source, v->value);
}

const struct elf *infer_find(const struct infer *in, const char *name, struct elf_func *f)
{
	for (size_t i = 0; i < in->src->count && !in->src->no_symbols; i++)
		if (elf_func_named(in->src->files[i], name, f))
			return in->src->files[i];
	return NULL;
}

bool infer_has_symbol(const struct infer *in, const char *name)
{
	struct elf_func f;

	return infer_find(in, name, &f) != NULL;
}

bool infer_eval(struct infer *in, const char *name, size_t max)
{
	struct elf_func f;
	const struct elf *e = infer_find(in, name, &f);

	if (e)
		eval_func(e, &f, max, in->eval);
	return e && in->eval->found;
}

/* Without these nothing about operators can be reported. */
static bool is_usable(const struct infer *in)
{
	return infer_has(in, LAYOUT_TENSOR_OP) && infer_has(in, LAYOUT_TENSOR_NE) &&
	       infer_has(in, LAYOUT_TENSOR_SRC) && in->l->n_ops;
}

static void report_unusable(const struct infer *in)
{
	const char *name = in->src->count ? elf_name(in->src->files[0]) : "the target";

	diag_add(in->d, DIAG_ERROR,
		 "the layout of ggml's structs could not be found in %s: %s; give the file that "
		 "holds ggml (libggml-base.so, or the executable of a static build), or a build "
		 "with symbols",
		 name, in->l->n_ops ? "no function that tells it" : "no table of operator names");
}

/* Searching a file for tables and strings costs time; one without operator names has no ggml. */
static void choose_files(struct infer *in)
{
	uint64_t at;

	for (size_t i = 0; i < in->src->count && in->n_searched < FILES_MAX; i++)
		if (elf_find_string(in->src->files[i], "MUL_MAT", &at, 1))
			in->searched[in->n_searched++] = in->src->files[i];
}

struct layout *layout_infer(const struct layout_sources *src, struct diag *d)
{
	struct infer in = {.l = xcalloc(1, sizeof(struct layout)), .src = src, .d = d};
	struct layout *l = in.l;

	for (int f = 0; f < LAYOUT_FIELD_COUNT; f++)
		l->value[f].value = -1;
	in.eval = xmalloc(sizeof(*in.eval));
	choose_files(&in);
	if (!src->no_dwarf)
		infer_dwarf(&in);
	infer_names(&in);
	infer_accessors(&in);
	infer_constructors(&in);
	infer_llama(&in);
	infer_table(&in);
	for (size_t i = 0; i < in.n_dwarf_ops; i++)
		free(in.dwarf_ops[i]);
	free(in.eval);
	if (is_usable(&in))
		return l;
	report_unusable(&in);
	layout_free(l);
	return NULL;
}

void layout_free(struct layout *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n_ops; i++)
		free(l->ops[i]);
	for (size_t i = 0; i < l->n_unary; i++)
		free(l->unary[i]);
	free(l);
}

int32_t layout_get(const struct layout *l, enum layout_field f)
{
	return l->value[f].value;
}

const struct layout_value *layout_value(const struct layout *l, enum layout_field f)
{
	return &l->value[f];
}

const char *layout_field_name(enum layout_field f)
{
	return field_names[f];
}

const char *layout_how_name(enum layout_how how)
{
	static const char *const names[] = {"unknown",	     "DWARF", "accessor", "constructor",
					    "string anchor", "table", "derived"};

	return names[how];
}

void layout_each_field(const struct layout *l,
		       void (*fn)(void *ctx, const char *name, const struct layout_value *v),
		       void *ctx)
{
	for (int f = 0; f < LAYOUT_FIELD_COUNT; f++)
		fn(ctx, field_names[f], &l->value[f]);
}

size_t layout_op_count(const struct layout *l)
{
	return l->n_ops;
}

const char *layout_op_name(const struct layout *l, size_t op)
{
	return op < l->n_ops ? l->ops[op] : NULL;
}

int layout_op_number(const struct layout *l, const char *name)
{
	for (size_t i = 0; i < l->n_ops; i++)
		if (!strcmp(l->ops[i], name))
			return (int)i;
	return -1;
}

size_t layout_unary_count(const struct layout *l)
{
	return l->n_unary;
}

const char *layout_unary_name(const struct layout *l, size_t op)
{
	return op < l->n_unary ? l->unary[op] : NULL;
}

size_t layout_type_count(const struct layout *l)
{
	return l->n_types;
}

const struct layout_type *layout_type(const struct layout *l, size_t type)
{
	return type < l->n_types ? &l->types[type] : NULL;
}

const char *layout_version(const struct layout *l)
{
	return l->version;
}

const char *layout_commit(const struct layout *l)
{
	return l->commit;
}

static void add_fields(const struct layout *l, cJSON *note)
{
	static const struct {
		const char *key;
		enum layout_field field;
	} keys[] = {
		{"size", LAYOUT_TENSOR_SIZE},
		{"type", LAYOUT_TENSOR_TYPE},
		{"ne", LAYOUT_TENSOR_NE},
		{"nb", LAYOUT_TENSOR_NB},
		{"op", LAYOUT_TENSOR_OP},
		{"op_params", LAYOUT_TENSOR_OP_PARAMS},
		{"src", LAYOUT_TENSOR_SRC},
		{"n_src", LAYOUT_TENSOR_N_SRC},
		{"view_src", LAYOUT_TENSOR_VIEW_SRC},
		{"data", LAYOUT_TENSOR_DATA},
		{"name", LAYOUT_TENSOR_NAME},
		{"name_len", LAYOUT_TENSOR_NAME_LEN},
		{"flags", LAYOUT_TENSOR_FLAGS},
		{"ne_width", LAYOUT_TENSOR_NE_WIDTH},
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		cJSON_AddNumberToObject(note, keys[i].key, layout_get(l, keys[i].field));
}

static void add_names(cJSON *note, const char *key, char *const *names, size_t n)
{
	cJSON *array = cJSON_AddArrayToObject(note, key);

	for (size_t i = 0; i < n; i++)
		cJSON_AddItemToArray(array, cJSON_CreateString(names[i]));
}

struct cJSON *layout_to_json(const struct layout *l)
{
	cJSON *note = cJSON_CreateObject(), *names, *blck, *size;

	cJSON_AddStringToObject(note, "k", "layout");
	add_fields(l, note);
	add_names(note, "op_names", l->ops, l->n_ops);
	if (l->n_unary)
		add_names(note, "unary_names", l->unary, l->n_unary);
	names = cJSON_AddArrayToObject(note, "type_names");
	blck = cJSON_AddArrayToObject(note, "type_blck");
	size = cJSON_AddArrayToObject(note, "type_size");
	for (size_t i = 0; i < l->n_types; i++) {
		cJSON_AddItemToArray(names, cJSON_CreateString(l->types[i].name));
		cJSON_AddItemToArray(blck, cJSON_CreateNumber(l->types[i].blck));
		cJSON_AddItemToArray(size, cJSON_CreateNumber(l->types[i].size));
	}
	return note;
}
