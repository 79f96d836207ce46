#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every kind of probe and every flag of scripts, on programs made for it: what fires, how often,
# with which arguments, and what is refused.
. "$(dirname "$0")/lib.sh"
need_bpf
command -v cc >/dev/null && command -v c++ >/dev/null || skip_unless_ci "no C and C++ compiler"
echo '#include <sys/sdt.h>' | cc -E - >/dev/null 2>&1 || skip_unless_ci "no sys/sdt.h"
cd "$TMP" || exit 1

cat >t.c <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>
#define SEMAPHORE(name) \
	__extension__ unsigned short name##_semaphore __attribute__((used, section(".probes")))
SEMAPHORE(app_guarded);
SEMAPHORE(app_plain);
SEMAPHORE(app_two);
SEMAPHORE(app_memory);
int table[3] = {7, 8, 9};
struct { int a; short b; } pair = {1, -2};
struct point { int x, y; const char *name; struct point *next; };
enum color { RED, GREEN = 5 };
volatile int counter;
#define NOIPA __attribute__((noipa))
NOIPA int add(int a, int b) { return a + b; }
NOIPA int take(struct point *p, enum color c, struct point v, const char *s)
{
	return p->x + c + v.y + (int)strlen(s);
}
NOIPA long many(long a, long b, long c, long d, long e, long f, long g, long h)
{
	return a + b + c + d + e + f + g + h;
}
NOIPA static int hidden(int z) { return z * 2; }
static void *thread(void *arg) { counter++; return arg; }
int main(int argc, char **argv)
{
	struct point q = {3, 4, "next", NULL}, p = {1, 2, "first", &q};
	pthread_t t;

	if (argc > 2)
		sleep(atoi(argv[2]));
	for (int i = 0; i < 3; i++) {
		counter++;
		if (argc > 3)
			usleep(1000 * atoi(argv[3]));
		add(i, 2);
		take(&p, GREEN, q, "hello");
		many(1, 2, 3, 4, 5, 6, 7, 8);
		hidden(i);
		if (app_guarded_semaphore)
			DTRACE_PROBE2(app, guarded, i, "text");
		DTRACE_PROBE3(app, plain, i, p.name, (char)-1); /* plain */
		DTRACE_PROBE1(app, two, i);
		DTRACE_PROBE1(app, two, i + 100);
		DTRACE_PROBE2(app, memory, table[i], pair.b);
	}
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
	return 0;
}
END
cat >cpp.cc <<'END'
#include <string>
#define NOIPA __attribute__((noipa))
namespace ns {
struct Foo {
	NOIPA int bar(int x) { return x; }
	NOIPA int bar(double d) { return (int)d; }
};
template <class T> NOIPA T twice(T t) { return t * 2; }
}
NOIPA int text(const std::string &s) { return s.size(); }
NOIPA int text(int n) { return n; }
extern "C" NOIPA int plain(int n) { return n; }
int main()
{
	ns::Foo f;
	return f.bar(4) + f.bar(2.0) + ns::twice(5) + (int)ns::twice(2L) + text("abc") + text(1) + plain(2) == 0;
}
END
cc -g -O1 -no-pie -o t t.c -lpthread && c++ -g -O1 -o cpp cpp.cc || fail "compiling the targets"
for n in 1 2; do
	echo "__attribute__((noipa)) static int twin(int a) { return a; } int call$n(int a) { return twin(a); }"
done | split -l 1 --additional-suffix=.c - twin.
echo 'int call1(int); int call2(int); int main(void) { return call1(1) + call2(5) == 0; }' >twins.c
cc -O1 -o twins twins.c twin.*.c || fail "compiling the target"
cc -g -O1 -fPIE -pie -o pie t.c -lpthread || fail "compiling the target"

script() {
	timeout 60 "$LLMPROBE" script "$@" 2>"$TMP/stderr" </dev/null
}

# want WHAT OUTPUT FLAGS PROGRAM: the lines that are printed, sorted, joined by ';'.
want() {
	local what=$1 wanted=$2 got
	shift 2
	got=$(script -q "$@" | grep -v '^$' | LC_ALL=C sort | paste -sd';')
	[ "$got" = "$wanted" ] || fail "$what: '$got', wanted '$wanted'; $(cat "$TMP/stderr")"
	echo "$what"
}

# refuse WHAT MESSAGE FLAGS PROGRAM
refuse() {
	local what=$1 message=$2
	shift 2
	script -q "$@" >/dev/null && fail "$what: accepted"
	grep -qF -- "$message" "$TMP/stderr" || fail "$what: $(cat "$TMP/stderr")"
	echo "$what"
}

t=$(pwd)/t
echo "-- functions"
want "two of one name" "@[1]: 1;@[5]: 1" -c ./twins -e 'uprobe:./twins:twin { @[arg0] = count(); }'
want "by name" "@[uprobe:./t:add, add]: 3" -c ./t -e 'uprobe:./t:add { @[probe, func] = count(); }'
want "arguments" "0 2;1 2;2 2" -c ./t -e 'u:./t:add { printf("%d %d\n", arg0, arg1); }'
want "arguments on the stack" "@[6, 7, 8]: 3" -c ./t -e 'uprobe:./t:many { @[arg5, arg6, arg7] = count(); }'
want "return" "add 2;add 3;add 4" -c ./t -e 'ur:./t:add { printf("%s %d\n", func, retval); }'
want "local function" "@: 3" -c ./t -e 'uprobe:./t:hidden { @ = count(); }'
want "wildcard" "@[add]: 3;@[main]: 1" -c ./t -e 'uprobe:./t:a*d,uprobe:./t:m?in { @[func] = count(); }'
want "names compared" "@[uprobe:./t:add]: 3" -c ./t -e 'uprobe:./t:* /func == "add"/ { @[probe] = count(); }'
want "wildcard in the path" "@: 3" -c ./t -e "uprobe:$(pwd)/t*:add { @ = count(); }"
want "address" "@[add]: 3" -c ./t -e "uprobe:./t:0x$(nm t | awk '/ add$/ { print $1 }') { @[func] = count(); }"
want "of the command, without a file" "@[uprobe:$t:add]: 3" -c ./t -e 'uprobe:add { @[probe] = count(); }'
refuse "no file and no process" "without a file it needs -p or -c" -e 'uprobe:add { }'
want "library" "@: 1" -c ./t -e 'uprobe:libc:pthread_create /pid == cpid/ { @ = count(); }'
script -p $$ -e 'rawtracepoint:sched_switch { @[comm, str(arg0)] = count(); } interval:ms:200 { exit(); }' >/dev/null
! grep Lost "$TMP/stderr" || fail "events of other processes take memory"
want "what end clears stays clear" "" -e 't:syscalls:sys_enter_*,t:sched:sched_switch { @[probe, tid] = count(); } interval:ms:100 { exit(); } end { clear(@); }'
want "order of the source" "1;2;3" -c ./t -e 'uprobe:./t:main { print(1); } uprobe:./t:main { print(2); } uprobe:./t:main { print(3); }'
[ "$(script -q -c ./t -e 'uprobe:./t:main { printf("1"); } uprobe:./t:main { printf("2"); }' | head -c 2)" = 12 ] ||
	fail "blocks of one function in another order"
refuse "inside of an instruction" "into middle of instruction" -c ./t -e 'uprobe:./t:many+2 { }'
refuse "behind the function" "Offset outside the function bounds ('add' size is" -c ./t -e 'uprobe:./t:add+2000 { }'
refuse "unknown function" "Did you mean add?" -e 'uprobe:./t:adt { }'
refuse "no program" "uprobe target file './t.c' does not exist or is not executable" -e 'uprobe:./t.c:main { }'
refuse "no file" "target file './none' does not exist" -e 'uprobe:./none:main { }'
refuse "too many" "Can't attach to" -e 'config = { max_probes = 2 } uprobe:./t:* { }'
refuse "too many, the remedy" "more than max_probes (2)" -e 'config = { max_probes = 2 } uprobe:./t:* { }'

echo "-- C++"
want "overload" "@[ns::Foo::bar(int)]: 1" -c ./cpp -e 'uprobe:./cpp:cpp:"ns::Foo::bar(int)" { @[func] = count(); }'
want "overloads" "@[ns::Foo::bar(double)]: 1;@[ns::Foo::bar(int)]: 1" -c ./cpp -e 'uprobe:./cpp:cpp:"ns::Foo::bar" { @[func] = count(); }'
want "templates" "@: 2" -c ./cpp -e 'uprobe:./cpp:cpp:"ns::twice*" { @ = count(); }'
want "library types" "@: 1" -c ./cpp -e 'uprobe:./cpp:"text(std::string const&)" { @ = count(); }'
want "library types, of several" "@[text(int)]: 1" -c ./cpp -e 'uprobe:./cpp:cpp:"text(int)" { @[func] = count(); }'
refuse "no such overload" "No matches for uprobe" -e 'uprobe:./cpp:cpp:"text(std::vector<int> const&)" { }'
want "functions of C" "@[uprobe:./cpp:cpp:plain]: 1" -c ./cpp -e 'uprobe:./cpp:cpp:plain { @[probe] = count(); }'
want "listing" 'uprobe:./cpp:cpp:"ns::Foo::bar(double)";uprobe:./cpp:cpp:"ns::Foo::bar(int)"' -l 'uprobe:./cpp:cpp:ns*bar*'

echo "-- debug information"
want "parameters" "@[0, 2]: 1;@[1, 2]: 1;@[2, 2]: 1" -c ./t -e 'uprobe:./t:add { @[args.a, args.b] = count(); }'
all="{ .a = 1, .b = 2, .c = 3, .d = 4, .e = 5, .f = 6, .g = 7, .h = 8 }"
want "all parameters" "$all;$all;$all" -c ./t -e 'uprobe:./t:many { print(args); }'
want "structs, enums, stack" "@[1, 3, GREEN, 4]: 3" -c ./t -e 'uprobe:./t:take { @[args.p->x, args.p.next.x, args.c, args.v.y] = count(); }'
want "casts" "@: 24" -c ./t -e 'uprobe:./t:take { @ = sizeof(struct point); }'
line=$(grep -n '/\* plain' t.c | cut -d: -f1)
want "lines" "@: 3" -c ./t -e "uprobe:./t@t.c:$line { @ = count(); }"
want "listing" "    int a;    int b;uprobe:./t:add" -lv 'uprobe:./t:add'
want "address of data" "@: 3" -c ./pie -e 'uprobe:./pie:add { @ = max(*uaddr("counter")); }'
want "stacks of ended processes" "    add+0;@[;]: 3" -c ./pie -e 'uprobe:./pie:add { @[ustack(1)] = count(); }'
cat >places.c <<'E'
volatile int x;
int leaf(void)
{
	return x += 2;
}
static inline __attribute__((always_inline)) int inner(int n)
{
	return leaf() + n;
}
int outer(int n)
{
	return inner(n);
}
int main(void)
{
	outer(3);
	return 0;
}
E
cc -g -O0 -fno-omit-frame-pointer -o places places.c || fail "compiling places.c"
stack_of() { # FLAGS...: the frames without offsets and without what lies below main
	llmprobe script -q "$@" -c ./places | sed -n 's/^ *//; s/+[0-9]*//; s|@.*/|@|; /^[lom[]/p' | paste -sd';'
}
assert_eq "lines of frames, inlined ones too" \
	"$(stack_of --debuginfo -e 'uprobe:./places@places.c:5 { printf("%s", ustack(4)); }')" \
	"leaf@places.c:5;[inlined] inner@places.c:8;outer@places.c:12;main@places.c:16"
assert_eq "asked for in the script" \
	"$(stack_of -e 'config = { show_debug_info = 1 } uprobe:./places@places.c:5 { @[ustack(1)] = count(); }')" \
	"leaf@places.c:5"
assert_eq "not asked for" "$(stack_of -e 'uprobe:./places@places.c:5 { printf("%s", ustack(2)); }')" "leaf;outer"
strip -g -o bare t
refuse "without it" "has no debug information" -e 'uprobe:./bare:add { @ = args.a; }'

objcopy --only-keep-debug t t.debug && strip -o apart t &&
	objcopy --add-gnu-debuglink=t.debug apart || fail "taking the symbols out"
want "debug link" "@[add, 2]: 3" -c ./apart -e 'uprobe:./apart:add { @[func, args.b] = count(); }'
want "its wildcards and stacks" "    hidden+0;@[;]: 3" -c ./apart -e 'uprobe:./apart:h*n { @[ustack(1)] = count(); }'
refuse "nothing like it" "Did you mean add?" -e 'uprobe:./apart:adt { }'

echo "-- usdt"
want "semaphore" "0 text;1 text;2 text" -c ./t -e 'usdt:./t:app:guarded { printf("%d %s\n", arg0, str(arg1)); }'
want "no namespace" "first -1;first -1;first -1" -c ./t -e 'usdt:./t:plain { printf("%s %d\n", str(arg1), arg2); }'
want "several places" "@[usdt:./t:app:two]: 6" -c ./t -e 'usdt:./t:app:two { @[probe] = count(); }'
want "wildcard" "@[guarded]: 3;@[memory]: 3;@[plain]: 3;@[two]: 6" -c ./t -e 'usdt:./t:*:* { @[func] = count(); }'
want "of the command" "@: 3" -c ./t -e 'usdt:*:app:plain { @ = count(); }'
want "of the command, without a file" "@: 3" -c ./t -e 'usdt:plain { @ = count(); }'
want "operands with symbols" "7 -2;8 -2;9 -2" -c ./t -e 'usdt:./t:memory { printf("%d %d\n", arg0, (int16)arg1); }'
want "operands relative to the code" "7 -2;8 -2;9 -2" -c ./pie -e 'usdt:./pie:memory { printf("%d %d\n", arg0, (int16)arg1); }'
want "listing" "usdt:./t:app:guarded;usdt:./t:app:memory;usdt:./t:app:plain;usdt:./t:app:two" -l 'usdt:./t:*'
refuse "no file and no process" "usdt probe must specify at least path or pid" -e 'usdt:plain { }'

echo "-- the kernel's"
want "tracepoint" "@[t, t]: 1" -c ./t -e 't:sched:sched_process_exit /pid == cpid && tid == pid/ { @[comm, args.comm] = count(); }'
want "path of exec" "@: ./t" -c ./t -e 'tracepoint:sched:sched_process_exec /pid == cpid/ { @ = str(args->filename); }'
want "raw" "@: t" -c ./t -e 'rawtracepoint:sched_process_exit /pid == cpid/ { @ = args.p->comm; }'
want "watchpoint, also in threads" "@: 4" -c ./t -e "watchpoint:0x$(nm t | awk '/ counter$/ { print $1 }'):4:w /usermode/ { @ = count(); }"
counter=0x$(nm t | awk '/ counter$/ { print $1 }')
want "unwatch" "@: 1" -c './t - 0 700' -e "watchpoint:$counter:4:w /usermode/ { @ = count(); unwatch($counter); }"
refuse "unwatch of a text" 'unwatch() takes an address' -e 'begin { unwatch("a"); }'
want "fields by address and by value" "ok" -e 't:sched:sched_switch { $i = 0; $c = args.prev_comm[$i]; @[args.prev_comm] = 1;
	if ($c == args.prev_comm[0] && strlen(args.prev_comm) > 0) { print("ok"); exit(); } } end { clear(@); }'
want "text of the record" "yes" -c 'sh -c true' -e 't:sched:sched_process_exec { @f = args.filename; if (str(@f) == str(args.filename) && args.filename != 0) { print("yes"); exit(); } } end { clear(@f); }'
refuse "watchpoint at nothing" "non-zero address" -e 'watchpoint:0:4:w { }'
refuse "watchpoint, a mode twice" "may not be duplicated" -e 'watchpoint:0x1000:4:ww { }'
refuse "watchpoint, a wrong mode" "invalid watchpoint mode: rx" -e 'watchpoint:0x1000:4:rx { }'
want "numbers of the language" "1;2;3;@n: 1" -e 'i:10_000_000 /@n < 1/ { @n++; printf("1\n"); exit(); } interval:ms:1e1 { } begin { print(2); print(3); }'
want "any category" "@[tracepoint:sched:sched_process_exec]: 1" -c ./t -e 't:*sched_process_exec /pid == cpid/ { @[probe] = count(); }'
want "timers" "1;2;3;@n: 3" -e 'i:10ms /@n < 3/ { @n++; printf("%d\n", @n); if (@n == 3) { exit(); } }'
want "their kind" "begin special;end special" -e 'begin, end { printf("%s %s\n", probe, probetype); }'
want "begin and end" "a;b;c" -e 'BEGIN { print("a"); } begin { print("b"); } end { print("c"); }'
refuse "unknown event" "did you mean 'page-faults'?" -e 'software:page-fault:1 { }'
refuse "unknown tracepoint" "Did you mean tracepoint:sched:sched_switch?" -e 't:sched:sched_swich { }'
refuse "kernel function" "kprobe probes need kernel functions" -e 'kprobe:vfs_read { }'
[ "$(script -lv 'tracepoint:sched:sched_process_exit' | sed -n '1,2p' | paste -sd';')" = \
	"tracepoint:sched:sched_process_exit;    char comm[16]" ] || fail "listing of a tracepoint"

echo "-- flags"
want "filter" "@[tracepoint:sched:sched_process_exit]: 1" -c ./t --probe-filter '_exit$' -e 't:sched:sched_process_* /tid == cpid/ { @[probe] = count(); }'
want "command with quotes" "@: 1" -c 'sh -c "exit 3"' -e 't:sched:sched_process_exit /pid == cpid/ { @ = count(); }'
script -k -e 'begin { $p = (uint64 *)8; @ = *$p; }' >/dev/null
grep -q 'Additional Info - helper: probe_read_user, retcode: -14' "$TMP/stderr" || fail "-k: $(cat "$TMP/stderr")"
refuse "-c and -p" "Cannot use both -c and -p" -c ./t -p $$ -e 'begin { }'
refuse "no such process" "no process has the pid" -p 4194303 -e 'begin { }'
script -q -o out.txt -e 'begin { print(7); }' && [ "$(head -n 1 out.txt)" = 7 ] || fail "-o"
got=$(LLMPROBE_NOTIFY_PROBES_ATTACHED=1 script -q -e 'begin { }' | grep .)
assert_eq "notification" "$got" LLMPROBE_NOTIFY_PROBES_ATTACHED
want "options beside parameters" "(20, true, none, one, two, 2)" \
	-e 'begin { print((getopt("a", 1), getopt("b"), getopt("c", "none"), $1, $2, $#)); }' one -- --a=20 --b two
printf '#!/usr/bin/env llmprobe\nbegin { printf("%%d %%s\\n", $1, str($2)); }\n' >s.bt
[ "$("$LLMPROBE" s.bt 5 five 2>/dev/null | head -n 1)" = "5 five" ] || fail "positional parameters"
[ "$(script -l s.bt)" = begin ] || fail "-l of a file"
./t x 2 &
PIDS+=($!)
sleep 0.5
want "-p: its threads only" "@[t]: 3" -p $! -e 'uprobe:./t:add { @[comm] = count(); }'
mkdir hidden
unshare -m sh -c "mount -t tmpfs none hidden && cp t hidden/ && exec $(pwd)/hidden/t x 2" &
PIDS+=($!)
there="/proc/$!/root$(pwd)/hidden/t"
wait_for 10 test -e "$there"
want "of another mount namespace" "@[uprobe:$there:add]: 3" -p $! -e "uprobe:$there:add { @[probe] = count(); }"
cp t gone
./gone x 2 &
PIDS+=($!)
wait_for 10 grep -qx gone "/proc/$!/comm"
rm gone
want "-p: a program that was deleted" "@[add]: 3" -p $! -e 'uprobe:add { @[func] = count(); }'
mkfifo go
sh -c 'read x <go; for i in 1 2 3 4 5 6 7 8; do cat t.c t.c t.c; done; read x <t.c; read x <t.c' >out.txt &
PIDS+=($!)
want "-p: what is left out of other processes takes none of the script's memory" "@[t.c]: 2" -p $! --unsafe \
	-e 'begin { system("echo >go"); } t:syscalls:sys_enter_openat { @[str(args.filename, 100)] = count(); }'
