/* SPDX-License-Identifier: Apache-2.0 */
#include "made_run.h"

#include <errno.h>
#include <sys/stat.h>

#include "util/file.h"
#include "util/text.h"

static void sums_are_exact(void **state)
{
	struct made_run m = made_run("--layers 3 --decodes 40 --threads 3 --sched --counters");

	(void)state;
	assert_int_equal(made_int(&m, "SELECT count(*) FROM op"), made_sum(&m, "rows"));
	assert_int_equal(made_int(&m, "SELECT sum(end_ns - begin_ns) FROM op"),
			 made_sum(&m, "compute_ns"));
	assert_int_equal(made_int(&m, "SELECT sum(wait_ns) FROM op"), made_sum(&m, "wait_ns"));
	assert_int_equal(made_int(&m, "SELECT count(*) FROM token"), made_sum(&m, "tokens"));
	assert_int_equal(made_int(&m, "SELECT count(*) FROM graph WHERE backend = 'CPU'"),
			 made_sum(&m, "graphs"));
	assert_int_equal(made_int(&m, "SELECT count(*) FROM counter"), made_sum(&m, "counters"));
	assert_int_equal(made_int(&m, "SELECT sum(compute_ns) FROM op_phase_t"),
			 made_sum(&m, "compute_ns"));
	assert_int_equal(made_int(&m, "SELECT sum(compute_ns + wait_ns) FROM op_token_t"),
			 made_sum(&m, "compute_ns") + made_sum(&m, "wait_ns"));
	assert_int_equal(made_int(&m, "SELECT count(*) FROM op WHERE tensor_id IS NULL OR"
				      " graph_id IS NULL OR token_id IS NULL"),
			 0);
	assert_int_equal(made_int(&m, "SELECT count(*) FROM note WHERE kind = 'conversion'"), 0);
	assert_int_equal(made_int(&m, "SELECT sum(lost) FROM loss"), 0);
	made_free(&m);
}

/* While others have the hardware its counters say nothing, and what they say for part of the time
 * is scaled; what the kernel counts itself is neither. */
static void counters_without_their_hardware(void **state)
{
	struct made_run m = made_run("--decodes 40 --threads 2 --taken");

	(void)state;
	assert_true(made_sum(&m, "taken") > 100);
	assert_int_equal(made_int(&m, "SELECT count(*) FROM counter WHERE name = 'task-clock'"),
			 made_sum(&m, "rows"));
	assert_int_equal(made_int(&m, "SELECT sum(value) FROM counter WHERE name = 'task-clock'"),
			 made_sum(&m, "compute_ns"));
	assert_int_equal(made_int(&m, "SELECT count(*) FROM counter WHERE name = 'cycles'"),
			 made_sum(&m, "rows") - made_sum(&m, "taken"));
	assert_int_equal(made_int(&m, "SELECT count(*) FROM counter c JOIN op o ON o.id = c.op_id "
				      "WHERE c.scaled != (c.name = 'cycles' AND o.thread_index)"),
			 0);
	assert_int_equal(made_int(&m, "SELECT count(*) FROM counter c JOIN op o ON o.id = c.op_id "
				      "WHERE c.name = 'cycles' AND c.value != (o.end_ns - "
				      "o.begin_ns) * 2 * (1 + c.scaled)"),
			 0);
	assert_int_equal(made_int(&m, "SELECT CAST(text AS INT) FROM note WHERE text LIKE "
				      "'%have no values of hardware counters%'"),
			 made_sum(&m, "taken"));
	made_free(&m);
}

static void ids_follow_time(void **state)
{
	struct made_run m = made_run("--decodes 30");

	(void)state;
	assert_int_equal(made_int(&m, "SELECT count(*) FROM op a JOIN op b ON b.id = a.id + 1"
				      " WHERE b.begin_ns < a.begin_ns"),
			 0);
	assert_int_equal(made_int(&m, "SELECT count(*) FROM token_t t JOIN op o ON o.token_id = "
				      "t.id WHERE o.id NOT BETWEEN t.first_op AND t.last_op"),
			 0);
	made_free(&m);
}

static void tensors_have_costs(void **state)
{
	struct made_run m = made_run("--decodes 3 --prompt 32");

	(void)state;
	/* 2 * 2048 * 8192 operations; 2048 * 8192 * 18/32 bytes of weights and both vectors. */
	assert_int_equal(made_int(&m, "SELECT flops FROM tensor WHERE name = 'ffn_gate-1' AND"
				      " ne1 = 1"),
			 33554432);
	assert_int_equal(made_int(&m, "SELECT bytes FROM tensor WHERE name = 'ffn_gate-1' AND"
				      " ne1 = 1"),
			 9437184 + 2048 * 4 + 8192 * 4);
	assert_int_equal(made_int(&m, "SELECT weight_bytes FROM tensor_t WHERE name = 'ffn_gate-1'"
				      " AND ne1 = 1"),
			 9437184);
	/* 2 * heads * (64 + 64) * n_kv, and K and V as f16. */
	assert_int_equal(made_int(&m, "SELECT flops FROM tensor WHERE name = '__fattn__-0' AND"
				      " ne2 = 1"),
			 2 * 32 * 128 * 64);
	assert_int_equal(made_int(&m, "SELECT kv_bytes FROM tensor_t WHERE name = '__fattn__-0' AND"
				      " ne2 = 1"),
			 2 * 64 * 64 * 8 * 2);
	assert_int_equal(made_int(&m, "SELECT layer FROM tensor WHERE name = 'cache_k_l1 (view)'"),
			 1);
	assert_int_equal(made_int(&m, "SELECT count(*) FROM tensor_t WHERE kind = 'fused' AND"
				      " op = 'RMS_NORM+MUL' AND name = 'attn_norm-0'"),
			 2);
	assert_int_equal(made_int(&m,
				  "SELECT count(*) FROM edge e JOIN tensor s ON s.id ="
				  " e.src_tensor JOIN tensor d ON d.id = e.dst_tensor WHERE"
				  " s.name = 'blk.1.ffn_gate.weight' AND d.name = 'ffn_gate-1'"),
			 2);
	made_free(&m);
}

/* The cache grows: attention is another tensor at each size, what follows it stays the same. */
static void growing_cache(void **state)
{
	struct made_run m = made_run("--decodes 100 --prompt 32");

	(void)state;
	assert_int_equal(made_int(&m, "SELECT count(*) FROM tensor WHERE name = '__fattn__-0' AND"
				      " ne2 = 1"),
			 4);
	assert_int_equal(made_int(&m, "SELECT count(*) FROM tensor WHERE name = 'attn_out-0' AND"
				      " ne1 = 1"),
			 1);
	made_free(&m);
}

static void scheduler(void **state)
{
	struct made_run m = made_run("--decodes 20 --sched");

	(void)state;
	assert_int_equal(made_int(&m, "SELECT sum(end_ns - begin_ns) FROM sched WHERE state ="
				      " 'runnable' AND by_comm = 'busyloop'"),
			 made_sum(&m, "hog_ns"));
	assert_int_equal(made_int(&m, "SELECT sum(end_ns - begin_ns) FROM sched WHERE state ="
				      " 'running' AND tid = 1001"),
			 made_sum(&m, "running1_ns"));
	/* A thread's intervals neither overlap nor leave gaps. */
	assert_int_equal(made_int(&m, "SELECT max(end_ns) - min(begin_ns) - sum(end_ns - begin_ns)"
				      " FROM sched WHERE tid = 1001"),
			 0);
	made_free(&m);
}

/* Some kernels do not tell when certain threads of theirs leave a CPU. */
#define GAPS                                                                                       \
	"(SELECT begin_ns - lag(end_ns) OVER (PARTITION BY tid ORDER BY begin_ns) AS gap FROM "    \
	"sched)"

static void switches_that_are_not_told(void **state)
{
	struct made_run m = made_run("--decodes 20 --sched --untold");

	(void)state;
	assert_int_equal(made_sum(&m, "untold"), 10);
	assert_int_equal(made_int(&m, "SELECT count(*) FROM " GAPS " WHERE gap > 0"), 10);
	assert_int_equal(made_int(&m, "SELECT count(*) FROM " GAPS " WHERE gap < 0"), 0);
	assert_int_equal(made_int(&m, "SELECT CAST(text AS INTEGER) FROM note WHERE text LIKE "
				      "'%scheduler intervals have an end that was not recorded%'"),
			 10);
	made_free(&m);
}

static void experts(void **state)
{
	struct made_run m = made_run("--decodes 20 --moe --prompt 40");

	(void)state;
	assert_int_equal(made_int(&m, "SELECT count(*) FROM expert"), made_sum(&m, "experts"));
	assert_int_equal(made_int(&m, "SELECT count(*) FROM expert e LEFT JOIN op o ON o.id ="
				      " e.op_id LEFT JOIN tensor t ON t.id = o.tensor_id WHERE"
				      " t.name NOT LIKE 'ffn_moe_gate-%' OR t.name IS NULL"),
			 0);
	/* At most 4 of 60 experts' weights are read per token, fewer when some coincide. */
	assert_true(made_int(&m, "SELECT weight_bytes FROM tensor_t WHERE name = 'ffn_moe_down-0'"
				 " AND ne2 = 1") <= 1408 * 2048 * 18 / 32 * 4);
	assert_true(made_int(&m, "SELECT weight_bytes FROM tensor_t WHERE name = 'ffn_moe_down-0'"
				 " AND ne2 = 40") > 1408 * 2048 * 18 / 32 * 10);
	made_free(&m);
}

static void begin_only(void **state)
{
	struct made_run m = made_run("--decodes 5 --begin-only");

	(void)state;
	assert_int_equal(made_int(&m, "SELECT count(*) FROM op WHERE wait_ns IS NOT NULL"), 0);
	assert_int_equal(made_int(&m, "SELECT sum(end_ns - begin_ns) FROM op"),
			 made_sum(&m, "compute_ns"));
	made_free(&m);
}

/* Buffers per CPU give the batches of a thread that moved in any order; what is missing is counted.
 */
static void order_of_batches(void **state)
{
	struct made_run m = made_run("--decodes 20 --threads 2 --swap");

	(void)state;
	assert_int_equal(made_int(&m, "SELECT count(*) FROM op"), made_sum(&m, "rows"));
	assert_int_equal(made_int(&m, "SELECT sum(lost) FROM loss"), 0);
	made_free(&m);
	m = made_run("--decodes 20 --threads 2 --drop");
	assert_int_equal(made_int(&m, "SELECT count(*) FROM op"), made_sum(&m, "rows") - 2 * 64);
	assert_int_equal(made_int(&m, "SELECT lost FROM loss WHERE buffer = 'running numbers'"),
			 2 * 64);
	made_free(&m);
}

/* Wherever the file is cut, the run opens and holds no more than was written. */
static void cut_spool(void **state)
{
	struct made_run m = {0};
	struct diag *d = diag_new();
	struct stat st;

	(void)state;
	made_spool(&m, "--decodes 8 --sched --moe");
	assert_int_equal(stat(m.spool, &st), 0);
	for (int i = 9; i > 0; i--) {
		assert_int_equal(truncate(m.spool, st.st_size * i / 10 + i), 0);
		diag_clear(d);
		assert_int_equal(store_convert(m.spool, m.path,
					       &(struct store_convert_opts){.force = true}, d),
				 0);
		assert_true(diag_count(d, DIAG_WARNING) > 0);
		m.db = store_open(m.path, d);
		assert_non_null(m.db);
		assert_int_equal(made_int(&m, "SELECT value FROM run WHERE key = 'complete'"), 0);
		assert_true(made_int(&m, "SELECT count(*) FROM op") < made_sum(&m, "rows"));
		sqlite3_close(m.db);
	}
	m.db = NULL;
	diag_free(d);
	made_free(&m);
}

static void refusals(void **state)
{
	struct made_run m = {0};
	struct diag *d = diag_new();
	struct store_convert_opts keep = {0};

	(void)state;
	made_spool(&m, "--decodes 1");
	assert_null(store_open(m.path, d));
	assert_null(store_open(m.spool, d));
	assert_null(store_open("/etc/passwd", d));
	made_convert(&m);
	assert_int_equal(store_convert(m.spool, m.path, &keep, d), -EEXIST);
	assert_int_equal(store_convert("/etc/passwd", "/tmp/nothing.llmp", &keep, d), -EINVAL);
	assert_int_equal(access("/tmp/nothing.llmp", F_OK), -1);
	assert_int_equal(truncate(m.path, 40000), 0);
	assert_null(store_open(m.path, d));
	assert_int_equal(diag_count(d, DIAG_ERROR), 6);
	diag_free(d);
	made_free(&m);
}

/* Names come from other processes; what is stored of them is text. */
static void stored_text_is_utf8(void **state)
{
	struct made_run m = {0};
	struct buf spool = {0};
	sqlite3_stmt *q;
	char *at;

	(void)state;
	made_spool(&m, "--decodes 4 --sched");
	assert_int_equal(file_read(m.spool, &spool, 0), 0);
	for (at = spool.data;
	     (at = memmem(at, spool.len - (size_t)(at - spool.data), "busyloop", 8));)
		*at = '\xff';
	assert_int_equal(file_replace(m.spool, spool.data, spool.len), 0);
	buf_free(&spool);
	made_convert(&m);
	assert_true(made_int(&m,
			     "SELECT count(*) FROM sched WHERE by_comm = CAST(x'efbfbd' AS TEXT) ||"
			     " 'usyloop'") > 0);
	q = view_query(m.db, NULL, "SELECT coalesce(by_comm, '') FROM sched", NULL);
	while (view_step(q))
		assert_true(text_is_utf8(view_text(q, 0)));
	made_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_exact),
		cmocka_unit_test(counters_without_their_hardware),
		cmocka_unit_test(ids_follow_time),
		cmocka_unit_test(tensors_have_costs),
		cmocka_unit_test(growing_cache),
		cmocka_unit_test(switches_that_are_not_told),
		cmocka_unit_test(scheduler),
		cmocka_unit_test(experts),
		cmocka_unit_test(begin_only),
		cmocka_unit_test(order_of_batches),
		cmocka_unit_test(cut_spool),
		cmocka_unit_test(refusals),
		cmocka_unit_test(stored_text_is_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
