#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every script of scripts/ answers its question rightly: against the made engine's own account, or
# against what is known of the run of Debian's llama.cpp.
. "$(dirname "$0")/lib.sh"
need_bpf

fake="$BUILD/tests/fake/fake_engine --decodes 11 --spin 20000"
ran=()
ready() { # SCRIPT COMMAND [ARG...]
	local script=$1 command=$2
	shift 2
	ran+=("$script")
	llmprobe script -q "$TOP/scripts/$script.bt" "$@" -c "$command" >"$TMP/out" ||
		fail "$script: $(cat "$TMP/out")"
}
said() { # JQ: of the made engine's account, which comes first
	sed '/"pid": [0-9]*}$/q' "$TMP/out" | jq -r "$1"
}
value() { # KEY
	awk -v k="$1:" 'index($0, k) == 1 {print $NF}' "$TMP/out"
}
total() { # MAP: of all its keys
	awk -v m="$1[" 'index($0, m) == 1 {n += $NF} END {print n + 0}' "$TMP/out"
}
bars() { # MAP: counts of its histograms
	awk -v m="$1" '/^@/ {on = index($0, m) == 1} on && /[|]/ {sub(/ *[|].*/, ""); n += $NF}
		END {print n + 0}' "$TMP/out"
}

ready op-latency "$fake"
assert_eq "operators in the histograms" "$(bars @us)" "$(said '[.threads[] | .ops + .fused] | add')"
assert_near "time of all operators" "$(total @total_ns)" "$(said '[.threads[].compute_ns] | add')" 20
ready matmul-size "$fake"
assert_eq "matrix products" "$(total @calls)" 286
ready token-times "$fake"
assert_eq "lines of calls" "$(grep -c 'tokens .* us$' "$TMP/out")" 11
assert_match "decodes" "$(cat "$TMP/out")" '^@us\[decode\]: .*count = 10,'
ready thread-imbalance "$fake --imbalance 100"
for worker in 0 1; do
	assert_near "compute time of worker $worker" "$(awk -v w=", $worker]:" '/^@compute_us/ && index($0, w) {
		n += $NF} END {print n * 1000}' "$TMP/out")" "$(said ".threads[$worker].compute_ns")" 20
done
ready barrier-wait "$fake"
assert_eq "waits" "$(bars @wait_ns)" "$(said '[.threads[] | .ops + .fused] | add')"
assert_eq "waits by operator" "$(total @total_us)" "$(value @all_us)"
ready expert-use "$fake --moe"
assert_eq "choices" "$(total @use)" "$(said '[.experts[][]] | add')"
assert_eq "choices in the prompt" "$(value '@by_phase[prefill]')" $((7 * 4 * 3))
assert_eq "first choices" "$(total @first)" $((17 * 3))
ready kv-growth "$fake --decodes 41"
assert_eq "calls in the table" "$(awk '$1 ~ /[.][.]/ {n += $2} END {print n}' "$TMP/out")" 40
assert_eq "rows" "$(grep -c '^ *[0-9]*[.][.]' "$TMP/out")" 3
ready preempted "$fake --decodes 41 --threads 6"
assert_ge "preemptions" "$(total @times)" 1
assert_eq "their histogram" "$(bars @us)" "$(total @times)"
ready api-calls "$fake" "$BUILD/tests/fake/libllama.so"
assert_eq "calls of llama_decode" "$(value '@calls[llama_decode]')" 11

debian_engine
model tiny
copy=$(dirname "$MODEL")/ready-$$.gguf
trap 'rm -f "$copy"; cleanup' EXIT
cp "$MODEL" "$copy" && sync "$copy"
bench="${IN_ROOT[*]} /usr/bin/llama-bench -m $(dirname "$MODEL_IN")/$(basename "$copy") -t 2 -p 8 -n 16 -r 1 --no-warmup"
ready op-faults "$bench"
assert_ge "faults in operators" "$(total @faults)" 1
ready load-memory "$bench"
assert_match "when it was loaded" "$(cat "$TMP/out")" '^first call after [0-9]+ ms$'
assert_ge "bytes of mapped files" "$(value '@bytes[mmap, file]')" "$(stat -c %s "$copy")"
assert_eq "sizes in the histogram" "$(bars @mmap_kib)" \
	$(($(value '@calls[mmap, file]') + $(value '@calls[mmap, anonymous]')))
assert_ge "faults while it was loaded" "$(value '@faults[loading]')" 100
dd if="$copy" iflag=nocache count=0 2>/dev/null
ready model-reads "$bench -lm mmap"
assert_ge "pieces read" "$(total @folios)" 1
assert_eq "scripts without a test" "$(for f in "$TOP"/scripts/*.bt; do basename "$f" .bt; done |
	grep -vxF "$(printf '%s\n' "${ran[@]}")")" ""
for script in "${ran[@]}"; do
	grep -q "scripts/$script.bt" "$TOP/docs/scripts.md" || fail "docs/scripts.md: nothing about $script"
done
