#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in other engines: two runs in one PostgreSQL, metrics scraped by a real Prometheus.
. "$(dirname "$0")/lib.sh"

need_build
for i in 1 2; do
	"$BUILD/tests/run_make" --layers 2 --decodes $((i * 20)) --threads 2 "$TMP/run$i.llmp.spool" \
		>/dev/null || fail "run_make"
	expect_exit 0 export "$TMP/run$i.llmp"
	expect_exit 0 export --format postgres -o "$TMP/pg$i" "$TMP/run$i.llmp"
done
expect_exit 1 export --format postgres -o "$TMP/pg1" "$TMP/run1.llmp"
expect_exit 0 export --table op --format jsonl "$TMP/run1.llmp"
assert_eq "JSON lines" "$(jq -s length "$TMP/stdout")" "$(sql "$TMP/run1.llmp" 'SELECT count(*) FROM op')"
expect_exit 0 export --table token "$TMP/run1.llmp"
assert_eq "CSV lines" "$(wc -l <"$TMP/stdout")" $(($(sql "$TMP/run1.llmp" 'SELECT count(*) FROM token') + 1))
expect_exit 0 export --format prometheus "$TMP/run1.llmp"
cp "$TMP/stdout" "$TMP/metrics"
if command -v promtool >/dev/null; then
	promtool check metrics <"$TMP/metrics" >"$TMP/promtool" 2>&1 || fail "$(cat "$TMP/promtool")"
	echo "promtool finds nothing wrong"
fi

bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
if [ -z "$bin" ] || ! id postgres >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
	skip "the rest needs root and the package postgresql"
fi
chmod -R a+rX "$TMP"
mkdir "$TMP/db"
chown postgres "$TMP/db"
as_postgres() { su postgres -s /bin/bash -c "$*"; }
as_postgres "$bin/initdb -D $TMP/db -A trust" >/dev/null || fail "initdb"
as_postgres "exec $bin/postgres -D $TMP/db -k $TMP/db -h ''" >"$TMP/db.log" 2>&1 &
PIDS+=($!)
wait_for 20 as_postgres "$bin/pg_isready -q -h $TMP/db"
for i in 1 2; do
	(cd "$TMP/pg$i" && as_postgres "$bin/psql -q -h $TMP/db -f load.sql postgres") || fail "load.sql"
done
ask() { as_postgres "$bin/psql -At -h $TMP/db -c \"SET search_path TO llmprobe; $1\" postgres" | tail -1; }
for i in 1 2; do
	# The report's main sum, in the words of both.
	query="SELECT sum(o.end_ns - o.begin_ns) FROM op o JOIN tensor t ON t.id = o.tensor_id"
	assert_eq "matrix products of run $i" \
		"$(ask "$query AND t.run_id = o.run_id WHERE t.op = 'MUL_MAT' AND o.run_id = 'run$i.llmp'")" \
		"$(sql "$TMP/run$i.llmp" "$query WHERE t.op = 'MUL_MAT'")"
done
expect_exit 0 export --table token --format jsonl "$TMP/run2.llmp"
wanted=$(jq -s '[.[] | select(.phase == "decode") | .end_ns - .begin_ns] | sort as $d |
	(($d | length) - 1) * 0.95 | (. | floor) as $i | $d[$i] + ($d[$i + 1] - $d[$i]) * (. - $i) | round' \
	"$TMP/stdout")
assert_near "P95 per decode" \
	"$(ask "SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY end_ns - begin_ns) FROM token WHERE phase = 'decode' AND run_id = 'run2.llmp'")" \
	"$wanted" 0.0001
