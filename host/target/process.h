/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: finding the ones to trace, what /proc tells about them, starting one held back. */
#ifndef LLMPROBE_TARGET_PROCESS_H
#define LLMPROBE_TARGET_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/diag.h"

/* A process as it was when it was found. */
struct process {
	pid_t pid;
	uint64_t start_ticks; /* since boot, tells a process from a later one with the same pid */
	char comm[16];
};

/*
 * Looks a running process up. A thread's id is taken for its process. Returns 0 or, with one error
 * in `d`, -EINVAL (no pid), -ESRCH (no such process, a zombie), -EACCES (/proc hides it), -ENOTSUP
 * (a kernel thread).
 */
int process_find(pid_t pid, struct process *out, struct diag *d);
/* True while the process that was found is still alive (not a zombie, not a reused pid). */
bool process_alive(const struct process *p);
/* True while it lives and began so recently that its loader may still be mapping libraries. */
bool process_may_load(const struct process *p);

/* A list of processes with what a person needs to choose among them. */
struct process_entry {
	struct process process;
	char *command; /* the command line in one line, "[comm]" when it is empty */
	char *engine;  /* file name of the engine library it maps, NULL when none was looked for */
};
struct process_list {
	struct process_entry *at;
	size_t count, cap;
	size_t hidden; /* processes that /proc did not let us look into */
};
void process_list_free(struct process_list *l);

/*
 * Every process that maps the file `path` executable, whether by this name or another. Returns 0
 * with at least one entry, else -ENOENT (no such file), -ESRCH (nobody maps it), -EACCES.
 */
int process_find_exe(const char *path, struct process_list *out, struct diag *d);

struct engine_set;
/*
 * The one running process (other than this one) that maps a known engine's library. Returns 0 with
 * exactly one entry; -ESRCH when there is none; -E2BIG when there are several: the list then holds
 * them all and `d` gets an error and one note per process ("pid command (engine)"). The caller
 * exits with code 2.
 */
int process_find_engine(const struct engine_set *engines, struct process_list *out, struct diag *d);

/* Pids or tids in ascending order; free(*out). Returns 0 or -errno (-ESRCH: gone). */
int process_threads(pid_t pid, pid_t **out, size_t *n);
/* Direct children of all threads of the process. */
int process_children(pid_t pid, pid_t **out, size_t *n);
/* The process and all its descendants. */
int process_tree(pid_t pid, pid_t **out, size_t *n);

struct process_thread {
	pid_t tid;
	char comm[16];
	char state; /* R S D T t Z X of /proc */
	int cpu;    /* where it ran last */
	/* /proc/PID/task/TID/schedstat; all 0 where the kernel does not keep it */
	uint64_t run_ns, wait_ns, slices;
};
/* Returns 0 or -errno. */
int process_thread(pid_t pid, pid_t tid, struct process_thread *out);

/* The command line with arguments quoted as a shell needs them; a new string, never NULL. */
char *process_command(pid_t pid);
/* The executable's path as the process sees it; a new string, NULL when it cannot be read. */
char *process_exe(pid_t pid);
/* The pid inside the innermost pid namespace of the process, `pid` itself when unknown. */
pid_t process_ns_pid(pid_t pid);
/* The process's state letter, 'X' when it is gone. */
char process_state(pid_t pid);
/*
 * Explains a refused access to `pid`: adds an error that names the missing capability or owner and
 * the remedy. Returns `err`.
 */
int process_explain_access(pid_t pid, int err, const char *what, struct diag *d);

/*
 * A command that was forked but not yet started: it waits until it is released. The terminal,
 * session, process group and stdio are those of the caller; signals are as the caller had them.
 */
struct spawn;
/* `argv` ends with NULL; the program is searched on PATH. NULL with an error in `d` when the
 * program does not exist, may not be executed, or no process can be made. */
struct spawn *process_spawn(char *const argv[], struct diag *d);
pid_t spawn_pid(const struct spawn *s);
/* The file that will be executed, as execvp would find it; owned by the spawn. */
const char *spawn_path(const struct spawn *s);
/* Lets the command start without waiting for it. */
int spawn_release(struct spawn *s);
/*
 * The outcome of its execve. Call it when spawn_fd is readable, or to wait for it. Returns 0 when
 * the program runs, else -errno with an error in `d`.
 */
int spawn_started(struct spawn *s, struct diag *d);
/* Readable when the outcome of execve is known. */
int spawn_fd(const struct spawn *s);
/*
 * Collects the exit status as waitpid(2) gives it. Returns 1 when it ended, 0 when it still runs
 * (only with `block` false), -errno else. Stops and continues are not reported.
 */
int spawn_wait(struct spawn *s, bool block, int *status);
/* A command that was never released ends without having run anything; a running one goes on. */
void spawn_free(struct spawn *s);

#endif
