#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job: Debian's stripped llama.cpp in its chroot, all levels, checked against llama-bench's
# own figures and against the number of nodes that it executes.
. "$(dirname "$0")/lib.sh"
need_bpf
debian_engine

run=$TMP/run.llmp
record() { # OPTIONS of llama-bench
	nodes "$ROOT"
	llmprobe record --force -o "$run" -- env "${NODES[@]}" "${IN_ROOT[@]}" /usr/bin/llama-bench \
		-m "$MODEL_IN" -r 1 --no-warmup "$@" >"$TMP/bench" || fail "record: $(cat "$TMP/stderr")"
	assert_eq "lost" "$(sql "$run" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
}

model tiny
record -t 2 -p 8 -n 16
assert_nodes "llama-bench" "$run" --skips-views --fuses
assert_eq "decode calls" "$(sql "$run" "SELECT count(*) FROM token WHERE phase = 'decode'")" 16
assert_eq "prompt tokens" "$(sql "$run" "SELECT sum(n_tokens) FROM token WHERE phase = 'prefill'")" 8
# 2 layers: 34 plain operators and 5 fused pairs, on each thread, in each graph.
assert_eq "operators per decode and thread" "$(sql "$run" 'SELECT DISTINCT n FROM (SELECT count(*) AS n
	FROM op GROUP BY token_id, thread_index)')" 39
assert_eq "threads" "$(sql "$run" 'SELECT count(DISTINCT thread_index) FROM op')" 2
# Barriers inside of matrix products cost nothing: one hit where a node ends, and where a worker begins.
assert_eq "probe hits per decode and thread" "$(sql "$run" "SELECT sum(hits) / (SELECT count(*) FROM graph) / 2.0
	FROM cost WHERE level = 'operator'")" 40.0
# The estimate has the trap in it, not only the program: no machine traps in 50 ns.
assert_ge "ns per hit, estimated" "$(sql "$run" "SELECT sum(estimate_ns) / sum(hits) FROM cost
	WHERE level = 'operator'")" 300
assert_eq "operators without a name" "$(sql "$run" "SELECT count(*) FROM op o
	LEFT JOIN tensor t ON t.id = o.tensor_id WHERE coalesce(t.name, '') = ''")" 0
assert_eq "dimensions of result_output" "$(sql "$run" "SELECT DISTINCT ne0 || ' ' || op || ' ' || type
	FROM tensor WHERE name = 'result_output'")" "512 MUL_MAT f32"

model llama-1b
record -t 2 -p 0 -n 24
seen=$(sql "$run" "SELECT sum(n_tokens) * 1e9 / sum(end_ns - begin_ns) FROM token WHERE phase = 'decode'")
assert_near "decoded tokens/s" "$seen" "$(bench_rate tg24 <"$TMP/bench")" 1
# Operators and waits of a thread cover a graph, but for what comes before the first operator: in the
# first graph the threads are created, and on a busy machine they wait for each other's CPU. So
# only graphs are judged before whose first operators no thread was without a CPU.
sql "$run" "CREATE TEMP TABLE c AS SELECT g.id, o.tid, g.begin_ns AS b, g.end_ns AS e,
		min(o.begin_ns) AS f, sum(o.end_ns - o.begin_ns + coalesce(o.wait_ns, 0)) AS s
		FROM graph g JOIN op o ON o.graph_id = g.id GROUP BY g.id, o.tid;
	SELECT min(s * 100.0 / (e - b)) FROM c WHERE id > 1 GROUP BY id HAVING NOT EXISTS (SELECT 1
		FROM c AS d JOIN sched k ON k.tid = d.tid WHERE d.id = c.id AND k.state = 'runnable'
		AND k.end_ns > d.b AND k.begin_ns < d.f) ORDER BY 1" >"$TMP/cover"
assert_ge "graphs judged" "$(wc -l <"$TMP/cover")" 3
assert_ge "percent of a graph covered by each thread, the least" "$(head -n 1 "$TMP/cover")" 97
