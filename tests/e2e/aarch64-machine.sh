#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Records Debian's llama.cpp on an emulated aarch64 machine: its probes are hit there, and it has the
# performance counters that most machines tests run on have not. Time counts in instructions there, so
# what hardware counters say of an operator can be compared to the last digit.
. "$(dirname "$0")/lib.sh"

aarch64_machine
model tiny
cp "$MODELS/tiny.gguf" "$SHARE"
aarch64-linux-gnu-gcc --sysroot "$CACHE/aarch64-root" -O1 -static -o "$SHARE/take_counters" \
	"$TOP/tests/machine/take_counters.c" ||
	fail "take_counters does not compile"
cat >"$SHARE/run" <<'RUN'
llmprobe=/share/llmprobe
counters=cycles,instructions,r11,CPU_CYCLES,task-clock,instructions:u
bench="chroot /engine llama-bench -m /share/tiny.gguf -p 0"
$llmprobe doctor --json >/share/doctor.json
# The programs are compiled in the first run, which takes longer here than the engine needs.
$llmprobe record -o /tmp/first.llmp --pmc $counters -- $bench -t 1 -n 8 -r 1 || exit 1
$llmprobe record -o /share/alone.llmp --pmc $counters -- $bench -t 1 -n 300 -r 1 || exit 1

$llmprobe record -o /share/none.llmp --pmc cycles,cache-misses -- $bench -n 1 2>/share/no-counter
echo $? >>/share/no-counter
$llmprobe record -o /share/none.llmp --pmc cycles,r11,r11,r11,r11,r11,r11,r11 -- $bench -n 1 2>/share/too-many
echo $? >>/share/too-many
$llmprobe -e 'hardware:cycles:1000000 { @[comm == "llama-bench"] = count(); }' -c "$bench -t 1 -n 16 -r 1" >/share/sampled
RUN
boot exact trixie

cat >"$SHARE/run" <<'RUN'
# Three of ours and six of another's on seven counters.
chroot /engine llama-bench -m /share/tiny.gguf -p 0 -t 2 -n 100000 -r 1 &
engine=$!
sleep 1
/share/take_counters $engine 6 >/share/taken &
taker=$!
sleep 0.5
/share/llmprobe record -d 5s -o /share/shared.llmp --pmc cycles,r11,CPU_CYCLES,task-clock -p $engine
kill $taker $engine
RUN
boot quick trixie

one() { # RUN QUERY: with the counters of a row side by side
	sql "$SHARE/$1.llmp" "WITH c AS (SELECT op_id, max(scaled) AS scaled,
		max(CASE name WHEN 'cycles' THEN value END) AS cycles,
		max(CASE name WHEN 'CPU_CYCLES' THEN value END) AS named,
		max(CASE name WHEN 'r11' THEN value END) AS raw,
		max(CASE name WHEN 'instructions' THEN value END) AS instructions,
		max(CASE name WHEN 'task-clock' THEN value END) AS clock
		FROM counter GROUP BY op_id) $2"
}

assert_eq "counters here" "$(jq -r '.. | objects | select(.name? == "hw_counters") | .ok // .status' \
	"$SHARE/doctor.json" | head -n 1)" true
graphs=$(sql "$SHARE/alone.llmp" 'SELECT count(*) FROM graph')
assert_eq "graphs" "$graphs" 301
assert_eq "operators" "$(sql "$SHARE/alone.llmp" 'SELECT count(*) FROM op')" $((graphs * 39))
assert_eq "lost" "$(sql "$SHARE/alone.llmp" 'SELECT sum(lost) FROM loss')" 0
assert_ge "operators with counters" "$(one alone 'SELECT count(*) FROM c')" 1000
# The counters of a row are read one after the other: an interrupt may come between.
assert_le "percent of rows where a name, a number and a libpfm name for one event differ" \
	"$(one alone 'SELECT 100.0 * sum(cycles != named OR cycles != raw) / count(*) FROM c')" 1
assert_le "percent of rows without 4 cycles per instruction" \
	"$(one alone 'SELECT 100.0 * sum(abs(cycles - 4 * instructions) > 4) / count(*) FROM c')" 1
assert_near "cycles per ns of CPU" "$(one alone 'SELECT 1.0 * sum(cycles) / sum(clock) FROM c')" 1 3
# An operator that does the same each time needs the same instructions each time.
assert_ge "percent of sums with the commonest count of instructions" "$(sql "$SHARE/alone.llmp" "SELECT
	100.0 * max(n) / sum(n) FROM (SELECT count(*) AS n FROM counter c JOIN op o ON o.id = c.op_id
	JOIN tensor t ON t.id = o.tensor_id WHERE c.name = 'instructions:u' AND t.op = 'ADD' GROUP BY c.value)")" 95
# Others that run meanwhile (this process among them) are not counted.
assert_le "percent of rows with more cycles than time" "$(one alone 'SELECT 100.0 * sum(c.cycles > 1.2 * (o.end_ns - o.begin_ns) + 50000) / count(*) FROM c JOIN op o ON o.id = c.op_id')" 1
"$LLMPROBE" report "$SHARE/alone.llmp" >"$TMP/report" || fail "report"
assert_match "report" "$(cat "$TMP/report")" 'instr/cycle 0.25'

assert_match "a counter that is not there" "$(cat "$SHARE/no-counter")" \
	"'cache-misses': this machine has no such hardware counter; it has cycles, instructions, .*task-clock"
assert_match "too many" "$(cat "$SHARE/too-many")" 'only 7 of these hardware counters fit at once'
assert_eq "exit" "$(tail -qn 1 "$SHARE/no-counter" "$SHARE/too-many" | paste -sd' ')" "1 1"
assert_match "samples of the engine" "$(cat "$SHARE/sampled")" '@\[true\]: [0-9]+'

assert_ge "rows with a part of the hardware's time" "$(one shared 'SELECT sum(scaled) FROM c')" 1
others=$(one shared 'SELECT count(*) FROM c WHERE cycles IS NULL')
assert_ge "rows while others had the hardware" "$others" 50
assert_eq "rows whose software counter was scaled or left out" "$(sql "$SHARE/shared.llmp" "SELECT
	(SELECT count(*) FROM counter WHERE name = 'task-clock' AND scaled) +
	(SELECT count(DISTINCT op_id) FROM counter) -
	(SELECT count(*) FROM counter WHERE name = 'task-clock')")" 0
assert_near "cycles per ns of CPU where they were counted" \
	"$(one shared 'SELECT 1.0 * sum(cycles) / sum(clock) FROM c WHERE cycles IS NOT NULL')" 1 15
"$LLMPROBE" report "$SHARE/shared.llmp" >"$TMP/report" || fail "report"
assert_match "report" "$(cat "$TMP/report")" "$others operator rows have no values of hardware counters"
assert_match "report" "$(cat "$TMP/report")" 'cycles .*% of the rows'
