/* SPDX-License-Identifier: Apache-2.0 */
/* The topics of `list` that have files of their own. Each returns an exit code. */
#ifndef LLMPROBE_CMD_LIST_H
#define LLMPROBE_CMD_LIST_H

#include "cmd/cmd.h"

int list_engines(const struct cmd_context *ctx);
int list_points(const struct cmd_context *ctx);
int list_builtins(const struct cmd_context *ctx);
int list_events(const struct cmd_context *ctx);
int list_counters(const struct cmd_context *ctx);

/* Prints a JSON value and frees it. */
struct cJSON;
int list_json(struct cJSON *json);

#endif
