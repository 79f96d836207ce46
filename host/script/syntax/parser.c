/* SPDX-License-Identifier: Apache-2.0 */
/* The program level: preamble, config, imports, macros, map declarations, probes. */
#include "script/syntax/parser.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"

void parser_fail(struct parser *p, struct loc at, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	diag_fail_at(p->diag, -EINVAL, p->lx.src, loc_span(p->lx.src, at), "%s", text);
	free(text);
	longjmp(p->fail, 1);
}

void parser_unexpected(struct parser *p, const char *expecting)
{
	char name[64];
	struct loc at = p->tok.loc;

	if (p->tok.kind == TOK_BAD)
		longjmp(p->fail, 1);
	if (at.end == at.pos)
		at.end++;
	parser_fail(p, at, "syntax error, unexpected %s%s%s", token_name(&p->tok, name),
		    expecting ? ", expecting " : "", expecting ? expecting : "");
}

void parser_take(struct parser *p, int kind, struct loc loc, enum token_role role)
{
	struct token_list *l = p->taken;

	if (!l || loc.pos == loc.end || (l->n && loc.pos < l->v[l->n - 1].loc.end))
		return;
	*VEC_PUSH(l->v, l->n, l->cap) = (struct parsed_token){kind, loc, role};
}

void parser_role(struct parser *p, enum token_role role)
{
	p->role = role;
}

void parser_role_before(struct parser *p, enum token_role role)
{
	if (p->taken && p->taken->n)
		p->taken->v[p->taken->n - 1].role = role;
}

void parser_advance(struct parser *p)
{
	if (p->tok.kind != TOK_EOF)
		parser_take(p, (int)p->tok.kind, p->tok.loc, p->role);
	p->role = ROLE_NONE;
	p->prev_end = p->tok.loc.end;
	p->tok = lexer_next(&p->lx);
	if (p->tok.kind == TOK_BAD)
		longjmp(p->fail, 1);
}

bool parser_accept(struct parser *p, int kind)
{
	if ((int)p->tok.kind != kind)
		return false;
	parser_advance(p);
	return true;
}

void parser_expect(struct parser *p, int kind)
{
	struct token want = {.kind = kind};
	char name[64];

	if (!parser_accept(p, kind))
		parser_unexpected(p, token_name(&want, name));
}

bool parser_at_word(const struct parser *p, const char *word)
{
	return p->tok.kind == TOK_IDENT && strcmp(p->tok.text, word) == 0;
}

bool parser_accept_word(struct parser *p, const char *word)
{
	if (!parser_at_word(p, word))
		return false;
	parser_advance(p);
	return true;
}

struct token parser_peek(struct parser *p)
{
	struct lexer look = p->lx;
	struct diag *ignored = diag_new();
	struct token t;

	look.diag = ignored;
	t = lexer_next(&look);
	diag_free(ignored);
	return t;
}

void parser_enter(struct parser *p)
{
	if (++p->depth > PARSER_MAX_DEPTH)
		parser_fail(p, p->tok.loc, "program is nested too deeply (more than %d levels)",
			    PARSER_MAX_DEPTH);
}

void parser_leave(struct parser *p)
{
	p->depth--;
}

struct node *parser_node(struct parser *p, enum node_kind kind)
{
	struct node *n = arena_alloc(p->arena, sizeof(*n));

	n->kind = kind;
	n->loc = p->tok.loc;
	n->src = p->lx.src;
	return n;
}

struct node *parser_done(struct parser *p, struct node *n)
{
	n->loc.end = p->prev_end;
	return n;
}

void node_append(struct node ***tail, struct node *n)
{
	**tail = n;
	*tail = &n->next;
}

/* ---- attach points: raw text up to a comma, a brace or the predicate's slash ---- */

static int raw(const struct parser *p)
{
	return p->lx.pos < p->lx.src->len ? (unsigned char)p->lx.src->text[p->lx.pos] : 0;
}

static bool takes_path(const char *text, size_t len)
{
	static const char *const providers[] = {"uprobe", "uretprobe", "usdt", "u", "ur", "U"};

	for (size_t i = 0; i < ARRAY_LEN(providers); i++)
		if (strlen(providers[i]) == len && strncasecmp(text, providers[i], len) == 0)
			return true;
	return false;
}

static void raw_quoted(struct parser *p, struct buf *b)
{
	uint32_t start = p->lx.pos;

	do {
		buf_putc(b, (char)raw(p));
		p->lx.pos++;
		if (!raw(p) || raw(p) == '\n')
			parser_fail(p, (struct loc){start, p->lx.pos}, "unterminated string");
	} while (raw(p) != '"');
	buf_putc(b, '"');
	p->lx.pos++;
}

static void raw_param(struct parser *p, struct buf *b)
{
	uint32_t start = p->lx.pos++;
	long n = 0;

	while (isdigit(raw(p)) && n < 100000)
		n = n * 10 + raw(p) - '0', p->lx.pos++;
	if (n < 1)
		parser_fail(p, (struct loc){start, p->lx.pos},
			    "only positional parameters ($1, $2, ...) may stand in a probe name");
	if (p->args && n <= p->args->argc)
		buf_puts(b, p->args->argv[n - 1]);
	else
		buf_putc(b, '0');
}

static struct attach_point *parse_attach_point(struct parser *p)
{
	struct attach_point *ap = arena_alloc(p->arena, sizeof(*ap));
	struct buf *b = &p->raw;
	int segment = 0, c;
	bool path = false;

	buf_reset(b);
	lexer_skip_space(&p->lx);
	ap->loc.pos = p->lx.pos;
	while ((c = raw(p)) && !strchr(",{};", c) && !isspace(c)) {
		if (c == '/' && !(path && segment == 1))
			break;
		if (c == '"') {
			raw_quoted(p, b);
		} else if (c == '$') {
			raw_param(p, b);
		} else {
			if (c == ':' && segment++ == 0)
				path = takes_path(buf_str(b), b->len);
			buf_putc(b, (char)c);
			p->lx.pos++;
		}
	}
	ap->loc.end = p->lx.pos;
	ap->text = arena_strndup(p->arena, buf_str(b), b->len);
	p->prev_end = ap->loc.end;
	parser_take(p, TOK_IDENT, ap->loc, ROLE_ATTACH);
	if (ap->loc.end == ap->loc.pos || *ap->text == '#') {
		p->lx.pos = ap->loc.pos;
		p->tok = lexer_next(&p->lx);
		parser_unexpected(p, p->tok.kind == '}' ? "{" : "probe");
	}
	return ap;
}

/* The current token is the first of the probe; the lexer is put back to read its raw text. */
static struct probe *parse_probe(struct parser *p)
{
	struct probe *probe = arena_alloc(p->arena, sizeof(*probe));
	struct attach_point **tail = &probe->points;
	struct token name = p->tok, next = parser_peek(p);

	probe->loc = p->tok.loc;
	if (name.kind == TOK_IDENT && next.kind == '=') {
		probe->name = name.text;
		parser_advance(p);
		parser_take(p, '=', p->tok.loc, ROLE_NONE);
	} else {
		p->lx.pos = p->tok.loc.pos;
	}
	for (;;) {
		*tail = parse_attach_point(p);
		tail = &(*tail)->next;
		lexer_skip_space(&p->lx);
		if (raw(p) != ',')
			break;
		parser_take(p, ',', (struct loc){p->lx.pos, p->lx.pos + 1}, ROLE_NONE);
		p->lx.pos++;
		if (lexer_peek_is(&p->lx, p->lx.pos, '{') || lexer_peek_is(&p->lx, p->lx.pos, '/'))
			break;
	}
	probe->loc.end = p->prev_end;
	parser_advance(p);
	if (p->tok.kind == '/') {
		parser_role(p, ROLE_PRED_OPEN);
		parser_advance(p);
		probe->pred = parse_expr(p);
		parser_role(p, ROLE_PRED_CLOSE);
		parser_expect(p, '/');
	}
	if (p->tok.kind == TOK_EOF && !probe->pred)
		parser_fail(p, probe->loc, "unexpected end of file, expected {");
	if (p->tok.kind != '{')
		parser_unexpected(p, probe->pred ? "{" : NULL);
	probe->body = parse_block(p);
	return probe;
}

/* ---- preamble ---- */

/* Copies the text of a line that starts with #, continuations included. */
static void take_directive(struct parser *p, struct buf *out)
{
	uint32_t start = p->tok.loc.pos, pos = start;
	const char *text = p->lx.src->text;

	while (pos < p->lx.src->len && !(text[pos] == '\n' && text[pos - 1] != '\\'))
		pos++;
	buf_add(out, text + start, pos - start);
	buf_putc(out, '\n');
	p->lx.pos = pos;
	parser_take(p, '#', (struct loc){start, pos}, ROLE_RAW);
	parser_advance(p);
}

/* Whether the brace before ends a declaration without semicolon: a typedef still needs its name, an
 * attribute belongs to the struct, anything else is the next part of the program. */
static bool ends_declaration(struct parser *p, bool is_typedef)
{
	struct token next = parser_peek(p);

	if (next.kind == ';' || next.kind == '*')
		return false;
	return next.kind != TOK_IDENT || (!is_typedef && strcmp(next.text, "__attribute__") != 0);
}

/* Copies a declaration up to the semicolon outside of braces. */
static void take_declaration(struct parser *p, struct buf *out)
{
	bool is_typedef = parser_at_word(p, "typedef");
	uint32_t start = p->tok.loc.pos;
	size_t taken = p->taken ? p->taken->n : 0;
	const char *last = NULL;
	int depth = 0;

	while (p->tok.kind != TOK_EOF && !(p->tok.kind == ';' && depth <= 0)) {
		last = p->tok.kind == TOK_IDENT ? p->tok.text : last;
		depth += p->tok.kind == '{' ? 1 : p->tok.kind == '}' ? -1 : 0;
		if (depth == 0 && p->tok.kind == '}' && ends_declaration(p, is_typedef))
			break; /* struct without its semicolon: accepted as in bpftrace */
		parser_advance(p);
	}
	if (p->tok.kind == TOK_EOF)
		parser_unexpected(p, ";");
	buf_add(out, p->lx.src->text + start, p->tok.loc.end - start);
	buf_puts(out, ";\n");
	if (p->taken)
		p->taken->n = taken;
	parser_take(p, '#', (struct loc){start, p->tok.loc.end}, ROLE_RAW);
	if (is_typedef && last) {
		struct typedef_name *t = arena_alloc(p->arena, sizeof(*t));

		*t = (struct typedef_name){last, p->typedefs};
		p->typedefs = t;
	}
	parser_advance(p);
}

static bool at_declaration(const struct parser *p)
{
	return parser_at_word(p, "struct") || parser_at_word(p, "union") ||
	       parser_at_word(p, "enum") || parser_at_word(p, "typedef");
}

/* ---- config, import, macro, let ---- */

static const char *config_value(struct parser *p)
{
	const char *v;

	switch ((int)p->tok.kind) {
	case TOK_INT:
		v = arena_printf(p->arena, "%llu", (unsigned long long)p->tok.value);
		break;
	case TOK_STR:
	case TOK_IDENT:
		v = p->tok.text;
		break;
	default:
		parser_unexpected(p, "config value");
	}
	parser_advance(p);
	return v;
}

static void parse_config(struct parser *p, struct program *prog)
{
	struct config_item **tail = &prog->config;

	while (*tail)
		tail = &(*tail)->next;
	parser_advance(p);
	parser_expect(p, '=');
	parser_expect(p, '{');
	while (!parser_accept(p, '}')) {
		struct config_item *item = arena_alloc(p->arena, sizeof(*item));

		if (p->tok.kind != TOK_IDENT)
			parser_unexpected(p, "config key");
		item->loc = p->tok.loc;
		item->key = p->tok.text;
		parser_advance(p);
		parser_expect(p, '=');
		item->value = config_value(p);
		item->loc.end = p->prev_end;
		*tail = item;
		tail = &item->next;
		if (p->tok.kind != '}' && !parser_accept(p, ';'))
			parser_unexpected(p, "; or }");
		while (parser_accept(p, ';'))
			;
	}
}

static void parse_import(struct parser *p, struct program *prog)
{
	struct import_item *item = arena_alloc(p->arena, sizeof(*item));

	parser_advance(p);
	item->loc = p->tok.loc;
	item->path = p->tok.text;
	parser_role(p, ROLE_PATH);
	parser_expect(p, TOK_STR);
	parser_accept(p, ';');
	item->next = prog->imports;
	prog->imports = item;
}

static struct node *parse_macro_param(struct parser *p)
{
	struct node *n = parser_node(p, N_IDENT);

	n->name = p->tok.text;
	if (p->tok.kind == TOK_VAR)
		n->kind = N_VAR;
	else if (p->tok.kind == TOK_MAP)
		n->kind = N_MAP;
	else if (p->tok.kind != TOK_IDENT)
		parser_unexpected(p, "macro parameter");
	parser_advance(p);
	return parser_done(p, n);
}

static void parse_macro(struct parser *p, struct program *prog)
{
	struct macro *m = arena_alloc(p->arena, sizeof(*m));
	struct node **tail = &m->params;

	parser_advance(p);
	m->loc = p->tok.loc;
	m->name = p->tok.text;
	parser_expect(p, TOK_IDENT);
	parser_expect(p, '(');
	while (p->tok.kind != ')') {
		node_append(&tail, parse_macro_param(p));
		m->n_params++;
		if (!parser_accept(p, ','))
			break;
	}
	parser_expect(p, ')');
	m->body = parser_node(p, N_BLOCK_EXPR);
	parser_expect(p, '{');
	m->body->list = parse_block_body(p, &m->body->a);
	parser_expect(p, '}');
	parser_done(p, m->body);
	m->next = prog->macros;
	prog->macros = m;
}

static void parse_map_decl(struct parser *p, struct program *prog)
{
	struct map_decl *d = arena_alloc(p->arena, sizeof(*d));

	parser_advance(p);
	d->loc = p->tok.loc;
	d->name = p->tok.text;
	parser_expect(p, TOK_MAP);
	parser_expect(p, '=');
	d->kind = p->tok.text;
	parser_expect(p, TOK_IDENT);
	parser_expect(p, '(');
	d->max = p->tok.value;
	parser_expect(p, TOK_INT);
	parser_expect(p, ')');
	d->loc.end = p->prev_end;
	parser_expect(p, ';');
	d->next = prog->map_decls;
	prog->map_decls = d;
}

static void parse_program(struct parser *p, struct program *prog, struct buf *preamble)
{
	struct probe **tail = &prog->probes;

	parser_advance(p);
	while (p->tok.kind != TOK_EOF) {
		if (p->tok.kind == '#' && !prog->probes) {
			take_directive(p, preamble);
		} else if (at_declaration(p)) {
			take_declaration(p, preamble);
		} else if (parser_at_word(p, "config") && parser_peek(p).kind == '=') {
			parse_config(p, prog);
		} else if (parser_at_word(p, "import") && parser_peek(p).kind == TOK_STR) {
			parse_import(p, prog);
		} else if (parser_at_word(p, "macro") && parser_peek(p).kind == TOK_IDENT) {
			parse_macro(p, prog);
		} else if (parser_at_word(p, "let") && parser_peek(p).kind == TOK_MAP) {
			parse_map_decl(p, prog);
		} else if (!parser_accept(p, ';')) {
			*tail = parse_probe(p);
			tail = &(*tail)->next;
		}
	}
}

static void parser_init(struct parser *p, const struct source *src, struct arena *arena,
			struct diag *diag)
{
	lexer_init(&p->lx, src, arena, diag);
	p->arena = arena;
	p->diag = diag;
	p->tok.loc.end = 0;
}

static void skip_shebang(struct parser *p)
{
	if (p->lx.src->len >= 2 && memcmp(p->lx.src->text, "#!", 2) == 0)
		while (raw(p) && raw(p) != '\n')
			p->lx.pos++;
}

static struct program *parse(const struct source *src, struct arena *arena,
			     const struct script_args *args, struct token_list *taken,
			     struct diag *diag)
{
	struct program *prog = arena_alloc(arena, sizeof(*prog));
	struct parser *p = arena_alloc(arena, sizeof(*p));
	struct buf *preamble = arena_alloc(arena, sizeof(*preamble));
	bool ok = false;

	parser_init(p, src, arena, diag);
	p->args = args;
	p->taken = taken;
	prog->arena = arena;
	prog->src = src;
	skip_shebang(p);
	if (!setjmp(p->fail)) {
		parse_program(p, prog, preamble);
		ok = true;
	}
	prog->preamble = arena_strndup(arena, buf_str(preamble), preamble->len);
	buf_free(preamble);
	buf_free(&p->raw);
	return ok ? prog : NULL;
}

struct program *script_parse(const struct source *src, struct arena *arena,
			     const struct script_args *args, struct diag *diag)
{
	return parse(src, arena, args, NULL, diag);
}

int script_tokens(const struct source *src, struct token_list *out, struct diag *diag)
{
	struct arena *arena = arena_new();
	int err = parse(src, arena, NULL, out, diag) ? 0 : -EINVAL;

	arena_free(arena);
	return err;
}

struct node *script_parse_expr(const struct source *src, struct arena *arena, struct diag *diag)
{
	struct parser *p = arena_alloc(arena, sizeof(*p));
	struct node **result = arena_alloc(arena, sizeof(*result));

	parser_init(p, src, arena, diag);
	if (setjmp(p->fail))
		return NULL;
	parser_advance(p);
	*result = parse_expr(p);
	if (p->tok.kind != TOK_EOF)
		parser_unexpected(p, "end of expression");
	return *result;
}
