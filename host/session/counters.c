/* SPDX-License-Identifier: Apache-2.0 */
/* Which counters the operator level reads: those asked for, or what this machine has. */
#include "session/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In the order of their worth. */
static const char *const hardware[] = {"cycles", "instructions", "cache-misses", "cache-references",
				       "branch-misses"};
static const char *const software[] = {"task-clock", "page-faults", "context-switches",
				       "run-delay"};

/* All names can be counted together; why not is no matter here. */
static bool countable(const char *const *names, size_t n)
{
	struct diag *quiet = diag_new();
	struct counters *c = counters_parse(names, n, quiet);
	bool ok = c && counters_check(c, quiet) == 0;

	counters_free(c);
	diag_free(quiet);
	return ok;
}

static void take_default(struct session *s, struct diag *d)
{
	struct buf list = {0};
	const char *from = "software";
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(hardware); i++) {
		s->default_counters[n] = hardware[i];
		if (countable(s->default_counters, n + 1))
			n++;
	}
	if (n)
		from = "hardware";
	for (size_t i = 0; !strcmp(from, "software") && i < ARRAY_LEN(software); i++)
		s->default_counters[n++] = software[i];
	s->opts.counters = s->default_counters;
	s->opts.n_counters = n;
	for (size_t i = 0; i < n; i++)
		buf_printf(&list, "%s%s", i ? ", " : "", s->default_counters[i]);
	diag_add(d, DIAG_NOTE, "trace_pmc: the default set is %s (%s counters)", buf_str(&list),
		 from);
	buf_free(&list);
}

int session_make_counters(struct session *s, struct diag *d)
{
	if (s->opts.default_counters)
		take_default(s, d);
	if (!s->opts.n_counters)
		return 0;
	if (s->opts.n_counters > MAX_COUNTERS)
		return diag_fail(d, -EINVAL,
				 "%zu counters were asked for, %d at a time are possible",
				 s->opts.n_counters, MAX_COUNTERS);
	s->counters = counters_parse(s->opts.counters, s->opts.n_counters, d);
	if (!s->counters)
		return -EINVAL;
	s->n_counters = s->opts.n_counters;
	return counters_check(s->counters, d);
}

static void drop_counters(struct session *s)
{
	counters_free(s->counters);
	s->counters = NULL;
	s->n_counters = 0;
	if (s->map[MAP_COUNTER] >= 0)
		close(s->map[MAP_COUNTER]);
	s->map[MAP_COUNTER] = -1;
}

/* Threads that are known get their events now, later ones when they are seen. */
static int open_all(struct session *s, struct diag *d)
{
	for (unsigned i = 0; i < THREAD_SLOTS; i++) {
		int err = s->threads[i].tid
				  ? counters_open(s->counters, (pid_t)s->threads[i].tid, i, d)
				  : 0;

		if (err && err != -ESRCH)
			return err;
	}
	return 0;
}

static int new_counters(struct session *s, const struct session_counters *c, struct diag *d)
{
	int err;

	s->opts.default_counters = c->defaults;
	s->opts.counters = c->names;
	s->opts.n_counters = c->n;
	err = session_make_counters(s, d);
	if (!err && s->counters)
		err = session_counter_map(s, d);
	if (!err && s->counters)
		err = open_all(s, d);
	if (err)
		drop_counters(s);
	session_tell_new_threads(s, s->counters != NULL);
	return err;
}

int session_set_counters(struct session *s, const struct session_counters *c, struct diag *d)
{
	bool on = s->level[LEVEL_OPERATOR].on;
	int err;

	if (s->spool)
		return diag_fail(d, -EBUSY,
				 "the counters of a recording cannot change: `stop` first");
	session_operators_off(s);
	drop_counters(s);
	/* They refer to the old map. */
	session_forget_modules(s, LEVEL_OPERATOR);
	err = new_counters(s, c, d);
	if (err)
		s->opts.n_counters = 0;
	if (on && session_enable(s, LEVEL_OPERATOR, d) && !err)
		err = -EIO;
	return err;
}
