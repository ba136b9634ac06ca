/* See augment.h. */
#include "train/augment.h"

#include <math.h>
#include <string.h>

#include "signal/edit.h"

enum { DRAW_RATE, DRAW_OCTAVES, DRAW_MIX, DRAW_MIX_LEVEL, DRAW_PEAK };
static const float QUIET = 1e-6f; /* clips under it keep their level */

static double draw(random_key clip, uint64_t what) { return random_uniform(random_child(clip, what), 0); }

static void read_range(config c, const char *key, double range[2], double low, double high) {
    size_t n;
    const double *values = config_numbers(c, key, 2, &n);
    if (!n) return;
    if (n != 2 || !(low <= values[0] && values[0] <= values[1] && values[1] <= high))
        fail(HISS_ERROR_ARGUMENT, "%s: %s: give two numbers, from and to, within %g .. %g", c.where, key, low, high);
    memcpy(range, values, 2 * sizeof *values);
}

augmentation augmentation_read(config data) {
    static const char *const keys[] = {"mix", "mix_db", "rate", "octaves", "peak_db", NULL};
    augmentation a = {.mix_db = {-20, 6}, .peak_db = {-26, -0.6}};
    if (!config_has(data, "augment")) return a;
    const config c = config_get(data, "augment");
    config_only(c, keys);
    a.on = true;
    a.mix = config_number(c, "mix", 0, 0, 1);
    read_range(c, "mix_db", a.mix_db, -120, 60);
    a.rate = config_number(c, "rate", 0, 0, 1);
    a.octaves = config_number(c, "octaves", 0.5, 0, 2);
    read_range(c, "peak_db", a.peak_db, -120, 0);
    return a;
}

double augment_rate(const augmentation *a, random_key clip) {
    if (!a->on || draw(clip, DRAW_RATE) >= a->rate) return 1;
    return exp2(a->octaves * (2 * draw(clip, DRAW_OCTAVES) - 1));
}

void augment_resample(const audio *samples, double ratio, float *out, int64_t n) {
    audio played = *samples;
    played.rate = (int) lround(samples->rate * ratio);
    const audio *heard = audio_resample(&played, samples->rate);
    const int64_t known = heard->frames < n ? heard->frames : n;
    memcpy(out, heard->samples, (size_t) known * sizeof(float));
    memset(out + known, 0, (size_t) (n - known) * sizeof(float));
}

bool augment_mixes(const augmentation *a, random_key clip) { return a->on && draw(clip, DRAW_MIX) < a->mix; }

static double between(const double range[2], double u) { return range[0] + (range[1] - range[0]) * u; }

static float peak_of(const float *x, int64_t n) {
    float peak = 0;
    for (int64_t i = 0; i < n; i++) peak = fmaxf(peak, fabsf(x[i]));
    return peak;
}

void augment_mix(const augmentation *a, random_key clip, float *x, const float *second, int64_t n) {
    const float own = peak_of(x, n), other = peak_of(second, n);
    if (other < QUIET) return;
    const double level = amplitude_of(between(a->mix_db, draw(clip, DRAW_MIX_LEVEL)));
    const float factor = (float) level * (own < QUIET ? 1 : own) / other;
    for (int64_t i = 0; i < n; i++) x[i] += factor * second[i];
}

void augment_level(const augmentation *a, random_key clip, float *x, int64_t n) {
    const float peak = peak_of(x, n);
    if (!a->on || peak < QUIET) return;
    const float factor = (float) amplitude_of(between(a->peak_db, draw(clip, DRAW_PEAK))) / peak;
    for (int64_t i = 0; i < n; i++) x[i] *= factor;
}
