/* Attention of short sequences without writing scores out: one block holds a batch item's key head, and one query head after the
 * other of its group, in shared memory. Sums in f32 of f32 operands (BF16 ones are widened), each in one order.
 *
 * Panels [rows, wide] hold q, k, v and slopes; squares [queries, keys] hold scores. Rows and columns are padded with zeros to
 * multiples of 4, so that tiles of 4 x 4 need no edges. A row's stride is an odd number of fours: eight threads that read fours
 * of eight rows then meet all 32 banks. */
#include "tensor/cuda/attention_rows.h"

enum { LEAST_THREADS = 64, MOST_THREADS = 256 };

typedef struct {
    int T, S, D, group;      /* query heads to a key head */
    int queries, keys, dims; /* T, S, D padded */
    int panel, square;       /* strides of rows, in floats */
    bool vector;             /* rows of all operands may be read by fours */
} short_layout;

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
static __device__ __forceinline__ void square_of(const short_layout &l, const float *a, const float *b, float *to) {
    int stride = l.square, step = l.keys / 4;
    product<false, true>(l.queries, l.keys, l.dims, a, l.panel, b, l.panel,
                         [=](int row, int column, const float(&sum)[4][4]) {
                             for (int i = 0; i < 4; i++)
                                 for (int j = 0; j < 4; j++) to[(row + i) * stride + column + step * j] = sum[i][j];
                         });
}

/* --- between the device's memory and panels --- */

/* rows of x, `step` elements apart from element `from` on, into a panel of `padded` rows. */
static __device__ __forceinline__ void load_panel(const short_layout &l, float *to, int rows, int padded, const void *x,
                                                  int type, int64_t from, int64_t step) {
    int across = l.dims / 4;
    for (int i = threadIdx.x; i < padded * across; i += blockDim.x) {
        int row = i / across, d = i % across * 4;
        float4 four = make_float4(0, 0, 0, 0);
        if (row < rows) four = four_of_row(x, type, from + row * step + d, d, l.D, l.vector);
        *(float4 *) (to + row * l.panel + d) = four;
    }
}

/* Four rows of a tile's sums, times factor, stored to x (F32 or BF16) or added to it (F32). */
static __device__ __forceinline__ void keep_tile(const short_layout &l, const float (&sum)[4][4], int row, int column,
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

extern __shared__ float4 shared_memory[];

__global__ static void __launch_bounds__(MOST_THREADS)
    short_kernel(attention_problem a, short_layout l, void *y, int y_type, float *sums) {
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
        for (int t = threadIdx.x / 32; t < l.T; t += blockDim.x / 32) soften(a, p + t * l.square, batch, head, t, sums);
        __syncthreads();
        product<false, false>(l.queries, l.dims, l.keys, p, l.square, v, l.panel,
                              [&](int row, int column, const float(&sum)[4][4]) {
                                  keep_tile(l, sum, row, column, l.T, y, y_type, at, step, 1.0f, false);
                              });
    }
}

/* --- backward: P = exp(S - L), dV = P^T dO, dS = P (dO V^T - rowsum(dO O)), dQ = dS K, dK = dS^T Q --- */

__global__ static void __launch_bounds__(MOST_THREADS)
    short_back_kernel(attention_problem a, short_layout l, attention_slopes d) {
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
        for (int t = threadIdx.x / 32; t < l.T; t += blockDim.x / 32)
            slope_scores(a, p + t * l.square, ds + t * l.square, d, batch, head, t);
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

static short_layout layout_of(const attention_problem *a) {
    short_layout l = {
        (int) a->T, (int) a->S, (int) a->D, (int) (a->H / a->G), to_four(a->T), to_four(a->S), to_four(a->D),
        0,          0,          false};
    l.panel = row_stride(l.dims);
    l.square = row_stride(l.keys);
    l.vector = a->D % 4 == 0 && by_fours(a->q, a->q_type) && by_fours(a->k, a->k_type) && by_fours(a->v, a->v_type);
    return l;
}

/* Bytes of shared memory for `sides` panels of queries and of keys each, and as many squares as said. */
static int64_t shared_bytes(const short_layout *l, int query_panels, int key_panels, int squares) {
    int64_t queries = l->queries, keys = l->keys;
    return ((query_panels * queries + key_panels * keys) * l->panel + squares * queries * l->square) * 4;
}

static int threads_for(const short_layout *l) {
    int longer = l->queries > l->keys ? l->queries : l->keys, wider = l->keys > l->dims ? l->keys : l->dims;
    int tiles = longer / 4 * (wider / 4), threads = (tiles + 31) / 32 * 32;
    return threads < LEAST_THREADS ? LEAST_THREADS : threads > MOST_THREADS ? MOST_THREADS : threads;
}

/* Both kernels' limit is raised at the first launch. */
static void allow_shared(void) {
    static bool done;
    if (done) return;
    cuda_check(cudaFuncSetAttribute(short_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, hiss_shared_bytes),
               "asking for shared memory");
    cuda_check(cudaFuncSetAttribute(short_back_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, hiss_shared_bytes),
               "asking for shared memory");
    done = true;
}

bool attend_short(const attention_problem *a, void *y, dtype y_type, float *sums) {
    if (!is_short(a)) return false;
    short_layout l = layout_of(a);
    int64_t bytes = shared_bytes(&l, 1, 2, 1);
    if (bytes > hiss_shared_bytes) return false;
    l.vector = l.vector && by_fours(y, y_type);
    allow_shared();
    short_kernel<<<(unsigned) (a->B * a->G), (unsigned) threads_for(&l), (size_t) bytes, cuda_stream>>>(*a, l, y,
                                                                                                        y_type, sums);
    CHECK_LAUNCH("attention");
    return true;
}

bool attend_short_back(const attention_problem *a, const attention_slopes *d) {
    if (!is_short(a)) return false;
    short_layout l = layout_of(a);
    int64_t bytes = shared_bytes(&l, 2, 2, 2);
    if (bytes > hiss_shared_bytes) return false;
    l.vector =
        l.vector && by_fours(d->grad, F32) && by_fours(d->dq, F32) && by_fours(d->dk, F32) && by_fours(d->dv, F32);
    allow_shared();
    short_back_kernel<<<(unsigned) (a->B * a->G), (unsigned) threads_for(&l), (size_t) bytes, cuda_stream>>>(*a, l, *d);
    CHECK_LAUNCH("attention's way back");
    return true;
}
