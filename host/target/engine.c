/* SPDX-License-Identifier: Apache-2.0 */
/* The set of known engines: shipped files, then the user's. */
#include "target/engine.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/file.h"
#include "util/text.h"

struct engine_set {
	struct engine **at;
	size_t count, cap;
};

enum { USER_FILE_MAX = 2 << 20 };

size_t engine_count(const struct engine_set *s)
{
	return s->count;
}

const struct engine *engine_at(const struct engine_set *s, size_t i)
{
	return i < s->count ? s->at[i] : NULL;
}

static size_t index_of(const struct engine_set *s, const char *name)
{
	size_t i = 0;

	while (i < s->count && strcmp(s->at[i]->name, name))
		i++;
	return i;
}

const struct engine *engine_by_name(const struct engine_set *s, const char *name)
{
	return engine_at(s, index_of(s, name));
}

bool engine_names_file(const struct engine *e, const char *file_name)
{
	for (char **glob = e->files; glob && *glob; glob++)
		if (!fnmatch(*glob, file_name, 0))
			return true;
	return false;
}

void engine_set_free(struct engine_set *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		engine_free(s->at[i]);
	free(s->at);
	free(s);
}

static void add_engine(struct engine_set *s, struct engine *e)
{
	size_t i = index_of(s, e->name);

	if (i < s->count) {
		engine_free(s->at[i]);
		s->at[i] = e;
	} else {
		*VEC_PUSH(s->at, s->count, s->cap) = e;
	}
}

struct loader {
	struct engine_set *set;
	struct diag *d;
	bool failed;
};

static void load_text(struct loader *l, const char *name, const char *text, size_t len)
{
	struct engine *e = engine_parse(name, text, len, l->d);

	if (e)
		add_engine(l->set, e);
	else
		l->failed = true;
}

static void load_shipped(void *ctx, const char *path)
{
	struct loader *l = ctx;
	char *text;

	if (!text_ends(path, ".yaml"))
		return;
	text = data_file_read(path);
	if (text)
		load_text(l, path, text, strlen(text));
	free(text);
}

static int is_engine_file(const struct dirent *e)
{
	return e->d_name[0] != '.' && text_ends(e->d_name, ".yaml");
}

static void load_folder(struct loader *l, const char *dir)
{
	struct dirent **names;
	int n = scandir(dir, &names, is_engine_file, alphasort);

	if (n < 0) {
		if (errno != ENOENT) {
			diag_fail(l->d, -errno, "%s: %s", dir, strerror(errno));
			l->failed = true;
		}
		return;
	}
	for (int i = 0; i < n; i++) {
		char *path = xasprintf("%s/%s", dir, names[i]->d_name);
		struct buf text = {0};
		int err = file_read(path, &text, USER_FILE_MAX);

		if (err) {
			diag_fail(l->d, err, "%s: %s", path, strerror(-err));
			l->failed = true;
		} else {
			load_text(l, path, buf_str(&text), text.len);
		}
		buf_free(&text);
		free(path);
		free(names[i]);
	}
	free(names);
}

/* $XDG_CONFIG_HOME/llmprobe/engines, else ~/.config/...; NULL when neither is set. */
static char *default_folder(void)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (config && *config)
		return xasprintf("%s/llmprobe/engines", config);
	if (home && *home)
		return xasprintf("%s/.config/llmprobe/engines", home);
	return NULL;
}

struct engine_set *engine_set_load(const char *user_dir, struct diag *d)
{
	struct loader l = {.set = xcalloc(1, sizeof(struct engine_set)), .d = d};
	char *dir = user_dir ? xstrdup(user_dir) : default_folder();

	data_file_each("yaml/engines/", load_shipped, &l);
	if (dir)
		load_folder(&l, dir);
	free(dir);
	if (!l.failed)
		return l.set;
	engine_set_free(l.set);
	return NULL;
}
