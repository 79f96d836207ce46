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
spool_over() { # BYTES
	[ "$(stat -c %s "$run.spool" 2>/dev/null || echo 0)" -gt "$1" ]
}

# record STOPPED OPTIONS... -- COMMAND...: a second name keeps the spool, whose records are what was
# stored. STOPPED: how long llmprobe itself is stopped meanwhile, 0 for never.
record() {
	local stopped=$1 options=() pid
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	rm -f "$TMP/spool"
	llmprobe record --force -o "$run" "${options[@]}" \
		-- sh -c 'ln "$1.spool" "$2"; shift 2; exec "$@"' sh "$run" "$TMP/spool" "$@" \
		>"$TMP/account" &
	pid=$!
	PIDS+=("$pid")
	if [ "$stopped" != 0 ]; then
		wait_for 20 spool_over 400000
		kill -STOP "$(cat "/proc/$pid/task/$pid/children")"
		sleep "$stopped"
		kill -CONT "$(cat "/proc/$pid/task/$pid/children")"
	fi
	wait "$pid" || fail "record: $(cat "$TMP/stderr")"
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

# balances WHAT CALLS OPERATORS: a call and a graph are two records each. On a real engine the graph
# level has calls of its interface as well, whose number nobody else counts.
balances() {
	balance "$1" token $((2 * $2))
	case $1 in
	*"made engine"*) balance "$1" graph $((2 * $2)) ;;
	esac
	balance "$1" operator "$3"
	assert_eq "$1, operator rows" "$(sql "$run" 'SELECT count(*) FROM op')" "$(stored operator)"
}

for type in ring perf; do
	small=(--levels "token,graph,operator" --buffer-type "$type" --buffer-size 64KiB)
	record 0.3 "${small[@]}" -- "$BUILD/tests/fake/fake_engine" -d 3001 -s 500
	operators=$(jq '[.threads[] | .ops + .fused] | add' "$TMP/account")
	balances "$type of 64 KiB, made engine" 3001 "$operators"
	for level in token graph operator; do
		assert_ge "$level: lost on purpose" "$(lost $level)" 1
	done
	assert_match "what the user is told" "$(cat "$TMP/stderr")" 'events were lost; a larger buffer'

	# The prompt and the tokens, on each of two threads 34 operators and 5 fused pairs.
	bench=("${IN_ROOT[@]}" /usr/bin/llama-bench -m "$MODEL_IN" -r 1 --no-warmup -t 2 -p 8)
	record 0.3 "${small[@]}" -- "${bench[@]}" -n 1024
	balances "$type of 64 KiB, llama-bench" 1025 $((1025 * 2 * 39))
	for level in token graph operator; do
		assert_ge "$level: lost on purpose" "$(lost $level)" 1
	done

	record 0 --buffer-type $type -- "${bench[@]}" -n 96
	balances "$type of 16 MiB, llama-bench" 97 $((97 * 2 * 39))
	assert_eq "lost of what is produced at full speed" "$(all_lost)" 0

	# Drained once in ten seconds if nobody wakes the reader: almost all would be lost.
	record 0 --levels operator --buffer-type $type --buffer-size 1MiB --drain-interval 10s \
		-- "$BUILD/tests/fake/fake_engine" -d 2003 -s 1000
	operators=$(jq '[.threads[] | .ops + .fused] | add' "$TMP/account")
	assert_ge "$type wakes the reader: percent of $operators operators stored" \
		$(($(stored operator) * 100 / operators)) 80
done
