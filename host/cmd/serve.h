/* SPDX-License-Identifier: Apache-2.0 */
/* record --prometheus: what is being recorded, as metrics over HTTP until the recording ends. */
#ifndef LLMPROBE_CMD_SERVE_H
#define LLMPROBE_CMD_SERVE_H

#include "cmd/trace.h"

struct serve;

/*
 * Serves at the address the config names; call it once signals are caught, so that the listener's
 * thread leaves them alone. NULL with an error in ctx->diag.
 */
struct serve *serve_open(const struct cmd_context *ctx, struct session *s);
/* Takes losses and costs over, at most once a second. NULL is fine. */
void serve_tick(struct serve *v);
void serve_close(struct serve *v); /* before the session is freed; NULL is fine */

#endif
