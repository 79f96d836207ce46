#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The prompt over a live target: scripted through a pipe, and typed on a terminal with completion,
# history and ^C. Levels are switched while the target goes on.
. "$(dirname "$0")/lib.sh"
need_bpf

start "$BUILD/tests/fake/fake_engine" -d 10000000 -P 1000
engine=$PID
printf 'target: {pid: %d}\nlevels: {token: true, graph: true}\n' "$engine" >"$TMP/c.yaml"
cat >"$TMP/commands" <<EOF
# what is switched on later has rows only from then on
start '$TMP/run.llmp'
wait 500ms
enable operator
wait 500ms
top 2s
set operators.mode summary
top
set operators.mode events
disable operator
target
plan
set levels.graph false
wait 1s
stop
enabel graph
status
start '$TMP/run.llmp'
EOF
llmprobe -c "$TMP/c.yaml" <"$TMP/commands" >"$TMP/out"
assert_eq "exit after failed commands" $? 1
assert_eq "their lines" "$(grep -o '^stdin:[0-9]*: error: .*' "$TMP/stderr" | sed "s|$TMP/||")" \
	"stdin:16: error: there is no command 'enabel'; did you mean 'enable'?
stdin:18: error: run.llmp exists; name another file or \`set force true\`"
assert_match "status" "$(cat "$TMP/out")" "^operator +off"
assert_eq "lines of top, with operators" "$(grep -cE '^[0-9]+ s +decode +tokens/s [1-9].* MUL_MAT [1-9]' "$TMP/out")" 3
assert_match "target" "$(cat "$TMP/out")" "^$engine running $BUILD/tests/fake/fake_engine"
assert_match "its engine" "$(cat "$TMP/out")" "^  llama +[^ ]* +$BUILD/tests/fake/libllama"
assert_match "plan" "$(cat "$TMP/out")" '^  op_begin +[a-z_]*ggml[a-z_]*\+0x[0-9a-f]+ at lib[^ ]*:0x[0-9a-f]+, emulated'
assert_ge "operators" "$(sql "$TMP/run.llmp" 'SELECT count(*) FROM op')" 1
assert_eq "operators before they were enabled" "$(sql "$TMP/run.llmp" \
	'SELECT count(*) FROM op WHERE begin_ns < (SELECT min(begin_ns) FROM token) + 300000000')" 0
assert_ge "tokens after the graph level went off" "$(sql "$TMP/run.llmp" \
	'SELECT count(*) FROM token WHERE begin_ns > (SELECT max(begin_ns) FROM graph)')" 3
assert_eq "lost" "$(sql "$TMP/run.llmp" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
kill -0 "$engine" || fail "the target did not survive"

# Scripts run beside the levels, with the engine's own events; what they count agrees with the rows.
cat >"$TMP/tokens.bt" <<'EOF'
token:end { @calls = count(); }
EOF
rm -f "$TMP/run.llmp"
cat >"$TMP/commands" <<EOF
start '$TMP/run.llmp'
probe 'op:MUL_MAT:end { @ops[args.op] = count(); } begin { printf("begun\n"); }'
load $TMP/tokens.bt
wait 500ms
save '$TMP/saved.llmp'
status
maps
disable script1
probe token:end { printf("one\n"); exit(); }
wait 200ms
disable script3
probe 'opp:end {}'
stop
EOF
llmprobe -c "$TMP/c.yaml" <"$TMP/commands" >"$TMP/out"
assert_match "a script's own output" "$(cat "$TMP/out")" '^begun$'
assert_match "a script in the status" "$(cat "$TMP/out")" '^script1 +on +2 probes, lost 0'
assert_eq "maps, and again at the end" "$(grep -c '^@ops\[MUL_MAT\]: [1-9]' "$TMP/out")" 2
assert_eq "exit() ends a script" "$(grep -c '^one$' "$TMP/out")" 1
assert_match "a script that has ended" "$(cat "$TMP/stderr")" "there is no level 'script3'"
assert_match "a probe's mistake" "$(cat "$TMP/stderr")" "Invalid probe type: opp; did you mean 'op'"
calls=$(sed -n 's/^@calls: //p' "$TMP/out" | head -n 1)
assert_ge "token calls of the script" "$calls" 10
assert_ge "token rows of the whole run" "$(sql "$TMP/run.llmp" 'SELECT count(*) FROM token')" "$calls"
assert_ge "token rows saved on the way" "$(sql "$TMP/saved.llmp" 'SELECT count(*) FROM token')" 10
kill -0 "$engine" || fail "the target did not survive"

# The same on a terminal: `script` is the terminal, $TMP/screen what it shows.
command -v script >/dev/null || skip_unless_ci "no script(1) for a terminal"
export XDG_STATE_HOME=$TMP/state TERM=dumb INPUTRC=/dev/null
mkfifo "$TMP/keys"
exec 3<>"$TMP/keys"
script -qefc "'$LLMPROBE' -c '$TMP/c.yaml'" "$TMP/screen" <"$TMP/keys" >"$TMP/shown" 2>&1 &
terminal=$!
PIDS+=("$terminal")
seen=0

# shows TEXT: waits until it turns up behind what was waited for before.
turned_up() {
	tail -c +$((seen + 1)) "$TMP/screen" 2>/dev/null | grep -qaF -- "$1"
}
shows() {
	local at
	wait_for 10 turned_up "$1"
	at=$(tail -c +$((seen + 1)) "$TMP/screen" | grep -oabF -- "$1" | head -n 1 | cut -d: -f1)
	seen=$((seen + at + ${#1}))
}
# at_prompt KEYS
at_prompt() {
	shows 'llmprobe> '
	# shellcheck disable=SC2059
	printf "$1" >&3
}

at_prompt 'ena\top\t\n'
at_prompt 'statu\t\n'
shows 'not recording'
at_prompt 'set levels.op\tf\t\n'
at_prompt "start $TMP/typed.llmp\n"
shows 'recording to'
at_prompt 'wait 1h\n'
shows 'wait 1h'
sleep 0.3
printf '\003' >&3
shows 'interrupted'
at_prompt 'sto\t\n'
shows 'recorded to'
at_prompt '\020\020\n' # ^P twice: the wait again
shows 'wait 1h'
sleep 0.3
printf '\003' >&3
shows 'interrupted'
at_prompt "probe 'token:e\t { exit(); }'\n"
shows 'script1: 1 probe'
at_prompt 'half a line'
shows 'half a line'
printf '\003' >&3
at_prompt 'target\n'
at_prompt '\004'
wait "$terminal"
assert_eq "exit of the terminal" $? 0
assert_match "history" "$(cat "$TMP/state/llmprobe/history")" '^wait 1h$'
assert_ge "tokens recorded from the terminal" \
	"$(sql "$TMP/typed.llmp" 'SELECT count(*) FROM token')" 10
kill -0 "$engine" || fail "the target did not survive"

# A prompt that cannot begin says why.
refused() { # WHAT CODE PATTERN CONFIG
	local rc
	printf '%b' "$4" >"$TMP/refused.yaml"
	echo quit | timeout 20 "$LLMPROBE" -c "$TMP/refused.yaml" >"$TMP/refused" 2>&1
	rc=$?
	assert_eq "$1" "$rc" "$2"
	assert_match "$1" "$(cat "$TMP/refused")" "$3"
}
start sleep 100
other=$PID
refused "no such process" 1 'no process with id 4000000' 'target: {pid: 4000000}\n'
refused "no engine" 1 'no probe point was found' "target: {pid: $other}\\n"
refused "no such counter" 2 "did you mean 'page-faults'" "target: {pid: $other}\\ntrace_pmc: [page-fault]\\n"
