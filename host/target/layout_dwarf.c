/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offsets from DWARF, in the engine's file or in a separate debug file. libdw reads it in a child
 * with limits, because the files are untrusted and the library was not made for hostile ones.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/debug_file.h"
#include "target/elf_impl.h"
#include "target/layout_impl.h"
#include "util/alloc.h"

enum what { OFFSET, SIZE, ELEMENT_SIZE, ELEMENT_COUNT, IS_ARRAY };
enum { CPU_SECONDS = 10, NAME_LEN = 48 };

/* Bytes that the child may map: the largest engines' debug files are about 1 GiB. */
enum { MEMORY_GIB = 8 };

struct wanted {
	const char *type, *member;
	enum layout_field field;
	enum what what;
};

static const struct wanted wanted[] = {
	{"ggml_tensor", "", LAYOUT_TENSOR_SIZE, SIZE},
	{"ggml_tensor", "type", LAYOUT_TENSOR_TYPE, OFFSET},
	{"ggml_tensor", "buffer", LAYOUT_TENSOR_BUFFER, OFFSET},
	{"ggml_tensor", "ne", LAYOUT_TENSOR_NE, OFFSET},
	{"ggml_tensor", "ne", LAYOUT_TENSOR_NE_WIDTH, ELEMENT_SIZE},
	{"ggml_tensor", "nb", LAYOUT_TENSOR_NB, OFFSET},
	{"ggml_tensor", "op", LAYOUT_TENSOR_OP, OFFSET},
	{"ggml_tensor", "op_params", LAYOUT_TENSOR_OP_PARAMS, OFFSET},
	{"ggml_tensor", "flags", LAYOUT_TENSOR_FLAGS, OFFSET},
	{"ggml_tensor", "is_param", LAYOUT_TENSOR_FLAGS, OFFSET},
	{"ggml_tensor", "src", LAYOUT_TENSOR_SRC, OFFSET},
	{"ggml_tensor", "src", LAYOUT_TENSOR_N_SRC, ELEMENT_COUNT},
	{"ggml_tensor", "src0", LAYOUT_TENSOR_SRC, OFFSET},
	{"ggml_tensor", "view_src", LAYOUT_TENSOR_VIEW_SRC, OFFSET},
	{"ggml_tensor", "data", LAYOUT_TENSOR_DATA, OFFSET},
	{"ggml_tensor", "name", LAYOUT_TENSOR_NAME, OFFSET},
	{"ggml_tensor", "name", LAYOUT_TENSOR_NAME_LEN, ELEMENT_COUNT},
	{"ggml_tensor", "extra", LAYOUT_TENSOR_EXTRA, OFFSET},
	{"ggml_cgraph", "n_nodes", LAYOUT_CGRAPH_N_NODES, OFFSET},
	{"ggml_cgraph", "n_leafs", LAYOUT_CGRAPH_N_LEAFS, OFFSET},
	{"ggml_cgraph", "nodes", LAYOUT_CGRAPH_NODES, OFFSET},
	{"ggml_cgraph", "nodes", LAYOUT_CGRAPH_NODES_INLINE, IS_ARRAY},
	{"ggml_cgraph", "leafs", LAYOUT_CGRAPH_LEAFS, OFFSET},
	{"ggml_cgraph", "uid", LAYOUT_CGRAPH_UID, OFFSET},
	{"ggml_compute_params", "ith", LAYOUT_PARAMS_ITH, OFFSET},
	{"ggml_compute_params", "nth", LAYOUT_PARAMS_NTH, OFFSET},
	{"ggml_compute_params", "type", LAYOUT_PARAMS_TYPE, OFFSET},
	{"ggml_cplan", "n_threads", LAYOUT_CPLAN_N_THREADS, OFFSET},
	{"ggml_backend", "guid", LAYOUT_BACKEND_GUID, OFFSET},
	{"ggml_backend", "iface", LAYOUT_BACKEND_IFACE, OFFSET},
	{"ggml_backend", "device", LAYOUT_BACKEND_DEVICE, OFFSET},
	{"ggml_backend_i", "get_name", LAYOUT_BACKEND_GET_NAME, OFFSET},
	{"ggml_backend_i", "graph_compute", LAYOUT_BACKEND_GRAPH_COMPUTE, OFFSET},
	{"ggml_backend_i", "synchronize", LAYOUT_BACKEND_SYNCHRONIZE, OFFSET},
	{"ggml_backend_sched", "n_backends", LAYOUT_SCHED_N_BACKENDS, OFFSET},
	{"ggml_backend_sched", "backends", LAYOUT_SCHED_BACKENDS, OFFSET},
	{"llama_batch", "", LAYOUT_BATCH_SIZE, SIZE},
	{"llama_batch", "n_tokens", LAYOUT_BATCH_N_TOKENS, OFFSET},
	{"llama_ubatch", "n_tokens", LAYOUT_UBATCH_N_TOKENS, OFFSET},
};

/* What the child hands back, in shared memory. */
struct answers {
	int32_t value[LAYOUT_FIELD_COUNT]; /* -1: not found */
	char op[NAMES_MAX][NAME_LEN];
	uint32_t n_ops;
	bool done;
};

static bool follow_type(Dwarf_Die *die, Dwarf_Die *type)
{
	Dwarf_Attribute attr;

	if (!dwarf_formref_die(dwarf_attr(die, DW_AT_type, &attr), type))
		return false;
	for (int i = 0;
	     i < 8 && (dwarf_tag(type) == DW_TAG_typedef || dwarf_tag(type) == DW_TAG_const_type);
	     i++)
		if (!dwarf_formref_die(dwarf_attr(type, DW_AT_type, &attr), type))
			return false;
	return true;
}

static int64_t element_count(Dwarf_Die *array)
{
	Dwarf_Die child;
	Dwarf_Attribute attr;
	Dwarf_Word n;

	if (dwarf_child(array, &child))
		return -1;
	if (!dwarf_formudata(dwarf_attr(&child, DW_AT_count, &attr), &n))
		return (int64_t)n;
	if (!dwarf_formudata(dwarf_attr(&child, DW_AT_upper_bound, &attr), &n))
		return (int64_t)n + 1;
	return -1;
}

static int64_t measure(Dwarf_Die *member, enum what what)
{
	Dwarf_Attribute attr;
	Dwarf_Word off;
	Dwarf_Die type, element;

	if (what == OFFSET)
		return dwarf_formudata(dwarf_attr(member, DW_AT_data_member_location, &attr), &off)
			       ? -1
			       : (int64_t)off;
	if (!follow_type(member, &type))
		return -1;
	if (what == IS_ARRAY)
		return dwarf_tag(&type) == DW_TAG_array_type;
	if (dwarf_tag(&type) != DW_TAG_array_type)
		return -1;
	if (what == ELEMENT_COUNT)
		return element_count(&type);
	return follow_type(&type, &element) ? dwarf_bytesize(&element) : -1;
}

static void answer(struct answers *a, enum layout_field f, int64_t v)
{
	if (a->value[f] < 0 && v >= 0 && v < (1 << 20))
		a->value[f] = (int32_t)v;
}

static void read_members(Dwarf_Die *type, const char *name, struct answers *a)
{
	Dwarf_Die member;

	if (dwarf_child(type, &member))
		return;
	do {
		const char *m = dwarf_diename(&member);

		if (dwarf_tag(&member) != DW_TAG_member || !m)
			continue;
		for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
			if (!strcmp(wanted[i].type, name) && !strcmp(wanted[i].member, m))
				answer(a, wanted[i].field, measure(&member, wanted[i].what));
	} while (!dwarf_siblingof(&member, &member));
}

static void read_struct(Dwarf_Die *type, struct answers *a)
{
	const char *name = dwarf_diename(type);
	bool known = false;

	for (size_t i = 0; name && i < ARRAY_LEN(wanted); i++)
		if (!strcmp(wanted[i].type, name)) {
			known = true;
			if (wanted[i].what == SIZE)
				answer(a, wanted[i].field, dwarf_bytesize(type));
		}
	if (known && !dwarf_hasattr(type, DW_AT_declaration))
		read_members(type, name, a);
}

static void read_ops(Dwarf_Die *type, struct answers *a)
{
	const char *name = dwarf_diename(type);
	Dwarf_Die child;

	if (!name || strcmp(name, "ggml_op") || a->n_ops || dwarf_child(type, &child))
		return;
	do {
		const char *op = dwarf_diename(&child);
		Dwarf_Attribute attr;
		Dwarf_Word n;

		if (!op || strncmp(op, "GGML_OP_", 8) || !strcmp(op, "GGML_OP_COUNT") ||
		    dwarf_formudata(dwarf_attr(&child, DW_AT_const_value, &attr), &n) ||
		    n >= NAMES_MAX)
			continue;
		snprintf(a->op[n], NAME_LEN, "%s", op + 8);
		if (n >= a->n_ops)
			a->n_ops = (uint32_t)n + 1;
	} while (!dwarf_siblingof(&child, &child));
}

static void read_unit(Dwarf_Die *unit, struct answers *a)
{
	Dwarf_Die child;

	if (dwarf_child(unit, &child))
		return;
	do {
		int tag = dwarf_tag(&child);

		if (tag == DW_TAG_structure_type || tag == DW_TAG_class_type)
			read_struct(&child, a);
		else if (tag == DW_TAG_enumeration_type)
			read_ops(&child, a);
	} while (!dwarf_siblingof(&child, &child));
}

static void read_units(Dwarf *dw, struct answers *a)
{
	Dwarf_Off off = 0, next;
	size_t header;

	for (; !dwarf_nextcu(dw, off, &next, &header, NULL, NULL, NULL); off = next) {
		Dwarf_Die unit;

		if (dwarf_offdie(dw, off + header, &unit))
			read_unit(&unit, a);
	}
}

/* A debug file is only good for the build that it was split from. */
static bool same_build(int fd, const char *build_id)
{
	char hex[2 * BUILD_ID_MAX + 1] = "";
	const void *id;
	ssize_t n;
	Elf *elf;

	if (!build_id[0])
		return true;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	n = elf ? dwelf_elf_gnu_build_id(elf, &id) : 0;
	for (ssize_t i = 0; i < n && i < BUILD_ID_MAX; i++)
		snprintf(hex + 2 * i, 3, "%02x", ((const uint8_t *)id)[i]);
	elf_end(elf);
	return !strcmp(hex, build_id);
}

/* The address sanitizer maps terabytes of its own. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define HAS_ASAN 1
#endif

static void limit_memory(void)
{
#ifndef HAS_ASAN
	const struct rlimit mem = {(rlim_t)MEMORY_GIB << 30, (rlim_t)MEMORY_GIB << 30};

	setrlimit(RLIMIT_AS, &mem);
#endif
}

static void child_main(int fd, const char *build_id, struct answers *a)
{
	const struct rlimit cpu = {CPU_SECONDS, CPU_SECONDS};
	const struct rlimit no_core = {0, 0};
	Dwarf *dw;

	setrlimit(RLIMIT_CPU, &cpu);
	setrlimit(RLIMIT_CORE, &no_core);
	limit_memory();
	signal(SIGINT, SIG_DFL);
	signal(SIGALRM, SIG_DFL);
	alarm(3 * CPU_SECONDS);
	if (same_build(fd, build_id)) {
		dw = dwarf_begin(fd, DWARF_C_READ);
		if (dw)
			read_units(dw, a);
	}
	a->done = true;
	_exit(0);
}

static bool read_in_child(int fd, const char *build_id, struct answers *a)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return false;
	if (!pid)
		child_main(fd, build_id, a);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return false;
	return a->done;
}

/* Members of the iface count from the backend's address. */
static int64_t placed(const struct answers *a, enum layout_field f)
{
	int32_t v = a->value[f], iface = a->value[LAYOUT_BACKEND_IFACE];
	bool inside = f == LAYOUT_BACKEND_GET_NAME || f == LAYOUT_BACKEND_GRAPH_COMPUTE ||
		      f == LAYOUT_BACKEND_SYNCHRONIZE;

	if (!inside || v < 0)
		return v;
	return iface < 0 ? -1 : v + iface;
}

static size_t take_answers(struct infer *in, const struct answers *a, const char *path)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	size_t n = 0;

	for (int f = 0; f < LAYOUT_FIELD_COUNT; f++) {
		n += placed(a, f) >= 0;
		infer_put(in, f, placed(a, f), LAYOUT_DWARF, "%s", base);
	}
	for (uint32_t i = 0; i < a->n_ops && !in->n_dwarf_ops; i++)
		in->dwarf_ops[i] = xstrdup(a->op[i]);
	if (!in->n_dwarf_ops)
		in->n_dwarf_ops = a->n_ops;
	return n;
}

/* Reads one file's DWARF; true when it held anything that is wanted. */
static bool use_file(struct infer *in, int fd, const char *build_id, const char *path)
{
	struct answers *a =
		mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool found = false;

	if (a == MAP_FAILED)
		return false;
	for (int f = 0; f < LAYOUT_FIELD_COUNT; f++)
		a->value[f] = -1;
	if (read_in_child(fd, build_id, a))
		found = take_answers(in, a, path) > 0;
	else
		diag_add(in->d, DIAG_WARNING,
			 "the debug information of %s could not be read (damaged, or too large to "
			 "read within %d s); going on without it",
			 path, CPU_SECONDS);
	munmap(a, sizeof(*a));
	return found;
}

static bool use_debug_file(void *in, const struct elf *e, int fd, const char *path)
{
	return use_file(in, fd, elf_build_id(e), path);
}

/* Reading DWARF is slow: only the files of an engine are worth it. */
static bool is_engine_file(const struct infer *in, const struct elf *e)
{
	struct elf_symbol s;

	for (size_t i = 0; i < in->n_searched; i++)
		if (in->searched[i] == e)
			return true;
	return elf_find(e, "llama_decode", &s) || elf_find(e, "ggml_graph_compute", &s);
}

void infer_dwarf(struct infer *in)
{
	const char *root = in->src->root ? in->src->root : "";

	for (size_t i = 0; i < in->src->count; i++) {
		const struct elf *e = in->src->files[i];

		if (!is_engine_file(in, e))
			continue;
		if (elf_has_dwarf(e) && e->fd >= 0 && use_file(in, e->fd, "", elf_name(e)))
			continue;
		debug_file_each(e, root, use_debug_file, in);
	}
}
