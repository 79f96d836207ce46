#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Settings that choose what is paid for: operators.include and exclude, mode, barrier, dimensions,
# counters. What is left is counted against a run with everything.
. "$(dirname "$0")/lib.sh"
need_bpf
debian_engine

run=$TMP/run.llmp decodes=16
record() { # OPTIONS of record
	llmprobe record --force -o "$run" "$@" -- "${IN_ROOT[@]}" /usr/bin/llama-bench \
		-m "$MODEL_IN" -r 1 --no-warmup -t 2 -p 8 -n $decodes >/dev/null ||
		fail "record $*: $(cat "$TMP/stderr")"
	assert_eq "lost" "$(sql "$run" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
}

ops() { # WHERE: operators per call and thread, one number when all are alike
	sql "$run" "SELECT group_concat(DISTINCT n) FROM (SELECT count(*) AS n FROM op o
		JOIN tensor t ON t.id = o.tensor_id WHERE ${1:-1} GROUP BY token_id, thread_index)"
}

hits() {
	sql "$run" "SELECT sum(hits) FROM cost WHERE level = 'operator'"
}

# Weights that are repacked as they are loaded are multiplied by other code than plain ones.
for type in f32 q4_0; do
	model tiny --type $type
	echo "-- $type"
	record
	all=$(ops) products=$(ops "op = 'MUL_MAT'") ropes=$(ops "op = 'ROPE'") full=$(hits)
	norms=$(ops "op = 'RMS_NORM+MUL'") first=$(ops "name LIKE 'blk.0.%' OR name LIKE '%cur-0'")
	rows=$(sql "$run" 'SELECT count(*) FROM op')

	record --include-op MUL_MAT
	assert_eq "how they are seen is told once" \
		"$(grep -c 'seen at functions of their own' "$TMP/stderr")" 1
	assert_eq "products per call and thread" "$(ops)" "$products"
	assert_eq "nothing else" "$(sql "$run" 'SELECT group_concat(DISTINCT op) FROM op o
		JOIN tensor t ON t.id = o.tensor_id')" MUL_MAT
	assert_eq "hits, one at begin and end of each" "$(hits)" \
		"$(sql "$run" 'SELECT 2 * count(*) FROM op')"
	assert_le "hits" "$(hits)" $((full - 1))
	assert_eq "waits" "$(sql "$run" 'SELECT count(wait_ns) FROM op')" 0

	record --include-op ROPE,RMS_NORM
	assert_eq "rotations" "$(ops "op = 'ROPE'")" "$ropes"
	assert_eq "norms, fused with a product" "$(ops "op = 'RMS_NORM+MUL'")" "$norms"
	assert_eq "nothing else" "$(ops)" $((ropes + norms))

	record --include-op MUL_MAT --barrier always
	assert_eq "products with wait" "$(ops 'wait_ns IS NOT NULL')" "$products"
	assert_eq "nothing else" "$(ops)" "$products"

	record --exclude-op MUL_MAT
	assert_eq "all but the products" "$(ops)" $((all - products))

	record --include-op 'blk.0.*,*cur-0'
	assert_eq "operators by name of tensor" "$(ops)" "$first"
	assert_eq "of those, others" "$(ops "name NOT LIKE 'blk.0.%' AND name NOT LIKE '%cur-0'")" ""

	record --operator-mode summary
	assert_eq "summed up" "$(sql "$run" 'SELECT sum(count) FROM op_summary')" "$rows"
	record --operator-mode summary --include-op ROPE
	assert_eq "summed up" "$(sql "$run" 'SELECT sum(count) FROM op_summary')" \
		$((2 * ropes * (decodes + 1)))
done

echo "-- patterns that match nothing"
expect_exit 1 record --force -o "$run" --include-op MUL_MATT -- "${IN_ROOT[@]}" \
	/usr/bin/llama-bench -m "$MODEL_IN" -r 1 --no-warmup -t 2 -p 0 -n 4
assert_match "nearest" "$(cat "$TMP/stderr")" "did you mean 'MUL_MAT'"
expect_exit 1 record --force -o "$run" --include-op 'no-such-*' -- "${IN_ROOT[@]}" \
	/usr/bin/llama-bench -m "$MODEL_IN" -r 1 --no-warmup -t 2 -p 0 -n 4
assert_match "reason" "$(cat "$TMP/stderr")" "no operator that ran matches"

echo "-- dimensions"
record --dimensions=false
assert_eq "dimensions" "$(sql "$run" 'SELECT count(ne0) + count(ne3) FROM tensor')" 0
assert_eq "FLOPs of products" "$(sql "$run" "SELECT count(flops) FROM tensor WHERE op = 'MUL_MAT'")" 0
assert_eq "operators" "$(ops)" "$all"

echo "-- barrier wait on one of three stretches, default counters"
decodes=1024
record --barrier 3 --pmc true
assert_match "said" "$(cat "$TMP/stderr")" "the default set is"
assert_eq "operators" "$(ops)" "$all"
assert_eq "barrier" "$(sql "$run" "SELECT value FROM run WHERE key = 'barrier'")" sampled
share=$(sql "$run" 'SELECT 100.0 * count(wait_ns) / count(*) FROM op')
assert_ge "percent of operators with wait" "$share" 0.5
assert_le "percent of operators with wait" "$share" 80
assert_ge "counters" "$(sql "$run" 'SELECT count(DISTINCT name) FROM counter')" 3
llmprobe report "$run" >"$TMP/report"
assert_match "report" "$(cat "$TMP/report")" "barrier wait was sampled"
