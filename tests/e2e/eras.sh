#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The driver runs llama.cpp of every age, and all ages compute the same tokens from the same model.
. "$(dirname "$0")/lib.sh"

drive=$BUILD/tests/ggml_drive
[ -x "$drive" ] || fail "$drive is missing: tests/run build"
model tiny
first=
for version in 3.1.1 3.3.0 3.6.0 3.12.0 3.15.0 3.18.1 3.22.1; do
	npm_engine $version
	out=$("$drive" -g -p 8 -n 16 "$LIBLLAMA" "$MODEL") || fail "$version: $out"
	assert_eq "$version: decodes" "$(jq .decodes <<<"$out")" 17
	last=$(jq .last <<<"$out")
	assert_eq "$version: last token" "$last" "${first:=$last}"
done
debian_engine
cp "$drive" "$ROOT/tmp/ggml_drive.$$"
out=$(in_root /tmp/ggml_drive.$$ -g -p 8 -n 16 libllama.so.0 "$MODEL_IN")
rc=$?
rm -f "$ROOT/tmp/ggml_drive.$$"
assert_eq "Debian: exit" $rc 0
assert_eq "Debian: last token" "$(jq .last <<<"$out")" "$first"
