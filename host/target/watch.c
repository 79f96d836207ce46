/* SPDX-License-Identifier: Apache-2.0 */
/* One watch over both ways of watching, and a scan for where neither reaches. */
#include "target/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "target/mapping.h"
#include "target/process.h"
#include "target/watch_impl.h"

enum { SCAN_MS_DEFAULT = 500, EPOLL_BATCH = 64 };

/* A process that is listened to; those that the tracer holds are not in the list. */
struct watched {
	pid_t pid;
	int pid_fd;    /* readable when it ends; -1 on old kernels, where the scan finds out */
	uint64_t hash; /* of its executable files, for the scan */
	bool mapped;   /* has a mapping not reported yet */
	bool ended;    /* and not reported yet */
};

struct record {
	struct watch_event event;
	unsigned waited; /* drains */
};

struct watch {
	struct watch_hold *hold;
	struct watch_perf *perf;
	int epoll_fd, timer_fd;
	struct watched *at;
	size_t count, cap;
	unsigned long lost;
	struct record *records; /* of this drain, and nobody's of the last */
	size_t n_records, cap_records;
	bool scans;
	/* During watch_drain. */
	watch_emit fn;
	void *ctx;
	int emitted;
};

static struct watched *find_watched(struct watch *w, pid_t pid)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->at[i].pid == pid)
			return &w->at[i];
	return NULL;
}

static int add_to_poll(struct watch *w, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int hash_of(pid_t pid, uint64_t *hash)
{
	struct diag *quiet = diag_new();
	struct mapping_list maps;
	int err = mapping_list_read(pid, &maps, quiet);

	*hash = 0;
	for (size_t i = 0; i < maps.count; i++)
		*hash +=
			(maps.at[i].ino ^ ((uint64_t)maps.at[i].dev << 40)) * 0x9e3779b97f4a7c15ULL;
	mapping_list_free(&maps);
	diag_free(quiet);
	return err;
}

static void start_timer(struct watch *w, unsigned ms)
{
	struct itimerspec t = {.it_interval = {ms / 1000, (long)(ms % 1000) * 1000000}};

	t.it_value = t.it_interval;
	w->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (w->timer_fd >= 0 && !timerfd_settime(w->timer_fd, 0, &t, NULL))
		w->scans = !add_to_poll(w, w->timer_fd);
}

static void add_watched(struct watch *w, pid_t pid)
{
	struct watched *e = VEC_PUSH(w->at, w->count, w->cap);

	e->pid = pid;
	hash_of(pid, &e->hash);
	e->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (e->pid_fd < 0 && errno == ESRCH)
		return; /* gone already: this drain reports it */
	if (e->pid_fd >= 0 && add_to_poll(w, e->pid_fd)) {
		close(e->pid_fd);
		e->pid_fd = -1;
	}
	if (e->pid_fd < 0 && !w->scans)
		start_timer(w, SCAN_MS_DEFAULT);
}

static void drop_watched(struct watch *w, struct watched *e)
{
	if (e->pid_fd >= 0)
		close(e->pid_fd);
	*e = w->at[--w->count];
}

int watch_add(struct watch *w, pid_t pid, struct diag *d)
{
	struct process p;
	int err = process_find(pid, &p, d);

	if (!err && !find_watched(w, p.pid))
		add_watched(w, p.pid);
	return err;
}

/* Listening needs a way to hear of mappings: perf records, else a scan. */
static void start_listening(struct watch *w, unsigned scan_ms)
{
	w->perf = watch_perf_new();
	if (w->perf && add_to_poll(w, watch_perf_fd(w->perf))) {
		watch_perf_free(w->perf);
		w->perf = NULL;
	}
	if (!w->perf && !scan_ms)
		scan_ms = SCAN_MS_DEFAULT;
	if (scan_ms)
		start_timer(w, scan_ms);
}

struct watch *watch_new(const pid_t *pids, size_t n, const struct watch_opts *opts, struct diag *d)
{
	struct watch *w = xcalloc(1, sizeof(*w));
	int err = 0;

	w->timer_fd = -1;
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll_fd < 0) {
		diag_fail(d, -errno, "epoll: %s", strerror(errno));
		watch_free(w);
		return NULL;
	}
	if (opts->hold)
		w->hold = watch_hold_new(pids, n, d);
	if (w->hold)
		err = add_to_poll(w, watch_hold_fd(w->hold));
	else
		start_listening(w, opts->scan_ms);
	for (size_t i = 0; !w->hold && !err && i < n; i++)
		err = watch_add(w, pids[i], d);
	if (!err)
		return w;
	watch_free(w);
	return NULL;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	while (w->count)
		drop_watched(w, &w->at[0]);
	free(w->at);
	free(w->records);
	watch_hold_free(w->hold);
	watch_perf_free(w->perf);
	if (w->timer_fd >= 0)
		close(w->timer_fd);
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	free(w);
}

int watch_fd(const struct watch *w)
{
	return w->epoll_fd;
}

static void emit(struct watch *w, const struct watch_event *e)
{
	w->emitted++;
	w->fn(w->ctx, e);
}

static void emit_kind(struct watch *w, enum watch_kind kind, pid_t pid, pid_t parent)
{
	emit(w, &(struct watch_event){.kind = kind, .pid = pid, .tid = pid, .parent = parent});
}

static void on_held(void *ctx, const struct watch_event *e)
{
	emit(ctx, e);
}

static void on_record(void *ctx, const struct watch_event *e)
{
	struct watch *w = ctx;
	struct record *r = VEC_PUSH(w->records, w->n_records, w->cap_records);

	r->event = *e;
}

/* Adds the children of known processes, and theirs in turn. */
static void take_forks(struct watch *w)
{
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < w->n_records; i++) {
			const struct watch_event *e = &w->records[i].event;

			if (e->kind != WATCH_FORK || find_watched(w, e->pid) ||
			    !find_watched(w, e->parent))
				continue;
			add_watched(w, e->pid);
			emit(w, e);
			again = true;
		}
	}
}

/*
 * Perf tells of every process, and each CPU's records come on their own: a child's exec can be read
 * before the fork that makes the child ours. So forks go first, and what is nobody's waits for one
 * more drain. Mappings are folded until the end of the drain.
 */
static void take_records(struct watch *w)
{
	size_t kept = 0;

	take_forks(w);
	for (size_t i = 0; i < w->n_records; i++) {
		struct record *r = &w->records[i];
		struct watched *known = find_watched(w, r->event.pid);

		if (known && r->event.kind == WATCH_EXEC)
			emit(w, &r->event);
		else if (known)
			known->mapped = true;
		else if (!r->waited++)
			w->records[kept++] = *r;
	}
	w->n_records = kept;
}

static void emit_mapped(struct watch *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->at[i].mapped) {
			w->at[i].mapped = false;
			emit_kind(w, WATCH_MAP, w->at[i].pid, 0);
		}
}

static void scan_children(struct watch *w, pid_t pid)
{
	pid_t *kids;
	size_t n;

	if (!process_children(pid, &kids, &n))
		for (size_t i = 0; i < n; i++)
			if (!find_watched(w, kids[i])) {
				add_watched(w, kids[i]);
				emit_kind(w, WATCH_FORK, kids[i], pid);
			}
	free(kids);
}

/* The long way: what changed since the last look at each process. */
static void scan(struct watch *w)
{
	for (size_t i = 0; i < w->count; i++) {
		uint64_t hash;

		if (hash_of(w->at[i].pid, &hash))
			continue;
		w->at[i].mapped |= hash != w->at[i].hash;
		w->at[i].hash = hash;
		scan_children(w, w->at[i].pid);
	}
}

static bool has_ended(const struct watched *e)
{
	struct pollfd p = {.fd = e->pid_fd, .events = POLLIN};
	char state;

	/* The state is the first thread's, which may end before the others. */
	if (e->pid_fd >= 0)
		return poll(&p, 1, 0) > 0;
	state = process_state(e->pid);
	return state == 'X' || state == 'Z';
}

static bool mark_ended(struct watch *w)
{
	bool any = false;

	for (size_t i = 0; i < w->count; i++)
		if (!w->at[i].ended && has_ended(&w->at[i]))
			any = w->at[i].ended = true;
	return any;
}

static void emit_ended(struct watch *w)
{
	for (size_t i = 0; i < w->count;) {
		pid_t pid = w->at[i].pid;

		if (!w->at[i].ended) {
			i++;
			continue;
		}
		drop_watched(w, &w->at[i]);
		emit_kind(w, WATCH_EXIT, pid, 0);
	}
}

/*
 * What a process did is in the rings once it has ended, but may have come there after they were
 * read here. So they are read again after each end that is seen, and ends are told last.
 */
static bool take_perf(struct watch *w)
{
	unsigned long lost = 0;

	do {
		if (w->perf)
			lost += watch_perf_drain(w->perf, on_record, w);
		take_records(w);
	} while (mark_ended(w));
	w->lost += lost;
	return lost;
}

static int drain_hold(struct watch *w)
{
	int err = watch_hold_drain(w->hold, on_held, w);

	if (err != -EPIPE)
		return err;
	/* The tracer is gone, its targets run on unwatched: that is the end of this watch, told
	 * once. */
	watch_hold_free(w->hold);
	w->hold = NULL;
	return -EPIPE;
}

int watch_drain(struct watch *w, void (*fn)(void *ctx, const struct watch_event *e), void *ctx)
{
	struct epoll_event ready[EPOLL_BATCH];
	uint64_t ticks;
	int n = epoll_wait(w->epoll_fd, ready, EPOLL_BATCH, 0), err = 0;
	bool must_scan;

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	w->fn = fn;
	w->ctx = ctx;
	w->emitted = 0;
	if (w->hold)
		err = drain_hold(w);
	must_scan = take_perf(w);
	must_scan |= w->timer_fd >= 0 && read(w->timer_fd, &ticks, sizeof(ticks)) > 0;
	if (must_scan)
		scan(w);
	emit_mapped(w);
	emit_ended(w);
	return err ? err : w->emitted;
}

int watch_resume(struct watch *w, pid_t pid)
{
	return w->hold ? watch_hold_resume(w->hold, pid) : 0;
}

bool watch_holds(const struct watch *w)
{
	return w->hold;
}

const char *watch_method(const struct watch *w)
{
	if (w->hold)
		return "held by ptrace and a probe in the loader";
	if (w->perf)
		return "perf records";
	return "looking at /proc every half second";
}

unsigned long watch_lost(const struct watch *w)
{
	return w->lost;
}
