#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Levels switched at the prompt while llama-bench generates: a switch acts within 100 ms and the
# other levels lose nothing.
. "$(dirname "$0")/lib.sh"
need_bpf
debian_engine
model tiny
mkdir "$TMP/s"

# What is to be compiled is, so that no compiler takes the time that the switches are given.
expect_exit 0 record -o "$TMP/warm.llmp" -- "${IN_ROOT[@]}" /usr/bin/llama-bench -m "$MODEL_IN" -r 1 \
	--no-warmup -t 1 -p 0 -n 1

# The prompt starts llama-bench itself, so that there is nothing that it cannot have seen. The
# wait without a time ends with the target.
# Some 0.15 ms each on an idle machine; four times over, because a long context makes them slower.
tokens=16000
cat >"$TMP/c.yaml" <<EOF
target: {command: [chroot, $ROOT, /usr/bin/llama-bench, -m, $MODEL_IN, -r, "4", --no-warmup, -t, "1",
	-p, "0", -n, "$((tokens / 4))"]}
levels: {token: true, graph: true, operator: false, scheduler: false}
EOF
mkfifo "$TMP/typed"
exec 4<>"$TMP/typed"
"$LLMPROBE" -c "$TMP/c.yaml" 4>&- <"$TMP/typed" >"$TMP/out" 2>"$TMP/stderr" &
prompt=$!
PIDS+=("$prompt")
# hits LEVEL AT_LEAST: what the prompt, which reads from fd $keys and prints to $screen, says of it.
keys=4 screen=$TMP/out
hits() {
	local before
	before=$(grep -c '^buffer: ' "$screen")
	echo status >&"$keys"
	wait_for 20 said_more "$before"
	[ "$(awk -v l="$1" '$1 == l {n = $4} END {gsub(",", "", n); print n + 0}' "$screen")" -ge "$2" ]
}
said_more() {
	[ "$(grep -c '^buffer: ' "$screen")" -gt "$1" ]
}
echo "start $TMP/run.llmp" >&4
wait_for 30 hits token 400
echo "enable operator" >&4
wait_for 30 hits operator 2000
echo "disable operator" >&4
echo "enable scheduler" >&4
wait_for 30 hits scheduler 1
printf '%s\n' 'report --json' wait status stop report quit >&4
wait "$prompt" || fail "exit $?: $(cat "$TMP/stderr")"
exec 4>&-
assert_eq "lost" "$(sql "$TMP/run.llmp" 'SELECT sum(lost) FROM loss')" 0
assert_eq "decode calls, all of them" "$(sql "$TMP/run.llmp" "SELECT count(*) FROM token
	WHERE phase = 'decode'")" $tokens
assert_eq "graphs, one in each call" "$(sql "$TMP/run.llmp" 'SELECT count(*), count(DISTINCT
	token_id) FROM graph')" "$tokens|$tokens"
assert_eq "operators of a decode between the switches" "$(sql "$TMP/run.llmp" "SELECT
	group_concat(DISTINCT n) FROM (SELECT count(*) AS n FROM op GROUP BY token_id HAVING
	token_id > (SELECT min(token_id) FROM op) AND token_id < (SELECT max(token_id) FROM op))")" 39
assert_match "status" "$(cat "$TMP/out")" '^operator +off +0 +[1-9][0-9,]+ +0$'
assert_match "status: begin, end, graph: hits" "$(cat "$TMP/out")" \
	'^token +on +[0-9]+ +32,[0-9]{3} +0( |$)'
assert_match "report at the end" "$(cat "$TMP/out")" '^decode +16,000 +16,000 '
assert_ge "decodes in the report so far" "$(sed -n '/^{/,/^}/p' "$TMP/out" |
	jq '.. | objects | select(.phase? == "decode") | .calls? // empty' | head -n 1)" 1

# How soon. Commands are typed into a pipe and the time of typing is noted; the first row must come,
# and the last one be over, within 100 ms. The best of five, because the machine may be busy.
start "${IN_ROOT[@]}" /usr/bin/llama-bench -m "$MODEL_IN" -r 1 --no-warmup -t 1 -p 0 -n 1000000
engine=$PID
wait_for 20 grep -q libllama "/proc/$engine/maps"
printf 'target: {pid: %d}\nlevels: {token: true, graph: true}\n' "$engine" >"$TMP/p.yaml"
mkfifo "$TMP/keys"
exec 3<>"$TMP/keys"
screen=$TMP/screen
"$LLMPROBE" -c "$TMP/p.yaml" 3>&- <"$TMP/keys" >"$screen" 2>&1 &
prompt=$!
PIDS+=("$prompt")
# What a monotonic clock says now, ns.
clock() {
	awk '{printf "%.0f", $1 * 1e9}' /proc/uptime
}
type_in() { # NAME COMMAND
	echo "$1 $(clock)" >>"$TMP/s/$i"
	echo "$2" >&3
	sleep 0.15
}
keys=3
wait_for 60 hits token 100
for i in 1 2 3 4 5; do
	echo "start $TMP/s$i.llmp" >&3
	wait_for 10 grep -q "recording to $TMP/s$i.llmp" "$screen"
	sleep 0.1
	type_in on 'enable operator'
	type_in off 'disable operator'
	type_in sched_on 'enable scheduler'
	type_in sched_off 'disable scheduler'
	echo stop >&3
	wait_for 10 grep -q "recorded to $TMP/s$i.llmp" "$screen"
	assert_eq "recording $i: lost" "$(sql "$TMP/s$i.llmp" 'SELECT sum(lost) FROM loss')" 0
done
echo quit >&3
wait "$prompt"
assert_eq "exit" $? 0

at() { # I NAME
	awk -v n="$2" '$1 == n {print $2}' "$TMP/s/$1"
}
# soon WHAT NAME QUERY: the time from the typing to what the query gives, ms. The first time a level is
# switched on its text may have to be compiled, and rows then come after all the typing.
soon() {
	local i best=none ms when
	for i in 1 2 3 4 5; do
		when=$(sql "$TMP/s$i.llmp" "$3")
		[ -n "$when" ] || continue
		ms=$(((when - $(at $i "$2")) / 1000000))
		[ "$best" != none ] && [ "$ms" -ge "$best" ] || best=$ms
	done
	assert_le "$1, ms" "$best" 100
	# The clock that the typing is noted with ticks every 10 ms. The last operator may lie before it:
	# a busy machine lets the engine wait at times.
	[ "$2" = off ] || assert_ge "$1, ms" "$best" -10
}
soon "from 'enable operator' to the first operator" on 'SELECT min(begin_ns) FROM op'
soon "from 'disable operator' to the last one" off 'SELECT max(end_ns) FROM op'
soon "from 'enable scheduler' to its being on" sched_on \
	"SELECT at_ns FROM note WHERE text = 'scheduler on'"
soon "from 'disable scheduler' to its being off" sched_off \
	"SELECT at_ns FROM note WHERE text = 'scheduler off'"
for i in 1 2 3 4 5; do
	[ "$(sql "$TMP/s$i.llmp" "SELECT count(*) FROM op WHERE begin_ns <= $(at $i on)")" = 0 ] ||
		fail "operators before they were enabled"
	# The engine decodes without pause: no hole between two calls while levels come and go.
	echo "longest pause between two calls, ms: $(sql "$TMP/s$i.llmp" 'SELECT round(max(d) / 1e6, 1)
		FROM (SELECT begin_ns - lag(end_ns) OVER (ORDER BY begin_ns) AS d FROM token)')"
done
kill -0 "$engine" || fail "the target did not survive"

# What is wrong is said with its line, the rest goes on, and the exit says that something was.
printf 'status\nenable opertor\n\nset levels.gaph true\nstatus\n' |
	llmprobe -c "$TMP/p.yaml" >"$TMP/out"
assert_eq "exit after errors" $? 1
assert_match "line of a wrong level" "$(cat "$TMP/stderr")" \
	"^stdin:2: error: there is no level 'opertor'; did you mean 'operator'"
assert_match "line of a wrong key" "$(cat "$TMP/stderr")" "^stdin:4: error: .*levels.graph"
assert_eq "the rest goes on" "$(grep -c '^token ' "$TMP/out")" 2
