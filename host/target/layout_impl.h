/* SPDX-License-Identifier: Apache-2.0 */
/* What the files layout*.c share. */
#ifndef LLMPROBE_TARGET_LAYOUT_IMPL_H
#define LLMPROBE_TARGET_LAYOUT_IMPL_H

#include "target/layout.h"
#include "target/layout_eval.h"

enum { NAMES_MAX = 512, TYPES_MAX = 256, FILES_MAX = 32 };

struct layout {
	struct layout_value value[LAYOUT_FIELD_COUNT];
	char *ops[NAMES_MAX];
	size_t n_ops;
	char *unary[NAMES_MAX];
	size_t n_unary;
	struct layout_type types[TYPES_MAX];
	size_t n_types;
	char version[64], commit[64];
};

/* One inference in progress. */
struct infer {
	struct layout *l;
	const struct layout_sources *src;
	struct diag *d;
	struct eval *eval;		 /* scratch */
	struct elf *searched[FILES_MAX]; /* files that hold operator names: worth searching whole */
	size_t n_searched;
	char *dwarf_ops[NAMES_MAX]; /* names of enum ggml_op in DWARF, "" for a gap */
	size_t n_dwarf_ops;
};

/*
 * Offers a value. The first offer wins; a later one that differs is reported as a warning that
 * names both sources.
 */
void infer_put(struct infer *in, enum layout_field f, int64_t value, enum layout_how how,
	       const char *fmt, ...) PRINTF_LIKE(5, 6);
bool infer_has(const struct infer *in, enum layout_field f);
/* Finds a function in any of the files. */
const struct elf *infer_find(const struct infer *in, const char *name, struct elf_func *f);
bool infer_has_symbol(const struct infer *in, const char *name);
/* Walks a function of any of the files; in->eval holds the result. False when there is none. */
bool infer_eval(struct infer *in, const char *name, size_t max);

/* The steps, in the order in which their answers are believed. */
void infer_dwarf(struct infer *in);
void infer_names(struct infer *in); /* operator, unary and type tables, versions */
void infer_accessors(struct infer *in);
void infer_llama(struct infer *in);
void infer_constructors(struct infer *in);
void infer_table(struct infer *in);

#endif
