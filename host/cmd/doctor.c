/* SPDX-License-Identifier: Apache-2.0 */
/* llmprobe doctor: what works here, and the probe plan of a process, a file or a command. */
#include "view/doctor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bpf/cache.h"
#include "bpf/compile.h"
#include "bpf/feature.h"
#include "cmd/cmd.h"
#include "target/plan.h"

enum { FACTS_MAX = FEATURE_COUNT + 8 };

struct doctor {
	struct features *features;
	struct doctor_fact facts[FACTS_MAX];
	char *details[FACTS_MAX]; /* of the facts, to be freed */
	size_t n;
};

static void add_fact(struct doctor *doc, const char *group, const char *name, bool ok,
		     const char *detail, const char *fix)
{
	char *copy;

	if (doc->n == FACTS_MAX)
		return;
	copy = doc->details[doc->n] = xstrdup(detail);
	doc->facts[doc->n++] =
		(struct doctor_fact){group, name, ok, copy, fix && *fix ? fix : NULL};
}

static void kernel_facts(struct doctor *doc)
{
	add_fact(doc, "kernel", "release", true, feature_kernel_release(doc->features), NULL);
	for (int i = 0; i < FEATURE_COUNT; i++) {
		const struct feature_result *r = feature_get(doc->features, i);

		add_fact(doc, "kernel", feature_name(i), r->ok,
			 r->ok ? feature_purpose(i) : r->reason, r->fix);
	}
}

static void capability_facts(struct doctor *doc)
{
	static const struct {
		const char *name, *fix;
		bool all;
	} sets[] = {
		{"needed", "run llmprobe as root, or give it the capabilities with setcap", false},
		{"wanted",
		 "the same; files that are closed to others and kernels before 6.6 need them",
		 true},
	};

	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		const char *missing = feature_caps_missing(doc->features, sets[i].all);

		add_fact(doc, "capabilities", sets[i].name, !*missing,
			 *missing ? missing : "all there", *missing ? sets[i].fix : NULL);
	}
}

static void process_facts(struct doctor *doc)
{
	char version[32], dir[4096], text[64];
	struct rlimit lim = {0};

	capability_facts(doc);
	getrlimit(RLIMIT_MEMLOCK, &lim);
	if (lim.rlim_cur == RLIM_INFINITY)
		snprintf(text, sizeof(text), "unlimited");
	else
		snprintf(text, sizeof(text), "%llu KiB", (unsigned long long)lim.rlim_cur / 1024);
	add_fact(doc, "limits", "locked memory", true, text, NULL);
	bpf_compiler_version(version);
	add_fact(doc, "build", "libbcc", *version != 0, *version ? version : "not found",
		 *version ? NULL : "install the package libbpfcc (Debian, Ubuntu)");
	bpf_cache_dir(dir, sizeof(dir));
	add_fact(doc, "build", "cache of compiled programs", *dir != 0,
		 *dir ? dir : "none: every start compiles anew", NULL);
}

/* The plan of what the user pointed at; NULL with `*code` 0 when nothing was named. */
static struct plan *make_plan(const struct cmd_context *ctx, struct engine_set *engines, int *code)
{
	const struct config *c = ctx->config;
	struct plan_opts o = {.engines = engines};
	struct process p;
	struct plan *plan = NULL;

	*code = EXIT_OK;
	if (c->target.engine && strcmp(c->target.engine, "auto") != 0)
		o.engine = c->target.engine;
	if (c->target.pid) {
		if (process_find((pid_t)c->target.pid, &p, ctx->diag) == 0)
			plan = plan_build(p.pid, &o, ctx->diag);
	} else if (c->target.command.count) {
		plan = plan_build_command(c->target.command.items, &o, ctx->diag);
	} else if (c->args.count) {
		plan = plan_build_files((const char *const *)c->args.items, c->args.count, &o,
					ctx->diag);
	} else if (c->target.exe) {
		plan = plan_build_files((const char *const *)&c->target.exe, 1, &o, ctx->diag);
	} else {
		return NULL;
	}
	if (!plan)
		*code = EXIT_FAILED;
	return plan;
}

int cmd_doctor(const struct cmd_context *ctx)
{
	struct doctor doc = {.features = features_new()};
	struct engine_set *engines = engine_set_load(NULL, ctx->diag);
	struct doctor_opts o = {.json = ctx->config->json,
				.colour = config_use_colour(ctx->config, stdout)};
	int code = EXIT_FAILED;
	struct plan *plan;

	if (engines) {
		plan = make_plan(ctx, engines, &code);
		kernel_facts(&doc);
		process_facts(&doc);
		if (doctor_print(stdout, doc.facts, doc.n, plan, &o))
			code = EXIT_FAILED;
		plan_free(plan);
	}
	for (size_t i = 0; i < doc.n; i++)
		free(doc.details[i]);
	engine_set_free(engines);
	features_free(doc.features);
	return code;
}
