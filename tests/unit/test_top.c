/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "view/table.h"
#include "view/top/top.h"

static const double series[] = {30e6, 31e6, 30e6, 45e6};
static const struct top_operator operators[] = {
	{"MUL_MAT", 0.81, 260e3, 840}, {"a name that is far too long for it", 0.1, 1e3, 9}};
static const struct top_thread threads[] = {{1000, "main", 0.7, 0.2, 0.05},
					    {1001, "w\xc3\xb6rker", 0.5, 0.4, 0}};

struct fake {
	struct top_level levels[2];
	int readings, toggled;
};

static void fill(void *ctx, struct top_figures *f)
{
	struct fake *s = ctx;

	s->readings++;
	*f = (struct top_figures){.target = "engine, pid 1000",
				  .elapsed_s = 12,
				  .phase = "decode",
				  .tokens_per_s = 33.25,
				  .tokens = 1234,
				  .ttft_ns = -1,
				  .tpot_ns = 30.1e6,
				  .tpot_series = series,
				  .n_series = 4,
				  .operators = operators,
				  .n_operators = 2,
				  .threads = threads,
				  .n_threads = 2,
				  .levels = s->levels,
				  .n_levels = 2,
				  .cost = 0.017};
}

static struct fake new_fake(void)
{
	return (struct fake){.levels = {{"token", 't', true, NULL, 30, 0, 0.001},
					{"operator", 'o', true, NULL, 9000, 17, -1}}};
}

static bool pump(void *ctx, int fd, int ms)
{
	struct fake *s = ctx;
	struct pollfd p = {.fd = fd, .events = POLLIN};

	poll(&p, fd >= 0, ms);
	return s->readings < 1000;
}

static int toggle(void *ctx, size_t level, struct diag *d)
{
	struct fake *s = ctx;

	s->toggled++;
	s->levels[level].on = !s->levels[level].on;
	return level ? 0 : diag_fail(d, -1, "the token level stays on");
}

static void test_screen_fits_any_size(void **state)
{
	static const int sizes[][2] = {{120, 40}, {80, 24}, {20, 5}, {1, 1}};
	struct fake s = new_fake();
	struct top_figures f;

	(void)state;
	fill(&s, &f);
	for (size_t i = 0; i < 4; i++) {
		struct top_opts o = {.ascii = i == 1};
		struct buf out = {0};
		int lines = 0;

		top_render(&f, &o, sizes[i][0], sizes[i][1], "", &out);
		for (char *p = out.data, *next; p; p = next, lines++) {
			next = strchr(p, '\n');
			if (next)
				*next++ = '\0';
			assert_in_range(table_width(p), 0, sizes[i][0]);
			if (o.ascii)
				for (const char *c = p; *c; c++)
					assert_true(*c > 0 || strstr(p, "w\xc3\xb6rker"));
		}
		assert_int_equal(lines, sizes[i][1]);
		buf_free(&out);
	}
}

static void test_screen_tells_the_figures(void **state)
{
	struct fake s = new_fake();
	struct top_opts o = {.ascii = true};
	struct top_figures f;
	struct buf out = {0};

	(void)state;
	fill(&s, &f);
	top_render(&f, &o, 100, 30, "", &out);
	assert_non_null(strstr(out.data, "tokens/s 33.2"));
	assert_non_null(strstr(out.data, "TTFT -"));
	assert_non_null(strstr(out.data, "tracing costs 1.7 %"));
	assert_non_null(strstr(out.data, "MUL_MAT"));
	assert_non_null(strstr(out.data, " 81.0%"));
	/* 70 % compute and 20 % wait of 20 cells; the thread was off the CPU during 5 of the 90. */
	assert_non_null(strstr(out.data, "##############---!.."));
	assert_non_null(strstr(out.data, "30.0 ms to 45.0 ms"));
	buf_free(&out);
}

static void test_narrow_and_low_screens_keep_what_matters(void **state)
{
	struct fake s = new_fake();
	struct top_opts o = {.ascii = true};
	struct top_figures f;
	struct buf out = {0};

	(void)state;
	fill(&s, &f);
	f.target = "pid 1000: /a/very/long/path/to/an/engine with --many --options";
	top_render(&f, &o, 50, 12, "", &out);
	assert_memory_equal(out.data, "pid 1000: /a/v", 14);
	assert_non_null(strstr(out.data, "decode  12 s  tracing costs 1.7 %\n"));
	assert_non_null(strstr(out.data, "t on  o on  lost 17\n"));
	top_render(&f, &o, 60, 12, "", &out);
	/* A bar that has less room is smaller, not cut. */
	assert_non_null(strstr(out.data, "  #######-!.\n"));
	assert_non_null(strstr(out.data, "MUL_MAT"));
	buf_reset(&out);
	top_render(&f, &o, 36, 12, "", &out);
	assert_memory_equal(out.data, "decode  12 s", 12);
	buf_free(&out);
}

static void test_many_threads_leave_room_for_operators(void **state)
{
	struct top_thread many[64];
	struct fake s = new_fake();
	struct top_opts o = {.ascii = true};
	struct top_figures f;
	struct buf out = {0};

	(void)state;
	fill(&s, &f);
	for (int i = 0; i < 64; i++)
		many[i] = (struct top_thread){i + 1, "worker", i ? 0.5 : 1, 0.25, 0};
	f.threads = many;
	f.n_threads = 64;
	top_render(&f, &o, 100, 30, "", &out);
	assert_non_null(strstr(out.data, "worker 1 "));
	assert_non_null(strstr(out.data, " more, mean"));
	assert_non_null(strstr(out.data, "   50.0%   25.0%    0.0%"));
	assert_non_null(strstr(out.data, "MUL_MAT"));
	buf_free(&out);
}

static void test_lines_without_a_terminal(void **state)
{
	struct fake s = new_fake();
	struct top_source source = {&s, pump, fill, toggle};
	struct top_opts o = {.interval_ms = 1, .readings = 3};
	struct diag *d = diag_new();
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_int_equal(top_run(&source, &o, f, d), 0);
	fclose(f);
	assert_int_equal(s.readings, 3);
	assert_non_null(strstr(text,
			       "12 s  decode  tokens/s 33.2  TPOT 30.1 ms  cost 1.7 %  MUL_MAT "
			       "81 %"));
	assert_non_null(strstr(text, "lost operator: 17\n"));
	free(text);
	diag_free(d);
}

/* In a pseudo-terminal: draws, takes keys, puts the terminal back. Exit status: toggles seen. */
static int in_terminal(void)
{
	struct fake s = new_fake();
	struct top_source source = {&s, pump, fill, toggle};
	struct top_opts o = {.interval_ms = 20};
	struct diag *d = diag_new();
	int err;

	setenv("TERM", "xterm", 1);
	err = top_run(&source, &o, stdout, d);
	fflush(stdout);
	diag_free(d);
	return err ? 99 : s.toggled * 10 + s.levels[1].on;
}

enum { PATIENCE_MS = 20000 };

/* Until `text` was shown; NULL: until the terminal is closed. */
static void read_until(int fd, struct buf *out, const char *text)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char chunk[4096];
	ssize_t n = 1;

	while (n > 0 && !(text && out->len && memmem(out->data, out->len, text, strlen(text)))) {
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		n = read(fd, chunk, sizeof(chunk));
		if (n > 0)
			buf_add(out, chunk, (size_t)n);
	}
	assert_true(n > 0 || !text);
}

static void test_keys_on_a_terminal(void **state)
{
	struct winsize size = {.ws_row = 30, .ws_col = 100};
	struct buf out = {0};
	int fd, status;
	pid_t pid = forkpty(&fd, NULL, NULL, &size);

	(void)state;
	if (pid == 0)
		_exit(in_terminal());
	assert_true(pid > 0);
	read_until(fd, &out, "engine, pid 1000");
	assert_int_equal(write(fd, "ot", 2), 2);
	read_until(fd, &out, "the token level stays on");
	assert_int_equal(write(fd, "q", 1), 1);
	read_until(fd, &out, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fd);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 20); /* both keys, and operator is off */
	buf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_screen_fits_any_size),
		cmocka_unit_test(test_screen_tells_the_figures),
		cmocka_unit_test(test_narrow_and_low_screens_keep_what_matters),
		cmocka_unit_test(test_many_threads_leave_room_for_operators),
		cmocka_unit_test(test_lines_without_a_terminal),
		cmocka_unit_test(test_keys_on_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
