#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Metrics for fleets: a recording scraped by a real Prometheus, and a run sent to a receiver of
# OpenTelemetry's protocol. What arrives equals the trace.
. "$(dirname "$0")/lib.sh"
need_bpf
command -v prometheus >/dev/null || skip_unless_ci "needs the package prometheus"
fake=$BUILD/tests/fake/fake_engine
run=$TMP/run.llmp

echo "-- scraped by Prometheus"
# The target stays a while after its last token, so that the last figures are scraped too.
"$LLMPROBE" record -o "$run" --prometheus 127.0.0.1:0 -- \
	sh -c "$fake -d 997 -s 300 >$TMP/account; touch $TMP/quiet; sleep 8" >"$TMP/record" 2>&1 &
recording=$!
PIDS+=("$recording")
wait_for 20 grep -q 'served on port' "$TMP/record"
port=$(sed -n 's/.*served on port \([0-9]*\).*/\1/p' "$TMP/record")
cat >"$TMP/prometheus.yml" <<YAML
scrape_configs:
  - job_name: llmprobe
    scrape_interval: 500ms
    static_configs:
      - targets: ["127.0.0.1:$port"]
YAML
own=$((20000 + $$ % 20000))
start prometheus --config.file="$TMP/prometheus.yml" --storage.tsdb.path="$TMP/tsdb" \
	--web.listen-address=127.0.0.1:$own --log.level=warn
# ask EXPRESSION: its value, as it was when last scraped.
ask() {
	curl -sG --noproxy '*' "http://127.0.0.1:$own/api/v1/query" --data-urlencode "query=$1" |
		jq -r '.data.result[0].value[1] // empty'
}
is_scraped() {
	[ "$(ask 'up{job="llmprobe"}')" = 1 ]
}
wait_for 30 is_scraped
wait_for 60 test -e "$TMP/quiet"
curl -s --noproxy '*' "http://127.0.0.1:$port/metrics" >"$TMP/exposition"
promtool check metrics <"$TMP/exposition" >"$TMP/promtool" 2>&1 || fail "$(cat "$TMP/promtool")"
wait "$recording" || fail "record: $(cat "$TMP/record")"
last() { ask "last_over_time($1[5m])"; }
for phase in prefill decode; do
	assert_eq "$phase calls" "$(last "llmprobe_calls_total{phase=\"$phase\"}")" \
		"$(sql "$run" "SELECT count(*) FROM token WHERE phase = '$phase'")"
	assert_eq "$phase tokens" "$(last "llmprobe_tokens_total{phase=\"$phase\"}")" \
		"$(sql "$run" "SELECT sum(n_tokens) FROM token WHERE phase = '$phase'")"
	assert_near "$phase seconds" "$(last "llmprobe_call_seconds_total{phase=\"$phase\"}")" \
		"$(sql "$run" "SELECT sum(end_ns - begin_ns) / 1e9 FROM token WHERE phase = '$phase'")" 0.001
done
# The last ones of each thread are still with it.
assert_near "operators" "$(ask 'sum(last_over_time(llmprobe_operators_total[5m]))')" \
	"$(sql "$run" 'SELECT count(*) FROM op')" 0.5
assert_near "seconds of operators" "$(ask 'sum(last_over_time(llmprobe_operator_seconds_total[5m]))')" \
	"$(sql "$run" 'SELECT sum(end_ns - begin_ns) / 1e9 FROM op')" 1
assert_ge "classes" "$(ask 'count(last_over_time(llmprobe_operators_total[5m]) > 0)')" 2
assert_eq "lost" "$(ask 'sum(last_over_time(llmprobe_lost_records_total[5m]))')" 0
assert_ge "hits" "$(last 'llmprobe_probe_hits_total{level="token"}')" 1000
assert_eq "times to first token" "$(last gen_ai_server_time_to_first_token_seconds_count)" 1

echo "-- the finished run says the same"
expect_exit 0 export --format prometheus "$run"
for name in 'calls_total{phase="decode"}' 'tokens_total{phase="prefill"}'; do
	assert_eq "$name" "$(grep -F "llmprobe_$name" "$TMP/stdout" | awk '{print $NF}')" \
		"$(last "llmprobe_$name")"
done

echo "-- sent to a receiver"
cat >"$TMP/receiver.py" <<'PY'
import http.server, json, sys

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        with open(sys.argv[1], "a") as f:
            print(json.dumps({"path": self.path, "body": json.loads(body)}), file=f)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
PY
start python3 "$TMP/receiver.py" "$TMP/received"
log=$TMP/start.$((${#PIDS[@]} - 1))
wait_for 10 test -s "$log"
expect_exit 0 export --otlp "http://127.0.0.1:$(cat "$log")" "$run"
spans() { # FILTER
	jq -s "[.[] | select(.path == \"/v1/traces\").body.resourceSpans[].scopeSpans[].spans[]] | $1" \
		"$TMP/received"
}
assert_eq "spans" "$(spans length)" \
	"$(sql "$run" 'SELECT (SELECT count(*) FROM token) + (SELECT count(*) FROM graph WHERE token_id IS NOT NULL)')"
assert_eq "ids" "$(spans '[.[].spanId] | unique | length')" "$(spans length)"
assert_eq "spans below an unknown one" \
	"$(spans '([.[].spanId]) as $ids | [.[].parentSpanId // empty] | unique - $ids | length')" 0
assert_eq "ids of a wrong length" \
	"$(spans '[.[] | select((.traceId | length) != 32 or (.spanId | length) != 16)] | length')" 0
assert_eq "tokens in the spans" \
	"$(spans '[.[].attributes[] | select(.key == "llmprobe.tokens").value.intValue | tonumber] | add')" \
	"$(sql "$run" 'SELECT sum(n_tokens) FROM token')"
metric() { # NAME FILTER
	jq -s "[.[] | select(.path == \"/v1/metrics\").body.resourceMetrics[].scopeMetrics[].metrics[] |
		select(.name == \"$1\")][0] | $2" "$TMP/received"
}
assert_eq "decoded tokens" "$(metric llmprobe_tokens_total \
	'.sum.dataPoints[] | select(.attributes[0].value.stringValue == "decode").asDouble')" \
	"$(sql "$run" "SELECT sum(n_tokens) FROM token WHERE phase = 'decode'")"
assert_eq "buckets" "$(metric gen_ai.server.time_to_first_token \
	'.histogram.dataPoints[0] | (.bucketCounts | length) - (.explicitBounds | length)')" 1
expect_exit 1 export --otlp "http://127.0.0.1:1" "$run"
assert_match "nobody there" "$(cat "$TMP/stderr")" 'cannot send to http://127.0.0.1:1'
