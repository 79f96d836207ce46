/* SPDX-License-Identifier: Apache-2.0 */
/* What to call tensors that the engine left with a running number ("node_24"). */
#ifndef LLMPROBE_VIEW_PLACE_H
#define LLMPROBE_VIEW_PLACE_H

#include <sqlite3.h>
#include <stdbool.h>

/* Whether the name is a running number of the engine, or none at all. */
bool place_unnamed(const char *name);
/*
 * Makes a temporary table place(id INTEGER PRIMARY KEY, layer, label) of all tensors of the run,
 * once per connection. layer is NULL where there is none; label is the tensor's name, or for one
 * without: the weight that it multiplies with, else its layer.
 */
void place_tensors(sqlite3 *db);

#endif
