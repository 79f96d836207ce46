/* SPDX-License-Identifier: Apache-2.0 */
/* llmprobe import: what another profiler measured, as a run file. */
#include <string.h>

#include "cmd/cmd.h"
#include "view/neuron/neuron.h"

int cmd_import(const struct cmd_context *ctx)
{
	const struct config *c = ctx->config;
	const char *from = c->args.items[0];

	if (strcmp(from, "neuron") != 0) {
		diag_add(ctx->diag, DIAG_ERROR,
			 "'%s' is no profiler that can be imported; there is: neuron", from);
		return EXIT_USAGE;
	}
	if (!c->output) {
		diag_add(ctx->diag, DIAG_ERROR, "import needs -o RUN, the run file to write");
		return EXIT_USAGE;
	}
	if (neuron_import(c->args.items + 1, c->args.count - 1, c->output, c->force, ctx->diag) ||
	    neuron_add_figures(c->output, c->figures.items, c->figures.count, ctx->diag))
		return EXIT_FAILED;
	diag_add(ctx->diag, DIAG_NOTE, "imported to %s; `llmprobe neuron %s` shows it", c->output,
		 c->output);
	return EXIT_OK;
}
