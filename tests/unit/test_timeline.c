/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes timelines with protoc and compares them with the run, row by row, in SQL. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <zlib.h>

#include <cjson/cJSON.h>
#include "util/buf.h"
#include "view/timeline/perfetto.h"
#include "view/timeline/timeline.h"
#include "view_fixture.h"

enum { MAX_STRINGS = 4096, MAX_FLOWS = 16, MAX_TRACKS = 256 };

/* One decoded packet; what a packet does not carry is 0 or empty. */
struct packet {
	uint64_t ts, track, name_iid, flows[MAX_FLOWS], uuid, parent, pid, tid;
	int n_flows, cpu;
	char type[16], name[256], thread_name[64];
	double value;
	bool has_descriptor, is_counter;
	struct {
		uint64_t name;
		int64_t value;
	} args[8];
	int n_args;
};

struct decoder {
	sqlite3 *db;
	char *names[MAX_STRINGS], *arg_names[MAX_STRINGS];
	uint64_t open_begin[MAX_TRACKS];
	char *open_name[MAX_TRACKS];
	int64_t open_row[MAX_TRACKS];
	uint64_t last_end[MAX_TRACKS];
	int errors;
};

static char *write_timeline(sqlite3 *db, const struct timeline_opts *o, size_t *len)
{
	struct diag *d = diag_new();
	char *data = NULL;
	FILE *f = open_memstream(&data, len);

	if (timeline_write(db, o, f, d) != 0) {
		diag_print(d, stderr, DIAG_STYLE_FIELD, false);
		fail();
	}
	fclose(f);
	diag_free(d);
	return data;
}

static void dec_exec(struct decoder *dec, const char *sql, ...)
{
	va_list ap;
	char *text;

	va_start(ap, sql);
	text = sqlite3_vmprintf(sql, ap);
	va_end(ap);
	fixture_exec(dec->db, text);
	sqlite3_free(text);
}

/* The row of the run that a slice names; protoc prints annotations before interned names. */
static int64_t row_of(const struct decoder *dec, const struct packet *p)
{
	for (int i = 0; i < p->n_args; i++) {
		const char *name = dec->arg_names[p->args[i].name];

		if (!strcmp(name, "op_row") || !strcmp(name, "row"))
			return p->args[i].value;
	}
	return 0;
}

static void finish_track_event(struct decoder *dec, const struct packet *p)
{
	uint64_t t = p->track;
	const char *name = p->name_iid ? dec->names[p->name_iid] : p->name;

	assert_true(t > 0 && t < MAX_TRACKS);
	if (!strcmp(p->type, "SLICE_BEGIN")) {
		/* Nothing of ours nests: a slice begins when the one before it has ended. */
		if (dec->open_name[t] || p->ts < dec->last_end[t])
			dec->errors++;
		assert_non_null(name);
		dec->open_begin[t] = p->ts;
		dec->open_name[t] = strdup(name);
		dec->open_row[t] = row_of(dec, p);
		for (int i = 0; i < p->n_flows; i++)
			dec_exec(dec, "INSERT INTO dec_flow VALUES(%lld, %lld, %lld)", p->flows[i],
				 t, p->ts);
	} else if (!strcmp(p->type, "SLICE_END")) {
		if (!dec->open_name[t] || p->ts < dec->open_begin[t]) {
			dec->errors++;
			return;
		}
		dec_exec(dec, "INSERT INTO dec_slice VALUES(%lld, %lld, %lld, %Q, %lld)", t,
			 dec->open_begin[t], p->ts, dec->open_name[t], dec->open_row[t]);
		free(dec->open_name[t]);
		dec->open_name[t] = NULL;
		dec->last_end[t] = p->ts;
	} else if (!strcmp(p->type, "COUNTER")) {
		dec_exec(dec, "INSERT INTO dec_counter VALUES(%lld, %lld, %!.17g)", t, p->ts,
			 p->value);
	} else {
		dec_exec(dec, "INSERT INTO dec_instant VALUES(%lld, %Q)", p->ts, name);
	}
}

static void finish_packet(struct decoder *dec, const struct packet *p)
{
	if (p->has_descriptor)
		dec_exec(dec, "INSERT INTO dec_track VALUES(%lld, %lld, %Q, %lld, %lld, %d)",
			 p->uuid, p->parent, *p->name ? p->name : p->thread_name, p->pid, p->tid,
			 p->is_counter);
	else if (*p->type)
		finish_track_event(dec, p);
}

/* protoc's text: "name {", "name: value", "}" at two blanks of indent per level. */
struct text_state {
	char path[8][64];
	int depth;
	struct packet p;
	uint64_t iid;
	/* a scheduler event */
	uint64_t at;
	int64_t prev, next, state, waking;
	char next_comm[32], prev_comm[32];
};

static const char *unquote(char *value)
{
	size_t len = strlen(value);

	if (len >= 2 && value[0] == '"') {
		value[len - 1] = '\0';
		return value + 1;
	}
	return value;
}

static bool in(const struct text_state *s, const char *name)
{
	return s->depth > 0 && !strcmp(s->path[s->depth - 1], name);
}

static void event_field(struct text_state *s, const char *key, char *value)
{
	struct packet *p = &s->p;

	if (!strcmp(key, "type"))
		snprintf(p->type, sizeof(p->type), "%s", value);
	else if (!strcmp(key, "track_uuid"))
		p->track = strtoull(value, NULL, 10);
	else if (!strcmp(key, "name_iid"))
		p->name_iid = strtoull(value, NULL, 10);
	else if (!strcmp(key, "name"))
		snprintf(p->name, sizeof(p->name), "%s", unquote(value));
	else if (!strcmp(key, "double_counter_value"))
		p->value = strtod(value, NULL);
	else if (!strcmp(key, "flow_ids") && p->n_flows < MAX_FLOWS)
		p->flows[p->n_flows++] = strtoull(value, NULL, 10);
}

static void descriptor_field(struct text_state *s, const char *key, char *value)
{
	struct packet *p = &s->p;

	p->has_descriptor = true;
	if (!strcmp(key, "uuid"))
		p->uuid = strtoull(value, NULL, 10);
	else if (!strcmp(key, "parent_uuid"))
		p->parent = strtoull(value, NULL, 10);
	else if (!strcmp(key, "name"))
		snprintf(p->name, sizeof(p->name), "%s", unquote(value));
	else if (!strcmp(key, "pid"))
		p->pid = strtoull(value, NULL, 10);
	else if (!strcmp(key, "tid"))
		p->tid = strtoull(value, NULL, 10);
	else if (!strcmp(key, "thread_name") || !strcmp(key, "process_name"))
		snprintf(p->thread_name, sizeof(p->thread_name), "%s", unquote(value));
	else if (!strcmp(key, "unit_name"))
		p->is_counter = true;
}

static void sched_field(struct text_state *s, const char *key, char *value)
{
	if (!strcmp(key, "prev_pid"))
		s->prev = strtoll(value, NULL, 10);
	else if (!strcmp(key, "next_pid"))
		s->next = strtoll(value, NULL, 10);
	else if (!strcmp(key, "prev_state"))
		s->state = strtoll(value, NULL, 10);
	else if (!strcmp(key, "next_comm"))
		snprintf(s->next_comm, sizeof(s->next_comm), "%s", unquote(value));
	else if (!strcmp(key, "pid"))
		s->waking = strtoll(value, NULL, 10);
}

static void field(struct decoder *dec, struct text_state *s, const char *key, char *value)
{
	if (in(s, "packet") && !strcmp(key, "timestamp"))
		s->p.ts = strtoull(value, NULL, 10);
	else if (in(s, "track_event"))
		event_field(s, key, value);
	else if (in(s, "track_descriptor") || in(s, "process") || in(s, "thread") ||
		 (in(s, "counter") && s->depth > 2))
		descriptor_field(s, key, value);
	else if (!strcmp(key, "iid"))
		s->iid = strtoull(value, NULL, 10);
	else if (in(s, "event_names"))
		dec->names[s->iid] = strdup(unquote(value));
	else if (in(s, "debug_annotation_names"))
		dec->arg_names[s->iid] = strdup(unquote(value));
	else if (in(s, "debug_annotations") && !strcmp(key, "name_iid"))
		s->p.args[s->p.n_args++].name = strtoull(value, NULL, 10);
	else if (in(s, "debug_annotations") && !strcmp(key, "int_value"))
		s->p.args[s->p.n_args - 1].value = strtoll(value, NULL, 10);
	else if (in(s, "ftrace_events") && !strcmp(key, "cpu"))
		s->p.cpu = atoi(value);
	else if (in(s, "event") && !strcmp(key, "timestamp"))
		s->at = strtoull(value, NULL, 10);
	else if (in(s, "sched_switch") || in(s, "sched_waking"))
		sched_field(s, key, value);
}

static void open_message(struct text_state *s, const char *name)
{
	if (s->depth == 0)
		memset(&s->p, 0, sizeof(s->p));
	snprintf(s->path[s->depth++], sizeof(s->path[0]), "%s", name);
	if (!strcmp(name, "sched_switch"))
		s->prev = s->next = s->state = 0;
}

static void close_message(struct decoder *dec, struct text_state *s)
{
	if (in(s, "sched_switch"))
		dec_exec(dec, "INSERT INTO dec_switch VALUES(%d, %lld, %lld, %lld, %lld, %Q)",
			 s->p.cpu, s->at, s->prev, s->state, s->next, s->next_comm);
	else if (in(s, "sched_waking"))
		dec_exec(dec, "INSERT INTO dec_waking VALUES(%d, %lld, %lld)", s->p.cpu, s->at,
			 s->waking);
	if (--s->depth == 0)
		finish_packet(dec, &s->p);
}

static void decode(struct decoder *dec, const char *data, size_t len)
{
	char path[] = "/tmp/timeline-XXXXXX", command[256], line[1024];
	struct text_state s = {.depth = 0};
	int fd = mkstemp(path);
	FILE *in_file;

	assert_int_equal(file_write_all(fd, data, len), 0);
	close(fd);
	snprintf(command, sizeof(command),
		 "protoc --proto_path=tests/proto --decode=llmprobe.perfetto.Trace "
		 "tests/proto/perfetto.proto < %s",
		 path);
	in_file = popen(command, "r");
	assert_non_null(in_file);
	fixture_exec(dec->db, "BEGIN");
	while (fgets(line, sizeof(line), in_file)) {
		char *p = line + strspn(line, " "), *colon;

		p[strcspn(p, "\n")] = '\0';
		colon = strstr(p, ": ");
		if (*p == '}') {
			close_message(dec, &s);
		} else if (colon && strcspn(p, "{") > (size_t)(colon - p)) {
			*colon = '\0';
			field(dec, &s, p, colon + 2);
		} else {
			p[strcspn(p, " ")] = '\0';
			open_message(&s, p);
		}
	}
	fixture_exec(dec->db, "COMMIT");
	assert_int_equal(pclose(in_file), 0);
	assert_int_equal(s.depth, 0);
	unlink(path);
}

static void decoder_free(struct decoder *dec)
{
	for (int i = 0; i < MAX_STRINGS; i++) {
		free(dec->names[i]);
		free(dec->arg_names[i]);
	}
	sqlite3_close(dec->db);
	free(dec);
}

static struct decoder *decode_run(sqlite3 *db, const struct timeline_opts *o)
{
	struct decoder *dec = calloc(1, sizeof(*dec));
	size_t len;
	char *data = write_timeline(db, o, &len);

	dec->db = db;
	fixture_exec(
		db, "CREATE TABLE dec_slice(track INT, begin_ns INT, end_ns INT, name, row INT);"
		    "CREATE TABLE dec_track(uuid INT, parent INT, name, pid INT, tid INT, "
		    "is_counter INT);"
		    "CREATE TABLE dec_counter(track INT, at INT, value REAL);"
		    "CREATE TABLE dec_instant(at INT, name);"
		    "CREATE TABLE dec_flow(id INT, track INT, at INT);"
		    "CREATE TABLE dec_switch(cpu INT, at INT, prev INT, state INT, next INT, comm);"
		    "CREATE TABLE dec_waking(cpu INT, at INT, tid INT);");
	decode(dec, data, len);
	free(data);
	assert_int_equal(dec->errors, 0);
	return dec;
}

static bool have_protoc(void)
{
	return system("protoc --version > /dev/null 2>&1") == 0;
}

/* Both differences are empty and the counts agree, so duplicates cannot hide. */
static void same_rows(sqlite3 *db, const char *a, const char *b)
{
	char *sql =
		sqlite3_mprintf("SELECT (SELECT count(*) FROM (%s EXCEPT %s)) * 1000000 + "
				"(SELECT count(*) FROM (%s EXCEPT %s)) * 1000 + "
				"abs((SELECT count(*) FROM (%s)) - (SELECT count(*) FROM (%s)))",
				a, b, b, a, a, b);
	int64_t differences = fixture_int(db, sql);

	if (differences)
		fprintf(stderr, "%" PRId64 " differences in: %s\n", differences, sql);
	assert_int_equal(differences, 0);
	sqlite3_free(sql);
}

static void test_every_row_is_in_the_trace(void **state)
{
	struct timeline_opts o = {.plain = true};
	struct decoder *dec;
	sqlite3 *db;

	(void)state;
	if (!have_protoc())
		skip();
	db = fixture_run(40);
	dec = decode_run(db, &o);
	same_rows(
		db,
		"SELECT o.id, o.tid, o.begin_ns, o.end_ns, t.name FROM op o JOIN tensor t ON t.id "
		"= o.tensor_id",
		"SELECT s.row, k.tid, s.begin_ns, s.end_ns, s.name FROM dec_slice s JOIN "
		"dec_track k ON k.uuid = s.track WHERE k.tid > 0 AND s.name != 'barrier wait'");
	same_rows(db, "SELECT tid, end_ns, end_ns + wait_ns FROM op",
		  "SELECT k.tid, s.begin_ns, s.end_ns FROM dec_slice s JOIN dec_track k "
		  "ON k.uuid = s.track WHERE s.name = 'barrier wait'");
	same_rows(db, "SELECT id, begin_ns, end_ns FROM token",
		  "SELECT s.row, s.begin_ns, s.end_ns FROM dec_slice s JOIN dec_track k "
		  "ON k.uuid = s.track WHERE k.name = 'tokens'");
	same_rows(db, "SELECT id, 'graphs: ' || backend, begin_ns, end_ns FROM graph",
		  "SELECT s.row, k.name, s.begin_ns, s.end_ns FROM dec_slice s JOIN dec_track k "
		  "ON k.uuid = s.track WHERE k.name GLOB 'graphs:*'");
	same_rows(db,
		  "SELECT c.name, o.begin_ns, 1.0 * c.value FROM counter c JOIN op o "
		  "ON o.id = c.op_id",
		  "SELECT k.name, c.at, c.value FROM dec_counter c JOIN dec_track k "
		  "ON k.uuid = c.track WHERE c.value > 0 AND k.name NOT GLOB 'llmprobe*'");
	same_rows(db, "SELECT at_ns, text FROM note", "SELECT at, name FROM dec_instant");
	/* What is not measured any more costs nothing. */
	same_rows(db, "VALUES(5000000000, 1.0), (5000100000, 1.5), (5000200000, 0.0)",
		  "SELECT c.at, c.value FROM dec_counter c JOIN dec_track k ON k.uuid = c.track "
		  "WHERE k.name = 'llmprobe cost: operator'");
	assert_int_equal(fixture_int(db, "SELECT count(*) FROM dec_slice WHERE name = "
					 "'prefill 1 (8 tokens)'"),
			 1);
	assert_int_equal(fixture_int(db, "SELECT count(*) FROM dec_slice WHERE name = 'decode 40'"),
			 1);
	decoder_free(dec);
}

static void test_flows_join_token_graph_and_workers(void **state)
{
	struct timeline_opts o = {.plain = true};
	struct decoder *dec;
	sqlite3 *db;

	(void)state;
	if (!have_protoc())
		skip();
	db = fixture_run(3);
	dec = decode_run(db, &o);
	/* Each token with its two graphs; each graph with the first operator of its two workers. */
	assert_int_equal(fixture_int(db,
				     "SELECT count(*) FROM (SELECT id FROM dec_flow GROUP BY id "
				     "HAVING count(*) = 3)"),
			 4);
	assert_int_equal(fixture_int(db,
				     "SELECT count(*) FROM (SELECT id FROM dec_flow GROUP BY id "
				     "HAVING count(*) = 2)"),
			 16);
	assert_int_equal(fixture_int(db,
				     "SELECT count(*) FROM (SELECT id FROM dec_flow GROUP BY id "
				     "HAVING count(*) NOT IN (2, 3))"),
			 0);
	decoder_free(dec);
}

static void test_scheduler_rows_become_switches(void **state)
{
	struct timeline_opts o = {.plain = true, .levels = TIMELINE_SCHEDULER};
	struct decoder *dec;
	sqlite3 *db;

	(void)state;
	if (!have_protoc())
		skip();
	db = fixture_run(1);
	dec = decode_run(db, &o);
	/* Every running interval: a switch to it at its begin and away at its end, in BOOTTIME. */
	same_rows(db, "SELECT cpu, tid, begin_ns + 3000000000 FROM sched WHERE state = 'running'",
		  "SELECT cpu, next, at FROM dec_switch WHERE next IN (100, 101)");
	same_rows(db, "SELECT cpu, tid, end_ns + 3000000000 FROM sched WHERE state = 'running'",
		  "SELECT cpu, prev, at FROM dec_switch WHERE prev IN (100, 101)");
	assert_int_equal(fixture_int(db,
				     "SELECT count(*) FROM dec_switch WHERE prev = 101 AND next "
				     "= 900 AND state = 0 AND comm = 'burner'"),
			 1);
	assert_int_equal(fixture_int(db,
				     "SELECT count(*) FROM dec_switch WHERE prev = 900 AND next "
				     "= 101"),
			 1);
	/* Worker to worker on one CPU is a single switch. */
	assert_int_equal(fixture_int(db,
				     "SELECT count(*) FROM dec_switch WHERE prev = 101 AND next "
				     "= 100 AND state = 1"),
			 1);
	assert_int_equal(
		fixture_int(db, "SELECT count(*) FROM dec_switch WHERE prev = 0 OR next = 0"), 0);
	assert_int_equal(fixture_int(db, "SELECT at FROM dec_waking WHERE tid = 100"), 8000040000);
	assert_int_equal(fixture_int(db, "SELECT count(*) FROM dec_slice"), 0);
	decoder_free(dec);
}

static void test_no_task_is_on_two_cpus(void **state)
{
	struct timeline_opts o = {.plain = true, .levels = TIMELINE_SCHEDULER};
	struct decoder *dec;
	sqlite3 *db;

	(void)state;
	if (!have_protoc())
		skip();
	db = fixture_run(1);
	/* 900 has CPU 4 after 100, CPU 5 before 101 comes there, and is never seen to leave. */
	fixture_exec(db, "DELETE FROM sched_t;"
			 "INSERT INTO sched_t(tid, cpu, begin_ns, end_ns, state, next_tid, "
			 "next_comm, prev_tid, prev_comm) VALUES"
			 "(100, 4, 1000, 2000, 'running', 900, 'burner', 0, ''),"
			 "(101, 5, 1000, 1500, 'running', 0, '', 0, ''),"
			 "(101, 5, 3000, 4000, 'running', 0, '', 900, 'burner'),"
			 "(100, 4, 5000, 6000, 'running', 0, '', 901, 'other');");
	dec = decode_run(db, &o);
	assert_int_equal(fixture_int(db, "SELECT at FROM dec_switch WHERE cpu = 4 AND prev = 900"),
			 3000003000);
	assert_int_equal(fixture_int(db, "SELECT next > 1000000 FROM dec_switch WHERE cpu = 4 AND "
					 "prev = 900"),
			 1);
	assert_int_equal(fixture_int(db, "SELECT count(*) FROM dec_switch a WHERE cpu = 4 AND "
					 "prev NOT IN (SELECT next FROM dec_switch b WHERE b.cpu = "
					 "4 AND b.at <= a.at)"),
			 1); /* the first switch */
	decoder_free(dec);
}

static void test_rows_out_of_order_and_overlapping(void **state)
{
	struct timeline_opts o = {.plain = true};
	struct decoder *dec;
	sqlite3 *db;

	(void)state;
	if (!have_protoc())
		skip();
	db = fixture_run(4);
	/* Two decodes at once, and operators stored from last to first. */
	fixture_exec(db, "UPDATE token_t SET begin_ns = begin_ns - 60000 WHERE id = 3;"
			 "UPDATE op_t SET id = 1000 - id;");
	dec = decode_run(db, &o);
	same_rows(db, "SELECT id, begin_ns, end_ns FROM op",
		  "SELECT row, begin_ns, end_ns FROM dec_slice s JOIN dec_track k ON k.uuid = "
		  "s.track WHERE k.tid > 0 AND s.name != 'barrier wait'");
	same_rows(db, "SELECT id, begin_ns FROM token",
		  "SELECT s.row, s.begin_ns FROM dec_slice s JOIN dec_track k ON k.uuid = s.track "
		  "WHERE k.name = 'tokens'");
	assert_int_equal(fixture_int(db, "SELECT count(*) FROM dec_track WHERE name = 'tokens'"),
			 2);
	decoder_free(dec);
}

static void test_range_and_levels(void **state)
{
	struct timeline_opts o = {.plain = true, .from_ns = 100000, .to_ns = 200000};
	struct decoder *dec;
	sqlite3 *db;

	(void)state;
	if (!have_protoc())
		skip();
	db = fixture_run(10);
	o.levels = TIMELINE_TOKEN | TIMELINE_OPERATOR;
	dec = decode_run(db, &o);
	same_rows(
		db,
		"SELECT id FROM op WHERE end_ns + wait_ns >= 5000100000 AND begin_ns <= 5000200000",
		"SELECT row FROM dec_slice s JOIN dec_track k ON k.uuid = s.track WHERE k.tid > 0 "
		"AND s.name != 'barrier wait'");
	assert_int_equal(fixture_int(db, "SELECT count(*) FROM dec_counter"), 0);
	assert_int_equal(
		fixture_int(db, "SELECT count(*) FROM dec_track WHERE name GLOB 'graphs*'"), 0);
	assert_true(fixture_int(db, "SELECT count(*) FROM dec_slice WHERE name GLOB 'decode*'") >
		    0);
	decoder_free(dec);
}

static size_t get_varint(const unsigned char *p, uint64_t *v)
{
	size_t n = 0;

	*v = 0;
	do
		*v |= (uint64_t)(p[n] & 0x7f) << (7 * n);
	while (p[n++] & 0x80);
	return n;
}

static void test_compression_changes_nothing(void **state)
{
	struct timeline_opts o = {.plain = true};
	sqlite3 *db = fixture_run(200);
	size_t plain_len, packed_len, at = 0;
	unsigned char *plain = (unsigned char *)write_timeline(db, &o, &plain_len), *packed;
	struct buf joined = {0};

	(void)state;
	o.plain = false;
	packed = (unsigned char *)write_timeline(db, &o, &packed_len);
	assert_true(packed_len * 3 < plain_len);
	while (at < packed_len) {
		uint64_t packet, field_key, len;
		uLongf out_len = 512 * 1024;
		unsigned char *out = malloc(out_len);

		assert_int_equal(packed[at], 0x0a);
		at += 1 + get_varint(packed + at + 1, &packet);
		at += get_varint(packed + at, &field_key);
		assert_int_equal(field_key, 50 << 3 | 2);
		at += get_varint(packed + at, &len);
		assert_int_equal(uncompress(out, &out_len, packed + at, len), Z_OK);
		buf_add(&joined, out, out_len);
		free(out);
		at += len;
	}
	assert_int_equal(at, packed_len);
	assert_int_equal(joined.len, plain_len);
	assert_memory_equal(joined.data, plain, plain_len);
	buf_free(&joined);
	free(plain);
	free(packed);
	sqlite3_close(db);
}

static void test_chrome_json(void **state)
{
	struct timeline_opts o = {.format = TIMELINE_CHROME};
	sqlite3 *db = fixture_run(5);
	size_t len;
	char *text = write_timeline(db, &o, &len);
	cJSON *root = cJSON_Parse(text), *e;
	int64_t ops = 0, sum_ns = 0, begin_ns = 0;

	(void)state;
	assert_non_null(root);
	cJSON_ArrayForEach(e, cJSON_GetObjectItem(root, "traceEvents"))
	{
		const cJSON *args = cJSON_GetObjectItem(e, "args");

		assert_true(cJSON_GetObjectItem(e, "pid")->valuedouble > 0);
		assert_true(cJSON_GetObjectItem(e, "tid")->valuedouble > 0);
		if (!cJSON_GetObjectItem(args, "op_row"))
			continue;
		ops++;
		/* Cut off as readers do it, the ns are still the same. */
		begin_ns += (int64_t)(cJSON_GetObjectItem(e, "ts")->valuedouble * 1000.0);
		sum_ns += (int64_t)(cJSON_GetObjectItem(e, "dur")->valuedouble * 1000.0);
	}
	assert_int_equal(begin_ns, fixture_int(db, "SELECT sum(begin_ns) FROM op"));
	assert_int_equal(ops, fixture_int(db, "SELECT count(*) FROM op"));
	assert_int_equal(sum_ns, fixture_int(db, "SELECT sum(end_ns - begin_ns) FROM op"));
	cJSON_Delete(root);
	free(text);
	sqlite3_close(db);
}

static void test_an_empty_run(void **state)
{
	struct timeline_opts o = {.plain = true};
	sqlite3 *db = fixture_empty();
	size_t len, again_len;
	char *data = write_timeline(db, &o, &len), *again;

	(void)state;
	assert_true(len > 0 && len < 100);
	free(data);
	/* No clock is before 0, whatever the run says. */
	fixture_exec(db, "INSERT INTO run_t VALUES('boot_offset_ns', '0')");
	data = write_timeline(db, &o, &len);
	fixture_exec(db, "UPDATE run_t SET value = '-5' WHERE key = 'boot_offset_ns'");
	again = write_timeline(db, &o, &again_len);
	assert_int_equal(again_len, len);
	assert_memory_equal(again, data, len);
	free(again);
	free(data);
	sqlite3_close(db);
}

static void test_strings_are_made_utf8(void **state)
{
	struct pb b = {0};

	(void)state;
	pb_string(&b, 2, "a\xff\xc3\xa9\xc3");
	assert_int_equal(b.len, 7);
	assert_memory_equal(b.data,
			    "\x12\x05"
			    "a?\xc3\xa9?",
			    7);
	pb_free(&b);
}

static void test_long_messages_get_a_long_length(void **state)
{
	struct pb b = {0};
	char text[301];
	size_t mark;

	(void)state;
	memset(text, 'x', 300);
	text[300] = '\0';
	mark = pb_open(&b, 1);
	pb_string(&b, 2, text);
	pb_close(&b, mark);
	assert_int_equal(b.len, 1 + 2 + 1 + 2 + 300);
	assert_memory_equal(b.data, "\x0a\xaf\x02\x12\xac\x02xx", 8);
	pb_free(&b);
}

static void test_levels_are_parsed(void **state)
{
	struct diag *d = diag_new();
	unsigned int levels;

	(void)state;
	assert_int_equal(timeline_parse_levels("token,scheduler", &levels, d), 0);
	assert_int_equal(levels, TIMELINE_TOKEN | TIMELINE_SCHEDULER);
	assert_int_equal(timeline_parse_levels("operater", &levels, d), -22);
	assert_non_null(strstr(diag_first_error(d), "did you mean operator"));
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_is_in_the_trace),
		cmocka_unit_test(test_flows_join_token_graph_and_workers),
		cmocka_unit_test(test_scheduler_rows_become_switches),
		cmocka_unit_test(test_no_task_is_on_two_cpus),
		cmocka_unit_test(test_rows_out_of_order_and_overlapping),
		cmocka_unit_test(test_range_and_levels),
		cmocka_unit_test(test_compression_changes_nothing),
		cmocka_unit_test(test_chrome_json),
		cmocka_unit_test(test_an_empty_run),
		cmocka_unit_test(test_strings_are_made_utf8),
		cmocka_unit_test(test_long_messages_get_a_long_length),
		cmocka_unit_test(test_levels_are_parsed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
