/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/plugin_rows.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "probes/record.h"
#include "util/ctype.h"

struct plugin_map {
	uint32_t id;
	char *plugin, *map;
	struct ctype *type; /* NULL: the records are kept as bytes */
	UT_hash_handle hh;
};

struct plugin_rows {
	struct plugin_map *maps;
};

struct plugin_rows *plugin_rows_new(void)
{
	return xcalloc(1, sizeof(struct plugin_rows));
}

static void drop(struct plugin_rows *p, struct plugin_map *m)
{
	HASH_DEL(p->maps, m);
	free(m->plugin);
	free(m->map);
	ctype_free(m->type);
	free(m);
}

void plugin_rows_free(struct plugin_rows *p)
{
	struct plugin_map *m, *tmp;

	if (!p)
		return;
	HASH_ITER (hh, p->maps, m, tmp)
		drop(p, m);
	free(p);
}

static char *text_of(const cJSON *note, const char *key)
{
	const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(note, key));

	return xstrdup(s ? s : "?");
}

void plugin_rows_note(struct plugin_rows *p, const cJSON *note)
{
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(note, "id");
	struct plugin_map *m, *old;

	if (!cJSON_IsNumber(id) || !(id->valuedouble >= 0 && id->valuedouble <= UINT16_MAX))
		return;
	m = xcalloc(1, sizeof(*m));
	m->id = (uint32_t)id->valuedouble;
	m->plugin = text_of(note, "name");
	m->map = text_of(note, "table");
	m->type = ctype_from_json(cJSON_GetObjectItemCaseSensitive(note, "type"));
	HASH_FIND(hh, p->maps, &m->id, sizeof(m->id), old);
	if (old)
		drop(p, old);
	HASH_ADD(hh, p->maps, id, sizeof(m->id), m);
}

static char *bytes_json(const unsigned char *data, size_t len)
{
	struct buf out = {0};

	buf_putc(&out, '"');
	for (size_t i = 0; i < len; i++)
		buf_printf(&out, "%02x", data[i]);
	buf_putc(&out, '"');
	return buf_take(&out);
}

static char *json_of(const struct ctype *t, const unsigned char *data, size_t len)
{
	cJSON *json = t ? ctype_value(t, data, len) : NULL;
	char *printed = json ? cJSON_PrintUnformatted(json) : NULL;
	char *text = printed ? xstrdup(printed) : bytes_json(data, len);

	cJSON_free(printed);
	cJSON_Delete(json);
	return text;
}

void plugin_rows_add(const struct plugin_rows *p, struct writer *w, const void *rec, size_t len)
{
	const unsigned char *data = (const unsigned char *)rec + sizeof(struct rec_plugin);
	const struct plugin_map *m;
	struct rec_plugin r;
	uint32_t id;
	char *text;

	memcpy(&r, rec, sizeof(r));
	id = r.head.point;
	len -= sizeof(r);
	HASH_FIND(hh, p->maps, &id, sizeof(id), m);
	text = json_of(m ? m->type : NULL, data, r.len < len ? r.len : len);
	writer_add(w, W_PLUGIN, "ssiIIs", m ? m->plugin : "?", m ? m->map : "?",
		   (int64_t)r.head.ts_ns, r.head.pid ? (int64_t)r.head.pid : WRITER_NULL,
		   r.head.tid ? (int64_t)r.head.tid : WRITER_NULL, text);
	free(text);
}
