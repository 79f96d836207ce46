/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "target/process.h"
#include "target/watch.h"

enum { WAIT_MS = 5000 };

struct seen {
	struct watch *w;
	unsigned count[WATCH_STOP + 1];
	bool resume;
	pid_t held;
	char *exec_command; /* of the last exec */
};

static void on_event(void *ctx, const struct watch_event *e)
{
	struct seen *s = ctx;

	s->count[e->kind]++;
	if (e->kind == WATCH_EXEC) {
		free(s->exec_command);
		s->exec_command = process_command(e->pid);
	}
	if (e->held && s->resume)
		watch_resume(s->w, e->pid);
	else if (e->held)
		s->held = e->pid;
}

static void wait_events(struct seen *s, int ms)
{
	struct pollfd p = {.fd = watch_fd(s->w), .events = POLLIN};

	if (poll(&p, 1, ms) > 0)
		watch_drain(s->w, on_event, s);
}

static struct spawn *start(const char *script, struct diag *d)
{
	char *argv[] = {"sh", "-c", (char *)script, NULL};
	struct spawn *s = process_spawn(argv, d);

	assert_non_null(s);
	return s;
}

static struct watch *watch_one(pid_t pid, bool hold, struct diag *d)
{
	struct watch *w = watch_new(&pid, 1, &(struct watch_opts){.hold = hold}, d);

	if (!w)
		fail_msg("%s", diag_first_error(d));
	return w;
}

/* True when this machine and user allow holding; else the test has nothing to look at. */
static bool can_hold(const struct watch *w)
{
	return strstr(watch_method(w), "held") != NULL;
}

static void test_hold(void **state)
{
	struct diag *d = diag_new();
	struct spawn *s = start("sleep 0.01; kill -STOP $$; exit 5", d);
	struct seen seen = {.w = watch_one(spawn_pid(s), true, d), .resume = true};
	int status = 0;

	(void)state;
	if (!can_hold(seen.w)) {
		watch_free(seen.w);
		spawn_free(s);
		diag_free(d);
		skip();
	}
	spawn_release(s);
	for (int i = 0; i < 200 && !spawn_wait(s, false, &status); i++) {
		/* The script stops itself: a stop that is not ours stays one. */
		if (process_state(spawn_pid(s)) == 'T' || process_state(spawn_pid(s)) == 't')
			kill(spawn_pid(s), SIGCONT);
		wait_events(&seen, 50);
	}
	assert_int_equal(spawn_wait(s, true, &status), 1);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 5);
	for (int i = 0; i < 20 && seen.count[WATCH_EXIT] < 2; i++)
		wait_events(&seen, 100);
	assert_int_equal(seen.count[WATCH_EXEC], 2);
	assert_int_equal(seen.count[WATCH_FORK], 1);
	assert_true(seen.count[WATCH_MAP] >= 2);
	assert_int_equal(seen.count[WATCH_EXIT], 2);
	assert_string_equal(seen.exec_command, "sleep 0.01");
	free(seen.exec_command);
	watch_free(seen.w);
	spawn_free(s);
	diag_free(d);
}

/* A watch that ends while a target is held lets it run to its own end. */
static void test_free_lets_go(void **state)
{
	struct diag *d = diag_new();
	struct spawn *s = start("exit 6", d);
	struct seen seen = {.w = watch_one(spawn_pid(s), true, d)};
	int status;

	(void)state;
	spawn_release(s);
	for (int i = 0; i < 100 && !seen.held && can_hold(seen.w); i++)
		wait_events(&seen, 50);
	usleep(20000);
	if (can_hold(seen.w))
		assert_int_equal(spawn_wait(s, false, &status), 0);
	watch_free(seen.w);
	assert_int_equal(spawn_wait(s, true, &status), 1);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 6);
	free(seen.exec_command);
	spawn_free(s);
	diag_free(d);
}

/* Processes that ran before are listened to and never stopped. */
static void test_listen(void **state)
{
	struct diag *d = diag_new();
	struct spawn *s = start("read x; /bin/sleep 0.01; exit 4", d);
	struct seen seen = {0};
	int status = 0, in[2];

	(void)state;
	spawn_free(s);
	assert_int_equal(pipe(in), 0);
	/* The script waits for a line, so that the watch is there first. */
	dup2(in[0], 0);
	s = start("read x; /bin/sleep 0.01; exit 4", d);
	spawn_release(s);
	assert_int_equal(spawn_started(s, d), 0);
	seen.w = watch_one(spawn_pid(s), false, d);
	assert_int_equal(write(in[1], "\n", 1), 1);
	for (int i = 0; i < 100 && seen.count[WATCH_EXIT] < 2; i++)
		wait_events(&seen, 50);
	wait_events(&seen, 50);
	assert_int_equal(spawn_wait(s, true, &status), 1);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 4);
	assert_int_equal(seen.count[WATCH_FORK], 1);
	assert_true(seen.count[WATCH_EXEC] >= 1);
	assert_true(seen.count[WATCH_MAP] >= 1);
	assert_int_equal(seen.count[WATCH_EXIT], 2);
	assert_int_equal(seen.held, 0);
	assert_int_equal(watch_resume(seen.w, spawn_pid(s)), 0);
	free(seen.exec_command);
	watch_free(seen.w);
	close(in[0]);
	close(in[1]);
	spawn_free(s);
	diag_free(d);
}

/* Polling twice uses up what perf records make readable; the events must still come. */
static void test_polled_before(void **state)
{
	struct diag *d = diag_new();
	struct spawn *s = start("exec /bin/sleep 60", d);
	struct seen seen = {.w = watch_one(spawn_pid(s), false, d)};
	struct pollfd p = {.fd = watch_fd(seen.w), .events = POLLIN};

	(void)state;
	spawn_release(s);
	assert_int_equal(spawn_started(s, d), 0);
	for (int i = 0; i < 200 && !seen.count[WATCH_EXEC]; i++) {
		poll(&p, 1, 0);
		poll(&p, 1, 0);
		watch_drain(seen.w, on_event, &seen);
		usleep(5000);
	}
	assert_true(seen.count[WATCH_EXEC] >= 1);
	free(seen.exec_command);
	watch_free(seen.w);
	kill(spawn_pid(s), SIGKILL);
	spawn_free(s);
	diag_free(d);
}

static void test_missing(void **state)
{
	struct diag *d = diag_new();
	pid_t pid = 1 << 30;

	(void)state;
	assert_null(watch_new(&pid, 1, &(struct watch_opts){0}, d));
	assert_int_equal(diag_count(d, DIAG_ERROR), 1);
	watch_free(NULL);
	diag_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hold),	cmocka_unit_test(test_free_lets_go),
		cmocka_unit_test(test_listen),	cmocka_unit_test(test_polled_before),
		cmocka_unit_test(test_missing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
