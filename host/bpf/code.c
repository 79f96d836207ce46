/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf/code.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/alloc.h"

/* Changes whenever the byte form does; the cache key has it too. */
static const char code_magic[8] = "LPBPFC01";

/* Reads from the front; `bad` sticks, and everything read after it is zero. */
struct cursor {
	const char *at;
	size_t left;
	bool bad;
};

static void free_program(struct code_program *p)
{
	free(p->name);
	free(p->insns);
	free(p->relocs);
}

static void free_map(struct code_map *m)
{
	uint32_t i;

	for (i = 0; i < m->n_fields; i++)
		free(m->fields[i]);
	free(m->fields);
	free(m->name);
	free(m->key_desc);
	free(m->leaf_desc);
}

void bpf_code_free(struct bpf_code *c)
{
	uint32_t i;

	if (!c)
		return;
	for (i = 0; i < c->n_programs; i++)
		free_program(&c->programs[i]);
	for (i = 0; i < c->n_maps; i++)
		free_map(&c->maps[i]);
	free(c->programs);
	free(c->maps);
	free(c->licence);
	free(c);
}

const struct code_program *bpf_code_program(const struct bpf_code *c, const char *name)
{
	uint32_t i;

	for (i = 0; i < c->n_programs; i++) {
		if (!strcmp(c->programs[i].name, name))
			return &c->programs[i];
	}
	return NULL;
}

const struct code_map *bpf_code_map(const struct bpf_code *c, const char *name)
{
	uint32_t i;

	for (i = 0; i < c->n_maps; i++) {
		if (!strcmp(c->maps[i].name, name))
			return &c->maps[i];
	}
	return NULL;
}

static void put_u32(struct buf *out, uint32_t v)
{
	buf_add(out, &v, sizeof(v));
}

static void put_str(struct buf *out, const char *s)
{
	uint32_t len = s ? strlen(s) : 0;

	put_u32(out, len);
	if (len)
		buf_add(out, s, len);
}

static void encode_map(const struct code_map *m, struct buf *out)
{
	uint32_t i;

	put_str(out, m->name);
	put_u32(out, m->type);
	put_u32(out, m->key_size);
	put_u32(out, m->value_size);
	put_u32(out, m->max_entries);
	put_u32(out, m->flags);
	put_str(out, m->key_desc);
	put_str(out, m->leaf_desc);
	put_u32(out, m->n_fields);
	for (i = 0; i < m->n_fields; i++)
		put_str(out, m->fields[i]);
}

static void encode_program(const struct code_program *p, struct buf *out)
{
	put_str(out, p->name);
	put_u32(out, p->n_insns);
	buf_add(out, p->insns, p->n_insns * sizeof(*p->insns));
	put_u32(out, p->n_relocs);
	buf_add(out, p->relocs, p->n_relocs * sizeof(*p->relocs));
}

void bpf_code_encode(const struct bpf_code *c, struct buf *out)
{
	uint32_t i;

	buf_add(out, code_magic, sizeof(code_magic));
	put_str(out, c->licence);
	put_u32(out, c->kern_version);
	put_u32(out, c->n_maps);
	for (i = 0; i < c->n_maps; i++)
		encode_map(&c->maps[i], out);
	put_u32(out, c->n_programs);
	for (i = 0; i < c->n_programs; i++)
		encode_program(&c->programs[i], out);
}

static const char *take(struct cursor *c, size_t len)
{
	const char *at = c->at;

	if (c->bad || len > c->left) {
		c->bad = true;
		return NULL;
	}
	c->at += len;
	c->left -= len;
	return at;
}

static uint32_t take_u32(struct cursor *c)
{
	const char *at = take(c, sizeof(uint32_t));
	uint32_t v = 0;

	if (at)
		memcpy(&v, at, sizeof(v));
	return v;
}

static char *take_str(struct cursor *c)
{
	uint32_t len = take_u32(c);
	const char *at = take(c, len);

	return xstrndup(at ? at : "", at ? len : 0);
}

/* A count of things that take at least `min` bytes each; what cannot fit is damage. */
static uint32_t take_count(struct cursor *c, size_t min)
{
	uint32_t n = take_u32(c);

	if (c->bad || n > c->left / min) {
		c->bad = true;
		return 0;
	}
	return n;
}

static void *take_array(struct cursor *c, uint32_t n, size_t size)
{
	const char *at = take(c, n * size);
	void *out = xcalloc(n ? n : 1, size);

	if (at && n)
		memcpy(out, at, n * size);
	return out;
}

static void decode_map(struct cursor *c, struct code_map *m)
{
	uint32_t i;

	m->name = take_str(c);
	m->type = take_u32(c);
	m->key_size = take_u32(c);
	m->value_size = take_u32(c);
	m->max_entries = take_u32(c);
	m->flags = take_u32(c);
	m->key_desc = take_str(c);
	m->leaf_desc = take_str(c);
	m->n_fields = take_count(c, sizeof(uint32_t));
	m->fields = xcalloc(m->n_fields + 1, sizeof(*m->fields));
	for (i = 0; i < m->n_fields; i++)
		m->fields[i] = take_str(c);
}

static bool reloc_valid(const struct bpf_code *code, const struct code_program *p,
			const struct code_reloc *r)
{
	/* A load of 64 bits takes two slots. */
	if (r->insn + 1 == 0 || r->insn + 1 >= p->n_insns)
		return false;
	if (p->insns[r->insn].code != (BPF_LD | BPF_DW | BPF_IMM))
		return false;
	if (r->kind == CODE_RELOC_MAP)
		return r->index < code->n_maps;
	return r->kind == CODE_RELOC_EXTERN && r->index < EXTERN_MAP_MAX;
}

static void decode_program(struct cursor *c, const struct bpf_code *code, struct code_program *p)
{
	uint32_t i;

	p->name = take_str(c);
	p->n_insns = take_count(c, sizeof(*p->insns));
	p->insns = take_array(c, p->n_insns, sizeof(*p->insns));
	p->n_relocs = take_count(c, sizeof(*p->relocs));
	p->relocs = take_array(c, p->n_relocs, sizeof(*p->relocs));
	for (i = 0; i < p->n_relocs; i++) {
		if (!reloc_valid(code, p, &p->relocs[i]))
			c->bad = true;
	}
}

struct bpf_code *bpf_code_decode(const void *data, size_t len)
{
	struct cursor c = {data, len, false};
	struct bpf_code *code = xcalloc(1, sizeof(*code));
	const char *magic = take(&c, sizeof(code_magic));
	uint32_t i;

	if (!magic || memcmp(magic, code_magic, sizeof(code_magic)))
		c.bad = true;
	code->licence = take_str(&c);
	code->kern_version = take_u32(&c);
	code->n_maps = take_count(&c, 9 * sizeof(uint32_t));
	code->maps = xcalloc(code->n_maps + 1, sizeof(*code->maps));
	for (i = 0; i < code->n_maps; i++)
		decode_map(&c, &code->maps[i]);
	code->n_programs = take_count(&c, 3 * sizeof(uint32_t));
	code->programs = xcalloc(code->n_programs + 1, sizeof(*code->programs));
	for (i = 0; i < code->n_programs; i++)
		decode_program(&c, code, &code->programs[i]);
	if (c.bad || c.left) {
		bpf_code_free(code);
		return NULL;
	}
	return code;
}
