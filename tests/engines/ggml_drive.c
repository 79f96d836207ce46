/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives a libllama of any age that is loaded by path: decodes a prompt, then single tokens.
 *
 * No header of the engine is used, so one program runs them all. It works because of how the ABIs
 * (x86-64 and aarch64) pass structs of more than 16 bytes: a result goes through a hidden pointer,
 * an argument is copied to the stack or passed by reference, and the callee looks at its own size
 * only. So a block that is larger than any version's struct stands for all of them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct params {
	uint64_t words[128];
};

/* 56 bytes since 2024-10; before, three numbers followed that count only where `pos` is NULL. */
struct batch {
	int32_t n_tokens;
	int32_t *token;
	float *embd;
	int32_t *pos;
	int32_t *n_seq_id;
	int32_t **seq_id;
	int8_t *logits;
	uint64_t old_tail[2];
};

struct engine {
	void *lib;
	struct params (*model_defaults)(void);
	struct params (*context_defaults)(void);
	void *(*load_model)(const char *path, struct params p);
	void *(*new_context)(void *model, struct params p);
	int32_t (*decode)(void *ctx, struct batch b);
	float *(*logits)(void *ctx, int32_t i);
	void (*set_threads)(void *ctx, int32_t n, int32_t n_batch);
};

enum { MAX_CONTEXTS = 8, DEFAULT_N_CTX = 512 };

struct options {
	const char *lib, *model;
	const char *log; /* NULL: none */
	long prompt, tokens, threads, contexts, repeats, wait_ms;
	bool greedy, verbose, forked;
	const char *draft; /* a second model, NULL: none */
};

struct run {
	struct engine e;
	struct options o;
	void *model, *draft;
	void *contexts[MAX_CONTEXTS];
	void *draft_context;
	int32_t n_vocab;
	int32_t *token, *pos, *n_seq_id, **seq_id;
	int8_t *logits;
	int32_t seq, last;
	uint64_t prompt_ns, token_ns;
	unsigned long decodes;
	int log_fd;
};

static void fail(const char *what, const char *detail)
{
	fprintf(stderr, "ggml_drive: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
	exit(1);
}

static uint64_t clock_now(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void)
{
	return clock_now(CLOCK_MONOTONIC);
}

/* The first of the names, which are given newest first. */
static void *find(const struct engine *e, const char *first, const char *second)
{
	void *p = dlsym(e->lib, first);

	if (!p && second)
		p = dlsym(e->lib, second);
	return p;
}

static void *must_find(const struct engine *e, const char *first, const char *second)
{
	void *p = find(e, first, second);

	if (!p)
		fail("the library has no such function", first);
	return p;
}

static void no_log(int level, const char *text, void *user)
{
	(void)level;
	(void)text;
	(void)user;
}

/* The first builds for npm do not say where libggml is: beside libllama. */
static void *open_with_neighbour(const char *lib)
{
	void *handle = dlopen(lib, RTLD_LAZY | RTLD_GLOBAL);
	char *copy = strdup(lib), path[4096];

	if (!handle && copy) {
		snprintf(path, sizeof(path), "%s/libggml.so", dirname(copy));
		if (dlopen(path, RTLD_LAZY | RTLD_GLOBAL))
			handle = dlopen(lib, RTLD_LAZY | RTLD_GLOBAL);
	}
	free(copy);
	return handle;
}

/* From 2024-11 on the CPU code may be a library of its own, one of several beside the others. */
static void load_backends(const struct engine *e, const char *lib)
{
	void (*from_path)(const char *) = find(e, "ggml_backend_load_all_from_path", NULL);
	void (*all)(void) = find(e, "ggml_backend_load_all", NULL);
	size_t (*count)(void) = find(e, "ggml_backend_reg_count", NULL);
	char *copy = strdup(lib);

	if (from_path && copy)
		from_path(dirname(copy));
	if (all && count && count() == 0)
		all();
	free(copy);
}

static void engine_open(struct engine *e, const struct options *o)
{
	void (*log_set)(void (*)(int, const char *, void *), void *);
	void (*init)(bool);

	e->lib = open_with_neighbour(o->lib);
	if (!e->lib)
		fail("cannot load", dlerror());
	e->model_defaults = must_find(e, "llama_model_default_params", NULL);
	e->context_defaults = must_find(e, "llama_context_default_params", NULL);
	e->load_model = must_find(e, "llama_model_load_from_file", "llama_load_model_from_file");
	e->new_context = must_find(e, "llama_init_from_model", "llama_new_context_with_model");
	e->decode = must_find(e, "llama_decode", NULL);
	e->logits = must_find(e, "llama_get_logits_ith", NULL);
	e->set_threads = must_find(e, "llama_set_n_threads", NULL);
	log_set = find(e, "llama_log_set", NULL);
	if (log_set && !o->verbose)
		log_set(no_log, NULL);
	load_backends(e, o->lib);
	init = find(e, "llama_backend_init", NULL);
	if (init)
		init(false);
}

static int32_t vocab_size(const struct engine *e, void *model)
{
	void *(*get_vocab)(void *) = find(e, "llama_model_get_vocab", NULL);
	int32_t (*n_tokens)(void *) = find(e, "llama_vocab_n_tokens", NULL);
	int32_t (*n_vocab)(void *) = find(e, "llama_n_vocab", NULL);

	if (get_vocab && n_tokens)
		return n_tokens(get_vocab(model));
	/* Before there was a vocabulary object this function took the model. */
	return n_vocab ? n_vocab(model) : 0;
}

/*
 * The context length is the first number of the parameters, behind a seed in the first versions; it
 * is found by its default.
 */
static void set_context_length(struct params *p, long n)
{
	uint32_t *v = (uint32_t *)p->words;

	if (n <= DEFAULT_N_CTX)
		return;
	if (v[0] == DEFAULT_N_CTX)
		v[0] = (uint32_t)n;
	else if (v[1] == DEFAULT_N_CTX)
		v[1] = (uint32_t)n;
	else
		fail("cannot tell where this version keeps the context length", NULL);
}

static void contexts_open(struct run *r)
{
	struct params p = r->e.context_defaults();
	long i;

	set_context_length(&p, r->o.prompt + r->o.tokens);
	for (i = 0; i < r->o.contexts; i++) {
		r->contexts[i] = r->e.new_context(r->model, p);
		if (!r->contexts[i])
			fail("the library cannot make a context", NULL);
		r->e.set_threads(r->contexts[i], (int32_t)r->o.threads, (int32_t)r->o.threads);
	}
	if (r->draft)
		r->draft_context = r->e.new_context(r->draft, p);
	if (r->draft && !r->draft_context)
		fail("the library cannot make a context", r->o.draft);
}

static void contexts_close(struct run *r)
{
	void (*free_context)(void *) = must_find(&r->e, "llama_free", NULL);
	long i;

	for (i = 0; i < r->o.contexts; i++)
		free_context(r->contexts[i]);
	if (r->draft_context)
		free_context(r->draft_context);
}

static void run_open(struct run *r)
{
	struct params p;

	engine_open(&r->e, &r->o);
	p = r->e.model_defaults();
	r->model = r->e.load_model(r->o.model, p);
	if (!r->model)
		fail("the library cannot load the model", r->o.model);
	if (r->o.draft)
		r->draft = r->e.load_model(r->o.draft, p);
	if (r->o.draft && !r->draft)
		fail("the library cannot load the model", r->o.draft);
	r->n_vocab = vocab_size(&r->e, r->model);
	if (r->n_vocab <= 0)
		fail("cannot tell the size of the vocabulary", NULL);
	contexts_open(r);
	if (r->o.log)
		r->log_fd = open(r->o.log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
	if (r->o.log && r->log_fd < 0)
		fail("cannot write the log", r->o.log);
}

static void run_close(struct run *r)
{
	void (*free_model)(void *) = must_find(&r->e, "llama_model_free", "llama_free_model");

	contexts_close(r);
	free_model(r->model);
	if (r->draft)
		free_model(r->draft);
	free(r->token);
	free(r->pos);
	free(r->n_seq_id);
	free(r->seq_id);
	free(r->logits);
}

static void batch_alloc(struct run *r)
{
	size_t n = (size_t)r->o.prompt + 1;

	r->token = calloc(n, sizeof(*r->token));
	r->pos = calloc(n, sizeof(*r->pos));
	r->n_seq_id = calloc(n, sizeof(*r->n_seq_id));
	r->seq_id = calloc(n, sizeof(*r->seq_id));
	r->logits = calloc(n, sizeof(*r->logits));
	if (!r->token || !r->pos || !r->n_seq_id || !r->seq_id || !r->logits)
		fail("out of memory", NULL);
}

/* One line per decode, whole at once, so that a reader may follow the file. */
static void log_decode(const struct run *r, long n, uint64_t begin, uint64_t cpu)
{
	uint64_t end = now_ns();
	char line[96];
	int len;

	if (r->log_fd < 0)
		return;
	len = snprintf(line, sizeof(line), "%ld %llu %llu %llu\n", n, (unsigned long long)begin,
		       (unsigned long long)end,
		       (unsigned long long)(clock_now(CLOCK_PROCESS_CPUTIME_ID) - cpu));
	if (write(r->log_fd, line, (size_t)len) != len)
		fail("cannot write the log", r->o.log);
}

/* Decodes the first `n` of r->token at positions from `at` on, with logits for the last one. */
static void decode(struct run *r, void *ctx, long n, long at)
{
	struct batch b = {.n_tokens = (int32_t)n,
			  .token = r->token,
			  .pos = r->pos,
			  .n_seq_id = r->n_seq_id,
			  .seq_id = r->seq_id,
			  .logits = r->logits};
	uint64_t begin, cpu;
	int32_t rc;
	long i;

	for (i = 0; i < n; i++) {
		r->pos[i] = (int32_t)(at + i);
		r->n_seq_id[i] = 1;
		r->seq_id[i] = &r->seq;
		r->logits[i] = i == n - 1;
	}
	cpu = clock_now(CLOCK_PROCESS_CPUTIME_ID);
	begin = now_ns();
	rc = r->e.decode(ctx, b);
	log_decode(r, n, begin, cpu);
	if (rc) {
		fprintf(stderr, "ggml_drive: llama_decode of %ld tokens at %ld returned %d\n", n,
			at, (int)rc);
		exit(1);
	}
	r->decodes++;
}

static int32_t best_token(const struct run *r, void *ctx, long i)
{
	const float *logits = r->e.logits(ctx, (int32_t)i);
	int32_t t, best = 0;

	if (!logits)
		fail("no logits", NULL);
	for (t = 1; t < r->n_vocab; t++)
		if (logits[t] > logits[best])
			best = t;
	return best;
}

/* Words only: the first 259 tokens of the vocabulary are control tokens and bytes. */
static int32_t fixed_token(const struct run *r, long i)
{
	return r->n_vocab > 300 ? (int32_t)(260 + i % (r->n_vocab - 260))
				: (int32_t)(i % r->n_vocab);
}

static void generate(struct run *r, void *ctx)
{
	uint64_t begin = now_ns();
	long i;

	for (i = 0; i < r->o.prompt; i++)
		r->token[i] = fixed_token(r, i);
	if (r->o.prompt)
		decode(r, ctx, r->o.prompt, 0);
	r->prompt_ns += now_ns() - begin;
	begin = now_ns();
	for (i = 0; i < r->o.tokens; i++) {
		long last = i || !r->o.prompt ? 0 : r->o.prompt - 1;

		if (r->o.greedy && r->decodes)
			r->token[0] = best_token(r, ctx, last);
		else
			r->token[0] = fixed_token(r, r->o.prompt + i);
		if (r->draft)
			decode(r, r->draft_context, 1, i);
		decode(r, ctx, 1, r->o.prompt + i);
	}
	r->token_ns += now_ns() - begin;
	if (r->decodes)
		r->last = best_token(r, ctx, r->o.tokens ? 0 : r->o.prompt - 1);
}

static void usage(FILE *f)
{
	fprintf(f, "usage: ggml_drive [options] LIBLLAMA MODEL\n"
		   "Loads a libllama by path and decodes a prompt, then single tokens.\n\n"
		   "  -p N   tokens of the prompt, decoded at once (default 8)\n"
		   "  -n N   single tokens after it (default 16)\n"
		   "  -t N   threads (default 2)\n"
		   "  -c N   contexts, one after the other (default 1)\n"
		   "  -r N   times over, with new contexts (default 1)\n"
		   "  -d MODEL  a second model that decodes each single token first, as a draft\n"
		   "  -f     decode in a forked child\n"
		   "  -l LOG tokens, begin, end (ns, CLOCK_MONOTONIC) and CPU time (ns) of each "
		   "decode\n"
		   "  -w MS  wait between loading and decoding\n"
		   "  -g     choose each token by its logits instead of a fixed row\n"
		   "  -v     let the engine log\n");
}

static long number(int opt, const char *s, long min, long max)
{
	char *end;
	long v;

	errno = 0;
	v = strtol(s, &end, 10);
	if (errno || end == s || *end || v < min || v > max) {
		fprintf(stderr, "ggml_drive: -%c takes a number from %ld to %ld, not %s\n", opt,
			min, max, s);
		exit(2);
	}
	return v;
}

static void parse(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt(argc, argv, "p:n:t:c:r:d:fl:w:gvh")) != -1) {
		if (c == 'p')
			o->prompt = number(c, optarg, 0, 1 << 20);
		else if (c == 'n')
			o->tokens = number(c, optarg, 0, 1 << 20);
		else if (c == 't')
			o->threads = number(c, optarg, 1, 512);
		else if (c == 'c')
			o->contexts = number(c, optarg, 1, MAX_CONTEXTS);
		else if (c == 'r')
			o->repeats = number(c, optarg, 1, 1 << 20);
		else if (c == 'd')
			o->draft = optarg;
		else if (c == 'f')
			o->forked = true;
		else if (c == 'l')
			o->log = optarg;
		else if (c == 'w')
			o->wait_ms = number(c, optarg, 0, 3600 * 1000);
		else if (c == 'g')
			o->greedy = true;
		else if (c == 'v')
			o->verbose = true;
		else {
			usage(c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 2);
		}
	}
	if (optind + 2 != argc) {
		usage(stderr);
		exit(2);
	}
	o->lib = argv[optind];
	o->model = argv[optind + 1];
}

/* The parent waits and ends as the child did. */
static void go_on_in_child(void)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		fail("cannot fork", strerror(errno));
	if (!pid)
		return;
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		fail("the child did not end", NULL);
	exit(WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
	struct run r = {.o = {.prompt = 8, .tokens = 16, .threads = 2, .contexts = 1, .repeats = 1},
			.log_fd = -1};
	long i;

	parse(argc, argv, &r.o);
	run_open(&r);
	if (r.o.forked)
		go_on_in_child();
	batch_alloc(&r);
	if (r.o.wait_ms)
		usleep((useconds_t)r.o.wait_ms * 1000);
	while (true) {
		for (i = 0; i < r.o.contexts; i++)
			generate(&r, r.contexts[i]);
		if (--r.o.repeats <= 0)
			break;
		contexts_close(&r);
		contexts_open(&r);
	}
	printf("{\"decodes\": %lu, \"prompt\": %ld, \"tokens\": %ld, \"contexts\": %ld, "
	       "\"prompt_ns\": %llu, \"token_ns\": %llu, \"last\": %d}\n",
	       r.decodes, r.o.prompt, r.o.tokens, r.o.contexts, (unsigned long long)r.prompt_ns,
	       (unsigned long long)r.token_ns, r.last);
	run_close(&r);
	return 0;
}
