/* SPDX-License-Identifier: Apache-2.0 */
/* What the files elf*.c share. */
#ifndef LLMPROBE_TARGET_ELF_IMPL_H
#define LLMPROBE_TARGET_ELF_IMPL_H

#include <elf.h>

#include "target/elf.h"

enum {
	SEGMENTS_MAX = 64,
	NEEDED_MAX = 128,
	BUILD_ID_MAX = 64,     /* bytes */
	CHUNK_SHIFT = 16,      /* content is read in pieces of 64 KiB */
	TABLE_MAX = 256 << 20, /* bytes of one symbol, string or relocation table */
	SEARCH_MAX = 1 << 30,  /* bytes of a segment that is searched as a whole */
};

/* A table inside the file: checked to lie within it. count 0: absent. */
struct elf_span {
	uint64_t offset;
	uint64_t size;
};

struct segment {
	uint64_t vaddr, offset, filesz;
	uint32_t flags;
};

struct elf_sym_entry {
	uint64_t vaddr, size;
	const char *name;
	uint32_t next; /* next entry of the same hash bucket, plus 1 */
	uint8_t table;
	bool is_func, is_local;
};

struct elf_reloc {
	uint64_t at;
	uint64_t value;	  /* pointer that the loader stores, when known */
	const char *name; /* symbol it binds to, NULL for none */
	bool known;
};

/* A function and its unwind entry. */
struct elf_unwind_row {
	uint64_t start, fde;
};

struct elf {
	char *name;
	int fd;
	uint8_t *map; /* anonymous memory of the file's size, filled on demand */
	uint64_t size;
	uint8_t *loaded; /* one byte per chunk */
	enum elf_arch arch;
	bool pic, pie, has_dwarf;

	struct segment seg[SEGMENTS_MAX];
	size_t n_seg;
	uint64_t eh_frame_hdr;	  /* vaddr, 0: none */
	struct elf_span eh_frame; /* by vaddr, not by offset */

	struct elf_span dynstr, dynsym, symstr, symtab;
	struct elf_span rela, jmprel;
	const char *interp, *runpath, *soname, *debuglink;
	const char *needed[NEEDED_MAX];
	size_t n_needed;
	struct elf *debug; /* of which .symtab is ours, NULL: none */
	char build_id[2 * BUILD_ID_MAX + 1];

	/* Indexes, built on first use. */
	struct elf_sym_entry *syms;
	size_t n_syms, cap_syms;
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint32_t *by_addr; /* function symbols, by address */
	size_t n_by_addr;
	bool syms_ready;
	char **debug_names; /* of symbols from elsewhere, see elf_add_debug_symbols */
	size_t n_debug_names, cap_debug_names;
	bool debug_tried;
	struct elf_reloc *relocs;
	size_t n_relocs;
	bool relocs_ready;
	struct elf_unwind_row *unwind; /* where there is no search table in the file */
	size_t n_unwind, cap_unwind;
	bool unwind_ready;
};

/* `len` bytes of the file, or NULL when they do not all lie in it. */
const uint8_t *elf_at(const struct elf *e, uint64_t offset, uint64_t len);
/* Reads a string table and cuts it after its last NUL, so that any index in it is a whole string.
 */
void elf_load_strings(const struct elf *e, struct elf_span *table);
/* The string at `index` of a loaded string table, "" when it is out of the table. */
const char *elf_table_string(const struct elf *e, const struct elf_span *table, uint64_t index);
/* Turns a table's vaddr and size into a span; false when file bytes do not hold it. */
bool elf_span_at(const struct elf *e, uint64_t vaddr, uint64_t size, struct elf_span *out);
const struct segment *elf_segment_at(const struct elf *e, uint64_t vaddr);
/* All file bytes of a segment, or NULL when it is too large to be searched. */
const uint8_t *elf_segment_bytes(const struct elf *e, const struct segment *s);

/* Build the indexes; cheap when they are there. The struct is logically const: only caches change.
 */
void elf_load_symbols(const struct elf *e);
/* After rows were added to syms. */
void elf_index_again(struct elf *e);
void elf_index_addresses(const struct elf *e);
/* The first row of by_addr above `vaddr`, n_by_addr when there is none. */
size_t elf_first_above(const struct elf *e, uint64_t vaddr);
void elf_load_relocs(const struct elf *e);
/* The function whose unwind entry covers `vaddr`. */
bool elf_unwind_func(const struct elf *e, uint64_t vaddr, struct elf_func *out);
/* The number of entries of a dynamic symbol table that no section header describes. */
uint64_t elf_count_hashed_symbols(const struct elf *e, uint64_t hash, uint64_t gnu_hash);
/* The signed number of 4 KiB pages that an aarch64 adrp instruction adds. */
int64_t elf_adrp_pages(uint32_t insn);

#endif
