/* SPDX-License-Identifier: Apache-2.0 */
#include "session/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
	SLOW_WORK_NS = 1000000000,
	HURRY_NS = 1000000000,
	HURRY_TICK_NS = 10000000,
	EPOLL_EVENTS = 8,
};

/* Fuller than that, a buffer is drained at any occasion. */
#define DRAIN_FILL 0.25

static int check_rights(struct session *s, struct diag *d)
{
	const struct feature_result *r = feature_get(s->features, FEATURE_BPF);
	const char *missing = feature_caps_missing(s->features, false);

	if (r->ok)
		return 0;
	return diag_fail(d, -EPERM, "BPF programs cannot be loaded: %s%s%s%s%s", r->reason,
			 *missing ? "; missing " : "", missing, *r->fix ? "; " : "", r->fix);
}

static int poll_for(struct session *s, int fd, uint32_t events, struct diag *d)
{
	struct epoll_event e = {.events = events, .data.fd = fd};

	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0)
		return 0;
	return diag_fail(d, -errno, "cannot poll: %s", strerror(errno));
}

int session_poll(struct session *s, int fd, struct diag *d)
{
	return poll_for(s, fd, EPOLLIN, d);
}

static int set_timer(struct session *s, uint64_t ns)
{
	struct itimerspec every = {
		.it_interval = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)}};

	if (ns == s->tick_ns)
		return 0;
	s->tick_ns = ns;
	every.it_value = every.it_interval;
	return timerfd_settime(s->timer_fd, 0, &every, NULL) < 0 ? -errno : 0;
}

void session_hurry(struct session *s)
{
	s->hurry_until_ns = session_now_ns() + HURRY_NS;
	if (s->timer_fd >= 0 && s->opts.drain_ns > HURRY_TICK_NS)
		set_timer(s, HURRY_TICK_NS);
}

static int make_poll(struct session *s, struct diag *d)
{
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->epoll_fd < 0 || s->timer_fd < 0 || set_timer(s, s->opts.drain_ns) < 0)
		return diag_fail(d, -errno, "cannot make the drain timer: %s", strerror(errno));
	session_hurry(s);
	/* Edges only: a ring that is never quite empty would be ready all the time, and every look
	 * takes a CPU from the target. */
	return session_poll(s, s->timer_fd, d)
		       ? -EIO
		       : poll_for(s, transport_fd(s->transport), EPOLLIN | EPOLLET, d);
}

static int session_make(struct session *s, struct diag *d)
{
	struct plan_opts po = {.engine = s->opts.engine};
	int err = check_rights(s, d);

	if (!err)
		err = session_make_filter(s, d);
	if (err)
		return err;
	s->transport = transport_new(s->opts.transport, s->opts.buffer_bytes, d);
	if (!s->transport)
		return -EINVAL;
	err = session_make_counters(s, d);
	if (!err)
		err = session_maps_make(s, d);
	if (err)
		return err;
	session_begin_barrier(s);
	s->engines = engine_set_load(NULL, d);
	if (!s->engines)
		return -EINVAL;
	po.engines = s->engines;
	if (s->filter && !filter_has_names(s->filter) && !s->opts.barrier_asked) {
		po.own_function = filter_wants_symbol;
		po.own_ctx = s->filter;
	}
	s->plan = plan_new(&po);
	if (calibrate_hits(s->opts.cache_dir, &s->hit_cost, d))
		diag_add(d, DIAG_WARNING, "costs are estimated from other machines' figures");
	s->have_task = btf_task_offsets(s->opts.cache_dir, &s->task, d) == 0;
	return make_poll(s, d);
}

struct session *session_new(const struct session_opts *o, struct diag *d)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->opts = *o;
	s->features = features_new();
	s->reaper = reaper_new();
	s->epoll_fd = s->timer_fd = -1;
	s->exit_status = -1;
	for (int i = 0; i < MAP_COUNT; i++)
		s->map[i] = -1;
	if (session_make(s, d)) {
		session_free(s);
		return NULL;
	}
	return s;
}

static void free_modules(struct session *s)
{
	for (size_t i = 0; i < s->n_modules; i++) {
		free(s->modules[i].text);
		bpf_module_free(s->modules[i].bpf);
	}
	free(s->modules);
}

void session_free(struct session *s)
{
	if (!s)
		return;
	session_tell_ending(s);
	for (int i = 0; i < LEVEL_COUNT; i++)
		session_level_off(s, &s->level[i]);
	reaper_free(s->reaper);
	watch_free(s->watch);
	spawn_free(s->spawn);
	if (s->spool)
		spool_close(s->spool);
	session_forget_wanted(s);
	free_modules(s);
	session_maps_free(s);
	transport_free(s->transport);
	session_summaries_free(s);
	session_names_free(s);
	free(s->level[LEVEL_OPERATOR].reason);
	free(s->trust);
	session_points_free(s);
	session_filter_free(s);
	plan_free(s->plan);
	engine_set_free(s->engines);
	features_free(s->features);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	if (s->timer_fd >= 0)
		close(s->timer_fd);
	lookout_free(s->lookout);
	free(s->processes);
	free(s->backends);
	free(s->governor);
	free(s->open_tokens);
	free(s->seen_threads);
	counters_free(s->counters);
	free(s->command);
	free(s->exe);
	free(s);
}

int session_fd(const struct session *s)
{
	return s->epoll_fd;
}

/* Work that need not happen at every drain. */
static void slow_work(struct session *s, struct diag *d)
{
	uint64_t now = session_now_ns();

	if (now - s->last_slow_ns < SLOW_WORK_NS)
		return;
	s->last_slow_ns = now;
	session_reap(s, d);
	session_note_threads(s, false);
	session_collect_threads(s, true);
	session_settle(s, 0);
	session_note_sums(s);
	session_govern(s, d);
	session_rest(s);
}

static int timer_ready(struct session *s, struct diag *d)
{
	uint64_t ticks;

	if (read(s->timer_fd, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
		return diag_fail(d, -errno, "drain timer: %s", strerror(errno));
	session_look_out(s, d);
	session_plan_backends(s, d);
	session_tell_drain(s, d);
	session_sample_barrier(s, d);
	slow_work(s, d);
	if (session_now_ns() >= s->hurry_until_ns)
		set_timer(s, s->opts.drain_ns);
	return 0;
}

static void spawn_ready(struct session *s, struct diag *d)
{
	spawn_started(s->spawn, d);
	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, spawn_fd(s->spawn), NULL);
	session_reap(s, d);
}

/* Not only when the transport's descriptor is readable: asking uses a perf event's readiness up,
 * and whoever polled session_fd() has asked. */
static bool drain_is_due(const struct session *s, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++)
		if (events[i].data.fd == s->timer_fd ||
		    events[i].data.fd == transport_fd(s->transport))
			return true;
	return (n <= 0 && s->opts.transport == TRANSPORT_PERF) ||
	       transport_fill(s->transport) > DRAIN_FILL;
}

int session_dispatch(struct session *s, struct diag *d)
{
	struct epoll_event events[EPOLL_EVENTS];
	int n = epoll_wait(s->epoll_fd, events, EPOLL_EVENTS, 0);
	int err = 0;

	if (drain_is_due(s, events, n)) {
		session_new_threads(s, d);
		err = session_drain(s, d);
	}

	/* What was said of asking is true of the watch as well. */
	if (s->watch && !err)
		session_watch_ready(s, d);
	for (int i = 0; i < n && !err; i++) {
		int fd = events[i].data.fd;

		if (fd == s->timer_fd)
			err = timer_ready(s, d);
		else if (s->spawn && fd == spawn_fd(s->spawn))
			spawn_ready(s, d);
	}
	return err;
}
