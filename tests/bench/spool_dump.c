/* SPDX-License-Identifier: Apache-2.0 */
/* Prints how many events of each level a spool holds, without the records that describe others. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "level/level.h"
#include "probes/record.h"
#include "trace/spool.h"

static int count(void *ctx, const void *rec, size_t len)
{
	uint64_t *events = ctx;
	struct rec_ops ops = {.n = 0};
	struct rec_head head;

	memcpy(&head, rec, sizeof(head));
	if (head.level >= LEVEL_COUNT || head.kind == REC_TENSOR || head.kind == REC_EXPERT ||
	    head.kind == REC_BACKEND)
		return 0;
	if (head.kind == REC_OPS && len >= sizeof(ops))
		memcpy(&ops, rec, sizeof(ops));
	events[head.level] += head.kind == REC_OPS ? ops.n : 1;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct spool_reader_ops ops = {.record = count};
	uint64_t events[LEVEL_COUNT] = {0};
	struct diag *d = diag_new();
	bool whole;
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: bench_spool_dump SPOOL\n");
		return 2;
	}
	err = spool_read(argv[1], &ops, events, &whole, d);
	diag_print(d, stderr, DIAG_STYLE_FIELD, false);
	diag_free(d);
	for (int i = 0; !err && i < LEVEL_PLUGIN; i++)
		printf("%s|%" PRIu64 "\n", level_name(i), events[i]);
	return err != 0;
}
