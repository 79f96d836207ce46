#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Plugins: what they count of the made engine equals the engine's own account; the shipped ones on
# Debian's llama.cpp; messages; loading and unloading from the prompt.
. "$(dirname "$0")/lib.sh"
need_bpf

cat >"$TMP/calls.c" <<'EOF'
// llmprobe: about decode calls and operators
// llmprobe: uprobe libllama.so*:llama_decode -> on_decode
// llmprobe: uretprobe libllama.so*:llama_decode -> on_decoded
// llmprobe: engine op:begin(name, ith) -> on_op
#include <uapi/linux/ptrace.h>
enum side { ENTRY = 1, RETURN };
struct part { u16 low, high; };
struct event { u64 ts; u32 pid, tid; char comm[16]; enum side side; struct part part; };
struct op_key { char name[32]; u32 ith; };
BPF_HASH(calls, u32);
BPF_HASH(ops, struct op_key);
BPF_HASH(small, u32, u64, 2);
BPF_HISTOGRAM(tokens);
BPF_PERF_OUTPUT(perf);
BPF_RINGBUF_OUTPUT(ring, 8);
int on_decode(struct pt_regs *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	struct event e = {.ts = bpf_ktime_get_ns(), .pid = id >> 32, .tid = id, .side = ENTRY};
	u32 key = id, n = e.ts & 0xfff;

	e.part.high = 7;
	bpf_get_current_comm(&e.comm, sizeof(e.comm));
	calls.increment(key);
	small.update(&n, &e.ts);
	tokens.increment(bpf_log2l(5));
	perf.perf_submit(ctx, &e, sizeof(e));
	return 0;
}
int on_decoded(struct pt_regs *ctx)
{
	struct event *e = ring.ringbuf_reserve(sizeof(*e));

	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	e->ts = bpf_ktime_get_ns();
	e->side = RETURN;
	ring.ringbuf_submit(e, 0);
	return 0;
}
static int on_op(struct pt_regs *ctx, u64 name, u64 ith)
{
	struct op_key k = {.ith = ith};

	bpf_probe_read_user_str(k.name, sizeof(k.name), (void *)name);
	ops.increment(k);
	return 0;
}
EOF
run=$TMP/run.llmp
llmprobe record --plugin "$TMP/calls.c" --levels token --force -o "$run" -- \
	"$BUILD/tests/fake/fake_engine" --decodes 41 --spin 20000 >"$TMP/out" || fail record
# The engine's account comes first, the tables behind it.
sed '/^calls\./,$d' "$TMP/out" >"$TMP/account"
said() { jq -r "$1" "$TMP/account"; }
rows() { sql "$run" "SELECT $1 FROM plugin WHERE plugin = 'calls' AND $2"; }
assert_eq "decode calls counted" "$(rows "json_extract(json, '\$.value')" "map = 'calls'")" "$(said .decodes)"
assert_eq "entries by perf buffer" "$(rows 'count(*)' "map = 'perf'")" "$(said .decodes)"
assert_eq "returns by ring buffer" "$(rows 'count(*)' "map = 'ring'")" "$(said .decodes)"
assert_eq "an entry's members" "$(rows "DISTINCT (json_extract(json, '\$.side')) || (json_extract(json, '\$.part.high')) ||
	(json_extract(json, '\$.comm'))" "map = 'perf'")" ENTRY7fake_engine
assert_eq "pid and time of an entry are columns" "$(rows "count(*)" "map = 'perf' AND pid = $(said .pid)
	AND at_ns = json_extract(json, '\$.ts')")" "$(said .decodes)"
assert_eq "a return's side" "$(rows "DISTINCT json_extract(json, '\$.side')" "map = 'ring'")" RETURN
assert_eq "operators" "$(rows "sum(json_extract(json, '\$.value'))" "map = 'ops'")" \
	"$(said '[.threads[] | .ops + .fused] | add')"
assert_eq "operators of thread 1" "$(rows "sum(json_extract(json, '\$.value'))" "map = 'ops' AND
	json_extract(json, '\$.key.ith') = 1")" "$(said '.threads[1] | .ops + .fused')"
assert_eq "a full table is counted" "$(sql "$run" "SELECT lost > 0 FROM loss
	WHERE buffer = 'calls.full tables'")" 1
assert_match "a histogram" "$(cat "$TMP/out")" '4 -> 7 +: 41 +\|\*{40}\|'
assert_match "columns" "$(cat "$TMP/out")" '^  name +ith  value$'

echo 'int uprobe__nothing_such(void *ctx) { return 0; }' >"$TMP/nowhere.c"
llmprobe record --plugin "$TMP/nowhere.c" --levels token --force -o "$run" -- \
	"$BUILD/tests/fake/fake_engine" --decodes 1 >"$TMP/out" || fail "record nowhere"
assert_match "a function that is nowhere" "$(cat "$TMP/stderr")" \
	"nowhere: uprobe__nothing_such was never run: no function nothing_such in the target's files"

cat >"$TMP/broken.c" <<'EOF'
// llmprobe: uprobe libllama.so*:llama_decode -> on_decode
int on_decode(struct pt_regs *ctx)
{
	return nothing_such;
}
EOF
try() { # PLUGIN
	expect_exit 1 record --plugin "$1" --force -o "$run" -- "$BUILD/tests/fake/fake_engine" --decodes 1
}
try "$TMP/broken.c"
assert_match "clang's message" "$(cat "$TMP/stderr")" "broken.c:4:9: error: use of undeclared identifier"
sed 's/uprobe/uprob/' "$TMP/broken.c" >"$TMP/word.c"
try "$TMP/word.c"
assert_match "a header's mistake" "$(cat "$TMP/stderr")" "word.c:1:14: error: .*did you mean 'uprobe'"
sed 's/-> on_decode/-> on_decod/;s/nothing_such/0/' "$TMP/broken.c" >"$TMP/name.c"
try "$TMP/name.c"
assert_match "no such function" "$(cat "$TMP/stderr")" "name.c:1:.*did you mean 'on_decode'"
sed 's/nothing_such/0/;s/^int on/#include <no\/such.h>\n&/' "$TMP/broken.c" >"$TMP/header.c"
try "$TMP/header.c"
assert_match "no such header" "$(cat "$TMP/stderr")" "header.c:2:1[01]: (fatal )?error: .*no/such.h"
sed 's/nothing_such/0/;s/uprobe [^ ]*/tracepoint syscalls:nosuch/' "$TMP/broken.c" >"$TMP/event.c"
try "$TMP/event.c"
assert_match "no such tracepoint" "$(cat "$TMP/stderr")" "event.c:1:14: error: tracepoint syscalls:nosuch: "
try "$TMP/absent.c"
assert_match "no such file" "$(cat "$TMP/stderr")" "cannot read the plugin"

start "$BUILD/tests/fake/fake_engine" --decodes 100000 --spin 50000
printf 'target: {pid: %d}\nlevels: {token: false, graph: false, operator: false, scheduler: false}\n' \
	"$PID" >"$TMP/config.yaml"
sleep 0.3
printf '%s\n' "load $TMP/calls.c" 'wait 500ms' status maps 'disable calls' 'wait 200ms' status quit |
	llmprobe -c "$TMP/config.yaml" >"$TMP/repl" || fail "prompt: $(cat "$TMP/repl")"
assert_match "records are printed by type" "$(cat "$TMP/repl")" \
	'^calls.perf \{ts = [0-9]+, pid = [0-9]+, tid = [0-9]+, comm = fake_engine, side = ENTRY, part = \{low = 0, high = 7\}\}'
assert_match "status" "$(cat "$TMP/repl")" '^calls +on +[1-9]'
assert_match "maps" "$(cat "$TMP/repl")" '^calls.ops: hash, [0-9]+ of 10240 entries'
assert_match "off" "$(cat "$TMP/repl")" '^calls +off +0 '

debian_engine
model tiny
for plugin in kvfault iolat mmaps; do
	llmprobe record --plugin "$plugin" --levels token --force -o "$run" -- "${IN_ROOT[@]}" \
		/usr/bin/llama-bench -m "$MODEL_IN" -r 1 -t 2 -p 8 -n 16 --no-warmup >"$TMP/out" ||
		fail "record --plugin $plugin"
	assert_match "$plugin" "$(cat "$TMP/out")" "^$plugin\.[a-z]+: "
	assert_eq "$plugin: lost" "$(sql "$run" "SELECT coalesce(sum(lost), 0) FROM loss
		WHERE level = 'plugin'")" 0
	case $plugin in
	kvfault) assert_ge "faults inside operators" "$(sql "$run" "SELECT coalesce(sum(json_extract(json, '\$.value')), 0)
		FROM plugin WHERE json_extract(json, '\$.key.op') <> '-'")" 1 ;;
	iolat) assert_ge "bytes read" "$(sql "$run" "SELECT sum(json_extract(json, '\$.value.bytes')) FROM plugin
		WHERE map = 'total'")" 1000 ;;
	mmaps) assert_eq "mmap records and their count" "$(sql "$run" "SELECT count(*) FROM plugin
		WHERE map = 'calls' AND json_extract(json, '\$.call') = 'mmap'")" "$(sql "$run" "SELECT
		json_extract(json, '\$.value.calls') FROM plugin WHERE map = 'total' AND json_extract(json, '\$.key.call') = 'mmap'")" ;;
	esac
done
