/* SPDX-License-Identifier: Apache-2.0 */
#include "view/export/otlp.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#ifdef HAVE_LIBCURL
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#endif

#include "util/lazy.h"
#include "view/html/html_page.h"

enum { SPANS_PER_REQUEST = 500, CUMULATIVE = 2, SPAN_KIND_INTERNAL = 1, SEND_SECONDS = 30 };

static void attribute(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, "{\"key\":\"%s\",\"value\":{\"stringValue\":", key);
	html_json_string(out, value);
	buf_puts(out, "}}");
}

static void resource(struct buf *out, const char *service)
{
	buf_puts(out, "\"resource\":{\"attributes\":[");
	attribute(out, "service.name", service);
	buf_puts(out, "]}");
}

static void scope(struct buf *out)
{
	buf_puts(out, "\"scope\":{\"name\":\"llmprobe\",\"version\":\"" LLMPROBE_VERSION "\"}");
}

struct counter_state {
	struct buf *out;
	const struct otlp_times *t;
	char last[64];
};

/* Points of one name follow each other; a new name closes the metric before. */
static void put_counter(void *ctx, const char *name, const char *label_name, const char *label,
			double value, const char *help)
{
	struct counter_state *s = ctx;

	if (strcmp(s->last, name) != 0) {
		buf_printf(s->out,
			   "%s{\"name\":\"%s\",\"description\":\"%s\",\"sum\":{"
			   "\"aggregationTemporality\":%d,\"isMonotonic\":true,"
			   "\"dataPoints\":[",
			   *s->last ? "]}}," : "", name, help, CUMULATIVE);
		snprintf(s->last, sizeof(s->last), "%s", name);
	} else {
		buf_putc(s->out, ',');
	}
	buf_printf(s->out,
		   "{\"startTimeUnixNano\":\"%" PRIu64 "\",\"timeUnixNano\":\"%" PRIu64
		   "\",\"asDouble\":%.17g,\"attributes\":[",
		   s->t->start_ns, s->t->end_ns, value);
	attribute(s->out, label_name, label);
	buf_puts(s->out, "]}");
}

static void put_histogram(struct metrics *m, const struct metrics_histogram *h,
			  const struct otlp_times *t, struct buf *out)
{
	buf_printf(out,
		   ",{\"name\":\"%s\",\"unit\":\"%s\",\"description\":\"%s\",\"histogram\":{"
		   "\"aggregationTemporality\":%d,\"dataPoints\":[{\"startTimeUnixNano\":\"%" PRIu64
		   "\",\"timeUnixNano\":\"%" PRIu64 "\",\"count\":\"%" PRIu64
		   "\",\"sum\":%.17g,\"bucketCounts\":[",
		   h->name, h->unit, h->help, CUMULATIVE, t->start_ns, t->end_ns, h->count, h->sum);
	for (size_t i = 0; i <= h->n_bounds; i++)
		buf_printf(out, "%s\"%" PRIu64 "\"", i ? "," : "", h->counts[i]);
	buf_puts(out, "],\"explicitBounds\":[");
	for (size_t i = 0; i < h->n_bounds; i++)
		buf_printf(out, "%s%g", i ? "," : "", h->bounds[i]);
	buf_puts(out, "],\"attributes\":[");
	attribute(out, "gen_ai.operation.name", "text_completion");
	buf_putc(out, ',');
	attribute(out, "gen_ai.provider.name", metrics_engine(m));
	buf_putc(out, ',');
	attribute(out, "gen_ai.request.model", metrics_model(m));
	buf_puts(out, "]}]}}");
}

void otlp_metrics(struct metrics *m, const struct otlp_times *t, struct buf *out)
{
	struct counter_state s = {out, t, ""};

	buf_puts(out, "{\"resourceMetrics\":[{");
	resource(out, metrics_engine(m));
	buf_puts(out, ",\"scopeMetrics\":[{");
	scope(out);
	buf_puts(out, ",\"metrics\":[");
	metrics_counters(m, put_counter, &s);
	buf_puts(out, "]}}");
	for (int i = 0; i < METRICS_HISTOGRAMS; i++) {
		struct metrics_histogram h = metrics_histogram(m, (enum metrics_histogram_id)i);

		put_histogram(m, &h, t, out);
	}
	buf_puts(out, "]}]}]}");
}

static int64_t wall_offset(sqlite3 *db)
{
	return view_int(db, 0, "SELECT value FROM run WHERE key = 'clock_offset_ns'", NULL);
}

/* An id that is the same whenever the same run is sent, and another for every run. */
static uint64_t run_hash(sqlite3 *db)
{
	char *start = view_run_value(db, "start"), *host = view_run_value(db, "host");
	int64_t begin = view_int(db, 0, "SELECT min(begin_ns) FROM token", NULL);
	uint64_t h = 14695981039346656037u; /* FNV-1a */
	char *text = xasprintf("%s %s %" PRId64, start ? start : "", host ? host : "", begin);

	for (const char *p = text; *p; p++)
		h = (h ^ (unsigned char)*p) * 1099511628211u;
	free(text);
	free(start);
	free(host);
	return h | 1;
}

struct otlp_span {
	uint64_t run;
	int64_t token; /* the trace */
	uint64_t id, parent;
	const char *name;
	uint64_t begin_ns, end_ns;
};

static void put_span(struct buf *out, const struct otlp_span *s, bool first)
{
	buf_printf(out,
		   "%s{\"traceId\":\"%016" PRIx64 "%016" PRIx64 "\",\"spanId\":\"%016" PRIx64 "\",",
		   first ? "" : ",", s->run, (uint64_t)s->token, s->id);
	if (s->parent)
		buf_printf(out, "\"parentSpanId\":\"%016" PRIx64 "\",", s->parent);
	buf_puts(out, "\"name\":");
	html_json_string(out, s->name);
	buf_printf(out,
		   ",\"kind\":%d,\"startTimeUnixNano\":\"%" PRIu64
		   "\",\"endTimeUnixNano\":\"%" PRIu64 "\"",
		   SPAN_KIND_INTERNAL, s->begin_ns, s->end_ns);
}

static size_t put_graphs(sqlite3 *db, const struct otlp_span *parent, int64_t offset,
			 struct buf *out)
{
	sqlite3_stmt *row =
		view_query(db, NULL,
			   "SELECT id, backend, begin_ns, end_ns, n_nodes FROM graph WHERE "
			   "token_id = ?1 AND end_ns IS NOT NULL ORDER BY begin_ns",
			   "i", parent->token);
	size_t n = 0;

	for (; view_step(row); n++) {
		char name[96];
		struct otlp_span s = *parent;

		snprintf(name, sizeof(name), "graph %.80s", view_text(row, 1));
		s.name = name;
		s.parent = parent->id;
		s.id = (uint64_t)1 << 62 | (uint64_t)sqlite3_column_int64(row, 0);
		s.begin_ns = (uint64_t)(sqlite3_column_int64(row, 2) + offset);
		s.end_ns = (uint64_t)(sqlite3_column_int64(row, 3) + offset);
		put_span(out, &s, false);
		buf_printf(out,
			   ",\"attributes\":[{\"key\":\"llmprobe.graph.nodes\",\"value\":{"
			   "\"intValue\":\"%" PRId64 "\"}}]}",
			   (int64_t)sqlite3_column_int64(row, 4));
	}
	return n;
}

size_t otlp_spans(sqlite3 *db, const char *service, int64_t *after, size_t limit, struct buf *out)
{
	int64_t offset = wall_offset(db);
	struct otlp_span s = {.run = run_hash(db)};
	sqlite3_stmt *row =
		view_query(db, NULL,
			   "SELECT id, phase, begin_ns, end_ns, n_tokens FROM token WHERE "
			   "id > ?1 AND end_ns IS NOT NULL ORDER BY id LIMIT ?2",
			   "ii", *after, (int64_t)limit);
	size_t n = 0;

	buf_puts(out, "{\"resourceSpans\":[{");
	resource(out, service);
	buf_puts(out, ",\"scopeSpans\":[{");
	scope(out);
	buf_puts(out, ",\"spans\":[");
	while (view_step(row)) {
		*after = s.token = sqlite3_column_int64(row, 0);
		s.id = (uint64_t)1 << 63 | (uint64_t)s.token;
		s.name = view_text(row, 1);
		s.begin_ns = (uint64_t)(sqlite3_column_int64(row, 2) + offset);
		s.end_ns = (uint64_t)(sqlite3_column_int64(row, 3) + offset);
		put_span(out, &s, n == 0);
		buf_printf(out,
			   ",\"attributes\":[{\"key\":\"llmprobe.tokens\",\"value\":{\"intValue\":"
			   "\"%" PRId64 "\"}}]}",
			   (int64_t)sqlite3_column_int64(row, 4));
		n += 1 + put_graphs(db, &s, offset, out);
	}
	buf_puts(out, "]}]}]}");
	return n;
}

#ifdef HAVE_LIBCURL
/* In the order of the names below. */
static struct {
	CURL *(*init)(void);
	void (*cleanup)(CURL *);
	CURLcode (*setopt)(CURL *, CURLoption, ...);
	CURLcode (*getinfo)(CURL *, CURLINFO, ...);
	CURLcode (*perform)(CURL *);
	const char *(*strerror)(CURLcode);
	struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
	void (*slist_free_all)(struct curl_slist *);
} api;

static int load_curl(struct diag *d)
{
	static const char *const names[] = {
		"curl_easy_init",    "curl_easy_cleanup",   "curl_easy_setopt",
		"curl_easy_getinfo", "curl_easy_perform",   "curl_easy_strerror",
		"curl_slist_append", "curl_slist_free_all",
	};

	return lazy_load("libcurl.so.4", names, (void **)&api, ARRAY_LEN(names), d);
}

static size_t keep_answer(char *data, size_t size, size_t n, void *ctx)
{
	struct buf *answer = ctx;

	if (answer->len < 500)
		buf_add(answer, data, size * n);
	return size * n;
}

static void allow_http_only(CURL *curl)
{
#if LIBCURL_VERSION_NUM >= 0x075500
	api.setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	api.setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static int post(CURL *curl, const char *base, const char *path, const struct buf *body,
		struct diag *d)
{
	size_t len = strlen(base);
	char *url =
		xasprintf("%.*s%s", (int)(len && base[len - 1] == '/' ? len - 1 : len), base, path);
	struct curl_slist *headers = api.slist_append(NULL, "Content-Type: application/json");
	struct buf answer = {0};
	long code = 0;
	int err = 0;
	CURLcode rc;

	api.setopt(curl, CURLOPT_URL, url);
	allow_http_only(curl);
	api.setopt(curl, CURLOPT_HTTPHEADER, headers);
	api.setopt(curl, CURLOPT_POSTFIELDS, body->data);
	api.setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
	api.setopt(curl, CURLOPT_TIMEOUT, (long)SEND_SECONDS);
	api.setopt(curl, CURLOPT_NOSIGNAL, 1L);
	api.setopt(curl, CURLOPT_WRITEFUNCTION, keep_answer);
	api.setopt(curl, CURLOPT_WRITEDATA, &answer);
	rc = api.perform(curl);
	api.getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
	if (rc != CURLE_OK)
		err = diag_fail(d, -EIO, "cannot send to %s: %s", url, api.strerror(rc));
	else if (code < 200 || code > 299)
		err = diag_fail(d, -EPROTO, "%s answered %ld: %s", url, code, buf_str(&answer));
	buf_free(&answer);
	api.slist_free_all(headers);
	free(url);
	return err;
}

static int send_spans(CURL *curl, sqlite3 *db, const char *service, const char *url, size_t *spans,
		      struct diag *d)
{
	struct buf body = {0};
	int64_t after = 0;
	size_t n;
	int err = 0;

	*spans = 0;
	while (!err && (n = otlp_spans(db, service, &after, SPANS_PER_REQUEST, &body))) {
		err = post(curl, url, "/v1/traces", &body, d);
		*spans += n;
		buf_reset(&body);
	}
	buf_free(&body);
	return err;
}

int otlp_send(sqlite3 *db, const char *url, struct diag *d)
{
	struct metrics *m = metrics_of_run(db);
	CURL *curl = load_curl(d) ? NULL : api.init();
	struct otlp_times t = {0};
	struct buf body = {0};
	int64_t begin, end;
	size_t spans = 0;
	int err;

	view_span(db, &begin, &end);
	t.start_ns = (uint64_t)(begin + wall_offset(db));
	t.end_ns = (uint64_t)(end + wall_offset(db));
	otlp_metrics(m, &t, &body);
	err = curl ? post(curl, url, "/v1/metrics", &body, d)
		   : diag_fail(d, -EIO, "cannot send to %s without libcurl", url);
	if (!err)
		err = send_spans(curl, db, metrics_engine(m), url, &spans, d);
	if (!err)
		diag_add(d, DIAG_NOTE, "sent metrics and %zu spans to %s", spans, url);
	if (curl)
		api.cleanup(curl);
	buf_free(&body);
	metrics_free(m);
	return err;
}
#else
int otlp_send(sqlite3 *db, const char *url, struct diag *d)
{
	(void)db;
	return diag_fail(d, -ENOSYS, "cannot send to %s: llmprobe was built without libcurl", url);
}
#endif
