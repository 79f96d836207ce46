/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics, their two formats, the listener, and sending to a small receiver. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cjson/cJSON.h>
#include <cmocka.h>

#include "view/export/otlp.h"
#include "view/export/prometheus.h"
#include "view_fixture.h"

enum { MS = 1000000 };

/* Two requests on one context: 2 prefill calls and 3 decodes, then 1 and 2. */
static struct metrics *two_requests(void)
{
	struct metrics *m = metrics_new("llama.cpp", "a\"b");

	metrics_call(m, 1, "prefill", 512, 0, 30 * MS);
	metrics_call(m, 1, "prefill", 100, 30 * MS, 50 * MS);
	metrics_call(m, 1, "decode", 1, 50 * MS, 80 * MS);
	metrics_call(m, 1, "decode", 1, 80 * MS, 110 * MS);
	metrics_call(m, 1, "decode", 1, 110 * MS, 140 * MS);
	metrics_call(m, 1, "prefill", 20, 1000 * MS, 1300 * MS);
	metrics_call(m, 1, "decode", 1, 1300 * MS, 1320 * MS);
	metrics_call(m, 1, "decode", 1, 1320 * MS, 1340 * MS);
	metrics_operators(m, CLASS_MATMUL, 10, 5000 * (uint64_t)MS, 250 * MS);
	metrics_loss(m, "operator", 7);
	metrics_cost(m, "operator", 100, 3 * MS);
	metrics_finish(m);
	return m;
}

static void test_requests_are_told_apart(void **state)
{
	struct metrics *m = two_requests();
	struct metrics_histogram h = metrics_histogram(m, METRICS_TTFT);

	(void)state;
	assert_int_equal(h.count, 2);
	assert_float_equal(h.sum, 0.05 + 0.3, 1e-9);
	h = metrics_histogram(m, METRICS_TPOT);
	assert_int_equal(h.count, 2);
	assert_float_equal(h.sum, 0.03 + 0.02, 1e-9);
	assert_int_equal(h.counts[1], 1); /* (0.01, 0.025] */
	assert_int_equal(h.counts[2], 1);
	h = metrics_histogram(m, METRICS_INPUT_TOKENS);
	assert_float_equal(h.sum, 632, 0);
	h = metrics_histogram(m, METRICS_OUTPUT_TOKENS);
	assert_float_equal(h.sum, 4 + 3, 0);
	h = metrics_histogram(m, METRICS_REQUEST);
	assert_float_equal(h.sum, 0.14 + 0.34, 1e-9);
	metrics_free(m);
}

/* Each of three users waits for all of a call's tokens. */
static void test_sequences_share_a_call(void **state)
{
	struct metrics *m = metrics_new("llama.cpp", "m");
	struct metrics_histogram h;

	(void)state;
	metrics_call(m, 1, "prefill", 30, 0, 50 * MS);
	metrics_call(m, 1, "decode", 3, 50 * MS, 70 * MS);
	metrics_call(m, 1, "decode", 3, 70 * MS, 90 * MS);
	metrics_finish(m);
	h = metrics_histogram(m, METRICS_TPOT);
	assert_float_equal(h.sum, 0.02, 1e-9);
	h = metrics_histogram(m, METRICS_OUTPUT_TOKENS);
	assert_float_equal(h.sum, 7, 0);
	metrics_free(m);
}

static void has(const char *text, const char *line)
{
	if (!strstr(text, line))
		fprintf(stderr, "missing: %s\n", line);
	assert_non_null(strstr(text, line));
}

static void test_exposition(void **state)
{
	struct metrics *m = two_requests();
	struct buf out = {0};
	const char *text;

	(void)state;
	prometheus_text(m, &out);
	text = buf_str(&out);
	has(text, "# TYPE llmprobe_tokens_total counter\n");
	has(text, "llmprobe_tokens_total{phase=\"prefill\"} 632\n");
	has(text, "llmprobe_operator_seconds_total{class=\"matrix products\"} 5\n");
	has(text, "llmprobe_lost_records_total{level=\"operator\"} 7\n");
	has(text, "# TYPE gen_ai_server_time_to_first_token_seconds histogram\n");
	has(text, "gen_ai_request_model=\"a\\\"b\",le=\"0.06\"} 1\n");
	has(text, "le=\"+Inf\"} 2\n");
	has(text, "gen_ai_client_token_usage_input_bucket{");
	/* One TYPE line per name. */
	assert_null(strstr(strstr(text, "# TYPE llmprobe_calls_total") + 1,
			   "# TYPE llmprobe_calls_total"));
	buf_free(&out);
	metrics_free(m);
}

static void test_operators_not_seen_are_no_zeros(void **state)
{
	struct metrics *m = metrics_new(NULL, NULL);
	struct buf text = {0};

	(void)state;
	prometheus_text(m, &text);
	assert_null(strstr(buf_str(&text), "llmprobe_operator"));
	metrics_operators(m, CLASS_MATMUL, 1, 2, 3);
	prometheus_text(m, &text);
	assert_non_null(strstr(buf_str(&text), "llmprobe_operators_total{"));
	buf_free(&text);
	metrics_free(m);
}

static void test_a_run_gives_the_same_sums(void **state)
{
	sqlite3 *db = fixture_run(10);
	struct metrics *m = metrics_new(NULL, NULL);
	struct buf out = {0};
	char line[128];

	(void)state;
	metrics_add_run(m, db);
	prometheus_text(m, &out);
	snprintf(line, sizeof(line), "llmprobe_operators_total{class=\"attention\"} %d\n",
		 (int)fixture_int(db,
				  "SELECT count(*) FROM op o JOIN tensor t ON t.id = o.tensor_id "
				  "WHERE t.op = 'SOFT_MAX'"));
	has(buf_str(&out), line);
	has(buf_str(&out), "llmprobe_tokens_total{phase=\"decode\"} 10\n");
	has(buf_str(&out), "llmprobe_lost_records_total{level=\"operator\"} 3\n");
	buf_free(&out);
	metrics_free(m);
	sqlite3_close(db);
}

static int dial(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)port),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static char *fetch(int port, const char *path)
{
	struct buf answer = {0};
	char request[128], chunk[4096];
	int fd = dial(port);
	ssize_t n;

	snprintf(request, sizeof(request),
		 "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
	assert_int_equal(file_write_all(fd, request, strlen(request)), 0);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(&answer, chunk, (size_t)n);
	close(fd);
	return buf_take(&answer);
}

static void test_the_listener_serves_scrapes(void **state)
{
	struct metrics *m = two_requests();
	struct diag *d = diag_new();
	struct prometheus_server *s = prometheus_listen(m, "127.0.0.1:0", d);
	char *text;

	(void)state;
	if (!s && strstr(diag_first_error(d), "built without")) {
		metrics_free(m);
		diag_free(d);
		skip();
	}
	assert_non_null(s);
	text = fetch(prometheus_port(s), "/metrics");
	has(text, "HTTP/1.1 200");
	has(text, "version=0.0.4");
	has(text, "llmprobe_tokens_total{phase=\"decode\"} 5\n");
	free(text);
	metrics_call(m, 1, "decode", 1, 0, 1);
	text = fetch(prometheus_port(s), "/metrics");
	has(text, "llmprobe_tokens_total{phase=\"decode\"} 6\n");
	free(text);
	text = fetch(prometheus_port(s), "/other");
	has(text, "HTTP/1.1 404");
	free(text);
	prometheus_close(s);
	assert_null(prometheus_listen(m, "localhost:nonsense", d));
	diag_free(d);
	metrics_free(m);
}

/* A receiver: answers each POST with `status` and keeps the bodies. */
struct receiver {
	int fd, status;
	pthread_t thread;
	char *bodies[8], *paths[8];
	int n;
};

static void receive_one(struct receiver *r, int fd)
{
	struct buf in = {0};
	char chunk[4096], answer[128];
	const char *body = NULL;
	size_t want = 0;
	ssize_t n;

	while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
		buf_add(&in, chunk, (size_t)n);
		if (!body && strcasestr(in.data, "Expect: 100-continue"))
			file_write_all(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
		body = strstr(in.data, "\r\n\r\n");
		if (body)
			want = (size_t)(body + 4 - in.data) +
			       strtoul(strcasestr(in.data, "Content-Length:") + 15, NULL, 10);
		if (body && in.len >= want)
			break;
	}
	if (body && r->n < 8) {
		r->paths[r->n] = strndup(in.data, strcspn(in.data, "\r"));
		r->bodies[r->n++] = strdup(strstr(in.data, "\r\n\r\n") + 4);
	}
	snprintf(answer, sizeof(answer),
		 "HTTP/1.1 %d Answer\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
		 r->status);
	file_write_all(fd, answer, strlen(answer));
	buf_free(&in);
	close(fd);
}

static void *receiver_main(void *arg)
{
	struct receiver *r = arg;
	int fd;

	while ((fd = accept(r->fd, NULL, NULL)) >= 0)
		receive_one(r, fd);
	return NULL;
}

static int receiver_start(struct receiver *r)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(r->fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(r->fd, 4), 0);
	getsockname(r->fd, (struct sockaddr *)&a, &len);
	pthread_create(&r->thread, NULL, receiver_main, r);
	return ntohs(a.sin_port);
}

static void receiver_stop(struct receiver *r)
{
	shutdown(r->fd, SHUT_RDWR);
	pthread_join(r->thread, NULL);
	close(r->fd);
	for (int i = 0; i < r->n; i++) {
		free(r->bodies[i]);
		free(r->paths[i]);
	}
}

static cJSON *at(cJSON *o, const char *key)
{
	cJSON *v = cJSON_GetObjectItem(o, key);

	assert_non_null(v);
	return v;
}

static void check_metrics(const char *body)
{
	cJSON *root = cJSON_Parse(body), *m, *metrics;
	bool ttft = false, tokens = false;

	assert_non_null(root);
	metrics = at(at(at(root, "resourceMetrics")->child, "scopeMetrics")->child, "metrics");
	cJSON_ArrayForEach(m, metrics)
	{
		const char *name = cJSON_GetStringValue(at(m, "name"));

		if (!strcmp(name, "gen_ai.server.time_to_first_token")) {
			cJSON *p = at(at(m, "histogram"), "dataPoints")->child;

			ttft = true;
			assert_int_equal(cJSON_GetArraySize(at(p, "bucketCounts")),
					 cJSON_GetArraySize(at(p, "explicitBounds")) + 1);
			assert_string_equal(cJSON_GetStringValue(at(p, "count")), "1");
		}
		if (!strcmp(name, "llmprobe_tokens_total")) {
			tokens = true;
			assert_int_equal(cJSON_GetArraySize(at(at(m, "sum"), "dataPoints")), 2);
		}
	}
	assert_true(ttft && tokens);
	cJSON_Delete(root);
}

static void check_spans(const char *body, sqlite3 *db)
{
	cJSON *root = cJSON_Parse(body), *s, *spans;
	int64_t roots = 0, children = 0;

	assert_non_null(root);
	spans = at(at(at(root, "resourceSpans")->child, "scopeSpans")->child, "spans");
	cJSON_ArrayForEach(s, spans)
	{
		assert_int_equal(strlen(cJSON_GetStringValue(at(s, "traceId"))), 32);
		assert_int_equal(strlen(cJSON_GetStringValue(at(s, "spanId"))), 16);
		if (cJSON_GetObjectItem(s, "parentSpanId"))
			children++;
		else
			roots++;
	}
	assert_int_equal(roots, fixture_int(db, "SELECT count(*) FROM token"));
	assert_int_equal(children, fixture_int(db, "SELECT count(*) FROM graph"));
	s = spans->child;
	assert_string_equal(cJSON_GetStringValue(at(s, "startTimeUnixNano")),
			    "1700000005000000000");
	cJSON_Delete(root);
}

static void test_a_run_is_sent(void **state)
{
	sqlite3 *db = fixture_run(20);
	struct receiver r = {.status = 200};
	struct diag *d = diag_new();
	char url[64];
	int rc;

	(void)state;
	fixture_exec(db, "INSERT INTO run_t VALUES('clock_offset_ns', '1700000000000000000')");
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/", receiver_start(&r));
	rc = otlp_send(db, url, d);
	if (rc == -38) {
		receiver_stop(&r);
		diag_free(d);
		sqlite3_close(db);
		skip();
	}
	assert_int_equal(rc, 0);
	assert_int_equal(r.n, 2);
	assert_string_equal(r.paths[0], "POST /v1/metrics HTTP/1.1");
	assert_string_equal(r.paths[1], "POST /v1/traces HTTP/1.1");
	check_metrics(r.bodies[0]);
	check_spans(r.bodies[1], db);
	r.status = 503;
	assert_true(otlp_send(db, url, d) < 0);
	has(diag_first_error(d), "answered 503");
	receiver_stop(&r);
	diag_clear(d);
	assert_true(otlp_send(db, url, d) < 0);
	has(diag_first_error(d), "cannot send to");
	diag_free(d);
	sqlite3_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_are_told_apart),
		cmocka_unit_test(test_sequences_share_a_call),
		cmocka_unit_test(test_exposition),
		cmocka_unit_test(test_a_run_gives_the_same_sums),
		cmocka_unit_test(test_operators_not_seen_are_no_zeros),
		cmocka_unit_test(test_the_listener_serves_scrapes),
		cmocka_unit_test(test_a_run_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
