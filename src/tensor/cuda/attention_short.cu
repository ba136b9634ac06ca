/* Attention of short sequences without writing scores out: one block holds a batch item's key head, and one query head after the
 * other of its group, in shared memory. Sums in f32 of f32 operands (BF16 ones are widened), each in one order.
 *
 * Panels [rows, wide] hold q, k, v and slopes; squares [queries, keys] hold scores. Rows and columns are padded with zeros to
 * multiples of 4, so that tiles of 4 x 4 need no edges. A row's stride is an odd number of fours: eight threads that read fours
 * of eight rows then meet all 32 banks. */
#include "tensor/cuda/products.h"

enum { LEAST_THREADS = 64, MOST_THREADS = 256 };

typedef struct {
    int T, S, D, group;      /* query heads to a key head */
    int queries, keys, dims; /* T, S, D padded */
    int panel, square;       /* strides of rows, in floats */
    bool vector;             /* rows of all operands may be read by fours */
} layout;

static int to_four(int64_t n) { return (int) ((n + 3) / 4 * 4); }
static int row_stride(int n) { return n % 8 ? n : n + 4; }

/* --- tiles --- */

/* rows [m, n] of sums over k of a b, by 4 x 4 tiles: keep(row, column, sum) is called once for each tile with its first row; the
 * tile's columns are column + step j. A_TURNED: a is stored [k, m], else [m, k]; B_TURNED: b is stored [n, k], else [k, n]. */
template <bool A_TURNED, bool B_TURNED, class Keep>
static __device__ __forceinline__ void product(int m, int n, int k, const float *a, int a_stride, const float *b,
                                               int b_stride, Keep keep) {
    int across = n / 4;
    for (int tile = threadIdx.x; tile < m / 4 * across; tile += blockDim.x) {
        int row = tile / across * 4, place = tile % across, column = B_TURNED ? place : place * 4;
        float sum[4][4] = {};
        for (int at = 0; at < k; at += 4) {
            float4 x[4], y[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                x[i] = *(const float4 *) (A_TURNED ? a + (at + i) * a_stride + row : a + (row + i) * a_stride + at);
                y[i] = *(const float4 *) (B_TURNED ? b + (column + across * i) * b_stride + at
                                                   : b + (at + i) * b_stride + column);
            }
            const float *u = &x[0].x, *w = &y[0].x; /* registers, once all loops are unrolled */
#pragma unroll
            for (int s = 0; s < 4; s++)
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int j = 0; j < 4; j++)
                        sum[i][j] += u[A_TURNED ? s * 4 + i : i * 4 + s] * w[B_TURNED ? j * 4 + s : s * 4 + j];
        }
        keep(row, column, sum);
    }
}

/* The square [queries, keys] = a b^T of two panels. */
static __device__ __forceinline__ void square_of(const layout &l, const float *a, const float *b, float *to) {
    int stride = l.square, step = l.keys / 4;
    product<false, true>(l.queries, l.keys, l.dims, a, l.panel, b, l.panel,
                         [=](int row, int column, const float(&sum)[4][4]) {
                             for (int i = 0; i < 4; i++)
                                 for (int j = 0; j < 4; j++) to[(row + i) * stride + column + step * j] = sum[i][j];
                         });
}

/* --- between the device's memory and panels --- */

static __device__ __forceinline__ float4 four_elements(const void *x, int type, int64_t at) {
    if (type != BF16) return *(const float4 *) ((const float *) x + at);
    uint2 pair = *(const uint2 *) ((const uint16_t *) x + at);
    return make_float4(__uint_as_float(pair.x << 16), __uint_as_float(pair.x & 0xffff0000u),
                       __uint_as_float(pair.y << 16), __uint_as_float(pair.y & 0xffff0000u));
}

/* rows of x, `step` elements apart from element `from` on, into a panel of `padded` rows. */
static __device__ __forceinline__ void load_panel(const layout &l, float *to, int rows, int padded, const void *x,
                                                  int type, int64_t from, int64_t step) {
    int across = l.dims / 4;
    for (int i = threadIdx.x; i < padded * across; i += blockDim.x) {
        int row = i / across, d = i % across * 4;
        float4 four = make_float4(0, 0, 0, 0);
        int64_t at = from + row * step + d;
        if (row < rows && l.vector) four = four_elements(x, type, at);
        if (row < rows && !l.vector) {
            four.x = element(x, type, at);
            if (d + 1 < l.D) four.y = element(x, type, at + 1);
            if (d + 2 < l.D) four.z = element(x, type, at + 2);
            if (d + 3 < l.D) four.w = element(x, type, at + 3);
        }
        *(float4 *) (to + row * l.panel + d) = four;
    }
}

/* Four rows of a tile's sums, times factor, stored to x (F32 or BF16) or added to it (F32). */
static __device__ __forceinline__ void keep_tile(const layout &l, const float (&sum)[4][4], int row, int column,
                                                 int rows, void *x, int type, int64_t from, int64_t step, float factor,
                                                 bool add) {
    for (int i = 0; i < 4 && row + i < rows; i++) {
        int64_t at = from + (row + i) * step + column;
        if (l.vector && type == F32) {
            float4 *to = (float4 *) ((float *) x + at);
            float4 old = add ? *to : make_float4(0, 0, 0, 0);
            *to = make_float4(old.x + sum[i][0] * factor, old.y + sum[i][1] * factor, old.z + sum[i][2] * factor,
                              old.w + sum[i][3] * factor);
            continue;
        }
        for (int j = 0; j < 4 && column + j < l.D; j++)
            set_element(x, type, at + j, sum[i][j] * factor + (add ? element(x, type, at + j) : 0.0f));
    }
}

/* --- forward --- */

/* Products become weights; a warp to a query. Hidden and padding keys, and padding queries, weigh nothing. */
static __device__ void soften(const attention_problem &a, const layout &l, float *p, int64_t batch, int64_t head,
                              float *sums) {
    int lane = threadIdx.x % 32;
    for (int t = threadIdx.x / 32; t < l.T; t += blockDim.x / 32) {
        score_row r = score_row_of(&a, batch, head, t);
        float *x = p + t * l.square, most = -INFINITY, sum = 0;
        for (int s = lane; s < l.S; s += 32) {
            x[s] = score(&r, x[s], s);
            most = fmaxf(most, x[s]);
        }
        most = warp_max(most);
        float base = most == -INFINITY ? 0.0f : most; /* nothing is seen: exp(-inf) = 0 each */
        for (int s = lane; s < l.S; s += 32) {
            x[s] = expf(x[s] - base);
            sum += x[s];
        }
        sum = warp_sum(sum);
        float inverse = sum > 0 ? 1.0f / sum : 0.0f;
        for (int s = lane; s < l.S; s += 32) x[s] *= inverse;
        if (sums && lane == 0) sums[(batch * a.H + head) * a.T + t] = sum > 0 ? base + logf(sum) : INFINITY;
    }
}

extern __shared__ float4 shared_memory[];

__global__ static void __launch_bounds__(MOST_THREADS)
    attend_kernel(attention_problem a, layout l, void *y, int y_type, float *sums) {
    float *q = (float *) shared_memory, *k = q + l.queries * l.panel, *v = k + l.keys * l.panel;
    float *p = v + l.keys * l.panel;
    int64_t batch = blockIdx.x / a.G, key_head = blockIdx.x % a.G, key_at = (batch * a.S * a.G + key_head) * a.D;
    load_panel(l, k, l.S, l.keys, a.k, a.k_type, key_at, a.G * a.D);
    load_panel(l, v, l.S, l.keys, a.v, a.v_type, key_at, a.G * a.D);
    for (int64_t head = key_head * l.group; head < (key_head + 1) * l.group; head++) {
        int64_t at = (batch * a.T * a.H + head) * a.D, step = a.H * a.D;
        load_panel(l, q, l.T, l.queries, a.q, a.q_type, at, step);
        __syncthreads();
        square_of(l, q, k, p);
        __syncthreads();
        soften(a, l, p, batch, head, sums);
        __syncthreads();
        product<false, false>(l.queries, l.dims, l.keys, p, l.square, v, l.panel,
                              [&](int row, int column, const float(&sum)[4][4]) {
                                  keep_tile(l, sum, row, column, l.T, y, y_type, at, step, 1.0f, false);
                              });
    }
}

/* --- backward: P = exp(S - L), dV = P^T dO, dS = P (dO V^T - rowsum(dO O)), dQ = dS K, dK = dS^T Q --- */

typedef struct {
    const float *y, *grad, *sums;
    float *dq, *dk, *dv; /* each may be NULL */
} slopes;

/* p: products -> P; ds: dP -> dS. g: the slopes of the result, a panel; y: the result, its rows `step` apart. */
static __device__ void slope_scores(const attention_problem &a, const layout &l, float *p, float *ds, const float *g,
                                    const float *y, int64_t step, const float *sums, int64_t batch, int64_t head) {
    int lane = threadIdx.x % 32;
    for (int t = threadIdx.x / 32; t < l.T; t += blockDim.x / 32) {
        score_row r = score_row_of(&a, batch, head, t);
        float delta = 0, sum = sums[(batch * a.H + head) * a.T + t];
        for (int d = lane; d < l.D; d += 32) delta += g[t * l.panel + d] * y[t * step + d];
        delta = warp_sum(delta);
        for (int s = lane; s < l.S; s += 32) {
            float x = score(&r, p[t * l.square + s], s);
            float w = x == -INFINITY || sum == INFINITY ? 0.0f : expf(x - sum);
            p[t * l.square + s] = w;
            ds[t * l.square + s] = w * (ds[t * l.square + s] - delta);
        }
    }
}

__global__ static void __launch_bounds__(MOST_THREADS) attend_back_kernel(attention_problem a, layout l, slopes d) {
    float *q = (float *) shared_memory, *g = q + l.queries * l.panel, *k = g + l.queries * l.panel;
    float *v = k + l.keys * l.panel, *p = v + l.keys * l.panel, *ds = p + l.queries * l.square;
    int64_t batch = blockIdx.x / a.G, key_head = blockIdx.x % a.G, key_at = (batch * a.S * a.G + key_head) * a.D;
    int64_t step = a.H * a.D, key_step = a.G * a.D;
    load_panel(l, k, l.S, l.keys, a.k, a.k_type, key_at, key_step);
    load_panel(l, v, l.S, l.keys, a.v, a.v_type, key_at, key_step);
    for (int64_t head = key_head * l.group; head < (key_head + 1) * l.group; head++) {
        int64_t at = (batch * a.T * a.H + head) * a.D;
        load_panel(l, q, l.T, l.queries, a.q, a.q_type, at, step);
        load_panel(l, g, l.T, l.queries, d.grad, F32, at, step);
        __syncthreads();
        square_of(l, q, k, p);
        square_of(l, g, v, ds);
        __syncthreads();
        slope_scores(a, l, p, ds, g, d.y + at, step, d.sums, batch, head);
        __syncthreads();
        if (d.dv)
            product<true, false>(l.keys, l.dims, l.queries, p, l.square, g, l.panel,
                                 [&](int row, int column, const float(&sum)[4][4]) {
                                     keep_tile(l, sum, row, column, l.S, d.dv, F32, key_at, key_step, 1.0f, true);
                                 });
        if (d.dk)
            product<true, false>(l.keys, l.dims, l.queries, ds, l.square, q, l.panel,
                                 [&](int row, int column, const float(&sum)[4][4]) {
                                     keep_tile(l, sum, row, column, l.S, d.dk, F32, key_at, key_step, a.scale, true);
                                 });
        if (d.dq)
            product<false, false>(l.queries, l.dims, l.keys, ds, l.square, k, l.panel,
                                  [&](int row, int column, const float(&sum)[4][4]) {
                                      keep_tile(l, sum, row, column, l.T, d.dq, F32, at, step, a.scale, true);
                                  });
        __syncthreads();
    }
}

/* --- the host's part --- */

/* Whether x (or NULL) can be read by four elements of a type. */
static bool by_fours(const void *x, int type) { return (uintptr_t) x % (type == BF16 ? 8 : 16) == 0; }

static layout layout_of(const attention_problem *a) {
    layout l = {(int) a->T, (int) a->S, (int) a->D, (int) (a->H / a->G), to_four(a->T), to_four(a->S), to_four(a->D)};
    l.panel = row_stride(l.dims);
    l.square = row_stride(l.keys);
    l.vector = a->D % 4 == 0 && by_fours(a->q, a->q_type) && by_fours(a->k, a->k_type) && by_fours(a->v, a->v_type);
    return l;
}

/* Bytes of shared memory for `sides` panels of queries and of keys each, and as many squares as said. */
static int64_t shared_bytes(const layout *l, int query_panels, int key_panels, int squares) {
    int64_t queries = l->queries, keys = l->keys;
    return ((query_panels * queries + key_panels * keys) * l->panel + squares * queries * l->square) * 4;
}

static int threads_for(const layout *l) {
    int longer = l->queries > l->keys ? l->queries : l->keys, wider = l->keys > l->dims ? l->keys : l->dims;
    int tiles = longer / 4 * (wider / 4), threads = (tiles + 31) / 32 * 32;
    return threads < LEAST_THREADS ? LEAST_THREADS : threads > MOST_THREADS ? MOST_THREADS : threads;
}

/* Beyond these a launch or an index could overflow; the shared memory says no long before for most. */
static bool is_short(const attention_problem *a) {
    return a->T <= 1024 && a->S <= 1024 && a->D <= 512 && a->S > 0 && a->B * a->G <= INT32_MAX;
}

/* Both kernels' limit is raised at the first launch. */
static void allow_shared(void) {
    static bool done;
    if (done) return;
    cuda_check(cudaFuncSetAttribute(attend_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, hiss_shared_bytes),
               "asking for shared memory");
    cuda_check(cudaFuncSetAttribute(attend_back_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, hiss_shared_bytes),
               "asking for shared memory");
    done = true;
}

bool attend_short(const attention_problem *a, void *y, dtype y_type, float *sums) {
    if (!is_short(a)) return false;
    layout l = layout_of(a);
    int64_t bytes = shared_bytes(&l, 1, 2, 1);
    if (bytes > hiss_shared_bytes) return false;
    l.vector = l.vector && by_fours(y, y_type);
    allow_shared();
    attend_kernel<<<(unsigned) (a->B * a->G), (unsigned) threads_for(&l), (size_t) bytes, hiss_stream>>>(*a, l, y,
                                                                                                         y_type, sums);
    CHECK_LAUNCH("attention");
    return true;
}

bool attend_short_back(const attention_problem *a, const float *y, const float *grad, const float *sums, float *dq,
                       float *dk, float *dv) {
    if (!is_short(a)) return false;
    layout l = layout_of(a);
    int64_t bytes = shared_bytes(&l, 2, 2, 2);
    if (bytes > hiss_shared_bytes) return false;
    l.vector = l.vector && by_fours(grad, F32) && by_fours(dq, F32) && by_fours(dk, F32) && by_fours(dv, F32);
    allow_shared();
    slopes d = {y, grad, sums, dq, dk, dv};
    attend_back_kernel<<<(unsigned) (a->B * a->G), (unsigned) threads_for(&l), (size_t) bytes, hiss_stream>>>(*a, l, d);
    CHECK_LAUNCH("attention's way back");
    return true;
}
