-- SPDX-License-Identifier: Apache-2.0
-- The report's figures as views over all runs of the database: SELECT * FROM llmprobe.report_rates.
-- Written by llmprobe export; load.sql runs it. Times in ns.
CREATE SCHEMA IF NOT EXISTS llmprobe;
SET search_path TO llmprobe;

-- Calls of a context in order; a pause longer than sampling takes ends a sequence, and a decode out of
-- nothing is a benchmark warming up.
CREATE OR REPLACE VIEW report_calls AS
WITH calls AS (
	SELECT run_id, pid, context, phase, n_tokens, begin_ns, end_ns,
		lag(begin_ns) OVER w AS prev_begin, lag(end_ns) OVER w AS prev_end,
		lag(phase) OVER w AS prev_phase
	FROM token WHERE end_ns IS NOT NULL
	WINDOW w AS (PARTITION BY run_id, pid, context ORDER BY begin_ns)
), gaps AS (
	SELECT *, prev_end IS NULL OR begin_ns - prev_end > 5000000 +
		CASE WHEN prev_phase = 'decode' AND prev_end - prev_begin >= 20000000
			THEN (prev_end - prev_begin) / 4.0 ELSE 0 END AS fresh
	FROM calls
), numbered AS (
	SELECT *, sum((fresh OR prev_phase <> phase)::int)
		OVER (PARTITION BY run_id, pid, context ORDER BY begin_ns) AS sequence
	FROM gaps
), placed AS (
	SELECT *, row_number() OVER s AS place, first_value(fresh) OVER s AS from_nothing,
		count(*) OVER (PARTITION BY run_id, pid, context, sequence) AS of
	FROM numbered
	WINDOW s AS (PARTITION BY run_id, pid, context, sequence ORDER BY begin_ns)
)
SELECT run_id, pid, context, phase, sequence, n_tokens, begin_ns, end_ns,
	CASE WHEN phase <> 'decode' THEN end_ns - begin_ns
		WHEN from_nothing AND of > 1 AND place = 1 THEN NULL
		WHEN place = 1 OR (from_nothing AND place = 2) THEN end_ns - begin_ns
		ELSE end_ns - prev_end END AS sample_ns
FROM placed;

-- For decode the samples are the times per output token.
CREATE OR REPLACE VIEW report_rates AS
SELECT run_id, phase, count(*) AS calls, sum(n_tokens) AS tokens, sum(end_ns - begin_ns) AS wall_ns,
	avg(sample_ns) AS mean_ns,
	percentile_cont(0.50) WITHIN GROUP (ORDER BY sample_ns) AS p50_ns,
	percentile_cont(0.95) WITHIN GROUP (ORDER BY sample_ns) AS p95_ns,
	percentile_cont(0.99) WITHIN GROUP (ORDER BY sample_ns) AS p99_ns
FROM report_calls GROUP BY run_id, phase;

CREATE OR REPLACE VIEW report_operators AS
SELECT o.run_id, k.phase, t.op, count(*) AS "rows", sum(o.end_ns - o.begin_ns) AS compute_ns,
	sum(o.wait_ns) AS wait_ns
FROM op o JOIN tensor t ON t.run_id = o.run_id AND t.id = o.tensor_id
	LEFT JOIN token k ON k.run_id = o.run_id AND k.id = o.token_id
GROUP BY o.run_id, k.phase, t.op;

CREATE OR REPLACE VIEW report_workers AS
SELECT o.run_id, o.thread_index, o.tid, h.name, count(*) AS "rows",
	sum(o.end_ns - o.begin_ns) AS compute_ns, sum(o.wait_ns) AS wait_ns
FROM op o LEFT JOIN thread h ON h.run_id = o.run_id AND h.tid = o.tid
GROUP BY o.run_id, o.thread_index, o.tid, h.name;

-- Who had the CPU while a thread of the target was ready to run: half the time the task that took it
-- first, half the one that had it last; a thread of the kernel that came first soon left it to the task
-- that kept it. NULL: not known.
CREATE OR REPLACE VIEW report_culprits AS
WITH waits AS (
	SELECT s.run_id, s.end_ns - s.begin_ns AS ns, s.by_tid AS first_tid, s.by_comm AS first,
		r.prev_tid AS last_tid, r.prev_comm AS last
	FROM sched s LEFT JOIN sched_run r ON r.run_id = s.run_id AND r.tid = s.tid
		AND r.begin_ns = s.end_ns AND r.prev_tid > 0
	WHERE s.state = 'runnable'
), kernel AS (
	SELECT '^(kworker/|ksoftirqd/|migration/|rcu_|rcuc/|rcuog/|cpuhp/|irq/|kswapd|kcompactd'
		'|khugepaged|kthreadd|jbd2/|ktimers/|kblockd)' AS names
), parts AS (
	SELECT waits.*, CASE WHEN last IS NULL THEN 1 WHEN first IS NULL THEN 0
		WHEN first ~ names AND last !~ names THEN 0 ELSE 0.5 END AS part
	FROM waits, kernel
), shares AS (
	SELECT run_id, first AS by_comm, first_tid AS by_tid, ns * part AS ns FROM parts WHERE part > 0
	UNION ALL
	SELECT run_id, last, last_tid, ns * (1 - part) FROM parts WHERE part < 1
)
SELECT run_id, by_comm, by_tid, count(*) AS times, sum(ns)::float8 AS total_ns,
	max(ns)::float8 AS longest_ns
FROM shares GROUP BY run_id, by_comm, by_tid;

CREATE OR REPLACE VIEW report_losses AS
SELECT run_id, level, sum(lost) AS lost FROM loss GROUP BY run_id, level;

CREATE OR REPLACE VIEW report_cost AS
SELECT run_id, level, sum(hits) AS hits, sum(run_ns) AS run_ns, sum(estimate_ns) AS estimate_ns
FROM cost GROUP BY run_id, level;
