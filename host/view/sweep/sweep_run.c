/* SPDX-License-Identifier: Apache-2.0 */
/* Running a sweep: order, resuming, one recording after the other. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/file.h"
#include "view/sweep/sweep_internal.h"

struct task {
	size_t combination;
	int repetition; /* from 1; 0: warm-up */
	bool done;
};

char *sweep_run_path(const struct sweep *s, size_t combination, int repetition)
{
	char *path = xasprintf("%s/%s.%d.llmp", s->o.folder, s->labels[combination], repetition);

	for (char *p = path + strlen(s->o.folder) + 1; *p; p++)
		if (*p == '/' || isspace((unsigned char)*p) || (unsigned char)*p < 0x20)
			*p = '_';
	return path;
}

static char *state_path(const struct sweep *s)
{
	return xasprintf("%s/sweep.jsonl", s->o.folder);
}

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Warm-ups first, then all repetitions in an order that the seed fixes. */
static struct task *make_plan(const struct sweep *s, size_t *n)
{
	struct task *tasks = NULL, tmp;
	uint64_t random = s->o.seed;
	size_t cap = 0, first;

	*n = 0;
	for (size_t c = 0; c < s->n_combinations; c++)
		for (int i = 0; i < s->o.warmup; i++)
			*VEC_PUSH(tasks, *n, cap) = (struct task){c, 0, false};
	first = *n;
	for (int r = 1; r <= s->o.repeat; r++)
		for (size_t c = 0; c < s->n_combinations; c++)
			*VEC_PUSH(tasks, *n, cap) = (struct task){c, r, false};
	for (size_t i = *n; i-- > first + 1;) {
		size_t k = first + (size_t)(next_random(&random) % (i - first + 1));

		tmp = tasks[i];
		tasks[i] = tasks[k];
		tasks[k] = tmp;
	}
	return tasks;
}

static cJSON *command_json(const struct sweep *s)
{
	cJSON *list = cJSON_CreateArray();

	for (char *const *arg = s->o.command; *arg; arg++)
		cJSON_AddItemToArray(list, cJSON_CreateString(*arg));
	return list;
}

static int append_line(const struct sweep *s, const cJSON *o, struct diag *d)
{
	char *path = state_path(s), *text = cJSON_PrintUnformatted(o);
	FILE *f = fopen(path, "ae");
	int err = 0;

	if (!f || fprintf(f, "%s\n", text) < 0 || fclose(f))
		err = diag_fail(d, -errno, "cannot write %s: %s", path, strerror(errno));
	free(text);
	free(path);
	return err;
}

/* The first line is the command: a folder holds runs of one only, or they would be mixed up. */
static int check_command(const struct sweep *s, struct diag *d)
{
	cJSON *mine = command_json(s), *line, *theirs;
	char *path = state_path(s);
	struct buf text = {0};
	int err = 0;

	file_read(path, &text, 0);
	line = cJSON_Parse(buf_str(&text));
	theirs = cJSON_GetObjectItem(line, "command");
	if (theirs && !cJSON_Compare(mine, theirs, true))
		err = diag_fail(
			d, -EEXIST,
			"%s holds the sweep of another command; name another folder with -o",
			s->o.folder);
	cJSON_Delete(line);
	if (!err && !text.len) {
		line = cJSON_CreateObject();
		cJSON_AddItemToObject(line, "command", cJSON_Duplicate(mine, true));
		err = append_line(s, line, d);
		cJSON_Delete(line);
	}
	cJSON_Delete(mine);
	buf_free(&text);
	free(path);
	return err;
}

/* Marks what an earlier, interrupted sweep has recorded; its warm-ups count no more. */
static void mark_done(const struct sweep *s, struct task *tasks, size_t n)
{
	char *path = state_path(s), *save = NULL;
	struct buf text = {0};

	if (file_read(path, &text, 0) == 0 && text.len)
		for (char *l = strtok_r(text.data, "\n", &save); l;
		     l = strtok_r(NULL, "\n", &save)) {
			cJSON *o = cJSON_Parse(l);
			const char *label =
				cJSON_GetStringValue(cJSON_GetObjectItem(o, "parameters"));
			const cJSON *rep = cJSON_GetObjectItem(o, "repetition");
			bool ok = cJSON_IsTrue(cJSON_GetObjectItem(o, "ok"));

			for (size_t i = 0; label && ok && cJSON_IsNumber(rep) && i < n; i++)
				if (tasks[i].repetition == rep->valueint &&
				    !strcmp(s->labels[tasks[i].combination], label))
					tasks[i].done = true;
			cJSON_Delete(o);
		}
	free(path);
	buf_free(&text);
}

static bool all_done(const struct task *tasks, size_t n, size_t combination)
{
	for (size_t i = 0; i < n; i++)
		if (tasks[i].combination == combination && tasks[i].repetition && !tasks[i].done)
			return false;
	return true;
}

/* record's arguments, or the bare command for a warm-up; ended by NULL. */
static char **task_argv(const struct sweep *s, const struct task *t)
{
	char **command = sweep_argv(s, t->combination), **argv = NULL;
	size_t n = 0, cap = 0;

	if (!t->repetition)
		return command;
	*VEC_PUSH(argv, n, cap) = xstrdup(s->o.recorder ? s->o.recorder : "/proc/self/exe");
	*VEC_PUSH(argv, n, cap) = xstrdup("record");
	*VEC_PUSH(argv, n, cap) = xstrdup("--force");
	*VEC_PUSH(argv, n, cap) = xstrdup("-o");
	*VEC_PUSH(argv, n, cap) = sweep_run_path(s, t->combination, t->repetition);
	for (char *const *arg = s->o.record_args; arg && *arg; arg++)
		*VEC_PUSH(argv, n, cap) = xstrdup(*arg);
	*VEC_PUSH(argv, n, cap) = xstrdup("--");
	for (char **arg = command; *arg; arg++)
		*VEC_PUSH(argv, n, cap) = *arg;
	*VEC_PUSH(argv, n, cap) = NULL;
	free(command);
	return argv;
}

/* Runs a program with its output in `log`; the wait status, or -errno when it cannot be started. */
static int run_program(char *const *argv, const char *log)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		sigset_t none;
		int in = open("/dev/null", O_RDONLY);
		int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);

		/* Who sweeps may have blocked signals to catch them. */
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGPIPE, SIG_DFL);
		dup2(in, STDIN_FILENO);
		if (out >= 0) {
			dup2(out, STDOUT_FILENO);
			dup2(out, STDERR_FILENO);
		}
		execvp(argv[0], argv);
		dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

static int note_result(const struct sweep *s, const struct task *t, int status, struct diag *d)
{
	cJSON *o = cJSON_CreateObject();
	int err;

	cJSON_AddStringToObject(o, "parameters", s->labels[t->combination]);
	cJSON_AddNumberToObject(o, "repetition", t->repetition);
	cJSON_AddBoolToObject(o, "ok", status == 0);
	cJSON_AddNumberToObject(o, "status", status);
	err = append_line(s, o, d);
	cJSON_Delete(o);
	return err;
}

/* What a failed command leaves is kept, but under a name that is none of the sweep's runs. */
static void put_aside(const char *run)
{
	char *aside = xasprintf("%.*s.failed.llmp", (int)strlen(run) - 5, run);

	rename(run, aside);
	free(aside);
}

static int run_task(const struct sweep *s, const struct task *t, struct diag *d)
{
	char *run = sweep_run_path(s, t->combination, t->repetition);
	char *log = xasprintf("%.*s.log", (int)strlen(run) - 5, run);
	char **argv = task_argv(s, t);
	int status = run_program(argv, log), err = 0;

	if (status < 0)
		err = diag_fail(d, status, "cannot start a process: %s", strerror(-status));
	else if (status)
		diag_add(d, DIAG_WARNING, "%s, %s %d failed with %s %d; see %s",
			 s->labels[t->combination], t->repetition ? "run" : "warm-up",
			 t->repetition, WIFSIGNALED(status) ? "signal" : "status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), log);
	if (status && t->repetition)
		put_aside(run);
	if (!err && t->repetition)
		err = note_result(s, t, status, d);
	sweep_argv_free(argv);
	free(log);
	free(run);
	return err;
}

int sweep_run(struct sweep *s, struct diag *d)
{
	size_t n;
	struct task *tasks = make_plan(s, &n);
	int err = file_mkdirs(s->o.folder, 0777);

	if (err)
		diag_fail(d, err, "cannot make the folder %s: %s", s->o.folder, strerror(-err));
	if (!err)
		err = check_command(s, d);
	mark_done(s, tasks, n);
	for (size_t i = 0; i < n && !err; i++) {
		if (tasks[i].done || all_done(tasks, n, tasks[i].combination))
			continue;
		if (s->o.stop && s->o.stop(s->o.ctx))
			err = -EINTR;
		if (!err && s->o.progress)
			s->o.progress(s->o.ctx, i, n, s->labels[tasks[i].combination]);
		if (!err)
			err = run_task(s, &tasks[i], d);
		tasks[i].done = true;
	}
	if (!err && s->o.progress)
		s->o.progress(s->o.ctx, n, n, "");
	free(tasks);
	return err;
}
