/* SPDX-License-Identifier: Apache-2.0 */
#include "made_run.h"

#include <errno.h>
#include <math.h>

#include "util/file.h"
#include "view/peaks/peaks.h"
#include "view/peaks/peaks_kernels.h"
#include "view/summary/summary.h"

static void yaml_comes_back(void **state)
{
	struct peaks p = {.name = "board", .source = "by hand", .n = 2}, q;
	struct diag *d = diag_new();
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	p.entry[0] = (struct peaks_entry){1, 12.5, 100, 400};
	p.entry[1] = (struct peaks_entry){4, 20, 390, 1600};
	peaks_print(&p, f);
	fclose(f);
	assert_int_equal(peaks_parse("test", text, &q, d), 0);
	assert_string_equal(q.name, "board");
	assert_string_equal(q.source, "by hand");
	assert_int_equal(q.n, 2);
	assert_memory_equal(p.entry, q.entry, 2 * sizeof(p.entry[0]));
	free(text);
	diag_free(d);
}

static void the_entry_for_a_number_of_threads(void **state)
{
	struct peaks p = {.n = 3, .entry = {{2, 20, 0, 0}, {4, 30, 0, 0}, {8, 40, 0, 0}}};
	struct peaks none = {0};

	(void)state;
	assert_int_equal(peaks_for(&p, 4)->threads, 4);
	assert_int_equal(peaks_for(&p, 7)->threads, 4);
	assert_int_equal(peaks_for(&p, 100)->threads, 8);
	assert_int_equal(peaks_for(&p, 1)->threads, 2);
	assert_null(peaks_for(&none, 1));
}

static void errors_say_where(void **state)
{
	static const struct {
		const char *text, *error;
	} bad[] = {
		{"peaks:\n  - {threads: 1, gbs: many, gflops: 2}\n",
		 "gbs must be a number of at least 0"},
		{"peaks:\n  - {threads: 1, gbs: 3}\n", "gflops must be a number of at least 0"},
		{"name: x\n", "no list 'peaks' of {threads, gbs, gflops}"},
		{"peaks: [", NULL},
	};
	struct peaks p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct diag *d = diag_new();

		assert_int_equal(peaks_parse("bad.yaml", bad[i].text, &p, d), -EINVAL);
		assert_non_null(diag_first_error(d));
		if (bad[i].error)
			assert_string_equal(diag_first_error(d), bad[i].error);
		diag_free(d);
	}
}

static void every_machine_that_comes_along_is_sound(void **state)
{
	static const char *const names[] = {"a10g",	      "inferentia2", "qcs6490",
					    "raspberry-pi-5", "rk3588",	     "trainium1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct diag *d = diag_new();
		struct peaks p;

		assert_int_equal(peaks_load(names[i], &p, d), 0);
		assert_true(p.n > 0 && p.name[0] && strcmp(p.source, "no source given") != 0);
		for (int k = 0; k < p.n; k++)
			assert_true(p.entry[k].gbs > 0 && p.entry[k].gflops > 0 &&
				    p.entry[k].gops8 > p.entry[k].gflops);
		diag_free(d);
	}
}

/* The kernels compute: twice the loops take longer, and the sums are those of all their steps. */
static void kernels_run(void **state)
{
	struct peaks_kernel fma = peaks_fma_kernel(), int8 = peaks_int8_kernel();
	peaks_words data[8];
	uint64_t all = 0;

	(void)state;
	for (int i = 0; i < 8; i++)
		for (int k = 0; k < 8; k++)
			data[i][k] = (uint64_t)(i + 1) << k;
	for (int i = 0; i < 8; i++)
		all ^= data[i][0];
	assert_true(peaks_read(data, 8) == (double)all);
	assert_true(fma.work > 0 && int8.work > 0 && *fma.isa && *int8.isa);
	/* The chains end at the fixed point of v = v / 1000 + 1/2. */
	assert_true(fabs(fma.run(1000) / fma.run(2000) - 1) < 1e-6);
	if (strcmp(int8.isa, "plain C") != 0)
		assert_true(fabs(int8.run(2000) / int8.run(1000) - 2) < 1e-6);
}

static void calibration_goes_with_the_run(void **state)
{
	char dir[] = "/tmp/test_peaks.XXXXXX", *path, *folder;
	struct peaks p = {.name = "here", .source = "test", .n = 1, .entry = {{1, 50, 60, 70}}};
	struct made_run m;
	struct diag *d = diag_new();
	struct summary s;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	setenv("XDG_DATA_HOME", dir, 1);
	m = made_run("--decodes 2");
	peaks_keep(m.path);
	assert_int_equal(made_int(&m, "SELECT count(*) FROM run WHERE key = 'peaks'"), 0);
	path = peaks_path(NULL);
	folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
	assert_int_equal(file_mkdirs(folder, 0755), 0);
	f = fopen(path, "w");
	assert_non_null(f);
	peaks_print(&p, f);
	fclose(f);
	peaks_keep(m.path);
	unlink(path);
	/* Found in the run, though nothing is stored here any more. */
	assert_int_equal(summary_make(m.db, &(struct view_opts){0}, &s, d), 0);
	assert_non_null(s.peak);
	assert_true(s.peak->gbs == 50 && s.peak->gops8 == 70);
	assert_string_equal(s.peaks.name, "here");
	summary_free(&s);
	made_free(&m);
	rmdir(folder);
	path[strlen(dir) + strlen("/llmprobe")] = '\0';
	rmdir(path);
	rmdir(dir);
	free(folder);
	free(path);
	diag_free(d);
}

static void busy_time_of_all_cpus(void **state)
{
	double ticks = (double)sysconf(_SC_CLK_TCK);

	(void)state;
	/* user, nice, system, irq, softirq and steal; neither idle nor waiting for the disk. */
	assert_true(fabs(peaks_busy_seconds("cpu  100 20 30 4000 500 6 7 8 9 0\ncpu0 1 2 3\n") -
			 (100 + 20 + 30 + 6 + 7 + 8) / ticks) < 1e-9);
	assert_true(isnan(peaks_busy_seconds("")));
	assert_true(isnan(peaks_busy_seconds("intr 5 6 7 8")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(yaml_comes_back),
		cmocka_unit_test(the_entry_for_a_number_of_threads),
		cmocka_unit_test(errors_say_where),
		cmocka_unit_test(every_machine_that_comes_along_is_sound),
		cmocka_unit_test(kernels_run),
		cmocka_unit_test(busy_time_of_all_cpus),
		cmocka_unit_test(calibration_goes_with_the_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
