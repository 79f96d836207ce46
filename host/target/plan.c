/* SPDX-License-Identifier: Apache-2.0 */
/* The plan as its users see it. */
#include "target/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/insn.h"
#include "target/plan_impl.h"
#include "util/buf.h"

struct plan *plan_new(const struct plan_opts *opts)
{
	struct plan *p = xcalloc(1, sizeof(*p));

	p->opts = *opts;
	return p;
}

static void free_file(struct file_state *f)
{
	elf_close(f->elf);
	if (f->pub.fd >= 0)
		close(f->pub.fd);
	free(f->pub.shown);
	free(f->pub.open_path);
	free(f->engines);
	free(f->layout_error);
	free(f);
}

static void free_point(struct plan_point *pt)
{
	for (size_t i = 0; i < pt->n_args; i++)
		free(pt->args[i].expr);
	free((char *)pt->symbol);
	free(pt);
}

static void free_arrays(struct plan *p)
{
	free(p->files);
	free(p->seen);
	free(p->copies);
	free(p->layouts);
	free(p->points);
	free(p->sites);
	free(p->choices);
	free(p->done);
	free(p->reason);
	free(p->unread);
	buf_free(&p->notes);
	engine_free(p->iface);
	free(p);
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_files; i++)
		free_file(p->files[i]);
	for (size_t i = 0; i < p->n_copies; i++) {
		free(p->copies[i]->version);
		free(p->copies[i]);
	}
	for (size_t i = 0; i < p->n_layouts; i++) {
		layout_free(p->layouts[i]->layout);
		free(p->layouts[i]->source);
		free(p->layouts[i]);
	}
	for (size_t i = 0; i < p->n_points; i++)
		free_point(p->points[i]);
	for (size_t i = 0; i < p->n_sites; i++) {
		free(p->sites[i]->symbol);
		free(p->sites[i]);
	}
	for (size_t i = 0; i < p->n_choices; i++)
		free(p->choices[i].reason);
	free_arrays(p);
}

struct plan_mark plan_mark(const struct plan *p)
{
	return (struct plan_mark){.copies = p->n_copies,
				  .points = p->n_points,
				  .sites = p->n_sites,
				  .files = p->n_files,
				  .layouts = p->n_layouts};
}

const struct plan_point *plan_point(const struct plan *p, size_t i)
{
	return i < p->n_points ? p->points[i] : NULL;
}

const struct plan_site *plan_site(const struct plan *p, size_t i)
{
	return i < p->n_sites ? p->sites[i] : NULL;
}

const struct plan_file *plan_file(const struct plan *p, size_t i)
{
	return i < p->n_files ? &p->files[i]->pub : NULL;
}

bool plan_file_is_mapped(const struct plan_file *f, const struct mapping_list *maps)
{
	for (size_t i = 0; i < maps->count; i++)
		if (maps->at[i].ino == f->ino && maps->at[i].dev == f->dev)
			return true;
	return false;
}

const struct plan_copy *plan_copy(const struct plan *p, size_t i)
{
	return i < p->n_copies ? p->copies[i] : NULL;
}

bool plan_copy_is_latest(const struct plan *p, size_t i)
{
	for (size_t later = i + 1; later < p->n_copies; later++)
		if (plan_same_copy(p, i, later))
			return false;
	return true;
}

const struct plan_file *plan_copy_file(const struct plan *p, size_t i)
{
	if (i >= p->n_copies)
		return NULL;
	for (size_t k = 0; k < p->n_sites; k++)
		if (p->points[p->sites[k]->point]->copy == i)
			return plan_file(p, p->sites[k]->file);
	return plan_file(p, p->copies[i]->family);
}

const struct plan_layout *plan_layout(const struct plan *p, size_t i)
{
	return i < p->n_layouts ? p->layouts[i] : NULL;
}

const char *plan_notes(const struct plan *p)
{
	return buf_str(&p->notes);
}

/* A level is there when its own rows are: the calls of a run-time library and waits go with them,
 * but an engine that is nothing but an API (Neuron) has its calls as the level. */
static bool serves_level(const struct plan *p, const struct plan_point *pt)
{
	if (!strcmp(pt->event, "scheduler_seen"))
		return false;
	return strncmp(pt->event, "call_", 5) != 0 || (!p->copies[pt->copy]->engine->is_library &&
						       !p->copies[pt->copy]->engine->has_layout);
}

bool plan_has_level(const struct plan *p, enum rec_level level)
{
	for (size_t i = 0; i < p->n_points; i++)
		if (p->points[i]->level == level && serves_level(p, p->points[i]))
			return true;
	return false;
}

void plan_rest(struct plan *p)
{
	for (size_t i = 0; i < p->n_files; i++) {
		elf_close(p->files[i]->elf);
		p->files[i]->elf = NULL;
	}
	insn_rest();
}

static int wake(struct plan *p, struct diag *d)
{
	for (size_t i = 0; i < p->n_files; i++) {
		struct file_state *f = p->files[i];

		if (!f->elf)
			f->elf = plan_open_elf(&f->pub, d);
		if (!f->elf)
			return -EIO;
	}
	return 0;
}

static void add_unread(const struct plan *p, struct buf *out)
{
	buf_puts(out, p->unread);
	if (p->n_unread > 1)
		buf_printf(out, " (and %zu more of the engine's files)", p->n_unread - 1);
}

/* Where nothing else gives points this is the reason, which is told with the error. */
static void warn_unread(struct plan *p, struct diag *d)
{
	struct buf text = {0};

	if (p->n_unread == p->n_unread_told || !p->n_points)
		return;
	p->n_unread_told = p->n_unread;
	add_unread(p, &text);
	diag_add(d, DIAG_WARNING, "%s", buf_str(&text));
	buf_free(&text);
}

int plan_extend(struct plan *p, pid_t pid, struct diag *d)
{
	size_t before = p->n_points;
	int err = insn_ready(d);

	err = err ? err : wake(p, d);
	if (!err)
		err = plan_take_process(p, pid, d);
	if (err)
		return err;
	plan_decide(p);
	warn_unread(p, d);
	return (int)(p->n_points - before);
}

struct plan *plan_build(pid_t pid, const struct plan_opts *opts, struct diag *d)
{
	struct plan *p = plan_new(opts);
	int n = plan_extend(p, pid, d);

	if (n > 0)
		return p;
	if (!n)
		diag_add(d, DIAG_ERROR, "process %d: no probe point of a known engine\n%s", pid,
			 plan_level_reason(p, LEVEL_TOKEN));
	plan_free(p);
	return NULL;
}

struct plan *plan_build_files(const char *const *paths, size_t n, const struct plan_opts *opts,
			      struct diag *d)
{
	struct plan *p = plan_new(opts);
	int err = insn_ready(d);

	for (size_t i = 0; i < n && !err; i++)
		err = plan_take_path(p, paths[i], d);
	if (err) {
		plan_free(p);
		return NULL;
	}
	plan_decide(p);
	return p;
}

static const char level_words[][10] = {
	[LEVEL_TOKEN] = "token",
	[LEVEL_GRAPH] = "graph",
	[LEVEL_OPERATOR] = "operator",
};

/* Nothing that was mapped belongs to an engine with such a level. */
static void add_no_engine(const struct plan *p, enum rec_level level, struct buf *out)
{
	size_t shown = 0;

	if (level > LEVEL_OPERATOR) {
		buf_puts(out, "this level needs no probe point of an engine");
		return;
	}
	buf_printf(out, "no mapped file belongs to an engine with %s points (looked for",
		   level_words[level]);
	for (size_t i = 0; i < engine_count(p->opts.engines); i++) {
		const struct engine *e = engine_at(p->opts.engines, i);
		bool has = false;

		for (size_t k = 0; k < e->n_levels; k++)
			has |= e->levels[k].level == level;
		for (char **g = has && !e->is_library ? e->files : NULL; g && *g && shown < 24; g++)
			if (!strstr(buf_str(out), *g))
				buf_printf(out, "%s %s", shown++ ? "," : "", *g);
	}
	buf_puts(out, shown ? ", or a file with their symbols)\n" : " their symbols)\n");
	buf_puts(out, "If the engine is linked into a stripped program, use a build that keeps "
		      "symbols; if it is one that llmprobe does not know, add an engine file "
		      "(yaml/engines/README.md).");
}

static void add_choice(const struct plan *p, const struct choice *c, struct buf *out)
{
	const struct engine *e = engine_at(p->opts.engines, c->engine);
	size_t n = 0;

	buf_printf(out, "%s%s in", out->len ? "\n" : "", e->name);
	for (size_t i = 0; i < p->n_files; i++)
		if (p->files[i]->family == c->family && p->files[i]->engines[c->engine])
			buf_printf(out, "%s %s", n++ ? "," : "", p->files[i]->pub.shown);
	buf_printf(out, ":\n%s", c->reason ? c->reason : "");
}

const char *plan_level_reason(struct plan *p, enum rec_level level)
{
	struct buf out = {0};

	free(p->reason);
	p->reason = NULL;
	if (plan_has_level(p, level))
		return "";
	for (size_t i = 0; i < p->n_choices; i++)
		if (p->choices[i].level == level)
			add_choice(p, &p->choices[i], &out);
	if (!out.len && p->n_unread)
		add_unread(p, &out);
	else if (!out.len)
		add_no_engine(p, level, &out);
	p->reason = buf_take(&out);
	return p->reason;
}

/* The same constants in every version since they exist. */
static const struct {
	const char *name;
	uint8_t guid[16];
} backend_guids[] = {
	{"CPU",
	 {0xaa, 0x67, 0xc7, 0x43, 0x96, 0xe6, 0xa3, 0x8a, 0xe3, 0xaf, 0xea, 0x92, 0x36, 0xbc, 0xfc,
	  0x89}},
	{"CUDA",
	 {0x2c, 0xdd, 0xe8, 0x1c, 0x65, 0xb3, 0x65, 0x73, 0x6a, 0x12, 0x88, 0x61, 0x1c, 0xc9, 0xdc,
	  0x25}},
	{"Vulkan",
	 {0xb8, 0xf7, 0x4f, 0x86, 0x40, 0x3c, 0xe1, 0x02, 0x91, 0xc8, 0xdd, 0xe9, 0x02, 0x3f, 0xc0,
	  0x2b}},
	{"OpenCL",
	 {0xde, 0xe0, 0x70, 0xa2, 0x73, 0x4e, 0x4d, 0xbc, 0xb0, 0xc7, 0x4f, 0xd4, 0x6d, 0x4e, 0x90,
	  0xfe}},
	{"RPC",
	 {0x99, 0x68, 0x5b, 0x6c, 0xd2, 0x83, 0x3d, 0x24, 0x25, 0x36, 0x72, 0xe1, 0x5b, 0x0e, 0x14,
	  0x03}},
	{"SYCL",
	 {0x58, 0x05, 0x13, 0x8f, 0xcd, 0x3a, 0x61, 0x9d, 0xe7, 0xcd, 0x98, 0xa9, 0x03, 0xfd, 0x7c,
	  0x53}},
	{"Metal",
	 {0x81, 0xa1, 0x8b, 0x1e, 0x71, 0xec, 0x79, 0xed, 0x2b, 0x85, 0xdc, 0x8a, 0x61, 0x98, 0x30,
	  0xe6}},
	{"BLAS",
	 {0x12, 0xa8, 0xae, 0xf4, 0xc0, 0x1e, 0x61, 0x97, 0x8f, 0xeb, 0x33, 0x04, 0xa1, 0x33, 0x51,
	  0x2d}},
	{"meta",
	 {0xf1, 0x0e, 0x34, 0xcf, 0x9c, 0x6f, 0x43, 0xcb, 0x96, 0x92, 0xbe, 0x8e, 0xbb, 0x71, 0x3f,
	  0xda}},
};

/* The name in the table that outlives the caller's. */
static const char *lasting_name(const char *backend)
{
	for (size_t i = 0; i < ARRAY_LEN(backend_guids); i++)
		if (!strcmp(backend, backend_guids[i].name))
			return backend_guids[i].name;
	return "";
}

/* An engine of our own for functions whose address was read from the running process. */
static const char iface_text[] = "engine: ggml-backend-interface\n"
				 "symbols: [ggml_backend_graph_compute_async]\n"
				 "layout: true\n"
				 "levels:\n"
				 "  graph:\n"
				 "    - name: interface\n"
				 "      functions:\n"
				 "        - symbol: graph_compute\n"
				 "          entry: graph_begin\n"
				 "          args: {graph: arg2, backend: arg1}\n"
				 "          exit: graph_end\n"
				 "  operator:\n"
				 "    - name: interface\n"
				 "      functions:\n"
				 "        - symbol: graph_compute\n"
				 "          entry: op_graph_begin\n"
				 "          args: {graph: arg2}\n"
				 "          exit: op_graph_end\n";

static const struct engine *iface_engine(struct plan *p, struct diag *d)
{
	if (!p->iface)
		p->iface = engine_parse("interface", iface_text, strlen(iface_text), d);
	return p->iface;
}

/* True when single operators of the backend are seen, which need the tensors of its graphs. */
static bool shows_operators(const struct plan *p, const char *backend)
{
	for (size_t i = 0; i < p->n_points; i++) {
		const struct plan_point *pt = p->points[i];

		/* A fork's backend has a GUID of its own, which tells nothing. */
		if (!strcmp(pt->event, "op_begin") && strcmp(pt->backend, "CPU") != 0 &&
		    (!*backend || !strcmp(pt->backend, backend)))
			return true;
	}
	return false;
}

static bool add_interface(struct plan *p, const struct engine *e, const struct found *at,
			  const char *backend, char *why, size_t n)
{
	size_t copy = plan_copy_of(p, e, p->files[at->file]->family);

	for (size_t i = 0; i < e->n_levels; i++) {
		const struct engine_alternative *alt = &e->levels[i].alternatives[0];

		if (e->levels[i].level == LEVEL_OPERATOR && !shows_operators(p, backend))
			continue;
		if (!plan_add_function(p, e, alt, e->levels[i].level, &alt->functions[0], at, copy,
				       why, n))
			return false;
	}
	return true;
}

static int add_at_address(struct plan *p, size_t file, uint64_t offset, const char *backend,
			  struct diag *d)
{
	const struct file_state *f = p->files[file];
	const struct engine *e = iface_engine(p, d);
	struct found at = {.file = file, .how = "read from the running process"};
	struct elf_symbol sym;
	size_t before = p->n_points;
	char why[256];
	uint64_t vaddr;
	bool ok;

	if (!e || !elf_offset_to_vaddr(f->elf, offset, &vaddr) ||
	    !elf_func_at(f->elf, vaddr, &at.func) || at.func.vaddr != vaddr)
		return diag_fail(d, -ENOENT, "%s: no function at file offset 0x%" PRIx64,
				 f->pub.shown, offset);
	at.symbol = elf_symbol_at(f->elf, vaddr, &sym) && sym.vaddr == vaddr
			    ? xstrdup(sym.name)
			    : xasprintf("%s graph_compute", backend);
	ok = add_interface(p, e, &at, lasting_name(backend), why, sizeof(why));
	free(at.symbol);
	if (!ok)
		return diag_fail(d, -EOPNOTSUPP, "%s: %s", f->pub.shown, why);
	for (size_t i = before; i < p->n_points; i++)
		p->points[i]->backend = lasting_name(backend);
	return (int)(p->n_points - before);
}

int plan_extend_backend(struct plan *p, pid_t pid, uint64_t address, const char *backend,
			struct diag *d)
{
	uint64_t offset = 0;
	struct mapping m;
	long file;

	if (wake(p, d))
		return -EIO;
	if (!mapping_resolve(pid, address, &m, &offset))
		return diag_fail(d, -ENOENT,
				 "process %d: no executable file is mapped at 0x%" PRIx64, pid,
				 address);
	file = plan_file_of_mapping(p, pid, &m, d);
	mapping_clear(&m);
	return file < 0 ? -ENOENT : add_at_address(p, (size_t)file, offset, backend, d);
}

const char *plan_backend_of_guid(const uint8_t guid[16])
{
	for (size_t i = 0; i < ARRAY_LEN(backend_guids); i++)
		if (!memcmp(guid, backend_guids[i].guid, 16))
			return backend_guids[i].name;
	return "";
}

const char *plan_backend_guid(size_t i, const uint8_t **guid)
{
	if (i >= ARRAY_LEN(backend_guids))
		return NULL;
	*guid = backend_guids[i].guid;
	return backend_guids[i].name;
}
