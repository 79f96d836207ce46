#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every program of docs/script-language.md runs; those with output print it. The tables name every
# built-in, every event and every argument.
. "$(dirname "$0")/lib.sh"
need_bpf

doc=$TOP/docs/script-language.md
printf '#!/bin/sh\nexec "%s" --decodes 5 >/dev/null\n' "$BUILD/tests/fake/fake_engine" >"$TMP/engine"
chmod +x "$TMP/engine"
# Blocks become N.bpftrace and, when one follows at once, N.output.
awk -v dir="$TMP" '
	/^```bpftrace$/ {n++; file = dir "/" n ".bpftrace"; next}
	/^```output$/ {file = dir "/" n ".output"; next}
	/^```/ {file = ""; next}
	file {print > file}' "$doc"
programs=0
for program in "$TMP"/*.bpftrace; do
	programs=$((programs + 1))
	wanted=${program%.bpftrace}.output
	llmprobe script -q -e "$(cat "$program")" -c "$TMP/engine" >"$TMP/out" ||
		fail "$(cat "$program" "$TMP/stderr")"
	[ -e "$wanted" ] || continue
	# Maps of equal values come in any order.
	sed -e 's/^/ /' -e '/^ *$/d' "$TMP/out" | sort >"$TMP/got"
	sed -e 's/^/ /' -e '/^ *$/d' "$wanted" | sort >"$TMP/wanted"
	diff -u "$TMP/wanted" "$TMP/got" || fail "$(cat "$program")"
done
assert_ge "programs" "$programs" 13
for word in $(llmprobe list builtins | sed 's/[( ].*//') \
	$(llmprobe list events | sed -n 's/^    [^ ]* *\([a-z_]*\) .*/\1/p' | sort -u) \
	$(llmprobe list events | sed -n 's/^\([a-z]*\):\(.*\]\)*\([a-z]*\): .*/\1:\3/p'); do
	grep -qE "[\`(. ]$word[\`(\[ ,.]" "$doc" || fail "$word is not in script-language.md"
done
