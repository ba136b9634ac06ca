#include "tensor/rows.h"

#include <omp.h>
#include <string.h>

#include "base/parallel.h"
#include "tensor/convert.h"
#include "tensor/device.h"

rows rows_of(const tensor *t) {
    if (!t) return (rows){0};
    require(t->rank >= 1 && (t->type == F32 || t->type == BF16));
    return (rows){t->data, t->type, t->shape[t->rank - 1]};
}

rows rows_of_gradient(float *gradient, const tensor *t) { return (rows){gradient, F32, t->shape[t->rank - 1]}; }

int64_t row_count(const tensor *t) {
    int64_t n = 1;
    for (int i = 0; i + 1 < t->rank; i++) n *= t->shape[i];
    return n;
}

/* The block of rows as f32: in place, or converted into scratch. */
static const float *read_block(const rows *r, int64_t first, int64_t n, float *scratch) {
    if (!r->data) return NULL;
    if (r->type == F32) return (const float *) r->data + first * r->width;
    bf16_to_f32(scratch, (const uint16_t *) r->data + first * r->width, n * r->width);
    return scratch;
}

static void write_block(const rows *r, int64_t first, int64_t n, const float *block, bool add) {
    if (r->type == BF16) {
        f32_to_bf16((uint16_t *) r->data + first * r->width, block, n * r->width);
        return;
    }
    float *to = (float *) r->data + first * r->width;
    if (add) {
#pragma omp simd
        for (int64_t i = 0; i < n * r->width; i++) to[i] += block[i];
    } else if (to != block) memcpy(to, block, (size_t) (n * r->width) * sizeof(float));
}

void map_rows(int64_t total, rows out, bool add, const rows *in, int inputs, const row_op *op, const void *context) {
    if (device_current()) {
        device_current()->map_rows(total, out, add, in, inputs, op->name, context, op->context);
        return;
    }
    row_kernel *kernel = op->kernel;
    int64_t widest = out.width;
    for (int i = 0; i < inputs; i++) widest = in[i].width > widest ? in[i].width : widest;
    require(inputs <= ROWS_INPUTS && widest > 0 && widest <= ROW_WIDEST && !(add && out.type != F32));
    int64_t block = ROW_BLOCK / widest > 1 ? ROW_BLOCK / widest : 1;
    size_t lane = (size_t) (block * widest);
    int threads = threads_get();
    scope_begin();
    float *scratch = alloc((size_t) threads * (ROWS_INPUTS + 1) * lane * sizeof(float));
    bool direct = out.type == F32 && !add;
#pragma omp parallel for schedule(static) if (total * widest > PARALLEL_MIN) num_threads(threads)
    for (int64_t first = 0; first < total; first += block) {
        int64_t n = total - first < block ? total - first : block;
        float *mine = scratch + (size_t) omp_get_thread_num() * (ROWS_INPUTS + 1) * lane;
        const float *blocks[ROWS_INPUTS] = {0};
        for (int i = 0; i < inputs; i++) blocks[i] = read_block(&in[i], first, n, mine + (size_t) i * lane);
        float *result = direct ? (float *) out.data + first * out.width : mine + ROWS_INPUTS * lane;
        kernel(blocks, result, first, n, context);
        if (!direct) write_block(&out, first, n, result, add);
    }
    scope_end();
}
