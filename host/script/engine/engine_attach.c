/* SPDX-License-Identifier: Apache-2.0 */
#include "script/engine/engine_attach.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/feature.h"
#include "bpf/kmap.h"
#include "bpf/link.h"
#include "probes/record.h"
#include "probes/script_engine.h"
#include "script/engine/engine_front.h"
#include "target/mapping.h"
#include "target/process.h"
#include "target/watch.h"
#include "util/text.h"

enum { LOADING_LOOK_MS = 50 };

struct attached {
	pid_t pid; /* 0: in every process that maps the file */
	uint32_t site;
};

struct slot {
	struct engine_want want;
	int state_fd, work_fd;	/* 0: none */
	struct attached *sites; /* of living processes */
	size_t n_sites, cap_sites;
	bool found; /* some site, at some time */
	struct fronts *fronts;
};

struct engine_targets {
	struct engine_targets_opts o;
	struct engine_set *engines;
	struct plan *plan;
	struct watch *watch;
	struct process *processes;
	size_t n_processes, cap_processes;
	int process_fd, names_fd, jump_fd, guids_fd;
	bool can_loop, by_process, active;
	bool failed;   /* a process could not be attached, and an error said why */
	uint64_t lost; /* of processes that have ended */
	struct slot slots[ENGINE_PROGRAMS + 1]; /* the last one notes token calls for the others */
	int n_slots;
	struct front_layouts *layouts;
	struct bpf_links *links;
};

static int make_maps(struct engine_targets *t, struct diag *d)
{
	struct kmap_spec process = {BPF_MAP_TYPE_HASH, 4, sizeof(struct engine_process), 512, 0,
				    "lp_process"};
	struct kmap_spec names = {
		BPF_MAP_TYPE_ARRAY, 4, ENGINE_NAME_BYTES, ENGINE_LAYOUTS * ENGINE_NAMES, 0,
		"lp_names"};
	struct kmap_spec jump = {BPF_MAP_TYPE_PROG_ARRAY, 4, 4, ENGINE_PROGRAMS, 0, "lp_jump"};

	struct kmap_spec guids = {BPF_MAP_TYPE_HASH, 16, 16, 32, 0, "lp_guids"};

	t->process_fd = kmap_create(&process, d);
	t->names_fd = t->process_fd < 0 ? -1 : kmap_create(&names, d);
	t->jump_fd = t->names_fd < 0 ? -1 : kmap_create(&jump, d);
	t->guids_fd = t->jump_fd < 0 ? -1 : kmap_create(&guids, d);
	return t->guids_fd < 0 ? -EINVAL : 0;
}

static void fill_guids(const struct engine_targets *t)
{
	const uint8_t *guid;
	const char *name;

	for (size_t i = 0; (name = plan_backend_guid(i, &guid)); i++) {
		char text[16] = {0};

		snprintf(text, sizeof(text), "%s", name);
		kmap_update(t->guids_fd, guid, text, 0);
	}
}

static int make_slot_maps(struct slot *s, struct diag *d)
{
	bool sched = s->want.source == ENGINE_SCHED;
	struct kmap_spec call = {.type = BPF_MAP_TYPE_TASK_STORAGE,
				 .key_size = 4,
				 .value_size = sizeof(struct engine_call),
				 .name = "lp_call"};
	struct kmap_spec event = {
		BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(struct engine_sched), 1, 0, "lp_sched"};
	struct kmap_spec off = {BPF_MAP_TYPE_HASH, 4, sizeof(struct engine_off),
				ENGINE_THREADS,	   0, "lp_off"};
	struct kmap_spec work = {BPF_MAP_TYPE_HASH,
				 sizeof(struct engine_worker),
				 sizeof(struct engine_op),
				 ENGINE_WORKERS,
				 0,
				 "lp_work"};

	s->state_fd = kmap_create(sched ? &event : &call, d);
	if (s->state_fd >= 0 && (sched || (s->want.source == ENGINE_OP && s->want.at_end)))
		s->work_fd = kmap_create(sched ? &off : &work, d);
	return s->state_fd < 0 ? s->state_fd : s->work_fd < 0 ? s->work_fd : 0;
}

static bool kernel_has(enum feature what)
{
	struct features *f = features_new();
	bool ok = feature_ok(f, what);

	features_free(f);
	return ok;
}

struct engine_targets *engine_targets_new(const struct engine_targets_opts *o, struct diag *d)
{
	struct engine_targets *t = xcalloc(1, sizeof(*t));
	struct plan_opts po = {.engine = o->engine};

	t->o = *o;
	t->process_fd = t->names_fd = t->jump_fd = t->guids_fd = -1;
	t->links = links_new(o->reaper);
	t->engines = engine_set_load(NULL, d);
	po.engines = t->engines;
	t->plan = t->engines ? plan_new(&po) : NULL;
	t->layouts = front_layouts_new();
	if (!t->plan || make_maps(t, d) != 0) {
		engine_targets_free(t);
		return NULL;
	}
	fill_guids(t);
	t->can_loop = kernel_has(FEATURE_BPF_LOOP);
	t->by_process = kernel_has(FEATURE_PROCESS_FILTER);
	return t;
}

static void slot_free(struct slot *s)
{
	free(s->want.filter_op);
	free(s->want.filter_name);
	free(s->sites);
	fronts_free(s->fronts);
	if (s->state_fd > 0)
		close(s->state_fd);
	if (s->work_fd > 0)
		close(s->work_fd);
}

void engine_targets_free(struct engine_targets *t)
{
	if (!t)
		return;
	engine_targets_stop(t);
	watch_free(t->watch);
	for (int i = 0; i <= ENGINE_PROGRAMS; i++)
		slot_free(&t->slots[i]);
	plan_free(t->plan);
	engine_set_free(t->engines);
	front_layouts_free(t->layouts);
	free(t->processes);
	if (t->process_fd >= 0)
		close(t->process_fd);
	if (t->names_fd >= 0)
		close(t->names_fd);
	if (t->jump_fd >= 0)
		close(t->jump_fd);
	if (t->guids_fd >= 0)
		close(t->guids_fd);
	free(t);
}

int engine_targets_add(struct engine_targets *t, const struct engine_want *want, struct diag *d)
{
	struct slot *s = &t->slots[t->n_slots];
	int err;

	if (t->n_slots == ENGINE_PROGRAMS)
		return diag_fail(d, -E2BIG, "a script can have %d engine probes", ENGINE_PROGRAMS);
	s->want = *want;
	err = make_slot_maps(s, d);
	return err ? err : t->n_slots++;
}

struct engine_want *engine_targets_want(struct engine_targets *t, int program)
{
	return &t->slots[program].want;
}

unsigned engine_targets_state(int program)
{
	return ENGINE_MAP_STATE + (unsigned)program;
}

unsigned engine_targets_work(int program)
{
	return ENGINE_MAP_WORK + (unsigned)program;
}

bool engine_targets_can_loop(const struct engine_targets *t)
{
	return t->can_loop;
}

static size_t slot_externs(const struct slot *s, int program, struct bpf_extern *ext)
{
	size_t n = 0;

	ext[n++] = (struct bpf_extern){engine_targets_state(program), s->state_fd};
	if (s->work_fd > 0)
		ext[n++] = (struct bpf_extern){engine_targets_work(program), s->work_fd};
	return n;
}

size_t engine_targets_externs(struct engine_targets *t, struct bpf_extern *ext)
{
	size_t n = 0;

	ext[n++] = (struct bpf_extern){ENGINE_MAP_PROCESS, t->process_fd};
	ext[n++] = (struct bpf_extern){ENGINE_MAP_NAMES, t->names_fd};
	ext[n++] = (struct bpf_extern){ENGINE_MAP_JUMP, t->jump_fd};
	for (int i = 0; i < t->n_slots; i++)
		n += slot_externs(&t->slots[i], i, &ext[n]);
	return n;
}

int engine_targets_program(struct engine_targets *t, int program, const char *tracepoint, int fd,
			   struct diag *d)
{
	uint32_t key = (uint32_t)program;
	int err;

	if (tracepoint)
		return links_raw_tracepoint(
			t->links, fd,
			strcmp(tracepoint, "wakeup") == 0 ? "sched_wakeup" : "sched_switch", d);
	err = kmap_update(t->jump_fd, &key, &fd, 0);
	if (err)
		return diag_fail(d, err, "cannot enter a program into the jump table: %s",
				 strerror(-err));
	return 0;
}

/* ---- attaching ---- */

/* Where the kernel cannot tell processes apart, a probe is in all of them, and only once. */
static pid_t probed_pid(const struct engine_targets *t, pid_t pid)
{
	return t->by_process ? pid : 0;
}

static bool is_attached(const struct engine_targets *t, const struct slot *s, pid_t pid,
			uint32_t site)
{
	pid = probed_pid(t, pid);
	for (size_t i = 0; i < s->n_sites; i++)
		if (s->sites[i].pid == pid && s->sites[i].site == site)
			return true;
	return false;
}

static int link_site(struct engine_targets *t, pid_t pid, const struct plan_site *site, int fd,
		     struct diag *d)
{
	const struct plan_file *f = plan_file(t->plan, site->file);
	struct uprobe_site at = {.offset = site->offset};
	char path[64];
	struct uprobe_opts o = {
		.path = f->open_path, .sites = &at, .n_sites = 1, .is_return = site->is_return};

	o.pid = probed_pid(t, pid);
	if (f->fd >= 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
		o.path = path;
	}
	return links_uprobes(t->links, fd, &o, NULL, d);
}

static size_t front_externs(struct engine_targets *t, int program, struct bpf_extern *ext)
{
	ext[0] = (struct bpf_extern){ENGINE_MAP_PROCESS, t->process_fd};
	ext[1] = (struct bpf_extern){ENGINE_MAP_JUMP, t->jump_fd};
	ext[2] = (struct bpf_extern){ENGINE_MAP_GUIDS, t->guids_fd};
	return 3 + slot_externs(&t->slots[program], program, &ext[3]);
}

static struct front_opts front_opts_of(struct engine_targets *t, int program,
				       struct bpf_extern ext[static 5])
{
	return (struct front_opts){.plan = t->plan,
				   .layouts = t->layouts,
				   .names_fd = t->names_fd,
				   .program = program,
				   .want = &t->slots[program].want,
				   .can_loop = t->can_loop,
				   .notes_tokens = program == ENGINE_PROGRAMS,
				   .externs = ext,
				   .n_externs = front_externs(t, program, ext)};
}

static int attach_site(struct engine_targets *t, int program, pid_t pid, uint32_t i, struct diag *d)
{
	const struct plan_site *site = plan_site(t->plan, i);
	struct slot *s = &t->slots[program];
	struct bpf_extern ext[5];
	struct front_opts o = front_opts_of(t, program, ext);
	int fd;

	if (!s->fronts)
		s->fronts = fronts_new();
	fd = fronts_get(s->fronts, &o, site->point, d);
	if (fd < 0)
		return fd;
	*VEC_PUSH(s->sites, s->n_sites, s->cap_sites) = (struct attached){probed_pid(t, pid), i};
	s->found = true;
	return link_site(t, pid, site, fd, d);
}

static bool wants_site(const struct engine_targets *t, const struct slot *s, pid_t pid, uint32_t i,
		       const struct mapping_list *maps)
{
	const struct plan_site *site = plan_site(t->plan, i);

	return front_takes(&s->want, plan_point(t->plan, site->point)) &&
	       !is_attached(t, s, pid, i) &&
	       plan_file_is_mapped(plan_file(t->plan, site->file), maps);
}

static int attach_program(struct engine_targets *t, int program, pid_t pid,
			  const struct mapping_list *maps, struct diag *d)
{
	struct plan_mark n = plan_mark(t->plan);
	int err = 0;

	for (uint32_t i = 0; i < n.sites && !err; i++)
		if (wants_site(t, &t->slots[program], pid, i, maps))
			err = attach_site(t, program, pid, i, d);
	return err;
}

static void prepare_program(struct engine_targets *t, int program, pid_t pid,
			    const struct mapping_list *maps, struct front_batch *b)
{
	struct plan_mark n = plan_mark(t->plan);
	struct bpf_extern ext[5];
	struct front_opts o = front_opts_of(t, program, ext);

	for (uint32_t i = 0; i < n.sites; i++)
		if (wants_site(t, &t->slots[program], pid, i, maps))
			front_batch_add(b, &o, plan_site(t->plan, i)->point);
}

static bool need_token(const struct engine_targets *t)
{
	for (int i = 0; i < t->n_slots; i++)
		if (t->slots[i].want.token)
			return true;
	return false;
}

static bool need_plan(const struct engine_targets *t)
{
	for (int i = 0; i < t->n_slots; i++)
		if (t->slots[i].want.source != ENGINE_SCHED)
			return true;
	return false;
}

/* Before the first one: whose token calls are used is noted by a program of its own. */
static int make_token_notes(struct engine_targets *t, struct diag *d)
{
	struct slot *s = &t->slots[ENGINE_PROGRAMS];

	if (!need_token(t) || s->state_fd > 0)
		return 0;
	s->want = (struct engine_want){.source = ENGINE_TOKEN};
	return make_slot_maps(s, d);
}

static void prepare(struct engine_targets *t, pid_t pid, const struct mapping_list *maps)
{
	struct front_batch *b = front_batch_new();

	for (int i = 0; i < t->n_slots; i++)
		prepare_program(t, i, pid, maps, b);
	if (need_token(t))
		prepare_program(t, ENGINE_PROGRAMS, pid, maps, b);
	front_batch_compile(b);
}

static int attach_process(struct engine_targets *t, pid_t pid, struct diag *d)
{
	struct mapping_list maps = {0};
	int err;

	if (!need_plan(t))
		return 0;
	err = plan_extend(t->plan, pid, d);
	err = err < 0 ? err : mapping_list_read(pid, &maps, d);
	err = err ? err : make_token_notes(t, d);
	if (!err)
		prepare(t, pid, &maps);
	for (int i = 0; i < t->n_slots && !err; i++)
		err = attach_program(t, i, pid, &maps, d);
	if (!err && need_token(t))
		err = attach_program(t, ENGINE_PROGRAMS, pid, &maps, d);
	mapping_list_free(&maps);
	return err;
}

/* ---- processes ---- */

static bool known(const struct engine_targets *t, pid_t pid)
{
	for (size_t i = 0; i < t->n_processes; i++)
		if (t->processes[i].pid == pid && process_alive(&t->processes[i]))
			return true;
	return false;
}

/* Fronts count for processes in the map, so the whole set begins at one moment. */
static int activate(struct engine_targets *t, pid_t pid, struct diag *d)
{
	struct engine_process fresh = {0};
	uint32_t key = (uint32_t)pid;
	int err = kmap_update(t->process_fd, &key, &fresh, 0);

	return err ? diag_fail(d, err, "cannot enter the target: %s", strerror(-err)) : 0;
}

static int add_process(struct engine_targets *t, pid_t pid, struct diag *d)
{
	struct process p;
	int err;

	if (known(t, pid))
		return 0;
	err = process_find(pid, &p, d);
	err = err ? err : attach_process(t, p.pid, d);
	if (err)
		return err;
	*VEC_PUSH(t->processes, t->n_processes, t->cap_processes) = p;
	return t->active ? activate(t, p.pid, d) : 0;
}

static bool has_ended(pid_t pid)
{
	char state = process_state(pid);

	return state == 'X' || state == 'Z';
}

/* A process that is there by now or has mapped something. Its end meanwhile is no failure. */
static void take_late(struct engine_targets *t, pid_t pid, struct diag *d)
{
	struct diag *own = diag_new();
	int err = known(t, pid) ? attach_process(t, pid, own) : add_process(t, pid, own);

	if (!has_ended(pid)) {
		t->failed |= err != 0;
		diag_move(d, own);
	}
	diag_free(own);
}

int engine_targets_go(struct engine_targets *t, struct diag *d)
{
	int err = 0;

	t->active = true;
	for (size_t i = 0; i < t->n_processes && !err; i++)
		err = activate(t, t->processes[i].pid, d);
	return err;
}

static int watch_pids(struct engine_targets *t, const pid_t *pids, size_t n, bool hold,
		      struct diag *d)
{
	struct watch_opts o = {.hold = hold};

	t->watch = watch_new(pids, n, &o, d);
	return t->watch ? 0 : -EIO;
}

static int add_tree(struct engine_targets *t, pid_t pid, struct diag *d)
{
	struct diag *quiet = diag_new();
	pid_t *tree = NULL;
	size_t n = 0;
	int err = add_process(t, pid, d);

	if (!err && process_tree(pid, &tree, &n) == 0)
		for (size_t i = 0; i < n; i++)
			if (tree[i] != pid) {
				watch_add(t->watch, tree[i], quiet);
				take_late(t, tree[i], d);
			}
	free(tree);
	diag_free(quiet);
	return err;
}

static const enum rec_level level_of[] = {
	[ENGINE_TOKEN] = LEVEL_TOKEN,
	[ENGINE_GRAPH] = LEVEL_GRAPH,
	[ENGINE_OP] = LEVEL_OPERATOR,
	[ENGINE_EXPERT] = LEVEL_OPERATOR,
};

static bool slot_found(const struct slot *s)
{
	return s->want.source == ENGINE_SCHED || s->found;
}

static bool all_found(const struct engine_targets *t)
{
	for (int i = 0; i < t->n_slots; i++)
		if (!slot_found(&t->slots[i]))
			return false;
	return true;
}

int engine_targets_check(struct engine_targets *t, struct diag *d)
{
	static const char *const names[] = {"token", "graph", "op", "expert"};

	if (t->failed)
		return -ENOENT;
	for (int i = 0; i < t->n_slots; i++) {
		enum engine_source source = t->slots[i].want.source;

		if (slot_found(&t->slots[i]))
			continue;
		return diag_fail(d, -ENOENT, "nothing to attach %s probes to in the target\n%s",
				 names[source], plan_level_reason(t->plan, level_of[source]));
	}
	return 0;
}

static bool someone_loads(const struct engine_targets *t)
{
	for (size_t i = 0; i < t->n_processes; i++)
		if (process_may_load(&t->processes[i]))
			return true;
	return false;
}

/* Who has just begun is given the time to map its engine before it is told to have none. */
static int started(struct engine_targets *t, struct diag *d)
{
	while (!t->failed && !all_found(t) && someone_loads(t)) {
		struct pollfd p = {.fd = watch_fd(t->watch), .events = POLLIN};

		poll(&p, 1, LOADING_LOOK_MS);
		engine_targets_ready(t, d);
	}
	return engine_targets_check(t, d);
}

/* The watch is there before anybody is looked at, so that no library comes unseen in between. */
static int take_pids(struct engine_targets *t, const pid_t *pids, size_t n, struct diag *d)
{
	int err = watch_pids(t, pids, n, false, d);

	for (size_t i = 0; !err && i < n; i++)
		err = add_tree(t, pids[i], d);
	return err ? err : started(t, d);
}

int engine_targets_pid(struct engine_targets *t, pid_t pid, struct diag *d)
{
	return take_pids(t, &pid, 1, d);
}

static int take_list(struct engine_targets *t, struct process_list *list, int err, struct diag *d)
{
	pid_t *pids = xcalloc(list->count + 1, sizeof(*pids));

	for (size_t i = 0; i < list->count; i++)
		pids[i] = list->at[i].process.pid;
	if (!err)
		err = take_pids(t, pids, list->count, d);
	free(pids);
	process_list_free(list);
	return err;
}

int engine_targets_exe(struct engine_targets *t, const char *path, struct diag *d)
{
	struct process_list list = {0};
	int err = process_find_exe(path, &list, d);

	return take_list(t, &list, err, d);
}

int engine_targets_any(struct engine_targets *t, struct diag *d)
{
	struct process_list list = {0};
	int err = process_find_engine(t->engines, &list, d);

	return take_list(t, &list, err, d);
}

int engine_targets_child(struct engine_targets *t, pid_t pid, struct diag *d)
{
	int err = add_process(t, pid, d);

	return err ? err : watch_pids(t, &pid, 1, true, d);
}

static void drop_sites(struct slot *s, pid_t pid)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_sites; i++)
		if (s->sites[i].pid != pid)
			s->sites[kept++] = s->sites[i];
	s->n_sites = kept;
}

/* Its probes are of no use, and its id may come again. */
static void process_gone(struct engine_targets *t, pid_t pid)
{
	uint32_t key = (uint32_t)pid;
	struct engine_process last;

	if (kmap_lookup(t->process_fd, &key, &last) == 0)
		t->lost += last.lost;
	kmap_delete(t->process_fd, &key);
	for (size_t i = 0; i < ARRAY_LEN(t->slots); i++)
		drop_sites(&t->slots[i], pid);
	if (t->links)
		links_drop(t->links, pid);
}

struct watch_call {
	struct engine_targets *t;
	struct diag *d;
};

static void on_watch(void *ctx, const struct watch_event *e)
{
	struct watch_call *c = ctx;

	if (e->kind == WATCH_EXIT) {
		process_gone(c->t, e->pid);
		return;
	}
	if (e->kind != WATCH_STOP)
		take_late(c->t, e->pid, c->d);
	if (e->held)
		watch_resume(c->t->watch, e->pid);
}

int engine_targets_fd(const struct engine_targets *t)
{
	return t->watch ? watch_fd(t->watch) : -1;
}

void engine_targets_ready(struct engine_targets *t, struct diag *d)
{
	struct watch_call c = {t, d};
	int n = t->watch ? watch_drain(t->watch, on_watch, &c) : 0;

	if (n < 0 && n != -EAGAIN)
		diag_add(d, DIAG_WARNING, "lost sight of the target's new libraries: %s",
			 strerror(-n));
}

bool engine_targets_ended(const struct engine_targets *t)
{
	for (size_t i = 0; i < t->n_processes; i++)
		if (process_alive(&t->processes[i]))
			return false;
	return true;
}

static int add_lost(void *ctx, const void *key, const void *value)
{
	const struct engine_process *p = value;
	uint64_t *lost = ctx;

	(void)key;
	*lost += p->lost;
	return 0;
}

uint64_t engine_targets_lost(const struct engine_targets *t)
{
	uint64_t lost = t->lost;

	kmap_each(t->process_fd, add_lost, &lost);
	return lost;
}

size_t engine_targets_sites(const struct engine_targets *t)
{
	return t->links ? links_sites(t->links) : 0;
}

void engine_targets_stop(struct engine_targets *t)
{
	links_free(t->links);
	t->links = NULL;
}
