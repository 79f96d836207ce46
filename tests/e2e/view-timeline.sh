#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command line of timeline and dag, and the trace of a whole run decoded with protoc.
. "$(dirname "$0")/lib.sh"

need_build
command -v protoc >/dev/null || apt-get install -y protobuf-compiler >/dev/null 2>&1
command -v protoc >/dev/null || skip "no protoc here, and it cannot be installed"
command -v python3 >/dev/null || skip "needs python3 to unpack the packets"
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

# Compressed packets hold packets: unpack them and decode the whole.
python3 - "$TMP/t.pftrace" "$TMP/t.raw" <<'PY' || fail "the file is not made of compressed packets"
import sys, zlib
data = open(sys.argv[1], "rb").read()
def varint(at):
    value = shift = 0
    while True:
        byte = data[at]; at += 1
        value |= (byte & 0x7f) << shift; shift += 7
        if byte < 0x80: return value, at
at, out = 0, b""
while at < len(data):
    assert data[at] == 0x0a
    length, at = varint(at + 1)
    end = at + length
    key, at = varint(at)
    assert key == 50 << 3 | 2
    length, at = varint(at)
    assert at + length == end
    out += zlib.decompress(data[at:end])
    at = end
open(sys.argv[2], "wb").write(out)
PY
protoc --proto_path="$TOP/tests/proto" --decode=llmprobe.perfetto.Trace perfetto.proto <"$TMP/t.raw" \
	>"$TMP/t.txt" || fail "protoc cannot decode the trace"
grep -qE '^ *[0-9]+:' "$TMP/t.txt" && fail "the trace has fields that are not in the .proto"
slices=$(sql "$run" "SELECT (SELECT count(*) FROM op) + (SELECT count(*) FROM op WHERE wait_ns > 0) +
	(SELECT count(*) FROM token) + (SELECT count(*) FROM graph) + (SELECT count(*) FROM call)")
assert_eq "slices begun" "$(grep -c 'type: SLICE_BEGIN' "$TMP/t.txt")" "$slices"
assert_eq "slices ended" "$(grep -c 'type: SLICE_END' "$TMP/t.txt")" "$slices"
assert_eq "switches to target threads" \
	"$(grep -cE "next_pid: ($(sql "$run" "SELECT group_concat(tid, '|') FROM thread"))\$" "$TMP/t.txt")" \
	"$(sql "$run" "SELECT count(*) FROM sched WHERE state = 'running' AND cpu IS NOT NULL")"
assert_eq "the culprit is there" \
	"$(grep -c 'next_comm: "busyloop"' "$TMP/t.txt")" \
	"$(sql "$run" "SELECT count(*) FROM sched WHERE by_comm = 'busyloop'")"
assert_eq "operator events in JSON" \
	"$(jq '[.traceEvents[] | select(.args.op_row)] | length' "$TMP/t.json")" \
	"$(sql "$run" "SELECT count(*) FROM op")"

expect_exit 0 timeline --levels token --to 10ms --format json "$run"
assert_eq "only token slices" "$(jq -r '[.traceEvents[] | select(.ph == "X").cat] | unique | join(",")' \
	"$TMP/stdout")" token
expect_exit 2 timeline --levels tokens "$run"
assert_match "unknown level" "$(cat "$TMP/stderr")" 'did you mean token'
expect_exit 2 timeline --from 2s --to 1s -o "$TMP/x" "$run"

expect_exit 0 dag "$run"
assert_match "DOT" "$(cat "$TMP/stdout")" 'layers 0-1 \(2 alike\)'
expect_exit 0 dag --layers 1 --fold none --colour-by cycles "$run"
assert_match "one layer" "$(cat "$TMP/stdout")" 'label="layer 1"'
expect_exit 2 dag --colour-by nonsense "$run"
expect_exit 2 dag --format gif "$run"
