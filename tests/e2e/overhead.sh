#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# llmprobe overhead on the made engine: what it prints, that levels
# are switched on and off under way, and what it says where it cannot measure.
. "$(dirname "$0")/lib.sh"
need_bpf

fake=$BUILD/tests/fake/fake_engine
start "$fake" -d 10000000 -s 20000
engine=$PID
expect_exit 0 overhead -p "$engine" -d 15s --json
cp "$TMP/stdout" "$TMP/json"
assert_eq "settings" "$(jq -c '[.settings[].levels]' "$TMP/json")" \
	'["token","token, graph","token, operator (begin only)","token, operator","token, scheduler","all levels"]'
assert_ge "rounds" "$(jq .rounds "$TMP/json")" 5
assert_eq "estimates" "$(jq -c '[.settings[] | select(.estimate) | .levels]' "$TMP/json")" '["token"]'
assert_eq "medians outside of their intervals" "$(jq '[.settings[] | select(.estimate | not)
	| select(.slowdown < .low or .slowdown > .high)] | length' "$TMP/json")" 0
# An operator of this engine is busy for 20 us by the clock, and a decode has 20 of them and more.
for time in $(jq '.settings[].token_ns' "$TMP/json"); do
	assert_ge "ns per token" "$time" 400000
	assert_le "ns per token" "$time" 20000000
done
assert_ge "the token level's share" "$(jq '.settings[0].slowdown' "$TMP/json")" 0.000001
assert_le "the token level's share" "$(jq '.settings[0].slowdown' "$TMP/json")" 0.05

expect_exit 0 overhead -p "$engine" -d 6s --levels token,graph
assert_eq "rows" "$(grep -c '^token' "$TMP/stdout")" 2
assert_match "rows" "$(cat "$TMP/stdout")" 'token, graph .* to .*%'
assert_match "foot" "$(cat "$TMP/stdout")" '[0-9]+ rounds, decodes of one token'
kill -0 "$engine" || fail "the target did not survive"

# Too little to tell anything: how much there was, and how much it takes.
kill -STOP "$engine"
expect_exit 1 overhead -p "$engine" -d 1s
assert_match "a target that does nothing" "$(cat "$TMP/stderr")" 'only 0 rounds .* 5 are needed.* 84 decodes; 0 were seen'
kill -CONT "$engine"
start sleep 100
expect_exit 1 overhead -p "$PID" -d 1s
assert_match "no engine" "$(cat "$TMP/stderr")" 'no probe point was found'
expect_exit 2 overhead -p "$engine" -d 1x
