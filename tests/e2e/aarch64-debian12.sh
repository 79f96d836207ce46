#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Records Debian's llama.cpp under Debian 12's kernel, on an emulated aarch64 machine: no multi-uprobes, no
# process filter, and a verifier that understands less. Without bpf_loop its programs are those of
# kernels before 5.17.
. "$(dirname "$0")/lib.sh"

aarch64_machine
model tiny
model moe
cp "$MODELS/tiny.gguf" "$MODELS/moe.gguf" "$SHARE"
cat >"$SHARE/run" <<'RUN'
record() {
	local run=$1
	shift
	/share/llmprobe record -o /share/$run.llmp -- chroot /engine llama-bench -t 2 -p 8 -n 8 -r 1 "$@"
}
uname -r >/share/release
record old-tiny -m /share/tiny.gguf
record old-moe -m /share/moe.gguf
LLMPROBE_WITHOUT=bpf_loop record older-moe -m /share/moe.gguf
RUN
boot quick bookworm

assert_match "the older kernel" "$(cat "$SHARE/release")" '^6\.1\.'
for run in old-tiny old-moe older-moe; do
	graphs=$(sql "$SHARE/$run.llmp" 'SELECT count(*) FROM graph')
	assert_eq "$run: graphs" "$graphs" 11
	assert_eq "$run: lost" "$(sql "$SHARE/$run.llmp" 'SELECT sum(lost) FROM loss')" 0
	assert_eq "$run: operators per graph and thread" "$(sql "$SHARE/$run.llmp" "SELECT count(*) / $graphs / 2.0 FROM op")" \
		$([ $run = old-tiny ] && echo 39.0 || echo 153.0)
done
assert_ge "choices of experts" "$(sql "$SHARE/old-moe.llmp" 'SELECT count(*) FROM expert')" 100
assert_eq "the same without bpf_loop" "$(sql "$SHARE/older-moe.llmp" 'SELECT count(*) FROM expert')" \
	"$(sql "$SHARE/old-moe.llmp" 'SELECT count(*) FROM expert')"
