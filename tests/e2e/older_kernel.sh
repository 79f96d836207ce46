#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The ways that older kernels need give the same rows: no multi links, no callbacks, no task storage,
# no typed tracepoints, no ring buffer.
. "$(dirname "$0")/lib.sh"
need_bpf

run=$TMP/run.llmp
rows() { # TABLE
	sql "$run" "SELECT count(*) FROM $1"
}
# check FEATURES OPTIONS...: record the made engine and compare with what it says.
check() {
	local without=$1
	shift
	echo "-- without $without $*"
	LLMPROBE_WITHOUT=$without expect_exit 0 record --force -o "$run" "$@" -- \
		"$BUILD/tests/$era/fake_engine" --decodes 53 --moe
	assert_eq "lost" "$(sql "$run" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
	assert_eq "decodes" "$(rows token)" "$(jq .decodes "$TMP/stdout")"
	assert_eq "graphs" "$(rows graph)" "$(jq .graphs "$TMP/stdout")"
	assert_eq "operators" "$(rows op)" \
		"$(jq '[.threads[] | .ops + .fused] | add' "$TMP/stdout")"
	assert_eq "operators without a name" "$(sql "$run" "SELECT count(*) FROM op o LEFT JOIN tensor t
		ON t.id = o.tensor_id WHERE coalesce(t.name, '') = ''")" 0
	assert_eq "chosen experts" "$(rows expert)" "$(jq '[.experts[][]] | add' "$TMP/stdout")"
	assert_ge "intervals of the scheduler" "$(rows sched)" 1
}
era=fake
check bpf_loop
check task_storage
check tp_btf
check uprobe_multi
for era in fake fake_loop; do
	check uprobe_multi,bpf_loop,task_storage,tp_btf,attach_cookie --buffer-type perf
done
assert_match "doctor names what is left out" \
	"$(LLMPROBE_WITHOUT=bpf_loop "$LLMPROBE" doctor 2>&1)" 'no +bpf_loop +left out by LLMPROBE_WITHOUT'

# Before 6.10 probes are in all processes of a file: each of several is recorded once, and no other.
fake=$BUILD/tests/fake/fake_engine
start "$fake" -d 10000000 -P 1000
for without in process_filter uprobe_multi,process_filter; do
	echo "-- without $without, several processes"
	LLMPROBE_WITHOUT=$without expect_exit 0 record --force -o "$run" -- \
		sh -c "$fake -d 53 -s 2000 >$TMP/one & $fake -d 59 -s 2000 >$TMP/two; wait"
	assert_eq "lost" "$(sql "$run" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
	assert_eq "calls of each" "$(sql "$run" 'SELECT count(*) FROM token GROUP BY pid ORDER BY 1' |
		paste -sd' ')" "53 59"
	assert_eq "operators" "$(rows op)" "$(jq -s '[.[].threads[] | .ops + .fused] | add' "$TMP/one" "$TMP/two")"
done
