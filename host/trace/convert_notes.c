/* SPDX-License-Identifier: Apache-2.0 */
/* The spool's notes: what is known beside the records, from the probe points to the losses. */
#include "trace/convert.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"
#include "util/text.h"

void convert_saw_time(struct convert *c, int64_t ts)
{
	if (ts <= 0)
		return;
	if (!c->begin || ts < c->begin)
		c->begin = ts;
	if (ts > c->end)
		c->end = ts;
}

static void saw_process(struct convert *c, uint32_t pid)
{
	struct process *p;

	HASH_FIND(hh, c->processes, &pid, sizeof(pid), p);
	if (p)
		return;
	p = xcalloc(1, sizeof(*p));
	p->pid = pid;
	HASH_ADD(hh, c->processes, pid, sizeof(p->pid), p);
}

bool convert_is_target(const struct convert *c, uint32_t pid)
{
	struct process *p;

	HASH_FIND(hh, c->processes, &pid, sizeof(pid), p);
	return p != NULL;
}

struct thread *convert_saw_thread(struct convert *c, uint32_t tid, uint32_t pid)
{
	struct thread *t;

	HASH_FIND(hh, c->threads, &tid, sizeof(tid), t);
	if (!t) {
		t = xcalloc(1, sizeof(*t));
		t->tid = tid;
		t->pid = pid;
		t->run[0] = t->run[1] = t->wait[0] = t->wait[1] = WRITER_NULL;
		HASH_ADD(hh, c->threads, tid, sizeof(t->tid), t);
		saw_process(c, pid);
	}
	return t;
}

static const char *text_of(const cJSON *note, const char *key)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(note, key));

	return s ? s : "";
}

static int64_t number_of(const cJSON *note, const char *key, int64_t none)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(note, key);

	if (cJSON_IsString(v)) {
		int64_t n;

		return text_to_i64(v->valuestring, &n) == 0 ? n : none;
	}
	if (!cJSON_IsNumber(v) || !(fabs(v->valuedouble) < 9e18))
		return none;
	return (int64_t)v->valuedouble;
}

struct point *convert_point(const struct convert *c, uint32_t id)
{
	struct point *p;

	HASH_FIND(hh, c->points, &id, sizeof(id), p);
	return p;
}

static void note_run(struct convert *c, const cJSON *note)
{
	const cJSON *v;

	cJSON_ArrayForEach(v, note)
	{
		char number[32];

		if (strcmp(v->string, "k") == 0)
			continue;
		snprintf(number, sizeof(number), "%.17g", v->valuedouble);
		writer_add(c->w, W_RUN, "ss", v->string,
			   cJSON_IsString(v)   ? v->valuestring
			   : cJSON_IsNumber(v) ? number
			   : cJSON_IsTrue(v)   ? "1"
					       : "0");
	}
}

static void note_point(struct convert *c, const cJSON *note)
{
	struct point *p = xcalloc(1, sizeof(*p)), *old;

	p->id = (uint32_t)number_of(note, "id", 0);
	p->symbol = xstrdup(text_of(note, "symbol"));
	p->backend = xstrdup(text_of(note, "backend"));
	p->encode = strstr(text_of(note, "kind"), "encode") != NULL;
	p->waits = strcmp(p->symbol, "ggml_backend_synchronize") == 0;
	HASH_FIND(hh, c->points, &p->id, sizeof(p->id), old);
	if (old) {
		HASH_DEL(c->points, old);
		free(old->symbol);
		free(old->backend);
		free(old);
	}
	HASH_ADD(hh, c->points, id, sizeof(p->id), p);
}

static void look(int64_t pair[2], int64_t v)
{
	if (v == WRITER_NULL)
		return;
	if (pair[0] == WRITER_NULL)
		pair[0] = v;
	pair[1] = v;
}

static void note_thread(struct convert *c, const cJSON *note)
{
	uint32_t tid = (uint32_t)number_of(note, "tid", 0);
	int64_t at = number_of(note, "at", 0);
	struct thread *t = convert_saw_thread(c, tid, (uint32_t)number_of(note, "pid", 0));

	if (*text_of(note, "name"))
		snprintf(t->name, sizeof(t->name), "%s", text_of(note, "name"));
	look(t->run, number_of(note, "run_ns", WRITER_NULL));
	look(t->wait, number_of(note, "wait_ns", WRITER_NULL));
	sched_thread(c->sched, tid, at, *text_of(note, "state"), (int)number_of(note, "cpu", -1));
	convert_saw_time(c, at);
}

static void note_plugin(struct convert *c, const cJSON *note)
{
	plugin_rows_note(c->plugins, note);
}

static void note_loss(struct convert *c, const cJSON *note)
{
	char *key = xasprintf("%s\t%s", text_of(note, "level"), text_of(note, "buffer"));
	struct loss *l;

	HASH_FIND_STR(c->losses, key, l);
	if (!l) {
		l = xcalloc(1, sizeof(*l));
		l->key = key;
		HASH_ADD_KEYPTR(hh, c->losses, l->key, strlen(l->key), l);
	} else {
		free(key);
	}
	l->lost = number_of(note, "lost", 0);
}

static void note_cost(struct convert *c, const cJSON *note)
{
	writer_add(c->w, W_COST, "iisIII", number_of(note, "begin", 0), number_of(note, "end", 0),
		   text_of(note, "level"), number_of(note, "hits", WRITER_NULL),
		   number_of(note, "run_ns", WRITER_NULL),
		   number_of(note, "estimate_ns", WRITER_NULL));
}

static void note_text(struct convert *c, const cJSON *note)
{
	writer_add(c->w, W_NOTE, "Iss", number_of(note, "at", WRITER_NULL), text_of(note, "kind"),
		   text_of(note, "text"));
}

static void note_level(struct convert *c, const cJSON *note)
{
	bool on = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(note, "on"));
	int64_t at = number_of(note, "at", 0);
	char text[64];

	snprintf(text, sizeof(text), "%.40s %s", text_of(note, "level"), on ? "on" : "off");
	writer_add(c->w, W_NOTE, "iss", at, "level", text);
	convert_saw_time(c, at);
	if (strcmp(text_of(note, "level"), "scheduler") == 0)
		sched_level(c->sched, at, on);
}

static void note_end(struct convert *c, const cJSON *note)
{
	const cJSON *complete = cJSON_GetObjectItemCaseSensitive(note, "complete");

	c->end_note = number_of(note, "at", 0);
	c->complete = !cJSON_IsFalse(complete);
	convert_saw_time(c, c->end_note);
}

static void note_layout(struct convert *c, const cJSON *note)
{
	layouts_add(c->layouts, note);
}

static const struct {
	const char *kind;
	void (*take)(struct convert *c, const cJSON *note);
} notes[] = {
	{"plugin", note_plugin}, {"run", note_run},	  {"layout", note_layout},
	{"point", note_point},	 {"thread", note_thread}, {"loss", note_loss},
	{"cost", note_cost},	 {"note", note_text},	  {"level", note_level},
	{"end", note_end},
};

int convert_first_note(void *ctx, const cJSON *note)
{
	struct convert *c = ctx;

	for (size_t i = 0; i < ARRAY_LEN(notes); i++)
		if (strcmp(text_of(note, "k"), notes[i].kind) == 0)
			notes[i].take(c, note);
	return writer_error(c->w) ? -EIO : 0;
}

static int64_t counter_id(struct convert *c, const char *name)
{
	writer_add(c->w, W_COUNTER_NAME, "is", ++c->n_names, name);
	return c->n_names;
}

int convert_second_note(void *ctx, const cJSON *note)
{
	const cJSON *v, *grouped = cJSON_GetObjectItemCaseSensitive(note, "grouped");
	struct convert *c = ctx;
	struct names *n;

	if (strcmp(text_of(note, "k"), "counters") != 0)
		return 0;
	n = xcalloc(1, sizeof(*n));
	cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(note, "names"))
	{
		struct oprows_counters *to = &n->counters;

		if (to->n == OPROWS_COUNTERS)
			break;
		to->id[to->n] = counter_id(c, cJSON_IsString(v) ? v->valuestring : "?");
		to->grouped[to->n] = !cJSON_IsFalse(cJSON_GetArrayItem(grouped, (int)to->n));
		to->n++;
	}
	n->next = c->names;
	c->names = n;
	return 0;
}
