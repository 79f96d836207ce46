/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a GGUF v3 model with random weights: the same shape, the same code path and the same speed
 * as a real model, from a seed instead of a download. Same arguments, same bytes.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fill.h"

enum { ALIGNMENT = 32, CHUNK = 1 << 20, MAX_TENSORS = 4096 };

/* What a block of numbers is: random around 0, or all ones (norm weights). */
enum fill { FILL_RANDOM, FILL_ONES };

/* Numbers as in the file format. */
enum kv_type { KV_U32 = 4, KV_I32 = 5, KV_F32 = 6, KV_STRING = 8, KV_ARRAY = 9 };

struct type {
	const char *name;
	uint32_t id;		  /* enum ggml_type */
	uint32_t file_type;	  /* general.file_type */
	unsigned int block, size; /* elements and bytes of a block */
};

static const struct type types[] = {
	{"f32", 0, 0, 1, 4},
	{"f16", 1, 1, 1, 2},
	{"q4_0", 2, 2, 32, 18},
	{"q8_0", 8, 7, 32, 34},
};

enum style {
	HAS_QKV_BIAS = 1,   /* qwen2: biases on q, k and v */
	HAS_QK_NORM = 2,    /* qwen3, gemma3: norms on the heads of q and k */
	HAS_POST_NORMS = 4, /* gemma: a norm after attention and after the feed-forward */
	HAS_SOFTCAP = 8,    /* gemma2: capped attention and output logits */
	HAS_WINDOW = 16,    /* gemma: sliding window in most layers */
	ALWAYS_TIED = 32,   /* gemma: no output matrix of its own */
};

struct shape {
	const char *name, *about, *arch, *type;
	unsigned int layers, width, ffn, heads, kv_heads, head_dim, vocab;
	unsigned int experts, experts_used, expert_ffn, shared_ffn;
	unsigned int style;
	bool untied; /* an output matrix of its own by default */
};

static const struct shape shapes[] = {
	{.name = "tiny",
	 .about = "llama, for tests",
	 .arch = "llama",
	 .type = "f16",
	 .layers = 2,
	 .width = 64,
	 .ffn = 128,
	 .heads = 4,
	 .kv_heads = 2,
	 .head_dim = 16,
	 .vocab = 512,
	 .untied = true},
	{.name = "llama-1b",
	 .about = "shape of Llama-3.2-1B",
	 .arch = "llama",
	 .type = "q4_0",
	 .layers = 16,
	 .width = 2048,
	 .ffn = 8192,
	 .heads = 32,
	 .kv_heads = 8,
	 .head_dim = 64,
	 .vocab = 128256},
	{.name = "moe",
	 .about = "qwen2moe, 60 experts, 4 used, one shared",
	 .arch = "qwen2moe",
	 .type = "q4_0",
	 .layers = 4,
	 .width = 256,
	 .ffn = 512,
	 .heads = 4,
	 .kv_heads = 4,
	 .head_dim = 64,
	 .vocab = 1024,
	 .experts = 60,
	 .experts_used = 4,
	 .expert_ffn = 128,
	 .shared_ffn = 512,
	 .style = HAS_QKV_BIAS,
	 .untied = true},
	{.name = "moe-a2.7b",
	 .about = "shape of Qwen1.5-MoE-A2.7B (8 GB; cut it by --layers)",
	 .arch = "qwen2moe",
	 .type = "q4_0",
	 .layers = 24,
	 .width = 2048,
	 .ffn = 5632,
	 .heads = 16,
	 .kv_heads = 16,
	 .head_dim = 128,
	 .vocab = 151936,
	 .experts = 60,
	 .experts_used = 4,
	 .expert_ffn = 1408,
	 .shared_ffn = 5632,
	 .style = HAS_QKV_BIAS,
	 .untied = true},
	{.name = "qwen2",
	 .about = "biases on q, k, v",
	 .arch = "qwen2",
	 .type = "f16",
	 .layers = 4,
	 .width = 128,
	 .ffn = 256,
	 .heads = 4,
	 .kv_heads = 2,
	 .head_dim = 32,
	 .vocab = 512,
	 .style = HAS_QKV_BIAS},
	{.name = "qwen3",
	 .about = "norms on q and k",
	 .arch = "qwen3",
	 .type = "f16",
	 .layers = 4,
	 .width = 128,
	 .ffn = 256,
	 .heads = 4,
	 .kv_heads = 2,
	 .head_dim = 32,
	 .vocab = 512,
	 .style = HAS_QK_NORM},
	{.name = "gemma2",
	 .about = "capped logits, norms after attention and feed-forward",
	 .arch = "gemma2",
	 .type = "f16",
	 .layers = 4,
	 .width = 128,
	 .ffn = 256,
	 .heads = 4,
	 .kv_heads = 2,
	 .head_dim = 32,
	 .vocab = 512,
	 .style = HAS_POST_NORMS | HAS_SOFTCAP | HAS_WINDOW | ALWAYS_TIED},
	{.name = "gemma3",
	 .about = "norms on q and k, sliding window in most layers",
	 .arch = "gemma3",
	 .type = "f16",
	 .layers = 6,
	 .width = 128,
	 .ffn = 256,
	 .heads = 4,
	 .kv_heads = 2,
	 .head_dim = 32,
	 .vocab = 512,
	 .style = HAS_POST_NORMS | HAS_QK_NORM | HAS_WINDOW | ALWAYS_TIED},
};

struct tensor {
	char name[64];
	unsigned int dims;
	uint64_t ne[3];
	const struct type *type;
	enum fill fill;
};

struct model {
	struct shape shape;
	const struct type *type;
	uint64_t seed;
	size_t count;
	struct tensor tensors[MAX_TENSORS];
};

/* The metadata block: its entries are counted while they are written. */
struct meta {
	char *data;
	size_t len, cap;
	uint64_t entries;
	const char *arch;
};

static void *need(void *p)
{
	if (!p) {
		fprintf(stderr, "gguf_make: out of memory\n");
		exit(1);
	}
	return p;
}

static void put(struct meta *m, const void *data, size_t len)
{
	if (m->len + len > m->cap) {
		m->cap = (m->len + len) * 2;
		m->data = need(realloc(m->data, m->cap));
	}
	memcpy(m->data + m->len, data, len);
	m->len += len;
}

static void put_u32(struct meta *m, uint32_t v)
{
	put(m, &v, sizeof(v));
}

static void put_u64(struct meta *m, uint64_t v)
{
	put(m, &v, sizeof(v));
}

static void put_string(struct meta *m, const char *s)
{
	put_u64(m, strlen(s));
	put(m, s, strlen(s));
}

/* Begins an entry; a key that starts with a dot gets the architecture's name in front. */
static void put_key(struct meta *m, const char *key, enum kv_type type)
{
	char full[128];

	snprintf(full, sizeof(full), "%s%s", key[0] == '.' ? m->arch : "", key);
	put_string(m, full);
	put_u32(m, type);
	m->entries++;
}

static void kv_u32(struct meta *m, const char *key, uint32_t v)
{
	put_key(m, key, KV_U32);
	put_u32(m, v);
}

static void kv_f32(struct meta *m, const char *key, float v)
{
	put_key(m, key, KV_F32);
	put(m, &v, sizeof(v));
}

static void kv_string(struct meta *m, const char *key, const char *v)
{
	put_key(m, key, KV_STRING);
	put_string(m, v);
}

static void kv_array(struct meta *m, const char *key, enum kv_type type, uint64_t n)
{
	put_key(m, key, KV_ARRAY);
	put_u32(m, type);
	put_u64(m, n);
}

/* The smallest vocabulary that loads: three control tokens, the 256 bytes, filler words. */
enum { TOKEN_BYTES = 3, TOKEN_WORDS = TOKEN_BYTES + 256 };

static void token_text(unsigned int i, char *out, size_t size)
{
	static const char *const control[] = {"<unk>", "<s>", "</s>"};

	if (i < TOKEN_BYTES)
		snprintf(out, size, "%s", control[i]);
	else if (i < TOKEN_WORDS)
		snprintf(out, size, "<0x%02X>", i - TOKEN_BYTES);
	else
		snprintf(out, size, "\xe2\x96\x81w%u", i - TOKEN_WORDS);
}

static uint32_t token_type(unsigned int i)
{
	enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, BYTE = 6 };

	if (i >= TOKEN_WORDS)
		return NORMAL;
	if (i >= TOKEN_BYTES)
		return BYTE;
	return i ? CONTROL : UNKNOWN;
}

static void write_tokenizer(struct meta *m, unsigned int vocab)
{
	unsigned int i;
	char text[32];

	kv_string(m, "tokenizer.ggml.model", "llama");
	kv_array(m, "tokenizer.ggml.tokens", KV_STRING, vocab);
	for (i = 0; i < vocab; i++) {
		token_text(i, text, sizeof(text));
		put_string(m, text);
	}
	kv_array(m, "tokenizer.ggml.scores", KV_F32, vocab);
	for (i = 0; i < vocab; i++) {
		float score = i < TOKEN_WORDS ? 0 : -(float)(i - TOKEN_WORDS);

		put(m, &score, sizeof(score));
	}
	kv_array(m, "tokenizer.ggml.token_type", KV_I32, vocab);
	for (i = 0; i < vocab; i++)
		put_u32(m, token_type(i));
	kv_u32(m, "tokenizer.ggml.unknown_token_id", 0);
	kv_u32(m, "tokenizer.ggml.bos_token_id", 1);
	kv_u32(m, "tokenizer.ggml.eos_token_id", 2);
}

static void write_meta(struct meta *m, const struct model *model)
{
	const struct shape *s = &model->shape;

	m->arch = s->arch;
	kv_string(m, "general.architecture", s->arch);
	kv_string(m, "general.name", s->name);
	kv_u32(m, "general.file_type", model->type->file_type);
	kv_u32(m, "general.quantization_version", 2);
	kv_u32(m, ".block_count", s->layers);
	kv_u32(m, ".context_length", 131072);
	kv_u32(m, ".embedding_length", s->width);
	kv_u32(m, ".feed_forward_length", s->ffn);
	kv_u32(m, ".vocab_size", s->vocab);
	kv_u32(m, ".attention.head_count", s->heads);
	kv_u32(m, ".attention.head_count_kv", s->kv_heads);
	kv_u32(m, ".attention.key_length", s->head_dim);
	kv_u32(m, ".attention.value_length", s->head_dim);
	kv_u32(m, ".rope.dimension_count", s->head_dim);
	kv_f32(m, ".rope.freq_base", 500000);
	kv_f32(m, ".attention.layer_norm_rms_epsilon", 1e-5f);
	if (s->experts) {
		kv_u32(m, ".expert_count", s->experts);
		kv_u32(m, ".expert_used_count", s->experts_used);
		kv_u32(m, ".expert_feed_forward_length", s->expert_ffn);
		kv_u32(m, ".expert_shared_feed_forward_length", s->shared_ffn);
	}
	if (s->style & HAS_WINDOW)
		kv_u32(m, ".attention.sliding_window", 64);
	if (s->style & HAS_SOFTCAP) {
		kv_f32(m, ".attn_logit_softcapping", 50);
		kv_f32(m, ".final_logit_softcapping", 30);
	}
	write_tokenizer(m, s->vocab);
}

/* Adds a tensor; `layer` below 0 means that it belongs to none. */
static struct tensor *add(struct model *m, int layer, const char *name, uint64_t n0, uint64_t n1,
			  uint64_t n2)
{
	struct tensor *t = &m->tensors[m->count++];

	if (layer < 0)
		snprintf(t->name, sizeof(t->name), "%s", name);
	else
		snprintf(t->name, sizeof(t->name), "blk.%d.%s", layer, name);
	t->dims = n2 ? 3 : n1 ? 2 : 1;
	t->ne[0] = n0;
	t->ne[1] = n1 ? n1 : 1;
	t->ne[2] = n2 ? n2 : 1;
	t->type = n1 ? m->type : &types[0]; /* vectors stay f32, as real models have them */
	t->fill = FILL_RANDOM;
	return t;
}

static void add_norm(struct model *m, int layer, const char *name, uint64_t n)
{
	add(m, layer, name, n, 0, 0)->fill = FILL_ONES;
}

static void add_attention(struct model *m, int layer)
{
	const struct shape *s = &m->shape;
	uint64_t q = (uint64_t)s->heads * s->head_dim, kv = (uint64_t)s->kv_heads * s->head_dim;

	add_norm(m, layer, "attn_norm.weight", s->width);
	add(m, layer, "attn_q.weight", s->width, q, 0);
	add(m, layer, "attn_k.weight", s->width, kv, 0);
	add(m, layer, "attn_v.weight", s->width, kv, 0);
	add(m, layer, "attn_output.weight", q, s->width, 0);
	if (s->style & HAS_QKV_BIAS) {
		add(m, layer, "attn_q.bias", q, 0, 0);
		add(m, layer, "attn_k.bias", kv, 0, 0);
		add(m, layer, "attn_v.bias", kv, 0, 0);
	}
	if (s->style & HAS_QK_NORM) {
		add_norm(m, layer, "attn_q_norm.weight", s->head_dim);
		add_norm(m, layer, "attn_k_norm.weight", s->head_dim);
	}
	if (s->style & HAS_POST_NORMS)
		add_norm(m, layer, "post_attention_norm.weight", s->width);
}

static void add_experts(struct model *m, int layer)
{
	const struct shape *s = &m->shape;

	/* The router stays f32, as in real models: its sums decide which experts run. */
	add(m, layer, "ffn_gate_inp.weight", s->width, s->experts, 0)->type = &types[0];
	add(m, layer, "ffn_gate_exps.weight", s->width, s->expert_ffn, s->experts);
	add(m, layer, "ffn_down_exps.weight", s->expert_ffn, s->width, s->experts);
	add(m, layer, "ffn_up_exps.weight", s->width, s->expert_ffn, s->experts);
	add(m, layer, "ffn_gate_inp_shexp.weight", s->width, 0, 0);
	add(m, layer, "ffn_gate_shexp.weight", s->width, s->shared_ffn, 0);
	add(m, layer, "ffn_down_shexp.weight", s->shared_ffn, s->width, 0);
	add(m, layer, "ffn_up_shexp.weight", s->width, s->shared_ffn, 0);
}

static void add_tensors(struct model *m)
{
	const struct shape *s = &m->shape;
	int layer;

	add(m, -1, "token_embd.weight", s->width, s->vocab, 0);
	for (layer = 0; layer < (int)s->layers; layer++) {
		add_attention(m, layer);
		add_norm(m, layer, "ffn_norm.weight", s->width);
		if (s->experts) {
			add_experts(m, layer);
		} else {
			add(m, layer, "ffn_gate.weight", s->width, s->ffn, 0);
			add(m, layer, "ffn_down.weight", s->ffn, s->width, 0);
			add(m, layer, "ffn_up.weight", s->width, s->ffn, 0);
		}
		if (s->style & HAS_POST_NORMS)
			add_norm(m, layer, "post_ffw_norm.weight", s->width);
	}
	add_norm(m, -1, "output_norm.weight", s->width);
	if (s->untied)
		add(m, -1, "output.weight", s->width, s->vocab, 0);
}

static uint64_t tensor_bytes(const struct tensor *t)
{
	return t->ne[0] * t->ne[1] * t->ne[2] / t->type->block * t->type->size;
}

static uint64_t aligned(uint64_t n)
{
	return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void write_tensor_table(struct meta *out, const struct model *m)
{
	uint64_t offset = 0;
	unsigned int d;
	size_t i;

	for (i = 0; i < m->count; i++) {
		const struct tensor *t = &m->tensors[i];

		put_string(out, t->name);
		put_u32(out, t->dims);
		for (d = 0; d < t->dims; d++)
			put_u64(out, t->ne[d]);
		put_u32(out, t->type->id);
		put_u64(out, offset);
		offset += aligned(tensor_bytes(t));
	}
}

/* A block is a f16 scale, then random quants. */
static void fill_blocks(unsigned char *out, size_t blocks, unsigned int size, uint16_t exponent,
			uint64_t *state)
{
	for (; blocks; blocks--, out += size) {
		uint64_t r = next_random(state);
		uint16_t scale = (uint16_t)((r & 0x03ff) | exponent);
		unsigned int at;

		memcpy(out, &scale, sizeof(scale));
		for (at = 2; at < size; at += 8) {
			r = next_random(state);
			memcpy(out + at, &r, sizeof(r));
		}
	}
}

static void fill_chunk(const struct tensor *t, void *out, size_t n, uint64_t *state)
{
	/* A product with n0 numbers keeps about the size of its input. */
	double scale = 1 / sqrt((double)t->ne[0]);
	size_t i;

	if (t->fill == FILL_ONES) {
		for (i = 0; i < n; i++)
			((float *)out)[i] = 1;
	} else if (!strcmp(t->type->name, "f32")) {
		fill_float(out, n, scale, state);
	} else if (!strcmp(t->type->name, "f16")) {
		fill_half(out, n, half_exponent(scale), state);
	} else {
		/* Spread of the quants: 4.6 of 16 steps, 74 of 256 steps. */
		scale /= t->type->size == 18 ? 4.6 : 74;
		fill_blocks(out, n / t->type->block, t->type->size, half_exponent(scale), state);
	}
}

static int write_tensor(FILE *f, const struct model *m, const struct tensor *t, void *buf)
{
	uint64_t left = t->ne[0] * t->ne[1] * t->ne[2], state = stream_of(m->seed, t->name);
	uint64_t pad = aligned(tensor_bytes(t)) - tensor_bytes(t);

	while (left) {
		size_t n = left < CHUNK ? left : CHUNK;
		size_t bytes = n / t->type->block * t->type->size;

		fill_chunk(t, buf, n, &state);
		if (fwrite(buf, 1, bytes, f) != bytes)
			return -1;
		left -= n;
	}
	memset(buf, 0, ALIGNMENT);
	return fwrite(buf, 1, pad, f) == pad ? 0 : -1;
}

static int write_header(FILE *f, const struct model *m)
{
	struct meta body = {0}, head = {0};
	int err;

	write_meta(&body, m);
	put(&head, "GGUF", 4);
	put_u32(&head, 3);
	put_u64(&head, m->count);
	put_u64(&head, body.entries);
	write_tensor_table(&body, m);
	put(&head, body.data, body.len);
	while (head.len % ALIGNMENT)
		put(&head, "", 1);
	err = fwrite(head.data, 1, head.len, f) == head.len ? 0 : -1;
	free(head.data);
	free(body.data);
	return err;
}

static int write_all(FILE *f, const struct model *m)
{
	void *buf = need(malloc(CHUNK * sizeof(float) + 64));
	int err = write_header(f, m);
	size_t i;

	for (i = 0; !err && i < m->count; i++)
		err = write_tensor(f, m, &m->tensors[i], buf);
	free(buf);
	return err;
}

/* Writes beside the file and renames, so that nobody ever loads half a model. */
static int write_model(const struct model *m, const char *path)
{
	char *part = need(malloc(strlen(path) + 32));
	FILE *f;
	int err;

	sprintf(part, "%s.%ld.part", path, (long)getpid());
	f = fopen(part, "wb");
	if (!f) {
		fprintf(stderr, "gguf_make: cannot write %s: %s\n", part, strerror(errno));
		free(part);
		return 1;
	}
	err = write_all(f, m);
	if (fclose(f))
		err = -1;
	if (!err)
		err = rename(part, path);
	if (err) {
		fprintf(stderr, "gguf_make: writing %s: %s\n", path, strerror(errno));
		unlink(part);
	}
	free(part);
	return err ? 1 : 0;
}

static void usage(FILE *f)
{
	size_t i;

	fprintf(f, "usage: gguf_make MODEL -o FILE [options]\n"
		   "Writes a GGUF model with random weights.\n\n"
		   "  -o, --output FILE   where to\n"
		   "  -t, --type TYPE     of the matrices: f32, f16, q4_0, q8_0\n"
		   "  -s, --seed N        other numbers (default 1); same seed, same file\n"
		   "  -l, --layers N      instead of the model's own\n"
		   "  -u, --untied        an output matrix of its own\n"
		   "  -h, --help\n\n"
		   "models (layers x width, vocabulary, type):\n");
	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		fprintf(f, "  %-10s %2u x %-4u %6u %-4s  %s\n", shapes[i].name, shapes[i].layers,
			shapes[i].width, shapes[i].vocab, shapes[i].type, shapes[i].about);
}

static const struct type *find_type(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(types[i].name, name))
			return &types[i];
	fprintf(stderr, "gguf_make: no type %s: f32, f16, q4_0 or q8_0\n", name);
	exit(2);
}

static const struct shape *find_shape(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (!strcmp(shapes[i].name, name))
			return &shapes[i];
	fprintf(stderr, "gguf_make: no model %s (--help lists them)\n", name);
	exit(2);
}

static uint64_t number(const char *what, const char *s, uint64_t min, uint64_t max)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(s, &end, 0);
	if (errno || end == s || *end || s[0] == '-' || v < min || v > max) {
		fprintf(stderr, "gguf_make: %s must be a number from %llu to %llu, not %s\n", what,
			(unsigned long long)min, (unsigned long long)max, s);
		exit(2);
	}
	return v;
}

struct options {
	const char *path, *type;
	uint64_t seed, layers;
	bool untied;
};

static void parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"output", required_argument, NULL, 'o'},
		{"type", required_argument, NULL, 't'},
		{"seed", required_argument, NULL, 's'},
		{"layers", required_argument, NULL, 'l'},
		{"untied", no_argument, NULL, 'u'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "o:t:s:l:uh", longs, NULL)) != -1) {
		switch (c) {
		case 'o':
			o->path = optarg;
			break;
		case 't':
			o->type = optarg;
			break;
		case 's':
			o->seed = number("--seed", optarg, 0, UINT64_MAX);
			break;
		case 'l':
			o->layers = number("--layers", optarg, 1, 200);
			break;
		case 'u':
			o->untied = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			fprintf(stderr, "gguf_make: --help lists the options\n");
			exit(2);
		}
	}
	if (optind + 1 != argc || !o->path) {
		usage(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct options o = {.seed = 1};
	struct model *m;
	int err;

	parse(argc, argv, &o);
	m = need(calloc(1, sizeof(*m)));
	m->shape = *find_shape(argv[optind]);
	m->type = find_type(o.type ? o.type : m->shape.type);
	m->seed = o.seed;
	if (o.layers)
		m->shape.layers = (unsigned int)o.layers;
	if (o.untied && !(m->shape.style & ALWAYS_TIED))
		m->shape.untied = true;
	add_tensors(m);
	err = write_model(m, o.path);
	free(m);
	return err;
}
