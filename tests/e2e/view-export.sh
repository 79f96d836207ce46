#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in other engines: every table as CSV and as JSON lines, two runs in one PostgreSQL where the report's
# queries run.
. "$(dirname "$0")/lib.sh"

need_build
for i in 1 2; do
	"$BUILD/tests/run_make" --layers 2 --decodes $((i * 20)) --threads 2 --sched --moe --counters "$TMP/run$i.llmp.spool" \
		>/dev/null || fail "run_make"
	expect_exit 0 export "$TMP/run$i.llmp"
	# A thread of the kernel was first, in some; of some nobody knows who it was.
	sqlite3 "$TMP/run$i.llmp" "UPDATE sched_t SET by_comm = 'rcu_preempt', by_tid = 15 WHERE rowid IN (SELECT
		rowid FROM sched_t WHERE state = 'runnable' LIMIT 3); UPDATE sched_t SET by_comm = 'other', by_tid = 16
		WHERE rowid IN (SELECT rowid FROM sched_t WHERE state = 'runnable' LIMIT 3 OFFSET 4); UPDATE sched_t SET
		by_comm = NULL, by_tid = NULL WHERE rowid = (SELECT max(rowid) FROM sched_t WHERE state = 'runnable')" ||
		fail "sqlite3"
	expect_exit 0 export --format postgres -o "$TMP/pg$i" "$TMP/run$i.llmp"
done
expect_exit 1 export --format postgres -o "$TMP/pg1" "$TMP/run1.llmp"
# Every table, every cell: what SQLite says, read back from the files.
python3 - "$TMP/run2.llmp" "$LLMPROBE" <<'PY' || fail "an exported table differs from the run's"
import csv, io, json, sqlite3, subprocess, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
tables = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'view' ORDER BY name")]
assert len(tables) >= 18, tables
for table in tables:
    cursor = db.execute(f"SELECT * FROM {table}")
    names, wanted = [c[0] for c in cursor.description], cursor.fetchall()
    def run(*options):
        return subprocess.run([sys.argv[2], "export", "--table", table, *options, sys.argv[1]],
                              stdout=subprocess.PIPE, check=True).stdout.decode()
    got = [json.loads(line) for line in run("--format", "jsonl").splitlines()]
    assert got == [dict(zip(names, r)) for r in wanted], table
    got = list(csv.reader(io.StringIO(run())))
    assert got[0] == names, table
    assert len(got) == len(wanted) + 1, table
    for g, w in zip(got[1:], wanted):
        for text, value in zip(g, w):
            assert value is None and text == "" or type(value)(text) == value, (table, text, value)
    print(f"{table}: {len(wanted)} rows equal in CSV and JSON lines")
PY
# A device is written to and stays one; a run cannot be one.
mknod "$TMP/null" c 1 3 2>/dev/null || mkfifo "$TMP/null"
if [ -c "$TMP/null" ]; then
	for view in "export --table op" html timeline "dag --format dot"; do
		# shellcheck disable=SC2086
		expect_exit 0 $view --force -o "$TMP/null" "$TMP/run1.llmp"
		[ -c "$TMP/null" ] || fail "$view made a file of a device"
	done
fi
echo '{"total_time": 1}' >"$TMP/neuron.json"
expect_exit 1 import neuron --force -o "$TMP/null" "$TMP/neuron.json"
assert_match "a run cannot be a device" "$(cat "$TMP/stderr")" 'is a device or a pipe; a run is a file'
[ ! -f "$TMP/null" ] || fail "import made a file of a device"
for view in "export --table op" "html" "report" "timeline"; do
	# shellcheck disable=SC2086
	"$LLMPROBE" $view "$TMP/run1.llmp" >/dev/full 2>"$TMP/stderr"
	assert_eq "$view onto a full disk" $? 1
	assert_match "which is said" "$(cat "$TMP/stderr")" 'cannot write .*No space left on device'
done
expect_exit 0 export --format prometheus "$TMP/run1.llmp"
cp "$TMP/stdout" "$TMP/metrics"
if command -v promtool >/dev/null; then
	promtool check metrics <"$TMP/metrics" >"$TMP/promtool" 2>&1 || fail "$(cat "$TMP/promtool")"
	echo "promtool finds nothing wrong"
fi

bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
if [ -z "$bin" ] || ! id postgres >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
	skip_unless_ci "the rest needs root and the package postgresql"
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

# The report's queries there against the report here.
for i in 1 2; do
	run=run$i.llmp
	expect_exit 0 report --json "$TMP/$run"
	cp "$TMP/stdout" "$TMP/report"
	for phase in prefill decode; do
		for pair in calls:calls tokens:tokens wall_ns:wall_ns mean_ns:sample_mean_ns p50_ns:sample_p50_ns \
			p95_ns:sample_p95_ns p99_ns:sample_p99_ns; do
			assert_near "$run, $phase ${pair%:*}" \
				"$(ask "SELECT ${pair%:*} FROM report_rates WHERE run_id = '$run' AND phase = '$phase'")" \
				"$(jq ".phases.$phase.${pair#*:}" "$TMP/report")" 0.0001
		done
	done
	assert_eq "$run, operators" \
		"$(ask "SELECT string_agg(concat_ws(' ', phase, op, rows, compute_ns, wait_ns), ';' ORDER BY phase, op COLLATE \\\"C\\\")
			FROM report_operators WHERE run_id = '$run'")" \
		"$(sql "$TMP/$run" "SELECT group_concat(x, ';') FROM (SELECT concat AS x FROM (SELECT k.phase || ' ' || t.op || ' ' ||
			count(*) || ' ' || sum(o.end_ns - o.begin_ns) || ' ' || sum(o.wait_ns) AS concat, k.phase, t.op FROM op o
			JOIN tensor t ON t.id = o.tensor_id JOIN token k ON k.id = o.token_id GROUP BY k.phase, t.op)
			ORDER BY phase, op)")"
	assert_eq "$run, workers" "$(ask "SELECT sum(compute_ns) FROM report_workers WHERE run_id = '$run'")" \
		"$(jq '[.threads[].compute_ns] | add' "$TMP/report")"
	assert_eq "$run, culprits" \
		"$(ask "SELECT string_agg(concat_ws(' ', by_comm, by_tid, times, total_ns, longest_ns), ';' ORDER BY by_tid)
			FROM report_culprits WHERE run_id = '$run' AND by_comm IS NOT NULL")" \
		"$(jq -r '[.culprits[] | select(.tid)] | sort_by(.tid) | map("\(.task) \(.tid) \(.times) \(.total_ns) \(.longest_ns)") |
			join(";")' "$TMP/report")"
done
