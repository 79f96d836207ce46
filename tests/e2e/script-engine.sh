#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Engine probes of scripts: what the made engine says it did, and what a recording says.
. "$(dirname "$0")/lib.sh"
need_bpf

fake="$BUILD/tests/fake/fake_engine --decodes 11 --spin 20000"
run() { # PROGRAM or FILE
	llmprobe script -q "$@" -c "$fake" >"$TMP/out" || fail "script: $(cat "$TMP/out")"
}
said() { # JQ: of the engine's own account, which comes first
	sed '/"pid": [0-9]*}$/q' "$TMP/out" | jq -r "$1"
}
value() { # KEY
	awk -v k="$1:" 'index($0, k) == 1 {print $NF}' "$TMP/out"
}

run -e 'token:end { @n = count(); @t = sum(args.n_tokens); @p[args.phase] = count(); }'
assert_eq "token calls" "$(value @n)" 11
assert_eq "tokens" "$(value @t)" 17
assert_eq "decodes" "$(value '@p[decode]')" 10
run -e 'op:begin { @[args.op] = count(); }'
assert_eq "products begun" "$(value '@[MUL_MAT]')" 286
run -e 'op:end { @[args.op] = count(); @by[args.thread_index] = count();
	@own = sum(args.tid == tid && args.thread_index == 1); }'
assert_eq "products ended" "$(value '@[MUL_MAT]')" 286
assert_eq "additions ended" "$(value '@[ADD]')" 132
# The last operator of a graph is seen at the graph's end, by the thread that leads it.
for worker in 0 1; do
	assert_eq "operators of worker $worker" "$(value "@by[$worker]")" \
		"$(said ".threads[$worker] | .ops + .fused")"
done
assert_eq "operators seen by worker 1 itself" "$(value @own)" $(($(value '@by[1]') - 11))
run -e 'op:ROPE:end { @f = count(); } op:Qcur*:begin { @q[args.name] = count(); }
	op:MUL_MAT:Qcur-0:end { @both = count(); }'
assert_eq "ROPE by filter" "$(value @f)" 66
assert_eq "tensor by filter" "$(value '@q[Qcur-1]')" 44
assert_eq "operator and tensor by filter" "$(value @both)" 22
run -e 'graph:end { @[args.backend] = sum(args.n_nodes); }'
assert_eq "nodes of the backend that the GUID names" "$(value '@[CPU]')" $((11 * 37))
run -e 'sched:wakeup { @w[args.tid] = count(); } sched:offcpu { @o[args.tid] = sum(args.dur_ns > 0); }'
assert_ge "wake-ups of the worker" "$(value "@w[$(said '.threads[1].tid')]")" 1
assert_ge "switches back to the worker" "$(value "@o[$(said '.threads[1].tid')]")" 1
fake="$fake --moe"
run -e 'expert:select { @[args.expert] = count(); @n[args.name] = count(); @p[args.phase] = count(); }'
for expert in 0 1 57; do
	assert_eq "tokens of expert $expert" "$(value "@[$expert]")" \
		"$(said "[.experts[][$expert]] | add | if . == 0 then \"\" else . end")"
done
assert_eq "experts chosen in the prompt" "$(value '@p[prefill]')" $((7 * 4 * 3))
assert_eq "experts chosen in a layer" "$(value '@n[ffn_moe_up-1]')" $((17 * 4))
fake=${fake% --moe}

# What cannot be attached is said, and is no success.
expect_exit 1 script -q -e 'op:end { @ = count(); }' -c /bin/true
assert_match "no engine" "$(cat "$TMP/stderr")" 'nothing to attach op probes to'
assert_match "why" "$(cat "$TMP/stderr")" 'no mapped file belongs to an engine with operator points'
expect_exit 1 script -q -e 'op:MULMAT:end { @ = count(); }' -c "$fake"
assert_match "no such operator" "$(cat "$TMP/stderr")" "no operator 'MULMAT'; did you mean 'MUL_MAT'"

# A running engine: begin probes and timers start with the events, however long the search took.
start "$BUILD/tests/fake/fake_engine" --decodes 10000000 --spin 20000
for target in "-p $PID" "--exe $BUILD/tests/fake/fake_engine"; do
	# shellcheck disable=SC2086
	llmprobe script -q $target -e 'begin { @t = nsecs; } op:end { @n++; if (@n == 1) {
		printf("first %d\n", (nsecs - @t) / 1000000); } } interval:ms:300 { exit(); }' >"$TMP/out" ||
		fail "script $target"
	assert_ge "operators with $target" "$(value @n)" 10
	assert_ge "ms that begin and the first operator may lie apart" 250 \
		"$(sed -n 's/^first //p' "$TMP/out")"
done
kill "$PID"

for script in op-latency matmul-size token-times; do
	run "$TOP/scripts/$script.bt"
	[ -s "$TMP/out" ] || fail "$script printed nothing"
done
assert_eq "rows of token-times" "$(grep -c 'tokens.*us$' "$TMP/out")" 11

# The same script on Debian's llama.cpp, whose backend is loaded late, against a recording.
debian_engine
model tiny
bench="${IN_ROOT[*]} /usr/bin/llama-bench -m $MODEL_IN -t 2 -p 8 -n 16 -r 1 --no-warmup"
llmprobe script -q -e 'op:end { @[args.op] = count(); @ops++; } graph:end { @graphs[args.backend] = count(); }
	token:end { @tokens = count(); }' -c "$bench" >"$TMP/out" || fail "Debian's engine"
# shellcheck disable=SC2086
llmprobe record --force --levels token,graph,operator -o "$TMP/run.llmp" -- $bench >/dev/null || fail record
for pair in '@graphs[CPU] graph' '@tokens token'; do
	assert_eq "${pair% *} and the recording" "$(value "${pair% *}")" \
		"$(sql "$TMP/run.llmp" "SELECT count(*) FROM ${pair#* }")"
done
assert_eq "products and the recording" "$(value '@[MUL_MAT]')" "$(sql "$TMP/run.llmp" \
	"SELECT count(*) FROM op JOIN tensor ON tensor.id = tensor_id WHERE tensor.op = 'MUL_MAT'")"
model moe
bench="${IN_ROOT[*]} /usr/bin/llama-bench -m $MODEL_IN -t 2 -p 8 -n 16 -r 1 --no-warmup"
llmprobe script -q -e 'expert:select { @n = count(); } op:end { @ops = count(); }' -c "$bench" >"$TMP/out" ||
	fail "experts of Debian's engine"
# shellcheck disable=SC2086
llmprobe record --force --levels token,operator -o "$TMP/run.llmp" -- $bench >/dev/null || fail record
assert_eq "experts and the recording" "$(value @n)" "$(sql "$TMP/run.llmp" 'SELECT count(*) FROM expert')"
assert_eq "operators and the recording" "$(value @ops)" "$(sql "$TMP/run.llmp" 'SELECT count(*) FROM op')"

# One script, engines of all ages.
model tiny
for version in 3.1.1 3.12.0 3.18.1; do
	npm_engine "$version"
	drive="$BUILD/tests/ggml_drive -p 8 -n 16 $LIBLLAMA $MODEL"
	llmprobe script -q -e 'op:end { @ops = count(); } graph:end { @graphs = count(); }
		token:end { @tokens = count(); }' -c "$drive" >"$TMP/out" || fail "$version"
	# shellcheck disable=SC2086
	llmprobe record --force --levels token,graph,operator -o "$TMP/run.llmp" -- $drive >/dev/null ||
		fail "$version: record"
	for level in op graph token; do
		assert_eq "$version: $level events and the recording" "$(value "@${level}s")" \
			"$(sql "$TMP/run.llmp" "SELECT count(*) FROM $level")"
	done
done
