/* SPDX-License-Identifier: Apache-2.0 */
/* Engine files and the expressions in them. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "target/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct diag *d = diag_new();
	char *text = xstrndup((const char *)data, size);
	struct engine *e = engine_parse("fuzz", text, strlen(text), d);

	if (e)
		engine_names_file(e, "libggml.so");
	engine_free(e);
	free(text);
	diag_free(d);
	return 0;
}
