#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command line of timeline and dag; the traces of a made run and of a real one imported as a trace
# processor does it.
. "$(dirname "$0")/lib.sh"

need_build
command -v protoc >/dev/null || skip_unless_ci "needs the package protobuf-compiler"
command -v python3 >/dev/null || skip_unless_ci "needs the package python3"
"$BUILD/tests/run_make" --layers 2 --decodes 50 --threads 3 --moe --sched --counters \
	"$TMP/a.llmp.spool" >/dev/null || fail "run_make"
expect_exit 0 export "$TMP/a.llmp"
run=$TMP/a.llmp
expect_exit 0 timeline -o "$TMP/t.pftrace" "$run"
assert_match "the size is stated" "$(cat "$TMP/stderr")" 'slices.*before compression'
expect_exit 1 timeline -o "$TMP/t.pftrace" "$run"
assert_match "existing file" "$(cat "$TMP/stderr")" 'exists.*--force'
expect_exit 0 timeline -f -o "$TMP/t.pftrace" "$run"
expect_exit 0 timeline --format json -o "$TMP/t.json" "$run"

# Everything a trace processor would refuse or count as an error, and every row of the run.
import_trace() { # TRACE RUN [LEVEL...]
	python3 "$TOP/tests/e2e/perfetto_import.py" "$@" || fail "$1 does not import without an error"
}
import_trace "$TMP/t.pftrace" "$run"
assert_ge "the culprit is there" "$(jq '[.traceEvents[] | select(.cat == "sched" and .name == "busyloop")] | length' \
	"$TMP/t.json")" "$(sql "$run" "SELECT count(*) FROM sched WHERE by_comm = 'busyloop'")"
assert_eq "operator events in JSON" \
	"$(jq '[.traceEvents[] | select(.args.op_row)] | length' "$TMP/t.json")" \
	"$(sql "$run" "SELECT count(*) FROM op")"

expect_exit 0 timeline --levels token --to 10ms --format json "$run"
assert_eq "only token slices" "$(jq -r '[.traceEvents[] | select(.ph == "X").cat] | unique | join(",")' \
	"$TMP/stdout")" token
"$BUILD/tests/run_make" --decodes 3 "$TMP/bare.llmp.spool" >/dev/null || fail "run_make"
expect_exit 0 export "$TMP/bare.llmp"
expect_exit 0 timeline -o "$TMP/bare.pftrace" "$TMP/bare.llmp"
assert_match "a level that is missing" "$(cat "$TMP/stderr")" 'nothing of these levels.*: scheduler$'
import_trace "$TMP/bare.pftrace" "$TMP/bare.llmp"
expect_exit 2 timeline --levels tokens "$run"
assert_match "unknown level" "$(cat "$TMP/stderr")" 'did you mean token'
expect_exit 2 timeline --from 2s --to 1s -o "$TMP/x" "$run"

expect_exit 0 dag "$run"
assert_match "DOT" "$(cat "$TMP/stdout")" 'layers 0-1 \(2 alike\)'
expect_exit 0 dag --layers 1 --fold none --colour-by cycles "$run"
assert_match "one layer" "$(cat "$TMP/stdout")" 'label="layer 1[\"\\]'
expect_exit 2 dag --colour-by nonsense "$run"
expect_exit 2 dag --format gif "$run"
expect_exit 2 dag -o "$TMP/picture.png" "$run"
expect_exit 1 dag --layers 9 "$run"
expect_exit 2 timeline --from 1h -f -o "$TMP/x" "$run"
assert_match "a range after the end" "$(cat "$TMP/stderr")" 'the run ends after [0-9.]+ m?s'

need_bpf
debian_engine
model moe
real=$TMP/real.llmp
llmprobe record -o "$real" --levels all --pmc task-clock,page-faults -- "${IN_ROOT[@]}" /usr/bin/llama-bench \
	-m "$MODEL_IN" -t 3 -p 8 -n 8 -r 1 >"$TMP/bench" || fail "record: $(cat "$TMP/stderr")"
expect_exit 0 timeline -o "$TMP/real.pftrace" "$real"
import_trace "$TMP/real.pftrace" "$real"
expect_exit 0 timeline -f --from 5ms --to 30ms -o "$TMP/part.pftrace" "$real"
import_trace "$TMP/part.pftrace"
expect_exit 0 timeline -f --levels scheduler,token -o "$TMP/real.pftrace" "$real"
import_trace "$TMP/real.pftrace" "$real" scheduler token
