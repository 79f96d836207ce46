/* SPDX-License-Identifier: Apache-2.0 */
/* The text exposition format and the listener that Prometheus scrapes. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#ifdef HAVE_MICROHTTPD
#include <microhttpd.h>
#endif

#include "util/alloc.h"
#include "util/lazy.h"
#include "util/text.h"
#include "view/export/prometheus.h"

static void put_label(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n') {
			buf_puts(out, "\\n");
			continue;
		}
		if (*text == '"' || *text == '\\')
			buf_putc(out, '\\');
		buf_putc(out, *text);
	}
}

struct text_state {
	struct buf *out;
	char last[64]; /* name whose HELP was written last */
};

static void put_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_counter(void *ctx, const char *name, const char *label_name, const char *label,
			double value, const char *help)
{
	struct text_state *s = ctx;

	if (strcmp(s->last, name) != 0)
		put_head(s->out, name, "counter", help);
	snprintf(s->last, sizeof(s->last), "%s", name);
	buf_printf(s->out, "%s{%s=\"", name, label_name);
	put_label(s->out, label);
	buf_puts(s->out, "\"} ");
	buf_double(s->out, value);
	buf_putc(s->out, '\n');
}

/* OpenTelemetry's name and unit as Prometheus writes them. */
static char *prometheus_name(const struct metrics_histogram *h)
{
	char *name = xasprintf("%s%s", h->name, strcmp(h->unit, "s") ? "" : "_seconds");

	for (char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p))
			*p = '_';
	return name;
}

static void put_histogram(struct metrics *m, const struct metrics_histogram *h, struct buf *out)
{
	char *name = prometheus_name(h);
	struct buf labels = {0};
	uint64_t below = 0;

	buf_puts(&labels, "gen_ai_operation_name=\"text_completion\",gen_ai_provider_name=\"");
	put_label(&labels, metrics_engine(m));
	buf_puts(&labels, "\",gen_ai_request_model=\"");
	put_label(&labels, metrics_model(m));
	buf_puts(&labels, "\"");
	put_head(out, name, "histogram", h->help);
	for (size_t i = 0; i < h->n_bounds; i++) {
		below += h->counts[i];
		buf_printf(out, "%s_bucket{%s,le=\"%g\"} %" PRIu64 "\n", name, buf_str(&labels),
			   h->bounds[i], below);
	}
	buf_printf(out, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, buf_str(&labels),
		   h->count);
	buf_printf(out, "%s_sum{%s} ", name, buf_str(&labels));
	buf_double(out, h->sum);
	buf_putc(out, '\n');
	buf_printf(out, "%s_count{%s} %" PRIu64 "\n", name, buf_str(&labels), h->count);
	buf_free(&labels);
	free(name);
}

void prometheus_text(struct metrics *m, struct buf *out)
{
	struct text_state s = {.out = out};

	put_head(out, "llmprobe_build_info", "gauge", "Version of llmprobe; always 1");
	buf_puts(out, "llmprobe_build_info{version=\"" LLMPROBE_VERSION "\"} 1\n");
	metrics_counters(m, put_counter, &s);
	for (int i = 0; i < METRICS_HISTOGRAMS; i++) {
		struct metrics_histogram h = metrics_histogram(m, (enum metrics_histogram_id)i);

		put_histogram(m, &h, out);
	}
}

#ifdef HAVE_MICROHTTPD
/* In the order of the names below. */
static struct {
	struct MHD_Daemon *(*start)(unsigned int, uint16_t, MHD_AcceptPolicyCallback, void *,
				    MHD_AccessHandlerCallback, void *, ...);
	void (*stop)(struct MHD_Daemon *);
	const union MHD_DaemonInfo *(*info)(struct MHD_Daemon *, enum MHD_DaemonInfoType, ...);
	struct MHD_Response *(*response)(size_t, void *, enum MHD_ResponseMemoryMode);
	enum MHD_Result (*header)(struct MHD_Response *, const char *, const char *);
	enum MHD_Result (*queue)(struct MHD_Connection *, unsigned int, struct MHD_Response *);
	void (*destroy)(struct MHD_Response *);
} api;

static int load_microhttpd(struct diag *d)
{
	static const char *const names[] = {
		"MHD_start_daemon",	   "MHD_stop_daemon",
		"MHD_get_daemon_info",	   "MHD_create_response_from_buffer",
		"MHD_add_response_header", "MHD_queue_response",
		"MHD_destroy_response",
	};

	return lazy_load("libmicrohttpd.so.12", names, (void **)&api, ARRAY_LEN(names), d);
}

struct prometheus_server {
	struct MHD_Daemon *daemon;
	struct metrics *metrics;
};

static enum MHD_Result reply(struct MHD_Connection *c, unsigned int code, const char *type,
			     char *text, size_t len)
{
	struct MHD_Response *r = api.response(len, text, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	api.header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	result = api.queue(c, code, r);
	api.destroy(r);
	return result;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_len, void **state)
{
	struct prometheus_server *s = ctx;
	struct buf out = {0};
	size_t len;

	(void)version;
	(void)data;
	(void)state;
	*data_len = 0;
	if (strcmp(method, "GET") != 0)
		return reply(c, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", xstrdup("GET only\n"),
			     9);
	if (strcmp(url, "/metrics") != 0)
		return reply(c, MHD_HTTP_NOT_FOUND, "text/plain",
			     xstrdup("llmprobe serves /metrics\n"), 25);
	prometheus_text(s->metrics, &out);
	len = out.len;
	return reply(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", buf_take(&out),
		     len);
}

/* "HOST:PORT", ":PORT" or "PORT" to a socket address; the numbers of an IPv6 host in brackets. */
static int resolve(const char *address, struct addrinfo **out, struct diag *d)
{
	const char *colon = strrchr(address, ':'), *port = colon ? colon + 1 : address;
	char *host = colon ? xstrndup(address, (size_t)(colon - address)) : xstrdup("");
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
				 .ai_socktype = SOCK_STREAM};
	size_t len = strlen(host);
	int rc;

	if (len > 1 && host[0] == '[' && host[len - 1] == ']') {
		memmove(host, host + 1, len - 2);
		host[len - 2] = '\0';
	}
	rc = getaddrinfo(*host ? host : NULL, port, &hints, out);
	free(host);
	if (rc)
		return diag_fail(d, -EINVAL,
				 "'%s' is no address to listen at (%s); write HOST:PORT", address,
				 gai_strerror(rc));
	return 0;
}

struct prometheus_server *prometheus_listen(struct metrics *m, const char *address, struct diag *d)
{
	struct prometheus_server *s;
	struct addrinfo *a = NULL;
	unsigned int flags = MHD_USE_INTERNAL_POLLING_THREAD;

	if (load_microhttpd(d) || resolve(address, &a, d))
		return NULL;
	if (a->ai_family == AF_INET6)
		flags |= MHD_USE_DUAL_STACK;
	s = xcalloc(1, sizeof(*s));
	s->metrics = m;
	s->daemon = api.start(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_SOCK_ADDR, a->ai_addr,
			      MHD_OPTION_CONNECTION_LIMIT, 16u, MHD_OPTION_CONNECTION_TIMEOUT, 10u,
			      MHD_OPTION_END);
	freeaddrinfo(a);
	if (s->daemon)
		return s;
	diag_fail(d, -EADDRINUSE, "cannot listen at %s: %s", address, strerror(errno));
	free(s);
	return NULL;
}

int prometheus_port(const struct prometheus_server *s)
{
	return api.info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void prometheus_close(struct prometheus_server *s)
{
	if (!s)
		return;
	api.stop(s->daemon);
	free(s);
}
#else
struct prometheus_server *prometheus_listen(struct metrics *m, const char *address, struct diag *d)
{
	(void)m;
	diag_fail(d, -ENOSYS,
		  "cannot serve metrics at %s: llmprobe was built without libmicrohttpd", address);
	return NULL;
}

int prometheus_port(const struct prometheus_server *s)
{
	(void)s;
	return 0;
}

void prometheus_close(struct prometheus_server *s)
{
	(void)s;
}
#endif
