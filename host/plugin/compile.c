/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin's text and what surrounds it. Line numbers of messages are the plugin's own.
 *
 * libbcc tells the layout of table keys and values only. For the records of perf and ring outputs
 * the text gets a table per struct that it defines, which is dropped again after it has told the
 * struct's layout; the fields' names that libbcc knows of an output say which struct it is.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/compile.h"
#include "plugin/internal.h"
#include "util/file.h"
#include "util/text.h"

#define TYPE_TABLE "llmprobe_type_"
#define DIMS_TABLE TYPE_TABLE "dims_"
#define LOST_TABLE "llmprobe_lost"

enum { EXTERN_TARGETS = 0 };

/* One table per dimension of a member: as large as what is left of it behind so many brackets. */
static void put_dims_tables(const struct plugin *p, struct buf *out)
{
	for (size_t i = 0; i < p->scan.n_dims; i++) {
		const struct scan_dims *d = &p->scan.dims[i];
		struct buf member = {0};

		buf_printf(&member, "((%s *)0)->%s", d->root, d->path);
		for (size_t n = 1; n <= d->n; n++) {
			buf_puts(&member, "[0]");
			buf_printf(out,
				   "BPF_TABLE(\"array\", int, typeof(%s), " DIMS_TABLE
				   "%zu_%zu, 1);\n",
				   buf_str(&member), i, n);
		}
		buf_free(&member);
	}
}

static int plugin_text(const struct plugin *p, bool with_types, const char *more, struct buf *out,
		       struct diag *d)
{
	int err;

	buf_puts(out, "#include <uapi/linux/ptrace.h>\n");
	err = data_file_include(out, "probes/plugin.h", d);
	if (err)
		return err;
	buf_printf(out, "#line 1 \"%s\"\n%s\n#line 1 \"generated\"\n", p->path, p->text);
	for (size_t i = 0; with_types && i < p->scan.n_structs; i++)
		buf_printf(out, "BPF_TABLE(\"array\", int, %s, " TYPE_TABLE "%zu, 1);\n",
			   p->scan.structs[i], i);
	if (with_types)
		put_dims_tables(p, out);
	if (!more)
		return 0;
	err = data_file_include(out, "probes/plugin_args.h", d);
	buf_puts(out, more);
	return err;
}

static struct bpf_code *compile(const struct plugin *p, bool with_types, const char *more,
				struct diag *d)
{
	struct bpf_compile_opts o = {.name = p->path, .cache_dir = p->set->cache_dir};
	struct bpf_code *code = NULL;
	struct buf text = {0};

	if (plugin_text(p, with_types, more, &text, d) == 0) {
		o.text = buf_str(&text);
		code = bpf_compile(&o, d);
	}
	buf_free(&text);
	return code;
}

/* A struct that only some configurations define would end in an error that is none of the user's,
 * so the text alone is tried again. */
static struct bpf_code *compile_first(const struct plugin *p, struct diag *d)
{
	struct diag *quiet = diag_new();
	struct bpf_code *code = p->scan.n_structs ? compile(p, true, NULL, quiet) : NULL;

	diag_free(quiet);
	return code ? code : compile(p, false, NULL, d);
}

/* The type behind an output's fields as libbcc lists them: "name#type". */
static struct ctype *type_of_fields(const struct plugin *p, const struct code_map *m)
{
	struct ctype *t = ctype_struct_new("");

	for (uint32_t i = 0; i < m->n_fields; i++) {
		const char *hash = strchr(m->fields[i], '#');
		struct ctype *ft = hash ? ctype_of_name(hash + 1) : NULL;
		char *name;

		if (!ft) {
			ctype_free(t);
			return NULL;
		}
		if (text_starts(hash + 1, "enum "))
			scan_name_enum(&p->scan, hash + 6, ft);
		name = xstrndup(m->fields[i], (size_t)(hash - m->fields[i]));
		ctype_add(t, name, ft);
		free(name);
	}
	t->size = (t->size + t->align - 1) / t->align * t->align;
	return t;
}

/* The members of `t` without filler are exactly the output's fields. */
static bool has_fields(const struct ctype *t, const struct code_map *m)
{
	uint32_t n = 0;

	for (size_t i = 0; i < t->n_fields; i++) {
		const char *name = t->fields[i].name;
		size_t len = strlen(name);

		if (t->fields[i].pad)
			continue;
		if (n == m->n_fields || strncmp(m->fields[n], name, len) != 0 ||
		    m->fields[n][len] != '#')
			return false;
		n++;
	}
	return n == m->n_fields;
}

/* What the tables of put_dims_tables() tell. */
static void measure_dims(struct plugin *p)
{
	for (uint32_t i = 0; i < p->code->n_maps; i++) {
		const struct code_map *m = &p->code->maps[i];
		size_t member, level;

		if (sscanf(m->name, DIMS_TABLE "%zu_%zu", &member, &level) == 2 &&
		    member < p->scan.n_dims && level && level <= p->scan.dims[member].n)
			p->scan.dims[member].sizes[level - 1] = m->value_size;
	}
}

/* "struct key" or "union key" is key here, one that only a typedef names has no name. */
static bool names_struct(const char *declared, const char *described)
{
	const char *tag = strchr(declared, ' ');

	return strcmp(tag ? tag + 1 : "", described) == 0;
}

/* Puts the inner dimensions of a member in front of the first one, the only that libbcc tells. */
static void add_dims(const struct scan *s, const char *owner, cJSON *field)
{
	const cJSON *name = cJSON_GetArrayItem(field, 0);
	cJSON *outer;

	for (size_t i = 0; i < s->n_dims; i++) {
		const struct scan_dims *d = &s->dims[i];

		if (strcmp(name->valuestring, d->member) != 0 || !names_struct(d->owner, owner))
			continue;
		outer = cJSON_DetachItemFromArray(field, 2);
		for (size_t k = d->n - 1; k-- > 0;) {
			int count = d->sizes[k + 1] ? (int)(d->sizes[k] / d->sizes[k + 1]) : 0;

			cJSON_AddItemToArray(field, cJSON_CreateIntArray(&count, 1));
		}
		cJSON_AddItemToArray(field, outer);
		return;
	}
}

static void add_all_dims(const struct scan *s, cJSON *type)
{
	const cJSON *name = cJSON_GetArrayItem(type, 0);
	cJSON *field;

	if (!cJSON_IsArray(type) || !cJSON_IsString(name))
		return;
	cJSON_ArrayForEach(field, cJSON_GetArrayItem(type, 1))
	{
		if (cJSON_IsArray(cJSON_GetArrayItem(field, 2)))
			add_dims(s, name->valuestring, field);
		add_all_dims(s, cJSON_GetArrayItem(field, 1));
	}
}

/* The type that libbcc describes; NULL when it does not come out as large as clang made it. */
static struct ctype *described(const struct plugin *p, const char *desc, uint32_t size)
{
	cJSON *json = cJSON_Parse(desc);
	struct ctype *t;

	add_all_dims(&p->scan, json);
	t = ctype_from_json(json);
	cJSON_Delete(json);
	if (!t || t->size == size)
		return t;
	ctype_free(t);
	return NULL;
}

/* A table's description shows pointers as numbers; the output's fields have the declared types. */
static void mark_pointers(struct ctype *t, const struct code_map *m)
{
	uint32_t n = 0;

	for (size_t i = 0; i < t->n_fields; i++) {
		if (t->fields[i].pad)
			continue;
		if (text_ends(m->fields[n++], "*") && t->fields[i].type->kind == CTYPE_INT)
			t->fields[i].type->kind = CTYPE_POINTER;
	}
}

static struct ctype *type_of_output(const struct plugin *p, const struct bpf_code *code,
				    const struct code_map *m)
{
	if (!m->n_fields)
		return NULL;
	for (uint32_t i = 0; i < code->n_maps; i++) {
		const struct code_map *c = &code->maps[i];
		struct ctype *t;

		if (!text_starts(c->name, TYPE_TABLE))
			continue;
		t = described(p, c->leaf_desc, c->value_size);
		if (t && has_fields(t, m)) {
			scan_name_enums(&p->scan, t);
			mark_pointers(t, m);
			return t;
		}
		ctype_free(t);
	}
	return type_of_fields(p, m);
}

static void find_outputs(struct plugin *p)
{
	p->outputs = xcalloc(p->code->n_maps + 1, sizeof(*p->outputs));
	for (uint32_t i = 0; i < p->code->n_maps; i++) {
		const struct code_map *m = &p->code->maps[i];

		if (m->type != BPF_MAP_TYPE_RINGBUF &&
		    (m->type != BPF_MAP_TYPE_PERF_EVENT_ARRAY || !m->n_fields))
			continue;
		p->outputs[p->n_outputs++] = (struct plugin_output){
			.plugin = p, .name = m->name, .type = type_of_output(p, p->code, m)};
	}
}

/* Takes the tables of types out again: nothing refers to them. */
static void drop_type_tables(struct bpf_code *code)
{
	uint32_t *to = xcalloc(code->n_maps + 1, sizeof(*to)), n = 0;

	for (uint32_t i = 0; i < code->n_maps; i++) {
		struct code_map *m = &code->maps[i];

		to[i] = n;
		if (!text_starts(m->name, TYPE_TABLE)) {
			code->maps[n++] = *m;
			continue;
		}
		free(m->name);
		free(m->key_desc);
		free(m->leaf_desc);
		free(m->fields);
	}
	code->n_maps = n;
	for (uint32_t i = 0; i < code->n_programs; i++)
		for (uint32_t k = 0; k < code->programs[i].n_relocs; k++)
			if (code->programs[i].relocs[k].kind == CODE_RELOC_MAP)
				code->programs[i].relocs[k].index =
					to[code->programs[i].relocs[k].index];
	free(to);
}

static enum plugin_table_form form_of(const struct plugin *p, const struct plugin_table_hint *h)
{
	if (h && h->form != PLUGIN_TABLE_AUTO)
		return h->form;
	return p->scan.uses_log2 ? PLUGIN_TABLE_LOG2 : PLUGIN_TABLE_LINEAR;
}

static void name_enums(const struct scan *s, struct ctype *t, const char *declared)
{
	if (!t)
		return;
	scan_name_enums(s, t);
	if (declared)
		scan_name_enum(s, declared, t);
}

static void fill_table(struct plugin *p, const struct code_map *m, int fd)
{
	const struct plugin_table_hint *h = plugin_header_table(&p->header, m->name);
	const struct scan_table *declared = scan_table(&p->scan, m->name);
	struct plugin_table *t = &p->tables[p->n_tables++];

	*t = (struct plugin_table){.name = m->name, .map = m, .fd = fd, .unit = h ? h->unit : NULL};
	t->histogram = scan_is_histogram(&p->scan, m->name) ||
		       (h && (h->form == PLUGIN_TABLE_LOG2 || h->form == PLUGIN_TABLE_LINEAR));
	t->form = t->histogram ? form_of(p, h) : h ? h->form : PLUGIN_TABLE_AUTO;
	t->key = described(p, m->key_desc, m->key_size);
	t->value = described(p, m->leaf_desc, m->value_size);
	name_enums(&p->scan, t->key, declared ? declared->key : NULL);
	name_enums(&p->scan, t->value, declared ? declared->value : NULL);
}

static int find_tables(struct plugin *p, struct diag *d)
{
	const struct code_map *m;
	size_t n = 0;
	int fd;

	while (bpf_module_map(p->module, n, NULL))
		n++;
	p->tables = xcalloc(n + 1, sizeof(*p->tables));
	for (size_t i = 0; i < n; i++) {
		m = bpf_module_map(p->module, i, &fd);
		if (strcmp(m->name, LOST_TABLE) == 0)
			p->lost_fd = fd;
		else if (m->type != BPF_MAP_TYPE_RINGBUF &&
			 m->type != BPF_MAP_TYPE_PERF_EVENT_ARRAY)
			fill_table(p, m, fd);
	}
	for (size_t i = 0; i < p->header.n_tables; i++) {
		const struct plugin_table_hint *h = &p->header.tables[i];

		if (bpf_module_map_fd(p->module, h->name) < 0)
			return diag_fail_at(d, -EINVAL, &p->source, h->at,
					    "the plugin has no table '%s'", h->name);
	}
	return 0;
}

static const char *next_program(const void *state, size_t i)
{
	const struct bpf_code *code = state;

	return i < code->n_programs ? code->programs[i].name : NULL;
}

/* Engine events with arguments go to static functions, which are called by generated programs. */
static bool is_wrapped(const struct plugin_probe *probe)
{
	return probe->kind == PLUGIN_ENGINE && probe->n_args;
}

/* Every function that the header names must be there; every other one that is there gets its probe
 * by its name. */
static int match_functions(struct plugin *p, struct diag *d)
{
	for (size_t i = 0; i < p->header.n_probes; i++) {
		const struct plugin_probe *probe = &p->header.probes[i];
		const char *near;

		if (is_wrapped(probe) || bpf_code_program(p->code, probe->function))
			continue;
		near = text_nearest(probe->function, next_program, p->code);
		return diag_fail_at(d, -EINVAL, &p->source, probe->at,
				    "the plugin has no function '%s' that is not static%s%s%s",
				    probe->function, near ? "; did you mean '" : "",
				    near ? near : "", near ? "'?" : "");
	}
	for (uint32_t i = 0; i < p->code->n_programs; i++) {
		const char *name = p->code->programs[i].name;
		bool named = false;

		for (size_t k = 0; k < p->header.n_probes && !named; k++)
			named = strcmp(p->header.probes[k].function, name) == 0;
		if (!named && !plugin_header_add_function(&p->header, name))
			diag_add(d, DIAG_WARNING,
				 "%s: nothing runs the function '%s'; a line like `// llmprobe: "
				 "uprobe FILE:SYMBOL -> %s` would",
				 p->path, name, name);
	}
	return 0;
}

static enum bpf_kind kind_of(enum plugin_probe_kind kind)
{
	switch (kind) {
	case PLUGIN_TRACEPOINT:
		return BPF_KIND_TRACEPOINT;
	case PLUGIN_RAW_TRACEPOINT:
		return BPF_KIND_RAW_TRACEPOINT;
	case PLUGIN_PROFILE:
		return BPF_KIND_PERF_EVENT;
	default:
		return BPF_KIND_UPROBE;
	}
}

static struct bpf_module *load(struct plugin *p, const struct bpf_code *code,
			       const struct bpf_load_opts *more, struct diag *d)
{
	struct bpf_extern targets = {EXTERN_TARGETS, session_target_map(p->set->session)};
	struct bpf_load_opts o = *more;
	struct bpf_program_kind *kinds = xcalloc(p->header.n_probes + 1, sizeof(*kinds));
	struct bpf_module *m;

	o.externs = &targets;
	o.n_externs = 1;
	o.kinds = kinds;
	for (size_t i = 0; i < p->header.n_probes; i++)
		if (p->header.probes[i].kind != PLUGIN_TRACING)
			kinds[o.n_kinds++] =
				(struct bpf_program_kind){p->header.probes[i].function,
							  kind_of(p->header.probes[i].kind), NULL};
	m = bpf_module_load(code, &o, d);
	free(kinds);
	return m;
}

int plugin_compile(struct plugin *p, struct diag *d)
{
	static const struct bpf_load_opts plain;
	int err;

	p->code = compile_first(p, d);
	if (!p->code)
		return -EINVAL;
	measure_dims(p);
	find_outputs(p);
	drop_type_tables(p->code);
	for (size_t i = 0; i < p->n_outputs; i++)
		if (!p->outputs[i].type)
			diag_add(d, DIAG_WARNING,
				 "%s: the type of what %s sends is not known; its records are kept "
				 "as bytes",
				 p->path, p->outputs[i].name);
	err = match_functions(p, d);
	if (err)
		return err;
	p->module = load(p, p->code, &plain, d);
	if (!p->module)
		return -EINVAL;
	if (p->scan.uses_printk)
		diag_add(d, DIAG_NOTE,
			 "%s: bpf_trace_printk writes to the kernel's trace_pipe, not here; "
			 "BPF_PERF_OUTPUT does",
			 p->path);
	return find_tables(p, d);
}

static char *wrapper_text(const struct plugin_probe *probe, const char *program,
			  const char *const *exprs)
{
	struct buf out = {0};

	buf_printf(&out, "int %s(struct pt_regs *ctx)\n{\n\treturn %s(ctx", program,
		   probe->function);
	for (size_t i = 0; i < probe->n_args; i++)
		buf_printf(&out, ", %s", exprs[i]);
	buf_puts(&out, ");\n}\n");
	return buf_take(&out);
}

int plugin_engine_program(struct plugin *p, const struct plugin_probe *probe,
			  const char *const *exprs, struct diag *d)
{
	char *key = wrapper_text(probe, "f", exprs), *program, *text;
	struct bpf_code *code;
	struct bpf_module *m = NULL;
	int fd;

	for (size_t i = 0; i < p->n_extras; i++)
		if (strcmp(p->extras[i].key, key) == 0) {
			free(key);
			return bpf_module_prog_fd(p->extras[i].module, p->extras[i].program);
		}
	program = xasprintf("llmprobe_%zu_%.32s", p->n_extras, probe->function);
	text = wrapper_text(probe, program, exprs);
	code = compile(p, false, text, d);
	if (code) {
		struct bpf_load_opts o = {
			.share = p->module, .only = (const char *const[]){program}, .n_only = 1};

		m = load(p, code, &o, d);
	}
	bpf_code_free(code);
	free(text);
	if (!m) {
		free(key);
		free(program);
		return -EINVAL;
	}
	fd = bpf_module_prog_fd(m, program);
	*VEC_PUSH(p->extras, p->n_extras, p->cap_extras) = (struct plugin_extra){key, program, m};
	return fd;
}
