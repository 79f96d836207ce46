#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Recordings that do not end as they should: llmprobe killed, the target crashed, the disk full, ^C. All
# up to the last whole record is kept, no probe stays, the target is not disturbed.
. "$(dirname "$0")/lib.sh"
need_bpf

fake=$BUILD/tests/fake/fake_engine
key() { # RUN KEY
	sql "$1" "SELECT value FROM run WHERE key = '$2'"
}
spool_over() { # SPOOL BYTES
	[ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -gt "$2" ]
}
# target OPTIONS...: the made engine, once it is at work. Sets engine.
target() {
	start "$fake" "$@"
	engine=$PID
	wait_for 10 grep -q libllama "/proc/$engine/maps"
}
# record RUN OPTIONS...: in the background. Sets PID, once there are records.
record() {
	local run=$1
	shift
	"$LLMPROBE" record -o "$run" "$@" >"$TMP/record.out" 2>"$TMP/record.err" &
	PID=$!
	PIDS+=("$PID")
	wait_for 20 spool_over "$run.spool" 200000
}

echo "-- killed"
target -d 20011 -s 2000
record "$TMP/killed.llmp" -p "$engine"
spool=$TMP/killed.llmp.spool
expect_exit 1 export "$TMP/killed.llmp"
assert_match "export meanwhile" "$(cat "$TMP/stderr")" 'is still being recorded'
kill -KILL "$PID"
wait "$PID" 2>/dev/null
expect_exit 1 report "$TMP/killed.llmp"
assert_match "report" "$(cat "$TMP/stderr")" "llmprobe export $TMP/killed.llmp. completes it"
# A kill in the middle of a write leaves half a block at the end.
head -c -100 "$spool" >"$TMP/cut" && mv "$TMP/cut" "$spool"
"$BUILD/tests/bench_spool_dump" "$spool" >"$TMP/stored" 2>/dev/null
expect_exit 0 export "$TMP/killed.llmp"
assert_match "what it says" "$(cat "$TMP/stderr")" 'everything up to the last whole record'
assert_eq "complete" "$(key "$TMP/killed.llmp" complete)" 0
assert_eq "operators, all that the spool has" "$(sql "$TMP/killed.llmp" 'SELECT count(*) FROM op')" \
	"$(sed -n 's/^operator|//p' "$TMP/stored")"
assert_ge "tokens" "$(sql "$TMP/killed.llmp" 'SELECT count(*) FROM token')" 10
[ ! -e "$spool" ] || fail "the spool is still there"
expect_exit 0 report "$TMP/killed.llmp"
# Somebody else records the same process afterwards, so nothing of ours is in the way; and it
# ends as if nothing had been.
expect_exit 0 record -o "$TMP/again.llmp" -p "$engine" --duration 300ms
assert_ge "tokens of the next recording" "$(sql "$TMP/again.llmp" 'SELECT count(*) FROM token')" 1
assert_eq "complete" "$(key "$TMP/again.llmp" complete)" 1
wait "$engine"
assert_eq "exit of the target" $? 0
assert_eq "decodes of the target" "$(jq .decodes "$TMP/start.0")" 20011

echo "-- killed while its command runs"
record "$TMP/command.llmp" -- sh -c "echo \$\$ >$TMP/pid; exec $fake -d 1009 -s 5000 >$TMP/account"
kill -KILL "$PID"
wait "$PID" 2>/dev/null
ended() {
	! kill -0 "$(cat "$TMP/pid")" 2>/dev/null
}
wait_for 30 ended
not_recorded() { # the last of the recorder's processes may take a while to go
	llmprobe export "$TMP/command.llmp" >"$TMP/stdout" || ! grep -q 'still being recorded' "$TMP/stderr"
}
wait_for 30 not_recorded
assert_match "the command, not what became it" "$(key "$TMP/command.llmp" command)" "^$fake -d 1009"
echo "decodes of the target: $(jq .decodes "$TMP/account" 2>/dev/null)"

# The command is held until its scheduler's backends are probed; nobody is left to let it go on.
echo "-- killed while it holds its command"
"$LLMPROBE" record -o "$TMP/held.llmp" -- "$fake" -d 211 -w 1000 >"$TMP/account" 2>/dev/null &
PID=$!
PIDS+=("$PID")
its_engine() {
	held=$(pgrep -P "$PID" -x fake_engine) && grep -q libllama "/proc/$held/maps"
}
is_held() {
	grep -q '^State:.t' "/proc/$held/status"
}
wait_for 20 its_engine
kill -STOP "$PID"
wait_for 20 is_held
kill -KILL "$PID"
wait "$PID" 2>/dev/null
is_over() {
	! kill -0 "$held" 2>/dev/null
}
wait_for 20 is_over
assert_eq "decodes of the target" "$(jq .decodes "$TMP/account")" 211

echo "-- crash of the target"
expect_exit $((128 + 11)) record -o "$TMP/crash.llmp" -- \
	sh -c "(sleep 0.7; kill -SEGV \$\$) & exec $fake -d 1000000 -s 2000"
assert_eq "complete" "$(key "$TMP/crash.llmp" complete)" 1
assert_ge "tokens" "$(sql "$TMP/crash.llmp" 'SELECT count(*) FROM token')" 10

echo "-- full disk"
mkdir "$TMP/small"
mount -t tmpfs -o size=1m none "$TMP/small" || fail "no tmpfs"
target -d 100000 -s 0
llmprobe record -o "$TMP/small/run.llmp" -p "$engine" >"$TMP/stdout"
rc=$?
cp "$TMP/small/run.llmp.spool" "$TMP/full.llmp.spool" 2>/dev/null
umount "$TMP/small"
assert_eq "exit" $rc 1
assert_match "message" "$(cat "$TMP/stderr")" 'cannot write .*run.llmp.spool: No space left on device'
assert_eq "errors about it" "$(grep -c 'error:' "$TMP/stderr")" 1
"$BUILD/tests/bench_spool_dump" "$TMP/full.llmp.spool" >"$TMP/stored" 2>/dev/null
expect_exit 0 export "$TMP/full.llmp"
assert_eq "complete" "$(key "$TMP/full.llmp" complete)" 0
assert_eq "operators, all that the spool has" "$(sql "$TMP/full.llmp" 'SELECT count(*) FROM op')" \
	"$(sed -n 's/^operator|//p' "$TMP/stored")"
assert_ge "operators kept" "$(sql "$TMP/full.llmp" 'SELECT count(*) FROM op')" 1
kill -0 "$engine" || fail "the target did not survive"

echo "-- full disk at the prompt: the recording ends, the prompt goes on"
mount -t tmpfs -o size=1m none "$TMP/small" || fail "no tmpfs"
printf 'target: {pid: %d}\nlevels: {token: true, graph: true, operator: true}\n' "$engine" >"$TMP/c.yaml"
mkfifo "$TMP/keys"
exec 3<>"$TMP/keys"
"$LLMPROBE" -c "$TMP/c.yaml" <"$TMP/keys" 3>&- >"$TMP/screen" 2>"$TMP/errors" &
prompt=$!
PIDS+=("$prompt")
echo "start $TMP/small/run.llmp" >&3
wait_for 20 grep -q 'the recording has ended; the raw events are kept in' "$TMP/errors"
printf 'status\nstart %s\n' "$TMP/next.llmp" >&3
wait_for 20 spool_over "$TMP/next.llmp.spool" 200000
printf 'stop\nquit\n' >&3
wait "$prompt"
assert_eq "exit" $? 1
exec 3>&-
cp "$TMP/small/run.llmp.spool" "$TMP/prompt.llmp.spool"
umount "$TMP/small"
assert_eq "errors about it" "$(grep -c 'error:' "$TMP/errors")" 1
assert_match "the error" "$(cat "$TMP/errors")" 'cannot write .*run.llmp.spool: No space left on device'
assert_match "status" "$(cat "$TMP/screen")" 'not recording'
expect_exit 0 export "$TMP/prompt.llmp"
assert_eq "complete" "$(key "$TMP/prompt.llmp" complete)" 0
assert_ge "tokens of the next recording" "$(sql "$TMP/next.llmp" 'SELECT count(*) FROM token')" 1
kill -0 "$engine" || fail "the target did not survive"

echo "-- room for the spool but not for the run"
mount -t tmpfs -o size=1500k none "$TMP/small" || fail "no tmpfs"
"$BUILD/tests/run_make" --layers 4 --decodes 60 --threads 4 "$TMP/small/a.llmp.spool" >/dev/null || fail "run_make"
expect_exit 1 export "$TMP/small/a.llmp"
assert_match "message" "$(cat "$TMP/stderr")" 'the disk is full; the spool is kept'
assert_eq "what is left" "$(ls "$TMP/small")" a.llmp.spool
mv "$TMP/small/a.llmp.spool" "$TMP"
umount "$TMP/small"
expect_exit 0 export "$TMP/a.llmp"
assert_eq "complete" "$(key "$TMP/a.llmp" complete)" 1

echo "-- ^C"
record "$TMP/once.llmp" -p "$engine"
kill -INT "$PID"
wait "$PID"
assert_eq "exit after one, by pid" $? 0
assert_eq "complete" "$(key "$TMP/once.llmp" complete)" 1
kill -0 "$engine" || fail "the target did not survive"
# One that comes while the probes are put in waits until they are.
env --block-signal=INT sh -c 'kill -INT $$; exec "$0" "$@"' "$LLMPROBE" record -o "$TMP/early.llmp" \
	-p "$engine" >/dev/null 2>"$TMP/record.err"
assert_eq "exit after an early one" $? 0
assert_eq "what it said" "$(grep -c 'no probe point' "$TMP/record.err")" 0
assert_eq "complete" "$(key "$TMP/early.llmp" complete)" 1
# Who ends us by name means us, and not the command.
record "$TMP/ended.llmp" -- sh -c "echo \$\$ >$TMP/pid; exec $fake -d 100000 -s 2000"
kill -TERM "$PID"
wait "$PID"
assert_eq "exit after SIGTERM, command" $? 0
assert_eq "complete" "$(key "$TMP/ended.llmp" complete)" 1
kill "$(cat "$TMP/pid")" || fail "the command did not survive"
record "$TMP/hung-up.llmp" -p "$engine"
kill -HUP "$PID"
wait "$PID"
assert_eq "exit after SIGHUP" $? 0
assert_eq "complete" "$(key "$TMP/hung-up.llmp" complete)" 1
# With a command of ours the first is the command's, which here ignores it; the second is ours.
record "$TMP/twice.llmp" -- sh -c "trap '' INT; exec $fake -d 100000 -s 2000"
kill -INT "$PID"
sleep 0.5
kill -0 "$PID" || fail "the first ^C ended the recording"
kill -INT "$PID"
wait "$PID"
assert_eq "exit after two, command" $? 0
assert_eq "complete" "$(key "$TMP/twice.llmp" complete)" 1
