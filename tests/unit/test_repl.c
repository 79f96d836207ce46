/* SPDX-License-Identifier: Apache-2.0 */
/* The REPL over a made-up session, once with piped lines and once on a pseudo-terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "repl/repl.h"
#include "util/file.h"

/* A session that writes down what was asked of it. */

static int fake_enable(void *ctx, const char *name, FILE *out, struct diag *d)
{
	(void)ctx;
	if (strcmp(name, "operator") != 0)
		return diag_fail(d, -ENOENT, "there is no level '%s'", name);
	fprintf(out, "enabled %s\n", name);
	return 0;
}

static int fake_start(void *ctx, const char *file, FILE *out, struct diag *d)
{
	(void)ctx;
	(void)d;
	fprintf(out, "started %s\n", file ? file : "run.llmp");
	return 0;
}

static int fake_probe(void *ctx, const char *program, FILE *out, struct diag *d)
{
	(void)ctx;
	(void)d;
	fprintf(out, "probe <%s>\n", program);
	return 0;
}

static int fake_top(void *ctx, uint64_t duration_ns, FILE *out, struct diag *d)
{
	(void)ctx;
	(void)d;
	fprintf(out, "top for %llu ms\n", (unsigned long long)duration_ns / 1000000);
	return 0;
}

static int fake_view(void *ctx, int argc, char *const *argv, FILE *out, struct diag *d)
{
	(void)ctx;
	(void)d;
	fprintf(out, "view");
	for (int i = 0; i < argc; i++)
		fprintf(out, " %s", argv[i]);
	fprintf(out, "\n");
	return 0;
}

static int fake_changed(void *ctx, const char *key, FILE *out, struct diag *d)
{
	(void)ctx;
	if (strcmp(key, "levels.scheduler") == 0)
		return diag_fail(d, -EBUSY, "the kernel will not have it");
	fprintf(out, "changed %s\n", key);
	return 0;
}

static const char *fake_name(void *ctx, enum completion kind, size_t i)
{
	static const char *const names[] = {"token", "graph", "operator", "scheduler"};

	(void)ctx;
	return kind == COMPLETE_NAME && i < ARRAY_LEN(names) ? names[i] : NULL;
}

static const struct repl_ops fake_ops = {
	.enable = fake_enable,
	.start = fake_start,
	.probe = fake_probe,
	.top = fake_top,
	.view = fake_view,
	.changed = fake_changed,
	.name = fake_name,
};

static volatile sig_atomic_t sigints;

static void count_sigint(int sig)
{
	(void)sig;
	sigints++;
}

/* The owner's loop, as repl.h describes it. */
static int drive(struct repl *r)
{
	sigset_t none;

	sigemptyset(&none);
	while (!repl_done(r)) {
		struct pollfd p = {.fd = repl_fd(r), .events = POLLIN};
		int ms = repl_timeout_ms(r);
		struct timespec ts = {ms / 1000, (ms % 1000) * 1000000L};
		int n = ppoll(&p, 1, ms < 0 ? NULL : &ts, &none);

		if (n > 0)
			repl_readable(r);
		while (sigints > 0) {
			sigints--;
			repl_sigint(r);
		}
		repl_tick(r);
	}
	return repl_status(r);
}

static int run_repl(int fd, FILE *out, FILE *err, bool terminal, const char *history)
{
	struct config *config = config_new();
	struct repl_opts opts = {fd, out, err, terminal, history, config, &fake_ops, NULL};
	struct repl *r = repl_new(&opts);
	int status;

	status = drive(r);
	repl_free(r);
	config_free(config);
	return status;
}

struct outcome {
	char *out, *err;
	int status;
};

static struct outcome run_plain(const char *input)
{
	struct outcome o;
	size_t out_len, err_len;
	FILE *out = open_memstream(&o.out, &out_len), *err = open_memstream(&o.err, &err_len);
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(file_write_all(fds[1], input, strlen(input)), 0);
	close(fds[1]);
	o.status = run_repl(fds[0], out, err, false, NULL);
	close(fds[0]);
	fclose(out);
	fclose(err);
	return o;
}

static void free_outcome(struct outcome *o)
{
	free(o->out);
	free(o->err);
}

static void test_commands_from_a_pipe(void **state)
{
	struct outcome o = run_plain("# a comment\n\nenable operator\nstart 'a b.llmp'\n"
				     "rep --json\nprobe BEGIN { printf(\"x\"); }\n"
				     "probe 'BEGIN\n{ }'\nstart\nquit\nenable operator\n");

	(void)state;
	assert_string_equal(o.out, "enabled operator\nstarted a b.llmp\nview report --json\n"
				   "probe <BEGIN { printf(\"x\"); }>\nprobe <BEGIN\n{ }>\n"
				   "started run.llmp\n");
	assert_string_equal(o.err, "");
	assert_int_equal(o.status, 0);
	free_outcome(&o);
}

static void test_errors_name_the_line(void **state)
{
	struct outcome o = run_plain("enable operator\nenabel x\nenable tokn\nst\nmaps\n"
				     "quit now\nset force 15MiB\nload 'a\nb");

	(void)state;
	assert_string_equal(o.out, "enabled operator\n");
	assert_string_equal(
		o.err,
		"stdin:2: error: there is no command 'enabel'; did you mean 'enable'?\n"
		"stdin:3: error: there is no level 'tokn'\n"
		"stdin:4: error: 'st' is short for several commands: status, start, stop, stat\n"
		"stdin:5: error: maps is not available here\n"
		"stdin:6: error: usage: quit\n"
		"stdin:7: error: force: '15MiB' is neither true nor false\n"
		"stdin:8: error: a quote is not closed\n");
	assert_int_equal(o.status, 1);
	free_outcome(&o);
}

static void test_set(void **state)
{
	struct outcome o = run_plain("set operators.barrier never\nset operators.barrier\n"
				     "set output a b\nset levels.scheduler true\n"
				     "set levels.scheduler\nset output\nset buffer.size 1MiB\n");

	(void)state;
	assert_non_null(strstr(o.out, "changed operators.barrier\noperators.barrier: never\n"));
	assert_non_null(strstr(o.out, "output counts from the next start on\n"));
	/* What the session refused is taken back. */
	assert_non_null(strstr(o.out, "levels.scheduler: false\n"));
	assert_non_null(strstr(o.out, "output: a b\n"));
	assert_string_equal(o.err, "stdin:4: error: the kernel will not have it\n"
				   "stdin:7: error: buffer.size cannot change while llmprobe runs; "
				   "put it into the configuration or on the command line\n");
	free_outcome(&o);
}

static void test_help_names_every_command(void **state)
{
	static const char *const names[] = {"help",   "target", "plan",	    "enable", "disable",
					    "set",    "status", "start",    "stop",   "top",
					    "report", "stat",	"dag",	    "probe",  "load",
					    "maps",   "save",	"timeline", "quit",   "wait"};
	struct outcome o = run_plain("help\n");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_non_null(strstr(o.out, names[i]));
	free_outcome(&o);
	o = run_plain("help set");
	assert_string_equal(o.out, "set [KEY [VALUE]]               change or show a "
				   "configuration value\n");
	free_outcome(&o);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void test_wait_lets_time_pass(void **state)
{
	uint64_t before = now_ms();
	struct outcome o = run_plain("wait 120ms\nenable operator\nwait\nwait soon\n");

	(void)state;
	assert_true(now_ms() - before >= 120);
	assert_string_equal(o.out, "enabled operator\n");
	assert_string_equal(o.err, "stdin:3: error: there is no target to wait for; name a time\n"
				   "stdin:4: error: 'soon' is not a time; write it like 500ms or "
				   "10s\n");
	free_outcome(&o);
}

/* A REPL in a child process behind a pseudo-terminal, and all it has printed. */
struct terminal {
	pid_t pid;
	int fd;
	struct buf seen;
	size_t from; /* expect() looks from here on */
};

static struct terminal open_terminal(const char *history)
{
	struct terminal t = {0};

	t.pid = forkpty(&t.fd, NULL, NULL, NULL);
	assert_true(t.pid >= 0);
	if (t.pid == 0) {
		struct sigaction on_int = {.sa_handler = count_sigint};
		sigset_t block;

		setenv("TERM", "dumb", 1);
		setenv("INPUTRC", "/dev/null", 1);
		sigemptyset(&block);
		sigaddset(&block, SIGINT);
		sigprocmask(SIG_BLOCK, &block, NULL);
		sigaction(SIGINT, &on_int, NULL);
		_exit(run_repl(STDIN_FILENO, stdout, stderr, true, history));
	}
	return t;
}

/* Reads until `text` turns up behind what was expected before. */
static void expect(struct terminal *t, const char *text)
{
	uint64_t deadline = now_ms() + 5000;
	char *found;

	while (!(found = strstr(buf_str(&t->seen) + t->from, text))) {
		struct pollfd p = {.fd = t->fd, .events = POLLIN};
		char chunk[512];
		ssize_t n = 0;

		if (now_ms() > deadline)
			fail_msg("no '%s' in: %s", text, buf_str(&t->seen) + t->from);
		if (poll(&p, 1, 100) > 0)
			n = read(t->fd, chunk, sizeof(chunk));
		if (n < 0)
			fail_msg("ended without '%s': %s", text, buf_str(&t->seen) + t->from);
		buf_add(&t->seen, chunk, (size_t)n);
	}
	t->from = (size_t)(found - t->seen.data) + strlen(text);
}

/* At the prompt: before it the terminal's ordinary mode would take control keys. */
static void type_at_prompt(struct terminal *t, const char *keys)
{
	expect(t, "llmprobe> ");
	assert_int_equal(file_write_all(t->fd, keys, strlen(keys)), 0);
}

static void type(struct terminal *t, const char *keys)
{
	assert_int_equal(file_write_all(t->fd, keys, strlen(keys)), 0);
}

static int close_terminal(struct terminal *t)
{
	uint64_t deadline = now_ms() + 5000;
	int status = 0;
	char chunk[512];

	while (waitpid(t->pid, &status, WNOHANG) == 0) {
		struct pollfd p = {.fd = t->fd, .events = POLLIN};

		if (now_ms() > deadline) {
			kill(t->pid, SIGKILL);
			waitpid(t->pid, &status, 0);
			fail_msg("the REPL did not end: %s", buf_str(&t->seen));
		}
		if (poll(&p, 1, 20) > 0 && read(t->fd, chunk, sizeof(chunk)) < 0)
			usleep(1000);
	}
	close(t->fd);
	buf_free(&t->seen);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void test_terminal_completion(void **state)
{
	struct terminal t = open_terminal(NULL);

	(void)state;
	type_at_prompt(&t, "ena\top\t\n");
	expect(&t, "enabled operator");
	type_at_prompt(&t, "set forc\tt\t\n");
	expect(&t, "force counts from the next start on");
	type_at_prompt(&t, "set lev\t\t");
	expect(&t, "levels.graph");
	expect(&t, "levels.token");
	type(&t, "\x15load /etc/host\t\t"); /* ^U, then file names */
	expect(&t, "hostname");
	type(&t, "\x15quit\n");
	assert_int_equal(close_terminal(&t), 0);
}

static void test_terminal_history(void **state)
{
	char dir[] = "/tmp/llmprobe-repl-XXXXXX";
	char *path;
	struct terminal t;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(dir));
	path = xasprintf("%s/state/history", dir);
	t = open_terminal(path);
	type_at_prompt(&t, "start first\n");
	expect(&t, "started first");
	type_at_prompt(&t, "start second\n");
	expect(&t, "started second");
	type_at_prompt(&t, "\x10\x10\n"); /* ^P twice */
	expect(&t, "started first");
	type_at_prompt(&t, "\x04");
	assert_int_equal(close_terminal(&t), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	t = open_terminal(path);
	type_at_prompt(&t, "\x10\x10\n");
	expect(&t, "started second");
	type_at_prompt(&t, "quit\n");
	assert_int_equal(close_terminal(&t), 0);
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	rmdir(dir);
	free(path);
}

static void test_terminal_interrupts(void **state)
{
	struct terminal t = open_terminal(NULL);

	(void)state;
	type_at_prompt(&t, "enable oper");
	expect(&t, "enable oper");
	type(&t, "\x03");
	expect(&t, "^C");
	type_at_prompt(&t, "start kept\n"); /* the dropped line is not in front of it */
	expect(&t, "started kept");
	type_at_prompt(&t, "top 2s\n");
	expect(&t, "top for 2000 ms");
	type_at_prompt(&t, "wait 1h\n");
	expect(&t, "wait 1h");
	expect(&t, "\n");
	type(&t, "\x03");
	expect(&t, "interrupted");
	type_at_prompt(&t, "start after\n");
	expect(&t, "started after");
	type_at_prompt(&t, "\x03");
	expect(&t, "once more to quit");
	type_at_prompt(&t, "\x03");
	assert_int_equal(close_terminal(&t), 0);
}

static void test_terminal_open_quote_prompts_again(void **state)
{
	struct terminal t = open_terminal(NULL);

	(void)state;
	type_at_prompt(&t, "probe 'BEGIN\n");
	expect(&t, "        > ");
	type(&t, "{ }'\n");
	expect(&t, "probe <BEGIN");
	type_at_prompt(&t, "probe 'again\n");
	expect(&t, "        > ");
	type(&t, "\x03");
	type_at_prompt(&t, "nonsense\n");
	expect(&t, "there is no command 'nonsense'");
	type_at_prompt(&t, "\x04");
	assert_int_equal(close_terminal(&t), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands_from_a_pipe),
		cmocka_unit_test(test_errors_name_the_line),
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_help_names_every_command),
		cmocka_unit_test(test_wait_lets_time_pass),
		cmocka_unit_test(test_terminal_completion),
		cmocka_unit_test(test_terminal_history),
		cmocka_unit_test(test_terminal_interrupts),
		cmocka_unit_test(test_terminal_open_quote_prompts_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
