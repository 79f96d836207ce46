#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is printed from the tables: help of every command, the manual page, completions, the schema.
. "$(dirname "$0")/lib.sh"
need_build

"$TOP/man/update" "$LLMPROBE" --check || fail "the manual page"

# Every command of the overview explains itself, both ways, within 80 columns.
commands=$(llmprobe help | sed -n 's/^  llmprobe \([a-z][a-z]*\).*/\1/p')
[ -n "$commands" ] || fail "no commands in the overview"
for c in $commands; do
	llmprobe help "$c" >"$TMP/a" || fail "help $c"
	llmprobe "$c" --help >"$TMP/b" || fail "$c --help"
	cmp "$TMP/a" "$TMP/b" || fail "help $c and $c --help differ"
	assert_match "usage of $c" "$(head -n 1 "$TMP/a")" "^USAGE: llmprobe $c"
	awk -v c="$c" 'length($0) > 80 && !/^ *-/ {print c ": " $0; bad = 1} END {exit bad}' "$TMP/a" ||
		fail "lines beyond 80 columns"
done
assert_eq "version" "$(llmprobe --version)" "$(llmprobe version)"

# complete WORD...: what bash would offer for the last word.
llmprobe completion bash >"$TMP/completion" || fail "completion"
complete_words() {
	bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _llmprobe; echo "${COMPREPLY[*]}"' \
		_ "$TMP/completion" llmprobe "$@"
}
assert_eq "a command" "$(complete_words comp)" completion
assert_eq "a shell" "$(complete_words completion z)" zsh
assert_eq "an option" "$(complete_words list --co)" "--config --color"
assert_eq "a choice" "$(complete_words list --color n)" never
assert_eq "a topic" "$(complete_words list lev)" levels
touch "$TMP/some.yaml"
assert_eq "a file" "$(complete_words list -c "$TMP/som")" "$TMP/some.yaml"
llmprobe completion zsh >"$TMP/_llmprobe" || fail "completion zsh"
if command -v zsh >/dev/null; then
	zsh -n "$TMP/_llmprobe" || fail "the zsh completion does not parse"
fi
expect_exit 2 completion fish

llmprobe help --schema >"$TMP/schema" || fail "schema"
for key in trace_pmc buffer levels operators; do
	assert_match "schema" "$(cat "$TMP/schema")" "\"$key\":"
done
