/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "bpf/btf_plain.h"
#include "bpf/kbtf.h"
#include "util/file.h"

enum { DECL_TAG = 17, TYPE_TAG = 18, ENUM64 = 19 };

/* What of a kernel's types the probes and scripts look at, and no old libbpf refuses. */
static void compare(const struct btf *a, const struct btf *b)
{
	static const char *const structs[] = {"task_struct", "sched_entity", "file", "sk_buff"};
	static const char *const functions[] = {"vfs_read", "tcp_sendmsg", "do_exit"};

	for (size_t i = 0; i < ARRAY_LEN(structs); i++) {
		int id = btf__find_by_name_kind(a, structs[i], BTF_KIND_STRUCT);
		const struct btf_type *ta, *tb;

		assert_int_equal(id, btf__find_by_name_kind(b, structs[i], BTF_KIND_STRUCT));
		if (id < 0)
			continue;
		ta = btf__type_by_id(a, (uint32_t)id);
		tb = btf__type_by_id(b, (uint32_t)id);
		assert_int_equal(ta->info, tb->info);
		assert_int_equal(ta->size, tb->size);
		assert_memory_equal(btf_members(ta), btf_members(tb),
				    btf_vlen(ta) * sizeof(struct btf_member));
	}
	for (size_t i = 0; i < ARRAY_LEN(functions); i++)
		assert_int_equal(btf__find_by_name_kind(a, functions[i], BTF_KIND_FUNC),
				 btf__find_by_name_kind(b, functions[i], BTF_KIND_FUNC));
	assert_int_equal(btf__find_by_name_kind(a, "btf_trace_sched_switch", BTF_KIND_TYPEDEF),
			 btf__find_by_name_kind(b, "btf_trace_sched_switch", BTF_KIND_TYPEDEF));
}

static void test_kernel_through_both(void **state)
{
	struct buf raw = {0};
	struct btf *plain, *direct;
	uint32_t id;
	int err;

	(void)state;
	if (file_read("/sys/kernel/btf/vmlinux", &raw, 0))
		skip();
	plain = btf_from_raw(raw.data, raw.len, &err);
	assert_non_null(plain);
	direct = btf_of_kernel(&err);
	assert_non_null(direct);
	compare(direct, plain);
	for (id = 1; btf__type_by_id(plain, id) && id < 300000; id++)
		assert_true(btf_kind(btf__type_by_id(plain, id)) < DECL_TAG);
	assert_true(btf__find_by_name_kind(plain, "task_struct", BTF_KIND_STRUCT) > 0);
	btf__free(direct);
	btf__free(plain);
	buf_free(&raw);
}

/* A little BTF with each kind that is new: the head, nine words a type at most, the names. */
struct made {
	struct btf_header head;
	uint32_t types[18];
	char names[12];
};

static struct made make(void)
{
	struct made m = {
		.head = {.magic = BTF_MAGIC, .version = 1, .hdr_len = sizeof(struct btf_header)},
		.types =
			{
				1,
				1u << 24,
				4,
				32, /* 1: int */
				3,
				(uint32_t)TYPE_TAG << 24,
				1, /* 2 */
				3,
				(uint32_t)DECL_TAG << 24,
				1,
				UINT32_MAX, /* 3 */
				5,
				(uint32_t)ENUM64 << 24 | 1,
				8,
				7,
				0xffffffff,
				5, /* 4 */
				0,
			},
		.names = "\0i\0t\0e\0v",
	};

	m.head.type_len = sizeof(m.types) - sizeof(uint32_t);
	m.head.str_off = sizeof(m.types);
	m.head.str_len = sizeof(m.names);
	return m;
}

static void test_new_kinds(void **state)
{
	struct made m = make();
	int err;
	struct btf *btf = btf_from_raw(&m, sizeof(m), &err);
	const struct btf_type *t;

	(void)state;
	assert_non_null(btf);
	assert_int_equal(btf__find_by_name_kind(btf, "i", BTF_KIND_INT), 1);
	assert_int_equal(btf_kind(btf__type_by_id(btf, 2)), BTF_KIND_CONST);
	assert_int_equal(btf__type_by_id(btf, 2)->type, 1);
	assert_int_equal(btf_kind(btf__type_by_id(btf, 3)), BTF_KIND_INT);
	t = btf__type_by_id(btf, 4);
	assert_int_equal(btf_kind(t), BTF_KIND_UNION);
	assert_string_equal(btf__name_by_offset(btf, t->name_off), "e");
	assert_string_equal(btf__name_by_offset(btf, btf_members(t)[0].name_off), "v");
	assert_int_equal(btf_members(t)[0].type, 0);
	assert_null(btf__type_by_id(btf, 5));
	btf__free(btf);
}

static void test_no_btf(void **state)
{
	struct made m = make();

	(void)state;
	/* Cut anywhere, the types end inside one or the header lies about them. */
	for (size_t len = 0; len < sizeof(m.head) + m.head.type_len; len++)
		assert_int_equal(btf_plain(&m, len), -EINVAL);
	m.head.type_len -= 4;
	assert_int_equal(btf_plain(&m, sizeof(m)), -EINVAL);
	m = make();
	m.head.type_off = UINT32_MAX - 3;
	assert_int_equal(btf_plain(&m, sizeof(m)), -EINVAL);
	m = make();
	m.types[1] = 30u << 24;
	assert_int_equal(btf_plain(&m, sizeof(m)), -EINVAL);
	m = make();
	m.head.magic = 0;
	assert_int_equal(btf_plain(&m, sizeof(m)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_through_both),
		cmocka_unit_test(test_new_kinds),
		cmocka_unit_test(test_no_btf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
