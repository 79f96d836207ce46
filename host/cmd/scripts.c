/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/scripts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bpf/reaper.h"
#include "script/engine/engine_bind.h"
#include "script/script.h"
#include "util/file.h"
#include "util/text.h"

enum { SCRIPT_FILE_MAX = 1 << 20 };

struct entry {
	char *name, *text;
	struct script *script;
	struct engine_bind *engine;
};

struct scripts {
	struct reaper *reaper;
	struct entry *at;
	size_t count, cap;
	unsigned made;
	int epoll_fd;
	FILE *out;
	const char *exe;
};

struct scripts *scripts_new(FILE *out, const char *exe)
{
	struct scripts *s = xcalloc(1, sizeof(*s));

	s->reaper = reaper_new();
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	s->out = out;
	s->exe = exe;
	return s;
}

static void entry_free(struct entry *e)
{
	script_free(e->script);
	engine_bind_free(e->engine);
	free(e->name);
	free(e->text);
}

static void unwatch(struct scripts *s, int fd)
{
	if (fd >= 0)
		epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void end(struct scripts *s, size_t i, bool print)
{
	struct entry *e = &s->at[i];
	struct engine_targets *t = engine_bind_targets(e->engine);

	unwatch(s, script_fd(e->script));
	if (t) {
		unwatch(s, engine_targets_fd(t));
		engine_targets_stop(t);
	}
	script_stop(e->script);
	if (print && script_prints_maps_on_exit(e->script))
		script_print_maps(e->script);
	entry_free(e);
	memmove(e, e + 1, (--s->count - i) * sizeof(*e));
}

void scripts_free(struct scripts *s)
{
	if (!s)
		return;
	while (s->count)
		end(s, s->count - 1, false);
	reaper_free(s->reaper);
	close(s->epoll_fd);
	free(s->at);
	free(s);
}

static int watch(struct scripts *s, int fd, struct diag *d)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	if (fd < 0 || epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0)
		return 0;
	return diag_fail(d, -errno, "cannot poll: %s", strerror(errno));
}

/* The engine's points, for a script that asks for them. */
static int open_engine(struct scripts *s, struct entry *e, struct diag *d)
{
	struct engine_targets_opts o = {.reaper = s->reaper};

	return script_uses_engine(e->script) ? engine_bind_open(e->engine, &o, d) : 0;
}

static int find_targets(struct scripts *s, struct engine_targets *t, pid_t pid, struct diag *d)
{
	if (pid)
		return engine_targets_pid(t, pid, d);
	if (s->exe)
		return engine_targets_exe(t, s->exe, d);
	return diag_fail(d, -ESRCH, "engine probes need a target, and none runs yet");
}

static int attach(struct scripts *s, struct entry *e, pid_t pid, struct diag *d)
{
	struct engine_targets *t = engine_bind_targets(e->engine);
	int err = t ? find_targets(s, t, pid, d) : 0;

	err = err ? err : script_attach(e->script, d);
	if (t && !err)
		err = engine_targets_go(t, d);
	err = err ? err : watch(s, script_fd(e->script), d);
	return t && !err ? watch(s, engine_targets_fd(t), d) : err;
}

static int start(struct scripts *s, struct entry *e, pid_t pid, struct diag *d)
{
	struct script_opts o = {.name = e->name,
				.text = e->text,
				.len = strlen(e->text),
				.pid = pid,
				.out = s->out,
				.err = s->out,
				.engine = engine_bind_binding(e->engine),
				.reaper = s->reaper};
	int err;

	e->script = script_new(&o, d);
	if (!e->script)
		return -EINVAL;
	err = open_engine(s, e, d);
	err = err ? err : script_load(e->script, d);
	return err ? err : attach(s, e, pid, d);
}

int scripts_add(struct scripts *s, const char *name, const char *text, pid_t pid, struct diag *d)
{
	struct entry e = {.name = name ? xstrdup(name) : xasprintf("script%u", s->made + 1),
			  .text = xstrdup(text),
			  .engine = engine_bind_new()};
	int err = scripts_has(s, e.name)
			  ? diag_fail(d, -EEXIST, "%s runs already; `disable %s` ends it", e.name,
				      e.name)
			  : start(s, &e, pid, d);

	if (err) {
		entry_free(&e);
		return err;
	}
	s->made++;
	*VEC_PUSH(s->at, s->count, s->cap) = e;
	fprintf(s->out, "%s: %zu probe%s\n", e.name, script_probes(e.script),
		script_probes(e.script) == 1 ? "" : "s");
	return 0;
}

int scripts_load(struct scripts *s, const char *path, pid_t pid, struct diag *d)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	struct buf text = {0};
	char *name = xstrndup(base, strlen(base) - (text_ends(base, ".bt") ? 3 : 0));
	int err = file_read(path, &text, SCRIPT_FILE_MAX);

	err = err ? diag_fail(d, err, "cannot read %s: %s", path, strerror(-err))
		  : scripts_add(s, name, buf_str(&text), pid, d);
	buf_free(&text);
	free(name);
	return err;
}

static size_t find(const struct scripts *s, const char *name)
{
	size_t i = 0;

	while (i < s->count && strcmp(s->at[i].name, name) != 0)
		i++;
	return i;
}

bool scripts_has(const struct scripts *s, const char *name)
{
	return find(s, name) < s->count;
}

int scripts_remove(struct scripts *s, const char *name)
{
	size_t i = find(s, name);

	if (i == s->count)
		return -ENOENT;
	end(s, i, true);
	return 0;
}

void scripts_print_maps(struct scripts *s)
{
	for (size_t i = 0; i < s->count; i++)
		script_print_maps(s->at[i].script);
}

void scripts_print_status(const struct scripts *s, FILE *out)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct entry *e = &s->at[i];
		struct engine_targets *t = engine_bind_targets(e->engine);

		fprintf(out, "%-10s on    %zu probe%s, lost %llu\n", e->name,
			script_probes(e->script), script_probes(e->script) == 1 ? "" : "s",
			(unsigned long long)(script_lost(e->script) +
					     (t ? engine_targets_lost(t) : 0)));
	}
}

const char *scripts_name(const struct scripts *s, size_t i)
{
	return i < s->count ? s->at[i].name : NULL;
}

int scripts_fd(const struct scripts *s)
{
	return s->epoll_fd;
}

void scripts_drain(struct scripts *s, struct diag *d)
{
	for (size_t i = 0; i < s->count; i++) {
		struct engine_targets *t = engine_bind_targets(s->at[i].engine);

		if (t)
			engine_targets_ready(t, d);
		script_drain(s->at[i].script);
		if (script_exited(s->at[i].script, NULL))
			end(s, i--, true);
	}
}
