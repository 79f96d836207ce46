#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# overhead.cap: a cap that a tiny model is far above, then a target that does nothing for a while. What
# is shed, in which order and how fast, what comes back, and that no token row is missing.
. "$(dirname "$0")/lib.sh"
need_bpf
debian_engine
model tiny

run=$TMP/run.llmp
decodes=512 runs=100
start "$LLMPROBE" record --force --overhead-cap 0.3% --pmc true -o "$run" -- "${IN_ROOT[@]}" \
	/usr/bin/llama-bench -m "$MODEL_IN" -r $runs --no-warmup -t 2 -p 0 -n $decodes
tool=$PID said=$TMP/start.0
wait_for 20 pgrep -P "$tool" -x llama-bench >"$TMP/pids"
target=$(head -n 1 "$TMP/pids")
wait_for 60 grep -q 'the operator level is off\|recorded to' "$said"
! grep -q 'recorded to' "$said" || fail "the load was over too soon: $(cat "$said")"
kill -STOP "$target"
wait_for 20 grep -q 'again:' "$said"
kill -CONT "$target"
wait "$tool" || fail "record: $(cat "$said")"
grep governor "$said"

assert_eq "decode calls" "$(sql "$run" 'SELECT count(*) FROM token')" $((decodes * runs))
assert_eq "token rows lost" "$(sql "$run" "SELECT coalesce(sum(lost), 0) FROM loss
	WHERE level = 'token'")" 0

sql "$run" "SELECT at_ns, substr(text, 11) FROM note WHERE kind = 'governor' ORDER BY at_ns" |
	sed 's/: tracing took.*//' >"$TMP/steps"
assert_eq "all of them are in the run" "$(wc -l <"$TMP/steps")" "$(grep -c 'governor:' "$said")"
assert_eq "order of shedding" "$(cut -d'|' -f 2 "$TMP/steps" | head -n 4 | paste -sd';')" \
	"counters are off;the scheduler level is off;operators are\
 summed up in the kernel instead of recorded one by one;the operator level is off"
assert_ge "ms between two steps, the least" "$(awk -F'|' 'NR > 1 {
	d = ($1 - last) / 1e6; if (NR == 2 || d < least) least = d} {last = $1}
	END {printf "%d\n", least}' "$TMP/steps")" 1000
assert_ge "s from the last step of shedding to the first that is taken back" "$(awk -F'|' '
	/again/ && !done {printf "%.1f\n", ($1 - last) / 1e9; done = 1} {last = $1}' "$TMP/steps")" 5
assert_ge "operators recorded one by one" "$(sql "$run" 'SELECT count(*) FROM op')" 1000
assert_ge "operators summed up" "$(sql "$run" 'SELECT coalesce(sum(count), 0) FROM op_summary')" 1000

# Where barriers have probes of their own, these are shed in between.
start "$LLMPROBE" record --force --overhead-cap 1% -o "$run" -- "$BUILD/tests/fake/fake_engine" -d 10000000 -s 2000
tool=$PID said=$TMP/start.1
wait_for 30 grep -q 'operators are summed up' "$said"
kill "$(pgrep -P "$tool" -x fake_engine)"
wait "$tool"
assert_eq "order of shedding" "$(sql "$run" "SELECT substr(text, 11) FROM note WHERE kind = 'governor' ORDER BY at_ns" |
	sed 's/: tracing took.*//' | head -n 3 | paste -sd';')" \
	"the scheduler level is off;barrier wait is no longer taken;operators are\
 summed up in the kernel instead of recorded one by one"

echo "-- what the user switches off meanwhile stays off"
start "${IN_ROOT[@]}" /usr/bin/llama-bench -m "$MODEL_IN" -r 1000 --no-warmup -t 1 -p 0 -n 512
engine=$PID
wait_for 20 grep -q libggml-cpu "/proc/$engine/maps"
printf 'target: {pid: %d}\nlevels: {token: true, graph: true, operator: false, scheduler: true}\n' \
	"$engine" >"$TMP/c.yaml"
mkfifo "$TMP/keys"
exec 3<>"$TMP/keys"
"$LLMPROBE" -c "$TMP/c.yaml" --overhead-cap 0.01% 3>&- <"$TMP/keys" >"$TMP/screen" 2>&1 &
prompt=$!
PIDS+=("$prompt")
wait_for 60 grep -q 'the graph level is off' "$TMP/screen"
printf '%s\n' 'disable scheduler' 'set overhead.cap off' status quit >&3
wait "$prompt"
assert_eq "exit" $? 0
assert_match "what the governor took comes back" "$(cat "$TMP/screen")" '^graph +on'
assert_match "what the user did not want does not" "$(cat "$TMP/screen")" '^scheduler +off'
