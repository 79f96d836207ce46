#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Processes in all shapes: several copies of ggml in one, several contexts and models, fork without exec,
# exec by the traced process itself, other mount and pid namespaces, and a start after llmprobe's own.
. "$(dirname "$0")/lib.sh"
need_bpf
debian_engine
npm_engine 3.22.1
LIBRARY=$LIBLLAMA
model tiny
TINY=$MODEL
model moe
MOE=$MODEL
fake=$BUILD/tests/fake/fake_engine
drive=$BUILD/tests/ggml_drive
run=$TMP/run.llmp

# rows QUERY: of the last recording
rows() {
	sql "$run" "$1"
}
no_loss() {
	assert_eq "$1: lost" "$(rows 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
	assert_eq "$1: operators without a tensor" "$(rows "SELECT count(*) FROM op o LEFT JOIN tensor t
		ON t.id = o.tensor_id WHERE coalesce(t.name, '') = ''")" 0
}

# Two engines of different age in one process, both with functions of the same names.
npm_package node-llama-cpp 2.4.1
addons=$ROOT/package/llamaBins/linux-x64-18/llama-addon.node
npm_package node-llama-cpp 2.8.0
addons=$addons,$ROOT/package/llamaBins/linux-x64/llama-addon.node
llmprobe record --force -o "$run" -- node "$ENGINES/addon_generate.cjs" "$addons" "$TINY" 16 2 8 \
	>"$TMP/out" 2>&1 || fail "record: $(cat "$TMP/out")"
no_loss "two copies"
assert_eq "two copies: calls, processes" "$(rows 'SELECT count(*), count(DISTINCT pid) FROM token')" "34|1"
assert_eq "two copies: graphs" "$(rows 'SELECT n_nodes, count(*) FROM graph GROUP BY 1')" "74|34"
# The first names its output of the embedding otherwise than the second.
assert_eq "two copies: each read with its own layout" "$(rows "SELECT t.name, count(DISTINCT o.token_id)
	FROM op o JOIN tensor t ON t.id = o.tensor_id WHERE t.op = 'GET_ROWS' GROUP BY 1 ORDER BY 1" |
	paste -sd' ')" "inp_embd|17 layer_inp_0|17"

# Two contexts of one model; then two models, as draft and target of speculative decoding are.
llmprobe record --force -o "$run" -- "$drive" -c 2 -p 8 -n 16 "$LIBRARY" "$TINY" >"$TMP/out" ||
	fail "two contexts: $(cat "$TMP/stderr")"
no_loss "two contexts"
assert_eq "two contexts" "$(rows 'SELECT count(*), sum(n_tokens) FROM token GROUP BY context' |
	paste -sd' ')" "17|24 17|24"
llmprobe record --force -o "$run" -- "$drive" -d "$TINY" -p 8 -n 16 "$LIBRARY" "$MOE" >"$TMP/out" ||
	fail "draft and target: $(cat "$TMP/stderr")"
no_loss "draft and target"
assert_eq "draft and target: calls, width of the model" "$(rows "SELECT count(*), w FROM (SELECT DISTINCT
	k.id, k.context, t.ne0 AS w FROM token k JOIN op o ON o.token_id = k.id
	JOIN tensor t ON t.id = o.tensor_id WHERE t.op = 'GET_ROWS' AND t.name = 'embd')
	GROUP BY context ORDER BY w" | paste -sd' ')" "16|64 17|256"

# A child that goes on where its parent left off, without an exec.
llmprobe record --force -o "$run" -- "$drive" -f -t 1 -p 8 -n 16 "$LIBRARY" "$TINY" >"$TMP/out" ||
	fail "fork: $(cat "$TMP/stderr")"
no_loss "fork"
assert_eq "fork: calls" "$(rows 'SELECT count(*), count(DISTINCT pid) FROM token')" "17|1"
assert_eq "fork: the parent's own calls" "$(rows "SELECT count(*) FROM token WHERE pid = (SELECT value
	FROM run WHERE key = 'pid')")" 0

# A process that becomes an engine after it was attached to.
start sh -c "$fake -d 1000 -P 3000 & sleep 2; exec $fake -d 53 -w 1000"
shell=$PID
child() {
	grep -q libllama "/proc/$(cut -d' ' -f1 "/proc/$shell/task/$shell/children")/maps" 2>/dev/null
}
wait_for 10 child
expect_exit 0 record --force -o "$run" -p "$shell"
assert_eq "exec: calls" "$(rows "SELECT count(*) FROM token WHERE pid = $shell")" 53
assert_eq "exec: processes" "$(rows 'SELECT count(DISTINCT pid) FROM token')" 2

# Namespaces of its own: the files exist on a file system that nobody else sees, and ids are others.
mkdir -p "$TMP/hidden"
cat >"$TMP/inside.sh" <<SH
mount -t tmpfs none "$TMP/hidden" && cp "$BUILD/tests/fake/"* "$TMP/hidden/" || exit 1
echo "\$\$" >"$TMP/inside.pid"
exec "$TMP/hidden/fake_engine" -d \$1 -w \$2 -P 1000
SH
expect_exit 0 record --force -o "$run" -- unshare -m -p -f --mount-proc sh "$TMP/inside.sh" 53 0
no_loss "namespaces, command"
assert_eq "namespaces, command: calls" "$(rows 'SELECT count(*) FROM token')" 53
assert_eq "the engine's own pid" "$(cat "$TMP/inside.pid")" 1
start unshare -m -p -f --mount-proc sh "$TMP/inside.sh" 100000 0
outer=$PID
engine() {
	inner=$(cut -d' ' -f1 "/proc/$outer/task/$outer/children") && [ -n "$inner" ] &&
		grep -q libllama "/proc/$inner/maps"
}
wait_for 20 engine
[ ! -e "$TMP/hidden/fake_engine" ] || fail "the engine's files can be seen from here"
expect_exit 0 record --force -o "$run" -p "$inner" --duration 400ms
assert_eq "namespaces, pid: processes" "$(rows 'SELECT DISTINCT pid FROM token')" "$inner"
assert_ge "namespaces, pid: operators" "$(rows 'SELECT count(*) FROM op')" 100
kill -KILL "$inner"

# Nobody runs it yet, then two do, one after the other, and one that was something else before.
cp "$BUILD/tests/fake/"* "$TMP/"
start "$LLMPROBE" record --force -o "$run" --exe "$TMP/fake_engine"
recorder=$PID
wait_for 10 grep -q 'nobody runs .* waiting' "$TMP/start.$((${#PIDS[@]} - 1))"
start "$TMP/fake_engine" -d 53 -w 1500
first=$PID
start sh -c "sleep 1; exec $TMP/fake_engine -d 59 -w 1500"
second=$PID
"$fake" -d 11 -w 10 >/dev/null # another file
wait "$first" "$second"
wait "$recorder" || fail "record --exe: $(cat "$TMP"/start.*)"
assert_eq "started later" "$(rows 'SELECT count(*) FROM token GROUP BY pid ORDER BY 1' | paste -sd' ')" \
	"53 59"
no_loss "started later"

# Probes of processes that have ended are given back: descriptors for a few are enough for many.
(
	ulimit -n 200
	llmprobe record --force -o "$run" -- sh -c "i=0; while [ \$((i += 1)) -le 20 ]; do $fake -d 53; done"
) >"$TMP/out" || fail "many processes: $(cat "$TMP/stderr")"
assert_eq "many processes: calls of each" "$(rows 'SELECT count(*), min(n), max(n) FROM (SELECT count(*) AS n
	FROM token GROUP BY pid)')" "20|53|53"
no_loss "many processes"
(
	ulimit -n 80
	llmprobe -q -e 'token:end { @[pid] = count(); }' -c "sh -c 'i=0; while [ \$((i += 1)) -le 20 ]; do $fake -d 53; done'"
) >"$TMP/out" || fail "many processes of a script: $(cat "$TMP/stderr")"
assert_eq "many processes of a script: calls of each" "$(grep -c '^@\[[0-9]*\]: 53$' "$TMP/out")" 20
