/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The passes between parser and emitter: macros are expanded, names resolved, types inferred and
 * checked. Types of variables and maps grow until nothing changes any more; only the last round
 * reports errors.
 */
#ifndef LLMPROBE_SCRIPT_SEMA_H
#define LLMPROBE_SCRIPT_SEMA_H

#include "script/syntax/ast.h"
#include "script/probe/probe.h"
#include "script/settings.h"

/* A variable or a map. */
struct symbol {
	const char *name; /* without $, with @ */
	bool is_map;
	const struct type *type; /* of the value; TY_NONE until known */
	const struct type *key;	 /* maps: NULL scalar, TY_NONE not known yet */
	bool key_known;
	bool weak;     /* the type comes from literals and arithmetic only */
	bool fixed;    /* declared with a type */
	bool declared; /* by let */
	bool assigned;
	int id; /* running number among its kind */
	struct loc loc;
	const struct map_decl *decl;
	const struct probe *probe; /* variables: where they live */
	int scope;		   /* variables: number of the block */
	uint32_t slot;		   /* variables in memory: offset in the scratch area */
	int pass;		   /* variables: the pass that last came to their declaration */
	bool iterated;		   /* maps: a for loop goes over it */
	struct symbol *next;
};

struct scope {
	int id;
	struct scope *up;
};

struct sema {
	struct program *prog;
	struct arena *arena;
	struct type_table *types;
	struct diag *diag;
	const struct settings *settings;
	const struct script_args *args;
	bool unsafe;
	bool offline; /* nothing of this machine is looked at */
	/* state */
	struct symbol *maps, *vars;
	int n_maps, n_vars, n_scopes;
	const struct probe *probe;
	const struct attach *attach;
	const struct probe_match *match; /* NULL: the attach point's first */
	struct scope *scope;
	int loop_depth;
	bool changed, final;
	bool probe_is_text; /* `probe` is used where its number will not do */
	bool again;	    /* typed before: warnings were given */
	int errors;
	const char *last_error; /* NULL: none */
	struct loc last_error_at;
	int depth, pass;
	int macro_depth, macro_uses;
};

/* Attach points of a probe, parsed and expanded; in the order of the source. */
struct probe_plan {
	struct probe *probe;
	struct attach *attaches;
};

/*
 * Runs all passes over the program. `plans` has one entry per probe of the program. Returns 0 or
 * -EINVAL after adding errors.
 */
int sema_run(struct sema *s, struct probe_plan *plans, size_t n);
/* Types one probe again for one match (its own argument struct), before it is emitted. */
int sema_retype(struct sema *s, const struct probe *p, const struct attach *a,
		const struct probe_match *m);
/* macro.c: replaces macro calls everywhere. Returns 0 or -EINVAL. */
int macro_expand(struct sema *s);
/* A variable's name as the macro that it is from wrote it. */
const char *macro_own_name(const char *name);

/* `probe` is a number that the host knows the name of, which is all that printing, counting and
 * comparing with literals need. True when a and b are it and a text: from the next pass on it is a
 * text, and each match has a program of its own. */
bool sema_needs_probe_text(struct sema *s, const struct type *a, const struct type *b);
/* Types an argument that is to be text. */
const struct type *sema_text(struct sema *s, struct node *n);

/* For the built-ins' check functions. All errors go through these; they return &type_none. */
const struct type *sema_error(struct sema *s, const struct node *n, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
void sema_hint(struct sema *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A feature that settings may forbid: true when they do, after adding the error. */
bool sema_forbidden(struct sema *s, const struct node *n, uint64_t policy, const char *feature,
		    const char *key);
void sema_warn(struct sema *s, const struct node *n, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The type of a value; of what may have none (calls, blocks) sema_any gives it. */
const struct type *sema_expr(struct sema *s, struct node *n);
const struct type *sema_any(struct sema *s, struct node *n);
/* sema_operator.c */
const struct type *sema_unary(struct sema *s, struct node *n);
const struct type *sema_step(struct sema *s, struct node *n);
const struct type *sema_binary(struct sema *s, struct node *n);
const struct type *sema_ternary(struct sema *s, struct node *n);
/* The type as an operand: an aggregation is an integer there; stats() is none. */
const struct type *sema_value(struct sema *s, const struct type *t);
/* What messages call the type; two names live at a time. */
const char *sema_name(const struct type *t);
/* After its type is known: a call, block or choice that has no value. */
bool sema_is_void(const struct node *n);
void sema_stmt(struct sema *s, struct node *n);
void sema_block(struct sema *s, struct node *list);
/* The statements of the block that is open. */
void sema_statements(struct sema *s, struct node *list);
/* i-th argument of a call, NULL beyond the last. */
struct node *call_arg(const struct node *call, int i);
int call_args(const struct node *call);
/* A constant argument; adds "NAME: ... must be a literal" otherwise. */
bool sema_literal(struct sema *s, struct node *n, const char *what, int64_t *out);
/* A map without key as argument, also as plain name. */
struct symbol *sema_map_arg(struct sema *s, struct node *n);
/* The map's symbol, made at first sight. */
struct symbol *sema_map(struct sema *s, const char *name, struct loc loc);
struct symbol *sema_declare_var(struct sema *s, const char *name, struct loc loc);
/* The innermost block's own variable of that name, made when an earlier pass has not. */
struct symbol *sema_block_var(struct sema *s, const char *name, struct loc loc);
/* Fits the key of a map access to the map's key type. */
void sema_key(struct sema *s, struct symbol *map, struct node *access);
/* The variable of that name that an open block has declared or assigned in this pass. */
struct symbol *sema_open_var(struct sema *s, const char *name);
/* Joins `type` into the symbol's; false when they do not fit. */
bool sema_assign_type(struct sema *s, struct symbol *sym, const struct type *type, bool weak);
/* The smallest type that holds both; NULL when there is none. */
const struct type *sema_join(struct sema *s, const struct type *a, const struct type *b);
const struct type *sema_resolve_type(struct sema *s, struct node *n);
/* sema_fold.c: literals become their result; 1 or true when that happened, -1 when it does not fit
 * 64 bits. */
bool sema_fold_unary(struct node *n);
int sema_fold_binary(struct sema *s, struct node *n);
/* sema_define.c: a name or a call becomes the text behind its #define. */
const struct type *sema_define(struct sema *s, struct node *n, const char *text);
const struct type *sema_define_call(struct sema *s, struct node *n, const char *text);
/* The text of a function-like macro, or NULL. */
const char *sema_macro_text(struct sema *s, const char *name);
/* A struct whose fields are known: forward references are looked up by name. */
const struct type *sema_complete(struct sema *s, const struct type *st);

#endif
