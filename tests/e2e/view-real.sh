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

for name in tiny moe qwen3 gemma2 gemma3; do
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
		JOIN token k ON k.id = o.token_id WHERE t.layer = 1 AND k.phase = 'decode'
		AND t.name NOT LIKE 'node\_%' ESCAPE '\'" >"$TMP/named"
	while read -r label; do
		assert_eq "$name: nodes $label" "$(grep -cF "label=\"$label" "$TMP/$name.dot")" 1
	done <"$TMP/named"
	assert_eq "$name: attention in its layer" "$(grep -c 'label="FLASH_ATTN_EXT' "$TMP/$name.dot")" 1
done

of() { # MODEL TEXT: how many nodes
	grep 'label="' "$TMP/$1.dot" | grep -c -- "$2"
}
assert_eq "LLaMA: norms of Q and K" "$(of tiny 'cur_normed')" 0
assert_eq "Qwen 3: norms of Q and K" "$(of qwen3 'cur_normed')" 2
assert_eq "Qwen 3: norm after attention" "$(of qwen3 'attn_post_norm')" 0
assert_eq "Gemma 3: norms of Q and K" "$(of gemma3 'cur_normed')" 2
assert_eq "Gemma 3: norm after attention" "$(of gemma3 'attn_post_norm')" 1

words() { # MODEL: what the layer's heading says of its attention
	sed -n 's/.*label="layer 1\\n\(.*\)";/\1/p' "$TMP/$1.dot"
}
assert_eq "LLaMA" "$(words tiny)" 'grouped-query attention, 4 heads over 2\nQ, K: product, RoPE; V: product; after: product, sum'
assert_eq "Qwen 2 with experts" "$(words moe)" 'multi-head attention, 4 heads\nQ, K: product, bias, RoPE; V: product, bias; after: product, sum'
assert_eq "Qwen 3" "$(words qwen3)" 'grouped-query attention, 4 heads over 2\nQ, K: product, norm, RoPE; V: product; after: product, sum'
assert_eq "Gemma 2" "$(words gemma2)" 'grouped-query attention, 4 heads over 2\nQ: product, RoPE, scale; K: product, RoPE; V: product; after: product, norm, sum'
assert_eq "Gemma 3" "$(words gemma3)" 'grouped-query attention, 4 heads over 2\nQ: product, norm, RoPE, scale; K: product, norm, RoPE; V: product; after: product, norm, sum'
assert_eq "mixture: products of experts" "$(of moe 'MUL_MAT_ID')" 3

# A decode after a prompt in one context has inputs of its own, at the addresses of the prompt's.
model tiny
llmprobe record --force -o "$TMP/pg.llmp" -- "${IN_ROOT[@]}" /usr/bin/llama-bench -m "$MODEL_IN" -t 1 -p 0 -n 0 \
	-pg 80,4 -r 1 >"$TMP/bench" || fail "record a prompt and its answer: $(cat "$TMP/stderr")"
assert_eq "rows of the attention's mask per phase" "$(sql "$TMP/pg.llmp" "SELECT DISTINCT k.phase, s.ne1 FROM op o
	JOIN token k ON k.id = o.token_id JOIN edge e ON e.dst_tensor = o.tensor_id AND e.slot = 3 JOIN tensor t
	ON t.id = o.tensor_id JOIN tensor s ON s.id = e.src_tensor WHERE t.op = 'FLASH_ATTN_EXT' ORDER BY 1" |
	tr '\n' ' ')" "decode|1 prefill|80 "

# Experts: what stat counts is what the public view holds, per layer and expert.
run=$TMP/moe.llmp
expect_exit 0 stat --table experts --csv -n -1 "$run"
awk -F, 'NR > 1 { print $1 "|" $2 "|" $3 }' "$TMP/stdout" | sort >"$TMP/counted"
sql "$run" "SELECT t.layer, e.expert, count(*) FROM expert e JOIN op o ON o.id = e.op_id
	JOIN tensor t ON t.id = o.tensor_id GROUP BY 1, 2" | sort >"$TMP/wanted"
cmp "$TMP/counted" "$TMP/wanted" || fail "experts are counted differently"
assert_ge "experts counted" "$(wc -l <"$TMP/counted")" 16
expect_exit 0 report "$run"
assert_match "experts" "$(cat "$TMP/stdout")" "experts: $(sql "$run" "SELECT count(*) FROM (SELECT
	DISTINCT t.layer, x.expert FROM expert_t x JOIN tensor t ON t.id = x.tensor_id)") of 240 were used"
expect_exit 0 diff --fail-if 'tpot_p50 < -99%' "$TMP/tiny.llmp" "$TMP/moe.llmp"
expect_exit 1 diff --fail-if 'tpot_p50 > +1%' "$TMP/tiny.llmp" "$TMP/moe.llmp"
for bad in 'tpot_p50 >' 'nonsense > 3%' 'tpot_p50 > x%' ''; do
	expect_exit 2 diff --fail-if "$bad" "$TMP/tiny.llmp" "$TMP/moe.llmp"
done

# Every total of report is a sum over the public views, to the last digit.
run=$TMP/tiny.llmp
expect_exit 0 report --json "$run"
cp "$TMP/stdout" "$TMP/report.json"
for phase in prefill decode; do
	of_phase="FROM op o JOIN token k ON k.id = o.token_id WHERE k.phase = '$phase'"
	of() { jq ".phases.$phase.$1" "$TMP/report.json"; }
	assert_eq "$phase: compute" "$(of compute_ns)" \
		"$(sql "$run" "SELECT sum(o.end_ns - o.begin_ns) $of_phase")"
	assert_eq "$phase: wait" "$(of wait_ns)" "$(sql "$run" "SELECT sum(o.wait_ns) $of_phase")"
	assert_eq "$phase: calls" "$(of calls)" \
		"$(sql "$run" "SELECT count(*) FROM token WHERE phase = '$phase'")"
	assert_eq "$phase: flop" "$(of flops)" "$(sql "$run" "SELECT cast(sum(t.flops) AS int) FROM op o
		JOIN token k ON k.id = o.token_id JOIN tensor t ON t.id = o.tensor_id
		WHERE k.phase = '$phase' AND o.thread_index = 0")"
	assert_eq "$phase: operators" "$(of 'operators | map(.compute_ns) | add')" "$(of compute_ns)"
	assert_eq "$phase: tensors" "$(of 'tensors | map(.rows) | add')" \
		"$(sql "$run" "SELECT count(*) $of_phase")"
done

# With peaks by hand: the prefill of this size is arithmetic, a decode is memory, whatever else runs.
printf 'name: by hand\nsource: test\npeaks:\n  - {threads: 1, gbs: 40, gflops: 200, gops8: 800}\n' \
	>"$TMP/peaks.yaml"
model llama-1b
llmprobe record --force -o "$TMP/1b.llmp" -- "${IN_ROOT[@]}" /usr/bin/llama-bench -m "$MODEL_IN" \
	-t 2 -p 64 -n 8 -r 1 >"$TMP/bench" || fail "record the 1B shape: $(cat "$TMP/stderr")"
expect_exit 0 report --json --peaks "$TMP/peaks.yaml" "$TMP/1b.llmp"
for figure in mfu mbu; do
	assert_ge "1B: $figure of prefill" "$(jq ".phases.prefill.$figure" "$TMP/stdout")" 0.001
	assert_le "1B: $figure of decode" "$(jq ".phases.decode.$figure" "$TMP/stdout")" 4
done
assert_eq "1B: prefill" "$(jq -r .phases.prefill.roofline_side "$TMP/stdout")" compute
assert_eq "1B: decode" "$(jq -r .phases.decode.roofline_side "$TMP/stdout")" memory

# The cache grows with the context, and with it the time of attention and of nothing else.
grows() { # FLASH-ATTENTION
	llmprobe record --force -o "$TMP/kv.llmp" -l token,graph,operator -- "${IN_ROOT[@]}" \
		/usr/bin/llama-bench -m /models/tiny.gguf -t 2 -p 0 -n 512 -r 1 -fa "$1" >"$TMP/bench" ||
		fail "record 512 decodes: $(cat "$TMP/stderr")"
	expect_exit 0 stat --table growth --csv -n -1 "$TMP/kv.llmp"
	awk -F, '$NF == "grows" && $4 > 0 { print $1 }' "$TMP/stdout"
}
for fa in 0:'MUL_MAT of the KV cache' 1:FLASH_ATTN_EXT; do
	for _ in 1 2 3; do # a loaded machine may drift once
		found=$(grows "${fa%%:*}")
		[ "$found" != "${fa#*:}" ] || break
	done
	assert_eq "grows with the context, -fa ${fa%%:*}" "$found" "${fa#*:}"
done

# A busy loop on the core of a worker, during the later half of the run, is named.
cp "$(readlink -f "$(command -v sh)")" "$TMP/hogtask"
decoding() { # the spool only grows so far when operators run
	[ "$(stat -c %s "$TMP/hog.llmp.spool" 2>/dev/null || echo 0)" -gt 2000000 ]
}
interfered() {
	local recorder
	llmprobe record --force -o "$TMP/hog.llmp" -- taskset -c 0 "${IN_ROOT[@]}" /usr/bin/llama-bench \
		-m /models/tiny.gguf -t 1 -p 0 -n 512 -r 12 >"$TMP/bench" &
	recorder=$!
	wait_for 60 decoding
	start setsid timeout 4 taskset -c 0 "$TMP/hogtask" -c 'while :; do :; done'
	wait "$recorder" || fail "record beside a busy loop: $(cat "$TMP/stderr")"
	expect_exit 0 report --json "$TMP/hog.llmp"
}
hog_ns() {
	jq '[.culprits[] | select(.task == "hogtask") | .total_ns] | add // 0' "$TMP/stdout"
}
named() {
	expect_exit 0 report "$TMP/hog.llmp"
	grep -o 'decode: workers are ready but have no CPU for .* had it for' "$TMP/stdout"
}
for _ in 1 2 3; do # beside many others it may not come to run just before or after a worker
	interfered
	assert_ge "time lost to the busy loop, ns" "$(hog_ns)" 0
	[ "$(hog_ns)" = 0 ] || [[ $(named) != *hogtask* ]] || break
done
if [ "${CI:-}" = true ] || [ "$(cut -d. -f1 /proc/loadavg)" -lt 2 ]; then
	assert_match "the culprit" "$(named)" hogtask
	assert_match "what to try" "$(cat "$TMP/stdout")" \
		'waiting for a CPU in decode: (stop hogtask|many tasks share the CPUs, hogtask)'
else
	assert_match "some culprit on a busy machine" "$(named)" 'no CPU for .*; .* had it for'
fi
