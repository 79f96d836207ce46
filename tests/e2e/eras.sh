#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# llama.cpp of many ages: all compute the same tokens from the same model, and all are recorded at every
# level without being told what they are. Every graph and operator (name, kind, type, shape, order) is
# held against what the engine's own public functions tell of the same graphs.
. "$(dirname "$0")/lib.sh"
need_bpf

drive=$BUILD/tests/ggml_drive
[ -x "$drive" ] || fail "$drive is missing: tests/run build"
run=$TMP/run.llmp
model tiny

first=
same_tokens() { # NAME OUTPUT
	assert_eq "$1: decodes" "$(jq .decodes <<<"$2")" 17
	assert_eq "$1: last token" "$(jq .last <<<"$2")" "${first:=$(jq .last <<<"$2")}"
}

DRIVE=("$drive")
while read -r version _ options; do
	npm_engine "$version"
	same_tokens "$version" "$("$drive" -g -p 8 -n 16 "$LIBLLAMA" "$MODEL")"
	nodes
	record_drive "$version" "$run" "$LIBLLAMA" "$MODEL"
	# shellcheck disable=SC2086
	assert_nodes "$version" "$run" $options
done < <(grep -v '^#' "$ENGINES/nodes/eras")

debian_engine
nodes "$ROOT"
cp "$drive" "$ROOT$TMP/"
DRIVE=("${IN_ROOT[@]}" "$TMP/ggml_drive")
same_tokens Debian "$(in_root "$TMP/ggml_drive" -g -p 8 -n 16 libllama.so.0 "$MODEL_IN")"
record_drive Debian "$run" libllama.so.0 "$MODEL_IN"
assert_nodes Debian "$run" --skips-views --fuses
# Without fusion the same graphs give more rows, each as computed.
nodes "$ROOT"
export GGML_CPU_DISABLE_FUSION=1
record_drive "Debian, not fused" "$run" libllama.so.0 "$MODEL_IN"
assert_nodes "Debian, not fused" "$run" --skips-views
