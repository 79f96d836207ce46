/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop over a graph's nodes in a worker of ggml's CPU backend, in builds for x86-64:
 *
 *     for (n = 0; n < graph->n_nodes; n++) {
 *         if (nothing to compute, or no flag COMPUTE) continue;
 *         compute(&params, node);                       calls `within`
 *         if (n + 1 < graph->n_nodes) barrier();        ends a node: its jump, the last node's too
 *     }
 *     barrier();
 *
 * The jump that skips the barrier behind the last node is executed once per node and worker, before
 * the worker waits, and is cheaper to probe than the call, which writes to the target's stack. Its
 * comparison has `n + 1` and `graph` in registers; where `params` lies is read off the code before
 * the call of `within`. What does not look like this, down to the test of the flag, is not taken
 * for it.
 */
#include <capstone/capstone.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/insn_impl.h"
#include "target/site_impl.h"
#include "util/alloc.h"

enum {
	RSP = 4,
	RBP = 5,
	RDI = 7,
	REGISTERS = 16,
	KEPT_BY_CALLS = 0xf028, /* rbx rbp r12..r15 */
	FLAG_COMPUTE = 16,
	BEHIND_MAX = 24, /* instructions that are followed from a call */
	BEFORE_MAX = 16, /* and back from one */
	INSNS_MAX = 200000,
};

enum operand_kind { OP_OTHER, OP_REG, OP_IMM, OP_MEM };

struct operand {
	enum operand_kind kind;
	int8_t reg;    /* OP_REG; OP_MEM: the base of [base + disp] */
	uint8_t size;  /* bytes */
	int64_t value; /* OP_IMM; OP_MEM: disp */
};

struct step {
	struct insn in;
	unsigned id;	     /* of the disassembler */
	unsigned jumps_here; /* direct ones */
	struct operand op[2];
};

struct code {
	struct step *at;
	size_t count, cap;
};

/* What is known of a register while code is followed. */
struct value {
	enum { UNKNOWN, INITIAL, STACK_SLOT, STACK_ADDRESS, N_NODES } kind;
	int8_t reg;   /* INITIAL: whose value at the start; STACK_*: the base register */
	int32_t disp; /* STACK_*: from the base */
	int32_t add;
	struct loop_place graph; /* N_NODES: whose number of nodes it is */
};

struct finder {
	const struct elf *e;
	struct code code;
	struct loop_layout layout;
	bool has_frame; /* rbp points into the stack, always to the same place */
	struct value reg[REGISTERS];
};

/* Reading. */

static struct operand operand_of(const cs_x86 *x, int i)
{
	const cs_x86_op *op = &x->operands[i];
	struct operand out = {.reg = -1};

	if (i >= x->op_count)
		return out;
	out.size = op->size;
	if (op->type == X86_OP_REG) {
		out.reg = (int8_t)insn_x86_register(op->reg);
		out.kind = out.reg < 0 ? OP_OTHER : OP_REG;
	} else if (op->type == X86_OP_IMM) {
		out.kind = OP_IMM;
		out.value = op->imm;
	} else if (op->type == X86_OP_MEM && op->mem.index == X86_REG_INVALID &&
		   op->mem.segment == X86_REG_INVALID) {
		out.reg = (int8_t)insn_x86_register(op->mem.base);
		out.kind = out.reg < 0 ? OP_OTHER : OP_MEM;
		out.value = op->mem.disp;
	}
	return out;
}

static int add_step(void *ctx, size_t cs, const void *insn)
{
	struct code *c = ctx;
	const cs_insn *ci = insn;
	struct step *s = VEC_PUSH(c->at, c->count, c->cap);

	s->in.vaddr = ci->address;
	s->in.size = (uint8_t)ci->size;
	s->in.sp_known = true;
	s->id = ci->id;
	insn_describe_x86(cs, ci, &s->in);
	if (s->in.is_call || s->in.is_conditional)
		snprintf(s->in.text, sizeof(s->in.text), "%.8s %.32s", ci->mnemonic, ci->op_str);
	for (int i = 0; i < 2; i++)
		s->op[i] = operand_of(&ci->detail->x86, i);
	return 0;
}

static size_t index_of(const struct code *c, uint64_t vaddr)
{
	size_t low = 0, high = c->count;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (c->at[mid].in.vaddr < vaddr)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->count && c->at[low].in.vaddr == vaddr ? low : c->count;
}

/* Where an unconditional jump at `i` leads, else what follows it. */
static size_t next_of(const struct code *c, size_t i)
{
	const struct insn *in = &c->at[i].in;

	if (!in->is_jump || in->is_conditional)
		return i + 1;
	return in->has_target ? index_of(c, in->target) : c->count;
}

static bool branches(const struct step *s)
{
	return s->in.is_conditional || s->in.is_call || s->in.is_ret;
}

static bool falls_through(const struct step *s)
{
	return !s->in.is_ret && (!s->in.is_jump || s->in.is_conditional);
}

/* The step before may be followed by this one; what fills the room before it is none. */
static bool is_fallen_into(const struct code *c, size_t i)
{
	while (i && c->at[i - 1].id == X86_INS_NOP && !c->at[i - 1].jumps_here)
		i--;
	return i && falls_through(&c->at[i - 1]);
}

static void count_jumps(struct code *c)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct insn *in = &c->at[i].in;
		size_t to = in->is_jump && in->has_target ? index_of(c, in->target) : c->count;

		if (to < c->count)
			c->at[to].jumps_here++;
	}
}

/* The first of the steps that are executed one after the other up to the one at `i`. */
static size_t straight_from(const struct code *c, size_t i)
{
	size_t begin = i;

	while (begin && i - begin < BEFORE_MAX && !c->at[begin].jumps_here &&
	       !branches(&c->at[begin - 1]) && !c->at[begin - 1].in.is_jump)
		begin--;
	return begin;
}

/* Following. */

static void start_values(struct finder *f)
{
	for (int i = 0; i < REGISTERS; i++)
		f->reg[i] = (struct value){KEPT_BY_CALLS >> i & 1 ? INITIAL : UNKNOWN,
					   .reg = (int8_t)i};
}

static struct loop_place place_of(const struct value *v)
{
	static const enum loop_place_kind kinds[] = {
		[UNKNOWN] = LOOP_NO_PLACE,	[INITIAL] = LOOP_REGISTER,
		[STACK_SLOT] = LOOP_STACK_SLOT, [STACK_ADDRESS] = LOOP_STACK_ADDRESS,
		[N_NODES] = LOOP_NO_PLACE,
	};

	return (struct loop_place){kinds[v->kind], v->reg, v->disp, v->add};
}

static bool same_place(const struct loop_place *a, const struct loop_place *b)
{
	return a->kind == b->kind && a->reg == b->reg && a->disp == b->disp && a->add == b->add;
}

static bool is_on_stack(const struct finder *f, const struct operand *op)
{
	return op->kind == OP_MEM && (op->reg == RSP || (op->reg == RBP && f->has_frame));
}

static bool is_n_nodes(const struct finder *f, const struct operand *op)
{
	return op->kind == OP_MEM && !is_on_stack(f, op) && op->size == 4 &&
	       op->value == f->layout.n_nodes;
}

/* What a step leaves in the register that it writes first. */
static struct value result(const struct finder *f, const struct step *s)
{
	const struct operand *to = &s->op[0], *from = &s->op[1];
	bool on_stack = is_on_stack(f, from);
	int32_t disp = (int32_t)from->value;
	struct value v = {.kind = UNKNOWN};

	if (s->id == X86_INS_MOV && from->kind == OP_REG)
		return f->reg[from->reg];
	if (s->id == X86_INS_MOV && on_stack)
		return (struct value){.kind = STACK_SLOT, .reg = from->reg, .disp = disp};
	if (s->id == X86_INS_MOV && is_n_nodes(f, from))
		return (struct value){.kind = N_NODES, .graph = place_of(&f->reg[from->reg])};
	if (s->id == X86_INS_LEA && on_stack)
		return (struct value){.kind = STACK_ADDRESS, .reg = from->reg, .disp = disp};
	if (s->id == X86_INS_LEA && from->kind == OP_MEM)
		v = f->reg[from->reg];
	else if (s->id == X86_INS_ADD && from->kind == OP_IMM)
		v = f->reg[to->reg];
	v.add += disp;
	return v;
}

/* Moves, additions of constants and addresses on the stack; what else is written is not known. */
static void follow(struct finder *f, const struct step *s)
{
	struct value v = s->op[0].kind == OP_REG ? result(f, s) : (struct value){.kind = UNKNOWN};

	for (int i = 0; i < REGISTERS; i++)
		if (s->in.writes >> i & 1)
			f->reg[i].kind = UNKNOWN;
	if (s->op[0].kind == OP_REG && s->in.writes >> s->op[0].reg & 1)
		f->reg[s->op[0].reg] = v;
}

/* The graph whose number of nodes the operand is, directly or after it was loaded. */
static struct loop_place graph_of(const struct finder *f, const struct operand *op)
{
	if (is_n_nodes(f, op))
		return place_of(&f->reg[op->reg]);
	if (op->kind == OP_REG && f->reg[op->reg].kind == N_NODES)
		return f->reg[op->reg].graph;
	return (struct loop_place){.kind = LOOP_NO_PLACE};
}

/* `cmp graph->n_nodes, n`, in either order; `graph` gets where the graph lies. */
static bool is_loop_test(const struct finder *f, const struct step *s, struct loop_place *graph)
{
	for (int side = 0; s->id == X86_INS_CMP && side < 2; side++) {
		*graph = graph_of(f, &s->op[side]);
		if (graph->kind != LOOP_NO_PLACE && !graph->add && s->op[1 - side].kind == OP_REG)
			return true;
	}
	return false;
}

/* The call at `i` is behind a node that others may follow: the test of the loop is the first thing
 * behind it. */
static bool goes_on(struct finder *f, size_t i, struct loop_place *graph)
{
	const struct code *c = &f->code;

	start_values(f);
	i++;
	for (int n = 0; n < BEHIND_MAX && i < c->count; n++) {
		if (is_loop_test(f, &c->at[i], graph))
			return true;
		if (branches(&c->at[i]))
			return false;
		follow(f, &c->at[i]);
		i = next_of(c, i);
	}
	return false;
}

static void follow_to(struct finder *f, size_t i)
{
	start_values(f);
	for (size_t k = straight_from(&f->code, i); k < i; k++)
		follow(f, &f->code.at[k]);
}

/* The jump at `i` leads to the call at `call` when it is taken (or is not), and nothing else does:
 * no other jump ends on the way. */
static bool leads_to(const struct code *c, size_t i, bool taken, size_t call)
{
	size_t at = taken ? index_of(c, c->at[i].in.target) : i + 1;

	for (int n = 0; n < BEHIND_MAX && at < c->count; n++) {
		if (c->at[at].jumps_here != taken || (taken && is_fallen_into(c, at)))
			return false;
		if (at == call)
			return true;
		if (branches(&c->at[at]))
			return false;
		taken = c->at[at].in.is_jump;
		at = next_of(c, at);
	}
	return false;
}

/* A conditional jump behind `cmp graph->n_nodes, n + 1` with both in registers. */
static bool tests_next(struct finder *f, size_t i, const struct loop_place *graph,
		       struct node_loop *out)
{
	const struct step *s = &f->code.at[i], *test = &f->code.at[i ? i - 1 : 0];

	if (!s->in.is_conditional || !s->in.has_target || s->jumps_here || test->id != X86_INS_CMP)
		return false;
	follow_to(f, i - 1);
	for (int side = 0; side < 2; side++) {
		const struct operand *n_nodes = &test->op[side], *next = &test->op[1 - side];
		struct loop_place here = graph_of(f, n_nodes);

		if (n_nodes->kind != OP_MEM || next->kind != OP_REG || !same_place(&here, graph))
			continue;
		out->graph = (struct loop_place){LOOP_REGISTER, n_nodes->reg, 0, 0};
		out->next = (struct loop_place){LOOP_REGISTER, next->reg, 0, 0};
		return true;
	}
	return false;
}

/* The jump that leads to the call at `call`, behind a node; its index, or the number of steps. */
static size_t jump_before(struct finder *f, size_t call, const struct loop_place *graph,
			  struct node_loop *out)
{
	const struct code *c = &f->code;

	for (size_t i = 0; i < c->count; i++)
		if (tests_next(f, i, graph, out) &&
		    (leads_to(c, i, false, call) || leads_to(c, i, true, call)))
			return i;
	return c->count;
}

/* What a register holds that is set once in the function, to an address on its stack. */
static struct value set_once(const struct finder *f, int reg)
{
	struct value v = {.kind = UNKNOWN};
	int n = 0;

	for (size_t i = 0; i < f->code.count; i++) {
		const struct step *s = &f->code.at[i];

		if (!(s->in.writes >> reg & 1) || s->id == X86_INS_POP)
			continue;
		if (n++ || s->id != X86_INS_LEA)
			return (struct value){.kind = UNKNOWN};
		v = result(f, s);
	}
	return v;
}

/* The first argument of the call at `i`. */
static struct loop_place first_argument(struct finder *f, size_t i)
{
	follow_to(f, i);
	if (f->reg[RDI].kind == INITIAL && !f->reg[RDI].add)
		f->reg[RDI] = set_once(f, f->reg[RDI].reg);
	return place_of(&f->reg[RDI]);
}

/* The loop. */

/* True when nothing but `mov rbp, rsp` and the way out sets rbp. */
static bool keeps_frame(const struct code *c)
{
	int n = 0;

	for (size_t i = 0; i < c->count; i++) {
		const struct step *s = &c->at[i];

		if (!(s->in.writes >> RBP & 1) || s->id == X86_INS_POP || s->id == X86_INS_LEAVE)
			continue;
		if (n++ || s->id != X86_INS_MOV || s->op[1].kind != OP_REG || s->op[1].reg != RSP)
			return false;
	}
	return n == 1;
}

static bool tests_flag(const struct finder *f)
{
	for (size_t i = 0; i < f->code.count; i++) {
		const struct step *s = &f->code.at[i];

		if (s->id == X86_INS_TEST && s->op[0].kind == OP_MEM && s->op[1].kind == OP_IMM &&
		    s->op[0].value == f->layout.flags && s->op[1].value == FLAG_COMPUTE)
			return true;
	}
	return false;
}

bool node_loop_equal(const struct node_loop *a, const struct node_loop *b)
{
	return same_place(&a->params, &b->params) && same_place(&a->graph, &b->graph) &&
	       same_place(&a->next, &b->next);
}

/* All calls of `within` are given the same struct, which lies on the stack or is noted there. */
static bool find_params(struct finder *f, const char *within, struct loop_place *out)
{
	uint64_t vaddr = site_address(f->e, within);
	bool found = false;

	for (size_t i = 0; i < f->code.count; i++) {
		struct loop_place place;

		if (!site_is_call(f->e, &f->code.at[i].in, vaddr, within))
			continue;
		place = first_argument(f, i);
		if ((place.kind != LOOP_STACK_ADDRESS && place.kind != LOOP_STACK_SLOT) ||
		    (found && !same_place(&place, out)))
			return false;
		*out = place;
		found = true;
	}
	return found;
}

static int add(struct finder *f, const struct elf_func *func, size_t i,
	       const struct node_loop *loop, struct site_exits *out)
{
	const struct insn *in = &f->code.at[i].in;
	struct site *s = &out->at[out->count];

	if (out->count == SITE_EXITS_MAX || insn_class_cost(in->class) > 0)
		return -EOPNOTSUPP;
	site_fill(f->e, func, in, s);
	s->offset = 0;
	s->loop = *loop;
	snprintf(s->why, sizeof(s->why), "the jump at 0x%llx, which ends a node",
		 (unsigned long long)s->vaddr);
	out->count++;
	return 0;
}

/* Adds the jumps before the calls of `callee` that end a node: all of them or none. */
static int add_node_ends(struct finder *f, const struct elf_func *func, const char *callee,
			 struct node_loop *loop, struct site_exits *out)
{
	uint64_t vaddr = site_address(f->e, callee);
	struct loop_place graph;

	for (size_t i = 0; i < f->code.count; i++) {
		size_t jump;
		int err;

		if (!site_is_call(f->e, &f->code.at[i].in, vaddr, callee) || !goes_on(f, i, &graph))
			continue;
		jump = jump_before(f, i, &graph, loop);
		err = jump < f->code.count ? add(f, func, jump, loop, out) : -EOPNOTSUPP;
		if (err)
			return err;
	}
	return out->count ? 0 : -ENOENT;
}

/* Where a worker begins. */
static int add_entry(const struct finder *f, const struct elf_func *func, struct site_exits *out)
{
	struct site *s = &out->at[out->count];

	if (out->count == SITE_EXITS_MAX)
		return -EOPNOTSUPP;
	if (site_entry(f->e, func, 0, false, s))
		return -EOPNOTSUPP;
	s->offset = 0;
	s->loop = (struct node_loop){.next.kind = LOOP_ENTRY};
	snprintf(s->why, sizeof(s->why), "0x%llx, where a worker begins with the nodes",
		 (unsigned long long)s->vaddr);
	out->count++;
	return 0;
}

int site_node_ends(const struct elf *e, const char *callee, const char *within,
		   const struct loop_layout *layout, struct site_exits *out)
{
	struct finder f = {.e = e, .layout = *layout};
	struct node_loop loop = {.next.kind = LOOP_NO_PLACE};
	struct elf_func func;
	uint64_t end = 0;
	int err = -ENOENT;

	memset(out, 0, sizeof(*out));
	if (elf_arch(e) != ELF_X86_64 || layout->n_nodes < 0 || layout->flags < 0 ||
	    !site_find_caller(e, callee, within, &func))
		return err;
	err = insn_walk(e, &func, INSNS_MAX, add_step, &f.code, &end);
	f.has_frame = keeps_frame(&f.code);
	count_jumps(&f.code);
	if (!err && (end != func.vaddr + func.size || !tests_flag(&f) ||
		     !find_params(&f, within, &loop.params)))
		err = -ENOENT;
	if (!err)
		err = add_node_ends(&f, &func, callee, &loop, out);
	if (!err)
		err = add_entry(&f, &func, out);
	free(f.code.at);
	out->complete = !err;
	return err;
}
