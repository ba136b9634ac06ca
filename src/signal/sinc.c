/* See sinc.h. Rates over their greatest common divisor are o (old) and n (new); sample i of the old sound lies at i / o, j of the new
 * one at j / n. */
#include "signal/sinc.h"

#include <math.h>
#include <stdint.h>

#include "base/parallel.h"
#include "tensor/tensor.h"

const sinc_filter SINC_TORCHAUDIO = {6, 0.99, 0, false, false},
                  SINC_FADTK = {64, 0.9475937167399596, 14.769656459379492, false, false},
                  SINC_MELODY = {24, 0.945, 0, false, false}, SINC_JULIUS = {24, 0.945, 0, true, true};

enum { MOST_WEIGHTS = 1 << 26 };

/* The modified Bessel function I0. */
static double bessel(double x) {
    double sum = 1, term = 1;
    for (int k = 1; term > 1e-17 * sum; k++) {
        term *= (x / 2 / k) * (x / 2 / k);
        sum += term;
    }
    return sum;
}

/* u crossings from the centre. */
static double weight(const sinc_filter *f, double u) {
    if (fabs(u) >= f->width) return 0;
    double sinc = u == 0 ? 1 : sin(M_PI * u) / (M_PI * u), side = u / f->width;
    if (f->beta > 0) return sinc * bessel(f->beta * sqrt(1 - side * side)) / bessel(f->beta);
    return sinc * pow(cos(M_PI * side / 2), 2);
}

/* Weights of the outputs of each phase j mod n: old samples floor(j o / n) - reach ... of `taps`. */
typedef struct {
    int64_t o, n, reach, taps;
    double *weights; /* [n, taps] */
} sinc_table;

static int64_t divisor(int64_t a, int64_t b) { return b ? divisor(b, a % b) : a; }

static sinc_table table_of(const sinc_filter *f, int from, int to) {
    require(from > 0 && to > 0);
    const int64_t g = divisor(from, to);
    sinc_table t = {.o = from / g, .n = to / g};
    require(t.o > 0 && t.n > 0);
    const double cutoff = (double) (t.o < t.n ? t.o : t.n) * f->rolloff;
    t.reach = (int64_t) ceil(f->width * (double) t.o / cutoff);
    t.taps = 2 * t.reach + 2;
    if (t.n * t.taps > MOST_WEIGHTS)
        fail(HISS_ERROR_ARGUMENT, "from %d to %d Hz by a windowed sinc: %lld phases are too many", from, to,
             (long long) t.n);
    t.weights = NEW_ARRAY(double, t.n *t.taps);
    for (int64_t p = 0; p < t.n; p++) {
        double sum = 0, *row = t.weights + p * t.taps, centre = (double) (p * t.o % t.n) / (double) t.n;
        for (int64_t k = 0; k < t.taps; k++)
            sum += row[k] = weight(f, cutoff * ((double) (k - t.reach) - centre) / (double) t.o);
        for (int64_t k = 0; k < t.taps; k++) row[k] *= f->unit_sum ? 1 / sum : cutoff / (double) t.o;
    }
    return t;
}

static double sample_at(const audio *a, int64_t i, int c, bool ends_go_on) {
    if (ends_go_on) i = i < 0 ? 0 : i >= a->frames ? a->frames - 1 : i;
    return i < 0 || i >= a->frames ? 0 : a->samples[i * a->channels + c];
}

audio *sinc_resample(const audio *a, int rate, const sinc_filter *f) {
    if (rate == a->rate || !a->frames) return audio_copy(a);
    scope_begin();
    const sinc_table t = table_of(f, a->rate, rate);
    const int64_t frames = (a->frames * t.n + (f->round_down ? 0 : t.o - 1)) / t.o;
    const int channels = a->channels;
    tensor *out = tensor_new(F32, SHAPE(frames, channels));
    float *to = f32(out);
#pragma omp parallel for num_threads(threads_get()) schedule(static)
    for (int64_t j = 0; j < frames; j++)
        for (int c = 0; c < channels; c++) {
            const double *row = t.weights + j % t.n * t.taps;
            int64_t first = j * t.o / t.n - t.reach;
            double sum = 0;
            for (int64_t k = 0; k < t.taps; k++) sum += row[k] * sample_at(a, first + k, c, f->unit_sum);
            to[j * channels + c] = (float) sum;
        }
    out = scope_end_keep(out);
    audio *result = NEW(audio);
    *result = (audio){f32(out), frames, channels, rate};
    return result;
}
