#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Engine probes of scripts: what the made engine says it did, and what a recording says.
. "$(dirname "$0")/lib.sh"
need_bpf

fake="$BUILD/tests/fake/fake_engine --decodes 11 --spin 20000"
run() { # PROGRAM or FILE
	llmprobe script -q "$@" -c "$fake" >"$TMP/out" || fail "script: $(cat "$TMP/out")"
}
value() { # KEY
	awk -v k="$1:" 'index($0, k) == 1 {print $NF}' "$TMP/out"
}

run -e 'token:end { @n = count(); @t = sum(args.n_tokens); @p[args.phase] = count(); }'
assert_eq "token calls" "$(value @n)" 11
assert_eq "tokens" "$(value @t)" 17
assert_eq "decodes" "$(value '@p[decode]')" 10
run -e 'op:begin { @[args.op] = count(); }'
assert_eq "products begun" "$(value '@[MUL_MAT]')" 286
# The worker's last operator is never followed by another one.
run -e 'op:end { @[args.op] = count(); }'
assert_eq "products ended" "$(value '@[MUL_MAT]')" 285
assert_eq "additions ended" "$(value '@[ADD]')" 132
run -e 'op:ROPE:end { @f = count(); } op:Qcur*:begin { @q[args.name] = count(); }'
assert_eq "ROPE by filter" "$(value @f)" 66
assert_eq "tensor by filter" "$(value '@q[Qcur-1]')" 44
run -e 'graph:end { @[args.n_nodes] = count(); }'
assert_eq "graphs" "$(value '@[37]')" 11
for script in op-latency matmul-size token-times; do
	run "$TOP/scripts/$script.bt"
	[ -s "$TMP/out" ] || fail "$script printed nothing"
done
assert_eq "rows of token-times" "$(grep -c 'tokens.*us$' "$TMP/out")" 11
