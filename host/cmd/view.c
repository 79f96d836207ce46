/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "cmd/recover.h"
#include "trace/store.h"
#include "util/text.h"

struct view_args {
	const struct view *view;
	struct view_opts opts;
	const char **runs; /* positional arguments, borrowed */
	size_t n_runs;
	char *recovered; /* name of a run that was made from its spool */
	bool help;
};

static const char *next_option(const void *state, size_t i)
{
	const struct view *v = state;

	for (const struct view_option *o = view_options; o->name; o++)
		if (view_takes(v, o) && i-- == 0)
			return o->name;
	return NULL;
}

static const struct view_option *by_name(const struct view *v, const char *name, size_t len)
{
	for (const struct view_option *o = view_options; o->name; o++)
		if (view_takes(v, o) && strlen(o->name) == len && strncmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

static const struct view_option *by_letter(const struct view *v, char letter)
{
	for (const struct view_option *o = view_options; o->name; o++)
		if (view_takes(v, o) && o->letter == letter)
			return o;
	return NULL;
}

static int unknown_option(const struct view *v, const char *arg, struct diag *d)
{
	const char *near = arg[1] == '-' ? text_nearest(arg + 2, next_option, v) : NULL;

	return diag_fail(d, -EINVAL, "%s has no option %s%s%s%s; see llmprobe %s --help", v->name,
			 arg, near ? "; did you mean --" : "", near ? near : "", near ? "?" : "",
			 v->name);
}

/* Parses argv[i], which starts with a dash; returns how many further arguments it took. */
static int parse_option(struct view_args *a, int argc, char *const *argv, int i, struct diag *d)
{
	const char *arg = argv[i], *value = NULL;
	const struct view_option *o;
	int err, taken = 0;

	if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
		a->help = true;
		return 0;
	}
	if (arg[1] == '-') {
		const char *eq = strchr(arg, '=');

		o = by_name(a->view, arg + 2, eq ? (size_t)(eq - arg - 2) : strlen(arg + 2));
		value = eq ? eq + 1 : NULL;
	} else {
		o = by_letter(a->view, arg[1]);
		value = arg[2] ? arg + 2 : NULL;
	}
	if (!o)
		return unknown_option(a->view, arg, d);
	if (o->type == VIEW_FLAG && value)
		return diag_fail(d, -EINVAL, "--%s takes no value", o->name);
	if (o->type != VIEW_FLAG && !value) {
		if (i + 1 >= argc)
			return diag_fail(d, -EINVAL, "--%s needs %s", o->name, o->arg);
		value = argv[i + 1];
		taken = 1;
	}
	err = view_option_set(&a->opts, o, value, d);
	return err ? err : taken;
}

static int parse(struct view_args *a, int argc, char *const *argv, struct diag *d)
{
	bool options = true;

	a->runs = xcalloc((size_t)argc + 1, sizeof(*a->runs));
	for (int i = 0; i < argc; i++) {
		int taken;

		if (!options || argv[i][0] != '-' || !argv[i][1]) {
			a->runs[a->n_runs++] = argv[i];
			continue;
		}
		if (strcmp(argv[i], "--") == 0) {
			options = false;
			continue;
		}
		taken = parse_option(a, argc, argv, i, d);
		if (taken < 0)
			return taken;
		i += taken;
	}
	return 0;
}

static int check_runs(const struct view_args *a, struct diag *d)
{
	const struct view *v = a->view;

	if (a->n_runs < (size_t)v->min_runs)
		return diag_fail(d, -EINVAL, "%s needs %s, recorded with llmprobe record -o RUN",
				 v->name, v->args);
	if (v->max_runs >= 0 && a->n_runs > (size_t)v->max_runs)
		return diag_fail(d, -EINVAL, "%s takes %s; '%s' is too many", v->name, v->args,
				 a->runs[v->max_runs]);
	return 0;
}

static void terminal_defaults(struct view_opts *o)
{
	bool tty = isatty(STDOUT_FILENO);
	struct winsize w;

	o->colour = o->colour || (tty && !getenv("NO_COLOR"));
	o->progress = cmd_progress();
	if (!o->width && tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0)
		o->width = w.ws_col;
}

static void close_runs(struct view_run *runs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sqlite3_close(runs[i].db);
	free(runs);
}

/* export completes what an interrupted recording left. True when that was all there is to do. */
static bool complete_run(struct view_args *a, int *code, struct diag *d)
{
	bool made;

	if (strcmp(a->view->name, "export") != 0 || !a->n_runs)
		return false;
	a->recovered = cmd_recover(a->runs[0], a->opts.force, &made, d);
	if (!a->recovered)
		*code = EXIT_FAILED;
	else
		a->runs[0] = a->recovered;
	if (a->recovered && made)
		*code = EXIT_OK;
	return !a->recovered || (made && !a->opts.output && !a->opts.table);
}

static int print_runs(const struct view_args *a, struct diag *d)
{
	struct view_run *runs = xcalloc(a->n_runs + 1, sizeof(*runs));
	size_t n = 0;
	int err = 0;

	for (; n < a->n_runs && !err; n++) {
		runs[n] = (struct view_run){.name = a->runs[n], .db = store_open(a->runs[n], d)};
		err = runs[n].db ? 0 : -EIO;
	}
	if (!err)
		err = a->view->print(runs, n, &a->opts, stdout, d);
	/* Half a table on a full disk is no success. */
	if (err >= 0 && (fflush(stdout) || ferror(stdout)))
		err = diag_fail(d, -EIO, "cannot write the output: %s", strerror(errno));
	close_runs(runs, n);
	/* The views say -EINVAL to what the command line asks of them. */
	return err == -EINVAL ? EXIT_USAGE : err < 0 ? EXIT_FAILED : err;
}

int cmd_view(const struct view *v, int argc, char *const *argv, struct diag *d)
{
	struct view_args a = {.view = v};
	int code = EXIT_USAGE;

	if (parse(&a, argc, argv, d) == 0) {
		terminal_defaults(&a.opts);
		if (a.help) {
			cmd_view_help(v, stdout);
			code = EXIT_OK;
		} else if (check_runs(&a, d) == 0 && !complete_run(&a, &code, d)) {
			code = print_runs(&a, d);
		}
	}
	free(a.recovered);
	free(a.runs);
	return code;
}

int cmd_view_run(const struct view *v, const struct view_run *run, bool so_far, int argc,
		 char *const *argv, FILE *out, struct diag *d)
{
	struct view_args a = {.view = v, .opts.so_far = so_far};
	int err = parse(&a, argc, argv, d);

	if (!err && a.n_runs)
		err = diag_fail(d, -EINVAL,
				"here %s shows what is recorded so far and takes no run", v->name);
	if (!err && a.help)
		cmd_view_help(v, out);
	else if (!err && out == stdout)
		terminal_defaults(&a.opts);
	if (!err && !a.help)
		err = v->print(run, 1, &a.opts, out, d);
	free(a.runs);
	return err;
}

void cmd_view_help(const struct view *v, FILE *out)
{
	cmd_print_help(v->name, out);
}
