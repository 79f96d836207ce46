/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/catalog.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "trace/cost.h"
#include "trace/layers.h"
#include "util/alloc.h"
#include "util/text.h"

/* A distinct tensor. Kept for the whole conversion; there are thousands, not millions. */
struct info {
	uint64_t key[2];
	uint64_t self; /* hash of what it is without its sources */
	uint32_t id;
	uint32_t op; /* index into catalog.ops */
	const char *type;
	char *name;
	struct cost_tensor shape;
	enum tensor_kind kind;
	uint32_t src[LAYOUT_MAX_SRC]; /* ids, 0: none or unknown */
	uint32_t consumer;	      /* of a fused pair */
	double weight_bytes, bytes;
	uint64_t runs, distinct; /* MUL_MAT_ID: executions with known experts, sum of experts */
	UT_hash_handle hh;
};

/* What an address meant from `from` on, until the next newer one. */
struct version {
	int64_t from;
	uint64_t graph;
	struct tensor_raw raw;
	uint32_t id;			    /* 0: not resolved yet */
	uint64_t epoch;			    /* of the process when id was found */
	uint32_t src[LAYOUT_MAX_SRC], root; /* ids that went into it */
	bool busy;
	struct version *older;
};

struct place_key {
	uint64_t addr, pid;
};

struct place {
	struct place_key key;
	struct version *newest;
	uint64_t consumers[2]; /* addresses of products that take this one, newest first */
	UT_hash_handle hh;
};

/*
 * A tensor may stay as it is while a source changes its shape (the KV cache grows), which makes it
 * another tensor for us: what was resolved counts only until the next change in the process.
 */
struct process {
	uint32_t pid;
	uint64_t epoch;
	int64_t *changes; /* times of changes not passed yet, from `passed` on */
	size_t passed, count, cap;
	UT_hash_handle hh;
};

struct catalog {
	struct writer *w;
	struct info *by_key;
	struct info **infos; /* by id - 1 */
	size_t count, cap;
	char **ops;
	size_t n_ops, ops_cap;
	struct place *places;
	struct process *processes;
	uint64_t *edges; /* open addressing: hashes of the edges written */
	size_t n_edges, edges_size;
};

struct catalog *catalog_new(struct writer *w)
{
	struct catalog *c = xcalloc(1, sizeof(*c));

	c->w = w;
	return c;
}

static void versions_free(struct version *v)
{
	while (v) {
		struct version *older = v->older;

		free(v);
		v = older;
	}
}

void catalog_free(struct catalog *c)
{
	struct place *p, *tmp;
	struct process *q, *qtmp;

	if (!c)
		return;
	HASH_ITER (hh, c->places, p, tmp) {
		HASH_DEL(c->places, p);
		versions_free(p->newest);
		free(p);
	}
	HASH_ITER (hh, c->processes, q, qtmp) {
		HASH_DEL(c->processes, q);
		free(q->changes);
		free(q);
	}
	HASH_CLEAR(hh, c->by_key);
	for (size_t i = 0; i < c->count; i++) {
		free(c->infos[i]->name);
		free(c->infos[i]);
	}
	for (size_t i = 0; i < c->n_ops; i++)
		free(c->ops[i]);
	free(c->ops);
	free(c->edges);
	free(c->infos);
	free(c);
}

/* Names. */

int catalog_layer(const char *name)
{
	size_t len = strcspn(name, " "), digits = 0;
	const char *p = name;

	if (strncmp(name, "blk.", 4) == 0 && isdigit((unsigned char)name[4]))
		return atoi(name + 4);
	while (digits < len && isdigit((unsigned char)name[len - 1 - digits]))
		digits++;
	if (digits == 0 || digits > 5 || digits == len)
		return -1;
	p = name + len - digits;
	if (p[-1] == '-')
		return atoi(p);
	return p[-1] == 'l' && text_starts(name, "cache_") ? atoi(p) : -1;
}

static bool weight_name(const char *name)
{
	static const char *const ends[] = {".weight", ".bias", ".scale", ".lora_a", ".lora_b"};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		if (text_ends(name, ends[i]))
			return true;
	return false;
}

static bool view_op(const char *op)
{
	static const char *const ops[] = {"VIEW", "RESHAPE", "PERMUTE", "TRANSPOSE"};

	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		if (strcmp(op, ops[i]) == 0)
			return true;
	return false;
}

static enum tensor_kind kind_of(const struct tensor_raw *t)
{
	if (view_op(t->op))
		return KIND_VIEW;
	if (strcmp(t->op, "NONE") != 0)
		return KIND_ACTIVATION;
	if (text_starts(t->name, "cache_"))
		return KIND_KV;
	/* Only weights are stored quantised; anything else has whole bytes per element. */
	if (weight_name(t->name) || t->type_bytes != (double)(int)t->type_bytes)
		return KIND_WEIGHT;
	return KIND_INPUT;
}

static uint32_t op_index(struct catalog *c, const char *op)
{
	for (size_t i = 0; i < c->n_ops; i++)
		if (strcmp(c->ops[i], op) == 0)
			return (uint32_t)i;
	*VEC_PUSH(c->ops, c->n_ops, c->ops_cap) = xstrdup(op);
	return (uint32_t)c->n_ops - 1;
}

/* Distinct tensors. */

static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h ^ (h >> 29);
}

static uint64_t hash_self(const struct info *t, const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	h = mix(h, name, strlen(name));
	h = mix(h, &t->op, sizeof(t->op));
	h = mix(h, &t->type, sizeof(t->type));
	h = mix(h, t->shape.ne, sizeof(t->shape.ne));
	h = mix(h, &t->shape.kind, sizeof(t->shape.kind));
	return mix(h, &t->kind, sizeof(t->kind));
}

/*
 * Sources count by what they are themselves, not by theirs in turn: else the growing KV cache would
 * make everything behind the attention new at each step.
 */
static void hash_info(const struct catalog *c, struct info *t, const char *name)
{
	t->self = hash_self(t, name);
	t->key[0] = t->self;
	t->key[1] = t->self ^ UINT64_C(0x9e3779b97f4a7c15);
	for (int i = 0; i < LAYOUT_MAX_SRC; i++) {
		uint64_t h = t->src[i] ? c->infos[t->src[i] - 1]->self : 0;

		t->key[0] = mix(t->key[0], &h, sizeof(h));
		t->key[1] = mix(t->key[1], &h, sizeof(h));
	}
}

static bool edge_slot(uint64_t *edges, size_t size, uint64_t h)
{
	size_t i = h & (size - 1);

	while (edges[i] && edges[i] != h)
		i = (i + 1) & (size - 1);
	if (edges[i])
		return false;
	edges[i] = h;
	return true;
}

/* Remembers the edge; false when it was there already. */
static bool edge_is_new(struct catalog *c, uint32_t src, uint32_t dst, int slot)
{
	uint64_t *old = c->edges, h;
	uint32_t what[3] = {src, dst, (uint32_t)slot};
	size_t n = c->edges_size;

	h = mix(mix(UINT64_C(0x100001b3), what, sizeof(what)), what, sizeof(what)) | 1;
	if (4 * c->n_edges >= 3 * n) {
		c->edges_size = n ? 2 * n : 1024;
		c->edges = xcalloc(c->edges_size, sizeof(*c->edges));
		for (size_t i = 0; i < n; i++)
			if (old[i])
				edge_slot(c->edges, c->edges_size, old[i]);
		free(old);
	}
	if (!edge_slot(c->edges, c->edges_size, h))
		return false;
	c->n_edges++;
	return true;
}

static void write_edges(struct catalog *c, const uint32_t *src, uint32_t dst)
{
	for (int i = 0; i < LAYOUT_MAX_SRC; i++)
		if (src[i] && edge_is_new(c, src[i], dst, i))
			writer_add(c->w, W_EDGE, "iii", (int64_t)src[i], (int64_t)dst, (int64_t)i);
}

static const char *kind_name(enum tensor_kind k)
{
	static const char *const names[] = {"activation", "weight", "kv", "input", "view", "fused"};

	return names[k];
}

/* Shapes of a broken run multiply to more than a column holds. */
static int64_t or_null(double v)
{
	return v >= 0 && v < 0x1p63 ? (int64_t)v : WRITER_NULL;
}

static void write_info(struct catalog *c, const struct info *t, const struct cost *cost)
{
	const int64_t *ne = t->shape.ne;
	int layer = catalog_layer(t->name);

	writer_add(c->w, W_TENSOR, "isIssIIIIIIIIs", (int64_t)t->id, t->name,
		   layer < 0 ? WRITER_NULL : (int64_t)layer, c->ops[t->op], t->type,
		   ne[0] < 0 ? WRITER_NULL : ne[0], ne[1] < 0 ? WRITER_NULL : ne[1],
		   ne[2] < 0 ? WRITER_NULL : ne[2], ne[3] < 0 ? WRITER_NULL : ne[3],
		   or_null(cost->flops), or_null(cost->bytes), or_null(cost->weight_bytes),
		   or_null(cost->kv_bytes), kind_name(t->kind));
}

/* The known tensor equal to `t`, or a new one; `name` is copied. */
static struct info *intern(struct catalog *c, struct info *t, const char *name)
{
	const struct cost_tensor *src[LAYOUT_MAX_SRC];
	struct info *known;
	struct cost cost;

	hash_info(c, t, name);
	HASH_FIND(hh, c->by_key, t->key, sizeof(t->key), known);
	if (known) {
		write_edges(c, t->src, known->id);
		return known;
	}
	known = xmalloc(sizeof(*known));
	*known = *t;
	known->name = xstrdup(name);
	*VEC_PUSH(c->infos, c->count, c->cap) = known;
	known->id = (uint32_t)c->count;
	HASH_ADD(hh, c->by_key, key, sizeof(known->key), known);
	for (int i = 0; i < LAYOUT_MAX_SRC; i++)
		src[i] = t->src[i] ? &c->infos[t->src[i] - 1]->shape : NULL;
	cost = cost_of(c->ops[t->op], &t->shape, src, LAYOUT_MAX_SRC);
	known->bytes = cost.bytes;
	known->weight_bytes = cost.weight_bytes;
	write_info(c, known, &cost);
	write_edges(c, t->src, known->id);
	return known;
}

/* Places and versions. */

static struct place *place_find(const struct catalog *c, uint32_t pid, uint64_t addr)
{
	struct place_key key = {addr, pid};
	struct place *p = NULL;

	if (addr)
		HASH_FIND(hh, c->places, &key, sizeof(key), p);
	return p;
}

static struct place *place_get(struct catalog *c, uint32_t pid, uint64_t addr)
{
	struct place *p = place_find(c, pid, addr);

	if (!p) {
		p = xcalloc(1, sizeof(*p));
		p->key = (struct place_key){addr, pid};
		HASH_ADD(hh, c->places, key, sizeof(p->key), p);
	}
	return p;
}

static struct process *process_get(struct catalog *c, uint32_t pid)
{
	struct process *p;

	HASH_FIND(hh, c->processes, &pid, sizeof(pid), p);
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		p->pid = pid;
		p->epoch = 1;
		HASH_ADD(hh, c->processes, pid, sizeof(p->pid), p);
	}
	return p;
}

static void note_change(struct process *p, int64_t at)
{
	if (p->passed > 4096 && p->passed * 2 > p->count) {
		p->count -= p->passed;
		memmove(p->changes, p->changes + p->passed, p->count * sizeof(*p->changes));
		p->passed = 0;
	}
	*VEC_PUSH(p->changes, p->count, p->cap) = at;
}

static uint64_t epoch_at(struct process *p, int64_t at)
{
	size_t before = p->passed;

	while (p->passed < p->count && p->changes[p->passed] <= at)
		p->passed++;
	p->epoch += p->passed != before;
	return p->epoch;
}

/* A multiplication that takes a norm's result may run inside it. */
static void note_consumer(struct catalog *c, uint32_t pid, const struct tensor_raw *mul)
{
	for (int i = 0; i < 2; i++) {
		struct place *p = mul->src[i] ? place_get(c, pid, mul->src[i]) : NULL;

		if (!p || p->consumers[0] == mul->addr)
			continue;
		p->consumers[1] = p->consumers[0];
		p->consumers[0] = mul->addr;
	}
}

static void forget_versions(struct place *p, int64_t keep_from)
{
	struct version *v = p->newest;

	while (v && v->from > keep_from)
		v = v->older;
	if (!v)
		return;
	versions_free(v->older);
	v->older = NULL;
}

void catalog_add(struct catalog *c, uint32_t pid, int64_t at, uint64_t graph,
		 const struct tensor_raw *raw, int64_t keep_from)
{
	struct place *p = place_get(c, pid, raw->addr);
	struct version *v = xcalloc(1, sizeof(*v)), **link = &p->newest;

	v->from = at;
	v->graph = graph;
	v->raw = *raw;
	while (*link && (*link)->from > at)
		link = &(*link)->older;
	v->older = *link;
	*link = v;
	forget_versions(p, keep_from);
	note_change(process_get(c, pid), at);
	if (strcmp(raw->op, "MUL") == 0)
		note_consumer(c, pid, raw);
}

/* The meaning at a time; before the first one that, as it was there when we looked. */
static struct version *version_at(const struct place *p, int64_t at)
{
	struct version *v = p ? p->newest : NULL;

	while (v && v->from > at && v->older)
		v = v->older;
	return v;
}

enum { RESOLVE_DEPTH = 128 };

struct moment {
	struct process *process;
	int64_t at;
	uint64_t epoch;
	int depth;
};

static uint32_t resolve(struct catalog *c, struct version *v, struct moment m);

static uint32_t source_id(struct catalog *c, uint64_t addr, struct moment m)
{
	struct version *v = version_at(place_find(c, m.process->pid, addr), m.at);

	m.depth++;
	return v ? resolve(c, v, m) : 0;
}

static uint32_t make_id(struct catalog *c, const struct version *v, const uint32_t *src,
			uint32_t root)
{
	const struct tensor_raw *raw = &v->raw;
	struct info t = {.op = op_index(c, raw->op), .type = raw->type, .kind = kind_of(raw)};

	memcpy(t.src, src, sizeof(t.src));
	memcpy(t.shape.ne, raw->ne, sizeof(t.shape.ne));
	t.shape.type_bytes = raw->type_bytes;
	if (!root && t.kind == KIND_VIEW)
		root = t.src[0];
	if (t.kind == KIND_VIEW && !t.src[0])
		t.src[0] = root;
	t.shape.kind = root ? c->infos[root - 1]->shape.kind : t.kind;
	return intern(c, &t, raw->name)->id;
}

/* Sources first: a tensor's identity includes theirs. Bad data may make circles. */
static uint32_t resolve(struct catalog *c, struct version *v, struct moment m)
{
	uint32_t src[LAYOUT_MAX_SRC], root;

	if ((v->id && v->epoch == m.epoch) || v->busy || m.depth > RESOLVE_DEPTH)
		return v->id;
	v->busy = true;
	for (int i = 0; i < LAYOUT_MAX_SRC; i++)
		src[i] = source_id(c, v->raw.src[i], m);
	root = source_id(c, v->raw.view_src, m);
	v->busy = false;
	if (!v->id || v->root != root || memcmp(src, v->src, sizeof(src)) != 0) {
		v->id = make_id(c, v, src, root);
		memcpy(v->src, src, sizeof(src));
		v->root = root;
	}
	v->epoch = m.epoch;
	return v->id;
}

/* Fused pairs. */

static uint32_t add_external(struct info *pair, uint32_t used, const struct info *part,
			     uint32_t inner)
{
	for (int i = 0; i < LAYOUT_MAX_SRC && used < LAYOUT_MAX_SRC; i++)
		if (part->src[i] && part->src[i] != inner)
			pair->src[used++] = part->src[i];
	return used;
}

static uint32_t pair_of(struct catalog *c, uint32_t id, uint32_t consumer)
{
	const struct info *first = c->infos[id - 1], *last;
	struct info pair = {0};
	char *op;

	if (!consumer)
		return id;
	last = c->infos[consumer - 1];
	op = xasprintf("%s+%s", c->ops[first->op], c->ops[last->op]);
	pair.op = op_index(c, op);
	free(op);
	pair.type = last->type;
	pair.shape = last->shape;
	pair.kind = KIND_FUSED;
	pair.consumer = consumer;
	add_external(&pair, add_external(&pair, 0, first, 0), last, id);
	return intern(c, &pair, last->name)->id;
}

static bool takes(const struct tensor_raw *t, uint64_t addr)
{
	return strcmp(t->op, "MUL") == 0 && (t->src[0] == addr || t->src[1] == addr);
}

static uint32_t consumer_of(struct catalog *c, const struct place *p, struct moment m)
{
	for (int i = 0; i < 2; i++) {
		struct version *v =
			version_at(place_find(c, m.process->pid, p->consumers[i]), m.at);

		if (v && takes(&v->raw, p->key.addr))
			return resolve(c, v, m);
	}
	return 0;
}

uint32_t catalog_find(struct catalog *c, const struct catalog_query *q, uint64_t *graph)
{
	const struct place *p = place_find(c, q->pid, q->addr);
	struct version *v = version_at(p, q->at);
	struct moment m = {.at = q->at};
	uint32_t id;

	if (!v)
		return 0;
	m.process = process_get(c, q->pid);
	m.epoch = epoch_at(m.process, q->at);
	if (graph)
		*graph = v->graph;
	id = resolve(c, v, m);
	return id && q->fused ? pair_of(c, id, consumer_of(c, p, m)) : id;
}

uint32_t catalog_op(const struct catalog *c, uint32_t id)
{
	return c->infos[id - 1]->op;
}

const char *catalog_op_name(const struct catalog *c, uint32_t op)
{
	return c->ops[op];
}

/* Experts. Gate, up and down products share one ids tensor and are recorded once. */

void catalog_experts(struct catalog *c, uint32_t id, unsigned distinct)
{
	uint32_t ids = c->infos[id - 1]->src[2];
	struct info *t = c->infos[(ids ? ids : id) - 1];

	t->runs++;
	t->distinct += distinct;
}

static void correct_bytes(struct catalog *c, const struct info *t)
{
	const struct info *by = t->runs || !t->src[2] ? t : c->infos[t->src[2] - 1];
	const struct cost_tensor *experts = t->src[0] ? &c->infos[t->src[0] - 1]->shape : NULL;
	double used, weight;

	if (!by->runs || !experts || experts->ne[2] <= 0 || t->bytes < 0)
		return;
	used = (double)by->distinct / (double)by->runs;
	weight = cost_nbytes(experts) * used / (double)experts->ne[2];
	writer_add(c->w, W_TENSOR_COST, "idd", (int64_t)t->id, t->bytes - t->weight_bytes + weight,
		   weight);
}

static struct layers_edge *edges_of(const struct catalog *c, size_t *n)
{
	struct layers_edge *edges = NULL;
	size_t cap = 0;

	*n = 0;
	for (uint32_t i = 0; i < c->count; i++)
		for (int k = 0; k < LAYOUT_MAX_SRC; k++)
			if (c->infos[i]->src[k])
				*VEC_PUSH(edges, *n, cap) =
					(struct layers_edge){c->infos[i]->src[k] - 1, i};
	return edges;
}

/* Layers of what the engine did not name after one. */
static void place(struct catalog *c)
{
	int *layer = xcalloc(c->count + 1, sizeof(*layer));
	struct layers_edge *edges;
	size_t n_edges;

	for (size_t i = 0; i < c->count; i++)
		layer[i] = catalog_layer(c->infos[i]->name);
	edges = edges_of(c, &n_edges);
	layers_infer(layer, c->count, edges, n_edges);
	for (size_t i = 0; i < c->count; i++) {
		const struct info *t = c->infos[i];
		/* Nothing takes the pair itself: what follows takes its second part. */
		int at = t->kind == KIND_FUSED && layer[i] < 0 ? layer[t->consumer - 1] : layer[i];

		if (at >= 0 && catalog_layer(t->name) < 0)
			writer_add(c->w, W_TENSOR_LAYER, "ii", (int64_t)t->id, (int64_t)at);
	}
	free(edges);
	free(layer);
}

void catalog_finish(struct catalog *c)
{
	for (struct place *p = c->places; p; p = p->hh.next)
		catalog_find(c,
			     &(struct catalog_query){(uint32_t)p->key.pid, p->key.addr, INT64_MAX,
						     false},
			     NULL);
	place(c);
	writer_exec(c->w, "CREATE TEMP TABLE pair(id INT, consumer INT)");
	for (size_t i = 0; i < c->count; i++) {
		const struct info *t = c->infos[i];
		char *sql;

		if (strcmp(c->ops[t->op], "MUL_MAT_ID") == 0)
			correct_bytes(c, t);
		if (t->kind != KIND_FUSED)
			continue;
		writer_exec(c->w,
			    sql = xasprintf("INSERT INTO pair VALUES(%u, %u)", t->id, t->consumer));
		free(sql);
	}
	writer_exec(c->w, "INSERT INTO edge_t SELECT p.id, e.dst_tensor, e.slot"
			  " FROM edge_t e JOIN pair p ON p.consumer = e.src_tensor;"
			  "DROP TABLE pair");
}
