/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel types as C text, for listings. */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "script/type/btf_print.h"
#include "util/alloc.h"
#include "util/buf.h"

static void take_text(void *ctx, const char *fmt, va_list args)
{
	buf_vprintf(ctx, fmt, args);
}

static struct btf_dump *dump_new(const struct btf *btf, struct buf *out)
{
#if defined(LIBBPF_MAJOR_VERSION) && LIBBPF_MAJOR_VERSION >= 1
	return btf_dump__new(btf, take_text, out, NULL);
#else
	struct btf_dump_opts opts = {.ctx = out};

	return btf_dump__new(btf, NULL, &opts, take_text);
#endif
}

/* What the type needs is printed before it: its own text begins with its name and runs to the end.
 */
static void print_text(const struct btf *btf, uint32_t id, const char *name, FILE *out)
{
	struct buf text = {0};
	struct btf_dump *dump = dump_new(btf, &text);
	char *head = xasprintf("\n%s {", name);
	const char *own = NULL;

	buf_putc(&text, '\n');
	if (dump && !libbpf_get_error(dump) && btf_dump__dump_type(dump, id) == 0)
		own = strstr(buf_str(&text), head);
	if (own)
		fputs(own + 1, out);
	if (!libbpf_get_error(dump))
		btf_dump__free(dump);
	free(head);
	buf_free(&text);
}

static const char *tag_of(const struct btf_type *bt)
{
	switch (btf_kind(bt)) {
	case BTF_KIND_STRUCT:
		return "struct";
	case BTF_KIND_UNION:
		return "union";
	case BTF_KIND_ENUM:
		return "enum";
	default:
		return NULL;
	}
}

int btf_print_types(const struct btf *btf, const char *pattern, bool text, FILE *out)
{
	const struct btf_type *bt;
	int found = 0;

	for (uint32_t id = 1; btf && (bt = btf__type_by_id(btf, id)); id++) {
		const char *tag = tag_of(bt), *word = btf__name_by_offset(btf, bt->name_off);
		char *name;

		if (!tag || !word || !*word)
			continue;
		name = xasprintf("%s %s", tag, word);
		if (fnmatch(pattern, name, 0) == 0) {
			found++;
			if (text)
				print_text(btf, id, name, out);
			else
				fprintf(out, "%s\n", name);
		}
		free(name);
	}
	return found;
}
