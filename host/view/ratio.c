/* SPDX-License-Identifier: Apache-2.0 */
#include "view/ratio.h"

#include <math.h>

const struct ratio ratios[RATIOS] = {
	{"ipc", "instr/cycle", TABLE_NUMBER, "instructions", "cycles,cpu-cycles"},
	{"stall", "stalled", TABLE_PERCENT,
	 "stalled-cycles-backend,idle-cycles-backend,stall_backend,stall_backend_mem",
	 "cycles,cpu-cycles"},
	{"memory_access", "mem/instr", TABLE_PERCENT,
	 "mem_access,l1-dcache-loads,cache-references,cache-misses", "instructions"},
	{"miss", "cache miss", TABLE_PERCENT, "cache-misses", "cache-references"},
};

static double counted(sqlite3 *db, const char *op, const char *phase, const char *names)
{
	return view_double(
		db, NAN,
		"SELECT sum(p.value) FROM counter_phase_t p JOIN counter_name_t n ON n.id ="
		" p.name_id LEFT JOIN tensor_t t ON t.id = p.tensor_id WHERE (?1 IS NULL OR"
		" coalesce(t.op, '?') = ?1) AND p.phase = ?2 AND lower(n.name) = (SELECT"
		" lower(m.name) FROM counter_name_t m WHERE instr(',' || ?3 || ',', ',' ||"
		" lower(m.name) || ',') ORDER BY instr(',' || ?3 || ',', ',' || lower(m.name) ||"
		" ',') LIMIT 1)",
		"sss", op, phase, names);
}

double ratio_value(sqlite3 *db, const struct ratio *r, const char *op, const char *phase)
{
	double below = counted(db, op, phase, r->below);

	return below > 0 ? counted(db, op, phase, r->above) / below : NAN;
}
