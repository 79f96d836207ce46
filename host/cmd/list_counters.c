/* SPDX-License-Identifier: Apache-2.0 */
/* list counters: the events that libpfm knows for the units present, tried one by one. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/pfm.h"
#include "cmd/list.h"
#include "util/buf.h"

/* Whether this kernel opens the event for a thread of ours. */
static bool counts_here(const char *name)
{
	struct perf_event_attr attr = {.size = sizeof(attr)};
	pfm_perf_encode_arg_t arg = {.attr = &attr, .size = sizeof(arg)};
	long fd;

	if (pfm.encode(name, PFM_PLM3, PFM_OS_PERF_EVENT, &arg) != PFM_SUCCESS)
		return false;
	attr.disabled = 1;
	fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd >= 0)
		close((int)fd);
	return fd >= 0;
}

/* The kernel's own events have short names beside the long ones; people write them small. */
static void usual_name(const char *name, bool kernels, char out[64])
{
	size_t i = 0;

	for (; name[i] && i < 63; i++)
		out[i] = kernels ? (char)tolower(name[i]) : name[i];
	out[i] = '\0';
}

static void print_event(const pfm_event_info_t *e, const char *unit, cJSON *json)
{
	bool here = counts_here(e->name);
	struct buf line = {0};
	char name[64];
	cJSON *o;

	usual_name(e->name, strcmp(unit, "perf") == 0, name);
	if (json) {
		o = cJSON_CreateObject();
		cJSON_AddStringToObject(o, "name", name);
		cJSON_AddStringToObject(o, "unit", unit);
		cJSON_AddBoolToObject(o, "counts", here);
		cJSON_AddStringToObject(o, "about", e->desc ? e->desc : "");
		cJSON_AddItemToArray(json, o);
		return;
	}
	buf_printf(&line, "%-34s %-19s %-4s ", name, unit, here ? "yes" : "no");
	fputs(buf_str(&line), stdout);
	cmd_print_wrapped(e->desc ? e->desc : "", (int)line.len, stdout);
	buf_free(&line);
}

static size_t print_unit(pfm_pmu_t id, cJSON *json)
{
	pfm_pmu_info_t unit = {.size = sizeof(unit)};
	size_t n = 0;

	if (pfm.pmu_info(id, &unit) != PFM_SUCCESS || !unit.is_present)
		return 0;
	for (int i = unit.first_event; i != -1; i = pfm.event_next(i)) {
		pfm_event_info_t e = {.size = sizeof(e)};

		/* "perf" lists every tracepoint as well; they are no counters of an operator. */
		if (pfm.event_info(i, PFM_OS_PERF_EVENT, &e) != PFM_SUCCESS ||
		    strchr(e.name, ':') || strncmp(e.name, "PERF_COUNT_", 11) == 0)
			continue;
		print_event(&e, unit.name, json);
		n++;
	}
	return n;
}

int list_counters(const struct cmd_context *ctx)
{
	cJSON *json;
	size_t n = 0;

	if (pfm_load(ctx->diag) != 0)
		return EXIT_FAILED;
	json = ctx->config->json ? cJSON_CreateArray() : NULL;
	if (!json)
		printf("%-34s %-19s %s\n", "name", "unit", "here");
	for (int id = 0; id < PFM_PMU_MAX; id++)
		n += print_unit((pfm_pmu_t)id, json);
	pfm.terminate();
	if (!n)
		diag_add(ctx->diag, DIAG_WARNING, "this machine offers no events at all");
	return json ? list_json(json) : EXIT_OK;
}
