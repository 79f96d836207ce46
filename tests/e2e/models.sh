#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every model that gguf_make writes loads and runs in a real llama.cpp, and is the same each time.
. "$(dirname "$0")/lib.sh"

debian_engine
for name in tiny moe qwen2 qwen3 gemma2 gemma3; do
	model $name
	out=$(in_root /usr/bin/llama-bench -m "$MODEL_IN" -t 2 -p 8 -n 4 -r 1 2>&1) ||
		fail "llama-bench refuses $name: $out"
	assert_ge "$name: prompt tokens/s" "$(bench_rate pp8 <<<"$out")" 1
	assert_ge "$name: generated tokens/s" "$(bench_rate tg4 <<<"$out")" 1
done
for type in f32 f16 q4_0 q8_0; do
	model tiny --type $type
	out=$(in_root /usr/bin/llama-bench -m "$MODEL_IN" -t 2 -p 0 -n 2 -r 1 2>&1) ||
		fail "llama-bench refuses tiny as $type: $out"
	assert_ge "tiny $type: tokens/s" "$(bench_rate tg2 <<<"$out")" 1
done

debian_engine --whisper
whisper_model
out=$(in_root /usr/bin/whisper-bench -m "$MODEL_IN" -t 2 2>&1) || fail "whisper-bench: $out"
assert_match "whisper" "$out" "encode time = .* 1 runs"

make=$BUILD/tests/gguf_make
"$make" tiny -o "$TMP/a" && "$make" tiny -o "$TMP/b" && "$make" tiny -s 2 -o "$TMP/c" || fail gguf_make
cmp "$TMP/a" "$TMP/b" || fail "the same seed gave other bytes"
! cmp -s "$TMP/a" "$TMP/c" || fail "another seed gave the same bytes"
for bad in "nomodel -o $TMP/x" "tiny -t q9 -o $TMP/x" "tiny -l 0 -o $TMP/x" "tiny"; do
	# shellcheck disable=SC2086
	"$make" $bad 2>"$TMP/err"
	assert_eq "exit of gguf_make $bad" $? 2
	[ ! -e "$TMP/x" ] || fail "gguf_make $bad wrote a file"
done
