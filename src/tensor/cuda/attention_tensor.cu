/* Attention of short sequences on tensor cores: as attention_short.cu, with operands rounded to BF16 (q, k, v, the slopes of the
 * result, the weights and their slopes); sums and the softmax stay f32.
 *
 * Panels [rows, dims] and weights [queries, keys] lie in shared memory as BF16; products are stored to stages, as F32, from where
 * the softmax or the device's memory takes them. Rows and columns are padded with zeros to whole tiles of 16; strides are longer
 * by 16 bytes, so that the eight rows of a fragment meet different banks. */
#include "tensor/cuda/attention_rows.h"

#include <mma.h>

using namespace nvcuda;

enum { TILE = 16, LEAST_WARPS = 2, MOST_WARPS = 8 };

typedef __nv_bfloat16 bf16;

typedef struct {
    int T, S, D, group;                  /* query heads to a key head */
    int queries, keys, dims;             /* T, S, D padded */
    int panel, weights, square, results; /* strides: of panels and weights in BF16, of scores and results in F32 */
    int stage;                           /* floats of a stage: a square or a panel of results */
    bool vector;                         /* rows of all operands may be read by fours */
} tensor_layout;

/* --- tiles --- */

template <bool TURNED> struct major { typedef wmma::row_major order; };
template <> struct major<true> { typedef wmma::col_major order; };

/* to [m, n] = a b, a tile to a warp. A_TURNED: a is stored [k, m], else [m, k]; B_TURNED: b is stored [n, k], else [k, n]. */
template <bool A_TURNED, bool B_TURNED>
static __device__ __forceinline__ void product(int m, int n, int k, const bf16 *a, int a_stride, const bf16 *b,
                                               int b_stride, float *to, int stride) {
    int across = n / TILE;
    for (int tile = threadIdx.x / 32; tile < m / TILE * across; tile += blockDim.x / 32) {
        int row = tile / across * TILE, column = tile % across * TILE;
        wmma::fragment<wmma::accumulator, TILE, TILE, TILE, float> sum;
        wmma::fill_fragment(sum, 0.0f);
        for (int at = 0; at < k; at += TILE) {
            wmma::fragment<wmma::matrix_a, TILE, TILE, TILE, bf16, typename major<A_TURNED>::order> x;
            wmma::fragment<wmma::matrix_b, TILE, TILE, TILE, bf16, typename major<B_TURNED>::order> y;
            wmma::load_matrix_sync(x, A_TURNED ? a + at * a_stride + row : a + row * a_stride + at, a_stride);
            wmma::load_matrix_sync(y, B_TURNED ? b + column * b_stride + at : b + at * b_stride + column, b_stride);
            wmma::mma_sync(sum, x, y, sum);
        }
        wmma::store_matrix_sync(to + row * stride + column, sum, stride, wmma::mem_row_major);
    }
}

/* --- between the device's memory and panels --- */

static __device__ __forceinline__ void set_four(bf16 *to, float4 four) {
    uint2 pair;
    pair.x = __bfloat16_as_ushort(__float2bfloat16_rn(four.x)) |
             (uint32_t) __bfloat16_as_ushort(__float2bfloat16_rn(four.y)) << 16;
    pair.y = __bfloat16_as_ushort(__float2bfloat16_rn(four.z)) |
             (uint32_t) __bfloat16_as_ushort(__float2bfloat16_rn(four.w)) << 16;
    *(uint2 *) to = pair;
}

/* rows of x, `step` elements apart from element `from` on, into a panel of `padded` rows. */
static __device__ __forceinline__ void load_panel(const tensor_layout &l, bf16 *to, int rows, int padded, const void *x,
                                                  int type, int64_t from, int64_t step) {
    int across = l.dims / 4;
    for (int i = threadIdx.x; i < padded * across; i += blockDim.x) {
        int row = i / across, d = i % across * 4;
        float4 four = make_float4(0, 0, 0, 0);
        if (row < rows && d < l.D) four = four_of_row(x, type, from + row * step + d, d, l.D, l.vector);
        set_four(to + row * l.panel + d, four);
    }
}

/* Results [rows, dims] of a stage, times factor, stored to x (F32 or BF16) or added to it (F32). */
static __device__ __forceinline__ void keep(const tensor_layout &l, const float *stage, int rows, void *x, int type,
                                            int64_t from, int64_t step, float factor, bool add) {
    int across = (l.D + 3) / 4;
    for (int i = threadIdx.x; i < rows * across; i += blockDim.x) {
        int row = i / across, d = i % across * 4;
        int64_t at = from + row * step + d;
        float4 four = *(const float4 *) (stage + row * l.results + d);
        four = make_float4(four.x * factor, four.y * factor, four.z * factor, four.w * factor);
        if (l.vector && add) {
            float4 old = *(const float4 *) ((const float *) x + at);
            four = make_float4(old.x + four.x, old.y + four.y, old.z + four.z, old.w + four.w);
        }
        if (l.vector && type == F32) *(float4 *) ((float *) x + at) = four;
        else if (l.vector) set_four((bf16 *) x + at, four);
        if (l.vector) continue;
        const float values[4] = {four.x, four.y, four.z, four.w};
        for (int j = 0; j < 4 && d + j < l.D; j++)
            set_element(x, type, at + j, values[j] + (add ? element(x, type, at + j) : 0.0f));
    }
}

/* One row of weights or their slopes, BF16. Past S it is zero, as products with padding are. */
static __device__ __forceinline__ void round_row(const tensor_layout &l, bf16 *to, const float *from) {
    for (int s = threadIdx.x % 32; s < l.keys; s += 32) to[s] = __float2bfloat16_rn(from[s]);
}

/* --- forward --- */

extern __shared__ float4 shared_memory[];

__global__ static void __launch_bounds__(MOST_WARPS * 32)
    tensor_kernel(attention_problem a, tensor_layout l, void *y, int y_type, float *sums) {
    bf16 *q = (bf16 *) shared_memory, *k = q + l.queries * l.panel, *v = k + l.keys * l.panel;
    bf16 *p = v + l.keys * l.panel;
    float *stage = (float *) (p + l.queries * l.weights);
    int64_t batch = blockIdx.x / a.G, key_head = blockIdx.x % a.G, key_at = (batch * a.S * a.G + key_head) * a.D;
    load_panel(l, k, l.S, l.keys, a.k, a.k_type, key_at, a.G * a.D);
    load_panel(l, v, l.S, l.keys, a.v, a.v_type, key_at, a.G * a.D);
    for (int64_t head = key_head * l.group; head < (key_head + 1) * l.group; head++) {
        int64_t at = (batch * a.T * a.H + head) * a.D;
        load_panel(l, q, l.T, l.queries, a.q, a.q_type, at, a.H * a.D);
        __syncthreads();
        product<false, true>(l.queries, l.keys, l.dims, q, l.panel, k, l.panel, stage, l.square);
        __syncthreads();
        for (int t = threadIdx.x / 32; t < l.queries; t += blockDim.x / 32) {
            if (t < l.T) soften(a, stage + t * l.square, batch, head, t, sums);
            round_row(l, p + t * l.weights, stage + t * l.square);
        }
        __syncthreads();
        product<false, false>(l.queries, l.dims, l.keys, p, l.weights, v, l.panel, stage, l.results);
        __syncthreads();
        keep(l, stage, l.T, y, y_type, at, a.H * a.D, 1.0f, false);
        __syncthreads();
    }
}

/* --- backward: P = exp(S - L), dV = P^T dO, dS = P (dO V^T - rowsum(dO O)), dQ = dS K, dK = dS^T Q --- */

__global__ static void __launch_bounds__(MOST_WARPS * 32)
    tensor_back_kernel(attention_problem a, tensor_layout l, attention_slopes d) {
    bf16 *q = (bf16 *) shared_memory, *g = q + l.queries * l.panel, *k = g + l.queries * l.panel;
    bf16 *v = k + l.keys * l.panel, *p = v + l.keys * l.panel, *ds = p + l.queries * l.weights;
    float *first = (float *) (ds + l.queries * l.weights), *second = first + l.stage;
    int64_t batch = blockIdx.x / a.G, key_head = blockIdx.x % a.G, key_at = (batch * a.S * a.G + key_head) * a.D;
    int64_t step = a.H * a.D, key_step = a.G * a.D;
    load_panel(l, k, l.S, l.keys, a.k, a.k_type, key_at, key_step);
    load_panel(l, v, l.S, l.keys, a.v, a.v_type, key_at, key_step);
    for (int64_t head = key_head * l.group; head < (key_head + 1) * l.group; head++) {
        int64_t at = (batch * a.T * a.H + head) * a.D;
        load_panel(l, q, l.T, l.queries, a.q, a.q_type, at, step);
        load_panel(l, g, l.T, l.queries, d.grad, F32, at, step);
        __syncthreads();
        product<false, true>(l.queries, l.keys, l.dims, q, l.panel, k, l.panel, first, l.square);
        product<false, true>(l.queries, l.keys, l.dims, g, l.panel, v, l.panel, second, l.square);
        __syncthreads();
        for (int t = threadIdx.x / 32; t < l.queries; t += blockDim.x / 32) {
            float *scores = first + t * l.square, *slopes = second + t * l.square;
            if (t < l.T) slope_scores(a, scores, slopes, d, batch, head, t);
            round_row(l, p + t * l.weights, scores);
            round_row(l, ds + t * l.weights, slopes);
        }
        __syncthreads();
        product<true, false>(l.keys, l.dims, l.queries, p, l.weights, g, l.panel, first, l.results);
        product<true, false>(l.keys, l.dims, l.queries, ds, l.weights, q, l.panel, second, l.results);
        __syncthreads();
        if (d.dv) keep(l, first, l.S, d.dv, F32, key_at, key_step, 1.0f, true);
        if (d.dk) keep(l, second, l.S, d.dk, F32, key_at, key_step, a.scale, true);
        __syncthreads();
        if (!d.dq) continue;
        product<false, false>(l.queries, l.dims, l.keys, ds, l.weights, k, l.panel, first, l.results);
        __syncthreads();
        keep(l, first, l.T, d.dq, F32, at, step, a.scale, true);
        __syncthreads();
    }
}

/* --- the host's part --- */

static int to_tile(int64_t n) { return (int) ((n + TILE - 1) / TILE * TILE); }
static int larger(int a, int b) { return a > b ? a : b; }

static tensor_layout layout_of(const attention_problem *a) {
    tensor_layout l = {};
    l.T = (int) a->T, l.S = (int) a->S, l.D = (int) a->D, l.group = (int) (a->H / a->G);
    l.queries = to_tile(a->T), l.keys = to_tile(a->S), l.dims = to_tile(a->D);
    l.panel = l.dims + 8, l.weights = l.keys + 8, l.square = l.keys + 4, l.results = l.dims + 4;
    l.stage = larger(l.queries * l.square, larger(l.queries, l.keys) * l.results);
    l.vector = a->D % 4 == 0 && by_fours(a->q, a->q_type) && by_fours(a->k, a->k_type) && by_fours(a->v, a->v_type);
    return l;
}

/* Bytes of shared memory for so many panels of queries and of keys, and for stages with weights each. */
static int64_t shared_bytes(const tensor_layout *l, int query_panels, int key_panels, int weights, int stages) {
    int64_t panels = (int64_t) query_panels * l->queries + (int64_t) key_panels * l->keys;
    return (panels * l->panel + (int64_t) weights * l->queries * l->weights) * 2 + (int64_t) stages * l->stage * 4;
}

static unsigned threads_for(const tensor_layout *l) {
    int tiles = larger(l->queries, l->keys) / TILE * (larger(l->keys, l->dims) / TILE);
    return (unsigned) (tiles < LEAST_WARPS ? LEAST_WARPS : tiles > MOST_WARPS ? MOST_WARPS : tiles) * 32;
}

/* Both kernels' limit is raised at the first launch. */
static void allow_shared(void) {
    static bool done;
    if (done) return;
    cuda_check(cudaFuncSetAttribute(tensor_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, hiss_shared_bytes),
               "asking for shared memory");
    cuda_check(cudaFuncSetAttribute(tensor_back_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, hiss_shared_bytes),
               "asking for shared memory");
    done = true;
}

bool attend_tensor(const attention_problem *a, void *y, dtype y_type, float *sums) {
    if (!is_short(a)) return false;
    tensor_layout l = layout_of(a);
    int64_t bytes = shared_bytes(&l, 1, 2, 1, 1);
    if (bytes > hiss_shared_bytes) return false;
    l.vector = l.vector && by_fours(y, y_type);
    allow_shared();
    unsigned blocks = (unsigned) (a->B * a->G);
    tensor_kernel<<<blocks, threads_for(&l), (size_t) bytes, cuda_stream>>>(*a, l, y, y_type, sums);
    CHECK_LAUNCH("attention");
    return true;
}

bool attend_tensor_back(const attention_problem *a, const attention_slopes *d) {
    if (!is_short(a)) return false;
    tensor_layout l = layout_of(a);
    int64_t bytes = shared_bytes(&l, 2, 2, 2, 2);
    if (bytes > hiss_shared_bytes) return false;
    l.vector =
        l.vector && by_fours(d->grad, F32) && by_fours(d->dq, F32) && by_fours(d->dk, F32) && by_fours(d->dv, F32);
    allow_shared();
    unsigned blocks = (unsigned) (a->B * a->G);
    tensor_back_kernel<<<blocks, threads_for(&l), (size_t) bytes, cuda_stream>>>(*a, l, *d);
    CHECK_LAUNCH("attention's way back");
    return true;
}
