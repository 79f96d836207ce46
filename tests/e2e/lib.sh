# SPDX-License-Identifier: Apache-2.0
# What the end-to-end tests share. A test is a bash script in this folder that begins with
#   . "$(dirname "$0")/lib.sh"
# and works in $TMP, which goes away with it. A failed assertion ends the test. Processes begun with
# `start` are ended, by their ids, whatever happens.
# shellcheck shell=bash
set -u
set -o pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${LLMPROBE_BUILD:-$TOP/build}
LLMPROBE=$BUILD/llmprobe
ENGINES=$TOP/tests/engines
CACHE=${XDG_CACHE_HOME:-/var/cache}/llmprobe
MODELS=$CACHE/models
TMP=$(mktemp -d "${TMPDIR:-/tmp}/llmprobe-e2e.XXXXXX")
PIDS=()
# Nothing of the user's own settings reaches a test.
export XDG_CONFIG_HOME=$TMP/config XDG_DATA_HOME=$TMP/data NO_COLOR=1

cleanup() {
	local pid
	for pid in "${PIDS[@]}"; do
		kill "$pid" 2>/dev/null
	done
	for pid in "${PIDS[@]}"; do
		wait "$pid" 2>/dev/null
	done
	rm -rf "$TMP"
	[ -z "${NODES_ROOT:-}" ] || rm -rf "${NODES_ROOT:?}$TMP"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() {
	echo "FAIL: $*"
	exit 1
}

# skip REASON: what cannot be tested here.
skip() {
	echo "$*"
	exit 77
}

# skip_unless_ci REASON: what every CI machine must have.
skip_unless_ci() {
	[ "${CI:-}" != true ] || fail "$* (must not be missing where CI=true)"
	skip "$@"
}

assert_eq() { # WHAT GOT WANTED
	[ "$2" = "$3" ] || fail "$1: $2, wanted $3"
	echo "$1: $2"
}

# Numbers may have fractions; anything else fails.
compare() { # WHAT GOT OPERATOR WANTED
	awk -v a="$2" -v b="$4" 'BEGIN {
		n = "^-?[0-9]+([.][0-9]+)?(e[-+]?[0-9]+)?$"
		exit !(a ~ n && b ~ n && (a + 0 '"$3"' b + 0))
	}' || fail "$1: $2, wanted $3 $4"
	echo "$1: $2"
}

assert_ge() { # WHAT GOT AT_LEAST
	compare "$1" "$2" '>=' "$3"
}

assert_le() { # WHAT GOT AT_MOST
	compare "$1" "$2" '<=' "$3"
}

assert_near() { # WHAT GOT WANTED PERCENT
	awk -v a="$2" -v b="$3" -v p="$4" 'BEGIN {
		d = a - b
		exit !(b != 0 && a != "" && (d < 0 ? -d : d) <= (b < 0 ? -b : b) * p / 100)
	}' || fail "$1: $2, wanted $3 within $4 %"
	echo "$1: $2 ($3 within $4 %)"
}

assert_match() { # WHAT TEXT PATTERN
	grep -qE -- "$3" <<<"$2" || fail "$1: no /$3/ in: $2"
	echo "$1: found /$3/"
}

# Runs llmprobe; standard output to the caller, standard error to $TMP/stderr and the log.
llmprobe() {
	local rc
	"$LLMPROBE" "$@" 2>"$TMP/stderr"
	rc=$?
	[ ! -s "$TMP/stderr" ] || sed 's/^/llmprobe: /' "$TMP/stderr" >&2
	return $rc
}

# expect_exit CODE ARGS...: like llmprobe, which must end with that code.
expect_exit() {
	local code=$1 rc
	shift
	llmprobe "$@" >"$TMP/stdout"
	rc=$?
	[ $rc = "$code" ] || fail "llmprobe $*: exit $rc, wanted $code: $(cat "$TMP/stderr")"
}

# start COMMAND...: in the background, ended with the test. Sets PID; output in $TMP/start.N.
start() {
	"$@" >"$TMP/start.${#PIDS[@]}" 2>&1 &
	PID=$!
	PIDS+=("$PID")
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || fail "never came true: $*"
		sleep 0.05
	done
}

sql() { # RUN QUERY: one row per line, columns separated by |
	sqlite3 -readonly "$1" "$2"
}

need_build() {
	[ -x "$LLMPROBE" ] || fail "$LLMPROBE is missing: tests/run build"
}

need_bpf() {
	need_build
	[ "$(id -u)" = 0 ] || skip_unless_ci "needs root for BPF"
	[ -e /sys/bus/event_source/devices/uprobe/type ] || skip_unless_ci "this kernel has no uprobes"
	[ -e /proc/sys/kernel/unprivileged_bpf_disabled ] || skip_unless_ci "this kernel has no bpf()"
}

# debian_engine [--whisper|--vulkan|--rpc]...: sets ROOT; then `in_root /usr/bin/llama-bench ...`, also
# as "${IN_ROOT[@]}" where a command line is needed.
debian_engine() {
	[ "$(id -u)" = 0 ] || skip_unless_ci "needs root for chroot"
	ROOT=$("$ENGINES/get-debian-llama" "$@") || skip_unless_ci "Debian's llama.cpp cannot be had"
	IN_ROOT=(chroot "$ROOT")
}

in_root() {
	"${IN_ROOT[@]}" "$@"
}

# npm_engine VERSION [--node]: sets ROOT and LIBLLAMA.
npm_engine() {
	# shellcheck disable=SC2086
	ROOT=$("$ENGINES/get-npm-llama" ${2:-} "$1") ||
		skip_unless_ci "node-llama-cpp $1 cannot be had"
	LIBLLAMA=$(find "$ROOT/lib" -name 'libllama*.so' ! -name '*common*' | sort | head -n 1)
	[ -n "$LIBLLAMA" ] || fail "no libllama in $ROOT/lib"
}

# npm_package NAME VERSION: sets ROOT to an unpacked package of the npm registry.
npm_package() {
	local name=${1#@}
	ROOT=$CACHE/engines/npm-${name//\//-}-$2
	[ -d "$ROOT" ] && return
	mkdir -p "$TMP/pack"
	(cd "$TMP/pack" && npm pack --silent "$1@$2" >/dev/null 2>&1 && mkdir x && tar -xzf ./*.tgz -C x) ||
		skip_unless_ci "$1 $2 cannot be had"
	mkdir -p "$CACHE/engines"
	mv "$TMP/pack/x" "$ROOT"
	rm -rf "$TMP/pack"
}

# model NAME [OPTIONS...]: sets MODEL (outside) and MODEL_IN (inside the Debian root).
model() {
	local file=${*// /}
	[ -x "$BUILD/tests/gguf_make" ] || fail "$BUILD/tests/gguf_make is missing: tests/run build"
	mkdir -p "$MODELS"
	MODEL=$MODELS/$file.gguf
	MODEL_IN=/models/$file.gguf
	# A newer writer may write other bytes.
	if [ ! -e "$MODEL" ] || [ "$BUILD/tests/gguf_make" -nt "$MODEL" ]; then
		"$BUILD/tests/gguf_make" "$@" -o "$MODEL" || fail "gguf_make $*"
	fi
}

# nodes [ROOT]: makes the engine that runs next under `env "${NODES[@]}"`, in that root if one is given,
# write down what it computes (see tests/engines/nodes), and forgets what was written before.
nodes() {
	local root=${1:-} dir
	[ -e "$BUILD/tests/libnodes.so" ] || fail "$BUILD/tests/libnodes.so is missing: tests/run build"
	[ -z "$root" ] || NODES_ROOT=$root
	# The same path on both sides: the chroot command itself preloads it, too.
	for dir in "$TMP/nodes" "$root$TMP/nodes"; do
		mkdir -p "$dir"
		cp "$BUILD/tests/libnodes.so" "$dir/"
	done
	NODES=("LD_PRELOAD=$TMP/nodes/libnodes.so" "NODES_LOG=$TMP/nodes/log")
	NODES_LOG=$root$TMP/nodes/log
	rm -f "$NODES_LOG"
}

# assert_nodes WHAT RUN [OPTIONS of compare]: the recording has what was written down, and only that.
assert_nodes() {
	local what=$1 run=$2 said
	shift 2
	said=$("$ENGINES/nodes/compare" "$@" "$NODES_LOG" "$run" 2>&1) || fail "$what: $said"
	echo "$what: $said"
}

# record_drive WHAT RUN LIBLLAMA MODEL: 8 tokens, then 16 single ones by "${DRIVE[@]}", the command line up
# to ggml_drive's options; after `nodes`.
record_drive() {
	llmprobe record --force -o "$2" -- env "${NODES[@]}" "${DRIVE[@]}" -p 8 -n 16 "$3" "$4" \
		>"$TMP/out" || fail "$1: record: $(cat "$TMP/stderr")"
	assert_eq "$1: lost" "$(sql "$2" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
	assert_eq "$1: calls, tokens" "$(sql "$2" 'SELECT count(*), sum(n_tokens) FROM token')" "17|24"
}

# whisper_model: sets MODEL and MODEL_IN to one of whisper.cpp's format.
whisper_model() {
	MODEL=$MODELS/whisper.bin
	MODEL_IN=/models/whisper.bin
	mkdir -p "$MODELS"
	[ -e "$MODEL" ] || "$BUILD/tests/whisper_make" "$MODEL" || fail whisper_make
}

# Tokens per second in llama-bench's table, which is on standard input.
bench_rate() { # TEST ("pp8", "tg32")
	awk -F'|' -v t="$1" '$0 ~ t {split($(NF - 1), v, " "); print v[1]}'
}

# aarch64_machine: an emulated one to run llmprobe on (tests/machine). Sets SHARE, which the machine sees as
# /share, with llmprobe in it; then `boot` runs $SHARE/run there.
aarch64_machine() {
	local tool
	for tool in aarch64-linux-gnu-gcc qemu-system-aarch64 cpio; do
		command -v "$tool" >/dev/null || skip_unless_ci "$tool is missing"
	done
	MACHINE=$("$TOP/tests/machine/make" 2>"$TMP/made")
	case $? in
	0) ;;
	77) skip_unless_ci "packages for aarch64 cannot be had: $(tail -n 1 "$TMP/made")" ;;
	*) fail "$(tail -n 20 "$TMP/made")" ;;
	esac
	"$TOP/scripts/build-aarch64" "$BUILD/aarch64" >"$TMP/built" 2>&1 || fail "$(tail -n 20 "$TMP/built")"
	SHARE=$TMP/share
	mkdir "$SHARE"
	cp "$BUILD/aarch64/llmprobe" "$SHARE/llmprobe"
}

# boot exact|quick SUITE, as tests/machine/boot says.
boot() {
	"$TOP/tests/machine/boot" "$1" "$2" "$MACHINE" "$SHARE" 2>"$TMP/boot" || fail "$(cat "$TMP/boot")
$(tail -n 20 "$SHARE/log")"
	cat "$SHARE/log"
}
