#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The program builds for aarch64; what reads engines passes its unit tests there, under user-mode
# emulation, and plans a real engine's libraries. Nothing is attached: an emulator runs no BPF.
. "$(dirname "$0")/lib.sh"

command -v aarch64-linux-gnu-gcc >/dev/null || skip_unless_ci "no cross compiler for aarch64"
command -v qemu-aarch64 >/dev/null || skip_unless_ci "no user-mode emulation of aarch64"
"$TOP/scripts/build-aarch64" --test "$BUILD/aarch64" >"$TMP/built" 2>&1
case $? in
0) ;;
77) skip_unless_ci "the libraries for aarch64 cannot be had: $(tail -n 1 "$TMP/built")" ;;
*) fail "$(tail -n 40 "$TMP/built")" ;;
esac
assert_ge "unit tests under emulation" "$(grep -c '^ok ' "$TMP/built")" 10

npm_package @node-llama-cpp/linux-arm64 3.22.1
arm() {
	qemu-aarch64 -L "$CACHE/aarch64-root" "$BUILD/aarch64/llmprobe" "$@"
}
library=$(find "$ROOT" -name 'libllama.v*.so')
arm doctor --json "$library" >"$TMP/there" 2>"$TMP/stderr" || fail "doctor: $(cat "$TMP/stderr")"
"$LLMPROBE" doctor --json "$library" >"$TMP/here" || fail "doctor on this machine"
assert_eq "levels with points" "$(jq -r '[.points[].level] | unique | join(" ")' "$TMP/there")" \
	"graph operator token"
# The same plan as on a machine of another kind, to the byte.
for part in .points .layouts; do
	assert_eq "$part as on this machine" "$(jq -cS "$part" "$TMP/there" | sha256sum)" \
		"$(jq -cS "$part" "$TMP/here" | sha256sum)"
done
