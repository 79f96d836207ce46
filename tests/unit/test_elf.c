/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <cmocka.h>

#include "elf_fixture.h"
#include "target/debug_file.h"
#include "target/elf.h"
#include "target/layout.h"
#include "target/site.h"
#include "util/file.h"

static char dir[] = "/tmp/llmprobe-elf-XXXXXX";

static void shell(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void shell(const char *fmt, ...)
{
	va_list ap;
	char *cmd;

	va_start(ap, fmt);
	cmd = xvasprintf(fmt, ap);
	va_end(ap);
	assert_int_equal(system(cmd), 0);
	free(cmd);
}

static struct elf *open_sample(const char *name)
{
	struct diag *d = diag_new();
	char *path = xasprintf("%s/%s", dir, name);
	struct elf *e = elf_open(path, d);

	if (!e)
		fail_msg("%s", diag_first_error(d));
	free(path);
	diag_free(d);
	return e;
}

static int setup(void **state)
{
	const char *cc = "cc -O2 -fPIC -shared -w -Wl,--build-id=0x1234abcd";

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	shell("%s -Wl,-soname,libsample.so.1 -Wl,-rpath,/opt/engine -Wl,--no-as-needed -lm -o "
	      "%s/sample.so tests/unit/fixtures/sample.c",
	      cc, dir);
	shell("cd %s && cp sample.so stripped.so && strip stripped.so", dir);
	shell("cd %s && cp sample.so linked.so && objcopy --only-keep-debug sample.so s.debug && "
	      "objcopy --add-gnu-debuglink=s.debug linked.so",
	      dir);
	shell("cd %s && strip -o lent.so sample.so && objcopy --add-gnu-debuglink=s.debug lent.so",
	      dir);
	shell("%s -Wl,--build-id=0x99 -s -o %s/other.so tests/unit/fixtures/sample.c && cd %s && "
	      "objcopy --add-gnu-debuglink=s.debug other.so",
	      cc, dir, dir);
	shell("%s -g -o %s/debug.so tests/unit/fixtures/sample.c", cc, dir);
	shell("%s -Wl,--no-eh-frame-hdr -o %s/searched.so tests/unit/fixtures/sample.c", cc, dir);
	shell("%s -Wl,--no-eh-frame-hdr -s -o %s/unsearched.so tests/unit/fixtures/sample.c", cc,
	      dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	shell("rm -rf %s", dir);
	return 0;
}

static void test_identity(void **state)
{
	struct elf *e = open_sample("sample.so");
	bool libm = false;

	(void)state;
	assert_string_equal(elf_build_id(e), "1234abcd");
	assert_string_equal(elf_soname(e), "libsample.so.1");
	assert_string_equal(elf_runpath(e), "/opt/engine");
	assert_string_equal(elf_interp(e), "");
	assert_true(elf_is_pic(e));
	assert_false(elf_has_dwarf(e));
	for (size_t i = 0; elf_needed(e, i); i++)
		libm |= !strcmp(elf_needed(e, i), "libm.so.6");
	assert_true(libm);
	assert_null(elf_needed(e, 100));
	elf_close(e);
	e = open_sample("debug.so");
	assert_true(elf_has_dwarf(e));
	elf_close(e);
	e = open_sample("linked.so");
	assert_string_equal(elf_debuglink(e), "s.debug");
	elf_close(e);
}

static int count(void *ctx, const struct elf_symbol *sym)
{
	(void)sym;
	++*(int *)ctx;
	return 0;
}

static void test_symbols(void **state)
{
	struct elf *e = open_sample("sample.so");
	struct elf_symbol s, again;
	int n = 0;

	(void)state;
	assert_true(elf_find(e, "sample_add", &s));
	assert_true(s.is_func && !s.is_local && s.size > 0 && s.table == ELF_DYNSYM);
	assert_true(elf_symbol_at(e, s.vaddr + s.size - 1, &again));
	assert_string_equal(again.name, "sample_add");
	assert_false(elf_find(e, "sample_ad", &s));
	assert_false(elf_find(e, "malloc", &s));
	assert_true(elf_imports(e, "malloc"));
	assert_false(elf_imports(e, "sample_add"));
	/* Both tables define these; each is reported once. */
	assert_int_equal(elf_match(e, "sample_a*", count, &n), 2);
	assert_int_equal(n, 2);
	assert_true(elf_symbol_count(e) > 8);
	assert_false(elf_symbol(e, elf_symbol_count(e), &s));
	elf_close(e);
}

static void test_cxx_patterns(void **state)
{
	struct elf *e = open_sample("sample.so");
	struct elf_symbol s;
	int n = 0;

	(void)state;
	assert_true(elf_find_pattern(e, "llama_context::process_ubatch(", &s));
	assert_string_equal(s.name,
			    "_ZN13llama_context14process_ubatchERK12llama_ubatch14llm_graph_type");
	elf_match(e, "llama_context::process_ubatch", count, &n);
	assert_int_equal(n, 2);
	assert_true(elf_find_pattern(e, "llama_context::get(", &s));
	assert_true(elf_find_pattern(e, "plain(", &s));
	assert_string_equal(s.name, "_Z5plaini");
	assert_false(elf_find_pattern(e, "llama_context::proc(", &s));
	assert_false(elf_find_pattern(e, "context::process_ubatch(", &s));
	elf_close(e);
}

static void test_addresses(void **state)
{
	struct elf *e = open_sample("sample.so");
	struct elf_symbol s;
	uint64_t off, back, p, cell[4];

	(void)state;
	assert_true(elf_find(e, "sample_word", &s));
	assert_true(elf_is_code(e, s.vaddr));
	assert_true(elf_vaddr_to_offset(e, s.vaddr, &off));
	assert_true(elf_offset_to_vaddr(e, off, &back));
	assert_int_equal(back, s.vaddr);
	assert_false(elf_vaddr_to_offset(e, UINT64_MAX, &off));
	assert_true(elf_find(e, "sample_words", &s));
	assert_true(elf_pointer(e, s.vaddr + 8, &p));
	assert_string_equal(elf_string(e, p, 32), "beta");
	assert_null(elf_string(e, p, 4)); /* its end lies beyond the limit */
	assert_int_equal(elf_find_pointers(e, p, cell, 4), 1);
	assert_int_equal(cell[0], s.vaddr + 8);
	assert_true(elf_find(e, "sample_pointer", &s));
	assert_true(elf_pointer(e, s.vaddr, &p));
	assert_int_equal(p, cell[0]);
	elf_close(e);
}

/* `like` has the same code, and symbols. */
static void check_string_user(const char *file, const char *like)
{
	struct elf *sample = open_sample(like), *e = open_sample(file);
	struct elf_func users[4], f;
	struct elf_symbol s;

	assert_true(elf_find(sample, "sample_word", &s));
	assert_int_equal(elf_find_string_users(e, "a string that only one function uses", users, 4),
			 1);
	assert_int_equal(users[0].vaddr, s.vaddr);
	assert_true(users[0].has_unwind && !users[0].has_handler && !users[0].is_part);
	assert_true(elf_func_at(e, s.vaddr + 1, &f));
	assert_int_equal(f.vaddr, s.vaddr);
	assert_int_equal(f.size, s.size);
	assert_int_equal(elf_find_string_users(e, "no such text", users, 4), 0);
	elf_close(sample);
	elf_close(e);
}

static void test_string_users(void **state)
{
	(void)state;
	check_string_user("sample.so", "sample.so");
	check_string_user("stripped.so", "sample.so");
	/* Static programs have no search table over their unwind entries. */
	check_string_user("unsearched.so", "searched.so");
}

static void test_symbols_of_a_debug_file(void **state)
{
	struct elf *e = open_sample("lent.so");
	struct elf_symbol s;

	(void)state;
	assert_false(elf_has_symtab(e));
	debug_file_lend_symbols(e, "");
	assert_true(elf_find(e, "rare", &s));
	assert_true(s.is_local && s.is_func && s.table == ELF_SYMTAB);
	assert_true(elf_find(e, "sample_add", &s));
	assert_int_equal(s.table, ELF_DYNSYM);
	elf_close(e);
	/* The file of another build. */
	e = open_sample("other.so");
	debug_file_lend_symbols(e, "");
	assert_false(elf_find(e, "rare", &s));
	assert_true(elf_find(e, "sample_add", &s));
	elf_close(e);
}

static void test_calls_name_their_imports(void **state)
{
	struct elf *e = open_sample("sample.so");
	struct elf_func f;
	struct insn_list l;
	bool found = false;

	(void)state;
	assert_true(elf_func_named(e, "sample_alloc", &f));
	assert_int_equal(insn_decode(e, &f, 0, &l), 0);
	for (size_t i = 0; i < l.count; i++) {
		const char *name = l.at[i].is_call ? elf_plt_symbol(e, l.at[i].target) : NULL;

		found |= name && !strcmp(name, "malloc");
	}
	assert_true(found);
	assert_int_equal(site_may_throw(e, &f, NULL, 0), SITE_THROW_NO);
	insn_list_free(&l);
	elf_close(e);
}

/* The jump into the part that the compiler split off is no way out, with or without its name. */
static void test_split_functions(void **state)
{
	static const char *const files[] = {"sample.so", "stripped.so"};
	struct elf_func f;
	struct site_exits x;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct elf *e = open_sample(files[i]);

		assert_true(elf_func_named(e, "sample_split", &f));
		assert_false(f.is_part);
		assert_int_equal(site_exits(e, &f, SITE_VALUE_ANYWHERE, &x), 0);
		if (!x.complete)
			fail_msg("%s: %s", files[i], x.why);
		for (size_t k = 0; k < x.count; k++)
			assert_null(strstr(x.at[k].why, "tail call"));
		elf_close(e);
	}
}

static void refused(size_t at, uint8_t value, const char *why)
{
	uint8_t file[FIXTURE_CODE + 4];
	struct diag *d = diag_new();
	size_t n = fixture_bytes(EM_X86_64, "\x90\x90\x90\xc3", 4, file);

	file[at] = value;
	assert_null(elf_open_mem(file, n, "f", d));
	if (!strstr(diag_first_error(d), why))
		fail_msg("'%s' does not say '%s'", diag_first_error(d), why);
	diag_free(d);
}

static void test_refusals_say_why(void **state)
{
	struct diag *d = diag_new();

	(void)state;
	refused(0, 'x', "is no ELF file");
	refused(EI_CLASS, ELFCLASS32, "32-bit");
	refused(EI_DATA, ELFDATA2MSB, "big-endian");
	refused(offsetof(Elf64_Ehdr, e_machine), EM_386, "another processor");
	refused(offsetof(Elf64_Ehdr, e_type), ET_REL, "neither");
	refused(offsetof(Elf64_Ehdr, e_phnum), 0, "no loadable segment");
	assert_null(elf_open("/nonexistent/file", d));
	assert_non_null(strstr(diag_first_error(d), "No such file"));
	diag_clear(d);
	assert_null(elf_open(dir, d));
	assert_non_null(strstr(diag_first_error(d), "no regular file"));
	assert_null(elf_open_mem("", 0, "empty", d));
	diag_free(d);
}

/* Everything that reads the file, on whatever the bytes are. */
static void exercise(const void *data, size_t len)
{
	struct diag *d = diag_new();
	struct elf *e = elf_open_mem(data, len, "damaged", d);
	struct layout_sources src = {.files = &e, .count = 1, .no_dwarf = true};
	struct elf_func f[4];
	struct elf_symbol s;
	struct site site;

	if (e) {
		for (size_t i = 0; elf_symbol(e, i, &s); i++)
			if (elf_func_at(e, s.vaddr, &f[0]))
				site_entry(e, &f[0], 3, false, &site);
		elf_find_string_users(e, "alpha", f, 4);
		elf_imports(e, "malloc");
		layout_free(layout_infer(&src, d));
	}
	elf_close(e);
	diag_free(d);
}

static void test_damaged_files(void **state)
{
	struct buf b = {0};
	char *path = xasprintf("%s/sample.so", dir);
	uint32_t seed = 1;

	(void)state;
	assert_int_equal(file_read(path, &b, 0), 0);
	for (size_t len = 0; len < b.len; len += 61)
		exercise(b.data, len);
	for (int round = 0; round < 300; round++) {
		char *copy = xmalloc(b.len);

		memcpy(copy, b.data, b.len);
		for (int k = 0; k < 24; k++) {
			seed = seed * 1664525u + 1013904223u;
			/* Half of the damage goes to the headers and dynamic tables in front. */
			copy[(seed >> 4) % (k % 2 ? b.len : 2048)] = (char)(seed >> 24);
		}
		exercise(copy, b.len);
		free(copy);
	}
	buf_free(&b);
	free(path);
}

/* A target may cut its own file while it is read. */
static void test_file_that_shrinks(void **state)
{
	struct diag *d = diag_new();
	struct elf_symbol s;
	struct elf *e;
	char *path = xasprintf("%s/shrinks.so", dir);

	(void)state;
	shell("cp %s/sample.so %s && truncate -s 1M %s", dir, path, path);
	e = elf_open(path, d);
	assert_non_null(e);
	assert_int_equal(truncate(path, 64), 0);
	elf_find(e, "sample_add", &s);
	elf_find_string(e, "alpha", (uint64_t[1]){0}, 1);
	elf_close(e);
	free(path);
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_symbols),
		cmocka_unit_test(test_cxx_patterns),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_string_users),
		cmocka_unit_test(test_symbols_of_a_debug_file),
		cmocka_unit_test(test_calls_name_their_imports),
		cmocka_unit_test(test_split_functions),
		cmocka_unit_test(test_refusals_say_why),
		cmocka_unit_test(test_damaged_files),
		cmocka_unit_test(test_file_that_shrinks),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
