/* SPDX-License-Identifier: Apache-2.0 */
/* script: runs programs of the script language, with bpftrace's flags. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bpf/compile.h"
#include "bpf/feature.h"
#include "bpf/reaper.h"
#include "cmd/cmd.h"
#include "cmd/script_modes.h"
#include "script/engine/engine_bind.h"
#include "script/probe/list.h"
#include "script/probe/probe.h"
#include "script/script.h"
#include "target/process.h"
#include "util/file.h"
#include "util/text.h"
#include "util/words.h"

enum { DRAIN_MS = 10, REAP_MS = 20, MAX_SCRIPT = 16 << 20, MAX_PID = 1 << 22 };

struct run {
	const struct cmd_context *ctx;
	struct script *script;
	struct script_opts opts;
	enum config_script_mode mode;
	struct buf text, preamble;
	struct spawn *child;
	struct words words; /* of -c */
	int signal_fd, pid_fd;
	FILE *out;
	struct engine_bind *engine;
};

static void flush_messages(struct run *r)
{
	const struct config *c = r->ctx->config;

	fflush(stdout);
	diag_print(r->ctx->diag, stderr, DIAG_STYLE_BPFTRACE, config_use_colour(c, stderr));
	diag_clear(r->ctx->diag);
}

/* ---- the program's text ---- */

static int read_program(struct run *r, const char *path)
{
	int err;

	if (text_ends(path, ".c"))
		return diag_fail(r->ctx->diag, -EINVAL,
				 "%s is a plugin by its name: llmprobe record --plugin %s, or "
				 "`load %s` at the prompt",
				 path, path, path);
	if (strcmp(path, "-") == 0)
		path = "/dev/stdin";
	err = file_read(path, &r->text, MAX_SCRIPT);
	if (err)
		return diag_fail(r->ctx->diag, err, "failed to open file '%s': %s", path,
				 strerror(-err));
	return 0;
}

/* --include: from here, else from the folders of headers. */
static void add_include(struct run *r, const char *name)
{
	char *here = realpath(name, NULL);

	buf_printf(&r->preamble, "#include \"%s\"\n", here ? here : name);
	free(here);
}

static int take_program(struct run *r)
{
	const struct config *c = r->ctx->config;
	const struct string_list *args = &c->args;
	size_t first = 0;
	int err = 0;

	if (c->script.program) {
		r->opts.name = "stdin";
		buf_puts(&r->text, c->script.program);
	} else {
		first = 1;
		r->opts.name = strcmp(args->items[0], "-") == 0 ? "stdin" : args->items[0];
		err = read_program(r, args->items[0]);
	}
	r->opts.text = buf_str(&r->text);
	r->opts.len = r->text.len;
	r->opts.argv = args->count ? (const char *const *)args->items + first : NULL;
	r->opts.argc = (int)(args->count - first);
	for (size_t i = 0; i < c->script.includes.count; i++)
		add_include(r, c->script.includes.items[i]);
	r->opts.preamble = buf_str(&r->preamble);
	r->opts.include_dirs = (const char *const *)c->script.include_dirs.items;
	r->opts.n_include_dirs = c->script.include_dirs.count;
	return err;
}

/* ---- -c and -p ---- */

static int split_command(struct run *r, const char *command)
{
	if (words_split(command, &r->words, NULL) != 0)
		return diag_fail(r->ctx->diag, -EINVAL, "-c: a quote is left open: %s", command);
	if (!r->words.argc)
		return diag_fail(r->ctx->diag, -EINVAL, "-c needs a command");
	r->opts.command = r->words.argv[0];
	return 0;
}

static int make_child(struct run *r)
{
	struct diag *why = diag_new();

	r->child = process_spawn(r->words.argv, why);
	if (r->child)
		r->opts.cpid = spawn_pid(r->child);
	else
		diag_add(r->ctx->diag, DIAG_ERROR,
			 "Failed to fork child: path '%s' does not exist or is not executable (%s)",
			 r->words.argv[0], diag_first_error(why));
	diag_free(why);
	return r->child ? 0 : -EINVAL;
}

static int take_pid(struct run *r)
{
	const char *text = r->ctx->config->script.pid;
	int64_t pid = 0;

	if (!text)
		return 0;
	if (text_to_i64(text, &pid) == -EINVAL)
		return diag_fail(r->ctx->diag, -EINVAL, "Failed to parse pid: invalid integer: %s",
				 text);
	if (pid < 1 || pid > MAX_PID)
		return diag_fail(r->ctx->diag, -ERANGE,
				 "Failed to parse pid: Pid out of range: %s (1 to %d)", text,
				 MAX_PID);
	if (kill((pid_t)pid, 0) != 0 && errno == ESRCH)
		return diag_fail(r->ctx->diag, -ESRCH, "no process has the pid %s", text);
	r->opts.pid = (pid_t)pid;
	return 0;
}

/* ---- the loop ---- */

static int open_events(struct run *r)
{
	pid_t pid = r->opts.pid ? r->opts.pid : r->opts.cpid;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (pid)
		r->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	return r->signal_fd < 0 ? -errno : 0;
}

static bool stop_signal(struct run *r)
{
	struct signalfd_siginfo info;
	bool stop = false;

	while (read(r->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			script_signal(r->script);
		else
			stop = true;
	}
	if (stop) { /* the next one ends the program at once */
		sigset_t set;

		sigfillset(&set);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
	}
	return stop;
}

static void loop(struct run *r)
{
	struct engine_targets *targets = engine_bind_targets(r->engine);
	struct pollfd fds[] = {
		{.fd = r->signal_fd, .events = POLLIN},
		{.fd = script_fd(r->script), .events = POLLIN},
		{.fd = r->pid_fd, .events = POLLIN},
		{.fd = targets ? engine_targets_fd(targets) : -1, .events = POLLIN},
	};
	bool done = false;

	while (!done && !script_exited(r->script, NULL)) {
		poll(fds, ARRAY_LEN(fds), DRAIN_MS);
		if (targets && fds[3].revents) {
			engine_targets_ready(targets, r->ctx->diag);
			flush_messages(r);
		}
		script_drain(r->script);
		if (r->ctx->config->script.buffering != CONFIG_SCRIPT_FULL)
			fflush(r->out);
		done = (fds[0].revents && stop_signal(r)) || fds[2].revents ||
		       script_is_finite(r->script) || (targets && engine_targets_ended(targets));
	}
}

/* For whoever started us and waits, so never into the file of -o. */
static void notify(void)
{
	static const char *const names[] = {"LLMPROBE_NOTIFY_PROBES_ATTACHED",
					    "__BPFTRACE_NOTIFY_PROBES_ATTACHED",
					    "BPFTRACE__NOTIFY_PROBES_ATTACHED"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (getenv(names[i]))
			puts(names[i]);
	fflush(stdout);
}

static void print_end(struct run *r)
{
	uint64_t lost = script_lost(r->script);

	if (r->opts.format == SCRIPT_TEXT)
		fputs("\n\n", r->out);
	if (script_prints_maps_on_exit(r->script))
		script_print_maps(r->script);
	if (lost && r->opts.format == SCRIPT_JSON)
		fprintf(r->out,
			"{\"type\": \"lost_events\", \"count\": %llu, \"data\": {\"events\": "
			"%llu}}\n",
			(unsigned long long)lost, (unsigned long long)lost);
	else if (lost)
		fprintf(stderr,
			"Lost %llu events; a larger buffer: config = { perf_rb_pages = 4096 }\n",
			(unsigned long long)lost);
	fflush(r->out);
}

static void print_banner(struct run *r)
{
	size_t n = script_probes(r->script);

	if (r->ctx->config->script.quiet)
		return;
	if (r->opts.format == SCRIPT_JSON)
		fprintf(r->out,
			"{\"type\": \"attached_probes\", \"count\": %zu, \"data\": {\"probes\": "
			"%zu}}\n",
			n, n);
	else
		fprintf(stderr, "Attached %zu probe%s\n", n, n == 1 ? "" : "s");
}

/* Before begin probes run and timers start; finding an engine's points takes its time. */
static int start_targets(struct run *r)
{
	struct engine_targets *t = engine_bind_targets(r->engine);
	const struct config *c = r->ctx->config;
	struct diag *d = r->ctx->diag;

	if (!t || c->script.dry_run)
		return 0;
	if (r->child)
		return engine_targets_child(t, r->opts.cpid, d);
	if (r->opts.pid)
		return engine_targets_pid(t, r->opts.pid, d);
	return c->target.exe ? engine_targets_exe(t, c->target.exe, d) : engine_targets_any(t, d);
}

static int open_engine(struct run *r)
{
	struct engine_targets_opts o = {.reaper = r->opts.reaper};

	if (!script_uses_engine(r->script))
		return 0;
	return engine_bind_open(r->engine, &o, r->ctx->diag);
}

/* A command that never came to what was probed has told nothing. */
static int end_targets(struct run *r)
{
	struct engine_targets *t = engine_bind_targets(r->engine);
	uint64_t lost = t ? engine_targets_lost(t) : 0;

	if (lost)
		diag_add(r->ctx->diag, DIAG_WARNING,
			 "%llu operators found no room to be followed and are missing",
			 (unsigned long long)lost);
	return t && r->child ? engine_targets_check(t, r->ctx->diag) != 0 : 0;
}

static int run_attached(struct run *r)
{
	int code = 0, err;

	err = start_targets(r);
	err = err ? err : script_attach(r->script, r->ctx->diag);
	if (!err && engine_bind_targets(r->engine))
		err = engine_targets_go(engine_bind_targets(r->engine), r->ctx->diag);
	if (err)
		return 255;
	flush_messages(r);
	print_banner(r);
	script_drain(r->script);
	fflush(r->out);
	notify();
	if (r->ctx->config->script.dry_run)
		return 0;
	if (r->child) {
		spawn_release(r->child);
		if (spawn_started(r->child, r->ctx->diag) != 0)
			return 1;
	}
	loop(r);
	if (engine_bind_targets(r->engine))
		engine_targets_stop(engine_bind_targets(r->engine));
	script_stop(r->script);
	script_exited(r->script, &code);
	print_end(r);
	return code ? code : end_targets(r);
}

/* Those of the kernel need what the engine's probes share: open_engine comes before. */
static int print_stages(struct run *r, const char *stages)
{
	struct buf text = {0};
	int err = script_dump(r->script, stages, &text, r->ctx->diag);

	fwrite(buf_str(&text), 1, text.len, stdout);
	buf_free(&text);
	return err;
}

static int print_stages_asked(struct run *r)
{
	const struct string_list *stages = &r->ctx->config->script.debug;
	int err = 0;

	for (size_t i = 0; i < stages->count && !err; i++)
		err = print_stages(r, stages->items[i]);
	return err;
}

static int run_script(struct run *r)
{
	const struct config *c = r->ctx->config;
	int err;

	r->script = script_new(&r->opts, r->ctx->diag);
	if (!r->script)
		return 1;
	if (c->script.no_warnings)
		diag_clear(r->ctx->diag);
	if (c->script.dump) {
		err = r->opts.offline ? 0 : open_engine(r);
		return err || print_stages(r, c->script.dump) ? 1 : 0;
	}
	flush_messages(r);
	if (c->script.list) {
		script_print_probes(r->script, c->verbose, stdout);
		return 0;
	}
	err = open_engine(r);
	err = err ? err : print_stages_asked(r);
	err = err ? err : script_load(r->script, r->ctx->diag);
	if (err || open_events(r) != 0)
		return 1;
	return r->opts.trial ? script_mode_trials(r->ctx, r->script, &r->opts) : run_attached(r);
}

static int open_output(struct run *r)
{
	static const int modes[] = {_IOLBF, _IOFBF, _IONBF};
	const struct config *c = r->ctx->config;

	r->out = c->output ? fopen(c->output, "we") : stdout;
	if (!r->out)
		return diag_fail(r->ctx->diag, -errno, "Failed to open output file: \"%s\": %s",
				 c->output, strerror(errno));
	setvbuf(r->out, NULL, modes[c->script.buffering], 1 << 16);
	r->opts.out = r->out;
	r->opts.err = stderr;
	return 0;
}

/* Of these only multi links are ever used here. */
static int leave_out(struct run *r, const char *features)
{
	static const char *const known[] = {"uprobe_multi", "kprobe_multi", "kprobe_session"};

	while (features && *features) {
		size_t n = strcspn(features, ","), i = 0;

		while (i < ARRAY_LEN(known) &&
		       (strlen(known[i]) != n || strncmp(known[i], features, n) != 0))
			i++;
		if (i == ARRAY_LEN(known))
			return diag_fail(r->ctx->diag, -EINVAL,
					 "--no-feature: '%.*s' is not a feature; use uprobe_multi, "
					 "kprobe_multi or kprobe_session",
					 (int)n, features);
		r->opts.no_uprobe_multi |= i == 0;
		features += n + (features[n] == ',');
	}
	return 0;
}

/* What does not run the program. */
static int work_on_text(struct run *r)
{
	switch (r->mode) {
	case CONFIG_SCRIPT_FORMAT:
		return script_mode_format(r->ctx, &r->opts);
	case CONFIG_SCRIPT_CODEGEN:
		return script_mode_codegen(r->ctx, &r->opts);
	default:
		return script_mode_compiler_bench(r->ctx, &r->opts);
	}
}

static bool is_about_text(enum config_script_mode mode)
{
	return mode == CONFIG_SCRIPT_FORMAT || mode == CONFIG_SCRIPT_CODEGEN ||
	       mode == CONFIG_SCRIPT_COMPILER_BENCH;
}

static int prepare(struct run *r)
{
	const struct config *c = r->ctx->config;
	int err = script_mode(c, &r->mode, r->ctx->diag);

	if (err)
		return err;
	r->opts.trial = r->mode == CONFIG_SCRIPT_TEST	 ? PROBE_TEST
			: r->mode == CONFIG_SCRIPT_BENCH ? PROBE_BENCH
							 : PROBE_BEGIN;
	r->opts.debug_info = c->script.debug_info;
	r->opts.unsafe = c->script.unsafe;
	r->opts.no_warnings = c->script.no_warnings;
	r->opts.format = c->script.format == CONFIG_SCRIPT_JSON ? SCRIPT_JSON : SCRIPT_TEXT;
	r->opts.offline = (c->script.dump || is_about_text(r->mode)) && geteuid() != 0;
	r->opts.check_helpers = c->script.keep_going;
	r->opts.filter = c->script.probe_filter;
	if (c->script.command && c->script.pid)
		return diag_fail(r->ctx->diag, -EINVAL, "Cannot use both -c and -p.");
	err = take_pid(r);
	err = err ? err : leave_out(r, c->script.no_feature);
	err = err ? err : take_program(r);
	if (err || is_about_text(r->mode))
		return err;
	err = open_output(r);
	if (!err && c->script.command)
		err = split_command(r, c->script.command);
	if (!err && c->script.command && !c->script.dump && !c->script.list)
		err = make_child(r);
	return err;
}

static void finish(struct run *r)
{
	script_free(r->script);
	engine_bind_free(r->engine);
	if (r->opts.reaper)
		reaper_flush(r->opts.reaper, REAP_MS);
	reaper_free(r->opts.reaper);
	spawn_free(r->child);
	words_free(&r->words);
	buf_free(&r->text);
	buf_free(&r->preamble);
	if (r->out && r->out != stdout)
		fclose(r->out);
	if (r->signal_fd >= 0)
		close(r->signal_fd);
	if (r->pid_fd >= 0)
		close(r->pid_fd);
}

/* ---- what needs no program ---- */

static void print_feature(struct features *f, enum feature what)
{
	const struct feature_result *r = feature_get(f, what);

	printf("  %s: %s%s%s\n", feature_name(what), r->ok ? "yes" : "no", r->ok ? "" : ", ",
	       r->ok ? "" : r->reason);
}

static int print_info(void)
{
	struct features *f = features_new();
	struct utsname u;
	char version[32];

	uname(&u);
	printf("System\n  OS: %s %s %s\n  Arch: %s\n\n", u.sysname, u.release, u.version,
	       u.machine);
	printf("Build\n  version: llmprobe %s\n  libbcc: %s\n\n", LLMPROBE_VERSION,
	       bpf_compiler_version(version));
	printf("Kernel features\n");
	for (int i = 0; i < FEATURE_COUNT; i++)
		print_feature(f, (enum feature)i);
	printf("\nProbe types\n");
	for (const struct provider *p = providers; p->name; p++)
		printf("  %s: %s\n", p->name, provider_works(p, f) ? "yes" : "no");
	features_free(f);
	return EXIT_OK;
}

/* -l FILE lists what a script would attach to, anything else is a pattern. */
static bool lists_program(const struct config *c)
{
	struct stat st;

	return c->script.program ||
	       (c->args.count && stat(c->args.items[0], &st) == 0 && S_ISREG(st.st_mode));
}

static int list_pattern(struct run *r)
{
	const struct config *c = r->ctx->config;
	int err = take_pid(r);

	err = err ? err
		  : script_list(c->args.count ? c->args.items[0] : NULL, r->opts.pid, c->verbose,
				stdout, r->ctx->diag);
	return err ? EXIT_FAILED : EXIT_OK;
}

int cmd_script_misused(const struct cmd_context *ctx)
{
	struct run r = {.ctx = ctx};

	flush_messages(&r);
	fputs("USAGE:\n"
	      "    llmprobe script [OPTION...] FILE [ARG...]\n"
	      "    llmprobe script [OPTION...] -e 'PROGRAM' [ARG...]\n"
	      "    llmprobe script -h explains the options\n",
	      stderr);
	return EXIT_FAILED;
}

/* bpftrace's own variable for what --color says here. */
static void take_colour(struct config *c)
{
	const char *when = getenv("BPFTRACE_COLOR");

	if (!when || c->colour != CONFIG_COLOUR_AUTO)
		return;
	if (strcmp(when, "always") == 0)
		c->colour = CONFIG_COLOUR_ALWAYS;
	else if (strcmp(when, "never") == 0)
		c->colour = CONFIG_COLOUR_NEVER;
}

int cmd_script(const struct cmd_context *ctx)
{
	const struct config *c = ctx->config;
	struct run r = {.ctx = ctx, .signal_fd = -1, .pid_fd = -1};
	int status;

	take_colour(ctx->config);
	if (!c->script.info && !c->script.list && !c->script.program && !c->args.count) {
		diag_add(ctx->diag, DIAG_ERROR, "no program: give -e 'PROGRAM' or a file");
		return cmd_script_misused(ctx);
	}
	if (c->script.info) {
		status = print_info();
	} else if (c->script.list && !lists_program(c)) {
		status = list_pattern(&r);
	} else {
		r.opts.reaper = reaper_new();
		r.engine = engine_bind_new();
		r.opts.engine = engine_bind_binding(r.engine);
		status = prepare(&r)		 ? EXIT_FAILED
			 : is_about_text(r.mode) ? work_on_text(&r)
						 : run_script(&r);
	}
	flush_messages(&r);
	finish(&r);
	return status;
}
