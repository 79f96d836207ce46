/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/plugin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/compile.h"
#include "plugin/internal.h"
#include "script/run/symbols.h"
#include "session/session.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/text.h"

enum { TEXT_MAX = 4 << 20, PERF_BYTES_PER_CPU = 1 << 18 };

static void detach(struct plugin *p)
{
	links_free(p->links);
	p->links = NULL;
	free(p->attached);
	p->attached = NULL;
	p->n_attached = p->cap_attached = 0;
	p->on = false;
}

static void plugin_free(struct plugin *p)
{
	detach(p);
	for (size_t i = 0; i < p->n_outputs; i++) {
		transport_free(p->outputs[i].transport);
		ctype_free(p->outputs[i].type);
	}
	for (size_t i = 0; i < p->n_tables; i++) {
		ctype_free(p->tables[i].key);
		ctype_free(p->tables[i].value);
	}
	for (size_t i = 0; i < p->n_extras; i++) {
		free(p->extras[i].key);
		free(p->extras[i].program);
		bpf_module_free(p->extras[i].module);
	}
	for (size_t i = 0; p->missing && i < p->header.n_probes; i++)
		free(p->missing[i]);
	free(p->missing);
	free(p->outputs);
	free(p->tables);
	free(p->extras);
	bpf_module_free(p->module);
	bpf_code_free(p->code);
	plugin_header_free(&p->header);
	scan_free(&p->scan);
	free(p->text);
	free(p->path);
	free(p->name);
	free(p);
}

static int attach(struct plugin *p, struct diag *d)
{
	pid_t pid;
	int err;

	p->links = links_new(session_reaper(p->set->session));
	p->on = true;
	err = plugin_attach_global(p, d);
	for (size_t i = 0; !err && (pid = session_pid(p->set->session, i)); i++)
		err = plugin_attach_process(p, pid, d);
	if (err)
		detach(p);
	return err;
}

static void on_process(void *ctx, pid_t pid, struct diag *d)
{
	struct plugins *set = ctx;

	set->first_pid = set->first_pid ? set->first_pid : pid;
	/* Keeping its files at hand costs some MB. */
	if (set->count)
		symbols_note(set->symbols, pid, true);
	for (size_t i = 0; i < set->count; i++)
		if (set->at[i]->on)
			plugin_attach_process(set->at[i], pid, d);
}

static void on_gone(void *ctx, pid_t pid)
{
	struct plugins *set = ctx;

	for (size_t i = 0; i < set->count; i++)
		if (set->at[i]->on)
			plugin_drop_process(set->at[i], pid);
}

static void print_tables(const struct plugin *p, FILE *out)
{
	uint64_t full = plugin_lost_kind(p, 0);
	char n[32];

	for (size_t i = 0; i < p->n_tables; i++)
		if (plugin_table_readable(&p->tables[i]))
			plugin_table_print(p, &p->tables[i], out);
	if (full)
		fprintf(out, "%s: %s updates found a full table\n", p->name, text_count(full, n));
}

static void print_when_due(struct plugin *p, uint64_t now)
{
	if (!p->header.every_ns || !p->on || !p->set->out || now < p->next_print_ns)
		return;
	if (p->next_print_ns)
		print_tables(p, p->set->out);
	p->next_print_ns = now + p->header.every_ns;
}

static void on_drain(void *ctx, struct diag *d)
{
	struct plugins *set = ctx;
	uint64_t now = clock_now();

	(void)d;
	for (size_t i = 0; i < set->count; i++) {
		plugin_drain(set->at[i]);
		print_when_due(set->at[i], now);
	}
}

static void on_started(void *ctx)
{
	struct plugins *set = ctx;

	for (size_t i = 0; i < set->count; i++)
		plugin_note(set->at[i]);
}

static void on_sync(void *ctx, bool last)
{
	struct plugins *set = ctx;

	for (size_t i = 0; i < set->count; i++) {
		plugin_drain(set->at[i]);
		plugin_note_losses(set->at[i]);
		if (last)
			plugin_record_tables(set->at[i]);
	}
}

static uint64_t on_lost(void *ctx)
{
	return plugins_lost(ctx);
}

static void on_ending(void *ctx)
{
	struct plugins *set = ctx;

	for (size_t i = 0; i < set->count; i++)
		detach(set->at[i]);
	set->session = NULL;
}

struct plugins *plugins_new(struct session *s, const char *cache_dir)
{
	struct plugins *set = xcalloc(1, sizeof(*set));
	struct session_rider r = {
		.ctx = set,
		.process = on_process,
		.gone = on_gone,
		.drain = on_drain,
		.started = on_started,
		.sync = on_sync,
		.lost = on_lost,
		.ending = on_ending,
	};

	set->session = s;
	set->cache_dir = cache_dir ? xstrdup(cache_dir) : NULL;
	set->symbols = symbols_new(true);
	set->quiet = diag_new();
	session_ride(s, &r);
	return set;
}

void plugins_free(struct plugins *set)
{
	if (!set)
		return;
	if (set->session)
		session_unride(set->session, set);
	for (size_t i = 0; i < set->count; i++)
		plugin_free(set->at[i]);
	symbols_free(set->symbols);
	diag_free(set->quiet);
	free(set->cache_dir);
	free(set->at);
	free(set);
}

static char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = xstrdup(slash ? slash + 1 : path);

	if (text_ends(name, ".c"))
		name[strlen(name) - 2] = '\0';
	return name;
}

static struct plugin *find(const struct plugins *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->at[i]->name, name) == 0)
			return set->at[i];
	return NULL;
}

/* A name without a folder may be one of the shipped plugins. */
static int read_text(struct plugin *p, struct diag *d)
{
	struct buf b = {0};
	int err = file_read(p->path, &b, TEXT_MAX);

	if (err == -ENOENT) {
		char *shipped = xasprintf("probes/plugins/%s.c", p->path);

		p->text = data_file_read(shipped);
		if (!p->text) {
			free(shipped);
			shipped = xasprintf("probes/plugins/%s", p->path);
			p->text = data_file_read(shipped);
		}
		if (p->text) {
			free(p->path);
			p->path = shipped;
			buf_free(&b);
			return 0;
		}
		free(shipped);
	}
	if (err) {
		buf_free(&b);
		return diag_fail(d, err, "cannot read the plugin %s: %s", p->path, strerror(-err));
	}
	if (memchr(buf_str(&b), '\0', b.len)) {
		buf_free(&b);
		return diag_fail(d, -EINVAL, "%s holds a NUL byte: that is no C text", p->path);
	}
	p->text = xstrdup(buf_str(&b));
	buf_free(&b);
	return 0;
}

/* Numbers for notes, and buffers for what the plugin sends. */
static int open_outputs(struct plugin *p, struct diag *d)
{
	for (size_t i = 0; i < p->n_tables; i++)
		p->tables[i].id = p->set->next_id++;
	for (size_t i = 0; i < p->n_outputs; i++) {
		struct plugin_output *o = &p->outputs[i];

		o->id = p->set->next_id++;
		o->transport = transport_wrap(bpf_module_map_fd(p->module, o->name),
					      PERF_BYTES_PER_CPU, d);
		if (!o->transport)
			return -EINVAL;
	}
	return 0;
}

static int load(struct plugin *p, struct diag *d)
{
	int err = read_text(p, d);

	if (err)
		return err;
	p->source = (struct source){p->path, p->text, strlen(p->text)};
	err = plugin_header_parse(&p->source, &p->header, d);
	if (err)
		return err;
	scan_text(p->text, p->source.len, &p->scan);
	err = plugin_compile(p, d);
	if (err)
		return err;
	p->missing = xcalloc(p->header.n_probes + 1, sizeof(*p->missing));
	err = open_outputs(p, d);
	return err ? err : attach(p, d);
}

int plugins_load(struct plugins *set, const char *path, struct diag *d)
{
	struct plugin *p = xcalloc(1, sizeof(*p));
	int err;

	p->set = set;
	p->lost_fd = -1;
	p->path = xstrdup(path);
	p->name = name_of(path);
	if (find(set, p->name))
		err = diag_fail(d, -EEXIST, "a plugin '%s' is loaded already", p->name);
	else
		err = load(p, d);
	if (err) {
		plugin_free(p);
		return err;
	}
	*VEC_PUSH(set->at, set->count, set->cap) = p;
	if (session_recording(set->session))
		plugin_note(p);
	return 0;
}

size_t plugins_count(const struct plugins *set)
{
	return set->count;
}

const char *plugins_name(const struct plugins *set, size_t i)
{
	return i < set->count ? set->at[i]->name : NULL;
}

int plugins_enable(struct plugins *set, const char *name, struct diag *d)
{
	struct plugin *p = find(set, name);

	if (!p)
		return -ENOENT;
	return p->on ? 0 : attach(p, d);
}

int plugins_disable(struct plugins *set, const char *name, struct diag *d)
{
	struct plugin *p = find(set, name);

	(void)d;
	if (!p)
		return -ENOENT;
	detach(p);
	plugin_drain(p);
	return 0;
}

void plugins_set_output(struct plugins *set, FILE *out)
{
	set->out = out;
}

void plugins_print_tables(struct plugins *set, const char *name, FILE *out)
{
	for (size_t i = 0; i < set->count; i++)
		if (!name || strcmp(set->at[i]->name, name) == 0)
			print_tables(set->at[i], out);
}

static void print_status(const struct plugin *p, FILE *out)
{
	char lost[32], records[32];
	uint64_t n = 0;

	for (size_t i = 0; i < p->n_outputs; i++)
		n += p->outputs[i].records;
	fprintf(out, "%-10s %-4s %7zu %14s %10s", p->name, p->on ? "on" : "off",
		p->links ? links_sites(p->links) : 0, text_count(n, records),
		text_count(plugin_lost(p), lost));
	fprintf(out, "  %s\n", p->header.about ? p->header.about : p->path);
	for (size_t i = 0; p->on && i < p->header.n_probes; i++)
		if (p->missing[i])
			fprintf(out, "  %s is not run: %s\n", p->header.probes[i].function,
				p->missing[i]);
}

void plugins_print_status(struct plugins *set, FILE *out)
{
	if (set->count)
		fprintf(out, "%-10s %-4s %7s %14s %10s\n", "plugin", "", "probes", "records",
			"lost");
	for (size_t i = 0; i < set->count; i++)
		print_status(set->at[i], out);
}

void plugins_warn_missing(const struct plugins *set, struct diag *d)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct plugin *p = set->at[i];

		for (size_t k = 0; p->on && k < p->header.n_probes; k++)
			if (p->missing[k])
				diag_add(d, DIAG_WARNING, "plugin %s: %s was never run: %s",
					 p->name, p->header.probes[k].function, p->missing[k]);
	}
}

size_t plugins_probes(const struct plugins *set)
{
	size_t n = 0;

	for (size_t i = 0; i < set->count; i++)
		if (set->at[i]->links)
			n += links_sites(set->at[i]->links);
	return n;
}

uint64_t plugins_lost(const struct plugins *set)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < set->count; i++)
		sum += plugin_lost(set->at[i]);
	return sum;
}
