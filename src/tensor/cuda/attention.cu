/* Attention of any length by matrix products: scores [heads, T, S] are written out for as many heads at a time as the scratch
 * memory holds. F32 operands give F32 products; where q, k and v all are BF16, the products are (sums and softmax stay f32).
 * Short sequences go another way: attention_short.cu.
 *
 * A head is one (batch item, query head), counted n = batch H + head; packed panels are [heads, rows, D], where a key head stands
 * once for each query head that reads it. Chunks are whole groups of query heads, so that the sums over a group have one order. */
#include "tensor/cuda/products.h"

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
    pack_kernel<<<blocks_for(p.heads * p.rows * p.D, THREADS), THREADS, 0, hiss_stream>>>(p, to, to_type, from,
                                                                                          from_type);
    CHECK_LAUNCH("packing attention's heads");
}

static void unpack_add(panel p, float *to, const float *from, float factor) {
    unpack_add_kernel<<<blocks_for(p.heads / p.group * p.rows * p.D, THREADS), THREADS, 0, hiss_stream>>>(p, to, from,
                                                                                                          factor);
    CHECK_LAUNCH("adding attention's gradients");
}

/* --- rows of scores: a warp to a query --- */

/* s [heads, T, S] products -> p (of type p_type; may be s itself) the softmax; sums [B, H, T] the logs of the rows' sums. */
__global__ static void softmax_kernel(attention_problem a, int64_t first, int64_t heads, float *s, void *p, int p_type,
                                      float *sums) {
    int64_t rows = heads * a.T, step = (int64_t) gridDim.x * WARPS;
    int lane = threadIdx.x % 32;
    for (int64_t row = (int64_t) blockIdx.x * WARPS + threadIdx.x / 32; row < rows; row += step) {
        int64_t head = first + row / a.T, t = row % a.T;
        score_row r = score_row_of(&a, head / a.H, head % a.H, t);
        float *x = s + row * a.S, most = -INFINITY, sum = 0;
        for (int64_t i = lane; i < a.S; i += 32) {
            x[i] = score(&r, x[i], i);
            most = fmaxf(most, x[i]);
        }
        most = warp_max(most);
        float base = most == -INFINITY ? 0.0f : most; /* nothing is seen: exp(-inf) = 0 each */
        for (int64_t i = lane; i < a.S; i += 32) {
            x[i] = expf(x[i] - base);
            sum += x[i];
        }
        sum = warp_sum(sum);
        float inverse = sum > 0 ? 1.0f / sum : 0.0f;
        for (int64_t i = lane; i < a.S; i += 32) set_element(p, p_type, row * a.S + i, x[i] * inverse);
        if (sums && lane == 0) sums[first * a.T + row] = sum > 0 ? base + logf(sum) : INFINITY;
    }
}

/* s products -> the weights P, g dP -> dS = P (dP - delta); copies of both in `type`, unless they are F32 themselves. */
__global__ static void slope_kernel(attention_problem a, int64_t first, int64_t heads, const float *sums,
                                    const float *delta, float *s, float *g, void *p, void *ds, int type) {
    int64_t rows = heads * a.T, step = (int64_t) gridDim.x * WARPS;
    for (int64_t row = (int64_t) blockIdx.x * WARPS + threadIdx.x / 32; row < rows; row += step) {
        int64_t head = first + row / a.T;
        score_row r = score_row_of(&a, head / a.H, head % a.H, row % a.T);
        float sum = sums[first * a.T + row], middle = delta[row];
        for (int64_t i = threadIdx.x % 32; i < a.S; i += 32) {
            int64_t at = row * a.S + i;
            float x = score(&r, s[at], i);
            float w = x == -INFINITY || sum == INFINITY ? 0.0f : expf(x - sum), slope = w * (g[at] - middle);
            g[at] = slope;
            set_element(p, type, at, w);
            if (type != F32) set_element(ds, type, at, slope);
        }
    }
}

/* delta [heads, T] = the sum over d of grad y, both [B, T, H D]. */
__global__ static void delta_kernel(panel p, float *delta, const float *y, const float *grad) {
    int64_t rows = p.heads * p.rows, step = (int64_t) gridDim.x * WARPS;
    int lane = threadIdx.x % 32;
    for (int64_t row = (int64_t) blockIdx.x * WARPS + threadIdx.x / 32; row < rows; row += step) {
        int64_t head = p.first + row / p.rows;
        int64_t at = ((head / p.H * p.rows + row % p.rows) * p.H + head % p.H) * p.D;
        float sum = 0;
        for (int64_t d = lane; d < p.D; d += 32) sum += grad[at + d] * y[at + d];
        sum = warp_sum(sum);
        if (lane == 0) delta[row] = sum;
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
    return a->q_type == BF16 && a->k_type == BF16 && a->v_type == BF16 ? BF16 : F32;
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
    softmax_kernel<<<blocks_for(heads * T, WARPS), THREADS, 0, hiss_stream>>>(*a, first, heads, s, p, type, sums);
    CHECK_LAUNCH("attention's softmax");
    cuda_matmul(heads, T, D, S, type, p, false, v, false, NULL, F32, o, false);
    unpack_kernel<<<blocks_for(heads * T * D, THREADS), THREADS, 0, hiss_stream>>>(queries, y, y_type, o);
    CHECK_LAUNCH("unpacking attention's heads");
}

/* Without a shared bias the remainders by its batch and heads stay defined. */
static attention_problem completed(const attention_problem *given) {
    attention_problem a = *given;
    if (!a.bias) a.bias_batch = a.bias_heads = 1;
    return a;
}

void cuda_attend(const attention_problem *given, void *y, dtype y_type, float *sums) {
    attention_problem a = completed(given);
    int64_t all = a.B * a.H, size = product_type(&a) == BF16 ? 2 : 4;
    if (all * a.T * a.D == 0) return;
    if (attend_short(&a, y, y_type, sums)) return;
    int64_t bytes = padded(a.T * a.D * size) + 2 * padded(a.S * a.D * size) + padded(a.T * a.D * 4) +
                    padded(a.T * a.S * 4) + (size == 2 ? padded(a.T * a.S * 2) : 0);
    int64_t chunk = chunk_heads(&a, bytes);
    char *memory = (char *) cuda_scratch((size_t) (chunk * bytes));
    for (int64_t first = 0; first < all; first += chunk)
        attend_chunk(&a, first, smaller(chunk, all - first), memory, y, y_type, sums);
}

/* --- backward: P = exp(S - L), dV = P^T dO, dS = P (dO V^T - rowsum(dO O)), dQ = dS K, dK = dS^T Q --- */

typedef struct {
    const float *y, *grad, *sums;
    float *dq, *dk, *dv, *dbias;
} slopes;

static void back_chunk(const attention_problem *a, const slopes *d, int64_t first, int64_t heads, char *memory) {
    dtype type = product_type(a);
    int64_t size = type == BF16 ? 2 : 4, T = a->T, S = a->S, D = a->D;
    void *q = cut(&memory, heads * T * D * size), *g = cut(&memory, heads * T * D * size);
    void *k = cut(&memory, heads * S * D * size), *v = cut(&memory, heads * S * D * size);
    float *out = (float *) cut(&memory, heads * larger(T, S) * D * 4), *delta = (float *) cut(&memory, heads * T * 4);
    float *s = (float *) cut(&memory, heads * T * S * 4), *dp = (float *) cut(&memory, heads * T * S * 4);
    void *p = type == BF16 ? cut(&memory, heads * T * S * size) : s;
    void *ds = type == BF16 ? cut(&memory, heads * T * S * size) : dp;
    panel queries = query_panel(a, first, heads), keys = key_panel(a, first, heads);
    pack(queries, q, type, a->q, a->q_type);
    pack(queries, g, type, d->grad, F32);
    pack(keys, k, type, a->k, a->k_type);
    pack(keys, v, type, a->v, a->v_type);
    delta_kernel<<<blocks_for(heads * T, WARPS), THREADS, 0, hiss_stream>>>(queries, delta, d->y, d->grad);
    CHECK_LAUNCH("attention's sums of slopes");
    cuda_matmul(heads, T, S, D, type, q, false, k, true, NULL, F32, s, false);
    cuda_matmul(heads, T, S, D, type, g, false, v, true, NULL, F32, dp, false);
    slope_kernel<<<blocks_for(heads * T, WARPS), THREADS, 0, hiss_stream>>>(*a, first, heads, d->sums, delta, s, dp, p,
                                                                            ds, type);
    CHECK_LAUNCH("attention's slopes");
    if (d->dbias) {
        bias_kernel<<<blocks_for(a->bias_batch * a->bias_heads * T * S, THREADS), THREADS, 0, hiss_stream>>>(
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

void cuda_attend_back(const attention_problem *given, const float *y, const float *grad, const float *sums, float *dq,
                      float *dk, float *dv, float *dbias) {
    attention_problem a = completed(given);
    slopes d = {y, grad, sums, dq, dk, dv, a.bias ? dbias : NULL};
    int64_t all = a.B * a.H, size = product_type(&a) == BF16 ? 2 : 4;
    if (all * a.T * a.S * a.D == 0) return;
    if (!d.dbias && attend_short_back(&a, y, grad, sums, dq, dk, dv)) return;
    int64_t bytes = 2 * padded(a.T * a.D * size) + 2 * padded(a.S * a.D * size) + padded(larger(a.T, a.S) * a.D * 4) +
                    padded(a.T * 4) + 2 * padded(a.T * a.S * 4) + (size == 2 ? 2 * padded(a.T * a.S * 2) : 0);
    int64_t chunk = chunk_heads(&a, bytes);
    char *memory = (char *) cuda_scratch((size_t) (chunk * bytes));
    for (int64_t first = 0; first < all; first += chunk) back_chunk(&a, &d, first, smaller(chunk, all - first), memory);
}
