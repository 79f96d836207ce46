#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the doctor says of engines of every age, as files and as a process: each level's points with
# instruction, class and cost, each field of the structs with where it is from, and what cannot be seen
# and why. And of files that are no engines: Go, Rust without an engine, another machine's, broken ones.
. "$(dirname "$0")/lib.sh"
need_build

# facts FILE: its JSON in $TMP/doctor
facts() {
	"$LLMPROBE" doctor --json "$@" >"$TMP/doctor" 2>"$TMP/stderr" || fail "doctor $*: $(cat "$TMP/stderr")"
}
ask() {
	jq -r "$1" "$TMP/doctor"
}

# whole NAME LEVELS: that many levels have points, and everything about a point is told.
whole() {
	assert_eq "$1: levels with points" "$(ask '[.points[].level] | unique | join(" ")')" "$2"
	assert_eq "$1: points without a site" "$(ask '[.points[] | select(.sites == [])] | length')" 0
	assert_eq "$1: sites that tell too little" "$(ask '[.points[].sites[] | select((.instruction // "")
		== "" or (.class // "") == "" or (.how // "") == "" or .cost_ns <= 0)] | length')" 0
	assert_eq "$1: mangled names" "$(ask '[.points[].name | select(startswith("_Z"))] | length')" 0
	assert_eq "$1: fields with a value and no source" "$(ask '[.layouts[].fields[] |
		select(.value != null and (.source // "") == "")] | length')" 0
}
gap() { # NAME PATTERN
	assert_match "$1: not visible" "$(ask '.layouts[].gaps[].what')" "$2"
}

while read -r version _; do
	npm_engine "$version"
	facts "$LIBLLAMA"
	whole "$version" "graph operator token"
	# A number of graphs came last.
	[ "$version" = 3.22.1 ] || gap "$version" 'whether a graph is the one before'
done < <(grep -v '^#' "$ENGINES/nodes/eras")
assert_match "a C++ name" "$(ask '.points[].name')" \
	'^ggml_backend_cpu_graph_compute\(ggml_backend\*, ggml_cgraph\*\)$'

npm_package node-llama-cpp 2.4.1
facts "$ROOT/package/llamaBins/linux-x64-18/llama-addon.node"
whole "2023-09" "graph operator token"
gap "2023-09" '^experts: this build computes each with an operator of its own, or none$'
assert_eq "2023-09: the fix" "$(ask '.layouts[].gaps[] | select(.what | startswith("experts")) | .fix')" \
	"llama.cpp since 2024-04"
# A program in Rust around it.
npm_package @llama-node/llama-cpp 0.1.6
facts "$(find "$ROOT" -name '*.linux-x64-gnu.node')"
whole "2023-05, in Rust" "graph operator token"
gap "2023-05" '^compute functions of backends that nothing names'
npm_package @fugood/node-llama-linux-x64 1.7.15
facts "$ROOT/package/index.node"
whole "one stripped file by clang" "graph operator token"
# ggml was built with longer names than usual: what lies behind them has moved.
assert_eq "one stripped file: length of names, size" "$(ask '.layouts[0].fields |
	"\(."tensor.name_len".value) \(."tensor.size".value)"')" "80 352"

# A command: whatever it loads by itself, a backend of several that suits the machine, is in the plan, once,
# and what it prints is not. It does not outlive the doctor.
model tiny
npm_engine 3.22.1
cat >"$TMP/engine" <<SH
#!/bin/sh
echo \$\$ >"$TMP/engine.pid"
"$BUILD/tests/ggml_drive" -p 8 -n 16 "$LIBLLAMA" "$MODEL"
exec sleep 1000
SH
chmod +x "$TMP/engine"
facts -- "$TMP/engine"
whole "a command" "graph operator token"
assert_eq "a command: functions of calls" "$(ask '[.points[] | select(.level == "token").name] | unique |
	join(", ")')" "llama_context::decode(llama_batch const&), llama_context::encode(llama_batch const&)"
assert_eq "a command: backends in use" "$(ask '[.files[] | select(.unmapped | not).path |
	select(contains("libggml-cpu"))] | length')" 1
assert_eq "a command: begins of operators" "$(ask '[.points[] | select(.event == "op_begin")] | length')" 1
! kill -0 "$(cat "$TMP/engine.pid")" 2>/dev/null || fail "the command outlives the doctor"
facts -- true
assert_eq "a command without an engine" "$(ask '.levels_without_points | length')" 3
expect_exit 1 doctor -- "$TMP/nothing"
assert_match "no such command" "$(cat "$TMP/stderr")" 'no such program'

# Another machine's: nothing can be attached, everything is told.
npm_package @node-llama-cpp/linux-arm64 3.22.1
facts "$(find "$ROOT" -name 'libllama.v*.so')"
whole aarch64 "graph operator token"

# No engine: in Go, in C, a shell script, cut, empty, a folder.
npm_package @esbuild/linux-x64 0.25.0
facts "$ROOT/package/bin/esbuild"
assert_eq "Go: levels without points, each with the reason" \
	"$(ask '.levels_without_points | map(select(contains("looked for"))) | length')" 3
facts /bin/sh
assert_eq "C: levels without points" "$(ask '.levels_without_points | length')" 3
head -c 5000 /bin/sh >"$TMP/cut"
: >"$TMP/empty"
echo '#!/bin/sh' >"$TMP/script"
for file in cut empty script; do
	"$LLMPROBE" doctor "$TMP/$file" >"$TMP/stdout" 2>"$TMP/stderr"
	rc=$?
	[ $rc = 0 ] || [ $rc = 1 ] || fail "doctor of $file: exit $rc"
	cat "$TMP/stdout" "$TMP/stderr" >"$TMP/said"
	assert_match "$file" "$(cat "$TMP/said")" 'ELF|cut|short|damaged'
done

# A Go program with a llama.cpp of 2023 inside that kept no name of it, as Ollama's were: calls and graphs
# are found by their messages, and for operators there is the reason.
npm_package node-llama-cpp 2.8.0
"$ENGINES/nameless" "$ROOT/package/llamaBins/linux-x64/llama-addon.node" "$TMP/ollama"
facts "$TMP/ollama"
assert_eq "without names: levels with points" "$(ask '[.points[].level] | unique | join(" ")')" "graph token"
assert_match "without names: how" "$(ask '.points[].sites[].how')" 'string constant'
assert_match "without names: operators" "$(ask .levels_without_points.operator)" \
	'ggml_compute_forward was not found'

# What is known is listed with its age and where the arguments are on each architecture.
assert_match "list points" "$("$LLMPROBE" list points)" '^ggml-cpu, operator, extra-compute-forward .since 2024-12-07.$'
assert_match "list points, arguments" "$("$LLMPROBE" list points)" \
	'n_tokens = s32\[sp \+ 8\] \(x86_64\), s32\[arg2\] \(aarch64\)'

# A user's engine file adds an engine and replaces a shipped one; a level that it leaves without a usable
# point is off with the reason, the others stay.
mkdir -p "$XDG_CONFIG_HOME/llmprobe/engines"
sed 's/symbol: llama_[a-z_]*/symbol: renamed_away/; s/symbol: _ZN13llama.*/symbol: renamed_away2/
	s/string: .*/string: "no such text"/' \
	"$TOP/yaml/engines/llama.yaml" >"$XDG_CONFIG_HOME/llmprobe/engines/llama.yaml"
npm_engine 3.22.1
facts "$LIBLLAMA"
assert_eq "a level without a usable point" "$(ask '[.points[].level] | unique | join(" ")')" \
	"graph operator"
assert_match "its reason" "$(ask .levels_without_points.token)" 'renamed_away'
sed -i 's/^levels:/levles:/' "$XDG_CONFIG_HOME/llmprobe/engines/llama.yaml"
expect_exit 2 list points
assert_match "a mistake in an engine file" "$(cat "$TMP/stderr")" 'llama.yaml:[0-9]+:[0-9]+: .*levels'
rm -r "$XDG_CONFIG_HOME/llmprobe"
