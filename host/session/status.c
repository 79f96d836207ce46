/* SPDX-License-Identifier: Apache-2.0 */
/* What the REPL and doctor print about a session. */
#include "session/internal.h"

#include <stdlib.h>

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

void session_print_targets(struct session *s, FILE *out)
{
	for (size_t i = 0; i < s->n_processes; i++) {
		pid_t pid = s->processes[i].process.pid;
		char *command = process_command(pid);

		fprintf(out, "%d %s %s\n", pid, s->processes[i].alive ? "running" : "ended",
			s->processes[i].alive ? command : s->processes[i].process.comm);
		free(command);
	}
	if (s->watch)
		fprintf(out, "new libraries and children are seen by %s\n", watch_method(s->watch));
}

void session_print_plan(struct session *s, FILE *out)
{
	struct plan_mark m = plan_mark(s->plan);

	for (size_t i = 0; i < m.sites; i++) {
		const struct plan_site *site = plan_site(s->plan, i);
		const struct plan_point *p = plan_point(s->plan, site->point);

		fprintf(out, "%-10s %-12s %s+0x%llx%s in %s: %s (%s), about %.1f us a hit\n",
			level_name(p->level), p->event, site->symbol,
			(unsigned long long)site->sym_offset, site->is_return ? " return" : "",
			plan_file(s->plan, site->file)->shown, site->insn,
			insn_class_name(site->class), site->cost_ns / 1000);
	}
	for (int i = 0; i < LEVEL_COUNT; i++)
		if (level_get(i) && i != LEVEL_SCHEDULER && !plan_has_level(s->plan, i))
			fprintf(out, "%-10s no probe point: %s\n", level_name(i),
				plan_level_reason(s->plan, i));
}
