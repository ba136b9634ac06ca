/* Cnn14 of PANNs (Kong et al. 2020): tags of AudioSet, and the features that audioldm_eval measures with.
 * 2048 features, 527 classes; log-mel in dB, 64 bands. */
#ifndef HISS_MODELS_CNN14_H
#define HISS_MODELS_CNN14_H

#include "nn/bind.h"

enum { CNN14_FEATURES = 2048, CNN14_CLASSES = 527, CNN14_BANDS = 64 };

typedef struct {
    int rate, n_fft, hop; /* hz; samples */
    double low_hz, high_hz;
} cnn14_front;
/* The published front ends: 32 kHz and 16 kHz. */
extern const cnn14_front CNN14_32K, CNN14_16K;
/* By the mel matrix beside the weights; that of 32 kHz where there is none. */
const cnn14_front *cnn14_front_of(const store *s);

typedef struct cnn14 cnn14;
bool cnn14_known(const store *s);
cnn14 *cnn14_bind(binder *b);
/* n samples at the front's rate -> [F, 64] dB. */
tensor *cnn14_mel(const cnn14_front *f, const float *samples, int64_t n);
/* mel [F, 64], F of 32 or more -> features [1, 2048]; logits, if not NULL, gets [1, 527] before the sigmoid. */
tensor *cnn14_forward(const cnn14 *net, const tensor *mel, tensor **logits);

#endif
