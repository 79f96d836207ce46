/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "view/dag/dag.h"
#include "view/view.h"
#include "view_fixture.h"

static const struct dag_opts everything = {.first_layer = -1, .last_layer = INT_MAX};

static struct dag load(sqlite3 *db, const struct dag_opts *o)
{
	struct diag *d = diag_new();
	struct dag g;

	if (dag_load(db, o, &g, d)) {
		diag_print(d, stderr, DIAG_STYLE_FIELD, false);
		fail();
	}
	diag_free(d);
	return g;
}

static size_t visible(const struct dag *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_nodes; i++)
		n += !g->nodes[i].gone;
	return n;
}

static const struct dag_node *named(const struct dag *g, const char *name)
{
	for (size_t i = 0; i < g->n_nodes; i++)
		if (!g->nodes[i].gone && !strcmp(g->nodes[i].name, name))
			return &g->nodes[i];
	return NULL;
}

static bool edge(const struct dag *g, const char *src, const char *dst)
{
	for (size_t i = 0; i < g->n_edges; i++)
		if (!strcmp(g->nodes[g->edges[i].src].name, src) &&
		    !strcmp(g->nodes[g->edges[i].dst].name, dst))
			return true;
	return false;
}

static void test_unfolded_graph_is_that_of_the_run(void **state)
{
	sqlite3 *db = fixture_run(4);
	struct dag g = load(db, &everything);

	(void)state;
	assert_int_equal(visible(&g), fixture_int(db, "SELECT count(*) FROM tensor"));
	assert_int_equal(g.n_edges, fixture_int(db, "SELECT count(*) FROM edge"));
	assert_string_equal(g.phase, "decode");
	assert_true(edge(&g, "Qcur-0 (view)", "kq_soft_max-0"));
	assert_true(edge(&g, "l_out-0", "attn_norm-1"));
	dag_free(&g);
	sqlite3_close(db);
}

static void test_what_has_no_name_is_drawn_in_its_layer(void **state)
{
	struct dag_opts o = {.first_layer = 1, .last_layer = 1};
	sqlite3 *db = fixture_run(4);
	const struct dag_node *n;
	struct dag g;

	(void)state;
	fixture_exec(db, "UPDATE tensor_t SET name = 'node_24' WHERE name = 'kq_soft_max-1'");
	g = load(db, &o);
	n = named(&g, "node_24");
	assert_non_null(n);
	assert_int_equal(n->layer, 1);
	assert_false(n->outside);
	dag_free(&g);
	/* Nothing uses the output of the last layer: it is in none. */
	fixture_exec(db, "UPDATE tensor_t SET name = 'result', layer = NULL WHERE name = 'l_out-1';"
			 "DROP TABLE temp.place"); /* a run does not change while it is looked at */
	g = load(db, &everything);
	assert_int_equal(named(&g, "result")->layer, -1);
	dag_free(&g);
	sqlite3_close(db);
}

static void test_figures_equal_the_sums(void **state)
{
	sqlite3 *db = fixture_run(4);
	struct dag_opts o = everything;
	const struct dag_node *n;
	struct dag g;

	(void)state;
	o.colour_by = "cycles";
	g = load(db, &o);
	n = named(&g, "ffn_up-1");
	assert_int_equal(n->count, 4);
	assert_float_equal(n->cpu_ns,
			   fixture_int(db, "SELECT sum(o.end_ns - o.begin_ns) FROM op o JOIN token "
					   "t ON t.id = o.token_id JOIN tensor x ON x.id = "
					   "o.tensor_id WHERE x.name = 'ffn_up-1' AND t.phase = "
					   "'decode'"),
			   0.5);
	assert_float_equal(n->time_ns,
			   fixture_int(db, "SELECT avg(o.end_ns - o.begin_ns) FROM op o JOIN token "
					   "t ON t.id = o.token_id JOIN tensor x ON x.id = "
					   "o.tensor_id WHERE x.name = 'ffn_up-1' AND t.phase = "
					   "'decode' AND thread_index = 0"),
			   0.6);
	assert_float_equal(n->counter * 4, 3 * n->cpu_ns, 0.5);
	assert_float_equal(dag_value(&g, n, "cycles"), n->counter, 0);
	assert_float_equal(dag_value(&g, n, "bandwidth"), 5376 / n->time_ns, 1e-9);
	assert_true(n->experts > 0 && n->skew >= 1);
	assert_float_equal(g.total_cpu_ns,
			   fixture_int(db, "SELECT sum(o.end_ns - o.begin_ns) FROM op o JOIN token "
					   "t ON t.id = o.token_id WHERE t.phase = 'decode'"),
			   0.5);
	dag_free(&g);
	sqlite3_close(db);
}

static void test_views_and_weights_fold(void **state)
{
	sqlite3 *db = fixture_run(2);
	struct dag_opts o = everything;
	struct dag g;

	(void)state;
	o.fold = DAG_FOLD_VIEWS | DAG_FOLD_WEIGHTS;
	g = load(db, &o);
	assert_int_equal(visible(&g), 10);
	assert_null(named(&g, "Qcur-0 (view)"));
	assert_true(edge(&g, "Qcur-0", "kq_soft_max-0"));
	assert_string_equal(buf_str(&named(&g, "Qcur-0")->weights), "q4_0 64x64");
	dag_free(&g);
	sqlite3_close(db);
}

static void test_layers_that_are_alike_fold(void **state)
{
	sqlite3 *db = fixture_run(3);
	struct dag_opts o = everything;
	const struct dag_node *n;
	struct dag g, flat = load(db, &o);
	bool back = false;

	(void)state;
	o.fold = DAG_FOLD_VIEWS | DAG_FOLD_WEIGHTS | DAG_FOLD_LAYERS;
	g = load(db, &o);
	assert_int_equal(visible(&g), 5);
	n = named(&g, "Qcur-0");
	assert_int_equal(n->copies, 2);
	assert_float_equal(n->cpu_ns,
			   named(&flat, "Qcur-0")->cpu_ns + named(&flat, "Qcur-1")->cpu_ns, 0.5);
	assert_true(n->min_ns <= n->time_ns && n->time_ns <= n->max_ns);
	assert_string_equal(g.layers[0].members, "0-1");
	for (size_t i = 0; i < g.n_edges; i++)
		back |= g.edges[i].next_layer;
	assert_true(back);
	dag_free(&flat);
	dag_free(&g);
	/* A layer of another shape stays apart. */
	fixture_exec(db, "UPDATE tensor_t SET ne0 = 65 WHERE name = 'Qcur-1'");
	g = load(db, &o);
	assert_int_equal(visible(&g), 10);
	dag_free(&g);
	sqlite3_close(db);
}

/* Numbers in names that are not the layer's, such as those of kq_scaled_1 in layer 1. */
static void test_other_numbers_in_names_do_not_matter(void **state)
{
	sqlite3 *db = fixture_run(3);
	struct dag_opts o = everything;
	struct dag g;

	(void)state;
	o.fold = DAG_FOLD_VIEWS | DAG_FOLD_WEIGHTS | DAG_FOLD_LAYERS;
	fixture_exec(db, "UPDATE tensor_t SET name = 'kq_1-' || layer WHERE name GLOB "
			 "'kq_soft_max-*';"
			 "UPDATE tensor_t SET name = 'blk.' || layer || '.ffn_0' WHERE name GLOB "
			 "'ffn_up-*';"
			 "UPDATE tensor_t SET name = 'k-' || layer || ' (copy of K-' || layer || "
			 "')' WHERE name GLOB 'attn_norm-*'");
	g = load(db, &o);
	assert_int_equal(visible(&g), 5);
	assert_string_equal(g.layers[0].members, "0-1");
	dag_free(&g);
	sqlite3_close(db);
}

static void test_a_range_keeps_its_border(void **state)
{
	sqlite3 *db = fixture_run(1);
	struct dag_opts o = {
		.first_layer = 1, .last_layer = 1, .fold = DAG_FOLD_VIEWS | DAG_FOLD_WEIGHTS};
	struct dag g = load(db, &o);

	(void)state;
	assert_int_equal(visible(&g), 6);
	assert_true(named(&g, "l_out-0")->outside);
	assert_false(named(&g, "attn_norm-1")->outside);
	dag_free(&g);
	sqlite3_close(db);
}

static char *dot_of(sqlite3 *a, sqlite3 *b, const struct dag_opts *o)
{
	struct dag graphs[2] = {load(a, o)};
	const char *titles[] = {"first \"run\"", "second"};
	struct buf out = {0};

	if (b)
		graphs[1] = load(b, o);
	dag_dot(graphs, titles, b ? 2 : 1, o, &out);
	dag_free(&graphs[0]);
	if (b)
		dag_free(&graphs[1]);
	return buf_take(&out);
}

static void test_two_runs_side_by_side(void **state)
{
	sqlite3 *a = fixture_run(2), *b = fixture_run(2);
	struct dag_opts o = everything;
	char *dot;

	(void)state;
	fixture_exec(b, "UPDATE op_phase_t SET compute_ns = compute_ns * 2");
	dot = dot_of(a, b, &o);
	assert_non_null(strstr(dot, "first \\\"run\\\""));
	assert_non_null(strstr(dot, "+100.0 %"));
	free(dot);
	sqlite3_close(a);
	sqlite3_close(b);
}

static void test_without_dimensions_no_shape_is_drawn(void **state)
{
	sqlite3 *db = fixture_run(2);
	struct dag_opts o = everything;
	char *dot;

	(void)state;
	o.fold = DAG_FOLD_VIEWS | DAG_FOLD_WEIGHTS;
	fixture_exec(db, "UPDATE tensor_t SET ne0 = NULL, ne1 = NULL, ne2 = NULL, ne3 = NULL, "
			 "flops = NULL, bytes = NULL");
	dot = dot_of(db, NULL, &o);
	assert_non_null(strstr(dot, "label=\"Qcur-0\\nMUL_MAT\\n[q4_0]\\n"));
	free(dot);
	sqlite3_close(db);
}

static void test_svg_is_drawn_and_escaped(void **state)
{
	sqlite3 *db = fixture_run(2);
	struct diag *d = diag_new();
	struct buf svg = {0};
	char *dot;
	int err;

	(void)state;
	fixture_exec(db, "UPDATE tensor_t SET name = 'a<b>&\"c\\n\\' WHERE id = 4;"
			 "UPDATE tensor_t SET name = '&amp;' || CAST(x'c3' AS TEXT) WHERE id = 5");
	dot = dot_of(db, NULL, &everything);
	err = dag_svg(dot, &svg, d);
	if (err == -2) {
		assert_non_null(strstr(diag_first_error(d), "libgvc6"));
	} else {
		assert_int_equal(err, 0);
		assert_non_null(strstr(buf_str(&svg), "a&lt;b&gt;&amp;&quot;c\\n\\"));
		assert_null(strstr(buf_str(&svg), "a<b>"));
		assert_non_null(strstr(buf_str(&svg), "&amp;amp;?"));
		assert_non_null(strstr(buf_str(&svg), "layer 1"));
	}
	buf_free(&svg);
	free(dot);
	diag_free(d);
	sqlite3_close(db);
}

static void test_fused_operators_are_one_node(void **state)
{
	sqlite3 *db = fixture_empty();
	struct dag g;

	(void)state;
	fixture_exec(
		db, "INSERT INTO tensor_t(id, name, layer, op, ne0, kind) VALUES"
		    " (1, 'inp', 0, 'ADD', 8, 'activation'), (2, 'norm-0', 0, 'RMS_NORM', 8, ''),"
		    " (3, 'attn_norm-0', 0, 'MUL', 8, ''), (4, 'Q-0', 0, 'MUL_MAT', 8, ''),"
		    " (5, 'attn_norm-0', 0, 'RMS_NORM+MUL', 8, '');"
		    "INSERT INTO edge_t VALUES(1, 2, 0), (2, 3, 0), (3, 4, 1), (1, 5, 0);"
		    "INSERT INTO op_phase_t(phase, tensor_id, tid, thread_index, count, compute_ns,"
		    " wait_ns) VALUES('decode', 1, 1, 0, 1, 5, 0), ('decode', 4, 1, 0, 1, 5, 0),"
		    " ('decode', 5, 1, 0, 1, 5, 0)");
	g = load(db, &everything);
	assert_int_equal(visible(&g), 3);
	assert_int_equal(g.n_edges, 2);
	assert_true(edge(&g, "inp", "attn_norm-0"));
	assert_true(edge(&g, "attn_norm-0", "Q-0"));
	dag_free(&g);
	sqlite3_close(db);
}

/* Tensors 1 to 16: a norm, Q with a bias, K with a norm, V, both in the cache, and what follows. */
static void attention_layer(sqlite3 *db, int64_t k_width)
{
	char *sql = sqlite3_mprintf(
		"INSERT INTO tensor_t(id, name, layer, op, ne0, ne1, ne2, kind) VALUES"
		" (1, 'attn_norm-0', 0, 'RMS_NORM', 64, 1, 1, ''),"
		" (2, 'blk.0.w', 0, 'NONE', 64, 64, 1, 'weight'),"
		" (3, 'Qcur-0', 0, 'MUL_MAT', 64, 1, 1, ''), (4, 'Qb-0', 0, 'ADD', 64, 1, 1, ''),"
		" (5, 'Qrope-0', 0, 'ROPE', 16, 4, 1, ''),"
		" (6, 'Kcur-0', 0, 'MUL_MAT', %lld, 1, 1, ''),"
		" (7, 'Knorm-0', 0, 'RMS_NORM', 16, 1, 1, ''),"
		" (8, 'cache_k_l0', 0, 'NONE', 64, 1, 1, 'kv'),"
		" (9, 'cache_k_l0 (view)', 0, 'SET_ROWS', 64, 1, 1, ''),"
		" (10, 'Vcur-0', 0, 'MUL_MAT', 32, 1, 1, ''),"
		" (11, 'cache_v_l0', 0, 'NONE', 64, 1, 1, 'kv'),"
		" (12, 'cache_v_l0 (view)', 0, 'CPY', 64, 1, 1, ''),"
		" (13, 'node_9', 0, 'FLASH_ATTN_EXT', 16, 4, 1, ''),"
		" (14, 'attn_out-0', 0, 'MUL_MAT', 64, 1, 1, ''),"
		" (15, 'post-0', 0, 'RMS_NORM', 64, 1, 1, ''),"
		" (16, 'ffn_inp-0', 0, 'ADD', 64, 1, 1, '');",
		k_width);

	fixture_exec(db, sql);
	sqlite3_free(sql);
	fixture_exec(db, "INSERT INTO edge_t VALUES(2, 3, 0), (1, 3, 1), (3, 4, 0), (2, 4, 1),"
			 " (4, 5, 0), (2, 6, 0), (1, 6, 1), (6, 7, 0), (7, 9, 0), (8, 9, 2),"
			 " (2, 10, 0), (1, 10, 1), (10, 12, 0), (11, 12, 1), (5, 13, 0),"
			 " (8, 13, 1), (11, 13, 2), (2, 14, 0), (13, 14, 1), (14, 15, 0),"
			 " (15, 16, 0), (1, 16, 1)");
}

static void expect_attention(int64_t k_width, const char *heads)
{
	struct dag_opts o = everything;
	sqlite3 *db = fixture_empty();
	struct dag g;
	char *text;

	o.fold = DAG_FOLD_VIEWS | DAG_FOLD_WEIGHTS;
	attention_layer(db, k_width);
	g = load(db, &o);
	/* What is written goes into the cache and from there on. */
	assert_true(edge(&g, "cache_k_l0 (view)", "cache_k_l0"));
	assert_false(edge(&g, "cache_k_l0", "cache_k_l0 (view)"));
	assert_true(edge(&g, "cache_v_l0 (view)", "cache_v_l0"));
	text = dag_attention(&g, 0);
	assert_non_null(text);
	assert_memory_equal(text, heads, strlen(heads));
	assert_string_equal(text + strlen(heads),
			    "\nQ: product, bias, RoPE; K: product, norm; V: product; after: "
			    "product, norm, sum");
	free(text);
	assert_null(dag_attention(&g, 1));
	dag_free(&g);
	sqlite3_close(db);
}

static void test_attention_in_words(void **state)
{
	(void)state;
	expect_attention(64, "multi-head attention, 4 heads");
	expect_attention(32, "grouped-query attention, 4 heads over 2");
	expect_attention(16, "multi-query attention, 4 heads");
}

/* Attention without the fused operator; the softmax of a router is none. */
static void test_attention_by_softmax(void **state)
{
	struct dag_opts o = everything;
	sqlite3 *db = fixture_empty();
	struct dag g;
	char *text;

	(void)state;
	o.fold = DAG_FOLD_VIEWS | DAG_FOLD_WEIGHTS;
	attention_layer(db, 64);
	fixture_exec(db,
		     "UPDATE tensor_t SET op = 'MUL_MAT', name = 'kqv-0' WHERE id = 13;"
		     "DELETE FROM edge_t WHERE dst_tensor = 13;"
		     "INSERT INTO tensor_t(id, name, layer, op, ne0, ne1, ne2, kind) VALUES"
		     " (17, 'kq-0', 0, 'MUL_MAT', 256, 1, 4, ''),"
		     " (21, 'kq_scaled-0', 0, 'SCALE', 256, 1, 4, ''),"
		     " (18, 'kq_soft_max-0', 0, 'SOFT_MAX', 256, 1, 4, ''),"
		     " (19, 'logits-1', 1, 'MUL_MAT', 8, 1, 1, ''),"
		     " (20, 'probs-1', 1, 'SOFT_MAX', 8, 1, 1, '');"
		     "INSERT INTO edge_t VALUES(8, 17, 0), (5, 17, 1), (17, 21, 0), (21, 18, 0),"
		     " (11, 13, 0), (18, 13, 1), (2, 19, 0), (16, 19, 1), (19, 20, 0)");
	g = load(db, &o);
	text = dag_attention(&g, 0);
	assert_string_equal(text, "multi-head attention, 4 heads\nQ: product, bias, RoPE; K: "
				  "product, norm; V: product; QK: product, scale; after: "
				  "product, norm, sum");
	free(text);
	assert_null(dag_attention(&g, 1));
	dag_free(&g);
	sqlite3_close(db);
}

/* Both norms of a layer are called the same, and older engines do not name the cache they write to.
 */
static void test_what_older_engines_leave_out(void **state)
{
	struct dag_opts o = everything;
	sqlite3 *db = fixture_empty();
	struct dag g;

	(void)state;
	o.fold = DAG_FOLD_VIEWS | DAG_FOLD_WEIGHTS;
	attention_layer(db, 64);
	fixture_exec(db,
		     "UPDATE tensor_t SET name = 'norm-0' WHERE id IN (7, 15);"
		     "DELETE FROM edge_t WHERE dst_tensor IN (9, 12) AND src_tensor IN (8, 11)");
	g = load(db, &o);
	assert_true(edge(&g, "cache_k_l0 (view)", "cache_k_l0"));
	assert_true(edge(&g, "cache_v_l0 (view)", "cache_v_l0"));
	assert_int_equal(visible(&g), 15); /* all but the weight */
	dag_free(&g);
	sqlite3_close(db);
}

/* Gemma 2 gives the norm after the feed-forward network the same name in every layer. */
static void test_a_name_in_two_layers_is_two_nodes(void **state)
{
	sqlite3 *db = fixture_run(2);
	struct dag g;

	(void)state;
	fixture_exec(db, "UPDATE tensor_t SET name = 'ffn_norm' WHERE name GLOB 'attn_norm-*'");
	g = load(db, &everything);
	assert_int_equal(visible(&g), fixture_int(db, "SELECT count(*) FROM tensor"));
	dag_free(&g);
	sqlite3_close(db);
}

static void expect_error(sqlite3 *db, const struct dag_opts *o, const char *text)
{
	struct diag *d = diag_new();
	struct dag g;

	assert_true(dag_load(db, o, &g, d) < 0);
	assert_non_null(strstr(diag_first_error(d), text));
	dag_free(&g);
	diag_free(d);
}

static void test_bad_input_is_named(void **state)
{
	sqlite3 *db = fixture_run(1), *empty = fixture_empty();
	struct dag_opts o = everything;
	struct diag *d = diag_new();
	unsigned int fold;

	(void)state;
	expect_error(empty, &o, "holds no tensors");
	o.first_layer = o.last_layer = 7;
	expect_error(db, &o, "no layer 7; the last one is 1");
	o = everything;
	o.phase = "encode";
	expect_error(db, &o, "'encode'");
	o.phase = NULL;
	o.colour_by = "cylces";
	expect_error(db, &o, "'cylces'");
	assert_int_equal(dag_parse_fold("views,layers", &fold, d), 0);
	assert_int_equal(fold, DAG_FOLD_VIEWS | DAG_FOLD_LAYERS);
	assert_int_equal(dag_parse_fold("layer", &fold, d), -22);
	diag_free(d);
	sqlite3_close(db);
	sqlite3_close(empty);
}

static void test_a_backend_without_operators_is_named(void **state)
{
	sqlite3 *db = fixture_run(1);
	struct diag *d = diag_new();
	struct dag g;

	(void)state;
	/* As in a run without operators: then nothing is missing that another backend has. */
	assert_int_equal(dag_load(db, &everything, &g, d), 0);
	dag_free(&g);
	assert_int_equal(diag_count(d, DIAG_NOTE), 0);
	fixture_exec(db, "UPDATE graph_t SET first_op = 1 WHERE backend = 'CPU'");
	assert_int_equal(dag_load(db, &everything, &g, d), 0);
	dag_free(&g);
	assert_int_equal(diag_count(d, DIAG_NOTE), 1);
	diag_free(d);
	sqlite3_close(db);
}

static void test_graph_without_operators(void **state)
{
	sqlite3 *db = fixture_empty();
	struct dag g;

	(void)state;
	fixture_tensors(db);
	g = load(db, &everything);
	assert_int_equal(visible(&g), FIXTURE_PER_LAYER * FIXTURE_LAYERS);
	assert_float_equal(g.total_cpu_ns, 0, 0);
	dag_free(&g);
	sqlite3_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unfolded_graph_is_that_of_the_run),
		cmocka_unit_test(test_figures_equal_the_sums),
		cmocka_unit_test(test_what_has_no_name_is_drawn_in_its_layer),
		cmocka_unit_test(test_views_and_weights_fold),
		cmocka_unit_test(test_layers_that_are_alike_fold),
		cmocka_unit_test(test_other_numbers_in_names_do_not_matter),
		cmocka_unit_test(test_a_range_keeps_its_border),
		cmocka_unit_test(test_two_runs_side_by_side),
		cmocka_unit_test(test_without_dimensions_no_shape_is_drawn),
		cmocka_unit_test(test_svg_is_drawn_and_escaped),
		cmocka_unit_test(test_fused_operators_are_one_node),
		cmocka_unit_test(test_attention_in_words),
		cmocka_unit_test(test_attention_by_softmax),
		cmocka_unit_test(test_what_older_engines_leave_out),
		cmocka_unit_test(test_a_name_in_two_layers_is_two_nodes),
		cmocka_unit_test(test_bad_input_is_named),
		cmocka_unit_test(test_a_backend_without_operators_is_named),
		cmocka_unit_test(test_graph_without_operators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
