/* Matrix products by cuBLASLt, f32 sums: F32 operands in full precision (no TF32), or BF16. Row-major matrices are seen as
 * their transposes in column-major order, so that y^T [n, m] = op(b)^T op(a)^T and the bias [n] lies along the rows of the
 * result, where the library's epilogue adds it.
 *
 * What the library chose for a problem is kept, so that the same problem gives the same sums at each call. Problems that it
 * declines go to cuBLAS, with the bias in a pass of its own. One thread at a time, as all of the backend. */
#include "tensor/cuda/products.h"

#include <cublasLt.h>
#include <cublas_v2.h>
#include <stdio.h>
#include <string.h>

enum { WORKSPACE_BYTES = 32 << 20, PLANS = 1024, PROBES = 4, THREADS = 256, ALIGNED = 256 };

/* All that a choice depends on; every field 64 bits wide, so that bytes can be compared. */
typedef struct {
    int64_t batch, m, n, k, in, out, a_transposed, b_transposed, bias, accumulate;
    int64_t align_a, align_b, align_y; /* bytes */
} problem;

typedef struct {
    problem key;
    bool used, chosen; /* chosen: cuBLASLt takes the problem */
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t a, b, y;
    cublasLtMatmulAlgo_t algorithm;
} plan;

static struct {
    cublasLtHandle_t light;
    cublasHandle_t full;
    void *workspace;
    plan plans[PLANS];
} library;

static void check(cublasStatus_t status, const char *what) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    char text[128];
    snprintf(text, sizeof text, "%s: %s", what, cublasGetStatusString(status));
    cuda_check(status == CUBLAS_STATUS_ALLOC_FAILED ? cudaErrorMemoryAllocation : cudaErrorUnknown, text);
}

static void open_library(void) {
    if (library.workspace) return;
    check(cublasLtCreate(&library.light), "opening cuBLASLt");
    check(cublasCreate(&library.full), "opening cuBLAS");
    check(cublasSetStream(library.full, cuda_stream), "giving cuBLAS its stream");
    void *workspace = cuda_take(WORKSPACE_BYTES);
    check(cublasSetWorkspace(library.full, workspace, WORKSPACE_BYTES), "giving cuBLAS its workspace");
    library.workspace = workspace;
}

static cudaDataType_t data_type(int64_t type) { return type == BF16 ? CUDA_R_16BF : CUDA_R_32F; }

/* The largest power of two that divides an address, up to ALIGNED. */
static int64_t alignment(const void *p) {
    uintptr_t bits = (uintptr_t) p | ALIGNED;
    return (int64_t) (bits & (~bits + 1));
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* --- choosing --- */

static bool set_operation(cublasLtMatmulDesc_t d, cublasLtMatmulDescAttributes_t name, const void *value, size_t size) {
    return cublasLtMatmulDescSetAttribute(d, name, value, size) == CUBLAS_STATUS_SUCCESS;
}

static bool describe_operation(plan *p, const float *bias) {
    cublasOperation_t first = p->key.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasOperation_t second = p->key.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasLtMatmulDesc_t d = &p->operation;
    if (cublasLtMatmulDescInit(d, CUBLAS_COMPUTE_32F, CUDA_R_32F) != CUBLAS_STATUS_SUCCESS) return false;
    bool fine = set_operation(d, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first) &&
                set_operation(d, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second);
    if (!p->key.bias) return fine;
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    return fine && set_operation(d, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue) &&
           set_operation(d, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
}

/* `batch` matrices, column-major and dense. */
static bool describe_matrix(cublasLtMatrixLayout_t l, int64_t type, int64_t rows, int64_t columns, int64_t batch) {
    int32_t items = (int32_t) batch;
    int64_t step = rows * columns;
    if (cublasLtMatrixLayoutInit(l, data_type(type), (uint64_t) rows, (uint64_t) columns, rows) !=
        CUBLAS_STATUS_SUCCESS)
        return false;
    return cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &items, sizeof items) ==
               CUBLAS_STATUS_SUCCESS &&
           cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step) ==
               CUBLAS_STATUS_SUCCESS;
}

static bool describe_matrices(plan *p) {
    const problem *k = &p->key;
    return describe_matrix(&p->b, k->in, k->b_transposed ? k->k : k->n, k->b_transposed ? k->n : k->k, k->batch) &&
           describe_matrix(&p->a, k->in, k->a_transposed ? k->m : k->k, k->a_transposed ? k->k : k->m, k->batch) &&
           describe_matrix(&p->y, k->out, k->n, k->m, k->batch);
}

static bool choose(plan *p) {
    cublasLtMatmulPreferenceOpaque_t preference;
    uint64_t workspace = WORKSPACE_BYTES;
    const struct {
        cublasLtMatmulPreferenceAttributes_t name;
        uint32_t bytes;
    } aligned[] = {{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, (uint32_t) p->key.align_b},
                   {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, (uint32_t) p->key.align_a},
                   {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, (uint32_t) p->key.align_y},
                   {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, (uint32_t) p->key.align_y}};
    cublasLtMatmulPreference_t f = &preference;
    if (cublasLtMatmulPreferenceInit(f) != CUBLAS_STATUS_SUCCESS) return false;
    if (cublasLtMatmulPreferenceSetAttribute(f, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                             sizeof workspace) != CUBLAS_STATUS_SUCCESS)
        return false;
    for (size_t i = 0; i < sizeof aligned / sizeof *aligned; i++)
        if (cublasLtMatmulPreferenceSetAttribute(f, aligned[i].name, &aligned[i].bytes, sizeof(uint32_t)) !=
            CUBLAS_STATUS_SUCCESS)
            return false;
    cublasLtMatmulHeuristicResult_t best;
    int found = 0;
    cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(library.light, &p->operation, &p->b, &p->a, &p->y, &p->y, f, 1, &best, &found);
    if (status != CUBLAS_STATUS_SUCCESS || found == 0 || best.state != CUBLAS_STATUS_SUCCESS) return false;
    p->algorithm = best.algo;
    return true;
}

static uint64_t hash_of(const problem *key) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a over words */
    for (size_t i = 0; i < sizeof *key / sizeof(int64_t); i++) {
        hash = (hash ^ ((const uint64_t *) key)[i]) * 1099511628211u;
        hash ^= hash >> 29;
    }
    return hash;
}

/* The plan of a problem: kept, or made now in place of an older one. */
static plan *plan_of(const problem *key, const float *bias) {
    uint64_t hash = hash_of(key);
    plan *p = NULL;
    for (uint64_t i = 0; i < PROBES; i++) {
        p = &library.plans[(hash + i) % PLANS];
        if (!p->used) break;
        if (memcmp(&p->key, key, sizeof *key) == 0) return p;
    }
    memset(p, 0, sizeof *p);
    p->key = *key;
    p->used = true;
    p->chosen = key->batch <= INT32_MAX && describe_operation(p, bias) && describe_matrices(p) && choose(p);
    return p;
}

/* --- the bias by itself --- */

__global__ static void add_bias_kernel(void *y, int type, const float *bias, int64_t count, int64_t n) {
    int64_t step = (int64_t) gridDim.x * blockDim.x;
    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step)
        set_element(y, type, i, element(y, type, i) + bias[i % n]);
}

static void add_bias(void *y, dtype type, const float *bias, int64_t rows, int64_t n) {
    int64_t blocks = (rows * n + THREADS - 1) / THREADS;
    add_bias_kernel<<<(unsigned) smaller(blocks, 16 * (int64_t) hiss_multiprocessors), THREADS, 0, cuda_stream>>>(
        y, type, bias, rows * n, n);
    CHECK_LAUNCH("adding a bias");
}

/* --- running --- */

static bool run_light(plan *p, const void *a, const void *b, const void *bias, void *y) {
    const float one = 1, beta = p->key.accumulate ? 1 : 0;
    if (bias && !set_operation(&p->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias)) return false;
    return cublasLtMatmul(library.light, &p->operation, &one, b, &p->b, a, &p->a, &beta, y, &p->y, y, &p->y,
                          &p->algorithm, library.workspace, WORKSPACE_BYTES, cuda_stream) == CUBLAS_STATUS_SUCCESS;
}

static void run_full(const problem *k, const void *a, const void *b, void *y) {
    const float one = 1, beta = k->accumulate ? 1 : 0;
    cublasOperation_t first = k->b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasOperation_t second = k->a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
    check(cublasGemmStridedBatchedEx_64(library.full, first, second, k->n, k->m, k->k, &one, b, data_type(k->in),
                                        k->b_transposed ? k->k : k->n, k->n * k->k, a, data_type(k->in),
                                        k->a_transposed ? k->m : k->k, k->m * k->k, &beta, y, data_type(k->out), k->n,
                                        k->m * k->n, k->batch, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
          "a matrix product");
}

/* The epilogue takes a bias of the result's type: for BF16 a rounded copy. Only then is the scratch memory touched, so that
 * other entries may keep theirs over products without a bias. */
static const void *epilogue_bias(const float *bias, dtype out, int64_t n) {
    if (!bias || out != BF16) return bias;
    void *rounded = cuda_scratch((size_t) n * 2);
    cuda_convert(rounded, BF16, bias, F32, n);
    return rounded;
}

/* The libraries have no F32 products with a BF16 result: that one is rounded from scratch memory. */
static bool product_to_round(dtype in, dtype out) { return in == F32 && out == BF16; }

void cuda_matmul(int64_t batch, int64_t m, int64_t n, int64_t k, dtype in, const void *a, bool a_transposed,
                 const void *b, bool b_transposed, const float *bias, dtype out, void *y, bool accumulate) {
    if (batch <= 0 || m <= 0 || n <= 0) return;
    if (k <= 0) {
        if (!accumulate) cuda_clear(y, (size_t) (batch * m * n) * (out == BF16 ? 2 : 4));
        if (bias) add_bias(y, out, bias, batch * m, n);
        return;
    }
    if (product_to_round(in, out)) {
        float *full = (float *) cuda_scratch((size_t) (batch * m * n) * sizeof *full);
        cuda_matmul(batch, m, n, k, in, a, a_transposed, b, b_transposed, bias, F32, full, false);
        cuda_convert(y, out, full, F32, batch * m * n);
        return;
    }
    open_library();
    const void *added = epilogue_bias(bias, out, n);
    int64_t align_y = bias ? smaller(alignment(y), alignment(added)) : alignment(y);
    problem key = {
        batch,        m,      n, k, in, out, a_transposed, b_transposed, bias != NULL, accumulate, alignment(a),
        alignment(b), align_y};
    plan *p = plan_of(&key, (const float *) added);
    if (p->chosen && run_light(p, a, b, added, y)) return;
    p->chosen = false; /* what failed once is not tried again */
    run_full(&key, a, b, y);
    if (bias) add_bias(y, out, bias, batch * m, n);
}
