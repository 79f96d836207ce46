/* SPDX-License-Identifier: Apache-2.0 */
/* The binding of a script's engine probes (engine_probe.h) to targets (engine_attach.h). */
#ifndef LLMPROBE_SCRIPT_ENGINE_BIND_H
#define LLMPROBE_SCRIPT_ENGINE_BIND_H

#include "script/engine/engine_attach.h"
#include "script/engine/engine_probe.h"

struct engine_bind;

/* Light; nothing of the machine is touched before engine_bind_open. */
struct engine_bind *engine_bind_new(void);
void engine_bind_free(struct engine_bind *b); /* NULL is fine */
const struct script_engine_binding *engine_bind_binding(struct engine_bind *b);
/* Makes the maps, for a script that uses the binding; before its text is made. */
int engine_bind_open(struct engine_bind *b, const struct engine_targets_opts *o, struct diag *d);
/* The targets to be given processes once the script is attached; NULL when not open. */
struct engine_targets *engine_bind_targets(struct engine_bind *b);

#endif
