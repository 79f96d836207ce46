/* SPDX-License-Identifier: Apache-2.0 */
#include "script/probe/usdt.h"

#include <ctype.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/buf.h"

/* ---- registers ---- */

struct reg {
	const char *name;
	int offset;
};

#if defined(__x86_64__)
static const struct reg regs[] = {
	{"r15", 0},   {"r14", 8},     {"r13", 16},  {"r12", 24},  {"rbp", 32},	{"bp", 32},
	{"rbx", 40},  {"bx", 40},     {"r11", 48},  {"r10", 56},  {"r9", 64},	{"r8", 72},
	{"rax", 80},  {"ax", 80},     {"rcx", 88},  {"cx", 88},	  {"rdx", 96},	{"dx", 96},
	{"rsi", 104}, {"si", 104},    {"rdi", 112}, {"di", 112},  {"rip", 128}, {"ip", 128},
	{"cs", 136},  {"flags", 144}, {"rsp", 152}, {"sp", 152},  {"ss", 160},	{"al", 80},
	{"bl", 40},   {"cl", 88},     {"dl", 96},   {"sil", 104}, {"dil", 112}, {"bpl", 32},
};
static const int arg_offsets[] = {112, 104, 96, 88, 72, 64};

int regs_retval(void)
{
	return 80;
}

int regs_sp(void)
{
	return 152;
}

int regs_ip(void)
{
	return 128;
}
#else
static const struct reg regs[] = {
	{"sp", 248}, {"pc", 256}, {"pstate", 264}, {"lr", 240}, {"fp", 232}};
static const int arg_offsets[] = {0, 8, 16, 24, 32, 40, 48, 56};

int regs_retval(void)
{
	return 0;
}

int regs_sp(void)
{
	return 248;
}

int regs_ip(void)
{
	return 256;
}
#endif

int regs_arg(int n)
{
	return n >= 0 && n < (int)(sizeof(arg_offsets) / sizeof(arg_offsets[0])) ? arg_offsets[n]
										 : -1;
}

int regs_offset(const char *name)
{
	char base[8];

	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
		if (strcmp(regs[i].name, name) == 0)
			return regs[i].offset;
	if ((name[0] == 'x' || name[0] == 'w') && isdigit((unsigned char)name[1])) {
		int n = atoi(name + 1);

		return n <= 30 ? n * 8 : -1;
	}
	/* eax, r8d: parts of the full register */
	snprintf(base, sizeof(base), "%s", name);
	if (base[0] == 'e')
		return regs_offset(base + 1);
	if (base[0] == 'r' && isdigit((unsigned char)base[1]) && strlen(base) > 2 &&
	    strchr("dwb", base[strlen(base) - 1])) {
		base[strlen(base) - 1] = 0;
		return regs_offset(base);
	}
	return -1;
}

/* ---- arguments ---- */

static bool parse_reg(const char **s, int *reg)
{
	char name[16];
	size_t n = 0;

	if (**s == '%')
		(*s)++;
	while (isalnum((unsigned char)**s) && n < sizeof(name) - 1)
		name[n++] = *(*s)++;
	name[n] = 0;
	*reg = regs_offset(name);
	return *reg >= 0;
}

/* disp(%base,%index,scale) */
static bool parse_x86_mem(const char *s, struct usdt_arg *out)
{
	char *end;

	out->kind = USDT_MEM;
	out->value = strtoll(s, &end, 0);
	if (*end != '(')
		return false;
	s = end + 1;
	if (*s != ',' && !parse_reg(&s, &out->reg))
		return false;
	if (*s == ',') {
		s++;
		if (!parse_reg(&s, &out->index_reg))
			return false;
		out->scale = *s == ',' ? atoi(s + 1) : 1;
	}
	return true;
}

/* [x0], [sp, 16] */
static bool parse_arm_mem(const char *s, struct usdt_arg *out)
{
	out->kind = USDT_MEM;
	s++;
	if (!parse_reg(&s, &out->reg))
		return false;
	while (*s == ',' || *s == ' ' || *s == '#')
		s++;
	out->value = *s == ']' ? 0 : strtoll(s, NULL, 0);
	return true;
}

static bool parse_operand(const char *s, struct usdt_arg *out)
{
	if (*s == '$' || *s == '#') {
		out->kind = USDT_CONST;
		out->value = strtoll(s + 1, NULL, 0);
		return true;
	}
	if (*s == '[')
		return parse_arm_mem(s, out);
	if (strchr(s, '('))
		return parse_x86_mem(s, out);
	if (isdigit((unsigned char)*s) || *s == '-') {
		out->kind = USDT_CONST;
		out->value = strtoll(s, NULL, 0);
		return true;
	}
	out->kind = USDT_REG;
	return parse_reg(&s, &out->reg);
}

bool usdt_arg(const char *args, int n, struct usdt_arg *out)
{
	char word[96];
	const char *p = args, *end;
	char *at;

	*out = (struct usdt_arg){.reg = -1, .index_reg = -1, .scale = 1, .size = 8};
	for (;; p = end) {
		int depth = 0;

		while (*p == ' ')
			p++;
		if (!*p)
			return false;
		for (end = p; *end && (*end != ' ' || depth); end++)
			depth += *end == '[' ? 1 : *end == ']' ? -1 : 0;
		if (n-- == 0)
			break;
	}
	snprintf(word, sizeof(word), "%.*s", (int)(end - p), p);
	at = strchr(word, '@');
	if (at) {
		out->size = atoi(word);
		return parse_operand(at + 1, out);
	}
	return parse_operand(word, out);
}

/* ---- symbols in arguments ---- */

static bool starts_symbol(const char *text, const char *p)
{
	bool behind_sign = p > text && strchr("@+-$ ", p[-1]);

	return (isalpha((unsigned char)*p) || *p == '_' || *p == '.') && behind_sign;
}

static size_t symbol_length(const char *p)
{
	size_t n = 0;

	while (isalnum((unsigned char)p[n]) || p[n] == '_' || p[n] == '.' || p[n] == '$')
		n++;
	return n;
}

/* "+12" and "12+" beside a symbol, all of one displacement. */
static const char *skip_number(const char *p, int64_t *sum)
{
	char *end;

	if ((*p != '+' && *p != '-') || !isdigit((unsigned char)p[1]))
		return p;
	*sum += strtoll(p, &end, 0);
	return end;
}

/* Takes a number that was already written back from the end of `out`. */
static int64_t take_back_number(struct buf *out)
{
	size_t n = out->len;

	if (!n || out->data[n - 1] != '+')
		return 0;
	n--;
	while (n && (isdigit((unsigned char)out->data[n - 1]) || out->data[n - 1] == '-'))
		n--;
	out->len = n;
	return strtoll(out->data + n, NULL, 0);
}

const char *usdt_resolve(const struct usdt_site *site, struct arena *arena,
			 bool (*find)(void *ctx, const char *symbol, uint64_t *vaddr), void *ctx)
{
	struct buf out = {0};
	const char *p = site->args, *result;

	while (*p) {
		size_t n = starts_symbol(site->args, p) ? symbol_length(p) : 0;
		char *name = xstrndup(p, n);
		uint64_t vaddr;

		if (n && find(ctx, name, &vaddr)) {
			int64_t sum = take_back_number(&out);

			p = skip_number(p + n, &sum);
			if (strncmp(p, "(%rip)", 6) == 0)
				sum -= (int64_t)site->vaddr;
			buf_printf(&out, "%lld", (long long)(sum + (int64_t)vaddr));
		} else {
			buf_putc(&out, *p++);
		}
		free(name);
	}
	result = arena_strndup(arena, buf_str(&out), out.len);
	buf_free(&out);
	return result;
}

/* ---- notes ---- */

struct note_ctx {
	Elf *elf;
	struct arena *arena;
	uint64_t base_section; /* where .stapsdt.base is now */
	struct usdt_site **tail;
};

static bool to_offset(Elf *elf, uint64_t addr, uint64_t *out)
{
	size_t n;

	if (elf_getphdrnum(elf, &n) != 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(elf, (int)i, &ph) || ph.p_type != PT_LOAD)
			continue;
		if (addr >= ph.p_vaddr && addr - ph.p_vaddr < ph.p_memsz) {
			*out = addr - ph.p_vaddr + ph.p_offset;
			return true;
		}
	}
	return false;
}

static const char *take_string(const char **p, const char *end)
{
	const char *s = *p, *nul = memchr(s, 0, (size_t)(end - s));

	if (!nul)
		return NULL;
	*p = nul + 1;
	return s;
}

static void add_note(struct note_ctx *c, const char *desc, size_t len)
{
	uint64_t head[3], shift;
	const char *p = desc + sizeof(head), *end = desc + len;
	struct usdt_site *u = arena_alloc(c->arena, sizeof(*u));

	if (len < sizeof(head))
		return;
	memcpy(head, desc, sizeof(head));
	u->provider = take_string(&p, end);
	u->name = u->provider ? take_string(&p, end) : NULL;
	u->args = u->name ? take_string(&p, end) : NULL;
	if (!u->args)
		return;
	shift = c->base_section ? c->base_section - head[1] : 0; /* prelink */
	u->provider = arena_strdup(c->arena, u->provider);
	u->name = arena_strdup(c->arena, u->name);
	u->args = arena_strdup(c->arena, u->args);
	u->vaddr = head[0] + shift;
	if (!to_offset(c->elf, u->vaddr, &u->offset))
		return;
	if (head[2])
		to_offset(c->elf, head[2] + shift, &u->sem_offset);
	*c->tail = u;
	c->tail = &u->next;
}

static void read_notes(struct note_ctx *c, Elf_Scn *scn)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t pos = 0, next, name, desc;
	GElf_Nhdr n;

	while (data && (next = gelf_getnote(data, pos, &n, &name, &desc)) > 0) {
		const char *base = data->d_buf;

		if (n.n_type == 3 && n.n_namesz == 8 && memcmp(base + name, "stapsdt", 8) == 0)
			add_note(c, base + desc, n.n_descsz);
		pos = next;
	}
}

struct usdt_site *usdt_sites(const char *path, struct arena *arena)
{
	struct usdt_site *head = NULL;
	struct note_ctx c = {.arena = arena, .tail = &head};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf_Scn *scn = NULL, *notes = NULL;
	size_t strndx;

	if (fd < 0)
		return NULL;
	elf_version(EV_CURRENT);
	c.elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	if (c.elf && elf_getshdrstrndx(c.elf, &strndx) == 0) {
		while ((scn = elf_nextscn(c.elf, scn))) {
			GElf_Shdr sh;
			const char *name = gelf_getshdr(scn, &sh)
						   ? elf_strptr(c.elf, strndx, sh.sh_name)
						   : NULL;

			if (name && strcmp(name, ".stapsdt.base") == 0)
				c.base_section = sh.sh_addr;
			if (name && strcmp(name, ".note.stapsdt") == 0)
				notes = scn;
		}
		if (notes)
			read_notes(&c, notes);
	}
	elf_end(c.elf);
	close(fd);
	return head;
}
