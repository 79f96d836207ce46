#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A recording that has come to rest, with all levels on while the engine generates, and a prompt in
# the same state and after it, have less than 25 MB in memory.
. "$(dirname "$0")/lib.sh"
need_bpf
debian_engine
model tiny

start "${IN_ROOT[@]}" /usr/bin/llama-bench -m "$MODEL_IN" -r 1 --no-warmup -t 2 -p 0 -n 1000000
engine=$PID
wait_for 20 grep -q libggml-cpu "/proc/$engine/maps"
sleep 0.3
# rss PID WHAT: the least of its size over some seconds: what was needed to find the probe points is
# given back after a second.
rss() {
	local kb least=none _
	for _ in $(seq 40); do
		sleep 0.1
		kb=$(awk '/^VmRSS:/ {print $2}' "/proc/$1/status")
		[ "$least" != none ] && [ "$kb" -ge "$least" ] || least=$kb
	done
	grep -E '^(VmHWM|Rss[A-Z])' "/proc/$1/status" | tr '\n' ' '
	echo
	assert_le "$2, kB" "$least" 25000
	assert_ge "$2, kB" "$least" 1000
}

# recorded LEVEL: how many of its events the spool of the recording holds so far.
recorded() {
	"$BUILD/tests/bench_spool_dump" "$TMP/run.llmp.spool" 2>/dev/null | sed -n "s/^$1|//p"
}
# The engine may still be clearing the cache of a million tokens, which takes a busy machine its time.
has_events() { # LEVEL
	[ "$(recorded "$1")" -ge 250 ] 2>/dev/null
}
start "$LLMPROBE" record -o "$TMP/run.llmp" -p "$engine"
record=$PID
for level in token graph operator scheduler; do
	wait_for 120 has_events $level
done
rss "$record" "recording all levels"
kill -INT "$record"
wait "$record"
assert_eq "exit" $? 0
for table in token graph op sched; do
	assert_ge "rows of $table" "$(sql "$TMP/run.llmp" "SELECT count(*) FROM $table")" 100
done
assert_eq "lost" "$(sql "$TMP/run.llmp" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0

printf 'target: {pid: %d}\nlevels: {token: true, graph: true, operator: true, scheduler: true}\n' \
	"$engine" >"$TMP/c.yaml"
mkfifo "$TMP/keys"
exec 3<>"$TMP/keys"
"$LLMPROBE" -c "$TMP/c.yaml" 3>&- <"$TMP/keys" >"$TMP/screen" 2>&1 &
prompt=$!
PIDS+=("$prompt")
echo "start $TMP/prompt.llmp" >&3
wait_for 20 test -s "$TMP/prompt.llmp.spool"
rss "$prompt" "a prompt that records all levels"
echo stop >&3
wait_for 60 grep -q 'recorded to' "$TMP/screen"
echo "probe 'token:end { @ = count(); }'" >&3
printf '%s\n' "disable script1" status >&3
wait_for 20 grep -q '^buffer' "$TMP/screen"
rss "$prompt" "a prompt that has recorded, and run a script"
echo quit >&3
wait "$prompt"
assert_eq "exit" $? 0
