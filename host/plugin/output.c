/* SPDX-License-Identifier: Apache-2.0 */
/* What plugins send and count, on its way to the trace or to a person. */
#include <cjson/cJSON.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/kmap.h"
#include "plugin/rows.h"
#include "probes/record.h"
#include "session/session.h"
#include "util/clock.h"

/* The head of a record counts its size in 16 bits. */
enum { DATA_MAX = 65535 - sizeof(struct rec_plugin) - 8 };

/* The first of the members that is there, an integer of the wanted size. */
static bool member(const struct ctype *t, const void *data, size_t len, const char *const *names,
		   uint32_t size, int64_t *out)
{
	for (; t && *names; names++) {
		uint32_t at;
		const struct ctype_field *f = ctype_member(t, *names, &at);

		if (f && !f->bits && f->type->size == size && at <= len &&
		    ctype_integer(f->type, (const char *)data + at, len - at, out))
			return true;
	}
	return false;
}

/* Time, process and thread come from members of the usual names; without a time the record counts
 * as of when it was collected. */
static void fill_head(struct rec_head *h, const struct ctype *t, const void *data, size_t len)
{
	static const char *const times[] = {"ts", "ts_ns", "time", "timestamp", "at_ns", NULL};
	static const char *const pids[] = {"tgid", "pid", NULL};
	static const char *const tids[] = {"tid", NULL};
	int64_t v;

	h->kind = REC_PLUGIN;
	h->level = LEVEL_PLUGIN;
	h->ts_ns = member(t, data, len, times, 8, &v) ? (uint64_t)v : clock_now();
	if (h->ts_ns > clock_now())
		h->ts_ns = clock_now();
	if (member(t, data, len, pids, 4, &v))
		h->pid = (u32)v;
	if (member(t, data, len, tids, 4, &v))
		h->tid = (u32)v;
}

/* False when it is too large. */
static bool record(struct plugin *p, unsigned id, const struct ctype *t, const void *data,
		   size_t len)
{
	size_t size = sizeof(struct rec_plugin) + ((len + 7) & ~(size_t)7);
	struct rec_plugin *r;

	if (len > DATA_MAX)
		return false;
	r = xcalloc(1, size);
	fill_head(&r->head, t, data, len);
	r->head.size = (u16)size;
	r->head.point = (u16)id;
	r->len = (u32)len;
	memcpy(r + 1, data, len);
	session_add_record(p->set->session, r, size);
	free(r);
	return true;
}

static void print_record(const struct plugin_output *o, const void *data, size_t len, FILE *out)
{
	struct buf b = {0};

	if (o->type)
		ctype_print(o->type, data, len, &b);
	for (size_t i = 0; !o->type && i < len; i++)
		buf_printf(&b, "%02x", ((const unsigned char *)data)[i]);
	fprintf(out, "%s.%s %s\n", o->plugin->name, o->name, buf_str(&b));
	buf_free(&b);
}

static int take_block(void *ctx, enum record_block kind, unsigned cpu, const void *data, size_t len)
{
	struct plugin_output *o = ctx;
	struct plugins *set = o->plugin->set;
	size_t at = 0, n;
	const void *rec;

	(void)kind;
	(void)cpu;
	while (transport_next(data, len, &at, &rec, &n)) {
		o->records++;
		if (session_recording(set->session)) {
			if (!record(o->plugin, o->id, o->type, rec, n))
				o->dropped++;
		} else if (set->out) {
			print_record(o, rec, n, set->out);
		}
	}
	return 0;
}

void plugin_drain(struct plugin *p)
{
	for (size_t i = 0; i < p->n_outputs; i++)
		if (p->outputs[i].transport)
			transport_drain(p->outputs[i].transport, take_block, &p->outputs[i]);
}

static cJSON *fields_json(const struct ctype *t)
{
	cJSON *out = cJSON_CreateArray();

	for (size_t i = 0; t && i < t->n_fields; i++) {
		cJSON *f;
		struct buf type = {0};

		if (t->fields[i].pad)
			continue;
		f = cJSON_CreateObject();
		ctype_print_name(t->fields[i].type, &type);
		cJSON_AddStringToObject(f, "name", t->fields[i].name);
		cJSON_AddStringToObject(f, "type", buf_str(&type));
		cJSON_AddItemToArray(out, f);
		buf_free(&type);
	}
	return out;
}

/* Takes `type`. */
static void note(const struct plugin *p, unsigned id, const char *table, const struct ctype *t,
		 cJSON *type)
{
	cJSON *n = cJSON_CreateObject();

	cJSON_AddStringToObject(n, "k", "plugin");
	cJSON_AddNumberToObject(n, "id", id);
	cJSON_AddStringToObject(n, "name", p->name);
	cJSON_AddStringToObject(n, "table", table);
	cJSON_AddItemToObject(n, "fields", fields_json(t));
	if (type)
		cJSON_AddItemToObject(n, "type", type);
	session_add_note(p->set->session, n);
}

static struct ctype *bytes_type(uint32_t size)
{
	char name[32];

	snprintf(name, sizeof(name), "unsigned char[%u]", size);
	return ctype_of_name(name);
}

/* A table's entry as one struct: the key at 0, the value behind it without a gap. */
static cJSON *entry_json(const struct plugin_table *t)
{
	cJSON *out = cJSON_CreateArray(), *fields = cJSON_CreateArray();
	const struct ctype *const types[] = {t->key, t->value};
	const uint32_t sizes[] = {t->map->key_size, t->map->value_size};

	for (int i = 0; i < 2; i++) {
		cJSON *f = cJSON_CreateArray();
		struct ctype *bytes = types[i] ? NULL : bytes_type(sizes[i]);

		cJSON_AddItemToArray(f, cJSON_CreateString(i ? "value" : "key"));
		cJSON_AddItemToArray(f, ctype_to_json(bytes ? bytes : types[i]));
		cJSON_AddItemToArray(fields, f);
		ctype_free(bytes);
	}
	cJSON_AddItemToArray(out, cJSON_CreateString(t->name));
	cJSON_AddItemToArray(out, fields);
	cJSON_AddItemToArray(out, cJSON_CreateString("struct_packed"));
	return out;
}

void plugin_note(struct plugin *p)
{
	for (size_t i = 0; i < p->n_outputs; i++) {
		struct plugin_output *o = &p->outputs[i];

		note(p, o->id, o->name, o->type, o->type ? ctype_to_json(o->type) : NULL);
	}
	for (size_t i = 0; i < p->n_tables; i++) {
		cJSON *type = entry_json(&p->tables[i]);
		struct ctype *t = ctype_from_json(type);

		note(p, p->tables[i].id, p->tables[i].name, t, type);
		ctype_free(t);
	}
}

static void record_table(struct plugin *p, const struct plugin_table *t)
{
	size_t key = t->map->key_size, value = t->map->value_size;
	unsigned char *entry = xcalloc(1, key + value + 1);
	struct rows rows;

	rows_read(t, &rows);
	for (size_t i = 0; i < rows.count; i++) {
		memcpy(entry, rows.at[i].key, key);
		memcpy(entry + key, rows.at[i].value, value);
		record(p, t->id, NULL, entry, key + value);
	}
	rows_free(&rows);
	free(entry);
}

void plugin_record_tables(struct plugin *p)
{
	for (size_t i = 0; i < p->n_tables; i++)
		if (plugin_table_readable(&p->tables[i]))
			record_table(p, &p->tables[i]);
}

uint64_t plugin_lost_kind(const struct plugin *p, uint32_t kind)
{
	uint64_t n = 0;

	if (p->lost_fd >= 0)
		kmap_percpu_sum(p->lost_fd, &kind, sizeof(n), 0, &n);
	return n;
}

static uint64_t output_lost(const struct plugin_output *o)
{
	struct transport_stats st = {0};

	if (o->transport)
		transport_stats(o->transport, &st);
	return st.lost + st.bad + o->dropped;
}

uint64_t plugin_lost(const struct plugin *p)
{
	uint64_t sum = plugin_lost_kind(p, 0) + plugin_lost_kind(p, 1);

	for (size_t i = 0; i < p->n_outputs; i++)
		sum += output_lost(&p->outputs[i]);
	return sum;
}

static void note_loss(struct plugin *p, const char *what, uint64_t lost)
{
	cJSON *n = cJSON_CreateObject();
	char *buffer = xasprintf("%s.%s", p->name, what);

	cJSON_AddStringToObject(n, "k", "loss");
	cJSON_AddStringToObject(n, "level", "plugin");
	cJSON_AddStringToObject(n, "buffer", buffer);
	cJSON_AddNumberToObject(n, "lost", (double)lost);
	session_add_note(p->set->session, n);
	free(buffer);
}

void plugin_note_losses(struct plugin *p)
{
	const struct plugin_output *ring = NULL;
	uint64_t updates = plugin_lost_kind(p, 0), records = plugin_lost_kind(p, 1);
	size_t rings = 0;

	for (size_t i = 0; i < p->n_outputs; i++) {
		const struct plugin_output *o = &p->outputs[i];

		if (o->transport && transport_kind(o->transport) == TRANSPORT_RING) {
			ring = o;
			rings++;
		} else {
			note_loss(p, o->name, output_lost(o));
		}
	}
	/* The count in the kernel is one for all rings of a plugin. */
	if (rings == 1)
		note_loss(p, ring->name, records + ring->dropped);
	else if (rings)
		note_loss(p, "rings", records);
	if (updates)
		note_loss(p, "full tables", updates);
}
