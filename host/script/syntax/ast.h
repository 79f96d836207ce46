/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The syntax tree. One node struct serves all kinds, so that walking, copying (macros) and dumping
 * are written once; which fields a kind uses is said next to it. Everything lives in the arena.
 */
#ifndef LLMPROBE_SCRIPT_AST_H
#define LLMPROBE_SCRIPT_AST_H

#include "script/syntax/lexer.h"
#include "script/type/types.h"

enum node_kind {
	/* expressions */
	N_INT,	 /* value; flag: it came from a duration */
	N_STR,	 /* name, len */
	N_BOOL,	 /* value */
	N_IDENT, /* name: a built-in, enum constant, macro or #define */
	N_VAR,	 /* name; sym after the type pass */
	N_MAP,	 /* name with @; a: key or NULL; sym */
	N_PARAM, /* value: $1 is 1 */
	N_PARAM_COUNT,
	N_UNARY,	/* op, a */
	N_STEP,		/* op TOK_INC or TOK_DEC, a; flag: postfix */
	N_BINARY,	/* op, a, b */
	N_TERNARY,	/* a ? b : c; b is NULL for a ?: c */
	N_FIELD,	/* a.name; flag: written -> */
	N_TUPLE_FIELD,	/* a.value */
	N_INDEX,	/* a[b] */
	N_CALL,		/* name(list) */
	N_CAST,		/* a: N_TYPE, b: expression */
	N_SIZEOF,	/* a: N_TYPE or expression */
	N_OFFSETOF,	/* a: N_TYPE or expression, list: N_IDENT path */
	N_TUPLE,	/* list */
	N_RECORD,	/* list of N_RECORD_FIELD */
	N_RECORD_FIELD, /* name, a */
	N_COMPTIME,	/* a: must be a constant */
	N_BLOCK_EXPR,	/* list of statements, the last an expression: a */
	N_TYPE,		/* name, value: pointer depth, list: array dims as N_INT, a: typeof(...) */
	/* statements */
	N_EXPR,	     /* a */
	N_ASSIGN,    /* a op= b; op 0 for plain */
	N_LET,	     /* a: N_VAR, b: N_TYPE or NULL, c: value or NULL */
	N_DISCARD,   /* a */
	N_IF,	     /* a, b: N_BLOCK, c: N_BLOCK, N_IF or NULL */
	N_WHILE,     /* a, b */
	N_FOR_MAP,   /* a: N_VAR, b: N_MAP, c: body */
	N_FOR_RANGE, /* a: N_VAR, b: from, d: to, c: body */
	N_UNROLL,    /* a: count, b: body */
	N_BREAK,
	N_CONTINUE,
	N_RETURN, /* a or NULL */
	N_BLOCK,  /* list; flag: no semicolon follows the last */
	N_KIND_COUNT
};

struct symbol; /* a variable or map, see sema.h */
struct builtin;

struct node {
	enum node_kind kind;
	int op;
	bool flag;
	struct loc loc;
	struct loc name_loc;
	const struct source *src; /* which text loc is in */
	const char *name;
	uint32_t len;
	uint64_t value;
	struct node *a, *b, *c, *d;
	struct node *list; /* first child, chained by next */
	struct node *next;
	/* set by the passes */
	const struct type *type;
	struct symbol *sym;
	const struct builtin *builtin; /* N_IDENT and N_CALL */
	int id;			       /* asynchronous action, see emit */
};

struct attach_point {
	struct loc loc;
	const char *text; /* as written, quotes kept, positional parameters replaced */
	struct attach_point *next;
};

struct probe {
	const char *name; /* of a named probe, else NULL */
	struct loc loc;
	struct attach_point *points;
	struct node *pred; /* NULL: none */
	struct node *body; /* N_BLOCK */
	struct probe *next;
};

struct macro {
	const char *name;
	struct loc loc;
	struct node *params; /* N_VAR, N_MAP or N_IDENT */
	int n_params;
	struct node *body; /* N_BLOCK_EXPR; a is NULL when it yields no value */
	struct macro *next;
};

struct map_decl {
	const char *name, *kind;
	uint64_t max;
	struct loc loc;
	struct map_decl *next;
};

struct config_item {
	const char *key, *value;
	struct loc loc;
	struct config_item *next;
};

struct import_item {
	const char *path;
	struct loc loc;
	struct import_item *next;
};

/* A parsed script. */
struct program {
	struct arena *arena;
	const struct source *src;
	const char *preamble; /* C text: includes, defines, struct definitions; line breaks kept */
	struct config_item *config;
	struct import_item *imports;
	struct macro *macros;
	struct map_decl *map_decls;
	struct probe *probes;
};

struct script_args {
	const char *const *argv; /* positional parameters, argv[0] is $1 */
	int argc;
	const char *const *options; /* --NAME or --NAME=VALUE, for getopt() */
	int n_options;
};

/*
 * Parses `src` (borrowed, must outlive the program). Everything is put in `arena`. Returns NULL
 * after adding errors to `diag`.
 */
struct program *script_parse(const struct source *src, struct arena *arena,
			     const struct script_args *args, struct diag *diag);
/* Parses one expression, as for the value of a #define. NULL on error. */
struct node *script_parse_expr(const struct source *src, struct arena *arena, struct diag *diag);

/* A deep copy with every location set to `at` when that is not NULL. */
struct node *node_clone(struct arena *arena, const struct node *n, const struct node *at);
/* Calls fn on n and on everything below it, parents first. */
void node_walk(struct node *n, void (*fn)(void *ctx, struct node *n), void *ctx);
/* The tree as indented text; with types once they are known and `types` is set. */
void program_dump(const struct program *p, bool types, struct buf *out);
bool op_is_comparison(int op);
/* n takes over everything of `value` but its place in the text. */
void node_become(struct node *n, const struct node *value);
const char *op_text(int op);

#endif
