#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Experts of a mixture model in a real llama.cpp, against what bpftrace reads of the same run at the
# same function: the ids tensor of each MUL_MAT_ID with its own stride, on worker 0.
. "$(dirname "$0")/lib.sh"
need_bpf
command -v bpftrace >/dev/null || skip_unless_ci "no bpftrace to read the experts independently"
debian_engine
model moe

run=$TMP/run.llmp
number=$("$BUILD/tests/bench_layout_dump" --no-dwarf "$(find "$ROOT/usr/lib" -name 'libggml-base.so.0')" |
	awk '$1 == "op.MUL_MAT_ID" {print $2}')
[ -n "$number" ] || fail "no number of MUL_MAT_ID"

# op at 80, src at 152, data at 248, ne at 16, nb at 48: ggml since 2024-11.
libs=()
while read -r lib; do
	libs+=("uprobe:$lib:ggml_cpu_extra_compute_forward")
done < <(find "$ROOT/usr/lib" -name 'libggml-cpu-*.so')
probes=$(IFS=,; echo "${libs[*]}")
cat >"$TMP/read.bt" <<BT
$probes
{
	\$t = arg1;
	if (*(int32 *)arg0 == 0 && *(int32 *)(\$t + 80) == $number) {
		\$ids = *(uint64 *)(\$t + 168);
		if (@last[tid] != \$ids) {
			@last[tid] = \$ids;
			\$data = *(uint64 *)(\$ids + 248);
			\$stride = *(uint64 *)(\$ids + 56);
			printf("%d %d %d %d\n", *(int32 *)\$data, *(int32 *)(\$data + 4),
			       *(int32 *)(\$data + 8), *(int32 *)(\$data + 12));
		}
	}
}
BT
start bpftrace -B line -o "$TMP/read" "$TMP/read.bt"
sleep 4
llmprobe record --force -o "$run" -- "${IN_ROOT[@]}" /usr/bin/llama-bench -m "$MODEL_IN" -t 2 -p 0 -n 8 \
	-r 1 --no-warmup >"$TMP/bench" || fail "record: $(cat "$TMP/stderr")"
sleep 1
kill -INT "$PID"
wait "$PID"
grep -E '^[0-9]+ [0-9]+ [0-9]+ [0-9]+$' "$TMP/read" >"$TMP/wanted"
sql "$run" "SELECT group_concat(expert, ' ') FROM (SELECT e.op_id, e.expert FROM expert e
	ORDER BY e.op_id, e.token_index, e.slot) GROUP BY op_id ORDER BY op_id" >"$TMP/seen"
assert_ge "choices read by bpftrace" "$(wc -l <"$TMP/wanted")" 16
assert_eq "choices" "$(wc -l <"$TMP/seen")" "$(wc -l <"$TMP/wanted")"
diff "$TMP/wanted" "$TMP/seen" >"$TMP/diff" || fail "other experts: $(head "$TMP/diff")"
assert_eq "rows of lost" "$(sql "$run" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
