/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "bpf/cache.h"
#include "util/alloc.h"

struct fixture {
	char dir[64];
	struct cache_key key;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/llmprobe-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	cache_key_adds(&f->key, "key");
	*state = f;
	return 0;
}

static void each_file(const char *dir, void (*fn)(const char *path, void *ctx), void *ctx)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char *path = xasprintf("%s/%s", dir, e->d_name);

		if (e->d_name[0] != '.')
			fn(path, ctx);
		free(path);
	}
	closedir(d);
}

static void remove_file(const char *path, void *ctx)
{
	(void)ctx;
	unlink(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	each_file(f->dir, remove_file, NULL);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void test_entries_come_back(void **state)
{
	struct fixture *f = *state;
	struct cache_key other = {{0}};
	struct buf b = {0};

	cache_key_adds(&other, "yek");
	assert_int_equal(cache_get(f->dir, "t", &f->key, &b), -ENOENT);
	assert_int_equal(cache_put(f->dir, "t", &f->key, "hello", 5), 0);
	assert_int_equal(cache_get(f->dir, "t", &f->key, &b), 0);
	assert_string_equal(buf_str(&b), "hello");
	assert_int_equal(cache_get(f->dir, "u", &f->key, &b), -ENOENT);
	assert_int_equal(cache_get(f->dir, "t", &other, &b), -ENOENT);
	buf_free(&b);
}

static void flip_byte(const char *path, void *ctx)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	off_t at = *(off_t *)ctx;
	char c;

	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 0x20;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static void test_damage_is_noticed_anywhere(void **state)
{
	struct fixture *f = *state;
	struct buf b = {0};
	off_t at;

	for (at = 0; at < 45; at++) {
		assert_int_equal(cache_put(f->dir, "t", &f->key, "hello", 5), 0);
		each_file(f->dir, flip_byte, &at);
		assert_int_equal(cache_get(f->dir, "t", &f->key, &b), -EBADMSG);
		/* And it is gone. */
		assert_int_equal(cache_get(f->dir, "t", &f->key, &b), -ENOENT);
	}
	assert_int_equal(b.len, 0);
	buf_free(&b);
}

static void cut(const char *path, void *ctx)
{
	(void)ctx;
	assert_int_equal(truncate(path, 42), 0);
}

static void test_cut_entry_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct buf b = {0};

	assert_int_equal(cache_put(f->dir, "t", &f->key, "hello", 5), 0);
	each_file(f->dir, cut, NULL);
	assert_int_equal(cache_get(f->dir, "t", &f->key, &b), -EBADMSG);
	buf_free(&b);
}

static void test_folder_of_others_is_not_trusted(void **state)
{
	struct fixture *f = *state;
	struct buf b = {0};

	assert_int_equal(cache_put(f->dir, "t", &f->key, "hello", 5), 0);
	chmod(f->dir, 0777);
	assert_int_equal(cache_get(f->dir, "t", &f->key, &b), -ENOENT);
	assert_int_equal(cache_put(f->dir, "t", &f->key, "hello", 5), -EPERM);
	chmod(f->dir, 0700);
	assert_int_equal(cache_get(f->dir, "t", &f->key, &b), 0);
	buf_free(&b);
}

static void test_oldest_go_first(void **state)
{
	struct fixture *f = *state;
	size_t size = 6 << 20, i;
	char *big = xcalloc(1, size);
	struct cache_key keys[7] = {{{0}}};
	struct buf b = {0};

	for (i = 0; i < 7; i++) {
		cache_key_add(&keys[i], &i, sizeof(i));
		assert_int_equal(cache_put(f->dir, "t", &keys[i], big, size), 0);
		usleep(10000);
		/* Whatever is used stays young. */
		assert_int_equal(cache_get(f->dir, "t", &keys[0], &b), 0);
		buf_reset(&b);
	}
	assert_int_equal(cache_get(f->dir, "t", &keys[0], &b), 0);
	assert_int_equal(cache_get(f->dir, "t", &keys[1], &b), -ENOENT);
	assert_int_equal(cache_get(f->dir, "t", &keys[2], &b), -ENOENT);
	assert_int_equal(cache_get(f->dir, "t", &keys[6], &b), 0);
	buf_free(&b);
	free(big);
}

static void test_folder_follows_the_environment(void **state)
{
	struct fixture *f = *state;
	char out[128], *sub = xasprintf("%s/llmprobe", f->dir);

	setenv("XDG_CACHE_HOME", f->dir, 1);
	assert_string_equal(bpf_cache_dir(out, sizeof(out)), sub);
	chmod(sub, 0722);
	assert_string_equal(bpf_cache_dir(out, sizeof(out)), "");
	rmdir(sub);
	assert_int_equal(symlink("/tmp", sub), 0);
	assert_string_equal(bpf_cache_dir(out, sizeof(out)), "");
	unlink(sub);
	setenv("LLMPROBE_CACHE", "off", 1);
	assert_string_equal(bpf_cache_dir(out, sizeof(out)), "");
	unsetenv("LLMPROBE_CACHE");
	unsetenv("XDG_CACHE_HOME");
	free(sub);
}

static void test_pieces_of_a_key_have_borders(void **state)
{
	struct cache_key a = {{0}}, b = {{0}};

	(void)state;
	cache_key_adds(&a, "ab");
	cache_key_adds(&a, "c");
	cache_key_adds(&b, "a");
	cache_key_adds(&b, "bc");
	assert_memory_not_equal(&a, &b, sizeof(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_entries_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_is_noticed_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_entry_is_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folder_of_others_is_not_trusted, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_oldest_go_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folder_follows_the_environment, setup,
						teardown),
		cmocka_unit_test(test_pieces_of_a_key_have_borders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
