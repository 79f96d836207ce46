/* SPDX-License-Identifier: Apache-2.0 */
#include "target/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/file.h"
#include "util/text.h"

enum { STAT_MAX = 4096, CMDLINE_MAX = 1 << 20, KTHREAD_FLAG = 0x00200000, LOADING_S = 3 };

/* What is used of /proc/PID/stat. */
struct stat_line {
	char comm[16];
	char state;
	pid_t ppid;
	unsigned long flags;
	int cpu;
	uint64_t start_ticks;
};

static int read_proc(struct buf *out, size_t limit, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int read_proc(struct buf *out, size_t limit, const char *fmt, ...)
{
	char path[96];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	return file_read(path, out, limit);
}

static void copy_comm(char out[16], const char *s, size_t len)
{
	memset(out, 0, 16);
	memcpy(out, s, len < 15 ? len : 15);
}

/* The name in parentheses may itself hold any character, so the last ')' ends it. */
static int parse_stat(const char *text, struct stat_line *out)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	int field = 3;
	char *save = NULL, *rest, *word;

	if (!open || !close || close < open)
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	copy_comm(out->comm, open + 1, close - open - 1);
	rest = xstrdup(close + 1);
	for (word = strtok_r(rest, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		if (field == 3)
			out->state = word[0];
		else if (field == 4)
			out->ppid = atoi(word);
		else if (field == 9)
			out->flags = strtoul(word, NULL, 10);
		else if (field == 22)
			out->start_ticks = strtoull(word, NULL, 10);
		else if (field == 39)
			out->cpu = atoi(word);
		field++;
	}
	free(rest);
	return field > 22 ? 0 : -EINVAL;
}

static int read_stat(pid_t pid, pid_t tid, struct stat_line *out)
{
	struct buf text = {0};
	int err = tid ? read_proc(&text, STAT_MAX, "/proc/%d/task/%d/stat", pid, tid)
		      : read_proc(&text, STAT_MAX, "/proc/%d/stat", pid);

	if (!err)
		err = parse_stat(buf_str(&text), out);
	buf_free(&text);
	return err;
}

/* The number after "name:" in /proc/PID/status, 0 when there is none. */
static uint64_t status_number(pid_t pid, const char *name, int base)
{
	struct buf text = {0};
	uint64_t value = 0;
	char *at;

	if (!read_proc(&text, 1 << 20, "/proc/%d/status", pid)) {
		at = strstr(buf_str(&text), name);
		if (at && (at == text.data || at[-1] == '\n'))
			value = strtoull(at + strlen(name), NULL, base);
	}
	buf_free(&text);
	return value;
}

int process_explain_access(pid_t pid, int err, const char *what, struct diag *d)
{
	uint64_t caps = status_number(getpid(), "CapEff:", 16);
	bool ptrace = caps & (1ULL << CAP_SYS_PTRACE);
	bool all_files = caps & (1ULL << CAP_DAC_READ_SEARCH | 1ULL << CAP_DAC_OVERRIDE);
	struct stat st;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	if (stat(path, &st))
		return diag_fail(d, err, "%s of process %d cannot be read: %s", what, pid,
				 strerror(-err));
	if (ptrace && err == -EACCES && !all_files)
		return diag_fail(
			d, err,
			"%s of process %d (uid %u) cannot be read: it, or a folder on the way "
			"to it, is closed to others and CAP_DAC_READ_SEARCH is missing",
			what, pid, st.st_uid);
	if (ptrace)
		return diag_fail(
			d, err,
			"%s of process %d (uid %u) cannot be read although this process has "
			"CAP_SYS_PTRACE: a security module or another user namespace forbids it",
			what, pid, st.st_uid);
	return diag_fail(
		d, err,
		"%s of process %d (uid %u) cannot be read: CAP_SYS_PTRACE is missing; run as "
		"root or give llmprobe the capabilities cap_bpf,cap_perfmon,cap_sys_ptrace",
		what, pid, st.st_uid);
}

/* Why /proc/PID/stat could not be read. */
static int explain_missing(pid_t pid, int err, struct diag *d)
{
	if (err != -ENOENT && err != -ESRCH && err != -EACCES && err != -EPERM)
		return diag_fail(d, err, "process %d cannot be looked at: %s", pid, strerror(-err));
	if (err == -EACCES || err == -EPERM || (!kill(pid, 0) || errno == EPERM))
		return diag_fail(
			d, -EACCES,
			"process %d exists but /proc hides it (mounted with hidepid): run as root",
			pid);
	return diag_fail(d, -ESRCH, "no process with id %d", pid);
}

int process_find(pid_t pid, struct process *out, struct diag *d)
{
	struct stat_line st;
	pid_t tgid;
	int err;

	if (pid <= 0)
		return diag_fail(d, -EINVAL, "%d is no process id", pid);
	tgid = (pid_t)status_number(pid, "Tgid:", 10);
	if (tgid > 0)
		pid = tgid;
	err = read_stat(pid, 0, &st);
	if (err)
		return explain_missing(pid, err, d);
	if (st.state == 'Z' || st.state == 'X')
		return diag_fail(d, -ESRCH, "process %d (%s) has already ended", pid, st.comm);
	if (st.flags & KTHREAD_FLAG)
		return diag_fail(d, -ENOTSUP, "process %d (%s) is a kernel thread", pid, st.comm);
	out->pid = pid;
	out->start_ticks = st.start_ticks;
	memcpy(out->comm, st.comm, sizeof(out->comm));
	return 0;
}

bool process_alive(const struct process *p)
{
	struct stat_line st;

	return !read_stat(p->pid, 0, &st) && st.start_ticks == p->start_ticks && st.state != 'Z' &&
	       st.state != 'X';
}

bool process_may_load(const struct process *p)
{
	struct timespec now;
	long hz = sysconf(_SC_CLK_TCK);

	if (hz <= 0 || clock_gettime(CLOCK_BOOTTIME, &now) != 0 || !process_alive(p))
		return false;
	return (uint64_t)now.tv_sec < p->start_ticks / (uint64_t)hz + LOADING_S;
}

char process_state(pid_t pid)
{
	struct stat_line st;

	return read_stat(pid, 0, &st) ? 'X' : st.state;
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

/* The numeric names in a folder of /proc, ascending. */
static int list_numbers(const char *path, pid_t **out, size_t *n)
{
	DIR *dir = opendir(path);
	size_t cap = 0;
	struct dirent *e;

	*out = NULL;
	*n = 0;
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((e = readdir(dir)))
		if (isdigit((unsigned char)e->d_name[0]))
			*VEC_PUSH(*out, *n, cap) = atoi(e->d_name);
	closedir(dir);
	if (*n)
		qsort(*out, *n, sizeof(**out), compare_pids);
	return 0;
}

int process_threads(pid_t pid, pid_t **out, size_t *n)
{
	char path[48];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return list_numbers(path, out, n);
}

/* Kernels without CONFIG_PROC_CHILDREN: look at everybody's parent. */
static int children_by_scan(pid_t pid, pid_t **out, size_t *n)
{
	size_t all_n, cap = 0;
	pid_t *all;
	int err = list_numbers("/proc", &all, &all_n);

	for (size_t i = 0; !err && i < all_n; i++) {
		struct stat_line st;

		if (!read_stat(all[i], 0, &st) && st.ppid == pid)
			*VEC_PUSH(*out, *n, cap) = all[i];
	}
	free(all);
	return err;
}

int process_children(pid_t pid, pid_t **out, size_t *n)
{
	size_t tids_n, cap = 0;
	pid_t *tids;
	int err;

	*out = NULL;
	*n = 0;
	err = process_threads(pid, &tids, &tids_n);
	for (size_t i = 0; !err && i < tids_n; i++) {
		struct buf text = {0};
		char *save = NULL;

		err = read_proc(&text, 0, "/proc/%d/task/%d/children", pid, tids[i]);
		for (char *w = err || !text.len ? NULL : strtok_r(text.data, " \n", &save); w;
		     w = strtok_r(NULL, " \n", &save))
			*VEC_PUSH(*out, *n, cap) = atoi(w);
		buf_free(&text);
		/* A thread that ended meanwhile; but a file that never existed means: scan. */
		if (err == -ENOENT && i == 0 && tids[i] == pid && process_state(pid) != 'X') {
			free(tids);
			return children_by_scan(pid, out, n);
		}
		err = 0;
	}
	free(tids);
	if (*n)
		qsort(*out, *n, sizeof(**out), compare_pids);
	return err;
}

int process_tree(pid_t pid, pid_t **out, size_t *n)
{
	size_t cap = 0;

	*out = NULL;
	*n = 0;
	*VEC_PUSH(*out, *n, cap) = pid;
	for (size_t i = 0; i < *n; i++) {
		size_t kids_n;
		pid_t *kids;

		if (!process_children((*out)[i], &kids, &kids_n))
			for (size_t k = 0; k < kids_n; k++)
				*VEC_PUSH(*out, *n, cap) = kids[k];
		free(kids);
	}
	qsort(*out, *n, sizeof(**out), compare_pids);
	return 0;
}

int process_thread(pid_t pid, pid_t tid, struct process_thread *out)
{
	struct buf text = {0};
	struct stat_line st;
	int err = read_stat(pid, tid, &st);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	memset(out, 0, sizeof(*out));
	out->tid = tid;
	memcpy(out->comm, st.comm, sizeof(out->comm));
	out->state = st.state;
	out->cpu = st.cpu;
	if (!read_proc(&text, 256, "/proc/%d/task/%d/schedstat", pid, tid) &&
	    sscanf(buf_str(&text), "%" SCNu64 " %" SCNu64 " %" SCNu64, &out->run_ns, &out->wait_ns,
		   &out->slices) != 3)
		out->run_ns = out->wait_ns = out->slices = 0;
	buf_free(&text);
	return 0;
}

/* One argument, quoted when a shell would split or expand it. */
static void add_quoted(struct buf *out, const char *arg)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "%+,-./:=@_";

	if (*arg && strspn(arg, safe) == strlen(arg)) {
		buf_puts(out, arg);
		return;
	}
	buf_putc(out, '\'');
	for (; *arg; arg++) {
		if (*arg == '\'')
			buf_puts(out, "'\\''");
		else
			buf_putc(out, *arg);
	}
	buf_putc(out, '\'');
}

char *process_command(pid_t pid)
{
	struct buf raw = {0}, line = {0};
	struct stat_line st;

	if (!read_proc(&raw, CMDLINE_MAX, "/proc/%d/cmdline", pid) && raw.len) {
		for (size_t at = 0; at < raw.len; at += strlen(raw.data + at) + 1) {
			if (at)
				buf_putc(&line, ' ');
			add_quoted(&line, raw.data + at);
		}
	} else {
		buf_printf(&line, "[%s]", read_stat(pid, 0, &st) ? "?" : st.comm);
	}
	buf_free(&raw);
	return buf_take(&line);
}

char *process_exe(pid_t pid)
{
	static const char deleted[] = " (deleted)";
	char link[48], path[4096];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	len = readlink(link, path, sizeof(path) - 1);
	if (len <= 0)
		return NULL;
	path[len] = '\0';
	if (text_ends(path, deleted))
		path[len - (ssize_t)strlen(deleted)] = '\0';
	return xstrdup(path);
}

pid_t process_ns_pid(pid_t pid)
{
	struct buf text = {0};
	pid_t last = pid;
	char *at;

	if (!read_proc(&text, 1 << 20, "/proc/%d/status", pid) &&
	    (at = strstr(buf_str(&text), "\nNSpid:"))) {
		at += strlen("\nNSpid:");
		while (*at == '\t' || *at == ' ')
			last = (pid_t)strtol(at, &at, 10);
	}
	buf_free(&text);
	return last;
}
