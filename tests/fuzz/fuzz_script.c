/* SPDX-License-Identifier: Apache-2.0 */
/* The whole front end on any text: parse, types, names, BPF C. Nothing of the machine is read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "script/script.h"
#include "util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
