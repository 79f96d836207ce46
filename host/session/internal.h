/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a session, shared by the files of this folder only. */
#ifndef LLMPROBE_SESSION_INTERNAL_H
#define LLMPROBE_SESSION_INTERNAL_H

#include "bpf/kbtf.h"
#include "bpf/calibrate.h"
#include "bpf/feature.h"
#include "bpf/link.h"
#include "bpf/module.h"
#include "bpf/reaper.h"
#include "level/filter.h"
#include "level/level.h"
#include "probes/record.h"
#include "probes/state.h"
#include "session/rider.h"
#include "session/session.h"
#include "target/lookout.h"
#include "target/plan.h"
#include "target/process.h"
#include "target/watch.h"
#include "trace/spool.h"

struct cJSON;

/* Compiled and loaded text; several attachments may use it. */
struct session_module {
	enum rec_level level;
	char *text;
	struct bpf_module *bpf;
};

/* Text that is compiled ahead of its loading. */
struct session_wanted {
	enum rec_level level;
	char *text;
	struct bpf_code *code; /* NULL: not yet, taken, or it cannot be compiled */
};

/* One site of the plan, attached for one process and one level. */
struct session_probe {
	pid_t pid; /* 0: in every process that maps the file */
	uint32_t site;
	bool is_barrier;
};

/* The traps of which a level's hits have a price of their own. */
enum session_trap { TRAP_ANY, TRAP_BEGIN, TRAP_BARRIER, TRAP_COUNT };

struct session_level {
	bool on;
	struct bpf_links *links;
	struct bpf_links *barrier_links; /* operator level: taken off and on by sampling */
	struct session_probe *probes;
	size_t n_probes, cap_probes;
	bool watches;	      /* a tracepoint beside its points */
	uint64_t enabled_ns;  /* when it was switched on */
	uint64_t hits_before; /* hits and time when it was switched on last */
	uint64_t target_cpu_before;
	uint64_t noted_ns, noted_hits; /* up to where the cost notes reach */
	/* Of all probes ever put in, for hits are counted up after some were taken off. */
	struct {
		double ns;
		size_t n;
	} trap[TRAP_COUNT];
	char *reason; /* why it was taken off; NULL: it was not */
};

/* A layout of the plan and the first one that is the same. */
struct session_layout {
	char *text;
	size_t id;
};

/* One of the stretches of decodes by which barrier wait is sampled. */
struct session_stretch {
	unsigned number, decodes; /* probes are on in number 0 */
	uint64_t began_ns;
};

/* A backend's compute function in a process. */
struct session_backend {
	pid_t pid;
	uint64_t compute;
	const char *kind; /* "CPU", ...; "" unknown */
};

struct session_process {
	struct process process;
	bool alive;
};

struct session {
	struct session_opts opts;
	struct features *features;
	struct reaper *reaper;
	struct task_offsets task;
	bool have_task;
	struct hit_cost hit_cost;
	struct filter *filter; /* NULL: all operators */
	uint8_t *own_choice;   /* per layout of the plan, enum own_choice */
	size_t n_own_choices, cap_own_choices;
	bool own_functions;   /* some layout's operators are seen at their own functions */
	uint64_t n_operators; /* slots that were drained */

	struct transport *transport;
	int map[MAP_COUNT];
	struct thread_state *threads;		  /* MAP_THREAD, mapped */
	uint64_t dead_op_hits, dead_barrier_hits; /* of threads that have gone */

	struct engine_set *engines;
	struct plan *plan;
	uint64_t planned_ns; /* when the plan was extended last; 0: its memory was given back */
	struct session_layout *layout_ids; /* per layout of the plan */
	size_t n_layout_ids, cap_layout_ids;
	unsigned *point_ids; /* per point of the plan */
	size_t n_point_ids, cap_point_ids;
	struct session_process *processes;
	size_t n_processes, cap_processes;
	struct session_backend *backends;
	size_t n_backends, cap_backends, n_planned_backends;
	struct watch *watch;
	struct lookout *lookout; /* NULL: nobody is waited for */
	uint64_t looked_out_ns;
	struct spawn *spawn;
	bool launched;
	char *command, *exe; /* of the started command; NULL: not known */
	int exit_status;     /* -1: none yet */

	struct session_level level[LEVEL_COUNT];
	struct session_module *modules;
	size_t n_modules, cap_modules;
	struct session_wanted *wanted;
	size_t n_wanted, cap_wanted;
	bool barrier_on;      /* barrier probes are wanted now */
	bool barrier_shed;    /* sampling pauses */
	bool barrier_changed; /* during this recording */
	struct session_stretch stretch;
	bool counters_shed;	   /* by the governor */
	struct governor *governor; /* NULL: not needed so far */
	bool flush_pending; /* operator programs were detached, their batches not yet collected */

	struct counters *counters; /* NULL: none */
	size_t n_counters;
	const char *default_counters[MAX_COUNTERS];
	size_t batch_counters;		   /* in the slots that the operator programs write now */
	uint32_t slot_order[THREAD_SLOTS]; /* in which new threads take their slots */
	size_t next_slot, n_free_slots;	   /* positions in it */

	struct session_trust *trust; /* per layout of the plan, see trust.c */
	size_t n_trust, cap_trust;
	bool distrusted;		   /* one of them failed */
	uint64_t dead_missed[LEVEL_COUNT]; /* session_missed of modules that are gone */
	uint64_t distrusted_ops;	   /* operators left out for that; counted as lost */
	struct session_name *names;	   /* see opts.names */
	struct session_summary *summaries; /* what was written of MAP_SUMMARY */
	struct spool *spool;
	bool spool_told;		    /* that it could not be written */
	uint64_t lost_before[LEVEL_COUNT];  /* when the recording began */
	size_t noted_points, noted_layouts; /* up to where the plan was noted in the spool */
	struct session_open_token *open_tokens;
	size_t n_open_tokens, cap_open_tokens;
	uint64_t n_tokens; /* token rows so far */
	session_op_fn on_op;
	void *on_op_ctx;
	session_token_fn on_token;
	void *on_token_ctx;
	struct session_thread *seen_threads;
	size_t n_seen, cap_seen;

	struct session_rider riders[SESSION_RIDERS_MAX];
	size_t n_riders;

	int epoll_fd, timer_fd;
	uint64_t tick_ns;	 /* of the timer now */
	uint64_t hurry_until_ns; /* see session_hurry */
	uint64_t last_slow_ns;	 /* last run of the once-in-a-while work */
};

struct session_open_token {
	uint32_t tid;
	unsigned depth;
	struct session_token token;
};

struct session_thread {
	pid_t tid, pid;
	char comm[16];
};

uint64_t session_now_ns(void);
/* Has session_fd report when `fd` can be read. Returns 0 or -errno with an error in `d`. */
int session_poll(struct session *s, int fd, struct diag *d);

/* maps.c */
int session_maps_make(struct session *s, struct diag *d);
void session_maps_free(struct session *s);
/* Makes MAP_COUNTER for the present counters. */
int session_counter_map(struct session *s, struct diag *d);
int session_map_target(struct session *s, pid_t pid, bool add);
/* Forgets which tensors were sent, so that the next graph is walked anew. */
void session_forget_tensors(struct session *s);
/* Forgets which graphs are being computed. The graph level must be off. */
void session_forget_graphs(struct session *s);
/* Probes come and go one after the other: operators are recorded from the next graph after `on`
 * until `off`, so that no graph has some kinds of operators only. */
void session_want_operators(struct session *s, bool on);
/* Targets stop at each new scheduler until its backends' functions are probed; only while all of
 * them are held by the watch. */
void session_hold_schedulers(struct session *s, bool on);
/* A thread's first hit wakes the host, or not. */
void session_tell_new_threads(struct session *s, bool on);
/* Opens the counters of threads that came since the last call. */
void session_new_threads(struct session *s, struct diag *d);
/* Sends what threads hold in unfinished batches to the spool. Operator programs must be detached,
 * or the threads gone (`only_dead`). */
void session_collect_threads(struct session *s, bool only_dead);

/* targets.c */
int session_add_process(struct session *s, pid_t pid, struct diag *d);
/* Of several processes, one that ended while it was looked at is no problem of the others: forgets
 * `own` and returns 0. Else moves it to `d` and returns `err`. Frees `own`. */
int session_unless_ended(struct session *s, pid_t pid, int err, struct diag *own, struct diag *d);
void session_rest(struct session *s);
void session_watch_ready(struct session *s, struct diag *d);
void session_reap(struct session *s, struct diag *d);
/* Takes the processes that map what the target names by file and were started meanwhile. */
void session_look_out(struct session *s, struct diag *d);

/* backends.c */
void session_saw_backend(struct session *s, const struct rec_backend *rec);
/* Plans and attaches what was seen since the last call. Not while the buffers are drained. */
void session_plan_backends(struct session *s, struct diag *d);
void session_forget_backends(struct session *s, pid_t pid);

/* points.c */
/* The number that records carry for a point of the plan, and for a layout (-1: none). */
unsigned session_point_id(struct session *s, unsigned point);
int session_layout_id(struct session *s, int layout);
void session_points_free(struct session *s);

/* operators.c */
int session_make_filter(struct session *s, struct diag *d);
void session_filter_free(struct session *s);
/* The level's event is to be used at this site: by the way that was chosen for its layout and file.
 */
bool session_takes_event(struct session *s, const struct level_event *e,
			 const struct plan_site *site, struct diag *d);
/* Some operators of this layout (-1: of any) are seen at the ends of nodes, if they are. */
bool session_node_ends(struct session *s, int layout);

/* levels.c */
/* Attaches what the enabled levels lack for all living processes. */
int session_attach_missing(struct session *s, struct diag *d);
/* Collects the batches of detached operator programs once they are gone; waits at most so long. */
void session_settle(struct session *s, unsigned timeout_ms);
void session_level_off(struct session *s, struct session_level *l);
/* The process has ended: its probes are of no use, and its id may come again. */
void session_drop_probes(struct session *s, pid_t pid);
/* The operator level off and what its threads held in the spool. */
void session_operators_off(struct session *s);
/* Attaches or detaches the barrier probes of the operator level as barrier_on says. */
int session_apply_barrier(struct session *s, struct diag *d);

/* sampling.c */
/*
 * Takes the barrier probes of the operator level off or puts them on again, when barrier_every is
 * not 0. Sampling pauses while they are off. Returns 0 or -errno.
 */
int session_set_barrier(struct session *s, bool on, struct diag *d);
void session_begin_barrier(struct session *s);
/* Begins the next stretch when one is over. */
void session_sample_barrier(struct session *s, struct diag *d);

/* counters.c */
int session_make_counters(struct session *s, struct diag *d);

/* modules.c */
/* Probes can be limited to one process by the kernel. */
bool session_pid_filter(struct session *s);
struct bpf_module *session_module(struct session *s, enum rec_level level,
				  const struct level_instance *instances, size_t n, int layout,
				  struct diag *d);

/*
 * Modules that will be asked for are compiled side by side: each is wanted, all are compiled, then
 * session_module finds them ready; what is left is forgotten.
 */
void session_want_module(struct session *s, enum rec_level level,
			 const struct level_instance *instances, size_t n, int layout);
void session_compile_wanted(struct session *s);
void session_forget_wanted(struct session *s);

/* Those of the level are loaded anew when they are wanted again; it must be off. */
/* How often the kernel did not run a program of the level because it ran on that CPU already. */
uint64_t session_missed(const struct session *s, enum rec_level level);
void session_forget_modules(struct session *s, enum rec_level level);

/* recording.c */
void session_note_plan(struct session *s);
/* Something new is there: the timer ticks faster for a while, because more may come. */
void session_hurry(struct session *s);
void session_note_level(struct session *s, enum rec_level level, bool on);
void session_note_text(struct session *s, const char *kind, const char *text);
/* How the recording's barrier wait came to be. */
void session_note_barrier(struct session *s);
/* Notes what the command has become, for the recording that goes on. */
void session_note_command(struct session *s);
void session_note_threads(struct session *s, bool all);
void session_note_sums(struct session *s);
int session_drain(struct session *s, struct diag *d);

/* summary.c */
/* Writes what the kernel summed up since the last call to the spool. */
void session_write_summaries(struct session *s);
void session_sum_pending(struct session *s, const struct thread_state *t);
void session_summaries_free(struct session *s);

/* names.c */
void session_learn_tensor(struct session *s, const uint8_t *record, size_t len);
void session_names_free(struct session *s);
/* Hands the operators of a REC_OPS to who asked for them. */
void session_tell_ops(struct session *s, const uint8_t *at, size_t len);

/* trust.c */
void session_judge_tensor(struct session *s, const uint8_t *record, size_t len);
/* Bytes of a block up to the first record that is not to be believed, and in `*skip` its own. */
size_t session_trusted_bytes(struct session *s, enum record_block kind, const uint8_t *block,
			     size_t len, size_t *skip);
/* Takes the operator level off when a verdict says so, and tells why. */
void session_apply_trust(struct session *s, struct diag *d);
/* Judges again from the start. */
void session_trust_anew(struct session *s);

/* tokens.c */
void session_look_at(struct session *s, enum record_block kind, const void *data, size_t len);

/* cost.c */
void session_level_count(struct session *s, enum rec_level level, struct level_count *out);
/* CPU time that the targets have used so far, ns, to 10 ms. */
uint64_t session_target_cpu_ns(struct session *s);
/* A probe of the level was put in: what its hits cost counts from now on. */
void session_cost_attached(struct session *s, enum rec_level level, size_t site);
/* Remembers hits and time of now as the level's start. */
void session_cost_mark(struct session *s, enum rec_level level);
/* Estimated ns that `hits` of the level took from the targets. */
double session_cost_ns(struct session *s, enum rec_level level, uint64_t hits);
void session_note_costs(struct session *s);

/* rider.c */
void session_tell_process(struct session *s, pid_t pid, struct diag *d);
void session_tell_gone(struct session *s, pid_t pid);
void session_tell_drain(struct session *s, struct diag *d);
void session_tell_started(struct session *s);
void session_tell_sync(struct session *s, bool last);
uint64_t session_riders_lost(const struct session *s);
void session_tell_ending(struct session *s);

/* governor.c */
/* To be called now and then. */
void session_govern(struct session *s, struct diag *d);
/* The level is switched by somebody else, whose word counts: it is not switched back. */
void session_governor_forget(struct session *s, enum rec_level level);

#endif
