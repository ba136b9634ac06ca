/* The sound model's network: eigenvectors, patches, the derivative of its whole loss, what its handles do, adapters. */
#include "folder.h"

#include <math.h>

#include "base/random.h"
#include "models/beat_clock.h"
#include "models/mel_dit.h"
#include "models/tonal_course.h"
#include "nn/lora.h"
#include "signal/mel.h"
#include "store/store.h"
#include "tensor/eigen.h"
#include "tensor/ops.h"

static tensor *draw(shape s, uint64_t stream) {
    tensor *t = tensor_new(F32, s);
    random_normal((random_key){3, stream}, 0, f32(t), (size_t) count(t));
    return t;
}

/* --- eigenvectors --- */

static void test_eigen(void **state) {
    (void) state;
    enum { N = 37 };
    scope_begin();
    tensor *x = draw(SHAPE(N, N), 1);
    double a[N][N], v[N][N], values[N];
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) v[i][k] = a[i][k] = (double) f32(x)[i * N + k] + f32(x)[k * N + i];
    symmetric_eigen(&v[0][0], N, values);
    for (int i = 0; i < N; i++) {
        if (i) assert_true(values[i] <= values[i - 1]);
        for (int k = 0; k < N; k++) {
            double row = 0, dot = 0;
            for (int j = 0; j < N; j++) {
                row += a[k][j] * v[i][j];
                dot += v[i][j] * v[k][j];
            }
            assert_true(fabs(row - values[i] * v[i][k]) < 1e-10);
            assert_true(fabs(dot - (i == k)) < 1e-12);
        }
    }
    scope_end();
}

/* --- patches --- */

/* All components kept: patches give the spectrogram back. */
static void test_patches(void **state) {
    (void) state;
    enum { M = 16, R = 2, F = 6, P = M * R };
    scope_begin();
    binder *b = binder_new((random_key){1, 0});
    mel_patches p = mel_patches_bind(M, R, P, b);
    for (int m = 0; m < M; m++) f32(p.mean)[m] = (float) m - 8, f32(p.deviation)[m] = 1 + 0.1f * (float) m;
    for (int i = 0; i < P; i++) f32(p.centre)[i] = 0.01f * (float) i, f32(p.scale)[i] = 0.5f + (float) i;
    tensor *mel = draw(SHAPE(2, F, M), 2), *normal = mel_normalise(&p, mel);
    tensor *w = mel_to_patches(&p, normal), *back = mel_from_patches(&p, w);
    assert_int_equal(w->shape[1], F / R);
    for (int64_t i = 0; i < count(mel); i++) assert_true(fabsf(f32(back)[i] - f32(normal)[i]) < 1e-4f);
    mel_denormalise(&p, back);
    for (int64_t i = 0; i < count(mel); i++) /* but for what was held within +-6 */
        if (fabsf(f32(normal)[i]) < 6) assert_true(fabsf(f32(back)[i] - f32(mel)[i]) < 1e-3f);
    tensor *coarse = mel_coarse(&p, normal);
    double mean = 0;
    for (int f = 2; f < 4; f++)
        for (int m = 8; m < 16; m++) mean += f32(normal)[(F + f) * M + m] / 16;
    assert_true(fabs(f32(coarse)[(3 + 1) * 2 + 1] - mean) < 1e-5);
    tensor *style = mel_style(&p, normal, (int64_t[]){1, 6});
    assert_true(f32(style)[M] == 0 && fabsf(f32(style)[0] - f32(normal)[0]) < 1e-6f);
    scope_end();
}

/* --- the network --- */

static const mel_dit_config TINY = {
    .width = 16, .blocks = 2, .heads = 2, .text = 5, .classes = 3, .bands = 16, .frames = 2, .components = 7};

typedef struct {
    mel_dit *net;
    params *p;
    tensor *z, *target, *weight;
    mel_dit_condition c;
} problem;

/* A network with no zeros in it. */
static problem make_problem(bool few_steps) {
    binder *b = binder_new((random_key){4, 0});
    mel_dit_config sizes = TINY;
    sizes.few_steps = few_steps;
    sizes.music = true;
    problem q = {.net = mel_dit_bind(&sizes, b)};
    q.p = binder_finish(b, true);
    for (size_t i = 0; i < q.p->count; i++) {
        const tensor *more = draw(shape_of(q.p->items[i]->value), 50 + i);
        for (int64_t k = 0; k < count(more); k++) f32(q.p->items[i]->value)[k] += 0.2f * f32(more)[k];
        param_changed(q.p->items[i]);
    }
    static const bool given[3] = {true, false, true}, coarse[3] = {false, true, true}, style[3] = {true, true, false};
    static const float seconds[3] = {0.5f, 1, 0.1f};
    static const int32_t classes[3] = {2, -1, 0};
    q.z = draw(SHAPE(3, 5, 7), 11);
    q.target = draw(SHAPE(3, 5, 7), 12);
    q.weight = tensor_from((float[]){1, 3, 0.5f}, SHAPE(3));
    q.c = (mel_dit_condition){.seconds = seconds,
                              .classes = classes,
                              .text = handle_rows(draw(SHAPE(3, 5), 13), 2, given),
                              .coarse = handle_rows(draw(SHAPE(3, 5, 2), 14), 1, coarse),
                              .style = handle_rows(draw(SHAPE(3, 32), 15), 1, style)};
    static const bool beats[3] = {true, true, false};
    static const bool sung[3] = {false, true, true};
    tensor *clock = tensor_new(F32, SHAPE(3, 5, beat_clock_width(2)));
    for (int i = 0; i < 15; i++)
        beat_clock(f32(clock) + i * beat_clock_width(2), 90 + i / 5 * 40, 0.02 * (i % 5), 0.01, 2);
    q.c.clock = handle_rows(clock, 1, beats);
    q.c.melody = handle_rows(draw(SHAPE(3, 5, PITCH_CLASSES), 16), 1, sung);
    static const float jump[3] = {0.25f, 0.5f, 0.1f}, guidance[3] = {1, 3, 2};
    if (few_steps) q.c.jump = jump, q.c.guidance = guidance;
    return q;
}

static const float LEVELS[3] = {0.1f, 0.5f, 0.9f};

static const tensor *loss_of(const problem *q) {
    return weighted_mse_loss(mel_dit_forward(q->net, q->z, LEVELS, &q->c), q->target, q->weight);
}

static void move_along(problem *q, size_t i, const tensor *direction, float step) {
    param *p = q->p->items[i];
    for (int64_t k = 0; k < count(direction); k++) f32(p->value)[k] += step * f32(direction)[k];
    param_changed(p);
}

static double sum_squares_of(const problem *q) { /* the loss in double */
    const tensor *y = mel_dit_forward(q->net, q->z, LEVELS, &q->c);
    double sum = 0;
    for (int64_t i = 0, n = count(y); i < n; i++)
        sum += f32(q->weight)[i / (n / 3)] * pow((double) f32(y)[i] - f32(q->target)[i], 2) / (double) n;
    return sum;
}

/* Every parameter, along a random direction. */
static void check_derivative(bool few_steps) {
    scope_begin();
    precision_set(PRECISION_F32);
    problem q = make_problem(few_steps);
    params_zero_grad(q.p);
    scope_begin();
    tape_begin();
    backward(loss_of(&q), 1);
    scope_end();
    int learned = 0;
    for (size_t i = 0; i < q.p->count; i++) {
        const param *p = q.p->items[i];
        if (!p->trainable) continue;
        const float h = 4e-3f;
        const tensor *direction = draw(shape_of(p->value), 300 + i);
        double got = 0, size = 0;
        for (int64_t k = 0; k < count(direction); k++) {
            got += (double) p->grad[k] * f32(direction)[k];
            size += fabs((double) p->grad[k] * f32(direction)[k]);
        }
        move_along(&q, i, direction, h);
        double high = sum_squares_of(&q);
        move_along(&q, i, direction, -2 * h);
        double low = sum_squares_of(&q);
        move_along(&q, i, direction, h);
        double expected = (high - low) / (2 * (double) h);
        if (!(fabs(got - expected) <= 5e-3 * size + 2e-5))
            fail_msg("%s: slope %g, expected %g", p->name, got, expected);
        assert_true(size > 0);
        learned++;
    }
    assert_true(learned > 20);
    precision_set(PRECISION_AUTO);
    scope_end();
}

static void test_derivative(void **state) {
    (void) state;
    check_derivative(false);
    check_derivative(true);
}

/* Pulses are where the beats are, to the frame; what returns with the bar is the same a bar later. */
static void test_beat_clock(void **state) {
    (void) state;
    enum { FRAMES = 8 };
    const double frame = 512.0 / 44100, bpm = 104, beat = 60 / bpm;
    const int64_t C = beat_clock_width(FRAMES);
    float *row = NEW_ARRAY(float, C), *later = NEW_ARRAY(float, C);
    int pulses = 0;
    for (int i = 0; i < 64; i++) {
        beat_clock(row, bpm, i * FRAMES * frame, frame, FRAMES);
        for (int f = 0; f < FRAMES; f++) {
            const double at = (i * FRAMES + f) * frame, away = fabs(at - round(at / beat) * beat);
            assert_true((row[4 * f + 1] > expf(-2.0f / 9)) == (away < 0.01)); /* of a beat; 10 of 15 ms */
            assert_true(row[4 * f] <= row[4 * f + 1] + 1e-6f && row[4 * f + 1] <= row[4 * f + 2] + 1e-6f);
            pulses += away < frame / 2;
        }
        beat_clock(later, bpm, i * FRAMES * frame + 4 * beat, frame, FRAMES);
        for (int64_t k = 0; k < C; k++) assert_true(fabsf(row[k] - later[k]) < 1e-3f);
    }
    assert_int_equal(pulses, (int) (64 * FRAMES * frame / beat) + 1);
    beat_clock(later, 2 * bpm, 0, frame, FRAMES);
    beat_clock(row, bpm, 0, frame, FRAMES);
    assert_true(fabsf(row[C - 1] - later[C - 1]) > 0.01f || fabsf(row[C - 5] - later[C - 5]) > 0.1f);
    for (double odd = -1; odd <= 1e9; odd = odd < 1 ? odd + 1 : odd * 1000) {
        beat_clock(row, odd, odd, frame, FRAMES);
        for (int64_t k = 0; k < C; k++) assert_true(isfinite(row[k]));
    }
}

/* Notes are heard as what they are (lower ones fall between bands that part semitones less well), silence as nothing. */
static void test_tonal_course(void **state) {
    (void) state;
    scope_begin();
    enum { RATE = 44100, SECONDS = 2 };
    int right = 0;
    const mel_front f = mel_front_named("hiss");
    for (int note = 69; note < 88; note++) { /* from A4 to E flat 6, with harmonics; then nothing */
        scope_begin();
        float *x = NEW_ARRAY(float, RATE *SECONDS);
        for (int i = 0; i < RATE; i++)
            for (int h = 1; h <= 6; h++)
                x[i] += 0.2f / (float) h *
                        sinf(2 * (float) M_PI * 440 * exp2f((float) (note - 69) / 12) * (float) h * (float) i / RATE);
        const tensor *mel = mel_compute(&f, x, RATE * SECONDS);
        const tensor *course =
            tonal_course(reshape(mel, SHAPE(1, mel->shape[0], mel->shape[1])), 8, mel_front_centres(&f));
        for (int i = 1; i < 10; i++) right += f32(course)[i * PITCH_CLASSES + note % 12] == 1;
        for (int k = 0; k < PITCH_CLASSES; k++) assert_true(f32(course)[15 * PITCH_CLASSES + k] == 0);
        scope_end();
    }
    if (right < 137) fail_msg("heard in %d of 171 patches", right);
    scope_end();
}

static double difference(const tensor *a, const tensor *b, int64_t item) {
    double most = 0;
    for (int64_t i = item * count(a) / 3; i < (item + 1) * count(a) / 3; i++)
        most = fmax(most, fabs(f32(a)[i] - f32(b)[i]));
    return most;
}

/* Where the prediction with all handles differs from that without one, and only there. */
static void expect_acts(const problem *q, mel_dit_condition without, bool first, bool second, bool third) {
    const bool acts[3] = {first, second, third};
    const tensor *all = mel_dit_forward(q->net, q->z, LEVELS, &q->c),
                 *less = mel_dit_forward(q->net, q->z, LEVELS, &without);
    for (int i = 0; i < 3; i++)
        assert_true(acts[i] ? difference(all, less, i) > 1e-3 : difference(all, less, i) < 1e-6);
}

/* A handle changes what is predicted where it is given, and only there; a batch is its items one by one. */
static void test_handles(void **state) {
    (void) state;
    scope_begin();
    problem q = make_problem(false);
    mel_dit_condition c = q.c;
    c.text = NULL;
    expect_acts(&q, c, true, false, true);
    c = q.c;
    c.coarse = NULL;
    expect_acts(&q, c, false, true, true);
    c = q.c;
    c.clock = NULL;
    expect_acts(&q, c, true, true, false);
    c = q.c;
    c.melody = NULL;
    expect_acts(&q, c, false, true, true);
    c = q.c;
    c.style = NULL;
    expect_acts(&q, c, true, true, false);
    c = q.c;
    c.classes = NULL;
    expect_acts(&q, c, true, false, true);
    scope_end();
}

/* --- adapters --- */

static float farthest(const tensor *a, const tensor *b) {
    float most = 0;
    for (int64_t i = 0; i < count(a); i++) most = fmaxf(most, fabsf(f32(a)[i] - f32(b)[i]));
    return most;
}

static const tensor *answer_of(const problem *q) { return mel_dit_forward(q->net, q->z, LEVELS, &q->c); }

static void change(params *p, float size) {
    for (size_t i = 0; i < p->count; i++) {
        const tensor *more = draw(shape_of(p->items[i]->value), 700 + i);
        for (int64_t k = 0; k < count(more); k++) f32(p->items[i]->value)[k] += size * f32(more)[k];
        param_changed(p->items[i]);
    }
}

/* Nothing changes at first; only matrices are adapted; gradients are those of differences; a file does to a network what was learned, or
 * half of it. */
static void test_adapters(void **state) {
    (void) state;
    scope_begin();
    precision_set(PRECISION_F32);
    problem q = make_problem(false);
    const tensor *before = answer_of(&q);
    lora *l = lora_new(q.p, &(lora_settings){.rank = 2}, (random_key){8, 0});
    params *learned = lora_params(l);
    lora_merge(l);
    assert_memory_equal(before->data, answer_of(&q)->data, tensor_bytes(before));
    size_t matrices = 0;
    for (size_t i = 0; i < q.p->count; i++) {
        const param *p = q.p->items[i];
        assert_true(!p->trainable || p->value->rank == 2);
        matrices += p->trainable;
    }
    assert_true(learned->count == 2 * matrices && matrices > 10);
    change(learned, 0.1f);
    lora_merge(l);
    const tensor *after = answer_of(&q);
    assert_true(farthest(before, after) > 0.01f);

    params_zero_grad(q.p);
    params_zero_grad(learned);
    scope_begin();
    tape_begin();
    backward(loss_of(&q), 1);
    scope_end();
    for (size_t i = 0; i < q.p->count; i++) assert_null(q.p->items[i]->grad); /* spent */
    for (size_t i = 0; i < learned->count; i++) {
        param *p = learned->items[i];
        const float h = 1e-2f;
        const tensor *direction = draw(shape_of(p->value), 900 + i);
        double got = 0, size = 0, loss[2];
        for (int64_t k = 0; k < count(direction); k++) {
            got += (double) p->grad[k] * f32(direction)[k];
            size += fabs((double) p->grad[k] * f32(direction)[k]);
        }
        for (int side = 0; side < 2; side++) {
            for (int64_t k = 0; k < count(direction); k++) f32(p->value)[k] += (side ? -2 * h : h) * f32(direction)[k];
            lora_merge(l);
            loss[side] = sum_squares_of(&q);
        }
        for (int64_t k = 0; k < count(direction); k++) f32(p->value)[k] += h * f32(direction)[k];
        double expected = (loss[0] - loss[1]) / (2 * (double) h);
        if (!(fabs(got - expected) <= 1e-2 * size + 1e-4))
            fail_msg("%s: slope %g, expected %g", p->name, got, expected);
    }
    lora_merge(l);
    lora_save(l, in_folder("adapter.safetensors"));

    problem fresh = make_problem(false), half = make_problem(false);
    lora_apply(fresh.p, in_folder("adapter.safetensors"), 1);
    assert_true(farthest(after, answer_of(&fresh)) < 1e-4f);
    lora_apply(half.p, in_folder("adapter.safetensors"), 0.5);
    const param *w = params_find(q.p, "blocks.1.qkv.weight"), *v = params_find(half.p, "blocks.1.qkv.weight"),
                *own = params_find(make_problem(false).p, "blocks.1.qkv.weight");
    for (int64_t k = 0; k < count(w->value); k++)
        assert_true(fabsf(f32(v->value)[k] - 0.5f * (f32(w->value)[k] + f32(own->value)[k])) < 1e-5f);
    precision_set(PRECISION_AUTO);
    scope_end();
}

static void apply_to_another(void *unused) {
    (void) unused;
    mel_dit_config other = TINY;
    other.width = 32;
    binder *b = binder_new((random_key){4, 0});
    mel_dit_bind(&other, b);
    lora_apply(binder_finish(b, true), in_folder("adapter.safetensors"), 1);
}

static void apply_nothing(void *path) {
    problem q = make_problem(false);
    lora_apply(q.p, path, 1);
}

static void test_wrong_adapters(void **state) {
    (void) state;
    scope_begin();
    hiss_error error;
    assert_false(try_run(apply_to_another, NULL, &error));
    assert_non_null(strstr(error.message, "is it for another model?"));
    named_tensor item = {"weight", draw(SHAPE(2, 2), 1)};
    safetensors_write(in_folder("none.safetensors"), &item, 1, NULL);
    assert_false(try_run(apply_nothing, (void *) in_folder("none.safetensors"), &error));
    assert_non_null(strstr(error.message, "holds no adapters"));
    scope_end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eigen),    cmocka_unit_test(test_patches),        cmocka_unit_test(test_derivative),
        cmocka_unit_test(test_handles),  cmocka_unit_test(test_beat_clock),     cmocka_unit_test(test_tonal_course),
        cmocka_unit_test(test_adapters), cmocka_unit_test(test_wrong_adapters),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
