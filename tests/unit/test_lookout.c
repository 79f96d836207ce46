/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "target/lookout.h"

/* A program of our own, so that nobody else's processes count. */
static void copy_program(char *path)
{
	char command[256];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	snprintf(command, sizeof(command), "cp \"$(command -v sleep)\" %s && chmod 755 %s", path,
		 path);
	assert_int_equal(system(command), 0);
}

static bool maps_it(pid_t pid, const char *path)
{
	char maps[64], line[512];
	bool found = false;
	FILE *f;

	snprintf(maps, sizeof(maps), "/proc/%d/maps", pid);
	f = fopen(maps, "r");
	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, path) && strstr(line, "r-xp");
	if (f)
		fclose(f);
	return found;
}

static pid_t start_program(const char *path)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		execl(path, path, "600", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 2000 && !maps_it(pid, path); i++)
		usleep(5000);
	return pid;
}

static void end_program(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* The processes that the next look tells, of which there must be so many. */
static pid_t look(struct lookout *l, size_t wanted)
{
	struct process_list list;
	pid_t pid;

	assert_int_equal(lookout_look(l, &list), 0);
	assert_int_equal(list.count, wanted);
	pid = list.count ? list.at[0].process.pid : 0;
	process_list_free(&list);
	return pid;
}

static void test_each_process_is_told_once(void **state)
{
	char path[] = "/tmp/llmprobe-lookout-XXXXXX";
	struct diag *d = diag_new();
	struct lookout *l;
	pid_t one, two;

	(void)state;
	copy_program(path);
	l = lookout_new(path, d);
	assert_non_null(l);
	look(l, 0);
	one = start_program(path);
	assert_int_equal(look(l, 1), one);
	look(l, 0);
	two = start_program(path);
	assert_int_equal(look(l, 1), two);
	end_program(one);
	end_program(two);
	look(l, 0);
	lookout_free(l);
	diag_free(d);
	unlink(path);
}

static void test_what_is_no_file(void **state)
{
	struct diag *d = diag_new();

	(void)state;
	assert_null(lookout_new("/nosuch/file", d));
	assert_null(lookout_new("/tmp", d));
	assert_int_equal(diag_count(d, DIAG_ERROR), 2);
	diag_free(d);
	lookout_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_process_is_told_once),
		cmocka_unit_test(test_what_is_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
