/* Shifts of time: the odds of noise are multiplied, by a factor that depends on the length. */
#include "diffusion/shift.h"

#include <math.h>

#include "base/scope.h"

double shift_odds(double t, double alpha) { return t < 1 ? alpha * t / (1 + (alpha - 1) * t) : 1; }

/* Where x lies from a to b, 0 to 1. */
static double share(double x, double a, double b) { return b > a ? (x - a) / (b - a) : 0; }

static double log_alpha(const time_shift *s, double length) {
    length = fmin(fmax(length, s->short_length), s->long_length);
    double at = s->kind == SHIFT_POWER ? share(log(length), log(s->short_length), log(s->long_length))
                                       : share(length, s->short_length, s->long_length);
    return s->short_alpha + at * (s->long_alpha - s->short_alpha);
}

double shift_time(const time_shift *s, double t, double length) {
    length = fmax(length, 1);
    if (s->kind == SHIFT_NONE || t <= 0) return t;
    if (t >= 1) return 1;
    if (s->kind == SHIFT_LOG_SNR) {
        double start = s->anchor - s->rate * log2(length / s->anchor_length);
        return 1 / (1 + exp(s->end - t * (s->end - start)));
    }
    t = shift_odds(t, exp(log_alpha(s, length)));
    return s->sine ? sin(t * M_PI / 2) : t;
}

double *times_shifted(const time_shift *s, double most, int64_t steps, double length) {
    double *times = NEW_ARRAY(double, steps + 1);
    for (int64_t i = 0; i <= steps; i++) times[i] = shift_time(s, most * (1 - (double) i / (double) steps), length);
    times[0] = most;
    return times;
}

double *times_log_snr(double most, int64_t steps) {
    double *times = NEW_ARRAY(double, steps + 1), start = most < 1 ? log((1 - most) / most + 1e-6) : -6, end = 2;
    for (int64_t i = 0; i < steps; i++) times[i] = 1 / (1 + exp(start + (end - start) * (double) i / (double) steps));
    times[0] = most;
    return times;
}

int64_t latent_frames(double seconds, int64_t rate, int64_t ratio) {
    int64_t samples = (int64_t) (seconds * (double) rate);
    return (samples + ratio - 1) / ratio;
}
