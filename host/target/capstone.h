/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disassembler, which is there only while probe points are looked for: its tables are 5 MB that
 * a running recording does not need.
 */
#ifndef LLMPROBE_TARGET_CAPSTONE_H
#define LLMPROBE_TARGET_CAPSTONE_H

#include <capstone/capstone.h>

#include "util/diag.h"

/* The library's own functions; not to be called before capstone_load has returned 0. */
struct capstone {
	cs_err (*open)(cs_arch arch, cs_mode mode, csh *handle);
	cs_err (*close)(csh *handle);
	cs_err (*option)(csh handle, cs_opt_type type, size_t value);
	bool (*disasm_iter)(csh handle, const uint8_t **code, size_t *size, uint64_t *address,
			    cs_insn *insn);
	cs_insn *(*malloc)(csh handle);
	void (*free)(cs_insn *insn, size_t count);
	bool (*insn_group)(csh handle, const cs_insn *insn, unsigned int group);
	cs_err (*regs_access)(csh handle, const cs_insn *insn, cs_regs reads, uint8_t *n_reads,
			      cs_regs writes, uint8_t *n_writes);
};
extern struct capstone capstone;

/* Files that know BPF cannot include this: insn_ready and insn_rest stand for the two. Returns 0,
 * or -ENOSYS with an error that names the package. Nothing happens when it is there. */
int capstone_load(struct diag *d);
/* Gives its memory back. No handle may be open. */
void capstone_unload(void);

#endif
