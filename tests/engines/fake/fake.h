/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A made engine: functions of the same names, arguments and struct layouts as ggml's and
 * llama.cpp's, which do nothing but wait for known times and count exactly what they did. What a
 * tracer says about it can be compared to the last call.
 *
 * FAKE_OLD selects the layouts and functions of autumn 2024: gradients in the tensor, no graph id,
 * no fusion, every operator through ggml_compute_forward, which like ggml_barrier is a local
 * symbol.
 *
 * FAKE_LIES has strides that do not go with its types, as a layout that was inferred wrongly would
 * make it look.
 */
#ifndef FAKE_H
#define FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers of this engine's own: whoever wants them reads the name table. */
/* clang-format off */
#define FAKE_OPS(X) \
	X(NONE) X(DUP) X(ADD) X(ADD_ID) X(ACC) X(SUB) X(MUL) X(DIV) X(SQR) X(SQRT) \
	X(LOG) X(SIN) X(COS) X(MEAN) X(SUM) X(SUM_ROWS) X(ARGMAX) X(COUNT_EQUAL) \
	X(REPEAT) X(REPEAT_BACK) X(CONCAT) X(SILU_BACK) X(NORM) X(GROUP_NORM) \
	X(L2_NORM) X(RMS_NORM) X(RMS_NORM_BACK) X(OUT_PROD) X(MUL_MAT) \
	X(MUL_MAT_ID) X(SCALE) X(SET) X(CONT) X(CPY) X(VIEW) X(RESHAPE) \
	X(TRANSPOSE) X(PERMUTE) X(SET_ROWS) X(GET_ROWS) X(GET_ROWS_BACK) X(DIAG) \
	X(DIAG_MASK_ZERO) X(DIAG_MASK_INF) X(ROPE) X(ROPE_BACK) X(SOFT_MAX) \
	X(SOFT_MAX_BACK) X(CLAMP) X(IM2COL) X(IM2COL_BACK) X(CONV_2D) \
	X(CONV_TRANSPOSE_1D) X(CONV_TRANSPOSE_2D) X(POOL_1D) X(POOL_2D) \
	X(POOL_2D_BACK) X(UPSCALE) X(PAD) X(ROLL) X(ARANGE) X(TIMESTEP_EMBEDDING) \
	X(ARGSORT) X(LEAKY_RELU) X(FLASH_ATTN_BACK) X(FLASH_ATTN_EXT) X(SSM_SCAN) \
	X(SSM_CONV) X(WIN_PART) X(WIN_UNPART) X(GET_REL_POS) X(ADD_REL_POS) \
	X(GATED_LINEAR_ATTN) X(CROSS_ENTROPY_LOSS) X(OPT_STEP_SGD) \
	X(OPT_STEP_ADAMW) X(UNARY) X(GLU)
/* clang-format on */
#define FAKE_OP_NUMBER(name) OP_##name,
enum ggml_op { FAKE_OPS(FAKE_OP_NUMBER) OP_COUNT };

#ifdef FAKE_LIES
enum { STRIDE_LIE = 1 };
#else
enum { STRIDE_LIE = 0 };
#endif

enum ggml_type { TYPE_F32 = 0, TYPE_F16 = 1, TYPE_Q4_0 = 2, TYPE_I32 = 26, TYPE_COUNT };

enum { MAX_SRC = 10, MAX_NAME = 64, MAX_DIMS = 4 };

struct ggml_tensor {
	enum ggml_type type;
	void *buffer;
	int64_t ne[MAX_DIMS];
	size_t nb[MAX_DIMS];
	enum ggml_op op;
	int32_t op_params[16];
	int32_t flags;
#ifdef FAKE_OLD
	struct ggml_tensor *grad;
#endif
	struct ggml_tensor *src[MAX_SRC];
	struct ggml_tensor *view_src;
	size_t view_offs;
	void *data;
	char name[MAX_NAME];
	void *extra;
#ifndef FAKE_OLD
	char padding[8];
#endif
};

struct ggml_cgraph {
	int size, n_nodes, n_leafs;
	struct ggml_tensor **nodes, **grads;
#ifndef FAKE_OLD
	struct ggml_tensor **grad_accs;
#endif
	struct ggml_tensor **leafs;
#ifndef FAKE_OLD
	int32_t *use_counts;
	struct {
		size_t size;
		void *used;
		struct ggml_tensor **keys;
	} visited;
	int order;
	uint64_t uid; /* stays while the graph is used again */
#endif
};

struct ggml_threadpool;

struct ggml_compute_params {
	int ith, nth;
	size_t wsize;
	void *wdata;
	struct ggml_threadpool *threadpool;
	bool use_ref;
};

struct ggml_cplan {
	size_t work_size;
	uint8_t *work_data;
	int n_threads;
	struct ggml_threadpool *threadpool;
	bool (*abort_callback)(void *data);
	void *abort_callback_data;
};

struct ggml_backend;

struct ggml_backend_i {
	const char *(*get_name)(struct ggml_backend *b);
	void (*free)(struct ggml_backend *b);
#ifdef FAKE_OLD
	void *get_default_buffer_type;
#endif
	void *set_async, *get_async;
#ifndef FAKE_OLD
	void *set_2d_async, *get_2d_async;
#endif
	void *copy_async;
	void (*synchronize)(struct ggml_backend *b);
	void *plan[4];
	int (*graph_compute)(struct ggml_backend *b, struct ggml_cgraph *g);
#ifdef FAKE_OLD
	void *supports_op, *supports_buft, *offload_op;
#endif
	void *event_record, *event_wait;
#ifndef FAKE_OLD
	void *graph_optimize;
#endif
};

struct ggml_backend {
	const uint8_t *guid;
	struct ggml_backend_i iface;
	void *device, *context;
};

struct ggml_backend_sched {
	bool is_reset, is_alloc;
	int n_backends;
	struct ggml_backend *backends[16];
};

struct llama_batch {
	int32_t n_tokens;
	int32_t *token;
	float *embd;
	int32_t *pos, *n_seq_id, **seq_id;
	int8_t *logits;
};

/* Tensors of one graph; emptied and filled anew when the graph changes, so addresses come again. */
struct ggml_context {
	struct ggml_tensor *tensors;
	size_t count, capacity;
};

struct llama_context;

#define NOINLINE __attribute__((noinline))

/* base.c: what layout inference reads. */
const char *ggml_get_name(const struct ggml_tensor *t);
void *ggml_get_data(const struct ggml_tensor *t);
int64_t ggml_nelements(const struct ggml_tensor *t);
bool ggml_is_transposed(const struct ggml_tensor *t);
bool ggml_is_view(const struct ggml_tensor *t);
size_t ggml_type_size(enum ggml_type type);
size_t ggml_element_size(const struct ggml_tensor *t);
const char *ggml_type_name(enum ggml_type type);
const char *ggml_op_name(enum ggml_op op);
const char *ggml_unary_op_name(int op);
const char *ggml_glu_op_name(int op);
int ggml_get_unary_op(const struct ggml_tensor *t);
int ggml_get_glu_op(const struct ggml_tensor *t);
const char *ggml_op_desc(const struct ggml_tensor *t);
void ggml_set_input(struct ggml_tensor *t);
void ggml_set_output(struct ggml_tensor *t);
struct ggml_tensor *ggml_format_name(struct ggml_tensor *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
size_t ggml_tensor_overhead(void);
struct ggml_tensor *ggml_new_tensor(struct ggml_context *ctx, enum ggml_type type, int n_dims,
				    const int64_t *ne);
struct ggml_tensor *ggml_mul_mat(struct ggml_context *ctx, struct ggml_tensor *a,
				 struct ggml_tensor *b);
struct ggml_tensor *ggml_mul_mat_id(struct ggml_context *ctx, struct ggml_tensor *as,
				    struct ggml_tensor *b, struct ggml_tensor *ids);
struct ggml_tensor *ggml_get_rows(struct ggml_context *ctx, struct ggml_tensor *a,
				  struct ggml_tensor *b);
void ggml_flash_attn_ext_add_sinks(struct ggml_tensor *a, struct ggml_tensor *sinks);
int ggml_graph_n_nodes(struct ggml_cgraph *g);
struct ggml_tensor *ggml_graph_node(struct ggml_cgraph *g, int i);
struct ggml_tensor **ggml_graph_nodes(struct ggml_cgraph *g);
const char *ggml_version(void);
const char *ggml_commit(void);
const char *ggml_backend_name(struct ggml_backend *b);
void ggml_backend_synchronize(struct ggml_backend *b);
int ggml_backend_graph_compute_async(struct ggml_backend *b, struct ggml_cgraph *g);
void *ggml_backend_get_device(struct ggml_backend *b);
int ggml_backend_sched_get_n_backends(struct ggml_backend_sched *s);
struct ggml_backend *ggml_backend_sched_get_backend(struct ggml_backend_sched *s, int i);
int ggml_backend_sched_graph_compute_async(struct ggml_backend_sched *s, struct ggml_cgraph *g);

/* cpu.c: what operator probes sit on. */
struct ggml_cplan ggml_graph_plan(const struct ggml_cgraph *g, int n_threads,
				  struct ggml_threadpool *tp);
int ggml_graph_compute(struct ggml_cgraph *g, struct ggml_cplan *plan);
#ifndef FAKE_OLD
bool ggml_cpu_extra_compute_forward(struct ggml_compute_params *p, struct ggml_tensor *t);
void ggml_compute_forward_rms_norm_mul_fused(const struct ggml_compute_params *p,
					     struct ggml_tensor *norm, struct ggml_tensor *mul);
void ggml_barrier(struct ggml_threadpool *tp);
#endif

/* llama.c */
int32_t llama_decode(struct llama_context *ctx, struct llama_batch batch);
int32_t llama_encode(struct llama_context *ctx, struct llama_batch batch);

/* The engine's own account. */
enum {
	FAKE_MAX_THREADS = 64,
	FAKE_MAX_NODES = 4096,
	FAKE_MAX_LAYERS = 64,
	FAKE_EXPERTS = 60,
	FAKE_USED = 4
};

struct fake_options {
	int threads, layers;
	uint64_t spin_ns;   /* busy time of an operator on each thread */
	int imbalance;	    /* percent by which each next thread is busy longer */
	int inner_barriers; /* calls of ggml_barrier inside a matrix product */
	int escape;	    /* every so many graph computations are left by a jump; 0: none */
	bool moe;
};

struct fake_thread {
	int tid;
	uint64_t ops, fused, barriers, inner_barriers;
	/* By node, a fused pair's by its second: from begin to last barrier. */
	uint64_t compute_ns[FAKE_MAX_NODES], min_ns[FAKE_MAX_NODES];
	uint64_t calls[FAKE_MAX_NODES];
};

struct fake_account {
	struct fake_thread thread[FAKE_MAX_THREADS];
	uint64_t graphs, graph_ns, decodes, decode_ns, encodes;
	uint64_t experts[FAKE_MAX_LAYERS][FAKE_EXPERTS];
};

struct llama_context *fake_open(const struct fake_options *o);
void fake_close(struct llama_context *ctx);
const struct fake_account *fake_account(const struct llama_context *ctx);
const struct ggml_cgraph *fake_graph(const struct llama_context *ctx);

/* Between the parts. */
struct ggml_threadpool *fake_pool_new(const struct fake_options *o, struct fake_account *account);
void fake_pool_free(struct ggml_threadpool *tp);
uint64_t fake_now(void);

#endif
