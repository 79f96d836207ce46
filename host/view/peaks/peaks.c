/* SPDX-License-Identifier: Apache-2.0 */
#include "view/peaks/peaks.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "util/file.h"
#include "util/text.h"

enum { PEAKS_FILE_MAX = 1 << 20 };

char *peaks_path(const char *host)
{
	const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
	char own[128] = "localhost";

	gethostname(own, sizeof(own) - 1);
	if (!host || !*host || strchr(host, '/'))
		host = own;
	if (data && data[0] == '/')
		return xasprintf("%s/llmprobe/machines/%s.yaml", data, host);
	return xasprintf("%s/.local/share/llmprobe/machines/%s.yaml", home ? home : "/root", host);
}

static const char *scalar(yaml_document_t *doc, const yaml_node_t *map, const char *key,
			  const yaml_node_t **node)
{
	*node = NULL;
	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
	     p++) {
		yaml_node_t *k = yaml_document_get_node(doc, p->key);

		if (k->type != YAML_SCALAR_NODE ||
		    strcmp((const char *)k->data.scalar.value, key) != 0)
			continue;
		*node = yaml_document_get_node(doc, p->value);
		return (*node)->type == YAML_SCALAR_NODE ? (const char *)(*node)->data.scalar.value
							 : NULL;
	}
	return NULL;
}

static int number(yaml_document_t *doc, const yaml_node_t *map, const char *key, double *out,
		  const struct source *src, struct diag *d)
{
	const yaml_node_t *node;
	const char *text = scalar(doc, map, key, &node);
	const yaml_node_t *at = node ? node : map;
	struct span span = {(int)at->start_mark.line + 1, (int)at->start_mark.column + 1, 0,
			    (int)at->end_mark.column + 1};

	if (text && text_to_double(text, out) == 0 && *out >= 0)
		return 0;
	return diag_fail_at(d, -EINVAL, src, span, "%s must be a number of at least 0", key);
}

static int entries(yaml_document_t *doc, const yaml_node_t *list, struct peaks *p,
		   const struct source *src, struct diag *d)
{
	int err = 0;

	for (yaml_node_item_t *i = list->data.sequence.items.start;
	     !err && i < list->data.sequence.items.top && p->n < PEAKS_MAX; i++) {
		yaml_node_t *map = yaml_document_get_node(doc, *i);
		struct peaks_entry *e = &p->entry[p->n++];
		double threads = 0;

		const yaml_node_t *optional;

		err = number(doc, map, "threads", &threads, src, d);
		if (!err && scalar(doc, map, "gops8", &optional))
			err = number(doc, map, "gops8", &e->gops8, src, d);
		if (!err)
			err = number(doc, map, "gbs", &e->gbs, src, d);
		if (!err)
			err = number(doc, map, "gflops", &e->gflops, src, d);
		e->threads = (int)threads;
	}
	return err;
}

static int parse(const struct source *src, struct peaks *p, struct diag *d)
{
	const yaml_node_t *root, *node;
	yaml_parser_t parser;
	yaml_document_t doc;
	const char *text;
	int err;

	memset(p, 0, sizeof(*p));
	yaml_parser_initialize(&parser);
	yaml_parser_set_input_string(&parser, (const unsigned char *)src->text, src->len);
	if (!yaml_parser_load(&parser, &doc)) {
		struct span at = {(int)parser.problem_mark.line + 1,
				  (int)parser.problem_mark.column + 1, 0,
				  (int)parser.problem_mark.column + 2};

		err = diag_fail_at(d, -EINVAL, src, at, "%s", parser.problem);
		yaml_parser_delete(&parser);
		return err;
	}
	root = yaml_document_get_root_node(&doc);
	text = scalar(&doc, root, "name", &node);
	snprintf(p->name, sizeof(p->name), "%s", text ? text : src->name);
	text = scalar(&doc, root, "source", &node);
	snprintf(p->source, sizeof(p->source), "%s", text ? text : "no source given");
	scalar(&doc, root, "peaks", &node);
	if (node && node->type == YAML_SEQUENCE_NODE)
		err = entries(&doc, node, p, src, d);
	else
		err = diag_fail_at(d, -EINVAL, src, (struct span){1, 1, 0, 2},
				   "no list 'peaks' of {threads, gbs, gflops}");
	yaml_document_delete(&doc);
	yaml_parser_delete(&parser);
	return err;
}

int peaks_parse(const char *name, const char *text, struct peaks *p, struct diag *d)
{
	struct source src = {name, text, strlen(text)};

	return parse(&src, p, d);
}

int peaks_load(const char *which, struct peaks *p, struct diag *d)
{
	struct buf text = {0};
	int err = file_read(which, &text, PEAKS_FILE_MAX);
	char *name, *embedded;

	if (!err) {
		err = peaks_parse(which, buf_str(&text), p, d);
		buf_free(&text);
		return err;
	}
	buf_free(&text);
	name = xasprintf("yaml/machines/%s.yaml", which);
	embedded = strchr(which, '/') ? NULL : data_file_read(name);
	if (embedded)
		err = peaks_parse(name, embedded, p, d);
	else
		diag_add(d, DIAG_ERROR, "no peaks in '%s': %s, and no machine of that name", which,
			 strerror(-err));
	free(embedded);
	free(name);
	return err;
}

int peaks_stored(const char *host, struct peaks *p, struct diag *d)
{
	char *path = peaks_path(host);
	struct buf text = {0};
	int err = file_read(path, &text, PEAKS_FILE_MAX);

	if (!err)
		err = peaks_parse(path, buf_str(&text), p, d);
	else if (err != -ENOENT)
		diag_fail(d, err, "cannot read %s: %s", path, strerror(-err));
	buf_free(&text);
	free(path);
	return err;
}

void peaks_keep(const char *run_file)
{
	char *path = peaks_path(NULL);
	struct buf text = {0};
	sqlite3_stmt *q = NULL;
	sqlite3 *db = NULL;

	if (file_read(path, &text, PEAKS_FILE_MAX) == 0 &&
	    sqlite3_open_v2(run_file, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO run_t VALUES('peaks', ?1)", -1, &q,
			       NULL) == SQLITE_OK) {
		sqlite3_bind_text(q, 1, buf_str(&text), -1, SQLITE_STATIC);
		sqlite3_step(q);
	}
	sqlite3_finalize(q);
	sqlite3_close(db);
	buf_free(&text);
	free(path);
}

const struct peaks_entry *peaks_for(const struct peaks *p, int threads)
{
	const struct peaks_entry *best = NULL;

	for (int i = 0; i < p->n; i++) {
		const struct peaks_entry *e = &p->entry[i];
		bool fits = e->threads <= threads;

		if (!best || (fits && (best->threads > threads || e->threads > best->threads)) ||
		    (!fits && best->threads > threads && e->threads < best->threads))
			best = e;
	}
	return best;
}

void peaks_print(const struct peaks *p, FILE *out)
{
	fprintf(out, "name: \"%s\"\nsource: \"%s\"\npeaks:\n", p->name, p->source);
	for (int i = 0; i < p->n; i++)
		fprintf(out, "  - {threads: %d, gbs: %.2f, gflops: %.2f, gops8: %.2f}\n",
			p->entry[i].threads, p->entry[i].gbs, p->entry[i].gflops,
			p->entry[i].gops8);
}
