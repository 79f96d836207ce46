/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives a libwhisper of any age, or an add-on that has whisper.cpp linked in, by its path: one
 * encoder pass, then decoder passes of one token. Of the public functions only those without
 * structs are used, so no header is needed and one program runs them all.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 2, FIRST_TOKEN = 50257, SECOND_TOKEN = 1000 };

static void *lib;

static void *find(const char *name)
{
	void *p = dlsym(lib, name);

	if (!p) {
		fprintf(stderr, "whisper_drive: the library has no %s\n", name);
		exit(1);
	}
	return p;
}

static void check(int rc, const char *what)
{
	if (!rc)
		return;
	fprintf(stderr, "whisper_drive: %s returned %d\n", what, rc);
	exit(1);
}

static void *load_model(const char *path)
{
	void *(*init)(const char *) = (void *(*)(const char *))find("whisper_init_from_file");
	void *ctx = init(path);

	if (!ctx) {
		fprintf(stderr, "whisper_drive: the library cannot load %s\n", path);
		exit(1);
	}
	return ctx;
}

static void run(void *ctx, int passes)
{
	int (*n_mels)(void *) = (int (*)(void *))find("whisper_model_n_mels");
	int (*set_mel)(void *, const float *, int, int) =
		(int (*)(void *, const float *, int, int))find("whisper_set_mel");
	int (*encode)(void *, int, int) = (int (*)(void *, int, int))find("whisper_encode");
	int (*decode)(void *, const int32_t *, int, int, int) =
		(int (*)(void *, const int32_t *, int, int, int))find("whisper_decode");
	int i;

	check(set_mel(ctx, NULL, 0, n_mels(ctx)), "whisper_set_mel");
	check(encode(ctx, 0, THREADS), "whisper_encode");
	for (i = 0; i < passes; i++) {
		int32_t token = i ? SECOND_TOKEN : FIRST_TOKEN;

		check(decode(ctx, &token, 1, i, THREADS), "whisper_decode");
	}
}

int main(int argc, char **argv)
{
	void (*load_backends)(void);
	void *ctx;

	if (argc != 4 || atoi(argv[3]) < 1) {
		fprintf(stderr, "usage: whisper_drive LIBWHISPER MODEL DECODER_PASSES\n");
		return 2;
	}
	lib = dlopen(argv[1], RTLD_LAZY | RTLD_GLOBAL);
	if (!lib) {
		fprintf(stderr, "whisper_drive: %s\n", dlerror());
		return 1;
	}
	load_backends = (void (*)(void))dlsym(lib, "ggml_backend_load_all");
	if (load_backends)
		load_backends();
	ctx = load_model(argv[2]);
	run(ctx, atoi(argv[3]));
	((void (*)(void *))find("whisper_free"))(ctx);
	return 0;
}
