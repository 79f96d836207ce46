/* SPDX-License-Identifier: Apache-2.0 */
/* Structs of llama.cpp: batches. */
#include <string.h>

#include "target/layout_impl.h"

static void infer_batch(struct infer *in)
{
	struct elf_func f;
	const struct elf *e = infer_find(in, "llama_batch_get_one", &f);
	int result = e && elf_arch(e) == ELF_AARCH64 ? EVAL_RESULT_ARG : 0;
	int64_t high = 0;

	if (!infer_has_symbol(in, "llama_decode") && !infer_has_symbol(in, "llama_batch_get_one"))
		return;
	infer_put(in, LAYOUT_BATCH_N_TOKENS, 0, LAYOUT_DERIVED, "first field in every version");
	if (!infer_eval(in, "llama_batch_get_one", 60))
		return;
	/* The struct is returned through a hidden argument. */
	for (size_t i = 0; i < in->eval->n_access; i++) {
		const struct eval_access *a = &in->eval->access[i];

		if (a->is_write && a->to.root == ROOT_ARG && a->to.index == result &&
		    a->to.off + a->size > high)
			high = a->to.off + a->size;
	}
	if (high >= 48)
		infer_put(in, LAYOUT_BATCH_SIZE, (high + 7) & ~7, LAYOUT_ACCESSOR,
			  "llama_batch_get_one: fills %d bytes", (int)high);
}

/* What the loop over the tokens reads of them first is the list that it frees: of a token's members
 * only the set of sequences owns something. */
static void infer_token_seqs(struct infer *in, int64_t begin)
{
	const struct eval *v = in->eval;

	for (size_t i = 0; i < v->n_behind; i++) {
		const struct eval_behind *b = &v->behind[i];

		if (b->pointer.base != ROOT_ARG || b->pointer.off != begin || b->size != 8)
			continue;
		infer_put(in, LAYOUT_BATCH_EXT_TOKEN_SEQS, b->off, LAYOUT_ACCESSOR,
			  "llama_batch_ext::clear: first read of a token");
		return;
	}
}

static void infer_batch_ext(struct infer *in)
{
	const struct eval *v = in->eval;
	int64_t low = -1, high = -1;

	if (!infer_eval(in, "_ZN15llama_batch_ext5clearEv", 120))
		return;
	for (size_t i = 0; i < v->n_advance && low < 0; i++)
		if (v->advance[i].what.base == ROOT_ARG && v->advance[i].imm >= 8 &&
		    v->advance[i].imm < 4096) {
			low = v->advance[i].what.off;
			infer_put(in, LAYOUT_BATCH_EXT_TOKEN_SIZE, v->advance[i].imm,
				  LAYOUT_ACCESSOR, "llama_batch_ext::clear: step of its loop");
		}
	for (size_t i = 0; i < v->n_access; i++)
		if (v->access[i].to.off == low + 8 && v->access[i].to.root == ROOT_ARG)
			high = low + 8;
	if (low < 0 || high < 0)
		return;
	infer_token_seqs(in, low);
	infer_put(in, LAYOUT_BATCH_EXT_TOKENS_BEGIN, low, LAYOUT_ACCESSOR,
		  "llama_batch_ext::clear: start of its loop");
	infer_put(in, LAYOUT_BATCH_EXT_TOKENS_END, high, LAYOUT_ACCESSOR,
		  "llama_batch_ext::clear: end of its loop");
}

/*
 * Its arguments are (this, ubatch, graph type, memory context, status); where it returns an object
 * in memory, x86-64 puts a hidden one in front. What it does first is a virtual call on the memory
 * context, which tells the two apart.
 */
static int memory_context_argument(const struct eval *v)
{
	for (size_t i = 0; i < v->n_access; i++) {
		const struct eval_access *a = &v->access[i];

		if (!a->is_write && a->size == 8 && a->to.off == 0 && a->to.root == ROOT_ARG &&
		    (a->to.index == 3 || a->to.index == 4))
			return a->to.index;
	}
	return -1;
}

static void infer_ubatch(struct infer *in)
{
	const struct elf *e = NULL;
	struct elf_symbol sym;
	struct elf_func f;
	int arg, memory;

	for (size_t i = 0; i < in->src->count && !in->src->no_symbols && !e; i++)
		if (elf_find_pattern(in->src->files[i], "llama_context::process_ubatch(", &sym))
			e = in->src->files[i];
	if (!e || !elf_func_at(e, sym.vaddr, &f))
		return;
	eval_func(e, &f, 400, in->eval);
	memory = memory_context_argument(in->eval);
	arg = memory == 4 ? 2 : 1;
	if (memory > 0)
		infer_put(in, LAYOUT_UBATCH_ARG, arg, LAYOUT_ACCESSOR,
			  "process_ubatch: its memory context is argument %d", memory);
	infer_put(in, LAYOUT_UBATCH_ARG, arg, LAYOUT_TABLE, "process_ubatch(this, ubatch, ...)");
	for (size_t i = 0; i < in->eval->n_access; i++) {
		const struct eval_access *a = &in->eval->access[i];

		if (a->to.root == ROOT_ARG && a->to.index == arg && a->to.off == 4 && a->size == 4)
			infer_put(in, LAYOUT_UBATCH_N_TOKENS, 4, LAYOUT_ACCESSOR,
				  "process_ubatch reads it");
	}
	infer_put(in, LAYOUT_UBATCH_N_TOKENS, 4, LAYOUT_TABLE, "every version with process_ubatch");
}

void infer_llama(struct infer *in)
{
	infer_batch(in);
	infer_batch_ext(in);
	infer_ubatch(in);
}
