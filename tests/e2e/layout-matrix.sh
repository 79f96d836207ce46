#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Struct layouts inferred from real engines of 2023 to 2026, x86-64 and aarch64, GCC and clang, against
# the table of what they are: with the symbols, and as if the files were stripped of all of them.
. "$(dirname "$0")/lib.sh"

dump=$BUILD/tests/bench_layout_dump
[ -x "$dump" ] || fail "$dump is missing: tests/run build"
table=$ENGINES/layouts.tsv
keys=(size ne nb op op_params flags src n_src view_src data name name_len)
keys=("${keys[@]/#/tensor.}" cgraph.n_nodes cgraph.nodes cgraph.nodes_inline cgraph.uid params.ith
	params.nth params.type graph_compute.graph_arg backend.get_name backend.graph_compute
	backend.synchronize backend.device batch.size ops op.MUL_MAT op.MUL_MAT_ID op.ROPE op.UNARY types)

# engine_files PACKAGE VERSION: one line per engine in it, each the files that belong together.
engine_files() {
	case $1 in
	npm)
		npm_engine "$2" >&2
		find "$ROOT/lib" -type f \( -name 'libggml*.so*' -o -name 'libllama*.so*' \) |
			grep -E 'libggml(-base|-cpu-haswell)?\.so|libllama\.' | sort | tr '\n' ' '
		;;
	debian)
		debian_engine >&2
		local lib=$ROOT/usr/lib/x86_64-linux-gnu
		echo "$lib/libggml-base.so.0 $lib/ggml/backends0/libggml-cpu-haswell.so $lib/libllama.so.0"
		;;
	@node-llama-cpp/*)
		npm_package "$1" "$2"
		find "$ROOT" -name 'libggml-base.so' -o -name 'libggml-cpu-armv8.2_1.so' -o -name 'libllama.v*.so' |
			tr '\n' ' '
		;;
	@llama-node/* | @napi-rs/*)
		npm_package "$1" "$2"
		find "$ROOT" -name '*.linux-x64-gnu.node'
		;;
	*)
		npm_package "$1" "$2"
		find "$ROOT" -name '*.node' -path '*linux-x64*' | sort | tail -n 1 | with_libraries
		find "$ROOT" -name '*.node' -path '*linux-arm64*' | sort | tail -n 1 | with_libraries
		;;
	esac
}

# From a .node add-on to the engine's files: libraries beside it, or else itself.
with_libraries() {
	local addon dir
	while read -r addon; do
		dir=$(dirname "$addon")
		if [ -e "$dir/libggml.so" ]; then
			echo "$dir/libggml.so $dir/libllama.so"
		else
			echo "$addon"
		fi
	done
}

# got KEY FILE: the value of a dump, - for absent.
got() {
	awk -v k="$1" '$1 == k { v = $2 } END { print v == "" || v == -1 ? "-" : v }' "$2"
}

# check LABEL DUMP FIRST COUNT: that many columns of the wanted row, from the first on.
check() {
	local i value bad=0
	for ((i = $3; i < $3 + $4; i++)); do
		value=$(got "${keys[i]}" "$2")
		if [ "$value" != "${want[i]}" ]; then
			echo "$1: ${keys[i]} is $value, wanted ${want[i]}"
			bad=1
		fi
	done
	return $bad
}

checked=0
wrong=0
while IFS=$'\t' read -r -a row; do
	[[ ${row[0]} == \#* ]] && continue
	name=${row[0]} version=${row[1]} want=("${row[@]:2}")
	files=$(engine_files "$name" "$version") || exit $?
	[ -n "$files" ] || fail "$name $version: no engine files in $ROOT"
	while read -r -a one; do
		label="$name $version $(basename "$(dirname "${one[0]}")")"
		"$dump" --no-dwarf "${one[@]}" >"$TMP/with" 2>"$TMP/err" || fail "$label: $(cat "$TMP/err")"
		[ -s "$TMP/err" ] && echo "$label: $(cat "$TMP/err")" && wrong=$((wrong + 1))
		check "$label" "$TMP/with" 0 ${#keys[@]} || wrong=$((wrong + 1))
		checked=$((checked + 1))
		# Stripped, names and lengths come from the table; two eras of 2023 cannot be told apart.
		"$dump" --no-dwarf --no-symbols "${one[@]}" >"$TMP/without" 2>"$TMP/err" ||
			fail "$label stripped: $(cat "$TMP/err")"
		check "$label stripped" "$TMP/without" 1 3 || wrong=$((wrong + 1))
		check "$label stripped" "$TMP/without" 6 1 || wrong=$((wrong + 1))
		check "$label stripped" "$TMP/without" 12 3 || wrong=$((wrong + 1))
		check "$label stripped" "$TMP/without" 25 6 || wrong=$((wrong + 1))
		grep -q 'more than one known' "$TMP/err" ||
			check "$label stripped" "$TMP/without" 9 1 || wrong=$((wrong + 1))
		checked=$((checked + 1))
	done <<<"$files"
done <"$table"
assert_eq "layouts that differ from the table" $wrong 0
echo "$checked layouts checked"
[ $checked -ge 30 ] || fail "only $checked layouts were checked"
