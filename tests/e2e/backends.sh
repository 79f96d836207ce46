#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Graphs on other backends than the CPU, for real: a software rasteriser under Vulkan, and RPC with its
# server. How many nodes go to whom is known from the model: 2 layers, 71 nodes per token.
. "$(dirname "$0")/lib.sh"
need_bpf
debian_engine --vulkan --rpc
model tiny

run=$TMP/run.llmp
graphs() { # BACKEND [CONDITION]: "nodes|graphs" of it
	sql "$run" "SELECT n_nodes, count(*) FROM graph WHERE backend = '$1' ${2:-} GROUP BY n_nodes"
}

# vulkan LAYERS THREADS: 8 tokens in one decode, then 8 of one token.
vulkan() {
	nodes "$ROOT"
	VK_ICD_FILENAMES=/usr/share/vulkan/icd.d/lvp_icd.json GGML_VK_VISIBLE_DEVICES=0 HOME=/root \
		llmprobe record --force -o "$run" -- env "${NODES[@]}" "${IN_ROOT[@]}" \
		/usr/bin/llama-bench -m "$MODEL_IN" -t 2 -p 8 -n 8 -r 1 --no-warmup -ngl "$1" \
		>"$TMP/bench" || fail "record: $(cat "$TMP/stderr")"
	assert_nodes "-ngl $1" "$run" --skips-views --fuses --threads "$2"
	assert_eq "lost" "$(sql "$run" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
	assert_eq "decodes" "$(sql "$run" 'SELECT count(*) FROM token')" 9
}

vulkan 1 2
assert_eq "-ngl 1, CPU" "$(graphs CPU)" "67|9"
assert_eq "-ngl 1, Vulkan" "$(graphs Vulkan)" "4|9"
assert_ge "submissions" "$(sql "$run" "SELECT count(*) FROM call WHERE name LIKE 'vkQueueSubmit%'")" 9
# A graph that was queued ends when it was waited for, not when it was handed over.
assert_eq "Vulkan graphs closed by a wait" "$(sql "$run" "SELECT count(*) FROM graph_async a JOIN graph g
	ON g.id = a.graph_id WHERE g.backend = 'Vulkan' AND g.end_ns > a.submit_ns")" 9
assert_eq "CPU graphs closed by a wait" "$(sql "$run" "SELECT count(*) FROM graph_async a JOIN graph g
	ON g.id = a.graph_id WHERE g.backend = 'CPU'")" 0
expect_exit 0 timeline -f -o "$TMP/t.pftrace" "$run"
python3 "$TOP/tests/e2e/perfetto_import.py" "$TMP/t.pftrace" "$run" || fail "the timeline does not import"
# What is left on the CPU, one look-up of a row, takes one thread.
vulkan 99 1
assert_eq "-ngl 99, CPU" "$(graphs CPU)" "2|9"
assert_eq "-ngl 99, Vulkan" "$(graphs Vulkan)" "69|9"

# One file by clang, where the scheduler calls no function that all backends share: theirs are read from the
# scheduler before it computes, so that the first graph, the prompt, is there.
debian=$ROOT
npm_package @fugood/node-llama-linux-x64-vulkan 1.7.15
nodes "$debian"
cp "$ROOT/package/index.node" "$BUILD/tests/ggml_drive" "$debian$TMP/"
ROOT=$debian
DRIVE=(env VK_ICD_FILENAMES=/usr/share/vulkan/icd.d/lvp_icd.json GGML_VK_VISIBLE_DEVICES=0 HOME=/root
	"${IN_ROOT[@]}" "$TMP/ggml_drive")
record_drive "clang, Vulkan" "$run" "$TMP/index.node" "$MODEL_IN"
assert_nodes "clang, Vulkan" "$run" --skips-views --fuses --threads 1
assert_eq "clang, CPU" "$(graphs CPU)" "1|17"
assert_eq "clang, Vulkan" "$(graphs Vulkan)" "67|17"

# Client and server below one shell, both recorded.
cat >"$TMP/both.sh" <<'SH'
root=$1 model=$2 port=$3
chroot "$root" /usr/libexec/x86_64-linux-gnu/llama/bin/ggml-rpc-server -H 127.0.0.1 -p "$port" -t 1 &
server=$!
for _ in $(seq 150); do
	(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
	sleep 0.2
done
chroot "$root" /usr/bin/llama-bench -m "$model" -t 2 -p 8 -n 8 -r 1 --no-warmup -ngl 99 \
	--rpc "127.0.0.1:$port"
kill $server
SH
nodes "$ROOT"
llmprobe record --force -o "$run" -- env "${NODES[@]}" bash "$TMP/both.sh" "$ROOT" "$MODEL_IN" \
	$((20000 + $$ % 20000)) >"$TMP/bench" 2>&1 || fail "record: $(cat "$TMP/stderr")"
assert_nodes "RPC client" "$run" --skips-views --fuses --threads 1
client=$(sql "$run" 'SELECT DISTINCT pid FROM token')
assert_eq "client, CPU" "$(graphs CPU "AND pid = $client")" "2|9"
assert_eq "client, RPC" "$(graphs RPC "AND pid = $client")" "69|9"
assert_eq "server, CPU" "$(graphs CPU "AND pid <> $client")" "69|9"
assert_eq "lost" "$(sql "$run" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
# Several processes, some of them short-lived.
expect_exit 0 timeline -f -o "$TMP/t.pftrace" "$run"
python3 "$TOP/tests/e2e/perfetto_import.py" "$TMP/t.pftrace" "$run" || fail "the timeline does not import"
