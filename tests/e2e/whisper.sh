#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Debian's whisper.cpp: passes, graphs and operators, against what its own public functions tell.
. "$(dirname "$0")/lib.sh"
need_bpf
debian_engine --whisper
whisper_model

run=$TMP/run.llmp
nodes "$ROOT"
llmprobe record --force -o "$run" -- env "${NODES[@]}" "${IN_ROOT[@]}" /usr/bin/whisper-bench -m "$MODEL_IN" -t 2 \
	>"$TMP/bench" 2>&1 || fail "record: $(cat "$TMP/stderr")"
assert_eq "lost" "$(sql "$run" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
assert_nodes "whisper-bench" "$run" --skips-views --fuses
assert_ge "encoder passes" "$(sql "$run" "SELECT count(*) FROM token WHERE phase = 'encode'")" 1
assert_ge "decoder passes" "$(sql "$run" "SELECT count(*) FROM token WHERE phase = 'decode'")" 100
assert_eq "decoder passes without a graph" "$(sql "$run" "SELECT count(*) FROM token t WHERE
	phase <> 'encode' AND NOT EXISTS (SELECT 1 FROM graph WHERE token_id = t.id)")" 0
assert_ge "graphs" "$(sql "$run" 'SELECT count(*) FROM graph')" 100
assert_eq "graphs outside of passes" "$(sql "$run" 'SELECT count(*) FROM graph WHERE token_id IS NULL')" 0
assert_eq "operators without a name or kind" "$(sql "$run" "SELECT count(*) FROM op o LEFT JOIN tensor t
	ON t.id = o.tensor_id WHERE coalesce(t.op, '') = ''")" 0
# Both threads run every operator of a graph.
assert_eq "graphs whose threads ran unequal numbers" "$(sql "$run" 'SELECT count(*) FROM
	(SELECT graph_id FROM (SELECT graph_id, thread_index, count(*) AS n FROM op GROUP BY 1, 2)
	GROUP BY graph_id HAVING min(n) <> max(n))')" 0
