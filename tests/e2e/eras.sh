#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# llama.cpp of seven ages: all compute the same tokens from the same model, and all are recorded at
# every level without being told what they are.
. "$(dirname "$0")/lib.sh"
need_bpf

drive=$BUILD/tests/ggml_drive
[ -x "$drive" ] || fail "$drive is missing: tests/run build"
model tiny
first=
# Version of the package, operators of the tiny model that each thread computes per decode: views
# among them until 2025-09, norms fused with products since 2026-05.
while read -r version operators; do
	npm_engine "$version"
	out=$("$drive" -g -p 8 -n 16 "$LIBLLAMA" "$MODEL") || fail "$version: $out"
	assert_eq "$version: decodes" "$(jq .decodes <<<"$out")" 17
	last=$(jq .last <<<"$out")
	assert_eq "$version: last token" "$last" "${first:=$last}"

	run=$TMP/run.llmp
	llmprobe record --force -o "$run" -- "$drive" -p 8 -n 16 "$LIBLLAMA" "$MODEL" >"$TMP/out" ||
		fail "$version: record: $(cat "$TMP/stderr")"
	assert_eq "$version: lost" "$(sql "$run" 'SELECT sum(lost) FROM loss')" 0
	assert_eq "$version: calls, tokens" \
		"$(sql "$run" 'SELECT count(*), sum(n_tokens) FROM token')" "17|24"
	assert_eq "$version: graphs" "$(sql "$run" 'SELECT count(*) FROM graph')" 17
	assert_eq "$version: operators per decode and thread" "$(sql "$run" 'SELECT DISTINCT n FROM
		(SELECT count(*) AS n FROM op GROUP BY token_id, thread_index)')" "$operators"
	assert_eq "$version: the output's shapes" "$(sql "$run" "SELECT group_concat(s) FROM (SELECT
		DISTINCT op || ' ' || ne0 || ' ' || ne1 AS s FROM tensor
		WHERE name = 'result_output' ORDER BY 1)")" "MUL_MAT 512 1"
done <<'EOF'
3.1.1 70
3.3.0 70
3.6.0 70
3.12.0 76
3.15.0 45
3.18.1 45
3.22.1 39
EOF
debian_engine
cp "$drive" "$ROOT/tmp/ggml_drive.$$"
out=$(in_root /tmp/ggml_drive.$$ -g -p 8 -n 16 libllama.so.0 "$MODEL_IN")
rc=$?
rm -f "$ROOT/tmp/ggml_drive.$$"
assert_eq "Debian: exit" $rc 0
assert_eq "Debian: last token" "$(jq .last <<<"$out")" "$first"
