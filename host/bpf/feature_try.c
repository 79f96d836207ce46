/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/feature_try.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/kbtf.h"
#include "bpf/kmap.h"
#include "bpf/module.h"
#include "bpf/sys.h"
#include "bpf/tracefs.h"
#include "util/alloc.h"
#include "util/buf.h"
#include "util/file.h"

enum {
	HELPER_TASK_STORAGE_GET = 156,
	HELPER_GET_CURRENT_TASK_BTF = 158,
	HELPER_GET_ATTACH_COOKIE = 174,
	HELPER_LOOP = 181,
};

#define INSN_CALL(helper) ((struct bpf_insn){.code = BPF_JMP | BPF_CALL, .imm = (helper)})
#define INSN_MOV(reg, value)                                                                       \
	((struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (reg), .imm = (value)})
#define INSN_MOV_REG(to, from)                                                                     \
	((struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = (to), .src_reg = (from)})
#define INSN_EXIT() ((struct bpf_insn){.code = BPF_JMP | BPF_EXIT})

/* Closes what worked; keeps the error of what did not. */
static int done(int fd)
{
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int make_map(uint32_t type, uint32_t key, uint32_t value, uint32_t entries)
{
	struct kmap_spec s = {.type = type,
			      .key_size = key,
			      .value_size = value,
			      .max_entries = entries,
			      .name = "try"};
	struct diag *d = diag_new();
	int fd = kmap_create(&s, d);

	diag_free(d);
	return fd;
}

static int load(const struct bpf_insn *insns, uint32_t n, char *log, uint32_t log_size)
{
	struct prog_spec s = {.type = BPF_PROG_TYPE_KPROBE,
			      .insns = insns,
			      .n_insns = n,
			      .licence = "Dual BSD/GPL",
			      .name = "try",
			      .log = log,
			      .log_size = log_size};

	return sys_prog_load(&s);
}

int feature_try_bpf(void)
{
	int err = done(make_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1));

	return err ? err : done(sys_prog_load_null(BPF_PROG_TYPE_KPROBE, 0));
}

int feature_try_uprobe_multi(void)
{
	return sys_try_uprobe_multi(ATTACH_UPROBE_MULTI);
}

int feature_try_uprobe_session(void)
{
	return sys_try_uprobe_multi(ATTACH_UPROBE_SESSION);
}

int feature_try_uprobe_pmu(void)
{
	struct perf_event_attr attr = {.size = sizeof(attr)};
	struct buf type = {0};
	int err = file_read("/sys/bus/event_source/devices/uprobe/type", &type, 64);

	attr.type = atoi(buf_str(&type));
	buf_free(&type);
	if (err)
		return err;
	/* A real event would take 100 ms to close; rights are checked before the file is. */
	attr.config1 = (uintptr_t) "/nonexistent/llmprobe";
	err = done(sys_perf_event_open(&attr, -1, 0, -1, 0));
	return err == -ENOENT ? 0 : err;
}

int feature_try_ringbuf(void)
{
	return done(make_map(BPF_MAP_TYPE_RINGBUF, 0, 0, (uint32_t)sysconf(_SC_PAGESIZE)));
}

int feature_try_task_storage(void)
{
	int map = make_map(BPF_MAP_TYPE_TASK_STORAGE, 4, 8, 0), err;
	const struct bpf_insn insns[] = {
		INSN_CALL(HELPER_GET_CURRENT_TASK_BTF),
		INSN_MOV_REG(2, 0),
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = 1,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = map},
		{0},
		INSN_MOV(3, 0),
		INSN_MOV(4, 1),
		INSN_CALL(HELPER_TASK_STORAGE_GET),
		INSN_MOV(0, 0),
		INSN_EXIT(),
	};

	if (map < 0)
		return map;
	err = done(load(insns, ARRAY_LEN(insns), NULL, 0));
	close(map);
	return err;
}

int feature_try_attach_cookie(void)
{
	const struct bpf_insn insns[] = {
		INSN_CALL(HELPER_GET_ATTACH_COOKIE),
		INSN_MOV(0, 0),
		INSN_EXIT(),
	};

	return done(load(insns, ARRAY_LEN(insns), NULL, 0));
}

/* A right call needs type information; a wrong one shows whether the helper is known. */
int feature_try_bpf_loop(void)
{
	const struct bpf_insn insns[] = {
		INSN_MOV(1, 1),
		INSN_CALL(HELPER_LOOP),
		INSN_EXIT(),
	};
	char log[4096] = "";
	int err = done(load(insns, ARRAY_LEN(insns), log, sizeof(log)));

	if (err == -EPERM)
		return err;
	return strstr(log, "invalid func ") || strstr(log, "unknown func ") || !*log ? -EINVAL : 0;
}

int feature_try_btf(void)
{
	return access("/sys/kernel/btf/vmlinux", R_OK) ? -errno : 0;
}

int feature_try_tp_btf(void)
{
	int id = btf_tracepoint_id("sched_switch");
	const struct bpf_insn insns[] = {INSN_MOV(0, 0), INSN_EXIT()};
	struct prog_spec s = {.type = BPF_PROG_TYPE_TRACING,
			      .attach_type = BPF_TRACE_RAW_TP,
			      .attach_btf_id = (uint32_t)id,
			      .insns = insns,
			      .n_insns = ARRAY_LEN(insns),
			      .licence = "Dual BSD/GPL",
			      .name = "try"};

	return id < 0 ? id : done(sys_prog_load(&s));
}

int feature_try_raw_tracepoint(void)
{
	union bpf_attr attr;
	int prog = sys_prog_load_null(BPF_PROG_TYPE_RAW_TRACEPOINT, 0), err;

	if (prog < 0)
		return prog;
	memset(&attr, 0, sizeof(attr));
	attr.raw_tracepoint.name = (uintptr_t) "llmprobe_none";
	attr.raw_tracepoint.prog_fd = prog;
	err = done(sys_bpf(BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr)));
	close(prog);
	return err == -ENOENT ? 0 : err;
}

int feature_try_tracefs(void)
{
	int dir = tracefs_open(), err;

	if (dir < 0)
		return dir;
	err = tracefs_event_id(dir, "sched", "sched_switch");
	close(dir);
	return err;
}

static int try_counter(uint32_t type, uint64_t config)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .type = type, .config = config, .disabled = 1};
	int err = done(sys_perf_event_open(&attr, 0, -1, -1, 0));

	if (err != -EACCES)
		return err;
	attr.exclude_kernel = 1;
	return done(sys_perf_event_open(&attr, 0, -1, -1, 0));
}

int feature_try_sw_counters(void)
{
	return try_counter(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK);
}

int feature_try_hw_counters(void)
{
	return try_counter(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES);
}

int feature_try_bpf_stats(void)
{
	return done(bpf_stats_enable());
}
