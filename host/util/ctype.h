/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C types as data, and bytes printed by them: what libbcc tells of a table's key and value
 * ("unsigned int", ["name", [["field","type"], ...], "struct"], see ctype_of_text).
 */
#ifndef LLMPROBE_UTIL_CTYPE_H
#define LLMPROBE_UTIL_CTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"

struct cJSON;

enum ctype_kind {
	CTYPE_INT, /* unsigned or signed, 1 to 16 bytes */
	CTYPE_BOOL,
	CTYPE_CHAR, /* plain char: arrays of it are text */
	CTYPE_FLOAT,
	CTYPE_POINTER,
	CTYPE_STRUCT,
	CTYPE_UNION,
	CTYPE_ARRAY,
};

struct ctype;

struct ctype_field {
	char *name; /* "" for an unnamed struct or union inside */
	uint32_t offset;
	uint8_t bit, bits; /* bits != 0: a bit field, `bit` counts from `offset`'s lowest */
	bool pad;	   /* filler that the compiler put there */
	struct ctype *type;
};

struct ctype_enum {
	char *name;
	int64_t value;
};

struct ctype {
	enum ctype_kind kind;
	bool is_signed;
	uint32_t size, align;
	char *name; /* of a struct or union, else as the description says */
	struct ctype_field *fields;
	size_t n_fields;
	struct ctype *elem; /* CTYPE_ARRAY */
	uint32_t count;
	struct ctype_enum *enums; /* names of the values of an integer; may be empty */
	size_t n_enums;
};

enum { CTYPE_DEPTH_MAX = 16, CTYPE_FIELDS_MAX = 512, CTYPE_SIZE_MAX = 1 << 20 };

/*
 * Reads a description: "basic type", or [name, [field...], "struct" | "struct_packed" | "union"]
 * where a field is [name, type], [name, type, [count]...], [name, type, bits], or a struct or union
 * without a name as it is. NULL when it is none or beyond the limits above.
 */
struct ctype *ctype_of_text(const char *json);
struct ctype *ctype_from_json(const struct cJSON *json);
/*
 * A basic type or array as C writes it: "u64", "const char *", "char[16]", "unsigned int". NULL for
 * names that are not known without their definition.
 */
struct ctype *ctype_of_name(const char *name);
/* An empty struct to be filled with ctype_add; members are laid out in their natural alignment. */
struct ctype *ctype_struct_new(const char *name);
/* Takes `type`. */
void ctype_add(struct ctype *st, const char *name, struct ctype *type);
/* The form that ctype_from_json reads, with enums; give it to cJSON_Delete. */
struct cJSON *ctype_to_json(const struct ctype *t);
void ctype_free(struct ctype *t); /* NULL is fine */

/* The member of that name; members of unnamed ones inside count. The offset goes to `*at`. */
const struct ctype_field *ctype_member(const struct ctype *t, const char *name, uint32_t *at);
/* The type as C would write it, without its members: "struct key", "char[16]". */
void ctype_print_name(const struct ctype *t, struct buf *out);

/*
 * A value as a person reads it: 5, -1, 0x7f.. for pointers, text for char arrays, {a = 1, b = {..}}
 * for structs. `len` may be less than the type's size: what is missing prints as "?".
 */
void ctype_print(const struct ctype *t, const void *data, size_t len, struct buf *out);
/* The same as JSON: structs are objects; give it to cJSON_Delete. */
struct cJSON *ctype_value(const struct ctype *t, const void *data, size_t len);
/* An integer of the type at `data`, sign-extended; false when it is none or cut off. */
bool ctype_integer(const struct ctype *t, const void *data, size_t len, int64_t *out);

#endif
