/* SPDX-License-Identifier: Apache-2.0 */
#include "script/engine/engine_front.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/cache.h"
#include "bpf/compile.h"
#include "bpf/kmap.h"
#include "probes/script_engine.h"
#include "util/buf.h"
#include "util/file.h"
#include "util/text.h"

static const struct {
	const char *event, *macro;
	enum engine_source source;
	bool only_end; /* of no use for begin events */
	const char *args[4];
} events[] = {
	{"token_begin",
	 "token_begin",
	 ENGINE_TOKEN,
	 false,
	 {"context", "n_tokens", "sequence", "sequence_before"}},
	{"token_end", "token_end", ENGINE_TOKEN, false, {"ret"}},
	{"graph_begin", "graph_begin", ENGINE_GRAPH, false, {"graph", "backend"}},
	{"graph_end", "graph_end", ENGINE_GRAPH, false, {NULL}},
	{"op_begin", "op_begin", ENGINE_OP, false, {"params", "tensor"}},
	{"op_fused", "op_begin", ENGINE_OP, false, {"params", "tensor"}},
	{"op_barrier", "op_barrier", ENGINE_OP, true, {NULL}},
	{"op_graph_begin", "op_graph_begin", ENGINE_OP, false, {NULL}},
	{"op_graph_end", "op_graph_end", ENGINE_OP, true, {NULL}},
	{"op_begin", "expert", ENGINE_EXPERT, false, {"params", "tensor"}},
	{"op_graph_begin", "op_graph_begin", ENGINE_EXPERT, false, {NULL}},
};

struct front_layouts {
	char *text[ENGINE_LAYOUTS];
	unsigned count;
};

struct front {
	char *text;
	struct bpf_module *module;
};

struct fronts {
	struct front *at;
	size_t count, cap;
};

struct front_layouts *front_layouts_new(void)
{
	return xcalloc(1, sizeof(struct front_layouts));
}

void front_layouts_free(struct front_layouts *l)
{
	for (unsigned i = 0; l && i < l->count; i++)
		free(l->text[i]);
	free(l);
}

struct fronts *fronts_new(void)
{
	return xcalloc(1, sizeof(struct fronts));
}

void fronts_free(struct fronts *f)
{
	for (size_t i = 0; f && i < f->count; i++) {
		free(f->at[i].text);
		bpf_module_free(f->at[i].module);
	}
	if (f)
		free(f->at);
	free(f);
}

static int event_of(const struct plan_point *p, enum engine_source source)
{
	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (events[i].source == source && strcmp(events[i].event, p->event) == 0)
			return (int)i;
	return -1;
}

bool front_takes(const struct engine_want *w, const struct plan_point *p)
{
	int i = event_of(p, w->source);

	return i >= 0 && (w->at_end || !events[i].only_end);
}

/* ---- names of operators and types ---- */

static void write_name(int fd, unsigned slot, size_t index, const char *name)
{
	char text[ENGINE_NAME_BYTES] = {0};
	uint32_t key = slot * ENGINE_NAMES + (uint32_t)index;

	snprintf(text, sizeof(text), "%s", name ? name : "");
	kmap_update(fd, &key, text, 0);
}

static void write_names(int fd, unsigned slot, const struct layout *l)
{
	for (size_t i = 0; i < layout_op_count(l) && i < ENGINE_OP_NAMES; i++)
		write_name(fd, slot, i, layout_op_name(l, i));
	for (size_t i = 0; i < layout_type_count(l) && i < ENGINE_TYPE_NAMES; i++)
		write_name(fd, slot, ENGINE_OP_NAMES + i, layout_type(l, i)->name);
}

static int layout_slot(const struct front_opts *o, const struct layout *l, struct diag *d)
{
	cJSON *json = layout_to_json(l);
	char *text = cJSON_PrintUnformatted(json);
	struct front_layouts *all = o->layouts;

	cJSON_Delete(json);
	for (unsigned i = 0; i < all->count; i++)
		if (strcmp(all->text[i], text) == 0) {
			free(text);
			return (int)i;
		}
	if (all->count == ENGINE_LAYOUTS) {
		free(text);
		return diag_fail(d, -E2BIG, "the target has more than %d different engines",
				 ENGINE_LAYOUTS);
	}
	write_names(o->names_fd, all->count, l);
	all->text[all->count] = text;
	return (int)all->count++;
}

/* ---- text ---- */

static const char *next_op(const void *state, size_t i)
{
	const struct layout *l = state;
	const char *name = i < layout_op_count(l) ? layout_op_name(l, i) : NULL;

	return i < layout_op_count(l) && !name ? "" : name;
}

/* The operators that the glob names, as a comparison of numbers. */
static int filter_op_text(struct buf *out, const char *glob, const struct layout *l, struct diag *d)
{
	size_t n = 0;
	const char *near;

	buf_puts(out, "#define WANTED_OP(op) (0");
	for (size_t i = 0; i < layout_op_count(l); i++)
		if (layout_op_name(l, i) && fnmatch(glob, layout_op_name(l, i), 0) == 0) {
			buf_printf(out, " || (op) == %zu", i);
			n++;
		}
	buf_puts(out, ")\n");
	if (n)
		return 0;
	near = text_nearest(glob, next_op, l);
	return diag_fail(d, -ENOENT, "the engine has no operator '%s'%s%s%s", glob,
			 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Compared byte by byte, so a * can only be the end. */
static int filter_name_text(struct buf *out, const char *glob, struct diag *d)
{
	size_t n = strlen(glob), plain = strcspn(glob, "*");

	if (plain < n && plain != n - 1)
		return diag_fail(d, -EOPNOTSUPP,
				 "a tensor filter can have a * at its end only, not '%s'; test "
				 "args.name with a predicate instead",
				 glob);
	if (n >= ENGINE_TENSOR_NAME)
		return diag_fail(d, -E2BIG, "no tensor has a name as long as '%s'", glob);
	buf_puts(out, "#define WANTED_NAME(name) (1");
	for (size_t i = 0; i < plain; i++)
		if (glob[i] != '?')
			buf_printf(out, " && (name)[%zu] == %d", i, glob[i]);
	if (plain == n)
		buf_printf(out, " && (name)[%zu] == 0", n);
	buf_puts(out, ")\n");
	return 0;
}

static int define_field(struct buf *out, const struct layout *l, enum layout_field f,
			const char *name, bool needed, struct diag *d)
{
	if (layout_get(l, f) >= 0)
		buf_printf(out, "#define %s %d\n", name, layout_get(l, f));
	else if (needed)
		return diag_fail(d, -ENODATA,
				 "the engine's struct field %s, which the script uses, could not "
				 "be inferred; `llmprobe doctor` shows what was found",
				 layout_field_name(f));
	return 0;
}

static int layout_text(struct buf *out, const struct engine_want *w, const struct layout *l,
		       struct diag *d)
{
	bool expert = w->source == ENGINE_EXPERT, op = w->source == ENGINE_OP || expert;
	int len = layout_get(l, LAYOUT_TENSOR_NAME_LEN), err = 0;
	const struct {
		enum layout_field field;
		const char *name;
		bool needed;
	} fields[] = {
		{LAYOUT_TENSOR_OP, "LAYOUT_TENSOR_OP", op},
		{LAYOUT_TENSOR_TYPE, "LAYOUT_TENSOR_TYPE", op && w->type},
		{LAYOUT_TENSOR_NE, "LAYOUT_TENSOR_NE", (op && w->ne) || expert},
		{LAYOUT_TENSOR_NE_WIDTH, "LAYOUT_TENSOR_NE_WIDTH", false},
		{LAYOUT_TENSOR_NAME, "LAYOUT_TENSOR_NAME", op && w->name},
		{LAYOUT_TENSOR_SRC, "LAYOUT_TENSOR_SRC", expert},
		{LAYOUT_TENSOR_NB, "LAYOUT_TENSOR_NB", expert},
		{LAYOUT_TENSOR_DATA, "LAYOUT_TENSOR_DATA", expert},
		{LAYOUT_PARAMS_ITH, "LAYOUT_PARAMS_ITH", (op && w->thread_index) || expert},
		{LAYOUT_BACKEND_GUID, "LAYOUT_BACKEND_GUID", false},
		{LAYOUT_CGRAPH_N_NODES, "LAYOUT_CGRAPH_N_NODES", w->source == ENGINE_GRAPH},
	};

	for (size_t i = 0; i < ARRAY_LEN(fields) && !err; i++)
		err = define_field(out, l, fields[i].field, fields[i].name, fields[i].needed, d);
	buf_printf(out, "#define LAYOUT_TENSOR_NAME_LEN %d\n",
		   len > 0 && len < ENGINE_TENSOR_NAME ? len : ENGINE_TENSOR_NAME);
	if (!err && w->filter_op)
		err = filter_op_text(out, w->filter_op, l, d);
	if (!err && expert && layout_op_number(l, "MUL_MAT_ID") < 0)
		err = diag_fail(d, -ENOENT, "the engine has no mixture of experts (MUL_MAT_ID)");
	if (!err && expert)
		buf_printf(out, "#define LAYOUT_OP_MUL_MAT_ID %d\n",
			   layout_op_number(l, "MUL_MAT_ID"));
	return err;
}

static void use_text(struct buf *out, const struct engine_want *w)
{
	const struct {
		bool used;
		const char *name;
	} uses[] = {
		{w->op || w->filter_op, "USE_OP"},
		{w->type, "USE_TYPE"},
		{w->ne, "USE_NE"},
		{w->name || w->filter_name, "USE_NAME"},
		{w->thread_index, "USE_ITH"},
	};

	for (size_t i = 0; i < ARRAY_LEN(uses); i++)
		if (uses[i].used)
			buf_printf(out, "#define %s 1\n", uses[i].name);
}

static const char *arg_of(const struct plan_point *p, const char *name)
{
	for (size_t i = 0; i < p->n_args; i++)
		if (strcmp(p->args[i].name, name) == 0)
			return p->args[i].expr;
	return "0";
}

static void program_text(struct buf *out, const struct plan_point *p, enum engine_source source)
{
	int i = event_of(p, source);

	buf_printf(out, "#line 1 \"probe point\"\nPROGRAM_%s(front, %d, \"%.15s\"", events[i].macro,
		   strcmp(p->kind, "encode") == 0, p->backend);
	for (size_t a = 0; a < ARRAY_LEN(events[i].args) && events[i].args[a]; a++)
		buf_printf(out, ", %s", arg_of(p, events[i].args[a]));
	buf_puts(out, ")\n");
}

static int front_text(struct buf *out, const struct front_opts *o, const struct plan_point *p,
		      struct diag *d)
{
	static const char *const files[] = {"probes/lean.h",	      "probes/record.h",
					    "probes/state.h",	      "probes/common.h",
					    "probes/script_engine.h", "probes/script_front.c"};
	const struct layout *l =
		p->layout < 0 ? NULL : plan_layout(o->plan, (size_t)p->layout)->layout;
	int slot = l ? layout_slot(o, l, d) : 0, err = slot < 0 ? slot : 0;

	buf_printf(out,
		   "#define LLMPROBE_BPF 1\n#define TRANSPORT_PERF 1\n#define ENGINE_INDEX %d\n",
		   o->program);
	buf_printf(out, "#define LAYOUT_SLOT %d\n", slot);
	if (!o->notes_tokens)
		buf_printf(out, "#define %s 1\n", o->want->at_end ? "AT_END" : "AT_BEGIN");
	if (o->can_loop)
		buf_puts(out, "#define SWEEP 1\n");
	use_text(out, o->want);
	if (!err && l)
		err = layout_text(out, o->want, l, d);
	if (!err && o->want->filter_name)
		err = filter_name_text(out, o->want->filter_name, d);
	for (size_t i = 0; i < ARRAY_LEN(files) && !err; i++)
		err = data_file_include(out, files[i], d);
	if (!err)
		program_text(out, p, o->want->source);
	return err;
}

static struct bpf_compile_opts compile_opts(const char *text, char dir[static 512])
{
	return (struct bpf_compile_opts){.text = text,
					 .name = "front",
					 .lean = true,
					 .cache_dir = *bpf_cache_dir(dir, 512) ? dir : NULL};
}

static struct bpf_module *load(const struct front_opts *o, const char *text, struct diag *d)
{
	struct bpf_load_opts lo = {.externs = o->externs, .n_externs = o->n_externs};
	char dir[512];
	struct bpf_compile_opts co = compile_opts(text, dir);
	struct bpf_code *code = bpf_compile(&co, d);
	struct bpf_module *m = code ? bpf_module_load(code, &lo, d) : NULL;

	bpf_code_free(code);
	return m;
}

int fronts_get(struct fronts *f, const struct front_opts *o, unsigned point, struct diag *d)
{
	struct buf text = {0};
	struct bpf_module *m = NULL;
	int err = front_text(&text, o, plan_point(o->plan, point), d);

	for (size_t i = 0; i < f->count && !err && !m; i++)
		if (strcmp(f->at[i].text, buf_str(&text)) == 0)
			m = f->at[i].module;
	if (!m && !err) {
		m = load(o, buf_str(&text), d);
		if (m)
			*VEC_PUSH(f->at, f->count, f->cap) =
				(struct front){xstrdup(buf_str(&text)), m};
	}
	buf_free(&text);
	return err ? err : m ? bpf_module_prog_fd(m, "front") : -EINVAL;
}

struct front_batch {
	char **text;
	size_t n, cap;
};

struct front_batch *front_batch_new(void)
{
	return xcalloc(1, sizeof(struct front_batch));
}

static bool has_text(const struct front_batch *b, const char *text)
{
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(b->text[i], text) == 0)
			return true;
	return false;
}

void front_batch_add(struct front_batch *b, const struct front_opts *o, unsigned point)
{
	struct diag *quiet = diag_new();
	struct buf text = {0};

	if (!front_text(&text, o, plan_point(o->plan, point), quiet) &&
	    !has_text(b, buf_str(&text)))
		*VEC_PUSH(b->text, b->n, b->cap) = xstrdup(buf_str(&text));
	buf_free(&text);
	diag_free(quiet);
}

void front_batch_compile(struct front_batch *b)
{
	struct bpf_compile_opts *o = xcalloc(b->n + 1, sizeof(*o));
	struct bpf_code **code = xcalloc(b->n + 1, sizeof(*code));
	char dir[512];

	for (size_t i = 0; i < b->n; i++)
		o[i] = compile_opts(b->text[i], dir);
	if (b->n > 1 && o[0].cache_dir)
		bpf_compile_many(o, b->n, code);
	for (size_t i = 0; i < b->n; i++) {
		bpf_code_free(code[i]);
		free(b->text[i]);
	}
	free(code);
	free(o);
	free(b->text);
	free(b);
}
