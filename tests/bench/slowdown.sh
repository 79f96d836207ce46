#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The slowdown of the traced program on Debian's libllama, per level and against bpftrace.
#
#   tests/bench/slowdown.sh [-m MODEL] [-n ROUNDS] [-t THREADS] [-P] [-b] [-c] [-w]
#
# MODEL is one that gguf_make writes (default llama-1b). -P measures prompts of 32 tokens, -b leaves
# bpftrace out, -c compares CPU time (sensible with -t 1), -w tells instead where the time goes (traps,
# programs, drain; bench_parts). Wants a machine with nothing else to do; takes about 10 s a round.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${LLMPROBE_BUILD:-$top/build}
cache=${XDG_CACHE_HOME:-/var/cache}/llmprobe
model=llama-1b
rounds=20
prompt=0
threads=2
tokens=96
flags=
parts=
while getopts m:n:t:Pbcw opt; do
	case $opt in
	m) model=$OPTARG ;;
	n) rounds=$OPTARG ;;
	P) prompt=32 tokens=0 flags="$flags -P" ;;
	t) threads=$OPTARG ;;
	c) flags="$flags -c" ;;
	b) flags="$flags -b" ;;
	w) parts=yes ;;
	*) exit 2 ;;
	esac
done
root=$("$top/tests/engines/get-debian-llama")
mkdir -p "$cache/models"
# "moe -t f16" is kept as moe-f16.gguf
file=$cache/models/$model.gguf
[ -e "$file" ] || "$build/tests/gguf_make" "${model%%-f16}" $([ "$model" = "${model%-f16}" ] || echo -t f16) -o "$file"
log=$root/tmp/slowdown.log
rm -f "$log"
rm -f "$root/tmp/ggml_drive" # may be busy still
cp "$build/tests/ggml_drive" "$root/tmp/ggml_drive"
chroot "$root" /tmp/ggml_drive -p "$prompt" -n "$tokens" -t "$threads" -r 100000 -l /tmp/slowdown.log \
	/usr/lib/x86_64-linux-gnu/libllama.so.0 "/models/$model.gguf" >/dev/null 2>&1 &
engine=$!
trap 'kill $engine 2>/dev/null; rm -rf "$log" /dev/shm/bench-slowdown.*' EXIT
# a big model that was never read takes its time
for _ in $(seq 600); do
	[ -s "$log" ] && break
	kill -0 $engine 2>/dev/null || break
	sleep 0.2
done
[ -s "$log" ] || {
	echo "slowdown.sh: the engine did not begin with $file" >&2
	exit 1
}
if [ "$parts" ]; then
	"$build/tests/bench_parts" -n "$rounds" -t "$threads" $flags "$build/llmprobe" "$log" "$engine"
	exit
fi
# as the engine sees it: bpftrace looks below the engine's own root
lib=$(awk '/libggml-cpu/ { print $6; exit }' "/proc/$engine/maps")
lib=${lib#"$root"}
"$build/tests/bench_slowdown" -n "$rounds" $flags "$build/llmprobe" "$lib" "$log" "$engine"
