/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "target/engine.h"
#include "target/mapping.h"
#include "target/process.h"
#include "util/file.h"

static struct diag *d;

static int set_up(void **state)
{
	(void)state;
	d = diag_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	diag_free(d);
	return 0;
}

static struct spawn *spawn_shell(const char *script)
{
	char *argv[] = {"sh", "-c", (char *)script, NULL};
	struct spawn *s = process_spawn(argv, d);

	if (!s)
		fail_msg("%s", diag_first_error(d));
	return s;
}

static void test_find(void **state)
{
	struct process p;

	(void)state;
	assert_int_equal(process_find(getpid(), &p, d), 0);
	assert_int_equal(p.pid, getpid());
	assert_true(process_alive(&p));
	p.start_ticks++;
	assert_false(process_alive(&p));
	assert_int_equal(process_find(0, &p, d), -EINVAL);
	/* Above the largest pid that the kernel gives. */
	assert_int_equal(process_find(1 << 30, &p, d), -ESRCH);
	/* Process 2 is the kernel's thread maker, where it is visible. */
	if (!access("/proc/2/stat", R_OK) && !process_exe(2))
		assert_true(process_find(2, &p, d) < 0);
}

static void test_zombie_is_gone(void **state)
{
	struct process p;
	pid_t pid = fork();
	siginfo_t si;

	(void)state;
	if (!pid)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
	assert_int_equal(process_find(pid, &p, d), -ESRCH);
	assert_int_equal(process_state(pid), 'Z');
	waitpid(pid, NULL, 0);
	assert_int_equal(process_state(pid), 'X');
}

static void test_spawn_waits(void **state)
{
	char dir[] = "/tmp/llmprobe-test-XXXXXX", *mark, *script;
	struct spawn *s;
	int status;

	(void)state;
	assert_non_null(mkdtemp(dir));
	mark = xasprintf("%s/ran", dir);
	script = xasprintf("echo > %s; exit 7", mark);
	s = spawn_shell(script);
	usleep(20000);
	assert_int_equal(access(mark, F_OK), -1);
	assert_int_equal(spawn_wait(s, false, &status), 0);
	assert_int_equal(spawn_release(s), 0);
	assert_int_equal(spawn_started(s, d), 0);
	assert_int_equal(spawn_wait(s, true, &status), 1);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	assert_int_equal(access(mark, F_OK), 0);
	spawn_free(s);

	/* Freed without a release it has not run. */
	unlink(mark);
	s = spawn_shell(script);
	spawn_free(s);
	assert_int_equal(access(mark, F_OK), -1);
	rmdir(dir);
	free(script);
	free(mark);
}

static void test_spawn_errors(void **state)
{
	char *none[] = {NULL};
	char *missing[] = {"no-such-program-here", NULL};
	char *folder[] = {"/tmp", NULL};
	char path[] = "/tmp/llmprobe-test-XXXXXX";
	char *bad[] = {path, NULL};
	int fd = mkstemp(path), status;
	struct spawn *s;

	(void)state;
	assert_null(process_spawn(none, d));
	assert_null(process_spawn(missing, d));
	assert_non_null(strstr(diag_first_error(d), "no command"));
	assert_null(process_spawn(folder, d));
	/* Executable by its mode, but what would run it is not there: execve tells. */
	assert_int_equal(file_write_all(fd, "#!/none\n", 8), 0);
	fchmod(fd, 0755);
	close(fd);
	s = process_spawn(bad, d);
	assert_non_null(s);
	spawn_release(s);
	assert_int_equal(spawn_started(s, d), -ENOENT);
	assert_int_equal(spawn_wait(s, true, &status), 1);
	assert_int_equal(WEXITSTATUS(status), 127);
	spawn_free(s);
	unlink(path);
}

static void test_signal_status_and_mask(void **state)
{
	struct spawn *s;
	sigset_t set;
	int status;

	(void)state;
	/* The child must not inherit what the tool blocks for its signalfd. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s = spawn_shell("kill -TERM $$; sleep 5; exit 0");
	spawn_release(s);
	assert_int_equal(spawn_wait(s, true, &status), 1);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	spawn_free(s);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void test_threads_and_tree(void **state)
{
	struct spawn *s = spawn_shell("sleep 5 & sleep 5 & wait");
	struct process_thread t;
	pid_t *pids;
	size_t n = 0;

	(void)state;
	spawn_release(s);
	for (int i = 0; i < 100 && n < 3; i++) {
		usleep(10000);
		assert_int_equal(process_tree(spawn_pid(s), &pids, &n), 0);
		if (n < 3)
			free(pids);
	}
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	free(pids);
	assert_int_equal(process_threads(getpid(), &pids, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(process_thread(getpid(), pids[0], &t), 0);
	assert_true(t.run_ns > 0);
	assert_int_equal(t.state, 'R');
	free(pids);
	assert_int_equal(process_threads(1 << 30, &pids, &n), -ESRCH);
	spawn_free(s);
}

static void test_command(void **state)
{
	struct spawn *s = spawn_shell("sleep 5; : 'two words'");
	char *command;

	(void)state;
	spawn_release(s);
	assert_int_equal(spawn_started(s, d), 0);
	command = process_command(spawn_pid(s));
	assert_string_equal(command, "sh -c 'sleep 5; : '\\''two words'\\'''");
	free(command);
	kill(spawn_pid(s), SIGKILL);
	spawn_free(s);
}

static void copy_file(const char *from, const char *to)
{
	struct buf data = {0};
	int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	assert_int_equal(file_read(from, &data, 0), 0);
	assert_int_equal(file_write_all(fd, data.data, data.len), 0);
	assert_int_equal(fchmod(fd, 0755), 0);
	close(fd);
	buf_free(&data);
}

/* A script without #! is run by a shell; what is no program for this machine is not. */
static void test_what_cannot_be_executed(void **state)
{
	static const char foreign[] = "\x7f"
				      "ELF\2\1\1\0\nexit 3\n",
			  script[] = "exit $1\n";
	char path[] = "/tmp/llmprobe-test-XXXXXX", *argv[] = {path, "5", NULL};
	struct spawn *s;
	int status;

	(void)state;
	close(mkstemp(path));
	assert_int_equal(file_replace(path, script, sizeof(script) - 1), 0);
	assert_int_equal(chmod(path, 0755), 0);
	s = process_spawn(argv, d);
	assert_non_null(s);
	spawn_release(s);
	assert_int_equal(spawn_started(s, d), 0);
	assert_int_equal(spawn_wait(s, true, &status), 1);
	assert_int_equal(WEXITSTATUS(status), 5);
	spawn_free(s);
	assert_int_equal(file_replace(path, foreign, sizeof(foreign) - 1), 0);
	assert_int_equal(chmod(path, 0755), 0);
	s = process_spawn(argv, d);
	assert_non_null(s);
	spawn_release(s);
	assert_int_equal(spawn_started(s, d), -ENOEXEC);
	assert_non_null(strstr(diag_first_error(d), "Exec format error"));
	diag_clear(d);
	spawn_free(s);
	unlink(path);
}

static const struct mapping *find_mapping(const struct mapping_list *l, const char *path)
{
	for (size_t i = 0; i < l->count; i++)
		if (!strcmp(l->at[i].path, path))
			return &l->at[i];
	return NULL;
}

/* A file that is replaced while it is mapped: what is opened must be what runs. */
static void test_replaced_file(void **state)
{
	char path[] = "/tmp/llmprobe test-XXXXXX";
	char *argv[] = {path, "5", NULL};
	struct mapping_list maps;
	struct mapped_file file;
	const struct mapping *m;
	struct process_list who;
	struct stat st;
	struct spawn *s;
	ino_t before;

	(void)state;
	close(mkstemp(path));
	copy_file("/bin/sleep", path);
	assert_int_equal(stat(path, &st), 0);
	before = st.st_ino;
	s = process_spawn(argv, d);
	assert_non_null(s);
	spawn_release(s);
	assert_int_equal(spawn_started(s, d), 0);
	assert_int_equal(process_find_exe(path, &who, d), 0);
	assert_int_equal(who.count, 1);
	assert_int_equal(who.at[0].process.pid, spawn_pid(s));
	process_list_free(&who);
	unlink(path);
	copy_file("/bin/true", path);

	assert_int_equal(mapping_list_read(spawn_pid(s), &maps, d), 0);
	m = find_mapping(&maps, path);
	assert_non_null(m);
	assert_true(m->deleted);
	assert_int_equal(mapping_open(spawn_pid(s), m, &file, d), 0);
	assert_int_equal(fstat(file.fd, &st), 0);
	assert_int_equal(st.st_ino, before);
	assert_int_equal(stat(file.open_path, &st), 0);
	assert_int_equal(st.st_ino, before);
	mapped_file_close(&file);
	mapping_list_free(&maps);
	kill(spawn_pid(s), SIGKILL);
	spawn_free(s);
	assert_true(process_find_exe(path, &who, d) < 0 && !who.count);
	unlink(path);
	assert_int_equal(process_find_exe(path, &who, d), -ENOENT);
}

static void test_resolve(void **state)
{
	uint64_t address = (uint64_t)(uintptr_t)&test_resolve, offset = 0;
	struct mapping m;
	char *exe = process_exe(getpid());

	(void)state;
	assert_true(mapping_resolve(getpid(), address, &m, &offset));
	assert_string_equal(m.path, exe);
	assert_true(offset > 0 && offset < 1 << 26);
	mapping_clear(&m);
	assert_false(mapping_resolve(getpid(), 16, &m, &offset));
	free(exe);
}

/* Two processes with an engine's library: told apart, not guessed. */
static void test_several_engines(void **state)
{
	static const char text[] =
		"engine: toy\nsymbols: [none]\nfiles: [llmprobe-toy-*]\nlevels:\n"
		"  token: [{name: a, functions: [{symbol: f, entry: call_begin}]}]\n";
	char path[] = "/tmp/llmprobe-toy-XXXXXX", dir[] = "/tmp/llmprobe-test-XXXXXX", *file;
	char *argv[] = {path, "5", NULL};
	struct engine_set *set;
	struct process_list l;
	struct spawn *s[2];

	(void)state;
	close(mkstemp(path));
	copy_file("/bin/sleep", path);
	assert_non_null(mkdtemp(dir));
	file = xasprintf("%s/toy.yaml", dir);
	assert_int_equal(file_replace(file, text, strlen(text)), 0);
	set = engine_set_load(dir, d);
	assert_non_null(set);
	for (int i = 0; i < 2; i++) {
		s[i] = process_spawn(argv, d);
		spawn_release(s[i]);
		assert_int_equal(spawn_started(s[i], d), 0);
	}
	/* Other tests may run an engine at the same time, so only "several" is certain. */
	assert_int_equal(process_find_engine(set, &l, d), -E2BIG);
	assert_true(l.count >= 2);
	assert_true(diag_count(d, DIAG_NOTE) >= 2);
	process_list_free(&l);
	for (int i = 0; i < 2; i++) {
		kill(spawn_pid(s[i]), SIGKILL);
		spawn_free(s[i]);
	}
	engine_set_free(set);
	unlink(file);
	unlink(path);
	rmdir(dir);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_find, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_zombie_is_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_spawn_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_spawn_errors, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_signal_status_and_mask, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_threads_and_tree, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_command, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_executed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_replaced_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_resolve, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_several_engines, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
