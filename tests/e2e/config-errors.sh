#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Wrong configurations and command lines: file, line, column and the nearest word, exit 2, and nothing
# done. Right ones: the values that come out.
. "$(dirname "$0")/lib.sh"
need_build

# refused WHAT FIRST_LINE ARGS...: exit 2 and this as the first line of the messages.
refused() {
	local what=$1 line=$2
	shift 2
	expect_exit 2 "$@"
	assert_eq "$what" "$(head -n 1 "$TMP/stderr")" "$line"
	[ ! -s "$TMP/stdout" ] || fail "$what: printed $(cat "$TMP/stdout")"
}

# value KEY ARGS...: what `list options` says
value() {
	local key=$1
	shift
	llmprobe list options "$@" | awk -v k="$key" '$1 == k {print $2}'
}

cat >"$TMP/bad.yaml" <<'YAML'
target: {pid: 12x}
levels:
  tokn: true
buffer:
  type: rong
trace_timestamps: "true"
YAML
refused "first of several errors" \
	"$TMP/bad.yaml:1:15: error: target.pid: '12x' is not a whole number" \
	list options -c "$TMP/bad.yaml"
assert_eq "errors of the file" "$(grep -c ': error: ' "$TMP/stderr")" 4
assert_eq "with a caret" "$(sed -n 3p "$TMP/stderr")" "              ^~~"
assert_match "nearest key" "$(cat "$TMP/stderr")" "bad.yaml:3:3: error: .*did you mean 'token'"
assert_match "nearest choice" "$(cat "$TMP/stderr")" "bad.yaml:5:9: error: .*did you mean 'ring'"
assert_match "quoted" "$(cat "$TMP/stderr")" "bad.yaml:6:19: error: .*true or false is expected"

refused "no such file" \
	"llmprobe: error: cannot read the configuration $TMP/none.yaml: No such file or directory" \
	list options -c "$TMP/none.yaml"
mkdir "$TMP/dir.yaml"
refused "a folder" "llmprobe: error: cannot read the configuration $TMP/dir.yaml: Is a directory" \
	list options -c "$TMP/dir.yaml"
printf 'ELF\0binary' >"$TMP/binary.yaml"
refused "no text" "llmprobe: error: $TMP/binary.yaml holds NUL characters; is it a YAML file?" \
	list options -c "$TMP/binary.yaml"
refused "unknown command" "llmprobe: error: 'lits' is no command of llmprobe; did you mean 'list'?" lits
refused "configuration without -c" \
	"llmprobe: error: 'x.yaml' is no command; a configuration is given with -c x.yaml" x.yaml
refused "unknown option" "llmprobe: error: unknown option '--colour'; did you mean '--color'?" \
	list --colour never
refused "value missing" "llmprobe: error: -c needs a value: -c FILE" list -c
refused "too much" "llmprobe: error: unexpected argument 'b'" list levels b
refused "unknown topic" "llmprobe: error: there is no list of 'levles'; did you mean 'levels'?" \
	list levles
expect_exit 2

# The three flat keys of the original design and both spellings of the buffer.
printf 'trace_tensor_dimensions: false\ntrace_timestamps: true\ntrace_pmc: true\nbuffer_type: perf\n' \
	>"$TMP/flat.yaml"
assert_eq "dimensions" "$(value trace_tensor_dimensions -c "$TMP/flat.yaml")" false
assert_eq "timestamps" "$(value trace_timestamps -c "$TMP/flat.yaml")" true
assert_eq "counters" "$(value levels.counters -c "$TMP/flat.yaml")" true
assert_eq "buffer" "$(value buffer.type -c "$TMP/flat.yaml")" perf
printf 'buffer: ring\nbuffer.size: 64KiB\n' >"$TMP/dots.yaml"
assert_eq "size" "$(value buffer.size -c "$TMP/dots.yaml")" 64KiB

# The commented default file says the defaults, word for word.
llmprobe list options >"$TMP/defaults"
llmprobe list options -c "$TOP/yaml/llmprobe.yaml" >"$TMP/from-file"
diff "$TMP/defaults" "$TMP/from-file" || fail "yaml/llmprobe.yaml differs from the defaults"

# Messages can go to a file.
expect_exit 2 list nothing-like-it --log "$TMP/log"
[ ! -s "$TMP/stderr" ] || fail "--log: still on stderr"
assert_match "log" "$(cat "$TMP/log")" "there is no list of"
