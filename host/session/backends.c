/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backends that a scheduler of ggml was seen with (probes/backend.c): their compute functions
 * become points of the graph level. Most builds show graphs at a common function as well; those
 * whose compiler inlined that one are seen from here on.
 */
#include "session/internal.h"

#include <stdlib.h>
#include <string.h>

void session_saw_backend(struct session *s, const struct rec_backend *rec)
{
	for (size_t i = 0; i < s->n_backends; i++) {
		const struct session_backend *b = &s->backends[i];

		if (b->pid == (pid_t)rec->head.pid && b->compute == rec->compute)
			return;
	}
	*VEC_PUSH(s->backends, s->n_backends, s->cap_backends) =
		(struct session_backend){.pid = (pid_t)rec->head.pid,
					 .compute = rec->compute,
					 .kind = plan_backend_of_guid(rec->guid)};
}

/* Returns the number of new points; what cannot be probed is no reason to stop. */
static int plan_backend(struct session *s, const struct session_backend *b)
{
	struct diag *quiet = diag_new();
	int n = plan_extend_backend(s->plan, b->pid, b->compute, b->kind, quiet);
	char *text;

	if (n < 0) {
		text = xasprintf("compute function of backend %s of process %d: %s",
				 *b->kind ? b->kind : "?", b->pid, diag_first_error(quiet));
		session_note_text(s, "backend", text);
		free(text);
	}
	diag_free(quiet);
	s->planned_ns = session_now_ns();
	return n > 0 ? n : 0;
}

void session_plan_backends(struct session *s, struct diag *d)
{
	int n = 0;

	while (s->n_planned_backends < s->n_backends)
		n += plan_backend(s, &s->backends[s->n_planned_backends++]);
	if (!n)
		return;
	s->planned_ns = session_now_ns();
	session_attach_missing(s, d);
	session_note_plan(s);
}

void session_forget_backends(struct session *s, pid_t pid)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_backends; i++)
		if (s->backends[i].pid != pid)
			s->backends[kept++] = s->backends[i];
	s->n_backends = kept;
	if (s->n_planned_backends > kept)
		s->n_planned_backends = kept;
}
