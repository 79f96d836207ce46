#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Both transports: with a buffer that is far too small, what the target produced equals what was
# stored and what was counted as lost, to the event, on the made engine and on Debian's; with the
# default one nothing is lost.
. "$(dirname "$0")/lib.sh"
need_bpf
debian_engine
model tiny

run=$TMP/run.llmp
# record BUFFER_TYPE SIZE COMMAND...: a second name keeps the spool, whose records are what was stored.
record() {
	local type=$1 size=$2
	shift 2
	rm -f "$TMP/spool"
	llmprobe record --force -o "$run" --buffer-type "$type" --buffer-size "$size" \
		-- sh -c 'ln "$1.spool" "$2"; shift 2; exec "$@"' sh "$run" "$TMP/spool" "$@" \
		>"$TMP/account" || fail "record: $(cat "$TMP/stderr")"
	"$BUILD/tests/bench_spool_dump" "$TMP/spool" >"$TMP/stored" || fail "no spool"
}

stored() { # LEVEL
	awk -F'|' -v l="$1" '$1 == l {print $2}' "$TMP/stored"
}

lost() { # LEVEL
	sql "$run" "SELECT coalesce(sum(lost), 0) FROM loss WHERE level = '$1'
		AND buffer IN ('ring', 'perf')"
}

all_lost() {
	sql "$run" 'SELECT coalesce(sum(lost), 0) FROM loss'
}

# balance WHAT LEVEL PRODUCED
balance() {
	local stored lost
	stored=$(stored "$2")
	lost=$(lost "$2")
	[ $((stored + lost)) = "$3" ] || fail "$1, $2: $3 produced, $stored stored and $lost lost"
	echo "$1, $2: $3 produced = $stored stored + $lost lost"
}

# balances WHAT CALLS OPERATORS: a call and a graph are two records each.
balances() {
	balance "$1" token $((2 * $2))
	balance "$1" graph $((2 * $2))
	balance "$1" operator "$3"
	assert_eq "$1, operator rows" "$(sql "$run" 'SELECT count(*) FROM op')" "$(stored operator)"
}

# The least that is accepted: a page, and for perf one per CPU.
cpus=$(nproc --all)
least=4
for type in ring perf; do
	[ $type = ring ] || while [ $least -lt $((4 * cpus)) ]; do least=$((2 * least)); done
	record $type ${least}KiB "$BUILD/tests/fake/fake_engine" -d 2003 -s 0
	operators=$(jq '[.threads[] | .ops + .fused] | add' "$TMP/account")
	balances "$type of $least KiB, made engine" 2003 "$operators"
	assert_ge "lost on purpose" "$(all_lost)" 1
	assert_match "what the user is told" "$(cat "$TMP/stderr")" 'events were lost; a larger buffer'

	# The prompt and 256 tokens, on each of two threads 34 operators and 5 fused pairs.
	bench=("${IN_ROOT[@]}" /usr/bin/llama-bench -m "$MODEL_IN" -r 1 --no-warmup -t 2 -p 8 -n 256)
	record $type ${least}KiB "${bench[@]}"
	balances "$type of $least KiB, llama-bench" 257 $((257 * 2 * 39))
	assert_ge "lost on purpose" "$(all_lost)" 1

	record $type 16MiB "${bench[@]}"
	balances "$type of 16 MiB, llama-bench" 257 $((257 * 2 * 39))
	assert_eq "lost of what is produced at full speed" "$(all_lost)" 0
done
