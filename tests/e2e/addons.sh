#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Engines linked into one file: add-ons for node with llama.cpp of 2023 inside, and with a llama.cpp and
# a whisper.cpp that clang built, stripped. Graphs and operators are held against what the engine tells.
. "$(dirname "$0")/lib.sh"
need_bpf

run=$TMP/run.llmp
record_env() { # WHAT COMMAND...
	local what=$1
	shift
	llmprobe record --force -o "$run" -- env "${NODES[@]}" "$@" >"$TMP/out" 2>&1 ||
		fail "$what: record: $(cat "$TMP/out" "$TMP/stderr")"
	assert_eq "$what: lost" "$(sql "$run" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
}
calls() { # WHAT CALLS TOKENS
	assert_eq "$1: calls, tokens" \
		"$(sql "$run" 'SELECT count(*), sum(n_tokens) FROM token')" "$2|$3"
}

# host VERSION FOLDER INSIDE: an add-on in the program that it was made for.
host() {
	npm_package node-llama-cpp "$1"
	nodes
	[ -n "$3" ] || NODES=()
	record_env "$1" NODES_INSIDE="$3" node "$ENGINES/addon_generate.cjs" \
		"$ROOT/package/llamaBins/$2/llama-addon.node" "$MODEL" 16 2 8
	calls "$1" 17 24
}

command -v node >/dev/null || skip_unless_ci "no node to load add-ons"
model tiny
# What lies in a graph of these has no public function: the offsets are known from their source.
host 2.4.1 linux-x64-18 "80 0 8"
assert_nodes 2.4.1 "$run" --any-thread --threads 4
host 2.8.0 linux-x64 "88 0 8"
assert_nodes 2.8.0 "$run" --any-thread --threads 4
# This one says it itself, before the first graph.
host 2.8.16 linux-x64 ""
said=$(sed -n 's/.*graph nodes *= *//p' "$TMP/out")
assert_eq "2.8.16: graphs" "$(sql "$run" 'SELECT n_nodes, count(*) FROM graph GROUP BY 1')" "$said|17"
assert_eq "2.8.16: operators per call and thread" "$(sql "$run" 'SELECT DISTINCT n FROM (SELECT
	count(*) AS n FROM op GROUP BY token_id, thread_index)')" "$said"

npm_package @fugood/node-llama-linux-x64 1.7.15
for name in tiny moe; do
	model $name
	nodes
	record_env "clang, $name" "$BUILD/tests/ggml_drive" -p 8 -n 16 "$ROOT/package/index.node" "$MODEL"
	calls "clang, $name" 17 24
	# This build has one thread, whatever it is asked for.
	assert_nodes "clang, $name" "$run" --skips-views --fuses --threads 1
done

npm_package @fugood/node-whisper-linux-x64 1.1.3
whisper_model
nodes
record_env whisper "$BUILD/tests/whisper_drive" "$ROOT/package/index.node" "$MODEL" 11
assert_nodes whisper "$run" --skips-views --fuses --threads 1
assert_eq "whisper: passes" "$(sql "$run" 'SELECT group_concat(p) FROM (SELECT phase || " " || count(*) AS p
	FROM token GROUP BY phase ORDER BY 1)')" "decode 11,encode 1"
