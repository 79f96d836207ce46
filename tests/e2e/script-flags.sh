#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command line of scripts as bpftrace's users know it: parameters, pids, commands, headers,
# listings, messages and exit codes.
. "$(dirname "$0")/lib.sh"
need_bpf
command -v cc >/dev/null || skip_unless_ci "no C compiler"
cd "$TMP" || exit 1

# run CODE FLAGS...: both outputs to $TMP/out.
run() {
	local code=$1 rc
	shift
	timeout 60 "$LLMPROBE" script "$@" >"$TMP/out" 2>&1 </dev/null
	rc=$?
	[ $rc = "$code" ] || fail "script $*: exit $rc, wanted $code: $(cat "$TMP/out")"
}

# says WHAT TEXT
says() {
	grep -qF -- "$2" "$TMP/out" || fail "$1: no '$2' in: $(cat "$TMP/out")"
	echo "$1"
}

says_not() { # WHAT TEXT
	! grep -qF -- "$2" "$TMP/out" || fail "$1: '$2' in: $(cat "$TMP/out")"
	echo "$1"
}

echo "-- usage"
run 0 -h && says "help" "USAGE: llmprobe script"
run 1 --fake-flag && says "unknown flag" "USAGE:" && says "its name" "--fake-flag"
run 1 && says "no program" "USAGE:"
run 1 -e '' && says "empty program" "USAGE:"
run 1 nothere.bt && says "no such file" "ERROR: failed to open file 'nothere.bt': No such file or directory"
run 1 -p a1 -e 'begin { }' && says "no number" "ERROR: Failed to parse pid: invalid integer: a1"
run 1 -p 5000000 -e 'begin { }' && says "no pid" "Pid out of range: 5000000"
run 1 -c ./nothere -e 'begin { }' && says "no command" "Failed to fork child: path './nothere' does not exist or is not executable"

echo "-- parameters"
run 0 -q -e 'begin { print(($1, $2, $#, getopt("aa", 1), getopt("bb"))); }' p1 -- --aa=20 --bb p2
says "positional and named" "(p1, p2, 2, 20, true)"
run 0 -q -e '$1:$2:$3$3 { print(probe); exit(); }' i ms 1 && says "in probes" "interval:ms:11"

echo "-- headers"
mkdir -p dir
echo '#define NUMBER 77
struct given { int a; char b[4]; };' >dir/given.h
run 1 -e '#include <not/there.h>
begin { }' && says "missing header" "fatal error: 'not/there.h' file not found"
run 0 -q -I dir -e '#include <given.h>
begin { print((NUMBER, sizeof(struct given))); }' && says "-I" "(77, 8)"
run 0 -q --include dir/given.h -e 'begin { print(NUMBER); }' && says "--include" 77
run 0 -q -e '#include <errno.h>
#include <netinet/in.h>
#include <netdb.h>
begin { print((strerror(EPERM), sizeof(struct addrinfo), IPPROTO_TCP, INADDR_LOOPBACK)); }'
says "headers of the system" "(Operation not permitted, 48, IPPROTO_TCP, 2130706433)"
run 0 -q -e '#include <linux/not_there.h>
begin { print(sizeof(struct list_head)); }' && says "of the kernel, from its types" 16

echo "-- output"
export __BPFTRACE_NOTIFY_PROBES_ATTACHED=1
run 0 -q -o file -e 'begin { print(5); }' && says "notification beside -o" __BPFTRACE_NOTIFY_PROBES_ATTACHED
[ "$(head -n 1 file)" = 5 ] || fail "-o: $(cat file)"
unset __BPFTRACE_NOTIFY_PROBES_ATTACHED
run 0 -f json -e 'begin { }' && says "json" '{"type": "attached_probes", "count": 1, "data": {"probes": 1}}'
run 0 -q -f json -e 'begin { }' && says_not "-q" attached_probes
BPFTRACE_COLOR=always run 1 -e 'begin { x }' && says "colour" $'\e[31mERROR:'

echo "-- probes that are not there"
run 1 -e 'rawtracepoint:sched_swich { }'
says "raw tracepoint" "No matches for rawtracepoint sched_swich. Did you mean rawtracepoint:sched_switch?"
run 0 -q -e 'config = { missing_probes = warn } rt:nosuch, t:nosuch:x, uprobe:./none:f, kprobe:f, begin { print(7); }'
says "warning" "WARNING: No matches for tracepoint nosuch:x. Skipping."
says "of a file" "WARNING: No matches for uprobe ./none:f. Skipping." && says "the others run" 7
run 255 -e 'profile:hz:4000000000 { }'
says "named when it cannot be attached" "Unable to attach probe: profile:hz:4000000000."
run 0 -e 'config = { missing_probes = warn } profile:hz:4000000000 { } i:1ms { print(8); exit(); }'
says "passed over" "Unable to attach probe: profile:hz:4000000000. Skipping." && says "the others run" 8
run 0 -q -e 'test:t { return 1; } bench:b { @x = 1; } begin { print(9); }'
says "test and bench stand aside" 9 && says_not "they do not run" "@x"

echo "-- switches"
run 0 -d ast,bpf -e 'begin { print(1); }' && says "stages" " at begin" && says "another" "#define"
run 1 -d none -e 'begin { }' && says "no stage" "--dump takes ast, types, bpf"
run 0 -q --no-feature uprobe_multi -e 'uprobe:libc:getp* { } i:1ms { print(6); exit(); }' && says "--no-feature" 6
run 1 --no-feature x -e 'begin { }' && says "no feature" "'x' is not a feature"

echo "-- listings"
echo 'double half(double d, const char *text, int n) { return d / 2 + n + *text; } int main(void) { return 0; }' >l.c
cc -g -o l l.c || fail "compiling"
run 0 -lv 'uprobe:./l:half'
assert_eq "parameters" "$(paste -sd';' "$TMP/out")" \
	"uprobe:./l:half;    double d;    const char * text;    int n"
run 0 -l 'uprobe:./l:m*,tracepoint:sched:sched_process_exec' 
assert_eq "several" "$(paste -sd';' "$TMP/out")" "uprobe:./l:main;tracepoint:sched:sched_process_exec"
run 0 -l '*:raw_syscalls:*'
assert_eq "any kind" "$(paste -sd';' "$TMP/out")" "tracepoint:raw_syscalls:sys_enter;tracepoint:raw_syscalls:sys_exit"
run 0 -l 'u*:./l:half'
assert_eq "any kind of a file" "$(paste -sd';' "$TMP/out")" "uprobe:./l:half;uretprobe:./l:half"
run 1 -l 'nothing:*' && says "no kind" "Invalid probe type: nothing"
run 1 -l 'uprobe:./none:*' && says "no file" "uprobe target file './none' does not exist or is not executable"
run 0 -lv 'struct list_head'
assert_eq "types" "$(grep . "$TMP/out" | paste -sd';')" \
	$'struct list_head {;\tstruct list_head *next;;\tstruct list_head *prev;;};'
