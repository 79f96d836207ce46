/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the typed tree to BPF C text. One program per attach point (or per match, where its argument
 * struct or its name matters). Values that fit a register are C expressions; everything else lies
 * in memory: small things on the stack, the rest in a per-CPU scratch area, always padded with
 * zeros to a multiple of 8, so that copies and comparisons go by words and keys hash alike.
 */
#ifndef LLMPROBE_SCRIPT_EMIT_H
#define LLMPROBE_SCRIPT_EMIT_H

#include "script/engine/engine_probe.h"
#include "script/check/sema.h"
#include "util/buf.h"

enum operand_kind {
	OPD_NONE,
	OPD_VALUE,  /* text: C expression without side effects */
	OPD_MEM,    /* text: char * into BPF memory, 8-aligned and zero-padded */
	OPD_REMOTE, /* text: u64 address in the traced process or the kernel */
	OPD_CTX,    /* value: offset from ctx, read by direct loads */
	OPD_ENGINE, /* arguments of an engine event: fields are made when used */
};

struct operand {
	enum operand_kind kind;
	const char *text;
	uint64_t value;
	bool packed; /* OPD_MEM: C layout (a struct copy), not 8 bytes per integer */
};

/* Numbers behind EXTERN_MAP in the text. */
enum extern_id {
	EXTERN_RING,
	EXTERN_LOSS, /* per-CPU u64: records that did not fit */
	EXTERN_SCRATCH,
	EXTERN_GLOBALS,	   /* one element: see enum global_word */
	EXTERN_SEEN,	   /* processes that the host was told of */
	EXTERN_STACK = 8,  /* + index of the stack map */
	EXTERN_SCRIPT = 64 /* + id of the script's map */
};

/* Scratch areas per CPU: a program can be interrupted by another one, up to this deep. */
enum { SCRATCH_LEVELS = 4 };

/* Words of the globals map. */
enum global_word {
	GLOBAL_START_NS,
	GLOBAL_CPID,
	GLOBAL_ZERO,
	GLOBAL_WALL_NS,			 /* from the monotonic clock to the time of day */
	GLOBAL_ZEROS,			 /* four of them */
	GLOBAL_ENDED = GLOBAL_ZEROS + 4, /* set by exit() and assert(), and before end probes run */
	GLOBAL_RESULT,			 /* what a test probe returned */
	GLOBAL_WORDS
};

/* The halves of a cookie. */
static inline uint32_t cookie_probe(uint64_t cookie)
{
	return (uint32_t)cookie;
}

static inline uint32_t cookie_func(uint64_t cookie)
{
	return (uint32_t)(cookie >> 32);
}

/* Number of a record that names a process whose addresses will be shown: its mappings are read at
 * once, because it may be gone when they are. */
#define RECORD_PROCESS UINT64_MAX

struct action_arg {
	const struct type *type;
	uint32_t offset; /* from the start of the record's data */
};

/* One place in the script that sends records: its number is the first word of the record. */
struct action {
	int id;
	const struct builtin *builtin;
	const struct node *node;
	const char *text; /* format, or what a warning says */
	struct action_arg *args;
	size_t n_args;
	uint32_t size; /* of the data behind the number */
	struct symbol *map;
	int64_t num[2];
	bool is_warning;
	bool ends;   /* the script: the reader is woken at once, no probe runs any more */
	bool at_end; /* of an end probe */
	struct action *next;
};

/* Where stacks are kept: one map per limit. */
struct stack_map {
	bool kernel;
	bool build_id;
	uint32_t limit;
	int id;
	struct stack_map *next;
};

struct script_program {
	char name[24];
	const struct probe *probe;
	const struct attach *attach;
	const struct probe_match *first; /* of n_matches in the attach point's list */
	size_t n_matches;
	struct script_program *next;
};

/* What emit_program makes. */
struct script_code {
	struct buf text;
	struct script_program *programs;
	struct action *actions, **action_tail;
	struct stack_map *stacks;
	size_t n_programs, n_actions, n_stacks, n_callbacks;
	struct buf callbacks; /* their text, before the program that uses them */
	uint32_t scratch_size;
	/* All matches of all attach points in order. A cookie holds the number of the first match
	 * with the same probe name (low half) and the first with the same function (high half), so
	 * that equal names are equal keys. */
	const struct probe_match **matches;
	uint64_t *cookies; /* of each match */
	size_t n_matches, cap_matches, cap_cookies;
	struct match_name *probe_names, *func_names;
};

/* Whether the kernel has bpf_loop. */
enum kernel_loops { LOOPS_UNKNOWN, LOOPS_THERE, LOOPS_ABSENT };

struct emit {
	struct sema *s;
	struct arena *arena;
	struct script_code *code;
	struct buf *out;
	const struct script_engine_binding *engine;
	const struct attach *attach;
	const struct probe_match *match;
	size_t n_matches;
	uint64_t first_cookie;
	int indent;
	int tmp;	/* running number of temporaries */
	uint32_t stack; /* bytes of stack given out */
	uint32_t scratch, scratch_max;
	struct callback *callback; /* NULL: in the program itself */
	const struct node *at;	   /* the statement */
	pid_t pid;		   /* see emit_opts */
	bool check_helpers;	   /* failures of helpers are warned about */
	bool may_end;		   /* some probe calls what ends the script */
	bool offline;		   /* the kernel is not asked what it has: it has all */
	enum kernel_loops kernel_loops;
	int inner_loops; /* C loops around the statement, within the callback */
	int err;
};

/* The body of a loop over a map is a function of its own that the kernel calls per element. */
struct callback {
	int id;
	size_t n_vars;
};

struct emit_opts {
	const struct script_engine_binding *engine; /* NULL: none */
	uint64_t wake_bytes; /* fill level of the ring that wakes the reader */
	bool check_helpers, offline;
	pid_t pid; /* tracepoints fire everywhere: others are filtered out; 0: none */
};

/* Emits all probes. Returns 0 or -errno after adding errors. */
int emit_script(struct sema *s, struct probe_plan *plans, size_t n, const struct emit_opts *o,
		struct script_code *code);
void script_code_free(struct script_code *code);

/* ---- for the built-ins ---- */

/* One line of text, indented. */
void em(struct emit *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Text in the arena. */
const char *emf(struct emit *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A new u64 (or s64) local with that value; returns its name. */
const char *em_tmp(struct emit *e, bool is_signed, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A call that reads at `addr` and returns a negative number on failure: with -k that is warned
 * about. */
void em_read(struct emit *e, const char *addr, const char *fmt, ...) PRINTF_LIKE(3, 4);
void em_open(struct emit *e, const char *fmt, ...) PRINTF_LIKE(2, 3); /* "if (x) {" */
void em_close(struct emit *e);

struct operand opd_value(const char *text);
struct operand opd_mem(const char *text);
struct operand opd_none(void);

/* A word that was set before the programs run, as a C expression. */
const char *em_global(struct emit *e, enum global_word word);
/* Sets it; the text of the value may be used only once. */
void em_set_global(struct emit *e, enum global_word word, const char *value);
/* Any expression. */
struct operand em_expr(struct emit *e, struct node *n);
/* An expression as a register value, as C text. */
const char *em_value(struct emit *e, struct node *n);
/* An expression as BPF memory of its own type. */
const char *em_memory(struct emit *e, struct node *n);
/* Where a pointer points or an array, string or struct lies. `own` (NULL is fine) tells that it is
 * memory of the program itself. */
const char *em_address(struct emit *e, struct node *n, bool *own);
/* Writes the value of n, converted to type `as`, to the zero-padded room at dst. */
void em_into(struct emit *e, struct node *n, const char *dst, const struct type *as);
/* Converts an operand of type `from`. */
void em_store(struct emit *e, struct operand v, const struct type *from, const char *dst,
	      const struct type *as);
/* Memory for a value: stack when small, else scratch; not cleared. */
const char *em_slot(struct emit *e, uint32_t size);
/* The same, never on the stack. */
const char *em_scratch(struct emit *e, uint32_t size);
void em_zero(struct emit *e, const char *dst, uint32_t size);
void em_copy(struct emit *e, const char *dst, const char *src, uint32_t size);
/* A register value of `type` from foreign memory, BPF memory, or the context. */
const char *em_load(struct emit *e, struct operand at, const struct type *type);
void em_string_literal(struct emit *e, const char *dst, uint32_t size, const char *s, size_t len);
uint32_t pad8(uint32_t size);

/* Texts of this size are better searched by em_byte_loop (emit_text.c). */
bool em_is_long_text(struct emit *e, uint32_t size);
/* The text at `at`, in the scratch area: there it can be read by the rounds of a loop. */
const char *em_scratch_text(struct emit *e, const char *at, uint32_t size);
/*
 * Runs `body` up to so many times. It has i and j, which start at 0, and sets w[0] and w[1] to what
 * they shall be in the next round, to z where that is 0 again; w[2] (-1 at first) to whatever it
 * likes, and r to 1 to end the loop. Returns what w[result] is then.
 */
const char *em_byte_loop(struct emit *e, uint64_t rounds, const char *body, int result);
const char *em_callback_address(struct emit *e, int id);

void em_stmt(struct emit *e, struct node *n);
void em_assign_var(struct emit *e, struct node *target, struct node *value);
void em_block(struct emit *e, struct node *list);
/* Leaves the program. */
void em_return(struct emit *e);
/* "(a) == (b)" for memory of two types; text of an int. */
const char *em_equal(struct emit *e, struct node *a, struct node *b);

/* "(a) == (b)" where one side is `probe` or `func`. */
const char *em_equal_name(struct emit *e, struct node *a, struct node *b);

/* Maps (emit_map.c). `access` is an N_MAP node. */
const char *em_map(struct emit *e, const struct symbol *m); /* EXTERN_MAP(n) */
const char *em_key(struct emit *e, struct node *access);    /* pointer to the key */
/* The key with a bucket number behind it (hist and its kin). */
const char *em_bucket_key(struct emit *e, struct node *access, const char *bucket);
struct operand em_map_read(struct emit *e, struct node *access);
/* for ($kv : @m) {} and len(@m) (emit_loop.c) */
void em_for_map(struct emit *e, struct node *n);
const char *em_map_len(struct emit *e, const struct symbol *m);
/* while, and ranges from `from` to `to` (NULL: while). */
void em_counted_loop(struct emit *e, struct node *n, const char *from, const char *to);
void em_break(struct emit *e);
void em_continue(struct emit *e);
/* Sum over CPUs of the element with the key at `key`. */
const char *em_agg_at(struct emit *e, const struct symbol *m, const char *key);
void em_map_assign(struct emit *e, struct node *access, struct node *value);
/* @x += delta; returns the value before it, or NULL when `want_old` is false. */
const char *em_map_add(struct emit *e, struct node *access, const char *delta, bool want_old);
void em_map_delete(struct emit *e, struct node *access, const char **found);
/*
 * An update of an aggregation: begin looks the element up and opens the block in which `p` (u64 *)
 * is merged with the new value; end closes it and makes the element from `words` where there was
 * none. `bucket` is NULL or the text of a bucket number.
 */
struct agg {
	const struct symbol *map;
	const char *p, *key;
};
struct agg em_agg_begin(struct emit *e, struct node *access, const char *bucket);
void em_agg_end(struct emit *e, struct agg *a, struct node *access, const char *const *words,
		size_t n);
/* Sum over CPUs of an aggregation, as its value. */
const char *em_agg_value(struct emit *e, struct node *access);
uint32_t map_key_size(const struct symbol *m);
uint32_t map_value_size(const struct symbol *m);
/* How the map is made in the kernel. */
struct kmap_spec;
void map_spec(const struct symbol *m, const struct settings *settings, struct kmap_spec *out);
/* Words of an aggregation's value. */
uint32_t map_agg_words(enum type_kind kind);
/* True when the key ends in a bucket number. */
bool map_has_buckets(enum type_kind kind);
/* Buckets of a hist, lhist or tseries. */
uint32_t map_buckets(const struct type *t);
/* has_key */
const char *em_map_has(struct emit *e, struct node *access);

/* Actions (emit_action.c). */
struct action *em_action(struct emit *e, const struct builtin *b, const struct node *n);
/* Adds an argument of that type to the record. */
void em_action_arg(struct emit *e, struct action *a, const struct type *type);
/* Sends the record with these argument nodes. */
void em_send(struct emit *e, struct action *a, struct node *const *args);
/* Sends a warning that the runtime prints with its place in the script. */
void em_warning(struct emit *e, const struct node *at, const char *text);
/* The id of the stack map for that limit. */
int em_stack_map(struct emit *e, bool kernel, bool build_id, uint32_t limit);

#endif
