/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How ggml's and llama.cpp's structs are laid out in one build of an engine, and its numbering of
 * operators and types, inferred from the engine's own files.
 */
#ifndef LLMPROBE_TARGET_LAYOUT_H
#define LLMPROBE_TARGET_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/elf.h"
#include "util/diag.h"

/* Byte offsets unless the comment says otherwise. */
enum layout_field {
	LAYOUT_TENSOR_SIZE, /* sizeof(struct ggml_tensor) */
	LAYOUT_TENSOR_TYPE,
	LAYOUT_TENSOR_BUFFER,
	LAYOUT_TENSOR_NE,
	LAYOUT_TENSOR_NE_WIDTH, /* bytes of one dimension: 8, or 4 in the oldest builds */
	LAYOUT_TENSOR_NB,
	LAYOUT_TENSOR_OP,
	LAYOUT_TENSOR_OP_PARAMS,
	LAYOUT_TENSOR_FLAGS,
	LAYOUT_TENSOR_SRC,
	LAYOUT_TENSOR_N_SRC, /* number of source pointers */
	LAYOUT_TENSOR_VIEW_SRC,
	LAYOUT_TENSOR_DATA,
	LAYOUT_TENSOR_NAME,
	LAYOUT_TENSOR_NAME_LEN, /* bytes of the name array */
	LAYOUT_TENSOR_EXTRA,
	LAYOUT_CGRAPH_N_NODES,
	LAYOUT_CGRAPH_N_LEAFS,
	LAYOUT_CGRAPH_NODES,
	LAYOUT_CGRAPH_LEAFS,
	LAYOUT_CGRAPH_NODES_INLINE, /* 1: `nodes` is an array inside the struct, 0: a pointer */
	LAYOUT_CGRAPH_UID,
	LAYOUT_PARAMS_ITH,
	LAYOUT_PARAMS_NTH,
	LAYOUT_PARAMS_TYPE, /* only the old scheduler has it: value 1 is the compute phase */
	LAYOUT_CPLAN_N_THREADS,
	LAYOUT_GRAPH_COMPUTE_ARG, /* number of the argument of ggml_graph_compute that is the graph
				   */
	LAYOUT_BACKEND_GUID,
	LAYOUT_BACKEND_IFACE,
	LAYOUT_BACKEND_GET_NAME,
	LAYOUT_BACKEND_GRAPH_COMPUTE, /* from the backend's address, iface included */
	LAYOUT_BACKEND_SYNCHRONIZE,
	LAYOUT_BACKEND_DEVICE,
	LAYOUT_SCHED_N_BACKENDS,
	LAYOUT_SCHED_BACKENDS,
	LAYOUT_BATCH_SIZE, /* sizeof(struct llama_batch) */
	LAYOUT_BATCH_N_TOKENS,
	LAYOUT_BATCH_EXT_TOKENS_BEGIN,
	LAYOUT_BATCH_EXT_TOKENS_END,
	LAYOUT_BATCH_EXT_TOKEN_SIZE, /* bytes per token */
	LAYOUT_BATCH_EXT_TOKEN_SEQS, /* in a token: address of the first node of its set of
				      * sequences */
	LAYOUT_UBATCH_N_TOKENS,
	LAYOUT_UBATCH_ARG, /* number of the argument of process_ubatch that is the ubatch */
	LAYOUT_FIELD_COUNT
};

enum layout_how {
	LAYOUT_UNKNOWN, /* no such field in this build, or nothing tells */
	LAYOUT_DWARF,
	LAYOUT_ACCESSOR,    /* disassembly of an exported accessor */
	LAYOUT_CONSTRUCTOR, /* disassembly of a function that fills the struct */
	LAYOUT_STRING,	    /* same, found through a string constant in a stripped file */
	LAYOUT_TABLE,	    /* the dated table of known layouts */
	LAYOUT_DERIVED,	    /* a rule that held in every known version */
};

struct layout_value {
	int32_t value; /* -1: absent or unknown */
	enum layout_how how;
	char source[80]; /* what it was read from */
};

/* One member of enum ggml_type. */
struct layout_type {
	char name[24]; /* "q4_K"; "" for a removed number */
	int32_t blck;  /* elements per block, 0 when unknown */
	int32_t size;  /* bytes per block, 0 when unknown */
};

struct layout;

/* The open files of one copy of an engine: ggml-base, ggml-cpu, llama, ... in any order; a static
 * build is one file. Borrowed during the call. */
struct layout_sources {
	struct elf *const *files;
	size_t count;
	const char *root; /* prefix for separate debug files ("/proc/7/root"); NULL: none */
	bool no_dwarf;	  /* do not look for DWARF */
	bool no_symbols;  /* behave as if the files were fully stripped */
};

/*
 * Infers the layout. Sources that disagree give a warning in `d` that names both. Returns NULL with
 * an error when not even a tensor's operator, dimensions and sources could be found.
 */
struct layout *layout_infer(const struct layout_sources *src, struct diag *d);
void layout_free(struct layout *l); /* NULL is fine */

/* A field's value, -1 when absent or unknown. */
int32_t layout_get(const struct layout *l, enum layout_field f);
const struct layout_value *layout_value(const struct layout *l, enum layout_field f);
/* "tensor.ne", "cgraph.nodes", ... */
const char *layout_field_name(enum layout_field f);
/* "DWARF", "accessor", "constructor", "string anchor", "table", "derived", "unknown". */
const char *layout_how_name(enum layout_how how);
void layout_each_field(const struct layout *l,
		       void (*fn)(void *ctx, const char *name, const struct layout_value *v),
		       void *ctx);

/* Operators: upper-case names ("MUL_MAT"); the name is NULL out of range. */
size_t layout_op_count(const struct layout *l);
const char *layout_op_name(const struct layout *l, size_t op);
/* The number of an operator, or -1. */
int layout_op_number(const struct layout *l, const char *name);
size_t layout_unary_count(const struct layout *l);
const char *layout_unary_name(const struct layout *l, size_t op);
size_t layout_type_count(const struct layout *l);
/* NULL out of range. */
const struct layout_type *layout_type(const struct layout *l, size_t type);
/* The engine's own version and commit strings, "" when it has none. */
const char *layout_version(const struct layout *l);
const char *layout_commit(const struct layout *l);

/*
 * Judges the bytes of one live tensor struct (`len` bytes from its start): operator and type known,
 * dimensions positive, nb[0] the type's size, name printable and ended. Returns true when it can be
 * a tensor; else writes the reason, at most `n` bytes, to `why`.
 */
bool layout_check_tensor(const struct layout *l, const void *raw, size_t len, char *why, size_t n);

struct cJSON;
/* The "layout" note of trace/spool.h, without its id; the caller frees it. */
struct cJSON *layout_to_json(const struct layout *l);

#endif
