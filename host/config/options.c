/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How to add an option: a field in struct config, a row here. Then `ninja man` rewrites the
 * generated sections of man/llmprobe.1; loader, flags, help, completion and schema follow by
 * themselves.
 */
#include "config/options.h"

#include <stddef.h>

#define BIT(id)	 (1u << (id))
#define FIELD(f) offsetof(struct config, f)
/* A switch of script that is off unless it is given. */
#define SCRIPT_SWITCH(long_flag, short_flag, field, text)                                          \
	{                                                                                          \
		.flag = long_flag, .letter = short_flag, .type = OPTION_BOOL, .commands = SCRIPT,  \
		.offset = FIELD(script.field), .def = "false", .help = text                        \
	}

enum {
	/* Commands that run probes on a target. */
	TRACE = BIT(COMMAND_REPL) | BIT(COMMAND_RECORD) | BIT(COMMAND_OVERHEAD) | BIT(COMMAND_TOP),
	/* Commands that look at one. */
	TARGET = TRACE | BIT(COMMAND_DOCTOR),
	/* Commands that store a run. */
	STORE = BIT(COMMAND_REPL) | BIT(COMMAND_RECORD),
	SCRIPT = BIT(COMMAND_SCRIPT),
	EVERY = BIT(COMMAND_COUNT) - 1,
};

static const char *const buffer_types[] = {"ring", "perf", NULL};
static const char *const op_modes[] = {"events", "summary", NULL};
static const char *const colour_modes[] = {"auto", "always", "never", NULL};
static const char *const script_formats[] = {"text", "json", NULL};
static const char *const script_modes[] = {"run",    "codegen", "compiler-bench", "bench", "test",
					   "format", NULL};
static const char *const script_bufferings[] = {"line", "full", "none", NULL};

const struct option option_table[] = {
	{
		.flag = "cmd",
		.letter = 'c',
		.type = OPTION_STRING,
		.commands = SCRIPT,
		.offset = FIELD(script.command),
		.arg = "CMD",
		.complete = COMPLETE_PROGRAM,
		.help = "Start CMD once the probes are attached and end when it ends. Without the "
			"word script, a name in .yaml or .yml is the configuration instead.",
	},
	{
		.flag = "config",
		.letter = 'c',
		.type = OPTION_PATH,
		.commands = EVERY,
		.effect = CONFIG_FIXED,
		.offset = FIELD(config_file),
		.arg = "FILE",
		.complete = COMPLETE_FILE,
		.help = "Read the configuration from FILE. No other file is ever looked for. "
			"Values from the command line win over those of the file.",
	},
	{
		.key = "target.pid",
		.flag = "pid",
		.letter = 'p',
		.type = OPTION_INT,
		.commands = TARGET,
		.effect = CONFIG_FIXED,
		.offset = FIELD(target.pid),
		.min = 1,
		.max = 4194304,
		.arg = "PID",
		.complete = COMPLETE_PID,
		.help = "Trace the process PID, its threads and its children.",
	},
	{
		.flag = "pid",
		.letter = 'p',
		.type = OPTION_STRING,
		.commands = SCRIPT,
		.offset = FIELD(script.pid),
		.arg = "PID",
		.complete = COMPLETE_PID,
		.help = "Trace the process PID and its threads only, and end with it.",
	},
	{
		.key = "target.exe",
		.flag = "exe",
		.type = OPTION_PATH,
		.commands = TARGET | SCRIPT,
		.effect = CONFIG_FIXED,
		.offset = FIELD(target.exe),
		.arg = "PATH",
		.complete = COMPLETE_FILE,
		.help = "Trace every process that maps the executable or library PATH, those "
			"started later as well.",
	},
	{
		.key = "target.command",
		.type = OPTION_COMMAND,
		.commands = (TARGET & ~BIT(COMMAND_TOP)) | BIT(COMMAND_SWEEP),
		.effect = CONFIG_FIXED,
		.offset = FIELD(target.command),
		.arg = "CMD...",
		.complete = COMPLETE_PROGRAM,
		.help = "Start this command stopped, attach the probes, then let it run. On the "
			"command line it follows --, in the file it is a list of arguments or a "
			"string that is split at spaces.",
	},
	{
		.key = "target.engine",
		.flag = "engine",
		.type = OPTION_STRING,
		.commands = TARGET,
		.effect = CONFIG_FIXED,
		.offset = FIELD(target.engine),
		.def = "auto",
		.arg = "NAME",
		.complete = COMPLETE_ENGINE,
		.help = "Take the probe points from this engine file (llmprobe list engines). auto "
			"tries all of them.",
	},
	{
		.key = "levels",
		.flag = "levels",
		.letter = 'l',
		.type = OPTION_LEVELS,
		.commands = TRACE | BIT(COMMAND_DOCTOR) | BIT(COMMAND_SWEEP),
		.effect = CONFIG_AT_ONCE,
		.offset = FIELD(level),
		.arg = "LEVEL,...",
		.complete = COMPLETE_LEVEL,
		.help = "Switch on exactly these levels: token, graph, operator, scheduler, "
			"counters, or all or none. When no level is named anywhere, record takes "
			"token, graph, operator and scheduler, everything else token and graph.",
	},
	{
		.key = "levels.token",
		.type = OPTION_BOOL,
		.effect = CONFIG_AT_ONCE,
		.offset = FIELD(level[LEVEL_TOKEN]),
		.def = "true",
		.complete = COMPLETE_CHOICES,
		.help = "One row per decode or encode call: phase, number of tokens, times.",
	},
	{
		.key = "levels.graph",
		.type = OPTION_BOOL,
		.effect = CONFIG_AT_ONCE,
		.offset = FIELD(level[LEVEL_GRAPH]),
		.def = "true",
		.complete = COMPLETE_CHOICES,
		.help = "One row per graph that a backend computes.",
	},
	{
		.key = "levels.operator",
		.type = OPTION_BOOL,
		.effect = CONFIG_AT_ONCE,
		.offset = FIELD(level[LEVEL_OPERATOR]),
		.def = "false",
		.complete = COMPLETE_CHOICES,
		.help = "One row per operator and worker thread: compute time and barrier wait.",
	},
	{
		.key = "levels.scheduler",
		.type = OPTION_BOOL,
		.effect = CONFIG_AT_ONCE,
		.offset = FIELD(level[LEVEL_SCHEDULER]),
		.def = "false",
		.complete = COMPLETE_CHOICES,
		.help = "When the target's threads ran, waited for a CPU (and who had it) or "
			"slept.",
	},
	{
		.key = "levels.counters",
		.type = OPTION_BOOL,
		.effect = CONFIG_AT_ONCE,
		.offset = FIELD(level[LEVEL_COUNTERS]),
		.def = "false",
		.complete = COMPLETE_CHOICES,
		.help = "Counter values per operator row. Follows trace_pmc unless it is set "
			"itself.",
	},
	{
		.key = "operators.include",
		.flag = "include-op",
		.type = OPTION_LIST,
		.commands = TRACE,
		.effect = CONFIG_FIXED,
		.offset = FIELD(operators.include),
		.def = "*",
		.arg = "GLOB,...",
		.help = "Trace only operators that one of these patterns (* and ?) matches. A "
			"pattern of capitals, digits and _ names operators (MUL_MAT*), any other "
			"tensors (blk.0.*, Qcur-*). Few operators with functions of their own are "
			"probed there: others then cost nothing, but barrier wait is only taken "
			"when operators.barrier is set. Else all are hit and the program drops "
			"what is not wanted, by marks that it makes when it first sees a graph.",
	},
	{
		.key = "operators.exclude",
		.flag = "exclude-op",
		.type = OPTION_LIST,
		.commands = TRACE,
		.effect = CONFIG_FIXED,
		.offset = FIELD(operators.exclude),
		.arg = "GLOB,...",
		.help = "Leave out operators that one of these patterns matches, written as for "
			"operators.include.",
	},
	{
		.key = "operators.mode",
		.flag = "operator-mode",
		.type = OPTION_ENUM,
		.commands = TRACE,
		.effect = CONFIG_AT_ONCE,
		.offset = FIELD(operators.mode),
		.choices = op_modes,
		.def = "events",
		.arg = "MODE",
		.complete = COMPLETE_CHOICES,
		.help = "events stores every operator that ran. summary adds up count, sum, "
			"minimum, "
			"maximum and a histogram per tensor in the kernel and sends no events.",
	},
	{
		.key = "operators.barrier",
		.flag = "barrier",
		.type = OPTION_BARRIER,
		.commands = TRACE,
		.effect = CONFIG_AT_ONCE,
		.offset = FIELD(operators.barrier_every),
		.min = 0,
		.max = 1000000,
		.def = "always",
		.arg = "always|never|N",
		.complete = COMPLETE_CHOICES,
		.help = "Tell compute time from barrier wait on every decode, on none (fewer probe "
			"hits: an operator then lasts until the next one begins) or, by a number "
			"N, "
			"during one of N stretches of decodes. A stretch is at least 4 decodes "
			"and 0.1 s; operators outside have no wait, and the report says so. Builds "
			"of ggml since 2026-01 show the wait where their loop over nodes could be "
			"read (doctor: op_node), at one hit per operator, which is what a begin "
			"alone costs: there this setting changes nothing.",
	},
	{
		.key = "trace_tensor_dimensions",
		.flag = "dimensions",
		.type = OPTION_BOOL,
		.commands = TRACE,
		.effect = CONFIG_FIXED,
		.offset = FIELD(tensor_dimensions),
		.def = "true",
		.complete = COMPLETE_CHOICES,
		.help = "Record the dimensions of tensors. Without them ne0 to ne3, flops and "
			"bytes "
			"are NULL in the run, and there are no FLOPs, bytes and bandwidths in the "
			"views.",
	},
	{
		.key = "trace_timestamps",
		.flag = "timestamps",
		.type = OPTION_BOOL,
		.commands = TRACE,
		.effect = CONFIG_FIXED,
		.offset = FIELD(timestamps),
		.def = "true",
		.complete = COMPLETE_CHOICES,
		.help = "Record when each operator ran. false records how long only: operators are "
			"added up in the kernel (operators.mode: summary) and there are no "
			"scheduler "
			"intervals; token and graph rows keep their times.",
	},
	{
		.key = "trace_pmc",
		.flag = "pmc",
		.type = OPTION_COUNTERS,
		.commands = TRACE,
		.effect = CONFIG_AT_ONCE,
		.offset = FIELD(pmc),
		.def = "false",
		.arg = "true|false|NAME,...",
		.complete = COMPLETE_COUNTER,
		.help = "Read performance counters around each operator: a list of names (llmprobe "
			"list counters), or true for what the machine has: as many of cycles, "
			"instructions, cache-misses, cache-references and branch-misses as can be "
			"counted at once, else task-clock, page-faults, context-switches and "
			"run-delay. Switches the counters level on. Cannot change during a "
			"recording.",
	},
	{
		.key = "buffer.type",
		.flag = "buffer-type",
		.type = OPTION_ENUM,
		.commands = TRACE,
		.effect = CONFIG_FIXED,
		.offset = FIELD(buffer.type),
		.choices = buffer_types,
		.def = "ring",
		.arg = "TYPE",
		.complete = COMPLETE_CHOICES,
		.help = "How records leave the kernel: ring, one BPF ring buffer for all CPUs, or "
			"perf, one perf buffer per CPU. Both drop records that find the buffer "
			"full, "
			"and both count them.",
	},
	{
		.key = "buffer",
		.type = OPTION_ENUM,
		.effect = CONFIG_FIXED,
		.flags = OPTION_ALIAS,
		.offset = FIELD(buffer.type),
		.choices = buffer_types,
		.help = "Short for buffer.type.",
	},
	{
		.key = "buffer_type",
		.type = OPTION_ENUM,
		.effect = CONFIG_FIXED,
		.flags = OPTION_ALIAS,
		.offset = FIELD(buffer.type),
		.choices = buffer_types,
		.help = "Flat spelling of buffer.type.",
	},
	{
		.key = "buffer.size",
		.flag = "buffer-size",
		.type = OPTION_SIZE,
		.commands = TRACE,
		.effect = CONFIG_FIXED,
		.flags = OPTION_POWER_OF_2,
		.offset = FIELD(buffer.size),
		.min = 4096,
		.max = 1 << 30,
		.def = "4MiB",
		.arg = "SIZE",
		.help = "Memory for records on their way out of the kernel, a power of two; perf "
			"divides it among the CPUs.",
	},
	{
		.key = "buffer_size",
		.type = OPTION_SIZE,
		.effect = CONFIG_FIXED,
		.flags = OPTION_ALIAS | OPTION_POWER_OF_2,
		.offset = FIELD(buffer.size),
		.min = 4096,
		.max = 1 << 30,
		.help = "Flat spelling of buffer.size.",
	},
	{
		.key = "overhead.cap",
		.flag = "overhead-cap",
		.type = OPTION_PERCENT,
		.commands = TRACE & ~BIT(COMMAND_OVERHEAD),
		.effect = CONFIG_AT_ONCE,
		.offset = FIELD(overhead_cap),
		.min = 0.01,
		.max = 100,
		.def = "off",
		.arg = "PERCENT|off",
		.help = "The governor switches the dearest level off when the measured cost passes "
			"this share of the target's time. Token level stays on to the end.",
	},
	{
		.key = "drain_interval",
		.flag = "drain-interval",
		.type = OPTION_DURATION,
		.commands = TRACE,
		.effect = CONFIG_FIXED,
		.offset = FIELD(drain_interval_ns),
		.min = 1e6,
		.max = 10e9,
		.def = "100ms",
		.arg = "TIME",
		.help = "Time between two drains of the buffers; a buffer that fills up is drained "
			"earlier.",
	},
	{
		.key = "plugins",
		.flag = "plugin",
		.type = OPTION_LIST,
		.commands = STORE,
		.effect = CONFIG_FIXED,
		.flags = OPTION_REPEAT,
		.offset = FIELD(plugins),
		.arg = "FILE",
		.complete = COMPLETE_FILE,
		.help = "BCC C files to load beside the levels. The flag may be given several "
			"times.",
	},
	{
		.key = "output",
		.flag = "output",
		.letter = 'o',
		.type = OPTION_PATH,
		.commands = STORE | SCRIPT | BIT(COMMAND_OVERHEAD) | BIT(COMMAND_SWEEP) |
			    BIT(COMMAND_IMPORT),
		.effect = CONFIG_AT_START,
		.offset = FIELD(output),
		.arg = "FILE",
		.complete = COMPLETE_FILE,
		.help = "Write to FILE: the run (record: default run.llmp; import), what a script "
			"prints, or, for sweep, the folder of its runs.",
	},
	{
		.key = "force",
		.flag = "force",
		.letter = 'f',
		.type = OPTION_BOOL,
		.commands = STORE | BIT(COMMAND_IMPORT),
		.effect = CONFIG_AT_START,
		.offset = FIELD(force),
		.def = "false",
		.complete = COMPLETE_CHOICES,
		.help = "Replace the output file when it exists.",
	},
	{
		.key = "duration",
		.flag = "duration",
		.letter = 'd',
		.type = OPTION_DURATION,
		.commands = BIT(COMMAND_RECORD) | BIT(COMMAND_OVERHEAD) | BIT(COMMAND_TOP),
		.effect = CONFIG_FIXED,
		.offset = FIELD(duration_ns),
		.max = 1e18,
		.def = "0",
		.arg = "TIME",
		.help = "Stop after this time (10s, 5m); 0 goes on until the target ends or ^C.",
	},
	{
		.key = "data_dir",
		.flag = "data-dir",
		.type = OPTION_PATH,
		.commands = EVERY,
		.effect = CONFIG_FIXED,
		.offset = FIELD(data_dir),
		.arg = "DIR",
		.complete = COMPLETE_DIR,
		.help = "Files below DIR (probes/..., yaml/...) win over the built-in ones of the "
			"same "
			"name, so that a probe is tried out without building anew.",
	},
	{
		.key = "cache_dir",
		.flag = "cache-dir",
		.type = OPTION_PATH,
		.commands = TARGET | SCRIPT,
		.effect = CONFIG_FIXED,
		.offset = FIELD(cache_dir),
		.arg = "DIR",
		.complete = COMPLETE_DIR,
		.help = "Where compiled probe programs are kept. Default: "
			"$XDG_CACHE_HOME/llmprobe, "
			"else /var/cache/llmprobe for root and ~/.cache/llmprobe for others.",
	},
	{
		.key = "log",
		.flag = "log",
		.type = OPTION_PATH,
		.commands = EVERY & ~SCRIPT,
		.effect = CONFIG_FIXED,
		.offset = FIELD(log),
		.arg = "FILE",
		.complete = COMPLETE_FILE,
		.help = "Append llmprobe's own messages to FILE instead of standard error.",
	},
	{
		.key = "verbose",
		.flag = "verbose",
		.letter = 'v',
		.type = OPTION_BOOL,
		.commands = EVERY,
		.effect = CONFIG_AT_ONCE,
		.offset = FIELD(verbose),
		.def = "false",
		.complete = COMPLETE_CHOICES,
		.help = "Say more about what is done and why.",
	},
	{
		.key = "color",
		.flag = "color",
		.type = OPTION_ENUM,
		.commands = EVERY,
		.effect = CONFIG_AT_ONCE,
		.offset = FIELD(colour),
		.choices = colour_modes,
		.def = "auto",
		.arg = "WHEN",
		.complete = COMPLETE_CHOICES,
		.help = "Colour the output: auto does on a terminal unless NO_COLOR is set.",
	},
	{
		.flag = "json",
		.type = OPTION_BOOL,
		.commands = BIT(COMMAND_DOCTOR) | BIT(COMMAND_OVERHEAD) | BIT(COMMAND_LIST) |
			    BIT(COMMAND_SWEEP),
		.offset = FIELD(json),
		.def = "false",
		.help = "Print JSON instead of text.",
	},
	{
		.flag = "prometheus",
		.type = OPTION_STRING,
		.commands = BIT(COMMAND_RECORD),
		.offset = FIELD(prometheus),
		.arg = "[HOST:]PORT",
		.help = "Serve metrics at /metrics while the recording runs: tokens and their "
			"times, operators by class, losses and costs of the levels. A call with "
			"several tokens of one sequence counts as prefill. Threads hand over "
			"their operators some at a time, so the last few are counted with the next "
			"ones.",
	},
	{
		.flag = "param",
		.letter = 'P',
		.type = OPTION_LIST,
		.commands = BIT(COMMAND_SWEEP),
		.flags = OPTION_REPEAT,
		.offset = FIELD(sweep.params),
		.arg = "NAME=VALUE,...",
		.help = "Values of a parameter, which stands in the command as {NAME}. Given "
			"several times, every combination is recorded.",
	},
	{
		.flag = "repeat",
		.type = OPTION_INT,
		.commands = BIT(COMMAND_SWEEP),
		.offset = FIELD(sweep.repeat),
		.min = 1,
		.max = 10000,
		.def = "3",
		.arg = "N",
		.help = "Recorded runs per combination.",
	},
	{
		.flag = "warmup",
		.type = OPTION_INT,
		.commands = BIT(COMMAND_SWEEP),
		.offset = FIELD(sweep.warmup),
		.min = 0,
		.max = 10000,
		.def = "0",
		.arg = "N",
		.help = "Runs per combination before that, without a recording.",
	},
	{
		.flag = "seed",
		.type = OPTION_INT,
		.commands = BIT(COMMAND_SWEEP),
		.offset = FIELD(sweep.seed),
		.min = 0,
		.max = 1e15,
		.def = "1",
		.arg = "N",
		.help = "Another number is another order of the runs.",
	},
	{
		.flag = "figure",
		.type = OPTION_LIST,
		.commands = BIT(COMMAND_IMPORT),
		.flags = OPTION_REPEAT,
		.offset = FIELD(figures),
		.arg = "NAME=VALUE",
		.help = "What a benchmark measured beside the profiles, as throughput=3.07 or "
			"'throughput=3.07 q/s'; more is better. diff compares it with the rest. "
			"The flag may be given several times.",
	},
	{
		.letter = 'e',
		.type = OPTION_STRING,
		.commands = SCRIPT,
		.offset = FIELD(script.program),
		.arg = "PROGRAM",
		.help = "Run PROGRAM instead of a script file.",
	},
	SCRIPT_SWITCH("list", 'l', list,
		      "List the probes that match the argument; with -v also their arguments."),
	{
		.letter = 'f',
		.type = OPTION_ENUM,
		.commands = SCRIPT,
		.offset = FIELD(script.format),
		.choices = script_formats,
		.def = "text",
		.arg = "FORMAT",
		.complete = COMPLETE_CHOICES,
		.help = "Output format.",
	},
	{
		.letter = 'B',
		.type = OPTION_ENUM,
		.commands = SCRIPT,
		.offset = FIELD(script.buffering),
		.choices = script_bufferings,
		.def = "line",
		.arg = "MODE",
		.complete = COMPLETE_CHOICES,
		.help = "Buffering of the output.",
	},
	SCRIPT_SWITCH("quiet", 'q', quiet, "Do not say how many probes are being attached."),
	SCRIPT_SWITCH("dry-run", 0, dry_run, "Attach, then end at once without printing maps."),
	{
		.flag = "dump",
		.type = OPTION_STRING,
		.commands = SCRIPT,
		.offset = FIELD(script.dump),
		.arg = "STAGE",
		.help = "Print what stages of the compiler made of the program and end: ast, "
			"types, bpf (C), llvm, asm, kernel (maps and programs) and verifier (its "
			"log), several separated by commas, or all.",
	},
	{
		.flag = "debug",
		.letter = 'd',
		.type = OPTION_LIST,
		.commands = SCRIPT,
		.flags = OPTION_REPEAT,
		.offset = FIELD(script.debug),
		.arg = "STAGE",
		.help = "The same, and then run it. bpftrace's names codegen, codegen-opt, dis and "
			"libbpf stand for bpf, llvm, asm and kernel. The flag may be given several "
			"times.",
	},
	{
		.flag = "mode",
		.type = OPTION_ENUM,
		.commands = SCRIPT,
		.offset = FIELD(script.mode),
		.choices = script_modes,
		.def = "run",
		.arg = "MODE",
		.complete = COMPLETE_CHOICES,
		.help = "What to do with the program: run it, codegen compiles it only, "
			"compiler-bench times how it is compiled, bench, test and format are as "
			"the three flags below.",
	},
	SCRIPT_SWITCH("fmt", 0, fmt,
		      "Print the program laid out the usual way, or write it to the file of -o, "
		      "which may be the program's own. Only blanks change."),
	SCRIPT_SWITCH("test", 0, test,
		      "Run the test: probes and say which fail; begin and end probes run around "
		      "them, others do not. The exit status is 1 when one failed."),
	SCRIPT_SWITCH("bench", 0, bench,
		      "Run the bench: probes and print the average time of each, in the same way."),
	SCRIPT_SWITCH("unsafe", 0, unsafe,
		      "Allow functions that change the system, such as system()."),
	SCRIPT_SWITCH("warnings", 'k', keep_going,
		      "Warn when reading memory of a process or of the kernel fails."),
	SCRIPT_SWITCH("no-warnings", 0, no_warnings, "Print no warnings about the program."),
	SCRIPT_SWITCH("debuginfo", 0, debug_info,
		      "Name the file and line of stack frames whose code has debug information."),
	SCRIPT_SWITCH("info", 0, info, "Print what the kernel and this build can do, and end."),
	SCRIPT_SWITCH("usdt-file-activation", 0, usdt_file_activation,
		      "Activate the semaphores of usdt probes in every process that maps the "
		      "file. The kernel always does so; the flag is accepted for bpftrace's "
		      "sake."),
	{
		.flag = "no-feature",
		.type = OPTION_STRING,
		.commands = SCRIPT,
		.offset = FIELD(script.no_feature),
		.arg = "FEATURES",
		.help = "Leave features of the kernel out: uprobe_multi, kprobe_multi, "
			"kprobe_session, separated by commas.",
	},
	{
		.flag = "probe-filter",
		.type = OPTION_STRING,
		.commands = SCRIPT,
		.offset = FIELD(script.probe_filter),
		.arg = "REGEX",
		.help = "Attach only probes whose full name matches the extended regular "
			"expression REGEX.",
	},
	{
		.letter = 'I',
		.type = OPTION_LIST,
		.commands = SCRIPT,
		.flags = OPTION_REPEAT,
		.offset = FIELD(script.include_dirs),
		.arg = "DIR",
		.complete = COMPLETE_DIR,
		.help = "Look for headers of the C preamble in DIR too.",
	},
	{
		.flag = "include",
		.type = OPTION_LIST,
		.commands = SCRIPT,
		.flags = OPTION_REPEAT,
		.offset = FIELD(script.includes),
		.arg = "FILE",
		.complete = COMPLETE_FILE,
		.help = "Include FILE before the program.",
	},
	{
		.flag = "man-options",
		.type = OPTION_BOOL,
		.commands = BIT(COMMAND_HELP),
		.offset = FIELD(help_man),
		.def = "false",
		.help = "Print the generated sections of the manual page.",
	},
	{
		.flag = "schema",
		.type = OPTION_BOOL,
		.commands = BIT(COMMAND_HELP),
		.offset = FIELD(help_schema),
		.def = "false",
		.help = "Print a JSON schema of the configuration file, for editors.",
	},
	{
		.flag = "help",
		.letter = 'h',
		.type = OPTION_BOOL,
		.commands = EVERY,
		.offset = FIELD(help),
		.def = "false",
		.help = "Print what the command does and its options.",
	},
	{
		.flag = "version",
		.letter = 'V',
		.type = OPTION_BOOL,
		.commands = BIT(COMMAND_REPL) | SCRIPT,
		.offset = FIELD(version),
		.def = "false",
		.help = "Print the version.",
	},
	{0},
};

size_t option_count(void)
{
	return ARRAY_LEN(option_table) - 1;
}
