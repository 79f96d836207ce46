/* SPDX-License-Identifier: Apache-2.0 */
#include "level/level.h"

static const char *const files[] = {"probes/token.c", NULL};

static const struct level_event events[] = {
	{.event = "token_begin",
	 .macro = "token_begin",
	 .args = {"context", "n_tokens", "sequence", "sequence_before"}},
	{.event = "token_end", .macro = "token_end", .args = {"ret"}, .is_end = true},
	{.event = NULL},
};

const struct level level_token = {
	.id = LEVEL_TOKEN,
	.help = "one row per decode or encode call: phase, tokens; gives TTFT and TPOT",
	.files = files,
	.events = events,
};
