#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The ways to a target: a pid, an executable, the only engine that runs, a shell's children, a library
# that comes late; and how long it takes until the probes are in.
. "$(dirname "$0")/lib.sh"
need_bpf
debian_engine
model tiny

fake=$BUILD/tests/fake/fake_engine
# engine COMMAND...: in the background until it has mapped its library. Sets PID.
engine() {
	start "$@"
	wait_for 20 grep -qE 'libggml-cpu|fake/libllama' "/proc/$PID/maps"
	sleep 0.3
}
tokens() { # RUN [PID]
	sql "$1" "SELECT count(*) FROM token ${2:+WHERE pid = $2}"
}

# A pid in a chroot, whose libraries are not where its maps say they are.
engine "${IN_ROOT[@]}" /usr/bin/llama-bench -m "$MODEL_IN" -r 1 --no-warmup -t 1 -p 0 -n 1000000
bench=$PID
[ ! -e "$(grep -om 1 '/[^ ]*libllama\.so[^ ]*' "/proc/$bench/maps")" ] ||
	echo "note: the same path exists outside"
expect_exit 0 record -o "$TMP/pid.llmp" -p "$bench" --duration 400ms
for table in token graph op sched; do
	assert_ge "rows of $table by pid" "$(sql "$TMP/pid.llmp" "SELECT count(*) FROM $table")" 1
done

# From the start of llmprobe until the last level is on. The best of ten with compiled programs at
# hand, because the machine may be busy.
best=none
for _ in 1 2 3 4 5 6 7 8 9 10; do
	began=$(awk '{printf "%.0f", $1 * 1e9}' /proc/uptime)
	expect_exit 0 record --force -o "$TMP/time.llmp" -p "$bench" --duration 100ms
	on=$(sql "$TMP/time.llmp" "SELECT max(at_ns) FROM note WHERE kind = 'level' AND text LIKE '% on'")
	ms=$(((on - began) / 1000000))
	[ "$best" != none ] && [ "$ms" -ge "$best" ] || best=$ms
done
assert_le "from start to attached, ms" "$best" 500
assert_ge "from start to attached, ms" "$best" 1

# Entered before it has mapped anything of its engine.
held() {
	start sh -c "kill -STOP \$\$; exec $fake -d 10000000 -P 1000"
	wait_for 10 grep -q '^State:.T' "/proc/$PID/status"
	(sleep 0.3 && kill -CONT "$PID") &
}
held
expect_exit 0 record -o "$TMP/early.llmp" -p "$PID" --duration 300ms
assert_ge "calls of one that was still loading" "$(tokens "$TMP/early.llmp")" 1
kill "$PID"
held
expect_exit 0 script -p "$PID" -e 'token:end { @n = count(); exit() }'
assert_eq "the same in a script" "$(grep -c '^@n: ' "$TMP/stdout")" 1
kill "$PID"

# Every process of an executable or library, and nobody else.
engine "$fake" -d 10000000 -P 1000
one=$PID
engine "$fake" -d 10000000 -P 1000
two=$PID
for path in "$fake" "$(grep -om 1 '/[^ ]*libllama[^ ]*' "/proc/$one/maps")"; do
	expect_exit 0 record --force -o "$TMP/exe.llmp" --exe "$path" --duration 400ms
	assert_eq "processes of $(basename "$path")" "$(sql "$TMP/exe.llmp" 'SELECT group_concat(pid)
		FROM (SELECT DISTINCT pid FROM token ORDER BY pid)')" \
		"$(printf '%s\n' "$one" "$two" | sort -n | paste -sd,)"
done
expect_exit 1 record -o "$TMP/none.llmp" --exe "$TMP/nosuch"
assert_match "an executable that is not there" "$(cat "$TMP/stderr")" 'error: .*/nosuch'

# Nothing named and several candidates: a list, and what to say instead.
expect_exit 2 record -o "$TMP/none.llmp" --duration 100ms
for pid in "$bench" "$one" "$two"; do
	assert_match "list of candidates" "$(cat "$TMP/stderr")" "(^|[^0-9])$pid([^0-9]|\$)"
done
[ ! -e "$TMP/none.llmp" ] || fail "a run was written"
kill "$one" "$bench"
wait "$one" "$bench" 2>/dev/null

# Nothing named and one candidate, unless somebody else runs an engine here.
llmprobe record -o "$TMP/any.llmp" --duration 400ms
case $? in
0)
	assert_eq "the only one" "$(sql "$TMP/any.llmp" 'SELECT DISTINCT pid FROM token')" "$two"
	;;
2)
	assert_match "somebody else's engine is listed" "$(cat "$TMP/stderr")" "[^0-9]$two[^0-9]"
	;;
*)
	fail "the only one: $(cat "$TMP/stderr")"
	;;
esac
kill "$two"

# Children: a shell runs the engine twice, one after the other, each with threads of its own. The
# library is mapped long after the shell was entered.
expect_exit 7 record -o "$TMP/shell.llmp" -- sh -c "
	$fake -d 101 >$TMP/first; chroot $ROOT /usr/bin/llama-bench -m '$MODEL_IN' -r 1 --no-warmup -t 2 \
	-p 0 -n 64 >/dev/null 2>&1; exit 7"
sql "$TMP/shell.llmp" 'SELECT t.n, o.n FROM (SELECT pid, count(*) AS n FROM token GROUP BY pid) t
	JOIN (SELECT pid, count(*) AS n FROM op GROUP BY pid) o USING (pid) ORDER BY t.n' >"$TMP/shell"
assert_eq "calls and operators of both children" "$(paste -sd' ' "$TMP/shell")" \
	"64|$((64 * 2 * 39)) 101|$(jq '[.threads[] | .ops + .fused] | add' "$TMP/first")"
assert_eq "lost" "$(sql "$TMP/shell.llmp" 'SELECT sum(lost) FROM loss')" 0

# The same by pid: the shell is entered when it has no engine yet, the children come later.
start sh -c "$fake -d 10000000 -P 1000 & sleep 1.5; $fake -d 53 -w 1000; kill \$!; wait"
shell=$PID
child() {
	grep -q libllama "/proc/$(cut -d' ' -f1 "/proc/$shell/task/$shell/children")/maps" 2>/dev/null
}
wait_for 10 child
expect_exit 0 record -o "$TMP/tree.llmp" -p "$shell"
assert_eq "processes below the shell" \
	"$(sql "$TMP/tree.llmp" 'SELECT count(DISTINCT pid) FROM token')" 2
assert_eq "calls of the second one" "$(sql "$TMP/tree.llmp" 'SELECT min(n) FROM (SELECT count(*) AS n
	FROM token GROUP BY pid)')" 53

# Children that are forked at any moment while the shell is entered, none of which has made a call yet.
start sh -c "i=0; while [ \$((i += 1)) -le 12 ]; do
	$fake -d 53 -l 1 -w 4000 & sleep 0.03; done; wait"
shell=$PID
wait_for 10 child
expect_exit 0 record -o "$TMP/forks.llmp" -p "$shell"
assert_eq "processes and calls of each" "$(sql "$TMP/forks.llmp" 'SELECT count(*), min(n), max(n) FROM
	(SELECT count(*) AS n FROM token GROUP BY pid)')" '12|53|53'
assert_eq "problems with those that come and go" "$(grep -c -e error -e warning "$TMP/stderr")" 0

# A script looks at a shell's children while they end: that is no failure of its own.
start sh -c 'i=0; while [ $((i += 1)) -le 3000 ]; do /bin/true; done; sleep 60'
for _ in 1 2 3 4 5; do
	expect_exit 0 script -p "$PID" -e 'sched:offcpu { @n = count() } interval:ms:50 { exit() }'
	assert_eq "errors about children that ended" "$(grep -c ERROR "$TMP/stderr")" 0
done
