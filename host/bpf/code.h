/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiled BPF text as data: no descriptor, no address, so it can be cached, sent through a pipe
 * and loaded any number of times. Made by bpf_compile, loaded by bpf_module_load.
 */
#ifndef LLMPROBE_BPF_CODE_H
#define LLMPROBE_BPF_CODE_H

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/diag.h"

/*
 * Maps that the host makes are written EXTERN_MAP(n) in BPF text, n in 0..EXTERN_MAP_MAX-1: an
 * expression of type void * that helpers take. The number is put into the text (and so into the
 * cache key), the descriptor only at load.
 */
enum { EXTERN_MAP_BASE = 0x4c500000, EXTERN_MAP_MAX = 4096 };

struct code_map {
	char *name;
	uint32_t type, key_size, value_size, max_entries, flags;
	char *key_desc;	 /* libbcc's JSON type description, "" when there is none */
	char *leaf_desc; /* of the value; for perf and ring outputs the record's struct */
	char **fields;	 /* BPF_PERF_OUTPUT: "name#type" per field of the submitted struct */
	uint32_t n_fields;
};

enum code_reloc_kind { CODE_RELOC_MAP, CODE_RELOC_EXTERN };

struct code_reloc {
	uint32_t insn;	/* index of the ld_imm64 */
	uint32_t kind;	/* enum code_reloc_kind */
	uint32_t index; /* into maps, or the n of EXTERN_MAP(n) */
};

struct code_program {
	char *name; /* the function's name in the text */
	struct bpf_insn *insns;
	uint32_t n_insns;
	struct code_reloc *relocs;
	uint32_t n_relocs;
};

struct bpf_code {
	char *licence;
	uint32_t kern_version;
	struct code_map *maps;
	uint32_t n_maps;
	struct code_program *programs;
	uint32_t n_programs;
};

void bpf_code_free(struct bpf_code *c); /* NULL is fine */
/* NULL when there is none of that name. */
const struct code_program *bpf_code_program(const struct bpf_code *c, const char *name);
const struct code_map *bpf_code_map(const struct bpf_code *c, const char *name);

/* Appends the byte form. */
void bpf_code_encode(const struct bpf_code *c, struct buf *out);
/*
 * Reads the byte form back. Every count, index and length is checked, so damaged bytes give NULL
 * and never more memory than a few times `len`.
 */
struct bpf_code *bpf_code_decode(const void *data, size_t len);

#endif
