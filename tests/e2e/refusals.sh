#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What cannot be traced or read: one clear line, the right exit code, nothing left attached, the target
# undisturbed.
. "$(dirname "$0")/lib.sh"
need_bpf

fake=$BUILD/tests/fake/fake_engine
uprobes() {
	cat /sys/kernel/tracing/uprobe_events /sys/kernel/debug/tracing/uprobe_events 2>/dev/null |
		grep -c llmprobe
}
# refused WHAT CODE PATTERN ARGS...: llmprobe must say so in one error and leave nothing behind.
refused() {
	local what=$1 code=$2 pattern=$3
	shift 3
	expect_exit "$code" "$@"
	assert_eq "$what: errors" "$(grep -c 'error: ' "$TMP/stderr")" 1
	assert_match "$what" "$(cat "$TMP/stderr")" "$pattern"
	assert_eq "$what: probes left" "$(uprobes)" 0
	[ ! -e "$TMP/run.llmp" ] && [ ! -e "$TMP/run.llmp.spool" ] || fail "$what: files are left"
}
target() {
	start "$@"
	engine=$PID
	wait_for 10 grep -q libllama "/proc/$engine/maps"
}
record=(record -o "$TMP/run.llmp")

start sleep 600
other=$PID
wait_for 5 grep -q sleep "/proc/$other/comm"
gone=$(sh -c 'echo $$')
refused "no such pid" 1 "no process with id $gone" "${record[@]}" -p "$gone"
refused "no engine" 1 'no probe point was found in the target' "${record[@]}" -p "$other"
refused "no such command" 1 'nosuchprogram' "${record[@]}" -- "$TMP/nosuchprogram"
refused "command without an engine" 1 'no probe point was found in the target' \
	record --force -o "$TMP/none.llmp" -- sleep 0.1
refused "kernel thread" 1 'is a kernel thread' "${record[@]}" -p 2
kill -0 "$other" || fail "sleep did not survive"

# A process that goes while it is looked at: whenever it goes, llmprobe ends soon and in order.
for pause in 0 0.02 0.05 0.1 0.2 0.3; do
	start "$fake" -d 100000 -s 2000
	engine=$PID
	wait_for 10 grep -q libllama "/proc/$engine/maps"
	(
		sleep $pause
		kill -KILL "$engine"
	) &
	timeout 20 "$LLMPROBE" record --force -o "$TMP/gone.llmp" -p "$engine" 2>"$TMP/stderr"
	rc=$?
	[ $rc -le 1 ] || fail "killed after $pause s: exit $rc: $(cat "$TMP/stderr")"
	[ $rc = 0 ] || assert_match "killed after $pause s" "$(cat "$TMP/stderr")" 'error: '
	echo "killed after $pause s: exit $rc: $(head -n 1 "$TMP/stderr")"
done

target "$fake" -d 10000000 -P 1000
touch "$TMP/exists.llmp"
expect_exit 1 record -o "$TMP/exists.llmp" -p "$engine"
assert_match "existing file" "$(cat "$TMP/stderr")" 'exists.llmp exists; .*--force replaces it'
[ ! -s "$TMP/exists.llmp" ] || fail "the existing file was changed"
refused "no such folder" 1 'nosuch/run.llmp.spool: No such file or directory' \
	record -o "$TMP/nosuch/run.llmp" -p "$engine"
mkdir "$TMP/folder.llmp"
refused "a folder as output" 1 'folder.llmp is a folder' record --force -o "$TMP/folder.llmp" -p "$engine"
mkfifo "$TMP/pipe.llmp"
refused "a pipe as output" 1 'pipe.llmp is a device or a pipe' record --force -o "$TMP/pipe.llmp" -p "$engine"
[ -p "$TMP/pipe.llmp" ] || fail "the pipe was replaced"

refused "unknown counter" 2 "there is no counter 'cyclse'; did you mean 'cycles'\?" \
	"${record[@]}" --pmc cyclse -p "$engine"
printf 'trace_pmc: [page-faults, cyclse]\n' >"$TMP/counters.yaml"
refused "unknown counter of a file" 2 "counters.yaml:1:12: error: there is no counter 'cyclse'" \
	"${record[@]}" -c "$TMP/counters.yaml" -p "$engine"
refused "no level" 2 'no level is on' "${record[@]}" -l none -p "$engine"
# Counters bring the rows that they belong to; the scheduler level stands alone.
expect_exit 0 record --force -o "$TMP/levels.llmp" -l counters --pmc page-faults -p "$engine" --duration 300ms
assert_ge "counters" "$(sql "$TMP/levels.llmp" 'SELECT count(*) FROM counter')" 1
expect_exit 0 record --force -o "$TMP/levels.llmp" -l scheduler -p "$engine" --duration 300ms
assert_ge "scheduler intervals alone" "$(sql "$TMP/levels.llmp" 'SELECT count(*) FROM sched')" 1

# As an ordinary user, on a process of its own.
cp "$LLMPROBE" "$TMP/llmprobe"
mkdir -p "$TMP/nobody"
chown nobody "$TMP/nobody"
chmod 755 "$TMP"
setpriv --reuid=nobody --clear-groups env HOME="$TMP/nobody" XDG_CACHE_HOME="$TMP/nobody" \
	"$TMP/llmprobe" record -o "$TMP/nobody/run.llmp" -- sleep 0.1 2>"$TMP/stderr"
assert_eq "ordinary user: exit" $? 1
assert_eq "ordinary user: errors" "$(grep -c 'error: ' "$TMP/stderr")" 1
assert_match "ordinary user" "$(cat "$TMP/stderr")" 'missing CAP_BPF, CAP_PERFMON; run as root or with'
# with_caps LIST: as that user with these capabilities, on root's process.
with_caps() {
	setpriv --reuid=nobody --clear-groups --inh-caps "-all,$1" --ambient-caps "-all,$1" \
		--bounding-set "-all,$1" env HOME="$TMP/nobody" XDG_CACHE_HOME="$TMP/nobody" "$TMP/llmprobe" \
		record --force -o "$TMP/nobody/run.llmp" -p "$engine" --duration 300ms 2>"$TMP/stderr"
}
with_caps +bpf && fail "CAP_BPF alone was enough"
assert_match "CAP_BPF alone" "$(cat "$TMP/stderr")" 'missing CAP_PERFMON; run'
# Files that everybody can read need no more than that; others do.
with_caps +bpf,+perfmon || fail "$(cat "$TMP/stderr")"
mkdir -m 700 "$TMP/closed"
cp "$BUILD/tests/fake/"* "$TMP/closed/"
open_engine=$engine
target "$TMP/closed/fake_engine" -d 10000000 -P 1000
with_caps +bpf,+perfmon && fail "closed files could be read"
assert_match "closed files" "$(cat "$TMP/stderr")" 'cannot be read: CAP_SYS_PTRACE is missing'
assert_eq "closed files: messages" "$(grep -c llmprobe: "$TMP/stderr")" 1
with_caps +bpf,+perfmon,+sys_ptrace && fail "closed files could be read"
assert_match "closed files" "$(cat "$TMP/stderr")" 'CAP_DAC_READ_SEARCH is missing'
with_caps +bpf,+perfmon,+sys_ptrace,+dac_read_search || fail "$(cat "$TMP/stderr")"
engine=$open_engine

# No tracefs: nothing needs it to be mounted, and nothing mounts it for others.
unshare -m sh -c 'umount -l /sys/kernel/tracing 2>/dev/null; umount -R -l /sys/kernel/debug 2>/dev/null
	[ ! -e /sys/kernel/tracing/events ] || exit 99; shift
	exec "$@"' sh - "$LLMPROBE" record --force -o "$TMP/notracefs.llmp" -p "$engine" --duration 500ms \
	2>"$TMP/stderr"
assert_eq "without tracefs: exit" $? 0
for table in token graph op sched; do
	assert_ge "without tracefs: rows of $table" \
		"$(sql "$TMP/notracefs.llmp" "SELECT count(*) FROM $table")" 10
done

# Trace files that are none, for every view.
good=$TMP/notracefs.llmp
head -c $(($(stat -c %s "$good") / 2)) "$good" >"$TMP/cut.llmp"
head -c 100 "$good" >"$TMP/head.llmp"
: >"$TMP/empty.llmp"
echo 'no run' >"$TMP/text.llmp"
sqlite3 "$TMP/foreign.llmp" 'CREATE TABLE t(a)'
sed 's/LLMP/XXXX/' "$good" >"$TMP/broken.llmp"
for view in report stat dag timeline html export; do
	options=()
	[ $view != export ] || options=(--table token)
	[ $view != html ] && [ $view != timeline ] || options=(-o "$TMP/view.out")
	for file in cut head empty text foreign nosuch; do
		llmprobe $view "${options[@]}" "$TMP/$file.llmp" >"$TMP/stdout" 2>/dev/null
		rc=$?
		[ $rc = 1 ] || fail "$view of $file.llmp: exit $rc: $(cat "$TMP/stderr")"
		[ "$(grep -c 'error: ' "$TMP/stderr")" = 1 ] ||
			fail "$view of $file.llmp: $(cat "$TMP/stderr")"
	done
	echo "$view: six bad files refused"
done 2>/dev/null
expect_exit 1 diff "$good" "$TMP/cut.llmp"
assert_match "diff of a cut file" "$(cat "$TMP/stderr")" 'is cut short'

# What was inferred of the engine's structs is wrong: nothing of it is stored, the other levels go on.
expect_exit 0 record -o "$TMP/lies.llmp" -- "$BUILD/tests/fake_lies/fake_engine" -d 2000 -P 500
assert_match "a wrong layout" "$(cat "$TMP/stderr")" \
	'warning: the operator level is off, .* (8|9|[1-9][0-9]) cannot be any \(stride nb\[0\] is'
assert_eq "a wrong layout: rows of op, tensor, expert" "$(sql "$TMP/lies.llmp" 'SELECT
	(SELECT count(*) FROM op), (SELECT count(*) FROM tensor), (SELECT count(*) FROM expert)')" "0|0|0"
assert_ge "a wrong layout: what was left out is counted" "$(sql "$TMP/lies.llmp" "SELECT sum(lost)
	FROM loss WHERE level = 'operator'")" 1
assert_eq "a wrong layout: calls" "$(sql "$TMP/lies.llmp" 'SELECT count(*) FROM token')" 2000
assert_eq "a wrong layout: graphs" "$(sql "$TMP/lies.llmp" 'SELECT count(*) FROM graph')" 2000
assert_match "a wrong layout: the run says so" \
	"$(sql "$TMP/lies.llmp" "SELECT text FROM note WHERE kind = 'trust'")" 'cannot be any'

# The file of a library is replaced while it is mapped: what is mapped is traced.
mkdir "$TMP/copy"
cp "$BUILD/tests/fake/"* "$TMP/copy/"
target "$TMP/copy/fake_engine" -d 10000000 -P 1000
library=$(ls "$TMP/copy/"*.so*)
cp "$BUILD/tests/fake_old/$(basename "$library")" "$TMP/new.so"
mv "$TMP/new.so" "$library"
expect_exit 0 record -o "$TMP/replaced.llmp" -p "$engine" --duration 500ms
assert_ge "tokens of a replaced library" "$(sql "$TMP/replaced.llmp" 'SELECT count(*) FROM token')" 10
assert_ge "operators of a replaced library" "$(sql "$TMP/replaced.llmp" 'SELECT count(*) FROM op')" 10
assert_eq "operators without a name" "$(sql "$TMP/replaced.llmp" "SELECT count(*) FROM op o
	LEFT JOIN tensor t ON t.id = o.tensor_id WHERE coalesce(t.name, '') = ''")" 0
rm "$library"
expect_exit 0 record -o "$TMP/removed.llmp" -p "$engine" --duration 500ms
assert_ge "tokens of a removed library" "$(sql "$TMP/removed.llmp" 'SELECT count(*) FROM token')" 10
kill -0 "$engine" || fail "the target did not survive"
