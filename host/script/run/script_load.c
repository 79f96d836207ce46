/* SPDX-License-Identifier: Apache-2.0 */
/* From BPF C to attached programs. */
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/cache.h"
#include "bpf/compile.h"
#include "bpf/kmap.h"
#include "bpf/callback.h"
#include "script/run/mmaps.h"
#include "script/script_impl.h"
#include "target/insn.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/text.h"

enum { RING_BYTES = 4 << 20, STACK_ENTRIES = 4096, SEEN_ENTRIES = 1024 };

static int make_map(int *fd, const struct kmap_spec *spec, struct diag *d)
{
	*fd = kmap_create(spec, d);
	return *fd < 0 ? *fd : 0;
}

static int make_stack_maps(struct script *s, struct diag *d)
{
	int err = 0;

	for (const struct stack_map *m = s->code.stacks; m && !err; m = m->next) {
		uint32_t bytes = m->limit * (m->build_id ? 32 : 8);
		struct kmap_spec spec = {
			.type = BPF_MAP_TYPE_LRU_HASH,
			.key_size = 16,
			.value_size = bytes < 72 ? 72 : bytes,
			.max_entries = STACK_ENTRIES,
			.name = "lp_stacks",
		};

		err = make_map(&s->stack_fds[m->id], &spec, d);
	}
	return err;
}

static int make_script_maps(struct script *s, struct diag *d)
{
	int err = 0;

	for (const struct symbol *m = s->sema.maps; m && !err; m = m->next) {
		struct kmap_spec spec;

		map_spec(m, &s->settings, &spec);
		err = make_map(&s->map_fds[m->id], &spec, d);
	}
	return err;
}

static int make_maps(struct script *s, struct diag *d)
{
	struct kmap_spec loss = {BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, 1, 0, "lp_loss"};
	struct kmap_spec globals = {BPF_MAP_TYPE_ARRAY, 4, GLOBAL_WORDS * 8, 1, 0, "lp_globals"};
	struct kmap_spec scratch = {BPF_MAP_TYPE_PERCPU_ARRAY,
				    4,
				    pad8(s->code.scratch_size + 8),
				    SCRATCH_LEVELS,
				    0,
				    "lp_scratch"};
	struct kmap_spec seen = {BPF_MAP_TYPE_LRU_HASH, 4, 4, SEEN_ENTRIES, 0, "lp_seen"};
	uint64_t bytes = RING_BYTES;
	int err;

	s->map_fds = xcalloc((size_t)s->sema.n_maps + 1, sizeof(int));
	s->stack_fds = xcalloc(s->code.n_stacks + 1, sizeof(int));
	memset(s->map_fds, 0xff, ((size_t)s->sema.n_maps + 1) * sizeof(int));
	memset(s->stack_fds, 0xff, (s->code.n_stacks + 1) * sizeof(int));
	for (uint64_t want = s->settings.perf_rb_pages * 4096; want && bytes < want;)
		bytes *= 2;
	s->transport = transport_new(TRANSPORT_RING, bytes, d);
	if (!s->transport)
		return -ENOMEM;
	err = make_map(&s->loss_fd, &loss, d);
	err = err ? err : make_map(&s->seen_fd, &seen, d);
	err = err ? err : make_map(&s->globals_fd, &globals, d);
	err = err ? err : make_map(&s->scratch_fd, &scratch, d);
	err = err ? err : make_stack_maps(s, d);
	return err ? err : make_script_maps(s, d);
}

static enum bpf_kind program_kind(const struct attach *a)
{
	switch (a->kind) {
	case PROBE_BEGIN:
	case PROBE_END:
	case PROBE_SELF:
	case PROBE_TEST:
	case PROBE_BENCH:
	case PROBE_RAWTRACEPOINT:
		return BPF_KIND_RAW_TRACEPOINT;
	case PROBE_TRACEPOINT:
		return BPF_KIND_TRACEPOINT;
	case PROBE_PROFILE:
	case PROBE_INTERVAL:
	case PROBE_SOFTWARE:
	case PROBE_HARDWARE:
	case PROBE_WATCHPOINT:
		return BPF_KIND_PERF_EVENT;
	case PROBE_ENGINE:
		return a->engine->is_kernel ? BPF_KIND_RAW_TRACEPOINT : BPF_KIND_UPROBE;
	default:
		return BPF_KIND_UPROBE;
	}
}

static size_t list_externs(const struct script *s, struct bpf_extern *ext)
{
	size_t n = 0;

	ext[n++] = (struct bpf_extern){EXTERN_RING, transport_map_fd(s->transport)};
	ext[n++] = (struct bpf_extern){EXTERN_LOSS, s->loss_fd};
	ext[n++] = (struct bpf_extern){EXTERN_SCRATCH, s->scratch_fd};
	ext[n++] = (struct bpf_extern){EXTERN_GLOBALS, s->globals_fd};
	ext[n++] = (struct bpf_extern){EXTERN_SEEN, s->seen_fd};
	for (size_t i = 0; i < s->code.n_stacks; i++)
		ext[n++] = (struct bpf_extern){EXTERN_STACK + (uint32_t)i, s->stack_fds[i]};
	for (int i = 0; i < s->sema.n_maps; i++)
		ext[n++] = (struct bpf_extern){EXTERN_SCRIPT + (uint32_t)i, s->map_fds[i]};
	if (script_uses_engine(s) && s->o.engine)
		n += s->o.engine->externs(s->o.engine->ctx, &ext[n]);
	return n;
}

/* Says which probe's program the kernel refused, when the error names one. */
static void refused_probe(const struct script *s, struct diag *d)
{
	const char *text = diag_first_error(d);
	char name[48];

	for (const struct script_program *p = s->code.programs; text && p; p = p->next) {
		const struct source *src = p->probe->body->src;

		snprintf(name, sizeof(name), "program %s:", p->name);
		if (!strstr(text, name))
			continue;
		diag_add_at(d, DIAG_ERROR, src, loc_span(src, p->attach->loc),
			    "the kernel refused the program of this probe");
		return;
	}
}

void script_load_opts(const struct script *s, struct bpf_load_opts *o)
{
	struct bpf_extern *ext = arena_alloc(
		s->arena, ((size_t)s->sema.n_maps + s->code.n_stacks + 8 + ENGINE_MAX_EXTERNS) *
				  sizeof(*ext));
	struct bpf_program_kind *kinds =
		arena_alloc(s->arena, (s->code.n_programs + 1) * sizeof(*kinds));

	*o = (struct bpf_load_opts){.externs = ext, .kinds = kinds};
	o->n_externs = list_externs(s, ext);
	for (struct script_program *p = s->code.programs; p; p = p->next)
		kinds[o->n_kinds++] =
			(struct bpf_program_kind){p->name, program_kind(p->attach), NULL};
}

static int load_module(struct script *s, struct diag *d)
{
	struct bpf_load_opts o;

	script_load_opts(s, &o);
	s->module = bpf_module_load(s->bpf, &o, d);
	if (!s->module)
		refused_probe(s, d);
	return s->module ? 0 : -EINVAL;
}

static int program_fd(const struct script *s, const struct script_program *p)
{
	return bpf_module_prog_fd(s->module, p->name);
}

static void set_globals(struct script *s)
{
	uint64_t words[GLOBAL_WORDS] = {0};
	uint32_t zero = 0;

	words[GLOBAL_START_NS] = clock_now();
	words[GLOBAL_WALL_NS] = clock_read(CLOCK_REALTIME) - words[GLOBAL_START_NS];
	words[GLOBAL_CPID] = (uint64_t)s->o.cpid;
	kmap_update(s->globals_fd, &zero, words, 0);
}

static void start_runtime(struct script *s)
{
	size_t i = 0;

	s->rt = (struct runtime){
		.s = &s->sema,
		.code = &s->code,
		.settings = &s->settings,
		.symbols = symbols_new(s->settings.cpp_demangle),
		.debug = s->debug,
		.out = s->o.out,
		.err = s->o.err,
		.format = s->o.format,
		.actions = xcalloc(s->code.n_actions + 1, sizeof(*s->rt.actions)),
		.warned = xcalloc(s->code.n_actions + 1, sizeof(*s->rt.warned)),
		.zeroed = xcalloc((size_t)s->sema.n_maps + 1, sizeof(*s->rt.zeroed)),
		.map_fds = s->map_fds,
		.stack_fds = s->stack_fds,
		.unsafe = s->o.unsafe,
		.no_warnings = s->o.no_warnings,
		.unwatch = script_unwatch_address,
		.script = s,
	};
	for (const struct action *a = s->code.actions; a; a = a->next)
		s->rt.actions[i++] = a;
	if (strstr(buf_str(&s->code.text), "lp_see();"))
		s->mmaps = mmaps_new(s->rt.symbols);
	if (s->o.pid)
		symbols_note(s->rt.symbols, s->o.pid, false);
}

static int check_engine(struct script *s, struct diag *d)
{
	for (const struct script_program *p = s->code.programs; p; p = p->next)
		if (p->attach->kind == PROBE_ENGINE && !s->o.engine)
			return diag_fail_at(
				d, -ENODEV, p->probe->body->src,
				loc_span(p->probe->body->src, p->attach->loc),
				"%s needs a traced engine: name it with -p PID, -c CMD or a "
				"config",
				p->attach->text);
	return 0;
}

int script_compile(struct script *s, struct diag *d)
{
	char dir[512];
	struct bpf_compile_opts o = {.name = s->src.name, .lean = true};
	int err = s->bpf ? 0 : script_emit(s, d);

	if (err || s->bpf)
		return err;
	o.text = buf_str(&s->code.text);
	o.cache_dir = *bpf_cache_dir(dir, sizeof(dir)) ? dir : NULL;
	s->bpf = bpf_compile(&o, d);
	return s->bpf ? 0 : -EINVAL;
}

int script_load(struct script *s, struct diag *d)
{
	int err = s->module ? 0 : script_emit(s, d);

	if (s->module)
		return 0;
	err = err ? err : check_engine(s, d);
	err = err ? err : script_compile(s, d);
	err = err ? err : make_maps(s, d);
	err = err ? err : load_module(s, d);
	if (!err) {
		set_globals(s);
		start_runtime(s);
	}
	return err;
}

static void close_map(int fd)
{
	if (fd >= 0)
		close(fd);
}

void script_unload(struct script *s)
{
	links_free(s->links);
	script_unwatch(s);
	if (s->n_usdt && s->o.reaper)
		reaper_close(s->o.reaper, s->usdt_fds, s->n_usdt, NULL, -1);
	bpf_module_free(s->module);
	bpf_code_free(s->bpf);
	transport_free(s->transport);
	for (int i = 0; s->map_fds && i < s->sema.n_maps; i++)
		close_map(s->map_fds[i]);
	for (size_t i = 0; s->stack_fds && i < s->code.n_stacks; i++)
		close_map(s->stack_fds[i]);
	close_map(s->loss_fd);
	close_map(s->scratch_fd);
	close_map(s->globals_fd);
	close_map(s->seen_fd);
	mmaps_free(s->mmaps);
	symbols_free(s->rt.symbols);
	free(s->rt.actions);
	free(s->rt.warned);
	free(s->rt.zeroed);
	free(s->map_fds);
	free(s->stack_fds);
	free(s->usdt_fds);
}

/* ---- attaching ---- */

static int attach_usdt_site(struct script *s, int prog_fd, const struct probe_match *m,
			    struct diag *d)
{
	struct perf_event_attr attr = {.size = sizeof(attr), .sample_period = 1};
	struct buf text = {0};
	uint64_t type = 0;
	int fd;

	file_read("/sys/bus/event_source/devices/uprobe/type", &text, 64);
	if (text.len && text.data[text.len - 1] == '\n')
		text.data[text.len - 1] = 0;
	if (text_to_u64(buf_str(&text), &type) != 0)
		type = 0;
	buf_free(&text);
	attr.type = (uint32_t)type;
	attr.config = m->sem_offset << 32;
	attr.config1 = (uint64_t)(uintptr_t)m->a;
	attr.config2 = m->offset;
	fd = (int)syscall(SYS_perf_event_open, &attr, s->o.pid > 0 ? s->o.pid : -1,
			  s->o.pid > 0 ? -1 : 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0 || ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog_fd) != 0 ||
	    ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) != 0) {
		int err = -errno;

		if (fd >= 0)
			close(fd);
		return diag_fail(d, err, "cannot attach %s: %s", m->name, strerror(-err));
	}
	*VEC_PUSH(s->usdt_fds, s->n_usdt, s->cap_usdt) = fd;
	return 0;
}

/* Sites of one file together: one link. */
static int attach_sites(struct script *s, const struct script_program *p, int fd, struct diag *d)
{
	const struct probe_match *m = p->first, *from;
	struct uprobe_site *sites = xcalloc(p->n_matches + 1, sizeof(*sites));
	size_t left = p->n_matches, n = 0;
	int err = 0;

	while (n < s->code.n_matches && s->code.matches[n] != m)
		n++;
	while (left && !err) {
		struct uprobe_opts o = {
			.path = m->a,
			.sites = sites,
			.is_return = p->attach->kind == PROBE_URETPROBE,
			.pid = s->o.pid,
			.no_multi = s->o.no_uprobe_multi,
		};

		for (from = m; left && strcmp(m->a, from->a) == 0; m = m->next, left--)
			sites[o.n_sites++] = (struct uprobe_site){m->offset, s->code.cookies[n++]};
		if (from->sem_offset)
			err = attach_usdt_site(s, fd, from, d);
		else
			err = links_uprobes(s->links, fd, &o, NULL, d);
	}
	free(sites);
	return err;
}

static int attach_tracepoints(struct script *s, const struct script_program *p, int fd, bool raw,
			      struct diag *d)
{
	const struct probe_match *m = p->first;
	int err = 0;

	for (size_t i = 0; i < p->n_matches && !err; i++, m = m->next)
		err = raw ? links_raw_tracepoint(s->links, fd, m->b, d)
			  : links_tracepoint(s->links, fd, m->a, m->b, d);
	return err;
}

static int attach_timer(struct script *s, const struct attach *a, int fd, struct diag *d)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
	};
	bool all = a->kind == PROBE_PROFILE;

	if (a->freq) {
		attr.freq = 1;
		attr.sample_freq = a->freq;
	} else {
		attr.sample_period = a->period;
	}
	if (all && s->o.pid > 0)
		return links_perf_process(s->links, fd, &attr, s->o.pid, d);
	return links_perf_event(s->links, fd, &attr, -1, all ? -1 : 0, d);
}

static int attach_event(struct script *s, const struct attach *a, int fd, struct diag *d)
{
	const struct perf_event_name *e = perf_event_find(a->kind, a->func);
	bool hardware = a->kind == PROBE_HARDWARE;
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = hardware ? PERF_TYPE_HARDWARE : PERF_TYPE_SOFTWARE,
		.config = e->config,
		.sample_period = a->period ? a->period : e->period,
	};
	struct diag *own = diag_new();
	int err = s->o.pid > 0 ? links_perf_process(s->links, fd, &attr, s->o.pid, own)
			       : links_perf_event(s->links, fd, &attr, -1, -1, own);

	if (err == -ENOENT || err == -EOPNOTSUPP)
		diag_add(d, DIAG_ERROR, "cannot attach %s: this machine has no counter for it%s",
			 a->text,
			 hardware ? " (virtual machines often have none; try software:cpu-clock)"
				  : "");
	else if (err)
		diag_move(d, own);
	diag_free(own);
	return err;
}

static int attach_program(struct script *s, const struct script_program *p, struct diag *d)
{
	int fd = program_fd(s, p);

	switch (p->attach->kind) {
	case PROBE_BEGIN:
	case PROBE_END:
	case PROBE_SELF:
	case PROBE_TEST:
	case PROBE_BENCH:
		return 0;
	case PROBE_TRACEPOINT:
	case PROBE_RAWTRACEPOINT:
		return attach_tracepoints(s, p, fd, p->attach->kind == PROBE_RAWTRACEPOINT, d);
	case PROBE_UPROBE:
	case PROBE_URETPROBE:
	case PROBE_USDT:
		return attach_sites(s, p, fd, d);
	case PROBE_PROFILE:
	case PROBE_INTERVAL:
		return attach_timer(s, p->attach, fd, d);
	case PROBE_SOFTWARE:
	case PROBE_HARDWARE:
		return attach_event(s, p->attach, fd, d);
	case PROBE_WATCHPOINT:
		return script_watch(s, p->attach, fd, d);
	case PROBE_ENGINE:
		return s->o.engine->attach(s->o.engine->ctx, p->attach->engine, fd, d);
	default:
		return diag_fail(d, -EOPNOTSUPP, "cannot attach %s", p->attach->text);
	}
}

void script_run_special(struct script *s, enum probe_kind kind)
{
	for (const struct script_program *p = s->code.programs; p; p = p->next) {
		uint64_t ctx[12] = {0};

		if (p->attach->kind != kind)
			continue;
		bpf_module_run(s->module, p->name, ctx, sizeof(ctx));
	}
}

/* What the kernel calls newest first where several are attached to one thing. */
static bool newest_first(enum probe_kind kind)
{
	return kind == PROBE_UPROBE || kind == PROBE_URETPROBE || kind == PROBE_USDT ||
	       kind == PROBE_SOFTWARE || kind == PROBE_HARDWARE || kind == PROBE_WATCHPOINT;
}

/* Says which probe it was; with missing_probes = warn or ignore the others go on. */
static int attach_or_miss(struct script *s, const struct script_program *p, struct diag *d)
{
	enum missing_policy missing = (enum missing_policy)s->settings.missing_probes;
	const char *name = p->first ? p->first->name : p->attach->text;
	struct diag *why = diag_new();
	int err = attach_program(s, p, why);

	if (err && missing == MISSING_ERROR) {
		diag_move(d, why);
		diag_add(d, DIAG_ERROR,
			 "Unable to attach probe: %s. If this is expected, set the "
			 "'missing_probes' config variable to 'warn'.",
			 name);
	} else if (err && missing == MISSING_WARN) {
		diag_add(d, DIAG_WARNING, "Unable to attach probe: %s. Skipping. (%s)", name,
			 diag_first_error(why));
	} else if (!err) {
		diag_move(d, why);
	}
	diag_free(why);
	return missing == MISSING_ERROR ? err : 0;
}

/* Programs of one event run in the order of the source. */
static int attach_all(struct script *s, struct diag *d)
{
	struct script_program **v =
		xcalloc(s->code.n_programs + 1, sizeof(struct script_program *));
	size_t n = 0;
	int err = 0;

	for (struct script_program *p = s->code.programs; p; p = p->next)
		v[n++] = p;
	for (size_t i = 0; i < n && !err; i++)
		if (!newest_first(v[i]->attach->kind))
			err = attach_or_miss(s, v[i], d);
	while (n-- > 0 && !err)
		if (newest_first(v[n]->attach->kind))
			err = attach_or_miss(s, v[n], d);
	free(v);
	return err;
}

int script_attach(struct script *s, struct diag *d)
{
	s->links = links_new(s->o.reaper);
	script_run_special(s, PROBE_BEGIN);
	insn_rest();
	return attach_all(s, d);
}
