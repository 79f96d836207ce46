/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks as text. */
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/kmap.h"
#include "script/run/runtime.h"
#include "script/type/debug_info.h"

enum { MAX_FRAMES = 127, MAX_PLACES = 16 };

struct frame {
	uint64_t address;
	struct symbol_at at;
	bool is_kernel, is_named;
	bool is_caller; /* the address is that of the instruction behind the call */
};

static void put_perf_frame(struct buf *out, const struct frame *f)
{
	const char *module = f->is_kernel && f->is_named ? "[kernel]" : f->at.module;

	buf_printf(out, "\t%llx ", (unsigned long long)f->address);
	if (f->is_named)
		buf_printf(out, "%s+%llu", f->at.name, (unsigned long long)f->at.offset);
	else
		buf_printf(out, "0x%llx", (unsigned long long)f->address);
	buf_printf(out, " (%s)\n", module && *module ? module : "[unknown]");
}

/* Code that the compiler put in the place of calls comes before the function that holds it, which
 * is returned. */
static struct debug_place put_inlined(struct runtime *r, struct buf *out, const struct frame *f,
				      int indent)
{
	struct debug_place places[MAX_PLACES] = {{0}};
	size_t n = 0;

	if (r->settings->show_debug_info && f->at.file)
		n = debug_info_places(r->debug, f->at.file, f->at.vaddr - f->is_caller, places,
				      MAX_PLACES);
	for (size_t i = 0; i + 1 < n; i++)
		buf_printf(out, "%*s[inlined] %s@%s:%d\n", indent, "",
			   places[i].function ? places[i].function : "?", places[i].file,
			   places[i].line);
	return places[n ? n - 1 : 0];
}

static void put_frame(struct runtime *r, struct buf *out, const struct frame *f, int indent)
{
	struct debug_place place = put_inlined(r, out, f, indent);

	buf_printf(out, "%*s", indent, "");
	if (f->is_named)
		buf_printf(out, "%s+%llu", f->at.name, (unsigned long long)f->at.offset);
	else
		buf_printf(out, "0x%llx", (unsigned long long)f->address);
	if (!f->is_named && f->at.module && f->at.module[0] == '/')
		buf_printf(out, " (%s+0x%llx)", f->at.module,
			   (unsigned long long)f->at.module_offset);
	if (place.file)
		buf_printf(out, "@%s:%d", place.file, place.line);
	buf_putc(out, '\n');
}

static void put_address(struct runtime *r, struct buf *out, const struct type *t, pid_t pid,
			struct frame *f, int indent)
{
	if (t->stack_mode == STACK_RAW) {
		buf_printf(out, "%llx\n", (unsigned long long)f->address);
		return;
	}
	f->is_named = f->is_kernel ? symbols_kernel(r->symbols, f->address, &f->at)
				   : symbols_user(r->symbols, pid, f->address, &f->at);
	if (t->stack_mode == STACK_PERF)
		put_perf_frame(out, f);
	else
		put_frame(r, out, f, indent);
}

static void put_build_ids(struct buf *out, const uint8_t *frames, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct bpf_stack_build_id id;

		memcpy(&id, frames + i * sizeof(id), sizeof(id));
		if (id.status != BPF_STACK_BUILD_ID_VALID) {
			buf_printf(out, "%llx\n", (unsigned long long)id.ip);
			continue;
		}
		for (size_t k = 0; k < sizeof(id.build_id); k++)
			buf_printf(out, "%02x", id.build_id[k]);
		buf_printf(out, " 0x%llx\n", (unsigned long long)id.offset);
	}
}

static const struct stack_map *map_of(const struct runtime *r, const struct type *t)
{
	const struct stack_map *m = r->code->stacks;

	while (m &&
	       (m->kernel != (t->kind == TY_KSTACK) ||
		m->build_id != (t->stack_mode == STACK_BUILD_ID) || m->limit != t->stack_limit))
		m = m->next;
	return m;
}

/* The value is the key of the frames, then their number and the process. */
void stack_text(struct runtime *r, struct buf *out, const struct type *t, const uint8_t *data,
		int indent)
{
	uint8_t *frames = xcalloc(MAX_FRAMES, sizeof(struct bpf_stack_build_id));
	const struct stack_map *m = map_of(r, t);
	uint32_t n;
	int32_t pid;

	memcpy(&n, data + 8, sizeof(n));
	memcpy(&pid, data + 12, sizeof(pid));
	buf_putc(out, '\n');
	if (!m || !n || n > MAX_FRAMES || kmap_lookup(r->stack_fds[m->id], data, frames) != 0)
		n = 0;
	if (t->stack_mode == STACK_BUILD_ID)
		put_build_ids(out, frames, n);
	for (uint32_t i = 0; i < n && t->stack_mode != STACK_BUILD_ID; i++) {
		struct frame f = {.is_kernel = t->kind == TY_KSTACK, .is_caller = i > 0};

		memcpy(&f.address, frames + i * 8ul, 8);
		put_address(r, out, t, pid, &f, indent);
	}
	free(frames);
}
