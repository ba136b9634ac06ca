/* DiffWave computes its layers in tiles of rows, and in training computes them again for their gradients: predictions and
 * gradients must be those of whole layers, written down here once more. WaveGrad's stages go in tiles where nothing is
 * recorded. Long sounds go in time windows. In f32 all of that changes no bit. In bf16 operations round what the fused layers do
 * not, and both are measured by f32's gradients. */
#include "test.h"

#include <math.h>

#include "base/parallel.h"
#include "base/random.h"
#include "models/diffwave.h"
#include "models/diffwave_fused.h"
#include "models/wavegrad.h"
#include "systems/rows.h"
#include "tensor/ops.h"

static tensor *noise(shape s, uint64_t stream) {
    tensor *t = tensor_new(F32, s);
    random_normal((random_key){3, stream}, 0, f32(t), (size_t) count(t));
    return t;
}

typedef struct {
    diffwave_config sizes;
    diffwave *net;
    params *p;
} subject;

static const tensor *weight(const subject *s, const char *name) {
    param *p = params_find(s->p, name);
    assert_non_null(p);
    return p->value;
}

static tensor *convolve(const subject *s, const char *name, const tensor *x, int dilation) {
    return conv1d_same(x, weight(s, format("%s.weight", name)), weight(s, format("%s.bias", name)), dilation, F32);
}

static tensor *project(const subject *s, const char *name, const tensor *x) {
    return linear(x, weight(s, format("%s.weight", name)), weight(s, format("%s.bias", name)));
}

/* The network as the paper draws it, each layer whole. */
static tensor *whole_forward(const subject *s, const tensor *audio, const float *step, const tensor *mel) {
    int64_t B = audio->shape[0], T = audio->shape[1];
    dtype op = operands();
    tensor *e = diffwave_embed(s->net, step, B), *up = mel ? diffwave_upsample(s->net, mel, op) : NULL, *skip = NULL;
    tensor *x = relu(convolve(s, "input_projection", reshape(audio, SHAPE(B, T, 1)), 1), F32);
    for (int i = 0; i < s->sizes.layers; i++) {
        const char *at = format("residual_layers.%d", i);
        tensor *y = add_rows(x, project(s, format("%s.diffusion_projection", at), e), op);
        tensor *h = cast(convolve(s, format("%s.dilated_conv", at), y, 1 << i % (int) s->sizes.cycle), op);
        tensor *c = up ? cast(convolve(s, format("%s.conditioner_projection", at), up, 1), op) : NULL;
        tensor *r = cast(convolve(s, format("%s.output_projection", at), gated_tanh(h, c, op), 1), op);
        skip = add_second_half(skip, r);
        x = add_first_half(x, r, (float) M_SQRT1_2);
    }
    skip = scale(skip, (float) (1 / sqrt((double) s->sizes.layers)), op);
    return convolve(s, "output_projection", relu(convolve(s, "skip_projection", skip, 1), op), 1);
}

/* ||a - b|| / ||b||. */
static double distance(const float *a, const float *b, int64_t n) {
    double difference = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += pow((double) a[i] - b[i], 2);
        size += pow(b[i], 2);
    }
    return difference > 0 ? sqrt(difference / size) : 0;
}

static void expect_same(const char *what, const float *a, const float *b, int64_t n, double allowed) {
    if (!(distance(a, b, n) <= allowed)) print_error("%s: %g\n", what, distance(a, b, n));
    assert_true(distance(a, b, n) <= allowed);
}

/* All gradients of the sum of squares, one after another. */
static float *gradients(const subject *s, const tensor *prediction) {
    params_zero_grad(s->p);
    backward(mse_loss(prediction, tensor_zero(F32, shape_of(prediction))), 1);
    float *all = NEW_ARRAY(float, params_elements(s->p)), *to = all;
    for (size_t i = 0; i < s->p->count; i++) {
        int64_t n = count(s->p->items[i]->value);
        for (int64_t k = 0; k < n; k++) *to++ = s->p->items[i]->grad[k];
    }
    return all;
}

static const float *exact_gradients(const subject *s, const tensor *audio, const float *step, const tensor *mel) {
    precision_set(PRECISION_F32);
    tape_begin();
    const float *all = gradients(s, whole_forward(s, audio, step, mel));
    precision_set(PRECISION_BF16);
    return all;
}

/* Of bf16, fused and by operations, from f32's: each parameter, those of the upsampler being sums that all but cancel, and on the
 * whole no farther than operations are. */
static void check_rounded(const subject *s, const float *got, const float *wanted, const float *exact) {
    double fused = 0, operations = 0;
    for (size_t i = 0; i < s->p->count; i++) {
        const char *name = s->p->items[i]->name;
        const int64_t n = count(s->p->items[i]->value);
        expect_same(name, got, exact, n, strstr(name, "upsampler") ? 0.1 : 0.05);
        fused += pow(distance(got, exact, n), 2);
        operations += pow(distance(wanted, exact, n), 2);
        got += n;
        wanted += n;
        exact += n;
    }
    assert_true(fused > 0 && fused <= pow(1.25, 2) * operations);
}

static void check_same(const subject *s, const float *got, const float *wanted) {
    for (size_t i = 0; i < s->p->count; i++) {
        const int64_t n = count(s->p->items[i]->value);
        expect_same(s->p->items[i]->name, got, wanted, n, 2e-5);
        got += n;
        wanted += n;
    }
}

/* B batch, F frames: lengths of one tile, several, and a short last one. */
static void check_tiles(int64_t mels, int64_t B, int64_t F) {
    scope_begin();
    subject s = {.sizes = {.layers = 11, .channels = 8, .cycle = 11, .embedding = 16, .mels = mels, .steps = 50}};
    binder *b = binder_new((random_key){1, 1});
    s.net = diffwave_bind(&s.sizes, b);
    s.p = binder_finish(b, true);
    param *last = params_find(s.p, "output_projection.weight"); /* starts at zero */
    random_normal((random_key){3, 9}, 0, f32(last->value), (size_t) count(last->value));
    param_changed(last);
    tensor *audio = noise(SHAPE(B, F * DIFFWAVE_HOP), 1), *mel = mels ? noise(SHAPE(B, F, mels), 2) : NULL;
    const float step[] = {3, 40};
    double allowed = operands() == F32 ? 1e-5 : 1e-2;
    const tensor *tiled = diffwave_forward(s.net, audio, step, mel, NULL);
    tape_begin();
    const tensor *again = diffwave_forward(s.net, audio, step, mel, NULL);
    expect_same("recorded", f32(again), f32(tiled), count(tiled), 0);
    const float *wanted, *got = gradients(&s, again);
    tape_begin();
    const tensor *whole = whole_forward(&s, audio, step, mel);
    assert_true(fabs(f32(whole)[0]) > 0);
    expect_same("prediction", f32(tiled), f32(whole), count(whole), allowed);
    wanted = gradients(&s, whole);
    if (operands() == F32) check_same(&s, got, wanted);
    else check_rounded(&s, got, wanted, exact_gradients(&s, audio, step, mel));
    scope_end();
}

static void check_lengths(precision p) {
    precision_set(p);
    check_tiles(5, 2, 2);
    check_tiles(5, 1, 4);
    check_tiles(0, 2, 9);
    check_tiles(5, 1, 23); /* several chunks of the fused layers */
    precision_set(PRECISION_AUTO);
}

static void test_tiles(void **state) {
    (void) state;
    check_lengths(PRECISION_F32);
}

static void test_tiles_bf16(void **state) {
    (void) state;
    check_lengths(PRECISION_BF16);
}

static tensor *parameter(shape s, uint64_t stream) {
    param *p = NEW(param);
    tensor *t = noise(s, stream);
    *p = (param){.name = "p", .value = t, .version = 1, .trainable = true, .home = scope_current()};
    p->grad = NEW_ARRAY(float, count(t));
    t->param = p;
    return t;
}

/* Two layers forward, and the gradients of one, into `to`: how many floats. */
static size_t run_layers(float *to) {
    enum { T = 3000, C = 8, M = 5 };
    scope_begin();
    diffwave_layer l[2];
    for (int i = 0; i < 2; i++)
        l[i] = (diffwave_layer){.dilated = {parameter(SHAPE(2 * C, C, 3), 1), parameter(SHAPE(2 * C), 2)},
                                .mel = {parameter(SHAPE(2 * C, M, 1), 3), parameter(SHAPE(2 * C), 4)},
                                .output = {parameter(SHAPE(2 * C, C, 1), 5), parameter(SHAPE(2 * C), 6)},
                                .dilation = 1 + 4 * i};
    tensor *x = noise(SHAPE(1, T, C), 7), *d = noise(SHAPE(1, C), 8);
    const tensor *mel = cast(noise(SHAPE(1, T, M), 9), operands()), *steps[2] = {d, d};
    const tensor *skip = diffwave_fused_layers(l, 2, steps, mel, x);
    memcpy(to, f32(skip), tensor_bytes(skip));
    size_t n = (size_t) count(skip);
    tape_begin();
    tape_watch(x);
    tape_watch(d);
    const tensor *y = diffwave_layer_forward(&l[1], d, mel, (diffwave_state){x, NULL}, true).skip;
    backward(mse_loss(y, noise(shape_of(y), 10)), 1);
    const affine parts[3] = {l[1].dilated, l[1].mel, l[1].output};
    const float *gradients[8] = {tape_gradient(x), tape_gradient(d)};
    int64_t sizes[8] = {count(x), count(d)};
    for (int i = 0; i < 6; i++) {
        const tensor *w = i % 2 ? parts[i / 2].bias : parts[i / 2].weight;
        gradients[2 + i] = w->param->grad;
        sizes[2 + i] = count(w);
    }
    for (int i = 0; i < 8; n += (size_t) sizes[i++]) memcpy(to + n, gradients[i], (size_t) sizes[i] * sizeof(float));
    scope_end();
    return n;
}

/* In bf16 too, where oneDNN has its products: else the layers go by operations. */
static void test_layers_and_threads(void **state) {
    (void) state;
    scope_begin();
    float *one = alloc(1 << 18), *three = alloc(1 << 18);
    for (int i = 0; i < 2; i++) {
        precision_set(i ? PRECISION_BF16 : PRECISION_F32);
        if (!diffwave_fuses()) break;
        threads_set(1);
        const size_t n = run_layers(one);
        threads_set(3);
        assert_int_equal(n, run_layers(three));
        assert_memory_equal(one, three, n * sizeof(float));
    }
    threads_set(0);
    precision_set(PRECISION_AUTO);
    scope_end();
}

/* --- WaveGrad --- */

static wavegrad *small_wavegrad(params **p) {
    wavegrad_config c = wavegrad_default();
    c.mels = 6;
    c.first = 10;
    for (int i = 0; i < WAVEGRAD_STAGES; i++) c.down[i] = 4 + 2 * i, c.up[i] = 14 - 2 * i;
    binder *b = binder_new((random_key){1, 1});
    wavegrad *net = wavegrad_bind(&c, b);
    *p = binder_finish(b, true);
    return net;
}

static void check_stages(int64_t B, int64_t F) {
    scope_begin();
    params *p;
    wavegrad *net = small_wavegrad(&p);
    tensor *audio = noise(SHAPE(B, 300 * F), 1), *mel = noise(SHAPE(B, F, 6), 2);
    const float level[] = {0.3f, 0.9f};
    const tensor *tiled = wavegrad_forward(net, audio, mel, level, NULL);
    wavegrad_trace trace;
    const tensor *whole = wavegrad_forward(net, audio, mel, level, &trace);
    expect_same("WaveGrad", f32(tiled), f32(whole), count(whole), operands() == F32 ? 0 : 1e-2);
    scope_end();
}

/* Convolutions of repeated rows beside those of the rows written out, whole and from some rows to others. */
static void test_repeated(void **state) {
    (void) state;
    static const struct {
        int64_t T, first, end;
        int factor, dilation, kernel;
    } cases[] = {{7, 0, 0, 2, 1, 3},   {7, 3, 11, 2, 1, 3}, {40, 0, 0, 5, 1, 3},  {40, 13, 194, 5, 1, 3},
                 {9, 1, 26, 3, 4, 3},  {5, 0, 0, 1, 2, 5},  {1, 0, 0, 5, 1, 3},   {11, 7, 8, 5, 2, 5},
                 {30, 0, 0, 64, 1, 3}, {4, 0, 3, 7, 30, 3}, {33, 60, 99, 3, 2, 1}};
    scope_begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const tensor *x = noise(SHAPE(2, cases[i].T, 6), i), *w = noise(SHAPE(37, 6, cases[i].kernel), 50),
                     *b = noise(SHAPE(37), 60);
        const repeated_options o = {cases[i].factor, cases[i].dilation, cases[i].first, cases[i].end, F32};
        const tensor *got = conv1d_repeated(x, w, b, o);
        const tensor *rows = conv1d_same(repeat_time(x, o.factor, 1, F32), w, b, o.dilation, F32);
        const int64_t end = o.end ? o.end : cases[i].T * o.factor;
        const tensor *wanted = slice_time(rows, o.first, end - o.first);
        assert_int_equal(count(got), count(wanted));
        expect_same(format("case %zu", i), f32(got), f32(wanted), count(wanted), 1e-6);
    }
    scope_end();
}

static void test_stages(void **state) {
    (void) state;
    precision_set(PRECISION_F32);
    check_stages(2, 1);
    check_stages(1, 7);
    check_stages(2, 11);
    precision_set(PRECISION_AUTO);
}

static void test_stages_bf16(void **state) {
    (void) state;
    precision_set(PRECISION_BF16);
    check_stages(2, 5);
    precision_set(PRECISION_AUTO);
}

/* --- windows --- */

/* F frames at once and in windows of three: the halo must be wide enough. */
static void check_windows(model m, int64_t F, precision p) {
    tensor *audio = noise(SHAPE(2, F * m.hop), 1), *mel = noise(SHAPE(2, F, m.mels), 2);
    condition c = {.m = &m, .mel = mel, .guidance = 1};
    precision_set(p);
    m.window = F * m.hop;
    const tensor *whole = predict_noise(&c, audio, 0.4);
    m.window = 3 * m.hop;
    assert_true(F > 3 + 2 * (m.halo + m.hop - 1) / m.hop);
    const tensor *parts = predict_noise(&c, audio, 0.4);
    expect_same("windows", f32(parts), f32(whole), count(whole), operands() == F32 ? 0 : 1e-2);
    precision_set(PRECISION_AUTO);
}

static void test_windows_wavegrad(void **state) {
    (void) state;
    scope_begin();
    params *p;
    wavegrad *net = small_wavegrad(&p);
    const model m = {.system = &SYSTEM_WAVEGRAD, .network = net, .hop = 300, .halo = wavegrad_halo(net), .mels = 6};
    check_windows(m, 40, PRECISION_F32);
    check_windows(m, 40, PRECISION_BF16);
    scope_end();
}

static void test_windows_diffwave(void **state) {
    (void) state;
    scope_begin();
    static double betas[50];
    for (int i = 0; i < 50; i++) betas[i] = 1e-4 + 0.001 * i;
    diffwave_config c = {.layers = 9, .channels = 8, .cycle = 5, .embedding = 16, .mels = 5, .steps = 50};
    binder *b = binder_new((random_key){1, 1});
    diffwave *net = diffwave_bind(&c, b);
    params *p = binder_finish(b, true);
    param *last = params_find(p, "output_projection.weight");
    random_normal((random_key){3, 9}, 0, f32(last->value), (size_t) count(last->value));
    param_changed(last);
    const model m = {.system = &SYSTEM_DIFFWAVE,
                     .network = net,
                     .hop = DIFFWAVE_HOP,
                     .halo = diffwave_halo(net),
                     .mels = 5,
                     .betas = betas,
                     .beta_count = 50};
    check_windows(m, 21, PRECISION_F32);
    check_windows(m, 21, PRECISION_BF16);
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tiles),
                                       cmocka_unit_test(test_tiles_bf16),
                                       cmocka_unit_test(test_layers_and_threads),
                                       cmocka_unit_test(test_repeated),
                                       cmocka_unit_test(test_stages),
                                       cmocka_unit_test(test_stages_bf16),
                                       cmocka_unit_test(test_windows_wavegrad),
                                       cmocka_unit_test(test_windows_diffwave)};
    scope_begin();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    scope_end();
    return failed;
}
