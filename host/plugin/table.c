/* SPDX-License-Identifier: Apache-2.0 */
/* Tables as text: histograms as bars, everything else in columns named by the C types. */
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/kmap.h"
#include "plugin/rows.h"
#include "script/run/symbols.h"

enum { COLUMNS_MAX = 64, SLOTS_MAX = 64, FRAMES_MAX = 127, LINEAR_MAX = 4096 };

static const struct {
	uint32_t type;
	const char *name;
} kinds[] = {
	{BPF_MAP_TYPE_HASH, "hash"},
	{BPF_MAP_TYPE_ARRAY, "array"},
	{BPF_MAP_TYPE_PERCPU_HASH, "per-CPU hash"},
	{BPF_MAP_TYPE_PERCPU_ARRAY, "per-CPU array"},
	{BPF_MAP_TYPE_LRU_HASH, "LRU hash"},
	{BPF_MAP_TYPE_LRU_PERCPU_HASH, "per-CPU LRU hash"},
	{BPF_MAP_TYPE_LPM_TRIE, "prefix tree"},
};

static const char *kind_name(uint32_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].type == type)
			return kinds[i].name;
	return NULL;
}

bool plugin_table_readable(const struct plugin_table *t)
{
	return kind_name(t->map->type) && t->form != PLUGIN_TABLE_HIDE;
}

struct column {
	const char *name;
	const struct ctype_field *field; /* NULL: the whole */
	const struct ctype *type;	 /* NULL: bytes */
	bool in_value;
	int width;
	bool text; /* left-aligned */
};

struct columns {
	struct column at[COLUMNS_MAX];
	size_t n;
	bool cpu; /* rows of single CPUs */
};

static void add_columns(struct columns *c, const struct ctype *t, bool in_value)
{
	if (!t || t->kind != CTYPE_STRUCT) {
		if (c->n < COLUMNS_MAX)
			c->at[c->n++] = (struct column){
				in_value ? "value" : "key", NULL, t, in_value, 0, false};
		return;
	}
	for (size_t i = 0; i < t->n_fields && c->n < COLUMNS_MAX; i++)
		if (!t->fields[i].pad)
			c->at[c->n++] = (struct column){t->fields[i].name,
							&t->fields[i],
							t->fields[i].type,
							in_value,
							0,
							false};
}

static void print_bytes(const unsigned char *p, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%02x", p[i]);
}

static void cell(const struct plugin_table *t, const struct column *c, const struct row *r,
		 struct buf *out)
{
	const unsigned char *data = c->in_value ? r->value : r->key;
	size_t len = c->in_value ? t->map->value_size : t->map->key_size;

	if (!c->type) {
		print_bytes(data, len, out);
	} else if (c->field && c->field->bits) {
		struct ctype one = {.kind = CTYPE_STRUCT, .n_fields = 1};
		struct ctype_field f = *c->field;
		struct buf text = {0};

		/* "{flag = -2}" without what the column's head says */
		one.fields = &f;
		ctype_print(&one, data, len, &text);
		if (text.len > strlen(f.name) + 5)
			buf_add(out, text.data + strlen(f.name) + 4, text.len - strlen(f.name) - 5);
		buf_free(&text);
	} else {
		size_t at = c->field ? c->field->offset : 0;

		ctype_print(c->type, data + at, len - at, out);
	}
}

static void measure(const struct plugin_table *t, const struct rows *rows, struct columns *c)
{
	struct buf b = {0};

	for (size_t i = 0; i < c->n; i++) {
		const struct ctype *type = c->at[i].type;

		c->at[i].width = (int)strlen(c->at[i].name);
		c->at[i].text = type && type->kind != CTYPE_INT && type->kind != CTYPE_FLOAT;
		for (size_t k = 0; k < rows->count; k++) {
			buf_reset(&b);
			cell(t, &c->at[i], &rows->at[k], &b);
			if ((int)b.len > c->at[i].width)
				c->at[i].width = (int)b.len;
			c->cpu = c->cpu || rows->at[k].cpu >= 0;
		}
	}
	buf_free(&b);
}

static void print_cell(const struct column *c, const char *text, bool last, FILE *out)
{
	int width = c->text ? (last ? 0 : -c->width) : c->width;

	fprintf(out, "  %*s", width, text);
}

static void print_row(const struct plugin_table *t, const struct columns *c, const struct row *r,
		      FILE *out)
{
	struct buf b = {0};

	if (c->cpu)
		fprintf(out, "  %3d", r->cpu);
	for (size_t i = 0; i < c->n; i++) {
		buf_reset(&b);
		cell(t, &c->at[i], r, &b);
		print_cell(&c->at[i], buf_str(&b), i + 1 == c->n, out);
	}
	fputc('\n', out);
	buf_free(&b);
}

/* An integer member of the key; false when there is none of the name. */
static bool key_member(const struct plugin_table *t, const struct row *r, const char *name,
		       int64_t *out)
{
	uint32_t at;
	const struct ctype_field *f = t->key ? ctype_member(t->key, name, &at) : NULL;

	return f && !f->bits && ctype_integer(f->type, r->key + at, t->map->key_size - at, out);
}

static void print_frame(struct symbols *s, pid_t pid, uint64_t ip, FILE *out)
{
	struct symbol_at at = {0};

	if ((pid && symbols_user(s, pid, ip, &at)) || symbols_kernel(s, ip, &at)) {
		if (at.name)
			fprintf(out, "        %s+0x%llx", at.name, (unsigned long long)at.offset);
		else
			fprintf(out, "        0x%llx", (unsigned long long)at.module_offset);
		fprintf(out, "%s%s\n", at.module ? " in " : "", at.module ? at.module : "");
	} else {
		fprintf(out, "        0x%llx\n", (unsigned long long)ip);
	}
}

static void print_stack(const struct plugin *p, uint32_t id, pid_t pid, FILE *out)
{
	uint64_t ip[FRAMES_MAX] = {0};

	for (size_t k = 0; k < p->n_tables; k++) {
		if (p->tables[k].map->type != BPF_MAP_TYPE_STACK_TRACE ||
		    p->tables[k].map->value_size > sizeof(ip) ||
		    kmap_lookup(p->tables[k].fd, &id, ip))
			continue;
		for (size_t f = 0; f < FRAMES_MAX && ip[f]; f++)
			print_frame(p->set->symbols, pid, ip[f], out);
	}
}

/* Of a plugin that has a table of stacks: members of the key that are named like a stack's id, or
 * the key itself where the table is named so. */
static void print_stacks(const struct plugin *p, const struct plugin_table *t, const struct row *r,
			 FILE *out)
{
	int64_t id, pid = p->set->first_pid;

	if (t->key && t->key->kind == CTYPE_INT && strstr(t->name, "stack") &&
	    ctype_integer(t->key, r->key, t->map->key_size, &id) && id >= 0)
		print_stack(p, (uint32_t)id, (pid_t)pid, out);
	for (size_t i = 0; t->key && i < t->key->n_fields; i++) {
		const char *name = t->key->fields[i].name;

		if (!strstr(name, "stack") || !key_member(t, r, name, &id) || id < 0)
			continue;
		if (!key_member(t, r, "pid", &pid))
			key_member(t, r, "tgid", &pid);
		print_stack(p, (uint32_t)id, (pid_t)pid, out);
	}
}

static void print_plain(const struct plugin *p, const struct plugin_table *t,
			const struct rows *rows, FILE *out)
{
	struct columns c = {.n = 0};

	add_columns(&c, t->key, false);
	add_columns(&c, t->value, true);
	measure(t, rows, &c);
	if (c.cpu)
		fputs("  cpu", out);
	for (size_t i = 0; i < c.n; i++)
		print_cell(&c.at[i], c.at[i].name, i + 1 == c.n, out);
	fputc('\n', out);
	for (size_t i = 0; i < rows->count; i++) {
		print_row(t, &c, &rows->at[i], out);
		print_stacks(p, t, &rows->at[i], out);
	}
}

/* The member that numbers the slots of a histogram with a struct as key: `slot`, else the last
 * integer. */
static const struct ctype_field *slot_member(const struct ctype *key, uint32_t *at)
{
	const struct ctype_field *f = ctype_member(key, "slot", at);

	for (size_t i = key->n_fields; !f && i--;)
		if (!key->fields[i].pad && key->fields[i].type->kind == CTYPE_INT) {
			f = &key->fields[i];
			*at = f->offset;
		}
	return f;
}

static int64_t slot_of(const struct plugin_table *t, const struct row *r)
{
	const struct ctype *type = t->key;
	uint32_t at = 0;
	int64_t slot = -1;

	if (type && type->kind == CTYPE_STRUCT) {
		const struct ctype_field *f = slot_member(type, &at);

		type = f ? f->type : NULL;
	}
	if (type)
		ctype_integer(type, r->key + at, t->map->key_size - at, &slot);
	return slot;
}

/* What the key says besides the slot: one histogram each. */
static void section_of(const struct plugin_table *t, const struct row *r, struct buf *out)
{
	uint32_t at;
	const struct ctype_field *slot = slot_member(t->key, &at);

	for (size_t i = 0; i < t->key->n_fields; i++) {
		const struct ctype_field *f = &t->key->fields[i];

		if (f->pad || f == slot)
			continue;
		buf_printf(out, "%s%s = ", out->len ? ", " : "", f->name);
		ctype_print(f->type, r->key + f->offset, t->map->key_size - f->offset, out);
	}
}

struct counts {
	uint64_t *at;
	size_t n;
	uint64_t beyond; /* in slots that are too high to draw */
};

static void count_row(const struct plugin_table *t, const struct row *r, struct counts *c)
{
	int64_t slot = slot_of(t, r);

	if (slot >= 0 && (size_t)slot < c->n)
		c->at[slot] += (uint64_t)r->weight;
	else
		c->beyond += (uint64_t)r->weight;
}

static void print_counts(const struct plugin_table *t, struct counts *c, FILE *out)
{
	if (t->form == PLUGIN_TABLE_LOG2)
		plugin_hist_log2(t->unit, c->at, c->n, out);
	else
		plugin_hist_linear(t->unit, c->at, c->n, out);
	if (c->beyond)
		fprintf(out, "        beyond %zu slots: %llu\n", c->n,
			(unsigned long long)c->beyond);
	memset(c->at, 0, c->n * sizeof(*c->at));
	c->beyond = 0;
}

static void print_sections(const struct plugin_table *t, const struct rows *rows, struct counts *c,
			   FILE *out)
{
	bool *done = xcalloc(rows->count + 1, sizeof(*done));
	struct buf name = {0}, other = {0};

	for (size_t i = 0; i < rows->count; i++) {
		if (done[i])
			continue;
		buf_reset(&name);
		section_of(t, &rows->at[i], &name);
		fprintf(out, "%s\n", buf_str(&name));
		for (size_t k = i; k < rows->count; k++) {
			buf_reset(&other);
			section_of(t, &rows->at[k], &other);
			if (done[k] || strcmp(buf_str(&name), buf_str(&other)) != 0)
				continue;
			done[k] = true;
			count_row(t, &rows->at[k], c);
		}
		print_counts(t, c, out);
	}
	free(done);
	buf_free(&name);
	buf_free(&other);
}

static void print_histogram(const struct plugin_table *t, const struct rows *rows, FILE *out)
{
	struct counts c = {.n = t->form == PLUGIN_TABLE_LOG2 ? SLOTS_MAX : LINEAR_MAX};

	c.at = xcalloc(c.n, sizeof(*c.at));
	if (t->key && t->key->kind == CTYPE_STRUCT) {
		print_sections(t, rows, &c, out);
	} else {
		for (size_t i = 0; i < rows->count; i++)
			count_row(t, &rows->at[i], &c);
		print_counts(t, &c, out);
	}
	free(c.at);
}

void plugin_table_print(const struct plugin *p, const struct plugin_table *t, FILE *out)
{
	struct rows rows;

	rows_read(t, &rows);
	fprintf(out, "%s.%s: %s, %zu of %u entries", p->name, t->name,
		t->histogram ? "histogram" : kind_name(t->map->type), rows.entries - rows.zero,
		t->map->max_entries);
	if (!rows.count)
		fputs(", nothing counted\n", out);
	else if (rows.entries >= t->map->max_entries && t->map->type == BPF_MAP_TYPE_HASH)
		fputs(", full\n", out);
	else
		fputc('\n', out);
	if (rows.count && t->histogram)
		print_histogram(t, &rows, out);
	else if (rows.count)
		print_plain(p, t, &rows, out);
	rows_free(&rows);
}
