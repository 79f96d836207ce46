#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a script costs, beside the distribution's bpftrace: start, memory, end, and ns per event.
#
#   tests/bench/script.sh [-b]
#
# -b leaves bpftrace out. Wants root and a machine with nothing else to do; takes about two minutes,
# most of it bpftrace's removal of 118 probes.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${LLMPROBE_BUILD:-$top/build}
other=$(command -v bpftrace || true)
[ "${1-}" = -b ] && other=
XDG_CACHE_HOME=$(mktemp -d /tmp/bench-script.XXXXXX)
export XDG_CACHE_HOME
trap 'rm -rf "$XDG_CACHE_HOME"' EXIT
"$build/tests/bench_script" "$build/llmprobe" ${other:+"$other"}
