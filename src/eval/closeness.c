/* See closeness.h. */
#include "eval/closeness.h"

#include <math.h>

#include "base/error.h"

static const double RANGE = 1e-4; /* 80 dB, in magnitude */

static float *magnitudes_of(const stft_shape *s, const float *sound, int64_t n, int64_t *count_of) {
    const tensor *spectrum = stft(s, sound, n);
    const int64_t all = *count_of = count(spectrum) / 2;
    float *m = alloc((size_t) all * sizeof(float));
    for (int64_t i = 0; i < all; i++) m[i] = hypotf(f32(spectrum)[2 * i], f32(spectrum)[2 * i + 1]);
    return m;
}

static double at_resolution(int n_fft, const float *real, const float *made, int64_t n) {
    const stft_shape s = {n_fft, n_fft, n_fft / 4, STFT_CENTRED, false};
    int64_t all;
    scope_begin();
    const float *a = magnitudes_of(&s, real, n, &all), *b = magnitudes_of(&s, made, n, &all);
    double difference = 0, size = 0, logs = 0;
    float top = 0;
    for (int64_t i = 0; i < all; i++) top = fmaxf(top, a[i]);
    const float least = fmaxf((float) RANGE * top, 1e-9f);
    for (int64_t i = 0; i < all; i++) {
        difference += (double) (a[i] - b[i]) * (a[i] - b[i]);
        size += (double) a[i] * a[i];
        logs += fabs(log(fmaxf(a[i], least) / fmaxf(b[i], least)));
    }
    scope_end();
    return (sqrt(difference / fmax(size, 1e-30)) + logs / (double) all) / 2;
}

/* Audible places of two log-mels: what differs there. */
static void compare_mels(const tensor *a, const tensor *b, closeness *c) {
    enum { TOGETHER = 4 };
    const int64_t F = a->shape[0], M = a->shape[1];
    float top = -INFINITY;
    for (int64_t i = 0; i < F * M; i++) top = fmaxf(top, f32(a)[i]);
    const float least = top + (float) log(RANGE);
    double sum = 0;
    int64_t heard = 0;
    for (int64_t i = 0; i < F * M; i++)
        if (f32(a)[i] > least) {
            sum += fabs(f32(a)[i] - fmaxf(f32(b)[i], least));
            heard++;
        }
    c->log_mel = sum / (double) (heard ? heard : 1);
    double decibels = 0;
    int64_t groups = 0;
    for (int64_t f = 0; f + TOGETHER <= F; f += TOGETHER) {
        double square = 0;
        int64_t bands = 0;
        for (int64_t m = 0; m < M; m++) {
            double power[2] = {0};
            for (int64_t i = f; i < f + TOGETHER; i++) {
                power[0] += exp(2 * fmaxf(f32(a)[i * M + m], least));
                power[1] += exp(2 * fmaxf(f32(b)[i * M + m], least));
            }
            if (power[0] <= TOGETHER * exp(2 * least) * 1.0001) continue;
            square += pow(10 * log10(power[1] / power[0]), 2);
            bands++;
        }
        if (!bands) continue;
        decibels += sqrt(square / (double) bands);
        groups++;
    }
    c->band_decibel = decibels / (double) (groups ? groups : 1);
}

closeness closeness_of(const mel_front *f, const float *real, const float *made, int64_t n) {
    static const int SIZES[] = {256, 512, 1024, 2048, 4096};
    enum { COUNT = sizeof SIZES / sizeof *SIZES };
    require(f->log == MEL_LN && n > 0);
    closeness c = {0};
    scope_begin();
    for (int i = 0; i < COUNT; i++) c.multi_resolution += at_resolution(SIZES[i], real, made, n) / COUNT;
    compare_mels(mel_compute(f, real, n), mel_compute(f, made, n), &c);
    scope_end();
    return c;
}

double magnitude_kurtosis(const float *sound, int64_t n) {
    static const double AUDIBLE = 1e-6; /* power */
    const stft_shape s = {1024, 1024, 512, STFT_UNPADDED, false};
    int64_t all;
    scope_begin();
    const float *m = magnitudes_of(&s, sound, n, &all);
    const int64_t K = s.n_fft / 2 + 1, F = all / K;
    double *second = NEW_ARRAY(double, K), *fourth = NEW_ARRAY(double, K), top = 0, sum = 0;
    int64_t bins = 0;
    for (int64_t i = 0; i < F * K; i++) {
        const double power = (double) m[i] * m[i];
        second[i % K] += power / (double) F;
        fourth[i % K] += power * power / (double) F;
    }
    for (int64_t k = 0; k < K; k++) top = fmax(top, second[k]);
    for (int64_t k = 1; k + 1 < K; k++) /* DC and half the rate are real: their moments are others */
        if (second[k] > AUDIBLE * top) {
            sum += fourth[k] / (second[k] * second[k]);
            bins++;
        }
    scope_end();
    return sum / (double) (bins ? bins : 1);
}
