#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Engines that cannot run on a machine without their devices: stand-ins of ours export the same
# functions. The plan finds every one of them, and their calls are recorded end to end.
. "$(dirname "$0")/lib.sh"
need_bpf

build() { # NAME FILE: compiles a stand-in under the library's real file name
	cc -O1 -g0 -fPIC -shared -fno-builtin -o "$TMP/$2" "$ENGINES/standin/$1.c" ||
		fail "$1 does not compile"
}

# Backends of ggml: linked to the made engine, from which they have their struct layouts.
build_backend() { # NAME FILE
	cc -O1 -g0 -fPIC -shared -fno-builtin -o "$TMP/$2" "$ENGINES/standin/$1.c" \
		-Wl,--no-as-needed -L"$BUILD/tests/fake" -lllama -Wl,-rpath,"$BUILD/tests/fake" ||
		fail "$1 does not compile"
}

# points FILE: "event function" of each point that the doctor finds in it.
points() {
	"$LLMPROBE" doctor --json "$TMP/$1" |
		jq -r '.points[] | .event + " " + .symbol' | sort
}

expect() { # FILE FUNCTION...: each of them has a begin
	local file=$1 fn
	shift
	points "$file" >"$TMP/points"
	for fn in "$@"; do
		grep -qE "^(call|op|token)_begin ${fn}\$" "$TMP/points" ||
			fail "$file: no point at $fn in $(cat "$TMP/points")"
		echo "$file: $fn found"
	done
}

cc -O1 -o "$TMP/drive" "$ENGINES/standin/drive.c" -ldl || fail "the driver does not compile"
build nrt libnrt.so.1
build cudart libcudart.so.12
build rknnrt librknnrt.so
build clblast libggml_clblast.so
build_backend opencl libggml-opencl.so
build_backend rknn_backend libggml-rknn.so
expect libggml-opencl.so _Z23ggml_cl_compute_forwardP12ggml_backendP11ggml_tensor
expect libggml-rknn.so ggml_rk_compute_forward
expect libnrt.so.1 nrt_execute nrt_load nrt_tensor_read nrt_tensor_write nrt_init
expect libcudart.so.12 cudaLaunchKernel cudaGraphLaunch cudaStreamSynchronize cudaMemcpyAsync
expect librknnrt.so rknn_matmul_run rknn_matmul_set_io_mem
expect libggml_clblast.so ggml_cl_mul_mat ggml_cl_mul

# The library is loaded by dlopen in the middle of the run: nothing may be missed.
llmprobe record --force -o "$TMP/nrt.llmp" -- "$TMP/drive" "$TMP/libnrt.so.1" nrt_execute=17 \
	nrt_tensor_read=5 >"$TMP/said" || fail "record: $(cat "$TMP/stderr")"
assert_eq "the driver's own output" "$(head -n 1 "$TMP/said")" "nrt_execute 17"
assert_eq "rows of nrt_execute" "$(sql "$TMP/nrt.llmp" 'SELECT count(*) FROM token')" 17
assert_eq "lost" "$(sql "$TMP/nrt.llmp" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
assert_ge "shortest, ns" "$(sql "$TMP/nrt.llmp" 'SELECT min(end_ns - begin_ns) FROM token')" 300000

# calls FILE FUNCTION=COUNT...: every call is a row of that name.
calls() {
	local file=$1 call run=$TMP/$1.llmp
	shift
	llmprobe record --force -o "$run" -- "$TMP/drive" "$TMP/$file" "$@" >"$TMP/said" ||
		fail "record $file: $(cat "$TMP/stderr")"
	for call in "$@"; do
		assert_eq "$file: rows of ${call%=*}" "$(sql "$run" \
			"SELECT count(*) FROM call WHERE name = '${call%=*}' AND end_ns > begin_ns")" "${call#*=}"
	done
	assert_eq "$file: lost" "$(sql "$run" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
}

calls libnrt.so.1 nrt_execute=7 nrt_tensor_write=11 nrt_tensor_read=5
assert_eq "bytes written" "$(sql "$TMP/libnrt.so.1.llmp" \
	"SELECT DISTINCT arg2, arg3 FROM call WHERE name = 'nrt_tensor_write'")" "16|1"
calls libcudart.so.12 cudaLaunchKernel=23 cudaGraphLaunch=9 cudaMemcpyAsync=4 cudaStreamSynchronize=3
# CUDA 13 launches by another name.
sed 's/int cudaLaunchKernel/int __cudaLaunchKernel/' "$ENGINES/standin/cudart.c" >"$TMP/cudart13.c"
cc -O1 -g0 -fPIC -shared -fno-builtin -I"$ENGINES/standin" -o "$TMP/libcudart.so.13" "$TMP/cudart13.c" ||
	fail "cudart13 does not compile"
calls libcudart.so.13 __cudaLaunchKernel=23 cudaGraphLaunch=9
calls librknnrt.so rknn_matmul_run=13 rknn_matmul_set_io_mem=2
calls libggml_clblast.so ggml_cl_mul_mat=6 ggml_cl_mul=8

# every_call ENGINE FILE: whatever function its engine file names is found and each call of it is a row.
every_call() {
	local engine=$1 file=$2 name n=1 counts=()
	"$LLMPROBE" list points --json | jq -r ".[] | select(.engine == \"$engine\" and
		(.events | contains(\"call_begin\"))).symbol" | sort -u >"$TMP/names"
	[ -s "$TMP/names" ] || fail "$engine names no calls"
	{
		echo '#include "standin.h"'
		sed 's/.*/STANDIN_CALL(&)/' "$TMP/names"
	} >"$TMP/all.c"
	cc -O1 -g0 -fPIC -shared -I"$ENGINES/standin" -o "$TMP/$file" "$TMP/all.c" ||
		fail "the stand-in of $engine does not compile"
	while read -r name; do
		counts+=("$name=$((n = n % 7 + 1))")
	done <"$TMP/names"
	calls "$file" "${counts[@]}"
}
for pair in neuron:libnrt.so.2 cuda:libcudart.so.14 opencl-api:libOpenCL.so.1 vulkan:libvulkan.so.1 \
	rknn-api:librknn_api.so blas:libopenblas.so.0 clblast:libggml_calls.so; do
	every_call ${pair%:*} ${pair#*:}
done

# Backends that compute a graph node by node: each node is a row with its tensor's name and shape.
cc -O1 -o "$TMP/backend_drive" "$ENGINES/standin/backend_drive.c" -L"$BUILD/tests/fake" -lllama \
	-Wl,-rpath,"$BUILD/tests/fake" -ldl || fail "the backend's driver does not compile"
driver=$TMP/backend_drive
# operators FILE FUNCTION BACKEND: 11 graphs of 7 nodes
operators() {
	local run=$TMP/$1.llmp
	llmprobe record --force -o "$run" -- "$driver" "$TMP/$1" "$2" 11 >"$TMP/said" ||
		fail "record $1: $(cat "$TMP/stderr")"
	assert_eq "$1: nodes computed, by its own account" "$(cat "$TMP/said")" 77
	assert_eq "$1: rows, names, shape" "$(sql "$run" "SELECT count(*), count(DISTINCT t.name),
		group_concat(DISTINCT t.op || ' ' || t.ne0 || 'x' || t.ne1) FROM op o
		JOIN tensor t ON t.id = o.tensor_id WHERE t.name LIKE 'product-%'")" "77|7|MUL_MAT 32x32"
	assert_eq "$1: rows in all" "$(sql "$run" 'SELECT count(*) FROM op')" 77
	assert_eq "$1: graphs, backend" "$(sql "$run" 'SELECT count(*), backend, n_nodes FROM graph
		GROUP BY 2, 3')" "11|$3|7"
	assert_ge "$1: shortest operator, ns" "$(sql "$run" 'SELECT min(end_ns - begin_ns) FROM op')" 20000
	assert_eq "$1: lost" "$(sql "$run" 'SELECT coalesce(sum(lost), 0) FROM loss')" 0
}
operators libggml-opencl.so _Z23ggml_cl_compute_forwardP12ggml_backendP11ggml_tensor OpenCL
operators libggml-rknn.so ggml_rk_compute_forward ""
# Some forks compile it as C++.
cxx=_Z23ggml_rk_compute_forwardP12ggml_backendP11ggml_tensor
sed "s/ggml_rk_compute_forward/$cxx/" "$ENGINES/standin/rknn_backend.c" >"$TMP/rknn_cxx.c"
cc -O1 -g0 -fPIC -shared -fno-builtin -I"$ENGINES/standin" -o "$TMP/libggml-rknpu2.so" "$TMP/rknn_cxx.c" \
	-Wl,--no-as-needed -L"$BUILD/tests/fake" -lllama -Wl,-rpath,"$BUILD/tests/fake" ||
	fail "the C++ backend does not compile"
operators libggml-rknpu2.so $cxx ""

# Where the scheduler calls no function that all backends share, as built by clang.
cc -O1 -DINLINED -o "$TMP/llama-drive" "$ENGINES/standin/backend_drive.c" -L"$BUILD/tests/fake" -lllama \
	-Wl,-rpath,"$BUILD/tests/fake" -ldl || fail "the backend's driver does not compile"
driver=$TMP/llama-drive
operators libggml-opencl.so _Z23ggml_cl_compute_forwardP12ggml_backendP11ggml_tensor OpenCL
operators libggml-rknn.so ggml_rk_compute_forward ""

# Pictures: a row per call that makes some.
printf '#include "standin.h"\nSTANDIN_CALL(%s)\n' generate_image >"$TMP/sd.c"
printf 'STANDIN_CALL(%s)\n' generate_video txt2img img2img >>"$TMP/sd.c"
cc -O1 -g0 -fPIC -shared -I"$ENGINES/standin" -o "$TMP/libstable-diffusion.so" "$TMP/sd.c" ||
	fail "the stand-in for stable-diffusion.cpp does not compile"
llmprobe record --force -o "$TMP/sd.llmp" -- "$TMP/drive" "$TMP/libstable-diffusion.so" generate_image=3 \
	generate_video=2 txt2img=5 img2img=4 >"$TMP/said" || fail "record: $(cat "$TMP/stderr")"
assert_eq "pictures: calls" "$(sql "$TMP/sd.llmp" 'SELECT count(*) FROM token')" 14
