/* SPDX-License-Identifier: Apache-2.0 */
#include "session/rider.h"

#include <cjson/cJSON.h>
#include <errno.h>

#include "session/internal.h"

int session_ride(struct session *s, const struct session_rider *r)
{
	if (s->n_riders == SESSION_RIDERS_MAX)
		return -ENOSPC;
	s->riders[s->n_riders++] = *r;
	if (s->spool && r->started)
		r->started(r->ctx);
	return 0;
}

void session_unride(struct session *s, const void *ctx)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_riders; i++)
		if (s->riders[i].ctx != ctx)
			s->riders[kept++] = s->riders[i];
	s->n_riders = kept;
}

pid_t session_pid(const struct session *s, size_t i)
{
	for (size_t k = 0; k < s->n_processes; k++)
		if (s->processes[k].alive && i-- == 0)
			return s->processes[k].process.pid;
	return 0;
}

struct plan *session_plan(struct session *s)
{
	return s->plan;
}

struct reaper *session_reaper(struct session *s)
{
	return s->reaper;
}

int session_target_map(const struct session *s)
{
	return s->map[MAP_TARGET];
}

bool session_can_filter(struct session *s)
{
	return session_pid_filter(s);
}

void session_add_note(struct session *s, cJSON *note)
{
	if (s->spool)
		spool_note(s->spool, note);
	else
		cJSON_Delete(note);
}

int session_add_record(struct session *s, const void *rec, size_t len)
{
	return s->spool ? spool_write(s->spool, BLOCK_PLAIN, 0, rec, len) : 0;
}

void session_tell_process(struct session *s, pid_t pid, struct diag *d)
{
	for (size_t i = 0; i < s->n_riders; i++)
		if (s->riders[i].process)
			s->riders[i].process(s->riders[i].ctx, pid, d);
}

void session_tell_gone(struct session *s, pid_t pid)
{
	for (size_t i = 0; i < s->n_riders; i++)
		if (s->riders[i].gone)
			s->riders[i].gone(s->riders[i].ctx, pid);
}

void session_tell_drain(struct session *s, struct diag *d)
{
	for (size_t i = 0; i < s->n_riders; i++)
		if (s->riders[i].drain)
			s->riders[i].drain(s->riders[i].ctx, d);
}

void session_tell_started(struct session *s)
{
	for (size_t i = 0; i < s->n_riders; i++)
		if (s->riders[i].started)
			s->riders[i].started(s->riders[i].ctx);
}

void session_tell_sync(struct session *s, bool last)
{
	for (size_t i = 0; i < s->n_riders; i++)
		if (s->riders[i].sync)
			s->riders[i].sync(s->riders[i].ctx, last);
}

uint64_t session_riders_lost(const struct session *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->n_riders; i++)
		if (s->riders[i].lost)
			sum += s->riders[i].lost(s->riders[i].ctx);
	return sum;
}

void session_tell_ending(struct session *s)
{
	while (s->n_riders) {
		struct session_rider r = s->riders[--s->n_riders];

		if (r.ending)
			r.ending(r.ctx);
	}
}
