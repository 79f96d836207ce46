/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option table. YAML loader, command line, REPL `set`, --help, the man page, completions and
 * the JSON schema are all made from it; nothing else knows what options there are.
 */
#ifndef LLMPROBE_CONFIG_OPTIONS_H
#define LLMPROBE_CONFIG_OPTIONS_H

#include "config/config.h"
#include "util/buf.h"

/* How a value is written and what its destination field is. */
enum option_type {
	OPTION_BOOL,	 /* bool */
	OPTION_INT,	 /* int64_t */
	OPTION_SIZE,	 /* uint64_t bytes */
	OPTION_DURATION, /* uint64_t ns */
	OPTION_PERCENT,	 /* double, "2%" or off (0) */
	OPTION_STRING,	 /* char * */
	OPTION_PATH,	 /* char * */
	OPTION_ENUM,	 /* int-sized enum, one of `choices` */
	OPTION_LIST,	 /* struct string_list; on the command line separated by commas */
	OPTION_COMMAND,	 /* struct string_list: argv of a program; a string is split at spaces */
	OPTION_LEVELS,	 /* bool[LEVEL_COUNT]: all of them at once, "all", "none" or names */
	OPTION_COUNTERS, /* bool, with names in pmc_names: true, false or a list */
	OPTION_BARRIER,	 /* int64_t: always (1), never (0), or N */
};

/* What completes a value. */
enum completion {
	COMPLETE_NONE,
	COMPLETE_CHOICES, /* the row's choices (bools: true, false) */
	COMPLETE_FILE,
	COMPLETE_DIR,
	COMPLETE_PID,
	COMPLETE_PROGRAM, /* command names on PATH */
	COMPLETE_LEVEL,
	COMPLETE_ENGINE,
	COMPLETE_NAME,	/* REPL: what enable and disable take */
	COMPLETE_POINT, /* REPL: probe points */
	COMPLETE_COUNTER,
	COMPLETE_KEY,	  /* keys of this table */
	COMPLETE_COMMAND, /* subcommands, or REPL commands inside the REPL */
	COMPLETE_TOPIC,	  /* of `list` */
	COMPLETE_SHELL,
	COMPLETE_RUN, /* *.llmp */
};

enum option_flags {
	OPTION_POWER_OF_2 = 1,
	OPTION_ALIAS = 2,  /* another spelling of the row before: not listed in help */
	OPTION_REPEAT = 4, /* a list whose flag takes one item each time, commas and all */
};

struct option {
	const char *key;  /* path in the YAML file; NULL: command line only */
	const char *flag; /* long flag without dashes; NULL: none */
	char letter;	  /* short flag; 0: none */
	enum option_type type;
	unsigned commands;	    /* bit 1 << enum command_id: where the flags are accepted */
	enum config_effect effect;  /* of the REPL's `set` */
	unsigned flags;		    /* enum option_flags */
	size_t offset;		    /* of the destination in struct config */
	double min, max;	    /* numbers only; both 0: any */
	const char *const *choices; /* OPTION_ENUM: NULL-terminated, in enum order */
	const char *def;	    /* default in the form a user would write it; NULL: unset */
	const char *arg;	    /* placeholder in help; NULL for a switch */
	enum completion complete;
	const char *help; /* one sentence or a few; wrapped where printed */
};

/* The table, ended by a row with neither key, flag nor letter. */
extern const struct option option_table[];

/* Rows by YAML path, long flag or letter (the last two within a subcommand); NULL when absent. */
const struct option *option_by_key(const char *key);
const struct option *option_by_flag(const char *flag, size_t len, enum command_id command);
const struct option *option_by_letter(char letter, enum command_id command);
/* The nearest key by spelling, or by its last word alone ("size" for "buffer.size"); NULL: none. */
const char *option_nearest_key(const char *key);
/* The nested key that ends in `word`; NULL: none. */
const char *option_key_by_last_word(const char *word);
size_t option_count(void);
static inline size_t option_index(const struct option *o)
{
	return (size_t)(o - option_table);
}

/* A switch takes no argument on the command line. */
static inline bool option_is_switch(const struct option *o)
{
	return o->type == OPTION_BOOL;
}

/*
 * Parses `text` into the destination. On failure nothing is changed, the reason ("is no size; write
 * it like 16MiB") is appended to `why`, and -EINVAL or -ERANGE is returned.
 */
int option_parse(const struct option *o, struct config *c, const char *text, struct buf *why);
/* Same from a list of texts (a YAML sequence). Types that are no lists refuse it. */
int option_parse_list(const struct option *o, struct config *c, const char *const *items, size_t n,
		      struct buf *why);
/* Adds to an OPTION_LIST instead of replacing it. */
int option_append(const struct option *o, struct config *c, const char *text, struct buf *why);
/* Values may be several: LIST, COMMAND, LEVELS, COUNTERS. */
bool option_is_list(const struct option *o);
/* How many choices an OPTION_ENUM has. */
size_t option_choice_count(const struct option *o);
/* Back to the default. */
void option_reset(const struct option *o, struct config *c);
/* The present value in the form option_parse takes. */
void option_print(const struct option *o, const struct config *c, struct buf *out);
/* "a size such as 16MiB": what the type expects, for messages and the man page. */
const char *option_expects(const struct option *o);
/* Frees what a destination owns. */
void option_release(const struct option *o, struct config *c);

void string_list_add(struct string_list *l, const char *s, size_t len);
void string_list_clear(struct string_list *l);

#endif
