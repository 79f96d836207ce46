/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/kbtf.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "bpf/btf_plain.h"
#include "bpf/cache.h"
#include "util/alloc.h"
#include "util/file.h"

static const char vmlinux[] = "/sys/kernel/btf/vmlinux";
enum { VMLINUX_MAX = 256 << 20 };

/* Where a field lies: the first path that exists counts. */
static const struct {
	const char *name;
	const char *paths[3];
} fields[TASK_FIELD_COUNT] = {
	[TASK_PID] = {"PID", {"pid"}},
	[TASK_TGID] = {"TGID", {"tgid"}},
	[TASK_COMM] = {"COMM", {"comm"}},
	[TASK_STATE] = {"STATE", {"__state", "state"}},
	[TASK_WAKE_CPU] = {"WAKE_CPU", {"wake_cpu"}},
	[TASK_CPU] = {"CPU", {"thread_info.cpu", "cpu"}},
	[TASK_PRIO] = {"PRIO", {"prio"}},
	[TASK_GROUP_LEADER] = {"GROUP_LEADER", {"group_leader"}},
	[TASK_MM] = {"MM", {"mm"}},
	[TASK_SUM_EXEC_RUNTIME] = {"SUM_EXEC_RUNTIME", {"se.sum_exec_runtime"}},
	[TASK_VRUNTIME] = {"VRUNTIME", {"se.vruntime"}},
	[TASK_RUN_DELAY] = {"RUN_DELAY", {"sched_info.run_delay"}},
	[TASK_PCOUNT] = {"PCOUNT", {"sched_info.pcount"}},
	[TASK_UTIME] = {"UTIME", {"utime"}},
	[TASK_STIME] = {"STIME", {"stime"}},
	[TASK_NVCSW] = {"NVCSW", {"nvcsw"}},
	[TASK_NIVCSW] = {"NIVCSW", {"nivcsw"}},
	[TASK_MIN_FLT] = {"MIN_FLT", {"min_flt"}},
	[TASK_MAJ_FLT] = {"MAJ_FLT", {"maj_flt"}},
	[TASK_START_TIME] = {"START_TIME", {"start_time"}},
};

/* Before 1.0 libbpf gives an error as a pointer, afterwards as NULL and errno. */
static struct btf *or_error(struct btf *btf, int *err)
{
	*err = (int)libbpf_get_error(btf);
	return *err ? NULL : btf;
}

struct btf *btf_from_raw(const void *data, size_t len, int *err)
{
	void *copy = xmalloc(len);
	struct btf *btf = NULL;

	memcpy(copy, data, len);
	*err = btf_plain(copy, len);
	if (!*err)
		btf = or_error(btf__new(copy, (uint32_t)len), err);
	free(copy);
	return btf;
}

/* What libbpf prints of a kernel that is newer than itself is not for the user: we go on. */
struct btf *btf_of_kernel(int *err)
{
	libbpf_print_fn_t print = libbpf_set_print(NULL);
	struct btf *btf = or_error(btf__load_vmlinux_btf(), err);
	struct buf raw = {0};

	if (!btf) {
		*err = file_read(vmlinux, &raw, VMLINUX_MAX);
		if (!*err)
			btf = btf_from_raw(raw.data, raw.len, err);
		buf_free(&raw);
	}
	libbpf_set_print(print);
	return btf;
}

const char *btf_task_field_name(enum task_field f)
{
	return fields[f].name;
}

static const struct btf_type *skip_modifiers(const struct btf *btf, uint32_t id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (t && (btf_is_mod(t) || btf_is_typedef(t)))
		t = btf__type_by_id(btf, t->type);
	return t;
}

/* Bit offset of member `name` (of `len` characters) and its type, looking into unnamed members. */
static bool find_member(const struct btf *btf, const struct btf_type *t, const char *name,
			size_t len, uint32_t *bits, const struct btf_type **type)
{
	int i, n;

	if (!t || !btf_is_composite(t))
		return false;
	n = btf_vlen(t);
	for (i = 0; i < n; i++) {
		const struct btf_member *m = &btf_members(t)[i];
		const char *mname = btf__name_by_offset(btf, m->name_off);
		const struct btf_type *mtype = skip_modifiers(btf, m->type);
		uint32_t at = btf_member_bit_offset(t, i);

		if (mname && strlen(mname) == len && !memcmp(mname, name, len)) {
			*bits = at;
			*type = mtype;
			return true;
		}
		if ((!mname || !*mname) && find_member(btf, mtype, name, len, bits, type)) {
			*bits += at;
			return true;
		}
	}
	return false;
}

static int32_t path_offset(const struct btf *btf, const struct btf_type *t, const char *path)
{
	uint32_t sum = 0, bits = 0;

	for (;;) {
		size_t len = strcspn(path, ".");

		if (!find_member(btf, t, path, len, &bits, &t))
			return -1;
		sum += bits;
		if (!path[len])
			return (int32_t)(sum / 8);
		path += len + 1;
	}
}

/* The only argument of sched_switch that is a number of four bytes. */
static int32_t find_switch_state(const struct btf *btf)
{
	int id = btf__find_by_name_kind(btf, "btf_trace_sched_switch", BTF_KIND_TYPEDEF);
	const struct btf_type *t = id > 0 ? skip_modifiers(btf, (uint32_t)id) : NULL;

	if (t && btf_is_ptr(t))
		t = skip_modifiers(btf, t->type);
	if (!t || !btf_is_func_proto(t))
		return -1;
	/* the first parameter is the tracepoint's own data, no argument */
	for (int i = 1; i < btf_vlen(t); i++) {
		const struct btf_type *p = skip_modifiers(btf, btf_params(t)[i].type);

		if (p && btf_is_int(p) && p->size == 4)
			return i - 1;
	}
	return -1;
}

static int parse(struct task_offsets *out, struct diag *d)
{
	int id, f, p, err;
	struct btf *btf = btf_of_kernel(&err);

	if (!btf)
		return diag_fail(d, err,
				 "cannot read the kernel's type information (%s): %s; per-thread "
				 "scheduler figures need a kernel with CONFIG_DEBUG_INFO_BTF",
				 vmlinux, strerror(-err));
	id = btf__find_by_name_kind(btf, "task_struct", BTF_KIND_STRUCT);
	for (f = 0; f < TASK_FIELD_COUNT; f++) {
		out->at[f] = -1;
		for (p = 0; id > 0 && out->at[f] < 0 && fields[f].paths[p]; p++)
			out->at[f] = path_offset(btf, btf__type_by_id(btf, id), fields[f].paths[p]);
	}
	out->switch_state = find_switch_state(btf);
	btf__free(btf);
	return id > 0 ? 0 : diag_fail(d, -ENOENT, "%s has no task_struct", vmlinux);
}

static void kernel_key(struct cache_key *k)
{
	struct utsname uts;
	struct stat st = {0};
	uint64_t facts[2];
	int f;

	uname(&uts);
	stat(vmlinux, &st);
	facts[0] = st.st_size;
	facts[1] = TASK_FIELD_COUNT;
	cache_key_adds(k, uts.release);
	cache_key_adds(k, uts.version);
	cache_key_add(k, facts, sizeof(facts));
	for (f = 0; f < TASK_FIELD_COUNT; f++)
		cache_key_adds(k, fields[f].name);
}

int btf_task_offsets(const char *cache_dir, struct task_offsets *out, struct diag *d)
{
	struct cache_key key = {{0}};
	struct buf b = {0};
	int err;

	kernel_key(&key);
	if (!cache_get(cache_dir, "task", &key, &b) && b.len == sizeof(*out)) {
		memcpy(out, b.data, sizeof(*out));
		buf_free(&b);
		return 0;
	}
	buf_free(&b);
	err = parse(out, d);
	if (!err)
		cache_put(cache_dir, "task", &key, out, sizeof(*out));
	return err;
}

void btf_task_defines(const struct task_offsets *o, struct buf *out)
{
	int f;

	for (f = 0; f < TASK_FIELD_COUNT; f++) {
		if (o->at[f] >= 0)
			buf_printf(out, "#define TASK_OFF_%s %d\n", fields[f].name, o->at[f]);
	}
	if (o->switch_state >= 0)
		buf_printf(out, "#define SWITCH_STATE_ARG %d\n", o->switch_state);
	buf_printf(out, "#define SWITCH_TASKS %d\n", o->switch_state == 1 ? 2 : 1);
}

/* Ids change with every build of the kernel, so they are cached like offsets. */
static int find_id(const char *name, uint32_t kind)
{
	struct cache_key key = {{0}};
	struct buf b = {0};
	char dir[512];
	struct btf *btf;
	int32_t id;
	int err;

	kernel_key(&key);
	cache_key_adds(&key, name);
	bpf_cache_dir(dir, sizeof(dir));
	if (!cache_get(dir, "btfid", &key, &b) && b.len == sizeof(id)) {
		memcpy(&id, b.data, sizeof(id));
		buf_free(&b);
		return id;
	}
	buf_free(&b);
	btf = btf_of_kernel(&err);
	if (!btf)
		return err;
	id = btf__find_by_name_kind(btf, name, kind);
	btf__free(btf);
	if (id > 0)
		cache_put(dir, "btfid", &key, &id, sizeof(id));
	return id;
}

int btf_tracepoint_id(const char *event)
{
	char *name = xasprintf("btf_trace_%s", event);
	int id = find_id(name, BTF_KIND_TYPEDEF);

	free(name);
	return id;
}

int btf_function_id(const char *function)
{
	return find_id(function, BTF_KIND_FUNC);
}
