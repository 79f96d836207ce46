/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/view.h"
#include "util/file.h"
#include "util/text.h"

const struct cmd cmd_table[] = {
	{
		.name = NULL,
		.id = COMMAND_REPL,
		.usage = "-c CONFIG",
		.help = "trace a target and switch levels from a prompt",
		.about = "Starts or finds the target that the configuration names, switches its "
			 "levels on and reads commands, from the terminal or from standard input. "
			 "With `output` set recording begins at once. `help` lists the commands.",
		.run = cmd_repl,
	},
	{
		.name = "record",
		.id = COMMAND_RECORD,
		.usage = "[-o RUN] [-p PID | -- CMD...]",
		.help = "trace a target into a run file until it ends",
		.about = "Without a pid or a command the one running process that maps a known "
			 "engine is traced. Exits with the status of the command. The first ^C is "
			 "the "
			 "command's, which the recording ends with; a second one, SIGTERM and "
			 "SIGHUP "
			 "end the recording and leave the command alone.",
		.run = cmd_record,
	},
	{
		.name = "doctor",
		.id = COMMAND_DOCTOR,
		.usage = "[-p PID | FILE... | -- CMD...]",
		.help = "what works here, which probe points a target has, what is missing",
		.about = "A command is run until it has loaded its engine and is ended then; what "
			 "it prints goes to standard error.",
		.max_args = -1,
		.complete = COMPLETE_FILE,
		.run = cmd_doctor,
	},
	{
		.name = "top",
		.id = COMMAND_TOP,
		.usage = "[-p PID]",
		.help = "watch a running target: tokens, operators, threads, cost",
		.about = "Full screen on a terminal, where the first letters of the levels switch "
			 "them and q leaves; a line per second otherwise. Operators are summed up "
			 "in the kernel.",
		.run = cmd_top,
	},
	{
		.name = "overhead",
		.id = COMMAND_OVERHEAD,
		.usage = "[-p PID | -- CMD...]",
		.help = "measure the slowdown of each level on a target that generates",
		.about = "Switches levels on and off in random order and compares the time per "
			 "token within each round. Takes a minute, or --duration.",
		.run = cmd_overhead,
	},
	{
		.name = "sweep",
		.id = COMMAND_SWEEP,
		.usage = "-P NAME=VALUE,... -o DIR -- CMD...",
		.help = "record a command with every combination of parameters and compare",
		.about = "{NAME} in the command stands for a value. Runs come in random order, and "
			 "all are kept in DIR. ^C ends the present run and the sweep; the same "
			 "command then goes on where it stopped.",
		.run = cmd_sweep,
	},
	{
		.name = "import",
		.id = COMMAND_IMPORT,
		.usage = "neuron PATH... -o RUN",
		.help = "make a run of what another profiler measured",
		.about = "neuron takes the JSON of `neuron-profile view --output-format "
			 "summary-json`, or folders of such files; where neuron-profile is "
			 "installed, also pairs of .neff and .ntff files.",
		.min_args = 2,
		.max_args = -1,
		.complete = COMPLETE_FILE,
		.run = cmd_import,
	},
	{
		.name = "script",
		.id = COMMAND_SCRIPT,
		.usage = "[-e PROGRAM | FILE] [ARG...]",
		.help = "run a program of the script language",
		.about = "Takes programs and flags of bpftrace. With -l the probes that match the "
			 "argument are listed, with -lv also what they hand to a script.",
		.max_args = -1,
		.complete = COMPLETE_FILE,
		.run = cmd_script,
		.misused = cmd_script_misused,
	},
	{
		.name = "list",
		.id = COMMAND_LIST,
		.usage = "[TOPIC]",
		.help = "list what llmprobe knows: engines, counters and more",
		.about = "Without a topic the topics are listed.",
		.max_args = 1,
		.complete = COMPLETE_TOPIC,
		.run = cmd_list,
	},
	{
		.name = "completion",
		.id = COMMAND_COMPLETION,
		.usage = "bash|zsh",
		.help = "print a completion script for a shell",
		.about = "For bash: source <(llmprobe completion bash). For zsh: put the output "
			 "into "
			 "a file named _llmprobe in a directory of $fpath.",
		.min_args = 1,
		.max_args = 1,
		.complete = COMPLETE_SHELL,
		.run = cmd_completion,
	},
	{
		.name = "help",
		.id = COMMAND_HELP,
		.usage = "[COMMAND]",
		.help = "explain llmprobe or one command",
		.max_args = 1,
		.complete = COMPLETE_COMMAND,
		.run = cmd_help,
	},
	{
		.name = "version",
		.id = COMMAND_VERSION,
		.usage = "",
		.help = "print the version",
		.run = cmd_version,
	},
	{0},
};

const struct cmd *cmd_by_name(const char *name)
{
	for (const struct cmd *c = cmd_table; c->run; c++)
		if (c->name && strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

const struct cmd *cmd_by_id(enum command_id id)
{
	for (const struct cmd *c = cmd_table; c->run; c++)
		if (c->id == id)
			return c;
	return NULL;
}

void cmd_flush(const struct cmd_context *ctx)
{
	const struct config *c = ctx->config;
	FILE *log = c && c->log ? fopen(c->log, "ae") : NULL;
	FILE *out = log ? log : stderr;

	fflush(stdout);
	if (c && c->log && !log)
		diag_add(ctx->diag, DIAG_WARNING, "cannot append to the log %s: %s", c->log,
			 strerror(errno));
	diag_print(ctx->diag, out, DIAG_STYLE_FIELD, c && config_use_colour(c, out));
	diag_clear(ctx->diag);
	if (log)
		fclose(log);
}

static int check_arg_count(const struct cmd_context *ctx)
{
	const struct string_list *args = &ctx->config->args;
	const char *name = ctx->cmd->name ? ctx->cmd->name : "llmprobe";

	if (args->count < (size_t)ctx->cmd->min_args)
		return diag_fail(ctx->diag, -EINVAL, "%s needs %s; see llmprobe help %s", name,
				 ctx->cmd->usage, name);
	if (ctx->cmd->max_args >= 0 && args->count > (size_t)ctx->cmd->max_args)
		return diag_fail(ctx->diag, -EINVAL, "unexpected argument '%s'%s",
				 args->items[ctx->cmd->max_args],
				 option_by_key("target.command")->commands & (1u << ctx->cmd->id)
					 ? "; a command to trace follows --"
					 : "");
	return 0;
}

static int run_command(const struct cmd_context *ctx, unsigned flags, int argc, char **argv)
{
	struct config *c = ctx->config;

	if (config_parse_args(c, ctx->cmd->id, flags, argc, argv, ctx->diag) < 0)
		return ctx->cmd->misused ? ctx->cmd->misused(ctx) : EXIT_USAGE;
	if (c->help) {
		cmd_print_help(ctx->cmd->name, stdout);
		return EXIT_OK;
	}
	if (c->version)
		return cmd_version(ctx);
	if (check_arg_count(ctx) < 0)
		return EXIT_USAGE;
	if (c->data_dir)
		data_dir_set(c->data_dir);
	return ctx->cmd->run(ctx);
}

static void unknown_command(const char *word, struct diag *d)
{
	const char *near = text_nearest(word, cmd_next_name, NULL);

	if (text_ends(word, ".yaml") || text_ends(word, ".yml"))
		diag_add(d, DIAG_ERROR, "'%s' is no command; a configuration is given with -c %s",
			 word, word);
	else if (near)
		diag_add(d, DIAG_ERROR, "'%s' is no command of llmprobe; did you mean '%s'?", word,
			 near);
	else
		diag_add(d, DIAG_ERROR, "'%s' is no command of llmprobe; llmprobe help lists them",
			 word);
}

/* A file to run as a script: named so, or with a #! line that says so. */
static bool is_script_file(const char *path)
{
	char line[256] = "";
	FILE *f;

	if (text_ends(path, ".bt"))
		return true;
	f = strchr(path, '/') ? fopen(path, "re") : NULL;
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	return text_starts(line, "#!") && (strstr(line, "llmprobe") || strstr(line, "bpftrace"));
}

/* True when the option's value is the next argument. */
static bool takes_next(const char *arg)
{
	const struct option *o;

	if (arg[1] == '-') {
		o = option_by_flag(arg + 2, strlen(arg + 2), COMMAND_SCRIPT);
		o = o ? o : option_by_flag(arg + 2, strlen(arg + 2), COMMAND_REPL);
	} else {
		o = option_by_letter(arg[1], COMMAND_SCRIPT);
		o = o ? o : option_by_letter(arg[1], COMMAND_REPL);
	}
	return o && !option_is_switch(o) && (arg[1] == '-' || !arg[2]);
}

/* Without a subcommand: -e or a script file among the arguments means script, else the REPL. */
static bool is_short_script(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (argv[i][0] != '-' || !argv[i][1])
			return is_script_file(argv[i]);
		if (strncmp(argv[i], "-e", 2) == 0)
			return true;
		i += takes_next(argv[i]);
	}
	return false;
}

static bool is_one_of(const char *arg, const char *a, const char *b)
{
	return strcmp(arg, a) == 0 || strcmp(arg, b) == 0;
}

static int dispatch(struct cmd_context *ctx, int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : "";

	if (argc < 2 || is_one_of(first, "-h", "--help")) {
		cmd_print_overview(argc < 2 ? stderr : stdout);
		return argc < 2 ? EXIT_USAGE : EXIT_OK;
	}
	if (is_one_of(first, "-V", "--version"))
		return cmd_version(ctx);
	if (view_find(first))
		return cmd_view(view_find(first), argc - 2, argv + 2, ctx->diag);
	if (is_short_script(argc - 1, argv + 1))
		ctx->cmd = cmd_by_id(COMMAND_SCRIPT);
	else
		ctx->cmd = first[0] == '-' ? cmd_by_id(COMMAND_REPL) : cmd_by_name(first);
	if (!ctx->cmd) {
		unknown_command(first, ctx->diag);
		return EXIT_USAGE;
	}
	if (ctx->cmd->name && strcmp(ctx->cmd->name, first) == 0)
		return run_command(ctx, 0, argc - 2, argv + 2);
	return run_command(ctx, CONFIG_ARGS_SHORT_SCRIPT, argc - 1, argv + 1);
}

int cmd_main(int argc, char **argv)
{
	struct cmd_context ctx = {.config = config_new(), .diag = diag_new()};
	int status = dispatch(&ctx, argc, argv);

	cmd_flush(&ctx);
	diag_free(ctx.diag);
	config_free(ctx.config);
	data_dir_set(NULL);
	return status;
}
