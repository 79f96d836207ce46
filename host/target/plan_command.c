/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a command: it runs until it has loaded its engine, and is ended then. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "target/plan_impl.h"
#include "target/watch.h"
#include "util/alloc.h"
#include "util/clock.h"

enum {
	TICK_MS = 50,
	QUIET_WHOLE_MS = 1000, /* after the last new point, once every level has some */
	QUIET_PART_MS = 5000,  /* where a level has none, more may still be loaded */
	LIMIT_MS = 30000,      /* for a command that loads no engine */
	END_MS = 2000,	       /* to end by itself when it is asked to */
};

struct follow {
	struct plan *plan;
	struct spawn *spawn;
	struct watch *watch;
	struct process *at; /* the command and what it forked */
	size_t n, cap;
	uint64_t begun_ns, news_ns;
	bool launched;
	struct diag *d;
};

/* What the command prints is not the answer that was asked for. */
static struct spawn *spawn_aside(char *const argv[], struct diag *d)
{
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	struct spawn *s;

	if (out >= 0)
		dup2(STDERR_FILENO, STDOUT_FILENO);
	s = process_spawn(argv, d);
	if (out >= 0) {
		dup2(out, STDOUT_FILENO);
		close(out);
	}
	return s;
}

static void note_process(struct follow *f, pid_t pid)
{
	struct diag *quiet = diag_new();
	struct process p;

	for (size_t i = 0; i < f->n; i++)
		if (f->at[i].pid == pid && process_alive(&f->at[i]))
			pid = 0;
	if (pid && !process_find(pid, &p, quiet))
		*VEC_PUSH(f->at, f->n, f->cap) = p;
	diag_free(quiet);
}

/* A process that ends while it is looked at is no mistake of anybody's. */
static void take(struct follow *f, pid_t pid)
{
	struct diag *own = diag_new();
	int n = plan_extend(f->plan, pid, own);

	if (n > 0)
		f->news_ns = clock_now();
	if (n >= 0)
		diag_move(f->d, own);
	plan_note_mapped(f->plan, pid);
	diag_free(own);
}

static void on_event(void *ctx, const struct watch_event *e)
{
	struct follow *f = ctx;

	if (e->kind == WATCH_EXIT)
		return;
	note_process(f, e->pid);
	if (e->kind != WATCH_STOP)
		take(f, e->pid);
	if (e->held)
		watch_resume(f->watch, e->pid);
}

static bool any_lives(const struct follow *f)
{
	int status;

	if (!spawn_wait(f->spawn, false, &status))
		return true;
	for (size_t i = 0; i < f->n; i++)
		if (process_alive(&f->at[i]))
			return true;
	return false;
}

static bool is_over(const struct follow *f)
{
	uint64_t now = clock_now(), quiet_ms = (now - f->news_ns) / 1000000;
	bool whole = plan_has_level(f->plan, LEVEL_TOKEN) && plan_has_level(f->plan, LEVEL_GRAPH) &&
		     plan_has_level(f->plan, LEVEL_OPERATOR);

	if (plan_mark(f->plan).points && quiet_ms >= (whole ? QUIET_WHOLE_MS : QUIET_PART_MS))
		return true;
	return now - f->begun_ns >= LIMIT_MS * 1000000ull || !any_lives(f);
}

static int run(struct follow *f)
{
	pid_t pid = spawn_pid(f->spawn);
	int err;

	note_process(f, pid);
	f->watch = watch_new(&pid, 1, &(struct watch_opts){.hold = true}, f->d);
	err = f->watch ? spawn_release(f->spawn) : -EIO;
	f->launched = !err;
	f->begun_ns = f->news_ns = clock_now();
	while (!err && !is_over(f)) {
		struct pollfd p[] = {{.fd = watch_fd(f->watch), .events = POLLIN},
				     {.fd = spawn_fd(f->spawn), .events = POLLIN}};

		poll(p, 2, TICK_MS);
		if (p[1].revents)
			err = spawn_started(f->spawn, f->d);
		watch_drain(f->watch, on_event, f);
	}
	return err;
}

static void signal_all(const struct follow *f, int sig)
{
	for (size_t i = 0; i < f->n; i++)
		if (process_alive(&f->at[i]))
			kill(f->at[i].pid, sig);
}

static void end_command(struct follow *f)
{
	uint64_t end = clock_now() + END_MS * 1000000ull;

	watch_free(f->watch);
	signal_all(f, SIGTERM);
	while (f->launched && any_lives(f) && clock_now() < end)
		poll(NULL, 0, TICK_MS);
	signal_all(f, SIGKILL);
	spawn_free(f->spawn);
	free(f->at);
}

struct plan *plan_build_command(char *const argv[], const struct plan_opts *opts, struct diag *d)
{
	struct follow f = {.d = d};
	int err;

	f.spawn = spawn_aside(argv, d);
	if (!f.spawn)
		return NULL;
	f.plan = plan_new(opts);
	err = run(&f);
	end_command(&f);
	if (!err)
		return f.plan;
	plan_free(f.plan);
	return NULL;
}
