/* SPDX-License-Identifier: Apache-2.0 */
/* Neuron profiles from files into a run of the common schema. */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trace/store.h"
#include "util/file.h"
#include "util/text.h"
#include "view/neuron/neuron.h"
#include "view/view.h"

enum { JSON_LIMIT = 256 * 1024 * 1024 };

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* "folder/context_encoding.json" to "context_encoding" */
static char *stem_of(const char *path)
{
	const char *base = base_name(path), *dot = strrchr(base, '.');

	return dot && dot > base ? xstrndup(base, (size_t)(dot - base)) : xstrdup(base);
}

static int read_json(struct neuron_set *s, const char *path, struct diag *d)
{
	struct buf text = {0};
	char *name = stem_of(path);
	int err = file_read(path, &text, JSON_LIMIT);

	if (err)
		diag_fail(d, err, "cannot read %s: %s", path, strerror(-err));
	else
		err = neuron_parse(s, name, buf_str(&text), d);
	free(name);
	buf_free(&text);
	return err;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* What the tool prints for one pair. */
static int run_tool(const char *neff, const char *ntff, struct buf *out, struct diag *d)
{
	char chunk[65536];
	int fds[2], status = 0;
	ssize_t n;
	pid_t pid;

	if (pipe(fds))
		return diag_fail(d, -errno, "cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execlp("neuron-profile", "neuron-profile", "view", "--output-format",
		       "summary-json", "-n", neff, "-s", ntff, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	while (pid > 0 &&
	       ((n = read(fds[0], chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR)))
		if (n > 0)
			buf_add(out, chunk, (size_t)n);
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return diag_fail(d, -errno, "cannot run neuron-profile: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return diag_fail(
			d, -ENOENT,
			"%s needs neuron-profile to be read, and it is not on PATH: install "
			"aws-neuronx-tools, or import its summary-json",
			ntff);
	if (status)
		return diag_fail(d, -EIO, "neuron-profile failed on %s", ntff);
	return 0;
}

/* The NEFF whose name is part of the NTFF's, or the only one. */
static const char *neff_for(const char *ntff, struct dirent **list, int n)
{
	const char *only = NULL;
	int neffs = 0;

	for (int i = 0; i < n; i++) {
		char *stem;
		bool match;

		if (!text_ends(list[i]->d_name, ".neff"))
			continue;
		neffs++;
		only = list[i]->d_name;
		stem = stem_of(only);
		match = strstr(ntff, stem) != NULL;
		free(stem);
		if (match)
			return only;
	}
	return neffs == 1 ? only : NULL;
}

static int read_pair(struct neuron_set *s, const char *dir, const char *neff, const char *ntff,
		     struct diag *d)
{
	char *neff_path, *ntff_path = xasprintf("%s/%s", dir, ntff), *name = stem_of(ntff);
	struct buf text = {0};
	int err;

	if (!neff) {
		diag_add(d, DIAG_WARNING, "%s: there is no .neff that belongs to it; left out",
			 ntff_path);
		free(ntff_path);
		free(name);
		return 0;
	}
	neff_path = xasprintf("%s/%s", dir, neff);
	err = run_tool(neff_path, ntff_path, &text, d);
	if (!err)
		err = neuron_parse(s, name, buf_str(&text), d);
	buf_free(&text);
	free(neff_path);
	free(ntff_path);
	free(name);
	return err;
}

/* A folder may hold other JSON files: those are left out, which is said. */
static int read_json_if_profile(struct neuron_set *s, const char *path, struct diag *d)
{
	struct diag *quiet = diag_new();
	int err = read_json(s, path, quiet);

	if (err == -EINVAL)
		diag_add(d, DIAG_WARNING, "%s is left out: %s", path, diag_first_error(quiet));
	else if (err)
		diag_fail(d, err, "%s", diag_first_error(quiet));
	diag_free(quiet);
	return err == -EINVAL ? 0 : err;
}

static int read_folder(struct neuron_set *s, const char *dir, struct diag *d)
{
	struct dirent **list;
	size_t before = s->count;
	int n = scandir(dir, &list, NULL, by_name), err = 0;

	if (n < 0)
		return diag_fail(d, -errno, "cannot read %s: %s", dir, strerror(errno));
	for (int i = 0; i < n && !err; i++) {
		const char *name = list[i]->d_name;
		char *path = xasprintf("%s/%s", dir, name);

		if (text_ends(name, ".json"))
			err = read_json_if_profile(s, path, d);
		else if (text_ends(name, ".ntff"))
			err = read_pair(s, dir, neff_for(name, list, n), name, d);
		free(path);
	}
	for (int i = 0; i < n; i++)
		free(list[i]);
	free(list);
	if (!err && s->count == before)
		err = diag_fail(d, -ENOENT,
				"%s holds neither .json files nor pairs of .neff and .ntff", dir);
	return err;
}

int neuron_read(struct neuron_set *s, const char *path, struct diag *d)
{
	struct stat st;

	if (stat(path, &st))
		return diag_fail(d, -errno, "cannot read %s: %s", path, strerror(errno));
	return S_ISDIR(st.st_mode) ? read_folder(s, path, d) : read_json(s, path, d);
}

static int exec(sqlite3 *db, struct diag *d, const char *sql, ...)
{
	va_list ap;
	char *text;
	int err = 0;

	va_start(ap, sql);
	text = sqlite3_vmprintf(sql, ap);
	va_end(ap);
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		err = diag_fail(d, -EIO, "cannot write the run: %s", sqlite3_errmsg(db));
	sqlite3_free(text);
	return err;
}

/* The parts of a core that work at the same time: each is a worker with one operator. */
static const struct engine {
	const char *title, *op, *active, *count, *flops, *bytes[2];
} engines[] = {
	{"tensor engine",
	 "TENSOR_ENGINE",
	 "tensor_engine_active_time",
	 "tensor_engine_instruction_count",
	 "hardware_flops",
	 {NULL, NULL}},
	{"vector engine",
	 "VECTOR_ENGINE",
	 "vector_engine_active_time",
	 "vector_engine_instruction_count",
	 NULL,
	 {NULL, NULL}},
	{"scalar engine",
	 "SCALAR_ENGINE",
	 "scalar_engine_active_time",
	 "scalar_engine_instruction_count",
	 NULL,
	 {NULL, NULL}},
	{"GPSIMD engine",
	 "GPSIMD_ENGINE",
	 "gpsimd_engine_active_time",
	 "gpsimd_engine_instruction_count",
	 NULL,
	 {NULL, NULL}},
	{"DMA",
	 "DMA",
	 "dma_active_time",
	 "dma_transfer_count",
	 NULL,
	 {"hbm_read_bytes", "hbm_write_bytes"}},
	{"collectives", "COLLECTIVES", "cc_op_active_time", "cc_op_count", NULL, {NULL, NULL}},
};

/* Given in seconds, or only as a share of the whole. */
static bool active_time(const struct neuron_profile *p, const char *name, double *seconds)
{
	char *percent = xasprintf("%s_percent", name);
	double total;
	bool known = neuron_metric(p, name, seconds);

	if (!known && neuron_metric(p, "total_time", &total) &&
	    neuron_metric(p, percent, seconds)) {
		*seconds *= total;
		known = true;
	}
	free(percent);
	return known;
}

static int store_engine(sqlite3 *db, const struct neuron_profile *p, int row, size_t e,
			struct diag *d)
{
	const struct engine *x = &engines[e];
	int tensor = row * 100 + (int)e + 1, tid = (int)e + 1, err;
	double active, count = 1, flops = 0, bytes = 0, v;
	int64_t ns;

	if (!active_time(p, x->active, &active))
		return 0;
	neuron_metric(p, x->count, &count);
	if (x->flops)
		neuron_metric(p, x->flops, &flops);
	for (int i = 0; i < 2 && x->bytes[i]; i++)
		if (neuron_metric(p, x->bytes[i], &v))
			bytes += v;
	ns = (int64_t)(active * 1e9 + 0.5);
	err = exec(db, d,
		   "INSERT OR REPLACE INTO thread_t(tid, pid, name) VALUES(%d, 1, %Q);"
		   "INSERT INTO tensor_t(id, name, op, flops, bytes, kind) VALUES(%d, '%q, %q', "
		   "%Q, %!.17g, %!.17g, 'activation');"
		   "INSERT INTO op_sum_t(tensor_id, tid, thread_index, count, compute_ns) "
		   "VALUES(%d, %d, %d, 1, %lld);"
		   "INSERT INTO op_phase_t(phase, tensor_id, tid, thread_index, count, "
		   "compute_ns, wait_ns, wait_known) VALUES(%Q, %d, %d, %d, 1, %lld, 0, 0);",
		   tid, x->title, tensor, p->name, x->title, x->op, flops, bytes, tensor, tid,
		   (int)e, ns, neuron_phase(p->name), tensor, tid, (int)e, ns);
	return err;
}

static int store_profile(sqlite3 *db, const struct neuron_profile *p, int row, int64_t *now,
			 struct diag *d)
{
	cJSON *copy = cJSON_Duplicate(p->metrics, true);
	double total = 0;
	int64_t end;
	char *text;
	int err;

	cJSON_DeleteItemFromObject(copy, "profile_name");
	cJSON_AddStringToObject(copy, "profile_name", p->name);
	text = cJSON_PrintUnformatted(copy);
	cJSON_Delete(copy);
	neuron_metric(p, "total_time", &total);
	end = *now + (int64_t)(total * 1e9 + 0.5);
	err = exec(db, d,
		   "INSERT INTO run_t VALUES('neuron.profile.%d', %Q);"
		   "INSERT INTO token_t(id, begin_ns, end_ns, pid, tid, phase) VALUES(%d, %lld, "
		   "%lld, 1, 1, %Q);"
		   "INSERT INTO graph_t(id, token_id, begin_ns, end_ns, pid, tid, backend) "
		   "VALUES(%d, %d, %lld, %lld, 1, 1, 'Neuron');",
		   row, text, row, *now, end, neuron_phase(p->name), row, row, *now, end);
	free(text);
	for (size_t e = 0; e < ARRAY_LEN(engines) && !err; e++)
		err = store_engine(db, p, row, e, d);
	*now = end;
	return err;
}

static int store_all(sqlite3 *db, const struct neuron_set *s, struct diag *d)
{
	char *schema = data_file_read("host/trace/schema.sql");
	int64_t now = 0;
	int err = exec(db, d, "%s", "BEGIN");

	if (!err)
		err = exec(db, d, "PRAGMA application_id = %d; PRAGMA user_version = %d; %s",
			   STORE_APPLICATION_ID, STORE_VERSION, schema ? schema : "");
	free(schema);
	for (size_t i = 0; i < s->count && !err; i++)
		err = store_profile(db, &s->profiles[i], (int)i + 1, &now, d);
	if (err)
		return err;
	return exec(db, d,
		    "INSERT INTO run_t VALUES('engine', 'AWS Neuron'), ('tool_version', %Q), "
		    "('complete', '1'), ('begin_ns', '0'), ('end_ns', '%lld'); COMMIT",
		    LLMPROBE_VERSION, now);
}

static void warn_of_guesses(const struct neuron_set *s, struct diag *d)
{
	for (size_t i = 0; i < s->count; i++)
		if (!s->profiles[i].scale_known)
			diag_add(d, DIAG_WARNING,
				 "%s: no engine has both a time and a percentage, so whether "
				 "percentages are fractions was guessed from their size (taken as "
				 "%s)",
				 s->profiles[i].name,
				 s->profiles[i].scale == 1 ? "fractions" : "percent");
}

/* Ranks of one model lack the same. */
static void tell_gaps(const struct neuron_set *s, struct diag *d)
{
	struct buf now = {0}, before = {0};

	for (size_t i = 0; i < s->count; i++) {
		buf_reset(&now);
		neuron_gaps(&s->profiles[i], &now);
		if (now.len && strcmp(buf_str(&now), buf_str(&before)) != 0)
			diag_add(d, DIAG_NOTE, "%s has no %s; what needs that shows as -",
				 s->profiles[i].name, buf_str(&now));
		buf_reset(&before);
		buf_puts(&before, buf_str(&now));
	}
	buf_free(&now);
	buf_free(&before);
}

static int check_output(const char *output, bool force, struct diag *d)
{
	if (file_is_special(output))
		return diag_fail(d, -EINVAL, "%s is a device or a pipe; a run is a file", output);
	if (force || access(output, F_OK) != 0)
		return 0;
	return diag_fail(d, -EEXIST, "%s exists; use --force to replace it", output);
}

int neuron_store(const struct neuron_set *s, const char *output, bool force, struct diag *d)
{
	int err = check_output(output, force, d);
	sqlite3 *db = NULL;
	char *temporary;

	if (err)
		return err;
	temporary = xasprintf("%s.%ld.part", output, (long)getpid());
	unlink(temporary);
	if (sqlite3_open(temporary, &db) != SQLITE_OK)
		err = diag_fail(d, -EIO, "cannot write %s: %s", output, sqlite3_errmsg(db));
	else
		err = store_all(db, s, d);
	sqlite3_close(db);
	if (!err && rename(temporary, output))
		err = diag_fail(d, -errno, "cannot write %s: %s", output, strerror(errno));
	if (err)
		unlink(temporary);
	else
		warn_of_guesses(s, d);
	free(temporary);
	return err;
}

int neuron_import(char *const *paths, size_t n, const char *output, bool force, struct diag *d)
{
	struct neuron_set s = {0};
	int err = check_output(output, force, d);

	for (size_t i = 0; i < n && !err; i++)
		err = neuron_read(&s, paths[i], d);
	if (!err)
		err = neuron_store(&s, output, force, d);
	if (!err) {
		tell_gaps(&s, d);
		diag_add(d, DIAG_NOTE, "%s: %zu profile%s", output, s.count,
			 s.count == 1 ? "" : "s");
	}
	neuron_set_free(&s);
	return err;
}

static bool figure_name(const char *text, size_t len)
{
	return len && len < 64 && strspn(text, "abcdefghijklmnopqrstuvwxyz_0123456789") == len;
}

int neuron_add_figures(const char *output, char *const *figures, size_t n, struct diag *d)
{
	sqlite3 *db = NULL;
	int err = 0;

	if (n && sqlite3_open_v2(output, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		err = diag_fail(d, -EIO, "cannot write %s: %s", output, sqlite3_errmsg(db));
	for (size_t i = 0; i < n && !err; i++) {
		size_t len = strcspn(figures[i], "=");
		char *end = NULL;

		if (figures[i][len])
			strtod(figures[i] + len + 1, &end);
		if (!figure_name(figures[i], len) || !end || end == figures[i] + len + 1)
			err = diag_fail(d, -EINVAL,
					"'%s' is no figure; write it like throughput=3.07 or "
					"'throughput=3.07 q/s', the name in small letters",
					figures[i]);
		else
			err = exec(db, d, "INSERT OR REPLACE INTO run_t VALUES('figure.%.*q', %Q)",
				   (int)len, figures[i], figures[i] + len + 1);
	}
	sqlite3_close(db);
	return err;
}
