#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The scheduler level against the kernel's own sums, and a busy loop on the worker's core that is
# named as the one who took it.
. "$(dirname "$0")/lib.sh"
need_bpf
debian_engine
model tiny

# Both workers and a busy loop on one core: intervals of all three states, thousands a second.
cp "$(command -v yes)" "$TMP/busyloop"
core=$(taskset -cp $$ | sed 's/.*[:,-] *//')
start taskset -c "$core" "$TMP/busyloop"
hog=$PID
bench() { # THREADS
	start taskset -c "$core" "${IN_ROOT[@]}" /usr/bin/llama-bench -m "$MODEL_IN" -r 1 --no-warmup \
		-t "$1" -p 0 -n 100000
	engine=$PID
	wait_for 20 grep -q libllama "/proc/$engine/maps"
	sleep 0.5
}

# The level is on before the recording begins, so intervals and the kernel's sums, which are read
# when it begins and ends, cover the same time.
record() { # RUN SECONDS
	printf 'target: {pid: %d}\nlevels: {token: true, graph: false, scheduler: true}\n' \
		"$engine" >"$TMP/c.yaml"
	printf 'start %s\nwait %ss\nstop\n' "$1" "$2" |
		llmprobe -c "$TMP/c.yaml" >/dev/null || fail "$(cat "$TMP/stderr")"
	assert_eq "lost" "$(sql "$1" 'SELECT sum(lost) FROM loss')" 0
}

bench 2
# The kernel's sums are as old as its last tick, 4 ms as a rule: small against what a third of this is.
# On a busy machine they are now and then read long before the recording begins, hence three tries.
sums_agree() {
	local tid kernel ours
	sql "$TMP/two.llmp" "SELECT t.tid, t.run_ns, sum(s.end_ns - s.begin_ns) FROM thread_t t
		JOIN sched s ON s.tid = t.tid AND s.state = 'running' GROUP BY t.tid" >"$TMP/running"
	assert_eq "threads" "$(wc -l <"$TMP/running")" 2
	while IFS='|' read -r tid kernel ours; do
		(assert_near "thread $tid: running ns by intervals and by schedstat" "$ours" "$kernel" 1) ||
			return 1
	done <"$TMP/running"
}
# Nothing between the first and the last interval of a thread is left out or counted twice, but for
# what the run says itself: there are kernel threads whose leaving the CPU the kernel does not tell.
holes="SELECT * FROM (SELECT *, begin_ns - lag(end_ns) OVER w AS gap, lag(state) OVER w AS before,
	lag(begin_ns) OVER w AS before_ns FROM sched WINDOW w AS (PARTITION BY tid ORDER BY begin_ns))
	WHERE gap <> 0"
no_silent_holes() {
	local n said
	n=$(sql "$TMP/two.llmp" "SELECT count(*) FROM ($holes)")
	said=$(sql "$TMP/two.llmp" "SELECT text FROM note WHERE kind = 'conversion'" |
		sed -n 's/^\([0-9]*\) scheduler intervals have an end that was not recorded.*/\1/p')
	[ "$n" = "${said:-0}" ] || sqlite3 -readonly -header "$TMP/two.llmp" "$holes; SELECT * FROM cost;
		SELECT text FROM note WHERE kind = 'conversion'; SELECT state, count(*) FROM sched GROUP BY 1"
	assert_eq "holes and overlaps, as the run says" "$n" "${said:-0}"
	compare "they are few" "$n" "<" 20
	assert_eq "overlaps" "$(sql "$TMP/two.llmp" "SELECT count(*) FROM ($holes) WHERE gap < 0")" 0
}
for try in 1 2 3; do
	rm -f "$TMP/two.llmp"
	record "$TMP/two.llmp" 6
	no_silent_holes
	sums_agree && break
	[ "$try" -lt 3 ] || fail "the sums disagree in three recordings"
done
kill "$engine"

bench 1
record "$TMP/one.llmp" 2
sql "$TMP/one.llmp" "SELECT by_comm, sum(end_ns - begin_ns) FROM sched WHERE state = 'runnable'
	GROUP BY by_comm ORDER BY 2 DESC" >"$TMP/by"
assert_eq "who had the CPU most" "$(head -n 1 "$TMP/by" | cut -d'|' -f1)" busyloop
assert_eq "its thread" "$(sql "$TMP/one.llmp" "SELECT DISTINCT by_tid FROM sched
	WHERE by_comm = 'busyloop'")" "$hog"
assert_match "report" "$(llmprobe report "$TMP/one.llmp")" \
	'ready but have no CPU for .*; busyloop had it for'
kill -0 "$engine" || fail "the target did not survive"
