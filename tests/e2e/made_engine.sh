#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is recorded of the made engine equals, to the row, what the engine says it did.
. "$(dirname "$0")/lib.sh"
need_bpf

# check ERA PERCENT OPTIONS...: records a run of it and compares. PERCENT: how far times may
# be off, the cost of the probes inside an operator included.
check() {
	local era=$1 percent=$2 ith run=$TMP/$1.llmp account=$TMP/$1.json
	shift 2
	echo "-- $era $*"
	llmprobe record --force -o "$run" -- "$BUILD/tests/$era/fake_engine" "$@" >"$account" ||
		fail "record: $(cat "$TMP/stderr")"
	said() { jq -r "$1" "$account"; }

	assert_eq "lost" "$(sql "$run" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
	assert_eq "complete" "$(sql "$run" "SELECT value FROM run WHERE key = 'complete'")" 1
	assert_eq "decodes" "$(sql "$run" "SELECT count(*) FROM token WHERE phase <> 'encode'")" \
		"$(said .decodes)"
	assert_eq "encodes" "$(sql "$run" "SELECT count(*) FROM token WHERE phase = 'encode'")" \
		"$(said .encodes)"
	assert_eq "tokens" "$(sql "$run" 'SELECT sum(n_tokens) FROM token')" \
		"$(said '.prompt + .decodes + .encodes - 1')"
	assert_eq "graphs" "$(sql "$run" 'SELECT count(*) FROM graph')" "$(said .graphs)"
	assert_eq "nodes" "$(sql "$run" 'SELECT max(n_nodes) FROM graph')" "$(said .nodes)"
	for ith in $(said '.threads[].ith'); do
		assert_eq "operators of thread $ith" \
			"$(sql "$run" "SELECT count(*) FROM op WHERE thread_index = $ith")" \
			"$(said ".threads[$ith] | .ops + .fused")"
		assert_eq "tid of thread $ith" \
			"$(sql "$run" "SELECT DISTINCT tid FROM op WHERE thread_index = $ith")" \
			"$(said ".threads[$ith].tid")"
	done
	names "$run" "$account" "$percent"
}

# Every operator by name, kind and thread: number of rows, and the shortest time until its last
# barrier. Not the sum of times: what else runs on the machine may take the CPU between a probe's
# clock and the engine's. It may do so even in the shortest of one operator's calls, but not in those
# of many.
names() {
	jq -r '.ops[] | . as $o | range(.min_ns | length) |
		[$o.name, $o.op, ., $o.calls, $o.min_ns[.]] | @tsv' "$2" | sort >"$TMP/said"
	sqlite3 -readonly -separator $'\t' "$1" 'SELECT t.name, t.op, o.thread_index, count(*),
		min(o.end_ns - o.begin_ns) FROM op o JOIN tensor t ON t.id = o.tensor_id
		GROUP BY t.name, t.op, o.thread_index' | sort >"$TMP/seen"
	diff <(cut -f 1-4 "$TMP/said") <(cut -f 1-4 "$TMP/seen") || fail "other operators than wanted"
	paste "$TMP/said" "$TMP/seen" | awk -F'\t' -v p="$3" '
		{d = ($10 - $5) / $5 * 100; d = d < 0 ? -d : d; worst = d > worst ? d : worst}
		d > p {print $1 " " $2 " of thread " $3 ": " $10 " ns, wanted " $5; bad++}
		END {printf "%d operators and threads, shortest times within %.2f %%\n", NR, worst
			exit (bad > NR / 4)}' || fail "times differ"
}

experts() { # RUN ACCOUNT
	local layer seen said
	for layer in $(seq 0 $(($(jq '.experts | length' "$2") - 1))); do
		seen=$(sql "$1" "SELECT e.expert, count(*) FROM expert e JOIN op o ON o.id = e.op_id
			JOIN tensor t ON t.id = o.tensor_id WHERE t.layer = $layer
			GROUP BY e.expert ORDER BY e.expert")
		said=$(jq -r ".experts[$layer] | to_entries[] | select(.value > 0) |
			\"\(.key)|\(.value)\"" "$2")
		[ "$seen" = "$said" ] || fail "experts of layer $layer: $seen, wanted $said"
	done
	echo "experts: equal in $((layer + 1)) layers"
}

check fake 5 --decodes 101 --encodes 3 --spin 100000
check fake 5 --decodes 53 --threads 1 --spin 100000
# With both, a worker that starts late waits less inside: neither time would be the other.
check fake 5 --decodes 53 --spin 100000 --imbalance 50 --barriers 0
check fake 5 --decodes 53 --spin 100000 --barriers 3
# Begins alone tell no wait; where nodes are seen at their ends it is there all the same.
check_never() { # ERA WAY
	llmprobe record --force -o "$TMP/never.llmp" --barrier never -- \
		"$BUILD/tests/$1/fake_engine" --decodes 53 >/dev/null || fail record
	assert_eq "barrier of $1" "$(sql "$TMP/never.llmp" "SELECT value FROM run
		WHERE key = 'barrier'")" "$2"
	assert_eq "operators without wait" "$(sql "$TMP/never.llmp" 'SELECT count(*) FROM op
		WHERE wait_ns IS NULL')" \
		"$([ "$2" = always ] && echo 0 || sql "$TMP/never.llmp" 'SELECT count(*) FROM op')"
}
check_never fake never
[ "$(uname -m)" != x86_64 ] || check_never fake_loop always
# A token for each of three sequences is a decode; the first call is a prompt.
check_sequences() {
	local script='token:end { @[args.phase, args.n_tokens] = count(); }'
	llmprobe record --force -o "$TMP/sequences.llmp" --levels token -- \
		"$BUILD/tests/fake/fake_engine" --decodes 53 --sequences 3 >/dev/null || fail record
	assert_eq "phases" "$(sql "$TMP/sequences.llmp" 'SELECT phase, n_tokens, count(*) FROM token
		GROUP BY 1, 2 ORDER BY 1' | paste -sd' ')" "decode|3|52 prefill|7|1"
	expect_exit 0 script -c "$BUILD/tests/fake/fake_engine --decodes 53 --sequences 3" \
		-e "$script"
	assert_eq "phases in a script" "$(grep '^@' "$TMP/stdout" | sort | paste -sd' ')" \
		"@[decode, 3]: 52 @[prefill, 7]: 1"
}
check_sequences
check fake 5 --decodes 53 --spin 100000 --moe
experts "$TMP/fake.llmp" "$TMP/fake.json"
# Where an exception leaves a graph computation its end is not seen, but all others are.
check fake 5 --decodes 53 --spin 100000 --escape 7
# Where the loop over nodes tells what ends, one hit serves for an operator's begin and wait. One more
# per graph and thread: where the worker begins.
one_hit() {
	assert_eq "hits" "$(sql "$TMP/fake_loop.llmp" "SELECT sum(hits) FROM cost WHERE level = 'operator'")" \
		"$(sql "$TMP/fake_loop.llmp" 'SELECT (SELECT count(*) FROM op) + (SELECT sum(t.n) FROM (SELECT count(DISTINCT tid) n FROM op GROUP BY graph_id) t)')"
	assert_eq "operators without a known wait" "$(sql "$TMP/fake_loop.llmp" \
		'SELECT count(*) FROM op WHERE wait_ns IS NULL')" 0
}
check fake_loop 5 --decodes 101 --encodes 3 --spin 100000
one_hit
check fake_loop 5 --decodes 53 --threads 1 --spin 100000
check fake_loop 5 --decodes 53 --spin 100000 --imbalance 50 --barriers 0
one_hit
check fake_loop 5 --decodes 53 --spin 100000 --moe
experts "$TMP/fake_loop.llmp" "$TMP/fake_loop.json"
check fake_loop 5 --decodes 53 --spin 100000 --escape 7
check fake_old 5 --decodes 53 --spin 100000
