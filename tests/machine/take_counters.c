/* SPDX-License-Identifier: Apache-2.0 */
/* take_counters PID N: counts N times the same hardware event in every thread of the process, until
 * it is ended, as another profiler would that leaves less of the hardware to others. */
#include <dirent.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int take(pid_t tid)
{
	/* Raw, not "cycles": those have a counter of their own. */
	struct perf_event_attr attr = {.type = PERF_TYPE_RAW, .size = sizeof(attr), .config = 0x11};

	return (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, 0);
}

int main(int argc, char **argv)
{
	char path[64];
	struct dirent *e;
	DIR *d;
	int n = argc == 3 ? atoi(argv[2]) : 0;

	snprintf(path, sizeof(path), "/proc/%s/task", n ? argv[1] : "");
	d = opendir(path);
	if (!d) {
		fprintf(stderr, "usage: take_counters PID N\n");
		return 2;
	}
	while ((e = readdir(d)))
		for (int i = 0; atoi(e->d_name) && i < n; i++)
			if (take(atoi(e->d_name)) < 0) {
				perror("perf_event_open");
				return 1;
			}
	puts("taken");
	fflush(stdout);
	pause();
	return 0;
}
