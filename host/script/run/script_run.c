/* SPDX-License-Identifier: Apache-2.0 */
/* A running script. */
#include <string.h>

#include "bpf/kmap.h"
#include "script/run/mmaps.h"
#include "script/script_impl.h"

enum { RECORD_BUSY = 1u << 31, RECORD_DISCARD = 1u << 30, RECORD_HEAD = 8 };

/* Ring memory as the kernel lays it out: length and flags, page offset, data, padding to 8. */
static int on_block(void *ctx, enum record_block kind, unsigned cpu, const void *data, size_t len)
{
	struct script *s = ctx;
	const char *p = data;

	(void)cpu;
	if (kind != BLOCK_RING)
		return 0;
	while (len >= RECORD_HEAD) {
		uint32_t head, size;
		size_t step;

		memcpy(&head, p, 4);
		size = head & ~(RECORD_BUSY | RECORD_DISCARD);
		step = RECORD_HEAD + ((size + 7ul) & ~7ul);
		if ((head & RECORD_BUSY) || step > len)
			break;
		if (!(head & RECORD_DISCARD))
			runtime_record(&s->rt, p + RECORD_HEAD, size);
		p += step;
		len -= step;
	}
	return 0;
}

int script_fd(const struct script *s)
{
	return transport_fd(s->transport);
}

void script_drain(struct script *s)
{
	mmaps_drain(s->mmaps);
	transport_drain(s->transport, on_block, s);
}

bool script_exited(const struct script *s, int *code)
{
	if (code)
		*code = s->rt.exit_code;
	return s->rt.exiting;
}

void script_signal(struct script *s)
{
	script_run_special(s, PROBE_SELF);
}

static void silence_probes(struct script *s)
{
	uint64_t words[GLOBAL_WORDS] = {0};
	uint32_t zero = 0;

	if (kmap_lookup(s->globals_fd, &zero, words) != 0)
		return;
	words[GLOBAL_ENDED] = 1;
	kmap_update(s->globals_fd, &zero, words, 0);
}

void script_stop(struct script *s)
{
	int code = s->rt.exit_code;

	if (s->stopped)
		return;
	s->stopped = true;
	silence_probes(s);
	links_free(s->links);
	s->links = NULL;
	script_unwatch(s);
	script_drain(s);
	s->rt.exiting = false;
	s->rt.ending = true;
	script_run_special(s, PROBE_END);
	script_drain(s);
	if (!s->rt.exiting)
		s->rt.exit_code = code;
}

void script_print_maps(struct script *s)
{
	runtime_print_maps(&s->rt);
}

uint64_t script_lost(const struct script *s)
{
	uint32_t zero = 0;
	uint64_t lost = 0;

	kmap_percpu_sum(s->loss_fd, &zero, 8, 0, &lost);
	return lost;
}
