/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Switching levels. For each process and level the sites that are not yet attached are grouped by
 * layout; each group is one module, each (program, file) of it one link.
 */
#include "session/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/mapping.h"

/* A site together with the event that the level makes of its point. */
struct wanted {
	uint32_t site;
	const struct plan_site *at;
	const struct plan_point *point;
	const struct level_event *event;
	unsigned point_id; /* session_point_id */
	int layout;	   /* session_layout_id */
};

struct wanted_list {
	struct wanted *at;
	size_t count, cap;
};

static const struct level_event *event_of(const struct level *l, const struct plan_point *p)
{
	return p->level == l->id ? level_event_find(l, p->event) : NULL;
}

/* Where the kernel cannot tell processes apart, a probe is in all of them, and only once. */
static pid_t probed_pid(struct session *s, pid_t pid)
{
	return session_pid_filter(s) ? pid : 0;
}

static bool attached(struct session *s, enum rec_level id, pid_t pid, uint32_t site)
{
	const struct session_level *sl = &s->level[id];

	pid = probed_pid(s, pid);
	for (size_t i = 0; i < sl->n_probes; i++)
		if (sl->probes[i].pid == pid && sl->probes[i].site == site)
			return true;
	return false;
}

static void collect(struct session *s, const struct level *l, pid_t pid,
		    const struct mapping_list *maps, struct wanted_list *out, struct diag *d)
{
	struct plan_mark n = plan_mark(s->plan);

	for (uint32_t i = 0; i < n.sites; i++) {
		const struct plan_site *site = plan_site(s->plan, i);
		const struct plan_point *p = plan_point(s->plan, site->point);
		const struct level_event *e = event_of(l, p);

		if (!e || (e->is_barrier && !s->barrier_on) || attached(s, l->id, pid, i) ||
		    !plan_file_is_mapped(plan_file(s->plan, site->file), maps) ||
		    !session_takes_event(s, e, site, d))
			continue;
		*VEC_PUSH(out->at, out->count, out->cap) = (struct wanted){
			i, site, p, e, session_point_id(s, p->id), session_layout_id(s, p->layout)};
	}
}

static void fill_instance(struct level_instance *in, const struct wanted *w)
{
	*in = (struct level_instance){.macro = w->event->macro, .point = w->point_id};
	snprintf(in->name, sizeof(in->name), "p%u_%s", w->point_id, w->event->macro);
	for (size_t a = 0; w->event->open_args && a < LEVEL_ARGS_MAX; a++)
		in->args[a] = a < w->point->n_args ? w->point->args[a].expr : "0";
	for (size_t a = 0; a < LEVEL_ARGS_MAX && w->event->args[a]; a++) {
		in->args[a] = "0";
		for (size_t k = 0; k < w->point->n_args; k++)
			if (strcmp(w->point->args[k].name, w->event->args[a]) == 0)
				in->args[a] = w->point->args[k].expr;
	}
}

/* One instance per point of the group: several sites can share a point. */
static size_t make_instances(const struct wanted_list *list, int layout, struct level_instance *out)
{
	size_t n = 0;

	for (size_t i = 0; i < list->count; i++) {
		bool known = list->at[i].layout != layout;

		for (size_t k = 0; k < n && !known; k++)
			known = out[k].point == list->at[i].point_id;
		if (!known)
			fill_instance(&out[n++], &list->at[i]);
	}
	return n;
}

struct link_job {
	struct session *s;
	struct session_level *sl;
	pid_t pid;
	struct bpf_module *module;
	const struct wanted_list *list;
	bool *done; /* per element of the list */
};

static const char *site_path(const struct plan_file *f, char *buf, size_t n)
{
	if (f->fd < 0)
		return f->open_path;
	snprintf(buf, n, "/proc/self/fd/%d", f->fd);
	return buf;
}

static bool same_link(const struct wanted *a, const struct wanted *b)
{
	return a->point_id == b->point_id && a->at->file == b->at->file &&
	       a->at->is_return == b->at->is_return;
}

static void remember(struct link_job *j, const struct wanted *w)
{
	struct session_level *sl = j->sl;

	*VEC_PUSH(sl->probes, sl->n_probes, sl->cap_probes) =
		(struct session_probe){probed_pid(j->s, j->pid), w->site, w->event->is_barrier};
	session_cost_attached(j->s, (enum rec_level)(sl - j->s->level), w->site);
}

/* Attaches element `first` and all that can share its link. */
static int link_one(struct link_job *j, size_t first, struct diag *d)
{
	const struct wanted *w = &j->list->at[first];
	struct uprobe_site *sites = xcalloc(j->list->count, sizeof(*sites));
	char path[64];
	struct uprobe_opts o = {.sites = sites,
				.is_return = w->at->is_return,
				.pid = probed_pid(j->s, j->pid),
				.no_multi = !feature_ok(j->s->features, FEATURE_UPROBE_MULTI)};
	struct level_instance in;
	int err;

	fill_instance(&in, w);
	o.path = site_path(plan_file(j->s->plan, w->at->file), path, sizeof(path));
	for (size_t i = first; i < j->list->count; i++)
		if (!j->done[i] && same_link(w, &j->list->at[i])) {
			j->done[i] = true;
			sites[o.n_sites++].offset = j->list->at[i].at->offset;
			remember(j, &j->list->at[i]);
		}
	err = links_uprobes(w->event->is_barrier ? j->sl->barrier_links : j->sl->links,
			    bpf_module_prog_fd(j->module, in.name), &o, NULL, d);
	free(sites);
	return err;
}

/* What is done with each group, the elements of the list that have `layout`. */
typedef int (*group_fn)(struct session *s, const struct level *l, pid_t pid,
			const struct wanted_list *list, int layout, struct diag *d);

/* A tracepoint that the module watches beside its points: one of its kind serves all. */
static int link_tracepoints(struct link_job *j, const struct level *l, struct diag *d)
{
	int err = 0;

	for (const struct level_program *p = l->programs; !err && p && p->name; p++) {
		int fd = p->tracepoint ? bpf_module_prog_fd(j->module, p->name) : -1;

		if (fd < 0 || j->sl->watches)
			continue;
		err = links_tracing(j->sl->links, fd, d);
		j->sl->watches = !err;
	}
	return err;
}

/* Attaches the elements that are (not) ends and not done. */
static int link_those(struct link_job *j, bool ends, struct diag *d)
{
	int err = 0;

	for (size_t i = 0; !err && i < j->list->count; i++)
		if (!j->done[i] && j->list->at[i].event->is_end == ends)
			err = link_one(j, i, d);
	return err;
}

static int attach_group(struct session *s, const struct level *l, pid_t pid,
			const struct wanted_list *list, int layout, struct diag *d)
{
	struct level_instance *instances = xcalloc(list->count, sizeof(*instances));
	size_t n = make_instances(list, layout, instances);
	struct link_job j = {.s = s,
			     .sl = &s->level[l->id],
			     .pid = pid,
			     .list = list,
			     .done = xcalloc(list->count, sizeof(bool))};
	int err = 0;

	j.module = session_module(s, l->id, instances, n, l->needs_layout ? layout : -1, d);
	if (!j.module)
		err = -EINVAL;
	for (size_t i = 0; i < list->count; i++)
		if (list->at[i].layout != layout)
			j.done[i] = true;
	if (!err)
		err = link_tracepoints(&j, l, d);
	if (!err)
		err = link_those(&j, true, d);
	if (!err)
		err = link_those(&j, false, d);
	free(j.done);
	free(instances);
	return err;
}

static int want_group(struct session *s, const struct level *l, pid_t pid,
		      const struct wanted_list *list, int layout, struct diag *d)
{
	struct level_instance *instances = xcalloc(list->count, sizeof(*instances));
	size_t n = make_instances(list, layout, instances);

	(void)pid;
	(void)d;
	session_want_module(s, l->id, instances, n, l->needs_layout ? layout : -1);
	free(instances);
	return 0;
}

/* The groups are the distinct layouts of the list's points. */
static int each_group(struct session *s, const struct level *l, pid_t pid,
		      const struct wanted_list *list, group_fn fn, struct diag *d)
{
	int err = 0;

	for (size_t i = 0; !err && i < list->count; i++) {
		int layout = list->at[i].layout;
		bool first = true;

		for (size_t k = 0; k < i && first; k++)
			first = list->at[k].layout != layout;
		if (first)
			err = fn(s, l, pid, list, layout, d);
	}
	return err;
}

static int each_group_of(struct session *s, const struct level *l, pid_t pid, group_fn fn,
			 struct diag *d)
{
	struct mapping_list maps = {0};
	struct wanted_list list = {0};
	int err = mapping_list_read(pid, &maps, d);

	if (!err) {
		collect(s, l, pid, &maps, &list, d);
		err = each_group(s, l, pid, &list, fn, d);
	}
	free(list.at);
	mapping_list_free(&maps);
	return err;
}

static bool has_tracepoints(const struct level *l)
{
	return l->programs && !l->needs_layout;
}

static int attach_tracepoints(struct session *s, const struct level *l, struct diag *d)
{
	struct session_level *sl = &s->level[l->id];
	bool typed = feature_ok(s->features, FEATURE_TP_BTF);
	struct bpf_module *m;
	int err = 0;

	if (!has_tracepoints(l) || links_count(sl->links))
		return 0;
	m = session_module(s, l->id, NULL, 0, -1, d);
	if (!m)
		return -EINVAL;
	for (const struct level_program *p = l->programs; !err && p->name; p++) {
		int fd = bpf_module_prog_fd(m, p->name);

		err = typed ? links_tracing(sl->links, fd, d)
			    : links_raw_tracepoint(sl->links, fd, p->tracepoint, d);
	}
	return err;
}

static int attach_or_gone(struct session *s, const struct level *l, pid_t pid, struct diag *d)
{
	struct diag *own = diag_new();

	return session_unless_ended(s, pid, each_group_of(s, l, pid, attach_group, own), own, d);
}

static int attach_level(struct session *s, enum rec_level id, struct diag *d)
{
	const struct level *l = level_get(id);
	int err = attach_tracepoints(s, l, d);

	for (size_t i = 0; !err && i < s->n_processes; i++)
		if (s->processes[i].alive && process_alive(&s->processes[i].process))
			err = attach_or_gone(s, l, s->processes[i].process.pid, d);
	return err;
}

/* What cannot be looked at is said by the attaching that follows. */
static void want_of_process(struct session *s, const struct level *l, pid_t pid, struct diag *d)
{
	struct diag *own = diag_new();

	if (!each_group_of(s, l, pid, want_group, own))
		diag_move(d, own);
	diag_free(own);
}

static void want_level(struct session *s, enum rec_level id, struct diag *d)
{
	const struct level *l = level_get(id);

	if (!l)
		return;
	if (has_tracepoints(l))
		session_want_module(s, id, NULL, 0, -1);
	for (size_t i = 0; i < s->n_processes; i++)
		if (s->processes[i].alive)
			want_of_process(s, l, s->processes[i].process.pid, d);
}

void session_prepare(struct session *s, const bool levels[LEVEL_COUNT], struct diag *d)
{
	session_forget_wanted(s);
	for (int id = 0; id < LEVEL_COUNT; id++)
		if (levels[id])
			want_level(s, id, d);
	session_compile_wanted(s);
}

int session_attach_missing(struct session *s, struct diag *d)
{
	bool on[LEVEL_COUNT];
	int err = 0;

	for (int id = 0; id < LEVEL_COUNT; id++)
		on[id] = s->level[id].on;
	session_prepare(s, on, d);
	for (int id = 0; id < LEVEL_COUNT && !err; id++)
		err = on[id] && level_get(id) ? attach_level(s, id, d) : 0;
	session_forget_wanted(s);
	return err;
}

void session_settle(struct session *s, unsigned timeout_ms)
{
	if (!s->flush_pending || reaper_flush(s->reaper, timeout_ms))
		return;
	session_collect_threads(s, false);
	s->flush_pending = false;
}

/* Batches of an earlier stretch must not be continued: what lies between is not known. */
static void settle_operators(struct session *s)
{
	session_settle(s, 200);
	session_forget_tensors(s);
}

int session_enable(struct session *s, enum rec_level id, struct diag *d)
{
	struct session_level *sl = &s->level[id];
	int err;

	if (!level_get(id))
		return diag_fail(d, -EINVAL, "%s is no level that is switched by itself",
				 level_name(id));
	session_governor_forget(s, id);
	if (sl->on)
		return 0;
	if (id == LEVEL_OPERATOR) {
		session_trust_anew(s);
		settle_operators(s);
		s->batch_counters = s->counters_shed ? 0 : s->n_counters;
	}
	if (id == LEVEL_GRAPH)
		session_forget_graphs(s);
	sl->on = true;
	sl->links = links_new(s->reaper);
	sl->barrier_links = links_new(s->reaper);
	sl->enabled_ns = session_now_ns();
	session_cost_mark(s, id);
	err = attach_level(s, id, d);
	if (err) {
		session_level_off(s, sl);
		return err;
	}
	if (id == LEVEL_OPERATOR)
		session_want_operators(s, true);
	session_note_level(s, id, true);
	/* What the threads are doing at this moment, for those that do not switch for long. */
	if (id == LEVEL_SCHEDULER)
		session_note_threads(s, true);
	return 0;
}

void session_level_off(struct session *s, struct session_level *sl)
{
	if (!sl->on)
		return;
	if (sl == &s->level[LEVEL_OPERATOR])
		session_want_operators(s, false);
	links_free(sl->links);
	links_free(sl->barrier_links);
	sl->links = sl->barrier_links = NULL;
	free(sl->probes);
	sl->probes = NULL;
	sl->n_probes = sl->cap_probes = 0;
	sl->on = sl->watches = false;
	if (sl == &s->level[LEVEL_OPERATOR])
		s->flush_pending = true;
}

static void drop_process(struct session_level *sl, pid_t pid)
{
	size_t kept = 0;

	for (size_t i = 0; i < sl->n_probes; i++)
		if (sl->probes[i].pid != pid)
			sl->probes[kept++] = sl->probes[i];
	sl->n_probes = kept;
	links_drop(sl->links, pid);
	links_drop(sl->barrier_links, pid);
}

void session_drop_probes(struct session *s, pid_t pid)
{
	for (int id = 0; id < LEVEL_COUNT; id++)
		if (s->level[id].on)
			drop_process(&s->level[id], pid);
}

int session_disable(struct session *s, enum rec_level id, struct diag *d)
{
	if (!level_get(id))
		return diag_fail(d, -EINVAL, "%s is no level that is switched by itself",
				 level_name(id));
	session_governor_forget(s, id);
	if (!s->level[id].on)
		return 0;
	session_level_off(s, &s->level[id]);
	session_note_level(s, id, false);
	return 0;
}

/* The sites stay in the plan; forgetting that they were attached is enough to have them again. */
static void drop_barriers(struct session *s)
{
	struct session_level *sl = &s->level[LEVEL_OPERATOR];
	size_t kept = 0;

	for (size_t i = 0; i < sl->n_probes; i++)
		if (!sl->probes[i].is_barrier)
			sl->probes[kept++] = sl->probes[i];
	sl->n_probes = kept;
	links_free(sl->barrier_links);
	sl->barrier_links = links_new(s->reaper);
}

int session_apply_barrier(struct session *s, struct diag *d)
{
	if (s->barrier_on)
		return attach_level(s, LEVEL_OPERATOR, d);
	drop_barriers(s);
	return 0;
}

void session_operators_off(struct session *s)
{
	if (s->level[LEVEL_OPERATOR].on)
		session_note_level(s, LEVEL_OPERATOR, false);
	session_level_off(s, &s->level[LEVEL_OPERATOR]);
	session_settle(s, 1000);
}

bool session_level_on(const struct session *s, enum rec_level id)
{
	return s->level[id].on;
}

const char *session_level_reason(struct session *s, enum rec_level id)
{
	const struct session_level *sl = &s->level[id];

	if (sl->reason)
		return sl->reason;
	if (!sl->on || id == LEVEL_SCHEDULER)
		return "";
	return plan_level_reason(s->plan, id);
}
