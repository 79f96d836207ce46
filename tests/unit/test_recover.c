/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/recover.h"
#include "trace/spool.h"
#include "util/alloc.h"

struct place {
	char dir[32];
	char *run, *spool;
	struct diag *diag;
};

static int setup(void **state)
{
	struct place *p = xcalloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/recover.XXXXXX");
	if (!mkdtemp(p->dir))
		return -1;
	p->run = xasprintf("%s/a.llmp", p->dir);
	p->spool = xasprintf("%s.spool", p->run);
	p->diag = diag_new();
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	unlink(p->run);
	unlink(p->spool);
	rmdir(p->dir);
	free(p->run);
	free(p->spool);
	diag_free(p->diag);
	free(p);
	return 0;
}

static void test_nothing_left(void **state)
{
	struct place *p = *state;
	bool made = true;
	char *run = cmd_recover(p->spool, false, &made, p->diag);

	assert_false(made);
	assert_string_equal(run, p->spool);
	free(run);
}

static void test_being_recorded(void **state)
{
	struct place *p = *state;
	struct spool *s = spool_create(p->spool, false, p->diag);
	bool made;

	assert_non_null(s);
	assert_null(cmd_recover(p->run, false, &made, p->diag));
	assert_non_null(strstr(diag_first_error(p->diag), "still being recorded"));
	assert_null(spool_create(p->spool, true, p->diag));
	spool_close(s);
}

static void test_left_over(void **state)
{
	struct place *p = *state;
	bool made;
	char *run;

	spool_close(spool_create(p->spool, false, p->diag));
	run = cmd_recover(p->spool, false, &made, p->diag);
	assert_true(made);
	assert_string_equal(run, p->run);
	assert_int_equal(access(p->run, F_OK), 0);
	assert_int_not_equal(access(p->spool, F_OK), 0);
	free(run);

	/* Beside a finished run it is only taken when it is named, and replaces it only by force.
	 */
	spool_close(spool_create(p->spool, false, p->diag));
	run = cmd_recover(p->run, false, &made, p->diag);
	assert_false(made);
	free(run);
	assert_null(cmd_recover(p->spool, false, &made, p->diag));
	run = cmd_recover(p->spool, true, &made, p->diag);
	assert_string_equal(run, p->run);
	free(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_left, setup, teardown),
		cmocka_unit_test_setup_teardown(test_being_recorded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_left_over, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
