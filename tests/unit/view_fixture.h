/* SPDX-License-Identifier: Apache-2.0 */
/* A small run in memory, with every kind of row, for the tests of the views. */
#ifndef LLMPROBE_TESTS_VIEW_FIXTURE_H
#define LLMPROBE_TESTS_VIEW_FIXTURE_H

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/file.h"
#include "view/view.h"

static inline void fixture_exec(sqlite3 *db, const char *sql)
{
	char *error = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &error) == SQLITE_OK)
		return;
	fprintf(stderr, "fixture: %s in: %.200s\n", error, sql);
	abort();
}

static inline int64_t fixture_int(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt = NULL;
	int64_t value = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
		fprintf(stderr, "fixture: %s in: %.200s\n", sqlite3_errmsg(db), sql);
		abort();
	}
	if (sqlite3_step(stmt) == SQLITE_ROW)
		value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

static inline sqlite3 *fixture_empty(void)
{
	char *schema = data_file_read("host/trace/schema.sql");
	sqlite3 *db;

	if (!schema || sqlite3_open(":memory:", &db) != SQLITE_OK)
		abort();
	fixture_exec(db, schema);
	free(schema);
	return db;
}

/* What a layer of the small llama consists of: %d is the layer. Sources by name below. */
static const struct {
	const char *name, *op, *type, *kind;
	int ne0, ne1, ne2;
	double flops, bytes;
} fixture_layer[] = {
	{"blk.%d.attn_q.weight", "NONE", "q4_0", "weight", 64, 64, 1, 0, 0},
	{"blk.%d.ffn_up.weight", "NONE", "q4_0", "weight", 64, 128, 1, 0, 0},
	{"attn_norm-%d", "RMS_NORM", "f32", "activation", 64, 1, 1, 64, 512},
	{"Qcur-%d", "MUL_MAT", "f32", "activation", 64, 1, 1, 8192, 2816},
	{"Qcur-%d (view)", "VIEW", "f32", "view", 64, 1, 1, 0, 0},
	{"kq_soft_max-%d", "SOFT_MAX", "f32", "activation", 32, 4, 1, 128, 1024},
	{"ffn_up-%d", "MUL_MAT_ID", "f32", "activation", 128, 1, 1, 16384, 5376},
	{"l_out-%d", "ADD", "f32", "activation", 64, 1, 1, 64, 768},
};
enum { FIXTURE_PER_LAYER = 8, FIXTURE_LAYERS = 2 };

static inline void fixture_tensors(sqlite3 *db)
{
	static const int edges[][3] = {{2, 3, 1}, {0, 3, 0}, {3, 4, 0}, {4, 5, 0},
				       {5, 6, 1}, {1, 6, 0}, {6, 7, 0}, {2, 7, 1}};
	char name[64];

	for (int layer = 0; layer < FIXTURE_LAYERS; layer++) {
		int base = 1 + layer * FIXTURE_PER_LAYER;

		for (int i = 0; i < FIXTURE_PER_LAYER; i++) {
			char *sql;

			snprintf(name, sizeof(name), fixture_layer[i].name, layer);
			sql = sqlite3_mprintf(
				"INSERT INTO tensor_t(id, name, layer, op, type, ne0, ne1, ne2, "
				"ne3, flops, bytes, kind) VALUES(%d, %Q, %d, %Q, %Q, %d, %d, %d, "
				"1, %f, %f, %Q)",
				base + i, name, layer, fixture_layer[i].op, fixture_layer[i].type,
				fixture_layer[i].ne0, fixture_layer[i].ne1, fixture_layer[i].ne2,
				fixture_layer[i].flops, fixture_layer[i].bytes,
				fixture_layer[i].kind);
			fixture_exec(db, sql);
			sqlite3_free(sql);
		}
		for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
			char *sql = sqlite3_mprintf("INSERT INTO edge_t VALUES(%d, %d, %d)",
						    base + edges[i][0], base + edges[i][1],
						    edges[i][2]);
			fixture_exec(db, sql);
			sqlite3_free(sql);
		}
		if (layer)
			fixture_exec(db, "INSERT INTO edge_t VALUES(8, 11, 0)");
	}
}

/* One prefill of 8 tokens and `decodes` of one, two workers, ops back to back with prime times. */
static inline void fixture_calls(sqlite3 *db, int decodes)
{
	static const int order[] = {2, 3, 5, 6, 7};
	uint64_t now = 5000000000, token_begin;
	int op = 0;
	char *sql;

	for (int token = 0; token <= decodes; token++) {
		token_begin = now;
		now += 997;
		for (int layer = 0; layer < FIXTURE_LAYERS; layer++) {
			uint64_t begin = now;

			for (int i = 0; i < 5; i++) {
				int tensor = 1 + layer * FIXTURE_PER_LAYER + order[i];
				uint64_t busy = (uint64_t)(1009 * (order[i] + 1) + 13 * token);

				for (int w = 0; w < 2; w++) {
					uint64_t compute = busy - (w ? 211 : 0);

					op++;
					sql = sqlite3_mprintf(
						"INSERT INTO op_t(id, token_id, graph_id, "
						"tensor_id, tid, thread_index, cpu, begin_ns, "
						"compute_ns, wait_ns) VALUES(%d, %d, %d, %d, %d, "
						"%d, %d, %lld, %lld, %lld)",
						op, token + 1, token * FIXTURE_LAYERS + layer + 1,
						tensor, 100 + w, w, w, now, compute,
						busy + 17 - compute);
					fixture_exec(db, sql);
					sqlite3_free(sql);
				}
				now += busy + 17;
			}
			sql = sqlite3_mprintf(
				"INSERT INTO graph_t(id, token_id, begin_ns, end_ns, pid, tid, "
				"backend, n_nodes) VALUES(%d, %d, %lld, %lld, 100, 100, %Q, 5)",
				token * FIXTURE_LAYERS + layer + 1, token + 1, begin - 7, now + 7,
				layer ? "Vulkan0" : "CPU");
			fixture_exec(db, sql);
			sqlite3_free(sql);
			now += 101;
		}
		sql = sqlite3_mprintf(
			"INSERT INTO token_t(id, begin_ns, end_ns, pid, tid, context, "
			"phase, n_tokens) VALUES(%d, %lld, %lld, 100, 100, 7, %Q, %d)",
			token + 1, token_begin, now, token ? "decode" : "prefill", token ? 1 : 8);
		fixture_exec(db, sql);
		sqlite3_free(sql);
		now += 50021;
	}
}

static inline void fixture_rest(sqlite3 *db)
{
	fixture_exec(
		db, "INSERT INTO run_t VALUES('boot_offset_ns', '3000000000'),"
		    " ('engine', 'fixture'), ('exe', '/usr/bin/fixture <&\">');"
		    "INSERT INTO thread_t(tid, pid, name) VALUES(100, 100, 'fixture'),"
		    " (101, 100, 'worker-1');"
		    "INSERT INTO counter_name_t VALUES(1, 'cycles'), (2, 'cache-misses');"
		    "INSERT INTO counter_t(op_id, name_id, value, scaled)"
		    " SELECT id, 1, compute_ns * 3, 0 FROM op_t UNION ALL"
		    " SELECT id, 2, compute_ns / 64, 1 FROM op_t;"
		    "INSERT INTO expert_t(op_id, tensor_id, token_index, slot, expert)"
		    " SELECT o.id, o.tensor_id, 0, s.slot, (o.id * 7 + s.slot * 3) % 8 FROM op_t o"
		    " JOIN tensor_t t ON t.id = o.tensor_id,"
		    " (SELECT 0 AS slot UNION ALL SELECT 1) s"
		    " WHERE t.op = 'MUL_MAT_ID' AND o.thread_index = 0 ORDER BY 1, 4;"
		    "INSERT INTO note_t VALUES(5000000100, 'level', 'operator on'),"
		    " (5000050000, 'governor', 'counters off: cost 2.4 % is above the cap of 2 %');"
		    "INSERT INTO cost_t(begin_ns, end_ns, level, hits, run_ns) VALUES"
		    " (5000000000, 5000100000, 'operator', 40, 1000),"
		    " (5000100000, 5000200000, 'operator', 40, 1500);"
		    "INSERT INTO loss_t VALUES('operator', 'events', 3);"
		    "INSERT INTO op_phase_t SELECT k.phase, o.tensor_id, o.tid, o.thread_index,"
		    " count(*), sum(compute_ns), sum(wait_ns), count(wait_ns), min(compute_ns),"
		    " max(compute_ns) FROM op_t o JOIN token_t k ON k.id = o.token_id"
		    " GROUP BY 1, 2, 3, 4;"
		    "INSERT INTO op_token_t SELECT o.token_id, t.op, o.thread_index, count(*),"
		    " sum(compute_ns), sum(wait_ns) FROM op_t o JOIN tensor_t t"
		    " ON t.id = o.tensor_id GROUP BY 1, 2, 3;"
		    "INSERT INTO counter_phase_t SELECT k.phase, o.tensor_id, o.thread_index,"
		    " c.name_id, count(*), sum(c.value), max(c.scaled) FROM counter_t c"
		    " JOIN op_t o ON o.id = c.op_id JOIN token_t k ON k.id = o.token_id"
		    " GROUP BY 1, 2, 3, 4;");
	fixture_exec(
		db, "INSERT INTO sched_t(tid, cpu, begin_ns, end_ns, state, by_tid, by_comm) VALUES"
		    " (100, 0, 5000000000, 5000030000, 'running', NULL, NULL),"
		    " (101, 1, 5000000000, 5000020000, 'running', NULL, NULL),"
		    " (101, 1, 5000020000, 5000025000, 'runnable', 900, 'burner'),"
		    " (101, 1, 5000025000, 5000060000, 'running', NULL, NULL),"
		    " (100, 0, 5000030000, 5000040000, 'sleeping', NULL, NULL),"
		    " (100, 1, 5000040000, 5000060000, 'runnable', 101, 'worker-1'),"
		    " (100, 1, 5000060000, 5000090000, 'running', NULL, NULL),"
		    " (101, 1, 5000060000, 5000061000, 'sleeping', NULL, NULL);"
		    "INSERT INTO call_t(id, name, begin_ns, end_ns, pid, tid, arg0, ret) VALUES"
		    " (1, 'vkQueueSubmit', 5000001000, 5000002000, 100, 100, 1, 0);");
}

static inline sqlite3 *fixture_run(int decodes)
{
	sqlite3 *db = fixture_empty();

	fixture_exec(db, "BEGIN");
	fixture_tensors(db);
	fixture_calls(db, decodes);
	fixture_rest(db);
	fixture_exec(db, "COMMIT");
	return db;
}

/* What a view prints of one run, or of two; the caller frees it. */
static inline char *fixture_print(const struct view *v, sqlite3 *a, sqlite3 *b,
				  const struct view_opts *o, int *rc, struct diag *d)
{
	struct view_run runs[2] = {{.name = "first", .db = a}, {.name = "second", .db = b}};
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	*rc = v->print(runs, b ? 2 : 1, o, f, d);
	fclose(f);
	return text;
}

#endif
