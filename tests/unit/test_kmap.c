/* SPDX-License-Identifier: Apache-2.0 */
#include "bpf_helper.h"

#include <errno.h>

#include "bpf/kbtf.h"

static int make(uint32_t type, uint32_t value, uint32_t entries)
{
	struct kmap_spec s = {.type = type,
			      .key_size = 4,
			      .value_size = value,
			      .max_entries = entries,
			      .name = "a name, too long"};
	struct diag *d = diag_new();
	int fd;

	need_bpf();
	fd = kmap_create(&s, d);
	if (fd < 0)
		diag_print(d, stderr, DIAG_STYLE_FIELD, false);
	assert_true(fd >= 0);
	diag_free(d);
	return fd;
}

struct walk {
	unsigned n;
	uint64_t keys, values;
	unsigned stop_at;
};

static int add_up(void *ctx, const void *key, const void *value)
{
	struct walk *w = ctx;
	uint64_t v;
	uint32_t k;

	memcpy(&k, key, sizeof(k));
	memcpy(&v, value, sizeof(v));
	w->keys += k;
	w->values += v;
	return ++w->n == w->stop_at ? 7 : 0;
}

static void fill(int fd, uint32_t n)
{
	uint32_t k;

	for (k = 0; k < n; k++) {
		uint64_t v = k * 10ull;

		assert_int_equal(kmap_update(fd, &k, &v, BPF_ANY), 0);
	}
}

static void check_walk(uint32_t type, uint32_t entries, uint32_t n)
{
	int fd = make(type, 8, entries);
	struct walk w = {0};

	fill(fd, n);
	assert_int_equal(kmap_each(fd, add_up, &w), 0);
	assert_int_equal(w.n, type == BPF_MAP_TYPE_ARRAY ? entries : n);
	assert_int_equal(w.values, 10ull * n * (n - 1) / 2);
	w = (struct walk){.stop_at = 3};
	assert_int_equal(kmap_each(fd, add_up, &w), 7);
	assert_int_equal(w.n, 3);
	assert_int_equal(kmap_clear(fd), 0);
	w = (struct walk){0};
	assert_int_equal(kmap_each(fd, add_up, &w), 0);
	assert_int_equal(w.values, 0);
	close(fd);
}

static void test_each_sees_every_element_once(void **state)
{
	(void)state;
	check_walk(BPF_MAP_TYPE_HASH, 50, 50);
	check_walk(BPF_MAP_TYPE_HASH, 5000, 3000);
	check_walk(BPF_MAP_TYPE_ARRAY, 50, 50);
	check_walk(BPF_MAP_TYPE_ARRAY, 1000, 1000);
}

static void test_lookup_take_delete(void **state)
{
	int fd = make(BPF_MAP_TYPE_HASH, 8, 10);
	uint32_t k = 5, next;
	uint64_t v = 42, got = 0;

	(void)state;
	assert_int_equal(kmap_lookup(fd, &k, &got), -ENOENT);
	assert_int_equal(kmap_update(fd, &k, &v, BPF_NOEXIST), 0);
	assert_int_equal(kmap_update(fd, &k, &v, BPF_NOEXIST), -EEXIST);
	assert_int_equal(kmap_next(fd, NULL, &next), 0);
	assert_int_equal(next, 5);
	assert_int_equal(kmap_take(fd, &k, &got), 0);
	assert_int_equal(got, 42);
	assert_int_equal(kmap_delete(fd, &k), -ENOENT);
	close(fd);
}

static void test_percpu_values_add_up(void **state)
{
	int fd = make(BPF_MAP_TYPE_PERCPU_ARRAY, 12, 2);
	size_t stride = kmap_percpu_stride(12);
	unsigned ncpu = kmap_ncpu(), i;
	char *values = calloc(ncpu, stride);
	uint32_t k = 1;
	uint64_t sum;

	(void)state;
	assert_int_equal(stride, 16);
	assert_int_equal(kmap_value_bytes(BPF_MAP_TYPE_PERCPU_ARRAY, 12), 16 * ncpu);
	for (i = 0; i < ncpu; i++)
		memcpy(values + i * stride, &(uint64_t){i + 1}, 8);
	assert_int_equal(kmap_update(fd, &k, values, BPF_ANY), 0);
	assert_int_equal(kmap_percpu_sum(fd, &k, 12, 0, &sum), 0);
	assert_int_equal(sum, ncpu * (ncpu + 1) / 2);
	free(values);
	close(fd);
}

static void test_info_tells_what_was_made(void **state)
{
	int fd = make(BPF_MAP_TYPE_HASH, 24, 77);
	struct kmap_info info;

	(void)state;
	assert_int_equal(kmap_info(fd, &info), 0);
	assert_int_equal(info.type, BPF_MAP_TYPE_HASH);
	assert_int_equal(info.value_size, 24);
	assert_int_equal(info.max_entries, 77);
	assert_string_equal(info.name, "a_name__too_lon");
	assert_true(kmap_info(-1, &info) < 0);
	close(fd);
}

static void test_impossible_maps_are_explained(void **state)
{
	struct kmap_spec s = {.type = BPF_MAP_TYPE_RINGBUF, .max_entries = 1000, .name = "odd"};
	struct diag *d = diag_new();

	(void)state;
	need_bpf();
	assert_int_equal(kmap_create(&s, d), -EINVAL);
	assert_non_null(strstr(diag_first_error(d), "odd"));
	diag_free(d);
}

PROBE_TARGET(storage_target)

static void test_task_storage_follows_the_thread(void **state)
{
	static const char text[] =
		"#include <uapi/linux/ptrace.h>\n"
		"static void *(*task_btf)(void) = (void *)158;\n"
		"static void *(*storage)(void *, void *, void *, u64) = (void *)156;\n"
		"BPF_ARRAY(result, u64, 1);\n"
		"int count(struct pt_regs *ctx) {\n"
		"	u64 *n = storage(EXTERN_MAP(1), task_btf(), 0, 1);\n"
		"	u32 k = 0; u64 *r = result.lookup(&k);\n"
		"	if (n && r) *r = ++*n;\n"
		"	return 0;\n"
		"}\n";
	struct bpf_extern ext = {.n = 1};
	struct bpf_load_opts o = {.externs = &ext, .n_externs = 1};
	struct uprobe_site site = {file_offset(storage_target), 0};
	struct uprobe_opts u = {.path = "/proc/self/exe", .sites = &site, .n_sites = 1};
	struct diag *d = diag_new();
	struct reaper *r = reaper_new();
	struct bpf_links *l = links_new(r);
	struct bpf_module *m;
	uint32_t k = 0;
	uint64_t v;

	(void)state;
	ext.fd = make(BPF_MAP_TYPE_TASK_STORAGE, 64, 0);
	m = must_load(text, &o);
	assert_int_equal(links_uprobes(l, bpf_module_prog_fd(m, "count"), &u, NULL, d), 0);
	storage_target(1);
	storage_target(1);
	storage_target(1);
	assert_int_equal(kmap_lookup(bpf_module_map_fd(m, "result"), &k, &v), 0);
	assert_int_equal(v, 3);
	links_free(l);
	reaper_flush(r, 5000);
	reaper_free(r);
	bpf_module_free(m);
	close(ext.fd);
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_sees_every_element_once),
		cmocka_unit_test(test_lookup_take_delete),
		cmocka_unit_test(test_percpu_values_add_up),
		cmocka_unit_test(test_info_tells_what_was_made),
		cmocka_unit_test(test_impossible_maps_are_explained),
		cmocka_unit_test(test_task_storage_follows_the_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
