/* SPDX-License-Identifier: Apache-2.0 */
/* What the REPL and doctor print about a session. */
#include "session/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cxx_name.h"
#include "util/text.h"

static void print_level(struct session *s, enum rec_level id, FILE *out)
{
	struct session_level_stats st;
	char hits[32], lost[32], cost[32];
	const char *why;

	session_level_stats(s, id, &st);
	fprintf(out, "%-10s %-4s %7zu %14s %10s", level_name(id), st.on ? "on" : "off", st.sites,
		text_count(st.hits, hits), text_count(st.lost, lost));
	if (st.on)
		fprintf(out, " %12s %7.2f %%", text_ns(st.cost_ns, cost), 100 * st.share);
	fputc('\n', out);
	why = session_level_reason(s, id);
	if (*why)
		fprintf(out, "  no probe point: %s\n", why);
}

void session_print_status(struct session *s, FILE *out)
{
	char bytes[32];

	fprintf(out, "%-10s %-4s %7s %14s %10s %12s %9s\n", "level", "", "probes", "hits", "lost",
		"cost (est.)", "of target");
	for (int i = 0; i < LEVEL_COUNT; i++)
		if (level_get(i))
			print_level(s, i, out);
	fprintf(out, "buffer: %s, %s, %.0f %% filled\n",
		transport_kind(s->transport) == TRANSPORT_RING ? "ring" : "perf",
		text_bytes((double)transport_bytes(s->transport), bytes),
		100 * transport_fill(s->transport));
	if (s->spool)
		fprintf(out, "recording to %s: %s\n", spool_path(s->spool),
			text_bytes((double)spool_bytes(s->spool), bytes));
	else
		fputs("not recording\n", out);
}

/* The engines of a process, each with its library. */
static void print_engines(struct session *s, pid_t pid, FILE *out)
{
	size_t copies = plan_mark(s->plan).copies;
	struct diag *quiet = diag_new();
	struct mapping_list maps = {0};

	if (mapping_list_read(pid, &maps, quiet) == 0) {
		for (size_t i = 0; i < copies; i++) {
			const struct plan_copy *c = plan_copy(s->plan, i);
			const struct plan_file *f = plan_copy_file(s->plan, i);

			if (plan_file_is_mapped(f, &maps))
				fprintf(out, "  %-14s %-10s %s%s\n", c->engine->name, c->version,
					f->shown, f->replaced ? " (replaced on disk)" : "");
		}
	}
	mapping_list_free(&maps);
	diag_free(quiet);
}

void session_print_targets(struct session *s, FILE *out)
{
	for (size_t i = 0; i < s->n_processes; i++) {
		const struct session_process *p = &s->processes[i];
		char *command = process_command(p->process.pid);

		fprintf(out, "%d %s %s\n", p->process.pid, p->alive ? "running" : "ended",
			p->alive ? command : p->process.comm);
		if (p->alive)
			print_engines(s, p->process.pid, out);
		free(command);
	}
	if (!s->n_processes)
		fputs("no process yet\n", out);
	if (s->watch)
		fprintf(out, "new libraries and children are seen by %s\n", watch_method(s->watch));
}

static void print_site(struct session *s, struct cxx_names *names, const struct plan_site *site,
		       FILE *out)
{
	const char *file = plan_file(s->plan, site->file)->shown, *slash = strrchr(file, '/');
	char *name = cxx_demangle(names, site->symbol);

	fprintf(out, "  %-15s %s+0x%" PRIx64 "%s at %s:0x%" PRIx64 ", %s, about %.1f us a hit\n",
		plan_point(s->plan, site->point)->event, name ? name : site->symbol,
		site->sym_offset, site->is_return ? " (return)" : "", slash ? slash + 1 : file,
		site->offset, insn_class_name(site->class), site->cost_ns / 1000);
	free(name);
}

static void print_level_plan(struct session *s, struct cxx_names *names, enum rec_level level,
			     FILE *out)
{
	struct plan_mark m = plan_mark(s->plan);

	fprintf(out, "%s\n", level_name(level));
	for (size_t i = 0; i < m.sites; i++) {
		const struct plan_site *site = plan_site(s->plan, i);

		if (plan_point(s->plan, site->point)->level == level)
			print_site(s, names, site, out);
	}
	if (!plan_has_level(s->plan, level))
		fprintf(out, "  no probe point: %s\n", plan_level_reason(s->plan, level));
}

void session_print_plan(struct session *s, FILE *out)
{
	struct cxx_names *names = cxx_names_new();

	/* The scheduler level takes tracepoints of the kernel. */
	for (int i = 0; i < LEVEL_COUNT; i++)
		if (level_get(i) && i != LEVEL_SCHEDULER)
			print_level_plan(s, names, i, out);
	cxx_names_free(names);
}
