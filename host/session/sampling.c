/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operators.barrier: N. The barrier probes are on during one of N stretches of decodes. A stretch
 * is long enough that putting probes on and taking them off, which takes the kernel some 25 ms, is
 * small against it. Where the end of a node is seen anyway (see operators.c) there is nothing to
 * sample.
 */
#include "session/internal.h"

#include "bpf/kmap.h"

enum { STRETCH_DECODES = 4, STRETCH_NS = 100000000 };

/* Barriers that programs see from now on do (not) count: those seen while probes come and go would
 * make a wrong end. */
static void trust_barriers(struct session *s, bool trust)
{
	uint32_t key = CONTROL_NO_BARRIER;
	uint64_t value = !trust;

	kmap_update(s->map[MAP_CONTROL], &key, &value, 0);
}

static int switch_barrier(struct session *s, bool on, struct diag *d)
{
	int err = 0;

	if (on == s->barrier_on)
		return 0;
	s->barrier_on = on;
	if (!on)
		trust_barriers(s, false);
	if (s->level[LEVEL_OPERATOR].on)
		err = session_apply_barrier(s, d);
	if (on && !err)
		trust_barriers(s, true);
	return err;
}

void session_begin_barrier(struct session *s)
{
	s->barrier_on = s->opts.barrier_every != 0;
	trust_barriers(s, s->barrier_on);
	s->stretch = (struct session_stretch){.began_ns = session_now_ns()};
}

int session_set_barrier(struct session *s, bool on, struct diag *d)
{
	s->barrier_shed = !on;
	s->stretch = (struct session_stretch){.began_ns = session_now_ns()};
	return switch_barrier(s, on && s->opts.barrier_every, d);
}

int session_set_barrier_every(struct session *s, unsigned every, struct diag *d)
{
	int err;

	if (every == s->opts.barrier_every)
		return 0;
	s->opts.barrier_every = every;
	err = session_set_barrier(s, every != 0, d);
	s->barrier_changed = s->spool != NULL;
	session_note_barrier(s);
	return err;
}

void session_sample_barrier(struct session *s, struct diag *d)
{
	struct session_stretch *st = &s->stretch;
	uint64_t now = session_now_ns();

	if (s->opts.barrier_every < 2 || s->barrier_shed || !s->level[LEVEL_OPERATOR].on ||
	    session_node_ends(s, -1))
		return;
	/* A stretch begins with its first decode; without token rows time alone ends it. */
	if (!st->decodes && s->level[LEVEL_TOKEN].on)
		st->began_ns = now;
	if ((st->decodes < STRETCH_DECODES && s->level[LEVEL_TOKEN].on) ||
	    now - st->began_ns < STRETCH_NS)
		return;
	st->number = (st->number + 1) % s->opts.barrier_every;
	st->decodes = 0;
	st->began_ns = now;
	switch_barrier(s, st->number == 0, d);
}
