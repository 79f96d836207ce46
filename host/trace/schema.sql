-- SPDX-License-Identifier: Apache-2.0
-- The store of one run. Tables whose names end in _t may change; the views are the public schema
-- (see the man page, RUN FILES): name, column and meaning stay.
-- Times are ns of CLOCK_MONOTONIC. NULL means not recorded.

CREATE TABLE run_t(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
-- phase: encode (the probe point says so), prefill (several tokens of one sequence), decode (one
-- token, or one for each of several sequences) or unknown (the number of tokens could not be read).
-- first_op and last_op bound the ids of the op rows inside; rows of other calls running at the same
-- time may lie between them.
CREATE TABLE token_t(id INTEGER PRIMARY KEY, begin_ns INT, end_ns INT, pid INT, tid INT,
	context INT, phase TEXT, n_tokens INT, ret INT, first_op INT, last_op INT);
CREATE TABLE graph_t(id INTEGER PRIMARY KEY, token_id INT, begin_ns INT, end_ns INT, pid INT,
	tid INT, backend TEXT, n_nodes INT, depth INT, first_op INT, last_op INT);
-- Graphs of backends that only queue work: the graph's end_ns is when a wait for the backend returned
-- (or when its next graph began), submit_ns when the compute function did.
CREATE TABLE graph_async_t(graph_id INTEGER PRIMARY KEY, submit_ns INT);
-- One row per distinct tensor (name, op, type, shape, sources), however often it was computed.
-- kind: activation, weight, kv, input, view or fused (stands for a fused pair: the pair's own rows
-- exist too, without op rows, and the pair has their edges to the outside). flops and bytes are models made from shape and type
-- (for MUL_MAT_ID with the mean number of distinct experts where experts were recorded);
-- bytes = weight_bytes + kv_bytes + activations.
CREATE TABLE tensor_t(id INTEGER PRIMARY KEY, name TEXT, layer INT, op TEXT, type TEXT,
	ne0 INT, ne1 INT, ne2 INT, ne3 INT, flops REAL, bytes REAL, weight_bytes REAL,
	kv_bytes REAL, kind TEXT);
CREATE TABLE edge_t(src_tensor INT, dst_tensor INT, slot INT);
CREATE TABLE op_t(id INTEGER PRIMARY KEY, token_id INT, graph_id INT, tensor_id INT, tid INT,
	thread_index INT, cpu INT, begin_ns INT, compute_ns INT, wait_ns INT);
-- Summaries instead of events (operators.mode: summary).
CREATE TABLE op_sum_t(tensor_id INT, tid INT, thread_index INT, count INT, compute_ns INT,
	min_ns INT, max_ns INT, wait_ns INT, histogram TEXT);
CREATE TABLE counter_name_t(id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE counter_t(op_id INT, name_id INT, value INT, scaled INT,
	PRIMARY KEY(op_id, name_id)) WITHOUT ROWID;
-- prev and next: whom a running thread took the CPU from and whom it left it to (tid 0: idle).
CREATE TABLE sched_t(tid INT, cpu INT, begin_ns INT, end_ns INT, state TEXT, by_tid INT,
	by_comm TEXT, prev_tid INT, prev_comm TEXT, next_tid INT, next_comm TEXT);
-- run_ns and wait_ns: the kernel's own sums between the first and the last look at the thread.
CREATE TABLE thread_t(tid INTEGER PRIMARY KEY, pid INT, name TEXT, run_ns INT, wait_ns INT);
CREATE TABLE expert_t(op_id INT, tensor_id INT, token_index INT, slot INT, expert INT);
CREATE TABLE call_t(id INTEGER PRIMARY KEY, name TEXT, begin_ns INT, end_ns INT, pid INT, tid INT,
	arg0 INT, arg1 INT, arg2 INT, arg3 INT, ret INT);
-- What plugins sent (map: a perf or ring output) and counted (map: a table, one row per entry at the
-- end of the recording). at_ns, pid and tid come from members of those names (ts, pid or tgid, tid) and
-- are NULL or the time of collection otherwise; json holds all members.
CREATE TABLE plugin_t(plugin TEXT, map TEXT, at_ns INT, pid INT, tid INT, json TEXT);
CREATE TABLE loss_t(level TEXT, buffer TEXT, lost INT);
CREATE TABLE cost_t(begin_ns INT, end_ns INT, level TEXT, hits INT, run_ns INT, estimate_ns INT);
-- Level switches, governor decisions, warnings: what happened to the recording itself.
CREATE TABLE note_t(at_ns INT, kind TEXT, text TEXT);
-- Sums made once at conversion so that reports on millions of rows stay fast; they equal the sums
-- over op to the ns. phase is that of the token row, '' outside of any. wait_known counts the rows
-- whose barrier was seen; wait_ns sums over those only. op_token_t may hold several rows per key.
CREATE TABLE op_phase_t(phase TEXT, tensor_id INT, tid INT, thread_index INT, count INT,
	compute_ns INT, wait_ns INT, wait_known INT, min_ns INT, max_ns INT);
CREATE TABLE op_token_t(token_id INT, op TEXT, thread_index INT, count INT, compute_ns INT,
	wait_ns INT);
CREATE TABLE counter_phase_t(phase TEXT, tensor_id INT, thread_index INT, name_id INT, count INT,
	value REAL, scaled INT);

CREATE VIEW run AS SELECT key, value FROM run_t;
CREATE VIEW token AS SELECT id, begin_ns, end_ns, pid, tid, context, phase, n_tokens FROM token_t;
CREATE VIEW graph AS SELECT id, token_id, begin_ns, end_ns, pid, tid, backend, n_nodes FROM graph_t;
CREATE VIEW graph_async AS SELECT graph_id, submit_ns FROM graph_async_t;
CREATE VIEW tensor AS SELECT id, name, layer, op, type, ne0, ne1, ne2, ne3, flops, bytes
	FROM tensor_t;
CREATE VIEW edge AS SELECT src_tensor, dst_tensor, slot FROM edge_t;
CREATE VIEW op AS SELECT o.id, o.token_id, o.graph_id, o.tensor_id, t.pid, o.tid, o.thread_index,
	o.cpu, o.begin_ns, o.begin_ns + o.compute_ns AS end_ns, o.wait_ns, g.backend
	FROM op_t o LEFT JOIN thread_t t ON t.tid = o.tid LEFT JOIN graph_t g ON g.id = o.graph_id;
CREATE VIEW counter AS SELECT c.op_id, n.name, c.value, c.scaled
	FROM counter_t c JOIN counter_name_t n ON n.id = c.name_id;
CREATE VIEW sched AS SELECT tid, cpu, begin_ns, end_ns, state, by_tid, by_comm FROM sched_t;
CREATE VIEW sched_run AS SELECT tid, cpu, begin_ns, end_ns, prev_tid, prev_comm, next_tid, next_comm
	FROM sched_t WHERE state = 'running';
CREATE VIEW thread AS SELECT tid, pid, name FROM thread_t;
CREATE VIEW expert AS SELECT op_id, token_index, slot, expert FROM expert_t;
CREATE VIEW call AS SELECT id, name, begin_ns, end_ns, pid, tid, arg0, arg1, arg2, arg3, ret
	FROM call_t;
CREATE VIEW plugin AS SELECT plugin, map, at_ns, pid, tid, json FROM plugin_t;
CREATE VIEW loss AS SELECT level, buffer, lost FROM loss_t;
CREATE VIEW cost AS SELECT begin_ns, end_ns, level, hits, run_ns, estimate_ns FROM cost_t;
CREATE VIEW note AS SELECT at_ns, kind, text FROM note_t;
CREATE VIEW op_summary AS SELECT tensor_id, tid, thread_index, count, compute_ns, min_ns, max_ns,
	wait_ns, histogram FROM op_sum_t;
