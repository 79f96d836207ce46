/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes are traced: found, started, forked, mapped into, ended. */
#include "session/internal.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { REST_NS = 1000000000, LOOK_OUT_NS = 100000000, LOADING_LOOK_MS = 50 };

static struct session_process *find(struct session *s, pid_t pid)
{
	for (size_t i = 0; i < s->n_processes; i++)
		if (s->processes[i].alive && s->processes[i].process.pid == pid)
			return &s->processes[i];
	return NULL;
}

int session_add_process(struct session *s, pid_t pid, struct diag *d)
{
	struct process p;
	int err;

	if (find(s, pid))
		return 0;
	err = process_find(pid, &p, d);
	if (err)
		return err;
	*VEC_PUSH(s->processes, s->n_processes, s->cap_processes) =
		(struct session_process){p, true};
	err = session_map_target(s, pid, true);
	if (err)
		return diag_fail(d, err, "cannot enter the target: %s", strerror(-err));
	session_note_threads(s, false);
	return 0;
}

static int watch_targets(struct session *s, bool hold, struct diag *d)
{
	pid_t *pids = xcalloc(s->n_processes, sizeof(*pids));
	struct watch_opts o = {.hold = hold};

	for (size_t i = 0; i < s->n_processes; i++)
		pids[i] = s->processes[i].process.pid;
	s->watch = watch_new(pids, s->n_processes, &o, d);
	free(pids);
	if (!s->watch)
		return -EIO;
	session_hold_schedulers(s, watch_holds(s->watch));
	return session_poll(s, watch_fd(s->watch), d);
}

/* The children that a target has already belong to it. One that ends meanwhile is no loss. */
static void add_children(struct session *s, pid_t pid)
{
	struct diag *quiet = diag_new();
	pid_t *tree = NULL;
	size_t n = 0;

	if (process_tree(pid, &tree, &n) == 0)
		for (size_t i = 0; i < n; i++)
			if (!find(s, tree[i]) && !session_add_process(s, tree[i], quiet))
				watch_add(s->watch, tree[i], quiet);
	free(tree);
	diag_free(quiet);
}

static bool others_live(const struct session *s, pid_t than)
{
	for (size_t i = 0; i < s->n_processes; i++)
		if (s->processes[i].process.pid != than && process_alive(&s->processes[i].process))
			return true;
	return false;
}

int session_unless_ended(struct session *s, pid_t pid, int err, struct diag *own, struct diag *d)
{
	const struct session_process *p = find(s, pid);

	if ((!p || !process_alive(&p->process)) && others_live(s, pid))
		err = 0;
	else
		diag_move(d, own);
	diag_free(own);
	return err;
}

static int plan_all(struct session *s, struct diag *d)
{
	int err = 0;

	for (size_t i = 0; i < s->n_processes && err >= 0; i++) {
		pid_t pid = s->processes[i].process.pid;
		struct diag *own = diag_new();

		err = plan_extend(s->plan, pid, own);
		err = session_unless_ended(s, pid, err, own, d);
	}
	return err < 0 ? err : 0;
}

static bool someone_loads(const struct session *s)
{
	for (size_t i = 0; i < s->n_processes; i++)
		if (process_may_load(&s->processes[i].process))
			return true;
	return false;
}

/* Who has just begun is given the time to map its engine before it is told to have none. */
static void await_points(struct session *s, struct diag *d)
{
	while (!plan_mark(s->plan).points && someone_loads(s)) {
		struct pollfd p = {.fd = watch_fd(s->watch), .events = POLLIN};

		poll(&p, 1, LOADING_LOOK_MS);
		session_watch_ready(s, d);
		session_reap(s, d);
	}
}

/*
 * Takes the named processes with what they have forked. The watch is there before anybody is looked
 * at: who is forked and what is mapped during that is told by it afterwards.
 */
static int plan_running(struct session *s, struct diag *d)
{
	size_t named = s->n_processes;
	int err = watch_targets(s, false, d);

	for (size_t i = 0; !err && i < named; i++)
		add_children(s, s->processes[i].process.pid);
	if (!err)
		err = plan_all(s, d);
	if (err)
		return err;
	await_points(s, d);
	if (!plan_mark(s->plan).points)
		return diag_fail(d, -ENOENT, "no probe point was found in the target\n%s",
				 plan_level_reason(s->plan, LEVEL_TOKEN));
	s->planned_ns = session_now_ns();
	return session_attach_missing(s, d);
}

int session_target_pid(struct session *s, pid_t pid, struct diag *d)
{
	int err = session_add_process(s, pid, d);

	return err ? err : plan_running(s, d);
}

static int take_list(struct session *s, struct process_list *list, int err, struct diag *d)
{
	for (size_t i = 0; !err && i < list->count; i++)
		err = session_add_process(s, list->at[i].process.pid, d);
	process_list_free(list);
	return err ? err : plan_running(s, d);
}

int session_target_exe(struct session *s, const char *path, struct diag *d)
{
	struct process_list list = {0};
	int err;

	s->lookout = lookout_new(path, d);
	if (!s->lookout)
		return -ENOENT;
	err = lookout_look(s->lookout, &list);
	if (err)
		return diag_fail(d, err, "/proc: %s", strerror(-err));
	if (list.count)
		return take_list(s, &list, 0, d);
	process_list_free(&list);
	diag_add(d, DIAG_NOTE, "nobody runs %s so far: waiting for it", path);
	return watch_targets(s, false, d);
}

int session_target_any(struct session *s, struct diag *d)
{
	struct process_list list = {0};
	int err = process_find_engine(s->engines, &list, d);

	return take_list(s, &list, err, d);
}

int session_target_command(struct session *s, char *const argv[], struct diag *d)
{
	int err;

	s->spawn = process_spawn(argv, d);
	if (!s->spawn)
		return -ENOENT;
	err = session_add_process(s, spawn_pid(s->spawn), d);
	return err ? err : watch_targets(s, true, d);
}

int session_launch(struct session *s, struct diag *d)
{
	int err;

	if (!s->spawn || s->launched)
		return 0;
	s->launched = true;
	err = spawn_release(s->spawn);
	if (err)
		return diag_fail(d, err, "cannot start the command: %s", strerror(-err));
	return session_poll(s, spawn_fd(s->spawn), d);
}

static void process_gone(struct session *s, pid_t pid)
{
	struct session_process *p = find(s, pid);

	if (!p)
		return;
	session_note_threads(s, false);
	p->alive = false;
	session_drop_probes(s, pid);
	session_tell_gone(s, pid);
	session_forget_backends(s, pid);
	session_map_target(s, pid, false);
	session_collect_threads(s, true);
}

/* A new image or library: plan what is new in it before the target goes on. */
static void process_changed(struct session *s, pid_t pid, struct diag *d)
{
	int n = plan_extend(s->plan, pid, d);

	if (n >= 0)
		session_attach_missing(s, d);
	session_tell_process(s, pid, d);
	session_note_plan(s);
	session_note_threads(s, false);
	s->planned_ns = session_now_ns();
}

/* A process that maps what --exe names and was not there before. */
static void take_late(struct session *s, pid_t pid, struct diag *d)
{
	struct diag *own = diag_new();

	if (!find(s, pid) && !session_add_process(s, pid, own)) {
		watch_add(s->watch, pid, own);
		add_children(s, pid);
		process_changed(s, pid, own);
	}
	session_unless_ended(s, pid, 0, own, d);
}

void session_look_out(struct session *s, struct diag *d)
{
	struct process_list list = {0};
	uint64_t now = session_now_ns();

	if (!s->lookout || now - s->looked_out_ns < LOOK_OUT_NS)
		return;
	s->looked_out_ns = now;
	if (!lookout_look(s->lookout, &list))
		for (size_t i = 0; i < list.count; i++)
			take_late(s, list.at[i].process.pid, d);
	process_list_free(&list);
}

/* Reading an engine's files takes some MB that nobody needs once the target has loaded all. */
void session_rest(struct session *s)
{
	if (!s->planned_ns || session_now_ns() - s->planned_ns < REST_NS)
		return;
	s->planned_ns = 0;
	plan_rest(s->plan);
	malloc_trim(0);
}

/* A wrapper (chroot, env, taskset) may execute the program proper: the last one counts. */
static void learn_command(struct session *s)
{
	free(s->command);
	free(s->exe);
	s->command = process_command(spawn_pid(s->spawn));
	s->exe = process_exe(spawn_pid(s->spawn));
	session_note_command(s);
}

struct watch_call {
	struct session *s;
	struct diag *d;
};

static void on_watch(void *ctx, const struct watch_event *e)
{
	struct watch_call *c = ctx;
	struct session *s = c->s;
	struct diag *own;

	if (e->kind == WATCH_EXIT) {
		process_gone(s, e->pid);
		return;
	}
	if (e->kind == WATCH_STOP) {
		session_drain(s, c->d);
		session_plan_backends(s, c->d);
		watch_resume(s->watch, e->pid);
		return;
	}
	own = diag_new();
	session_add_process(s, e->pid, own);
	if (e->kind == WATCH_EXEC && s->spawn && e->pid == spawn_pid(s->spawn))
		learn_command(s);
	if (find(s, e->pid))
		process_changed(s, e->pid, own);
	session_unless_ended(s, e->pid, 0, own, c->d);
	if (e->held)
		watch_resume(s->watch, e->pid);
}

void session_watch_ready(struct session *s, struct diag *d)
{
	struct watch_call c = {s, d};
	int n = watch_drain(s->watch, on_watch, &c);

	if (!watch_holds(s->watch))
		session_hold_schedulers(s, false);
	if (n < 0 && n != -EAGAIN)
		diag_add(d, DIAG_WARNING, "lost sight of the target's new libraries: %s",
			 strerror(-n));
}

void session_reap(struct session *s, struct diag *d)
{
	int status;

	if (s->spawn && s->exit_status < 0 && s->launched) {
		int r = spawn_wait(s->spawn, false, &status);

		if (r == 1)
			s->exit_status = status;
		else if (r < 0)
			diag_add(d, DIAG_WARNING, "cannot wait for the command: %s", strerror(-r));
	}
	for (size_t i = 0; i < s->n_processes; i++)
		if (s->processes[i].alive && !process_alive(&s->processes[i].process))
			process_gone(s, s->processes[i].process.pid);
}

bool session_ended(const struct session *s)
{
	if (s->spawn && s->exit_status < 0)
		return false;
	if (s->lookout && !s->n_processes)
		return false;
	for (size_t i = 0; i < s->n_processes; i++)
		if (s->processes[i].alive)
			return false;
	return true;
}

pid_t session_first_pid(const struct session *s)
{
	return s->n_processes ? s->processes[0].process.pid : 0;
}

int session_exit_status(const struct session *s)
{
	return s->exit_status;
}
