#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A plugin with every kind of table that BCC has: what each prints and what the run file keeps.
. "$(dirname "$0")/lib.sh"
need_bpf

cat >"$TMP/kinds.c" <<'EOF'
// llmprobe: about every kind of table
// llmprobe: uprobe libllama.so*:llama_decode -> on_decode
// llmprobe: uretprobe libllama.so*:llama_decode -> on_decoded
// llmprobe: table lin linear
#include <uapi/linux/ptrace.h>
#include <linux/sched.h>
struct key_t { u32 slot; char tag[4]; };
struct hist_key { char name[8]; u64 slot; };
enum mode { OFF, ON = 5 };
union word { u32 a; u8 b[4]; };
struct nest { enum mode mode; union word word; struct { u16 x, y; } in; u64 two[2]; int flag : 3; };
struct prefix { u32 prefixlen, address; };
typedef enum { PLAIN, STRIPED = 7 } pattern_t;
#define COLUMNS 3
struct shape {
	int grid[2][COLUMNS];
	char names[2][8];
	union { u32 word; u8 bytes[4]; };
	struct { s16 x, y; u8 mask[2][2]; } at[2];
	pattern_t pattern;
	bool closed;
};
BPF_HASH(nested, u32, struct nest);
BPF_HASH(shapes, pattern_t, struct shape, 4);
BPF_ARRAY(pattern, pattern_t, 1);
BPF_PERF_OUTPUT(drawn);
BPF_LPM_TRIE(routes, struct prefix, u64, 16);
struct val_t { u64 n; s32 low; u8 raw[3]; };
struct data_t { u32 pid; u64 ts; char comm[TASK_COMM_LEN]; };
BPF_HASH(plain);
BPF_HASH(byname, struct key_t, struct val_t, 64);
BPF_TABLE("lru_hash", u32, u64, recent, 16);
BPF_PERCPU_HASH(pc_hash, u32, u64);
BPF_ARRAY(arr, u64, 4);
BPF_ARRAY(arr_s, struct val_t, 2);
BPF_PERCPU_ARRAY(pc_arr, u64, 3);
BPF_HISTOGRAM(dist);
BPF_HISTOGRAM(lin, u64, 64);
BPF_HISTOGRAM(keyed, struct hist_key);
BPF_TABLE("histogram", int, u64, table, 64);
BPF_STACK_TRACE(stacks, 128);
BPF_HASH(bystack, int, u64);
BPF_PERF_OUTPUT(events);
BPF_RINGBUF_OUTPUT(ring, 4);
int on_decode(struct pt_regs *ctx)
{
	u64 zero64 = 0, one = 1, *v, ts = bpf_ktime_get_ns();
	int i0 = 0, i1 = 1, id;
	u32 k = 7;
	struct key_t key = {.slot = 3, .tag = "ab"};
	struct val_t fresh = {}, *val;
	struct hist_key hk = {.name = "x"};
	struct data_t d = {};
	struct nest nest = {.mode = ON, .word.a = 0x01020304, .in.y = 9, .two[1] = 8, .flag = -2};
	struct prefix prefix = {32, 0x0100007f};

	struct shape shape = {.grid[1][2] = 6, .names[1] = "abc", .word = 0x01020304, .at[1].y = -4, .at[1].mask[1][0] = 9,
			      .pattern = STRIPED, .closed = true};
	pattern_t striped = STRIPED;

	shapes.update(&striped, &shape);
	pattern.update(&i0, &striped);
	drawn.perf_submit(ctx, &shape, sizeof(shape));
	nested.update(&k, &nest);
	routes.update(&prefix, &one);
	table.atomic_increment(4);
	v = plain.lookup_or_try_init(&zero64, &zero64);
	if (v)
		(*v)++;
	val = byname.lookup_or_try_init(&key, &fresh);
	if (val) {
		val->n++;
		val->low = -5;
		val->raw[1] = 9;
	}
	recent.update(&k, &one);
	v = pc_hash.lookup_or_try_init(&k, &zero64);
	if (v)
		*v += 2;
	arr.increment(i1);
	val = arr_s.lookup(&i1);
	if (val)
		val->n += 3;
	v = pc_arr.lookup(&i1);
	if (v)
		*v += 1;
	dist.increment(bpf_log2l(100));
	lin.increment(5);
	hk.slot = bpf_log2l(1000);
	keyed.increment(hk);
	id = stacks.get_stackid(ctx, BPF_F_USER_STACK);
	if (id >= 0)
		bystack.increment(id);
	d.pid = bpf_get_current_pid_tgid() >> 32;
	d.ts = ts;
	bpf_get_current_comm(&d.comm, sizeof(d.comm));
	events.perf_submit(ctx, &d, sizeof(d));
	return 0;
}
int on_decoded(struct pt_regs *ctx)
{
	struct data_t d = {.pid = PT_REGS_RC(ctx)};

	ring.ringbuf_output(&d, sizeof(d), 0);
	return 0;
}
BPF_HASH(opens, u32);
TRACEPOINT_PROBE(syscalls, sys_enter_openat)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;

	if (!llmprobe_target())
		return 0;
	if (args->dfd == 0x7fffffff)
		return 0;
	opens.increment(pid);
	return 0;
}
BPF_ARRAY(switches, u64, 1);
RAW_TRACEPOINT_PROBE(sched_switch)
{
	switches.increment(0);
	return 0;
}
EOF
decodes=41
fake=("$BUILD/tests/fake/fake_engine" --decodes "$decodes" --spin 20000)
run=$TMP/run.llmp
printf 'plugins: [%s]\nlevels: [token]\n' "$TMP/kinds.c" >"$TMP/c.yaml"
llmprobe record -c "$TMP/c.yaml" --force -o "$run" -- "${fake[@]}" >"$TMP/out" || fail record
sed '1,/"pid": [0-9]*}$/d' "$TMP/out" >"$TMP/tables"
pid=$(sed '/"pid": [0-9]*}$/q' "$TMP/out" | jq .pid)

json() { sql "$run" "SELECT json FROM plugin WHERE map = '$1'"; }
printed() { # TABLE: what stands below its name
	awk -v t="kinds.$1:" '/^kinds[.]/ {on = $1 == t; next} on' "$TMP/tables"
}
assert_eq "hash" "$(json plain)" '{"key":0,"value":41}'
assert_eq "hash of structs" "$(json byname)" \
	'{"key":{"slot":3,"tag":"ab"},"value":{"n":41,"low":-5,"raw":[0,9,0]}}'
assert_match "its members as columns" "$(printed byname)" '^ +slot +tag +n +low +raw$'
assert_match "their values" "$(printed byname)" '^ +3 +ab +41 +-5 +\[0, 9, 0\]$'
assert_eq "enums, unions, structs in structs, bits" "$(json nested)" '{"key":7,"value":{"mode":"ON","word":'\
'{"a":16909060,"b":[4,3,2,1]},"in":{"x":0,"y":9},"two":[0,8],"flag":-2}}'
assert_match "as text" "$(printed nested)" \
	'^ +7 +ON +\{a = 16909060, b = \[4, 3, 2, 1\]\} +\{x = 0, y = 9\} +\[0, 8\] +-2$'
shape='{"grid":[[0,0,0],[0,0,6]],"names":["","abc"],"word":16909060,"bytes":[4,3,2,1],'\
'"at":[{"x":0,"y":0,"mask":[[0,0],[0,0]]},{"x":0,"y":-4,"mask":[[0,0],[9,0]]}],"pattern":"STRIPED","closed":true}'
assert_eq "arrays of arrays, unions without a name, typedefs of enums" "$(json shapes)" \
	"{\"key\":\"STRIPED\",\"value\":$shape}"
assert_eq "an enum by its typedef" "$(json pattern)" '{"key":0,"value":"STRIPED"}'
assert_eq "the same as a record" "$(json drawn | sort -u)" "$shape"
assert_eq "prefix tree" "$(json routes)" '{"key":{"prefixlen":32,"address":16777343},"value":1}'
assert_eq "LRU hash" "$(json recent)" '{"key":7,"value":1}'
assert_eq "per-CPU hash, summed" "$(json pc_hash)" '{"key":7,"value":82}'
assert_eq "array" "$(json arr)" '{"key":1,"value":41}'
assert_eq "array of structs" "$(json arr_s)" '{"key":1,"value":{"n":123,"low":0,"raw":[0,0,0]}}'
assert_eq "per-CPU array, summed" "$(json pc_arr)" '{"key":1,"value":41}'
assert_match "log2 histogram" "$(printed dist)" '^ +64 -> 127 +: 41 +\|\*{40}\|$'
assert_match "linear histogram" "$(printed lin)" '^ +5 +: 41 +\|\*{40}\|$'
assert_match "a table that is a histogram" "$(printed table)" '^ +[48] .*: 41 +\|\*{40}\|$'
assert_match "histogram by a struct: its section" "$(printed keyed)" '^name = x$'
assert_match "its slots" "$(printed keyed)" '^ +512 -> 1023 +: 41 +\|'
# The process has ended by the time its stacks are printed.
assert_match "stack" "$(printed bystack)" 'llama_decode\+0x[0-9a-f]+ in .*libllama\.so$'
assert_ge "tracepoint's arguments" "$(json opens | jq .value)" 1
assert_eq "only of the target" "$(json opens | jq .key)" "$pid"
assert_ge "raw tracepoint" "$(json switches | jq .value)" 1
assert_eq "perf records" "$(sql "$run" "SELECT count(*) FROM plugin WHERE map = 'events' AND
	pid = $pid AND json ->> 'comm' = 'fake_engine'")" "$decodes"
assert_eq "ring records" "$(sql "$run" "SELECT count(*) FROM plugin WHERE map = 'ring'")" "$decodes"
assert_eq "lost" "$(sql "$run" "SELECT coalesce(sum(lost), 0) FROM loss")" 0
