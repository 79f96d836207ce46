/* SPDX-License-Identifier: Apache-2.0 */
/* Where a plugin's programs run: kernel events once, functions in each file that targets map. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/internal.h"
#include "target/elf.h"
#include "target/mapping.h"
#include "target/site.h"
#include "util/text.h"

enum { MATCHES_MAX = 1000 };

pid_t plugin_probed_pid(const struct plugin *p, pid_t pid)
{
	return session_can_filter(p->set->session) ? pid : 0;
}

bool plugin_is_attached(const struct plugin *p, size_t probe, pid_t pid, uint64_t dev, uint64_t ino)
{
	pid = plugin_probed_pid(p, pid);
	for (size_t i = 0; i < p->n_attached; i++) {
		const struct plugin_attached *a = &p->attached[i];

		if (a->probe == probe && a->pid == pid && a->dev == dev && a->ino == ino)
			return true;
	}
	return false;
}

void plugin_remember(struct plugin *p, size_t probe, pid_t pid, uint64_t dev, uint64_t ino)
{
	*VEC_PUSH(p->attached, p->n_attached, p->cap_attached) =
		(struct plugin_attached){probe, plugin_probed_pid(p, pid), dev, ino};
	plugin_set_missing(p, probe, NULL);
}

void plugin_drop_process(struct plugin *p, pid_t pid)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->n_attached; i++)
		if (p->attached[i].pid != pid)
			p->attached[kept++] = p->attached[i];
	p->n_attached = kept;
	links_drop(p->links, pid);
}

void plugin_set_missing(struct plugin *p, size_t probe, char *why)
{
	free(p->missing[probe]);
	p->missing[probe] = why;
}

static int prog_fd(const struct plugin *p, const struct plugin_probe *probe)
{
	return bpf_module_prog_fd(p->module, probe->function);
}

static int attach_profile(struct plugin *p, const struct plugin_probe *probe, struct diag *d)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.size = sizeof(attr),
		.freq = 1,
		.sample_freq = probe->hz,
	};

	return links_perf_event(p->links, prog_fd(p, probe), &attr, -1, -1, d);
}

static int attach_tracepoint(struct plugin *p, const struct plugin_probe *probe, struct diag *d)
{
	char *category = xstrdup(probe->symbol), *event = strchr(category, ':');
	int err;

	*event++ = '\0';
	err = links_tracepoint(p->links, prog_fd(p, probe), category, event, d);
	free(category);
	return err;
}

static int attach_kernel(struct plugin *p, const struct plugin_probe *probe, struct diag *d)
{
	int fd = prog_fd(p, probe);

	switch (probe->kind) {
	case PLUGIN_TRACEPOINT:
		return attach_tracepoint(p, probe, d);
	case PLUGIN_RAW_TRACEPOINT:
		return links_raw_tracepoint(p->links, fd, probe->symbol, d);
	case PLUGIN_PROFILE:
		return attach_profile(p, probe, d);
	case PLUGIN_KPROBE:
	case PLUGIN_KRETPROBE:
		return links_kprobe(p->links, fd, probe->symbol, 0, probe->kind == PLUGIN_KRETPROBE,
				    d);
	case PLUGIN_TRACING:
		return links_tracing(p->links, fd, d);
	default:
		return 0;
	}
}

/* What went wrong is told with the line, or the function's name, that asked for it. */
static int blame(const struct plugin *p, const struct plugin_probe *probe, int err,
		 const struct diag *why, struct diag *d)
{
	if (probe->at.line)
		return diag_fail_at(d, err, &p->source, probe->at, "%s", diag_first_error(why));
	return diag_fail(d, err, "%s: %s: %s", p->path, probe->function, diag_first_error(why));
}

int plugin_attach_global(struct plugin *p, struct diag *d)
{
	struct diag *why = diag_new();
	int err = 0;

	for (size_t i = 0; !err && i < p->header.n_probes; i++) {
		err = attach_kernel(p, &p->header.probes[i], why);
		if (err)
			blame(p, &p->header.probes[i], err, why, d);
	}
	diag_free(why);
	return err;
}

/* One function of one file that is being attached. */
struct search {
	struct plugin *p;
	const struct plugin_probe *probe;
	struct elf *elf;
	struct uprobe_site *sites, *returns;
	size_t n_sites, cap_sites, n_returns, cap_returns;
	struct diag *d;
};

static void add_site(struct search *s, bool is_return, uint64_t offset)
{
	if (is_return)
		VEC_PUSH(s->returns, s->n_returns, s->cap_returns)->offset = offset;
	else
		VEC_PUSH(s->sites, s->n_sites, s->cap_sites)->offset = offset;
}

/* The arguments stay where BCC programs look for them: registers of the first instruction, and the
 * stack as it was then. */
static void add_entry(struct search *s, const struct elf_symbol *sym, const struct elf_func *f)
{
	struct site site;
	uint64_t offset;

	if (!s->probe->offset && f && site_entry(s->elf, f, 0x3f, true, &site) == 0 &&
	    site.sp_known && !site.sp_adjust)
		add_site(s, false, site.file_offset);
	else if (elf_vaddr_to_offset(s->elf, sym->vaddr + s->probe->offset, &offset))
		add_site(s, false, offset);
}

/* A return probe where no exception can cross it, else each instruction that returns. */
static void add_return(struct search *s, const struct elf_symbol *sym, const struct elf_func *f)
{
	struct site_exits exits;
	struct site site;
	char why[96] = "";

	if (site_may_throw(s->elf, f, why, sizeof(why)) == SITE_THROW_NO &&
	    site_return(s->elf, f, &site) == 0) {
		add_site(s, true, site.file_offset);
		return;
	}
	if (site_exits(s->elf, f, SITE_VALUE_IN_PLACE, &exits) || !exits.complete) {
		diag_add(s->d, DIAG_WARNING,
			 "%s in %s: the return of %s cannot be probed: an exception might cross a "
			 "return probe (%s), which would end the target",
			 s->p->name, elf_name(s->elf), sym->name, why);
		return;
	}
	for (size_t i = 0; i < exits.count; i++)
		add_site(s, false, exits.at[i].file_offset);
}

static int on_symbol(void *ctx, const struct elf_symbol *sym)
{
	struct search *s = ctx;
	struct elf_func f;
	bool known = elf_func_at(s->elf, sym->vaddr, &f);

	if (!sym->is_func)
		return 0;
	if (s->probe->kind == PLUGIN_URETPROBE && known)
		add_return(s, sym, &f);
	else if (s->probe->kind == PLUGIN_UPROBE)
		add_entry(s, sym, known ? &f : NULL);
	return s->n_sites + s->n_returns >= MATCHES_MAX;
}

static int link_sites(struct search *s, const struct mapped_file *file, pid_t pid, bool is_return)
{
	struct uprobe_opts o = {
		.path = file->open_path,
		.sites = is_return ? s->returns : s->sites,
		.n_sites = is_return ? s->n_returns : s->n_sites,
		.is_return = is_return,
		.pid = plugin_probed_pid(s->p, pid),
	};

	if (!o.n_sites)
		return 0;
	return links_uprobes(s->p->links, prog_fd(s->p, s->probe), &o, NULL, s->d);
}

static bool names_file(const struct plugin_probe *probe, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash && !strchr(probe->file, '/') ? slash + 1 : path;

	return fnmatch(probe->file, name, 0) == 0;
}

/* Symbols in one mapped file. Returns 1 when something was attached, 0 when not, -errno. */
static int attach_file(struct plugin *p, size_t probe, pid_t pid, const struct mapping *m,
		       struct diag *d)
{
	struct search s = {.p = p, .probe = &p->header.probes[probe], .d = d};
	struct mapped_file file;
	int err = mapping_open(pid, m, &file, p->set->quiet);

	if (err)
		return 0;
	s.elf = elf_open_fd(file.fd, m->path, p->set->quiet);
	if (s.elf) {
		elf_match(s.elf, s.probe->symbol, on_symbol, &s);
		if (s.n_sites + s.n_returns >= MATCHES_MAX)
			diag_add(d, DIAG_WARNING, "%s: %s matches more than %d functions of %s",
				 p->name, s.probe->symbol, MATCHES_MAX, m->path);
		err = link_sites(&s, &file, pid, false);
		err = err ? err : link_sites(&s, &file, pid, true);
		elf_close(s.elf);
	}
	mapped_file_close(&file);
	free(s.sites);
	free(s.returns);
	return err ? err : s.n_sites + s.n_returns > 0;
}

/* A function named without a file is looked for in the executable first, then in its libraries. */
static int attach_function(struct plugin *p, size_t i, pid_t pid, const struct mapping_list *maps,
			   struct diag *d)
{
	const struct plugin_probe *probe = &p->header.probes[i];
	bool seen = false, found = false;

	for (size_t k = 0; k < maps->count; k++) {
		const struct mapping *m = &maps->at[k];
		int err;

		if (probe->file && !names_file(probe, m->path))
			continue;
		seen = true;
		if (plugin_is_attached(p, i, pid, m->dev, m->ino)) {
			found = true;
			continue;
		}
		err = attach_file(p, i, pid, m, d);
		if (err < 0)
			return err;
		if (err)
			plugin_remember(p, i, pid, m->dev, m->ino);
		found = found || err;
	}
	if (found)
		return 0;
	plugin_set_missing(p, i,
			   seen ? xasprintf("no function %s in %s", probe->symbol,
					    probe->file ? probe->file : "the target's files")
				: xasprintf("the target does not map %s", probe->file));
	return 0;
}

int plugin_attach_process(struct plugin *p, pid_t pid, struct diag *d)
{
	struct mapping_list maps = {0};
	int err = mapping_list_read(pid, &maps, p->set->quiet);

	/* It may be gone by now, which others notice. */
	if (err)
		return 0;
	for (size_t i = 0; !err && i < p->header.n_probes; i++) {
		enum plugin_probe_kind kind = p->header.probes[i].kind;

		if (kind == PLUGIN_UPROBE || kind == PLUGIN_URETPROBE)
			err = attach_function(p, i, pid, &maps, d);
		else if (kind == PLUGIN_ENGINE)
			err = plugin_attach_engine(p, i, pid, d);
	}
	mapping_list_free(&maps);
	diag_clear(p->set->quiet);
	return err;
}
