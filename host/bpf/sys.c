/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/sys.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int sys_bpf(int cmd, void *attr, size_t size)
{
	long rc = syscall(SYS_bpf, cmd, attr, size);

	return rc < 0 ? -errno : (int)rc;
}

int sys_perf_event_open(const struct perf_event_attr *attr, pid_t pid, int cpu, int group,
			unsigned long flags)
{
	long rc = syscall(SYS_perf_event_open, attr, pid, cpu, group, flags | PERF_FLAG_FD_CLOEXEC);

	return rc < 0 ? -errno : (int)rc;
}

void sys_raise_memlock(void)
{
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	setrlimit(RLIMIT_MEMLOCK, &all);
}

void sys_object_name(char out[16], const char *name)
{
	size_t i;

	memset(out, 0, 16);
	for (i = 0; name && i < 15 && name[i]; i++) {
		unsigned char c = name[i];

		out[i] = isalnum(c) || c == '_' || c == '.' ? c : '_';
	}
}

int sys_prog_load(const struct prog_spec *s)
{
	union bpf_attr attr;
	int fd, tries = 5;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = s->type;
	attr.expected_attach_type = s->attach_type;
	attr.attach_btf_id = s->attach_btf_id;
	attr.insns = (uintptr_t)s->insns;
	attr.insn_cnt = s->n_insns;
	attr.license = (uintptr_t)s->licence;
	attr.kern_version = s->kern_version;
	attr.prog_flags = s->flags;
	sys_object_name(attr.prog_name, s->name);
	if (s->log) {
		attr.log_buf = (uintptr_t)s->log;
		attr.log_size = s->log_size;
		attr.log_level = s->log_all ? 2 : 1;
	}
	if (s->n_funcs) {
		attr.prog_btf_fd = (uint32_t)s->btf_fd;
		attr.func_info = (uintptr_t)s->funcs;
		attr.func_info_cnt = s->n_funcs;
		attr.func_info_rec_size = sizeof(*s->funcs);
	}
	/* The verifier gives way to a pending signal with EAGAIN. */
	do {
		fd = sys_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
	} while (fd == -EAGAIN && tries--);
	return fd;
}

int sys_prog_run(int prog_fd, void *ctx, size_t len, uint32_t *retval)
{
	union bpf_attr attr;
	int err;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)prog_fd;
	attr.test.ctx_in = (uintptr_t)ctx;
	attr.test.ctx_size_in = (uint32_t)len;
	err = sys_bpf(BPF_PROG_TEST_RUN, &attr, sizeof(attr));
	*retval = attr.test.retval;
	return err < 0 ? err : 0;
}

int sys_prog_load_null(uint32_t type, uint32_t attach_type)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct prog_spec s = {.type = type,
			      .attach_type = attach_type,
			      .insns = insns,
			      .n_insns = 2,
			      .licence = "Dual BSD/GPL",
			      .name = "null"};

	return sys_prog_load(&s);
}

int sys_try_uprobe_multi(uint32_t attach_type)
{
	const uint64_t offset = 0;
	struct uprobe_multi_attr attr = {
		.attach_type = attach_type,
		.path = (uintptr_t) "/",
		.offsets = (uintptr_t)&offset,
		.cnt = 1,
	};
	int prog = sys_prog_load_null(BPF_PROG_TYPE_KPROBE, attach_type), err;

	if (prog < 0)
		return prog;
	attr.prog_fd = (uint32_t)prog;
	err = sys_bpf(BPF_LINK_CREATE, &attr, sizeof(attr));
	if (err >= 0)
		close(err);
	close(prog);
	/* A folder is no file to probe: EBADF from kernels that got as far as looking. */
	return err == -EBADF ? 0 : err < 0 ? err : -EINVAL;
}

bool sys_has_uprobe_multi(void)
{
	return !sys_try_uprobe_multi(ATTACH_UPROBE_MULTI);
}
