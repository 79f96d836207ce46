/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole front end on any text: parse, types, names, BPF C. Nothing of the machine is read. And
 * the layout: what can be parsed can be laid out, and the result is its own layout.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "script/script.h"
#include "script/syntax/pretty.h"
#include "util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_layout(const char *text, size_t len)
{
	struct source src = {"fuzz", text, len};
	struct buf once = {0}, twice = {0};
	struct diag *d = diag_new();
	int err = script_pretty(&src, &once, d);

	if (err == -EPROTO)
		abort();
	if (!err && once.len) {
		src = (struct source){"fuzz", buf_str(&once), once.len};
		if (script_pretty(&src, &twice, d) != 0 || once.len != twice.len ||
		    memcmp(once.data, twice.data, once.len) != 0)
			abort();
	}
	buf_free(&once);
	buf_free(&twice);
	diag_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const argv[] = {"1", "two"};
	char *text = xstrndup((const char *)data, size);
	struct diag *d = diag_new();
	struct script_opts o = {
		.name = "fuzz",
		.text = text,
		.len = size,
		.argv = argv,
		.argc = 2,
		.offline = true,
	};
	struct buf out = {0};
	struct script *s;

	/* xstrndup stops at a NUL; the length must not claim more than there is */
	if (memchr(data, 0, size))
		o.len = strlen(text);
	check_layout(text, o.len);
	s = script_new(&o, d);
	if (s) {
		script_dump(s, "types", &out, d);
		script_dump(s, "bpf", &out, d);
	}
	script_free(s);
	buf_free(&out);
	diag_free(d);
	free(text);
	return 0;
}
