/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tracer: a process of its own that holds targets at fork, exec and new mappings.
 *
 * ptrace gives fork and exec. For mappings a four-instruction BPF program on the function that
 * loaders call for debuggers before and after each change sends the calling thread a SIGSTOP. The
 * tracer takes that signal away again, so nobody else ever sees it: no group stop, no SIGCHLD to
 * the parent, the other threads run on. Any program of ours may stop a thread so. A process of its
 * own because waiting for tracees must not take the tool's children, and because its death, wanted
 * or not, lets the targets run on.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/sys.h"
#include "target/elf.h"
#include "target/mapping.h"
#include "target/process.h"
#include "target/watch_impl.h"

enum {
	TRACE_OPTIONS =
		PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE,
	HELPER_SEND_SIGNAL_THREAD = 117,
	SI_FROM_KERNEL = 0x80,
	DRAIN_MS = 20,
};

enum tracee_state { RUNNING, INTERRUPTING, HELD };

struct tracee {
	pid_t tid, tgid;
	enum tracee_state state;
};

/* What a process had mapped when it was last looked at. */
struct image {
	pid_t pid;
	uint64_t hash;
	int link_fd; /* the probe in its loader, -1 for none */
};

struct tracer {
	int fd, signal_fd, prog_fd;
	struct tracee *tracees;
	size_t n_tracees, cap_tracees;
	struct image *images;
	size_t n_images, cap_images;
	struct diag *quiet;
};

static struct tracee *find_tracee(struct tracer *t, pid_t tid)
{
	for (size_t i = 0; i < t->n_tracees; i++)
		if (t->tracees[i].tid == tid)
			return &t->tracees[i];
	return NULL;
}

static pid_t tgid_of(pid_t tid)
{
	char path[48], line[128];
	pid_t tgid = tid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Tgid: %d", &tgid) == 1)
			break;
	if (f)
		fclose(f);
	return tgid;
}

static struct tracee *add_tracee(struct tracer *t, pid_t tid)
{
	struct tracee *e = VEC_PUSH(t->tracees, t->n_tracees, t->cap_tracees);

	e->tid = tid;
	e->tgid = tgid_of(tid);
	return e;
}

static void drop_tracee(struct tracer *t, pid_t tid)
{
	struct tracee *e = find_tracee(t, tid);

	if (e)
		*e = t->tracees[--t->n_tracees];
}

static struct image *image_of(struct tracer *t, pid_t pid)
{
	struct image *im;

	for (size_t i = 0; i < t->n_images; i++)
		if (t->images[i].pid == pid)
			return &t->images[i];
	im = VEC_PUSH(t->images, t->n_images, t->cap_images);
	im->pid = pid;
	im->link_fd = -1;
	return im;
}

/* r1 = SIGSTOP; call bpf_send_signal_thread; r0 = 0; exit */
static int load_stopper(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_1, .imm = SIGSTOP},
		{.code = BPF_JMP | BPF_CALL, .imm = HELPER_SEND_SIGNAL_THREAD},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct prog_spec spec = {
		.type = BPF_PROG_TYPE_KPROBE,
		.attach_type = ATTACH_UPROBE_MULTI,
		.insns = insns,
		.n_insns = ARRAY_LEN(insns),
		.licence = "Dual BSD/GPL",
		.name = "llmprobe_hold",
	};
	int fd = sys_prog_load(&spec);

	if (fd >= 0)
		return fd;
	/* Kernels before 6.6 do not know that attach type; perf events serve there. */
	spec.attach_type = 0;
	return sys_prog_load(&spec);
}

static int attach_multi(int prog_fd, const char *path, uint64_t offset, pid_t pid)
{
	struct uprobe_multi_attr attr = {
		.prog_fd = (uint32_t)prog_fd,
		.attach_type = ATTACH_UPROBE_MULTI,
		.path = (uint64_t)(uintptr_t)path,
		.offsets = (uint64_t)(uintptr_t)&offset,
		.cnt = 1,
		.pid = (uint32_t)pid,
	};

	return sys_bpf(BPF_LINK_CREATE, &attr, sizeof(attr));
}

static uint32_t uprobe_pmu(void)
{
	FILE *f = fopen("/sys/bus/event_source/devices/uprobe/type", "re");
	uint32_t type = 0;

	if (f && fscanf(f, "%u", &type) != 1)
		type = 0;
	if (f)
		fclose(f);
	return type;
}

static int attach_perf(int prog_fd, const char *path, uint64_t offset, pid_t pid)
{
	struct perf_event_attr attr = {.size = sizeof(attr), .type = uprobe_pmu()};
	int fd;

	attr.uprobe_path = (uint64_t)(uintptr_t)path;
	attr.probe_offset = offset;
	fd = attr.type ? sys_perf_event_open(&attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC) : -ENOTSUP;
	if (fd >= 0 && ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog_fd)) {
		close(fd);
		return -ENOTSUP;
	}
	return fd;
}

/* Both glibc and musl call this function around each change of what is loaded. */
static bool find_hook(int fd, const char *path, struct diag *quiet, uint64_t *offset)
{
	struct elf *elf = elf_open_fd(fd, path, quiet);
	struct elf_symbol sym;
	bool found = elf && elf_find(elf, "_dl_debug_state", &sym) &&
		     elf_vaddr_to_offset(elf, sym.vaddr, offset);

	elf_close(elf);
	return found;
}

static bool may_be_loader(const struct mapping *m)
{
	const char *slash = strrchr(m->path, '/');
	const char *name = slash ? slash + 1 : m->path;

	return !strncmp(name, "ld", 2) || !strncmp(name, "libc.", 5);
}

static int attach_to_file(const struct tracer *t, pid_t pid, const struct mapping *m)
{
	struct mapped_file file;
	uint64_t offset;
	int fd = -1;

	if (!may_be_loader(m) || mapping_open(pid, m, &file, t->quiet))
		return -1;
	if (find_hook(file.fd, m->path, t->quiet, &offset)) {
		fd = attach_multi(t->prog_fd, file.open_path, offset, pid);
		if (fd < 0)
			fd = attach_perf(t->prog_fd, file.open_path, offset, pid);
	}
	mapped_file_close(&file);
	return fd;
}

static uint64_t hash_mappings(const struct mapping_list *l)
{
	uint64_t h = 0;

	/* Order does not matter: sum of mixed inode numbers. */
	for (size_t i = 0; i < l->count; i++)
		h += (l->at[i].ino ^ ((uint64_t)l->at[i].dev << 40)) * 0x9e3779b97f4a7c15ULL;
	return h;
}

/* Puts the probe into the loader of a process that has a new image. */
static void prepare_image(struct tracer *t, pid_t pid)
{
	struct image *im = image_of(t, pid);
	struct mapping_list maps;

	if (mapping_list_read(pid, &maps, t->quiet))
		return;
	if (im->link_fd >= 0)
		close(im->link_fd);
	im->link_fd = -1;
	for (size_t i = 0; i < maps.count && im->link_fd < 0 && t->prog_fd >= 0; i++)
		im->link_fd = attach_to_file(t, pid, &maps.at[i]);
	im->hash = hash_mappings(&maps);
	mapping_list_free(&maps);
	diag_clear(t->quiet);
}

/* True when files were mapped since the last look. */
static bool image_changed(struct tracer *t, pid_t pid)
{
	struct image *im = image_of(t, pid);
	struct mapping_list maps;
	uint64_t before = im->hash;

	if (!mapping_list_read(pid, &maps, t->quiet))
		im->hash = hash_mappings(&maps);
	mapping_list_free(&maps);
	diag_clear(t->quiet);
	return im->hash != before;
}

static void go_on(struct tracee *e, int signal)
{
	e->state = RUNNING;
	ptrace(PTRACE_CONT, e->tid, 0, signal);
}

static void send_event(const struct tracer *t, enum watch_kind kind, const struct tracee *e,
		       pid_t parent, bool held)
{
	struct tracer_message m = {.kind = TRACER_EVENT};

	m.event = (struct watch_event){
		.kind = kind, .pid = e->tgid, .tid = e->tid, .parent = parent, .held = held};
	if (send(t->fd, &m, sizeof(m), MSG_NOSIGNAL) != sizeof(m))
		return;
}

static void hold(const struct tracer *t, struct tracee *e, enum watch_kind kind, pid_t parent)
{
	e->state = HELD;
	send_event(t, kind, e, parent, true);
}

static pid_t parent_of(pid_t pid)
{
	char path[48], line[512];
	const char *close_paren;
	pid_t ppid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (f && fgets(line, sizeof(line), f) && (close_paren = strrchr(line, ')')))
		sscanf(close_paren + 1, " %*c %d", &ppid);
	if (f)
		fclose(f);
	return ppid;
}

/* The first stop of a task that fork, vfork or clone made. */
static void on_new_task(struct tracer *t, pid_t tid)
{
	struct tracee *e = add_tracee(t, tid);

	if (e->tgid != tid) {
		go_on(e, 0);
		return;
	}
	prepare_image(t, tid);
	hold(t, e, WATCH_FORK, parent_of(tid));
}

/* execve leaves one thread, under the process's id. */
static void on_exec(struct tracer *t, struct tracee *e)
{
	pid_t tgid = e->tgid;

	for (size_t i = 0; i < t->n_tracees;) {
		if (t->tracees[i].tgid == tgid && t->tracees[i].tid != tgid)
			t->tracees[i] = t->tracees[--t->n_tracees];
		else
			i++;
	}
	prepare_image(t, tgid);
	e = find_tracee(t, tgid);
	if (e)
		hold(t, e, WATCH_EXEC, 0);
}

static bool is_our_stop(pid_t tid, int signal)
{
	siginfo_t si;

	return signal == SIGSTOP && !ptrace(PTRACE_GETSIGINFO, tid, 0, &si) &&
	       si.si_code == SI_FROM_KERNEL;
}

static bool stops_group(int signal)
{
	return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

/*
 * A signal is about to be delivered. Ours is swallowed; the thread is held in a stop of another
 * kind, in which the tracer's death cannot let the signal through.
 */
static void on_signal(struct tracee *e, int signal)
{
	if (!is_our_stop(e->tid, signal)) {
		go_on(e, signal);
		return;
	}
	ptrace(PTRACE_INTERRUPT, e->tid, 0, 0);
	go_on(e, 0);
	e->state = INTERRUPTING;
}

static void on_event_stop(struct tracer *t, struct tracee *e, int signal)
{
	if (stops_group(signal)) {
		ptrace(PTRACE_LISTEN, e->tid, 0, 0);
	} else if (e->state == INTERRUPTING) {
		hold(t, e, image_changed(t, e->tgid) ? WATCH_MAP : WATCH_STOP, 0);
	} else if (e->state != HELD) {
		go_on(e, 0);
	}
}

static void on_stop(struct tracer *t, pid_t tid, int status)
{
	struct tracee *e = find_tracee(t, tid);
	int event = status >> 16;

	if (!e) {
		on_new_task(t, tid);
		return;
	}
	if (event == PTRACE_EVENT_EXEC)
		on_exec(t, e);
	else if (event == PTRACE_EVENT_STOP)
		on_event_stop(t, e, WSTOPSIG(status));
	else if (event)
		go_on(e, 0);
	else
		on_signal(e, WSTOPSIG(status));
}

static void on_end(struct tracer *t, pid_t tid)
{
	struct tracee *e = find_tracee(t, tid);
	struct image *im;

	if (e && e->tid == e->tgid) {
		im = image_of(t, tid);
		if (im->link_fd >= 0)
			close(im->link_fd);
		*im = t->images[--t->n_images];
		send_event(t, WATCH_EXIT, e, 0, false);
	}
	drop_tracee(t, tid);
}

static void collect(struct tracer *t)
{
	struct signalfd_siginfo ignored;
	int status;
	pid_t tid;

	while (read(t->signal_fd, &ignored, sizeof(ignored)) > 0)
		;
	while ((tid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
		if (WIFSTOPPED(status))
			on_stop(t, tid, status);
		else
			on_end(t, tid);
	}
}

/* False when the tool is gone. */
static bool obey(struct tracer *t)
{
	struct tracer_message m;
	ssize_t n = recv(t->fd, &m, sizeof(m), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n != sizeof(m))
		return false;
	for (size_t i = 0; m.kind == TRACER_RESUME && i < t->n_tracees; i++)
		if (t->tracees[i].tgid == m.event.pid && t->tracees[i].state == HELD)
			go_on(&t->tracees[i], 0);
	return true;
}

/* A last look: a thread that the probe has just stopped must not stay so. */
static void let_go(struct tracer *t)
{
	struct pollfd p = {.fd = t->signal_fd, .events = POLLIN};

	for (size_t i = 0; i < t->n_images; i++)
		if (t->images[i].link_fd >= 0)
			close(t->images[i].link_fd);
	t->prog_fd = -1;
	while (poll(&p, 1, DRAIN_MS) > 0)
		collect(t);
	for (size_t i = 0; i < t->n_tracees; i++)
		ptrace(PTRACE_DETACH, t->tracees[i].tid, 0, 0);
}

static int seize_all(struct tracer *t, const pid_t *pids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (ptrace(PTRACE_SEIZE, pids[i], 0, TRACE_OPTIONS))
			return -errno;
		add_tracee(t, pids[i]);
	}
	return 0;
}

/* The terminal's ^C is for the tool and the target; the tracer ends when the tool does. */
static int set_up_signals(void)
{
	static const int ignored[] = {SIGINT,  SIGQUIT, SIGHUP,	 SIGTERM,
				      SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU};
	sigset_t set;

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

void watch_tracer_run(int fd, const pid_t *pids, size_t n)
{
	struct tracer t = {.fd = fd, .quiet = diag_new()};
	struct tracer_message ready = {.kind = TRACER_READY};
	struct pollfd fds[2];

	prctl(PR_SET_NAME, "llmprobe-hold");
	t.signal_fd = set_up_signals();
	t.prog_fd = load_stopper();
	ready.err = t.prog_fd < 0 ? t.prog_fd : seize_all(&t, pids, n);
	if (send(fd, &ready, sizeof(ready), MSG_NOSIGNAL) != sizeof(ready) || ready.err)
		_exit(1);
	fds[0] = (struct pollfd){.fd = fd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = t.signal_fd, .events = POLLIN};
	do {
		collect(&t);
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
	} while (!fds[0].revents || obey(&t));
	let_go(&t);
	_exit(0);
}
