/* SPDX-License-Identifier: Apache-2.0 */
#include "view/place.h"

#include "util/text.h"

bool place_unnamed(const char *name)
{
	return !*name || text_starts(name, "node_") || text_starts(name, "leaf_");
}

static void unnamed(sqlite3_context *call, int n, sqlite3_value **v)
{
	const char *name = (const char *)sqlite3_value_text(v[0]);

	(void)n;
	sqlite3_result_int(call, place_unnamed(name ? name : ""));
}

void place_tensors(sqlite3 *db)
{
	if (sqlite3_table_column_metadata(db, "temp", "place", NULL, NULL, NULL, NULL, NULL,
					  NULL) == SQLITE_OK)
		return;
	sqlite3_create_function(db, "unnamed", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, unnamed,
				NULL, NULL);
	sqlite3_exec(db,
		     "CREATE TEMP TABLE place(id INTEGER PRIMARY KEY, layer INT, label TEXT);"
		     "INSERT INTO temp.place SELECT t.id, t.layer, t.name FROM tensor_t t"
		     " WHERE NOT unnamed(t.name);"
		     "INSERT OR IGNORE INTO temp.place SELECT t.id, t.layer,"
		     " CASE WHEN w.name LIKE '%.weight' THEN substr(w.name, 1, length(w.name) - 7)"
		     " ELSE w.name END FROM tensor_t t JOIN edge_t e ON e.dst_tensor = t.id"
		     " JOIN tensor_t w ON w.id = e.src_tensor WHERE e.slot = 0"
		     " AND t.op GLOB 'MUL_MAT*' AND w.kind = 'weight' AND w.name != '';"
		     "INSERT OR IGNORE INTO temp.place SELECT id, layer,"
		     " coalesce('layer ' || layer, name) FROM tensor_t",
		     NULL, NULL, NULL);
}
