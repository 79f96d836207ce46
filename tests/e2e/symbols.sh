#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Addresses have names after their process is gone: of a program that ends within milliseconds, with
# C++ names, without any, and in another root.
. "$(dirname "$0")/lib.sh"
need_bpf

cat >"$TMP/brief.c" <<'EOF'
#include <stdlib.h>
/* A function that has only begun has no frame yet: its caller's frame tells of the one above. */
__attribute__((noinline)) int calls_malloc(int n)
{
	void *p = malloc(4000 + n);
	int r = n + (p != 0);
	free(p);
	return r;
}
/* geo::area(int) */
__attribute__((noinline)) int _ZN3geo4areaEi(int n)
{
	int r = calls_malloc(n);
	__asm__ volatile("" : "+r"(r));
	return r + 1;
}
__attribute__((noinline)) int outer(int n)
{
	int r = _ZN3geo4areaEi(n);
	__asm__ volatile("" : "+r"(r));
	return r + 1;
}
int main(int argc, char **argv)
{
	int sum = 0;
	for (int i = 0; i < 7; i++)
		sum += outer(argc + i);
	return sum == 12345;
}
EOF
"${CC:-cc}" -O1 -fno-omit-frame-pointer -fno-optimize-sibling-calls -o "$TMP/brief" "$TMP/brief.c" ||
	fail "cannot build"
cp "$TMP/brief" "$TMP/bare" && strip "$TMP/bare"
program='uprobe:libc:malloc /arg0 >= 4000 && arg0 < 4020 && strncmp(comm, "b", 1) == 0/ {
	@[ustack(5)] = count(); @name[usym(reg("ip"))] = count(); }'
names() {
	llmprobe script -q -e "$program" "$@" >"$TMP/out" || fail "$*: $(cat "$TMP/stderr")"
}
names -c "$TMP/brief"
assert_match "C++ name" "$(cat "$TMP/out")" '^    geo::area\(int\)\+[0-9]+$'
assert_match "caller" "$(cat "$TMP/out")" '^    outer\+[0-9]+$'
assert_match "main" "$(cat "$TMP/out")" '^    main\+[0-9]+$'
assert_match "the library's" "$(cat "$TMP/out")" '^@name\[malloc\]: 7$'
assert_match "one stack" "$(cat "$TMP/out")" '^\]: 7$'
names -c "$TMP/bare"
assert_match "file and offset without names" "$(cat "$TMP/out")" \
	"^    0x[0-9a-f]+ \\($TMP/bare\\+0x[0-9a-f]+\\)$"
# Nobody told the script of this one, and it has long ended when the maps are printed.
LLMPROBE_NOTIFY_PROBES_ATTACHED=1 "$LLMPROBE" script -q -B none -e "$program" >"$TMP/out" &
script=$!
PIDS+=("$script")
wait_for 20 grep -q ATTACHED "$TMP/out"
for _ in 1 2 3; do
	"$TMP/brief"
done
kill -INT "$script"
wait "$script" || fail "system-wide"
assert_match "C++ name, system-wide" "$(cat "$TMP/out")" '^    geo::area\(int\)\+[0-9]+$'
assert_match "caller, system-wide" "$(cat "$TMP/out")" '^    outer\+[0-9]+$'

debian_engine
model tiny
llmprobe script -q -e 'op:MUL_MAT:begin { @[ustack(3)] = count(); }' \
	-c "${IN_ROOT[*]} /usr/bin/llama-bench -m $MODEL_IN -t 2 -p 8 -n 4 -r 1 --no-warmup" >"$TMP/out" ||
	fail "Debian's engine: $(cat "$TMP/stderr")"
assert_match "of another root" "$(cat "$TMP/out")" '^    ggml_cpu_extra_compute_forward\+[0-9]+$'
