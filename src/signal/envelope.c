/* See envelope.h. */
#include "signal/envelope.h"

#include <math.h>

#include "base/error.h"

struct mel_envelope {
    int bands, bins;
    float *unit;  /* [bands]: 1 / sum of the band's weights */
    int *below;   /* [bins]: the band centre under the bin */
    float *share; /* [bins]: of the centre above it */
};

static const float LEVEL = 0.8f;
enum { MOST_BANDS = 4096 };

mel_envelope *mel_envelope_new(const mel_front *f) {
    require(f->log == MEL_LN);
    const mel_bank *bank = mel_front_bank(f);
    mel_envelope *e = NEW(mel_envelope);
    *e = (mel_envelope){.bands = bank->bands, .bins = bank->bins};
    e->unit = NEW_ARRAY(float, e->bands);
    for (int m = 0; m < e->bands; m++) {
        double sum = 0;
        for (int k = 0; k < bank->count[m]; k++) sum += bank->values[bank->offset[m] + k];
        e->unit[m] = sum > 0 ? (float) (1 / sum) : 0; /* a band narrower than a bin may hold none */
    }
    e->below = NEW_ARRAY(int, e->bins);
    e->share = NEW_ARRAY(float, e->bins);
    double *centre = mel_front_centres(f);
    for (int k = 0, m = 0; k < e->bins; k++) {
        const double hz = (double) k * f->rate / f->stft.n_fft;
        while (m + 2 < e->bands && centre[m + 1] <= hz) m++;
        const int above = m + 1 < e->bands ? m + 1 : m;
        const double width = centre[above] - centre[m], part = width > 0 ? (hz - centre[m]) / width : 0;
        e->below[k] = m;
        e->share[k] = (float) fmin(fmax(part, 0), 1);
    }
    return e;
}

void mel_envelope_spread(const mel_envelope *e, const float *by_band, float *by_bin) {
    for (int k = 0; k < e->bins; k++) {
        const int m = e->below[k], above = m + 1 < e->bands ? m + 1 : m;
        by_bin[k] = by_band[m] + e->share[k] * (by_band[above] - by_band[m]);
    }
}

void mel_envelope_of(const mel_envelope *e, const float *log_mel, float *magnitude) {
    float by_band[MOST_BANDS];
    for (int m = 0; m < e->bands; m++) by_band[m] = LEVEL * expf(log_mel[m]) * e->unit[m];
    mel_envelope_spread(e, by_band, magnitude);
}
