/* Loudness and true peak: ITU-R BS.1770-4, EBU R 128, EBU Tech 3342. */
#include <math.h>
#include <stdlib.h>

#include "base/scope.h"
#include "signal/edit.h"

typedef struct {
    double b0, b1, b2, a1, a2;
} biquad;

/* The recommendation's two filters are given as coefficients at 48 kHz. These are the analogue prototypes behind them
 * (bilinear transform of a shelf and a high-pass), so that every rate gets the same curve. */
static biquad head_shelf(int rate) {
    const double f0 = 1681.974450955533, q = 0.7071752369554196, high = pow(10, 3.999843853973347 / 20);
    const double band = pow(high, 0.4996667741545416), k = tan(M_PI * fmin(f0 / rate, 0.49)), a0 = 1 + k / q + k * k;
    return (biquad){(high + band * k / q + k * k) / a0, 2 * (k * k - high) / a0, (high - band * k / q + k * k) / a0,
                    2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0};
}

static biquad low_cut(int rate) {
    const double f0 = 38.13547087602444, q = 0.5003270373238773, k = tan(M_PI * f0 / rate), a0 = 1 + k / q + k * k;
    return (biquad){1, -2, 1, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0};
}

/* Transposed direct form II. */
static double run_biquad(const biquad *f, double state[2], double x) {
    const double y = f->b0 * x + state[0];
    state[0] = f->b1 * x - f->a1 * y + state[1];
    state[1] = f->b2 * x - f->a2 * y;
    return y;
}

static double channel_weight(int channel, int channels) {
    if (channels < 5 || channels > 6) return 1;
    const int surround = channels == 6 ? 4 : 3;
    return channel >= surround ? 1.41 : channels == 6 && channel == 3 ? 0 : 1;
}

/* K-weighted energy of consecutive pieces of 100 ms: sum over channels of weight times mean square. At least `least`
 * pieces; silence follows the sound. */
static double *piece_energies(const audio *a, int64_t least, int64_t *count) {
    const int64_t piece = (a->rate + 5) / 10;
    const int64_t whole = a->frames / piece, pieces = whole > least ? whole : least;
    double *energy = NEW_ARRAY(double, pieces);
    const biquad shelf = head_shelf(a->rate), cut = low_cut(a->rate);
    for (int c = 0; c < a->channels; c++) {
        double shelf_state[2] = {0}, cut_state[2] = {0};
        const double weight = channel_weight(c, a->channels) / (double) piece;
        for (int64_t p = 0; p < pieces; p++) {
            double sum = 0;
            for (int64_t t = p * piece; t < (p + 1) * piece; t++) {
                const double x = t < a->frames ? a->samples[t * a->channels + c] : 0;
                const double y = run_biquad(&cut, cut_state, run_biquad(&shelf, shelf_state, x));
                sum += y * y;
            }
            energy[p] += weight * sum;
        }
    }
    *count = pieces;
    return energy;
}

static double lufs_of(double energy) { return -0.691 + 10 * log10(energy); }

/* Mean energies of blocks of `length` pieces, one every `step` (1 for 400 ms blocks, 10 for the 3 s blocks of Tech
 * 3342). */
static double *block_energies(const double *piece, int64_t pieces, int64_t length, int64_t step, int64_t *count) {
    *count = pieces < length ? 0 : 1 + (pieces - length) / step;
    double *block = NEW_ARRAY(double, *count + 1);
    for (int64_t i = 0; i < *count; i++) {
        for (int64_t k = 0; k < length; k++) block[i] += piece[i * step + k];
        block[i] /= (double) length;
    }
    return block;
}

/* Mean of the blocks louder than both gates; *n says how many they are. */
static double mean_above(const double *block, int64_t blocks, double gate, int64_t *n) {
    double sum = 0;
    *n = 0;
    for (int64_t i = 0; i < blocks; i++)
        if (block[i] > 0 && lufs_of(block[i]) > gate) {
            sum += block[i];
            ++*n;
        }
    return *n ? sum / (double) *n : 0;
}

double loudness(const audio *a) {
    scope_begin();
    int64_t pieces, blocks, passed;
    const double *piece = piece_energies(a, 4, &pieces);
    const double *block = block_energies(piece, pieces, 4, 1, &blocks);
    double mean = mean_above(block, blocks, -70, &passed), result = -INFINITY;
    if (passed) {
        mean = mean_above(block, blocks, fmax(-70, lufs_of(mean) - 10), &passed);
        result = lufs_of(mean);
    }
    scope_end();
    return result;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

double loudness_range(const audio *a) {
    scope_begin();
    int64_t pieces, blocks, passed;
    const double *piece = piece_energies(a, 1, &pieces);
    double *block = block_energies(piece, pieces, 30, 10, &blocks), range = 0;
    const double mean = mean_above(block, blocks, -70, &passed);
    const double gate = passed ? fmax(-70, lufs_of(mean) - 20) : 0;
    int64_t kept = 0;
    for (int64_t i = 0; i < blocks && passed; i++)
        if (block[i] > 0 && lufs_of(block[i]) > gate) block[kept++] = block[i];
    if (kept > 1) {
        qsort(block, (size_t) kept, sizeof *block, by_size);
        const double low = block[lround(0.10 * (double) (kept - 1))], high = block[lround(0.95 * (double) (kept - 1))];
        range = lufs_of(high) - lufs_of(low);
    }
    scope_end();
    return range;
}

float true_peak(const audio *a) {
    scope_begin();
    const int factor = a->rate < 96000 ? 4 : a->rate <= AUDIO_MAX_RATE / 2 ? 2 : 1;
    const float between = audio_peak(audio_resample(a, a->rate * factor)), at = audio_peak(a);
    scope_end();
    return between > at ? between : at;
}
