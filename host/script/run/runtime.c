/* SPDX-License-Identifier: Apache-2.0 */
#include "script/run/runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/kmap.h"
#include "script/fn/builtin.h"
#include "util/clock.h"
#include "util/file.h"

void output_json(struct runtime *r, const char *type, const char *data)
{
	fprintf(r->out, "{\"type\": \"%s\", \"data\": %s}\n", type, data);
}

void output_json_message(struct runtime *r, const char *type, const struct node *at,
			 const char *msg, const char *more)
{
	struct span where = loc_span(at->src, at->loc);
	struct buf out = {0};

	buf_puts(&out, "\"msg\": ");
	json_string(&out, msg, strlen(msg));
	buf_printf(&out, ", %s\"filename\": ", more);
	json_string(&out, at->src->name, strlen(at->src->name));
	fprintf(r->out, "{\"type\": \"%s\", %s, \"line\": %d, \"col\": %d}\n", type, buf_str(&out),
		where.line, where.col);
	buf_free(&out);
}

void output_text(struct runtime *r, const char *type, const char *text, size_t len)
{
	struct buf json = {0};

	if (r->format == SCRIPT_TEXT) {
		fwrite(text, 1, len, r->out);
		return;
	}
	json_string(&json, text, len);
	output_json(r, type, buf_str(&json));
	buf_free(&json);
}

void run_printf(struct runtime *r, const struct action *a, const uint8_t *data, size_t len)
{
	struct buf out = {0};

	(void)len;
	format_values(r, &out, a, data);
	output_text(r, "printf", buf_str(&out), out.len);
	buf_free(&out);
}

void run_errorf(struct runtime *r, const struct action *a, const uint8_t *data, size_t len)
{
	bool error = a->builtin->name[0] == 'e';
	struct span at = loc_span(a->node->src, a->node->loc);
	struct buf out = {0};

	(void)len;
	format_values(r, &out, a, data);
	if (r->format == SCRIPT_JSON)
		output_json_message(r, a->builtin->name, a->node, buf_str(&out), "");
	else
		fprintf(r->err, "%s:%d:%d-%d: %s: %s%s", a->node->src->name, at.line, at.col,
			at.end_col, error ? "ERROR" : "WARNING", buf_str(&out),
			out.len && out.data[out.len - 1] == '\n' ? "" : "\n");
	buf_free(&out);
}

void run_cat(struct runtime *r, const struct action *a, const uint8_t *data, size_t len)
{
	struct buf path = {0}, text = {0};
	FILE *f;

	(void)len;
	format_values(r, &path, a, data);
	f = fopen(buf_str(&path), "re");
	if (!f) {
		fprintf(r->err, "ERROR: failed to open file '%s': %s\n", buf_str(&path),
			strerror(errno));
	} else {
		char block[4096];
		size_t n;

		while (text.len < r->settings->max_cat_bytes &&
		       (n = fread(block, 1, sizeof(block), f)) > 0)
			buf_add(&text, block, n);
		fclose(f);
		if (text.len > r->settings->max_cat_bytes)
			text.len = r->settings->max_cat_bytes;
		output_text(r, "cat", buf_str(&text), text.len);
	}
	buf_free(&path);
	buf_free(&text);
}

void run_system(struct runtime *r, const struct action *a, const uint8_t *data, size_t len)
{
	struct buf command = {0}, text = {0};
	char block[4096];
	size_t n;
	FILE *p;

	(void)len;
	format_values(r, &command, a, data);
	fflush(r->out);
	p = r->unsafe ? popen(buf_str(&command), "re") : NULL;
	while (p && (n = fread(block, 1, sizeof(block), p)) > 0)
		buf_add(&text, block, n);
	if (p)
		pclose(p);
	output_text(r, "syscall", buf_str(&text), text.len);
	buf_free(&command);
	buf_free(&text);
}

void run_time(struct runtime *r, const struct action *a, const uint8_t *data, size_t len)
{
	struct buf out = {0};

	(void)data;
	(void)len;
	format_time(&out, a->text, CLOCK_MONOTONIC, clock_now());
	output_text(r, "time", buf_str(&out), out.len);
	buf_free(&out);
}

void run_join(struct runtime *r, const struct action *a, const uint8_t *data, size_t len)
{
	struct buf out = {0};
	uint64_t n, room = (uint64_t)a->num[0];

	(void)len;
	memcpy(&n, data, 8);
	for (uint64_t i = 0; i < n && i < 16; i++) {
		const char *s = (const char *)data + 8 + i * room;

		buf_puts(&out, i ? a->text : "");
		buf_add(&out, s, strnlen(s, room));
	}
	if (r->format == SCRIPT_TEXT)
		buf_putc(&out, '\n');
	output_text(r, "join", buf_str(&out), out.len);
	buf_free(&out);
}

void run_exit(struct runtime *r, const struct action *a, const uint8_t *data, size_t len)
{
	int64_t code = 0;

	(void)len;
	if (a->n_args)
		memcpy(&code, data, 8);
	r->exiting = true;
	r->exit_code = (int)code & 0xff;
}

void run_unwatch(struct runtime *r, const struct action *a, const uint8_t *data, size_t len)
{
	uint64_t address;

	(void)a;
	if (len < sizeof(address))
		return;
	memcpy(&address, data, sizeof(address));
	r->unwatch(r->script, address);
}

void run_assert(struct runtime *r, const struct action *a, const uint8_t *data, size_t len)
{
	struct span at = loc_span(a->node->src, a->node->loc);

	(void)data;
	(void)len;
	if (r->format == SCRIPT_JSON) {
		char *msg = xasprintf("assert failed: %s", a->text);

		output_json_message(r, "errorf", a->node, msg, "");
		free(msg);
	} else {
		fprintf(r->err, "%s:%d:%d-%d: ERROR: assert failed: %s\n", a->node->src->name,
			at.line, at.col, at.end_col, a->text);
	}
	r->exiting = true;
	r->exit_code = 1;
}

void run_print(struct runtime *r, const struct action *a, const uint8_t *data, size_t len)
{
	struct buf out = {0};

	(void)len;
	if (a->map) {
		map_print(r, a->map, (uint64_t)a->num[0], (uint64_t)a->num[1], false);
		return;
	}
	if (r->format == SCRIPT_JSON) {
		value_json(r, &out, a->args[0].type, data);
		output_json(r, "value", buf_str(&out));
	} else {
		value_text(r, &out, a->args[0].type, data, 8);
		buf_putc(&out, '\n');
		fwrite(buf_str(&out), 1, out.len, r->out);
	}
	buf_free(&out);
}

void run_clear(struct runtime *r, const struct action *a, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	r->zeroed[a->map->id] = false;
	kmap_clear(r->map_fds[a->map->id]);
}

struct zeroing {
	int fd;
	uint8_t *zeros;
	size_t set_at; /* of the word that says a map without key was set, 0: none */
};

static int zero_element(void *ctx, const void *key, const void *value)
{
	struct zeroing *z = ctx;

	/* what was never set stays so */
	if (z->set_at)
		memcpy(z->zeros + z->set_at, (const char *)value + z->set_at, 8);
	kmap_update(z->fd, key, z->zeros, 0);
	return 0;
}

/* Keys stay, their values become 0. */
void run_zero(struct runtime *r, const struct action *a, const uint8_t *data, size_t len)
{
	struct kmap_spec spec;
	struct zeroing z = {.fd = r->map_fds[a->map->id]};

	(void)data;
	(void)len;
	map_spec(a->map, r->settings, &spec);
	r->zeroed[a->map->id] = true;
	z.zeros = xcalloc(1, kmap_value_bytes(spec.type, spec.value_size));
	if (!a->map->key && !map_has_buckets(a->map->type->kind))
		z.set_at = spec.value_size - 8;
	kmap_each(z.fd, zero_element, &z);
	free(z.zeros);
}

/* What a helper refused is told by its error, everything else by its text. */
static void json_warning(struct runtime *r, const struct action *a)
{
	static const char mark[] = "\nAdditional Info - helper: ";
	const char *info = strstr(a->text, mark), *helper = info ? info + strlen(mark) : "";
	struct buf more = {0};
	int code = 0;

	if (!info) {
		output_json_message(r, "runtime_error", a->node, a->text, "");
		return;
	}
	sscanf(helper, "%*[^,], retcode: %d", &code);
	buf_puts(&more, "\"helper\": ");
	json_string(&more, helper, strcspn(helper, ","));
	buf_printf(&more, ", \"retcode\": %d, ", code);
	output_json_message(r, "helper_error", a->node, strerror(-code), buf_str(&more));
	buf_free(&more);
}

/* A warning of the running script: the first time with its place, later only counted. */
static void print_warning(struct runtime *r, const struct action *a)
{
	struct diag *d;

	if (r->warned[a->id]++ || r->no_warnings)
		return;
	if (r->format == SCRIPT_JSON) {
		json_warning(r, a);
		return;
	}
	d = diag_new();
	diag_add_at(d, DIAG_WARNING, a->node->src, loc_span(a->node->src, a->node->loc), "%s",
		    a->text);
	fflush(r->out);
	diag_print(d, r->err, DIAG_STYLE_BPFTRACE, false);
	diag_free(d);
}

void runtime_record(struct runtime *r, const void *data, size_t len)
{
	const struct action *a;
	uint64_t id;

	if (len < 8 || r->exiting)
		return;
	memcpy(&id, data, 8);
	if (id == RECORD_PROCESS && len >= 16) {
		memcpy(&id, (const char *)data + 8, 8);
		symbols_note(r->symbols, (pid_t)id, true);
		return;
	}
	if (id >= r->code->n_actions)
		return;
	a = r->actions[id];
	if (len - 8 < a->size || (r->ending && !a->at_end))
		return;
	if (a->is_warning)
		print_warning(r, a);
	else if (a->builtin->run)
		a->builtin->run(r, a, (const uint8_t *)data + 8, len - 8);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct symbol *const *)a)->name,
		      (*(const struct symbol *const *)b)->name);
}

void runtime_print_maps(struct runtime *r)
{
	const struct symbol **maps = xcalloc((size_t)r->s->n_maps + 1, sizeof(*maps));
	size_t n = 0;

	for (const struct symbol *m = r->s->maps; m; m = m->next)
		maps[n++] = m;
	qsort(maps, n, sizeof(*maps), by_name);
	for (size_t i = 0; i < n; i++)
		map_print(r, maps[i], 0, 0, true);
	free(maps);
}
