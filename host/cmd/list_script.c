/* SPDX-License-Identifier: Apache-2.0 */
/* list builtins, list events: what scripts can use. */
#include <stdio.h>
#include <string.h>

#include "cmd/list.h"
#include "script/fn/builtin.h"
#include "script/engine/engine_probe.h"

int list_builtins(const struct cmd_context *ctx)
{
	const struct builtin *b;

	(void)ctx;
	for (size_t i = 0; (b = builtin_at(i)); i++)
		printf("%s%-*s %s%s\n", b->name, (int)(18 - strlen(b->name)),
		       b->flags & BUILTIN_NAME ? "" : "()", b->help ? b->help : "",
		       b->flags & BUILTIN_UNSAFE ? " (needs --unsafe)" : "");
	return EXIT_OK;
}

int list_events(const struct cmd_context *ctx)
{
	static const char *const types[] = {"int64", "string", "int64[4]"};

	(void)ctx;
	for (const struct engine_event *e = typed_events; e->provider; e++) {
		printf("%s:%s%s: %s\n", e->provider, e->has_filter ? "[OPERATOR:[TENSOR:]]" : "",
		       e->event, e->help);
		for (const struct engine_arg *a = e->args; a->name; a++)
			printf("    %-9s %-13s %s\n", types[a->kind], a->name, a->help);
	}
	return EXIT_OK;
}
