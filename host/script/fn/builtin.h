/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Built-in names and functions. One table per group, one file per group (fn_*.c): what a built-in
 * takes, how it is typed, how it is emitted and, when it does its work in user space, how it runs.
 * A new one is a row in its group's table; a new group is a table in builtin.c.
 */
#ifndef LLMPROBE_SCRIPT_BUILTIN_H
#define LLMPROBE_SCRIPT_BUILTIN_H

#include "script/emit/emit.h"
#include "script/check/sema.h"

struct runtime;
struct action;

enum builtin_flags {
	BUILTIN_NAME = 1,    /* usable without parentheses */
	BUILTIN_CALL = 2,    /* usable with */
	BUILTIN_VOID = 4,    /* has no value */
	BUILTIN_AGG = 8,     /* only as @map = f() */
	BUILTIN_UNSAFE = 16, /* needs --unsafe */
	BUILTIN_ENDS = 32    /* ends the script, always or at times */
};

struct builtin {
	const char *name;
	unsigned flags;
	int min_args, max_args; /* max -1: any */
	/* Types the arguments and returns the type of the value. */
	const struct type *(*check)(struct sema *s, struct node *n);
	/* Appends statements and returns the value. */
	struct operand (*emit)(struct emit *e, struct node *n);
	/* BUILTIN_AGG: updates the map of the access `map`. */
	void (*update)(struct emit *e, struct node *map, struct node *call);
	/* Writes a value that lies in memory straight to dst; absent: emit and copy. */
	void (*emit_into)(struct emit *e, struct node *n, const char *dst, uint32_t size);
	/* Does the asynchronous part; `data` is the record behind the action's number. */
	void (*run)(struct runtime *r, const struct action *a, const uint8_t *data, size_t len);
	const char *help;
};

/* By name; `call` tells which form was written. NULL when there is none. */
const struct builtin *builtin_find(const char *name, bool call);
/* i counts up over all of them; NULL after the last. */
const struct builtin *builtin_at(size_t i);
const char *builtin_nearest(const char *name, bool call);

extern const struct builtin builtins_proc[], builtins_args[], builtins_stack[], builtins_string[],
	builtins_map[], builtins_agg[], builtins_output[], builtins_net[], builtins_misc[],
	builtins_meta[], builtins_glob[];

#endif
