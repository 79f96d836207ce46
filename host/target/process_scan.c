/* SPDX-License-Identifier: Apache-2.0 */
/* Looking through all processes for those that map a file or an engine. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/elf.h"
#include "target/engine.h"
#include "target/mapping.h"
#include "target/process.h"
#include "target/process_match.h"

void process_list_free(struct process_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->at[i].command);
		free(l->at[i].engine);
	}
	free(l->at);
	memset(l, 0, sizeof(*l));
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void add_process(struct process_list *out, const struct process *p, const char *engine)
{
	struct process_entry *e = VEC_PUSH(out->at, out->count, out->cap);

	e->process = *p;
	e->command = process_command(p->pid);
	e->engine = engine ? xstrdup(engine) : NULL;
}

/* What a scan looks for: returns the text for `engine` of the entry, NULL when it does not match.
 */
typedef const char *(*match_fn)(void *ctx, pid_t pid, const struct mapping *m);

static void scan_process(pid_t pid, match_fn match, void *ctx, struct process_list *out)
{
	struct diag *ignored = diag_new();
	struct mapping_list maps = {0};
	struct process p;
	int err = mapping_list_read(pid, &maps, ignored);

	if (err == -EACCES || err == -EPERM)
		out->hidden++;
	for (size_t i = 0; !err && i < maps.count; i++) {
		const char *what = match(ctx, pid, &maps.at[i]);

		if (what && !process_find(pid, &p, ignored)) {
			add_process(out, &p, what);
			break;
		}
	}
	mapping_list_free(&maps);
	diag_free(ignored);
}

static int scan_all(match_fn match, void *ctx, struct process_list *out)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;

	memset(out, 0, sizeof(*out));
	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		pid_t pid = isdigit((unsigned char)e->d_name[0]) ? atoi(e->d_name) : 0;

		if (pid && pid != getpid())
			scan_process(pid, match, ctx, out);
	}
	closedir(dir);
	return 0;
}

static const char *root_hint(void)
{
	return geteuid() ? ": run as root" : "";
}

static const char *match_file(void *ctx, pid_t pid, const struct mapping *m)
{
	const struct wanted_file *w = ctx;

	(void)pid;
	if (m->ino != w->st.st_ino)
		return NULL;
	/* btrfs and overlayfs show another device in stat than in maps. */
	if (m->dev != w->st.st_dev && strcmp(base_name(m->path), w->name))
		return NULL;
	return base_name(m->path);
}

int process_wanted_file(const char *path, struct wanted_file *out, struct diag *d)
{
	out->name = base_name(path);
	if (stat(path, &out->st))
		return diag_fail(d, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(out->st.st_mode))
		return diag_fail(d, -EINVAL, "%s is not a regular file", path);
	return 0;
}

bool process_maps_file(pid_t pid, const struct wanted_file *file, struct process_list *out)
{
	struct wanted_file w = *file;
	size_t before = out->count;

	scan_process(pid, match_file, &w, out);
	return out->count > before;
}

int process_find_exe(const char *path, struct process_list *out, struct diag *d)
{
	struct wanted_file w;
	int err;

	memset(out, 0, sizeof(*out));
	err = process_wanted_file(path, &w, d);
	if (err)
		return err;
	err = scan_all(match_file, &w, out);
	if (err)
		return diag_fail(d, err, "/proc: %s", strerror(-err));
	if (out->count)
		return 0;
	if (out->hidden)
		return diag_fail(
			d, -EACCES,
			"no visible process runs %s; %zu processes could not be looked into%s",
			path, out->hidden, root_hint());
	return diag_fail(d, -ESRCH, "no running process maps %s", path);
}

static const char *match_engine_name(void *ctx, pid_t pid, const struct mapping *m)
{
	const struct engine_set *set = ctx;
	const char *name = base_name(m->path);

	(void)pid;
	for (size_t i = 0; i < engine_count(set); i++) {
		const struct engine *e = engine_at(set, i);

		if (!e->is_library && engine_names_file(e, name))
			return name;
	}
	return NULL;
}

static bool defines_engine(const struct engine_set *set, const struct elf *elf)
{
	for (size_t i = 0; i < engine_count(set); i++) {
		const struct engine *e = engine_at(set, i);
		struct elf_symbol sym;

		for (char **s = e->symbols; !e->is_library && s && *s; s++)
			if (elf_find(elf, *s, &sym))
				return true;
	}
	return false;
}

/* Programs with the engine linked in have names of their own; their symbols tell. */
static const char *match_engine_symbol(void *ctx, pid_t pid, const struct mapping *m)
{
	struct diag *ignored = diag_new();
	struct mapped_file file;
	const char *name = NULL;
	struct elf *elf;

	if (m->is_exe && !mapping_open(pid, m, &file, ignored)) {
		elf = elf_open_fd(file.fd, m->path, ignored);
		if (elf && defines_engine(ctx, elf))
			name = base_name(m->path);
		elf_close(elf);
		mapped_file_close(&file);
	}
	diag_free(ignored);
	return name;
}

static int explain_none(const struct process_list *l, struct diag *d)
{
	if (l->hidden)
		return diag_fail(d, -ESRCH,
				 "no visible process runs a known engine; %zu processes could not "
				 "be looked into%s; name the target with -p PID",
				 l->hidden, root_hint());
	return diag_fail(
		d, -ESRCH,
		"no running process maps a known engine library; name the target with -p PID, "
		"--exe PATH or -- COMMAND (llmprobe list engines shows what is known)");
}

int process_find_engine(const struct engine_set *engines, struct process_list *out, struct diag *d)
{
	int err = scan_all(match_engine_name, (void *)engines, out);

	if (!err && !out->count) {
		process_list_free(out);
		err = scan_all(match_engine_symbol, (void *)engines, out);
	}
	if (err)
		return diag_fail(d, err, "/proc: %s", strerror(-err));
	if (!out->count)
		return explain_none(out, d);
	if (out->count == 1)
		return 0;
	diag_add(d, DIAG_ERROR, "%zu processes run a known engine: choose one with -p PID",
		 out->count);
	for (size_t i = 0; i < out->count; i++)
		diag_add(d, DIAG_NOTE, "%d %s (%s)", out->at[i].process.pid, out->at[i].command,
			 out->at[i].engine);
	return -E2BIG;
}
