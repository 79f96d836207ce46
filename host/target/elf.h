/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF files of a traced process: symbols, bytes, relocations, function extents.
 *
 * The files belong to the target and are untrusted. Nothing of them is executed; every table is
 * bounded by the file and by fixed limits, and a file that is cut short while it is read gives
 * zeros, not a signal. Content is read on first use and kept until elf_close. A struct elf may be
 * used by one thread at a time. Addresses ("vaddr") are those of the file, before any load bias.
 */
#ifndef LLMPROBE_TARGET_ELF_H
#define LLMPROBE_TARGET_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/diag.h"

enum elf_arch { ELF_X86_64, ELF_AARCH64 };
enum elf_table { ELF_DYNSYM, ELF_SYMTAB };

struct elf;

/* A defined symbol. `name` is owned by the struct elf. */
struct elf_symbol {
	const char *name;
	uint64_t vaddr;
	uint64_t size; /* 0 when the table does not say */
	enum elf_table table;
	bool is_func;
	bool is_local;
};

/* The extent of one function, or of one part of a split function. */
struct elf_func {
	uint64_t vaddr;
	uint64_t size;	 /* bytes, never 0 */
	bool has_unwind; /* an unwind entry covers it */
	bool is_part;	 /* it continues a split function: its unwind entry starts inside a frame */
	bool has_handler; /* its unwind entry names language-specific data (catch or cleanup) */
};

/*
 * Opens an ELF64 little-endian executable or shared object for x86-64 or aarch64. `shown_name` is
 * what messages call it. The descriptor stays the caller's and may be closed afterwards. Returns
 * NULL with an error in `d` that says why the file is refused.
 */
struct elf *elf_open_fd(int fd, const char *shown_name, struct diag *d);
struct elf *elf_open(const char *path, struct diag *d);
/* Same over bytes in memory, which are copied. */
struct elf *elf_open_mem(const void *data, size_t len, const char *shown_name, struct diag *d);
void elf_close(struct elf *e); /* NULL is fine */

const char *elf_name(const struct elf *e);
enum elf_arch elf_arch(const struct elf *e);
const char *elf_arch_name(const struct elf *e); /* "x86_64" or "aarch64" */
/* The build id in lower-case hex, "" when there is none. */
const char *elf_build_id(const struct elf *e);
/* True for shared objects and position-independent executables. */
bool elf_is_pic(const struct elf *e);
/* True for what is executed rather than loaded by another file. */
bool elf_is_program(const struct elf *e);
uint64_t elf_file_size(const struct elf *e);
/* PT_INTERP, DT_RUNPATH (else DT_RPATH), DT_SONAME; "" when absent. */
const char *elf_interp(const struct elf *e);
const char *elf_runpath(const struct elf *e);
const char *elf_soname(const struct elf *e);
/* The i-th DT_NEEDED, NULL after the last. */
const char *elf_needed(const struct elf *e, size_t i);
/* True when the file carries DWARF itself (.debug_info). */
bool elf_has_dwarf(const struct elf *e);
/* True when the file carries .symtab itself. */
bool elf_has_symtab(const struct elf *e);
/* Takes over `debug`, the separate debug file of a stripped `e`: its .symtab counts as e's from now
 * on. Only before any symbol of `e` was asked for. */
void elf_lend_symbols(struct elf *e, struct elf *debug);
/* The file name in .gnu_debuglink, "" when absent. */
const char *elf_debuglink(const struct elf *e);

/* Symbols. The dynamic table wins over .symtab when both define a name. */
size_t elf_symbol_count(const struct elf *e);
/* The i-th defined symbol, in table order (.dynsym first); false past the end. */
bool elf_symbol(const struct elf *e, size_t i, struct elf_symbol *out);
/*
 * Adds the symbols that a stripped file (no .symtab) has elsewhere: in its .gnu_debugdata, or in a
 * debug file found by build id or debug link beside `path`. Looks once; true when there were any.
 */
bool elf_add_debug_symbols(struct elf *e, const char *path);
/* Looks a defined symbol up by its exact (mangled) name. */
bool elf_find(const struct elf *e, const char *name, struct elf_symbol *out);
/*
 * Calls `fn` for each defined symbol that matches `pattern` until it returns non-zero, and returns
 * the number of calls. A pattern with "::" or one that ends in "(" names a C++ function as source
 * writes it, without its parameters ("llama_context::process_ubatch(" is that name exactly, without
 * the parenthesis it is a prefix of the last part). Otherwise it is a glob of '*' and '?' over the
 * symbol's own name. A symbol that stands in both tables is reported once.
 */
size_t elf_match(const struct elf *e, const char *pattern,
		 int (*fn)(void *ctx, const struct elf_symbol *sym), void *ctx);
/* The first match of elf_match, functions only. */
bool elf_find_pattern(const struct elf *e, const char *pattern, struct elf_symbol *out);
/* The function symbol that covers `vaddr` (nearest below when sizes are missing). */
bool elf_symbol_at(const struct elf *e, uint64_t vaddr, struct elf_symbol *out);
/* True when the file imports (references without defining) a symbol of this name. */
bool elf_imports(const struct elf *e, const char *name);

/* Addresses. Both return false when no loaded segment holds file bytes there. */
bool elf_vaddr_to_offset(const struct elf *e, uint64_t vaddr, uint64_t *offset);
bool elf_offset_to_vaddr(const struct elf *e, uint64_t offset, uint64_t *vaddr);
bool elf_is_code(const struct elf *e, uint64_t vaddr);

/* Up to `len` bytes at `vaddr`; the number available in file bytes goes to `*avail`. Borrowed, NULL
 * when there are none. */
const uint8_t *elf_bytes(const struct elf *e, uint64_t vaddr, size_t len, size_t *avail);
/* A little-endian number of the file, without relocation. */
bool elf_u64(const struct elf *e, uint64_t vaddr, uint64_t *out);
bool elf_u32(const struct elf *e, uint64_t vaddr, uint32_t *out);
/* The NUL-terminated string at `vaddr` if it is printable ASCII (newline and tab count as
 * printable) and shorter than `limit`; else NULL. Borrowed. */
const char *elf_string(const struct elf *e, uint64_t vaddr, size_t limit);
/*
 * The pointer that the loader leaves at `vaddr`, as a vaddr: the addend of a RELATIVE relocation,
 * the value of a symbol defined here, or the stored word (RELR, non-PIC). False for imports.
 */
bool elf_pointer(const struct elf *e, uint64_t vaddr, uint64_t *out);
/* The name of the symbol that a relocation at `vaddr` (GOT slot) binds to, or NULL. */
const char *elf_reloc_symbol(const struct elf *e, uint64_t vaddr);
/* The name that a PLT stub at `vaddr` calls, or NULL when it is no PLT stub. */
const char *elf_plt_symbol(const struct elf *e, uint64_t vaddr);

/*
 * The function that starts at `vaddr`, or that covers it: the symbol's size, else the unwind table,
 * else up to the next symbol. False when nothing tells.
 */
bool elf_func_at(const struct elf *e, uint64_t vaddr, struct elf_func *out);
bool elf_func_named(const struct elf *e, const char *name, struct elf_func *out);

/*
 * For stripped files. Reports the vaddrs where `text` ends as a string constant (it may be the
 * tail of a longer one) / of the cells in data that
 * point at `target` / of the functions whose code takes the address `target`. Each returns the
 * number stored, at most `max`.
 */
size_t elf_find_string(const struct elf *e, const char *text, uint64_t *out, size_t max);
size_t elf_find_pointers(const struct elf *e, uint64_t target, uint64_t *out, size_t max);
size_t elf_find_code_refs(const struct elf *e, uint64_t target, struct elf_func *out, size_t max);
/* The three above in one: functions whose code refers to the string constant `text`. */
size_t elf_find_string_users(const struct elf *e, const char *text, struct elf_func *out,
			     size_t max);

/*
 * The vaddrs of what looks like a direct call of or jump to the function at `vaddr` (0: none), or
 * to a linkage stub for `name` (NULL: none). Bytes are compared, not instructions: the caller
 * decodes. Returns the number stored, at most `max`.
 */
size_t elf_find_calls(const struct elf *e, uint64_t vaddr, const char *name, uint64_t *out,
		      size_t max);

#endif
