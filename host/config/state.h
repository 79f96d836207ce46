/* SPDX-License-Identifier: Apache-2.0 */
/* Inside config/ only: where each value came from. */
#ifndef LLMPROBE_CONFIG_STATE_H
#define LLMPROBE_CONFIG_STATE_H

#include "config/options.h"

enum config_layer { LAYER_DEFAULT, LAYER_FILE, LAYER_ARGS, LAYER_SET };

struct config_origin {
	enum config_layer layer;
	const struct source *source; /* LAYER_FILE: the text and where in it */
	struct span at;
};

/* A text that origins point into; kept as long as the config. */
struct config_text {
	struct source source;
	struct config_text *next;
};

struct config_state {
	struct config_origin *origin; /* by option_index */
	struct config_text *texts;
};

/* The origin of a row; an alias shares that of the row it stands for. */
struct config_origin *config_origin(const struct config *c, const struct option *o);
/* The row itself, or the one that an alias stands for. */
const struct option *option_primary(const struct option *o);
/* "--pid" or "target.pid", as the user wrote it. */
const char *config_spelling(const struct config *c, const struct option *o, struct buf *scratch);
/* Adds an error about a value, with position when it came from a file. Returns -EINVAL. */
int config_complain(const struct config *c, const struct option *o, struct diag *d, const char *fmt,
		    ...) PRINTF_LIKE(4, 5);

#endif
