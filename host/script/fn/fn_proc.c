/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs, where and when: pid, comm, cpu, nsecs and the like. */
#include <string.h>
#include <time.h>

#include "bpf/kmap.h"
#include "script/fn/builtin.h"

/* Names that can also be called with an argument. */
static bool with_arg(const struct node *n)
{
	return n->kind == N_CALL && n->list;
}

static const struct type *check_u32(struct sema *s, struct node *n)
{
	(void)s;
	(void)n;
	return &type_u32;
}

static const struct type *check_u64(struct sema *s, struct node *n)
{
	(void)s;
	(void)n;
	return &type_u64;
}

static const struct type *check_username(struct sema *s, struct node *n)
{
	(void)n;
	return type_plain(s->types, TY_USERNAME, 8);
}

/* comm(pid) names another process: that is looked up when it is printed. */
static const struct type *check_comm(struct sema *s, struct node *n)
{
	const struct type *t = with_arg(n) ? sema_expr(s, n->list) : NULL;

	if (!t)
		return type_string(s->types, 16);
	if (t->kind != TY_NONE && !type_is_int(t))
		return sema_error(s, n, "comm() only supports int arguments (%s provided)",
				  type_word(t));
	return t->kind == TY_NONE ? t : type_plain(s->types, TY_COMM, 8);
}

/* The words of pid(init) and nsecs(boot) are no identifiers of their own. */
static const struct type *check_word(struct sema *s, struct node *n, const char *const *words,
				     const struct type *t)
{
	struct node *a = with_arg(n) ? n->list : NULL;

	if (!a)
		return t;
	for (; *words; words++)
		if (a->kind == N_IDENT && strcmp(a->name, *words) == 0)
			return t;
	if (t == &type_u64)
		return sema_error(s, a, "Invalid timestamp mode: %s",
				  a->kind == N_IDENT ? a->name : "?");
	if (a->kind != N_IDENT)
		return sema_error(s, n, "%s() only supports curr_ns and init as the argument",
				  n->name);
	return sema_error(s, a, "Invalid PID namespace mode: %s (expects: curr_ns or init)",
			  a->name);
}

static const struct type *check_pid(struct sema *s, struct node *n)
{
	static const char *const words[] = {"init", "curr_ns", NULL};

	return check_word(s, n, words, &type_u32);
}

/* The type remembers the clock for strftime(). */
static const struct type *check_nsecs(struct sema *s, struct node *n)
{
	static const char *const words[] = {"monotonic", "boot", "tai", "sw_tai", NULL};
	static const int clocks[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_TAI};
	const struct type *t = check_word(s, n, words, &type_u64);
	struct type *out;

	if (t->kind == TY_NONE || !with_arg(n))
		return t;
	out = type_alloc(s->types, TY_INT);
	*out = *t;
	for (size_t i = 0; words[i]; i++)
		if (strcmp(n->list->name, words[i]) == 0)
			out->clock = clocks[i];
	return out;
}

static struct operand emit_pid(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(em_tmp(e, false, "pid_tgid() >> 32"));
}

static struct operand emit_tid(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(em_tmp(e, false, "(u32)pid_tgid()"));
}

static struct operand emit_uid(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(em_tmp(e, false, "(u32)uid_gid()"));
}

static struct operand emit_gid(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(em_tmp(e, false, "uid_gid() >> 32"));
}

static struct operand emit_nsecs(struct emit *e, struct node *n)
{
	const char *mode = with_arg(n) ? n->list->name : "monotonic";

	return opd_value(em_tmp(e, false, "%s()",
				strcmp(mode, "boot") == 0	 ? "boot_ns"
				: strcmp(mode, "monotonic") == 0 ? "now_ns"
								 : "tai_ns"));
}

static struct operand emit_elapsed(struct emit *e, struct node *n)
{
	const char *start = em_global(e, GLOBAL_START_NS);

	(void)n;
	return opd_value(em_tmp(e, false, "now_ns() - %s", start));
}

static struct operand emit_cpid(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(em_global(e, GLOBAL_CPID));
}

static const struct type *check_has_cpid(struct sema *s, struct node *n)
{
	(void)s;
	(void)n;
	return &type_bool;
}

static struct operand emit_has_cpid(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(emf(e, "(u64)(%s != 0)", em_global(e, GLOBAL_CPID)));
}

static struct operand emit_cpu(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(em_tmp(e, false, "this_cpu()"));
}

static struct operand emit_numaid(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(em_tmp(e, false, "numa_node()"));
}

static struct operand emit_ncpus(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(emf(e, "%uull", kmap_ncpu()));
}

static struct operand emit_rand(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(em_tmp(e, false, "rand32()"));
}

static struct operand emit_jiffies(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(em_tmp(e, false, "jiffies64()"));
}

static struct operand emit_cgroup(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(em_tmp(e, false, "cgroup_id()"));
}

static void comm_into(struct emit *e, struct node *n, const char *dst, uint32_t size)
{
	if (with_arg(n)) {
		em(e, "*(u64 *)%s = %s;", dst, em_value(e, n->list));
		return;
	}
	if (size > 16)
		em_zero(e, emf(e, "(%s + 16)", dst), size - 16);
	em(e, "*(u64 *)%s = 0;", dst);
	em(e, "*(u64 *)(%s + 8) = 0;", dst);
	em(e, "get_comm(%s, 16);", dst);
}

static struct operand emit_comm(struct emit *e, struct node *n)
{
	const char *slot;

	if (with_arg(n))
		return opd_value(em_value(e, n->list));
	slot = em_slot(e, 16);
	comm_into(e, n, slot, 16);
	return opd_mem(slot);
}

/* ---- the task behind it, by kernel BTF ---- */

static const struct type *task_type(struct sema *s)
{
	return type_by_name(s->types, "struct task_struct");
}

static const struct type *check_curtask(struct sema *s, struct node *n)
{
	struct type *st = type_alloc(s->types, TY_STRUCT);

	(void)n;
	/* its fields are looked up when they are used: reading BTF takes a while */
	st->name = "struct task_struct";
	st->fields = arena_alloc(s->arena, sizeof(*st->fields));
	return type_ptr(s->types, st);
}

static struct operand emit_curtask(struct emit *e, struct node *n)
{
	(void)n;
	return opd_value(em_tmp(e, false, "current_task()"));
}

static const struct type *check_task_field(struct sema *s, struct node *n, const char *field,
					   const struct type *t)
{
	const struct type *task = task_type(s);
	uint32_t offset;

	if (task && type_field(task, field, &offset))
		return t;
	return sema_error(s, n, "%s needs kernel type information (/sys/kernel/btf/vmlinux)",
			  n->name);
}

/* ppid(task) and pcomm(task) take another task than the current one. */
static bool check_task_arg(struct sema *s, struct node *n)
{
	const struct type *t = with_arg(n) ? sema_expr(s, n->list) : NULL;

	if (!t || t->kind == TY_PTR || type_is_int(t))
		return true;
	if (t->kind != TY_NONE)
		sema_error(s, n, "%s() expects a pointer to a struct task_struct (%s provided)",
			   n->name, type_text(t, (char[128]){0}));
	return false;
}

static const struct type *check_ppid(struct sema *s, struct node *n)
{
	if (!check_task_arg(s, n))
		return &type_none;
	return check_task_field(s, n, "real_parent", &type_u32);
}

static const struct type *check_pcomm(struct sema *s, struct node *n)
{
	if (!check_task_arg(s, n))
		return &type_none;
	return check_task_field(s, n, "group_leader", type_string(s->types, 16));
}

static const struct type *check_leader_tid(struct sema *s, struct node *n)
{
	return check_task_field(s, n, "group_leader", &type_u32);
}

static const struct type *check_leader_comm(struct sema *s, struct node *n)
{
	return check_task_field(s, n, "group_leader", type_string(s->types, 16));
}

static const char *task_word(struct emit *e, const char *base, const char *field,
			     const struct type *t)
{
	uint32_t offset = 0;

	type_field(task_type(e->s), field, &offset);
	return em_load(
		e, (struct operand){.kind = OPD_REMOTE, .text = emf(e, "(%s + %u)", base, offset)},
		t);
}

static const char *related(struct emit *e, struct node *n)
{
	const char *task =
		em_tmp(e, false, "%s", with_arg(n) ? em_value(e, n->list) : "current_task()");

	return task_word(e, task, strcmp(n->name, "ppid") ? "group_leader" : "real_parent",
			 &type_u64);
}

static struct operand emit_related_id(struct emit *e, struct node *n)
{
	return opd_value(
		task_word(e, related(e, n), n->name[0] == 'l' ? "pid" : "tgid", &type_u32));
}

static struct operand emit_related_comm(struct emit *e, struct node *n)
{
	const char *slot = em_slot(e, 16), *task = related(e, n);
	uint32_t offset = 0;

	type_field(task_type(e->s), "comm", &offset);
	em_zero(e, slot, 16);
	em(e, "lp_read_str(%s, 16, %s + %u);", slot, task, offset);
	return opd_mem(slot);
}

#define NAME_OR_CALL BUILTIN_NAME | BUILTIN_CALL

/* clang-format off */
const struct builtin builtins_proc[] = {
	{.name = "pid", NAME_OR_CALL, 0, 1, check_pid, emit_pid, .help = "process id"},
	{.name = "tid", NAME_OR_CALL, 0, 1, check_pid, emit_tid, .help = "thread id"},
	{.name = "uid", NAME_OR_CALL, 0, 0, check_u32, emit_uid, .help = "user id"},
	{.name = "gid", NAME_OR_CALL, 0, 0, check_u32, emit_gid, .help = "group id"},
	{.name = "username", NAME_OR_CALL, 0, 0, check_username, emit_uid, .help = "user name"},
	{.name = "comm", NAME_OR_CALL, 0, 1, check_comm, emit_comm, .emit_into = comm_into,
	 .help = "thread name, or that of process comm(pid)"},
	{.name = "nsecs", NAME_OR_CALL, 0, 1, check_nsecs, emit_nsecs, .help = "ns since boot"},
	{.name = "elapsed", NAME_OR_CALL, 0, 0, check_u64, emit_elapsed,
	 .help = "ns since the start"},
	{.name = "jiffies", NAME_OR_CALL, 0, 0, check_u64, emit_jiffies,
	 .help = "the kernel's tick counter"},
	{.name = "cpu", NAME_OR_CALL, 0, 0, check_u32, emit_cpu, .help = "CPU number"},
	{.name = "ncpus", NAME_OR_CALL, 0, 0, check_u64, emit_ncpus, .help = "number of CPUs"},
	{.name = "numaid", NAME_OR_CALL, 0, 0, check_u32, emit_numaid, .help = "NUMA node"},
	{.name = "rand", NAME_OR_CALL, 0, 0, check_u32, emit_rand, .help = "random number"},
	{.name = "cgroup", NAME_OR_CALL, 0, 0, check_u64, emit_cgroup, .help = "cgroup id"},
	{.name = "cpid", NAME_OR_CALL, 0, 0, check_u32, emit_cpid,
	 .help = "pid of the -c command"},
	{.name = "has_cpid", NAME_OR_CALL, 0, 0, check_has_cpid, emit_has_cpid,
	 .help = "whether -c was given"},
	{.name = "curtask", NAME_OR_CALL, 0, 0, check_curtask, emit_curtask,
	 .help = "struct task_struct *"},
	{.name = "ppid", NAME_OR_CALL, 0, 1, check_ppid, emit_related_id, .help = "parent's pid"},
	{.name = "pcomm", NAME_OR_CALL, 0, 1, check_pcomm, emit_related_comm,
	 .help = "name of the process"},
	{.name = "leader_tid", NAME_OR_CALL, 0, 0, check_leader_tid, emit_related_id,
	 .help = "tid of the thread group's leader"},
	{.name = "leader_comm", NAME_OR_CALL, 0, 0, check_leader_comm, emit_related_comm,
	 .help = "name of the thread group's leader"},
	{.name = NULL},
};
/* clang-format on */
