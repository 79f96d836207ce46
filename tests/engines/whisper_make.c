/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a whisper.cpp model (its own format, not GGUF) with random weights: two layers each way,
 * enough for its whole code path. Same seed, same file.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fill.h"

enum {
	VOCAB = 51864, /* of the English models; their special tokens are counted from its end */
	AUDIO_CTX = 1500,
	TEXT_CTX = 448,
	STATE = 64,
	HEADS = 2,
	LAYERS = 2,
	MELS = 80,
	FFT = 201, /* numbers of a mel filter */
	MAX_NUMBERS = VOCAB * STATE,
};

enum type { F32 = 0, F16 = 1 };

struct writer {
	FILE *f;
	uint64_t seed;
	uint16_t *half;
	float *single;
	bool failed;
};

static void put(struct writer *w, const void *data, size_t size)
{
	if (fwrite(data, 1, size, w->f) != size)
		w->failed = true;
}

static void put_i32(struct writer *w, int32_t v)
{
	put(w, &v, sizeof(v));
}

static void put_numbers(struct writer *w, enum type type, int n, const char *name, bool ones)
{
	uint64_t state = stream_of(w->seed, name);
	double scale = 1 / sqrt(STATE);
	int i;

	if (type == F16) {
		fill_half(w->half, (size_t)n, half_exponent(scale), &state);
		put(w, w->half, (size_t)n * sizeof(*w->half));
		return;
	}
	fill_float(w->single, (size_t)n, scale, &state);
	for (i = 0; ones && i < n; i++)
		w->single[i] = 1;
	put(w, w->single, (size_t)n * sizeof(*w->single));
}

/* Dimensions of 0 are left out. */
static void tensor(struct writer *w, const char *name, enum type type, int n0, int n1, int n2)
{
	int dims = n2 ? 3 : n1 ? 2 : 1;
	bool is_norm = strstr(name, "ln") && strstr(name, ".weight");

	put_i32(w, dims);
	put_i32(w, (int32_t)strlen(name));
	put_i32(w, type);
	put_i32(w, n0);
	if (n1)
		put_i32(w, n1);
	if (n2)
		put_i32(w, n2);
	put(w, name, strlen(name));
	put_numbers(w, type, n0 * (n1 ? n1 : 1) * (n2 ? n2 : 1), name, is_norm);
}

/* A tensor of a layer; `side` is encoder or decoder. */
static void layer_tensor(struct writer *w, const char *side, int layer, const char *name, int n0,
			 int n1)
{
	char full[96];

	snprintf(full, sizeof(full), "%s.blocks.%d.%s", side, layer, name);
	tensor(w, full, n1 ? F16 : F32, n0, n1, 0);
}

static void attention(struct writer *w, const char *side, int layer, const char *prefix)
{
	static const char *const matrices[] = {"query", "key", "value", "out"};
	char name[64];
	int i;

	snprintf(name, sizeof(name), "%s_ln.weight", prefix);
	layer_tensor(w, side, layer, name, STATE, 0);
	snprintf(name, sizeof(name), "%s_ln.bias", prefix);
	layer_tensor(w, side, layer, name, STATE, 0);
	for (i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "%s.%s.weight", prefix, matrices[i]);
		layer_tensor(w, side, layer, name, STATE, STATE);
		snprintf(name, sizeof(name), "%s.%s.bias", prefix, matrices[i]);
		if (i != 1) /* keys have no bias */
			layer_tensor(w, side, layer, name, STATE, 0);
	}
}

static void feed_forward(struct writer *w, const char *side, int layer)
{
	layer_tensor(w, side, layer, "mlp_ln.weight", STATE, 0);
	layer_tensor(w, side, layer, "mlp_ln.bias", STATE, 0);
	layer_tensor(w, side, layer, "mlp.0.weight", STATE, 4 * STATE);
	layer_tensor(w, side, layer, "mlp.0.bias", 4 * STATE, 0);
	layer_tensor(w, side, layer, "mlp.2.weight", 4 * STATE, STATE);
	layer_tensor(w, side, layer, "mlp.2.bias", STATE, 0);
}

static void encoder(struct writer *w)
{
	int i;

	tensor(w, "encoder.positional_embedding", F32, STATE, AUDIO_CTX, 0);
	tensor(w, "encoder.conv1.weight", F16, 3, MELS, STATE);
	tensor(w, "encoder.conv1.bias", F32, 1, STATE, 0);
	tensor(w, "encoder.conv2.weight", F16, 3, STATE, STATE);
	tensor(w, "encoder.conv2.bias", F32, 1, STATE, 0);
	tensor(w, "encoder.ln_post.weight", F32, STATE, 0, 0);
	tensor(w, "encoder.ln_post.bias", F32, STATE, 0, 0);
	for (i = 0; i < LAYERS; i++) {
		attention(w, "encoder", i, "attn");
		feed_forward(w, "encoder", i);
	}
}

static void decoder(struct writer *w)
{
	int i;

	tensor(w, "decoder.positional_embedding", F32, STATE, TEXT_CTX, 0);
	tensor(w, "decoder.token_embedding.weight", F16, STATE, VOCAB, 0);
	tensor(w, "decoder.ln.weight", F32, STATE, 0, 0);
	tensor(w, "decoder.ln.bias", F32, STATE, 0, 0);
	for (i = 0; i < LAYERS; i++) {
		attention(w, "decoder", i, "attn");
		attention(w, "decoder", i, "cross_attn");
		feed_forward(w, "decoder", i);
	}
}

static void header(struct writer *w)
{
	const int32_t magic = 0x67676d6c;
	const int32_t numbers[] = {VOCAB, AUDIO_CTX, STATE,  HEADS, LAYERS, TEXT_CTX,
				   STATE, HEADS,     LAYERS, MELS,  F16};
	char word[16];
	int i;

	put(w, &magic, sizeof(magic));
	put(w, numbers, sizeof(numbers));
	put_i32(w, MELS);
	put_i32(w, FFT);
	put_numbers(w, F32, MELS * FFT, "mel filters", false);
	put_i32(w, VOCAB);
	for (i = 0; i < VOCAB; i++) {
		int len = snprintf(word, sizeof(word), " w%d", i);

		put_i32(w, len);
		put(w, word, (size_t)len);
	}
}

int main(int argc, char **argv)
{
	struct writer w = {.seed = 1};
	char *end = NULL;

	if (argc == 3)
		w.seed = strtoull(argv[2], &end, 0);
	if (argc < 2 || argc > 3 || argv[1][0] == '-' || (end && *end)) {
		fprintf(stderr, "usage: whisper_make FILE [SEED]\n"
				"Writes a small whisper.cpp model with random weights.\n");
		return 2;
	}
	w.half = malloc(MAX_NUMBERS * sizeof(*w.half));
	w.single = malloc(MAX_NUMBERS * sizeof(*w.single));
	w.f = fopen(argv[1], "wb");
	if (!w.f || !w.half || !w.single) {
		fprintf(stderr, "whisper_make: cannot write %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	header(&w);
	encoder(&w);
	decoder(&w);
	if (fclose(w.f) || w.failed) {
		fprintf(stderr, "whisper_make: writing %s: %s\n", argv[1], strerror(errno));
		remove(argv[1]);
		return 1;
	}
	free(w.half);
	free(w.single);
	return 0;
}
