/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/scripts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bpf/reaper.h"
#include "script/script.h"
#include "util/file.h"

enum { SCRIPT_FILE_MAX = 1 << 20 };

struct entry {
	char *name, *text;
	struct script *script;
};

struct scripts {
	struct reaper *reaper;
	struct entry *at;
	size_t count, cap;
	unsigned made;
	int epoll_fd;
};

struct scripts *scripts_new(void)
{
	struct scripts *s = xcalloc(1, sizeof(*s));

	s->reaper = reaper_new();
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return s;
}

static void end(struct scripts *s, size_t i, bool print)
{
	struct entry *e = &s->at[i];

	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, script_fd(e->script), NULL);
	script_stop(e->script);
	if (print)
		script_print_maps(e->script);
	script_free(e->script);
	free(e->name);
	free(e->text);
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

static int start(struct scripts *s, struct entry *e, pid_t pid, FILE *out, struct diag *d)
{
	struct script_opts o = {.name = e->name,
				.text = e->text,
				.len = strlen(e->text),
				.pid = pid,
				.out = out,
				.err = stderr,
				.reaper = s->reaper};
	struct epoll_event ev = {.events = EPOLLIN};
	int err;

	e->script = script_new(&o, d);
	if (!e->script)
		return -EINVAL;
	err = script_emit(e->script, d);
	if (!err)
		err = script_load(e->script, d);
	if (!err)
		err = script_attach(e->script, d);
	ev.data.fd = script_fd(e->script);
	if (!err && epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, ev.data.fd, &ev) < 0)
		err = diag_fail(d, -errno, "cannot poll: %s", strerror(errno));
	return err;
}

int scripts_add(struct scripts *s, const char *name, const char *text, pid_t pid, FILE *out,
		struct diag *d)
{
	struct entry e = {.name = name ? xstrdup(name) : xasprintf("script%u", s->made + 1),
			  .text = xstrdup(text)};
	int err = scripts_has(s, e.name)
			  ? diag_fail(d, -EEXIST, "%s runs already; `disable %s` ends it", e.name,
				      e.name)
			  : start(s, &e, pid, out, d);

	if (err) {
		script_free(e.script);
		free(e.name);
		free(e.text);
		return err;
	}
	s->made++;
	*VEC_PUSH(s->at, s->count, s->cap) = e;
	fprintf(out, "%s: %zu probe%s\n", e.name, script_probes(e.script),
		script_probes(e.script) == 1 ? "" : "s");
	return 0;
}

int scripts_load(struct scripts *s, const char *path, pid_t pid, FILE *out, struct diag *d)
{
	struct buf text = {0};
	int err = file_read(path, &text, SCRIPT_FILE_MAX);

	err = err ? diag_fail(d, err, "cannot read %s: %s", path, strerror(-err))
		  : scripts_add(s, path, buf_str(&text), pid, out, d);
	buf_free(&text);
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

const char *scripts_name(const struct scripts *s, size_t i)
{
	return i < s->count ? s->at[i].name : NULL;
}

int scripts_fd(const struct scripts *s)
{
	return s->epoll_fd;
}

void scripts_drain(struct scripts *s)
{
	for (size_t i = 0; i < s->count; i++) {
		script_drain(s->at[i].script);
		if (script_exited(s->at[i].script, NULL))
			end(s, i--, true);
	}
}
