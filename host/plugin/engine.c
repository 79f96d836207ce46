/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events of the engine as the probe plan knows them. An argument is one of the plan's ("tensor",
 * "n_tokens") or a field behind one: op, name, ne0.. of the tensor, ith of the params.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/internal.h"
#include "target/mapping.h"
#include "target/plan.h"
#include "util/text.h"

static const struct {
	const char *name, *of;
	enum layout_field field;
	uint32_t add;	  /* bytes behind the field's start */
	const char *read; /* NULL: the address itself */
} fields[] = {
	{"op", "tensor", LAYOUT_TENSOR_OP, 0, "RD_U32"},
	{"name", "tensor", LAYOUT_TENSOR_NAME, 0, NULL},
	{"ne0", "tensor", LAYOUT_TENSOR_NE, 0, "RD_U64"},
	{"ne1", "tensor", LAYOUT_TENSOR_NE, 8, "RD_U64"},
	{"ne2", "tensor", LAYOUT_TENSOR_NE, 16, "RD_U64"},
	{"ne3", "tensor", LAYOUT_TENSOR_NE, 24, "RD_U64"},
	{"data", "tensor", LAYOUT_TENSOR_DATA, 0, "RD_U64"},
	{"ith", "params", LAYOUT_PARAMS_ITH, 0, "RD_U32"},
	{"n_nodes", "graph", LAYOUT_CGRAPH_N_NODES, 0, "RD_U32"},
};

static const char *plan_arg(const struct plan_point *pt, const char *name)
{
	for (size_t i = 0; i < pt->n_args; i++)
		if (strcmp(pt->args[i].name, name) == 0)
			return pt->args[i].expr;
	return NULL;
}

/* C text for an argument; NULL when the point has none of the name. */
static char *argument(const struct plan *plan, const struct plan_point *pt, const char *name)
{
	const char *expr = plan_arg(pt, name);

	if (expr)
		return xasprintf("(u64)(%s)", expr);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		int32_t at;

		if (strcmp(fields[i].name, name) != 0 || pt->layout < 0)
			continue;
		expr = plan_arg(pt, fields[i].of);
		at = layout_get(plan_layout(plan, (size_t)pt->layout)->layout, fields[i].field);
		if (expr && at >= 0)
			return xasprintf("%s((u64)(%s) + %d)", fields[i].read ? fields[i].read : "",
					 expr, at + (int)fields[i].add);
	}
	return NULL;
}

static int no_argument(struct plugin *p, const struct plugin_probe *probe,
		       const struct plan_point *pt, const char *name, struct diag *d)
{
	struct buf has = {0};

	for (size_t i = 0; i < pt->n_args; i++)
		buf_printf(&has, "%s%s", i ? ", " : "", pt->args[i].name);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (pt->layout >= 0 && plan_arg(pt, fields[i].of))
			buf_printf(&has, ", %s", fields[i].name);
	diag_fail_at(d, -EINVAL, &p->source, probe->at,
		     "%s has no argument '%s' in this engine; it has: %s", probe->symbol, name,
		     buf_str(&has));
	buf_free(&has);
	return -EINVAL;
}

/* The program for one point: the function itself, or one that hands it the arguments. */
static int program_for(struct plugin *p, const struct plugin_probe *probe,
		       const struct plan_point *pt, struct diag *d)
{
	char *exprs[PLUGIN_ARGS_MAX] = {0};
	int fd = 0;

	if (!probe->n_args)
		return bpf_module_prog_fd(p->module, probe->function);
	for (size_t i = 0; !fd && i < probe->n_args; i++) {
		exprs[i] = argument(session_plan(p->set->session), pt, probe->args[i]);
		if (!exprs[i])
			fd = no_argument(p, probe, pt, probe->args[i], d);
	}
	if (!fd)
		fd = plugin_engine_program(p, probe, (const char *const *)exprs, d);
	for (size_t i = 0; i < probe->n_args; i++)
		free(exprs[i]);
	return fd;
}

/* "op:begin" is the plan's op_begin; a fused operator begins at another function. */
static bool is_event(const struct plan_point *pt, const char *symbol)
{
	size_t n = strcspn(symbol, ":");

	if (strcmp(symbol, "op:begin") == 0 && strcmp(pt->event, "op_fused") == 0)
		return true;
	return strncmp(pt->event, symbol, n) == 0 && pt->event[n] == '_' &&
	       strcmp(pt->event + n + 1, symbol + n + 1) == 0;
}

static bool maps_file(const struct mapping_list *maps, const struct plan_file *f)
{
	for (size_t i = 0; i < maps->count; i++)
		if (maps->at[i].ino == f->ino && maps->at[i].dev == f->dev)
			return true;
	return false;
}

static int attach_site(struct plugin *p, size_t probe, pid_t pid, const struct plan_site *site,
		       struct diag *d)
{
	struct plan *plan = session_plan(p->set->session);
	const struct plan_file *f = plan_file(plan, site->file);
	struct uprobe_site at = {.offset = site->offset};
	char path[64];
	struct uprobe_opts o = {.path = f->open_path,
				.sites = &at,
				.n_sites = 1,
				.is_return = site->is_return,
				.pid = plugin_probed_pid(p, pid)};
	int fd = program_for(p, &p->header.probes[probe], plan_point(plan, site->point), d);

	if (fd < 0)
		return fd;
	if (f->fd >= 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
		o.path = path;
	}
	return links_uprobes(p->links, fd, &o, NULL, d);
}

/* The plan's events as the header writes them, for a suggestion. */
static const char *nearest_event(const struct plan *plan, const char *symbol)
{
	size_t n = plan_mark(plan).points;
	const char **names = xcalloc(n + 1, sizeof(*names)), *near;
	char *as_event = xstrdup(symbol), *colon = strchr(as_event, ':');

	*colon = '_';
	for (size_t i = 0; i < n; i++)
		names[i] = plan_point(plan, i)->event;
	near = text_nearest_of(as_event, names, n);
	free(names);
	free(as_event);
	return near;
}

static char *why_none(const struct plan *plan, const char *symbol)
{
	const char *near = nearest_event(plan, symbol);
	struct buf out = {0};
	char *text;

	buf_printf(&out, "the engine has no event %s", symbol);
	if (near) {
		text = xstrdup(near);
		if (strchr(text, '_'))
			*strchr(text, '_') = ':';
		buf_printf(&out, "; did you mean %s?", text);
		free(text);
	}
	return buf_take(&out);
}

int plugin_attach_engine(struct plugin *p, size_t i, pid_t pid, struct diag *d)
{
	struct plan *plan = session_plan(p->set->session);
	const char *symbol = p->header.probes[i].symbol;
	struct mapping_list maps = {0};
	size_t n = plan_mark(plan).sites;
	bool found = false;
	int err = mapping_list_read(pid, &maps, p->set->quiet);

	for (size_t k = 0; !err && k < n; k++) {
		const struct plan_site *site = plan_site(plan, k);

		if (!is_event(plan_point(plan, site->point), symbol) ||
		    !maps_file(&maps, plan_file(plan, site->file)))
			continue;
		found = true;
		if (plugin_is_attached(p, i, pid, 0, k))
			continue;
		err = attach_site(p, i, pid, site, d);
		if (!err)
			plugin_remember(p, i, pid, 0, k);
		else
			plugin_set_missing(p, i, xasprintf("%s could not be attached", symbol));
	}
	mapping_list_free(&maps);
	if (!found && !err)
		plugin_set_missing(p, i, why_none(plan, symbol));
	return err;
}
