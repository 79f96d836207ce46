#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The views on runs of Debian's llama.cpp: their figures are those of the run's tables, every tensor
# of a layer is in its picture, and the attention of LLaMA, Qwen 3 and Gemma 3 can be told apart.
. "$(dirname "$0")/lib.sh"
need_bpf
debian_engine

record() { # MODEL
	model "$1"
	llmprobe record --force -o "$TMP/$1.llmp" -- "${IN_ROOT[@]}" /usr/bin/llama-bench -m "$MODEL_IN" \
		-t 2 -p 8 -n 8 -r 1 >"$TMP/bench" || fail "record $1: $(cat "$TMP/stderr")"
}
layer() { # MODEL: the labels of layer 1, drawn without what only leads there
	expect_exit 0 dag --layers 1 --format dot "$TMP/$1.llmp"
	cp "$TMP/stdout" "$TMP/$1.dot"
}

for name in tiny moe qwen3 gemma3; do
	record $name
	run=$TMP/$name.llmp
	expect_exit 0 stat --table ops --csv -n -1 "$run"
	rows=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "rows") c = i; next } { n += $c }
		END { print n }' "$TMP/stdout")
	assert_eq "$name: operator rows" "$rows" "$(sql "$run" "SELECT count(*) FROM op o
		JOIN token t ON t.id = o.token_id")"
	expect_exit 0 export --table op --format jsonl "$run"
	assert_eq "$name: exported time" "$(jq -s 'map(.end_ns - .begin_ns) | add' "$TMP/stdout")" \
		"$(sql "$run" 'SELECT sum(end_ns - begin_ns) FROM op')"
	expect_exit 0 timeline --format chrome -o "$TMP/t.json" --force "$run"
	assert_eq "$name: operators on the timeline" \
		"$(jq '[.traceEvents[] | select(.ph == "X" and .args.op_row != null)] | length' "$TMP/t.json")" \
		"$(sql "$run" 'SELECT count(*) FROM op')"
	expect_exit 0 report "$run"
	expect_exit 0 html --force -o "$TMP/x" "$run"
	layer $name
	# What ran and is named after the layer, each once; the rest of the layer has running numbers.
	sql "$run" "SELECT DISTINCT t.name || '\n' || t.op FROM op o JOIN tensor t ON t.id = o.tensor_id
		JOIN token k ON k.id = o.token_id WHERE t.layer = 1 AND k.phase = 'decode'" >"$TMP/named"
	while read -r label; do
		assert_eq "$name: nodes $label" "$(grep -cF "label=\"$label" "$TMP/$name.dot")" 1
	done <"$TMP/named"
	assert_eq "$name: attention in its layer" "$(grep -c '\\nFLASH_ATTN_EXT' "$TMP/$name.dot")" 1
done

of() { # MODEL TEXT: how many nodes
	grep 'label="' "$TMP/$1.dot" | grep -c -- "$2"
}
assert_eq "LLaMA: norms of Q and K" "$(of tiny 'cur_normed')" 0
assert_eq "Qwen 3: norms of Q and K" "$(of qwen3 'cur_normed')" 2
assert_eq "Qwen 3: norm after attention" "$(of qwen3 'attn_post_norm')" 0
assert_eq "Gemma 3: norms of Q and K" "$(of gemma3 'cur_normed')" 2
assert_eq "Gemma 3: norm after attention" "$(of gemma3 'attn_post_norm')" 1
assert_eq "mixture: products of experts" "$(of moe 'MUL_MAT_ID')" 3

run=$TMP/moe.llmp
expect_exit 0 report "$run"
assert_match "experts" "$(cat "$TMP/stdout")" "experts: $(sql "$run" "SELECT count(*) FROM (SELECT
	DISTINCT t.layer, x.expert FROM expert_t x JOIN tensor t ON t.id = x.tensor_id)") of 240 were used"
expect_exit 0 diff --fail-if 'tpot_p50 < -99%' "$TMP/tiny.llmp" "$TMP/moe.llmp"
expect_exit 1 diff --fail-if 'tpot_p50 > +1%' "$TMP/tiny.llmp" "$TMP/moe.llmp"
for bad in 'tpot_p50 >' 'nonsense > 3%' 'tpot_p50 > x%' ''; do
	expect_exit 2 diff --fail-if "$bad" "$TMP/tiny.llmp" "$TMP/moe.llmp"
done
