/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML loader and everything behind it: whatever loads is written out and must load again. */
#include <stdint.h>
#include <stdlib.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_load(const struct config *c)
{
	struct config *again = config_new();
	struct diag *d = diag_new();
	struct buf text = {0};

	config_write(c, &text);
	if (config_load_text(again, "written", buf_str(&text), text.len, d) < 0)
		abort();
	buf_free(&text);
	diag_free(d);
	config_free(again);
}

static void print_errors(const struct diag *d)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	diag_print(d, out, DIAG_STYLE_FIELD, false);
	fclose(out);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *c = config_new();
	struct diag *d = diag_new();
	int err = config_load_text(c, "fuzz", (const char *)data, size, d);

	if (!err)
		err = config_check(c, COMMAND_RECORD, d);
	if (!err != !diag_count(d, DIAG_ERROR))
		abort();
	if (!err)
		write_and_load(c);
	print_errors(d);
	diag_free(d);
	config_free(c);
	return 0;
}
