/* Cases of src/signal: the STFT and its inverse, and the mel of hiss's own models (BigVGAN's). */
#include <math.h>
#include <string.h>

#include "parity.h"
#include "signal/edit.h"
#include "signal/mel.h"
#include "signal/sinc.h"
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

static void run_bigvgan_mel(parity_case *c) {
    const config settings = parity_config(c);
    mel_front f = mel_front_named("hiss");
    f.rate = (int) config_int(settings, "sampling_rate", f.rate, 1000, 768000);
    f.stft.n_fft = (int) config_int(settings, "n_fft", f.stft.n_fft, 2, STFT_MAX_SIZE);
    f.stft.window = (int) config_int(settings, "win_size", f.stft.n_fft, 1, STFT_MAX_SIZE);
    f.stft.hop = (int) config_int(settings, "hop_size", f.stft.hop, 1, STFT_MAX_SIZE);
    f.bands = (int) config_int(settings, "num_mels", f.bands, 1, 4096);
    f.low_hz = config_number(settings, "fmin", 0, 0, 1e6);
    f.high_hz = config_number(settings, "fmax", 0, 0, 1e6);
    const tensor *sound = parity_in_f32(c, "audio"); /* [1, T] */
    tensor *mel = mel_compute(&f, f32(sound), count(sound));
    const tensor rows = {.type = F32, .rank = 3, .shape = {1, mel->shape[0], mel->shape[1]}, .data = mel->data};
    parity_out(c, "mel", swap_last_two(&rows));
}

/* A recording stored as [channels, samples] times 32768, once for each of the gains. */
static audio *repeated(const tensor *stored, const double *gains, size_t gain_count, int rate) {
    const int64_t channels = stored->shape[0], T = stored->shape[1];
    audio *a = audio_new(T * (int64_t) gain_count, (int) channels, rate);
    for (int64_t i = 0; i < a->frames; i++)
        for (int64_t k = 0; k < channels; k++)
            a->samples[i * channels + k] = (float) (gains[i / T] * f32(stored)[k * T + i % T] / 32768);
    return a;
}

static void run_loudness(parity_case *c) {
    const config runs = config_get(parity_info(c), "runs");
    const char *name;
    json_t *value;
    json_object_foreach(runs.value, name, value) {
        const config r = config_get(runs, name);
        size_t gain_count, peaks;
        const double *gains = config_numbers(r, "gains", 64, &gain_count);
        const double *peak = config_numbers(r, "true_peak", 64, &peaks);
        const audio *a =
            repeated(parity_in_f32(c, name), gains, gain_count, (int) config_need_int(r, "rate", 1, 1 << 20));
        tensor *lufs = tensor_new(F32, SHAPE(1));
        *f32(lufs) = (float) loudness(a);
        parity_out(c, format("%s_lufs", name), lufs);
        const double range = fabs(loudness_range(a) - config_number(r, "range_lu", 0, 0, 100));
        if (a->frames > 3 * a->rate) parity_figure(c, format("%s range, LU", name), range, 0.5);
        for (size_t i = 0; i < peaks; i++) {
            const double over = decibel(true_peak(audio_channel(a, (int) i)) / peak[i]);
            parity_figure(c, format("%s peak %zu, dB", name, i), fmax(over / 0.2, -over / 0.4), 1);
        }
    }
}

static void run_resamplers(parity_case *c) {
    static const struct {
        const char *name;
        const sinc_filter *filter;
        int from, to;
    } ROWS[] = {{"default_44100_16000", &SINC_TORCHAUDIO, 44100, 16000},
                {"default_16000_48000", &SINC_TORCHAUDIO, 16000, 48000},
                {"default_44100_32000", &SINC_TORCHAUDIO, 44100, 32000},
                {"fadtk_44100_16000", &SINC_FADTK, 44100, 16000},
                {"fadtk_22050_48000", &SINC_FADTK, 22050, 48000},
                {"melody_44100_32000", &SINC_MELODY, 44100, 32000},
                {"julius_44100_32000", &SINC_JULIUS, 44100, 32000},
                {"julius_16000_24000", &SINC_JULIUS, 16000, 24000}};
    const tensor *x = parity_in_f32(c, "x");
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        audio *a = audio_new(count(x), 1, ROWS[i].from);
        for (int64_t k = 0; k < count(x); k++) a->samples[k] = f32(x)[k] / 32768;
        const audio *b = sinc_resample(a, ROWS[i].to, ROWS[i].filter);
        parity_out(c, ROWS[i].name, tensor_wrap(F32, SHAPE(b->frames), b->samples));
    }
}

const parity_row PARITY_SIGNAL[] = {{"signal", "STFT", run_stft},
                                    {"signal", "loudness and peaks", run_loudness},
                                    {"signal", "resampling by formula", run_resamplers},
                                    {"bigvgan", "mel", run_bigvgan_mel},
                                    {0}};
