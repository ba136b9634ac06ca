/* Cases of src/signal: the STFT and its inverse, and phases by Griffin and Lim's rounds. */
#include <math.h>
#include <string.h>

#include "parity.h"
#include "signal/griffin_lim.h"
#include "signal/stft.h"

/* [..., bins, frames, 2] of the case to and from [frames, bins, 2], scaled. */
static void turn(const float *from, float *to, int64_t rows, int64_t columns, float scale) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < 2 * columns; i++)
            to[(i / 2 * rows + r) * 2 + i % 2] = from[r * 2 * columns + i] * scale;
}

static void check_inverses(parity_case *c, const stft_shape *s, int i, float scale) {
    const tensor *given = parity_in_f32(c, format("spectrum_%d", i)); /* [1, bins, frames, 2] */
    const int64_t bins = given->shape[1], frames = given->shape[2];
    tensor *spectrum = tensor_new(F32, SHAPE(frames, bins, 2));
    turn(f32(given), f32(spectrum), bins, frames, 1 / scale);
    parity_out(c, format("istft_%d", i), stft_inverse(s, spectrum, -1));
    parity_out(c, format("istft_long_%d", i), stft_inverse(s, spectrum, (frames - 1) * s->hop + 9));
}

static void check_transform(parity_case *c, config t, int i) {
    const int n_fft = (int) config_need_int(t, "n_fft", 2, STFT_MAX_SIZE);
    const stft_shape s = {n_fft, (int) config_int(t, "win_length", n_fft, 1, n_fft),
                          (int) config_need_int(t, "hop_length", 1, STFT_MAX_SIZE),
                          config_bool(t, "center", true) ? STFT_CENTRED : STFT_UNPADDED,
                          !strcmp(config_string(t, "pad_mode", "reflect"), "constant")};
    const float scale = config_bool(t, "normalized", false) ? 1 / sqrtf((float) n_fft) : 1;
    const tensor *x = parity_in_f32(c, "x"); /* [B, T] */
    const int64_t B = x->shape[0], T = x->shape[1], bins = n_fft / 2 + 1, frames = stft_frames(&s, T);
    const bool back = parity_has_out(c, format("back_%d", i));
    tensor *all = tensor_new(F32, SHAPE(B, bins, frames, 2)), *backs = tensor_new(F32, SHAPE(B, T));
    for (int64_t b = 0; b < B; b++) {
        const tensor *spectrum = stft(&s, f32(x) + b * T, T);
        turn(f32(spectrum), f32(all) + b * bins * frames * 2, frames, bins, scale);
        if (back) memcpy(f32(backs) + b * T, stft_inverse(&s, spectrum, T)->data, sizeof(float) * (size_t) T);
    }
    parity_out(c, format("stft_%d", i), all);
    if (back) parity_out(c, format("back_%d", i), backs);
    if (parity_has_out(c, format("istft_%d", i))) check_inverses(c, &s, i, scale);
}

static void run_stft(parity_case *c) {
    const config transforms = config_get(parity_info(c), "transforms");
    for (size_t i = 0; i < config_count(transforms); i++) check_transform(c, config_at(transforms, i), (int) i);
}

/* --- Griffin and Lim --- */

/* [K, F] of the case to [F, K]. */
static tensor *turn_over(const tensor *t) {
    const shape s = SHAPE(1, t->shape[0], t->shape[1]);
    const tensor *turned = swap_last_two(tensor_wrap(F32, s, t->data));
    return tensor_wrap(F32, SHAPE(t->shape[1], t->shape[0]), turned->data);
}

/* Unit numbers of these phases, in turns; NULL: all 1. */
static tensor *directions(const tensor *turns, const tensor *like) {
    tensor *start = tensor_new(F32, SHAPE(like->shape[0], like->shape[1], 2));
    for (int64_t i = 0; i < count(like); i++) {
        const double phase = turns ? 2 * M_PI * f32(turns)[i] : 0;
        f32(start)[2 * i] = (float) cos(phase);
        f32(start)[2 * i + 1] = (float) sin(phase);
    }
    return start;
}

static void run_griffin_lim(parity_case *c) {
    static const struct {
        int rounds;
        float momentum;
    } RUNS[] = {{1, 0}, {2, 0.99f}, {32, 0.99f}};
    const config info = parity_info(c);
    const stft_shape s = {(int) config_need_int(info, "n_fft", 2, STFT_MAX_SIZE),
                          (int) config_need_int(info, "win", 2, STFT_MAX_SIZE),
                          (int) config_need_int(info, "hop", 1, STFT_MAX_SIZE), STFT_CENTRED, false};
    const int64_t samples = config_need_int(info, "samples", 1, 1 << 20);
    const tensor *magnitude = turn_over(parity_in_f32(c, "magnitude")), *factors = parity_in_f32(c, "start");
    const tensor *phases = directions(turn_over(parity_in_f32(c, "phase")), magnitude);
    tensor *start = tensor_new(F32, SHAPE(magnitude->shape[0], magnitude->shape[1], 2));
    turn(f32(factors), f32(start), magnitude->shape[1], magnitude->shape[0], 1);
    for (size_t i = 0; i < sizeof RUNS / sizeof *RUNS; i++) {
        const int rounds = RUNS[i].rounds;
        const float momentum = RUNS[i].momentum;
        parity_out(c, format("torchaudio_%d", rounds), griffin_lim(&s, magnitude, start, rounds, momentum, samples));
        parity_out(c, format("librosa_%d", rounds), griffin_lim(&s, magnitude, phases, rounds, momentum, samples));
    }
    parity_out(c, "zero_phase", griffin_lim(&s, magnitude, directions(NULL, magnitude), 8, 0.99f, -1));
}

const parity_row PARITY_SIGNAL[] = {{"signal", "STFT", run_stft}, {"signal", "Griffin-Lim", run_griffin_lim}, {0}};
