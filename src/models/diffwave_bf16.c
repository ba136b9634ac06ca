#include "models/diffwave_bf16_block.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/parallel.h"
#include "tensor/convert.h"

/* --- weights --- */

static int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/* [K, 2C]. */
static const float *inner_weights(const diffwave_bf16 *net, const diffwave_layer *l) {
    const int64_t C = net->C, M = net->M;
    const float *dilated = f32(l->dilated.weight), *mel = M ? f32(l->mel.weight) : NULL;
    float *b = NEW_ARRAY(float, net->K * 2 * C);
    for (int64_t o = 0; o < 2 * C; o++) {
        for (int64_t tap = 0; tap < TAPS; tap++)
            for (int64_t c = 0; c < C; c++) b[(tap * C + c) * 2 * C + o] = dilated[(o * C + c) * TAPS + tap];
        for (int64_t m = 0; m < M; m++) b[(TAPS * C + m) * 2 * C + o] = mel[o * M + m];
    }
    return b;
}

/* [C, 2C]. */
static const float *outer_weights(const diffwave_bf16 *net, const diffwave_layer *l) {
    const int64_t C = net->C;
    const float *w = f32(l->output.weight);
    float *b = NEW_ARRAY(float, 2 * C * C);
    for (int64_t o = 0; o < 2 * C; o++)
        for (int64_t c = 0; c < C; c++) b[c * 2 * C + o] = w[o * C + c];
    return b;
}

static bf16_layer layer_of(const diffwave_bf16 *net, const diffwave_layer *l) {
    float *bias = NEW_ARRAY(float, 2 * net->C);
    for (int64_t i = 0; i < 2 * net->C; i++) bias[i] = f32(l->dilated.bias)[i] + (net->M ? f32(l->mel.bias)[i] : 0.0f);
    return (bf16_layer){.inner = block_weights_of(net->inner, inner_weights(net, l)),
                        .outer = block_weights_of(net->outer, outer_weights(net, l)),
                        .inner_bias = bias,
                        .outer_bias = f32(l->output.bias),
                        .dilation = l->dilation};
}

diffwave_bf16 *diffwave_bf16_new(const diffwave_layer *l, int64_t layers) {
    diffwave_bf16 *net = NEW(diffwave_bf16);
    net->C = l->output.weight->shape[1];
    net->M = l->mel.weight ? l->mel.weight->shape[1] : 0;
    net->K = round_up(TAPS * net->C + net->M, cpu()->amx_bf16 ? 32 : 16);
    net->threads = threads_get();
    const block_problem inner = {.m = BLOCK, .n = 2 * net->C, .k = net->K, .packed = true, .bias = true};
    block_problem outer = inner;
    outer.k = net->C;
    net->inner = block_product_new(&inner, net->threads);
    net->outer = block_product_new(&outer, net->threads);
    net->scratches = NEW_ARRAY(bf16_scratch, net->threads);
    for (int i = 0; i < net->threads; i++)
        net->scratches[i] = (bf16_scratch){NEW_ARRAY(uint16_t, BLOCK * net->K), NEW_ARRAY(uint16_t, BLOCK * net->C),
                                           NEW_ARRAY(float, BLOCK * 2 * net->C)};
    net->layers = NEW_ARRAY(bf16_layer, layers);
    for (int64_t i = 0; i < layers; i++) net->layers[i] = layer_of(net, &l[i]);
    return net;
}

/* --- a layer --- */

CLONES void diffwave_bf16_operand(const float *restrict x, const float *restrict d, int64_t n, int64_t C,
                                  uint16_t *restrict operand) {
#pragma omp parallel for schedule(static) if (n * C > PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < C; c++) operand[i * C + c] = bf16_of(x[i * C + c] + d[c]);
}

CLONES void bf16_gather(const bf16_kernel *k, int64_t t, int64_t n, uint16_t *restrict a) {
    const int64_t C = k->net->C, M = k->net->M, K = k->net->K;
    const uint16_t *mel = k->r->mel;
    for (int64_t i = 0; i < n; i++, a += K) {
        for (int64_t tap = 0; tap < TAPS; tap++) {
            const int64_t at = t + i + (tap - 1) * k->l->dilation;
            if (at < 0 || at >= k->T) memset(a + tap * C, 0, (size_t) C * sizeof *a);
            else memcpy(a + tap * C, k->r->operand + (at - k->r->held) * C, (size_t) C * sizeof *a);
        }
        if (mel) memcpy(a + TAPS * C, mel + (t + i) * M, (size_t) M * sizeof *a);
    }
}

CLONES static void add_skip(const float *restrict wide, const float *restrict before, int64_t n, int64_t C,
                            float *skip) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < C; c++) skip[i * C + c] = (before ? before[i * C + c] : 0.0f) + wide[i * 2 * C + C + c];
}

/* The next x of n rows, and if d the next layer's operand. */
CLONES static void add_residual(const float *restrict wide, const float *restrict x, const float *restrict d, int64_t n,
                                int64_t C, float *restrict next, uint16_t *restrict operand) {
    const float factor = (float) M_SQRT1_2;
    for (int64_t i = 0; i < n; i++, wide += 2 * C, x += C, next += C) {
        for (int64_t c = 0; c < C; c++) next[c] = (x[c] + wide[c]) * factor;
        if (!d) continue;
        for (int64_t c = 0; c < C; c++) operand[c] = bf16_of(next[c] + d[c]);
        operand += C;
    }
}

static void block(const bf16_kernel *k, int thread, int64_t t, int64_t n, const bf16_scratch *s) {
    const int64_t C = k->net->C;
    const diffwave_rows *r = k->r;
    bf16_gather(k, t, n, s->narrow);
    block_product_run(k->net->inner, thread,
                      &(block_operands){.a = s->narrow, .w = k->l->inner, .bias = k->l->inner_bias, .y = s->wide});
    bf16_gate(s->wide, n, C, s->gated);
    block_product_run(k->net->outer, thread,
                      &(block_operands){.a = s->gated, .w = k->l->outer, .bias = k->l->outer_bias, .y = s->wide});
    add_skip(s->wide, r->skip_before ? r->skip_before + t * C : NULL, n, C, r->skip + t * C);
    if (r->next)
        add_residual(s->wide, r->x + (t - r->held) * C, r->next_d, n, C, r->next + (t - r->first) * C,
                     r->next_d ? r->next_operand + (t - r->first) * C : NULL);
}

void diffwave_bf16_rows(const diffwave_bf16 *net, int64_t index, int64_t T, const diffwave_rows *r) {
    const bf16_kernel k = {net, &net->layers[index], T, r};
    const int64_t blocks = (r->end - r->first + BLOCK - 1) / BLOCK;
#pragma omp parallel for schedule(static) num_threads(net->threads) if (blocks > 1)
    for (int64_t i = 0; i < blocks; i++) {
        const int64_t t = r->first + i * BLOCK, n = r->end - t < BLOCK ? r->end - t : BLOCK;
        const int thread = omp_get_thread_num();
        block(&k, thread, t, n, &net->scratches[thread]);
    }
    block_product_check(net->inner);
    block_product_check(net->outer);
}
