/* STFT and its inverse. Conventions of torch.stft: frames every hop, one-sided, no scaling; the inverse divides by the
 * overlap-added squared window.
 * F frames, K bins = n_fft / 2 + 1. */
#include "signal/stft.h"

#include <kiss_fftr.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/error.h"
#include "base/parallel.h"

void stft_check(const stft_shape *s) {
    if (s->n_fft < 2 || s->n_fft > STFT_MAX_SIZE || s->window < 1 || s->window > s->n_fft || s->hop < 1 ||
        s->hop > STFT_MAX_SIZE)
        fail(HISS_ERROR_ARGUMENT,
             "STFT of n_fft %d, window %d, hop %d: n_fft must lie in 2..%d, the window in 1..n_fft, "
             "the hop in 1..%d",
             s->n_fft, s->window, s->hop, STFT_MAX_SIZE, STFT_MAX_SIZE);
}

/* Samples of padding on each side. */
static int64_t pad_of(const stft_shape *s) {
    const int hop_pad = s->n_fft > s->hop ? (s->n_fft - s->hop) / 2 : 0;
    return s->padding == STFT_CENTRED ? s->n_fft / 2 : s->padding == STFT_HOP_CENTRED ? hop_pad : 0;
}

int64_t stft_frames(const stft_shape *s, int64_t samples) {
    const int64_t all = samples + 2 * pad_of(s) - s->n_fft;
    return all < 0 ? 1 : 1 + all / s->hop;
}

float *stft_window(const stft_shape *s) {
    float *w = NEW_ARRAY(float, s->n_fft);
    const int left = (s->n_fft - s->window) / 2;
    for (int i = 0; i < s->window; i++) w[left + i] = (float) (0.5 - 0.5 * cos(2 * M_PI * i / s->window));
    return w;
}

/* kissfft's real transform takes even sizes; odd ones go through the complex one. Its plans hold scratch memory, so
 * each thread has its own. */
typedef struct {
    kiss_fftr_cfg even;
    kiss_fft_cfg odd;
    kiss_fft_scalar *in; /* n_fft windowed samples, or n_fft complex ones */
    kiss_fft_cpx *out;   /* K, or n_fft */
} fft;

struct stft_plan {
    int n_fft;
    const float *window;
    fft *threads;
};

static fft fft_new(int n_fft, bool inverse) {
    fft f = {0};
    size_t size = 0;
    if (n_fft % 2 == 0) {
        kiss_fftr_alloc(n_fft, inverse, NULL, &size); /* asks for the size */
        f.even = kiss_fftr_alloc(n_fft, inverse, alloc(size), &size);
    } else {
        kiss_fft_alloc(n_fft, inverse, NULL, &size);
        f.odd = kiss_fft_alloc(n_fft, inverse, alloc(size), &size);
    }
    require(f.even || f.odd);
    f.in = alloc(sizeof(kiss_fft_cpx) * (size_t) n_fft);
    f.out = alloc(sizeof(kiss_fft_cpx) * (size_t) (n_fft + 1));
    return f;
}

static stft_plan *plan_new(const stft_shape *s, int threads, bool inverse) {
    stft_check(s);
    stft_plan *p = NEW(stft_plan);
    *p = (stft_plan){.n_fft = s->n_fft, .window = stft_window(s), .threads = NEW_ARRAY(fft, threads)};
    for (int i = 0; i < threads; i++) p->threads[i] = fft_new(s->n_fft, inverse);
    return p;
}

stft_plan *stft_plan_new(const stft_shape *s, int threads) { return plan_new(s, threads, false); }
stft_plan *stft_plan_new_inverse(const stft_shape *s, int threads) { return plan_new(s, threads, true); }

float *stft_pad(const stft_shape *s, const float *samples, int64_t n) {
    const int64_t pad = pad_of(s), reach = (stft_frames(s, n) - 1) * s->hop + s->n_fft;
    const int64_t known = !s->pad_zeros && n <= pad ? pad + 1 : n; /* reflection needs more than pad samples */
    const int64_t total = known + 2 * pad > reach ? known + 2 * pad : reach;
    float *out = NEW_ARRAY(float, total);
    memcpy(out + pad, samples, sizeof(float) * (size_t) n);
    for (int64_t i = 1; i <= pad && !s->pad_zeros; i++) {
        out[pad - i] = out[pad + i];
        out[pad + known - 1 + i] = out[pad + known - 1 - i];
    }
    return out;
}

const float *stft_frame(stft_plan *p, int thread, const float *samples) {
    fft *f = &p->threads[thread];
    const float *restrict window = p->window;
    if (f->even) {
        for (int i = 0; i < p->n_fft; i++) f->in[i] = samples[i] * window[i];
        kiss_fftr(f->even, f->in, f->out);
    } else {
        kiss_fft_cpx *in = (kiss_fft_cpx *) f->in;
        for (int i = 0; i < p->n_fft; i++) in[i] = (kiss_fft_cpx){samples[i] * window[i], 0};
        kiss_fft(f->odd, in, f->out);
    }
    return (const float *) f->out;
}

tensor *stft(const stft_shape *s, const float *samples, int64_t n) {
    stft_check(s);
    scope_begin();
    const int64_t frames = stft_frames(s, n), bins = s->n_fft / 2 + 1;
    const int threads = threads_get();
    stft_plan *p = stft_plan_new(s, threads);
    const float *padded = stft_pad(s, samples, n);
    tensor *out = tensor_new(F32, SHAPE(frames, bins, 2));
    float *to = f32(out);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < frames; i++)
        memcpy(to + i * bins * 2, stft_frame(p, omp_get_thread_num(), padded + i * s->hop),
               sizeof(float) * (size_t) bins * 2);
    return scope_end_keep(out);
}

/* n_fft real samples of one one-sided spectrum; only the real parts of DC and Nyquist count. */
static void frame_inverse(fft *f, int n_fft, const float *spectrum, float *samples) {
    const int bins = n_fft / 2 + 1;
    kiss_fft_cpx *in = (kiss_fft_cpx *) f->in;
    memcpy(in, spectrum, sizeof(kiss_fft_cpx) * (size_t) bins);
    in[0].i = 0;
    if (f->even) {
        in[bins - 1].i = 0;
        kiss_fftri(f->even, in, samples);
    } else {
        for (int k = 1; k < bins; k++) in[n_fft - k] = (kiss_fft_cpx){in[k].r, -in[k].i};
        kiss_fft(f->odd, in, f->out);
        for (int i = 0; i < n_fft; i++) samples[i] = f->out[i].r;
    }
    for (int i = 0; i < n_fft; i++) samples[i] /= (float) n_fft;
}

void stft_frame_inverse(stft_plan *p, int thread, const float *spectrum, float *samples) {
    frame_inverse(&p->threads[thread], p->n_fft, spectrum, samples);
}

/* --- the way back of its derivative --- */

/* The gradient of a frame's samples from that of its bins [K, 2], added: the inverse transform halves all bins but the ends. */
static void frame_backward(fft *inverse, const stft_shape *s, const float *bins, const float *window, float *to) {
    const int n = s->n_fft, K = n / 2 + 1;
    scope_begin();
    float *weighed = NEW_ARRAY(float, 2 * K), *samples = NEW_ARRAY(float, n);
    for (int k = 0; k < K; k++) {
        const float factor = (float) (k == 0 || 2 * k == n ? n : n / 2.0);
        weighed[2 * k] = factor * bins[2 * k];
        weighed[2 * k + 1] = factor * bins[2 * k + 1];
    }
    frame_inverse(inverse, n, weighed, samples);
    for (int t = 0; t < n; t++) to[t] += window[t] * samples[t];
    scope_end();
}

void stft_backward(const stft_shape *s, const float *bins, int64_t n, float *d) {
    const int64_t pad = pad_of(s), frames = stft_frames(s, n), K = s->n_fft / 2 + 1;
    require(s->pad_zeros || n > pad);
    scope_begin();
    fft inverse = fft_new(s->n_fft, true);
    const float *window = stft_window(s);
    const int64_t reach = (frames - 1) * s->hop + s->n_fft;
    float *padded = NEW_ARRAY(float, reach);
    for (int64_t f = 0; f < frames; f++) frame_backward(&inverse, s, bins + 2 * f * K, window, padded + f * s->hop);
    for (int64_t j = 0; j < reach; j++) { /* samples of the padding are those of the sound, reflected */
        int64_t i = j - pad;
        if (i < 0 && !s->pad_zeros) i = -i;
        if (i >= n && !s->pad_zeros && pad) i = 2 * (n - 1) - i;
        if (i >= 0 && i < n) d[i] += padded[j];
    }
    scope_end();
}

tensor *stft_inverse(const stft_shape *s, const tensor *spectrum, int64_t samples) {
    stft_check(s);
    const int64_t bins = s->n_fft / 2 + 1, frames = spectrum->shape[0], pad = pad_of(s);
    if (spectrum->rank != 3 || spectrum->shape[1] != bins || spectrum->shape[2] != 2 || frames < 1)
        fail(HISS_ERROR_ARGUMENT, "a spectrum of %lld bins has the shape [frames, %lld, 2], not %s", (long long) bins,
             (long long) bins, shape_text(shape_of(spectrum)));
    const int64_t total = s->n_fft + (frames - 1) * s->hop;
    if (samples < 0) samples = total > 2 * pad ? total - 2 * pad : 0;
    scope_begin();
    const float *window = stft_window(s);
    fft f = fft_new(s->n_fft, true);
    float *sum = NEW_ARRAY(float, total), *weight = NEW_ARRAY(float, total);
    float *frame = alloc(sizeof(float) * (size_t) s->n_fft);
    for (int64_t i = 0; i < frames; i++) {
        frame_inverse(&f, s->n_fft, f32(spectrum) + i * bins * 2, frame);
        for (int k = 0; k < s->n_fft; k++) {
            sum[i * s->hop + k] += frame[k] * window[k];
            weight[i * s->hop + k] += window[k] * window[k];
        }
    }
    tensor *out = tensor_zero(F32, SHAPE(samples));
    for (int64_t i = 0; i < samples && pad + i < total; i++) {
        if (weight[pad + i] < 1e-11f)
            fail(HISS_ERROR_ARGUMENT, "STFT of window %d, hop %d: sample %lld lies under no window", s->window, s->hop,
                 (long long) i);
        f32(out)[i] = sum[pad + i] / weight[pad + i];
    }
    return scope_end_keep(out);
}
