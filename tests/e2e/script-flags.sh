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
run 0 --dump ast,bpf -e 'begin { printf("seventy%s", "-one"); }' && says "stages" " at begin"
says "another" "#define" && says_not "it does not run" "seventy-one"
run 1 -d none -e 'begin { }' && says "no stage" "'none' is no stage: there are ast, types, bpf"
run 0 -q -d ast -d types -e 'begin { $a = (uint8)70 + 1; printf("seventy%s", "-one"); }'
says "stages before the run" " at begin" && says "a type" ":: uint8" && says "it runs" "seventy-one"
run 0 --debug codegen-opt,dis -e 'begin { print(1); }'
says "LLVM's form" "i32 @probe_0(" && says "instructions" "Disassembly of function probe_0"
run 0 --dump libbpf -e 'begin { @[1] = count(); } op:end { }'
says "a map" "map @: percpu_hash, key 8 bytes, value 8 bytes, up to 4096"
says "programs" "program probe_1: op:end, "
run 0 -d verifier -e 'begin { @[1] = count(); }'
says "the verifier's walk" "call bpf_map_lookup_elem" && says "its end" "processed "
(cd / && HOME=/root TMPDIR=/tmp setpriv --reuid 65534 --clear-groups "$LLMPROBE" script --dump bpf \
	-e 'op:end { @ = count(); }') >"$TMP/out" 2>&1 || fail "an engine's probe, without rights: $(cat "$TMP/out")"
(cd / && TMPDIR=/tmp setpriv --reuid 65534 --clear-groups "$LLMPROBE" script --dump all -e 'begin { @ = 1; }') \
	>"$TMP/out" 2>&1 || fail "without rights: $(cat "$TMP/out")"
says "without rights, down to instructions" "Disassembly of function probe_0"
says_not "none of the kernel" "bytes verified"
run 0 -q --no-feature uprobe_multi -e 'uprobe:libc:getp* { } i:1ms { print(6); exit(); }' && says "--no-feature" 6
run 1 --no-feature x -e 'begin { }' && says "no feature" "'x' is not a feature"

echo "-- the layout"
printf 'BEGIN{@x[1,2]=count();// why\n}' >ugly.bt
run 0 --fmt ugly.bt && says "laid out" "	@x[1, 2] = count(); // why"
run 0 --mode format -o ugly.bt ugly.bt
assert_eq "in place" "$(cat ugly.bt)" "$(printf 'BEGIN {\n\t@x[1, 2] = count(); // why\n}')"
cp ugly.bt before.bt
run 0 --fmt -o ugly.bt ugly.bt && cmp ugly.bt before.bt && echo "its own layout"
run 1 --fmt -o ugly.bt -e 'BEGIN { $x = ; }' && says "an error" "stdin:1:14-15: ERROR: syntax error"
cmp ugly.bt before.bt && echo "the file stays"
run 1 --fmt -o /nosuch/x -e 'BEGIN { }' && says "no such place" "cannot write /nosuch/x: No such file"
for f in "$TOP"/scripts/*.bt; do
	"$LLMPROBE" script --fmt "$f" | cmp - "$f" || fail "$f has another layout"
done

echo "-- tests and benches"
cat >t.bt <<'END'
begin { @n = 5; printf("from begin\n"); }
test:good { printf("unheard\n"); if (@n != 5) { return 1; } }
test:bad { printf("saw %d\n", @n); return 3; }
test:asserts { assert(@n == 6, "n is six"); }
test:exits { exit(2); }
test:loops { for ($i : 0..10) { if ($i == 7) { return $i; } } }
bench:nothing { }
bench:counts { @c = count(); }
tracepoint:sched:sched_switch { @switches = count(); }
end { printf("from end\n"); }
END
run 1 --test t.bt
sed 's/ ([0-9]* us)//' "$TMP/out" >have
cat >want <<'END'
from begin
[==========] Running 5 tests.
[ RUN      ] good
[       OK ] good
[ RUN      ] bad
saw 5
[  FAILED  ] bad
[ RUN      ] asserts
t.bt:4:16-43: ERROR: assert failed: n is six
[  FAILED  ] asserts
[ RUN      ] exits
[  FAILED  ] exits
[ RUN      ] loops
[  FAILED  ] loops
[==========] 5 tests ran.
[  PASSED  ] 1 test.
[  FAILED  ] 4 tests, listed below:
[  FAILED  ] bad
[  FAILED  ] asserts
[  FAILED  ] exits
[  FAILED  ] loops
from end
@n: 5
END
diff want have || fail "--test"
run 0 --mode test -e 'test:t { } bench:b { exit(3); }' && says "all is well" "[  PASSED  ] 1 test."
run 1 -f json --test t.bt
sed -n 2,3p "$TMP/out" | sed 's/"duration": [0-9]*/"duration": 1/' >have
cat >want <<'END'
{"type": "test_result", "data": {"good": {"duration": 1, "passed": true, "output": "{\"type\": \"printf\", \"data\": \"unheard\\n\"}\n"}}}
{"type": "test_result", "data": {"bad": {"duration": 1, "passed": false, "output": "{\"type\": \"printf\", \"data\": \"saw 5\\n\"}\n"}}}
END
diff want have || fail "--test as JSON"
run 0 --bench t.bt && says_not "no test ran" "RUN"
awk '$1 == "counts" { runs = $3; ok = $2 > 0 } $1 == "@c:" { same = $2 == runs } END { exit !(ok && same) }' \
	"$TMP/out" || fail "--bench: $(cat "$TMP/out")"
says_not "other probes stand aside" "@switches"
run 0 --bench -f json t.bt && says "json" '{"type": "benchmark_result", "data": {"nothing": {"average": '
run 1 --test -e 'begin { }' && says "no tests" "the program has no test: probes to run"
run 1 --test --bench t.bt && says "contradiction" "--bench conflicts with the mode asked for before"
run 0 --mode codegen t.bt
[ ! -s "$TMP/out" ] || fail "codegen: $(cat "$TMP/out")"
run 1 --mode codegen -e 'begin { nosuch() }' && says "an error" "Unknown function"
run 0 --mode compiler-bench -e 'begin { }' && says "stages" "parse and check"
run 1 --mode x -e 'begin { }' && says "no mode" "'x' is not one of run, codegen, compiler-bench"

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
