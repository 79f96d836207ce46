/* SPDX-License-Identifier: Apache-2.0 */
/* Front programs: from a point of the plan to a program of the script. */
#ifndef LLMPROBE_SCRIPT_ENGINE_FRONT_H
#define LLMPROBE_SCRIPT_ENGINE_FRONT_H

#include "script/engine/engine_attach.h"
#include "target/plan.h"

/* Layouts that mean the same, by number; their names are in the kernel's table. */
struct front_layouts;
struct front_layouts *front_layouts_new(void);
void front_layouts_free(struct front_layouts *l);

/* The loaded fronts of one program of the script. */
struct fronts;
struct fronts *fronts_new(void);
void fronts_free(struct fronts *f); /* NULL is fine */

struct front_opts {
	const struct plan *plan;
	struct front_layouts *layouts;
	int names_fd;
	int program;
	const struct engine_want *want;
	bool notes_tokens; /* jumps nowhere */
	bool can_loop;	   /* one hit may stand for several events */
	const struct bpf_extern *externs;
	size_t n_externs;
};

/*
 * Compiles the fronts for many points side by side, so that fronts_get finds them in the cache.
 * Without a cache it does nothing. What cannot be made is left to fronts_get, which says why.
 */
struct front_batch;
struct front_batch *front_batch_new(void);
void front_batch_add(struct front_batch *b, const struct front_opts *o, unsigned point);
void front_batch_compile(struct front_batch *b); /* and frees it */

/* The point's event is of use for a program that wants this. */
bool front_takes(const struct engine_want *w, const struct plan_point *p);
/* The front for the point, loaded now or before; borrowed. -errno with an error in `d`. */
int fronts_get(struct fronts *f, const struct front_opts *o, unsigned point, struct diag *d);

#endif
