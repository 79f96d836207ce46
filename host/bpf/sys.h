/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls behind bpf/, with the fields that the build machine's headers may lack. */
#ifndef LLMPROBE_BPF_SYS_H
#define LLMPROBE_BPF_SYS_H

#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { ATTACH_UPROBE_MULTI = 48, ATTACH_UPROBE_SESSION = 57 };

/* The kernel's bpf_attr for BPF_LINK_CREATE with a uprobe multi link. */
struct uprobe_multi_attr {
	uint32_t prog_fd;
	uint32_t target_fd;
	uint32_t attach_type;
	uint32_t flags;
	uint64_t path;
	uint64_t offsets;
	uint64_t ref_ctr_offsets;
	uint64_t cookies;
	uint32_t cnt;
	uint32_t multi_flags; /* 1: return probes */
	uint32_t pid;
} __attribute__((packed));

/* Return the call's result or -errno. */
int sys_bpf(int cmd, void *attr, size_t size);
int sys_perf_event_open(const struct perf_event_attr *attr, pid_t pid, int cpu, int group,
			unsigned long flags);
/* Raises RLIMIT_MEMLOCK, which kernels before 5.11 charge for BPF; whether it can is no matter. */
void sys_raise_memlock(void);

/* What sys_prog_load needs; zero what does not apply. */
struct prog_spec {
	uint32_t type, attach_type, attach_btf_id;
	const struct bpf_insn *insns;
	uint32_t n_insns;
	const char *licence, *name;
	uint32_t kern_version, flags;
	char *log; /* verifier's log, NULL: none */
	uint32_t log_size;
	bool log_all; /* the whole walk; else little is said about a program that passes */
	/* With callbacks: what types their functions have, in a BTF that the kernel took. */
	int btf_fd;
	const struct bpf_func_info *funcs;
	uint32_t n_funcs;
};
/* Returns the program's descriptor (close-on-exec) or -errno. */
int sys_prog_load(const struct prog_spec *s);
/* Runs a program once, on `ctx` of `len` bytes. Its return value goes to `retval`. 0 or -errno. */
int sys_prog_run(int prog_fd, void *ctx, size_t len, uint32_t *retval);
/* "return 0" of the given type. Returns the descriptor or -errno. */
int sys_prog_load_null(uint32_t type, uint32_t attach_type);
/* Whether BPF_LINK_CREATE knows uprobe multi links. */
bool sys_has_uprobe_multi(void);
/* Same for ATTACH_UPROBE_MULTI or ATTACH_UPROBE_SESSION: 0, or the kernel's -errno. */
int sys_try_uprobe_multi(uint32_t attach_type);
/* Writes the name in the form that the kernel takes: 15 characters of [A-Za-z0-9_.]. */
void sys_object_name(char out[16], const char *name);

#endif
