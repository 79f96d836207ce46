#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A server that decodes for several users at once: one token for each sequence is a decode, not a
# prompt, and no token is counted twice.
. "$(dirname "$0")/lib.sh"
need_bpf
debian_engine
model tiny
command -v curl >/dev/null || skip_unless_ci "needs curl"

USERS=3 PROMPT=10 PREDICT=2000
port=$((20000 + $$ % 10000))
"$LLMPROBE" record -o "$TMP/run.llmp" -- "${IN_ROOT[@]}" /usr/bin/llama-server -m "$MODEL_IN" \
	-np $USERS -c $((USERS * 2048)) -t 1 --no-warmup --host 127.0.0.1 --port "$port" --no-webui \
	>"$TMP/server.log" 2>&1 &
recorder=$!
PIDS+=("$recorder")
healthy() {
	curl -sf -m 2 "http://127.0.0.1:$port/health" >/dev/null
}
wait_for 30 healthy
server=$(cut -d' ' -f1 "/proc/$recorder/task/$recorder/children")
complete() { # USER
	curl -sf -m 60 "http://127.0.0.1:$port/completion" -o "$TMP/answer.$1" -d "{
		\"prompt\": [1, 2, 3, 4, 5, 6, 7, 8, 9, 1$1], \"n_predict\": $PREDICT,
		\"ignore_eos\": true}"
}
# What the server tries out at its start is none of theirs.
since=$(awk '{printf "%.0f", $1 * 1e9}' /proc/uptime)
asked=()
for user in $(seq $USERS); do
	complete "$user" &
	asked+=($!)
done
wait "${asked[@]}" || fail "the server did not answer"
kill "$server"
wait "$recorder"
assert_eq "exit" $? 0
assert_eq "lost" "$(sql "$TMP/run.llmp" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
# The last token of an answer is not computed with.
assert_eq "tokens" "$(sql "$TMP/run.llmp" "SELECT sum(n_tokens) FROM token
	WHERE begin_ns >= $since")" \
	$((USERS * (PROMPT + PREDICT - 1)))
assert_eq "calls with a prompt" "$(sql "$TMP/run.llmp" "SELECT count(*) FROM token WHERE n_tokens >=
	$PROMPT")" "$(sql "$TMP/run.llmp" "SELECT count(*) FROM token WHERE phase = 'prefill'
	AND begin_ns >= $since")"
assert_ge "decodes for all users" "$(sql "$TMP/run.llmp" "SELECT count(*) FROM token
	WHERE phase = 'decode' AND n_tokens = $USERS")" 20
