#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Experts of a mixture model in llama.cpp of many ages: each choice is held against what the engine's
# own public functions read from the same tensors, in another run on the same tokens that computes node
# by node. Operators and graphs as in eras.sh.
. "$(dirname "$0")/lib.sh"
need_bpf

drive=$BUILD/tests/ggml_drive
[ -x "$drive" ] || fail "$drive is missing: tests/run build"
run=$TMP/run.llmp

# check NAME LIBLLAMA MODEL OPTIONS...
check() {
	local name=$1 lib=$2 model=$3
	shift 3
	record_drive "$name" "$run" "$lib" "$model"
	assert_nodes "$name" "$run" "$@"
	rm "$NODES_LOG"
	env "${NODES[@]}" NODES_EXPERTS=1 "${DRIVE[@]}" -p 8 -n 16 "$lib" "$model" >"$TMP/out" ||
		fail "$name: $(cat "$TMP/out")"
	assert_nodes "$name" "$run" --experts
	# One choice per layer and token, not one per matrix of the experts.
	assert_eq "$name: choices per call and layer" "$(sql "$run" 'SELECT DISTINCT n FROM (SELECT
		count(DISTINCT o.id) AS n FROM expert e JOIN op o ON o.id = e.op_id
		JOIN tensor t ON t.id = o.tensor_id GROUP BY o.token_id, t.layer)')" 1
}

DRIVE=("$drive")
while read -r version type options; do
	npm_engine "$version"
	model moe --type "$type"
	nodes
	# shellcheck disable=SC2086
	check "$version" "$LIBLLAMA" "$MODEL" $options
done < <(grep -v '^#' "$ENGINES/nodes/eras")

debian_engine
model moe
nodes "$ROOT"
cp "$drive" "$ROOT$TMP/"
DRIVE=("${IN_ROOT[@]}" "$TMP/ggml_drive")
check Debian libllama.so.0 "$MODEL_IN" --skips-views --fuses
