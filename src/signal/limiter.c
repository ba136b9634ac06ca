/* The gain each moment needs (ceiling / peak, at most 1) is held for the look-ahead, let go slowly, and averaged over the
 * look-ahead: all averaged values are at most what the moment at the window's beginning needs, which is the moment that
 * is then played. Peaks between samples are found as ITU-R BS.1770 does, at four times the rate. */
#include "signal/limiter.h"

#include <math.h>

#include "base/scope.h"

enum { HALF = 16, BETWEEN = 3 }; /* samples to each side of a moment between two; moments between two */
static const double LOOK_SECONDS = 0.005, RELEASE_SECONDS = 0.15;
/* The gain's own movement and the finite kernel move peaks a little: some of the ceiling is kept for them. */
static const double MARGIN = 0.98;
/* Two neighbours lower than this part of the ceiling have no peak above it between them that would not be met beside them. */
static const float QUIET = 0.4f;

struct limiter {
    int channels;
    int64_t look, size, now; /* frames; of the rings, a power of two; frames taken so far */
    float ceiling, kernel[BETWEEN][2 * HALF];
    float *sound;                /* ring [size, channels] */
    float *need, *smooth;        /* rings: the gain a frame needs; held and let go */
    int64_t *lower, first, last; /* ring of frames whose needs rise, the lowest first */
    double sum, released, release, between, lowest;
};

/* Sinc under a Blackman window, of unit sum, for a quarter, a half and three quarters of a sample. */
static void fill_kernel(limiter *l) {
    for (int k = 0; k < BETWEEN; k++) {
        double taps[2 * HALF], sum = 0;
        for (int i = 0; i < 2 * HALF; i++) {
            const double x = i - (HALF - 1) - (k + 1) / 4.0, at = x / HALF;
            taps[i] = sin(M_PI * x) / (M_PI * x) * (0.42 + 0.5 * cos(M_PI * at) + 0.08 * cos(2 * M_PI * at));
            sum += taps[i];
        }
        for (int i = 0; i < 2 * HALF; i++) l->kernel[k][i] = (float) (taps[i] / sum);
    }
}

limiter *limiter_begin(int channels, int rate, double ceiling) {
    limiter *l = NEW(limiter);
    l->channels = channels;
    l->look = (int64_t) ceil(LOOK_SECONDS * rate);
    for (l->size = 1; l->size < l->look + 2 * HALF + 2;) l->size *= 2;
    l->ceiling = (float) (ceiling * MARGIN);
    l->sound = NEW_ARRAY(float, l->size *channels);
    l->need = NEW_ARRAY(float, l->size);
    l->smooth = NEW_ARRAY(float, l->size);
    l->lower = NEW_ARRAY(int64_t, l->size);
    for (int64_t i = 0; i < l->size; i++) l->need[i] = l->smooth[i] = 1;
    l->sum = (double) l->look + 1;
    l->released = l->lowest = 1;
    l->release = 1 - exp(-1 / (RELEASE_SECONDS * rate));
    fill_kernel(l);
    return l;
}

int64_t limiter_delay(const limiter *l) { return l->look + HALF; }

double limiter_lowest(const limiter *l) { return l->lowest; }

static const float *frame(const limiter *l, int64_t t) { return l->sound + (t & (l->size - 1)) * l->channels; }

/* The largest value between frames t and t + 1. */
static float peak_after(const limiter *l, int64_t t) {
    float peak = 0;
    for (int c = 0; c < l->channels; c++) {
        if (fmaxf(fabsf(frame(l, t)[c]), fabsf(frame(l, t + 1)[c])) < QUIET * l->ceiling) continue;
        float around[2 * HALF];
        for (int i = 0; i < 2 * HALF; i++) around[i] = frame(l, t - (HALF - 1) + i)[c];
        for (int k = 0; k < BETWEEN; k++) {
            float sum = 0;
            for (int i = 0; i < 2 * HALF; i++) sum += l->kernel[k][i] * around[i];
            peak = fmaxf(peak, fabsf(sum));
        }
    }
    return peak;
}

/* The gain that frame t needs, from the peaks at and beside it. */
static float need_of(limiter *l, int64_t t) {
    const double before = l->between;
    l->between = peak_after(l, t);
    float peak = (float) fmax(before, l->between);
    for (int c = 0; c < l->channels; c++) peak = fmaxf(peak, fabsf(frame(l, t)[c]));
    return peak > l->ceiling ? l->ceiling / peak : 1;
}

/* The lowest need of frames t - look .. t. */
static float held(limiter *l, int64_t t) {
    const int64_t mask = l->size - 1;
    while (l->last > l->first && l->need[l->lower[(l->last - 1) & mask] & mask] >= l->need[t & mask]) l->last--;
    l->lower[l->last++ & mask] = t;
    while (l->lower[l->first & mask] < t - l->look) l->first++;
    return l->need[l->lower[l->first & mask] & mask];
}

/* The gain for frame t - look. */
static double gain_at(limiter *l, int64_t t) {
    const int64_t mask = l->size - 1;
    l->need[t & mask] = need_of(l, t);
    l->released = fmin(held(l, t), l->released + (1 - l->released) * l->release);
    const float rounded = (float) l->released; /* of floats the running sum is exact */
    l->sum += (double) rounded - l->smooth[(t - l->look - 1) & mask];
    l->smooth[t & mask] = rounded;
    return l->sum / ((double) l->look + 1);
}

void limiter_run(limiter *l, float *samples, int64_t frames) {
    const int64_t mask = l->size - 1;
    for (int64_t i = 0; i < frames; i++, l->now++) {
        float *in = l->sound + (l->now & mask) * l->channels;
        for (int c = 0; c < l->channels; c++) in[c] = samples[i * l->channels + c];
        const int64_t t = l->now - HALF;
        const double gain = gain_at(l, t);
        l->lowest = fmin(l->lowest, gain);
        const float *out = frame(l, t - l->look);
        for (int c = 0; c < l->channels; c++) samples[i * l->channels + c] = (float) (out[c] * gain);
    }
}
