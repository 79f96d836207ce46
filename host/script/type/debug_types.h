/* SPDX-License-Identifier: Apache-2.0 */
/* From DWARF entries to types of the script language. */
#ifndef LLMPROBE_SCRIPT_DEBUG_TYPES_H
#define LLMPROBE_SCRIPT_DEBUG_TYPES_H

#include <elfutils/libdw.h>

#include "script/type/types.h"

/* "struct ", "union ", "enum ", "" for a typedef, NULL for anything else. */
const char *debug_type_tag(Dwarf_Die *die);
/* The type that the entry describes. Structs behind pointers are completed by name when used. */
const struct type *debug_type_import(struct type_table *t, Dwarf_Die *die);
/* See debug_info_params. */
const struct type *debug_type_params(struct type_table *t, Dwarf_Die *function);

#endif
