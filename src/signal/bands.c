/* See bands.h. */
#include "signal/bands.h"

#include <math.h>
#include <omp.h>

#include "base/error.h"
#include "base/parallel.h"

static void weigh(const mel_bank *bank, bands_of what, const float *spectrum, float *out) {
    for (int m = 0; m < bank->bands; m++) {
        float sum = 0;
        for (int k = 0; k < bank->count[m]; k++) {
            const float *bin = spectrum + 2 * (bank->first[m] + k), power = bin[0] * bin[0] + bin[1] * bin[1];
            sum += bank->values[bank->offset[m] + k] * (what == BANDS_POWER ? power : sqrtf(power));
        }
        out[m] = sum;
    }
}

tensor *band_spectrum(const stft_shape *s, const mel_bank *bank, bands_of what, const float *samples, int64_t n) {
    require(n > 0 && bank->bins == s->n_fft / 2 + 1);
    scope_begin();
    const int threads = threads_get();
    stft_plan *p = stft_plan_new(s, threads);
    const float *padded = stft_pad(s, samples, n);
    const int64_t frames = stft_frames(s, n);
    tensor *out = tensor_new(F32, SHAPE(frames, bank->bands));
    float *to = f32(out);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < frames; i++)
        weigh(bank, what, stft_frame(p, omp_get_thread_num(), padded + i * s->hop), to + i * bank->bands);
    return scope_end_keep(out);
}
