/* SPDX-License-Identifier: Apache-2.0 */
/* Types of the script language. Immutable once made; they live in a type table's arena. */
#ifndef LLMPROBE_SCRIPT_TYPES_H
#define LLMPROBE_SCRIPT_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "script/syntax/arena.h"
#include "util/buf.h"
#include "util/diag.h"

enum type_kind {
	TY_NONE, /* not known yet, or a call without a value */
	TY_VOID,
	TY_BOOL,
	TY_INT,
	TY_ENUM, /* an int whose values have names */
	TY_STRING,
	TY_BUFFER,
	TY_PTR,
	TY_ARRAY,
	TY_STRUCT, /* and union */
	TY_TUPLE,
	TY_RECORD,
	/* values that are rendered in user space */
	TY_KSTACK,
	TY_USTACK,
	TY_KSYM,
	TY_USYM,
	TY_INET,
	TY_MAC,
	TY_USERNAME,
	TY_COMM, /* the name of the process of a number */
	TY_TIMESTAMP,
	TY_CGROUP_PATH,
	TY_STRERROR,
	TY_SIGNAL,
	TY_SYSCALL,
	TY_PROBE, /* what `probe` and `func` yield: a cookie */
	TY_FUNC,
	TY_STACK_MODE, /* the words perf, raw, ... as argument */
	/* aggregations: only as map values */
	TY_COUNT,
	TY_SUM,
	TY_MIN,
	TY_MAX,
	TY_AVG,
	TY_STATS,
	TY_HIST,
	TY_LHIST,
	TY_TSERIES,
};

/* Where what lies on the stack begins in the struct of a function's parameters; in front of it are
 * the registers. */
enum { PARAMS_ON_STACK = 272 };

enum stack_mode { STACK_BPFTRACE, STACK_PERF, STACK_RAW, STACK_BUILD_ID };

struct type;

struct field {
	const char *name; /* NULL: anonymous, or a tuple element */
	const struct type *type;
	uint32_t offset;    /* bytes */
	uint8_t bit_offset; /* of a bitfield, from the least significant bit at offset */
	uint8_t bit_size;   /* 0: no bitfield */
	bool is_data_loc;   /* tracepoint __data_loc: type is the pointed-to string */
	bool is_on_stack;   /* parameter of a function: offset - PARAMS_ON_STACK from sp */
	int64_t value;	    /* of an enum's name */
	const char *decl;   /* as C writes it, "char comm[16]"; NULL: made from the type */
};

/* The fields of a struct, union, tuple or record. Filled in after the type is made: structs can
 * point to themselves. */
struct fields {
	struct field *v;
	size_t n, cap;
	bool complete;
	const char
		*listing; /* as -lv shows them, with what cannot be read; NULL: from the fields */
};

struct type {
	enum type_kind kind;
	uint32_t size; /* bytes in memory; of a string or buffer its capacity */
	uint32_t align;
	bool is_signed;
	bool is_union;
	bool is_char;		 /* arrays of it are strings */
	bool may_truncate;	 /* a string cut at the limit ends in the trailer */
	bool is_ctx;		 /* pointer to the context of the program: direct loads */
	const char *name;	 /* "struct foo", or of an enum */
	const struct type *elem; /* pointer, array */
	uint32_t count;		 /* array */
	struct fields *fields;
	enum stack_mode stack_mode;
	uint32_t stack_limit;
	int clock;	 /* that nsecs() was asked for, 0: none */
	int64_t args[4]; /* hist bits; lhist min, max, step; tseries interval, buckets, aggregate */
};

struct enum_value {
	const char *name;
	int64_t value;
	const struct type *type;
};

/* Everything named: structs, typedefs, enums, #defines of one script. */
struct type_table;

struct type_table *type_table_new(struct arena *arena);
void type_table_free(struct type_table *t); /* NULL is fine */
struct arena *type_table_arena(struct type_table *t);

/* Shared constants. */
extern const struct type type_none, type_void, type_bool, type_i64, type_u64, type_u32, type_i32,
	type_char;

const struct type *type_int(unsigned size, bool is_signed);
/* What sizeof gives: tuples and records as C would lay them out, buffers without their length. */
uint32_t type_c_size(const struct type *t);
const struct type *type_string(struct type_table *t, uint32_t size);
const struct type *type_buffer(struct type_table *t, uint32_t size);
const struct type *type_ptr(struct type_table *t, const struct type *to);
const struct type *type_array(struct type_table *t, const struct type *elem, uint32_t n);
const struct type *type_plain(struct type_table *t, enum type_kind kind, uint32_t size);
/* Tuple or record; names is NULL for a tuple. Elements are laid out on 8-byte steps. */
const struct type *type_tuple(struct type_table *t, const struct type *const *elems,
			      const char *const *names, size_t n);
/* What an aggregation is in an expression: its value so far, of stats() a record. Others are what
 * they are. */
const struct type *type_value_of(struct type_table *t, const struct type *agg);
const struct type *type_stack(struct type_table *t, bool kernel, enum stack_mode mode,
			      uint32_t limit);
/* A new mutable type, zeroed, for those who fill in the rest themselves. */
struct type *type_alloc(struct type_table *t, enum type_kind kind);

/* "int64", "struct foo", "struct foo *" ... ; resolves in the preamble, then in kernel BTF. NULL
 * when unknown. */
const struct type *type_by_name(struct type_table *t, const char *name);
/* Only what was registered or imported so far. */
const struct type *type_defined(struct type_table *t, const char *name);
/* Registers a name: "struct foo", "union u", "enum e", or a typedef. */
void type_define(struct type_table *t, const char *name, const struct type *type);
void type_define_enum_value(struct type_table *t, const char *name, int64_t value,
			    const struct type *type);
const struct enum_value *type_enum_value(struct type_table *t, const char *name);
/* The name of `value` in that enum, or NULL. */
const char *type_enum_name(const struct type *e, int64_t value);
/* The value of an object-like #define, or NULL. */
const char *type_macro(struct type_table *t, const char *name);
/* Same for use in an expression: NULL too for a #define of a name as itself, which C leaves alone.
 */
const char *type_expansion(struct type_table *t, const char *name);
void type_define_macro(struct type_table *t, const char *name, const char *value);
void type_undef_macro(struct type_table *t, const char *name);
/* Names of a kind for "did you mean": i counts up, NULL after the last. */
const char *type_name_at(const struct type_table *t, size_t i);

/* Field by name, also inside anonymous members; *offset gets its distance from the start. */
const struct field *type_field(const struct type *st, const char *name, uint32_t *offset);
struct field *fields_add(struct type_table *t, struct fields *f);

/* Words that stand for a type in a cast without struct/union/enum. */
bool type_is_scalar_name(const char *name);
bool type_is_int(const struct type *t); /* int, bool, enum */
bool type_is_stack(const struct type *t);
bool type_is_aggregate(enum type_kind k); /* count() and its kin */
/* A value of 8 bytes or less that travels in a register. */
bool type_in_register(const struct type *t);
bool type_same(const struct type *a, const struct type *b);
/* "int", "string", "pointer" ...: the kind alone. */
const char *type_word(const struct type *t);
/* "int64", "string[16]", "struct foo *", "(int64,string[2])": what messages show. */
const char *type_text(const struct type *t, char out[128]);

/* ctype.c: struct, union, enum, typedef and #define of a C text. */
struct ctype_opts {
	const char *const *include_dirs;
	size_t n_include_dirs;
	bool have_btf; /* defines BPFTRACE_HAVE_BTF */
};
int ctype_parse(struct type_table *t, const char *text, const struct ctype_opts *o, struct diag *d);

/* btf_types.c: kernel types on demand. */
struct kernel_types;
struct kernel_types *kernel_types_new(void);
void kernel_types_free(struct kernel_types *k);
/* Imports "struct x", "union x", "enum x" or a typedef name; NULL when the kernel has none. */
const struct type *kernel_type_import(struct kernel_types *k, struct type_table *t,
				      const char *name);
/* Prints the types whose names ("struct x") fit the glob, with their C text when `text` is set.
 * Returns how many there were. */
int kernel_types_print(struct kernel_types *k, const char *pattern, bool text, FILE *out);
/* An enum constant of the kernel's and its enum (NULL: it has no name); false when there is none.
 */
bool kernel_enum_value(struct kernel_types *k, struct type_table *t, const char *name,
		       int64_t *value, const struct type **type);
/* Types of a raw tracepoint's arguments, from `btf_trace_NAME`; NULL when unknown. */
const struct type *kernel_rawtp_args(struct kernel_types *k, struct type_table *t,
				     const char *name);
/* kernel_rawtp_args of the table's kernel. */
const struct type *type_rawtp_args(struct type_table *t, const char *name);
void type_table_use_kernel(struct type_table *t, struct kernel_types *k);
/* Types of the probed programs are asked before the kernel's. */
struct debug_info;
void type_table_use_programs(struct type_table *t, struct debug_info *d);

#endif
