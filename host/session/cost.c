/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tracing takes from the targets: hits are counted exactly, their price is an estimate from
 * the calibration of this machine (bpf/calibrate.h) plus the program's own time.
 */
#include "session/internal.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bpf/kmap.h"
#include "util/text.h"

/* Time inside one program run, ns; measured with the kernel's run statistics, see tests/bench. */
static const double program_ns[LEVEL_COUNT] = {
	[LEVEL_TOKEN] = 300,
	[LEVEL_GRAPH] = 300,
	[LEVEL_OPERATOR] = 250,
	[LEVEL_SCHEDULER] = 200,
};

struct op_hits {
	uint64_t begin, barrier;
};

static void operator_hits(const struct session *s, struct op_hits *out)
{
	*out = (struct op_hits){s->dead_op_hits, s->dead_barrier_hits};
	for (size_t i = 0; i < THREAD_SLOTS; i++)
		if (s->threads[i].tid) {
			out->begin += s->threads[i].op_hits;
			out->barrier += s->threads[i].barrier_hits;
		}
}

void session_level_count(struct session *s, enum rec_level level, struct level_count *out)
{
	uint32_t key = level;
	struct op_hits h;

	*out = (struct level_count){0};
	kmap_percpu_sum(s->map[MAP_LEVEL], &key, sizeof(*out), 0, &out->lost);
	kmap_percpu_sum(s->map[MAP_LEVEL], &key, sizeof(*out), 1, &out->hits);
	kmap_percpu_sum(s->map[MAP_LEVEL], &key, sizeof(*out), 2, &out->lost_tensors);
	out->lost += session_missed(s, level);
	if (level == LEVEL_OPERATOR) {
		operator_hits(s, &h);
		out->hits += h.begin + h.barrier;
		out->lost += s->distrusted_ops;
	}
}

static uint64_t process_cpu_ns(pid_t pid)
{
	unsigned long utime = 0, stime = 0;
	char path[32], line[1024], *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	/* The name in parentheses may hold anything, so the fields are counted from its end. */
	if (fgets(line, sizeof(line), f) && (p = strrchr(line, ')')) &&
	    sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &utime, &stime) !=
		    2)
		utime = stime = 0;
	fclose(f);
	return (uint64_t)(utime + stime) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

uint64_t session_target_cpu_ns(struct session *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->n_processes; i++)
		if (s->processes[i].alive)
			sum += process_cpu_ns(s->processes[i].process.pid);
	return sum;
}

void session_cost_mark(struct session *s, enum rec_level id)
{
	struct session_level *l = &s->level[id];
	struct level_count c;

	session_level_count(s, id, &c);
	l->hits_before = l->noted_hits = c.hits;
	l->noted_ns = l->enabled_ns;
	l->target_cpu_before = session_target_cpu_ns(s);
}

static double class_ns(const struct session *s, const struct plan_site *site)
{
	static const enum hit_class classes[] = {
		[INSN_EMULATED] = HIT_EMULATED, [INSN_PUSH] = HIT_PUSH,
		[INSN_NOP] = HIT_EMULATED,	[INSN_NOP5] = HIT_NOP5,
		[INSN_STEPPED] = HIT_STEPPED,	[INSN_REFUSED] = HIT_STEPPED,
	};
	double ns = s->hit_cost.ns[site->is_return ? HIT_RETURN : classes[site->class]];

	return isnan(ns) ? site->cost_ns : ns;
}

static enum session_trap trap_of(const char *event)
{
	if (!strcmp(event, "op_barrier"))
		return TRAP_BARRIER;
	if (!strcmp(event, "op_begin") || !strcmp(event, "op_fused") || !strcmp(event, "op_node") ||
	    !strcmp(event, "op_end") || text_starts(event, "op_own"))
		return TRAP_BEGIN;
	return TRAP_ANY;
}

static void price(struct session_level *l, enum session_trap trap, double ns)
{
	l->trap[trap].ns += ns;
	l->trap[trap].n++;
}

void session_cost_attached(struct session *s, enum rec_level id, size_t site_index)
{
	const struct plan_site *site = plan_site(s->plan, site_index);
	enum session_trap trap = trap_of(plan_point(s->plan, site->point)->event);

	price(&s->level[id], TRAP_ANY, class_ns(s, site));
	if (trap != TRAP_ANY)
		price(&s->level[id], trap, class_ns(s, site));
}

/* Mean price of such a trap. */
static double trap_ns(const struct session *s, enum rec_level id, enum session_trap trap)
{
	const struct session_level *l = &s->level[id];

	return l->trap[trap].n ? l->trap[trap].ns / (double)l->trap[trap].n : 0;
}

/* Begins and barriers come in very different numbers, so each has its own price. */
static double operator_hit_ns(struct session *s)
{
	struct op_hits h;
	double begin = trap_ns(s, LEVEL_OPERATOR, TRAP_BEGIN);
	double barrier = trap_ns(s, LEVEL_OPERATOR, TRAP_BARRIER);

	operator_hits(s, &h);
	if (!h.begin && !h.barrier)
		return begin;
	return ((double)h.begin * begin + (double)h.barrier * barrier) /
	       (double)(h.begin + h.barrier);
}

double session_cost_ns(struct session *s, enum rec_level id, uint64_t hits)
{
	double trap = id == LEVEL_OPERATOR ? operator_hit_ns(s) : trap_ns(s, id, TRAP_ANY);

	return (double)hits * (trap + program_ns[id]);
}

void session_level_stats(struct session *s, enum rec_level id, struct session_level_stats *out)
{
	struct session_level *l = &s->level[id];
	struct level_count c;
	double cpu;

	session_level_count(s, id, &c);
	*out = (struct session_level_stats){.on = l->on, .hits = c.hits, .lost = c.lost};
	if (!l->on)
		return;
	out->sites = id == LEVEL_SCHEDULER ? links_count(l->links) : l->n_probes;
	out->cost_ns = session_cost_ns(s, id, c.hits - l->hits_before);
	cpu = (double)(session_target_cpu_ns(s) - l->target_cpu_before);
	out->share = cpu > 0 ? out->cost_ns / cpu : 0;
}

uint64_t session_lost(struct session *s)
{
	uint64_t sum = 0;

	for (int i = 0; i < LEVEL_COUNT; i++) {
		struct level_count c;

		session_level_count(s, i, &c);
		sum += c.lost;
	}
	return sum + session_riders_lost(s);
}

static void note_cost(struct session *s, enum rec_level id)
{
	struct session_level *l = &s->level[id];
	struct level_count c;
	uint64_t now = session_now_ns(), hits;
	cJSON *n;

	session_level_count(s, id, &c);
	hits = c.hits - l->noted_hits;
	n = cJSON_CreateObject();
	cJSON_AddStringToObject(n, "k", "cost");
	cJSON_AddStringToObject(n, "level", level_name(id));
	cJSON_AddNumberToObject(n, "begin", (double)l->noted_ns);
	cJSON_AddNumberToObject(n, "end", (double)now);
	cJSON_AddNumberToObject(n, "hits", (double)hits);
	cJSON_AddNumberToObject(n, "run_ns", (double)hits * program_ns[id]);
	cJSON_AddNumberToObject(n, "estimate_ns", session_cost_ns(s, id, hits));
	spool_note(s->spool, n);
	l->noted_ns = now;
	l->noted_hits = c.hits;
}

void session_note_costs(struct session *s)
{
	for (int i = 0; i < LEVEL_COUNT; i++)
		if (s->level[i].on && level_get(i))
			note_cost(s, i);
}
