/* Loudness and true peak: ITU-R BS.1770-4, EBU R 128, EBU Tech 3342. */
#include <math.h>
#include <soxr.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
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

/* What one meter knows: filters of every channel, the piece that is being summed, the pieces before it. */
struct loudness_meter {
    scope *home;
    biquad shelf, cut;
    int channels, rate;
    double (*state)[4]; /* shelf, cut; of each channel */
    int64_t piece, filled, pieces,
        room;            /* frames a piece of 100 ms, frames in the one begun; whole ones, and room for them */
    double sum, *energy; /* K-weighted: sum over channels of weight times mean square */
};

loudness_meter *loudness_begin(int channels, int rate) {
    loudness_meter *m = NEW(loudness_meter);
    *m = (loudness_meter){.home = scope_current(), .channels = channels, .rate = rate, .piece = (rate + 5) / 10};
    m->shelf = head_shelf(rate);
    m->cut = low_cut(rate);
    m->state = alloc_zero((size_t) channels, sizeof *m->state);
    m->room = 600;
    m->energy = NEW_ARRAY(double, m->room);
    return m;
}

static void end_piece(loudness_meter *m) {
    if (m->pieces == m->room) {
        scope *before = scope_switch(m->home);
        double *larger = NEW_ARRAY(double, 2 * m->room);
        memcpy(larger, m->energy, sizeof(double) * (size_t) m->pieces);
        m->energy = larger;
        m->room *= 2;
        scope_switch(before);
    }
    m->energy[m->pieces++] = m->sum / (double) m->piece;
    m->sum = 0;
    m->filled = 0;
}

static double filtered_energy(loudness_meter *m, const float *samples, int channel, int64_t frames) {
    double *state = m->state[channel], sum = 0;
    for (int64_t t = 0; t < frames; t++) {
        const double x = run_biquad(&m->shelf, state, samples[t * m->channels + channel]);
        const double y = run_biquad(&m->cut, state + 2, x);
        sum += y * y;
    }
    return channel_weight(channel, m->channels) * sum;
}

void loudness_put(loudness_meter *m, const float *samples, int64_t frames) {
    while (frames > 0) {
        const int64_t left = m->piece - m->filled, n = frames < left ? frames : left;
        for (int c = 0; c < m->channels; c++) m->sum += filtered_energy(m, samples, c, n);
        samples += n * m->channels;
        frames -= n;
        m->filled += n;
        if (m->filled == m->piece) end_piece(m);
    }
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

/* A sound shorter than a block: silence follows it. */
static void fill_block(loudness_meter *m, int64_t pieces) {
    const float silence[AUDIO_MAX_CHANNELS] = {0};
    while (m->pieces < pieces) loudness_put(m, silence, 1);
}

double loudness_of(loudness_meter *m) {
    fill_block(m, 4);
    scope_begin();
    int64_t blocks, passed;
    const double *block = block_energies(m->energy, m->pieces, 4, 1, &blocks);
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

double loudness_range_of(const loudness_meter *m) {
    scope_begin();
    int64_t blocks, passed;
    double *block = block_energies(m->energy, m->pieces, 30, 10, &blocks), range = 0;
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

static loudness_meter *measured(const audio *a) {
    loudness_meter *m = loudness_begin(a->channels, a->rate);
    loudness_put(m, a->samples, a->frames);
    return m;
}

double loudness(const audio *a) {
    scope_begin();
    const double result = loudness_of(measured(a));
    scope_end();
    return result;
}

double loudness_range(const audio *a) {
    scope_begin();
    const double result = loudness_range_of(measured(a));
    scope_end();
    return result;
}

/* --- true peak --- */

enum { PEAK_BLOCK = 4096 }; /* frames resampled at a time */

struct peak_meter {
    soxr_t resampler; /* NULL: at rates this high the samples tell enough */
    int channels, factor;
    float *between; /* [PEAK_BLOCK, channels] */
    float peak;
};

static void delete_resampler(void *resampler) { soxr_delete(resampler); }

peak_meter *true_peak_begin(int channels, int rate) {
    peak_meter *m = NEW(peak_meter);
    const int factor = rate < 96000 ? 4 : rate <= AUDIO_MAX_RATE / 2 ? 2 : 1;
    *m = (peak_meter){.channels = channels, .factor = factor};
    if (factor == 1) return m;
    const soxr_io_spec_t form = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
    const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
    const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
    soxr_error_t error;
    m->resampler = soxr_create(rate, rate * factor, (unsigned) channels, &error, &form, &quality, &runtime);
    if (!m->resampler) fail(HISS_ERROR_MEMORY, "cannot measure true peaks at %d Hz: %s", rate, soxr_strerror(error));
    defer(delete_resampler, m->resampler);
    m->between = alloc(sizeof(float) * PEAK_BLOCK * (size_t) channels);
    return m;
}

static void meet(peak_meter *m, const float *samples, size_t frames) {
    for (size_t i = 0; i < frames * (size_t) m->channels; i++) m->peak = fmaxf(m->peak, fabsf(samples[i]));
}

void true_peak_put(peak_meter *m, const float *samples, int64_t frames) {
    meet(m, samples, (size_t) frames);
    while (m->resampler && frames > 0) {
        size_t taken = 0, made = 0;
        soxr_error_t error =
            soxr_process(m->resampler, samples, (size_t) frames, &taken, m->between, PEAK_BLOCK, &made);
        if (error) fail(HISS_ERROR_MEMORY, "cannot measure true peaks: %s", soxr_strerror(error));
        meet(m, m->between, made);
        samples += taken * (size_t) m->channels;
        frames -= (int64_t) taken;
    }
}

float true_peak_of(peak_meter *m) {
    size_t made = m->resampler ? PEAK_BLOCK : 0;
    while (made > 0) {
        soxr_error_t error = soxr_process(m->resampler, NULL, 0, NULL, m->between, PEAK_BLOCK, &made);
        if (error) fail(HISS_ERROR_MEMORY, "cannot measure true peaks: %s", soxr_strerror(error));
        meet(m, m->between, made);
    }
    return m->peak;
}

float true_peak(const audio *a) {
    scope_begin();
    peak_meter *m = true_peak_begin(a->channels, a->rate);
    true_peak_put(m, a->samples, a->frames);
    const float peak = true_peak_of(m);
    scope_end();
    return peak;
}
