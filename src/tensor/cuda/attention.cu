/* Attention of any length by matrix products: scores [heads, T, S] are written out for as many heads at a time as the scratch
 * memory holds. F32 operands give F32 products; where q, k and v all are BF16, or the problem allows it, they are rounded to BF16
 * (sums and softmax stay f32). Short sequences go other ways: attention_short.cu, attention_tensor.cu.
 *
 * A head is one (batch item, query head), counted n = batch H + head; packed panels are [heads, rows, D], where a key head stands
 * once for each query head that reads it. Chunks are whole groups of query heads, so that the sums over a group have one order. */
#include "tensor/cuda/attention_rows.h"

enum { THREADS = 256, WARPS = THREADS / 32, SCRATCH_BYTES = 512 << 20, MOST_HEADS = 32768 };

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Blocks for a loop over n items that strides by the grid. */
static unsigned blocks_for(int64_t n, int per_block) {
    return (unsigned) larger(1, smaller((n + per_block - 1) / per_block, 32 * (int64_t) hiss_multiprocessors));
}

/* --- packing --- */

/* One side of a chunk: x [B, rows, H / group, D] against panels [heads, rows, D] of the heads from `first` on. */
typedef struct {
    int64_t first, heads, rows, H, group, D;
} panel;

__global__ static void pack_kernel(panel p, void *to, int to_type, const void *from, int from_type) {
    int64_t n = p.heads * p.rows * p.D, step = (int64_t) gridDim.x * blockDim.x;
    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        int64_t d = i % p.D, row = i / p.D % p.rows, head = p.first + i / p.D / p.rows;
        int64_t at = ((head / p.H * p.rows + row) * (p.H / p.group) + head % p.H / p.group) * p.D + d;
        set_element(to, to_type, i, element(from, from_type, at));
    }
}

__global__ static void unpack_kernel(panel p, void *to, int to_type, const float *from) {
    int64_t n = p.heads * p.rows * p.D, step = (int64_t) gridDim.x * blockDim.x;
    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        int64_t d = i % p.D, row = i / p.D % p.rows, head = p.first + i / p.D / p.rows;
        set_element(to, to_type, ((head / p.H * p.rows + row) * p.H + head % p.H) * p.D + d, from[i]);
    }
}

/* to += factor times the sum over each group's heads. */
__global__ static void unpack_add_kernel(panel p, float *to, const float *from, float factor) {
    int64_t keys = p.H / p.group, n = p.heads / p.group * p.rows * p.D, step = (int64_t) gridDim.x * blockDim.x;
    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        int64_t d = i % p.D, row = i / p.D % p.rows, one = i / p.D / p.rows, key_head = p.first / p.group + one;
        float sum = 0;
        for (int64_t j = 0; j < p.group; j++) sum += from[((one * p.group + j) * p.rows + row) * p.D + d];
        to[((key_head / keys * p.rows + row) * keys + key_head % keys) * p.D + d] += sum * factor;
    }
}

static void pack(panel p, void *to, dtype to_type, const void *from, int from_type) {
    pack_kernel<<<blocks_for(p.heads * p.rows * p.D, THREADS), THREADS, 0, cuda_stream>>>(p, to, to_type, from,
                                                                                          from_type);
    CHECK_LAUNCH("packing attention's heads");
}

static void unpack_add(panel p, float *to, const float *from, float factor) {
    unpack_add_kernel<<<blocks_for(p.heads / p.group * p.rows * p.D, THREADS), THREADS, 0, cuda_stream>>>(p, to, from,
                                                                                                          factor);
    CHECK_LAUNCH("adding attention's gradients");
}

/* --- rows of scores: a warp to a query --- */

/* s [heads, T, S] products -> p (of type p_type; may be s itself) the softmax; sums [B, H, T] the logs of the rows' sums. */
__global__ static void softmax_kernel(attention_problem a, int64_t first, int64_t heads, float *s, void *p, int p_type,
                                      float *sums) {
    int64_t rows = heads * a.T, step = (int64_t) gridDim.x * WARPS;
    for (int64_t row = (int64_t) blockIdx.x * WARPS + threadIdx.x / 32; row < rows; row += step) {
        int64_t head = first + row / a.T;
        soften(a, s + row * a.S, head / a.H, head % a.H, row % a.T, sums);
        if (p_type == F32) continue;
        for (int64_t i = threadIdx.x % 32; i < a.S; i += 32) set_element(p, p_type, row * a.S + i, s[row * a.S + i]);
    }
}

/* s products -> the weights P, dp -> dS = P (dP - delta); copies of both in `type`, unless they are F32 themselves. */
__global__ static void slope_kernel(attention_problem a, attention_slopes d, int64_t first, int64_t heads, float *s,
                                    float *dp, void *p, void *ds, int type) {
    int64_t rows = heads * a.T, step = (int64_t) gridDim.x * WARPS;
    for (int64_t row = (int64_t) blockIdx.x * WARPS + threadIdx.x / 32; row < rows; row += step) {
        int64_t head = first + row / a.T;
        slope_scores(a, s + row * a.S, dp + row * a.S, d, head / a.H, head % a.H, row % a.T);
        if (type == F32) continue;
        for (int64_t at = row * a.S + threadIdx.x % 32; at < (row + 1) * a.S; at += 32) {
            set_element(p, type, at, s[at]);
            set_element(ds, type, at, dp[at]);
        }
    }
}

/* dbias [bias_batch, bias_heads, T, S] += dS of all the chunk's heads that read it, in their order. */
__global__ static void bias_kernel(attention_problem a, int64_t first, int64_t heads, float *dbias, const float *ds) {
    int64_t square = a.T * a.S, n = a.bias_batch * a.bias_heads * square, step = (int64_t) gridDim.x * blockDim.x;
    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        int64_t batch = i / square / a.bias_heads, head = i / square % a.bias_heads, stride = a.bias_heads;
        /* A bias of its own for each batch item (or head) is read by that one only. */
        bool one_batch = a.bias_batch == a.B;
        float sum = 0;
        for (int64_t b = one_batch ? batch : 0; b < (one_batch ? batch + 1 : a.B); b++)
            for (int64_t h = head; h < a.H; h += stride) {
                int64_t at = b * a.H + h - first;
                if (at >= 0 && at < heads) sum += ds[at * square + i % square];
            }
        dbias[i] += sum;
    }
}

/* --- chunks --- */

static dtype product_type(const attention_problem *a) {
    return a->bf16 || (a->q_type == BF16 && a->k_type == BF16 && a->v_type == BF16) ? BF16 : F32;
}

/* Heads to work on at once: a multiple of the group, within the scratch memory. */
static int64_t chunk_heads(const attention_problem *a, int64_t bytes_per_head) {
    int64_t group = a->H / a->G, most = smaller(MOST_HEADS, SCRATCH_BYTES / bytes_per_head);
    return smaller(larger(most / group, 1) * group, a->B * a->H);
}

static int64_t padded(int64_t bytes) { return (bytes + 255) / 256 * 256; }

/* The next `bytes` of the scratch memory. */
static void *cut(char **at, int64_t bytes) {
    void *data = *at;
    *at += padded(bytes);
    return data;
}

static panel query_panel(const attention_problem *a, int64_t first, int64_t heads) {
    return (panel){first, heads, a->T, a->H, 1, a->D};
}

static panel key_panel(const attention_problem *a, int64_t first, int64_t heads) {
    return (panel){first, heads, a->S, a->H, a->H / a->G, a->D};
}

/* --- forward --- */

static void attend_chunk(const attention_problem *a, int64_t first, int64_t heads, char *memory, void *y, dtype y_type,
                         float *sums) {
    dtype type = product_type(a);
    int64_t size = type == BF16 ? 2 : 4, T = a->T, S = a->S, D = a->D;
    void *q = cut(&memory, heads * T * D * size), *k = cut(&memory, heads * S * D * size);
    void *v = cut(&memory, heads * S * D * size);
    float *o = (float *) cut(&memory, heads * T * D * 4), *s = (float *) cut(&memory, heads * T * S * 4);
    void *p = type == BF16 ? cut(&memory, heads * T * S * size) : s;
    panel queries = query_panel(a, first, heads), keys = key_panel(a, first, heads);
    pack(queries, q, type, a->q, a->q_type);
    pack(keys, k, type, a->k, a->k_type);
    pack(keys, v, type, a->v, a->v_type);
    cuda_matmul(heads, T, S, D, type, q, false, k, true, NULL, F32, s, false);
    softmax_kernel<<<blocks_for(heads * T, WARPS), THREADS, 0, cuda_stream>>>(*a, first, heads, s, p, type, sums);
    CHECK_LAUNCH("attention's softmax");
    cuda_matmul(heads, T, D, S, type, p, false, v, false, NULL, F32, o, false);
    unpack_kernel<<<blocks_for(heads * T * D, THREADS), THREADS, 0, cuda_stream>>>(queries, y, y_type, o);
    CHECK_LAUNCH("unpacking attention's heads");
}

void cuda_attend(const attention_problem *a, void *y, dtype y_type, float *sums) {
    int64_t all = a->B * a->H, size = product_type(a) == BF16 ? 2 : 4;
    if (all * a->T * a->D == 0) return;
    if (size == 2 ? attend_tensor(a, y, y_type, sums) : attend_short(a, y, y_type, sums)) return;
    int64_t bytes = padded(a->T * a->D * size) + 2 * padded(a->S * a->D * size) + padded(a->T * a->D * 4) +
                    padded(a->T * a->S * 4) + (size == 2 ? padded(a->T * a->S * 2) : 0);
    int64_t chunk = chunk_heads(a, bytes);
    char *memory = (char *) cuda_scratch((size_t) (chunk * bytes));
    for (int64_t first = 0; first < all; first += chunk)
        attend_chunk(a, first, smaller(chunk, all - first), memory, y, y_type, sums);
}

/* --- backward: P = exp(S - L), dV = P^T dO, dS = P (dO V^T - rowsum(dO O)), dQ = dS K, dK = dS^T Q --- */

static void back_chunk(const attention_problem *a, const attention_slopes *d, int64_t first, int64_t heads,
                       char *memory) {
    dtype type = product_type(a);
    int64_t size = type == BF16 ? 2 : 4, T = a->T, S = a->S, D = a->D;
    void *q = cut(&memory, heads * T * D * size), *g = cut(&memory, heads * T * D * size);
    void *k = cut(&memory, heads * S * D * size), *v = cut(&memory, heads * S * D * size);
    float *out = (float *) cut(&memory, heads * larger(T, S) * D * 4);
    float *s = (float *) cut(&memory, heads * T * S * 4), *dp = (float *) cut(&memory, heads * T * S * 4);
    void *p = type == BF16 ? cut(&memory, heads * T * S * size) : s;
    void *ds = type == BF16 ? cut(&memory, heads * T * S * size) : dp;
    panel queries = query_panel(a, first, heads), keys = key_panel(a, first, heads);
    pack(queries, q, type, a->q, a->q_type);
    pack(queries, g, type, d->grad, F32);
    pack(keys, k, type, a->k, a->k_type);
    pack(keys, v, type, a->v, a->v_type);
    cuda_matmul(heads, T, S, D, type, q, false, k, true, NULL, F32, s, false);
    cuda_matmul(heads, T, S, D, type, g, false, v, true, NULL, F32, dp, false);
    slope_kernel<<<blocks_for(heads * T, WARPS), THREADS, 0, cuda_stream>>>(*a, *d, first, heads, s, dp, p, ds, type);
    CHECK_LAUNCH("attention's slopes");
    if (d->dbias) {
        bias_kernel<<<blocks_for(a->bias_batch * a->bias_heads * T * S, THREADS), THREADS, 0, cuda_stream>>>(
            *a, first, heads, d->dbias, dp);
        CHECK_LAUNCH("attention's slope of the bias");
    }
    if (d->dv) {
        cuda_matmul(heads, S, D, T, type, p, true, g, false, NULL, F32, out, false);
        unpack_add(keys, d->dv, out, 1);
    }
    if (d->dq) {
        cuda_matmul(heads, T, D, S, type, ds, false, k, false, NULL, F32, out, false);
        unpack_add(queries, d->dq, out, a->scale);
    }
    if (!d->dk) return;
    cuda_matmul(heads, S, D, T, type, ds, true, q, false, NULL, F32, out, false);
    unpack_add(keys, d->dk, out, a->scale);
}

void cuda_attend_back(const attention_problem *a, const float *y, const float *grad, const float *sums, float *dq,
                      float *dk, float *dv, float *dbias) {
    attention_slopes d = {y, grad, sums, dq, dk, dv, a->bias ? dbias : NULL};
    int64_t all = a->B * a->H, size = product_type(a) == BF16 ? 2 : 4;
    if (all * a->T * a->S * a->D == 0) return;
    if (!d.dbias && (size == 2 ? attend_tensor_back(a, &d) : attend_short_back(a, &d))) return;
    int64_t bytes = 2 * padded(a->T * a->D * size) + 2 * padded(a->S * a->D * size) +
                    padded(larger(a->T, a->S) * a->D * 4) + 2 * padded(a->T * a->S * 4) +
                    (size == 2 ? 2 * padded(a->T * a->S * 2) : 0);
    int64_t chunk = chunk_heads(a, bytes);
    char *memory = (char *) cuda_scratch((size_t) (chunk * bytes));
    for (int64_t first = 0; first < all; first += chunk) back_chunk(a, &d, first, smaller(chunk, all - first), memory);
}
